//! What the shadow does beforehand: takeover checks of every kind, timeouts measured, two ways to the master.

use std::fs;
use std::process::Command;

use crate::harness::{Instance, Network, eventually};
use crate::{PASSWORD, Pair, USER, Wish};

/// spec 7.2: each kind runs beforehand, both sides show each result, and `require: all` is what it says
#[test]
fn checks_are_shown_on_both_sides_before_they_are_needed() {
    let mut pair = Pair::ready(&Wish { service: false, ..Wish::default() });
    let flag = pair.b.home.join("gateway-answers");
    fs::write(&flag, "").unwrap();
    let command = format!("[[sh, -c, 'echo looking; test -e {} && echo reached']]", flag.display());
    pair.b.set("takeover_checks", "tcp", "['10.77.0.1:8443']");
    pair.b.set("takeover_checks", "require", "all");
    pair.b.set("takeover_checks", "interval", "1s");
    pair.b.set("takeover_checks", "command", &command);
    let passes = |checks: &serde_json::Value| {
        checks.as_array().is_some_and(|list| list.len() == 2 && list.iter().all(|check| check["ok"] == true))
    };
    pair.b.wait("passing here", |status| passes(&status["takeover"]["checks"]));
    let status = pair.a.wait("passing there", |status| passes(&status["peer"]["checks"]));
    let check = &status["peer"]["checks"][1];
    assert!(check["target"].as_str().unwrap().starts_with("command sh -c"), "{check}");
    assert!(check["message"].as_str().unwrap().starts_with("reached ("), "{check}");
    pair.a.wait("protected", |status| status["protection"] == "full");

    fs::remove_file(&flag).unwrap();
    let status = pair.a.wait("no protection", |status| status["protection"] == "none");
    assert!(status["protection_message"].as_str().unwrap().contains("takeover checks"), "{status}");
    let status = pair.a.wait("which", |status| status["peer"]["checks"][1]["ok"] == false);
    assert_eq!(status["peer"]["checks"][1]["message"], "exit status 1: looking");
    eventually("told", || pair.b.stands("H-016").is_some());
    pair.a.refused(&["ha", "switch"]);
    // The delay is over, and still the shadow stays shadow; one of two passing would suffice with `any`.
    pair.a.kill();
    pair.b.wait("why", |status| status["takeover"]["why_not"].as_str().is_some_and(|why| why.contains("checks fail")));
    assert_eq!(pair.b.status()["role"], "shadow");
    // The check by TCP goes to the dead master: all can pass no more, any can.
    pair.b.set("takeover_checks", "require", "any");
    fs::write(&flag, "").unwrap();
    pair.b.wait_active();
}

/// spec 4.2: measured against the real master, also when it does not answer
#[test]
fn timeouts_are_measured_and_judged() {
    let mut pair = Pair::ready(&Wish { service: false, ..Wish::default() });
    let table = pair.b.ok(&["shadow", "check-timeouts"]);
    assert_eq!(table.matches("HOLDS").count(), 2, "{table}");
    assert!(table.contains("10.77.0.1 port 8443") && table.contains("times the slowest answer"), "{table}");
    assert!(pair.a.refused(&["shadow", "check-timeouts"]).contains("not a shadow"));
    let events = pair.a.ok(&["events"]);
    assert!(!events.contains("WARN"), "measuring alarms nobody: {events}");
    pair.a.kill();
    let output = pair.b.standin(&["shadow", "check-timeouts"]);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.code() == Some(1) && said.contains("does not answer"), "{said}");
}

/// spec 6.5: both know how far their clocks are apart; on one machine not at all
#[test]
fn the_clock_difference_is_known_on_both_sides() {
    let pair = Pair::ready(&Wish { service: false, ..Wish::default() });
    for instance in [&pair.a, &pair.b] {
        let near = |status: &serde_json::Value| {
            status["peer"]["clock_difference_ms"].as_i64().is_some_and(|ms| ms.abs() < 1_000)
        };
        instance.wait("measured", near);
        assert!(instance.alerts().iter().all(|alert| alert["code"] != "R-010"));
    }
}

fn ip(arguments: &[&str]) {
    assert!(Command::new("ip").args(arguments).status().unwrap().success(), "ip {arguments:?}");
}

/// spec 4.1, 7.1: with two ways to the master, cutting one loses nothing but an event
#[test]
fn one_way_of_two_may_be_cut() {
    let folder = tempfile::Builder::new().prefix("standin-ways").tempdir().unwrap();
    let network = Network::new();
    let peer = ["peer", "name", "second", "netns", &network.right];
    ip(&[&["-n", &network.left, "link", "add", "second", "type", "veth"][..], &peer].concat());
    for (name, address) in [(&network.left, "10.79.0.1/24"), (&network.right, "10.79.0.2/24")] {
        ip(&["-n", name, "address", "add", address, "dev", "second"]);
        ip(&["-n", name, "link", "set", "second", "up"]);
    }
    let mut a = Instance::new(folder.path(), "a", &network.left, "10.77.0.1");
    let mut b = Instance::new(folder.path(), "b", &network.right, "10.77.0.2");
    fs::write(a.directory.join("one.yaml"), "a: 1\n").unwrap();
    a.setup("master", &["--enable-ha"]);
    b.setup("shadow", &["--master-host", "10.77.0.1,10.79.0.1", "--master-port", "8443"]);
    for (key, value) in [("check_interval", "100ms"), ("takeover_delay", "3s"), ("request_timeout", "500ms")] {
        b.set("shadow", key, value);
    }
    a.start();
    b.start();
    let (fingerprint, password) = (a.fingerprint(), b.password_file(PASSWORD));
    b.ok(&["shadow", "connect", "--user", USER, "--password-file", &password, "--fingerprint", &fingerprint]);
    b.wait_role("shadow", "READY");
    assert_eq!(b.status()["peer"]["address"], "10.77.0.1");

    // The other end of the cable goes: nothing tells this side, packets just stay away.
    network.cut();
    b.wait("over the other way", |status| status["state"] == "READY" && status["peer"]["address"] == "10.79.0.1");
    network.heal();
    ip(&["-n", &network.left, "link", "set", "second", "down"]);
    b.wait("back again", |status| status["state"] == "READY" && status["peer"]["address"] == "10.77.0.1");
    let (a_status, b_status) = (a.status(), b.status());
    assert_eq!(
        (&a_status["role"], &a_status["term"], &a_status["active"]),
        (&"master".into(), &1.into(), &true.into())
    );
    assert_eq!((&b_status["role"], &b_status["term"]), (&"shadow".into(), &1.into()));
    let events = b.ok(&["events"]);
    let gaps: Vec<u64> = events
        .lines()
        .filter_map(|line| line.split_once("answers again after ")?.1.split(' ').next()?.parse().ok())
        .collect();
    assert!(gaps.len() >= 2 && gaps.iter().all(|ms| *ms < 1_000), "found before one connect timeout is over: {gaps:?}");
    eventually("no error alert stands", || {
        b.alerts().iter().all(|alert| alert["severity"] != "error" || alert["is_over"] == true)
    });
}
