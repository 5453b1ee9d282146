//! Everything the console knows. The view draws from it and nothing else.

use std::collections::{BTreeMap, VecDeque};

use super::dialog::Dialog;
use super::files::Files;
use super::form::Form;
use super::keymap::Contexts;
use super::message::{Command, Drawn};
use crate::engine::alerts::Alert;
use crate::engine::base::{Condition, LinkState, RevisionId, Role, UnixMillis};
use crate::engine::event::Event;
use crate::engine::history::Change;
use crate::engine::order::{ClientFrame, Order};
use crate::engine::status::Status;
use crate::engine::timeouts::TimeoutReport;

/// Smallest window that is drawn (spec 8.4).
pub const COLUMNS_MIN: u16 = 60;
/// Smallest window that is drawn (spec 8.4).
pub const ROWS_MIN: u16 = 16;
/// Most events kept; older ones are in `standin events`.
pub const EVENTS_MAX: usize = 2_000;
/// Orders without an answer at the same time.
pub const PENDING_MAX: usize = 32;
/// Minutes of round trips kept.
pub const TREND_MINUTES: usize = 15;

/// A screen (spec 8.2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Screen {
    /// `1`
    #[default]
    Overview,
    /// `2`: High Availability or Shadow Connector.
    Pair,
    /// `3`
    Configuration,
    /// `4`
    Alerts,
    /// `5`
    Events,
}

impl Screen {
    /// In the order of their digits.
    pub const ALL: [Self; 5] = [Self::Overview, Self::Pair, Self::Configuration, Self::Alerts, Self::Events];

    /// 0 to 4.
    #[must_use]
    pub fn index(self) -> usize {
        self as usize
    }
}

/// How the console reaches its engine (spec 8.8).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum EngineLink {
    /// Not yet.
    #[default]
    Connecting,
    /// Answers.
    Connected,
    /// Went away; what is shown is old.
    Away {
        /// Since when.
        since: UnixMillis,
        /// In words.
        why: String,
    },
}

/// How loud a line is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tone {
    /// As the rest.
    #[default]
    Plain,
    /// Something is not as it should be.
    Warning,
    /// Something failed.
    Error,
}

/// The result of the last action, for the message line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Note {
    /// One line.
    pub text: String,
    /// How loud.
    pub tone: Tone,
}

/// What an answer is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asked {
    /// A sentence for the message line.
    Sentence,
    /// The checks of a switch, for the open dialog.
    Rehearsal,
    /// The master's fingerprint, for the open dialog.
    Probe,
    /// A part of the list of files: all of it, or what changed since a revision.
    Part(Option<RevisionId>),
    /// One file.
    File(String),
    /// A comparison of both sides.
    Verify,
    /// What is held back.
    Held,
    /// What was found changed on this shadow.
    Drifted,
    /// Revisions of a path; none: of the configuration.
    Log(Option<String>),
    /// A comparison of two versions.
    Diff,
    /// What a change would do, for the open dialog: the change, and its message.
    Preview(Box<(Change, String)>),
    /// A file, to be edited.
    EditRead(String),
    /// The edited text was handed over.
    EditKeep,
    /// The edited text becomes a revision.
    EditApply,
    /// The branches.
    Branches,
    /// Whether the timeouts hold.
    Timeouts,
    /// The settings of the open form.
    Form,
    /// The stop of the engine; leave when done.
    Stop,
}

/// An order on its way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pending {
    /// `Verifying every file on both sides`.
    pub label: String,
    /// Since when.
    pub since: UnixMillis,
    /// What for.
    pub asked: Asked,
}

/// What lies over the screen, below a dialog.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Overlay {
    /// All keys.
    Help,
    /// `:`; the typed text and the chosen row.
    Palette {
        /// Typed so far.
        text: String,
        /// Of the matching rows.
        chosen: usize,
    },
    /// The differences between both sides.
    Report,
    /// Branches kept after a divergence.
    Branches,
    /// What is held back (spec 5.4).
    Held,
    /// Revisions.
    History,
    /// Two versions compared.
    Diff,
    /// Whether the timeouts hold (spec 4.2).
    Timeouts(Box<TimeoutReport>),
    /// One alert, whole, by its id.
    Alert(u64),
    /// One event, whole.
    Event(u64),
}

/// The Alerts screen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Alerts {
    /// Newest first.
    pub list: Vec<Alert>,
    /// A list has come.
    pub loaded: bool,
    /// Id of the selected one.
    pub selected: Option<u64>,
}

impl Alerts {
    /// The selected one.
    #[must_use]
    pub fn current(&self) -> Option<&Alert> {
        let id = self.selected?;
        self.list.iter().find(|alert| alert.id == id)
    }

    /// Where it is.
    #[must_use]
    pub fn position(&self) -> Option<usize> {
        let id = self.selected?;
        self.list.iter().position(|alert| alert.id == id)
    }
}

/// The Events screen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Events {
    /// Oldest first, at most [`EVENTS_MAX`].
    pub list: VecDeque<Event>,
    /// As typed.
    pub filter: String,
    /// Id of the selected one; none: the newest, following.
    pub selected: Option<u64>,
}

impl Events {
    /// Those that match the filter.
    pub fn matching(&self) -> impl DoubleEndedIterator<Item = &Event> {
        let filter = self.filter.to_lowercase();
        self.list.iter().filter(move |event| {
            filter.is_empty()
                || event.text.to_lowercase().contains(&filter)
                || event.kind.word().contains(&filter)
                || event.severity.word().to_lowercase().contains(&filter)
                || event.who.as_ref().is_some_and(|who| who.to_lowercase().contains(&filter))
                || event.timeline.iter().any(|entry| entry.text.to_lowercase().contains(&filter))
        })
    }

    /// The selected one, or the newest.
    #[must_use]
    pub fn current(&self) -> Option<&Event> {
        match self.selected {
            Some(id) => self.matching().find(|event| event.id == id),
            None => self.matching().next_back(),
        }
    }
}

/// Round trips, the longest of each minute.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Trend {
    /// Minute since 1970, milliseconds; at most [`TREND_MINUTES`].
    pub minutes: VecDeque<(i64, f64)>,
}

impl Trend {
    /// Takes one more measurement in.
    pub fn add(&mut self, at: UnixMillis, ms: f64) {
        let minute = at.0 / 60_000;
        match self.minutes.back_mut() {
            Some((last, longest)) if *last == minute => *longest = longest.max(ms),
            _ => self.minutes.push_back((minute, ms)),
        }
        if self.minutes.len() > TREND_MINUTES {
            self.minutes.pop_front();
        }
    }
}

/// The whole.
#[derive(Default)]
pub struct Model {
    /// Window, in cells.
    pub columns: u16,
    /// Window, in cells.
    pub rows: u16,
    /// This process embeds the engine or started it (spec 8.1).
    pub embeds: bool,
    /// A shadow without a pair was asked once whom to connect to.
    pub has_offered_connect: bool,
    /// Latest wall time heard of; ages are counted to it.
    pub now: UnixMillis,
    /// How the engine is reached.
    pub link: EngineLink,
    /// Program version of the engine.
    pub engine_version: String,
    /// As shown: follows `latest` at material changes and key presses only (spec 8.6).
    pub status: Option<Box<Status>>,
    /// As last heard.
    pub latest: Option<Box<Status>>,
    /// When what is shown last changed.
    pub shown_at: UnixMillis,
    /// Round trips as shown.
    pub trend: Trend,
    /// Round trips as last heard.
    pub latest_trend: Trend,
    /// Alerts.
    pub alerts: Alerts,
    /// Events.
    pub events: Events,
    /// Configuration.
    pub files: Files,
    /// The screen.
    pub screen: Screen,
    /// Over the screen.
    pub overlay: Option<Overlay>,
    /// Settings in edit, over the screen.
    pub form: Option<Form>,
    /// Over everything.
    pub dialog: Option<Dialog>,
    /// A filter is being typed on Configuration or Events.
    pub filtering: bool,
    /// The result of the last action.
    pub note: Option<Note>,
    /// Orders without an answer.
    pub pending: BTreeMap<u64, Pending>,
    /// Of the newest order.
    pub last_order: u64,
    /// Scroll position of each screen without a list of its own, and of overlays.
    pub scroll: u16,
    /// What the view said about the last drawing.
    pub drawn: Drawn,
    /// A test wants a fault in the drawing code.
    pub fault: bool,
}

impl Model {
    /// Before anything was heard.
    #[must_use]
    pub fn new(columns: u16, rows: u16, embeds: bool) -> Self {
        Self { columns, rows, embeds, ..Self::default() }
    }

    /// The window is too small to draw (spec 8.4).
    #[must_use]
    pub fn is_too_small(&self) -> bool {
        self.columns < COLUMNS_MIN || self.rows < ROWS_MIN
    }

    /// Something counts down or runs: a [`super::Message::Tick`] a second is wanted.
    #[must_use]
    pub fn is_animated(&self) -> bool {
        if !self.pending.is_empty() || self.link != EngineLink::Connected {
            return true;
        }
        self.status.as_ref().is_some_and(|status| {
            status.hold.as_ref().is_some_and(|hold| hold.ends_at.is_some()) || status.takeover.due_at.is_some()
        })
    }

    /// Where keys go now.
    #[must_use]
    pub fn context(&self) -> Contexts {
        if self.is_too_small() {
            return Contexts::TOO_SMALL;
        }
        if let Some(dialog) = &self.dialog {
            return if dialog.chosen().is_none() { Contexts::ENTRY } else { Contexts::DIALOG };
        }
        if self.form.is_some() {
            return Contexts::FORM;
        }
        match &self.overlay {
            Some(Overlay::Palette { .. }) => Contexts::PALETTE,
            Some(Overlay::Diff) if self.filtering => Contexts::FILTER,
            Some(Overlay::Diff) => Contexts::DIFF,
            Some(Overlay::History) => Contexts::HISTORY,
            Some(Overlay::Branches) => Contexts::BRANCHES,
            Some(_) => Contexts::READING,
            None if self.filtering => Contexts::FILTER,
            None => Contexts::of(self.screen),
        }
    }

    /// The role, if known and chosen.
    #[must_use]
    pub fn role(&self) -> Option<Role> {
        self.status.as_ref().and_then(|status| status.role)
    }

    /// The link state.
    #[must_use]
    pub fn state(&self) -> Option<LinkState> {
        self.status.as_ref().and_then(|status| status.state)
    }

    /// What holds the instance back.
    #[must_use]
    pub fn condition(&self) -> Option<Condition> {
        self.status.as_ref().and_then(|status| status.condition)
    }

    /// The engine answers and this console is connected to it.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.link == EngineLink::Connected
    }

    /// Number of open alerts.
    #[must_use]
    pub fn alerts_open(&self) -> u64 {
        if self.alerts.loaded {
            return self.alerts.list.len() as u64;
        }
        let counts = self.status.as_ref().map(|status| status.alerts).unwrap_or_default();
        u64::from(counts.error) + u64::from(counts.warning) + u64::from(counts.information)
    }

    /// Says something in the message line.
    pub fn say(&mut self, tone: Tone, text: impl Into<String>) {
        self.note = Some(Note { text: text.into(), tone });
    }

    /// Remembers the order and gives the command that sends it; refused beyond [`PENDING_MAX`].
    #[must_use]
    pub fn order(&mut self, order: Order, asked: Asked, label: &str) -> Option<Command> {
        if self.pending.len() >= PENDING_MAX {
            self.say(Tone::Warning, "Too many orders wait for an answer; try again when one has come");
            return None;
        }
        self.last_order += 1;
        let id = self.last_order;
        self.pending.insert(id, Pending { label: label.to_owned(), since: self.now, asked });
        Some(Command::Send(ClientFrame::Order { id, order }))
    }
}
