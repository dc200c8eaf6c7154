//! The home of an instance's worklist: releases inputs, records facts, sends orders.
//!
//! Owns the scheduler (feed, paper venue, timer), the pace and the instance's place in the journal. Promises: the next
//! input is released only when the worklist is home and empty; an order leaves only when every fact before it is
//! durable. Never: looks into a stage.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use actix::{Actor, ActorContext, Addr, AsyncContext, Context, Handler, Message, Recipient, SpawnHandle};
use supervisor_core::instance::{Audit, Control, InstanceState, Stage, Stages, Worklist};
use supervisor_core::sim::{Next, Scheduler};
use supervisor_core::spec::{InstanceSpec, OnStop};
use supervisor_state::{Batch, InstanceKey, RecorderHandle};
use tokio::sync::oneshot;

use crate::brief::Brief;
use crate::facts;
use crate::guard::DropGuard;
use crate::pace::Pace;
use crate::stage::{Gather, Parts, Peers, Shutdown, StageActor, Take};
use crate::supervisor::messages::Switches;

/// Batches in the recorder's queue at which an instance waits for the disk instead of adding more.
const QUEUE_MAX: usize = 10_000;
/// Candles that a stop may take to get its cancels and exits through.
const STOP_CANDLES: u64 = 8;

/// Everything a conductor is made of.
pub struct Score {
    pub spec: Arc<InstanceSpec>,
    pub list: Worklist,
    pub stages: Stages,
    pub scheduler: Scheduler,
    pub pace: Pace,
    pub kill: Arc<AtomicBool>,
    pub recorder: RecorderHandle,
    pub key: InstanceKey,
    /// Journal number = this + the fact's own number.
    pub seq_base: u64,
    /// First part of the order ids of this life.
    pub life: u32,
    pub supervisor: Recipient<Finished>,
    pub switchboard: Recipient<Switches>,
    pub guard: DropGuard,
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

/// The last word of a conductor.
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

/// Facts up to here are on disk, or the recorder gave up.
#[derive(Message)]
#[rtype(result = "()")]
struct Durable(Result<u64, String>);

/// See the module.
pub struct Conductor {
    score: Score,
    generation: u32,
    home: Option<Box<Worklist>>,
    stages: Option<Stages>,
    peers: Option<Peers>,
    waiting: bool,
    commands: VecDeque<Audit>,
    asks: VecDeque<Ask>,
    asked: Option<Ask>,
    stopping: Option<(OnStop, u64)>,
    finishing: Option<(End, Option<String>)>,
    timer: Option<SpawnHandle>,
}

impl Conductor {
    /// A conductor that starts its five actors when it starts itself.
    pub fn new(mut score: Score, generation: u32) -> Self {
        let stages = score.stages.clone();
        let list = std::mem::replace(&mut score.list, Worklist::new(score.spec.clone()));
        Self {
            score,
            generation,
            home: Some(Box::new(list)),
            stages: Some(stages),
            peers: None,
            waiting: false,
            commands: VecDeque::new(),
            asks: VecDeque::new(),
            asked: None,
            stopping: None,
            finishing: None,
            timer: None,
        }
    }

    /// Starts orders, risk, streak, strategy and market data, in this order, on this arbiter.
    fn start_stages(&mut self, home: Addr<Self>) {
        let Some(stages) = self.stages.take() else { return };
        let (kill, guard) = (&self.score.kill, &self.score.guard);
        let orders = StageActor::new(stages.orders, kill.clone(), guard.another(Stage::Orders.word())).start();
        let risk = StageActor::new(stages.risk, kill.clone(), guard.another(Stage::Risk.word())).start();
        let streak = StageActor::new(stages.streak, kill.clone(), guard.another(Stage::Streak.word())).start();
        let strategy = StageActor::new(stages.strategy, kill.clone(), guard.another(Stage::Strategy.word())).start();
        let market = StageActor::new(stages.market, kill.clone(), guard.another(Stage::Market.word())).start();
        let peers = Peers { home, market, strategy, risk, orders, streak };
        peers.orders.do_send(peers.clone());
        peers.risk.do_send(peers.clone());
        peers.streak.do_send(peers.clone());
        peers.strategy.do_send(peers.clone());
        peers.market.do_send(peers.clone());
        let (id, generation, switches) = (self.score.spec.id, self.generation, peers.switches());
        self.score.switchboard.do_send(Switches { id, generation, switches });
        self.peers = Some(peers);
    }

    /// What to do now that the worklist is home: one step, then away again or to rest.
    fn turn(&mut self, ctx: &mut Context<Self>) {
        if self.home.is_none() || self.waiting {
            return;
        }
        self.record(ctx);
        if self.waiting {
            return;
        }
        self.carry_out();
        if !self.is_worklist_busy() && self.answer_ask() {
            return;
        }
        self.tell_kill();
        if self.is_worklist_busy() {
            self.send_away();
        } else if let Some(audit) = self.commands.pop_front() {
            self.command(audit, ctx);
        } else {
            self.go_on(ctx);
        }
    }

    fn is_worklist_busy(&self) -> bool {
        self.home.as_ref().is_some_and(|list| !list.is_empty())
    }

    fn send_away(&mut self) {
        if let (Some(list), Some(peers)) = (self.home.take(), &self.peers) {
            peers.pass(list);
        }
    }

    /// Hands new facts to the recorder; waits for it when an order is about to leave, or when it falls behind.
    fn record(&mut self, ctx: &mut Context<Self>) {
        let Some(list) = self.home.as_mut() else { return };
        if !list.has_facts() {
            return;
        }
        let records = list.drain_facts();
        let first_seq = self.score.seq_base + records.first().map_or(0, |record| record.seq);
        facts::log(&self.score.spec, self.score.life, &records);
        let records = records.iter().map(facts::encode).collect();
        let wait = list.has_order() || self.score.recorder.depth() > QUEUE_MAX;
        let done = wait.then(|| {
            let home = ctx.address();
            Box::new(move |answer: Result<u64, _>| {
                home.do_send(Durable(answer.map_err(|error: supervisor_state::RecordError| error.to_string())));
            }) as supervisor_state::Done
        });
        self.waiting = done.is_some();
        self.score.recorder.append(Batch { instance: self.score.key, first_seq, records, done });
    }

    /// Carries effects out; everything before them is durable now.
    fn carry_out(&mut self) {
        let killed = self.score.kill.load(Ordering::Acquire);
        let Some(list) = self.home.as_mut() else { return };
        if list.has_effects() {
            for effect in list.drain_effects() {
                self.score.scheduler.apply(list, effect, killed);
            }
        }
    }

    /// The kill latch enters the core as a recorded command, before anything else that waits.
    fn tell_kill(&mut self) {
        let killed = self.score.kill.load(Ordering::Acquire);
        if let Some(list) = self.home.as_mut().filter(|list| killed && !list.is_kill_told()) {
            let audit = Audit {
                control: Control::Kill,
                by: "supervisor".to_owned(),
                reason: "kill switch is on".to_owned(),
                request: String::new(),
            };
            list.command_first(list.clock(), audit);
        }
    }

    fn command(&mut self, audit: Audit, ctx: &mut Context<Self>) {
        let Some(list) = self.home.as_mut() else { return };
        if let Control::Stop(on_stop) = audit.control {
            self.stopping = Some((on_stop, self.score.scheduler.progress().0));
        }
        // The latch itself may have told the stages already.
        if audit.control != Control::Kill || !list.is_kill_told() {
            list.command(list.clock(), audit);
        }
        ctx.notify(Turn);
    }

    /// Answers the oldest question by sending the worklist round all stages.
    fn answer_ask(&mut self) -> bool {
        let Some(ask) = self.asks.pop_front() else { return false };
        let full = ask.full;
        self.asked = Some(ask);
        self.collect(full);
        true
    }

    fn collect(&mut self, full: bool) {
        let (Some(list), Some(peers)) = (self.home.take(), &self.peers) else { return };
        let (feed_position, feed_len) = self.score.scheduler.progress();
        let (clock, inputs, hops) = (list.clock(), list.inputs(), list.hops());
        let brief = Box::new(Brief { clock, inputs, feed_position, feed_len, hops, ..Brief::default() });
        let parts = full.then(|| Box::new(Parts::default()));
        peers.collect(Gather { list, next: Some(Stage::Orders), parts, brief });
    }

    /// Nothing waits: release the next input, wait for its time, or come to an end.
    fn go_on(&mut self, ctx: &mut Context<Self>) {
        if self.is_stop_complete() {
            self.finish(End::Stopped, None);
            return;
        }
        let Some(list) = self.home.as_mut() else { return };
        match self.score.scheduler.next(list.watch()) {
            Next::End if self.stopping.is_some() => self.finish(End::Stopped, None),
            Next::End => self.finish(End::Feed, None),
            Next::At(at) => {
                let wait = if self.stopping.is_some() { None } else { self.score.pace.wait(at, Instant::now()) };
                if let Some(wait) = wait {
                    let timer = ctx.run_later(wait, |conductor, ctx| {
                        conductor.timer = None;
                        conductor.turn(ctx);
                    });
                    if let Some(old) = self.timer.replace(timer) {
                        ctx.cancel_future(old);
                    }
                    return;
                }
                self.score.scheduler.release(list);
                self.send_away();
            }
        }
    }

    fn is_stop_complete(&self) -> bool {
        let Some((on_stop, from)) = self.stopping else { return false };
        let taken = self.score.scheduler.progress().0 - from;
        on_stop == OnStop::Keep || !self.score.scheduler.venue().is_busy() || taken >= STOP_CANDLES
    }

    fn finish(&mut self, end: End, error: Option<String>) {
        self.finishing = Some((end, error));
        self.collect(true);
    }

    fn finished(&mut self, state: Option<Box<InstanceState>>, brief: Box<Brief>, ctx: &mut Context<Self>) {
        let (end, error) = self.finishing.take().unwrap_or((End::Stopped, None));
        let spec = self.score.spec.clone();
        self.score.supervisor.do_send(Finished { spec, generation: self.generation, end, state, brief, error });
        self.close(ctx);
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

/// Look again.
#[derive(Message)]
#[rtype(result = "()")]
struct Turn;

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
        let Gather { list, parts, brief, .. } = gather;
        let scheduler = &self.score.scheduler;
        let whole = |stages| Box::new(InstanceState { mark: list.mark(), scheduler: scheduler.state(), stages });
        let state = parts.and_then(|parts| parts.complete()).map(whole);
        self.home = Some(list);
        if self.finishing.is_some() {
            self.finished(state, brief, ctx);
        } else {
            if let Some(ask) = self.asked.take() {
                // Whoever asked may have given up waiting; that is no error here.
                let _ = ask.reply.send((*brief, state));
            }
            self.turn(ctx);
        }
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
                let brief = Box::new(Brief::default());
                self.finishing = Some((End::Unrecorded, Some(error)));
                self.finished(None, brief, ctx);
            }
        }
    }
}

impl Handler<Command> for Conductor {
    type Result = ();
    fn handle(&mut self, Command(audit): Command, ctx: &mut Context<Self>) {
        self.commands.push_back(audit);
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

impl Handler<Shutdown> for Conductor {
    type Result = ();
    fn handle(&mut self, _: Shutdown, ctx: &mut Context<Self>) {
        self.close(ctx);
    }
}
