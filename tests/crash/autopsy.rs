//! What lay on disk when a process died, read from a copy so that the state itself stays as it was found.

use std::path::Path;

use supervisor_core::domain::OrderNo;
use supervisor_core::instance::{Fact, FactRecord};
use supervisor_state::{InstanceKey, StateDir, Store};

use super::durable::Durable;
use super::lab::copy_dir;

/// An order's first answer follows its approval at once, so that a short look back is enough.
const LOOK_BACK: usize = 2_000;

/// A state directory after a death.
#[derive(Clone, Debug, Default)]
pub struct Autopsy {
    /// Orders that were durable and unanswered, `bot/number`.
    pub in_flight: Vec<String>,
    /// The epoch of the newest fact of any bot; 0 without facts.
    pub epoch_of_facts: u32,
    /// Everything that was durable.
    pub durable: Durable,
}

impl Autopsy {
    /// Opens a copy of the state directory.
    pub fn of(state: &Path) -> Self {
        let copy = tempfile::tempdir().unwrap();
        copy_dir(state, copy.path());
        let lock = StateDir::acquire(copy.path()).unwrap();
        let store = Store::open(&lock).unwrap_or_else(|error| panic!("the journal of a killed process: {error}"));
        let durable = Durable::of(&store).unwrap();
        let mut found = Self { durable, ..Self::default() };
        // The supervisor's own alerts are no bot's facts.
        for bot in store.instances().unwrap().iter().filter(|bot| !bot.to_string().starts_with('_')) {
            found.examine(&store, bot);
        }
        found
    }

    fn examine(&mut self, store: &Store, bot: &InstanceKey) {
        let mut answered: Vec<OrderNo> = Vec::new();
        for stored in store.facts_rev(bot).unwrap().take(LOOK_BACK).map(Result::unwrap) {
            self.epoch_of_facts = self.epoch_of_facts.max(stored.epoch);
            let record: FactRecord = postcard::from_bytes(&stored.payload).unwrap();
            let Some(order) = record.fact.order() else { continue };
            let is_approval = matches!(record.fact, Fact::Approved { .. });
            if is_approval && !answered.contains(&order) {
                self.in_flight.push(format!("{bot}/{}", order.0));
            } else if !is_approval {
                answered.push(order);
            }
        }
    }
}

/// The epoch that the state directory's mark names; 0 without one.
pub fn epoch_mark(state: &Path) -> u32 {
    let text = std::fs::read_to_string(state.join("epoch")).unwrap_or_default();
    text.split(' ').next().and_then(|number| number.parse().ok()).unwrap_or(0)
}
