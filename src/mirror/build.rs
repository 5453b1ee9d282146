//! Builds the push for a shadow (spec 5.2, 5.5).

use std::collections::BTreeMap;

use serde_bytes::ByteBuf;

use super::diff::{self, Change, merged};
use super::push::PushPayload;
use super::tree::{Entry, Tree};
use super::{Mirror, history};
use crate::engine::base::{Digest, Problem, RevisionId};
use crate::engine::message::{PUSH_PAYLOAD_MAX_BYTES, Push};

/// What an encoded payload takes besides changes and contents, at most.
const PAYLOAD_ROOM_BYTES: usize = 8 * 1024;
/// What one change takes, at least.
const CHANGE_LEAST_BYTES: usize = 32;
/// What one content takes besides its bytes, at most.
const CONTENT_ROOM_BYTES: usize = 64;

impl Mirror {
    /// What brings a shadow with this trail (its newest revision first) to the newest revision. Only what is missing, if the
    /// shadow's newest is in the own history and no `complete` comparison is wanted; else everything (spec 5.5).
    ///
    /// # Errors
    /// When there is no revision yet, or the history cannot be read.
    pub fn build_push(&self, trail: &[RevisionId], complete: bool) -> Result<Push, Problem> {
        let store = &self.inner.store;
        let row = store.newest_revision()?.ok_or_else(|| {
            Problem::new(
                "cannot push",
                "there is no revision yet",
                "commit one: look whether the directory can be read",
            )
        })?;
        let common = self.newest_common(trail)?;
        let base = common.filter(|common| !complete && trail.first() == Some(common));
        let changes = match base {
            Some(base) => Some(merged(store.changes_after(base.number)?.into_iter())),
            None => self.all_of(&row.revision)?,
        };
        let mut payload = PushPayload {
            author: row.author,
            at: row.at,
            message: row.message,
            changes: Vec::new(),
            contents: Vec::new(),
            manifest: true,
        };
        let mut room = PUSH_PAYLOAD_MAX_BYTES - PAYLOAD_ROOM_BYTES;
        let fitting = changes.filter(|changes| changes.len() <= room / CHANGE_LEAST_BYTES).and_then(|mut changes| {
            changes.sort_by(|a, b| a.path.cmp(&b.path));
            let encoded = rmp_serde::to_vec_named(&changes).ok()?.len();
            room = room.checked_sub(encoded)?;
            Some(changes)
        });
        if let Some(changes) = fitting {
            // A complete push compares first: the shadow asks for what it lacks.
            if base.is_some() {
                payload.contents = self.inlined(&changes, room)?;
            }
            payload.changes = changes;
            payload.manifest = false;
        }
        Ok(Push { revision: row.revision, base, common, payload: payload.encode()? })
    }

    /// Everything, as changes from nothing; none: so much that it cannot fit.
    fn all_of(&self, revision: &RevisionId) -> Result<Option<Vec<Change>>, Problem> {
        let tree = self.tree_of(*revision)?;
        let fits = tree.entries() <= (PUSH_PAYLOAD_MAX_BYTES / CHANGE_LEAST_BYTES) as u64;
        Ok(fits.then(|| diff::between(&Tree::default(), &tree)))
    }

    /// The newest of `trail` that is on the own main line.
    fn newest_common(&self, trail: &[RevisionId]) -> Result<Option<RevisionId>, Problem> {
        for revision in trail {
            if history::find(&self.inner.store, revision)?.is_some() {
                return Ok(Some(*revision));
            }
        }
        Ok(None)
    }

    /// New contents of `changes` that fit into `room` bytes.
    fn inlined(&self, changes: &[Change], mut room: usize) -> Result<Vec<(Digest, ByteBuf)>, Problem> {
        let mut inlined = BTreeMap::new();
        for entry in changes.iter().filter_map(|change| change.new).filter(Entry::has_content) {
            let size = usize::try_from(entry.size).unwrap_or(usize::MAX).saturating_add(CONTENT_ROOM_BYTES);
            if size <= room
                && !inlined.contains_key(&entry.digest)
                && let Some(bytes) = self.inner.store.content(&entry.digest)?
            {
                room -= size;
                inlined.insert(entry.digest, ByteBuf::from(bytes));
            }
        }
        Ok(inlined.into_iter().collect())
    }
}
