//! What an instance tells about itself: `standin status --json`, the console, the API. One type for all of them.
//!
//! Holds moments, never ages: an idle pair gives an equal value, so that nothing is drawn or sent. What moves with every
//! check (`last_check`, `round_trip_ms`) is refreshed at most once a second and only then published.

use serde::{Deserialize, Serialize};

use super::base::{Condition, Digest, Fingerprint, InstanceId, LinkState, Reason, Role, Term, UnixMillis};
use super::settings::Settings;

pub mod words;

/// The whole. Fields up to `alerts` are fixed by the interfaces; those behind it are Standin's own and may grow.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// Program version.
    pub version: String,
    /// This instance.
    pub instance: InstanceStatus,
    /// None before the first setup.
    pub role: Option<Role>,
    /// Master and entitled to run the service.
    pub active: bool,
    /// See [`Term`].
    pub term: Term,
    /// Since when it has this role.
    pub since: Option<UnixMillis>,
    /// How the role came about.
    pub last_role_change: Option<LastRoleChange>,
    /// Spec 2.7 or 4.3; none without a role.
    pub state: Option<LinkState>,
    /// Beside the state: why.
    pub state_message: Option<String>,
    /// What holds it back.
    pub condition: Option<Condition>,
    /// What happens if the active instance dies now.
    pub protection: Protection,
    /// The same in a sentence; never flatters (spec 8.9).
    pub protection_message: String,
    /// The mirrored directory.
    pub configuration: ConfigurationStatus,
    /// The other instance; none when there has never been one.
    pub peer: Option<PeerStatus>,
    /// The pair's settings.
    pub ha: HaStatus,
    /// The service.
    pub service: ServiceStatus,
    /// The third vote (spec 7.11); none: not configured.
    pub arbiter: Option<ArbiterStatus>,
    /// End of the maintenance.
    pub maintenance_until: Option<UnixMillis>,
    /// Open alerts.
    pub alerts: AlertCounts,

    /// A wait that ends by itself (boot hold), with its end.
    #[serde(default)]
    pub hold: Option<Hold>,
    /// Shadow: the takeover, under way or as it would be.
    #[serde(default)]
    pub takeover: TakeoverStatus,
    /// The link, step by step, as last tried.
    #[serde(default)]
    pub link: Vec<LinkStep>,
    /// Master: whether the peer's listener could be reached (spec 4.1).
    #[serde(default)]
    pub dial_back: Option<DialBack>,
    /// A transfer under way.
    #[serde(default)]
    pub transfer: Option<Transfer>,
    /// Shown until dismissed (spec 8.3).
    #[serde(default)]
    pub notice: Option<Notice>,
    /// Settings in force.
    #[serde(default)]
    pub settings: Settings,
    /// Why the pair's settings cannot be edited now (spec 2.5, 4.1); none: they can.
    #[serde(default)]
    pub settings_locked: Option<String>,
    /// Names of branches kept after a divergence (spec 7.6).
    #[serde(default)]
    pub branches: Vec<String>,
    /// Own host names and addresses found on this machine (spec 4.1).
    #[serde(default)]
    pub own_hosts: Vec<String>,
    /// Virtual addresses (spec 7.14), in the order of the settings.
    #[serde(default)]
    pub addresses: Vec<AddressStatus>,
    /// The engine is stopping.
    #[serde(default)]
    pub stopping: bool,
    /// A switch under way (spec 7.7).
    #[serde(default)]
    pub switching: Option<SwitchStatus>,
}

/// A switch under way.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SwitchStatus {
    /// `2 of 4: the service is being stopped here`.
    pub step: String,
    /// `ha switch --abort` still ends it: the offer is not on disk yet.
    pub can_abort: bool,
}

/// This instance.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct InstanceStatus {
    /// None before the home was made.
    pub id: Option<InstanceId>,
    /// Own host name.
    pub host: String,
    /// Free text.
    pub description: String,
    /// Start of this run.
    pub started: Option<UnixMillis>,
    /// The home.
    pub home: String,
    /// Of its certificate of the link.
    pub fingerprint: Option<Fingerprint>,
    /// Port of the administration API.
    pub admin_port: u16,
    /// Port of the link.
    pub ha_port: u16,
    /// Process id of the engine.
    #[serde(default)]
    pub process: u32,
    /// End of validity of the own certificate of the link.
    #[serde(default)]
    pub certificate_expires: Option<UnixMillis>,
}

/// How the role came about.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LastRoleChange {
    /// When.
    pub at: UnixMillis,
    /// The role before.
    pub from: Option<Role>,
    /// Why.
    pub reason: Reason,
}

/// What if the active instance dies now?
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Protection {
    /// The other takes over.
    Full,
    /// It takes over, but behind, or with files held.
    Reduced,
    /// It does not.
    #[default]
    None,
    /// Maintenance.
    Paused,
}

impl Protection {
    /// In capitals, as the console says it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Full => "FULL",
            Self::Reduced => "REDUCED",
            Self::None => "NONE",
            Self::Paused => "PAUSED",
        }
    }
}

/// The mirrored directory.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ConfigurationStatus {
    /// Absolute path.
    pub directory: String,
    /// Number of the newest revision, 0: none yet.
    pub revision: u64,
    /// Its root digest.
    pub root: Option<Digest>,
    /// Number of files.
    pub files: u64,
    /// Their sizes, added up.
    pub bytes: u64,
    /// Files held back.
    pub held: u64,
    /// Files changed on the shadow behind Standin's back.
    pub drift: u64,
    /// Users and groups of mirrored files that this machine does not know or may not give a file to; alert F-032 names them.
    #[serde(default)]
    pub owners_missing: u64,
    /// Of the newest revision.
    #[serde(default)]
    pub last_change: Option<LastChange>,
}

/// The newest revision, for people.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LastChange {
    /// When.
    pub at: UnixMillis,
    /// Who.
    pub author: String,
    /// Number of paths changed.
    pub files: u64,
}

/// The other instance.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PeerStatus {
    /// Its id.
    pub id: Option<InstanceId>,
    /// Declared host.
    pub host: String,
    /// Address of the connection.
    pub address: Option<String>,
    /// Program version.
    pub version: String,
    /// The versions can talk.
    pub compatible: bool,
    /// Of its pinned certificate.
    pub fingerprint: Option<Fingerprint>,
    /// End of validity.
    pub certificate_expires: Option<UnixMillis>,
    /// Since when the link stands; none: it does not.
    pub connected_since: Option<UnixMillis>,
    /// The last check answered, to the second.
    pub last_check: Option<UnixMillis>,
    /// Of the last check.
    pub round_trip_ms: Option<f64>,
    /// Its revision.
    pub revision: u64,
    /// Its root digest.
    pub root: Option<Digest>,
    /// Revisions the shadow lacks.
    pub behind: u64,
    /// Digests of what is on both disks are equal (spec 5.7).
    pub in_sync: bool,
    /// Timing.
    pub check_interval_ms: u64,
    /// Timing.
    pub takeover_delay_ms: u64,
    /// Timing.
    #[serde(default)]
    pub request_timeout_ms: u64,
    /// Free text of its operator.
    #[serde(default)]
    pub description: String,
    /// When it started.
    #[serde(default)]
    pub started: Option<UnixMillis>,
    /// Its role as last heard.
    #[serde(default)]
    pub role: Option<Role>,
    /// Its term as last heard.
    #[serde(default)]
    pub term: Term,
    /// Its port of the link.
    #[serde(default)]
    pub port: u16,
    /// Takeover checks of the shadow: configured, passing.
    #[serde(default)]
    pub takeover_checks: (u16, u16),
    /// Whether it has a service: `none`, `command`.
    #[serde(default)]
    pub service: String,
    /// What differs between the two and would hurt at a takeover (spec 2.6).
    #[serde(default)]
    pub differences: Vec<String>,
    /// Takeover checks of the shadow as it last told them (spec 7.2); empty on the shadow itself.
    #[serde(default)]
    pub checks: Vec<CheckResult>,
    /// How far its clock is ahead of the own one, ms, judged over several checks (spec 6.5).
    #[serde(default)]
    pub clock_difference_ms: Option<i64>,
}

impl PeerStatus {
    /// Sets the round trip of the last check, ms; the only floating-point number of the engine, and only for people.
    #[allow(clippy::cast_precision_loss)] // milliseconds between two checks
    pub fn set_round_trip(&mut self, span_ms: Option<u64>) {
        self.round_trip_ms = span_ms.map(|ms| ms as f64);
    }
}

/// One virtual address on this machine (spec 7.14).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AddressStatus {
    /// `192.0.2.10/24`.
    pub address: String,
    /// Name of the interface.
    pub interface: String,
    /// It is on the interface now.
    pub present: bool,
    /// When it was last announced by this instance.
    pub announced_at: Option<UnixMillis>,
    /// Why it is missing, or would be at a takeover.
    pub problem: Option<String>,
    /// Hardware address of another machine that answers for it.
    #[serde(default)]
    pub used_by: Option<String>,
}

/// The pair's settings.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct HaStatus {
    /// Spec 2.1.
    pub enabled: bool,
    /// Spec 2.3.
    pub permitted_shadow_host: Option<String>,
    /// Spec 2.4.
    pub grace_period_ms: u64,
    /// Spec 7.10.
    #[serde(default)]
    pub isolation: IsolationStatus,
}

/// Whether a master that is cut off stops its service in time (spec 7.10).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct IsolationStatus {
    /// By the setting, and there are checks.
    pub enabled: bool,
    /// Detection and stop fit inside the shadow's takeover delay.
    pub fits: bool,
    /// The arithmetic in a sentence.
    pub text: String,
}

/// The service.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ServiceStatus {
    /// `none`, `command` or `unit`.
    pub kind: String,
    /// `none`, `stopped`, `starting`, `running`, `stopping`, `failed`.
    pub state: String,
    /// Process id of the command.
    #[serde(default)]
    pub process: Option<u32>,
    /// Since when in this state.
    #[serde(default)]
    pub since: Option<UnixMillis>,
    /// Restarts since the role began.
    #[serde(default)]
    pub restarts: u32,
    /// The command line, shortened.
    #[serde(default)]
    pub name: String,
    /// Why it failed.
    #[serde(default)]
    pub message: Option<String>,
    /// It ended more often than the restart limit allows, and has not run for a whole window since (spec 7.13).
    #[serde(default)]
    pub failing: bool,
    /// What its health check says; none: none is configured, or it does not run.
    #[serde(default)]
    pub health: Option<HealthStatus>,
    /// How long the last stop took from the signal to the end of the last process, ms.
    #[serde(default)]
    pub stop_took_ms: Option<u64>,
    /// How long it may take (spec 7.13), ms; 0: there is no service.
    #[serde(default)]
    pub stop_budget_ms: u64,
    /// Of a unit: whether systemd stops it when Standin ends; none: not known, or no unit.
    #[serde(default)]
    pub bound: Option<bool>,
}

/// The health check of the service (spec 7.13). Changes with the outcome only, not with every check.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HealthStatus {
    /// `tcp localhost:8080`, `command /usr/bin/check`, `http https://…`.
    pub target: String,
    /// `waiting` (nothing counts yet), `passing`, `failing`, `unknown` (it cannot be run).
    pub state: String,
    /// Failures in a row.
    pub failures: u32,
    /// So many restart the service.
    pub limit: u32,
    /// Why the last one failed.
    pub message: Option<String>,
}

impl HealthStatus {
    /// As often in a row as restarts the service.
    #[must_use]
    pub fn is_bad(&self) -> bool {
        self.state == "failing" && self.failures >= self.limit
    }
}

impl Default for ServiceStatus {
    fn default() -> Self {
        Self {
            kind: "none".into(),
            state: "none".into(),
            process: None,
            since: None,
            restarts: 0,
            name: String::new(),
            message: None,
            failing: false,
            health: None,
            stop_took_ms: None,
            stop_budget_ms: 0,
            bound: None,
        }
    }
}

/// The third vote, as this instance sees it (spec 7.11).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ArbiterStatus {
    /// As configured.
    pub endpoints: Vec<String>,
    /// `unknown`, `ok`, `away` (does not answer) or `no_vote` (it knew less than the pair; both have to write it anew).
    pub state: String,
    /// Why, for people.
    pub message: Option<String>,
    /// The highest term it knows of.
    pub term: Term,
    /// The holder of the highest term granted.
    pub holder: Option<InstanceId>,
    /// The last answer, to the second.
    pub last_answer: Option<UnixMillis>,
    /// Who confirmed this master within its hold time: `shadow`, `arbiter`.
    pub confirmed_by: Vec<String>,
    /// Master: its service stops then unless somebody confirms it before; refreshed at most once a second.
    pub confirmed_until: Option<UnixMillis>,
    /// Shadow: it takes no term before then, because it has promised so; refreshed at most once a second.
    pub promised_until: Option<UnixMillis>,
    /// Settings in force, ms.
    pub hold_ms: u64,
    /// See `hold_ms`.
    pub promise_ms: u64,
    /// See `hold_ms`.
    pub stop_budget_ms: u64,
    /// Time to live of a lease, s.
    pub lease_s: u64,
    /// The longest time from the death of the master to the start of the service on the other side, the service's own start
    /// not counted, ms.
    pub longest_failover_ms: u64,
    /// How long the last stop of the service took, ms.
    pub stop_took_ms: Option<u64>,
}

/// Open alerts by severity.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlertCounts {
    /// Something does not work.
    pub error: u32,
    /// Something will not work.
    pub warning: u32,
    /// Something is over.
    pub information: u32,
}

/// A wait that ends by itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Hold {
    /// When it ends; none: only by an answer or an order.
    pub ends_at: Option<UnixMillis>,
    /// Of how many milliseconds in all.
    pub of_ms: u64,
    /// What it waits for.
    pub why: String,
}

/// The takeover, under way or as it would be.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TakeoverStatus {
    /// Under way: when it happens unless the master answers; none once it waits for something that has no time.
    pub due_at: Option<UnixMillis>,
    /// Under way, and the delay is over: what has to come first, as in *when the takeover checks have passed*.
    #[serde(default)]
    pub waits_for: Option<String>,
    /// The delay in force, ms.
    pub delay_ms: u64,
    /// Why it would not take over; none: it would.
    pub why_not: Option<String>,
    /// The takeover checks as last run.
    pub checks: Vec<CheckResult>,
}

/// One takeover check (spec 7.2).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckResult {
    /// `tcp gateway.example.net:443`.
    pub target: String,
    /// It passed.
    pub ok: bool,
    /// Why not, or how long it took.
    pub message: String,
}

/// One step of reaching the peer: name found, TCP connect, TLS and certificate, role and term, configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkStep {
    /// What.
    pub name: String,
    /// None: not reached.
    pub ok: Option<bool>,
    /// For people.
    pub message: String,
}

/// Whether the peer's listener could be reached.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DialBack {
    /// It could.
    pub ok: bool,
    /// When.
    pub at: UnixMillis,
    /// Why not.
    pub message: String,
}

/// A transfer under way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transfer {
    /// What is being done; the figures below are those of this step alone.
    #[serde(default)]
    pub step: TransferStep,
    /// Files done.
    pub files_done: u64,
    /// Files to do.
    pub files_total: u64,
    /// Bytes done: of the contents, however packed they travel.
    pub bytes_done: u64,
    /// Bytes to do.
    pub bytes_total: u64,
    /// Bytes per second over the last seconds; none: not known yet.
    #[serde(default)]
    pub rate: Option<u64>,
    /// Until the end of this step at this rate, ms; none: not known yet.
    #[serde(default)]
    pub left_ms: Option<u64>,
}

/// What a transfer does, in this order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TransferStep {
    /// What is here is read, and compared with the list of the master.
    Comparing,
    /// Contents come.
    #[default]
    Receiving,
    /// They are written aside, and made durable together.
    Writing,
    /// They are in place, and each byte is read back.
    Verifying,
}

impl TransferStep {
    /// For people.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Comparing => "comparing",
            Self::Receiving => "receiving",
            Self::Writing => "writing",
            Self::Verifying => "verifying",
        }
    }
}

/// A change of role, as each operator must see it (spec 8.3).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// `THIS INSTANCE IS NOW MASTER`.
    pub title: String,
    /// When.
    pub at: UnixMillis,
    /// The role it has now.
    pub role: Role,
    /// The term.
    pub term: Term,
    /// Why.
    pub reason: Reason,
    /// Sentences, one a line.
    pub lines: Vec<String>,
    /// The timeline: last check, failure, delay, checks, term on disk, service.
    pub timeline: Vec<TimelineEntry>,
}

/// One line of a timeline.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimelineEntry {
    /// When.
    pub at: UnixMillis,
    /// What.
    pub text: String,
}
