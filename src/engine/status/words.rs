//! Parts of a status in words, the same on the console and on the command line.

use super::{AddressStatus, ArbiterStatus, HealthStatus, PeerStatus, ServiceStatus, Status};
use crate::engine::base::Role;
use crate::engine::settings::Settings;
use crate::engine::settings::table::seconds_text;

impl Status {
    /// The settings in force with the timing of the pair: on a master the shadow's, as it told (spec 2.8).
    #[must_use]
    pub fn pair_settings(&self) -> Settings {
        let mut settings = self.settings.clone();
        let told = |peer: &&PeerStatus| self.role == Some(Role::Master) && peer.check_interval_ms > 0;
        if let Some(peer) = self.peer.as_ref().filter(told) {
            settings.shadow.check_interval = peer.check_interval_ms;
            settings.shadow.takeover_delay = peer.takeover_delay_ms;
            settings.shadow.request_timeout = peer.request_timeout_ms;
        }
        settings
    }

    /// The same with the takeover delay that counts now, which is longer after many takeovers (spec 7.15): what a failover
    /// takes is reckoned with these.
    #[must_use]
    pub fn failover_settings(&self) -> Settings {
        let mut settings = self.pair_settings();
        settings.shadow.takeover_delay = settings.shadow.takeover_delay.max(self.takeover.delay_ms);
        settings
    }

    /// `3 s`, or `6 s, not 3 s: there were many takeovers`; the spans as `words` has them, from ms.
    #[must_use]
    pub fn takeover_delay_text(&self, words: fn(u64) -> String) -> String {
        let (set_ms, now_ms) = (self.pair_settings().shadow.takeover_delay, self.takeover.delay_ms);
        if now_ms > set_ms {
            format!("{}, not {}: there were many takeovers", words(now_ms), words(set_ms))
        } else {
            words(set_ms)
        }
    }
}

impl ArbiterStatus {
    /// How it stands, and whether that is a reason to worry (spec 7.11).
    #[must_use]
    pub fn state_text(&self) -> (&'static str, bool) {
        match self.state.as_str() {
            "ok" => ("answers", false),
            "away" => ("AWAY: nobody can take over until it answers", true),
            "no_vote" => ("NO VOTE: it knew less than this pair; both instances write it anew", true),
            _ => ("not asked yet", false),
        }
    }

    /// Who confirmed this master within its hold time.
    #[must_use]
    pub fn confirmed_text(&self) -> String {
        let who: Vec<&str> = self
            .confirmed_by
            .iter()
            .map(|who| match who.as_str() {
                "shadow" => "the shadow",
                "arbiter" => "the arbiter",
                other => other,
            })
            .collect();
        match who.as_slice() {
            [] => "by nobody".into(),
            [one] => format!("by {one} alone"),
            _ => format!("by {}", who.join(" and ")),
        }
    }

    /// `10.2 s, lease 11 s; hold 4 s, stop budget 6 s`.
    #[must_use]
    pub fn times_text(&self) -> String {
        format!(
            "promise {}, lease {} s, hold {}, stop budget {}",
            seconds_text(self.promise_ms),
            self.lease_s,
            seconds_text(self.hold_ms),
            seconds_text(self.stop_budget_ms)
        )
    }
}

impl ServiceStatus {
    /// Its command or unit; whether a unit ends with Standin.
    #[must_use]
    pub fn what_text(&self) -> String {
        let bound = match self.bound {
            Some(true) => ", ends with Standin",
            Some(false) => ", NOT BOUND to Standin: it may outlive it",
            None => "",
        };
        format!("{} {}{bound}", self.kind, self.name)
    }

    /// `took 1234 ms of 6 s`; none: it was never stopped.
    #[must_use]
    pub fn stop_text(&self) -> Option<String> {
        let took_ms = self.stop_took_ms?;
        let budget =
            if self.stop_budget_ms > 0 { format!(" of {}", seconds_text(self.stop_budget_ms)) } else { String::new() };
        let late = if self.stop_budget_ms > 0 && took_ms > self.stop_budget_ms { ", TOO LONG" } else { "" };
        Some(format!("took {took_ms} ms{budget}{late}"))
    }
}

impl HealthStatus {
    /// `passing, tcp localhost:8080`.
    #[must_use]
    pub fn text(&self) -> String {
        let failures = if self.failures > 0 {
            format!(" {} of {}, then it is restarted", self.failures, self.limit)
        } else {
            String::new()
        };
        let why =
            self.message.as_ref().filter(|_| self.state != "passing").map_or(String::new(), |why| format!(": {why}"));
        format!("{}{failures}, {}{why}", self.state, self.target)
    }
}

impl AddressStatus {
    /// Whether it is as it should be on an instance that is (not) active, and in words (spec 7.14).
    #[must_use]
    pub fn text(&self, active: bool) -> (bool, String) {
        let place = format!("{} on {}", self.address, self.interface);
        let (mut is_right, word) = match (self.present, active) {
            (true, true) => (true, "present"),
            (false, true) => (false, "MISSING"),
            (true, false) => (false, "PRESENT on an instance that is not active"),
            (false, false) => (true, "not here, as it should be"),
        };
        let mut text = format!("{place}  {word}");
        if let Some(at) = self.announced_at.filter(|_| active) {
            text.push_str(&format!(", announced {}", at.clock(0)));
        }
        if let Some(other) = &self.used_by {
            is_right = false;
            text.push_str(&format!(", ALSO USED by {other}"));
        }
        if let Some(problem) = &self.problem {
            is_right = false;
            text.push_str(&format!(": {problem}"));
        }
        (is_right, text)
    }
}

/// A clock difference for people: `2 ms ahead`, `1.5 s behind`, `the same`.
#[must_use]
pub fn clock_text(difference_ms: i64) -> String {
    let span_ms = difference_ms.unsigned_abs();
    match difference_ms {
        0 => "as here".into(),
        1.. => format!("{} ahead", seconds_text(span_ms)),
        _ => format!("{} behind", seconds_text(span_ms)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::base::UnixMillis;

    /// spec 7.14: present where active and nowhere else.
    #[test]
    fn an_address_is_right_on_the_active_instance_only() {
        let mut address = AddressStatus {
            address: "192.0.2.10/24".into(),
            interface: "eth0".into(),
            present: true,
            announced_at: Some(UnixMillis(0)),
            ..AddressStatus::default()
        };
        assert_eq!(address.text(true), (true, "192.0.2.10/24 on eth0  present, announced 00:00:00Z".into()));
        assert!(!address.text(false).0);
        address.present = false;
        assert!(!address.text(true).0 && address.text(false).0);
        address.problem = Some("no capability".into());
        assert!(!address.text(false).0, "it would be missing at a takeover");
    }

    /// spec 7.13: the last stop against its budget.
    #[test]
    fn a_stop_that_took_too_long_says_so() {
        let mut service =
            ServiceStatus { stop_took_ms: Some(1_234), stop_budget_ms: 6_000, ..ServiceStatus::default() };
        assert_eq!(service.stop_text().as_deref(), Some("took 1234 ms of 6 s"));
        service.stop_took_ms = Some(6_001);
        assert!(service.stop_text().is_some_and(|text| text.ends_with("TOO LONG")));
    }

    /// spec 6.5
    #[test]
    fn a_clock_difference_has_a_direction() {
        assert_eq!(clock_text(1_500), "1.5 s ahead");
        assert_eq!(clock_text(-20), "20 ms behind");
    }
}
