//! The life of an order at a venue beyond a network, one named scenario each.
//!
//! A scenario is a script: what the venue tells, in its natural order, and what the bot records and sends at each step.
//! Each is played as written, then with its news in every order, doubled, lost, and with a restart between each two
//! steps and after each fact. However it is played, it ends as the venue's own books say.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may stop at what cannot be")]

mod common;

#[path = "scenarios/bench.rs"]
mod bench;
#[path = "scenarios/cancels.rs"]
mod cancels;
#[path = "scenarios/corrections.rs"]
mod corrections;
#[path = "scenarios/doubts.rs"]
mod doubts;
#[path = "scenarios/ends.rs"]
mod ends;
#[path = "scenarios/fills.rs"]
mod fills;
#[path = "scenarios/late.rs"]
mod late;
#[path = "scenarios/play.rs"]
mod play;
#[path = "scenarios/script.rs"]
mod script;
#[path = "scenarios/settling.rs"]
mod settling;
#[path = "scenarios/timing.rs"]
mod timing;
