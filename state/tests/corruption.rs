//! Damage of every kind to every file, and to several at once: each ends in "verified, nothing missing" or in
//! "restored, told". No panic leaves, nothing that was durable goes missing without a line that names it, and nothing
//! is given up that a good backup holds.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may stop at what cannot be")]

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::panic;
use std::path::{Path, PathBuf};

use common::{Contents, NAMES, NOW, backups, contents, copy, live, open, open_at};
use supervisor_state::migrate::Unchanged;
use supervisor_state::restore::{self, Latches, RestoreReport, Source};
use supervisor_state::{RestoredInstance, StateDir, StoredFact, backup};

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

/// Stands for the one backup.
const BACKUP: &str = "backups";
const DATA: &str = "store/db";
const EPOCH: &str = "epoch";
const MARKS: &str = "marks";

/// Which file is damaged; the data file far more often than the others, for it is the largest.
fn victim(random: &mut Random) -> &'static str {
    let others = ["store/conf", MARKS, EPOCH, BACKUP, "store/blobs"];
    others.get(random.below(12)).copied().unwrap_or(DATA)
}

/// One file, or in a third of the cases two or three, then most often the marks among them. Without marks and backup
/// nobody could tell what is lost, so these two are not damaged together.
fn victims(random: &mut Random) -> BTreeSet<&'static str> {
    let several = random.below(3) == 0;
    let wanted = if several { 2 + random.below(2) } else { 1 };
    let mut chosen = BTreeSet::new();
    if several && random.below(3) > 0 {
        chosen.insert(MARKS);
    }
    while chosen.len() < wanted {
        let next = victim(random);
        let other = [(MARKS, BACKUP), (BACKUP, MARKS)].into_iter().find(|(one, _)| *one == next);
        if other.is_none_or(|(_, other)| !chosen.contains(other)) {
            chosen.insert(next);
        }
    }
    chosen
}

fn place(dir: &Path, name: &str) -> PathBuf {
    match name {
        BACKUP => backup::list(&backups(dir)).unwrap().remove(0).path,
        name => dir.join(name),
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

/// A damaged copy and what lay there before.
struct Case<'a> {
    what: String,
    before: &'a Contents,
    /// What stands in the backup, unless that is damaged.
    backup: Option<&'a Contents>,
    /// What tells how far the data reached is damaged along with the data: what came after the backup may be gone.
    is_blind: bool,
    /// And so is what tells how many epochs there were.
    is_epoch_lost: bool,
}

impl<'a> Case<'a> {
    fn new(dir: &Path, [before, backup]: [&'a Contents; 2], seed: u64) -> (Self, String) {
        let mut random = Random(seed);
        let files = victims(&mut random);
        let damaged = |name: &str| files.contains(name);
        let how = files.iter().map(|name| format!("{name}: {}", damage(&place(dir, name), &mut random)));
        let what = format!("seed {seed}, {}", how.collect::<Vec<_>>().join(", "));
        let is_good = backup::list(&backups(dir)).unwrap().first().is_some_and(|of| backup::check(&of.path).is_ok());
        let is_blind = damaged(DATA) && damaged(MARKS);
        let is_epoch_lost = is_blind && damaged(EPOCH);
        let several = if files.len() > 1 { "several" } else { files.first().unwrap() };
        (Self { what, before, backup: is_good.then_some(backup), is_blind, is_epoch_lost }, several.to_string())
    }

    /// Everything that is not as it was stands in the report, and nothing is given up that the backup holds.
    fn compare(&self, after: &Contents, told: Option<&RestoreReport>) {
        let (before, what) = (self.before, &self.what);
        let Some(report) = told else {
            assert!(before == after, "{what}: nothing was told");
            return;
        };
        let lines = report.lines();
        for name in NAMES {
            let of = report.instances.iter().find(|of| of.instance.as_str() == name);
            let of = of.unwrap_or_else(|| panic!("{what}: {name} is not in the report: {lines:#?}"));
            let about = lines.iter().filter(|line| line.starts_with(&format!("{name}: ")));
            assert_eq!(about.count(), 1, "{what}: {lines:?}");
            match of.source {
                Source::Kept => self.kept(name, of, after),
                Source::Backup { .. } => self.backed_up(name, of, after),
                Source::Lost => {
                    assert!(self.backup.is_none(), "{what}: {name} is lost in spite of a good backup");
                    let is_locked = after.latches.contains_key(&format!("lost/{name}"));
                    assert!(after.facts[name].is_empty() && is_locked, "{what}: {name}");
                }
            }
        }
        let is_halted = |name: &&str| ["paused", "lost"].iter().any(|kind| is_set(after, &format!("{kind}/{name}")));
        let are_halted = self.is_blind && NAMES.iter().all(is_halted);
        assert!(is_set(after, "kill") || are_halted, "{what}: the kill switch stays on");
        let missing = before.latches.iter().any(|(name, value)| after.latches.get(name) != Some(value));
        assert!(!missing || report.latches == Latches::Merged, "{what}: latches are missing");
    }

    fn kept(&self, name: &str, of: &RestoredInstance, after: &Contents) {
        let (what, had, has) = (&self.what, &self.before.facts[name], &after.facts[name]);
        let (first, until) = (has.first().map(StoredFact::id), has.last().map(StoredFact::id));
        // A page that is lost may bring back what was pruned.
        let from = had.first().map(StoredFact::id).max(first);
        let shared = |facts: &[StoredFact]| -> Vec<StoredFact> {
            facts.iter().filter(|fact| (from..=until).contains(&Some(fact.id()))).cloned().collect()
        };
        assert!(shared(had) == shared(has), "{what}: {name} was kept with other facts: {first:?} to {until:?}");
        let least = self.backup.filter(|_| self.is_blind).and_then(|backup| backup.facts[name].last());
        let is_reached = if self.is_blind { until >= least.map(StoredFact::id) } else { had.ends_with(has) };
        assert!(is_reached && until.is_some(), "{what}: {name} has {first:?} to {until:?}");
        assert!(has == had || of.note.is_some(), "{what}: facts of {name} are missing");
        let (snapshots, left) = (&self.before.snapshots[name], &after.snapshots[name]);
        assert!(snapshots == left || of.note.is_some(), "{what}: a snapshot of {name} is missing");
    }

    fn backed_up(&self, name: &str, of: &RestoredInstance, after: &Contents) {
        let (what, had, has) = (&self.what, &self.before.facts[name], &after.facts[name]);
        let backup = self.backup.unwrap_or_else(|| panic!("{what}: {name} comes from a damaged backup"));
        let is_all = (has, &after.snapshots[name]) == (&backup.facts[name], &backup.snapshots[name]);
        assert!(is_all, "{what}: {name} is not what the backup holds");
        assert_eq!(of.reached, has.last().map(StoredFact::id), "{what}: {name}");
        let lost = had.last().unwrap().seq - has.last().unwrap().seq;
        let is_counted = if self.is_blind { of.facts_lost_at_least <= lost } else { of.facts_lost_at_least == lost };
        assert!(is_counted, "{what}: {name} lost {lost}, told: {}", of.facts_lost_at_least);
    }
}

fn is_set(contents: &Contents, latch: &str) -> bool {
    contents.latches.contains_key(latch)
}

/// One damaged copy: opened, compared, opened once more. Answers what became of it, and what was damaged.
fn outcome(template: &Path, lain: [&Contents; 2], seed: u64) -> (&'static str, String) {
    let place = tempfile::tempdir().unwrap();
    let dir = place.path().join("state");
    copy(template, &dir);
    let (case, files) = Case::new(&dir, lain, seed);
    let what = &case.what;
    let lock = StateDir::acquire(&dir).unwrap();
    let opened = open(&lock).unwrap_or_else(|error| panic!("{what}: {error}"));
    let epoch = opened.store.epoch();
    assert!(epoch > if case.is_epoch_lost { 1 } else { 2 }, "{what}: no epoch comes twice");
    let after = contents(&opened.store, &NAMES);
    case.compare(&after, opened.told.as_ref());
    assert!(opened.store.verify().is_whole(), "{what}");
    let restored = opened.told.is_some();
    drop(opened);
    restore::told(&lock).unwrap();
    let again = open_at(&lock, NOW + 1).unwrap();
    assert!(again.told.is_none() && again.remarks.is_empty(), "{what}: mended for good: {:?}", again.remarks);
    assert!(again.store.epoch() > epoch, "{what}");
    assert!(contents(&again.store, &NAMES) == after, "{what}: another look, another store");
    (if restored { "restored, told" } else { "verified" }, files)
}

/// What stands in the store, and in the backup of it.
fn lain(template: &Path) -> [Contents; 2] {
    let [copied, unpacked] = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    copy(template, copied.path());
    let lock = StateDir::acquire(copied.path()).unwrap();
    let before = contents(&open(&lock).unwrap().store, &NAMES);
    let lock = StateDir::acquire(unpacked.path()).unwrap();
    restore::restore(&lock, &place(template, BACKUP), NOW, &Unchanged).unwrap();
    let backup = contents(&open(&lock).unwrap().store, &NAMES);
    [before, backup]
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
    let [before, backup] = lain(template.path());
    assert_eq!(before.facts["grid-a"].last().unwrap().seq, 97);
    assert!(NAMES.iter().all(|name| !backup.facts[*name].is_empty()));
    assert_eq!((before.facts["trend-b"].len(), before.facts["plain-c"].len(), before.latches.len()), (53, 24, 3));
    let mut counts: BTreeMap<(&str, String), u64> = BTreeMap::new();
    for seed in 0..CASES {
        *counts.entry(outcome(template.path(), [&before, &backup], seed)).or_default() += 1;
    }
    let of = |what: &str| counts.iter().filter(|((outcome, _), _)| *outcome == what).map(|(_, n)| n).sum::<u64>();
    let (verified, restored) = (of("verified"), of("restored, told"));
    assert_eq!(verified + restored, CASES);
    let several: u64 = counts.iter().filter(|((_, files), _)| files == "several").map(|(_, n)| n).sum();
    assert!(verified >= 50 && restored >= 50 && several >= 50, "all must happen: {counts:?}");
}
