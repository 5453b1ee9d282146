//! Starts commands for the guard and the hooks, and says in words why one would not start or how it ended.

use std::io;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use rustix::process::Signal;

use super::raw;

/// Variables of Standin's own that would mislead a command: readiness and watchdog belong to Standin's unit.
const NOT_PASSED_ON: [&str; 5] = ["NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "LISTEN_FDS", "LISTEN_PID"];

/// Starts `argv` in its own process group, output into pipes, nothing on its input, killed with the calling *thread*.
///
/// # Errors
/// In a sentence: why it could not be started.
pub fn spawn(argv: &[String], directory: &Path, env: &[(String, String)]) -> Result<Child, String> {
    let Some((program, arguments)) = argv.split_first() else { return Err("the command is empty".into()) };
    let mut command = Command::new(program);
    command
        .args(arguments)
        .current_dir(directory)
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    for name in NOT_PASSED_ON {
        command.env_remove(name);
    }
    command.envs(env.iter().map(|(name, value)| (name, value)));
    raw::die_with_parent(&mut command);
    command.spawn().map_err(|error| why_not(program, directory, &error))
}

/// The kernel says "no such file" for a missing directory, program and interpreter alike: look which it was.
fn why_not(program: &str, directory: &Path, error: &io::Error) -> String {
    let is_path = program.contains('/');
    let file = directory.join(program);
    match error.kind() {
        _ if !directory.exists() => format!("the working directory {} does not exist", directory.display()),
        _ if !directory.is_dir() => format!("the working directory {} is not a directory", directory.display()),
        io::ErrorKind::NotFound if !is_path => format!("{program} was not found in PATH"),
        io::ErrorKind::NotFound if file.exists() => {
            format!("the interpreter of {program} (its first line, or its loader) was not found")
        }
        io::ErrorKind::NotFound => format!("{program} does not exist"),
        io::ErrorKind::PermissionDenied if is_path && file.is_dir() => {
            format!("{program} is a directory, not a program")
        }
        io::ErrorKind::PermissionDenied => {
            format!("{program} is not executable for this user, or the directory {} is closed", directory.display())
        }
        _ if error.raw_os_error() == Some(ENOEXEC) => {
            format!("{program} is no program of this machine, and a script without a #! line")
        }
        _ => format!("{program} could not be started: {error}"),
    }
}

const ENOEXEC: i32 = 8;

/// `exit status 1`, `killed by signal 9 (KILL)`.
#[must_use]
pub fn ended(exit: Option<i32>, signal: Option<i32>) -> String {
    match (exit, signal) {
        (Some(status), _) => format!("exit status {status}"),
        (_, Some(number)) => match SIGNALS.iter().find(|(_, signal)| signal.as_raw() == number) {
            Some((name, _)) => format!("killed by signal {number} ({name})"),
            None => format!("killed by signal {number}"),
        },
        _ => "ended, unknown how".into(),
    }
}

/// Names of signals.
const SIGNALS: [(&str, Signal); 13] = [
    ("TERM", Signal::TERM),
    ("INT", Signal::INT),
    ("QUIT", Signal::QUIT),
    ("HUP", Signal::HUP),
    ("USR1", Signal::USR1),
    ("USR2", Signal::USR2),
    ("KILL", Signal::KILL),
    ("SEGV", Signal::SEGV),
    ("ABRT", Signal::ABORT),
    ("BUS", Signal::BUS),
    ("FPE", Signal::FPE),
    ("ILL", Signal::ILL),
    ("PIPE", Signal::PIPE),
];

/// How many of [`SIGNALS`] may be a stop signal: those a program can handle and the settings allow.
const STOP_SIGNALS: usize = 6;

/// A stop signal by its name, with or without `SIG`.
#[must_use]
pub fn stop_signal(name: &str) -> Option<Signal> {
    let name = name.strip_prefix("SIG").unwrap_or(name);
    SIGNALS[..STOP_SIGNALS].iter().find(|(known, _)| *known == name).map(|(_, signal)| *signal)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn failure(argv: &str, directory: &Path) -> String {
        spawn(&[argv.to_owned()], directory, &[]).map(|mut child| child.wait()).unwrap_err()
    }

    /// spec 7.13; the brief of errors: what is wrong, exactly
    #[test]
    fn a_start_that_fails_says_why() {
        let home = tempfile::tempdir().unwrap();
        let at = |name: &str| home.path().join(name).to_string_lossy().into_owned();
        assert_eq!(failure("no-such-program-here", home.path()), "no-such-program-here was not found in PATH");
        assert_eq!(failure(&at("none"), home.path()), format!("{} does not exist", at("none")));
        assert!(failure("true", Path::new("/no/such")).contains("working directory /no/such does not exist"));

        fs::write(at("plain"), "#!/bin/sh\n").unwrap();
        assert!(failure(&at("plain"), home.path()).contains("is not executable"));
        fs::write(at("script"), "#!/no/such/interpreter\n").unwrap();
        fs::set_permissions(at("script"), fs::Permissions::from_mode(0o755)).unwrap();
        assert!(failure(&at("script"), home.path()).contains("interpreter of"));
        assert!(failure(&home.path().to_string_lossy(), home.path()).contains("is a directory"));
        assert_eq!(spawn(&[], home.path(), &[]).unwrap_err(), "the command is empty");
    }

    #[test]
    fn signals_have_names() {
        assert_eq!(stop_signal("TERM"), Some(Signal::TERM));
        assert_eq!(stop_signal("SIGUSR2"), Some(Signal::USR2));
        assert_eq!(stop_signal("KILL"), None, "asks nobody to end");
        assert_eq!(ended(Some(3), None), "exit status 3");
        assert_eq!(ended(None, Some(9)), "killed by signal 9 (KILL)");
    }
}
