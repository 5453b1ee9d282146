//! What a start reads: the home of a stopped instance is opened by this very process, and its directory looked at; beside it
//! `git status` of the same directory.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use standin::engine::base::Term;
use standin::mirror::{Limits, Mirror};
use standin::store::Store;

use crate::figures::{Row, Samples};
use crate::phases::Tell;
use crate::sides::{Sides, wait};
use crate::{Fail, clock, machine};

const FILE_LIMIT_BYTES: u64 = 64 * 1024 * 1024;
/// What was read a moment ago is trusted once it is older than this.
const SETTLE: Duration = Duration::from_secs(4);

pub fn measure(sides: &mut Sides, rounds: usize, of: &str, tell: &mut Tell<'_>) -> Result<(), Fail> {
    clock::pass(SETTLE)?;
    sides.b.stop()?;
    let (mut opens, mut scans) = (Vec::new(), Vec::new());
    // The first of each is for the caches.
    for round in 0..=rounds {
        let begin_ns = clock::now_ns();
        let failed = |problem: standin::engine::base::Problem| problem.to_string();
        let store = Store::open(&sides.b.home).map_err(failed)?;
        let limits = Limits { file_size: FILE_LIMIT_BYTES, owners: false };
        let mirror = Mirror::open(store, sides.b.directory.clone(), limits).map_err(failed)?;
        let open_ns = clock::now_ns();
        let outcome = mirror.scan_and_commit(Term(1), "bench", "").map_err(failed)?;
        let end_ns = clock::now_ns();
        if outcome.committed.is_some() {
            return Err("the scan found a change where there was none".into());
        }
        if round > 0 {
            opens.push(clock::ms_between(begin_ns, open_ns));
            scans.push(clock::ms_between(open_ns, end_ns));
        }
    }
    tell(Row::of("start: the newest revision read from the home", "ms", &Samples::new(opens), of))?;
    tell(Row::of("start: scan of the directory, nothing changed", "ms", &Samples::new(scans), of))?;
    tell(Row::of("`git status` of the same directory", "ms", &git(sides, rounds)?, of))?;
    let begin_ns = sides.b.spawn()?;
    let files = sides.files as u64;
    wait(&sides.b, "it knows its files", |status| status.role.is_some() && status.configuration.files >= files)?;
    let took_ms = clock::ms_between(begin_ns, clock::now_ns());
    tell(Row::single("start of the shadow until it tells its role", "ms", took_ms, of))?;
    sides.settled()?;
    clock::pass(SETTLE)?;
    for (name, instance) in [("master", &sides.a), ("shadow", &sides.b)] {
        let what = format!("resident memory of the {name}, the shadow started anew");
        tell(Row::single(what, "MB", machine::resident_mb(instance.process()?)?, of))?;
    }
    Ok(())
}

fn git(sides: &Sides, rounds: usize) -> Result<Samples, Fail> {
    let repository = sides.folder().join("git");
    fs::create_dir_all(&repository)?;
    let run = |arguments: &[&str]| git_in(&repository, &sides.a.directory, arguments);
    run(&["init", "-q"])?;
    run(&["add", "-A"])?;
    run(&["-c", "user.name=b", "-c", "user.email=b@b", "commit", "-q", "-m", "b"])?;
    let mut values = Vec::new();
    for round in 0..=rounds {
        let begin_ns = clock::now_ns();
        run(&["status", "--porcelain"])?;
        if round > 0 {
            values.push(clock::ms_between(begin_ns, clock::now_ns()));
        }
    }
    Ok(Samples::new(values))
}

fn git_in(repository: &Path, tree: &Path, arguments: &[&str]) -> Result<(), Fail> {
    let output =
        Command::new("git").arg("--git-dir").arg(repository).arg("--work-tree").arg(tree).args(arguments).output()?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr)).into())
}
