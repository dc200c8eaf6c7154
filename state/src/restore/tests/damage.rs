//! What a start keeps of a damaged store, and what it takes from a backup.

use super::*;

#[test]
fn what_is_whole_is_kept_and_the_rest_goes_back_to_the_backup() {
    let place = Place::lived();
    place.spoil(|store| lose_facts(store, "trend", 27..=30));
    let opened = place.open();
    let report = opened.told.unwrap();
    assert_eq!((of(&report, "grid").source.clone(), of(&report, "slow").source.clone()), (Source::Kept, Source::Kept));
    let trend = of(&report, "trend");
    assert!(matches!(trend.source, Source::Backup { created_ms, .. } if created_ms == NOW - 1_000));
    assert_eq!((trend.known, trend.reached), (Some(FactId { epoch: 1, seq: 30 }), Some(FactId { epoch: 1, seq: 20 })));
    assert_eq!((trend.facts_lost_at_least, report.latches), (10, Latches::Kept));
    assert_eq!(NAMES.map(|name| last(&opened.store, name)), [Some(30), Some(30), Some(20)]);
    assert_eq!(opened.store.latest_snapshot(&key("trend")).unwrap().unwrap().id.seq, 20);
    assert_eq!(opened.store.latches().unwrap().len(), 2);
    assert!(report.moved_to.is_some_and(|path| path.join("db").exists()));
    assert!(report.reason.contains("trend") && report.backup.is_some());
}

#[test]
fn facts_lost_at_the_beginning_are_noticed_though_pruning_looks_alike() {
    let place = Place::lived();
    let store = place.open().store;
    let pruned = store.prune(&key("grid"), 5, 6).unwrap();
    assert_eq!((pruned.facts, store.floor(&key("grid")).unwrap()), (6, Some(7)));
    store.seal().unwrap();
    drop(store);
    assert!(place.open().told.is_none(), "pruned is not lost");
    place.spoil(|store| lose_facts(store, "grid", 7..=8));
    let report = place.open().told.unwrap();
    assert!(matches!(of(&report, "grid").source, Source::Kept | Source::Backup { .. }));
    assert!(report.reason.contains("missing at the beginning"), "{}", report.reason);
    place.spoil(|store| lose_facts(store, "slow", 1..=3));
    assert!(place.open().told.unwrap().reason.contains("instance slow: facts are missing at the beginning"));
}

#[test]
fn a_damaged_newest_snapshot_costs_no_fact() {
    let place = Place::lived();
    let newest = FactId { epoch: 1, seq: 20 };
    place.spoil(|store| {
        let piece = crate::chunks::chunk_key(&fact_key(&key("slow"), newest), 1);
        store.disk().write(Room::Snapshots, Vec::new(), vec![piece]).unwrap();
    });
    let opened = place.open();
    let report = opened.told.unwrap();
    let slow = of(&report, "slow");
    assert_eq!((slow.source.clone(), last(&opened.store, "slow")), (Source::Kept, Some(30)));
    assert!(slow.note.as_ref().unwrap().contains("epoch 1 seq 10"), "{slow:?}");
    assert_eq!(opened.store.snapshot_ids(&key("slow")).unwrap(), [FactId { epoch: 1, seq: 10 }]);
}

#[test]
fn a_missing_store_comes_back_from_the_backup_in_an_epoch_never_used() {
    let place = Place::lived();
    drop(place.open());
    drop(place.open());
    drop(place.open());
    fs::remove_dir_all(place.lock.store_dir()).unwrap();
    let opened = place.open();
    let report = opened.told.unwrap();
    assert_eq!((report.moved_to.clone(), report.latches), (None, Latches::Merged));
    assert!(NAMES.iter().all(|name| of(&report, name).facts_lost_at_least == 10));
    assert!(opened.store.epoch() > 4);
    assert_eq!(NAMES.map(|name| last(&opened.store, name)), [Some(20); 3]);
    assert!(opened.store.get_latch("kill").unwrap().is_some(), "set after the backup, known to the marks");
    assert!(opened.store.get_latch("stopped/slow").unwrap().is_some());
}

#[test]
fn without_a_backup_everything_is_lost_and_locked() {
    let place = Place::lived();
    fs::remove_dir_all(place.backups()).unwrap();
    fs::write(place.lock.store_dir().join("db"), b"nothing that it was").unwrap();
    let opened = place.open();
    let report = opened.told.unwrap();
    assert!(report.instances.len() == 3 && report.instances.iter().all(|of| of.source == Source::Lost));
    assert!(report.lines().iter().any(|line| line.starts_with("slow: lost, no backup holds it; at least 30 facts")));
    for name in NAMES {
        assert!(opened.store.get_latch(&format!("lost/{name}")).unwrap().is_some());
        assert_eq!(last(&opened.store, name), None);
    }
    assert!(opened.store.get_latch("kill").unwrap().is_some());
}

#[test]
fn an_older_backup_is_used_when_the_newest_is_damaged() {
    let place = Place::lived();
    let store = place.open().store;
    let newest = backup::create(&store, &place.backups(), NOW, 9).unwrap();
    drop(store);
    let mut bytes = fs::read(&newest.path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&newest.path, bytes).unwrap();
    fs::remove_dir_all(place.lock.store_dir()).unwrap();
    let report = place.open().told.unwrap();
    assert!(matches!(&of(&report, "grid").source, Source::Backup { created_ms, .. } if *created_ms == NOW - 1_000));
    assert!(report.notes.iter().any(|note| note.contains("not used") && note.contains(&newest.name)), "{report:?}");
}

#[test]
fn lost_latches_are_put_together_and_set_ones_stay_set() {
    let place = Place::lived();
    let gone = vec![b"kill".to_vec(), b"stopped/slow".to_vec()];
    place.spoil(|store| store.disk().write(Room::Latches, Vec::new(), gone).unwrap());
    let opened = place.open();
    let report = opened.told.unwrap();
    assert_eq!(report.latches, Latches::Merged);
    assert!(report.instances.iter().all(|of| of.source == Source::Kept));
    let set: Vec<String> = opened.store.latches().unwrap().into_keys().collect();
    assert_eq!(
        set,
        [ALL_PAUSED, "kill", "paused/grid", "paused/slow", "paused/trend", "stopped/slow"],
        "and nobody enters"
    );
}

#[test]
fn the_three_newest_damaged_stores_stay_aside() {
    let place = Place::lived();
    for lost in 0..5 {
        place.spoil(|store| lose_facts(store, "grid", 20 - lost..=30));
        assert!(place.open().told.is_some());
    }
    assert_eq!(place.beside("store.damaged-").len(), 3);
}

#[test]
fn where_a_life_begins_comes_from_where_its_records_come_from() {
    let place = Place::new();
    let store = place.open().store;
    for name in NAMES {
        store.put_latch(&format!("life/{name}"), b"first").unwrap();
        append(&store, name, 1..=20);
        snapshot(&store, name, 20);
    }
    backup::create(&store, &place.backups(), NOW - 1_000, 9).unwrap();
    for name in NAMES {
        store.put_latch(&format!("life/{name}"), b"second").unwrap();
        append(&store, name, 21..=30);
    }
    store.seal().unwrap();
    drop(store);
    place.spoil(|store| lose_facts(store, "slow", 25..=27));
    let opened = place.open();
    assert!(opened.told.is_some());
    let life = |name: &str| opened.store.get_latch(&format!("life/{name}")).unwrap();
    assert_eq!((last(&opened.store, "slow"), life("slow")), (Some(20), Some(b"first".to_vec())));
    assert_eq!((last(&opened.store, "grid"), life("grid")), (Some(30), Some(b"second".to_vec())));
}
