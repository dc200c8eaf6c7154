//! `kill`, `kill status`, `kill clear`. Setting it never asks; clearing it needs the word.

use reqwest::Method;
use supervisor_actors::view::{KillReport, KillStatus};
use supervisor_api::wire::{CONFIRM_RESUME, ClearBody, ReasonBody};

use crate::cli::{Globals, KillArgs, KillVerb};
use crate::client::{Client, talk};
use crate::fault::{Exit, Fault};
use crate::out::{Format, Out, rows};

/// `kill ...`.
pub fn kill(globals: &Globals, out: &Out, args: KillArgs) -> Result<Exit, Fault> {
    let client = Client::new(globals)?;
    match args.verb {
        None => set(&client, out, args.reason),
        Some(KillVerb::Status) => {
            out.document::<KillStatus>(&talk(client.get(&["kill"], &[]))?)?;
            Ok(Exit::Done)
        }
        Some(KillVerb::Clear { confirm, reason }) => clear(&client, out, confirm, reason),
    }
}

/// Partly done when orders are still open: their cancels are under way or were refused.
fn set(client: &Client, out: &Out, reason: String) -> Result<Exit, Fault> {
    let document = talk(client.change(Method::POST, &["kill"], &ReasonBody { reason }))?;
    let reports: Vec<KillReport> = rows(&document)?;
    if out.format == Format::Table {
        for report in &reports {
            let KillReport { kill, halted, open_before, open_after } = report;
            let cancelled = open_before.saturating_sub(*open_after);
            out.data(&format!(
                "kill switch ON since {}   {halted} bots halted   {cancelled} of {open_before} orders cancelled   \
                 positions kept",
                kill.since()
            ))?;
        }
    } else {
        out.document::<KillReport>(&document)?;
    }
    out.note(&format!("clear it with: supervisor kill clear --confirm {CONFIRM_RESUME}"));
    let left = reports.iter().any(|report| report.open_after > 0);
    Ok(if left { Exit::Partly } else { Exit::Done })
}

fn clear(client: &Client, out: &Out, confirm: Option<String>, reason: String) -> Result<Exit, Fault> {
    let confirm = confirm.unwrap_or_default();
    if confirm != CONFIRM_RESUME {
        let text = format!("clearing the kill switch needs --confirm {CONFIRM_RESUME}; nothing was changed");
        return Err(Fault::new(Exit::Confirm, "confirmation_needed", text)
            .hint(format!("supervisor kill clear --confirm {CONFIRM_RESUME}")));
    }
    let document = talk(client.change(Method::DELETE, &["kill"], &ClearBody { confirm, reason }))?;
    out.document::<KillStatus>(&document)?;
    out.note("bots stay paused until they are resumed: supervisor resume --all");
    Ok(Exit::Done)
}
