//! A bot whose strategy is silent, its clock, and a venue that knows what really happened and answers from that.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;
use supervisor_core::domain::{Fill, InstrumentIx, Notional, OrderNo, Qty, Side, Timestamp};
use supervisor_core::instance::{Audit, Control, Effect, Fact, FactRecord, Input, MarketIn, Outside, OutsideState};
use supervisor_core::orders::{
    Ask, CancelReason, CancelRefusal, CancelRequest, CancelScope, Intent, Life, Order, OrderView, Report, Standing,
    Traded, VenueState,
};
use supervisor_core::spec::InstanceSpec;

use crate::common::{BTC, at, fact_line, price};

pub const SECOND: i64 = 1_000;
pub const MINUTE: i64 = 60 * SECOND;
pub const HOUR: i64 = 60 * MINUTE;

/// What the venue knows of one order. `state` `None`: it never had it.
#[derive(Clone, Debug, Default)]
pub struct Truth {
    pub state: Option<VenueState>,
    pub seq: u64,
    pub trades: Vec<Fill>,
    pub voided: Vec<Fill>,
}

impl Truth {
    pub fn filled(&self) -> Qty {
        self.trades.iter().map(|fill| fill.qty).sum()
    }

    pub fn is_live(&self) -> bool {
        use VenueState::{Armed, Canceled, Expired, Filled, Open, Pending, Rejected};
        match self.state {
            Some(Pending | Armed | Open) => true,
            Some(Filled | Canceled | Expired | Rejected) | None => false,
        }
    }

    fn view(&self, order: OrderNo) -> Option<Report> {
        let (filled, seq) = (self.filled(), self.seq);
        self.state.map(|state| Report::State(OrderView { order, state, filled, seq }))
    }
}

/// What waits for the venue's word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Question {
    Ask(Ask),
    Withdraw(OrderNo),
}

/// See the module. Order number `n` is `venue[n - 1]`.
pub struct Bench {
    pub spec: Arc<InstanceSpec>,
    pub bot: Outside,
    pub now: i64,
    pub venue: Vec<Truth>,
    /// All facts so far, and how many there were when the newest order left.
    pub facts: Vec<FactRecord>,
    pub left: usize,
    placed: BTreeSet<OrderNo>,
    waiting: Vec<Question>,
    told: Option<Vec<String>>,
}

impl Bench {
    /// A bot that has seen one price and wants nothing.
    pub fn new(spec: InstanceSpec) -> Self {
        let spec = Arc::new(spec);
        let bot = Outside::new(spec.clone());
        let mut bench = Self::with(spec, bot, 0, Vec::new());
        bench.quote();
        bench.now = SECOND;
        bench
    }

    /// The price is, and stays, 100.
    pub fn quote(&mut self) {
        self.put(Input::Market(MarketIn::Point(BTC, price("100"))));
    }

    fn with(spec: Arc<InstanceSpec>, bot: Outside, now: i64, venue: Vec<Truth>) -> Self {
        let (placed, waiting) = (BTreeSet::new(), Vec::new());
        Self { spec, bot, now, venue, facts: Vec::new(), left: 0, placed, waiting, told: None }
    }

    /// The same once more, as it was stored. It does not remember its facts.
    pub fn again(&self, state: &OutsideState) -> Self {
        let bot = Outside::resume(self.spec.clone(), state.clone());
        let placed = self.placed.clone();
        Self { placed, ..Self::with(self.spec.clone(), bot, self.now, self.venue.clone()) }
    }

    /// What comes back of it when only `facts` of those after `state` were durable.
    pub fn restarted(&self, state: Option<&OutsideState>, facts: &[FactRecord]) -> Self {
        let bot = Outside::recover(self.spec.clone(), state.map(stored), stored(facts)).unwrap();
        let placed = self.placed.clone();
        let mut bench = Self { placed, ..Self::with(self.spec.clone(), bot, self.now, self.venue.clone()) };
        bench.take();
        bench
    }

    /// It has been away for 10 s, and nobody knows what was missed.
    pub fn reconcile(&mut self) {
        self.now += 10 * SECOND;
        self.command(Control::Reconcile(2));
    }

    /// Keeps what is recorded and sent as lines from here on.
    pub fn listen(&mut self) {
        self.told = Some(Vec::new());
    }

    /// The lines since the last call.
    pub fn told(&mut self) -> String {
        self.told.as_mut().map(std::mem::take).unwrap_or_default().join(", ")
    }

    pub fn put(&mut self, input: Input) {
        self.bot.put(at(self.now), input);
        self.take();
    }

    pub fn command(&mut self, control: Control) {
        self.bot.list.command(at(self.now), Audit::by_supervisor(control, "a test"));
        self.bot.work();
        self.take();
    }

    pub fn wants(&mut self, intent: Intent) {
        self.put(Input::Intent(Box::new(intent)));
    }

    pub fn withdraw(&mut self, order: OrderNo) {
        let (scope, reason) = (CancelScope::Order(order), CancelReason::Replan);
        self.put(Input::Cancel(CancelRequest { scope, reason }));
    }

    /// Facts first: they are durable before anything leaves.
    fn take(&mut self) {
        for record in self.bot.list.drain_facts() {
            let line = if self.told.is_some() { line(&record.fact) } else { None };
            self.tell(line);
            self.facts.push(record);
        }
        for effect in self.bot.drain_effects() {
            match effect {
                Effect::Place(order) => {
                    let order = order.terms().order;
                    assert!(self.placed.insert(order), "order {} leaves twice", order.0);
                    self.left = self.facts.len();
                    self.tell(Some(format!("place {}", order.0)));
                }
                Effect::Withdraw(order) => {
                    self.waiting.push(Question::Withdraw(order));
                    self.tell(Some(format!("withdraw {}", order.0)));
                }
                Effect::Ask(ask) => {
                    self.waiting.push(Question::Ask(ask));
                    self.tell(Some(match ask {
                        Ask::Order(order) => format!("ask {}", order.0),
                        Ask::Trades(..) => "ask trades".to_owned(),
                    }));
                }
                Effect::Wake(_) => {}
            }
        }
        self.check();
    }

    fn tell(&mut self, line: Option<String>) {
        if let (Some(told), Some(line)) = (&mut self.told, line) {
            told.push(line);
        }
    }

    /// Wakes the bot for all that is due by now.
    pub fn wake(&mut self) {
        for _ in 0..100 {
            if self.bot.wake().is_none_or(|wake| wake > at(self.now)) {
                return;
            }
            self.put(Input::Wakeup);
        }
        panic!("the bot wants to be woken without end");
    }

    /// The venue answers nothing of what was asked so far.
    pub fn lose_questions(&mut self) {
        self.waiting.clear();
    }

    /// The venue answers what was asked so far.
    pub fn answer(&mut self) {
        for question in std::mem::take(&mut self.waiting) {
            match question {
                Question::Ask(Ask::Order(order)) => {
                    let view = self.truth(order).view(order);
                    self.put(Input::Report(view.unwrap_or(Report::NotFound(order, at(self.now)))));
                }
                Question::Ask(Ask::Trades(ix, from)) => self.answer_trades(ix, from),
                Question::Withdraw(order) => self.answer_withdraw(order),
            }
        }
    }

    fn truth(&mut self, order: OrderNo) -> &mut Truth {
        let nth = usize::try_from(order.0).unwrap();
        if self.venue.len() < nth {
            self.venue.resize_with(nth, Truth::default);
        }
        &mut self.venue[nth - 1]
    }

    fn answer_trades(&mut self, instrument: InstrumentIx, from: Timestamp) {
        let since = |fill: &&Fill| fill.at >= from;
        let fills = self.venue.iter().flat_map(|truth| truth.trades.iter().filter(since)).map(|f| Report::Fill(*f));
        let busts = self.venue.iter().flat_map(|truth| truth.voided.iter().filter(since)).map(|f| Report::Bust(*f));
        let reports: Vec<Report> = fills.chain(busts).collect();
        reports.into_iter().for_each(|report| self.put(Input::Report(report)));
        let until = at(self.now);
        self.put(Input::Report(Report::Traded(Traded { instrument, from, until, unexplained: false })));
    }

    fn answer_withdraw(&mut self, order: OrderNo) {
        let truth = self.truth(order);
        let report = if truth.is_live() {
            (truth.state, truth.seq) = (Some(VenueState::Canceled), truth.seq + 1);
            truth.view(order).unwrap()
        } else if truth.state.is_some() {
            Report::CancelRejected(order, CancelRefusal::TooLate)
        } else {
            Report::CancelRejected(order, CancelRefusal::Unknown)
        };
        self.put(Input::Report(report));
    }

    /// Time passes, and the venue answers everything at once.
    pub fn pass(&mut self, ms: i64) {
        let until = self.now + ms;
        self.answer();
        let mut turns = 0;
        while let Some(wake) = self.bot.wake().filter(|wake| *wake <= at(until)) {
            turns = if wake.millis() > self.now { 0 } else { turns + 1 };
            assert!(turns < 100, "the bot asks again at once, whatever it is told");
            self.now = self.now.max(wake.millis());
            self.wake();
            self.answer();
        }
        self.now = until;
    }

    /// The same, and every 15 s all open orders and all executions of the account are read, as the account's ledger
    /// does it: of what the desk has acknowledged and the venue does not list, it hears that it is missing.
    pub fn pass_polled(&mut self, ms: i64) {
        let until = self.now + ms;
        while self.now < until {
            self.pass((15 * SECOND).min(until - self.now));
            let trades: Vec<Fill> = self.venue.iter().flat_map(|truth| truth.trades.clone()).collect();
            trades.into_iter().for_each(|fill| self.put(Input::Report(Report::Fill(fill))));
            for order in (1..=self.venue.len() as u64).map(OrderNo) {
                let here = self.order(order.0);
                let news = match self.truth(order) {
                    truth if truth.is_live() => truth.view(order).filter(|_| truth.seq > here.seq),
                    _ => here.life.is_at_venue().then_some(Report::Missing(order)),
                };
                news.into_iter().for_each(|report| self.put(Input::Report(report)));
            }
            self.wake();
        }
    }

    pub fn order(&self, number: u64) -> Order {
        let desk = self.bot.stages.orders.desk();
        let found = desk.unsettled().chain(desk.closed()).find(|order| order.terms.order == OrderNo(number));
        found.unwrap_or_else(|| panic!("order {number} is forgotten")).clone()
    }

    pub fn held(&self, number: u64) -> Qty {
        self.bot.stages.risk.gate().exposure().holds().get(&OrderNo(number)).map_or(Qty::ZERO, |hold| hold.qty)
    }

    pub fn position(&self) -> Qty {
        self.bot.stages.orders.positions()[0].qty()
    }

    pub fn standing(&self) -> Standing {
        assert_eq!(self.bot.stages.orders.standing(), self.bot.stages.risk.gate().standing());
        self.bot.stages.orders.standing()
    }

    /// What must hold after every step: whoever counts the same thing counts the same, and room is held for all that
    /// may still fill, in doubt or not.
    fn check(&self) {
        let stages = &self.bot.stages;
        let (desk, exposure) = (stages.orders.desk(), stages.risk.gate().exposure());
        let mut position = self.spec.capital.base;
        let mut cash = self.spec.capital.quote;
        for order in desk.unsettled().chain(desk.closed()) {
            let number = order.terms.order.0;
            match order.terms.side {
                Side::Buy => (position, cash) = (position + order.filled, cash - order.value - order.fees),
                Side::Sell => (position, cash) = (position - order.filled, cash + order.value - order.fees),
            }
            assert_eq!(order.filled, order.trades.iter().map(|trade| trade.qty).sum(), "executions of {number}");
            // A disputed order that is live is on its way out.
            let is_stray = order.life == Life::Disputed && order.cancel_next.is_some();
            let may_fill = if order.life.is_over() && !is_stray { order.owed() } else { order.rest() };
            // Of more than the whole order, which the venue cannot mean, at least what is left of the order is held.
            let sane = order.claimed.is_none_or(|claimed| claimed <= order.terms.qty);
            let wanted = if sane { may_fill } else { may_fill.min(order.rest()) };
            let held = self.held(number);
            assert!(held == wanted || (!sane && held > wanted), "{held} held for {number}, {}", order.life);
        }
        assert_eq!((stages.orders.positions()[0].qty(), exposure.line(BTC).position), (position, position));
        assert_eq!((exposure.cash(), stages.streak.cash()), (cash, cash));
        assert!(!exposure.free_quote().is_negative() && !exposure.free_base(BTC).is_negative());
        let is_open = |order: &Order| !order.life.is_over();
        assert!(desk.open().values().all(is_open) && !desk.closing().values().any(is_open));
        let settled = |order: &Order| order.life == Life::Settled;
        assert!(desk.closed().iter().all(settled) && !desk.closing().values().any(settled));
    }

    /// What is counted in the end: of each order how it ended, filled, value, fees; then position, its cost and cash.
    pub fn counted(&self) -> Counted {
        let one = |number: usize| {
            let order = self.order(number as u64 + 1);
            (order.shown(), order.filled, order.value, order.fees)
        };
        let held = &self.bot.stages.orders.positions()[0];
        let cash = self.bot.stages.risk.gate().exposure().cash();
        let holds = self.bot.stages.risk.gate().exposure().holds();
        let held_qty = holds.values().map(|hold| hold.qty).sum();
        let held_value = holds.values().map(|hold| hold.price * hold.qty).sum();
        Counted {
            orders: (0..self.venue.len()).map(one).collect(),
            position: (held.qty(), held.cost()),
            cash,
            held: (held_qty, held_value),
        }
    }
}

/// What comes back of what is stored.
fn stored<T: Serialize + ?Sized, Back: DeserializeOwned>(what: &T) -> Back {
    postcard::from_bytes(&postcard::to_allocvec(what).unwrap()).unwrap()
}

/// See [`Bench::counted`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counted {
    pub orders: Vec<(Life, Qty, Notional, Notional)>,
    pub position: (Qty, Notional),
    pub cash: Notional,
    pub held: (Qty, Notional),
}

/// One fact, in words; inputs say nothing that the script does not.
fn line(fact: &Fact) -> Option<String> {
    let line = match fact {
        Fact::Input { .. } | Fact::CancelWanted(_) => return None,
        Fact::Fill(fill) => format!("{} fills {}", fill.order.0, fill.qty),
        Fact::Bust(fill) => format!("{} loses {}", fill.order.0, fill.qty),
        Fact::Ended(ended) => format!("{} ended with {}", ended.terms.order.0, ended.filled),
        Fact::OrderRefused(order, event) => format!("{} refuses {event:?}", order.0),
        Fact::LateFill(order, life) => format!("{} had ended as {life}", order.0),
        Fact::Reopened(order) => format!("{} lives again", order.0),
        Fact::InDoubt(order, ms) => format!("{} in doubt for {} s", order.0, ms / SECOND),
        Fact::Standing(standing) if *standing == Standing::default() => "entries pass".to_owned(),
        Fact::Standing(Standing { unreconciled: true, .. }) => "unreconciled".to_owned(),
        Fact::Standing(Standing { disputed: true, .. }) => "disputed".to_owned(),
        Fact::Standing(_) => "doubtful".to_owned(),
        Fact::Control(audit) => format!("{:?}", audit.control),
        Fact::Reconciled(told) => format!("reconciled {} with {} fills", told.orders, told.fills),
        other => fact_line(other),
    };
    Some(line)
}
