//! What operators ask for; what is impossible is refused with the reason and the way out (spec 7.8, 8.5).

use super::base::{LinkState, Reason, Role};
use super::core::Engine;
use super::durable::Durable;
use super::event::{EventKind, Severity};
use super::history::Change;
use super::master::Activity;
use super::message::Body;
use super::order::{Actor, Order, Reply};

use super::then::Then;
use super::timers::Timer;

/// Most orders `connect` that wait for their outcome.
const CONNECTING_MAX: usize = 16;

/// The way out of an isolation by the arbiter.
const ISOLATED_TODO: &str = "It goes on by itself when one of them answers; if the other instance is certainly not active: \
                             `ha become-master --force`, with --without-arbiter while the arbiter does not answer";

impl Engine {
    /// An operator asks.
    pub(super) fn order(&mut self, id: u64, actor: &Actor, order: Order) {
        if let Some(text) = words(&order) {
            self.note_by(EventKind::Order, Severity::Information, text, Some(&actor.user));
        }
        let is_busy = self.leaving.is_some() && words(&order).is_some() && !matches!(order, Order::Stop { .. });
        if is_busy {
            return self.refuse(id, "not done", "this instance is stopping", "");
        }
        match order {
            Order::Status => {
                let status = self.status(self.now);
                self.reply(id, Ok(Reply::Status(Box::new(status))));
            }
            Order::Alerts => {
                let alerts = self.alerts();
                self.reply(id, Ok(Reply::Alerts(alerts)));
            }
            Order::Edit(patch) => self.edit(id, patch),
            Order::Switch { dry_run } => match self.role() {
                Some(Role::Master) => self.switch(id, dry_run),
                _ => self.refuse(
                    id,
                    "roles not switched",
                    "this instance is not the master",
                    "Give the order on the master",
                ),
            },
            Order::SwitchAbort => self.order_switch_abort(id, actor),
            Order::HaReset => self.ha_reset(id),
            Order::HaDisconnect => self.ha_disconnect(id, actor),
            Order::BecomeShadow => self.order_become_shadow(id),
            Order::BecomeMaster { without_arbiter } => self.order_become_master(id, without_arbiter),
            Order::Maintenance { for_ms } => self.maintenance(id, for_ms),
            Order::Resume => self.order_resume(id),
            Order::Connect => self.order_connect(id),
            Order::Disconnect => self.order_disconnect(id),
            Order::ShadowReset => self.shadow_reset(id),
            Order::Reconnect => self.order_reconnect(id, actor),
            Order::TryNow => self.try_now(id),
            Order::PushNow => match self.push_now() {
                Ok(text) => self.done(id, text),
                Err((why, todo)) => self.refuse(id, "not pushed", why, todo),
            },
            Order::Change { change, message, dry_run } => self.order_change(id, actor, change, message, dry_run),
            Order::Stop { keep_role } => self.begin_leave(Some(id), keep_role),
            Order::DismissNotice => {
                let draft = Durable { notice: None, ..self.draft() };
                self.write(
                    draft,
                    Then::Done { order: id, text: "the notice of the change of roles is put away, on every console" },
                );
            }
            Order::DeleteAlert { id: alert } => {
                let name = self.book.list().into_iter().find(|other| other.id == alert).map(|found| found.code);
                if self.book.delete(alert, &mut self.out) {
                    let name = name.unwrap_or_default();
                    self.start_forgotten(&name);
                    self.done(id, format!("alert {name} deleted; it comes back if its cause still holds"));
                } else {
                    self.refuse(id, "not deleted", format!("there is no alert {alert}"), "See `alerts`");
                }
            }
            Order::DeleteAllAlerts => {
                let count = self.book.delete_all(&mut self.out);
                self.done(id, format!("{count} alerts deleted; those whose cause still holds come back"));
            }
            _ => self.refuse(id, "not done", "the engine does not know this order", ""),
        }
    }

    fn ha_disconnect(&mut self, id: u64, actor: &Actor) {
        match self.reign.shadow.filter(|_| self.is_master()) {
            Some(link) => {
                self.send(link, Body::PleaseDisconnect { by: actor.user.clone() });
                self.done(id, "the shadow is asked to disconnect");
            }
            None => self.refuse(id, "not disconnected", "no shadow is connected", ""),
        }
    }

    fn order_become_shadow(&mut self, id: u64) {
        let what = "not made shadow";
        if !self.is_master() {
            return self.refuse(id, what, "this instance is not the master", "");
        }
        if self.heard_link().is_some() {
            return self.refuse(id, what, "a shadow is connected", "Use `ha switch`: the service goes on there");
        }
        if self.is_giving_way() || self.handover.is_some() || !self.is_settled_on_disk() {
            return self.refuse(id, what, "a change of roles is under way", "Wait for it to end");
        }
        self.give_way(Reason::Forced, "an operator said become-shadow", Some(id));
    }

    fn order_become_master(&mut self, id: u64, without_arbiter: bool) {
        let what = "not made master";
        if !self.is_settled_on_disk() || self.is_giving_way() {
            return self.refuse(id, what, "a change of roles is under way", "Wait for it to end");
        }
        match self.role() {
            None => self.refuse(id, what, "this instance has no role yet", "Use `setup`"),
            Some(Role::Master) if self.is_forcible() => {
                if self.has_arbiter() && !without_arbiter {
                    if self.is_unsettled_copy() {
                        let why = "this home was restored or copied: the arbiter cannot be asked in its name";
                        let todo = "Let the other instance answer; or, if nobody else is certainly active, add --without-arbiter";
                        return self.refuse(id, what, why, todo);
                    }
                    return self.wish(id);
                }
                self.waive_arbiter();
                let ungranted = self.has_arbiter().then(|| self.highest_term());
                let offered = self.durable.offer.map_or(self.durable.term, |offer| offer.term);
                let order = self.handover.as_mut().and_then(|handover| handover.order.take());
                if let Some(order) = order {
                    self.refuse(order, "roles not switched", "an operator said become-master", "");
                }
                let term = self.next_own_term(offered);
                let known_term = self.highest_term().max(term);
                let draft = Durable { term, known_term, offer: None, ungranted, ..self.draft() };
                self.write(draft, Then::ResumedAbove { order: Some(id) });
            }
            Some(Role::Master) => self.refuse(id, what, "this instance is master already", ""),
            Some(Role::Shadow) => {
                if self.watch.attached && self.watch.master_active {
                    let why = format!("the master {} answers", self.peer_name());
                    return self.refuse(id, what, why, "Use `ha switch` on the master");
                }
                if self.has_arbiter() && !without_arbiter {
                    if self.is_bound() {
                        let why = "it has promised not to take over until it is connected again, and its master relies on that";
                        let todo = "Connect again; or, if the master is certainly not active, add --without-arbiter";
                        return self.refuse(id, what, why, todo);
                    }
                    return self.wish(id);
                }
                if self.watch.applying.is_some() {
                    return self.forced_waits(id, without_arbiter);
                }
                self.waive_arbiter();
                self.take_over(Reason::Forced, Some(id));
            }
        }
    }

    /// A revision is being written: `become-master` is carried out when it is whole (spec 5.3), and nothing of it is left that
    /// could overwrite an edit of the new master.
    fn forced_waits(&mut self, id: u64, without_arbiter: bool) {
        if self.watch.forced.is_some() {
            let why = "another such order waits until a revision that came is written";
            return self.refuse(id, "not made master", why, "Wait for its outcome");
        }
        self.watch.forced = Some((id, without_arbiter));
        self.note(EventKind::Role, Severity::Information, "become-master waits until a revision that came is written");
    }

    /// It is written, or came to nothing.
    pub(super) fn plan_forced(&mut self) {
        if self.watch.applying.is_some() || !self.is_settled_on_disk() {
            return;
        }
        if let Some((id, without_arbiter)) = self.watch.forced.take() {
            self.order_become_master(id, without_arbiter);
        }
    }

    /// It will not be carried out any more.
    pub(super) fn refuse_forced(&mut self, why: &str) {
        if let Some((id, _)) = self.watch.forced.take() {
            self.refuse(id, "not made master", why, "");
        }
    }

    /// A master that is not active, and that an operator may make active.
    fn is_forcible(&self) -> bool {
        self.is_waiting() || matches!(self.reign.activity, Activity::Offering | Activity::Isolated)
    }

    fn order_resume(&mut self, id: u64) {
        if self.is_settled_on_disk() && self.clear_damping(id) {
            return;
        }
        if let Some(isolated) =
            self.reign.isolated.filter(|isolated| isolated.by_checks && self.work.stopping.is_none())
        {
            let waived = self.waive_isolation();
            self.end_isolation(isolated, "an operator said resume");
            return self.done(id, format!("this instance is active, term {}{waived}", self.durable.term));
        }
        if let (Activity::Isolated, Some(isolated)) = (&self.reign.activity, self.reign.isolated) {
            let (why, todo) = if isolated.by_checks {
                ("its service is still being stopped", "Try again when it has stopped")
            } else {
                ("this master is isolated: neither the other instance nor the arbiter confirms it", ISOLATED_TODO)
            };
            return self.refuse(id, "not resumed", why, todo);
        }
        if self.facts.is_copied && self.is_master() && self.reign.activity == Activity::Holding {
            // Which of the copies is the instance is the operator's to say; whether it is active, the others' (spec 7.5, 7.11).
            self.copy_decided();
            self.note(EventKind::Role, Severity::Warning, "an operator said resume: this home is no copy any more");
            if self.has_arbiter() {
                let text = "this home counts as the instance again; it becomes active when the other instance or the arbiter confirms it";
                self.reign.hold_why =
                    format!("asking {} and the arbiter whether this instance is still master", self.peer_name());
                return self.done(id, text);
            }
        }
        if self.has_arbiter() && self.reign.activity == Activity::Holding {
            let why = "with an arbiter nobody becomes active without its word, or the other instance's";
            let todo = "It asks all the while; if the other is certainly not active: `ha become-master --force`";
            return self.refuse(id, "not resumed", why, todo);
        }
        if self.is_giving_way() {
            return self.refuse(id, "not resumed", "a change of roles is under way", "Wait for it to end");
        }
        if !self.is_master() || self.reign.activity != Activity::Holding {
            let todo =
                if self.durable.offer.is_some() { "A hand-over is open: `ha become-master --force`" } else { "" };
            return self.refuse(id, "nothing to resume", "this instance is not on its boot hold", todo);
        }
        self.resume();
        let term = self.durable.term;
        self.done(id, format!("this instance is active, term {term}"));
    }

    fn order_connect(&mut self, id: u64) {
        let what = "not connected";
        if !self.is_shadow() {
            return self.refuse(id, what, "this instance is not a shadow", "");
        }
        if self.peer().is_none() {
            return self.refuse(id, what, "it is not paired with a master yet", "Connect with user and password");
        }
        if self.watch.attached {
            return self.refuse(id, what, "it is connected already", "`reconnect` transfers everything anew");
        }
        if self.watch.connecting.len() >= CONNECTING_MAX {
            return self.refuse(id, what, "too many such orders wait", "Wait for their outcome");
        }
        let draft = Durable { connect_wanted: true, complete_wanted: true, disconnected_since: None, ..self.draft() };
        self.write(draft, Then::ConnectWanted { order: id });
    }

    fn order_disconnect(&mut self, id: u64) {
        let what = "not disconnected";
        if !self.is_shadow() {
            return self.refuse(id, what, "this instance is not a shadow", "On a master it is `ha disconnect`");
        }
        if self.peer().is_none() || !self.durable.connect_wanted {
            return self.refuse(id, what, "it is not connected", "");
        }
        self.disconnect(Some(id));
    }

    fn order_reconnect(&mut self, id: u64, actor: &Actor) {
        let what = "not reconnected";
        if let Some(link) = self.reign.shadow.filter(|_| self.is_master()) {
            self.send(link, Body::PleaseReconnect { by: actor.user.clone() });
            return self.done(id, "the shadow is asked to reconnect with a complete transfer");
        }
        if !self.is_shadow() || !self.durable.connect_wanted || self.peer().is_none() {
            return self.refuse(id, what, "the two are not connected", "Connect first");
        }
        if self.watch.state == Some(LinkState::Lost) {
            return self.refuse(id, what, "the master does not answer", "It is tried again all the while");
        }
        self.want_complete(Some(id), actor.user.clone());
    }

    fn try_now(&mut self, id: u64) {
        if !self.is_shadow() || !self.durable.connect_wanted || self.watch.attached {
            return self.refuse(id, "nothing to try", "this instance does not look for a master now", "");
        }
        self.watch.gave_up = false;
        self.timers.clear(Timer::Redial);
        self.done(id, "trying now");
    }
}

/// The order in words, for the events; none for those that only look.
fn words(order: &Order) -> Option<&'static str> {
    Some(match order {
        Order::Edit(_) => "change of settings",
        Order::HaReset => "reset of high availability",
        Order::HaDisconnect => "disconnect the shadow",
        Order::Switch { dry_run: true } => "rehearsal of a switch",
        Order::Switch { dry_run: false } => "switch roles",
        Order::SwitchAbort => "end the switch",
        Order::BecomeShadow => "become shadow, forced",
        Order::BecomeMaster { without_arbiter: false } => "become master, forced",
        Order::BecomeMaster { without_arbiter: true } => "become master, forced, without the arbiter",
        Order::Maintenance { for_ms: 0 } => "end of maintenance",
        Order::Maintenance { .. } => "maintenance",
        Order::Resume => "resume",
        Order::Connect => "connect",
        Order::Disconnect => "disconnect",
        Order::ShadowReset => "reset of the shadow",
        Order::Reconnect => "reconnect with a complete transfer",
        Order::TryNow => "try the master now",
        Order::PushNow => "push now",
        Order::Change { change: Change::Restore { .. }, dry_run: false, .. } => "restore of a revision",
        Order::Change { change: Change::Put { .. }, dry_run: false, .. } => "change of the configuration",
        Order::Change { change: Change::Reapply { .. }, dry_run: false, .. } => "re-apply of a branch",
        Order::Change { change: Change::Replace { .. }, dry_run: false, .. } => "restore of a backup",
        Order::Stop { keep_role: true } => "stop, keep the role",
        Order::Stop { keep_role: false } => "stop",
        Order::DismissNotice => "notice dismissed",
        Order::DeleteAlert { .. } => "delete an alert",
        Order::DeleteAllAlerts => "delete all alerts",
        _ => return None,
    })
}
