//! The seat of an instance at its account's ledger, on accounts whose bots must not trade with each other.
//!
//! Promises: an entry that would trade with another order of the account is named before it leaves, and is in the way
//! of others from the moment it may go. Never: keeps an exit; asks a venue.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use supervisor_config::{Account, Crossing};
use supervisor_core::domain::{ClientId, InstanceId, OrderNo, Purpose};
use supervisor_core::instance::{Effect, FactRecord, Stages, Worklist};
use supervisor_core::ledger::{Ledger, LedgerError, Recovered};
use supervisor_core::spec::VenueTraits;

/// The ledgers of the accounts that have one, by name.
pub type Ledgers = BTreeMap<String, Arc<Mutex<Ledger>>>;

/// One for each account that wants to know who trades with whom.
#[must_use]
pub fn ledgers(accounts: &BTreeMap<String, Account>) -> Ledgers {
    let denies = |(_, account): &(&String, &Account)| account.crossing == Crossing::Deny;
    let open = |(name, _): (&String, &Account)| (name.clone(), Arc::new(Mutex::new(Ledger::new(VenueTraits::OUTSIDE))));
    accounts.iter().filter(denies).map(open).collect()
}

/// Nobody can fail while holding one.
fn lock(ledger: &Mutex<Ledger>) -> MutexGuard<'_, Ledger> {
    ledger.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Its orders are in nobody's way any more.
pub fn leave(ledgers: &Ledgers, account: &str, instance: InstanceId) {
    if let Some(ledger) = ledgers.get(account) {
        lock(ledger).unregister(instance);
    }
}

/// See the module.
pub struct Seat {
    ledger: Arc<Mutex<Ledger>>,
    instance: InstanceId,
    /// The epoch of its orders' names.
    epoch: u32,
}

impl Seat {
    /// Sits down with what the instance has after its recovery; its orders are named by the number of its life. `None`:
    /// the account has no ledger.
    #[must_use]
    pub fn at(ledgers: &Ledgers, account: &str, epoch: u32, list: &Worklist, stages: &Stages) -> Option<Self> {
        let ledger = ledgers.get(account)?.clone();
        let desk = stages.orders.desk();
        let numbers = desk.unsettled().chain(desk.closed()).map(|order| order.terms.order);
        let last = numbers.max().unwrap_or(OrderNo(0));
        let mut recovered = Recovered { epoch, ..Recovered::of(stages, list.facts_written(), last) };
        recovered.orders.iter_mut().for_each(|order| order.epoch = epoch);
        let (spec, at) = (list.spec(), list.clock());
        lock(&ledger).rebuild(at, spec, &recovered);
        Some(Self { instance: spec.id, ledger, epoch })
    }

    /// Takes what has happened.
    pub fn follow(&self, records: &[FactRecord]) {
        let mut ledger = lock(&self.ledger);
        for record in records {
            if let Err(error) = ledger.follow(self.instance, record) {
                tracing::error!(event = "ledger.lost", instance = self.instance.as_str(), %error, "a fact is missing");
            }
        }
    }

    /// The order in the way of one that is about to leave.
    #[must_use]
    pub fn in_the_way(&self, list: &Worklist, effect: &Effect, killed: bool) -> Option<(OrderNo, ClientId)> {
        let Effect::Place(order) = effect else { return None };
        let terms = order.terms();
        if killed && terms.purpose == Purpose::Entry {
            // It does not leave in any case.
            return None;
        }
        match lock(&self.ledger).place(list.clock(), self.instance, self.epoch, terms) {
            Ok(_) => None,
            Err(LedgerError::Crosses { with, .. }) => Some((terms.order, with)),
            Err(error) => {
                tracing::error!(event = "ledger.lost", instance = self.instance.as_str(), %error, "not checked");
                None
            }
        }
    }
}
