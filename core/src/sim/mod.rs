//! Virtual time: feeds, the paper venue, the scheduler and the backtest.

mod backtest;
mod feed;
mod line;
mod market;
mod path;
mod recovery;
mod rng;
mod scheduler;
mod venue;
mod walk;

pub use backtest::Backtest;
pub use feed::{Feed, FeedEvent, Gap, Recording, ReplayFeed, interval_of};
pub use line::Line;
pub use market::{SyntheticError, SyntheticFeed, SyntheticInstrument, SyntheticSpec, synthetic_candles};
pub(crate) use recovery::rerun_outside;
pub use recovery::{Diverged, Recovered, recover};
pub use rng::SeededRng;
pub use scheduler::{Next, Scheduler, SchedulerState};
pub use venue::PaperVenue;
