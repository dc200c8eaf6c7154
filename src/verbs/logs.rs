//! `logs NAME` and `export logs`.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;
use supervisor_actors::view::FactRow;
use supervisor_state::StateDir;

use crate::cli::{Globals, LogsArgs};
use crate::client::{Client, talk};
use crate::fault::{Exit, Fault};
use crate::logging;
use crate::out::{Format, Out, items, rows};
use crate::places;
use crate::rows::line;
use crate::table;

const POLL: Duration = Duration::from_millis(300);
const RETRY: Duration = Duration::from_secs(1);
const PAGE: usize = 1000;

/// `logs NAME [-f] [-n N] [--grep TEXT]`.
pub fn logs(globals: &Globals, out: &Out, args: &LogsArgs) -> Result<Exit, Fault> {
    let client = Client::new(globals)?;
    talk(async {
        let newest = page(&client, &args.name, None, args.lines).await?;
        if !args.follow {
            print(out, args, &newest, out.format == Format::Json)?;
            return Ok(Exit::Done);
        }
        print(out, args, &newest, false)?;
        follow(&client, out, args, last_cursor(&newest)).await
    })
}

async fn page(client: &Client, name: &str, after: Option<&str>, limit: usize) -> Result<Value, Fault> {
    let mut query = vec![("limit", limit.to_string())];
    query.extend(after.map(|after| ("after", after.to_owned())));
    client.get(&["instances", name, "facts"], &query).await
}

fn last_cursor(document: &Value) -> Option<String> {
    items(document).last()?.get("cursor")?.as_str().map(str::to_owned)
}

/// Goes on from the last cursor, so that no line is lost or doubled, also over a restart of the supervisor.
async fn follow(client: &Client, out: &Out, args: &LogsArgs, mut after: Option<String>) -> Result<Exit, Fault> {
    let mut lost = false;
    loop {
        let pause = match page(client, &args.name, after.as_deref(), PAGE).await {
            Ok(more) => {
                if std::mem::take(&mut lost) {
                    out.note("connected again");
                }
                print(out, args, &more, false)?;
                let full = items(&more).len() == PAGE;
                after = last_cursor(&more).or(after);
                if full { Duration::ZERO } else { POLL }
            }
            Err(fault) if matches!(fault.exit, Exit::Unreachable | Exit::Timeout) => {
                if !std::mem::replace(&mut lost, true) {
                    out.note(&format!("{}; trying again every second", fault.message));
                }
                RETRY
            }
            Err(fault) => return Err(fault),
        };
        tokio::time::sleep(pause).await;
    }
}

fn print(out: &Out, args: &LogsArgs, document: &Value, whole: bool) -> Result<(), Fault> {
    let wanted = |text: &str| args.grep.as_ref().is_none_or(|part| text.contains(part.as_str()));
    let facts: Vec<FactRow> = rows(document)?;
    let picked: Vec<(&FactRow, &Value)> =
        facts.iter().zip(items(document)).filter(|(fact, _)| wanted(&line(fact))).collect();
    if whole {
        let picked: Vec<&Value> = picked.iter().map(|(_, item)| *item).collect();
        return out.data(&crate::out::pretty(&serde_json::json!({
            "api_version": document["api_version"], "kind": document["kind"], "items": picked,
        })));
    }
    match out.format {
        Format::Json | Format::Ndjson => out.lines(picked.iter().map(|(_, item)| item.to_string())),
        Format::Name => out.lines(picked.iter().map(|(fact, _)| fact.cursor.clone())),
        Format::Table | Format::Wide => out.lines(picked.iter().map(|(fact, _)| line(fact))),
    }
}

/// `export logs --out F|-`.
pub fn export(globals: &Globals, out: &Out, target: &Path) -> Result<Exit, Fault> {
    let dir = StateDir::logs_in(&places::state_dir(globals)?);
    let files = logging::files(&dir).map_err(|error| Fault::io(&dir.display().to_string(), &error))?;
    if files.is_empty() {
        let text = format!("no log files in {}", dir.display());
        return Err(Fault::new(Exit::Failed, "no_logs", text).hint("name another --state-dir"));
    }
    let name = target.display().to_string();
    let mut bytes = 0;
    let mut sink: Box<dyn Write> =
        if target == Path::new("-") { Box::new(io::stdout().lock()) } else { Box::new(create(globals, target)?) };
    for file in &files {
        let text = whole_lines(file).map_err(|error| Fault::io(&file.display().to_string(), &error))?;
        sink.write_all(&text).map_err(|error| Fault::io(&name, &error))?;
        bytes += text.len();
    }
    sink.flush().map_err(|error| Fault::io(&name, &error))?;
    out.note(&format!("{}, {bytes} bytes", table::count(files.len(), "file")));
    Ok(Exit::Done)
}

fn create(globals: &Globals, path: &Path) -> Result<File, Fault> {
    let mut options = OpenOptions::new();
    options.write(true).mode(0o600).truncate(globals.yes).create(globals.yes).create_new(!globals.yes);
    options.open(path).map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => {
            let text = format!("{} exists", path.display());
            Fault::new(Exit::Confirm, "confirmation_needed", text).hint("overwrite it: --yes")
        }
        _ => Fault::io(&path.display().to_string(), &error),
    })
}

/// A file without a last line that is still being written. A file that was removed meanwhile is empty.
fn whole_lines(path: &Path) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    match fs::File::open(path) {
        Ok(mut file) => file.read_to_end(&mut text)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
        Err(error) => return Err(error),
    };
    let end = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    text.truncate(end);
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_in_the_making_is_left_out() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        fs::write(&path, "one\ntwo\nthr").unwrap();
        assert_eq!(whole_lines(&path).unwrap(), b"one\ntwo\n");
        assert_eq!(whole_lines(&dir.path().join("gone")).unwrap(), b"");
    }
}
