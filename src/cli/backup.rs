//! `standin backup`: one encrypted file with everything that makes the instance.

use std::path::PathBuf;

use clap::Args;

use super::home::Context;
use super::output::{Exit, Outcome, Output, note};
use super::password::PasswordSource;
use super::rooms;
use super::terminal_input::ask_secret;
use super::text::{bytes, count};
use crate::engine::base::Problem;
use crate::engine::order::Secret;

/// Shortest password of a backup, in characters: whoever has the file can guess without end.
const PASSWORD_MIN_CHARS: usize = 12;

const AFTER_HELP: &str = "\
The file is a tar, packed with zstd and encrypted with the password as age does it: `age -d FILE | zstd -d | tar t` opens it
without Standin. Without its password nobody can: keep the password elsewhere. It makes no difference whether the instance runs.";

/// `standin backup`.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub struct BackupArguments {
    /// The file to write; readable by you alone
    pub file: PathBuf,
    /// With the key of the link and what the instance knows of its pair
    #[arg(long)]
    pub identity: bool,
    /// With the whole history, alerts and events
    #[arg(long)]
    pub history: bool,
    /// Write over a file that is there
    #[arg(long)]
    pub force: bool,
    /// Where the password comes from.
    #[command(flatten)]
    pub password: PasswordSource,
}

/// Makes a backup.
///
/// # Errors
/// There is no instance, or something cannot be read or written; nothing is left behind.
pub fn run(context: &Context, arguments: &BackupArguments, out: &mut Output) -> Outcome {
    let password = new_password(&arguments.password)?;
    let BackupArguments { file, identity, history, force, .. } = arguments;
    let report = rooms::backup(context, file, (*identity, *history), *force, &password)?;
    let revision = report.revision.map_or("no revision yet".into(), |revision| format!("revision {}", revision.number));
    let mut parts = vec![
        format!("configuration ({revision}, {})", count(report.paths, "path", "paths")),
        "settings".to_owned(),
        "users".to_owned(),
    ];
    if *identity {
        parts.push("identity".into());
    }
    if *history {
        parts.push("history".into());
    }
    out.line(&format!("{}: {}, {}", file.display(), bytes(report.bytes), parts.join(", ")))?;
    if report.uncommitted > 0 {
        let paths = count(report.uncommitted, "path differs", "paths differ");
        note(&format!(
            "{paths} in the directory from the newest revision; that is not in the backup. A running master makes a revision of it."
        ));
    }
    Ok(Exit::Done)
}

fn new_password(source: &PasswordSource) -> Result<Secret, Problem> {
    let refused = |why: String| Problem::new("The backup was not made", why, "Try again.");
    let password = source.read("Password of the backup: ")?;
    if password.expose().chars().count() < PASSWORD_MIN_CHARS {
        return Err(refused(format!("the password has fewer than {PASSWORD_MIN_CHARS} characters")));
    }
    if source.is_prompt() && password != ask_secret("The same again: ")? {
        return Err(refused("the two passwords differ".into()));
    }
    Ok(password)
}
