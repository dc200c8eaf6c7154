//! What the journal and the live instances answer to questions: orders, trades, positions, facts, explanations.

use std::collections::BTreeMap;
use std::time::Instant;

use rust_decimal::Decimal;
use supervisor_core::domain::OrderNo;
use supervisor_core::instance::{Fact, FactRecord, Stage};
use supervisor_core::spec::InstanceSpec;
use supervisor_state::{FactId, InstanceKey, Store};

use crate::brief::Brief;
use crate::explain::{parse_order_id, row};
use crate::fleet::{Fleet, FleetError, millis};
use crate::prepare::Life;
use crate::supervisor::Card;
use crate::view::{Certainty, FactRow, InstanceDetail, InstanceStatus, OrderRow, PositionRow, TradeRow};
use crate::{rows, settings};

/// Facts read at most for one answer.
const SCAN_MAX: usize = 2_000_000;

/// A fact with its place.
struct Placed {
    id: FactId,
    record: FactRecord,
}

/// The newest facts of the present life that `keep` keeps, oldest first.
fn newest(
    store: &Store,
    id: &str,
    life: Life,
    limit: usize,
    mut keep: impl FnMut(&Fact) -> bool,
) -> Result<Vec<Placed>, FleetError> {
    let key = InstanceKey::new(id).map_err(FleetError::internal)?;
    let mut found = Vec::new();
    for stored in store.facts_rev(&key).map_err(FleetError::internal)?.take(SCAN_MAX) {
        let stored = stored.map_err(FleetError::internal)?;
        if found.len() == limit || stored.id() < life.origin() {
            break;
        }
        let record: FactRecord = postcard::from_bytes(&stored.payload).map_err(FleetError::internal)?;
        if keep(&record.fact) {
            found.push(Placed { id: stored.id(), record });
        }
    }
    found.reverse();
    Ok(found)
}

/// Facts after a place, oldest first.
fn after(store: &Store, id: &str, place: FactId, limit: usize) -> Result<Vec<Placed>, FleetError> {
    let key = InstanceKey::new(id).map_err(FleetError::internal)?;
    let next = FactId { epoch: place.epoch, seq: place.seq.saturating_add(1) };
    let read = |stored: supervisor_state::StoredFact| {
        let record = postcard::from_bytes(&stored.payload).map_err(FleetError::internal)?;
        Ok(Placed { id: stored.id(), record })
    };
    store.facts(&key, Some(next), limit).map_err(FleetError::internal)?.into_iter().map(read).collect()
}

fn to_rows(placed: &[Placed], life: u32, spec: &InstanceSpec) -> Vec<FactRow> {
    placed.iter().map(|fact| row(fact.id.epoch, fact.id.seq, life, &fact.record, spec)).collect()
}

fn parse_cursor(text: &str) -> Option<FactId> {
    let (epoch, seq) = text.split_once('-')?;
    Some(FactId { epoch: epoch.parse().ok()?, seq: seq.parse().ok()? })
}

fn is_decision(fact: &Fact) -> bool {
    match fact {
        Fact::Approved { .. }
        | Fact::Vetoed { .. }
        | Fact::WouldSubmit { .. }
        | Fact::Note(..)
        | Fact::GridPlanned(_)
        | Fact::Guarded(..)
        | Fact::Gap(_)
        | Fact::Control(_)
        | Fact::Revised(_)
        | Fact::Withheld { .. }
        | Fact::Crossed { .. }
        | Fact::Reopened(_)
        | Fact::Standing(_)
        | Fact::Reconciled(_) => true,
        Fact::CancelWanted(_)
        | Fact::OrderMoved(..)
        | Fact::OrderRefused(..)
        | Fact::Fill(_)
        | Fact::Ended(_)
        | Fact::RoundTrip(_)
        | Fact::DayClosed(_)
        | Fact::Input { .. }
        | Fact::LateFill(..)
        | Fact::Bust(_)
        | Fact::InDoubt(..) => false,
    }
}

impl Fleet {
    async fn scan<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Store) -> Result<T, FleetError> + Send + 'static,
    ) -> Result<T, FleetError> {
        let store = self.store().clone();
        tokio::task::spawn_blocking(move || work(&store)).await.map_err(FleetError::internal)?
    }

    async fn newest_of(
        &self,
        card: &Card,
        limit: usize,
        keep: impl FnMut(&Fact) -> bool + Send + 'static,
    ) -> Result<Vec<Placed>, FleetError> {
        let Some(life) = card.life else { return Ok(Vec::new()) };
        let id = card.spec.id;
        self.scan(move |store| newest(store, id.as_str(), life, limit, keep)).await
    }

    /// Everything about one instance.
    ///
    /// # Errors
    /// [`FleetError::UnknownInstance`], or it does not answer.
    pub async fn detail(&self, id: &str) -> Result<InstanceDetail, FleetError> {
        let mut card = self.card(id).await?;
        let state = self.look(&mut card).await?;
        let number = card.life.map_or(0, |life| life.number);
        let facts = self.newest_of(&card, 20, |_| true).await?;
        let vetoes = self.newest_of(&card, 5, |fact| matches!(fact, Fact::Vetoed { .. })).await?;
        let report = match &state {
            Some(state) => {
                let report = state.report(&card.spec).map_err(FleetError::internal)?;
                serde_json::to_value(report).map_err(FleetError::internal)?
            }
            None => serde_json::Value::Null,
        };
        Ok(InstanceDetail {
            status: status_row(&card),
            description: card.config.description.clone().unwrap_or_default(),
            config: settings::rows(&card),
            risk: rows::risk(&card.spec, state.as_deref()),
            positions: state.as_ref().map(|state| rows::positions(&card.spec, state)).unwrap_or_default(),
            open_orders: state.as_ref().map(|state| rows::open_orders(&card.spec, number, state)).unwrap_or_default(),
            facts: to_rows(&facts, number, &card.spec),
            vetoes: to_rows(&vetoes, number, &card.spec),
            report,
        })
    }

    /// Open orders; with `history`, ended ones too, newest first.
    ///
    /// # Errors
    /// [`FleetError`]: unknown, or it does not answer.
    pub async fn orders(&self, id: Option<&str>, history: bool, limit: usize) -> Result<Vec<OrderRow>, FleetError> {
        let mut found = Vec::new();
        let cards = self.cards(id).await?;
        if !history {
            for (card, state) in self.look_all(cards).await? {
                let number = card.life.map_or(0, |life| life.number);
                found.extend(state.iter().flat_map(|state| rows::open_orders(&card.spec, number, state)));
            }
        } else {
            for card in cards {
                let number = card.life.map_or(0, |life| life.number);
                let facts = self.newest_of(&card, SCAN_MAX, |fact| fact.order().is_some()).await?;
                let records: Vec<FactRecord> = facts.into_iter().map(|placed| placed.record).collect();
                found.extend(rows::orders_of(&card.spec, number, &records));
            }
        }
        found.sort_by(|a, b| b.sent.cmp(&a.sent));
        found.truncate(limit);
        Ok(found)
    }

    /// Positions.
    ///
    /// # Errors
    /// [`FleetError`]: unknown, or it does not answer.
    pub async fn positions(&self, id: Option<&str>) -> Result<Vec<PositionRow>, FleetError> {
        let mut found = Vec::new();
        for (card, state) in self.look_all(self.cards(id).await?).await? {
            found.extend(state.iter().flat_map(|state| rows::positions(&card.spec, state)));
        }
        Ok(found)
    }

    /// Executions, newest first.
    ///
    /// # Errors
    /// [`FleetError`]: unknown, or the journal cannot be read.
    pub async fn trades(&self, id: Option<&str>, limit: usize) -> Result<Vec<TradeRow>, FleetError> {
        let mut found = Vec::new();
        for card in self.cards(id).await? {
            let number = card.life.map_or(0, |life| life.number);
            for Placed { record, .. } in self.newest_of(&card, limit, |fact| matches!(fact, Fact::Fill(_))).await? {
                if let Fact::Fill(fill) = &record.fact {
                    found.push(rows::trade(&card.spec, number, record.cause, fill));
                }
            }
        }
        found.sort_by(|a, b| b.at.cmp(&a.at));
        found.truncate(limit);
        Ok(found)
    }

    /// Facts after a cursor, oldest first; without one, the newest `limit`.
    ///
    /// # Errors
    /// [`FleetError`]: unknown, a cursor that is none, or the journal cannot be read.
    pub async fn facts(&self, id: &str, cursor: Option<&str>, limit: usize) -> Result<Vec<FactRow>, FleetError> {
        let card = self.card(id).await?;
        let number = card.life.map_or(0, |life| life.number);
        let facts = match cursor {
            None => self.newest_of(&card, limit, |_| true).await?,
            Some(text) => {
                let wrong = || FleetError::Invalid {
                    problems: vec![format!("after = {text}: allowed: EPOCH-SEQ, as in a row's cursor")],
                };
                let (place, id) = (parse_cursor(text).ok_or_else(wrong)?, card.spec.id);
                self.scan(move |store| after(store, id.as_str(), place, limit)).await?
            }
        };
        Ok(to_rows(&facts, number, &card.spec))
    }

    /// The chain of one order (by order id), or the newest decisions of an instance.
    ///
    /// # Errors
    /// [`FleetError::UnknownOrder`] or [`FleetError::UnknownInstance`].
    pub async fn explain(&self, id: &str, limit: usize) -> Result<Vec<FactRow>, FleetError> {
        match (self.card(id).await, parse_order_id(id)) {
            (Ok(card), _) => {
                let number = card.life.map_or(0, |life| life.number);
                let facts = self.newest_of(&card, limit, is_decision).await?;
                Ok(to_rows(&facts, number, &card.spec))
            }
            (Err(_), Some((instance, life, order))) => self.explain_order(id, instance.as_str(), life, order).await,
            (Err(error), None) => Err(error),
        }
    }

    async fn explain_order(
        &self,
        id: &str,
        instance: &str,
        life: u32,
        order: OrderNo,
    ) -> Result<Vec<FactRow>, FleetError> {
        let card = self.card(instance).await?;
        let number = card.life.map_or(0, |life| life.number);
        let mut facts = Vec::new();
        if number == life {
            facts = self.newest_of(&card, SCAN_MAX, move |fact| fact.order() == Some(order)).await?;
        }
        if facts.is_empty() {
            return Err(FleetError::UnknownOrder { id: id.to_owned() });
        }
        Ok(to_rows(&facts, number, &card.spec))
    }
}

/// The row of `status`.
pub(crate) fn status_row(card: &Card) -> InstanceStatus {
    let Card { config, spec, brief, .. } = card;
    let symbols: Vec<String> = spec.instruments.iter().map(|i| format!("{}@paper", i.symbol)).collect();
    let hops: BTreeMap<String, u64> =
        Stage::ALL.iter().map(|stage| (stage.word().to_owned(), brief.hops[*stage as usize])).collect();
    let profit = brief.equity_start.map_or(Decimal::ZERO, |start| (brief.equity - start).normalized());
    InstanceStatus {
        id: spec.id.to_string(),
        name: config.name.clone(),
        state: card.state,
        mode: "paper".to_owned(),
        strategy: spec.strategy.word().to_owned(),
        market: symbols.join(","),
        account: config.account.clone(),
        asset: spec.instruments.first().map(|i| i.quote.to_string()).unwrap_or_default(),
        clock: if brief.inputs == 0 { String::new() } else { brief.clock.to_string() },
        candles: brief.candles,
        progress: brief.feed_len.filter(|len| *len > 0).map(|len| brief.feed_position as f64 / len as f64),
        ended: card.ended,
        open_orders: brief.open_orders,
        orders: brief.orders,
        fills: brief.fills,
        round_trips: brief.round_trips,
        vetoed: brief.vetoed,
        day_profit: brief.day_profit.normalized(),
        total_profit: profit,
        equity: brief.equity.normalized(),
        max_drawdown: brief.drawdown.map(|share| share.normalize()),
        restarts: card.restarts,
        last_panic: card.last_panic.clone(),
        retry_in_ms: card.retry_at.map(|at| millis(at.saturating_duration_since(Instant::now()))),
        warnings: card.warnings.clone(),
        up_ms: if card.state.is_live() { millis(card.started.elapsed()) } else { 0 },
        note: card.note.clone(),
        hops,
        certainty: certainty(card),
    }
}

/// How sure it is of its orders and balances.
fn certainty(card: &Card) -> Certainty {
    let Brief { doubts, clock, held, agreed, differences, .. } = &card.brief;
    let reconciled = if card.spec.venue.is_certain { *agreed } else { doubts.reconciled };
    Certainty {
        in_doubt: doubts.in_doubt,
        under_query: doubts.under_query,
        oldest_doubt_s: doubts.since.map(|since| rows::seconds(since, *clock)),
        disputed: doubts.disputed,
        reconciled: reconciled.map(|at| at.to_string()).unwrap_or_default(),
        differences: differences.clone(),
        held: held.normalized(),
    }
}
