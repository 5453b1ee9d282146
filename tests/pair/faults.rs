//! Real faults: what dies, stalls, is cut, is late, is full (spec 7). A probe proves when the service ran on each side.

mod clock;
mod cuts;
mod dies;
mod disk;
mod field;
mod probe;
mod slow;
mod vote;

use crate::harness::Instance;

/// The alert stands on this instance, and says what to do (spec 6.1).
fn has_alert(instance: &Instance, code: &str) -> bool {
    let alert = instance.alerts().into_iter().find(|alert| alert["code"] == code);
    alert.is_some_and(|alert| {
        let says = |key: &str| alert[key].as_str().is_some_and(|text| !text.is_empty());
        assert!(says("what") && says("why") && says("means") && says("todo"), "{alert}");
        alert["severity"] != "information"
    })
}
