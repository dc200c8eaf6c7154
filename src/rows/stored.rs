//! What the rows about backups and the store look like on a terminal.

use supervisor_actors::view::{BackupRow, StoreRow};

use super::heads;
use crate::out::Row;

/// A size for people: `512 B`, `1.4 kB`, `12.3 MB`; decimal units.
pub fn size(bytes: u64) -> String {
    let in_units = |unit: u64, word: &str| format!("{}.{} {word}", bytes / unit, bytes % unit * 10 / unit);
    match bytes {
        0..1_000 => format!("{bytes} B"),
        1_000..1_000_000 => in_units(1_000, "kB"),
        1_000_000..1_000_000_000 => in_units(1_000_000, "MB"),
        _ => in_units(1_000_000_000, "GB"),
    }
}

fn verdict(is_whole: bool) -> String {
    if is_whole { "ok" } else { "damaged" }.to_owned()
}

impl Row for BackupRow {
    fn heads(wide: bool) -> Vec<&'static str> {
        let narrow = ["NAME", "CREATED", ">EPOCH", ">BOTS", ">FACTS", ">SIZE", "STATE"];
        heads(&narrow, &[">SNAPSHOTS", "PROBLEM"], wide)
    }

    fn cells(&self, wide: bool) -> Vec<String> {
        let narrow = [
            self.name.clone(),
            if self.created.is_empty() { "-".to_owned() } else { self.created.clone() },
            self.epoch.to_string(),
            self.instances.to_string(),
            self.facts.to_string(),
            size(self.bytes),
            verdict(self.problem.is_none()),
        ];
        super::cells(narrow, [self.snapshots.to_string(), self.problem.clone().unwrap_or_default()], wide)
    }

    fn name(&self) -> String {
        self.name.clone()
    }
}

impl Row for StoreRow {
    fn heads(wide: bool) -> Vec<&'static str> {
        heads(&["NAME", ">FACTS", "FIRST", "LAST", ">SNAPSHOTS", "STATE"], &["PROBLEMS"], wide)
    }

    fn cells(&self, wide: bool) -> Vec<String> {
        let or_none = |text: &str| if text.is_empty() { "-".to_owned() } else { text.to_owned() };
        let narrow = [
            self.name(),
            self.facts.to_string(),
            or_none(&self.first),
            or_none(&self.last),
            self.snapshots.to_string(),
            verdict(self.problems.is_empty()),
        ];
        super::cells(narrow, [self.problems.join("; ")], wide)
    }

    /// What belongs to no bot is the store's own.
    fn name(&self) -> String {
        if self.instance.is_empty() { "(store)".to_owned() } else { self.instance.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_use_their_largest_unit() {
        assert_eq!([0, 999, 1_000, 1_450].map(size), ["0 B", "999 B", "1.0 kB", "1.4 kB"]);
        assert_eq!([12_345_678, 3_000_000_000].map(size), ["12.3 MB", "3.0 GB"]);
    }

    #[test]
    fn a_damaged_backup_or_store_says_so_in_its_row() {
        let row = BackupRow {
            name: "b".into(),
            created: String::new(),
            epoch: 3,
            instances: 2,
            facts: 70,
            snapshots: 4,
            bytes: 1_500,
            problem: Some("record 7: checksum".into()),
        };
        assert_eq!(row.cells(false), ["b", "-", "3", "2", "70", "1.5 kB", "damaged"]);
        assert_eq!(row.cells(true)[7..], ["4", "record 7: checksum"]);
        assert_eq!(BackupRow::heads(true).len(), row.cells(true).len());
        let whole = StoreRow {
            instance: String::new(),
            facts: 0,
            first: String::new(),
            last: String::new(),
            snapshots: 0,
            problems: Vec::new(),
        };
        assert_eq!(whole.cells(false), ["(store)", "0", "-", "-", "0", "ok"]);
    }
}
