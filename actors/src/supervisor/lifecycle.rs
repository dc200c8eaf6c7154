//! What instances tell the supervisor actor: who their actors are, and their end.

use std::sync::Arc;

use actix::{Context, Handler};

use super::messages::Switches;
use super::{Role, Supervisor};
use crate::conductor::{End, Finished};
use crate::view::State;

impl Handler<Switches> for Supervisor {
    type Result = ();
    fn handle(&mut self, Switches { id, generation, switches }: Switches, _: &mut Context<Self>) {
        if let Some(entry) = self.entries.get_mut(&id).filter(|entry| entry.card.generation == generation) {
            entry.switches = switches;
        }
    }
}

impl Handler<Finished> for Supervisor {
    type Result = ();
    fn handle(&mut self, finished: Finished, _: &mut Context<Self>) {
        let Finished { spec, generation, end, state, brief, error, left } = finished;
        let id = spec.id;
        let Some(entry) = self.entries.get_mut(&id).filter(|entry| entry.card.generation == generation) else { return };
        let card = &mut entry.card;
        card.conductor = None;
        card.spec = spec;
        card.ended = end == End::Feed;
        card.last = state.map(Arc::from);
        entry.switches.clear();
        entry.stop = None;
        if end == End::Unrecorded {
            card.state = State::Quarantined;
            card.note = error.clone().unwrap_or_else(|| "the recorder refused its facts".to_owned());
        } else {
            card.brief = *brief;
            // The custodian of an ended feed has nothing left to do; the bot still waits for somebody to look.
            card.state = match (entry.role, end) {
                (Role::Custodian, End::Feed) => State::Quarantined,
                (Role::Custodian | Role::Trader, _) => State::Stopped,
            };
        }
        if end == End::Feed && entry.role == Role::Trader {
            card.note = "its feed has ended".to_owned();
        }
        if let Some(left) = &left {
            card.note.clone_from(left);
        }
        entry.release_waiters();
        if let Some(left) = left {
            self.alert("warning", id.as_str(), "stop.incomplete", left);
        }
        if let Some(error) = error {
            let code = if end == End::Unrecorded { "recorder.failed" } else { "snapshot.failed" };
            self.alert("critical", id.as_str(), code, error);
        }
        self.notify_ended();
    }
}
