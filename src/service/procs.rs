//! Looks into `/proc`: whose child is whose, and who carries the service's mark.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};

use super::MARK;

/// Most bytes read of one process's environment; a longer one is searched as far as that.
const ENVIRONMENT_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// One process that runs (a zombie does not).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Process {
    /// Its id.
    pub pid: i32,
    /// Its parent's.
    pub parent: i32,
    /// Its process group.
    pub group: i32,
    /// It has ended and only waits to be collected.
    pub is_zombie: bool,
}

/// Every process there is, as far as `/proc` shows them.
///
/// # Errors
/// `/proc` cannot be read.
pub fn all() -> io::Result<Vec<Process>> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let Ok(entry) = entry else { continue };
        let name = entry.file_name();
        let Some(name) = name.to_str().filter(|name| name.starts_with(|c: char| c.is_ascii_digit())) else { continue };
        // One that ends meanwhile is no error.
        if let Ok(stat) = fs::read_to_string(format!("/proc/{name}/stat")) {
            found.extend(parse_stat(&stat));
        }
    }
    Ok(found)
}

/// `pid (name) state parent group …`; the name may hold blanks and parentheses.
fn parse_stat(stat: &str) -> Option<Process> {
    let (pid, rest) = stat.split_once(" (")?;
    let (_, rest) = rest.rsplit_once(") ")?;
    let mut fields = rest.split(' ');
    let state = fields.next()?;
    Some(Process {
        pid: pid.parse().ok()?,
        parent: fields.next()?.parse().ok()?,
        group: fields.next()?.parse().ok()?,
        is_zombie: matches!(state, "Z" | "X"),
    })
}

/// The children of `root`, their children and so on, zombies left out.
///
/// # Errors
/// `/proc` cannot be read.
pub fn descendants(root: i32) -> io::Result<Vec<Process>> {
    let all = all()?;
    let mut by_parent: BTreeMap<i32, Vec<Process>> = BTreeMap::new();
    for process in all {
        by_parent.entry(process.parent).or_default().push(process);
    }
    let mut found = Vec::new();
    let mut open = vec![root];
    while let Some(parent) = open.pop() {
        for process in by_parent.remove(&parent).unwrap_or_default() {
            open.push(process.pid);
            found.push(process);
        }
    }
    found.retain(|process| !process.is_zombie);
    Ok(found)
}

/// Processes of a service whose guard is gone: those that carry `mark` in their environment, in this process-id namespace
/// (a container on this machine may hold a copy of the home). Only those are seen whose environment we may read.
#[must_use]
pub fn marked(mark: &str) -> Vec<Process> {
    let wanted = format!("{MARK}={mark}");
    let here = fs::read_link("/proc/self/ns/pid").ok();
    let own = i64::from(std::process::id());
    let mut found = all().unwrap_or_default();
    found.retain(|process| {
        !process.is_zombie
            && i64::from(process.pid) != own
            && has_variable(process.pid, wanted.as_bytes())
            && fs::read_link(format!("/proc/{}/ns/pid", process.pid)).ok() == here
    });
    found
}

fn has_variable(pid: i32, wanted: &[u8]) -> bool {
    use std::io::Read;
    let Ok(file) = fs::File::open(format!("/proc/{pid}/environ")) else { return false };
    let mut bytes = Vec::new();
    if file.take(ENVIRONMENT_BYTES_MAX).read_to_end(&mut bytes).is_err() {
        return false;
    }
    bytes.split(|byte| *byte == 0).any(|variable| variable == wanted)
}

/// Sends `signal` to each; to a whole group at once where it is `group`, so that no fork slips through.
pub fn signal_all(processes: &[Process], group: Option<i32>, signal: Signal) {
    let mut groups = BTreeSet::new();
    for process in processes {
        if Some(process.group) == group && process.group > 1 {
            if groups.insert(process.group) {
                signal_group(process.group, signal);
            }
        } else if let Some(pid) = Pid::from_raw(process.pid) {
            // It may be gone by now: nothing to do then.
            let _ = kill_process(pid, signal);
        }
    }
}

/// Sends `signal` to a process group; one that is gone is no error.
pub fn signal_group(group: i32, signal: Signal) {
    if let Some(group) = Pid::from_raw(group).filter(|_| group > 1) {
        let _ = kill_process_group(group, signal);
    }
}

/// From one look at the processes to the next while killing.
const SWEEP_PAUSE: Duration = Duration::from_millis(5);
/// So many looks in a row must find nothing: one look is not atomic, a fork may hide from it.
const SWEEP_EMPTY_LOOKS: u32 = 2;

/// Waits `patience` for everything that carries `mark` to end, then kills until nothing is left or `limit` has passed.
/// Returns what is left.
#[must_use]
pub fn sweep(mark: &str, patience: Duration, limit: Duration) -> Vec<i32> {
    let begin = Instant::now();
    let mut empty_looks = 0;
    loop {
        let found = marked(mark);
        let waited = begin.elapsed();
        if found.is_empty() {
            empty_looks += 1;
            if empty_looks >= SWEEP_EMPTY_LOOKS {
                return Vec::new();
            }
            continue;
        }
        empty_looks = 0;
        if waited >= patience {
            signal_all(&found, None, Signal::KILL);
        }
        if waited >= patience + limit {
            return found.iter().map(|process| process.pid).collect();
        }
        std::thread::sleep(SWEEP_PAUSE);
    }
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn a_name_with_blanks_and_parentheses_is_no_trouble() {
        let stat = "4711 (a) b (c)) S 17 4700 4700 0 -1 4194560";
        assert_eq!(parse_stat(stat), Some(Process { pid: 4711, parent: 17, group: 4700, is_zombie: false }));
        assert_eq!(parse_stat("nonsense"), None);
    }

    /// spec 7.13: nothing left behind, wherever it hides
    #[test]
    fn a_marked_process_is_found_and_killed_though_it_left_its_parent() {
        let mark = format!("procs-test-{}", std::process::id());
        let status = Command::new("sh")
            .args(["-c", "setsid sh -c 'sleep 600 & sleep 600' >/dev/null 2>&1 &"])
            .env(MARK, &mark)
            .stdin(Stdio::null())
            .status()
            .unwrap();
        assert!(status.success());
        let limit = Instant::now() + Duration::from_secs(10);
        while marked(&mark).len() < 3 {
            assert!(Instant::now() < limit, "found only {:?}", marked(&mark));
            std::thread::sleep(Duration::from_millis(2));
        }
        assert_eq!(marked("another"), []);
        assert_eq!(sweep(&mark, Duration::ZERO, Duration::from_secs(5)), Vec::<i32>::new());
        assert_eq!(marked(&mark), []);
    }

    #[test]
    fn descendants_are_found_over_generations() {
        let mut child = Command::new("sh").args(["-c", "sh -c 'sleep 600; :' ; :"]).spawn().unwrap();
        let root = i32::try_from(std::process::id()).unwrap();
        let limit = Instant::now() + Duration::from_secs(10);
        let top = i32::try_from(child.id()).unwrap();
        let below = loop {
            let below = descendants(top).unwrap();
            if below.len() == 2 {
                break below;
            }
            assert!(Instant::now() < limit, "{below:?}");
            std::thread::sleep(Duration::from_millis(2));
        };
        assert!(descendants(root).unwrap().iter().any(|process| process.pid == top));
        signal_all(&below, None, Signal::KILL);
        child.wait().unwrap();
    }
}
