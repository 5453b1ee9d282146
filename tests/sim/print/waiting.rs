//! What waits for its moment, in its order, without what will find nothing to do.

use standin::engine::input::{Input, ServiceChange};
use standin::engine::sketch::Sketch as _;

use crate::sim::arbiter::{Question, Step};
use crate::sim::world::{What, World};

use super::{Paper, counts};

pub(super) fn put(world: &World, paper: &mut Paper<'_>) {
    paper.of(9, "waiting");
    for (at, what) in world.waiting() {
        if is_over(world, what, paper) {
            continue;
        }
        paper.ahead(at, world.t);
        match what {
            What::Deliver { conn, end } => {
                let target = &world.net.conns[conn].ends[*end];
                let name = paper.name_of(target.node, target.link);
                paper.show(&"deliver");
                paper.word(target.node as u64 * 64 + name);
            }
            What::Input { node, input, .. } => hears(*node, input, paper),
            What::Dial { node, .. } => paper.show(&("dial", node)),
            What::Scan { node, term, .. } => paper.show(&("scan", node, term)),
            What::Push { node, link, complete, .. } => {
                let name = paper.name_of(*node, *link);
                paper.show(&("push", node, complete, name));
            }
            What::Apply { node, link, push, .. } => {
                let name = paper.name_of(*node, *link);
                paper.show(&("apply", node, push.revision.number, name));
            }
            What::Look { node, .. } => paper.show(&("look", node)),
            What::Service { node, start, .. } => paper.show(&("service", node, start)),
            What::Settings { node, .. } => paper.show(&("settings", node)),
            What::Allowance { node, .. } => paper.show(&("allowance", node)),
            What::GuardStopped { node, .. } => paper.show(&("stopped", node)),
            What::Arbiter(step) => vote(world, step, paper),
            other => paper.show(other),
        }
    }
}

/// It will find nothing to do.
fn is_over(world: &World, what: &What, paper: &mut Paper<'_>) -> bool {
    match what {
        // Every node looks at its clock at every tick.
        What::Alarm { .. } => true,
        What::Deliver { conn, end } => world
            .net
            .conns
            .get(conn)
            .is_none_or(|conn| conn.is_dead || conn.ends[*end].inbox.is_empty() || !counts(world, &conn.ends[*end])),
        What::Input { node, incarnation, input } => {
            let is_stale = match **input {
                Input::LinkDown { link, .. } => !paper.links[*node].contains(&link),
                Input::DialFailed { attempt, .. } => paper.counters[*node].attempt != Some(attempt),
                _ => false,
            };
            is_stale || !world.is_now(*node, *incarnation)
        }
        What::Dial { node, incarnation, attempt, .. } => {
            !world.is_now(*node, *incarnation) || world.nodes[*node].cancelled.contains(attempt)
        }
        What::Service { node, incarnation, start } => {
            // A stop that an earlier or later one has done.
            let guard = &world.nodes[*node].guard;
            let is_done = !*start && guard.ending_until.is_none();
            !world.is_now(*node, *incarnation) || is_done
        }
        What::Resume { node, incarnation }
        | What::Scan { node, incarnation, .. }
        | What::Look { node, incarnation, .. }
        | What::Push { node, incarnation, .. }
        | What::Apply { node, incarnation, .. }
        | What::Settings { node, incarnation, .. } => !world.is_now(*node, *incarnation),
        What::Allowance { node, until } => {
            let guard = &world.nodes[*node].guard;
            !world.nodes[*node].service || guard.allowed_until != Some(*until) || guard.stopping == Some(guard.epoch)
        }
        What::GuardStopped { node, epoch } => !world.nodes[*node].service || world.nodes[*node].guard.epoch != *epoch,
        What::Arbiter(step) => match **step {
            Step::Timeout { node, incarnation, id } | Step::Answer { node, incarnation, id, .. } => {
                !world.arbiter.open.contains_key(&(node, incarnation, id))
            }
            Step::KeepAlive(_) | Step::Decide(_) => false,
        },
        _ => false,
    }
}

fn hears(node: usize, input: &Input, paper: &mut Paper<'_>) {
    match input {
        Input::LinkDown { link, .. } => {
            let name = paper.name_of(node, *link);
            paper.show(&("down", node, name));
        }
        Input::DialFailed { .. } => paper.show(&("no dial", node)),
        Input::Service(change) => {
            let (ServiceChange::Changed(status)
            | ServiceChange::Failing(status)
            | ServiceChange::Expired(status)
            | ServiceChange::Started(status)
            | ServiceChange::StartFailed(status)
            | ServiceChange::Stopped(status)
            | ServiceChange::StopFailed(status)) = change;
            paper.show(&("service", node, std::mem::discriminant(change), status.state.as_str()));
        }
        other => paper.show(&(node, other)),
    }
}

fn vote(world: &World, step: &Step, paper: &mut Paper<'_>) {
    let mut asked = |name: &str, question: &Question| {
        let is_open = world.arbiter.open.contains_key(&(question.node, question.incarnation, question.id));
        paper.show(&(name, question.node, is_open, question.ask.want, question.ask.known));
        paper.claim(question.node, question.ask.claim);
    };
    match step {
        Step::KeepAlive(question) => asked("keep alive", question),
        Step::Decide(question) => asked("decide", question),
        Step::Answer { node, answer, .. } => paper.show(&("answer", node, answer)),
        Step::Timeout { node, .. } => paper.show(&("timeout", node)),
    }
}
