//! Virtual time: decides what the instance hears next, the same way for a backtest and for live actors on paper.
//!
//! Owns the feed, the paper venue and the one timer. Promises: inputs are released only while the worklist is empty;
//! ties go by (time, kind, insertion): arrivals at the venue, answers and silence on the line, then timers, then the
//! price. Never: looks at a clock.
//!
//! A candle becomes four points. A candle that could touch nothing (no order in reach, nobody watching the price) is
//! released whole; what the stages see is the same.

use serde::{Deserialize, Serialize};

use super::feed::{Feed, FeedEvent};
use super::line::Line;
use super::path::Path;
use super::venue::PaperVenue;
use crate::domain::{Candle, InstrumentIx, OrderNo, Price, Qty, Timestamp};
use crate::instance::{Effect, MarketIn, Message, OrdersIn, Shift, Worklist};
use crate::orders::{Report, Request};
use crate::spec::{InstanceSpec, Intrabar};

/// What is stored of a scheduler.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SchedulerState {
    /// The venue.
    pub venue: PaperVenue,
    /// Candles under way, one per instrument at most, in the order in which they began.
    paths: Vec<Path>,
    /// True when the feed's next trade has met the venue already and only its fills were told.
    met: bool,
    /// When the order stage wants to be woken.
    pub wake: Option<Timestamp>,
    /// Events taken from the feed.
    pub cursor: u64,
    /// What gets lost between instance and venue; `None`: nothing does.
    pub line: Option<Box<Line>>,
}

/// What the scheduler would do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Something happens at this moment.
    At(Timestamp),
    /// The feed has ended and nothing is under way.
    End,
}

#[derive(Clone, Copy)]
enum Step {
    Arrival(Timestamp),
    Line(Timestamp),
    Wakeup(Timestamp),
    Begin(Timestamp),
    Point(Timestamp),
    Whole(Timestamp),
    Print(Timestamp),
}

impl Step {
    const fn at(self) -> Timestamp {
        match self {
            Self::Arrival(at)
            | Self::Line(at)
            | Self::Wakeup(at)
            | Self::Begin(at)
            | Self::Point(at)
            | Self::Whole(at)
            | Self::Print(at) => at,
        }
    }
}

/// See the module.
pub struct Scheduler {
    feed: Box<dyn Feed>,
    state: SchedulerState,
    intrabar: Intrabar,
    latency_ms: i64,
    reports: Vec<Report>,
    expand: bool,
    /// One instrument only: its candles need not be kept in step with others.
    single: bool,
}

impl Scheduler {
    /// A scheduler at the start of a feed.
    #[must_use]
    pub fn new(spec: &InstanceSpec, feed: Box<dyn Feed>) -> Self {
        let (venue, line) = (PaperVenue::new(spec), Line::new(spec));
        let state = SchedulerState { venue, paths: Vec::new(), met: false, wake: None, cursor: 0, line };
        Self::resume(spec, feed, state)
    }

    /// Goes on where a snapshot ended.
    #[must_use]
    pub fn resume(spec: &InstanceSpec, mut feed: Box<dyn Feed>, state: SchedulerState) -> Self {
        if state.cursor != feed.position() {
            feed.seek(state.cursor);
        }
        let (intrabar, latency_ms) = (spec.venue_model.intrabar, spec.venue_model.latency_ms);
        let single = spec.instruments.len() == 1;
        Self { feed, state, intrabar, latency_ms, reports: Vec::new(), expand: false, single }
    }

    /// Other settings: stages and venue take them in the same moment, for neither may work by the old ones while the
    /// other does not. A candle under way keeps the order of its points. Answers the number of the input. Nothing may
    /// wait in the worklist: what is about to leave leaves under the settings it was decided under.
    pub fn revise(&mut self, list: &mut Worklist, at: Timestamp, spec: InstanceSpec, keys: String) -> u64 {
        let Shift { transfer, .. } = Shift::between(list.spec(), &spec);
        self.state.venue.revise(spec.venue_model, transfer);
        if let Some(line) = &mut self.state.line {
            line.revise(spec.faults);
        }
        (self.intrabar, self.latency_ms) = (spec.venue_model.intrabar, spec.venue_model.latency_ms);
        list.revise(at, spec, keys)
    }

    /// Takes every candle point by point, quiet or not: tests compare the two ways.
    #[doc(hidden)]
    pub const fn always_expand(&mut self) {
        self.expand = true;
    }

    /// What is stored.
    #[must_use]
    pub fn state(&self) -> SchedulerState {
        SchedulerState { cursor: self.feed.position(), ..self.state.clone() }
    }

    /// The venue, to be looked at.
    #[must_use]
    pub const fn venue(&self) -> &PaperVenue {
        &self.state.venue
    }

    /// The price that each instrument's next event begins with, as far as the feed's very next event tells.
    #[must_use]
    pub fn coming_prices(&self, instruments: usize) -> Vec<Option<Price>> {
        let mut prices = vec![None; instruments];
        let (instrument, price) = match self.feed.peek() {
            Some(FeedEvent::Candle { instrument, candle }) => (instrument, candle.open),
            Some(FeedEvent::Trade { instrument, trade }) => (instrument, trade.price),
            None => return prices,
        };
        if let Some(slot) = prices.get_mut(instrument.at()) {
            *slot = Some(price);
        }
        prices
    }

    /// Events taken from the feed, and how many there are, if it ends.
    #[must_use]
    pub fn progress(&self) -> (u64, Option<u64>) {
        (self.feed.position(), self.feed.len())
    }

    /// When something happens next. `watch`: somebody wants every price.
    #[must_use]
    pub fn next(&self, watch: bool) -> Next {
        self.step(self.coming().as_ref(), watch).map_or(Next::End, |step| Next::At(step.at()))
    }

    /// The feed's next event, unless the only instrument's candle is still on its way. Asked for once per release: it
    /// is large.
    fn coming(&self) -> Option<FeedEvent> {
        if self.single && !self.state.paths.is_empty() { None } else { self.feed.peek() }
    }

    fn step(&self, coming: Option<&FeedEvent>, watch: bool) -> Option<Step> {
        let price = self.price_step(coming, watch);
        let wakeup = self.state.wake.map(Step::Wakeup);
        let arrival = self.state.venue.next_arrival().map(Step::Arrival);
        let line = self.state.line.as_deref();
        // A timer alone must not keep an ended feed alive, unless it is about a message that got lost.
        if price.is_none() && arrival.is_none() {
            let finds_out = |line: &&Line| line.is_busy(self.state.wake.unwrap_or_default());
            line.filter(finds_out)?;
        }
        let line = line.and_then(Line::next).map(Step::Line);
        // The first of equals wins: arrivals, the line, timers, price.
        [arrival, line, wakeup, price].into_iter().flatten().min_by_key(|step| step.at())
    }

    /// The next price: a point of a candle under way, or what the feed brings; the former first when they are equal.
    fn price_step(&self, coming: Option<&FeedEvent>, watch: bool) -> Option<Step> {
        let under_way = self.first_path().map(|at| Step::Point(self.state.paths[at].at()));
        let brought = coming.map(|event| match event {
            FeedEvent::Trade { trade, .. } => Step::Print(trade.at),
            FeedEvent::Candle { instrument, candle } if self.is_quiet(*instrument, candle, watch) => {
                Step::Whole(candle.close_time)
            }
            FeedEvent::Candle { candle, .. } => Step::Begin(candle.open_time),
        });
        [under_way, brought].into_iter().flatten().min_by_key(|step| step.at())
    }

    /// The candle under way whose next point comes first.
    fn first_path(&self) -> Option<usize> {
        let paths = self.state.paths.iter().enumerate();
        paths.min_by_key(|(at, path)| (path.at(), *at)).map(|(at, _)| at)
    }

    /// True when nobody could notice the points of a candle. With several instruments, one's fill may lead to an order
    /// for another within the minute: only a venue without any order is quiet then.
    fn is_quiet(&self, instrument: InstrumentIx, candle: &Candle, watch: bool) -> bool {
        let venue = &self.state.venue;
        let line = self.state.line.as_deref().and_then(Line::next);
        let timer = [self.state.wake, line].into_iter().flatten().any(|due| due <= candle.close_time);
        let untouched = if self.single { venue.is_quiet(instrument, candle) } else { venue.is_idle() };
        !self.expand && !watch && !timer && untouched
    }

    /// Releases the next inputs into an empty worklist. False: the feed has ended and nothing is under way.
    pub fn release(&mut self, list: &mut Worklist) -> bool {
        let coming = self.coming();
        let Some(step) = self.step(coming.as_ref(), list.watch()) else { return false };
        match step {
            Step::Arrival(at) => {
                self.state.venue.arrive(at, &mut self.reports);
                if let Some(line) = &mut self.state.line {
                    line.answered(at, &mut self.reports);
                }
                self.tell(at, list);
            }
            Step::Line(at) => {
                if let Some(line) = &mut self.state.line {
                    line.step(at, &mut self.reports);
                }
                self.tell(at, list);
            }
            Step::Wakeup(at) => {
                self.state.wake = None;
                list.input(at, Message::Orders(OrdersIn::Wakeup));
            }
            Step::Whole(_) => self.whole(coming.as_ref(), list),
            Step::Begin(_) => self.begin(coming.as_ref(), list),
            Step::Point(_) => self.point(list),
            Step::Print(at) => self.print(at, coming.as_ref(), list),
        }
        true
    }

    fn whole(&mut self, coming: Option<&FeedEvent>, list: &mut Worklist) {
        if let Some(FeedEvent::Candle { instrument, candle }) = coming {
            self.feed.advance();
            self.state.venue.skip(*instrument, candle.close);
            list.input(candle.close_time, Message::Market(MarketIn::Candle(*instrument, *candle)));
        }
    }

    /// A candle sets out: its first point.
    fn begin(&mut self, coming: Option<&FeedEvent>, list: &mut Worklist) {
        if let Some(FeedEvent::Candle { instrument, candle }) = coming {
            self.feed.advance();
            let long = self.state.venue.base(*instrument).is_positive();
            self.state.paths.push(Path::new(*instrument, *candle, self.intrabar, long));
            let newest = self.state.paths.len() - 1;
            self.walk(newest, list);
        }
    }

    fn point(&mut self, list: &mut Worklist) {
        if let Some(at) = self.first_path() {
            self.walk(at, list);
        }
    }

    /// One point of a candle under way; the last one completes it. What that one filled is settled first: the strategy
    /// must know its position when it sees the candle.
    fn walk(&mut self, which: usize, list: &mut Worklist) {
        let path = &mut self.state.paths[which];
        let (at, instrument, candle) = (path.at(), path.instrument, path.candle);
        if let Some((price, last)) = path.take()
            && (self.meet(at, instrument, price, list) || !last)
        {
            list.input(at, Message::Market(MarketIn::Point(instrument, price)));
            return;
        }
        self.state.paths.remove(which);
        list.input(at, Message::Market(MarketIn::Candle(instrument, candle)));
    }

    /// The next trade: a point, and then, once its fills are settled, part of a candle.
    fn print(&mut self, at: Timestamp, coming: Option<&FeedEvent>, list: &mut Worklist) {
        let Some(FeedEvent::Trade { instrument, trade }) = coming else { return };
        let met = std::mem::take(&mut self.state.met);
        if !met && self.meet(at, *instrument, trade.price, list) {
            self.state.met = true;
            list.input(at, Message::Market(MarketIn::Point(*instrument, trade.price)));
            return;
        }
        self.feed.advance();
        list.input(at, Message::Market(MarketIn::Trade(*instrument, *trade)));
    }

    /// The venue at a new price. True: it has something to tell, and told it.
    fn meet(&mut self, at: Timestamp, instrument: InstrumentIx, price: Price, list: &mut Worklist) -> bool {
        self.state.venue.point(at, instrument, price, &mut self.reports);
        if let Some(line) = &mut self.state.line {
            line.news(at, &mut self.reports);
        }
        let news = !self.reports.is_empty();
        self.tell(at, list);
        news
    }

    fn tell(&mut self, at: Timestamp, list: &mut Worklist) {
        for report in self.reports.drain(..) {
            list.input(at, Message::Orders(OrdersIn::Report(report)));
        }
    }

    /// Carries an effect out. Call it only when every fact before it is durable. `killed`: the kill latch is on, so an
    /// entry that has not left yet does not leave.
    pub fn apply(&mut self, list: &mut Worklist, effect: Effect, killed: bool) {
        let at = list.clock();
        match effect {
            Effect::Place(order) if killed && order.terms().purpose == crate::domain::Purpose::Entry => {
                list.withhold(order.terms().order);
            }
            Effect::Place(order) => {
                if self.sends(at, order.terms().order, Request::Place) {
                    self.state.venue.place(at, *order);
                }
            }
            Effect::Withdraw(order) => {
                if self.sends(at, order, Request::Cancel) {
                    self.state.venue.cancel(at, order);
                }
            }
            Effect::Wake(wake) => self.state.wake = wake,
            // A venue that is certain is asked nothing.
            Effect::Ask(ask) => {
                if let Some(line) = &mut self.state.line {
                    line.ask(at, at + self.latency_ms, ask);
                }
            }
        }
    }

    fn sends(&mut self, at: Timestamp, order: OrderNo, request: Request) -> bool {
        self.state.line.as_deref_mut().is_none_or(|line| line.sends(at, order, request))
    }

    /// Asks the venue to withdraw an order by its number alone: the last resort when no stage can be asked.
    pub fn withdraw(&mut self, at: Timestamp, order: OrderNo) {
        self.state.venue.cancel(at, order);
    }

    /// True while requests are under way, orders wait for their first point, or the instance may still be finding out
    /// what became of a lost message.
    #[must_use]
    pub fn is_busy(&self, now: Timestamp) -> bool {
        self.state.venue.is_busy() || self.state.line.as_deref().is_some_and(|line| line.is_busy(now))
    }

    /// Latency of the venue, ms.
    #[must_use]
    pub const fn latency_ms(&self) -> i64 {
        self.latency_ms
    }

    /// Live orders at the venue; for invariants.
    #[must_use]
    pub fn live(&self) -> Vec<OrderNo> {
        self.state.venue.live()
    }

    /// What the venue holds of one instrument; for invariants.
    #[must_use]
    pub fn base(&self, ix: InstrumentIx) -> Qty {
        self.state.venue.base(ix)
    }
}
