//! One turn: record what happened, send what may leave, take the next thing in.

use std::sync::atomic::Ordering;
use std::time::Instant;

use actix::{AsyncContext, Context};
use supervisor_core::instance::{Audit, Control};
use supervisor_core::sim::Next;
use supervisor_core::spec::OnStop;
use supervisor_state::Batch;

use super::{Conductor, Durable, End, Told, Turn};
use crate::alarms::alarms;
use crate::facts;

/// Batches in the recorder's queue at which an instance waits for the disk instead of adding more.
const QUEUE_MAX: usize = 10_000;
/// Candles that a stop may take to get its cancels and exits through.
const STOP_CANDLES: u64 = 8;
/// The same where requests get lost and orders must be found first.
const LOSSY_STOP_CANDLES: u64 = 10_000;

/// Tells the conductor when what it handed over is on disk.
pub(super) fn durable(ctx: &Context<Conductor>) -> supervisor_state::Done {
    let home = ctx.address();
    Box::new(move |answer| home.do_send(Durable(answer.map_err(|error| error.to_string()))))
}

impl Conductor {
    /// What to do now that the worklist is home: one step, then away again or to rest.
    pub(super) fn turn(&mut self, ctx: &mut Context<Self>) {
        if self.home.is_none() || self.waiting {
            return;
        }
        self.turns += 1;
        self.score.beat.enter(self.score.ordinal);
        if self.score.fence.load(Ordering::Acquire) != self.score.generation {
            // Somebody else is this instance now.
            self.close(ctx);
            return;
        }
        if self.score.is_fresh {
            // Recovery needs a snapshot to begin with: nothing happens before it is durable.
            self.take_snapshot();
            return;
        }
        self.record(ctx);
        if self.waiting {
            return;
        }
        self.carry_out();
        if !self.is_worklist_busy() && self.answer_ask() {
            return;
        }
        self.tell_custody();
        self.tell_kill();
        if self.is_worklist_busy() {
            self.send_away();
        } else if let Some(told) = self.told.pop_front() {
            self.take_in(told, ctx);
        } else {
            self.go_on(ctx);
        }
    }

    fn is_worklist_busy(&self) -> bool {
        self.home.as_ref().is_some_and(|list| !list.is_empty())
    }

    fn send_away(&mut self) {
        if let (Some(list), Some(peers)) = (self.home.take(), &self.peers) {
            peers.pass(list);
        }
    }

    /// Hands new facts to the recorder; waits for it when an order is about to leave, or when it falls behind.
    fn record(&mut self, ctx: &mut Context<Self>) {
        let Some(list) = self.home.as_mut() else { return };
        // Facts of an earlier visit home may be on their way to the disk still.
        let unconfirmed = self.is_unconfirmed && list.has_order();
        if !list.has_facts() && !unconfirmed {
            return;
        }
        let records = list.drain_facts();
        let first_seq = self.score.seq_base + records.first().map_or(0, |record| record.seq);
        facts::log(&self.score.spec, self.score.life, &records);
        if let Some(seat) = &self.score.seat {
            seat.follow(&records);
        }
        let told = alarms(&self.score.spec, self.score.life, &records);
        let records = records.iter().map(facts::encode).collect();
        let wait = list.has_order() || self.score.recorder.depth() > QUEUE_MAX;
        let done = wait.then(|| durable(ctx));
        self.waiting = wait;
        self.is_unconfirmed = !wait;
        let (instance, generation) = (self.score.key, self.score.generation);
        self.score.recorder.append(Batch { instance, generation, first_seq, records, done });
        self.sound(told);
    }

    /// Carries effects out; everything before them is durable now.
    fn carry_out(&mut self) {
        let killed = self.score.kill.load(Ordering::Acquire);
        let Some(list) = self.home.as_mut() else { return };
        if list.has_effects() {
            for effect in list.drain_effects() {
                let seat = self.score.seat.as_ref();
                match seat.and_then(|seat| seat.in_the_way(list, &effect, killed)) {
                    Some((order, with)) => _ = list.cross(order, with),
                    None => self.score.scheduler.apply(list, effect, killed),
                }
            }
        }
    }

    /// The kill latch enters the core as a recorded command, before anything else that waits.
    fn tell_kill(&mut self) {
        let killed = self.score.kill.load(Ordering::Acquire);
        if let Some(list) = self.home.as_mut().filter(|list| killed && !list.is_kill_told()) {
            list.command_first(list.clock(), Audit::by_supervisor(Control::Kill, "kill switch is on"));
        }
    }

    /// Custody begins, all of it, ahead of everything that waits: that may be what the actors failed on.
    fn tell_custody(&mut self) {
        let Some(list) = self.home.as_mut() else { return };
        let is_custody = |told: &mut Told| {
            matches!(told, Told::Audit(Audit { control: Control::Quarantine | Control::ParkStreak, .. }))
        };
        while let Some(Told::Audit(audit)) = self.told.pop_front_if(is_custody) {
            list.command_first(list.clock(), audit);
        }
    }

    fn take_in(&mut self, told: Told, ctx: &mut Context<Self>) {
        let Some(list) = self.home.as_mut() else { return };
        match told {
            Told::Audit(audit) => {
                if let Control::Stop(on_stop) = audit.control {
                    self.stopping = Some((on_stop, self.score.scheduler.progress().0));
                }
                // The latch itself may have told the stages already; who threw it is recorded all the same.
                list.command(list.clock(), audit);
            }
            Told::Revise(spec, keys) => {
                let now = list.clock();
                self.score.scheduler.revise(list, now, *spec, keys);
                self.score.spec = list.spec().clone();
            }
        }
        ctx.notify(Turn);
    }

    /// Nothing waits: release the next input, wait for its time, or come to an end.
    fn go_on(&mut self, ctx: &mut Context<Self>) {
        if self.is_stop_complete() {
            self.finish(End::Stopped, None);
            return;
        }
        if std::mem::take(&mut self.score.must_check) {
            self.check();
            return;
        }
        if self.is_snapshot_due(None) {
            self.take_snapshot();
            return;
        }
        let Some(list) = self.home.as_mut() else { return };
        match self.score.scheduler.next(list.watch()) {
            Next::End if self.stopping.is_some() => self.finish(End::Stopped, None),
            Next::End => self.finish(End::Feed, None),
            Next::At(at) => {
                let now = Instant::now();
                let wait = if self.stopping.is_some() { None } else { self.score.pace.wait(at, now) };
                let is_due = self.comparison.is_due(now, list.inputs());
                if is_due && self.stopping.is_none() {
                    self.compare();
                    return;
                }
                let Some(wait) = wait else {
                    self.score.scheduler.release(list);
                    self.send_away();
                    return;
                };
                if self.is_snapshot_due(Some(now)) {
                    self.take_snapshot();
                    return;
                }
                let timer = ctx.run_later(wait, |conductor, ctx| {
                    conductor.timer = None;
                    conductor.turn(ctx);
                });
                if let Some(old) = self.timer.replace(timer) {
                    ctx.cancel_future(old);
                }
            }
        }
    }

    fn is_stop_complete(&self) -> bool {
        let Some((on_stop, from)) = self.stopping else { return false };
        let taken = self.score.scheduler.progress().0 - from;
        let now = self.home.as_ref().map(|list| list.clock()).unwrap_or_default();
        let scheduler = &self.score.scheduler;
        let all = matches!(on_stop, OnStop::CancelAll | OnStop::Flatten);
        // Where requests get lost, it takes as long as it takes to find out, up to the deadline of the stop.
        let (limit, idle) = if self.score.spec.venue.is_certain {
            (STOP_CANDLES, true)
        } else {
            (LOSSY_STOP_CANDLES, !all || scheduler.venue().is_idle())
        };
        on_stop == OnStop::Keep || (idle && !scheduler.is_busy(now)) || taken >= limit
    }
}
