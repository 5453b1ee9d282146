//! `standin` without a command: the console (spec 8.1). It attaches to the instance that runs; in a home without role it
//! opens the wizard; else it shows the last known state and asks before it starts an engine.

use std::io::{self, IsTerminal};

use clap::Args;

use super::client::Client;
use super::home::{Context, refuse_foreign};
use super::output::{Exit, Failure, Outcome, note};
use super::rooms;
use super::status::describe;
use super::terminal_input::confirm;
use super::text::wall_now;
use crate::engine::base::Problem;

mod parent;
mod parent_link;

pub use parent_link::ParentLink;

/// Name of the hidden command that is the child.
pub const CHILD_COMMAND: &str = "engine-console";

/// `standin engine-console`.
#[derive(Debug, Args)]
pub struct ChildArguments {
    /// Where the parent listens.
    #[arg(long)]
    pub parent: String,
}

/// Attaches, or starts and attaches.
///
/// # Errors
/// No terminal, a home of someone else, an engine that does not start.
pub fn run(context: &Context) -> Outcome {
    refuse_without_terminal()?;
    match Client::connect(&context.home) {
        // The console makes a connection of its own; this one only proved that somebody answers.
        Ok(_) => return Ok(exit(rooms::attached_console(context)?)),
        Err(Failure::NotRunning(_)) => {}
        Err(failure) => return Err(failure),
    }
    refuse_foreign(&context.home)?;
    if rooms::role_of(&context.home)?.is_none() {
        if !rooms::wizard(context)? {
            return Ok(Exit::Done);
        }
    } else if !agreed_to_start(context)? {
        note("Not started. To run it without a console: standin serve");
        return Ok(Exit::Done);
    }
    parent::run(context)
}

/// The child: the engine with a console, in the parent's process group, until it is left alone.
///
/// # Errors
/// Started by hand, or an engine that does not start.
pub fn run_child(context: &Context, arguments: &ChildArguments) -> Outcome {
    refuse_foreign(&context.home)?;
    let link = ParentLink::connect(&arguments.parent)?;
    rooms::signals::shrug_off_terminal()?;
    Ok(exit(rooms::embedded_console(context, link)?))
}

fn exit(status: i32) -> Exit {
    Exit::Status(u8::try_from(status).unwrap_or(1))
}

fn refuse_without_terminal() -> Result<(), Problem> {
    let why = if !io::stdin().is_terminal() || !io::stdout().is_terminal() {
        "standard input or standard output is not a terminal"
    } else if std::env::var("TERM").is_ok_and(|term| term == "dumb") {
        "this terminal is a dumb one (TERM=dumb)"
    } else {
        return Ok(());
    };
    Err(Problem::new(
        "The console cannot be opened",
        why,
        "For one look: standin status. To run the engine without a console: standin serve. All commands: standin --help",
    ))
}

/// Starting an instance starts a service, or takes a role: never by surprise.
fn agreed_to_start(context: &Context) -> Result<bool, Problem> {
    note(&format!("No instance runs for {}.", context.home.display()));
    if let Some(last) = rooms::last_known(&context.home, &context.settings) {
        note("As last written:");
        for row in describe::rows_at_rest(&last.status, last.settings.as_ref(), wall_now()) {
            note(&format!("  {:<15}{}{}", row.label, row.word, row.rest));
        }
    }
    confirm("Start it here? [y/N] ", &["y", "yes"])
}
