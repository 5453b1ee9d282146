//! Dialogs: consequence first, then the checks, then the question; Cancel is chosen (screens, Grammar).

use zeroize::Zeroize;

use super::message::Leave;
use crate::engine::base::Fingerprint;
use crate::engine::order::{MasterSeen, Order};
use crate::engine::status::CheckResult;

/// Longest text of a field, in characters.
pub const ENTRY_MAX_CHARS: usize = 256;

/// A one-line input. Wiped on drop, because it may hold a password.
pub struct Entry {
    /// Before the field.
    pub label: String,
    /// What was typed.
    pub text: String,
    /// Shown as stars.
    pub masked: bool,
}

impl Entry {
    /// Empty or with a first text.
    #[must_use]
    pub fn new(label: &str, text: &str, masked: bool) -> Self {
        // Room for everything at once: a buffer that moves would leave copies of a password behind.
        let mut room = String::with_capacity(ENTRY_MAX_CHARS * 4);
        room.push_str(text);
        Self { label: label.into(), text: room, masked }
    }

    /// Types one character; what is over the limit or steers a terminal is dropped.
    pub fn push(&mut self, c: char) {
        if !c.is_control() && self.text.chars().count() < ENTRY_MAX_CHARS {
            self.text.push(c);
        }
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.text.zeroize();
    }
}

/// What a button does.
#[derive(Clone, Debug, PartialEq)]
pub enum Deed {
    /// Close the dialog.
    Cancel,
    /// Order it and close.
    Send(Order, String),
    /// Leave the console.
    Leave(Leave),
    /// Order the stop, leave when it is done.
    StopEngine,
    /// Show masked values until the screen is left.
    ShowSecrets,
    /// The fingerprint was compared: ask for user and password.
    AskPassword(Box<MasterSeen>),
    /// Pair with the typed user and password.
    Pair(Fingerprint),
    /// Maintenance for the typed time.
    Maintain,
}

/// One button.
#[derive(Clone, Debug, PartialEq)]
pub struct Button {
    /// On it.
    pub label: String,
    /// When chosen.
    pub deed: Deed,
}

/// What a dialog is about, so that an answer finds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Topic {
    /// Roles are to be switched; waits for its rehearsal.
    Switch,
    /// Only a rehearsal.
    Rehearsal,
    /// Waits for the master's fingerprint.
    Probe,
    /// Leaving.
    Leave,
    /// The configuration is to be changed; waits for what would change.
    Change,
    /// Says what went wrong.
    Problem,
    /// Anything else.
    Other,
}

/// A dialog.
pub struct Dialog {
    /// What it is about.
    pub topic: Topic,
    /// In its frame.
    pub title: String,
    /// What happens, a line each.
    pub body: Vec<String>,
    /// Shown whole, to be compared with another console.
    pub fingerprint: Option<Fingerprint>,
    /// Each check.
    pub checks: Vec<CheckResult>,
    /// The question.
    pub entries: Vec<Entry>,
    /// What the first entry must say before any button but Cancel works.
    pub word: Option<String>,
    /// What the second entry must say before a button that leaves the arbiter out works (spec 7.8).
    pub second_word: Option<String>,
    /// The first one is Cancel and is chosen.
    pub buttons: Vec<Button>,
    /// Entries first, then buttons.
    pub focus: usize,
    /// Waits for an answer of the engine.
    pub waiting: Option<String>,
    /// What is wrong with the entries, or why it cannot be done.
    pub problem: Option<String>,
}

impl Dialog {
    /// With Cancel only.
    #[must_use]
    pub fn new(topic: Topic, title: impl Into<String>, body: Vec<String>) -> Self {
        Self {
            topic,
            title: title.into(),
            body,
            fingerprint: None,
            checks: Vec::new(),
            entries: Vec::new(),
            word: None,
            second_word: None,
            buttons: vec![Button { label: "Cancel".into(), deed: Deed::Cancel }],
            focus: 0,
            waiting: None,
            problem: None,
        }
    }

    /// One more button.
    #[must_use]
    pub fn button(mut self, label: &str, deed: Deed) -> Self {
        self.buttons.push(Button { label: label.into(), deed });
        self
    }

    /// One more field.
    #[must_use]
    pub fn entry(mut self, label: &str, text: &str, masked: bool) -> Self {
        self.entries.push(Entry::new(label, text, masked));
        self
    }

    /// With another word on the first button.
    #[must_use]
    pub fn closing(mut self, label: &str) -> Self {
        if let Some(button) = self.buttons.first_mut() {
            button.label = label.into();
        }
        self
    }

    /// The entry being edited.
    pub fn current_entry(&mut self) -> Option<&mut Entry> {
        self.entries.get_mut(self.focus)
    }

    /// The chosen button, or where Enter in the last entry leads.
    #[must_use]
    pub fn chosen(&self) -> Option<&Button> {
        self.focus.checked_sub(self.entries.len()).and_then(|index| self.buttons.get(index))
    }

    /// Whether this button works now.
    #[must_use]
    pub fn is_on(&self, button: &Button) -> bool {
        if button.deed == Deed::Cancel {
            return true;
        }
        let is_second = matches!(button.deed, Deed::Send(Order::BecomeMaster { without_arbiter: true }, _));
        let says = |index: usize, word: &str| self.entries.get(index).is_some_and(|entry| entry.text == word);
        if is_second && !self.second_word.as_deref().is_some_and(|word| says(1, word)) {
            return false;
        }
        self.waiting.is_none()
            && match &self.word {
                Some(word) => says(0, word),
                None => self.entries.iter().all(|entry| !entry.text.is_empty()),
            }
    }

    /// Enter in a field: on to the next one; from the last, when all are filled, to the button that pairs, which takes no
    /// protection away. Elsewhere Cancel is next.
    pub fn enter_field(&mut self) {
        self.step(true);
        let pairs = self.buttons.iter().position(|button| matches!(button.deed, Deed::Pair(_)) && self.is_on(button));
        if let Some(index) = pairs.filter(|_| self.focus == self.entries.len()) {
            self.focus += index;
        }
    }

    /// Chooses the next or the one before, around the end.
    pub fn step(&mut self, forward: bool) {
        let places = self.entries.len() + self.buttons.len();
        self.focus = (self.focus + if forward { 1 } else { places - 1 }) % places;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::base::Digest;

    /// spec 8.5: the typed word turns the button on, and Cancel is chosen first.
    #[test]
    fn a_typed_word_is_needed() {
        let mut dialog = Dialog::new(Topic::Switch, "Switch", vec![])
            .entry("name", "", false)
            .button("Switch", Deed::Send(Order::Switch { dry_run: false }, "Switching".into()));
        dialog.word = Some("node-b".into());
        let switch = dialog.buttons[1].clone();
        assert!(dialog.chosen().is_none(), "the field has the focus");
        "node".chars().for_each(|c| dialog.entries[0].push(c));
        assert!(!dialog.is_on(&switch));
        "-b".chars().for_each(|c| dialog.entries[0].push(c));
        assert!(dialog.is_on(&switch));
        dialog.step(true);
        assert_eq!(dialog.chosen().map(|b| b.deed.clone()), Some(Deed::Cancel));
        dialog.step(true);
        dialog.step(true);
        assert_eq!(dialog.focus, 0);
        dialog.enter_field();
        assert_eq!(dialog.chosen().map(|b| b.deed.clone()), Some(Deed::Cancel), "dangerous: Cancel is chosen");
    }

    /// Enter leads through the fields to the button, and not past an empty one.
    #[test]
    fn enter_leads_through_the_fields() {
        let pair = Deed::Pair(Fingerprint(Digest::ZERO));
        let mut dialog =
            Dialog::new(Topic::Other, "Pair", vec![]).entry("password", "", true).button("Pair", pair.clone());
        dialog.enter_field();
        assert_eq!(dialog.chosen().map(|b| b.deed.clone()), Some(Deed::Cancel));
        dialog.step(false);
        dialog.entries[0].push('1');
        dialog.enter_field();
        assert_eq!(dialog.chosen().map(|b| b.deed.clone()), Some(pair));
    }
}
