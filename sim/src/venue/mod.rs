//! A simulated venue with its own truth: prices, matching, balances, and the doings of a venue that nobody asked for.
//!
//! Owns what really happened: every order ever born, every execution, every balance. Promises: the same seed and the
//! same requests give the same truth; balances are explained by executions to the last unit. Never: knows anything of
//! our side beyond what comes over the wire.

mod account;
mod agenda;
mod book;
pub(crate) mod chance;
mod config;
mod lookup;
mod market;
mod order;
mod own;
mod place;
mod tally;
#[cfg(test)]
mod tests;
mod wire;

use std::collections::{BTreeMap, BTreeSet};

use rust_decimal::Decimal;
use supervisor_core::domain::{Asset, ClientId, Instrument, Price, Symbol, Timestamp};
use supervisor_core::orders::{RejectCode, VenueState};

use account::{Account, Bucket};
use agenda::{Agenda, Due};
use chance::Chance;
use market::{Market, Motion};
use place::Wish;

pub use config::{VenueConfig, VenueRates};
pub use order::{Change, TrueOrder, TrueTrade};
pub use tally::Tally;
pub use wire::{AccountIx, Answer, Ask, News};

/// The venue.
#[derive(Clone, Debug)]
pub struct Venue {
    config: VenueConfig,
    now: Timestamp,
    agenda: Agenda,
    markets: Vec<Market>,
    accounts: Vec<Account>,
    orders: Vec<TrueOrder>,
    /// Names of requests that wait in the engine.
    held: BTreeSet<(AccountIx, ClientId)>,
    /// The venue answers that it is busy until then.
    down_until: Timestamp,
    chances: Chances,
    news: Vec<(Timestamp, Option<AccountIx>, News)>,
    tally: Tally,
}

/// One stream of chance per concern, so that more of one thing does not change another.
#[derive(Clone, Debug)]
struct Chances {
    matching: Chance,
    engine: Chance,
    lookup: Chance,
    own: Chance,
}

impl Chances {
    fn new(seed: u64) -> Self {
        let [matching, engine, lookup, own] = [0, 1, 2, 3].map(|stream| Chance::new(seed, stream));
        Self { matching, engine, lookup, own }
    }
}

/// Streams of chance before those of the prices.
const PRICE_STREAMS: u64 = 16;

impl Venue {
    /// A venue at its first moment; everything that happens by chance comes from the seed.
    #[must_use]
    pub fn new(config: VenueConfig, seed: u64) -> Self {
        let listed = config.symbols.iter().zip(&config.start_prices).zip(PRICE_STREAMS..);
        let market = |((instrument, start), stream): ((&Instrument, &Price), u64)| {
            Market::new(instrument.clone(), *start, config.half_spread_ticks, Chance::new(seed, stream))
        };
        let bucket = Bucket::new(config.burst, config.per_second, config.start);
        let mut venue = Self {
            now: config.start,
            agenda: Agenda::default(),
            markets: listed.map(market).collect(),
            accounts: config.accounts.iter().map(|(_, held)| Account::new(held.clone(), bucket)).collect(),
            orders: Vec::new(),
            held: BTreeSet::new(),
            down_until: config.start,
            chances: Chances::new(seed),
            news: Vec::new(),
            tally: Tally::default(),
            config,
        };
        venue.agenda.note(venue.now + venue.config.step_ms.max(1), Due::Prices);
        (0..venue.accounts.len()).for_each(|account| venue.plan_human(AccountIx(account)));
        venue
    }

    /// Works on a request at this moment of the venue's clock and answers it. What was due before happens first.
    pub fn handle(&mut self, now: Timestamp, account: AccountIx, ask: &Ask) -> Answer {
        self.advance(now);
        if self.now < self.down_until {
            self.tally.count("venue: down");
            return Answer::Busy;
        }
        let Some(known) = self.accounts.get_mut(account.0) else { return Answer::NotFound };
        if let Err(retry_ms) = known.bucket.take(self.now) {
            self.tally.count("venue: limited");
            return Answer::Limited { retry_ms };
        }
        match *ask {
            Ask::Place { client, symbol, side, kind, qty, post_only, immediate, signed } => {
                let Some(symbol_at) = self.symbol_at(symbol) else { return Answer::Rejected(RejectCode::Other) };
                let client = Some(client);
                self.place(Wish { account, client, symbol_at, side, kind, qty, post_only, immediate }, signed)
            }
            Ask::Cancel { client } => self.cancel(account, client),
            Ask::Query { client } => self.query(account, client),
            Ask::OpenOrders => self.open_orders(account),
            Ask::Trades { symbol, from } => self.trades_since(account, symbol, from),
            Ask::Balances => self.balances_seen(account),
        }
    }

    /// Lets everything happen that is due up to this moment.
    pub fn advance(&mut self, now: Timestamp) {
        while let Some((at, due)) = self.agenda.pop_until(now) {
            self.now = self.now.max(at);
            self.work_on(due);
        }
        self.now = self.now.max(now);
    }

    fn work_on(&mut self, due: Due) {
        match due {
            Due::Prices => self.on_prices(),
            Due::Birth(wish) => self.on_birth(wish),
            Due::Activate(ix) => self.on_activate(ix),
            Due::Refuse(ix) => self.on_refuse(ix),
            Due::OwnCancel(ix) => self.end_on_its_own(ix, VenueState::Canceled, "venue: own cancels"),
            Due::OwnExpiry(ix) => self.end_on_its_own(ix, VenueState::Expired, "venue: own expiries"),
            Due::Bust(account, number) => self.on_bust(account, number),
            Due::Human(account) => self.on_human(account),
        }
    }

    fn on_prices(&mut self) {
        self.agenda.note(self.now + self.config.step_ms.max(1), Due::Prices);
        let VenueConfig { volatility_ppm, pull_ppm, rates, .. } = self.config;
        for at in 0..self.markets.len() {
            let Some(market) = self.markets.get_mut(at) else { continue };
            let moved = market.step(Motion { volatility_ppm, pull_ppm, jump: rates.jump });
            let news = News::Price { symbol: market.instrument.symbol, price: market.price() };
            if moved {
                self.tell(None, news);
            }
            self.fill_resting(at);
        }
    }

    /// When something happens next by itself.
    #[must_use]
    pub fn next_step(&self) -> Timestamp {
        self.agenda.next().unwrap_or(self.now)
    }

    /// What was to tell since the last call, in the order in which it happened; `None` is everybody.
    pub fn drain_news(&mut self) -> Vec<(Timestamp, Option<AccountIx>, News)> {
        std::mem::take(&mut self.news)
    }

    fn tell(&mut self, account: Option<AccountIx>, news: News) {
        self.news.push((self.now, account, news));
    }

    fn tell_order(&mut self, ix: usize) {
        if let Some((account, view)) = self.orders.get(ix).map(|order| (order.account, order.view)) {
            self.tell(Some(account), News::Order(view));
        }
    }

    fn symbol_at(&self, symbol: Symbol) -> Option<usize> {
        self.markets.iter().position(|market| market.instrument.symbol == symbol)
    }

    /// Last price of a symbol.
    #[must_use]
    pub fn price(&self, symbol: Symbol) -> Option<Price> {
        self.markets.get(self.symbol_at(symbol)?).map(Market::price)
    }

    /// What it is.
    #[must_use]
    pub const fn config(&self) -> &VenueConfig {
        &self.config
    }

    /// Truth: every order ever born, oldest first.
    pub fn orders(&self) -> impl Iterator<Item = &TrueOrder> {
        self.orders.iter()
    }

    /// Truth: the order with this number of the venue's.
    #[must_use]
    pub fn order(&self, id: u64) -> Option<&TrueOrder> {
        self.orders.get(usize::try_from(id.checked_sub(1)?).ok()?)
    }

    /// Truth: the orders ever born under this name, oldest first.
    pub fn born(&self, account: AccountIx, client: ClientId) -> impl Iterator<Item = &TrueOrder> {
        let names = self.accounts.get(account.0).and_then(|account| account.names.get(&client));
        names.into_iter().flatten().filter_map(|ix| self.orders.get(*ix))
    }

    /// Truth: how many orders were ever born under this name, on any account.
    #[must_use]
    pub fn placed_count(&self, client: ClientId) -> u32 {
        let born = self.accounts.iter().filter_map(|account| account.names.get(&client)).map(Vec::len).sum::<usize>();
        u32::try_from(born).unwrap_or(u32::MAX)
    }

    /// Truth: true while a request of this name waits in the engine and may yet be born.
    #[must_use]
    pub fn is_held(&self, account: AccountIx, client: ClientId) -> bool {
        self.held.contains(&(account, client))
    }

    /// Truth: every execution of an account, oldest first, busted ones marked.
    #[must_use]
    pub fn trades(&self, account: AccountIx) -> &[TrueTrade] {
        self.accounts.get(account.0).map_or(&[], |account| account.trades.as_slice())
    }

    /// Truth: what an account holds, free and locked together. Empty for an account that is not there.
    #[must_use]
    pub fn balances(&self, account: AccountIx) -> &BTreeMap<Asset, Decimal> {
        static NOTHING: BTreeMap<Asset, Decimal> = BTreeMap::new();
        self.accounts.get(account.0).map_or(&NOTHING, Account::totals)
    }

    /// Truth: what of an asset no order locks.
    #[must_use]
    pub fn free(&self, account: AccountIx, asset: Asset) -> Decimal {
        self.accounts.get(account.0).map_or(Decimal::ZERO, |account| account.free(asset))
    }

    /// How often what happened.
    #[must_use]
    pub const fn tally(&self) -> &Tally {
        &self.tally
    }
}
