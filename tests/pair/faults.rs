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

/// Scenarios that mostly wait, side by side, so that all of them take little longer than the longest; each has hosts of its own.
/// Those whose name contains `STANDIN_SCENARIO`, if that is set, alone.
fn side_by_side(scenarios: &[(&str, fn())]) {
    let only = std::env::var("STANDIN_SCENARIO").unwrap_or_default();
    let failed: Vec<&str> = std::thread::scope(|scope| {
        let chosen = scenarios.iter().filter(|(name, _)| name.contains(&only));
        let running: Vec<_> = chosen.map(|(name, scenario)| (*name, scope.spawn(*scenario))).collect();
        running.into_iter().filter_map(|(name, run)| run.join().is_err().then_some(name)).collect()
    });
    assert!(failed.is_empty(), "failed: {failed:?}");
}

/// One test of several scenarios.
macro_rules! side_by_side {
    ($name:ident: $($scenario:path),+ $(,)?) => {
        #[test]
        fn $name() {
            side_by_side(&[$((stringify!($scenario), $scenario as fn())),+]);
        }
    };
}

side_by_side!(deaths:
    dies::kill_switch_and_stop_with_a_third_vote,
    dies::stalls_with_a_third_vote,
    dies::a_stalled_guard_is_replaced,
    dies::both_die_and_start_in_each_order,
    dies::no_overlap_without_an_arbiter_while_the_network_works,
);
side_by_side!(cut_cables: cuts::the_link_alone_is_cut, cuts::one_direction_is_cut, cuts::three_way_cuts);
side_by_side!(the_vote: vote::etcd_dies_and_comes_back, vote::etcd_hangs_and_is_wiped);
side_by_side!(disks_and_clocks:
    clock::a_wall_clock_an_hour_off_decides_nothing,
    disk::a_shadow_with_a_full_disk,
    disk::a_start_on_a_full_disk,
    disk::a_master_with_a_full_disk,
);
side_by_side!(slow_and_lossy: slow::a_fifth_is_lost, slow::far_away, slow::starved_of_processor_time);
