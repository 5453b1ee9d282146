//! The pair as two boxes and the link between them.

use super::chrome::link_words;
use super::page::{Page, pad};
use crate::console::facts;
use crate::console::model::{EngineLink, Model};
use crate::engine::base::{Condition, LinkState, Role, UnixMillis};
use crate::engine::status::Status;

/// Below this width the pair is two lines of text.
const PICTURE_COLUMNS: usize = 78;
/// Inside of a box.
const BOX_CELLS: usize = 26;
/// Between the boxes.
const GAP_CELLS: usize = 17;

/// Adds the pair.
pub fn add(page: &mut Page, model: &Model, status: &Status) {
    let own = own_words(model, status);
    let peer = peer_words(status);
    let own_name = format!("{} (this instance)", facts::own_name(status));
    let peer_name = if status.peer.is_some() { facts::peer_name(status) } else { "no other instance".into() };
    if page.width < PICTURE_COLUMNS {
        let strong = page.theme.strong();
        let plain = page.theme.plain();
        page.spans(vec![(format!(" {}  ", pad(&own_name, 24)), strong), (own.join("  "), plain)]);
        page.spans(vec![(format!(" {}  ", pad(&peer_name, 24)), strong), (peer.join("  "), plain)]);
        return;
    }
    let link = link_lines(model, status);
    let strong = page.theme.strong();
    let plain = page.theme.plain();
    let left = pad(&format!(" {own_name}"), BOX_CELLS + 2);
    page.spans(vec![(format!("    {left}{}{peer_name}", " ".repeat(GAP_CELLS + 1)), strong)]);
    let edge = "─".repeat(BOX_CELLS);
    let gap = |text: &str| format!("{text:^GAP_CELLS$}");
    page.spans(vec![(format!("    ┌{edge}┐{}┌{edge}┐", gap(&link[0])), plain)]);
    for row in 0..2 {
        let inside = |words: &[String; 2]| pad(&format!("  {}", words[row]), BOX_CELLS);
        let word_style = if row == 0 { strong } else { plain };
        let link_style = if row == 0 { link_style(page, model, status) } else { plain };
        page.spans(vec![
            ("    │".into(), plain),
            (inside(&own), word_style),
            ("│".into(), plain),
            (gap(&link[1 + row]), link_style),
            ("│".into(), plain),
            (inside(&peer), word_style),
            ("│".into(), plain),
        ]);
    }
    page.spans(vec![(format!("    └{edge}┘{}└{edge}┘", gap(&link[3])), plain)]);
}

fn link_style(page: &Page, model: &Model, status: &Status) -> ratatui::style::Style {
    match status.state {
        _ if matches!(model.link, EngineLink::Away { .. }) => page.theme.plain(),
        Some(LinkState::Connected | LinkState::Ready) => page.theme.link(),
        Some(LinkState::Broken | LinkState::Lost) => page.theme.error(),
        _ => page.theme.plain(),
    }
}

fn own_words(model: &Model, status: &Status) -> [String; 2] {
    let word = match status.role {
        Some(Role::Master) => "MASTER",
        Some(Role::Shadow) => "SHADOW",
        None => "NO ROLE",
    };
    // A time, not an age: nothing ticks on an idle screen, and an age would stand still.
    let since = status.since.map(|since| format!(" since {}", day_or_time(since, model.shown_at))).unwrap_or_default();
    let line = match (status.condition, status.role, status.state) {
        (Some(Condition::Maintenance), ..) | (None, Some(Role::Master), _) => {
            if status.active {
                format!("active{since}")
            } else {
                "NOT ACTIVE".into()
            }
        }
        (Some(Condition::Damped), Some(Role::Shadow), Some(state)) => format!("{}, damped", state.word()),
        (Some(condition), ..) if status.active => format!("active, {}", condition.word()),
        (Some(condition), ..) => format!("idle: {}", condition.word()),
        (None, Some(Role::Shadow), Some(state)) => {
            let in_sync = status.peer.as_ref().is_some_and(|peer| peer.in_sync);
            format!("{}{}", state.word(), if in_sync && state == LinkState::Ready { ", in sync" } else { "" })
        }
        _ => String::new(),
    };
    [word.into(), line]
}

/// The time if it was today, else the day alone.
fn day_or_time(at: UnixMillis, now: UnixMillis) -> String {
    let moment = facts::moment(at, now);
    moment.split_once(' ').map_or(moment.clone(), |(day, _)| day.to_owned())
}

fn peer_words(status: &Status) -> [String; 2] {
    let Some(peer) = &status.peer else { return ["-".into(), String::new()] };
    let is_master = status.role == Some(Role::Master);
    let word = match peer.role {
        Some(Role::Master) => "MASTER",
        Some(Role::Shadow) => "SHADOW",
        None if is_master => "SHADOW",
        None => "MASTER",
    };
    let line = match status.state {
        Some(LinkState::Connected) if peer.in_sync => "READY, in sync".into(),
        Some(LinkState::Connected) if peer.behind > 0 => format!("{} behind", facts::counted(peer.behind, "revision")),
        Some(LinkState::Connected) => "not in sync".into(),
        Some(LinkState::Alone) => "not connected".into(),
        Some(LinkState::Broken | LinkState::Lost) => "silent now".into(),
        Some(LinkState::Ready | LinkState::Initsync | LinkState::Handshake) => format!("active, term {}", peer.term),
        _ => "last known".into(),
    };
    [word.into(), line]
}

/// Above, on, and below the arrow.
fn link_lines(model: &Model, status: &Status) -> [String; 4] {
    let round_trip =
        status.peer.as_ref().and_then(|peer| peer.round_trip_ms).map(facts::round_trip).unwrap_or_default();
    let interval = status.peer.as_ref().map_or(status.settings.shadow.check_interval, |peer| peer.check_interval_ms);
    let every = format!("every {}", facts::duration(interval));
    let arrow = |text: &str| text.to_owned();
    if matches!(model.link, EngineLink::Away { .. }) {
        return [String::new(), "last known".into(), status.state.map_or("", LinkState::word).into(), String::new()];
    }
    match status.state {
        Some(LinkState::Connected) => ["checks ok".into(), arrow("==============▶"), round_trip, every],
        Some(LinkState::Ready) => ["checks ok".into(), arrow("◀=============="), round_trip, every],
        Some(LinkState::Binding | LinkState::Initsync | LinkState::Handshake) => {
            let words = link_words(model, status);
            [
                "first transfer".into(),
                arrow("- - - - - - - -"),
                words.split_once(' ').map(|(_, w)| w.into()).unwrap_or_default(),
                String::new(),
            ]
        }
        Some(LinkState::Broken | LinkState::Lost) => {
            ["no answer".into(), arrow("---- X X X ----"), String::new(), String::new()]
        }
        Some(state) => [String::new(), "not connected".into(), state.word().into(), String::new()],
        None => Default::default(),
    }
}
