//! Loss, delay and load at the default timings (spec 4.2, 7.1): no takeover that nobody needs.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, Instant};

use super::field::{Field, hear, lose};
use super::probe;
use crate::harness::{Instance, eventually};
use crate::{Pair, Wish};

/// Tells the relay where to listen, where to, and how late.
const RELAY: &str = "STANDIN_RELAY";
const DELAY_MS: u64 = 300;

/// The defaults of the settings file.
fn defaults() -> Wish {
    Wish { check_interval: "1s", takeover_delay: "3s", boot_hold: "60s", service: false }
}

/// Nothing but an event: both keep their roles, and the service its life, for so long.
fn assert_calm(a: &Instance, b: &Instance, seconds: u64) {
    let end = probe::boot_ns() + seconds * 1_000_000_000;
    eventually_calm(end, || {
        let (ours, theirs) = (a.status(), b.status());
        assert!(ours.is_null() || ours["active"] == true, "{}", a.ok(&["events"]));
        assert!(theirs.is_null() || theirs["role"] == "shadow", "{}", b.ok(&["events"]));
    });
    probe::assert_never_stopped(a);
    assert_eq!(probe::count(b), 0, "{}", b.ok(&["events"]));
}

fn eventually_calm(end: u64, look: impl Fn()) {
    while probe::boot_ns() < end {
        look();
        thread::sleep(Duration::from_millis(200));
    }
}

/// spec 7.1: a fifth of everything is lost in both directions; TCP repeats it, and nobody takes over
pub fn a_fifth_is_lost() {
    let mut pair = Pair::prepared(&defaults());
    for instance in [&pair.a, &pair.b] {
        probe::install(instance, false);
    }
    pair.a.start();
    pair.b.start();
    pair.connect();
    eventually("the service runs", || probe::runs_now(&pair.a));
    for namespace in [&pair.network.left, &pair.network.right] {
        lose(namespace, "cable", "0.2");
    }
    assert_calm(&pair.a, &pair.b, 15);
    for namespace in [&pair.network.left, &pair.network.right] {
        hear(namespace);
    }
    pair.wait_settled(&pair.a, &pair.b);
    assert_eq!(pair.a.status()["term"], 1);
}

/// Not a test: the relay, when this program is started as one.
#[test]
fn relay() {
    let Ok(words) = std::env::var(RELAY) else { return };
    let (here, there) = words.split_once(' ').unwrap();
    for client in TcpListener::bind(here).unwrap().incoming().flatten() {
        // Nobody there: the connection ends, as with any relay.
        let Ok(server) = TcpStream::connect(there) else { continue };
        for (from, to) in [(&client, &server), (&server, &client)] {
            from.set_nodelay(true).unwrap();
            pass_on(from.try_clone().unwrap(), to.try_clone().unwrap());
        }
    }
}

/// Everything, the end too, [`DELAY_MS`] later.
fn pass_on(mut from: TcpStream, mut to: TcpStream) {
    let (sender, late) = channel::<(Instant, Vec<u8>)>();
    thread::spawn(move || {
        for (at, bytes) in late {
            thread::sleep((at + Duration::from_millis(DELAY_MS)).saturating_duration_since(Instant::now()));
            if bytes.is_empty() || to.write_all(&bytes).is_err() {
                let _ = to.shutdown(Shutdown::Both);
                return;
            }
        }
    });
    thread::spawn(move || {
        let mut buffer = [0; 64 * 1024];
        loop {
            let count = from.read(&mut buffer).unwrap_or(0);
            if sender.send((Instant::now(), buffer[..count].to_vec())).is_err() || count == 0 {
                return;
            }
        }
    });
}

/// Ended when dropped.
struct Helper(Child);

impl Drop for Helper {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// spec 4.2, 7.1, 7.3: 300 ms in each direction at default timings: connected, in sync, calm; and a takeover when it is needed
pub fn far_away() {
    let mut pair = Pair::prepared(&defaults());
    for instance in [&pair.a, &pair.b] {
        probe::install(instance, false);
    }
    let relay = Command::new("ip")
        .args(["netns", "exec", &pair.network.right])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "faults::slow::relay", "--nocapture", "--test-threads=1"])
        .env(RELAY, "127.0.0.1:9443 10.77.0.1:8443")
        .stdout(Stdio::null())
        .spawn();
    let _relay = Helper(relay.unwrap());
    pair.b.set("shadow", "master_hosts", "[127.0.0.1]");
    pair.b.set("shadow", "master_port", "9443");
    pair.a.start();
    pair.b.start();
    pair.connect();
    eventually("the service runs", || probe::runs_now(&pair.a));
    assert_calm(&pair.a, &pair.b, 8);
    let status = pair.b.status();
    assert_eq!(status["state"], "READY");
    let round_trip_ms = status["peer"]["round_trip_ms"].as_f64().unwrap();
    assert!(round_trip_ms >= 2.0 * 300.0, "{round_trip_ms}");
    let events = pair.b.ok(&["events"]);
    assert!(!events.contains("lost"), "{events}");
    pair.a.kill();
    pair.b.wait_active();
    eventually("the service runs", || probe::runs_now(&pair.b));
    probe::prove_no_overlap("300 ms away", [&pair.a, &pair.b]);
}

/// spec 7.12: a load of 8 on 2 cores at default timings, the third vote's too: no takeover, no isolation
pub fn starved_of_processor_time() {
    let pair = Pair::prepared(&defaults());
    for instance in [&pair.a, &pair.b] {
        probe::install(instance, false);
    }
    let field = Field::with_defaults(pair);
    eventually("the service runs", || probe::runs_now(&field.a));
    let load = || Helper(Command::new("sh").args(["-c", "while :; do :; done"]).spawn().unwrap());
    let loads: Vec<Helper> = (0..8).map(|_| load()).collect();
    assert_calm(&field.a, &field.b, 20);
    drop(loads);
    field.wait_whole(&field.a, &field.b);
    assert_eq!(field.a.status()["term"], 1);
    field.prove("starved");
}
