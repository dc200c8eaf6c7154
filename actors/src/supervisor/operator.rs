//! What people ask of the supervisor actor, by way of the fleet's handle.

use std::sync::atomic::Ordering;

use actix::{Context, Handler, MessageResult};
use supervisor_core::instance::{Audit, Control};
use tokio::sync::oneshot;

use super::messages::{
    Alerts, Begin, BeginStop, Begun, Cards, Find, Forget, Insert, Kill, KillNow, Pause, Raise, Recalled, Seen, Tell,
    WaitEnded, WaitFailed,
};
use super::{Card, Role, Supervisor};
use crate::brief::Brief;
use crate::conductor::Command;
use crate::fleet::{By, FleetError};
use crate::seat::leave;
use crate::view::State;

impl Handler<Cards> for Supervisor {
    type Result = MessageResult<Cards>;
    fn handle(&mut self, _: Cards, _: &mut Context<Self>) -> Self::Result {
        MessageResult(self.entries.values().map(|entry| entry.card.clone()).collect())
    }
}

impl Handler<Find> for Supervisor {
    type Result = Result<Card, FleetError>;
    fn handle(&mut self, Find { id }: Find, _: &mut Context<Self>) -> Self::Result {
        self.entry(&id).map(|entry| entry.card.clone())
    }
}

impl Handler<Begin> for Supervisor {
    type Result = Result<Begun, FleetError>;
    fn handle(&mut self, Begin { id, config, fresh, auto }: Begin, ctx: &mut Context<Self>) -> Self::Result {
        let (killed, generation) = (self.kill.load(Ordering::Acquire), self.next_generation());
        let entry = self.entry(&id)?;
        if entry.card.state.is_live() && entry.card.state != State::Stopping {
            return Ok(Begun::Already(entry.card.state));
        }
        if entry.card.state == State::Stopping {
            let text = format!("'{id}' is still stopping; try again when it has stopped");
            return Err(FleetError::Conflict { text, code: "wrong_state" });
        }
        if killed && !auto {
            let text = "the kill switch is on; clear it first: supervisor kill clear --confirm RESUME".to_owned();
            return Err(FleetError::Conflict { text, code: "kill_switch" });
        }
        // A custodian gives way, and a retry that waits is not needed any more.
        entry.shut_down();
        entry.renew(generation);
        entry.failures.forgive();
        entry.stop = None;
        entry.is_auto = auto;
        let (sender, receiver) = oneshot::channel();
        entry.starters.push(sender);
        entry.config = config;
        let card = &mut entry.card;
        card.state = State::Starting;
        card.retry_at = None;
        card.note.clear();
        let id = card.spec.id;
        self.bring_up(id, Role::Trader, fresh, ctx);
        Ok(Begun::Soon(receiver))
    }
}

impl Handler<Insert> for Supervisor {
    type Result = Result<(), FleetError>;
    fn handle(&mut self, Insert { config, added }: Insert, _: &mut Context<Self>) -> Self::Result {
        let id = config.spec.id;
        if self.entries.contains_key(&id) {
            let text = format!("a bot named '{id}' is already there; choose another id or remove it first");
            return Err(FleetError::Conflict { text, code: "id_taken" });
        }
        self.insert(config, added);
        Ok(())
    }
}

impl Handler<Recalled> for Supervisor {
    type Result = ();
    fn handle(&mut self, Recalled { id, life, state }: Recalled, _: &mut Context<Self>) {
        let Some(entry) = self.entries.get_mut(&id) else { return };
        if entry.card.state == State::Stopped && entry.card.last.is_none() {
            entry.card.brief = Brief::of(&state, &entry.card.spec);
            entry.card.life = Some(life);
            entry.card.last = Some(state);
        }
    }
}

impl Handler<Forget> for Supervisor {
    type Result = Result<(), FleetError>;
    fn handle(&mut self, Forget { id }: Forget, _: &mut Context<Self>) -> Self::Result {
        let entry = self.entry(&id)?;
        if entry.card.conductor.is_some() || entry.card.state.is_live() {
            let text = format!("'{id}' is {}; stop it first", entry.card.state.word());
            return Err(FleetError::Conflict { text, code: "wrong_state" });
        }
        let (id, account) = (entry.card.spec.id, entry.card.config.account.clone());
        self.entries.remove(&id);
        leave(&self.ledgers, &account, id);
        self.notify_ended();
        Ok(())
    }
}

impl Handler<BeginStop> for Supervisor {
    type Result = Result<Option<oneshot::Receiver<()>>, FleetError>;
    fn handle(&mut self, BeginStop { id, on_stop, by }: BeginStop, _: &mut Context<Self>) -> Self::Result {
        let generation = self.next_generation();
        let entry = self.entry(&id)?;
        if entry.card.state == State::Backoff {
            // What it has is on disk; it need not be brought up only to be stopped.
            entry.renew(generation);
            entry.card.state = State::Stopped;
            entry.card.retry_at = None;
            entry.stop = None;
            entry.release_waiters();
            self.notify_ended();
            return Ok(None);
        }
        if !entry.card.state.is_live() && entry.card.conductor.is_none() {
            return Ok(None);
        }
        if entry.card.conductor.is_none() {
            let text = format!("'{id}' is still starting; try again in a moment");
            return Err(FleetError::Conflict { text, code: "wrong_state" });
        }
        let (sender, receiver) = oneshot::channel();
        entry.waiters.push(sender);
        if entry.card.state != State::Stopping {
            let on_stop = on_stop.unwrap_or_else(|| entry.card.spec.at_stop());
            entry.stop(on_stop, by);
        }
        Ok(Some(receiver))
    }
}

impl Handler<Pause> for Supervisor {
    type Result = Result<(Card, bool), FleetError>;
    fn handle(&mut self, Pause { id, on, by }: Pause, _: &mut Context<Self>) -> Self::Result {
        let killed = self.kill.load(Ordering::Acquire);
        let entry = self.entry(&id)?;
        let card = &mut entry.card;
        let word = if on { "pause" } else { "resume" };
        if killed && !on {
            let text = "the kill switch is on; clear it first: supervisor kill clear --confirm RESUME".to_owned();
            return Err(FleetError::Conflict { text, code: "kill_switch" });
        }
        let ready = matches!(card.state, State::Running | State::Paused | State::Killed);
        let Some(conductor) = card.conductor.clone().filter(|_| ready) else {
            let text = format!("cannot {word} '{id}': it is {}", card.state.word());
            return Err(FleetError::Conflict { text, code: "wrong_state" });
        };
        let changed = card.paused != on;
        if changed {
            card.paused = on;
            let control = if on { Control::Pause } else { Control::Resume };
            conductor.do_send(Command(audit(control, by)));
        }
        let paused = card.paused;
        let state = self.live_state(paused);
        let entry = self.entry(&id)?;
        entry.card.state = state;
        Ok((entry.card.clone(), changed))
    }
}

impl Handler<Tell> for Supervisor {
    type Result = Result<(), FleetError>;
    fn handle(&mut self, Tell { id, control, by }: Tell, _: &mut Context<Self>) -> Self::Result {
        let card = &self.entry(&id)?.card;
        let Some(conductor) = &card.conductor else {
            let text = format!("'{id}' is {}", card.state.word());
            return Err(FleetError::Conflict { text, code: "wrong_state" });
        };
        conductor.do_send(Command(audit(control, by)));
        Ok(())
    }
}

impl Handler<Kill> for Supervisor {
    type Result = MessageResult<Kill>;
    fn handle(&mut self, Kill { status, by }: Kill, _: &mut Context<Self>) -> Self::Result {
        let control = if status.on { Control::Kill } else { Control::ClearKill };
        let text = if status.on { "kill switch ON" } else { "kill switch cleared; bots stay paused" };
        let why = if by.reason.is_empty() { String::new() } else { format!(": {}", by.reason) };
        let severity = if status.on { "critical" } else { "warning" };
        self.alert(severity, "", "kill_switch", format!("{text}, by {}{why}", by.by));
        self.kill_status = status;
        let mut cards = Vec::new();
        for entry in self.entries.values_mut() {
            let live = entry.card.state.is_live();
            if let Some(conductor) = &entry.card.conductor {
                conductor.do_send(Command(audit(control, by.clone())));
                if live && entry.card.state != State::Stopping {
                    entry.card.paused |= control == Control::ClearKill;
                    entry.card.state = if control == Control::Kill { State::Killed } else { State::Paused };
                }
                cards.push(entry.card.clone());
            } else if live || entry.card.state == State::Backoff {
                // It is being built: its launch will find the latch, or that it was cleared meanwhile.
                entry.card.paused |= control == Control::ClearKill;
                cards.push(entry.card.clone());
            }
        }
        MessageResult(cards)
    }
}

impl Handler<KillNow> for Supervisor {
    type Result = MessageResult<KillNow>;
    fn handle(&mut self, _: KillNow, _: &mut Context<Self>) -> Self::Result {
        MessageResult(self.kill_status.clone())
    }
}

impl Handler<Alerts> for Supervisor {
    type Result = MessageResult<Alerts>;
    fn handle(&mut self, Alerts { limit }: Alerts, _: &mut Context<Self>) -> Self::Result {
        let skip = self.alerts.len().saturating_sub(limit);
        MessageResult(self.alerts.iter().skip(skip).cloned().collect())
    }
}

impl Handler<Raise> for Supervisor {
    type Result = ();
    fn handle(&mut self, Raise { severity, instance, code, text }: Raise, _: &mut Context<Self>) {
        self.alert(severity, &instance, code, text);
    }
}

impl Handler<WaitEnded> for Supervisor {
    type Result = MessageResult<WaitEnded>;
    fn handle(&mut self, _: WaitEnded, _: &mut Context<Self>) -> Self::Result {
        let (sender, receiver) = oneshot::channel();
        self.end_waiters.push(sender);
        self.notify_ended();
        MessageResult(receiver)
    }
}

impl Handler<WaitFailed> for Supervisor {
    type Result = MessageResult<WaitFailed>;
    fn handle(&mut self, _: WaitFailed, _: &mut Context<Self>) -> Self::Result {
        let (sender, receiver) = oneshot::channel();
        self.upkeep.wait_failed(sender);
        MessageResult(receiver)
    }
}

impl Handler<Seen> for Supervisor {
    type Result = ();
    fn handle(&mut self, Seen { id, brief }: Seen, _: &mut Context<Self>) {
        if let Some(entry) = self.entries.get_mut(&id).filter(|entry| entry.card.conductor.is_some()) {
            entry.card.brief = brief;
        }
    }
}

pub(super) fn audit(control: Control, by: By) -> Audit {
    let By { by, reason, request } = by;
    Audit::new(control, by, reason, request)
}
