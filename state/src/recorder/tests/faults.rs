//! Faults at each call of a scripted day.

use super::*;
use crate::memory::Call;
use std::collections::BTreeMap;
use std::io::ErrorKind;

const NAMES: [&str; 2] = ["a", "b"];
const ROUNDS: u64 = 5;

/// What was answered: the highest number that was called durable for each instance, and how many errors there were.
#[derive(Debug, Default)]
struct Answers {
    durable: BTreeMap<&'static str, u64>,
    snapshots: BTreeMap<&'static str, u64>,
    errors: Vec<RecordError>,
}

/// Batches with and without an answer and snapshots with and without one; each step is over before the next begins.
fn day(recorder: &Recorder, rounds: u64) -> Answers {
    let handle = recorder.handle();
    let (sender, heard) = channel();
    let mut answers = Answers::default();
    for round in 0..rounds {
        for name in NAMES {
            let first = round * 5 + 1;
            handle.append(batch(name, first, 2));
            handle.append(asked(name, &sender, batch(name, first + 2, 3)));
            answers.hear(heard.recv().unwrap(), false);
            let heard_snapshot = sender.clone();
            let done: Done = Box::new(move |outcome| heard_snapshot.send((name, outcome)).unwrap());
            let is_asked = round % 2 == 0;
            let done = is_asked.then_some(done);
            handle.snapshot(SnapshotBatch { instance: key(name), generation: 0, seq: first + 3, bytes: vec![1], done });
            if is_asked {
                answers.hear(heard.recv().unwrap(), true);
            }
        }
        let flushed = recorder.flush();
        answers.errors.extend(flushed.err());
    }
    answers
}

impl Answers {
    fn hear(&mut self, (name, outcome): Heard, is_snapshot: bool) {
        let answered = if is_snapshot { &mut self.snapshots } else { &mut self.durable };
        match outcome {
            Ok(seq) => drop(answered.insert(name, seq)),
            Err(error) => self.errors.push(error),
        }
    }

    /// What was called durable is there, without a hole up to the end.
    fn check(&self, facts: impl Fn(&InstanceKey) -> Vec<u64>, snapshots: impl Fn(&InstanceKey) -> Vec<u64>) {
        for (name, seq) in &self.durable {
            let facts = facts(&key(name));
            assert!(facts.last() >= Some(seq), "{name}: {seq} was durable, there are {facts:?}");
            assert!(facts.windows(2).all(|pair| pair[0] + 1 == pair[1]), "{name}: {facts:?}");
        }
        for (name, seq) in &self.snapshots {
            let (facts, snapshots) = (facts(&key(name)), snapshots(&key(name)));
            assert!(snapshots.last() >= Some(seq), "{name}: snapshot {seq} was durable, there are {snapshots:?}");
            assert!(snapshots.last() <= facts.last(), "{name}: {snapshots:?} of {facts:?}");
        }
    }
}

fn check_memory(store: &MemoryStore, answers: &Answers) {
    let facts = |name: &InstanceKey| store.durable_facts(name).iter().map(|fact| fact.seq).collect();
    answers.check(facts, |name| store.durable_snapshots(name).iter().map(|id| id.seq).collect());
    assert_eq!(store.rewritten(), 0, "nothing is written twice");
}

fn settings() -> Settings {
    Settings { facts_kept: 3, ..small() }
}

fn run(store: &Arc<MemoryStore>) -> (Answers, StorageState, Result<(), RecordError>) {
    let recorder = Recorder::start_with(Arc::clone(store), settings()).unwrap();
    let answers = day(&recorder, ROUNDS);
    let storage = recorder.handle().storage();
    (answers, storage, recorder.stop())
}

/// How many calls a day without a fault makes. What is committed together varies, so a day may make a few less.
fn calls() -> u64 {
    let store = Arc::new(MemoryStore::new(1));
    let (answers, storage, stopped) = run(&store);
    stopped.unwrap();
    check_memory(&store, &answers);
    assert!(answers.errors.is_empty() && storage == StorageState::Good);
    assert_eq!(store.durable_facts(&key("a")).first().map(|fact| fact.seq), Some(19), "pruned to the older snapshot");
    for call in [Call::Append, Call::Sync, Call::Snapshot, Call::Prune] {
        assert!(store.count(call) >= 2 * ROUNDS, "{call:?}");
    }
    store.calls()
}

/// A store in a directory of its own, and its recorder.
fn on_disk() -> (tempfile::TempDir, StateDir, Arc<Store>, Recorder) {
    let root = tempfile::tempdir().unwrap();
    let lock = StateDir::acquire(root.path()).unwrap();
    let store = Arc::new(Store::open(&lock).unwrap());
    let recorder = Recorder::start_with(Arc::clone(&store), settings()).unwrap();
    (root, lock, store, recorder)
}

#[test]
fn a_full_disk_at_each_call_loses_nothing_and_writes_nothing_twice() {
    let mut reached = 0;
    for nth in 1..=calls() {
        for surviving in [0, 1, 2, 99] {
            let store = Arc::new(MemoryStore::new(1));
            store.survive_reopening(surviving);
            store.fail_at(None, nth, ErrorKind::StorageFull);
            let (answers, storage, stopped) = run(&store);
            if store.calls() < nth {
                continue;
            }
            reached += 1;
            stopped.unwrap();
            assert!(answers.errors.is_empty(), "call {nth}, {surviving} survive: {answers:?}");
            let StorageState::Low { since_what } = storage else { panic!("call {nth}: {storage:?}") };
            assert!(since_what.contains("planned fault"), "{since_what}");
            check_memory(&store, &answers);
            assert_eq!(store.count(Call::Relieve), 1);
            for name in NAMES {
                let last = store.durable_facts(&key(name)).last().map(|fact| fact.seq);
                let snapshots: Vec<_> = store.durable_snapshots(&key(name)).iter().map(|id| id.seq).collect();
                assert_eq!((last, snapshots), (Some(5 * ROUNDS), vec![19, 24]), "call {nth}, {surviving} survive");
            }
        }
    }
    assert!(reached > 4 * 8 * ROUNDS, "{reached}");
}

#[test]
fn any_other_error_at_each_call_stops_everything() {
    let mut reached = 0;
    for nth in 1..=calls() {
        let store = Arc::new(MemoryStore::new(1));
        store.fail_at(None, nth, ErrorKind::Other);
        let (answers, storage, stopped) = run(&store);
        if store.calls() < nth {
            continue;
        }
        reached += 1;
        assert!(matches!(stopped, Err(RecordError::Storage { .. })), "call {nth}");
        assert!(matches!(storage, StorageState::Failed { error } if error.contains("planned fault")));
        assert!(!answers.errors.is_empty() && answers.errors.iter().all(|error| !error.is_storage_full()));
        check_memory(&store, &answers);
        assert_eq!(store.calls(), nth, "nothing is asked of the store any more");
    }
    assert!(reached > 8 * ROUNDS, "{reached}");
}

#[test]
fn a_second_fault_while_room_is_made_is_the_end() {
    for nth in 1..=calls() {
        for later in 1..=2 {
            for kind in [ErrorKind::StorageFull, ErrorKind::Other] {
                let store = Arc::new(MemoryStore::new(1));
                store.fail_at(None, nth, ErrorKind::StorageFull);
                store.fail_at(None, nth + later, kind);
                let (answers, storage, stopped) = run(&store);
                if store.calls() < nth {
                    continue;
                }
                assert!(stopped.is_err() && matches!(storage, StorageState::Failed { .. }), "{nth} {later} {kind:?}");
                assert!(!answers.errors.is_empty());
                check_memory(&store, &answers);
                assert_eq!(store.calls(), nth + later);
            }
        }
    }
}

#[test]
fn a_store_that_comes_back_without_what_was_durable_is_not_written_to() {
    let forgetful = Arc::new(Forgetful(MemoryStore::new(1)));
    forgetful.0.fail_at(Some(Call::Append), 2, ErrorKind::StorageFull);
    let recorder = Recorder::start_with(Arc::clone(&forgetful), settings()).unwrap();
    let (sender, heard) = channel();
    recorder.handle().append(asked("kept", &sender, batch("a", 1, 2)));
    heard.recv().unwrap().1.unwrap();
    recorder.handle().append(asked("next", &sender, batch("a", 3, 1)));
    let error = heard.recv().unwrap().1.unwrap_err();
    let expected = FactId { epoch: 1, seq: 3 };
    assert!(matches!(error, RecordError::Lost { expected: id, found: None, .. } if id == expected), "{error}");
    assert!(error.to_string().contains("its last is nothing"), "{error}");
    assert!(recorder.stop().is_err());
    assert_eq!(forgetful.0.appends(), 2);
}

/// Is found full, by a latch say, right after its first answer.
struct Interrupted(MemoryStore, Mutex<u64>);

impl Around for Interrupted {
    fn memory(&self) -> &MemoryStore {
        &self.0
    }
    fn last_fact_id(&self, instance: &InstanceKey) -> Result<Option<FactId>, StoreError> {
        let mut asked = self.1.lock().unwrap();
        *asked += 1;
        if *asked > 1 && self.0.count(Call::Relieve) == 0 {
            return Err(DiskError::Broken { dir: "memory".into(), during: "read", full: true }.into());
        }
        self.0.last_fact_id(instance)
    }
}

#[test]
fn a_disk_that_fills_up_while_a_first_batch_is_checked_costs_no_fact() {
    let store = Arc::new(Interrupted(MemoryStore::new(1), Mutex::default()));
    let recorder = Recorder::start_with(Arc::clone(&store), settings()).unwrap();
    let (sender, heard) = channel();
    let handle = recorder.handle();
    handle.append(batch("a", 1, 3));
    recorder.flush().unwrap();
    handle.append(asked("a", &sender, batch("a", 4, 1)));
    assert!(matches!(heard.recv().unwrap(), ("a", Ok(4))));
    recorder.stop().unwrap();
    assert_eq!(store.0.durable_facts(&key("a")).len(), 4);
}

/// Says after a full disk that it knows nobody.
struct Forgetful(MemoryStore);

impl Around for Forgetful {
    fn memory(&self) -> &MemoryStore {
        &self.0
    }
    fn last_fact_id(&self, instance: &InstanceKey) -> Result<Option<FactId>, StoreError> {
        if self.0.count(Call::Relieve) > 0 { Ok(None) } else { self.0.last_fact_id(instance) }
    }
}

#[test]
fn a_reserve_that_is_made_again_is_told() {
    let store = Arc::new(MemoryStore::new(1));
    store.fail_at(Some(Call::Sync), 1, ErrorKind::StorageFull);
    let recorder = Recorder::start_with(Arc::clone(&store), settings()).unwrap();
    let handle = recorder.handle();
    handle.append(batch("a", 1, 1));
    recorder.flush().unwrap();
    assert!(matches!(handle.storage(), StorageState::Low { .. }));
    assert_eq!(store.reserve(), 0);
    handle.replenish();
    // The answer of a flush comes before a reserve that was asked for with it.
    recorder.flush().unwrap();
    recorder.stop().unwrap();
    assert_eq!((handle.storage(), store.reserve()), (StorageState::Good, settings().reserve_bytes));
}

/// The same day on the database: full at each of its writes, flushes and syncs.
#[test]
fn a_full_disk_at_each_call_of_the_database_loses_nothing() {
    let mut low = 0;
    for nth in 1.. {
        let (root, lock, store, recorder) = on_disk();
        recorder.flush().unwrap();
        assert!(root.path().join("reserve").exists());
        store.disk().fill_at(nth);
        let answers = day(&recorder, 2);
        let storage = recorder.handle().storage();
        recorder.stop().unwrap();
        assert!(answers.errors.is_empty(), "call {nth}: {answers:?}");
        drop(store);
        let store = Store::open(&lock).unwrap();
        let facts = |name: &InstanceKey| store.facts(name, None, 99).unwrap().iter().map(|fact| fact.seq).collect();
        answers.check(facts, |name| store.snapshot_ids(name).unwrap().iter().map(|id| id.seq).collect());
        assert_eq!(facts(&key("a")).last(), Some(&10));
        if storage == StorageState::Good {
            break;
        }
        low += 1;
        assert!(!root.path().join("reserve").exists(), "it was given up");
    }
    assert!(low > 25, "{low}");
}

#[test]
fn a_latch_that_found_the_disk_full_is_repeated_after_the_recorder_has_made_room() {
    let (_root, lock, store, recorder) = on_disk();
    let handle = recorder.handle();
    let (sender, heard) = channel();
    handle.append(batch("a", 1, 4));
    recorder.flush().unwrap();
    store.disk().fill_at(1);
    assert!(store.put_latch("kill", b"now").unwrap_err().is_storage_full());
    assert!(store.put_latch("kill", b"now").unwrap_err().is_storage_full(), "refused until there is room");
    handle.append(asked("behind", &sender, batch("a", 5, 1)));
    assert!(matches!(heard.recv().unwrap(), ("behind", Ok(5))), "the recorder has made room");
    assert!(matches!(handle.storage(), StorageState::Low { .. }));
    store.put_latch("kill", b"now").unwrap();
    store.disk().fill_at(1);
    assert!(store.remove_latch("none").is_err());
    handle.replenish();
    recorder.flush().unwrap();
    store.remove_latch("none").unwrap();
    handle.append(batch("a", 6, 1));
    recorder.stop().unwrap();
    assert_eq!(handle.storage(), StorageState::Good);
    drop(store);
    let store = Store::open(&lock).unwrap();
    assert_eq!(store.facts(&key("a"), None, 9).unwrap().len(), 6);
    assert_eq!(store.get_latch("kill").unwrap().as_deref(), Some(b"now".as_slice()));
}

/// Found at each step of a commit, or by a latch first; the facts before it may have survived or not.
#[test]
fn the_marks_reach_what_was_acknowledged_after_a_full_disk() {
    let (_root, _lock, store, recorder) = on_disk();
    let handle = recorder.handle();
    let (sender, heard) = channel();
    for nth in 0..=7 {
        let first = nth * 4 + 1;
        handle.append(batch("a", first, 3));
        store.disk().fill_at(nth.max(1));
        if nth == 0 {
            // Refused, unless the recorder was first.
            let _ = store.put_latch("paused/a", b"paused");
        }
        handle.append(asked("a", &sender, batch("a", first + 3, 1)));
        let heard_of = heard.recv().unwrap();
        assert!(matches!(heard_of, ("a", Ok(seq)) if seq == first + 3), "full at {nth}: {heard_of:?}");
        let done: Done = asked("snapshot", &sender, batch("a", 0, 0)).done.unwrap();
        let snapshot =
            SnapshotBatch { instance: key("a"), generation: 0, seq: first, bytes: vec![1], done: Some(done) };
        handle.snapshot(snapshot);
        assert!(matches!(heard.recv().unwrap(), ("snapshot", Ok(_))));
        // What follows the answer finds room, or has found it once the flush answers.
        store.disk().fill_at(0);
        recorder.flush().unwrap();
        let mark = store.marked().instances[&key("a")];
        let snapshots = store.snapshot_ids(&key("a")).unwrap();
        assert_eq!(mark.last, store.last_fact_id(&key("a")).unwrap(), "full at {nth}");
        assert_eq!((mark.snapshot, usize::from(mark.snapshots)), (snapshots.last().copied(), snapshots.len()), "{nth}");
    }
    assert!(matches!(handle.storage(), StorageState::Low { .. }));
    recorder.stop().unwrap();
}

#[test]
fn a_kill_on_a_full_disk_is_stored_once_the_recorder_is_flushed() {
    let (_root, lock, store, recorder) = on_disk();
    recorder.flush().unwrap();
    for nth in 1..=3 {
        store.disk().fill_at(nth);
        assert!(store.put_latch("kill", &[nth as u8]).unwrap_err().is_storage_full());
        recorder.flush().unwrap();
        store.put_latch("kill", &[nth as u8]).unwrap();
    }
    recorder.stop().unwrap();
    drop(store);
    assert_eq!(Store::open(&lock).unwrap().get_latch("kill").unwrap(), Some(vec![3]));
}

#[test]
fn a_latch_waits_for_a_reopening_before_it_reads() {
    let root = tempfile::tempdir().unwrap();
    let lock = StateDir::acquire(root.path()).unwrap();
    let store = Store::open(&lock).unwrap();
    let (begun, has_begun) = channel();
    std::thread::scope(|scope| {
        let writer = store.disk().while_opening(|| {
            let writer = scope.spawn(|| {
                begun.send(()).unwrap();
                store.put_latch("kill", b"now")
            });
            has_begun.recv().unwrap();
            // Time for it to go wrong, if it can.
            (0..10_000).for_each(|_| std::thread::yield_now());
            writer
        });
        writer.join().unwrap().unwrap();
    });
    assert_eq!(store.get_latch("kill").unwrap().as_deref(), Some(b"now".as_slice()));
}
