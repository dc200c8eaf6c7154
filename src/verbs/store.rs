//! `store verify`, and who may touch the store: the running supervisor, or we under its lock.
//!
//! Promises: the lock is tried before the supervisor is asked, so that a store in use is never opened a second time; a
//! state directory that is not there is not made.

use reqwest::Method;
use serde::Serialize;
use serde_json::Value;
use supervisor_actors::view::StoreRow;
use supervisor_actors::{FleetError, offline};
use supervisor_api::Problem;
use supervisor_api::wire::ReasonBody;
use supervisor_state::verify::says_refusal;
use supervisor_state::{LockError, StateDir};

use super::read::document;
use crate::bounded::bounded;
use crate::cli::{Globals, StoreVerb};
use crate::client::{Client, talk};
use crate::fault::{Exit, Fault};
use crate::out::{Format, Out, Row, rows};
use crate::{places, table};

/// `store ...`.
pub fn store(globals: &Globals, out: &Out, verb: &StoreVerb) -> Result<Exit, Fault> {
    match verb {
        StoreVerb::Verify => verify(globals, out),
    }
}

fn verify(globals: &Globals, out: &Out) -> Result<Exit, Fault> {
    let found =
        either(globals, "store", (Method::GET, &["store"]), |lock| offline::store_verify(lock).map_err(unopened))?;
    out.document::<StoreRow>(&found)?;
    let found: Vec<StoreRow> = rows(&found)?;
    let problems = problems(&found);
    if out.format == Format::Table {
        out.lines(problems.iter().cloned())?;
    }
    if problems.is_empty() {
        out.note("the store is whole");
        return Ok(Exit::Done);
    }
    out.note(&format!(
        "the store is damaged: {}; the next start moves it aside and restores what is whole",
        table::count(problems.len(), "problem")
    ));
    Ok(Exit::Check)
}

/// What cannot be opened has failed the check, too, unless the system kept it from being opened.
fn unopened(error: FleetError) -> Fault {
    let fault = told(error);
    if !says_refusal(&fault.message) {
        Fault { exit: Exit::Check, code: "store_not_opened".to_owned(), ..fault }
            .hint("a damaged store is moved aside at the next start, and what is whole is restored")
    } else {
        let message = format!("nothing was checked: {}", fault.message);
        Fault { exit: Exit::Failed, code: "not_checked".to_owned(), message, ..fault }
            .hint("this says nothing about the store: mend what the system refused, and try again")
    }
}

fn problems(found: &[StoreRow]) -> Vec<String> {
    let of = |row: &StoreRow| -> Vec<String> {
        row.problems.iter().map(|problem| format!("{}: {problem}", row.name())).collect()
    };
    found.iter().flat_map(of).collect()
}

/// Who holds the state directory.
pub enum Hold {
    /// Nobody else: it is ours until this is dropped.
    Ours(StateDir),
    /// Somebody else.
    Theirs(LockError),
}

/// Takes the state directory, if nobody runs on it.
pub fn hold(globals: &Globals) -> Result<Hold, Fault> {
    let dir = places::state_dir(globals)?;
    if !dir.exists() {
        let text = format!("there is no state directory {}: nothing has run on it yet", dir.display());
        return Err(Fault::new(Exit::Check, "no_state", text).hint("name another one with --state-dir"));
    }
    match StateDir::acquire(&dir) {
        Ok(lock) => Ok(Hold::Ours(lock)),
        Err(held @ LockError::Held { .. }) => Ok(Hold::Theirs(held)),
        Err(LockError::NotWritable { source, .. }) if source.kind() == std::io::ErrorKind::PermissionDenied => {
            let text = format!("this user may not use the state directory {}", dir.display());
            Err(Fault::new(Exit::NotAllowed, "not_allowed", text).hint("use the account that runs it, or root"))
        }
        Err(
            error @ (LockError::NotADirectory { .. }
            | LockError::Create { .. }
            | LockError::NotWritable { .. }
            | LockError::NoLocks { .. }),
        ) => Err(Fault::new(Exit::Failed, "state_dir", error.to_string())),
    }
}

/// Somebody runs on the state directory.
pub fn in_use(held: &LockError) -> Fault {
    Fault::new(Exit::Conflict, "state_dir_in_use", held.to_string())
}

/// Does it under the lock when nobody runs, else asks the supervisor that does; a document of `kind` either way.
pub fn either<T: Serialize>(
    globals: &Globals,
    kind: &str,
    route: (Method, &[&str]),
    ours: impl FnOnce(&StateDir) -> Result<Vec<T>, Fault>,
) -> Result<Value, Fault> {
    match hold(globals)? {
        Hold::Ours(lock) => Ok(document(kind, items_of(&bounded(&[&lock.store_dir()], || ours(&lock))?)?)),
        Hold::Theirs(held) => ask(globals, &held, route),
    }
}

/// Who holds the lock and does not answer is starting, stopping, or another command like this one.
fn ask(globals: &Globals, held: &LockError, (method, path): (Method, &[&str])) -> Result<Value, Fault> {
    let client = Client::new(globals)?;
    let answer = talk(async {
        if method == Method::GET {
            client.get(path, &[]).await
        } else {
            client.change(method, path, &ReasonBody::default()).await
        }
    });
    answer.map_err(|fault| match fault.exit {
        Exit::Unreachable => in_use(held).hint("it does not answer: does it start or stop just now? try again"),
        _ => fault,
    })
}

/// Rows as items of a document.
pub fn items_of<T: Serialize>(found: &[T]) -> Result<Vec<Value>, Fault> {
    let items = found.iter().map(serde_json::to_value).collect::<Result<_, _>>();
    items.map_err(|error| Fault::new(Exit::Failed, "internal", error.to_string()))
}

/// A failure of our own work: nobody stands between, so the cause is told as it is.
pub fn told(error: FleetError) -> Fault {
    match error {
        FleetError::Internal { text } => Fault::new(Exit::Failed, "internal", text),
        FleetError::Failed { text, code } => Fault::new(Exit::Failed, code, text),
        FleetError::UnknownInstance { .. }
        | FleetError::UnknownOrder { .. }
        | FleetError::Conflict { .. }
        | FleetError::Invalid { .. }
        | FleetError::Timeout { .. }
        | FleetError::KillNotStored { .. } => Problem::from(error).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::Cli;
    use clap::Parser;
    use std::path::Path;

    fn globals(dir: &Path) -> Globals {
        Cli::parse_from(["supervisor", "--state-dir", dir.to_str().unwrap(), "--timeout", "5s"]).globals
    }

    fn code(fault: Fault) -> (Exit, String) {
        (fault.exit, fault.code)
    }

    #[test]
    fn a_directory_that_is_not_there_is_not_made() {
        let root = tempfile::tempdir().unwrap();
        let dir = root.path().join("none");
        let fault = hold(&globals(&dir)).map(|_| ()).unwrap_err();
        assert_eq!(code(fault), (Exit::Check, "no_state".to_owned()));
        assert!(!dir.exists());
        std::fs::write(&dir, "x").unwrap();
        assert_eq!(code(hold(&globals(&dir)).map(|_| ()).unwrap_err()), (Exit::Failed, "state_dir".to_owned()));
    }

    #[test]
    fn the_work_is_ours_only_while_nobody_holds_the_lock() {
        let root = tempfile::tempdir().unwrap();
        let globals = globals(root.path());
        let route = || (Method::GET, &["store"] as &[&str]);
        let done = either(&globals, "store", route(), |_| Ok(vec![1])).unwrap();
        assert_eq!((&done["kind"], &done["items"][0]), (&"store".into(), &1.into()));
        let _lock = StateDir::acquire(root.path()).unwrap();
        let refused = either(&globals, "store", route(), |_| -> Result<Vec<u8>, Fault> { panic!("not ours") });
        let fault = refused.unwrap_err();
        assert!(fault.message.contains(&format!("process {}", std::process::id())), "{}", fault.message);
        assert_eq!(code(fault), (Exit::Conflict, "state_dir_in_use".to_owned()));
    }

    #[test]
    fn failures_of_our_own_work_are_told_as_they_are() {
        let text = || "disk gone".to_owned();
        let rows = [
            (FleetError::Internal { text: text() }, Exit::Failed),
            (FleetError::Failed { text: text(), code: "x" }, Exit::Failed),
            (FleetError::Conflict { text: text(), code: "x" }, Exit::Conflict),
            (FleetError::Invalid { problems: vec![text()] }, Exit::Check),
        ];
        for (error, exit) in rows {
            let fault = told(error.clone());
            assert_eq!((fault.exit, fault.message), (exit, text()));
            let damaged = unopened(error);
            assert_eq!((damaged.exit, damaged.message, damaged.hint.is_some()), (Exit::Check, text(), true));
        }
        let refused = unopened(FleetError::Internal { text: "no room (os error 28)".to_owned() });
        assert_eq!((refused.exit, refused.code.as_str()), (Exit::Failed, "not_checked"));
        assert!(!format!("{}{:?}", refused.message, refused.hint).contains("damage"), "{refused:?}");
    }

    #[test]
    fn problems_carry_the_name_of_their_bot() {
        let row = |instance: &str, problems: &[&str]| StoreRow {
            instance: instance.to_owned(),
            facts: 0,
            first: String::new(),
            last: String::new(),
            snapshots: 0,
            problems: problems.iter().map(|text| (*text).to_owned()).collect(),
        };
        let found = [row("a", &[]), row("b", &["one", "two"]), row("", &["three"])];
        assert_eq!(problems(&found), ["b: one", "b: two", "(store): three"]);
    }
}
