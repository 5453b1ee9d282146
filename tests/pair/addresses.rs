//! Virtual addresses (spec 7.14): two hosts and a third on one network, whose traffic follows.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Output};

use super::harness::{Instance, eventually};
use super::{PASSWORD, USER, Wish};

const ADDRESS: &str = "10.78.0.100";
const SIX: &str = "fd78::100";

fn ip(arguments: &[&str]) -> String {
    let output = Command::new("ip").args(arguments).output().unwrap();
    assert!(output.status.success(), "ip {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Three hosts on a bridge. Gone when dropped.
struct Segment {
    hosts: [String; 3],
    bridge: String,
}

impl Segment {
    fn new() -> Self {
        static NEXT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        let number = NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let name = |what: &str| format!("standin-{}-seg{number}-{what}", std::process::id());
        let segment = Self { hosts: ["a", "b", "c"].map(name), bridge: name("bridge") };
        ip(&["netns", "add", &segment.bridge]);
        ip(&["-n", &segment.bridge, "link", "add", "bridge", "type", "bridge"]);
        ip(&["-n", &segment.bridge, "link", "set", "bridge", "up"]);
        for (index, host) in segment.hosts.iter().enumerate() {
            let (port, number) = (format!("port{index}"), index + 1);
            ip(&["netns", "add", host]);
            let peer = ["peer", "name", &port, "netns", &segment.bridge];
            ip(&[&["-n", host, "link", "add", "cable", "type", "veth"][..], &peer].concat());
            ip(&["-n", &segment.bridge, "link", "set", &port, "master", "bridge", "up"]);
            ip(&["-n", host, "address", "add", &format!("10.78.0.{number}/24"), "dev", "cable"]);
            ip(&["-n", host, "address", "add", &format!("fd78::{number}/64"), "dev", "cable", "nodad"]);
            ip(&["-n", host, "link", "set", "cable", "up"]);
            ip(&["-n", host, "link", "set", "lo", "up"]);
        }
        segment
    }

    fn mac(&self, host: usize) -> String {
        let text = ip(&["-n", &self.hosts[host], "-o", "link", "show", "cable"]);
        text.split_once("link/ether ").unwrap().1.split(' ').next().unwrap().to_owned()
    }

    /// What the third host believes.
    fn neighbour(&self, address: &str) -> Option<String> {
        let text = ip(&["-n", &self.hosts[2], "neighbour", "show", "to", address]);
        text.split_once("lladdr ").map(|(_, rest)| rest.split(' ').next().unwrap_or_default().to_owned())
    }

    /// The third host reaches the address.
    fn connects(&self, address: &str) -> bool {
        let script = format!("exec 3<>/dev/tcp/{address}/8443");
        let inside = ["netns", "exec", &self.hosts[2], "timeout", "1", "bash", "-c", &script];
        Command::new("ip").args(inside).output().unwrap().status.success()
    }

    fn has(&self, host: usize, address: &str) -> bool {
        ip(&["-n", &self.hosts[host], "-o", "address", "show", "dev", "cable"]).contains(&format!(" {address}/"))
    }
}

impl Drop for Segment {
    fn drop(&mut self) {
        for name in self.hosts.iter().chain([&self.bridge]) {
            let _ = Command::new("ip").args(["netns", "delete", name]).output();
        }
    }
}

fn set_addresses(instance: &Instance, value: &str) {
    let path = instance.home.join("settings.yaml");
    let text = fs::read_to_string(&path).unwrap();
    let lines: Vec<String> = text
        .lines()
        .map(|line| if line.starts_with("addresses:") { format!("addresses: {value}") } else { line.to_owned() })
        .collect();
    fs::write(&path, lines.join("\n") + "\n").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
}

fn both() -> String {
    format!("[{{address: {ADDRESS}/24, interface: cable}}, {{address: '{SIX}/64', interface: cable}}]")
}

struct Hosts {
    a: Instance,
    b: Instance,
    segment: Segment,
    _folder: tempfile::TempDir,
}

impl Hosts {
    fn ready() -> Self {
        let folder = tempfile::Builder::new().prefix("standin-address").tempdir().unwrap();
        let segment = Segment::new();
        let mut a = Instance::new(folder.path(), "a", &segment.hosts[0], "10.78.0.1");
        let mut b = Instance::new(folder.path(), "b", &segment.hosts[1], "10.78.0.2");
        fs::write(a.directory.join("one.yaml"), "a: 1\n").unwrap();
        a.setup("master", &["--enable-ha"]);
        b.setup("shadow", &["--master-host", "10.78.0.1", "--master-port", "8443"]);
        let wish = Wish::default();
        for instance in [&a, &b] {
            instance.set("shadow", "check_interval", wish.check_interval);
            instance.set("shadow", "takeover_delay", wish.takeover_delay);
            instance.set("administration", "listen", "'::'");
            set_addresses(instance, &both());
            instance.with_service();
        }
        a.start();
        b.start();
        let fingerprint = a.fingerprint();
        let password = b.password_file(PASSWORD);
        b.ok(&["shadow", "connect", "--user", USER, "--password-file", &password, "--fingerprint", &fingerprint]);
        a.wait_active();
        b.wait_role("shadow", "READY");
        Self { a, b, segment, _folder: folder }
    }
}

/// Standin, its guard, its service: as if the machine's memory had been wiped of them.
fn kill_everything(namespace: &str) {
    for pid in ip(&["netns", "pids", namespace]).lines() {
        let _ = Command::new("kill").args(["-9", pid]).output();
    }
}

/// spec 7.14: on the active instance only, before its service; the traffic of a third host follows a takeover and a switch
#[test]
fn traffic_follows_a_takeover_and_a_switch_back() {
    let Hosts { mut a, b, segment, _folder } = Hosts::ready();
    for address in [ADDRESS, SIX] {
        assert!(segment.has(0, address) && !segment.has(1, address), "{address} is on the master alone");
        eventually("the third host reaches it", || segment.connects(address));
        assert_eq!(segment.neighbour(address), Some(segment.mac(0)));
    }
    let status = a.wait("told", |status| status["addresses"][0]["announced_at"].is_string());
    assert_eq!((&status["addresses"][0]["present"], &status["addresses"][1]["present"]), (&true.into(), &true.into()));
    b.wait("could", |status| status["addresses"][0]["problem"].is_null() && status["protection"] == "full");

    a.kill();
    b.wait_active();
    for address in [ADDRESS, SIX] {
        assert!(segment.has(1, address), "{address} is on the new master");
        eventually("the guard takes it away from the old one", || !segment.has(0, address));
        // No time-out of the third host's own: its entry is replaced by the announcement.
        eventually("its table follows", || segment.neighbour(address) == Some(segment.mac(1)));
        assert!(segment.connects(address), "{address}");
    }

    let events = b.ok(&["events"]);
    assert!(events.contains("2 virtual addresses raised in"), "{events}");

    a.start();
    a.wait_role("shadow", "READY");
    assert!(!segment.has(0, ADDRESS) && !segment.has(0, SIX));
    b.wait("the shadow is ready", |status| status["protection"] == "full");
    b.ok(&["ha", "switch"]);
    a.wait_active();
    b.wait_role("shadow", "READY");
    for address in [ADDRESS, SIX] {
        assert!(segment.has(0, address) && !segment.has(1, address), "{address} is back");
        eventually("the table of the third host follows", || segment.neighbour(address) == Some(segment.mac(0)));
        assert!(segment.connects(address), "{address}");
    }
}

/// spec 7.14: found on a shadow at its start, it is taken away, though guard and Standin were both killed
#[test]
fn a_shadow_that_starts_with_the_address_takes_it_away() {
    let Hosts { mut a, b, segment, _folder } = Hosts::ready();
    assert!(segment.has(0, ADDRESS));
    kill_everything(&segment.hosts[0]);
    a.wait_for_end();
    b.wait_active();
    assert!(segment.has(0, ADDRESS), "nobody was left to take it away");
    eventually("seen by the new master", || b.status()["addresses"][0]["used_by"] == segment.mac(0).as_str());
    assert!(b.alerts().iter().any(|alert| alert["code"] == "A-003"), "{:?}", b.alerts());
    a.start();
    a.wait_role("shadow", "READY");
    assert!(!segment.has(0, ADDRESS) && !segment.has(0, SIX) && segment.has(1, ADDRESS));
}

/// spec 7.14: refused clearly without the capability, before it is needed
#[test]
fn without_the_capability_it_says_so() {
    let Hosts { mut a, mut b, segment, _folder } = Hosts::ready();
    b.ok(&["stop"]);
    b.wait_for_end();
    b.wrap = ["setpriv", "--bounding-set", "-net_admin,-net_raw"].map(str::to_owned).to_vec();
    b.start();
    let lacks = |status: &serde_json::Value| {
        status["addresses"][0]["problem"].as_str().is_some_and(|why| why.contains("CAP_NET_ADMIN"))
    };
    b.wait("says what is missing", lacks);
    b.wait_role("shadow", "READY");
    assert!(b.alerts().iter().any(|alert| alert["code"] == "A-002"), "{:?}", b.alerts());
    a.wait("the master knows", |status| status["protection"] == "reduced");
    assert!(a.alerts().iter().any(|alert| alert["code"] == "A-004"), "{:?}", a.alerts());
    let refused = a.refused(&["ha", "switch"]);
    assert!(refused.contains("virtual addresses of the shadow"), "{refused}");
    let doctor: Output = b.standin(&["doctor"]);
    let doctor = String::from_utf8_lossy(&doctor.stdout).into_owned();
    assert!(doctor.contains("virtual address") && doctor.contains("CAP_NET_ADMIN"), "{doctor}");
    // The service is worth more than its address: the takeover goes on, with an alert.
    a.kill();
    b.wait_active();
    assert!(!segment.has(1, ADDRESS));
    eventually("told", || b.alerts().iter().any(|alert| alert["code"] == "A-001"));
}

/// spec 7.14: an edit is in force at once, and what is no interface is told
#[test]
fn an_edit_is_in_force_at_once() {
    let Hosts { a, segment, .. } = &mut Hosts::ready();
    set_addresses(a, &format!("[{{address: {ADDRESS}/24, interface: eth9}}]"));
    let names = |status: &serde_json::Value| {
        status["addresses"][0]["problem"].as_str().is_some_and(|why| why.contains("no interface eth9"))
    };
    a.wait("named", names);
    assert!(!segment.has(0, ADDRESS) && !segment.has(0, SIX));
    set_addresses(a, &both());
    a.wait("back", |status| status["addresses"][1]["present"] == true);
    assert!(segment.has(0, ADDRESS) && segment.has(0, SIX));
    eventually("alerts end", || a.alerts().iter().all(|alert| alert["code"] != "A-001" || alert["is_over"] == true));
}
