//! `standin config log`: the revisions, newest first (spec 5.6).

use clap::Args;

use crate::cli::arguments::inner_path;
use crate::cli::client::{Client, unexpected};
use crate::cli::home::Context;
use crate::cli::output::{Exit, Failure, Outcome, Output, Paint, note};
use crate::cli::rooms;
use crate::engine::history::{LOG_ENTRIES_MAX, LogEntry};
use crate::engine::order::{Order, Reply};

/// `standin config log`.
#[derive(Debug, Args)]
pub struct LogArguments {
    /// Only revisions that changed this file, or something in this directory
    #[arg(value_parser = inner_path())]
    pub path: Option<String>,
    /// At most so many
    #[arg(long, short = 'n', value_name = "N", default_value_t = 50)]
    pub limit: u32,
    /// One JSON object a line
    #[arg(long)]
    pub json: bool,
}

/// Prints them.
///
/// # Errors
/// A path that is none; a database that cannot be read.
pub fn run(context: &Context, arguments: &LogArguments, out: &mut Output) -> Outcome {
    let path = arguments.path.as_deref();
    match Client::connect(&context.home) {
        Ok(mut client) => pages(arguments, out, |before, limit| {
            let order = Order::Log { path: path.map(Into::into), limit, before };
            match client.order(order)? {
                Reply::Log(entries) => Ok(entries),
                _ => Err(unexpected().into()),
            }
        }),
        Err(Failure::NotRunning(problem)) => {
            rooms::at_rest(&context.home, problem)?;
            note("No instance runs: this is from the database.");
            pages(arguments, out, |before, limit| Ok(rooms::log_at_rest(&context.home, path, before, limit)?))
        }
        Err(failure) => Err(failure),
    }
}

/// Page after page, until there are no more or enough.
fn pages(
    arguments: &LogArguments,
    out: &mut Output,
    mut ask: impl FnMut(Option<u64>, u32) -> Result<Vec<LogEntry>, Failure>,
) -> Outcome {
    let (mut left, mut before) = (arguments.limit, None);
    while left > 0 {
        let entries = ask(before, left.min(LOG_ENTRIES_MAX))?;
        let Some(last) = entries.last() else { break };
        before = Some(last.revision.number);
        left = left.saturating_sub(u32::try_from(entries.len()).unwrap_or(u32::MAX));
        for entry in &entries {
            if arguments.json {
                out.json_line(entry)?;
            } else {
                print(entry, out)?;
            }
        }
    }
    Ok(Exit::Done)
}

fn print(entry: &LogEntry, out: &mut Output) -> Result<(), Failure> {
    let LogEntry { revision, at, author, message, .. } = entry;
    out.pieces(&[
        (&format!("revision {:>6}", revision.number), Paint::Warning),
        (&format!("  term {}  {}  {author}: {}", revision.term, at.rfc3339(0), counts(entry)), Paint::Plain),
    ])?;
    for line in message.lines() {
        out.line(&format!("    {line}"))?;
    }
    for path in &entry.paths {
        out.line(&format!("      {path}"))?;
    }
    let named = entry.paths.len() as u64;
    let all = entry.added + entry.changed + entry.removed;
    // With a path asked for, only its own are named.
    if named == crate::engine::history::LOG_PATHS_MAX as u64 && all > named {
        out.line("      …")?;
    }
    Ok(())
}

/// `2 added, 1 changed, 3 removed`, without what is none.
fn counts(entry: &LogEntry) -> String {
    let parts = [(entry.added, "added"), (entry.changed, "changed"), (entry.removed, "removed")];
    let told: Vec<String> =
        parts.iter().filter(|(count, _)| *count > 0).map(|(count, word)| format!("{count} {word}")).collect();
    if told.is_empty() { "nothing".into() } else { told.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::output::testing::output;
    use crate::engine::base::{Digest, RevisionId, Term, UnixMillis};

    fn entry(number: u64) -> LogEntry {
        LogEntry {
            revision: RevisionId { number, term: Term(3), root: Digest::ZERO },
            at: UnixMillis(1_795_356_000_000),
            author: "anna".into(),
            message: "because\nof this".into(),
            added: 2,
            changed: 1,
            removed: 0,
            paths: vec!["a\u{1b}.yaml".into()],
        }
    }

    /// spec 5.6: number, term, time, author, counts, message.
    #[test]
    fn a_revision_is_told_in_full() {
        let (mut out, written) = output();
        print(&entry(12), &mut out).unwrap();
        assert_eq!(
            written.text(),
            "revision     12  term 3  2026-11-22T14:00:00Z  anna: 2 added, 1 changed\n    because\n    of this\n      a?.yaml\n"
        );
    }

    /// Page after page, each revision once, never more than asked for.
    #[test]
    fn pages_follow_each_other() {
        let arguments = LogArguments { path: None, limit: 2_500, json: true };
        let (mut out, written) = output();
        let mut asked = Vec::new();
        pages(&arguments, &mut out, |before, limit| {
            asked.push((before, limit));
            let top = before.unwrap_or(5_001);
            Ok((top.saturating_sub(u64::from(limit))..top).rev().map(entry).collect())
        })
        .unwrap();
        assert_eq!(asked, [(None, 1_000), (Some(4_001), 1_000), (Some(3_001), 500)]);
        assert_eq!(written.text().lines().count(), 2_500);
    }
}
