//! M7: whatever may fill at the venue is covered by position and holds of the gate, and the caps hold.

use supervisor_core::domain::{InstrumentIx, Price, Purpose, Qty, Side, Timestamp};
use supervisor_core::ledger::VenueTrade;
use supervisor_core::orders::Terms;
use supervisor_core::risk::Exposure;

use super::{Checker, Watched};
use crate::process::Process;
use crate::venue::{AccountIx, TrueOrder, Venue};

/// One instrument of a bot, as the venue has it or may come to have it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Worst {
    /// Base units bought less those sold.
    pub(super) net: Qty,
    /// Base units that may still be bought.
    buys: Qty,
    /// Base units that may still be sold.
    sells: Qty,
    /// What the bot cannot know yet and moves the net up: more was bought than ordered, or a sale is void.
    up: Qty,
    /// The same, down.
    down: Qty,
}

impl Worst {
    fn open(&mut self, side: Side, qty: Qty) {
        match side {
            Side::Buy => self.buys += qty,
            Side::Sell => self.sells += qty,
        }
    }

    fn untold(&mut self, side: Side, qty: Qty) {
        match side {
            Side::Buy => self.up += qty,
            Side::Sell => self.down += qty,
        }
    }
}

/// What an order has moved.
fn net(order: &TrueOrder) -> Qty {
    match order.view.side {
        Side::Buy => order.view.filled,
        Side::Sell => -order.view.filled,
    }
}

impl Checker {
    /// An execution is void: what orders that are over have moved is not what it was.
    pub fn on_bust(&mut self, account: AccountIx, trade: &VenueTrade) {
        self.busts.push((account, *trade));
        for bot in &mut self.bots {
            bot.live = bot.born.values().flatten().copied().collect();
            bot.over.fill(Qty::ZERO);
        }
    }

    /// Position, open orders and requests under way at the venue against position and holds of the gate.
    pub(super) fn check_exposure(&mut self, now: Timestamp, at: usize, venue: &Venue, process: &Process) {
        let worst = self.worst(now, at, venue);
        let (Some(bot), Some(theirs)) = (self.bots.get(at), process.bots.get(at)) else { return };
        let exposure = theirs.it.stages.risk.gate().exposure();
        let mut complaint = None;
        for (ix, worst) in (0..).map(InstrumentIx).zip(&worst) {
            let start = if ix.0 == 0 { bot.base } else { Qty::ZERO };
            let position = exposure.line(ix).position;
            let most = position + held(exposure, ix, Side::Buy) + worst.up;
            let least = position - held(exposure, ix, Side::Sell) - worst.down;
            let (high, low) = (start + worst.net + worst.buys, start + worst.net - worst.sells);
            if high > most || low < least {
                complaint.get_or_insert_with(|| {
                    format!(
                        "instrument {}: the venue may come to {low} .. {high} ({worst:?}), position {position} and \
                         holds cover {least} .. {most}",
                        ix.0
                    )
                });
            }
        }
        if let Some(text) = complaint {
            self.fail("M7", now, at, None, text);
        }
    }

    /// The worst case of each instrument. Orders that are over are folded into a sum.
    pub(super) fn worst(&mut self, now: Timestamp, at: usize, venue: &Venue) -> Vec<Worst> {
        let Some(bot) = self.bots.get_mut(at) else { return Vec::new() };
        bot.flying.retain(|_, sent| now <= sent.until);
        let mut worst = fold(bot, venue);
        for sent in bot.flying.values() {
            if let Some(worst) = worst.get_mut(sent.terms.instrument.at()) {
                worst.open(sent.terms.side, sent.terms.qty);
            }
        }
        for (account, trade) in self.busts.iter().filter(|(account, _)| account.0 == bot.account) {
            let own = trade.client.is_some_and(|client| Some(client.instance) == bot.id);
            let is_told = bot.voided.contains_key(&(trade.symbol, trade.trade));
            let place = bot.symbols.iter().position(|symbol| *symbol == trade.symbol);
            debug_assert_eq!(account.0, bot.account);
            if let Some(worst) = place.and_then(|place| worst.get_mut(place)).filter(|_| own && !is_told) {
                worst.untold(trade.side.opposite(), trade.qty);
            }
        }
        worst
    }

    /// An entry that was approved is within the caps, as the gate counts.
    pub(super) fn check_caps(&mut self, now: Timestamp, at: usize, terms: &Terms, process: &Process) {
        let Some(bot) = process.bots.get(at) else { return };
        let gate = bot.it.stages.risk.gate();
        let exposure = gate.exposure();
        let is_fresh = exposure.holds().get(&terms.order).is_some_and(|hold| hold.seen.is_zero());
        if terms.purpose == Purpose::Exit || terms.side == Side::Sell || !is_fresh {
            return;
        }
        let capital = gate.capital().unwrap_or(bot.spec.capital.quote);
        let mark = bot.it.list.quotes().get(terms.instrument).map_or(Price::ZERO, |quote| quote.last);
        let (whole, cap) = (exposure.symbol(terms.instrument, mark), capital * bot.spec.risk.max_capital_per_symbol);
        if whole > cap || exposure.free_quote().is_negative() {
            let free = exposure.free_quote();
            let text = format!("an entry was approved: symbol exposure {whole} of {cap}, {free} of quote are free");
            self.fail("M7", now, at, Some(terms.order), text);
        }
    }
}

fn held(exposure: &Exposure, ix: InstrumentIx, side: Side) -> Qty {
    let holds = exposure.holds().values().filter(|hold| hold.instrument == ix && hold.side == side);
    holds.map(|hold| hold.qty).sum()
}

/// What the orders at the venue have moved and may still move.
fn fold(bot: &mut Watched, venue: &Venue) -> Vec<Worst> {
    let mut worst = vec![Worst::default(); bot.symbols.len()];
    let mut live = Vec::with_capacity(bot.live.len());
    for ix in std::mem::take(&mut bot.live) {
        let Some(order) = venue.orders().nth(ix) else { continue };
        let Some(place) = bot.symbols.iter().position(|symbol| *symbol == order.view.symbol) else { continue };
        let beyond = order.view.filled - order.view.qty;
        if order.is_live() || beyond.is_positive() {
            live.push(ix);
            if let Some(worst) = worst.get_mut(place) {
                worst.net += net(order);
                worst.open(order.view.side, order.leaves());
                worst.untold(order.view.side, beyond.max(Qty::ZERO));
            }
        } else if let Some(over) = bot.over.get_mut(place) {
            *over += net(order);
        }
    }
    bot.live = live;
    for (worst, over) in worst.iter_mut().zip(&bot.over) {
        worst.net += *over;
    }
    worst
}
