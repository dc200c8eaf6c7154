//! Damage of every kind to every file: each ends in "verified, nothing missing" or in "restored, told". No panic
//! leaves, and nothing that was durable goes missing without a line that names it.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may stop at what cannot be")]

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::panic;
use std::path::{Path, PathBuf};

use common::{Contents, NAMES, NOW, backups, contents, copy, live, open, open_at};
use supervisor_state::restore::{self, Latches, RestoreReport, Source};
use supervisor_state::{StateDir, backup};

const CASES: u64 = 260;

/// A small generator with a seed (splitmix64).
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % limit.max(1) as u64) as usize
    }
}

/// Which file is damaged; the data file far more often than the others, for it is the largest.
fn victim(dir: &Path, random: &mut Random) -> PathBuf {
    let backup = backup::list(&backups(dir)).unwrap().remove(0).path;
    let others = [dir.join("store/conf"), dir.join("marks"), dir.join("epoch"), backup, dir.join("store/blobs")];
    match random.below(12) {
        at if at < others.len() => others[at].clone(),
        _ => dir.join("store/db"),
    }
}

/// Damages the file and says how.
fn damage(path: &Path, random: &mut Random) -> String {
    if path.is_dir() {
        fs::remove_dir_all(path).unwrap();
        return "removed".to_string();
    }
    let mut bytes = fs::read(path).unwrap();
    // Beyond the last byte in use there is nothing to be damaged.
    let used = bytes.iter().rposition(|byte| *byte != 0).map_or(1, |at| at + 1);
    let at = random.below(used);
    let how = match random.below(6) {
        0 => {
            fs::remove_file(path).unwrap();
            return "removed".to_string();
        }
        1 => {
            bytes.truncate(at);
            format!("truncated to {at}")
        }
        2 => {
            let end = (at + 1 + random.below(4096)).min(bytes.len());
            bytes[at..end].fill(0);
            format!("zeros in {at}..{end}")
        }
        3 => {
            let (from, to) = (at / 4096 * 4096, (at / 4096 * 4096 + 4096).min(bytes.len()));
            bytes[from..to].iter_mut().for_each(|byte| *byte = random.below(256) as u8);
            format!("garbage in {from}..{to}")
        }
        _ => {
            let bit = random.below(8);
            bytes[at] ^= 1 << bit;
            format!("bit {bit} of {at} flipped")
        }
    };
    fs::write(path, bytes).unwrap();
    how
}

/// Everything that is not as it was stands in the report.
fn compare(before: &Contents, after: &Contents, told: Option<&RestoreReport>, case: &str) {
    let Some(report) = told else {
        assert_eq!(before, after, "{case}: nothing was told");
        return;
    };
    let lines = report.lines();
    for name in NAMES {
        let of = report.instances.iter().find(|of| of.instance.as_str() == name);
        let of = of.unwrap_or_else(|| panic!("{case}: {name} is not in the report"));
        assert_eq!(lines.iter().filter(|line| line.starts_with(&format!("{name}: "))).count(), 1, "{case}: {lines:?}");
        let (had, has) = (&before.facts[name], &after.facts[name]);
        let snapshots = (&before.snapshots[name], &after.snapshots[name]);
        match of.source {
            Source::Kept => {
                let gone = had.len().saturating_sub(has.len());
                assert_eq!(&had[gone..], has, "{case}: {name} was kept");
                assert!(gone == 0 || of.note.is_some(), "{case}: the oldest facts of {name} are missing");
                assert!(snapshots.0 == snapshots.1 || of.note.is_some(), "{case}: a snapshot of {name} is missing");
            }
            Source::Backup { .. } => {
                let last = has.last().map(|fact| fact.id());
                assert_eq!(of.reached, last, "{case}: {name}");
                let from = had.first().unwrap().id().max(has.first().unwrap().id());
                let since = |facts: &[supervisor_state::StoredFact]| {
                    facts
                        .iter()
                        .filter(|fact| fact.id() >= from && Some(fact.id()) <= last)
                        .cloned()
                        .collect::<Vec<_>>()
                };
                assert_eq!(since(had), since(has), "{case}: {name}");
                let lost = had.last().unwrap().seq - has.last().unwrap().seq;
                assert_eq!(of.facts_lost_at_least, lost, "{case}: {name}");
            }
            Source::Lost => {
                assert!(has.is_empty() && after.latches.contains_key(&format!("lost/{name}")), "{case}: {name}");
            }
        }
    }
    assert!(after.latches.contains_key("kill"), "{case}: the kill switch stays on");
    let missing = before.latches.iter().any(|(name, value)| after.latches.get(name) != Some(value));
    assert!(!missing || report.latches == Latches::Merged, "{case}: latches are missing");
}

/// One damaged copy: opened, compared, opened once more. Answers what became of it.
fn outcome(template: &Path, before: &Contents, seed: u64) -> (&'static str, String) {
    let place = tempfile::tempdir().unwrap();
    let dir = place.path().join("state");
    copy(template, &dir);
    let mut random = Random(seed);
    let path = victim(&dir, &mut random);
    let how = damage(&path, &mut random);
    let file = path.file_name().unwrap().to_string_lossy().into_owned();
    let case = format!("seed {seed}, {file}: {how}");
    let lock = StateDir::acquire(&dir).unwrap();
    let opened = open(&lock).unwrap_or_else(|error| panic!("{case}: {error}"));
    let epoch = opened.store.epoch();
    assert!(epoch > 2, "{case}: no epoch comes twice");
    let after = contents(&opened.store, &NAMES);
    compare(before, &after, opened.told.as_ref(), &case);
    assert!(opened.store.verify().is_whole(), "{case}");
    let restored = opened.told.is_some();
    drop(opened);
    restore::told(&lock).unwrap();
    let again = open_at(&lock, NOW + 1).unwrap();
    assert!(again.told.is_none() && again.remarks.is_empty(), "{case}: mended for good: {:?}", again.remarks);
    assert!(again.store.epoch() > epoch, "{case}");
    assert_eq!(contents(&again.store, &NAMES), after, "{case}");
    (if restored { "restored, told" } else { "verified" }, if file.contains("backup") { "backup".into() } else { file })
}

#[test]
fn every_damage_is_mended_and_told() {
    // The database's own panics are expected here and would hide those of the test.
    let shown = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        if !info.location().is_some_and(|location| location.file().contains("sled-")) {
            shown(info);
        }
    }));
    let template = tempfile::tempdir().unwrap();
    live(template.path());
    let before = {
        let copied = tempfile::tempdir().unwrap();
        copy(template.path(), copied.path());
        let lock = StateDir::acquire(copied.path()).unwrap();
        contents(&open(&lock).unwrap().store, &NAMES)
    };
    assert_eq!(before.facts["grid-a"].last().unwrap().seq, 97);
    assert_eq!((before.facts["trend-b"].len(), before.facts["plain-c"].len(), before.latches.len()), (53, 24, 3));
    let mut counts: BTreeMap<(&str, String), u64> = BTreeMap::new();
    for seed in 0..CASES {
        *counts.entry(outcome(template.path(), &before, seed)).or_default() += 1;
    }
    let of = |what: &str| counts.iter().filter(|((outcome, _), _)| *outcome == what).map(|(_, n)| n).sum::<u64>();
    let (verified, restored) = (of("verified"), of("restored, told"));
    assert_eq!(verified + restored, CASES);
    assert!(verified >= 50 && restored >= 50, "both must happen: {counts:?}");
}
