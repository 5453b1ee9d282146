//! Sizes, colours, characters, and how few bytes it takes (spec 8.4, 8.6).

use std::time::Duration;

use super::home::Home;
use super::terminal::Terminal;

/// Nothing may be written for so long.
const QUIET: Duration = Duration::from_secs(4);
/// For the frame after a key press to be whole: more than the shortest time between two.
const SETTLED: Duration = Duration::from_millis(400);
/// Most bytes for a key press at 80x24.
const KEY_MAX_BYTES: usize = 2048;

fn served() -> Home {
    let mut home = Home::with_role("127.0.0.1", "master", &["--enable-ha"]);
    std::fs::write(home.directory.join("orders.yaml"), "virtualHost: orders\n").unwrap();
    home.serve();
    home
}

/// Every screen, the help, the palette, a dialog and a form.
fn walk(terminal: &Terminal) {
    for (key, shown) in [
        ("2", "[2 High Availability]"),
        ("3", "[3 Configuration]"),
        ("4", "[4 Alerts"),
        ("5", "[5 Events]"),
        ("1", "[1 Overview]"),
        ("?", "CAPITALS ask first"),
    ] {
        terminal.press(key, &[shown]);
    }
    terminal.type_text("\x1b");
    terminal.wait_until("the help is closed", |screen| !screen.contains("CAPITALS ask first"));
    terminal.press(":", &["Enter choose"]);
    terminal.press("\x1b", &["[1 Overview]", "q leave"]);
    terminal.press("2", &["[2 High Availability]"]);
    terminal.press("e", &["> High availability"]);
    terminal.press("\x1b", &["This instance"]);
}

/// The parameters of every `ESC [ … m`.
fn styles(bytes: &[u8]) -> Vec<u16> {
    let text = String::from_utf8_lossy(bytes);
    let sequences = text.split("\x1b[").skip(1).filter_map(|rest| {
        let end = rest.find(|c: char| c.is_ascii_alphabetic())?;
        rest[end..].starts_with('m').then(|| &rest[..end])
    });
    sequences.flat_map(|codes| codes.split(';')).filter_map(|code| code.parse().ok()).collect()
}

fn is_color(code: u16) -> bool {
    matches!(code, 30..=49 | 90..=107)
}

/// spec 8.4: `NO_COLOR` writes no colour; without it, the alert is coloured.
#[test]
fn no_color_writes_no_color_codes() {
    let home = served();
    let mut colors = [false; 2];
    for (index, environment) in [&[("NO_COLOR", "1")][..], &[]].into_iter().enumerate() {
        let terminal = home.console_with(environment, 80, 24);
        terminal.wait_for(&["[1 Overview]", "NONE"]);
        walk(&terminal);
        let codes = styles(&terminal.bytes_after(0));
        assert!(codes.contains(&7), "the header stands out without colour too: {codes:?}");
        colors[index] = codes.into_iter().any(is_color);
    }
    assert_eq!(colors, [false, true]);
}

/// spec 8.4: without Unicode everything is ASCII; with it the same screens are not.
#[test]
fn without_unicode_only_ascii_is_written() {
    let home = served();
    let mut is_ascii = [false; 2];
    for (index, language) in ["C", "C.UTF-8"].into_iter().enumerate() {
        let terminal = home.console_with(&[("LANG", language)], 80, 24);
        terminal.wait_for(&["[1 Overview]", "MASTER"]);
        walk(&terminal);
        is_ascii[index] = terminal.bytes_after(0).is_ascii();
    }
    assert_eq!(is_ascii, [true, false]);
}

/// spec 8.6: an idle screen writes no bytes, on every screen; and a key press costs little.
#[test]
fn an_idle_screen_writes_nothing_and_a_key_little() {
    let home = served();
    let terminal = home.console(80, 24);
    terminal.wait_for(&["[1 Overview]", "MASTER"]);
    let mut before = terminal.wait_for_quiet(QUIET);
    for (key, shown) in [
        ("2", "[2 High Availability]"),
        ("3", "[3 Configuration]"),
        ("4", "[4 Alerts"),
        ("5", "[5 Events]"),
        ("1", "[1 Overview]"),
        ("?", "CAPITALS ask first"),
    ] {
        terminal.press(key, &[shown]);
        let after = terminal.wait_for_quiet(SETTLED);
        assert!(after - before <= KEY_MAX_BYTES, "{key}: {} bytes", after - before);
        before = after;
    }
    assert_eq!(terminal.wait_for_quiet(QUIET), before, "idle, and yet something was written");
}

/// spec 8.4: from 60x16 up to any size; below that a line says so.
#[test]
fn the_screen_follows_the_size_of_the_window() {
    let home = served();
    let terminal = home.console(80, 24);
    terminal.wait_for(&["[1 Overview]", "MASTER"]);
    for (columns, rows) in [(60, 16), (200, 60), (300, 100), (80, 24)] {
        terminal.resize(columns, rows);
        terminal.wait_until(&format!("{columns}x{rows}"), |screen| {
            let lines: Vec<&str> = screen.lines().collect();
            lines.len() == usize::from(rows)
                && lines[usize::from(rows) - 1].contains("q leave")
                && screen.contains("MASTER")
        });
    }
    terminal.resize(40, 8);
    let small = terminal.wait_for(&["60x16"]);
    assert!(small.contains("127.0.0.1"), "it still says who it is:\n{small}");
    terminal.resize(80, 24);
    terminal.wait_for(&["[1 Overview]", "MASTER", "q leave"]);
}
