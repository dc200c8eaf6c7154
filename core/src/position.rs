//! What is held, what it cost, what it earned.
//!
//! Average cost, fees included. Promises: profit realised minus cost still open equals the change of cash, to the last
//! digit. Long only today; the sign of `qty` has its place for venues with shorting.

use serde::{Deserialize, Serialize};

use crate::domain::{Fill, InstrumentIx, Notional, Price, Qty, Side, Timestamp};
use crate::orders::{ExitReason, RoundTrip};

/// Decimal places of the cost taken out by a partial sale.
const COST_PLACES: u32 = 12;

/// Position of one instrument.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    qty: Qty,
    cost: Notional,
    realised: Notional,
    fees: Notional,
    unpriced: bool,
    trip: Option<Trip>,
    /// Paid for holding it, quote units; negative: received. Always zero: what is traded today pays no funding.
    funding: Notional,
}

/// A round trip under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Trip {
    opened: Timestamp,
    qty: Qty,
    bought: Notional,
    sold: Notional,
    fees: Notional,
}

impl Position {
    /// Base that was there before the first price; its cost is set by [`Position::price_if_unpriced`].
    #[must_use]
    pub fn unpriced(qty: Qty) -> Self {
        Self { qty, unpriced: qty.is_positive(), ..Self::default() }
    }

    /// True while the cost of the first base is not known.
    #[must_use]
    pub const fn is_unpriced(&self) -> bool {
        self.unpriced
    }

    /// Sets the cost of base that was there from the start: as if it had been bought at this price, without a fee.
    pub fn price_if_unpriced(&mut self, at: Timestamp, price: Price) {
        if self.unpriced {
            let (qty, bought) = (self.qty, price * self.qty);
            self.cost += bought;
            self.unpriced = false;
            self.trip = Some(Trip { opened: at, qty, bought, sold: Notional::ZERO, fees: Notional::ZERO });
        }
    }

    /// The round trip under way begins anew with what is held, at its average cost: from here on its profit is what
    /// [`Position::realised`] grows by. What was bought and sold before has been told by others.
    pub fn begin_trip_anew(&mut self) {
        if let Some(trip) = &mut self.trip {
            *trip = Trip {
                opened: trip.opened,
                qty: self.qty,
                bought: self.cost,
                sold: Notional::ZERO,
                fees: Notional::ZERO,
            };
        }
    }

    /// Takes a fill; answers the round trip it completes, if it does.
    pub fn on_fill(&mut self, fill: &Fill, exit: ExitReason) -> Option<RoundTrip> {
        self.fees += fill.fee;
        match fill.side {
            Side::Buy => self.buy(fill),
            Side::Sell => self.sell(fill),
        }
        self.follow_trip(fill, exit)
    }

    fn buy(&mut self, fill: &Fill) {
        self.qty += fill.qty;
        self.cost += fill.notional() + fill.fee;
    }

    fn sell(&mut self, fill: &Fill) {
        let part = if fill.qty >= self.qty {
            self.cost
        } else {
            let share = self.cost.get() * fill.qty.get() / self.qty.get();
            Notional::new(share.round_dp(COST_PLACES))
        };
        self.qty -= fill.qty;
        self.cost -= part;
        self.realised += fill.notional() - fill.fee - part;
    }

    /// A fill is void: what it brought and took goes back. What a void sale had realised becomes cost again, for nobody
    /// can say which part of it was gain; cash and cost still add up.
    pub fn on_bust(&mut self, fill: &Fill) {
        self.fees -= fill.fee;
        match fill.side {
            Side::Buy => {
                self.qty -= fill.qty;
                self.cost -= fill.notional() + fill.fee;
            }
            Side::Sell => {
                self.qty += fill.qty;
                self.cost += fill.notional() - fill.fee;
            }
        }
        if self.qty.is_zero() {
            self.realised -= self.cost;
            self.cost = Notional::ZERO;
        }
        if let Some(trip) = &mut self.trip {
            trip.fees -= fill.fee;
            match fill.side {
                Side::Buy => {
                    trip.qty -= fill.qty;
                    trip.bought -= fill.notional();
                }
                Side::Sell => trip.sold -= fill.notional(),
            }
        }
    }

    /// Paid for holding the position, quote units.
    #[must_use]
    pub const fn funding(&self) -> Notional {
        self.funding
    }

    /// When the round trip under way began.
    #[must_use]
    pub fn opened(&self) -> Option<Timestamp> {
        self.trip.map(|trip| trip.opened)
    }

    fn follow_trip(&mut self, fill: &Fill, exit: ExitReason) -> Option<RoundTrip> {
        let nothing = Notional::ZERO;
        let trip = self.trip.get_or_insert(Trip {
            opened: fill.at,
            qty: Qty::ZERO,
            bought: nothing,
            sold: nothing,
            fees: nothing,
        });
        trip.fees += fill.fee;
        match fill.side {
            Side::Buy => {
                trip.qty += fill.qty;
                trip.bought += fill.notional();
            }
            Side::Sell => trip.sold += fill.notional(),
        }
        if !self.qty.is_zero() {
            return None;
        }
        let Trip { opened, qty, bought, sold, fees } = self.trip.take()?;
        Some(RoundTrip { instrument: InstrumentIx(0), qty, bought, sold, fees, opened, closed: fill.at, exit })
    }

    /// Base units held.
    #[must_use]
    pub const fn qty(&self) -> Qty {
        self.qty
    }

    /// Quote units that the held base cost, buying fees included.
    #[must_use]
    pub const fn cost(&self) -> Notional {
        self.cost
    }

    /// Average price paid, fees included; `None` while flat.
    #[must_use]
    pub fn entry(&self) -> Option<Price> {
        (self.qty.is_positive() && !self.unpriced).then(|| Price::new((self.cost.get() / self.qty.get()).round_dp(8)))
    }

    /// Profit of what was sold, net of all its fees.
    #[must_use]
    pub const fn realised(&self) -> Notional {
        self.realised
    }

    /// Profit if the rest were sold at `mark`, before the fee of doing so.
    #[must_use]
    pub fn unrealised(&self, mark: Price) -> Notional {
        if self.unpriced { Notional::ZERO } else { mark * self.qty - self.cost }
    }

    /// Fees paid, quote units.
    #[must_use]
    pub const fn fees(&self) -> Notional {
        self.fees
    }
}
