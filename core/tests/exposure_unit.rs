//! The figures of the exposure, one movement at a time, and what the gate says of itself.

#![allow(clippy::unwrap_used, reason = "a test may stop at what cannot be")]

mod common;

use common::{BTC, at, dec, instrument, intent, limit, market, money, price, qty, quoted, spec};
use supervisor_core::domain::{
    Fill, InstrumentIx, Notional, OrderNo, Purpose, Qty, Quote, Quotes, Side, Tag, Timestamp, TradeId,
};
use supervisor_core::instance::{Control, Cx, Event, RiskIn};
use supervisor_core::orders::{Intent, Life, OrderEnded, Protect, Terms};
use supervisor_core::risk::{ApprovedOrder, Exposure, Funds, Hold, RULES, Risk, Veto, VetoCode};
use supervisor_core::spec::{InstanceSpec, OnStop, VenueModel};

use Purpose::{Entry, Exit};
use Side::{Buy, Sell};

const ETH: InstrumentIx = InstrumentIx(1);
const TREND: &str = "kind = trend_following";

fn room(side: Side, at: &str, amount: &str) -> Hold {
    Hold { instrument: BTC, side, price: price(at), qty: qty(amount), seen: Qty::ZERO }
}

fn fill(order: u64, side: Side, at_price: &str, amount: &str, fee: &str) -> Fill {
    Fill {
        order: OrderNo(order),
        tag: Tag(0),
        instrument: BTC,
        side,
        price: price(at_price),
        qty: qty(amount),
        fee: money(fee),
        maker: true,
        trade: TradeId(order),
        at: at(0),
    }
}

fn ended(order: u64, side: Side, filled: &str) -> OrderEnded {
    let terms = intent(side, limit("100"), "10", Entry, 0);
    let Intent { tag, instrument, side, kind, qty: amount, purpose, origin, .. } = terms;
    let terms = Terms { order: OrderNo(order), tag, instrument, side, kind, qty: amount, purpose, origin };
    OrderEnded { terms, life: Life::Canceled, filled: qty(filled), reason: None }
}

/// 1 000 quote units and 10 base units of the first of two instruments; fills cost 1 %.
fn exposure() -> Exposure {
    Exposure::new(money("1000"), qty("10"), dec("0.01"), 2)
}

#[test]
fn it_begins_with_what_it_is_given_and_nothing_held() {
    let exposure = exposure();
    assert_eq!((exposure.cash(), exposure.free_quote()), (money("1000"), money("1000")));
    assert_eq!((exposure.line(BTC).position, exposure.line(ETH).position), (qty("10"), Qty::ZERO));
    assert_eq!((exposure.free_base(BTC), exposure.free_base(ETH)), (qty("10"), Qty::ZERO));
    assert!(exposure.holds().is_empty());
    assert_eq!(exposure.line(InstrumentIx(7)).position, Qty::ZERO, "there is no such instrument");
}

#[test]
fn a_buy_is_held_at_its_worst_price_with_its_fee_and_a_sale_in_base() {
    let mut exposure = exposure();
    exposure.hold(OrderNo(1), room(Buy, "50", "4"));
    assert_eq!((exposure.line(BTC).buy_held, exposure.line(BTC).sell_held), (money("200"), Qty::ZERO));
    assert_eq!(exposure.free_quote(), money("798"), "1 000 - 200 - 1 % of it");
    assert_eq!(exposure.free_quote_at(dec("0.1")), money("780"));
    exposure.hold(OrderNo(2), Hold { instrument: ETH, ..room(Buy, "10", "5") });
    assert_eq!(exposure.free_quote(), money("747.5"), "holds of all instruments count");
    exposure.hold(OrderNo(3), room(Sell, "70", "3"));
    assert_eq!((exposure.line(BTC).buy_held, exposure.line(BTC).sell_held), (money("200"), qty("3")));
    assert_eq!((exposure.free_base(BTC), exposure.free_quote()), (qty("7"), money("747.5")));
    assert_eq!(exposure.holds().keys().map(|order| order.0).collect::<Vec<_>>(), [1, 2, 3]);
    assert_eq!(exposure.with_fee(money("300")), money("303"));
}

#[test]
fn the_worst_case_is_the_position_and_every_buy_of_each_instrument() {
    let mut exposure = exposure();
    exposure.hold(OrderNo(1), room(Buy, "50", "4"));
    exposure.hold(OrderNo(2), Hold { instrument: ETH, ..room(Buy, "10", "5") });
    exposure.hold(OrderNo(3), room(Sell, "70", "3"));
    assert_eq!(exposure.symbol(BTC, price("60")), money("800"), "10 x 60 + 200; a sale may not fill");
    let mut quotes = Quotes::new(2);
    assert_eq!(exposure.total(&quotes), money("250"), "without a price the holds count alone");
    quotes.set(BTC, Quote { at: at(0), last: price("60") });
    quotes.set(ETH, Quote { at: at(0), last: price("999") });
    assert_eq!(exposure.total(&quotes), money("850"));
}

#[test]
fn a_fill_turns_what_was_held_into_position_and_cash() {
    let mut exposure = exposure();
    exposure.hold(OrderNo(1), room(Buy, "50", "4"));
    exposure.on_fill(&fill(1, Buy, "49", "1", "0.5"));
    assert_eq!((exposure.line(BTC).position, exposure.line(BTC).buy_held), (qty("11"), money("150")));
    assert_eq!(exposure.cash(), money("950.5"), "1 000 - 49 - 0.5");
    assert_eq!((exposure.holds()[&OrderNo(1)].qty, exposure.holds()[&OrderNo(1)].seen), (qty("3"), qty("1")));
    exposure.on_fill(&fill(1, Buy, "50", "3", "1.5"));
    assert_eq!((exposure.cash(), exposure.line(BTC).buy_held), (money("799"), Notional::ZERO));
    assert!(exposure.holds().is_empty(), "what is filled holds nothing");

    exposure.hold(OrderNo(2), room(Sell, "60", "5"));
    exposure.on_fill(&fill(2, Sell, "61", "2", "1"));
    assert_eq!((exposure.line(BTC).position, exposure.line(BTC).sell_held), (qty("12"), qty("3")));
    assert_eq!(exposure.cash(), money("920"), "799 + 122 - 1");
}

#[test]
fn more_than_was_held_is_counted_and_releases_no_more_than_there_is() {
    let mut exposure = exposure();
    exposure.hold(OrderNo(1), room(Buy, "50", "4"));
    exposure.hold(OrderNo(2), room(Buy, "50", "1"));
    exposure.on_fill(&fill(1, Buy, "50", "6", "0"));
    assert_eq!((exposure.line(BTC).position, exposure.line(BTC).buy_held), (qty("16"), money("50")));
    assert_eq!(exposure.holds().len(), 1);
    // A fill of an instrument that does not exist moves nothing.
    exposure.on_fill(&Fill { instrument: InstrumentIx(7), ..fill(9, Buy, "50", "6", "0") });
    assert_eq!(exposure.cash(), money("700"));
}

#[test]
fn an_end_releases_all_but_what_the_venue_claims_and_nobody_has_seen() {
    let mut exposure = exposure();
    exposure.hold(OrderNo(1), room(Buy, "50", "10"));
    exposure.on_fill(&fill(1, Buy, "50", "2", "0"));
    exposure.on_ended(&ended(1, Buy, "5"));
    let rest = exposure.holds()[&OrderNo(1)];
    assert_eq!((rest.qty, rest.seen, exposure.line(BTC).buy_held), (qty("3"), qty("2"), money("150")));
    exposure.on_fill(&fill(1, Buy, "50", "3", "0"));
    assert_eq!((exposure.holds().len(), exposure.line(BTC).buy_held), (0, Notional::ZERO));

    exposure.hold(OrderNo(2), room(Sell, "60", "4"));
    exposure.on_fill(&fill(2, Sell, "60", "1", "0"));
    exposure.on_ended(&ended(2, Sell, "1"));
    assert_eq!((exposure.holds().len(), exposure.free_base(BTC)), (0, qty("14")), "all of it was seen");

    // A claim below what was seen releases everything; one above the hold keeps the hold.
    exposure.hold(OrderNo(3), room(Sell, "60", "4"));
    exposure.on_fill(&fill(3, Sell, "60", "3", "0"));
    exposure.on_ended(&ended(3, Sell, "2"));
    assert_eq!((exposure.holds().len(), exposure.line(BTC).sell_held), (0, Qty::ZERO));
    exposure.hold(OrderNo(4), room(Sell, "60", "4"));
    exposure.on_ended(&ended(4, Sell, "9"));
    assert_eq!((exposure.holds()[&OrderNo(4)].qty, exposure.line(BTC).sell_held), (qty("4"), qty("4")));
}

#[test]
fn what_may_fill_after_all_is_held_again_at_the_price_of_before() {
    let mut exposure = exposure();
    exposure.hold_again(OrderNo(1), room(Buy, "50", "3"), qty("10"));
    let hold = exposure.holds()[&OrderNo(1)];
    assert_eq!((hold.qty, hold.seen, hold.price), (qty("3"), qty("7"), price("50")), "7 of 10 were seen");
    assert_eq!(exposure.line(BTC).buy_held, money("150"));
    exposure.hold_again(OrderNo(1), room(Buy, "60", "5"), qty("10"));
    let hold = exposure.holds()[&OrderNo(1)];
    assert_eq!((hold.qty, hold.seen, hold.price), (qty("5"), qty("5"), price("50")));
    assert_eq!(exposure.line(BTC).buy_held, money("250"));
    exposure.hold_again(OrderNo(1), room(Buy, "60", "0"), qty("10"));
    assert_eq!((exposure.holds().len(), exposure.line(BTC).buy_held), (0, Notional::ZERO));
}

#[test]
fn a_void_fill_gives_back_what_it_moved() {
    let mut exposure = exposure();
    let (bought, sold) = (fill(1, Buy, "50", "4", "2"), fill(2, Sell, "60", "3", "1.8"));
    exposure.on_fill(&bought);
    exposure.on_fill(&sold);
    assert_eq!((exposure.line(BTC).position, exposure.cash()), (qty("11"), money("976.2")));
    exposure.on_bust(&bought);
    assert_eq!((exposure.line(BTC).position, exposure.cash()), (qty("7"), money("1178.2")));
    exposure.on_bust(&sold);
    assert_eq!((exposure.line(BTC).position, exposure.cash()), (qty("10"), money("1000")));
    exposure.on_bust(&Fill { instrument: InstrumentIx(7), ..bought });
    assert_eq!(exposure.cash(), money("1000"));
}

#[test]
fn a_transfer_moves_the_cash_and_other_fees_hold_more() {
    let mut exposure = exposure();
    exposure.hold(OrderNo(1), room(Buy, "50", "4"));
    exposure.revise(money("-100"), dec("0.05"));
    assert_eq!((exposure.cash(), exposure.free_quote()), (money("900"), money("690")));
    exposure.revise(money("60"), dec("0.05"));
    assert_eq!((exposure.cash(), exposure.with_fee(money("100"))), (money("960"), money("105")));
}

/// A risk stage at a price of 100.
struct Door {
    risk: Risk,
    spec: InstanceSpec,
    quotes: Quotes,
    now: Timestamp,
}

impl Door {
    fn new(spec: InstanceSpec) -> Self {
        Self { risk: Risk::new(&spec), quotes: quoted(0, "100"), now: at(0), spec }
    }

    fn tell(&mut self, message: RiskIn) -> Vec<Event> {
        let mut out = Vec::new();
        self.risk.on(&Cx { at: self.now, quotes: &self.quotes, spec: &self.spec }, message, &mut out);
        out
    }

    fn ask(&mut self, intent: Intent) -> Result<ApprovedOrder, Veto> {
        match self.tell(RiskIn::Review(Box::new(intent))).remove(0) {
            Event::Approved { order, .. } => Ok(*order),
            Event::Vetoed { veto, .. } | Event::WouldSubmit { veto, .. } => Err(veto),
            other => panic!("{other:?}"),
        }
    }

    fn pass(&mut self, intent: Intent) {
        drop(self.ask(intent).unwrap());
    }

    fn funds(&self, ix: InstrumentIx) -> Funds {
        self.risk.gate().funds(&self.quotes, &self.spec, ix)
    }
}

#[test]
fn an_approval_says_what_is_to_be_sent_and_what_guards_it() {
    let mut door = Door::new(spec(TREND, "", ""));
    let protect = Protect { stop: Some(price("90")), ..Protect::default() };
    let order = door.ask(Intent { protect: Some(protect), ..intent(Buy, limit("100"), "2", Entry, 4) }).unwrap();
    assert_eq!(order.protect(), Some(protect));
    let terms = order.terms();
    assert_eq!((terms.order, terms.tag, terms.side, terms.qty), (OrderNo(1), Tag(4), Buy, qty("2")));
    assert_eq!(door.ask(intent(Buy, limit("101"), "2", Entry, 4)).unwrap().protect(), None);
    assert!(door.ask(intent(Buy, limit("101"), "2", Entry, 4)).is_err());
    assert_eq!(door.risk.gate().counts(), (2, 1));
}

#[test]
fn each_intent_is_held_at_the_price_that_bounds_it() {
    let mut door = Door::new(spec(TREND, "", ""));
    door.tell(RiskIn::Fill(fill(99, Buy, "100", "5", "0")));
    door.pass(intent(Buy, limit("90"), "1", Entry, 0));
    door.pass(intent(Buy, market(Some("102")), "1", Entry, 1));
    assert_eq!(door.risk.gate().exposure().line(BTC).buy_held, money("192"));
    door.pass(intent(Sell, market(None), "3", Exit, 2));
    assert_eq!(door.risk.gate().exposure().holds()[&OrderNo(3)].price, price("100"));
    let gate = door.risk.gate();
    let adds = |wanted: Intent, quotes: &Quotes| gate.adds(&wanted, quotes);
    assert_eq!(adds(intent(Buy, market(None), "3", Entry, 2), &door.quotes), money("300"));
    assert_eq!(adds(intent(Buy, market(None), "3", Entry, 2), &Quotes::new(1)), Notional::ZERO);
    assert_eq!(adds(intent(Sell, limit("100"), "3", Exit, 2), &door.quotes), Notional::ZERO);
}

#[test]
fn what_a_strategy_may_know_of_its_room() {
    let mut spec = spec(TREND, "", "max_capital_per_symbol = 0.4; max_total_exposure = 0.5");
    spec.instruments.push(instrument("ETHUSDT"));
    spec.capital.base = qty("10");
    let mut door = Door::new(spec);
    let untold = door.funds(BTC);
    assert_eq!((untold.capital, untold.mark), (money("10000"), price("100")), "no intent yet: the base is not valued");
    assert_eq!(door.risk.gate().capital(), None);
    door.quotes = Quotes::new(2);
    door.quotes.set(BTC, Quote { at: at(0), last: price("100") });
    door.pass(intent(Buy, limit("90"), "10", Entry, 0));
    let (capital, free_quote) = (money("11000"), money("9099.1"));
    let (symbol_left, total_left) = (money("2500"), money("3600"));
    let (position, free_base, mark) = (qty("10"), qty("10"), price("100"));
    assert_eq!(door.funds(BTC), Funds { free_quote, position, free_base, symbol_left, total_left, capital, mark });
    let ether = door.funds(ETH);
    assert_eq!((ether.symbol_left, ether.position, ether.mark), (money("4400"), Qty::ZERO, price("0")));
}

#[test]
fn another_venue_and_more_capital_change_what_is_free() {
    let mut door = Door::new(spec(TREND, "maker_fee = 0.001; taker_fee = 0.002", ""));
    door.pass(intent(Buy, limit("100"), "10", Entry, 0));
    let gate = door.risk.gate();
    assert_eq!(gate.exposure().free_quote(), money("8998"), "the dearer fee counts");
    let dear = VenueModel { maker_fee: dec("0.01"), ..door.spec.venue_model };
    assert_eq!(gate.free_under(&dear), money("8990"));
    assert_eq!(gate.free_under(&door.spec.venue_model), money("8998"));
    door.spec.venue_model = dear;
    let shift = supervisor_core::instance::Shift { transfer: money("500"), anew: false, recount: false };
    door.tell(RiskIn::Control(Control::Revise(shift)));
    let gate = door.risk.gate();
    assert_eq!((gate.capital(), gate.exposure().free_quote()), (Some(money("10500")), money("9490")));
    assert_eq!(door.risk.gate().latches(), supervisor_core::risk::Latches::default());
}

#[test]
fn the_duplicate_window_forgets_what_is_older() {
    let mut door = Door::new(spec(TREND, "", "duplicate_window_ms = 0"));
    door.pass(intent(Buy, limit("100"), "1", Entry, 0));
    assert_eq!(door.risk.gate().recent().len(), 1);
    assert_eq!(door.ask(intent(Buy, limit("100"), "1", Entry, 0)).unwrap_err().code, VetoCode::Duplicate);
    (door.now, door.quotes) = (at(1), quoted(1, "100"));
    door.pass(intent(Buy, limit("100"), "1", Entry, 0));
    assert_eq!(door.risk.gate().recent().len(), 1, "a window of nothing is the moment itself");
}

#[test]
fn stopping_and_killing_are_told_apart() {
    let mut door = Door::new(spec(TREND, "", ""));
    for (control, expected) in [
        (Control::Stop(OnStop::Keep), (false, false, true)),
        (Control::Kill, (true, false, true)),
        (Control::Start, (true, false, false)),
        (Control::ClearKill, (false, true, false)),
        (Control::Resume, (false, false, false)),
    ] {
        door.tell(RiskIn::Control(control));
        let latches = door.risk.gate().latches();
        assert_eq!((latches.killed, latches.paused, latches.stopping), expected, "{control:?}");
    }
}

#[test]
fn figures_of_a_veto_are_what_was_seen_and_what_is_allowed() {
    let mut door = Door::new(spec(TREND, "", "max_quote_age_ms = 1000; max_order_qty = 20"));
    let mut refused = |now: i64, intent: Intent| {
        door.now = at(now);
        let veto = door.ask(intent).unwrap_err();
        (veto.code, veto.value.normalize(), veto.limit.normalize())
    };
    let buy = |amount: &str, at: &str| intent(Buy, limit(at), amount, Entry, 0);
    assert_eq!(refused(1_001, buy("1", "100")), (VetoCode::StaleData, dec("1001"), dec("1000")));
    assert_eq!(refused(0, buy("21", "100")), (VetoCode::Quantity, dec("21"), dec("20")));
    assert_eq!(refused(0, buy("-1", "100")), (VetoCode::Quantity, dec("-1"), dec("0")));
    assert_eq!(refused(0, buy("1.0005", "100")), (VetoCode::LotSize, dec("1.0005"), dec("0.001")));
    assert_eq!(refused(0, buy("1", "100.005")), (VetoCode::TickSize, dec("100.005"), dec("0.01")));
    assert_eq!(refused(0, buy("1", "151")), (VetoCode::PriceCollar, dec("151"), dec("150")));
    assert_eq!(refused(0, buy("1", "49")), (VetoCode::PriceCollar, dec("49"), dec("50")));
    assert_eq!(refused(0, buy("0.01", "100")), (VetoCode::MinOrderValue, dec("1"), dec("5")));
    assert_eq!(
        refused(0, intent(Sell, limit("100"), "1", Exit, 0)),
        (VetoCode::FreeBalance, dec("1"), dec("0")),
        "nothing is there to be sold"
    );
    door.pass(buy("1", "100"));
    door.now = at(700);
    let veto = door.ask(buy("1", "100")).unwrap_err();
    assert_eq!((veto.code, veto.value, veto.limit), (VetoCode::Duplicate, dec("700"), dec("2000")));
    door.quotes = Quotes::new(1);
    let veto = door.ask(buy("2", "100")).unwrap_err();
    assert_eq!((veto.code, veto.value), (VetoCode::StaleData, dec("-1")), "a missing quote has no age");
}

#[test]
fn the_word_of_a_code_is_the_word_everywhere_and_its_bit_stays() {
    let words: Vec<&str> = RULES.iter().map(|rule| rule.code.word()).collect();
    assert_eq!(
        words,
        [
            "kill_switch",
            "paused",
            "unreconciled",
            "in_doubt",
            "disputed",
            "stale_data",
            "quantity",
            "lot_size",
            "tick_size",
            "price_collar",
            "max_spread",
            "duplicate",
            "min_order_value",
            "max_capital_per_symbol",
            "max_total_exposure",
            "free_balance",
            "dry_run",
        ]
    );
    for code in RULES.map(|rule| rule.code) {
        assert_eq!(format!("{code}"), code.word());
        assert_eq!(format!("{code:>25}").len(), 25, "it can stand in a column");
    }
    // What is stored does not change its meaning.
    let bits = [VetoCode::KillSwitch, VetoCode::Duplicate, VetoCode::DryRun, VetoCode::Disputed].map(VetoCode::bit);
    assert_eq!(bits, [0, 8, 13, 16]);
}
