//! The kill switch: one latch, set before anything else, on disk before it is announced.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use supervisor_state::Store;

use super::{By, Fleet, FleetError, ask, within};
use crate::clock::wall;
use crate::prepare::{KILL_LATCH, paused_latch};
use crate::supervisor::messages::{Kill, KillNow};
use crate::view::{KillReport, KillStatus};

/// Longest wait for the cancels of a kill.
const KILL_MS: u64 = 3_000;

impl Fleet {
    /// The kill switch: shuts every gate at once, persists the latch, cancels resting orders, keeps positions.
    ///
    /// # Errors
    /// [`FleetError::KillNotStored`] when the latch could not be persisted; it holds in this process all the same.
    pub async fn kill(&self, by: By) -> Result<KillReport, FleetError> {
        self.kill.store(true, Ordering::Release);
        let before = self.open_orders(300).await?;
        let status = match self.kill_status().await? {
            // Who threw it first, when and why is what counts.
            thrown if thrown.on => thrown,
            _ => KillStatus { on: true, at: wall().to_string(), by: by.by.clone(), reason: by.reason.clone() },
        };
        let latch = status.clone();
        let stored = self.blocking(move |store, _| write_kill(store, &latch)).await;
        let told = self.send(Kill { status: status.clone(), by }).await?;
        let deadline = Instant::now() + Duration::from_millis(KILL_MS);
        let mut after = self.open_orders(300).await?;
        while after > 0 && Instant::now() < deadline {
            actix::clock::sleep(Duration::from_millis(50)).await;
            after = self.open_orders(300).await?;
        }
        if let Err(error) = stored {
            let text = format!("the kill switch is on, but could not be persisted: {error}");
            self.raise("critical", "kill.not_persisted", &text);
            return Err(FleetError::KillNotStored { open_after: after });
        }
        let (halted, open_before) = (told.len() as u64, before.max(after));
        Ok(KillReport { kill: status, halted, open_before, open_after: after })
    }

    async fn open_orders(&self, ms: u64) -> Result<u64, FleetError> {
        let cards = self.cards(None).await?;
        let looks: Vec<_> = cards
            .iter()
            .filter(|card| card.conductor.is_some())
            .map(|card| (card.brief.open_orders, ask(card, false)))
            .collect();
        let mut open = 0;
        for (known, look) in looks {
            open += within(ms, look).await.map_or(known, |(brief, _)| brief.open_orders);
        }
        Ok(open)
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
        let live = self.cards(None).await?.into_iter().filter(|card| card.state.is_live());
        let paused: Vec<String> = live.map(|card| paused_latch(card.spec.id.as_str())).collect();
        let killed = self.kill_status().await?.on;
        // First the pauses: a crash in between must not let anything run.
        self.blocking(move |store, _| {
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

pub(super) fn read_kill(store: &Store) -> Result<KillStatus, FleetError> {
    match store.get_latch(KILL_LATCH).map_err(FleetError::internal)? {
        None => Ok(KillStatus::default()),
        // A latch that cannot be read still is a latch: fail closed.
        Some(bytes) => Ok(serde_json::from_slice(&bytes).unwrap_or(KillStatus {
            on: true,
            at: String::new(),
            by: "supervisor".to_owned(),
            reason: "the stored latch cannot be read".to_owned(),
        })),
    }
}

pub(super) fn write_kill(store: &Store, status: &KillStatus) -> Result<(), FleetError> {
    let bytes = serde_json::to_vec(status).map_err(FleetError::internal)?;
    store.put_latch(KILL_LATCH, &bytes).map_err(FleetError::internal)
}
