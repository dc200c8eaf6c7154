//! Stores that earlier versions wrote: each opens, every bot in it is as the report of its last run says, and its
//! journal comes out again when its inputs are run again, so that a store whose program was killed goes on as well.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::Value;
use supervisor_actors::{feeds, offline};
use supervisor_config::{InstanceConfig, instance_from_text};
use supervisor_core::instance::FactRecord;
use supervisor_core::sim::recover;
use supervisor_state::{InstanceKey, StateDir, Store};

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

/// Runs all that happened to a bot again, from its beginning; answers how many facts were compared. `placed`: commands
/// know their places.
fn run_again(store: &Store, bot: &InstanceConfig, placed: bool) -> usize {
    let key = InstanceKey::new(bot.spec.id.as_str()).unwrap();
    let stored = store.facts(&key, None, usize::MAX).unwrap();
    let facts = stored.iter().map(|fact| postcard::from_bytes::<FactRecord>(&fact.payload).unwrap());
    let facts = facts.take_while(|record| placed || !record.fact.is_input()).collect();
    let recovered = recover(Arc::new(bot.spec.clone()), feeds::build(bot).unwrap(), None, facts);
    recovered.unwrap_or_else(|diverged| panic!("{key}: {diverged}")).compared as usize
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
        let placed = !version.ends_with("v1");
        let compared = ["grid-a.toml", "trend-b.toml"].map(|name| run_again(&opened.store, &bot(name), placed));
        assert!(compared.iter().all(|compared| *compared > 100), "{}: {compared:?}", version.display());
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
