//! The home of an instance's worklist: releases inputs, records facts, sends orders, takes snapshots.
//!
//! Owns the scheduler (feed, paper venue, timer), the pace and the instance's place in the journal. Promises: the next
//! input is released only when the worklist is home and empty; an order leaves only when every fact before it is
//! durable; one that was replaced by a newer generation neither records nor sends. Never: looks into a stage.

mod rest;
mod turn;

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32};
use std::time::Instant;

use actix::{Actor, ActorContext, Addr, AsyncContext, Context, Handler, Message, Recipient, SpawnHandle};
use supervisor_core::domain::InstanceId;
use supervisor_core::instance::{Audit, InstanceState, Stage, Stages, Worklist};
use supervisor_core::sim::Scheduler;
use supervisor_core::spec::{InstanceSpec, OnStop};
use supervisor_state::{InstanceKey, RecorderHandle};
use tokio::sync::oneshot;

use crate::alarms::Alarm;
use crate::balances::Comparison;
use crate::beat::Beat;
use crate::brief::Brief;
use crate::guard::DropGuard;
use crate::pace::Pace;
use crate::seat::Seat;
use crate::settings::Snapshots;
use crate::stage::{Gather, Peers, Shell, Shutdown, StageActor, Take};
use crate::supervisor::messages::Switches;

/// Everything a conductor is made of.
pub struct Score {
    pub spec: Arc<InstanceSpec>,
    /// Origin of the prices, for snapshots.
    pub feed: String,
    pub list: Worklist,
    pub scheduler: Scheduler,
    pub pace: Pace,
    pub kill: Arc<AtomicBool>,
    pub recorder: RecorderHandle,
    pub key: InstanceKey,
    /// Journal number = this + the fact's own number.
    pub seq_base: u64,
    /// Number of this life: first part of its order ids.
    pub life: u32,
    pub generation: u32,
    /// The instance's newest generation; an older conductor does nothing any more.
    pub fence: Arc<AtomicU32>,
    /// What it is told before anything else happens.
    pub first: VecDeque<Told>,
    pub snapshots: Snapshots,
    /// True when this life has no snapshot yet: recovery needs one to begin with.
    pub is_fresh: bool,
    /// True when its position is to be checked at the first rest.
    pub must_check: bool,
    pub beat: Arc<Beat>,
    pub ordinal: u32,
    pub supervisor: Recipient<Finished>,
    pub switchboard: Recipient<Switches>,
    pub lookout: Recipient<Stalled>,
    pub reviewer: Recipient<Odd>,
    pub alarm_bell: Recipient<Alarms>,
    /// On an account whose bots must not trade with each other.
    pub seat: Option<Seat>,
    pub guard: DropGuard,
}

/// What comes from outside the feed.
pub enum Told {
    /// An operator's command.
    Audit(Audit),
    /// Other settings, and the keys that changed.
    Revise(Box<InstanceSpec>, String),
}

/// How an instance came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The feed has ended.
    Feed,
    /// It was told to stop.
    Stopped,
    /// The recorder refused: nothing may happen any more.
    Unrecorded,
}

/// The last word of a conductor; its state is on disk when the supervisor hears it.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Finished {
    pub spec: Arc<InstanceSpec>,
    pub generation: u32,
    pub end: End,
    pub state: Option<Box<InstanceState>>,
    pub brief: Box<Brief>,
    /// What went wrong, if it did.
    pub error: Option<String>,
    /// What a stop was to end and did not.
    pub left: Option<String>,
}

/// An operator's command.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Command(pub Audit);

/// Wants figures, and the whole state when `full`.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Ask {
    pub full: bool,
    pub reply: oneshot::Sender<(Brief, Option<Box<InstanceState>>)>,
}

/// Asked now and then: is anything moving?
#[derive(Message)]
#[rtype(result = "()")]
pub struct Probe;

/// The worklist has been away since the probe before: it is lost.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Stalled {
    pub id: InstanceId,
    pub generation: u32,
}

/// What the check of the position found.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Odd {
    pub id: InstanceId,
    pub generation: u32,
    pub warnings: Vec<String>,
}

/// What people should look at.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Alarms {
    pub id: InstanceId,
    pub generation: u32,
    pub alarms: Vec<Alarm>,
}

/// Facts up to here are on disk, or the recorder gave up.
#[derive(Message)]
#[rtype(result = "()")]
struct Durable(Result<u64, String>);

/// Look again.
#[derive(Message)]
#[rtype(result = "()")]
struct Turn;

/// The last snapshot: what it covered, and when.
struct LastSnapshot {
    facts: u64,
    inputs: u64,
    at: Instant,
}

/// See the module.
pub struct Conductor {
    score: Score,
    home: Option<Box<Worklist>>,
    stages: Option<Stages>,
    peers: Option<Peers>,
    waiting: bool,
    /// True while facts are on their way to the disk that nobody waits for.
    is_unconfirmed: bool,
    told: VecDeque<Told>,
    asks: VecDeque<Ask>,
    asked: Option<Ask>,
    stopping: Option<(OnStop, u64)>,
    finishing: Option<(End, Option<String>)>,
    timer: Option<SpawnHandle>,
    snapshot: LastSnapshot,
    is_snapshotting: bool,
    is_checking: bool,
    is_comparing: bool,
    comparison: Comparison,
    /// Turns so far, and how many there were at the probe before.
    turns: u64,
    probed: Option<u64>,
}

impl Conductor {
    /// A conductor that starts its five actors when it starts itself.
    pub fn new(mut score: Score, stages: Stages) -> Self {
        let list = std::mem::replace(&mut score.list, Worklist::new(score.spec.clone()));
        // Spread over the interval, so that a thousand bots do not take theirs in the same second.
        let age = score.snapshots.age.mul_f64(f64::from(score.ordinal % 64) / 64.0);
        let at = Instant::now().checked_sub(age).unwrap_or_else(Instant::now);
        let snapshot = LastSnapshot { facts: list.facts_written(), inputs: list.inputs(), at };
        Self {
            told: std::mem::take(&mut score.first),
            score,
            home: Some(Box::new(list)),
            stages: Some(stages),
            peers: None,
            waiting: false,
            is_unconfirmed: false,
            asks: VecDeque::new(),
            asked: None,
            stopping: None,
            finishing: None,
            timer: None,
            snapshot,
            is_snapshotting: false,
            is_checking: false,
            is_comparing: false,
            comparison: Comparison::default(),
            turns: 0,
            probed: None,
        }
    }

    /// Starts orders, risk, streak, strategy and market data, in this order, on this arbiter.
    fn start_stages(&mut self, home: Addr<Self>) {
        let Some(stages) = self.stages.take() else { return };
        let Score { kill, guard, beat, ordinal, .. } = &self.score;
        let shell = |stage: Stage| Shell {
            kill: kill.clone(),
            beat: beat.clone(),
            ordinal: *ordinal,
            _guard: guard.another(stage.word()),
        };
        let orders = StageActor::new(stages.orders, shell(Stage::Orders)).start();
        let risk = StageActor::new(stages.risk, shell(Stage::Risk)).start();
        let streak = StageActor::new(stages.streak, shell(Stage::Streak)).start();
        let strategy = StageActor::new(stages.strategy, shell(Stage::Strategy)).start();
        let market = StageActor::new(stages.market, shell(Stage::Market)).start();
        let peers = Peers { home, market, strategy, risk, orders, streak };
        peers.orders.do_send(peers.clone());
        peers.risk.do_send(peers.clone());
        peers.streak.do_send(peers.clone());
        peers.strategy.do_send(peers.clone());
        peers.market.do_send(peers.clone());
        let (id, generation, switches) = (self.score.spec.id, self.score.generation, peers.switches());
        self.score.switchboard.do_send(Switches { id, generation, switches });
        self.peers = Some(peers);
    }

    fn close(&mut self, ctx: &mut Context<Self>) {
        if let Some(peers) = self.peers.take() {
            peers.shutdown();
        }
        ctx.stop();
    }
}

impl Actor for Conductor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.start_stages(ctx.address());
        ctx.notify(Turn);
    }
}

impl Handler<Turn> for Conductor {
    type Result = ();
    fn handle(&mut self, _: Turn, ctx: &mut Context<Self>) {
        self.turn(ctx);
    }
}

impl Handler<Take> for Conductor {
    type Result = ();
    fn handle(&mut self, Take(list): Take, ctx: &mut Context<Self>) {
        self.home = Some(list);
        self.turn(ctx);
    }
}

impl Handler<Gather> for Conductor {
    type Result = ();
    fn handle(&mut self, gather: Gather, ctx: &mut Context<Self>) {
        self.gathered(gather, ctx);
    }
}

impl Handler<Durable> for Conductor {
    type Result = ();
    fn handle(&mut self, Durable(answer): Durable, ctx: &mut Context<Self>) {
        self.waiting = false;
        match answer {
            Ok(_) => self.turn(ctx),
            Err(error) => {
                // Nothing leaves that is not on disk: the orders that wait are dropped with the worklist.
                self.finishing = Some((End::Unrecorded, Some(error)));
                self.finished(None, Box::new(Brief::default()), ctx);
            }
        }
    }
}

impl Handler<Command> for Conductor {
    type Result = ();
    fn handle(&mut self, Command(audit): Command, ctx: &mut Context<Self>) {
        self.told.push_back(Told::Audit(audit));
        self.turn(ctx);
    }
}

impl Handler<Ask> for Conductor {
    type Result = ();
    fn handle(&mut self, ask: Ask, ctx: &mut Context<Self>) {
        self.asks.push_back(ask);
        self.turn(ctx);
    }
}

impl Handler<Probe> for Conductor {
    type Result = ();
    fn handle(&mut self, _: Probe, _: &mut Context<Self>) {
        let stalled = self.home.is_none() && self.probed == Some(self.turns);
        self.probed = Some(self.turns);
        if stalled {
            let (id, generation) = (self.score.spec.id, self.score.generation);
            self.score.lookout.do_send(Stalled { id, generation });
        }
    }
}

impl Handler<Shutdown> for Conductor {
    type Result = ();
    fn handle(&mut self, _: Shutdown, ctx: &mut Context<Self>) {
        self.close(ctx);
    }
}
