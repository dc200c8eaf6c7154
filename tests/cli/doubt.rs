//! A venue that loses messages, and an account whose bots must not trade with each other, seen from the command line.

use serde_json::Value;

use super::running::{slow, until_trading};
use super::{Place, Run};

/// A grid of which every fourth message gets lost, thirty times as fast as the market.
fn losing() -> Place {
    let place = Place::new();
    let file = std::fs::read_to_string(place.path("config/instances/grid.toml")).unwrap();
    let file = file.replace("speed = \"max\"", "speed = 30");
    place.put("grid.toml", &format!("{file}[venue_model]\nlost_requests_pct = 25\nlost_answers_pct = 25\n"));
    place
}

fn items(place: &Place, verb: &[&str]) -> Vec<Value> {
    let said = place.said(verb);
    assert_eq!(said.code, 0, "{verb:?}: {}", said.err);
    said.json()["items"].as_array().unwrap().clone()
}

fn certainty(place: &Place) -> Value {
    items(place, &["status", "-o", "json"])[0]["certainty"].clone()
}

/// Asks until the bot's journal has such an event.
fn until_event(place: &Place, bot: &str, event: &str) {
    let has = || items(place, &["logs", bot, "-n", "10000", "-o", "json"]).iter().any(|fact| fact["event"] == event);
    while !has() {}
}

#[test]
fn doubt_is_seen_survives_a_kill_and_is_found_out() {
    let place = losing();
    let run = Run::start(&place, &[]);
    until_trading(&place);
    while certainty(&place)["in_doubt"].as_u64() == Some(0) {}
    until_event(&place, "grid", "order.in_doubt");
    let alerts = items(&place, &["errors", "-o", "json"]);
    assert!(alerts.iter().any(|alert| alert["code"] == "order.in_doubt" && alert["severity"] == "warning"));
    drop(run);
    let run = Run::start(&place, &[]);
    until_event(&place, "grid", "order.reconciled");
    let seen = certainty(&place);
    assert!(seen["reconciled"].as_str().unwrap().ends_with('Z'), "{seen}");
    assert_eq!((&seen["disputed"], &seen["differences"]), (&0.into(), &Value::Array(Vec::new())));
    assert!(seen["held"].as_str().unwrap().parse::<f64>().unwrap() > 0.0, "{seen}");
    let described = place.said(&["describe", "grid"]).out;
    for line in ["\nreconciliation\n", "  in doubt      ", "  reconciled    20", "  differences   none\n"] {
        assert!(described.contains(line), "{line}: {described}");
    }
    let alerts = items(&place, &["errors", "-o", "json"]);
    let bad = ["state.diverged", "account.differs", "order.disputed", "order.late_fill", "order.reopened"];
    let found = alerts.iter().find(|alert| bad.iter().any(|code| alert["code"] == *code));
    assert!(found.is_none(), "{found:?}");
    assert_eq!(run.end().0, 0);
}

#[test]
fn an_order_that_is_not_disputed_is_not_resolved() {
    let place = slow();
    let _run = Run::start(&place, &[]);
    until_trading(&place);
    let order = place.said(&["orders", "-o", "name", "--limit", "1"]).out;
    let resolve = |id: &str, outcome: &str, reason: &str| {
        place.said(&["resolve-order", id, "--as", outcome, "--reason", reason, "-o", "json"])
    };
    let refused = resolve(order.trim(), "filled", "looked at it");
    assert_eq!((refused.code, refused.error()["code"].as_str()), (8, Some("not_disputed")), "{}", refused.err);
    assert_eq!(resolve("grid-1-99999", "filled", "x").error()["code"], "unknown_order");
    assert_eq!(resolve("grid-9-1", "filled", "x").code, 4, "an earlier life");
    assert_eq!((resolve("nobody-1-1", "filled", "x").code, resolve("seven", "filled", "x").code), (4, 4));
    assert_eq!((resolve(order.trim(), "filled", " ").code, resolve(order.trim(), "open", "x").code), (3, 2));
    assert_eq!(place.said(&["stop", "grid"]).code, 0);
    let stopped = resolve(order.trim(), "filled", "x");
    assert_eq!((stopped.code, stopped.error()["code"].as_str()), (8, Some("wrong_state")), "{}", stopped.err);
}

#[test]
fn two_bots_of_one_account_do_not_meet_when_it_denies_that() {
    let place = slow();
    let accounts = "[accounts.paper]\nvenue = \"paper\"\nbalances = { USDT = 1000000 }\ncrossing = \"deny\"\n";
    std::fs::write(place.path("config/supervisor.toml"), accounts).unwrap();
    let file = std::fs::read_to_string(place.path("config/instances/grid.toml")).unwrap();
    place.put("other.toml", &file.replace("id = \"grid\"", "id = \"other\"\nautostart = false"));
    let run = Run::start(&place, &[]);
    let sells = || items(&place, &["orders", "grid", "-o", "json"]).iter().any(|order| order["side"] == "sell");
    while !sells() {}
    assert_eq!(place.said(&["start", "other", "--wait"]).code, 0);
    until_event(&place, "other", "order.crossed");
    let log = place.said(&["logs", "other", "-n", "10000", "--grep", "order.crossed"]).out;
    assert!(log.contains("not sent: it would trade with our own order grid-1-"), "{log}");
    drop(run);
    let _run = Run::start(&place, &[]);
    while items(&place, &["status", "-o", "json"]).iter().any(|row| row["state"] == "starting") {}
    for row in items(&place, &["status", "-o", "json"]) {
        assert_eq!(row["state"], "running", "{row}");
    }
    let diverged = items(&place, &["errors", "-o", "json"]).into_iter().find(|alert| alert["code"] == "state.diverged");
    assert_eq!(diverged, None, "what was kept back is kept back again");
}
