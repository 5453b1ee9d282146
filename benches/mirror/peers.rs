//! The same tree and the same edits with rsync over ssh, lsyncd and csync2, in the same run and on the same disk. Each is
//! installed by name; one that cannot be had is a row that says so.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::figures::{Row, Samples};
use crate::phases::Tell;
use crate::{Fail, clock, edits, machine, pair, trees};

const SCRIPTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/peers");
/// csync2 needs an exchange for each file; larger trees take it a quarter of an hour.
const CSYNC2_FILES_MAX: usize = 10_000;
/// For a complete transfer or the start of a watcher.
const LIMIT: Duration = Duration::from_secs(900);
const LOOK: Duration = Duration::from_millis(20);
const GAP: Duration = Duration::from_millis(300);

/// A tool and the ways in which it is told of an edit.
struct Tool {
    name: &'static str,
    /// Verb of its script, and whether the changed file is named.
    ways: &'static [(&'static str, bool)],
    /// Verbs of its script for a complete transfer that is durable once it is over, and what they do.
    durable: &'static [(&'static str, &'static str)],
    /// It brings everything over by itself when it starts.
    watches: bool,
    files_max: usize,
}

const TOOLS: [Tool; 3] = [
    Tool {
        name: "rsync",
        ways: &[("push", false), ("kept", false)],
        durable: &[("fsync", "complete transfer with --fsync"), ("syncfs", "complete transfer, then one syncfs there")],
        watches: false,
        files_max: usize::MAX,
    },
    Tool { name: "lsyncd", ways: &[("push", false)], durable: &[], watches: true, files_max: usize::MAX },
    Tool { name: "csync2", ways: &[("push", true)], durable: &[], watches: false, files_max: CSYNC2_FILES_MAX },
];

pub fn measure(files: usize, rounds: usize, tell: &mut Tell<'_>) -> Result<(), Fail> {
    for tool in TOOLS.iter().filter(|tool| files <= tool.files_max) {
        if let Err(error) = of_tool(tool, files, rounds, tell) {
            clock::check()?;
            tell(not_measured(tool.name, &error))?;
        }
    }
    Ok(())
}

fn not_measured(what: &str, error: &Fail) -> Row {
    let text = error.to_string().replace('\n', " ").replace('|', "/");
    Row::single(format!("{what}: not measured"), "ms", f64::NAN, text)
}

/// A tool under way; ended when dropped.
struct Running<'a> {
    name: &'a str,
    work: PathBuf,
    from: PathBuf,
    to: PathBuf,
    folder: PathBuf,
}

impl Running<'_> {
    fn command(&self, verb: &str, to: &Path, file: Option<&str>) -> Command {
        let mut command = script(self.name);
        command.arg(verb).arg(&self.work).arg(&self.from).arg(to).args(file).stdin(Stdio::null());
        command
    }

    fn run(&self, verb: &str, to: &Path) -> Result<(), Fail> {
        // Into a file: what it starts in the background keeps the descriptors.
        let log = fs::OpenOptions::new().create(true).append(true).open(self.work.join("script.log"))?;
        let status = self.command(verb, to, None).stdout(log.try_clone()?).stderr(log).status()?;
        if status.success() {
            return Ok(());
        }
        let said = fs::read_to_string(self.work.join("script.log")).unwrap_or_default();
        Err(format!("{} {verb}: {status}: {said}", self.name).into())
    }

    /// Everything into `to`, which is empty; ms.
    fn transfer(&self, verb: &str, to: &Path) -> Result<f64, Fail> {
        machine::write_back(&self.folder)?;
        let begin_ns = clock::now_ns();
        self.run(verb, to)?;
        let took_ms = clock::ms_between(begin_ns, clock::now_ns());
        let (sent, there) = (trees::extent(&self.from)?, trees::extent(to)?);
        if sent != there {
            return Err(format!("{} {verb}: of {sent:?} files and bytes {there:?} arrived", self.name).into());
        }
        Ok(took_ms)
    }

    fn push(&self, verb: &str, file: Option<&str>) -> Result<Child, Fail> {
        Ok(self.command(verb, &self.to, file).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?)
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        let _ = self.command("stop", &self.to, None).stdout(Stdio::null()).stderr(Stdio::null()).status();
        machine::remove_behind(self.folder.clone());
    }
}

fn script(name: &str) -> Command {
    let mut command = Command::new("sh");
    command.arg(Path::new(SCRIPTS).join(format!("{name}.sh")));
    command
}

fn of_tool(tool: &Tool, files: usize, rounds: usize, tell: &mut Tell<'_>) -> Result<(), Fail> {
    let installed = script(tool.name).arg("install").stdin(Stdio::null()).output()?;
    if !installed.status.success() {
        return Err(format!("cannot be installed: {}", String::from_utf8_lossy(&installed.stderr)).into());
    }
    let version = String::from_utf8_lossy(&installed.stdout).trim().to_owned();
    let folder = machine::folder()?.keep();
    let [work, from, to] = ["work", "from", "to"].map(|name| folder.join(name));
    pair::copy_sample(&from)?;
    trees::fill(&from, files)?;
    fs::create_dir_all(&to)?;
    fs::create_dir_all(&work)?;
    let of = format!("{} files; {version}", files + 10);
    let running = Running { name: tool.name, work, from, to, folder };
    machine::write_back(&running.folder)?;
    let begin_ns = clock::now_ns();
    running.run("start", &running.to)?;
    if !tool.watches {
        let took_ms = running.transfer("push", &running.to)?;
        tell(Row::single(format!("{}: complete transfer", tool.name), "ms", took_ms, &of))?;
    } else {
        let last = running.to.join(trees::path_of(files.saturating_sub(1)));
        let last = if files == 0 { running.to.join(edits::FILE) } else { last };
        clock::until_by("the first transfer is over", LIMIT, LOOK, || Ok(last.exists().then_some(())))?;
        let took_ms = clock::ms_between(begin_ns, clock::now_ns());
        tell(Row::single(format!("{}: start until the last file is there", tool.name), "ms", took_ms, &of))?;
        // It goes on with times and modes of directories.
        clock::pass(Duration::from_secs(2))?;
    }
    for (verb, what) in tool.durable {
        // Each into a directory of its own: to empty one again may take minutes.
        let to = running.folder.join(verb);
        fs::create_dir_all(&to)?;
        let what = format!("{}: {what}", tool.name);
        match running.transfer(verb, &to) {
            Ok(took_ms) => tell(Row::single(what, "ms", took_ms, &of))?,
            Err(error) => {
                clock::check()?;
                tell(not_measured(&what, &error))?;
            }
        }
    }
    for (verb, is_hinted) in tool.ways {
        let file = is_hinted.then_some(edits::FILE);
        let values = edit(&running, verb, file, rounds)?;
        tell(Row::of(format!("{} {verb}: edit → seen on the other side", tool.name), "ms", &values, &of))?;
    }
    Ok(())
}

fn edit(running: &Running<'_>, verb: &str, file: Option<&str>, rounds: usize) -> Result<Samples, Fail> {
    let seen = edits::watch(&running.to)?;
    let mut values = Vec::new();
    for number in 0..=rounds {
        let bytes = edits::content(number);
        // Of another time than the one before: rsync compares whole seconds.
        clock::pass(Duration::from_millis(900))?;
        let aside = running.work.join("aside");
        fs::write(&aside, &bytes)?;
        let begin_ns = clock::now_ns();
        fs::rename(&aside, running.from.join(edits::FILE))?;
        let mut child = running.push(verb, file)?;
        let seen_ns = edits::wait(&seen, &bytes);
        child.wait()?;
        if number > 0 {
            values.push(clock::ms_between(begin_ns, seen_ns?));
        }
        clock::pass(GAP)?;
    }
    Ok(Samples::new(values))
}
