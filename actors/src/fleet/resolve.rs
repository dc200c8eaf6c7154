//! A person's word about an order whose facts contradict each other, or of which nobody can say anything.

use supervisor_core::domain::OrderNo;
use supervisor_core::instance::{Control, InstanceState};
use supervisor_core::orders::{Life, Order};

use super::{By, Fleet, FleetError, LOOK_MS, ask, within};
use crate::explain::parse_order_id;
use crate::supervisor::Card;
use crate::supervisor::messages::Tell;
use crate::view::{ChangeReport, Outcome, State};

/// The order, if the desk has it at hand.
fn find(state: &InstanceState, order: OrderNo) -> Option<&Order> {
    let desk = state.stages.orders.desk();
    let settled = || desk.closed().iter().rev().find(|known| known.terms.order == order);
    desk.open().get(&order).or_else(|| desk.closing().get(&order)).or_else(settled)
}

const fn life(outcome: Outcome) -> Life {
    match outcome {
        Outcome::Filled => Life::Filled,
        Outcome::Canceled => Life::Canceled,
        Outcome::Expired => Life::Expired,
        Outcome::Rejected => Life::Rejected,
    }
}

impl Fleet {
    /// Ends a disputed order, or one in doubt: it is what `outcome` says, with the fills that were counted.
    ///
    /// # Errors
    /// [`FleetError`]: no such order, its bot does not run, it is neither disputed nor in doubt, or no reason is given.
    pub async fn resolve_order(&self, id: &str, outcome: Outcome, by: By) -> Result<ChangeReport, FleetError> {
        let unknown = || FleetError::UnknownOrder { id: id.to_owned() };
        let (instance, life_number, order) = parse_order_id(id).ok_or_else(unknown)?;
        if by.reason.trim().is_empty() {
            let problems = vec!["reason: say why; it is recorded with the order".to_owned()];
            return Err(FleetError::Invalid { problems });
        }
        let card = self.card(instance.as_str()).await?;
        if card.life.is_none_or(|life| life.number != life_number) {
            return Err(unknown());
        }
        let state = self.live_state_of(&card).await?;
        let found = find(&state, order).ok_or_else(unknown)?;
        if !matches!(found.life, Life::Disputed | Life::Unknown) {
            let text = format!("order '{id}' is neither disputed nor in doubt: it is {}", found.shown());
            return Err(FleetError::Conflict { text, code: "not_disputed" });
        }
        let control = Control::Resolve(order, life(outcome));
        self.send(Tell { id: instance.to_string(), control, by }).await??;
        // The answer to a look comes after the command.
        let state = self.live_state_of(&card).await?;
        match find(&state, order).map(|order| order.life) {
            Some(now @ (Life::Disputed | Life::Unknown)) => {
                Err(FleetError::Internal { text: format!("order '{id}' is {now} still, against expectation") })
            }
            now => {
                let word = now.map_or_else(|| life(outcome).word(), Life::word);
                let text = format!("order '{id}' is {word}");
                Ok(ChangeReport { id: instance.to_string(), state: card.state, changed: true, text })
            }
        }
    }

    /// Its state as its actors have it.
    async fn live_state_of(&self, card: &Card) -> Result<Box<InstanceState>, FleetError> {
        let (id, word) = (card.spec.id, card.state.word());
        if card.conductor.is_none() || matches!(card.state, State::Stopping | State::Starting) {
            let text = format!("'{id}' is {word}; an order is resolved while its bot runs: start it first");
            return Err(FleetError::Conflict { text, code: "wrong_state" });
        }
        let (_, state) = within(LOOK_MS, ask(card, true)).await?;
        state.ok_or_else(|| FleetError::Internal { text: format!("'{id}' did not show its state") })
    }
}
