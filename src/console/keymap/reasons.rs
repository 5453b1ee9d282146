//! Why an action cannot work now, in a sentence that says what to do (spec 8.5). The engine has the last word; these only spare
//! a question that is bound to be refused.

use crate::console::facts;
use crate::console::files::EditState;
use crate::console::model::{Asked, Model, Overlay, Screen};
use crate::engine::base::{Condition, LinkState, Role};
use crate::engine::order::FileKind;
use crate::engine::status::Status;

type Reason = Option<String>;

fn no(text: impl Into<String>) -> Reason {
    Some(text.into())
}

/// Always works.
pub fn never(_: &Model) -> Reason {
    None
}

/// The status to ask of, or why there is none.
fn engine(model: &Model) -> Result<&Status, String> {
    if !model.is_connected() {
        return Err("The engine does not answer; this console is reconnecting".into());
    }
    let status = model.status.as_deref().ok_or("The engine has not told its status yet")?;
    if status.role.is_none() {
        return Err("This instance has no role yet; set it up first".into());
    }
    if status.stopping {
        return Err("Standin is stopping".into());
    }
    Ok(status)
}

fn with(model: &Model, rule: impl Fn(&Status) -> Reason) -> Reason {
    match engine(model) {
        Ok(status) => rule(status),
        Err(reason) => Some(reason),
    }
}

fn is_master(status: &Status) -> bool {
    status.role == Some(Role::Master)
}

/// The link stands.
fn is_linked(status: &Status) -> bool {
    matches!(
        status.state,
        Some(LinkState::Connected | LinkState::Binding | LinkState::Ready | LinkState::Initsync | LinkState::Handshake)
    )
}

/// `S`
pub fn switch(model: &Model) -> Reason {
    with(model, |status| {
        let peer = facts::peer_name(status);
        if !is_master(status) {
            return no(format!("Only the master, {peer}, switches roles; T takes over if it is gone"));
        }
        match status.condition {
            Some(Condition::Switching) => return no("A switch is under way already"),
            Some(condition) if condition != Condition::Maintenance => {
                return no(format!("Not now: this instance is held back by {}", condition.word()));
            }
            _ => {}
        }
        if !status.ha.enabled {
            return no("High availability is disabled; e on screen 2 enables it");
        }
        if status.state != Some(LinkState::Connected) {
            return no(format!("No shadow is connected (state {}); roles need one that is READY", state(status)));
        }
        match &status.peer {
            Some(peer) if !peer.compatible => {
                no(format!("Version {} of {} cannot take the role", peer.version, peer.host))
            }
            Some(peer) if !peer.in_sync => {
                no(format!("{} is not in sync yet, {} behind; v verifies", peer.host, peer.behind))
            }
            _ => None,
        }
    })
}

/// `a`
pub fn abort_switch(model: &Model) -> Reason {
    with(model, |status| match &status.switching {
        Some(switch) if switch.can_abort => None,
        Some(switch) => no(format!("Too late: {}", switch.step)),
        None => no("No switch is under way"),
    })
}

fn state(status: &Status) -> &'static str {
    status.state.map_or("unknown", LinkState::word)
}

/// `b`
pub fn rehearse(model: &Model) -> Reason {
    with(model, |status| {
        (!is_master(status)).then(|| format!("A switch starts on the master: rehearse on {}", facts::peer_name(status)))
    })
}

/// `M`
pub fn maintenance(model: &Model) -> Reason {
    with(model, |status| {
        if status.maintenance_until.is_none() && !is_linked(status) {
            return no(format!("The other side must acknowledge it, and the link is down (state {})", state(status)));
        }
        None
    })
}

/// `r`
pub fn now(model: &Model) -> Reason {
    with(model, |status| {
        if status.hold.is_some() || status.condition == Some(Condition::Damped) {
            return None;
        }
        match (status.role, status.state) {
            (Some(Role::Shadow), Some(LinkState::Initial)) => no("No master is configured; e sets its host and port"),
            (Some(Role::Shadow), Some(LinkState::Disconnected)) => no("Disconnected; c connects"),
            (Some(Role::Shadow), Some(LinkState::Ready)) => no("The master answers; there is nothing to try"),
            (Some(Role::Shadow), _) => None,
            _ if status.state != Some(LinkState::Connected) => {
                no(format!("No shadow is connected (state {}); a push needs one", state(status)))
            }
            _ => match &status.peer {
                Some(peer) if peer.in_sync => no(format!("{} is in sync; nothing waits to be pushed", peer.host)),
                _ => None,
            },
        }
    })
}

/// `c`
pub fn connect(model: &Model) -> Reason {
    with(model, |status| {
        if is_master(status) {
            return no("The shadow connects, not the master: press c in the shadow's console");
        }
        match status.state {
            Some(LinkState::Initial) => no("No master is configured; e sets its host and port"),
            Some(LinkState::Disconnected) | None => None,
            Some(state) => no(format!("Already connecting or connected (state {})", state.word())),
        }
    })
}

/// `e`
pub fn edit(model: &Model) -> Reason {
    if model.screen == Screen::Configuration {
        return edit_file(model);
    }
    // What is locked is shown and says so itself.
    with(model, |_| None)
}

/// `e` on Configuration.
fn edit_file(model: &Model) -> Reason {
    match model.files.editing.as_ref().map(|editing| editing.state) {
        Some(EditState::Suspended) => return None,
        Some(_) => return no("The last edit is still being applied"),
        None => {}
    }
    if model.pending.values().any(|pending| matches!(pending.asked, Asked::EditRead(_))) {
        return no("It is being opened");
    }
    if let Some(reason) = only_on_master(model, "edited") {
        return Some(reason);
    }
    match model.files.current_file() {
        Some(entry) if entry.kind == FileKind::Link => no("This is a link; edit the file that it leads to"),
        // What would open is the last good content, and what is saved would replace the work that is held back.
        Some(entry) if model.files.held(&entry.path).is_some() => no("It is held back: correct it in the directory"),
        Some(_) => None,
        None => no("Select a file first; a directory cannot be edited"),
    }
}

/// The configuration is changed on the master alone (spec 4.5).
fn only_on_master(model: &Model, what: &str) -> Reason {
    with(model, |status| {
        let peer = facts::peer_name(status);
        (!is_master(status)).then(|| format!("Read only here: the configuration is {what} on the master, {peer}"))
    })
}

/// `d`
pub fn differences(model: &Model) -> Reason {
    let is_asking = model.pending.values().any(|pending| pending.asked == Asked::Diff);
    if is_asking {
        return no("Comparing already; the result comes by itself");
    }
    match &model.overlay {
        Some(Overlay::History) if model.files.history.current().is_none() => return no("No revision is selected"),
        Some(Overlay::Branches) if model.files.branches.is_empty() => return no("No branch is kept here"),
        Some(Overlay::History | Overlay::Branches) => return with(model, |_| None),
        _ => {}
    }
    if model.screen == Screen::Configuration {
        return with(model, |status| match &status.peer {
            None => no("There is no other instance to compare with; w compares with the directory"),
            Some(_) if !is_linked(status) => {
                no(format!("{} cannot be asked, the link is down; t shows the history", facts::peer_name(status)))
            }
            Some(_) => None,
        });
    }
    verify(model)
}

/// `t` and `w`
pub fn history(model: &Model) -> Reason {
    with(model, |status| (status.configuration.revision == 0).then(|| "There is no revision yet".into()))
}

/// `P`
pub fn restore(model: &Model) -> Reason {
    if model.files.history.current().is_none() {
        return no("No revision is selected");
    }
    only_on_master(model, "changed")
}

/// `O`
pub fn reapply(model: &Model) -> Reason {
    if model.files.branches.is_empty() {
        return no("No branch is kept");
    }
    only_on_master(model, "changed")
}

/// `m`
pub fn held_back(model: &Model) -> Reason {
    with(model, |status| (status.configuration.held == 0).then(|| "Nothing is held back".into()))
}

/// `n`
pub fn next(model: &Model) -> Reason {
    if model.overlay == Some(Overlay::Diff) {
        return None;
    }
    if model.files.in_file {
        return model.files.search.hits.is_empty().then(|| "Nothing is searched for; / searches in this file".into());
    }
    model.files.marks.is_empty().then(|| "No file is marked; v compares every file on both sides".into())
}

/// Masked values can be read.
#[must_use]
pub fn are_secrets_shown(model: &Model) -> bool {
    match &model.overlay {
        Some(Overlay::Diff) => model.files.diff.as_ref().is_some_and(|diff| diff.show_secrets),
        _ => model.files.show_secrets,
    }
}

/// `D`
pub fn disconnect(model: &Model) -> Reason {
    with(model, |status| match status.state {
        Some(LinkState::Alone) => no("No shadow is connected"),
        Some(LinkState::Broken) => no("The link is down; there is nothing to disconnect. R resets"),
        Some(LinkState::Initial | LinkState::Disconnected | LinkState::Disconnecting) => no("Not connected"),
        _ => None,
    })
}

/// `C`
pub fn reconnect(model: &Model) -> Reason {
    with(model, |status| match status.state {
        Some(LinkState::Alone | LinkState::Broken) => no(format!("No shadow is connected (state {})", state(status))),
        Some(LinkState::Initial) => no("No master is configured; e sets its host and port"),
        Some(LinkState::Disconnected) => no("Disconnected; c connects, and compares everything"),
        _ => None,
    })
}

/// `T`
pub fn become_master(model: &Model) -> Reason {
    with(model, |status| {
        let peer = facts::peer_name(status);
        if is_master(status) {
            return match status.condition {
                Some(Condition::InDoubt | Condition::Isolated | Condition::BootHold) => None,
                _ => no("This instance is master"),
            };
        }
        match status.state {
            Some(LinkState::Ready | LinkState::Initsync) => {
                no(format!("{peer} is master and answers; S in its console switches roles without a gap"))
            }
            _ => None,
        }
    })
}

/// `B`
pub fn become_shadow(model: &Model) -> Reason {
    with(model, |status| {
        if !is_master(status) {
            return no("This instance is shadow");
        }
        is_linked(status).then(|| "A shadow is connected; S switches roles".into())
    })
}

/// `R`
pub fn reset(model: &Model) -> Reason {
    with(model, |status| match status.state {
        _ if is_linked(status) => no("Refused while connected; D disconnects first"),
        Some(LinkState::Lost) => no("Refused while the takeover delay runs; D disconnects first"),
        Some(LinkState::Alone | LinkState::Initial) if status.peer.is_none() => {
            no("There is no other instance to forget")
        }
        _ => None,
    })
}

/// `v` and `d`
pub fn verify(model: &Model) -> Reason {
    if model.pending.values().any(|pending| pending.asked == Asked::Verify) {
        return no("Verifying already; the result comes by itself");
    }
    with(model, |_| None)
}

/// `o`
pub fn branches(model: &Model) -> Reason {
    // Those that the other instance keeps, and drifts, are told when asked for.
    with(model, |status| {
        (status.branches.is_empty() && status.peer.is_none())
            .then(|| "No branch is kept here; after a divergence alert F-020 names who keeps one".into())
    })
}

/// `i`
pub fn timeouts(model: &Model) -> Reason {
    if model.pending.values().any(|pending| pending.asked == Asked::Timeouts) {
        return no("Measuring already; the result comes by itself");
    }
    with(model, |status| match status.state {
        _ if is_master(status) => {
            no(format!("The shadow checks, not the master: press i on {}", facts::peer_name(status)))
        }
        Some(LinkState::Initial) => no("No master is configured; e sets its host and port"),
        _ if status.peer.is_none() => no("Not paired with a master yet; c connects"),
        _ => None,
    })
}

/// `X`
pub fn secrets(model: &Model) -> Reason {
    if let (Some(Overlay::Diff), Some(diff)) = (&model.overlay, &model.files.diff) {
        let is_masked = diff.is_masked || diff.show_secrets;
        return (!is_masked).then(|| "Nothing is masked in this comparison".into());
    }
    match &model.files.shown {
        Some(file) if file.lines.iter().any(|line| line.masked.is_some()) => None,
        Some(_) => no("Nothing is masked in this file"),
        None => no("No file is open"),
    }
}

/// Enter
pub fn open(model: &Model) -> Reason {
    if model.overlay == Some(Overlay::History) {
        return model.files.history.entries.is_empty().then(|| "The list is empty".into());
    }
    let is_empty = match model.screen {
        crate::console::Screen::Configuration => model.files.tree.rows() == 0,
        crate::console::Screen::Alerts => model.alerts.list.is_empty(),
        _ => model.events.list.is_empty(),
    };
    is_empty.then(|| "The list is empty".into())
}

/// `u`
pub fn understood(model: &Model) -> Reason {
    with(model, |status| status.notice.is_none().then(|| "There is no notice to put away".into()))
}

/// `Del`, `A`
pub fn alert(model: &Model) -> Reason {
    if model.alerts.list.is_empty() {
        return no("There are no alerts");
    }
    with(model, |_| None)
}

/// `y`
pub fn copy(model: &Model) -> Reason {
    crate::console::actions::what_to_copy(model).is_none().then(|| "There is nothing to copy here".into())
}

/// Stop
pub fn stop(model: &Model) -> Reason {
    if !model.is_connected() {
        return no("The engine does not answer; there is nothing to stop");
    }
    model.status.as_ref().is_some_and(|status| status.stopping).then(|| "Standin is stopping already".into())
}

/// Ctrl-Z
pub fn suspend(model: &Model) -> Reason {
    model.embeds.then(|| "Ctrl-Z does not suspend the console that started Standin; q leaves it running".into())
}
