//! What is wrong with a configuration, all of it at once.
//!
//! Promises: what stands at a key that sounds like a secret is not repeated.

use std::fmt;

use serde::Serialize;
use supervisor_core::params::Problem;

/// One thing that is wrong, and where.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ConfigProblem {
    /// The file, or `environment`.
    pub file: String,
    /// Where in it: a line, or the variable or flag that set the value over the file's.
    pub place: Option<String>,
    /// Full key such as `strategy.levels`; empty when the file as a whole is meant.
    pub key: String,
    /// What stands there; empty when the key is missing.
    pub value: String,
    /// What is allowed, or what to do.
    pub expected: String,
}

impl ConfigProblem {
    /// About a file as a whole.
    #[must_use]
    pub fn of_file(file: &str, expected: impl Into<String>) -> Self {
        let (key, value) = (String::new(), String::new());
        Self { file: file.to_owned(), place: None, key, value, expected: expected.into() }
    }

    /// About a key of a file.
    #[must_use]
    pub fn of_key(file: &str, key: &str, value: impl Into<String>, expected: impl Into<String>) -> Self {
        let value = if sounds_secret(key) { "(not shown)".to_owned() } else { value.into() };
        let expected = expected.into();
        Self { file: file.to_owned(), place: None, key: key.to_owned(), value, expected }
    }

    /// With its place.
    #[must_use]
    pub fn at(mut self, place: Option<String>) -> Self {
        self.place = place;
        self
    }
}

fn sounds_secret(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    ["secret", "token", "passw", "passphrase", "api_key", "apikey", "private"].iter().any(|word| key.contains(word))
}

impl fmt::Display for ConfigProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.file)?;
        if self.key.is_empty() {
            f.write_str(&self.expected)?;
        } else {
            let Self { key, value, expected, .. } = self;
            Problem { key: key.clone(), value: value.clone(), expected: expected.clone() }.fmt(f)?;
        }
        match &self.place {
            Some(place) => write!(f, " ({place})"),
            None => Ok(()),
        }
    }
}

/// Everything that is wrong; prints one line per problem.
#[derive(Clone, Debug, Default, PartialEq, Eq, thiserror::Error, Serialize)]
#[error("{}", problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
pub struct ConfigErrors {
    /// In the order of the files, and in each in the order of reading.
    pub problems: Vec<ConfigProblem>,
}

impl From<ConfigProblem> for ConfigErrors {
    fn from(problem: ConfigProblem) -> Self {
        Self { problems: vec![problem] }
    }
}

impl ConfigErrors {
    /// `Ok` when nothing is wrong.
    ///
    /// # Errors
    /// Itself, when there are problems.
    pub fn none_or<T>(self, value: T) -> Result<T, Self> {
        if self.problems.is_empty() { Ok(value) } else { Err(self) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_in_a_wrong_place_is_not_repeated() {
        let wrong = |key: &str| ConfigProblem::of_key("bot.toml", key, "hunter2", "unknown key").to_string();
        assert_eq!(wrong("risk.api_key"), "bot.toml: risk.api_key = (not shown): unknown key");
        assert!(!wrong("account.SecretPhrase").contains("hunter2") && wrong("strategy.levles").contains("hunter2"));
    }
}
