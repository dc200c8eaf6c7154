use super::*;
use crate::journal::{NewFact, StateStore};
use crate::lock::StateDir;
use crate::store::Store;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

const NOW: i64 = 1_795_176_000_000;

struct Place {
    root: tempfile::TempDir,
    store: Store,
    _lock: StateDir,
}

impl Place {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let lock = StateDir::acquire(root.path()).unwrap();
        Self { store: Store::open(&lock).unwrap(), root, _lock: lock }
    }

    fn dir(&self) -> PathBuf {
        self.root.path().join("backups")
    }

    fn create(&self, now_ms: i64, keep: usize) -> BackupInfo {
        create(&self.store, &self.dir(), now_ms, keep).unwrap()
    }

    fn names(&self) -> Vec<String> {
        let entries = list(&self.dir()).unwrap();
        entries.into_iter().map(|of| of.path.file_name().unwrap().to_str().unwrap().to_string()).collect()
    }
}

fn key(name: &str) -> InstanceKey {
    InstanceKey::new(name).unwrap()
}

fn append(store: &Store, name: &str, seqs: std::ops::RangeInclusive<u64>) {
    let payload = |seq: u64| if seq.is_multiple_of(9) { vec![seq as u8; 20_000] } else { seq.to_be_bytes().to_vec() };
    let facts = seqs.map(|seq| NewFact { instance: key(name), seq, payload: payload(seq) });
    store.append(facts.collect()).unwrap();
    store.sync().unwrap();
}

fn lived() -> Place {
    let place = Place::new();
    append(&place.store, "grid", 1..=40);
    place.store.write_snapshot(&key("grid"), 10, &[1; 30_000]).unwrap();
    place.store.write_snapshot(&key("grid"), 30, &[2; 30_000]).unwrap();
    append(&place.store, "trend", 0..=3);
    place.store.write_snapshot(&key("young"), 0, b"first").unwrap();
    place.store.put_latch("kill", b"x").unwrap();
    place
}

/// What a reader sees: per instance its snapshots and the numbers of its facts.
fn seen(path: &Path) -> Vec<(String, Vec<u64>, Vec<u64>)> {
    let mut seen: Vec<(String, Vec<u64>, Vec<u64>)> = Vec::new();
    let whole = read(path, |_, record| {
        match record {
            Record::Instance(instance) => seen.push((instance.to_string(), Vec::new(), Vec::new())),
            Record::Snapshot { id, .. } => seen.last_mut().unwrap().1.push(id.seq),
            Record::Fact { id, .. } => seen.last_mut().unwrap().2.push(id.seq),
            Record::Header { .. } | Record::Latch { .. } | Record::End(_) => {}
        }
        Ok(())
    });
    assert!(whole.is_ok());
    seen
}

#[test]
fn a_backup_holds_what_is_needed_to_go_on_and_is_named_after_its_moment() {
    let place = lived();
    let info = place.create(NOW, 3);
    assert_eq!(info.name, "20261120T120000.000Z-000001.backup");
    assert_eq!((info.instances, info.facts, info.snapshots, info.latches), (3, 35, 3, 1));
    assert_eq!((info.created_ms, info.epoch, info.schema), (NOW, 1, SCHEMA_VERSION));
    assert_eq!(info.bytes, fs::metadata(&info.path).unwrap().len());
    assert_eq!(check(&info.path).unwrap(), info);
    let entry = list(&place.dir()).unwrap().remove(0);
    assert_eq!(entry.info.unwrap(), info, "the cheap look says the same");
    let expected = [
        ("grid".to_string(), vec![10, 30], (10..=40).collect::<Vec<u64>>()),
        ("trend".to_string(), vec![], vec![0, 1, 2, 3]),
        ("young".to_string(), vec![0], vec![]),
    ];
    assert_eq!(seen(&info.path), expected);
    assert_eq!(fs::read_dir(place.dir()).unwrap().count(), 1, "nothing is left behind");
}

#[test]
fn a_snapshot_of_a_later_epoch_than_its_fact_is_backed_up_with_that_fact() {
    let place = Place::new();
    append(&place.store, "grid", 1..=20);
    let Place { root, store, _lock } = place;
    drop(store);
    let place = Place { store: Store::open(&_lock).unwrap(), root, _lock };
    place.store.write_snapshot(&key("grid"), 20, b"state").unwrap();
    let info = place.create(NOW, 3);
    assert_eq!(seen(&info.path), [("grid".to_string(), vec![20], vec![20])]);
    append(&place.store, "grid", 21..=25);
    let info = place.create(NOW + 1, 3);
    assert_eq!(seen(&info.path), [("grid".to_string(), vec![20], (20..=25).collect())]);
    let Place { root, store, _lock } = place;
    drop(store);
    crate::restore::restore(&_lock, &info.path, NOW + 2, &crate::migrate::Unchanged).unwrap();
    let store = Store::open(&_lock).unwrap();
    assert_eq!((store.floor(&key("grid")).unwrap(), store.verify().is_whole()), (Some(20), true));
    drop(root);
}

#[test]
fn the_newest_stay_and_the_same_moment_makes_no_clash() {
    let place = lived();
    for at in [NOW, NOW + 5, NOW + 10, NOW + 10] {
        place.create(at, 3);
    }
    let expected = [NOW + 11, NOW + 10, NOW + 5].map(|ms| format!("{}-000001.backup", crate::stamp::in_name(ms)));
    assert_eq!(place.names(), expected);
    let only = place.create(NOW + 20, 0);
    assert_eq!(place.names(), [only.name]);
    assert!(list(&place.root.path().join("none")).unwrap().is_empty());
}

#[test]
fn damaged_ones_come_last_and_go_first() {
    let place = lived();
    let good = place.create(NOW, 5);
    fs::write(place.dir().join("29991231T000000.000Z-000009.backup"), b"not a backup").unwrap();
    let entries = list(&place.dir()).unwrap();
    assert_eq!(entries[0].path, good.path);
    assert!(matches!(&entries[1].info, Err(BackupError::Damaged { .. })));
    place.create(NOW + 1, 2);
    assert_eq!(list(&place.dir()).unwrap().iter().filter(|entry| entry.info.is_ok()).count(), 2);
}

#[test]
fn any_changed_byte_and_any_cut_is_noticed() {
    let place = Place::new();
    append(&place.store, "grid", 1..=8);
    place.store.write_snapshot(&key("grid"), 8, b"state").unwrap();
    place.store.put_latch("kill", b"x").unwrap();
    let info = place.create(NOW, 3);
    let whole = fs::read(&info.path).unwrap();
    for at in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[at] ^= 1 << (at % 8);
        fs::write(&info.path, &bytes).unwrap();
        assert!(matches!(check(&info.path), Err(BackupError::Damaged { .. })), "byte {at}");
        fs::write(&info.path, &whole[..at]).unwrap();
        assert!(matches!(check(&info.path), Err(BackupError::Damaged { .. })), "cut at {at}");
        assert!(list(&place.dir()).unwrap()[0].info.is_err() || at > 8, "cut at {at}");
    }
    fs::write(&info.path, [whole.as_slice(), b"x"].concat()).unwrap();
    assert!(matches!(check(&info.path), Err(BackupError::Damaged { .. })), "something behind the end");
}

#[test]
fn records_that_are_whole_but_missing_are_noticed() {
    let write = |records: &[Record]| {
        let mut writer = format::Writer::begin(Vec::new()).unwrap();
        let header = Record::Header { format: FORMAT, schema: SCHEMA_VERSION, created_ms: 0, epoch: 3 };
        writer.write(&header).unwrap();
        records.iter().for_each(|record| writer.write(record).unwrap());
        writer.write(&Record::End(writer.at.counts)).unwrap();
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("x.backup");
        fs::write(&path, &writer.out).unwrap();
        check(&path).map(|info| info.facts)
    };
    let fact = |epoch, seq| Record::Fact { id: FactId { epoch, seq }, payload: vec![1] };
    let latch = |name: &str| Record::Latch { name: name.to_string(), value: vec![] };
    let (a, b) = (Record::Instance(key("a")), Record::Instance(key("b")));
    assert_eq!(write(&[a.clone(), fact(1, 7), fact(1, 8), fact(3, 9), b.clone(), latch("x")]).unwrap(), 3);
    let wrong = [
        vec![a.clone(), fact(1, 7), fact(1, 9)],
        vec![a.clone(), fact(1, 7), fact(1, 7)],
        vec![a.clone(), fact(4, 1)],
        vec![fact(1, 1)],
        vec![b, a.clone()],
        vec![latch("b"), latch("a")],
        vec![latch("b"), a.clone()],
        vec![a.clone(), Record::Snapshot { id: FactId { epoch: 1, seq: 2 }, bytes: vec![] }, a],
    ];
    for records in wrong {
        assert!(write(&records).is_err(), "{records:?}");
    }
}

#[test]
fn a_newer_version_is_named_and_not_called_damage() {
    for (format, schema) in [(FORMAT + 1, SCHEMA_VERSION), (FORMAT, SCHEMA_VERSION + 1)] {
        let mut writer = format::Writer::begin(Vec::new()).unwrap();
        writer.write(&Record::Header { format, schema, created_ms: 0, epoch: 3 }).unwrap();
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("x.backup");
        fs::write(&path, &writer.out).unwrap();
        assert!(matches!(check(&path), Err(BackupError::Newer { .. })));
    }
}

#[test]
fn a_damaged_store_makes_no_backup_and_costs_none() {
    let place = lived();
    let good = place.create(NOW, 1);
    let lost = crate::key::fact_key(&key("grid"), FactId { epoch: 1, seq: 20 });
    place.store.disk().write(crate::disk::Room::Facts, Vec::new(), vec![lost.to_vec()]).unwrap();
    assert!(matches!(
        create(&place.store, &place.dir(), NOW + 1, 1),
        Err(BackupError::Store(_) | BackupError::Unsteady { .. })
    ));
    assert_eq!(place.names(), [good.name]);
    assert_eq!(fs::read_dir(place.dir()).unwrap().count(), 1, "nothing half written stays");
}

#[test]
fn backups_beside_a_busy_recorder_are_whole() {
    let place = lived();
    let stop = Arc::new(AtomicBool::new(false));
    let (store, ended) = (&place.store, Arc::clone(&stop));
    std::thread::scope(|scope| {
        scope.spawn(move || {
            let mut seq = 40;
            while !ended.load(Ordering::Relaxed) && seq < 40_000 {
                append(store, "grid", seq + 1..=seq + 20);
                seq += 20;
                store.write_snapshot(&key("grid"), seq, &[seq as u8; 9_000]).unwrap();
                store.sync().unwrap();
                store.prune(&key("grid"), 30, 64).unwrap();
            }
        });
        let infos: Vec<_> = (0..12).map(|at| place.create(NOW + at, 99)).collect();
        let report = store.verify();
        stop.store(true, Ordering::Relaxed);
        assert!(report.is_whole(), "{:?}", report.problems().collect::<Vec<_>>());
        for info in infos {
            let (name, snapshots, facts) = seen(&info.path).remove(0);
            assert_eq!(name, "grid");
            let (first, last) = (facts[0], facts[facts.len() - 1]);
            assert!(snapshots.iter().all(|seq| first <= seq + 1 && *seq <= last), "{snapshots:?} {first} {last}");
            assert!((first..=last).eq(facts), "dense");
        }
    });
}

/// Writes its version in front of each payload.
struct Stamping;

impl crate::migrate::Migration for Stamping {
    fn fact(&self, from: u32, _: &InstanceKey, payload: &[u8]) -> Result<Vec<u8>, String> {
        Ok([format!("from {from}: ").as_bytes(), payload].concat())
    }

    fn snapshot(&self, from: u32, instance: &InstanceKey, payload: &[u8]) -> Result<Vec<u8>, String> {
        self.fact(from, instance, payload)
    }
}

#[test]
fn a_backup_of_an_earlier_version_is_migrated_while_it_is_restored() {
    let mut writer = format::Writer::begin(Vec::new()).unwrap();
    writer.write(&Record::Header { format: FORMAT, schema: 1, created_ms: 0, epoch: 3 }).unwrap();
    writer.write(&Record::Instance(key("a"))).unwrap();
    writer.write(&Record::Snapshot { id: FactId { epoch: 1, seq: 7 }, bytes: b"state".to_vec() }).unwrap();
    writer.write(&Record::Fact { id: FactId { epoch: 1, seq: 8 }, payload: b"fact".to_vec() }).unwrap();
    writer.write(&Record::End(writer.at.counts)).unwrap();
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("old.backup");
    fs::write(&path, &writer.out).unwrap();
    let lock = StateDir::acquire(&place.path().join("state")).unwrap();
    crate::restore::restore(&lock, &path, NOW, &Stamping).unwrap();
    let store = Store::open(&lock).unwrap();
    assert!(store.epoch() > 3);
    assert_eq!(store.facts(&key("a"), None, 9).unwrap()[0].payload, b"from 1: fact");
    assert_eq!(store.latest_snapshot(&key("a")).unwrap().unwrap().bytes, b"from 1: state");
    assert!(store.verify().is_whole());
}
