//! From an edit on the master to the same bytes on the shadow's disk.

use std::fs::{self, File};
use std::mem::MaybeUninit;
use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::thread;
use std::time::Duration;

use rustix::fs::inotify;

use crate::figures::{Row, Samples};
use crate::instance::Instance;
use crate::pair::{Pair, settled};
use crate::{Fail, Rounds, clock};

/// The file that is edited, and its size.
pub const FILE: &str = "alerting.yaml";
const FILE_BYTES: usize = 2048;
/// Sightings waiting to be looked at.
const SEEN_MAX: usize = 64;
/// Between two edits, besides waiting until the pair is in sync: never in step with the checks.
const GAP: Duration = Duration::from_millis(137);

/// What a number of edits took, beyond the quiet time.
pub struct Timed {
    /// Until the shadow's directory held the new bytes, ms.
    pub seen: Samples,
    /// Until the shadow had it durably and said so, ms; to the ms.
    pub durable: Samples,
    /// The setting that is subtracted, ms.
    pub quiet_ms: f64,
    /// In the mirrored directory.
    pub files: u64,
}

pub fn measure(rounds: &Rounds) -> Result<Vec<Row>, Fail> {
    let pair = Pair::ready(&[])?;
    let timed = edit(&pair.a, &pair.b, pair.folder(), rounds.edits)?;
    let (quiet_ms, files) = (timed.quiet_ms, timed.files);
    let what = format!("edit of {FILE_BYTES} bytes → on the shadow's disk, beyond the quiet time of {quiet_ms} ms");
    let durable = format!("the same → durable there, beyond the quiet time of {quiet_ms} ms");
    Ok(vec![
        Row::of(what, "ms", &timed.seen, format!("one of {files} files, renamed into place")),
        Row::of(durable, "ms", &timed.durable, "to the ms"),
    ])
}

/// Edits a file on `a` so often; `folder` is on the same file system as its directory.
pub fn edit(a: &Instance, b: &Instance, folder: &Path, count: usize) -> Result<Timed, Fail> {
    let status = settled(a, b)?;
    let quiet_ms = clock::ms_between(0, status.settings.configuration.quiet_time * 1_000_000);
    let seen = watch(&b.directory)?;
    let (mut on_disk, mut durable) = (Vec::new(), Vec::new());
    let mut revision = status.configuration.revision;
    // The first is for caches and allocators, and does not count.
    for number in 0..=count {
        let bytes = content(number);
        // Beside the directory, so that nothing but the rename is seen there.
        let aside = folder.join("aside");
        fs::write(&aside, &bytes)?;
        let begin_ns = clock::now_ns();
        fs::rename(&aside, a.directory.join(FILE))?;
        let end_ns = wait(&seen, &bytes)?;
        // The status is told a moment later.
        let before = revision;
        a.wait("the edit is a revision", |status| status.configuration.revision > before)?;
        revision = settled(a, b)?.configuration.revision;
        let applied_ns = applied(b, revision)?;
        if number > 0 {
            on_disk.push(clock::ms_between(begin_ns, end_ns) - quiet_ms);
            durable.push(clock::ms_between(begin_ns, applied_ns) - quiet_ms);
        }
        clock::pass(GAP)?;
    }
    let (seen, durable) = (Samples::new(on_disk), Samples::new(durable));
    Ok(Timed { seen, durable, quiet_ms, files: status.configuration.files })
}

/// When the shadow said that it had `revision`: it says so once everything is on the disk.
fn applied(b: &Instance, revision: u64) -> Result<u64, Fail> {
    let begin = format!("revision {revision} applied");
    clock::until(&begin, || {
        let mut after = 0;
        loop {
            let events = b.events(after)?;
            let Some(last) = events.last() else { return Ok(None) };
            after = last.id;
            if let Some(event) = events.iter().rev().find(|event| event.text.starts_with(&begin)) {
                return clock::monotonic_of(event.at.0).map(Some);
            }
        }
    })
}

/// Valid YAML, different each time, always of the same size.
pub fn content(number: usize) -> Vec<u8> {
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
pub fn watch(directory: &Path) -> Result<Receiver<(u64, Vec<u8>)>, Fail> {
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
pub fn wait(seen: &Receiver<(u64, Vec<u8>)>, bytes: &[u8]) -> Result<u64, Fail> {
    clock::until("the edit is on the shadow's disk", || match seen.recv_timeout(Duration::from_millis(200)) {
        Ok((at_ns, found)) => Ok((found == bytes).then_some(at_ns)),
        Err(RecvTimeoutError::Timeout) => Ok(None),
        Err(RecvTimeoutError::Disconnected) => Err("the shadow's directory is not watched any more".into()),
    })
}
