//! Commands with an instance that answers.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use standin::engine::base::{Fingerprint, Problem, Role, Term};
use standin::engine::event::{Event, EventKind, Severity};
use standin::engine::order::{MasterSeen, Order, Rehearsal, Reply};
use standin::engine::status::{PeerStatus, Protection, Status};

use super::engine::Engine;
use super::{home, run};

fn fingerprint(byte: &str) -> Fingerprint {
    byte.repeat(32).parse().expect("a fingerprint")
}

fn shadow(peer: Option<PeerStatus>) -> Reply {
    Reply::Status(Box::new(Status { role: Some(Role::Shadow), peer, ..Status::default() }))
}

fn unexpected(order: &Order) -> Result<Reply, Problem> {
    Err(Problem::new("Not expected", format!("{order:?}"), ""))
}

/// interfaces: exit status 0 healthy, 3 degraded; `--json` is the whole status.
#[test]
fn status_is_healthy_or_degraded() {
    for (protection, expected) in [(Protection::Full, 0), (Protection::None, 3)] {
        let home = home();
        let status = Status { role: Some(Role::Master), protection, ..Status::default() };
        let told = status.clone();
        let _engine = Engine::start(home.path(), move |_| Ok(Reply::Status(Box::new(told.clone()))));
        let (code, out, message) = run(home.path(), &["status"]);
        assert_eq!((code, &*message), (Some(expected), ""));
        assert!(out.contains(protection.word()), "{out}");
        let (code, out, _) = run(home.path(), &["status", "--json"]);
        assert_eq!(code, Some(expected));
        assert_eq!(serde_json::from_str::<Status>(&out).expect("JSON"), status);
    }
}

fn unpaired_shadow(home: &Path) -> Engine {
    Engine::start(home, |order| match order {
        Order::Status => Ok(shadow(None)),
        Order::Probe { .. } => Ok(Reply::MasterSeen(MasterSeen {
            host: "node-a".into(),
            port: 8443,
            address: "10.1.4.20".into(),
            fingerprint: fingerprint("5a"),
            version: "0.1.0".into(),
            role: Some(Role::Master),
            same_network: true,
        })),
        Order::Pair { .. } => Ok(Reply::Done("Paired.".into())),
        order => unexpected(order),
    })
}

fn connect(home: &Path, seen: &str) -> (Option<i32>, String, String) {
    connect_with(home, seen, 0o600)
}

fn connect_with(home: &Path, seen: &str, mode: u32) -> (Option<i32>, String, String) {
    let file = home.join("password");
    std::fs::write(&file, "correct horse battery\n").expect("own directory");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).expect("own file");
    let fingerprint = fingerprint(seen).to_string();
    let path = file.to_string_lossy();
    run(home, &["shadow", "connect", "--user", "ops", "--password-file", &*path, "--fingerprint", &*fingerprint])
}

/// spec 3.1: user and password are sent only after the fingerprint was found equal.
#[test]
fn the_password_goes_only_to_the_master_that_was_meant() {
    let right = home();
    let engine = unpaired_shadow(right.path());
    let (code, out, message) = connect(right.path(), "5a");
    assert_eq!((code, &*out, &*message), (Some(0), "Paired.\n", ""));
    let paired = engine.orders().into_iter().find_map(|order| match order {
        Order::Pair { user, password, fingerprint } => Some((user, password.expose().to_owned(), fingerprint)),
        _ => None,
    });
    assert_eq!(paired, Some(("ops".into(), "correct horse battery".into(), fingerprint("5a"))));

    let wrong = home();
    let engine = unpaired_shadow(wrong.path());
    let (code, _, message) = connect(wrong.path(), "c4");
    assert_eq!(code, Some(1));
    for whole in [fingerprint("5a"), fingerprint("c4")] {
        assert!(message.contains(&whole.to_string()), "{message}");
    }
    assert!(!engine.orders().iter().any(|order| matches!(order, Order::Pair { .. })), "nothing was sent");
}

/// spec 3.1: without an option nobody can have compared it, and nothing is sent.
#[test]
fn without_a_compared_fingerprint_nothing_is_sent() {
    let home = home();
    let engine = unpaired_shadow(home.path());
    let (code, _, message) = run(home.path(), &["shadow", "connect", "--user", "ops"]);
    assert_eq!(code, Some(1));
    assert!(message.contains("--fingerprint") && message.contains(&fingerprint("5a").to_string()), "{message}");
    assert!(!engine.orders().iter().any(|order| matches!(order, Order::Pair { .. })));
}

/// spec 9.4: a password file that others can read is taken, and told of.
#[test]
fn a_password_file_open_to_others_is_told_of() {
    let home = home();
    let _engine = unpaired_shadow(home.path());
    let (code, out, message) = connect_with(home.path(), "5a", 0o644);
    assert_eq!((code, &*out), (Some(0), "Paired.\n"));
    assert!(message.contains("can be read by other users") && message.contains("chmod 600"), "{message}");
}

/// spec 3.2: once paired, connecting needs no password.
#[test]
fn a_paired_shadow_connects_without_a_password() {
    let home = home();
    let engine = Engine::start(home.path(), |order| match order {
        Order::Status => Ok(shadow(Some(PeerStatus { fingerprint: Some(fingerprint("5a")), ..PeerStatus::default() }))),
        Order::Connect => Ok(Reply::Done("Connecting.".into())),
        order => unexpected(order),
    });
    let (code, out, message) = run(home.path(), &["shadow", "connect"]);
    assert_eq!((code, &*out, &*message), (Some(0), "Connecting.\n", ""));
    assert_eq!(engine.orders(), [Order::Status, Order::Connect]);
}

fn master(home: &Path, possible: bool) -> Engine {
    Engine::start(home, move |order| match order {
        Order::Switch { dry_run: true } => Ok(Reply::Rehearsal(Rehearsal {
            possible,
            new_master: "node-b".into(),
            term: Term(8),
            checks: vec![],
            gap: "Expected gap 0.3 s".into(),
            steps: vec!["changes are frozen".into()],
        })),
        Order::Status => Ok(Reply::Status(Box::default())),
        Order::Switch { dry_run: false } => Ok(Reply::Done("node-b is master.".into())),
        order => unexpected(order),
    })
}

/// spec 7.7: every check first; what is not possible is not tried; a dry run is only that.
#[test]
fn a_switch_is_rehearsed_first() {
    let switched = Order::Switch { dry_run: false };
    for (possible, arguments, expected, is_done) in [
        (true, &["ha", "switch"][..], 0, true),
        (true, &["ha", "switch", "--dry-run"], 0, false),
        (false, &["ha", "switch"], 1, false),
        (false, &["ha", "switch", "--dry-run"], 1, false),
    ] {
        let home = home();
        let engine = master(home.path(), possible);
        let (code, out, message) = run(home.path(), arguments);
        assert_eq!(code, Some(expected), "{arguments:?} {message}");
        assert!(out.contains("changes are frozen"), "{out}");
        assert_eq!(message.is_empty(), possible, "{message}");
        assert_eq!(engine.orders()[0], Order::Switch { dry_run: true });
        assert_eq!(engine.orders().contains(&switched), is_done, "{arguments:?}");
    }
}

/// spec 7.9: `stop` ends when the instance has, not before.
#[test]
fn stop_waits_for_the_end() {
    let home = home();
    let engine = Engine::start(home.path(), |_| Ok(Reply::Done("Stopped.".into())));
    let (code, out, message) = run(home.path(), &["stop", "--keep-role"]);
    assert_eq!((code, &*out, &*message), (Some(0), "Stopped.\n", ""));
    assert_eq!(engine.orders(), [Order::Stop { keep_role: true }]);
}

/// interfaces: a refusal is one message with what, why and what to do, and exit status 1.
#[test]
fn a_refusal_is_handed_on_word_for_word() {
    let home = home();
    let refusal = || Problem::new("Not reset", "node-b is connected", "Disconnect it first.");
    let _engine = Engine::start(home.path(), move |_| Err(refusal()));
    let (code, out, message) = run(home.path(), &["ha", "reset"]);
    assert_eq!((code, &*out), (Some(1), ""));
    assert_eq!(message, "standin: Not reset: node-b is connected\n  Disconnect it first.\n");
}

/// What follows in a pipe has ended: `--follow` ends at once, not at the next event.
#[test]
fn a_closed_pipe_ends_what_follows() {
    for arguments in [&["events", "--follow"][..], &["status", "--watch"]] {
        let home = home();
        let _engine = Engine::start(home.path(), |_| Ok(Reply::Events(Vec::new())));
        let mut command = super::standin(home.path());
        let mut child = command.args(arguments).stdout(std::process::Stdio::piped()).spawn().expect("it starts");
        drop(child.stdout.take());
        let end = std::time::Instant::now() + std::time::Duration::from_secs(10);
        while child.try_wait().expect("it can be waited for").is_none() {
            if std::time::Instant::now() > end {
                let _ = child.kill();
                panic!("{arguments:?} goes on although nobody reads");
            }
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
    }
}

/// All pages, each event once.
#[test]
fn events_are_read_to_their_end() {
    let event = |id| Event {
        id,
        at: standin::engine::base::UnixMillis(0),
        kind: EventKind::Program,
        severity: Severity::Information,
        text: format!("number {id}"),
        who: None,
        timeline: Vec::new(),
    };
    let home = home();
    let engine = Engine::start(home.path(), move |order| match order {
        Order::Events { after, limit } => {
            Ok(Reply::Events((after + 1..=1_200).take(*limit as usize).map(event).collect()))
        }
        order => unexpected(order),
    });
    let (code, out, _) = run(home.path(), &["events", "--json"]);
    assert_eq!((code, out.lines().count()), (Some(0), 1_200));
    assert_eq!(engine.orders().len(), 3);
}
