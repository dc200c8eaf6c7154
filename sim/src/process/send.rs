//! What leaves the process.

use supervisor_core::domain::{ClientId, InstrumentIx, OrderKind, OrderNo, Timestamp};
use supervisor_core::orders::{Request, Terms};

use super::{Bot, Process};
use crate::check::Sent;
use crate::ground::Ground;
use crate::port::{Asker, Pending};
use crate::venue::Ask;

/// Bit of a wild bot's tag: the order may not take.
pub const POST_ONLY: u32 = 1 << 20;
/// Bit of a wild bot's tag: what does not trade at once expires.
pub const IMMEDIATE: u32 = 1 << 21;

/// The name of an order at the venue.
pub(super) fn client_of(bot: &Bot, order: OrderNo) -> Option<ClientId> {
    let desk = bot.it.stages.orders.desk();
    let known = || desk.closed().iter().rev().find(|entry| entry.terms.order == order);
    let entry = desk.open().get(&order).or_else(|| desk.closing().get(&order)).or_else(known)?;
    Some(ClientId { instance: bot.spec.id, epoch: entry.epoch, order })
}

impl Process {
    /// Sends an order; false when it has not left in the time in which it must.
    pub(super) fn send_order(&mut self, ground: &mut Ground, at: usize, client: ClientId, terms: &Terms) -> bool {
        let signed = ground.reads();
        let Some(bot) = self.bots.get(at) else { return true };
        let Some(instrument) = bot.spec.instruments.get(terms.instrument.at()) else { return true };
        let decided = bot.it.stages.orders.desk().open().get(&terms.order).map_or(signed, |order| order.sent);
        if signed.since(decided) > bot.spec.venue.send_ms {
            ground.tally.count("orders too old to send");
            return false;
        }
        let is_limit = matches!(terms.kind, OrderKind::Limit(_));
        let ask = Ask::Place {
            client,
            symbol: instrument.symbol,
            side: terms.side,
            kind: terms.kind,
            qty: terms.qty,
            post_only: is_limit && terms.tag.0 & POST_ONLY != 0,
            immediate: is_limit && terms.tag.0 & IMMEDIATE != 0,
            signed,
        };
        let (account, answer_ms) = (bot.account, bot.spec.venue.answer_ms);
        let durable = ground.store.disk().bots.get(at).map_or(0, |disk| disk.last);
        let until = signed + bot.spec.venue.window_ms + bot.spec.venue.engine_ms;
        ground.check.on_send(ground.now, &Sent { bot: at, client, terms: *terms, until }, durable);
        let asker = Asker::Order(at, terms.order, Request::Place);
        self.port.send(ground, Pending { asker, account, ask, decided, waits: false }, answer_ms);
        true
    }

    /// Asks the venue to withdraw an order, or where it stands.
    pub(super) fn ask_about(&mut self, ground: &mut Ground, at: usize, order: OrderNo, request: Request) {
        let decided = ground.reads();
        let Some(bot) = self.bots.get(at) else { return };
        let Some(client) = client_of(bot, order) else {
            ground.tally.count("questions about forgotten orders");
            return;
        };
        let ask = match request {
            Request::Cancel => {
                if let Some(books) = self.books.get_mut(bot.account) {
                    books.withdrawing(decided);
                }
                Ask::Cancel { client }
            }
            Request::Place | Request::Query => Ask::Query { client },
        };
        ground.tally.count(if request == Request::Cancel { "cancels" } else { "queries" });
        let (account, answer_ms) = (bot.account, bot.spec.venue.answer_ms);
        let asker = Asker::Order(at, order, request);
        self.port.send(ground, Pending { asker, account, ask, decided, waits: false }, answer_ms);
    }

    /// The ledger of the account asks the venue for executions.
    pub(super) fn ask_trades(&mut self, ground: &mut Ground, at: usize, ix: InstrumentIx, from: Timestamp) {
        let now = ground.reads();
        let Some(bot) = self.bots.get(at) else { return };
        if let Some(books) = self.books.get_mut(bot.account) {
            books.want(now, bot.spec.id, ix, from);
        }
        self.arm_polls(ground);
    }
}
