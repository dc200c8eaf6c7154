use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, MutexGuard, PoisonError};

use super::*;
use crate::lock::StateDir;
use crate::recorder::{Recorder, SnapshotBatch};
use crate::restore::{self, OpenOptions as Opening};

/// What is checked in this module goes one after the other.
static ONE: Mutex<()> = Mutex::new(());

/// A store with a recorder. Dropped in this order.
struct Place {
    recorder: Recorder,
    store: Arc<Store>,
    lock: StateDir,
    _root: tempfile::TempDir,
    _one: MutexGuard<'static, ()>,
}

const FACTS: u64 = 3_000;

fn lived() -> Place {
    let one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    let root = tempfile::tempdir().unwrap();
    let lock = StateDir::acquire(root.path()).unwrap();
    let store = Arc::new(Store::open(&lock).unwrap());
    let recorder = Recorder::start_with(
        Arc::clone(&store),
        crate::recorder::Settings { reserve_bytes: 4096, ..Default::default() },
    );
    let place = Place { recorder: recorder.unwrap(), store, lock, _root: root, _one: one };
    for name in ["grid", "trend"] {
        record(&place.recorder.handle(), name, 1, FACTS);
    }
    place.store.put_latch("paused/grid", b"x").unwrap();
    place.recorder.flush().unwrap();
    place
}

fn key(name: &str) -> InstanceKey {
    InstanceKey::new(name).unwrap()
}

fn record(recorder: &RecorderHandle, name: &str, first_seq: u64, count: u64) {
    let records = (0..count).map(|nth| vec![nth as u8; 100]).collect();
    recorder.append(Batch { instance: key(name), generation: 0, first_seq, records, done: None });
}

fn verified(place: &Place) -> Result<VerifyReport, UncheckedError> {
    let report = place.store.verify_files(&place.recorder.handle());
    assert!(!place.lock.path().join(COPIES).exists(), "nothing is left of the copy");
    report
}

#[test]
fn a_whole_store_is_whole_on_the_disk_and_is_described_as_it_is() {
    let place = lived();
    assert_eq!(verified(&place).unwrap(), place.store.verify());
    assert!(place.store.verify().is_whole());
}

#[test]
fn damage_on_the_disk_is_found_under_an_open_store_that_goes_on() {
    let place = lived();
    let db = place.lock.store_dir().join("db");
    let file = OpenOptions::new().write(true).open(&db).unwrap();
    file.write_all_at(&[0xa5; 40_000], 20_000).unwrap();
    assert!(place.store.verify().is_whole(), "the open database does not look");
    let report = verified(&place).unwrap();
    assert!(!report.is_whole());
    assert!(report.problems().all(|problem| !problem.contains(COPIES)), "{report:?}");
    record(&place.recorder.handle(), "grid", FACTS + 1, 10);
    place.recorder.flush().unwrap();
    assert_eq!(place.store.last_facts(&key("grid"), 1).unwrap()[0].seq, FACTS + 10);
    // What is rewritten meanwhile comes out of the memory, so that the damage may be gone by and by.
    verified(&place).unwrap();
}

/// Ends the writers, also when a check panics.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn a_store_that_is_written_all_the_time_is_never_called_damaged() {
    let place = lived();
    let (handle, stop) = (place.recorder.handle(), AtomicBool::new(false));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut next = FACTS + 1;
            while !stop.load(Ordering::Relaxed) {
                record(&handle, "grid", next, 20);
                next += 20;
                let bytes = vec![next as u8; 30_000];
                handle.snapshot(SnapshotBatch {
                    instance: key("grid"),
                    generation: 0,
                    seq: next - 1,
                    bytes,
                    done: None,
                });
                handle.flush().unwrap();
            }
        });
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                place.store.put_latch("paused/trend", b"y").unwrap();
                place.store.remove_latch("paused/trend").unwrap();
                std::thread::yield_now();
            }
        });
        let _stop = Stop(&stop);
        let seen: Vec<_> = (0..10).map(|_| verified(&place)).collect();
        let is_restless = |error: &UncheckedError| matches!(error, UncheckedError::Restless);
        let told = |seen: &Result<VerifyReport, UncheckedError>| match seen {
            Ok(report) => report.problems().next(),
            Err(error) => (!is_restless(error)).then(|| error.to_string()),
        };
        assert_eq!(seen.iter().find_map(told), None);
        assert!(seen.iter().any(Result::is_ok), "it comes to rest now and then");
    });
}

#[test]
fn without_room_for_a_copy_nothing_is_checked_and_nothing_is_called_damaged() {
    let place = lived();
    let reserve = Reserve::new(place.lock.path());
    let free = crate::reserve::free_bytes(place.lock.path()).unwrap();
    File::create(reserve.path()).unwrap().set_len(free).unwrap();
    let error = verified(&place).unwrap_err();
    assert!(matches!(error, UncheckedError::NoRoom(ReserveError::NoRoom { .. })), "{error}");
    let text = error.to_string();
    assert!(text.starts_with("nothing was checked") && text.contains("free are"), "{text}");
    assert!(!text.contains("damage"), "{text}");
}

#[test]
fn there_is_one_check_at_a_time_and_a_stopped_recorder_is_told() {
    let place = lived();
    let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    assert!(matches!(verified(&place), Err(UncheckedError::Busy)));
    drop(turn);
    let Place { recorder, store, .. } = place;
    let handle = recorder.handle();
    recorder.stop().unwrap();
    assert!(matches!(store.verify_files(&handle), Err(UncheckedError::Recorder(RecordError::Stopped))));
    assert!(matches!(Hold::take(&handle), Err(UncheckedError::Recorder(RecordError::Stopped))));
}

#[test]
fn what_is_recorded_during_a_hold_waits_and_no_longer() {
    let place = lived();
    let (handle, commits) = (place.recorder.handle(), || place.recorder.handle().stats().commits);
    let hold = Hold::take(&handle).unwrap();
    let before = commits();
    let (done, is_done) = channel();
    let records = vec![vec![1]];
    let answer = Box::new(move |outcome: Result<u64, RecordError>| done.send(outcome.unwrap()).unwrap());
    handle.append(Batch { instance: key("grid"), generation: 0, first_seq: FACTS + 1, records, done: Some(answer) });
    assert_eq!((commits(), handle.depth()), (before, 1), "the batch waits");
    drop(hold);
    assert_eq!(is_done.recv().unwrap(), FACTS + 1);
    // One that nobody ends comes to its end by itself.
    let forgotten = Hold::take(&handle).unwrap();
    handle.flush().unwrap();
    drop(forgotten);
}

#[test]
fn a_copy_that_a_crash_left_behind_is_cleared_up_by_the_next_start() {
    let place = lived();
    let Place { recorder, store, lock, _root, _one } = place;
    recorder.stop().unwrap();
    drop(store);
    let left = lock.path().join(COPIES).join("0");
    fs::create_dir_all(&left).unwrap();
    fs::write(left.join("db"), "half").unwrap();
    struct None;
    impl crate::migrate::Migration for None {
        fn fact(&self, _: u32, _: &InstanceKey, _: &[u8]) -> Result<Vec<u8>, String> {
            Err("none".to_string())
        }
        fn snapshot(&self, _: u32, _: &InstanceKey, _: &[u8]) -> Result<Vec<u8>, String> {
            Err("none".to_string())
        }
    }
    let backups = lock.path().join("backups");
    let opened = restore::open(&lock, &Opening { now_ms: 0, backups, tail_rows: 1, migration: &None }).unwrap();
    assert!(opened.told.is_none() && !lock.path().join(COPIES).exists());
}

#[test]
fn a_mirror_follows_every_change_and_says_when_there_was_none() {
    let root = tempfile::tempdir().unwrap();
    let (from, to) = (root.path().join("from"), root.path().join("to"));
    fs::create_dir_all(from.join(BLOBS_OF_STORE)).unwrap();
    fs::write(from.join("db"), vec![1; 2_500_000]).unwrap();
    fs::write(from.join("snap.1.generating"), "half").unwrap();
    let mut mirror = Mirror::new(&from, &to).unwrap();
    mirror.begin().unwrap();
    assert!(mirror.pass().unwrap() && !to.join("snap.1.generating").exists());
    let steps: [&dyn Fn(); 6] = [
        &|| File::options().write(true).open(from.join("db")).unwrap().write_all_at(&[2], 1_700_000).unwrap(),
        &|| File::options().write(true).open(from.join("db")).unwrap().set_len(1_048_576).unwrap(),
        &|| fs::write(from.join("snap.1"), "").unwrap(),
        &|| fs::write(from.join(BLOBS_OF_STORE).join("7"), vec![3; 10]).unwrap(),
        &|| fs::remove_file(from.join(BLOBS_OF_STORE).join("7")).unwrap(),
        &|| fs::rename(from.join("snap.1"), from.join("snap.2")).unwrap(),
    ];
    for step in steps {
        step();
        assert!(!mirror.pass().unwrap(), "a change");
        assert!(mirror.pass().unwrap(), "and none since");
    }
    assert_eq!(fs::read(from.join("db")).unwrap(), fs::read(to.join("db")).unwrap());
    assert!(to.join("snap.2").exists() && !to.join("snap.1").exists());
    assert_eq!(mirror::bytes(&from).unwrap(), 1_048_576);
}

const BLOBS_OF_STORE: &str = "blobs";

#[test]
fn what_the_system_refuses_is_no_damage() {
    let beside =
        |code| StoreError::Beside { path: "db".into(), during: "read", source: io::Error::from_raw_os_error(code) };
    assert!([5, 13, 28, 122].into_iter().all(|code| is_refusal(&beside(code))));
    assert!(!is_refusal(&beside(2)) && !is_refusal(&StoreError::EpochsUsedUp));
}
