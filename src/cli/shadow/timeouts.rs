//! `standin shadow check-timeouts` (spec 4.2).

use crate::cli::client::{Client, unexpected};
use crate::cli::home::Context;
use crate::cli::output::{Exit, Outcome, Output};
use crate::engine::order::{Order, Reply};
use crate::engine::settings::duration;
use crate::engine::timeouts::{TimeoutReport, micros_text};

/// Measures and prints the table; exit status 1 when a timeout does not hold.
///
/// # Errors
/// The refusal of the instance.
pub fn run(context: &Context, out: &mut Output) -> Outcome {
    let Reply::Timeouts(report) = Client::connect(&context.home)?.order(Order::CheckTimeouts)? else {
        return Err(unexpected().into());
    };
    for line in lines(&report) {
        out.line(&line)?;
    }
    Ok(if report.holds() { Exit::Done } else { Exit::No })
}

fn lines(report: &TimeoutReport) -> Vec<String> {
    let mut lines = vec![
        format!("Master  {}", report.master),
        format!("{:<17}{:>9}{:>10}{:>10}{:>10}  {}", "", "set", "half in", "slowest", "measured", "verdict"),
    ];
    for row in &report.rows {
        let span = |us: Option<u64>| us.map_or("-".to_owned(), micros_text);
        lines.push(format!(
            "{:<17}{:>9}{:>10}{:>10}{:>10}  {}",
            row.name,
            duration::format(row.configured_ms),
            span(row.p50_us),
            span(row.max_us),
            row.samples + row.failed,
            row.verdict.word()
        ));
        lines.push(format!("  {}", row.message));
    }
    lines.push(
        if report.holds() {
            "Both timeouts hold."
        } else {
            "Not every timeout holds: a takeover could follow although the master is there. Change them with: standin shadow \
             edit"
        }
        .to_owned(),
    );
    lines.extend(report.notes.iter().map(|note| format!("Note: {note}")));
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::message::Timing;
    use crate::engine::timeouts::{Measured, judge};

    /// spec 4.2: beside what is set, what was measured, and what would happen
    #[test]
    fn the_table_says_it_in_words() {
        let timing = Timing {
            check_interval_ms: 1_000,
            takeover_delay_ms: 3_000,
            connect_timeout_ms: 1_000,
            request_timeout_ms: 10,
        };
        let measured = Measured {
            master: "node-a port 8443".into(),
            connects_us: vec![1_900, 2_100],
            requests_us: vec![400, 7_300],
            ..Measured::default()
        };
        let text = lines(&judge(&measured, timing)).join("\n");
        for part in ["HOLDS", "FAILS", "2.1 ms", "7.3 ms", "Set it to 37ms or more", "Note: the request timeout"] {
            assert!(text.contains(part), "{part}:\n{text}");
        }
    }
}
