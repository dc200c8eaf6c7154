//! The verbs that talk to a running supervisor.

use std::os::unix::fs::PermissionsExt;

use super::{Place, Run};

/// A place whose grid runs in real time for as long as a test takes, after its first minutes.
pub(super) fn slow() -> Place {
    let place = Place::new();
    let file = std::fs::read_to_string(place.path("config/instances/grid.toml")).unwrap();
    place.put("grid.toml", &file.replace("speed = \"max\"", "speed = 600"));
    place
}

/// Asks until a bot has sent orders.
pub(super) fn until_trading(place: &Place) {
    while place.said(&["orders", "grid", "-o", "name"]).out.is_empty() {}
}

#[test]
fn a_run_is_looked_at_and_ends_gracefully_with_its_report() {
    let place = slow();
    let run = Run::start(&place, &[]);
    let socket = place.path("state/supervisor.sock");
    assert_eq!(std::fs::metadata(&socket).unwrap().permissions().mode() & 0o777, 0o600);
    until_trading(&place);
    let status = place.said(&["status", "-o", "json"]).json();
    assert_eq!((&status["kind"], &status["items"][0]["id"]), (&"instance".into(), &"grid".into()));
    assert!(status["items"][0]["equity"].is_string(), "money is a string");
    for verb in [
        &["status"] as &[&str],
        &["status", "grid"],
        &["list"],
        &["describe", "grid"],
        &["orders", "--history"],
        &["positions", "grid"],
        &["trades"],
        &["logs", "grid", "-n", "5"],
        &["errors"],
        &["explain", "grid"],
        &["risk", "grid"],
        &["report"],
        &["digest", "grid"],
        &["kill", "status"],
    ] {
        let seen = place.said(verb);
        assert_eq!(seen.code, 0, "{verb:?}: {}", seen.err);
        assert!(!seen.out.is_empty() && !seen.out.contains('\x1b'), "{verb:?}: {}", seen.out);
    }
    let order = place.said(&["orders", "-o", "name", "--limit", "1"]).out;
    assert!(place.said(&["explain", order.trim()]).out.contains("order.approved"));
    assert_eq!(place.said(&["status", "gird"]).code, 4);
    let (code, rest) = run.end();
    assert_eq!(code, 0, "{rest}");
    assert!(rest.contains("GRID PROFIT") && rest.contains("closing balances"), "{rest}");
    assert!(!socket.exists());
}

#[test]
fn a_second_run_on_one_state_directory_is_refused_with_8() {
    let place = slow();
    let run = Run::start(&place, &[]);
    until_trading(&place);
    let second = place.said(&["run"]);
    assert_eq!((second.code, second.out.as_str()), (8, ""));
    let pid = run.child.id();
    assert!(second.err.contains(&format!("process {pid}")), "{}", second.err);
    assert_eq!(place.said(&["status", "grid"]).code, 0, "the first one is not disturbed");
}

#[test]
fn bots_are_paused_stopped_started_added_and_removed() {
    let place = slow();
    let _run = Run::start(&place, &[]);
    until_trading(&place);
    let code = |verb: &[&str]| place.said(verb).code;
    assert_eq!(code(&["pause", "grid", "--reason", "lunch"]), 0);
    assert_eq!(code(&["status", "grid"]), 3);
    assert_eq!(code(&["resume", "grid", "nobody", "-q"]), 10);
    assert_eq!(code(&["status", "grid"]), 0);
    assert_eq!(code(&["stop", "grid", "--positions", "close-market"]), 6);
    assert_eq!(code(&["status", "grid"]), 0, "nothing was changed");
    assert_eq!(code(&["stop", "--all", "--dry-run"]), 0);
    assert_eq!(code(&["stop", "grid", "--positions", "close-market", "--yes"]), 0);
    assert_eq!(code(&["status", "grid"]), 3);
    assert_eq!((code(&["start", "grid", "--wait"]), code(&["start", "grid"])), (0, 0));
    let file = std::fs::read_to_string(place.path("config/instances/grid.toml")).unwrap();
    let path = place.path("mine.toml");
    std::fs::write(&path, file.replace("id = \"grid\"", "id = \"mine\"")).unwrap();
    let path = path.to_str().unwrap();
    assert_eq!(code(&["start", "--file", path, "--set", "strategy.levels=1"]), 3);
    assert_eq!(code(&["start", "--file", path, "--set", "strategy.levels=10", "--wait"]), 0);
    assert_eq!(place.said(&["list", "-o", "name"]).out, "grid\nmine\n");
    assert_eq!((code(&["remove-instance", "mine"]), code(&["describe", "mine"])), (0, 4));
}

#[test]
fn a_restart_that_its_file_does_not_allow_leaves_the_bot_running() {
    let place = slow();
    let _run = Run::start(&place, &[]);
    until_trading(&place);
    let file = std::fs::read_to_string(place.path("config/instances/grid.toml")).unwrap();
    place.put("grid.toml", &file.replace("levels = 20", "levels = 1"));
    let wrong = place.said(&["restart", "grid"]);
    assert_eq!(wrong.code, 3, "{}", wrong.err);
    place.put("grid.toml", &file);
    std::fs::rename(place.path("made.csv"), place.path("gone.csv")).unwrap();
    let missing = place.said(&["restart", "grid"]);
    assert!(missing.code == 3 && missing.err.contains("no such data file"), "{}", missing.err);
    assert_eq!(place.said(&["status", "grid"]).code, 0, "it was not stopped");
    std::fs::rename(place.path("gone.csv"), place.path("made.csv")).unwrap();
    assert_eq!(place.said(&["restart", "grid"]).code, 0);
}

#[test]
fn the_kill_switch_never_asks_and_needs_a_word_to_be_cleared() {
    let place = slow();
    let run = Run::start(&place, &[]);
    until_trading(&place);
    let killed = place.said(&["kill", "--reason", "outage", "-o", "json"]);
    assert_eq!(killed.code, 0, "{}", killed.err);
    assert_eq!(killed.json()["items"][0]["open_after"], 0);
    assert_eq!(place.said(&["kill", "clear"]).code, 6);
    let status = place.said(&["kill", "status", "-o", "json"]).json();
    assert_eq!((&status["items"][0]["on"], &status["items"][0]["reason"]), (&true.into(), &"outage".into()));
    assert!(status["items"][0]["by"].as_str().unwrap().starts_with("uid:"));
    assert_eq!(run.end().0, 0);
    let again = Run::start(&place, &[]);
    assert_eq!(place.said(&["kill", "status", "-o", "name"]).out, "ON\n", "it outlives the process");
    assert_eq!(place.said(&["kill", "clear", "--confirm", "RESUME"]).code, 0);
    assert_eq!(place.said(&["kill", "status", "-o", "name"]).out, "off\n");
    drop(again);
}
