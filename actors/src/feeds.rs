//! From a feed's configuration to the feed itself. Recordings are shared by all bots that replay the same file.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::SystemTime;

use supervisor_config::{FeedConfig, InstanceConfig};
use supervisor_core::domain::{Candle, InstrumentIx, PublicTrade};
use supervisor_core::sim::{Feed, Recording, ReplayFeed, SyntheticError, SyntheticFeed};
use supervisor_venues::replay::{LoadError, load};

/// Why a feed cannot be built.
#[derive(Debug, thiserror::Error)]
pub enum FeedError {
    /// A data file is wrong.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The made-up market cannot be walked.
    #[error(transparent)]
    Synthetic(#[from] SyntheticError),
    /// The candles are longer than the instance's, or do not divide them.
    #[error(
        "{path}: candles of {file}, which do not make up timeframe {timeframe}; use a file whose interval divides it"
    )]
    Interval {
        /// The file.
        path: String,
        /// Its interval.
        file: String,
        /// What the instance wants.
        timeframe: String,
    },
}

/// A recording that somebody may still hold.
enum Held {
    Candles(Weak<Vec<Candle>>),
    Trades(Weak<Vec<PublicTrade>>),
}

impl Held {
    fn of(recording: &Recording) -> Self {
        match recording {
            Recording::Candles(candles) => Self::Candles(Arc::downgrade(candles)),
            Recording::Trades(trades) => Self::Trades(Arc::downgrade(trades)),
        }
    }
    fn recording(&self) -> Option<Recording> {
        match self {
            Self::Candles(candles) => candles.upgrade().map(Recording::Candles),
            Self::Trades(trades) => trades.upgrade().map(Recording::Trades),
        }
    }
}

type Shelf = BTreeMap<(PathBuf, Option<SystemTime>), Held>;

/// Recordings in use, by file and its time of change; one that nobody holds any more is read again.
static SHELF: Mutex<Shelf> = Mutex::new(Shelf::new());

/// Builds the feed of an instance; reads files, so call it where blocking is allowed.
///
/// # Errors
/// [`FeedError`] when a file is missing or wrong.
pub fn build(config: &InstanceConfig) -> Result<Box<dyn Feed>, FeedError> {
    match &config.feed {
        FeedConfig::Synthetic { spec, .. } => Ok(Box::new(SyntheticFeed::new(spec.clone())?)),
        FeedConfig::Replay { files, .. } => {
            let mut series = Vec::with_capacity(files.len());
            for (at, file) in files.iter().enumerate() {
                let recording = recording(file)?;
                check_interval(config, file, &recording)?;
                series.push((InstrumentIx(u16::try_from(at).unwrap_or(u16::MAX)), recording));
            }
            Ok(Box::new(ReplayFeed::new(series)))
        }
    }
}

fn recording(file: &Path) -> Result<Recording, LoadError> {
    let changed = std::fs::metadata(file).and_then(|meta| meta.modified()).ok();
    let place = (file.to_owned(), changed);
    let mut shelf = SHELF.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(found) = shelf.get(&place).and_then(Held::recording) {
        return Ok(found);
    }
    // Read under the lock: a hundred bots that start on one file read it once.
    let loaded = load(file)?;
    shelf.retain(|_, held| held.recording().is_some());
    shelf.insert(place, Held::of(&loaded));
    Ok(loaded)
}

fn check_interval(config: &InstanceConfig, file: &Path, recording: &Recording) -> Result<(), FeedError> {
    let Some(interval) = recording.interval() else { return Ok(()) };
    let wrong = |wanted: supervisor_core::domain::Timeframe| FeedError::Interval {
        path: file.display().to_string(),
        file: interval.to_string(),
        timeframe: wanted.to_string(),
    };
    let spec = &config.spec;
    match spec.strategy.timeframes(spec.timeframe).into_iter().find(|tf| tf.millis() % interval.millis() != 0) {
        Some(timeframe) => Err(wrong(timeframe)),
        None => Ok(()),
    }
}
