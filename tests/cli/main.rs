//! The real binary: help, usage, exit status, what goes where.

mod at_rest;
mod config;
mod engine;
mod keeping;
#[path = "../arbiter/ports.rs"]
mod ports;
mod running;
mod talking;

use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};

/// The binary for a home of the test's own, and nothing of the tester's environment.
fn standin(home: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_standin"));
    command.env_clear().env("STANDIN_HOME", home).env("HOME", home).stdin(Stdio::null());
    command
}

fn run(home: &Path, arguments: &[&str]) -> (Option<i32>, String, String) {
    let Output { status, stdout, stderr } = standin(home).args(arguments).output().expect("the binary runs");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("output is UTF-8");
    (status.code(), text(stdout), text(stderr))
}

fn home() -> tempfile::TempDir {
    tempfile::tempdir().expect("a temporary directory")
}

/// Every command that asks a running instance.
const COMMANDS: [&[&str]; 24] = [
    &["status"],
    &["status", "--json"],
    &["status", "--watch"],
    &["stop"],
    &["stop", "--keep-role"],
    &["ha", "show"],
    &["ha", "enable"],
    &["ha", "edit", "--grace-period", "3s"],
    &["ha", "reset"],
    &["ha", "switch", "--dry-run"],
    &["ha", "become-master", "--force"],
    &["ha", "maintenance", "--for", "30m"],
    &["ha", "resume"],
    &["shadow", "show"],
    &["shadow", "edit", "--master-host", "node-a"],
    &["shadow", "connect"],
    &["shadow", "reset"],
    &["reconnect"],
    &["config", "verify"],
    &["config", "push"],
    &["config", "branches"],
    &["alerts"],
    &["alerts", "delete", "--all"],
    &["events"],
];

/// interfaces: exit status 4, one message that says what, why and what to do, and nothing on standard output.
#[test]
fn without_a_running_instance_every_command_says_so() {
    let home = home();
    for command in COMMANDS {
        let (status, out, message) = run(home.path(), command);
        assert_eq!(status, Some(4), "{command:?}: {message}");
        assert_eq!(out, "", "{command:?}");
        assert!(message.starts_with("standin: No instance runs for "), "{command:?}: {message}");
        assert!(message.contains("standin serve"), "{command:?}: {message}");
    }
}

/// interfaces: exit status 2.
#[test]
fn wrong_usage_is_2_and_names_the_right_one() {
    let home = home();
    let wrong: [&[&str]; 9] = [
        &["nonsense"],
        &["status", "--jason"],
        &["ha"],
        &["ha", "edit"],
        &["ha", "edit", "--grace-period", "3"],
        &["ha", "maintenance"],
        &["shadow", "edit", "--master-port", "0"],
        &["shadow", "connect", "--fingerprint", "SHA256:12"],
        &["alerts", "delete"],
    ];
    for arguments in wrong {
        let (status, out, message) = run(home.path(), arguments);
        assert_eq!(status, Some(2), "{arguments:?}: {message}");
        assert_eq!(out, "", "{arguments:?}");
        assert!(!message.is_empty(), "{arguments:?}");
    }
}

/// interfaces: a password is never taken from an argument, and one typed there all the same is not repeated.
#[test]
fn a_password_is_no_argument() {
    let home = home();
    for arguments in [
        &["shadow", "connect", "--user", "ops", "--password=geheim-4711"][..],
        &["shadow", "connect", "--user", "ops", "--password", "geheim-4711"],
        &["users", "set-password", "ops", "--password=geheim-4711"],
        &["users", "set-password", "ops", "geheim-4711"],
    ] {
        let (status, out, message) = run(home.path(), arguments);
        assert_eq!(status, Some(2), "{arguments:?}: {message}");
        assert!(arguments.contains(&"geheim-4711") || !format!("{out}{message}").contains("geheim"), "{message}");
    }
}

/// interfaces: the commands; what belongs to later versions is absent.
#[test]
fn help_lists_the_commands_and_only_those() {
    let home = home();
    let (status, help, message) = run(home.path(), &["--help"]);
    assert_eq!((status, &*message), (Some(0), ""));
    let listed: Vec<&str> = help
        .lines()
        .skip_while(|line| !line.starts_with("Commands:"))
        .skip(1)
        .take_while(|line| !line.is_empty())
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    let expected = [
        "serve",
        "stop",
        "setup",
        "status",
        "ha",
        "shadow",
        "reconnect",
        "config",
        "alerts",
        "events",
        "users",
        "backup",
        "restore",
        "doctor",
        "paths",
    ];
    assert_eq!(listed, expected, "{help}");
    for option in ["--home", "--settings", "--color", "--ascii", "--verbose"] {
        assert!(help.contains(option), "{option}");
    }
    assert!(help.contains("3 degraded, 4 no running instance"), "{help}");
}

#[test]
fn version_is_the_packages() {
    let (status, out, _) = run(home().path(), &["--version"]);
    assert_eq!((status, out.trim_end()), (Some(0), concat!("standin ", env!("CARGO_PKG_VERSION"))));
}

/// spec 7.8: refused without the flag, before anything is asked; says what would happen.
#[test]
fn forced_roles_without_the_flag_are_refused() {
    let home = home();
    for command in ["become-master", "become-shadow"] {
        let (status, out, message) = run(home.path(), &["ha", command]);
        assert_eq!((status, &*out), (Some(1), ""), "{message}");
        assert!(message.contains("would") && message.contains("--force"), "{message}");
    }
}

/// spec 8.1: no console without a terminal; the message names what works instead.
#[test]
fn without_a_terminal_the_console_names_the_commands() {
    let (status, out, message) = run(home().path(), &[]);
    assert_eq!((status, &*out), (Some(1), ""));
    assert!(message.contains("standin status") && message.contains("standin serve"), "{message}");
}

/// interfaces: standard output carries results; each path is absolute and in the home asked for.
#[test]
fn paths_are_those_of_the_home() {
    let home = home();
    let (status, out, message) = run(Path::new("/nowhere"), &["--home", &home.path().to_string_lossy(), "paths"]);
    assert_eq!((status, &*message), (Some(0), ""));
    let socket = out.lines().find(|line| line.starts_with("control socket")).expect("a line");
    assert!(socket.ends_with(&*home.path().join("control.sock").to_string_lossy()), "{out}");
}

/// A relative home means the same from wherever it is named.
#[test]
fn a_relative_home_is_made_absolute() {
    let home = home();
    let output = standin(home.path()).args(["--home", "h", "paths"]).current_dir(home.path()).output().expect("runs");
    let out = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(out.contains(&*home.path().join("h/standin.db").to_string_lossy()), "{out}");
}

/// interfaces: `doctor` gives 1 when something fails, with the command that mends it.
#[test]
fn doctor_finds_a_home_that_others_can_read() {
    let home = home();
    std::fs::set_permissions(home.path(), PermissionsExt::from_mode(0o777)).expect("own directory");
    let (status, out, message) = run(home.path(), &["doctor"]);
    assert_eq!((status, &*message), (Some(1), ""), "{out}");
    assert!(out.contains("FAIL") && out.contains("chmod 0700"), "{out}");
}

/// A home that is a file is trouble of its own, not "not running".
#[test]
fn a_home_that_is_no_directory_is_refused_for_serving() {
    let file = tempfile::NamedTempFile::new().expect("a file");
    let (status, _, message) = run(file.path(), &["serve"]);
    assert_eq!(status, Some(1), "{message}");
    assert!(message.contains("not a directory") && message.contains("--home"), "{message}");
}

/// interfaces: a closed pipe (`| head`) is not an error.
#[test]
fn nobody_reading_is_no_error() {
    let home = home();
    for arguments in [&["--help"][..], &["paths"]] {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        let mut child = standin(home.path())
            .args(arguments)
            .stdout(writer)
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary runs");
        let mut message = String::new();
        child.stderr.take().expect("piped").read_to_string(&mut message).expect("UTF-8");
        assert_eq!((child.wait().expect("it ends").code(), &*message), (Some(0), ""), "{arguments:?}");
    }
}

/// interfaces: nothing is asked of a pipe; the option is named instead.
#[test]
fn a_password_is_not_read_from_a_pipe_by_surprise() {
    let home = home();
    let (status, out, message) = run(home.path(), &["users", "set-password", "ops"]);
    assert_eq!((status, &*out), (Some(1), ""));
    assert!(message.contains("Nobody can be asked") && message.contains("--help"), "{message}");
}
