//! The cost of a hop: one message through the worklist, its stage and `route`.

mod common;

use divan::Bencher;
use divan::counter::ItemsCount;
use supervisor_core::domain::{Candle, ClosedCandle, InstrumentIx, Timeframe};
use supervisor_core::instance::{Event, MarketIn, Message, Worklist};

/// Inputs of one sample; each sets off three hops.
const INPUTS: usize = 1_000;

fn main() {
    divan::main();
}

/// A candle to the market stage; its close to the strategy and to the streak monitor. The stages do nothing else.
#[divan::bench(sample_count = 1_000)]
fn hop(bencher: Bencher<'_, '_>) {
    let (year, mut list) = (common::year(), Worklist::new(common::trend()));
    let candles = &year[..INPUTS];
    let pass_all = || candles.iter().for_each(|candle| pass(&mut list, candle));
    bencher.counter(ItemsCount::new(INPUTS * 3)).bench_local(pass_all);
}

fn pass(list: &mut Worklist, candle: &Candle) {
    let (instrument, timeframe) = (InstrumentIx(0), Timeframe::from_millis(60_000));
    list.input(candle.close_time, Message::Market(MarketIn::Candle(instrument, *candle)));
    while let Some(envelope) = list.pop() {
        list.step(envelope, |_, message, out| match message {
            Message::Market(MarketIn::Candle(instrument, candle)) => {
                out.push(Event::Closed(ClosedCandle { instrument, timeframe, candle }));
            }
            message => {
                divan::black_box(&message);
            }
        });
    }
}
