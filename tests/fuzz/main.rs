//! Everything that reads bytes from outside, fed with anything: never a panic, never more memory than the limit, and what can
//! be read is read the same when it is written again.
//!
//! A mutation fuzzer of its own, so that it runs with the stable compiler: `STANDIN_FUZZ_SECONDS` says how long each target
//! runs (2), `STANDIN_FUZZ_SEED` with which numbers it begins (1). A failure prints the input.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "tests; the count has to be seen")]
#![allow(unsafe_code, reason = "an allocator that counts")]

mod corpus;
mod mutate;
mod targets;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use mutate::Mutator;

/// For one target, unless `STANDIN_FUZZ_SECONDS` says otherwise.
const SECONDS: u64 = 2;

thread_local! {
    /// Bytes this thread has now, and had at most since the last reset.
    static MEMORY: Cell<(i64, i64)> = const { Cell::new((0, 0)) };
}

/// Counts what each thread takes.
struct Counting;

fn count(bytes: i64) {
    // A thread that is ending counts no more.
    let _ = MEMORY.try_with(|memory| {
        let (now, most) = memory.get();
        memory.set((now + bytes, most.max(now + bytes)));
    });
}

fn signed(bytes: usize) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

// SAFETY: every call goes to the system's allocator with the same arguments.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(signed(layout.size()));
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        count(-signed(layout.size()));
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(at, layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(signed(size) - signed(layout.size()));
        // SAFETY: as the caller promises.
        unsafe { System.realloc(at, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Runs `target` with mutations of `corpus`; `memory` bytes may be taken, and so many for each byte of the input.
fn fuzz(name: &str, corpus: Vec<Vec<u8>>, (memory, for_each_byte): (usize, usize), target: fn(&[u8])) {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().unwrap());
    let limit = Duration::from_secs(number("STANDIN_FUZZ_SECONDS").unwrap_or(SECONDS));
    let seed = number("STANDIN_FUZZ_SEED").unwrap_or(1);
    let mut mutator = Mutator::new(seed, corpus.clone());
    let until = Instant::now() + limit;
    let (mut runs, mut peak) = (0_u64, 0);
    let mut run = |input: &[u8]| {
        let (before, _) = MEMORY.get();
        MEMORY.set((before, before));
        let outcome = catch_unwind(AssertUnwindSafe(|| target(input)));
        let taken = MEMORY.get().1 - before;
        peak = peak.max(taken);
        let allowed = signed(memory + for_each_byte * input.len());
        let shown = || {
            format!(
                "{} bytes: {}",
                input.len(),
                input.escape_ascii().to_string().chars().take(4_000).collect::<String>()
            )
        };
        assert!(outcome.is_ok(), "{name}: seed {seed}, run {runs}, input of {}", shown());
        assert!(taken <= allowed, "{name}: {taken} bytes of memory, {allowed} allowed, input of {}", shown());
        runs += 1;
    };
    corpus.iter().for_each(|input| run(input));
    while Instant::now() < until {
        run(&mutator.next());
    }
    println!("{name}: {runs} inputs from seed {seed} in {limit:?}, at most {peak} bytes of memory");
}
