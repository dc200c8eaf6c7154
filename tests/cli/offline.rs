//! What works without a running supervisor, and how a run of a recording ends.

use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use super::{Place, Said, said};

#[test]
fn usage_errors_are_2_and_suggest() {
    let typo = said(&["statsu"]);
    assert_eq!((typo.code, typo.out.as_str()), (2, ""));
    assert!(typo.err.contains("'status'"), "{}", typo.err);
    assert_eq!(said(&["stop-instance"]).code, 2);
    let long = said(&["status", "--state-dir", &format!("/{}", "x".repeat(120))]);
    assert_eq!(long.code, 2);
    assert!(long.err.contains("has 137 bytes, the system allows 107"), "{}", long.err);
}

#[test]
fn a_usage_error_is_json_where_json_is_wanted() {
    let seen = said(&["statsu", "-o", "json"]);
    assert_eq!((seen.code, seen.out.as_str()), (2, ""));
    assert_eq!(seen.error()["code"], "usage");
}

#[test]
fn nobody_there_is_5_and_names_the_command() {
    let place = Place::new();
    let human = place.said(&["status"]);
    assert_eq!((human.code, human.out.as_str()), (5, ""));
    assert!(human.err.contains("start one: supervisor run --state-dir "), "{}", human.err);
    let program = place.said(&["kill", "-o", "json"]);
    assert_eq!((program.code, program.error()["code"].as_str()), (5, Some("unreachable")));
}

#[test]
fn validate_tells_everything_at_once_with_3() {
    let place = Place::new();
    assert_eq!(place.said(&["config", "validate", "-o", "name"]).out, "grid\n");
    place.put("bad.toml", "id = \"bad\"\ncapitel = 3\n[capital]\nquote = -5\n[strategy]\nkind = \"gird\"\n");
    let bad = place.said(&["config", "validate"]);
    assert_eq!((bad.code, bad.out.as_str()), (3, ""));
    for part in ["capitel", "capital.quote", "-5", "gird", "timeframe", "bad.toml"] {
        assert!(bad.err.contains(part), "{part} in {}", bad.err);
    }
    assert_eq!(place.said(&["run"]).code, 3);
    assert!(!place.path("state").exists(), "nothing is touched before the configuration is whole");
}

#[test]
fn run_and_backtest_agree_and_standard_output_is_one_document() {
    let place = Place::new();
    let run = place.said(&["run", "--until-end", "-o", "json"]);
    assert_eq!(run.code, 0, "{}", run.err);
    let (run, backtest) = (run.json(), place.said(&["backtest", "--instance", "grid", "-o", "json"]).json());
    assert_eq!((&run["kind"], &run["api_version"]), (&"report".into(), &"v1".into()));
    assert_eq!(run["items"], backtest["items"]);
    assert!(run["items"][0]["fills"].as_u64().unwrap() > 0 && run["items"][0]["fees"].is_string());
    let set = place.said(&["backtest", "--instance", "grid", "--set", "strategy.levels=10", "-o", "json"]).json();
    assert_ne!(set["items"][0]["digest"], run["items"][0]["digest"]);
    let exported = place.said(&["export", "logs", "--out", "-", "-q"]);
    let fills = exported.out.lines().filter(|line| line.contains(r#""event":"order.fill""#)).count();
    assert_eq!(Some(fills as u64), run["items"][0]["fills"].as_u64(), "the log has every fill");
}

#[test]
fn damaged_data_is_told_with_its_line_and_the_others_go_on() {
    let place = Place::new();
    let data = std::fs::read_to_string(place.path("made.csv")).unwrap();
    let (head, tail) = data.split_at(data.len() / 2);
    std::fs::write(place.path("bad.csv"), format!("{head}\nnonsense\n{tail}")).unwrap();
    let good = std::fs::read_to_string(place.path("config/instances/grid.toml")).unwrap();
    place.put("worse.toml", &good.replace("made.csv", "bad.csv").replace("\"grid\"\nname", "\"worse\"\nname"));
    let run = place.said(&["run", "--until-end", "-o", "json"]);
    assert_eq!(run.code, 10, "{}", run.err);
    assert!(run.err.contains("bad.csv: line "), "{}", run.err);
    assert_eq!(run.json()["items"].as_array().unwrap().len(), 1);
    assert_eq!(place.said(&["backtest", "--instance", "worse"]).code, 3);
}

#[test]
fn unknown_bots_are_4_and_endless_markets_are_refused() {
    let place = Place::new();
    for verb in [["backtest", "--instance", "gird"], ["run", "--only", "gird"]] {
        let unknown = place.said(&verb);
        assert_eq!(unknown.code, 4);
        assert!(unknown.err.contains("did you mean 'grid'?"), "{}", unknown.err);
    }
    let endless = said(&["backtest", "--instance", "grid-btc"]);
    assert_eq!(endless.code, 3);
    assert!(endless.err.contains("--set feed.candles="), "{}", endless.err);
}

#[test]
fn a_reader_that_leaves_is_no_error() {
    let mut shell = Command::new("sh");
    shell.arg("-c").arg("\"$0\" digest --explain; echo \"code $?\" >&2").arg(env!("CARGO_BIN_EXE_supervisor"));
    shell.arg0("sh").stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = shell.spawn().unwrap();
    drop(child.stdout.take());
    assert_eq!(Said::of(child.wait_with_output().unwrap()).err, "code 0\n");
}

#[test]
fn digest_explain_lists_what_is_covered() {
    let covered = said(&["digest", "--explain", "-o", "json"]).json();
    let parts: Vec<&str> =
        covered["items"].as_array().unwrap().iter().filter_map(|item| item["part"].as_str()).collect();
    assert!(parts.contains(&"strategy") && parts.contains(&"not covered"), "{parts:?}");
}
