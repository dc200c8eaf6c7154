//! What the venue says about the account, told to the instance that it concerns.
//!
//! Promises: news goes to the owner of the order, and to no other; what has no owner is adopted and counted. Never:
//! ends an order because a list does not have it.

use std::collections::BTreeSet;

use super::book::{Key, Known};
use super::compare::Comparison;
use super::outside::Foreign;
use super::polls::GUARD_MS;
use super::void::Whole;
use super::{Balance, BalanceNews, CLOCKS_MS, Difference, Ledger, LedgerError, Poll, VenueOrder, VenueTrade};
use crate::domain::{Asset, ClientId, Fill, InstanceId, InstrumentIx, Symbol, Timestamp};
use crate::orders::{Report, Traded};

/// Whose an order is.
pub(super) enum Owner<'a> {
    /// A running instance knows it.
    Ours(&'a Known),
    /// It was an instance's of this account, and everything about it is counted.
    Past,
    /// It carries a name of an instance that does not know it.
    Orphan,
    /// Nobody's here.
    Nobody,
}

impl Ledger {
    pub(super) fn owner(&self, client: Option<ClientId>) -> Owner<'_> {
        let Some(id) = client else { return Owner::Nobody };
        let runs = self.members.get(&id.instance);
        let has_given = runs.or_else(|| self.gone.get(&id.instance)).map(|m| m.has_given(id.epoch, id.order));
        match (self.book.find(id), runs, has_given) {
            (Some(known), Some(_), _) => Owner::Ours(known),
            (Some(_), None, _) | (None, None, None | Some(false)) => Owner::Nobody,
            (None, _, Some(true)) => Owner::Past,
            (None, Some(_), None | Some(false)) => Owner::Orphan,
        }
    }

    /// All open orders of the account, as of `as_of` of the venue's clock; the question left at `asked_at` of ours.
    /// Answers what the desks do not know yet.
    pub fn on_orders(
        &mut self,
        at: Timestamp,
        as_of: Timestamp,
        asked_at: Timestamp,
        listed: &[VenueOrder],
    ) -> Vec<(InstanceId, Report)> {
        if !self.polls.listed(at, as_of, asked_at) {
            return Vec::new();
        }
        let mut there: BTreeSet<Key> = BTreeSet::new();
        let mut news = Vec::new();
        for order in listed {
            if let Some(known) = self.sort(at, order) {
                let view = known.news(order, asked_at);
                news.extend(view.map(|view| (known.id.instance, Report::State(view))));
                there.insert(known.key());
            }
        }
        self.outside.listed(asked_at);
        news.extend(self.missing(&there, asked_at));
        self.tidy(at, asked_at);
        news
    }

    /// Adopts what has no owner; answers the order of ours.
    fn sort(&mut self, at: Timestamp, order: &VenueOrder) -> Option<&Known> {
        let (ours, orphan) = match self.owner(order.client) {
            Owner::Ours(known) => (Some(known.key()), false),
            Owner::Past | Owner::Orphan => (None, true),
            Owner::Nobody => (None, false),
        };
        if let Some(key) = ours {
            self.outside.disown(order);
            return self.book.get(key);
        }
        if self.outside.adopt(at, order, orphan) {
            self.polls.add(at, order.symbol);
        }
        None
    }

    /// Orders that the venue once acknowledged and does not list. What happened to them short before the question may
    /// not be in the answer.
    fn missing(&self, there: &BTreeSet<Key>, asked_at: Timestamp) -> Vec<(InstanceId, Report)> {
        let runs = |known: &&Known| self.members.contains_key(&known.id.instance);
        let is_missing = |known: &&Known| {
            known.is_acknowledged() && known.touched + GUARD_MS < asked_at && !there.contains(&known.key())
        };
        let missing = self.book.live().filter(runs).filter(is_missing);
        missing.map(|known| (known.id.instance, Report::Missing(known.id.order))).collect()
    }

    /// Lets go of what no late news will ask for.
    fn tidy(&mut self, at: Timestamp, asked_at: Timestamp) {
        let past = at - self.venue.look_back_ms;
        self.book.prune(past);
        let listed: BTreeSet<ClientId> = self.outside.orders().filter_map(|external| external.order.client).collect();
        let leavers: Vec<InstanceId> = self.gone.keys().copied().collect();
        for instance in leavers {
            let rests = |known: &Known| known.touched + GUARD_MS >= asked_at || listed.contains(&known.id);
            self.book.forget(instance, |known| known.ended.is_some() || rests(known));
        }
    }

    /// One order, as the private stream tells it. Answers what its desk must hear.
    pub fn on_order_news(&mut self, at: Timestamp, order: &VenueOrder) -> Option<(InstanceId, Report)> {
        let known = self.sort(at, order)?;
        Some((known.id.instance, Report::State(known.view(order))))
    }

    /// The executions of a symbol from `from` to `until` of the venue's clock, all of them. Answers those that the
    /// desks have not counted, those that they have counted and that are void, and then [`Report::Traded`] for each
    /// instance that asked.
    pub fn on_trades(
        &mut self,
        at: Timestamp,
        from: Timestamp,
        until: Timestamp,
        symbol: Symbol,
        trades: &[VenueTrade],
    ) -> Vec<(InstanceId, Report)> {
        let until = until.min(at + CLOCKS_MS);
        let of_symbol = trades.iter().filter(|trade| trade.symbol == symbol);
        let mut news: Vec<(InstanceId, Report)> = of_symbol.filter_map(|t| self.on_trade_news(at, t)).collect();
        self.outside.read(at, symbol, until);
        let whole = Whole { symbol, from, until, trades };
        let unexplained = self.is_unexplained(symbol, from, until);
        let askers = self.polls.traded(at, symbol, from, until);
        news.extend(self.miss(at, &whole));
        let answer = |instrument| Report::Traded(Traded { instrument, from, until, unexplained });
        news.extend(askers.into_iter().map(|(instance, ix)| (instance, answer(ix))));
        news
    }

    /// True when the account moved in a way that no known order explains: an execution that may be one of ours, or a
    /// base asset that differs.
    fn is_unexplained(&self, symbol: Symbol, from: Timestamp, until: Timestamp) -> bool {
        let base = self.pair(symbol).map(|(base, _)| base);
        base.is_some_and(|base| self.comparison.differences().contains_key(&base))
            || self.outside.has_orphan(symbol, from, until)
    }

    /// One execution, from the private stream or from a list. Answers what its desk must count; an execution of others
    /// counts here.
    pub fn on_trade_news(&mut self, at: Timestamp, trade: &VenueTrade) -> Option<(InstanceId, Report)> {
        let orphan = match self.owner(trade.client) {
            Owner::Ours(known) if known.symbol == trade.symbol => return news_of(known, trade),
            Owner::Past => return None,
            Owner::Ours(_) | Owner::Orphan => true,
            Owner::Nobody if self.left_with(trade) => return None,
            Owner::Nobody => trade.client.is_none() && self.may_be_ours(trade.symbol, trade.side),
        };
        let foreign = Foreign { trade: *trade, pair: self.pair(trade.symbol), orphan, counted: false, void: false };
        self.outside.trade(at, foreign, self.comparison.opening());
        self.comparison.counted(trade.at.min(at + CLOCKS_MS));
        None
    }

    /// True when an instance that is gone counted it.
    pub(super) fn left_with(&self, trade: &VenueTrade) -> bool {
        let known = trade.client.and_then(|id| self.book.find(id));
        known.is_some_and(|known| known.symbol == trade.symbol && known.trades.contains(&trade.trade))
    }

    /// A statement of what the account holds of every asset, as of `as_of` of the venue's clock.
    pub fn on_balances(&mut self, at: Timestamp, as_of: Timestamp, stated: &[Balance]) -> Vec<BalanceNews> {
        self.polls.stated(at);
        let as_of = as_of.min(at + CLOCKS_MS);
        if !self.comparison.is_comparable(as_of) {
            return Vec::new();
        }
        let members = self.members.values().flat_map(|member| member.assets());
        let ours: BTreeSet<Asset> = members.chain(self.outside.assets()).collect();
        let sheet = Comparison::sheet(stated, &ours, |asset| self.expected(asset));
        if self.comparison.opening().is_some() {
            return self.comparison.compare(at, as_of, &sheet);
        }
        for (asset, amount) in self.comparison.open(as_of, &sheet) {
            self.outside.give(asset, amount);
        }
        vec![BalanceNews::Opened(as_of)]
    }

    /// Somebody paid so much of an asset in (negative: took it out), and a person says so.
    pub fn transfer(&mut self, asset: Asset, amount: rust_decimal::Decimal) {
        self.outside.give(asset, amount);
    }

    /// Assets of which the venue states another amount than is expected.
    #[must_use]
    pub const fn differences(&self) -> &std::collections::BTreeMap<Asset, Difference> {
        self.comparison.differences()
    }

    /// Age of the oldest difference that stands, ms.
    #[must_use]
    pub fn oldest_difference(&self, at: Timestamp) -> Option<i64> {
        let standing = self.differences().values().filter(|difference| !difference.since_pending);
        standing.map(|difference| at.since(difference.since)).max()
    }

    /// Newest statement that was compared, by the venue's clock.
    #[must_use]
    pub const fn compared(&self) -> Option<Timestamp> {
        self.comparison.compared()
    }

    /// The process begins; every instance was rebuilt, or all its facts were followed. Everything is asked at once, and
    /// every order that is not over may be at the venue: nobody knows which of them left.
    pub fn restarted(&mut self, at: Timestamp) {
        self.book.place_all();
        self.polls.restart(at);
    }

    /// The private stream is silent or gone.
    pub fn stream_lost(&mut self, at: Timestamp) {
        self.polls.stream_lost(at);
    }

    /// The private stream is back.
    pub fn stream_back(&mut self, at: Timestamp) {
        self.polls.stream_back(at);
    }

    /// An instance wants the executions of an instrument from then on: [`Report::Traded`] comes after them.
    ///
    /// # Errors
    /// [`LedgerError::Stranger`], [`LedgerError::Instrument`].
    pub fn ask_trades(
        &mut self,
        at: Timestamp,
        instance: InstanceId,
        instrument: InstrumentIx,
        from: Timestamp,
    ) -> Result<(), LedgerError> {
        let symbol = self.symbol(instance, instrument)?;
        self.polls.want(at, symbol, (instance, instrument), from);
        Ok(())
    }

    /// What the venue is to be asked now. Each counts as asked, and is asked again when no answer comes.
    pub fn due(&mut self, at: Timestamp) -> Vec<Poll> {
        self.polls.due(at)
    }

    /// When something is due next.
    #[must_use]
    pub fn next_due(&self) -> Timestamp {
        self.polls.next_due()
    }
}

/// An execution that the desk has not counted.
fn news_of(known: &Known, trade: &VenueTrade) -> Option<(InstanceId, Report)> {
    let is_news = !known.trades.contains(&trade.trade);
    is_news.then(|| (known.id.instance, Report::Fill(fill_of(known, trade))))
}

/// An execution, as the desk of its order knows it.
pub(super) const fn fill_of(known: &Known, trade: &VenueTrade) -> Fill {
    Fill {
        order: known.id.order,
        tag: known.terms.tag,
        instrument: known.terms.instrument,
        side: trade.side,
        price: trade.price,
        qty: trade.qty,
        fee: trade.fee,
        maker: trade.maker,
        trade: trade.trade,
        at: trade.at,
    }
}
