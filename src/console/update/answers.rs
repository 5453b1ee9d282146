//! Answers of the engine to orders.

use crate::console::actions::{self, dialogs};
use crate::console::dialog::{Dialog, Topic};
use crate::console::facts;
use crate::console::files::ShownFile;
use crate::console::message::Command;
use crate::console::model::{Asked, Model, Overlay, Tone};
use crate::engine::base::Problem;
use crate::engine::order::{FileContent, Reply};
use crate::engine::timeouts::TimeoutReport;
use crate::text::clean;

/// Takes the answer to order `id`; one that nobody waits for any more is dropped.
pub fn take(model: &mut Model, id: u64, outcome: Result<Reply, Problem>) -> Vec<Command> {
    let Some(pending) = model.pending.remove(&id) else { return Vec::new() };
    let reply = match outcome {
        Ok(reply) => reply,
        Err(problem) => return refused(model, &pending.asked, &problem),
    };
    match (pending.asked, reply) {
        (Asked::Stop, _) => super::keys::stopped(),
        (Asked::Form, Reply::Done(sentence)) => {
            model.form = None;
            model.say(Tone::Plain, clean(&sentence));
            Vec::new()
        }
        (Asked::Rehearsal, Reply::Rehearsal(rehearsal)) => {
            if let Some(dialog) = waiting(model, &[Topic::Switch, Topic::Rehearsal]) {
                dialogs::fill_rehearsal(dialog, rehearsal);
            }
            Vec::new()
        }
        (Asked::Probe, Reply::MasterSeen(seen)) => {
            if let Some(dialog) = waiting(model, &[Topic::Probe]) {
                dialogs::fill_probe(dialog, seen);
            }
            Vec::new()
        }
        (Asked::Verify, Reply::Verified(report)) => {
            let total = report.differences_total;
            let peer = model.status.as_deref().map(facts::peer_name).unwrap_or_default();
            if report.peer_root.is_none() {
                model.say(Tone::Warning, format!("Read here only: {peer} could not be asked"));
            } else if total == 0 {
                model.say(
                    Tone::Plain,
                    format!("Verified: {} here and on {peer}, no difference", files_word(report.files)),
                );
            } else {
                model.say(Tone::Error, format!("Verified: {}", facts::counted(total, "difference")));
            }
            model.files.report = Some(report);
            model.files.mark();
            if model.dialog.is_none() {
                actions::overlay(model, Overlay::Report);
            }
            Vec::new()
        }
        (Asked::Timeouts, Reply::Timeouts(report)) => timeouts(model, report),
        (_, Reply::Done(sentence)) => {
            model.say(Tone::Plain, clean(&sentence));
            Vec::new()
        }
        (asked, reply) => of_files(model, asked, reply),
    }
}

/// Answers about the configuration.
fn of_files(model: &mut Model, asked: Asked, reply: Reply) -> Vec<Command> {
    match (asked, reply) {
        (Asked::Part(since), Reply::FilesPart(part)) => actions::take_part(model, since, *part),
        (Asked::File(_), Reply::File(content)) => file(model, *content),
        (Asked::Held, Reply::Held(held)) => {
            model.files.take_held(held);
            Vec::new()
        }
        (Asked::Drifted, Reply::Held(drifted)) => {
            model.files.take_drifted(drifted);
            Vec::new()
        }
        (Asked::Log(path), Reply::Log(entries)) => actions::history::take(model, path.as_ref(), entries),
        (Asked::Diff, Reply::Diff(report)) => {
            if let Some(diff) = &mut model.files.diff {
                diff.fill(*report);
            }
            Vec::new()
        }
        (Asked::Preview(asked), Reply::Changed(report)) => {
            let (change, message) = *asked;
            if let Some(dialog) = waiting(model, &[Topic::Change]) {
                actions::history::fill_preview(dialog, change, message, &report);
            }
            Vec::new()
        }
        (Asked::EditRead(_), Reply::File(content)) => actions::editing::open(model, *content),
        (Asked::EditKeep, Reply::Kept(digest)) => actions::editing::apply(model, digest),
        (Asked::Branches, Reply::Branches(branches)) => {
            model.files.branches = branches;
            model.files.branch = 0;
            if model.dialog.is_none() {
                actions::overlay(model, Overlay::Branches);
            }
            Vec::new()
        }
        (asked, Reply::Changed(report)) => {
            model.say(Tone::Plain, actions::history::changed_text(&report));
            if asked == Asked::EditApply { actions::editing::done(model) } else { Vec::new() }
        }
        _ => {
            model.say(Tone::Warning, "The engine gave an answer that this console does not know");
            Vec::new()
        }
    }
}

fn timeouts(model: &mut Model, report: TimeoutReport) -> Vec<Command> {
    let (tone, text) = if report.holds() {
        (Tone::Plain, "Measured: both timeouts hold")
    } else {
        (Tone::Warning, "Measured: not every timeout holds")
    };
    model.say(tone, text);
    if model.dialog.is_none() {
        actions::overlay(model, Overlay::Timeouts(Box::new(report)));
    }
    Vec::new()
}

fn files_word(count: u64) -> String {
    facts::counted(count, "file")
}

/// The open dialog, if it waits for an answer on one of these topics.
fn waiting<'a>(model: &'a mut Model, topics: &[Topic]) -> Option<&'a mut Dialog> {
    model.dialog.as_mut().filter(|dialog| topics.contains(&dialog.topic) && dialog.waiting.is_some())
}

fn refused(model: &mut Model, asked: &Asked, problem: &Problem) -> Vec<Command> {
    model.say(Tone::Error, clean(&format!("{}: {}", problem.what, problem.why)));
    if *asked == Asked::Form
        && let Some(form) = &mut model.form
    {
        form.refused(problem);
    }
    if matches!(asked, Asked::EditKeep | Asked::EditApply) {
        return actions::editing::failed(model, Some(problem));
    }
    if *asked == Asked::Diff && model.files.diff.as_ref().is_some_and(|diff| !diff.loaded) {
        model.files.diff = None;
        if model.overlay == Some(Overlay::Diff) {
            model.overlay = model.files.under.take();
        }
    }
    let topics = [Topic::Switch, Topic::Rehearsal, Topic::Probe, Topic::Change];
    if let Some(dialog) = waiting(model, &topics) {
        dialog.waiting = None;
        dialog.buttons.truncate(1);
        dialog.body = dialogs::problem(problem).body;
        return Vec::new();
    }
    match asked {
        Asked::Part(_) => (model.files.asked_for, model.files.reading) = (None, None),
        Asked::File(_) | Asked::Held | Asked::Drifted => {}
        _ if model.dialog.is_none() => model.dialog = Some(dialogs::problem(problem)),
        _ => {}
    }
    Vec::new()
}

fn file(model: &mut Model, content: FileContent) -> Vec<Command> {
    let same_path = model.files.shown.as_ref().is_some_and(|shown| shown.entry.path == content.entry.path);
    let shown = ShownFile::new(content);
    if same_path {
        model.files.file_scroll = model.files.file_scroll.min(shown.lines.len().saturating_sub(1));
    } else {
        model.files.file_scroll = 0;
        model.files.file_left = 0;
        model.files.show_secrets = false;
    }
    let is_selected = model.files.selected.as_ref() == Some(&shown.entry.path);
    model.files.shown = Some(shown);
    model.files.look();
    // An entry that the list does not know yet comes with the next list; asking again would go round in circles.
    if is_selected { Vec::new() } else { actions::show_selected(model) }
}
