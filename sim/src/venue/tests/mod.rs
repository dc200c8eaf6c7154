//! The venue's own tests: scenarios by hand, and audits of the whole truth over random doings.

mod audit;
mod random;
mod scenarios;

use supervisor_core::domain::{Notional, OrderKind, OrderNo, Qty, Side};
use supervisor_core::ledger::VenueOrder;
use supervisor_core::spec::IdClass;

use super::*;

pub(super) const START: Timestamp = Timestamp::from_millis(1_700_000_000_000);
pub(super) const MAIN: AccountIx = AccountIx(0);

pub(super) fn dec(text: &str) -> Decimal {
    text.parse().unwrap()
}

pub(super) fn asset(name: &str) -> Asset {
    name.parse().unwrap()
}

fn instrument(base: &str, tick: &str, lot: &str) -> Instrument {
    Instrument {
        symbol: format!("{base}USDT").parse().unwrap(),
        base: asset(base),
        quote: asset("USDT"),
        tick: dec(tick),
        lot: dec(lot),
        notional_min: Notional::new(dec("5")),
    }
}

/// Two symbols, two rich accounts; the price stands still, touches do not trade.
pub(super) fn still() -> VenueConfig {
    let held = [("BTC", "50"), ("ETH", "500"), ("USDT", "100000")];
    let held: BTreeMap<Asset, Decimal> = held.iter().map(|(name, total)| (asset(name), dec(total))).collect();
    VenueConfig {
        symbols: vec![instrument("BTC", "0.01", "0.0001"), instrument("ETH", "0.01", "0.001")],
        start_prices: vec![Price::new(dec("100")), Price::new(dec("20"))],
        accounts: vec![("main".to_owned(), held.clone()), ("other".to_owned(), held)],
        ids: IdClass::Unique,
        start: START,
        maker_fee: dec("0.0002"),
        taker_fee: dec("0.001"),
        window_ms: 2_000,
        ahead_ms: 1_000,
        engine_ms: 10_000,
        lookup_lag_ms: 3_000,
        step_ms: 250,
        volatility_ppm: 0,
        pull_ppm: 0,
        half_spread_ticks: 2,
        burst: 0,
        per_second: 0,
        rates: VenueRates { touch: 0, ..VenueRates::QUIET },
    }
}

/// Everything goes wrong now and then, and the price moves.
pub(super) fn wild(seed: u64) -> VenueConfig {
    let mut config = still();
    (config.volatility_ppm, config.pull_ppm) = (600, 300);
    config.ids = if seed.is_multiple_of(2) { IdClass::Unique } else { IdClass::Open };
    config.rates = VenueRates {
        jump: 5,
        partial: 400,
        touch: 500,
        thin: 200,
        pending: 200,
        armed: 300,
        pending_ms: 1_500,
        late_reject: 500,
        held: 100,
        lagging: 500,
        forgetful: 300,
        own_cancel: 50,
        own_expiry: 50,
        own_ms: 30_000,
        bust: 30,
        bust_ms: 20_000,
        overfill: 20,
        human_ms: 5_000,
    };
    config
}

pub(super) fn name(order: u64) -> ClientId {
    ClientId { instance: "grid-btc".parse().unwrap(), epoch: 1, order: OrderNo(order) }
}

/// A request for BTC on the main account.
#[derive(Clone, Copy)]
pub(super) struct Wanted {
    pub(super) order: u64,
    pub(super) side: Side,
    /// `None`: at market.
    pub(super) price: Option<&'static str>,
    pub(super) qty: &'static str,
    pub(super) post_only: bool,
    pub(super) immediate: bool,
}

pub(super) const fn buy(order: u64, price: Option<&'static str>, qty: &'static str) -> Wanted {
    Wanted { order, side: Side::Buy, price, qty, post_only: false, immediate: false }
}

pub(super) const fn sell(order: u64, price: Option<&'static str>, qty: &'static str) -> Wanted {
    Wanted { side: Side::Sell, ..buy(order, price, qty) }
}

impl Wanted {
    pub(super) fn signed(self, signed: Timestamp) -> Ask {
        Ask::Place {
            client: name(self.order),
            symbol: "BTCUSDT".parse().unwrap(),
            side: self.side,
            kind: self
                .price
                .map_or(OrderKind::Market { bound: None }, |price| OrderKind::Limit(Price::new(dec(price)))),
            qty: Qty::new(dec(self.qty)),
            post_only: self.post_only,
            immediate: self.immediate,
            signed,
        }
    }
}

/// Places on the main account, signed and worked on so many ms after the start.
pub(super) fn place(venue: &mut Venue, ms: i64, wanted: Wanted) -> Answer {
    venue.handle(START + ms, MAIN, &wanted.signed(START + ms))
}

pub(super) fn ask(venue: &mut Venue, ms: i64, ask: Ask) -> Answer {
    venue.handle(START + ms, MAIN, &ask)
}

pub(super) fn query(venue: &mut Venue, ms: i64, order: u64) -> Answer {
    ask(venue, ms, Ask::Query { client: name(order) })
}

pub(super) fn cancel(venue: &mut Venue, ms: i64, order: u64) -> Answer {
    ask(venue, ms, Ask::Cancel { client: name(order) })
}

/// State, filled and number of change of an answer that has an order.
pub(super) fn stand(answer: &Answer) -> (VenueState, Decimal, u64) {
    match answer {
        Answer::Order(order) => standing(order),
        other => panic!("no order: {other:?}"),
    }
}

pub(super) fn standing(order: &VenueOrder) -> (VenueState, Decimal, u64) {
    (order.state, order.filled.get(), order.seq)
}
