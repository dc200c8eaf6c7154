//! A backup put in place because somebody asked for it.

use super::*;

#[test]
fn an_operator_gets_the_backup_that_was_asked_for() {
    let place = Place::lived();
    let store = place.open().store;
    append(&store, "fresh", 1..=5);
    for name in ["paused/grid", "stopped/trend", "life/grid", "added/fresh"] {
        store.put_latch(name, b"after the backup").unwrap();
    }
    store.seal().unwrap();
    let epoch = store.epoch();
    drop(store);
    let path = backup::list(&place.backups()).unwrap().remove(0).path;
    let report = restore(&place.lock, &path, NOW, &Unchanged).unwrap();
    assert!(report.latches == Latches::Backup && report.notes.is_empty(), "{report:?}");
    assert!(report.lines().iter().any(|line| line.contains("whatever was set before this restore stays set")));
    assert_eq!((of(&report, "fresh").source.clone(), of(&report, "fresh").facts_lost_at_least), (Source::Lost, 5));
    assert!(NAMES.iter().all(|name| of(&report, name).facts_lost_at_least == 10));
    assert_eq!(place.beside("store.replaced-").len(), 1);
    told(&place.lock).unwrap();
    let opened = place.open();
    assert!(opened.told.is_none() && opened.remarks.is_empty(), "{:?}", opened.remarks);
    assert!(opened.store.epoch() > epoch + 1);
    assert_eq!(NAMES.map(|name| last(&opened.store, name)), [Some(20); 3]);
    let set: Vec<String> = opened.store.latches().unwrap().into_keys().collect();
    assert_eq!(set, ["kill", "lost/fresh", "paused/grid", "stopped/slow", "stopped/trend"]);
    assert!(opened.store.verify().is_whole());
}

#[test]
fn a_damaged_backup_is_refused_and_the_store_stays() {
    let place = Place::lived();
    let path = backup::list(&place.backups()).unwrap().remove(0).path;
    let bytes = fs::read(&path).unwrap();
    fs::write(&path, &bytes[..bytes.len() - 1]).unwrap();
    assert!(matches!(restore(&place.lock, &path, NOW, &Unchanged), Err(StoreError::Backup(_))));
    let opened = place.open();
    assert!(opened.told.is_none() && last(&opened.store, "grid") == Some(30));
}
