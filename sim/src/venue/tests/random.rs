//! Random doings on a wild venue, with an audit along the way.

use supervisor_core::domain::{OrderKind, Qty, Side};
use supervisor_core::ledger::VenueOrder;

use super::audit::{Heard, audit};
use super::*;

/// What the desks of a test do by chance.
struct Doings {
    chance: Chance,
    now: Timestamp,
    next: u64,
}

impl Doings {
    fn new(seed: u64) -> Self {
        Self { chance: Chance::new(seed, 99), now: START, next: 0 }
    }

    fn step(&mut self, venue: &mut Venue) -> (AccountIx, Ask, Answer) {
        self.now = self.now + self.chance.span(0, 400);
        // Mostly of late, each name on its own account.
        let back = if self.chance.hits(700) { 8 } else { 1_000_000 };
        let last = self.next.max(1) as i64;
        let number = self.chance.span((last - back).max(1), last) as u64;
        let old = name(number);
        let symbol = venue.config.symbols[self.chance.index(2)].symbol;
        let ask = match self.chance.index(10) {
            0..4 => self.place(venue, symbol),
            4 | 5 => Ask::Cancel { client: old },
            6 => Ask::Query { client: old },
            7 => Ask::OpenOrders,
            8 => Ask::Trades { symbol, from: self.now - 20_000 },
            _ => Ask::Balances,
        };
        let number = if matches!(ask, Ask::Place { .. }) { self.next.max(1) } else { number };
        let account = AccountIx((number % 2) as usize);
        let answer = venue.handle(self.now, account, &ask);
        (account, ask, answer)
    }

    fn place(&mut self, venue: &Venue, symbol: Symbol) -> Ask {
        let chance = &mut self.chance;
        let again = chance.hits(100);
        self.next += u64::from(!again);
        let price = venue.price(symbol).unwrap().get();
        let limit = price * (Decimal::ONE + Decimal::new(chance.span(-60, 60), 4));
        let immediate = chance.hits(200);
        Ask::Place {
            client: name(self.next.max(1)),
            symbol,
            side: if chance.hits(500) { Side::Buy } else { Side::Sell },
            kind: match chance.index(4) {
                0 => OrderKind::Market { bound: None },
                1 => OrderKind::Market { bound: Some(Price::new(limit.round_dp(2))) },
                _ => OrderKind::Limit(Price::new(limit.round_dp(2))),
            },
            qty: Qty::new(Decimal::new(chance.span(1, 20_000), 3)),
            post_only: !immediate && chance.hits(300),
            immediate,
            signed: self.now - chance.span(0, 2_200),
        }
    }
}

#[test]
fn the_truth_adds_up_whatever_happens() {
    let mut all = Tally::default();
    for seed in 0..24 {
        let (mut venue, mut doings, mut heard) = (Venue::new(wild(seed), seed), Doings::new(seed), Heard::default());
        for step in 0..1_200 {
            doings.step(&mut venue);
            heard.listen(&mut venue);
            if step == 700 {
                venue.restart(doings.now, 800, seed % 3 == 0);
                heard.listen(&mut venue);
            }
            if step % 60 == 0 {
                audit(&venue, &heard);
            }
        }
        audit(&venue, &heard);
        all.add(venue.tally());
    }
    let wanted = [
        "venue: activated",
        "venue: busts",
        "venue: cancel too late",
        "venue: cancel unknown",
        "venue: cancels",
        "venue: down",
        "venue: fills",
        "venue: fills of a person",
        "venue: held in the engine",
        "venue: insufficient balance",
        "venue: lagging lookups",
        "venue: orders",
        "venue: orders of a person",
        "venue: orders wiped",
        "venue: overfills",
        "venue: own cancels",
        "venue: own expiries",
        "venue: partial fills",
        "venue: post-only refused",
        "venue: refused",
        "venue: rejected after ack",
        "venue: rest expired",
        "venue: self-trade prevented",
        "venue: thin market",
        "venue: too old",
    ];
    let seldom: Vec<_> = wanted.into_iter().filter(|name| all.get(name) < 10).collect();
    assert!(seldom.is_empty(), "too seldom: {seldom:?} in {all:?}");
}

#[test]
fn the_same_seed_is_the_same_world() {
    let run = |seed: u64| {
        let (mut venue, mut doings) = (Venue::new(wild(2), seed), Doings::new(7));
        let answers: Vec<_> = (0..400).map(|_| doings.step(&mut venue).2).collect();
        (answers, venue.drain_news())
    };
    assert!(run(3) == run(3));
    assert!(run(3).1 != run(4).1);
}

#[test]
fn no_lookup_shows_the_future_or_what_is_too_old() {
    let mut checked = Tally::default();
    for seed in 0..12 {
        let (mut venue, mut doings, mut heard) = (Venue::new(wild(seed), seed), Doings::new(seed), Heard::default());
        for _ in 0..1_500 {
            let (account, ask, answer) = doings.step(&mut venue);
            heard.listen(&mut venue);
            let oldest = doings.now - venue.config.lookup_lag_ms;
            check(&venue, &heard, oldest, account, &ask, &answer, &mut checked);
        }
    }
    for name in ["found", "older", "hidden", "lists", "trades", "balances"] {
        assert!(checked.get(name) > 10, "{name}: {checked:?}");
    }
}

fn check(
    venue: &Venue,
    heard: &Heard,
    oldest: Timestamp,
    account: AccountIx,
    ask: &Ask,
    answer: &Answer,
    checked: &mut Tally,
) {
    match (ask, answer) {
        (Ask::Query { client }, Answer::NotFound) => {
            let born = venue.born(account, *client).next();
            assert!(born.is_none_or(|order| order.accepted_at > oldest), "{born:?}");
            checked.count(if born.is_some() { "hidden" } else { "not there" });
        }
        (Ask::Query { .. }, Answer::Order(order)) => {
            was_true(heard, oldest, order);
            checked.count(if venue.order(order.id).unwrap().view == *order { "found" } else { "older" });
        }
        (Ask::OpenOrders, Answer::OpenOrders { as_of, orders }) => {
            assert!((oldest..=venue.now).contains(as_of));
            let was_open = |order: &TrueOrder| {
                order.account == account && order.accepted_at <= *as_of && order.ended_at.is_none_or(|at| at > *as_of)
            };
            let open: Vec<_> = venue.orders().filter(|order| was_open(order)).map(|order| order.view.id).collect();
            assert_eq!(orders.iter().map(|order| order.id).collect::<Vec<_>>(), open);
            orders.iter().for_each(|order| was_true(heard, oldest, order));
            checked.count("lists");
        }
        (Ask::Trades { symbol, .. }, Answer::Trades { from, until, trades }) => {
            assert!((oldest - 1..venue.now).contains(until));
            let is_in = |known: &&TrueTrade| {
                let trade = known.trade;
                let stands = known.busted_at.is_none_or(|busted| busted > *until);
                trade.symbol == *symbol && trade.at >= *from && trade.at <= *until && stands
            };
            let truth: Vec<_> = venue.trades(account).iter().filter(is_in).map(|known| known.trade).collect();
            assert_eq!(*trades, truth);
            checked.count("trades");
        }
        (Ask::Balances, Answer::Balances { as_of, balances }) => {
            assert!((oldest - 1..venue.now).contains(as_of));
            assert_eq!(*balances, venue.accounts[account.0].as_of(*as_of));
            checked.count("balances");
        }
        _ => {}
    }
}

/// The view was the truth at some moment that is not older than allowed.
fn was_true(heard: &Heard, oldest: Timestamp, view: &VenueOrder) {
    let at = heard.orders.iter().position(|(_, _, told)| told == view).unwrap_or_else(|| panic!("never so: {view:?}"));
    let next = heard.orders[at + 1..].iter().find(|(_, _, told)| told.id == view.id);
    assert!(next.is_none_or(|(changed, _, _)| *changed > oldest), "{view:?} was over before {oldest}: {next:?}");
}
