//! (h) An alert stands exactly while its cause does.

use standin::engine::alerts::Alert;
use standin::engine::base::{Condition, LinkState, Role};

use crate::sim::check::Checker;
use crate::sim::node::Node;

/// Alerts of the pair: in peace there is none. Not V-003: after a switch that was given up for it nobody tries the stop again.
const PAIR: &[&str] = &[
    "H-001", "H-002", "H-003", "H-004", "H-005", "H-006", "H-007", "H-009", "H-010", "H-011", "H-012", "H-013",
    "H-014", "H-015", "H-016", "H-017", "H-020", "H-021", "P-010", "F-001", "F-012", "V-001", "R-001",
];

impl Checker {
    pub fn alert_saved(&mut self, node: usize, alert: &Alert) {
        if alert.is_over {
            self.standing[node].remove(&alert.id);
        } else {
            self.standing[node].insert(alert.id, alert.code.clone());
        }
    }

    pub fn alert_dropped(&mut self, node: usize, id: u64) {
        self.standing[node].remove(&id);
    }

    fn stands(&self, node: usize, code: &str) -> bool {
        self.standing[node].values().any(|standing| standing == code)
    }

    /// At every step, for the states that have an alert of their own.
    pub fn alerts_fit(&self, node: usize, nodes: &[Node; 2]) -> Result<(), String> {
        let glance = self.seen[node].glance;
        // While the program ends, or the record waits for its disk, words and state may differ for a moment.
        if glance.condition == Some(Condition::Stopping) || nodes[node].persist_fails {
            return Ok(());
        }
        let is_shadow = glance.role == Some(Role::Shadow);
        let is_master = glance.role == Some(Role::Master);
        let is_lost = is_shadow && glance.state == Some(LinkState::Lost);
        let is_ready = is_shadow && glance.state == Some(LinkState::Ready);
        let needs = [
            ("H-001", is_lost),
            ("H-011", is_master && glance.condition == Some(Condition::InDoubt)),
            ("H-020", is_master && glance.condition == Some(Condition::BootHold)),
        ];
        if let Some((code, _)) = needs.iter().find(|(code, is_so)| *is_so && !self.stands(node, code)) {
            return Err(format!("(h) node-{node}: the cause of {code} holds, and no alert says so"));
        }
        if self.standing[node].is_empty() {
            return Ok(());
        }
        let forbids = [
            ("H-001", is_ready || is_master),
            ("H-012", is_ready || is_master),
            ("H-021", is_ready || is_master),
            ("H-010", is_shadow || (is_master && glance.state == Some(LinkState::Connected))),
            ("H-011", is_shadow || glance.is_active),
            ("H-020", is_shadow || glance.is_active),
        ];
        match forbids.iter().find(|(code, is_so)| *is_so && self.stands(node, code)) {
            Some((code, _)) => Err(format!("(h) node-{node}: {code} stands, and its cause is over ({glance:?})")),
            None => Ok(()),
        }
    }

    /// At the end of a life that is well.
    pub fn no_alert_left(&self, nodes: &[Node; 2]) -> Result<(), String> {
        for (index, node) in nodes.iter().enumerate() {
            let open = node.disk.alerts.values().find(|alert| !alert.is_over && PAIR.contains(&alert.code.as_str()));
            if let Some(alert) = open {
                return Err(format!("(h) node-{index} is well and says {} {}: {}", alert.code, alert.what, alert.why));
            }
            let condition = self.seen[index].glance.condition;
            if condition.is_some_and(|condition| !matches!(condition, Condition::Maintenance | Condition::Damped)) {
                return Err(format!("(h) node-{index} is well and in condition {condition:?}"));
            }
        }
        Ok(())
    }
}
