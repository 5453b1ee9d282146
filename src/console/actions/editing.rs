//! A file of the configuration in the operator's editor (spec 5.2): read, given to the terminal, and what came back made one
//! revision, refused if the file has changed meanwhile.

use super::send;
use crate::console::dialog::{Dialog, Topic};
use crate::console::files::{EditState, Editing};
use crate::console::message::{Command, Edited};
use crate::console::model::{Asked, Model, Tone};
use crate::engine::base::{Digest, Problem};
use crate::engine::history::{Change, Expected, FileBytes, NewFile};
use crate::engine::order::{FileContent, FileKind, Order};
use crate::text::clean;

/// `e` on a file: reads it as it is in the newest revision; or goes back to an editor that was suspended.
pub fn begin(model: &mut Model) -> Vec<Command> {
    if model.files.editing.as_ref().is_some_and(|editing| editing.state == EditState::Suspended) {
        model.note = None;
        set_state(model, EditState::Open);
        return vec![Command::ContinueEditor];
    }
    let Some(entry) = model.files.current_file() else { return Vec::new() };
    let path = entry.path;
    let label = format!("Opening {}", clean(&path));
    send(model, Order::ShowFile { path: path.clone(), revision: None }, Asked::EditRead(path), &label)
}

/// The file has come: to the terminal with it.
pub fn open(model: &mut Model, content: FileContent) -> Vec<Command> {
    let FileContent { entry, text, is_text, is_cut } = content;
    let why = match (entry.kind, is_text, is_cut) {
        (FileKind::File, true, false) => {
            let editing = Editing {
                path: entry.path.clone(),
                mode: entry.mode,
                digest: entry.digest,
                copy: None,
                state: EditState::Open,
            };
            model.files.editing = Some(editing);
            return vec![Command::Edit { path: entry.path, text }];
        }
        (FileKind::File, true, true) => "it is too large",
        (FileKind::File, false, _) => "it is no text",
        _ => "it is no file",
    };
    model.say(Tone::Warning, format!("{} cannot be edited here: {why}", clean(&entry.path)));
    Vec::new()
}

/// What came of the editor.
pub fn take(model: &mut Model, edited: Edited) -> Vec<Command> {
    match edited {
        Edited::Suspended => {
            set_state(model, EditState::Suspended);
            model.say(Tone::Warning, "The editor is suspended; e goes back to it");
            Vec::new()
        }
        Edited::Same => {
            model.files.editing = None;
            model.say(Tone::Plain, "Nothing was changed");
            Vec::new()
        }
        Edited::Failed { why, copy } => {
            model.files.editing = None;
            let mut body = vec![format!("Why    {}", clean(&why))];
            body.extend(copy.map(|copy| kept(&copy)));
            body.push("Nothing was changed in the configuration.".into());
            model.dialog = Some(Dialog::new(Topic::Problem, "The editor did not end well", body).closing("Close"));
            Vec::new()
        }
        Edited::Changed { bytes, copy } => {
            let Some(editing) = &mut model.files.editing else { return Vec::new() };
            editing.copy = Some(copy);
            editing.state = EditState::Applying;
            let commands =
                send(model, Order::KeepContent { bytes: FileBytes(bytes) }, Asked::EditKeep, "Handing the text over");
            if commands.is_empty() { failed(model, None) } else { commands }
        }
    }
}

/// The text was handed over: now the revision.
pub fn apply(model: &mut Model, digest: Digest) -> Vec<Command> {
    let Some(Editing { path, mode, digest: seen, .. }) = model.files.editing.clone() else { return Vec::new() };
    let label = format!("Changing {}", clean(&path));
    let expected = Expected::Content(seen);
    let files = vec![NewFile { path, kind: FileKind::File, mode, digest, expected, owners: None }];
    let order = Order::Change { change: Change::Put { files }, message: String::new(), dry_run: false };
    let commands = send(model, order, Asked::EditApply, &label);
    if commands.is_empty() { failed(model, None) } else { commands }
}

/// It is a revision now: the copy has served.
pub fn done(model: &mut Model) -> Vec<Command> {
    let copy = model.files.editing.take().and_then(|editing| editing.copy);
    copy.map(Command::RemoveCopy).into_iter().collect()
}

/// It is none: the text is kept, and it is said where.
pub fn failed(model: &mut Model, problem: Option<&Problem>) -> Vec<Command> {
    let Some(editing) = model.files.editing.take() else { return Vec::new() };
    let mut body = match problem {
        Some(problem) => super::dialogs::problem(problem).body,
        None => vec!["The engine did not answer: look whether it was done.".into()],
    };
    body.extend(editing.copy.map(|copy| kept(&copy)));
    let title = format!("{} was not changed", clean(&editing.path));
    model.dialog = Some(Dialog::new(Topic::Problem, title, body).closing("Close"));
    Vec::new()
}

fn kept(copy: &str) -> String {
    format!("Text   kept in {}", clean(copy))
}

fn set_state(model: &mut Model, state: EditState) {
    if let Some(editing) = &mut model.files.editing {
        editing.state = state;
    }
}
