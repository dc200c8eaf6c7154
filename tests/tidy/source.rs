//! Our own source files, as text and as code without comments and strings.
//!
//! Owns a scanner that knows just enough Rust to count lines and braces. Never: a parser.

use std::fs;
use std::path::{Path, PathBuf};

/// Directories that hold our Rust code.
const ROOMS: [&str; 11] =
    ["src", "core", "actors", "venues", "state", "config", "api", "sim", "tests", "benches", "examples"];

/// One file of ours.
pub struct Source {
    /// Relative to the repository, with `/`.
    pub path: String,
    /// As it stands.
    pub text: String,
    /// The same with comments and the insides of strings blanked; line by line the same.
    pub code: String,
    /// For each line, whether it is test code.
    tests: Vec<bool>,
}

/// The root of the repository.
pub fn root() -> PathBuf {
    PathBuf::from(option_env!("TIDY_ROOT").unwrap_or(env!("CARGO_MANIFEST_DIR")))
}

/// A file of the repository.
pub fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Every Rust file of ours, by path.
pub fn sources() -> Vec<Source> {
    let mut found: Vec<Source> =
        ROOMS.iter().flat_map(|room| files(room)).filter_map(|path| Source::open(&path)).collect();
    found.sort_by(|a, b| a.path.cmp(&b.path));
    assert!(found.len() > 50, "the scan found {} files only", found.len());
    found
}

/// Every file under a directory or of this name, without hidden ones and build output.
pub fn files(under: &str) -> Vec<String> {
    let start = root().join(under);
    if start.is_file() {
        return vec![under.to_owned()];
    }
    let mut found = Vec::new();
    walk(&start, &mut found);
    let relative = |path: &PathBuf| path.strip_prefix(root()).unwrap().to_str().unwrap().replace('\\', "/");
    let mut names: Vec<String> = found.iter().map(relative).collect();
    names.sort();
    names
}

fn walk(dir: &Path, found: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(dir) else { return };
    for path in entries.map(|entry| entry.unwrap().path()) {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if name == "target" || name == ".git" || name == "proptest-regressions" {
            continue;
        }
        if path.is_dir() { walk(&path, found) } else { found.push(path) }
    }
}

impl Source {
    fn open(path: &str) -> Option<Self> {
        path.ends_with(".rs").then(|| Self::of(path, read(path)))
    }

    /// A source from its text.
    pub fn of(path: &str, text: String) -> Self {
        let code = blank(&text);
        let tests = test_lines(&code, is_test_file(path));
        Self { path: path.to_owned(), text, code, tests }
    }

    /// Number and code of every line outside tests; numbers from 1.
    pub fn code_lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.outside_tests(&self.code)
    }

    /// Number and text of every line outside tests, comments and strings included.
    pub fn text_lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.outside_tests(&self.text)
    }

    fn outside_tests<'a>(&'a self, text: &'a str) -> impl Iterator<Item = (usize, &'a str)> {
        let kept = text.lines().zip(&self.tests).enumerate().filter(|(_, (_, test))| !**test);
        kept.map(|(at, (line, _))| (at + 1, line))
    }

    /// Name, first line and number of lines of every function outside tests.
    pub fn functions(&self) -> Vec<(String, usize, usize)> {
        let words = words(&self.code);
        let mut found = Vec::new();
        // `fn(` is a type, not a function.
        let is_item = |at: usize| self.code[at..].starts_with("fn ");
        for pair in words.windows(2).filter(|pair| pair[0].1 == "fn" && is_item(pair[0].0)) {
            let first = line_of(&self.code, pair[0].0);
            if self.tests[first - 1] {
                continue;
            }
            if let Some(end) = body_end(&self.code, pair[1].0) {
                found.push((pair[1].1.to_owned(), first, line_of(&self.code, end) - first + 1));
            }
        }
        found
    }

    /// True when the word stands in the code.
    pub fn has_word(&self, word: &str) -> bool {
        words(&self.code).iter().any(|(_, found)| *found == word)
    }
}

fn is_test_file(path: &str) -> bool {
    let parts: Vec<&str> = path.split('/').collect();
    parts.iter().any(|part| matches!(*part, "tests" | "benches" | "tests.rs"))
}

/// Identifiers and keywords with their byte offsets.
pub fn words(code: &str) -> Vec<(usize, &str)> {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let mut found = Vec::new();
    let mut start = None;
    for (at, c) in code.char_indices().chain([(code.len(), ' ')]) {
        match (is_word(c), start) {
            (true, None) => start = Some(at),
            (false, Some(from)) => {
                found.push((from, &code[from..at]));
                start = None;
            }
            (true, Some(_)) | (false, None) => {}
        }
    }
    found
}

fn line_of(code: &str, at: usize) -> usize {
    code[..at].matches('\n').count() + 1
}

/// Offset of the brace that ends the item which starts at `from`; `None` when it has no body.
fn body_end(code: &str, from: usize) -> Option<usize> {
    let open = from + code[from..].find(['{', ';'])?;
    // An array type in a signature holds a semicolon as well.
    let open = match code[from..open].matches('[').count() > code[from..open].matches(']').count() {
        true => from + code[from..].find('{')?,
        false => open,
    };
    if code.as_bytes()[open] == b';' {
        return None;
    }
    let mut depth = 0_usize;
    for (at, c) in code[open..].char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 1 => return Some(open + at),
            '}' => depth -= 1,
            _ => {}
        }
    }
    None
}

fn test_lines(code: &str, whole: bool) -> Vec<bool> {
    let mut marks = vec![whole; code.lines().count()];
    for (at, attribute) in code.match_indices("#[cfg(test)]") {
        let from = at + attribute.len();
        let end = body_end(code, from).or_else(|| code[from..].find(';').map(|end| from + end)).unwrap_or(from);
        for mark in &mut marks[line_of(code, at) - 1..line_of(code, end)] {
            *mark = true;
        }
    }
    marks
}

/// Blanks comments and the insides of strings and characters; line breaks stay.
fn blank(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let (kept, len) = match hidden(rest, out.chars().next_back()) {
            Some(len) => (false, len),
            None => (true, c.len_utf8()),
        };
        let (piece, after) = rest.split_at(len);
        out.extend(piece.chars().map(|c| if kept || c == '\n' { c } else { ' ' }));
        rest = after;
    }
    out
}

/// Length of the comment, string or character that starts here.
fn hidden(rest: &str, before: Option<char>) -> Option<usize> {
    if rest.starts_with("//") {
        return Some(rest.find('\n').unwrap_or(rest.len()));
    }
    if rest.starts_with("/*") {
        return Some(block_comment(rest));
    }
    if rest.starts_with('"') {
        return Some(quoted(rest, '"'));
    }
    if rest.starts_with('\'') {
        let mut chars = rest.chars().skip(1);
        let is_char = matches!((chars.next(), chars.next()), (Some('\\'), _) | (Some(_), Some('\'')));
        return is_char.then(|| quoted(rest, '\''));
    }
    let starts_word = !before.is_some_and(|c| c.is_alphanumeric() || c == '_');
    raw_string(rest).filter(|_| starts_word)
}

fn block_comment(rest: &str) -> usize {
    let mut depth = 0;
    let mut at = 0;
    while at < rest.len() {
        let tail = &rest[at..];
        if tail.starts_with("/*") {
            depth += 1;
            at += 2;
        } else if tail.starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += tail.chars().next().map_or(1, char::len_utf8);
        }
    }
    rest.len()
}

fn quoted(rest: &str, mark: char) -> usize {
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == mark => return at + 1,
            _ => {}
        }
    }
    rest.len()
}

fn raw_string(rest: &str) -> Option<usize> {
    let body = rest.strip_prefix("br").or_else(|| rest.strip_prefix("cr")).or_else(|| rest.strip_prefix('r'))?;
    let hashes = body.chars().take_while(|c| *c == '#').count();
    let inside = body[hashes..].strip_prefix('"')?;
    let close = format!("\"{}", "#".repeat(hashes));
    let end = inside.find(&close).map_or(inside.len(), |end| end + close.len());
    Some(rest.len() - inside.len() + end)
}

#[test]
fn the_scanner_sees_code_and_no_comments_or_strings() {
    let text = "fn a() { let s = \"} fn b() {\"; // }\n let c = '}'; let r = r#\"\"}\"#; /* } /* } */ */ }\n\
                fn short<'a>(x: &'a [u8; 4]) -> u8 { x[0] }\ntrait T { fn none(&self); }\n\
                #[cfg(test)]\nmod tests {\n fn hidden() {}\n}\nfn last() {\n}\n";
    let source = Source::of("core/src/x.rs", text.to_owned());
    let expected = [("a", 1, 2), ("short", 3, 1), ("last", 9, 2)];
    let found = source.functions();
    let found: Vec<(&str, usize, usize)> = found.iter().map(|(name, at, lines)| (name.as_str(), *at, *lines)).collect();
    assert_eq!(found, expected);
    assert!(source.has_word("short") && !source.has_word("b"));
    assert!(source.code_lines().all(|(_, line)| !line.contains("hidden")));
    assert!(Source::of("core/tests/x.rs", text.to_owned()).code_lines().next().is_none());
}
