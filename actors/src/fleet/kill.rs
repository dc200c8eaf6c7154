//! The kill switch: one latch, set before anything else, on disk before it is announced.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use supervisor_state::Store;
use tokio::sync::oneshot;

use super::look::{Looked, ask, left, within};
use super::{By, Fleet, FleetError};
use crate::clock::wall;
use crate::prepare::{KILL_LATCH, paused_latch};
use crate::supervisor::Card;
use crate::supervisor::messages::{Kill, KillNow};
use crate::view::{KillReport, KillStatus, State};

/// Longest wait for the cancels of a kill.
const KILL_MS: u64 = 3_000;

impl Fleet {
    /// The kill switch: shuts every gate at once, persists the latch, cancels resting orders, keeps positions.
    ///
    /// # Errors
    /// [`FleetError::KillNotStored`] when the latch could not be persisted; it holds in this process all the same.
    pub async fn kill(&self, by: By) -> Result<KillReport, FleetError> {
        self.kill.store(true, Ordering::Release);
        let _one_at_a_time = self.kill_turn.lock().await;
        // A clearing that was under way may have had its turn first.
        self.kill.store(true, Ordering::Release);
        let status = match self.kill_status().await? {
            // Who threw it first, when and why is what counts.
            thrown if thrown.on => thrown,
            _ => KillStatus { on: true, at: wall().to_string(), by: by.by.clone(), reason: by.reason.clone() },
        };
        // Asked ahead of the command, answered when there is time: what was open.
        let before: Vec<_> = self.cards(None).await?.into_iter().filter(|card| card.conductor.is_some()).collect();
        let looks: Vec<_> = before.iter().map(|card| (card.brief.open_orders, ask(card, false))).collect();
        let latch = status.clone();
        let stored = self.latch(move |store| write_kill(store, &latch)).await;
        let told = self.send(Kill { status: status.clone(), by }).await?;
        let deadline = Instant::now() + Duration::from_millis(KILL_MS);
        let before = counted(looks, deadline).await;
        let mut after = self.open_orders(deadline).await?;
        while after > 0 && Instant::now() < deadline {
            actix::clock::sleep(Duration::from_millis(50)).await;
            after = self.open_orders(deadline).await?;
        }
        if let Err(error) = stored {
            let text = format!("the kill switch is on, but could not be persisted: {error}");
            self.raise("critical", "kill.not_persisted", &text);
            return Err(FleetError::KillNotStored { open_after: after });
        }
        let (halted, open_before) = (told.len() as u64, before.max(after));
        Ok(KillReport { kill: status, halted, open_before, open_after: after })
    }

    async fn open_orders(&self, deadline: Instant) -> Result<u64, FleetError> {
        let cards = self.cards(None).await?;
        let live = cards.iter().filter(|card| card.conductor.is_some());
        let looks = live.map(|card| (card.brief.open_orders, ask(card, false))).collect();
        Ok(counted(looks, deadline).await)
    }

    /// The latch.
    ///
    /// # Errors
    /// [`FleetError::Internal`] when the supervisor is gone.
    pub async fn kill_status(&self) -> Result<KillStatus, FleetError> {
        self.send(KillNow {}).await
    }

    /// Clears the latch; every bot stays paused until it is resumed.
    ///
    /// # Errors
    /// [`FleetError::Internal`] when the latch could not be removed from disk; then it stays on.
    pub async fn kill_clear(&self, by: By) -> Result<KillStatus, FleetError> {
        let _one_at_a_time = self.kill_turn.lock().await;
        let comes_back = |card: &Card| card.state.is_live() || card.state == State::Backoff;
        let live = self.cards(None).await?.into_iter().filter(comes_back);
        let paused: Vec<String> = live.map(|card| paused_latch(card.spec.id.as_str())).collect();
        let killed = self.kill_status().await?.on;
        // First the pauses: a crash in between must not let anything run.
        self.latch(move |store| {
            if killed {
                paused.iter().try_for_each(|latch| store.put_latch(latch, b"kill"))?;
            }
            store.remove_latch(KILL_LATCH)
        })
        .await?;
        self.kill.store(false, Ordering::Release);
        let status = KillStatus { on: false, at: wall().to_string(), by: by.by.clone(), reason: by.reason.clone() };
        if killed {
            self.send(Kill { status: status.clone(), by }).await?;
        }
        Ok(status)
    }
}

/// Open orders of those who answer in time, and what was known of the others.
async fn counted(looks: Vec<(u64, oneshot::Receiver<Looked>)>, deadline: Instant) -> u64 {
    let mut open = 0;
    for (known, look) in looks {
        open += within(left(deadline), look).await.map_or(known, |(brief, _)| brief.open_orders);
    }
    open
}

pub(super) fn read_kill(store: &Store) -> Result<KillStatus, FleetError> {
    match store.get_latch(KILL_LATCH).map_err(FleetError::internal)? {
        None => Ok(KillStatus::default()),
        // A latch that cannot be read still is a latch: fail closed.
        Some(bytes) => Ok(serde_json::from_slice(&bytes).unwrap_or_else(|_| KillStatus {
            on: true,
            at: String::new(),
            by: "supervisor".to_owned(),
            reason: restored(&bytes).unwrap_or("the stored latch cannot be read").to_owned(),
        })),
    }
}

/// What a restore wrote in the place of a latch of which it knew only that it was set.
fn restored(latch: &[u8]) -> Option<&str> {
    std::str::from_utf8(latch).ok()?.strip_prefix("restored: ")
}

pub(super) fn write_kill(store: &Store, status: &KillStatus) -> Result<(), FleetError> {
    let bytes = serde_json::to_vec(status).map_err(FleetError::internal)?;
    store.put_latch(KILL_LATCH, &bytes).map_err(FleetError::internal)
}

#[cfg(test)]
mod tests {
    use supervisor_state::StateDir;

    use super::*;

    #[test]
    fn a_latch_that_says_no_more_than_that_it_is_set_is_on_and_tells_what_is_known() {
        let root = tempfile::tempdir().unwrap();
        let lock = StateDir::acquire(root.path()).unwrap();
        let store = Store::open(&lock).unwrap();
        assert!(!read_kill(&store).unwrap().on);
        for (latch, reason) in [
            (&b"restored: the switch was on, who threw it is lost"[..], "the switch was on, who threw it is lost"),
            (&[0xff, 0xfe], "the stored latch cannot be read"),
        ] {
            store.put_latch(KILL_LATCH, latch).unwrap();
            let status = read_kill(&store).unwrap();
            assert_eq!((status.on, status.reason.as_str()), (true, reason));
            assert_eq!(status.since(), "a moment that is lost");
        }
        let thrown = KillStatus { on: true, at: "2026".to_owned(), by: "uid:0".to_owned(), reason: String::new() };
        write_kill(&store, &thrown).unwrap();
        assert_eq!((read_kill(&store).unwrap(), thrown.since()), (thrown.clone(), "2026"));
    }
}
