//! Real recordings, where they are at hand: the folder in `SUPERVISOR_DATA`, or the shared one.

use std::path::{Path, PathBuf};

use super::*;

fn shared_data() -> PathBuf {
    std::env::var_os("SUPERVISOR_DATA")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data"), PathBuf::from)
}

fn files_under(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        match entry.path() {
            path if path.is_dir() => files_under(&path, found),
            path => found.push(path),
        }
    }
}

/// Rows, gaps and missing candles of some recordings, counted independently.
const KNOWN: [(&str, usize, usize, u64); 7] = [
    ("BTCUSDT-1m-20250101-20250204.csv.gz", 50_000, 0, 0),
    ("LINKUSDT-1m-20240908-20250907-gappy.csv.gz", 105_076, 524, 419_724),
    ("BTCUSDT-1h-20200430-20200701.csv.gz", 1_468, 1, 3),
    ("BTCUSDT-1d-to-2023-12.csv.gz", 2_191, 0, 0),
    ("BTCUSDT-trades-20250325-partial-dev.csv.gz", 2_016, 0, 0),
    ("BTCUSDT-aggTrades-20200102-partial.csv.gz", 1_000, 0, 0),
    ("XBTUSD-trades-201801-dev.csv.gz", 740_397, 0, 0),
];

#[test]
fn every_real_recording_loads() {
    let mut files = Vec::new();
    for folder in ["klines", "trades"] {
        files_under(&shared_data().join(folder), &mut files);
    }
    if files.is_empty() {
        println!("no recordings at {}; made-up candles only", shared_data().display());
        assert_eq!(load_text(&csv_of(&year(3_000))).unwrap().len(), 3_000);
        return;
    }
    for path in files {
        let recording = load(&path).unwrap();
        let name = path.to_string_lossy();
        assert_eq!(recording.interval().is_some(), name.contains("klines"), "{name}");
        let gaps = recording.gaps();
        let missing: u64 = gaps.iter().map(|gap| gap.missing).sum();
        for known in KNOWN.iter().filter(|known| name.ends_with(&format!("/{}", known.0))) {
            assert_eq!((recording.len(), gaps.len(), missing), (known.1, known.2, known.3), "{name}");
        }
    }
}
