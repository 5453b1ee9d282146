//! TCP takeover checks (spec 7.2): is this machine the connected one?

use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use crate::engine::status::CheckResult;

/// Most checks in one run; the settings allow no more, further ones fail.
pub const CHECKS_MAX: usize = 16;
/// Most threads of checks at one time. Looking up a name cannot be cancelled and may outlast its check by far.
pub const THREADS_MAX: usize = 64;
/// Most addresses of one name that are tried.
const ADDRESSES_MAX: usize = 8;

static THREADS: AtomicUsize = AtomicUsize::new(0);

/// Tries every `host:port`, all at the same time; each passes when a connection is made within `timeout_ms`. Blocks for
/// `timeout_ms` at most; results are in the order of `targets`.
#[must_use]
pub fn run_tcp(targets: &[String], timeout_ms: u64) -> Vec<CheckResult> {
    let begin = Instant::now();
    let limit = Duration::from_millis(timeout_ms);
    let pending: Vec<_> = targets.iter().enumerate().map(|(at, target)| begin_check(at, target, limit)).collect();
    let outcomes = pending.into_iter().map(|pending| match pending {
        Ok(answer) => wait(&answer, begin, limit),
        Err(why) => Err(why),
    });
    targets
        .iter()
        .zip(outcomes)
        .map(|(target, outcome)| CheckResult {
            target: format!("tcp {target}"),
            ok: outcome.is_ok(),
            message: outcome.unwrap_or_else(|why| why),
        })
        .collect()
}

type Outcome = Result<String, String>;

/// A running check counts as one thread until it is dropped.
struct Slot;

impl Slot {
    fn take() -> Option<Self> {
        THREADS
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |count| (count < THREADS_MAX).then_some(count + 1))
            .ok()
            .map(|_| Self)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        THREADS.fetch_sub(1, Ordering::SeqCst);
    }
}

fn begin_check(at: usize, target: &str, limit: Duration) -> Result<Receiver<Outcome>, String> {
    if at >= CHECKS_MAX {
        return Err(format!("not tried: at most {CHECKS_MAX} checks are run"));
    }
    let (host, port) = split(target)?;
    let slot = Slot::take().ok_or("not tried: too many earlier checks still wait for a name server")?;
    let (answer, result): (SyncSender<Outcome>, _) = sync_channel(1);
    let started = thread::Builder::new().name("takeover-check".into()).spawn(move || {
        let _slot = slot;
        // Nobody may be waiting any more; the answer is then of no use.
        let _ = answer.send(connect(&host, port, limit));
    });
    started.map_err(|error| format!("not tried: no thread could be started ({error})"))?;
    Ok(result)
}

fn wait(answer: &Receiver<Outcome>, begin: Instant, limit: Duration) -> Outcome {
    // A little more than the limit, so that the check's own, more exact words win.
    let left = (limit + Duration::from_millis(50)).saturating_sub(begin.elapsed());
    answer.recv_timeout(left).unwrap_or_else(|_| Err(timed_out(limit, "looking up its name")))
}

fn timed_out(limit: Duration, doing: &str) -> String {
    format!("timed out after {} ms {doing}", limit.as_millis())
}

/// `host:port` or `[v6]:port`.
fn split(target: &str) -> Result<(String, u16), String> {
    const EXPECTED: &str = "expected host:port, or [address]:port for IPv6";
    let (host, port) = target.rsplit_once(':').ok_or(EXPECTED)?;
    let host = match host.strip_prefix('[') {
        Some(inner) => inner.strip_suffix(']').ok_or(EXPECTED)?,
        None if host.contains(':') => return Err(EXPECTED.into()),
        None => host,
    };
    let port = port.parse().ok().filter(|port| *port != 0).ok_or(EXPECTED)?;
    if host.is_empty() { Err(EXPECTED.into()) } else { Ok((host.into(), port)) }
}

fn connect(host: &str, port: u16, limit: Duration) -> Outcome {
    let begin = Instant::now();
    let addresses: Vec<SocketAddr> = (host, port)
        .to_socket_addrs()
        .map_err(|error| format!("name {host} not found ({})", plain(&error)))?
        .take(ADDRESSES_MAX)
        .collect();
    let mut why = format!("name {host} has no address");
    for (tried, address) in addresses.iter().enumerate() {
        // A dead first address must leave time for the next.
        let rest = u32::try_from(addresses.len() - tried).unwrap_or(1);
        let share = limit.saturating_sub(begin.elapsed()) / rest;
        if share.is_zero() {
            return Err(timed_out(limit, "looking up its name"));
        }
        match TcpStream::connect_timeout(address, share) {
            Ok(_) => return Ok(format!("{:.1} ms", begin.elapsed().as_secs_f64() * 1_000.0)),
            Err(error) => why = explain(&error, *address, limit),
        }
    }
    Err(why)
}

fn explain(error: &std::io::Error, address: SocketAddr, limit: Duration) -> String {
    use std::io::ErrorKind;
    match error.kind() {
        ErrorKind::ConnectionRefused => format!("refused by {address}"),
        ErrorKind::TimedOut | ErrorKind::WouldBlock => timed_out(limit, &format!("connecting to {address}")),
        ErrorKind::NetworkUnreachable => format!("no way to the network of {address}"),
        ErrorKind::HostUnreachable => format!("{address} is not reachable"),
        _ => format!("{address}: {}", plain(error)),
    }
}

/// Without the words that the library puts in front.
fn plain(error: &std::io::Error) -> String {
    let text = error.to_string();
    text.strip_prefix("failed to lookup address information: ").unwrap_or(&text).to_owned()
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    /// spec 7.2
    #[test]
    fn each_check_tells_how_it_went_in_order() {
        let open = TcpListener::bind("127.0.0.1:0").unwrap();
        let open = open.local_addr().map(|address| (address, open)).unwrap();
        let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let targets = [
            open.0.to_string(),
            closed.to_string(),
            "no-such-host.invalid:443".into(),
            "nonsense".into(),
            "[::1:5".into(),
        ];
        let results = run_tcp(&targets, 5_000);
        assert_eq!(results.iter().map(|result| result.ok).collect::<Vec<_>>(), [true, false, false, false, false]);
        assert!(results[0].message.ends_with(" ms"), "{}", results[0].message);
        assert_eq!(results[0].target, format!("tcp {}", open.0));
        assert_eq!(results[1].message, format!("refused by {closed}"));
        assert!(
            results[2].message.starts_with("name no-such-host.invalid not found")
                || results[2].message.starts_with("timed out"),
            "{}",
            results[2].message
        );
        assert!(results[3].message.starts_with("expected host:port"));
    }

    /// spec 7.2: a check that hangs must not hold up the takeover
    #[test]
    fn a_silent_target_costs_the_timeout_and_no_more() {
        // A listener whose queue is full drops further connection requests: silence.
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        rustix::net::listen(&listener, 0).unwrap();
        let mut held = Vec::new();
        while let Ok(stream) = TcpStream::connect_timeout(&address, Duration::from_millis(200)) {
            held.push(stream);
            assert!(held.len() < 32, "the queue should be full by now");
        }
        let begin = Instant::now();
        let results = run_tcp(&[address.to_string(), address.to_string()], 300);
        let took = begin.elapsed();
        assert!(
            took >= Duration::from_millis(290) && took < Duration::from_millis(2_000),
            "{took:?}: at the same time"
        );
        for result in results {
            assert_eq!(result.message, format!("timed out after 300 ms connecting to {address}"));
        }
    }

    /// architecture, wall 5: every list has a limit
    #[test]
    fn more_checks_than_allowed_are_not_tried() {
        let targets = vec!["127.0.0.1:1".to_owned(); CHECKS_MAX + 1];
        let results = run_tcp(&targets, 1_000);
        assert!(results[CHECKS_MAX - 1].message.starts_with("refused"), "{}", results[CHECKS_MAX - 1].message);
        assert!(results[CHECKS_MAX].message.starts_with("not tried"));
    }

    #[test]
    fn targets_are_read_as_people_write_them() {
        assert_eq!(split("gateway.example.net:443"), Ok(("gateway.example.net".into(), 443)));
        assert_eq!(split("[fe80::1]:22"), Ok(("fe80::1".into(), 22)));
        for wrong in ["fe80::1:22", ":22", "host", "host:", "host:0", "host:65536", "[::1]"] {
            assert!(split(wrong).is_err(), "{wrong}");
        }
    }
}
