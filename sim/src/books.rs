//! The ledger of one account and what it needs of the process: questions out, answers and news in.
//!
//! Promises: production code decides; this only translates between the wire and the ledger.

use rust_decimal::Decimal;
use supervisor_core::domain::{Asset, ClientId, InstanceId, OrderNo, Timestamp};
use supervisor_core::instance::FactRecord;
use supervisor_core::ledger::{BalanceNews, Ledger, LedgerError, Poll, Recovered};
use supervisor_core::orders::{Report, Terms};

use crate::plan::Plan;
use crate::process::Bot;
use crate::venue::{Answer, Ask, News};

/// News for the instance that it concerns.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Heard {
    /// Whose.
    pub instance: InstanceId,
    /// What.
    pub report: Report,
}

/// See the module.
pub struct Books {
    ledger: Ledger,
    account: usize,
    /// What people would be told.
    pub news: Vec<BalanceNews>,
}

impl Books {
    /// The ledger of an account at a start: what is kept of it, and what its instances have.
    #[must_use]
    pub fn start(plan: &Plan, account: usize, at: Timestamp, kept: Option<&[u8]>, bots: &[Bot]) -> Self {
        let traits = plan.bots.first().map_or(supervisor_core::spec::VenueTraits::OUTSIDE, |bot| bot.spec.venue);
        let kept = kept.and_then(|bytes| postcard::from_bytes(bytes).ok());
        let mut ledger = kept.unwrap_or_else(|| Ledger::new(traits));
        for bot in bots.iter().filter(|bot| bot.account == account) {
            if bot.it.list.facts_written() == 0 {
                ledger.register(at, &bot.spec, 0);
            } else {
                ledger.rebuild(at, &bot.spec, &recovered(bot));
            }
        }
        // A person trades every symbol.
        plan.venue.symbols.iter().for_each(|instrument| ledger.watch(at, instrument.symbol));
        Self { ledger, account, news: Vec::new() }
    }

    /// The process works: everything is asked at once.
    pub fn begin(&mut self, at: Timestamp, is_connected: bool) {
        self.ledger.restarted(at);
        if is_connected {
            self.ledger.stream_back(at);
        }
    }

    /// Its encoding, to be kept.
    #[must_use]
    pub fn encode(&self) -> Option<Vec<u8>> {
        postcard::to_allocvec(&self.ledger).ok()
    }

    /// Facts that an instance recorded.
    ///
    /// # Errors
    /// As of [`Ledger::follow`].
    pub fn follow(&mut self, instance: InstanceId, records: &[FactRecord]) -> Result<(), LedgerError> {
        records.iter().try_for_each(|record| self.ledger.follow(instance, record))
    }

    /// An order is about to leave; answers the one of ours in its way.
    pub fn try_place(&mut self, at: Timestamp, client: ClientId, terms: &Terms) -> Option<ClientId> {
        match self.ledger.place(at, client.instance, client.epoch, terms) {
            Err(LedgerError::Crosses { with, .. }) => Some(with),
            Ok(_) | Err(LedgerError::Stranger { .. } | LedgerError::Instrument { .. } | LedgerError::Gap { .. }) => {
                None
            }
        }
    }

    /// A cancel is about to leave.
    pub fn withdrawing(&mut self, at: Timestamp) {
        self.ledger.withdrawing(at);
    }

    /// An instance wants executions.
    pub fn want(&mut self, at: Timestamp, bot: InstanceId, ix: supervisor_core::domain::InstrumentIx, from: Timestamp) {
        // The instances of an account are registered with their instruments: it cannot refuse.
        let _ = self.ledger.ask_trades(at, bot, ix, from);
    }

    /// What is to be asked now.
    pub fn polls(&mut self, at: Timestamp) -> Vec<Ask> {
        let ask = |poll| match poll {
            Poll::Orders => Ask::OpenOrders,
            Poll::Trades(symbol, from) => Ask::Trades { symbol, from },
            Poll::Balances => Ask::Balances,
        };
        self.ledger.due(at).into_iter().map(ask).collect()
    }

    /// When something is to be asked next.
    #[must_use]
    pub fn next_poll(&self) -> Timestamp {
        self.ledger.next_due()
    }

    /// The private stream is cut or back.
    pub fn on_stream(&mut self, at: Timestamp, is_connected: bool) {
        if is_connected {
            self.ledger.stream_back(at);
        } else {
            self.ledger.stream_lost(at);
        }
    }

    /// An answer to a question of the ledger.
    pub fn on_answer(&mut self, at: Timestamp, asked_at: Timestamp, ask: &Ask, answer: &Answer) -> Vec<Heard> {
        let news = match (ask, answer) {
            (_, Answer::OpenOrders { as_of, orders }) => self.ledger.on_orders(at, *as_of, asked_at, orders),
            (Ask::Trades { symbol, .. }, Answer::Trades { from, until, trades }) => {
                self.ledger.on_trades(at, *from, *until, *symbol, trades)
            }
            (_, Answer::Balances { as_of, balances }) => {
                self.news.extend(self.ledger.on_balances(at, *as_of, balances));
                Vec::new()
            }
            (
                _,
                Answer::Order(_)
                | Answer::Rejected(_)
                | Answer::TooOld
                | Answer::CancelRefused(_)
                | Answer::NotFound
                | Answer::Trades { .. }
                | Answer::Busy
                | Answer::Limited { .. },
            ) => Vec::new(),
        };
        heard(news)
    }

    /// News of the private stream.
    pub fn on_news(&mut self, at: Timestamp, news: &News) -> Vec<Heard> {
        let told = match news {
            News::Order(order) => self.ledger.on_order_news(at, order),
            News::Trade(trade) => self.ledger.on_trade_news(at, trade),
            News::Bust(trade) => self.ledger.on_bust(at, trade),
            News::Price { .. } => None,
        };
        heard(told)
    }

    /// What the account must hold of an asset.
    #[must_use]
    pub fn expected(&self, asset: Asset) -> Decimal {
        self.ledger.expected(asset)
    }

    /// The ledger, to be looked at.
    #[must_use]
    pub const fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Which account.
    #[must_use]
    pub const fn account(&self) -> usize {
        self.account
    }
}

fn heard(news: impl IntoIterator<Item = (InstanceId, Report)>) -> Vec<Heard> {
    news.into_iter().map(|(instance, report)| Heard { instance, report }).collect()
}

/// What an instance has after its recovery.
fn recovered(bot: &Bot) -> Recovered {
    // Each intent uses up one number, whatever the gate says.
    let (approved, vetoed) = bot.it.stages.risk.gate().counts();
    Recovered::of(&bot.it.stages, bot.it.list.facts_written(), OrderNo(approved + vetoed))
}
