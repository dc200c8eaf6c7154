use std::sync::atomic::{AtomicUsize, Ordering};

use actix_web::middleware::from_fn;
use actix_web::web::{self, ServiceConfig};
use reqwest::{Client, RequestBuilder, Response};
use serde_json::Value;
use tokio::sync::{Notify, Semaphore};

use super::*;
use crate::door::{ServerHandle, open};

/// Counts effects; `slow` waits for a permit after it has said that it was reached.
struct Calls {
    count: AtomicUsize,
    reached: Notify,
    permits: Semaphore,
}

async fn quick(calls: Data<Calls>) -> Result<HttpResponse, Problem> {
    Ok(HttpResponse::Ok().json(calls.count.fetch_add(1, Ordering::Relaxed) + 1))
}

async fn slow(calls: Data<Calls>) -> Result<HttpResponse, Problem> {
    calls.reached.notify_one();
    calls.permits.acquire().await.map_err(|_| Problem::internal())?.forget();
    quick(calls).await
}

async fn refuse(calls: Data<Calls>) -> Result<HttpResponse, Problem> {
    calls.count.fetch_add(1, Ordering::Relaxed);
    Err(Problem::new(StatusCode::CONFLICT, "wrong_state", "no"))
}

async fn fall(calls: Data<Calls>) -> Result<HttpResponse, Problem> {
    calls.count.fetch_add(1, Ordering::Relaxed);
    panic!("planted")
}

fn routes(config: &mut ServiceConfig, calls: Data<Calls>, answers: Data<Answers>) {
    let scope = web::scope("/api").wrap(from_fn(once)).route("/quick", web::to(quick)).route("/slow", web::to(slow));
    let scope = scope.route("/refuse", web::to(refuse)).route("/fall", web::to(fall));
    config.app_data(calls).app_data(answers).service(scope);
}

struct Bench {
    calls: Data<Calls>,
    client: Client,
    server: ServerHandle,
    _dir: tempfile::TempDir,
}

impl Bench {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let socket = dir.path().join("x.sock");
        let calls = Calls { count: AtomicUsize::new(0), reached: Notify::new(), permits: Semaphore::new(0) };
        let (calls, answers) = (Data::new(calls), Data::new(Answers::default()));
        let shared = calls.clone();
        let server = open(&socket, move |config| routes(config, shared.clone(), answers.clone())).unwrap();
        let client = Client::builder().unix_socket(socket.as_path()).build().unwrap();
        Self { calls, client, server, _dir: dir }
    }

    fn post(&self, path: &str, key: &str, body: &'static str) -> RequestBuilder {
        self.client.post(format!("http://localhost/api/{path}")).header(KEY, key).body(body)
    }

    async fn send(&self, path: &str, key: &str, body: &'static str) -> (u16, Value) {
        read(self.post(path, key, body).send().await.unwrap()).await
    }

    fn count(&self) -> usize {
        self.calls.count.load(Ordering::Relaxed)
    }
}

async fn read(response: Response) -> (u16, Value) {
    (response.status().as_u16(), response.json().await.unwrap())
}

#[actix_web::test]
async fn the_same_request_has_one_effect_and_one_answer() {
    let bench = Bench::new();
    assert_eq!(bench.send("quick", "a", "x").await, (200, Value::from(1)));
    let again = bench.post("quick", "a", "x").send().await.unwrap();
    assert_eq!(again.headers()[REPLAYED.as_str()], "true");
    assert_eq!(read(again).await, (200, Value::from(1)));
    assert_eq!(bench.send("quick", "b", "x").await, (200, Value::from(2)));
    bench.server.stop().await;
}

#[actix_web::test]
async fn refusals_are_kept_with_their_request_id() {
    let bench = Bench::new();
    let (status, first) = bench.send("refuse", "a", "").await;
    assert_eq!((status, &first["code"]), (409, &Value::from("wrong_state")));
    assert_eq!(bench.send("refuse", "a", "").await, (409, first));
    assert_eq!(bench.count(), 1);
}

#[actix_web::test]
async fn another_request_with_the_same_key_is_refused() {
    let bench = Bench::new();
    bench.send("quick", "a", "x").await;
    for (path, body) in [("quick", "y"), ("quick?x=1", "x"), ("refuse", "x")] {
        let (status, problem) = bench.send(path, "a", body).await;
        assert_eq!((status, &problem["code"]), (422, &Value::from("key_reused")));
    }
    assert_eq!(bench.count(), 1);
}

#[actix_web::test]
async fn a_key_is_needed_to_change_and_not_to_read() {
    let bench = Bench::new();
    let missing = bench.client.post("http://localhost/api/quick").send().await.unwrap();
    let (status, problem) = read(missing).await;
    assert_eq!((status, &problem["code"]), (400, &Value::from("key_missing")));
    let long = "k".repeat(201);
    for key in ["", "a b", long.as_str()] {
        assert_eq!(bench.send("quick", key, "").await.0, 400, "{key}");
    }
    assert_eq!(bench.count(), 0);
    let read_only = bench.client.get("http://localhost/api/quick").send().await.unwrap();
    assert_eq!(read(read_only).await, (200, Value::from(1)));
}

#[actix_web::test]
async fn duplicates_in_flight_wait_for_the_first() {
    let bench = Bench::new();
    let first = tokio::spawn(bench.post("slow", "a", "").send());
    bench.calls.reached.notified().await;
    let second = tokio::spawn(bench.post("slow", "a", "").send());
    // The third is refused at once, so the second has been seen before the gate opens or waits for nothing.
    assert_eq!(bench.send("slow", "a", "other").await.0, 422);
    bench.calls.permits.add_permits(2);
    let (first, second) = (first.await.unwrap().unwrap(), second.await.unwrap().unwrap());
    assert_eq!((read(first).await, read(second).await), ((200, Value::from(1)), (200, Value::from(1))));
    assert_eq!(bench.count(), 1);
}

#[actix_web::test]
async fn a_change_whose_caller_left_goes_on_and_is_remembered() {
    let bench = Bench::new();
    let first = tokio::spawn(bench.post("slow", "a", "").send());
    bench.calls.reached.notified().await;
    first.abort();
    assert!(first.await.is_err());
    bench.calls.permits.add_permits(2);
    assert_eq!(bench.send("slow", "a", "").await, (200, Value::from(1)));
    assert_eq!(bench.count(), 1);
}

#[actix_web::test]
async fn a_panic_is_a_500_without_its_text_and_is_not_tried_again() {
    let bench = Bench::new();
    for _ in 0..2 {
        let (status, problem) = bench.send("fall", "a", "").await;
        assert_eq!((status, &problem["code"]), (500, &Value::from("internal")));
        assert!(!problem.to_string().contains("planted"));
    }
    assert_eq!(bench.count(), 1);
}

#[actix_web::test]
async fn a_body_over_the_limit_is_refused() {
    let bench = Bench::new();
    let long = bench.post("quick", "a", "").body(vec![b'x'; BODY_MAX + 1]).send().await.unwrap();
    let (status, problem) = read(long).await;
    assert_eq!((status, &problem["code"]), (413, &Value::from("body_too_large")));
    let fits = bench.post("quick", "a", "").body(vec![b'x'; BODY_MAX]).send().await.unwrap();
    assert_eq!(fits.status(), 200);
}

fn answered() -> Arc<Answer> {
    Arc::new(Answer { status: StatusCode::OK, media: None, request: None, body: Bytes::new() })
}

fn first(answers: &Answers, key: &str, now: Instant) -> watch::Sender<Option<Arc<Answer>>> {
    match answers.turn(key.to_owned(), [0; 32], now).unwrap() {
        Turn::First(sender) => sender,
        Turn::Again(_) => panic!("{key} is known"),
    }
}

#[test]
fn the_memory_is_bounded_in_number_and_age() {
    let (answers, start) = (Answers::default(), Instant::now());
    let under_way = first(&answers, "under way", start);
    for n in 0..ANSWERS_MAX + 5 {
        first(&answers, &n.to_string(), start).send_replace(Some(answered()));
    }
    let len = |answers: &Answers| answers.entries.lock().unwrap().by_key.len();
    assert_eq!(len(&answers), ANSWERS_MAX);
    let known = |key: &str, now| matches!(answers.turn(key.to_owned(), [0; 32], now), Ok(Turn::Again(_)));
    assert!(known("under way", start) && known("100", start), "the oldest answered ones go first");
    let later = start + ANSWER_AGE_MAX;
    first(&answers, "0", later).send_replace(Some(answered()));
    assert_eq!(len(&answers), 2, "what is under way stays");
    drop(under_way);
    first(&answers, "1", later).send_replace(Some(answered()));
    assert_eq!(answers.entries.lock().unwrap().order.len(), 2);
}

#[test]
fn too_many_under_way_are_refused() {
    let (answers, now) = (Answers::default(), Instant::now());
    let _held: Vec<_> = (0..ANSWERS_MAX).map(|n| first(&answers, &n.to_string(), now)).collect();
    let refused = answers.turn("one more".into(), [0; 32], now);
    assert!(matches!(refused, Err(problem) if problem.status == 503));
}
