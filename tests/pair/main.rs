//! Real processes on two hosts (network namespaces): the pair as an operator has it. Needs root and `iproute2`.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "tests; the probe prints the gaps")]

mod addresses;
mod backup;
mod closed;
mod directory;
mod drift;
mod failover;
mod faults;
mod harness;
mod history;
mod mirroring;
mod mounted;
mod refusals;
mod roles;
mod service;
mod start;
mod watching;

use std::fs;

use harness::{Instance, LIMIT, Network, PASSWORD, USER, copy_sample};

/// A master and a shadow, set up, paired, in sync, each with a service that tells when it runs.
pub struct Pair {
    a: Instance,
    b: Instance,
    network: Network,
    // Dropped last: everything above lives in it.
    _folder: tempfile::TempDir,
}

/// What the tests usually want: fast checks, so that they are short.
pub struct Wish {
    check_interval: &'static str,
    takeover_delay: &'static str,
    boot_hold: &'static str,
    service: bool,
}

impl Default for Wish {
    fn default() -> Self {
        Self { check_interval: "200ms", takeover_delay: "500ms", boot_hold: "60s", service: true }
    }
}

impl Pair {
    /// Two homes that are set up and not started.
    fn prepared(wish: &Wish) -> Self {
        let folder = tempfile::Builder::new().prefix("standin-pair").tempdir().unwrap();
        let network = Network::new();
        let a = Instance::new(folder.path(), "a", &network.left, "10.77.0.1");
        let b = Instance::new(folder.path(), "b", &network.right, "10.77.0.2");
        copy_sample(&a.directory);
        a.setup("master", &["--enable-ha"]);
        b.setup("shadow", &["--master-host", "10.77.0.1", "--master-port", "8443"]);
        for instance in [&a, &b] {
            instance.set("high_availability", "boot_hold", wish.boot_hold);
            instance.set("shadow", "check_interval", wish.check_interval);
            instance.set("shadow", "takeover_delay", wish.takeover_delay);
            if wish.service {
                instance.with_service();
            }
        }
        Self { a, b, network, _folder: folder }
    }

    /// Started, paired with password and fingerprint, and the shadow READY.
    fn ready(wish: &Wish) -> Self {
        let mut pair = Self::prepared(wish);
        pair.a.start();
        pair.b.start();
        pair.connect();
        pair
    }

    /// Pairs `b` with `a` and waits until both say that all is well.
    fn connect(&self) {
        let fingerprint = self.a.fingerprint();
        let password = self.b.password_file(PASSWORD);
        self.b.ok(&["shadow", "connect", "--user", USER, "--password-file", &password, "--fingerprint", &fingerprint]);
        self.wait_settled(&self.a, &self.b);
    }

    /// Bytes that the cable has brought to `b`.
    fn received_by_shadow(&self) -> u64 {
        let output = std::process::Command::new("ip")
            .args(["netns", "exec", &self.b.namespace, "cat", "/proc/net/dev"])
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let line = text.lines().find_map(|line| line.trim().strip_prefix("cable:")).unwrap();
        line.split_whitespace().next().unwrap().parse().unwrap()
    }

    /// `master` is active and CONNECTED, `shadow` READY, both at the same digest.
    fn wait_settled(&self, master: &Instance, shadow: &Instance) {
        let limit = LIMIT * 2;
        master.wait_for("active, CONNECTED, in sync", limit, |status| {
            status["role"] == "master"
                && status["active"] == true
                && status["state"] == "CONNECTED"
                && status["peer"]["in_sync"] == true
        });
        // The master's of now: its status of before may have been from before its last change.
        shadow.wait_for("READY and in sync", limit, |status| {
            status["role"] == "shadow"
                && status["state"] == "READY"
                && status["configuration"]["root"] == master.status()["configuration"]["root"]
        });
    }

    /// Exactly one of the two runs its service, and it is this one.
    fn assert_runs_only_on(&self, active: &Instance, other: &Instance) {
        harness::eventually("the service runs on the active instance", || active.living_services().len() == 1);
        assert!(other.living_services().is_empty(), "{} still runs its service", other.name);
    }
}

/// Writes as an editor does: aside, then renamed.
fn edit(instance: &Instance, path: &str, bytes: &[u8]) {
    let target = instance.directory.join(path);
    fs::create_dir_all(target.parent().unwrap()).unwrap();
    let aside = target.with_extension("swp");
    fs::write(&aside, bytes).unwrap();
    fs::rename(aside, target).unwrap();
}
