//! What decides, as text: for whoever searches all states of a pair and has to know which two are one.

use std::fmt::{Result, Write};

use super::core::Engine;
use super::timers::Timer;

impl Engine {
    /// Everything by which this instance decides; not what it only tells people (alerts, events, notices, statistics), nor its
    /// settings, which a search leaves as they are. Moments, links and drawn numbers are as they are: the reader makes them
    /// relative.
    ///
    /// # Errors
    /// Those of `out`.
    #[doc(hidden)]
    pub fn sketch(&self, out: &mut dyn Write) -> Result {
        let durable = &self.durable;
        write!(out, "{:?} {:?} {:?} ", durable.role, durable.term, durable.known_term)?;
        write!(out, "{:?} {:?} {:?} ", durable.may_take_over, durable.peer_promise, durable.own_promise)?;
        write!(out, "{:?} {:?} {:?} ", durable.connect_wanted, durable.complete_wanted, durable.offer)?;
        write!(out, "{:?} {:?} {:?} ", durable.forced_shadow, durable.was_master, durable.restore_due)?;
        write!(out, "{:?} {:?} {:?} ", durable.promise_ms, durable.ungranted, durable.rival_unmet)?;
        write!(out, "{:?} ", durable.settings_due.is_some())?;
        write!(out, "{:?} {:?} ", self.head.as_ref().map(|head| head.revision), self.heard_term)?;
        for timer in self.timers.all() {
            // Looked after for people's sake, at its own pace.
            if !matches!(timer.0, Timer::Health | Timer::DialBack | Timer::Checks) {
                write!(out, "{timer:?}")?;
            }
        }
        write!(out, "{:?}", self.links)?;
        let watch = &self.watch;
        write!(out, "{:?} {:?} {:?} {:?}", watch.state, watch.link, watch.attached, watch.may.is_some())?;
        write!(out, "{:?} {:?} {:?}", watch.master_head, watch.master_active, watch.applying)?;
        write!(out, "{:?} {:?} {:?}", watch.complete, watch.lost, watch.was_attached)?;
        write!(out, "{:?} {:?} {:?}", watch.was_ready_once, watch.refused_offer, watch.gave_up)?;
        write!(out, "u{}", watch.unanswered_count())?;
        self.sketch_reign(out)?;
        write!(out, "{:?} {:?} {:?}", self.handover, self.pause, self.leaving)?;
        write!(out, "{:?} {:?} {:?}", self.parting, self.work, self.stall)?;
        write!(out, "{:?} {:?} {:?}", self.fence, self.service.state, self.is_settled_on_disk())?;
        self.sketch_arbitration(out)
    }

    fn sketch_reign(&self, out: &mut dyn Write) -> Result {
        let reign = &self.reign;
        write!(out, "{:?} {:?} {:?} ", reign.activity, reign.hold_ends, reign.shadow)?;
        write!(out, "{:?} {:?} {:?} ", reign.is_silent, reign.peer_head, reign.peer_ready)?;
        write!(out, "{:?} {:?} {:?} ", reign.peer_role, reign.peer_term, reign.was_in_sync)?;
        write!(out, "{:?} {:?} {:?} ", reign.push.under_way, reign.push.complete, reign.scan)?;
        write!(out, "{:?} {:?} {:?} ", reign.ask_link, reign.asked, reign.met_loser)?;
        write!(out, "{:?} {:?} {:?} ", reign.frozen, reign.giving, reign.retry)?;
        write!(out, "{:?} {:?} {:?} ", reign.isolated, reign.doubt_since, reign.switch_wait.is_some())
    }
}
