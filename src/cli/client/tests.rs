use std::os::unix::net::UnixListener;
use std::thread;

use super::*;

/// An engine of one connection: welcomes, then does what the test says.
fn engine(home: &Path, act: impl FnOnce(UnixStream) + Send + 'static) -> thread::JoinHandle<()> {
    let listener = UnixListener::bind(socket(home)).unwrap();
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        control::write(&mut stream, &ServerFrame::Welcome { version: "9.9.9".into(), process: 42 }).unwrap();
        act(stream);
    })
}

fn why(failure: &Failure) -> String {
    failure.problem().unwrap().to_string()
}

/// interfaces: exit status 4 when nothing runs, whatever was left behind.
#[test]
fn nothing_running_is_told_apart_from_trouble() {
    let home = tempfile::tempdir().unwrap();
    let failure = Client::connect(&home.path().join("none")).unwrap_err();
    assert!(matches!(failure, Failure::NotRunning(_)) && why(&failure).contains("no such home"));
    let failure = Client::connect(home.path()).unwrap_err();
    assert!(matches!(failure, Failure::NotRunning(_)) && why(&failure).contains("no control socket"));
    drop(UnixListener::bind(socket(home.path())).unwrap());
    let failure = Client::connect(home.path()).unwrap_err();
    assert!(matches!(failure, Failure::NotRunning(_)) && why(&failure).contains("left-over"));
    let long = home.path().join("x".repeat(120));
    std::fs::create_dir(&long).unwrap();
    let failure = Client::connect(&long).unwrap_err();
    assert!(matches!(failure, Failure::Problem(_)) && why(&failure).contains("shorter path"), "{failure:?}");
}

/// interfaces: commands talk to the running instance.
#[test]
fn an_order_gets_its_own_reply_between_news() {
    let home = tempfile::tempdir().unwrap();
    let engine = engine(home.path(), |mut stream| {
        let ClientFrame::Order { id, order } = control::read(&mut stream).unwrap() else { panic!("no order") };
        assert_eq!(order, Order::Reconnect);
        let reply = |id, text: &str| ServerFrame::Reply { id, outcome: Ok(Reply::Done(text.into())) };
        for frame in [ServerFrame::Events(vec![]), reply(id + 7, "another's"), reply(id, "Transferring.")] {
            control::write(&mut stream, &frame).unwrap();
        }
    });
    let mut client = Client::connect(home.path()).unwrap();
    assert_eq!((client.version.as_str(), client.process), ("9.9.9", 42));
    assert_eq!(client.order(Order::Reconnect).unwrap(), Reply::Done("Transferring.".into()));
    assert!(client.wait_for_end(Duration::from_secs(10)));
    engine.join().unwrap();
}

/// spec 8.1: an engine that does not answer never holds a command for ever.
#[test]
fn a_silent_engine_is_given_up() {
    let home = tempfile::tempdir().unwrap();
    let (release, wait) = std::sync::mpsc::channel::<()>();
    let engine = engine(home.path(), move |_stream| {
        let _ = wait.recv();
    });
    let mut client = Client::connect(home.path()).unwrap();
    let problem = client.order_within(Order::Status, Duration::from_millis(50)).unwrap_err();
    assert!(problem.why.contains("may still be carried out"), "{problem}");
    drop(release);
    engine.join().unwrap();
}

#[test]
fn the_refusal_of_the_instance_is_handed_on() {
    let home = tempfile::tempdir().unwrap();
    let refusal = Problem::new("Not switched", "the shadow is LOST", "Wait until it is READY.");
    let sent = refusal.clone();
    let engine = engine(home.path(), move |mut stream| {
        let ClientFrame::Order { id, .. } = control::read(&mut stream).unwrap() else { panic!("no order") };
        control::write(&mut stream, &ServerFrame::Reply { id, outcome: Err(sent) }).unwrap();
    });
    assert_eq!(Client::connect(home.path()).unwrap().order(Order::Switch { dry_run: false }).unwrap_err(), refusal);
    engine.join().unwrap();
}
