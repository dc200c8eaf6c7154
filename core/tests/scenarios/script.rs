//! Scripts: what the venue tells, step by step, in words, and what its books say in the end.
//!
//! A step is one of `pending`, `armed`, `open Q`, `filled Q`, `canceled Q`, `expired Q`, `rejected Q` (a state, with
//! what the venue says it filled; each is newer than those before it in the script), `fill Q`, `bust N` (the N-th
//! execution of the script is void), `late` and `unknown` (a cancel is refused), `missing` (in a list of open orders),
//! `absent MS` (a look did not find it so long after it was sent), `read MS` (executions up to then hold nothing else),
//! `lost place`, `lost cancel`, and `withdraw`, which is ours. `2: ` in front of it: it is about the second order.

use supervisor_core::domain::{Fill, Notional, OrderKind, OrderNo, Purpose, Qty, Side, TradeId};
use supervisor_core::orders::{CancelRefusal, Intent, Life, OrderView, Origin, Report, Request, Traded, VenueState};
use supervisor_core::spec::{InstanceSpec, VenueTraits};

use crate::bench::{Bench, SECOND, Truth};
use crate::common::{BTC, at, dec, intent, limit, market, price, qty, spec};

/// One step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Step {
    /// We want the order withdrawn.
    Withdraw(OrderNo),
    /// The venue, or the network, tells.
    Tell(Report),
}

/// What is sent, what is told about it, and how it ends.
pub struct Scenario {
    pub spec: InstanceSpec,
    pub intents: Vec<Intent>,
    pub words: Vec<String>,
    pub steps: Vec<Step>,
    pub venue: Vec<Truth>,
    /// How each order is shown in the end.
    pub ends: Vec<Life>,
    /// True when what is not told comes out only because open orders and executions are read every 15 s.
    pub polled: bool,
}

/// A spec of a bot at a venue beyond a network.
pub fn outside() -> InstanceSpec {
    let spec = spec("kind = trend_following", "", "duplicate_window_ms = 1");
    InstanceSpec { venue: VenueTraits::OUTSIDE, ..spec }
}

pub fn buy(amount: &str, at_price: &str) -> Intent {
    let wanted = intent(Side::Buy, limit(at_price), amount, Purpose::Entry, 7);
    Intent { origin: Origin::Operator, ..wanted }
}

pub fn buy_now(amount: &str) -> Intent {
    Intent { kind: market(Some("101")), ..buy(amount, "99") }
}

pub fn sell(amount: &str, at_price: &str) -> Intent {
    Intent { side: Side::Sell, purpose: Purpose::Exit, ..buy(amount, at_price) }
}

fn live(state: &str) -> VenueState {
    match state {
        "pending" => VenueState::Pending,
        "armed" => VenueState::Armed,
        "open" => VenueState::Open,
        "filled" => VenueState::Filled,
        "canceled" => VenueState::Canceled,
        "expired" => VenueState::Expired,
        "rejected" => VenueState::Rejected,
        other => panic!("no state: {other}"),
    }
}

/// `2: fill 0.4` as order, word and figure.
fn split(step: &str) -> (usize, &str, &str) {
    let (order, rest) = step.split_once(": ").unwrap_or(("1", step));
    let (word, figure) = rest.split_once(' ').unwrap_or((rest, "0"));
    (order.parse().unwrap(), word, figure)
}

/// The `nth` execution of a script; each at a price of its own, with a fee of 0.1 %.
pub fn execution(order: OrderNo, intent: &Intent, nth: u64, amount: &str) -> Fill {
    let improved = match intent.kind {
        OrderKind::Limit(price) => price,
        OrderKind::Market { .. } => price("100"),
    };
    let price = improved - price("0.01") * dec(&nth.to_string());
    let Intent { tag, side, .. } = *intent;
    let qty = qty(amount);
    let fee = Notional::new((price * qty).get() * dec("0.001"));
    let (trade, at) = (TradeId(nth), at(SECOND + i64::try_from(nth).unwrap()));
    Fill { order, tag, instrument: BTC, side, price, qty, fee, maker: true, trade, at }
}

/// The executions of a script, in its order.
fn executions(intents: &[Intent], steps: &[&str]) -> Vec<Fill> {
    let fills = steps.iter().map(|step| split(step)).filter(|(_, word, _)| *word == "fill");
    let one = |(nth, (order, _, amount)): (usize, (usize, &str, &str))| {
        execution(OrderNo(order as u64), &intents[order - 1], nth as u64 + 1, amount)
    };
    fills.enumerate().map(one).collect()
}

/// The steps in values.
fn read(intents: &[Intent], steps: &[&str]) -> Vec<Step> {
    let fills = executions(intents, steps);
    let (mut seqs, mut next) = (vec![0; intents.len()], 0);
    let mut one = |step: &&str| {
        let (nth, word, figure) = split(step);
        let order = OrderNo(nth as u64);
        let after = || at(SECOND + figure.parse::<i64>().unwrap());
        Step::Tell(match (word, figure) {
            ("withdraw", _) => return Step::Withdraw(order),
            ("fill", _) => {
                next += 1;
                Report::Fill(fills[next - 1])
            }
            ("bust", _) => Report::Bust(fills[figure.parse::<usize>().unwrap() - 1]),
            ("late", _) => Report::CancelRejected(order, CancelRefusal::TooLate),
            ("unknown", _) => Report::CancelRejected(order, CancelRefusal::Unknown),
            ("missing", _) => Report::Missing(order),
            ("absent", _) => Report::NotFound(order, after()),
            ("read", _) => Report::Traded(Traded { instrument: BTC, from: at(0), until: after(), unexplained: false }),
            ("lost", "place") => Report::NoAnswer(order, Request::Place),
            ("lost", "cancel") => Report::NoAnswer(order, Request::Cancel),
            (state, filled) => {
                seqs[nth - 1] += 1;
                let seq = seqs[nth - 1];
                Report::State(OrderView { order, state: live(state), filled: qty(filled), seq })
            }
        })
    };
    steps.iter().map(&mut one).collect()
}

/// What the venue's books say of an order in the end: its state is the last one of the script, or what `books` says,
/// and its executions are those that are not void.
fn truth(order: OrderNo, steps: &[Step], books: Option<&str>) -> Truth {
    let mut truth = Truth::default();
    let mut told = None;
    for step in steps {
        match step {
            Step::Tell(Report::State(view)) if view.order == order => told = Some(*view),
            Step::Tell(Report::Fill(fill)) if fill.order == order => truth.trades.push(*fill),
            Step::Tell(Report::Bust(fill)) if fill.order == order => truth.voided.push(*fill),
            Step::Tell(_) | Step::Withdraw(_) => {}
        }
    }
    let voided = truth.voided.clone();
    truth.trades.retain(|fill| !voided.contains(fill));
    truth.state = books.map_or(told.map(|view| view.state), |state| (state != "nothing").then(|| live(state)));
    let said = told.map(|view| (Some(view.state), view.filled));
    let seq = told.map_or(0, |view| view.seq);
    truth.seq = if said == Some((truth.state, truth.filled())) { seq } else { seq + 1 };
    truth
}

impl Scenario {
    /// `books`: what the venue has the orders as, when it is not the last state of the script; `ends`: how they end
    /// here, each with what is filled.
    pub fn new(intents: Vec<Intent>, steps: &[&str], books: Option<&str>, ends: &str) -> Self {
        let values = read(&intents, steps);
        let venue: Vec<Truth> = (1..=intents.len() as u64).map(|n| truth(OrderNo(n), &values, books)).collect();
        let ends: Vec<(Life, Qty)> = ends.split(", ").map(end).collect();
        let filled: Vec<Qty> = venue.iter().map(Truth::filled).collect();
        assert_eq!(filled, ends.iter().map(|(_, filled)| *filled).collect::<Vec<_>>(), "the venue's executions");
        Self {
            spec: outside(),
            intents,
            words: steps.iter().map(|step| (*step).to_owned()).collect(),
            steps: values,
            venue,
            ends: ends.into_iter().map(|(life, _)| life).collect(),
            polled: false,
        }
    }

    /// The bot with its orders on their way.
    pub fn begin(&self) -> Bench {
        let mut bench = Bench::new(self.spec.clone());
        self.intents.iter().for_each(|intent| bench.wants(intent.clone()));
        bench.venue.clone_from(&self.venue);
        bench
    }
}

/// `canceled 0.4`.
fn end(text: &str) -> (Life, Qty) {
    let (word, filled) = text.split_once(' ').unwrap();
    let life = Life::ALL.into_iter().find(|life| life.word() == word);
    (life.unwrap_or_else(|| panic!("no state: {word}")), qty(filled))
}
