//! One account: what it holds, what is locked by its orders, its executions, and how many requests it may send.
//!
//! Owns the totals and every movement of them. Promises: a total is the start plus all movements, so that it can be
//! told for any earlier moment. Never: decides whether a movement is right.

use std::collections::BTreeMap;

use rust_decimal::Decimal;
use supervisor_core::domain::{Asset, ClientId, Timestamp};
use supervisor_core::ledger::Balance;

use super::TrueTrade;

/// One movement of a total.
#[derive(Clone, Copy, Debug)]
struct Movement {
    at: Timestamp,
    asset: Asset,
    change: Decimal,
}

/// One account.
#[derive(Clone, Debug)]
pub(super) struct Account {
    totals: BTreeMap<Asset, Decimal>,
    locked: BTreeMap<Asset, Decimal>,
    movements: Vec<Movement>,
    /// Every execution, oldest first.
    pub(super) trades: Vec<TrueTrade>,
    /// Positions of the orders born under each name, oldest first.
    pub(super) names: BTreeMap<ClientId, Vec<usize>>,
    /// Positions of the orders that live, or lived until lately.
    pub(super) recent: Vec<usize>,
    /// Who may send how many requests.
    pub(super) bucket: Bucket,
}

impl Account {
    /// With what it holds at the start.
    pub(super) fn new(totals: BTreeMap<Asset, Decimal>, bucket: Bucket) -> Self {
        Self {
            totals,
            locked: BTreeMap::new(),
            movements: Vec::new(),
            trades: Vec::new(),
            names: BTreeMap::new(),
            recent: Vec::new(),
            bucket,
        }
    }

    /// Free and locked together.
    pub(super) const fn totals(&self) -> &BTreeMap<Asset, Decimal> {
        &self.totals
    }

    /// What no order holds.
    pub(super) fn free(&self, asset: Asset) -> Decimal {
        let of = |amounts: &BTreeMap<Asset, Decimal>| amounts.get(&asset).copied().unwrap_or_default();
        of(&self.totals) - of(&self.locked)
    }

    /// Locks so much more (less, when negative).
    pub(super) fn lock(&mut self, asset: Asset, change: Decimal) {
        *self.locked.entry(asset).or_default() += change;
    }

    /// Moves a total.
    pub(super) fn book(&mut self, at: Timestamp, asset: Asset, change: Decimal) {
        *self.totals.entry(asset).or_default() += change;
        self.movements.push(Movement { at, asset, change });
    }

    /// The totals at the end of that millisecond.
    pub(super) fn as_of(&self, at: Timestamp) -> Vec<Balance> {
        let mut totals = self.totals.clone();
        for movement in self.movements.iter().rev().take_while(|movement| movement.at > at) {
            *totals.entry(movement.asset).or_default() -= movement.change;
        }
        totals.into_iter().map(|(asset, total)| Balance { asset, total }).collect()
    }
}

/// Requests that may still be sent: a token bucket in thousandths.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bucket {
    burst: u32,
    per_second: u32,
    level: i64,
    at: Timestamp,
}

impl Bucket {
    /// A full one; without limit when either figure is 0.
    pub(super) fn new(burst: u32, per_second: u32, at: Timestamp) -> Self {
        Self { burst, per_second, level: i64::from(burst) * 1_000, at }
    }

    /// Takes one request, or says after how many ms the next one is taken.
    pub(super) fn take(&mut self, now: Timestamp) -> Result<(), i64> {
        let rate = i64::from(self.per_second);
        if self.burst == 0 || rate == 0 {
            return Ok(());
        }
        let gained = now.since(self.at).saturating_mul(rate);
        self.level = self.level.saturating_add(gained).min(i64::from(self.burst) * 1_000);
        self.at = now;
        if self.level < 1_000 {
            return Err((1_000 - self.level + rate - 1) / rate);
        }
        self.level -= 1_000;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_says_when_the_next_request_is_taken() {
        let at = Timestamp::from_millis;
        let mut bucket = Bucket::new(2, 4, at(0));
        assert_eq!([bucket.take(at(0)), bucket.take(at(0)), bucket.take(at(0))], [Ok(()), Ok(()), Err(250)]);
        assert_eq!([bucket.take(at(249)), bucket.take(at(250)), bucket.take(at(250))], [Err(1), Ok(()), Err(250)]);
        assert_eq!([bucket.take(at(90_000)), bucket.take(at(90_000))], [Ok(()), Ok(())]);
        assert!(bucket.take(at(90_000)).is_err(), "a long pause gives no more than a burst");
        let mut free = Bucket::new(0, 4, at(0));
        assert!((0..100).all(|_| free.take(at(0)).is_ok()));
    }

    #[test]
    fn a_total_can_be_told_for_an_earlier_moment() {
        let asset: Asset = "USDT".parse().unwrap();
        let mut account =
            Account::new(BTreeMap::from([(asset, Decimal::TEN)]), Bucket::new(0, 0, Timestamp::default()));
        account.book(Timestamp::from_millis(5), asset, Decimal::ONE);
        account.book(Timestamp::from_millis(7), asset, Decimal::TWO);
        let told = |at| account.as_of(Timestamp::from_millis(at)).first().map(|balance| balance.total);
        assert_eq!([4, 5, 6, 7].map(|at| told(at).unwrap()), [10, 11, 11, 13].map(Decimal::from));
        account.lock(asset, Decimal::from(4));
        assert_eq!(account.free(asset), Decimal::from(9));
    }
}
