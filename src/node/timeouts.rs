//! *Check timeouts* (spec 4.2): connects to the real master several times, takes the round trips of the checks of this run,
//! and has both judged.

use super::orders::Orders;
use super::shared::OrderOutcome;
use crate::engine::base::{Problem, Role};
use crate::engine::message::Timing;
use crate::engine::order::Reply;
use crate::engine::timeouts::{CONNECTS_MEASURED, Measured, judge};

/// A connection that takes longer is given up, whatever is set, ms; and twice what is set is waited for at least.
const CONNECT_LIMIT_MS: u64 = 3_000;

/// Takes milliseconds against a master that answers, and a few connect timeouts against one that does not.
pub async fn check(orders: &Orders) -> OrderOutcome {
    let status = orders.shared.status.borrow().clone();
    let refused = |why: &str, todo: &str| Problem::new("The timeouts were not checked", why, todo);
    if status.role != Some(Role::Shadow) {
        return Err(refused("this instance is not a shadow", "Ask the shadow: `standin shadow check-timeouts` there"));
    }
    let settings = orders.settings.in_force();
    let shadow = &settings.shadow;
    let fingerprint = status.peer.as_ref().and_then(|peer| peer.fingerprint);
    let (Some(fingerprint), false) = (fingerprint, shadow.master_hosts.is_empty()) else {
        return Err(refused("this shadow is not paired with a master", "Connect first: `standin shadow connect`"));
    };
    let limit_ms = CONNECT_LIMIT_MS.max(shadow.connect_timeout.saturating_mul(2));
    let mut measured = Measured {
        master: format!("{} port {}", shadow.master_hosts.join(", "), shadow.master_port),
        requests_us: orders.trips.taken_us(),
        ..Measured::default()
    };
    for _ in 0..CONNECTS_MEASURED {
        match orders.net.time_connect(&shadow.master_hosts, shadow.master_port, fingerprint, limit_ms).await {
            Ok(span_us) => measured.connects_us.push(span_us),
            Err(why) => {
                measured.connects_failed.push(why);
                // A dead master is not waited for again and again.
                if measured.connects_us.is_empty() {
                    break;
                }
            }
        }
    }
    let timing = Timing {
        check_interval_ms: shadow.check_interval,
        takeover_delay_ms: shadow.takeover_delay,
        connect_timeout_ms: shadow.connect_timeout,
        request_timeout_ms: shadow.request_timeout,
    };
    Ok(Reply::Timeouts(judge(&measured, timing)))
}
