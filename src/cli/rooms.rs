//! Everything that the command line asks of other rooms: the one file of `cli` that knows `node` and `terminal`. Each
//! function is small and blocking.
//!
//! INTEGRATOR: every function marked so is a place to call the room it names; until then it says that it cannot.

use std::path::{Path, PathBuf};

pub use crate::node::signals;

use super::console::ParentLink;
use super::home::Context;
use super::output::{Failure, Outcome};
use crate::engine::base::{Problem, Role, UnixMillis};
use crate::engine::order::{FileContent, FileEntry, Secret};
use crate::engine::settings::Settings;
use crate::engine::status::Status;

/// What an engine is started with.
#[derive(Clone, Debug)]
pub struct ServeOptions {
    /// The home.
    pub home: PathBuf,
    /// The settings file.
    pub settings: PathBuf,
    /// How many `-v`.
    pub verbose: u8,
}

impl ServeOptions {
    /// Of this command line.
    #[must_use]
    pub fn of(context: &Context) -> Self {
        Self { home: context.home.clone(), settings: context.settings.clone(), verbose: context.globals.verbose }
    }
}

fn absent(what: &str) -> Problem {
    Problem::new(what, "this build does not contain it yet", "")
}

/// Runs the engine until it is stopped. INTEGRATOR: `node::serve(options) -> Result<i32, Problem>`.
///
/// # Errors
/// Why it could not start.
pub fn serve(_options: &ServeOptions) -> Result<i32, Problem> {
    Err(absent("The engine cannot be started"))
}

/// Attaches a console to the instance that runs. INTEGRATOR: `terminal::run`, attached.
///
/// # Errors
/// Why the terminal or the instance cannot be used.
pub fn attached_console(_context: &Context) -> Result<i32, Problem> {
    Err(absent("The console cannot be opened"))
}

/// Starts the engine in this process and a console on it, until both have ended. When the console is left and the engine
/// goes on, or the terminal is lost, call `parent.detach()` after the terminal was restored, and go on without a console.
/// INTEGRATOR: `node::start_embedded` and `terminal::run`, embedded.
///
/// # Errors
/// Why the engine could not start.
pub fn embedded_console(_context: &Context, _parent: ParentLink) -> Result<i32, Problem> {
    Err(absent("The engine cannot be started"))
}

/// Opens the wizard; true: the home was set up, false: the operator left. INTEGRATOR: `terminal` with `console::wizard`,
/// then `cli::setup::apply`.
///
/// # Errors
/// Why the terminal cannot be used or the home not be written.
pub fn wizard(_context: &Context) -> Result<bool, Problem> {
    Err(absent("The first start cannot be asked for on the terminal"))
}

/// The process that holds the service. INTEGRATOR: `node::guard() -> i32`, which calls `service::guard::main`.
///
/// # Errors
/// Never by itself.
pub fn guard() -> Outcome {
    Err(Failure::Problem(absent("The service cannot be guarded")))
}

/// The role in the home's database, without starting anything; none: never set up. INTEGRATOR: `node::role_of(home)`.
///
/// # Errors
/// A database that cannot be read.
pub fn role_of(_home: &Path) -> Result<Option<Role>, Problem> {
    Ok(None)
}

/// What the home's database last knew, when nothing runs. INTEGRATOR: `node::last_known(home) -> Option<Status>`.
#[must_use]
pub fn last_known(_home: &Path) -> Option<Status> {
    None
}

/// The files of the newest revision, when nothing runs. INTEGRATOR: from the store, read only.
#[must_use]
pub fn files_at_rest(_home: &Path) -> Option<Vec<FileEntry>> {
    None
}

/// One file of a revision, when nothing runs. INTEGRATOR: from the store, read only.
#[must_use]
pub fn file_at_rest(_home: &Path, _path: &str, _revision: Option<u64>) -> Option<FileContent> {
    None
}

/// One local user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalUser {
    /// To log on with.
    pub name: String,
    /// `administrator`, `display`, `monitoring`.
    pub role: String,
}

/// The local users. INTEGRATOR: `access::Users::load(home)` through the node.
///
/// # Errors
/// A user file that cannot be read.
pub fn users(_home: &Path) -> Result<Vec<LocalUser>, Problem> {
    Err(absent("The users cannot be listed"))
}

/// Sets a password while nothing runs. INTEGRATOR: `access::Users::set_password` through the node.
///
/// # Errors
/// No such user, a password against spec 1.2, a file that cannot be written.
pub fn set_password(_home: &Path, _user: &str, _password: &Secret) -> Result<(), Problem> {
    Err(absent("The password was not changed: no instance runs, and without one it cannot be set"))
}

/// The settings of a text, with every problem at once. INTEGRATOR: add `engine::settings::table::validate`.
///
/// # Errors
/// All problems.
pub fn settings_of(text: &str) -> Result<Settings, Vec<Problem>> {
    serde_yaml::from_str(text).map_err(|error| {
        vec![Problem::new("The settings file is not valid", error.to_string(), "Mend the line and run this again.")]
    })
}

/// End of validity of the own link certificate, when nothing runs. INTEGRATOR: `identity` through the node.
#[must_use]
pub fn certificate_expires(_home: &Path) -> Option<UnixMillis> {
    None
}

/// Names and addresses of this machine. INTEGRATOR: `cli::host_names()` of the setup.
#[must_use]
pub fn host_names() -> Option<Vec<String>> {
    None
}
