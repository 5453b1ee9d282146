//! Everything that the command line asks of other rooms: the one file of `cli` that knows `node`. Each function is small and
//! blocking.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;

pub use crate::node::last_known::LastKnown;
pub use crate::node::signals;
pub use crate::node::system::own_program;
pub use crate::node::{Running, ServeOptions};

use super::arguments::ColorWhen;
use super::console::ParentLink;
use super::home::Context;
use super::output::{Exit, Failure, Outcome, note};
use super::restore::RestoreArguments;
use super::setup::{self, HomeWriter};
use crate::backup::archive::Part;
use crate::console::wizard::Wizard;
use crate::engine::base::{Digest, Problem, Role, UnixMillis};
use crate::engine::history::{DiffReport, LogEntry, Version};
use crate::engine::order::{FileContent, FileEntry, Secret};
use crate::engine::settings::VirtualAddress;
use crate::engine::settings::{Settings, read};
use crate::engine::status::LinkStep;
use crate::node::{self, home};
use crate::terminal::{self, ColorLevel, Interrupt, Scheme, Theme};

/// How long the console of a stopped engine may take to give the terminal back.
const CONSOLE_END_LIMIT: Duration = Duration::from_secs(3);

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

/// Whether systemd stops this unit when Standin ends.
///
/// # Errors
/// Why not.
pub fn unit_bound(unit: &str) -> Result<(), String> {
    node::unit_bound(unit)
}

pub use crate::node::Program;

/// A program as the start of a service would find it.
#[must_use]
pub fn find_program(program: &str, directory: &Path) -> Program {
    node::find_program(program, directory)
}

/// The process that holds the service.
///
/// # Errors
/// Never by itself.
pub fn guard(addresses: Option<(PathBuf, String)>) -> Outcome {
    match node::guard(addresses) {
        0 => Ok(Exit::Done),
        status => Ok(Exit::Status(u8::try_from(status).unwrap_or(1))),
    }
}

/// Whether this process may give files to others, as `configuration.owners` needs it.
#[must_use]
pub fn can_give_files() -> bool {
    node::can_give_files()
}

/// Why virtual addresses could not be raised here, each with its interface.
#[must_use]
pub fn address_problems(wanted: &[VirtualAddress]) -> Vec<(String, Option<String>)> {
    node::address_problems(wanted)
}

/// The role in the home's database, without starting anything; none: never set up.
///
/// # Errors
/// A database that cannot be read.
pub fn role_of(home: &Path) -> Result<Option<Role>, Problem> {
    home::role(home)
}

/// What the disk says, when nothing runs.
#[must_use]
pub fn last_known(home: &Path, settings: &Path) -> Option<LastKnown> {
    node::last_known::last_known(home, settings)
}

/// The files of the newest revision, when nothing runs.
#[must_use]
pub fn files_at_rest(home: &Path) -> Option<Vec<FileEntry>> {
    home::files(home)
}

/// One file of a revision, when nothing runs.
///
/// # Errors
/// The database cannot be read, or has no such file.
pub fn file_at_rest(home: &Path, path: &str, revision: Option<u64>) -> Result<FileContent, Problem> {
    home::file_content(home, path, revision)
}

/// Its bytes, when nothing runs.
///
/// # Errors
/// The database cannot be read, or has no such file.
pub fn bytes_at_rest(home: &Path, path: &str, revision: Option<u64>) -> Result<Vec<u8>, Problem> {
    home::file_bytes(home, path, revision)
}

/// Whether the home can be read when nothing runs there; `problem`: that nothing does.
///
/// # Errors
/// That nothing runs, where there is no database; why it cannot be read.
pub fn at_rest(home: &Path, problem: Problem) -> Result<(), Failure> {
    match home::role(home)? {
        Some(_) => Ok(()),
        None => Err(Failure::NotRunning(problem)),
    }
}

/// Revisions, newest first, when nothing runs.
///
/// # Errors
/// The database cannot be read, or the path is none.
pub fn log_at_rest(home: &Path, path: Option<&str>, before: Option<u64>, limit: u32) -> Result<Vec<LogEntry>, Problem> {
    home::log(home, path, before, limit)
}

/// How two versions differ, when nothing runs.
///
/// # Errors
/// There is no such version, or something cannot be read.
pub fn diff_at_rest(
    context: &Context,
    from: Version,
    to: Version,
    paths: Vec<String>,
    show_secrets: bool,
) -> Result<DiffReport, Problem> {
    let settings = std::fs::read_to_string(&context.settings).ok().and_then(|text| read::read(&text).ok());
    let exclude = settings.map(|settings| settings.configuration.exclude).unwrap_or_default();
    home::diff(&context.home, &context.settings, &home::Wanted { from, to, paths, exclude, show_secrets })
}

pub use crate::node::restore::Look as RestoreLook;

/// Makes a backup; `with`: the identity, the history.
///
/// # Errors
/// There is no instance, or something cannot be read or written.
pub fn backup(
    context: &Context,
    file: &Path,
    with: (bool, bool),
    force: bool,
    password: &Secret,
) -> Result<node::backup::Report, Problem> {
    let (identity, history) = with;
    let (home, settings) = (&context.home, &context.settings);
    node::backup::make(&node::backup::Wanted { home, settings, file, identity, history, force }, password)
}

fn wanted<'a>(context: &'a Context, arguments: &'a RestoreArguments, by: &'a str) -> node::restore::Wanted<'a> {
    node::restore::Wanted {
        home: &context.home,
        file: &arguments.file,
        configuration_only: arguments.configuration_only,
        identity: arguments.identity,
        history: arguments.history,
        by,
    }
}

/// What a backup would change.
///
/// # Errors
/// It cannot be opened, or is not whole.
pub fn look_into_backup(
    context: &Context,
    arguments: &RestoreArguments,
    password: &Secret,
) -> Result<RestoreLook, Problem> {
    node::restore::look(&wanted(context, arguments, ""), password)
}

/// Restores a backup while nothing runs; says what was restored.
///
/// # Errors
/// Something runs, or it cannot be read or written; nothing changed then.
pub fn restore(context: &Context, arguments: &RestoreArguments, password: &Secret) -> Result<Vec<String>, Problem> {
    let user = super::home::user_name(rustix::process::geteuid().as_raw());
    node::restore::restore(&wanted(context, arguments, &user), password)
}

/// Reads a backup to its end.
///
/// # Errors
/// It cannot be opened, is not whole, or `take` refuses a part.
pub fn read_backup(
    file: &Path,
    password: &Secret,
    take: &mut dyn FnMut(Part<'_>) -> Result<(), Problem>,
) -> Result<(), Problem> {
    node::restore::read(file, password, take)
}

/// A part that is not wanted.
///
/// # Errors
/// It cannot be read to its end.
pub fn skip(part: Part<'_>) -> Result<(), Problem> {
    node::restore::skip(part)
}

/// Of a content, as the mirror names it.
#[must_use]
pub fn digest_of(content: &[u8]) -> Digest {
    crate::mirror::digest::of_content(content)
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
    read::read(text).map_err(|mistakes| mistakes.iter().map(|mistake| mistake.told("settings.yaml")).collect())
}

/// End of validity of the own link certificate, when nothing runs.
#[must_use]
pub fn certificate_expires(home: &Path) -> Option<UnixMillis> {
    home::certificate_expires(home)
}

/// Whether the key and certificate of the link can be used, and are there where a pair needs them.
///
/// # Errors
/// Why not, and what to do.
pub fn check_identity(home: &Path) -> Result<(), Problem> {
    home::check_identity(home)
}

/// Whether there is an administrator.
///
/// # Errors
/// Why not, and what to do.
pub fn check_users(home: &Path) -> Result<(), Problem> {
    home::check_users(home)
}

/// Reaches every endpoint of the arbiter, step by step; each with its steps. `writes`: also a test key.
///
/// # Errors
/// No threads.
pub fn test_arbiter(home: &Path, settings: &Settings, writes: bool) -> Result<Vec<(String, Vec<LinkStep>)>, Problem> {
    let found = node::arbiter::test(&settings.arbiter, home::pair(home), writes)?;
    Ok(found.into_iter().map(|one| (one.endpoint, one.steps)).collect())
}

/// Names and addresses of this machine.
#[must_use]
pub fn host_names() -> Vec<String> {
    node::hosts::host_names()
}

/// That the settings file of a home with a role is lost, and the ways out; none: it is not.
#[must_use]
pub fn lost_settings(home: &Path, settings: &Path) -> Option<Problem> {
    node::lost_settings::look(home, settings)
}

/// There is no such file.
#[must_use]
pub fn is_missing(path: &Path) -> bool {
    node::lost_settings::is_missing(path)
}

/// What is known of the settings without their file.
///
/// # Errors
/// The record cannot be read.
pub fn settings_of_record(home: &Path) -> Result<Settings, Problem> {
    node::lost_settings::known(home)
}

/// Writes the commented default with these settings.
///
/// # Errors
/// They are not valid, or cannot be written.
pub fn write_settings(path: &Path, settings: &Settings) -> Result<(), Problem> {
    node::write_settings(path, settings)
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

/// Attaches a console to the instance that runs.
///
/// # Errors
/// Why the terminal or the instance cannot be used.
pub fn attached_console(context: &Context) -> Result<i32, Problem> {
    terminal::run(terminal::Options { interrupts: Some(interrupts()?), ..console_options(context, false) }).map(|_| 0)
}

/// Signals to this process, as an attached console takes them: each ends it with the terminal as it was found (spec 8.7).
fn interrupts() -> Result<Receiver<Interrupt>, Problem> {
    let (sender, receiver) = terminal::interrupts();
    signals::listen(move |caught| {
        let interrupt = match caught {
            signals::Caught::Terminate | signals::Caught::Interrupt => Interrupt::Stop,
            signals::Caught::HangUp => Interrupt::Hangup,
        };
        // A full queue already holds one that ends the console.
        let _ = sender.try_send(interrupt);
    })?;
    Ok(receiver)
}

/// Starts the engine in this process and a console on it, until both have ended. When the console is left and the engine goes
/// on, or the terminal is lost, the parent is let go and the engine goes on alone. An engine that is stopped from elsewhere
/// takes its console with it.
///
/// # Errors
/// Why the engine could not start.
pub fn embedded_console(context: &Context, parent: ParentLink) -> Result<i32, Problem> {
    let engine = start_engine(context)?;
    let (sender, receiver) = terminal::interrupts();
    let (ended, has_ended) = mpsc::channel();
    let wait = move || {
        engine.wait();
        let _ = ended.send(());
        let _ = sender.try_send(Interrupt::Stop);
        // A terminal that takes no bytes must not keep the process of a stopped engine.
        thread::sleep(CONSOLE_END_LIMIT);
        std::process::exit(0);
    };
    thread::Builder::new()
        .name("engine-end".into())
        .spawn(wait)
        .map_err(|error| Problem::new("The console cannot be opened", format!("no thread: {error}"), "Free memory."))?;
    let options = terminal::Options { interrupts: Some(receiver), ..console_options(context, true) };
    let outcome = terminal::run(options);
    if has_ended.try_recv().is_ok() {
        note("Standin was stopped, and its console with it.");
        return Ok(0);
    }
    match outcome {
        Ok(terminal::Outcome::Stop) => drop(parent),
        // The terminal may be gone, and with it the parent: nobody is left to be told of a failure.
        _ => drop(parent.detach()),
    }
    // An error says that it has ended as well.
    let _ = has_ended.recv();
    Ok(0)
}

/// Opens the wizard; true: the home was set up, false: the operator left.
///
/// # Errors
/// Why the terminal cannot be used.
pub fn wizard(context: &Context) -> Result<bool, Problem> {
    let (_, base) = setup::settings_before(&context.settings)?;
    let found = setup::found(&context.home, &base);
    let wizard = Wizard::new(found, base.clone());
    let listen = base.administration.listen;
    let home = context.home.clone();
    terminal::run_wizard(
        wizard,
        theme(context),
        Box::new(move |request| setup::find_out(request, &listen)),
        &mut |plan| setup::apply(&home, plan, &Writer).map(drop),
    )
}

fn console_options(context: &Context, embeds: bool) -> terminal::Options {
    let socket = context.home.join("control.sock");
    terminal::Options {
        connect: Box::new(move || std::os::unix::net::UnixStream::connect(&socket)),
        embeds,
        theme: theme(context),
        interrupts: None,
    }
}

/// What the command line and the environment ask for (spec 8.4).
fn theme(context: &Context) -> Theme {
    let is_mono = match context.globals.color {
        ColorWhen::Always => false,
        ColorWhen::Never => true,
        ColorWhen::Auto => std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty()),
    };
    let level = if is_mono { ColorLevel::Mono } else { ColorLevel::Ansi16 };
    let scheme = std::env::var("STANDIN_THEME").ok().and_then(|name| Scheme::named(&name)).unwrap_or_default();
    Theme { scheme, ..Theme::new(level, context.globals.ascii || !speaks_unicode()) }
}

/// The first of these that is set decides, as in every program (POSIX, locale).
fn speaks_unicode() -> bool {
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"]
        .iter()
        .find_map(|name| std::env::var(name).ok().filter(|value| !value.is_empty()));
    locale.is_some_and(|locale| {
        let locale = locale.to_ascii_lowercase();
        locale.contains("utf-8") || locale.contains("utf8")
    })
}
