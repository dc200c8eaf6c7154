//! The line between an instance and its paper venue, when it is to lose messages.
//!
//! Owns what is under way on it, and the record of what the venue truly did with each order, so that questions can be
//! answered after the fact. Promises: news (fills, ends by themselves) arrives at once and in order; a request or its
//! answer may be lost, and then the instance hears, after the time that an answer may take, that there was none; the
//! same seed loses the same messages. Never: an order lost, or made twice, at the venue itself.

use std::collections::{BTreeMap, VecDeque};

use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;
use serde::{Deserialize, Serialize};

use super::rng::SeededRng;
use crate::domain::{Fill, InstrumentIx, OrderNo, Qty, Timestamp};
use crate::orders::{Ask, CancelRefusal, OrderView, Report, Request, Traded, VenueState};
use crate::spec::{InstanceSpec, VenueFaults};

/// For so long after a loss the instance is still finding out what became of it, ms.
const FINDING_OUT_MS: i64 = 600_000;
/// The record of an order is kept for so many look-backs after its end.
const LOOK_BACKS: i64 = 2;

/// What the venue knows of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Truth {
    state: VenueState,
    filled: Qty,
    seq: u64,
}

/// What happens on the line at its moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Due {
    /// A question reaches the venue.
    Asked(Ask),
    /// The instance waits for this answer no longer.
    NoAnswer(OrderNo, Request),
}

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    faults: VenueFaults,
    answer_ms: i64,
    kept_ms: i64,
    rng: SeededRng,
    /// In the order of time, ties as they came.
    due: VecDeque<(Timestamp, Due)>,
    orders: BTreeMap<OrderNo, Truth>,
    /// Orders that are over, as they ended.
    over: VecDeque<(Timestamp, OrderNo)>,
    /// Executions, the oldest first.
    fills: VecDeque<Fill>,
    /// Orders about which a message was lost, and when the newest one was, until the venue's word about them came.
    lost: BTreeMap<OrderNo, Timestamp>,
}

impl Line {
    /// The line of an instance; `None` when nothing gets lost on it.
    #[must_use]
    pub fn new(spec: &InstanceSpec) -> Option<Box<Self>> {
        spec.faults.any().then(|| {
            Box::new(Self {
                faults: spec.faults,
                answer_ms: spec.venue.answer_ms,
                kept_ms: LOOK_BACKS * spec.venue.look_back_ms,
                rng: SeededRng::new(spec.faults.seed),
                due: VecDeque::new(),
                orders: BTreeMap::new(),
                over: VecDeque::new(),
                fills: VecDeque::new(),
                lost: BTreeMap::new(),
            })
        })
    }

    /// Loses by other shares from here on; another seed begins anew.
    pub(super) fn revise(&mut self, faults: VenueFaults) {
        if faults.seed != self.faults.seed {
            self.rng = SeededRng::new(faults.seed);
        }
        self.faults = faults;
    }

    /// When something happens on it next.
    #[must_use]
    pub fn next(&self) -> Option<Timestamp> {
        self.due.front().map(|(at, _)| *at)
    }

    /// True while something is under way, or the instance may still be finding out what became of a lost message.
    #[must_use]
    pub fn is_busy(&self, at: Timestamp) -> bool {
        !self.due.is_empty() || self.lost.values().any(|lost| at.since(*lost) <= FINDING_OUT_MS)
    }

    /// A request leaves. False: it is lost, and nobody will answer it.
    pub(super) fn sends(&mut self, at: Timestamp, order: OrderNo, request: Request) -> bool {
        let arrives = !self.loses(self.faults.lost_requests);
        if !arrives {
            self.no_answer(at, order, request);
        }
        arrives
    }

    /// A question leaves; it arrives at `arrives`, unless it is lost.
    pub(super) fn ask(&mut self, at: Timestamp, arrives: Timestamp, ask: Ask) {
        if !self.loses(self.faults.lost_requests) {
            self.put(arrives, Due::Asked(ask));
        } else if let Ask::Order(order) = ask {
            self.no_answer(at, order, Request::Query);
        }
    }

    /// What happens at this moment: answers, and answers that are given up.
    pub(super) fn step(&mut self, at: Timestamp, reports: &mut Vec<Report>) {
        let Some((_, due)) = self.due.pop_front_if(|(next, _)| *next <= at) else { return };
        match due {
            Due::NoAnswer(order, request) => reports.push(Report::NoAnswer(order, request)),
            Due::Asked(ask) if self.loses(self.faults.lost_answers) => {
                if let Ask::Order(order) = ask {
                    self.no_answer(at, order, Request::Query);
                }
            }
            Due::Asked(Ask::Order(order)) => reports.push(self.look_up(at, order)),
            Due::Asked(Ask::Trades(instrument, from)) => self.read(at, instrument, from, reports),
        }
    }

    fn look_up(&mut self, at: Timestamp, order: OrderNo) -> Report {
        match self.orders.get(&order) {
            Some(truth) => {
                self.lost.remove(&order);
                view(order, truth)
            }
            None => Report::NotFound(order, at),
        }
    }

    fn read(&self, at: Timestamp, instrument: InstrumentIx, from: Timestamp, reports: &mut Vec<Report>) {
        let wanted = self.fills.iter().filter(|fill| fill.instrument == instrument && fill.at >= from);
        reports.extend(wanted.copied().map(Report::Fill));
        reports.push(Report::Traded(Traded { instrument, from, until: at, unexplained: false }));
    }

    /// What the venue answers to a request that has just arrived: told as a view, or lost.
    pub(super) fn answered(&mut self, at: Timestamp, reports: &mut Vec<Report>) {
        let answers = std::mem::take(reports);
        for answer in answers {
            let is_of_cancel = matches!(answer, Report::Canceled(..) | Report::CancelRejected(..));
            let request = if is_of_cancel { Request::Cancel } else { Request::Place };
            let Some((order, told)) = self.noted(at, answer) else { continue };
            if self.loses(self.faults.lost_answers) {
                self.no_answer(at, order, request);
            } else {
                reports.push(told);
            }
        }
    }

    /// What the venue tells by itself.
    pub(super) fn news(&mut self, at: Timestamp, reports: &mut Vec<Report>) {
        for report in reports {
            if let Some((order, told)) = self.noted(at, *report) {
                self.lost.remove(&order);
                *report = told;
            }
        }
    }

    /// Keeps what the venue did, and says it in the words of one that may be asked again.
    fn noted(&mut self, at: Timestamp, report: Report) -> Option<(OrderNo, Report)> {
        let (order, state) = match report {
            Report::Accepted(order) => (order, VenueState::Open),
            Report::Rejected(order, _) => (order, VenueState::Rejected),
            Report::Canceled(order, _) => (order, VenueState::Canceled),
            Report::Expired(order, _) => (order, VenueState::Expired),
            Report::Fill(fill) => {
                self.filled(at, fill);
                return Some((fill.order, report));
            }
            Report::CancelRejected(order, _) => {
                let is_known = self.orders.contains_key(&order);
                let why = if is_known { CancelRefusal::TooLate } else { CancelRefusal::Unknown };
                return Some((order, Report::CancelRejected(order, why)));
            }
            // The paper venue says nothing else.
            Report::NeverSent(_)
            | Report::State(_)
            | Report::NoAnswer(..)
            | Report::NotFound(..)
            | Report::Missing(_)
            | Report::Bust(_)
            | Report::Traded(_) => return None,
        };
        let truth = self.moved(at, order, state);
        Some((order, view(order, &truth)))
    }

    fn filled(&mut self, at: Timestamp, fill: Fill) {
        let truth = self.moved(at, fill.order, VenueState::Filled);
        self.orders.insert(fill.order, Truth { filled: truth.filled + fill.qty, ..truth });
        self.fills.push_back(fill);
    }

    fn moved(&mut self, at: Timestamp, order: OrderNo, state: VenueState) -> Truth {
        let fresh = Truth { state, filled: Qty::ZERO, seq: 0 };
        let truth = self.orders.entry(order).or_insert(fresh);
        (truth.state, truth.seq) = (state, truth.seq + 1);
        let moved = *truth;
        if state != VenueState::Open {
            self.over.push_back((at, order));
            self.forget(at);
        }
        moved
    }

    /// Nobody asks for what is older.
    fn forget(&mut self, at: Timestamp) {
        let before = at - self.kept_ms;
        while let Some((_, order)) = self.over.pop_front_if(|(ended, _)| *ended < before) {
            self.orders.remove(&order);
        }
        while self.fills.pop_front_if(|fill| fill.at < before).is_some() {}
    }

    fn no_answer(&mut self, at: Timestamp, order: OrderNo, request: Request) {
        self.lost.retain(|_, lost| at.since(*lost) <= FINDING_OUT_MS);
        self.lost.insert(order, at);
        self.put(at + self.answer_ms, Due::NoAnswer(order, request));
    }

    fn put(&mut self, at: Timestamp, due: Due) {
        let place = self.due.partition_point(|(other, _)| *other <= at);
        self.due.insert(place, (at, due));
    }

    fn loses(&mut self, share: Decimal) -> bool {
        let per_million = (share * Decimal::from(1_000_000)).to_u64().unwrap_or(0);
        self.rng.below(1_000_000) < per_million
    }
}

const fn view(order: OrderNo, truth: &Truth) -> Report {
    Report::State(OrderView { order, state: truth.state, filled: truth.filled, seq: truth.seq })
}
