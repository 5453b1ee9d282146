//! `standin restore`: brings back what `standin backup` has kept, after saying what that changes.

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::Args;

use super::client::{Client, unexpected};
use super::config::change::{hand_over, make};
use super::home::{self, Context};
use super::output::{Exit, Failure, Outcome, Output, note};
use super::password::PasswordSource;
use super::rooms::{self, RestoreLook};
use super::terminal_input::confirm;
use super::text::{count, moment, wall_now};
use crate::backup::archive::Part;
use crate::engine::base::{Digest, Problem, Role};
use crate::engine::history::{APPLIED_FILE_MAX_BYTES, Change, Expected, NewFile};
use crate::engine::order::{FileEntry, FileKind, Order, Reply, Secret};

/// Paths that are named before the restore.
const PATHS_TOLD_MAX: usize = 50;

const AFTER_HELP: &str = "\
While the instance runs, only its configuration can be restored, on the master: it becomes one new revision. Everything else
needs it stopped; a dry run does not. Terms and promises are never brought back: what the home knows of its pair stays, where it
is newer.";

/// `standin restore`.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub struct RestoreArguments {
    /// What `standin backup` wrote
    pub file: PathBuf,
    /// Only say what would change
    #[arg(long)]
    pub dry_run: bool,
    /// Do not ask
    #[arg(long)]
    pub yes: bool,
    /// Nothing but the configuration; possible while the master runs
    #[arg(long, conflicts_with_all = ["identity", "history"])]
    pub configuration_only: bool,
    /// The key of the link and the pair too; the machine it comes from must never start again
    #[arg(long)]
    pub identity: bool,
    /// The history, alerts and events too
    #[arg(long)]
    pub history: bool,
    /// Where the password comes from.
    #[command(flatten)]
    pub password: PasswordSource,
}

/// Restores, or says what would be.
///
/// # Errors
/// The backup cannot be opened, a restore is not possible here now, or the operator says no. Nothing changed then.
pub fn run(context: &Context, arguments: &RestoreArguments, out: &mut Output) -> Outcome {
    home::refuse_foreign(&context.home)?;
    let running = match Client::connect(&context.home) {
        Ok(client) => Some(client),
        Err(Failure::NotRunning(_)) => None,
        Err(failure) => return Err(failure),
    };
    // It only reads, beside the instance that runs.
    let is_look = arguments.dry_run && !arguments.configuration_only;
    let running = match running {
        Some(client) if !is_look => Some(may_while_running(client, arguments)?),
        other => other,
    };
    if !arguments.configuration_only && context.settings != context.home.join("settings.yaml") {
        return Err(refused(
            "--settings names a file outside the home, and the settings of the backup belong into the home".into(),
            "Leave --settings out, or restore with --configuration-only.",
        ));
    }
    let password = arguments.password.read("Password of the backup: ")?;
    let look = rooms::look_into_backup(context, arguments, &password)?;
    if running.is_none() && arguments.configuration_only && !look.has_configuration {
        return Err(refused(
            "this is a shadow: its configuration is its master's".into(),
            "Restore it on the master: it comes here by itself.",
        ));
    }
    tell(&look, arguments, out)?;
    out.flush()?;
    if arguments.dry_run {
        out.line("Nothing was changed.")?;
        if is_look && running.is_some() {
            out.flush()?;
            note("The instance runs, and has to be stopped for this restore: standin stop.");
        }
        return Ok(Exit::Done);
    }
    if !arguments.yes && !confirm("Restore this? Type yes: ", &["yes"])? {
        return Err(refused("it was not confirmed".into(), "Type yes, or give --yes."));
    }
    if let Some(client) = running {
        return live(client, arguments, &password, &look, out);
    }
    for line in rooms::restore(context, arguments, &password)? {
        out.line(&format!("Restored: {line}"))?;
    }
    out.line("Start it with: standin serve (or standin for the console).")?;
    Ok(Exit::Done)
}

/// Only the configuration, and only on a master (spec 4.5).
fn may_while_running(mut client: Client, arguments: &RestoreArguments) -> Result<Client, Failure> {
    let role = client.status()?.role;
    if role == Some(Role::Shadow) {
        return Err(refused(
            "this instance runs as a shadow, which mirrors its master".into(),
            "Restore the configuration on the master. Settings and users: stop this instance first (standin stop).",
        ));
    }
    if !arguments.configuration_only {
        return Err(refused(
            "the instance runs".into(),
            "Stop it first (standin stop), or restore its configuration alone: --configuration-only.",
        ));
    }
    Ok(client)
}

fn refused(why: String, todo: &str) -> Failure {
    Problem::new("Nothing was restored", why, todo).into()
}

fn tell(look: &RestoreLook, arguments: &RestoreArguments, out: &mut Output) -> Result<(), Failure> {
    let manifest = &look.manifest;
    let role = manifest.role.map_or("no role", Role::word);
    out.line(&format!("Backup of  {} ({role}, term {})", manifest.host, manifest.term))?;
    out.line(&format!("Made       {}, by Standin {}", moment(manifest.at, wall_now()), manifest.version))?;
    let into = match look.role {
        None => "a home without an instance".to_owned(),
        Some(role) if look.is_same_instance => format!("the same instance, {}", role.word()),
        Some(role) => format!("another instance, {}: it stays who it is", role.word()),
    };
    out.line(&format!("Into       {into}"))?;
    let changes = |is_other| if is_other { "replaced" } else { "as they are" };
    if !arguments.configuration_only {
        out.line(&format!("Settings   {}", changes(look.settings)))?;
        out.line(&format!("Users      {}", changes(look.users)))?;
    }
    if look.has_configuration {
        out.line(&format!("Files      {} would change", count(look.paths.len() as u64, "path", "paths")))?;
        for path in look.paths.iter().take(PATHS_TOLD_MAX) {
            out.line(&format!("           {path}"))?;
        }
        if look.paths.len() > PATHS_TOLD_MAX {
            out.line(&format!("           and {} more", look.paths.len() - PATHS_TOLD_MAX))?;
        }
    } else {
        out.line("Files      not restored: a shadow has its master's")?;
    }
    if arguments.history {
        out.line("History    replaced, with alerts and events")?;
    }
    if arguments.identity {
        out.line("Identity   replaced; the one before is kept beside it")?;
        note(
            "The instance that this identity belongs to must never run beside this one: both would believe to be the same. If the \
             machine it comes from may start again, do not restore the identity, or give one of them another: standin setup \
             --new-identity.",
        );
    }
    Ok(())
}

/// On a running master: the configuration as one revision by the operator.
fn live(
    mut client: Client,
    arguments: &RestoreArguments,
    password: &Secret,
    look: &RestoreLook,
    out: &mut Output,
) -> Outcome {
    let Reply::Files(list) = client.order(Order::ListFiles)? else { return Err(unexpected().into()) };
    let mut there: BTreeMap<String, FileEntry> = list.into_iter().map(|file| (file.path.clone(), file)).collect();
    let mut files = Vec::new();
    let mut failure = None;
    rooms::read_backup(&arguments.file, password, &mut |part| {
        let Part::Path { path, kind, mode, owners, content } = part else { return rooms::skip(part) };
        let name = path.to_string();
        let digest = if kind == FileKind::Directory { Digest::ZERO } else { rooms::digest_of(&content) };
        let known = there.remove(&name);
        let is_same = |known: &FileEntry| {
            let is_owned = owners.is_none() || known.owner.is_empty() || known.owner == owners.to_string();
            (known.kind, known.digest) == (kind, digest) && (known.mode == mode || kind == FileKind::Link) && is_owned
        };
        if known.as_ref().is_some_and(is_same) || failure.is_some() {
            return Ok(());
        }
        if kind != FileKind::Directory && known.is_none_or(|known| known.digest != digest) {
            if content.len() as u64 > APPLIED_FILE_MAX_BYTES {
                let why = format!("{name} has {} bytes, at most {APPLIED_FILE_MAX_BYTES} go this way", content.len());
                return Err(Problem::new("Nothing was restored", why, "Stop the instance, and restore then."));
            }
            if let Err(problem) = hand_over(&mut client, content) {
                failure = Some(problem);
                return Ok(());
            }
        }
        let owners = owners.names().map(|names| (names.owner.clone(), names.group.clone()));
        files.push(NewFile { path: name, kind, mode, digest, expected: Expected::Any, owners });
        Ok(())
    })?;
    if let Some(failure) = failure {
        return Err(failure);
    }
    // What is inside goes with what it is in.
    let removed = there.into_keys().collect();
    let message = format!("restored from a backup of {}", look.manifest.at.rfc3339(0));
    make(&mut client, Change::Replace { files, removed }, message, false, out)
}
