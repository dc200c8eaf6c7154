//! Random accounts: several instances, a person who trades beside them, and a venue whose news comes late, twice, in
//! another order, or not at all.

use super::*;
use crate::sim::SeededRng;

const NAMES: [&str; 3] = ["a", "b", "c"];

/// The truth of the venue.
struct Market {
    balances: BTreeMap<Asset, Decimal>,
    orders: BTreeMap<u64, VenueOrder>,
    trades: Vec<VenueTrade>,
    number: u64,
}

impl Market {
    fn new() -> Self {
        let balances = [("USDT", "9000"), ("BTC", "30")].map(|(name, total)| (asset(name), dec(total)));
        Self { balances: balances.into(), orders: BTreeMap::new(), trades: Vec::new(), number: 0 }
    }

    fn take(&mut self, client: Option<ClientId>, terms: &Terms) -> u64 {
        self.number += 1;
        self.orders.insert(self.number, listed(client, self.number, terms, "0", 1));
        self.number
    }

    /// Executes up to so much of an order, at some price.
    fn execute(&mut self, number: u64, size: Qty, at: Timestamp, rng: &mut SeededRng) {
        let Some(order) = self.orders.get_mut(&number) else { return };
        let size = size.min(order.qty - order.filled);
        (order.filled, order.seq) = (order.filled + size, order.seq + 1);
        let paid = Price::new(Decimal::new(9_000 + rng.below(2_000) as i64, 2));
        let (client, side, symbol) = (order.client, order.side, order.symbol);
        let fee = Notional::new(Decimal::new(rng.below(100) as i64, 3));
        let trade = TradeId(self.trades.len() as u64 + 1);
        let sign = if side == Side::Buy { Decimal::ONE } else { -Decimal::ONE };
        *self.balances.entry(asset("BTC")).or_default() += size.get() * sign;
        *self.balances.entry(asset("USDT")).or_default() -= (paid * size).get() * sign + fee.get();
        self.trades.push(VenueTrade { client, trade, symbol, side, price: paid, qty: size, fee, maker: true, at });
        if order.filled == order.qty {
            self.orders.remove(&number);
        }
    }

    fn statement(&self) -> Vec<Balance> {
        self.balances.iter().map(|(asset, total)| Balance { asset: *asset, total: *total }).collect()
    }
}

/// Instances as far as the ledger sees them: each counts a trade once and records facts.
struct Bots {
    account: Account,
    counted: BTreeSet<(InstanceId, TradeId)>,
    terms: BTreeMap<(InstanceId, OrderNo), Terms>,
    filled: BTreeMap<(InstanceId, OrderNo), Qty>,
    order: u64,
    ms: i64,
    snapshot: Vec<u8>,
}

impl Bots {
    fn new() -> Self {
        let mut account = Account::empty();
        for name in NAMES {
            account.ledger.register(at(0), &spec(name, ("1000", "2"), &[BTC]), 1);
        }
        let (counted, terms, filled) = (BTreeSet::new(), BTreeMap::new(), BTreeMap::new());
        Self { account, counted, terms, filled, order: 0, ms: 2, snapshot: Vec::new() }
    }

    fn save(&mut self) {
        self.snapshot = postcard::to_allocvec(&self.account.ledger).unwrap();
    }

    /// The process dies: what is left of the ledger is its snapshot; the facts are durable.
    fn crash(&mut self) {
        self.account.ledger = postcard::from_bytes(&self.snapshot).unwrap();
        for (instance, record) in &self.account.journal {
            self.account.ledger.follow(*instance, record).unwrap();
        }
        self.account.ledger.restarted(at(self.ms));
    }

    fn place(&mut self, market: &mut Market, rng: &mut SeededRng) {
        let name = NAMES[rng.below(3) as usize];
        let side = if rng.below(2) == 0 { Side::Buy } else { Side::Sell };
        self.order += 1;
        let worst = (95 + rng.below(10)).to_string();
        let mut terms = limit(self.order, side, &worst, "1");
        if rng.below(4) == 0 {
            terms.kind = OrderKind::Market { bound: Some(price(&worst)) };
        }
        if rng.below(5) == 0 {
            terms.purpose = Purpose::Exit;
        }
        self.account.approve(self.ms, name, terms);
        match self.account.ledger.place(at(self.ms), id(name), 1, &terms) {
            Ok(client) => {
                self.terms.insert((id(name), terms.order), terms);
                market.take(Some(client), &terms);
                if rng.below(3) > 0 {
                    self.account.fact(self.ms, name, Fact::OrderMoved(terms.order, Life::Open));
                }
            }
            Err(LedgerError::Crosses { with, .. }) => {
                let (order, step) = (terms.order, 0);
                self.account.fact(self.ms, name, Fact::Crossed { order, with, step });
            }
            Err(other) => panic!("{other}"),
        }
    }

    fn hear(&mut self, (to, report): (InstanceId, Report)) {
        match report {
            Report::Fill(fill) if self.counted.insert((to, fill.trade)) => {
                let filled = self.filled.entry((to, fill.order)).or_default();
                *filled += fill.qty;
                let is_whole = *filled == self.terms[&(to, fill.order)].qty;
                self.account.fact(self.ms, to.as_str(), Fact::Fill(fill));
                if is_whole {
                    self.account.end(self.ms, to.as_str(), self.terms[&(to, fill.order)], Life::Filled);
                }
            }
            Report::Fill(_) | Report::Missing(_) | Report::State(_) | Report::Traded(_) => {}
            other => panic!("the ledger never says this: {other:?}"),
        }
    }

    /// No two entries of the account that may rest could trade with each other.
    fn assert_nothing_crosses(&self) {
        let entries = |side| {
            let all = self.account.ledger.live();
            all.filter(move |known| {
                known.may_trade() && known.terms.side == side && known.terms.purpose == Purpose::Entry
            })
        };
        let worst = |known: &Known| match known.terms.kind {
            OrderKind::Limit(price) | OrderKind::Market { bound: Some(price) } => price,
            OrderKind::Market { bound: None } => panic!("entries are bound"),
        };
        for buy in entries(Side::Buy) {
            for sell in entries(Side::Sell) {
                assert!(worst(buy) < worst(sell), "{} and {}", buy.id, sell.id);
            }
        }
    }
}

fn step(bots: &mut Bots, market: &mut Market, rng: &mut SeededRng) {
    bots.ms += 1 + rng.below(400) as i64;
    match rng.below(32) {
        30 => bots.save(),
        31 => bots.crash(),
        what => act(bots, market, rng, what % 8),
    }
    bots.assert_nothing_crosses();
}

fn act(bots: &mut Bots, market: &mut Market, rng: &mut SeededRng, what: u64) {
    let now = at(bots.ms);
    match what {
        0 | 1 => bots.place(market, rng),
        2 => {
            let side = if rng.below(2) == 0 { Side::Buy } else { Side::Sell };
            market.take(None, &limit(1, side, "100", "3"));
        }
        3 | 4 => {
            let numbers: Vec<u64> = market.orders.keys().copied().collect();
            if !numbers.is_empty() {
                let number = numbers[rng.below(numbers.len() as u64) as usize];
                market.execute(number, Qty::new(Decimal::new(1 + rng.below(10) as i64, 1)), now, rng);
            }
        }
        5 if !market.trades.is_empty() => {
            // The stream tells anything, any number of times.
            let trade = market.trades[rng.below(market.trades.len() as u64) as usize];
            let news = bots.account.ledger.on_trade_news(now, &trade);
            news.into_iter().for_each(|news| bots.hear(news));
        }
        6 => {
            let orders: Vec<VenueOrder> = market.orders.values().copied().collect();
            let news = bots.account.ledger.on_orders(now, now, now, &orders);
            let externals = bots.account.ledger.externals().count();
            assert_eq!(externals, orders.iter().filter(|order| order.client.is_none()).count());
            assert_eq!(bots.account.ledger.orphans().count(), 0);
            news.into_iter().for_each(|news| bots.hear(news));
        }
        _ => {
            bots.account.ledger.on_balances(now, now, &market.statement());
        }
    }
}

/// Everything is read at last, in a random order and with repetitions.
fn read_all(bots: &mut Bots, market: &Market, rng: &mut SeededRng) {
    bots.ms += 1_000;
    let mut trades = market.trades.clone();
    for at in (1..trades.len()).rev() {
        trades.swap(at, rng.below(at as u64 + 1) as usize);
    }
    trades.extend_from_within(..trades.len() / 2);
    let now = at(bots.ms);
    let news = bots.account.ledger.on_trades(now, at(0), now, symbol(BTC), &trades);
    news.into_iter().for_each(|news| bots.hear(news));
}

fn holdings(bots: &Bots) -> BTreeMap<InstanceId, (Qty, Notional)> {
    let members = bots.account.ledger.members();
    members.iter().map(|(id, member)| (*id, (member.lines()[0].position, member.cash()))).collect()
}

/// What each instance must hold, from the venue's own trades.
fn truth(market: &Market) -> BTreeMap<InstanceId, (Qty, Notional)> {
    let mut held: BTreeMap<InstanceId, (Qty, Notional)> =
        NAMES.map(|name| (id(name), (qty("2"), money("1000")))).into();
    for trade in &market.trades {
        let Some(owner) = trade.client.and_then(|client| held.get_mut(&client.instance)) else { continue };
        let value = trade.price * trade.qty;
        match trade.side {
            Side::Buy => *owner = (owner.0 + trade.qty, owner.1 - value - trade.fee),
            Side::Sell => *owner = (owner.0 - trade.qty, owner.1 + value - trade.fee),
        }
    }
    held
}

#[test]
fn any_account_adds_up_and_never_trades_with_itself() {
    let (mut crossed, mut externals, mut owned) = (0, 0, 0);
    for seed in 0..150 {
        let (mut rng, mut bots, mut market) = (SeededRng::new(seed), Bots::new(), Market::new());
        // The account may be opened before its first order or in the middle of things.
        if seed % 2 == 0 {
            let opening = bots.account.ledger.on_balances(at(1), at(1), &market.statement());
            assert_eq!(opening, vec![BalanceNews::Opened(at(1))]);
        }
        bots.save();
        for _ in 0..150 {
            step(&mut bots, &mut market, &mut rng);
        }
        bots.ms += 1;
        bots.account.ledger.on_balances(at(bots.ms), at(bots.ms), &market.statement());
        read_all(&mut bots, &market, &mut rng);
        assert_eq!(holdings(&bots), truth(&market), "seed {seed}");
        for (asset, total) in &market.balances {
            assert_eq!(bots.account.ledger.expected(*asset), *total, "seed {seed}");
        }
        for later in [1_000, 2_000] {
            let now = at(bots.ms + later);
            bots.account.ledger.on_balances(now, now, &market.statement());
        }
        assert!(bots.account.ledger.differences().is_empty(), "seed {seed}");
        crossed += bots.order - bots.terms.len() as u64;
        externals += market.trades.iter().filter(|trade| trade.client.is_none()).count();
        owned += bots.counted.len();
    }
    assert!(crossed > 500 && externals > 500 && owned > 500, "{crossed} {externals} {owned}");
}

#[test]
fn news_in_any_order_ends_alike() {
    for seed in 0..40 {
        let (mut rng, mut bots, mut market) = (SeededRng::new(seed), Bots::new(), Market::new());
        bots.account.ledger.on_balances(at(1), at(1), &market.statement());
        bots.save();
        for _ in 0..60 {
            step(&mut bots, &mut market, &mut rng);
        }
        let bytes = postcard::to_allocvec(&bots.account.ledger).unwrap();
        let mut ends = Vec::new();
        for order in 0..3 {
            let ledger: Ledger = postcard::from_bytes(&bytes).unwrap();
            let mut again = Bots {
                account: Account { ledger, seqs: bots.account.seqs.clone(), journal: Vec::new() },
                counted: bots.counted.clone(),
                terms: bots.terms.clone(),
                filled: bots.filled.clone(),
                snapshot: Vec::new(),
                ..bots
            };
            read_all(&mut again, &market, &mut SeededRng::new(order));
            ends.push((holdings(&again), again.account.ledger.outside_position(symbol(BTC))));
        }
        assert!(ends.iter().all(|end| *end == ends[0]), "seed {seed}");
    }
}
