//! Reading settings: a neutral tree of values and a reader that checks types, units and ranges.
//!
//! Owns the wording of configuration errors. Promises: numbers keep their literal digits until they are `Decimal`;
//! every problem is collected, none stops the reading; a key nobody asked for is a problem too.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::RangeInclusive;

use rust_decimal::Decimal;

use crate::domain::Timeframe;

/// A settings value. Numbers stay text, so that no amount passes through a float.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// `true` or `false`.
    Bool(bool),
    /// The literal digits of a number.
    Number(String),
    /// A string.
    Text(String),
    /// A list.
    List(Vec<Value>),
    /// A table.
    Table(Table),
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bool(b) => write!(f, "{b}"),
            Self::Number(n) => f.write_str(n),
            Self::Text(t) => write!(f, "\"{t}\""),
            Self::List(items) => write!(f, "a list of {}", items.len()),
            Self::Table(_) => f.write_str("a table"),
        }
    }
}

/// A table of settings, ordered by key.
pub type Table = BTreeMap<String, Value>;

/// One thing that is wrong with a setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Full key, such as `strategy.levels`.
    pub key: String,
    /// What stands there; empty when the key is missing.
    pub value: String,
    /// What is allowed, or what to do.
    pub expected: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.value.is_empty() {
            write!(f, "{}: {}", self.key, self.expected)
        } else {
            write!(f, "{} = {}: {}", self.key, self.value, self.expected)
        }
    }
}

/// Reads one table. Every getter notes its key; [`Reader::finish`] reports the keys that nobody asked for.
pub struct Reader<'a> {
    table: &'a Table,
    prefix: String,
    known: Vec<&'static str>,
    problems: &'a mut Vec<Problem>,
}

static EMPTY: Table = Table::new();

impl<'a> Reader<'a> {
    /// A reader of a whole file.
    pub fn new(table: &'a Table, problems: &'a mut Vec<Problem>) -> Self {
        Self { table, prefix: String::new(), known: Vec::new(), problems }
    }

    /// A reader of the table under `key`; an absent one reads as empty.
    pub fn table(&mut self, key: &'static str) -> Reader<'_> {
        self.known.push(key);
        let prefix = format!("{}{key}.", self.prefix);
        let table = match self.table.get(key) {
            Some(Value::Table(table)) => table,
            Some(other) => {
                let value = other.to_string();
                self.problems.push(Problem { key: self.full(key), value, expected: format!("write it as [{key}]") });
                &EMPTY
            }
            None => &EMPTY,
        };
        Reader { table, prefix, known: Vec::new(), problems: self.problems }
    }

    /// True when the key stands in the file.
    #[must_use]
    pub fn has(&self, key: &str) -> bool {
        self.table.contains_key(key)
    }

    /// The raw value; the key counts as known.
    pub fn raw(&mut self, key: &'static str) -> Option<&'a Value> {
        self.known.push(key);
        self.table.get(key)
    }

    /// Adds a problem with a key of this table.
    pub fn problem(&mut self, key: &str, expected: impl Into<String>) {
        let value = self.table.get(key).map(ToString::to_string).unwrap_or_default();
        self.problems.push(Problem { key: self.full(key), value, expected: expected.into() });
    }

    fn full(&self, key: &str) -> String {
        format!("{}{key}", self.prefix)
    }

    fn parse<T>(&mut self, key: &'static str, allowed: &str, read: impl Fn(&Value) -> Option<T>) -> Option<T> {
        self.known.push(key);
        let value = self.table.get(key)?;
        let parsed = read(value);
        if parsed.is_none() {
            self.problem(key, format!("allowed: {allowed}"));
        }
        parsed
    }

    /// A decimal within `range`; `unit` names what it counts.
    pub fn decimal(&mut self, key: &'static str, range: RangeInclusive<Decimal>, unit: &str) -> Option<Decimal> {
        let allowed = format!("{} to {} ({unit})", range.start().normalize(), range.end().normalize());
        self.parse(key, &allowed, |value| digits(value)?.parse::<Decimal>().ok().filter(|d| range.contains(d)))
    }

    /// A decimal that must be there.
    pub fn decimal_required(&mut self, key: &'static str, range: RangeInclusive<Decimal>, unit: &str) -> Decimal {
        let fallback = *range.end();
        let allowed = format!("{} to {} ({unit})", range.start().normalize(), range.end().normalize());
        self.missing(key, &allowed);
        self.decimal(key, range, unit).unwrap_or(fallback)
    }

    /// A whole number within `range`.
    pub fn whole(&mut self, key: &'static str, range: RangeInclusive<u64>, unit: &str) -> Option<u64> {
        let allowed = format!("{} to {} ({unit}, whole)", range.start(), range.end());
        self.parse(key, &allowed, |value| digits(value)?.parse::<u64>().ok().filter(|n| range.contains(n)))
    }

    /// `true` or `false`.
    pub fn flag(&mut self, key: &'static str) -> Option<bool> {
        self.parse(key, "true or false", |value| match value {
            Value::Bool(b) => Some(*b),
            Value::Text(t) if t == "true" => Some(true),
            Value::Text(t) if t == "false" => Some(false),
            Value::Text(_) | Value::Number(_) | Value::List(_) | Value::Table(_) => None,
        })
    }

    /// A string.
    pub fn text(&mut self, key: &'static str) -> Option<String> {
        self.parse(key, "a string in quotes", text)
    }

    /// A timeframe such as `"1m"`.
    pub fn timeframe(&mut self, key: &'static str) -> Option<Timeframe> {
        self.parse(key, "\"1s\" to \"1w\", such as \"1m\", \"15m\", \"4h\", \"1d\"", |value| text(value)?.parse().ok())
    }

    /// One word of a list, mapped to its meaning.
    pub fn choice<T: Copy>(&mut self, key: &'static str, words: &[(&str, T)]) -> Option<T> {
        let allowed = words.iter().map(|(word, _)| format!("\"{word}\"")).collect::<Vec<_>>().join(" or ");
        self.parse(key, &allowed, |value| {
            let word = text(value)?;
            words.iter().find(|(name, _)| *name == word).map(|(_, meaning)| *meaning)
        })
    }

    /// A list of strings.
    pub fn texts(&mut self, key: &'static str) -> Option<Vec<String>> {
        self.parse(key, "a list of strings", |value| match value {
            Value::List(items) => items.iter().map(text).collect(),
            Value::Text(t) => Some(t.split(',').map(|s| s.trim().to_owned()).collect()),
            Value::Bool(_) | Value::Number(_) | Value::Table(_) => None,
        })
    }

    /// Reports a key that must be there and is not.
    pub fn missing(&mut self, key: &str, allowed: &str) {
        if !self.has(key) {
            self.problems.push(Problem {
                key: self.full(key),
                value: String::new(),
                expected: format!("missing; allowed: {allowed}"),
            });
        }
    }

    /// Ends the reading: every key that nobody asked for is a problem, with the nearest known key as a suggestion.
    pub fn finish(self) {
        for (key, value) in self.table {
            if !self.known.contains(&key.as_str()) {
                let hint = nearest(key, &self.known).map_or_else(
                    || format!("unknown key; known here: {}", self.known.join(", ")),
                    |name| format!("unknown key; did you mean '{name}'?"),
                );
                self.problems.push(Problem { key: self.full(key), value: value.to_string(), expected: hint });
            }
        }
    }
}

fn digits(value: &Value) -> Option<&str> {
    match value {
        Value::Number(n) | Value::Text(n) => Some(n.as_str()),
        Value::Bool(_) | Value::List(_) | Value::Table(_) => None,
    }
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::Text(t) => Some(t.clone()),
        Value::Bool(_) | Value::Number(_) | Value::List(_) | Value::Table(_) => None,
    }
}

/// The known word within two edits of `word`.
#[must_use]
pub fn nearest<'w>(word: &str, known: &[&'w str]) -> Option<&'w str> {
    known.iter().map(|name| (edits(word, name), *name)).filter(|(d, _)| *d <= 2).min().map(|(_, name)| name)
}

/// Levenshtein distance, one row at a time.
fn edits(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let cost = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = cost.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(text: &str) -> Value {
        Value::Number(text.to_owned())
    }

    #[test]
    fn every_problem_is_collected_with_key_value_and_range() {
        let table = Table::from([
            ("levels".to_owned(), number("1")),
            ("order_valu".to_owned(), number("5")),
            ("fee".to_owned(), number("nan")),
        ]);
        let mut problems = Vec::new();
        let mut reader = Reader::new(&table, &mut problems);
        assert_eq!(reader.whole("levels", 2..=1000, "price lines"), None);
        assert_eq!(reader.decimal("fee", Decimal::ZERO..=Decimal::ONE, "fraction"), None);
        assert_eq!(reader.decimal("order_value", Decimal::ONE..=Decimal::TEN, "quote units"), None);
        reader.finish();
        let texts: Vec<String> = problems.iter().map(ToString::to_string).collect();
        assert_eq!(texts[0], "levels = 1: allowed: 2 to 1000 (price lines, whole)");
        assert_eq!(texts[1], "fee = nan: allowed: 0 to 1 (fraction)");
        assert_eq!(texts[2], "order_valu = 5: unknown key; did you mean 'order_value'?");
    }
}
