//! Dialogs: a box in the middle, consequence first, Cancel chosen.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use unicode_width::UnicodeWidthStr;

use super::page::{Page, pad, shorten, shorten_left, wrap};
use super::theme::Theme;
use crate::console::dialog::{Dialog, Entry};
use crate::console::message::Drawn;
use crate::engine::status::CheckResult;

/// Widest box: long lines are hard to read.
const WIDTH_MAX: u16 = 84;
/// Longest first word that continuation lines keep clear of.
const HANG_MAX: usize = 9;
/// Narrowest field beside its label.
const FIELD_CELLS_MIN: usize = 18;

/// Draws it over the content.
pub fn draw(frame: &mut Frame<'_>, content: Rect, dialog: &Dialog, scroll: u16, theme: Theme) -> Drawn {
    let width = content.width.saturating_sub(2).min(WIDTH_MAX);
    let inside = width.saturating_sub(4);
    let mut page = Page::new(inside, theme);
    add_facts(&mut page, dialog);
    let mut question = Page::new(inside, theme);
    add_question(&mut question, dialog);
    let asked = u16::try_from(question.lines.len()).unwrap_or(u16::MAX);
    let told = u16::try_from(page.lines.len()).unwrap_or(u16::MAX);
    let height = (told.saturating_add(asked)).saturating_add(2).min(content.height);
    let area = Rect {
        x: content.x + (content.width - width) / 2,
        y: content.y + (content.height - height) / 2,
        width,
        height,
    };
    frame_box(frame, area, &dialog.title, theme);
    // The question must be seen whatever happens; the facts above it are cut if they must be.
    let asked = asked.min(height.saturating_sub(2));
    let facts = Rect { x: area.x + 2, y: area.y + 1, width: inside, height: height.saturating_sub(2 + asked) };
    let drawn = page.draw(frame, facts, scroll);
    let below = Rect { y: facts.y + facts.height, height: asked, ..facts };
    let first = u16::try_from(question.lines.len()).unwrap_or(0).saturating_sub(asked);
    question.lines.drain(..usize::from(first));
    let _ = question.draw(frame, below, 0);
    drawn
}

fn frame_box(frame: &mut Frame<'_>, area: Rect, title: &str, theme: Theme) {
    let inside = usize::from(area.width.saturating_sub(2));
    let title = shorten(&format!(" {title} "), inside.saturating_sub(2));
    let rest = "─".repeat(inside.saturating_sub(title.width() + 1));
    let buffer = frame.buffer_mut();
    let top = Line::from(vec![Span::raw("┌─"), Span::styled(title, theme.strong()), Span::raw(format!("{rest}┐"))]);
    buffer.set_line(area.x, area.y, &top, area.width);
    for y in area.y + 1..area.bottom().saturating_sub(1) {
        buffer.set_string(area.x, y, format!("│{}│", " ".repeat(inside)), theme.plain());
    }
    let bottom = area.bottom().saturating_sub(1);
    buffer.set_string(area.x, bottom, format!("└{}┘", "─".repeat(inside)), theme.plain());
    // What was below may have had a style.
    buffer.set_style(
        Rect { y: area.y + 1, height: area.height.saturating_sub(2), ..area },
        ratatui::style::Style::reset(),
    );
}

fn add_facts(page: &mut Page, dialog: &Dialog) {
    let theme = page.theme;
    for line in &dialog.body {
        let hang = hanging(line);
        let (head, text) = line.split_at(hang);
        for (index, part) in wrap(text, page.width.saturating_sub(hang).max(10)).into_iter().enumerate() {
            let head = if index == 0 { head.to_owned() } else { " ".repeat(hang) };
            page.line(&format!("{head}{part}"), theme.plain());
        }
    }
    if let Some(fingerprint) = &dialog.fingerprint {
        let whole = fingerprint.to_string();
        if whole.len() <= page.width {
            page.line(&whole, theme.strong());
        } else {
            let (first, second) = whole.split_at(39);
            page.line(first, theme.strong());
            page.line(&format!("       {second}"), theme.strong());
        }
    }
    if !dialog.checks.is_empty() {
        add_checks(page, dialog);
    }
    if let Some(waiting) = &dialog.waiting {
        page.text(0, &format!("{waiting} …"), theme.strong());
    }
}

/// What fails first and in full; what passes two to a line where that fits, so that all of it is seen.
fn add_checks(page: &mut Page, dialog: &Dialog) {
    let theme = page.theme;
    let passing = dialog.checks.iter().filter(|check| check.ok).count();
    page.blank();
    page.line(&format!("Checks   {passing} of {} pass", dialog.checks.len()), theme.plain());
    let is_short =
        |check: &CheckResult| check.ok && check.message.is_empty() && check.target.width() + 8 <= page.width / 2;
    let (short, long): (Vec<&CheckResult>, Vec<&CheckResult>) = dialog.checks.iter().partition(|check| is_short(check));
    let mut long = long;
    long.sort_by_key(|check| check.ok);
    for check in long {
        let (word, style) = if check.ok { ("[ok]  ", theme.plain()) } else { ("[FAIL]", theme.error()) };
        let text = if check.message.is_empty() {
            check.target.clone()
        } else {
            format!("{}: {}", check.target, check.message)
        };
        for (index, line) in wrap(&text, page.width.saturating_sub(10).max(10)).into_iter().enumerate() {
            let (head, head_style) = if index == 0 { (word, style) } else { ("", theme.plain()) };
            page.spans(vec![
                ("  ".into(), theme.plain()),
                (pad(head, 6), head_style),
                (format!(" {line}"), theme.plain()),
            ]);
        }
    }
    for two in short.chunks(2) {
        let one = |check: &&CheckResult| pad(&format!("  [ok]   {}", check.target), page.width / 2);
        let line: String = two.iter().map(one).collect();
        page.line(line.trim_end(), theme.plain());
    }
}

/// Where continuation lines begin: under the text behind the indent and a first word such as `Why    `.
fn hanging(line: &str) -> usize {
    let indent = line.len() - line.trim_start().len();
    match line[indent..].find("  ") {
        Some(at) if at <= HANG_MAX => {
            let rest = &line[indent + at..];
            indent + at + rest.len() - rest.trim_start().len()
        }
        _ => indent,
    }
}

fn add_question(page: &mut Page, dialog: &Dialog) {
    let theme = page.theme;
    page.blank();
    for (index, entry) in dialog.entries.iter().enumerate() {
        add_entry(page, entry, index == dialog.focus);
    }
    if let Some(problem) = &dialog.problem {
        page.text(0, &format!("! {problem}"), theme.warning());
    }
    if !dialog.entries.is_empty() {
        page.blank();
    }
    let mut spans: Vec<(String, ratatui::style::Style)> = Vec::new();
    let mut used = 0;
    for (index, button) in dialog.buttons.iter().enumerate() {
        let is_chosen = dialog.focus == dialog.entries.len() + index;
        let off = if dialog.is_on(button) { "" } else { " (off)" };
        let text = if is_chosen { format!("[ {}{off} ]", button.label) } else { format!("  {}{off}  ", button.label) };
        used += text.width() + 2;
        spans.push((text, if is_chosen { theme.block().patch(theme.strong()) } else { theme.plain() }));
        spans.push(("  ".into(), theme.plain()));
    }
    let chosen = dialog.chosen().map(|button| format!("{} is chosen.", button.label)).unwrap_or_default();
    let room = page.width.saturating_sub(used);
    spans.insert(0, (pad(&chosen, room), theme.quiet()));
    page.spans(spans);
}

fn add_entry(page: &mut Page, entry: &Entry, is_edited: bool) {
    let theme = page.theme;
    let shown = if entry.masked { "*".repeat(entry.text.chars().count()) } else { entry.text.clone() };
    let mut label = entry.label.clone();
    if label.width() + FIELD_CELLS_MIN > page.width {
        page.text(0, &label, theme.plain());
        label = String::new();
    }
    let room = page.width.saturating_sub(label.width() + 4).max(8);
    let shown = shorten_left(&shown, room.saturating_sub(1));
    let blank = "_".repeat(room.saturating_sub(shown.width() + 1));
    if is_edited {
        page.spans(vec![
            (format!("{label} ["), theme.strong()),
            (shown, theme.strong()),
            (" ".into(), theme.block()),
            (format!("{blank}]"), theme.plain()),
        ]);
    } else {
        page.spans(vec![
            (format!("{label}  "), theme.plain()),
            (shown, theme.plain()),
            (format!("_{blank}"), theme.quiet()),
        ]);
    }
}
