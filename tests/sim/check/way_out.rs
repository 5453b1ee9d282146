//! (g) Every state has a way out: every order is answered, and what does not heal by itself an operator can still put right.

use crate::sim::world::World;

/// Every order is answered within, ms.
const ANSWER_LIMIT_MS: u64 = 60_000;

impl World {
    pub fn orders_are_answered(&self) -> Result<(), String> {
        let late = self.pending.values().find(|(.., since, _)| self.t - since > ANSWER_LIMIT_MS);
        match late {
            Some((node, _, since, order)) => {
                Err(format!("(g) order {order:?} to node-{node} of {since} ms was never answered"))
            }
            None => Ok(()),
        }
    }
}
