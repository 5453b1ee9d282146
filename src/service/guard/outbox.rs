//! Reports on their way to Standin. Writing may block (Standin may hang); the guard's loop never waits for it.

use std::collections::VecDeque;
use std::io::Write;
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use crate::service::lines::OutputLine;
use crate::service::lock;
use crate::service::protocol::{Report, encode};

/// Most lines of output waiting; further ones are dropped and counted.
const LINES_MAX: usize = 256;
/// Most other reports waiting; the oldest goes first. Only reached when Standin has read nothing for hours.
const REPORTS_MAX: usize = 1_024;

/// Shared by the guard's loop, the readers of output, and the writer.
#[derive(Clone, Default)]
pub struct Outbox(Arc<(Mutex<Waiting>, Condvar)>);

#[derive(Default)]
struct Waiting {
    lines: VecDeque<OutputLine>,
    reports: VecDeque<Report>,
    dropped: u64,
}

impl Outbox {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn report(&self, report: Report) {
        let mut waiting = lock(&self.0.0);
        if waiting.reports.len() >= REPORTS_MAX {
            waiting.reports.pop_front();
        }
        waiting.reports.push_back(report);
        self.0.1.notify_one();
    }

    pub fn line(&self, mut line: OutputLine) {
        let mut waiting = lock(&self.0.0);
        if waiting.lines.len() >= LINES_MAX {
            let is_line = line.dropped == 0 || !line.text.is_empty();
            waiting.dropped += line.dropped + u64::from(is_line);
            return;
        }
        line.dropped += std::mem::take(&mut waiting.dropped);
        waiting.lines.push_back(line);
        self.0.1.notify_one();
    }

    /// Writes until the other end is gone.
    pub fn write_to(&self, mut stdout: impl Write) {
        loop {
            let report = self.next();
            let Some(bytes) = encode(&report) else { continue };
            if stdout.write_all(&bytes).and_then(|()| stdout.flush()).is_err() {
                return;
            }
        }
    }

    /// Reports before output: they matter more.
    fn next(&self) -> Report {
        let mut waiting = lock(&self.0.0);
        loop {
            if let Some(report) = waiting.reports.pop_front() {
                return report;
            }
            if let Some(line) = waiting.lines.pop_front() {
                return Report::Output { line };
            }
            waiting = self.0.1.wait(waiting).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// architecture, wall 5: every queue has a limit
    #[test]
    fn output_nobody_reads_is_dropped_and_counted_and_reports_come_first() {
        let outbox = Outbox::new();
        for number in 0..LINES_MAX + 3 {
            outbox.line(OutputLine { text: number.to_string(), is_error: false, dropped: 0 });
        }
        outbox.report(Report::Stopped { id: 1 });
        assert_eq!(outbox.next(), Report::Stopped { id: 1 });
        let Report::Output { line } = outbox.next() else { panic!("a line") };
        assert_eq!(line.text, "0");
        outbox.line(OutputLine { text: "after".into(), is_error: false, dropped: 1 });
        let last = lock(&outbox.0.0).lines.back().cloned().unwrap();
        assert_eq!((last.text.as_str(), last.dropped), ("after", 4));
    }

    /// architecture, wall 5
    #[test]
    fn reports_nobody_reads_are_bounded() {
        let outbox = Outbox::new();
        for id in 0..=REPORTS_MAX as u64 {
            outbox.report(Report::Stopped { id });
        }
        assert_eq!(outbox.next(), Report::Stopped { id: 1 });
    }
}
