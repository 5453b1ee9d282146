//! A page: lines of text made for a width, shown from a scroll position.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use super::theme::Theme;
use crate::console::message::Drawn;
use crate::text::clean;

/// Column at which values begin.
pub const VALUE_COLUMN: usize = 15;

/// Lines for a width.
pub struct Page {
    /// Cells.
    pub width: usize,
    /// Styles.
    pub theme: Theme,
    /// So far.
    pub lines: Vec<Line<'static>>,
}

impl Page {
    /// Empty.
    #[must_use]
    pub fn new(width: u16, theme: Theme) -> Self {
        Self { width: usize::from(width), theme, lines: Vec::new() }
    }

    /// An empty line.
    pub fn blank(&mut self) {
        self.lines.push(Line::default());
    }

    /// A heading, with a word at the right edge.
    pub fn title(&mut self, left: &str, right: &str) {
        let room = self.width.saturating_sub(left.width() + 2);
        let right = shorten(right, room.saturating_sub(1));
        let right = format!("{right:>room$}");
        self.lines.push(Line::from(vec![
            Span::styled(format!(" {left}"), self.theme.strong()),
            Span::styled(right, self.theme.plain()),
        ]));
    }

    /// A word and its value, the value over as many lines as it needs.
    pub fn field(&mut self, label: &str, value: &str) {
        self.styled_field(label, value, self.theme.plain());
    }

    /// The same with a style of its own.
    pub fn styled_field(&mut self, label: &str, value: &str, style: Style) {
        let column = VALUE_COLUMN.max(label.width() + 2);
        let room = self.width.saturating_sub(column + 1).max(10);
        for (index, part) in wrap(value, room).into_iter().enumerate() {
            let head = if index == 0 { format!(" {label}") } else { String::new() };
            let head = pad(&head, column);
            self.lines.push(Line::from(vec![Span::raw(head), Span::styled(part, style)]));
        }
    }

    /// Text over as many lines as it needs.
    pub fn text(&mut self, indent: usize, text: &str, style: Style) {
        let room = self.width.saturating_sub(indent + 1).max(10);
        for part in wrap(text, room) {
            self.lines.push(Line::from(Span::styled(format!("{}{part}", " ".repeat(indent)), style)));
        }
    }

    /// One line, cut at the edge.
    pub fn line(&mut self, text: &str, style: Style) {
        self.lines.push(Line::from(Span::styled(shorten(text, self.width), style)));
    }

    /// A line with several styles.
    pub fn spans(&mut self, spans: Vec<(String, Style)>) {
        self.lines
            .push(Line::from(spans.into_iter().map(|(text, style)| Span::styled(text, style)).collect::<Vec<_>>()));
    }

    /// Two pages side by side, the left one `left` cells wide.
    pub fn beside(&mut self, left: usize, a: Self, b: Self) {
        let mut right = b.lines.into_iter();
        let mut a = a.lines.into_iter();
        loop {
            let (one, other) = (a.next(), right.next());
            if one.is_none() && other.is_none() {
                return;
            }
            let mut line = one.unwrap_or_default();
            let width = line.width();
            line.spans.push(Span::raw(" ".repeat(left.saturating_sub(width))));
            line.spans.extend(other.unwrap_or_default().spans);
            self.lines.push(line);
        }
    }

    /// Draws it from line `scroll`; the last row says so when there is more.
    #[must_use]
    pub fn draw(self, frame: &mut Frame<'_>, area: Rect, scroll: u16) -> Drawn {
        let total = u16::try_from(self.lines.len()).unwrap_or(u16::MAX);
        let scroll_max = total.saturating_sub(area.height);
        let scroll = scroll.min(scroll_max);
        for (row, line) in (0..area.height).zip(self.lines.iter().skip(usize::from(scroll))) {
            frame.buffer_mut().set_line(area.x, area.y + row, line, area.width);
        }
        if scroll < scroll_max && area.height > 0 {
            let text = format!(" {} more lines ▼ ", scroll_max - scroll);
            let width = u16::try_from(text.width()).unwrap_or(0).min(area.width);
            let y = area.y + area.height - 1;
            frame.buffer_mut().set_string(area.x + area.width - width, y, text, self.theme.block());
        }
        Drawn { page: area.height, scroll_max }
    }
}

/// `text` in `width` cells: filled up with spaces or cut.
#[must_use]
pub fn pad(text: &str, width: usize) -> String {
    let text = shorten(text, width);
    let missing = width.saturating_sub(text.width());
    format!("{text}{}", " ".repeat(missing))
}

/// `text` in at most `width` cells, `…` where it was cut; cleaned of what could steer a terminal.
#[must_use]
pub fn shorten(text: &str, width: usize) -> String {
    let text = clean(text);
    if text.width() <= width {
        return text;
    }
    let mut out = String::new();
    let mut used = 0;
    for c in text.chars() {
        let cells = c.width().unwrap_or(0);
        if used + cells + 1 > width {
            break;
        }
        used += cells;
        out.push(c);
    }
    if width > 0 {
        out.push('…');
    }
    out
}

/// `pieces` without their first `left` cells; `…` in place of the first cell that stays, so that it is seen that something
/// went.
#[must_use]
pub fn without_left(pieces: Vec<(String, Style)>, left: usize) -> Vec<(String, Style)> {
    let Some(first) = pieces.iter().find(|(text, _)| !text.is_empty()).map(|(_, style)| *style) else { return pieces };
    if left == 0 {
        return pieces;
    }
    let mut skip = left + 1;
    let mut out = vec![("…".to_owned(), first)];
    for (text, style) in pieces {
        let mut rest = String::new();
        for c in text.chars() {
            let cells = c.width().unwrap_or(0);
            if skip == 0 {
                rest.push(c);
            } else {
                // Of a wide one that lies across the edge the second half is blank.
                rest.extend(std::iter::repeat_n(' ', cells.saturating_sub(skip)));
                skip = skip.saturating_sub(cells);
            }
        }
        if !rest.is_empty() {
            out.push((rest, style));
        }
    }
    out
}

/// The end of `text` in at most `width` cells: of a path, the last part says most.
#[must_use]
pub fn shorten_left(text: &str, width: usize) -> String {
    let text = clean(text);
    if text.width() <= width {
        return text;
    }
    let mut out: Vec<char> = Vec::new();
    let mut used = 1;
    for c in text.chars().rev() {
        used += c.width().unwrap_or(0);
        if used > width {
            break;
        }
        out.push(c);
    }
    std::iter::once('…').chain(out.into_iter().rev()).collect()
}

/// `text` broken at spaces into lines of at most `width` cells; a longer word is broken where it must be.
#[must_use]
pub fn wrap(text: &str, width: usize) -> Vec<String> {
    let width = width.max(1);
    let mut lines = Vec::new();
    for paragraph in text.split('\n') {
        let paragraph = clean(paragraph);
        let mut line = String::new();
        let mut used = 0;
        // Spaces between words stay as they are: columns inside a line are the writer's.
        for word in paragraph.split_inclusive(' ') {
            let bare = word.trim_end_matches(' ').width();
            if used > 0 && used + bare > width {
                lines.push(line.trim_end().to_owned());
                line.clear();
                used = 0;
            }
            for c in word.chars() {
                let cells = c.width().unwrap_or(0);
                if used + cells > width {
                    if c == ' ' {
                        continue;
                    }
                    lines.push(std::mem::take(&mut line));
                    used = 0;
                }
                line.push(c);
                used += cells;
            }
        }
        lines.push(line.trim_end().to_owned());
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_breaks_at_spaces() {
        assert_eq!(wrap("one two three", 7), ["one two", "three"]);
        assert_eq!(wrap("abcdefgh", 3), ["abc", "def", "gh"]);
        assert_eq!(wrap("", 3), [""]);
        assert_eq!(shorten("abcdef", 4), "abc…");
        assert_eq!(shorten_left("a/b/cdef", 5), "…cdef");
        assert_eq!(pad("ab", 4), "ab  ");
    }

    /// spec 8.4: a long line can be read to its end, and never seems to begin where it does not
    #[test]
    fn a_line_loses_its_first_cells() {
        let cut = |texts: &[&str], left| {
            let pieces = texts.iter().map(|text| ((*text).to_owned(), Style::default())).collect();
            without_left(pieces, left).into_iter().map(|(text, _)| text).collect::<String>()
        };
        assert_eq!(cut(&["ab", "cdef"], 0), "abcdef");
        assert_eq!(cut(&["ab", "cdef"], 3), "…ef");
        assert_eq!(cut(&["ab", "cdef"], 9), "…");
        assert_eq!(cut(&["", ""], 3), "");
        assert_eq!(cut(&["\u{6f22}\u{5b57}x"], 2), "… x", "half of a wide character is blank");
        for left in 1..6 {
            assert_eq!(cut(&["abcdef"], left).width(), 6 - left);
        }
    }
}
