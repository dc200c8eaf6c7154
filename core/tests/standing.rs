//! The gate and what is in doubt: what keeps entries from passing, and what stays held against what was thought.

#![allow(clippy::unwrap_used, reason = "a test may stop at what cannot be")]

mod common;

use common::{BTC, at, intent, limit, market, money, price, qty, quoted, spec};
use supervisor_core::domain::{Fill, OrderNo, Purpose, Quotes, Side, Tag, TradeId};
use supervisor_core::instance::{Control, Cx, Event, RiskIn};
use supervisor_core::orders::{Intent, Life, OrderEnded, Standing, Terms};
use supervisor_core::risk::{Risk, VetoCode};
use supervisor_core::spec::{IdClass, InstanceSpec, VenueTraits};

use Purpose::{Entry, Exit};
use Side::{Buy, Sell};

struct Door {
    risk: Risk,
    spec: InstanceSpec,
    quotes: Quotes,
    now: i64,
}

impl Door {
    fn new(venue: VenueTraits) -> Self {
        let spec = InstanceSpec { venue, ..spec("kind = trend_following", "", "min_order_value = 5") };
        Self { risk: Risk::new(&spec), spec, quotes: quoted(0, "100"), now: 0 }
    }

    fn tell(&mut self, message: RiskIn) -> Vec<Event> {
        let mut out = Vec::new();
        self.risk.on(&Cx { at: at(self.now), quotes: &self.quotes, spec: &self.spec }, message, &mut out);
        out
    }

    fn ask(&mut self, intent: Intent) -> Result<Terms, Vec<VetoCode>> {
        match self.tell(RiskIn::Review(Box::new(intent))).remove(0) {
            Event::Approved { order, .. } => Ok(*order.terms()),
            Event::Vetoed { veto, .. } => Err(veto.failed_codes().collect()),
            other => panic!("{other:?}"),
        }
    }

    fn later(&mut self, ms: i64) {
        self.now += ms;
        self.quotes = quoted(self.now, "100");
    }

    fn fill(&mut self, terms: &Terms, amount: &str) -> Fill {
        let (tag, instrument, side, order) = (terms.tag, terms.instrument, terms.side, terms.order);
        let (price, qty, fee, trade) = (price("100"), qty(amount), money("0.1"), TradeId(order.0));
        let fill = Fill { order, tag, instrument, side, price, qty, fee, maker: true, trade, at: at(self.now) };
        self.tell(RiskIn::Fill(fill));
        fill
    }

    fn end(&mut self, terms: Terms, filled: &str) {
        let ended = OrderEnded { terms, life: Life::Canceled, filled: qty(filled), reason: None };
        self.tell(RiskIn::Ended(ended));
    }

    fn held(&self) -> (rust_decimal::Decimal, rust_decimal::Decimal) {
        let line = self.risk.gate().exposure().line(BTC);
        (line.buy_held.get().normalize(), line.sell_held.get().normalize())
    }
}

fn buy(amount: &str) -> Intent {
    intent(Buy, limit("99"), amount, Entry, 0)
}

#[test]
fn what_is_in_doubt_keeps_entries_off_and_lets_exits_pass() {
    let nothing = Standing::default();
    for (standing, codes) in [
        (Standing { unreconciled: true, ..nothing }, vec![VetoCode::Unreconciled]),
        (Standing { doubtful: true, ..nothing }, vec![VetoCode::InDoubt]),
        (Standing { disputed: true, ..nothing }, vec![VetoCode::Disputed]),
        (
            Standing { unreconciled: true, doubtful: true, disputed: true },
            vec![VetoCode::Unreconciled, VetoCode::InDoubt, VetoCode::Disputed],
        ),
    ] {
        let mut door = Door::new(VenueTraits::OUTSIDE);
        let bought = door.ask(buy("1")).unwrap();
        door.fill(&bought, "1");
        door.tell(RiskIn::Standing(standing));
        assert_eq!(door.ask(buy("0.5")), Err(codes.clone()));
        assert_eq!(door.ask(intent(Buy, limit("99"), "0.6", Exit, 0)), Err(codes), "a buy is an entry");
        assert!(door.ask(intent(Sell, market(None), "1", Exit, 0)).is_ok());
        door.tell(RiskIn::Standing(nothing));
        assert!(door.ask(buy("0.7")).is_ok());
    }
}

#[test]
fn not_an_entry_passes_between_a_start_and_the_word_of_the_order_stage() {
    let mut outside = Door::new(VenueTraits::OUTSIDE);
    outside.tell(RiskIn::Control(Control::Reconcile(2)));
    assert_eq!(outside.ask(buy("1")), Err(vec![VetoCode::Unreconciled]));
    let mut paper = Door::new(VenueTraits::PAPER);
    paper.tell(RiskIn::Control(Control::Reconcile(2)));
    assert!(paper.ask(buy("1")).is_ok(), "a venue that is certain is asked nothing");
}

#[test]
fn without_client_ids_an_order_waits_for_the_end_of_its_twin() {
    let nameless = VenueTraits { ids: IdClass::None, ..VenueTraits::OUTSIDE };
    for (venue, refused) in [(nameless, true), (VenueTraits::OUTSIDE, false)] {
        let mut door = Door::new(venue);
        let first = door.ask(buy("1")).unwrap();
        door.later(60_000);
        assert_eq!(door.ask(buy("1")).is_err(), refused, "long after the window");
        assert!(door.ask(buy("1.1")).is_ok(), "another quantity");
        assert!(door.ask(intent(Buy, limit("98"), "1", Entry, 0)).is_ok(), "another price");
        door.fill(&first, "0.4");
        door.later(60_000);
        assert_eq!(door.ask(buy("1")).is_err(), refused, "half filled, it is still there");
        door.end(first, "0.4");
        door.later(60_000);
        // The other venue took two more of them meanwhile.
        assert!(door.ask(buy("1")).is_ok(), "its twin is over");
    }
}

#[test]
fn what_may_still_fill_is_held_whatever_was_thought_before() {
    let mut door = Door::new(VenueTraits::OUTSIDE);
    let order = door.ask(buy("2")).unwrap();
    assert_eq!(door.held().0, common::dec("198"));
    door.end(order, "0");
    assert_eq!(door.held().0, common::dec("0"));
    door.tell(RiskIn::Hold(order, qty("2")));
    assert_eq!(door.held().0, common::dec("198"), "live after all");
    door.tell(RiskIn::Hold(order, qty("1.5")));
    assert_eq!(door.held().0, common::dec("148.5"), "no more than that");
    let fill = door.fill(&order, "0.5");
    assert_eq!((door.held().0, door.risk.gate().exposure().line(BTC).position), (common::dec("99"), qty("0.5")));
    door.tell(RiskIn::Bust(fill));
    let exposure = door.risk.gate().exposure();
    assert_eq!((exposure.line(BTC).position, exposure.cash()), (qty("0"), money("10000")));
    door.tell(RiskIn::Hold(order, qty("0")));
    assert!(door.risk.gate().exposure().holds().is_empty());
    assert_eq!(order.order, OrderNo(1));
    assert_eq!(order.tag, Tag(0));
}

#[test]
fn a_void_sale_gives_the_base_back_and_takes_its_money() {
    let mut door = Door::new(VenueTraits::OUTSIDE);
    let bought = door.ask(buy("1")).unwrap();
    door.fill(&bought, "1");
    let sale = door.ask(intent(Sell, limit("101"), "1", Exit, 0)).unwrap();
    assert_eq!(door.held().1, common::dec("1"));
    let before = door.risk.gate().exposure().cash();
    let fill = door.fill(&sale, "1");
    assert_eq!(door.risk.gate().exposure().cash(), before + money("99.9"));
    door.tell(RiskIn::Bust(fill));
    let exposure = door.risk.gate().exposure();
    assert_eq!((exposure.line(BTC).position, exposure.cash()), (qty("1"), before));
}
