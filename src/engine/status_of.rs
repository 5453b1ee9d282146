//! The engine's knowledge as a [`Status`].

use super::base::{LinkState, Now, Role, UnixMillis};
use super::core::Engine;
use super::master::Activity;
use super::message::Hello;
use super::status::{
    ConfigurationStatus, HaStatus, Hold, InstanceStatus, LastChange, LastRoleChange, LinkStep, PeerStatus,
    ServiceStatus, Status, TakeoverStatus,
};

/// Longest command line shown of a service that never ran here, in characters.
const SERVICE_NAME_CHARS_MAX: usize = 80;

impl Engine {
    /// Everything the engine knows. Home, process, directory, own host names and expiry dates are the node's to fill in.
    #[must_use]
    pub fn status(&self, now: Now) -> Status {
        let (protection, protection_message) = self.protection();
        let in_force = self.in_force();
        Status {
            version: self.facts.version.clone(),
            instance: InstanceStatus {
                id: Some(self.durable.instance),
                host: in_force.host.clone(),
                description: in_force.description.clone(),
                started: Some(self.facts.started),
                fingerprint: Some(self.facts.fingerprint),
                admin_port: in_force.administration.port,
                ha_port: self.facts.link_port,
                ..InstanceStatus::default()
            },
            role: self.role(),
            active: self.is_active(),
            term: self.durable.term,
            since: self.role().map(|_| self.durable.since),
            last_role_change: self.durable.last_role_change.as_ref().map(|change| LastRoleChange {
                at: change.at,
                from: change.from,
                reason: change.reason,
            }),
            state: self.link_state(),
            state_message: self.state_message(),
            condition: self.condition(),
            protection,
            protection_message,
            configuration: self.configuration_status(),
            peer: self.peer_status(),
            ha: HaStatus {
                enabled: in_force.high_availability.enabled,
                permitted_shadow_host: in_force.high_availability.permitted_shadow_host.clone(),
                grace_period_ms: self.pair_grace_ms(),
                isolation: self.isolation_status(),
            },
            service: self.service_status(),
            arbiter: self.arbiter_status(),
            maintenance_until: self
                .pause
                .until_wall
                .filter(|_| self.pause.kind == super::message::PauseKind::Maintenance),
            alerts: self.book.counts(),
            hold: self.hold_status(now),
            takeover: self.takeover_status(now),
            link: self.link_status(),
            dial_back: self.reign.dial_back.clone(),
            transfer: self.transfer,
            notice: self.durable.notice.clone(),
            settings: (*in_force).clone(),
            settings_locked: self.settings_locked(),
            branches: self.branches.clone(),
            own_hosts: Vec::new(),
            addresses: self.addresses.list.clone(),
            stopping: self.leaving.is_some(),
            switching: self.switch_status(),
        }
    }

    /// One that is configured and was never wanted here is stopped, not missing.
    fn service_status(&self) -> ServiceStatus {
        let mut status = self.service.clone();
        if status.kind == "none" && self.facts.service_kind != "none" {
            status.kind.clone_from(&self.facts.service_kind);
            "stopped".clone_into(&mut status.state);
            status.name = self.settings.service.name().chars().take(SERVICE_NAME_CHARS_MAX).collect();
        }
        status.stop_budget_ms = self.settings.service.stop_budget_ms();
        status
    }

    fn state_message(&self) -> Option<String> {
        match self.role()? {
            Role::Shadow => self.watch.message.clone(),
            Role::Master => match self.master_state() {
                LinkState::Alone if self.peer().is_none() => Some("no shadow is paired".into()),
                LinkState::Alone => Some(format!("{} left by plan", self.peer_name())),
                LinkState::Broken => Some(format!("{} is silent", self.peer_name())),
                _ => None,
            },
        }
    }

    fn configuration_status(&self) -> ConfigurationStatus {
        let Some(head) = &self.head else { return ConfigurationStatus::default() };
        ConfigurationStatus {
            revision: head.revision.number,
            root: Some(head.revision.root),
            files: head.files,
            bytes: head.bytes,
            last_change: Some(LastChange {
                at: UnixMillis(head.at),
                author: head.author.clone(),
                files: head.paths_total,
            }),
            ..ConfigurationStatus::default()
        }
    }

    fn peer_status(&self) -> Option<PeerStatus> {
        let peer = self.peer()?;
        let is_master = self.is_master();
        let hello: Option<&Hello> = if is_master { self.reign.hello.as_ref() } else { self.watch.master.as_ref() };
        let timing = self.timing();
        let theirs = if is_master { self.reign.peer_head } else { self.watch.master_head };
        let (own_number, their_number) = (self.head_number(), self.peer_number());
        let in_sync = self.is_like_peer();
        let mut status = PeerStatus {
            id: Some(peer.instance),
            host: peer.host.clone(),
            address: peer.address.clone(),
            version: peer.version.clone(),
            compatible: !self.book.holds("H-005", ""),
            fingerprint: Some(peer.fingerprint),
            certificate_expires: None,
            connected_since: if is_master {
                // One that is silent may still have its connection (spec 2.7).
                self.reign.connected_since.filter(|_| !self.reign.is_silent)
            } else {
                self.watch.connected_since
            },
            last_check: if is_master { self.reign.shown_check } else { self.watch.shown_check },
            round_trip_ms: None,
            revision: their_number,
            root: theirs.map(|head| head.root),
            behind: if is_master && theirs.is_none() && self.reign.shadow.is_none() {
                // Not heard since this instance is master: not known, which is not behind.
                0
            } else if is_master {
                own_number.saturating_sub(their_number)
            } else {
                their_number.saturating_sub(own_number)
            },
            in_sync,
            check_interval_ms: timing.check_interval_ms,
            takeover_delay_ms: timing.takeover_delay_ms,
            request_timeout_ms: timing.request_timeout_ms,
            description: peer.description.clone(),
            started: hello.map(|hello| UnixMillis(hello.started)),
            role: self.reign.peer_role,
            term: self.reign.peer_term,
            port: peer.port,
            takeover_checks: if is_master {
                self.reign.peer_checks
            } else {
                hello.map_or((0, 0), |hello| hello.takeover_checks)
            },
            service: hello.map_or(String::new(), |hello| hello.service.clone()),
            differences: self.kit_differences(),
            checks: if is_master { self.reign.peer_results.clone() } else { Vec::new() },
            clock_difference_ms: self.clocks.difference(),
        };
        status.set_round_trip(self.watch.round_trip_ms);
        Some(status)
    }

    fn hold_status(&self, now: Now) -> Option<Hold> {
        if !self.is_master() || !(self.is_waiting() || self.reign.activity == Activity::Isolated) {
            return None;
        }
        let ends_at = self.reign.hold_ends.map(|ends| wall_at(now, ends));
        let of_ms = self.in_force().high_availability.boot_hold;
        Some(Hold { ends_at, of_ms, why: self.reign.hold_why.clone() })
    }

    fn takeover_status(&self, now: Now) -> TakeoverStatus {
        let is_shadow = self.is_shadow();
        let why_not = if is_shadow { self.why_still_shadow() } else { None };
        let is_due = is_shadow && self.watch.lost.is_some() && why_not.is_none();
        let waits_for = if is_due { self.takeover_waits_for() } else { None };
        // Not before its own promise to the master is over (spec 7.11).
        TakeoverStatus {
            due_at: (is_due && waits_for.is_none()).then(|| wall_at(now, self.takeover_due())),
            waits_for,
            delay_ms: self.takeover_delay_ms(),
            why_not,
            checks: self.checks.results.clone(),
        }
    }

    /// The steps of the last dial, with what followed.
    fn link_status(&self) -> Vec<LinkStep> {
        let mut steps = self.link_steps.clone();
        if self.is_shadow() && !steps.is_empty() && steps.iter().all(|step| step.ok == Some(true)) {
            let is_attached = self.watch.attached;
            steps.push(LinkStep {
                name: "role and term".into(),
                ok: is_attached.then_some(true).or(self.watch.message.as_ref().map(|_| false)),
                message: if is_attached {
                    format!("master, term {}", self.durable.term)
                } else {
                    self.watch.message.clone().unwrap_or_default()
                },
            });
            let in_sync = self.is_like_peer();
            steps.push(LinkStep {
                name: "configuration".into(),
                ok: is_attached.then_some(in_sync),
                message: if in_sync { "in sync".into() } else { String::new() },
            });
        }
        steps
    }
}

/// A coming moment as a label.
fn wall_at(now: Now, at: super::base::Millis) -> UnixMillis {
    let ahead = i64::try_from(at.since(now.mono)).unwrap_or(i64::MAX);
    UnixMillis(now.wall.0.saturating_add(ahead))
}
