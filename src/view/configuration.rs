//! Screen 3: the mirrored files.

use ratatui::Frame;
use ratatui::layout::Rect;

use super::page::{Page, pad, shorten_left};
use super::source;
use super::theme::Theme;
use crate::console::facts;
use crate::console::message::Drawn;
use crate::console::model::Model;
use crate::console::tree::{RowKind, Since};
use crate::engine::base::Role;
use crate::engine::order::{FileEntry, FileKind};
use crate::engine::status::Status;
use crate::text::clean;

/// From this width on the file stands beside the tree.
const SPLIT_COLUMNS: u16 = 78;

/// Draws it.
pub fn draw(frame: &mut Frame<'_>, area: Rect, model: &Model, status: &Status, theme: Theme) -> Drawn {
    let row = |y: u16| Rect { y: area.y + y, height: 1, ..area };
    headline(frame, row(0), model, status, theme);
    let body = Rect { y: area.y + 1, height: area.height.saturating_sub(2), ..area };
    breadcrumbs(frame, row(area.height.saturating_sub(1)), model, theme);
    let page = body.height;
    if !model.files.loaded || model.files.tree.is_empty() {
        empty(frame, body, model, status, theme);
    } else if area.width < SPLIT_COLUMNS {
        if model.files.in_file {
            file(frame, body, model, status, theme);
        } else {
            tree(frame, body, model, theme);
        }
    } else {
        let left = body.width / 2;
        tree(frame, Rect { width: left, ..body }, model, theme);
        for y in body.top()..body.bottom() {
            frame.buffer_mut().set_string(body.x + left, y, "│", theme.quiet());
        }
        let right = Rect { x: body.x + left + 2, width: body.width - left - 2, ..body };
        file(frame, right, model, status, theme);
    }
    let head = if model.files.in_file { file_head(model, status).len() + 1 } else { 0 };
    Drawn { page: page.saturating_sub(u16::try_from(head).unwrap_or(0)), scroll_max: 0 }
}

fn headline(frame: &mut Frame<'_>, area: Rect, model: &Model, status: &Status, theme: Theme) {
    let mode = if status.role == Some(Role::Shadow) { "READ ONLY" } else { "" };
    let filter = if model.files.filter.is_empty() {
        facts::counted(model.files.tree.matching() as u64, "file")
    } else {
        let (some, all) =
            (facts::grouped(model.files.tree.matching() as u64), facts::grouped(status.configuration.files));
        format!("/ {}    {some} of {all}", model.files.filter)
    };
    let peer = facts::peer_name(status);
    let same = match &status.peer {
        Some(other) if other.in_sync => format!("same as {peer}"),
        Some(other) if other.behind > 0 => format!("{peer} {} behind", other.behind),
        Some(_) => format!("not known to be same as {peer}"),
        None => "only here".into(),
    };
    let held =
        if status.configuration.held > 0 { format!("   held {}", status.configuration.held) } else { String::new() };
    let drift =
        if status.configuration.drift > 0 { format!("   drift {}", status.configuration.drift) } else { String::new() };
    let same = status.transfer.as_ref().map_or(same, facts::transfer);
    let left = if mode.is_empty() { format!(" {filter}") } else { format!(" {mode}   {filter}") };
    let right = format!("revision {}  {same}{held}{drift} ", status.configuration.revision);
    let width = usize::from(area.width);
    let room = width.saturating_sub(right.chars().count());
    frame.buffer_mut().set_string(area.x, area.y, format!("{}{right}", pad(&left, room)), theme.strong());
}

fn breadcrumbs(frame: &mut Frame<'_>, area: Rect, model: &Model, theme: Theme) {
    let Some(path) = &model.files.selected else { return };
    let text = format!(" {}", path.replace('/', " > "));
    let search = &model.files.search;
    let text = if model.files.in_file && (search.is_on() || model.filtering) {
        format!(" / {}   {}   {path}", search.text, search.told(model.files.file_scroll))
    } else {
        text
    };
    let secrets = if model.files.show_secrets { "   SECRETS ARE SHOWN, X hides them" } else { "" };
    let room = usize::from(area.width).saturating_sub(secrets.len());
    frame.buffer_mut().set_string(area.x, area.y, shorten_left(&text, room), theme.strong());
    if !secrets.is_empty() {
        let x = area.right().saturating_sub(u16::try_from(secrets.len()).unwrap_or(0));
        frame.buffer_mut().set_string(x, area.y, secrets, theme.error());
    }
}

fn empty(frame: &mut Frame<'_>, area: Rect, model: &Model, status: &Status, theme: Theme) {
    let mut page = Page::new(area.width, theme);
    page.blank();
    if model.files.loaded {
        page.text(3, "The mirrored directory is empty.", theme.strong());
        page.text(3, &status.configuration.directory, theme.plain());
    } else if model.is_connected() {
        page.text(3, "The list of files is being read …", theme.plain());
    } else {
        page.text(3, "The list of files is not known: the engine does not answer.", theme.plain());
    }
    let _ = page.draw(frame, area, 0);
}

fn tree(frame: &mut Frame<'_>, area: Rect, model: &Model, theme: Theme) {
    let files = &model.files;
    let mut page = Page::new(area.width, theme);
    if files.tree.rows() == 0 {
        page.text(3, "No path holds this text.", theme.plain());
    }
    let rows = usize::from(area.height).max(1);
    let first = super::first_visible(files.cursor, rows, files.tree.rows());
    for (index, row) in (first..first + rows).filter_map(|index| Some((index, files.tree.row(index)?))) {
        let is_selected = index == files.cursor && files.selected.is_some();
        let style = if is_selected { theme.selected() } else { theme.plain() };
        // Only a marked tree needs the whole path.
        let path = if files.marks.is_empty() { String::new() } else { files.tree.path(row.id) };
        let (fold, tail, is_marked) = match row.kind {
            RowKind::Directory { open, files: count } => {
                let count = if open { String::new() } else { format!("({}) ", facts::grouped(count as u64)) };
                let is_marked = !open && files.marks.is_above(&path);
                (if open { "- " } else { "+ " }, format!("{}{count}", if is_marked { "! " } else { "" }), is_marked)
            }
            kind => {
                let mark = files.marks.word(&path);
                let plain = if kind == RowKind::Link { "link" } else { "" };
                let word = mark.unwrap_or(if row.since == Since::Unchanged { plain } else { row.since.word() });
                ("  ", if word.is_empty() { String::new() } else { format!("{word} ") }, mark.is_some())
            }
        };
        let head = if is_selected && !files.in_file { " > " } else { "   " };
        let name = format!("{}{fold}{}", "  ".repeat(row.depth.min(20)), row.name);
        let room = page.width.saturating_sub(3 + tail.chars().count());
        let tail_style = if is_marked { theme.warning() } else { theme.quiet() };
        page.spans(vec![(head.into(), theme.strong()), (pad(&name, room), style), (tail, tail_style)]);
    }
    let _ = page.draw(frame, area, 0);
}

fn file(frame: &mut Frame<'_>, area: Rect, model: &Model, status: &Status, theme: Theme) {
    let mut page = Page::new(area.width, theme);
    let head = file_head(model, status);
    for (index, line) in head.iter().enumerate() {
        page.line(line, if index == 0 { theme.strong() } else { theme.quiet() });
    }
    if let Some(held) = model.files.selected.as_deref().and_then(|path| model.files.held(path)) {
        page.text(0, &format!("HELD BACK  {}; w shows what waits", held.why), theme.warning());
    }
    if let Some(drifted) = model.files.selected.as_deref().and_then(|path| model.files.drifted(path)) {
        page.text(0, &format!("DRIFT  it {}; o lists what was found", drifted.why), theme.warning());
    }
    let shown = model.files.shown.as_ref().filter(|shown| Some(&shown.entry.path) == model.files.selected.as_ref());
    if let Some(shown) = shown {
        page.blank();
        let room = usize::from(area.height).saturating_sub(page.lines.len());
        source::add_lines(&mut page, shown, &model.files, room);
    }
    let _ = page.draw(frame, area, 0);
}

/// Name, revision, size, digest of the selected row.
fn file_head(model: &Model, status: &Status) -> Vec<String> {
    if let Some(entry) = model.files.current_file() {
        let shown = model.files.shown.as_ref().map(|shown| &shown.entry).filter(|shown| shown.path == entry.path);
        return entry_head(&entry, shown.map_or("", |shown| &shown.owner), status);
    }
    match (&model.files.selected, model.files.current().map(|row| row.kind)) {
        (Some(path), Some(RowKind::Directory { files, .. })) => {
            vec![path.clone(), facts::counted(files as u64, "file"), "Enter opens or folds it".into()]
        }
        _ => Vec::new(),
    }
}

fn entry_head(entry: &FileEntry, owner: &str, status: &Status) -> Vec<String> {
    let path = shorten_left(&entry.path, 60);
    let revision = entry.revision;
    let kind = match entry.kind {
        FileKind::File => '-',
        FileKind::Directory => 'd',
        FileKind::Link => 'l',
    };
    let digest = entry.digest.short();
    let same = if status.peer.as_ref().is_some_and(|peer| peer.in_sync) { "  same on both" } else { "" };
    let mut lines = vec![
        path,
        format!("revision {revision}  {}  {kind}{}", facts::bytes(entry.size), mode(entry.mode)),
        format!("digest {digest}…{same}"),
    ];
    lines.extend((!owner.is_empty()).then(|| format!("owner {}", clean(owner))));
    lines
}

/// `rw-r-----`
fn mode(bits: u32) -> String {
    let letters = ['r', 'w', 'x'];
    (0..9).map(|index| if bits >> (8 - index) & 1 == 1 { letters[index % 3] } else { '-' }).collect()
}
