//! Mistakes, each with its answer.

use rust_decimal::Decimal;
use supervisor_config::{Env, load};

use crate::{GRID, MAIN, accepted, dir, grid, grid_and, grid_with, refused, with_key};

#[test]
fn broken_toml_names_line_and_column() {
    let problems = grid(|text| text.replace("levels = 20", "levels = = 20"));
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert!(problems[0].starts_with("instances/grid.toml: not valid TOML: "), "{problems:?}");
    assert!(problems[0].ends_with("(line 15, column 10)"), "{problems:?}");
    let main = refused("[accounts", &[("grid.toml", &GRID.replace("levels = 20", "levels = 1"))]);
    assert!(main[0].starts_with("supervisor.toml: not valid TOML: ") && main[0].contains("line 1"), "{main:?}");
    assert!(main[1].starts_with("instances/grid.toml: strategy.levels = 1: "), "{main:?}");
}

#[test]
fn unknown_keys_get_a_suggestion() {
    let text = grid_and("strategy", "leveles = 20");
    assert_eq!(text, "instances/grid.toml: strategy.leveles = 20: unknown key; did you mean 'levels'? (line 14)");
    assert!(grid_and("capital", "qoute = 3").contains("capital.qoute = 3: unknown key; did you mean 'quote'?"));
    assert!(grid_and("feed", "path = \"a.csv\"").contains("feed.path = \"a.csv\": unknown key; known here: kind, "));
    assert!(grid_and("extra", "x = 1").contains("extra = a table: unknown key"));
    let main = refused(&format!("{MAIN}[log]\nlevel = \"info\"\n"), &[]);
    assert!(main[0].starts_with("supervisor.toml: log = a table: unknown key; did you mean 'logs'?"), "{main:?}");
}

#[test]
fn amounts_out_of_range_name_the_range() {
    let negative = grid_with("quote = 10000", "quote = -10000");
    assert_eq!(
        negative,
        "instances/grid.toml: capital.quote = -10000: allowed: 0 to 1000000000000 (quote units) (line 7)"
    );
    let nan = grid_with("quote = 10000", "quote = nan");
    assert_eq!(nan, "instances/grid.toml: capital.quote = nan: allowed: 0 to 1000000000000 (quote units) (line 7)");
    for literal in ["inf", "-inf", "0x2710", "2025-01-01", "10:00:00", "true", "[1]", "\"many\"", "2e12"] {
        let text = grid_with("quote = 10000", &format!("quote = {literal}"));
        assert!(text.contains("capital.quote = ") && text.contains("allowed: 0 to"), "{literal}: {text}");
    }
    let fee = grid_and("venue_model", "maker_fee = 10");
    assert!(fee.contains("venue_model.maker_fee = 10: allowed: 0 to 0.1 (fraction; 0.001 = 0.1 %)"), "{fee}");
    let tick = grid_with("tick_size = 0.01", "tick_size = 0");
    assert!(tick.contains("venue_model.tick_size = 0: allowed: 0.000000000001 to 1000000 (price step)"), "{tick}");
    assert!(grid_and("venue_model", "lot_size = -1").contains("venue_model.lot_size = -1: allowed: 0.0000"));
    assert!(grid_and("risk", "max_total_exposure = 80").contains("risk.max_total_exposure = 80: allowed: 0.0001 to 1"));
    assert!(grid_with("quote = 10000", "quote = 0").contains("capital.quote = 0: quote and base must not both be 0"));
    let exact = grid_with("order_value = 200", "order_value = 200.00000000000000000000000000001");
    assert!(exact.contains("strategy.order_value = 200.0") && exact.contains("28 significant digits"), "{exact}");
}

#[test]
fn grids_that_cannot_earn_are_refused() {
    let crossed = grid_with("lower = 90000", "lower = 110000");
    assert!(crossed.contains("strategy.lower = 110000: must be less than upper = 110000 (line 16)"), "{crossed}");
    let losing = grid_with("levels = 20", "levels = 200");
    assert!(losing.contains("strategy.levels = 200: the smallest cell loses: -0.1"), "{losing}");
    let one = grid_with("levels = 20", "levels = 1");
    assert_eq!(one, "instances/grid.toml: strategy.levels = 1: allowed: 2 to 1000 (price lines, whole) (line 15)");
    let few = grid_with("order_value = 200", "order_value = 9");
    assert!(few.contains("strategy.order_value = 9: at least risk.min_order_value = 10"), "{few}");
}

#[test]
fn an_id_belongs_to_one_file() {
    let problems = refused(MAIN, &[("a.toml", GRID), ("b.toml", GRID)]);
    let expected = "instances/b.toml: id = \"grid-btc\": already used by instances/a.toml; an id belongs to one file";
    assert_eq!(problems, [expected]);
    let long = grid_with("grid-btc", "seventeen-chars-x");
    assert!(
        long.contains("id = \"seventeen-chars-x\": 'seventeen-chars-x' has 17 characters; allowed: 1 to 16"),
        "{long}"
    );
    let capitals = grid_with("grid-btc", "Grid");
    assert!(capitals.contains("id = \"Grid\": 'Grid' contains 'G'; allowed: a-z, 0-9 and -"), "{capitals}");
    assert!(grid_with("id = \"grid-btc\"", "").contains("id: missing; allowed: a-z"));
    assert!(grid_with("id = \"grid-btc\"", "id = 5").contains("id = 5: allowed: a string in quotes"));
}

#[test]
fn instruments_are_distinct_with_one_quote_asset() {
    let symbols = |list: &str| grid(|text| text.replace("[\"BTCUSDT\"]", list)).join("\n");
    assert!(symbols("[]").contains("instruments = a list of 0: allowed: 1 to 100 venue symbols"));
    assert!(symbols("[\"btcusdt\"]").contains("'btcusdt' contains 'b'; allowed: A-Z"));
    assert!(symbols("[\"BTCXYZ\"]").contains("'BTCXYZ' does not end in a known quote asset"));
    assert!(symbols("[\"BTCUSDT\", \"BTCUSDT\"]").contains("'BTCUSDT' stands there twice"));
    assert!(symbols("[\"BTCUSDT\", \"ETHBTC\"]").contains("'ETHBTC' is paid in BTC and 'BTCUSDT' in USDT"));
    let base = grid(|t| with_key("capital", "base = 1")(&t.replace("[\"BTCUSDT\"]", "[\"BTCUSDT\", \"ETHUSDT\"]")));
    assert!(base.join("\n").contains("capital.base = 1: allowed with one instrument only; there are 2"), "{base:?}");
}

#[test]
fn words_and_types_are_checked() {
    for (word, answer) in [
        ("testnet", "\"testnet\" arrives in a later version; allowed: \"paper\""),
        ("live", "\"live\" arrives in a later version; allowed: \"paper\""),
        ("monitor", "arrives in a later version"),
        ("backtest", "a backtest is a command, not a mode"),
        ("papre", "mode = \"papre\": allowed: \"paper\""),
    ] {
        let text = grid_with("mode = \"paper\"", &format!("mode = \"{word}\""));
        assert!(text.contains("mode = ") && text.contains(answer), "{text}");
    }
    assert!(
        grid_with("timeframe = \"1m\"", "timeframe = \"8d\"").contains("timeframe = \"8d\": allowed: \"1s\" to \"1w\"")
    );
    assert!(grid_with("timeframe = \"1m\"", "timeframe = 60").contains("timeframe = 60: allowed"));
    assert!(grid_with("timeframe = \"1m\"", "").contains("timeframe: missing; allowed"));
    assert!(
        grid_with("levels = 20", "levels = \"twenty\"").contains("strategy.levels = \"twenty\": allowed: 2 to 1000")
    );
    assert!(grid_with("levels = 20", "levels = 20.5").contains("strategy.levels = 20.5: allowed: 2 to 1000"));
    assert!(
        grid_with("kind = \"grid\"", "kind = \"gird\"")
            .contains("strategy.kind = \"gird\": allowed: \"grid\" or \"trend")
    );
    assert!(grid_with("mode = \"paper\"", "orders = 10000").contains("orders = 10000: write it as [orders]"));
    assert!(
        grid_and("feed", "speed = \"fast\"").contains("feed.speed = \"fast\": allowed: \"max\" or 0.001 to 1000000")
    );
    assert!(grid_and("feed", "speed = 0").contains("feed.speed = 0: allowed: \"max\" or 0.001"));
    assert!(grid_and("feed", "start = 2025-01-01").contains("feed.start = 2025-01-01: allowed: a UTC moment"));
    assert!(grid_and("feed", "interval = \"7s\"").contains("feed.interval = \"7s\": timeframe = 1m must be a whole"));
    assert!(grid_with("start_price = 100000", "").contains("feed.start_price: missing; allowed: 0.00000001 to"));
    assert!(grid_and("orders", "timeout_h = 0").contains("orders.timeout_h = 0: allowed: 1 to 720 (hours, whole)"));
    assert!(
        grid_and("orders", "on_stop = \"sell\"")
            .contains("orders.on_stop = \"sell\": allowed: \"keep\" or \"cancel-entries\"")
    );
    for (line, answer) in [
        ("max_holding_min = 0", "exits.max_holding_min = 0: allowed: 1 to 525600 (minutes, whole)"),
        ("max_holding_min = 525601", "exits.max_holding_min = 525601: allowed: 1 to 525600 (minutes, whole)"),
        ("break_even_pct = 0.009", "exits.break_even_pct = 0.009: allowed: 0.01 to 100 (percent over the entry)"),
        ("break_even_pct = 101", "exits.break_even_pct = 101: allowed: 0.01 to 100 (percent over the entry)"),
        ("maker_timeout_s = 0", "exits.maker_timeout_s = 0: allowed: 1 to 604800 (seconds, whole)"),
        ("maker_timeout_s = 604801", "exits.maker_timeout_s = 604801: allowed: 1 to 604800 (seconds, whole)"),
        ("maker_timeout_s = 60", "exits.maker_timeout_s = 60: not with a grid, whose orders are there to rest"),
        ("max_holding_mins = 5", "exits.max_holding_mins = 5: unknown key; did you mean 'max_holding_min'?"),
    ] {
        let text = grid_and("exits", line);
        assert!(text.contains(answer), "{text}");
    }
    let venue = grid_with("mode = \"paper\"", "mode = \"paper\"\nvenue = \"binance\"");
    assert!(venue.contains("venue = \"binance\": allowed: \"paper\", the venue of account 'paper'"), "{venue}");
    let account = grid_with("mode = \"paper\"", "mode = \"paper\"\naccount = \"main\"");
    assert!(account.contains("account = \"main\": no account 'main' in supervisor.toml; known: paper"), "{account}");
    let same = GRID.replace("mode = \"paper\"", "mode = \"paper\"\nvenue = \"paper\"");
    assert_eq!(accepted(MAIN, &same, &Env::new()).instances.len(), 1);
}

#[test]
fn impossible_combinations_are_refused() {
    let shares = grid(with_key("risk", "max_total_exposure = 0.3\nmax_capital_per_symbol = 0.5"));
    let expected = "instances/grid.toml: risk.max_capital_per_symbol = 0.5: at most max_total_exposure = 0.3 (line 21)";
    assert_eq!(shares, [expected]);
    let small =
        grid(|text| text.replace("quote = 10000", "quote = 40").replace("order_value = 200", "order_value = 15"));
    let expected = "risk.min_order_value = 10: no order can pass: the limits leave 8 (capital 40 x share 0.2)";
    assert!(small.len() == 1 && small[0].contains(expected), "{small:?}");
    let spread = grid_and("venue_model", "spread_pct = 2");
    assert!(spread.contains("venue_model.spread_pct = 2: no order can pass: risk.max_spread_pct is 0.5"), "{spread}");
    // A default gives way where a written value would be a mistake.
    let narrow = with_key("risk", "max_total_exposure = 0.1")(GRID);
    let risk = accepted(MAIN, &narrow, &Env::new()).instances[0].spec.risk;
    assert_eq!((risk.max_total_exposure, risk.max_capital_per_symbol), (Decimal::new(1, 1), Decimal::new(1, 1)));
}

#[test]
fn a_venue_that_loses_most_or_answers_late_is_refused() {
    let most = grid_and("venue_model", "lost_requests_pct = 51");
    assert!(most.contains("venue_model.lost_requests_pct = 51: allowed: 0 to 50 (percent)"), "{most}");
    let late = grid_and("venue_model", "lost_answers_pct = 1\nlatency_ms = 2001");
    assert!(late.contains("venue_model.latency_ms = 2001: allowed with lost messages: 0 to 2000 (ms)"), "{late}");
    let main = refused(&format!("{MAIN}crossing = \"no\"\n"), &[]);
    assert!(main[0].contains("accounts.paper.crossing = \"no\": allowed: \"allow\" or \"deny\""), "{main:?}");
}

#[test]
fn every_problem_of_every_file_is_reported_at_once() {
    let bad = GRID.replace("quote = 10000", "quote = -1").replace("levels = 20", "levels = 1\nfoo = 2");
    let bad = with_key("venue_model", "taker_fee = 10")(&bad);
    let other = GRID.replace("grid-btc", "Other").replace("tick_size = 0.01", "tick_size = 0");
    let main = format!("{MAIN}[stop]\ndeadline_s = 0\n");
    let problems = refused(&main, &[("b.toml", &other), ("a.toml", &bad)]);
    let keys: Vec<&str> = problems.iter().map(|line| line.split(" = ").next().unwrap()).collect();
    let expected = [
        "supervisor.toml: stop.deadline_s",
        "instances/a.toml: venue_model.taker_fee",
        "instances/a.toml: capital.quote",
        "instances/a.toml: strategy.levels",
        "instances/a.toml: strategy.foo",
        "instances/b.toml: id",
        "instances/b.toml: venue_model.tick_size",
    ];
    assert_eq!(keys, expected);
}

#[test]
fn base_comes_in_whole_lots() {
    let problems =
        refused(MAIN, &[("a.toml", &GRID.replace("quote = 10000", "quote = 10000\nbase = 0.000015"))]).join("\n");
    let expected = "capital.base = 0.000015: allowed: a multiple of venue_model.lot_size = 0.00001";
    assert!(problems.contains(expected), "{problems}");
}

#[test]
fn accounts_are_checked() {
    let account = |text: &str| refused(&format!("[accounts.paper]\n{text}\n"), &[]).join("\n");
    assert!(
        account("balances = { USDT = -5 }").contains("accounts.paper.balances.USDT = -5: allowed: 0 to 1000000000000")
    );
    assert!(account("balances = { usdt = 5 }").contains("accounts.paper.balances.usdt = 5: 'usdt' contains 'u'"));
    assert!(account("balances = 5").contains("accounts.paper.balances = 5: write it as a table"));
    assert!(account("").contains("supervisor.toml: accounts.paper.balances: missing"));
    let caps = account("balances = { USDT = 5 }\ncaps = { max_total_exposure = 80 }");
    assert!(caps.contains("accounts.paper.caps.max_total_exposure = 80: allowed: 0.0001 to 1"), "{caps}");
    assert!(caps.contains("(line 3)"), "{caps}");
    let venue = account("balances = { USDT = 5 }\nvenue = \"binance\"");
    assert!(venue.contains("accounts.paper.venue = \"binance\": allowed: \"paper\""), "{venue}");
    let unknown = account("balances = { USDT = 5 }\nkey = \"x\"");
    assert!(unknown.contains("accounts.paper.key = \"x\": unknown key"), "{unknown}");
    assert!(refused("", &[])[0].contains("supervisor.toml: accounts: missing; allowed: at least one"));
    assert!(
        refused("[accounts.Paper]\nbalances = { USDT = 5 }\n", &[])[0].contains("accounts.Paper: account name 'Paper'")
    );
    assert!(refused("accounts = 5\n", &[])[0].contains("accounts = 5: write each account as [accounts.NAME]"));
}

#[test]
fn problems_carry_their_parts() {
    let dir = dir(MAIN, &[("grid.toml", &GRID.replace("levels = 20", "levels = 1"))]);
    let errors = load(dir.path(), &Env::new()).unwrap_err();
    let problem = &errors.problems[0];
    assert!(problem.file.ends_with("instances/grid.toml"));
    assert_eq!((problem.key.as_str(), problem.value.as_str()), ("strategy.levels", "1"));
    assert_eq!(problem.expected, "allowed: 2 to 1000 (price lines, whole)");
    assert_eq!(problem.place.as_deref(), Some("line 15"));
}

#[test]
fn the_keys_of_recovery_have_ranges() {
    let rows: [(&str, &str, u64, u64); 13] = [
        ("restart", "max", 0, 100),
        ("restart", "window_s", 1, 86_400),
        ("restart", "backoff_ms", 1, 60_000),
        ("restart", "backoff_max_s", 1, 3_600),
        ("restart", "healthy_s", 1, 86_400),
        ("restart", "hang_s", 1, 600),
        ("backup", "interval_min", 0, 10_080),
        ("backup", "keep", 1, 1_000),
        ("state", "facts_kept", 1_000, 10_000_000),
        ("state", "snapshot_facts", 1, 1_000_000),
        ("state", "snapshot_events", 1, 100_000_000),
        ("state", "snapshot_s", 1, 86_400),
        ("state", "reserve_mb", 1, 4_096),
    ];
    for (section, key, least, most) in rows {
        let with = |value: &str| format!("{MAIN}[{section}]\n{key} = {value}\n");
        let below = least.checked_sub(1).map_or("-1".to_owned(), |below| below.to_string());
        for value in [below, (most + 1).to_string(), "0.5".to_owned(), "\"x\"".to_owned()] {
            let problems = refused(&with(&value), &[]);
            let expected = format!("supervisor.toml: {section}.{key} = {value}: allowed: {least} to {most} (");
            assert!(problems.len() == 1 && problems[0].starts_with(&expected), "{expected}\n{problems:?}");
            assert!(problems[0].contains("whole") && problems[0].ends_with("(line 6)"), "{problems:?}");
        }
        // The longest wait allows the longest first one.
        let wait = if key == "backoff_ms" { "backoff_max_s = 60\n" } else { "" };
        for value in [least, most] {
            accepted(&format!("{}{wait}", with(&value.to_string())), GRID, &Env::new());
        }
    }
}

#[test]
fn the_tables_of_recovery_refuse_what_they_do_not_know() {
    for (section, wrong, near) in
        [("restart", "maxx", "max"), ("backup", "keeep", "keep"), ("state", "fact_kept", "facts_kept")]
    {
        let problems = refused(&format!("{MAIN}[{section}]\n{wrong} = 1\n"), &[]);
        let expected = format!("supervisor.toml: {section}.{wrong} = 1: unknown key; did you mean '{near}'? (line 6)");
        assert_eq!(problems, [expected]);
    }
    let waits = refused(&format!("{MAIN}[restart]\nbackoff_ms = 2001\nbackoff_max_s = 2\n"), &[]);
    let expected = "supervisor.toml: restart.backoff_ms = 2001: must not be longer than backoff_max_s = 2 s (line 6)";
    assert_eq!(waits, [expected]);
    let dir = refused(&format!("{MAIN}[backup]\ndir = 5\n"), &[]);
    assert_eq!(dir, ["supervisor.toml: backup.dir = 5: allowed: a string in quotes (line 6)"]);
}
