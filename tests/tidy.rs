//! Style and structure as tests: what CONTRIBUTING.md and ARCHITECTURE.md promise is checked here.
//!
//! Promises: a rule names every place that breaks it, not only the first.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may stop at what cannot be")]

mod source;

use std::collections::{BTreeMap, BTreeSet};

use source::{Source, files, read, root, sources, words};
use supervisor_config::{Env, SHIPPED_INSTANCES, load, load_instance, load_shipped};
use supervisor_core::strategy::STRATEGIES;

const FUNCTION_LINES_MAX: usize = 60;
const FILE_LINES_MAX: usize = 400;
const WIDTH_MAX: usize = 120;

/// The heading of the tour in README.md.
const TOUR: &str = "## The tour of one quote";

/// What each crate may use of its siblings.
const ARROWS: [(&str, &[&str]); 8] = [
    ("core", &[]),
    ("state", &["supervisor-core"]),
    ("venues", &["supervisor-core"]),
    ("config", &["supervisor-core"]),
    ("actors", &["supervisor-core", "supervisor-state", "supervisor-venues", "supervisor-config"]),
    ("api", &["supervisor-core", "supervisor-actors"]),
    ("sim", &["supervisor-core"]),
    (
        ".",
        &[
            "supervisor-core",
            "supervisor-state",
            "supervisor-venues",
            "supervisor-config",
            "supervisor-actors",
            "supervisor-api",
        ],
    ),
];

fn report(rule: &str, complaints: Vec<String>) {
    assert!(complaints.is_empty(), "{rule}:\n  {}", complaints.join("\n  "));
}

/// Places outside tests where `is_wrong` says so.
fn places(of: &[Source], is_wrong: impl Fn(&str) -> bool) -> Vec<String> {
    let wrong = |source: &Source| {
        let lines: Vec<String> = source
            .code_lines()
            .filter(|(_, line)| is_wrong(line))
            .map(|(at, line)| format!("{}:{at}: {}", source.path, line.trim()))
            .collect();
        lines
    };
    of.iter().flat_map(wrong).collect()
}

fn core_sources() -> Vec<Source> {
    sources().into_iter().filter(|source| source.path.starts_with("core/src/")).collect()
}

#[test]
fn functions_fit_a_screen() {
    let mut long = Vec::new();
    for source in sources() {
        for (name, at, lines) in source.functions() {
            if lines > FUNCTION_LINES_MAX {
                long.push(format!("{}:{at}: fn {name} has {lines} lines", source.path));
            }
        }
    }
    report(&format!("a function has at most {FUNCTION_LINES_MAX} lines"), long);
}

#[test]
fn files_stay_short() {
    let long = sources().into_iter().filter_map(|source| {
        let lines = source.text_lines().count();
        (lines > FILE_LINES_MAX).then(|| format!("{} has {lines} lines outside tests", source.path))
    });
    report(&format!("a file has at most {FILE_LINES_MAX} lines"), long.collect());
}

#[test]
fn lines_stay_narrow() {
    let mut wide = Vec::new();
    // A test may hold a line of somebody else's data, which cannot be folded.
    for source in sources() {
        let width = |line: &str| line.chars().count();
        let lines = source.text_lines().filter(|(_, line)| width(line) > WIDTH_MAX);
        wide.extend(lines.map(|(at, line)| format!("{}:{at}: {} characters", source.path, width(line))));
    }
    report(&format!("a line has at most {WIDTH_MAX} characters"), wide);
}

#[test]
fn every_module_says_first_what_it_is() {
    // The tests of one file, moved out of it, need no introduction of their own.
    let own = |source: &Source| source.path.ends_with("/tests.rs");
    let silent = sources().into_iter().filter(|source| !own(source) && !source.text.starts_with("//! "));
    report("a file begins with //!", silent.map(|source| source.path).collect());
}

#[test]
fn nothing_panics_by_hand() {
    let wrong = [".unwrap()", ".expect(", "unreachable!("];
    let panics = places(&sources(), |line| wrong.iter().any(|call| line.contains(call)));
    report("no unwrap, expect or unreachable outside tests", panics);
}

#[test]
fn nothing_is_left_for_later() {
    let later = ["TO\u{44}O", "FI\u{58}ME", "to\u{64}o!", "unimpl\u{65}mented!"];
    let mut left = Vec::new();
    for path in text_files() {
        for (at, line) in read(&path).lines().enumerate() {
            if later.iter().any(|word| line.contains(word)) {
                left.push(format!("{path}:{}: {}", at + 1, line.trim()));
            }
        }
    }
    report("nothing is left for later", left);
}

#[test]
fn no_path_of_a_machine_stands_in_the_project() {
    let (anywhere, outside_tests) = (["/wor\u{6b}/", "/roo\u{74}/"], "/tm\u{70}/");
    let mut found = Vec::new();
    for path in text_files() {
        let text = read(&path);
        let wrong = |line: &&str| anywhere.iter().any(|place| line.contains(place));
        found.extend(text.lines().filter(wrong).map(|line| format!("{path}: {}", line.trim())));
        if !path.ends_with(".rs") && text.contains(outside_tests) {
            found.push(path);
        }
    }
    for source in sources() {
        let wrong = |(_, line): &(usize, &str)| line.contains(outside_tests);
        let lines: Vec<String> = source
            .text_lines()
            .filter(wrong)
            .map(|(at, line)| format!("{}:{at}: {}", source.path, line.trim()))
            .collect();
        found.extend(lines);
    }
    report("no absolute path of a machine", found);
}

/// Every text file of the project that people write.
fn text_files() -> Vec<String> {
    let kinds = [".rs", ".md", ".toml", ".json", ".yml", ".yaml", ".service", ".sh", ".ci/run"];
    files(".").into_iter().filter(|path| kinds.iter().any(|kind| path.ends_with(kind))).collect()
}

#[test]
fn the_core_has_no_clock_no_io_no_threads_and_no_hash_order() {
    let forbidden_words =
        ["Instant", "SystemTime", "HashMap", "HashSet", "RandomState", "DefaultHasher", "spawn", "async"];
    let forbidden_paths =
        ["std::thread", "std::fs", "std::net", "std::env", "std::io", "std::process", "std::os", "env!(", "unsafe "];
    let wrong = |line: &str| {
        words(line).iter().any(|(_, word)| forbidden_words.contains(word))
            || forbidden_paths.iter().any(|path| line.contains(path))
    };
    report("the core decides and does nothing else", places(&core_sources(), wrong));
}

/// Sections of a Cargo.toml with the first part of each key.
fn manifest(path: &str) -> BTreeMap<String, Vec<(String, String)>> {
    let (text, mut section) = (read(path), String::new());
    let mut sections: BTreeMap<String, Vec<(String, String)>> = BTreeMap::new();
    for line in text.lines().map(str::trim).filter(|line| !line.starts_with('#')) {
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            name.clone_into(&mut section);
        } else if let Some((key, value)) = line.split_once('=') {
            let key = key.trim().trim_end_matches(".workspace").to_owned();
            sections.entry(section.clone()).or_default().push((key, value.trim().to_owned()));
        }
    }
    sections
}

fn keys(manifest: &BTreeMap<String, Vec<(String, String)>>, section: &str) -> BTreeSet<String> {
    manifest.get(section).into_iter().flatten().map(|(key, _)| key.clone()).collect()
}

fn cargo_toml(room: &str) -> String {
    if room == "." { "Cargo.toml".to_owned() } else { format!("{room}/Cargo.toml") }
}

#[test]
fn the_core_depends_on_five_crates() {
    let expected = ["postcard", "rust_decimal", "serde", "sha2", "thiserror"].map(str::to_owned);
    let core = manifest("core/Cargo.toml");
    assert_eq!(keys(&core, "dependencies"), BTreeSet::from(expected));
    assert!(core.keys().all(|section| !section.contains("build-dependencies") && !section.starts_with("target")));
}

#[test]
fn crates_know_only_what_lies_below_them() {
    let mut wrong = Vec::new();
    for (room, allowed) in ARROWS {
        let manifest = manifest(&cargo_toml(room));
        for section in ["dependencies", "dev-dependencies", "build-dependencies"] {
            let used = keys(&manifest, section).into_iter().filter(|name| name.starts_with("supervisor-"));
            let bad = used.filter(|name| !allowed.contains(&name.as_str()));
            wrong.extend(bad.map(|name| format!("{room} must not use {name} ([{section}])")));
        }
        if !manifest.get("lints").is_some_and(|lints| lints.contains(&("workspace".to_owned(), "true".to_owned()))) {
            wrong.push(format!("{} lacks [lints] workspace = true", cargo_toml(room)));
        }
    }
    let members = &manifest("Cargo.toml")["workspace"];
    for list in ["members", "default-members"] {
        let value = members.iter().find(|(key, _)| key == list).map_or("", |(_, value)| value.as_str());
        let mut named: Vec<&str> = value.split('"').skip(1).step_by(2).collect();
        let mut known: Vec<&str> = ARROWS.iter().map(|(room, _)| *room).collect();
        named.sort_unstable();
        known.sort_unstable();
        assert_eq!(named, known, "{list}");
    }
    report("crate arrows", wrong);
}

#[test]
fn the_gate_keeps_its_proof_to_itself() {
    let gate = Source::of("core/src/risk/gate.rs", read("core/src/risk/gate.rs"));
    assert!(!gate.has_word("mod"), "a child module of the gate would see the fields of ApprovedOrder");
    let (before, after) = gate.text.split_once("pub struct ApprovedOrder {").expect("the proof is defined in the gate");
    let attributes: Vec<&str> = before.lines().rev().take_while(|line| line.starts_with("#[")).collect();
    assert!(attributes.len() == 2 && attributes[0] == "#[derive(Debug)]", "{attributes:?}");
    assert!(attributes[1].starts_with("#[must_use"), "{attributes:?}");
    let fields = after.split_once('}').map_or(after, |(fields, _)| fields);
    assert!(!fields.contains("pub"), "the fields of ApprovedOrder are private:{fields}");
    let mut made = places(&sources(), |line| line.contains(" for ApprovedOrder"));
    for source in sources().iter().filter(|source| source.path != gate.path) {
        let literal = |(_, line): &(usize, &str)| line.contains("ApprovedOrder {");
        made.extend(source.code_lines().filter(literal).map(|(at, line)| format!("{}:{at}: {line}", source.path)));
    }
    report("an approved order comes from the gate alone, and nothing is implemented for it", made);
}

#[test]
fn every_strategy_is_in_the_documents() {
    let mut texts = read("README.md");
    for path in files("docs").iter().filter(|path| path.ends_with(".md")) {
        texts.push_str(&read(path));
    }
    let missing = STRATEGIES.iter().filter(|word| !texts.contains(&format!("`{word}`")));
    report("named in README.md or docs/", missing.map(ToString::to_string).collect());
}

#[test]
fn every_shipped_configuration_is_accepted() {
    let shipped = load_shipped(&Env::new()).unwrap_or_else(|errors| panic!("{errors}"));
    let from_disk = load(&root().join("config"), &Env::new()).unwrap_or_else(|errors| panic!("{errors}"));
    assert_eq!(shipped.instances.len(), SHIPPED_INSTANCES.len());
    let ids = |instances: &[supervisor_config::InstanceConfig]| {
        instances.iter().map(|instance| instance.spec.id.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(ids(&shipped.instances), ids(&from_disk.instances), "a file of config/instances is not shipped");
    for path in files("config/instances") {
        let read = load_instance(&root().join(&path), &shipped.accounts, &[], &Env::new());
        assert!(read.is_ok(), "{path}: {}", read.unwrap_err());
    }
}

/// Things between backticks, without arguments.
fn ticked(text: &str) -> Vec<&str> {
    text.split('`').skip(1).step_by(2).map(|name| name.split('(').next().unwrap_or(name)).collect()
}

/// The numbered steps of the tour, each with its continuation lines.
fn tour() -> Vec<String> {
    let readme = read("README.md");
    let (_, after) = readme.split_once(TOUR).unwrap_or_else(|| panic!("README.md lacks '{TOUR}'"));
    let section = after.split("\n## ").next().unwrap_or(after);
    let mut steps: Vec<String> = Vec::new();
    for line in section.lines() {
        if line.starts_with(|c: char| c.is_ascii_digit()) {
            steps.push(line.to_owned());
        } else if let Some(step) = steps.last_mut().filter(|_| line.starts_with("   ")) {
            step.push('\n');
            step.push_str(line);
        }
    }
    steps
}

#[test]
fn the_tour_names_what_is_there() {
    let all = sources();
    let mut wrong = Vec::new();
    let steps = tour();
    assert!(steps.len() >= 8, "the tour has {} steps", steps.len());
    for step in &steps {
        let (paths, names): (Vec<&str>, Vec<&str>) = ticked(step).into_iter().partition(|name| name.contains('/'));
        let here: Vec<&Source> = all.iter().filter(|source| paths.contains(&source.path.as_str())).collect();
        wrong.extend(paths.iter().filter(|path| !root().join(path).exists()).map(|path| format!("no file {path}")));
        assert!(!here.is_empty(), "a step of the tour names no file of ours: {step}");
        for name in names {
            let is_there = |part: &str| here.iter().any(|source| source.has_word(part));
            let method = name.split_once("::").map(|(_, method)| format!("fn {method}("));
            let is_defined = method.is_none_or(|method| here.iter().any(|source| source.code.contains(&method)));
            if !is_defined || !name.split("::").all(is_there) {
                wrong.push(format!("{name} is not in {paths:?}"));
            }
        }
    }
    report("the tour of README.md names what the code has", wrong);
}
