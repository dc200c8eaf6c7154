//! The door itself, spoken to by hand.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;

use serde_json::Value;

use super::{Place, Run};

struct Answer {
    status: u16,
    head: String,
    body: Value,
}

fn ask(place: &Place, line: &str, headers: &[&str], body: &str) -> Answer {
    let mut stream = UnixStream::connect(place.path("state/supervisor.sock")).unwrap();
    let headers: String = headers.iter().map(|header| format!("{header}\r\n")).collect();
    let length = body.len();
    write!(
        stream,
        "{line} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{headers}content-length: {length}\r\n\r\n{body}"
    )
    .unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Answer { status, head: head.to_lowercase(), body: serde_json::from_str(body).unwrap() }
}

const JSON: &str = "content-type: application/json";

#[test]
fn every_refusal_has_the_one_shape() {
    let place = Place::new();
    let _run = Run::start(&place, &[]);
    let key = "idempotency-key: k";
    let long = format!("{{\"reason\":\"{}\"}}", "x".repeat(70_000));
    let rows: [(&str, &[&str], &str, u16, &str); 10] = [
        ("GET /", &[], "", 404, "no_such_route"),
        ("GET /api/v1/nothing", &[], "", 404, "no_such_route"),
        ("GET /api/v1/instances/grid/pause", &[], "", 405, "method_not_allowed"),
        ("GET /api/v1/instances/gird", &[], "", 404, "unknown_instance"),
        ("GET /api/v1/orders?limit=0", &[], "", 400, "bad_query"),
        ("GET /api/v1/orders?colour=red", &[], "", 400, "bad_query"),
        ("POST /api/v1/instances/grid/pause", &[JSON], "{}", 400, "key_missing"),
        ("POST /api/v1/instances/grid/pause", &[JSON, key], "{\"reson\":1}", 400, "bad_json"),
        ("POST /api/v1/kill", &["content-type: text/plain", "idempotency-key: t"], "x", 415, "not_json"),
        ("POST /api/v1/kill", &[JSON, "idempotency-key: l"], &long, 413, "body_too_large"),
    ];
    for (line, headers, body, status, code) in rows {
        let answer = ask(&place, line, headers, body);
        assert_eq!((answer.status, answer.body["code"].as_str()), (status, Some(code)), "{line}");
        assert_eq!(answer.body["status"], status);
        for header in ["application/problem+json", "cache-control: no-store", "x-content-type-options: nosniff"] {
            assert!(answer.head.contains(header), "{line}: {}", answer.head);
        }
        let request = answer.body["request_id"].as_str().unwrap();
        assert!(!request.is_empty() && answer.head.contains(&format!("x-request-id: {request}")), "{line}");
    }
    let allowed = ask(&place, "GET /api/v1/instances/grid/pause", &[], "").head;
    assert!(allowed.contains("allow: post"), "{allowed}");
    assert_eq!(ask(&place, "GET /api/v1/kill", &[], "").body["items"][0]["on"], false, "nothing was changed");
}

#[test]
fn a_repeated_key_changes_nothing_again() {
    let place = Place::new();
    let _run = Run::start(&place, &[]);
    let kill = |key: &str, reason: &str| {
        let body = format!("{{\"reason\":\"{reason}\"}}");
        ask(&place, "POST /api/v1/kill", &[JSON, &format!("idempotency-key: {key}")], &body)
    };
    let first = kill("a", "one");
    assert_eq!(first.status, 200);
    let clear = "{\"confirm\":\"RESUME\"}";
    assert_eq!(ask(&place, "DELETE /api/v1/kill", &[JSON, "idempotency-key: b"], clear).status, 200);
    let again = kill("a", "one");
    assert_eq!((again.status, &again.body), (200, &first.body));
    assert!(again.head.contains("idempotent-replayed: true"), "{}", again.head);
    assert_eq!(kill("a", "two").body["code"], "key_reused");
    assert_eq!(ask(&place, "GET /api/v1/kill", &[], "").body["items"][0]["on"], false);
}
