//! `standin config branches|reapply`: what the loser of a divergence had alone (spec 7.6), and what was found changed on a
//! shadow and put back (spec 4.5).

use clap::{Args, Subcommand};

use super::{change, diff};
use crate::cli::arguments::inner_path;
use crate::cli::client::{Client, unexpected};
use crate::cli::home::Context;
use crate::cli::output::{Exit, Paint};
use crate::cli::output::{Failure, Outcome, Output};
use crate::cli::text::{count, moment, wall_now};
use crate::engine::base::{Problem, UnixMillis};
use crate::engine::history::Change;
use crate::engine::message::Branch;
use crate::engine::order::{Order, Reply};

/// `standin config branches …`.
#[derive(Debug, Subcommand)]
pub enum BranchAction {
    /// One branch with its files; with PATH the bytes that it has there, as they are
    Show {
        /// As listed
        branch: String,
        /// A file of it
        #[arg(value_name = "PATH", value_parser = inner_path())]
        path: Option<String>,
    },
    /// What a branch has otherwise than the newest revision, line by line; exit status 1 if there is anything
    Diff {
        /// As listed
        branch: String,
        /// Only these files and directories
        #[arg(value_name = "PATH", value_parser = inner_path())]
        paths: Vec<String>,
        /// Show values that look like secrets
        #[arg(long)]
        show_secrets: bool,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
}

const REAPPLY_HELP: &str = "\
Path by path: what the branch changed is made once more where the path is still what it was when the branch left; a path that
was changed since is listed as a conflict and stays as it is. `--theirs PATH` takes the branch's content there all the same.
Exit status 0: all of it is done, 1: there are conflicts.";

/// `standin config reapply`.
#[derive(Debug, Args)]
#[command(after_help = REAPPLY_HELP)]
pub struct ReapplyArguments {
    /// As `config branches` lists it; `NAME@HOST` is that of one instance
    pub branch: String,
    /// Only these files and directories
    #[arg(value_name = "PATH", value_parser = inner_path())]
    pub paths: Vec<String>,
    /// Take what the branch has there, whatever it is now
    #[arg(long, value_name = "PATH", value_parser = inner_path())]
    pub theirs: Vec<String>,
    /// Why, for the history
    #[arg(long, short = 'm', value_name = "TEXT")]
    pub message: Option<String>,
    /// Only say what would change
    #[arg(long)]
    pub dry_run: bool,
}

/// Lists, shows or compares.
///
/// # Errors
/// The refusal of the instance.
pub fn run(context: &Context, action: Option<&BranchAction>, out: &mut Output) -> Outcome {
    match action {
        None => list(context, out),
        Some(BranchAction::Show { branch, path: None }) => show(context, branch, out),
        Some(BranchAction::Show { branch, path: Some(path) }) => {
            let order = Order::BranchBytes { branch: branch.clone(), path: path.clone() };
            let Reply::Bytes(bytes) = Client::connect(&context.home)?.order(order)? else {
                return Err(unexpected().into());
            };
            out.raw(&bytes.0)?;
            Ok(Exit::Done)
        }
        Some(BranchAction::Diff { branch, paths, show_secrets, json }) => {
            let (from, to) = (Some("newest".into()), Some(branch.clone()));
            let (paths, show_secrets, json) = (paths.clone(), *show_secrets, *json);
            diff::run(context, &diff::DiffArguments { from, to, paths, show_secrets, json }, out)
        }
    }
}

/// Makes what a branch changed once more.
///
/// # Errors
/// The refusal of the instance.
pub fn reapply(context: &Context, arguments: &ReapplyArguments, out: &mut Output) -> Outcome {
    let ReapplyArguments { branch, paths, theirs, message, dry_run } = arguments;
    let message = message.clone().unwrap_or_else(|| format!("re-applied from {branch}"));
    let change = Change::Reapply { branch: branch.clone(), paths: paths.clone(), theirs: theirs.clone() };
    change::make(&mut Client::connect(&context.home)?, change, message, *dry_run, out)
}

fn list(context: &Context, out: &mut Output) -> Outcome {
    let now = wall_now();
    for branch in all(&mut Client::connect(&context.home)?, Order::Branches)? {
        out.line(&row(&branch, now))?;
    }
    Ok(Exit::Done)
}

fn row(branch: &Branch, now: UnixMillis) -> String {
    let holder = if branch.holder.is_empty() { String::new() } else { format!("  kept on {}", branch.holder) };
    format!(
        "{}  {}  by {}  {}, {}{holder}",
        branch.name,
        when(branch, now),
        author(branch),
        count(branch.revisions, "revision", "revisions"),
        count(branch.files_total, "path", "paths"),
    )
}

fn when(branch: &Branch, now: UnixMillis) -> String {
    if branch.at.0 == 0 { "time unknown".into() } else { moment(branch.at, now) }
}

fn author(branch: &Branch) -> &str {
    if branch.author.is_empty() { "unknown" } else { &branch.author }
}

fn show(context: &Context, name: &str, out: &mut Output) -> Outcome {
    let mut client = Client::connect(&context.home)?;
    let found = all(&mut client, Order::ShowBranch { name: name.into() })?;
    let Some(branch) = found.iter().find(|branch| branch.name == name) else {
        return Err(Problem::new(
            format!("There is no branch {name}"),
            "none of that name is kept here",
            "List them with: standin config branches",
        )
        .into());
    };
    told(branch, wall_now(), out)
}

fn told(branch: &Branch, now: UnixMillis, out: &mut Output) -> Outcome {
    let common = branch.common.map_or("no common revision".into(), |common| format!("revision {}", common.number));
    out.line(&format!("Branch     {}", branch.name))?;
    out.line(&format!("Kept       {}", when(branch, now)))?;
    if !branch.holder.is_empty() {
        out.line(&format!("On         {}", branch.holder))?;
    }
    out.line(&format!("Made by    {}", author(branch)))?;
    out.line(&format!("Left at    {common}"))?;
    out.line(&format!(
        "Newest     revision {} of term {}, {}",
        branch.head.number, branch.head.term, branch.head.root
    ))?;
    out.line(&format!("Revisions  {}", branch.revisions))?;
    for file in &branch.files {
        out.line(&format!("File       {file}"))?;
    }
    let listed = branch.files.len() as u64;
    if branch.files_total > listed {
        out.line(&format!("           and {} more", branch.files_total - listed))?;
    }
    let next =
        format!("Compare: standin config branches diff {0}   Take over: standin config reapply {0}", branch.name);
    out.pieces(&[(&next, Paint::Plain)])?;
    Ok(Exit::Done)
}

fn all(client: &mut Client, order: Order) -> Result<Vec<Branch>, Failure> {
    match client.order(order)? {
        Reply::Branches(branches) => Ok(branches),
        _ => Err(unexpected().into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::output::testing::output;
    use crate::engine::base::{Digest, RevisionId, Term};

    fn branch() -> Branch {
        Branch {
            name: "diverged-term-1-rev-4".into(),
            common: None,
            head: RevisionId { number: 4, term: Term(1), root: Digest([7; 32]) },
            revisions: 3,
            files: vec!["a.yaml".into()],
            files_total: 12,
            at: UnixMillis(1_795_356_000_000),
            author: "anna, directory".into(),
            holder: "node-b".into(),
        }
    }

    /// spec 7.6: when, who, how many, and where it is kept.
    #[test]
    fn a_branch_is_told_with_when_who_and_where() {
        let line = row(&branch(), UnixMillis(1_795_356_060_000));
        for part in ["diverged-term-1-rev-4", "by anna, directory", "3 revisions, 12 paths", "kept on node-b"] {
            assert!(line.contains(part), "{line}");
        }
        let old = Branch { at: UnixMillis(0), author: String::new(), holder: String::new(), ..branch() };
        assert!(row(&old, UnixMillis(0)).contains("time unknown  by unknown"));
        let (mut out, written) = output();
        told(&branch(), UnixMillis(1_795_356_060_000), &mut out).unwrap();
        let text = written.text();
        assert!(text.contains("and 11 more") && text.contains("config reapply diverged-term-1-rev-4"), "{text}");
    }
}
