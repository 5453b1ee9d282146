//! From an empty home to a running pair, by keys alone (spec 1, 3.1).

use super::home::{Home, PASSWORD, USER};
use super::terminal::Terminal;

const PAGE_DOWN: &str = "\x1b[6~";
const ERASE: &str = "\x15";
const NEXT: &str = "\t";

/// Step 2, the same for both roles; ends on step 3.
fn administrator(terminal: &Terminal) {
    terminal.wait_for(&["step 2 of 4", "> Name"]);
    terminal.press(&format!("{USER}\r"), &["> Password"]);
    terminal.press(&format!("{PASSWORD}\r"), &["strength:", "> Password again"]);
    terminal.type_text(&format!("{PASSWORD}\r"));
    let screen = terminal.wait_for(&["step 3 of 4"]);
    assert!(!screen.contains(PASSWORD), "spec 1.2: never shown");
}

/// A value into the field in focus, which is emptied first; on to the next field.
fn fill(terminal: &Terminal, label: &str, value: &str) {
    terminal.wait_for(&[&format!("> {label}")]);
    terminal.type_text(&format!("{ERASE}{value}"));
    terminal.wait_for(&[value]);
    terminal.type_text(NEXT);
}

fn master(home: &Home) -> Terminal {
    let terminal = home.console(80, 24);
    terminal.wait_for(&["First start", "step 1 of 4", "> (o) Master"]);
    terminal.type_text("\r");
    administrator(&terminal);
    fill(&terminal, "Description", "rack 4");
    fill(&terminal, "Own host", home.host);
    fill(&terminal, "Administration port", &home.port.to_string());
    terminal.wait_for(&["> Separate HA port"]);
    terminal.press(NEXT, &["> High availability"]);
    terminal.press(" ", &["(o) on"]);
    terminal.press(NEXT, &["> Permitted shadow host"]);
    terminal.press(NEXT, &["> Directory to mirror"]);
    terminal.press(&format!("{ERASE}{}", home.directory.display()), &["/configuration"]);
    let review = terminal.press("\r", &["step 4 of 4", "Nothing has been written yet", "--enable-ha"]);
    assert!(review.contains("standin") && review.contains("setup --role master"), "spec 1.4:\n{review}");
    assert!(!home.path.join("settings.yaml").exists(), "spec 1.1: nothing is written before the save");
    terminal.press("\r", &["[1 Overview]", "MASTER", "term 1"]);
    terminal
}

fn shadow(home: &Home, of: &Home) -> Terminal {
    let terminal = home.console(80, 24);
    terminal.wait_for(&["step 1 of 4"]);
    terminal.press("s", &["> (o) Shadow"]);
    terminal.type_text("\r");
    administrator(&terminal);
    fill(&terminal, "Master host", of.host);
    fill(&terminal, "Master port", &of.port.to_string());
    fill(&terminal, "Own host", home.host);
    fill(&terminal, "Administration port", &home.port.to_string());
    terminal.wait_for(&["replaced after 3 to 5 s"]);
    terminal.press(PAGE_DOWN, &["step 4 of 4", "setup --role shadow"]);
    terminal.press("\r", &["[2 Shadow Connector]", "SHADOW", "DISCONNECTED"]);
    terminal
}

/// spec 1.1, 1.4, 3.1, 4.3, 8.2: two empty homes become a pair, and every screen shows it.
#[test]
fn two_empty_homes_become_a_pair_by_keys() {
    let (first, second) = (Home::new("127.0.0.1"), Home::new("localhost"));
    std::fs::write(first.directory.join("orders.yaml"), "virtualHost: orders\npassword: hidden-7\n").unwrap();
    let master = master(&first);
    let shadow = shadow(&second, &first);
    assert_eq!(first.status().unwrap()["instance"]["description"], "rack 4");

    let fingerprint = first.status().unwrap()["instance"]["fingerprint"].as_str().unwrap().to_owned();
    // spec 3.1: the whole fingerprint of the master is shown before anything else is asked.
    // Connect follows the save by itself (spec 1.1).
    let asked = shadow.wait_for(&[&fingerprint]);
    assert!(!asked.contains("Password"), "{asked}");
    // Cancel is chosen; the next button goes on.
    shadow.press("\t\r", &["User", "Password"]);
    shadow.type_text(&format!("{USER}{NEXT}{PASSWORD}\r"));
    let screen = shadow.press("\r", &["READY"]);
    assert!(!screen.contains(PASSWORD), "spec 1.2");
    second.wait_for_status("/state", "READY");
    second.wait_for_status("/protection", "full");

    for (terminal, pair) in [(&master, "[2 High Availability]"), (&shadow, "[2 Shadow Connector]")] {
        terminal.press("1", &["[1 Overview]", "FULL", "in sync"]);
        terminal.press("2", &[pair]);
        let files = terminal.press("3", &["[3 Configuration]", "orders.yaml", "revision 1"]);
        assert!(!files.contains("hidden-7"), "spec 5.8");
        terminal.press("4", &["[4 Alerts"]);
        terminal.press("5", &["[5 Events]"]);
    }
    master.press("2", &["CONNECTED", "localhost"]);
    let read_only = shadow.press("3", &["READ ONLY"]);
    assert!(read_only.contains("orders.yaml"), "spec 4.5");
}

/// spec 1.1: leaving the wizard says what is dropped and leaves the home as it was; 8.7.
#[test]
fn leaving_the_wizard_leaves_nothing() {
    let home = Home::new("127.0.0.1");
    let mut terminal = home.console(80, 24);
    terminal.wait_for(&["step 1 of 4"]);
    terminal.type_text("\r");
    terminal.press("ops\r", &["> Password"]);
    terminal.press("\x03", &["Leave"]);
    terminal.type_text("\x03");
    assert!(terminal.wait_for_end().success());
    terminal.wait_for_restored();
    terminal.wait_for(&["Nothing was written"]);
    assert!(!home.path.exists(), "spec 1.1");
}

/// spec 8.4, 8.7: the wizard follows the size of the window, and a lost terminal ends it with nothing written.
#[test]
fn the_wizard_follows_the_window_and_ends_with_it() {
    let home = Home::new("127.0.0.1");
    let mut terminal = home.console(80, 24);
    terminal.wait_for(&["step 1 of 4"]);
    terminal.resize(40, 8);
    terminal.wait_for(&["60x16"]);
    terminal.resize(100, 30);
    terminal.wait_for(&["step 1 of 4", "> (o) Master"]);
    terminal.hang_up();
    terminal.wait_for_end();
    assert!(!home.path.exists());
}
