//! What each action does. The key table says where, and whether now.

pub mod dialogs;
pub mod editing;
pub mod history;
mod listing;
mod moves;

pub use listing::{list_drifted, list_files, list_held, take_part};

use super::files::EditState;
use super::form;
use super::keymap::{self, Action};
use super::message::{Command, Leave};
use super::model::{Asked, Model, Overlay, Screen, Tone};
use crate::engine::base::{Condition, Role};
use crate::engine::order::{Order, SHOWN_FILE_MAX_BYTES};
use crate::text::clean;

/// Does it. The caller has asked the table's reason before.
pub fn run(model: &mut Model, action: Action) -> Vec<Command> {
    match action {
        Action::Overview => go(model, Screen::Overview),
        Action::Pair => go(model, Screen::Pair),
        Action::Configuration => go(model, Screen::Configuration),
        Action::Alerts => go(model, Screen::Alerts),
        Action::Events => go(model, Screen::Events),
        Action::NextScreen => step_screen(model, 1),
        Action::PreviousScreen => step_screen(model, Screen::ALL.len() - 1),
        Action::Up
        | Action::Down
        | Action::PageUp
        | Action::PageDown
        | Action::Top
        | Action::Bottom
        | Action::Left
        | Action::Right
        | Action::Open => moves::run(model, action),
        Action::Back => back(model),
        Action::Filter => {
            model.filtering = true;
            Vec::new()
        }
        Action::Help => overlay(model, Overlay::Help),
        Action::Palette => overlay(model, Overlay::Palette { text: String::new(), chosen: 0 }),
        Action::Suspend => vec![Command::Suspend],
        Action::Redraw => vec![Command::Redraw],
        Action::Leave => leave(model),
        Action::Copy => copy(model),
        Action::Next | Action::Previous => history::next(model, action == Action::Next),
        Action::HeldBack => overlay(model, Overlay::Held),
        Action::History => history::open(model),
        Action::WithDirectory => history::with_directory(model),
        Action::Restore => history::restore(model),
        Action::Reapply => history::reapply(model),
        Action::ShowSecrets if is_diff(model) && keymap::are_secrets_shown(model) => {
            history::show_secrets(model, false)
        }
        _ => order(model, action),
    }
}

/// Actions that reach the engine, at once or through a dialog.
fn order(model: &mut Model, action: Action) -> Vec<Command> {
    let role = model.role();
    match action {
        Action::Understood => send(model, Order::DismissNotice, Asked::Sentence, "Putting the notice away"),
        Action::Now => now(model),
        Action::AbortSwitch => send(model, Order::SwitchAbort, Asked::Sentence, "Ending the switch"),
        Action::DeleteAlert => match model.alerts.selected {
            Some(id) => send(model, Order::DeleteAlert { id }, Asked::Sentence, "Deleting the alert"),
            None => Vec::new(),
        },
        Action::Verify => {
            send(model, Order::Verify, Asked::Verify, "Verifying: every file is read again on both sides")
        }
        Action::Differences if model.screen == Screen::Configuration || model.overlay.is_some() => {
            history::differences(model)
        }
        Action::Differences => {
            if model.files.report.is_some() {
                return overlay(model, Overlay::Report);
            }
            send(model, Order::Verify, Asked::Verify, "Looking for differences: every file is read on both sides")
        }
        Action::CheckTimeouts => {
            send(model, Order::CheckTimeouts, Asked::Timeouts, "Measuring connections and answers of the master")
        }
        Action::Branches => send(model, Order::Branches, Asked::Branches, "Asking for the branches"),
        Action::ShowSecrets if model.files.show_secrets => {
            model.files.show_secrets = false;
            Vec::new()
        }
        Action::Rehearse | Action::SwitchRoles => {
            let dialog = if action == Action::SwitchRoles { dialogs::switch(model) } else { dialogs::rehearsal(model) };
            model.dialog = Some(dialog);
            send(model, Order::Switch { dry_run: true }, Asked::Rehearsal, "Running every check of a switch")
        }
        Action::Edit if model.screen == Screen::Configuration => editing::begin(model),
        Action::Edit => {
            model.overlay = None;
            model.form = model.status.as_deref().map(|status| match role {
                Some(Role::Shadow) => form::for_shadow(status),
                _ => form::for_master(status),
            });
            Vec::new()
        }
        Action::Connect if role == Some(Role::Shadow) => connect(model),
        _ => {
            model.dialog = dialogs::for_action(model, action);
            Vec::new()
        }
    }
}

fn is_diff(model: &Model) -> bool {
    model.overlay == Some(Overlay::Diff)
}

/// Sends it and says so.
pub fn send(model: &mut Model, order: Order, asked: Asked, label: &str) -> Vec<Command> {
    model.note = None;
    model.order(order, asked, label).into_iter().collect()
}

fn now(model: &mut Model) -> Vec<Command> {
    let Some(status) = &model.status else { return Vec::new() };
    if status.hold.is_some() || status.condition == Some(Condition::Damped) {
        return send(model, Order::Resume, Asked::Sentence, "Resuming");
    }
    match status.role {
        Some(Role::Shadow) => send(model, Order::TryNow, Asked::Sentence, "Trying the master"),
        _ => send(model, Order::PushNow, Asked::Sentence, "Pushing again"),
    }
}

/// A paired shadow reconnects with its certificate; an unpaired one first sees whom it would trust (spec 3.1).
pub fn connect(model: &mut Model) -> Vec<Command> {
    let Some(status) = &model.status else { return Vec::new() };
    if status.peer.as_ref().is_some_and(|peer| peer.fingerprint.is_some()) {
        return send(model, Order::Connect, Asked::Sentence, "Connecting to the master");
    }
    model.dialog = Some(dialogs::probe(status));
    let order = Order::Probe { host: None, port: None };
    send(model, order, Asked::Probe, "Asking the master for its fingerprint")
}

/// Shows a screen; what it needs is asked for when it is first seen.
pub fn go(model: &mut Model, screen: Screen) -> Vec<Command> {
    if model.screen != screen {
        model.scroll = 0;
        model.filtering = false;
        model.files.show_secrets = false;
    }
    model.screen = screen;
    if screen != Screen::Configuration {
        return Vec::new();
    }
    model.files.held_asked = None;
    model.files.drift_asked = None;
    let mut commands = list_files(model);
    commands.extend(list_held(model));
    commands.extend(list_drifted(model));
    commands
}

fn step_screen(model: &mut Model, by: usize) -> Vec<Command> {
    let next = (model.screen.index() + by) % Screen::ALL.len();
    go(model, Screen::ALL[next])
}

/// Puts it over the screen.
pub fn overlay(model: &mut Model, overlay: Overlay) -> Vec<Command> {
    model.scroll = 0;
    model.overlay = Some(overlay);
    Vec::new()
}

/// Esc: closes the uppermost thing; never leaves.
fn back(model: &mut Model) -> Vec<Command> {
    model.scroll = 0;
    if is_diff(model) && model.filtering {
        model.filtering = false;
        return Vec::new();
    }
    if let Some(closed) = model.overlay.take() {
        if closed == Overlay::Diff {
            model.files.diff = None;
            model.overlay = model.files.under.take();
        }
        return Vec::new();
    }
    let on_files = model.screen == Screen::Configuration;
    if model.filtering {
        model.filtering = false;
    } else if on_files && model.files.show_secrets {
        model.files.show_secrets = false;
    } else if on_files && model.files.in_file && model.files.search.is_on() {
        model.files.search = super::search::Search::default();
    } else if on_files && model.files.in_file {
        model.files.in_file = false;
    } else {
        return clear_filter(model);
    }
    Vec::new()
}

fn clear_filter(model: &mut Model) -> Vec<Command> {
    match model.screen {
        Screen::Configuration if !model.files.filter.is_empty() => {
            model.files.filter.clear();
            model.files.refilter();
            show_selected(model)
        }
        Screen::Events => {
            model.events.filter.clear();
            model.events.selected = None;
            Vec::new()
        }
        _ => {
            model.note = None;
            Vec::new()
        }
    }
}

/// `q` and Ctrl-C (spec 8.1).
fn leave(model: &mut Model) -> Vec<Command> {
    let has_editor = model.files.editing.as_ref().is_some_and(|editing| editing.state == EditState::Suspended);
    if has_editor && !model.is_too_small() && !model.embeds {
        model.overlay = None;
        model.dialog = Some(dialogs::leave_editor(model));
        return Vec::new();
    }
    if !model.embeds || model.is_too_small() || !model.is_connected() {
        return vec![Command::Quit(Leave::LeaveRunning)];
    }
    model.overlay = None;
    model.dialog = Some(dialogs::leave(model));
    Vec::new()
}

fn copy(model: &mut Model) -> Vec<Command> {
    let Some((name, text)) = what_to_copy(model) else { return Vec::new() };
    model.say(Tone::Plain, format!("Copied {name} (if this terminal allows it)"));
    vec![Command::Copy(text)]
}

/// What `y` copies here: its name and the text.
#[must_use]
pub fn what_to_copy(model: &Model) -> Option<(String, String)> {
    let status = model.status.as_deref()?;
    if model.overlay == Some(Overlay::Report) {
        return model.files.report.as_ref().map(|report| ("the report".into(), report_text(report)));
    }
    match model.screen {
        Screen::Overview => status.notice.as_ref().map(|notice| {
            let times = crate::engine::event::timeline_text(&notice.timeline);
            let lines: Vec<String> = notice.lines.iter().cloned().chain(times).collect();
            ("the report".into(), format!("{} {}\n{}", notice.at.rfc3339(3), notice.title, lines.join("\n")))
        }),
        Screen::Pair => {
            let fingerprint = status.instance.fingerprint?;
            Some(("this instance's fingerprint".into(), fingerprint.to_string()))
        }
        Screen::Configuration => model.files.selected.clone().map(|path| ("the path".into(), path)),
        Screen::Alerts => model.alerts.current().map(|alert| {
            let text = format!(
                "{} {}\nWhat: {}\nWhy: {}\nMeans: {}\nDo: {}",
                alert.code,
                alert.since.rfc3339(0),
                alert.what,
                alert.why,
                alert.means,
                alert.todo
            );
            ("the alert".into(), text)
        }),
        Screen::Events => {
            let event = model.events.current()?;
            let mut lines = vec![format!("{} {} {}", event.at.rfc3339(3), event.kind.word(), event.text)];
            lines.extend(event.timeline_text().into_iter().map(|line| format!("  {line}")));
            Some(("the event".into(), lines.join("\n")))
        }
    }
}

fn report_text(report: &crate::engine::order::VerifyReport) -> String {
    let mut lines = vec![format!("verified {}, {} differences", report.at.rfc3339(0), report.differences_total)];
    lines.extend(report.differences.iter().map(|difference| format!("{}  {}", difference.what, difference.path)));
    lines.join("\n")
}

/// Asks for the selected file, one at a time: the answer asks for the next if the selection has moved on.
pub fn show_selected(model: &mut Model) -> Vec<Command> {
    let is_asking = model.pending.values().any(|pending| matches!(pending.asked, Asked::File(_)));
    let Some(entry) = model.files.current_file() else { return Vec::new() };
    let is_shown = model.files.shown.as_ref().is_some_and(|shown| shown.entry == entry);
    if is_asking || is_shown || !model.is_connected() || entry.size > SHOWN_FILE_MAX_BYTES as u64 {
        return Vec::new();
    }
    let path = entry.path;
    let label = format!("Reading {}", clean(&path));
    let order = Order::ShowFile { path: path.clone(), revision: None };
    model.order(order, Asked::File(path), &label).into_iter().collect()
}
