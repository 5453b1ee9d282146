//! (e), too: what both acknowledged not to do for a while (spec 7.9). A maintenance that an operator ordered on either side, and
//! that was answered with a yes, holds until its time or his end of it, whatever is restarted meanwhile; so does the pause for a
//! restart of the master, until that is back. And both sides show it.

use std::collections::VecDeque;

use standin::engine::base::LinkState;
use standin::engine::base::Role;
use standin::engine::order::Order;

use crate::sim::check::Checker;
use crate::sim::node::Node;

/// As the rules have it, ms.
const RESTART_PAUSE_MS: u64 = 120_000;
/// Orders that may be on their way at once.
const ORDERS_MAX: usize = 8;
/// Both show the same within, while the two are connected and healthy, ms.
const SHOWN_WITHIN_MS: u64 = 10_000;

/// Moments of the world.
#[derive(Clone, Debug, Default)]
pub struct Pauses {
    /// A maintenance is in force until then.
    pub maintenance_until: Option<u64>,
    /// The master that said so is about to come back; takeovers pause until then.
    pub restart: Option<(usize, u64)>,
    /// The newest orders: when, and until when.
    pub ordered: VecDeque<(u64, u64)>,
    /// When an operator last ended every pause.
    pub ended: Option<u64>,
    /// Since when one of two that are connected shows a pause, and the other does not.
    pub differs_since: Option<u64>,
}

/// No clock is through with a span sooner.
fn shortest(nodes: &[Node; 2], span_ms: u64) -> u64 {
    let worst = nodes.iter().map(|node| node.rate_ppm.unsigned_abs()).max().unwrap_or(0);
    span_ms * 1_000_000 / (1_000_000 + worst)
}

impl Checker {
    /// An operator says so: what was agreed before may be over, or be shorter.
    pub fn ordered(&mut self, t: u64, nodes: &[Node; 2], order: &Order) {
        if let Order::Maintenance { for_ms } = order {
            let until = t + shortest(nodes, *for_ms);
            self.pauses.maintenance_until = self.pauses.maintenance_until.map(|old| old.min(until));
            self.pauses.ordered.push_front((t, until));
            self.pauses.ordered.truncate(ORDERS_MAX);
            if *for_ms == 0 {
                self.pauses.restart = None;
                self.pauses.ended = Some(t);
            }
        }
    }

    /// Both have it: it counts from the order at the latest.
    pub fn agreed(&mut self, node: usize, nodes: &[Node; 2], since: u64, order: &Order) {
        let end = |span_ms| since + shortest(nodes, span_ms);
        match order {
            Order::Maintenance { for_ms } if *for_ms > 0 => {
                // Others may have been given while this one was on its way, and any of them may have ended it or been refused.
                let later = self.pauses.ordered.iter().filter(|(at, _)| *at >= since);
                let until = later.map(|(_, until)| *until).min();
                self.pauses.maintenance_until = Some(end(*for_ms).min(until.unwrap_or(u64::MAX)));
            }
            Order::Stop { keep_role: true } => {
                let durable = &nodes[node].disk.durable;
                let is_paused = durable.role == Some(Role::Master) && durable.may_take_over;
                // The stop is answered when it ends; an operator may have ended the pause meanwhile.
                let was_ended = self.pauses.ended.is_some_and(|at| at >= since);
                self.pauses.restart = (is_paused && !was_ended).then(|| (node, end(RESTART_PAUSE_MS)));
            }
            _ => {}
        }
    }

    /// It is in force: no takeover.
    pub fn is_paused(&self, t: u64) -> bool {
        let restart = self.pauses.restart.map(|(_, until)| until);
        self.pauses.maintenance_until.max(restart).is_some_and(|until| t < until)
    }

    /// While the two are connected and the shadow is READY.
    pub fn both_pause(&mut self, t: u64) -> Result<(), String> {
        let [first, second] = [0, 1].map(|node: usize| self.seen[node].glance);
        let is_connected =
            |role, state| [first, second].iter().any(|glance| glance.role == Some(role) && glance.state == Some(state));
        let are_connected =
            is_connected(Role::Master, LinkState::Connected) && is_connected(Role::Shadow, LinkState::Ready);
        if !are_connected || first.is_paused == second.is_paused || self.tick_ms > 0 {
            self.pauses.differs_since = None;
            return Ok(());
        }
        let since = *self.pauses.differs_since.get_or_insert(t);
        if t > since + SHOWN_WITHIN_MS {
            let paused = usize::from(second.is_paused);
            return Err(format!("(e) node-{paused} alone shows that takeovers pause, for {} ms", t - since));
        }
        Ok(())
    }
}
