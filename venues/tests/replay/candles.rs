//! Candles: rows, shapes, intervals, gaps; and what is written comes back.

use proptest::prelude::*;
use supervisor_core::domain::Qty;

use super::*;

/// `ROW_2` after the header and `ROW_1`, with one column replaced.
fn second_row_with(column: usize, value: &str) -> String {
    let mut fields: Vec<&str> = ROW_2.split(',').collect();
    fields[column] = value;
    format!("{HEADER}\n{ROW_1}\n{}\n", fields.join(","))
}

#[test]
fn candles_come_out_as_they_stand() {
    let recording = load_text(&format!("{HEADER}\n{ROW_1}\n{ROW_2}\n")).unwrap();
    let candle = candles_of(&recording)[1];
    assert_eq!(candle.open_time, Timestamp::from_millis(1_735_700_460_000));
    assert_eq!(candle.close_time, Timestamp::from_millis(1_735_700_519_999));
    assert_eq!(
        [candle.open, candle.high, candle.low, candle.close],
        ["94049.47", "94060", "94040.1", "94055.5"].map(|p| Price::new(dec(p)))
    );
    assert_eq!(candle.high.get().to_string(), "94060", "zeros at the end are dropped");
    assert_eq!(candle.volume.get().to_string(), "3");
    assert_eq!(recording.interval(), Some(Timeframe::from_millis(60_000)));
}

#[test]
fn spelling_of_the_file_does_not_matter() {
    let plain = load_text(&format!("{HEADER}\n{ROW_1}\n{ROW_2}\n")).unwrap();
    let (micro_1, micro_2) = (
        "1735700400000000,94098.9,94098.91,94049.47,94049.47,7.50148,1735700459999999,0,0,0,0,0",
        "1735700460000000,94049.47,94060,94040.1,94055.5,3,1735700519999999,0,0,0,0,0",
    );
    for text in [
        format!("{ROW_1}\n{ROW_2}"),
        format!("\u{feff}{HEADER}\r\n{ROW_1}\r\n{ROW_2}\r\n\r\n\n"),
        format!("{micro_1}\n{micro_2}\n"),
        format!("{HEADER}\n{ROW_1}\n{}\n", ROW_2.replace("94040.1,", "9.40401e4,")),
    ] {
        assert_eq!(load_text(&text).as_ref(), Ok(&plain), "{text}");
    }
    let text = format!("{HEADER}\n{ROW_1}\n{ROW_2}\n");
    assert_eq!(load_bytes("x.csv.gz", &gzip(text.as_bytes())).as_ref(), Ok(&plain));
    let members = [gzip(format!("{HEADER}\n{ROW_1}\n17").as_bytes()), gzip(&ROW_2.as_bytes()[2..])].concat();
    assert_eq!(load_bytes("x.csv.gz", &members).as_ref(), Ok(&plain), "several members, a line across them");
}

#[test]
fn fields_of_candles_are_checked() {
    let price = "more than 0, at most 1000000000000, at most 12 decimal places";
    let volume = "0 to 1000000000000, at most 12 decimal places";
    let time = "10000000000 to 99999999999999 (milliseconds since 1970), or 100000000000000 to 99999999999999999 \
                (microseconds)";
    for (column, value, says) in [
        (1, "", format!("column open is empty; allowed: {price}")),
        (5, "", format!("column volume is empty; allowed: {volume}")),
        (0, "", format!("column open_time is empty; allowed: {time}")),
        (2, "abc", format!("column high = 'abc' is not a number; allowed: {price}")),
        (2, "NaN", format!("column high = 'NaN' is not a number; allowed: {price}")),
        (4, "1 000", format!("column close = '1 000' is not a number; allowed: {price}")),
        (3, "-1.5", format!("column low = -1.5 is out of range; allowed: {price}")),
        (3, "0.000", format!("column low = 0.000 is out of range; allowed: {price}")),
        (2, "1000000000000.1", format!("column high = 1000000000000.1 is out of range; allowed: {price}")),
        (2, "1e40", format!("column high = 1e40 is out of range; allowed: {price}")),
        (1, "94049.4700000000001", format!("column open = 94049.4700000000001 is out of range; allowed: {price}")),
        (5, "-0.1", format!("column volume = -0.1 is out of range; allowed: {volume}")),
        (0, "2025-01-01", format!("column open_time = '2025-01-01' is not a number; allowed: {time}")),
        (0, "1735700460", format!("column open_time = 1735700460 is out of range; allowed: {time}")),
        (6, "1735700519.9", format!("column close_time = '1735700519.9' is not a number; allowed: {time}")),
    ] {
        assert_eq!(refused(&second_row_with(column, value)), format!("x.csv: line 3: {says}"));
    }
    assert!(load_text(&second_row_with(1, "94049.4700000000000000000000000000000000")).is_ok());
    assert!(load_text(&second_row_with(5, "0")).is_ok(), "nothing traded");
}

#[test]
fn shapes_of_candles_are_checked() {
    for (column, value, says) in [
        (2, "94000", "column high = 94000 lies below low = 94040.1; allowed: low or more"),
        (2, "94050", "column high = 94050 lies below open or close = 94055.5; allowed: 94055.5 or more"),
        (3, "94050", "column low = 94050 lies above open or close = 94049.47; allowed: 94049.47 or less"),
        (
            6,
            "1735700460000",
            "column close_time = 1735700460000 is not after open_time = 1735700460000; \
             allowed: open_time + length - 1 ms",
        ),
        (
            0,
            "1735700400000",
            "duplicate candle: column open_time = 1735700400000 as on the line before; allowed: each once",
        ),
        (
            0,
            "1735700340000",
            "column open_time = 1735700340000 is unsorted: the line before has 1735700400000; \
             allowed: strictly increasing",
        ),
        (
            0,
            "1735700460500",
            "column open_time = 1735700460500 is not aligned to the file's interval 1m; \
             allowed: 1735700460000 or 1735700520000",
        ),
        (11, "0,0", "has 13 columns; allowed: 12, as on the lines before"),
    ] {
        assert_eq!(refused(&second_row_with(column, value)), format!("x.csv: line 3: {says}"));
    }
}

#[test]
fn a_file_has_one_interval() {
    let long = "1735700520000,2,2,2,2,1,1735700819999,0,0,0,0,0";
    assert_eq!(
        refused(&format!("{ROW_1}\n{ROW_2}\n{long}\n")),
        "x.csv: line 3: the candle lasts 5m, the file's candles 1m; allowed: one interval per file"
    );
    let shorter =
        format!("1735700400000,2,2,2,2,1,1735700699999,0,0,0,0,0\n{}", long.replace("700819999", "700579999"));
    assert!(
        refused(&shorter)
            .starts_with("x.csv: line 2: column open_time = 1735700520000 is not aligned to the file's interval 5m")
    );
    let odd = ROW_1.replace("1735700459999", "1735700460000");
    assert_eq!(
        refused(&odd),
        "x.csv: line 1: the candle lasts 60001 ms; \
         allowed: whole seconds from 1s to 1w (close_time is the last millisecond)"
    );
    // An outage ends a candle early (Binance BTCUSDT 1d of 2018-02-08); the next one opens on time.
    let cut = format!("{}\n{ROW_2}\n", ROW_1.replace("1735700459999", "1735700421337"));
    assert_eq!(load_text(&cut).unwrap().interval(), Some(Timeframe::from_millis(60_000)));
}

#[test]
fn a_gap_is_told_not_refused() {
    let day_later = ROW_2.replace("1735700460000", "1735786860000").replace("1735700519999", "1735786919999");
    let recording = load_text(&format!("{HEADER}\n{ROW_1}\n{day_later}\n")).unwrap();
    let gaps = recording.gaps();
    assert_eq!((gaps.len(), gaps[0].missing), (1, 1440));
    assert_eq!(gaps[0].from.to_string(), "2025-01-01T03:01:00.000Z");
    assert_eq!(gaps[0].to.to_string(), "2025-01-02T03:01:00.000Z");
}

prop_compose! {
    /// Four prices and a volume with 5 to 8 decimal places, in candle order.
    fn shape()(
        mut prices in prop::array::uniform4(1_u64..10_u64.pow(17)),
        flip: bool,
        volume in 0_u64..10_u64.pow(17),
        places in 5_u32..=8,
    ) -> [Decimal; 5] {
        prices.sort_unstable();
        let [low, a, b, high] = prices.map(|p| Decimal::from_i128_with_scale(i128::from(p), places));
        let (open, close) = if flip { (b, a) } else { (a, b) };
        [open, high, low, close, Decimal::from_i128_with_scale(i128::from(volume), places)]
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn any_candles_written_come_back(shapes in prop::collection::vec((shape(), 1_i64..5), 1..40)) {
        let mut open_time = 1_500_000_000_000 / 300_000 * 300_000;
        let candles: Vec<Candle> = shapes.into_iter().map(|([open, high, low, close, volume], skipped)| {
            open_time += skipped * 300_000;
            let (at, price) = (Timestamp::from_millis(open_time), Price::new);
            Candle {
                open_time: at, close_time: at + 299_999, open: price(open), high: price(high), low: price(low),
                close: price(close), volume: Qty::new(volume),
            }
        }).collect();
        let loaded = load_text(&csv_of(&candles)).unwrap();
        prop_assert_eq!(candles_of(&loaded), &candles[..]);
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), text in "[0-9.,eE\n-]{0,200}") {
        let _ = load_bytes("x.csv", &bytes);
        let _ = load_bytes("x.csv.gz", &[&[0x1F, 0x8B], &bytes[..]].concat());
        let _ = load_bytes("x.csv", format!("{HEADER}\n{text}").as_bytes());
    }
}
