//! Crashes in the middle of a change: the next start ends it.

use super::*;

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
