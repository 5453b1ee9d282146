//! Takes contents in: each is checked, written aside at once for the files it is for, and kept in the store. So a large
//! transfer is nearly on the disk when its last byte comes, and nothing is read back from the store to be written.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread;

use super::commit::Keep;
use super::diff::Change;
use super::push::{CONTENTS_AT_ONCE, ContentSource, refused};
use super::stage::Staged;
use super::{digest, place};
use crate::engine::base::{Digest, Problem};
use crate::engine::order::FileKind;
use crate::engine::status::{Transfer, TransferStep};
use crate::store::{Packed, Store};

/// So many packed bytes, and the content that goes over it, are handed on at once.
const BATCH_BYTES: usize = 256 * 1024;
/// Batches that wait while another is being written.
const BATCHES_WAITING: usize = 2;
/// No further one.
const END: usize = usize::MAX;

/// What is still to come, and where it goes.
pub(super) struct Intake<'a> {
    store: &'a Store,
    staged: &'a Staged,
    ops: &'a [Change],
    /// Size of each content, and the first change that needs it.
    wanted: BTreeMap<Digest, (u64, usize)>,
    /// From a change to the next one that needs the same content.
    next: Vec<usize>,
    /// Changes whose file is written aside.
    done: Vec<bool>,
    keep: Keep<'a>,
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
        let (keep, is_synced) = (Keep::new(store), place::is_synced(ops));
        Ok(Self { store, staged, ops, wanted, next, done: vec![false; ops.len()], keep, is_synced, count })
    }

    /// Takes those that came with the push, then asks for the rest. What has come stays, also if the end does not. Says which
    /// changes are written aside.
    pub(super) fn run(
        mut self,
        inline: &[(Digest, serde_bytes::ByteBuf)],
        source: &mut dyn ContentSource,
        progress: &mut dyn FnMut(Transfer),
    ) -> Result<Vec<bool>, Problem> {
        let (files_total, bytes_total) = (self.wanted.len() as u64, self.wanted.values().map(|(size, _)| size).sum());
        let all = Transfer { step: TransferStep::Receiving, files_total, bytes_total, ..Transfer::default() };
        progress(all);
        for (digest, bytes) in inline {
            if self.wanted.contains_key(digest) {
                let content = Packed::of(bytes.to_vec());
                self.take(*digest, &content)?;
                self.keep.add_packed(*digest, content)?;
            }
        }
        let missing: Vec<Digest> = self.wanted.keys().copied().collect();
        let asked = if missing.is_empty() { Ok(()) } else { self.ask(&missing, source, all, progress) };
        // Also after a break: what has come need not come again.
        self.keep.flush()?;
        asked?;
        progress(self.count.onto(all));
        if self.wanted.is_empty() { Ok(self.done) } else { Err(refused("the master did not send all contents")) }
    }

    /// One thread hears, another one checks and writes, a third one keeps.
    fn ask(
        &mut self,
        missing: &[Digest],
        source: &mut dyn ContentSource,
        all: Transfer,
        progress: &mut dyn FnMut(Transfer),
    ) -> Result<(), Problem> {
        self.store.set_receiving(true)?;
        let (count, store) = (self.count, self.store);
        let (batches, coming) = sync_channel::<Batch>(BATCHES_WAITING);
        let (checked, to_keep) = sync_channel::<Batch>(BATCHES_WAITING);
        thread::scope(|scope| {
            let worker = spawn(scope, "intake", move || {
                coming.iter().try_for_each(|batch| {
                    let mut good = Vec::with_capacity(batch.len());
                    let outcome = batch.into_iter().try_for_each(|(digest, content)| {
                        self.take(digest, &content)?;
                        good.push((digest, content));
                        Ok(())
                    });
                    checked.send(good).map_err(|_| gone())?;
                    outcome
                })
            })?;
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
            let taken = worker.join().unwrap_or_else(|_| Err(gone()));
            let kept = keeper.join().unwrap_or_else(|_| Err(gone()));
            kept.and(taken).and(heard).and(rest)
        })
    }

    /// Checks a content, and writes it aside for all files that it is for.
    fn take(&mut self, claimed: Digest, content: &Packed) -> Result<(), Problem> {
        let wrong = || refused("a content does not have the digest or the size that it should have");
        let (size, first) = self.wanted.remove(&claimed).ok_or_else(wrong)?;
        let bytes = content.unpack().map_err(|_| wrong())?;
        if size != content.size || digest::of_content(&bytes) != claimed {
            return Err(wrong());
        }
        let mut index = first;
        while let Some(op) = self.ops.get(index) {
            if let Some(entry) = op.new.filter(|entry| entry.kind == FileKind::File) {
                let written = self.staged.file(&index.to_string(), &bytes, entry.mode, self.is_synced);
                written.map_err(|error| place::failed(&op.path, &error.to_string()))?;
                self.done[index] = true;
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

fn gone() -> Problem {
    Problem::new("cannot take in what the master sends", "the thread that writes it ended", "look at the program log")
}
