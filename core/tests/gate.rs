//! The gate at its edges: for every rule the last intent that passes and the first that does not, for both kinds of
//! strategy, entries and exits.

#![allow(clippy::unwrap_used, reason = "a test may stop at what cannot be")]

mod common;

use common::{BTC, at, dec, instrument, intent, limit, market, money, price, qty, quoted, spec};
use supervisor_core::domain::{Fill, InstrumentIx, OrderNo, Purpose, Qty, Quote, Quotes, Side, Tag, TradeId};
use supervisor_core::instance::{Control, Cx, Event, RiskIn};
use supervisor_core::orders::Intent;
use supervisor_core::risk::{Applies, RULES, Risk, VetoCode, rule_table};
use supervisor_core::spec::{InstanceSpec, OnStop};

use Purpose::{Entry, Exit};
use Side::{Buy, Sell};

const GRID: &str = "kind = grid; levels = 5; lower = 80; upper = 120; order_value = 100";
const TREND: &str = "kind = trend_following";
const BOTH: [&str; 2] = [GRID, TREND];

/// A risk stage, what it may look at, and the time.
struct Door {
    risk: Risk,
    spec: InstanceSpec,
    quotes: Quotes,
    now: i64,
}

impl Door {
    /// Capital 10 000, last price 100, symbol cap 20 %, minimum 100, collar 5 %.
    fn new(strategy: &str, risk: &str) -> Self {
        let own = "max_capital_per_symbol = 0.2; min_order_value = 100; price_collar_pct = 5";
        let keys: Vec<&str> = risk.split(';').filter_map(|pair| pair.split_once('=')).map(|(k, _)| k.trim()).collect();
        let kept = own.split(';').filter(|pair| !keys.contains(&pair.split_once('=').unwrap().0.trim()));
        Self::with(spec(strategy, "", &kept.chain([risk]).collect::<Vec<_>>().join(";")))
    }

    fn with(spec: InstanceSpec) -> Self {
        Self { risk: Risk::new(&spec), quotes: quoted(0, "100"), now: 0, spec }
    }

    fn tell(&mut self, message: RiskIn) -> Vec<Event> {
        let mut out = Vec::new();
        self.risk.on(&Cx { at: at(self.now), quotes: &self.quotes, spec: &self.spec }, message, &mut out);
        out
    }

    /// The codes that refuse; none: approved. A dry run that would have passed answers with its own code only.
    fn ask(&mut self, intent: &Intent) -> Vec<VetoCode> {
        match self.tell(RiskIn::Review(Box::new(intent.clone()))).remove(0) {
            Event::Approved { .. } => Vec::new(),
            Event::Vetoed { veto, .. } | Event::WouldSubmit { veto, .. } => {
                let codes: Vec<VetoCode> = veto.failed_codes().collect();
                assert_eq!(codes.first(), Some(&veto.code), "the first one that failed names the veto");
                codes
            }
            other => panic!("{other:?}"),
        }
    }

    fn control(&mut self, control: Control) {
        self.tell(RiskIn::Control(control));
    }

    /// A fill that nobody asked for gives the stage a position.
    fn hold(&mut self, ix: InstrumentIx, amount: &str) {
        let fill = Fill {
            order: OrderNo(999_999),
            tag: Tag(0),
            instrument: ix,
            side: Buy,
            price: price("100"),
            qty: qty(amount),
            fee: money("0"),
            maker: true,
            trade: TradeId(1),
            at: at(0),
        };
        self.tell(RiskIn::Fill(fill));
    }
}

fn buy(amount: &str, at: &str) -> Intent {
    intent(Buy, limit(at), amount, Entry, 0)
}

fn sell(amount: &str, at: &str) -> Intent {
    intent(Sell, limit(at), amount, Exit, 1)
}

/// A door for each kind of strategy with a position of `held`; each intent meets a fresh one.
fn check(risk: &str, held: &str, cases: &[(Intent, &[VetoCode])]) {
    for strategy in BOTH {
        for (intent, expected) in cases {
            let mut door = Door::new(strategy, risk);
            if held != "0" {
                door.hold(BTC, held);
            }
            assert_eq!(door.ask(intent), *expected, "{strategy}: {intent:?}");
        }
    }
}

#[test]
fn the_symbol_cap_counts_position_and_every_buy_that_may_fill() {
    let over: &[VetoCode] = &[VetoCode::SymbolCap];
    check("", "0", &[(buy("20", "100"), &[]), (buy("20.001", "100"), over)]);
    check("", "10", &[(buy("10", "100"), &[]), (buy("10.001", "100"), over)]);
    // The position is worth what it is worth now; the order what it may cost.
    let mut door = Door::new(TREND, "");
    door.hold(BTC, "10");
    door.quotes = quoted(0, "110");
    assert_eq!(door.ask(&buy("8.181", "110")), []);
    assert_eq!(door.ask(&intent(Buy, limit("110"), "1", Entry, 0)), over, "1 900 + 99.91 leaves less than 110");
    // An order of the worst price of a market entry, not of the last price.
    let mut door = Door::new(TREND, "");
    assert_eq!(door.ask(&intent(Buy, market(Some("105")), "19.048", Entry, 0)), over);
    assert_eq!(door.ask(&intent(Buy, market(Some("105")), "19.047", Entry, 0)), []);
}

#[test]
fn the_total_cap_counts_all_instruments() {
    for strategy in [TREND, "kind = grid; levels = 5; width_pct = 20; order_value = 100"] {
        let mut spec = spec(strategy, "", "max_capital_per_symbol = 0.4; max_total_exposure = 0.5");
        spec.instruments.push(instrument("ETHUSDT"));
        let mut door = Door::with(spec);
        let eth = InstrumentIx(1);
        door.quotes = Quotes::new(2);
        for ix in [BTC, eth] {
            door.quotes.set(ix, Quote { at: at(0), last: price("100") });
        }
        assert_eq!(door.ask(&buy("40", "100")), []);
        let second = |amount| Intent { instrument: eth, ..buy(amount, "100") };
        assert_eq!(door.ask(&second("10.001")), [VetoCode::TotalExposure]);
        assert_eq!(door.ask(&second("10")), []);
        assert_eq!(door.ask(&second("0.050")), [VetoCode::TotalExposure]);
    }
}

#[test]
fn exits_are_exempt_from_caps_and_from_our_minimum_but_not_from_the_venues() {
    check(
        "max_order_qty = 2",
        "30",
        &[
            (sell("30", "100"), &[]),
            (intent(Sell, market(None), "30", Exit, 1), &[]),
            (sell("0.05", "100"), &[]),
            (sell("0.049", "100"), &[VetoCode::MinOrderValue]),
            (intent(Sell, market(None), "0.049", Exit, 1), &[VetoCode::MinOrderValue]),
            // What is called an exit and buys is judged as the entry that it is.
            (intent(Buy, limit("100"), "1", Exit, 1), &[VetoCode::SymbolCap]),
        ],
    );
}

#[test]
fn an_entry_is_worth_the_minimum() {
    let small: &[VetoCode] = &[VetoCode::MinOrderValue];
    check(
        "",
        "0",
        &[
            (buy("1", "100"), &[]),
            (buy("1", "99.99"), small),
            (buy("0.999", "100"), small),
            (intent(Buy, market(Some("101")), "1", Entry, 0), &[]),
            // A market order is worth its quantity at the last price, not at its worst one.
            (intent(Buy, market(Some("101")), "0.999", Entry, 0), small),
        ],
    );
    // The venue's minimum binds when it is the higher one.
    check("min_order_value = 1", "0", &[(buy("0.05", "100"), &[]), (buy("0.049", "100"), small)]);
}

#[test]
fn quantities_are_positive_bounded_and_on_the_lot_grid() {
    use VetoCode::{LotSize, MinOrderValue, Quantity};
    check(
        "max_order_qty = 2",
        "0",
        &[
            (buy("2", "100"), &[]),
            (buy("2.001", "100"), &[Quantity]),
            (buy("1.5", "100"), &[]),
            (buy("1.5005", "100"), &[LotSize]),
            (buy("0", "100"), &[Quantity, MinOrderValue]),
            (buy("-1", "100"), &[Quantity, MinOrderValue]),
        ],
    );
}

#[test]
fn prices_are_positive_and_on_the_tick_grid() {
    use VetoCode::{MinOrderValue, PriceCollar, TickSize};
    check(
        "",
        "5",
        &[
            (buy("2", "99.99"), &[]),
            (buy("2", "99.995"), &[TickSize]),
            (intent(Buy, market(Some("100.005")), "2", Entry, 0), &[TickSize]),
            (sell("2", "100.005"), &[TickSize]),
            (sell("2", "0"), &[TickSize, PriceCollar, MinOrderValue]),
            (sell("2", "-100"), &[TickSize, PriceCollar, MinOrderValue]),
        ],
    );
}

#[test]
fn the_collar_bounds_both_directions_for_signals_and_the_aggressive_one_for_grids() {
    let far: &[VetoCode] = &[VetoCode::PriceCollar];
    let cases = |strategy: &str, cases: &[(Intent, &[VetoCode])]| {
        for (intent, expected) in cases {
            let mut door = Door::new(strategy, "min_order_value = 5");
            door.hold(BTC, "5");
            assert_eq!(door.ask(intent), *expected, "{strategy}: {intent:?}");
        }
    };
    let aggressive: [(Intent, &[VetoCode]); 6] = [
        (buy("1", "105"), &[]),
        (buy("1", "105.01"), far),
        (intent(Buy, market(Some("105")), "1", Entry, 0), &[]),
        (intent(Buy, market(Some("105.01")), "1", Entry, 0), far),
        (sell("1", "95"), &[]),
        (sell("1", "94.99"), far),
    ];
    let resting = |expected| [(buy("1", "94.99"), expected), (sell("1", "105.01"), expected)];
    cases(TREND, &aggressive);
    cases(GRID, &aggressive);
    cases(TREND, &resting(far));
    cases(GRID, &resting(&[]));
    // A market exit has no worst price; a market entry without one could cost anything.
    check("", "5", &[(intent(Sell, market(None), "1", Exit, 1), &[]), (intent(Buy, market(None), "1", Entry, 0), far)]);
}

#[test]
fn a_wide_spread_stops_every_order() {
    for strategy in BOTH {
        for (spread, expected) in [("0.5", &[][..]), ("0.51", &[VetoCode::MaxSpread][..])] {
            let spec = spec(strategy, &format!("spread_pct = {spread}"), "max_spread_pct = 0.5");
            let mut door = Door::with(spec);
            door.hold(BTC, "1");
            assert_eq!(door.ask(&buy("1", "100")), expected);
            assert_eq!(door.ask(&sell("1", "100")), expected);
        }
    }
}

#[test]
fn the_same_order_again_is_refused_for_two_seconds() {
    for strategy in BOTH {
        let mut door = Door::new(strategy, "");
        door.hold(BTC, "5");
        assert_eq!(door.ask(&buy("1", "100")), []);
        assert_eq!(door.ask(&sell("2", "100")), [], "the other side");
        assert_eq!(door.ask(&buy("1.001", "100")), [], "another quantity");
        assert_eq!(door.ask(&buy("1", "100.01")), [], "another price");
        door.now = 1_999;
        assert_eq!(door.ask(&buy("1", "100")), [VetoCode::Duplicate]);
        assert_eq!(door.ask(&sell("2", "100")), [VetoCode::Duplicate], "exits are not exempt");
        door.now = 2_000;
        assert_eq!(door.ask(&buy("1", "100")), []);
        assert_eq!(door.ask(&buy("1", "100")), [VetoCode::Duplicate], "the window starts anew");
    }
}

#[test]
fn lines_of_a_grid_are_not_duplicates_of_each_other() {
    for (strategy, expected) in [(GRID, &[][..]), (TREND, &[VetoCode::Duplicate][..])] {
        let mut door = Door::new(strategy, "");
        assert_eq!(door.ask(&intent(Buy, limit("100"), "1", Entry, 4)), []);
        assert_eq!(door.ask(&intent(Buy, limit("100"), "1", Entry, 6)), expected);
    }
}

#[test]
fn a_quote_must_be_there_and_fresh() {
    for strategy in BOTH {
        let mut door = Door::new(strategy, "max_quote_age_ms = 5000; duplicate_window_ms = 0");
        door.hold(BTC, "5");
        door.now = 5_000;
        assert_eq!(door.ask(&buy("1", "100")), []);
        assert_eq!(door.ask(&sell("1", "100")), []);
        door.now = 5_001;
        assert_eq!(door.ask(&buy("1", "100")), [VetoCode::StaleData]);
        assert_eq!(door.ask(&sell("1", "100")), [VetoCode::StaleData]);
        door.quotes = Quotes::new(1);
        assert_eq!(door.ask(&sell("1", "100")), [VetoCode::StaleData]);
        let refused = door.ask(&buy("1", "100"));
        assert_eq!(refused, [VetoCode::StaleData, VetoCode::SymbolCap], "without a price no cap can be compared");
    }
}

#[test]
fn what_is_not_known_is_refused() {
    use VetoCode::{LotSize, MinOrderValue, StaleData, SymbolCap, TickSize, TotalExposure};
    for strategy in BOTH {
        // Base without a price: the capital that the caps are shares of is not known.
        let mut spec = spec(strategy, "", "");
        spec.capital.base = qty("1");
        let mut door = Door::with(spec);
        door.quotes = Quotes::new(1);
        assert_eq!(door.ask(&buy("1", "100")), [StaleData, SymbolCap, TotalExposure]);
        door.quotes = quoted(0, "100");
        assert_eq!(door.ask(&buy("1", "100")), []);
        assert_eq!(door.risk.gate().capital(), Some(money("10100")));
        // An instrument that does not exist.
        let elsewhere = Intent { instrument: InstrumentIx(9), ..buy("1", "100") };
        assert_eq!(door.ask(&elsewhere), [StaleData, LotSize, TickSize, MinOrderValue, SymbolCap]);
    }
}

#[test]
fn no_order_takes_more_than_is_free() {
    for strategy in BOTH {
        let free = "max_capital_per_symbol = 1; min_order_value = 5";
        // 99.9 x 100 x 1.001 = 9 999.99; one lot more is 10 000.0901.
        assert_eq!(Door::new(strategy, free).ask(&buy("99.901", "100")), [VetoCode::FreeBalance]);
        let mut door = Door::new(strategy, free);
        assert_eq!(door.ask(&buy("99.9", "100")), []);
        assert_eq!(door.risk.gate().exposure().free_quote(), money("0.01"));
        assert_eq!(door.ask(&buy("0.05", "100")), [VetoCode::FreeBalance]);
        door.hold(BTC, "1");
        assert_eq!(door.ask(&sell("1.001", "100")), [VetoCode::FreeBalance]);
        assert_eq!(door.ask(&sell("0.6", "100")), []);
        assert_eq!(door.ask(&sell("0.401", "100")), [VetoCode::FreeBalance]);
        assert_eq!(door.ask(&sell("0.4", "100")), []);
        assert_eq!(door.risk.gate().exposure().free_base(BTC), Qty::ZERO);
    }
}

#[test]
fn latches_stop_entries_and_let_exits_pass() {
    use VetoCode::{KillSwitch, Paused};
    for strategy in BOTH {
        let mut door = Door::new(strategy, "min_order_value = 5; duplicate_window_ms = 0");
        door.hold(BTC, "1");
        let mut expect = |control, codes: &[VetoCode]| {
            door.now += 10;
            door.quotes = quoted(door.now, "100");
            door.control(control);
            assert_eq!(door.ask(&buy("0.1", "100")), codes, "{control:?}");
            assert_eq!(door.ask(&intent(Buy, limit("100"), "0.2", Exit, 0)), codes, "{control:?}: a buy is an entry");
            assert_eq!(door.ask(&sell("0.05", "100")), [], "{control:?}: exits pass");
        };
        expect(Control::Start, &[]);
        expect(Control::Pause, &[Paused]);
        expect(Control::Kill, &[KillSwitch, Paused]);
        expect(Control::Resume, &[KillSwitch]);
        expect(Control::ClearKill, &[Paused]);
        expect(Control::Resume, &[]);
        expect(Control::Stop(OnStop::Keep), &[Paused]);
        expect(Control::Resume, &[Paused]);
        expect(Control::Start, &[]);
    }
}

#[test]
fn a_dry_run_records_what_would_pass_and_holds_nothing() {
    for strategy in BOTH {
        let mut door = Door::new(strategy, "dry_run = true");
        let out = door.tell(RiskIn::Review(Box::new(buy("1", "100"))));
        assert!(matches!(&out[..], [Event::WouldSubmit { veto, .. }] if veto.code == VetoCode::DryRun), "{out:?}");
        let out = door.tell(RiskIn::Review(Box::new(buy("0.5", "100"))));
        assert!(matches!(&out[..], [Event::Vetoed { veto, .. }] if veto.code == VetoCode::MinOrderValue), "{out:?}");
        assert!(door.risk.gate().exposure().holds().is_empty());
        assert_eq!(door.risk.gate().counts(), (0, 2));
    }
}

#[test]
fn every_rule_that_refuses_is_named_at_once() {
    let mut door = Door::new(TREND, "max_order_qty = 3; max_quote_age_ms = 10");
    assert_eq!(door.ask(&buy("1", "100")), []);
    door.now = 1_000;
    door.control(Control::Kill);
    door.control(Control::Pause);
    let awful = intent(Buy, limit("200.001"), "3.0001", Entry, 0);
    use VetoCode::{KillSwitch, LotSize, Paused, PriceCollar, Quantity, StaleData, TickSize};
    assert_eq!(door.ask(&awful), [KillSwitch, Paused, StaleData, Quantity, LotSize, TickSize, PriceCollar]);
    let Event::Vetoed { veto, .. } = door.tell(RiskIn::Review(Box::new(awful))).remove(0) else { panic!("no veto") };
    assert_eq!((veto.order, veto.code), (OrderNo(3), KillSwitch), "numbers are used up by refusals, too");
}

#[test]
fn a_veto_carries_its_figures() {
    let mut door = Door::new(GRID, "");
    let Event::Vetoed { veto, .. } = door.tell(RiskIn::Review(Box::new(buy("20.001", "100")))).remove(0) else {
        panic!("no veto")
    };
    assert_eq!((veto.value, veto.limit), (dec("2000.1"), dec("2000")));
}

#[test]
fn the_table_names_every_rule_once() {
    for strategy in BOTH {
        let rows = rule_table(&spec(strategy, "", ""));
        assert_eq!(rows.iter().map(|row| row.code).collect::<Vec<_>>(), RULES.map(|rule| rule.code));
        assert!(rows.iter().all(|row| !row.limit.is_empty() && !matches!(row.applies, Applies::No(_))));
    }
}
