//! What a bot has and what it keeps when the process, or the bot alone, is started again.

use serde_json::Value;

use super::{Place, Run};

/// A place whose grid runs in real time for as long as a test takes, after its first minutes.
fn slow() -> Place {
    let place = Place::new();
    let file = std::fs::read_to_string(place.path("config/instances/grid.toml")).unwrap();
    place.put("grid.toml", &file.replace("speed = \"max\"", "speed = 600"));
    place
}

fn until_trading(place: &Place) {
    while place.said(&["orders", "grid", "-o", "name"]).out.is_empty() {}
}

fn alerts(place: &Place) -> Vec<(String, String)> {
    let items = place.said(&["errors", "-o", "json"]).json()["items"].take();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    items.as_array().unwrap().iter().map(|row| (text(&row["code"]), text(&row["text"]))).collect()
}

#[test]
fn signals_in_a_row_are_one_wish_and_a_closed_terminal_is_one_too() {
    let place = slow();
    for line in ["kill -INT $0; kill -INT $0 2>/dev/null || true", "kill -HUP $0"] {
        let run = Run::start(&place, &[]);
        until_trading(&place);
        let (code, rest) = run.end_by(line);
        assert_eq!(code, 0, "{line}: {rest}");
        assert!(rest.contains("closing balances"), "{line}: {rest}");
    }
    let run = Run::start(&place, &[]);
    assert_eq!(alerts(&place), [], "it goes on where it stopped");
    drop(run);
}

#[test]
fn a_bot_with_other_prices_does_not_start_until_it_may_forget_what_it_has() {
    let place = slow();
    let run = Run::start(&place, &[]);
    until_trading(&place);
    assert_eq!(run.end().0, 0);
    std::fs::copy(place.path("made.csv"), place.path("other.csv")).unwrap();
    let file = std::fs::read_to_string(place.path("config/instances/grid.toml")).unwrap();
    place.put("grid.toml", &file.replace("speed = 600", "speed = 1200"));
    let run = Run::start(&place, &[]);
    until_trading(&place);
    assert_eq!(alerts(&place), [], "another pace is no other price");
    assert_eq!(run.end().0, 0);
    place.put("grid.toml", &file.replace("made.csv", "other.csv"));
    let run = Run::start(&place, &[]);
    while place.said(&["status", "grid", "-o", "json"]).json()["items"][0]["state"] != "quarantined" {}
    let told = alerts(&place);
    assert!(told[0].0 == "state.unfit" && told[0].1.contains("other.csv") && told[0].1.contains("--fresh"), "{told:?}");
    assert_eq!(place.said(&["start", "grid", "--fresh", "--no-input"]).code, 6, "it asks first");
    assert_eq!(place.said(&["start", "grid", "--fresh", "--yes"]).code, 0);
    until_trading(&place);
    let order = place.said(&["orders", "grid", "-o", "name"]).out;
    assert!(order.starts_with("grid-2-"), "the second life of this bot: {order}");
    drop(run);
}

#[test]
fn a_stopped_bot_shows_what_it_has_also_in_the_next_run() {
    let place = Place::new();
    place.put("idle.toml", &std::fs::read_to_string(place.path("config/instances/grid.toml")).unwrap());
    let file = std::fs::read_to_string(place.path("config/instances/idle.toml")).unwrap();
    place.put("idle.toml", &file.replace("id = \"grid\"", "id = \"idle\"\nautostart = false"));
    let before = place.said(&["run", "--until-end", "--only", "grid", "-o", "json"]).json();
    let run = Run::start(&place, &["--only", "idle"]);
    let now = place.said(&["digest", "grid", "-o", "name"]);
    assert_eq!(now.out.trim(), before["items"][0]["digest"].as_str().unwrap(), "{}", now.err);
    let status = place.said(&["status", "grid", "-o", "json"]).json();
    assert_eq!(
        (&status["items"][0]["state"], &status["items"][0]["fills"]),
        (&"stopped".into(), &before["items"][0]["fills"])
    );
    assert_eq!(status["items"][0]["equity"], before["items"][0]["equity"]);
    let trades = place.said(&["trades", "grid", "-o", "json", "--limit", "10000"]).json();
    assert_eq!(trades["items"].as_array().unwrap().len() as u64, before["items"][0]["fills"].as_u64().unwrap());
    let (code, rest) = run.end();
    assert!(code == 0 && !rest.contains("\n  grid  "), "the report is about those that ran: {rest}");
    let run = Run::start(&place, &["--only", "grid"]);
    let idle = place.said(&["digest", "nobody"]);
    assert_eq!(idle.code, 4, "{}", idle.err);
    drop(run);
}

#[test]
fn a_setting_is_never_lost_silently() {
    let place = slow();
    let run = Run::start(&place, &[]);
    until_trading(&place);
    let refused = place.said(&["start", "grid", "--set", "strategy.levels=5"]);
    assert_eq!(refused.code, 8, "{}", refused.err);
    let file = std::fs::read_to_string(place.path("config/instances/grid.toml")).unwrap();
    let path = place.path("mine.toml");
    std::fs::write(&path, file.replace("id = \"grid\"", "id = \"mine\"")).unwrap();
    let path = path.to_str().unwrap();
    assert_eq!(place.said(&["start", "--file", path, "--set", "risk.dry_run=true"]).code, 0);
    assert_eq!(place.said(&["stop", "mine"]).code, 0);
    assert_eq!(place.said(&["start", "mine", "--set", "strategy.levels=5"]).code, 0);
    let risk = place.said(&["risk", "mine", "-o", "json"]).json();
    let rule = risk["items"].as_array().unwrap().iter().find(|row| row["rule"] == "dry_run").unwrap().clone();
    assert_eq!(rule["limit"], "on: nothing is sent", "the first setting still holds");
    let detail = place.said(&["describe", "mine", "-o", "json"]).json();
    assert_eq!(detail["items"][0]["config"]["strategy.levels"], "5");
    drop(run);
}

#[test]
fn the_first_kill_is_the_one_that_is_told() {
    let place = slow();
    let run = Run::start(&place, &[]);
    until_trading(&place);
    let first = place.said(&["kill", "--reason", "outage", "-o", "json"]).json()["items"][0]["kill"].take();
    let second = place.said(&["kill", "--reason", "again", "-o", "json"]).json()["items"][0]["kill"].take();
    assert_eq!((&first, &first["reason"]), (&second, &"outage".into()));
    assert_eq!(run.end().0, 0);
    let run = Run::start(&place, &[]);
    let told = alerts(&place);
    assert!(told.iter().any(|(code, text)| code == "kill_switch" && text.contains("kill switch ON since")), "{told:?}");
    drop(run);
}

#[test]
fn a_removed_bot_says_that_its_file_brings_it_back() {
    let place = slow();
    let run = Run::start(&place, &[]);
    until_trading(&place);
    let removed = place.said(&["remove-instance", "grid"]).out;
    assert!(removed.contains("grid.toml is there, the next run will read it"), "{removed}");
    drop(run);
}
