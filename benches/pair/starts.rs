//! From `standin serve` to its answer, and from `standin` to the first full screen.

use std::time::Duration;

use crate::figures::{Row, Samples};
use crate::instance::Instance;
use crate::pair::{Pair, copy_sample, settled};
use crate::terminal::Terminal;
use crate::{Fail, Rounds, clock, machine};

/// Between two looks whether the control socket answers.
const LOOK: Duration = Duration::from_micros(200);
/// What the whole first screen of a master shows: header, state of the link, footer.
const FULL: [&str; 3] = ["MASTER", "CONNECTED", "q leave"];

pub fn measure(rounds: &Rounds) -> Result<Vec<Row>, Fail> {
    let mut rows = Vec::from(serve(rounds.starts)?);
    rows.extend(console(rounds.starts)?);
    Ok(rows)
}

fn serve(count: usize) -> Result<[Row; 2], Fail> {
    let folder = machine::folder()?;
    let mut instance = Instance::new(folder.path(), "alone")?;
    copy_sample(&instance.directory)?;
    instance.set_up("master", &[])?;
    let (mut answered, mut known) = (Vec::new(), Vec::new());
    for _ in 0..count {
        let begin_ns = instance.spawn()?;
        let answered_ns = clock::until_by("the control socket answers", clock::LIMIT, LOOK, || {
            Ok(instance.greet()?.map(|_| clock::now_ns()))
        })?;
        answered.push(clock::ms_between(begin_ns, answered_ns));
        let known_ns = clock::until_by("it tells its role", clock::LIMIT, LOOK, || {
            Ok(instance.status()?.filter(|status| status.role.is_some()).map(|_| clock::now_ns()))
        })?;
        known.push(clock::ms_between(begin_ns, known_ns));
        instance.wait("it is active", |status| status.active)?;
        instance.stop()?;
    }
    let note = "a master without a shadow";
    Ok([
        Row::of("`standin serve` → its control socket answers", "ms", &Samples::new(answered), note),
        Row::of("`standin serve` → it tells its role", "ms", &Samples::new(known), note),
    ])
}

fn console(count: usize) -> Result<[Row; 2], Fail> {
    let pair = Pair::ready(&[])?;
    settled(&pair.a, &pair.b)?;
    let (mut first, mut full) = (Vec::new(), Vec::new());
    for _ in 0..count {
        let mut terminal = Terminal::open(&pair.a.home)?;
        let drawn_ns = terminal.wait_frame("the first frame", |_| true)?;
        first.push(clock::ms_between(terminal.started_ns, drawn_ns));
        let full_ns =
            if is_full(&terminal.text()) { drawn_ns } else { terminal.wait_frame("the full screen", is_full)? };
        full.push(clock::ms_between(terminal.started_ns, full_ns));
        terminal.leave()?;
    }
    let note = "attached, 80x24: before exec → the frame's last byte";
    Ok([
        Row::of("`standin` → first frame", "ms", &Samples::new(first), note),
        Row::of("`standin` → first full screen, the engine's state included", "ms", &Samples::new(full), note),
    ])
}

/// Nothing is missing.
pub fn is_full(text: &str) -> bool {
    FULL.iter().all(|word| text.contains(word))
}
