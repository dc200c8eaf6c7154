//! At rest: collecting the whole state for whoever looks, for a snapshot, for the end.

use std::time::Instant;

use actix::Context;
use supervisor_core::instance::{InstanceState, Stage, check_position};
use supervisor_core::spec::OnStop;
use supervisor_state::{Done, SnapshotBatch};

use super::turn::durable;
use super::{Alarms, Conductor, End, Finished, LastSnapshot, Odd};
use crate::alarms::Alarm;
use crate::balances::differences;
use crate::brief::Brief;
use crate::saved::{Saved, SavedError};
use crate::stage::{Gather, Parts};

impl Conductor {
    /// Answers the oldest question by sending the worklist round all stages.
    pub(super) fn answer_ask(&mut self) -> bool {
        let Some(ask) = self.asks.pop_front() else { return false };
        let full = ask.full;
        self.asked = Some(ask);
        self.collect(full);
        true
    }

    fn collect(&mut self, full: bool) {
        let (Some(list), Some(peers)) = (self.home.take(), &self.peers) else { return };
        let (feed_position, feed_len) = self.score.scheduler.progress();
        let (clock, inputs, hops) = (list.clock(), list.inputs(), list.hops());
        let brief = Box::new(Brief { clock, inputs, feed_position, feed_len, hops, ..Brief::default() });
        let parts = full.then(|| Box::new(Parts::default()));
        peers.collect(Gather { list, next: Some(Stage::Orders), parts, brief });
    }

    /// By what has happened since the last one; by its age only when `now` is given, which costs a look at the clock.
    pub(super) fn is_snapshot_due(&self, now: Option<Instant>) -> bool {
        let Some(list) = &self.home else { return false };
        let (LastSnapshot { facts, inputs, at }, policy) = (&self.snapshot, self.score.snapshots);
        list.facts_written() - facts >= policy.facts
            || list.inputs() - inputs >= policy.events
            || now.is_some_and(|now| list.inputs() > *inputs && now.duration_since(*at) >= policy.age)
    }

    pub(super) fn take_snapshot(&mut self) {
        self.is_snapshotting = true;
        self.collect(true);
    }

    /// Looks at the position, as far as that needs the whole state.
    pub(super) fn check(&mut self) {
        self.is_checking = true;
        self.collect(true);
    }

    /// Looks whether venue, gate and desk count the same; every collection does.
    pub(super) fn compare(&mut self) {
        self.is_comparing = true;
        self.collect(false);
    }

    fn compared(&mut self, brief: &mut Brief) {
        let found = differences(&self.score.spec, &brief.counted, self.score.scheduler.venue());
        let told = self.comparison.take(Instant::now(), brief.inputs, brief.clock, found);
        brief.compared(&self.comparison);
        let alarm = |text| Alarm { severity: "critical", code: "account.differs", text };
        self.sound(told.into_iter().map(alarm).collect());
    }

    /// Tells people.
    pub(super) fn sound(&self, alarms: Vec<Alarm>) {
        let (id, generation) = (self.score.spec.id, self.score.generation);
        if !alarms.is_empty() {
            self.score.alarm_bell.do_send(Alarms { id, generation, alarms });
        }
    }

    fn checked(&self, state: Option<Box<InstanceState>>) {
        let Some(state) = state else { return };
        let spec = &self.score.spec;
        let now = self.score.scheduler.coming_prices(spec.instruments.len());
        let warnings: Vec<String> = check_position(&state, spec, &now).iter().map(ToString::to_string).collect();
        if !warnings.is_empty() {
            self.score.reviewer.do_send(Odd { id: spec.id, generation: self.score.generation, warnings });
        }
    }

    pub(super) fn gathered(&mut self, gather: Gather, ctx: &mut Context<Self>) {
        let Gather { list, parts, mut brief, .. } = gather;
        self.compared(&mut brief);
        let scheduler = &self.score.scheduler;
        let whole = |stages| Box::new(InstanceState { mark: list.mark(), scheduler: scheduler.state(), stages });
        let state = parts.and_then(|parts| parts.complete()).map(whole);
        self.home = Some(list);
        if self.finishing.is_some() {
            self.finished(state, brief, ctx);
            return;
        }
        if std::mem::take(&mut self.is_snapshotting) {
            self.snapshot_taken(state, ctx);
        } else if std::mem::take(&mut self.is_checking) {
            self.checked(state);
        } else if std::mem::take(&mut self.is_comparing) {
            // That was done on the way.
        } else if let Some(ask) = self.asked.take() {
            // Whoever asked may have given up waiting; that is no error here.
            let _ = ask.reply.send((*brief, state));
        }
        self.turn(ctx);
    }

    /// To the recorder with it, behind the facts that it contains. One that is lost costs a longer recovery only.
    fn snapshot_taken(&mut self, state: Option<Box<InstanceState>>, ctx: &Context<Self>) {
        let Some(state) = state else { return };
        self.snapshot = LastSnapshot { facts: state.mark.facts, inputs: state.mark.inputs, at: Instant::now() };
        let done = std::mem::take(&mut self.score.is_fresh).then(|| durable(ctx));
        match self.pack(*state) {
            Ok(snapshot) => {
                self.waiting |= done.is_some();
                self.score.recorder.snapshot(SnapshotBatch { done, ..snapshot });
            }
            Err(error) => {
                let instance = self.score.spec.id.to_string();
                tracing::error!(event = "snapshot.failed", instance, %error, "no snapshot was taken");
            }
        }
    }

    fn pack(&self, state: InstanceState) -> Result<SnapshotBatch, SavedError> {
        let seq = self.score.seq_base + state.mark.facts;
        let spec = self.score.spec.as_ref().clone();
        let bytes = Saved::new(self.score.life, spec, self.score.feed.clone(), state)?.encode()?;
        let (instance, generation) = (self.score.key, self.score.generation);
        Ok(SnapshotBatch { instance, generation, seq, bytes, done: None })
    }

    pub(super) fn finish(&mut self, end: End, error: Option<String>) {
        self.finishing = Some((end, error));
        self.collect(true);
    }

    /// What the stop was to end, and is there still.
    fn left_behind(&self, state: &InstanceState) -> Option<String> {
        let (on_stop, _) = self.stopping?;
        let orders = &state.stages.orders;
        let open = orders.desk().open().len();
        let all = matches!(on_stop, OnStop::CancelAll | OnStop::Flatten) && open > 0;
        let spec = &self.score.spec;
        let held = spec.instruments.iter().zip(orders.positions()).filter_map(|(instrument, position)| {
            let sellable = instrument.round_qty(position.qty().get()).is_positive();
            sellable.then(|| format!("{} {}", position.qty(), instrument.base))
        });
        let held: Vec<String> = if on_stop == OnStop::Flatten { held.collect() } else { Vec::new() };
        let orders = all.then(|| format!("{open} orders are open or in doubt"));
        let held = (!held.is_empty()).then(|| format!("{} held", held.join(", ")));
        let parts: Vec<String> = orders.into_iter().chain(held).collect();
        (!parts.is_empty()).then(|| format!("stopped, but not as asked: {}", parts.join("; ")))
    }

    /// The last snapshot, then the last word: the supervisor hears of the end when the state is on disk.
    pub(super) fn finished(&mut self, state: Option<Box<InstanceState>>, brief: Box<Brief>, ctx: &mut Context<Self>) {
        let (end, error) = self.finishing.take().unwrap_or((End::Stopped, None));
        let (spec, generation, to) = (self.score.spec.clone(), self.score.generation, self.score.supervisor.clone());
        let packed = state.as_deref().cloned().map(|state| self.pack(state)).transpose();
        let left = state.as_deref().and_then(|state| self.left_behind(state));
        let mut finished = Finished { spec, generation, end, state, brief, error, left };
        match packed {
            Ok(None) => to.do_send(finished),
            Err(error) => to.do_send(Finished { error: Some(error.to_string()), ..finished }),
            Ok(Some(snapshot)) => {
                let done: Done = Box::new(move |answer| {
                    finished.error = answer.err().map(|error| error.to_string());
                    to.do_send(finished);
                });
                self.score.recorder.snapshot(SnapshotBatch { done: Some(done), ..snapshot });
            }
        }
        self.close(ctx);
    }
}
