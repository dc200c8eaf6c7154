//! What schema version 1 wrote, as far as it differs from version 2.

use serde::Deserialize;
use supervisor_core::domain::{Quotes, Timestamp};
use supervisor_core::instance::{Custody, Mark};

use super::v2;

/// A snapshot: without a version, a digest and the number of the life.
#[derive(Deserialize)]
pub struct Saved {
    pub spec: v2::Spec,
    pub feed: String,
    state: State,
}

#[derive(Deserialize)]
struct State {
    mark: OldMark,
    scheduler: v2::Scheduler,
    stages: v2::Stages,
}

/// Without custody and the number of messages.
#[derive(Deserialize)]
struct OldMark {
    quotes: Quotes,
    watch: bool,
    kill_told: bool,
    clock: Timestamp,
    inputs: u64,
    facts: u64,
}

impl Saved {
    /// Settings, origin of the prices and state, as version 2 has them.
    pub fn lifted(self) -> (v2::Spec, String, v2::State) {
        let Self { spec, feed, state: State { mark, scheduler, stages } } = self;
        let OldMark { quotes, watch, kill_told, clock, inputs, facts } = mark;
        let mark = Mark { quotes, watch, kill_told, custody: Custody::Off, clock, inputs, steps: 0, facts };
        (spec, feed, v2::State { mark, scheduler, stages })
    }
}
