//! With real processes: the test program plays the child by running one of its own tests.

use std::io::{Read, Write};
use std::time::Duration;

use super::super::ParentLink;
use super::*;

const NAME: &str = "STANDIN_TEST_PARENT_LINK";
const ACT: &str = "STANDIN_TEST_CHILD_ACTS";

/// Not a test: the child of the tests below.
#[test]
fn child() {
    let (Ok(name), Ok(act)) = (std::env::var(NAME), std::env::var(ACT)) else { return };
    let link = ParentLink::connect(&name).unwrap();
    match &*act {
        "leave" => {
            link.detach().unwrap();
            // Left running: until the test has seen it and ends it.
            thread::sleep(Duration::from_secs(60));
        }
        "wait" => {
            std::io::stdout().write_all(b"waiting\n").unwrap();
            thread::sleep(Duration::from_secs(60));
        }
        _ => std::process::exit(7),
    }
}

fn start(act: &str, listener: &ChildListener) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "cli::console::parent::tests::child", "--nocapture"]);
    command.env(NAME, &listener.name).env(ACT, act).stdout(std::process::Stdio::null());
    command
}

fn supervised(act: &str, first: Option<Caught>) -> Outcome {
    let listener = ChildListener::new().unwrap();
    let (sender, news) = mpsc::channel();
    if let Some(caught) = first {
        sender.send(News::Caught(caught)).unwrap();
    }
    let child = start(act, &listener).spawn().unwrap();
    supervise(child, listener, sender, &news)
}

/// spec 8.1: the parent's exit status is the engine's.
#[test]
fn the_exit_status_of_the_child_is_the_parents() {
    assert_eq!(supervised("exit", None).unwrap(), Exit::Status(7));
}

/// spec 8.1: left running, the shell gets its prompt back and the engine goes on in a session of its own.
#[test]
fn a_child_that_was_left_goes_on_without_the_parent() {
    let listener = ChildListener::new().unwrap();
    let mut child = start("leave", &listener).spawn().unwrap();
    assert!(listener.wait_for_word(child.id()).unwrap());
    assert!(child.try_wait().unwrap().is_none(), "it goes on");
    let pid = Pid::from_child(&child);
    assert_eq!(rustix::process::getsid(Some(pid)).unwrap(), pid, "in a session of its own");
    let stdin = std::fs::read_link(format!("/proc/{}/fd/0", child.id())).unwrap();
    assert_eq!(stdin, std::path::Path::new("/dev/null"));
    child.kill().unwrap();
    child.wait().unwrap();
}

/// spec 7.9: SIGTERM to the parent reaches the engine.
#[test]
fn a_request_to_end_is_handed_on() {
    let failure = supervised("wait", Some(Caught::Terminate)).unwrap_err();
    assert!(failure.problem().unwrap().why.contains("signal 15"), "{failure:?}");
}

/// spec 8.1: a lost terminal ends the parent alone.
#[test]
fn a_hang_up_leaves_the_child_alone() {
    let listener = ChildListener::new().unwrap();
    let (sender, news) = mpsc::channel();
    sender.send(News::Caught(Caught::HangUp)).unwrap();
    let mut command = start("wait", &listener);
    let (mut reader, writer) = std::io::pipe().unwrap();
    command.stdout(writer);
    let child = command.spawn().unwrap();
    // The command holds the writing end of the pipe too.
    drop(command);
    let pid = Pid::from_child(&child);
    assert_eq!(supervise(child, listener, sender, &news).unwrap(), Exit::Done);
    // Its word comes only if it is alive after the parent's work ended.
    let mut said = Vec::new();
    let mut byte = [0];
    while !said.ends_with(b"waiting") && reader.read(&mut byte).unwrap() == 1 {
        said.push(byte[0]);
    }
    assert!(said.ends_with(b"waiting"));
    rustix::process::kill_process(pid, Signal::KILL).unwrap();
}

/// Only the child's own word counts: the name of the socket is no secret on this machine.
#[test]
fn a_strangers_word_is_not_taken() {
    let listener = ChildListener::new().unwrap();
    let mut stranger = ParentLink::connect(&listener.name).unwrap();
    stranger.say_left().unwrap();
    let mut child = start("exit", &listener).spawn().unwrap();
    assert!(!listener.wait_for_word(child.id()).unwrap(), "the child said nothing");
    child.wait().unwrap();
}
