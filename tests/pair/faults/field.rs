//! A pair and an etcd on three hosts, each with a cable to each of the others.

use std::fs::File;
use std::ops::{Deref, DerefMut};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::probe;
use crate::harness::{Instance, Network, eventually};
use crate::{Pair, Wish};

/// Where etcd is, for both: beyond either one's own cable.
const VOTE: &str = "10.77.9.3";
/// The settings of these tests; the promise that follows is 3.04 s, the lease 4 s.
pub const HOLD_MS: u64 = 1_500;
pub const STOP_BUDGET_MS: u64 = 1_500;

fn run(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().unwrap_or_else(|error| panic!("{program}: {error}"));
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments:?}: {error}");
    String::from_utf8(output.stdout).unwrap()
}

/// Silently drops what arrives in `namespace` over `device`: a cut of one direction that nobody is told of.
pub fn deafen(namespace: &str, device: &str) {
    filter(namespace, &["-A", "INPUT", "-i", device, "-j", "DROP"]);
}

/// Loses a part of what arrives there, by chance.
pub fn lose(namespace: &str, device: &str, probability: &str) {
    let chance = ["-m", "statistic", "--mode", "random", "--probability", probability, "-j", "DROP"];
    filter(namespace, &[&["-A", "INPUT", "-i", device][..], &chance].concat());
}

/// Everything arrives again.
pub fn hear(namespace: &str) {
    filter(namespace, &["-F", "INPUT"]);
}

fn filter(namespace: &str, rule: &[&str]) {
    run("ip", &[&["netns", "exec", namespace, "iptables", "-w", "20"][..], rule].concat());
}

/// The third host, with an etcd that its test may kill, stop and wipe.
pub struct Witness {
    namespace: String,
    folder: PathBuf,
    child: Option<Child>,
}

impl Witness {
    fn beside(network: &Network, folder: PathBuf) -> Self {
        let namespace = format!("{}-vote", network.left);
        run("ip", &["netns", "add", &namespace]);
        let witness = Self { namespace, folder, child: None };
        let name = &witness.namespace;
        run("ip", &["-n", name, "link", "set", "lo", "up"]);
        run("ip", &["-n", name, "address", "add", &format!("{VOTE}/32"), "dev", "lo"]);
        for (host, device, net) in [(&network.left, "left", "10.77.1"), (&network.right, "right", "10.77.2")] {
            let (here, there) = (format!("{net}.3"), format!("{net}.1"));
            run("ip", &["-n", name, "link", "add", device, "type", "veth", "peer", "name", "vote", "netns", host]);
            run("ip", &["-n", name, "address", "add", &format!("{here}/24"), "dev", device]);
            run("ip", &["-n", host, "address", "add", &format!("{there}/24"), "dev", "vote"]);
            run("ip", &["-n", name, "link", "set", device, "up"]);
            run("ip", &["-n", host, "link", "set", "vote", "up"]);
            run("ip", &["-n", host, "route", "add", VOTE, "via", &here]);
        }
        witness
    }

    /// The cable to `left` or `right` is pulled, or plugged in again.
    pub fn link(&self, device: &str, is_up: bool) {
        run("ip", &["-n", &self.namespace, "link", "set", device, if is_up { "up" } else { "down" }]);
    }

    pub fn start(&mut self) {
        let url = format!("http://{VOTE}:2379");
        let peer = "http://127.0.0.1:2380";
        let log = File::options().create(true).append(true).open(self.folder.join("etcd.log")).unwrap();
        let mut command = Command::new("ip");
        command
            .args(["netns", "exec", &self.namespace, "etcd", "--name", "vote", "--data-dir"])
            .arg(self.folder.join("etcd"))
            .args(["--listen-client-urls", &url, "--advertise-client-urls", &url])
            .args(["--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer])
            .args(["--initial-cluster", &format!("vote={peer}"), "--unsafe-no-fsync"])
            .args(["--heartbeat-interval", "50", "--election-timeout", "250"])
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log);
        self.child = Some(command.spawn().expect("etcd: tests/run installs it (package etcd-server)"));
    }

    pub fn signal(&self, signal: &str) {
        run("kill", &[&format!("-{signal}"), &self.child.as_ref().unwrap().id().to_string()]);
    }

    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    pub fn wipe(&mut self) {
        self.kill();
        std::fs::remove_dir_all(self.folder.join("etcd")).unwrap();
    }
}

impl Drop for Witness {
    fn drop(&mut self) {
        self.kill();
        let _ = Command::new("ip").args(["netns", "delete", &self.namespace]).output();
    }
}

/// A pair whose service is the probe, and its third vote.
pub struct Field {
    pair: Pair,
    pub vote: Witness,
}

impl Deref for Field {
    type Target = Pair;

    fn deref(&self) -> &Pair {
        &self.pair
    }
}

impl DerefMut for Field {
    fn deref_mut(&mut self) -> &mut Pair {
        &mut self.pair
    }
}

/// Fast checks, a short boot hold and a probe that ends when asked.
pub fn wish() -> Wish {
    Wish { check_interval: "100ms", takeover_delay: "500ms", boot_hold: "60s", service: false }
}

/// Both homes with the timing of these tests and the probe, not started.
pub fn prepared(wish: &Wish, is_stubborn: bool) -> Pair {
    let pair = Pair::prepared(wish);
    for instance in [&pair.a, &pair.b] {
        instance.set("shadow", "connect_timeout", "300ms");
        instance.set("shadow", "request_timeout", "300ms");
        instance.set("service", "stop_grace", "200ms");
        probe::install(instance, is_stubborn);
    }
    pair
}

impl Field {
    /// Started, paired, in sync, confirmed by etcd.
    pub fn ready(is_stubborn: bool) -> Self {
        Self::of(prepared(&wish(), is_stubborn))
    }

    /// The same with homes that are prepared otherwise, not started.
    pub fn of(pair: Pair) -> Self {
        for instance in [&pair.a, &pair.b] {
            let (hold, budget) = (format!("{HOLD_MS}ms"), format!("{STOP_BUDGET_MS}ms"));
            for (key, value) in [("hold", &hold[..]), ("stop_budget", &budget), ("request_timeout", "700ms")] {
                instance.set("arbiter", key, value);
            }
        }
        Self::with_defaults(pair)
    }

    /// The same at the timing that the homes have.
    pub fn with_defaults(pair: Pair) -> Self {
        let folder = pair.a.home.parent().unwrap().to_owned();
        let mut vote = Witness::beside(&pair.network, folder);
        vote.start();
        for instance in [&pair.a, &pair.b] {
            instance.set("arbiter", "endpoints", &format!("['http://{VOTE}:2379']"));
        }
        let mut field = Self { pair, vote };
        field.a.start();
        field.b.start();
        field.connect();
        field.wait_vote();
        field
    }

    /// Both hear the arbiter, and it has a vote.
    pub fn wait_vote(&self) {
        for instance in [&self.a, &self.b] {
            instance.wait("the arbiter answers", |status| {
                status["arbiter"]["state"] == "ok" && status["protection"] == "full"
            });
        }
    }

    /// The longest that a failover may take here, as the operator is told, and a margin for a loaded test machine.
    pub fn longest(&self) -> Duration {
        let told = self.b.status()["arbiter"]["longest_failover_ms"].as_u64().unwrap();
        Duration::from_millis(told + 1_000)
    }

    /// Settled, protected again, and the service runs there and nowhere else.
    pub fn wait_whole(&self, master: &Instance, shadow: &Instance) {
        self.wait_settled(master, shadow);
        self.wait_vote();
        eventually("the service runs on the master", || probe::runs_now(master));
        assert!(!probe::runs_now(shadow), "{} runs the service too", shadow.name);
    }

    /// See [`probe::prove_no_overlap`].
    pub fn prove(&self, what: &str) {
        probe::prove_no_overlap(what, [&self.a, &self.b]);
    }
}
