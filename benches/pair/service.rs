//! The service of the measured pair: this binary again, which writes the clock of its start into a file and waits to be ended.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use crate::clock;
use crate::figures::Samples;
use crate::{Fail, machine};

/// First argument that makes this binary the service.
pub const WORD: &str = "service";

/// Writes `started_ns` and its process id into the file of the first argument, then waits for the signal that ends it.
pub fn run(started_ns: u64, arguments: &[String]) -> Result<(), Fail> {
    let path = arguments.first().ok_or("the service needs the file to write to")?;
    let line = format!("{started_ns} {}\n", std::process::id());
    OpenOptions::new().create(true).append(true).open(path)?.write_all(line.as_bytes())?;
    loop {
        thread::sleep(Duration::from_secs(3_600));
    }
}

/// The words that run it.
pub fn command(journal: &Path) -> Result<[String; 3], Fail> {
    Ok([machine::own_program()?, WORD.into(), journal.display().to_string()])
}

/// One start.
#[derive(Clone, Copy)]
pub struct Start {
    pub at_ns: u64,
    pub process: u32,
}

/// The newest start that `journal` tells of.
pub fn newest(journal: &Path) -> Option<Start> {
    let text = fs::read_to_string(journal).ok()?;
    let whole = &text[..=text.rfind('\n')?];
    let (at_ns, process) = whole.lines().last()?.split_once(' ')?;
    Some(Start { at_ns: at_ns.parse().ok()?, process: process.parse().ok()? })
}

/// What starting it costs without Standin, ms: from the call to the first instruction of its `main`.
pub fn bare_starts(folder: &Path, count: usize) -> Result<Samples, Fail> {
    let journal = folder.join("bare.starts");
    let [program, word, file] = command(&journal)?;
    let mut values = Vec::new();
    for _ in 0..count {
        let before_ns = clock::now_ns();
        let mut child = Command::new(&program).args([&word, &file]).stdin(Stdio::null()).spawn()?;
        let start = clock::until("the service started by hand writes its time", || {
            Ok(newest(&journal).filter(|start| start.at_ns > before_ns))
        });
        child.kill()?;
        child.wait()?;
        values.push(clock::ms_between(before_ns, start?.at_ns));
    }
    Ok(Samples::new(values))
}
