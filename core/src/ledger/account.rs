//! What each instance holds of the account: its virtual positions, its virtual cash, and which order numbers it gave.
//!
//! Promises: every fact of an instance counts once, in its order; what an instance holds is its capital and its own
//! executions, to the last digit. Never: what others traded.

use std::collections::BTreeMap;

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use super::VenueTrade;
use crate::domain::{Asset, Fill, InstrumentIx, Notional, OrderNo, Qty, Side, Symbol};
use crate::spec::{Capital, InstanceSpec};

/// Starts of an instance whose order numbers are told apart.
const EPOCHS_KEPT: usize = 64;

/// One instrument of an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// The venue's word for it.
    pub symbol: Symbol,
    /// What is bought and sold.
    pub base: Asset,
    /// What it is paid in.
    pub quote: Asset,
    /// Base units; negative while short, which no instance is today.
    pub position: Qty,
    /// Quote units received (negative: paid) for holding the position. No venue with funding is traded yet: zero.
    pub funding: Notional,
    /// Quote units that the position locks. No venue with margin is traded yet: zero.
    pub margin: Notional,
}

/// One instance of the account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    lines: Vec<Line>,
    cash: Notional,
    capital: Capital,
    followed: u64,
    last: OrderNo,
    epoch: u32,
    /// The newest number given before each epoch.
    floors: BTreeMap<u32, OrderNo>,
}

/// What changes hands in one execution: base units and quote units, from the owner's side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Flow {
    pub base: Qty,
    pub quote: Notional,
}

impl Flow {
    /// A purchase brings base and costs its price and the fee; a sale brings its price less the fee.
    pub fn of(side: Side, notional: Notional, qty: Qty, fee: Notional) -> Self {
        match side {
            Side::Buy => Self { base: qty, quote: -(notional + fee) },
            Side::Sell => Self { base: -qty, quote: notional - fee },
        }
    }

    /// The other way.
    pub fn back(self) -> Self {
        Self { base: -self.base, quote: -self.quote }
    }
}

impl From<&VenueTrade> for Flow {
    fn from(trade: &VenueTrade) -> Self {
        Self::of(trade.side, trade.price * trade.qty, trade.qty, trade.fee)
    }
}

impl From<&Fill> for Flow {
    fn from(fill: &Fill) -> Self {
        Self::of(fill.side, fill.notional(), fill.qty, fill.fee)
    }
}

impl Member {
    /// An instance that has not traded.
    /// One of the same name that was there `before` gave its numbers in other epochs.
    pub(super) fn new(spec: &InstanceSpec, epoch: u32, before: Option<Self>) -> Self {
        let line = |instrument: &crate::domain::Instrument| Line {
            symbol: instrument.symbol,
            base: instrument.base,
            quote: instrument.quote,
            position: Qty::ZERO,
            funding: Notional::ZERO,
            margin: Notional::ZERO,
        };
        let mut lines: Vec<Line> = spec.instruments.iter().map(line).collect();
        if let Some(first) = lines.first_mut() {
            first.position = spec.capital.base;
        }
        let mut floors = before.as_ref().map(|before| before.floors.clone()).unwrap_or_default();
        floors.insert(epoch, before.map_or(OrderNo(0), |before| before.last));
        Self { lines, cash: spec.capital.quote, capital: spec.capital, followed: 0, last: OrderNo(0), epoch, floors }
    }

    /// Its instruments, in the order of their `InstrumentIx`.
    #[must_use]
    pub fn lines(&self) -> &[Line] {
        &self.lines
    }

    /// One instrument.
    #[must_use]
    pub fn line(&self, ix: InstrumentIx) -> Option<&Line> {
        self.lines.get(ix.at())
    }

    /// Quote units, holds included.
    #[must_use]
    pub const fn cash(&self) -> Notional {
        self.cash
    }

    /// What it was given of the account.
    #[must_use]
    pub const fn capital(&self) -> Capital {
        self.capital
    }

    /// Number of the newest fact that counts.
    #[must_use]
    pub const fn followed(&self) -> u64 {
        self.followed
    }

    /// The epoch of its orders to come.
    #[must_use]
    pub const fn epoch(&self) -> u32 {
        self.epoch
    }

    /// What it holds of an asset, base and quote together.
    #[must_use]
    pub fn holds(&self, asset: Asset) -> Decimal {
        let base: Qty = self.lines.iter().filter(|line| line.base == asset).map(|line| line.position).sum();
        base.get() + if self.quote() == Some(asset) { self.cash.get() } else { Decimal::ZERO }
    }

    /// The asset of its cash: all its instruments have the same.
    #[must_use]
    pub fn quote(&self) -> Option<Asset> {
        self.lines.first().map(|line| line.quote)
    }

    /// Every asset it deals in, some of them more than once.
    pub(super) fn assets(&self) -> impl Iterator<Item = Asset> {
        self.lines.iter().flat_map(|line| [line.base, line.quote])
    }

    /// Moves what is held.
    pub(super) fn take(&mut self, ix: InstrumentIx, flow: Flow) {
        if let Some(line) = self.lines.get_mut(ix.at()) {
            line.position += flow.base;
            self.cash += flow.quote;
        }
    }

    /// Its capital is another; answers the quote units that came in. Base comes with the first settings only.
    pub(super) fn revise(&mut self, capital: Capital) -> Notional {
        let transfer = capital.quote - self.capital.quote;
        self.cash += transfer;
        self.capital.quote = capital.quote;
        transfer
    }

    /// Takes the place of what was followed.
    pub(super) fn replace(&mut self, followed: u64, last: OrderNo, cash: Notional, positions: &[Qty]) {
        (self.followed, self.last, self.cash) = (followed, last, cash);
        for (line, position) in self.lines.iter_mut().zip(positions) {
            line.position = *position;
        }
    }

    /// True when the fact is the next one; it counts from now on. `None`: it has counted before.
    pub(super) fn advance(&mut self, seq: u64) -> Option<bool> {
        if seq <= self.followed {
            return None;
        }
        let is_next = seq == self.followed + 1;
        if is_next {
            self.followed = seq;
        }
        Some(is_next)
    }

    /// A number is used up.
    pub(super) fn gave(&mut self, order: OrderNo) {
        self.last = self.last.max(order);
    }

    /// Another epoch begins after all numbers given so far.
    pub(super) fn begin(&mut self, epoch: u32) {
        self.begin_after(epoch, self.last);
    }

    /// An epoch began after this number.
    pub(super) fn begin_after(&mut self, epoch: u32, floor: OrderNo) {
        if epoch > self.epoch {
            self.epoch = epoch;
            self.floors.insert(epoch, floor);
            if self.floors.len() > EPOCHS_KEPT {
                self.floors.pop_first();
            }
        }
    }

    /// True when this life of the instance gave the number in that epoch. What an instance sent and then lost, with the
    /// store that was restored, it gave in another life.
    pub(super) fn has_given(&self, epoch: u32, order: OrderNo) -> bool {
        let next = self.floors.range(epoch.saturating_add(1)..).next();
        epoch <= self.epoch && order <= next.map_or(self.last, |(_, floor)| *floor)
    }
}
