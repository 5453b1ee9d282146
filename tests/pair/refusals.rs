//! What must not work says so where the operator is, and changes nothing.

use std::io::{Read, Write};
use std::time::{Duration, Instant};

use crate::harness::{Instance, Network, PASSWORD, USER, copy_sample, eventually};
use crate::{Pair, Wish};

/// spec 2.3, 3.3: a shadow from another host is refused, and both sides' values are named.
#[test]
fn the_wrong_host() {
    let mut pair = Pair::prepared(&Wish { service: false, ..Wish::default() });
    pair.a.start();
    pair.b.start();
    pair.a.ok(&["ha", "edit", "--permitted-shadow-host", "10.77.0.99"]);
    let (fingerprint, password) = (pair.a.fingerprint(), pair.b.password_file(PASSWORD));
    let said = pair.b.refused(&[
        "shadow",
        "connect",
        "--user",
        USER,
        "--password-file",
        &password,
        "--fingerprint",
        &fingerprint,
    ]);
    assert!(said.contains("10.77.0.99") && said.contains("10.77.0.2"), "{said}");
    pair.a.ok(&["ha", "edit", "--any-shadow-host"]);
    pair.connect();
}

/// spec 2.7, 3.3: one shadow per master; a third instance is refused.
#[test]
fn a_third_instance() {
    let pair = Pair::ready(&Wish { service: false, ..Wish::default() });
    let folder = tempfile::tempdir().unwrap();
    let mut third = Instance::new(folder.path(), "c", &pair.network.right, "10.77.0.2");
    third.setup("shadow", &["--master-host", "10.77.0.1", "--master-port", "8443", "--admin-port", "8553"]);
    third.start();
    let (fingerprint, password) = (pair.a.fingerprint(), third.password_file(PASSWORD));
    let said = third.refused(&[
        "shadow",
        "connect",
        "--user",
        USER,
        "--password-file",
        &password,
        "--fingerprint",
        &fingerprint,
    ]);
    assert!(said.contains("shadow"), "{said}");
    assert_eq!(pair.b.status()["state"], "READY", "the pair is not disturbed");
}

/// spec 7.5, 7.6: a copied home does not become active by itself, and says so.
#[test]
fn a_copied_home() {
    let mut pair = Pair::ready(&Wish { boot_hold: "1s", ..Wish::default() });
    pair.b.kill();
    pair.a.kill();
    let original = pair.a.home.with_extension("original");
    std::fs::rename(&pair.a.home, &original).unwrap();
    let copied = std::process::Command::new("cp").arg("-a").args([&original, &pair.a.home]).status().unwrap();
    assert!(copied.success());
    pair.a.start();
    let status = pair
        .a
        .wait("holds without end", |status| status["condition"] == "boot_hold" && status["hold"]["ends_at"].is_null());
    assert!(status["hold"]["why"].as_str().unwrap_or_default().contains("copied"), "{}", status["hold"]);
    assert!(pair.a.living_services().is_empty());
    pair.b.start();
    let answered = |status: &serde_json::Value| {
        status["hold"]["why"]
            .as_str()
            .is_some_and(|why| why.contains("has not taken over") && why.contains("`ha resume`"))
    };
    // The original would be given the same answer.
    pair.a.wait("waits for an operator", |status| status["active"] == false && answered(status));
    assert!(pair.a.living_services().is_empty());
    assert!(pair.a.standin(&["ha", "resume"]).status.success());
    pair.wait_settled(&pair.a, &pair.b);
    eventually("it is no copy any more", || {
        !pair.a.alerts().iter().any(|alert| alert["code"] == "H-008" && alert["severity"] == "error")
    });
}

/// spec 7.5, 7.6: a copy that runs beside its original changes nothing for the pair, whichever side it is a copy of, and both
/// sides say so.
#[test]
fn a_copied_home_beside_its_original() {
    let pair = Pair::ready(&Wish::default());
    for (original, other) in [(&pair.a, &pair.b), (&pair.b, &pair.a)] {
        let folder = tempfile::tempdir().unwrap();
        let mut copy = Instance::new(folder.path(), "copy", &original.namespace, &original.address);
        let copied = std::process::Command::new("cp").arg("-a").args([&original.home, &copy.home]).status().unwrap();
        assert!(copied.success());
        std::fs::remove_file(copy.home.join("control.sock")).unwrap();
        copy.set("administration", "port", "9443");
        copy.start();
        if std::ptr::eq(original, &pair.b) {
            // By itself it would not even try.
            copy.wait("waits for an operator", |status| status["state"] == "DISCONNECTED");
            assert!(!copy.standin(&["shadow", "connect"]).status.success(), "the original is connected");
        }
        let met = || other.alerts().iter().any(|alert| alert["code"] == "H-008" && alert["severity"] == "error");
        eventually("the other side meets the copy", met);
        // Longer than detection and takeover delay together.
        let until = Instant::now() + Duration::from_secs(3);
        while Instant::now() < until {
            assert_eq!(copy.status()["active"], false);
            let (master, shadow) = (pair.a.status(), pair.b.status());
            assert_eq!((&master["active"], &master["state"]), (&true.into(), &"CONNECTED".into()));
            assert_eq!((&shadow["role"], &shadow["state"]), (&"shadow".into(), &"READY".into()));
        }
        assert_eq!(pair.a.living_services().len(), 1);
        copy.kill();
    }
}

/// spec 3.2, 7.1: a peer that speaks nonsense, or says nothing, is closed and changes nothing.
#[test]
fn nonsense_and_silence() {
    let mut pair = Pair::prepared(&Wish { service: false, ..Wish::default() });
    pair.a.start();
    // From the other host, as a stranger would: `cat` ends when Standin closes the connection.
    for says in ["head -c 65536 /dev/zero | tr '\\0' '\\377' >&3", "true"] {
        let script = format!("exec 3<>/dev/tcp/10.77.0.1/8443; {says}; exec timeout 15 cat <&3 >/dev/null");
        let begun = Instant::now();
        let status = std::process::Command::new("ip")
            .args(["netns", "exec", &pair.network.right, "bash", "-c", &script])
            .stderr(std::process::Stdio::null())
            .status()
            .unwrap();
        assert_ne!(status.code(), Some(124), "not closed after {:?}: {says}", begun.elapsed());
        assert!(begun.elapsed() < Duration::from_secs(12), "closed only after {:?}", begun.elapsed());
    }
    assert_eq!(pair.a.status()["active"], true);
}

/// A port in use, a directory that cannot be read, a newer home, settings that fight each other: each says so, nothing starts.
#[test]
fn what_keeps_an_instance_from_starting() {
    let folder = tempfile::tempdir().unwrap();
    let network = Network::new();
    let mut a = Instance::new(folder.path(), "a", &network.left, "10.77.0.1");
    copy_sample(&a.directory);
    a.setup("master", &[]);
    let said = a.refused(&["setup", "--role", "master", "--user", USER, "--password-file", &a.password_file(PASSWORD)]);
    assert!(said.contains("already"), "{said}");

    a.start();
    let other = Instance::new(folder.path(), "other", &network.left, "10.77.0.1");
    other.setup("master", &[]);
    let said = other.refused(&["serve"]);
    assert!(said.contains("8443"), "the port in use is named: {said}");
    let said = a.refused(&["serve"]);
    assert!(said.contains("already") || said.contains("running"), "{said}");
    a.kill();

    other.set("shadow", "check_interval", "1ms");
    other.set("administration", "port", "0");
    let said = other.refused(&["serve"]);
    assert!(said.contains("check_interval") && said.contains("port"), "all problems at once: {said}");

    let home = folder.path().join("newer");
    let mut newer = Instance::new(folder.path(), "newer", &network.left, "10.77.0.1");
    newer.setup("master", &[]);
    make_newer(&home.join("standin.db"));
    let said = newer.refused(&["serve"]);
    assert!(said.contains("newer"), "{said}");
    assert!(!newer.is_running());
}

/// Raises the schema number in the header of the database file (offset 60, big-endian).
fn make_newer(path: &std::path::Path) {
    use std::os::unix::fs::FileExt;
    let mut file = std::fs::OpenOptions::new().read(true).write(true).open(path).unwrap();
    let mut magic = [0; 15];
    file.read_exact(&mut magic).unwrap();
    assert_eq!(&magic, b"SQLite format 3");
    file.write_all_at(&9_999_u32.to_be_bytes(), 60).unwrap();
    file.flush().unwrap();
}
