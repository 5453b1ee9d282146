//! Output of a command as lines for people: bounded in length and rate, free of control characters.

use std::io::{ErrorKind, Read};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

/// Longest line kept, in bytes; the rest of a longer one is dropped and said so.
pub const LINE_BYTES_MAX: usize = 4 * 1024;
/// Most lines passed on from one stream in each [`RATE_WINDOW`].
pub const LINES_PER_WINDOW_MAX: u32 = 100;
/// See [`LINES_PER_WINDOW_MAX`].
pub const RATE_WINDOW: Duration = Duration::from_secs(1);
/// Ends a line that was cut.
const CUT: &str = " … (line cut)";
const READ_BYTES: usize = 16 * 1024;

/// One line that a command wrote.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutputLine {
    /// Without its end; control characters and what is no UTF-8 replaced.
    pub text: String,
    /// It came over standard error.
    pub is_error: bool,
    /// Lines dropped just before this one, because there were too many.
    pub dropped: u64,
}

/// Reads `stream` to its end and hands over each line. Never stops reading: a full pipe would block the command.
pub fn read_lines(mut stream: impl Read, is_error: bool, mut on_line: impl FnMut(OutputLine)) {
    let mut cutter = Cutter::default();
    let mut rate = Rate::new(Instant::now());
    let mut buffer = vec![0; READ_BYTES];
    let mut pass = |text: String, now| {
        if let Some(dropped) = rate.admit(now) {
            on_line(OutputLine { text, is_error, dropped });
        }
    };
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => {
                let now = Instant::now();
                cutter.feed(&buffer[..count], |text| pass(text, now));
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(_) => break,
        }
    }
    if let Some(text) = cutter.finish() {
        pass(text, Instant::now());
    }
    if rate.dropped > 0 {
        on_line(OutputLine { text: String::new(), is_error, dropped: rate.dropped });
    }
}

/// Makes lines of bytes.
#[derive(Default)]
struct Cutter {
    line: Vec<u8>,
    is_cut: bool,
}

impl Cutter {
    fn feed(&mut self, mut bytes: &[u8], mut on_line: impl FnMut(String)) {
        while let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
            self.keep(&bytes[..end]);
            on_line(self.take());
            bytes = &bytes[end + 1..];
        }
        self.keep(bytes);
    }

    /// The last line, if it has no end.
    fn finish(&mut self) -> Option<String> {
        (!self.line.is_empty()).then(|| self.take())
    }

    fn keep(&mut self, bytes: &[u8]) {
        let space = LINE_BYTES_MAX - self.line.len();
        self.line.extend_from_slice(&bytes[..bytes.len().min(space)]);
        self.is_cut |= bytes.len() > space;
    }

    fn take(&mut self) -> String {
        let mut text: String = String::from_utf8_lossy(&self.line)
            .trim_end_matches('\r')
            .chars()
            .map(|c| match c {
                '\t' => ' ',
                c if c.is_control() => '·',
                c => c,
            })
            .collect();
        if self.is_cut {
            text.push_str(CUT);
        }
        self.line.clear();
        self.is_cut = false;
        text
    }
}

/// So many in each window; counts what it refuses.
struct Rate {
    window_start: Instant,
    passed: u32,
    dropped: u64,
}

impl Rate {
    fn new(now: Instant) -> Self {
        Self { window_start: now, passed: 0, dropped: 0 }
    }

    /// Some: it may pass, and so many were dropped before it.
    fn admit(&mut self, now: Instant) -> Option<u64> {
        if now.duration_since(self.window_start) >= RATE_WINDOW {
            self.window_start = now;
            self.passed = 0;
        }
        if self.passed < LINES_PER_WINDOW_MAX {
            self.passed += 1;
            return Some(std::mem::take(&mut self.dropped));
        }
        self.dropped += 1;
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines_of(bytes: &[u8]) -> Vec<OutputLine> {
        let mut all = Vec::new();
        read_lines(bytes, false, |line| all.push(line));
        all
    }

    /// spec 7.13: output goes to the events, where it must do no harm
    #[test]
    fn lines_are_cleaned_and_the_last_needs_no_end() {
        let texts: Vec<_> = lines_of(b"one\r\n\ttwo \x1b[31m\nthree \xff").into_iter().map(|line| line.text).collect();
        assert_eq!(texts, ["one", " two ·[31m", "three \u{fffd}"]);
    }

    /// architecture, wall 5: every string has a limit
    #[test]
    fn a_long_line_is_cut_and_says_so() {
        let mut bytes = vec![b'x'; LINE_BYTES_MAX * 3];
        bytes.extend_from_slice(b"\nnext");
        let lines = lines_of(&bytes);
        assert_eq!(lines[0].text.len(), LINE_BYTES_MAX + CUT.len());
        assert!(lines[0].text.ends_with(CUT));
        assert_eq!(lines[1].text, "next");
        assert_eq!(lines_of(&bytes[..LINE_BYTES_MAX])[0].text.len(), LINE_BYTES_MAX, "just fits");
    }

    /// architecture, wall 5: every queue has a limit
    #[test]
    fn a_flood_is_dropped_and_counted() {
        let start = Instant::now();
        let mut rate = Rate::new(start);
        for _ in 0..LINES_PER_WINDOW_MAX {
            assert_eq!(rate.admit(start), Some(0));
        }
        assert_eq!(rate.admit(start), None);
        assert_eq!(rate.admit(start), None);
        assert_eq!(rate.admit(start + RATE_WINDOW), Some(2), "told with the next");
        assert_eq!(rate.admit(start + RATE_WINDOW), Some(0));
    }

    /// architecture, wall 5
    #[test]
    fn what_was_dropped_last_is_told_at_the_end() {
        let flood = b"x\n".repeat(LINES_PER_WINDOW_MAX as usize + 7);
        let lines = lines_of(&flood);
        assert_eq!(lines.iter().map(|line| line.dropped).sum::<u64>() + lines.len() as u64 - 1, lines_total(&flood));
        assert_eq!(lines.last().map(|line| line.dropped), Some(7));
    }

    fn lines_total(bytes: &[u8]) -> u64 {
        bytes.iter().filter(|byte| **byte == b'\n').count() as u64
    }
}
