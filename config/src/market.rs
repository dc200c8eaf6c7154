//! What an instance trades and with how much: `instruments`, `[capital]` and the instrument's part of `[venue_model]`.

use rust_decimal::Decimal;
use supervisor_core::domain::{Asset, DECIMAL_MAX, Instrument, Notional, Qty, Symbol, split_symbol};
use supervisor_core::params::Reader;
use supervisor_core::spec::{Capital, VenueFaults, VenueModel, VenueTraits};

/// Most instruments of one instance.
const INSTRUMENTS_MAX: usize = 100;

/// Steps and minimum of the instruments of one instance.
#[derive(Clone, Copy)]
pub(crate) struct Steps {
    tick: Decimal,
    pub(crate) lot: Decimal,
    notional_min: Decimal,
}

/// A symbol with its two assets.
pub(crate) type Pair = (Symbol, Asset, Asset);

/// Reads `instruments`: distinct symbols with one quote asset. Empty when there is none that can be used.
pub(crate) fn read_pairs(reader: &mut Reader<'_>) -> Vec<Pair> {
    let allowed = "1 to 100 venue symbols such as [\"BTCUSDT\"]";
    reader.missing("instruments", allowed);
    let Some(names) = reader.texts("instruments") else { return Vec::new() };
    if names.is_empty() || names.len() > INSTRUMENTS_MAX {
        reader.problem("instruments", format!("allowed: {allowed}"));
    }
    let mut pairs: Vec<Pair> = Vec::new();
    for name in names.iter().take(INSTRUMENTS_MAX) {
        match read_pair(name, &pairs) {
            Ok(pair) => pairs.push(pair),
            Err(expected) => reader.problem("instruments", expected),
        }
    }
    pairs
}

fn read_pair(name: &str, before: &[Pair]) -> Result<Pair, String> {
    let symbol: Symbol = name.parse().map_err(|error| format!("{error}"))?;
    let (base, quote) = split_symbol(symbol).map_err(|error| error.to_string())?;
    match before.first() {
        Some(_) if before.iter().any(|pair| pair.0 == symbol) => Err(format!("'{name}' stands there twice")),
        Some((first, _, other)) if *other != quote => {
            Err(format!("'{name}' is paid in {quote} and '{first}' in {other}; an instance has one quote asset"))
        }
        Some(_) | None => Ok((symbol, base, quote)),
    }
}

/// Reads `[venue_model]`: how the venue behaves, how it fails to answer, and the steps of its instruments.
pub(crate) fn read_venue_model(mut reader: Reader<'_>) -> (VenueModel, VenueFaults, Steps) {
    let model = VenueModel::read(&mut reader);
    let faults = read_faults(&mut reader);
    let latest = VenueTraits::OUTSIDE.answer_ms;
    if faults.any() && model.latency_ms > latest {
        // Every answer would come after it has been given up.
        reader.problem("latency_ms", format!("allowed with lost messages: 0 to {latest} (ms)"));
    }
    let step = Decimal::new(1, 12)..=Decimal::from(1_000_000);
    let least = Decimal::ZERO..=Decimal::from(1_000_000_000);
    let steps = Steps {
        tick: reader.decimal("tick_size", step.clone(), "price step").unwrap_or(Decimal::new(1, 2)),
        lot: reader.decimal("lot_size", step, "base units").unwrap_or(Decimal::new(1, 5)),
        notional_min: reader.decimal("min_notional", least, "quote units").unwrap_or(Decimal::from(5)),
    };
    reader.finish();
    (model, faults, steps)
}

/// What gets lost between an instance and its venue; more than a half of the messages would be no venue.
fn read_faults(reader: &mut Reader<'_>) -> VenueFaults {
    let share = Decimal::ZERO..=Decimal::from(50);
    let mut lost = |key| reader.decimal(key, share.clone(), "percent").unwrap_or_default() / Decimal::ONE_HUNDRED;
    let (lost_requests, lost_answers) = (lost("lost_requests_pct"), lost("lost_answers_pct"));
    VenueFaults { lost_requests, lost_answers, seed: reader.whole("fault_seed", 0..=u64::MAX, "seed").unwrap_or(1) }
}

/// What a venue that fails so promises.
pub(crate) fn traits_of(faults: VenueFaults) -> VenueTraits {
    if faults.any() { VenueTraits::OUTSIDE } else { VenueTraits::PAPER }
}

/// The instruments of an instance.
pub(crate) fn instruments(pairs: &[Pair], steps: Steps) -> Vec<Instrument> {
    let instrument = |(symbol, base, quote): &Pair| Instrument {
        symbol: *symbol,
        base: *base,
        quote: *quote,
        tick: steps.tick,
        lot: steps.lot,
        notional_min: Notional::new(steps.notional_min),
    };
    pairs.iter().map(instrument).collect()
}

/// Reads `[capital]`: not negative, not nothing, base for a single instrument only.
pub(crate) fn read_capital(mut reader: Reader<'_>, instruments: usize, lot: Decimal) -> Capital {
    let range = Decimal::ZERO..=DECIMAL_MAX;
    let quote = reader.decimal_required("quote", range.clone(), "quote units");
    let base = reader.decimal("base", range, "base units").unwrap_or_default();
    if quote.is_zero() && base.is_zero() {
        reader.problem("quote", "quote and base must not both be 0");
    }
    if !base.is_zero() && instruments > 1 {
        reader.problem("base", format!("allowed with one instrument only; there are {instruments}"));
    }
    if !(base % lot).is_zero() {
        // What is less than a lot could never be sold.
        reader.problem("base", format!("allowed: a multiple of venue_model.lot_size = {}", lot.normalize()));
    }
    reader.finish();
    Capital { quote: Notional::new(quote), base: Qty::new(base) }
}
