//! Looking at the instances: all are asked at once, and one deadline holds for all answers.

use std::sync::Arc;
use std::time::{Duration, Instant};

use supervisor_core::instance::InstanceState;
use tokio::sync::oneshot;

use super::{Fleet, FleetError, millis};
use crate::brief::Brief;
use crate::conductor::Ask;
use crate::journal;
use crate::supervisor::Card;
use crate::supervisor::messages::Seen;
use crate::view::FleetStatus;

/// Longest wait for instances to look up.
pub(super) const LOOK_MS: u64 = 2_000;

/// What an instance answers to a look.
pub(super) type Looked = (Brief, Option<Box<InstanceState>>);

/// Asks an instance to look up; nothing is awaited.
pub(super) fn ask(card: &Card, full: bool) -> oneshot::Receiver<Looked> {
    let (reply, receiver) = oneshot::channel();
    if let Some(conductor) = &card.conductor {
        conductor.do_send(Ask { full, reply });
    }
    receiver
}

/// The answer, if it comes in time.
pub(super) async fn within<T>(ms: u64, receiver: oneshot::Receiver<T>) -> Result<T, FleetError> {
    match actix::clock::timeout(Duration::from_millis(ms), receiver).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(_)) => Err(FleetError::Internal { text: "the instance ended before it answered".to_owned() }),
        Err(_) => Err(FleetError::Timeout { ms }),
    }
}

/// Time left until a deadline, ms.
pub(super) fn left(deadline: Instant) -> u64 {
    millis(deadline.saturating_duration_since(Instant::now()))
}

impl Fleet {
    /// All instances.
    ///
    /// # Errors
    /// [`FleetError::Internal`] when the supervisor is gone.
    pub async fn status(&self) -> Result<FleetStatus, FleetError> {
        let cards = self.cards(None).await?;
        let deadline = Instant::now() + Duration::from_millis(LOOK_MS);
        let looks: Vec<_> = cards.iter().map(|card| card.conductor.is_some().then(|| ask(card, false))).collect();
        let mut items = Vec::with_capacity(cards.len());
        for (mut card, look) in cards.into_iter().zip(looks) {
            if let Some(look) = look
                && let Ok((brief, _)) = within(left(deadline), look).await
            {
                self.supervisor.do_send(Seen { id: card.spec.id, brief: brief.clone() });
                card.brief = brief;
            }
            items.push(journal::status_row(&card));
        }
        let kill = self.kill_status().await?;
        Ok(FleetStatus { items, kill, epoch: self.store.epoch(), up_ms: millis(self.started.elapsed()) })
    }

    /// The state of an instance: of its actors when it runs, its last one else.
    pub(crate) async fn look(&self, card: &mut Card) -> Result<Option<Arc<InstanceState>>, FleetError> {
        let look = card.conductor.is_some().then(|| ask(card, true));
        self.looked(card, look, Instant::now() + Duration::from_millis(LOOK_MS)).await
    }

    /// The states of several, asked for together.
    pub(crate) async fn look_all(
        &self,
        cards: Vec<Card>,
    ) -> Result<Vec<(Card, Option<Arc<InstanceState>>)>, FleetError> {
        let deadline = Instant::now() + Duration::from_millis(LOOK_MS);
        let looks: Vec<_> = cards.iter().map(|card| card.conductor.is_some().then(|| ask(card, true))).collect();
        let mut seen = Vec::with_capacity(cards.len());
        for (mut card, look) in cards.into_iter().zip(looks) {
            let state = self.looked(&mut card, look, deadline).await?;
            seen.push((card, state));
        }
        Ok(seen)
    }

    async fn looked(
        &self,
        card: &mut Card,
        look: Option<oneshot::Receiver<Looked>>,
        deadline: Instant,
    ) -> Result<Option<Arc<InstanceState>>, FleetError> {
        let Some(look) = look else { return self.last_of(card, deadline).await };
        match within(left(deadline), look).await {
            Ok((brief, state)) => {
                card.brief = brief;
                Ok(state.map(Arc::from))
            }
            Err(error) => self.after_its_end(card, deadline, error).await,
        }
    }

    /// Whoever asks as soon as there is a socket may be earlier than what was read of an earlier run.
    async fn last_of(&self, card: &mut Card, deadline: Instant) -> Result<Option<Arc<InstanceState>>, FleetError> {
        if card.last.is_none() {
            let mut recalled = self.recalled.subscribe();
            let patience = Duration::from_millis(left(deadline));
            // Late or not: what is known by then is the answer.
            let _ = actix::clock::timeout(patience, recalled.wait_for(|is_done| *is_done)).await;
            *card = self.card(card.spec.id.as_str()).await?;
        }
        Ok(card.last.clone())
    }

    /// It may have ended just now: its last state is known once it is on disk.
    async fn after_its_end(
        &self,
        card: &mut Card,
        deadline: Instant,
        error: FleetError,
    ) -> Result<Option<Arc<InstanceState>>, FleetError> {
        loop {
            *card = self.card(card.spec.id.as_str()).await?;
            match &card.conductor {
                None => return Ok(card.last.clone()),
                Some(conductor) if conductor.connected() || Instant::now() >= deadline => return Err(error),
                Some(_) => actix::clock::sleep(Duration::from_millis(5)).await,
            }
        }
    }
}
