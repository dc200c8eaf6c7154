//! A bot at a venue beyond a network whose strategy stays silent, with everything it records and sends as lines.

use std::sync::Arc;

use supervisor_core::domain::{Fill, OrderKind, OrderNo, Purpose, Qty, Side, Timestamp, TradeId};
use supervisor_core::instance::{Audit, Control, Effect, Fact, Input, MarketIn, Outside};
use supervisor_core::orders::{EXIT_TAG, Intent, Order, OrderView, Protect, Report, VenueState};
use supervisor_core::spec::{ExitRules, InstanceSpec, VenueTraits};

use crate::common::{BTC, at, dec, fact_line, intent, limit, market, price, qty, spec};

pub const SECOND: i64 = 1_000;

/// Facts that tell what the monitor does.
const TOLD: [&str; 5] =
    ["order.approved", "risk.vetoed", "order.cancel_wanted", "position.guarded", "position.round_trip"];

pub fn outside(exits: ExitRules) -> InstanceSpec {
    let spec = spec("kind = trend_following", "", "duplicate_window_ms = 1");
    InstanceSpec { venue: VenueTraits::OUTSIDE, exits, ..spec }
}

/// A bot, and the clock.
pub struct Bench {
    pub bot: Outside,
    pub now: i64,
    trades: u64,
}

impl Bench {
    pub fn new(exits: ExitRules) -> Self {
        let mut bench = Self { bot: Outside::new(Arc::new(outside(exits))), now: 0, trades: 0 };
        bench.price("100");
        bench
    }

    /// Holds 1, bought at 100 with a fee of 0.1.
    pub fn holding(exits: ExitRules, protect: Protect) -> Self {
        let mut bench = Self::new(exits);
        assert_eq!(bench.buys("1", market(Some("101")), protect), ["order 1 buy 1 market to 101", "place 1"]);
        bench.fill(1, "1", "100");
        bench
    }

    /// The lines of what follows from an input.
    pub fn put(&mut self, input: Input) -> Vec<String> {
        self.bot.put(at(self.now), input);
        self.lines()
    }

    pub fn lines(&mut self) -> Vec<String> {
        let facts = self.bot.list.drain_facts();
        let of_monitor = |fact: &Fact| TOLD.contains(&fact.word());
        let mut lines: Vec<_> = facts.iter().filter(|r| of_monitor(&r.fact)).map(|r| fact_line(&r.fact)).collect();
        for effect in self.bot.drain_effects() {
            match effect {
                Effect::Place(order) => lines.push(format!("place {}", order.terms().order.0)),
                Effect::Withdraw(order) => lines.push(format!("withdraw {}", order.0)),
                Effect::Ask(_) | Effect::Wake(_) => {}
            }
        }
        lines
    }

    pub fn price(&mut self, last: &str) -> Vec<String> {
        self.put(Input::Market(MarketIn::Point(BTC, price(last))))
    }

    pub fn command(&mut self, control: Control) -> Vec<String> {
        self.command_quietly(control);
        self.lines()
    }

    pub fn command_quietly(&mut self, control: Control) {
        self.bot.list.command(at(self.now), Audit::by_supervisor(control, "a test"));
        self.bot.work();
    }

    /// Wakes the bot whenever it wants to be woken, up to `ms`; what it does, each with its moment.
    pub fn sleep_until(&mut self, ms: i64) -> Vec<String> {
        let mut told = Vec::new();
        while let Some(wake) = self.bot.wake().filter(|wake| *wake <= at(ms)) {
            self.now = self.now.max(wake.millis());
            told.extend(self.put(Input::Wakeup).into_iter().map(|line| format!("{}: {line}", self.now)));
        }
        self.now = ms;
        told
    }

    pub fn wants(&mut self, intent: Intent) -> Vec<String> {
        self.put(Input::Intent(Box::new(intent)))
    }

    pub fn buys(&mut self, amount: &str, kind: OrderKind, protect: Protect) -> Vec<String> {
        self.wants(Intent { protect: Some(protect), ..intent(Side::Buy, kind, amount, Purpose::Entry, 0) })
    }

    /// A limit that rests over the price and has been acknowledged.
    pub fn offers(&mut self, number: u64, amount: &str, at_price: &str) {
        self.wants(intent(Side::Sell, limit(at_price), amount, Purpose::Exit, 1));
        self.view(number, VenueState::Open, "0");
    }

    pub fn report(&mut self, report: Report) -> Vec<String> {
        self.put(Input::Report(report))
    }

    pub fn view(&mut self, number: u64, state: VenueState, filled: &str) -> Vec<String> {
        let order = OrderNo(number);
        let seq = self.order(number).seq + 1;
        self.report(Report::State(OrderView { order, state, filled: qty(filled), seq }))
    }

    pub fn fill(&mut self, number: u64, amount: &str, at_price: &str) -> Vec<String> {
        let fill = self.execution(number, amount, at_price);
        self.report(Report::Fill(fill))
    }

    /// An execution with its fee, not told yet.
    pub fn execution(&mut self, number: u64, amount: &str, at_price: &str) -> Fill {
        self.trades += 1;
        let terms = self.order(number).terms;
        let (price, qty) = (price(at_price), qty(amount));
        let fee = (price * qty) * dec("0.001");
        Fill {
            order: terms.order,
            tag: terms.tag,
            instrument: BTC,
            side: terms.side,
            price,
            qty,
            fee,
            maker: false,
            trade: TradeId(self.trades),
            at: at(self.now),
        }
    }

    pub fn order(&self, number: u64) -> Order {
        let desk = self.bot.stages.orders.desk();
        let found = desk.unsettled().chain(desk.closed()).find(|order| order.terms.order == OrderNo(number));
        found.unwrap().clone()
    }

    pub fn position(&self) -> Qty {
        self.bot.stages.orders.positions()[0].qty()
    }

    pub fn stop(&self) -> Option<String> {
        self.bot.stages.orders.monitor().guard(BTC).and_then(|guard| guard.stop()).map(|stop| stop.to_string())
    }

    pub fn wake_after(&self, since: Timestamp) -> Option<i64> {
        self.bot.wake().map(|wake| wake.since(since))
    }

    /// Base units that our sales may still take, in doubt or not; must never be more than there is.
    pub fn selling(&self) -> Qty {
        let desk = self.bot.stages.orders.desk();
        let sells = |order: &&Order| order.terms.side == Side::Sell;
        let open: Qty = desk.open().values().filter(sells).map(Order::rest).sum();
        open + desk.closing().values().filter(sells).map(Order::owed).sum::<Qty>()
    }

    /// Exits of the monitor that may still fill.
    pub fn exits(&self) -> Vec<Order> {
        let open = self.bot.stages.orders.desk().open().values();
        open.filter(|order| order.terms.tag == EXIT_TAG).cloned().collect()
    }
}

pub fn protect(stop: &str) -> Protect {
    Protect { stop: Some(price(stop)), target: None, trail: None }
}
