//! What is left out of the mirror: temporary files of editors and tools, and what the operator's patterns say (spec 5.2).
//! Pure.

use super::path::RelPath;
use crate::engine::settings::patterns::Patterns;

/// Random characters at the end of a temporary name (`mkstemp`).
const RANDOM_CHARS: usize = 6;

/// First part of the name of a directory that went and was kept aside because of what is excluded in it; left out, too.
pub(super) const KEPT: &[u8] = b".standin-kept-";

/// Names that are never mirrored, whatever has them: Standin's own.
#[must_use]
pub fn is_own(name: &[u8]) -> bool {
    name.starts_with(b".standin-")
}

/// Names that are never mirrored: Standin's own, and those of temporary files of editors and tools. The latter make no
/// directories, so a directory with such a name is the operator's (`tenants/4913/`), and mirrored: see [`never_mirrored`].
#[must_use]
pub fn is_left_out(name: &[u8]) -> bool {
    is_own(name) || is_of_editor(name) || is_temporary(name)
}

/// The same of something that is known to be a directory or not.
#[must_use]
pub fn never_mirrored(name: &[u8], is_directory: bool) -> bool {
    if is_directory { is_own(name) } else { is_left_out(name) }
}

/// Kept beside a file while it is edited, perhaps for hours.
fn is_of_editor(name: &[u8]) -> bool {
    let is_vim_swap = || {
        let ending = name.len().checked_sub(4).map(|at| &name[at..]);
        name.starts_with(b".") && ending.is_some_and(|end| end.starts_with(b".sw") && end[3].is_ascii_lowercase())
    };
    // vim tries whether it may write here with 4913; emacs locks with .#name and saves by itself to #name#.
    name == b"4913"
        || name.ends_with(b"~")
        || name.ends_with(b".swp")
        || is_vim_swap()
        || name.starts_with(b".#")
        || (name.len() > 2 && name.starts_with(b"#") && name.ends_with(b"#"))
        || name.ends_with(b".kate-swp")
        || (name.starts_with(b".~lock.") && name.ends_with(b"#"))
}

/// Written and then renamed to what was meant: somebody is still at work while one is there. Names that an operator might
/// give too (`sedative`, `.conf.backup`) are none.
#[must_use]
pub fn is_temporary(name: &[u8]) -> bool {
    let random =
        |start: &[u8]| name.strip_prefix(start).is_some_and(|rest| rest.len() == RANDOM_CHARS && is_word(rest));
    // Visual Studio Code; GLib (gedit, nano's cousins); a file removed while open on NFS or FUSE.
    let is_known = name.ends_with(b".vsctmp")
        || random(b".goutputstream-")
        || random(b".tmp")
        || name.starts_with(b".nfs0000")
        || name.starts_with(b".fuse_hidden0000");
    let tail = name.len().checked_sub(RANDOM_CHARS).map(|at| name.split_at(at));
    let is_drawn = tail.is_some_and(|(head, tail)| {
        // sed -i; rsync's .name.XXXXXX.
        let is_tool = head == b"sed" || (head.len() > 2 && head.starts_with(b".") && head.ends_with(b"."));
        is_tool && looks_drawn(tail)
    });
    is_known || is_drawn
}

fn is_word(text: &[u8]) -> bool {
    text.iter().all(u8::is_ascii_alphanumeric)
}

/// A capital where no name of people has one: not first, and not everywhere.
fn looks_drawn(text: &[u8]) -> bool {
    is_word(text)
        && text.iter().skip(1).any(u8::is_ascii_uppercase)
        && text.iter().any(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
}

/// The operator's patterns.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Exclude(Patterns);

impl Exclude {
    /// Reads patterns; of a wrong one nothing is excluded.
    #[must_use]
    pub fn new(patterns: &[String]) -> Self {
        Self(Patterns::new(patterns))
    }

    /// Whether `path`, or a directory it lies in, is excluded.
    #[must_use]
    pub fn covers(&self, path: &RelPath, is_directory: bool) -> bool {
        !self.0.is_empty() && self.0.cover(&path.names().collect::<Vec<_>>(), is_directory)
    }
}

#[cfg(test)]
mod tests;
