//! From a feed's configuration to the feed itself. Recordings are shared by all bots that replay the same file.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use supervisor_config::{FeedConfig, InstanceConfig};
use supervisor_core::domain::InstrumentIx;
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
    #[error("{path}: candles of {file}, which do not make up timeframe {timeframe}; use a file whose interval divides it")]
    Interval {
        /// The file.
        path: String,
        /// Its interval.
        file: String,
        /// What the instance wants.
        timeframe: String,
    },
}

/// Recordings in use, by file.
static SHELF: Mutex<BTreeMap<PathBuf, Recording>> = Mutex::new(BTreeMap::new());

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

fn recording(file: &PathBuf) -> Result<Recording, LoadError> {
    if let Some(found) = SHELF.lock().unwrap_or_else(PoisonError::into_inner).get(file) {
        return Ok(found.clone());
    }
    let loaded = load(file)?;
    SHELF.lock().unwrap_or_else(PoisonError::into_inner).insert(file.clone(), loaded.clone());
    Ok(loaded)
}

fn check_interval(config: &InstanceConfig, file: &PathBuf, recording: &Recording) -> Result<(), FeedError> {
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
