//! Screen 1: the pair at a glance.

use ratatui::Frame;
use ratatui::layout::Rect;

use super::page::{Page, pad};
use super::theme::Theme;
use super::{attention, banner, glyphs, picture};
use crate::console::facts;
use crate::console::message::Drawn;
use crate::console::model::{EngineLink, Model};
use crate::engine::base::{LinkState, Role};
use crate::engine::status::{Protection, Status};

/// From this width on configuration and link stand side by side.
const TWO_COLUMNS: usize = 78;
/// Alerts named here; the rest is on their screen.
const ALERTS_SHOWN: usize = 3;

/// Draws it.
pub fn draw(frame: &mut Frame<'_>, area: Rect, model: &Model, status: &Status, theme: Theme) -> Drawn {
    let mut page = Page::new(area.width, theme);
    if let Some(notice) = &status.notice {
        banner::add(&mut page, notice);
        protection(&mut page, model, status);
        page.blank();
        attention::add(&mut page, model, status);
        alerts(&mut page, model);
        return page.draw(frame, area, model.scroll);
    }
    if area.height > 14 && model.alerts.list.len() <= 1 {
        page.blank();
    }
    attention::add(&mut page, model, status);
    picture::add(&mut page, model, status);
    page.blank();
    protection(&mut page, model, status);
    page.blank();
    next_step(&mut page, status);
    let (left, right) = (configuration(model, status, theme, area.width), link(model, status, theme, area.width));
    if page.width >= TWO_COLUMNS {
        page.beside(42, left, right);
    } else {
        page.lines.extend(left.lines);
        page.lines.extend(right.lines);
    }
    page.blank();
    alerts(&mut page, model);
    page.draw(frame, area, model.scroll)
}

fn protection(page: &mut Page, model: &Model, status: &Status) {
    let theme = page.theme;
    // Never flatters (spec 8.9): of an engine that does not answer only the past is known.
    if matches!(model.link, EngineLink::Away { .. }) {
        let text = format!("UNKNOWN  was {}", status.protection.word());
        page.spans(vec![(" Protection   ".into(), theme.strong()), (text, theme.error())]);
        return;
    }
    let style = match status.protection {
        Protection::Full => theme.strong(),
        Protection::Reduced | Protection::Paused => theme.warning(),
        Protection::None => theme.error(),
    };
    let word = status.protection.word();
    let lines = super::page::wrap(&status.protection_message, page.width.saturating_sub(24).max(20));
    for (index, line) in lines.into_iter().enumerate() {
        if index == 0 {
            let gap = " ".repeat(9usize.saturating_sub(word.len()));
            page.spans(vec![
                (" Protection   ".into(), theme.strong()),
                (word.into(), style),
                (format!("{gap}{line}"), theme.plain()),
            ]);
        } else {
            page.line(&format!("{}{line}", " ".repeat(23)), theme.plain());
        }
    }
    // The third vote may take away what the sentence promises (spec 7.11).
    if let Some(arbiter) = status.arbiter.as_ref().filter(|arbiter| arbiter.state_text().1) {
        page.line(&format!("{}Arbiter {}.", " ".repeat(23), arbiter.state_text().0), theme.error());
    }
}

/// What a new pair still needs.
fn next_step(page: &mut Page, status: &Status) {
    let hint = match (status.role, status.state) {
        (Some(Role::Master), _) if !status.ha.enabled => "Next: press 2, then e to enable high availability.",
        (Some(Role::Master), Some(LinkState::Alone)) => "Next: connect a shadow; 2 tells how.",
        (Some(Role::Shadow), Some(LinkState::Initial)) => "Next: press 2, then e to say where the master is.",
        (Some(Role::Shadow), Some(LinkState::Disconnected)) => "Next: press c to connect to the master.",
        _ => return,
    };
    page.text(1, hint, page.theme.strong());
    page.blank();
}

fn configuration(model: &Model, status: &Status, theme: Theme, width: u16) -> Page {
    let mut page = Page::new(width.min(41), theme);
    let configuration = &status.configuration;
    page.title("Configuration", "");
    let same = match &status.peer {
        Some(peer) if peer.in_sync => ", same on both",
        Some(peer) if peer.behind > 0 => ", not on both",
        _ => "",
    };
    let revision =
        if configuration.revision == 0 { "none yet".into() } else { format!("{}{same}", configuration.revision) };
    page.field("  revision", &revision);
    let files = format!("{}   {}", facts::grouped(configuration.files), facts::bytes(configuration.bytes));
    page.field("  files", &files);
    if let Some(change) = &configuration.last_change {
        // Directories and links count too.
        let paths =
            if change.files > 0 { format!(", {}", facts::counted(change.files, "path")) } else { String::new() };
        page.field("  last change", &format!("{} by {}{paths}", facts::moment(change.at, model.now), change.author));
    }
    if configuration.held > 0 {
        page.styled_field("  held back", &facts::counted(configuration.held, "file"), theme.warning());
    }
    if configuration.drift > 0 {
        page.styled_field("  drift", &facts::counted(configuration.drift, "file"), theme.warning());
    }
    if configuration.owners_missing > 0 {
        let names = facts::counted(configuration.owners_missing, "name");
        page.styled_field("  owners", &format!("{names} missing here"), theme.warning());
    }
    let service = match (status.service.kind.as_str(), status.service.name.as_str()) {
        ("none", _) => "none configured".into(),
        (_, "") => status.service.state.clone(),
        (_, name) => format!("{}, {name}", status.service.state),
    };
    let style = if status.service.state == "failed" { theme.error() } else { theme.plain() };
    let room = page.width.saturating_sub(super::page::VALUE_COLUMN + 1);
    page.styled_field("  service", &super::page::shorten(&service, room), style);
    if let Some(why) = &status.service.message {
        page.styled_field("", why, theme.warning());
    }
    page
}

fn link(model: &Model, status: &Status, theme: Theme, width: u16) -> Page {
    let mut page = Page::new(if usize::from(width) >= TWO_COLUMNS { width - 42 } else { width }, theme);
    page.title("Link", "");
    let Some(peer) = &status.peer else {
        page.field("  peer", "none yet");
        return page;
    };
    page.field("  state", status.state.map_or("unknown", LinkState::word));
    if let Some(since) = peer.connected_since {
        page.field("  connected", &format!("since {}", facts::moment(since, model.shown_at)));
    } else if let Some(at) = peer.last_check {
        page.field("  last answer", &facts::moment(at, model.now));
    }
    let values: Vec<f64> = model.trend.minutes.iter().map(|(_, ms)| *ms).collect();
    if let Some(now) = peer.round_trip_ms {
        let longest = values.iter().copied().fold(now, f64::max);
        let trend = if values.len() > 2 { format!("{} ", sparkline(&values)) } else { String::new() };
        page.field("  round trip", &format!("{trend}{}, max {}", facts::round_trip(now), facts::round_trip(longest)));
    }
    if let Some(arbiter) = &status.arbiter {
        let (words, is_bad) = arbiter.state_text();
        let word = words.split(':').next().unwrap_or(words);
        let confirms = |who: &str| arbiter.confirmed_by.iter().any(|by| by == who);
        let confirmed = match (status.role, is_bad) {
            (Some(Role::Master), _) if confirms("arbiter") => ", confirms",
            (Some(Role::Master), _) if confirms("shadow") => ", shadow confirms",
            (Some(Role::Master), _) if status.active => ", NOT CONFIRMED",
            _ => "",
        };
        let style = if is_bad { theme.error() } else { theme.plain() };
        page.styled_field("  arbiter", &format!("{word}{confirmed}"), style);
    }
    if peer.behind > 0 {
        page.styled_field("  behind", &facts::counted(peer.behind, "revision"), theme.warning());
    }
    page
}

fn sparkline(values: &[f64]) -> String {
    let longest = values.iter().copied().fold(f64::MIN_POSITIVE, f64::max);
    let bars = glyphs::BARS;
    values
        .iter()
        .map(|value| {
            let share = value / longest;
            let level =
                bars.iter().enumerate().rfind(|(index, _)| share * 8.0 > *index as f64).map_or(0, |(index, _)| index);
            bars[level]
        })
        .collect()
}

fn alerts(page: &mut Page, model: &Model) {
    let theme = page.theme;
    if model.alerts.list.is_empty() {
        return;
    }
    page.title("Alerts", "4 to open ");
    for alert in model.alerts.list.iter().take(ALERTS_SHOWN) {
        let room = page.width.saturating_sub(20);
        page.spans(vec![
            ("   ".into(), theme.plain()),
            (pad(alert.severity.word(), 7), theme.severity(alert.severity)),
            (format!("  {}  {}", pad(&alert.code, 5), super::page::shorten(&alert.what, room)), theme.plain()),
        ]);
    }
    let more = model.alerts.list.len().saturating_sub(ALERTS_SHOWN);
    if more > 0 {
        page.line(&format!("   and {more} more"), theme.plain());
    }
}
