//! The one loop: what happened into the model, commands out, frames at most ten times a second.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TryRecvError, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::editor::{Editor, State};
use super::engine_link::EngineLink;
use super::keys::{Parser, Typed};
use super::screen::Screen;
use super::tty::{Guard, Tty};
use super::{FAULT_VARIABLE, Interrupt, Options, Outcome};
use crate::console::message::{Code, Edited};
use crate::console::{Command, Leave, Message, Model, update};
use crate::engine::base::UnixMillis;
use crate::engine::order::ServerFrame;

/// Events waiting to be taken in; who sends more, waits.
pub const HAPPENED_MAX: usize = 256;
/// At most ten frames a second.
const FRAME_GAP: Duration = Duration::from_millis(100);
/// What counts down moves once a second.
const TICK: Duration = Duration::from_secs(1);
/// A lone ESC is Escape after this.
pub const ESCAPE_PAUSE: Duration = Duration::from_millis(40);
/// How often signals are looked at.
const LOOK_GAP: Duration = Duration::from_millis(250);
/// A read without bytes that comes back faster than this did not wait: the terminal may be gone.
const READ_TOO_FAST: Duration = Duration::from_millis(20);
/// So many of those in a row, and it is.
const READS_TOO_FAST_MAX: u32 = 10;
/// The reader pauses within this time.
const PAUSE_LIMIT: Duration = Duration::from_millis(500);
/// Nobody but the editor may read the terminal: a reader in the background would be stopped for it.
const EDITOR_PAUSE_LIMIT: Duration = Duration::from_secs(5);
/// How often an editor is looked at.
const EDITOR_LOOK_GAP: Duration = Duration::from_millis(50);
/// Most text given to the clipboard, in bytes.
const COPY_MAX_BYTES: usize = 32 * 1024;

/// What the threads tell the loop.
pub enum Happened {
    /// Bytes were typed.
    Bytes(Vec<u8>),
    /// The window has another size.
    Size(u16, u16),
    /// The terminal is gone.
    Lost,
    /// The engine can be reached.
    Connected,
    /// It said something.
    Frame(Box<ServerFrame>),
    /// It went away, or could not be reached.
    Disconnected(String),
}

/// The reader's switches.
#[derive(Default)]
pub struct Reader {
    pause: AtomicBool,
    is_paused: AtomicBool,
    is_over: AtomicBool,
}

/// Runs until left.
pub fn run(options: Options, tty: &Tty, guard: &Guard<'_>) -> Outcome {
    let (out, happened) = sync_channel(HAPPENED_MAX);
    let reader = Arc::new(Reader::default());
    let Ok(_keys) = start_reader(tty, &reader, out.clone()) else { return Outcome::TerminalLost };
    let Ok(link) = EngineLink::start(options.connect, out) else { return Outcome::Failed };
    let Ok((columns, rows)) = tty.size() else { return Outcome::TerminalLost };
    let Ok(screen) = Screen::new(columns, rows, options.theme) else { return Outcome::TerminalLost };
    let mut console = Console {
        model: Model::new(columns, rows, options.embeds),
        screen,
        parser: Parser::default(),
        typed_at: None,
        tty,
        guard,
        reader: &reader,
        link: &link,
        happened: &happened,
        interrupts: options.interrupts.as_ref(),
        editor: None,
        may_fault: std::env::var_os(FAULT_VARIABLE).is_some_and(|value| value == "1"),
        theme: options.theme,
    };
    let outcome = console.run();
    link.stop();
    outcome.unwrap_or(Outcome::TerminalLost)
}

fn now() -> UnixMillis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    UnixMillis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

struct Console<'a> {
    model: Model,
    screen: Screen,
    parser: Parser,
    typed_at: Option<Instant>,
    tty: &'a Tty,
    guard: &'a Guard<'a>,
    reader: &'a Reader,
    link: &'a EngineLink,
    happened: &'a Receiver<Happened>,
    interrupts: Option<&'a Receiver<Interrupt>>,
    /// The operator's editor, while it has the terminal or is suspended.
    editor: Option<Editor>,
    may_fault: bool,
    theme: crate::view::Theme,
}

impl Console<'_> {
    /// An error means that the terminal is gone.
    fn run(&mut self) -> io::Result<Outcome> {
        let happened = self.happened;
        let mut drawn_at: Option<Instant> = None;
        let mut ticked_at = Instant::now();
        let mut is_dirty = true;
        let mut had_status = false;
        loop {
            if !had_status && self.model.status.is_some() {
                // The first picture that tells something is not held back by the empty one before it.
                had_status = true;
                drawn_at = None;
            }
            if is_dirty && drawn_at.is_none_or(|at| at.elapsed() >= FRAME_GAP) {
                self.draw()?;
                drawn_at = Some(Instant::now());
                is_dirty = false;
            }
            let wait = self.wait(is_dirty.then_some(drawn_at).flatten(), ticked_at);
            match happened.recv_timeout(wait) {
                Ok(first) => {
                    is_dirty = true;
                    if let Some(outcome) = self.take_all(first, happened)? {
                        return Ok(outcome);
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Ok(Outcome::TerminalLost),
            }
            if self.typed_at.is_some_and(|at| at.elapsed() >= ESCAPE_PAUSE) {
                self.typed_at = None;
                is_dirty = true;
                let typed = self.parser.flush();
                if let Some(outcome) = self.type_all(typed)? {
                    return Ok(outcome);
                }
            }
            if let Some(outcome) = self.interrupted() {
                return Ok(outcome);
            }
            if ticked_at.elapsed() >= TICK {
                ticked_at = Instant::now();
                if self.model.is_animated() {
                    is_dirty = true;
                    self.apply(Message::Tick(now()))?;
                }
            }
        }
    }

    fn interrupted(&self) -> Option<Outcome> {
        match self.interrupts?.try_recv() {
            Ok(Interrupt::Stop) => Some(Outcome::LeaveRunning),
            Ok(Interrupt::Hangup) => Some(Outcome::TerminalLost),
            Err(_) => None,
        }
    }

    /// Until the next thing that is due.
    fn wait(&self, drawn_at: Option<Instant>, ticked_at: Instant) -> Duration {
        let mut wait = LOOK_GAP;
        if let Some(at) = drawn_at {
            wait = wait.min(FRAME_GAP.saturating_sub(at.elapsed()));
        }
        if let Some(at) = self.typed_at {
            wait = wait.min(ESCAPE_PAUSE.saturating_sub(at.elapsed()));
        }
        if self.model.is_animated() {
            wait = wait.min(TICK.saturating_sub(ticked_at.elapsed()));
        }
        wait
    }

    /// One thing and whatever waits behind it: bursts make one frame.
    fn take_all(&mut self, first: Happened, happened: &Receiver<Happened>) -> io::Result<Option<Outcome>> {
        let mut next = first;
        for _ in 0..HAPPENED_MAX {
            if let Some(outcome) = self.take(next)? {
                return Ok(Some(outcome));
            }
            next = match happened.try_recv() {
                Ok(next) => next,
                Err(TryRecvError::Empty | TryRecvError::Disconnected) => return Ok(None),
            };
        }
        self.take(next)
    }

    fn take(&mut self, happened: Happened) -> io::Result<Option<Outcome>> {
        let message = match happened {
            Happened::Bytes(bytes) => {
                let typed = self.parser.feed(&bytes);
                self.typed_at = self.parser.is_waiting().then(Instant::now);
                return self.type_all(typed);
            }
            Happened::Size(columns, rows) => {
                self.screen = Screen::new(columns, rows, self.theme)?;
                Message::Resize { columns, rows }
            }
            Happened::Lost => return Ok(Some(Outcome::TerminalLost)),
            Happened::Connected => Message::Connected(now()),
            Happened::Frame(frame) => Message::Frame(frame, now()),
            Happened::Disconnected(why) => Message::Disconnected(why, now()),
        };
        self.apply(message)
    }

    fn type_all(&mut self, typed: Vec<Typed>) -> io::Result<Option<Outcome>> {
        for one in typed {
            let message = match one {
                Typed::Key(key) => {
                    if self.may_fault && key.code == Code::Char('!') {
                        self.model.fault = true;
                    }
                    Message::Key(key, now())
                }
                Typed::Paste(text) => Message::Paste(text),
            };
            if let Some(outcome) = self.apply(message)? {
                return Ok(Some(outcome));
            }
        }
        Ok(None)
    }

    fn apply(&mut self, message: Message) -> io::Result<Option<Outcome>> {
        for command in update(&mut self.model, message) {
            match command {
                Command::Send(frame) => self.link.send(&frame),
                Command::Quit(Leave::Stop) => return Ok(Some(Outcome::Stop)),
                Command::Quit(Leave::LeaveRunning) => return Ok(Some(Outcome::LeaveRunning)),
                Command::Copy(text) => self.copy(&text)?,
                Command::Suspend => self.suspend()?,
                Command::Redraw => self.screen.forget()?,
                Command::RemoveCopy(copy) => crate::files::private_copy::remove(Path::new(&copy)),
                Command::Edit { path, text } => {
                    if let Some(outcome) = self.edit(Some((path, text)))? {
                        return Ok(Some(outcome));
                    }
                }
                Command::ContinueEditor => {
                    if let Some(outcome) = self.edit(None)? {
                        return Ok(Some(outcome));
                    }
                }
            }
        }
        Ok(None)
    }

    /// Gives the terminal to a new editor, or to the suspended one, until it ends or is suspended. Meanwhile what the engine
    /// says is taken in, so that it never has to wait for this console, and nothing is drawn.
    fn edit(&mut self, file: Option<(String, String)>) -> io::Result<Option<Outcome>> {
        if !self.pause_reader(EDITOR_PAUSE_LIMIT) {
            self.reader.pause.store(false, Ordering::SeqCst);
            let why = "the console could not let go of the terminal; try again".into();
            return self.apply(Message::Edited(Edited::Failed { why, copy: None }));
        }
        self.guard.lend();
        let started = match (file, &self.editor) {
            (Some((path, text)), _) => Editor::start(self.tty, &path, text).map(|editor| self.editor = Some(editor)),
            (None, Some(editor)) => {
                editor.give(self.tty);
                Ok(())
            }
            (None, None) => Err(io::Error::other("no editor is open")),
        };
        let waited = match started {
            Ok(()) => self.wait_for_editor(),
            Err(error) => Ok(Err(Edited::Failed { why: error.to_string(), copy: None })),
        };
        if let Some(editor) = &self.editor {
            editor.take(self.tty);
        }
        self.guard.take_back()?;
        self.reader.pause.store(false, Ordering::SeqCst);
        self.screen.forget()?;
        match waited? {
            Ok(outcome) => Ok(Some(outcome)),
            Err(edited) => {
                if edited != Edited::Suspended {
                    self.editor = None;
                }
                self.apply(Message::Edited(edited))
            }
        }
    }

    /// What came of the editor; or how the console ends, because somebody wants it to.
    fn wait_for_editor(&mut self) -> io::Result<Result<Outcome, Edited>> {
        loop {
            if let Some(outcome) = self.interrupted() {
                return Ok(Ok(outcome));
            }
            match self.editor.as_mut().map(Editor::look) {
                Some(State::Open) => {}
                Some(State::Suspended) => return Ok(Err(Edited::Suspended)),
                Some(State::Ended(status)) => {
                    // The terminal is taken back with what it knows: first that, then what it left.
                    let Some(editor) = self.editor.take() else { continue };
                    editor.take(self.tty);
                    return Ok(Err(editor.result(status)));
                }
                None => return Ok(Err(Edited::Same)),
            }
            match self.happened.recv_timeout(EDITOR_LOOK_GAP) {
                // Typed before the editor had the terminal: meant for neither.
                Ok(Happened::Bytes(_)) | Err(RecvTimeoutError::Timeout) => {}
                Ok(Happened::Lost) | Err(RecvTimeoutError::Disconnected) => return Ok(Ok(Outcome::TerminalLost)),
                Ok(happened) => {
                    if let Some(outcome) = self.take(happened)? {
                        return Ok(Ok(outcome));
                    }
                }
            }
        }
    }

    /// True: nobody reads the terminal any more, until `pause` is taken back.
    fn pause_reader(&self, limit: Duration) -> bool {
        self.reader.pause.store(true, Ordering::SeqCst);
        let since = Instant::now();
        while !self.reader.is_paused.load(Ordering::SeqCst) && since.elapsed() < limit {
            thread::sleep(Duration::from_millis(10));
        }
        self.reader.is_paused.load(Ordering::SeqCst)
    }

    fn draw(&mut self) -> io::Result<()> {
        let (bytes, drawn) = self.screen.draw(&self.model)?;
        if !bytes.is_empty() {
            self.tty.write(&bytes)?;
        }
        if drawn != self.model.drawn {
            // Gives no commands: it only tells how far things scroll.
            update(&mut self.model, Message::Drawn(drawn));
        }
        Ok(())
    }

    fn copy(&self, text: &str) -> io::Result<()> {
        self.tty.write(&copy_bytes(text)?)
    }

    fn suspend(&mut self) -> io::Result<()> {
        let _ = self.pause_reader(PAUSE_LIMIT);
        let result = self.guard.suspend();
        self.reader.pause.store(false, Ordering::SeqCst);
        self.screen.forget()?;
        result
    }
}

/// What puts a text into the operator's clipboard, by the terminal (OSC 52).
///
/// # Errors
/// None: it is written to memory.
pub fn copy_bytes(text: &str) -> io::Result<Vec<u8>> {
    use crossterm::Command as _;
    let end = (0..=COPY_MAX_BYTES.min(text.len())).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    let mut sequence = String::new();
    crossterm::clipboard::CopyToClipboard::to_clipboard_from(&text[..end])
        .write_ansi(&mut sequence)
        .map_err(io::Error::other)?;
    Ok(sequence.into_bytes())
}

/// Reads keys and sizes in a thread of its own.
///
/// # Errors
/// Those of the system.
pub fn start_reader(tty: &Tty, reader: &Arc<Reader>, out: SyncSender<Happened>) -> io::Result<KeyReader> {
    let tty = tty.reader()?;
    let (switches, reader) = (Arc::clone(reader), Arc::clone(reader));
    // Before the loop asks for it: a change in between is told twice rather than never.
    let size = tty.size()?;
    let thread = thread::Builder::new().name("console-keys".into()).spawn(move || {
        let _ = read_keys(&tty, size, &reader, &out);
        // If nobody listens any more, nobody needs to know.
        let _ = out.send(Happened::Lost);
    })?;
    Ok(KeyReader { switches, thread })
}

/// The thread that reads keys; ended when dropped, also by a panic.
pub struct KeyReader {
    switches: Arc<Reader>,
    thread: JoinHandle<()>,
}

impl Drop for KeyReader {
    /// Waits: it would take the first keys meant for whoever reads the terminal next.
    fn drop(&mut self) {
        self.switches.is_over.store(true, Ordering::SeqCst);
        let since = Instant::now();
        while !self.thread.is_finished() && since.elapsed() < PAUSE_LIMIT {
            thread::sleep(Duration::from_millis(10));
        }
    }
}

/// Ends when the console is over; an error means that the terminal is gone.
fn read_keys(tty: &Tty, mut size: (u16, u16), reader: &Reader, out: &SyncSender<Happened>) -> io::Result<()> {
    let mut too_fast = 0;
    let mut buffer = [0; 4096];
    while !reader.is_over.load(Ordering::SeqCst) {
        if reader.pause.load(Ordering::SeqCst) {
            reader.is_paused.store(true, Ordering::SeqCst);
            thread::sleep(Duration::from_millis(20));
            continue;
        }
        reader.is_paused.store(false, Ordering::SeqCst);
        let before = Instant::now();
        let count = match tty.read(&mut buffer) {
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        if count > 0 {
            too_fast = 0;
            if out.send(Happened::Bytes(buffer[..count].to_vec())).is_err() {
                return Ok(());
            }
        } else if before.elapsed() < READ_TOO_FAST {
            too_fast += 1;
            if too_fast > READS_TOO_FAST_MAX {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        } else {
            too_fast = 0;
        }
        let new_size = tty.size()?;
        if new_size != size {
            size = new_size;
            if out.send(Happened::Size(size.0, size.1)).is_err() {
                return Ok(());
            }
        }
    }
    Ok(())
}
