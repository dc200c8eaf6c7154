//! The account: who owns which order, what each instance holds of it, and whether that adds up to what the venue says.
//!
//! Owns, per account, the map from client order ids to instances, the virtual positions, what was traded by others, and
//! the differences between our sum and the venue's statement. Promises: what nobody here sent is adopted and counted,
//! never withdrawn; news of the venue goes to the instance that owns the order, and to no other; a difference is told
//! for as long as it lasts. Never: decides about an order's state, which is its desk's; never invents a fill.
//!
//! It reads the executions of the symbols that its instances trade, of those in which it saw an order of others, and of
//! those that [`Ledger::watch`] names. What others trade at once in any other symbol shows as a difference of balances.

mod account;
mod book;
mod compare;
mod follow;
mod news;
mod outside;
mod polls;
#[cfg(test)]
mod tests;
mod void;

use std::collections::{BTreeMap, BTreeSet};

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use crate::domain::{
    Asset, ClientId, InstanceId, InstrumentIx, Notional, OrderKind, Price, Purpose, Qty, Side, Symbol, Timestamp,
    TradeId, split_symbol,
};
use crate::orders::{Terms, VenueState};
use crate::spec::{IdClass, InstanceSpec, VenueTraits};
use book::Book;
use compare::Comparison;
use outside::{Outside, Pair};
use void::Suspects;

pub use account::{Line, Member};
pub use book::Known;
pub use compare::{BalanceNews, Difference};
pub use follow::{Recovered, RecoveredOrder};
pub use outside::{External, OutsideOpen};
pub use polls::{Poll, Polls};

/// No two clocks are further apart than this, ms; a moment of the venue that is later is not believed.
const CLOCKS_MS: i64 = 60_000;

/// An order as the venue lists it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VenueOrder {
    /// Our name for it; `None` when it is not one of ours.
    pub client: Option<ClientId>,
    /// The venue's number.
    pub id: u64,
    /// What.
    pub symbol: Symbol,
    /// Which way.
    pub side: Side,
    /// How.
    pub kind: OrderKind,
    /// Base units in all.
    pub qty: Qty,
    /// Base units executed.
    pub filled: Qty,
    /// Where it stands.
    pub state: VenueState,
    /// The venue's number of its newest change.
    pub seq: u64,
}

/// An execution as the venue lists it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VenueTrade {
    /// Our name of its order; `None` when it is not one of ours.
    pub client: Option<ClientId>,
    /// The venue's number; unique per symbol.
    pub trade: TradeId,
    /// What.
    pub symbol: Symbol,
    /// Which way.
    pub side: Side,
    /// At which price.
    pub price: Price,
    /// Base units.
    pub qty: Qty,
    /// Fee, quote units.
    pub fee: Notional,
    /// True when the order was resting.
    pub maker: bool,
    /// When, by the venue.
    pub at: Timestamp,
}

/// What the venue says an account holds of one asset, free and locked together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Balance {
    /// Of what.
    pub asset: Asset,
    /// How much.
    pub total: Decimal,
}

/// What the ledger refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LedgerError {
    /// The order would trade with another one of the account.
    #[error("'{order}' would trade with '{with}', an order of the same account")]
    Crosses {
        /// Which.
        order: ClientId,
        /// The one in its way.
        with: ClientId,
    },
    /// Nobody registered this instance.
    #[error("'{instance}' is not an instance of this account")]
    Stranger {
        /// Who.
        instance: InstanceId,
    },
    /// The instance does not trade this.
    #[error("'{instance}' has no instrument number {}", .instrument.0)]
    Instrument {
        /// Who.
        instance: InstanceId,
        /// What.
        instrument: InstrumentIx,
    },
    /// Facts are missing: the ledger must be told anew what the instance has.
    #[error("fact {found} of '{instance}' came where {expected} was to follow")]
    Gap {
        /// Whose.
        instance: InstanceId,
        /// The next one.
        expected: u64,
        /// The one that came.
        found: u64,
    },
}

/// One account: its instances, their orders and holdings, and everything else that is on it. See the module.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ledger {
    venue: VenueTraits,
    members: BTreeMap<InstanceId, Member>,
    /// Instances that were members: their numbers tell old executions from new ones.
    gone: BTreeMap<InstanceId, Member>,
    book: Book,
    outside: Outside,
    polls: Polls,
    comparison: Comparison,
    suspects: Suspects,
}

impl Ledger {
    /// An account of which nothing is known. Its first statement is the opening: what it has beyond the capital of the
    /// instances is nobody's.
    #[must_use]
    pub fn new(venue: VenueTraits) -> Self {
        Self {
            venue,
            members: BTreeMap::new(),
            gone: BTreeMap::new(),
            book: Book::default(),
            outside: Outside::new(venue.look_back_ms),
            polls: Polls::new(&venue),
            comparison: Comparison::default(),
            suspects: Suspects::new(),
        }
    }

    /// An instance that has not begun belongs to the account from now on; its capital is given to it of what nobody
    /// holds, and its orders bear `epoch` until it records another. One that is registered keeps what it has and takes
    /// the settings.
    pub fn register(&mut self, at: Timestamp, spec: &InstanceSpec, epoch: u32) {
        if self.members.contains_key(&spec.id) {
            self.revise(spec);
        } else {
            let member = Member::new(spec, epoch, self.gone.remove(&spec.id));
            self.give_back(&member, -Decimal::ONE);
            self.members.insert(spec.id, member);
            self.book.forget(spec.id, |_| false);
            self.outside.disown_all(spec.id);
        }
        spec.instruments.iter().for_each(|instrument| self.polls.add(at, instrument.symbol));
    }

    /// Reads the executions of a symbol that no instance trades, from the look-back on: for accounts on which others
    /// do. Without it they are read only once an order of others was seen there.
    pub fn watch(&mut self, at: Timestamp, symbol: Symbol) {
        self.polls.add(at, symbol);
    }

    /// An instance is gone. What it holds is nobody's; orders of it that are still at the venue are external at the
    /// next list, and in the way of others for as long as they are listed.
    pub fn unregister(&mut self, instance: InstanceId) {
        let Some(member) = self.members.remove(&instance) else { return };
        self.give_back(&member, Decimal::ONE);
        self.polls.forget(instance);
        self.gone.insert(instance, member);
    }

    /// Both sides of the double entry: what an instance has, nobody has.
    fn give_back(&mut self, member: &Member, sign: Decimal) {
        let assets: BTreeSet<Asset> = member.assets().collect();
        assets.into_iter().for_each(|asset| self.outside.give(asset, member.holds(asset) * sign));
    }

    fn revise(&mut self, spec: &InstanceSpec) {
        let Some(member) = self.members.get_mut(&spec.id) else { return };
        let transfer = member.revise(spec.capital);
        if let Some(quote) = member.quote().filter(|_| !transfer.is_zero()) {
            self.outside.give(quote, -transfer.get());
        }
    }

    /// An order is about to leave: it is checked against every other order of the account and, if it may go, in the way
    /// of others from now on, so that no two instances pass at once. Exits always pass: a stop must work, and the
    /// venue's own prevention ends the resting order.
    ///
    /// # Errors
    /// [`LedgerError::Crosses`] for an entry that would trade with an order of the account; nothing is noted then.
    pub fn place(
        &mut self,
        at: Timestamp,
        instance: InstanceId,
        epoch: u32,
        terms: &Terms,
    ) -> Result<ClientId, LedgerError> {
        let order = ClientId { instance, epoch, order: terms.order };
        let symbol = self.symbol(instance, terms.instrument)?;
        if let Some(with) = self.in_the_way(order, symbol, terms) {
            return Err(LedgerError::Crosses { order, with });
        }
        self.book.place(at, order, symbol, *terms);
        self.polls.acted(at);
        if let Some(member) = self.members.get_mut(&instance) {
            member.gave(terms.order);
        }
        Ok(order)
    }

    fn in_the_way(&self, order: ClientId, symbol: Symbol, terms: &Terms) -> Option<ClientId> {
        match terms.purpose {
            Purpose::Entry => self.book.in_the_way(symbol, terms, (order.instance, order.order)),
            Purpose::Exit => None,
        }
    }

    /// A cancel is about to leave: orders and balances are not asked for in the middle of it.
    pub fn withdrawing(&mut self, at: Timestamp) {
        self.polls.acted(at);
    }

    fn symbol(&self, instance: InstanceId, instrument: InstrumentIx) -> Result<Symbol, LedgerError> {
        let member = self.members.get(&instance).ok_or(LedgerError::Stranger { instance })?;
        let line = member.line(instrument).ok_or(LedgerError::Instrument { instance, instrument })?;
        Ok(line.symbol)
    }

    /// What base and quote of a symbol are: as the instances say, else as its name says.
    fn pair(&self, symbol: Symbol) -> Option<Pair> {
        let lines = self.members.values().flat_map(|member| member.lines());
        let named = lines.filter(|line| line.symbol == symbol).map(|line| (line.base, line.quote)).next();
        named.or_else(|| split_symbol(symbol).ok())
    }

    /// The instances of the account.
    #[must_use]
    pub const fn members(&self) -> &BTreeMap<InstanceId, Member> {
        &self.members
    }

    /// One order of ours, working or ended inside the look-back window.
    #[must_use]
    pub fn known(&self, id: ClientId) -> Option<&Known> {
        self.book.find(id)
    }

    /// Orders of ours that are not over.
    pub fn live(&self) -> impl Iterator<Item = &Known> {
        self.book.live()
    }

    /// Orders of others, orphans included. They count; nobody here touches them.
    pub fn externals(&self) -> impl Iterator<Item = &External> {
        self.outside.orders()
    }

    /// Orders under a name of ours that its instance does not know.
    pub fn orphans(&self) -> impl Iterator<Item = &External> {
        self.externals().filter(|external| external.orphan)
    }

    /// What adopted orders of a symbol may still trade; those without a price at `mark`.
    #[must_use]
    pub fn outside_open(&self, symbol: Symbol, mark: Price) -> OutsideOpen {
        self.outside.open(symbol, mark)
    }

    /// What others traded in a symbol since the opening, base units; negative: they sold.
    #[must_use]
    pub fn outside_position(&self, symbol: Symbol) -> Qty {
        self.outside.position(symbol)
    }

    /// What no instance holds of an asset; negative when the instances were given more than there is.
    #[must_use]
    pub fn unowned(&self, asset: Asset) -> Decimal {
        self.outside.holds(asset)
    }

    /// What the account must hold of an asset: the sum over all instances and nobody.
    #[must_use]
    pub fn expected(&self, asset: Asset) -> Decimal {
        self.members.values().map(|member| member.holds(asset)).sum::<Decimal>() + self.unowned(asset)
    }

    /// The schedule of questions.
    #[must_use]
    pub const fn polls(&self) -> &Polls {
        &self.polls
    }

    /// True when an execution without a name may be one of ours: the venue knows no names, and an order of that side
    /// has not been acknowledged.
    fn may_be_ours(&self, symbol: Symbol, side: Side) -> bool {
        let like = |known: &&Known| known.symbol == symbol && known.terms.side == side && !known.is_acknowledged();
        match self.venue.ids {
            IdClass::None => self.book.live().any(|known| like(&known)),
            IdClass::Unique | IdClass::Open => false,
        }
    }
}
