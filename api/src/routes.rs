//! Every path under `/api/v1`: decode, ask the fleet, wrap the answer.
//!
//! Promises: nothing is decided here, and no route knows by which transport it was reached; a network door mounts the
//! same [`configure`]. Never: an answer without its envelope.

use actix_web::dev::HttpServiceFactory;
use actix_web::http::{Method, StatusCode};
use actix_web::middleware::from_fn;
use actix_web::web::{self, Bytes, Data, Path, PayloadConfig, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse, Resource, Route};
use serde::{Deserialize, Serialize};
use supervisor_actors::view::InstanceStatus;
use supervisor_actors::{Fleet, FleetError, NewInstance, StartOptions};

use crate::body::{FILE_BODY_MAX, json, query};
use crate::caller::Ask;
use crate::once::{Answers, once};
use crate::problem::{Problem, Wrong};
use crate::wire::{
    AddBody, CONFIRM_RESUME, ClearBody, Document, Health, LIMIT_MAX, ReasonBody, ResolveBody, StartBody, StopBody,
};

const LIMIT_DEFAULT: usize = 100;

type Answer = Result<HttpResponse, Problem>;

/// Mounts the routes. The caller wraps the application in [`crate::guard::guard`] and shares `answers` between workers.
pub fn configure(config: &mut ServiceConfig, fleet: Data<Fleet>, answers: Data<Answers>) {
    config
        .app_data(fleet)
        .app_data(answers)
        .app_data(PayloadConfig::new(FILE_BODY_MAX))
        .service(api())
        .default_service(web::to(no_such_route));
}

fn api() -> impl HttpServiceFactory {
    web::scope("/api/v1")
        .wrap(from_fn(once))
        .service(on("/health", "GET", [web::get().to(health)]))
        .service(on("/instances", "GET, POST", [web::get().to(list), web::post().to(add)]))
        .service(on("/instances/{id}", "GET, DELETE", [web::get().to(detail), web::delete().to(remove)]))
        .service(on("/instances/{id}/start", "POST", [web::post().to(start)]))
        .service(on("/instances/{id}/stop", "POST", [web::post().to(stop)]))
        .service(on("/instances/{id}/pause", "POST", [web::post().to(pause)]))
        .service(on("/instances/{id}/resume", "POST", [web::post().to(resume)]))
        .service(on("/instances/{id}/restart", "POST", [web::post().to(restart)]))
        .service(on("/instances/{id}/facts", "GET", [web::get().to(facts)]))
        .service(on("/instances/{id}/risk", "GET", [web::get().to(risk)]))
        .service(on("/instances/{id}/state", "GET", [web::get().to(state)]))
        .service(on("/orders", "GET", [web::get().to(orders)]))
        .service(on("/orders/{id}/resolve", "POST", [web::post().to(resolve)]))
        .service(on("/positions", "GET", [web::get().to(positions)]))
        .service(on("/trades", "GET", [web::get().to(trades)]))
        .service(on("/explain/{id}", "GET", [web::get().to(explain)]))
        .service(on(
            "/kill",
            "GET, POST, DELETE",
            [web::get().to(kill_status), web::post().to(kill), web::delete().to(kill_clear)],
        ))
        .service(on("/backups", "GET, POST", [web::get().to(backups), web::post().to(backup)]))
        .service(on("/store", "GET", [web::get().to(store)]))
        .service(on("/report", "GET", [web::get().to(report)]))
        .service(on("/errors", "GET", [web::get().to(errors)]))
        .default_service(web::to(no_such_route))
}

fn on(path: &str, methods: &'static str, routes: impl IntoIterator<Item = Route>) -> Resource {
    let resource = routes.into_iter().fold(web::resource(path), Resource::route);
    resource.default_service(web::to(move |method: Method| async move {
        let text = format!("{method} is not known here; allowed: {methods}");
        let problem = Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", text);
        Err::<HttpResponse, Problem>(Problem { allow: Some(methods), ..problem })
    }))
}

async fn no_such_route(req: HttpRequest) -> Answer {
    let text = format!("there is nothing at {} {}", req.method(), req.path());
    Err(Problem::new(StatusCode::NOT_FOUND, "no_such_route", text))
}

fn document<T: Serialize>(kind: &str, items: Vec<T>) -> Answer {
    Ok(HttpResponse::Ok().json(Document::new(kind, items)))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RowsQuery {
    instance: Option<String>,
    #[serde(default)]
    history: bool,
    limit: Option<usize>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct InstanceQuery {
    instance: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FactsQuery {
    after: Option<String>,
    limit: Option<usize>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LimitQuery {
    limit: Option<usize>,
}

fn limited(limit: Option<usize>) -> Result<usize, Problem> {
    let limit = limit.unwrap_or(LIMIT_DEFAULT);
    if (1..=LIMIT_MAX).contains(&limit) {
        return Ok(limit);
    }
    Err(Problem::bad_request("bad_query", format!("limit={limit}; allowed: 1 to {LIMIT_MAX}")))
}

async fn health(fleet: Data<Fleet>) -> Answer {
    let status = fleet.status().await?;
    let health = Health {
        status: "ok".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        pid: std::process::id(),
        epoch: status.epoch,
        up_ms: status.up_ms,
        instances: status.items.len() as u64,
        kill: status.kill.on,
    };
    document("health", vec![health])
}

async fn list(fleet: Data<Fleet>) -> Answer {
    let status = fleet.status().await?;
    let mut body = serde_json::to_value(Document::<InstanceStatus>::new("instance", status.items)).map_err(internal)?;
    body["kill"] = serde_json::to_value(status.kill).map_err(internal)?;
    body["epoch"] = status.epoch.into();
    body["up_ms"] = status.up_ms.into();
    Ok(HttpResponse::Ok().json(body))
}

fn internal(error: serde_json::Error) -> Problem {
    FleetError::Internal { text: error.to_string() }.into()
}

async fn detail(fleet: Data<Fleet>, id: Path<String>) -> Answer {
    document("instance_detail", vec![fleet.detail(&id).await?])
}

async fn add(fleet: Data<Fleet>, ask: Ask, req: HttpRequest, body: Bytes) -> Answer {
    let AddBody { toml, path, set, reason } = json(req.headers(), &body)?;
    if !path.is_absolute() {
        let mut problem = Problem::bad_request("bad_json", "path must be absolute");
        problem.errors.push(Wrong { pointer: "/path".to_owned(), message: "must be absolute".to_owned() });
        return Err(problem);
    }
    let change = fleet.add(NewInstance { toml, path, set }, ask.by(&reason)).await?;
    Ok(HttpResponse::Created().json(Document::new("change", vec![change])))
}

async fn start(fleet: Data<Fleet>, ask: Ask, id: Path<String>, req: HttpRequest, body: Bytes) -> Answer {
    let StartBody { set, fresh, reason } = json(req.headers(), &body)?;
    document("change", vec![fleet.start(&id, StartOptions { set, fresh }, ask.by(&reason)).await?])
}

async fn stop(fleet: Data<Fleet>, ask: Ask, id: Path<String>, req: HttpRequest, body: Bytes) -> Answer {
    let StopBody { on_stop, reason } = json(req.headers(), &body)?;
    document("change", vec![fleet.stop(&id, on_stop, ask.by(&reason)).await?])
}

fn reason(req: &HttpRequest, body: &[u8]) -> Result<String, Problem> {
    json::<ReasonBody>(req.headers(), body).map(|body| body.reason)
}

async fn pause(fleet: Data<Fleet>, ask: Ask, id: Path<String>, req: HttpRequest, body: Bytes) -> Answer {
    document("change", vec![fleet.pause(&id, ask.by(&reason(&req, &body)?)).await?])
}

async fn resume(fleet: Data<Fleet>, ask: Ask, id: Path<String>, req: HttpRequest, body: Bytes) -> Answer {
    document("change", vec![fleet.resume(&id, ask.by(&reason(&req, &body)?)).await?])
}

async fn restart(fleet: Data<Fleet>, ask: Ask, id: Path<String>, req: HttpRequest, body: Bytes) -> Answer {
    document("change", vec![fleet.restart(&id, ask.by(&reason(&req, &body)?)).await?])
}

async fn remove(fleet: Data<Fleet>, ask: Ask, id: Path<String>, req: HttpRequest, body: Bytes) -> Answer {
    document("change", vec![fleet.remove(&id, ask.by(&reason(&req, &body)?)).await?])
}

async fn facts(fleet: Data<Fleet>, id: Path<String>, req: HttpRequest) -> Answer {
    let FactsQuery { after, limit } = query(req.query_string())?;
    document("fact", fleet.facts(&id, after.as_deref(), limited(limit)?).await?)
}

async fn risk(fleet: Data<Fleet>, id: Path<String>) -> Answer {
    document("risk", fleet.risk(&id).await?)
}

async fn state(fleet: Data<Fleet>, id: Path<String>) -> Answer {
    document("state", vec![fleet.dump(&id).await?])
}

async fn backups(fleet: Data<Fleet>) -> Answer {
    document("backup", fleet.backups().await?)
}

async fn backup(fleet: Data<Fleet>, ask: Ask, req: HttpRequest, body: Bytes) -> Answer {
    let written = fleet.backup(ask.by(&reason(&req, &body)?)).await?;
    Ok(HttpResponse::Created().json(Document::new("backup", vec![written])))
}

async fn store(fleet: Data<Fleet>) -> Answer {
    document("store", fleet.verify_store().await?)
}

async fn orders(fleet: Data<Fleet>, req: HttpRequest) -> Answer {
    let RowsQuery { instance, history, limit } = query(req.query_string())?;
    document("order", fleet.orders(instance.as_deref(), history, limited(limit)?).await?)
}

async fn resolve(fleet: Data<Fleet>, ask: Ask, id: Path<String>, req: HttpRequest, body: Bytes) -> Answer {
    let ResolveBody { outcome, reason } = json(req.headers(), &body)?;
    document("change", vec![fleet.resolve_order(&id, outcome, ask.by(&reason)).await?])
}

async fn positions(fleet: Data<Fleet>, req: HttpRequest) -> Answer {
    let InstanceQuery { instance } = query(req.query_string())?;
    document("position", fleet.positions(instance.as_deref()).await?)
}

async fn trades(fleet: Data<Fleet>, req: HttpRequest) -> Answer {
    let RowsQuery { instance, history: _, limit } = query(req.query_string())?;
    document("trade", fleet.trades(instance.as_deref(), limited(limit)?).await?)
}

async fn explain(fleet: Data<Fleet>, id: Path<String>, req: HttpRequest) -> Answer {
    let LimitQuery { limit } = query(req.query_string())?;
    document("fact", fleet.explain(&id, limited(limit)?).await?)
}

async fn kill_status(fleet: Data<Fleet>) -> Answer {
    document("kill_status", vec![fleet.kill_status().await?])
}

async fn kill(fleet: Data<Fleet>, ask: Ask, req: HttpRequest, body: Bytes) -> Answer {
    document("kill", vec![fleet.kill(ask.by(&reason(&req, &body)?)).await?])
}

async fn kill_clear(fleet: Data<Fleet>, ask: Ask, req: HttpRequest, body: Bytes) -> Answer {
    let ClearBody { confirm, reason } = json(req.headers(), &body)?;
    if confirm != CONFIRM_RESUME {
        let text = format!("clearing the kill switch needs {{\"confirm\":\"{CONFIRM_RESUME}\"}}");
        return Err(Problem::bad_request("confirmation_needed", text));
    }
    document("kill_status", vec![fleet.kill_clear(ask.by(&reason)).await?])
}

async fn report(fleet: Data<Fleet>) -> Answer {
    let mut report = fleet.report().await?;
    let items = report.get_mut("items").map(serde_json::Value::take);
    let items = items.and_then(|items| serde_json::from_value::<Vec<serde_json::Value>>(items).ok());
    document("report", items.unwrap_or_default())
}

async fn errors(fleet: Data<Fleet>, req: HttpRequest) -> Answer {
    let LimitQuery { limit } = query(req.query_string())?;
    document("alert", fleet.errors(limited(limit)?).await?)
}
