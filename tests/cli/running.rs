//! A real instance without a peer: what it says of itself across restarts, and of its ports.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::ports::free_port;
use super::{home, run, standin};

/// For one condition, on a loaded machine.
const LIMIT: Duration = Duration::from_secs(30);

/// A master that was set up, and its process while it runs.
struct Master {
    folder: tempfile::TempDir,
    process: Option<Child>,
}

impl Master {
    /// On a free port; `settings` are what its file says beside that.
    fn start(settings: &str) -> Self {
        let folder = home();
        let password = folder.path().join("password");
        std::fs::write(&password, "vier rote Lampen\n").expect("own directory");
        let mut master = Self { folder, process: None };
        let password = password.display().to_string();
        let setup = ["setup", "--role", "master", "--user", "ops", "--password-file", &password];
        let (status, _, message) = run(&master.home(), &setup);
        assert_eq!(status, Some(0), "{message}");
        master.write(&format!("{}{settings}", listening(free_port())));
        master.serve();
        master
    }

    fn home(&self) -> PathBuf {
        self.folder.path().join("home")
    }

    fn beside(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, settings: &str) {
        std::fs::write(self.home().join("settings.yaml"), settings).expect("own file");
    }

    fn settings(&self) -> String {
        std::fs::read_to_string(self.home().join("settings.yaml")).expect("own file")
    }

    fn serve(&mut self) {
        let process = standin(&self.home()).arg("serve").stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        self.process = Some(process.expect("the binary runs"));
        let home = self.home();
        eventually("it answers", || run(&home, &["alerts"]).0 == Some(0));
    }

    fn stop(&mut self) {
        let (status, _, message) = run(&self.home(), &["stop"]);
        assert_eq!(status, Some(0), "{message}");
        self.process.take().expect("it runs").wait().expect("it ends");
    }

    fn status(&self) -> Value {
        serde_json::from_str(&run(&self.home(), &["status", "--json"]).1).expect("JSON")
    }

    /// An alert of this code stands, or has been and is over; none: there is none.
    fn stands(&self, code: &str) -> Option<bool> {
        let alerts: Vec<Value> = serde_json::from_str(&run(&self.home(), &["alerts", "--json"]).1).expect("JSON");
        alerts.iter().find(|alert| alert["code"] == code).map(|alert| alert["is_over"] == false)
    }
}

impl Drop for Master {
    fn drop(&mut self) {
        if let Some(mut process) = self.process.take() {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

fn listening(port: u16) -> String {
    format!("host: 127.0.0.1\nadministration:\n  listen: 127.0.0.1\n  port: {port}\n")
}

fn eventually(what: &str, is_so: impl Fn() -> bool) {
    let end = Instant::now() + LIMIT;
    while !is_so() {
        assert!(Instant::now() < end, "never: {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// The whole of a directory goes, or comes.
fn rename(from: &Path, to: &Path) {
    std::fs::rename(from, to).expect("own directory");
}

/// spec 6.2: an alert stands while its cause does: what was put right while nothing ran is over at the start
#[test]
fn what_was_put_right_while_it_was_down_is_over_at_the_start() {
    let folder = home();
    let directory = folder.path().join("mirrored");
    std::fs::create_dir(&directory).expect("own directory");
    std::fs::write(directory.join("a.yaml"), "a: 1\n").expect("own directory");
    let mut master = Master::start(&format!("configuration:\n  directory: {}\n", directory.display()));
    eventually("a revision", || master.status()["configuration"]["revision"] == 1);
    let valid = master.settings();
    master.write(&format!("{valid}nonsense: 1\n"));
    rename(&directory, &master.beside("away"));
    eventually("both are told", || ["F-005", "F-010"].iter().all(|code| master.stands(code) == Some(true)));
    master.stop();
    master.write(&valid);
    rename(&master.beside("away"), &directory);
    master.serve();
    eventually("both are over", || ["F-005", "F-010"].iter().all(|code| master.stands(code) == Some(false)));
    master.stop();
    rename(&directory, &master.beside("away"));
    master.serve();
    eventually("it is told again where it is so", || master.stands("F-005") == Some(true));
}

/// spec 2.2: what is said to be listened on is what is bound, also while another program holds the port that is set
#[test]
fn a_port_held_by_another_program_is_not_said_to_be_ours() {
    let master = Master::start("");
    let bound = master.status()["instance"]["ha_port"].as_u64().expect("a port");
    let (_, out, _) = run(&master.home(), &["doctor"]);
    assert!(out.contains(&format!("ok    port           {bound} is held by this instance")), "{out}");
    let other = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let taken = other.local_addr().expect("bound").port();
    master.write(&listening(taken));
    eventually("N-001", || master.stands("N-001") == Some(true));
    let status = master.status();
    assert_eq!(status["instance"]["ha_port"], bound, "it goes on where it was");
    assert_eq!(status["instance"]["admin_port"], bound);
    let (_, out, _) = run(&master.home(), &["status"]);
    assert!(out.contains(&format!("on {bound}, NOT on {taken} as set")) && out.contains("N-001"), "{out}");
    let (code, out, _) = run(&master.home(), &["doctor"]);
    assert_eq!(code, Some(1), "{out}");
    assert!(out.contains("Another program holds it") && !out.contains("is held by this instance"), "{out}");
    drop(other);
    eventually("taken by itself where it is free", || master.stands("N-001") == Some(false));
    assert_eq!(master.status()["instance"]["ha_port"], taken);
}
