//! Bytes written to the terminal: by a screen nobody touches, and by one key press.

use std::time::Duration;

use crate::figures::{Row, Samples};
use crate::pair::{Pair, settled};
use crate::starts::is_full;
use crate::terminal::Terminal;
use crate::{Fail, Rounds};

/// The terminal counts as quiet after so long without a byte: two frames and more.
const QUIET: Duration = Duration::from_millis(350);
/// The screen has settled after so long without a byte, or at the latest after the limit behind it.
const SETTLED: Duration = Duration::from_secs(3);

const SCREENS: [(&str, &[u8]); 5] = [("1", b"1"), ("2", b"2"), ("3", b"3"), ("4", b"4"), ("5", b"5")];
const ARROWS: [(&str, &[u8]); 4] = [("Down", b"\x1b[B"), ("Up", b"\x1b[A"), ("Right", b"\x1b[C"), ("Left", b"\x1b[D")];

pub fn measure(rounds: &Rounds) -> Result<Vec<Row>, Fail> {
    let pair = Pair::ready(&[])?;
    settled(&pair.a, &pair.b)?;
    let mut rows = Vec::new();
    for (side, instance) in [("master", &pair.a), ("shadow", &pair.b)] {
        let mut terminal = Terminal::open(&instance.home)?;
        terminal.wait_frame("the full screen", |text| side == "shadow" || is_full(text))?;
        terminal.quiet(SETTLED)?;
        let bytes = terminal.count(Duration::from_secs(rounds.idle_s))?;
        let what = format!("bytes to the terminal, idle overview of the {side}, {} s", rounds.idle_s);
        rows.push(Row::single(what, "bytes", whole(bytes), "attached, 80x24"));
        if side == "master" {
            rows.push(keys(&mut terminal, rounds.key_tours)?);
        }
        terminal.leave()?;
    }
    Ok(rows)
}

fn keys(terminal: &mut Terminal, tours: usize) -> Result<Row, Fail> {
    let mut found: Vec<(usize, String)> = Vec::new();
    for _ in 0..tours {
        for screen in SCREENS {
            for (at, (name, key)) in std::iter::once(&screen).chain(&ARROWS).enumerate() {
                terminal.quiet(QUIET)?;
                terminal.press(key)?;
                let bytes = terminal.quiet(QUIET)?;
                let place = if at == 0 { String::new() } else { format!(" on screen {}", screen.0) };
                found.push((bytes, format!("{name}{place}")));
            }
        }
    }
    let largest = found.iter().max_by_key(|(bytes, _)| *bytes).map_or("", |(_, name)| name);
    let drawn: Vec<f64> = found.iter().filter(|(bytes, _)| *bytes > 0).map(|(bytes, _)| whole(*bytes)).collect();
    let note = format!(
        "keys 1 to 5, and arrows on each screen: {} of {} presses changed the screen; most: {largest}",
        drawn.len(),
        found.len()
    );
    Ok(Row::of("bytes to the terminal by one key press", "bytes", &Samples::new(drawn), note))
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
fn whole(bytes: usize) -> f64 {
    bytes as f64
}
