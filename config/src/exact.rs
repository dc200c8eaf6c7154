//! TOML as literal text: a format for the `config` crate whose numbers keep their digits, and the layering on top.
//!
//! Owns the way from a file's text to a [`Table`]. The `config` crate knows numbers as floats and integers only, so a
//! number travels through it as a string behind a mark that no file can write (strings with that character are
//! refused); every value carries its place (line, variable or flag) as its origin. Promises: no digit is lost; the case
//! of keys is kept; a key is a plain word, so that none is mistaken for a path. Never: a file is opened here.

use std::collections::BTreeMap;
use std::error::Error;
use std::ops::Range;

use config::{Config, ConfigError, FileStoredFormat, Map, Source, Value as Raw, ValueKind};
use rust_decimal::Decimal;
use supervisor_core::params::{Problem, Table, Value};
use toml_edit::{Document, Item, TableLike};

use crate::errors::ConfigProblem;

/// First character of a string that is a number.
const NUMBER: char = '\0';

/// What is wrong with the text itself.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not valid TOML: {message}")]
struct SyntaxError {
    message: String,
    line: usize,
    column: usize,
}

impl SyntaxError {
    fn new(text: &str, span: Option<Range<usize>>, message: impl Into<String>) -> Self {
        let (line, column) = position(text, span.map_or(0, |span| span.start));
        Self { message: message.into().replace('\n', "; "), line, column }
    }
}

/// Line and column of a byte, both from 1; columns count characters.
fn position(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset.min(text.len())).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
}

/// The TOML format that keeps every number as its literal text.
#[derive(Clone, Copy, Debug)]
pub struct ExactToml;

impl config::Format for ExactToml {
    fn parse(&self, _uri: Option<&String>, text: &str) -> Result<Map<String, Raw>, Box<dyn Error + Send + Sync>> {
        let document = Document::parse(text).map_err(|e| SyntaxError::new(text, e.span(), e.message()))?;
        Ok(raw_table(text, document.as_table())?)
    }
}

impl FileStoredFormat for ExactToml {
    fn file_extensions(&self) -> &'static [&'static str] {
        &["toml"]
    }
}

fn raw_table(text: &str, table: &dyn TableLike) -> Result<Map<String, Raw>, SyntaxError> {
    let mut map = Map::new();
    for (key, item) in table.iter() {
        let span = table.key(key).and_then(toml_edit::Key::span).or_else(|| item.span());
        if !is_plain(key) {
            let message = format!("key '{}': allowed: letters, digits, _ and -", key.escape_debug());
            return Err(SyntaxError::new(text, span, message));
        }
        let place = format!("line {}", position(text, span.map_or(0, |span| span.start)).0);
        map.insert(key.to_owned(), Raw::new(Some(&place), raw_item(text, item)?));
    }
    Ok(map)
}

fn is_plain(key: &str) -> bool {
    !key.is_empty() && key.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-')
}

fn raw_item(text: &str, item: &Item) -> Result<ValueKind, SyntaxError> {
    match item {
        Item::None => Ok(ValueKind::Nil),
        Item::Value(value) => raw_value(text, value),
        Item::Table(table) => raw_table(text, table).map(ValueKind::Table),
        Item::ArrayOfTables(tables) => {
            let items = tables.iter().map(|table| Ok(Raw::new(None, ValueKind::Table(raw_table(text, table)?))));
            items.collect::<Result<Vec<Raw>, SyntaxError>>().map(ValueKind::Array)
        }
    }
}

fn raw_value(text: &str, value: &toml_edit::Value) -> Result<ValueKind, SyntaxError> {
    use toml_edit::Value as V;
    match value {
        V::Boolean(flag) => Ok(ValueKind::Boolean(*flag.value())),
        V::String(string) if string.value().contains(NUMBER) => {
            Err(SyntaxError::new(text, value.span(), "a string must not contain the character U+0000"))
        }
        V::String(string) => Ok(ValueKind::String(string.value().clone())),
        // Dates, `nan`, `inf` and other bases stay literals too: no reader takes them, each says what it wants instead.
        V::Integer(_) | V::Float(_) | V::Datetime(_) => {
            let literal = value.span().and_then(|span| text.get(span)).unwrap_or_default();
            Ok(ValueKind::String(format!("{NUMBER}{}", plain(literal))))
        }
        V::Array(items) => {
            let items = items.iter().map(|item| Ok(Raw::new(None, raw_value(text, item)?)));
            items.collect::<Result<Vec<Raw>, SyntaxError>>().map(ValueKind::Array)
        }
        V::InlineTable(table) => raw_table(text, table).map(ValueKind::Table),
    }
}

/// Digits without underscores, plus sign and exponent, exactly; anything that is no plain decimal stays as it is.
fn plain(literal: &str) -> String {
    expand(literal).unwrap_or_else(|| literal.to_owned())
}

fn expand(literal: &str) -> Option<String> {
    let clean = literal.replace('_', "");
    let (sign, unsigned) = match clean.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", clean.strip_prefix('+').unwrap_or(&clean)),
    };
    let (mantissa, exponent) = unsigned.split_once(['e', 'E']).unwrap_or((unsigned, "0"));
    let exponent: i32 = exponent.parse().ok().filter(|e: &i32| e.abs() <= 40)?;
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}");
    if whole.is_empty() || !digits.chars().all(|c| c.is_ascii_digit()) {
        return None;
    }
    let point = i32::try_from(whole.len()).ok()? + exponent;
    Some(format!("{sign}{}", with_point(&digits, point)))
}

/// `digits` with the decimal point after the first `point` of them.
fn with_point(digits: &str, point: i32) -> String {
    let len = i32::try_from(digits.len()).unwrap_or(i32::MAX);
    let zeros = |n: i32| "0".repeat(usize::try_from(n).unwrap_or(0));
    if point <= 0 {
        format!("0.{}{digits}", zeros(-point))
    } else if point >= len {
        format!("{digits}{}", zeros(point - len))
    } else {
        let (whole, fraction) = digits.split_at(usize::try_from(point).unwrap_or(0));
        format!("{whole}.{fraction}")
    }
}

/// Most words of a key; our own have four.
const WORDS_MAX: usize = 8;

/// One value that lies over the file's: from the environment or from a flag.
#[derive(Clone, Debug)]
pub struct Setting {
    key: String,
    value: Raw,
}

impl Setting {
    /// The value of `key` (words with points between) as text: TOML where it is TOML, otherwise a string. `place` says
    /// where it comes from. `None` when the key is not made of a few plain words.
    #[must_use]
    pub fn new(key: &str, text: &str, place: &str) -> Option<Self> {
        if !key.split('.').all(is_plain) || key.split('.').count() > WORDS_MAX {
            return None;
        }
        let place = place.to_owned();
        Some(Self { key: key.to_owned(), value: Raw::new(Some(&place), typed(text)) })
    }
}

/// `30`, `true`, `[1, 2]` and `"x"` as TOML; `5m`, `BTC` and everything else as a string.
fn typed(text: &str) -> ValueKind {
    let line = format!("v = {text}");
    let string = || ValueKind::String(text.replace(NUMBER, "\u{fffd}"));
    let Ok(document) = Document::parse(line.as_str()) else { return string() };
    let table = document.as_table();
    match table.get("v") {
        Some(Item::Value(toml_edit::Value::Datetime(_))) | None => string(),
        Some(item) if table.len() == 1 => raw_item(&line, item).unwrap_or_else(|_| string()),
        Some(_) => string(),
    }
}

impl Source for Setting {
    fn clone_into_box(&self) -> Box<dyn Source + Send + Sync> {
        Box::new(self.clone())
    }

    fn collect(&self) -> Result<Map<String, Raw>, ConfigError> {
        Ok(Map::from_iter([(self.key.clone(), self.value.clone())]))
    }
}

/// A file with the settings that lie over it.
#[derive(Clone, Debug)]
pub struct Layered {
    /// Name of the file in messages.
    pub file: String,
    /// The values.
    pub table: Table,
    /// Numbers with more digits than can be kept.
    pub problems: Vec<ConfigProblem>,
    places: BTreeMap<String, String>,
}

impl Layered {
    /// A problem of this file, with its place.
    #[must_use]
    pub fn locate(&self, problem: Problem) -> ConfigProblem {
        let place = self.places.get(&problem.key).cloned();
        ConfigProblem::of_key(&self.file, &problem.key, problem.value, problem.expected).at(place)
    }
}

/// Reads a file's text and lays the settings over it, the later over the earlier.
///
/// # Errors
/// The syntax error of the file.
pub fn layered(file: &str, text: &str, settings: &[Setting]) -> Result<Layered, ConfigProblem> {
    let mut builder = Config::builder().add_source(config::File::from_str(text, ExactToml));
    for setting in settings {
        builder = builder.add_source(setting.clone());
    }
    let root = builder.build().map_err(|error| syntax_problem(file, error))?.cache;
    let mut layered =
        Layered { file: file.to_owned(), table: Table::new(), problems: Vec::new(), places: BTreeMap::new() };
    if let Value::Table(table) = layered.convert("", root) {
        layered.table = table;
    }
    Ok(layered)
}

fn syntax_problem(file: &str, error: ConfigError) -> ConfigProblem {
    match error {
        ConfigError::FileParse { cause, .. } => match cause.downcast::<SyntaxError>() {
            Ok(syntax) => ConfigProblem::of_file(file, syntax.to_string())
                .at(Some(format!("line {}, column {}", syntax.line, syntax.column))),
            Err(cause) => ConfigProblem::of_file(file, cause.to_string()),
        },
        other => ConfigProblem::of_file(file, other.to_string()),
    }
}

impl Layered {
    /// The neutral value under `key`; notes the places and the numbers that cannot be kept.
    fn convert(&mut self, key: &str, raw: Raw) -> Value {
        if let Some(origin) = raw.origin() {
            self.places.insert(key.to_owned(), origin.to_owned());
        }
        match raw.kind {
            ValueKind::Boolean(flag) => Value::Bool(flag),
            ValueKind::String(text) => match text.strip_prefix(NUMBER) {
                Some(digits) => self.number(key, digits),
                None => Value::Text(text),
            },
            ValueKind::Table(map) => {
                let sorted: BTreeMap<String, Raw> = map.into_iter().collect();
                let full = |name: &str| if key.is_empty() { name.to_owned() } else { format!("{key}.{name}") };
                Value::Table(
                    sorted.into_iter().map(|(name, value)| (name.clone(), self.convert(&full(&name), value))).collect(),
                )
            }
            ValueKind::Array(items) => Value::List(items.into_iter().map(|item| self.convert(key, item)).collect()),
            // Our sources make none of these.
            ValueKind::I64(n) => Value::Number(n.to_string()),
            ValueKind::I128(n) => Value::Number(n.to_string()),
            ValueKind::U64(n) => Value::Number(n.to_string()),
            ValueKind::U128(n) => Value::Number(n.to_string()),
            ValueKind::Nil | ValueKind::Float(_) => Value::Text(String::new()),
        }
    }

    fn number(&mut self, key: &str, digits: &str) -> Value {
        let is_decimal = digits.chars().all(|c| c.is_ascii_digit() || c == '.' || c == '-');
        let looks_like_date = digits.chars().skip(1).any(|c| c == '-');
        if is_decimal && !looks_like_date && Decimal::from_str_exact(digits).is_err() {
            let problem = Problem {
                key: key.to_owned(),
                value: digits.to_owned(),
                expected: "more digits than can be kept exactly; allowed: 28 significant digits".to_owned(),
            };
            let located = self.locate(problem);
            self.problems.push(located);
        }
        Value::Number(digits.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Layered {
        layered("a.toml", text, &[]).unwrap()
    }

    fn number(text: &str) -> Value {
        Value::Number(text.to_owned())
    }

    #[test]
    fn numbers_keep_their_digits() {
        let literals = [
            ("0.1000000000000000000000001", "0.1000000000000000000000001"),
            ("100000", "100000"),
            ("-5", "-5"),
            ("+5.50", "5.50"),
            ("1_000.5", "1000.5"),
            ("1e-3", "0.001"),
            ("1.25E+2", "125"),
            ("12.5e1", "125"),
            ("-1.5e-2", "-0.015"),
            ("nan", "nan"),
            ("-inf", "-inf"),
            ("0x10", "0x10"),
            ("1e100", "1e100"),
            ("2025-01-01", "2025-01-01"),
        ];
        for (literal, kept) in literals {
            let layered = read(&format!("x = {literal}"));
            assert_eq!(layered.table["x"], number(kept), "{literal}");
            assert!(layered.problems.is_empty(), "{literal}: {:?}", layered.problems);
        }
    }

    #[test]
    fn digits_that_cannot_be_kept_are_refused() {
        let layered = read("[a]\n\nx = 0.12345678901234567890123456789012345");
        let text = layered.problems[0].to_string();
        assert!(text.starts_with("a.toml: a.x = 0.12345678901234567890123456789012345: more digits"), "{text}");
        assert!(text.ends_with("28 significant digits (line 3)"), "{text}");
    }

    #[test]
    fn tables_lists_and_the_case_of_keys_survive() {
        let layered = read("balances = { USDT = 1, Btc = 0.5 }\nlist = [\"a\", 2, true]\n[[t]]\nb.c = 1");
        let Value::Table(balances) = &layered.table["balances"] else { panic!() };
        assert_eq!(balances.keys().collect::<Vec<_>>(), ["Btc", "USDT"]);
        let list = vec![Value::Text("a".into()), number("2"), Value::Bool(true)];
        assert_eq!(layered.table["list"], Value::List(list));
        let inner = Table::from([("b".into(), Value::Table(Table::from([("c".into(), number("1"))])))]);
        assert_eq!(layered.table["t"], Value::List(vec![Value::Table(inner)]));
    }

    #[test]
    fn syntax_errors_have_line_and_column() {
        let problem = layered("a.toml", "id = \"x\"\nname = \"unclosed\nx = 1", &[]).unwrap_err();
        assert_eq!(problem.place.as_deref().map(|p| p.starts_with("line 2, column ")), Some(true), "{problem}");
        assert!(problem.to_string().starts_with("a.toml: not valid TOML: "), "{problem}");
        let path = layered("a.toml", "a = 1\n\"capital.quote\" = 5", &[]).unwrap_err();
        assert!(path.to_string().contains("key 'capital.quote': allowed: letters"), "{path}");
        assert!(path.to_string().contains("(line 2, column 1)"), "{path}");
        let twice = layered("a.toml", "a = 1\na = 2", &[]).unwrap_err();
        assert!(twice.to_string().contains("line 2"), "{twice}");
        let forged = layered("a.toml", "a = \"\\u00005\"", &[]).unwrap_err();
        assert!(forged.to_string().contains("U+0000"), "{forged}");
    }

    #[test]
    fn later_settings_lie_over_earlier_ones_and_over_the_file() {
        let setting = |key, text| Setting::new(key, text, "--set").unwrap();
        let over = [setting("a.x", "2"), setting("a.x", "0.30"), setting("a.y", "5m"), setting("b", "[1, \"c\"]")];
        let layered = layered("a.toml", "[a]\nx = 1\nz = 9", &over).unwrap();
        let Value::Table(a) = &layered.table["a"] else { panic!() };
        assert_eq!((&a["x"], &a["y"], &a["z"]), (&number("0.30"), &Value::Text("5m".into()), &number("9")));
        assert_eq!(layered.table["b"], Value::List(vec![number("1"), Value::Text("c".into())]));
        let problem = Problem { key: "a.x".into(), value: "0.30".into(), expected: "no".into() };
        assert_eq!(layered.locate(problem).to_string(), "a.toml: a.x = 0.30: no (--set)");
        assert!(Setting::new("a..b", "1", "--set").is_none() && Setting::new("", "1", "--set").is_none());
        assert!(Setting::new("a[0]", "1", "--set").is_none());
        assert!(Setting::new(&format!("a{}", ".a".repeat(100_000)), "1", "--set").is_none());
    }

    #[test]
    fn a_setting_cannot_smuggle_in_a_second_key() {
        let setting = Setting::new("a", "1\nb = 2", "--set").unwrap();
        let layered = layered("a.toml", "", &[setting]).unwrap();
        assert_eq!(layered.table, Table::from([("a".into(), Value::Text("1\nb = 2".into()))]));
    }
}
