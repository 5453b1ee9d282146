//! The wizard on the terminal. The same threads and frames as the console's, and no engine yet.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use super::keys::{Parser, Typed};
use super::main_loop::{ESCAPE_PAUSE, HAPPENED_MAX, Happened, Reader, copy_bytes, start_reader};
use super::screen::Screen;
use super::tty::Tty;
use crate::console::field::FieldKey;
use crate::console::message::{Code, Key};
use crate::console::wizard::{Answer, Outcome, Request, Wizard, WizardKey};
use crate::engine::base::Problem;
use crate::engine::setup::SetupPlan;
use crate::view::form::Look;
use crate::view::{ColorLevel, Theme, wizard as view};

/// Looks something up; runs in a thread of its own and may take its time.
pub type FindOut = Box<dyn Fn(&Request) -> Answer + Send>;
/// Writes the home.
pub type Save<'a> = &'a mut dyn FnMut(&SetupPlan) -> Result<(), Problem>;

/// Lookups waiting for their turn.
const REQUESTS_MAX: usize = 32;
/// How long nothing may happen before the loop looks around.
const IDLE: Duration = Duration::from_millis(250);

/// How the wizard ended.
pub enum End {
    /// The home is written.
    Saved,
    /// Left; what was dropped.
    Left(Vec<String>),
    /// The terminal is gone; nothing was written.
    TerminalLost,
}

/// Runs until saved or left.
///
/// # Errors
/// The terminal is gone.
pub fn run(wizard: Wizard, theme: Theme, find_out: FindOut, save: Save<'_>, tty: &Tty) -> io::Result<End> {
    let (out, happened) = sync_channel(HAPPENED_MAX);
    let reader = Arc::new(Reader::default());
    let _keys = start_reader(tty, &reader, out)?;
    let (requests, answers) = start_lookups(find_out)?;
    let (columns, rows) = tty.size()?;
    let screen = Screen::new(columns, rows, theme)?;
    let mut running = Running { wizard, theme, screen, parser: Parser::default(), typed_at: None, tty, requests, save };
    running.run(&happened, &answers)
}

fn start_lookups(find_out: FindOut) -> io::Result<(SyncSender<Request>, Receiver<Answer>)> {
    let (requests, wanted) = sync_channel::<Request>(REQUESTS_MAX);
    let (found, answers) = sync_channel(REQUESTS_MAX);
    thread::Builder::new().name("wizard".into()).spawn(move || {
        while let Ok(request) = wanted.recv() {
            if found.send(find_out(&request)).is_err() {
                return;
            }
        }
    })?;
    Ok((requests, answers))
}

struct Running<'a> {
    wizard: Wizard,
    theme: Theme,
    screen: Screen,
    parser: Parser,
    typed_at: Option<Instant>,
    tty: &'a Tty,
    requests: SyncSender<Request>,
    save: Save<'a>,
}

impl Running<'_> {
    fn run(&mut self, happened: &Receiver<Happened>, answers: &Receiver<Answer>) -> io::Result<End> {
        loop {
            while let Ok(answer) = answers.try_recv() {
                self.wizard.answer(&answer);
            }
            self.draw()?;
            let wait = self.typed_at.map_or(IDLE, |at| ESCAPE_PAUSE.saturating_sub(at.elapsed()));
            let typed = match happened.recv_timeout(wait) {
                Ok(Happened::Bytes(bytes)) => {
                    let typed = self.parser.feed(&bytes);
                    self.typed_at = self.parser.is_waiting().then(Instant::now);
                    typed
                }
                Ok(Happened::Size(columns, rows)) => {
                    self.screen = Screen::new(columns, rows, self.theme)?;
                    Vec::new()
                }
                Ok(Happened::Lost) | Err(RecvTimeoutError::Disconnected) => return Ok(End::TerminalLost),
                Ok(_) => Vec::new(),
                Err(RecvTimeoutError::Timeout) if self.typed_at.is_some_and(|at| at.elapsed() >= ESCAPE_PAUSE) => {
                    self.typed_at = None;
                    self.parser.flush()
                }
                Err(RecvTimeoutError::Timeout) => Vec::new(),
            };
            for one in typed {
                if let Some(end) = self.take(one)? {
                    return Ok(end);
                }
            }
        }
    }

    fn take(&mut self, typed: Typed) -> io::Result<Option<End>> {
        let key = match typed {
            Typed::Paste(text) => WizardKey::Paste(text),
            Typed::Key(key) => match wizard_key(key) {
                Some(key) => key,
                None => return Ok(None),
            },
        };
        match self.wizard.key(key) {
            Outcome::Stay => {}
            Outcome::Ask(requests) => {
                for request in requests {
                    // With so many waiting the answer would come too late anyway; the review looks again.
                    let _ = self.requests.try_send(request);
                }
            }
            Outcome::Copy(text) => self.tty.write(&copy_bytes(&text)?)?,
            Outcome::Leave(lines) => return Ok(Some(End::Left(lines))),
            Outcome::Save(plan) => {
                self.draw()?;
                match (self.save)(&plan) {
                    Ok(()) => return Ok(Some(End::Saved)),
                    Err(problem) => self.wizard.save_failed(problem),
                }
            }
        }
        Ok(None)
    }

    fn draw(&mut self) -> io::Result<()> {
        let look = Look { ascii: self.theme.ascii, color: self.theme.level != ColorLevel::Mono };
        let wizard = &self.wizard;
        let bytes = self.screen.draw_with(|frame| view::draw(frame, wizard, look))?;
        if bytes.is_empty() { Ok(()) } else { self.tty.write(&bytes) }
    }
}

fn wizard_key(key: Key) -> Option<WizardKey> {
    let edit = |key| Some(WizardKey::Edit(key));
    match (key.code, key.ctrl) {
        (Code::Char('c' | 'd'), true) => Some(WizardKey::Leave),
        (Code::Char('w'), true) => edit(FieldKey::DeleteWord),
        (Code::Char('u'), true) => edit(FieldKey::DeleteToStart),
        (Code::Char('k'), true) => edit(FieldKey::DeleteToEnd),
        (Code::Char('a'), true) | (Code::Home, _) => edit(FieldKey::Home),
        (Code::Char('e'), true) | (Code::End, _) => edit(FieldKey::End),
        (Code::Left, true) => edit(FieldKey::WordLeft),
        (Code::Right, true) => edit(FieldKey::WordRight),
        (Code::Char(_), true) => None,
        (Code::Char(c), false) => edit(FieldKey::Char(c)),
        (Code::Backspace, _) => edit(FieldKey::Backspace),
        (Code::Delete, _) => edit(FieldKey::Delete),
        (Code::Left, false) => edit(FieldKey::Left),
        (Code::Right, false) => edit(FieldKey::Right),
        (Code::Up | Code::BackTab, _) => Some(WizardKey::Up),
        (Code::Down | Code::Tab, _) => Some(WizardKey::Down),
        (Code::Enter, _) => Some(WizardKey::Enter),
        (Code::PageDown, _) => Some(WizardKey::NextStep),
        (Code::PageUp | Code::Esc, _) => Some(WizardKey::Back),
    }
}
