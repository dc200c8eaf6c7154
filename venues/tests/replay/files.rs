//! Files: names, compression, line ends, text.

use std::path::Path;

use super::*;

#[test]
fn files_are_checked_before_their_rows() {
    assert_eq!(
        load_bytes("x.txt", b"").unwrap_err(),
        "x.txt: name ends in neither .csv nor .csv.gz; unpack other archives first"
    );
    assert_eq!(refused(""), "x.csv: holds no rows");
    assert_eq!(refused(&format!("{HEADER}\n")), "x.csv: holds no rows");
    assert_eq!(load_bytes("x.csv.gz", &gzip(b"")).unwrap_err(), "x.csv.gz: holds no rows");
    assert_eq!(
        load_bytes("x.csv.gz", ROW_1.as_bytes()).unwrap_err(),
        "x.csv.gz: is not gzip data (it does not begin with the bytes 1f 8b); name it .csv if it is plain text"
    );
    let missing = load(Path::new("nowhere/BTCUSDT.csv")).unwrap_err().to_string();
    assert!(missing.starts_with("nowhere/BTCUSDT.csv: cannot be opened: No such file"), "{missing}");
    let directory = tempfile::Builder::new().suffix(".csv").tempdir().unwrap();
    assert!(load(directory.path()).is_err(), "a directory");
    let unknown = refused("date,o,h,l,c\n1,2,3,4,5\n");
    assert!(
        unknown.starts_with(
            "x.csv: line 1 'date,o,h,l,c' has no layout known here; accepted: candles 'open_time,open,high,"
        ),
        "{unknown}"
    );
    assert!(unknown.ends_with("BitMEX 'timestamp,price,size' (with header)"), "{unknown}");
}

#[test]
fn lines_must_be_short_text() {
    let long = format!("{HEADER}\n{ROW_1}\n{}\n", "7".repeat(5_000));
    assert_eq!(refused(&long), "x.csv: line 3: is longer than 4096 bytes");
    let bytes = [HEADER.as_bytes(), b"\n17357004\xFF0000,1\n"].concat();
    assert_eq!(load_bytes("x.csv", &bytes).unwrap_err(), "x.csv: line 2: is not UTF-8 from byte 9 on");
    assert_eq!(refused(&format!("{ROW_1}\n\n{ROW_2}\n")), "x.csv: line 2: is blank; only the end of a file may be");
    let cut = &ROW_2[..40];
    assert!(refused(&format!("{ROW_1}\n{cut}")).starts_with("x.csv: line 2: has 5 columns; allowed: 12"));
}

#[test]
fn a_gzip_cut_anywhere_is_refused() {
    let whole = gzip(csv_of(&year(5_000)).as_bytes());
    assert_eq!(load_bytes("x.csv.gz", &whole).unwrap().len(), 5_000);
    for kept in [whole.len() / 2, whole.len() - 1, whole.len() - 8, 3] {
        let says = load_bytes("x.csv.gz", &whole[..kept]).unwrap_err();
        assert!(says.starts_with("x.csv.gz: gzip data ends in the middle after line "), "{kept}: {says}");
    }
    let mut flipped = whole.clone();
    flipped[whole.len() / 2] ^= 0x55;
    assert!(load_bytes("x.csv.gz", &flipped).is_err());
}

#[test]
fn made_up_candles_come_back() {
    let candles = year(20_000);
    let loaded = load_text(&csv_of(&candles)).unwrap();
    assert_eq!(candles_of(&loaded), candles);
    assert!(!loaded.gaps().is_empty());
}
