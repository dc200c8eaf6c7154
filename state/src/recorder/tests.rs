use super::*;
use crate::disk::DiskError;
use crate::journal::{NewFact, Pruned, StateStore, StoreError};
use crate::key::FactId;
use crate::lock::StateDir;
use crate::memory::MemoryStore;
use crate::store::Store;
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

mod around;
mod faults;
mod pruning;
mod snapshots;

use around::Around;

type Heard = (&'static str, Result<u64, RecordError>);

fn key(id: &str) -> InstanceKey {
    InstanceKey::new(id).unwrap()
}

fn batch(instance: &str, first_seq: u64, count: usize) -> Batch {
    let records = (0..count).map(|i| format!("{instance} {}", first_seq + i as u64).into_bytes()).collect();
    Batch { instance: key(instance), generation: 0, first_seq, records, done: None }
}

/// A batch whose answer arrives at `heard` under `label`.
fn asked(label: &'static str, heard: &Sender<Heard>, mut batch: Batch) -> Batch {
    let heard = heard.clone();
    batch.done = Some(Box::new(move |outcome| heard.send((label, outcome)).unwrap()));
    batch
}

/// Occupies the recorder's thread until the returned sender is dropped, so that what follows is one group.
fn hold(handle: &RecorderHandle) -> Sender<()> {
    let (release, held) = channel::<()>();
    let (busy, is_busy) = channel();
    let mut batch = batch("hold", 0, 0);
    batch.done = Some(Box::new(move |_| {
        busy.send(()).unwrap();
        let _ = held.recv();
    }));
    handle.append(batch);
    is_busy.recv().unwrap();
    release
}

/// The usual settings with a small reserve.
fn small() -> Settings {
    Settings { reserve_bytes: 4096, ..Settings::default() }
}

fn start() -> (Arc<MemoryStore>, Recorder, Sender<Heard>, Receiver<Heard>) {
    let store = Arc::new(MemoryStore::new(1));
    let recorder = Recorder::start(Arc::clone(&store)).unwrap();
    let (sender, heard) = channel();
    (store, recorder, sender, heard)
}

#[test]
fn what_is_queued_is_one_write_and_one_sync_answered_in_order() {
    let (store, recorder, sender, heard) = start();
    let handle = recorder.handle();
    let release = hold(&handle);
    handle.append(asked("a", &sender, batch("a", 1, 3)));
    handle.append(batch("b", 0, 2));
    handle.append(asked("b", &sender, batch("b", 2, 1)));
    handle.append(asked("a again", &sender, batch("a", 4, 2)));
    assert_eq!(handle.depth(), 4);
    drop(release);
    recorder.flush().unwrap();
    let answers: Vec<_> = heard.try_iter().map(|(label, outcome)| (label, outcome.unwrap())).collect();
    assert_eq!(answers, [("a", 3), ("b", 2), ("a again", 5)]);
    assert_eq!((store.appends(), store.syncs(), handle.depth()), (1, 1, 0));
    let stored: Vec<_> = store.durable_facts(&key("a")).into_iter().map(|fact| (fact.seq, fact.payload)).collect();
    assert_eq!(stored[4], (5, b"a 5".to_vec()));
    let stats = handle.stats();
    assert_eq!((stats.commits, stats.records, stats.bytes, stats.refused), (1, 8, 24, 0));
    assert!(stats.commit_p50_ns > 0 && stats.commit_p99_ns >= stats.commit_p50_ns);
}

#[test]
fn holes_and_repeats_are_refused_and_write_nothing() {
    let (store, recorder, sender, heard) = start();
    let handle = recorder.handle();
    for (label, first_seq, count) in [("ok", 1, 2), ("repeat", 2, 1), ("hole", 4, 1), ("late", 3, 1), ("end", 4, 1)] {
        handle.append(asked(label, &sender, batch("a", first_seq, count)));
    }
    handle.append(asked("begins too high", &sender, batch("new", 2, 1)));
    recorder.flush().unwrap();
    let answers: Vec<_> = heard.try_iter().collect();
    let refused = |at: usize| match &answers[at].1 {
        Err(RecordError::Sequence { expected, got, .. }) => (*expected, *got),
        other => panic!("{} {other:?}", answers[at].0),
    };
    assert_eq!((refused(1), refused(2), refused(5)), ((3, 2), (3, 4), (1, 2)));
    assert!(answers[0].1.is_ok() && answers[3].1.is_ok() && answers[4].1.is_ok());
    assert_eq!(store.facts(&key("a")).iter().map(|fact| fact.seq).collect::<Vec<_>>(), [1, 2, 3, 4]);
    assert_eq!(store.facts(&key("new")), []);
    assert_eq!(handle.stats().refused, 3);
}

#[test]
fn numbers_and_lengths_at_the_border_are_refused() {
    let (store, recorder, sender, heard) = start();
    store.append(vec![NewFact { instance: key("a"), seq: u64::MAX - 2, payload: vec![] }]).unwrap();
    let handle = recorder.handle();
    handle.append(asked("too many", &sender, batch("a", u64::MAX - 1, 2)));
    handle.append(asked("last", &sender, batch("a", u64::MAX - 1, 1)));
    handle.append(asked("beyond", &sender, batch("a", u64::MAX, 1)));
    let long = Batch { records: vec![vec![], vec![0; RECORD_BYTES_MAX + 1]], ..batch("b", 1, 0) };
    handle.append(asked("long", &sender, long));
    recorder.flush().unwrap();
    let answers: Vec<_> = heard.try_iter().map(|(_, outcome)| outcome).collect();
    assert!(answers[0].is_err() && answers[1].is_ok() && answers[2].is_err());
    assert!(matches!(answers[3], Err(RecordError::TooLong { seq: 2, .. })));
    assert_eq!(store.facts(&key("b")), []);
}

#[test]
fn an_empty_batch_waits_for_everything_before_it() {
    let (store, recorder, sender, heard) = start();
    let handle = recorder.handle();
    let release = hold(&handle);
    handle.append(batch("a", 1, 7));
    handle.append(asked("barrier", &sender, batch("a", 0, 0)));
    handle.append(asked("unknown", &sender, batch("b", 0, 0)));
    drop(release);
    let answers = [heard.recv().unwrap().1.unwrap(), heard.recv().unwrap().1.unwrap()];
    assert_eq!((answers, store.durable_facts(&key("a")).len()), ([7, 0], 7));
}

/// Tells of each sync.
struct Ringing(MemoryStore, Mutex<Sender<()>>);

impl Around for Ringing {
    fn memory(&self) -> &MemoryStore {
        &self.0
    }
    fn sync(&self) -> Result<(), StoreError> {
        self.0.sync()?;
        self.1.lock().unwrap().send(()).unwrap();
        Ok(())
    }
}

#[test]
fn a_batch_that_nobody_asked_about_becomes_durable_too() {
    let (ring, rings) = channel();
    let store = Arc::new(Ringing(MemoryStore::new(1), Mutex::new(ring)));
    let recorder = Recorder::start(Arc::clone(&store)).unwrap();
    recorder.handle().append(batch("a", 1, 1));
    rings.recv_timeout(Duration::from_secs(60)).unwrap();
    assert_eq!(store.0.durable_facts(&key("a")).len(), 1);
    recorder.stop().unwrap();
    assert_eq!(store.0.syncs(), 1, "nothing new, nothing synced");
}

#[test]
fn after_a_failed_sync_everything_is_refused() {
    let (store, recorder, sender, heard) = start();
    store.fail_sync_at(2);
    let handle = recorder.handle();
    handle.append(asked("fine", &sender, batch("a", 1, 1)));
    recorder.flush().unwrap();
    let release = hold(&handle);
    handle.append(asked("hole", &sender, batch("a", 9, 1)));
    handle.append(asked("unsynced", &sender, batch("a", 2, 1)));
    drop(release);
    assert!(recorder.flush().is_err());
    handle.append(asked("later", &sender, batch("a", 3, 1)));
    handle.append(asked("other", &sender, batch("b", 1, 1)));
    handle.append(asked("barrier", &sender, batch("a", 0, 0)));
    let stopped = recorder.stop().unwrap_err();
    assert!(matches!(&stopped, RecordError::Storage { .. }) && stopped.to_string().contains("planned fault"));
    let answers: Vec<_> = heard.try_iter().collect();
    assert_eq!(
        answers.iter().map(|(label, _)| *label).collect::<Vec<_>>(),
        ["fine", "hole", "unsynced", "later", "other", "barrier"]
    );
    assert!(matches!(answers[0].1, Ok(1)) && matches!(answers[1].1, Err(RecordError::Sequence { .. })));
    for (label, outcome) in &answers[2..] {
        let Err(RecordError::Storage { source }) = outcome else { panic!("{label} {outcome:?}") };
        assert!(matches!(**source, StoreError::Disk(DiskError::Failed { during: "sync", .. })));
    }
    assert_eq!((store.syncs(), store.durable_facts(&key("a")).len()), (2, 1));
    assert!(matches!(handle.stats().last_error, Some(RecordError::Storage { .. })));
}

#[test]
fn after_a_failed_write_nothing_is_written_any_more() {
    let (store, recorder, sender, heard) = start();
    store.fail_append_at(1);
    let handle = recorder.handle();
    handle.append(batch("a", 1, 1));
    assert!(recorder.flush().is_err());
    handle.append(asked("again", &sender, batch("a", 1, 1)));
    assert!(matches!(heard.recv().unwrap().1, Err(RecordError::Storage { .. })));
    assert_eq!((store.appends(), store.syncs()), (1, 0));
}

#[test]
fn a_panicking_receiver_harms_nobody_else() {
    let (_store, recorder, sender, heard) = start();
    let handle = recorder.handle();
    handle.append(Batch { done: Some(Box::new(|_| panic!("planned"))), ..batch("a", 1, 1) });
    handle.append(asked("next", &sender, batch("a", 2, 1)));
    assert!(matches!(heard.recv().unwrap(), ("next", Ok(2))));
    recorder.stop().unwrap();
}

#[test]
fn a_stopped_recorder_has_written_what_came_before_and_answers_what_comes_later() {
    let (store, recorder, sender, heard) = start();
    let handle = recorder.handle();
    handle.append(batch("a", 1, 3));
    recorder.stop().unwrap();
    assert_eq!(store.durable_facts(&key("a")).len(), 3);
    handle.append(asked("late", &sender, batch("a", 4, 1)));
    assert!(matches!(heard.recv().unwrap(), ("late", Err(RecordError::Stopped))));
    assert!(matches!(handle.flush(), Err(RecordError::Stopped)));
    assert_eq!(handle.depth(), 0);
}

#[test]
fn what_is_queued_behind_the_stop_is_answered() {
    let (store, recorder, sender, heard) = start();
    let handle = recorder.handle();
    let release = hold(&handle);
    handle.append(asked("before", &sender, batch("a", 1, 1)));
    handle.queue.send(Command::Stop).unwrap();
    handle.append(asked("behind", &sender, batch("a", 2, 1)));
    drop(release);
    recorder.stop().unwrap();
    assert!(matches!(heard.recv().unwrap(), ("before", Ok(1))));
    assert!(matches!(heard.recv().unwrap(), ("behind", Err(RecordError::Stopped))));
    assert_eq!((store.facts(&key("a")).len(), handle.depth()), (1, 0));
}

#[test]
fn many_writers_on_the_real_store_survive_reopening() {
    let root = tempfile::tempdir().unwrap();
    let lock = StateDir::acquire(root.path()).unwrap();
    let store = Arc::new(Store::open(&lock).unwrap());
    let recorder = Recorder::start(Arc::clone(&store)).unwrap();
    let names = ["a", "b", "c", "d"];
    std::thread::scope(|scope| {
        for name in names {
            let handle = recorder.handle();
            scope.spawn(move || {
                let (sender, heard) = channel();
                for round in 0..25u64 {
                    handle.append(batch(name, round * 4 + 1, 3));
                    handle.append(asked(name, &sender, batch(name, round * 4 + 4, 1)));
                    assert_eq!(heard.recv().unwrap().1.unwrap(), round * 4 + 4);
                }
            });
        }
    });
    recorder.stop().unwrap();
    drop(store);
    let store = Arc::new(Store::open(&lock).unwrap());
    for name in names {
        let facts = store.facts(&key(name), None, usize::MAX).unwrap();
        assert!(facts.iter().map(|fact| fact.seq).eq(1..=100));
        assert_eq!(facts[99].payload, format!("{name} 100").into_bytes());
    }
    let recorder = Recorder::start(Arc::clone(&store)).unwrap();
    let (sender, heard) = channel();
    recorder.handle().append(asked("goes on", &sender, batch("a", 101, 1)));
    recorder.handle().append(asked("begins anew", &sender, batch("b", 1, 1)));
    recorder.handle().append(asked("repeats", &sender, batch("c", 100, 1)));
    recorder.stop().unwrap();
    let answers: Vec<_> = heard.try_iter().map(|(_, outcome)| outcome.ok()).collect();
    assert_eq!(answers, [Some(101), Some(1), None]);
    assert_eq!(store.last_fact_id(&key("b")).unwrap(), Some(FactId { epoch: 2, seq: 1 }));
}
