//! The dialogs: what each says before it acts.

use crate::console::dialog::{Deed, Dialog, Topic};
use crate::console::facts::{self, own_name, peer_name};
use crate::console::keymap::Action;
use crate::console::message::Leave;
use crate::console::model::Model;
use crate::engine::base::{Problem, Role};
use crate::engine::order::{MasterSeen, Order, Rehearsal};
use crate::engine::status::Status;
use crate::text::clean;

fn lines(text: &[&str]) -> Vec<String> {
    text.iter().map(|line| (*line).to_owned()).collect()
}

/// The dialog of an action that asks; none for one that does not.
#[must_use]
pub fn for_action(model: &Model, action: Action) -> Option<Dialog> {
    let status = model.status.as_deref()?;
    let is_master = status.role == Some(Role::Master);
    match action {
        Action::Maintenance => Some(maintenance(status)),
        Action::Disconnect if is_master => Some(disconnect_shadow(status)),
        Action::Disconnect => Some(disconnect_master(status)),
        Action::Reconnect => Some(reconnect(status, is_master)),
        Action::BecomeMaster => Some(become_master(status)),
        Action::BecomeShadow => Some(become_shadow(status)),
        Action::Reset => Some(reset(status, is_master)),
        Action::ShowSecrets => Some(show_secrets()),
        Action::DeleteAllAlerts => Some(delete_all(model)),
        Action::StopEngine => Some(stop(status, false)),
        Action::StopKeepingRole => Some(stop(status, true)),
        _ => None,
    }
}

/// `S`: waits for its rehearsal.
#[must_use]
pub fn switch(model: &Model) -> Dialog {
    let peer = model.status.as_deref().map(peer_name).unwrap_or_default();
    let mut dialog = Dialog::new(Topic::Switch, format!("Switch roles: {peer} becomes master"), Vec::new());
    dialog.waiting = Some("Running every check of a switch; nothing is changed yet".into());
    dialog
}

/// `b`
#[must_use]
pub fn rehearsal(model: &Model) -> Dialog {
    let peer = model.status.as_deref().map(peer_name).unwrap_or_default();
    let mut dialog =
        Dialog::new(Topic::Rehearsal, format!("Rehearsal of a switch to {peer}"), Vec::new()).closing("Close");
    dialog.waiting = Some("Running every check of a switch; nothing is changed".into());
    dialog
}

/// The answer to a dry run, in the dialog that waits for it.
pub fn fill_rehearsal(dialog: &mut Dialog, rehearsal: Rehearsal) {
    dialog.waiting = None;
    let is_switch = dialog.topic == Topic::Switch;
    dialog.body = vec!["What happens".into()];
    dialog.body.extend(rehearsal.steps.iter().enumerate().map(|(index, step)| format!("  {}  {step}", index + 1)));
    dialog.body.push(format!("  {} would be master at term {}.", rehearsal.new_master, rehearsal.term));
    if !rehearsal.gap.is_empty() {
        dialog.body.push(format!("  {}.", rehearsal.gap));
    }
    if is_switch {
        dialog.body.push("  a ends it again until the offer is on disk.".into());
    }
    dialog.checks = rehearsal.checks;
    if !rehearsal.possible {
        dialog.problem = Some("It would be refused: a check fails.".into());
        dialog.buttons.truncate(1);
        if let Some(button) = dialog.buttons.first_mut() {
            button.label = "Close".into();
        }
        return;
    }
    if !is_switch {
        dialog.body.push("  It would be done. Nothing was changed.".into());
        return;
    }
    let label = "Type the name of the instance that will be master:";
    dialog.entries = vec![crate::console::dialog::Entry::new(label, "", false)];
    dialog.word = Some(facts::short_host(&rehearsal.new_master).to_owned());
    dialog.buttons.push(crate::console::dialog::Button {
        label: "Switch".into(),
        deed: Deed::Send(Order::Switch { dry_run: false }, format!("Switching roles to {}", rehearsal.new_master)),
    });
    dialog.focus = 0;
}

/// `c` on an unpaired shadow: waits for the fingerprint.
#[must_use]
pub fn probe(status: &Status) -> Dialog {
    let hosts = status.settings.shadow.master_hosts.join(", ");
    let body = vec![format!("Master  {hosts} port {}", status.settings.shadow.master_port)];
    let mut dialog = Dialog::new(Topic::Probe, "Connect to the master for the first time", body);
    dialog.waiting = Some("Asking it for its certificate; nothing secret is sent".into());
    dialog
}

/// Its answer: compare before anything is trusted (spec 3.1).
pub fn fill_probe(dialog: &mut Dialog, seen: MasterSeen) {
    dialog.waiting = None;
    dialog.body = vec![
        format!("Master   {} port {}, at {}", seen.host, seen.port, seen.address),
        format!("Says     version {}, role {}", seen.version, seen.role.map_or("none yet", Role::word)),
    ];
    if !seen.same_network {
        dialog.body.push("Note     it is not in this machine's network; a pair belongs in one segment".into());
    }
    dialog.body.push(String::new());
    dialog.body.push(
        "Compare every digit with the fingerprint on screen 2 of the master's console; if one differs, something else \
         answers: cancel."
            .into(),
    );
    dialog.fingerprint = Some(seen.fingerprint);
    if seen.role == Some(Role::Master) {
        let deed = Deed::AskPassword(Box::new(seen));
        dialog.buttons.push(crate::console::dialog::Button { label: "It is the same".into(), deed });
    } else {
        dialog.problem = Some("It is not a master; set up the master first, or e changes host and port here.".into());
    }
}

/// After the comparison.
#[must_use]
pub fn password(seen: &MasterSeen) -> Dialog {
    let body = vec![format!(
        "An administrator of the master {}. The password is used once, sent only to the instance with this \
             fingerprint, and never stored:",
        seen.host
    )];
    let mut dialog = Dialog::new(Topic::Other, format!("Pair with {}", seen.host), body)
        .entry("User     ", "", false)
        .entry("Password ", "", true)
        .button("Pair", Deed::Pair(seen.fingerprint));
    dialog.fingerprint = Some(seen.fingerprint);
    dialog
}

/// `q` where this console started the engine (spec 8.1).
#[must_use]
pub fn leave(model: &Model) -> Dialog {
    let stop = match model.status.as_deref() {
        Some(status) if status.role == Some(Role::Master) => {
            format!("Stop: the service stops, then {} gets the role if it can take it.", peer_name(status))
        }
        _ => "Stop: nobody watches the master from here until Standin is started again.".into(),
    };
    let body = vec!["Leave it running: Standin goes on; the next `standin` attaches to it.".into(), stop];
    Dialog::new(Topic::Leave, "Leave the console", body)
        .button("Leave it running", Deed::Leave(Leave::LeaveRunning))
        .button("Stop Standin", Deed::StopEngine)
}

/// An order was refused or failed.
#[must_use]
pub fn problem(problem: &Problem) -> Dialog {
    let mut body = vec![format!("What   {}", problem.what), format!("Why    {}", problem.why)];
    if !problem.todo.is_empty() {
        body.push(format!("Do     {}", problem.todo));
    }
    Dialog::new(Topic::Problem, "Not done", body).closing("Close")
}

fn maintenance(status: &Status) -> Dialog {
    if status.maintenance_until.is_some() {
        let body = lines(&[
            "Takeovers are suspended now. At the end, checks and the whole takeover delay start anew, and the shadow \
             protects again.",
        ]);
        return Dialog::new(Topic::Other, "End the maintenance", body)
            .button("End it", Deed::Send(Order::Maintenance { for_ms: 0 }, "Ending the maintenance".into()));
    }
    let body = lines(&[
        "Until it ends nobody takes over: if the master fails, the service is down.",
        "Mirroring goes on. An alert comes 5 minutes before the end.",
        "",
        "For how long? 10m, 2h, 1d; it begins at once on both sides.",
    ]);
    Dialog::new(Topic::Other, "Maintenance: suspend takeovers", body)
        .entry("For ", "30m", false)
        .button("Suspend takeovers", Deed::Maintain)
}

fn disconnect_shadow(status: &Status) -> Dialog {
    let peer = peer_name(status);
    let body = vec![
        format!("{peer} is asked to leave. It promises not to take over, and says so on disk."),
        format!(
            "From then on there is no protection, and changes stay on this instance, until someone presses c on \
             {peer}. A restart does not change that."
        ),
    ];
    let deed = Deed::Send(Order::HaDisconnect, format!("Disconnecting {peer}"));
    Dialog::new(Topic::Other, format!("Disconnect {peer}"), body).button("Disconnect", deed)
}

fn disconnect_master(status: &Status) -> Dialog {
    let peer = peer_name(status);
    let body = vec![
        format!("This shadow leaves {peer} and promises not to take over."),
        "There is no protection and nothing is mirrored until c connects again.".into(),
        "A restart does not change that; an alert reminds of it once a day.".into(),
    ];
    let deed = Deed::Send(Order::Disconnect, format!("Disconnecting from {peer}"));
    Dialog::new(Topic::Other, format!("Disconnect from {peer}"), body).button("Disconnect", deed)
}

fn reconnect(status: &Status, is_master: bool) -> Dialog {
    let peer = peer_name(status);
    let files = facts::grouped(status.configuration.files);
    let body = vec![
        format!(
            "The link to {peer} is dropped and made again. All {files} files are compared with the bytes on disk, and \
             what differs on the shadow is replaced."
        ),
        "No takeover is possible until that is done: protection is NONE meanwhile.".into(),
    ];
    let whom = if is_master { "Reconnecting the shadow" } else { "Reconnecting to the master" };
    Dialog::new(Topic::Other, "Reconnect with a complete transfer", body)
        .button("Reconnect", Deed::Send(Order::Reconnect, whom.into()))
}

/// The word for leaving the arbiter out.
const WITHOUT_ARBITER: &str = "without arbiter";

fn become_master(status: &Status) -> Dialog {
    let (own, peer) = (own_name(status), peer_name(status));
    let revision = status.configuration.revision;
    let order = Order::BecomeMaster { without_arbiter: false };
    let Some(arbiter) = &status.arbiter else {
        let body = vec![
            format!(
                "{own} becomes master at once, whatever {peer} does, with revision {revision} of the configuration, and \
                 starts the service."
            ),
            format!(
                "If {peer} still runs the service, there are two of them until the two meet again; then {peer} gives \
                 way. Make sure that it is off."
            ),
        ];
        return typed("Take over by force", body, own, "Take over", order, "Becoming master");
    };
    let promised = arbiter.promised_until.map_or_else(String::new, |at| format!(", here until {}", at.clock(0)));
    let state = arbiter.state_text().0;
    let body = vec![
        format!("{own} asks the arbiter for the next term and starts the service with revision {revision}."),
        format!(
            "It waits for two things: its own promise to {peer} has to run out{promised}; and the arbiter has to grant \
             the term, which it does when the lease of {peer} has ended, within {} s. Arbiter: {state}.",
            arbiter.lease_s + 1
        ),
        format!(
            "Without the arbiter nothing is asked: if {peer} still runs the service there are two. Only when {peer} is \
             certainly off."
        ),
    ];
    let label = "Becoming master: waits for the promise and the arbiter's grant";
    let mut dialog = typed("Take over by force", body, own, "Take over", order, label)
        .entry(&format!("Type {WITHOUT_ARBITER} as well:"), "", false)
        .button(
            "No arbiter",
            Deed::Send(Order::BecomeMaster { without_arbiter: true }, "Becoming master without the arbiter".into()),
        );
    dialog.second_word = Some(WITHOUT_ARBITER.into());
    dialog
}

fn become_shadow(status: &Status) -> Dialog {
    let own = own_name(status);
    let body = vec![
        "The service stops here and nobody runs it until another instance is master.".into(),
        format!("{own} then waits for a master; it will not take over by itself before it has met one."),
        "Its configuration stays as it is until a master replaces it.".into(),
    ];
    typed("Become shadow by force", body, own, "Become shadow", Order::BecomeShadow, "Becoming shadow")
}

fn typed(title: &str, body: Vec<String>, word: String, button: &str, order: Order, label: &str) -> Dialog {
    let mut dialog = Dialog::new(Topic::Other, title, body)
        .entry(&format!("Type {word} to go on:"), "", false)
        .button(button, Deed::Send(order, label.into()));
    dialog.word = Some(word);
    dialog
}

fn reset(status: &Status, is_master: bool) -> Dialog {
    let peer = peer_name(status);
    let (body, order) = if is_master {
        let body = vec![
            format!("{peer} is forgotten: it must be paired anew, with user and password."),
            "High availability goes back to disabled, any shadow host, no grace period; the HA port stays. The \
             service and the configuration are not touched."
                .into(),
            "It is not told. Unless it was disconnected by order, it may take over by itself while it is up: reset or \
             stop it too."
                .into(),
        ];
        (body, Order::HaReset)
    } else {
        let body = vec![
            format!("{peer}, its certificate, the own host name and the timing are forgotten."),
            "The HA port and the mirrored files stay.".into(),
            "This instance protects nothing until it is connected to a master again.".into(),
        ];
        (body, Order::ShadowReset)
    };
    Dialog::new(Topic::Other, format!("Reset: forget {peer}"), body)
        .button("Reset", Deed::Send(order, "Resetting".into()))
}

/// `q` while an editor is suspended.
#[must_use]
pub fn leave_editor(model: &Model) -> Dialog {
    let path = model.files.editing.as_ref().map(|editing| clean(&editing.path)).unwrap_or_default();
    let body = vec![
        format!("The editor with {path} is suspended. Leaving ends it; what was not saved in it is lost."),
        "What was saved stays in its private copy and does not reach the configuration. e goes back to it.".into(),
    ];
    Dialog::new(Topic::Leave, "Leave the console", body).button("Leave", Deed::Leave(Leave::LeaveRunning))
}

fn show_secrets() -> Dialog {
    let body = lines(&[
        "Passwords, tokens and keys of this file appear on the screen, and in whatever records this terminal. They \
         are masked again when you leave the file.",
    ]);
    Dialog::new(Topic::Other, "Show masked values", body).button("Show them", Deed::ShowSecrets)
}

fn delete_all(model: &Model) -> Dialog {
    let body = vec![
        format!("{} will be deleted, on this instance.", facts::counted(model.alerts_open(), "alert")),
        "Those whose cause still holds come back at the next health check.".into(),
    ];
    Dialog::new(Topic::Other, "Delete all alerts", body)
        .button("Delete all", Deed::Send(Order::DeleteAllAlerts, "Deleting all alerts".into()))
}

fn stop(status: &Status, keep_role: bool) -> Dialog {
    let peer = peer_name(status);
    let body = match (status.role, keep_role) {
        (Some(Role::Master), false) => vec![
            "The service stops here first.".into(),
            format!("Then {peer} gets the role if it can take it; else nobody runs the service."),
        ],
        (Some(Role::Master), true) => vec![
            "The service stops here, and nobody runs it until Standin is started again:".into(),
            format!("{peer} is asked not to take over."),
        ],
        _ => vec!["Nobody watches the master from here until Standin is started again.".into()],
    };
    let title = if keep_role { "Stop Standin and keep the role" } else { "Stop Standin" };
    Dialog::new(Topic::Other, title, body).button("Stop", Deed::Send(Order::Stop { keep_role }, "Stopping".into()))
}
