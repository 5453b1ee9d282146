//! Changes of the configuration that an operator asks for (spec 5.2, 5.6): on the master alone, and not while roles change.

use super::base::Problem;
use super::core::Engine;
use super::effect::{Effect, WantedChange};
use super::history::Change;
use super::input::Committed;
use super::master::Activity;
use super::order::{Actor, Reply};

impl Engine {
    /// `config restore|apply|edit`.
    pub(super) fn order_change(&mut self, id: u64, actor: &Actor, change: Change, message: String, dry_run: bool) {
        let what = "the configuration was not changed";
        if !self.is_master() {
            let why = "this instance is not the master, and mirrors what the master has";
            let todo = format!("Give the order on {}, or switch the roles first: `ha switch` there", self.peer_name());
            return self.refuse(id, what, why, todo);
        }
        let may_commit = matches!(self.reign.activity, Activity::Active | Activity::Holding);
        if self.reign.frozen || !may_commit || self.handover.is_some() {
            let why = "changes are frozen: a change of roles is under way, or this master waits for an answer";
            return self.refuse(id, what, why, "Look at `standin status`, and try again when it has ended");
        }
        let wanted = Box::new(WantedChange { author: actor.user.clone(), message, change, dry_run });
        self.out.push(Effect::Change { order: id, term: self.durable.term, wanted });
    }

    /// It is done, or refused.
    pub(super) fn changed(&mut self, order: u64, committed: Option<Committed>, outcome: Result<Reply, Problem>) {
        if let Some(committed) = committed {
            self.committed(committed);
        }
        self.reply(order, outcome);
    }
}
