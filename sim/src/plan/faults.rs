//! Which faults a seed has, and at which rates.

use supervisor_core::spec::IdClass;

use super::{BEGIN, CrashPlan, Dice, DiskPlan};
use crate::clock::Shape;
use crate::network::{FaultPlan, Span};
use crate::venue::{VenueConfig, VenueRates};

/// Chance, per mille, that a kind of fault is on.
const ON: u64 = 450;

/// What the venue does that nobody asked for, and its rules.
pub(super) fn venue(dice: &mut Dice, venue: &mut VenueConfig) {
    venue.ids = dice.pick(&[IdClass::Unique, IdClass::Open]);
    if dice.is(250) {
        venue.burst = u32::try_from(dice.span(10, 30)).unwrap_or(10);
        venue.per_second = u32::try_from(dice.span(3, 10)).unwrap_or(3);
    }
    venue.rates = VenueRates {
        jump: dice.rate(ON, 1, 10),
        partial: dice.rate(800, 100, 700),
        touch: dice.rate(900, 100, 800),
        thin: dice.rate(ON, 20, 300),
        pending: dice.rate(ON, 20, 300),
        armed: dice.rate(ON, 100, 900),
        pending_ms: dice.span(50, 3_000),
        late_reject: dice.rate(ON, 100, 900),
        held: dice.rate(ON, 10, 80),
        lagging: dice.rate(ON, 20, 400),
        forgetful: dice.rate(ON, 50, 800),
        own_cancel: dice.rate(ON, 5, 60),
        own_expiry: dice.rate(ON, 5, 60),
        own_ms: dice.span(1_000, 60_000),
        bust: dice.rate(200, 2, 20),
        bust_ms: dice.span(500, 60_000),
        overfill: dice.rate(100, 1, 6),
        human_ms: if dice.is(ON) { dice.span(10_000, 90_000) } else { 0 },
    };
}

/// What the network does to messages.
pub(super) fn network(dice: &mut Dice) -> FaultPlan {
    let to_ms = dice.pick(&[20, 80, 400]);
    let way = Span { from_ms: 1, to_ms };
    FaultPlan {
        request: way,
        answer: way,
        news: way,
        lost_request: dice.rate(ON, 5, 100),
        lost_answer: dice.rate(ON, 5, 100),
        busy: dice.rate(ON, 5, 80),
        busy_worked: dice.rate(900, 100, 900),
        limited: dice.rate(ON, 5, 80),
        slow: dice.rate(ON, 10, 150),
        slow_ms: dice.span(500, 8_000),
        stream_drop: dice.rate(ON, 5, 300),
        stream_duplicate: dice.rate(ON, 5, 500),
        stream_reorder: dice.rate(ON, 10, 300),
        reorder_ms: dice.span(20, 5_000),
        late_fill: dice.rate(ON, 5, 80),
        late_fill_ms: dice.pick(&[5_000, 60_000, 600_000]),
        price_drop: dice.rate(ON, 5, 300),
        cut_private_ms: if dice.is(ON) { dice.span(30_000, 300_000) } else { 0 },
        cut_public_ms: if dice.is(ON) { dice.span(60_000, 400_000) } else { 0 },
        outage_ms: if dice.is(200) { dice.span(60_000, 400_000) } else { 0 },
        cut: Span { from_ms: 500, to_ms: dice.pick(&[5_000, 40_000]) },
    }
}

/// How the disk fails.
pub(super) fn disk(dice: &mut Dice) -> DiskPlan {
    DiskPlan {
        sync_ms: dice.span(1, 10),
        sync_more_ms: dice.pick(&[5, 50, 200]),
        stall: u64::from(dice.rate(ON, 1, 20)),
        stall_ms: dice.span(500, 6_000),
        error: u64::from(dice.rate(300, 2, 40)),
        full_every_ms: if dice.is(300) { dice.span(150_000, 500_000) } else { 0 },
        full_ms: dice.span(1_000, 30_000),
        torn: u64::from(dice.rate(700, 100, 900)),
        snapshot_facts: u64::try_from(dice.pick(&[150, 400, 1_000])).unwrap_or(400),
    }
}

/// Every seed has crashes; how often, how long it is down, and whether it crashes again on its way up are drawn.
pub(super) fn crash(dice: &mut Dice) -> CrashPlan {
    CrashPlan {
        every_ms: dice.span(90_000, 400_000),
        down_ms: dice.pick(&[500, 5_000, 40_000]),
        again: u64::from(dice.rate(ON, 50, 400)),
    }
}

/// How the clock of the process errs.
pub(super) fn clock(dice: &mut Dice, active_ms: i64) -> Shape {
    let from = BEGIN + dice.span(30_000, active_ms / 2);
    match dice.span(0, 9) {
        0..=3 => Shape::Right,
        4 => Shape::Step { by_ms: dice.span(-30_000, 30_000), from, until: from + dice.span(1_000, 60_000) },
        5..=6 => Shape::Step { by_ms: dice.span(-900, 900), from, until: from + dice.span(1_000, 300_000) },
        7 => Shape::Drift { ppm: dice.span(-500, 500), from },
        _ => Shape::Noise { most_ms: dice.span(1, 150) },
    }
}
