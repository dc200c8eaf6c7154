use super::*;
use crate::disk::Room;
use crate::journal::{NewFact, StateStore};
use crate::key::{FactId, InstanceKey, fact_key};
use crate::migrate::Unchanged;
use std::fs;

mod crashes;
mod damage;
mod opening;
mod operator;
mod rows;

const NOW: i64 = 1_795_176_000_000;
const NAMES: [&str; 3] = ["grid", "slow", "trend"];

struct Place {
    root: tempfile::TempDir,
    lock: StateDir,
}

impl Place {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let lock = StateDir::acquire(root.path()).unwrap();
        Self { root, lock }
    }

    fn backups(&self) -> PathBuf {
        self.root.path().join("backups")
    }

    fn try_open(&self, tail_rows: u64) -> Result<Opened, StoreError> {
        open(&self.lock, &OpenOptions { now_ms: NOW, backups: self.backups(), tail_rows, migration: &Unchanged })
    }

    fn open(&self) -> Opened {
        self.try_open(u64::MAX).unwrap()
    }

    /// Three instances of 30 facts, a backup at fact 20, and latches of before and after it.
    fn lived() -> Self {
        let place = Self::new();
        let store = place.open().store;
        for name in NAMES {
            append(&store, name, 1..=10);
            snapshot(&store, name, 10);
            append(&store, name, 11..=20);
            snapshot(&store, name, 20);
        }
        store.put_latch("stopped/slow", b"stopped").unwrap();
        backup::create(&store, &place.backups(), NOW - 1_000, 9).unwrap();
        NAMES.iter().for_each(|name| append(&store, name, 21..=30));
        store.put_latch("kill", b"by me").unwrap();
        store.seal().unwrap();
        place
    }

    /// Changes rows behind the store's back.
    fn spoil(&self, spoil: impl FnOnce(&Store)) {
        let store = Store::peek(&self.lock.store_dir()).unwrap();
        spoil(&store);
        store.disk().sync().unwrap();
    }

    /// Names beside the store that begin with `prefix`.
    fn beside(&self, prefix: &str) -> Vec<String> {
        let entries = fs::read_dir(self.root.path()).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.filter(|name| name.starts_with(prefix)).collect()
    }
}

fn key(name: &str) -> InstanceKey {
    InstanceKey::new(name).unwrap()
}

fn append(store: &Store, name: &str, seqs: std::ops::RangeInclusive<u64>) {
    let facts = seqs.map(|seq| NewFact { instance: key(name), seq, payload: format!("{name} {seq}").into_bytes() });
    store.append(facts.collect()).unwrap();
    store.sync().unwrap();
}

fn snapshot(store: &Store, name: &str, seq: u64) {
    store.write_snapshot(&key(name), seq, format!("{name} at {seq}").repeat(900).as_bytes()).unwrap();
    store.sync().unwrap();
}

fn lose_facts(store: &Store, name: &str, seqs: std::ops::RangeInclusive<u64>) {
    let gone = seqs.map(|seq| fact_key(&key(name), FactId { epoch: 1, seq }).to_vec());
    store.disk().write(Room::Facts, Vec::new(), gone.collect()).unwrap();
}

fn last(store: &Store, name: &str) -> Option<u64> {
    store.last_fact_id(&key(name)).unwrap().map(|id| id.seq)
}

fn of<'a>(report: &'a RestoreReport, name: &str) -> &'a RestoredInstance {
    report.instances.iter().find(|of| of.instance == key(name)).unwrap()
}
