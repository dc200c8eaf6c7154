//! The textbook formulas, written out: every value from the whole history before it, nothing kept from row to row.
//! Promises to be slow and to share no line with the streaming indicators.

use crate::{Bar, split};

/// Computes row `i` from rows `0..=i` alone, from the start, for every `i` of `rows`.
pub fn textbook(column: &str, bars: &[Bar], rows: impl Iterator<Item = usize>) -> Vec<(usize, Option<f64>)> {
    let (name, n) = split(column);
    rows.map(|i| {
        let past = &bars[..=i];
        let value = match name {
            "sma" => textbook_sma(past, n),
            "ema" => textbook_ema(past, n),
            "rsi" => textbook_rsi(past, n),
            "trange" => true_ranges(past).last().copied(),
            "atr" => textbook_atr(past, n),
            "adx" => textbook_adx(past, n),
            "plus_di" => directional_indices(past, n).last().map(|di| di.0),
            "minus_di" => directional_indices(past, n).last().map(|di| di.1),
            other => panic!("no formula for {other}"),
        };
        (i, value)
    })
    .collect()
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

fn closes(bars: &[Bar]) -> Vec<f64> {
    bars.iter().map(|bar| bar.close).collect()
}

fn textbook_sma(bars: &[Bar], n: usize) -> Option<f64> {
    closes(bars).rchunks_exact(n).next().map(mean)
}

fn textbook_ema(bars: &[Bar], n: usize) -> Option<f64> {
    let closes = closes(bars);
    let (seed, rest) = closes.split_at_checked(n)?;
    let alpha = 2.0 / (n as f64 + 1.0);
    Some(rest.iter().fold(mean(seed), |ema, close| alpha * close + (1.0 - alpha) * ema))
}

/// Wilder's average: the mean of the first n, then (previous * (n - 1) + newest) / n.
fn wilder(values: &[f64], n: usize) -> Option<f64> {
    let (seed, rest) = values.split_at_checked(n)?;
    Some(rest.iter().fold(mean(seed), |average, value| (average * (n as f64 - 1.0) + value) / n as f64))
}

fn textbook_rsi(bars: &[Bar], n: usize) -> Option<f64> {
    let changes: Vec<f64> = closes(bars).windows(2).map(|pair| pair[1] - pair[0]).collect();
    let gains = wilder(&changes.iter().map(|change| change.max(0.0)).collect::<Vec<_>>(), n)?;
    let losses = wilder(&changes.iter().map(|change| (-change).max(0.0)).collect::<Vec<_>>(), n)?;
    let strength = gains / losses;
    Some(if gains + losses == 0.0 { 50.0 } else { 100.0 - 100.0 / (1.0 + strength) })
}

fn true_ranges(bars: &[Bar]) -> Vec<f64> {
    let of = |pair: &[Bar]| {
        let (before, bar) = (pair[0].close, pair[1]);
        (bar.high - bar.low).max((bar.high - before).abs()).max((bar.low - before).abs())
    };
    bars.windows(2).map(of).collect()
}

fn textbook_atr(bars: &[Bar], n: usize) -> Option<f64> {
    wilder(&true_ranges(bars), n)
}

/// Wilder's running total with TA-Lib's seed: the sum of the first n-1, then total - total/n + newest.
fn running_totals(values: &[f64], n: usize) -> Vec<f64> {
    let Some((seed, rest)) = values.split_at_checked(n - 1) else { return Vec::new() };
    let step = |total: &mut f64, value: &f64| {
        *total = *total - *total / n as f64 + value;
        Some(*total)
    };
    rest.iter().scan(seed.iter().sum::<f64>(), step).collect()
}

/// (+DI, -DI) of every bar that has them.
fn directional_indices(bars: &[Bar], n: usize) -> Vec<(f64, f64)> {
    let moved = |pair: &[Bar]| (pair[1].high - pair[0].high, pair[0].low - pair[1].low);
    let plus: Vec<f64> =
        bars.windows(2).map(moved).map(|(up, down)| if up > down { up.max(0.0) } else { 0.0 }).collect();
    let minus: Vec<f64> =
        bars.windows(2).map(moved).map(|(up, down)| if down > up { down.max(0.0) } else { 0.0 }).collect();
    let (plus, minus) = (running_totals(&plus, n), running_totals(&minus, n));
    let ranges = running_totals(&true_ranges(bars), n);
    let share = |total: f64, range: f64| if range == 0.0 { 0.0 } else { 100.0 * total / range };
    ranges.iter().zip(plus.iter().zip(&minus)).map(|(&r, (&p, &m))| (share(p, r), share(m, r))).collect()
}

fn textbook_adx(bars: &[Bar], n: usize) -> Option<f64> {
    let indices = directional_indices(bars, n);
    let dx: Vec<f64> = indices.iter().map(|(plus, minus)| 100.0 * (plus - minus).abs() / (plus + minus)).collect();
    assert!(dx.iter().all(|dx| dx.is_finite()), "the made market has no stretch without direction");
    wilder(&dx, n)
}
