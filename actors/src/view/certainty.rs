//! What is not certain about an instance, and what a person may say about it.

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use crate::balances::Difference;

/// How sure an instance is of its orders and balances.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Certainty {
    /// Orders in doubt: nobody can say whether they are at the venue.
    pub in_doubt: u64,
    /// Orders that the venue is asked about for any reason, those in doubt included.
    pub under_query: u64,
    /// For how long the oldest of them is asked about, seconds of the instance's clock.
    pub oldest_doubt_s: Option<u64>,
    /// Orders whose facts contradict each other; they wait for `resolve-order`.
    pub disputed: u64,
    /// When it was last reconciled, by its clock, ISO 8601: at a venue that may lose messages the last start that is
    /// complete, else the last time that venue, gate and desk counted the same; empty: not yet.
    pub reconciled: String,
    /// Assets that the venue states another amount of.
    pub differences: Vec<Difference>,
    /// Held for orders that may still fill, quote units.
    pub held: Decimal,
}

impl Certainty {
    /// True when nothing is in doubt, disputed or different.
    #[must_use]
    pub const fn is_calm(&self) -> bool {
        self.in_doubt == 0 && self.disputed == 0 && self.differences.is_empty()
    }
}

/// What a person may declare a disputed order to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// Executed whole.
    Filled,
    /// Withdrawn.
    Canceled,
    /// Over by its own terms.
    Expired,
    /// Refused by the venue.
    Rejected,
}
