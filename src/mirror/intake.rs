//! Takes contents in: each is checked, written aside at once for the files it is for, and kept in the store. So a large
//! transfer is nearly on the disk when its last byte comes, and nothing is read back from the store to be written.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use super::commit::Keep;
use super::diff::Change;
use super::push::{CONTENTS_AT_ONCE, ContentSource, refused};
use super::stage::Staged;
use super::{digest, place};
use crate::engine::base::{Digest, Problem};
use crate::engine::order::FileKind;
use crate::engine::status::{Transfer, TransferStep};
use crate::files::space;
use crate::store::{Packed, Store};

/// So many packed bytes, and the content that goes over it, are handed on at once.
const BATCH_BYTES: usize = 256 * 1024;
/// Batches that wait while another is being written.
const BATCHES_WAITING: usize = 2;
/// Threads that check and write,
const WORKERS_MAX: usize = 2;
/// and contents for each at least: for fewer none is worth starting.
const CONTENTS_PER_WORKER: usize = 1_000;
/// Contents take this part of their bytes in the store, if they pack as well as text does; where they do not it is noticed later.
const PACKED_PART: u64 = 4;
/// What cannot be done on a disk that is too full.
const NO_SPACE: &str = "cannot take in what the master sends";
/// No further one.
const END: usize = usize::MAX;

/// What is still to come, and where it goes.
pub(super) struct Intake<'a> {
    store: &'a Store,
    staged: &'a Staged,
    ops: &'a [Change],
    /// Size of each content, and the first change that needs it.
    wanted: Mutex<BTreeMap<Digest, (u64, usize)>>,
    /// From a change to the next one that needs the same content.
    next: Vec<usize>,
    /// Changes whose file is written aside.
    done: Vec<AtomicBool>,
    is_synced: bool,
    count: &'a Count,
}

/// What has come.
#[derive(Default)]
pub(super) struct Count {
    files: AtomicU64,
    bytes: AtomicU64,
}

impl Count {
    /// One more, of so many bytes.
    pub(super) fn add(&self, bytes: u64) {
        self.files.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// How far it is.
    pub(super) fn onto(&self, all: Transfer) -> Transfer {
        let (files_done, bytes_done) = (self.files.load(Ordering::Relaxed), self.bytes.load(Ordering::Relaxed));
        Transfer { files_done, bytes_done, ..all }
    }
}

type Batch = Vec<(Digest, Packed)>;

impl<'a> Intake<'a> {
    /// For all contents of `ops` that the store lacks.
    pub(super) fn new(
        store: &'a Store,
        staged: &'a Staged,
        ops: &'a [Change],
        count: &'a Count,
    ) -> Result<Self, Problem> {
        let mut wanted = BTreeMap::new();
        let mut next = vec![END; ops.len()];
        for (index, op) in ops.iter().enumerate() {
            let Some(entry) = op.new.filter(super::tree::Entry::has_content) else { continue };
            if let Some((_, first)) = wanted.get_mut(&entry.digest) {
                next[index] = std::mem::replace(first, index);
            } else if !store.has_content(&entry.digest)? {
                wanted.insert(entry.digest, (entry.size, index));
            }
        }
        let (wanted, is_synced) = (Mutex::new(wanted), place::is_synced(ops));
        let done = ops.iter().map(|_| AtomicBool::new(false)).collect();
        Ok(Self { store, staged, ops, wanted, next, done, is_synced, count })
    }

    /// Takes those that came with the push, then asks for the rest. What has come stays, also if the end does not. Says which
    /// changes are written aside.
    pub(super) fn run(
        self,
        inline: &[(Digest, serde_bytes::ByteBuf)],
        source: &mut dyn ContentSource,
        progress: &mut dyn FnMut(Transfer),
    ) -> Result<Vec<bool>, Problem> {
        let (files_total, bytes_total) = {
            let wanted = lock(&self.wanted);
            (wanted.len() as u64, wanted.values().map(|(size, _)| size).sum())
        };
        let all = Transfer { step: TransferStep::Receiving, files_total, bytes_total, ..Transfer::default() };
        progress(all);
        let mut keep = Keep::new(self.store);
        for (digest, bytes) in inline {
            if lock(&self.wanted).contains_key(digest) {
                let content = Packed::of(bytes.to_vec());
                self.take(*digest, &content)?;
                keep.add_packed(*digest, content)?;
            }
        }
        let missing: Vec<Digest> = lock(&self.wanted).keys().copied().collect();
        let asked = match missing.is_empty() {
            true => Ok(()),
            false => self.fits(bytes_total).and_then(|()| self.ask(&missing, source, all, progress)),
        };
        // Also after a break: what has come need not come again.
        keep.flush()?;
        asked?;
        progress(self.count.onto(all));
        if !lock(&self.wanted).is_empty() {
            return Err(refused("the master did not send all contents"));
        }
        Ok(self.done.into_iter().map(AtomicBool::into_inner).collect())
    }

    /// There is space for the new files, and for `missing` bytes of contents, packed.
    fn fits(&self, missing: u64) -> Result<(), Problem> {
        let files = self.ops.iter().filter_map(|op| op.new).filter(|new| new.kind == FileKind::File);
        let (aside, kept) = (files.map(|new| new.size).sum::<u64>(), missing / PACKED_PART);
        self.has_room(aside, kept)
    }

    /// There is space for so much in new files and in the store.
    fn has_room(&self, aside: u64, kept: u64) -> Result<(), Problem> {
        let (home, stage) = (self.store.home(), self.staged.path());
        let disk = |path: &Path| std::fs::metadata(path).map(|about| about.dev()).ok();
        if disk(home) == disk(stage) {
            return space::must_fit(home, aside.saturating_add(kept), NO_SPACE);
        }
        space::must_fit(stage, aside, NO_SPACE).and_then(|()| space::must_fit(home, kept, NO_SPACE))
    }

    /// One thread hears, others check and write, one keeps.
    fn ask(
        &self,
        missing: &[Digest],
        source: &mut dyn ContentSource,
        all: Transfer,
        progress: &mut dyn FnMut(Transfer),
    ) -> Result<(), Problem> {
        self.store.set_receiving(true)?;
        let (count, store) = (self.count, self.store);
        let (batches, coming) = sync_channel::<Batch>(BATCHES_WAITING);
        let (checked, to_keep) = sync_channel::<Batch>(BATCHES_WAITING);
        let (coming, has_failed) = (Arc::new(Mutex::new(coming)), AtomicBool::new(false));
        let workers = (missing.len() / CONTENTS_PER_WORKER).clamp(1, WORKERS_MAX);
        thread::scope(|scope| {
            let workers = (0..workers).map(|_| {
                let (coming, checked, has_failed) = (Arc::clone(&coming), checked.clone(), &has_failed);
                spawn(scope, "intake", move || self.work(&coming, &checked, has_failed))
            });
            let workers = workers.collect::<Result<Vec<_>, _>>()?;
            // Only the workers have these ends now: when they end, those at the other ends hear of it.
            drop((coming, checked));
            let keeper = spawn(scope, "keep", move || {
                let mut keep = Keep::new(store);
                to_keep.iter().flatten().try_for_each(|(digest, content)| keep.add_packed(digest, content))?;
                // Also after a break: what has come need not come again.
                keep.flush()
            })?;
            let mut hand_over = HandOver { batches, batch: Vec::new(), bytes: 0 };
            let heard = missing.chunks(CONTENTS_AT_ONCE).try_for_each(|some| {
                source.content(some, &mut |digest, content| {
                    hand_over.add(digest, content)?;
                    progress(count.onto(all));
                    Ok(())
                })
            });
            // The last words are those of whoever knows why it ended.
            let rest = hand_over.flush();
            drop(hand_over);
            let ended = |_| Err(gone());
            let taken: Vec<_> = workers.into_iter().map(|worker| worker.join().unwrap_or_else(ended)).collect();
            let kept = keeper.join().unwrap_or_else(ended);
            taken.into_iter().fold(kept, Result::and).and(heard).and(rest)
        })
    }

    /// Takes one batch after the other, until there is none, or one that is wrong.
    fn work(
        &self,
        coming: &Mutex<Receiver<Batch>>,
        checked: &SyncSender<Batch>,
        has_failed: &AtomicBool,
    ) -> Result<(), Problem> {
        loop {
            let Ok(batch) = lock(coming).recv() else { return Ok(()) };
            if has_failed.load(Ordering::Relaxed) {
                return Ok(());
            }
            let mut good = Vec::with_capacity(batch.len());
            // How well it packs was a guess, and others write to the disk too. Once to the log of the database, once to it.
            let (size, packed) = batch.iter().fold((0, 0), |(size, packed), (_, content)| {
                (size + content.size, packed + content.bytes.len() as u64)
            });
            let room = self.has_room(size, packed * 2);
            let outcome = room.and_then(|()| {
                batch.into_iter().try_for_each(|(digest, content)| {
                    self.take(digest, &content)?;
                    good.push((digest, content));
                    Ok(())
                })
            });
            let outcome = checked.send(good).map_err(|_| gone()).and(outcome);
            outcome.inspect_err(|_| has_failed.store(true, Ordering::Relaxed))?;
        }
    }

    /// Checks a content, and writes it aside for all files that it is for.
    fn take(&self, claimed: Digest, content: &Packed) -> Result<(), Problem> {
        let wrong = || refused("a content does not have the digest or the size that it should have");
        let (size, first) = lock(&self.wanted).remove(&claimed).ok_or_else(wrong)?;
        let bytes = content.unpack().map_err(|_| wrong())?;
        if size != content.size || digest::of_content(&bytes) != claimed {
            return Err(wrong());
        }
        let mut index = first;
        while let Some(op) = self.ops.get(index) {
            if let Some(entry) = op.new.filter(|entry| entry.kind == FileKind::File) {
                let written = self.staged.file(&index.to_string(), &bytes, entry, self.is_synced);
                written.map_err(|error| place::failed(&op.path, &error.to_string()))?;
                self.done[index].store(true, Ordering::Relaxed);
            }
            index = self.next[index];
        }
        self.count.add(size);
        Ok(())
    }
}

fn spawn<'scope, T: Send + 'scope>(
    scope: &'scope thread::Scope<'scope, '_>,
    name: &str,
    work: impl FnOnce() -> T + Send + 'scope,
) -> Result<thread::ScopedJoinHandle<'scope, T>, Problem> {
    thread::Builder::new().name(name.into()).spawn_scoped(scope, work).map_err(|error| {
        Problem::new("cannot take in what the master sends", error.to_string(), "raise the limit of threads")
    })
}

/// The hearing end.
struct HandOver {
    batches: SyncSender<Batch>,
    batch: Batch,
    bytes: usize,
}

impl HandOver {
    fn add(&mut self, digest: Digest, content: Packed) -> Result<(), Problem> {
        self.bytes += content.bytes.len();
        self.batch.push((digest, content));
        if self.bytes >= BATCH_BYTES || self.batch.len() >= CONTENTS_AT_ONCE { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<(), Problem> {
        self.bytes = 0;
        self.batches.send(std::mem::take(&mut self.batch)).map_err(|_| gone())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn gone() -> Problem {
    Problem::new("cannot take in what the master sends", "the thread that writes it ended", "look at the program log")
}
