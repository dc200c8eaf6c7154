//! One file per group of verbs. Each turns flags into one conversation with the running supervisor, or into work that
//! needs none, and answers with an exit code.

pub mod backtest;
pub mod backup;
pub mod change;
pub mod kill;
pub mod logs;
pub mod offline;
pub mod read;
pub mod state;
pub mod status;
pub mod store;
