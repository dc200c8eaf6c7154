//! What the supervisor looks after by itself: hangs, the disk, backups, the history in the store.

use std::time::{Duration, Instant};

use actix::{AsyncContext, Context, Handler};
use supervisor_core::instance::{Audit, Control};
use supervisor_state::{StorageState, backup};
use tokio::sync::oneshot;

use super::Supervisor;
use super::failure::probe_every;
use super::messages::{BackedUp, Raise, Verified};
use crate::clock::wall;
use crate::conductor::{Command, Probe};
use crate::settings::Backups;
use crate::view::State;

/// How often it looks.
pub const TICK: Duration = Duration::from_secs(1);
/// After the start, before the first backup, so that the bots come first; also between two tries.
const SETTLE: Duration = Duration::from_secs(5);
/// When a store that could not be checked is tried again.
const CHECK_AGAIN: Duration = Duration::from_secs(3_600);
/// How often room for the reserve is tried for again.
const REPLENISH: Duration = Duration::from_secs(10);

/// Looks, one in a [`TICK`], after which a recorder that has work and gets nowhere will not any more.
const STALLED: u32 = 60;

/// Its memory.
pub struct Upkeep {
    backups: Backups,
    backup_due: Option<Instant>,
    is_backing_up: bool,
    /// When the whole store is to be checked; none once it was.
    verify_due: Option<Instant>,
    /// A second try that fails, too, is no second alert.
    verify_tried: bool,
    probed: Instant,
    stall: Stall,
    /// When the disk was found full, and the reserve last tried for.
    low_since: Option<Instant>,
    failed: Option<String>,
    failed_waiters: Vec<oneshot::Sender<String>>,
}

/// Whether the recorder gets on. Looks are counted, not time: while the process itself is held, nobody looks.
#[derive(Debug, Default)]
struct Stall {
    moved: u64,
    looks: u32,
}

impl Stall {
    /// `depth`: what waits; `moved`: what was done so far. True when too many looks in a row saw work and no progress.
    const fn look(&mut self, depth: usize, moved: u64) -> bool {
        if depth == 0 || moved != self.moved {
            self.moved = moved;
            self.looks = 0;
        } else {
            self.looks = self.looks.saturating_add(1);
        }
        self.looks >= STALLED
    }
}

impl Upkeep {
    /// Nothing done yet; `age` is that of the newest backup.
    pub fn new(backups: Backups, age: Option<Duration>, verify: bool) -> Self {
        let due = |every: Duration| {
            let wait = age.map_or(SETTLE, |age| every.saturating_sub(age).max(SETTLE));
            Instant::now().checked_add(wait)
        };
        Self {
            backup_due: backups.every.and_then(due),
            backups,
            is_backing_up: false,
            verify_due: verify.then(|| Instant::now() + SETTLE),
            verify_tried: false,
            probed: Instant::now(),
            stall: Stall::default(),
            low_since: None,
            failed: None,
            failed_waiters: Vec::new(),
        }
    }

    /// Tells when the store has failed for good.
    pub fn wait_failed(&mut self, waiter: oneshot::Sender<String>) {
        match &self.failed {
            // Whoever waited may be gone.
            Some(error) => drop(waiter.send(error.clone())),
            None => self.failed_waiters.push(waiter),
        }
    }
}

impl Supervisor {
    pub(super) fn tick(&mut self, ctx: &mut Context<Self>) {
        let now = Instant::now();
        self.look_for_hangs(ctx);
        if now.duration_since(self.upkeep.probed) >= probe_every(self.restarts.hang) {
            self.upkeep.probed = now;
            self.entries.values().filter_map(|entry| entry.card.conductor.as_ref()).for_each(|c| c.do_send(Probe));
        }
        match self.recorder.storage() {
            StorageState::Good => self.storage_is_good(),
            StorageState::Low { since_what } => self.storage_is_low(now, &since_what),
            StorageState::Failed { error } => self.storage_has_failed(&error),
        }
        self.look_for_stall();
        self.back_up(now, ctx);
        self.verify(now, ctx);
    }

    /// On a failing device the database may wait for ever, without an error.
    fn look_for_stall(&mut self) {
        if self.upkeep.stall.look(self.recorder.depth(), self.recorder.moved()) {
            self.storage_has_failed(&format!(
                "the disk has not answered for {} s",
                u64::from(STALLED) * TICK.as_secs()
            ));
        }
    }

    /// Checks what the start had no time for: history, on a thread of its own. A copy is checked: over damage the
    /// database may panic, and the one that is in use would refuse everything from then on.
    fn verify(&mut self, now: Instant, ctx: &mut Context<Self>) {
        if self.upkeep.verify_due.is_none_or(|due| now < due) {
            return;
        }
        self.upkeep.verify_due = now.checked_add(CHECK_AGAIN);
        let is_first = !std::mem::replace(&mut self.upkeep.verify_tried, true);
        let (store, recorder, home) = (self.store.clone(), self.recorder.clone(), ctx.address());
        actix::spawn(async move {
            let work = move || store.verify_files(&recorder).map_err(|error| error.to_string());
            let report = tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| Err(error.to_string()));
            match report {
                Ok(report) => home.do_send(Verified(report.problems().collect())),
                Err(why) if !is_first => tracing::warn!(event = "store.unchecked", why, "it is tried again"),
                Err(why) => home.do_send(Raise {
                    severity: "warning",
                    instance: String::new(),
                    code: "store.unchecked",
                    text: format!("the history in the store, which a start leaves out: {why}; it is tried again"),
                }),
            }
        });
    }

    fn storage_is_good(&mut self) {
        if self.upkeep.low_since.take().is_some() {
            let text = "there is room on the disk again; the bots stay paused: supervisor resume NAME";
            self.alert("warning", "", "storage.good", text.to_owned());
        }
    }

    /// The reserve is in use: no new entries, so that what is left lasts for the way out.
    pub(super) fn storage_is_low(&mut self, now: Instant, why: &str) {
        match self.upkeep.low_since {
            None => {
                self.upkeep.low_since = Some(now);
                let text = format!("there is no reserve for a full disk ({why}); every bot is paused: make room");
                self.alert("critical", "", "storage.low", text);
                self.pause_all("no reserve for a full disk");
            }
            Some(tried) if now.duration_since(tried) >= REPLENISH => {
                self.upkeep.low_since = Some(now);
                self.recorder.replenish();
            }
            Some(_) => {}
        }
    }

    fn pause_all(&mut self, reason: &str) {
        for entry in self.entries.values_mut() {
            let card = &mut entry.card;
            let Some(conductor) = card.conductor.as_ref().filter(|_| !card.paused) else { continue };
            if matches!(card.state, State::Running | State::Killed) {
                card.paused = true;
                card.note = reason.to_owned();
                conductor.do_send(Command(Audit::by_supervisor(Control::Pause, reason)));
                if card.state == State::Running {
                    card.state = State::Paused;
                }
            }
        }
    }

    fn storage_has_failed(&mut self, error: &str) {
        if self.upkeep.failed.is_some() {
            return;
        }
        self.upkeep.failed = Some(error.to_owned());
        let text = format!("nothing can be recorded any more, so nothing trades: {error}");
        self.alert("critical", "", "storage.failed", text);
        for waiter in self.upkeep.failed_waiters.drain(..) {
            // Whoever waited may be gone.
            let _ = waiter.send(error.to_owned());
        }
    }

    fn back_up(&mut self, now: Instant, ctx: &mut Context<Self>) {
        let due = self.upkeep.backup_due.is_some_and(|due| now >= due);
        if !due || self.upkeep.is_backing_up || self.upkeep.failed.is_some() {
            return;
        }
        self.upkeep.is_backing_up = true;
        let (store, recorder, home) = (self.store.clone(), self.recorder.clone(), ctx.address());
        let Backups { dir, keep, .. } = self.upkeep.backups.clone();
        actix::spawn(async move {
            let work = move || {
                recorder.flush().map_err(|error| error.to_string())?;
                let made = backup::create(&store, &dir, wall().millis(), keep).map_err(|error| error.to_string())?;
                tracing::info!(event = "backup.created", name = made.name, bytes = made.bytes, "a backup was written");
                Ok(())
            };
            let done = tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| Err(error.to_string()));
            home.do_send(BackedUp(done));
        });
    }
}

impl Handler<Verified> for Supervisor {
    type Result = ();
    fn handle(&mut self, Verified(problems): Verified, _: &mut Context<Self>) {
        self.upkeep.verify_due = None;
        if problems.is_empty() {
            tracing::info!(event = "store.verified", "the whole store is whole");
        }
        for problem in problems {
            let text =
                format!("{problem}; the start found whole what the bots go on from; see: supervisor store verify");
            self.alert("critical", "", "store.damaged", text);
        }
    }
}

impl Handler<BackedUp> for Supervisor {
    type Result = ();
    fn handle(&mut self, BackedUp(done): BackedUp, _: &mut Context<Self>) {
        self.upkeep.is_backing_up = false;
        self.upkeep.backup_due = self.upkeep.backups.every.and_then(|every| Instant::now().checked_add(every));
        if let Err(error) = done {
            self.alert("critical", "", "backup.failed", format!("no backup could be written: {error}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_work_without_progress_is_a_stall() {
        let mut stall = Stall::default();
        assert!((0..500).all(|_| !stall.look(0, 7)), "nothing to do");
        assert!((8..500).all(|moved| !stall.look(3, moved)), "slow, and it gets on");
        assert!((1..STALLED).all(|_| !stall.look(1, 499)));
        assert!(stall.look(1, 499));
        assert!(!stall.look(1, 500), "it was only late");
    }
}
