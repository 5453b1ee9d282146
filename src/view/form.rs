//! Draws forms: one line a field, its problem under it, help and consequences at the bottom.

use ratatui::Frame;
use ratatui::layout::{Position, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;
use unicode_width::UnicodeWidthStr;

use crate::console::form::{Form, Input, Item};

/// Columns of mark, label and star before a value.
const LABEL_WIDTH: usize = 27;
/// Widest value in edit.
const VALUE_WIDTH_MAX: usize = 44;
/// Most lines of a problem or warning under its field.
const FINDING_LINES_MAX: usize = 2;

/// What the terminal can show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look {
    /// Only ASCII characters.
    pub ascii: bool,
    /// Colours; without them words and shapes say everything.
    pub color: bool,
}

impl Look {
    /// Something is wrong.
    #[must_use]
    pub fn error(self) -> Style {
        if self.color { Style::new().fg(Color::Red).add_modifier(Modifier::BOLD) } else { bold() }
    }

    /// Something may be wrong.
    #[must_use]
    pub fn warning(self) -> Style {
        if self.color { Style::new().fg(Color::Yellow) } else { Style::new() }
    }

    /// Said in a low voice.
    #[must_use]
    pub fn quiet(self) -> Style {
        if self.color { Style::new().fg(Color::DarkGray) } else { Style::new() }
    }

    /// `…`, or three dots.
    #[must_use]
    pub fn ellipsis(self) -> &'static str {
        if self.ascii { "..." } else { "…" }
    }

    /// A horizontal line.
    #[must_use]
    pub fn rule(self, width: u16) -> String {
        (if self.ascii { "-" } else { "─" }).repeat(usize::from(width))
    }

    /// Text of the operator or of the engine, so that the terminal can show it: without control characters, and in ASCII
    /// with `?` for what that does not have.
    #[must_use]
    pub fn text(self, text: &str) -> String {
        let shown = |c: char| match c {
            '…' if self.ascii => '.',
            c if c.is_control() || (self.ascii && !c.is_ascii()) => '?',
            c => c,
        };
        text.chars().map(shown).collect()
    }
}

/// Focus.
#[must_use]
pub(super) fn bold() -> Style {
    Style::new().add_modifier(Modifier::BOLD)
}

/// Draws the whole form: title, fields, consequences, help of the field in focus. The message line and the footer are the
/// console's. Sets the terminal's cursor into the field in edit.
pub fn draw(frame: &mut Frame, area: Rect, form: &Form, look: Look) {
    if area.height < 3 {
        return;
    }
    let title = Rect { height: 1, ..area };
    let changed = form.changed();
    let right = if changed == 0 { String::new() } else { format!("* {changed} not saved") };
    frame.render_widget(Paragraph::new(two_ends(&format!(" {}", form.title), &right, area.width)).style(bold()), title);
    let rest = Rect { y: area.y + 1, height: area.height - 1, ..area };
    if let Some(at) = draw_fields(frame, rest, &form.items, form.focus, &form.consequences(), look) {
        frame.set_cursor_position(at);
    }
}

/// Draws fields above, what they lead to and the help of the one in focus below. Scrolls so that the focus is seen. Returns
/// where the terminal's cursor belongs: nowhere when nothing is typed into.
#[must_use]
pub fn draw_fields(
    frame: &mut Frame,
    area: Rect,
    items: &[Item],
    focus: usize,
    below: &[String],
    look: Look,
) -> Option<Position> {
    let width = usize::from(area.width);
    let mut below: Vec<Line> = below
        .iter()
        .flat_map(|text| wrapped(&look.text(text), width.saturating_sub(4)))
        .map(|text| Line::raw(format!("   {text}")))
        .collect();
    let help = items.get(focus).map(|item| help_lines(item, width, look)).unwrap_or_default();
    let mut lines: Vec<Line> = Vec::new();
    let (mut focus_from, mut focus_to) = (0, 0);
    for (index, item) in items.iter().enumerate() {
        if index == focus {
            focus_from = lines.len();
        }
        lines.push(field_line(item, index == focus, width, look));
        lines.extend(finding_lines(item, width, look));
        if index == focus {
            focus_to = lines.len();
        }
    }
    let available = usize::from(area.height).saturating_sub(help.len());
    if !below.is_empty() && lines.len() + below.len() < available {
        below.insert(0, Line::raw(""));
    }
    // Where not everything fits, the fields come first, but for one line of what they lead to.
    below.truncate(available.saturating_sub(lines.len()).max(1).min(available.saturating_sub(1)));
    let room = available.saturating_sub(below.len());
    let start = focus_to.saturating_sub(room).min(focus_from);
    let shown: Vec<Line> = lines.into_iter().skip(start).take(room).collect();
    let used = u16::try_from(shown.len()).unwrap_or(area.height);
    frame.render_widget(Paragraph::new(shown), Rect { height: used.min(area.height), ..area });
    let mut y = area.y + used;
    let height = u16::try_from(below.len()).unwrap_or(0).min((area.y + area.height).saturating_sub(y));
    frame.render_widget(Paragraph::new(below), Rect { y, height, ..area });
    y += height;
    let help_height = u16::try_from(help.len()).unwrap_or(0);
    let help_y = (area.y + area.height).saturating_sub(help_height).max(y);
    let help_area = Rect { y: help_y, height: help_height.min((area.y + area.height).saturating_sub(help_y)), ..area };
    frame.render_widget(Paragraph::new(help).style(look.quiet()), help_area);
    cursor_of(area, area.y + u16::try_from(focus_from - start).unwrap_or(0), items.get(focus)?)
}

/// Columns for a value: what the screen has left, up to a limit.
fn value_width(width: usize) -> usize {
    width.saturating_sub(LABEL_WIDTH + 4).min(VALUE_WIDTH_MAX)
}

fn field_line(item: &Item, has_focus: bool, width: usize, look: Look) -> Line<'static> {
    let mark = if has_focus { '>' } else { ' ' };
    let star = if item.is_changed() { '*' } else { ' ' };
    let style = if has_focus { bold() } else { Style::new() };
    let mut spans = vec![Span::styled(format!(" {mark} {:<23}{star}", item.label), style)];
    let room = value_width(width);
    let is_edited = has_focus && item.locked.is_none();
    let (value, note_room) = match &item.input {
        Input::Line(field) | Input::Pick { field, .. } => {
            let window = field.window(room);
            let text = look.text(&window.text);
            let pad = " ".repeat(room.saturating_sub(text.width()));
            let (left, right) = if is_edited { ('[', ']') } else { (' ', ' ') };
            let left = if window.more_left { '<' } else { left };
            let right = if window.more_right { '>' } else { right };
            // A note stands directly behind a value that is not in edit.
            let is_short = !is_edited && !window.more_right;
            if is_short {
                (format!("{left}{text}"), room - text.width().min(room))
            } else {
                (format!("{left}{text}{pad}{right}"), 0)
            }
        }
        Input::Toggle(on) => (format!(" {}", radio(&["on", "off"], usize::from(!on))), room.saturating_sub(18)),
        Input::Choice { words, chosen } => {
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            (format!(" {}", radio(&words, *chosen)), 0)
        }
    };
    spans.push(Span::styled(value, style));
    let meaning =
        (!has_focus && item.text().is_empty() && !item.absent.is_empty()).then(|| format!("({})", item.absent));
    let note = item.locked.as_ref().map_or_else(|| item.note.clone().or(meaning), |_| Some("locked".into()));
    if let Some(note) = note {
        let used: usize = spans.iter().map(|span| span.content.width()).sum();
        let room = note_room.max(width.saturating_sub(used)).min(width.saturating_sub(used));
        let note = clipped(&format!("  {}", look.text(&note)), room, look);
        spans.push(Span::styled(note, look.quiet()));
    }
    Line::from(spans)
}

fn radio(words: &[&str], chosen: usize) -> String {
    let one = |(index, word): (usize, &&str)| format!("({}) {word}", if index == chosen { 'o' } else { ' ' });
    words.iter().enumerate().map(one).collect::<Vec<_>>().join("  ")
}

/// The problem or the warning under a field.
fn finding_lines(item: &Item, width: usize, look: Look) -> Vec<Line<'static>> {
    let (text, style) = match (&item.problem, &item.warning) {
        (Some(problem), _) if problem.todo.is_empty() => (problem.why.clone(), look.error()),
        (Some(problem), _) => (format!("{}. {}", problem.why, problem.todo), look.error()),
        (None, Some(warning)) => (format!("warning: {warning}"), look.warning()),
        (None, None) => return Vec::new(),
    };
    let mut lines = wrapped(&look.text(&text), width.saturating_sub(8));
    if lines.len() > FINDING_LINES_MAX {
        lines.truncate(FINDING_LINES_MAX);
        if let Some(last) = lines.last_mut() {
            *last = format!("{}{}", clipped(last, width.saturating_sub(12), look), look.ellipsis());
        }
    }
    let mark = if item.problem.is_some() { '!' } else { ' ' };
    let line = |(index, text): (usize, String)| {
        Line::styled(format!("     {} {text}", if index == 0 { mark } else { ' ' }), style)
    };
    lines.into_iter().enumerate().map(line).collect()
}

/// What the field in focus does, what may stand there, what is in force.
fn help_lines(item: &Item, width: usize, look: Look) -> Vec<Line<'static>> {
    let second = match &item.input {
        Input::Toggle(_) => "Allowed: on or off; Space turns it".to_owned(),
        Input::Choice { .. } => format!("Allowed: {}; Space takes the next one", item.limits),
        Input::Pick { options, .. } if !options.is_empty() => {
            format!("Allowed: {}; Space takes the next one found", item.limits)
        }
        _ => format!("Allowed: {}", item.limits),
    };
    let first = match (&item.locked, &item.in_force) {
        (Some(why), _) => format!("Locked: {why}"),
        (None, Some(value)) if item.is_changed() => {
            let value = if value.is_empty() { "nothing" } else { value };
            format!("{}. Was {value}; {}", item.help, item.effect)
        }
        (None, Some(_)) => format!("{}; {}", item.help, item.effect),
        (None, None) => item.help.clone(),
    };
    let line = |text: &str| Line::raw(format!("   {}", clipped(&look.text(text), width.saturating_sub(4), look)));
    vec![line(&first), line(&second)]
}

fn cursor_of(area: Rect, y: u16, item: &Item) -> Option<Position> {
    let (Input::Line(field) | Input::Pick { field, .. }) = &item.input else { return None };
    let column = field.window(value_width(usize::from(area.width))).cursor;
    let x = area.x + u16::try_from(LABEL_WIDTH + 1 + column).ok()?;
    let is_inside = y < area.y + area.height && x < area.x + area.width;
    (is_inside && item.locked.is_none()).then_some(Position { x, y })
}

/// `text` in at most `width` columns, with the mark of a cut.
#[must_use]
pub(super) fn clipped(text: &str, width: usize, look: Look) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let room = width.saturating_sub(look.ellipsis().width());
    let mut cut = String::new();
    for c in text.chars() {
        if cut.width() + UnicodeWidthStr::width(c.encode_utf8(&mut [0; 4]) as &str) > room {
            break;
        }
        cut.push(c);
    }
    cut + look.ellipsis()
}

/// `text` in lines of at most `width` columns, cut between words where there are any.
#[must_use]
pub(super) fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.width() + 1 + word.width() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

/// One text at the left end of a line, one at the right.
#[must_use]
pub(super) fn two_ends(left: &str, right: &str, width: u16) -> String {
    let gap = usize::from(width).saturating_sub(left.width() + right.width() + 1);
    format!("{left}{}{right} ", " ".repeat(gap))
}
