//! What two instances say to each other over the link. `wire` turns these into bytes and back.
//!
//! Fields may be added with `#[serde(default)]`; an instance one version older skips them. An unknown body arrives as
//! [`Body::Unknown`] and is answered politely.

use serde::{Deserialize, Serialize};

use super::base::{InstanceId, OwnTerms, PairId, RevisionId, Role, Run, Term, UnixMillis};
use super::status::CheckResult;

/// Every message: who says it, in which run, role and term (spec 7.1).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Envelope {
    /// The pair both belong to.
    pub pair: PairId,
    /// Who speaks.
    pub from: InstanceId,
    /// Its run; older ones are dropped.
    pub run: Run,
    /// Its role while it spoke.
    pub role: Role,
    /// Its term while it spoke.
    pub term: Term,
    /// What it says.
    pub body: Body,
}

/// What is said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", content = "body", rename_all = "snake_case")]
pub enum Body {
    /// First message of whoever dialled.
    Hello(Box<Hello>),
    /// The listener's answer to a hello: an answer in the sense of spec 7.1.
    Welcome(Box<Hello>),
    /// The listener's other answer; the connection ends after it.
    Refused(Refusal),
    /// Shadow to master, every check interval.
    Check(Check),
    /// Master to shadow.
    CheckAnswer(CheckAnswer),
    /// Master to shadow: a revision, or the way to fetch one.
    Push(Box<Push>),
    /// Shadow to master: this is on disk now (durably), the bytes were read back or written by this apply.
    Applied(Applied),
    /// Shadow to master: could not be applied; nothing changed.
    ApplyFailed {
        /// Which one.
        revision: RevisionId,
        /// For people.
        why: String,
    },
    /// Master to shadow: the note *may take over* is on the master's disk (spec 7.5); `head` is in sync.
    MayTakeOver {
        /// The master's newest revision when it noted it.
        head: RevisionId,
    },
    /// Who are you now? Answered by [`Body::Answer`] (spec 7.5).
    Ask {
        /// Why it is asked.
        question: Question,
        /// Echoed in the answer.
        nonce: u64,
    },
    /// To an [`Body::Ask`].
    Answer(Answer),
    /// Master to shadow: take the role (spec 7.7, 7.9). Repeated until answered.
    Offer(Offer),
    /// The role was taken at `term` and the service runs (or none is configured).
    OfferTaken {
        /// The offered term.
        term: Term,
    },
    /// The role was not taken, or given back.
    OfferRefused {
        /// The offered term.
        term: Term,
        /// The refuser's own term now.
        own_term: Term,
        /// For people.
        why: String,
    },
    /// Shadow to master: I leave and promise no takeover until connected again (spec 4.4, 7.11).
    Farewell {
        /// Why.
        kind: FarewellKind,
    },
    /// The promise is on disk.
    FarewellHeard,
    /// Master to shadow: leave (its operator said `disconnect`).
    PleaseDisconnect {
        /// Who asked.
        by: String,
    },
    /// Drop the link and transfer everything (spec 5.5); to either side.
    PleaseReconnect {
        /// Who asked.
        by: String,
    },
    /// No takeovers for a while: maintenance (spec 7.9) or a restart (`stop --keep-role`). 0 ends it.
    Pause {
        /// From receiving.
        for_ms: u64,
        /// Why.
        kind: PauseKind,
    },
    /// The pause is in force.
    PauseHeard {
        /// As asked.
        for_ms: u64,
        /// As asked.
        kind: PauseKind,
    },
    /// To the winner after a divergence: this was kept (spec 7.6).
    BranchKept(Branch),
    /// Master to the other: promise me (spec 7.11). A new master asks the former one so, before it is active (spec 7.7).
    Renew(Renewal),
    /// The promise of that renewal is given.
    Confirm {
        /// Of the renewal.
        serial: u64,
    },
    /// Takeovers counted for the pair, or cleared by order (spec 7.15).
    Takeovers(super::damping::Takeovers),
    /// What the sender has for a takeover, when it changes (spec 2.6).
    Kit(Box<super::kit::Kit>),
    /// A body this version does not know.
    #[serde(other)]
    Unknown,
}

/// Who an instance is, in full.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// Program version.
    pub version: String,
    /// Protocol version spoken and the oldest understood.
    pub protocol: u16,
    /// The oldest protocol understood.
    pub protocol_min: u16,
    /// Its own host name, declared (spec 4.1).
    pub host: String,
    /// Its port of the link, declared.
    pub port: u16,
    /// Free text of its operator.
    #[serde(default)]
    pub description: String,
    /// When it started, Unix milliseconds.
    pub started: i64,
    /// What the connection is for.
    pub purpose: Purpose,
    /// Its newest revision.
    pub head: Option<RevisionId>,
    /// Older revisions of its history, newest first, at most [`TRAIL_MAX`], so that the common one is found (spec 7.6).
    #[serde(default)]
    pub trail: Vec<RevisionId>,
    /// It wants every file compared and transferred (spec 5.1, 5.5).
    #[serde(default)]
    pub complete: bool,
    /// It was master in its last role but the present one (spec 7.16).
    #[serde(default)]
    pub was_master: bool,
    /// An operator made it shadow (spec 7.16).
    #[serde(default)]
    pub forced_shadow: bool,
    /// Disconnected by order, or otherwise under a promise not to take over.
    #[serde(default)]
    pub promised: bool,
    /// It was READY once since its start and could take over (spec 7.4).
    #[serde(default)]
    pub was_ready: bool,
    /// Timing of the pair, ms (spec 2.8, 4.2).
    pub timing: Timing,
    /// The pair's high availability on the sender (spec 2.8): grace period, ms.
    #[serde(default)]
    pub grace_period_ms: u64,
    /// What it would do with the role: its takeover checks pass (or there are none).
    #[serde(default)]
    pub takeover_checks_pass: bool,
    /// Number of takeover checks configured, and of those that pass.
    #[serde(default)]
    pub takeover_checks: (u16, u16),
    /// `none` or `command`: what service it has (spec 8.9).
    #[serde(default)]
    pub service: String,
    /// Takeovers of the pair (spec 7.15).
    #[serde(default)]
    pub takeovers: super::damping::Takeovers,
    /// What it has for a takeover (spec 2.6).
    #[serde(default)]
    pub kit: Option<Box<super::kit::Kit>>,
    /// Master: it runs the service while it says this, or is only now stopping it (spec 7.6). None: an earlier version, which
    /// does not tell.
    #[serde(default)]
    pub active: Option<bool>,
    /// Master: in an earlier run, or in this one, it was active for so long without hearing of the other that both may have been
    /// (spec 7.6).
    #[serde(default)]
    pub unwatched: bool,
    /// Drawn when the program started, so that two that run from copies of one home are told apart (spec 7.6). 0: an earlier
    /// version, which does not tell.
    #[serde(default)]
    pub start: u64,
}

/// A master asks for a promise (spec 7.11): whoever receives it does not become active for so long from then.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Renewal {
    /// Echoed in the confirmation; grows within a run.
    pub serial: u64,
    /// From receiving, ms; the receiver limits it.
    pub promise_ms: u64,
}

/// Longest list of older revisions in a hello.
pub const TRAIL_MAX: usize = 64;

/// Timing of the checks; belongs to the pair (spec 2.8).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timing {
    /// From check to check, ms.
    pub check_interval_ms: u64,
    /// From the first failed check to the takeover, ms.
    pub takeover_delay_ms: u64,
    /// For a connection, ms.
    pub connect_timeout_ms: u64,
    /// For an answer, ms.
    pub request_timeout_ms: u64,
}

/// What a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Purpose {
    /// A shadow attaches: checks, pushes, offers.
    Attach,
    /// Only questions (spec 7.5, 7.6, 7.16), or an offer that waits for its answer.
    Ask,
    /// Only to see whether it can be reached (spec 4.1).
    DialBack,
}

/// An answer that is a no (spec 7.1: an answer all the same, so no takeover).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// Which.
    pub code: RefusalCode,
    /// For people: both sides' values where there are two.
    pub why: String,
}

/// Why a listener refuses (spec 3.3, 3.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefusalCode {
    /// High availability is off on the master.
    Disabled,
    /// The connection, or the declared own host, is not the permitted one.
    WrongHost,
    /// You are no longer my pair: other pair id, forgotten certificate, reset (spec 3.6).
    NotMyPair,
    /// Another shadow is known.
    SecondShadow,
    /// The versions cannot talk.
    Version,
    /// The same instance id on both sides: a copied home (spec 7.6).
    SameInstance,
    /// Wrong user or password (pairing alone).
    Credentials,
    /// Too many wrong passwords (pairing alone).
    LockedOut,
    /// The user store does not answer (pairing alone).
    UserStore,
    /// The user is no administrator (pairing alone).
    NotAdministrator,
    /// Not a master (pairing alone).
    NotMaster,
    /// Too busy, or stopping.
    Busy,
    /// One this version does not know.
    #[serde(other)]
    Other,
}

fn are_none(checks: &(u16, u16)) -> bool {
    *checks == (0, 0)
}

#[allow(clippy::trivially_copy_pass_by_ref)]
fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// The shadow's periodic request. What says nothing takes no bytes: it goes over the network every check interval.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    /// Echoed in the answer; grows.
    pub nonce: u64,
    /// What the shadow has on disk.
    pub head: Option<RevisionId>,
    /// Its takeover checks pass, or there are none.
    pub takeover_checks_pass: bool,
    /// Configured, passing.
    #[serde(default, skip_serializing_if = "are_none")]
    pub takeover_checks: (u16, u16),
    /// The timing it works with.
    pub timing: Timing,
    /// It is READY.
    pub ready: bool,
    /// Results of its takeover checks, at most [`CHECKS_TOLD_MAX`]; none: as told before over this connection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checks: Option<Vec<CheckResult>>,
    /// Its virtual addresses; none: as told before over this connection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub addresses: Option<AddressesTold>,
    /// How far the master's clock is ahead of its own, ms, judged over several checks (spec 6.5).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clock_difference_ms: Option<i64>,
    /// How far it is with the revision it brings to its disk (spec 4.3).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transfer: Option<super::status::Transfer>,
    /// Why its directory is not, or not known to be, what `head` says, at most [`TOLD_CHARS_MAX`]; none: it is (spec 4.5).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unlike: Option<String>,
}

/// Most results of takeover checks in one message.
pub const CHECKS_TOLD_MAX: usize = 48;
/// Longest text in a [`CheckResult`] or an [`AddressesTold`], in characters; a longer one is cut.
pub const TOLD_CHARS_MAX: usize = 200;

/// The virtual addresses of an instance (spec 7.14), as the other one has to know them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AddressesTold {
    /// Without the interface, which may differ; at most [`super::settings::table::ADDRESSES_MAX`].
    pub list: Vec<String>,
    /// Why it could not raise all of them; none: it could.
    pub problem: Option<String>,
}

/// The master's answer: an application hello.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckAnswer {
    /// Of the check.
    pub nonce: u64,
    /// What the master has on disk.
    pub head: Option<RevisionId>,
    /// The master is active (not in doubt, not on boot hold).
    pub active: bool,
    /// Free text of its operator.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// Promise me (spec 7.11); none without arbiter, or when one was asked for a moment ago.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub renewal: Option<Renewal>,
    /// Its wall clock when it answered, Unix milliseconds; for the alert of spec 6.5 alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wall_ms: Option<i64>,
    /// What is left of a maintenance, ms; 0: there is none; none: that is being settled, or an older version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub maintenance_ms: Option<u64>,
    /// Files held back on the master (spec 5.4).
    #[serde(default, skip_serializing_if = "is_zero")]
    pub held: u64,
    /// Why the master's directory cannot be used, at most [`TOLD_CHARS_MAX`]; none: it can.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub directory: Option<String>,
}

/// A revision for the shadow. Contents that are not in `inline` are fetched over the bulk connection by digest, and so is
/// the list itself when `complete`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Push {
    /// What the shadow has after it.
    pub revision: RevisionId,
    /// Present: `revision` is `base` and `changes`; absent: the whole tree is compared (spec 5.5).
    pub base: Option<RevisionId>,
    /// The newest revision of the shadow's trail that is also in the master's history (spec 7.6).
    pub common: Option<RevisionId>,
    /// Opaque to the engine: what the mirror needs to do it, limited to [`PUSH_PAYLOAD_MAX_BYTES`].
    #[serde(with = "serde_bytes")]
    pub payload: Vec<u8>,
}

/// Largest payload of one push on the link of the checks; anything larger travels by the bulk connection.
pub const PUSH_PAYLOAD_MAX_BYTES: usize = 128 * 1024;

/// On the shadow's disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Applied {
    /// Number and term of the master's revision, root of what is on the disk.
    pub revision: RevisionId,
    /// Files written, for the events.
    #[serde(default)]
    pub files: u64,
}

/// Why *who are you* is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Question {
    /// A former master starts (spec 7.5): a shadow that answers cancels its takeover and counts anew.
    Boot,
    /// A master lost its shadow, or is in doubt (spec 7.6, 7.7).
    Probe,
}

/// Who I am now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// Of the question.
    pub nonce: u64,
    /// Role and term are in the envelope. True: it took over (or holds a higher term as master).
    pub has_taken_over: bool,
    /// The highest term it ever heard of.
    pub known_term: Term,
    /// Its open offer, if it began a hand-over that nobody answered.
    pub open_offer: Option<Term>,
    /// Its newest revision.
    pub head: Option<RevisionId>,
}

/// Take the role.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offer {
    /// The term to take; one of the receiver's own.
    pub term: Term,
    /// The revision both must have.
    pub head: Option<RevisionId>,
    /// A switch or a planned stop.
    pub kind: OfferKind,
}

/// Why the role is offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OfferKind {
    /// Spec 7.7.
    Switch,
    /// Spec 7.9.
    Stop,
    /// The service keeps failing here (spec 7.13).
    Failing,
}

/// Why a shadow leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FarewellKind {
    /// By order; stays away until `connect`.
    Disconnect,
    /// It forgets the pair.
    Reset,
    /// Its Standin stops; it comes back by itself.
    Stop,
}

/// Why takeovers pause.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PauseKind {
    /// Both sides show it all the while.
    Maintenance,
    /// `stop --keep-role`.
    Restart,
}

/// Revisions that only the loser of a divergence has (spec 7.6).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Branch {
    /// Unique in the keeper's history: `diverged-term-1-rev-12`.
    pub name: String,
    /// Where it left the common history.
    pub common: Option<RevisionId>,
    /// Its newest revision.
    pub head: RevisionId,
    /// How many revisions.
    pub revisions: u64,
    /// Paths that they changed, at most [`BRANCH_FILES_MAX`].
    pub files: Vec<String>,
    /// How many paths in all.
    pub files_total: u64,
    /// When it was kept; 0: by an earlier version, which did not note it.
    #[serde(default)]
    pub at: UnixMillis,
    /// Who made its revisions.
    #[serde(default)]
    pub author: String,
    /// Host of the other instance, where it is kept there and not here; only in lists.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub holder: String,
}

/// Most paths named in a [`Branch`].
pub const BRANCH_FILES_MAX: usize = 50;

/// Protocol this program speaks; the oldest it understands is [`PROTOCOL_MIN`].
pub const PROTOCOL: u16 = 1;
/// See [`PROTOCOL`].
pub const PROTOCOL_MIN: u16 = 1;

/// First message on a pairing connection, shadow to master (spec 3.1); the shadow's certificate is the one of the TLS handshake.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PairHello {
    /// Its instance.
    pub instance: InstanceId,
    /// Program version.
    pub version: String,
    /// As in [`Hello`].
    pub protocol: u16,
    /// As in [`Hello`].
    pub protocol_min: u16,
    /// Declared own host.
    pub host: String,
    /// Declared own port of the link.
    pub port: u16,
    /// Free text.
    #[serde(default)]
    pub description: String,
    /// The timing it will use.
    pub timing: Timing,
}

/// The master's word at the end of a pairing: both pin what they saw.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PairGrant {
    /// The new pair.
    pub pair: PairId,
    /// The master's instance.
    pub instance: InstanceId,
    /// The master's term.
    pub term: Term,
    /// The terms that are the shadow's from now on.
    pub shadow_terms: OwnTerms,
    /// The master's declared host and port of the link.
    pub host: String,
    /// See `host`.
    pub port: u16,
    /// Program version.
    pub version: String,
    /// Free text.
    #[serde(default)]
    pub description: String,
    /// The pair's grace period (spec 2.4), ms.
    #[serde(default)]
    pub grace_period_ms: u64,
}
