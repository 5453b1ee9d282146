//! A file of the configuration in the operator's editor, and what happens to the terminal (spec 5.2, 8.1, 8.7).

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use rustix::process::Signal;

use super::home::{Home, signal};
use super::terminal::{LIMIT, Terminal, comes_true};

const FILE: &str = "orders.yaml";
const TEXT: &str = "host: app17\n";

/// A master with one file, in a console that started its engine or is attached to it; its editor is this script, which has
/// the file as `$1` and a directory to leave traces in as `$TRACES`.
fn console(home: &mut Home, script: &str, attached: bool) -> (Terminal, PathBuf) {
    let editor = home.directory.with_file_name("editor");
    let traces = home.directory.with_file_name("traces");
    fs::create_dir_all(&traces).unwrap();
    fs::write(&editor, format!("#!/bin/sh\necho $$ > \"$TRACES/process\"\n{script}\n")).unwrap();
    fs::set_permissions(&editor, fs::Permissions::from_mode(0o755)).unwrap();
    fs::write(home.directory.join(FILE), TEXT).unwrap();
    let (editor, traces_text) = (editor.display().to_string(), traces.display().to_string());
    let environment = [
        ("VISUAL", ""),
        ("EDITOR", editor.as_str()),
        ("TRACES", traces_text.as_str()),
        ("TMPDIR", traces_text.as_str()),
    ];
    let terminal = if attached {
        home.serve();
        home.console_with(&environment, 80, 24)
    } else {
        home.started_console(&environment)
    };
    terminal.press("3", &["[3 Configuration]", FILE, "app17"]);
    (terminal, traces)
}

fn content(home: &Home) -> String {
    fs::read_to_string(home.directory.join(FILE)).unwrap_or_default()
}

fn copies(traces: &Path) -> Vec<PathBuf> {
    let all = fs::read_dir(traces).unwrap().flatten().map(|entry| entry.path());
    all.filter(|path| path.file_name().unwrap().to_string_lossy().starts_with("standin-edit-")).collect()
}

fn process(traces: &Path) -> u32 {
    let mut process = None;
    comes_true(LIMIT, || {
        process = fs::read_to_string(traces.join("process")).ok().and_then(|text| text.trim().parse().ok());
        process.is_some()
    });
    process.expect("the editor runs")
}

/// The editor has the terminal as it was found, and alone: every key is its; what it leaves is one revision by who sits there.
fn edit_round(attached: bool) {
    let mut home = Home::new_master();
    let script = "stat -c %a \"$1\" > \"$TRACES/mode\"\necho EDITOR RUNS\nread line\necho \"host: $line\" > \"$1\"";
    let (terminal, traces) = console(&mut home, script, attached);
    terminal.press("e", &["EDITOR RUNS"]);
    assert!(!terminal.is_full_screen(), "the editor has the terminal as it was found");
    // `q` would leave the console, `5` show another screen.
    terminal.type_text("q5\r");
    terminal.wait_for(&["[3 Configuration]", "Revision 2: 1 path changed", "q5"]);
    assert_eq!(content(&home), "host: q5\n");
    assert_eq!(fs::read_to_string(traces.join("mode")).unwrap().trim(), "600");
    assert!(comes_true(LIMIT, || copies(&traces).is_empty()), "the copy has served: {:?}", copies(&traces));
    let log = home.standin(&["config", "log"]);
    let log = String::from_utf8_lossy(&log.stdout).into_owned();
    assert!(!log.lines().next().unwrap_or_default().contains("directory"), "by an operator:\n{log}");
    // The keys are the console's again.
    terminal.press("1", &["[1 Overview]"]);
}

/// spec 5.2, 8.7
#[test]
fn an_attached_console_gives_the_terminal_to_the_editor_and_takes_it_back() {
    edit_round(true);
}

/// spec 5.2, 8.1
#[test]
fn a_console_that_started_its_engine_does_too() {
    edit_round(false);
}

/// spec 8.1, 8.7: an editor that is killed, or stops its whole job as some do, costs the engine nothing.
#[test]
fn an_editor_that_dies_or_is_suspended_gives_the_terminal_back() {
    let mut home = Home::new_master();
    let script = "echo \"half: done\" > \"$1\"\necho EDITOR RUNS\nwhile read line; do echo \"HEARD $line\"; done";
    let (terminal, traces) = console(&mut home, script, false);
    let engine = home.engine();
    terminal.press("e", &["EDITOR RUNS"]);
    // Ctrl-Z: the terminal stops the job that is in its foreground.
    terminal.type_text("\x1a");
    terminal.wait_for(&["[3 Configuration]", "The editor is suspended"]);
    assert!(terminal.is_full_screen());
    assert_eq!(home.engine(), engine, "the engine answers");
    terminal.type_text("e");
    terminal.wait_until("the editor is back", |_| !terminal.is_full_screen());
    terminal.press("again\r", &["HEARD again"]);
    signal(process(&traces), Signal::KILL);
    let screen = terminal.wait_for(&["The editor did not end well", "signal 9", "kept in"]);
    assert!(!screen.contains("HEARD"), "the screen is whole again:\n{screen}");
    assert_eq!(content(&home), TEXT, "nothing was changed");
    assert_eq!(copies(&traces).len(), 1, "what it had written is kept");
    assert_eq!(home.engine(), engine);
    terminal.press("\x1b1", &["[1 Overview]"]);
}

/// A change that came while the editor was open is not overwritten.
#[test]
fn a_file_that_changed_meanwhile_is_a_conflict() {
    let mut home = Home::new_master();
    let script = "echo EDITOR RUNS\nread line\necho \"host: mine\" > \"$1\"";
    let (terminal, traces) = console(&mut home, script, true);
    terminal.press("e", &["EDITOR RUNS"]);
    fs::write(home.directory.join(FILE), "host: theirs\n").unwrap();
    home.wait_for_revision(2);
    terminal.type_text("\r");
    terminal.wait_for(&["was not changed", "kept in"]);
    assert_eq!(content(&home), "host: theirs\n");
    let kept = copies(&traces);
    assert_eq!(fs::read_to_string(kept[0].join(FILE)).unwrap(), "host: mine\n");
}
