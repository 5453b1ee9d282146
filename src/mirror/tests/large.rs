//! Measured by hand: `cargo test --lib mirror::tests::large -- --ignored --nocapture`.

use std::time::Instant;

use super::*;

/// spec 5.2: cost follows the change, not the size of the configuration
#[test]
#[ignore = "takes a minute: 100,000 files"]
#[allow(clippy::print_stderr)]
fn one_file_of_a_hundred_thousand() {
    let (mut master, mut shadow) = (Side::new(), Side::new());
    for outer in 0..1_000 {
        fs::create_dir(master.at(&format!("d{outer}"))).unwrap();
        (0..100).for_each(|n| master.write(&format!("d{outer}/f{n}.yaml"), &format!("value: {outer}-{n}\n")));
    }
    let time = |what: &str, work: &mut dyn FnMut()| {
        let start = Instant::now();
        work();
        eprintln!("{what}: {} ms", start.elapsed().as_millis());
    };
    let longest = longest_record_write(&master.mirror().inner.store.clone(), || {
        time("first commit", &mut || assert_eq!(master.commit(1).unwrap().files, 100_000));
    });
    eprintln!("longest write of the record meanwhile: {longest} ms");
    time("complete transfer", &mut || drop(shadow.pull(&master, true).unwrap()));
    std::thread::sleep(std::time::Duration::from_secs(3));
    time("scan that reads all young files", &mut || assert_eq!(master.commit(1), None));
    time("scan of what did not change", &mut || assert_eq!(master.commit(1), None));
    for text in ["one", "two", "three"] {
        master.write("d500/f50.yaml", text);
        time("commit of one file", &mut || assert_eq!(master.commit(1).unwrap().paths_total, 1));
        let mut push = None;
        time("build its push", &mut || push = Some(master.mirror().build_push(&shadow.trail(), false).unwrap()));
        time("apply it", &mut || drop(shadow.apply(&master, push.as_ref().unwrap(), false).unwrap()));
    }
    time("complete comparison", &mut || drop(shadow.pull(&master, true).unwrap()));
    time("open again", &mut || shadow.start().unwrap());
    time("open again", &mut || master.start().unwrap());
    shadow.assert_like(&master);
}

/// The record (a term) is written again and again while `work` is done: the longest it took, ms.
fn longest_record_write(store: &Store, work: impl FnOnce()) -> u128 {
    use std::sync::atomic::{AtomicBool, Ordering};
    let durable = crate::engine::durable::Durable::new(crate::engine::base::InstanceId(uuid::Uuid::from_u128(1)));
    let is_done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let mut longest = 0;
            while !is_done.load(Ordering::Relaxed) {
                let start = Instant::now();
                store.save_durable(&durable).unwrap();
                longest = longest.max(start.elapsed().as_millis());
            }
            longest
        });
        work();
        is_done.store(true, Ordering::Relaxed);
        writer.join().unwrap()
    })
}
