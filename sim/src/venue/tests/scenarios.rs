//! What a venue does in one case each.

use supervisor_core::domain::Side;
use supervisor_core::orders::{CancelRefusal, RejectCode};

use super::audit::{Heard, audit};
use super::*;

fn quiet() -> Venue {
    Venue::new(still(), 1)
}

fn with(change: impl FnOnce(&mut VenueConfig)) -> Venue {
    let mut config = still();
    change(&mut config);
    Venue::new(config, 1)
}

#[test]
fn a_market_order_takes_at_once_and_pays_spread_and_fee() {
    let mut venue = quiet();
    assert_eq!(stand(&place(&mut venue, 5, buy(1, None, "2"))), (VenueState::Filled, dec("2"), 2));
    assert_eq!(venue.balances(MAIN)[&asset("BTC")], dec("52"));
    assert_eq!(venue.balances(MAIN)[&asset("USDT")], dec("100000") - dec("200.04") * dec("1.001"));
    let news: Vec<_> = venue.drain_news().into_iter().map(|(_, _, news)| news).collect();
    assert!(matches!(news[..], [News::Order(_), News::Trade(_), News::Order(_)]), "{news:?}");
}

#[test]
fn a_limit_rests_until_the_price_is_through_it() {
    let mut venue = with(|config| {
        (config.volatility_ppm, config.pull_ppm) = (400, 100);
        config.rates.partial = 700;
    });
    assert_eq!(stand(&place(&mut venue, 0, buy(1, Some("99.70"), "3"))), (VenueState::Open, dec("0"), 1));
    let locked = dec("99.70") * dec("3") * dec("1.001");
    assert_eq!(venue.free(MAIN, asset("USDT")), dec("100000") - locked);
    venue.advance(START + 600_000);
    assert_eq!(stand(&query(&mut venue, 600_000, 1)).0, VenueState::Filled);
    let trades = venue.trades(MAIN);
    assert!(trades.len() > 1 && trades.iter().all(|known| known.trade.maker), "{trades:?}");
    assert!(trades.iter().all(|known| known.trade.price.get() == dec("99.70")));
    assert_eq!(venue.free(MAIN, asset("USDT")), dec("100000") - dec("99.70") * dec("3") * dec("1.0002"));
}

#[test]
fn an_order_of_the_same_account_in_the_way_expires_first() {
    let mut venue = quiet();
    assert_eq!(stand(&place(&mut venue, 0, sell(1, Some("100.01"), "1"))).0, VenueState::Open);
    assert_eq!(stand(&place(&mut venue, 0, sell(2, Some("100.03"), "1"))).0, VenueState::Open);
    assert_eq!(stand(&place(&mut venue, 1, buy(3, None, "1"))).0, VenueState::Filled);
    assert_eq!(stand(&query(&mut venue, 1, 1)), (VenueState::Expired, dec("0"), 2));
    assert_eq!(stand(&query(&mut venue, 1, 2)).0, VenueState::Open, "beyond the market's own price");
    assert_eq!(venue.trades(MAIN)[0].trade.price.get(), dec("100.02"));
    // A limit that does not reach the market, but an order of ours.
    assert_eq!(stand(&place(&mut venue, 2, buy(4, Some("100.01"), "1"))).0, VenueState::Open);
    assert_eq!(stand(&place(&mut venue, 2, sell(5, Some("100.00"), "1"))).0, VenueState::Open);
    assert_eq!(stand(&query(&mut venue, 2, 4)).0, VenueState::Expired);
    // Another account is not in the way.
    venue.handle(START + 3, AccountIx(1), &buy(6, None, "1").signed(START + 3));
    assert_eq!(stand(&query(&mut venue, 3, 5)).0, VenueState::Open);
    assert_eq!(venue.tally().get("venue: self-trade prevented"), 2);
}

#[test]
fn what_an_immediate_order_does_not_get_expires() {
    let ioc = |order, price| Wanted { immediate: true, ..buy(order, Some(price), "2") };
    let mut venue = quiet();
    assert_eq!(stand(&place(&mut venue, 0, ioc(1, "100.01"))), (VenueState::Expired, dec("0"), 2));
    assert_eq!(stand(&place(&mut venue, 0, ioc(2, "100.02"))), (VenueState::Filled, dec("2"), 2));
    let mut venue = with(|config| config.rates.partial = 1_000);
    let (state, filled, _) = stand(&place(&mut venue, 0, ioc(3, "100.02")));
    assert!(state == VenueState::Expired && filled > dec("0") && filled < dec("2"), "{filled}");
    let mut venue = with(|config| config.rates.thin = 1_000);
    let (state, filled, _) = stand(&place(&mut venue, 0, buy(4, None, "2")));
    assert!(state == VenueState::Expired && filled < dec("2"), "{filled}");
    assert_eq!(venue.free(MAIN, asset("USDT")), venue.balances(MAIN)[&asset("USDT")], "nothing stays locked");
}

#[test]
fn a_post_only_order_is_refused_at_once_or_after_its_ack() {
    let post = |order, price| Wanted { post_only: true, ..buy(order, Some(price), "1") };
    let mut venue = quiet();
    assert_eq!(place(&mut venue, 0, post(1, "100.02")), Answer::Rejected(RejectCode::WouldTake));
    assert_eq!((venue.placed_count(name(1)), query(&mut venue, 0, 1)), (0, Answer::NotFound));
    assert_eq!(stand(&place(&mut venue, 0, post(2, "100.01"))).0, VenueState::Open);
    let mut venue = with(|config| (config.rates.late_reject, config.rates.pending_ms) = (1_000, 50));
    assert_eq!(stand(&place(&mut venue, 0, post(1, "100.02"))), (VenueState::Open, dec("0"), 1));
    assert_eq!(stand(&query(&mut venue, 50, 1)), (VenueState::Rejected, dec("0"), 2));
    assert_eq!(venue.free(MAIN, asset("USDT")), dec("100000"));
}

#[test]
fn a_pending_order_is_activated_later_and_can_be_withdrawn_before() {
    let mut venue = with(|config| (config.rates.pending, config.rates.pending_ms) = (1_000, 400));
    assert_eq!(stand(&place(&mut venue, 0, buy(1, Some("101"), "1"))), (VenueState::Pending, dec("0"), 1));
    assert_eq!(stand(&query(&mut venue, 400, 1)), (VenueState::Filled, dec("1"), 3));
    place(&mut venue, 500, buy(2, Some("101"), "1"));
    assert_eq!(stand(&cancel(&mut venue, 500, 2)), (VenueState::Canceled, dec("0"), 2));
    assert_eq!(stand(&query(&mut venue, 5_000, 2)).2, 2, "its activation comes too late");
    let mut venue = with(|config| {
        (config.rates.pending, config.rates.armed, config.rates.pending_ms) = (1_000, 1_000, 400);
    });
    assert_eq!(stand(&place(&mut venue, 0, buy(1, Some("99"), "1"))).0, VenueState::Armed);
    assert_eq!(stand(&query(&mut venue, 400, 1)), (VenueState::Open, dec("0"), 2));
}

#[test]
fn cancels_are_done_or_too_late_or_unknown() {
    let mut venue = with(|config| config.rates.held = 0);
    place(&mut venue, 0, buy(1, Some("99"), "1"));
    place(&mut venue, 0, buy(2, None, "1"));
    assert_eq!(stand(&cancel(&mut venue, 1, 1)), (VenueState::Canceled, dec("0"), 2));
    assert_eq!(cancel(&mut venue, 1, 1), Answer::CancelRefused(CancelRefusal::TooLate));
    assert_eq!(cancel(&mut venue, 1, 2), Answer::CancelRefused(CancelRefusal::TooLate));
    assert_eq!(cancel(&mut venue, 1, 3), Answer::CancelRefused(CancelRefusal::Unknown));
    let mut venue = with(|config| config.rates.forgetful = 1_000);
    place(&mut venue, 0, buy(2, None, "1"));
    assert_eq!(cancel(&mut venue, 1, 2), Answer::CancelRefused(CancelRefusal::Unknown));
}

#[test]
fn a_held_request_is_unknown_until_born_and_never_born_too_late() {
    let mut latest = 0;
    for seed in 0..300 {
        let mut config = still();
        config.rates.held = 1_000;
        let mut venue = Venue::new(config, seed);
        let wanted = buy(1, Some("99"), "1").signed(START);
        assert_eq!(venue.handle(START + 2_000, MAIN, &wanted), Answer::Busy);
        assert!(venue.is_held(MAIN, name(1)));
        assert_eq!(query(&mut venue, 2_000, 1), Answer::NotFound);
        assert_eq!(cancel(&mut venue, 2_000, 1), Answer::CancelRefused(CancelRefusal::Unknown));
        venue.advance(START + 12_000);
        let order = venue.born(MAIN, name(1)).next().expect("born in time");
        assert!(!venue.is_held(MAIN, name(1)) && order.accepted_at > START + 2_000);
        latest = latest.max(order.accepted_at.since(START));
        venue.advance(START + 60_000);
        assert_eq!(venue.placed_count(name(1)), 1);
    }
    assert!((11_500..=12_000).contains(&latest), "{latest}");
}

#[test]
fn a_request_outside_its_window_is_definitely_not_worked_on() {
    let mut venue = quiet();
    let wanted = buy(1, Some("99"), "1").signed(START);
    assert_eq!(venue.handle(START + 2_001, MAIN, &wanted), Answer::TooOld);
    assert_eq!(venue.handle(START + 2_002, MAIN, &wanted.clone()), Answer::TooOld);
    let ahead = buy(1, Some("99"), "1").signed(START + 4_000);
    assert_eq!(venue.handle(START + 2_999, MAIN, &ahead), Answer::TooOld);
    assert_eq!(venue.placed_count(name(1)), 0);
    assert_eq!(stand(&venue.handle(START + 3_000, MAIN, &ahead)).0, VenueState::Open);
}

#[test]
fn names_are_unique_for_ever_or_among_open_orders() {
    let mut venue = quiet();
    place(&mut venue, 0, buy(1, None, "1"));
    assert_eq!(place(&mut venue, 1, buy(1, None, "1")), Answer::Rejected(RejectCode::Other));
    assert_eq!(venue.placed_count(name(1)), 1);
    let mut venue = with(|config| config.ids = IdClass::Open);
    place(&mut venue, 0, buy(1, Some("99"), "1"));
    assert_eq!(place(&mut venue, 1, buy(1, Some("99"), "1")), Answer::Rejected(RejectCode::Other));
    cancel(&mut venue, 2, 1);
    assert_eq!(stand(&place(&mut venue, 3, buy(1, Some("99"), "1"))).0, VenueState::Open);
    assert_eq!(venue.placed_count(name(1)), 2);
    // One that waits in the engine is in use where names are unique for ever.
    for (ids, second) in [(IdClass::Unique, Answer::Rejected(RejectCode::Other)), (IdClass::Open, Answer::Busy)] {
        let mut venue = with(|config| (config.ids, config.rates.held) = (ids, 1_000));
        assert_eq!(place(&mut venue, 0, buy(1, Some("99"), "1")), Answer::Busy);
        assert_eq!(place(&mut venue, 0, buy(1, Some("99"), "1")), second);
        venue.advance(START + 20_000);
        assert_eq!(venue.placed_count(name(1)), 1);
    }
}

#[test]
fn a_bust_takes_back_what_its_execution_moved() {
    let mut venue = with(|config| (config.rates.bust, config.rates.bust_ms) = (1_000, 5_000));
    let before = venue.balances(MAIN).clone();
    assert_eq!(stand(&place(&mut venue, 0, buy(1, None, "1"))).0, VenueState::Filled);
    venue.advance(START + 6_000);
    assert_eq!(*venue.balances(MAIN), before);
    assert_eq!(stand(&query(&mut venue, 6_000, 1)), (VenueState::Canceled, dec("0"), 3));
    assert!(venue.drain_news().iter().any(|(_, account, news)| {
        *account == Some(MAIN) && matches!(news, News::Bust(trade) if trade.client == Some(name(1)))
    }));
    let symbol = "BTCUSDT".parse().unwrap();
    let listed = ask(&mut venue, 6_000, Ask::Trades { symbol, from: START });
    assert_eq!(listed, Answer::Trades { from: START, until: START + 5_999, trades: Vec::new() });
}

#[test]
fn a_bust_that_the_account_could_not_give_back_does_not_happen() {
    let mut venue = with(|config| (config.rates.bust, config.rates.bust_ms) = (1_000, 5_000));
    place(&mut venue, 0, buy(1, None, "1"));
    assert_eq!(stand(&place(&mut venue, 0, sell(2, Some("150"), "51"))).0, VenueState::Open);
    venue.advance(START + 6_000);
    assert_eq!(venue.tally().get("venue: busts"), 0);
    assert_eq!(venue.balances(MAIN)[&asset("BTC")], dec("51"));
}

#[test]
fn an_overfill_goes_beyond_the_quantity_only_when_asked_for() {
    let mut venue = with(|config| config.rates.overfill = 1_000);
    let (state, filled, seq) = stand(&place(&mut venue, 0, buy(1, None, "2")));
    assert!(state == VenueState::Filled && filled > dec("2") && seq == 3, "{filled}");
    assert_eq!(venue.balances(MAIN)[&asset("BTC")], dec("50") + filled);
}

#[test]
fn funds_and_filters_refuse_without_a_birth() {
    let mut venue = quiet();
    let cases = [
        (buy(1, Some("99"), "1100"), RejectCode::InsufficientBalance),
        (sell(1, Some("101"), "50.0001"), RejectCode::InsufficientBalance),
        (buy(1, None, "1000"), RejectCode::InsufficientBalance),
        (buy(1, Some("99.005"), "1"), RejectCode::Filter),
        (buy(1, Some("99"), "0.00001"), RejectCode::Filter),
        (buy(1, Some("99"), "0.05"), RejectCode::Filter),
        (Wanted { post_only: true, ..buy(1, None, "1") }, RejectCode::Filter),
    ];
    for (wanted, code) in cases {
        assert_eq!(place(&mut venue, 0, wanted), Answer::Rejected(code), "{:?} {}", wanted.price, wanted.qty);
    }
    assert_eq!((venue.orders().count(), venue.drain_news().len()), (0, 0));
    assert_eq!(stand(&place(&mut venue, 0, sell(1, Some("101"), "50"))).0, VenueState::Open, "all there is");
}

#[test]
fn a_restart_is_busy_for_a_while_and_may_wipe_the_book() {
    let mut venue = with(|config| (config.rates.held, config.rates.pending) = (0, 0));
    place(&mut venue, 0, buy(1, Some("99"), "1"));
    venue.restart(START + 10, 500, false);
    assert_eq!(query(&mut venue, 509, 1), Answer::Busy);
    assert_eq!(stand(&query(&mut venue, 510, 1)).0, VenueState::Open);
    venue.config.rates.held = 1_000;
    assert_eq!(place(&mut venue, 600, buy(2, Some("99"), "1")), Answer::Busy);
    venue.restart(START + 601, 500, true);
    assert_eq!(stand(&query(&mut venue, 1_200, 1)), (VenueState::Canceled, dec("0"), 2));
    venue.advance(START + 60_000);
    assert_eq!(venue.placed_count(name(2)), 0);
}

#[test]
fn too_many_requests_are_not_worked_on() {
    let mut venue = with(|config| (config.burst, config.per_second) = (1, 10));
    place(&mut venue, 0, buy(1, Some("99"), "1"));
    assert_eq!(place(&mut venue, 0, buy(2, Some("99"), "1")), Answer::Limited { retry_ms: 100 });
    assert_eq!(venue.placed_count(name(2)), 0);
    let other = venue.handle(START, AccountIx(1), &buy(3, Some("99"), "1").signed(START));
    assert_eq!(stand(&other).0, VenueState::Open);
    assert_eq!(stand(&place(&mut venue, 100, buy(2, Some("99"), "1"))).0, VenueState::Open);
}

#[test]
fn prices_stay_on_the_grid_and_cross_their_start_again_and_again() {
    for seed in 0..10 {
        let mut config = wild(seed);
        config.rates.human_ms = 0;
        let mut venue = Venue::new(config, seed);
        venue.advance(START + 3_600_000);
        let btc: Symbol = "BTCUSDT".parse().unwrap();
        let prices = venue.drain_news().into_iter().filter_map(|(_, _, news)| match news {
            News::Price { symbol, price } if symbol == btc => Some(price.get()),
            News::Price { .. } | News::Order(_) | News::Trade(_) | News::Bust(_) => None,
        });
        let prices: Vec<_> = prices.collect();
        assert!(prices.iter().all(|price| (price % dec("0.01")).is_zero()));
        assert!(prices.iter().all(|price| (dec("80")..dec("120")).contains(price)));
        let over: Vec<bool> = prices.iter().map(|price| *price > dec("100")).collect();
        let crossings = over.windows(2).filter(|pair| pair[0] != pair[1]).count();
        assert!(crossings > 20, "seed {seed}: {crossings}");
    }
}

#[test]
fn a_quiet_venue_does_nothing_of_its_own() {
    let mut venue = Venue::new(wild(3), 3);
    for order in 1..200 {
        let side = if order % 2 == 0 { Side::Buy } else { Side::Sell };
        place(&mut venue, order as i64 * 100, Wanted { side, ..buy(order, Some("100"), "0.1") });
    }
    let mut heard = Heard::default();
    heard.listen(&mut venue);
    venue.quiet();
    let doings = ["busts", "own cancels", "own expiries", "orders of a person", "overfills", "lagging lookups"];
    let count = |venue: &Venue| doings.map(|name| venue.tally().get(&format!("venue: {name}")));
    let before = count(&venue);
    venue.advance(START + 200_000);
    assert!(matches!(query(&mut venue, 200_000, 1), Answer::Order(_) | Answer::NotFound));
    assert_eq!(count(&venue), before);
    heard.listen(&mut venue);
    audit(&venue, &heard);
}

#[test]
fn a_person_trades_under_no_name() {
    let mut venue = with(|config| config.rates.human_ms = 1_000);
    venue.advance(START + 120_000);
    assert!(venue.orders().count() > 40);
    assert!(venue.orders().all(|order| order.view.client.is_none()));
    assert!(!venue.trades(MAIN).is_empty() && !venue.trades(AccountIx(1)).is_empty());
    assert!(venue.orders().any(|order| order.view.state == VenueState::Canceled));
}
