//! The list of files: once in parts, and then what changed (spec 5.2).

use super::show_selected;
use crate::console::files::Reading;
use crate::console::message::Command;
use crate::console::model::{Asked, Model, Screen};
use crate::engine::base::RevisionId;
use crate::engine::listing::FilesPart;
use crate::engine::order::Order;

/// Asks for what changed in the list of files since it was last asked for; the first time, for all of it.
pub fn list_files(model: &mut Model) -> Vec<Command> {
    let Some(status) = &model.status else { return Vec::new() };
    let current = Some((status.configuration.revision, status.configuration.root));
    let is_asking = model.pending.values().any(|pending| matches!(pending.asked, Asked::Part(_)));
    if !model.is_connected() || is_asking || model.files.asked_for == current {
        return Vec::new();
    }
    model.files.asked_for = current;
    model.files.reading = None;
    if model.files.loaded && model.files.known.map(|known| (known.number, Some(known.root))) == current {
        return Vec::new();
    }
    let since = model.files.known.filter(|_| model.files.loaded);
    ask(model, since, None)
}

fn ask(model: &mut Model, since: Option<RevisionId>, after: Option<String>) -> Vec<Command> {
    let label = if since.is_some() { "Reading what changed" } else { "Reading the list of files" };
    model.order(Order::ListPart { since, after }, Asked::Part(since), label).into_iter().collect()
}

/// Asks what is held back, if there is something and it may be another than before.
pub fn list_held(model: &mut Model) -> Vec<Command> {
    let Some(status) = &model.status else { return Vec::new() };
    let now = (status.configuration.held, status.configuration.revision);
    if now.0 == 0 {
        model.files.held_asked = None;
        if !model.files.held.is_empty() {
            model.files.take_held(Vec::new());
        }
        return Vec::new();
    }
    let is_asking = model.pending.values().any(|pending| pending.asked == Asked::Held);
    if is_asking || !model.is_connected() || model.files.held_asked == Some(now) {
        return Vec::new();
    }
    model.files.held_asked = Some(now);
    model.order(Order::HeldFiles, Asked::Held, "Reading what is held back").into_iter().collect()
}

/// Asks what was found changed on this shadow, as long as it is told (spec 4.5).
pub fn list_drifted(model: &mut Model) -> Vec<Command> {
    let Some(status) = &model.status else { return Vec::new() };
    let now = (status.configuration.drift, status.configuration.revision);
    if now.0 == 0 {
        model.files.drift_asked = None;
        if !model.files.drifted.is_empty() {
            model.files.take_drifted(Vec::new());
        }
        return Vec::new();
    }
    let is_asking = model.pending.values().any(|pending| pending.asked == Asked::Drifted);
    if is_asking || !model.is_connected() || model.files.drift_asked == Some(now) {
        return Vec::new();
    }
    model.files.drift_asked = Some(now);
    model.order(Order::DriftFiles, Asked::Drifted, "Reading what has drifted").into_iter().collect()
}

/// Takes a part in, and asks for the next.
pub fn take_part(model: &mut Model, since: Option<RevisionId>, part: FilesPart) -> Vec<Command> {
    let FilesPart { revision, begins, entries, gone, next } = part;
    let files = &mut model.files;
    if begins {
        files.tree.clear();
        files.reading = None;
    }
    // Continues what was asked for, unless that is not to be had any more.
    let since = since.filter(|_| !begins);
    let reading = files.reading.get_or_insert(Reading { first: revision, last: revision });
    let went_back = number(revision) < number(reading.last);
    reading.last = revision;
    let reading = *reading;
    let marks = files.loaded && since.is_some();
    for entry in &entries {
        files.tree.put(entry, marks);
    }
    for path in &gone {
        files.tree.remove(path);
    }
    files.tree.refresh();
    if went_back {
        // Revisions left the history while it was read: what they had brought may be among it.
        files.reading = None;
        return ask(model, None, None);
    }
    if next.is_some() {
        files.keep_selection();
        return ask(model, since, next);
    }
    if !files.loaded {
        files.tree.open_if_small();
    }
    files.loaded = true;
    files.known = reading.first;
    files.reading = None;
    if reading.first != reading.last {
        // Read while revisions came: what they changed is read again.
        files.asked_for = None;
    }
    files.keep_selection();
    let mut commands = list_files(model);
    if model.screen == Screen::Configuration {
        commands.extend(show_selected(model));
    }
    commands
}

fn number(revision: Option<RevisionId>) -> u64 {
    revision.map_or(0, |revision| revision.number)
}
