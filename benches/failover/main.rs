//! From a fault to the service's first instruction on the other side, split into what the settings ask for and Standin's
//! own: two real instances on two hosts (network namespaces, so root is needed), in homes that are thrown away.
//! `cargo bench --bench failover`, with `-- --quick` for few rounds.

#[allow(dead_code, reason = "shared with the other measurement")]
#[path = "../pair/clock.rs"]
mod clock;
mod fault;
#[allow(dead_code, reason = "shared with the other measurement")]
#[path = "../pair/figures.rs"]
mod figures;
#[allow(dead_code, reason = "shared with the other measurement")]
#[path = "../pair/instance.rs"]
mod instance;
mod load;
#[allow(dead_code, reason = "shared with the other measurement")]
#[path = "../pair/machine.rs"]
mod machine;
mod network;
#[allow(dead_code, reason = "shared with the other measurement")]
#[path = "../pair/pair.rs"]
mod pair;
mod peers;
#[path = "../pair/service.rs"]
mod service;

use std::fs;
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use fault::{Fault, Round, Timing};
use figures::Samples;
use instance::Instance;
use network::Network;
use pair::Pair;
use standin::engine::base::LinkState;
use standin::engine::status::Status;

/// What a measurement that cannot go on comes to.
type Fail = Box<dyn std::error::Error>;

const ROUNDS: usize = 30;
const ROUNDS_QUICK: usize = 3;
/// Detection of 300 ms.
const USUAL: Timing = Timing { interval_ms: 100, request_ms: 100, delay_ms: 100 };
/// Nothing is waited for that need not be.
const AT_ONCE: Timing = Timing { interval_ms: 1_000, request_ms: 1_000, delay_ms: 0 };

/// The least that the settings allow: a detection of 30 ms.
const LEAST: Timing = Timing { interval_ms: 10, request_ms: 10, delay_ms: 10 };

/// Groups by the word that selects them on the command line.
const GROUPS: [(&str, &[(Fault, Timing)]); 6] = [
    ("kill", &[(Fault::Kill, AT_ONCE), (Fault::Kill, USUAL)]),
    ("stop", &[(Fault::Stop, USUAL)]),
    ("cut", &[(Fault::Cut, USUAL)]),
    ("switch", &[(Fault::Switch, USUAL)]),
    ("planned-stop", &[(Fault::PlannedStop, USUAL)]),
    ("least", &[(Fault::Kill, LEAST), (Fault::Stop, LEAST), (Fault::Cut, LEAST)]),
];
const PEERS: &str = "peers";
/// Only where it is named: it takes as many minutes as `--minutes=N` says.
const LOAD: &str = "load";
const MINUTES: &str = "--minutes=";
const MINUTES_USUAL: u64 = 60;
const LOOPS: &str = "--loops=";
/// So many more files in the mirrored directory.
const FILES: &str = "--files=";
const FILES_PER_DIRECTORY: usize = 100;
/// Until a former master is a READY shadow; long, for a tree of many files.
const SETTLE_LIMIT: Duration = Duration::from_secs(300);
const SETTLE_LOOK: Duration = Duration::from_millis(20);

const HEADER: &str = "| fault | setting | n | total p50 | total p95 | total max | own p50 | own p90 | own p95 | own max |\n\
                      | --- | --- | --: | --: | --: | --: | --: | --: | --: | --: |";

fn main() -> ExitCode {
    // This binary is also the service that tells when it was started, and what keepalived calls.
    let started_ns = clock::now_ns();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let outcome = match arguments.first().map(String::as_str) {
        Some(service::WORD) => service::run(started_ns, &arguments[1..]),
        Some(load::SPIN) => load::spin(),
        Some(peers::STAMP) => peers::stamp(started_ns, &arguments[1..]),
        _ => bench(&arguments),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "failover: {error}");
            ExitCode::FAILURE
        }
    }
}

fn bench(arguments: &[String]) -> Result<(), Fail> {
    let has = |word: &str| arguments.iter().any(|argument| argument == word);
    // Cargo gives this word to `cargo bench` alone: a `cargo test --all-targets` measures nothing.
    if !has("--bench") {
        writeln!(io::stderr(), "failover: measures only under: cargo bench --bench failover [-- [--quick] [GROUP…]]")?;
        return Ok(());
    }
    let wanted: Vec<&str> =
        arguments.iter().map(String::as_str).filter(|argument| !argument.starts_with("--")).collect();
    let names = || GROUPS.iter().map(|(name, _)| *name).chain([PEERS, LOAD]);
    if let Some(unknown) = wanted.iter().find(|word| !names().any(|name| name == **word)) {
        return Err(format!("no group '{unknown}'; there are: {}", names().collect::<Vec<_>>().join(", ")).into());
    }
    clock::end_politely()?;
    let rounds = if has("--quick") { ROUNDS_QUICK } else { ROUNDS };
    let mut out = io::stdout();
    writeln!(out, "{}", machine::describe()?)?;
    if wanted == [LOAD] {
        let minutes = arguments.iter().find_map(|argument| argument.strip_prefix(MINUTES));
        let minutes = minutes.map_or(Ok(MINUTES_USUAL), str::parse)?;
        let loops = arguments.iter().find_map(|argument| argument.strip_prefix(LOOPS));
        let loops = loops.map_or(Ok(load::LOOPS_USUAL), str::parse)?;
        writeln!(out, "{}", load::measure(minutes, loops)?)?;
        return Ok(());
    }
    let files = arguments.iter().find_map(|argument| argument.strip_prefix(FILES)).map_or(Ok(0), str::parse)?;
    writeln!(out, "{HEADER}")?;
    let is_wanted = |name: &str| wanted.is_empty() || wanted.contains(&name);
    for (name, faults) in GROUPS.iter().filter(|(name, _)| is_wanted(name)) {
        for (fault, timing) in *faults {
            let row = measure(*fault, *timing, rounds, files).map_err(|error| format!("{name}: {error}"))?;
            writeln!(out, "{row}")?;
            out.flush()?;
        }
    }
    let folder = machine::folder()?;
    let bare = service::bare_starts(folder.path(), rounds)?;
    writeln!(
        out,
        "| start of the same service without Standin | | {} | {:.2} | {:.2} | {:.2} | | | | |",
        bare.count(),
        bare.median(),
        bare.percentile(95),
        bare.max()
    )?;
    if is_wanted(PEERS) {
        peers::measure(rounds, &mut out)?;
    }
    writeln!(out, "\nAll in ms; own: beyond what the settings ask for. Load at the end: {}.", machine::load())?;
    Ok(())
}

/// One row.
fn measure(fault: Fault, timing: Timing, rounds: usize, files: usize) -> Result<String, Fail> {
    let (mut total, mut own, mut early) = (Vec::new(), Vec::new(), 0);
    let network = Network::new("pair")?;
    let folder = machine::folder()?;
    let a = Instance::on_host(folder.path(), "a", &network.left, Network::LEFT)?;
    let b = Instance::on_host(folder.path(), "b", &network.right, Network::RIGHT)?;
    fill(&a.directory, files)?;
    let more = timing.arguments();
    let mut pair = Pair::of(folder, a, b, &more.iter().map(String::as_str).collect::<Vec<_>>())?;
    for number in 0..rounds {
        let is_a = settled_either(&pair)?;
        let (active, other, namespace) =
            if is_a { (&mut pair.a, &mut pair.b, &network.left) } else { (&mut pair.b, &mut pair.a, &network.right) };
        if number > 0 && fault.is_takeover() {
            // Takeovers in quick succession would wait longer and longer (spec 7.15).
            other.ok(&["ha", "resume"])?;
        }
        match fault.measure(&network, namespace, active, other, timing, number)? {
            Round::Measured(sample) => {
                total.push(sample.total_ms);
                own.push(sample.total_ms - sample.configured_ms);
            }
            Round::Early { is_done } => {
                early += 1;
                if !is_done {
                    continue;
                }
            }
        }
        fault.undo(&network, namespace, active)?;
    }
    if total.is_empty() {
        return Err(format!("each of {early} times the other side took over before the fault").into());
    }
    let (total, own) = (Samples::new(total), Samples::new(own));
    let early = if early == 0 { String::new() } else { format!("; {early} times taken over before the fault") };
    let files = if files == 0 { String::new() } else { format!("; {files} files") };
    Ok(row(fault.word(), &format!("{}{files}{early}", timing.text()), &total, Some(&own)))
}

/// So many small files, a hundred to a directory.
fn fill(directory: &Path, files: usize) -> Result<(), Fail> {
    for number in 0..files {
        let folder = directory.join(format!("many/{:04}", number / FILES_PER_DIRECTORY));
        if number % FILES_PER_DIRECTORY == 0 {
            fs::create_dir_all(&folder)?;
        }
        fs::write(folder.join(format!("{number}.conf")), format!("number: {number}\n"))?;
    }
    Ok(())
}

/// Waits until one of the two is active and the other its READY shadow; whether it is `a` that is active.
fn settled_either(pair: &Pair) -> Result<bool, Fail> {
    clock::until_by("one is active, the other its READY shadow", SETTLE_LIMIT, SETTLE_LOOK, || {
        let (Some(a), Some(b)) = (pair.a.status()?, pair.b.status()?) else { return Ok(None) };
        let fits = |master: &Status, shadow: &Status| {
            master.active
                && master.state == Some(LinkState::Connected)
                && master.peer.as_ref().is_some_and(|peer| peer.in_sync)
                && master.service.state == "running"
                && shadow.state == Some(LinkState::Ready)
                && shadow.configuration.root == master.configuration.root
                && shadow.takeover.why_not.is_none()
        };
        Ok(if fits(&a, &b) { Some(true) } else { fits(&b, &a).then_some(false) })
    })
}

fn row(what: &str, setting: &str, total: &Samples, own: Option<&Samples>) -> String {
    let own = own.map_or_else(
        || " | | | |".to_owned(),
        |own| {
            let [p50, p90, p95, max] = [50, 90, 95, 100].map(|percent| own.percentile(percent));
            format!(" {p50:.2} | {p90:.2} | {p95:.2} | {max:.2} |")
        },
    );
    let (p50, p95, max) = (total.median(), total.percentile(95), total.max());
    format!("| {what} | {setting} | {} | {p50:.1} | {p95:.1} | {max:.1} |{own}", total.count())
}
