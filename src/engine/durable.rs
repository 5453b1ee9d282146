//! What an instance must still know after a crash: one record, written as a whole and durably before it is acted on.

use serde::{Deserialize, Serialize};

use super::base::{
    Fingerprint, InstanceId, LinkState, OwnTerms, PairId, Reason, RevisionId, Role, Run, Term, UnixMillis,
};
use super::message::{FarewellKind, OfferKind, Timing};
use super::settings::SettingsPatch;
use super::status::Notice;

/// The record. Unknown fields of a newer version are refused by the home's format number, not here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Durable {
    /// This instance.
    pub instance: InstanceId,
    /// Grows at every start; the node raises it, durably, before the engine is made.
    pub run: Run,
    /// None in a home that was not set up.
    pub role: Option<Role>,
    /// The term of that role; on a shadow the term of the master it last followed, or its own if higher.
    pub term: Term,
    /// The highest term ever heard of.
    pub known_term: Term,
    /// Since when that role.
    pub since: UnixMillis,
    /// How the role came about.
    pub last_role_change: Option<RoleChange>,
    /// The other instance of the pair.
    pub peer: Option<Peer>,
    /// Forgotten by *reset*, kept for spec 7.6 alone until another shadow is paired.
    pub former_peer: Option<Peer>,
    /// Master: the shadow may take over (spec 7.5). Set before the shadow may become READY.
    pub may_take_over: bool,
    /// Master: the shadow promised not to take over until it has connected again (spec 7.11).
    pub peer_promise: Option<FarewellKind>,
    /// Shadow: I promised so.
    pub own_promise: Option<FarewellKind>,
    /// Shadow: an operator wants the connection (spec 4.4: a disconnect survives a restart).
    pub connect_wanted: bool,
    /// Shadow: since when disconnected by order, for the daily reminder.
    pub disconnected_since: Option<UnixMillis>,
    /// Shadow: the next transfer compares everything (spec 5.5).
    pub complete_wanted: bool,
    /// A hand-over that this instance began and that nobody answered (spec 7.7).
    pub offer: Option<OpenOffer>,
    /// An operator made it shadow; never wins by itself (spec 7.16).
    pub forced_shadow: bool,
    /// It was master before its present role (spec 7.16).
    pub was_master: bool,
    /// The newest revision that both are known to have.
    pub common: Option<RevisionId>,
    /// Settings that a change of roles brings with it and that are not in the file yet (spec 2.8).
    pub settings_due: Option<SettingsPatch>,
    /// A new master has not put back yet what was changed behind Standin's back (spec 7.3).
    #[serde(default)]
    pub restore_due: bool,
    /// Shown to every operator until dismissed (spec 8.3).
    pub notice: Option<Notice>,
    /// The longest promise ever given or asked for, ms: after a restart one of this length counts as just given (spec 7.11).
    #[serde(default)]
    pub promise_ms: u64,
    /// The arbiter has not granted the term yet; the highest term known before it was taken (spec 7.11).
    #[serde(default)]
    pub ungranted: Option<Term>,
    /// Master by a takeover whose former master was not met since: it may believe itself master, and is asked at the next
    /// start as if it might have taken over (spec 7.5).
    #[serde(default)]
    pub rival_unmet: bool,
    /// Master: it was active for longer than its silent shadow waits to take over, so that both may have been (spec 7.6).
    #[serde(default)]
    pub unwatched: bool,
    /// Shadow: its master told of another arbiter, or of none, when they last met (spec 7.11).
    #[serde(default)]
    pub arbiter_differs: bool,
    /// The two went by one arbiter when they last met: the other can be granted the role by it, whatever is set here (spec 7.11).
    #[serde(default)]
    pub shares_arbiter: bool,
    /// Takeovers of the pair, for the damping (spec 7.15).
    #[serde(default)]
    pub takeovers: super::damping::Takeovers,
    /// No takeovers for a while (spec 7.9).
    #[serde(default)]
    pub pause: Option<super::pause::NotedPause>,
}

/// The other instance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Peer {
    /// The pair.
    pub pair: PairId,
    /// Its id.
    pub instance: InstanceId,
    /// Of its pinned certificate.
    pub fingerprint: Fingerprint,
    /// The terms that are *this* instance's own (spec 7.3).
    pub own_terms: OwnTerms,
    /// Its declared host.
    pub host: String,
    /// Its declared port of the link.
    pub port: u16,
    /// The address it was last seen at, without port.
    pub address: Option<String>,
    /// Its program version.
    pub version: String,
    /// Its free text.
    pub description: String,
    /// The timing of the pair (spec 2.8).
    pub timing: Timing,
    /// The pair's grace period (spec 2.4), ms.
    pub grace_period_ms: u64,
    /// When the two were paired.
    pub paired: UnixMillis,
    /// The newest run heard of; older ones are dropped (spec 7.1).
    pub run: Run,
}

/// How a role came about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoleChange {
    /// When.
    pub at: UnixMillis,
    /// None: first setup.
    pub from: Option<Role>,
    /// Why.
    pub reason: Reason,
}

/// On disk before it is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenOffer {
    /// The offered term.
    pub term: Term,
    /// The run that began it.
    pub run: Run,
    /// Switch or planned stop.
    pub kind: OfferKind,
}

impl Peer {
    /// What the settings of its shadow say of it (spec 2.8).
    #[must_use]
    pub fn settings_patch(&self) -> SettingsPatch {
        SettingsPatch {
            master_hosts: Some(vec![self.host.clone()]).filter(|_| !self.host.is_empty()),
            master_port: Some(self.port),
            check_interval: Some(self.timing.check_interval_ms),
            takeover_delay: Some(self.timing.takeover_delay_ms),
            connect_timeout: Some(self.timing.connect_timeout_ms),
            request_timeout: Some(self.timing.request_timeout_ms),
            ..SettingsPatch::default()
        }
    }
}

impl Durable {
    /// Of a home that was just made: no role, term 0.
    #[must_use]
    pub fn new(instance: InstanceId) -> Self {
        Self {
            instance,
            run: Run(0),
            role: None,
            term: Term(0),
            known_term: Term(0),
            since: UnixMillis(0),
            last_role_change: None,
            peer: None,
            former_peer: None,
            may_take_over: false,
            peer_promise: None,
            own_promise: None,
            connect_wanted: false,
            disconnected_since: None,
            complete_wanted: false,
            offer: None,
            forced_shadow: false,
            was_master: false,
            common: None,
            settings_due: None,
            restore_due: false,
            notice: None,
            promise_ms: 0,
            ungranted: None,
            rival_unmet: false,
            unwatched: false,
            arbiter_differs: false,
            shares_arbiter: false,
            takeovers: super::damping::Takeovers::default(),
            pause: None,
        }
    }

    /// The state of spec 2.7 and 4.3 that fits an instance which does not run, and so hears nobody. `names_a_master`: its settings
    /// do, or are not known.
    #[must_use]
    pub fn state_at_rest(&self, names_a_master: bool) -> Option<LinkState> {
        Some(match self.role? {
            Role::Master if self.peer.is_none() || self.peer_promise.is_some() => LinkState::Alone,
            Role::Master => LinkState::Broken,
            Role::Shadow if self.peer.is_none() && !names_a_master => LinkState::Initial,
            Role::Shadow => LinkState::Disconnected,
        })
    }
}
