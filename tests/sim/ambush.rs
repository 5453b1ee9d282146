//! Faults at the worst moment: the seed waits for an effect or a message of a kind, and strikes before the next one.

use standin::engine::effect::Effect;
use standin::engine::message::Body;

use crate::sim::faults::Fault;
use crate::sim::world::{What, World};

/// What is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    Persist,
    StartService,
    StopService,
    Scan,
    Push,
    Apply,
    AskArbiter,
    SaysOffer,
    SaysTaken,
    SaysAnswer,
    SaysMay,
    SaysFarewell,
    SaysApplied,
    SaysPause,
}

pub const MOMENTS: &[Moment] = &[
    Moment::Persist,
    Moment::StartService,
    Moment::StopService,
    Moment::Scan,
    Moment::Push,
    Moment::Apply,
    Moment::AskArbiter,
    Moment::SaysOffer,
    Moment::SaysTaken,
    Moment::SaysAnswer,
    Moment::SaysMay,
    Moment::SaysFarewell,
    Moment::SaysApplied,
    Moment::SaysPause,
];

impl Moment {
    fn of(effect: &Effect) -> Option<Self> {
        Some(match effect {
            Effect::Persist { .. } => Self::Persist,
            Effect::StartService { .. } => Self::StartService,
            Effect::StopService { .. } => Self::StopService,
            Effect::Scan { .. } => Self::Scan,
            Effect::Push { .. } => Self::Push,
            Effect::Apply { .. } => Self::Apply,
            Effect::AskArbiter { .. } => Self::AskArbiter,
            Effect::Send { envelope, .. } => match envelope.body {
                Body::Offer(_) => Self::SaysOffer,
                Body::OfferTaken { .. } => Self::SaysTaken,
                Body::Answer(_) => Self::SaysAnswer,
                Body::MayTakeOver { .. } => Self::SaysMay,
                Body::Farewell { .. } => Self::SaysFarewell,
                Body::Applied(_) => Self::SaysApplied,
                Body::Pause { .. } => Self::SaysPause,
                _ => return None,
            },
            _ => return None,
        })
    }
}

/// Lies in wait.
#[derive(Clone, Copy, Debug)]
pub struct Ambush {
    /// Not before.
    pub from: u64,
    /// Who has to do it.
    pub node: usize,
    pub moment: Moment,
    pub fault: Fault,
    /// Whom it hits.
    pub victim: usize,
}

impl World {
    /// That node is about to do that. True: it died over it.
    pub fn walk_into(&mut self, node: usize, effect: &Effect) -> bool {
        let t = self.t;
        let Some(moment) = Moment::of(effect) else { return false };
        let found =
            self.ambushes.iter().position(|ambush| ambush.node == node && ambush.moment == moment && ambush.from <= t);
        let Some(index) = found else { return false };
        let ambush = self.ambushes.swap_remove(index);
        self.log(|| format!("AMBUSH at {moment:?} of node-{node}"));
        if ambush.fault == Fault::Crash && ambush.victim == node {
            return true;
        }
        self.at(t, What::Chaos { fault: ambush.fault, node: ambush.victim });
        false
    }
}
