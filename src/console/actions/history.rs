//! History, comparisons, and bringing something back (spec 5.6, 7.6).

use super::{overlay, send};
use crate::console::dialog::{Button, Deed, Dialog, Topic};
use crate::console::facts;
use crate::console::history::{DiffView, HISTORY_PAGE, History, subject};
use crate::console::message::Command;
use crate::console::model::{Asked, Model, Overlay, Screen, Tone};
use crate::engine::history::{Change, ChangeReport, LogEntry, Version};
use crate::engine::order::Order;
use crate::text::clean;

/// Most changes named in a question.
const PREVIEW_MAX: usize = 40;

/// `t`: the history of the selected path; in it, to and fro between the path and the whole configuration.
pub fn open(model: &mut Model) -> Vec<Command> {
    let about = match (&model.overlay, &model.files.history.path) {
        (Some(Overlay::History), Some(_)) => {
            let about = model.files.history.about.clone();
            model.files.history = History { about, ..History::default() };
            return ask_more(model);
        }
        (Some(Overlay::History), None) => model.files.history.about.clone(),
        _ => model.files.selected.clone(),
    };
    model.files.history = History { about: about.clone(), path: about, ..History::default() };
    overlay(model, Overlay::History);
    ask_more(model)
}

/// Asks for the next revisions, if they are wanted and not on their way.
pub fn ask_more(model: &mut Model) -> Vec<Command> {
    let history = &model.files.history;
    let is_asking =
        model.pending.values().any(|pending| matches!(&pending.asked, Asked::Log(path) if *path == history.path));
    if is_asking || !history.wants_more() {
        return Vec::new();
    }
    let path = history.path.clone();
    let before = history.entries.last().map(|last| last.revision.number);
    let order = Order::Log { path: path.clone(), limit: HISTORY_PAGE, before };
    model.order(order, Asked::Log(path), "Reading the history").into_iter().collect()
}

/// Takes revisions in.
pub fn take(model: &mut Model, path: Option<&String>, entries: Vec<LogEntry>) -> Vec<Command> {
    let is_empty = entries.is_empty();
    model.files.history.add(path, entries);
    if is_empty && model.files.history.entries.is_empty() {
        model.files.history.is_complete = true;
    }
    Vec::new()
}

/// Enter on a revision: what it changed.
pub fn what_changed(model: &mut Model) -> Vec<Command> {
    let history = &model.files.history;
    let Some(entry) = history.current() else { return Vec::new() };
    let number = entry.revision.number;
    if number <= 1 {
        model.say(Tone::Plain, "Everything in the first revision was new; d compares it with the newest");
        return Vec::new();
    }
    let paths = history.path.iter().cloned().collect();
    compare(model, DiffView::new(Version::Revision(number - 1), Version::Revision(number), paths))
}

/// `d` where a revision, a branch or a path is selected.
pub fn differences(model: &mut Model) -> Vec<Command> {
    match &model.overlay {
        Some(Overlay::History) => {
            let history = &model.files.history;
            let Some(entry) = history.current() else { return Vec::new() };
            let paths = history.path.iter().cloned().collect();
            compare(model, DiffView::new(Version::Revision(entry.revision.number), Version::Newest, paths))
        }
        Some(Overlay::Branches) => {
            let Some(branch) = model.files.branches.get(model.files.branch) else { return Vec::new() };
            compare(model, DiffView::new(Version::Newest, Version::Branch(branch.name.clone()), Vec::new()))
        }
        Some(Overlay::Diff) => {
            let paths = model.files.diff.as_ref().map(|diff| diff.paths.clone()).unwrap_or_default();
            compare(model, DiffView::new(Version::Newest, Version::Peer, paths))
        }
        _ => {
            let paths = model.files.selected.iter().cloned().collect();
            compare(model, DiffView::new(Version::Newest, Version::Peer, paths))
        }
    }
}

/// `w`: what is in the directory and in no revision.
pub fn with_directory(model: &mut Model) -> Vec<Command> {
    let (from, paths) = match &model.overlay {
        Some(Overlay::History) => {
            let history = &model.files.history;
            let from = history.current().map_or(Version::Newest, |entry| Version::Revision(entry.revision.number));
            (from, history.path.iter().cloned().collect())
        }
        Some(Overlay::Diff) => match &model.files.diff {
            Some(diff) => (diff.from.clone(), diff.paths.clone()),
            None => return Vec::new(),
        },
        _ => (Version::Newest, model.files.selected.iter().cloned().collect()),
    };
    compare(model, DiffView::new(from, Version::Directory, paths))
}

/// Asks for a comparison, and shows it when it comes.
pub fn compare(model: &mut Model, view: DiffView) -> Vec<Command> {
    let DiffView { from, to, paths, show_secrets, .. } = view.clone();
    let label = match (&from, &to) {
        (_, Version::Peer) | (Version::Peer, _) => "Comparing: the other instance reads every file",
        (_, Version::Directory) => "Comparing with the directory",
        _ => "Comparing",
    };
    // The answer to an earlier question must not be taken for this one's.
    model.pending.retain(|_, pending| pending.asked != Asked::Diff);
    let order = Order::Diff { from, to, paths, show_secrets };
    let commands = send(model, order, Asked::Diff, label);
    if !commands.is_empty() {
        if model.overlay != Some(Overlay::Diff) {
            model.files.under = model.overlay.take();
        }
        model.files.diff = Some(view);
        overlay(model, Overlay::Diff);
    }
    commands
}

/// `X` in a comparison: asked for anew, because the engine masks.
pub fn show_secrets(model: &mut Model, show: bool) -> Vec<Command> {
    let Some(diff) = &model.files.diff else { return Vec::new() };
    let mut view = diff.clone();
    view.show_secrets = show;
    compare(model, view)
}

/// `P`: a dialog that waits for what would change.
pub fn restore(model: &mut Model) -> Vec<Command> {
    let history = &model.files.history;
    let Some(entry) = history.current() else { return Vec::new() };
    let revision = entry.revision.number;
    let paths: Vec<String> = history.path.iter().cloned().collect();
    let title = format!("Restore {} as of revision {revision}", subject(&paths));
    let message = format!("restore of revision {revision}");
    preview(model, title, Change::Restore { revision, paths }, message)
}

/// `O`: what a branch or a drift changed, once more (spec 7.6).
pub fn reapply(model: &mut Model) -> Vec<Command> {
    let Some(branch) = model.files.branches.get(model.files.branch) else { return Vec::new() };
    let branch = branch.name.clone();
    let (title, message) = (format!("Re-apply {}", clean(&branch)), format!("re-applied from {branch}"));
    preview(model, title, Change::Reapply { branch, paths: Vec::new(), theirs: Vec::new() }, message)
}

/// Asks what a change would do, in a dialog that then offers to do it.
pub fn preview(model: &mut Model, title: String, change: Change, message: String) -> Vec<Command> {
    let mut dialog = Dialog::new(Topic::Change, title, Vec::new());
    dialog.waiting = Some("Looking what would change; nothing is changed yet".into());
    model.dialog = Some(dialog);
    // The answer to an earlier question must not be taken for this one's.
    model.pending.retain(|_, pending| !matches!(pending.asked, Asked::Preview(_)));
    let asked = Asked::Preview(Box::new((change.clone(), message.clone())));
    send(model, Order::Change { change, message, dry_run: true }, asked, "Looking what would change")
}

/// What would change, in the dialog that waits for it.
pub fn fill_preview(dialog: &mut Dialog, change: Change, message: String, report: &ChangeReport) {
    dialog.waiting = None;
    if report.total == 0 && report.conflicts_total == 0 {
        dialog.body = vec!["Nothing would change: it is so already.".into()];
        if let Some(button) = dialog.buttons.first_mut() {
            button.label = "Close".into();
        }
        return;
    }
    let paths = facts::counted(report.total, "path");
    dialog.body = match report.total {
        0 => vec!["Nothing would change.".into()],
        _ => vec![format!("{paths} would change, as one new revision; the ones before stay in the history:")],
    };
    let few = report.changes.iter().take(PREVIEW_MAX);
    dialog.body.extend(few.map(|one| format!("  {:<8} {}", one.what.word(), clean(&one.path))));
    dialog.body.extend(and_more(report.total, report.changes.len()));
    if report.conflicts_total > 0 {
        let paths = facts::counted(report.conflicts_total, "path");
        dialog.body.push(format!("In conflict, {paths} would stay as now:"));
        let few = report.conflicts.iter().take(PREVIEW_MAX);
        dialog.body.extend(few.map(|one| format!("  {}: {}", clean(&one.path), clean(&one.why))));
        dialog.body.extend(and_more(report.conflicts_total, report.conflicts.len()));
    }
    let button = |label: &str, change: Change| Button {
        label: label.into(),
        deed: Deed::Send(
            Order::Change { change, message: message.clone(), dry_run: false },
            "Changing the configuration".into(),
        ),
    };
    // Only what the operator has seen is taken over.
    let all_seen = report.conflicts_total == report.conflicts.len().min(PREVIEW_MAX) as u64;
    if let (Change::Reapply { branch, paths, .. }, true) = (&change, report.conflicts_total > 0 && all_seen) {
        let theirs = report.conflicts.iter().map(|one| one.path.clone()).collect();
        let change = Change::Reapply { branch: branch.clone(), paths: paths.clone(), theirs };
        dialog.buttons.push(button("Conflicts too", change));
    }
    if report.total > 0 {
        dialog.buttons.insert(1, button("Change it", change));
    }
}

fn and_more(all: u64, told: usize) -> Option<String> {
    let missing = all.saturating_sub(told.min(PREVIEW_MAX) as u64);
    (missing > 0).then(|| format!("  and {} more", facts::grouped(missing)))
}

/// What was changed, for the message line.
#[must_use]
pub fn changed_text(report: &ChangeReport) -> String {
    match report.revision {
        None if report.total > 0 => {
            format!("{} put back; what was there is kept as a drift", facts::counted(report.total, "path"))
        }
        None => "Nothing was changed: it is so already".into(),
        Some(revision) => {
            let conflicts = match report.conflicts_total {
                0 => String::new(),
                some => format!("; {} in conflict stay", facts::counted(some, "path")),
            };
            let overtaken = report.overtaken.as_ref().map_or(String::new(), |overtaken| {
                let kept = overtaken.kept_as.as_deref().unwrap_or("a file beside its place");
                let paths = facts::counted(overtaken.total, "path");
                format!("; {paths} changed meanwhile, what was there is kept as {kept}")
            });
            let paths = facts::counted(report.total, "path");
            format!("Revision {}: {paths} changed{conflicts}{overtaken}", revision.number)
        }
    }
}

/// `n` and `N`: the next hit of a search, the next path of a comparison, or the next marked file.
pub fn next(model: &mut Model, forward: bool) -> Vec<Command> {
    if model.overlay == Some(Overlay::Diff) {
        if let Some(diff) = &mut model.files.diff
            && let Some(to) = diff.next(forward)
        {
            diff.scroll = to;
        }
        return Vec::new();
    }
    if model.screen == Screen::Configuration && model.files.in_file {
        let files = &mut model.files;
        if let Some(to) = files.search.next(files.file_scroll, forward) {
            files.file_scroll = to;
        }
        return Vec::new();
    }
    let from = model.files.selected.clone().unwrap_or_default();
    let Some(path) = model.files.marks.next(&from, forward).map(str::to_owned) else { return Vec::new() };
    if !model.files.reveal(&path) {
        model.say(Tone::Plain, format!("{} is not in this list", clean(&path)));
    }
    super::show_selected(model)
}
