//! What is queued, and what of it is committed together.
//!
//! Owns the commands and the bounds of a group. Promises that a group keeps the order of the queue. Never looks at the
//! store.

use std::sync::mpsc::{Receiver, Sender};

use super::RecordError;
use super::answer::Answer;
use crate::key::InstanceKey;

const GROUP_ITEMS_MAX: usize = 4096;
const GROUP_BYTES_MAX: usize = 4 * 1024 * 1024;

pub(super) enum Work {
    Records { first_seq: u64, records: Vec<Vec<u8>> },
    Snapshot { seq: u64, bytes: Vec<u8> },
}

pub(super) struct Pending {
    pub(super) instance: InstanceKey,
    pub(super) generation: u32,
    pub(super) work: Work,
    pub(super) answer: Answer,
}

pub(super) enum Command {
    Work(Pending),
    Fence { instance: InstanceKey, generation: u32 },
    Flush(Sender<Result<(), RecordError>>),
    Replenish,
    Stop,
}

/// What has its place in the order.
pub(super) enum Item {
    Work(Pending),
    Fence { instance: InstanceKey, generation: u32 },
}

/// What is committed together.
#[derive(Default)]
pub(super) struct Group {
    pub(super) items: Vec<Item>,
    pub(super) flushes: Vec<Sender<Result<(), RecordError>>>,
    pub(super) replenish: bool,
    pub(super) stop: bool,
    bytes: usize,
}

impl Group {
    /// `first` and whatever else is queued.
    pub(super) fn gather(first: Option<Command>, commands: &Receiver<Command>) -> Self {
        let mut group = Self::default();
        first.into_iter().for_each(|command| group.add(command));
        while !group.is_full() {
            let Ok(command) = commands.try_recv() else { break };
            group.add(command);
        }
        group
    }

    /// What is left to do when nobody can ask for anything any more.
    pub(super) fn last() -> Self {
        Self { stop: true, ..Self::default() }
    }

    fn add(&mut self, command: Command) {
        match command {
            Command::Work(pending) => {
                self.bytes += match &pending.work {
                    Work::Records { records, .. } => records.iter().map(Vec::len).sum(),
                    Work::Snapshot { bytes, .. } => bytes.len(),
                };
                self.items.push(Item::Work(pending));
            }
            Command::Fence { instance, generation } => self.items.push(Item::Fence { instance, generation }),
            Command::Flush(reply) => self.flushes.push(reply),
            Command::Replenish => self.replenish = true,
            Command::Stop => self.stop = true,
        }
    }

    fn is_full(&self) -> bool {
        self.stop || self.items.len() >= GROUP_ITEMS_MAX || self.bytes >= GROUP_BYTES_MAX
    }
}
