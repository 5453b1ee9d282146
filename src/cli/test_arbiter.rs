//! `standin ha test-arbiter`: reaches every endpoint of the arbiter, step by step (spec 7.11). Needs no running instance.

use super::home::Context;
use super::output::{Exit, Outcome, Output, Paint};
use super::rooms;
use crate::engine::base::Problem;

/// Largest settings file, bytes.
const SETTINGS_MAX_BYTES: u64 = 256 * 1024;

/// Prints every step; exit status 1 unless all endpoints answer in full. `writes`: also a test key, which is removed again.
///
/// # Errors
/// No arbiter is configured, or settings that cannot be read.
pub fn run(context: &Context, writes: bool, out: &mut Output) -> Outcome {
    const WHAT: &str = "The arbiter was not tested";
    let path = context.settings.display();
    let text = match crate::files::read_bounded(&context.settings, SETTINGS_MAX_BYTES) {
        Ok(bytes) => String::from_utf8_lossy(&bytes.unwrap_or_default()).into_owned(),
        Err(error) => return Err(Problem::new(WHAT, format!("{path}: {error}"), "Run this as its owner.").into()),
    };
    let settings = rooms::settings_of(&text).map_err(|problems| {
        let first = problems.first().map_or_else(String::new, |problem| format!("{}: {}", problem.what, problem.why));
        Problem::new(WHAT, first, "standin doctor lists everything that is wrong with the settings.")
    })?;
    if !settings.arbiter.is_set() {
        let todo = "Name its addresses as arbiter.endpoints in the settings.";
        return Err(Problem::new(WHAT, "none is configured", todo).into());
    }
    let found = rooms::test_arbiter(&context.home, &settings, writes)?;
    let mut is_good = true;
    for (endpoint, steps) in &found {
        out.line(endpoint)?;
        for step in steps {
            let is_ok = step.ok == Some(true);
            is_good &= is_ok;
            let (word, paint) = if is_ok { ("ok  ", Paint::Plain) } else { ("FAIL", Paint::Error) };
            out.pieces(&[(word, paint), (&format!("  {:<9}{}", step.name, step.message), Paint::Plain)])?;
        }
    }
    Ok(if is_good { Exit::Done } else { Exit::No })
}
