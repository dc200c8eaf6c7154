//! The random walk of one made-up instrument: regimes of drift, clusters of volatility, jumps and missing candles.
//!
//! Owns the path of the price. Promises: the same numbers on every machine (additions, products, quotients and square
//! roots only, which IEEE 754 rounds exactly); prices on the tick grid and between a quarter and four times the start
//! price. Never: a price from a float without the tick grid in between.

use rust_decimal::{Decimal, RoundingStrategy};

use super::market::{SyntheticInstrument, SyntheticSpec};
use super::rng::SeededRng;
use crate::domain::{Candle, DAY_MS, Price, Qty, Timeframe, Timestamp, fast_f64};

/// Pieces of path inside a candle; more make longer wicks.
const STEPS: usize = 6;
/// Quote units traded per day, on average.
const TURNOVER_DAY: f64 = 1e8;

/// What a price does for some hundred candles.
#[derive(Clone, Copy, Debug)]
enum Regime {
    /// Goes one way by so much per candle, as a fraction.
    Trend { drift: f64 },
    /// Comes back to this price (in ticks).
    Range { anchor: f64 },
    /// Neither.
    Wander,
}

/// One instrument's random walk. Prices are in ticks, returns are fractions.
#[derive(Clone, Debug)]
pub(super) struct Walk {
    rng: SeededRng,
    tick: Decimal,
    interval: Timeframe,
    /// Typical standard deviation of a candle's return.
    sigma: f64,
    start: f64,
    price: f64,
    /// Variance now, as a multiple of the typical one.
    heat: f64,
    regime: Regime,
    regime_left: u64,
    open_time: Timestamp,
    /// Candles still to be made.
    left: Option<u64>,
    next: Option<Candle>,
}

impl Walk {
    /// At its first candle. The specification must have been checked.
    pub(super) fn new(spec: &SyntheticSpec, ix: usize, instrument: &SyntheticInstrument) -> Self {
        let ticks = (instrument.start_price.get() / instrument.tick)
            .round_dp_with_strategy(0, RoundingStrategy::MidpointNearestEven);
        let start = fast_f64(ticks);
        let mut walk = Self {
            rng: SeededRng::stream(spec.seed, ix as u64),
            tick: instrument.tick,
            interval: spec.interval,
            sigma: fast_f64(instrument.volatility_day) * (spec.interval.millis() as f64 / DAY_MS as f64).sqrt(),
            start,
            price: start,
            heat: 1.0,
            regime: Regime::Wander,
            regime_left: 0,
            open_time: spec.interval.open_of(spec.start),
            left: spec.candles,
            next: None,
        };
        walk.next = walk.made();
        walk
    }

    /// The candle to take; `None` at the end.
    pub(super) const fn next(&self) -> Option<&Candle> {
        self.next.as_ref()
    }

    /// On to the next candle.
    pub(super) fn step(&mut self) {
        self.open_time = self.open_time + self.interval.millis();
        self.jump();
        self.next = self.made();
    }

    /// Now and then the price opens elsewhere, or some candles are missing and it opens elsewhere.
    fn jump(&mut self) {
        let missing = if self.rng.below(2_500) == 0 { 2 + self.rng.below(9) } else { 0 };
        if missing == 0 && self.rng.below(1_500) != 0 {
            return;
        }
        self.open_time = self.open_time + missing as i64 * self.interval.millis();
        let size = ((4.0 + 8.0 * self.rng.unit_f64()) * self.sigma).min(0.05);
        let up = self.rng.unit_f64() < self.rising();
        self.walk_by(if up { size } else { -size });
    }

    fn made(&mut self) -> Option<Candle> {
        if let Some(left) = &mut self.left {
            *left = left.checked_sub(1)?;
        }
        self.turn();
        let open = self.price;
        let (mut high, mut low) = (open, open);
        let deviation = self.sigma * self.heat.sqrt();
        let (drift, noise) = (self.drift() / STEPS as f64, deviation / (STEPS as f64).sqrt());
        for _ in 0..STEPS {
            let change = drift + noise * self.rng.normal();
            self.walk_by(change);
            (high, low) = (high.max(self.price), low.min(self.price));
        }
        self.warm((self.price / open - 1.0 - drift * STEPS as f64) / self.sigma);
        let volume = self.volume((high - low) / open);
        Some(self.candle([open, high, low, self.price], volume))
    }

    fn candle(&self, path: [f64; 4], volume: Qty) -> Candle {
        let [open, high, low, close] =
            path.map(|ticks| Price::new((self.tick * Decimal::from(ticks.round() as i64)).normalize()));
        let close_time = self.open_time + (self.interval.millis() - 1);
        Candle { open_time: self.open_time, close_time, open, high, low, close, volume }
    }

    fn walk_by(&mut self, change: f64) {
        let moved = self.price * (1.0 + change.clamp(-0.2, 0.2));
        self.price = moved.clamp((self.start * 0.25).max(1.0), self.start * 4.0);
    }

    /// GARCH(1,1) in units of the typical variance (T. Bollerslev 1986): shocks heat up, heat decays by 2 % a candle.
    fn warm(&mut self, shock: f64) {
        self.heat = (0.02 + 0.10 * shock * shock + 0.88 * self.heat).clamp(0.1, 30.0);
    }

    /// A new regime when the old one has run its time.
    fn turn(&mut self) {
        if self.regime_left > 0 {
            self.regime_left -= 1;
            return;
        }
        self.regime_left = 100 + self.rng.below(400);
        let strength = (0.05 + 0.15 * self.rng.unit_f64()) * self.sigma;
        let up = self.rng.unit_f64() < self.rising();
        self.regime = match self.rng.below(100) {
            0..45 => Regime::Trend { drift: if up { strength } else { -strength } },
            45..80 => Regime::Range { anchor: self.price },
            80.. => Regime::Wander,
        };
    }

    /// Expected return of the next candle: the regime's, and beyond 0.4 or 2.5 times the start price a pull back.
    fn drift(&self) -> f64 {
        let own = match self.regime {
            Regime::Trend { drift } => drift,
            Regime::Range { anchor } => 0.03 * (anchor / self.price - 1.0).clamp(-0.2, 0.2),
            Regime::Wander => 0.0,
        };
        let pull = 0.3 * self.sigma;
        match self.price / self.start {
            ratio if ratio > 2.5 => own - pull,
            ratio if ratio < 0.4 => own + pull,
            _ => own,
        }
    }

    /// Chance that a trend or jump goes up: a half at the start price, a tenth at twice it, nine tenths at half of it.
    fn rising(&self) -> f64 {
        let ratio = self.price / self.start;
        let lean = if ratio > 1.0 { 1.0 - ratio } else { 1.0 / ratio - 1.0 };
        (0.5 + 0.4 * lean).clamp(0.1, 0.9)
    }

    /// More is traded when the price moves more. Eight decimal places, never zero.
    fn volume(&mut self, range: f64) -> Qty {
        let turnover = TURNOVER_DAY * self.interval.millis() as f64 / DAY_MS as f64;
        let activity = (0.2 + 0.8 * range / self.sigma) * (0.5 + self.rng.unit_f64());
        let units = turnover * activity / (self.price * fast_f64(self.tick));
        Qty::new(Decimal::new((units * 1e8).clamp(1.0, 9e18) as i64, 8).normalize())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::{Recording, synthetic_candles};

    const MINUTE: i64 = 60_000;

    fn dec(text: &str) -> Decimal {
        text.parse().unwrap()
    }

    fn walked(price: &str, tick: &str, count: usize) -> Vec<Candle> {
        let spec = SyntheticSpec {
            seed: 42,
            start: Timestamp::from_millis(1_735_689_600_000),
            interval: Timeframe::from_millis(MINUTE),
            instruments: vec![SyntheticInstrument::new(Price::new(dec(price)), dec(tick))],
            candles: None,
        };
        synthetic_candles(&spec, count).unwrap()
    }

    fn btc(count: usize) -> Vec<Candle> {
        walked("100000", "0.01", count)
    }

    fn returns(candles: &[Candle]) -> Vec<f64> {
        candles.windows(2).map(|pair| pair[1].close.to_f64() / pair[0].close.to_f64() - 1.0).collect()
    }

    /// Correlation of a series with itself one later.
    fn autocorrelation(series: &[f64]) -> f64 {
        let mean = series.iter().sum::<f64>() / series.len() as f64;
        let variance: f64 = series.iter().map(|x| (x - mean) * (x - mean)).sum();
        series.windows(2).map(|pair| (pair[0] - mean) * (pair[1] - mean)).sum::<f64>() / variance
    }

    #[test]
    fn candles_are_sane_on_the_grid_and_in_the_band() {
        for (price, tick) in [("100000", "0.01"), ("0.00001234", "0.00000001"), ("3", "1")] {
            let (start, grid) = (dec(price), dec(tick));
            for c in walked(price, tick, 200_000) {
                assert!(
                    c.high >= c.open.max(c.close) && c.low <= c.open.min(c.close) && c.volume.is_positive(),
                    "{c:?}"
                );
                assert!(c.low.get() * Decimal::from(5) >= start && c.high.get() <= start * Decimal::from(4), "{c:?}");
                assert!((c.close.get() % grid).is_zero() && (c.high.get() % grid).is_zero());
                assert_eq!((c.open_time.millis() % MINUTE, c.close_time.since(c.open_time)), (0, MINUTE - 1));
            }
        }
    }

    #[test]
    fn volatility_clusters_and_moves_as_much_as_asked() {
        let moves = returns(&btc(200_000));
        let clustering = autocorrelation(&moves.iter().map(|r| r.abs()).collect::<Vec<_>>());
        assert!(clustering > 0.1, "{clustering}");
        let daily = (moves.iter().map(|r| r * r).sum::<f64>() / moves.len() as f64 * 1440.0).sqrt();
        assert!((0.02..0.06).contains(&daily), "{daily}");
    }

    #[test]
    fn there_are_trends_and_quiet_ranges() {
        let candles = btc(200_000);
        // Efficiency ratio (P. Kaufman): distance over path, per 250 candles. A pure walk averages 0.05.
        let ratios: Vec<f64> = candles
            .chunks_exact(250)
            .map(|chunk| {
                let path: f64 = returns(chunk).iter().map(|r| r.abs()).sum();
                (chunk[249].close.to_f64() / chunk[0].close.to_f64() - 1.0).abs() / path
            })
            .collect();
        let share = |wanted: fn(&f64) -> bool| ratios.iter().filter(|r| wanted(r)).count() as f64 / ratios.len() as f64;
        assert!(share(|r| *r > 0.13) > 0.1, "trending {}", share(|r| *r > 0.13));
        assert!(share(|r| *r < 0.03) > 0.2, "ranging {}", share(|r| *r < 0.03));
    }

    #[test]
    fn prices_jump_and_candles_are_missing() {
        let candles = btc(200_000);
        let recording = Recording::Candles(candles.clone().into());
        let gaps = recording.gaps();
        assert!((40..160).contains(&gaps.len()) && gaps.iter().all(|gap| (2..=10).contains(&gap.missing)));
        let jumps = candles.windows(2).filter(|pair| pair[0].close != pair[1].open).count();
        assert!(jumps > gaps.len() + 60, "{jumps}");
    }
}
