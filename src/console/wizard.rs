//! The first start: role, administrator, connection, review (spec 1.1). Nothing is written before the save; back keeps what
//! was entered; leaving says what is dropped.

use super::field::FieldKey;
use super::form::Item;
use crate::engine::base::{Problem, Role};
use crate::engine::settings::Settings;
pub use crate::engine::setup::SetupPlan;

mod findings;
mod pages;
mod review;
#[cfg(test)]
mod tests;

pub use findings::{Answer, Request};
pub use review::{Review, WrittenFile};

/// Most requests that one key press makes: one for each field of a page.
pub const REQUESTS_MAX: usize = 16;

/// Most lines of the review that can be scrolled away.
const SCROLL_MAX: usize = 32;

/// What was found on this machine before the wizard opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Names of this machine, the best first.
    pub host_names: Vec<String>,
    /// Its addresses.
    pub addresses: Vec<String>,
    /// Whether the administration port of the settings is free, or why not.
    pub port_free: Result<(), String>,
    /// The home to be made.
    pub home: String,
    /// Standin takes this home by itself, without being told.
    pub is_default_home: bool,
    /// The mirrored directory when none is named.
    pub default_directory: String,
}

/// The steps, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// Master or shadow.
    Role,
    /// Name and password.
    Administrator,
    /// Connection data (shadow) or description and high availability (master).
    Connection,
    /// What will be written.
    Review,
}

impl Step {
    /// All, in order.
    pub const ALL: [Self; 4] = [Self::Role, Self::Administrator, Self::Connection, Self::Review];

    /// Its name.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::Role => "Role",
            Self::Administrator => "Administrator",
            Self::Connection => "Connection",
            Self::Review => "Review",
        }
    }

    /// Counted from 1.
    #[must_use]
    pub fn number(self) -> usize {
        Self::ALL.iter().position(|step| *step == self).unwrap_or(0) + 1
    }

    fn before(self) -> Option<Self> {
        Self::ALL.into_iter().rev().find(|step| *step < self)
    }

    fn after(self) -> Option<Self> {
        Self::ALL.into_iter().find(|step| *step > self)
    }
}

/// A key press in the wizard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WizardKey {
    /// Into the field in focus. `y` on the review copies the command, `?` where nothing is typed opens the help.
    Edit(FieldKey),
    /// Pasted text; enters fields only (spec 8.5).
    Paste(String),
    /// The choice or field above.
    Up,
    /// The choice or field below (also Tab).
    Down,
    /// Next field, next step, save.
    Enter,
    /// The next step at once (PgDn).
    NextStep,
    /// The step before (Esc, PgUp).
    Back,
    /// Leave the wizard (Ctrl-C).
    Leave,
    /// Help (F1).
    Help,
}

/// What a key press asks of the console.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Draw again, nothing else.
    Stay,
    /// Find these out and call [`Wizard::answer`] with each; the wizard goes on meanwhile.
    Ask(Vec<Request>),
    /// Write it; then end the wizard, or call [`Wizard::save_failed`].
    Save(Box<SetupPlan>),
    /// End the wizard; the sentences say what was dropped.
    Leave(Vec<String>),
    /// Put this into the clipboard.
    Copy(String),
}

/// One page of fields.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// The fields.
    pub items: Vec<Item>,
    /// Index of the one in edit.
    pub focus: usize,
}

/// The whole wizard. Drawn by `view::wizard`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wizard {
    found: Found,
    base: Settings,
    step: Step,
    role: Role,
    administrator: Page,
    master: Page,
    shadow: Page,
    message: Option<String>,
    problem: Option<Problem>,
    is_saving: bool,
    /// The question whether to leave is open; the value is the answer chosen now.
    leaving: Option<bool>,
    has_help: bool,
    /// Lines of the review that are scrolled away.
    scroll: usize,
    asked: Vec<Request>,
}

impl Wizard {
    /// At the first step. `base` holds the settings as they are without the wizard: the defaults, or those of a file that
    /// was put into the home before.
    #[must_use]
    pub fn new(found: Found, base: Settings) -> Self {
        Self {
            administrator: Page { items: pages::administrator(), focus: 0 },
            master: Page { items: pages::master(&found, &base), focus: 0 },
            shadow: Page { items: pages::shadow(&found, &base), focus: 0 },
            found,
            base,
            step: Step::Role,
            role: Role::Master,
            message: None,
            problem: None,
            is_saving: false,
            leaving: None,
            has_help: false,
            scroll: 0,
            asked: Vec::new(),
        }
    }

    /// Takes a key press.
    pub fn key(&mut self, key: WizardKey) -> Outcome {
        self.message = None;
        if self.is_saving {
            self.message = Some("Writing; this takes a moment.".into());
            return Outcome::Stay;
        }
        if self.leaving.is_some() {
            return self.answer_leaving(&key);
        }
        if std::mem::take(&mut self.has_help) {
            return Outcome::Stay;
        }
        match key {
            WizardKey::Leave => self.leave(),
            WizardKey::Help => self.open_help(),
            WizardKey::Back => self.back(),
            WizardKey::NextStep if self.step != Step::Review => self.next_step(),
            WizardKey::NextStep => Outcome::Stay,
            key => match self.step {
                Step::Role => self.key_role(&key),
                Step::Administrator | Step::Connection => self.key_page(key),
                Step::Review => self.key_review(&key),
            },
        }
    }

    fn open_help(&mut self) -> Outcome {
        self.has_help = true;
        Outcome::Stay
    }

    fn key_role(&mut self, key: &WizardKey) -> Outcome {
        match key {
            WizardKey::Up | WizardKey::Down | WizardKey::Edit(FieldKey::Char(' ' | 'j' | 'k')) => {
                self.role = if self.role == Role::Master { Role::Shadow } else { Role::Master };
            }
            WizardKey::Edit(FieldKey::Char('m')) => self.role = Role::Master,
            WizardKey::Edit(FieldKey::Char('s')) => self.role = Role::Shadow,
            WizardKey::Edit(FieldKey::Char('?')) => return self.open_help(),
            WizardKey::Enter => return self.next_step(),
            _ => {}
        }
        Outcome::Stay
    }

    fn key_page(&mut self, key: WizardKey) -> Outcome {
        let Some(page) = self.page_mut() else { return Outcome::Stay };
        let (focus, last) = (page.focus, page.items.len().saturating_sub(1));
        match key {
            WizardKey::Enter if focus == last => return self.next_step(),
            WizardKey::Enter | WizardKey::Down => return self.go_to_field(if focus == last { 0 } else { focus + 1 }),
            WizardKey::Up => return self.go_to_field(focus.checked_sub(1).unwrap_or(last)),
            WizardKey::Edit(key) => {
                page.items[focus].key(key);
            }
            WizardKey::Paste(text) => {
                page.items[focus].paste(&text);
            }
            _ => {}
        }
        self.follow_typing();
        Outcome::Stay
    }

    /// What is kept up to date while typing: the strength of the password and what timings lead to.
    fn follow_typing(&mut self) {
        self.problem = None;
        pages::note_strength(&mut self.administrator.items);
    }

    /// A check runs on leaving a field, never while typing.
    fn go_to_field(&mut self, to: usize) -> Outcome {
        let from = self.page().map_or(0, |page| page.focus);
        self.check_field(from);
        if let Some(page) = self.page_mut() {
            page.focus = to;
        }
        let request = self.request_of(from);
        self.ask(request.into_iter().collect())
    }

    fn key_review(&mut self, key: &WizardKey) -> Outcome {
        match key {
            WizardKey::Edit(FieldKey::Char('y')) => {
                self.message = Some("The command is in the clipboard, if the terminal allows it.".into());
                Outcome::Copy(self.command_line(&self.plan()))
            }
            WizardKey::Edit(FieldKey::Char('?')) => self.open_help(),
            WizardKey::Enter => {
                self.problem = None;
                self.is_saving = true;
                Outcome::Save(Box::new(self.plan()))
            }
            WizardKey::Up | WizardKey::Edit(FieldKey::Char('k')) => {
                self.scroll = self.scroll.saturating_sub(1);
                Outcome::Stay
            }
            WizardKey::Down | WizardKey::Edit(FieldKey::Char('j')) => {
                self.scroll = (self.scroll + 1).min(SCROLL_MAX);
                Outcome::Stay
            }
            _ => Outcome::Stay,
        }
    }

    fn back(&mut self) -> Outcome {
        match self.step.before() {
            Some(step) => self.step = step,
            None => self.message = Some("This is the first step; Ctrl-C leaves.".into()),
        }
        self.problem = None;
        Outcome::Stay
    }

    /// On to the next step when everything on this page can stand; else the first field that cannot is in focus.
    fn next_step(&mut self) -> Outcome {
        let Some(next) = self.step.after() else { return Outcome::Stay };
        self.check_page();
        let mut wrong = 0;
        if let Some(page) = self.page_mut() {
            wrong = page.items.iter().filter(|item| item.problem.is_some()).count();
            page.focus = page.items.iter().position(|item| item.problem.is_some()).unwrap_or(page.focus);
        }
        if wrong > 0 || self.problem.is_some() {
            self.message = Some(match wrong {
                0 => "The step cannot be left yet.".into(),
                count => format!("To correct first: {count}, marked with !"),
            });
            return Outcome::Stay;
        }
        let fields = self.page().map_or(0, |page| page.items.len());
        let mut requests: Vec<Request> = (0..fields).filter_map(|index| self.request_of(index)).collect();
        self.step = next;
        self.scroll = 0;
        if next == Step::Connection {
            // What stands there by default is looked at before anybody types.
            let fields = self.page().map_or(0, |page| page.items.len());
            requests.extend((0..fields).filter_map(|index| self.request_of(index)));
        }
        self.ask(requests)
    }

    fn leave(&mut self) -> Outcome {
        if self.dropped().is_empty() {
            return Outcome::Leave(vec!["Nothing was entered and nothing was written.".into()]);
        }
        self.leaving = Some(false);
        Outcome::Stay
    }

    fn answer_leaving(&mut self, key: &WizardKey) -> Outcome {
        let chosen = self.leaving.unwrap_or(false);
        match key {
            WizardKey::Leave => return self.left(),
            WizardKey::Enter if chosen => return self.left(),
            WizardKey::Enter | WizardKey::Back => self.leaving = None,
            WizardKey::Edit(FieldKey::Left | FieldKey::Right) | WizardKey::Up | WizardKey::Down => {
                self.leaving = Some(!chosen);
            }
            _ => {}
        }
        Outcome::Stay
    }

    fn left(&mut self) -> Outcome {
        let mut lines = self.dropped();
        lines.push(format!("Nothing was written; {} is as it was.", self.found.home));
        Outcome::Leave(lines)
    }

    /// The save came to nothing; the review stays open with everything in it.
    pub fn save_failed(&mut self, problem: Problem) {
        self.is_saving = false;
        self.problem = Some(problem);
    }

    /// Everything as it would be saved now.
    #[must_use]
    pub fn plan(&self) -> SetupPlan {
        pages::plan(self)
    }

    /// The step shown.
    #[must_use]
    pub fn step(&self) -> Step {
        self.step
    }

    /// The role chosen.
    #[must_use]
    pub fn role(&self) -> Role {
        self.role
    }

    /// What was found on this machine.
    #[must_use]
    pub fn found(&self) -> &Found {
        &self.found
    }

    /// The fields of the step shown; none on *role* and *review*.
    #[must_use]
    pub fn page(&self) -> Option<&Page> {
        match (self.step, self.role) {
            (Step::Administrator, _) => Some(&self.administrator),
            (Step::Connection, Role::Master) => Some(&self.master),
            (Step::Connection, Role::Shadow) => Some(&self.shadow),
            _ => None,
        }
    }

    fn page_mut(&mut self) -> Option<&mut Page> {
        match (self.step, self.role) {
            (Step::Administrator, _) => Some(&mut self.administrator),
            (Step::Connection, Role::Master) => Some(&mut self.master),
            (Step::Connection, Role::Shadow) => Some(&mut self.shadow),
            _ => None,
        }
    }

    /// The result of the last key.
    #[must_use]
    pub fn message(&self) -> Option<&str> {
        self.message.as_deref()
    }

    /// Why the save, or the step, came to nothing.
    #[must_use]
    pub fn problem(&self) -> Option<&Problem> {
        self.problem.as_ref()
    }

    /// The plan is being written.
    #[must_use]
    pub fn is_saving(&self) -> bool {
        self.is_saving
    }

    /// The question whether to leave is open: whether *leave* is chosen.
    #[must_use]
    pub fn leaving(&self) -> Option<bool> {
        self.leaving
    }

    /// Lines of the review that are scrolled away, where it does not fit.
    #[must_use]
    pub fn scroll(&self) -> usize {
        self.scroll
    }

    /// The administration port that [`Found::port_free`] is about.
    #[must_use]
    pub fn default_port(&self) -> u16 {
        self.base.administration.port
    }

    /// The help is open.
    #[must_use]
    pub fn has_help(&self) -> bool {
        self.has_help
    }
}
