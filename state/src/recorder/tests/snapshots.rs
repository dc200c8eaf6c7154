//! Snapshots and fences in the recorder's queue.

use super::*;
use crate::journal::StoredFact;

fn snapshot(instance: &str, seq: u64) -> SnapshotBatch {
    SnapshotBatch {
        instance: key(instance),
        generation: 0,
        seq,
        bytes: format!("state {seq}").into_bytes(),
        done: None,
    }
}

fn asked_snapshot(label: &'static str, heard: &Sender<Heard>, mut snapshot: SnapshotBatch) -> SnapshotBatch {
    let heard = heard.clone();
    snapshot.done = Some(Box::new(move |outcome| heard.send((label, outcome)).unwrap()));
    snapshot
}

/// Refuses a snapshot whose facts are not durable.
struct Strict(MemoryStore);

impl Around for Strict {
    fn memory(&self) -> &MemoryStore {
        &self.0
    }
    fn write_snapshot(&self, instance: &InstanceKey, seq: u64, bytes: &[u8]) -> Result<(), StoreError> {
        let durable = self.0.durable_facts(instance).last().map_or(0, |fact| fact.seq);
        assert!(durable >= seq, "a snapshot after {seq} while {durable} is durable");
        self.0.write_snapshot(instance, seq, bytes)
    }
}

#[test]
fn no_snapshot_is_written_ahead_of_its_facts() {
    let store = Arc::new(Strict(MemoryStore::new(1)));
    let recorder = Recorder::start(Arc::clone(&store)).unwrap();
    let (sender, heard) = channel();
    let handle = recorder.handle();
    let release = hold(&handle);
    handle.append(batch("a", 1, 5));
    handle.snapshot(asked_snapshot("a 5", &sender, snapshot("a", 5)));
    handle.append(asked("a 8", &sender, batch("a", 6, 3)));
    handle.append(batch("b", 1, 2));
    handle.snapshot(snapshot("b", 1));
    handle.snapshot(asked_snapshot("a 7", &sender, snapshot("a", 7)));
    handle.snapshot(asked_snapshot("empty", &sender, snapshot("c", 0)));
    drop(release);
    recorder.stop().unwrap();
    let answers: Vec<_> = heard.try_iter().map(|(label, outcome)| (label, outcome.unwrap())).collect();
    assert_eq!(answers, [("a 8", 8), ("a 5", 5), ("a 7", 7), ("empty", 0)]);
    let seqs = |instance| -> Vec<u64> { store.0.durable_snapshots(&key(instance)).iter().map(|id| id.seq).collect() };
    assert_eq!((seqs("a"), seqs("b"), seqs("c")), (vec![5, 7], vec![1], vec![0]));
    assert_eq!((handle.stats().snapshots, handle.depth()), (4, 0));
    assert_eq!(store.0.syncs(), 2, "one for the facts, one for the snapshots");
}

#[test]
fn a_snapshot_of_facts_that_were_never_appended_is_refused() {
    let (store, recorder, sender, heard) = start();
    let handle = recorder.handle();
    handle.append(batch("a", 1, 2));
    handle.append(batch("a", 9, 1));
    handle.snapshot(asked_snapshot("ahead", &sender, snapshot("a", 3)));
    handle.snapshot(asked_snapshot("fine", &sender, snapshot("a", 2)));
    recorder.stop().unwrap();
    let answers: Vec<_> = heard.try_iter().map(|(_, outcome)| outcome).collect();
    assert!(matches!(answers[0], Err(RecordError::SnapshotAhead { seq: 3, last: 2, .. })), "{answers:?}");
    assert!(matches!(answers[1], Ok(2)));
    assert_eq!(store.durable_snapshots(&key("a")).len(), 1);
}

#[test]
fn a_snapshot_that_nobody_waits_for_becomes_durable_with_the_next_flush() {
    let (store, recorder, _sender, _heard) = start();
    let handle = recorder.handle();
    handle.append(batch("a", 1, 1));
    handle.snapshot(snapshot("a", 1));
    recorder.flush().unwrap();
    assert_eq!(store.durable_snapshots(&key("a")).len(), 1);
}

#[test]
fn a_fence_holds_back_lower_generations_and_nothing_else() {
    let (store, recorder, sender, heard) = start();
    let handle = recorder.handle();
    let of = |generation, batch: Batch| Batch { generation, ..batch };
    handle.append(asked("before", &sender, of(1, batch("a", 1, 2))));
    handle.fence(key("a"), 2);
    handle.append(asked("late", &sender, of(1, batch("a", 3, 1))));
    handle.append(asked("barrier", &sender, of(1, batch("a", 0, 0))));
    handle.snapshot(asked_snapshot("snapshot", &sender, SnapshotBatch { generation: 1, ..snapshot("a", 2) }));
    handle.append(asked("new", &sender, of(2, batch("a", 3, 1))));
    handle.append(asked("newer", &sender, of(3, batch("a", 4, 1))));
    handle.append(asked("other", &sender, of(0, batch("b", 1, 1))));
    handle.fence(key("a"), 1);
    handle.append(asked("still", &sender, of(1, batch("a", 5, 1))));
    recorder.stop().unwrap();
    let mut refused = Vec::new();
    let mut written = Vec::new();
    for (label, outcome) in heard.try_iter() {
        match outcome {
            Ok(_) => written.push(label),
            Err(RecordError::Fenced { instance, generation: 1, current: 2 }) if instance == key("a") => {
                refused.push(label)
            }
            Err(other) => panic!("{label}: {other}"),
        }
    }
    assert_eq!(written, ["before", "new", "newer", "other"]);
    refused.sort_unstable();
    assert_eq!(refused, ["barrier", "late", "snapshot", "still"]);
    assert_eq!(store.durable_facts(&key("a")).iter().map(|fact| fact.seq).collect::<Vec<_>>(), [1, 2, 3, 4]);
    assert!(store.durable_snapshots(&key("a")).is_empty());
    assert_eq!(handle.storage(), StorageState::Good);
}

#[test]
fn a_snapshot_of_a_later_epoch_is_the_newest() {
    let root = tempfile::tempdir().unwrap();
    let lock = StateDir::acquire(root.path()).unwrap();
    for (epoch, label) in [(1u32, "old"), (2, "new")] {
        let store = Arc::new(Store::open(&lock).unwrap());
        assert_eq!(store.epoch(), epoch, "{label}");
        let recorder = Recorder::start_with(Arc::clone(&store), small()).unwrap();
        if epoch == 1 {
            recorder.handle().append(batch("a", 1, 10));
            recorder.handle().snapshot(snapshot("a", 9));
        }
        recorder.handle().snapshot(SnapshotBatch { bytes: label.into(), ..snapshot("a", 10) });
        recorder.stop().unwrap();
    }
    let store = Store::open(&lock).unwrap();
    let newest = store.latest_snapshot(&key("a")).unwrap().unwrap();
    assert_eq!((newest.id, newest.bytes), (FactId { epoch: 2, seq: 10 }, b"new".to_vec()));
    assert_eq!(store.snapshot_ids(&key("a")).unwrap()[0], FactId { epoch: 1, seq: 10 });
    let last = store.last_facts(&key("a"), 1).unwrap();
    assert_eq!(last.iter().map(StoredFact::id).collect::<Vec<_>>(), [FactId { epoch: 1, seq: 10 }]);
}
