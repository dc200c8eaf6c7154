//! The start at a venue beyond a network: what must have been read before entries pass again.
//!
//! Owns which instruments' executions are still to be read. Promises: it asks until it has an answer; it never ends by
//! itself. The orders under query are the desk's.

use serde::{Deserialize, Serialize};

use super::{Ask, Reconciled, Traded};
use crate::domain::{InstrumentIx, Timestamp};
use crate::instance::{Cx, Event, Outbox};

/// Pause between two readings of the executions, ms.
const AGAIN_MS: i64 = 5_000;

/// A start under way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reconcile {
    epoch: u32,
    began: Timestamp,
    next: Timestamp,
    /// From when on executions are read.
    from: Timestamp,
    /// Which instruments' executions have been read.
    read: Vec<bool>,
    orders: u32,
    /// Fills that were new.
    pub(super) fills: u32,
}

impl Reconcile {
    /// From now on; `orders` are asked about.
    pub(super) fn new(cx: &Cx<'_>, epoch: u32, orders: u32) -> Self {
        let from = cx.at - cx.spec.venue.look_back_ms;
        let read = vec![false; cx.spec.instruments.len()];
        Self { epoch, began: cx.at, next: cx.at, from, read, orders, fills: 0 }
    }

    /// When it asks next; `None` once all executions have been read.
    pub(super) fn wake(&self) -> Option<Timestamp> {
        (!self.has_read_all()).then_some(self.next)
    }

    /// Asks for what has not been read, when it is time.
    pub(super) fn ask(&mut self, cx: &Cx<'_>, out: &mut Outbox) {
        if cx.at < self.next {
            return;
        }
        self.next = cx.at + AGAIN_MS;
        for (ix, _) in (0..).map(InstrumentIx).zip(&self.read).filter(|(_, read)| !**read) {
            out.push(Event::Ask(Ask::Trades(ix, self.from)));
        }
    }

    /// Executions were read: enough, when they reach back far enough and up to the start.
    pub(super) fn read(&mut self, traded: &Traded) {
        let enough = traded.from <= self.from && traded.until >= self.began;
        if let Some(read) = self.read.get_mut(traded.instrument.at()).filter(|_| enough) {
            *read = true;
        }
    }

    /// True when all executions have been read.
    pub(super) fn has_read_all(&self) -> bool {
        self.read.iter().all(|read| *read)
    }

    /// Its last word.
    pub(super) fn complete(self, at: Timestamp) -> Reconciled {
        Reconciled { epoch: self.epoch, took_ms: at.since(self.began), orders: self.orders, fills: self.fills }
    }
}
