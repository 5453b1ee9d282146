//! The forms for the settings: value in force, limits, consequence, problem under its field, `*` where not saved.

use super::field::FieldKey;
use crate::engine::base::{Problem, Role};
use crate::engine::settings::table::{self, Lock, seconds_text};
use crate::engine::settings::{Settings, SettingsPatch, Shadow, failover};
use crate::engine::status::Status;

pub mod item;
#[cfg(test)]
mod tests;

pub use item::{Input, Item};

/// Settings edited on the High Availability screen of a master (spec 2), in this order.
const MASTER_KEYS: [&str; 11] = [
    "high_availability.enabled",
    "high_availability.port",
    "high_availability.permitted_shadow_host",
    "high_availability.grace_period",
    "host",
    "description",
    "arbiter.endpoints",
    "arbiter.hold",
    "arbiter.stop_budget",
    "arbiter.promise",
    "arbiter.request_timeout",
];
/// Settings edited on the Shadow Connector screen (spec 4.1, 4.2), in this order.
const SHADOW_KEYS: [&str; 14] = [
    "shadow.master_hosts",
    "shadow.master_port",
    "host",
    "high_availability.port",
    "shadow.check_interval",
    "shadow.takeover_delay",
    "shadow.connect_timeout",
    "shadow.request_timeout",
    "description",
    "arbiter.endpoints",
    "arbiter.hold",
    "arbiter.stop_budget",
    "arbiter.promise",
    "arbiter.request_timeout",
];
/// Those of the third vote: each instance has its own, and they must be the same (spec 2.6, 7.11).
const ARBITER: &str = "arbiter.";

/// A key press in a form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FormKey {
    /// Into the field in focus.
    Edit(FieldKey),
    /// Pasted text, into the field in focus.
    Paste(String),
    /// To the field above.
    Up,
    /// To the field below.
    Down,
    /// Save everything (Enter).
    Save,
    /// Leave (Esc); asks first when something is not saved.
    Cancel,
}

/// What a key press asks of the console.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FormOutcome {
    /// Draw again, nothing else.
    Stay,
    /// Send `Order::Edit` with this; then [`Form::saved`] or [`Form::refused`].
    Save(SettingsPatch),
    /// The form is done with.
    Close,
}

/// Settings in edit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Form {
    /// Above it.
    pub title: String,
    /// The lines.
    pub items: Vec<Item>,
    /// Index of the line in edit.
    pub focus: usize,
    /// The result of the last key, for the message line.
    pub message: Option<String>,
    role: Role,
    base: Settings,
    /// Timing of the pair; on a master it is not in the own settings.
    timing: Shadow,
    is_leaving: bool,
}

/// The form of a master's settings (spec 2.1 to 2.4).
#[must_use]
pub fn for_master(status: &Status) -> Form {
    Form::new(Role::Master, "High availability settings", &MASTER_KEYS, status)
}

/// The form of a shadow's connection data and timing (spec 4.1, 4.2).
#[must_use]
pub fn for_shadow(status: &Status) -> Form {
    Form::new(Role::Shadow, "Shadow connector settings", &SHADOW_KEYS, status)
}

impl Form {
    fn new(role: Role, title: &str, keys: &[&'static str], status: &Status) -> Self {
        let item = |key: &&'static str| {
            let item = Item::of(table::row(key)?, &status.settings);
            Some(if *key == "host" { item.picked_from(status.own_hosts.clone()) } else { item })
        };
        let items = keys.iter().filter_map(item).collect();
        let mut form = Self {
            title: title.into(),
            items,
            focus: 0,
            message: None,
            role,
            base: status.settings.clone(),
            timing: status.pair_settings().shadow,
            is_leaving: false,
        };
        form.lock(status.settings_locked.as_deref());
        form.focus = form.items.iter().position(|item| item.locked.is_none()).unwrap_or(0);
        form
    }

    /// A newer status: what is in force and what is locked follow it; what is being edited stays.
    pub fn refresh(&mut self, status: &Status) {
        self.base.clone_from(&status.settings);
        self.timing = status.pair_settings().shadow;
        for item in &mut self.items {
            let Some(row) = table::row(item.key) else { continue };
            let fresh = Item::of(row, &status.settings).in_force;
            if let (false, Some(text)) = (item.is_changed() || item.in_force == fresh, &fresh) {
                item.set_text(text);
            }
            item.in_force = fresh;
        }
        self.lock(status.settings_locked.as_deref());
    }

    fn lock(&mut self, why: Option<&str>) {
        for item in &mut self.items {
            let lock = table::row(item.key).map_or(Lock::Free, |row| row.lock);
            let applies = match self.role {
                Role::Master => matches!(lock, Lock::Master | Lock::Either),
                Role::Shadow => matches!(lock, Lock::Shadow | Lock::Either),
            };
            item.locked = why.filter(|_| applies).map(str::to_owned);
        }
    }

    /// Takes a key press.
    pub fn key(&mut self, key: FormKey) -> FormOutcome {
        self.message = None;
        let was_leaving = std::mem::take(&mut self.is_leaving);
        match key {
            FormKey::Edit(_) | FormKey::Paste(_) => self.edit(key),
            FormKey::Up => self.go(self.focus.checked_sub(1).unwrap_or(self.items.len().saturating_sub(1))),
            FormKey::Down => self.go((self.focus + 1) % self.items.len().max(1)),
            FormKey::Save => return self.save(),
            FormKey::Cancel if was_leaving || self.changed() == 0 => return FormOutcome::Close,
            FormKey::Cancel => {
                self.is_leaving = true;
                let count = self.changed();
                self.message = Some(format!("Not saved: {count}. Esc again drops it, Enter saves it."));
            }
        }
        FormOutcome::Stay
    }

    fn edit(&mut self, key: FormKey) {
        let Some(item) = self.items.get_mut(self.focus) else { return };
        if let Some(why) = &item.locked {
            self.message = Some(format!("{} cannot be changed: {why}", item.label));
            return;
        }
        match key {
            FormKey::Edit(key) => item.key(key),
            FormKey::Paste(text) => item.paste(&text),
            _ => false,
        };
    }

    /// A check runs on leaving a field, never while typing.
    fn go(&mut self, to: usize) {
        if let Some(item) = self.items.get_mut(self.focus) {
            item.check();
            if item.key.starts_with(ARBITER) {
                self.check_arbiter();
            }
        }
        self.focus = to;
    }

    /// What fights among the settings of the third vote stands under its field as soon as one of them is left, with the
    /// numbers (spec 7.11).
    fn check_arbiter(&mut self) {
        let fights = table::validate(&self.settings());
        for item in self.items.iter_mut().filter(|item| item.key.starts_with(ARBITER)) {
            if item.check().is_some() {
                item.problem = fights.iter().find(|(key, _)| *key == item.key).map(|(_, problem)| problem.clone());
            }
        }
    }

    fn save(&mut self) -> FormOutcome {
        for item in &mut self.items {
            item.check();
        }
        let new = self.settings();
        let mut elsewhere = None;
        for (key, problem) in table::validate(&new) {
            match self.items.iter_mut().find(|item| item.key == key) {
                Some(item) => item.problem = Some(problem),
                None => elsewhere = Some(problem),
            }
        }
        if let Some(index) = self.items.iter().position(|item| item.problem.is_some()) {
            self.focus = index;
            let count = self.items.iter().filter(|item| item.problem.is_some()).count();
            self.message = Some(format!("Nothing saved: {count} to correct, marked with !"));
            return FormOutcome::Stay;
        }
        if let Some(problem) = elsewhere {
            self.message = Some(format!("Nothing saved. {}: {}", problem.what, problem.why));
            return FormOutcome::Stay;
        }
        let patch = table::patch_between(&self.base, &new);
        if patch.is_empty() {
            self.message = Some("Nothing was changed.".into());
            return FormOutcome::Stay;
        }
        FormOutcome::Save(patch)
    }

    /// The save was done.
    pub fn saved(&mut self) {
        for item in &mut self.items {
            item.in_force = Some(item.text());
        }
        self.base = self.settings();
        self.message = Some("Saved.".into());
    }

    /// The save was refused; everything stays in edit.
    pub fn refused(&mut self, problem: &Problem) {
        self.message = Some(format!("{}: {}", problem.what, problem.why));
    }

    /// Number of values that are not saved.
    #[must_use]
    pub fn changed(&self) -> usize {
        self.items.iter().filter(|item| item.is_changed()).count()
    }

    /// The settings as they would be.
    #[must_use]
    pub fn settings(&self) -> Settings {
        item::applied(&self.items, &self.base)
    }

    /// What the values in edit lead to, one sentence a line; kept up to date while typing.
    #[must_use]
    pub fn consequences(&self) -> Vec<String> {
        let settings = self.settings();
        if self.items.get(self.focus).is_some_and(|item| item.key.starts_with(ARBITER)) {
            let timing = if self.role == Role::Master { self.timing.clone() } else { settings.shadow.clone() };
            return arbiter_consequences(&Settings { shadow: timing, ..settings });
        }
        let mut lines = match self.role {
            Role::Master => master_consequences(&settings),
            Role::Shadow => vec![sentence(&table::replaced_after_text(&settings.shadow))],
        };
        let shown = |key: &str| self.items.iter().any(|item| item.key == key);
        let warnings = table::warnings(&settings).into_iter().filter(|(key, _)| shown(key));
        lines.extend(warnings.map(|(_, problem)| format!("{}: {}.", problem.what, problem.why)));
        lines
    }

    /// The keys that work here, for the footer.
    #[must_use]
    pub fn keys(&self) -> [(&'static str, &'static str); 4] {
        [("Enter", "save"), ("Tab", "next field"), ("Space", "turn or pick"), ("Esc", "back")]
    }
}

fn master_consequences(settings: &Settings) -> Vec<String> {
    let ha = &settings.high_availability;
    if !ha.enabled {
        return vec!["Every shadow is refused; nobody takes over when this machine dies.".into()];
    }
    let who = ha.permitted_shadow_host.as_ref().map_or_else(
        || "Any host may become the shadow, with an administrator's password.".to_owned(),
        |host| format!("Only {host} may become the shadow."),
    );
    let port = match ha.port {
        Some(port) => format!("The link has port {port} of its own."),
        None => format!("The link shares port {} with the administration.", settings.administration.port),
    };
    let grace = match ha.grace_period {
        0 => "A switch stops the service at once.".to_owned(),
        grace => format!("A switch lets the service end in peace for {}.", seconds_text(grace)),
    };
    vec![who, port, grace]
}

/// The arithmetic of the third vote, kept up to date while typing (spec 7.11).
fn arbiter_consequences(settings: &Settings) -> Vec<String> {
    let arbiter = &settings.arbiter;
    let longest = failover::longest_failover(settings).text();
    if !arbiter.is_set() {
        return vec![
            "No arbiter: when only the link between the two is cut, both may be active.".into(),
            format!("Longest possible failover {longest}."),
        ];
    }
    let needed = format!(
        "A promise of {} is needed: (hold {} + stop budget {}) x {}/{}",
        seconds_text(arbiter.promise_needed_ms()),
        seconds_text(arbiter.hold),
        seconds_text(arbiter.stop_budget),
        1_000 + arbiter.clock_error,
        1_000 - arbiter.clock_error.min(999),
    );
    let is_short = arbiter.promise_ms() < arbiter.promise_needed_ms();
    let given = match arbiter.promise {
        0 => format!("; it is that, a lease of {} s.", arbiter.lease_s()),
        promise if is_short => format!("; {} is TOO SHORT: both could be active.", seconds_text(promise)),
        promise => format!("; it is {}, a lease of {} s.", seconds_text(promise), arbiter.lease_s()),
    };
    vec![
        format!("{needed}{given}"),
        format!("Longest possible failover {longest}."),
        "The other instance needs the same endpoints and times.".into(),
    ]
}

/// With a capital and a full stop.
pub(crate) fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    let first: String = chars.next().map(char::to_uppercase).into_iter().flatten().collect();
    format!("{first}{}.", chars.as_str())
}
