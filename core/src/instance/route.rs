//! The whole wiring of an instance, on one screen: who reads what, what is a fact, what leaves.

use super::fact::{Audit, Fact, Revision};
use super::message::{Control, Event, Input, MarketIn, Message, OrdersIn, RiskIn, Shift, StrategyIn, StreakIn};
use super::worklist::{Effect, Router};
use crate::domain::{ClosedCandle, Fill, OrderNo, Quote};
use crate::orders::{OrderEnded, Origin, Report, Standing};

/// Turns one event into messages, facts and effects. Used by the live actors and by the backtest alike.
#[inline]
pub fn route(event: Event, to: &mut Router<'_>) {
    match event {
        Event::Quote(ix, quote) => {
            to.quote(ix, quote);
            if to.watching() {
                to.send(Message::Orders(OrdersIn::Quote(ix)));
            }
        }
        Event::Closed(candle) => closed(candle, to),
        Event::Gap(gap) => to.record(Fact::Gap(gap)),
        Event::Intent(intent) => to.send(Message::Risk(RiskIn::Review(intent))),
        Event::Note(ix, note) => to.record(Fact::Note(ix, note)),
        Event::Protect(ix, protect) => to.send(Message::Orders(OrdersIn::Protect(ix, protect))),
        Event::GridPlanned(plan) => to.record(Fact::GridPlanned(plan)),
        Event::Cancel(request) => {
            to.record(Fact::CancelWanted(request));
            to.send(Message::Orders(OrdersIn::Cancel(request)));
        }
        Event::Approved { order, reason } => {
            to.record(Fact::Approved { terms: *order.terms(), reason });
            to.send(Message::Orders(OrdersIn::Submit(order)));
        }
        Event::Vetoed { veto, reason } => answer(veto, Fact::Vetoed { veto, reason }, to),
        Event::WouldSubmit { veto, reason } => answer(veto, Fact::WouldSubmit { veto, reason }, to),
        Event::Funds(ix, funds) => to.send(Message::Strategy(StrategyIn::Funds(ix, funds))),
        Event::Latches(latches) => to.send(Message::Strategy(StrategyIn::Latches(latches))),
        Event::Place(order) => to.effect(Effect::Place(order)),
        Event::Withdraw(order) => to.effect(Effect::Withdraw(order)),
        Event::OrderMoved(order, life) => to.record(Fact::OrderMoved(order, life)),
        Event::OrderRefused(order, news) => to.record(Fact::OrderRefused(order, news)),
        Event::Fill(fill) => filled(fill, to),
        Event::Ended(order) => ended(order, to),
        Event::Released(order) => released(order, to),
        Event::RoundTrip(trip) => {
            to.record(Fact::RoundTrip(trip));
            to.send(Message::Streak(StreakIn::RoundTrip(trip)));
        }
        Event::Guarded(ix, why) => {
            to.record(Fact::Guarded(ix, why));
            to.send(Message::Strategy(StrategyIn::Guarded(ix, why)));
        }
        Event::Watch(on) => to.watch(on),
        Event::Wake(at) => to.effect(Effect::Wake(at)),
        Event::Audited(audit) => commanded(audit, to),
        Event::Revised { revision, shift } => revised(revision, shift, to),
        Event::Withheld { order, step } => kept_back(order, Fact::Withheld { order, step }, to),
        Event::DayClosed(day) => to.record(Fact::DayClosed(day)),
        Event::Ask(ask) => to.effect(Effect::Ask(ask)),
        Event::Reopened(order) => to.record(Fact::Reopened(order)),
        Event::Hold(terms, rest) => to.send(Message::Risk(RiskIn::Hold(terms, rest))),
        Event::Late(order, life) => to.record(Fact::LateFill(order, life)),
        Event::Bust(fill) => voided(fill, to),
        Event::Doubt(order, for_ms) => to.record(Fact::InDoubt(order, for_ms)),
        Event::Standing(standing) => stands(standing, to),
        Event::Reconciled(reconciled) => to.record(Fact::Reconciled(reconciled)),
        Event::Put { input, step } => put(input, step, to),
        Event::Crossed { order, with, step } => kept_back(order, Fact::Crossed { order, with, step }, to),
    }
}

/// What comes from beyond the network is a fact first.
fn put(input: Box<Input>, step: u64, to: &mut Router<'_>) {
    let message = match &*input {
        Input::Market(market) => Message::Market(*market),
        Input::Report(report) => Message::Orders(OrdersIn::Report(*report)),
        Input::Wakeup => Message::Orders(OrdersIn::Wakeup),
        Input::Intent(intent) => Message::Risk(RiskIn::Review(intent.clone())),
        Input::Cancel(request) => Message::Orders(OrdersIn::Cancel(*request)),
    };
    to.record(Fact::Input { input, step });
    to.send(message);
}

/// The strategy sees every timeframe it wants; the account is marked at the instance's own.
fn closed(closed: ClosedCandle, to: &mut Router<'_>) {
    to.send(Message::Strategy(StrategyIn::Candle(closed)));
    if closed.timeframe == to.timeframe() {
        let quote = Quote { at: closed.candle.close_time, last: closed.candle.close };
        to.send(Message::Streak(StreakIn::Mark(closed.instrument, quote)));
    }
}

/// Held room becomes position before the strategy may ask for more.
fn filled(fill: Fill, to: &mut Router<'_>) {
    to.record(Fact::Fill(fill));
    to.send(Message::Risk(RiskIn::Fill(fill)));
    to.send(Message::Strategy(StrategyIn::Fill(fill)));
    to.send(Message::Streak(StreakIn::Fill(fill)));
}

/// Held room is released.
fn released(order: OrderEnded, to: &mut Router<'_>) {
    to.record(Fact::Ended(order));
    to.send(Message::Risk(RiskIn::Ended(order)));
}

/// Held room is released before the strategy may ask for more.
fn ended(order: OrderEnded, to: &mut Router<'_>) {
    released(order, to);
    to.send(Message::Strategy(StrategyIn::Ended(order)));
}

/// The order stage hears of an order that did not leave as of any other end.
fn kept_back(order: OrderNo, fact: Fact, to: &mut Router<'_>) {
    to.record(fact);
    to.send(Message::Orders(OrdersIn::Report(Report::NeverSent(order))));
}

/// What a fill brought goes back. The strategy has planned with it: it begins anew with what is there, and its resting
/// orders go.
fn voided(fill: Fill, to: &mut Router<'_>) {
    to.record(Fact::Bust(fill));
    to.send(Message::Risk(RiskIn::Bust(fill)));
    to.send(Message::Streak(StreakIn::Bust(fill)));
    to.send(Message::Strategy(StrategyIn::Control(Control::Release)));
}

/// The gate must know what is in doubt.
fn stands(standing: Standing, to: &mut Router<'_>) {
    to.record(Fact::Standing(standing));
    to.send(Message::Risk(RiskIn::Standing(standing)));
}

/// An operator's command reaches the gate first.
fn commanded(audit: Box<Audit>, to: &mut Router<'_>) {
    let control = audit.control;
    to.record(Fact::Control(audit));
    tell(control, to);
}

/// Other settings reach the gate first, too; its account and the streak's take a transfer in.
fn revised(revision: Box<Revision>, shift: Shift, to: &mut Router<'_>) {
    to.record(Fact::Revised(revision));
    tell(Control::Revise(shift), to);
    if !shift.transfer.is_zero() {
        to.send(Message::Streak(StreakIn::Transfer(shift.transfer)));
    }
}

fn tell(control: Control, to: &mut Router<'_>) {
    to.send(Message::Risk(RiskIn::Control(control)));
    to.send(Message::Orders(OrdersIn::Control(control)));
    match control {
        Control::Revise(_) => to.send(Message::Market(MarketIn::Revise)),
        Control::Release => to.send(Message::Market(MarketIn::Release)),
        Control::Pause
        | Control::Resume
        | Control::Kill
        | Control::ClearKill
        | Control::Stop(_)
        | Control::Start
        | Control::Quarantine
        | Control::ParkStreak
        | Control::Reconcile(_)
        | Control::Resolve(..) => {}
    }
    to.send(Message::Strategy(StrategyIn::Control(control)));
}

/// A refusal goes to whoever asked.
fn answer(veto: crate::risk::Veto, fact: Fact, to: &mut Router<'_>) {
    to.record(fact);
    match veto.origin {
        Origin::Strategy => to.send(Message::Strategy(StrategyIn::Veto(veto))),
        Origin::Monitor | Origin::Operator => to.send(Message::Orders(OrdersIn::Veto(veto))),
    }
}
