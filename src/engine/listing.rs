//! The list of files as a console reads it: once, in parts, and from then on only what changed (spec 5.2: cost follows the
//! change). The types that the control socket carries.

use serde::{Deserialize, Serialize};

use super::base::RevisionId;
use super::order::FileEntry;

/// Most paths in one [`FilesPart`]: about a megabyte on the control socket, so that keys are taken in between.
pub const PART_PATHS_MAX: usize = 4_000;

/// To `Order::ListPart`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FilesPart {
    /// The newest revision before this part was read; none: there is none yet.
    pub revision: Option<RevisionId>,
    /// The whole list begins here: what was known is void.
    pub begins: bool,
    /// Paths as they are now, in order of paths.
    pub entries: Vec<FileEntry>,
    /// Paths that are not there any more.
    pub gone: Vec<String>,
    /// There is more after this path; none: this was the last part.
    pub next: Option<String>,
}
