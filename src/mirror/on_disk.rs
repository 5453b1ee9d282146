//! What is in the directory now, without changing anything: to be compared with (spec 5.6).

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use super::Mirror;
use super::accounts::{Accounts, Belongs, System};
use super::exclude::Exclude;
use super::ground::Ground;
use super::scan::{Leaves, Manner, Stamps, scan};
use super::tree::Tree;
use crate::engine::base::{Digest, Problem};
use crate::store::CONTENT_MAX_BYTES;

/// Contents that are in no revision are kept up to so many bytes; of what is more, only that it differs is told.
const KEPT_MAX_BYTES: usize = 64 * 1024 * 1024;

/// The directory as it is.
pub struct OnDisk {
    /// All of it.
    pub tree: Tree,
    contents: BTreeMap<Digest, Vec<u8>>,
}

impl OnDisk {
    /// Reads it; where a stamp says that a file is as `known`, it is not read. What `exclude` covers is looked at only where
    /// `known` has it (spec 5.2).
    ///
    /// # Errors
    /// When the directory cannot be read.
    pub fn read(directory: &Path, exclude: &[String], known: &Tree, stamps: &Stamps) -> Result<Self, Problem> {
        // Where names are mirrored is in the tree itself; what cannot be here is compared by a running instance alone.
        let accounts = (!known.owners().is_empty()).then(|| Accounts::new(Arc::new(System), Arc::default()));
        let ground = Ground::open(directory)?.with_exclude(Arc::new(Exclude::new(exclude)));
        Self::read_from(&ground, known, stamps, accounts.as_ref())
    }

    fn read_from(ground: &Ground, known: &Tree, stamps: &Stamps, accounts: Option<&Accounts>) -> Result<Self, Problem> {
        let leaves = Leaves { exclude: Some(ground.exclude()), but: [Some(known), None], ..Leaves::NOTHING };
        let owners = Belongs::checked(accounts);
        let manner = Manner { is_full: false, keeps_held: false, file_size_limit: CONTENT_MAX_BYTES, leaves, owners };
        let (mut contents, mut bytes_kept) = (BTreeMap::new(), 0);
        let found = scan(ground, known, stamps, manner, &mut |_, _, digest, content| {
            let size = usize::try_from(content.size()).unwrap_or(usize::MAX);
            if size <= KEPT_MAX_BYTES - bytes_kept
                && let Some(bytes) = content.into_bytes(&digest)?
            {
                bytes_kept += bytes.len();
                contents.insert(digest, bytes);
            }
            Ok(None)
        })?;
        Ok(Self { tree: found.tree, contents })
    }

    /// A content that was read and is not in the known tree.
    #[must_use]
    pub fn content(&self, digest: &Digest) -> Option<&[u8]> {
        self.contents.get(digest).map(Vec::as_slice)
    }
}

impl Mirror {
    /// What is in the directory now.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn on_disk(&self) -> Result<OnDisk, Problem> {
        let work = self.work()?;
        let accounts = self.accounts();
        OnDisk::read_from(&self.ground()?, &self.newest().tree, &work.stamps, accounts.as_deref())
    }
}
