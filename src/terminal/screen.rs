//! Frames to bytes: only cells that changed, in one synchronized update, nothing at all where nothing changed (spec 8.6).

use std::cell::RefCell;
use std::io::{self, Write};
use std::rc::Rc;

use ratatui::backend::{Backend, CrosstermBackend};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::{Frame, Terminal, TerminalOptions, Viewport};

use crate::console::message::Drawn;
use crate::console::model::Model;
use crate::view::{self, Theme};

const BEGIN: &[u8] = b"\x1b[?2026h";
const END: &[u8] = b"\x1b[?2026l";
const CLEAR: &[u8] = b"\x1b[0m\x1b[2J";

/// Bytes not yet written to the terminal.
#[derive(Clone, Default)]
struct Sink(Rc<RefCell<Vec<u8>>>);

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
    terminal: Terminal<CrosstermBackend<Sink>>,
    sink: Sink,
    shown: Option<Buffer>,
    theme: Theme,
}

impl Screen {
    /// Of this size, with nothing known of what the terminal shows.
    ///
    /// # Errors
    /// Those of ratatui.
    pub fn new(columns: u16, rows: u16, theme: Theme) -> io::Result<Self> {
        let sink = Sink::default();
        let viewport = Viewport::Fixed(Rect::new(0, 0, columns, rows));
        let terminal = Terminal::with_options(CrosstermBackend::new(sink.clone()), TerminalOptions { viewport })?;
        sink.0.borrow_mut().clear();
        Ok(Self { terminal, sink, shown: None, theme })
    }

    /// Forgets what the terminal shows: the next frame is whole.
    pub fn forget(&mut self) {
        self.shown = None;
    }

    /// The bytes that bring the terminal to this model, none if it is there; and what the view found out.
    ///
    /// # Errors
    /// Those of the backend, which writes to memory.
    pub fn draw(&mut self, model: &Model) -> io::Result<(Vec<u8>, Drawn)> {
        let theme = self.theme;
        self.draw_with(|frame| view::draw(frame, model, theme))
    }

    /// The bytes that bring the terminal to what `draw` draws, none if it is there; and what it found out.
    ///
    /// # Errors
    /// Those of the backend, which writes to memory.
    pub fn draw_with<T>(&mut self, draw: impl FnOnce(&mut Frame<'_>) -> T) -> io::Result<(Vec<u8>, T)> {
        self.terminal.current_buffer_mut().reset();
        let drawn = draw(&mut self.terminal.get_frame());
        let next = self.terminal.current_buffer_mut().clone();
        if self.shown.as_ref() == Some(&next) {
            return Ok((Vec::new(), drawn));
        }
        let is_first = self.shown.is_none();
        let before = self.shown.take().unwrap_or_else(|| Buffer::empty(next.area));
        let changes = before.diff(&next);
        self.terminal.backend_mut().draw(changes.into_iter())?;
        let mut bytes = BEGIN.to_vec();
        if is_first {
            bytes.extend_from_slice(CLEAR);
        }
        bytes.append(&mut self.sink.0.borrow_mut());
        bytes.extend_from_slice(END);
        self.shown = Some(next);
        Ok((bytes, drawn))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::console::{Message, Screen as Shown, update};
    use crate::engine::base::UnixMillis;

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
        screen.forget();
        assert!(screen.draw(&model).unwrap().0.len() > second.len());
    }
}
