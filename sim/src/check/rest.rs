//! M1, M4, M11: without faults everything comes to agree, to the last digit.

use supervisor_core::domain::{InstrumentIx, Qty, Timestamp};
use supervisor_core::orders::{Life, Order, VenueState};

use super::{Checker, Watched, account_of};
use crate::process::{Bot, Process};
use crate::venue::{AccountIx, TrueOrder, Venue};

impl Checker {
    /// What does not agree yet; `None`: everything does.
    pub fn unrest(&mut self, now: Timestamp, venue: &Venue, process: Option<&Process>) -> Option<(usize, String)> {
        let Some(process) = process.filter(|process| process.is_up()) else {
            return Some((usize::MAX, "the process is down".to_owned()));
        };
        for at in 0..self.bots.len() {
            let net: Vec<Qty> = self.worst(now, at, venue).iter().map(|worst| worst.net).collect();
            let (Some(watched), Some(bot)) = (self.bots.get(at), process.bots.get(at)) else { continue };
            let complaint = bot_unrest(watched, bot, venue, &net);
            if let Some(text) = complaint {
                return Some((at, text));
            }
        }
        (0..process.books.len()).find_map(|account| balance_unrest(account, venue, process))
    }

    /// The time in which everything must have come to agree is over.
    pub fn fail_unrest(&mut self, now: Timestamp, unrest: (usize, String)) {
        let (at, text) = unrest;
        let invariant = if text.starts_with("balance") { "M1" } else { "M11" };
        self.fail(invariant, now, at, None, text);
    }
}

/// What of one bot does not agree with the venue.
fn bot_unrest(watched: &Watched, bot: &Bot, venue: &Venue, net: &[Qty]) -> Option<String> {
    if !bot.is_at_rest() {
        return Some("it is at work".to_owned());
    }
    if bot.is_unreconciled() {
        return Some("its start is not reconciled".to_owned());
    }
    let desk = bot.it.stages.orders.desk();
    for order in desk.unsettled() {
        let born = watched.born.get(&order.terms.order).and_then(|born| born.first());
        let truth = born.and_then(|ix| venue.orders().nth(*ix));
        if let Some(text) = order_unrest(order, truth) {
            return Some(format!("order {}: {text}", order.terms.order.0));
        }
    }
    // What the desk has put away for good: nothing of it may live, and all of it counts.
    let forgotten =
        |order: &&TrueOrder| order.view.client.is_some_and(|c| !desk.open().contains_key(&c.order)) && order.is_live();
    let own = watched.born.values().flatten().filter_map(|ix| venue.orders().nth(*ix));
    if let Some(order) = own.clone().find(forgotten) {
        return Some(format!("{:?} lives at the venue, and its desk does not have it open", order.view));
    }
    if let Some(text) = fills_unrest(watched, venue) {
        return Some(text);
    }
    let exposure = bot.it.stages.risk.gate().exposure();
    for ((ix, net), position) in (0..).map(InstrumentIx).zip(net).zip(bot.it.stages.orders.positions()) {
        let start = if ix.0 == 0 { watched.base } else { Qty::ZERO };
        let (gate, truth) = (exposure.line(ix).position, start + *net);
        if gate != truth || position.qty() != truth {
            let desk = position.qty();
            return Some(format!("instrument {}: gate {gate}, desk {desk}, venue {truth}", ix.0));
        }
    }
    None
}

/// Executions counted against those of the venue that stand.
fn fills_unrest(watched: &Watched, venue: &Venue) -> Option<String> {
    let own = venue
        .trades(account_of(watched))
        .iter()
        .filter(|trade| trade.trade.client.is_some_and(|client| Some(client.instance) == watched.id));
    for trade in own {
        let key = (trade.trade.symbol, trade.trade.trade);
        let (counts, is_void) = (watched.counted.contains_key(&key), watched.voided.contains_key(&key));
        if trade.busted_at.is_none() && (!counts || is_void) {
            return Some(format!("{:?} does not count", trade.trade));
        }
        if trade.busted_at.is_some() && counts && !is_void {
            return Some(format!("{:?} is void and counts", trade.trade));
        }
    }
    None
}

/// Where an order stands here against the truth.
fn order_unrest(order: &Order, truth: Option<&TrueOrder>) -> Option<String> {
    let Some(truth) = truth else {
        let is_absent = matches!(
            order.life,
            Life::NeverAccepted | Life::NeverSent | Life::Rejected | Life::Settled | Life::Disputed
        );
        return (!is_absent).then(|| format!("{} here, and the venue never had it", order.life));
    };
    let agrees = match truth.view.state {
        VenueState::Pending => order.life == Life::Pending,
        VenueState::Armed => order.life == Life::Armed,
        VenueState::Open => order.life == Life::Open,
        VenueState::Filled => order.life == Life::Filled,
        VenueState::Canceled => order.life == Life::Canceled,
        VenueState::Expired => order.life == Life::Expired,
        VenueState::Rejected => order.life == Life::Rejected,
    };
    // Only a person ends a dispute.
    if !agrees && order.life != Life::Disputed {
        return Some(format!("{} here, {:?} at the venue", order.life, truth.view.state));
    }
    if order.filled != truth.view.filled {
        return Some(format!("{} filled here, {} at the venue", order.filled, truth.view.filled));
    }
    None
}

/// What the ledger of an account expects against what the venue holds.
fn balance_unrest(account: usize, venue: &Venue, process: &Process) -> Option<(usize, String)> {
    let books = process.books.get(account)?;
    for (asset, held) in venue.balances(AccountIx(account)) {
        let expected = books.expected(*asset);
        if expected != *held {
            let difference = (*held - expected).normalize();
            let text = format!("balance of {asset} on account {account}: {held} at the venue, {difference} more than");
            return Some((usize::MAX, format!("{text} the ledger expects ({expected})")));
        }
    }
    None
}
