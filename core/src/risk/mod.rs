//! Risk: the gate, its rules and the exposure it holds.

mod exposure;
mod gate;
mod limits;
mod stage;

pub use exposure::{Exposure, Funds, Hold};
pub use gate::{ApprovedOrder, RiskGate};
pub use limits::{Applies, RULES, Rule, RuleRow, Veto, VetoCode, rule_table};
pub use stage::Risk;
