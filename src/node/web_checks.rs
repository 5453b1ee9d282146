//! Takeover checks over HTTP (spec 7.2), started from the thread of the checks beside those over TCP, all at the same time.

use std::sync::mpsc::{Receiver, sync_channel};
use std::time::{Duration, Instant};

use tokio::runtime::Handle;

use crate::engine::settings::table::TAKEOVER_TARGETS_MAX;
use crate::engine::status::CheckResult;
use crate::http::check::check;

/// Over the time of a check, for the scheduler: so that the check's own, more exact words win.
const SLACK: Duration = Duration::from_millis(50);

/// Where they run.
pub struct WebChecks(Handle);

/// A run of them.
pub struct Asked {
    targets: Vec<String>,
    answers: Receiver<(usize, CheckResult)>,
    until: Instant,
}

impl WebChecks {
    /// In the runtime around the caller.
    #[must_use]
    pub fn here() -> Self {
        Self(Handle::current())
    }

    /// Asks all, each within `timeout_ms`; never blocks.
    #[must_use]
    pub fn begin(&self, targets: &[String], timeout_ms: u64) -> Asked {
        let limit = Duration::from_millis(timeout_ms);
        let targets: Vec<String> = targets.iter().take(TAKEOVER_TARGETS_MAX).cloned().collect();
        let (sender, answers) = sync_channel(TAKEOVER_TARGETS_MAX);
        for (at, target) in targets.iter().cloned().enumerate() {
            let sender = sender.clone();
            self.0.spawn(async move {
                // Whoever does not wait any more has no use for it.
                let _ = sender.try_send((at, check(&target, limit).await));
            });
        }
        Asked { targets, answers, until: Instant::now() + limit + SLACK }
    }
}

impl Asked {
    /// Their results, in the order of the settings. Blocks for the time of one check at most.
    #[must_use]
    pub fn wait(self) -> Vec<CheckResult> {
        let late = |target: &String| CheckResult {
            target: target.clone(),
            ok: false,
            message: "it was not finished in time".into(),
        };
        let mut results: Vec<CheckResult> = self.targets.iter().map(late).collect();
        for _ in 0..results.len() {
            let left = self.until.saturating_duration_since(Instant::now());
            let Ok((at, result)) = self.answers.recv_timeout(left) else { break };
            if let Some(place) = results.get_mut(at) {
                *place = result;
            }
        }
        results
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpListener;

    use super::*;

    /// spec 7.2
    #[test]
    fn each_tells_how_it_went_in_order_and_a_silent_one_costs_its_time_alone() {
        let answers = |text: &'static str| {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let place = listener.local_addr().unwrap();
            std::thread::spawn(move || {
                for mut stream in listener.incoming().flatten() {
                    let mut request = [0; 4_096];
                    let _ = stream.read(&mut request);
                    let _ = write!(stream, "HTTP/1.1 {text}\r\nContent-Length: 0\r\n\r\n");
                }
            });
            place
        };
        let (good, moved, bad) = (answers("204 Fine"), answers("301 There"), answers("500 Oops"));
        let silent = TcpListener::bind("127.0.0.1:0").unwrap();
        let targets = [
            format!("http://{good}/health"),
            format!("http://{good}/health 200"),
            format!("http://{moved}"),
            format!("http://{bad}/"),
            format!("http://{}/", silent.local_addr().unwrap()),
            format!("https://{good}/"),
        ];
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let begin = Instant::now();
        let results = WebChecks(runtime.handle().clone()).begin(&targets, 1_000).wait();
        assert!(begin.elapsed() < Duration::from_millis(1_900), "{:?}: at the same time", begin.elapsed());
        let ok: Vec<bool> = results.iter().map(|result| result.ok).collect();
        assert_eq!(ok, [true, false, true, false, false, false], "{results:?}");
        assert!(results[0].message.starts_with("204 after "), "{results:?}");
        assert_eq!(results[0].target, format!("http://{good}/health"));
        assert_eq!(results[1].message, "answered 204, expected 200");
        assert_eq!(results[3].message, "answered 500, expected 200 to 399");
        assert_eq!(results[4].message, "timed out after 1000 ms waiting for the answer");
        assert!(results[5].message.contains("does not speak TLS"), "{results:?}");
    }
}
