//! What the supervisor actor can be told and asked.

use std::sync::Arc;

use actix::{Message, Recipient};
use supervisor_config::InstanceConfig;
use supervisor_core::domain::InstanceId;
use supervisor_core::instance::{Control, InstanceState};
use supervisor_core::spec::OnStop;
use tokio::sync::oneshot;

use super::Card;
use crate::brief::Brief;
use crate::fleet::{By, FleetError};
use crate::prepare::{Life, Prepared};
use crate::stage::Shutdown;
use crate::view::{AlertRow, KillStatus, State};

macro_rules! call {
    ($(#[$doc:meta])* $name:ident { $($field:ident : $type:ty),* $(,)? } -> $result:ty) => {
        $(#[$doc])*
        pub struct $name { $(pub $field: $type),* }

        impl Message for $name {
            type Result = $result;
        }
    };
}

call!(/** All instances. */ Cards {} -> Vec<Card>);
call!(/** One instance. */ Find { id: String } -> Result<Card, FleetError>);
call!(
    /** Wants to start one; the answer comes when it runs, or cannot. */
    Begin { id: String, config: Option<Arc<InstanceConfig>>, fresh: bool, auto: bool }
    -> Result<Begun, FleetError>
);
call!(
    /** A bot that no directory holds. */
    Insert { config: Arc<InstanceConfig>, added: bool }
    -> Result<(), FleetError>
);
call!(
    /** What one that does not run has from an earlier run. */
    Recalled { id: InstanceId, life: Life, state: Arc<InstanceState> }
    -> ()
);
call!(/** Forget one that is not live. */ Forget { id: String } -> Result<(), FleetError>);
call!(
    /** Wants to stop one. */
    BeginStop { id: String, on_stop: Option<OnStop>, by: By }
    -> Result<Option<oneshot::Receiver<()>>, FleetError>
);
call!(/** Entries off or on. */ Pause { id: String, on: bool, by: By } -> Result<(Card, bool), FleetError>);
call!(/** A command for one that runs. */ Tell { id: String, control: Control, by: By } -> Result<(), FleetError>);
call!(/** The latch was set or cleared. */ Kill { status: KillStatus, by: By } -> Vec<Card>);
call!(/** The latch as it stands. */ KillNow {} -> KillStatus);
call!(/** Newest alerts, oldest first. */ Alerts { limit: usize } -> Vec<AlertRow>);
call!(/** Adds an alert. */ Raise { severity: &'static str, instance: String, code: &'static str, text: String } -> ());
call!(/** Tells when every finite feed has ended. */ WaitEnded {} -> oneshot::Receiver<()>);
call!(/** Figures that somebody just looked at. */ Seen { id: InstanceId, brief: Brief } -> ());

call!(/** Completes when the store has failed for good. */ WaitFailed {} -> oneshot::Receiver<String>);

/// What becomes of the wish to start one.
pub enum Begun {
    /// It runs already.
    Already(State),
    /// It is being brought up.
    Soon(oneshot::Receiver<Result<State, FleetError>>),
}

/// An instance is ready to be started, or cannot be: the alert's code, and why.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Ready {
    pub id: InstanceId,
    pub generation: u32,
    pub prepared: Result<Box<Prepared>, (&'static str, String)>,
}

/// What is left of an instance that no actor can hold.
pub struct Remains {
    /// Numbers of the entries that were withdrawn.
    pub orders: Vec<u64>,
    /// The state with that, if it could be stored.
    pub state: Option<Box<InstanceState>>,
    pub life: Life,
}

/// What the last resort has done.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Abandoned {
    pub id: InstanceId,
    pub outcome: Result<Remains, String>,
}

/// The whole store was checked: what is wrong.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Verified(pub Vec<String>);

/// A backup on schedule is done.
#[derive(Message)]
#[rtype(result = "()")]
pub struct BackedUp(pub Result<(), String>);

/// The actors of an instance, so that they can be stopped when one of them dies.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Switches {
    pub id: InstanceId,
    pub generation: u32,
    pub switches: Vec<Recipient<Shutdown>>,
}
