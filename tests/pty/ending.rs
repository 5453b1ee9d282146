//! How a console ends, and what then goes on (spec 8.1, 8.7).

use rustix::process::Signal;

use super::home::{BINARY, Home, signal};
use super::terminal::Terminal;

const ESC: &str = "\x1b";

/// spec 8.1: `q` leaves the engine running, the shell gets its prompt back, the next `standin` attaches; 8.7.
#[test]
fn leaving_leaves_the_engine_running_and_the_next_one_attaches() {
    let home = Home::with_role("127.0.0.1", "master", &[]);
    let mut first = home.started_console(&[]);
    let engine = home.engine().unwrap();
    first.press("q", &["Leave the console"]);
    first.type_text(ESC);
    first.wait_until("Esc never quits", |screen| !screen.contains("Leave the console"));
    first.press("q", &["Leave it running"]);
    first.type_text("\t\r");
    assert!(first.wait_for_end().success());
    first.wait_for_restored();
    first.wait_for(&["goes on without a console"]);
    drop(first);

    let mut second = home.console(80, 24);
    second.wait_for(&["[1 Overview]", "MASTER", "term 1"]);
    assert_eq!(home.engine(), Some(engine), "the same engine");
    // It did not start the engine: nothing to ask.
    second.type_text("q");
    assert!(second.wait_for_end().success());
    second.wait_for_restored();
    assert_eq!(home.engine(), Some(engine));
}

/// spec 8.1: leaving may also stop the engine; 7.9.
#[test]
fn leaving_can_stop_the_engine() {
    let mut home = Home::with_role("127.0.0.1", "master", &[]);
    let mut terminal = home.started_console(&[]);
    terminal.press("q", &["Leave the console", "Stop Standin"]);
    terminal.type_text("\t\t");
    terminal.type_text("\r");
    assert!(terminal.wait_for_end().success());
    terminal.wait_for_restored();
    home.wait_for_end();
}

/// spec 8.1: the embedded engine goes on without its console when the terminal is lost, and the next `standin` attaches.
#[test]
fn a_lost_terminal_costs_the_engine_nothing() {
    let home = Home::with_role("127.0.0.1", "master", &[]);
    let mut terminal = home.started_console(&[]);
    let engine = home.engine().unwrap();
    terminal.hang_up();
    terminal.wait_for_end();
    let again = home.console(80, 24);
    again.wait_for(&["[1 Overview]", "MASTER"]);
    assert_eq!(home.engine(), Some(engine), "the same engine");
}

/// spec 8.7, 8.1: a fault in the drawing code restores the terminal, says so, and costs the engine nothing.
#[test]
fn a_fault_in_the_drawing_code_costs_the_engine_nothing() {
    let home = Home::with_role("127.0.0.1", "master", &[]);
    let mut terminal = home.started_console(&[("STANDIN_TEST_PANIC_DRAW", "1")]);
    let engine = home.engine().unwrap();
    terminal.type_text("!");
    terminal.wait_for_end();
    terminal.wait_for_restored();
    terminal.wait_for(&["the console failed", "attaches to it again"]);
    assert_eq!(home.engine(), Some(engine), "the same engine");
    let again = home.console(80, 24);
    again.wait_for(&["[1 Overview]", "MASTER"]);
}

/// spec 8.7: a signal leaves the terminal as it was found; an attached console takes nothing with it.
#[test]
fn a_signal_ends_an_attached_console_alone() {
    let mut home = Home::with_role("127.0.0.1", "master", &[]);
    home.serve();
    let engine = home.engine().unwrap();
    for kind in [Signal::TERM, Signal::INT, Signal::HUP] {
        let mut terminal = home.console(80, 24);
        terminal.wait_for(&["[1 Overview]", "MASTER"]);
        signal(terminal.process(), kind);
        let status = terminal.wait_for_end();
        terminal.wait_for_restored();
        assert!(status.success(), "{kind:?}: it ends by itself: {status}");
        assert_eq!(home.engine(), Some(engine), "{kind:?}");
    }
}

/// spec 7.9, 8.7: SIGTERM is the planned stop of an engine that a console started.
#[test]
fn sigterm_stops_an_embedded_engine_by_plan() {
    let mut home = Home::with_role("127.0.0.1", "master", &[]);
    let mut terminal = home.started_console(&[]);
    signal(terminal.process(), Signal::TERM);
    terminal.wait_for_end();
    terminal.wait_for_restored();
    home.wait_for_end();
}

/// spec 8.1: Ctrl-Z gives an attached console's terminal to the shell, `fg` draws everything anew.
#[test]
fn an_attached_console_can_be_suspended() {
    let mut home = Home::with_role("127.0.0.1", "master", &[]);
    home.serve();
    let mut shell = Terminal::start(&["sh", "-i"], &[], 80, 24);
    shell.wait_for(&["prompt>"]);
    shell.press(&format!("{BINARY} --home {}\r", home.path.display()), &["[1 Overview]", "MASTER"]);
    shell.press("\x1a", &["Stopped", "prompt> "]);
    assert!(!shell.is_full_screen());
    shell.press("fg\r", &["[1 Overview]", "MASTER"]);
    assert!(shell.is_full_screen());
    shell.press("2", &["[2 High Availability]"]);
    shell.type_text("q");
    shell.wait_until("the prompt", |screen| screen.trim_end().ends_with("prompt>"));
    shell.type_text("exit\r");
    shell.wait_for_end();
}

/// spec 8.1: Ctrl-Z does not stop an embedded engine, and the console says why.
#[test]
fn an_embedded_engine_is_not_suspended() {
    let home = Home::with_role("127.0.0.1", "master", &[]);
    let terminal = home.started_console(&[]);
    terminal.press("\x1a", &["Ctrl-Z does not suspend"]);
    terminal.press("2", &["[2 High Availability]"]);
}

/// spec 8.8: when the engine goes away the console stays, says so, and finds it again.
#[test]
fn an_engine_that_goes_away_is_waited_for() {
    let mut home = Home::with_role("127.0.0.1", "master", &[]);
    home.serve();
    let terminal = home.console(80, 24);
    terminal.wait_for(&["[1 Overview]", "MASTER"]);
    home.kill_engine();
    terminal.wait_for(&["engine AWAY, reconnecting", "s old", "Protection   UNKNOWN", "DOES NOT ANSWER"]);
    home.serve();
    terminal.wait_until("its status again", |screen| screen.contains("MASTER") && !screen.contains("AWAY"));
    terminal.press("2", &["[2 High Availability]"]);
}
