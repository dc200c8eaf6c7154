//! The gate: the only place where an approved order comes into being.
//!
//! Owns [`ApprovedOrder`] and [`RiskGate`] and nothing else. Promises: whoever holds an `ApprovedOrder` got it from
//! [`RiskGate::review`], which placed a hold for it. Never: a bypass, in any mode, for anybody.
//!
//! A venue port takes the approval by value and takes nothing else, so an order that was not reviewed does not compile.
//! It cannot be made by hand:
//!
//! ```compile_fail,E0451
//! use supervisor_core::risk::ApprovedOrder;
//! fn forge(terms: supervisor_core::orders::Terms) -> ApprovedOrder {
//!     ApprovedOrder { terms, protect: None }
//! }
//! ```
//! ```
//! use supervisor_core::risk::ApprovedOrder;
//! fn look(order: &ApprovedOrder) -> supervisor_core::orders::Terms {
//!     *order.terms()
//! }
//! ```
//! It cannot be copied, so it is sent at most once:
//!
//! ```compile_fail,E0599
//! fn twice(order: supervisor_core::risk::ApprovedOrder) {
//!     let again = order.clone();
//!     drop((order, again));
//! }
//! ```
//! ```compile_fail,E0382
//! fn twice(venue: &mut supervisor_core::sim::PaperVenue, order: supervisor_core::risk::ApprovedOrder) {
//!     let at = supervisor_core::domain::Timestamp::from_millis(0);
//!     venue.place(at, order);
//!     venue.place(at, order);
//! }
//! ```
//! ```
//! fn once(venue: &mut supervisor_core::sim::PaperVenue, order: supervisor_core::risk::ApprovedOrder) {
//!     let at = supervisor_core::domain::Timestamp::from_millis(0);
//!     venue.place(at, order);
//! }
//! ```
//! A venue does not take an intent:
//!
//! ```compile_fail,E0308
//! fn bypass(venue: &mut supervisor_core::sim::PaperVenue, intent: supervisor_core::orders::Intent) {
//!     venue.place(supervisor_core::domain::Timestamp::from_millis(0), intent);
//! }
//! ```
//! It has no default and cannot be read back from a file:
//!
//! ```compile_fail,E0277
//! fn empty<T: Default>() -> T { T::default() }
//! let order: supervisor_core::risk::ApprovedOrder = empty();
//! ```
//! ```compile_fail,E0277
//! fn read<T: for<'a> serde::Deserialize<'a>>() {}
//! read::<supervisor_core::risk::ApprovedOrder>();
//! ```
//! ```
//! fn read<T: for<'a> serde::Deserialize<'a>>() {}
//! read::<supervisor_core::orders::Intent>();
//! ```

use std::collections::VecDeque;

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use super::exposure::{Exposure, Funds, Hold};
use super::limits::{RULES, Review, Veto};
use super::table::{Applies, applies};
use crate::domain::{InstrumentIx, Notional, OrderKind, OrderNo, Price, Qty, Quotes, Side, Timestamp};
use crate::instance::Control;
use crate::orders::{Intent, Protect, Standing, Terms};
use crate::spec::{InstanceSpec, VenueModel};

/// Proof that an order passed the gate and that room is held for it. See the module for what cannot be done with it.
#[must_use = "an approval holds exposure until its order ends"]
#[derive(Debug)]
pub struct ApprovedOrder {
    terms: Terms,
    protect: Option<Protect>,
}

impl ApprovedOrder {
    /// What is to be sent.
    #[must_use]
    pub const fn terms(&self) -> &Terms {
        &self.terms
    }

    /// What guards the position it opens.
    #[must_use]
    pub const fn protect(&self) -> Option<Protect> {
        self.protect
    }
}

/// Whether new entries pass at all. Each cause is its own latch, so that clearing one does not clear another.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Latches {
    /// The kill switch: only exits pass until an operator clears it.
    pub killed: bool,
    /// An operator paused the instance.
    pub paused: bool,
    /// The instance is stopping.
    pub stopping: bool,
}

impl Latches {
    /// What a command makes of them.
    pub const fn obey(&mut self, control: Control) {
        match control {
            Control::Pause => self.paused = true,
            Control::Resume => self.paused = false,
            Control::Kill => self.killed = true,
            // After a kill every bot waits for its operator: cleared means paused, not running.
            Control::ClearKill => {
                self.killed = false;
                self.paused = true;
            }
            Control::Stop(_) => self.stopping = true,
            Control::Start => self.stopping = false,
            // In custody the worklist lets no entry through: the operator's own latches stay as they are.
            Control::Revise(_)
            | Control::Quarantine
            | Control::Release
            | Control::ParkStreak
            | Control::Reconcile(_)
            | Control::Resolve(..) => {}
        }
    }
}

/// An order that was approved a moment ago, for the duplicate rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recent {
    /// When.
    pub at: Timestamp,
    /// Its terms.
    pub terms: Terms,
}

/// Reviews every intent, keeps the holds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RiskGate {
    next: OrderNo,
    latches: Latches,
    exposure: Exposure,
    recent: VecDeque<Recent>,
    capital: Option<Notional>,
    approved: u64,
    vetoed: u64,
    standing: Standing,
}

/// The answer of the gate.
#[derive(Debug)]
pub enum Decision {
    /// Go.
    Approved(ApprovedOrder),
    /// No, and why.
    Vetoed(Veto),
}

impl RiskGate {
    /// A gate with nothing held.
    #[must_use]
    pub fn new(spec: &InstanceSpec) -> Self {
        let fee = dearest_fee(&spec.venue_model);
        Self {
            next: OrderNo(1),
            latches: Latches::default(),
            exposure: Exposure::new(spec.capital.quote, spec.capital.base, fee, spec.instruments.len()),
            recent: VecDeque::new(),
            capital: None,
            approved: 0,
            vetoed: 0,
            standing: Standing::default(),
        }
    }

    /// Answers an intent with an approval that holds room, or with a veto. Either way the number is used up.
    pub fn review(&mut self, at: Timestamp, quotes: &Quotes, spec: &InstanceSpec, intent: &Intent) -> Decision {
        let order = self.next;
        self.next = OrderNo(order.0 + 1);
        self.fix_capital(quotes, spec);
        self.forget(at, spec.risk.duplicate_window_ms);
        let mut failed = 0_u32;
        let mut first: Option<Veto> = None;
        let review = Review { at, quotes, spec, intent, gate: self };
        for rule in &RULES {
            if matches!(applies(rule.code, spec.strategy.kind()), Applies::No(_)) {
                continue;
            }
            if let Some(breach) = (rule.check)(&review) {
                failed |= 1 << rule.code.bit();
                first.get_or_insert_with(|| Veto::new(order, intent, rule.code, breach));
            }
        }
        match first {
            Some(mut veto) => {
                veto.failed = failed;
                self.vetoed += 1;
                Decision::Vetoed(veto)
            }
            None => Decision::Approved(self.approve(at, order, quotes, intent)),
        }
    }

    fn approve(&mut self, at: Timestamp, order: OrderNo, quotes: &Quotes, intent: &Intent) -> ApprovedOrder {
        let Intent { tag, instrument, side, kind, qty, purpose, origin, protect, reason: _ } = *intent;
        let terms = Terms { order, tag, instrument, side, kind, qty, purpose, origin };
        let price = worst_price(intent.kind, intent.instrument, quotes);
        self.exposure.hold(order, Hold { instrument, side, price, qty, seen: Qty::ZERO });
        self.recent.push_back(Recent { at, terms });
        self.approved += 1;
        ApprovedOrder { terms, protect }
    }

    /// The capital that shares are taken of: quote plus base at the first price seen, then fixed but for transfers.
    fn fix_capital(&mut self, quotes: &Quotes, spec: &InstanceSpec) {
        if self.capital.is_none() {
            let first = InstrumentIx(0);
            if spec.capital.base.is_zero() {
                self.capital = Some(spec.capital.quote);
            } else if let Some(quote) = quotes.get(first) {
                self.capital = Some(spec.capital.quote + quote.last * spec.capital.base);
            }
        }
    }

    /// Other settings: the capital that shares are taken of moves with a transfer, and holds bear the new fees.
    pub(super) fn revise(&mut self, spec: &InstanceSpec, transfer: Notional) {
        self.capital = self.capital.map(|capital| capital + transfer);
        self.exposure.revise(transfer, dearest_fee(&spec.venue_model));
    }

    /// Quote units that would be free after holds and their fees, if the venue were like this; negative: so much would
    /// be missing.
    #[must_use]
    pub fn free_under(&self, model: &VenueModel) -> Notional {
        self.exposure.free_quote_at(dearest_fee(model))
    }

    fn forget(&mut self, at: Timestamp, window_ms: i64) {
        while self.recent.front().is_some_and(|recent| at.since(recent.at) >= window_ms.max(1)) {
            self.recent.pop_front();
        }
    }

    /// The room left for one instrument.
    #[must_use]
    pub fn funds(&self, quotes: &Quotes, spec: &InstanceSpec, ix: InstrumentIx) -> Funds {
        let capital = self.capital.unwrap_or(spec.capital.quote);
        let mark = quotes.get(ix).map_or(Price::ZERO, |quote| quote.last);
        Funds {
            free_quote: self.exposure.free_quote(),
            position: self.exposure.line(ix).position,
            free_base: self.exposure.free_base(ix),
            symbol_left: capital * spec.risk.max_capital_per_symbol - self.exposure.symbol(ix, mark),
            total_left: capital * spec.risk.max_total_exposure - self.exposure.total(quotes),
            capital,
            mark,
        }
    }

    /// Holds so much for an order, whatever was held for it before: it may still fill, against what was thought.
    pub(super) fn hold_again(&mut self, quotes: &Quotes, terms: &Terms, rest: Qty) {
        let Terms { order, instrument, side, kind, .. } = *terms;
        let price = worst_price(kind, instrument, quotes);
        self.exposure.hold_again(order, Hold { instrument, side, price, qty: rest, seen: Qty::ZERO }, terms.qty);
    }

    /// What of the order stage keeps entries from passing.
    #[must_use]
    pub const fn standing(&self) -> Standing {
        self.standing
    }

    /// Takes what keeps entries from passing; only the risk stage may.
    pub(super) const fn stand(&mut self, standing: Standing) {
        self.standing = standing;
    }

    /// The latches.
    #[must_use]
    pub const fn latches(&self) -> Latches {
        self.latches
    }

    /// Sets or clears the latches; only the risk stage may.
    pub(super) const fn latches_mut(&mut self) -> &mut Latches {
        &mut self.latches
    }

    /// Positions, cash and holds.
    #[must_use]
    pub const fn exposure(&self) -> &Exposure {
        &self.exposure
    }

    /// Positions, cash and holds, to be moved by fills and ends; only the risk stage may.
    pub(super) const fn exposure_mut(&mut self) -> &mut Exposure {
        &mut self.exposure
    }

    /// Capital that shares are taken of; `None` before the first price when base is part of it.
    #[must_use]
    pub const fn capital(&self) -> Option<Notional> {
        self.capital
    }

    /// Approvals inside the duplicate window.
    #[must_use]
    pub const fn recent(&self) -> &VecDeque<Recent> {
        &self.recent
    }

    /// Intents approved and vetoed so far.
    #[must_use]
    pub const fn counts(&self) -> (u64, u64) {
        (self.approved, self.vetoed)
    }
}

/// What a fill costs at most, fraction of its notional.
fn dearest_fee(model: &VenueModel) -> Decimal {
    model.maker_fee.max(model.taker_fee)
}

/// The price a hold is taken at: the limit, the bound of a market entry, or the last price.
fn worst_price(kind: OrderKind, instrument: InstrumentIx, quotes: &Quotes) -> Price {
    match kind {
        OrderKind::Limit(price) => price,
        OrderKind::Market { bound: Some(bound) } => bound,
        OrderKind::Market { bound: None } => quotes.get(instrument).map_or(Price::ZERO, |quote| quote.last),
    }
}

impl RiskGate {
    /// The price that an order of this intent would be held at.
    pub(super) fn price_of(&self, intent: &Intent, quotes: &Quotes) -> Price {
        worst_price(intent.kind, intent.instrument, quotes)
    }

    /// Notional an intent would add to the exposure: buys only, at the hold's price.
    #[must_use]
    pub fn adds(&self, intent: &Intent, quotes: &Quotes) -> Notional {
        match intent.side {
            Side::Buy => worst_price(intent.kind, intent.instrument, quotes) * intent.qty,
            Side::Sell => Notional::ZERO,
        }
    }
}
