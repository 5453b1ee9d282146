//! What surrounds every screen: who am I, the screens, the message line, the keys that work now.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use unicode_width::UnicodeWidthStr;

use super::page::{pad, shorten};
use super::theme::Theme;
use crate::console::facts;
use crate::console::keymap::{self, Contexts};
use crate::console::model::{COLUMNS_MIN, EngineLink, Model, Overlay, ROWS_MIN, Screen, Tone};
use crate::engine::base::{LinkState, Role};
use crate::engine::status::Status;

/// Row 1: instance, role, term, condition | link | alerts, time of the data.
pub fn header(frame: &mut Frame<'_>, area: Rect, model: &Model, theme: Theme) {
    let width = usize::from(area.width);
    let time = if model.status.is_some() { model.shown_at.clock(0) } else { String::new() };
    let parts = match &model.status {
        Some(status) => [who(status), link_words(model, status), alert_words(model)],
        None => ["standin".into(), connecting(model), String::new()],
    };
    let room = width.saturating_sub(time.width() + 3);
    let mut text = parts.iter().filter(|part| !part.is_empty()).cloned().collect::<Vec<_>>().join("   |   ");
    if text.width() > room {
        text = text.replace("   |   ", " | ").replace("  ", " ");
    }
    let line = format!(" {} {time} ", pad(&text, room));
    frame.buffer_mut().set_string(area.x, area.y, pad(&line, width), theme.block().patch(theme.strong()));
}

fn connecting(model: &Model) -> String {
    match &model.link {
        EngineLink::Away { .. } => "engine AWAY, reconnecting".into(),
        EngineLink::Connecting => "connecting to the engine".into(),
        EngineLink::Connected => "waiting for the status".into(),
    }
}

fn who(status: &Status) -> String {
    let name = shorten(&facts::own_name(status), 24);
    let role = match status.role {
        Some(Role::Master) => "MASTER",
        Some(Role::Shadow) => "SHADOW",
        None => "NO ROLE",
    };
    let mut text = format!("{name}  {role}");
    if let Some(condition) = status.condition {
        text.push(' ');
        text.push_str(condition.word());
    } else if status.stopping {
        text.push_str(" stopping");
    }
    if status.notice.is_some() {
        text.push_str(" (new, see 1)");
    }
    if status.role.is_some() {
        text.push_str(&format!("  term {}", status.term));
    }
    text
}

/// The link in a few words: `node-b in sync`, `node-a LOST`.
#[must_use]
pub fn link_words(model: &Model, status: &Status) -> String {
    if matches!(model.link, EngineLink::Away { .. }) {
        return "engine AWAY, reconnecting".into();
    }
    let peer = shorten(&facts::peer_name(status), 24);
    let in_sync = status.peer.as_ref().is_some_and(|peer| peer.in_sync);
    let behind = status.peer.as_ref().map_or(0, |peer| peer.behind);
    match status.state {
        None => "no link".into(),
        Some(LinkState::Alone) => "no shadow".into(),
        Some(LinkState::Initial) => "no master".into(),
        Some(LinkState::Connected | LinkState::Ready) if in_sync => format!("{peer} in sync"),
        Some(LinkState::Connected) if behind > 0 => format!("{peer} {behind} behind"),
        Some(LinkState::Connected) => format!("{peer} not in sync"),
        Some(LinkState::Initsync) => match &status.transfer {
            Some(transfer) if transfer.files_total > 0 => {
                format!("{peer} INITSYNC {} %", transfer.files_done * 100 / transfer.files_total)
            }
            _ => format!("{peer} INITSYNC"),
        },
        Some(state) => format!("{peer} {}", state.word()),
    }
}

fn alert_words(model: &Model) -> String {
    facts::counted(model.alerts_open(), "alert")
}

/// Row 2: the screens; the shown one in brackets.
pub fn tabs(frame: &mut Frame<'_>, area: Rect, model: &Model, theme: Theme) {
    let mut spans = vec![Span::raw(" ")];
    let narrow = area.width < 78;
    for screen in Screen::ALL {
        let number = screen.index() + 1;
        let alerts = model.alerts_open();
        let name = match screen {
            Screen::Overview => "Overview".into(),
            Screen::Pair if model.role() == Some(Role::Shadow) => {
                if narrow { "Shadow" } else { "Shadow Connector" }.into()
            }
            Screen::Pair => if narrow { "High Avail." } else { "High Availability" }.into(),
            Screen::Configuration => if narrow { "Config" } else { "Configuration" }.into(),
            Screen::Alerts if alerts > 0 => format!("Alerts {alerts}"),
            Screen::Alerts => "Alerts".into(),
            Screen::Events => "Events".into(),
        };
        let text = format!("{number} {name}");
        if screen == model.screen {
            spans.push(Span::styled(format!("[{text}]"), theme.strong()));
            spans.push(Span::raw("  "));
        } else {
            spans.push(Span::raw(format!("{text}  ")));
        }
    }
    frame.buffer_mut().set_line(area.x, area.y, &Line::from(spans), area.width);
}

/// A horizontal line.
pub fn rule(frame: &mut Frame<'_>, area: Rect, theme: Theme) {
    frame.buffer_mut().set_string(area.x, area.y, "─".repeat(usize::from(area.width)), theme.quiet());
}

/// The message line: what runs, else the result of the last action, else the age of old data.
pub fn message(frame: &mut Frame<'_>, area: Rect, model: &Model, theme: Theme) {
    let (text, tone) = message_words(model);
    let style = match tone {
        Tone::Plain => theme.plain(),
        Tone::Warning => theme.warning(),
        Tone::Error => theme.error(),
    };
    if !text.is_empty() {
        frame.buffer_mut().set_string(area.x, area.y, shorten(&format!(" {text}"), usize::from(area.width)), style);
    }
}

fn message_words(model: &Model) -> (String, Tone) {
    if model.filtering {
        let searched = match (&model.overlay, &model.files.diff) {
            (Some(Overlay::Diff), Some(diff)) => Some(&diff.search),
            (None, _) if model.screen == Screen::Configuration && model.files.in_file => Some(&model.files.search),
            _ => None,
        };
        if let Some(search) = searched {
            return (format!("search: {}_", search.text), Tone::Plain);
        }
        let filter = if model.screen == Screen::Configuration { &model.files.filter } else { &model.events.filter };
        return (format!("filter: {filter}_"), Tone::Plain);
    }
    if let Some(pending) = model.pending.values().next_back() {
        let seconds = facts::between(pending.since, model.now) / 1_000;
        let waited = if seconds > 0 { format!(" ({seconds} s)") } else { String::new() };
        return (format!("{} …{waited}", pending.label), Tone::Plain);
    }
    if let Some(text) = model.form.as_ref().and_then(|form| form.message.clone()) {
        return (text, Tone::Warning);
    }
    if let Some(note) = &model.note {
        return (note.text.clone(), note.tone);
    }
    if let EngineLink::Away { since, why } = &model.link {
        let gone = facts::age(facts::between(*since, model.now));
        let age = facts::age(facts::between(model.shown_at, model.now));
        let text = if model.status.is_some() {
            format!("Engine away for {gone}, reconnecting; what you see is {age} old. {why}")
        } else {
            format!("No engine answers for {gone}, reconnecting. {why}")
        };
        return (text, Tone::Warning);
    }
    (String::new(), Tone::Plain)
}

/// The keys that work now, as many as fit; help and leave always do.
pub fn footer(frame: &mut Frame<'_>, area: Rect, model: &Model, theme: Theme) {
    let items = fitting(model, usize::from(area.width));
    let gap = if total_width(&items, 3) <= usize::from(area.width) { 3 } else { 2 };
    let mut spans = vec![Span::raw(" ")];
    for (index, (key, label)) in items.iter().enumerate() {
        if index > 0 {
            spans.push(Span::raw(" ".repeat(gap)));
        }
        spans.push(Span::styled(key.clone(), theme.key()));
        spans.push(Span::raw(format!(" {label}")));
    }
    frame.buffer_mut().set_line(area.x, area.y, &Line::from(spans), area.width);
}

fn total_width(items: &[(String, &'static str)], gap: usize) -> usize {
    items.iter().map(|(key, label)| key.width() + 1 + label.width() + gap).sum::<usize>() + 1 - gap.min(1) * gap
}

/// What the footer shows in `width` cells: the most useful ones, and always the last two of the table's order.
fn fitting(model: &Model, width: usize) -> Vec<(String, &'static str)> {
    let context = model.context();
    let mut items = keymap::footer(model, context);
    let keep = if context.meets(Contexts::SCREENS) { 2 } else { 1 };
    if context == Contexts::ALERTS
        && let Some(keys) = alert_keys(model)
    {
        items.insert(0, (keys, "do"));
    }
    while total_width(&items, 2) > width && items.len() > keep + 1 {
        items.remove(items.len() - keep - 1);
    }
    items
}

/// The keys of the selected alert's actions, for `r C d v 2 do`.
fn alert_keys(model: &Model) -> Option<String> {
    let alert = model.alerts.current()?;
    let keys: Vec<String> = alert.actions.iter().map(|action| super::alerts::action_row(*action).key_name()).collect();
    (!keys.is_empty()).then(|| keys.join(" "))
}

/// Instead of everything in a window below the minimum (spec 8.4).
pub fn too_small(frame: &mut Frame<'_>, area: Rect, model: &Model, theme: Theme) {
    let first = model.status.as_ref().map_or_else(
        || connecting(model),
        |status| format!("{}  {}  {} !", who(status), link_words(model, status), model.alerts_open()),
    );
    let lines = [
        first,
        format!("Window is {}x{}. Needs {COLUMNS_MIN}x{ROWS_MIN}.", area.width, area.height),
        "Or: standin status, standin --plain".into(),
        "q leaves; Standin goes on.".into(),
    ];
    for (row, line) in (0..area.height).zip(lines) {
        let style = if row == 0 { theme.block() } else { theme.plain() };
        let line = pad(&format!(" {line}"), usize::from(area.width));
        frame.buffer_mut().set_string(area.x, area.y + row, line, style);
    }
}
