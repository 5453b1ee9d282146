//! What Standin and its guard say to each other: one JSON value a line.

use serde::{Deserialize, Serialize};

use super::lines::OutputLine;

/// Longest line of the protocol, in bytes, both ways. A command line with its environment must fit into one.
pub const FRAME_BYTES_MAX: usize = 48 * 1024;

/// Standin asks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "snake_case")]
pub enum Ask {
    /// Run this; if it runs already, say so. Answered by `Started` or `StartFailed`, unless another ask comes first.
    Start(Box<Start>),
    /// Let nothing of it run. Answered by `Stopped` or `StopFailed`.
    Stop {
        /// For the answer.
        id: u64,
        /// Wait so long for it to end in peace, before the signal (spec 2.4).
        grace_ms: u64,
    },
    /// It does not do its work: stop it as always, then start it as after an end of its own, which it counts as. Without an
    /// answer of its own.
    Restart {
        /// For people.
        why: String,
    },
    /// From the signal to the kill, from now on, also of what runs already: the stop budget counts by it (spec 7.11). Without an
    /// answer.
    StopGrace {
        /// See [`Start::stop_grace_ms`].
        ms: u64,
    },
}

/// What to run, and how.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Start {
    /// For the answer.
    pub id: u64,
    /// Program and arguments.
    pub argv: Vec<String>,
    /// Working directory.
    pub directory: String,
    /// Set on top of what Standin itself has.
    pub env: Vec<(String, String)>,
    /// `TERM`, `INT`, …
    pub stop_signal: String,
    /// From the signal to the kill.
    pub stop_grace_ms: u64,
    /// Counts as started after this.
    pub start_time_ms: u64,
    /// First pause before a restart.
    pub restart_pause_ms: u64,
    /// Failing when it ended more often within the window; 0: never.
    pub restart_limit: u32,
    /// See `restart_limit`.
    pub restart_window_ms: u64,
    /// It may run only as long as the sheet says.
    pub is_watched: bool,
}

impl Start {
    /// The same thing would run; the environment is that of the start and may differ.
    #[must_use]
    pub fn runs_the_same(&self, other: &Self) -> bool {
        self.argv == other.argv && self.directory == other.directory
    }
}

/// The guard reports.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "report", rename_all = "snake_case")]
pub enum Report {
    /// Answer: it runs.
    Started {
        /// Of the ask.
        id: u64,
        /// Its process.
        pid: u32,
    },
    /// Answer: it does not, and nothing of it is left.
    StartFailed {
        /// Of the ask.
        id: u64,
        /// For people.
        why: String,
    },
    /// It ended by itself.
    Exited {
        /// `exit status 1`, `killed by signal 9 (KILL)`
        status: String,
    },
    /// It will be started again.
    Restarting {
        /// From now.
        in_ms: u64,
    },
    /// It was started again.
    Restarted {
        /// Its process.
        pid: u32,
    },
    /// It ended more often than the limit allows; from now on at the longest pause.
    Failing {
        /// Within the window.
        ended: u32,
    },
    /// It has run for a whole window, and is not failing any more.
    Steady,
    /// The time on the sheet was over, so it was stopped: nothing of it runs, and it is not started again.
    Expired,
    /// Comes before `Stopped` and `Expired`: from the signal to the end of the last process.
    StopTook {
        /// In all.
        ms: u64,
    },
    /// Answer: nothing of it runs. Comes also some time after `StopFailed`.
    Stopped {
        /// Of the ask.
        id: u64,
    },
    /// These survived a kill (so far).
    StopFailed {
        /// Of the ask.
        id: u64,
        /// Processes, at most [`PIDS_MAX`].
        pids: Vec<i32>,
    },
    /// It wrote a line.
    Output {
        /// Which.
        line: OutputLine,
    },
}

/// Most processes named in a report.
pub const PIDS_MAX: usize = 32;

/// As one line with its end; none if it is longer than [`FRAME_BYTES_MAX`].
#[must_use]
pub fn encode(value: &impl Serialize) -> Option<Vec<u8>> {
    let mut line = serde_json::to_vec(value).ok()?;
    line.push(b'\n');
    (line.len() <= FRAME_BYTES_MAX).then_some(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn asks_and_reports_survive_the_way() {
        let start = Start {
            id: 3,
            argv: vec!["a b".into(), "new\nline".into()],
            directory: "/".into(),
            env: vec![("A".into(), "b".into())],
            stop_signal: "TERM".into(),
            stop_grace_ms: 1,
            start_time_ms: 2,
            restart_pause_ms: 3,
            restart_limit: 4,
            restart_window_ms: 5,
            is_watched: true,
        };
        for ask in [Ask::Start(Box::new(start)), Ask::Stop { id: 4, grace_ms: 5 }] {
            let line = encode(&ask).unwrap();
            assert_eq!(line.iter().filter(|byte| **byte == b'\n').count(), 1, "one line");
            assert_eq!(serde_json::from_slice::<Ask>(&line).unwrap(), ask);
        }
        let line = OutputLine { text: "x".into(), is_error: true, dropped: 2 };
        for report in [Report::Output { line }, Report::StopFailed { id: 1, pids: vec![2] }] {
            assert_eq!(serde_json::from_slice::<Report>(&encode(&report).unwrap()).unwrap(), report);
        }
    }

    /// architecture, wall 5: every frame has a limit
    #[test]
    fn what_is_too_long_is_not_sent() {
        let why = "x".repeat(FRAME_BYTES_MAX);
        assert_eq!(encode(&Report::StartFailed { id: 1, why }), None);
    }
}
