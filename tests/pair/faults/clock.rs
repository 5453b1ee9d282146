//! Wall clocks that differ and jump (spec 7.12): they decide nothing.

use std::fs;
use std::path::PathBuf;

use super::field::{Field, prepared, wish};
use super::{has_alert, probe};
use crate::harness::Instance;

/// Where the distributions have it; package `libfaketime`.
fn library() -> PathBuf {
    let found = fs::read_dir("/usr/lib").into_iter().flatten().flatten().map(|entry| entry.path());
    let places = found.chain([PathBuf::from("/usr/lib")]).map(|at| at.join("faketime/libfaketimeMT.so.1"));
    places.into_iter().find(|path| path.exists()).expect("libfaketime: tests/run installs it")
}

/// The wall clock of one instance, which its test sets; nothing else of its time is touched.
struct WallClock(PathBuf);

impl WallClock {
    fn of(instance: &mut Instance) -> Self {
        let clock = Self(instance.journal.with_extension("clock"));
        clock.set("+0");
        let variables = [
            format!("LD_PRELOAD={}", library().display()),
            format!("FAKETIME_TIMESTAMP_FILE={}", clock.0.display()),
            "FAKETIME_NO_CACHE=1".into(),
            "FAKETIME_DONT_FAKE_MONOTONIC=1".into(),
        ];
        instance.wrap = ["env".to_owned()].into_iter().chain(variables).collect();
        clock
    }

    fn set(&self, offset: &str) {
        let aside = self.0.with_extension("clock-new");
        fs::write(&aside, offset).unwrap();
        fs::rename(aside, &self.0).unwrap();
    }
}

fn difference_ms(instance: &Instance, fits: impl Fn(i64) -> bool) {
    instance.wait("tells the difference", |status| {
        status["peer"]["clock_difference_ms"].as_i64().is_some_and(|difference| fits(difference.abs()))
    });
}

/// spec 6.5, 7.12: the wall clock jumps an hour ahead and back on one side: an alert, no change of role, and every wait as long as before
pub fn a_wall_clock_an_hour_off_decides_nothing() {
    let mut pair = prepared(&wish(), false);
    let clock = WallClock::of(&mut pair.b);
    let mut field = Field::of(pair);
    clock.set("+1h");
    for one in [&field.a, &field.b] {
        difference_ms(one, |ms| (3_590_000..3_610_000).contains(&ms));
        crate::harness::eventually("the alert", || has_alert(one, "R-010"));
    }
    assert_eq!((field.a.status()["active"].as_bool(), field.b.status()["state"].as_str()), (Some(true), Some("READY")));
    field.a.kill();
    field.b.wait_for("takes over", field.longest(), |status| status["active"] == true);
    crate::harness::eventually("the service runs", || probe::lives([&field.a, &field.b]).len() == 2);
    // Back, while it is the master.
    clock.set("-1h");
    field.a.start();
    field.wait_settled(&field.b, &field.a);
    difference_ms(&field.a, |ms| (3_590_000..3_610_000).contains(&ms));
    clock.set("+0");
    difference_ms(&field.a, |ms| ms < 2_000);
    field.wait_whole(&field.b, &field.a);
    probe::assert_never_stopped(&field.b);
    field.prove("wall clock");
}
