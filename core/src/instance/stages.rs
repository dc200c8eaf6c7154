//! The five stages side by side, for whoever runs them without actors, and as one value for snapshots.

use serde::{Deserialize, Serialize};

use super::message::{Cx, Message, Outbox};
use crate::market::Market;
use crate::orders::Orders;
use crate::risk::Risk;
use crate::spec::InstanceSpec;
use crate::strategy::StrategyStage;
use crate::streak::Streak;

/// All stages of an instance.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Stages {
    /// Market data.
    pub market: Market,
    /// Strategy.
    pub strategy: StrategyStage,
    /// Risk.
    pub risk: Risk,
    /// Order lifecycle.
    pub orders: Orders,
    /// Streak monitor.
    pub streak: Streak,
}

impl Stages {
    /// Fresh stages.
    #[must_use]
    pub fn new(spec: &InstanceSpec) -> Self {
        Self {
            market: Market::new(spec),
            strategy: StrategyStage::new(spec),
            risk: Risk::new(spec),
            orders: Orders::new(spec),
            streak: Streak::new(spec),
        }
    }

    /// Hands a message to its stage.
    pub fn on(&mut self, cx: &Cx<'_>, message: Message, out: &mut Outbox) {
        match message {
            Message::Market(message) => self.market.on(cx, message, out),
            Message::Strategy(message) => self.strategy.on(cx, message, out),
            Message::Risk(message) => self.risk.on(cx, message, out),
            Message::Orders(message) => self.orders.on(cx, message, out),
            Message::Streak(message) => self.streak.on(cx, message, out),
        }
    }
}
