//! What the venue will do by itself, and when.
//!
//! Promises: the earliest comes first, among equals the one that was noted first. Never: does anything itself.

use std::collections::BTreeMap;

use supervisor_core::domain::Timestamp;

use super::AccountIx;
use super::place::Wish;

/// Something that is due.
#[derive(Clone, Copy, Debug)]
pub(super) enum Due {
    /// The next step of all prices.
    Prices,
    /// A request that waited in the engine is worked on.
    Birth(Wish),
    /// A pending order goes live.
    Activate(usize),
    /// An acknowledged post-only order is refused.
    Refuse(usize),
    /// The venue withdraws an order on its own.
    OwnCancel(usize),
    /// An order expires on its own.
    OwnExpiry(usize),
    /// An execution is declared void: whose, and which of the account.
    Bust(AccountIx, usize),
    /// A person does something on the account.
    Human(AccountIx),
}

impl Due {
    /// True for what a well-behaved venue would not do.
    const fn is_own_doing(self) -> bool {
        match self {
            Self::OwnCancel(_) | Self::OwnExpiry(_) | Self::Bust(..) | Self::Human(_) => true,
            Self::Prices | Self::Birth(_) | Self::Activate(_) | Self::Refuse(_) => false,
        }
    }
}

/// What is due when.
#[derive(Clone, Debug, Default)]
pub(super) struct Agenda {
    noted: u64,
    due: BTreeMap<(Timestamp, u64), Due>,
}

impl Agenda {
    /// Notes something.
    pub(super) fn note(&mut self, at: Timestamp, due: Due) {
        self.noted += 1;
        self.due.insert((at, self.noted), due);
    }

    /// The next thing that is due by then, taken out.
    pub(super) fn pop_until(&mut self, until: Timestamp) -> Option<(Timestamp, Due)> {
        let (at, _) = *self.due.first_key_value()?.0;
        let due = if at <= until { self.due.pop_first() } else { None };
        due.map(|((at, _), due)| (at, due))
    }

    /// When the next thing is due.
    pub(super) fn next(&self) -> Option<Timestamp> {
        self.due.first_key_value().map(|((at, _), _)| *at)
    }

    /// Drops what the venue would do on its own.
    pub(super) fn drop_own_doings(&mut self) {
        self.due.retain(|_, due| !due.is_own_doing());
    }

    /// Drops the requests that wait in the engine.
    pub(super) fn drop_births(&mut self) {
        self.due.retain(|_, due| !matches!(due, Due::Birth(_)));
    }
}
