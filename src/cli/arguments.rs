//! What may be typed: every command, option and limit, for clap. Commands that do not exist yet are absent, not stubs.

use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use clap::builder::{OsStringValueParser, TypedValueParser};
use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::mirror::path::shown;

use super::{alerts, config, console, events, ha, shadow, status, stop, users};

const AFTER_HELP: &str = "\
Without a command the console opens: it attaches to the instance that runs for this home, or offers to start one.

Exit status: 0 done, 1 refused or failed, 2 wrong usage, 3 degraded, 4 no running instance.";

/// The command line.
#[derive(Debug, Parser)]
#[command(
    name = "standin",
    version,
    about = "Two-machine high availability for one on-premise service: a master, a shadow, and a console",
    after_help = AFTER_HELP,
    disable_help_subcommand = true,
    max_term_width = 100
)]
pub struct Arguments {
    /// Options that every command takes.
    #[command(flatten)]
    pub globals: Globals,
    /// None: the console.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// Options that every command takes; in every help they stand last.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Everywhere")]
pub struct Globals {
    /// Home of the instance [default: /var/lib/standin for root, else ~/.local/state/standin; or STANDIN_HOME]
    #[arg(long, global = true, value_name = "DIR", env = "STANDIN_HOME", hide_env = true, display_order = 100)]
    pub home: Option<PathBuf>,
    /// Settings file [default: settings.yaml in the home]
    #[arg(long, global = true, value_name = "FILE", display_order = 101)]
    pub settings: Option<PathBuf>,
    /// Colours: auto (unless NO_COLOR is set), always, never
    #[arg(
        long,
        global = true,
        value_name = "WHEN",
        default_value = "auto",
        hide_possible_values = true,
        hide_default_value = true,
        display_order = 102
    )]
    pub color: ColorWhen,
    /// Draw the console with ASCII alone
    #[arg(long, global = true, display_order = 103)]
    pub ascii: bool,
    /// Log more; twice: still more
    #[arg(short = 'v', long = "verbose", global = true, action = clap::ArgAction::Count, display_order = 104)]
    pub verbose: u8,
}

/// `--color`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum ColorWhen {
    /// On a terminal that can, unless `NO_COLOR` is set.
    #[default]
    Auto,
    /// Also into a pipe.
    Always,
    /// Never.
    Never,
}

/// Every command (interfaces, Commands).
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the engine without a console, as systemd does
    Serve,
    /// Stop the running instance by plan: the shadow takes over at once
    Stop(stop::StopArguments),
    /// First start without questions
    Setup(super::setup::SetupArgs),
    /// One look; exit status 0 healthy, 3 degraded, 4 not running
    Status(status::StatusArguments),
    /// High availability: settings, switch, forced roles, maintenance
    Ha {
        /// What.
        #[command(subcommand)]
        action: ha::HaAction,
    },
    /// The shadow's connection to its master
    Shadow {
        /// What.
        #[command(subcommand)]
        action: shadow::ShadowAction,
    },
    /// Drop the link and do a complete transfer, from either side
    Reconnect,
    /// The mirrored configuration
    Config {
        /// What.
        #[command(subcommand)]
        action: config::ConfigAction,
    },
    /// Open alerts, newest first
    Alerts(alerts::AlertsArguments),
    /// What happened, oldest first
    Events(events::EventsArguments),
    /// Local users
    Users {
        /// What.
        #[command(subcommand)]
        action: users::UsersAction,
    },
    /// One encrypted file with configuration, settings and users
    Backup(super::backup::BackupArguments),
    /// Bring back what `backup` has kept; says first what that changes
    Restore(super::restore::RestoreArguments),
    /// Check this machine and this home, and say what to do
    Doctor,
    /// Where everything is
    Paths,
    /// The process that holds the service; started by Standin alone
    #[command(hide = true)]
    Guard {
        /// The note of the virtual addresses to take away when Standin is gone
        #[arg(long)]
        addresses: Option<std::path::PathBuf>,
        /// The run of Standin that wrote it
        #[arg(long)]
        run: Option<String>,
    },
    /// The engine with a console in a process of its own; started by Standin alone
    #[command(hide = true, name = "engine-console")]
    Engine(console::ChildArguments),
}

/// For clap: `250ms`, `3s`, `2m`, `1h` as milliseconds.
///
/// # Errors
/// Says how a duration is written.
pub fn duration_ms(text: &str) -> Result<u64, String> {
    crate::engine::settings::duration::parse(text)
}

/// For clap: a path inside the mirrored directory, as `config list` writes it (spec 5.4). One that is no UTF-8 is taken byte for
/// byte, as a shell hands over a name that it has completed.
#[must_use]
pub fn inner_path() -> impl TypedValueParser<Value = String> {
    OsStringValueParser::new().map(|raw| raw.into_string().unwrap_or_else(|raw| shown(raw.as_bytes())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn clap_accepts_the_declaration() {
        Arguments::command().debug_assert();
    }

    /// interfaces: a password is never an argument.
    #[test]
    fn no_option_anywhere_takes_a_password() {
        fn walk(command: &clap::Command) {
            for argument in command.get_arguments() {
                let name = argument.get_long().unwrap_or_default();
                assert!(
                    !name.contains("password") || name.ends_with("-file") || name.ends_with("-fd"),
                    "{}: --{name}",
                    command.get_name()
                );
            }
            command.get_subcommands().for_each(walk);
        }
        walk(&Arguments::command());
    }
}
