//! A home in which nothing runs: what is told of it, and the ways out of what keeps it from starting.

use std::path::Path;

use super::{home, run};

/// A master that was set up, with these settings in its file.
fn master(settings: &str) -> tempfile::TempDir {
    let home = home();
    let password = home.path().join("password");
    std::fs::write(&password, "vier rote Lampen\n").expect("own directory");
    let password = password.display().to_string();
    let setup = ["setup", "--role", "master", "--user", "ops", "--password-file", &password, "--host", "127.0.0.1"];
    let (status, _, message) = run(home.path(), &setup);
    assert_eq!((status, &*message), (Some(0), ""));
    std::fs::write(file(home.path()), settings).expect("own directory");
    home
}

fn file(home: &Path) -> std::path::PathBuf {
    home.join("settings.yaml")
}

/// spec 8.1: an instance at rest is told as last written: its service, that it does not run, its certificate
#[test]
fn status_at_rest_is_as_last_written() {
    let home = master("host: node-a\nservice:\n  command: [/bin/sleep, '100000']\n");
    let (status, out, _) = run(home.path(), &["status"]);
    assert_eq!(status, Some(4));
    assert!(out.contains("as last written") && out.contains("/bin/sleep 100000"), "{out}");
    assert!(!out.contains("none configured") && !out.contains("process 0"), "{out}");
    assert!(out.contains("nothing now; when it runs") && out.contains("SHA256:"), "{out}");
    let (_, out, _) = run(home.path(), &["status", "--json"]);
    let found: serde_json::Value = serde_json::from_str(&out).expect("JSON");
    assert_eq!(found["service"]["kind"], "command");
    assert!(found["instance"]["fingerprint"].is_string(), "{out}");
}

/// spec 8.1: settings that are not valid are said to be why it does not start, and no default is shown for them
#[test]
fn status_at_rest_says_that_the_settings_are_not_valid() {
    let home = master("host: [node-a\n");
    let (_, out, _) = run(home.path(), &["status"]);
    assert!(out.contains("PROBLEM  it does not start: The settings are not valid"), "{out}");
    assert!(!out.contains("8443") && !out.contains("none configured") && !out.contains("no host name set"), "{out}");
    let (_, out, _) = run(home.path(), &["status", "--json"]);
    let found: serde_json::Value = serde_json::from_str(&out).expect("JSON");
    assert!(found["state_message"].as_str().is_some_and(|text| text.contains("The settings are not valid")), "{out}");
}
