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
        let mut changes = match base {
            Some(base) => merged(store.changes_after(base.number)?.into_iter()),
            None => diff::between(&Tree::default(), &history::tree_of(store, &row.revision)?),
        };
        let mut payload = PushPayload {
            author: row.author,
            at: row.at,
            message: row.message,
            changes: Vec::new(),
            contents: Vec::new(),
            manifest: true,
        };
        changes.sort_by(|a, b| a.path.cmp(&b.path));
        let mut room = PUSH_PAYLOAD_MAX_BYTES - PAYLOAD_ROOM_BYTES;
        let encoded = rmp_serde::to_vec_named(&changes).map_or(usize::MAX, |bytes| bytes.len());
        if encoded <= room {
            room -= encoded;
            // A complete push compares first: the shadow asks for what it lacks.
            if base.is_some() {
                payload.contents = self.inlined(&changes, room)?;
            }
            payload.changes = changes;
            payload.manifest = false;
        }
        Ok(Push { revision: row.revision, base, common, payload: payload.encode()? })
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
