//! Revisions, comparisons and branches, over the Configuration screen (spec 5.6, 7.6).

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Style;

use super::page::{Page, pad, shorten, shorten_left, without_left};
use super::theme::Theme;
use crate::console::facts;
use crate::console::history::{DiffKind, DiffView, subject};
use crate::console::message::Drawn;
use crate::console::model::Model;
use crate::engine::history::LogEntry;

/// Rows of the detail below the list of revisions.
const DETAIL_ROWS: u16 = 5;
/// Lines around the rows of a comparison.
const DIFF_HEAD_ROWS: u16 = 2;

fn drawn(rows: u16) -> Drawn {
    Drawn { page: rows, scroll_max: 0 }
}

/// The revisions of a path or of everything.
pub fn revisions(frame: &mut Frame<'_>, area: Rect, model: &Model, theme: Theme) -> Drawn {
    let history = &model.files.history;
    let mut page = Page::new(area.width, theme);
    let count = history.entries.len() as u64;
    let more = if history.is_complete { "" } else { " or more" };
    let right = format!("{}{more} ", facts::counted(count, "revision"));
    page.title(&format!("History of {}", shorten_left(&history.subject(), page.width.saturating_sub(40))), &right);
    if history.entries.is_empty() {
        page.blank();
        let text = if history.is_complete { "No revision is kept that changed it." } else { "Being read …" };
        page.text(3, text, theme.plain());
        return page.draw(frame, area, 0);
    }
    let rows = area.height.saturating_sub(1 + DETAIL_ROWS).max(1);
    let visible = usize::from(rows);
    let first = super::first_visible(history.cursor, visible, history.entries.len());
    for (index, entry) in history.entries.iter().enumerate().skip(first).take(visible) {
        revision(&mut page, entry, index == history.cursor, model);
    }
    while page.lines.len() <= visible {
        page.blank();
    }
    if let Some(entry) = history.current() {
        detail(&mut page, entry);
    }
    page.lines.truncate(usize::from(area.height));
    let _ = page.draw(frame, area, 0);
    drawn(rows)
}

fn revision(page: &mut Page, entry: &LogEntry, is_selected: bool, model: &Model) {
    let theme = page.theme;
    let style = if is_selected { theme.selected() } else { theme.plain() };
    let is_newest = model.status.as_ref().is_some_and(|status| status.configuration.revision == entry.revision.number);
    let number = format!("{:>7} ", entry.revision.number);
    let at = pad(&facts::moment(entry.at, model.now), 21);
    let author = pad(&entry.author, 13);
    let text =
        if entry.message.is_empty() { entry.paths.first().cloned().unwrap_or_default() } else { entry.message.clone() };
    let text = if is_newest { format!("newest  {text}") } else { text };
    let room = page.width.saturating_sub(3 + 8 + 21 + 13 + 15);
    page.spans(vec![
        (if is_selected { " > " } else { "   " }.into(), theme.strong()),
        (format!("{number}{at}{author}"), style),
        (pad(&counts(entry), 14), theme.quiet()),
        (format!(" {}", shorten(&text, room)), style),
    ]);
}

/// `+1 ~2 -3`
fn counts(entry: &LogEntry) -> String {
    let parts = [('+', entry.added), ('~', entry.changed), ('-', entry.removed)];
    let told: Vec<String> = parts
        .iter()
        .filter(|(_, count)| *count > 0)
        .map(|(sign, count)| format!("{sign}{}", facts::grouped(*count)))
        .collect();
    told.join(" ")
}

/// What the selected one is, below the list.
fn detail(page: &mut Page, entry: &LogEntry) {
    let theme = page.theme;
    page.line(
        &format!(
            " Revision {}, term {}   digest {}",
            entry.revision.number,
            entry.revision.term.0,
            entry.revision.root.short()
        ),
        theme.strong(),
    );
    let by = format!("{} by {}", entry.at.rfc3339(0), entry.author);
    let text = if entry.message.is_empty() { by } else { format!("{by}: {}", entry.message) };
    page.line(&format!("   {text}"), theme.plain());
    let all = entry.added + entry.changed + entry.removed;
    let few: Vec<&str> = entry.paths.iter().take(2).map(String::as_str).collect();
    for path in &few {
        page.line(&format!("   {}", shorten_left(path, page.width.saturating_sub(4))), theme.quiet());
    }
    let missing = all.saturating_sub(few.len() as u64);
    if missing > 0 {
        page.line(&format!("   and {}", facts::counted(missing, "more path")), theme.quiet());
    }
}

/// Two versions compared.
pub fn diff(frame: &mut Frame<'_>, area: Rect, diff: Option<&DiffView>, theme: Theme) -> Drawn {
    let mut page = Page::new(area.width, theme);
    let Some(diff) = diff else { return drawn(area.height) };
    let of = subject(&diff.paths);
    if !diff.loaded {
        page.title(&format!("Comparing {of}"), "");
        page.blank();
        page.text(3, "The answer comes by itself; Esc goes back without it.", theme.plain());
        return page.draw(frame, area, 0);
    }
    let right = match diff.files_total {
        0 => "no difference ".into(),
        1 => "1 path differs ".into(),
        many => format!("{} paths differ ", facts::grouped(many)),
    };
    page.title(&format!("- {}   + {}", diff.from_name, diff.to_name), &right);
    let searched = if diff.search.is_on() {
        format!("   / {}   {}", diff.search.text, diff.search.told(diff.scroll))
    } else {
        String::new()
    };
    let secrets = if diff.show_secrets { "   SECRETS ARE SHOWN, X hides them" } else { "" };
    let room = page.width.saturating_sub(searched.chars().count() + secrets.len() + 2);
    page.spans(vec![
        (format!(" {}", shorten_left(&of, room)), theme.quiet()),
        (searched, theme.strong()),
        (secrets.into(), theme.error()),
    ]);
    let rows = area.height.saturating_sub(DIFF_HEAD_ROWS);
    if diff.rows.is_empty() {
        page.blank();
        page.text(3, "They are equal, byte for byte and mode for mode.", theme.plain());
    }
    let width = page.width.saturating_sub(4);
    for (index, row) in diff.rows.iter().enumerate().skip(diff.scroll).take(usize::from(rows)) {
        let (sign, style) = look(row.kind, theme);
        let is_hit = diff.search.hits.binary_search(&index).is_ok();
        let head = if is_hit { theme.block() } else { style };
        let text = if row.kind == DiffKind::Place { format!("-- {} --", row.text) } else { row.text.clone() };
        let goes_aside = matches!(row.kind, DiffKind::Path | DiffKind::Both | DiffKind::Old | DiffKind::New);
        let left = if goes_aside { diff.left } else { 0 };
        let text: String = without_left(vec![(text, style)], left).into_iter().map(|(text, _)| text).collect();
        page.spans(vec![(sign.into(), head), (" ".into(), theme.plain()), (shorten(&text, width), style)]);
    }
    let _ = page.draw(frame, area, 0);
    drawn(rows)
}

/// Sign and style: the sign says it, the colour only helps.
fn look(kind: DiffKind, theme: Theme) -> (&'static str, Style) {
    match kind {
        DiffKind::Path => ("=", theme.strong()),
        DiffKind::Place | DiffKind::Note => (" ", theme.quiet()),
        DiffKind::Both => (" ", theme.plain()),
        DiffKind::Old => ("-", theme.removed()),
        DiffKind::New => ("+", theme.added()),
    }
}

/// What is kept after both sides had changed the configuration.
pub fn branches(frame: &mut Frame<'_>, area: Rect, model: &Model, theme: Theme) -> Drawn {
    let files = &model.files;
    let mut page = Page::new(area.width, theme);
    page.title("Kept: what one side alone had after both changed, and drifts", "nothing is lost ");
    if files.branches.is_empty() {
        page.blank();
        page.text(1, "None.", theme.plain());
        return page.draw(frame, area, 0);
    }
    let rows = (usize::from(area.height) / 2).clamp(1, files.branches.len());
    let first = super::first_visible(files.branch, rows, files.branches.len());
    for (index, branch) in files.branches.iter().enumerate().skip(first).take(rows) {
        let is_selected = index == files.branch;
        let style = if is_selected { theme.selected() } else { theme.plain() };
        let tail = format!("{} ", facts::counted(branch.files_total, "path"));
        let room = page.width.saturating_sub(3 + tail.chars().count());
        let head = if is_selected { " > " } else { "   " };
        page.spans(vec![(head.into(), theme.strong()), (pad(&branch.name, room), style), (tail, theme.quiet())]);
    }
    page.blank();
    if let Some(branch) = files.branches.get(files.branch) {
        let common = branch
            .common
            .map_or_else(|| "no common revision".into(), |common| format!("after revision {}", common.number));
        let revisions = facts::counted(branch.revisions, "revision");
        let text = format!("{revisions} {common}, {} changed", facts::counted(branch.files_total, "path"));
        page.line(&format!(" {text}"), theme.strong());
        let mut words = Vec::new();
        if branch.at.0 != 0 {
            words.push(format!("kept {}", facts::moment(branch.at, model.now)));
        }
        if !branch.author.is_empty() {
            words.push(format!("made by {}", branch.author));
        }
        if !branch.holder.is_empty() {
            words.push(format!("kept on {}", facts::short_host(&branch.holder)));
        }
        if !words.is_empty() {
            page.line(&format!(" {}", words.join(", ")), theme.plain());
        }
        for file in &branch.files {
            page.line(&format!("   {file}"), theme.plain());
        }
        let missing = branch.files_total.saturating_sub(branch.files.len() as u64);
        if missing > 0 {
            page.line(&format!("   and {} more", facts::grouped(missing)), theme.plain());
        }
    }
    let _ = page.draw(frame, area, 0);
    drawn(u16::try_from(rows).unwrap_or(area.height))
}
