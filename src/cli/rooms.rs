//! Everything that the command line asks of other rooms: the one file of `cli` that knows `node`. Each function is small and
//! blocking.

use std::path::Path;

pub use crate::node::signals;
pub use crate::node::{Running, ServeOptions};

use super::home::Context;
use super::output::{Exit, Failure, Outcome};
use super::setup::HomeWriter;
use crate::engine::base::{Problem, Role, UnixMillis};
use crate::engine::order::{FileContent, FileEntry, Secret};
use crate::engine::settings::{Settings, file};
use crate::engine::status::Status;
use crate::node::{self, home};

/// What an engine is started with. `has_terminal`: a console may be in this process.
#[must_use]
pub fn serve_options(context: &Context, has_terminal: bool) -> ServeOptions {
    ServeOptions {
        home: context.home.clone(),
        settings: context.settings.clone(),
        verbose: context.globals.verbose,
        has_terminal,
    }
}

/// Runs the engine until it is stopped.
///
/// # Errors
/// Why it could not start.
pub fn serve(context: &Context) -> Result<i32, Problem> {
    node::serve(&serve_options(context, false))
}

/// Starts the engine in this process.
///
/// # Errors
/// Why it could not start.
pub fn start_engine(context: &Context) -> Result<Running, Problem> {
    node::start(&serve_options(context, true))
}

/// The process that holds the service.
///
/// # Errors
/// Never by itself.
pub fn guard() -> Outcome {
    match node::guard() {
        0 => Ok(Exit::Done),
        status => Ok(Exit::Status(u8::try_from(status).unwrap_or(1))),
    }
}

/// The role in the home's database, without starting anything; none: never set up.
///
/// # Errors
/// A database that cannot be read.
pub fn role_of(home: &Path) -> Result<Option<Role>, Problem> {
    home::role(home)
}

/// What the home's database last knew, when nothing runs.
#[must_use]
pub fn last_known(home: &Path, settings: &Path) -> Option<Status> {
    home::last_known(home, settings)
}

/// The files of the newest revision, when nothing runs.
#[must_use]
pub fn files_at_rest(home: &Path) -> Option<Vec<FileEntry>> {
    home::files(home)
}

/// One file of a revision, when nothing runs.
#[must_use]
pub fn file_at_rest(home: &Path, path: &str, revision: Option<u64>) -> Option<FileContent> {
    home::file_content(home, path, revision)
}

/// One local user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalUser {
    /// To log on with.
    pub name: String,
    /// `administrator`, `display`, `monitoring`.
    pub role: String,
}

/// The local users.
///
/// # Errors
/// A user file that cannot be read.
pub fn users(home: &Path) -> Result<Vec<LocalUser>, Problem> {
    let users = home::users(home)?;
    Ok(users.into_iter().map(|(name, role)| LocalUser { name, role: role.to_owned() }).collect())
}

/// Sets a password while nothing runs.
///
/// # Errors
/// No such user, a password against spec 1.2, a file that cannot be written.
pub fn set_password(home: &Path, user: &str, password: &Secret) -> Result<(), Problem> {
    home::set_password(home, user, password)
}

/// The settings of a text, with every problem at once.
///
/// # Errors
/// All problems.
pub fn settings_of(text: &str) -> Result<Settings, Vec<Problem>> {
    file::parse(text).map_err(|faults| {
        let problem = |fault: &file::Fault| {
            Problem::new("The settings file is not valid", fault.to_string(), "Mend the line and run this again.")
        };
        faults.iter().map(problem).collect()
    })
}

/// End of validity of the own link certificate, when nothing runs.
#[must_use]
pub fn certificate_expires(home: &Path) -> Option<UnixMillis> {
    home::certificate_expires(home, "")
}

/// Names and addresses of this machine.
#[must_use]
pub fn host_names() -> Vec<String> {
    node::hosts::host_names()
}

/// A new identity for a copied home (spec 7.6).
///
/// # Errors
/// Something runs there, or it cannot be written.
pub fn new_identity(home: &Path, host: &str) -> Result<Vec<String>, Problem> {
    home::new_identity(home, host)
}

/// Writes what other rooms own at a first start.
pub struct Writer;

impl HomeWriter for Writer {
    fn role(&self, home: &Path) -> Result<Option<Role>, Problem> {
        home::role(home)
    }

    fn users(&self, home: &Path, user: &str, password: &Secret) -> Result<(), Problem> {
        home::make_users(home, user, password)
    }

    fn identity(&self, home: &Path, host: &str) -> Result<(), Problem> {
        home::make_identity(home, host)
    }

    fn database(&self, home: &Path, role: Role) -> Result<(), Problem> {
        home::make_database(home, role)
    }
}

/// All problems of a failed setup as one.
#[must_use]
pub fn together(problems: Vec<Problem>) -> Failure {
    let mut list = problems.into_iter();
    let Some(first) = list.next() else { return Failure::Problem(Problem::new("Nothing was set up", "unknown", "")) };
    let rest: Vec<Problem> = list.collect();
    if rest.is_empty() {
        return Failure::Problem(first);
    }
    let lines: Vec<String> = std::iter::once(&first)
        .chain(&rest)
        .map(|problem| format!("\n  {}: {}. {}", problem.what, problem.why, problem.todo))
        .collect();
    Failure::Problem(Problem::new("Nothing was set up", lines.concat(), "Correct all of these and run it again."))
}
