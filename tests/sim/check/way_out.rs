//! (g) Every state has a way out: every order is answered, and what does not heal by itself an operator can still put right.

use crate::sim::world::World;

/// Every order is answered within, beyond the time that the service has to end in peace, ms.
const ANSWER_LIMIT_MS: u64 = 60_000;

impl World {
    pub fn orders_are_answered(&self) -> Result<(), String> {
        let settings = &self.nodes[0].disk.settings;
        let limit_ms = ANSWER_LIMIT_MS + settings.high_availability.grace_period;
        let late = self.pending.values().find(|(.., since, _)| self.t - since > limit_ms);
        match late {
            Some((node, _, since, order)) => {
                Err(format!("(g) order {order:?} to node-{node} of {since} ms was never answered"))
            }
            None => Ok(()),
        }
    }
}
