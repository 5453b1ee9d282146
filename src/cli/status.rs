//! `standin status`: one look, words first.

use clap::Args;

use super::client::{Client, unexpected};
use super::home::Context;
use super::output::{Exit, Failure, Outcome, Output, Paint, note};
use super::rooms::{self, LastKnown};
use super::text::wall_now;
use crate::engine::base::Problem;
use crate::engine::order::{Order, Reply, ServerFrame};
use crate::engine::status::{Protection, Status};

pub mod describe;

use describe::Row;

/// `standin status`.
#[derive(Debug, Args)]
pub struct StatusArguments {
    /// The whole status as JSON (one line a change with --watch)
    #[arg(long)]
    pub json: bool,
    /// Go on, one line for each change
    #[arg(long)]
    pub watch: bool,
}

/// Prints the status; its health is the exit status.
///
/// # Errors
/// When nothing runs and nothing is known.
pub fn run(context: &Context, arguments: &StatusArguments, out: &mut Output) -> Outcome {
    let mut client = match Client::connect(&context.home) {
        Ok(client) => client,
        Err(Failure::NotRunning(problem)) if !arguments.watch => return at_rest(context, arguments, problem, out),
        Err(failure) => return Err(failure),
    };
    if arguments.watch {
        return watch(&mut client, arguments.json, out);
    }
    let Reply::Status(status) = client.order(Order::Status)? else { return Err(unexpected().into()) };
    print(&status, arguments.json, out)?;
    Ok(health(&status))
}

/// Healthy: the service survives the loss of this machine or the pair is in maintenance on purpose, and nothing is broken.
#[must_use]
pub fn health(status: &Status) -> Exit {
    let is_protected = matches!(status.protection, Protection::Full | Protection::Paused);
    if is_protected && status.alerts.error == 0 { Exit::Done } else { Exit::Degraded }
}

/// Nothing runs: what was last written, marked as such, and exit status 4.
fn at_rest(context: &Context, arguments: &StatusArguments, problem: Problem, out: &mut Output) -> Outcome {
    let Some(LastKnown { mut status, settings }) = rooms::last_known(&context.home, &context.settings) else {
        return Err(Failure::NotRunning(problem));
    };
    if arguments.json {
        if let (Some(message), Some(settings)) = (&mut status.state_message, &settings) {
            // One text for a program that shows it: each fault of the file is on a line of its own otherwise.
            let told = settings.to_string().lines().map(str::trim).collect::<Vec<_>>().join(" ");
            message.push_str(&format!("; it does not start: {told}"));
        }
        out.json(&status)?;
    } else {
        out.pieces(&[("NOT RUNNING", Paint::Error), (": this is as last written.", Paint::Plain)])?;
        print_rows(&describe::rows_at_rest(&status, settings.as_ref(), wall_now()), out)?;
    }
    out.flush()?;
    note(&format!("standin: {problem}"));
    Ok(Exit::NotRunning)
}

fn print(status: &Status, is_json: bool, out: &mut Output) -> Result<(), Failure> {
    if is_json {
        return out.json(status);
    }
    print_rows(&describe::rows(status, wall_now()), out)
}

fn print_rows(rows: &[Row], out: &mut Output) -> Result<(), Failure> {
    for row in rows {
        out.pieces(&[
            (&format!("{:<15}", row.label), Paint::Plain),
            (&row.word, row.paint),
            (&row.rest, Paint::Plain),
        ])?;
    }
    Ok(())
}

fn watch(client: &mut Client, is_json: bool, out: &mut Output) -> Outcome {
    // Events are not wanted here: none is newer than this.
    client.subscribe(u64::MAX)?;
    let mut last = String::new();
    while let Some(frame) = client.next_frame_wanted()? {
        let ServerFrame::Status(status) = frame else { continue };
        let line = describe::line(&status);
        if line == last {
            continue;
        }
        if is_json {
            out.json_line(&status)?;
        } else {
            out.line(&format!("{}  {line}", wall_now().rfc3339(0)))?;
        }
        out.flush()?;
        last = line;
    }
    Err(Failure::NotRunning(Problem::new(
        "The instance is gone",
        "it closed its control socket",
        "It was stopped, or it failed: look at its log.",
    )))
}

#[cfg(test)]
mod tests;
