//! Random lives at a venue that loses requests, answers and news, fills in parts and ends orders on its own: our sales
//! never add up to more than is there, and what is to be closed is closed in the end.

use std::collections::BTreeMap;

use supervisor_core::domain::{Fill, OrderKind, OrderNo, Purpose, Qty, Side, TradeId};
use supervisor_core::instance::{Control, Effect, Fact, Input, MarketIn};
use supervisor_core::orders::{
    Ask, CancelReason, CancelRefusal, CancelRequest, CancelScope, EXIT_TAG, Intent, OrderView, Protect, RejectCode,
    Report, Request, Terms, Traded, VenueState,
};
use supervisor_core::sim::SeededRng;
use supervisor_core::spec::{ExitRules, OnStop};

use crate::bench::{Bench, SECOND};
use crate::common::{BTC, at, dec, intent, limit, market, price, qty};

/// An order as it is, whatever the bot knows of it.
struct Real {
    terms: Terms,
    state: VenueState,
    filled: Qty,
    seq: u64,
}

impl Real {
    fn is_live(&self) -> bool {
        self.state == VenueState::Open
    }

    fn rest(&self) -> Qty {
        self.terms.qty - self.filled
    }
}

/// What the runs met, so that the test tests something.
#[derive(Default)]
struct Met {
    guarded: u64,
    exits: u64,
    at_once: u64,
    parts: u64,
    doubts: u64,
    lost: u64,
}

struct World {
    bench: Bench,
    rng: SeededRng,
    orders: BTreeMap<u64, Real>,
    fills: Vec<Fill>,
    held: Qty,
    last: &'static str,
    /// News on its way, by the moment of its arrival.
    news: Vec<(i64, Report)>,
    faults: bool,
    met: Met,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut rng = SeededRng::new(seed);
        let exits = ExitRules {
            max_holding_ms: (rng.below(3) == 0).then_some(40 * SECOND),
            break_even: (rng.below(2) == 0).then(|| dec("0.01")),
            maker_timeout_ms: (rng.below(4) == 0).then_some(20 * SECOND),
        };
        let bench = Bench::new(exits);
        let (orders, fills, news) = (BTreeMap::new(), Vec::new(), Vec::new());
        Self { bench, rng, orders, fills, held: Qty::ZERO, last: "100", news, faults: true, met: Met::default() }
    }

    fn one_in(&mut self, n: u64) -> bool {
        self.faults && self.rng.below(n) == 0
    }

    /// A report on its way: late, out of order, or lost.
    fn tell(&mut self, report: Report) {
        if self.one_in(8) {
            self.met.lost += 1;
            return;
        }
        let delay = if self.faults { self.rng.below(6_000) as i64 } else { 20 };
        self.news.push((self.bench.now + delay, report));
    }

    fn view(&mut self, number: u64) {
        let real = &self.orders[&number];
        let (order, state, filled, seq) = (real.terms.order, real.state, real.filled, real.seq);
        self.tell(Report::State(OrderView { order, state, filled, seq }));
    }

    fn change(&mut self, number: u64, state: VenueState) {
        let real = self.orders.get_mut(&number).unwrap();
        (real.state, real.seq) = (state, real.seq + 1);
        self.view(number);
    }

    /// Part of a live order, or the rest of it, executes.
    fn execute(&mut self, number: u64, share: u64) {
        let real = self.orders.get_mut(&number).unwrap();
        let terms = real.terms;
        let part = real.rest().get() * rust_decimal::Decimal::from(share) / rust_decimal::Decimal::from(4);
        let qty = Qty::new(part.round_dp(3)).min(real.rest());
        if !qty.is_positive() {
            return;
        }
        real.filled += qty;
        real.seq += 1;
        let is_full = !real.rest().is_positive();
        self.held = if terms.side == Side::Buy { self.held + qty } else { self.held - qty };
        let trade = TradeId(self.fills.len() as u64 + 1);
        let (order, tag, side) = (terms.order, terms.tag, terms.side);
        let fee = price("0.1") * qty;
        let price = price(self.last);
        let at = at(self.bench.now);
        let fill = Fill { order, tag, instrument: BTC, side, price, qty, fee, maker: true, trade, at };
        self.fills.push(fill);
        self.tell(Report::Fill(fill));
        if is_full {
            self.change(number, VenueState::Filled);
        }
    }

    fn place(&mut self, terms: Terms) {
        let number = terms.order.0;
        let sells = |real: &&Real| real.is_live() && real.terms.side == Side::Sell;
        let sold: Qty = self.orders.values().filter(sells).map(Real::rest).sum();
        if terms.side == Side::Sell {
            assert!(sold + terms.qty <= self.held, "{sold} and {} of {}", terms.qty, self.held);
        }
        self.met.exits += u64::from(terms.tag == EXIT_TAG);
        if self.one_in(10) {
            return self.tell(Report::NoAnswer(terms.order, Request::Place));
        }
        if self.one_in(12) {
            return self.tell(Report::Rejected(terms.order, RejectCode::Other));
        }
        self.orders.insert(number, Real { terms, state: VenueState::Open, filled: Qty::ZERO, seq: 1 });
        if self.one_in(8) {
            self.tell(Report::NoAnswer(terms.order, Request::Place));
        } else {
            self.view(number);
        }
        if matches!(terms.kind, OrderKind::Market { .. }) {
            let share = if self.faults { self.rng.below(5) } else { 4 };
            self.execute(number, share);
            if self.orders[&number].is_live() && !self.one_in(3) {
                self.change(number, VenueState::Expired);
            }
        }
    }

    fn withdraw(&mut self, order: OrderNo) {
        if self.one_in(5) {
            return;
        }
        match self.orders.get(&order.0).map(Real::is_live) {
            Some(true) => self.change(order.0, VenueState::Canceled),
            Some(false) => self.tell(Report::CancelRejected(order, CancelRefusal::TooLate)),
            None => self.tell(Report::CancelRejected(order, CancelRefusal::Unknown)),
        }
    }

    fn answer(&mut self, ask: Ask) {
        let now = at(self.bench.now);
        match ask {
            Ask::Order(order) if self.orders.contains_key(&order.0) => self.view(order.0),
            Ask::Order(order) => self.tell(Report::NotFound(order, now)),
            Ask::Trades(instrument, from) => {
                // One answer, so that it comes as a whole.
                let since: Vec<Fill> = self.fills.iter().filter(|fill| fill.at >= from).copied().collect();
                since.into_iter().for_each(|fill| self.put(Input::Report(Report::Fill(fill))));
                let traded = Traded { instrument, from, until: now, unexplained: false };
                self.put(Input::Report(Report::Traded(traded)));
            }
        }
    }

    /// Tells the bot something and does what it asks for.
    fn put(&mut self, input: Input) {
        self.bench.bot.put(at(self.bench.now), input);
        self.follow();
    }

    fn follow(&mut self) {
        let (selling, position) = (self.bench.selling(), self.bench.position());
        assert!(selling <= position, "sells {selling} of {position}");
        for record in self.bench.bot.list.drain_facts() {
            self.met.guarded += u64::from(matches!(record.fact, Fact::Guarded(..)));
        }
        self.met.doubts += u64::from(self.bench.bot.stages.orders.desk().in_doubt().0 > 0);
        self.met.parts += u64::from(self.bench.exits().len() > 1);
        let resting = self.bench.bot.stages.orders.desk().open().values().any(|o| o.terms.tag != EXIT_TAG);
        for effect in self.bench.bot.drain_effects() {
            match effect {
                Effect::Place(order) => {
                    self.met.at_once += u64::from(order.terms().tag == EXIT_TAG && resting);
                    self.place(*order.terms());
                }
                Effect::Withdraw(order) => self.withdraw(order),
                Effect::Ask(ask) => self.answer(ask),
                Effect::Wake(_) => {}
            }
        }
    }

    /// Time passes: news arrives and timers go off, each at its moment.
    fn pass(&mut self, ms: i64) {
        let until = self.bench.now + ms;
        loop {
            let first = (0..self.news.len()).min_by_key(|nth| self.news[*nth].0);
            let news = first.map_or(i64::MAX, |nth| self.news[nth].0);
            let wake = self.bench.bot.wake().map_or(i64::MAX, |wake| wake.millis());
            if news.min(wake) > until {
                break;
            }
            self.bench.now = self.bench.now.max(news.min(wake));
            match first {
                Some(nth) if news <= wake => {
                    let report = self.news.swap_remove(nth).1;
                    self.put(Input::Report(report));
                }
                _ => self.put(Input::Wakeup),
            }
        }
        self.bench.now = until;
    }

    fn quote(&mut self, last: &'static str) {
        self.last = last;
        self.put(Input::Market(MarketIn::Point(BTC, price(last))));
    }

    fn live(&mut self) -> Option<u64> {
        let live: Vec<u64> = self.orders.iter().filter(|(_, real)| real.is_live()).map(|(number, _)| *number).collect();
        let pick = self.rng.below(live.len() as u64) as usize;
        live.get(pick).copied()
    }

    fn wish(&mut self) -> Intent {
        let amount = ["0.1", "0.25", "0.3", "0.5", "1"][self.rng.below(5) as usize];
        let tag = self.rng.below(1_000) as u32;
        if self.rng.below(5) < 3 {
            let kind = if self.rng.below(2) == 0 { market(Some("110")) } else { limit("99") };
            let trail = (self.rng.below(3) == 0).then(|| price("3"));
            let protect = Protect { stop: Some(price("96")), target: Some(price("104")), trail };
            Intent { protect: Some(protect), ..intent(Side::Buy, kind, amount, Purpose::Entry, tag) }
        } else {
            let kind = if self.rng.below(3) == 0 { market(None) } else { limit("103") };
            intent(Side::Sell, kind, amount, Purpose::Exit, tag)
        }
    }

    fn turn(&mut self) {
        match self.rng.below(12) {
            0..3 => {
                let last = ["94", "95.9", "97", "98", "99", "100", "101", "102", "103", "105"];
                let pick = self.rng.below(10) as usize;
                self.quote(last[pick]);
            }
            3..6 => {
                let intent = self.wish();
                self.put(Input::Intent(Box::new(intent)));
            }
            6..8 => {
                let share = self.rng.below(5);
                if let Some(number) = self.live() {
                    self.execute(number, share);
                }
            }
            8 => {
                if let Some(number) = self.live().filter(|_| self.rng.below(3) == 0) {
                    self.change(number, VenueState::Canceled);
                }
            }
            9 => {
                let scope = CancelScope::Entries(BTC);
                self.put(Input::Cancel(CancelRequest { scope, reason: CancelReason::Replan }));
            }
            _ => {
                let ms = self.rng.below(5_000) as i64;
                self.pass(ms);
            }
        }
    }

    /// The faults stop, and a person closes everything.
    fn end(&mut self, seed: u64) -> Met {
        self.faults = false;
        self.bench.command_quietly(Control::Stop(OnStop::Flatten));
        self.follow();
        for _ in 0..120 {
            self.pass(5 * SECOND);
            self.quote("97");
        }
        let live: Vec<&Terms> = self.orders.values().filter(|real| real.is_live()).map(|real| &real.terms).collect();
        assert!(live.is_empty(), "seed {seed}: {live:?}");
        assert_eq!(self.bench.position(), self.held, "seed {seed}");
        assert!(self.held < qty("0.06"), "seed {seed}: {} is left", self.held);
        std::mem::take(&mut self.met)
    }
}

#[test]
fn sales_never_add_up_to_more_than_there_is_and_a_position_is_closed_in_the_end() {
    let mut all = Met::default();
    for seed in 0..1_000 {
        let mut world = World::new(seed);
        (0..250).for_each(|_| world.turn());
        let met = world.end(seed);
        all.guarded += met.guarded;
        all.exits += met.exits;
        all.at_once += met.at_once;
        all.parts += met.parts;
        all.doubts += met.doubts;
        all.lost += met.lost;
    }
    let Met { guarded, exits, at_once, parts, doubts, lost } = all;
    println!("{guarded} exits set off, {exits} sent, {at_once} beside resting orders, {lost} pieces of news lost");
    println!("{parts} looks at several exits at once, {doubts} at orders in doubt");
    assert!(guarded > 2_000 && exits > 5_000 && at_once > 2_000, "{guarded} {exits} {at_once}");
    assert!(parts > 3_000 && doubts > 100_000 && lost > 8_000, "{parts} {doubts} {lost}");
}
