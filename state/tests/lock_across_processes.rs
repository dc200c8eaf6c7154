//! The lock between processes. A binary of its own: a child between fork and exec shares every open file of its
//! parent, and the database's own lock, which other tests open and close, would be held by it.

#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::process::{Command, Output};

use supervisor_state::StateDir;

const CHILD_DIR: &str = "SUPERVISOR_STATE_LOCK_TEST_DIR";

/// Runs `child_process` of this very binary on `dir`; it ends by itself, so nothing has to be waited for.
fn run_child(dir: &Path) -> Output {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child_process", "--nocapture"])
        .env(CHILD_DIR, dir)
        .output()
        .unwrap()
}

#[test]
fn child_process() {
    let Some(dir) = std::env::var_os(CHILD_DIR) else { return };
    match StateDir::acquire(Path::new(&dir)) {
        // Leaves as a killed process does: no destructor runs, the process id stays in the file.
        Ok(_held) => std::process::abort(),
        Err(error) => println!("REFUSED {error}"),
    }
}

#[test]
fn another_process_is_refused_and_told_our_process_id() {
    let root = tempfile::tempdir().unwrap();
    let _held = StateDir::acquire(root.path()).unwrap();
    let output = String::from_utf8(run_child(root.path()).stdout).unwrap();
    assert!(output.contains("REFUSED"), "{output}");
    assert!(output.contains(&format!("process {}", std::process::id())), "{output}");
    assert!(output.contains(&root.path().display().to_string()), "{output}");
}

#[test]
fn a_holder_that_died_holds_nothing() {
    let root = tempfile::tempdir().unwrap();
    let output = run_child(root.path());
    assert!(!output.status.success(), "the child aborts while it holds the lock");
    let left = std::fs::read_to_string(root.path().join("lock")).unwrap();
    assert_ne!(left.trim().parse::<u32>().unwrap(), std::process::id());
    StateDir::acquire(root.path()).unwrap();
}
