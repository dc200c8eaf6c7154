//! The network between a desk and a venue: what becomes of each message.
//!
//! Owns nothing but chance. Promises: the same seed and the same calls give the same fates; after [`Network::quiet`]
//! everything is delivered, in order and soon. Never: looks into a request, never holds a message itself.

use serde::{Deserialize, Serialize};
use supervisor_core::domain::Timestamp;

use crate::venue::chance::Chance;
use crate::venue::{News, Tally};

/// A range of times, ms, both ends in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Span {
    /// Least.
    pub from_ms: i64,
    /// Most.
    pub to_ms: i64,
}

/// How often the network fails. Per mille, unless a field says otherwise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FaultPlan {
    /// Time of a request on its way to the venue.
    pub request: Span,
    /// Time of an answer on its way back.
    pub answer: Span,
    /// Time of news on its way.
    pub news: Span,
    /// Requests that never arrive.
    pub lost_request: u32,
    /// Answers that never come back, though the request was worked on.
    pub lost_answer: u32,
    /// Requests answered with an error of the venue's edge.
    pub busy: u32,
    /// Of those, the ones that were worked on all the same.
    pub busy_worked: u32,
    /// Requests refused by the edge for their number.
    pub limited: u32,
    /// Requests and answers that take `slow_ms` more at most.
    pub slow: u32,
    /// See `slow`.
    pub slow_ms: i64,
    /// Private news that never comes (a bust is told until it is heard: it is never dropped).
    pub stream_drop: u32,
    /// Private news that comes twice.
    pub stream_duplicate: u32,
    /// Private news that is overtaken: it takes `reorder_ms` more at most.
    pub stream_reorder: u32,
    /// See `stream_reorder`.
    pub reorder_ms: i64,
    /// Executions told late, by `late_fill_ms` at most: their order's end comes before them.
    pub late_fill: u32,
    /// See `late_fill`.
    pub late_fill_ms: i64,
    /// Prices that never come.
    pub price_drop: u32,
    /// Mean time between two cuts of the private stream, ms; 0: never.
    pub cut_private_ms: i64,
    /// Mean time between two cuts of the public stream, ms; 0: never.
    pub cut_public_ms: i64,
    /// Mean time between two outages of the way for requests, ms; 0: never. Every request sent in one is lost.
    pub outage_ms: i64,
    /// Length of a cut or an outage.
    pub cut: Span,
}

/// Which stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Stream {
    /// Prices.
    Public,
    /// Orders and executions of an account.
    Private,
}

/// What becomes of one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It arrives and its answer comes back.
    Deliver {
        /// It arrives after this, ms.
        there_ms: i64,
        /// The answer takes this, ms.
        back_ms: i64,
    },
    /// It never arrives.
    LostRequest,
    /// It arrives, the answer is lost.
    LostAnswer {
        /// It arrives after this, ms.
        there_ms: i64,
    },
    /// The edge answers that it is busy.
    Busy {
        /// True when the venue works on the request all the same.
        worked: bool,
        /// If it does, the request arrives after this, ms.
        there_ms: i64,
        /// The edge's answer comes after this in all, ms.
        back_ms: i64,
    },
    /// The edge refuses it for the number of requests: it is not worked on.
    Limited {
        /// That answer comes after this in all, ms.
        back_ms: i64,
        /// The next one is taken after this, ms.
        retry_ms: i64,
    },
}

/// One stream: when it is or will be cut.
#[derive(Clone, Debug)]
struct Line {
    /// Mean time between two cuts, ms; 0: never by itself.
    mean_ms: i64,
    from: Timestamp,
    until: Timestamp,
    chance: Chance,
    /// When the last piece of news in order arrives.
    last: Timestamp,
}

impl Line {
    fn new(mean_ms: i64, start: Timestamp, chance: Chance) -> Self {
        Self { mean_ms, from: start, until: start, chance, last: start }
    }

    /// Draws the cuts up to this moment; true when the stream is up then.
    fn is_up(&mut self, now: Timestamp, length: Span) -> bool {
        while now >= self.until && self.mean_ms > 0 {
            self.from = self.until + self.chance.span(1, self.mean_ms.saturating_mul(2));
            self.until = self.from + self.chance.span(length.from_ms.max(1), length.to_ms.max(1));
        }
        now < self.from || now >= self.until
    }

    /// After which time news arrives that nothing may overtake.
    fn in_order(&mut self, now: Timestamp, takes_ms: i64) -> i64 {
        self.last = self.last.max(now + takes_ms);
        self.last.since(now)
    }
}

/// The network of one world.
#[derive(Clone, Debug)]
pub struct Network {
    plan: FaultPlan,
    requests: Chance,
    stream: Chance,
    public: Line,
    private: Line,
    way: Line,
    tally: Tally,
}

impl Network {
    /// A network that follows this plan; everything by chance comes from the seed.
    #[must_use]
    pub fn new(plan: FaultPlan, seed: u64, start: Timestamp) -> Self {
        let [requests, stream, public, private, way] = [0, 1, 2, 3, 4].map(|stream| Chance::new(seed, stream));
        Self {
            plan,
            requests,
            stream,
            public: Line::new(plan.cut_public_ms, start, public),
            private: Line::new(plan.cut_private_ms, start, private),
            way: Line::new(plan.outage_ms, start, way),
            tally: Tally::default(),
        }
    }

    /// What becomes of a request sent now.
    pub fn request(&mut self, now: Timestamp) -> Fate {
        let there_ms = self.takes(self.plan.request);
        let back_ms = self.takes(self.plan.answer);
        let chance = &mut self.requests;
        let plan = &self.plan;
        if !self.way.is_up(now, plan.cut) {
            self.tally.count("network: requests lost in an outage");
            Fate::LostRequest
        } else if chance.hits(plan.lost_request) {
            self.tally.count("network: lost requests");
            Fate::LostRequest
        } else if chance.hits(plan.limited) {
            self.tally.count("network: limited");
            Fate::Limited { back_ms, retry_ms: chance.span(100, 2_000) }
        } else if chance.hits(plan.busy) {
            let worked = chance.hits(plan.busy_worked);
            self.tally.count(if worked { "network: busy, worked on" } else { "network: busy, not worked on" });
            Fate::Busy { worked, there_ms, back_ms }
        } else if chance.hits(plan.lost_answer) {
            self.tally.count("network: lost answers");
            Fate::LostAnswer { there_ms }
        } else {
            Fate::Deliver { there_ms, back_ms }
        }
    }

    /// One way of a request, now and then a slow one.
    fn takes(&mut self, span: Span) -> i64 {
        let usual = self.requests.span(span.from_ms, span.to_ms);
        if !self.requests.hits(self.plan.slow) {
            return usual;
        }
        self.tally.count("network: slow ways");
        usual + self.requests.span(1, self.plan.slow_ms)
    }

    /// After which times, ms, a piece of news sent now arrives: never when empty, twice when there are two. What
    /// arrives at the same moment arrives in the order of these calls.
    pub fn news(&mut self, now: Timestamp, news: &News) -> Vec<i64> {
        let takes = self.stream.span(self.plan.news.from_ms, self.plan.news.to_ms);
        match news {
            News::Price { .. } => self.public_news(now, takes),
            News::Bust(_) => self.bust_news(now, takes),
            News::Order(_) => self.private_news(now, takes, false),
            News::Trade(_) => self.private_news(now, takes, true),
        }
    }

    fn public_news(&mut self, now: Timestamp, takes_ms: i64) -> Vec<i64> {
        if !self.public.is_up(now, self.plan.cut) || self.stream.hits(self.plan.price_drop) {
            return Vec::new();
        }
        vec![self.public.in_order(now, takes_ms)]
    }

    /// Told again until it is heard, hence never lost: at the latest when the stream is up again.
    fn bust_news(&mut self, now: Timestamp, takes_ms: i64) -> Vec<i64> {
        let waits = if self.private.is_up(now, self.plan.cut) { 0 } else { self.private.until.since(now) };
        let first = self.private.in_order(now, waits + takes_ms);
        self.copies(first)
    }

    fn private_news(&mut self, now: Timestamp, takes_ms: i64, is_trade: bool) -> Vec<i64> {
        if !self.private.is_up(now, self.plan.cut) {
            self.tally.count("network: news lost in a cut");
            return Vec::new();
        }
        if self.stream.hits(self.plan.stream_drop) {
            self.tally.count("network: news dropped");
            return Vec::new();
        }
        let first = if is_trade && self.stream.hits(self.plan.late_fill) {
            self.tally.count("network: late fills");
            takes_ms + self.stream.span(1, self.plan.late_fill_ms)
        } else if self.stream.hits(self.plan.stream_reorder) {
            self.tally.count("network: news overtaken");
            takes_ms + self.stream.span(1, self.plan.reorder_ms)
        } else {
            self.private.in_order(now, takes_ms)
        };
        self.copies(first)
    }

    fn copies(&mut self, first: i64) -> Vec<i64> {
        if !self.stream.hits(self.plan.stream_duplicate) {
            return vec![first];
        }
        self.tally.count("network: news twice");
        vec![first, first + self.stream.span(0, self.plan.reorder_ms)]
    }

    /// True unless the stream is cut at this moment. Moments must not go back.
    pub fn is_connected(&mut self, now: Timestamp, stream: Stream) -> bool {
        let length = self.plan.cut;
        self.line(stream).is_up(now, length)
    }

    /// When the stream is cut or comes back next, after this moment; `None`: never.
    pub fn next_change(&mut self, now: Timestamp, stream: Stream) -> Option<Timestamp> {
        let length = self.plan.cut;
        let line = self.line(stream);
        line.is_up(now, length);
        [line.from, line.until].into_iter().find(|change| *change > now)
    }

    /// Cuts both streams from now on for this long, ms (a restart of the venue).
    pub fn cut(&mut self, now: Timestamp, for_ms: i64) {
        let length = self.plan.cut;
        for stream in [Stream::Public, Stream::Private] {
            let line = self.line(stream);
            let until = if line.is_up(now, length) { now } else { line.until };
            (line.from, line.until) = (now, until.max(now + for_ms));
        }
        self.tally.count("network: cuts by force");
    }

    const fn line(&mut self, stream: Stream) -> &mut Line {
        match stream {
            Stream::Public => &mut self.public,
            Stream::Private => &mut self.private,
        }
    }

    /// No faults from now on: streams are up, everything is delivered in order.
    pub fn quiet(&mut self, now: Timestamp) {
        let FaultPlan { request, answer, news, .. } = self.plan;
        self.plan = FaultPlan { request, answer, news, ..FaultPlan::default() };
        for line in [&mut self.public, &mut self.private, &mut self.way] {
            (line.mean_ms, line.from, line.until) = (0, now, now);
        }
    }

    /// How often what happened.
    #[must_use]
    pub const fn tally(&self) -> &Tally {
        &self.tally
    }
}

#[cfg(test)]
mod tests {
    use rust_decimal::Decimal;
    use supervisor_core::domain::{Notional, Price, Qty, Side, TradeId};
    use supervisor_core::ledger::VenueTrade;

    use super::*;

    const START: Timestamp = Timestamp::from_millis(1_000_000);

    fn steady() -> FaultPlan {
        let span = |from_ms, to_ms| Span { from_ms, to_ms };
        FaultPlan { request: span(5, 50), answer: span(5, 50), news: span(5, 200), ..FaultPlan::default() }
    }

    fn trade() -> VenueTrade {
        VenueTrade {
            client: None,
            trade: TradeId(1),
            symbol: "BTCUSDT".parse().unwrap(),
            side: Side::Buy,
            price: Price::new(Decimal::TEN),
            qty: Qty::new(Decimal::ONE),
            fee: Notional::ZERO,
            maker: true,
            at: START,
        }
    }

    #[test]
    fn without_faults_everything_arrives_once_and_in_order() {
        let mut network = Network::new(steady(), 1, START);
        let mut last = START;
        for ms in 0..2_000 {
            let now = START + ms;
            assert!(matches!(network.request(now), Fate::Deliver { there_ms: 5..=50, back_ms: 5..=50 }));
            let delays = network.news(now, &News::Trade(trade()));
            assert_eq!(delays.len(), 1);
            assert!(now + delays[0] >= last && delays[0] <= 200, "{delays:?}");
            last = now + delays[0];
        }
        assert_eq!(network.next_change(START + 2_000, Stream::Private), None);
        assert_eq!(network.tally().iter().count(), 0);
    }

    #[test]
    fn each_fault_of_the_plan_happens_about_as_often_as_it_says() {
        let plan = FaultPlan {
            lost_request: 100,
            limited: 100,
            busy: 100,
            busy_worked: 500,
            lost_answer: 100,
            slow: 100,
            slow_ms: 5_000,
            stream_drop: 100,
            stream_duplicate: 100,
            stream_reorder: 100,
            reorder_ms: 3_000,
            late_fill: 100,
            late_fill_ms: 600_000,
            ..steady()
        };
        let mut network = Network::new(plan, 2, START);
        let mut longest = 0;
        for ms in 0..10_000 {
            network.request(START + ms);
            let delays = network.news(START + ms, &News::Trade(trade()));
            longest = longest.max(delays.into_iter().max().unwrap_or(0));
        }
        let seen: Vec<_> = network.tally().iter().collect();
        assert_eq!(seen.len(), 10, "{seen:?}");
        assert!(seen.iter().all(|(_, count)| (300..2_300).contains(count)), "{seen:?}");
        assert!((500_000..=603_200).contains(&longest), "{longest}");
    }

    #[test]
    fn a_cut_stream_loses_its_news_but_never_a_bust() {
        let mut network = Network::new(steady(), 3, START);
        network.cut(START, 4_000);
        assert!(
            !network.is_connected(START + 3_999, Stream::Private)
                && network.is_connected(START + 4_000, Stream::Public)
        );
        let mut network = Network::new(steady(), 3, START);
        network.cut(START, 4_000);
        assert_eq!(network.next_change(START + 1, Stream::Private), Some(START + 4_000));
        assert!(network.news(START + 1, &News::Trade(trade())).is_empty());
        let delays = network.news(START + 1, &News::Bust(trade()));
        assert!(matches!(delays[..], [4_004..=4_199]), "{delays:?}");
    }

    #[test]
    fn cuts_come_and_go_until_the_network_is_quiet() {
        let cut = Span { from_ms: 100, to_ms: 2_000 };
        let plan = FaultPlan { cut_private_ms: 5_000, cut, ..steady() };
        let mut network = Network::new(plan, 4, START);
        let (mut now, mut changes, mut was_up) = (START, 0, true);
        while let Some(next) = network.next_change(now, Stream::Private).filter(|_| changes < 100) {
            assert!(next > now);
            assert_eq!(network.is_connected(next, Stream::Private), !was_up);
            assert!(network.is_connected(next, Stream::Public));
            (now, was_up, changes) = (next, !was_up, changes + 1);
        }
        assert_eq!(changes, 100);
        network.quiet(now);
        assert!(network.is_connected(now, Stream::Private) && network.next_change(now, Stream::Private).is_none());
        assert_eq!(network.news(now, &News::Trade(trade())).len(), 1);
    }

    #[test]
    fn requests_are_lost_for_as_long_as_an_outage_lasts() {
        let cut = Span { from_ms: 400, to_ms: 400 };
        let mut network = Network::new(FaultPlan { outage_ms: 5_000, cut, ..steady() }, 7, START);
        let lost: Vec<bool> = (0..60_000).map(|ms| network.request(START + ms) == Fate::LostRequest).collect();
        let outages = lost.chunk_by(|one, next| one == next).filter(|run| run[0]).map(<[bool]>::len);
        let outages: Vec<_> = outages.collect();
        assert!(outages.len() > 4 && outages.iter().rev().skip(1).all(|len| *len == 400), "{outages:?}");
        network.quiet(START + 60_000);
        assert_ne!(network.request(START + 60_000), Fate::LostRequest);
    }

    #[test]
    fn the_same_seed_gives_the_same_fates() {
        let plan = FaultPlan { lost_request: 300, stream_duplicate: 300, reorder_ms: 900, ..steady() };
        let run = |seed| {
            let mut network = Network::new(plan, seed, START);
            let both = |ms| (network.request(START + ms), network.news(START + ms, &News::Trade(trade())));
            (0..500).map(both).collect::<Vec<_>>()
        };
        assert_eq!(run(5), run(5));
        assert_ne!(run(5), run(6));
    }
}
