//! Recordings from files: what is refused and in which words, what is accepted, and what comes out.
#![allow(clippy::unwrap_used)]

mod candles;
mod files;
mod real;
mod trades;

use std::fmt::Write as _;
use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use rust_decimal::Decimal;
use supervisor_core::domain::{Candle, Price, Timeframe, Timestamp};
use supervisor_core::sim::{Recording, SyntheticInstrument, SyntheticSpec, synthetic_candles};
use supervisor_venues::replay::load;

const HEADER: &str = "open_time,open,high,low,close,volume,close_time,quote_volume,count,taker_buy_volume,\
                      taker_buy_quote_volume,ignore";
const ROW_1: &str = "1735700400000,94098.9,94098.91,94049.47,94049.47,7.50148,1735700459999,0,0,0,0,0";
const ROW_2: &str = "1735700460000,94049.47,94060.00,94040.1,94055.5,3.00000000,1735700519999,0,0,0,0,0";

fn dec(text: &str) -> Decimal {
    text.parse().unwrap()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// Loads bytes under a name; an error as its text, file name instead of the whole path.
fn load_bytes(name: &str, bytes: &[u8]) -> Result<Recording, String> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join(name);
    std::fs::write(&path, bytes).unwrap();
    let folder = format!("{}/", directory.path().display());
    load(&path).map_err(|error| error.to_string().replace(&folder, ""))
}

fn load_text(text: &str) -> Result<Recording, String> {
    load_bytes("x.csv", text.as_bytes())
}

fn refused(text: &str) -> String {
    load_text(text).unwrap_err()
}

fn candles_of(recording: &Recording) -> &[Candle] {
    match recording {
        Recording::Candles(candles) => candles,
        Recording::Trades(_) => panic!("trades"),
    }
}

fn year(count: usize) -> Vec<Candle> {
    let spec = SyntheticSpec {
        seed: 7,
        start: Timestamp::from_millis(1_735_689_600_000),
        interval: Timeframe::from_millis(60_000),
        instruments: vec![SyntheticInstrument::new(Price::new(dec("95000")), dec("0.01"))],
        candles: None,
    };
    synthetic_candles(&spec, count).unwrap()
}

fn csv_of(candles: &[Candle]) -> String {
    let mut text = format!("{HEADER}\n");
    for c in candles {
        let (from, to) = (c.open_time.millis(), c.close_time.millis());
        writeln!(text, "{from},{},{},{},{},{:.8},{to},0,0,0,0,0", c.open, c.high, c.low, c.close, c.volume.get())
            .unwrap();
    }
    text
}
