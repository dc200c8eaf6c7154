//! Where settled orders go: the newest stay at hand, of the others a chained hash and, for a while, their executions.

use sha2::{Digest as _, Sha256};

use super::{Desk, Order};
use crate::domain::Timestamp;
use crate::spec::VenueTraits;

/// Executions of archived orders stay known for so many times the look-back; no question reaches back further than two.
pub(super) const KEPT_LOOKS: i64 = 3;
/// Settled orders that stay at hand.
const CLOSED_KEPT: usize = 256;

impl Desk {
    pub(super) fn close(&mut self, entry: Order) {
        // Out before in: one more than are kept would double the room that they take.
        let oldest = if self.closed.len() == CLOSED_KEPT { self.closed.pop_front() } else { None };
        self.closed.push_back(entry);
        if let Some(oldest) = oldest {
            self.archive(&oldest);
        }
    }

    /// Chains the hash of an order into the archive, so that the digest still covers it. Its executions stay known for
    /// as long as a look back may bring them again.
    fn archive(&mut self, order: &Order) {
        let mut hash = Sha256::new();
        hash.update(self.archive);
        // Serialising plain data into memory cannot fail; an empty encoding would still change the chain.
        hash.update(postcard::to_allocvec(order).unwrap_or_default());
        self.archive = hash.finalize().into();
        if order.end.is_some() {
            let ix = order.terms.instrument;
            self.counted.extend(order.trades.iter().map(|trade| ((ix, trade.id), order.news)));
        }
    }

    /// The same as [`Desk::forget`], once every so many orders: it looks at all of them.
    pub(in crate::orders) fn forget_now_and_then(&mut self, at: Timestamp, venue: &VenueTraits) {
        if self.placed.is_multiple_of(64) {
            self.forget(at - KEPT_LOOKS * venue.look_back_ms);
        }
    }

    /// Forgets executions of archived orders that no look back brings any more.
    pub(super) fn forget(&mut self, before: Timestamp) {
        self.counted.retain(|_, news| *news >= before);
        self.voided.retain(|_, news| *news >= before);
    }
}
