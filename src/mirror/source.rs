//! Contents straight from another mirror in the same process: for `demo` and the tests.

use super::Mirror;
use super::push::{ContentSource, ManifestEntry};
use crate::engine::base::{Digest, Problem, RevisionId};
use crate::store::Packed;

/// Serves what the mirror keeps.
pub struct MirrorSource(pub Mirror);

impl ContentSource for MirrorSource {
    fn manifest(
        &mut self,
        revision: RevisionId,
        sink: &mut dyn FnMut(ManifestEntry) -> Result<(), Problem>,
    ) -> Result<(), Problem> {
        self.0.tree_of(revision)?.into_entries().try_for_each(|entry| sink(entry.into()))
    }

    fn content(
        &mut self,
        wanted: &[Digest],
        sink: &mut dyn FnMut(Digest, Packed) -> Result<(), Problem>,
    ) -> Result<(), Problem> {
        for digest in wanted {
            let bytes = self.0.packed_content(digest)?.ok_or_else(|| {
                Problem::new("cannot send a content", format!("{} is not in the history", digest.short()), "")
            })?;
            sink(*digest, bytes)?;
        }
        Ok(())
    }
}
