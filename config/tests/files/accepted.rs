//! What is read, from where, and what lies over what.

use std::fs;
use std::path::Path;

use rust_decimal::Decimal;
use supervisor_config::{Crossing, Env, FeedConfig, Speed, load};
use supervisor_core::domain::{Timeframe, Timestamp};
use supervisor_core::spec::{ExitRules, OnStop, QueueModel, VenueFaults, VenueTraits};
use supervisor_core::strategy::StrategyParams;

use crate::{GRID, MAIN, accepted, dir, env, lines, load_with, refused, with_key};

#[test]
fn a_plain_file_gets_its_defaults() {
    let config = accepted(MAIN, GRID, &Env::new());
    assert_eq!((config.reporting.as_str(), config.risk.trading_enabled), ("USDT", true));
    assert_eq!((config.stop.deadline_s, config.logs.level), (10, "info"));
    assert_eq!((config.logs.max_file_mb, config.logs.max_files), (64, 10));
    let account = &config.accounts["paper"];
    assert_eq!(account.balances.values().sum::<Decimal>(), Decimal::from(100_001));
    let instance = &config.instances[0];
    assert_eq!((instance.name.as_str(), instance.account.as_str(), instance.autostart), ("grid-btc", "paper", true));
    let spec = &instance.spec;
    assert_eq!((spec.order_timeout_ms, spec.on_stop), (86_400_000, OnStop::CancelEntries));
    assert_eq!((spec.risk.max_quote_age_ms, spec.venue_model.queue), (90_000, QueueModel::Through));
    let btc = &spec.instruments[0];
    assert_eq!((btc.base.as_str(), btc.quote.as_str()), ("BTC", "USDT"));
    assert_eq!((btc.lot, btc.notional_min.get()), (Decimal::new(1, 5), Decimal::from(5)));
    let FeedConfig::Synthetic { spec: feed, speed } = &instance.feed else { panic!() };
    assert_eq!(*speed, Speed::Times(Decimal::from(300)));
    assert_eq!(
        (feed.start, feed.interval),
        (Timestamp::from_millis(1_735_689_600_000), Timeframe::from_millis(60_000))
    );
    assert_eq!((feed.instruments.len(), feed.candles), (1, None));
}

#[test]
fn the_keys_of_recovery_have_defaults_and_are_read() {
    let plain = accepted(MAIN, GRID, &Env::new());
    let restart = plain.restart;
    let waits = (restart.backoff_ms, restart.backoff_max_s, restart.healthy_s, restart.hang_s);
    assert_eq!((restart.max, restart.window_s, waits), (3, 60, (100, 30, 300, 10)));
    assert_eq!((plain.backup.interval_min, plain.backup.keep), (60, 24));
    let (kept, due) = (plain.state.facts_kept, (plain.state.snapshot_facts, plain.state.snapshot_events));
    assert_eq!((kept, due, plain.state.snapshot_s, plain.state.reserve_mb), (50_000, (1_000, 20_000), 60, 64));

    let written = "[restart]\nmax = 0\nwindow_s = 1\nbackoff_ms = 1000\nbackoff_max_s = 1\nhealthy_s = 2\nhang_s = 3\n\
                   [backup]\ninterval_min = 0\nkeep = 1\ndir = \"safe\"\n\
                   [state]\nfacts_kept = 1000\nsnapshot_facts = 4\nsnapshot_events = 5\nsnapshot_s = 6\nreserve_mb = 7\n";
    let config = accepted(&format!("{MAIN}{written}"), GRID, &Env::new());
    let restart = config.restart;
    let waits = (restart.backoff_ms, restart.backoff_max_s, restart.healthy_s, restart.hang_s);
    assert_eq!((restart.max, restart.window_s, waits), (0, 1, (1_000, 1, 2, 3)));
    assert_eq!((config.backup.interval_min, config.backup.keep), (0, 1));
    let (kept, due) = (config.state.facts_kept, (config.state.snapshot_facts, config.state.snapshot_events));
    assert_eq!((kept, due, config.state.snapshot_s, config.state.reserve_mb), (1_000, (4, 5), 6, 7));
}

#[test]
fn exits_are_read_in_minutes_percent_and_seconds_and_none_is_set_by_default() {
    let ladder = "kind = \"grid\"\nlevels = 20\nlower = 90000\nupper = 110000\norder_value = 200\n";
    let trend = GRID.replace(ladder, "kind = \"trend_following\"\n");
    let exits = |text: &str| accepted(MAIN, &format!("{trend}{text}"), &Env::new()).instances[0].spec.exits;
    assert_eq!(exits(""), ExitRules::default());
    assert_eq!(exits("[exits]\n"), ExitRules::default());
    let all = exits("[exits]\nmax_holding_min = 90\nbreak_even_pct = 1.5\nmaker_timeout_s = 60\n");
    let expected = ExitRules {
        max_holding_ms: Some(5_400_000),
        break_even: Some(Decimal::new(15, 3)),
        maker_timeout_ms: Some(60_000),
    };
    assert_eq!(all, expected);
    let widest = exits("[exits]\nmax_holding_min = 525600\nbreak_even_pct = 100\nmaker_timeout_s = 604800\n");
    assert_eq!((widest.max_holding_ms, widest.break_even), (Some(31_536_000_000), Some(Decimal::ONE)));
    assert_eq!(exits("[exits]\nbreak_even_pct = 0.01\n").break_even, Some(Decimal::new(1, 4)));
}

#[test]
fn messages_get_lost_only_where_the_file_says_so() {
    let spec = |text: &str| accepted(MAIN, &with_key("venue_model", text)(GRID), &Env::new()).instances.remove(0).spec;
    for none in ["fault_seed = 9", "lost_requests_pct = 0\nlost_answers_pct = 0"] {
        assert!(spec(none).venue.is_certain && !spec(none).faults.any(), "{none}");
    }
    let some = spec("lost_requests_pct = 10\nlost_answers_pct = 2.5\nfault_seed = 9\nlatency_ms = 2000");
    let expected = VenueFaults { lost_requests: Decimal::new(1, 1), lost_answers: Decimal::new(25, 3), seed: 9 };
    assert_eq!((some.faults, some.venue), (expected, VenueTraits::OUTSIDE));
    assert_eq!(spec("lost_answers_pct = 50").faults.seed, 1);
}

#[test]
fn bots_of_an_account_may_trade_with_each_other_unless_it_says_no() {
    let crossing = |key: &str| accepted(&format!("{MAIN}{key}"), GRID, &Env::new()).accounts["paper"].crossing;
    assert_eq!([crossing(""), crossing("crossing = \"allow\"\n")], [Crossing::Allow; 2]);
    assert_eq!(crossing("crossing = \"deny\"\n"), Crossing::Deny);
}

#[test]
fn backups_lie_in_the_state_directory_unless_a_place_is_named() {
    let dir = |line: &str| accepted(&format!("{MAIN}[backup]\n{line}\n"), GRID, &Env::new()).backup;
    let state = Path::new("/s");
    for line in ["", "dir = \"\""] {
        assert_eq!(dir(line).dir_in(state), Path::new("/s/backups"), "{line}");
    }
    assert_eq!(dir("dir = \"safe\"").dir_in(state), Path::new("/s/safe"));
    assert_eq!(dir("dir = \"/elsewhere\"").dir_in(state), Path::new("/elsewhere"));
}

#[test]
fn digits_survive_from_the_file_to_the_strategy() {
    let text = GRID.replace("order_value = 200", "order_value = 200.1000000000000000000000001");
    let text = text.replace("min_order_value = 10", "min_order_value = 1e-1");
    let config = accepted(MAIN, &text, &Env::new());
    let StrategyParams::Grid(params) = &config.instances[0].spec.strategy else { panic!() };
    let size = format!("{:?}", params.size);
    assert!(size.contains("200.1000000000000000000000001"), "{size}");
    assert_eq!(config.instances[0].spec.risk.min_order_value.get(), Decimal::new(1, 1));
}

#[test]
fn data_files_must_be_there() {
    let replay =
        GRID.replace("kind = \"synthetic\"\nstart_price = 100000", "kind = \"replay\"\npath = \"x/{symbol}.csv\"");
    let dir = dir(MAIN, &[("grid.toml", &replay)]);
    let missing = lines(&dir, &load(dir.path(), &Env::new()).unwrap_err());
    let expected = "instances/grid.toml: feed.path = \"x/{symbol}.csv\": no such data file; looked for ";
    assert!(missing[0].starts_with(expected), "{missing:?}");
    assert!(missing[0].contains("instances/x/BTCUSDT.csv, ./x/BTCUSDT.csv (line 10)"), "{missing:?}");

    let data = tempfile::tempdir().unwrap();
    fs::create_dir(data.path().join("x")).unwrap();
    fs::write(data.path().join("x/BTCUSDT.csv"), "").unwrap();
    let env = env(&[("SUPERVISOR_DATA", data.path().to_str().unwrap())]);
    let config = load(dir.path(), &env).unwrap();
    let FeedConfig::Replay { path, files, speed } = &config.instances[0].feed else { panic!() };
    assert_eq!((path.as_str(), *speed), ("x/{symbol}.csv", Speed::Max));
    assert_eq!(*files, [data.path().join("x/BTCUSDT.csv")]);
}

#[test]
fn several_instruments_need_a_price_or_file_each() {
    let two = GRID.replace("[\"BTCUSDT\"]", "[\"BTCUSDT\", \"ETHUSDT\"]");
    let two = two.replace("lower = 90000\nupper = 110000", "width_pct = 20");
    let good = two.replace("start_price = 100000", "start_prices = { ETHUSDT = 3400.5, BTCUSDT = 95000 }");
    let config = accepted(MAIN, &good, &Env::new());
    let FeedConfig::Synthetic { spec, .. } = &config.instances[0].feed else { panic!() };
    let prices: Vec<String> = spec.instruments.iter().map(|i| i.start_price.to_string()).collect();
    assert_eq!(prices, ["95000", "3400.5"]);

    let bad = two.replace("start_price = 100000", "start_prices = { ETHUSDT = -1, XRPUSDT = 2 }");
    let problems = refused(MAIN, &[("a.toml", &bad)]);
    assert!(problems[0].contains("feed.start_prices = a table: XRPUSDT is none of the instruments"), "{problems:?}");
    assert!(problems[1].contains("BTCUSDT = missing; allowed: 0.00000001 to"), "{problems:?}");
    assert!(problems[2].contains("ETHUSDT = -1; allowed: "), "{problems:?}");
    assert_eq!(problems.len(), 3, "{problems:?}");

    let replay = two.replace("kind = \"synthetic\"\nstart_price = 100000", "kind = \"replay\"\npath = \"x.csv\"");
    let problems = refused(MAIN, &[("a.toml", &replay)]);
    assert!(
        problems[0].contains("feed.path = \"x.csv\": several instruments need {symbol} in the path"),
        "{problems:?}"
    );
}

#[test]
fn capitals_fit_the_balances() {
    let rich = GRID.replace("quote = 10000", "quote = 60000\nbase = 0.6");
    let problems = refused(MAIN, &[("a.toml", &rich), ("b.toml", &rich.replace("grid-btc", "two"))]);
    let expected = [
        "supervisor.toml: accounts.paper.balances.BTC = 1: account 'paper' holds less BTC than its instances use: 1.2 \
         (grid-btc 0.6, two 0.6)",
        "supervisor.toml: accounts.paper.balances.USDT = 100000: account 'paper' holds less USDT than its instances use: \
         120000 (grid-btc 60000, two 60000)",
    ];
    assert_eq!(problems, expected);
    let exact = GRID.replace("quote = 10000", "quote = 100000");
    assert_eq!(accepted(MAIN, &exact, &Env::new()).instances.len(), 1);
}

#[test]
fn an_account_caps_its_instances() {
    let main = format!("{MAIN}caps = {{ max_total_exposure = 0.5, max_capital_per_symbol = 0.3 }}\n");
    let wide = with_key("risk", "max_total_exposure = 0.9\nmax_capital_per_symbol = 0.4")(GRID);
    let risk = accepted(&main, &wide, &Env::new()).instances[0].spec.risk;
    assert_eq!((risk.max_total_exposure, risk.max_capital_per_symbol), (Decimal::new(5, 1), Decimal::new(3, 1)));
    let tight = with_key("risk", "max_total_exposure = 0.2\nmax_capital_per_symbol = 0.1")(GRID);
    let risk = accepted(&main, &tight, &Env::new()).instances[0].spec.risk;
    assert_eq!((risk.max_total_exposure, risk.max_capital_per_symbol), (Decimal::new(2, 1), Decimal::new(1, 1)));
}

#[test]
fn the_environment_lies_over_the_file() {
    let main = format!("{MAIN}[risk]\ntrading_enabled = true\n[logs]\nmax_files = 3\n");
    let over = env(&[("SUPERVISOR__RISK__TRADING_ENABLED", "false"), ("SUPERVISOR__LOGS__MAX_FILES", "7")]);
    let config = accepted(&main, GRID, &over);
    assert_eq!((config.risk.trading_enabled, config.logs.max_files), (false, 7));
    let others = env(&[("SUPERVISOR_OUTPUT", "json"), ("SUPERVISOR_STATE_DIR", "/x"), ("SUPERVISOR_CONFIG", "y")]);
    assert!(accepted(&main, GRID, &others).risk.trading_enabled);

    let dir = dir(&main, &[("a.toml", GRID)]);
    let wrong = env(&[
        ("SUPERVISOR__ACCOUNTS__PAPER__BALANCES__USDT", "5"),
        ("SUPERVISOR__INSTANCES__GRID", "5"),
        ("SUPERVISOR__RISK__TRADING_ENABLED", "maybe"),
    ]);
    let problems = lines(&dir, &load(dir.path(), &wrong).unwrap_err());
    assert!(
        problems[0].starts_with("environment: SUPERVISOR__ACCOUNTS__PAPER__BALANCES__USDT: the environment does not")
    );
    assert!(problems[1].starts_with("environment: SUPERVISOR__INSTANCES__GRID: unknown variable; known: SUPERVISOR__"));
    let expected = "supervisor.toml: risk.trading_enabled = \"maybe\": allowed: true or false \
                    (environment variable SUPERVISOR__RISK__TRADING_ENABLED)";
    assert_eq!((problems[2].as_str(), problems.len()), (expected, 3));
}

#[test]
fn flags_lie_over_an_instance_file() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("bot.toml");
    fs::write(&file, GRID).unwrap();
    let config = load_with(
        &file,
        &["strategy.levels=30", "timeframe=5m", "feed.speed = max", "risk.dry_run=true", "instruments=ETHUSDT"],
    );
    let config = config.unwrap();
    let StrategyParams::Grid(params) = &config.spec.strategy else { panic!() };
    assert_eq!((params.levels, config.spec.timeframe), (30, Timeframe::from_millis(300_000)));
    assert_eq!((config.feed.speed(), config.spec.risk.dry_run), (Speed::Max, true));
    assert_eq!(config.spec.instruments[0].symbol.as_str(), "ETHUSDT");
    assert_eq!(config.source, file);

    let errors = load_with(&file, &["strategy.levels=1", "strategy.lvels=3", "a..b=1", "orders=5"]).unwrap_err();
    let text = errors.to_string();
    assert_eq!(errors.problems.len(), 4, "{text}");
    for part in [
        "a..b = 1: a key is words with points between",
        "orders = 5: write it as [orders] (--set orders)",
        "strategy.levels = 1: allowed: 2 to 1000 (price lines, whole) (--set strategy.levels)",
        "strategy.lvels = 3: unknown key; did you mean 'levels'? (--set strategy.lvels)",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
    assert!(
        load_with(&dir.path().join("none.toml"), &[]).unwrap_err().to_string().contains("none.toml: cannot be read")
    );
}

#[test]
fn directories_are_read_by_name_without_hidden_files() {
    let two = GRID.replace("grid-btc", "two");
    let dir = dir(MAIN, &[("b.toml", GRID), ("a.toml", &two), (".c.toml", "x"), ("d.toml~", "x"), ("notes.md", "x")]);
    let config = load(dir.path(), &Env::new()).unwrap();
    let ids: Vec<&str> = config.instances.iter().map(|instance| instance.spec.id.as_str()).collect();
    assert_eq!(ids, ["two", "grid-btc"]);
    fs::remove_dir_all(dir.path().join("instances")).unwrap();
    assert!(load(dir.path(), &Env::new()).unwrap().instances.is_empty());
    let nothing = tempfile::tempdir().unwrap();
    let problems = lines(&nothing, &load(nothing.path(), &Env::new()).unwrap_err());
    assert!(problems[0].starts_with("supervisor.toml: cannot be read: "), "{problems:?}");
}
