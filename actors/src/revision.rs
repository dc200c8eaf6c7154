//! What changed between the settings an instance has its state under and those it shall start with.
//!
//! Promises: a state is never taken on under settings that it does not fit or cannot pay for, and never forgotten
//! because of them.

use std::collections::BTreeMap;

use serde_json::Value;
use supervisor_core::domain::Notional;
use supervisor_core::instance::Shift;
use supervisor_core::risk::RiskGate;
use supervisor_core::spec::InstanceSpec;

use crate::feeds::differences;

/// Parts of a spec that a state cannot follow: orders, balances and positions belong to them.
const BOUND: [&str; 4] = ["id", "instruments", "capital.base", "mode"];

/// What to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Nothing.
    None,
    /// The state goes on under the new settings; these keys changed, for people.
    Revised(String),
    /// The state does not fit; one line per reason.
    Unfit(Vec<String>),
}

/// Compares the settings and the prices (`feed`: their origin).
#[must_use]
pub fn between(old: &InstanceSpec, new: &InstanceSpec, old_feed: &str, new_feed: &str) -> Change {
    let (before, after) = (keys(old), keys(new));
    let mut names: Vec<&String> = before.keys().chain(after.keys()).collect();
    names.sort();
    names.dedup();
    let nothing = String::from("nothing");
    let tell = |name: &&String| {
        let of = |keys: &BTreeMap<String, String>| keys.get(*name).unwrap_or(&nothing).clone();
        format!("{name} was {}, is {}", of(&before), of(&after))
    };
    let changed: Vec<&String> = names.into_iter().filter(|name| before.get(*name) != after.get(*name)).collect();
    let mut unfit: Vec<String> = changed.iter().filter(|name| is_bound(name)).map(tell).collect();
    unfit.extend(certainty(old, new));
    let symbols: Vec<String> = old.instruments.iter().map(|instrument| instrument.symbol.to_string()).collect();
    unfit.extend(differences(old_feed, new_feed, &symbols));
    if !unfit.is_empty() {
        return Change::Unfit(unfit);
    }
    let mut revised: Vec<String> = changed.iter().map(tell).collect();
    if old.strategy.word() != new.strategy.word() {
        // The keys of two kinds have nothing to do with each other.
        revised.retain(|key| !key.starts_with("strategy."));
        revised.push(format!("strategy.kind was {}, is {}", old.strategy.word(), new.strategy.word()));
    }
    if revised.is_empty() { Change::None } else { Change::Revised(revised.join("; ")) }
}

/// Whether anything is ever in doubt belongs to the orders that are there.
fn certainty(old: &InstanceSpec, new: &InstanceSpec) -> Option<String> {
    let word = |spec: &InstanceSpec| if spec.venue.is_certain { "nothing was lost" } else { "messages got lost" };
    let (keys, was) = ("venue_model.lost_requests_pct and lost_answers_pct", word(old));
    (old.venue.is_certain != new.venue.is_certain).then(|| format!("{keys}: {was} when its state began"))
}

fn is_bound(name: &str) -> bool {
    let under = |bound: &&str| name.strip_prefix(*bound).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
    BOUND.iter().any(under)
}

/// True when the change needs money: capital goes out, or orders are held with dearer fees.
#[must_use]
pub fn costs(old: &InstanceSpec, new: &InstanceSpec) -> bool {
    let rises = |fee: fn(&InstanceSpec) -> rust_decimal::Decimal| fee(new) > fee(old);
    let dearer = rises(|spec| spec.venue_model.maker_fee) || rises(|spec| spec.venue_model.taker_fee);
    Shift::between(old, new).transfer.is_negative() || dearer
}

/// Why the change cannot be paid for; `None`: it can. `gate`: of the state at rest, for what waits to be worked off may
/// take room.
#[must_use]
pub fn shortage(old: &InstanceSpec, new: &InstanceSpec, gate: &RiskGate) -> Option<String> {
    let transfer = Shift::between(old, new).transfer;
    let free = gate.free_under(&new.venue_model);
    let left = free + transfer;
    if !left.is_negative() || !costs(old, new) {
        return None;
    }
    if transfer.is_negative() {
        let (was, is, out) = (old.capital.quote, new.capital.quote, -transfer);
        let (free, least) = (free.max(Notional::ZERO), was - free.max(Notional::ZERO));
        return Some(format!(
            "capital.quote was {was}, is {is}: that takes {out} out, and {free} is free after what orders hold and \
             their fees (allowed: at least {least})"
        ));
    }
    let fees = |spec: &InstanceSpec| {
        let model = &spec.venue_model;
        format!("{} and {}", model.maker_fee.normalize(), model.taker_fee.normalize())
    };
    Some(format!(
        "venue_model.maker_fee and taker_fee were {}, are {}: resting orders would need {} more than there is \
         (allowed: lower fees, more capital.quote, or fewer orders: pause the bot before)",
        fees(old),
        fees(new),
        -left
    ))
}

/// Dotted keys, as near to those of the file as the typed spec allows.
fn keys(spec: &InstanceSpec) -> BTreeMap<String, String> {
    let mut keys = BTreeMap::new();
    let word = spec.strategy.word();
    if let Ok(value) = serde_json::to_value(spec) {
        flatten("", &value, &mut keys);
    }
    // What the venue promises follows from the other keys.
    keys.retain(|key, _| !key.starts_with("venue."));
    let of_file = |key: String| match key.strip_prefix("faults.") {
        Some(fault) => format!("venue_model.{fault}"),
        None => key.replacen(&format!("strategy.{word}"), "strategy", 1),
    };
    keys.into_iter().map(|(key, value)| (of_file(key), value)).collect()
}

fn flatten(prefix: &str, value: &Value, keys: &mut BTreeMap<String, String>) {
    let under = |name: &str| if prefix.is_empty() { name.to_owned() } else { format!("{prefix}.{name}") };
    match value {
        Value::Object(fields) => fields.iter().for_each(|(name, value)| flatten(&under(name), value, keys)),
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(at, value)| flatten(&under(&at.to_string()), value, keys));
        }
        Value::String(text) => drop(keys.insert(prefix.to_owned(), text.clone())),
        Value::Null => {}
        Value::Bool(_) | Value::Number(_) => drop(keys.insert(prefix.to_owned(), value.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::path::Path;

    use supervisor_config::{Account, Caps, Crossing, instance_from_text};
    use supervisor_core::sim::{
        Backtest, Recording, ReplayFeed, SyntheticInstrument, SyntheticSpec, synthetic_candles,
    };

    use super::*;

    const TEXT: &str = "id = \"bot\"\nname = \"a\"\nmode = \"paper\"\ninstruments = [\"BTCUSDT\"]\ntimeframe = \"1m\"\n\
        [capital]\nquote = 10000\nbase = 0\n[feed]\nkind = \"synthetic\"\nseed = 1\nstart_price = 100\n[strategy]\nkind = \"grid\"\n\
        levels = 5\nwidth_pct = 8\norder_value = 200\n[risk]\nmin_order_value = 10\n\
        [venue_model]\nlatency_ms = 50\nmaker_fee = 0.001\ntaker_fee = 0.001\nspread_pct = 0.02\n";

    fn spec(changes: &[(&str, &str)]) -> InstanceSpec {
        let balances = BTreeMap::from([("USDT".parse().unwrap(), 100_000.into()), ("BTC".parse().unwrap(), 10.into())]);
        let caps = Caps { max_total_exposure: 1.into(), max_capital_per_symbol: 1.into() };
        let account = Account { venue: "paper".to_owned(), balances, caps, crossing: Crossing::Allow };
        let text = changes.iter().fold(TEXT.to_owned(), |text, (from, to)| {
            assert!(text.contains(from), "{from}");
            text.replace(from, to)
        });
        let accounts = BTreeMap::from([("paper".to_owned(), account)]);
        let config = instance_from_text(&text, Path::new("bot.toml"), &accounts, &[], &BTreeMap::new());
        config.unwrap_or_else(|error| panic!("{error}\n{text}")).spec
    }

    fn change(changes: &[(&str, &str)]) -> Change {
        between(&spec(&[]), &spec(changes), "feed", "feed")
    }

    fn revised(text: &str) -> Change {
        Change::Revised(text.to_owned())
    }

    #[test]
    fn orders_balances_and_positions_are_bound_to_the_market_and_to_the_base() {
        for (from, to, reason) in [
            ("id = \"bot\"", "id = \"other\"", "id was bot, is other"),
            ("base = 0", "base = 1.5", "capital.base was 0, is 1.5"),
            ("latency_ms = 50", "latency_ms = 50\ntick_size = 0.1", "instruments.0.tick was 0.01, is 0.1"),
            ("latency_ms = 50", "latency_ms = 50\nmin_notional = 6", "instruments.0.notional_min was 5, is 6"),
        ] {
            assert_eq!(change(&[(from, to)]), Change::Unfit(vec![reason.to_owned()]));
        }
        let Change::Unfit(reasons) = change(&[("BTCUSDT", "ETHUSDT")]) else { panic!() };
        assert!(reasons.iter().all(|reason| reason.starts_with("instruments.0.")), "{reasons:?}");
        let lossy = change(&[("latency_ms = 50", "latency_ms = 50\nlost_answers_pct = 5")]);
        let lost = "venue_model.lost_requests_pct and lost_answers_pct: nothing was lost when its state began";
        assert_eq!(lossy, Change::Unfit(vec![lost.to_owned()]));
        let other = between(&spec(&[]), &spec(&[("quote = 10000", "quote = 9000")]), "one", "another");
        assert_eq!(other, Change::Unfit(vec!["feed was one, is another".to_owned()]));
    }

    #[test]
    fn the_rest_may_change_under_the_state() {
        assert_eq!(change(&[]), Change::None);
        assert_eq!(change(&[("quote = 10000", "quote = 12000.5")]), revised("capital.quote was 10000, is 12000.5"));
        for (from, to, text) in [
            ("latency_ms = 50", "latency_ms = 0", "venue_model.latency_ms was 50, is 0"),
            ("maker_fee = 0.001", "maker_fee = 0.002", "venue_model.maker_fee was 0.001, is 0.002"),
            ("taker_fee = 0.001", "taker_fee = 0", "venue_model.taker_fee was 0.001, is 0"),
            ("spread_pct = 0.02", "queue = \"touch\"\nspread_pct = 0.02", "venue_model.queue was through, is touch"),
            ("spread_pct = 0.02", "intrabar = \"olhc\"\nspread_pct = 0.02", "venue_model.intrabar was ohlc, is olhc"),
        ] {
            assert_eq!(change(&[(from, to)]), revised(text));
        }
        assert!(matches!(change(&[("spread_pct = 0.02", "spread_pct = 0.1")]), Change::Revised(_)));
        let exits = "[exits]\nmax_holding_min = 2\nbreak_even_pct = 1\n[risk]";
        let text = "exits.break_even was nothing, is 0.01; exits.max_holding_ms was nothing, is 120000";
        assert_eq!(change(&[("[risk]", exits)]), revised(text));
        let lossy = |percent| ("latency_ms = 50", format!("latency_ms = 50\nlost_answers_pct = {percent}"));
        let (less, more) = (lossy(5), lossy(7));
        let worse = between(&spec(&[(less.0, &less.1)]), &spec(&[(more.0, &more.1)]), "feed", "feed");
        assert_eq!(worse, revised("venue_model.lost_answers was 0.05, is 0.07"));
        let kind = ("kind = \"grid\"\nlevels = 5\nwidth_pct = 8\norder_value = 200", "kind = \"trend_following\"");
        assert_eq!(change(&[kind]), revised("strategy.kind was grid, is trend_following"));
        let both = change(&[kind, ("quote = 10000", "quote = 9000")]);
        assert_eq!(both, revised("capital.quote was 10000, is 9000; strategy.kind was grid, is trend_following"));
    }

    /// A grid of 10 000 with orders that rest.
    fn with_orders(old: &InstanceSpec) -> Backtest {
        let instrument =
            SyntheticInstrument::new(supervisor_core::domain::Price::new(100.into()), "0.01".parse().unwrap());
        let market = SyntheticSpec {
            seed: 3,
            start: supervisor_core::domain::Timestamp::from_millis(0),
            interval: old.timeframe,
            instruments: vec![instrument],
            candles: None,
        };
        let track = Recording::Candles(std::sync::Arc::new(synthetic_candles(&market, 5).unwrap()));
        let feed = ReplayFeed::new(vec![(supervisor_core::domain::InstrumentIx(0), track)]);
        let mut run = Backtest::new(std::sync::Arc::new(old.clone()), Box::new(feed));
        run.run_silent();
        assert!(run.stages().risk.gate().exposure().free_quote() < old.capital.quote);
        run
    }

    #[test]
    fn no_more_is_taken_out_than_is_free() {
        let old = spec(&[]);
        let run = with_orders(&old);
        let gate = run.stages().risk.gate();
        let free = gate.exposure().free_quote();
        let quote = |quote: Notional| spec(&[("quote = 10000", &format!("quote = {quote}"))]);
        let least = old.capital.quote - free;
        assert_eq!(shortage(&old, &quote(least), gate), None, "to the last digit");
        let cent = Notional::new("0.01".parse().unwrap());
        let less = least - cent;
        let text = shortage(&old, &quote(less), gate).unwrap();
        let out = free + cent;
        assert!(text.starts_with(&format!("capital.quote was 10000, is {less}: that takes {out} out")), "{text}");
        assert!(text.contains(&format!("and {free} is free")), "{text}");
        assert!(text.ends_with(&format!("(allowed: at least {least})")), "{text}");
        assert_eq!(shortage(&old, &quote(old.capital.quote + free), gate), None);
        assert!(costs(&old, &quote(less)) && !costs(&old, &quote(old.capital.quote + free)));
        // Dearer fees take from what is free; what cannot be taken out then is said with them.
        let mut dear = quote(least);
        dear.venue_model.maker_fee = "0.05".parse().unwrap();
        let text = shortage(&old, &dear, gate).unwrap();
        assert!(text.contains(&format!("and {} is free", gate.free_under(&dear.venue_model))), "{text}");
    }

    #[test]
    fn fees_that_resting_orders_cannot_bear_are_refused() {
        // All but a few units rest in orders.
        let old = spec(&[
            ("quote = 10000", "quote = 405"),
            ("min_order_value = 10", "min_order_value = 10\nmax_total_exposure = 1\nmax_capital_per_symbol = 1"),
        ]);
        let run = with_orders(&old);
        let gate = run.stages().risk.gate();
        let dear = |fee: &str| {
            let mut new = old.clone();
            new.venue_model.taker_fee = fee.parse().unwrap();
            shortage(&old, &new, gate)
        };
        assert_eq!(dear("0.0011"), None);
        let text = dear("0.1").unwrap();
        assert!(
            text.starts_with("venue_model.maker_fee and taker_fee were 0.001 and 0.001, are 0.001 and 0.1"),
            "{text}"
        );
        assert!(text.contains("pause the bot before"), "{text}");
    }
}
