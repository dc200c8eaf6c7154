//! Stores that earlier versions wrote: each opens, and every bot in it is as the report of its last run says.

use std::io::Read;
use std::path::{Path, PathBuf};

use serde_json::Value;
use supervisor_actors::offline;
use supervisor_config::{InstanceConfig, instance_from_text};
use supervisor_state::StateDir;

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

/// Lays a version's state directory out in `dir`.
fn unpack(version: &Path, dir: &Path) {
    std::fs::create_dir_all(dir.join("store/blobs")).unwrap();
    let mut db = Vec::new();
    let packed = std::fs::File::open(version.join("db.gz")).unwrap();
    flate2::read::GzDecoder::new(packed).read_to_end(&mut db).unwrap();
    std::fs::write(dir.join("store/db"), db).unwrap();
    std::fs::copy(version.join("conf"), dir.join("store/conf")).unwrap();
    for apart in ["epoch", "marks"].iter().filter(|name| version.join(name).exists()) {
        std::fs::copy(version.join(apart), dir.join(apart)).unwrap();
    }
}

fn bot(name: &str) -> InstanceConfig {
    let text = std::fs::read_to_string(golden().join(name)).unwrap();
    instance_from_text(&text, Path::new(name), &crate::common::accounts(), &[], &Default::default()).unwrap()
}

#[test]
fn a_store_of_every_version_opens_and_every_bot_is_as_it_was() {
    let mut versions: Vec<PathBuf> = std::fs::read_dir(golden()).unwrap().map(|entry| entry.unwrap().path()).collect();
    versions.retain(|path| path.is_dir());
    versions.sort();
    assert_eq!(versions.len() as u32, supervisor_state::SCHEMA_VERSION, "one directory for each version");
    for version in versions {
        let root = tempfile::tempdir().unwrap();
        let dir = root.path().join("state");
        unpack(&version, &dir);
        let lock = StateDir::acquire(&dir).unwrap();
        let opened = offline::open(&lock, &dir.join("backups")).unwrap();
        assert!(opened.told.is_none(), "{}: nothing was lost", version.display());
        drop(opened);
        let report: Value = serde_json::from_slice(&std::fs::read(version.join("report.json")).unwrap()).unwrap();
        for (name, then) in ["grid-a.toml", "trend-b.toml"].iter().zip(report["items"].as_array().unwrap()) {
            let now = &offline::dump(&lock, &bot(name)).unwrap()["report"];
            for (key, value) in then.as_object().unwrap() {
                // What the digest covers has changed with the version.
                if key != "digest" || version.ends_with(format!("v{}", supervisor_state::SCHEMA_VERSION)) {
                    assert_eq!(&now[key], value, "{} {name} {key}", version.display());
                }
            }
        }
    }
}
