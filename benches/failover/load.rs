//! Not one false takeover on a machine that has far too much to do.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use standin::engine::base::{LinkState, Role};
use standin::engine::event::EventKind;

use crate::fault::Timing;
use crate::figures::Samples;
use crate::instance::Instance;
use crate::network::Network;
use crate::pair::{Pair, settled};
use crate::{Fail, clock, machine};

/// First argument that makes this binary a busy loop.
pub const SPIN: &str = "spin";
/// Busy loops where `--loops=N` says nothing.
pub const LOOPS_USUAL: usize = 8;
const TIMING: Timing = Timing { interval_ms: 100, request_ms: 1_000, delay_ms: 500 };
/// Between two looks at the pair.
const LOOK: Duration = Duration::from_secs(1);

/// Until it is killed.
pub fn spin() -> Result<(), Fail> {
    loop {
        std::hint::spin_loop();
    }
}

/// Mean number of processes that wanted a processor over the last minute.
fn load_of_a_minute() -> Result<f64, Fail> {
    Ok(machine::load().split(' ').next().unwrap_or_default().parse()?)
}

struct Loops(Vec<Child>);

impl Drop for Loops {
    fn drop(&mut self) {
        for child in &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// A sentence on `minutes` under the load of so many busy loops, and of whatever else the machine does.
pub fn measure(minutes: u64, count: usize) -> Result<String, Fail> {
    let network = Network::new("load")?;
    let folder = machine::folder()?;
    let a = Instance::on_host(folder.path(), "a", &network.left, Network::LEFT)?;
    let b = Instance::on_host(folder.path(), "b", &network.right, Network::RIGHT)?;
    let more = TIMING.arguments();
    let pair = Pair::of(folder, a, b, &more.iter().map(String::as_str).collect::<Vec<_>>())?;
    let term = settled(&pair.a, &pair.b)?.term;
    let mut loops = Loops(Vec::new());
    for _ in 0..count {
        loops.0.push(Command::new(machine::own_program()?).arg(SPIN).stdin(Stdio::null()).spawn()?);
    }
    let end = Instant::now() + Duration::from_secs(minutes * 60);
    let mut last_event = pair.b.events(0)?.last().map_or(0, |event| event.id);
    let (mut looks, mut lost, mut slowest_ms) = (0_u64, 0_u64, 0.0_f64);
    let mut loads = Vec::new();
    while Instant::now() < end {
        clock::pass(LOOK)?;
        let shadow = pair.b.status()?.ok_or("the shadow does not answer")?;
        // Every one is an event, however short it was.
        for event in pair.b.events(last_event)? {
            last_event = last_event.max(event.id);
            lost += u64::from(event.kind == EventKind::Link && event.text.starts_with(LinkState::Lost.word()));
        }
        looks += 1;
        loads.push(load_of_a_minute()?);
        slowest_ms = slowest_ms.max(shadow.peer.as_ref().and_then(|peer| peer.round_trip_ms).unwrap_or(0.0));
        if shadow.role != Some(Role::Shadow) || shadow.term != term {
            return Err(format!("a false takeover after {looks} looks, load {}", machine::load()).into());
        }
    }
    let load = Samples::new(loads);
    drop(loops);
    settled(&pair.a, &pair.b)?;
    Ok(format!(
        "{minutes} min of {}, with {count} busy loops (load p50 {:.1}, at most {:.1}): no false takeover, {lost} times LOST by its \
         events, slowest answer to a check seen {slowest_ms:.0} ms.",
        TIMING.text(),
        load.median(),
        load.percentile(100)
    ))
}
