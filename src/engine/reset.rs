//! *Reset*: forgetting the pair, on either side (spec 2.5, 4.4).

use super::base::{LinkId, LinkState};
use super::core::Engine;
use super::durable::Durable;
use super::message::{Body, FarewellKind, Purpose};
use super::settings::{SettingsPatch, Shadow};
use super::then::Then;
use super::timers::Timer;

/// A shadow that says goodbye before it forgets its master.
#[derive(Clone, Copy, Debug)]
pub(super) struct Parting {
    order: u64,
    /// The word is said; the answer is awaited.
    is_said: bool,
}

impl Engine {
    /// `ha reset`.
    pub(super) fn ha_reset(&mut self, id: u64) {
        let what = "not reset";
        if !self.is_master() {
            return self.refuse(id, what, "this instance is not the master", "On a shadow it is `shadow reset`");
        }
        if let Some(why) = self.settings_locked() {
            return self.refuse(id, what, why, "Disconnect the shadow first: `ha disconnect`");
        }
        if !self.is_active() || self.handover.is_some() {
            return self.refuse(id, what, "it is not clear whether this instance is the active one", "Resume first");
        }
        let mut draft = self.draft();
        let untold = draft.may_take_over && draft.peer_promise.is_none();
        draft.former_peer = draft.peer.take().or(draft.former_peer);
        draft.may_take_over = false;
        draft.peer_promise = None;
        draft.common = None;
        draft.settings_due = None;
        draft.pause = None;
        self.write(draft, Then::Reset { order: id, untold });
    }

    /// `shadow reset`: the promise first, then the master is told if it can be, then the pair is forgotten.
    pub(super) fn shadow_reset(&mut self, id: u64) {
        let what = "not reset";
        if !self.is_shadow() {
            return self.refuse(id, what, "this instance is not a shadow", "On a master it is `ha reset`");
        }
        if let Some(why) = self.settings_locked() {
            return self.refuse(id, what, why, "Disconnect first: `shadow disconnect`");
        }
        if self.parting.is_some() {
            return self.refuse(id, what, "a reset is under way", "");
        }
        if self.peer().is_none() {
            return self.forget_pair(id);
        }
        let draft = Durable { own_promise: Some(FarewellKind::Reset), connect_wanted: false, ..self.draft() };
        self.write(draft, Then::PromisedReset { order: id });
    }

    /// The promise is on disk: the master hears it if it answers.
    pub(super) fn promised_reset(&mut self, order: u64) {
        self.parting = Some(Parting { order, is_said: false });
        self.watch.lost = None;
        for timer in [Timer::Takeover, Timer::Redial] {
            self.timers.clear(timer);
        }
        for pending in std::mem::take(&mut self.watch.connecting) {
            self.refuse(pending, "not connected", "the shadow is being reset", "");
        }
        if let Some(link) = self.watch.link {
            self.close(link, "the shadow is being reset");
        }
        self.cancel_dial();
        self.set_state(LinkState::Disconnecting, Some("telling the master that this shadow leaves for good".into()));
        let timing = self.timing();
        let limit_ms = timing.connect_timeout_ms.saturating_add(timing.request_timeout_ms);
        self.timers.set(Timer::Farewell, self.after(limit_ms));
        self.dial(Purpose::Ask);
    }

    /// The master answered the call: say it. True: it was for a reset.
    pub(super) fn parting_welcomed(&mut self, id: LinkId) -> bool {
        let Some(parting) = &mut self.parting else { return false };
        parting.is_said = true;
        self.send(id, Body::Farewell { kind: FarewellKind::Reset });
        true
    }

    /// It knows, or cannot be told: the pair is forgotten. True: there was a reset to finish.
    pub(super) fn parted(&mut self) -> bool {
        let Some(parting) = self.parting.take() else { return false };
        self.timers.clear(Timer::Farewell);
        self.forget_pair(parting.order);
        true
    }

    /// The connection over which it was to be told is gone.
    pub(super) fn parting_link_gone(&mut self) {
        let is_due = self.parting.is_some_and(|parting| parting.is_said || self.links.dialling.is_none());
        if is_due && self.watch.link.is_none() {
            self.parted();
        }
    }

    fn forget_pair(&mut self, order: u64) {
        let mut draft = self.draft();
        draft.former_peer = draft.peer.take().or(draft.former_peer);
        draft.connect_wanted = false;
        draft.complete_wanted = false;
        draft.own_promise = None;
        draft.disconnected_since = None;
        draft.common = None;
        draft.settings_due = None;
        self.write(draft, Then::Reset { order, untold: false });
    }

    /// The pair is forgotten on disk: the settings follow. `untold`: the other instance does not know, and may take over.
    pub(super) fn was_reset(&mut self, id: u64, untold: bool) {
        let all: Vec<_> = self.links.all.keys().copied().collect();
        for link in all {
            self.close(link, "high availability was reset");
        }
        self.cancel_dial();
        self.end_pause("the pair is forgotten");
        for timer in [Timer::Silent, Timer::Redial, Timer::Takeover, Timer::DialBack] {
            self.timers.clear(timer);
        }
        let codes = [
            "H-001", "H-002", "H-003", "H-004", "H-005", "H-006", "H-007", "H-010", "H-012", "H-013", "H-014", "H-015",
            "H-021",
        ];
        for code in codes {
            self.settle(code, "");
        }
        let patch = if self.is_master() {
            self.reign.is_silent = false;
            SettingsPatch {
                enabled: Some(false),
                permitted_shadow_host: Some(None),
                grace_period: Some(0),
                ..SettingsPatch::default()
            }
        } else {
            self.watch.lost = None;
            self.watch.gave_up = false;
            self.set_state(LinkState::Initial, None);
            let initial = Shadow::default();
            SettingsPatch {
                host: Some(String::new()),
                master_hosts: Some(initial.master_hosts),
                master_port: Some(initial.master_port),
                check_interval: Some(initial.check_interval),
                takeover_delay: Some(initial.takeover_delay),
                connect_timeout: Some(initial.connect_timeout),
                request_timeout: Some(initial.request_timeout),
                ..SettingsPatch::default()
            }
        };
        let former = self.durable.former_peer.as_ref().filter(|_| untold);
        let but = former.map_or(String::new(), |former| {
            let name = if former.host.is_empty() { "the former shadow" } else { &former.host };
            format!("; {name} was not told: while it is up it may take over by itself, so say `shadow reset` there too, or stop it")
        });
        self.write_settings_for(id, patch, &but);
    }
}
