//! M10: what a start brings back is what was durable, and all of it.

use supervisor_core::domain::Timestamp;
use supervisor_core::instance::Outside;

use super::Checker;

/// Hashes of states kept per bot.
const DIGESTS_KEPT: usize = 64;
/// One of so many batches has its state hashed when no crash is near.
const SAMPLED: u64 = 64;
/// One of so many bots has each of its states hashed while a crash is near; which ones changes with each life.
const WATCHED: u64 = 3;

impl Checker {
    /// A bot has worked off an input. Its state is hashed now and then, and whenever a crash is near.
    pub fn on_digest(&mut self, at: usize, it: &Outside, is_crash_near: bool) {
        let Some(bot) = self.bots.get_mut(at) else { return };
        bot.batches += 1;
        let is_watched = is_crash_near && (at as u64 + self.lives).is_multiple_of(WATCHED);
        if !is_watched && !bot.batches.is_multiple_of(SAMPLED) {
            return;
        }
        let entry = (it.list.facts_written(), digest(it));
        bot.digests.push_back(entry);
        if bot.digests.len() > DIGESTS_KEPT {
            bot.digests.pop_front();
        }
    }

    /// A start has brought a bot back; `last` is its newest durable fact. What was lost is taken back here, too.
    pub fn on_recovered(&mut self, now: Timestamp, at: usize, it: &Outside, last: u64) {
        self.seen.retain(|(bot, _)| *bot != at);
        let Some(bot) = self.bots.get_mut(at) else { return };
        bot.approved.retain(|_, (seq, _)| *seq <= last);
        bot.counted.retain(|_, (seq, _)| *seq <= last);
        bot.voided.retain(|_, seq| *seq <= last);
        bot.absent.retain(|_, (seq, _)| *seq <= last);
        bot.disputed.retain(|_, seq| *seq <= last);
        bot.settled = it.stages.orders.desk().closed().iter().map(|order| order.terms.order).collect();
        bot.digests.retain(|(seq, _)| *seq <= last);
        let known = bot.digests.iter().rev().find(|(seq, _)| *seq == last).map(|(_, hash)| *hash);
        if let Some(touched) = self.touched.get_mut(at) {
            *touched = true;
        }
        let written = it.list.facts_written();
        if written != last {
            let text = format!("its newest durable fact is {last}, it came back with {written}");
            self.fail("M10", now, at, None, text);
        }
        match known {
            Some(hash) if hash != digest(it) => {
                let text = format!("it came back in another state than it had after fact {last}");
                self.fail("M10", now, at, None, text);
            }
            Some(_) => self.tally.count("recovered states compared"),
            None => self.tally.count("recovered states not known"),
        }
    }

    /// What is stored of a bot cannot be brought back.
    pub fn fail_recovery(&mut self, now: Timestamp, at: usize, why: &str) {
        self.fail("M10", now, at, None, why.to_owned());
    }

    /// The ledger does not take what an instance recorded.
    pub fn fail_ledger(&mut self, now: Timestamp, at: usize, why: &str) {
        self.fail("M1", now, at, None, why.to_owned());
    }

    /// A state cannot be encoded.
    pub fn fail_encoding(&mut self, at: usize) {
        self.fail("M10", Timestamp::default(), at, None, "its state cannot be encoded".to_owned());
    }
}

/// A hash of stages and worklist. The timer is left out: it is set when the effects of an input are carried out, which
/// comes after its facts.
fn digest(it: &Outside) -> u64 {
    let mark = it.list.mark();
    let bytes = postcard::to_allocvec(&(mark.covered(), &it.stages)).unwrap_or_default();
    let step = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01B3);
    bytes.iter().fold(0xCBF2_9CE4_8422_2325, step)
}
