//! Key presses: looked up in the table, refused with the table's reason, or typed into a field.

use crate::console::actions::{self, dialogs};
use crate::console::dialog::{Deed, Topic};
use crate::console::field::FieldKey;
use crate::console::form::{FormKey, FormOutcome};
use crate::console::keymap::{self, Action, Contexts};
use crate::console::message::{Code, Command, Key, Leave};
use crate::console::model::{Asked, Model, Overlay, Screen, Tone};
use crate::engine::order::{Order, Secret};
use crate::engine::settings::duration;

/// Longest filter and palette text, in characters.
const TYPED_MAX_CHARS: usize = 100;
/// Longest maintenance (spec 7.9 wants an end time; a forgotten one must end by itself).
const MAINTENANCE_MAX_MS: u64 = 7 * 86_400_000;

/// One key.
pub fn press(model: &mut Model, key: Key) -> Vec<Command> {
    let context = model.context();
    if let Some(row) = keymap::lookup(context, key) {
        if let Some(reason) = (row.reason)(model) {
            model.say(Tone::Warning, reason);
            return Vec::new();
        }
        let had_dialog = model.dialog.is_some();
        let commands = act(model, row.action);
        if model.dialog.is_some() && (!had_dialog || row.action == Action::Confirm) {
            model.scroll = 0;
        }
        return commands;
    }
    if context == Contexts::FORM {
        return form_key(model, field_key(key).map(FormKey::Edit));
    }
    match key.code {
        Code::Char(c) if !key.ctrl && context.meets(Contexts::TYPING) => typed(model, c),
        _ => Vec::new(),
    }
}

/// Pasted text enters fields only (spec 8.5); line ends are dropped, so that it cannot press Enter.
pub fn paste(model: &mut Model, text: &str) -> Vec<Command> {
    if !model.context().meets(Contexts::TYPING) {
        model.say(Tone::Plain, "Pasted text enters fields only");
        return Vec::new();
    }
    if model.context() == Contexts::FORM {
        return form_key(model, Some(FormKey::Paste(text.to_owned())));
    }
    let mut commands = Vec::new();
    for c in text.chars().filter(|c| !c.is_control()).take(crate::console::dialog::ENTRY_MAX_CHARS) {
        commands.extend(typed(model, c));
    }
    commands
}

/// A key inside a field of a form.
fn field_key(key: Key) -> Option<FieldKey> {
    Some(match (key.code, key.ctrl) {
        (Code::Char(c), false) => FieldKey::Char(c),
        (Code::Char('w'), true) => FieldKey::DeleteWord,
        (Code::Char('k'), true) => FieldKey::DeleteToEnd,
        (Code::Char('a'), true) | (Code::Home, _) => FieldKey::Home,
        (Code::Char('e'), true) | (Code::End, _) => FieldKey::End,
        (Code::Delete, _) => FieldKey::Delete,
        (Code::Left, _) => FieldKey::Left,
        (Code::Right, _) => FieldKey::Right,
        _ => return None,
    })
}

fn form_key(model: &mut Model, key: Option<FormKey>) -> Vec<Command> {
    let (Some(form), Some(key)) = (&mut model.form, key) else { return Vec::new() };
    match form.key(key) {
        FormOutcome::Stay => Vec::new(),
        FormOutcome::Close => {
            model.form = None;
            Vec::new()
        }
        FormOutcome::Save(patch) => actions::send(model, Order::Edit(patch), Asked::Form, "Saving the settings"),
    }
}

/// The table's actions, as a form understands them.
fn form_action(action: Action) -> Option<FormKey> {
    Some(match action {
        Action::Confirm => FormKey::Save,
        Action::Cancel => FormKey::Cancel,
        Action::NextPlace => FormKey::Down,
        Action::PreviousPlace => FormKey::Up,
        Action::Erase => FormKey::Edit(FieldKey::Backspace),
        Action::EraseAll => FormKey::Edit(FieldKey::DeleteToStart),
        _ => return None,
    })
}

fn act(model: &mut Model, action: Action) -> Vec<Command> {
    if model.context() == Contexts::FORM
        && let Some(key) = form_action(action)
    {
        return form_key(model, Some(key));
    }
    match action {
        Action::Confirm => confirm(model),
        Action::Cancel => {
            model.dialog = None;
            Vec::new()
        }
        Action::NextPlace | Action::PreviousPlace => {
            step(model, action == Action::NextPlace);
            Vec::new()
        }
        Action::Erase => edit_text(model, |text| {
            text.pop();
        }),
        Action::EraseAll => edit_text(model, String::clear),
        Action::Back if model.filtering => {
            model.filtering = false;
            edit_text(model, String::clear)
        }
        Action::Leave if model.dialog.as_ref().is_some_and(|dialog| dialog.topic == Topic::Leave) => Vec::new(),
        _ => {
            model.note = None;
            actions::run(model, action)
        }
    }
}

fn step(model: &mut Model, forward: bool) {
    if let Some(dialog) = &mut model.dialog {
        dialog.step(forward);
    } else if let Some(Overlay::Palette { text, chosen }) = &mut model.overlay {
        let rows = keymap::matching(text).len().max(1);
        *chosen = (*chosen + if forward { 1 } else { rows - 1 }) % rows;
    }
}

fn typed(model: &mut Model, c: char) -> Vec<Command> {
    if let Some(dialog) = &mut model.dialog {
        dialog.problem = None;
        if let Some(entry) = dialog.current_entry() {
            entry.push(c);
        }
        return Vec::new();
    }
    edit_text(model, |text| {
        if !c.is_control() && text.chars().count() < TYPED_MAX_CHARS {
            text.push(c);
        }
    })
}

/// Changes the text being typed, wherever that is.
fn edit_text(model: &mut Model, change: impl FnOnce(&mut String)) -> Vec<Command> {
    if let Some(dialog) = &mut model.dialog {
        if let Some(entry) = dialog.current_entry() {
            change(&mut entry.text);
        }
        return Vec::new();
    }
    if let Some(Overlay::Palette { text, chosen }) = &mut model.overlay {
        change(text);
        *chosen = 0;
        return Vec::new();
    }
    if let (Some(Overlay::Diff), Some(diff)) = (&model.overlay, &mut model.files.diff) {
        change(&mut diff.search.text);
        diff.search.look(diff.rows.iter().map(|row| row.text.as_str()));
        diff.scroll = diff.search.first(diff.scroll).unwrap_or(diff.scroll);
        return Vec::new();
    }
    if model.screen == Screen::Configuration && model.files.in_file {
        change(&mut model.files.search.text);
        model.files.look();
        model.files.file_scroll = model.files.search.first(model.files.file_scroll).unwrap_or(model.files.file_scroll);
        return Vec::new();
    }
    if model.screen == Screen::Configuration {
        change(&mut model.files.filter);
        model.files.refilter();
        return actions::show_selected(model);
    }
    change(&mut model.events.filter);
    model.events.selected = None;
    Vec::new()
}

/// Enter.
fn confirm(model: &mut Model) -> Vec<Command> {
    if model.dialog.is_some() {
        return confirm_dialog(model);
    }
    if let Some(Overlay::Palette { text, chosen }) = &model.overlay {
        let row = keymap::matching(text).get(*chosen).copied();
        let Some(row) = row else { return Vec::new() };
        if let Some(reason) = (row.reason)(model) {
            model.say(Tone::Warning, reason);
            return Vec::new();
        }
        model.overlay = None;
        return act(model, row.action);
    }
    model.filtering = false;
    Vec::new()
}

fn confirm_dialog(model: &mut Model) -> Vec<Command> {
    let Some(dialog) = &mut model.dialog else { return Vec::new() };
    let Some(button) = dialog.chosen().cloned() else {
        dialog.enter_field();
        return Vec::new();
    };
    if !dialog.is_on(&button) {
        let is_first_typed = dialog.entries.first().map(|entry| &entry.text) == dialog.word.as_ref();
        dialog.problem = Some(match (&dialog.waiting, &dialog.word) {
            (None, Some(_)) if is_first_typed && dialog.second_word.is_some() => {
                format!("Off until {} is typed as well", dialog.second_word.as_deref().unwrap_or_default())
            }
            (Some(_), _) => "Wait for the answer".into(),
            (None, Some(word)) => format!("Off until {word} is typed above"),
            (None, None) => "Fill in every field first".into(),
        });
        return Vec::new();
    }
    perform(model, button.deed)
}

fn perform(model: &mut Model, deed: Deed) -> Vec<Command> {
    match deed {
        Deed::Maintain => return maintain(model),
        Deed::Pair(fingerprint) => return pair(model, fingerprint),
        _ => model.dialog = None,
    }
    match deed {
        Deed::Send(Order::Stop { keep_role }, label) => {
            actions::send(model, Order::Stop { keep_role }, Asked::Stop, &label)
        }
        Deed::Send(order, label) => actions::send(model, order, Asked::Sentence, &label),
        Deed::Leave(leave) => vec![Command::Quit(leave)],
        Deed::StopEngine => {
            let label = "Stopping: the service first, then the hand-over";
            actions::send(model, Order::Stop { keep_role: false }, Asked::Stop, label)
        }
        Deed::ShowSecrets if model.overlay == Some(Overlay::Diff) => actions::history::show_secrets(model, true),
        Deed::ShowSecrets => {
            model.files.show_secrets = true;
            Vec::new()
        }
        Deed::AskPassword(seen) => {
            model.dialog = Some(dialogs::password(&seen));
            Vec::new()
        }
        Deed::Cancel | Deed::Maintain | Deed::Pair(_) => Vec::new(),
    }
}

fn entry(model: &Model, index: usize) -> String {
    let dialog = model.dialog.as_ref();
    dialog.and_then(|dialog| dialog.entries.get(index)).map(|entry| entry.text.clone()).unwrap_or_default()
}

/// Says what is wrong with a field and goes there.
fn complain(model: &mut Model, index: usize, problem: String) -> Vec<Command> {
    if let Some(dialog) = &mut model.dialog {
        dialog.problem = Some(problem);
        dialog.focus = index;
    }
    Vec::new()
}

fn maintain(model: &mut Model) -> Vec<Command> {
    match duration::parse(&entry(model, 0)) {
        Ok(0) => complain(model, 0, "0 would end it at once; write a time such as 30m".into()),
        Ok(ms) if ms > MAINTENANCE_MAX_MS => complain(model, 0, "Longer than 7 days; suspend for less".into()),
        Ok(for_ms) => {
            model.dialog = None;
            let order = Order::Maintenance { for_ms };
            actions::send(model, order, Asked::Sentence, "Asking the other side to suspend takeovers")
        }
        Err(problem) => complain(model, 0, problem),
    }
}

fn pair(model: &mut Model, fingerprint: crate::engine::base::Fingerprint) -> Vec<Command> {
    let (user, password) = (entry(model, 0), Secret::new(entry(model, 1)));
    model.dialog = None;
    let order = Order::Pair { user, password, fingerprint };
    actions::send(model, order, Asked::Sentence, "Pairing with the master")
}

/// A stop that was ordered is done: leave (spec 8.1).
#[must_use]
pub fn stopped() -> Vec<Command> {
    vec![Command::Quit(Leave::Stop)]
}
