//! What the tests of the state crate share: a state directory with a life behind it, and what a person would compare.

#![allow(dead_code, reason = "each test uses its part")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use supervisor_state::migrate::Unchanged;
use supervisor_state::restore::{self, Opened};
use supervisor_state::{
    FactId, InstanceKey, NewFact, OpenOptions, StateDir, StateStore, Store, StoreError, StoredFact, backup,
};

/// 2026-11-20 12:00:00 UTC.
pub const NOW: i64 = 1_795_176_000_000;

/// An instance's name.
pub fn key(id: &str) -> InstanceKey {
    InstanceKey::new(id).unwrap()
}

/// Everything that a store holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contents {
    /// Facts by instance.
    pub facts: BTreeMap<String, Vec<StoredFact>>,
    /// Snapshots by instance, ascending.
    pub snapshots: BTreeMap<String, Vec<(FactId, Vec<u8>)>>,
    /// Latches by name.
    pub latches: BTreeMap<String, Vec<u8>>,
}

/// Reads `names` and the latches.
pub fn contents(store: &Store, names: &[&str]) -> Contents {
    let mut found = Contents { facts: BTreeMap::new(), snapshots: BTreeMap::new(), latches: store.latches().unwrap() };
    for name in names {
        let instance = key(name);
        found.facts.insert(name.to_string(), store.facts(&instance, None, usize::MAX).unwrap());
        let ids = store.snapshot_ids(&instance).unwrap();
        let read = ids.into_iter().map(|id| (id, store.snapshot(&instance, id).unwrap().bytes)).collect();
        found.snapshots.insert(name.to_string(), read);
    }
    found
}

/// Opens as the program does.
pub fn open(lock: &StateDir) -> Result<Opened, StoreError> {
    open_at(lock, NOW)
}

/// Opens at a moment.
pub fn open_at(lock: &StateDir, now_ms: i64) -> Result<Opened, StoreError> {
    let backups = backups(lock.path());
    restore::open(lock, &OpenOptions { now_ms, backups, tail_rows: u64::MAX, migration: &Unchanged })
}

/// Where the backups of a state directory lie.
pub fn backups(dir: &Path) -> PathBuf {
    dir.join("backups")
}

/// Facts with payloads that tell where they belong; each seventh is longer than a chunk.
pub fn append(store: &Store, name: &str, seqs: std::ops::RangeInclusive<u64>) {
    let payload = |seq: u64| match seq % 7 {
        0 => format!("{name} {seq} ").repeat(1_000),
        _ => format!("{name} fact {seq}"),
    };
    let facts = seqs.map(|seq| NewFact { instance: key(name), seq, payload: payload(seq).into_bytes() });
    store.append(facts.collect()).unwrap();
    store.sync().unwrap();
}

/// A snapshot of some kilobytes.
pub fn snapshot(store: &Store, name: &str, seq: u64) {
    let bytes = format!("{name} after {seq}; ").repeat(1_500);
    store.write_snapshot(&key(name), seq, bytes.as_bytes()).unwrap();
    store.sync().unwrap();
}

/// The instances of [`live`].
pub const NAMES: [&str; 3] = ["grid-a", "plain-c", "trend-b"];

/// Writes the life of three instances over two epochs, with a backup in between: `grid-a` has snapshots and was
/// pruned, `trend-b` has one snapshot, `plain-c` has none.
pub fn live(dir: &Path) {
    let lock = StateDir::acquire(dir).unwrap();
    let store = Store::open(&lock).unwrap();
    store.put_latch("added/trend-b", b"file").unwrap();
    store.put_latch("stopped/plain-c", b"stopped").unwrap();
    for step in 0..4 {
        append(&store, "grid-a", step * 20 + 1..=step * 20 + 20);
        snapshot(&store, "grid-a", step * 20 + 20);
        store.prune(&key("grid-a"), 10, 15).unwrap();
        append(&store, "trend-b", step * 10 + 1..=step * 10 + 10);
        append(&store, "plain-c", step * 5 + 1..=step * 5 + 5);
    }
    snapshot(&store, "trend-b", 40);
    backup::create(&store, &backups(dir), NOW - 3_600_000, 5).unwrap();
    store.seal().unwrap();
    drop(store);
    let store = Store::open(&lock).unwrap();
    append(&store, "grid-a", 81..=97);
    snapshot(&store, "grid-a", 97);
    append(&store, "trend-b", 41..=53);
    append(&store, "plain-c", 21..=24);
    store.put_latch("paused/grid-a", b"paused").unwrap();
    store.put_latch("kill", b"by an operator").unwrap();
    store.remove_latch("stopped/plain-c").unwrap();
    store.seal().unwrap();
}

/// Copies a directory with all that lies below it.
pub fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}
