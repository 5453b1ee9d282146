//! The one table of keys: dispatch, footer, help and palette come from it, and confirmations follow its danger levels
//! (`ARCHITECTURE.md`, walls). Grammar: lower case acts safely, CAPITALS ask first, one action has one key everywhere.

mod reasons;
mod table;

#[cfg(test)]
mod tests;

use super::message::Key;
use super::model::{Model, Screen};
use crate::engine::base::{Condition, Role};
pub use reasons::are_secrets_shown;
pub use table::TABLE;

/// Places where keys go; a set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Contexts(u16);

impl Contexts {
    /// Nowhere.
    pub const NONE: Self = Self(0);
    /// Screen 1.
    pub const OVERVIEW: Self = Self(1);
    /// Screen 2.
    pub const PAIR: Self = Self(2);
    /// Screen 3.
    pub const CONFIGURATION: Self = Self(4);
    /// Screen 4.
    pub const ALERTS: Self = Self(8);
    /// Screen 5.
    pub const EVENTS: Self = Self(16);
    /// Every screen.
    pub const SCREENS: Self = Self(31);
    /// Help and other pages of text.
    pub const READING: Self = Self(32);
    /// The palette: letters are typed.
    pub const PALETTE: Self = Self(64);
    /// A filter: letters are typed.
    pub const FILTER: Self = Self(128);
    /// A button of a dialog is chosen.
    pub const DIALOG: Self = Self(256);
    /// A field of a dialog is edited: letters are typed.
    pub const ENTRY: Self = Self(512);
    /// The window is too small to show what a key would do.
    pub const TOO_SMALL: Self = Self(1024);
    /// A form of settings: letters are typed.
    pub const FORM: Self = Self(2048);
    /// The revisions.
    pub const HISTORY: Self = Self(4096);
    /// Two versions compared.
    pub const DIFF: Self = Self(8192);
    /// The branches.
    pub const BRANCHES: Self = Self(16384);
    /// Where letters are typed.
    pub const TYPING: Self = Self(64 | 128 | 512 | 2048);

    /// All, one by one.
    pub const EACH: [Self; 15] = [
        Self::OVERVIEW,
        Self::PAIR,
        Self::CONFIGURATION,
        Self::ALERTS,
        Self::EVENTS,
        Self::READING,
        Self::PALETTE,
        Self::FILTER,
        Self::DIALOG,
        Self::ENTRY,
        Self::TOO_SMALL,
        Self::FORM,
        Self::HISTORY,
        Self::DIFF,
        Self::BRANCHES,
    ];

    /// Both.
    #[must_use]
    pub const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether they share a place.
    #[must_use]
    pub const fn meets(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// Of a screen.
    #[must_use]
    pub fn of(screen: Screen) -> Self {
        match screen {
            Screen::Overview => Self::OVERVIEW,
            Screen::Pair => Self::PAIR,
            Screen::Configuration => Self::CONFIGURATION,
            Screen::Alerts => Self::ALERTS,
            Screen::Events => Self::EVENTS,
        }
    }
}

/// What a key does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // Each has its help text in the table.
pub enum Action {
    Overview,
    Pair,
    Configuration,
    Alerts,
    Events,
    NextScreen,
    PreviousScreen,
    Up,
    Down,
    PageUp,
    PageDown,
    Top,
    Bottom,
    Left,
    Right,
    Open,
    Back,
    Filter,
    Now,
    Connect,
    SwitchRoles,
    AbortSwitch,
    Rehearse,
    Maintenance,
    Disconnect,
    Reconnect,
    BecomeMaster,
    BecomeShadow,
    Reset,
    Edit,
    Verify,
    Differences,
    WithDirectory,
    History,
    Restore,
    Next,
    Previous,
    HeldBack,
    Reapply,
    Branches,
    CheckTimeouts,
    ShowSecrets,
    Copy,
    Understood,
    DeleteAlert,
    DeleteAllAlerts,
    StopEngine,
    StopKeepingRole,
    Help,
    Palette,
    Leave,
    Suspend,
    Redraw,
    Confirm,
    Cancel,
    NextPlace,
    PreviousPlace,
    Erase,
    EraseAll,
}

/// Part of the help.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    /// Changes something for the pair.
    Pair,
    /// Looks closer.
    Look,
    /// Alerts.
    Alerts,
    /// Screens and moves.
    Move,
    /// The console itself.
    Console,
    /// In dialogs and fields.
    Dialog,
}

impl Group {
    /// In the order of the help.
    pub const ALL: [Self; 6] = [Self::Pair, Self::Look, Self::Alerts, Self::Move, Self::Console, Self::Dialog];

    /// Heading.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::Pair => "The pair",
            Self::Look => "Look closer",
            Self::Alerts => "Alerts",
            Self::Move => "Screens and moves",
            Self::Console => "The console",
            Self::Dialog => "In dialogs and fields",
        }
    }
}

/// How much an action asks before it acts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Danger {
    /// Acts.
    Plain,
    /// Asks.
    Ask,
    /// Asks for a typed word.
    Type,
}

/// One row.
pub struct Row {
    /// What it does.
    pub action: Action,
    /// Any of them; none: palette only.
    pub keys: &'static [Key],
    /// Where it works.
    pub contexts: Contexts,
    /// Where the footer offers it.
    pub footer: Contexts,
    /// Part of the help.
    pub group: Group,
    /// A few words for footer and palette.
    pub label: &'static str,
    /// A sentence.
    pub help: &'static str,
    /// What it asks.
    pub danger: Danger,
    /// Why it cannot work now (spec 8.5).
    pub reason: fn(&Model) -> Option<String>,
}

impl Row {
    /// Its first key.
    #[must_use]
    pub fn key_name(&self) -> String {
        self.keys.first().map(|key| key.name()).unwrap_or_default()
    }

    /// Its label, in the words of the moment.
    #[must_use]
    pub fn label_now(&self, model: &Model) -> &'static str {
        let has_maintenance = model.status.as_ref().is_some_and(|status| status.maintenance_until.is_some());
        match self.action {
            Action::Now if model.condition() == Some(Condition::Damped) => "end damping",
            Action::Now if model.status.as_ref().is_some_and(|status| status.hold.is_some()) => "resume now",
            Action::Now if model.role() == Some(Role::Shadow) => "try now",
            Action::Now => "push now",
            Action::Maintenance if has_maintenance => "end maintenance",
            Action::Pair if model.role() == Some(Role::Shadow) => "shadow connector",
            Action::ShowSecrets if reasons::are_secrets_shown(model) => "hide secrets",
            Action::Open if model.overlay == Some(super::model::Overlay::History) => "what changed",
            Action::History if model.overlay == Some(super::model::Overlay::History) => {
                match model.files.history.path {
                    Some(_) => "all revisions",
                    None => "of the path alone",
                }
            }
            Action::Confirm if model.filtering && (model.overlay.is_some() || model.files.in_file) => "keep the search",
            Action::Filter if model.overlay == Some(super::model::Overlay::Diff) || model.files.in_file => "search",
            _ => self.label,
        }
    }
}

/// Moves that the palette offers too.
const OPENERS: [Action; 5] = [Action::Overview, Action::Pair, Action::Configuration, Action::Alerts, Action::Events];

/// The row of `key` in `context`.
#[must_use]
pub fn lookup(context: Contexts, key: Key) -> Option<&'static Row> {
    TABLE.iter().find(|row| row.contexts.meets(context) && row.keys.contains(&key))
}

/// The row of `action`.
///
/// # Panics
/// Never: a test holds the table to having each action.
#[must_use]
pub fn row(action: Action) -> &'static Row {
    TABLE.iter().find(|row| row.action == action).unwrap_or(&TABLE[0])
}

/// What the footer offers in `context`: key and label of every action that works now, most useful first.
#[must_use]
pub fn footer(model: &Model, context: Contexts) -> Vec<(String, &'static str)> {
    let mut items: Vec<(String, &'static str)> = Vec::new();
    for row in TABLE.iter().filter(|row| row.footer.meets(context) && (row.reason)(model).is_none()) {
        items.push((row.key_name(), row.label_now(model)));
    }
    items
}

/// Rows whose label or help holds every word of `text`, for the palette.
#[must_use]
pub fn matching(text: &str) -> Vec<&'static Row> {
    let words: Vec<String> = text.to_lowercase().split_whitespace().map(str::to_owned).collect();
    TABLE
        .iter()
        .filter(|row| row.contexts.meets(Contexts::SCREENS) && !matches!(row.group, Group::Dialog | Group::Move))
        .filter(|row| row.action != Action::Palette)
        .chain(TABLE.iter().filter(|row| OPENERS.contains(&row.action)))
        .filter(|row| {
            let line = format!("{} {}", row.label, row.help).to_lowercase();
            words.iter().all(|word| line.contains(word))
        })
        .collect()
}
