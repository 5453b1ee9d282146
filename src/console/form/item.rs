//! One line of a form: label, value in edit, value in force, problem.

use crate::console::field::{Field, FieldKey};
use crate::engine::base::Problem;
use crate::engine::settings::Settings;
use crate::engine::settings::table::{self, Kind, Row};
use serde_yaml::Value;

/// Room for a value that its row does not limit in characters.
const VALUE_MAX_CHARS: usize = 1_024;

/// How a value is edited.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// Typed: text, number, duration, list with commas.
    Line(Field),
    /// Typed, or taken from a list: the space bar goes through it.
    Pick {
        /// What stands there.
        field: Field,
        /// What was found; may be empty.
        options: Vec<String>,
    },
    /// On or off: the space bar and the arrows turn it.
    Toggle(bool),
    /// One of a few words: the space bar and the arrows go through them.
    Choice {
        /// The words.
        words: Vec<String>,
        /// Index of the chosen one.
        chosen: usize,
    },
}

/// One line of a form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// Dotted key of the setting, or the name of another input (`user`, `password`, `again`).
    pub key: &'static str,
    /// What it is called.
    pub label: String,
    /// What it does, in one line.
    pub help: String,
    /// What may stand there.
    pub limits: String,
    /// What an empty value means; empty: there has to be one.
    pub absent: String,
    /// When a change counts; empty in the wizard, where nothing is in force yet.
    pub effect: String,
    /// The value in edit.
    pub input: Input,
    /// The value in force, as text; none in the wizard.
    pub in_force: Option<String>,
    /// What is wrong with the value; shown under it.
    pub problem: Option<Problem>,
    /// Worth a word, and no reason to refuse.
    pub warning: Option<String>,
    /// What was found out about the value: `214 files, 1.2 MB`.
    pub note: Option<String>,
    /// Why it cannot be edited now.
    pub locked: Option<String>,
}

impl Item {
    /// For a setting, with the value it has in `settings`.
    #[must_use]
    pub fn of(row: &Row, settings: &Settings) -> Self {
        let value = table::get(settings, row.key).unwrap_or(Value::Null);
        let text = table::shown(row, &value);
        let limit = match row.kind {
            Kind::Text(max) => max,
            _ => VALUE_MAX_CHARS,
        };
        let input = match row.kind {
            Kind::Switch => Input::Toggle(value == Value::Bool(true)),
            Kind::Choice(words) => Input::Choice {
                words: words.iter().map(|word| (*word).to_owned()).collect(),
                chosen: words.iter().position(|word| *word == text).unwrap_or(0),
            },
            _ => Input::Line(Field::with(limit, &text)),
        };
        let absent = if row.absent.is_empty() { String::new() } else { format!("; empty: {}", row.absent) };
        Self {
            key: row.key,
            label: row.label.into(),
            help: row.help.into(),
            limits: format!("{}{absent}", row.limits()),
            absent: row.absent.into(),
            effect: format!("in force {}", row.effect.words()),
            input,
            in_force: Some(text),
            problem: None,
            warning: None,
            note: None,
            locked: None,
        }
    }

    /// For something that is no setting.
    #[must_use]
    pub fn line(key: &'static str, label: &str, help: &str, limits: &str, field: Field) -> Self {
        Self {
            key,
            label: label.into(),
            help: help.into(),
            limits: limits.into(),
            absent: String::new(),
            effect: String::new(),
            input: Input::Line(field),
            in_force: None,
            problem: None,
            warning: None,
            note: None,
            locked: None,
        }
    }

    /// The same, with a list to take the value from.
    #[must_use]
    pub fn picked_from(mut self, options: Vec<String>) -> Self {
        if let Input::Line(field) = self.input {
            self.input = Input::Pick { field, options };
        }
        self
    }

    /// The value as text: what the row's `parse` takes.
    #[must_use]
    pub fn text(&self) -> String {
        match &self.input {
            Input::Line(field) | Input::Pick { field, .. } => field.text().to_owned(),
            Input::Toggle(on) => on.to_string(),
            Input::Choice { words, chosen } => words.get(*chosen).cloned().unwrap_or_default(),
        }
    }

    /// Not what is in force; never true where nothing is.
    #[must_use]
    pub fn is_changed(&self) -> bool {
        self.in_force.as_ref().is_some_and(|in_force| *in_force != self.text())
    }

    /// Puts another text in place.
    pub fn set_text(&mut self, text: &str) {
        match &mut self.input {
            Input::Line(field) | Input::Pick { field, .. } => field.set(text),
            Input::Toggle(on) => *on = text == "true",
            Input::Choice { words, chosen } => *chosen = words.iter().position(|word| word == text).unwrap_or(*chosen),
        }
    }

    /// One key. Returns whether the value changed; then what was said about the old one is gone.
    pub fn key(&mut self, key: FieldKey) -> bool {
        let changed = match &mut self.input {
            Input::Line(field) => field.key(key),
            Input::Pick { field, options } if key == FieldKey::Char(' ') => take_next(field, options),
            Input::Pick { field, .. } => field.key(key),
            Input::Toggle(on) => match key {
                FieldKey::Char(' ') | FieldKey::Left | FieldKey::Right => {
                    *on = !*on;
                    true
                }
                _ => false,
            },
            Input::Choice { words, chosen } => {
                let step = match key {
                    FieldKey::Char(' ') | FieldKey::Right => 1,
                    FieldKey::Left => words.len().saturating_sub(1),
                    _ => 0,
                };
                *chosen = (*chosen + step) % words.len().max(1);
                step > 0
            }
        };
        if changed {
            self.forget_findings();
        }
        changed
    }

    /// Pasted text; into typed values only. Returns whether the value changed.
    pub fn paste(&mut self, text: &str) -> bool {
        let (Input::Line(field) | Input::Pick { field, .. }) = &mut self.input else { return false };
        let before = field.text().chars().count();
        field.paste(text);
        let changed = field.text().chars().count() != before;
        if changed {
            self.forget_findings();
        }
        changed
    }

    /// Checks the value against its row and keeps the problem. Returns the value when there is none.
    pub fn check(&mut self) -> Option<Value> {
        let parsed = table::row(self.key)?.parse(&self.text());
        self.problem = parsed.as_ref().err().cloned();
        parsed.ok()
    }

    fn forget_findings(&mut self) {
        self.problem = None;
        self.warning = None;
        self.note = None;
    }
}

/// The next of the list after the one that stands there; the first, when something else does.
fn take_next(field: &mut Field, options: &[String]) -> bool {
    let next = options.iter().position(|option| option == field.text()).map_or(0, |index| index + 1);
    let Some(option) = options.get(next).or_else(|| options.first()) else { return false };
    let changed = option != field.text();
    field.set(option);
    changed
}

/// `settings` with every value of `items` that can be read; the others stay as they are.
#[must_use]
pub fn applied(items: &[Item], settings: &Settings) -> Settings {
    items.iter().fold(settings.clone(), |settings, item| {
        let value = table::row(item.key).and_then(|row| row.parse(&item.text()).ok());
        value.and_then(|value| table::set(&settings, item.key, value).ok()).unwrap_or(settings)
    })
}
