//! A backend that keeps where the cursor belongs instead of writing it with every frame: ratatui hides or moves it each time,
//! and an idle screen must write nothing (spec 8.6).

use std::cell::Cell as Kept;
use std::io;
use std::rc::Rc;

use ratatui::backend::{Backend, ClearType, CrosstermBackend, WindowSize};
use ratatui::buffer::Cell;
use ratatui::layout::{Position, Size};

use super::screen::Sink;

/// Where the cursor belongs, shared with the screen; none: hidden.
pub type Cursor = Rc<Kept<Option<Position>>>;

/// Writes cells, remembers the cursor.
pub struct Recorder {
    inner: CrosstermBackend<Sink>,
    cursor: Cursor,
    size: Size,
}

impl Recorder {
    /// Writes to `sink`.
    pub fn new(sink: Sink, cursor: Cursor, size: Size) -> Self {
        Self { inner: CrosstermBackend::new(sink), cursor, size }
    }
}

impl Backend for Recorder {
    type Error = io::Error;

    fn draw<'a, I>(&mut self, content: I) -> io::Result<()>
    where
        I: Iterator<Item = (u16, u16, &'a Cell)>,
    {
        let mut content = content.peekable();
        if content.peek().is_none() { Ok(()) } else { self.inner.draw(content) }
    }

    fn hide_cursor(&mut self) -> io::Result<()> {
        self.cursor.set(None);
        Ok(())
    }

    fn show_cursor(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn get_cursor_position(&mut self) -> io::Result<Position> {
        Ok(self.cursor.get().unwrap_or_default())
    }

    fn set_cursor_position<P: Into<Position>>(&mut self, position: P) -> io::Result<()> {
        self.cursor.set(Some(position.into()));
        Ok(())
    }

    fn clear(&mut self) -> io::Result<()> {
        self.inner.clear()
    }

    fn clear_region(&mut self, clear_type: ClearType) -> io::Result<()> {
        self.inner.clear_region(clear_type)
    }

    fn size(&self) -> io::Result<Size> {
        Ok(self.size)
    }

    fn window_size(&mut self) -> io::Result<WindowSize> {
        Ok(WindowSize { columns_rows: self.size, pixels: Size::new(0, 0) })
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
