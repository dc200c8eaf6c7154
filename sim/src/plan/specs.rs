//! Bots, accounts and symbols of a seed.

use std::collections::BTreeMap;

use rust_decimal::Decimal;
use supervisor_core::domain::{InstanceId, Instrument, Notional, Price, Qty, Timeframe, split_symbol};
use supervisor_core::params::{Reader, Table, Value};
use supervisor_core::spec::{
    Capital, ExitRules, InstanceSpec, Mode, OnStop, RiskLimits, VenueFaults, VenueModel, VenueTraits,
};
use supervisor_core::strategy::StrategyParams;

use super::{BEGIN, BotPlan, Dice, Mind};
use crate::venue::{VenueConfig, VenueRates};

fn dec(mantissa: i64, scale: u32) -> Decimal {
    Decimal::new(mantissa, scale)
}

/// A symbol of the venue; `None` when the name is none, which the names here are not.
fn instrument(name: &str, tick: Decimal, lot: Decimal) -> Option<Instrument> {
    let symbol = name.parse().ok()?;
    let (base, quote) = split_symbol(symbol).ok()?;
    Some(Instrument { symbol, base, quote, tick, lot, notional_min: Notional::new(Decimal::from(5)) })
}

/// The venue without its faults: two symbols, two or three accounts that hold nothing yet.
pub(super) fn venue(dice: &mut Dice) -> VenueConfig {
    let symbols = [("BTCUSDT", dec(1, 2), dec(1, 3)), ("ETHUSDT", dec(1, 2), dec(1, 2))];
    let accounts = ["main", "second", "third"].iter().take(if dice.is(300) { 3 } else { 2 });
    VenueConfig {
        symbols: symbols.iter().filter_map(|(name, tick, lot)| instrument(name, *tick, *lot)).collect(),
        start_prices: vec![Price::new(Decimal::from(100)), Price::new(Decimal::from(20))],
        accounts: accounts.map(|name| ((*name).to_owned(), BTreeMap::new())).collect(),
        ids: supervisor_core::spec::IdClass::Unique,
        start: BEGIN,
        maker_fee: dice.pick(&[dec(0, 0), dec(2, 4), dec(1, 3)]),
        taker_fee: dice.pick(&[dec(5, 4), dec(1, 3)]),
        window_ms: 2_000,
        ahead_ms: 1_000,
        engine_ms: dice.pick(&[500, 3_000, 10_000]),
        lookup_lag_ms: dice.span(100, 3_000),
        step_ms: dice.pick(&[500, 1_000]),
        volatility_ppm: u32::try_from(dice.span(150, 900)).unwrap_or(300),
        pull_ppm: 2_000,
        half_spread_ticks: u32::try_from(dice.span(1, 4)).unwrap_or(1),
        burst: 0,
        per_second: 0,
        rates: VenueRates::QUIET,
    }
}

/// What the bots are told of the venue: the truth, as its documents would have it.
pub(super) fn traits(dice: &mut Dice, venue: &VenueConfig) -> VenueTraits {
    VenueTraits {
        ids: venue.ids,
        window_ms: venue.window_ms,
        engine_ms: venue.engine_ms,
        margin_ms: 5_000,
        settle_ms: dice.pick(&[60_000, 180_000, 600_000]),
        look_back_ms: 3_600_000,
        ..VenueTraits::OUTSIDE
    }
}

/// Five to eight bots; the first two share account and symbol, the third is on the second account.
pub(super) fn bots(dice: &mut Dice, venue: &mut VenueConfig, traits: VenueTraits, candle_ms: i64) -> Vec<BotPlan> {
    let count = dice.span(5, 8);
    let accounts = venue.accounts.len() as i64;
    let mut bots = Vec::new();
    for at in 0..count {
        let account = match at {
            0 | 1 => 0,
            2 => 1,
            _ => usize::try_from(dice.span(0, accounts - 1)).unwrap_or(0),
        };
        let symbol = if at < 2 { 0 } else { usize::try_from(dice.span(0, 1)).unwrap_or(0) };
        let account = if at == 4 { venue.accounts.len() - 1 } else { account };
        let mind = match at {
            0 | 2 | 4 => Mind::Wild(dice.span(2_000, 8_000)),
            _ => dice.pick(&[Mind::Strategy, Mind::Strategy, Mind::Wild(5_000)]),
        };
        bots.extend(bot(dice, venue, traits, candle_ms, (at, account, symbol, mind)));
    }
    bots.sort_by_key(|bot| bot.spec.id);
    for bot in &bots {
        endow(venue, bot);
    }
    bots
}

/// The account holds what its bots are given, and something of its own.
fn endow(venue: &mut VenueConfig, bot: &BotPlan) {
    let Some(first) = bot.spec.instruments.first() else { return };
    let own = dec(1_000, 0);
    if let Some((_, held)) = venue.accounts.get_mut(bot.account) {
        *held.entry(first.quote).or_insert(own) += bot.spec.capital.quote.get();
        *held.entry(first.base).or_insert(dec(3, 0)) += bot.spec.capital.base.get();
    }
}

fn bot(
    dice: &mut Dice,
    venue: &VenueConfig,
    traits: VenueTraits,
    candle_ms: i64,
    (at, account, symbol, mind): (i64, usize, usize, Mind),
) -> Option<BotPlan> {
    let is_grid = mind == Mind::Strategy && dice.is(600);
    let word = match mind {
        Mind::Wild(_) => "wild",
        Mind::Strategy if is_grid => "grid",
        Mind::Strategy => "trend",
    };
    let id: InstanceId = format!("{word}-{at}").parse().ok()?;
    let mut instruments = vec![venue.symbols.get(symbol)?.clone()];
    if matches!(mind, Mind::Wild(_)) && at != 1 && dice.is(500) {
        instruments.extend(venue.symbols.get(1 - symbol).cloned());
    }
    let base = if instruments.len() == 1 && dice.is(400) { dec(dice.span(5, 30), 0) } else { Decimal::ZERO };
    let strategy = if is_grid { grid(dice) } else { trend(dice, matches!(mind, Mind::Wild(_))) };
    let (maker, taker) = (venue.maker_fee, venue.taker_fee);
    let model = format!("maker_fee = {maker}; taker_fee = {taker}; latency_ms = 0; spread_pct = 0.05");
    let cap = dice.pick(&["0.3", "0.6", "1"]);
    let risk = format!(
        "max_total_exposure = 1; max_capital_per_symbol = {cap}; min_order_value = 6; price_collar_pct = 20; \
         duplicate_window_ms = {}; max_quote_age_ms = {}",
        dice.pick(&[0, 500, 2_000]),
        dice.pick(&[15_000, 60_000])
    );
    let spec = InstanceSpec {
        id,
        instruments,
        timeframe: Timeframe::from_millis(candle_ms),
        capital: Capital { quote: Notional::new(Decimal::from(dice.span(1_000, 10_000))), base: Qty::new(base) },
        mode: Mode::Paper,
        venue_model: read(&model, VenueModel::read),
        strategy: read(&strategy, StrategyParams::read)?,
        risk: read(&risk, |reader| RiskLimits::read(reader, 30_000)),
        order_timeout_ms: dice.span(20_000, 400_000),
        on_stop: OnStop::CancelEntries,
        venue: traits,
        exits: exits(dice),
        faults: VenueFaults::default(),
    };
    Some(BotPlan { spec, account, mind })
}

fn exits(dice: &mut Dice) -> ExitRules {
    let max_holding_ms = dice.span(30_000, 300_000);
    let maker_timeout_ms = dice.span(10_000, 90_000);
    ExitRules {
        max_holding_ms: dice.is(400).then_some(max_holding_ms),
        break_even: dice.is(400).then(|| dec(3, 3)),
        maker_timeout_ms: dice.is(400).then_some(maker_timeout_ms),
    }
}

fn grid(dice: &mut Dice) -> String {
    let levels = dice.span(4, 9);
    let width = dice.pick(&["2", "4", "6"]);
    let start = dice.pick(&["cash", "balanced"]);
    format!(
        "kind = grid; levels = {levels}; width_pct = {width}; capital_share = 0.6; start = {start}; breaker = off; \
         trend_filter = off"
    )
}

/// A wild bot has a strategy too, which never has enough candles to say anything.
fn trend(dice: &mut Dice, is_mute: bool) -> String {
    let (fast, slow) = if is_mute { (900, 1_000) } else { (dice.span(2, 3), dice.span(4, 6)) };
    format!(
        "kind = trend_following; fast = {fast}; slow = {slow}; adx_period = 2; adx_min = 0; atr_period = 3; \
         max_position = 0.3; risk_per_trade = 0.02"
    )
}

/// `"levels = 5; start = cash"` as a table: what reads as a number is one, all else is text.
fn table(text: &str) -> Table {
    let pair = |pair: &str| {
        let (key, value) = pair.split_once('=')?;
        let value = value.trim().to_owned();
        let value = if value.parse::<Decimal>().is_ok() { Value::Number(value) } else { Value::Text(value) };
        Some((key.trim().to_owned(), value))
    };
    text.split(';').filter_map(pair).collect()
}

/// Settings from text; what is wrong with them shows in the tests of this file.
fn read<T>(text: &str, read: impl FnOnce(&mut Reader<'_>) -> T) -> T {
    let (table, mut problems) = (table(text), Vec::new());
    let mut reader = Reader::new(&table, &mut problems);
    let value = read(&mut reader);
    reader.finish();
    debug_assert!(problems.is_empty(), "{problems:?}");
    value
}
