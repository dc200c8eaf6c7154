//! What a process stands on and what watches it: time, what is to come, the disk, the fuse, the trace, the checks.
//!
//! Promises: the process reaches the world through this alone. Never: shows the process the venue's truth.

use supervisor_core::domain::Timestamp;
use supervisor_core::instance::{Fact, FactRecord, Input};

use crate::check::Checker;
use crate::clock::Clock;
use crate::fuse::{Died, Fuse, Point};
use crate::heap::Heap;
use crate::store::{Store, StoreError, Write};
use crate::trace::Trace;
use crate::venue::{Answer, Ask, News, Tally};

/// What can happen.
#[derive(Clone, Debug)]
pub enum Event {
    /// Something is due at the venue.
    Venue,
    /// A request arrives at the venue.
    Arrive(u64),
    /// An answer arrives at the process.
    Answer(u64, Answer),
    /// A request has had its time.
    TimeOut(u64),
    /// A request that was refused for the number of requests may go again.
    Again(u64),
    /// News for the process of this life.
    News(u64, Option<usize>, News),
    /// The sync under way ends.
    Synced(u64),
    /// A bot wants to be woken.
    Wake(u64, usize),
    /// The ledgers look whether something is to be asked.
    Polls(u64),
    /// A wild bot wants something.
    Act(usize),
    /// Prices reach the bots.
    Feed,
    /// An operator does something.
    Operate,
    /// A crash is due: the fuse is lit.
    Light,
    /// The crash comes now, wherever the process is.
    Crash(u64),
    /// The process starts.
    Start,
    /// The private stream is cut, or is back.
    Private,
    /// The disk is full for a while.
    Full,
    /// The venue restarts.
    Restart,
}

/// A request on its way out of the process.
#[derive(Clone, Copy, Debug)]
pub struct Outgoing {
    /// Its number.
    pub id: u64,
    /// Of which account.
    pub account: usize,
    /// What.
    pub ask: Ask,
}

/// See the module.
pub struct Ground {
    /// The moment, which is also the venue's time.
    pub now: Timestamp,
    /// What is to come.
    pub heap: Heap<Event>,
    /// The clock of the process.
    pub clock: Clock,
    /// The disk.
    pub store: Store,
    /// Where the process dies.
    pub fuse: Fuse,
    /// What happened.
    pub trace: Trace,
    /// How often.
    pub tally: Tally,
    /// What must be true.
    pub check: Checker,
    /// Requests that leave.
    pub outgoing: Vec<Outgoing>,
    /// Number of the newest request, over all lives.
    pub requests: u64,
}

impl Ground {
    /// Something happens after so many ms.
    pub fn after(&mut self, ms: i64, event: Event) {
        self.heap.put(self.now + ms.max(0), event);
    }

    /// What the process takes for the venue's time.
    pub fn reads(&mut self) -> Timestamp {
        self.clock.reads(self.now)
    }

    /// The work passes a point.
    ///
    /// # Errors
    /// [`Died::At`] when the process ends here.
    pub fn pass(&mut self, point: Point) -> Result<(), Died> {
        self.fuse.pass(point)
    }

    /// Writes, and begins a sync unless one is under way.
    ///
    /// # Errors
    /// [`Died::Disk`] when the disk is full.
    pub fn write(&mut self, life: u64, write: Write) -> Result<u64, Died> {
        let number = match self.store.append(self.now, write) {
            Ok(number) => number,
            Err(error) => return Err(self.failed(error)),
        };
        self.sync(life);
        Ok(number)
    }

    /// Begins a sync unless one is under way or nothing is to be synced.
    pub fn sync(&mut self, life: u64) {
        if let Some(ms) = self.store.begin_sync() {
            self.after(ms, Event::Synced(life));
        }
    }

    /// Counts what the disk refused.
    pub fn failed(&mut self, error: StoreError) -> Died {
        self.tally.count(match error {
            StoreError::Full => "fault: full disk",
            StoreError::Sync => "fault: failed sync",
        });
        Died::Disk(error)
    }

    /// Notes the facts of a bot: one line each, but for prices.
    pub fn note_facts(&mut self, bot: supervisor_core::domain::InstanceId, records: &[FactRecord]) {
        for record in records {
            let is_price = matches!(&record.fact, Fact::Input { input, .. } if matches!(**input, Input::Market(_)));
            if !is_price {
                self.trace.note(self.now, "fact", &[record.seq, record.cause], || {
                    format!("{bot} #{} {:?}", record.seq, record.fact)
                });
            }
        }
    }

    /// Notes something for the trace.
    pub fn note(&mut self, kind: &str, figures: &[u64], line: impl FnOnce() -> String) {
        self.trace.note(self.now, kind, figures, line);
    }
}
