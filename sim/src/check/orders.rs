//! M4, M5, M6: fills are the venue's and count once, sums stay within the order or are told, ends have evidence.

use supervisor_core::domain::{Fill, OrderNo, Qty, Timestamp, TradeId};
use supervisor_core::orders::{Life, VenueState};

use super::{Checker, TradeKey, Watched, account_of};
use crate::process::Process;
use crate::venue::{TrueOrder, Venue};

impl Checker {
    /// Where each execution of the venue is.
    pub(super) fn follow_trades(&mut self, venue: &Venue) {
        for (account, (looked, index)) in self.trades.iter_mut().enumerate() {
            let trades = venue.trades(crate::venue::AccountIx(account));
            for (at, trade) in trades.iter().enumerate().skip(*looked) {
                index.insert((trade.trade.symbol, trade.trade.trade), at);
            }
            *looked = trades.len();
        }
    }

    /// Orders that have been settled since the last look, the newest first. Each is looked at, as it is the last time.
    pub(super) fn follow_settled(&mut self, process: &Process) {
        for (at, (watched, bot)) in self.bots.iter_mut().zip(&process.bots).enumerate() {
            if !std::mem::take(&mut watched.worked) {
                continue;
            }
            for order in bot.it.stages.orders.desk().closed().iter().rev() {
                let number = order.terms.order;
                if !watched.settled.insert(number) {
                    break;
                }
                self.tally.count("orders settled");
                self.seen.push((at, super::Seen::Moved(number, Life::Settled)));
            }
        }
    }

    /// A fill that was counted is an execution of the venue, to the last digit.
    pub(super) fn check_fill(&mut self, now: Timestamp, at: usize, fill: &Fill, venue: &Venue) {
        let Some(bot) = self.bots.get(at) else { return };
        let Some(symbol) = bot.symbols.get(fill.instrument.at()).copied() else { return };
        let place = self.trades.get(bot.account).and_then(|(_, index)| index.get(&(symbol, fill.trade)));
        let truth = place.and_then(|place| venue.trades(account_of(bot)).get(*place)).map(|truth| truth.trade);
        let is_same = truth.is_some_and(|truth| {
            truth.client.is_some_and(|client| Some(client.instance) == bot.id && client.order == fill.order)
                && (truth.side, truth.price, truth.qty, truth.fee) == (fill.side, fill.price, fill.qty, fill.fee)
        });
        if !is_same {
            let text = format!("it counts {fill:?}, the venue has {truth:?}");
            self.fail("M4", now, at, Some(fill.order), text);
        }
    }

    /// A state that a desk tells has its evidence at the venue.
    pub(super) fn check_evidence(&mut self, now: Timestamp, at: usize, order: OrderNo, life: Life, venue: &Venue) {
        let Some(bot) = self.bots.get(at) else { return };
        let truth = bot.born.get(&order).and_then(|born| born.first()).and_then(|ix| venue.orders().nth(*ix));
        let ever = |state: VenueState| truth.is_some_and(|truth| truth.changes.iter().any(|c| c.state == state));
        let filled = |truth: &TrueOrder| truth.changes.iter().any(|change| change.filled >= truth.view.qty);
        let complaint = match life {
            Life::Open | Life::Pending | Life::Armed if truth.is_none() => Some("the venue never had it"),
            Life::Filled if !truth.is_some_and(filled) => Some("the venue never filled it"),
            Life::Canceled if !ever(VenueState::Canceled) => Some("the venue never withdrew it"),
            Life::Expired if !ever(VenueState::Expired) => Some("it never expired at the venue"),
            Life::Rejected if truth.is_some() && !ever(VenueState::Rejected) => Some("the venue took it"),
            Life::NeverAccepted if truth.is_some() => Some("the venue took it"),
            Life::NeverSent if bot.sent.contains_key(&order) => Some("it was sent"),
            Life::Settled if truth.is_some_and(TrueOrder::is_live) => Some("it is live at the venue"),
            Life::Settled if truth.is_some_and(|truth| !self.is_whole(bot, order, truth)) => {
                Some("its executions are not all counted")
            }
            Life::InFlight
            | Life::Unknown
            | Life::Open
            | Life::Filled
            | Life::Canceled
            | Life::Expired
            | Life::Rejected
            | Life::NeverSent
            | Life::Intent
            | Life::Pending
            | Life::Armed
            | Life::NeverAccepted
            | Life::Replaced
            | Life::Settled
            | Life::Disputed => None,
        };
        if let Some(complaint) = complaint {
            let text = format!("it is told to be {life}, and {complaint}: {:?}", truth.map(|truth| &truth.changes));
            self.fail("M6", now, at, Some(order), text);
        }
    }

    /// Sums of fills do not pass the order, unless that is told as a dispute.
    pub(super) fn check_sums(&mut self, now: Timestamp, at: usize, process: &Process) {
        let (Some(bot), Some(watched)) = (process.bots.get(at), self.bots.get(at)) else { return };
        let mut complaint = None;
        for order in bot.it.stages.orders.desk().unsettled() {
            let sum: Qty = order.trades.iter().map(|trade| trade.qty).sum();
            let is_told = watched.disputed.contains_key(&order.terms.order);
            if sum != order.filled || (sum > order.terms.qty && !is_told) {
                let (filled, qty, life) = (order.filled, order.terms.qty, order.life);
                let text = format!("its executions sum up to {sum}, it says {filled} of {qty} and is {life}");
                complaint.get_or_insert((order.terms.order, text));
            }
        }
        if let Some((order, text)) = complaint {
            self.fail("M5", now, at, Some(order), text);
        }
    }

    /// True when every execution of the order that stands is counted.
    fn is_whole(&self, bot: &Watched, order: OrderNo, truth: &TrueOrder) -> bool {
        let is_counted = |id: &TradeId| {
            let key: TradeKey = (truth.view.symbol, *id);
            bot.counted.get(&key).is_some_and(|(_, fill)| fill.order == order)
        };
        let symbol = truth.view.symbol;
        let is_void = |id: &TradeId| self.busts.iter().any(|(_, bust)| (bust.symbol, bust.trade) == (symbol, *id));
        truth.trades.iter().all(|id| is_counted(id) || is_void(id))
    }
}
