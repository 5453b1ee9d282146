//! What an operator does with a running pair (spec 2, 6, 7.7).

use super::home::{Home, PASSWORD, USER};
use super::terminal::Terminal;

/// A master and its shadow, in sync.
fn pair() -> (Home, Home) {
    let mut master = Home::with_role("127.0.0.1", "master", &["--enable-ha"]);
    let mut shadow = Home::shadow_of(&master, "localhost");
    master.serve();
    shadow.serve();
    let fingerprint = master.status().unwrap()["instance"]["fingerprint"].as_str().unwrap().to_owned();
    let password = shadow.directory.with_file_name("password");
    assert_eq!(std::fs::read_to_string(&password).unwrap(), PASSWORD);
    let password = password.display().to_string();
    let arguments = ["shadow", "connect", "--user", USER, "--password-file", &password, "--fingerprint", &fingerprint];
    let output = shadow.standin(&arguments);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    shadow.wait_for_status("/protection", "full");
    (master, shadow)
}

fn console(home: &Home) -> Terminal {
    let terminal = home.console(80, 24);
    terminal.wait_for(&["[1 Overview]", "term"]);
    terminal
}

/// spec 7.7, 8.3, 8.5: a switch asks for the new master's name, and both consoles follow the roles.
#[test]
fn roles_are_switched_by_typing_the_name() {
    let (first, second) = pair();
    let (one, two) = (console(&first), console(&second));
    one.wait_for(&["FULL"]);
    one.press("S", &["localhost becomes master", "Type the name"]);
    // A wrong name does nothing.
    one.type_text("somebody\t");
    one.type_text("\t\r");
    one.wait_for(&["Type the name"]);
    one.type_text("\x1b");
    one.wait_until("the dialog is closed", |screen| !screen.contains("Type the name"));
    assert_eq!(first.status().unwrap()["role"], "master");

    one.press("S", &["Type the name"]);
    one.press("localhost", &["localhost"]);
    one.type_text("\t\t\r");
    one.wait_for(&["SHADOW", "term 2"]);
    let now = two.wait_for(&["MASTER", "term 2", "THIS INSTANCE IS NOW MASTER"]);
    assert!(now.contains("u understood"), "spec 8.3:\n{now}");
    second.wait_for_status("/protection", "full");

    // Who attaches later sees it too, until it is dismissed.
    let late = console(&second);
    late.wait_for(&["THIS INSTANCE IS NOW MASTER"]);
    late.type_text("u");
    for terminal in [&late, &two] {
        terminal.wait_until("the notice is put away", |screen| !screen.contains("IS NOW MASTER"));
    }
    one.press("2", &["[2 Shadow Connector]", "READY"]);
}

/// spec 8.5: an action that cannot work now says why.
#[test]
fn a_key_that_cannot_work_says_why() {
    let mut home = Home::with_role("127.0.0.1", "master", &[]);
    home.serve();
    let terminal = console(&home);
    terminal.press("S", &["no shadow"]);
    terminal.press("T", &["master"]);
    // spec 8.5: pasted text enters fields only.
    terminal.press("\x1b[200~2\x1b[201~", &["Pasted text enters fields only", "[1 Overview]"]);
}

/// spec 2.1, 8.2: settings are edited in a form, apply at once, and are in the file.
#[test]
fn settings_are_edited_in_a_form() {
    let mut home = Home::with_role("127.0.0.1", "master", &[]);
    home.serve();
    let terminal = console(&home);
    terminal.press("2", &["[2 High Availability]", "disabled"]);
    terminal.press("e", &["> High availability"]);
    terminal.press(" ", &["(o) on"]);
    terminal.press("\t\t\t\x15", &["> Grace period"]);
    terminal.press("2m", &["2m"]);
    terminal.press("\r", &["enabled", "grace period  2 min"]);
    let status = home.status().unwrap();
    assert_eq!((&status["ha"]["enabled"], &status["ha"]["grace_period_ms"]), (&true.into(), &120_000.into()));
    let file = std::fs::read_to_string(home.path.join("settings.yaml")).unwrap();
    assert!(file.contains("grace_period: 2m"), "{file}");
    // A value over the limits stays in the form, with what is wrong under its field.
    terminal.press("e", &["> High availability"]);
    terminal.press("\t\t\t\x15", &["> Grace period"]);
    terminal.type_text("99h\r");
    terminal.wait_until("the problem under its field", |screen| screen.contains('!') && screen.contains("99h"));
    assert_eq!(home.status().unwrap()["ha"]["grace_period_ms"], 120_000);
}

/// spec 6.1, 6.4, 6.3, 5.4: an alert says what, why and what to do, and is acted on from where it stands.
#[test]
fn an_alert_is_acted_on() {
    let mut home = Home::with_role("127.0.0.1", "master", &[]);
    let file = home.directory.join("mapping.yaml");
    std::fs::write(&file, "a: 1\n").unwrap();
    home.serve();
    let terminal = console(&home);
    terminal.press("3", &["[3 Configuration]", "mapping.yaml"]);
    std::fs::write(&file, "a: [1\n").unwrap();
    terminal.wait_for(&["1 alert"]);
    let alert = terminal.press("4", &["[4 Alerts 1]", "About   mapping.yaml", "Why", "Means", "Do"]);
    assert!(alert.contains("WARNING") || alert.contains("ERROR"), "{alert}");
    // Deleted while the cause holds, it would come back; mended, it ends by itself.
    std::fs::write(&file, "a: [1]\n").unwrap();
    terminal.wait_until("the alert ended", |screen| !screen.contains("WARNING") && !screen.contains("ERROR"));
    terminal.press("A", &["elete all"]);
    terminal.press("\t\r", &["No alerts"]);
    assert_eq!(home.status().unwrap()["alerts"]["information"], 0);
}

/// spec 6.4: the actions of an alert are keys that work there.
#[test]
fn an_alert_of_the_link_offers_to_try_again() {
    let (mut master, shadow) = pair();
    let terminal = console(&shadow);
    // Maintenance first, so that the shadow waits instead of taking over.
    let output = master.standin(&["ha", "maintenance", "--for", "10m"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    terminal.wait_for(&["PAUSED"]);
    master.kill_engine();
    terminal.wait_for(&["LOST"]);
    terminal.press("4", &["[4 Alerts", "Do"]);
    master.serve();
    terminal.type_text("r");
    terminal.press("2", &["[2 Shadow Connector]", "READY"]);
}
