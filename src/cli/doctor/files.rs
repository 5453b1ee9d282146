//! The home and what lies in it: owner, permissions, settings.

use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::Finding;
use crate::cli::client::SOCKET_PATH_MAX_BYTES;
use crate::cli::home::{Context, user_name};
use crate::cli::paths::configuration;
use crate::cli::rooms;
use crate::cli::text::count;
use crate::engine::settings::Settings;
use crate::engine::status::Status;

/// Permission bits of group and others.
const FOREIGN_BITS: u32 = 0o077;
/// Group may pass through (and list) the home, so that a group can reach the control socket (setting `control.group`).
const GROUP_PASS_BITS: u32 = 0o050;
/// Most entries of a secret directory looked at.
const ENTRIES_MAX: usize = 1_000;

/// Owners of mirrored files, where they are mirrored: as the running instance has found, or else whether this process could give
/// files away.
pub fn owners(settings: Option<&Settings>, status: Option<&Status>, can_give: impl Fn() -> bool) -> Option<Finding> {
    const ABOUT: &str = "file owners";
    let _ = settings.filter(|settings| settings.configuration.owners)?;
    Some(match status.map(|status| status.configuration.owners_missing) {
        Some(0) => Finding::ok(ABOUT, "mirrored by name"),
        Some(missing) => {
            let found = format!(
                "{} of mirrored files missing here",
                count(missing, "user or group is", "users and groups are")
            );
            Finding::warn(ABOUT, found, "Make them: standin alerts names them (F-032).")
        }
        None if can_give() => Finding::ok(ABOUT, "mirrored by name"),
        None => Finding::warn(
            ABOUT,
            "configuration.owners is on, and this user may give files to nobody",
            "Run Standin as root, or with CAP_CHOWN, CAP_DAC_OVERRIDE, CAP_FOWNER and CAP_FSETID.",
        ),
    })
}

/// Owner and permissions of the home and of every secret in it.
pub fn home(context: &Context) -> Vec<Finding> {
    const ABOUT: &str = "home";
    let home = &context.home;
    let metadata = match std::fs::metadata(home) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let found = format!("{} does not exist yet", home.display());
            return vec![Finding::warn(ABOUT, found, "Set the instance up: standin, or standin setup.")];
        }
        Err(error) => {
            let todo = "Run this as the user who owns it.";
            return vec![Finding::fail(ABOUT, format!("{}: {error}", home.display()), todo)];
        }
    };
    if !metadata.is_dir() {
        let found = format!("{} is not a directory", home.display());
        return vec![Finding::fail(ABOUT, found, "Name another with --home DIR.")];
    }
    let mut findings = vec![Finding::ok(ABOUT, home.display().to_string())];
    let own = rustix::process::geteuid().as_raw();
    if metadata.uid() != own {
        let found = format!("belongs to {}, you are {}", user_name(metadata.uid()), user_name(own));
        findings.push(Finding::warn("owner", found, "Only its owner starts the instance; run this as that user."));
    }
    findings.push(permissions("permissions", home, metadata.mode(), FOREIGN_BITS & !GROUP_PASS_BITS, 0o700));
    findings.extend(secrets(home));
    let length = context.socket().as_os_str().as_bytes().len();
    if length > SOCKET_PATH_MAX_BYTES {
        let found = format!("path of {length} bytes, a socket may have {SOCKET_PATH_MAX_BYTES}");
        findings.push(Finding::fail("control socket", found, "Move the home to a shorter path."));
    }
    findings
}

/// Keys, users, database: readable by the owner only (spec 9.4). One finding when all is well.
fn secrets(home: &Path) -> Vec<Finding> {
    let mut paths: Vec<PathBuf> = Vec::new();
    for directory in ["identity", "admin"] {
        let directory = home.join(directory);
        if let Ok(entries) = std::fs::read_dir(&directory) {
            paths.extend(entries.flatten().take(ENTRIES_MAX).map(|entry| entry.path()));
            paths.push(directory);
        }
    }
    paths.extend(["settings.yaml", "users.yaml", "standin.db", "standin.db-wal"].map(|name| home.join(name)));
    let mut findings = Vec::new();
    let mut safe = 0;
    for path in paths {
        let Ok(metadata) = std::fs::symlink_metadata(&path) else { continue };
        // Without secrets of its own; others may not change it, but reading it harms nobody.
        let foreign = if path.ends_with("settings.yaml") { 0o022 } else { FOREIGN_BITS };
        let wanted = if metadata.is_dir() { 0o700 } else { 0o600 };
        let finding = permissions("secret", &path, metadata.mode(), foreign, wanted);
        if finding.verdict == super::Verdict::Ok {
            safe += 1;
        } else {
            findings.push(finding);
        }
    }
    if findings.is_empty() && safe > 0 {
        findings.push(Finding::ok("secrets", "keys, users, settings and database are the owner's alone"));
    }
    findings
}

fn permissions(about: &'static str, path: &Path, mode: u32, foreign: u32, wanted: u32) -> Finding {
    if mode & foreign == 0 {
        return Finding::ok(about, format!("{:04o}", mode & 0o7777));
    }
    let found = format!("{} has {:04o}: others can reach it", path.display(), mode & 0o7777);
    Finding::fail(about, found, format!("chmod {wanted:04o} '{}'", path.display()))
}

/// The settings, with every problem, and the directory they name.
pub fn settings(context: &Context) -> (Option<Settings>, Vec<Finding>) {
    const ABOUT: &str = "settings";
    let path = &context.settings;
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            if let Some(lost) = rooms::lost_settings(&context.home, path) {
                return (None, vec![Finding::fail(ABOUT, format!("{}: {}", lost.what, lost.why), lost.todo)]);
            }
            let found = format!("{} does not exist yet", path.display());
            return (None, vec![Finding::warn(ABOUT, found, "standin setup writes it.")]);
        }
        Err(error) => {
            let found = format!("{}: {error}", path.display());
            return (None, vec![Finding::fail(ABOUT, found, "Run this as the owner of the home.")]);
        }
    };
    match rooms::settings_of(&text) {
        Ok(settings) => {
            let directory = directory(&context.home, &configuration(context, Some(&settings)));
            (Some(settings), vec![Finding::ok(ABOUT, format!("{} is valid", path.display())), directory])
        }
        Err(problems) => {
            let finding = |problem: crate::engine::base::Problem| {
                Finding::fail(ABOUT, format!("{}: {}", problem.what, problem.why), problem.todo)
            };
            (None, problems.into_iter().map(finding).collect())
        }
    }
}

/// The mirrored directory can be listed and written.
fn directory(home: &Path, path: &Path) -> Finding {
    const ABOUT: &str = "directory";
    if let Err(problem) = crate::files::site::may_be_mirrored(home, path) {
        return Finding::fail(ABOUT, format!("{}: {}", problem.what, problem.why), problem.todo);
    }
    match std::fs::read_dir(path) {
        Ok(_) if rustix::fs::access(path, rustix::fs::Access::WRITE_OK).is_err() => {
            let todo = "Standin must be able to write it to mirror into it: change its owner.";
            Finding::fail(ABOUT, format!("{} cannot be written", path.display()), todo)
        }
        Ok(_) => Finding::ok(ABOUT, format!("{} can be read and written", path.display())),
        Err(error) => {
            let todo = "Create it, or change configuration.directory in the settings.";
            Finding::fail(ABOUT, format!("{}: {error}", path.display()), todo)
        }
    }
}
