//! The settings of one instance: one type for file, form, command and API. Durations are milliseconds.
//!
//! `config/settings.yaml` is the commented default; `settings::table` describes every key for people.

pub use self::history::History;
use serde::{Deserialize, Serialize};

mod double_option;
pub mod duration;
pub mod failover;
mod history;
mod mirrored;
pub mod patterns;
pub mod read;
pub mod table;
pub mod text;

pub use self::mirrored::{Configuration, Validate};

/// Everything an operator may set on one instance.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Free text shown on both sides; 200 characters at most.
    pub description: String,
    /// This machine's own name or address, declared to the peer at every connect (spec 4.1).
    pub host: String,
    /// Addresses that exist on the active instance only (spec 7.14). At most [`table::ADDRESSES_MAX`].
    pub addresses: Vec<VirtualAddress>,
    /// Where this instance listens.
    pub administration: Administration,
    /// The pair, as the master sees it (spec 2).
    pub high_availability: HighAvailability,
    /// The master and the timing, as the shadow sees them (spec 4).
    pub shadow: Shadow,
    /// The mirrored directory (spec 5).
    pub configuration: Configuration,
    /// Proofs of being connected, asked before a takeover (spec 7.2).
    pub takeover_checks: TakeoverChecks,
    /// The third vote (spec 7.11).
    pub arbiter: Arbiter,
    /// What the active instance runs (spec 7.13).
    pub service: Service,
    /// Commands run at a change of role or configuration (spec 7.13).
    pub hooks: Hooks,
    /// From when on the health checks alert (spec 6.5).
    pub alerting: Alerting,
    /// The program log.
    pub log: Log,
    /// Who may use the control socket.
    pub control: Control,
}

/// An address that the active instance has, and no other (spec 7.14).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VirtualAddress {
    /// With the length of its network: `192.0.2.10/24`, `2001:db8::10/64`.
    pub address: String,
    /// Name of the network interface that gets it.
    pub interface: String,
}

/// Where this instance listens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Administration {
    /// Address to listen on, `0.0.0.0` or `::` for all. Connections of the link go out from it (spec 4.1).
    pub listen: String,
    /// TCP port of the administration API, by default shared with the link.
    pub port: u16,
}

impl Default for Administration {
    fn default() -> Self {
        Self { listen: "0.0.0.0".into(), port: 8443 }
    }
}

/// Settings of the pair on the master (spec 2.1 to 2.4).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HighAvailability {
    /// Off: every shadow is refused (spec 2.1).
    pub enabled: bool,
    /// Own port of the link; none: the administration port (spec 2.2).
    pub port: Option<u16>,
    /// `host` or `host@address`; none: any (spec 2.3).
    pub permitted_shadow_host: Option<String>,
    /// How long the outgoing master lets its service end in peace at a switch (spec 2.4).
    #[serde(with = "duration")]
    pub grace_period: u64,
    /// How long a former master waits for an answer before it resumes (spec 7.5).
    #[serde(with = "duration")]
    pub boot_hold: u64,
    /// A master that lost its shadow and all its takeover checks stops its service (spec 7.10).
    pub isolation: bool,
}

impl Default for HighAvailability {
    fn default() -> Self {
        Self {
            enabled: false,
            port: None,
            permitted_shadow_host: None,
            grace_period: 0,
            boot_hold: 60_000,
            isolation: true,
        }
    }
}

/// Connection data and timing of a shadow (spec 4.1, 4.2).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Shadow {
    /// Names or addresses of the master, tried in order; a check fails only when all fail.
    pub master_hosts: Vec<String>,
    /// The master's port of the link.
    pub master_port: u16,
    /// From one check to the next: 10 ms to 1 h.
    #[serde(with = "duration")]
    pub check_interval: u64,
    /// From the first failed check to the takeover: 0 to 1 h.
    #[serde(with = "duration")]
    pub takeover_delay: u64,
    /// For a connection to be made: 10 ms to 60 s.
    #[serde(with = "duration")]
    pub connect_timeout: u64,
    /// For a request to be answered: 10 ms to 60 s.
    #[serde(with = "duration")]
    pub request_timeout: u64,
}

impl Default for Shadow {
    fn default() -> Self {
        Self {
            master_hosts: Vec::new(),
            master_port: 8443,
            check_interval: 1_000,
            takeover_delay: 3_000,
            connect_timeout: 1_000,
            request_timeout: 1_000,
        }
    }
}

/// Proofs that this machine, not the other, is the connected one; none counts as passing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TakeoverChecks {
    /// `host:port` each; passes when a connection is made. At most 16.
    pub tcp: Vec<String>,
    /// Passes when the answer has the expected status. At most 16.
    pub http: Vec<HttpCheck>,
    /// Program and arguments each; passes when it ends with exit status 0. At most 16.
    pub command: Vec<Vec<String>>,
    /// `any`: one passing suffices; `all`: each one has to pass.
    pub require: String,
    /// For one check: 10 ms to 60 s.
    #[serde(with = "duration")]
    pub timeout: u64,
    /// How often they run beforehand: 1 s to 1 h.
    #[serde(with = "duration")]
    pub interval: u64,
}

impl Default for TakeoverChecks {
    fn default() -> Self {
        Self {
            tcp: Vec::new(),
            http: Vec::new(),
            command: Vec::new(),
            require: REQUIRE[0].into(),
            timeout: 1_000,
            interval: 30_000,
        }
    }
}

/// Words of `takeover_checks.require`; the first is the default.
pub const REQUIRE: [&str; 2] = ["any", "all"];

impl TakeoverChecks {
    /// How many are configured, of all kinds.
    #[must_use]
    pub fn count(&self) -> usize {
        self.tcp.len() + self.http.len() + self.command.len()
    }

    /// None is configured, which counts as passing (spec 7.2).
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count() == 0
    }

    /// Each one has to pass; otherwise any one suffices.
    #[must_use]
    pub fn needs_all(&self) -> bool {
        self.require == REQUIRE[1]
    }
}

/// An address asked by HTTP or HTTPS, and the status it answers when all is well.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HttpCheck {
    /// `http://` or `https://`, host, port and path.
    pub url: String,
    /// Expected: 100 to 599.
    #[serde(default = "status_ok")]
    pub status: u16,
}

fn status_ok() -> u16 {
    200
}

/// From when on the health checks alert (spec 6.5).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Alerting {
    /// The clocks of the two instances differ by more than this: 100 ms to 1 h.
    #[serde(with = "duration")]
    pub clock_difference: u64,
}

impl Default for Alerting {
    fn default() -> Self {
        Self { clock_difference: 2_000 }
    }
}

/// The third vote: etcd (spec 7.11). Both instances need the same endpoints and prefix.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Arbiter {
    /// `https://host:2379` each; empty: no arbiter. At most 5.
    pub endpoints: Vec<String>,
    /// Keys begin with this; the pair's id follows.
    pub prefix: String,
    /// User of etcd; empty: no authentication by password.
    pub user: String,
    /// File with its password.
    pub password_file: Option<String>,
    /// Certificates (PEM) that etcd's is issued by; none: those of the operating system.
    pub ca_file: Option<String>,
    /// Own certificate (PEM), where etcd wants one.
    pub certificate_file: Option<String>,
    /// Its key (PEM).
    pub key_file: Option<String>,
    /// For one question at one endpoint: 50 ms to 30 s.
    #[serde(with = "duration")]
    pub request_timeout: u64,
    /// A master goes on so long after it asked for its last confirmation: 500 ms to 10 min.
    #[serde(with = "duration")]
    pub hold: u64,
    /// What a shadow and the arbiter promise with a confirmation; 0: the shortest that is safe.
    #[serde(with = "duration")]
    pub promise: u64,
    /// Within this the service has stopped, whatever it does (the kill included): 100 ms to 10 min.
    #[serde(with = "duration")]
    pub stop_budget: u64,
    /// How far a clock may run fast or slow, in thousandths: 0 to 100.
    pub clock_error: u16,
}

impl Default for Arbiter {
    fn default() -> Self {
        Self {
            endpoints: Vec::new(),
            prefix: "/standin".into(),
            user: String::new(),
            password_file: None,
            ca_file: None,
            certificate_file: None,
            key_file: None,
            request_timeout: 1_000,
            hold: 4_000,
            promise: 0,
            stop_budget: 6_000,
            clock_error: 5,
        }
    }
}

impl Arbiter {
    /// One is configured.
    #[must_use]
    pub fn is_set(&self) -> bool {
        !self.endpoints.is_empty()
    }

    /// The shortest promise that is safe: `(hold + stop budget) * (1 + r) / (1 - r)`, rounded up (spec 7.11). Ms.
    #[must_use]
    pub fn promise_needed_ms(&self) -> u64 {
        let error = u64::from(self.clock_error).min(999);
        (self.hold.saturating_add(self.stop_budget)).saturating_mul(1_000 + error).div_ceil(1_000 - error)
    }

    /// The promise in force, ms.
    #[must_use]
    pub fn promise_ms(&self) -> u64 {
        if self.promise == 0 { self.promise_needed_ms() } else { self.promise }
    }

    /// Time to live of the lease: the promise in whole seconds (etcd knows no others), rounded up.
    #[must_use]
    pub fn lease_s(&self) -> u64 {
        self.promise_ms().div_ceil(1_000)
    }
}

/// What the active instance runs: a command that Standin supervises, or a systemd unit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Service {
    /// Program and arguments; empty: none.
    pub command: Vec<String>,
    /// `name.service`, started and stopped through systemd; none: `command`, or no service.
    pub unit: Option<String>,
    /// Working directory; none: the mirrored directory.
    pub directory: Option<String>,
    /// Signal that asks it to end: `TERM`, `INT`, `QUIT`, `HUP`, `USR1`, `USR2`.
    pub stop_signal: String,
    /// From the signal to the kill of the whole group: 0 to 10 min.
    #[serde(with = "duration")]
    pub stop_grace: u64,
    /// It counts as started when it has run this long: 0 to 60 s.
    #[serde(with = "duration")]
    pub start_time: u64,
    /// First pause before a restart; doubles up to 30 s.
    #[serde(with = "duration")]
    pub restart_pause: u64,
    /// It is *failing* when it ended more often than this within the window; 0: never. 0 to 100.
    pub restart_limit: u32,
    /// See `restart_limit`: 1 s to 24 h.
    #[serde(with = "duration")]
    pub restart_window: u64,
    /// Whether it does its work (spec 7.13).
    pub health: Health,
}

impl Default for Service {
    fn default() -> Self {
        Self {
            command: Vec::new(),
            unit: None,
            directory: None,
            stop_signal: "TERM".into(),
            stop_grace: 5_000,
            start_time: 100,
            restart_pause: 1_000,
            restart_limit: 5,
            restart_window: 300_000,
            health: Health::default(),
        }
    }
}

impl Service {
    /// Killing may take so long, after signal and grace, before the stop counts as failed, ms.
    pub const KILL_RESERVE_MS: u64 = 1_000;

    /// `none`, `command` or `unit`.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match (&self.unit, self.command.is_empty()) {
            (Some(_), _) => "unit",
            (None, false) => "command",
            (None, true) => "none",
        }
    }

    /// For people: the unit, or the command line.
    #[must_use]
    pub fn name(&self) -> String {
        self.unit.clone().unwrap_or_else(|| self.command.join(" "))
    }

    /// The stop budget D of spec 7.11 and 7.13, ms: from the stop signal to the moment at which nothing of the service runs
    /// any more, or the stop is told as failed.
    #[must_use]
    pub fn stop_budget_ms(&self) -> u64 {
        if self.kind() == "none" { 0 } else { self.stop_grace.saturating_add(Self::KILL_RESERVE_MS) }
    }
}

/// Proof that the service does its work; at most one of the three kinds. Failing it restarts the service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Health {
    /// Passes with exit status 0; empty: none.
    pub command: Vec<String>,
    /// `host:port`; passes when a connection is made.
    pub tcp: Option<String>,
    /// `http://…` or `https://…`; passes with status 200.
    pub http: Option<String>,
    /// From one check to the next: 100 ms to 1 h.
    #[serde(with = "duration")]
    pub interval: u64,
    /// For one check: 10 ms to 60 s.
    #[serde(with = "duration")]
    pub timeout: u64,
    /// So many in a row restart the service: 1 to 100.
    pub failures: u32,
    /// After a start failures do not count for so long, or until it passed once: 0 to 1 h.
    #[serde(with = "duration")]
    pub start_grace: u64,
}

impl Default for Health {
    fn default() -> Self {
        Self {
            command: Vec::new(),
            tcp: None,
            http: None,
            interval: 10_000,
            timeout: 5_000,
            failures: 3,
            start_grace: 30_000,
        }
    }
}

/// Each is a program and its arguments; empty: none. They run one at a time, in order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Hooks {
    /// After the service was started on a new master.
    pub become_master: Vec<String>,
    /// After a former master became shadow.
    pub become_shadow: Vec<String>,
    /// After a revision was applied or committed.
    pub new_configuration: Vec<String>,
    /// Makes sure that the other machine, or what would not stop here, does no harm: run when a stop has failed, and before
    /// a takeover where it is required.
    pub fence: Vec<String>,
    /// No takeover before `fence` has succeeded.
    pub fence_required: bool,
    /// For one run: 100 ms to 1 h.
    #[serde(with = "duration")]
    pub timeout: u64,
}

impl Default for Hooks {
    fn default() -> Self {
        Self {
            become_master: Vec::new(),
            become_shadow: Vec::new(),
            new_configuration: Vec::new(),
            fence: Vec::new(),
            fence_required: false,
            timeout: 30_000,
        }
    }
}

/// The program log under `HOME/log`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Log {
    /// `error`, `warn`, `info`, `debug` or `trace`.
    pub level: String,
    /// `text` or `json`.
    pub format: String,
    /// Files kept: 1 to 100.
    pub files: u32,
    /// Size of one file, in bytes, at which the next begins.
    pub file_size: u64,
}

impl Default for Log {
    fn default() -> Self {
        Self { level: "info".into(), format: "text".into(), files: 7, file_size: 10 * 1024 * 1024 }
    }
}

/// The control socket.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Control {
    /// Group that may use it besides the owner; none: the owner alone.
    pub group: Option<String>,
}

impl Settings {
    /// The port of the link in force (spec 2.2).
    #[must_use]
    pub fn link_port(&self) -> u16 {
        self.high_availability.port.unwrap_or(self.administration.port)
    }
}

/// Settings that Standin itself changes: at pairing, at a change of roles, and by order. `None` leaves a key as it is; the
/// node writes them into the file and keeps its comments.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SettingsPatch {
    /// `description`
    pub description: Option<String>,
    /// `host`
    pub host: Option<String>,
    /// `high_availability.enabled`
    pub enabled: Option<bool>,
    /// `high_availability.permitted_shadow_host`; `Some(None)`: any
    #[serde(with = "double_option", skip_serializing_if = "Option::is_none")]
    pub permitted_shadow_host: Option<Option<String>>,
    /// `high_availability.port`; `Some(None)`: the administration port
    #[serde(with = "double_option", skip_serializing_if = "Option::is_none")]
    pub ha_port: Option<Option<u16>>,
    /// `high_availability.grace_period`, ms
    pub grace_period: Option<u64>,
    /// `shadow.master_hosts`
    pub master_hosts: Option<Vec<String>>,
    /// `shadow.master_port`
    pub master_port: Option<u16>,
    /// `shadow.check_interval`, ms
    pub check_interval: Option<u64>,
    /// `shadow.takeover_delay`, ms
    pub takeover_delay: Option<u64>,
    /// `shadow.connect_timeout`, ms
    pub connect_timeout: Option<u64>,
    /// `shadow.request_timeout`, ms
    pub request_timeout: Option<u64>,
    /// `arbiter.endpoints`; an empty list: no arbiter
    pub arbiter_endpoints: Option<Vec<String>>,
    /// `arbiter.hold`, ms
    pub arbiter_hold: Option<u64>,
    /// `arbiter.stop_budget`, ms
    pub arbiter_stop_budget: Option<u64>,
    /// `arbiter.promise`, ms; 0: the shortest that is safe
    pub arbiter_promise: Option<u64>,
    /// `arbiter.request_timeout`, ms
    pub arbiter_request_timeout: Option<u64>,
}

impl SettingsPatch {
    /// `settings` with this patch on it.
    #[must_use]
    pub fn applied_to(&self, settings: &Settings) -> Settings {
        fn set<T: Clone>(target: &mut T, value: Option<&T>) {
            if let Some(value) = value {
                target.clone_from(value);
            }
        }
        let mut new = settings.clone();
        set(&mut new.description, self.description.as_ref());
        set(&mut new.host, self.host.as_ref());
        let ha = &mut new.high_availability;
        set(&mut ha.enabled, self.enabled.as_ref());
        set(&mut ha.permitted_shadow_host, self.permitted_shadow_host.as_ref());
        set(&mut ha.port, self.ha_port.as_ref());
        set(&mut ha.grace_period, self.grace_period.as_ref());
        let shadow = &mut new.shadow;
        set(&mut shadow.master_hosts, self.master_hosts.as_ref());
        set(&mut shadow.master_port, self.master_port.as_ref());
        set(&mut shadow.check_interval, self.check_interval.as_ref());
        set(&mut shadow.takeover_delay, self.takeover_delay.as_ref());
        set(&mut shadow.connect_timeout, self.connect_timeout.as_ref());
        set(&mut shadow.request_timeout, self.request_timeout.as_ref());
        let arbiter = &mut new.arbiter;
        set(&mut arbiter.endpoints, self.arbiter_endpoints.as_ref());
        set(&mut arbiter.hold, self.arbiter_hold.as_ref());
        set(&mut arbiter.stop_budget, self.arbiter_stop_budget.as_ref());
        set(&mut arbiter.promise, self.arbiter_promise.as_ref());
        set(&mut arbiter.request_timeout, self.arbiter_request_timeout.as_ref());
        new
    }

    /// Nothing to change.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}
