use super::opening::{EPOCH, VERSION, meta_row};
use super::*;
use crate::chunks::{CHUNK_BYTES, ChunkFault};
use crate::disk::{DiskError, Room};
use crate::journal::StoredFact;
use crate::key::fact_key;
use crate::lock::StateDir;
use crate::record::RecordFault;
use std::fs;

struct Place {
    root: tempfile::TempDir,
    lock: Option<StateDir>,
}

impl Place {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let lock = Some(StateDir::acquire(root.path()).unwrap());
        Self { root, lock }
    }

    fn open(&self) -> Store {
        self.try_open().unwrap()
    }

    fn try_open(&self) -> Result<Store, StoreError> {
        Store::open(self.lock.as_ref().unwrap())
    }
}

fn key(id: &str) -> InstanceKey {
    InstanceKey::new(id).unwrap()
}

fn append(store: &Store, instance: &str, seqs: std::ops::RangeInclusive<u64>) {
    let facts = seqs.map(|seq| NewFact { instance: key(instance), seq, payload: payload(seq) });
    store.append(facts.collect()).unwrap();
    store.sync().unwrap();
}

fn payload(seq: u64) -> Vec<u8> {
    format!("fact {seq}").into_bytes()
}

fn seqs(facts: &[StoredFact]) -> Vec<(u32, u64)> {
    facts.iter().map(|fact| (fact.epoch, fact.seq)).collect()
}

fn bytes(length: usize) -> Vec<u8> {
    (0..length).map(|i| (i * 7919 % 251) as u8).collect()
}

/// Flips one bit of a stored value behind the store's back.
fn flip(store: &Store, room: Room, key: &[u8], at: usize) {
    let mut value = store.disk.get(room, key).unwrap().unwrap();
    value[at] ^= 4;
    store.disk.write(room, vec![(key.to_vec(), value)], Vec::new()).unwrap();
}

#[test]
fn facts_survive_reopening_and_each_opening_is_a_new_epoch() {
    let place = Place::new();
    for epoch in 1..=3u32 {
        let store = place.open();
        assert_eq!(store.epoch(), epoch);
        let first = u64::from(epoch - 1) * 5 + 1;
        append(&store, "grid-btc", first..=first + 4);
    }
    let store = place.open();
    let all = store.facts(&key("grid-btc"), None, usize::MAX).unwrap();
    assert_eq!(all.len(), 15);
    assert!(all.iter().all(|fact| fact.payload == payload(fact.seq)));
    assert_eq!((all[0].id(), all[14].id()), (FactId { epoch: 1, seq: 1 }, FactId { epoch: 3, seq: 15 }));
    assert_eq!(store.last_fact_id(&key("grid-btc")).unwrap(), Some(all[14].id()));
}

#[test]
fn reads_are_bounded_by_instance_place_and_limit() {
    let place = Place::new();
    let store = place.open();
    append(&store, "a", 0..=2);
    append(&store, "ab", 1..=20);
    append(&store, "b", 1..=1);
    let ab = key("ab");
    assert_eq!(seqs(&store.facts(&ab, Some(FactId { epoch: 1, seq: 19 }), 9).unwrap()), [(1, 19), (1, 20)]);
    assert_eq!(seqs(&store.facts(&ab, None, 2).unwrap()), [(1, 1), (1, 2)]);
    assert_eq!(store.facts(&ab, Some(FactId { epoch: 2, seq: 0 }), 9).unwrap(), []);
    assert_eq!(seqs(&store.last_facts(&ab, 2).unwrap()), [(1, 19), (1, 20)]);
    assert_eq!(seqs(&store.last_facts(&key("a"), 9).unwrap()), [(1, 0), (1, 1), (1, 2)]);
    let newest: Vec<_> = store.facts_rev(&ab).unwrap().take(3).map(|fact| fact.unwrap().seq).collect();
    assert_eq!(newest, [20, 19, 18]);
    assert_eq!(store.instances().unwrap(), [key("a"), key("ab"), key("b")]);
    assert_eq!(store.last_fact_id(&key("c")).unwrap(), None);
}

#[test]
fn the_highest_key_of_an_instance_does_not_hide_the_next_instance() {
    let place = Place::new();
    let store = place.open();
    let top = fact_key(&key("a"), FactId::MAX);
    store.disk.write(Room::Facts, vec![(top.to_vec(), vec![])], Vec::new()).unwrap();
    append(&store, "b", 1..=1);
    assert_eq!(store.instances().unwrap(), [key("a"), key("b")]);
}

#[test]
fn a_hole_is_named_from_whichever_side_it_is_read() {
    let place = Place::new();
    let store = place.open();
    append(&store, "grid", 1..=9);
    let lost = fact_key(&key("grid"), FactId { epoch: 1, seq: 5 });
    store.disk.write(Room::Facts, Vec::new(), vec![lost.to_vec()]).unwrap();
    let behind = Some(FactId { epoch: 1, seq: 6 });
    let answers =
        [store.facts(&key("grid"), None, 99), store.facts(&key("grid"), behind, 1), store.last_facts(&key("grid"), 99)];
    for answer in answers {
        let error = answer.unwrap_err();
        assert_eq!(
            error.to_string(),
            "the facts of instance grid have a hole: epoch 1 seq 4 is followed by epoch 1 seq 6"
        );
    }
    assert_eq!(store.facts(&key("grid"), None, 4).unwrap().len(), 4, "what lies before the hole is whole");
    let steps: Vec<bool> = store.facts_rev(&key("grid")).unwrap().map(|step| step.is_ok()).collect();
    assert_eq!(steps, [true, true, true, true, false], "the iterator ends at the hole");
}

#[test]
fn a_changed_value_is_named_and_the_rest_stays_readable() {
    let place = Place::new();
    let store = place.open();
    append(&store, "grid", 1..=9);
    let id = FactId { epoch: 1, seq: 7 };
    flip(&store, Room::Facts, &fact_key(&key("grid"), id), 8);
    let error = store.facts(&key("grid"), None, 99).unwrap_err();
    let StoreError::DamagedFact { instance, id: named, fault: RecordFault::Checksum { .. } } = &error else {
        panic!("{error}")
    };
    assert_eq!((*instance, *named), (key("grid"), id));
    assert!(error.to_string().contains("epoch 1 seq 7 of instance grid"), "{error}");
    assert_eq!(store.last_facts(&key("grid"), 2).unwrap().len(), 2);
    assert!(store.last_facts(&key("grid"), 3).is_err());
}

#[test]
fn long_facts_and_snapshots_come_back_and_never_go_to_unsynced_files() {
    let place = Place::new();
    let store = place.open();
    let long = bytes(300_000);
    let sizes = [0, CHUNK_BYTES, CHUNK_BYTES + 1, 300_000, 3];
    let facts = (1..).zip(sizes).map(|(seq, size)| NewFact { instance: key("a"), seq, payload: long[..size].to_vec() });
    store.append(facts.collect()).unwrap();
    // The worst page: values that just fit into one row.
    let full = (1..400).map(|seq| NewFact { instance: key("b"), seq, payload: long[..CHUNK_BYTES].to_vec() });
    store.append(full.collect()).unwrap();
    store.put_snapshot(&key("a"), 1, 5, &bytes(3_000_000)).unwrap();
    for _ in 0..3 {
        store.put_snapshot(&key("b"), 1, 399, &long).unwrap();
    }
    drop(store);
    let store = place.open();
    let read = store.facts(&key("a"), None, 9).unwrap();
    assert_eq!(read.iter().map(|fact| fact.payload.len()).collect::<Vec<_>>(), sizes);
    assert!(read.iter().all(|fact| long.starts_with(&fact.payload)));
    assert_eq!(store.facts(&key("b"), None, 999).unwrap().len(), 399);
    assert_eq!(store.latest_snapshot(&key("a")).unwrap().unwrap().bytes, bytes(3_000_000));
    assert_eq!(fs::read_dir(store.dir().join("blobs")).unwrap().count(), 0);
}

#[test]
fn a_long_fact_without_its_pieces_is_named() {
    let place = Place::new();
    let store = place.open();
    store.append(vec![NewFact { instance: key("a"), seq: 1, payload: bytes(20_000) }]).unwrap();
    let piece = crate::chunks::chunk_key(&fact_key(&key("a"), FactId { epoch: 1, seq: 1 }), 2);
    store.disk.write(Room::LongFacts, Vec::new(), vec![piece]).unwrap();
    let error = store.facts(&key("a"), None, 9).unwrap_err();
    let expected = ChunkFault::Missing { chunk: 2, count: 4 };
    assert!(matches!(&error, StoreError::DamagedLongFact { fault, .. } if *fault == expected), "{error}");
}

#[test]
fn a_snapshot_of_300_kb_survives_and_a_flipped_bit_is_noticed() {
    let place = Place::new();
    let store = place.open();
    assert_eq!(store.latest_snapshot(&key("grid")).unwrap(), None);
    store.put_snapshot(&key("grid"), 1, 10, &bytes(300_000)).unwrap();
    store.put_snapshot(&key("grid"), 1, 20, &bytes(299_999)).unwrap();
    drop(store);
    let store = place.open();
    let newest = store.latest_snapshot(&key("grid")).unwrap().unwrap();
    assert_eq!((newest.id, newest.bytes), (FactId { epoch: 1, seq: 20 }, bytes(299_999)));
    let piece = crate::chunks::chunk_key(&fact_key(&key("grid"), newest.id), 17);
    flip(&store, Room::Snapshots, &piece, 1_000);
    let error = store.latest_snapshot(&key("grid")).unwrap_err();
    assert!(
        matches!(&error, StoreError::DamagedSnapshot { id, fault: ChunkFault::Chunk { chunk: 17, .. }, .. } if *id == newest.id),
        "{error}"
    );
    let older = store.snapshot(&key("grid"), FactId { epoch: 1, seq: 10 }).unwrap();
    assert_eq!(older.bytes, bytes(300_000));
}

#[test]
fn the_two_newest_snapshots_stay_and_one_of_the_same_fact_is_replaced() {
    let place = Place::new();
    let store = place.open();
    for seq in [10, 20, 30] {
        store.put_snapshot(&key("a"), 1, seq, &bytes(50_000)).unwrap();
    }
    store.put_snapshot(&key("b"), 1, 1, b"other").unwrap();
    let ids = |instance| -> Vec<u64> { store.snapshot_ids(&key(instance)).unwrap().iter().map(|id| id.seq).collect() };
    assert_eq!((ids("a"), ids("b")), (vec![20, 30], vec![1]));
    store.put_snapshot(&key("a"), 1, 30, b"shorter").unwrap();
    assert_eq!(ids("a"), [20, 30]);
    assert_eq!(store.latest_snapshot(&key("a")).unwrap().unwrap().bytes, b"shorter");
}

#[test]
fn latches_survive_and_are_removed() {
    let place = Place::new();
    let store = place.open();
    store.put_latch("kill", b"by 1000").unwrap();
    store.put_latch("halt/grid", b"").unwrap();
    store.remove_latch("never set").unwrap();
    drop(store);
    let store = place.open();
    assert_eq!(store.get_latch("kill").unwrap().as_deref(), Some(b"by 1000".as_slice()));
    assert_eq!(store.latches().unwrap().into_keys().collect::<Vec<_>>(), ["halt/grid", "kill"]);
    store.remove_latch("kill").unwrap();
    assert_eq!(store.get_latch("kill").unwrap(), None);
    flip(&store, Room::Latches, b"halt/grid", 2);
    assert!(matches!(store.latches(), Err(StoreError::DamagedLatch { name, .. }) if name == "halt/grid"));
    assert!(matches!(store.put_latch("", b""), Err(StoreError::LatchLength { min: 1, .. })));
    assert!(matches!(store.put_latch("x", &bytes(CHUNK_BYTES + 1)), Err(StoreError::LatchLength { .. })));
}

#[test]
fn a_newer_schema_is_refused_and_left_alone() {
    let place = Place::new();
    let store = place.open();
    store.disk.write(Room::Meta, vec![meta_row(VERSION, SCHEMA_VERSION + 1)], Vec::new()).unwrap();
    drop(store);
    for _ in 0..2 {
        let error = place.try_open().err().unwrap();
        let StoreError::NewerSchema { found, supported, .. } = &error else { panic!("{error}") };
        assert_eq!((*found, *supported), (SCHEMA_VERSION + 1, SCHEMA_VERSION));
        assert!(error.to_string().contains("a newer supervisor wrote it"), "{error}");
    }
}

#[test]
fn a_store_that_lost_its_description_is_refused() {
    let refused = |spoil: &dyn Fn(&Store)| {
        let place = Place::new();
        let store = place.open();
        append(&store, "grid", 1..=3);
        spoil(&store);
        drop(store);
        place.try_open().err().unwrap().to_string()
    };
    let remove =
        |name: &'static str| move |store: &Store| store.disk.write(Room::Meta, Vec::new(), vec![name.into()]).unwrap();
    assert!(refused(&remove(VERSION)).contains("its schema version is missing"));
    assert!(refused(&remove(EPOCH)).contains("its epoch is missing"));
    assert!(refused(&|store| flip(store, Room::Meta, EPOCH.as_bytes(), 8)).contains("its epoch is damaged"));
    let set = |name: &'static str, number: u32| {
        move |store: &Store| store.disk.write(Room::Meta, vec![meta_row(name, number)], Vec::new()).unwrap()
    };
    assert!(refused(&set(EPOCH, 0)).contains("is at epoch 0, but this state directory has seen epoch 1"));
    assert!(refused(&set(EPOCH, u32::MAX)).contains("used up"));
    assert!(refused(&set(VERSION, 0)).contains("never existed"));
}

#[test]
fn a_store_that_came_up_empty_or_old_is_no_new_one() {
    let place = Place::new();
    append(&place.open(), "grid", 1..=3);
    let old = fs::read(place.root.path().join("store/db")).unwrap();
    drop(place.open());
    fs::write(place.root.path().join("store/db"), old).unwrap();
    let error = place.try_open().err().unwrap();
    assert!(matches!(error, StoreError::Rewound { stored: 1, marked: 2, .. }), "{error}");
    fs::remove_dir_all(place.root.path().join("store")).unwrap();
    assert!(matches!(place.try_open(), Err(StoreError::Rewound { stored: 0, marked: 2, .. })));
    assert!(!place.root.path().join("store").exists(), "looking makes no store");
    let error = place.try_open().err().unwrap();
    assert!(matches!(error, StoreError::Rewound { stored: 0, marked: 2, .. }), "{error}");
    fs::remove_file(crate::mark::path(place.root.path())).unwrap();
    assert!(matches!(place.try_open(), Err(StoreError::BelowMark { .. })));
    fs::remove_file(crate::marks::path(place.root.path())).unwrap();
    assert_eq!(place.open().epoch(), 1, "as the message says");
}

#[test]
fn facts_ahead_of_the_epoch_are_refused() {
    let place = Place::new();
    let store = place.open();
    let ahead = fact_key(&key("grid"), FactId { epoch: 9, seq: 1 });
    store.disk.write(Room::Facts, vec![(ahead.to_vec(), vec![])], Vec::new()).unwrap();
    drop(store);
    let error = place.try_open().err().unwrap();
    assert_eq!(error.to_string(), "the store's epoch is 1, but instance grid has facts of epoch 9 seq 1");
}

#[test]
fn a_second_database_on_one_directory_is_an_error() {
    let place = Place::new();
    let _first = place.open();
    let error = place.try_open().err().unwrap();
    assert!(matches!(error, StoreError::Disk(DiskError::Failed { during: "open", .. })), "{error}");
}

/// Damaged files: whatever happens is an answer. The database may drop the newest facts without a word (a high-water
/// mark has to notice that); what it does return is whole and without holes, and an emptied store is refused.
#[test]
fn no_panic_leaves_a_damaged_store_and_no_false_fact() {
    let place = Place::new();
    let store = place.open();
    (0..150).for_each(|group| append(&store, "grid", group * 10 + 1..=group * 10 + 10));
    drop(store);
    let whole = fs::read(place.root.path().join("store/db")).unwrap();
    let used = whole.iter().rposition(|byte| *byte != 0).unwrap();
    let answers = (0..12).map(|step| {
        let mut damaged = whole.clone();
        damaged[used * step / 12] ^= 0x5a;
        answer_of(&place, &damaged)
    });
    let answers: Vec<_> = answers.collect();
    assert_eq!(answers[0], "refused", "{answers:?}");
    assert!(answers.contains(&"lost"), "the damage reaches facts: {answers:?}");
}

fn answer_of(whole: &Place, db: &[u8]) -> &'static str {
    let place = Place::new();
    let (from, to) = (whole.root.path(), place.root.path());
    fs::create_dir(to.join("store")).unwrap();
    fs::copy(from.join("epoch"), to.join("epoch")).unwrap();
    fs::copy(from.join("store/conf"), to.join("store/conf")).unwrap();
    fs::write(to.join("store/db"), db).unwrap();
    let Ok(store) = place.try_open() else { return "refused" };
    let Ok(facts) = store.facts(&key("grid"), None, usize::MAX) else { return "refused" };
    assert!((1..).zip(&facts).all(|(seq, fact)| fact.seq == seq && fact.payload == payload(seq)));
    if facts.len() == 1500 { "kept" } else { "lost" }
}
