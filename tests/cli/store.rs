//! The check of the store and backups, asked of a supervisor that runs.

use std::fs::File;
use std::os::unix::fs::FileExt;

use super::running::{slow, until_trading};
use super::{Place, Run};

/// What a check of the running supervisor's store leaves behind beside it.
fn copies(place: &Place) -> Vec<String> {
    let entries = std::fs::read_dir(place.path("state")).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.starts_with("store.")).collect()
}

#[test]
fn damage_on_the_disk_is_found_while_it_runs_and_it_runs_on() {
    let place = slow();
    let run = Run::start(&place, &[]);
    until_trading(&place);
    let whole = place.said(&["store", "verify"]);
    assert_eq!(whole.code, 0, "{}{}", whole.out, whole.err);
    assert!(whole.err.contains("the store is whole"), "{}", whole.err);
    let db = File::options().write(true).open(place.path("state/store/db")).unwrap();
    db.write_all_at(&[0xa5; 40_000], 200).unwrap();
    let damaged = place.said(&["store", "verify"]);
    assert_eq!(damaged.code, 3, "{}{}", damaged.out, damaged.err);
    assert!(damaged.err.contains("the store is damaged: "), "{}", damaged.err);
    assert_eq!(place.said(&["status", "grid"]).code, 0, "the bot is not disturbed");
    assert_eq!(copies(&place), [""; 0]);
    drop(run);
}

#[test]
fn without_room_neither_is_done_and_both_say_why() {
    let place = slow();
    let _run = Run::start(&place, &[]);
    until_trading(&place);
    // Twice its length has to stay free.
    let reserve = File::options().write(true).create(true).truncate(false).open(place.path("state/reserve")).unwrap();
    reserve.set_len(1 << 42).unwrap();
    for (verb, code) in [(["store", "verify"], "not_checked"), (["backup", "create"], "not_backed_up")] {
        let refused = place.said(&[verb[0], verb[1], "-o", "json"]);
        assert_eq!((refused.code, refused.error()["code"].as_str()), (1, Some(code)), "{}", refused.err);
        let text = refused.error()["message"].as_str().unwrap().to_owned();
        assert!(text.contains(" needs ") && text.contains("free are ") && !text.contains("damage"), "{text}");
    }
    assert_eq!(copies(&place), [""; 0]);
}
