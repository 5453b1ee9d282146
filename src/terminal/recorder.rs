//! A backend that writes cells in few bytes, in the sixteen colours' own codes (a terminal with sixteen knows no others), and keeps where the cursor belongs instead of writing it with every frame: ratatui hides or moves it each time,
//! and an idle screen must write nothing (spec 8.6).

use std::cell::Cell as Kept;
use std::io::{self, Write};
use std::rc::Rc;

use ratatui::backend::{Backend, ClearType, WindowSize};
use ratatui::buffer::Cell;
use ratatui::layout::{Position, Size};
use ratatui::style::{Color, Modifier};
use unicode_width::UnicodeWidthStr;

use super::screen::Sink;

/// Where the cursor belongs, shared with the screen; none: hidden.
pub type Cursor = Rc<Kept<Option<Position>>>;

/// A gap of so many unchanged cells is written again: moving the cursor over it would cost more bytes.
const GAP_MAX_CELLS: u16 = 6;

/// From so many blanks at the end of a row on, erasing is shorter than writing them.
const ERASE_MIN_CELLS: usize = 8;

/// Where, and the cell to write; none: the row is blank from there on.
type Piece = (u16, u16, Option<Cell>);

/// Writes cells, remembers the cursor.
pub struct Recorder {
    sink: Sink,
    cursor: Cursor,
    size: Size,
    /// What was written where, row by row.
    written: Vec<Cell>,
}

impl Recorder {
    /// Writes to `sink`.
    pub fn new(sink: Sink, cursor: Cursor, size: Size) -> Self {
        let written = vec![Cell::EMPTY; usize::from(size.width) * usize::from(size.height)];
        Self { sink, cursor, size, written }
    }

    fn at(&self, x: u16, y: u16) -> Option<&Cell> {
        self.written.get(usize::from(y) * usize::from(self.size.width) + usize::from(x))
    }

    /// The unchanged cells between two changed ones, if they look like the first and are few.
    fn gap(&self, from: (u16, u16), to: (u16, u16)) -> Vec<(u16, u16, Cell)> {
        let before = self.at(from.0, from.1);
        if from.1 != to.1 || to.0 <= from.0 || to.0 - from.0 - 1 > GAP_MAX_CELLS {
            return Vec::new();
        }
        let cells: Vec<_> =
            (from.0 + 1..to.0).filter_map(|x| self.at(x, to.1).map(|cell| (x, to.1, cell.clone()))).collect();
        let alike = |cell: &Cell| {
            before.is_some_and(|before| before.symbol().width() == 1 && before.style() == cell.style())
                && cell.symbol().width() == 1
        };
        if cells.iter().all(|(_, _, cell)| alike(cell)) { cells } else { Vec::new() }
    }
}

impl Recorder {
    /// Cells to write; where the rest of a row is blank, one erasure in place of its blanks.
    fn with_erased_tails(&self, cells: Vec<(u16, u16, Cell)>) -> Vec<Piece> {
        let width = usize::from(self.size.width);
        let is_blank = |cell: &Cell| *cell == Cell::EMPTY || (cell.symbol() == " " && sgr(cell) == PLAIN);
        let tail_of = |row: u16| {
            let from = usize::from(row) * width;
            let row = self.written.get(from..from + width).unwrap_or_default();
            let tail = row.iter().rposition(|cell| !is_blank(cell)).map_or(0, |last| last + 1);
            // A wide character has a second cell, which is kept as blank.
            let wide = tail.checked_sub(1).and_then(|last| row.get(last)).is_some_and(|cell| cell.symbol().width() > 1);
            u16::try_from(tail + usize::from(wide)).unwrap_or(u16::MAX)
        };
        let mut pieces = Vec::with_capacity(cells.len());
        for row in cells.chunk_by(|a, b| a.1 == b.1) {
            let y = row[0].1;
            let tail = tail_of(y);
            let kept = row.iter().take_while(|(x, ..)| *x < tail).count();
            let erases = row.len() - kept >= ERASE_MIN_CELLS;
            let shown = if erases { &row[..kept] } else { row };
            pieces.extend(shown.iter().map(|(x, y, cell)| (*x, *y, Some(cell.clone()))));
            if erases {
                pieces.push((tail, y, None));
            }
        }
        pieces
    }
}

impl Backend for Recorder {
    type Error = io::Error;

    fn draw<'a, I>(&mut self, content: I) -> io::Result<()>
    where
        I: Iterator<Item = (u16, u16, &'a Cell)>,
    {
        let mut all: Vec<(u16, u16, Cell)> = Vec::new();
        for (x, y, cell) in content {
            if let Some((last_x, last_y, _)) = all.last() {
                let gap = self.gap((*last_x, *last_y), (x, y));
                all.extend(gap);
            }
            let index = usize::from(y) * usize::from(self.size.width) + usize::from(x);
            if let Some(kept) = self.written.get_mut(index) {
                kept.clone_from(cell);
            }
            all.push((x, y, cell.clone()));
        }
        let pieces = self.with_erased_tails(all);
        self.sink.write_all(encoded(&pieces).as_bytes())
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
        self.clear_region(ClearType::All)
    }

    fn clear_region(&mut self, _: ClearType) -> io::Result<()> {
        self.written.fill(Cell::EMPTY);
        self.sink.write_all(b"\x1b[0m\x1b[2J")
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

/// Cells as bytes: the cursor moves only over gaps, styles are told only where they change, and end as they began.
fn encoded(pieces: &[Piece]) -> String {
    let mut out = String::new();
    let mut next: Option<(u16, u16)> = None;
    let mut style = String::from(PLAIN);
    for (x, y, cell) in pieces {
        match next {
            Some(at) if at == (*x, *y) => {}
            Some((at, row)) if row == *y && at < *x => out.push_str(&format!("\x1b[{}C", x - at)),
            _ => out.push_str(&format!("\x1b[{};{}H", y + 1, x + 1)),
        }
        let Some(cell) = cell else {
            if style != PLAIN {
                out.push_str(PLAIN);
                style = PLAIN.into();
            }
            out.push_str("\x1b[K");
            next = Some((*x, *y));
            continue;
        };
        let wanted = sgr(cell);
        if wanted != style {
            out.push_str(&wanted);
            style = wanted;
        }
        out.push_str(cell.symbol());
        let width = u16::try_from(cell.symbol().width()).unwrap_or(1).max(1);
        next = Some((x + width, *y));
    }
    if style != PLAIN {
        out.push_str(PLAIN);
    }
    out
}

/// No colour, no attribute.
const PLAIN: &str = "\x1b[m";

fn sgr(cell: &Cell) -> String {
    let mut codes = String::new();
    for (modifier, code) in [
        (Modifier::BOLD, 1),
        (Modifier::DIM, 2),
        (Modifier::ITALIC, 3),
        (Modifier::UNDERLINED, 4),
        (Modifier::REVERSED, 7),
    ] {
        if cell.modifier.contains(modifier) {
            codes.push_str(&format!(";{code}"));
        }
    }
    for (color, base) in [(cell.fg, 30), (cell.bg, 40)] {
        if let Some(code) = color_code(color) {
            codes.push_str(&format!(";{}", base + code));
        }
    }
    if codes.is_empty() { PLAIN.into() } else { format!("\x1b[0{codes}m") }
}

/// Of the sixteen, as an offset to 30 or 40; the views use no other.
fn color_code(color: Color) -> Option<u16> {
    Some(match color {
        Color::Black => 0,
        Color::Red => 1,
        Color::Green => 2,
        Color::Yellow => 3,
        Color::Blue => 4,
        Color::Magenta => 5,
        Color::Cyan => 6,
        Color::Gray => 7,
        Color::DarkGray => 60,
        Color::LightRed => 61,
        Color::LightGreen => 62,
        Color::LightYellow => 63,
        Color::LightBlue => 64,
        Color::LightMagenta => 65,
        Color::LightCyan => 66,
        Color::White => 67,
        Color::Reset | Color::Rgb(..) | Color::Indexed(_) => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use ratatui::style::Style;

    fn cell(symbol: &'static str, style: Style) -> Cell {
        let mut cell = Cell::new(symbol);
        cell.set_style(style);
        cell
    }

    #[test]
    fn runs_need_no_moves_and_styles_end() {
        let bold = Style::new().add_modifier(Modifier::BOLD).fg(Color::Yellow);
        let cells = [
            (0, 0, cell("a", Style::new())),
            (1, 0, cell("b", bold)),
            (2, 0, cell("c", bold)),
            (9, 0, cell("d", Style::new())),
            (0, 2, cell("界", Style::new())),
            (2, 2, cell("e", bold)),
        ];
        let text = encoded(&cells.map(|(x, y, cell)| (x, y, Some(cell))));
        assert_eq!(text, "\x1b[1;1Ha\x1b[0;1;33mbc\x1b[6C\x1b[md\x1b[3;1H界\x1b[0;1;33me\x1b[m");
    }

    /// spec 8.6: the blanks at the end of a row cost one erasure, and nothing behind them is lost.
    #[test]
    fn blanks_at_the_end_of_a_row_are_erased() {
        let sink = Sink::default();
        let mut recorder = Recorder::new(sink, Cursor::default(), Size::new(20, 2));
        let bold = Style::new().add_modifier(Modifier::BOLD);
        let row = |text: &str, y: u16| -> Vec<(u16, u16, Cell)> {
            let one =
                |(x, c): (usize, char)| (u16::try_from(x).unwrap(), y, cell(if c == ' ' { " " } else { "x" }, bold));
            text.chars().enumerate().map(one).collect()
        };
        let full = row("xxxxxxxxxxxxxxxxxxxx", 0);
        recorder.draw(full.iter().map(|(x, y, cell)| (*x, *y, cell))).unwrap();
        let blank: Vec<_> = (2..20).map(|x| (x, 0, Cell::EMPTY)).collect();
        let pieces = {
            recorder.draw(blank.iter().map(|(x, y, cell)| (*x, *y, cell))).unwrap();
            recorder.with_erased_tails(blank)
        };
        assert_eq!(encoded(&pieces), "\x1b[1;3H\x1b[K");
        let few: Vec<_> = (15..20).map(|x| (x, 1, Cell::EMPTY)).collect();
        assert_eq!(recorder.with_erased_tails(few).len(), 5, "not worth an erasure");
    }
}
