//! First start: makes a home out of a plan (spec 1.1, 1.4). Written aside and put in place at the end, or, in a directory that
//! is there already, with the database last, so that a crash leaves a home without role and never half an instance.

use std::fs;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::engine::base::{Problem, Role};
use crate::engine::order::Secret;
use crate::engine::settings::Settings;
use crate::engine::settings::read::read;
use crate::engine::settings::table;
use crate::engine::settings::text as settings_text;
pub use crate::engine::setup::SetupPlan;

mod args;
mod facts;
mod prompt;
#[cfg(test)]
mod tests;

pub use args::{SetupArgs, SetupTask, read_password};
pub use facts::{find_out, found};
pub use prompt::ask;

/// The commented default of the settings file.
pub const DEFAULT_SETTINGS: &str = include_str!("../../config/settings.yaml");
/// The home and its directories: the owner's alone (spec 9.4).
const DIRECTORY_MODE: u32 = 0o700;
/// Files of the home.
const FILE_MODE: u32 = 0o600;

/// Writes what other rooms own. `home` is where to write, which is not yet the home itself when it is made aside.
pub trait HomeWriter {
    /// The role of the instance in `home`; none: no database, or one without role.
    ///
    /// # Errors
    /// The database is there and cannot be read.
    fn role(&self, home: &Path) -> Result<Option<Role>, Problem>;

    /// `users.yaml`, mode 0600, with one administrator and the argon2id hash of the password (spec 9.1).
    ///
    /// # Errors
    /// It cannot be written.
    fn users(&self, home: &Path, user: &str, password: &Secret) -> Result<(), Problem>;

    /// `identity/`, mode 0700, with the key and certificate of the link for `host` (spec 3.2).
    ///
    /// # Errors
    /// It cannot be made.
    fn identity(&self, home: &Path, host: &str) -> Result<(), Problem>;

    /// `standin.db`, mode 0600, with the first role; the last file, since it is the one that makes an instance.
    ///
    /// # Errors
    /// It cannot be written.
    fn database(&self, home: &Path, role: Role) -> Result<(), Problem>;
}

/// Makes the instance of `plan` in `home`. Returns a sentence for each thing written.
///
/// # Errors
/// `home` has a role already; the plan has problems (the first one is told; see [`SetupPlan::problems`]); or something could
/// not be written, and then `home` has no role, as before.
pub fn apply(home: &Path, plan: &SetupPlan, writer: &dyn HomeWriter) -> Result<Vec<String>, Problem> {
    if let Some((_, problem)) = plan.problems().into_iter().next() {
        return Err(problem);
    }
    if let Some(directory) = &plan.settings.configuration.directory {
        crate::files::site::may_be_mirrored(home, Path::new(directory))?;
    }
    match fs::symlink_metadata(home) {
        Err(error) if error.kind() == ErrorKind::NotFound => make_aside(home, plan, writer)?,
        Err(error) => return Err(cannot("look at the home", home, &error)),
        Ok(found) if !found.is_dir() && !home.is_dir() => {
            return Err(Problem::new(
                format!("{} cannot be the home", home.display()),
                "it is no directory",
                "Name another with --home, or move it away",
            ));
        }
        Ok(_) => fill(home, plan, writer)?,
    }
    let path = |name: &str| home.join(name).display().to_string();
    Ok(vec![
        format!("{}: settings, commented", path("settings.yaml")),
        format!("{}: the administrator {}", path("users.yaml"), plan.user),
        format!("{}: key and certificate of the link", path("identity")),
        format!("{}: the role {}", path("standin.db"), plan.role.word()),
    ])
}

/// A home that is not there: all of it is written under another name beside it, and then gets its own.
fn make_aside(home: &Path, plan: &SetupPlan, writer: &dyn HomeWriter) -> Result<(), Problem> {
    let (Some(parent), Some(name)) = (home.parent(), home.file_name()) else {
        return Err(Problem::new("The home cannot be made", "it has no name", "Name another with --home"));
    };
    let parent = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
    fs::create_dir_all(parent).map_err(|error| cannot("make", parent, &error))?;
    let aside = parent.join(format!(".{}.setup-{}", name.to_string_lossy(), std::process::id()));
    // Left over from a crash of a process with the same number.
    let _ = fs::remove_dir_all(&aside);
    // Made anew or not at all: a directory that somebody else put there is not written into.
    let made =
        fs::DirBuilder::new().mode(DIRECTORY_MODE).create(&aside).map_err(|error| cannot("make", &aside, &error));
    let written = made.and_then(|()| write_all(&aside, plan, writer)).and_then(|()| {
        // Fails when somebody else has made the home meanwhile and put something into it.
        fs::rename(&aside, home).map_err(|error| cannot("put in place", home, &error))
    });
    if written.is_err() {
        // That it cannot be removed changes nothing about the answer.
        let _ = fs::remove_dir_all(&aside);
    }
    written.and_then(|()| sync_directory(parent))
}

/// A home that is there and has no role: file by file, the database last.
fn fill(home: &Path, plan: &SetupPlan, writer: &dyn HomeWriter) -> Result<(), Problem> {
    if let Some(role) = writer.role(home)? {
        return Err(already(home, role));
    }
    fs::set_permissions(home, fs::Permissions::from_mode(DIRECTORY_MODE))
        .map_err(|error| cannot("make private", home, &error))?;
    write_all(home, plan, writer)
}

/// A home that has a role is not set up again (spec 1.3).
#[must_use]
pub fn already(home: &Path, role: Role) -> Problem {
    Problem::new(
        format!("{} is already a {}", home.display(), role.word()),
        "a role, once chosen, is not set up again",
        "Roles change by standin ha switch, become-shadow or become-master; another instance needs another --home",
    )
}

fn write_all(home: &Path, plan: &SetupPlan, writer: &dyn HomeWriter) -> Result<(), Problem> {
    let settings = home.join("settings.yaml");
    let (text, base) = settings_before(&settings)?;
    let text = settings_text::set_all(&text, &table::differences(&base, &plan.settings))?;
    if plan.settings.configuration.directory.is_none() {
        make_directory(&home.join("configuration"))?;
    }
    write_file(&settings, text.as_bytes())?;
    writer.users(home, &plan.user, &plan.password)?;
    writer.identity(home, &plan.settings.host)?;
    sync_directory(home)?;
    writer.database(home, plan.role)?;
    sync_directory(home)
}

/// The settings a home has before its first start: those of a file that an operator or a package put there, else the
/// commented default. What the wizard and `standin setup` start from.
///
/// # Errors
/// A file is there and cannot be read or understood.
pub fn settings_before(file: &Path) -> Result<(String, Settings), Problem> {
    let text = match fs::read_to_string(file) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => DEFAULT_SETTINGS.to_owned(),
        Err(error) => return Err(cannot("read", file, &error)),
    };
    let settings = read(&text).map_err(|mistakes| {
        let name = file.display().to_string();
        let told = mistakes.iter().map(|mistake| mistake.told(&name).to_string()).collect::<Vec<_>>().join("\n");
        let todo = "Correct it, or move it away; then the commented default is written";
        Problem::new(format!("{name} cannot be understood"), told, todo)
    })?;
    Ok((text, settings))
}

/// Writes a file of the home whole or not at all: aside, to disk, then under its name. Mode 0600.
///
/// # Errors
/// It cannot be written.
pub fn write_file(path: &Path, bytes: &[u8]) -> Result<(), Problem> {
    let mut aside = path.as_os_str().to_owned();
    aside.push(format!(".new-{}", std::process::id()));
    let aside = PathBuf::from(aside);
    let write = || {
        let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(FILE_MODE).open(&aside)?;
        // An older file of that name keeps its mode when it is opened.
        file.set_permissions(fs::Permissions::from_mode(FILE_MODE))?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&aside, path)
    };
    write().map_err(|error| {
        let _ = fs::remove_file(&aside);
        cannot("write", path, &error)
    })
}

fn make_directory(path: &Path) -> Result<(), Problem> {
    match fs::DirBuilder::new().mode(DIRECTORY_MODE).create(path) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
        other => other.map_err(|error| cannot("make", path, &error)),
    }
}

/// What was renamed into it is on disk.
fn sync_directory(path: &Path) -> Result<(), Problem> {
    fs::File::open(path).and_then(|directory| directory.sync_all()).map_err(|error| cannot("sync", path, &error))
}

fn cannot(what: &str, path: &Path, error: &std::io::Error) -> Problem {
    let todo = match error.kind() {
        ErrorKind::PermissionDenied => "Run it as the user who owns the home, or name another with --home",
        ErrorKind::StorageFull => "Make room on the disk",
        _ => "Look at the directory and try again; nothing has a role yet",
    };
    Problem::new(format!("Cannot {what} {}", path.display()), error.to_string(), todo)
}
