//! What operators ask of an instance, and what it answers: the frames of the control socket (spec 8.1, interfaces).
//!
//! Frames are a big-endian `u32` length and JSON, at most [`CONTROL_FRAME_MAX_BYTES`].

use serde::{Deserialize, Serialize};

use super::alerts::Alert;
use super::base::{Digest, Fingerprint, Problem, RevisionId, Role, Term, UnixMillis};
use super::event::Event;
use super::history::{Change, ChangeReport, DiffReport, FileBytes, ForgetReport, LogEntry, Version};
use super::listing::FilesPart;
use super::message::Branch;
use super::settings::SettingsPatch;
use super::status::{CheckResult, Status};
use super::timeouts::TimeoutReport;

/// Largest frame of the control socket.
pub const CONTROL_FRAME_MAX_BYTES: usize = 32 * 1024 * 1024;
/// Largest file shown.
pub const SHOWN_FILE_MAX_BYTES: usize = 4 * 1024 * 1024;

/// A secret on its way from the operator: never shown by `Debug`, wiped on drop.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// Takes it over.
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(text)
    }

    /// The text itself; for the one place that needs it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        use zeroize::Zeroize;
        self.0.zeroize();
    }
}

/// From a console or a command to the instance.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClientFrame {
    /// Send the status, alerts and events now and at every change.
    Subscribe {
        /// Events newer than this id; at most 500 are sent at once.
        events_after: u64,
    },
    /// Do something; answered by [`ServerFrame::Reply`] with the same id.
    Order {
        /// Chosen by the client.
        id: u64,
        /// What.
        order: Order,
    },
}

/// From the instance.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ServerFrame {
    /// First frame on every connection: who answers.
    Welcome {
        /// Program version of the engine.
        version: String,
        /// Its process.
        process: u32,
    },
    /// The newest status.
    Status(Box<Status>),
    /// The whole list, newest first.
    Alerts(Vec<Alert>),
    /// New events, oldest first.
    Events(Vec<Event>),
    /// To an order.
    Reply {
        /// Of the order.
        id: u64,
        /// What came of it.
        outcome: Result<Reply, Problem>,
    },
}

/// What an operator asks for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// `status`.
    Status,
    /// Settings of the pair or of this instance: `ha enable|disable|edit`, `shadow edit`, the forms.
    Edit(SettingsPatch),
    /// `ha reset` (spec 2.5).
    HaReset,
    /// `ha disconnect`: the shadow is asked to leave.
    HaDisconnect,
    /// `ha switch`.
    Switch {
        /// Only say what would happen.
        dry_run: bool,
    },
    /// `ha switch --abort`: ends a switch whose offer is not on disk yet (spec 7.7).
    SwitchAbort,
    /// `ha become-shadow --force` (spec 7.8).
    BecomeShadow,
    /// `ha become-master --force` (spec 7.8).
    BecomeMaster {
        /// Not even the arbiter is asked: the operator knows that the other instance is not active.
        #[serde(default)]
        without_arbiter: bool,
    },
    /// `ha maintenance` (spec 7.9); 0 ends it.
    Maintenance {
        /// From now.
        for_ms: u64,
    },
    /// `ha resume`: end the boot hold (spec 7.5).
    Resume,
    /// What a master at `shadow.master_hosts` (or here) is: the fingerprint to compare (spec 3.1).
    Probe {
        /// Name or address; none: the settings'.
        host: Option<String>,
        /// Port; none: the settings'.
        port: Option<u16>,
    },
    /// First connection (spec 3.1).
    Pair {
        /// User of the master.
        user: String,
        /// Its password.
        password: Secret,
        /// The master's, compared by the operator.
        fingerprint: Fingerprint,
    },
    /// `shadow connect` with a pinned certificate.
    Connect,
    /// `shadow disconnect`.
    Disconnect,
    /// `shadow reset` (spec 4.4).
    ShadowReset,
    /// `reconnect`, from either side (spec 5.5).
    Reconnect,
    /// Shadow, `r`: try to reach the master now.
    TryNow,
    /// `config push`: push again now.
    PushNow,
    /// `stop` (spec 7.9).
    Stop {
        /// `--keep-role`.
        keep_role: bool,
    },
    /// The notice was understood (spec 8.3).
    DismissNotice,
    /// `alerts delete ID`.
    DeleteAlert {
        /// Of the alert.
        id: u64,
    },
    /// `alerts delete --all`.
    DeleteAllAlerts,
    /// `events`.
    Events {
        /// Newer than this id.
        after: u64,
        /// At most.
        limit: u32,
    },
    /// `alerts`.
    Alerts,
    /// `config list`.
    ListFiles,
    /// The list of files for a console: in parts, and what changed since a revision.
    ListPart {
        /// What is known already; none: nothing.
        since: Option<RevisionId>,
        /// Go on behind this path, from [`FilesPart::next`].
        after: Option<String>,
    },
    /// `config list --held` (spec 5.4).
    HeldFiles,
    /// `config list --drift`: what was found changed behind Standin's back, as long as its alert stands (spec 4.5).
    DriftFiles,
    /// `config show`.
    ShowFile {
        /// Relative to the directory.
        path: String,
        /// None: the newest.
        revision: Option<u64>,
    },
    /// `config show` of what is no text, or too long for it.
    FileBytes {
        /// Relative to the directory.
        path: String,
        /// None: the newest.
        revision: Option<u64>,
    },
    /// `config show` of what is longer than [`Order::FileBytes`] hands out: a piece of it.
    FilePart {
        /// Relative to the directory.
        path: String,
        /// None: the newest.
        revision: Option<u64>,
        /// Of the content that the earlier pieces are of: one that has become another meanwhile is refused.
        digest: Digest,
        /// Bytes before the piece.
        offset: u64,
    },
    /// `config log`: revisions of the main line, newest first.
    Log {
        /// Only those that changed this path or something inside it.
        path: Option<String>,
        /// At most; never more than [`super::history::LOG_ENTRIES_MAX`].
        limit: u32,
        /// Only those with a lower number.
        before: Option<u64>,
    },
    /// `config diff`.
    Diff {
        /// The first version.
        from: Version,
        /// The second.
        to: Version,
        /// Only these and what is inside them; empty: everything.
        paths: Vec<String>,
        /// Without masks (spec 5.8).
        show_secrets: bool,
    },
    /// Hands over the content of a file for [`Order::Change`].
    KeepContent {
        /// At most [`super::history::APPLIED_FILE_MAX_BYTES`].
        bytes: FileBytes,
    },
    /// `config restore|apply|edit`.
    Change {
        /// What.
        change: Change,
        /// Why, for the history.
        message: String,
        /// Only say what would change.
        dry_run: bool,
    },
    /// `config forget`.
    Forget {
        /// The path, with all inside it.
        path: String,
        /// It may be in the newest revision, whose content stays.
        history_only: bool,
    },
    /// `config verify`: every file on both sides (spec 5.7).
    Verify,
    /// `config branches`.
    Branches,
    /// `config branches show BRANCH PATH`: the bytes that it has there.
    BranchBytes {
        /// Its name.
        branch: String,
        /// Relative to the directory.
        path: String,
    },
    /// `config branches show`.
    ShowBranch {
        /// Its name.
        name: String,
    },
    /// `shadow check-timeouts` (spec 4.2).
    CheckTimeouts,
    /// `shadow host-names` (spec 4.1).
    HostNames,
    /// `users set-password`.
    SetPassword {
        /// Local user.
        user: String,
        /// The new one.
        password: Secret,
    },
}

/// What came of an order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reply {
    /// Done; a sentence for people.
    Done(String),
    /// To [`Order::Status`].
    Status(Box<Status>),
    /// To a dry run: every check, and what would happen.
    Rehearsal(Rehearsal),
    /// To [`Order::Probe`].
    MasterSeen(MasterSeen),
    /// To [`Order::Events`].
    Events(Vec<Event>),
    /// To [`Order::Alerts`].
    Alerts(Vec<Alert>),
    /// To [`Order::ListFiles`], sorted by path.
    Files(Vec<FileEntry>),
    /// To [`Order::ListPart`].
    FilesPart(Box<FilesPart>),
    /// To [`Order::HeldFiles`] and [`Order::DriftFiles`], sorted by path, at most [`HELD_MAX`].
    Held(Vec<HeldFile>),
    /// To [`Order::ShowFile`].
    File(Box<FileContent>),
    /// To [`Order::FileBytes`]. To [`Order::FilePart`]: at most [`super::history::APPLIED_FILE_MAX_BYTES`], none at the end.
    Bytes(FileBytes),
    /// To [`Order::Log`].
    Log(Vec<LogEntry>),
    /// To [`Order::Diff`].
    Diff(Box<DiffReport>),
    /// To [`Order::KeepContent`].
    Kept(Digest),
    /// To [`Order::Change`].
    Changed(Box<ChangeReport>),
    /// To [`Order::Forget`].
    Forgotten(Box<ForgetReport>),
    /// To [`Order::Verify`].
    Verified(Box<VerifyReport>),
    /// To [`Order::Branches`].
    Branches(Vec<Branch>),
    /// To [`Order::HostNames`].
    HostNames(Vec<String>),
    /// To [`Order::CheckTimeouts`].
    Timeouts(TimeoutReport),
}

/// Every check of a switch, and what would happen (spec 7.7).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Rehearsal {
    /// It would be done.
    pub possible: bool,
    /// Who would be master.
    pub new_master: String,
    /// At which term.
    pub term: Term,
    /// Each check.
    pub checks: Vec<CheckResult>,
    /// What would happen, in order.
    pub steps: Vec<String>,
    /// How long nobody would run the service, in a sentence.
    #[serde(default)]
    pub gap: String,
}

/// A master as seen before it is trusted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MasterSeen {
    /// As dialled.
    pub host: String,
    /// As dialled.
    pub port: u16,
    /// The address that answered.
    pub address: String,
    /// Of its certificate, to compare with the one on its console.
    pub fingerprint: Fingerprint,
    /// Its program version.
    pub version: String,
    /// Its role.
    pub role: Option<Role>,
    /// Own address and the master's are in the same network; where not, a hint (spec 1.5).
    pub same_network: bool,
}

/// One entry of the mirrored directory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileEntry {
    /// Relative path; bytes that are no UTF-8 are shown as `\xNN`.
    pub path: String,
    /// `file`, `directory` or `link`.
    pub kind: FileKind,
    /// Permission bits.
    pub mode: u32,
    /// Bytes.
    pub size: u64,
    /// Of the content.
    pub digest: Digest,
    /// The revision that last changed it.
    pub revision: u64,
    /// `owner:group`, by name; empty: they are not mirrored.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub owner: String,
}

/// Most entries of a list of what is held back.
pub const HELD_MAX: usize = 10_000;

/// Something in the directory that is not mirrored as it is now (spec 5.4).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldFile {
    /// Relative path, as in [`FileEntry`].
    pub path: String,
    /// For people.
    pub why: String,
    /// Where in it, from 1.
    pub line: Option<u64>,
    /// Held back since, as far as this run knows.
    pub since: UnixMillis,
}

/// What a path is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FileKind {
    /// Bytes.
    File,
    /// Holds others.
    Directory,
    /// Points to another path inside.
    Link,
}

/// One file with its content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileContent {
    /// About it.
    pub entry: FileEntry,
    /// Text, lossless if `is_text`.
    pub text: String,
    /// The bytes are UTF-8 without control characters.
    pub is_text: bool,
    /// Longer than [`SHOWN_FILE_MAX_BYTES`], cut.
    pub is_cut: bool,
}

/// Every file on both sides, re-read (spec 5.7).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VerifyReport {
    /// Digest of what is on this disk.
    pub own_root: Digest,
    /// Digest of what is on the peer's disk; none: it could not be asked.
    pub peer_root: Option<Digest>,
    /// Digest of the newest committed revision here.
    pub committed_root: Digest,
    /// Files read here.
    pub files: u64,
    /// Bytes read here.
    pub bytes: u64,
    /// Took this long.
    pub took_ms: u64,
    /// Each difference, at most [`DIFFERENCES_MAX`].
    pub differences: Vec<Difference>,
    /// How many in all.
    pub differences_total: u64,
    /// Why the peer could not be asked.
    pub peer_problem: Option<String>,
    /// When.
    pub at: UnixMillis,
}

/// Most differences listed.
pub const DIFFERENCES_MAX: usize = 1_000;

/// One difference.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    /// Relative path.
    pub path: String,
    /// `only here`, `only on node-b`, `content`, `mode`, `owner`, `kind`, `not committed`.
    pub what: String,
}

/// Who gave an order, for the events.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Actor {
    /// Operating-system or API user; `signal` for SIGTERM.
    pub user: String,
}
