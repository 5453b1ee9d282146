//! One HTTP or HTTPS check: passes when the answer has the expected status. Speaks through the program's HTTP client.

use std::time::{Duration, Instant};

use super::{Outcome, took};
use crate::engine::settings::HttpCheck;
use crate::http::check::status;

/// Blocks for `limit` at most.
pub(super) fn check(check: &HttpCheck, limit: Duration) -> Outcome {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| format!("not tried: no runtime ({error})"))?;
    let begin = Instant::now();
    let answered = runtime.block_on(status(&check.url, limit));
    // A name that is still looked up must not hold up the answer.
    runtime.shutdown_background();
    let answered = answered?;
    if answered == check.status {
        Ok(took(begin))
    } else {
        Err(format!("answered {answered}, expected {}", check.status))
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::{SocketAddr, TcpListener};
    use std::path::Path;

    use super::*;
    use crate::engine::settings::TakeoverChecks;
    use crate::service::checks::run;

    fn answers(text: &'static str) -> SocketAddr {
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
    }

    /// spec 7.2
    #[test]
    fn each_tells_how_it_went_and_a_silent_one_costs_its_time_alone() {
        let (good, moved, bad) = (answers("200 Fine"), answers("301 There\r\nLocation: /x"), answers("500 Oops"));
        let silent = TcpListener::bind("127.0.0.1:0").unwrap();
        let targets = [
            (format!("http://{good}/health"), 200),
            (format!("http://{good}/health"), 204),
            (format!("http://{moved}"), 301),
            (format!("http://{bad}/"), 200),
            (format!("http://{}/", silent.local_addr().unwrap()), 200),
            (format!("https://{good}/"), 200),
        ];
        let http = targets.map(|(url, status)| HttpCheck { url, status }).to_vec();
        let begin = Instant::now();
        let results = run(&TakeoverChecks { http, timeout: 2_000, ..TakeoverChecks::default() }, Path::new("/"));
        assert!(begin.elapsed() < Duration::from_millis(3_900), "{:?}: at the same time", begin.elapsed());
        let ok: Vec<bool> = results.iter().map(|result| result.ok).collect();
        assert_eq!(ok, [true, false, true, false, false, false], "{results:?}");
        assert!(results[0].message.ends_with(" ms"), "{results:?}");
        assert_eq!(results[1].message, "answered 200, expected 204");
        assert_eq!(results[3].message, "answered 500, expected 200");
        assert_eq!(results[4].message, "timed out after 2000 ms waiting for the answer");
        assert!(results[5].message.contains("does not speak TLS"), "{results:?}");
    }
}
