//! (e) No takeover without its conditions.

use standin::engine::base::{LinkState, Reason, Role};
use standin::engine::durable::Durable;

use crate::sim::check::Checker;
use crate::sim::node::Node;

impl Checker {
    /// Every durable write.
    pub fn stored(&mut self, t: u64, node: usize, nodes: &[Node; 2], new: &Durable) -> Result<(), String> {
        self.terms(node, nodes, new)?;
        let old = &nodes[node].disk.durable;
        if old.role == Some(Role::Shadow) && new.role == Some(Role::Master) {
            match new.last_role_change.as_ref().map(|change| change.reason) {
                Some(Reason::Takeover) => {
                    self.takeovers += 1;
                    self.taken.insert((new.term, node));
                    self.takeover(t, node, nodes, new)?;
                    self.permit_takeover(node, nodes);
                }
                Some(Reason::Switch) => self.switches += 1,
                _ => self.permit_two(node, nodes),
            }
        }
        if old.role == Some(Role::Master) && new.role == Some(Role::Shadow) {
            self.relinquished += 1;
        }
        if new.role != old.role {
            self.settle_split_unless_new(nodes, node, new.role);
        }
        Ok(())
    }

    fn settle_split_unless_new(&mut self, nodes: &[Node; 2], node: usize, role: Option<Role>) {
        if role != Some(Role::Master) {
            self.settle_split(nodes, node, role);
        }
    }

    fn takeover(&self, t: u64, node: usize, nodes: &[Node; 2], new: &Durable) -> Result<(), String> {
        let old = &nodes[node].disk.durable;
        let seen = &self.seen[node];
        // Lost and taken over within one step, with a delay of 0.
        let at_once = (seen.glance.state == Some(LinkState::Ready)).then_some((t, true));
        // The same for a shadow that meets another shadow, and has precedence (spec 7.16).
        // A word that the other said as shadow may still be on its way when an operator has made it master.
        let both_shadows = self.was_forced || nodes.iter().all(|node| node.disk.durable.role == Some(Role::Shadow));
        let met = (seen.glance.state == Some(LinkState::Handshake) && both_shadows).then_some((t, false));
        let Some((since, was_ready)) = seen.lost.or(at_once).or(met) else {
            return Err(format!("(e) node-{node} took over without having lost its master: {:?}", seen.glance.state));
        };
        if old.own_promise.is_some() {
            return Err(format!("(e) node-{node} took over against its promise"));
        }
        // With a delay of 0 its end and the takeover are one step.
        // A new shadow has the pair's timing before its settings file has it (spec 2.8).
        let pair = old.peer.as_ref().map_or(u64::MAX, |peer| peer.timing.takeover_delay_ms);
        let delay = nodes[node].disk.settings.shadow.takeover_delay.min(pair);
        if delay > 0 && seen.glance.is_paused || self.is_paused(t) {
            return Err(format!("(e) node-{node} took over during maintenance"));
        }
        let limit_ppm = 1_000_000 - nodes[node].rate_ppm.unsigned_abs() - 1_000;
        if (t - since) * 1_000_000 + 2_000_000 < delay * limit_ppm {
            return Err(format!("(e) node-{node} took over after {} ms of {delay}", t - since));
        }
        // With an arbiter its grant stands in for having been READY (spec 7.4).
        if was_ready || self.has_arbiter {
            return Ok(());
        }
        let other = &nodes[1 - node].disk.durable;
        if !self.was_forced && other.role != Some(Role::Shadow) && new.term < other.term {
            return Err(format!("(e) node-{node} took over though it was not READY"));
        }
        // Met and taken over within one step, with a delay of 0: no status in between tells of it.
        let met_at_once = self.was_forced && seen.lost.is_none();
        if other.role == Some(Role::Master) && !seen.glance.has_met_shadow && !met_at_once {
            return Err(format!("(e) node-{node} took over though it was not READY and met no other shadow"));
        }
        Ok(())
    }

    /// With an arbiter whoever took over was granted the term it starts its service with (spec 7.11).
    pub fn granted_before(&self, node: usize, nodes: &[Node; 2]) -> Result<(), String> {
        let durable = &nodes[node].disk.durable;
        let taken = (durable.term, node);
        if self.taken.contains(&taken) && !self.granted.contains(&taken) {
            return Err(format!("(e) node-{node} took over with term {}, which nobody granted", durable.term));
        }
        Ok(())
    }

    /// Whoever is READY has a master that noted it (spec 7.5), on its disk, and has promised nothing else.
    pub fn ready(&self, node: usize, nodes: &[Node; 2]) -> Result<(), String> {
        let glance = self.seen[node].glance;
        if glance.role != Some(Role::Shadow) || glance.state != Some(LinkState::Ready) {
            return Ok(());
        }
        let own = &nodes[node].disk.durable;
        if own.own_promise.is_some() {
            return Err(format!("(e) node-{node} is READY under a promise not to take over"));
        }
        let other = &nodes[1 - node].disk.durable;
        let is_my_master = other.role == Some(Role::Master) && other.term == own.term;
        if is_my_master && !other.may_take_over && other.peer_promise.is_none() && nodes[1 - node].is_up() {
            return Err(format!("(e) node-{node} is READY and its master has not noted it"));
        }
        Ok(())
    }
}
