//! A store that version 1 wrote opens in this version, with every fact and every snapshot, and the old one is kept.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may stop at what cannot be")]

mod common;

use std::cell::RefCell;
use std::fs;
use std::io::Read;
use std::path::Path;
use std::sync::LazyLock;

use flate2::read::GzDecoder;

use common::{NOW, backups, key};
use supervisor_state::migrate::Unchanged;
use supervisor_state::{
    InstanceKey, Migration, OpenOptions, SCHEMA_VERSION, StateDir, StateStore, Store, StoreError, restore,
};

const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/golden/v1");
const NAMES: [&str; 2] = ["grid-a", "trend-b"];
/// How many facts each of them has.
const COUNTS: [(&str, u64); 2] = [("grid-a", 184), ("trend-b", 233)];

/// The data file, unpacked once.
static DATA: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let mut data = Vec::new();
    GzDecoder::new(fs::File::open(format!("{GOLDEN}/db.gz")).unwrap()).read_to_end(&mut data).unwrap();
    data
});

/// Lays the golden state directory out in `dir`.
fn unpack(dir: &Path) {
    fs::create_dir_all(dir.join("store/blobs")).unwrap();
    fs::write(dir.join("store/db"), DATA.as_slice()).unwrap();
    fs::copy(format!("{GOLDEN}/conf"), dir.join("store/conf")).unwrap();
    fs::copy(format!("{GOLDEN}/epoch"), dir.join("epoch")).unwrap();
}

/// Leaves payloads as they are and remembers them.
#[derive(Default)]
struct Noted {
    facts: RefCell<Vec<Vec<u8>>>,
    snapshots: RefCell<Vec<Vec<u8>>>,
}

impl Migration for Noted {
    fn fact(&self, from: u32, instance: &InstanceKey, payload: &[u8]) -> Result<Vec<u8>, String> {
        assert!(from == 1 && NAMES.contains(&instance.as_str()));
        self.facts.borrow_mut().push(payload.to_vec());
        Ok(payload.to_vec())
    }

    fn snapshot(&self, from: u32, instance: &InstanceKey, payload: &[u8]) -> Result<Vec<u8>, String> {
        assert!(from == 1 && NAMES.contains(&instance.as_str()));
        self.snapshots.borrow_mut().push(payload.to_vec());
        Ok(payload.to_vec())
    }
}

/// Refuses the fact with this number.
struct Refusing(RefCell<u64>);

impl Migration for Refusing {
    fn fact(&self, _from: u32, _: &InstanceKey, payload: &[u8]) -> Result<Vec<u8>, String> {
        *self.0.borrow_mut() -= 1;
        if *self.0.borrow() == 0 { Err("an unknown kind of fact".to_string()) } else { Ok(payload.to_vec()) }
    }

    fn snapshot(&self, _from: u32, _: &InstanceKey, payload: &[u8]) -> Result<Vec<u8>, String> {
        Ok(payload.to_vec())
    }
}

fn opts<'a>(dir: &Path, migration: &'a dyn Migration) -> OpenOptions<'a> {
    OpenOptions { now_ms: NOW, backups: backups(dir), tail_rows: u64::MAX, migration }
}

#[test]
fn every_fact_and_snapshot_of_version_1_is_found_again() {
    let place = tempfile::tempdir().unwrap();
    unpack(place.path());
    let lock = StateDir::acquire(place.path()).unwrap();
    let before = restore::inspect(&lock).unwrap();
    assert!(before.is_whole(), "{:?}", before.problems().collect::<Vec<_>>());
    let counts: Vec<_> = before.instances.iter().map(|of| (of.instance.as_str().to_string(), of.facts)).collect();
    assert_eq!(counts, COUNTS.map(|(name, facts)| (name.to_string(), facts)));
    assert!(matches!(Store::open(&lock), Err(StoreError::OlderSchema { found: 1, .. })));
    assert_eq!(before.instances.iter().map(|of| of.snapshots.len()).collect::<Vec<_>>(), [1, 1]);
    assert_eq!(before.latches, 2);
    let noted = Noted::default();
    let opened = restore::open(&lock, &opts(place.path(), &noted)).unwrap();
    assert!(opened.told.is_none());
    assert_eq!(opened.remarks.len(), 1, "{:?}", opened.remarks);
    let told = format!("migrated from schema version 1 to {SCHEMA_VERSION}");
    assert!(opened.remarks[0].contains(&told), "{:?}", opened.remarks);
    assert!(opened.store.epoch() > 1);
    let after = opened.store.verify();
    assert!(after.is_whole(), "{:?}", after.problems().collect::<Vec<_>>());
    assert_eq!(after.instances, before.instances, "the same places");
    assert_eq!(after.latches, before.latches);
    let facts = NAMES.iter().flat_map(|name| opened.store.facts(&key(name), None, usize::MAX).unwrap());
    assert_eq!(facts.map(|fact| fact.payload).collect::<Vec<_>>(), noted.facts.take(), "the same facts");
    let snapshots = NAMES.iter().flat_map(|name| {
        let ids = opened.store.snapshot_ids(&key(name)).unwrap();
        ids.into_iter().map(|id| opened.store.snapshot(&key(name), id).unwrap().bytes).collect::<Vec<_>>()
    });
    assert_eq!(snapshots.collect::<Vec<_>>(), noted.snapshots.take(), "the same snapshots");
    drop(opened);
    let aside = fs::read_dir(place.path()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    assert_eq!(aside.filter(|name| name.starts_with("store.v1-")).count(), 1, "the old one is kept");
    assert_eq!(Store::open(&lock).unwrap().verify().instances, before.instances);
}

#[test]
fn a_fact_that_cannot_be_migrated_stops_the_start_and_changes_nothing() {
    let place = tempfile::tempdir().unwrap();
    unpack(place.path());
    let lock = StateDir::acquire(place.path()).unwrap();
    let before = restore::inspect(&lock).unwrap();
    let refusing = Refusing(RefCell::new(17));
    let error = restore::open(&lock, &opts(place.path(), &refusing)).err().unwrap();
    assert!(matches!(&error, StoreError::Migration { from: 1, kind: "fact", .. }), "{error}");
    assert!(error.to_string().contains("an unknown kind of fact"), "{error}");
    assert_eq!(restore::inspect(&lock).unwrap(), before);
    let opened = restore::open(&lock, &opts(place.path(), &Unchanged)).unwrap();
    assert_eq!(opened.store.verify().instances, before.instances);
}

#[test]
fn a_damaged_store_of_version_1_is_restored_and_migrated_at_once() {
    let place = tempfile::tempdir().unwrap();
    unpack(place.path());
    let lock = StateDir::acquire(place.path()).unwrap();
    let mut bytes = fs::read(place.path().join("store/conf")).unwrap();
    bytes[3] ^= 0xff;
    fs::write(place.path().join("store/conf"), bytes).unwrap();
    let noted = Noted::default();
    let opened = restore::open(&lock, &opts(place.path(), &noted)).unwrap();
    let total: u64 = COUNTS.iter().map(|(_, facts)| facts).sum();
    assert_eq!(noted.facts.borrow().len() as u64, total, "{:?}", opened.told.map(|told| told.lines()));
    assert!(opened.store.verify().is_whole());
    assert_eq!(StateStore::epoch(&opened.store), opened.store.epoch());
}
