//! What changes from step to step, without the cost of a whole [`super::status::Status`]: for whoever watches every step.

use super::base::{Condition, LinkState, Role};
use super::core::Engine;

/// See the fields of the same name of [`super::status::Status`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Glance {
    /// None in a home that was not set up.
    pub role: Option<Role>,
    /// Master and entitled to run the service.
    pub is_active: bool,
    /// Of the link.
    pub state: Option<LinkState>,
    /// What holds it back.
    pub condition: Option<Condition>,
    /// Takeovers are suspended (spec 7.9).
    pub is_paused: bool,
    /// The other instance was met as a shadow too (spec 7.16).
    pub has_met_shadow: bool,
    /// Master: both have the same revision on disk.
    pub is_in_sync: bool,
}

impl Engine {
    /// The state in short.
    #[must_use]
    pub fn glance(&self) -> Glance {
        Glance {
            role: self.role(),
            is_active: self.is_active(),
            state: self.link_state(),
            condition: self.condition(),
            is_paused: self.pause.until.is_some(),
            has_met_shadow: self.watch.lost.as_ref().is_some_and(|lost| lost.rival.is_some()),
            is_in_sync: self.in_sync(),
        }
    }
}
