//! Why an instance cannot be prepared, in words that say what to do.

use supervisor_core::domain::InstanceId;
use supervisor_core::instance::{FactRecord, StateError};
use supervisor_core::sim::Diverged;
use supervisor_core::spec::InstanceSpec;
use supervisor_state::{KeyError, RecordError, StoreError};

use crate::explain::sentence;
use crate::feeds::FeedError;

/// Longest part of a fact's words in an error, characters.
const WORDS_MAX: usize = 160;

/// Why an instance cannot be prepared.
#[derive(Debug, thiserror::Error)]
pub enum PrepareError {
    /// Its feed.
    #[error(transparent)]
    Feed(#[from] FeedError),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The recorder.
    #[error(transparent)]
    Recorder(#[from] RecordError),
    /// Its name as a key.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// Its state.
    #[error(transparent)]
    State(#[from] StateError),
    /// A stored row cannot be read or written.
    #[error("stored {what} of '{instance}' cannot be read: {source}")]
    Row {
        /// What it was.
        what: &'static str,
        /// Whose.
        instance: InstanceId,
        /// Why.
        source: postcard::Error,
    },
    /// The state belongs to other settings, or cannot pay for these.
    #[error(
        "the state of '{instance}' does not fit its settings: {}; put them back, or start it anew and forget its \
         orders and position: supervisor start-instance {instance} --fresh", reasons.join("; ")
    )]
    Unfit {
        /// Whose.
        instance: InstanceId,
        /// What differs, or is missing.
        reasons: Vec<String>,
    },
    /// There is a journal, and no snapshot to begin with.
    #[error(
        "'{instance}' has a journal and no snapshot that can be read{}; restore a backup, or start it anew: supervisor \
         start-instance {instance} --fresh", remarks.iter().map(|remark| format!(" ({remark})")).collect::<String>()
    )]
    NoSnapshot {
        /// Whose.
        instance: InstanceId,
        /// What is wrong with those that are there.
        remarks: Vec<String>,
    },
    /// The journal and the code do not agree.
    #[error(
        "'{instance}' diverged: {text}; nothing was traded on it. Its recording or the program is not what it was: put \
         that back, and it goes on where it was: supervisor restart {instance}; or start it anew and forget its orders \
         and position: supervisor start-instance {instance} --fresh"
    )]
    Diverged {
        /// Whose.
        instance: InstanceId,
        /// Where, in words.
        text: String,
    },
    /// A stage panicked while its inputs ran again.
    #[error("'{instance}' panicked while it was recovered: {text}")]
    Panicked {
        /// Whose.
        instance: InstanceId,
        /// The panic.
        text: String,
    },
    /// The store lost its state, and no backup had it.
    #[error("the state of '{instance}' is lost: {text}; start it anew: supervisor start-instance {instance} --fresh")]
    Lost {
        /// Whose.
        instance: InstanceId,
        /// As the restore told it.
        text: String,
    },
}

impl PrepareError {
    /// The place of a divergence in the words of the journal.
    pub(super) fn diverged(spec: &InstanceSpec, source: &Diverged) -> Self {
        let text = match source {
            Diverged::Fact { seq, stored, found } => {
                let (stored, found) = (words(stored, spec), words(found, spec));
                let found =
                    if found == stored { "one that differs in detail".to_owned() } else { format!("[{found}]") };
                format!("fact {seq} is stored as [{stored}], but running its inputs again gives {found}")
            }
            Diverged::Missing { seq, stored } => format!(
                "fact {seq} is stored as [{}], but running its inputs again does not bring it: its recording is \
                 shorter than it was, or another one",
                words(stored, spec)
            ),
            Diverged::Gap { .. } => source.to_string(),
        };
        Self::Diverged { instance: spec.id, text }
    }

    /// Stable code of its alert.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Diverged { .. } => "state.diverged",
            Self::Unfit { .. } => "state.unfit",
            Self::NoSnapshot { .. } | Self::Lost { .. } => "state.lost",
            Self::Panicked { .. } => "recovery.panicked",
            Self::Feed(_) | Self::Store(_) | Self::Recorder(_) | Self::Key(_) | Self::State(_) | Self::Row { .. } => {
                "start.failed"
            }
        }
    }
}

/// A fact as the journal tells it, on one short line.
fn words(record: &FactRecord, spec: &InstanceSpec) -> String {
    let (at, event, input) = (record.at, record.fact.word(), record.cause);
    let said = sentence(&record.fact, spec);
    let short: String = said.chars().take(WORDS_MAX).collect();
    let dots = if short.len() < said.len() { " ..." } else { "" };
    format!("{at} {event}: {short}{dots} (input {input})")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::path::Path;

    use supervisor_config::{Account, Caps, Crossing, instance_from_text};
    use supervisor_core::domain::{InstrumentIx, OrderNo, Timestamp};
    use supervisor_core::instance::Fact;
    use supervisor_core::strategy::Note;

    use super::*;

    const TEXT: &str = "id = \"bot\"\nname = \"a\"\nmode = \"paper\"\ninstruments = [\"BTCUSDT\"]\ntimeframe = \"1m\"\n\
        [capital]\nquote = 10000\nbase = 0\n[feed]\nkind = \"synthetic\"\nstart_price = 100\n[strategy]\n\
        kind = \"trend_following\"\n[risk]\nmin_order_value = 10\n";

    fn spec() -> InstanceSpec {
        let balances = BTreeMap::from([("USDT".parse().unwrap(), 100_000.into())]);
        let caps = Caps { max_total_exposure: 1.into(), max_capital_per_symbol: 1.into() };
        let account = Account { venue: "paper".to_owned(), balances, caps, crossing: Crossing::Allow };
        let accounts = BTreeMap::from([("paper".to_owned(), account)]);
        instance_from_text(TEXT, Path::new("bot.toml"), &accounts, &[], &BTreeMap::new()).unwrap().spec
    }

    fn record(seq: u64, fact: Fact) -> Box<FactRecord> {
        Box::new(FactRecord { seq, at: Timestamp::from_millis(60_000), cause: 7, fact })
    }

    #[test]
    fn a_divergence_is_told_in_the_words_of_the_journal_with_both_ways_out() {
        let (spec, seq) = (spec(), 34);
        let stored = || record(seq, Fact::Note(InstrumentIx(0), Note::Occupied));
        let found = record(seq, Fact::Withheld { order: OrderNo(3), step: 1 });
        let said = "[1970-01-01T00:01:00.000Z strategy.note: BTCUSDT signal not traded: an order or position is \
                    already there (input 7)]";
        for (source, after) in [
            (
                Diverged::Fact { seq, stored: stored(), found },
                "gives [1970-01-01T00:01:00.000Z order.withheld: not sent: the kill switch is on (input 7)]; nothing",
            ),
            (Diverged::Fact { seq, stored: stored(), found: stored() }, "gives one that differs in detail; nothing"),
            (Diverged::Missing { seq, stored: stored() }, "its recording is shorter than it was, or another one; no"),
        ] {
            let text = PrepareError::diverged(&spec, &source).to_string();
            assert!(text.starts_with(&format!("'bot' diverged: fact 34 is stored as {said}, but")), "{text}");
            assert!(text.contains(after), "{text}");
            assert!(text.contains("put that back, and it goes on where it was: supervisor restart bot; or"), "{text}");
            assert!(text.ends_with("supervisor start-instance bot --fresh"), "{text}");
            assert!(!format!("{text}{source}").contains('{'), "no dump: {text} {source}");
        }
    }
}
