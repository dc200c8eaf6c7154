//! The port of the process: which request is under way, who asked, and what an answer means for whom.
//!
//! Promises: a request has one answer at most; what comes later is dropped. An order whose request was refused for
//! their number goes again only while it is as young as the validity window; a request that may have been worked on
//! never does. Never: takes silence for a refusal.

use std::collections::BTreeMap;

use supervisor_core::domain::{OrderNo, Timestamp};
use supervisor_core::orders::Request;

use crate::ground::{Event, Ground, Outgoing};
use crate::venue::{Answer, Ask};

/// Who asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asker {
    /// A bot, about an order.
    Order(usize, OrderNo, Request),
    /// The ledger of an account.
    Ledger(usize),
}

/// A request under way.
#[derive(Clone, Copy, Debug)]
pub struct Pending {
    /// Who asked.
    pub asker: Asker,
    /// Of which account.
    pub account: usize,
    /// What.
    pub ask: Ask,
    /// When the bot decided it, by the clock of the process.
    pub decided: Timestamp,
    /// True while it waits to go again.
    pub waits: bool,
}

/// See the module.
#[derive(Debug, Default)]
pub struct Port {
    pending: BTreeMap<u64, Pending>,
}

/// What the port makes of an answer.
#[derive(Debug)]
pub enum Said {
    /// The answer of the venue.
    Answer(Pending, Answer),
    /// Nobody knows what became of it.
    Nothing(Pending),
}

impl Port {
    /// Sends a request; its time runs from now on.
    pub fn send(&mut self, ground: &mut Ground, pending: Pending, answer_ms: i64) {
        ground.requests += 1;
        let id = ground.requests;
        self.pending.insert(id, Pending { waits: false, ..pending });
        ground.outgoing.push(Outgoing { id, account: pending.account, ask: pending.ask });
        ground.after(answer_ms, Event::TimeOut(id));
    }

    /// An answer has come; `None` when nobody waits for it any more, or when the request goes again later.
    pub fn answered(&mut self, ground: &mut Ground, id: u64, answer: Answer, window_ms: i64) -> Option<Said> {
        let pending = *self.pending.get(&id)?;
        match answer {
            Answer::Limited { retry_ms } => {
                let is_order = matches!(pending.ask, Ask::Place { .. });
                let age = ground.reads().since(pending.decided) + retry_ms;
                if is_order && age > window_ms {
                    self.pending.remove(&id);
                    return Some(Said::Nothing(pending));
                }
                // Withdrawals go first when the way is free again.
                let behind = i64::from(!matches!(pending.ask, Ask::Cancel { .. }));
                self.pending.insert(id, Pending { waits: true, ..pending });
                ground.after(retry_ms + behind, Event::Again(id));
                None
            }
            Answer::Busy => {
                self.pending.remove(&id);
                Some(Said::Nothing(pending))
            }
            Answer::Order(_)
            | Answer::Rejected(_)
            | Answer::TooOld
            | Answer::CancelRefused(_)
            | Answer::NotFound
            | Answer::OpenOrders { .. }
            | Answer::Trades { .. }
            | Answer::Balances { .. } => {
                self.pending.remove(&id);
                Some(Said::Answer(pending, answer))
            }
        }
    }

    /// A request has had its time. One that waits to go again is not under way.
    pub fn timed_out(&mut self, id: u64) -> Option<Pending> {
        if self.pending.get(&id).is_none_or(|pending| pending.waits) {
            return None;
        }
        self.pending.remove(&id)
    }

    /// The way is free for a request that waited: it leaves the port, and whoever holds it sends it anew.
    pub fn again(&mut self, id: u64) -> Option<Pending> {
        self.pending.remove(&id)
    }

    /// Requests under way.
    #[must_use]
    pub fn len(&self) -> usize {
        self.pending.len()
    }

    /// True when none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.pending.is_empty()
    }
}
