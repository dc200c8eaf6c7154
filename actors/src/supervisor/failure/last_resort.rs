//! The last resort: no actor can hold an instance, so its entries are cancelled one by one, by their ids.
//!
//! Promises: what could not be done is said, and that nothing guards its position. Never: brings an actor up.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use actix::{AsyncContext, Context, Handler};
use supervisor_core::domain::{InstanceId, Purpose};
use supervisor_core::instance::{Audit, Control, InstanceState};
use supervisor_core::sim::Recovered;
use supervisor_core::spec::InstanceSpec;
use supervisor_state::{Batch, RecorderHandle, SnapshotBatch};

use crate::brief::Brief;
use crate::facts;
use crate::prepare::{How, PrepareError, Prepared, prepare};
use crate::saved::Saved;
use crate::supervisor::messages::{Abandoned, Remains};
use crate::supervisor::{Entry, Supervisor};
use crate::view::State;

impl Supervisor {
    /// The custodian failed, too.
    pub(super) fn abandon(&mut self, id: InstanceId, text: String, ctx: &mut Context<Self>) {
        let Some(entry) = self.entries.get_mut(&id) else { return };
        entry.card.state = State::Quarantined;
        entry.card.note = format!("{text}; its position is unguarded");
        let (generation, config) = (entry.card.generation, entry.card.config.clone());
        let (store, recorder, home) = (self.store.clone(), self.recorder.clone(), ctx.address());
        let text = format!("the custodian failed, too, and its stops work no more: {text}");
        self.alert("critical", id.as_str(), "custodian.failed", text);
        actix::spawn(async move {
            let how = How { generation, fresh: false, release: false };
            let work = move || cancel_by_id(&recorder, prepare(&store, &recorder, &config, how)?, generation);
            let outcome = match tokio::task::spawn_blocking(work).await {
                Ok(Ok(remains)) => Ok(remains),
                Ok(Err(error)) => Err(error.to_string()),
                Err(error) => Err(error.to_string()),
            };
            home.do_send(Abandoned { id, outcome });
        });
    }
}

/// Withdraws the entries of an instance that no actor can hold, and stores the outcome.
fn cancel_by_id(recorder: &RecorderHandle, mut prepared: Prepared, generation: u32) -> Result<Remains, PrepareError> {
    let is_whole = work_off(&mut prepared.recovered);
    let Prepared { key, feed, recovered, seq_base, life, .. } = prepared;
    let Recovered { mut list, stages, mut scheduler, .. } = recovered;
    let is_entry = |order: &&supervisor_core::orders::Order| order.terms.purpose == Purpose::Entry;
    let orders: Vec<_> = stages.orders.desk().open().values().filter(is_entry).map(|order| order.terms.order).collect();
    for order in &orders {
        scheduler.withdraw(list.clock(), *order);
    }
    let mut remains = Remains { orders: orders.iter().map(|order| order.0).collect(), state: None, life };
    if !is_whole {
        return Ok(remains);
    }
    let news = list.drain_facts();
    if let Some(first) = news.first() {
        let (first_seq, records) = (seq_base + first.seq, news.iter().map(facts::encode).collect());
        recorder.append(Batch { instance: key, generation, first_seq, records, done: None });
    }
    let (spec, seq) = (list.spec().as_ref().clone(), seq_base + list.facts_written());
    let instance = spec.id;
    let state = InstanceState { mark: list.mark(), scheduler: scheduler.state(), stages };
    match Saved::new(life.number, spec, feed, state.clone()).and_then(|saved| saved.encode()) {
        Ok(bytes) => {
            recorder.snapshot(SnapshotBatch { instance: key, generation, seq, bytes, done: None });
            recorder.flush()?;
            remains.state = Some(Box::new(state));
        }
        Err(error) => {
            tracing::error!(event = "snapshot.failed", instance = instance.as_str(), %error, "not stored");
        }
    }
    Ok(remains)
}

/// Works off what waits, by the stages without their actors and in custody, since only a state at rest can be stored.
/// False: a stage cannot bear it, and the state is of no use.
fn work_off(recovered: &mut Recovered) -> bool {
    if recovered.is_at_rest() && !recovered.list.has_facts() {
        return true;
    }
    let work = AssertUnwindSafe(|| {
        let Recovered { list, stages, scheduler, .. } = recovered;
        if !list.is_custody() {
            let audit = Audit::by_supervisor(Control::Quarantine, "its actors are gone, what waits is worked off");
            list.command_first(list.clock(), audit);
        }
        loop {
            if let Some(envelope) = list.pop() {
                list.step(envelope, |cx, message, out| stages.on(cx, message, out));
            } else if list.has_effects() {
                list.drain_effects().into_iter().for_each(|effect| scheduler.apply(list, effect, false));
            } else {
                return;
            }
        }
    });
    catch_unwind(work).is_ok()
}

/// What nothing guards any more.
fn unguarded(spec: &InstanceSpec, state: &InstanceState) -> String {
    let held = spec.instruments.iter().zip(state.stages.orders.positions());
    let held: Vec<String> = held
        .filter(|(_, position)| !position.qty().is_zero())
        .map(|(instrument, position)| format!("{} {}", position.qty(), instrument.symbol))
        .collect();
    match held.is_empty() {
        true => "it holds no position".to_owned(),
        false => format!("its position ({}) is unguarded", held.join(", ")),
    }
}

impl Handler<Abandoned> for Supervisor {
    type Result = ();
    fn handle(&mut self, Abandoned { id, outcome }: Abandoned, _: &mut Context<Self>) {
        let mut text = match &outcome {
            Ok(Remains { orders, .. }) if orders.is_empty() => "it had no entries open".to_owned(),
            Ok(Remains { orders, state: Some(_), .. }) => format!("entries {orders:?} were cancelled by their ids"),
            Ok(Remains { orders, state: None, .. }) => format!("its entries {orders:?} stand as they were"),
            Err(error) => format!("its entries could not be cancelled: {error}"),
        };
        // Somebody may have restarted it meanwhile.
        let is_left = |entry: &&mut Entry| entry.card.state == State::Quarantined && entry.card.conductor.is_none();
        let Some(entry) = self.entries.get_mut(&id).filter(is_left) else { return };
        let rest = match outcome {
            Ok(Remains { state: Some(state), life, .. }) => {
                let rest = unguarded(&entry.card.spec, &state);
                entry.card.brief = Brief::of(&state, &entry.card.spec);
                entry.card.life = Some(life);
                entry.card.last = Some(Arc::from(state));
                rest
            }
            Ok(Remains { state: None, .. }) | Err(_) => "its position is unguarded".to_owned(),
        };
        text = format!("{text}; nothing of it runs any more: {rest}; look at it, then: supervisor restart {id}");
        if let Some(panic) = &entry.card.last_panic {
            entry.card.note = format!("{panic}; {text}");
        }
        self.alert("critical", id.as_str(), "instance.abandoned", text);
    }
}
