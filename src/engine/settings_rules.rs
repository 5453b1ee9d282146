//! Settings in force, what is locked, and what a change of roles brings with it (spec 2.5, 2.8, 4.1).

use std::sync::Arc;

use super::base::{Problem, Role};
use super::core::Engine;
use super::durable::Durable;
use super::effect::Effect;
use super::event::{EventKind, Severity};
use super::settings::{Settings, SettingsPatch, table};
use super::then::Then;

/// Who waits for a write of the settings file.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Writer {
    /// Its number, and what to say when it is done.
    Order(u64, String),
    Due,
}

/// Writes of the settings file, and the settings in force.
#[derive(Clone, Debug)]
pub(super) struct SettingsWork {
    writer: Option<Writer>,
    /// What is due was tried in this run and is waiting for the next.
    tried: Option<SettingsPatch>,
    in_force: Arc<Settings>,
}

impl SettingsWork {
    pub fn new(settings: &Settings, durable: &Durable) -> Self {
        Self { writer: None, tried: None, in_force: in_force(settings, durable) }
    }

    /// A write is under way, or what is due was tried and waits.
    pub fn is_busy(&self, due: Option<&SettingsPatch>) -> bool {
        self.writer.is_some() || (due.is_some() && self.tried.as_ref() == due)
    }
}

fn in_force(settings: &Settings, durable: &Durable) -> Arc<Settings> {
    Arc::new(durable.settings_due.as_ref().map_or_else(|| settings.clone(), |due| due.applied_to(settings)))
}

impl Engine {
    /// Those of the file, with what a change of roles has brought and the file does not say yet.
    pub(super) fn in_force(&self) -> Arc<Settings> {
        Arc::clone(&self.settings_work.in_force)
    }

    pub(super) fn refresh_in_force(&mut self) {
        self.settings_work.in_force = in_force(&self.settings, &self.durable);
    }

    /// The pair's grace period, ms.
    pub(super) fn pair_grace_ms(&self) -> u64 {
        if self.is_master() {
            self.in_force().high_availability.grace_period
        } else {
            self.peer().map_or(0, |peer| peer.grace_period_ms)
        }
    }

    /// The file has changed.
    pub(super) fn settings_changed(&mut self, settings: Settings) {
        let had_checks = self.settings.takeover_checks.clone();
        let had_pair = self.in_force().high_availability.clone();
        let had_service = self.settings.service.clone();
        let had_arbiter = self.has_arbiter();
        if self.settings.arbiter != settings.arbiter {
            self.mark_told(0);
        }
        let is_shorter = settings.arbiter.hold < self.settings.arbiter.hold;
        self.settings = settings;
        if is_shorter {
            self.hold_shortened();
        }
        if had_arbiter && !self.has_arbiter() {
            self.arbiter_given_up();
        }
        if had_service != self.settings.service {
            self.service_settings_changed(&had_service);
        }
        self.refresh_in_force();
        if self.is_master() && had_pair != self.in_force().high_availability {
            self.refuse_silent_shadow();
        }
        if had_checks != self.settings.takeover_checks {
            self.plan_checks();
        }
        self.judge_peer_addresses();
        if self.is_shadow() && self.peer().is_none() {
            self.start_watch();
        }
        self.timers.clear(super::timers::Timer::Redial);
    }

    /// Why settings of the pair cannot be edited now; none: they can (spec 2.5, 4.1).
    #[must_use]
    pub(super) fn settings_locked(&self) -> Option<String> {
        match self.role()? {
            Role::Master => self.heard_link().map(|_| format!("the shadow {} is connected", self.peer_name())),
            Role::Shadow => {
                let is_linked = self.watch.attached;
                is_linked.then(|| format!("this shadow is connected to {}", self.peer_name()))
            }
        }
    }

    /// A locked key that differs from what is in force (spec 2.5, 4.1).
    #[must_use]
    pub fn refuses_settings(&self, new: &Settings) -> Option<Problem> {
        if let Some(problem) = self.keeps_its_arbiter(new) {
            return Some(problem);
        }
        let why = self.settings_locked()?;
        let locked = locked_keys(self.role()?);
        let in_force = self.in_force();
        let differs = |key: &&(&'static str, fn(&Settings, &Settings) -> bool)| {
            (key.1)(new, &self.settings) && (key.1)(new, &in_force)
        };
        let (key, _) = locked.iter().find(differs)?;
        let todo = if self.is_master() { "Disconnect the shadow first" } else { "Disconnect first" };
        Some(Problem::new(format!("`{key}` cannot be changed now"), why, todo))
    }

    /// A shadow that is away goes by the arbiter it knows, and could take over by its grant: the master that lives on its
    /// confirmation does not leave it meanwhile (spec 7.11).
    fn keeps_its_arbiter(&self, new: &Settings) -> Option<Problem> {
        let (old, new) = (&self.settings.arbiter, &new.arbiter);
        let key = match new.is_set() {
            false => "arbiter.endpoints",
            true if new.prefix != old.prefix => "arbiter.prefix",
            true => return None,
        };
        let relies = self.is_master() && self.needs_confirmation() && self.heard_link().is_none();
        let name = self.peer_name();
        relies.then(|| {
            Problem::new(
                format!("`{key}` cannot be changed now"),
                format!("{name} is not connected: it would not know, and could become active beside this instance"),
                format!(
                    "Change it while {name} is connected. If it is gone for good: `ha reset` first; if this master waits for the \
                     arbiter, `ha become-master --force --without-arbiter` before that"
                ),
            )
        })
    }

    /// `ha edit`, `shadow edit` and the like.
    pub(super) fn edit(&mut self, id: u64, patch: SettingsPatch) {
        let what = "not changed";
        if let Some(why) = self.not_of_this_role(&patch) {
            return self.refuse(id, what, why, "Change it on the other instance");
        }
        if let Some(problem) = self.refuses_settings(&patch.applied_to(&self.settings)) {
            return self.reply(id, Err(problem));
        }
        if self.settings_work.writer.is_some() {
            return self.refuse(id, what, "another change of the settings is being written", "Try again");
        }
        let changes = table::changes_text(&self.settings, &patch.applied_to(&self.settings));
        let text = if changes.is_empty() { "nothing was changed: it is so already".into() } else { changes };
        self.settings_work.writer = Some(Writer::Order(id, text));
        self.out.push(Effect::WriteSettings(Box::new(patch)));
    }

    fn not_of_this_role(&self, patch: &SettingsPatch) -> Option<&'static str> {
        let of_master =
            patch.enabled.is_some() || patch.permitted_shadow_host.is_some() || patch.grace_period.is_some();
        let of_shadow = patch.master_hosts.is_some()
            || patch.master_port.is_some()
            || patch.check_interval.is_some()
            || patch.takeover_delay.is_some()
            || patch.connect_timeout.is_some()
            || patch.request_timeout.is_some();
        match self.role() {
            Some(Role::Shadow) if of_master => Some("these settings belong to the master, and this is the shadow"),
            Some(Role::Master) if of_shadow => Some("these settings belong to the shadow, and this is the master"),
            _ => None,
        }
    }

    /// Settings that come with the reset; the answer waits for nothing else.
    pub(super) fn write_settings_for(&mut self, id: u64, patch: SettingsPatch, but: &str) {
        let text = format!("the other instance is forgotten, the settings of the pair are back at their defaults{but}");
        self.settings_work.writer = Some(Writer::Order(id, text));
        self.out.push(Effect::WriteSettings(Box::new(patch)));
    }

    /// What a change of roles has brought goes into the file (spec 2.8).
    pub(super) fn plan_settings(&mut self) {
        let Some(due) = &self.durable.settings_due else { return };
        if self.settings_work.writer.is_some() || self.settings_work.tried.as_ref() == Some(due) {
            return;
        }
        // They are in force already; the start of the service does not wait for their file. One that was told to fail may
        // take for ever.
        if self.work.starting.is_some() && !self.book.holds("V-001", "") {
            return;
        }
        let due = due.clone();
        self.settings_work.tried = Some(due.clone());
        self.settings_work.writer = Some(Writer::Due);
        self.out.push(Effect::WriteSettings(Box::new(due)));
    }

    pub(super) fn settings_written(&mut self, problem: Option<String>) {
        match (self.settings_work.writer.take(), problem) {
            (Some(Writer::Order(id, text)), None) => self.done(id, text),
            (Some(Writer::Order(id, _)), Some(why)) => self.refuse(id, "not changed", why, "See the settings file"),
            (Some(Writer::Due), None) => {
                self.settle("F-012", "");
                let draft = self.draft();
                // A later change of roles may have brought others meanwhile.
                if draft.settings_due == self.settings_work.tried {
                    self.write(Durable { settings_due: None, ..draft }, Then::Nothing);
                }
            }
            (Some(Writer::Due), Some(why)) => {
                self.note(EventKind::Program, Severity::Warning, format!("settings not written: {why}"));
                self.hold_alert("F-012", "", &why);
            }
            (None, _) => {}
        }
    }
}

type Differs = fn(&Settings, &Settings) -> bool;

fn locked_keys(role: Role) -> &'static [(&'static str, Differs)] {
    const HOST: (&str, Differs) = ("host", |a, b| a.host != b.host);
    const PORT: (&str, Differs) =
        ("high_availability.port", |a, b| a.high_availability.port != b.high_availability.port);
    // The same port, unless the link has one of its own.
    const LINK_PORT: (&str, Differs) = ("administration.port", |a, b| a.link_port() != b.link_port());
    const MASTER: &[(&str, Differs)] = &[
        ("high_availability.enabled", |a, b| a.high_availability.enabled != b.high_availability.enabled),
        PORT,
        LINK_PORT,
        // The other one knows it by that, and lets nobody else in once the roles have changed.
        HOST,
        ("high_availability.permitted_shadow_host", |a, b| {
            a.high_availability.permitted_shadow_host != b.high_availability.permitted_shadow_host
        }),
        ("high_availability.grace_period", |a, b| a.high_availability.grace_period != b.high_availability.grace_period),
    ];
    const SHADOW: &[(&str, Differs)] = &[
        ("shadow.master_hosts", |a, b| a.shadow.master_hosts != b.shadow.master_hosts),
        ("shadow.master_port", |a, b| a.shadow.master_port != b.shadow.master_port),
        HOST,
        PORT,
        LINK_PORT,
    ];
    match role {
        Role::Master => MASTER,
        Role::Shadow => SHADOW,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::base::{InstanceId, Millis, Now, Reason, UnixMillis};
    use crate::engine::durable::Durable;
    use crate::engine::input::Boot;
    use crate::engine::work::StartFor;

    /// A new master whose record says which settings its file has yet to get.
    fn new_master() -> Engine {
        let instance = InstanceId(uuid::Uuid::from_u128(1));
        let durable = Durable {
            role: Some(Role::Master),
            settings_due: Some(SettingsPatch { enabled: Some(true), ..SettingsPatch::default() }),
            ..Durable::new(instance)
        };
        let boot = Boot::of(durable, "command");
        Engine::new(Now { mono: Millis(1), wall: UnixMillis(1) }, boot)
    }

    fn writes_settings(engine: &mut Engine) -> bool {
        engine.plan_settings();
        engine.out.drain(..).any(|effect| matches!(effect, Effect::WriteSettings(_)))
    }

    /// spec 2.8, 7.3: the settings of the pair are in force at once; their file is written when the service has started, or
    /// was found not to start
    #[test]
    fn the_start_of_the_service_does_not_wait_for_the_settings_file() {
        let mut engine = new_master();
        assert!(engine.in_force().high_availability.enabled);
        engine.work.starting = Some((StartFor::NewMaster, Reason::Takeover));
        assert!(!writes_settings(&mut engine));
        engine.hold_alert("V-001", "", "it does not start");
        assert!(writes_settings(&mut engine));

        let mut engine = new_master();
        engine.work.starting = None;
        assert!(writes_settings(&mut engine));
        assert!(!writes_settings(&mut engine), "once");
    }
}
