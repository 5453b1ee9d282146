//! A master that lost its shadow and everything else is the isolated one: it stops its service (spec 7.10). With an arbiter the
//! hold time decides instead (spec 7.11).

use super::arbiter::Isolated;
use super::core::Engine;
use super::event::{EventKind, Severity};
use super::master::Activity;
use super::message::Timing;
use super::settings::Settings;
use super::status::IsolationStatus;
use super::timers::Timer;

/// While the shadow is lost the checks run this often, ms.
pub(super) const RECHECK_MS: u64 = 1_000;

impl Engine {
    /// Takeover checks are configured.
    pub(super) fn has_takeover_checks(&self) -> bool {
        !self.in_force().takeover_checks.is_empty()
    }

    /// This master would be the isolated one if its checks failed (spec 7.10).
    fn watches_for_isolation(&self) -> bool {
        let in_force = self.in_force();
        in_force.high_availability.isolation
            && self.has_takeover_checks()
            && !self.needs_confirmation()
            && self.is_active()
            && !self.reign.isolation_waived
            && self.durable.may_take_over
            && self.durable.peer_promise.is_none()
            && self.pause.until.is_none()
    }

    /// It has stopped its service because its checks fail (spec 7.10).
    pub(super) fn is_isolated_by_checks(&self) -> bool {
        let by_checks = self.reign.isolated.is_some_and(|isolated| isolated.by_checks);
        by_checks && self.reign.activity == Activity::Isolated
    }

    /// An operator makes an isolated master active: the checks that fail all the while must not undo that. What it says of it.
    pub(super) fn waive_isolation(&mut self) -> String {
        if !self.is_isolated_by_checks() {
            return String::new();
        }
        self.reign.isolation_waived = true;
        format!("; that its takeover checks fail counts again when {} was heard or one has passed", self.peer_name())
    }

    /// The connection of a shadow that was READY ended, or no check came in time (seen as in spec 7.1).
    pub(super) fn shadow_is_lost(&mut self) {
        if self.watches_for_isolation() {
            self.checks.begun = None;
            self.reign.shadow_lost_at = Some(self.now.mono);
            self.run_checks();
        }
    }

    /// A check of the shadow came: the next one is due within this.
    pub(super) fn expect_check(&mut self) {
        self.reign.shadow_lost_at = None;
        self.reign.isolation_waived = false;
        let timing = self.timing();
        if self.watches_for_isolation() {
            self.timers.set(Timer::ShadowLost, self.after(timing.check_interval_ms + timing.request_timeout_ms));
        } else {
            self.timers.clear(Timer::ShadowLost);
        }
    }

    /// The takeover checks are done on a master.
    pub(super) fn isolation_checked(&mut self) {
        if !self.is_master() {
            return;
        }
        let passes = self.checks.pass(&self.in_force());
        if self.checks.results.iter().any(|result| result.ok) {
            self.reign.isolation_waived = false;
        }
        if let Some(isolated) = self.reign.isolated.filter(|isolated| isolated.by_checks) {
            let hold_ms = self.in_force().high_availability.boot_hold;
            let is_over = self.now.mono.since(isolated.since) >= hold_ms;
            if passes && is_over && self.work.stopping.is_none() && self.reign.activity == Activity::Isolated {
                return self.end_isolation(isolated, "the takeover checks pass again, and the boot hold is over");
            }
            return self.timers.set(Timer::Checks, self.after(RECHECK_MS));
        }
        let Some(lost) = self.reign.shadow_lost_at else { return };
        if self.heard_link().is_some() && self.reign.last_heard.is_some_and(|at| at >= lost) {
            return;
        }
        let is_new = self.checks.begun.is_some_and(|begun| begun >= lost);
        // All of them have to fail, also where a takeover would need all to pass.
        let none_passes = !self.checks.results.iter().any(|result| result.ok);
        if is_new && none_passes && self.watches_for_isolation() {
            let name = self.peer_name();
            let why = format!("{name} is lost and all takeover checks fail: this machine is the one that is cut off");
            return self.isolate(true, &why);
        }
        if self.watches_for_isolation() {
            self.timers.set(Timer::Checks, self.after(RECHECK_MS));
        }
    }

    /// Its peer answered an own question: still shadow, of no higher term.
    pub(super) fn isolation_answered(&mut self) {
        let Some(isolated) = self.reign.isolated.filter(|isolated: &Isolated| isolated.by_checks) else { return };
        if self.work.stopping.is_none() && self.leaving.is_none() && self.highest_term() <= self.durable.term {
            self.note(EventKind::Role, Severity::Information, "the shadow has not taken over; this master goes on");
            self.end_isolation(isolated, "the other instance answers and has not taken over");
        }
    }

    /// For the panel: whether detection and stop fit inside the shadow's takeover delay (spec 7.10).
    pub(super) fn isolation_status(&self) -> IsolationStatus {
        let in_force = self.in_force();
        let enabled = in_force.high_availability.isolation && self.has_takeover_checks() && !self.has_arbiter();
        let mut status = isolation_fits(&in_force, self.timing(), self.work.stop_took_ms);
        status.enabled = enabled;
        if self.has_arbiter() {
            "with an arbiter the hold time decides when this master stops its service".clone_into(&mut status.text);
            status.fits = true;
        } else if !self.has_takeover_checks() {
            "off: there are no takeover checks to tell an isolated machine by".clone_into(&mut status.text);
        } else if !in_force.high_availability.isolation {
            "off by setting: a master that is cut off goes on".clone_into(&mut status.text);
        }
        status
    }
}

/// The arithmetic of spec 7.10, with its sentence.
fn isolation_fits(settings: &Settings, timing: Timing, stop_took_ms: Option<u64>) -> IsolationStatus {
    let notice_ms = timing.check_interval_ms + timing.request_timeout_ms;
    let checks_ms = settings.takeover_checks.timeout;
    let budget_ms = settings.service.stop_budget_ms();
    let stop_ms = if budget_ms > 0 { stop_took_ms.unwrap_or(0).max(budget_ms) } else { 0 };
    let total_ms = notice_ms + checks_ms + stop_ms;
    let delay_ms = timing.takeover_delay_ms;
    let fits = total_ms <= delay_ms;
    let (verdict, end) = if fits { ("fits", "") } else { ("does not fit", ": for a moment both may be active") };
    let text = format!(
        "notices within {notice_ms} ms, checks {checks_ms} ms, stops within {stop_ms} ms: {total_ms} ms in all {verdict} \
         inside the takeover delay of {delay_ms} ms{end}"
    );
    IsolationStatus { enabled: false, fits, text }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn timing(delay_ms: u64) -> Timing {
        Timing { check_interval_ms: 100, takeover_delay_ms: delay_ms, connect_timeout_ms: 100, request_timeout_ms: 200 }
    }

    /// spec 7.10: detection and stop, the kill included, must be over before the shadow's delay is; the sentence carries the
    /// numbers.
    #[test]
    fn the_arithmetic_is_shown() {
        let mut settings = Settings::default();
        settings.service.command = vec!["/bin/true".into()];
        settings.service.stop_grace = 1_000;
        settings.takeover_checks.timeout = 200;
        assert!(!isolation_fits(&settings, timing(2_499), None).fits);
        let fits = isolation_fits(&settings, timing(2_500), None);
        assert!(fits.fits);
        assert!(fits.text.contains("2500 ms in all fits"), "{}", fits.text);
        assert!(!isolation_fits(&settings, timing(2_500), Some(2_001)).fits, "a stop that was measured longer counts");
    }

    /// spec 7.10, 7.13: a unit takes its time to stop as a command does; without a service there is nothing to stop.
    #[test]
    fn a_unit_counts_like_a_command() {
        let mut settings = Settings::default();
        settings.service.stop_grace = 1_000;
        settings.takeover_checks.timeout = 200;
        assert!(isolation_fits(&settings, timing(500), Some(9_000)).fits, "no service");
        settings.service.unit = Some("web.service".into());
        let status = isolation_fits(&settings, timing(500), None);
        assert!(!status.fits);
        assert!(status.text.contains("stops within 2000 ms: 2500 ms in all does not fit"), "{}", status.text);
    }
}
