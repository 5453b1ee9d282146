//! The fields of each step, and what they add up to.

use super::{Found, Page, Step, Wizard};
use crate::console::field::Field;
use crate::console::form::{Item, item};
use crate::engine::base::{Problem, Role};
use crate::engine::order::Secret;
use crate::engine::password::{self, PASSWORD_MAX_CHARS, PASSWORD_MIN_CHARS};
use crate::engine::settings::Settings;
use crate::engine::settings::table;
use crate::engine::setup::{SetupPlan, USER_MAX_CHARS, check_user};

/// The key of the mirrored directory, which has a default of its own.
pub(super) const DIRECTORY: &str = "configuration.directory";

const MASTER_KEYS: [&str; 7] = [
    "description",
    "host",
    "administration.port",
    "high_availability.port",
    "high_availability.enabled",
    "high_availability.permitted_shadow_host",
    DIRECTORY,
];

const SHADOW_KEYS: [&str; 9] = [
    "shadow.master_hosts",
    "shadow.master_port",
    "host",
    "administration.port",
    "high_availability.port",
    "shadow.check_interval",
    "shadow.takeover_delay",
    "shadow.connect_timeout",
    "shadow.request_timeout",
];

/// What a shadow needs before it can connect (spec 1.5).
pub(super) const REMINDERS: [&str; 3] = [
    "Both machines are in the same network segment.",
    "If users come from LDAP: it is configured on the master.",
    "The service is installed and configured on both machines.",
];

pub(super) fn administrator() -> Vec<Item> {
    let limits = format!("at least {PASSWORD_MIN_CHARS} characters, not made of the name, not a well-known one");
    vec![
        Item::line(
            "user",
            "Name",
            "The first user, with the role Administrator",
            "letters, digits and . _ - @",
            Field::new(USER_MAX_CHARS),
        ),
        Item::line(
            "password",
            "Password",
            "There is no default; it is kept only as a hash",
            &limits,
            Field::masked(PASSWORD_MAX_CHARS),
        ),
        Item::line(
            "again",
            "Password again",
            "The same once more, because it is not shown",
            "what stands above",
            Field::masked(PASSWORD_MAX_CHARS),
        ),
    ]
}

pub(super) fn master(found: &Found, base: &Settings) -> Vec<Item> {
    let mut items = items(&MASTER_KEYS, found, base);
    for item in &mut items {
        if item.key == DIRECTORY && item.text().is_empty() {
            item.set_text(&found.default_directory);
        }
    }
    items
}

pub(super) fn shadow(found: &Found, base: &Settings) -> Vec<Item> {
    items(&SHADOW_KEYS, found, base)
}

fn items(keys: &[&'static str], found: &Found, base: &Settings) -> Vec<Item> {
    let hosts: Vec<String> = found.host_names.iter().chain(&found.addresses).cloned().collect();
    let new = |key: &&'static str| {
        let mut item = Item::of(table::row(key)?, base);
        // Nothing is in force before the save.
        item.in_force = None;
        item.effect = String::new();
        if *key == "host" {
            if item.text().is_empty() {
                item.set_text(hosts.first().map_or("", String::as_str));
            }
            item = item.picked_from(hosts.clone());
        }
        Some(item)
    };
    keys.iter().filter_map(new).collect()
}

/// The strength of the password in words, while it is typed (screens, First start).
pub(super) fn note_strength(items: &mut [Item]) {
    for item in items.iter_mut().filter(|item| item.key == "password") {
        let text = Secret::new(item.text());
        item.note = (!text.expose().is_empty()).then(|| format!("strength: {}", password::strength(text.expose())));
    }
}

fn text_of(page: &Page, key: &str) -> String {
    page.items.iter().find(|item| item.key == key).map(Item::text).unwrap_or_default()
}

pub(super) fn plan(wizard: &Wizard) -> SetupPlan {
    let page = if wizard.role == Role::Master { &wizard.master } else { &wizard.shadow };
    let mut settings = item::applied(&page.items, &wizard.base);
    if settings.configuration.directory.as_ref() == Some(&wizard.found.default_directory) {
        settings.configuration.directory = None;
    }
    SetupPlan {
        role: wizard.role,
        user: text_of(&wizard.administrator, "user"),
        password: Secret::new(text_of(&wizard.administrator, "password")),
        settings,
    }
}

impl Wizard {
    /// Checks the field at `index` by itself.
    pub(super) fn check_field(&mut self, index: usize) {
        let (user, password) =
            (text_of(&self.administrator, "user"), Secret::new(text_of(&self.administrator, "password")));
        let Some(item) = self.page_mut().and_then(|page| page.items.get_mut(index)) else { return };
        match item.key {
            "user" => item.problem = check_user(&user).err(),
            "password" => item.problem = password::check(&user, password.expose()).err(),
            "again" => {
                let again = Secret::new(item.text());
                item.problem = (again != password).then(|| {
                    Problem::new("The two passwords differ", "they are not the same", "Type the same one again")
                });
            }
            _ => {
                item.check();
            }
        }
    }

    /// Checks every field of the step by itself and against the others.
    pub(super) fn check_page(&mut self) {
        self.problem = None;
        let count = self.page().map_or(0, |page| page.items.len());
        (0..count).for_each(|index| self.check_field(index));
        if self.step != Step::Connection {
            return;
        }
        let plan = self.plan();
        let mut warnings = table::warnings(&plan.settings);
        for (key, problem) in plan.problems() {
            let item = self.page_mut().and_then(|page| page.items.iter_mut().find(|item| item.key == key));
            match item {
                Some(item) if item.problem.is_none() => item.problem = Some(problem),
                Some(_) => {}
                // From a file that was there before, or from the step before; said as a whole.
                None => self.problem = Some(problem),
            }
        }
        if let Some(page) = self.page_mut() {
            for item in &mut page.items {
                if item.key.starts_with("shadow.") && item.key != "shadow.master_hosts" {
                    // Made of several fields: what was true of the old values may not be of the new ones.
                    item.warning = None;
                }
                if let Some(index) = warnings.iter().position(|(key, _)| *key == item.key) {
                    let (_, problem) = warnings.swap_remove(index);
                    item.warning = Some(format!("{}: {}", problem.what, problem.why));
                }
            }
        }
    }

    /// What the connection data lead to, one sentence a line, kept up to date while typing; then what has to be done
    /// before (spec 1.5).
    #[must_use]
    pub fn consequences(&self) -> Vec<String> {
        let settings = self.plan().settings;
        if self.step != Step::Connection {
            return Vec::new();
        }
        match self.role {
            Role::Shadow => {
                let mut lines = vec![crate::console::form::sentence(&table::replaced_after_text(&settings.shadow))];
                lines.extend(REMINDERS.map(str::to_owned));
                lines
            }
            Role::Master if !settings.high_availability.enabled => {
                vec!["While high availability is off, every shadow is refused.".into()]
            }
            Role::Master => vec![match &settings.high_availability.permitted_shadow_host {
                Some(host) => format!("Only {host} may become the shadow."),
                None => "Any host may become the shadow, with an administrator's password.".into(),
            }],
        }
    }

    /// What leaving now would drop; empty: nothing was entered.
    #[must_use]
    pub fn dropped(&self) -> Vec<String> {
        let mut lines = Vec::new();
        let fresh = Self::new(self.found.clone(), self.base.clone());
        let is_typed =
            |page: &Page, other: &Page| page.items.iter().zip(&other.items).any(|(a, b)| a.text() != b.text());
        if self.step > Step::Role {
            lines.push(format!("Dropped: the role {}.", self.role.word()));
        }
        if is_typed(&self.administrator, &fresh.administrator) {
            lines.push(
                format!("Dropped: the administrator {}.", text_of(&self.administrator, "user")).replace(" .", "."),
            );
        }
        if is_typed(&self.master, &fresh.master) {
            lines.push("Dropped: the settings of the master.".into());
        }
        if is_typed(&self.shadow, &fresh.shadow) {
            lines.push("Dropped: the connection data of the shadow.".into());
        }
        lines
    }
}
