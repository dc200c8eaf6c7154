//! A start: what is on the disk is brought back, an epoch begins, every bot asks its venue.
//!
//! Promises: nothing leaves before the epoch is durable. Never: repeats what was to leave before the crash.

use std::sync::Arc;

use supervisor_core::instance::{Audit, Control, Outside, OutsideState};
use supervisor_core::spec::InstanceSpec;

use super::{Bot, Phase, Process, Told, specs};
use crate::books::Books;
use crate::fuse::{Died, Point};
use crate::ground::{Event, Ground};
use crate::plan::Plan;
use crate::port::Port;
use crate::store::{BotDisk, Write};

impl Process {
    /// Brings everything back from the disk; it works once its epoch is durable.
    ///
    /// # Errors
    /// [`Died`]: it was killed on its way, its disk failed, or what is stored cannot be brought back.
    pub fn start(plan: &Plan, life: u64, is_connected: bool, ground: &mut Ground) -> Result<Self, Died> {
        let mut bots = Vec::new();
        for (at, (spec, account)) in specs(plan).into_iter().enumerate() {
            bots.push(recover(ground, at, &spec, account)?);
            ground.pass(Point::Recovering)?;
        }
        let disk = ground.store.disk();
        let (epoch, killed) = (disk.epoch + 1, disk.killed && !crate::planted::forgets_kill());
        let at = ground.reads();
        let mut books = Vec::new();
        for account in 0..plan.venue.accounts.len() {
            let kept = ground.store.disk().ledgers.get(account).and_then(Clone::clone);
            books.push(Books::start(plan, account, at, kept.as_deref(), &bots));
        }
        let number = ground.write(life, Write::Epoch(epoch))?;
        ground.pass(Point::Epoch)?;
        ground.note("start", &[life, u64::from(epoch)], || format!("life {life}, epoch {epoch}, killed {killed}"));
        Ok(Self {
            life,
            epoch,
            bots,
            books,
            port: Port::default(),
            phase: Phase::Starting(number),
            killed,
            latches: std::collections::VecDeque::new(),
            durable: 0,
            snapshot_facts: plan.disk.snapshot_facts,
            polls_armed: None,
            is_connected,
        })
    }

    /// The epoch is durable: every bot reconciles, and the latch of the disk is told where it is not known.
    pub(super) fn begin(&mut self, ground: &mut Ground) -> Result<(), Died> {
        let at = ground.reads();
        for books in &mut self.books {
            books.begin(at, self.is_connected);
        }
        for bot in 0..self.bots.len() {
            for (control, why) in self.first_words(bot) {
                self.tell(ground, bot, Told::Command(Audit::by_supervisor(control, why)))?;
            }
        }
        let life = self.life;
        ground.after(0, Event::Polls(life));
        Ok(())
    }

    fn first_words(&self, bot: usize) -> Vec<(Control, &'static str)> {
        let mut words = vec![(Control::Reconcile(self.epoch), "news may have been lost")];
        let latches = self.bots.get(bot).map(|bot| bot.it.stages.risk.gate().latches()).unwrap_or_default();
        if self.killed && !latches.killed {
            words.push((Control::Kill, "kill switch is on"));
        } else if latches.killed && !self.killed {
            words.push((Control::ClearKill, "the kill switch was cleared meanwhile"));
        }
        words
    }
}

/// One bot as it was when its newest durable fact was written.
fn recover(ground: &mut Ground, at: usize, spec: &Arc<InstanceSpec>, account: usize) -> Result<Bot, Died> {
    let (snapshot, facts, last) = ground.store.disk().bots.get(at).map(BotDisk::load).unwrap_or_default();
    let state = match snapshot.map(postcard::from_bytes::<OutsideState>).transpose() {
        Ok(state) => state,
        Err(error) => {
            ground.check.fail_recovery(ground.now, at, &format!("its snapshot cannot be read: {error}"));
            return Err(Died::Lost);
        }
    };
    let unsnapped = facts.len() as u64;
    ground.tally.add_up("facts run again", unsnapped);
    let it = match Outside::recover(spec.clone(), state, facts) {
        Ok(it) => it,
        Err(error) => {
            ground.check.fail_recovery(ground.now, at, &error.to_string());
            return Err(Died::Lost);
        }
    };
    ground.check.on_recovered(ground.now, at, &it, last);
    Ok(Bot {
        spec: spec.clone(),
        account,
        it,
        inbox: std::collections::VecDeque::new(),
        waiting: None,
        newest: 0,
        armed: None,
        unsnapped,
    })
}
