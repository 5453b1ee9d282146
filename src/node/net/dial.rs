//! Dials that the engine asked for.

use std::sync::Arc;

use super::connect::{Goal, connect};
use super::tls::Pin;
use super::{DIALS_MAX, Shared, links};
use crate::engine::base::Fingerprint;
use crate::engine::input::Input;
use crate::wire;

/// As in [`crate::engine::effect::Effect::Dial`].
pub(super) struct Target {
    pub(super) hosts: Vec<String>,
    pub(super) port: u16,
    pub(super) fingerprint: Fingerprint,
    pub(super) connect_timeout_ms: u64,
}

pub(super) fn start(shared: &Arc<Shared>, attempt: u64, target: Target) {
    let is_full = {
        let mut state = shared.state();
        let is_full = state.dials.len() >= DIALS_MAX;
        if !is_full {
            state.dials.insert(attempt, None);
        }
        is_full
    };
    let task = tokio::spawn(run(shared.clone(), attempt, target, is_full));
    // It may be over, or given up, already.
    if let Some(waiting) = shared.state().dials.get_mut(&attempt) {
        *waiting = Some(task.abort_handle());
    }
}

async fn run(shared: Arc<Shared>, attempt: u64, target: Target, is_full: bool) {
    let failed = |why: String| Input::DialFailed { attempt, steps: Vec::new(), why, foreign: None };
    if is_full {
        shared.tell(failed(format!("{DIALS_MAX} dials are under way already"))).await;
        return;
    }
    let goal = Goal {
        hosts: &target.hosts,
        port: target.port,
        pin: Pin::Only(target.fingerprint),
        protocol: wire::link::ALPN,
        timeout_ms: target.connect_timeout_ms,
    };
    let result = connect(&shared, &goal).await;
    // From here on it is not cancelled any more: either nothing is heard of it, or everything.
    if shared.state().dials.remove(&attempt).is_none() {
        return;
    }
    let connected = match result {
        Ok(connected) => connected,
        Err(not) => {
            let (steps, why, foreign) = (not.steps, not.why, not.foreign);
            shared.tell(Input::DialFailed { attempt, steps, why, foreign }).await;
            return;
        }
    };
    let (fingerprint, address, steps) = (connected.fingerprint, connected.address, connected.steps);
    let Some(link) = links::register(&shared, connected.stream, fingerprint, address, true) else {
        shared.tell(failed("too many links are open already".into())).await;
        return;
    };
    let id = link.id();
    shared.tell(Input::LinkUp { link: id, outgoing: true, fingerprint, address: address.to_string() }).await;
    shared.tell(Input::Dialled { attempt, link: id, steps }).await;
    link.run(None).await;
}
