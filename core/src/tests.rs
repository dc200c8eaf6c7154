//! A plain instance for the unit tests of this crate: one instrument, trend following, an outside venue.

#![allow(clippy::unwrap_used, reason = "a test may stop at what cannot be")]

use rust_decimal::Decimal;

use crate::domain::{Instrument, Notional, Qty, Timeframe, split_symbol};
use crate::params::{Reader, Table, Value};
use crate::spec::{Capital, ExitRules, InstanceSpec, Mode, OnStop, RiskLimits, VenueFaults, VenueModel, VenueTraits};
use crate::strategy::StrategyParams;

/// See the module.
pub(crate) fn spec() -> InstanceSpec {
    let kind = Table::from([("kind".to_owned(), Value::Text("trend_following".to_owned()))]);
    let (empty, mut problems) = (Table::new(), Vec::new());
    let strategy = StrategyParams::read(&mut Reader::new(&kind, &mut problems)).unwrap();
    let venue_model = VenueModel::read(&mut Reader::new(&empty, &mut problems));
    let risk = RiskLimits::read(&mut Reader::new(&empty, &mut problems), 150_000);
    let symbol = "BTCUSDT".parse().unwrap();
    let (base, quote) = split_symbol(symbol).unwrap();
    let (tick, lot, notional_min) = (Decimal::new(1, 2), Decimal::new(1, 3), Notional::new(Decimal::from(5)));
    InstanceSpec {
        id: "plain".parse().unwrap(),
        instruments: vec![Instrument { symbol, base, quote, tick, lot, notional_min }],
        timeframe: Timeframe::from_millis(60_000),
        capital: Capital { quote: Notional::new(Decimal::from(10_000)), base: Qty::ZERO },
        mode: Mode::Paper,
        venue_model,
        strategy,
        risk: RiskLimits { max_capital_per_symbol: Decimal::new(8, 1), ..risk },
        order_timeout_ms: 86_400_000,
        on_stop: OnStop::Keep,
        venue: VenueTraits::OUTSIDE,
        exits: ExitRules::default(),
        faults: VenueFaults::default(),
    }
}
