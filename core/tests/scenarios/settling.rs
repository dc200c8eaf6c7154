//! What comes after the end: quiet, settlement, disputes, and orders that never left.

use supervisor_core::domain::{ClientId, OrderNo, Qty};
use supervisor_core::instance::{Control, Input};
use supervisor_core::orders::{Life, OrderView, Report, VenueState};

use crate::bench::{Bench, HOUR, MINUTE, SECOND, Truth};
use crate::common::{at, qty};
use crate::script::{buy, execution, outside};

const ONE: OrderNo = OrderNo(1);

/// One order to buy 1 at 99, on its way; the venue answers nothing by itself.
pub fn begun() -> Bench {
    let mut bench = Bench::new(outside());
    bench.wants(buy("1", "99"));
    bench.venue = vec![Truth::default()];
    bench.listen();
    bench
}

pub fn view(bench: &mut Bench, state: VenueState, filled: &str, seq: u64) {
    bench.put(Input::Report(Report::State(OrderView { order: ONE, state, filled: qty(filled), seq })));
}

pub fn fill(bench: &mut Bench, nth: u64, amount: &str) {
    bench.put(Input::Report(Report::Fill(execution(ONE, &buy("1", "99"), nth, amount))));
}

/// Time passes, and nobody answers.
pub fn in_silence(bench: &mut Bench, ms: i64) {
    let until = bench.now + ms;
    while let Some(wake) = bench.bot.wake().filter(|wake| *wake <= at(until)) {
        bench.now = bench.now.max(wake.millis());
        bench.wake();
        bench.lose_questions();
    }
    bench.now = until;
}

/// Canceled with 0.4, all of it known.
fn canceled() -> Bench {
    let mut bench = begun();
    fill(&mut bench, 1, "0.4");
    view(&mut bench, VenueState::Canceled, "0.4", 2);
    bench.told();
    bench
}

fn lives(bench: &Bench) -> (Life, Life, usize, usize) {
    let (order, desk) = (bench.order(1), bench.bot.stages.orders.desk());
    (order.life, order.shown(), desk.closing().len(), desk.closed().len())
}

#[test]
fn an_order_is_settled_after_ten_quiet_minutes_and_not_a_millisecond_earlier() {
    let mut bench = canceled();
    in_silence(&mut bench, 9 * MINUTE);
    view(&mut bench, VenueState::Canceled, "0.4", 2);
    in_silence(&mut bench, 10 * MINUTE - 1);
    assert_eq!(lives(&bench), (Life::Canceled, Life::Canceled, 1, 0), "news after nine minutes: the ten begin anew");
    in_silence(&mut bench, 1);
    assert_eq!(lives(&bench), (Life::Settled, Life::Canceled, 0, 1));
    assert_eq!(bench.told(), "", "no fact: it follows from those before");
    assert_eq!(bench.bot.wake(), None);
}

#[test]
fn an_order_whose_executions_are_missing_is_never_settled_and_keeps_its_hold() {
    let mut bench = begun();
    view(&mut bench, VenueState::Canceled, "0.4", 2);
    assert_eq!(bench.told(), "1 is canceled, 1 ended with 0.4");
    in_silence(&mut bench, 5 * HOUR);
    assert_eq!((lives(&bench).2, lives(&bench).3, bench.held(1)), (1, 0, qty("0.4")));
    let told = bench.told();
    assert!(told.starts_with("ask trades, ask 1, ask trades, ask 1, ask trades"), "{told}");
    assert_eq!(told.matches("1 in doubt for 30 s").count(), 1);
    assert_eq!(told.matches("1 in doubt for 120 s, doubtful").count(), 1);
    fill(&mut bench, 1, "0.4");
    assert_eq!(bench.told(), "1 fills 0.4, 1 had ended as canceled, entries pass");
    assert_eq!((bench.held(1), bench.position()), (Qty::ZERO, qty("0.4")));
    in_silence(&mut bench, 10 * MINUTE);
    assert_eq!(lives(&bench), (Life::Settled, Life::Canceled, 0, 1));
}

#[test]
fn an_order_that_is_asked_about_is_not_settled() {
    let mut bench = begun();
    fill(&mut bench, 1, "1");
    view(&mut bench, VenueState::Rejected, "1", 2);
    assert_eq!(bench.told(), "1 fills 1, 1 is filled, 1 ended with 1, 1 refuses Reject");
    in_silence(&mut bench, HOUR);
    assert_eq!(lives(&bench), (Life::Filled, Life::Filled, 1, 0));
    view(&mut bench, VenueState::Filled, "1", 3);
    in_silence(&mut bench, 10 * MINUTE);
    assert_eq!(lives(&bench), (Life::Settled, Life::Filled, 0, 1));
}

#[test]
fn older_news_changes_nothing_and_raises_no_question() {
    let mut bench = canceled();
    for (state, filled) in [(VenueState::Pending, "0"), (VenueState::Open, "0"), (VenueState::Open, "0.4")] {
        view(&mut bench, state, filled, 1);
    }
    in_silence(&mut bench, MINUTE);
    assert_eq!((bench.told().as_str(), bench.order(1).claimed), ("", Some(qty("0.4"))));
    let mut bench = begun();
    view(&mut bench, VenueState::Open, "0", 5);
    view(&mut bench, VenueState::Canceled, "0", 4);
    assert_eq!((bench.told().as_str(), bench.order(1).life), ("1 is open", Life::Open));
}

#[test]
fn a_fill_after_settlement_is_in_the_position_and_a_person_must_say_what_it_is() {
    let mut bench = canceled();
    in_silence(&mut bench, HOUR);
    fill(&mut bench, 2, "0.2");
    assert_eq!(bench.told(), "1 fills 0.2, 1 had ended as canceled, 1 is disputed, disputed");
    assert_eq!((bench.position(), lives(&bench)), (qty("0.6"), (Life::Disputed, Life::Disputed, 1, 0)));
    fill(&mut bench, 2, "0.2");
    assert_eq!((bench.told().as_str(), bench.position()), ("", qty("0.6")), "the same execution");
    in_silence(&mut bench, 5 * HOUR);
    assert_eq!(bench.told(), "", "nothing is asked: the venue has said what it has to say");
    bench.wants(buy("1", "98"));
    assert_eq!(bench.told(), "veto 2 disputed");
    bench.command(Control::Resolve(ONE, Life::Open));
    assert_eq!(bench.told(), "Resolve(OrderNo(1), Open)", "no end");
    bench.command(Control::Resolve(ONE, Life::Canceled));
    assert_eq!(bench.told(), "Resolve(OrderNo(1), Canceled), 1 is canceled, 1 ended with 0.6, entries pass");
    in_silence(&mut bench, 10 * MINUTE);
    assert_eq!((bench.position(), lives(&bench)), (qty("0.6"), (Life::Settled, Life::Canceled, 0, 1)));
}

#[test]
fn a_person_settles_disputes_and_nothing_else() {
    let mut bench = begun();
    for life in Life::ALL {
        bench.command(Control::Resolve(ONE, life));
        assert_eq!(bench.order(1).life, Life::InFlight);
    }
    let mut bench = canceled();
    for life in Life::ALL {
        bench.command(Control::Resolve(ONE, life));
        assert_eq!(bench.order(1).life, Life::Canceled);
    }
}

#[test]
fn a_settled_order_that_the_venue_shows_live_is_disputed() {
    let mut bench = canceled();
    in_silence(&mut bench, HOUR);
    view(&mut bench, VenueState::Open, "0.4", 3);
    assert_eq!(bench.told(), "1 is disputed, 1 lives again, disputed, withdraw 1");
    assert_eq!(
        (lives(&bench), bench.held(1)),
        ((Life::Disputed, Life::Disputed, 1, 0), qty("0.6")),
        "it may still fill"
    );
    in_silence(&mut bench, 2 * SECOND);
    assert_eq!(bench.told(), "withdraw 1", "until it is gone");
    view(&mut bench, VenueState::Canceled, "0.4", 4);
    in_silence(&mut bench, HOUR);
    assert_eq!((bench.told().as_str(), bench.held(1)), ("", Qty::ZERO));
}

#[test]
fn an_order_that_was_kept_back_and_is_at_the_venue_is_disputed() {
    let with = ClientId { instance: outside().id, epoch: 1, order: OrderNo(9) };
    for crosses in [false, true] {
        let begin = || {
            let mut bench = begun();
            if crosses {
                bench.bot.list.cross(ONE, with)
            } else {
                bench.bot.list.withhold(ONE)
            };
            bench.bot.work();
            bench.put(Input::Wakeup);
            let told = bench.told();
            assert!(told.ends_with("1 is never-sent, 1 ended with 0"), "{told}");
            assert_eq!(bench.held(1), Qty::ZERO);
            bench
        };
        let mut bench = begin();
        fill(&mut bench, 1, "0.4");
        assert_eq!(bench.told(), "1 fills 0.4, 1 had ended as never-sent, 1 is disputed, disputed");
        assert_eq!(bench.position(), qty("0.4"));
        let mut bench = begin();
        view(&mut bench, VenueState::Open, "0", 1);
        assert_eq!(bench.told(), "1 is disputed, 1 lives again, disputed, withdraw 1");
        assert_eq!(bench.held(1), qty("1"));
        let mut bench = begin();
        in_silence(&mut bench, HOUR);
        assert_eq!((bench.told().as_str(), lives(&bench)), ("", (Life::Settled, Life::NeverSent, 0, 1)));
    }
}

#[test]
fn news_of_an_order_that_nobody_here_knows_is_recorded() {
    let mut bench = begun();
    let order = OrderNo(5);
    bench.put(Input::Report(Report::State(OrderView { order, state: VenueState::Open, filled: Qty::ZERO, seq: 1 })));
    bench.put(Input::Report(Report::NotFound(order, at(20 * SECOND))));
    assert_eq!(bench.told(), "5 refuses Live");
}
