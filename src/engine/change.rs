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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::base::{Digest, InstanceId, Millis, Now, RevisionId, Role, Term, UnixMillis};
    use crate::engine::durable::Durable;
    use crate::engine::effect::Effects;
    use crate::engine::input::{Boot, Input};
    use crate::engine::order::Order;

    fn engine(role: Role, activity: Activity) -> Engine {
        let instance = InstanceId(uuid::Uuid::from_u128(1));
        let durable = Durable { role: Some(role), term: Term(3), ..Durable::new(instance) };
        let boot = Boot::of(durable, "none");
        let mut engine = Engine::new(Now { mono: Millis(1), wall: UnixMillis(1) }, boot);
        engine.reign.activity = activity;
        engine
    }

    fn handle(engine: &mut Engine, input: Input) -> Vec<Effect> {
        let mut effects = Effects::default();
        engine.handle(Now { mono: Millis(2), wall: UnixMillis(2) }, input, &mut effects);
        effects.take()
    }

    fn order(engine: &mut Engine) -> Vec<Effect> {
        let change = Change::Restore { revision: 1, paths: Vec::new() };
        let order = Order::Change { change, message: "why".into(), dry_run: false };
        handle(engine, Input::Order { id: 7, actor: Actor { user: "anna".into() }, order })
    }

    fn refusal(effects: &[Effect]) -> Option<&Problem> {
        effects.iter().find_map(|effect| match effect {
            Effect::Reply { id: 7, outcome } => outcome.as_ref().as_ref().err(),
            _ => None,
        })
    }

    /// spec 5.2: the operator who acted is the author, at the term of this master; the new revision is the newest one then.
    #[test]
    fn a_master_changes_its_configuration() {
        let mut engine = engine(Role::Master, Activity::Active);
        let effects = order(&mut engine);
        let wanted = effects.iter().find_map(|effect| match effect {
            Effect::Change { order: 7, term: Term(3), wanted } => Some(wanted),
            _ => None,
        });
        assert!(wanted.is_some_and(|wanted| wanted.author == "anna" && wanted.message == "why"), "{effects:?}");
        let revision = RevisionId { number: 1, term: Term(3), root: Digest([1; 32]) };
        let (author, paths) = ("anna".to_owned(), Vec::new());
        let committed = Committed { revision, author, paths, paths_total: 1, files: 1, bytes: 1, at: 1 };
        let outcome = Box::new(Ok(Reply::Done("done".into())));
        let effects = handle(&mut engine, Input::Changed { order: 7, committed: Some(committed), outcome });
        assert_eq!(engine.head_id(), Some(revision));
        assert!(effects.iter().any(|effect| matches!(effect, Effect::Reply { id: 7, .. })));
        assert!(effects.iter().any(|effect| matches!(effect, Effect::RunHook { .. })), "new_configuration");
    }

    /// spec 4.5, 7.7: not on a shadow, and not while the role is given away: the refusal says what to do.
    #[test]
    fn nothing_is_changed_where_it_must_not() {
        let mut frozen = engine(Role::Master, Activity::Active);
        frozen.reign.frozen = true;
        for mut engine in [engine(Role::Shadow, Activity::Active), frozen, engine(Role::Master, Activity::GivingWay)] {
            let effects = order(&mut engine);
            assert!(!effects.iter().any(|effect| matches!(effect, Effect::Change { .. })));
            assert!(refusal(&effects).is_some_and(|problem| !problem.todo.is_empty()), "{effects:?}");
        }
    }
}
