//! The cells of one instrument's grid: what each holds and what each waits for.
//!
//! A cell lies between two neighbouring lines. Idle, it wants to buy at its lower line; holding, it wants to sell one
//! line up (two, when the trend filter said so). Promises: a sale is asked for what a cell holds and never twice; a
//! cell is idle again only when everything it bought is sold.

use serde::{Deserialize, Serialize};

use crate::domain::{Fill, Instrument, InstrumentIx, Notional, OrderKind, Price, Purpose, Qty, Side, Tag, Timestamp};
use crate::instance::{Event, Outbox};
use crate::orders::{ExitReason, Intent, Origin, Protect, Reason, RoundTrip};
use crate::risk::VetoCode;

/// Candles between a refused order and the next attempt at the same line.
const RETRY_CANDLES: u64 = 60;

/// Tag of the purchase of a balanced start.
pub const START_TAG: Tag = Tag(u32::MAX - 1);

/// Buys carry even tags, sells odd ones.
const fn is_buy(tag: Tag) -> bool {
    tag.0.is_multiple_of(2)
}

/// One cell.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cell {
    /// A buy is working or on its way.
    buying: bool,
    /// Base units in a sell that is working or on its way.
    selling: Qty,
    /// Base units bought and not yet sold.
    held: Qty,
    /// What they cost, fees apart.
    cost: Notional,
    /// Buying fees of what is held.
    fees: Notional,
    /// When the first of it was bought.
    since: Timestamp,
    /// The line it sells at.
    target: u32,
    /// No attempt before this candle; `u64::MAX`: never again.
    not_before: u64,
}

/// What the ladder may do at this moment.
#[derive(Clone, Copy)]
pub struct Permit {
    /// New buys allowed.
    pub buys: bool,
    /// New sells allowed.
    pub sells: bool,
    /// New sells go one line higher.
    pub higher: bool,
}

/// The lines and cells of one instrument.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ladder {
    ix: InstrumentIx,
    lines: Vec<Price>,
    /// Price when the lines were laid out: tells which cells start with base, wherever the price has gone since.
    origin: Price,
    quantities: Vec<Qty>,
    cells: Vec<Cell>,
    protect: Option<Protect>,
    candles: u64,
    /// Lowest idle cell that nothing is working for; spares a walk on most candles.
    lowest_idle: Option<u32>,
    /// Candle at which a refused line may be tried again.
    retry: Option<u64>,
}

impl Ladder {
    /// Cells with nothing in them; `quantities` is the order size of each cell.
    #[must_use]
    pub fn new(
        ix: InstrumentIx,
        lines: Vec<Price>,
        origin: Price,
        quantities: Vec<Qty>,
        protect: Option<Protect>,
    ) -> Self {
        let cells: Vec<Cell> = (1..lines.len())
            .map(|up| Cell { target: u32::try_from(up).unwrap_or(u32::MAX), ..Cell::default() })
            .collect();
        Self { ix, lines, origin, quantities, cells, protect, candles: 0, lowest_idle: Some(0), retry: None }
    }

    /// The lines, from the bottom.
    #[must_use]
    pub fn lines(&self) -> &[Price] {
        &self.lines
    }

    /// What guards what is bought from now on.
    pub const fn set_protect(&mut self, protect: Option<Protect>) {
        self.protect = protect;
    }

    /// Number of cells that hold base.
    #[must_use]
    pub fn holding(&self) -> usize {
        self.cells.iter().filter(|cell| cell.held.is_positive()).count()
    }

    /// The line nearest to a price.
    #[must_use]
    pub fn nearest(&self, price: Price) -> usize {
        let above = self.lines.partition_point(|line| *line < price);
        match (above.checked_sub(1), self.lines.get(above)) {
            (Some(under), Some(over)) if price - self.lines[under] <= *over - price => under,
            (Some(under), None) => under,
            (Some(_) | None, _) => above,
        }
    }

    /// Cells whose upper line lies above the price and its nearest line: they need base for their sells.
    pub fn above(&self, price: Price) -> impl Iterator<Item = (usize, Qty)> + '_ {
        let nearest = self.nearest(price);
        (0..self.cells.len())
            .filter(move |cell| *cell >= nearest && self.lines[cell + 1] > price)
            .map(|cell| (cell, self.quantities[cell]))
    }

    /// Gives cells that were above the price at the start the base that is there, lowest first, each up to its
    /// quantity; answers what no cell took.
    pub fn stock(&mut self, at: Timestamp, price: Price, fee: Notional, mut base: Qty) -> Qty {
        let wanted: Vec<(usize, Qty)> = self.above(self.origin).collect();
        let total = base;
        for (cell, qty) in wanted {
            let cell = &mut self.cells[cell];
            let part = (qty - cell.held).min(base);
            if !part.is_positive() {
                continue;
            }
            base -= part;
            cell.held += part;
            cell.cost += price * part;
            cell.since = at;
            if total.is_positive() && fee.is_positive() {
                cell.fees += Notional::new((fee.get() * part.get() / total.get()).round_dp(12));
            }
        }
        base
    }

    /// Base that no cell above the price wanted goes to the topmost cell, so that nothing is forgotten.
    pub fn keep_rest(&mut self, at: Timestamp, price: Price, rest: Qty) {
        if let Some(top) = self.cells.last_mut().filter(|_| rest.is_positive()) {
            if top.held.is_zero() {
                top.since = at;
            }
            top.held += rest;
            top.cost += price * rest;
        }
    }

    /// A closed candle: places what an idle cell may place now.
    pub fn on_candle(&mut self, close: Price, instrument: &Instrument, permit: Permit, out: &mut Outbox) {
        self.candles += 1;
        let due = self.retry.is_some_and(|retry| self.candles >= retry);
        let reachable = self.lowest_idle.is_some_and(|cell| self.lines[cell as usize] < close);
        if due || (reachable && permit.buys) {
            self.arrange(close, instrument, permit, out);
        }
    }

    /// Walks all cells and asks for every order that is wanted and not there.
    pub fn arrange(&mut self, price: Price, instrument: &Instrument, permit: Permit, out: &mut Outbox) {
        let nearest = self.nearest(price);
        for cell in 0..self.cells.len() {
            self.sell(cell, instrument, permit, out);
        }
        // The lines next to the price come first: when the room is not enough for all, the far ones go without.
        for cell in (0..self.cells.len()).rev().filter(|cell| *cell != nearest) {
            if self.lines[cell] < price {
                self.buy(cell, permit, out);
            }
        }
        self.take_stock();
    }

    fn take_stock(&mut self) {
        let idle = |cell: &Cell| !cell.buying && cell.held.is_zero() && cell.not_before <= self.candles;
        self.lowest_idle = self.cells.iter().position(idle).and_then(|cell| u32::try_from(cell).ok());
        let waits = self.cells.iter().map(|cell| cell.not_before).filter(|at| *at > self.candles && *at < u64::MAX);
        self.retry = waits.min();
    }

    fn buy(&mut self, cell: usize, permit: Permit, out: &mut Outbox) {
        let line = u32::try_from(cell).unwrap_or(u32::MAX);
        // A sell of one of the two cells below rests on the same line: buying there would cross our own order.
        let sells_here = |below: &Cell| below.selling.is_positive() && below.target == line;
        let crossed = self.cells[cell.saturating_sub(2)..cell].iter().any(sells_here);
        let state = &mut self.cells[cell];
        let idle = !state.buying && state.held.is_zero() && state.not_before <= self.candles;
        if !permit.buys || !idle || crossed || !self.quantities[cell].is_positive() {
            return;
        }
        state.buying = true;
        out.push(Event::Intent(Box::new(Intent {
            tag: Tag(line * 2),
            instrument: self.ix,
            side: Side::Buy,
            kind: OrderKind::Limit(self.lines[cell]),
            qty: self.quantities[cell],
            purpose: Purpose::Entry,
            origin: Origin::Strategy,
            protect: self.protect,
            reason: Reason::GridLine { line },
        })));
    }

    /// Sells what a cell holds and has no sell for, once it reaches the venue's minimum.
    fn sell(&mut self, cell: usize, instrument: &Instrument, permit: Permit, out: &mut Outbox) {
        let state = &mut self.cells[cell];
        if !permit.sells || !state.held.is_positive() || state.selling.is_positive() || state.not_before > self.candles
        {
            return;
        }
        let top = self.lines.len() - 1;
        let line = (cell + 1 + usize::from(permit.higher)).min(top);
        let price = self.lines[line];
        let qty = instrument.round_qty(state.held.get());
        if !qty.is_positive() || price * qty < instrument.notional_min {
            return;
        }
        state.target = u32::try_from(line).unwrap_or(u32::MAX);
        state.selling = qty;
        out.push(Event::Intent(Box::new(Intent {
            tag: Tag(u32::try_from(cell).unwrap_or(u32::MAX) * 2 + 1),
            instrument: self.ix,
            side: Side::Sell,
            kind: OrderKind::Limit(price),
            qty,
            purpose: Purpose::Exit,
            origin: Origin::Strategy,
            protect: None,
            reason: Reason::GridLine { line: state.target },
        })));
    }

    /// A fill of one of the ladder's orders.
    pub fn on_fill(&mut self, fill: &Fill, instrument: &Instrument, permit: Permit, out: &mut Outbox) {
        let cell = (fill.tag.0 / 2) as usize;
        let Some(state) = self.cells.get_mut(cell) else { return };
        match fill.side {
            Side::Buy => {
                if state.held.is_zero() {
                    state.since = fill.at;
                }
                state.held += fill.qty;
                state.cost += fill.notional();
                state.fees += fill.fee;
                self.sell(cell, instrument, permit, out);
            }
            Side::Sell => {
                out.push(Event::RoundTrip(state.settle(self.ix, fill)));
            }
        }
    }

    /// One of the ladder's orders is over; `again` tells whether the same line may be asked for at once.
    pub fn on_ended(
        &mut self,
        tag: Tag,
        price: Price,
        again: bool,
        instrument: &Instrument,
        permit: Permit,
        out: &mut Outbox,
    ) {
        let cell = (tag.0 / 2) as usize;
        let Some(state) = self.cells.get_mut(cell) else { return };
        if is_buy(tag) {
            state.buying = false;
        } else {
            state.selling = Qty::ZERO;
        }
        if !again {
            state.not_before = self.candles + RETRY_CANDLES;
        }
        self.sell(cell, instrument, permit, out);
        // It rested here until now, or its pair was sold above: being the nearest line is no reason to skip it.
        if self.lines[cell] < price {
            self.buy(cell, permit, out);
        }
        self.take_stock();
    }

    /// The gate refused one of the ladder's orders.
    pub fn on_veto(&mut self, tag: Tag, code: VetoCode) {
        let Some(state) = self.cells.get_mut((tag.0 / 2) as usize) else { return };
        if is_buy(tag) {
            state.buying = false;
        } else {
            state.selling = Qty::ZERO;
        }
        state.not_before = match code {
            // Asking again says nothing new.
            VetoCode::DryRun => u64::MAX,
            // Over as soon as the next quote or the end of the window.
            VetoCode::Duplicate | VetoCode::StaleData | VetoCode::Unreconciled => self.candles + 1,
            VetoCode::KillSwitch
            | VetoCode::Paused
            | VetoCode::InDoubt
            | VetoCode::Disputed
            | VetoCode::Quantity
            | VetoCode::LotSize
            | VetoCode::TickSize
            | VetoCode::PriceCollar
            | VetoCode::MaxSpread
            | VetoCode::MinOrderValue
            | VetoCode::SymbolCap
            | VetoCode::TotalExposure
            | VetoCode::FreeBalance => self.candles + RETRY_CANDLES,
        };
        self.take_stock();
    }

    /// Base was sold from outside the ladder: takes it out of the cells, lowest first, and answers what each earned.
    pub fn sold_outside(&mut self, fill: &Fill, exit: ExitReason) -> Vec<RoundTrip> {
        let (mut left, mut fee_left) = (fill.qty, fill.fee);
        let mut trips = Vec::new();
        for cell in self.cells.iter_mut().filter(|cell| cell.held.is_positive()) {
            let qty = cell.held.min(left);
            if !qty.is_positive() {
                break;
            }
            let fee = if qty == left {
                fee_left
            } else {
                Notional::new((fill.fee.get() * qty.get() / fill.qty.get()).round_dp(12))
            };
            left -= qty;
            fee_left -= fee;
            trips.push(RoundTrip { exit, ..cell.settle(self.ix, &Fill { qty, fee, ..*fill }) });
        }
        self.take_stock();
        trips
    }

    /// Lines that were refused may be tried again now.
    pub fn forgive(&mut self) {
        for cell in &mut self.cells {
            cell.not_before = cell.not_before.min(self.candles);
        }
        self.take_stock();
    }
}

impl Cell {
    /// Takes a sale out of the cell and answers the completed pair.
    fn settle(&mut self, ix: InstrumentIx, fill: &Fill) -> RoundTrip {
        let (cost, fees) = if fill.qty >= self.held {
            (self.cost, self.fees)
        } else {
            let share = fill.qty.get() / self.held.get();
            (
                Notional::new((self.cost.get() * share).round_dp(12)),
                Notional::new((self.fees.get() * share).round_dp(12)),
            )
        };
        self.held = (self.held - fill.qty).max(Qty::ZERO);
        self.selling = (self.selling - fill.qty).max(Qty::ZERO);
        self.cost -= cost;
        self.fees -= fees;
        RoundTrip {
            instrument: ix,
            qty: fill.qty,
            bought: cost,
            sold: fill.notional(),
            fees: fees + fill.fee,
            opened: self.since,
            closed: fill.at,
            exit: ExitReason::Pair,
        }
    }
}
