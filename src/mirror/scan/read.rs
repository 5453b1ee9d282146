//! Reads one file, never half-written.

use std::fs::File;
use std::io::Read;
use std::os::fd::BorrowedFd;
use std::time::Duration;

use rustix::fs::{AtFlags, FileType, Mode, OFlags, Stat, fstat, openat, statat};
use rustix::io::Errno;

use super::{Stamp, now_ns, plain};
use crate::engine::base::Digest;
use crate::mirror::content::{Content, digest_of};
use crate::mirror::digest::of_content;
use crate::store::LARGE_BYTES;

/// Tries before a file that keeps changing is held back.
const READ_TRIES: u64 = 5;
/// Pause before the n-th further try, n times, ms.
const READ_PAUSE_MS: u64 = 5;

/// A file changed less than so long ago may change again without a new time: the coarsest tick of a kernel's clock, ns.
const TICK_NS: i64 = 12_000_000;

/// Why there is no content.
pub(super) enum Unread {
    /// It is gone.
    Gone,
    /// For people.
    Because(String),
}

/// A file that was read.
pub(super) struct Stable {
    pub content: Content,
    pub digest: Digest,
    pub stat: Stat,
}

/// The content of a file as it was at one moment, and what the file system says of it. The file is looked at again after
/// reading, by its name too; if anything changed meanwhile it is read again. With `waits` a change from now on gives it
/// another time.
pub(super) fn read_stable(parent: BorrowedFd<'_>, name: &[u8], limit: u64, waits: bool) -> Result<Stable, Unread> {
    let because = |error: Errno| match error {
        Errno::NOENT => Unread::Gone,
        error => Unread::Because(format!("cannot be read: {}", plain(error))),
    };
    for attempt in 1..=READ_TRIES {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let fd = openat(parent, name, flags, Mode::empty()).map_err(because)?;
        let before = fstat(&fd).map_err(because)?;
        if FileType::from_raw_mode(before.st_mode) != FileType::RegularFile {
            return Err(Unread::Because("is no file any more".into()));
        }
        let size = u64::try_from(before.st_size).unwrap_or(0);
        if size > limit {
            return Err(Unread::Because(format!("has {size} bytes, the limit (file_size_limit) is {limit}")));
        }
        let file = File::from(fd);
        let (bytes, digest, length) =
            read(&file, size).map_err(|error| Unread::Because(format!("cannot be read: {error}")))?;
        if waits {
            wait_for_tick(&before);
        }
        let after = fstat(&file).map_err(because)?;
        let named = statat(parent, name, AtFlags::SYMLINK_NOFOLLOW).map_err(because)?;
        let is_same = |stat: &Stat| Stamp::of(stat, 0) == Stamp::of(&before, 0);
        if length == size && is_same(&after) && is_same(&named) {
            let content = bytes.map_or(Content::Disk(file, size), Content::Memory);
            return Ok(Stable { content, digest, stat: after });
        }
        std::thread::sleep(Duration::from_millis(attempt * READ_PAUSE_MS));
    }
    Err(Unread::Because("is being written all the while".into()))
}

/// Digest and length of a file that should have `size` bytes; the bytes where they are few.
fn read(mut file: &File, size: u64) -> std::io::Result<(Option<Vec<u8>>, Digest, u64)> {
    if size > LARGE_BYTES {
        return digest_of(file, size).map(|(digest, length)| (None, digest, length));
    }
    let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or(0).saturating_add(1));
    (&mut file).take(size.saturating_add(1)).read_to_end(&mut bytes)?;
    let (digest, length) = (of_content(&bytes), bytes.len() as u64);
    Ok((Some(bytes), digest, length))
}

/// It may change again without a new time.
pub(super) fn is_young(stat: &Stat) -> bool {
    (0..TICK_NS).contains(&age_ns(stat))
}

fn age_ns(stat: &Stat) -> i64 {
    let stamp = Stamp::of(stat, 0);
    now_ns().saturating_sub(stamp.ctime_ns.max(stamp.mtime_ns))
}

/// Waits until a change from now on gives the file another time.
fn wait_for_tick(stat: &Stat) {
    let age_ns = age_ns(stat);
    if (0..TICK_NS).contains(&age_ns) {
        std::thread::sleep(Duration::from_nanos((TICK_NS - age_ns).unsigned_abs()));
    }
}
