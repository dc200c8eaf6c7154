use super::files::RENEWED_AT_ONCE;
use super::*;
use std::os::unix::fs::FileExt;
use std::os::unix::fs::MetadataExt;
use std::sync::mpsc::channel;

fn rows(count: u8) -> Vec<Row> {
    (0..count).map(|number| (vec![number], vec![number; 100])).collect()
}

fn count(disk: &Disk) -> usize {
    disk.rows(Room::Facts, &[0]..=&[u8::MAX]).unwrap().map(Result::unwrap).count()
}

#[test]
fn what_was_synced_is_there_after_a_full_disk_and_writing_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let disk = Disk::open(dir.path()).unwrap();
    disk.write(Room::Facts, rows(50), Vec::new()).unwrap();
    disk.sync().unwrap();
    disk.fill_at(1);
    assert!(disk.write(Room::Facts, rows(60), Vec::new()).unwrap_err().is_storage_full());
    assert!(matches!(disk.sync(), Err(DiskError::Broken { full: true, .. })));
    assert!(matches!(disk.get(Room::Facts, &[1]), Err(DiskError::Broken { full: true, .. })));
    disk.reopen().unwrap();
    disk.check().unwrap();
    assert_eq!(count(&disk), 50);
    disk.write(Room::Facts, rows(70), Vec::new()).unwrap();
    disk.sync().unwrap();
    drop(disk);
    assert_eq!(count(&Disk::open(dir.path()).unwrap()), 70);
}

/// A reader in the middle of its rows asks for more: it must neither hold the opening up nor wait for it.
#[test]
fn a_reader_ends_with_an_error_and_does_not_hold_the_opening_up() {
    let dir = tempfile::tempdir().unwrap();
    let disk = Disk::open(dir.path()).unwrap();
    disk.write(Room::Facts, rows(200), Vec::new()).unwrap();
    let (reading, is_reading) = channel();
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut rows = disk.rows(Room::Facts, &[0]..=&[u8::MAX]).unwrap();
            rows.next().unwrap().unwrap();
            reading.send(()).unwrap();
            loop {
                // As a long fact is read: one more look for each row.
                let step = rows.next_back().or_else(|| rows.next()).map(|row| row.and_then(|_| disk.check()));
                match step {
                    None => rows = disk.rows(Room::Facts, &[0]..=&[u8::MAX])?,
                    Some(step) => step?,
                }
            }
        });
        is_reading.recv().unwrap();
        disk.reopen().unwrap();
        let ended: Result<(), DiskError> = reader.join().unwrap();
        assert!(ended.unwrap_err().is_storage_full());
    });
    disk.check().unwrap();
}

#[test]
fn rows_end_with_their_first_error() {
    let dir = tempfile::tempdir().unwrap();
    let disk = Disk::open(dir.path()).unwrap();
    disk.write(Room::Facts, rows(9), Vec::new()).unwrap();
    let mut rows = disk.rows(Room::Facts, &[0]..=&[u8::MAX]).unwrap();
    assert!(rows.next().unwrap().is_ok());
    disk.fill_at(1);
    assert!(disk.sync().is_err());
    assert!(rows.next().unwrap().is_err());
    assert!(rows.next().is_none() && rows.next_back().is_none());
}

#[test]
fn a_latch_is_durable_when_it_is_written() {
    let dir = tempfile::tempdir().unwrap();
    let disk = Disk::open(dir.path()).unwrap();
    // Write, flush, sync: the third is the last that a latch needs.
    for (nth, is_refused) in [(1, true), (2, true), (3, true), (4, false)] {
        disk.fill_at(nth);
        assert_eq!(disk.write(Room::Latches, rows(1), Vec::new()).is_err(), is_refused, "{nth}");
        if is_refused {
            disk.reopen().unwrap();
        }
    }
}

#[test]
fn a_torn_summary_of_an_earlier_opening_is_no_damage() {
    let dir = tempfile::tempdir().unwrap();
    let disk = Disk::open(dir.path()).unwrap();
    disk.write(Room::Facts, rows(9), Vec::new()).unwrap();
    drop(disk);
    let torn = dir.path().join("snap.7FFFFFFFFFFFFFFF.generating");
    std::fs::write(&torn, b"half").unwrap();
    assert_eq!(count(&Disk::open(dir.path()).unwrap()), 9);
    assert!(!torn.exists());
}

#[test]
fn a_renewed_file_is_the_same_and_keeps_its_holes() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("db");
    let file = File::create(&path).unwrap();
    let bytes: Vec<u8> = (0..3 * RENEWED_AT_ONCE + 77).map(|i| (i % 251) as u8).collect();
    file.write_all_at(&bytes, 0).unwrap();
    file.write_all_at(b"end", 64 * RENEWED_AT_ONCE as u64 + 1).unwrap();
    let before = (std::fs::read(&path).unwrap(), file.metadata().unwrap().blocks());
    renew(&path).unwrap();
    assert!(std::fs::read(&path).unwrap() == before.0);
    assert!(file.metadata().unwrap().blocks() <= before.1 + 16);
    assert!(renew(&dir.path().join("gone")).is_err());
}

#[test]
fn a_full_disk_is_known_by_kind_and_by_number_also_through_the_database() {
    let full = |source: Box<dyn std::error::Error + Send + Sync>| {
        DiskError::Failed { dir: "here".into(), during: "write", source }.is_storage_full()
    };
    assert!(full(Box::new(io::Error::from_raw_os_error(28))));
    assert!(full(Box::new(io::Error::from(io::ErrorKind::QuotaExceeded))));
    assert!(full(Box::new(sled::Error::Io(io::Error::from_raw_os_error(28)))));
    assert!(full(Box::new(sled::Error::Io(io::Error::from_raw_os_error(28)).clone())), "it keeps the kind only");
    assert!(!full(Box::new(io::Error::from_raw_os_error(5))));
    assert!(!full(Box::new(sled::Error::Corruption { at: None, bt: () })));
    assert!(!full(Box::new(sled::Error::Unsupported("no space".into()))));
}

/// Goes off when the database drops it, which is while it is closed.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        panic!("planned");
    }
}

/// A disk with ten rows whose database panics when it is closed.
fn armed(dir: &Path) -> Disk {
    let disk = Disk::open(dir).unwrap();
    disk.write(Room::Facts, rows(10), Vec::new()).unwrap();
    disk.sync().unwrap();
    let bomb = Bomb;
    disk.with("arm", |inner| {
        let merge = move |_: &[u8], _: Option<&[u8]>, _: &[u8]| {
            let _ = &bomb;
            None
        };
        inner.trees.meta.set_merge_operator(merge);
        Ok(())
    })
    .unwrap();
    disk
}

/// What is left is looked at in a copy: the database does not let go of its files when one of its trees panics.
fn is_whole(dir: &Path) {
    let copy = tempfile::tempdir().unwrap();
    std::fs::copy(dir.join("db"), copy.path().join("db")).unwrap();
    let disk = Disk::open(copy.path()).unwrap();
    assert_eq!(count(&disk), 10);
    disk.close().unwrap();
}

#[test]
fn a_panic_while_the_database_is_closed_goes_no_further() {
    let closings: [fn(Disk); 4] = [
        |disk| drop(disk),
        |disk| {
            // The rows are the last that hold it.
            let rows = disk.rows(Room::Facts, &[0]..=&[u8::MAX]).unwrap();
            drop(disk);
            assert_eq!(rows.map(Result::unwrap).count(), 10);
        },
        |disk| {
            let closed = disk.close().unwrap_err();
            assert!(matches!(&closed, DiskError::Panicked { during: "close", message, .. } if message == "planned"));
        },
        |disk| {
            let reopened = disk.reopen().unwrap_err();
            assert!(matches!(reopened, DiskError::Panicked { during: "close", .. }));
            assert!(matches!(disk.check(), Err(DiskError::Broken { full: false, .. })));
        },
    ];
    for close in closings {
        let dir = tempfile::tempdir().unwrap();
        close(armed(dir.path()));
        is_whole(dir.path());
    }
}

/// A second panic that leaves a destructor would end the process.
#[test]
fn a_panic_while_the_database_is_closed_leaves_another_one_as_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let outer = std::panic::catch_unwind(|| {
        let _disk = armed(dir.path());
        panic!("the first");
    });
    assert_eq!(panic_message(outer.unwrap_err().as_ref()), "the first");
    is_whole(dir.path());
}

#[test]
fn of_two_panics_the_one_that_is_caught_is_not_printed() {
    let other = "disk::tests::a_panic_while_the_database_is_closed_leaves_another_one_as_it_was";
    let mut child = std::process::Command::new(std::env::current_exe().unwrap());
    let said = child.args(["--exact", "--nocapture", other]).output().unwrap();
    let text = String::from_utf8_lossy(&said.stderr);
    assert!(said.status.success() && String::from_utf8_lossy(&said.stdout).contains("1 passed"), "{text}");
    assert!(text.matches("panicked at").count() == 1 && text.contains("the first"), "{text}");
    assert!(!text.contains("planned"), "{text}");
}
