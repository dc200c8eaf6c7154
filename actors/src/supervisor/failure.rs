//! What happens when actors die or hang: recovery after a wait, then quarantine, then the last resort.
//!
//! A custodian can do without the streak monitor; without risk or order lifecycle no stop can work.

mod last_resort;

use std::time::{Duration, Instant};

use actix::{AsyncContext, Context, Handler};
use supervisor_core::domain::InstanceId;
use supervisor_core::instance::{Control, Stage};
use supervisor_core::spec::OnStop;

use super::messages::Ready;
use super::operator::audit;
use super::{Entry, Role, Supervisor};
use crate::alarms::Alarm;
use crate::conductor::{Alarms, Command, Odd, Stalled};
use crate::fleet::FleetError;
use crate::guard::Down;
use crate::prepare::{How, prepare, quarantined_latch};
use crate::restart::{Policy, Verdict};
use crate::view::State;

/// Whose fault a failure is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Blame {
    /// Its own: it counts towards quarantine.
    Own,
    /// Its own, of the one stage that a custodian can do without.
    Streak,
    /// Its own, noticed only after a while.
    Hang,
    /// Another instance's on the same thread: it does not count.
    Another,
}

impl Supervisor {
    /// Brings an instance back on a thread that may block, then starts its actors.
    pub(super) fn bring_up(&mut self, id: InstanceId, role: Role, fresh: bool, ctx: &mut Context<Self>) {
        let Some(entry) = self.entries.get_mut(&id) else { return };
        entry.role = role;
        entry.parks_streak &= role == Role::Custodian;
        let generation = entry.card.generation;
        let config = entry.config.clone().unwrap_or_else(|| entry.card.config.clone());
        let (store, recorder, builders) = (self.store.clone(), self.recorder.clone(), self.builders.clone());
        let (home, release) = (ctx.address(), role == Role::Trader && !entry.is_auto);
        actix::spawn(async move {
            // A closed semaphore would only mean that all come at once.
            let _turn = builders.acquire().await;
            let how = How { generation, fresh, release };
            let prepared = tokio::task::spawn_blocking(move || prepare(&store, &recorder, &config, how)).await;
            let prepared = match prepared {
                Ok(Ok(prepared)) => Ok(Box::new(prepared)),
                Ok(Err(error)) => Err((error.code(), error.to_string())),
                Err(error) => Err(("start.failed", error.to_string())),
            };
            home.do_send(Ready { id, generation, prepared });
        });
    }

    /// An instance's actors are of no use any more.
    pub(super) fn fail(&mut self, id: InstanceId, text: String, blame: Blame, ctx: &mut Context<Self>) {
        let (policy, now, generation) = (self.restarts, Instant::now(), self.next_generation());
        let Some(entry) = self.entries.get_mut(&id) else { return };
        // One of the five is gone: the others go, too. Nothing is taken over from a live object.
        entry.shut_down();
        entry.renew(generation);
        entry.card.last_panic = Some(text.clone());
        if entry.role == Role::Custodian {
            match blame {
                // Not its own fault: another custodian takes its place.
                Blame::Another => self.bring_up(id, Role::Custodian, false, ctx),
                Blame::Streak if !entry.parks_streak => self.park_streak(id, &text, ctx),
                Blame::Own | Blame::Streak | Blame::Hang => self.abandon(id, text, ctx),
            }
            return;
        }
        entry.card.note.clone_from(&text);
        // A hang is noticed late: those that follow one another must still fall into one window.
        let slow = policy.hang.saturating_add(policy.cap).saturating_mul(policy.max.saturating_add(1));
        let verdict = match blame {
            Blame::Own | Blame::Streak => entry.failures.note(now, &policy, &mut self.rng),
            Blame::Hang => {
                let policy = Policy { window: policy.window.max(slow), ..policy };
                entry.failures.note(now, &policy, &mut self.rng)
            }
            Blame::Another => Verdict::Retry(policy.base.mul_f64(0.8 + 0.4 * self.rng.unit_f64())),
        };
        match verdict {
            Verdict::Retry(wait) => {
                entry.card.restarts += 1;
                entry.card.state = State::Backoff;
                entry.card.retry_at = Some(now + wait);
                let text = format!("{text}; it is recovered and goes on in {} ms", wait.as_millis());
                self.alert("warning", id.as_str(), "instance.restarting", text);
                ctx.run_later(wait, move |supervisor, ctx| supervisor.retry(id, generation, ctx));
            }
            Verdict::Quarantine => self.quarantine(id, &text, ctx),
        }
    }

    fn retry(&mut self, id: InstanceId, generation: u32, ctx: &mut Context<Self>) {
        let waits = |entry: &Entry| entry.card.generation == generation && entry.card.state == State::Backoff;
        if self.entries.get(&id).is_some_and(waits) {
            self.bring_up(id, Role::Trader, false, ctx);
        }
    }

    /// No more tries: the custodian takes over.
    fn quarantine(&mut self, id: InstanceId, text: &str, ctx: &mut Context<Self>) {
        let (max, window) = (self.restarts.max, self.restarts.window.as_secs());
        let note = format!("{text}; it failed more than {max} times in {window} s");
        if let Some(entry) = self.entries.get_mut(&id) {
            entry.card.state = State::Quarantined;
            entry.card.retry_at = None;
            entry.card.note.clone_from(&note);
            // Who waits for its stop hears that it trades no more.
            entry.release_waiters();
        }
        let told =
            format!("{note}; entries are cancelled, stops stay in force; look at it, then: supervisor restart {id}");
        self.alert("critical", id.as_str(), "instance.quarantined", told);
        let store = self.store.clone();
        actix::spawn(async move {
            let latch = quarantined_latch(id.as_str());
            let kept = tokio::task::spawn_blocking(move || store.put_latch(&latch, b"failed too often")).await;
            if let Ok(Err(error)) = kept {
                tracing::error!(event = "latch.failed", %error, "the next start may not know of a quarantine");
            }
        });
        self.bring_up(id, Role::Custodian, false, ctx);
        self.notify_ended();
    }

    /// The custodian's streak monitor failed: another custodian does without.
    fn park_streak(&mut self, id: InstanceId, text: &str, ctx: &mut Context<Self>) {
        let told = format!("{text}; in quarantine, too: {}; its stops stay in force", Entry::UNCOUNTED);
        if let Some(entry) = self.entries.get_mut(&id) {
            entry.parks_streak = true;
            entry.card.note = format!("{told}; look at it, then: supervisor restart {id}");
        }
        self.alert("warning", id.as_str(), "streak.parked", told);
        self.bring_up(id, Role::Custodian, false, ctx);
    }

    /// It cannot be brought back, and trying again would not help.
    fn give_up(&mut self, id: InstanceId, code: &'static str, text: String) {
        if let Some(entry) = self.entries.get_mut(&id) {
            entry.card.state = State::Quarantined;
            entry.card.retry_at = None;
            entry.config = None;
            entry.card.note.clone_from(&text);
            entry.release_starters(&Err(FleetError::Invalid { problems: vec![text.clone()] }));
            entry.release_waiters();
        }
        self.alert("critical", id.as_str(), code, text);
        self.notify_ended();
    }

    /// Looks for threads that have stopped; whoever lives on one moves to its successor.
    pub(super) fn look_for_hangs(&mut self, ctx: &mut Context<Self>) {
        let limit = self.restarts.hang;
        for stuck in self.pool.check(Instant::now(), limit) {
            let on_it = |entry: &&Entry| entry.lane == stuck.lane && entry.card.conductor.is_some();
            let victims: Vec<(InstanceId, bool)> = self
                .entries
                .values()
                .filter(on_it)
                .map(|entry| (entry.card.spec.id, entry.ordinal == stuck.culprit))
                .collect();
            for (id, is_culprit) in victims {
                let (blame, text) = match is_culprit {
                    true => (Blame::Hang, "an actor hangs"),
                    false => (Blame::Another, "its thread was blocked by another bot"),
                };
                self.fail(id, format!("{text}: no answer for {} s", limit.as_secs()), blame, ctx);
            }
        }
    }
}

impl Handler<Ready> for Supervisor {
    type Result = ();
    fn handle(&mut self, Ready { id, generation, prepared }: Ready, ctx: &mut Context<Self>) {
        let Some(entry) = self.entries.get_mut(&id).filter(|entry| entry.card.generation == generation) else { return };
        let was_custodian = entry.role == Role::Custodian;
        let prepared = match prepared {
            Ok(prepared) => prepared,
            // What failed on the way back from a failure may be there in a moment: a file, a descriptor.
            Err(("start.failed", text)) if entry.card.state == State::Backoff => {
                return self.fail(id, text, Blame::Own, ctx);
            }
            Err((code, text)) => return self.give_up(id, code, text),
        };
        for remark in &prepared.remarks {
            self.alert("warning", id.as_str(), "state.fallback", format!("{remark}; an older snapshot was taken"));
        }
        let uncounted = prepared.recovered.list.is_streak_parked();
        let Some(state) = self.launch(id, *prepared, ctx) else { return };
        let Some(entry) = self.entries.get_mut(&id) else { return };
        let is_custodian = entry.role == Role::Custodian;
        if !is_custodian {
            entry.card.note.clear();
        } else if !was_custodian {
            let uncounted = if uncounted { format!("; {}", Entry::UNCOUNTED) } else { String::new() };
            let note = format!("quarantined in an earlier run{uncounted}; look at it, then: supervisor restart {id}");
            entry.card.note.clone_from(&note);
            self.alert("critical", id.as_str(), "instance.quarantined", note);
        }
        let Some(entry) = self.entries.get_mut(&id) else { return };
        entry.release_starters(&Ok(state));
        // A stop that a failure interrupted is carried through.
        if let (Some((on_stop, by)), false) = (entry.stop.take(), is_custodian) {
            entry.stop(on_stop, by);
        }
    }
}

impl Handler<Odd> for Supervisor {
    type Result = ();
    fn handle(&mut self, Odd { id, generation, warnings }: Odd, _: &mut Context<Self>) {
        let Some(entry) = self.entries.get_mut(&id).filter(|entry| entry.card.generation == generation) else { return };
        entry.card.warnings.clone_from(&warnings);
        for warning in warnings {
            self.alert("warning", id.as_str(), "position.odd", warning);
        }
    }
}

impl Handler<Alarms> for Supervisor {
    type Result = ();
    fn handle(&mut self, Alarms { id, generation, alarms }: Alarms, _: &mut Context<Self>) {
        if self.entries.get(&id).is_none_or(|entry| entry.card.generation != generation) {
            return;
        }
        for Alarm { severity, code, text } in alarms {
            self.alert(severity, id.as_str(), code, text);
        }
    }
}

impl Handler<Down> for Supervisor {
    type Result = ();
    fn handle(&mut self, down: Down, ctx: &mut Context<Self>) {
        let Some(panic) = down.panic else { return };
        if self.entries.get(&down.instance).is_some_and(|entry| entry.card.generation == down.generation) {
            let blame = if down.actor == Stage::Streak.word() { Blame::Streak } else { Blame::Own };
            self.fail(down.instance, format!("{} actor panicked: {panic}", down.actor), blame, ctx);
        }
    }
}

impl Handler<Stalled> for Supervisor {
    type Result = ();
    fn handle(&mut self, Stalled { id, generation }: Stalled, ctx: &mut Context<Self>) {
        if self.entries.get(&id).is_some_and(|entry| entry.card.generation == generation) {
            self.fail(id, "its worklist was lost between its actors".to_owned(), Blame::Hang, ctx);
        }
    }
}

impl Entry {
    /// Said of one whose streak monitor is parked.
    const UNCOUNTED: &str = "its profit and other figures stand still and are made up for when it is released";

    /// Tells its actors to stop.
    pub(super) fn stop(&mut self, on_stop: OnStop, by: crate::fleet::By) {
        let Some(conductor) = &self.card.conductor else { return };
        self.card.state = State::Stopping;
        self.card.note.clone_from(&by.reason);
        self.stop = Some((on_stop, by.clone()));
        conductor.do_send(Command(audit(Control::Stop(on_stop), by)));
    }
}

/// How often the conductors are asked whether anything moves, as a share of the hang limit.
pub(super) fn probe_every(limit: Duration) -> Duration {
    limit / 2
}
