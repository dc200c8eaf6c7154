//! What one seed holds: bots, accounts, and which faults are on at which rate.
//!
//! Each kind of fault is first drawn on or off and then gets a rate (a swarm): with everything on at once, what needs a
//! long quiet spell never happens. Promises: the plan is a function of the seed. Never: a fault without a rate here.

mod faults;
mod specs;

use supervisor_core::domain::Timestamp;
use supervisor_core::sim::SeededRng;
use supervisor_core::spec::InstanceSpec;

use crate::clock::Shape;
use crate::network::FaultPlan;
use crate::venue::VenueConfig;

/// First moment of every world: 2025-03-03T10:00:00Z.
pub const BEGIN: Timestamp = Timestamp::from_millis(1_740_996_000_000);

/// One concern's own chance, so that a change in one does not shift all.
#[derive(Clone, Copy, Debug)]
pub enum Stream {
    /// The plan itself.
    Plan = 1,
    /// The venue.
    Venue,
    /// The network.
    Network,
    /// The disk.
    Disk,
    /// Crashes and restarts.
    Crash,
    /// Operators.
    Operator,
    /// The clock of the process.
    Clock,
    /// The wild bots; each takes one of its own from here on.
    Bots,
}

impl Stream {
    /// Its generator.
    #[must_use]
    pub fn of(self, seed: u64) -> SeededRng {
        SeededRng::stream(seed, self as u64)
    }
}

/// Who decides for a bot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mind {
    /// Its strategy.
    Strategy,
    /// A generator that wants orders about this often, ms.
    Wild(i64),
}

/// One bot.
#[derive(Clone, Debug)]
pub struct BotPlan {
    /// What it is.
    pub spec: InstanceSpec,
    /// Position of its account.
    pub account: usize,
    /// Who decides.
    pub mind: Mind,
}

/// How the disk behaves. Shares are per mille of syncs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DiskPlan {
    /// A sync takes at least this, ms.
    pub sync_ms: i64,
    /// And up to this much more.
    pub sync_more_ms: i64,
    /// Syncs that stall.
    pub stall: u64,
    /// A stall takes up to this, ms.
    pub stall_ms: i64,
    /// Of 100,000 syncs, those that fail.
    pub error: u64,
    /// The disk is full about this often, ms; 0: never.
    pub full_every_ms: i64,
    /// For so long at most, ms.
    pub full_ms: i64,
    /// Of crashes with unsynced writes, those that tear the first lost one, per mille.
    pub torn: u64,
    /// Facts of an instance between two snapshots.
    pub snapshot_facts: u64,
}

/// When the process dies and what people do to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CrashPlan {
    /// Mean time between two crashes, ms.
    pub every_ms: i64,
    /// Down for up to this, ms.
    pub down_ms: i64,
    /// Of starts, those that crash on their way, per mille.
    pub again: u64,
}

/// Everything of one seed.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The seed.
    pub seed: u64,
    /// Length of the time with faults, ms; longer until the minimums of a seed are reached.
    pub active_ms: i64,
    /// The venue.
    pub venue: VenueConfig,
    /// Mean time between two restarts of the venue, ms; 0: never.
    pub venue_restart_ms: i64,
    /// The network.
    pub network: FaultPlan,
    /// The disk.
    pub disk: DiskPlan,
    /// Crashes.
    pub crash: CrashPlan,
    /// An operator does something about this often, ms.
    pub operator_ms: i64,
    /// The clock of the process.
    pub clock: Shape,
    /// The bots, by name.
    pub bots: Vec<BotPlan>,
    /// Prices reach the bots about this often, ms.
    pub point_ms: i64,
    /// Length of their candles, ms.
    pub candle_ms: i64,
}

impl Plan {
    /// The plan of a seed.
    #[must_use]
    pub fn draw(seed: u64) -> Self {
        let mut dice = Dice(Stream::Plan.of(seed));
        let active_ms = dice.span(480_000, 960_000);
        let mut venue = specs::venue(&mut dice);
        faults::venue(&mut dice, &mut venue);
        let traits = specs::traits(&mut dice, &venue);
        let candle_ms = dice.pick(&[5_000, 10_000, 15_000]);
        let bots = specs::bots(&mut dice, &mut venue, traits, candle_ms);
        Self {
            seed,
            active_ms,
            venue_restart_ms: if dice.is(300) { dice.span(120_000, 500_000) } else { 0 },
            network: faults::network(&mut dice),
            disk: faults::disk(&mut dice),
            crash: faults::crash(&mut dice),
            operator_ms: dice.span(15_000, 90_000),
            clock: faults::clock(&mut dice, active_ms),
            point_ms: dice.pick(&[1_000, 2_000, 3_000]),
            candle_ms,
            venue,
            bots,
        }
    }
}

/// Draws of a plan and of whoever acts by chance.
#[derive(Clone, Debug)]
pub struct Dice(pub SeededRng);

impl Dice {
    /// True for so many of a thousand.
    pub fn is(&mut self, per_mille: u64) -> bool {
        self.0.below(1_000) < per_mille
    }

    /// A number from `from` to `to`, both in it.
    pub fn span(&mut self, from: i64, to: i64) -> i64 {
        let wide = u64::try_from(to.saturating_sub(from).saturating_add(1)).unwrap_or(1);
        from + self.0.below(wide).cast_signed()
    }

    /// A rate from `from` to `to` with this chance, else 0.
    pub fn rate(&mut self, per_mille: u64, from: i64, to: i64) -> u32 {
        let rate = self.span(from, to);
        if self.is(per_mille) { u32::try_from(rate).unwrap_or(0) } else { 0 }
    }

    /// One of these; they must not be empty.
    pub fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        let at = self.0.below(of.len() as u64);
        of[usize::try_from(at).unwrap_or(0)]
    }

    /// A waiting time with this mean, ms: anything from a tenth of it to almost twice it.
    pub fn wait(&mut self, mean_ms: i64) -> i64 {
        self.span(mean_ms / 10, mean_ms * 19 / 10).max(1)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;

    #[test]
    fn every_plan_has_bots_accounts_and_a_shared_book() {
        for seed in 0..200 {
            let plan = Plan::draw(seed);
            assert!(plan.bots.len() >= 5, "seed {seed}: {} bots", plan.bots.len());
            let mut shared: BTreeMap<_, u32> = BTreeMap::new();
            for bot in &plan.bots {
                for instrument in &bot.spec.instruments {
                    *shared.entry((bot.account, instrument.symbol)).or_default() += 1;
                }
            }
            let accounts: BTreeSet<usize> = plan.bots.iter().map(|bot| bot.account).collect();
            assert!(accounts.len() >= 2, "seed {seed}: {accounts:?}");
            assert!(shared.values().any(|count| *count > 1), "seed {seed}: {shared:?}");
            let names: BTreeSet<_> = plan.bots.iter().map(|bot| bot.spec.id).collect();
            assert_eq!(names.len(), plan.bots.len(), "seed {seed}");
        }
    }

    #[test]
    fn a_plan_is_a_function_of_its_seed() {
        let text = |seed| format!("{:?}", Plan::draw(seed));
        assert_eq!(text(7), text(7));
        assert_ne!(text(7), text(8));
    }
}
