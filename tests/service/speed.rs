//! How long a start takes: it is part of every failover.

use std::time::{Duration, Instant};

use standin::engine::input::ServiceChange;

use crate::support::{PATIENCE, Rig};

/// spec 7.3: from the ask to the report that the command runs. `cargo test --test service -- --ignored --nocapture speed`
#[test]
#[ignore = "a measurement"]
fn a_start_is_a_fork_and_an_exec() {
    const ROUNDS: usize = 50;
    let rig = Rig::new();
    let mut times: Vec<Duration> = (0..ROUNDS)
        .map(|_| {
            let begin = Instant::now();
            rig.start("exec sleep 600", |_| {});
            assert!(matches!(rig.changes.recv_timeout(PATIENCE), Ok(ServiceChange::Started(_))));
            let took = begin.elapsed();
            rig.supervisor.stop(0);
            rig.stopped();
            took
        })
        .collect();
    times.sort();
    eprintln!("start: p50 {:?}, p90 {:?}", times[ROUNDS / 2], times[ROUNDS * 9 / 10]);
    assert!(times[ROUNDS / 2] < Duration::from_millis(100));
}
