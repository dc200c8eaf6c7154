//! The log: JSON lines in the state directory, and lines for people on a pipe.
//!
//! Owns `<state-dir>/logs`. Promises: files are rotated by size and bounded in number; a log that cannot be written is
//! said once and stops nobody. Its own writer because the usual one rotates by time only. Never: what an order needs
//! to survive (that is the journal's).

use std::fmt::{self, Write as _};
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use chrono::Utc;
use supervisor_config::Logs;
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::{Context, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;

use crate::out::say;
use crate::queue::{Pusher, Queue, Sink};

const PREFIX: &str = "trading_";
const SUFFIX: &str = ".jsonl";

/// The running log. Dropping it writes what is left.
pub struct Logging {
    file: Queue,
    people: Option<Queue>,
}

impl Logging {
    /// Opens the log and makes it the process's. `people` is where lines for people go, and with `events` each event is
    /// one of them.
    ///
    /// # Errors
    /// What the system said when the directory could not be made.
    pub fn start(dir: &Path, config: &Logs, people: Option<Queue>, events: bool) -> io::Result<Self> {
        DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
        let mut rotating = Rotating::new(dir, config.max_file_mb * 1024 * 1024, config.max_files);
        // A first file at once: an unwritable directory is found now and not with the first fill.
        rotating.open()?;
        let file = Queue::start("log", rotating)?;
        let level: LevelFilter = config.level.parse().unwrap_or(LevelFilter::INFO);
        let json = tracing_subscriber::fmt::layer().json().flatten_event(true).with_writer(Maker(file.pusher()));
        let lines = people.as_ref().filter(|_| events).map(|people| People(people.pusher()));
        // What libraries do is of interest when it goes wrong.
        // A second start in one process keeps the first log.
        let heard = Targets::new().with_default(LevelFilter::WARN.min(level)).with_target("supervisor", level);
        let _ = tracing_subscriber::registry().with(heard).with(json).with(lines).try_init();
        Ok(Self { file, people })
    }

    /// The way to the people's lines.
    pub fn people(&self) -> Option<Pusher> {
        self.people.as_ref().map(Queue::pusher)
    }

    /// The ways to everything, to be flushed before a hard exit.
    pub fn pushers(&self) -> Vec<Pusher> {
        std::iter::once(&self.file).chain(&self.people).map(Queue::pusher).collect()
    }

    /// Waits until everything is written, at most for a while.
    pub fn flush(&self, patience: Duration) {
        for pusher in self.pushers() {
            pusher.flush(patience);
        }
    }
}

struct Maker(Pusher);

impl<'a> MakeWriter<'a> for Maker {
    type Writer = Line;

    fn make_writer(&'a self) -> Line {
        Line(self.0.clone())
    }
}

/// One event on its way; the formatter writes it in one piece.
struct Line(Pusher);

impl Write for Line {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.push(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The log files of a directory, oldest first; none when there is no directory.
///
/// # Errors
/// What the system said.
pub fn files(dir: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut names = Vec::new();
    for entry in entries {
        let name = entry?.file_name();
        names.extend(name.to_str().filter(|n| n.starts_with(PREFIX) && n.ends_with(SUFFIX)).map(str::to_owned));
    }
    names.sort_by(|a, b| a.trim_end_matches(SUFFIX).cmp(b.trim_end_matches(SUFFIX)));
    Ok(names.into_iter().map(|name| dir.join(name)).collect())
}

/// The name of a new file: of this second, and always after the newest, also when the clock has gone back.
fn next_name(stamp: &str, newest: Option<&Path>) -> String {
    let name = format!("{PREFIX}{stamp}");
    let newest = newest.and_then(|path| path.file_name()?.to_str()).unwrap_or_default().trim_end_matches(SUFFIX);
    if newest < name.as_str() {
        return name;
    }
    let base = PREFIX.len() + "20250101_000000".len();
    let more = newest.get(base + 1..).and_then(|more| more.parse::<u32>().ok()).unwrap_or(0);
    format!("{}_{:06}", newest.get(..base).unwrap_or(newest), more.saturating_add(1))
}

/// Files of bounded size and number.
struct Rotating {
    dir: PathBuf,
    max_bytes: u64,
    max_files: u64,
    file: Option<File>,
    size: u64,
    failing: bool,
    lost: u64,
}

impl Rotating {
    fn new(dir: &Path, max_bytes: u64, max_files: u64) -> Self {
        Self { dir: dir.to_path_buf(), max_bytes, max_files, file: None, size: 0, failing: false, lost: 0 }
    }

    /// A new file under the name of this second, and the oldest ones removed.
    fn open(&mut self) -> io::Result<()> {
        let mut options = OpenOptions::new();
        options.append(true).create_new(true).mode(0o600);
        let found = files(&self.dir)?;
        let mut name = next_name(&Utc::now().format("%Y%m%d_%H%M%S").to_string(), found.last().map(PathBuf::as_path));
        let file = loop {
            let path = self.dir.join(format!("{name}{SUFFIX}"));
            match options.open(&path) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => name = next_name("", Some(&path)),
                opened => break opened?,
            }
        };
        (self.file, self.size) = (Some(file), 0);
        let found = files(&self.dir)?;
        let keep = usize::try_from(self.max_files).unwrap_or(usize::MAX).max(1);
        for old in found.iter().take(found.len().saturating_sub(keep)) {
            fs::remove_file(old)?;
        }
        Ok(())
    }

    fn append(&mut self, mut lines: &[u8]) -> io::Result<()> {
        while !lines.is_empty() {
            let room = usize::try_from(self.max_bytes.saturating_sub(self.size)).unwrap_or(usize::MAX);
            let fit = fitting(lines, room);
            if self.file.is_none() || (fit == 0 && self.size > 0) {
                self.open()?;
                continue;
            }
            // A line that is longer than a file gets one of its own.
            let fit = if fit == 0 { fitting_one(lines) } else { fit };
            let Some(file) = &mut self.file else { continue };
            file.write_all(&lines[..fit])?;
            self.size += fit as u64;
            lines = &lines[fit..];
        }
        Ok(())
    }
}

/// Length of the whole lines that fit into `room`.
fn fitting(lines: &[u8], room: usize) -> usize {
    if lines.len() <= room {
        return lines.len();
    }
    lines[..room].iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1)
}

fn fitting_one(lines: &[u8]) -> usize {
    lines.iter().position(|byte| *byte == b'\n').map_or(lines.len(), |at| at + 1)
}

impl Sink for Rotating {
    fn write(&mut self, lines: &[u8], lost: u64) {
        self.lost += lost;
        let note = if self.lost > 0 {
            let at = Utc::now().format("%Y-%m-%dT%H:%M:%S%.6fZ");
            let line = serde_json::json!({ "timestamp": at.to_string(), "level": "WARN", "event": "log.lost",
                "message": "log lines were lost", "lines": self.lost });
            format!("{line}\n")
        } else {
            String::new()
        };
        match self.append(note.as_bytes()).and_then(|()| self.append(lines)) {
            Ok(()) => (self.failing, self.lost) = (false, 0),
            Err(error) => {
                // The next lines try a new file; what these held is counted, not kept.
                self.file = None;
                self.lost += lines.iter().filter(|byte| **byte == b'\n').count() as u64;
                if !std::mem::replace(&mut self.failing, true) {
                    say(&format!("warning: the log cannot be written ({error}); trading goes on"));
                }
            }
        }
    }
}

/// One line per event for people.
struct People(Pusher);

impl<S: Subscriber> Layer<S> for People {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let level = *event.metadata().level();
        if level > Level::INFO {
            return;
        }
        let mut said = Said::default();
        event.record(&mut said);
        self.0.push(said.line(level).as_bytes());
    }
}

/// The fields of an event that people read.
#[derive(Default)]
struct Said {
    at: String,
    instance: String,
    event: String,
    cause: String,
    message: String,
    more: String,
}

impl Said {
    fn put(&mut self, field: &Field, value: String) {
        match field.name() {
            "at" => self.at = value,
            "instance" => self.instance = value,
            "event" => self.event = value,
            "cause" => self.cause = value,
            "message" => self.message = value,
            "seq" | "order" => {}
            name => drop(write!(self.more, " {name}={value}")),
        }
    }

    fn line(self, level: Level) -> String {
        let Self { mut at, instance, event, cause, message, more } = self;
        if at.is_empty() {
            at = Utc::now().format("%Y-%m-%dT%H:%M:%S%.3fZ").to_string();
        }
        let mut line = at;
        let loud = if level == Level::INFO { "" } else { level.as_str() };
        for part in [loud, &instance, &event, &message].into_iter().filter(|part| !part.is_empty()) {
            line += "  ";
            line += part;
        }
        line += &more;
        if !cause.is_empty() {
            let _ = write!(line, "  (cause {cause})");
        }
        line.replace('\n', "; ") + "\n"
    }
}

impl Visit for Said {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, value.to_owned());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field, format!("{value:?}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(dir: &Path) -> Vec<String> {
        files(dir).unwrap().iter().map(|file| fs::read_to_string(file).unwrap()).collect()
    }

    #[test]
    fn files_are_bounded_in_size_and_number_and_lines_stay_whole() {
        let dir = tempfile::tempdir().unwrap();
        let mut log = Rotating::new(dir.path(), 10, 3);
        log.write(b"aaaa\nbbbb\ncccc\n", 0);
        assert_eq!(text(dir.path()), ["aaaa\nbbbb\n", "cccc\n"]);
        log.write(b"dddd\neeee\n", 0);
        log.write(b"a line longer than a file\nf\n", 0);
        assert_eq!(text(dir.path()), ["eeee\n", "a line longer than a file\n", "f\n"]);
    }

    #[test]
    fn lost_lines_are_told() {
        let dir = tempfile::tempdir().unwrap();
        let mut log = Rotating::new(dir.path(), 1000, 3);
        log.write(b"a\n", 7);
        let all = text(dir.path()).concat();
        assert!(all.contains(r#""event":"log.lost""#) && all.contains(r#""lines":7"#) && all.ends_with("a\n"), "{all}");
    }

    #[test]
    fn a_log_that_cannot_be_written_recovers_and_tells_what_was_lost() {
        let root = tempfile::tempdir().unwrap();
        let dir = root.path().join("logs");
        let mut log = Rotating::new(&dir, 1000, 3);
        log.write(b"a\nb\n", 0);
        assert!(log.failing);
        fs::create_dir(&dir).unwrap();
        log.write(b"c\n", 0);
        let all = text(&dir).concat();
        assert!(!log.failing && all.contains(r#""lines":2"#) && all.ends_with("c\n"), "{all}");
    }

    #[test]
    fn names_sort_by_age() {
        let dir = tempfile::tempdir().unwrap();
        let names =
            ["trading_20250101_000000.jsonl", "trading_20250101_000000_000001.jsonl", "trading_20250101_000001.jsonl"];
        for name in names.iter().rev().chain(&["other.txt"]) {
            fs::write(dir.path().join(name), "").unwrap();
        }
        let found: Vec<_> =
            files(dir.path()).unwrap().iter().map(|path| path.file_name().unwrap().to_owned()).collect();
        assert_eq!(found, names);
        assert!(files(&dir.path().join("none")).unwrap().is_empty());
        let next = |newest: &str| next_name("20250101_000000", Some(Path::new(newest)));
        assert_eq!(next("trading_20241231_235959.jsonl"), "trading_20250101_000000");
        assert_eq!(next(names[0]), "trading_20250101_000000_000001");
        assert_eq!(next(names[1]), "trading_20250101_000000_000002");
        assert_eq!(next(names[2]), "trading_20250101_000001_000001", "the clock has gone back");
    }

    #[test]
    fn people_get_one_line_per_event() {
        let fact = Said {
            at: "T".into(),
            instance: "grid".into(),
            event: "order.fill".into(),
            cause: "7".into(),
            message: "bought\n1".into(),
            ..Said::default()
        };
        assert_eq!(fact.line(Level::INFO), "T  grid  order.fill  bought; 1  (cause 7)\n");
        let alert = Said { at: "T".into(), message: "no".into(), more: " code=5".into(), ..Said::default() };
        assert_eq!(alert.line(Level::WARN), "T  WARN  no code=5\n");
    }
}
