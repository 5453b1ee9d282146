//! Frames to bytes: only cells that changed, in one synchronized update, nothing at all where nothing changed (spec 8.6).

use std::cell::RefCell;
use std::io::{self, Write};
use std::rc::Rc;

use ratatui::layout::{Position, Rect, Size};
use ratatui::{Frame, Terminal, TerminalOptions, Viewport};

use super::recorder::{Cursor, Recorder};
use crate::console::message::Drawn;
use crate::console::model::Model;
use crate::view::{self, Theme};

const BEGIN: &[u8] = b"\x1b[?2026h";
const END: &[u8] = b"\x1b[?2026l";
const CLEAR: &[u8] = b"\x1b[0m\x1b[2J";
const HIDE_CURSOR: &[u8] = b"\x1b[?25l";

/// Bytes not yet written to the terminal.
#[derive(Clone, Default)]
pub struct Sink(Rc<RefCell<Vec<u8>>>);

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What the terminal shows.
pub struct Screen {
    terminal: Terminal<Recorder>,
    sink: Sink,
    cursor: Cursor,
    shown_cursor: Option<Position>,
    is_forgotten: bool,
    size: (u16, u16),
    theme: Theme,
}

impl Screen {
    /// Of this size, with nothing known of what the terminal shows.
    ///
    /// # Errors
    /// Those of ratatui.
    pub fn new(columns: u16, rows: u16, theme: Theme) -> io::Result<Self> {
        let (sink, cursor) = (Sink::default(), Cursor::default());
        let terminal = terminal(&sink, &cursor, columns, rows)?;
        Ok(Self { terminal, sink, cursor, shown_cursor: None, is_forgotten: true, size: (columns, rows), theme })
    }

    /// Forgets what the terminal shows: the next frame is whole.
    ///
    /// # Errors
    /// Those of ratatui.
    pub fn forget(&mut self) -> io::Result<()> {
        self.terminal = terminal(&self.sink, &self.cursor, self.size.0, self.size.1)?;
        self.is_forgotten = true;
        Ok(())
    }

    /// The bytes that bring the terminal to this model, none if it is there; and what the view found out.
    ///
    /// # Errors
    /// Those of the backend, which writes to memory.
    pub fn draw(&mut self, model: &Model) -> io::Result<(Vec<u8>, Drawn)> {
        let theme = self.theme;
        let mut drawn = Drawn::default();
        let bytes = self.draw_with(|frame| drawn = view::draw(frame, model, theme))?;
        Ok((bytes, drawn))
    }

    /// The bytes that bring the terminal to what `draw` draws, none if it is there.
    ///
    /// # Errors
    /// Those of the backend, which writes to memory.
    pub fn draw_with(&mut self, draw: impl FnOnce(&mut Frame<'_>)) -> io::Result<Vec<u8>> {
        self.terminal.draw(draw)?;
        let cells = std::mem::take(&mut *self.sink.0.borrow_mut());
        let cursor = self.cursor.get();
        if cells.is_empty() && cursor == self.shown_cursor && !self.is_forgotten {
            return Ok(Vec::new());
        }
        let mut bytes = BEGIN.to_vec();
        if std::mem::take(&mut self.is_forgotten) {
            bytes.extend_from_slice(CLEAR);
        }
        bytes.extend_from_slice(&cells);
        match cursor {
            Some(at) => bytes.extend_from_slice(format!("\x1b[{};{}H\x1b[?25h", at.y + 1, at.x + 1).as_bytes()),
            None if self.shown_cursor.is_some() => bytes.extend_from_slice(HIDE_CURSOR),
            None => {}
        }
        self.shown_cursor = cursor;
        bytes.extend_from_slice(END);
        Ok(bytes)
    }
}

fn terminal(sink: &Sink, cursor: &Cursor, columns: u16, rows: u16) -> io::Result<Terminal<Recorder>> {
    let viewport = Viewport::Fixed(Rect::new(0, 0, columns, rows));
    let backend = Recorder::new(sink.clone(), Rc::clone(cursor), Size::new(columns, rows));
    let terminal = Terminal::with_options(backend, TerminalOptions { viewport })?;
    sink.0.borrow_mut().clear();
    Ok(terminal)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::console::{Message, Screen as Shown, update};
    use crate::engine::base::UnixMillis;

    fn emulator() -> vt100::Parser {
        vt100::Parser::new(24.try_into().unwrap(), 80.try_into().unwrap(), 0)
    }

    type Look = (String, bool, bool, bool, vt100::Color);

    fn cells(seen: &vt100::Parser) -> Vec<Look> {
        let shown = |row, column| {
            let cell = seen.screen().cell(row, column).unwrap();
            let text = if cell.has_contents() { cell.contents().to_owned() } else { " ".into() };
            (text, cell.bold(), cell.dim(), cell.inverse(), cell.fgcolor())
        };
        (0..24).flat_map(|row| (0..80).map(move |column| (row, column))).map(|(r, c)| shown(r, c)).collect()
    }

    /// What the terminal shows after the changes is what a whole frame would show.
    #[test]
    fn changes_add_up_to_the_whole_frame() {
        let mut model = Model::new(80, 24, false);
        let mut screen = Screen::new(80, 24, Theme::default()).unwrap();
        let mut seen = emulator();
        for c in "1?\u{1b}:2435q".chars() {
            let code =
                if c == '\u{1b}' { crate::console::message::Code::Esc } else { crate::console::message::Code::Char(c) };
            update(&mut model, Message::Key(crate::console::Key::plain(code), UnixMillis(1)));
            seen.process(&screen.draw(&model).unwrap().0);
            let mut whole = emulator();
            whole.process(&Screen::new(80, 24, Theme::default()).unwrap().draw(&model).unwrap().0);
            assert_eq!(cells(&seen), cells(&whole), "after {c}");
        }
    }

    /// spec 8.6: an equal model writes nothing; a small change writes little.
    #[test]
    fn an_idle_screen_writes_nothing() {
        let mut model = Model::new(80, 24, false);
        update(&mut model, Message::Connected(UnixMillis(1)));
        let mut screen = Screen::new(80, 24, Theme::default()).unwrap();
        let (first, _) = screen.draw(&model).unwrap();
        assert!(first.starts_with(BEGIN) && first.ends_with(END), "one synchronized update");
        assert_eq!(screen.draw(&model).unwrap().0, b"");
        model.screen = Shown::Events;
        let (second, _) = screen.draw(&model).unwrap();
        assert!(!second.is_empty() && second.len() < 2048, "{} bytes", second.len());
        screen.forget().unwrap();
        assert!(screen.draw(&model).unwrap().0.len() > second.len());
    }
}
