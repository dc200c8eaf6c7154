//! The five actors of an instance: one generic shell around each stage.
//!
//! Owns one stage. Promises: it works only while it holds the worklist, and hands it on to the stage of the next
//! message or home. Never: decides anything about trading.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use actix::{Actor, ActorContext, Addr, Context, Handler, Message, Recipient};
use supervisor_core::domain::Purpose;
use supervisor_core::instance::{Cx, Message as CoreMessage, Outbox, RiskIn, Stage, Stages, Worklist};
use supervisor_core::market::Market;
use supervisor_core::orders::Orders;
use supervisor_core::risk::Risk;
use supervisor_core::strategy::StrategyStage;
use supervisor_core::streak::Streak;

use crate::beat::Beat;
use crate::brief::Brief;
use crate::conductor::Conductor;
use crate::guard::DropGuard;

/// The worklist itself: whoever holds it is at work.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Take(pub Box<Worklist>);

/// Who is where; told once, when all five are there.
#[derive(Message, Clone)]
#[rtype(result = "()")]
pub struct Peers {
    pub home: Addr<Conductor>,
    pub market: Addr<StageActor<Market>>,
    pub strategy: Addr<StageActor<StrategyStage>>,
    pub risk: Addr<StageActor<Risk>>,
    pub orders: Addr<StageActor<Orders>>,
    pub streak: Addr<StageActor<Streak>>,
}

impl Peers {
    /// Hands the worklist to the stage of its next message, or home when nothing waits.
    pub fn pass(&self, list: Box<Worklist>) {
        match list.front().map(CoreMessage::stage) {
            None => self.home.do_send(Take(list)),
            Some(Stage::Market) => self.market.do_send(Take(list)),
            Some(Stage::Strategy) => self.strategy.do_send(Take(list)),
            Some(Stage::Risk) => self.risk.do_send(Take(list)),
            Some(Stage::Orders) => self.orders.do_send(Take(list)),
            Some(Stage::Streak) => self.streak.do_send(Take(list)),
        }
    }

    /// Sends a collection to one stage.
    pub fn collect(&self, gather: Gather) {
        match gather.next {
            Some(Stage::Market) => self.market.do_send(gather),
            Some(Stage::Strategy) => self.strategy.do_send(gather),
            Some(Stage::Risk) => self.risk.do_send(gather),
            Some(Stage::Orders) => self.orders.do_send(gather),
            Some(Stage::Streak) => self.streak.do_send(gather),
            None => self.home.do_send(gather),
        }
    }

    /// Stops the five, in reverse order of their start.
    pub fn shutdown(&self) {
        self.market.do_send(Shutdown);
        self.strategy.do_send(Shutdown);
        self.streak.do_send(Shutdown);
        self.risk.do_send(Shutdown);
        self.orders.do_send(Shutdown);
    }

    /// How to stop each, for the supervisor.
    pub fn switches(&self) -> Vec<Recipient<Shutdown>> {
        vec![
            self.market.clone().recipient(),
            self.strategy.clone().recipient(),
            self.streak.clone().recipient(),
            self.risk.clone().recipient(),
            self.orders.clone().recipient(),
        ]
    }
}

/// End of an actor.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Shutdown;

/// Stages on their way to one value; goes round all five while the worklist rests.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Gather {
    /// The worklist, so that nothing else can happen meanwhile.
    pub list: Box<Worklist>,
    /// Who comes next; `None`: home.
    pub next: Option<Stage>,
    /// Filled when the whole state is wanted.
    pub parts: Option<Box<Parts>>,
    /// Filled always.
    pub brief: Box<Brief>,
}

/// The stages as collected so far.
#[derive(Default)]
pub struct Parts {
    pub market: Option<Market>,
    pub strategy: Option<StrategyStage>,
    pub risk: Option<Risk>,
    pub orders: Option<Orders>,
    pub streak: Option<Streak>,
}

impl Parts {
    /// All five, or `None` when one is missing.
    pub fn complete(self) -> Option<Stages> {
        let Self { market, strategy, risk, orders, streak } = self;
        Some(Stages { market: market?, strategy: strategy?, risk: risk?, orders: orders?, streak: streak? })
    }
}

/// What the shell needs of a stage.
pub trait LiveStage: Sized + Unpin + 'static {
    /// Which it is.
    #[cfg(feature = "faults")]
    const STAGE: Stage;
    /// Who comes after it on a collection.
    const AFTER: Option<Stage>;
    /// One message; one for another stage is left alone.
    fn on(&mut self, cx: &Cx<'_>, message: CoreMessage, out: &mut Outbox);
    /// Adds a copy of itself.
    fn put(&self, parts: &mut Parts);
    /// Adds its figures.
    fn brief(&self, brief: &mut Brief);
}

macro_rules! live {
    ($stage:ty, $variant:ident, $field:ident, $after:expr, $brief:expr) => {
        impl LiveStage for $stage {
            #[cfg(feature = "faults")]
            const STAGE: Stage = Stage::$variant;
            const AFTER: Option<Stage> = $after;

            fn on(&mut self, cx: &Cx<'_>, message: CoreMessage, out: &mut Outbox) {
                if let CoreMessage::$variant(message) = message {
                    <$stage>::on(self, cx, message, out);
                }
            }

            fn put(&self, parts: &mut Parts) {
                parts.$field = Some(self.clone());
            }

            fn brief(&self, brief: &mut Brief) {
                let note: fn(&$stage, &mut Brief) = $brief;
                note(self, brief);
            }
        }
    };
}

live!(Orders, Orders, orders, Some(Stage::Risk), |stage, brief| brief.orders(stage));
live!(Risk, Risk, risk, Some(Stage::Streak), |stage, brief| brief.risk(stage));
live!(Streak, Streak, streak, Some(Stage::Strategy), |stage, brief| brief.streak(stage));
live!(StrategyStage, Strategy, strategy, Some(Stage::Market), |_, _| ());
live!(Market, Market, market, None, |stage, brief| brief.market(stage));

/// See the module.
pub struct StageActor<S: LiveStage> {
    stage: S,
    shell: Shell,
    peers: Option<Peers>,
}

/// What surrounds a stage.
pub struct Shell {
    /// The kill switch.
    pub kill: Arc<AtomicBool>,
    /// Where it leaves a mark when it begins to work.
    pub beat: Arc<Beat>,
    /// The instance's mark.
    pub ordinal: u32,
    /// Reports its death.
    pub _guard: DropGuard,
}

impl<S: LiveStage> StageActor<S> {
    /// A shell around a stage.
    pub const fn new(stage: S, shell: Shell) -> Self {
        Self { stage, shell, peers: None }
    }

    /// True when the next message is a review that the kill latch must be told of first.
    fn must_go_home(&self, list: &Worklist) -> bool {
        let entry = match list.front() {
            Some(CoreMessage::Risk(RiskIn::Review(intent))) => intent.purpose == Purpose::Entry,
            _ => false,
        };
        entry && !list.is_kill_told() && self.shell.kill.load(Ordering::Acquire)
    }
}

impl<S: LiveStage> Actor for StageActor<S> {
    type Context = Context<Self>;
}

impl<S: LiveStage> Handler<Peers> for StageActor<S> {
    type Result = ();
    fn handle(&mut self, peers: Peers, _: &mut Context<Self>) {
        self.peers = Some(peers);
    }
}

impl<S: LiveStage> Handler<Take> for StageActor<S> {
    type Result = ();
    fn handle(&mut self, Take(mut list): Take, _: &mut Context<Self>) {
        let Some(peers) = &self.peers else { return };
        self.shell.beat.enter(self.shell.ordinal);
        #[cfg(feature = "faults")]
        crate::faults::strike(list.spec().id, S::STAGE);
        if self.must_go_home(&list) {
            peers.home.do_send(Take(list));
            return;
        }
        if let Some(envelope) = list.pop() {
            let stage = &mut self.stage;
            list.step(envelope, |cx, message, out| stage.on(cx, message, out));
        }
        peers.pass(list);
    }
}

impl<S: LiveStage> Handler<Gather> for StageActor<S> {
    type Result = ();
    fn handle(&mut self, mut gather: Gather, _: &mut Context<Self>) {
        let Some(peers) = &self.peers else { return };
        if let Some(parts) = gather.parts.as_deref_mut() {
            self.stage.put(parts);
        }
        self.stage.brief(&mut gather.brief);
        gather.next = S::AFTER;
        peers.collect(gather);
    }
}

impl<S: LiveStage> Handler<Shutdown> for StageActor<S> {
    type Result = ();
    fn handle(&mut self, _: Shutdown, ctx: &mut Context<Self>) {
        self.peers = None;
        ctx.stop();
    }
}
