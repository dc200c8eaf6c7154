//! What instances tell the supervisor actor: their end, and the death of their actors.

use std::sync::Arc;

use actix::{AsyncContext, Context, Handler};

use super::Supervisor;
use super::messages::{Saved, Switches};
use crate::conductor::{End, Finished};
use crate::guard::Down;
use crate::prepare::save;
use crate::stage::Shutdown;
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
    fn handle(&mut self, finished: Finished, ctx: &mut Context<Self>) {
        let Finished { spec, generation, end, state, brief, error } = finished;
        let id = spec.id;
        let Some(entry) = self.entries.get_mut(&id).filter(|entry| entry.card.generation == generation) else { return };
        let card = &mut entry.card;
        card.conductor = None;
        card.ended = end == End::Feed;
        card.last = state.map(Arc::from);
        if end != End::Unrecorded {
            card.brief = *brief;
        }
        card.state = if end == End::Unrecorded { State::Quarantined } else { State::Stopped };
        if end == End::Feed {
            card.note = "its feed has ended".to_owned();
        }
        let Some(last) = card.last.clone() else {
            entry.release_waiters();
            let text = error.unwrap_or_else(|| "no state was collected".to_owned());
            if let Some(entry) = self.entries.get_mut(&id) {
                entry.card.note.clone_from(&text);
            }
            self.alert("critical", id.as_str(), "recorder.failed", text);
            self.notify_ended();
            return;
        };
        entry.saving = true;
        let config = card.config.clone();
        let (store, recorder, home) = (self.store.clone(), self.recorder.clone(), ctx.address());
        actix::spawn(async move {
            let saved = tokio::task::spawn_blocking(move || save(&store, &recorder, &config, &last)).await;
            let error = match saved {
                Ok(Ok(())) => None,
                Ok(Err(error)) => Some(error.to_string()),
                Err(error) => Some(error.to_string()),
            };
            home.do_send(Saved { id, error });
        });
    }
}

impl Handler<Saved> for Supervisor {
    type Result = ();
    fn handle(&mut self, Saved { id, error }: Saved, _: &mut Context<Self>) {
        if let Some(error) = error {
            self.alert("critical", id.as_str(), "snapshot.failed", error);
        }
        if let Some(entry) = self.entries.get_mut(&id) {
            entry.saving = false;
            entry.release_waiters();
        }
        self.notify_ended();
    }
}

impl Handler<Down> for Supervisor {
    type Result = ();
    fn handle(&mut self, down: Down, _: &mut Context<Self>) {
        let Some(panic) = down.panic else { return };
        let Some(entry) = self.entries.get_mut(&down.instance).filter(|e| e.card.generation == down.generation) else {
            return;
        };
        // One of the five is gone: the others go, too. Nothing is taken over from a live object.
        for switch in entry.switches.drain(..) {
            switch.do_send(Shutdown);
        }
        if let Some(conductor) = entry.card.conductor.take() {
            conductor.do_send(Shutdown);
        }
        entry.card.state = State::Quarantined;
        entry.card.note = format!("{} actor panicked: {panic}", down.actor);
        entry.card.last = None;
        let text = entry.card.note.clone();
        entry.release_waiters();
        self.alert("critical", down.instance.as_str(), "actor.panicked", text);
        self.notify_ended();
    }
}
