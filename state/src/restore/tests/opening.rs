//! What a start makes of a store that is whole, new, newer, or has lost what lies beside it.

use super::*;

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
fn a_store_that_is_gone_with_all_its_marks_comes_back_from_the_backup_paused() {
    let place = Place::lived();
    for name in ["epoch", "marks"] {
        fs::remove_file(place.root.path().join(name)).unwrap();
    }
    fs::remove_dir_all(place.lock.store_dir()).unwrap();
    let opened = place.open();
    let told = opened.told.unwrap();
    assert!(told.reason.contains("backups of it"), "{}", told.reason);
    assert_eq!((opened.store.epoch(), last(&opened.store, "grid")), (3, Some(20)));
    let lines = told.lines();
    assert!(lines.iter().any(|line| line.starts_with("grid: back to") && line.ends_with("cannot be counted")));
    let latches = opened.store.latches().unwrap();
    assert!(NAMES.iter().all(|name| latches.contains_key(&format!("paused/{name}"))), "{latches:?}");
    assert!(latches.contains_key("stopped/slow"));
}

#[test]
fn without_marks_nobody_goes_back_behind_the_backup_and_everyone_waits() {
    let place = Place::lived();
    place.spoil(|store| {
        lose_facts(store, "grid", 15..=30);
        let newer = fact_key(&key("grid"), FactId { epoch: 1, seq: 20 });
        let end = [&newer[..], &[u8::MAX; 4]].concat();
        let pieces = store.disk().rows(Room::Snapshots, &newer[..]..=&end).unwrap().map(|row| row.unwrap().0);
        store.disk().write(Room::Snapshots, Vec::new(), pieces.collect()).unwrap();
        lose_facts(store, "trend", 26..=30);
    });
    fs::remove_file(place.root.path().join("marks")).unwrap();
    let opened = place.open();
    let told = opened.told.unwrap();
    let lines = told.lines();
    assert!(told.reason.contains("marks") && told.reason.contains("missing"), "{}", told.reason);
    assert!(matches!(of(&told, "grid").source, Source::Backup { .. }), "{lines:#?}");
    assert_eq!(of(&told, "trend").source, Source::Kept, "it got further than the backup");
    assert!(lines.iter().any(|line| line.starts_with("trend: kept; whether that is all")), "{lines:#?}");
    let reached = NAMES.map(|name| last(&opened.store, name));
    assert_eq!(reached, [Some(20), Some(30), Some(25)]);
    assert_eq!(told.latches, Latches::Merged);
    let latches = opened.store.latches().unwrap();
    assert!(NAMES.iter().all(|name| latches.contains_key(&format!("paused/{name}"))), "{latches:?}");
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
fn an_epoch_mark_that_is_missing_or_damaged_is_made_anew() {
    let place = Place::lived();
    let path = place.root.path().join("epoch");
    fs::remove_file(&path).unwrap();
    let opened = place.open();
    assert!(opened.told.is_none() && last(&opened.store, "grid") == Some(30));
    assert_eq!(opened.remarks, [""; 0]);
    drop(opened);
    let mut bytes = fs::read(&path).unwrap();
    bytes[0] ^= 0xff;
    fs::write(&path, bytes).unwrap();
    let opened = place.open();
    assert!(opened.told.is_none() && opened.remarks.len() == 1, "{:?}", opened.remarks);
    drop(opened);
    assert!(place.open().remarks.is_empty());
}

#[test]
fn marks_that_are_missing_or_damaged_are_told_and_made_anew() {
    for damage in [true, false] {
        let place = Place::lived();
        let path = place.root.path().join("marks");
        if damage {
            let mut bytes = fs::read(&path).unwrap();
            [0, 64].into_iter().for_each(|at| bytes[at] ^= 0xff);
            fs::write(&path, bytes).unwrap();
        } else {
            fs::remove_file(&path).unwrap();
        }
        let opened = place.open();
        let told = opened.told.unwrap();
        assert!(told.instances.iter().all(|of| of.source == Source::Kept), "{:#?}", told.lines());
        assert_eq!(last(&opened.store, "grid"), Some(30));
        // Damage to another slot leaves the one of the latches, which says that they are all there.
        let is_paused = opened.store.latches().unwrap().contains_key("paused/trend");
        assert_eq!(is_paused, !damage);
        assert_eq!(opened.store.get_latch(ALL_PAUSED).unwrap().is_some(), !damage, "for bots that nobody knows of");
        drop(opened.store);
        super::super::told(&place.lock).unwrap();
        let opened = place.open();
        assert!(opened.told.is_none() && opened.remarks.is_empty(), "{:?}", opened.remarks);
    }
}

#[test]
fn a_first_start_that_died_before_its_marks_has_lost_nothing() {
    let place = Place::new();
    drop(place.open());
    fs::remove_file(place.root.path().join("marks")).unwrap();
    let opened = place.open();
    assert!(opened.told.is_none() && opened.remarks.is_empty(), "{:?}", opened.remarks);
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
