//! Whether what we count is what the venue states.
//!
//! Owns the opening statement and the differences. Promises: each statement is compared with the sum of what the
//! instances hold and what nobody holds; a difference lasts until a statement agrees, and nothing else ends it. Never:
//! corrects a holding to please a statement; compares one that is older than the newest execution that counts.

use std::collections::{BTreeMap, BTreeSet};

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use super::Balance;
use crate::domain::{Asset, Timestamp};

/// A difference that lasts for so long stands, even if its amount never stays the same, ms.
const STANDING_MS: i64 = 60_000;

/// An asset of which the venue states another amount than we expect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    /// What the instances and nobody hold together.
    pub expected: Decimal,
    /// What the venue states.
    pub stated: Decimal,
    /// When the first statement in a row did not agree, by our clock.
    pub since: Timestamp,
    /// True while it may be an execution that has not been told yet: two statements in a row that differ by the same
    /// amount end that.
    pub since_pending: bool,
}

impl Difference {
    /// How much more the venue states.
    #[must_use]
    pub fn amount(&self) -> Decimal {
        self.stated - self.expected
    }
}

/// What came of a statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BalanceNews {
    /// It is the opening: from this moment of the venue on, every change must be explained.
    Opened(Timestamp),
    /// A difference stands.
    Differs(Asset, Difference),
    /// A difference that stood is gone, after so long, ms.
    Agrees(Asset, i64),
}

/// What is expected and what is stated, per asset.
pub(super) type Sheet = BTreeMap<Asset, (Decimal, Decimal)>;

/// See the module.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Comparison {
    opening: Option<Timestamp>,
    /// Newest execution that counts, by the venue's clock.
    newest: Timestamp,
    compared: Option<Timestamp>,
    differences: BTreeMap<Asset, Difference>,
}

impl Comparison {
    /// From which moment of the venue on every change must be explained.
    pub const fn opening(&self) -> Option<Timestamp> {
        self.opening
    }

    /// Newest statement that was compared, by the venue's clock.
    pub const fn compared(&self) -> Option<Timestamp> {
        self.compared
    }

    /// Assets that differ.
    pub const fn differences(&self) -> &BTreeMap<Asset, Difference> {
        &self.differences
    }

    /// An execution counts.
    pub fn counted(&mut self, when: Timestamp) {
        self.newest = self.newest.max(when);
    }

    /// False for a statement that cannot have all that counts, or that is older than one which was compared.
    pub fn is_comparable(&self, as_of: Timestamp) -> bool {
        as_of > self.newest && self.compared.is_none_or(|compared| as_of >= compared)
    }

    /// Both sides of a statement; it is whole, so an asset that it does not name is at zero.
    pub fn sheet(stated: &[Balance], ours: &BTreeSet<Asset>, expected: impl Fn(Asset) -> Decimal) -> Sheet {
        let named = stated.iter().map(|balance| balance.asset);
        let assets: BTreeSet<Asset> = named.chain(ours.iter().copied()).collect();
        let total = |asset| stated.iter().filter(|b| b.asset == asset).map(|b| b.total).sum();
        assets.into_iter().map(|asset| (asset, (expected(asset), total(asset)))).collect()
    }

    /// The first statement is the opening; answers how much of each asset it has that nobody holds yet.
    pub fn open(&mut self, as_of: Timestamp, sheet: &Sheet) -> BTreeMap<Asset, Decimal> {
        (self.opening, self.compared) = (Some(as_of), Some(as_of));
        sheet.iter().map(|(asset, (expected, stated))| (*asset, stated - expected)).collect()
    }

    /// True for an execution that the opening statement has in it.
    pub fn is_in_opening(&self, when: Timestamp) -> bool {
        self.opening.is_some_and(|opening| when <= opening)
    }

    /// Compares a statement after the opening.
    pub fn compare(&mut self, at: Timestamp, as_of: Timestamp, sheet: &Sheet) -> Vec<BalanceNews> {
        self.compared = Some(as_of);
        sheet.iter().filter_map(|(asset, (expected, stated))| self.judge(at, *asset, *expected, *stated)).collect()
    }

    fn judge(&mut self, at: Timestamp, asset: Asset, expected: Decimal, stated: Decimal) -> Option<BalanceNews> {
        let before = self.differences.remove(&asset);
        if expected == stated {
            let stood = before.filter(|difference| !difference.since_pending)?;
            return Some(BalanceNews::Agrees(asset, at.since(stood.since)));
        }
        let fresh = Difference { expected, stated, since: at, since_pending: true };
        let difference = before.map_or(fresh, |before| {
            let same = before.amount() == fresh.amount();
            let lasts = at.since(before.since) >= STANDING_MS;
            Difference { since: before.since, since_pending: before.since_pending && !same && !lasts, ..fresh }
        });
        self.differences.insert(asset, difference);
        let stands = !difference.since_pending && before.is_none_or(|before| before.since_pending);
        stands.then_some(BalanceNews::Differs(asset, difference))
    }
}
