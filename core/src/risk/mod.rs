//! Risk: the gate, its rules and the exposure it holds.

mod exposure;
mod gate;
mod limits;
mod stage;
mod table;

pub use exposure::{Exposure, Funds, Hold};
pub use gate::{ApprovedOrder, Latches, RiskGate};
pub use limits::{RULES, Rule, Veto, VetoCode};
pub use stage::Risk;
pub use table::{Applies, RuleRow, rule_table};
