//! `standin config`: the mirrored configuration (spec 5).

use clap::{Args, Subcommand};

use super::arguments::inner_path;
use super::client::{Client, unexpected};
use super::home::Context;
use super::output::{Exit, Failure, Outcome, Output, Paint, note};
use super::reconnect::plain_order;
use super::rooms;
use super::text::{bytes, count, mode};
use crate::engine::base::Problem;
use crate::engine::order::{FileEntry, FileKind, Order, Reply, VerifyReport};

mod branches;
pub mod change;
mod diff;
mod edit;
mod held;
mod log;
mod show;

/// `standin config …`.
#[derive(Debug, Subcommand)]
pub enum ConfigAction {
    /// Every file: mode, size, the revision that last changed it, path
    List {
        /// Only files held back, and why
        #[arg(long, group = "what")]
        held: bool,
        /// What was found changed on this shadow behind Standin's back and was put back, with what had become of it
        #[arg(long, group = "what")]
        drift: bool,
        /// With --held or --drift: as JSON
        #[arg(long, requires = "what")]
        json: bool,
    },
    /// One file, byte for byte; secrets are not masked
    Show(ShowArguments),
    /// Revisions, newest first: number, term, time, author, what changed, message
    Log(log::LogArguments),
    /// What differs between two versions; exit status 1 if something does
    Diff(diff::DiffArguments),
    /// Bring a revision, or paths of it, back as a new revision (on the master)
    Restore(change::RestoreArguments),
    /// Copy files into the configuration as one revision (on the master)
    Apply(change::ApplyArguments),
    /// Edit a file in $VISUAL or $EDITOR; what is saved becomes a revision (on the master)
    Edit(edit::EditArguments),
    /// Remove the contents of a path from the history of both instances, for good
    Forget(change::ForgetArguments),
    /// Re-read every file on both sides and list each difference; exit status 1 if there is one
    Verify,
    /// Push again now
    Push,
    /// Make what a branch or a drift changed once more, where the path has not changed since: one revision, on the master
    Reapply(branches::ReapplyArguments),
    /// Changes kept after a divergence, and files found changed on a shadow and put back
    Branches {
        /// None: all of them.
        #[command(subcommand)]
        action: Option<branches::BranchAction>,
    },
}

/// `standin config show`.
#[derive(Debug, Args)]
pub struct ShowArguments {
    /// Relative to the mirrored directory
    #[arg(value_parser = inner_path())]
    pub path: String,
    /// Of this revision [default: the newest]
    #[arg(long, value_name = "N")]
    pub revision: Option<u64>,
}

/// Runs one of them.
///
/// # Errors
/// The refusal of the instance.
pub fn run(context: &Context, action: &ConfigAction, out: &mut Output) -> Outcome {
    match action {
        ConfigAction::List { held: true, json, .. } => held::run(context, Order::HeldFiles, *json, out),
        ConfigAction::List { drift: true, json, .. } => held::run(context, Order::DriftFiles, *json, out),
        ConfigAction::List { .. } => list(context, out),
        ConfigAction::Show(arguments) => show::run(context, arguments, out),
        ConfigAction::Log(arguments) => log::run(context, arguments, out),
        ConfigAction::Diff(arguments) => diff::run(context, arguments, out),
        ConfigAction::Restore(arguments) => change::restore(context, arguments, out),
        ConfigAction::Apply(arguments) => change::apply(context, arguments, out),
        ConfigAction::Edit(arguments) => edit::run(context, arguments, out),
        ConfigAction::Forget(arguments) => change::forget(context, arguments, out),
        ConfigAction::Verify => verify(context, out),
        ConfigAction::Push => plain_order(context, Order::PushNow, out),
        ConfigAction::Reapply(arguments) => branches::reapply(context, arguments, out),
        ConfigAction::Branches { action } => branches::run(context, action.as_ref(), out),
    }
}

fn list(context: &Context, out: &mut Output) -> Outcome {
    let files = match Client::connect(&context.home) {
        Ok(mut client) => match client.order(Order::ListFiles)? {
            Reply::Files(files) => files,
            _ => return Err(unexpected().into()),
        },
        Err(Failure::NotRunning(problem)) => {
            let files = rooms::files_at_rest(&context.home).ok_or(Failure::NotRunning(problem))?;
            note("No instance runs: this is the newest revision in the database.");
            files
        }
        Err(failure) => return Err(failure),
    };
    for file in &files {
        out.line(&row(file))?;
    }
    Ok(Exit::Done)
}

fn row(file: &FileEntry) -> String {
    let kind = match file.kind {
        FileKind::File => '-',
        FileKind::Directory => 'd',
        FileKind::Link => 'l',
    };
    let owner = if file.owner.is_empty() { String::new() } else { format!("  {}", file.owner) };
    format!("{kind}{}{owner}  {:>9}  rev {:>6}  {}", mode(file.mode), bytes(file.size), file.revision, file.path)
}

fn verify(context: &Context, out: &mut Output) -> Outcome {
    let mut client = Client::connect(&context.home)?;
    let Reply::Verified(report) = client.order(Order::Verify)? else { return Err(unexpected().into()) };
    print_report(&report, out)
}

fn print_report(report: &VerifyReport, out: &mut Output) -> Outcome {
    for difference in &report.differences {
        out.pieces(&[
            (&format!("{:<16}", difference.what), Paint::Warning),
            (&format!("  {}", difference.path), Paint::Plain),
        ])?;
    }
    let listed = report.differences.len() as u64;
    if report.differences_total > listed {
        out.line(&format!("… and {} more", report.differences_total - listed))?;
    }
    let read =
        format!("{}, {}, read in {} ms", count(report.files, "file", "files"), bytes(report.bytes), report.took_ms);
    let is_committed = report.own_root == report.committed_root;
    match report.peer_root {
        None => {
            let why = report.peer_problem.clone().unwrap_or_else(|| "it gave no reason".into());
            out.line(&format!("Here: {read}, root {}", report.own_root))?;
            Err(Problem::new("The two sides were not compared", why, "Look with: standin status").into())
        }
        Some(peer) if peer == report.own_root && is_committed && report.differences_total == 0 => {
            out.line(&format!("Equal on both sides: {read} here, root {peer}"))?;
            Ok(Exit::Done)
        }
        Some(peer) => {
            let differences = count(report.differences_total, "difference", "differences");
            out.line(&format!("{differences}: {read} here"))?;
            out.line(&format!("root here      {}", report.own_root))?;
            out.line(&format!("root committed {}", report.committed_root))?;
            out.line(&format!("root there     {peer}"))?;
            Ok(Exit::No)
        }
    }
}

#[cfg(test)]
mod tests;
