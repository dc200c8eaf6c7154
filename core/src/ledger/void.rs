//! Executions that are void: told by the venue, or missing where they must be.
//!
//! A venue says once that an execution is void, and whoever is not there does not hear it. What was executed at some
//! moment is in every whole reading of that moment, for as long as it stands. Promises: an execution that counts and
//! that two such readings in a row do not have, the second one later than the first by the venue's margin, is told to
//! its owner as void, each time until its desk has recorded that; one of others goes back by itself. Never: judges by
//! a reading that may not have it: the moment lies strictly inside, and is older than the newest one by that margin.

use std::collections::{BTreeMap, BTreeSet};

use super::book::Execution;
use super::news::{Owner, fill_of};
use super::outside::Foreign;
use super::{Ledger, VenueTrade};
use crate::domain::{InstanceId, Symbol, Timestamp, TradeId};
use crate::orders::Report;

/// Executions that the newest reading of their symbol did not have, and up to when the first such reading reached.
pub(super) type Suspects = BTreeMap<(Symbol, TradeId), Timestamp>;

/// A whole reading of the executions of a symbol.
#[derive(Clone, Debug)]
pub(super) struct Whole<'a> {
    pub symbol: Symbol,
    pub from: Timestamp,
    pub until: Timestamp,
    pub trades: &'a [VenueTrade],
}

/// What a reading says about an execution that it does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Word {
    /// It would have it.
    Missing,
    /// A later one will say.
    Later,
    /// Nothing.
    Nothing,
}

/// An execution that counts, and that a reading must have and has not.
#[derive(Clone, Copy, Debug)]
struct Gap {
    /// What its owner is to hear; `None` for one that no instance has.
    told: Option<(InstanceId, Report)>,
    trade: VenueTrade,
    /// It is not older than this.
    first: Timestamp,
}

/// What a reading lacks.
#[derive(Clone, Debug, Default)]
struct Lack {
    gaps: Vec<Gap>,
    /// From when on a later reading is to be compared.
    again: Vec<Timestamp>,
}

impl Whole<'_> {
    fn says(&self, first: Timestamp, last: Timestamp, margin_ms: i64) -> Word {
        if first <= self.from {
            Word::Nothing
        } else if last + margin_ms < self.until {
            Word::Missing
        } else {
            Word::Later
        }
    }
}

impl Ledger {
    /// An execution is void, as the private stream tells it. Answers what its desk must hear; what one of others had
    /// moved goes back, once, however often and in whichever order the two are told.
    pub fn on_bust(&mut self, at: Timestamp, trade: &VenueTrade) -> Option<(InstanceId, Report)> {
        match self.owner(trade.client) {
            Owner::Ours(known) if known.symbol == trade.symbol => {
                let is_void = known.trades.contains(&trade.trade) && !known.standing.contains_key(&trade.trade);
                (!is_void).then(|| (known.id.instance, Report::Bust(fill_of(known, trade))))
            }
            Owner::Past => None,
            Owner::Ours(_) | Owner::Orphan | Owner::Nobody => {
                let counted = self.left_with(trade);
                self.take_back(at, trade, counted);
                None
            }
        }
    }

    fn take_back(&mut self, at: Timestamp, trade: &VenueTrade, counted: bool) {
        let foreign = Foreign { trade: *trade, pair: self.pair(trade.symbol), orphan: false, counted, void: true };
        let counts = self.comparison.is_in_opening(trade.at);
        self.outside.void(at, foreign, counts);
    }

    /// Compares what counts with a whole reading; answers what the owners must hear.
    pub(super) fn miss(&mut self, at: Timestamp, whole: &Whole<'_>) -> Vec<(InstanceId, Report)> {
        self.date(whole);
        let Lack { gaps, mut again } = self.lack(whole);
        let before = std::mem::take(&mut self.suspects);
        let (of_it, others): (Suspects, Suspects) = before.into_iter().partition(|(key, _)| key.0 == whole.symbol);
        self.suspects = others;
        let mut news = Vec::new();
        for gap in gaps {
            let key = (whole.symbol, gap.trade.trade);
            let since = of_it.get(&key).copied().unwrap_or(whole.until);
            self.suspects.insert(key, since);
            if whole.until.since(since) < self.venue.margin_ms {
                again.push(gap.first);
                continue;
            }
            match gap.told {
                Some(told) => news.push(told),
                None => self.take_back(at, &gap.trade, true),
            }
        }
        if let Some(earliest) = again.into_iter().min() {
            self.polls.look_again(at, whole.symbol, earliest - 1, self.venue.margin_ms);
        }
        news
    }

    /// A reading says when executions happened of which that was not known.
    fn date(&mut self, whole: &Whole<'_>) {
        for trade in whole.trades {
            let Some(id) = trade.client else { continue };
            let was_unknown = self.book.dated(id, trade);
            if let Some(pair) =
                self.pair(trade.symbol).filter(|_| was_unknown && self.comparison.is_in_opening(trade.at))
            {
                self.outside.hand_over(pair, trade.into());
            }
        }
    }

    fn lack(&self, whole: &Whole<'_>) -> Lack {
        let listed: BTreeSet<TradeId> = whole.trades.iter().map(|trade| trade.trade).collect();
        let is_there = |trade: TradeId| listed.contains(&trade);
        let margin_ms = self.venue.margin_ms;
        let mut lack = Lack::default();
        for known in self.book.of(whole.symbol) {
            let runs = self.members.contains_key(&known.id.instance);
            for execution in known.standing.values().filter(|execution| !is_there(execution.fill.trade)) {
                let Execution { fill, first, last, .. } = *execution;
                match whole.says(first, last, margin_ms) {
                    Word::Missing => {
                        let told = runs.then_some((known.id.instance, Report::Bust(fill)));
                        lack.gaps.push(Gap { told, trade: known.trade_of(&fill), first });
                    }
                    Word::Later if first < last => lack.again.push(first),
                    Word::Later | Word::Nothing => {}
                }
            }
        }
        let foreign = self.outside.standing(whole.symbol).filter(|trade| !is_there(trade.trade));
        let gone = foreign.filter(|trade| whole.says(trade.at, trade.at, margin_ms) == Word::Missing);
        lack.gaps.extend(gone.map(|trade| Gap { told: None, trade: *trade, first: trade.at }));
        lack
    }
}
