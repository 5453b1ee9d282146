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

/// spec 1.3, 2.8: a lost settings file is no dead end: serve, setup and doctor name the same ways out, and one of them goes
#[test]
fn a_lost_settings_file_has_a_way_out() {
    let home = master("");
    std::fs::remove_file(file(home.path())).expect("it is there");
    let setup = ["setup", "--role", "master", "--user", "ops", "--password-file", "/nonexistent"];
    for (arguments, says) in [(&["serve"][..], 2), (&setup, 2), (&["doctor"], 1)] {
        let (status, out, message) = run(home.path(), arguments);
        let told = if says == 1 { out } else { message };
        assert_eq!(status, Some(1), "{told}");
        for word in ["The settings file is lost", "standin restore FILE", "standin setup --write-settings"] {
            assert!(told.contains(word), "{arguments:?} says nothing of {word}: {told}");
        }
    }
    let anew = ["setup", "--write-settings", "--admin-port", "9321"];
    let (status, out, message) = run(home.path(), &anew);
    assert_eq!((status, &*message), (Some(0), ""), "{out}");
    assert!(out.contains("host: 127.0.0.1") && out.contains("administration.port: 9321"), "{out}");
    assert!(out.contains("set again") && out.contains("arbiter"), "{out}");
    let text = std::fs::read_to_string(file(home.path())).expect("written");
    assert!(text.contains("# ") && text.contains("9321"), "{text}");
    let (status, _, message) = run(home.path(), &anew);
    assert_eq!(status, Some(1));
    assert!(message.contains("is there: nothing was written"), "{message}");
    let (_, out, _) = run(home.path(), &["doctor"]);
    assert!(!out.contains("lost") && !out.contains("FAIL  settings"), "{out}");
}

/// spec 1.1: a home without role is set up, not given settings alone
#[test]
fn settings_alone_make_no_instance() {
    let home = home();
    let (status, _, message) = run(home.path(), &["setup", "--write-settings"]);
    assert_eq!(status, Some(1));
    assert!(message.contains("standin setup") && !file(home.path()).exists(), "{message}");
}

/// What doctor calls a failure, about this.
fn failure(home: &Path, about: &str) -> String {
    let (status, out, message) = run(home, &["doctor"]);
    let line = out.lines().position(|line| line.starts_with(&format!("FAIL  {about}")));
    let line = line.unwrap_or_else(|| panic!("no failure of {about}: {out}{message}"));
    assert_eq!(status, Some(1), "{out}");
    out.lines().skip(line).take(2).collect::<Vec<_>>().join("\n")
}

/// spec 3.2: a key of the link that cannot be used keeps it from starting, and doctor says so and what to do; it writes nothing
#[test]
fn doctor_finds_a_key_that_cannot_be_used() {
    let home = master("");
    let (_, out, _) = run(home.path(), &["doctor"]);
    assert!(out.contains("ok    identity") && out.contains("ok    users"), "{out}");
    let key = home.path().join("identity/link-key.pem");
    std::fs::write(&key, "nonsense").expect("own directory");
    let told = failure(home.path(), "identity");
    assert!(told.contains("cannot be used") && told.contains("backup"), "{told}");
    std::fs::remove_file(&key).expect("it is there");
    assert!(failure(home.path(), "identity").contains("missing"));
    assert!(!key.exists(), "doctor only looks");
}

/// spec 3.1, 9.1: without users no shadow can be paired: a failure, and what it names as the way out is one
#[test]
fn doctor_finds_that_nobody_can_log_on() {
    let home = master("");
    let users = home.path().join("users.yaml");
    std::fs::remove_file(&users).expect("it is there");
    let told = failure(home.path(), "users");
    assert!(told.contains("standin users set-password NAME"), "{told}");
    let password = home.path().join("password").display().to_string();
    let (status, _, message) = run(home.path(), &["users", "set-password", "ops", "--password-file", &password]);
    assert_eq!(status, Some(0), "{message}");
    let (_, out, _) = run(home.path(), &["doctor"]);
    assert!(out.contains("ok    users"), "{out}");
    let (_, out, _) = run(home.path(), &["users", "list"]);
    assert!(out.contains("administrator"), "{out}");
}
