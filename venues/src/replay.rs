//! Recorded candles and trades from `.csv` and `.csv.gz` files.
//!
//! Owns the reading and checking of recordings. Promises: the whole file is checked before any of it is returned, and
//! a refusal names file, line, column, value and range; times come out in milliseconds, numbers without trailing zeros
//! (so that `100.50` and `100.5` are one text everywhere). Never: a float in a price, a repair of bad data.
//!
//! Lines are split here and not by the `csv` crate: these files know no quoting, and a line of absurd length must be
//! an error instead of memory.

mod candles;
mod layout;
mod lines;
mod number;
mod row;
mod trades;

use std::io;
use std::path::{Path, PathBuf};

use supervisor_core::sim::Recording;

use layout::Layout;
use lines::Lines;
pub use row::RowFault;

/// Why a file is not a recording.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The name says something else.
    #[error("{path}: name ends in neither .csv nor .csv.gz; unpack other archives first")]
    Extension {
        /// The file.
        path: PathBuf,
    },
    /// It cannot be opened.
    #[error("{path}: cannot be opened: {source}")]
    Open {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It cannot be read to its end.
    #[error("{path}: cannot be read after line {line}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Last whole line.
        line: u64,
        /// What the system said.
        source: io::Error,
    },
    /// Named `.gz`, contains something else.
    #[error("{path}: is not gzip data (it does not begin with the bytes 1f 8b); name it .csv if it is plain text")]
    NotGzip {
        /// The file.
        path: PathBuf,
    },
    /// The compressed data stops before its end.
    #[error("{path}: gzip data ends in the middle after line {line}: the file was cut; fetch it again")]
    GzipCut {
        /// The file.
        path: PathBuf,
        /// Last whole line.
        line: u64,
    },
    /// The compressed data is broken.
    #[error("{path}: gzip data is damaged after line {line}: {source}")]
    GzipDamaged {
        /// The file.
        path: PathBuf,
        /// Last whole line.
        line: u64,
        /// What the decoder said.
        source: io::Error,
    },
    /// No rows.
    #[error("{path}: holds no rows")]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// Columns that mean nothing here.
    #[error("{path}: line {line} '{found}' has no layout known here; accepted: {}", layout::ACCEPTED)]
    Layout {
        /// The file.
        path: PathBuf,
        /// 1-based.
        line: u64,
        /// Its beginning.
        found: String,
    },
    /// A row breaks a rule.
    #[error("{path}: line {line}: {fault}")]
    Row {
        /// The file.
        path: PathBuf,
        /// 1-based, header included.
        line: u64,
        /// Which rule.
        fault: RowFault,
    },
}

/// Reads and checks a whole file: candles (Binance klines), or trades (Binance trades and aggregate trades, spot and
/// USD-M; BitMEX `timestamp,price,size`). The layout is recognised from header, number of columns and content.
///
/// # Errors
/// [`LoadError`] for the first thing that is wrong. Missing candles are no error; see [`Recording::gaps`].
pub fn load(path: &Path) -> Result<Recording, LoadError> {
    let mut lines = Lines::open(path)?;
    let Some(first) = lines.next()? else { return Err(LoadError::Empty { path: path.to_owned() }) };
    let Some((layout, header)) = Layout::of(first) else { return Err(lines.unknown_layout()) };
    if !header {
        lines.again();
    }
    let recording = match layout {
        Layout::Candles(columns) => candles::read(&mut lines, &columns)?,
        Layout::Trades(columns) => trades::read(&mut lines, &columns)?,
    };
    if recording.is_empty() {
        return Err(LoadError::Empty { path: path.to_owned() });
    }
    Ok(recording)
}
