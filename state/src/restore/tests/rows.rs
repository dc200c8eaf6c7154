//! Single rows that are damaged or lost: what the start makes of them.

use super::*;
use crate::marks::Marks;

/// Flips a bit in the value of a latch.
fn spoil_latch(store: &Store, name: &str) {
    let mut value = store.disk().get(Room::Latches, name.as_bytes()).unwrap().unwrap();
    *value.last_mut().unwrap() ^= 4;
    store.disk().write(Room::Latches, vec![(name.into(), value)], Vec::new()).unwrap();
}

fn remove(store: &Store, room: Room, key: &[u8]) {
    store.disk().write(room, Vec::new(), vec![key.to_vec()]).unwrap();
}

fn names(store: &Store) -> Vec<String> {
    store.latches().unwrap().into_keys().collect()
}

#[test]
fn a_halt_whose_value_is_damaged_stays_set_and_a_life_stays_unreadable() {
    let place = Place::lived();
    let store = place.open().store;
    let set = ["life/grid", "life/trend", "paused/grid", "paused/trend", "stopped/grid"];
    set.iter().for_each(|name| store.put_latch(name, b"\x01\x01\x01").unwrap());
    store.seal().unwrap();
    drop(store);
    place.spoil(|store| {
        ["kill", "life/grid", "life/trend", "paused/grid", "stopped/grid", "stopped/slow"]
            .iter()
            .for_each(|name| spoil_latch(store, name));
        lose_facts(store, "trend", 27..=30);
    });
    let opened = place.open();
    let report = opened.told.unwrap();
    let mut expected = vec!["kill", "life/grid", "paused/grid", "paused/trend", "stopped/grid", "stopped/slow"];
    expected.insert(3, "paused/slow");
    expected.insert(0, ALL_PAUSED);
    assert_eq!(names(&opened.store), expected, "that of an instance from the backup comes from there: none");
    assert_eq!(opened.store.get_latch("life/grid").unwrap(), Some(Vec::new()), "nothing can be read from it");
    let lines = report.lines();
    let told = |start: &str, what: &str| lines.iter().any(|line| line.starts_with(start) && line.contains(what));
    assert!(told("grid: kept;", "where its present life begins is damaged"), "{lines:?}");
    assert!(told("paused/grid was set and stays set", "damaged") && told("slow: unharmed, kept", ""), "{lines:?}");
    assert!(told("the kill switch was on and stays on", ""), "{lines:?}");
    assert!(!told("life/", ""), "{lines:?}");
    drop(opened.store);
    assert!(place.open().told.is_none(), "mended for good");
}

#[test]
fn an_operators_restore_keeps_halts_whose_values_are_damaged() {
    let place = Place::lived();
    place.open().store.put_latch("paused/trend", b"x").unwrap();
    place.spoil(|store| ["kill", "paused/trend"].iter().for_each(|name| spoil_latch(store, name)));
    let path = backup::list(&place.backups()).unwrap().remove(0).path;
    let report = restore(&place.lock, &path, NOW, &Unchanged).unwrap();
    assert!(report.notes.iter().any(|note| note.contains("not all pauses and stops")), "{report:?}");
    assert_eq!(names(&place.open().store), ["kill", "paused/trend", "stopped/slow"]);
}

#[test]
fn a_bot_that_only_the_backup_calls_added_comes_back_stopped() {
    for by_operator in [false, true] {
        let place = Place::lived();
        let store = place.open().store;
        ["added/gone", "added/x", "added/y"].iter().for_each(|name| store.put_latch(name, b"{}").unwrap());
        let backup = backup::create(&store, &place.backups(), NOW, 9).unwrap();
        store.remove_latch("added/gone").unwrap();
        store.seal().unwrap();
        drop(store);
        place.spoil(|store| {
            remove(store, Room::Latches, b"added/x");
            remove(store, Room::Latches, b"stopped/slow");
        });
        let (opened, report) = if by_operator {
            let report = restore(&place.lock, &backup.path, NOW, &Unchanged).unwrap();
            (place.open(), report)
        } else {
            let mut opened = place.open();
            let report = opened.told.take().unwrap();
            (opened, report)
        };
        let mut expected =
            vec!["added/gone", "added/x", "added/y", "kill", "stopped/gone", "stopped/slow", "stopped/x"];
        if !by_operator {
            // Some were lost: every bot is paused.
            expected.splice(4..4, ["paused/grid", "paused/slow", "paused/trend"]);
            expected.insert(3, ALL_PAUSED);
        }
        assert_eq!(names(&opened.store), expected);
        assert!(report.notes.iter().any(|note| note.starts_with("gone was added by file")), "{report:?}");
    }
}

/// Facts 1..=150 of `grid`, pruned to the snapshot of 60; the backup is of fact 100.
fn pruned() -> Place {
    let place = Place::new();
    let store = place.open().store;
    append(&store, "grid", 1..=60);
    snapshot(&store, "grid", 60);
    append(&store, "grid", 61..=90);
    snapshot(&store, "grid", 90);
    append(&store, "grid", 91..=100);
    assert_eq!(store.prune(&key("grid"), 10, 4096).unwrap().facts, 59);
    backup::create(&store, &place.backups(), NOW - 1_000, 9).unwrap();
    append(&store, "grid", 101..=150);
    store.seal().unwrap();
    place
}

#[test]
fn a_floor_that_is_lost_costs_no_fact() {
    let floor = [b"floor ".as_slice(), key("grid").as_bytes()].concat();
    for flipped in [false, true] {
        let place = pruned();
        place.spoil(|store| {
            let mut value = store.disk().get(Room::Meta, &floor).unwrap().unwrap();
            value[7] ^= 1;
            let put = if flipped { vec![(floor.clone(), value)] } else { Vec::new() };
            store.disk().write(Room::Meta, put, vec![floor.clone()]).unwrap();
        });
        let opened = place.open();
        let report = opened.told.unwrap();
        let grid = of(&report, "grid");
        assert_eq!((grid.source.clone(), last(&opened.store, "grid")), (Source::Kept, Some(150)));
        assert!(grid.note.as_ref().unwrap().contains("missing at the beginning"), "{grid:?}");
        assert_eq!(opened.store.floor(&key("grid")).unwrap(), Some(60));
        drop(opened.store);
        assert!(place.open().told.is_none());
    }
}

#[test]
fn facts_lost_before_a_snapshot_cost_that_history_only() {
    let place = pruned();
    place.spoil(|store| lose_facts(store, "grid", 60..=75));
    let opened = place.open();
    let report = opened.told.unwrap();
    assert_eq!((of(&report, "grid").source.clone(), last(&opened.store, "grid")), (Source::Kept, Some(150)));
    let ids = opened.store.snapshot_ids(&key("grid")).unwrap();
    assert_eq!(ids, [FactId { epoch: 1, seq: 90 }], "the other one cannot be gone on from");
    drop(opened.store);
    assert!(place.open().told.is_none());
    place.spoil(|store| lose_facts(store, "grid", 76..=100));
    let report = place.open().told.unwrap();
    assert!(matches!(of(&report, "grid").source, Source::Backup { .. }), "nothing whole reaches to what is left");
}

#[test]
fn a_snapshot_ahead_of_the_facts_is_a_loss_and_stops_no_start() {
    let place = Place::lived();
    place.spoil(|store| lose_facts(store, "grid", 16..=30));
    fs::remove_file(place.root.path().join("marks")).unwrap();
    let opened = place.open();
    let report = opened.told.unwrap();
    assert!(report.reason.contains("ahead of the newest fact"), "{}", report.reason);
    assert!(matches!(of(&report, "grid").source, Source::Backup { .. }));
    assert_eq!(NAMES.map(|name| last(&opened.store, name)), [Some(20), Some(30), Some(30)]);
    drop(opened.store);
    assert!(place.open().told.is_none());
}

#[test]
fn the_floor_stays_where_nothing_is_pruned() {
    let place = Place::new();
    let store = place.open().store;
    append(&store, "grid", 1..=50);
    snapshot(&store, "grid", 40);
    assert_eq!(store.prune(&key("grid"), 5, 4096).unwrap().facts, 0);
    assert_eq!(store.floor(&key("grid")).unwrap(), None);
    store.seal().unwrap();
    drop(store);
    place.spoil(|store| lose_facts(store, "grid", 1..=39));
    assert!(place.open().told.unwrap().reason.contains("missing at the beginning"));
}

#[test]
fn marks_that_were_cut_off_are_told_once() {
    let place = Place::lived();
    let path = place.root.path().join("marks");
    let bytes = fs::read(&path).unwrap();
    fs::write(&path, &bytes[..128]).unwrap();
    let opened = place.open();
    let told = opened.told.unwrap();
    assert!(told.reason.starts_with("3 slots of the high-water marks"), "{}", told.reason);
    let known = opened.store.marked();
    drop(opened.store);
    crate::restore::told(&place.lock).unwrap();
    assert!(place.open().remarks.is_empty());
    // Marks that speak of nobody are whole.
    drop(Marks::create(place.root.path(), crate::marks::Known { instances: Default::default(), ..known }).unwrap());
    assert!(place.open().remarks.is_empty());
}

#[test]
fn a_first_opening_that_was_never_finished_is_no_loss() {
    let place = Place::new();
    fs::create_dir_all(place.lock.store_dir()).unwrap();
    drop(Store::peek(&place.lock.store_dir()).unwrap());
    let (conf, data) = (place.lock.store_dir().join("conf"), place.lock.store_dir().join("db"));
    let whole = fs::read(&conf).unwrap();
    fs::write(&conf, &whole[..whole.len() - 4]).unwrap();
    fs::remove_file(data).unwrap();
    let opened = place.open();
    assert!(opened.told.is_none(), "{:?}", opened.told);
    assert!(opened.remarks.len() == 1 && opened.remarks[0].contains("never finished"), "{:?}", opened.remarks);
    drop(opened);
    assert_eq!(place.open().remarks, [""; 0], "and it is said once");
}
