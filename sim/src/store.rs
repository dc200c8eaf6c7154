//! The disk of the process: what is written, what is synced, what a crash leaves of it.
//!
//! Writes go to the disk in their order; a sync makes all that was written before it began durable. Promises: what was
//! synced is there after any crash; what was not may be there as a prefix, and the first write that is not there whole
//! may be torn. A torn write is seen as such and dropped with all that came after it. Never: tells that something is
//! durable which a crash could take away.

use std::collections::VecDeque;

use supervisor_core::domain::Timestamp;
use supervisor_core::instance::FactRecord;
use supervisor_core::sim::SeededRng;

use crate::plan::{Dice, DiskPlan};

/// Failed syncs are counted out of so many.
const SYNCS: u64 = 100_000;

/// Why the disk does not take something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// No room.
    #[error("the disk is full")]
    Full,
    /// A sync failed: what of it is on the disk, nobody knows.
    #[error("a sync failed")]
    Sync,
}

/// One write.
#[derive(Clone, Debug, PartialEq)]
pub enum Write {
    /// Facts of a bot, in their order; `whole` is how many the writer had.
    Facts {
        /// Which bot.
        bot: usize,
        /// The facts.
        records: Vec<FactRecord>,
        /// Number of facts when it was written.
        whole: usize,
    },
    /// A snapshot of a bot after this fact.
    Snapshot {
        /// Which bot.
        bot: usize,
        /// Number of the last fact in it.
        seq: u64,
        /// Its encoding.
        bytes: Vec<u8>,
    },
    /// The kill latch.
    Kill(bool),
    /// The epoch that begins.
    Epoch(u32),
    /// The ledger of an account.
    Ledger {
        /// Which account.
        account: usize,
        /// Its encoding.
        bytes: Vec<u8>,
    },
}

impl Write {
    fn is_torn(&self) -> bool {
        matches!(self, Self::Facts { records, whole, .. } if records.len() < *whole)
    }
}

/// What is kept of one bot.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct BotDisk {
    /// The two newest snapshots with the number of their last fact, oldest first.
    pub snapshots: VecDeque<(u64, Vec<u8>)>,
    /// Facts after the older one.
    pub facts: VecDeque<FactRecord>,
    /// Number of the newest durable fact.
    pub last: u64,
}

/// What is durable.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Disk {
    /// Bots, by position.
    pub bots: Vec<BotDisk>,
    /// The kill latch.
    pub killed: bool,
    /// The newest epoch.
    pub epoch: u32,
    /// The ledgers, by account.
    pub ledgers: Vec<Option<Vec<u8>>>,
}

impl Disk {
    fn take(&mut self, write: Write) {
        match write {
            Write::Facts { bot, records, .. } => {
                if let Some(kept) = self.bots.get_mut(bot) {
                    kept.last = records.last().map_or(kept.last, |record| record.seq);
                    kept.facts.extend(records);
                }
            }
            Write::Snapshot { bot, seq, bytes } => {
                if let Some(kept) = self.bots.get_mut(bot) {
                    kept.snapshots.push_back((seq, bytes));
                    kept.prune();
                }
            }
            Write::Kill(on) => self.killed = on,
            Write::Epoch(epoch) => self.epoch = epoch,
            Write::Ledger { account, bytes } => {
                if let Some(kept) = self.ledgers.get_mut(account) {
                    *kept = Some(bytes);
                }
            }
        }
    }
}

impl BotDisk {
    /// Two snapshots, and the facts after the older one: the newest may turn out unreadable.
    fn prune(&mut self) {
        while self.snapshots.len() > 2 {
            self.snapshots.pop_front();
        }
        let Some((oldest, _)) = self.snapshots.front() else { return };
        while self.facts.front().is_some_and(|fact| fact.seq <= *oldest) {
            self.facts.pop_front();
        }
    }

    /// The newest snapshot, the facts after it, and the number of the newest of them.
    #[must_use]
    pub fn load(&self) -> (Option<&[u8]>, Vec<FactRecord>, u64) {
        let newest = self.snapshots.back();
        let after = newest.map_or(0, |(seq, _)| *seq);
        let facts = self.facts.iter().filter(|fact| fact.seq > after).cloned().collect();
        (newest.map(|(_, bytes)| bytes.as_slice()), facts, self.last)
    }
}

/// What a crash did to what was not durable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wreck {
    /// Writes that were there all the same.
    pub kept: u64,
    /// Facts that were not.
    pub lost_facts: u64,
    /// True when a write was torn.
    pub torn: bool,
}

/// See the module.
#[derive(Debug)]
pub struct Store {
    plan: DiskPlan,
    dice: Dice,
    disk: Disk,
    pending: VecDeque<Write>,
    /// Writes so far; the number of the newest.
    written: u64,
    /// Writes that are durable.
    synced: u64,
    /// The sync under way covers writes up to this number.
    syncing: Option<u64>,
    full_until: Option<Timestamp>,
}

impl Store {
    /// An empty disk for so many bots and accounts.
    #[must_use]
    pub fn new(plan: DiskPlan, rng: SeededRng, bots: usize, accounts: usize) -> Self {
        let disk = Disk { bots: vec![BotDisk::default(); bots], ledgers: vec![None; accounts], ..Disk::default() };
        let (pending, dice) = (VecDeque::new(), Dice(rng));
        Self { plan, dice, disk, pending, written: 0, synced: 0, syncing: None, full_until: None }
    }

    /// Takes a write; answers its number. It is durable once [`Store::synced`] has answered that number or a later one.
    ///
    /// # Errors
    /// [`StoreError::Full`] while the disk is full.
    pub fn append(&mut self, now: Timestamp, write: Write) -> Result<u64, StoreError> {
        if self.is_full(now) {
            return Err(StoreError::Full);
        }
        self.pending.push_back(write);
        self.written += 1;
        Ok(self.written)
    }

    /// Begins a sync of all that was written, unless one is under way or nothing is to be synced; answers its length.
    pub fn begin_sync(&mut self) -> Option<i64> {
        if self.syncing.is_some() || self.pending.is_empty() {
            return None;
        }
        self.syncing = Some(self.written);
        let stall = if self.dice.is(self.plan.stall) { self.dice.span(0, self.plan.stall_ms) } else { 0 };
        Some(self.plan.sync_ms + self.dice.span(0, self.plan.sync_more_ms) + stall)
    }

    /// The sync under way ends; answers the number of the newest durable write.
    ///
    /// # Errors
    /// [`StoreError::Sync`]: it failed. The process must not go on.
    pub fn end_sync(&mut self) -> Result<u64, StoreError> {
        let Some(upto) = self.syncing.take() else { return Ok(self.synced) };
        if self.dice.0.below(SYNCS) < self.plan.error {
            return Err(StoreError::Sync);
        }
        while self.synced < upto {
            self.synced += 1;
            if let Some(write) = self.pending.pop_front() {
                self.disk.take(write);
            }
        }
        Ok(self.synced)
    }

    /// The process is gone: some of what was not durable is there all the same, the rest is lost.
    pub fn crash(&mut self) -> Wreck {
        let kept = self.dice.0.below(self.pending.len() as u64 + 1);
        let mut wreck = Wreck { kept, ..Wreck::default() };
        for _ in 0..kept {
            if let Some(write) = self.pending.pop_front() {
                self.disk.take(write);
            }
        }
        if let Some(torn) = self.pending.front_mut().filter(|_| self.dice.is(self.plan.torn)) {
            wreck.torn = tear(torn, &mut self.dice);
        }
        // What is torn is found out when it is read, and what follows is not looked at.
        debug_assert!(!wreck.torn || self.pending.front().is_some_and(Write::is_torn), "a torn write is seen as one");
        let facts = |write: &Write| if let Write::Facts { whole, .. } = write { *whole as u64 } else { 0 };
        wreck.lost_facts = self.pending.iter().map(facts).sum();
        self.pending.clear();
        (self.synced, self.syncing) = (self.written, None);
        wreck
    }

    /// The disk has no room until then.
    pub const fn fill(&mut self, until: Timestamp) {
        self.full_until = Some(until);
    }

    /// True while it has no room.
    #[must_use]
    pub fn is_full(&self, now: Timestamp) -> bool {
        self.full_until.is_some_and(|until| now < until)
    }

    /// From here on nothing fails.
    pub const fn quiet(&mut self) {
        (self.plan.error, self.plan.stall, self.full_until) = (0, 0, None);
    }

    /// What is durable.
    #[must_use]
    pub const fn disk(&self) -> &Disk {
        &self.disk
    }

    /// Writes that are not durable yet.
    #[must_use]
    pub fn backlog(&self) -> usize {
        self.pending.len()
    }
}

/// Leaves only a part of a batch; false when there is nothing to tear.
fn tear(write: &mut Write, dice: &mut Dice) -> bool {
    match write {
        Write::Facts { records, .. } if !records.is_empty() => {
            let left = dice.0.below(records.len() as u64);
            records.truncate(usize::try_from(left).unwrap_or(0));
            true
        }
        Write::Facts { .. } | Write::Snapshot { .. } | Write::Kill(_) | Write::Epoch(_) | Write::Ledger { .. } => false,
    }
}

#[cfg(test)]
mod tests {
    use supervisor_core::domain::OrderNo;
    use supervisor_core::instance::Fact;

    use super::*;

    const PLAN: DiskPlan = DiskPlan {
        sync_ms: 3,
        sync_more_ms: 0,
        stall: 0,
        stall_ms: 0,
        error: 0,
        full_every_ms: 0,
        full_ms: 0,
        torn: 1_000,
        snapshot_facts: 10,
    };

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_millis(ms)
    }

    fn store(seed: u64, plan: DiskPlan) -> Store {
        Store::new(plan, SeededRng::new(seed), 1, 1)
    }

    fn facts(from: u64, to: u64) -> Write {
        let fact = Fact::Reopened(OrderNo(1));
        let records: Vec<_> =
            (from..=to).map(|seq| FactRecord { seq, at: at(0), cause: 1, fact: fact.clone() }).collect();
        Write::Facts { bot: 0, whole: records.len(), records }
    }

    #[test]
    fn a_sync_covers_what_was_written_before_it_began() {
        let mut store = store(1, PLAN);
        assert_eq!(store.append(at(0), facts(1, 2)), Ok(1));
        assert_eq!((store.begin_sync(), store.begin_sync()), (Some(3), None));
        assert_eq!(store.append(at(0), facts(3, 3)), Ok(2));
        assert_eq!((store.end_sync(), store.disk().bots[0].last), (Ok(1), 2));
        assert_eq!((store.begin_sync(), store.end_sync(), store.disk().bots[0].last), (Some(3), Ok(2), 3));
    }

    #[test]
    fn a_crash_leaves_a_prefix_and_a_torn_batch_is_dropped_whole() {
        let mut kept = Vec::new();
        for seed in 0..100 {
            let mut store = store(seed, PLAN);
            store.append(at(0), facts(1, 2)).unwrap();
            store.begin_sync();
            store.end_sync().unwrap();
            store.append(at(0), facts(3, 5)).unwrap();
            store.append(at(0), facts(6, 9)).unwrap();
            let wreck = store.crash();
            let last = store.disk().bots[0].last;
            assert!([2, 5, 9].contains(&last) && wreck.torn == (last < 9), "{last} {wreck:?}");
            assert_eq!(wreck.lost_facts, 9 - last);
            assert_eq!(store.disk().bots[0].load().1.len() as u64, last);
            kept.push(last);
        }
        assert!([2, 5, 9].iter().all(|last| kept.contains(last)));
    }

    #[test]
    fn a_full_disk_takes_nothing_and_a_failed_sync_makes_nothing_durable() {
        let mut store = store(1, DiskPlan { error: SYNCS, ..PLAN });
        store.fill(at(10));
        assert_eq!(store.append(at(9), facts(1, 1)), Err(StoreError::Full));
        assert_eq!(store.append(at(10), facts(1, 1)), Ok(1));
        store.begin_sync();
        assert_eq!((store.end_sync(), store.disk().bots[0].last), (Err(StoreError::Sync), 0));
    }

    #[test]
    fn two_snapshots_stay_and_the_facts_after_the_older() {
        let mut store = store(1, PLAN);
        for (from, seq) in [(1, 2), (3, 4), (5, 6)] {
            store.append(at(0), facts(from, seq)).unwrap();
            store.append(at(0), Write::Snapshot { bot: 0, seq, bytes: vec![seq as u8] }).unwrap();
        }
        store.append(at(0), facts(7, 7)).unwrap();
        store.begin_sync();
        store.end_sync().unwrap();
        let (snapshot, after, last) = store.disk().bots[0].load();
        assert_eq!(last, 7);
        assert_eq!((snapshot, after.len(), store.disk().bots[0].facts.len()), (Some(&[6_u8][..]), 1, 3));
    }
}
