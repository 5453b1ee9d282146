//! The forms for the settings: value in force, limits, consequence, problem under its field, `*` where not saved.

use super::field::FieldKey;
use crate::engine::base::{Problem, Role};
use crate::engine::settings::table::{self, Lock, seconds_text};
use crate::engine::settings::{Settings, SettingsPatch};
use crate::engine::status::Status;

pub mod item;
#[cfg(test)]
mod tests;

pub use item::{Input, Item};

/// Settings edited on the High Availability screen of a master (spec 2), in this order.
const MASTER_KEYS: [&str; 6] = [
    "high_availability.enabled",
    "high_availability.port",
    "high_availability.permitted_shadow_host",
    "high_availability.grace_period",
    "host",
    "description",
];
/// Settings edited on the Shadow Connector screen (spec 4.1, 4.2), in this order.
const SHADOW_KEYS: [&str; 9] = [
    "shadow.master_hosts",
    "shadow.master_port",
    "host",
    "high_availability.port",
    "shadow.check_interval",
    "shadow.takeover_delay",
    "shadow.connect_timeout",
    "shadow.request_timeout",
    "description",
];

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
            is_leaving: false,
        };
        form.lock(status.settings_locked.as_deref());
        form.focus = form.items.iter().position(|item| item.locked.is_none()).unwrap_or(0);
        form
    }

    /// A newer status: what is in force and what is locked follow it; what is being edited stays.
    pub fn refresh(&mut self, status: &Status) {
        self.base.clone_from(&status.settings);
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
        }
        self.focus = to;
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

/// With a capital and a full stop.
pub(crate) fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    let first: String = chars.next().map(char::to_uppercase).into_iter().flatten().collect();
    format!("{first}{}.", chars.as_str())
}
