//! The first input of a run, and the health check (spec 6.3, 7.4, 7.5).

use super::alerts::AlertAction;
use super::base::{LinkState, Role};
use super::core::{Engine, HEALTH_INTERVAL_MS};
use super::event::{EventKind, Severity};
use super::master::Activity;
use super::status::Protection;
use super::timers::Timer;

/// Alerts that only a master can have.
pub(super) const MASTER_CODES: &[&str] = &[
    "H-009", "H-010", "H-011", "H-013", "H-014", "H-018", "H-019", "H-020", "H-022", "H-023", "F-001", "S-004",
    "V-001", "V-002", "V-004", "V-005", "V-006", "V-007", "V-008",
];
/// Alerts that only a shadow can have.
pub(super) const SHADOW_CODES: &[&str] = &[
    "H-001", "H-002", "H-003", "H-004", "H-005", "H-006", "H-007", "H-012", "H-014", "H-015", "H-021", "H-026",
    "V-009", "V-012", "F-023",
];

/// Why H-008 stands in a home whose seal does not fit.
const COPIED: &str = "this home was restored or copied from another machine";

/// After the start, alerts of an earlier run whose cause is not found again are over, ms.
const FORGET_AFTER_MS: i64 = 60_000;

impl Engine {
    /// Nothing was done yet.
    pub(super) fn start(&mut self) {
        let text = format!("Standin {} started, role {}", self.facts.version, self.role().map_or("none", Role::word));
        self.note(EventKind::Program, Severity::Information, text);
        self.timers.set(Timer::Checks, self.now.mono);
        self.failing_at_start();
        // The run was raised on disk a moment ago.
        self.settle("R-001", "record");
        self.settle("H-017", "");
        self.pause_at_start();
        self.start_arbitration();
        match self.role() {
            None => {}
            Some(Role::Shadow) => {
                self.settle_all(MASTER_CODES);
                self.start_remembered();
                self.book.settle_push(self.now.wall, "this instance is shadow now", &mut self.out);
                self.start_watch();
                // What was changed while it was down is drift (spec 4.5).
                self.begin_to_look();
            }
            Some(Role::Master) => {
                self.settle_all(SHADOW_CODES);
                self.start_master();
            }
        }
        if self.facts.is_copied {
            self.hold_alert("H-008", "", COPIED);
        }
    }

    pub(super) fn settle_all(&mut self, codes: &[&str]) {
        for code in codes {
            self.settle(code, "");
        }
    }

    /// A master by its disk: active at once only when nobody can have taken over (spec 7.5).
    fn start_master(&mut self) {
        self.reign.scan.dirty = true;
        if self.durable.restore_due {
            // It died between the term on disk and the start of the service.
            self.out.push(super::effect::Effect::RestoreDrift);
        }
        let name = self.peer_name();
        if self.durable.offer.is_some() {
            self.begin_hold(&format!("asking {name} whether it took the role that was offered"));
        } else if self.facts.is_copied {
            self.begin_hold(super::question::COPIED_TODO);
        } else if self.has_left_its_arbiter() {
            self.begin_hold(&format!(
                "its settings name no arbiter any more, and {name}, which goes by one, may have been granted the role: only an \
                 answer of {name}, the arbiter put back, or `ha resume` makes it active"
            ));
        } else if (self.durable.may_take_over || self.durable.rival_unmet) && self.peer().is_some() {
            self.begin_hold(&format!("asking {name} whether it has taken over"));
        } else if self.needs_confirmation() {
            self.begin_hold(&format!("asking {name} and the arbiter whether this instance is still master"));
        } else {
            self.resume();
        }
        // Edits made while it was down are committed at its own term (spec 7.6), whatever comes.
        self.scan(false);
    }

    /// Every ten seconds: troubles that hold come back, reminders, settings due.
    pub(super) fn health(&mut self) {
        self.timers.set(Timer::Health, self.after(HEALTH_INTERVAL_MS));
        self.remind();
        self.hand_failing_over();
        self.fence_health();
        self.forget_copy();
        self.settle_restored();
        self.tell_damping();
        self.shadow_service_alerts();
        if self.reign.activity == Activity::Isolated {
            let why = self.reign.hold_why.clone();
            self.hold_alert("H-023", "", &why);
        }
        if self.book.holds("R-001", "record") && self.is_settled_on_disk() {
            // Only a write tells whether the disk takes writes again.
            let draft = self.draft();
            self.write(draft, super::then::Then::Nothing);
        }
        let (protection, why) = self.protection();
        let explained = [
            "H-001", "H-002", "H-003", "H-004", "H-005", "H-006", "H-007", "H-010", "H-011", "H-015", "H-016", "H-020",
            "H-021", "V-009",
        ];
        let is_wanted = self.peer().is_some() && self.now.wall.0 - self.facts.started.0 >= FORGET_AFTER_MS;
        if protection != Protection::None {
            self.settle("H-014", "");
        } else if is_wanted && !explained.iter().any(|code| self.book.holds(code, "")) {
            self.hold_alert("H-014", "", &why);
        }
        if self.service.state == "running" {
            self.settle("V-002", "");
        }
        if self.is_active() {
            self.reign.scan.dirty |= self.book.holds("F-001", "");
        }
        if self.now.wall.0 - self.facts.started.0 >= FORGET_AFTER_MS {
            // What the engine raises itself it has raised again by now; codes of the node's are the node's to end.
            let is_own =
                |code: &str| code.starts_with("H-0") && !matches!(code, "H-018" | "H-019" | "H-022") || code == "P-010";
            self.book.settle_forgotten(self.now.wall, is_own, &mut self.out);
        }
        self.book.health(self.now.wall, &mut self.out);
    }

    /// An answer or an operator has decided who is what: the home is sealed anew, and no copy any more (spec 6.2, 7.5). One that
    /// speaks with the same identity is another matter.
    fn settle_restored(&mut self) {
        let is_settled = self.is_active() || self.link_state() == Some(LinkState::Ready);
        if is_settled && self.book.why_of("H-008", "") == Some(COPIED) {
            self.settle("H-008", "");
        }
    }

    /// Disconnected by order: said again every day (spec 4.4).
    fn remind(&mut self) {
        const DAY_MS: i64 = 86_400_000;
        let Some(since) = self.durable.disconnected_since.filter(|_| self.is_shadow()) else { return };
        let days = (self.now.wall.0 - since.0).max(0) / DAY_MS;
        let text = match days {
            0 => format!("since {}", since.rfc3339(0)),
            1 => format!("since {}, for 1 day now", since.rfc3339(0)),
            _ => format!("since {}, for {days} days now", since.rfc3339(0)),
        };
        self.hold_alert("H-015", "", &text);
    }

    /// Whether an action offered with an alert can work now (spec 6.4).
    pub(super) fn action_works(&self, action: AlertAction) -> bool {
        let is_linked = self.watch.attached || self.reign.shadow.is_some();
        match action {
            AlertAction::Retry => {
                if self.is_master() {
                    self.reign.shadow.is_some() && !self.in_sync()
                } else {
                    self.durable.connect_wanted && !self.watch.attached
                }
            }
            AlertAction::Reconnect | AlertAction::Disconnect | AlertAction::Differences | AlertAction::Verify => {
                is_linked
            }
            AlertAction::BecomeMaster => {
                (self.is_shadow() && !self.watch.master_active)
                    || matches!(self.reign.activity, Activity::Holding | Activity::InDoubt | Activity::Isolated)
            }
            // Branches may be a drift, or with the other one: either side lists all.
            AlertAction::Branches
            | AlertAction::OpenPair
            | AlertAction::OpenConfiguration
            | AlertAction::OpenEvents => true,
        }
    }

    /// State of spec 2.7 or 4.3.
    pub(super) fn link_state(&self) -> Option<LinkState> {
        match self.role()? {
            Role::Master => Some(self.master_state()),
            Role::Shadow => Some(self.watch.state.unwrap_or(LinkState::Disconnected)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::base::{InstanceId, Millis, Now, UnixMillis};
    use crate::engine::durable::Durable;
    use crate::engine::input::Boot;

    fn is_told(engine: &Engine) -> bool {
        engine.book.holds("H-008", "")
    }

    /// spec 6.2, 7.5: that a home was restored is told until it is settled; that another runs with its identity is told on
    #[test]
    fn a_restored_home_is_told_until_it_is_settled() {
        let instance = InstanceId(uuid::Uuid::from_u128(1));
        let durable = Durable { role: Some(Role::Master), ..Durable::new(instance) };
        let boot = Boot { is_copied: true, ..Boot::of(durable, "command") };
        let mut engine = Engine::new(Now { mono: Millis(1), wall: UnixMillis(1) }, boot);
        engine.start();
        engine.health();
        assert!(is_told(&engine), "it waits for an answer or an operator");
        engine.reign.activity = Activity::Active;
        engine.health();
        assert!(!is_told(&engine) && !engine.book.is_open("H-008"));
        engine.hold_alert("H-008", "", "another running instance has the same identity");
        engine.health();
        assert!(is_told(&engine));
    }
}
