//! Two shadows that meet (spec 7.16).

use super::base::{LinkState, RevisionId, Term};
use super::core::Engine;
use super::message::Hello;
use super::takeover::Rival;

impl Engine {
    /// The other instance is a shadow too: the higher (term, revision), then the one that was master last, then the lower
    /// instance id takes over under the usual rules; the other counts its delay anew. One that an operator made shadow,
    /// or that promised not to take over, never wins by itself.
    pub(super) fn met_shadow(&mut self, their_term: Term, hello: &Hello) {
        if self.watch.attached {
            // It said so before it became the master that is followed now, over a connection of that time.
            return;
        }
        if self.watch.lost.is_none() {
            if self.watch.state != Some(LinkState::Handshake) {
                return;
            }
            self.lose("the other instance is a shadow too", false);
        }
        let Some(their_id) = self.peer().map(|peer| peer.instance) else { return };
        let can_win = |forced: bool, promised: bool| !forced && !promised;
        let mine = (
            can_win(self.durable.forced_shadow, self.durable.own_promise.is_some() || self.leaving.is_some()),
            self.durable.term,
            order_of(self.head_id()),
            self.durable.was_master,
            std::cmp::Reverse(self.durable.instance),
        );
        let theirs = (
            can_win(hello.forced_shadow, hello.promised),
            their_term,
            order_of(hello.head),
            hello.was_master,
            std::cmp::Reverse(their_id),
        );
        let wins = mine.0 && mine > theirs;
        let now = self.now.mono;
        let was_winning = self.watch.lost.as_ref().and_then(|lost| lost.rival).is_some_and(|rival| rival.wins);
        if let Some(lost) = &mut self.watch.lost {
            lost.rival = Some(Rival { wins, at: now });
        }
        if !wins || !was_winning {
            self.count_anew(0, "the other instance was met as a shadow");
        }
        let text = match (wins, mine.0 || theirs.0) {
            (true, _) => "both instances are shadows; this one takes over when the delay is over",
            (false, true) => "both instances are shadows; the other one has precedence",
            (false, false) => {
                "both instances are shadows, and neither takes over by itself: an operator must say become-master"
            }
        };
        self.watch.message = Some(text.into());
        self.hold_alert("H-021", "", text);
    }

    /// For how long a meeting of two shadows binds both, ms: longer than the next meeting takes to come.
    pub(super) fn meeting_counts_ms(&self) -> u64 {
        let timing = self.timing();
        2 * (self.redial_pause_ms() + timing.connect_timeout_ms + timing.request_timeout_ms) + timing.takeover_delay_ms
    }
}

fn order_of(head: Option<RevisionId>) -> (u64, Term) {
    head.map_or((0, Term(0)), |head| (head.number, head.term))
}
