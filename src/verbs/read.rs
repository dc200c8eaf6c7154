//! `orders`, `positions`, `trades`, `errors`, `explain`, `risk`, `report`, `digest`: one question, one table.

use serde::Deserialize;
use serde_json::Value;
use supervisor_actors::view::{AlertRow, FactRow, OrderRow, PositionRow, RiskRow, TradeRow};
use supervisor_core::instance::DIGEST_COVERS;

use crate::cli::{DigestArgs, ExplainArgs, Globals, LimitArg, NameArg, OneArg, OrdersArgs, TradesArgs};
use crate::client::{Client, talk};
use crate::fault::{Exit, Fault};
use crate::out::{Format, Out, Row, items};
use crate::report;
use crate::rows::line;

type Query<'a> = Vec<(&'a str, String)>;

fn show<R: Row>(globals: &Globals, out: &Out, path: &[&str], query: &Query<'_>, none: &str) -> Result<Exit, Fault> {
    let client = Client::new(globals)?;
    let document = talk(client.get(path, query))?;
    out.document::<R>(&document)?;
    if items(&document).is_empty() && !out.format.is_json() {
        out.note(none);
    }
    Ok(Exit::Done)
}

fn of_instance<'a>(name: Option<&String>) -> Query<'a> {
    name.map(|name| ("instance", name.clone())).into_iter().collect()
}

/// `orders [NAME]`.
pub fn orders(globals: &Globals, out: &Out, args: &OrdersArgs) -> Result<Exit, Fault> {
    let mut query = of_instance(args.name.as_ref());
    query.push(("history", args.history.to_string()));
    query.push(("limit", args.limit.limit.to_string()));
    let none = if args.history { "no orders" } else { "no open orders; ended ones: --history" };
    show::<OrderRow>(globals, out, &["orders"], &query, none)
}

/// `positions [NAME]`.
pub fn positions(globals: &Globals, out: &Out, args: &OneArg) -> Result<Exit, Fault> {
    show::<PositionRow>(globals, out, &["positions"], &of_instance(args.name.as_ref()), "no positions")
}

/// `trades [NAME]`.
pub fn trades(globals: &Globals, out: &Out, args: &TradesArgs) -> Result<Exit, Fault> {
    let mut query = of_instance(args.name.as_ref());
    query.push(("limit", args.limit.limit.to_string()));
    show::<TradeRow>(globals, out, &["trades"], &query, "no executions")
}

/// `errors`.
pub fn errors(globals: &Globals, out: &Out, args: &LimitArg) -> Result<Exit, Fault> {
    show::<AlertRow>(globals, out, &["errors"], &vec![("limit", args.limit.to_string())], "nothing to look at")
}

/// `risk NAME`.
pub fn risk(globals: &Globals, out: &Out, args: &NameArg) -> Result<Exit, Fault> {
    show::<RiskRow>(globals, out, &["instances", &args.name, "risk"], &Vec::new(), "no rules")
}

/// `explain ORDER-ID|NAME`.
pub fn explain(globals: &Globals, out: &Out, args: &ExplainArgs) -> Result<Exit, Fault> {
    let query = vec![("limit", args.limit.limit.to_string())];
    let path = ["explain", args.id.as_str()];
    if out.format != Format::Table {
        return show::<FactRow>(globals, out, &path, &query, "no decisions yet");
    }
    let client = Client::new(globals)?;
    let document = talk(client.get(&path, &query))?;
    let facts: Vec<FactRow> = crate::out::rows(&document)?;
    out.lines(facts.iter().map(line))?;
    if facts.is_empty() {
        out.note("no decisions yet");
    }
    Ok(Exit::Done)
}

/// `report`.
pub fn report(globals: &Globals, out: &Out) -> Result<Exit, Fault> {
    let client = Client::new(globals)?;
    report::print(out, &talk(client.get(&["report"], &[]))?)?;
    Ok(Exit::Done)
}

#[derive(Deserialize)]
struct DigestRow {
    id: String,
    digest: String,
}

impl Row for DigestRow {
    fn heads(_: bool) -> Vec<&'static str> {
        vec!["NAME", "DIGEST"]
    }

    fn cells(&self, _: bool) -> Vec<String> {
        vec![self.id.clone(), self.digest.clone()]
    }

    fn name(&self) -> String {
        self.digest.clone()
    }
}

#[derive(Deserialize)]
struct CoverRow {
    part: String,
    covers: String,
}

impl Row for CoverRow {
    fn heads(_: bool) -> Vec<&'static str> {
        vec!["PART", "COVERS"]
    }

    fn cells(&self, _: bool) -> Vec<String> {
        vec![self.part.clone(), self.covers.clone()]
    }

    fn name(&self) -> String {
        self.part.clone()
    }
}

/// `digest [NAME] [--explain]`.
pub fn digest(globals: &Globals, out: &Out, args: &DigestArgs) -> Result<Exit, Fault> {
    if args.explain {
        let rows = DIGEST_COVERS.iter().map(|(part, covers)| serde_json::json!({ "part": part, "covers": covers }));
        out.document::<CoverRow>(&document("digest_cover", rows.collect()))?;
        return Ok(Exit::Done);
    }
    let client = Client::new(globals)?;
    let report = talk(client.get(&["report"], &[]))?;
    let found: Vec<(&str, &Value)> =
        items(&report).iter().filter_map(|item| Some((item.get("id")?.as_str()?, item.get("digest")?))).collect();
    let wanted = |id: &str| args.name.as_deref().is_none_or(|name| name == id);
    if let Some(name) = args.name.as_deref().filter(|name| !found.iter().any(|(id, _)| id == name)) {
        // Unknown, or known and without a state.
        talk(client.get(&["instances", name], &[]))?;
        let text = format!("'{name}' has not run yet, so it has no state");
        return Err(Fault::new(Exit::Check, "no_state", text).hint(format!("supervisor start-instance {name}")));
    }
    let rows = found.iter().filter(|(id, _)| wanted(id));
    let rows = rows.map(|(id, digest)| serde_json::json!({ "id": id, "digest": digest })).collect();
    out.document::<DigestRow>(&document("digest", rows))?;
    Ok(Exit::Done)
}

/// A document of our own, in the shape of the supervisor's.
pub fn document(kind: &str, items: Vec<Value>) -> Value {
    serde_json::json!({ "api_version": supervisor_api::wire::API_VERSION, "kind": kind, "items": items })
}
