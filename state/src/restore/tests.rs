use super::*;
use crate::disk::Room;
use crate::journal::{NewFact, StateStore};
use crate::key::{FactId, InstanceKey, fact_key};
use crate::migrate::Unchanged;
use std::fs;

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

    fn exists(&self, name: &str) -> bool {
        self.root.path().join(name).exists()
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

mod rows;

#[test]
fn a_new_directory_needs_no_words_and_each_opening_is_a_new_epoch() {
    let place = Place::new();
    for epoch in 1..=3 {
        let opened = place.open();
        assert_eq!((opened.store.epoch(), opened.told.is_none(), opened.remarks.len()), (epoch, true, 0));
        assert_eq!(opened.verified, (epoch > 1).then_some(Scope::Everything));
    }
}

#[test]
fn beginning_anew_beside_backups_is_told_and_repeats_no_epoch() {
    let place = Place::lived();
    for name in ["epoch", "marks"] {
        fs::remove_file(place.root.path().join(name)).unwrap();
    }
    fs::remove_dir_all(place.lock.store_dir()).unwrap();
    let opened = place.open();
    assert!(opened.told.is_none() && opened.remarks.len() == 1, "{:?}", opened.remarks);
    assert_eq!((opened.store.epoch(), last(&opened.store, "grid")), (2, None));
}

#[test]
fn a_large_store_is_verified_as_far_as_a_start_needs() {
    let place = Place::lived();
    place.spoil(|store| lose_facts(store, "grid", 3..=4));
    let opened = place.try_open(50).unwrap();
    assert_eq!((opened.verified, opened.told.is_none()), (Some(Scope::Tail), true));
    assert!(!opened.store.verify().is_whole(), "the full verification sees the hole");
    drop(opened.store);
    place.spoil(|store| lose_facts(store, "grid", 15..=15));
    assert!(place.try_open(50).unwrap().told.is_some());
}

#[test]
fn what_is_whole_is_kept_and_the_rest_goes_back_to_the_backup() {
    let place = Place::lived();
    place.spoil(|store| lose_facts(store, "trend", 27..=30));
    let opened = place.open();
    let report = opened.told.unwrap();
    assert_eq!((of(&report, "grid").source.clone(), of(&report, "slow").source.clone()), (Source::Kept, Source::Kept));
    let trend = of(&report, "trend");
    assert!(matches!(trend.source, Source::Backup { created_ms, .. } if created_ms == NOW - 1_000));
    assert_eq!((trend.known, trend.reached), (Some(FactId { epoch: 1, seq: 30 }), Some(FactId { epoch: 1, seq: 20 })));
    assert_eq!((trend.facts_lost_at_least, report.latches), (10, Latches::Kept));
    assert_eq!(NAMES.map(|name| last(&opened.store, name)), [Some(30), Some(30), Some(20)]);
    assert_eq!(opened.store.latest_snapshot(&key("trend")).unwrap().unwrap().id.seq, 20);
    assert_eq!(opened.store.latches().unwrap().len(), 2);
    assert!(report.moved_to.is_some_and(|path| path.join("db").exists()));
    assert!(report.reason.contains("trend") && report.backup.is_some());
}

#[test]
fn facts_lost_at_the_beginning_are_noticed_though_pruning_looks_alike() {
    let place = Place::lived();
    let store = place.open().store;
    let pruned = store.prune(&key("grid"), 5, 6).unwrap();
    assert_eq!((pruned.facts, store.floor(&key("grid")).unwrap()), (6, Some(7)));
    store.seal().unwrap();
    drop(store);
    assert!(place.open().told.is_none(), "pruned is not lost");
    place.spoil(|store| lose_facts(store, "grid", 7..=8));
    let report = place.open().told.unwrap();
    assert!(matches!(of(&report, "grid").source, Source::Kept | Source::Backup { .. }));
    assert!(report.reason.contains("missing at the beginning"), "{}", report.reason);
    place.spoil(|store| lose_facts(store, "slow", 1..=3));
    assert!(place.open().told.unwrap().reason.contains("instance slow: facts are missing at the beginning"));
}

#[test]
fn a_damaged_newest_snapshot_costs_no_fact() {
    let place = Place::lived();
    let newest = FactId { epoch: 1, seq: 20 };
    place.spoil(|store| {
        let piece = crate::chunks::chunk_key(&fact_key(&key("slow"), newest), 1);
        store.disk().write(Room::Snapshots, Vec::new(), vec![piece]).unwrap();
    });
    let opened = place.open();
    let report = opened.told.unwrap();
    let slow = of(&report, "slow");
    assert_eq!((slow.source.clone(), last(&opened.store, "slow")), (Source::Kept, Some(30)));
    assert!(slow.note.as_ref().unwrap().contains("epoch 1 seq 10"), "{slow:?}");
    assert_eq!(opened.store.snapshot_ids(&key("slow")).unwrap(), [FactId { epoch: 1, seq: 10 }]);
}

#[test]
fn a_missing_store_comes_back_from_the_backup_in_an_epoch_never_used() {
    let place = Place::lived();
    drop(place.open());
    drop(place.open());
    drop(place.open());
    fs::remove_dir_all(place.lock.store_dir()).unwrap();
    let opened = place.open();
    let report = opened.told.unwrap();
    assert_eq!((report.moved_to.clone(), report.latches), (None, Latches::Merged));
    assert!(NAMES.iter().all(|name| of(&report, name).facts_lost_at_least == 10));
    assert!(opened.store.epoch() > 4);
    assert_eq!(NAMES.map(|name| last(&opened.store, name)), [Some(20); 3]);
    assert!(opened.store.get_latch("kill").unwrap().is_some(), "set after the backup, known to the marks");
    assert!(opened.store.get_latch("stopped/slow").unwrap().is_some());
}

#[test]
fn without_a_backup_everything_is_lost_and_locked() {
    let place = Place::lived();
    fs::remove_dir_all(place.backups()).unwrap();
    fs::write(place.lock.store_dir().join("db"), b"nothing that it was").unwrap();
    let opened = place.open();
    let report = opened.told.unwrap();
    assert!(report.instances.len() == 3 && report.instances.iter().all(|of| of.source == Source::Lost));
    assert!(report.lines().iter().any(|line| line.starts_with("slow: lost, no backup holds it; at least 30 facts")));
    for name in NAMES {
        assert!(opened.store.get_latch(&format!("lost/{name}")).unwrap().is_some());
        assert_eq!(last(&opened.store, name), None);
    }
    assert!(opened.store.get_latch("kill").unwrap().is_some());
}

#[test]
fn an_older_backup_is_used_when_the_newest_is_damaged() {
    let place = Place::lived();
    let store = place.open().store;
    let newest = backup::create(&store, &place.backups(), NOW, 9).unwrap();
    drop(store);
    let mut bytes = fs::read(&newest.path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&newest.path, bytes).unwrap();
    fs::remove_dir_all(place.lock.store_dir()).unwrap();
    let report = place.open().told.unwrap();
    assert!(matches!(&of(&report, "grid").source, Source::Backup { created_ms, .. } if *created_ms == NOW - 1_000));
    assert!(report.notes.iter().any(|note| note.contains("not used") && note.contains(&newest.name)), "{report:?}");
}

#[test]
fn lost_latches_are_put_together_and_set_ones_stay_set() {
    let place = Place::lived();
    let gone = vec![b"kill".to_vec(), b"stopped/slow".to_vec()];
    place.spoil(|store| store.disk().write(Room::Latches, Vec::new(), gone).unwrap());
    let opened = place.open();
    let report = opened.told.unwrap();
    assert_eq!(report.latches, Latches::Merged);
    assert!(report.instances.iter().all(|of| of.source == Source::Kept));
    let set: Vec<String> = opened.store.latches().unwrap().into_keys().collect();
    assert_eq!(set, ["kill", "paused/grid", "paused/slow", "paused/trend", "stopped/slow"], "and nobody enters");
}

#[test]
fn a_crash_in_the_middle_of_a_latch_change_is_no_damage() {
    for (announced, happened) in [(true, false), (true, true)] {
        let place = Place::lived();
        let store = place.open().store;
        let before = store.latch_sum().unwrap();
        let value = crate::record::seal(1, b"paused/grid", b"x");
        if announced {
            let next = before.with(b"paused/grid", &value);
            let known = store.marked();
            drop(store);
            let mut marks = crate::marks::Marks::create(place.root.path(), known).unwrap();
            marks.announce(before, next);
        }
        if happened {
            let row = (b"paused/grid".to_vec(), value);
            place.spoil(|store| store.disk().write(Room::Latches, vec![row], Vec::new()).unwrap());
        }
        assert!(place.open().told.is_none());
    }
}

#[test]
fn marks_and_epoch_that_are_missing_or_damaged_are_made_anew() {
    let place = Place::lived();
    for name in ["epoch", "marks"] {
        fs::remove_file(place.root.path().join(name)).unwrap();
        let opened = place.open();
        assert!(opened.told.is_none() && last(&opened.store, "grid") == Some(30), "{name}");
        let missed = opened.remarks.iter().filter(|remark| remark.contains("marks") && remark.contains("missing"));
        assert_eq!(missed.count(), usize::from(name == "marks"), "{:?}", opened.remarks);
        drop(opened);
        assert!(place.exists(name));
        let mut bytes = fs::read(place.root.path().join(name)).unwrap();
        bytes[0] ^= 0xff;
        fs::write(place.root.path().join(name), bytes).unwrap();
        let opened = place.open();
        assert!(opened.told.is_none() && opened.remarks.len() == 1, "{name}: {:?}", opened.remarks);
        drop(opened);
        assert!(place.open().remarks.is_empty());
    }
}

#[test]
fn a_newer_schema_is_no_damage_and_nothing_is_touched() {
    let place = Place::lived();
    let version = crate::record::seal(1, b"schema version", &9u32.to_be_bytes());
    place.spoil(|store| store.disk().write(Room::Meta, vec![(b"schema version".to_vec(), version)], vec![]).unwrap());
    let before = place.beside("");
    let epoch = fs::read(place.root.path().join("epoch")).unwrap();
    for _ in 0..2 {
        let error = place.try_open(u64::MAX).err().unwrap();
        assert!(matches!(error, StoreError::NewerSchema { found: 9, .. }), "{error}");
    }
    let newest = backup::list(&place.backups()).unwrap().remove(0).path;
    assert!(matches!(restore(&place.lock, &newest, NOW, &Unchanged), Err(StoreError::NewerSchema { .. })));
    assert_eq!(place.beside(""), before);
    assert_eq!(fs::read(place.root.path().join("epoch")).unwrap(), epoch);
}

#[test]
fn a_start_after_a_crash_at_any_step_of_the_swap_ends_as_if_there_had_been_none() {
    let damage = |place: &Place| place.spoil(|store| lose_facts(store, "trend", 27..=30));
    let steps: [&dyn Fn(&Place); 6] = [
        &|place| fs::create_dir(place.root.path().join("store.new")).unwrap(),
        // Complete, and the old one is still in place.
        &|place| fs::create_dir(place.root.path().join("store.new.damaged-x")).unwrap(),
        // The old one is aside, the new one is not in place yet.
        &|place| {
            fs::create_dir(place.root.path().join("store.new.damaged-x")).unwrap();
            fs::rename(place.lock.store_dir(), place.root.path().join("store.damaged-x")).unwrap();
        },
        // The same, and somebody has opened what was not there.
        &|place| {
            fs::create_dir(place.root.path().join("store.new.damaged-x")).unwrap();
            fs::rename(place.lock.store_dir(), place.root.path().join("store.damaged-x")).unwrap();
            assert!(matches!(Store::open(&place.lock), Err(StoreError::Rewound { stored: 0, .. })));
        },
        &|place| {
            fs::create_dir(place.root.path().join("store.new.damaged-x")).unwrap();
            fs::rename(place.lock.store_dir(), place.root.path().join("store.damaged-x")).unwrap();
            drop(Store::peek(&place.lock.store_dir()).unwrap());
        },
        &|_| {},
    ];
    for step in steps {
        let place = Place::lived();
        damage(&place);
        step(&place);
        let opened = place.open();
        assert_eq!(of(&opened.told.unwrap(), "trend").facts_lost_at_least, 10);
        assert_eq!(NAMES.map(|name| last(&opened.store, name)), [Some(30), Some(30), Some(20)]);
        assert_eq!((place.beside("store.new").len(), place.beside("store.damaged-").len()), (0, 1));
    }
}

#[test]
fn a_crash_right_after_the_swap_does_not_hide_the_restore() {
    let place = Place::lived();
    let marks = fs::read(place.root.path().join("marks")).unwrap();
    let epoch = fs::read(place.root.path().join("epoch")).unwrap();
    place.spoil(|store| lose_facts(store, "trend", 27..=30));
    let first = place.open();
    let lines = first.told.unwrap().lines();
    drop(first.store);
    // As if the new epoch and the new marks had not been written any more.
    fs::write(place.root.path().join("marks"), marks).unwrap();
    fs::write(place.root.path().join("epoch"), epoch).unwrap();
    let second = place.open();
    assert!(second.told.is_none(), "the old marks do not speak of the new store");
    assert!(lines.iter().all(|line| second.remarks.contains(line)), "{:?}", second.remarks);
    drop(second.store);
    told(&place.lock).unwrap();
    told(&place.lock).unwrap();
    assert!(place.open().remarks.is_empty());
}

#[test]
fn an_operator_gets_the_backup_that_was_asked_for() {
    let place = Place::lived();
    let store = place.open().store;
    append(&store, "fresh", 1..=5);
    for name in ["paused/grid", "stopped/trend", "life/grid", "added/fresh"] {
        store.put_latch(name, b"after the backup").unwrap();
    }
    store.seal().unwrap();
    let epoch = store.epoch();
    drop(store);
    let path = backup::list(&place.backups()).unwrap().remove(0).path;
    let report = restore(&place.lock, &path, NOW, &Unchanged).unwrap();
    assert!(report.latches == Latches::Backup && report.notes.is_empty(), "{report:?}");
    assert!(report.lines().iter().any(|line| line.contains("whatever was set before this restore stays set")));
    assert_eq!((of(&report, "fresh").source.clone(), of(&report, "fresh").facts_lost_at_least), (Source::Lost, 5));
    assert!(NAMES.iter().all(|name| of(&report, name).facts_lost_at_least == 10));
    assert_eq!(place.beside("store.replaced-").len(), 1);
    told(&place.lock).unwrap();
    let opened = place.open();
    assert!(opened.told.is_none() && opened.remarks.is_empty(), "{:?}", opened.remarks);
    assert!(opened.store.epoch() > epoch + 1);
    assert_eq!(NAMES.map(|name| last(&opened.store, name)), [Some(20); 3]);
    let set: Vec<String> = opened.store.latches().unwrap().into_keys().collect();
    assert_eq!(set, ["kill", "lost/fresh", "paused/grid", "stopped/slow", "stopped/trend"]);
    assert!(opened.store.verify().is_whole());
}

#[test]
fn a_damaged_backup_is_refused_and_the_store_stays() {
    let place = Place::lived();
    let path = backup::list(&place.backups()).unwrap().remove(0).path;
    let bytes = fs::read(&path).unwrap();
    fs::write(&path, &bytes[..bytes.len() - 1]).unwrap();
    assert!(matches!(restore(&place.lock, &path, NOW, &Unchanged), Err(StoreError::Backup(_))));
    let opened = place.open();
    assert!(opened.told.is_none() && last(&opened.store, "grid") == Some(30));
}

#[test]
fn the_three_newest_damaged_stores_stay_aside() {
    let place = Place::lived();
    for lost in 0..5 {
        place.spoil(|store| lose_facts(store, "grid", 20 - lost..=30));
        assert!(place.open().told.is_some());
    }
    assert_eq!(place.beside("store.damaged-").len(), 3);
}

#[test]
fn inspecting_changes_nothing() {
    let place = Place::lived();
    place.spoil(|store| lose_facts(store, "grid", 3..=3));
    for _ in 0..2 {
        let report = inspect(&place.lock).unwrap();
        assert_eq!(
            report.problems().collect::<Vec<_>>(),
            ["instance grid: a hole: epoch 1 seq 2 is followed by epoch 1 seq 4"]
        );
    }
    fs::remove_dir_all(place.lock.store_dir()).unwrap();
    assert!(matches!(inspect(&place.lock), Err(StoreError::Rewound { stored: 0, marked: 1, .. })));
    assert!(!place.lock.store_dir().exists());
}

#[test]
fn where_a_life_begins_comes_from_where_its_records_come_from() {
    let place = Place::new();
    let store = place.open().store;
    for name in NAMES {
        store.put_latch(&format!("life/{name}"), b"first").unwrap();
        append(&store, name, 1..=20);
        snapshot(&store, name, 20);
    }
    backup::create(&store, &place.backups(), NOW - 1_000, 9).unwrap();
    for name in NAMES {
        store.put_latch(&format!("life/{name}"), b"second").unwrap();
        append(&store, name, 21..=30);
    }
    store.seal().unwrap();
    drop(store);
    place.spoil(|store| lose_facts(store, "slow", 25..=27));
    let opened = place.open();
    assert!(opened.told.is_some());
    let life = |name: &str| opened.store.get_latch(&format!("life/{name}")).unwrap();
    assert_eq!((last(&opened.store, "slow"), life("slow")), (Some(20), Some(b"first".to_vec())));
    assert_eq!((last(&opened.store, "grid"), life("grid")), (Some(30), Some(b"second".to_vec())));
}
