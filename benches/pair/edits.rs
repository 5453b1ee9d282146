//! From an edit on the master to the same bytes on the shadow's disk.

use std::fs::{self, File};
use std::mem::MaybeUninit;
use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::thread;
use std::time::Duration;

use rustix::fs::inotify;

use crate::figures::{Row, Samples};
use crate::pair::{Pair, settled};
use crate::{Fail, Rounds, clock};

/// The file that is edited, and its size.
const FILE: &str = "alerting.yaml";
const FILE_BYTES: usize = 2048;
/// Sightings waiting to be looked at.
const SEEN_MAX: usize = 64;
/// Between two edits, besides waiting until the pair is in sync: never in step with the checks.
const GAP: Duration = Duration::from_millis(137);

pub fn measure(rounds: &Rounds) -> Result<Vec<Row>, Fail> {
    let pair = Pair::ready(&[])?;
    let status = settled(&pair.a, &pair.b)?;
    let quiet_ms = clock::ms_between(0, status.settings.configuration.quiet_time * 1_000_000);
    let seen = watch(&pair.b.directory)?;
    let mut values = Vec::new();
    // The first is for caches and allocators, and does not count.
    for number in 0..=rounds.edits {
        let bytes = content(number);
        // Beside the directory, so that nothing but the rename is seen there.
        let aside = pair.folder().join("aside");
        fs::write(&aside, &bytes)?;
        let begin_ns = clock::now_ns();
        fs::rename(&aside, pair.a.directory.join(FILE))?;
        let end_ns = wait(&seen, &bytes)?;
        if number > 0 {
            values.push(clock::ms_between(begin_ns, end_ns) - quiet_ms);
        }
        settled(&pair.a, &pair.b)?;
        clock::pass(GAP)?;
    }
    let what = format!("edit of {FILE_BYTES} bytes → on the shadow's disk, beyond the quiet time of {quiet_ms} ms");
    let files = status.configuration.files;
    Ok(vec![Row::of(what, "ms", &Samples::new(values), format!("one of {files} files, renamed into place"))])
}

/// Valid YAML, different each time, always of the same size.
fn content(number: usize) -> Vec<u8> {
    let mut text = format!("# edit {number}\nthresholds:\n");
    let mut line = 0;
    while text.len() < FILE_BYTES {
        text.push_str(&format!("  key-{line}: {number}\n"));
        line += 1;
    }
    text.truncate(FILE_BYTES - 1);
    // What was cut is not read as a broken line.
    let last = text.rfind('\n').map_or(0, |at| at + 1);
    let filler = "#".repeat(FILE_BYTES - 1 - last);
    format!("{}{filler}\n", &text[..last]).into_bytes()
}

/// Each time the file in `directory` was replaced or written: when, and what it then held. The thread ends with the directory.
fn watch(directory: &Path) -> Result<Receiver<(u64, Vec<u8>)>, Fail> {
    let watcher = inotify::init(inotify::CreateFlags::CLOEXEC)?;
    inotify::add_watch(&watcher, directory, inotify::WatchFlags::MOVED_TO | inotify::WatchFlags::CLOSE_WRITE)?;
    let (tell, seen) = sync_channel(SEEN_MAX);
    let path = directory.join(FILE);
    thread::Builder::new().name("inotify".into()).spawn(move || {
        let watcher = File::from(watcher);
        let mut buffer = [MaybeUninit::uninit(); 4096];
        let mut reader = inotify::Reader::new(&watcher, &mut buffer);
        while let Ok(event) = reader.next() {
            if event.events().contains(inotify::ReadFlags::IGNORED) {
                return;
            }
            if event.file_name().is_none_or(|name| name.to_bytes() != FILE.as_bytes()) {
                continue;
            }
            let bytes = fs::read(&path).unwrap_or_default();
            if tell.send((clock::now_ns(), bytes)).is_err() {
                return;
            }
        }
    })?;
    Ok(seen)
}

/// When the file held `bytes`.
fn wait(seen: &Receiver<(u64, Vec<u8>)>, bytes: &[u8]) -> Result<u64, Fail> {
    clock::until("the edit is on the shadow's disk", || match seen.recv_timeout(Duration::from_millis(200)) {
        Ok((at_ns, found)) => Ok((found == bytes).then_some(at_ns)),
        Err(RecvTimeoutError::Timeout) => Ok(None),
        Err(RecvTimeoutError::Disconnected) => Err("the shadow's directory is not watched any more".into()),
    })
}
