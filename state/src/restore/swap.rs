//! Putting a new store in the place of the old one, so that a crash at any step leaves one or the other.
//!
//! Owns the names: `store.new` is being built; `store.new.KIND-TIME` is complete, verified and on the device, and the
//! store that it replaces goes to `store.KIND-TIME`. Promises that a swap found half done is taken back before anything
//! else is looked at, also when somebody has opened, and so made, an empty store in the gap; and that the old store is
//! never removed by a swap. Only the oldest of those put aside go, and never one of an earlier schema version.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use super::wreck;
use crate::journal::StoreError;
use crate::lock::StateDir;
use crate::stamp;
use crate::store::Store;

const STORE: &str = "store";
const NEW: &str = "store.new";
/// How many stores of one kind stay aside.
const ASIDE_KEPT: usize = 3;

/// Where a store is built.
pub(super) fn new_dir(lock: &StateDir) -> PathBuf {
    lock.path().join(NEW)
}

/// Where the files of a store are copied that cannot be opened as it is.
pub(super) fn salvage_dir(lock: &StateDir) -> PathBuf {
    lock.path().join("store.new.salvage")
}

/// Takes back a swap that was not completed and removes what was being built.
///
/// # Errors
/// A file could not be handled, or the system refused to look at what stands in the place of the store.
pub(super) fn tidy(lock: &StateDir) -> Result<(), StoreError> {
    let (dir, store) = (lock.path(), lock.store_dir());
    for name in names(dir, NEW)? {
        let aside = name.strip_prefix("store.new.").map(|kind| dir.join(format!("{STORE}.{kind}")));
        if let Some(aside) = aside.filter(|aside| aside.exists())
            && holds_nothing(lock)?
        {
            clear(&store)?;
            rename(&aside, &store)?;
            sync(dir)?;
        }
        clear(&dir.join(name))?;
    }
    Ok(())
}

/// Whether nothing stands in the place of the store, or a store without any row. It is a copy that is looked at: the
/// database may write to its files for a moment after it was closed.
fn holds_nothing(lock: &StateDir) -> Result<bool, StoreError> {
    let (store, copy) = (lock.store_dir(), salvage_dir(lock));
    if !Store::has_data(&store) {
        return Ok(true);
    }
    clear(&copy)?;
    wreck::copy_data(&store, &copy).map_err(|source| beside(&copy, "copied", source))?;
    let is_new = match Store::peek(&copy).and_then(|store| store.is_new()) {
        Err(error) if wreck::is_refusal(&error) => return Err(error),
        // What cannot be read is something.
        looked => looked.unwrap_or(false),
    };
    clear(&copy)?;
    Ok(is_new)
}

/// Makes room for a store to be built.
pub(super) fn clear(dir: &Path) -> Result<(), StoreError> {
    if dir.exists() { remove(dir) } else { Ok(()) }
}

/// A name for the store that is put aside, which nothing has yet.
pub(super) fn aside(lock: &StateDir, kind: &str, now_ms: i64) -> PathBuf {
    let named = |ms: i64| lock.path().join(format!("{STORE}.{kind}-{}", stamp::in_name(ms)));
    (now_ms..).map(named).find(|path| !path.exists()).unwrap_or_else(|| named(i64::MAX))
}

/// Puts the store built in [`new_dir`] in place. The old one, if there is one, goes to `aside`.
pub(super) fn commit(lock: &StateDir, aside: &Path) -> Result<(), StoreError> {
    let (dir, new, store) = (lock.path(), new_dir(lock), lock.store_dir());
    sync_all(&new)?;
    let name = aside.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let kind = name.strip_prefix("store.").unwrap_or(&name);
    let complete = dir.join(format!("{NEW}.{kind}"));
    rename(&new, &complete)?;
    sync(dir)?;
    if store.exists() {
        rename(&store, aside)?;
    }
    rename(&complete, &store)?;
    sync(dir)
}

/// Removes the oldest stores put aside as `kind`.
pub(super) fn thin_out(lock: &StateDir, kind: &str) -> Result<(), StoreError> {
    let names = names(lock.path(), &format!("{STORE}.{kind}-"))?;
    let surplus = names.len().saturating_sub(ASIDE_KEPT);
    names.iter().take(surplus).try_for_each(|name| remove(&lock.path().join(name)))
}

/// Names in `dir` that begin with `prefix`, ascending.
fn names(dir: &Path, prefix: &str) -> Result<Vec<String>, StoreError> {
    let mut names = Vec::new();
    for entry in fs::read_dir(dir).map_err(|source| beside(dir, "read", source))? {
        let name = entry.map_err(|source| beside(dir, "read", source))?.file_name().to_string_lossy().into_owned();
        if name.starts_with(prefix) {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

fn remove(path: &Path) -> Result<(), StoreError> {
    let removed = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
    removed.map_err(|source| beside(path, "removed", source))
}

fn rename(from: &Path, to: &Path) -> Result<(), StoreError> {
    fs::rename(from, to).map_err(|source| beside(from, "renamed", source))
}

fn sync(dir: &Path) -> Result<(), StoreError> {
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(|source| beside(dir, "synced", source))
}

/// Puts every file below `dir` on the device, then the names.
fn sync_all(dir: &Path) -> Result<(), StoreError> {
    for entry in fs::read_dir(dir).map_err(|source| beside(dir, "read", source))? {
        let path = entry.map_err(|source| beside(dir, "read", source))?.path();
        if path.is_dir() { sync_all(&path)? } else { sync(&path)? }
    }
    sync(dir)
}

pub(super) fn beside(path: &Path, during: &'static str, source: io::Error) -> StoreError {
    StoreError::Beside { path: path.to_path_buf(), during, source }
}
