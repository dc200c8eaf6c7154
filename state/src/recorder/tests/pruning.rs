//! The stated bound on facts.

use super::*;
use crate::chunks::CHUNK_BYTES;
use crate::disk::Room;
use crate::memory::Call;

fn snapshot(handle: &RecorderHandle, instance: &str, seq: u64) {
    let bytes = seq.to_be_bytes().to_vec();
    handle.snapshot(SnapshotBatch { instance: key(instance), generation: 0, seq, bytes, done: None });
}

fn keeping(facts_kept: u64) -> Settings {
    Settings { facts_kept, ..small() }
}

/// The oldest and the newest number, and how many there are.
fn extent(store: &Store, instance: &str) -> (u64, u64, usize) {
    let facts = store.facts(&key(instance), None, usize::MAX).unwrap();
    (facts[0].seq, facts[facts.len() - 1].seq, facts.len())
}

#[test]
fn facts_older_than_both_bounds_go_and_no_others() {
    let root = tempfile::tempdir().unwrap();
    let lock = StateDir::acquire(root.path()).unwrap();
    let cases = [
        (30, vec![], 1),
        (30, vec![80], 1),
        (30, vec![60, 90], 60),
        (70, vec![60, 90], 31),
        (0, vec![40, 99, 100], 99),
        (0, vec![100, 100, 100], 1),
        (200, vec![60, 90], 1),
        (u64::MAX, vec![60, 90], 1),
    ];
    for (case, (facts_kept, snapshots, oldest)) in cases.into_iter().enumerate() {
        let name = format!("case-{case}");
        let store = Arc::new(Store::open(&lock).unwrap());
        let recorder = Recorder::start_with(Arc::clone(&store), keeping(facts_kept)).unwrap();
        let handle = recorder.handle();
        handle.append(batch("other", store.last_fact_id(&key("other")).unwrap().map_or(1, |last| last.seq + 1), 9));
        handle.append(batch(&name, 1, 100));
        for seq in &snapshots {
            snapshot(&handle, &name, *seq);
            recorder.flush().unwrap();
        }
        recorder.stop().unwrap();
        assert_eq!(extent(&store, &name), (oldest, 100, 101 - oldest as usize), "{facts_kept} {snapshots:?}");
        assert_eq!(extent(&store, "other").0, 1);
        assert_eq!(handle.stats().pruned, oldest - 1);
    }
}

#[test]
fn a_long_way_is_pruned_in_steps_until_it_is_done() {
    let store = Arc::new(MemoryStore::new(1));
    let recorder = Recorder::start_with(Arc::clone(&store), keeping(100)).unwrap();
    let handle = recorder.handle();
    for first in (1..=20_000).step_by(1_000) {
        handle.append(Batch { records: vec![vec![]; 1_000], ..batch("a", first, 0) });
    }
    snapshot(&handle, "a", 18_000);
    snapshot(&handle, "a", 19_000);
    // Each flush is one more commit, and one more step at least.
    (0..6).for_each(|_| recorder.flush().unwrap());
    let facts = store.facts(&key("a"));
    assert_eq!((facts[0].seq, facts.len()), (18_000, 2_001));
    assert_eq!((handle.stats().pruned, store.count(Call::Prune)), (17_999, 5));
    // From then on the bound holds after each snapshot: kept, after the older snapshot, one step.
    for round in 1..=5 {
        let last = 20_000 + round * 3_000;
        handle.append(Batch { records: vec![vec![]; 3_000], ..batch("a", last - 2_999, 0) });
        snapshot(&handle, "a", last - 500);
        recorder.flush().unwrap();
        let older = store.durable_snapshots(&key("a"))[0].seq;
        let bound = 100 + (last - older) + PRUNED_AT_ONCE as u64;
        let held = store.facts(&key("a")).len() as u64;
        assert!(held <= bound, "{held} of {bound}");
    }
}

#[test]
fn pieces_of_long_facts_go_with_them() {
    let root = tempfile::tempdir().unwrap();
    let lock = StateDir::acquire(root.path()).unwrap();
    let store = Arc::new(Store::open(&lock).unwrap());
    let recorder = Recorder::start_with(Arc::clone(&store), keeping(2)).unwrap();
    let handle = recorder.handle();
    let long = vec![7; 4 * CHUNK_BYTES + 1];
    handle.append(Batch { records: vec![long.clone(); 10], ..batch("a", 1, 0) });
    handle.append(Batch { records: vec![long.clone(); 2], ..batch("b", 1, 0) });
    snapshot(&handle, "a", 7);
    snapshot(&handle, "a", 9);
    (0..4).for_each(|_| recorder.flush().unwrap());
    assert_eq!(extent(&store, "a"), (7, 10, 4));
    assert_eq!(extent(&store, "b"), (1, 2, 2));
    let pieces = store.disk().rows(Room::LongFacts, &[0]..=&[u8::MAX]).unwrap().count();
    assert_eq!(pieces, 6 * 6, "a header and five pieces for each fact that is left");
    recorder.stop().unwrap();
    drop(store);
    let store = Store::open(&lock).unwrap();
    assert!(store.facts(&key("a"), None, 9).unwrap().iter().all(|fact| fact.payload == long));
}

#[test]
fn a_sequence_that_began_anew_is_pruned_only_where_both_agree() {
    let root = tempfile::tempdir().unwrap();
    let lock = StateDir::acquire(root.path()).unwrap();
    let store = Arc::new(Store::open(&lock).unwrap());
    let recorder = Recorder::start_with(Arc::clone(&store), keeping(5)).unwrap();
    recorder.handle().append(batch("a", 1, 50));
    recorder.stop().unwrap();
    drop(store);
    let store = Arc::new(Store::open(&lock).unwrap());
    let recorder = Recorder::start_with(Arc::clone(&store), keeping(5)).unwrap();
    recorder.handle().append(batch("a", 1, 20));
    snapshot(&recorder.handle(), "a", 10);
    snapshot(&recorder.handle(), "a", 20);
    recorder.stop().unwrap();
    let facts = store.facts(&key("a"), None, 99).unwrap();
    assert_eq!(facts[0].id(), FactId { epoch: 1, seq: 10 });
    assert_eq!(facts.len(), 41 + 20, "nothing of the new sequence");
}
