//! Takeover checks (spec 7.2): is this machine the connected one? TCP, HTTP or command, all at the same time.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use crate::engine::settings::{HttpCheck, TakeoverChecks};
use crate::engine::status::CheckResult;

mod command;
mod http;
mod tcp;

/// Most checks in one run; the settings allow no more, further ones fail.
pub const CHECKS_MAX: usize = 48;
/// Most threads of checks at one time. Looking up a name cannot be cancelled and may outlast its check by far.
pub const THREADS_MAX: usize = 96;
/// A little more than the limit, so that the check's own, more exact words win.
const SLACK: Duration = Duration::from_millis(50);
/// A command is killed at its limit, and its last words are read after that.
const COMMAND_SLACK: Duration = Duration::from_millis(800);

static THREADS: AtomicUsize = AtomicUsize::new(0);

/// How long it took, or why it failed.
type Outcome = Result<String, String>;

/// One thing to try.
#[derive(Clone, Debug)]
enum Target {
    Tcp(String),
    Http(HttpCheck),
    Command(Vec<String>),
}

impl Target {
    fn name(&self) -> String {
        match self {
            Self::Tcp(target) => format!("tcp {target}"),
            Self::Http(check) => format!("http {} ({})", check.url, check.status),
            Self::Command(argv) => format!("command {}", argv.join(" ")),
        }
    }

    fn run(&self, directory: &Path, limit: Duration) -> Outcome {
        match self {
            Self::Tcp(target) => tcp::check(target, limit),
            Self::Http(check) => http::check(check, limit),
            Self::Command(argv) => command::check(argv, directory, limit),
        }
    }

    /// What takes longest in it where it does not say so itself: a look-up cannot be given a limit.
    fn slowest(&self) -> &'static str {
        match self {
            Self::Tcp(target) if target.parse::<SocketAddr>().is_ok() => "connecting",
            Self::Tcp(_) | Self::Http(_) => "looking up its name",
            Self::Command(_) => "ending it",
        }
    }

    fn slack(&self) -> Duration {
        if matches!(self, Self::Command(_)) { COMMAND_SLACK } else { SLACK }
    }
}

/// Tries all of them, each with the limit of the settings, commands in `directory`. Blocks for that limit and a second at
/// most. Results are in the order TCP, HTTP, commands.
#[must_use]
pub fn run(checks: &TakeoverChecks, directory: &Path) -> Vec<CheckResult> {
    let tcp = checks.tcp.iter().cloned().map(Target::Tcp);
    let http = checks.http.iter().cloned().map(Target::Http);
    let commands = checks.command.iter().cloned().map(Target::Command);
    run_all(&tcp.chain(http).chain(commands).collect::<Vec<_>>(), directory, checks.timeout)
}

fn run_all(targets: &[Target], directory: &Path, timeout_ms: u64) -> Vec<CheckResult> {
    let begin = Instant::now();
    let limit = Duration::from_millis(timeout_ms);
    let pending: Vec<_> =
        targets.iter().enumerate().map(|(at, target)| begin_check(at, target, directory, limit)).collect();
    let outcomes = targets.iter().zip(pending).map(|(target, pending)| match pending {
        Ok(answer) => wait(&answer, begin, limit, target),
        Err(why) => Err(why),
    });
    targets
        .iter()
        .zip(outcomes)
        .map(|(target, outcome)| CheckResult {
            target: target.name(),
            ok: outcome.is_ok(),
            message: outcome.unwrap_or_else(|why| why),
        })
        .collect()
}

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

fn begin_check(at: usize, target: &Target, directory: &Path, limit: Duration) -> Result<Receiver<Outcome>, String> {
    if at >= CHECKS_MAX {
        return Err(format!("not tried: at most {CHECKS_MAX} checks are run"));
    }
    let slot = Slot::take().ok_or("not tried: too many earlier checks still wait for a name server")?;
    let (answer, result): (SyncSender<Outcome>, _) = sync_channel(1);
    let (target, directory): (Target, PathBuf) = (target.clone(), directory.to_owned());
    let started = thread::Builder::new().name("takeover-check".into()).spawn(move || {
        let _slot = slot;
        // Nobody may be waiting any more; the answer is then of no use.
        let _ = answer.send(target.run(&directory, limit));
    });
    started.map_err(|error| format!("not tried: no thread could be started ({error})"))?;
    Ok(result)
}

fn wait(answer: &Receiver<Outcome>, begin: Instant, limit: Duration, target: &Target) -> Outcome {
    let left = (limit + target.slack()).saturating_sub(begin.elapsed());
    answer.recv_timeout(left).unwrap_or_else(|_| Err(timed_out(limit, target.slowest())))
}

fn timed_out(limit: Duration, doing: &str) -> String {
    format!("timed out after {} ms {doing}", limit.as_millis())
}

/// `0.4 ms`
fn took(begin: Instant) -> String {
    format!("{:.1} ms", begin.elapsed().as_secs_f64() * 1_000.0)
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use std::net::TcpStream;

    use super::*;

    fn run_tcp(targets: &[String], timeout_ms: u64) -> Vec<CheckResult> {
        let checks = TakeoverChecks { tcp: targets.to_vec(), timeout: timeout_ms, ..TakeoverChecks::default() };
        run(&checks, Path::new("/"))
    }

    fn run_command(script: &str, timeout_ms: u64) -> CheckResult {
        let argv = ["sh", "-c", script].map(str::to_owned).to_vec();
        let checks = TakeoverChecks { command: vec![argv], timeout: timeout_ms, ..TakeoverChecks::default() };
        run(&checks, Path::new("/no/such/directory")).remove(0)
    }

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
        let targets: Vec<String> = vec!["127.0.0.1:1".to_owned(); CHECKS_MAX + 1];
        let results = run_tcp(&targets, 1_000);
        assert!(results[CHECKS_MAX - 1].message.starts_with("refused"), "{}", results[CHECKS_MAX - 1].message);
        assert!(results[CHECKS_MAX].message.starts_with("not tried"));
    }

    /// spec 7.2: exit status 0 passes, and the last line of the output says why
    #[test]
    fn a_command_tells_by_its_exit_status_and_its_last_line() {
        let good = run_command("echo first; echo gateway answers; echo", 10_000);
        assert!(good.ok && good.message.starts_with("gateway answers ("), "{good:?}");
        let quiet = run_command("true", 10_000);
        assert!(quiet.ok && quiet.message.starts_with("exit status 0 ("), "{quiet:?}");
        let bad = run_command("echo no carrier >&2; exit 3", 10_000);
        assert_eq!((bad.ok, bad.message.as_str()), (false, "exit status 3: no carrier"));
        let secret = run_command("echo password: hunter2; exit 3", 10_000);
        assert!(
            !secret.ok && secret.message.contains("password:") && !secret.message.contains("hunter2"),
            "{secret:?}"
        );
        let checks = TakeoverChecks { command: vec![vec!["no-such-program-here".into()]], ..TakeoverChecks::default() };
        assert_eq!(run(&checks, Path::new("/"))[0].message, "no-such-program-here was not found in PATH");
    }

    /// spec 7.2: killed with its group at its limit, and all checks together take no longer than one
    #[test]
    fn a_command_that_hangs_is_killed_with_its_children() {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join("pid");
        let script = format!("sleep 600 & echo $! > {}; wait", file.display());
        let begin = Instant::now();
        let argv = ["sh", "-c", &script].map(str::to_owned).to_vec();
        let checks = TakeoverChecks { command: vec![argv.clone(), argv], timeout: 700, ..TakeoverChecks::default() };
        let results = run(&checks, home.path());
        assert!(begin.elapsed() < Duration::from_millis(2_500), "{:?}: at the same time", begin.elapsed());
        for result in results {
            assert_eq!((result.ok, result.message.as_str()), (false, "killed after its time limit of 700 ms"));
        }
        let child: i32 = std::fs::read_to_string(&file).unwrap().trim().parse().unwrap();
        let end = Instant::now() + Duration::from_secs(5);
        let is_there = || super::super::procs::all().unwrap().iter().any(|one| one.pid == child && !one.is_zombie);
        while is_there() {
            assert!(Instant::now() < end, "the child of a killed check runs on");
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// spec 7.2: each kind in its turn, named
    #[test]
    fn kinds_are_told_apart() {
        let checks = TakeoverChecks {
            tcp: vec!["127.0.0.1:1".into()],
            http: vec![HttpCheck { url: "http://127.0.0.1:1/x".into(), status: 204 }],
            command: vec![vec!["true".into()]],
            ..TakeoverChecks::default()
        };
        let results = run(&checks, Path::new("/"));
        let names: Vec<&str> = results.iter().map(|result| result.target.as_str()).collect();
        assert_eq!(names, ["tcp 127.0.0.1:1", "http http://127.0.0.1:1/x (204)", "command true"]);
        assert_eq!(results.iter().map(|result| result.ok).collect::<Vec<_>>(), [false, false, true]);
    }
}
