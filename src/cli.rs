//! The command line: one file per command, all output formats. Commands talk to the running instance through
//! `HOME/control.sock`; standard output carries results only, standard error one message (interfaces, Commands).

use std::process::ExitCode;

use clap::Parser;

pub mod alerts;
pub mod arguments;
pub mod backup;
pub mod client;
pub mod config;
pub mod console;
pub mod doctor;
pub mod events;
pub mod ha;
pub mod home;
pub mod output;
pub mod password;
pub mod paths;
pub mod reconnect;
pub mod restore;
pub mod rooms;
pub mod serve;
pub mod setup;
pub mod setup_call;
pub mod shadow;
pub mod status;
pub mod stop;
pub mod terminal_input;
mod test_arbiter;
pub mod text;
pub mod users;

use arguments::{Arguments, Command};
use home::Context;
use output::{Failure, Outcome, Output};

/// The whole program: reads the arguments, runs the command, says what went wrong, and gives the exit status
/// (interfaces: 0 done, 1 refused or failed, 2 wrong usage, 3 degraded, 4 no running instance).
#[must_use]
pub fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            // Help that nobody reads to its end (`--help | head`) is no error.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    let outcome = Context::new(&arguments.globals).map_err(Failure::from).and_then(|context| {
        let mut out = Output::stdout(arguments.globals.color);
        let outcome = run(&context, arguments.command, &mut out);
        out.flush().and(outcome)
    });
    ExitCode::from(output::conclude(outcome))
}

fn run(context: &Context, command: Option<Command>, out: &mut Output) -> Outcome {
    match command {
        None => console::run(context),
        Some(Command::Serve) => serve::run(context),
        Some(Command::Stop(arguments)) => stop::run(context, &arguments, out),
        Some(Command::Setup(arguments)) => setup_call::run(context, &arguments, out),
        Some(Command::Status(arguments)) => status::run(context, &arguments, out),
        Some(Command::Ha { action }) => ha::run(context, &action, out),
        Some(Command::Shadow { action }) => shadow::run(context, &action, out),
        Some(Command::Reconnect) => reconnect::run(context, out),
        Some(Command::Config { action }) => config::run(context, &action, out),
        Some(Command::Alerts(arguments)) => alerts::run(context, &arguments, out),
        Some(Command::Events(arguments)) => events::run(context, &arguments, out),
        Some(Command::Users { action }) => users::run(context, &action, out),
        Some(Command::Backup(arguments)) => backup::run(context, &arguments, out),
        Some(Command::Restore(arguments)) => restore::run(context, &arguments, out),
        Some(Command::Doctor) => doctor::run(context, out),
        Some(Command::Paths) => paths::run(context, out),
        Some(Command::Guard { addresses, run }) => rooms::guard(addresses.zip(run)),
        Some(Command::Engine(arguments)) => console::run_child(context, &arguments),
    }
}
