//! Screen 4: what is wrong, what it means, what to do.

use ratatui::Frame;
use ratatui::layout::Rect;

use super::page::{Page, pad, shorten};
use super::theme::Theme;
use super::{WIDE_COLUMNS, chrome};
use crate::console::facts;
use crate::console::keymap::{self, Action, Row};
use crate::console::message::Drawn;
use crate::console::model::Model;
use crate::engine::alerts::{Alert, AlertAction};

/// The key table's row of what an alert offers.
#[must_use]
pub fn action_row(action: AlertAction) -> &'static Row {
    keymap::row(match action {
        AlertAction::Retry => Action::Now,
        AlertAction::Reconnect => Action::Reconnect,
        AlertAction::Disconnect => Action::Disconnect,
        AlertAction::Differences => Action::Differences,
        AlertAction::Verify => Action::Verify,
        AlertAction::OpenPair => Action::Pair,
        AlertAction::OpenConfiguration => Action::Configuration,
        AlertAction::OpenEvents => Action::Events,
        AlertAction::BecomeMaster => Action::BecomeMaster,
        AlertAction::Branches => Action::Branches,
    })
}

/// Draws list and detail, above each other or side by side.
pub fn draw(frame: &mut Frame<'_>, area: Rect, model: &Model, theme: Theme) -> Drawn {
    if model.alerts.list.is_empty() {
        let mut page = Page::new(area.width, theme);
        page.blank();
        page.text(3, "No alerts.", theme.strong());
        page.text(3, "Trouble appears here with what it means and what to do about it.", theme.plain());
        return page.draw(frame, area, 0);
    }
    let (list, detail) = if area.width >= WIDE_COLUMNS {
        let left = area.width / 2;
        let bar = Rect { x: area.x + left, width: 1, ..area };
        for y in bar.top()..bar.bottom() {
            frame.buffer_mut().set_string(bar.x, y, "│", theme.quiet());
        }
        (Rect { width: left, ..area }, Rect { x: area.x + left + 1, width: area.width - left - 1, ..area })
    } else {
        // At least three alerts, at most half of the room.
        let wanted = u16::try_from(model.alerts.list.len() + 1).unwrap_or(u16::MAX);
        let rows = wanted.clamp(3, (area.height / 2).max(4)).min(area.height);
        chrome::rule(frame, Rect { y: area.y + rows, height: 1, ..area }, theme);
        let below = area.height.saturating_sub(rows + 1);
        (Rect { height: rows, ..area }, Rect { y: area.y + rows + 1, height: below, ..area })
    };
    draw_list(frame, list, model, theme);
    if let Some(alert) = model.alerts.current() {
        let mut page = Page::new(detail.width, theme);
        add_detail(&mut page, alert, model);
        let _ = page.draw(frame, detail, 0);
    }
    Drawn { page: list.height.saturating_sub(1), scroll_max: 0 }
}

fn draw_list(frame: &mut Frame<'_>, area: Rect, model: &Model, theme: Theme) {
    let mut page = Page::new(area.width, theme);
    page.line("    severity  code   since          what", theme.quiet());
    let rows = usize::from(area.height).saturating_sub(1).max(1);
    let position = model.alerts.position().unwrap_or(0);
    let first = super::first_visible(position, rows, model.alerts.list.len());
    for alert in model.alerts.list.iter().skip(first).take(rows) {
        let is_selected = model.alerts.selected == Some(alert.id);
        let times = if alert.count > 1 { format!("x{}", alert.count) } else { String::new() };
        // A time, not an age: nothing ticks on an idle screen, and an age would stand still.
        let since = facts::moment(alert.since, model.shown_at);
        let since = since.split_once(' ').map_or(since.as_str(), |(day, _)| day);
        let style = if is_selected { theme.selected() } else { theme.plain() };
        let room = page.width.saturating_sub(37);
        page.spans(vec![
            (if is_selected { " >  " } else { "    " }.into(), theme.strong()),
            (pad(alert.severity.word(), 7), theme.severity(alert.severity)),
            (format!("   {} {} {} ", pad(&alert.code, 6), pad(since, 10), pad(&times, 4)), style),
            (shorten(&alert.what, room), style),
        ]);
    }
    let _ = page.draw(frame, area, 0);
}

/// One alert, whole.
pub fn add_detail(page: &mut Page, alert: &Alert, model: &Model) {
    let theme = page.theme;
    let over = if alert.is_over { "   (over)" } else { "" };
    page.text(1, &format!("{}  {}{over}", alert.code, alert.what), theme.strong());
    let field = |page: &mut Page, label: &str, text: &str| {
        let room = page.width.saturating_sub(10).max(10);
        for (index, line) in super::page::wrap(text, room).into_iter().enumerate() {
            let head = if index == 0 { label } else { "" };
            page.spans(vec![(format!(" {head:<8}"), theme.strong()), (line, theme.plain())]);
        }
    };
    if !alert.subject.is_empty() {
        field(page, "About", &alert.subject);
    }
    field(page, "Why", &alert.why);
    field(page, "Means", &alert.means);
    field(page, "Do", &alert.todo);
    for action in &alert.actions {
        let row = action_row(*action);
        let asks = if row.danger == keymap::Danger::Plain { "" } else { " (asks)" };
        let (text, style) = match (row.reason)(model) {
            None => (format!("{}{asks}", in_words(*action, model)), theme.plain()),
            Some(reason) => (format!("not now: {reason}"), theme.quiet()),
        };
        for (index, line) in super::page::wrap(&text, page.width.saturating_sub(13).max(10)).into_iter().enumerate() {
            let key = if index == 0 { row.key_name() } else { String::new() };
            page.spans(vec![(format!("         {key:<3}"), theme.key()), (line, style)]);
        }
    }
    let seen = format!(
        "since {}, last seen {}, {}, {}",
        facts::moment(alert.since, model.now),
        facts::moment(alert.last_seen, model.now),
        if alert.count == 1 { "once".into() } else { format!("{} times", alert.count) },
        alert.category.word()
    );
    page.text(9, &seen, theme.quiet());
}

/// What the key does about this alert.
fn in_words(action: AlertAction, model: &Model) -> String {
    let status = model.status.as_deref();
    let peer = status.map(facts::peer_name).unwrap_or_default();
    let is_shadow = model.role() == Some(crate::engine::base::Role::Shadow);
    match action {
        AlertAction::Retry if is_shadow => format!("Try {peer} again now"),
        AlertAction::Retry => "Push again now".into(),
        AlertAction::Reconnect => "Reconnect: drop the link and transfer everything".into(),
        AlertAction::Disconnect => format!("Disconnect {peer}: no takeover until it is connected again"),
        AlertAction::Differences => format!("Show the differences between this instance and {peer}"),
        AlertAction::Verify => "Verify every file on both".into(),
        AlertAction::OpenPair if is_shadow => "Open the Shadow Connector".into(),
        AlertAction::OpenPair => "Open High Availability".into(),
        AlertAction::OpenConfiguration => "Open the configuration".into(),
        AlertAction::OpenEvents => "Open the events".into(),
        AlertAction::BecomeMaster => "Take over: become master by force".into(),
        AlertAction::Branches => "Show what each branch holds: revisions and files".into(),
    }
}
