//! The market stage: from feed events to quotes and closed candles of every wanted timeframe; gaps.
//!
//! Promises: a strategy sees a candle only when it is complete. A gap is marked and reported, never filled with
//! invention.

use serde::{Deserialize, Serialize};

use crate::domain::{Candle, ClosedCandle, InstrumentIx, PublicTrade, Quote, Timeframe};
use crate::instance::{Cx, Event, MarketGap, MarketIn, Outbox};
use crate::spec::InstanceSpec;

/// Owner of the forming candles.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Market {
    wanted: Vec<Timeframe>,
    books: Vec<Book>,
}

/// One instrument.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Book {
    last: Option<Candle>,
    forming: Vec<Option<Candle>>,
    gaps: u64,
    missing: u64,
    seen: u64,
}

impl Market {
    /// A fresh stage that forms the timeframes the strategy wants.
    #[must_use]
    pub fn new(spec: &InstanceSpec) -> Self {
        let wanted = spec.strategy.timeframes(spec.timeframe);
        let book = Book { forming: vec![None; wanted.len()], ..Book::default() };
        Self { books: vec![book; spec.instruments.len()], wanted }
    }

    /// Gaps, missing candles, and candles or trades seen, over all instruments.
    #[must_use]
    pub fn counts(&self) -> (u64, u64, u64) {
        self.books.iter().fold((0, 0, 0), |(g, m, s), book| (g + book.gaps, m + book.missing, s + book.seen))
    }

    /// One message.
    pub fn on(&mut self, cx: &Cx<'_>, message: MarketIn, out: &mut Outbox) {
        match message {
            MarketIn::Candle(ix, candle) => self.on_candle(ix, &candle, out),
            MarketIn::Point(ix, last) => out.push(Event::Quote(ix, Quote { at: cx.at, last })),
            MarketIn::Trade(ix, trade) => self.on_trade(cx, ix, &trade, out),
            MarketIn::Revise => self.revise(cx.spec),
            MarketIn::Release => self.release(cx.spec),
        }
    }

    /// Other timeframes may be wanted; those that stay keep their forming candle.
    fn revise(&mut self, spec: &InstanceSpec) {
        let wanted = spec.strategy.timeframes(spec.timeframe);
        let before = std::mem::replace(&mut self.wanted, wanted.clone());
        for book in &mut self.books {
            let kept = |timeframe: &Timeframe| {
                let at = before.iter().position(|old| old == timeframe)?;
                book.forming.get(at).copied().flatten()
            };
            book.forming = wanted.iter().map(kept).collect();
        }
    }

    /// Back after a while without prices: what was forming is not whole, and what it missed is no gap of the feed.
    fn release(&mut self, spec: &InstanceSpec) {
        self.revise(spec);
        for book in &mut self.books {
            book.last = None;
            book.forming.fill(None);
        }
    }

    fn on_candle(&mut self, ix: InstrumentIx, candle: &Candle, out: &mut Outbox) {
        let Some(book) = self.books.get_mut(ix.at()) else { return };
        book.seen += 1;
        if let Some(gap) = book.last.as_ref().and_then(|last| gap_between(ix, last, candle)) {
            book.gaps += 1;
            book.missing += gap.missing;
            out.push(Event::Gap(gap));
        }
        book.last = Some(*candle);
        out.push(Event::Quote(ix, Quote { at: candle.close_time, last: candle.close }));
        let length = candle.close_time.since(candle.open_time) + 1;
        for (slot, timeframe) in book.forming.iter_mut().zip(&self.wanted) {
            if timeframe.millis() == length {
                close_if_past(slot, *timeframe, ix, candle, out);
                out.push(Event::Closed(ClosedCandle { instrument: ix, timeframe: *timeframe, candle: *candle }));
            } else {
                fold(slot, *timeframe, ix, candle, out);
            }
        }
    }

    fn on_trade(&mut self, cx: &Cx<'_>, ix: InstrumentIx, trade: &PublicTrade, out: &mut Outbox) {
        let Some(book) = self.books.get_mut(ix.at()) else { return };
        book.seen += 1;
        let PublicTrade { at: _, price, qty } = *trade;
        let print = Candle {
            open_time: cx.at,
            close_time: cx.at,
            open: price,
            high: price,
            low: price,
            close: price,
            volume: qty,
        };
        for (slot, timeframe) in book.forming.iter_mut().zip(&self.wanted) {
            close_if_past(slot, *timeframe, ix, &print, out);
        }
        out.push(Event::Quote(ix, Quote { at: cx.at, last: price }));
        for (slot, timeframe) in book.forming.iter_mut().zip(&self.wanted) {
            merge(slot, *timeframe, &print);
        }
    }
}

fn gap_between(ix: InstrumentIx, last: &Candle, next: &Candle) -> Option<MarketGap> {
    let from = last.close_time + 1;
    let missing = next.open_time.since(from);
    let length = last.close_time.since(last.open_time) + 1;
    (missing > 0).then(|| MarketGap {
        instrument: ix,
        from,
        to: next.open_time,
        missing: u64::try_from(missing / length.max(1)).unwrap_or(0),
    })
}

/// Adds a shorter candle to the forming one and closes that when it is complete, or when time has passed it by.
fn fold(slot: &mut Option<Candle>, timeframe: Timeframe, ix: InstrumentIx, part: &Candle, out: &mut Outbox) {
    close_if_past(slot, timeframe, ix, part, out);
    merge(slot, timeframe, part);
    if let Some(candle) = slot.filter(|forming| part.close_time >= forming.close_time) {
        *slot = None;
        out.push(Event::Closed(ClosedCandle { instrument: ix, timeframe, candle }));
    }
}

fn close_if_past(slot: &mut Option<Candle>, timeframe: Timeframe, ix: InstrumentIx, part: &Candle, out: &mut Outbox) {
    if let Some(candle) = slot.filter(|forming| part.open_time > forming.close_time) {
        *slot = None;
        out.push(Event::Closed(ClosedCandle { instrument: ix, timeframe, candle }));
    }
}

fn merge(slot: &mut Option<Candle>, timeframe: Timeframe, part: &Candle) {
    match slot {
        Some(forming) => {
            forming.high = forming.high.max(part.high);
            forming.low = forming.low.min(part.low);
            forming.close = part.close;
            forming.volume += part.volume;
        }
        None => {
            let open_time = timeframe.open_of(part.open_time);
            let close_time = open_time + (timeframe.millis() - 1);
            *slot = Some(Candle { open_time, close_time, ..*part });
        }
    }
}
