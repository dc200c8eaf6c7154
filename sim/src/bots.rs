//! Who decides for the wild bots, and the prices that all bots see.
//!
//! Promises: a wild bot wants something from a generator of its own; what it may have is for the gate to say. Prices
//! and candles are made of what the network brought, so a cut of the public stream is a gap.

use std::collections::BTreeMap;

use rust_decimal::Decimal;
use supervisor_core::domain::{
    Candle, InstrumentIx, OrderKind, OrderNo, Price, Purpose, Qty, Side, Symbol, Tag, Timeframe, Timestamp,
};
use supervisor_core::instance::{Input, Outside};
use supervisor_core::orders::{CancelReason, CancelRequest, CancelScope, Intent, Origin, Protect, Reason};
use supervisor_core::spec::InstanceSpec;

use crate::plan::Dice;
use crate::process::{IMMEDIATE, POST_ONLY};

/// What a wild bot wants.
#[derive(Clone, Debug)]
pub struct Wild {
    dice: Dice,
    wants: u32,
}

impl Wild {
    /// One with chances of its own.
    #[must_use]
    pub const fn new(dice: Dice) -> Self {
        Self { dice, wants: 0 }
    }

    /// When it wants something again, ms.
    pub fn wait(&mut self, mean_ms: i64) -> i64 {
        self.dice.wait(mean_ms)
    }

    /// What it wants now. It knows what its bot knows.
    pub fn act(&mut self, spec: &InstanceSpec, it: &Outside) -> Option<Input> {
        let many = spec.instruments.len() as i64;
        let ix = InstrumentIx(u16::try_from(self.dice.span(0, many - 1)).unwrap_or(0));
        match self.dice.span(0, 99) {
            0..=76 => self.intent(spec, it, ix).map(|intent| Input::Intent(Box::new(intent))),
            77..=94 => self.cancel_one(it).map(Input::Cancel),
            95..=97 => Some(Input::Cancel(cancel(CancelScope::Entries(ix)))),
            _ => Some(Input::Cancel(cancel(CancelScope::Instrument(ix)))),
        }
    }

    fn cancel_one(&mut self, it: &Outside) -> Option<CancelRequest> {
        let open: Vec<OrderNo> = it.stages.orders.desk().open().keys().copied().collect();
        (!open.is_empty()).then(|| cancel(CancelScope::Order(self.dice.pick(&open))))
    }

    fn intent(&mut self, spec: &InstanceSpec, it: &Outside, ix: InstrumentIx) -> Option<Intent> {
        let instrument = spec.instruments.get(ix.at())?;
        let last = it.list.quotes().get(ix)?.last;
        let free = it.stages.risk.gate().exposure().free_base(ix);
        let sells = free.is_positive() && self.dice.is(500);
        let (side, purpose) = match sells {
            true => (Side::Sell, if self.dice.is(900) { Purpose::Exit } else { Purpose::Entry }),
            false => (Side::Buy, Purpose::Entry),
        };
        let kind = self.kind(side, purpose, last, |side, price| instrument.round_price(side, price));
        let worth = Decimal::from(self.dice.span(6, 400));
        let wanted = instrument.round_qty(worth / last.get());
        let qty = if sells { instrument.round_qty(self.part(free, wanted).get()) } else { wanted };
        self.wants += 1;
        Some(Intent {
            tag: self.tag(),
            instrument: ix,
            side,
            kind,
            qty,
            purpose,
            origin: Origin::Operator,
            protect: if side == Side::Buy { self.protect(last, |price| instrument.nearest_price(price)) } else { None },
            reason: if sells { Reason::Flatten } else { Reason::GridLine { line: 0 } },
        })
    }

    /// All that is free, or as much as was wanted.
    fn part(&mut self, free: Qty, wanted: Qty) -> Qty {
        if self.dice.is(300) { free } else { wanted.min(free) }
    }

    fn kind(&mut self, side: Side, purpose: Purpose, last: Price, round: impl Fn(Side, Decimal) -> Price) -> OrderKind {
        // Thousandths of the price on the own side of it; negative: through it.
        let away = match self.dice.span(0, 99) {
            0..=19 => {
                let worst = last.get() * Decimal::new(101, 2);
                let bound = (purpose == Purpose::Entry).then(|| round(side, worst));
                return OrderKind::Market { bound: bound.filter(|_| side == Side::Buy) };
            }
            20..=39 => self.dice.span(-6, 0),
            40..=84 => self.dice.span(0, 8),
            _ => self.dice.span(5, 60),
        };
        let away = Decimal::new(away, 3);
        let factor = match side {
            Side::Buy => Decimal::ONE - away,
            Side::Sell => Decimal::ONE + away,
        };
        OrderKind::Limit(round(side, last.get() * factor))
    }

    fn tag(&mut self) -> Tag {
        let post_only = if self.dice.is(150) { POST_ONLY } else { 0 };
        let immediate = if post_only == 0 && self.dice.is(120) { IMMEDIATE } else { 0 };
        Tag(1_000 + self.wants % 100_000 + post_only + immediate)
    }

    fn protect(&mut self, last: Price, near: impl Fn(Decimal) -> Price) -> Option<Protect> {
        let [stop, target, trail] = [600, 500, 300].map(|chance| {
            let distance = Decimal::new(self.dice.span(3, 20), 3);
            self.dice.is(chance).then_some(distance)
        });
        let wants = self.dice.is(400);
        let protect = Protect {
            stop: stop.map(|distance| near(last.get() * (Decimal::ONE - distance))),
            target: target.map(|distance| near(last.get() * (Decimal::ONE + distance))),
            trail: trail.map(|distance| near(last.get() * distance)),
        };
        (wants && protect != Protect::default()).then_some(protect)
    }
}

const fn cancel(scope: CancelScope) -> CancelRequest {
    CancelRequest { scope, reason: CancelReason::Replan }
}

/// The prices of one symbol.
#[derive(Clone, Debug, Default)]
struct Ticker {
    last: Option<Price>,
    is_new: bool,
    forming: Option<Candle>,
    closed: Vec<Candle>,
}

/// What the bots see of the market.
#[derive(Clone, Debug)]
pub struct Feed {
    tickers: BTreeMap<Symbol, Ticker>,
    length: Timeframe,
}

impl Feed {
    /// Nothing seen yet; candles are this long, ms.
    #[must_use]
    pub const fn new(candle_ms: i64) -> Self {
        Self { tickers: BTreeMap::new(), length: Timeframe::from_millis(candle_ms) }
    }

    /// A price arrives.
    pub fn on_price(&mut self, at: Timestamp, symbol: Symbol, price: Price) {
        let length = self.length;
        let ticker = self.tickers.entry(symbol).or_default();
        (ticker.last, ticker.is_new) = (Some(price), true);
        if ticker.forming.is_some_and(|candle| at > candle.close_time) {
            ticker.closed.extend(ticker.forming.take());
        }
        let open_time = length.open_of(at);
        let candle = ticker.forming.get_or_insert(Candle {
            open_time,
            close_time: open_time + (length.millis() - 1),
            open: price,
            high: price,
            low: price,
            close: price,
            volume: Qty::new(Decimal::ONE),
        });
        candle.high = candle.high.max(price);
        candle.low = candle.low.min(price);
        candle.close = price;
    }

    /// What is new since the last call: prices and complete candles, by symbol.
    pub fn take(&mut self, at: Timestamp) -> Vec<(Symbol, Option<Price>, Vec<Candle>)> {
        let mut news = Vec::new();
        for (symbol, ticker) in &mut self.tickers {
            if ticker.forming.is_some_and(|candle| at > candle.close_time) {
                ticker.closed.extend(ticker.forming.take());
            }
            let price = ticker.last.filter(|_| std::mem::take(&mut ticker.is_new));
            news.push((*symbol, price, std::mem::take(&mut ticker.closed)));
        }
        news
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn candles_are_complete_when_their_time_is_over() {
        let (at, price) = (Timestamp::from_millis, |n: i64| Price::new(Decimal::from(n)));
        let symbol: Symbol = "BTCUSDT".parse().unwrap();
        let mut feed = Feed::new(1_000);
        for (ms, last) in [(100, 5), (300, 9), (900, 7)] {
            feed.on_price(at(ms), symbol, price(last));
        }
        assert_eq!(feed.take(at(999)), vec![(symbol, Some(price(7)), vec![])]);
        let news = feed.take(at(1_000));
        let candle = news[0].2[0];
        assert_eq!((news[0].1, candle.open, candle.high, candle.low), (None, price(5), price(9), price(5)));
        assert_eq!((candle.close, candle.close_time), (price(7), at(999)));
    }
}
