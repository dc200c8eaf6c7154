//! Where words go: data to standard output in the wanted format, everything else to standard error.
//!
//! Promises: no colour where none is wanted (a pipe, `NO_COLOR`, `--color never`); a closed pipe is reported as such
//! and never a panic.

use std::io::{self, Write};

use clap::ValueEnum;
use serde_json::Value;

use crate::cli::Globals;
use crate::fault::Fault;
use crate::table;

/// How data is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Columns for people.
    Table,
    /// More columns.
    Wide,
    /// One document: api_version, kind, items.
    Json,
    /// One item per line.
    Ndjson,
    /// One name per line.
    Name,
}

impl Format {
    /// True for the two formats for programs.
    pub const fn is_json(self) -> bool {
        matches!(self, Self::Json | Self::Ndjson)
    }
}

/// When to use colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// On a terminal, unless the environment says otherwise.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

impl Color {
    /// Makes it the rule of the process.
    pub fn apply(self) {
        match self {
            Self::Auto => anstream::ColorChoice::Auto,
            Self::Always => anstream::ColorChoice::Always,
            Self::Never => anstream::ColorChoice::Never,
        }
        .write_global();
    }
}

/// Something that can stand in a row of a table.
pub trait Row: serde::de::DeserializeOwned {
    /// Heads of the columns; `>` in front: numbers, to the right.
    fn heads(wide: bool) -> Vec<&'static str>;
    /// One cell per head.
    fn cells(&self, wide: bool) -> Vec<String>;
    /// What `-o name` prints.
    fn name(&self) -> String;
}

/// The two streams and how to use them.
#[derive(Clone, Debug)]
pub struct Out {
    /// Format of data.
    pub format: Format,
    quiet: bool,
    verbose: bool,
}

impl Out {
    /// As the flags say.
    pub fn new(globals: &Globals) -> Self {
        globals.color.apply();
        Self { format: globals.output, quiet: globals.quiet, verbose: globals.verbose }
    }

    /// Data.
    pub fn data(&self, text: &str) -> Result<(), Fault> {
        let mut stdout = anstream::stdout().lock();
        let written = stdout.write_all(text.as_bytes()).and_then(|()| match text.ends_with('\n') {
            true => Ok(()),
            false => stdout.write_all(b"\n"),
        });
        written.and_then(|()| stdout.flush()).map_err(|error| Fault::io("standard output", &error))
    }

    /// A remark; not with `-q`.
    pub fn note(&self, text: &str) {
        if !self.quiet {
            say(text);
        }
    }

    /// True with `-v`.
    pub const fn is_verbose(&self) -> bool {
        self.verbose
    }

    /// A failure.
    pub fn fault(&self, fault: &Fault) {
        if fault.is_closed_pipe() {
            return;
        }
        say(&if self.format.is_json() { fault.json() } else { fault.text() });
    }

    /// A document in the wanted format.
    pub fn document<R: Row>(&self, document: &Value) -> Result<(), Fault> {
        match self.format {
            Format::Json => self.data(&pretty(document)),
            Format::Ndjson => self.lines(items(document).iter().map(ToString::to_string)),
            Format::Name => self.lines(rows::<R>(document)?.iter().map(R::name)),
            Format::Table => self.table(&rows::<R>(document)?, false),
            Format::Wide => self.table(&rows::<R>(document)?, true),
        }
    }

    /// Rows as a table.
    pub fn table<R: Row>(&self, rows: &[R], wide: bool) -> Result<(), Fault> {
        let cells: Vec<Vec<String>> = rows.iter().map(|row| row.cells(wide)).collect();
        self.data(&table::render(&R::heads(wide), &cells))
    }

    /// Lines.
    pub fn lines(&self, lines: impl Iterator<Item = String>) -> Result<(), Fault> {
        let text: String = lines.map(|line| line + "\n").collect();
        if text.is_empty() { Ok(()) } else { self.data(&text) }
    }
}

/// Writes a line to standard error; that nobody reads it is nobody's failure.
pub fn say(text: &str) {
    let _ = writeln!(anstream::stderr().lock(), "{text}");
}

/// JSON for a file or a pipe, readable.
pub fn pretty(document: &Value) -> String {
    serde_json::to_string_pretty(document).unwrap_or_default()
}

/// The items of a document.
pub fn items(document: &Value) -> &[Value] {
    document.get("items").and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// The items of a document, typed.
pub fn rows<R: serde::de::DeserializeOwned>(document: &Value) -> Result<Vec<R>, Fault> {
    let foreign = |error: serde_json::Error| {
        let text = format!("the supervisor answered with something this version does not know: {error}");
        Fault::new(crate::fault::Exit::Failed, "foreign_answer", text)
            .hint("is it another version? compare supervisor version with supervisor status -o json")
    };
    items(document).iter().map(|item| R::deserialize(item).map_err(foreign)).collect()
}

/// Asks on the terminal; without one, or with `--no-input`, the answer is exit code 6.
pub fn confirm(globals: &Globals, question: &str) -> Result<(), Fault> {
    use std::io::IsTerminal;
    if globals.yes {
        return Ok(());
    }
    let needed = Fault::new(crate::fault::Exit::Confirm, "confirmation_needed", format!("{question} needs a yes"));
    if globals.no_input || !io::stdin().is_terminal() {
        return Err(needed.hint("say it beforehand: --yes"));
    }
    let _ = write!(anstream::stderr().lock(), "{question} - sure? [y/N] ");
    let mut answer = String::new();
    io::stdin().read_line(&mut answer).map_err(|error| Fault::io("standard input", &error))?;
    match answer.trim() {
        "y" | "Y" | "yes" => Ok(()),
        _ => Err(Fault::new(crate::fault::Exit::Confirm, "refused", "not confirmed; nothing was changed")),
    }
}
