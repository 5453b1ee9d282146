//! The history of the configuration as operators ask for it, and as it is answered (spec 5.6): the types that the control
//! socket carries.

use serde::{Deserialize, Serialize};

use super::base::{Digest, RevisionId, UnixMillis};
use super::order::FileKind;

/// Most revisions in one answer; who wants more asks again from the last one on.
pub const LOG_ENTRIES_MAX: u32 = 1_000;
/// Most paths named in one [`LogEntry`].
pub const LOG_PATHS_MAX: usize = 10;
/// Most bytes of texts in one answer; a longer one ends there and says so.
pub const ANSWER_TEXT_MAX_BYTES: usize = 12 * 1024 * 1024;
/// Most files in one [`DiffReport`].
pub const DIFF_FILES_MAX: usize = 1_000;
/// Most paths or files that one order names.
pub const PATHS_MAX: usize = 10_000;
/// Most changes named in one [`ChangeReport`].
pub const CHANGES_TOLD_MAX: usize = 1_000;
/// Largest file that travels over the control socket to be applied, bytes.
pub const APPLIED_FILE_MAX_BYTES: u64 = 20 * 1024 * 1024;

/// One revision in `config log`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogEntry {
    /// Number, term and digest.
    pub revision: RevisionId,
    /// When.
    pub at: UnixMillis,
    /// The operator who acted, or `directory`.
    pub author: String,
    /// Why; often empty.
    pub message: String,
    /// Paths that came.
    pub added: u64,
    /// Paths whose content, mode, owner or kind changed.
    pub changed: u64,
    /// Paths that went.
    pub removed: u64,
    /// The first of them (of those asked for), at most [`LOG_PATHS_MAX`].
    pub paths: Vec<String>,
}

/// One state of the configuration that can be compared.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Version {
    /// The newest revision here.
    Newest,
    /// A revision of the main line.
    Revision(u64),
    /// What is in the directory now.
    Directory,
    /// What is on the other instance's disk now.
    Peer,
    /// A branch of a divergence, or a drift.
    Branch(String),
}

/// To `config diff`: what leads from one version to another.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiffReport {
    /// The first version, for people.
    pub from: String,
    /// The second.
    pub to: String,
    /// In order of paths, at most [`DIFF_FILES_MAX`].
    pub files: Vec<FileDiff>,
    /// How many differ in all; 0: equal.
    pub files_total: u64,
}

/// One path that differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileDiff {
    /// In the second version; in the first where it is gone.
    pub path: String,
    /// It has the content of this path, which is gone.
    pub renamed_from: Option<String>,
    /// In the first version; none: it is not there.
    pub old: Option<DiffSide>,
    /// In the second; none: it is gone.
    pub new: Option<DiffSide>,
    /// How the contents differ.
    pub body: DiffBody,
    /// `owner:group` in the first version and in the second, where they differ; empty: not mirrored there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owners: Option<(String, String)>,
}

impl FileDiff {
    /// `owner a:x -> b:x`; none: the same in both, or it is in one alone.
    #[must_use]
    pub fn owner_words(&self) -> Option<String> {
        let (old, new) = self.owners.as_ref()?;
        let or_none = |text: &str| if text.is_empty() { "none".to_owned() } else { text.to_owned() };
        Some(format!("owner {} -> {}", or_none(old), or_none(new)))
    }
}

/// What a path is in one version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiffSide {
    /// File, directory or link.
    pub kind: FileKind,
    /// Permission bits.
    pub mode: u32,
    /// Bytes.
    pub size: u64,
}

/// How two contents differ.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DiffBody {
    /// They do not: mode, owner, name or kind alone.
    Same,
    /// Lines of text.
    Text(Vec<Hunk>),
    /// One of them is no text.
    Binary,
    /// A link: where it leads; none: no link on that side.
    Link {
        /// In the first version.
        old: Option<String>,
        /// In the second.
        new: Option<String>,
    },
    /// Longer than what is compared line by line.
    TooLarge,
    /// A content is not to be had, for this reason.
    Missing(String),
    /// The answer was full; ask for this path alone.
    Cut,
}

/// Lines that belong together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hunk {
    /// First line in the first version, from 1; 0: none.
    pub old_start: u64,
    /// How many lines there.
    pub old_lines: u64,
    /// First line in the second version, from 1; 0: none.
    pub new_start: u64,
    /// How many lines there.
    pub new_lines: u64,
    /// In order.
    pub lines: Vec<DiffLine>,
}

/// One line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiffLine {
    /// In which version.
    pub sign: Sign,
    /// Without its end; a secret is masked unless asked for (spec 5.8).
    pub text: String,
    /// `text` is not what is in the file.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub masked: bool,
    /// The last line of its file, without an end of line.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub no_newline: bool,
}

/// Where a line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sign {
    /// In both.
    Both,
    /// In the first alone.
    Old,
    /// In the second alone.
    New,
}

impl Sign {
    /// As every diff writes it.
    #[must_use]
    pub fn mark(self) -> char {
        match self {
            Self::Both => ' ',
            Self::Old => '-',
            Self::New => '+',
        }
    }
}

/// The bytes of a file on their way to the instance: base64 in JSON, never shown by `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct FileBytes(pub Vec<u8>);

impl std::fmt::Debug for FileBytes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "FileBytes({} bytes)", self.0.len())
    }
}

impl Serialize for FileBytes {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use base64::Engine as _;
        serializer.serialize_str(&base64::engine::general_purpose::STANDARD.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for FileBytes {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use base64::Engine as _;
        use serde::de::Error;
        let text = std::borrow::Cow::<'_, str>::deserialize(deserializer)?;
        base64::engine::general_purpose::STANDARD.decode(text.as_bytes()).map(Self).map_err(D::Error::custom)
    }
}

/// One path of [`Change::Put`]. The content was handed over before by `Order::KeepContent`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewFile {
    /// Relative to the directory, as [`super::order::FileEntry`] shows it.
    pub path: String,
    /// File, directory or link.
    pub kind: FileKind,
    /// Permission bits of a path that is new; one that is there keeps its own.
    pub mode: u32,
    /// Of the content, or of a link's target.
    pub digest: Digest,
    /// What has to be there now.
    pub expected: Expected,
    /// Names of owner and group; none: as they are, and a new one as the directory it is in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owners: Option<(String, String)>,
}

/// What an operator has seen before changing a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Expected {
    /// Whatever is there is replaced.
    Any,
    /// Nothing is there.
    Nothing,
    /// This content is there: otherwise the change is refused.
    Content(Digest),
}

/// A change of the configuration by an operator; becomes one revision on the master.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// `config restore`: as it was at this revision; what was not there then is removed.
    Restore {
        /// Number on the main line.
        revision: u64,
        /// Only these and what is inside them; empty: everything.
        paths: Vec<String>,
    },
    /// `config apply`, `config edit`.
    Put {
        /// At most [`PATHS_MAX`].
        files: Vec<NewFile>,
    },
    /// `config reapply`: what a branch or a drift changed, where the path has not changed since (spec 7.6).
    Reapply {
        /// Its name.
        branch: String,
        /// Only these and what is inside them; empty: everything.
        paths: Vec<String>,
        /// These, and what is inside them, become what the branch has, whatever they are now.
        theirs: Vec<String>,
    },
    /// `restore` of a backup: these files with their modes, and these paths gone.
    Replace {
        /// At most [`PATHS_MAX`].
        files: Vec<NewFile>,
        /// At most [`PATHS_MAX`].
        removed: Vec<String>,
    },
}

/// A path that was changed on both sides, or cannot be as it was: left as it is (spec 7.6).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PathConflict {
    /// Which.
    pub path: String,
    /// For people.
    pub why: String,
}

/// What came of a [`Change`], or would come.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangeReport {
    /// The new revision; none: nothing had to be changed, or it was a dry run.
    pub revision: Option<RevisionId>,
    /// Nothing was changed: this is what would be.
    pub dry_run: bool,
    /// Each, in order of paths, at most [`CHANGES_TOLD_MAX`].
    pub changes: Vec<PathChange>,
    /// How many in all.
    pub total: u64,
    /// Left as they are, in order of paths, at most [`CHANGES_TOLD_MAX`].
    #[serde(default)]
    pub conflicts: Vec<PathConflict>,
    /// How many in all.
    #[serde(default)]
    pub conflicts_total: u64,
    /// What somebody else changed in the directory while this was put there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overtaken: Option<Overtaken>,
}

/// What was changed in the directory while a [`Change`] took its place: it is kept, and not in the directory any more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Overtaken {
    /// The drift that has it; none: it is beside its place, as a file that no scan looks at.
    pub kept_as: Option<String>,
    /// In order, as many as a branch names.
    pub paths: Vec<String>,
    /// How many in all.
    pub total: u64,
}

/// One path of a [`ChangeReport`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PathChange {
    /// Which.
    pub path: String,
    /// What becomes of it.
    pub what: Became,
}

/// What becomes of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Became {
    /// It was not there.
    Added,
    /// Another content or kind.
    Changed,
    /// Another mode alone.
    Mode,
    /// Another owner or group alone.
    Owner,
    /// It is gone.
    Removed,
}

impl Became {
    /// For people.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Changed => "changed",
            Self::Mode => "mode",
            Self::Owner => "owner",
            Self::Removed => "removed",
        }
    }
}

/// To `config forget`: what is gone for good (spec 5.6).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForgetReport {
    /// Contents removed from this instance's history.
    pub contents: u64,
    /// Other paths that have one of the same contents in the newest revision; it stays because of them.
    pub kept_by: Vec<String>,
    /// Other paths that had one of the removed contents in older revisions.
    #[serde(default)]
    pub also_at: Vec<String>,
    /// The other instance: done, or why not yet. None: there is none.
    pub peer: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes of a file are no list of numbers in JSON, and no log shows them.
    #[test]
    fn bytes_travel_as_base64_and_are_never_shown() {
        let bytes = FileBytes(b"\x00secret\xff".to_vec());
        let text = serde_json::to_string(&bytes).unwrap();
        assert_eq!(text, "\"AHNlY3JldP8=\"");
        assert_eq!(serde_json::from_str::<FileBytes>(&text).unwrap(), bytes);
        assert!(serde_json::from_str::<FileBytes>("\"?\"").is_err());
        assert_eq!(format!("{bytes:?}"), "FileBytes(8 bytes)");
    }
}
