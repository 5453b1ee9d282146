//! The one place where the model changes: a message in, commands out. Never blocks, never fails.

mod answers;
mod keys;

#[cfg(test)]
mod tests;

use super::actions;
use super::message::{Command, Message};
use super::model::{EVENTS_MAX, EngineLink, Model, Overlay, Screen, Tone};
use crate::engine::alerts::Alert;
use crate::engine::base::{LinkState, Role, UnixMillis};
use crate::engine::event::Event;
use crate::engine::order::{ClientFrame, ServerFrame};
use crate::engine::status::{CheckResult, Status};

/// Takes a message in.
pub fn update(model: &mut Model, message: Message) -> Vec<Command> {
    match message {
        Message::Key(key, at) => {
            heard(model, at);
            show_latest(model);
            keys::press(model, key)
        }
        Message::Paste(text) => keys::paste(model, &text),
        Message::Resize { columns, rows } => {
            (model.columns, model.rows) = (columns, rows);
            Vec::new()
        }
        Message::Frame(frame, at) => {
            model.link = EngineLink::Connected;
            heard_frame(model, *frame, at)
        }
        Message::Connected(at) => connected(model, at),
        Message::Disconnected(why, at) => disconnected(model, why, at),
        Message::Tick(at) => {
            heard(model, at);
            Vec::new()
        }
        Message::Edited(edited) => actions::editing::take(model, edited),
        Message::Drawn(drawn) => {
            model.drawn = drawn;
            model.scroll = model.scroll.min(drawn.scroll_max);
            Vec::new()
        }
    }
}

fn heard(model: &mut Model, at: UnixMillis) {
    model.now = at;
}

fn connected(model: &mut Model, at: UnixMillis) -> Vec<Command> {
    heard(model, at);
    if matches!(model.link, EngineLink::Away { .. }) {
        model.say(Tone::Plain, "The engine answers again");
    }
    model.link = EngineLink::Connected;
    (model.files.asked_for, model.files.reading) = (None, None);
    let events_after = model.events.list.back().map_or(0, |event| event.id);
    vec![Command::Send(ClientFrame::Subscribe { events_after })]
}

/// What is shown stays; its age and `reconnecting` are shown (spec 8.8).
fn disconnected(model: &mut Model, why: String, at: UnixMillis) -> Vec<Command> {
    heard(model, at);
    let was_stopping = model.pending.values().any(|pending| pending.asked == super::model::Asked::Stop);
    let unanswered = model.pending.len();
    model.pending.clear();
    if let Some(dialog) = &mut model.dialog
        && dialog.waiting.take().is_some()
    {
        dialog.problem = Some("The engine went away before it answered.".into());
    }
    if model.files.editing.as_ref().is_some_and(|editing| editing.state == super::files::EditState::Applying) {
        let _ = actions::editing::failed(model, None);
    }
    if was_stopping {
        return vec![Command::Quit(super::message::Leave::Stop)];
    }
    if !matches!(model.link, EngineLink::Away { .. }) {
        model.link = EngineLink::Away { since: at, why };
        if unanswered > 0 {
            model.say(Tone::Warning, "The engine went away before it answered: look whether it was done");
        }
    }
    Vec::new()
}

fn heard_frame(model: &mut Model, frame: ServerFrame, at: UnixMillis) -> Vec<Command> {
    match frame {
        ServerFrame::Welcome { version, .. } => {
            model.engine_version = version;
            Vec::new()
        }
        ServerFrame::Status(status) => take_status(model, status, at),
        ServerFrame::Alerts(list) => {
            take_alerts(model, list);
            material(model, at);
            Vec::new()
        }
        ServerFrame::Events(new) => {
            take_events(model, new);
            material(model, at);
            Vec::new()
        }
        ServerFrame::Reply { id, outcome } => {
            material(model, at);
            answers::take(model, id, outcome)
        }
    }
}

/// Something that an operator must see has changed.
fn material(model: &mut Model, at: UnixMillis) {
    heard(model, at);
    model.shown_at = at;
    show_latest(model);
}

fn show_latest(model: &mut Model) {
    if model.latest.is_some() && model.status != model.latest {
        model.status.clone_from(&model.latest);
    }
    if model.trend != model.latest_trend {
        model.trend.clone_from(&model.latest_trend);
    }
}

/// The status without what moves at every check: an idle screen must not write (spec 8.6).
fn still(status: &Status) -> Status {
    let mut still = status.clone();
    if let Some(peer) = &mut still.peer {
        peer.last_check = None;
        peer.round_trip_ms = None;
    }
    if let Some(peer) = &mut still.peer {
        peer.clock_difference_ms = None;
        passed(&mut peer.checks);
    }
    if let Some(arbiter) = &mut still.arbiter {
        (arbiter.confirmed_until, arbiter.promised_until, arbiter.last_answer) = (None, None, None);
    }
    for step in &mut still.link {
        step.message.clear();
    }
    passed(&mut still.takeover.checks);
    still
}

/// How long a check took moves with every run; that it passed does not.
fn passed(checks: &mut [CheckResult]) {
    for check in checks.iter_mut().filter(|check| check.ok) {
        check.message.clear();
    }
}

fn take_status(model: &mut Model, status: Box<Status>, at: UnixMillis) -> Vec<Command> {
    if let Some(ms) = status.peer.as_ref().and_then(|peer| peer.round_trip_ms) {
        model.latest_trend.add(at, ms);
    }
    let is_material = model.status.as_ref().is_none_or(|shown| still(shown) != still(&status));
    let before = model.status.as_ref().map(|shown| (shown.role, shown.term));
    let after = (status.role, status.term);
    model.latest = Some(status);
    if !is_material {
        return Vec::new();
    }
    material(model, at);
    if let (Some(form), Some(status)) = (&mut model.form, &model.status) {
        form.refresh(status);
    }
    if before.is_some_and(|before| before != after) {
        role_changed(model);
    }
    if connects_now(model) {
        model.has_offered_connect = true;
        model.screen = Screen::Pair;
        return actions::connect(model);
    }
    if model.screen != Screen::Configuration {
        return Vec::new();
    }
    let mut commands = actions::list_files(model);
    commands.extend(actions::list_held(model));
    commands.extend(actions::list_drifted(model));
    commands
}

/// On a shadow that was just set up, *connect* follows the save (spec 1.1).
fn connects_now(model: &Model) -> bool {
    let is_free = model.dialog.is_none() && model.form.is_none() && model.overlay.is_none();
    model.embeds
        && !model.has_offered_connect
        && is_free
        && model.status.as_ref().is_some_and(|status| {
            let is_unpaired = status.peer.is_none() && status.state == Some(LinkState::Disconnected);
            status.role == Some(Role::Shadow) && is_unpaired && !status.settings.shadow.master_hosts.is_empty()
        })
}

/// Questions about the old state of affairs are void; the screens follow at once (spec 8.3).
fn role_changed(model: &mut Model) {
    let leaving = model.dialog.as_ref().is_some_and(|dialog| dialog.topic == super::dialog::Topic::Leave);
    if model.dialog.is_some() && !leaving {
        model.dialog = None;
        model.say(Tone::Warning, "Roles have changed: the open question was closed without doing anything");
    }
    if model.form.take().is_some() {
        model.say(Tone::Warning, "Roles have changed: the open form was closed, nothing was saved");
    }
    if matches!(model.overlay, Some(Overlay::Palette { .. })) {
        model.overlay = None;
    }
    model.scroll = 0;
    if model.status.as_ref().is_some_and(|status| status.notice.is_some()) && model.dialog.is_none() {
        model.overlay = None;
        model.filtering = false;
        model.screen = Screen::Overview;
    }
}

/// The selection stays with its alert; if that is gone, with its place.
fn take_alerts(model: &mut Model, list: Vec<Alert>) {
    let at = model.alerts.position().unwrap_or(0);
    model.alerts.list = list;
    model.alerts.loaded = true;
    if model.alerts.current().is_none() {
        let last = model.alerts.list.len().saturating_sub(1);
        model.alerts.selected = model.alerts.list.get(at.min(last)).map(|alert| alert.id);
    }
}

fn take_events(model: &mut Model, new: Vec<Event>) {
    for event in new {
        if model.events.list.back().is_none_or(|last| last.id < event.id) {
            model.events.list.push_back(event);
        }
    }
    while model.events.list.len() > EVENTS_MAX {
        model.events.list.pop_front();
    }
    if let Some(id) = model.events.selected
        && model.events.list.front().is_some_and(|first| first.id > id)
    {
        model.events.selected = model.events.list.front().map(|first| first.id);
    }
}
