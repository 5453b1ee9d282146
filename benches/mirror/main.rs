//! What mirroring costs in trees of 10, 1,000 and 100,000 files, measured on the real binary: two instances on loopback, in
//! homes that are thrown away. Prints one Markdown table. `cargo bench --bench mirror`, with `-- --quick` for few rounds.

#[allow(dead_code, reason = "shared with the other measurement")]
#[path = "../pair/clock.rs"]
mod clock;
#[allow(dead_code, reason = "shared with the other measurement")]
#[path = "../pair/edits.rs"]
mod edits;
#[path = "../pair/figures.rs"]
mod figures;
#[allow(dead_code, reason = "shared with the other measurement")]
#[path = "../pair/instance.rs"]
mod instance;
#[allow(dead_code, reason = "shared with the other measurement")]
#[path = "../pair/machine.rs"]
mod machine;
#[allow(dead_code, reason = "shared with the other measurement")]
#[path = "../pair/pair.rs"]
mod pair;
mod peers;
mod phases;
mod proxy;
mod scan;
#[allow(dead_code, reason = "shared with the other measurement")]
#[path = "../pair/service.rs"]
mod service;
mod sides;
mod trees;

use std::io::{self, Write};
use std::process::ExitCode;

use figures::Row;

/// What a measurement that cannot go on comes to.
type Fail = Box<dyn std::error::Error>;

/// How often everything is done.
#[derive(Clone, Copy)]
struct Rounds {
    edits: usize,
    breaks: usize,
    scans: usize,
    peers: usize,
}

const FULL: Rounds = Rounds { edits: 100, breaks: 20, scans: 5, peers: 20 };
const QUICK: Rounds = Rounds { edits: 10, breaks: 3, scans: 2, peers: 3 };

/// Groups by the word that selects them on the command line, in this order.
const GROUPS: [&str; 8] = ["transfer", "edits", "break", "reconnect", "verify", "history", "scan", "peers"];
/// Beside the ten of the sample.
const SIZES: [usize; 3] = [0, 990, 99_990];
const FILES: &str = "--files=";

fn main() -> ExitCode {
    // This binary is also the service that tells when it was started.
    let started_ns = clock::now_ns();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let outcome = match arguments.first().map(String::as_str) {
        Some(service::WORD) => service::run(started_ns, &arguments[1..]),
        _ => bench(&arguments),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "mirror: {error}");
            ExitCode::FAILURE
        }
    }
}

fn bench(arguments: &[String]) -> Result<(), Fail> {
    let has = |word: &str| arguments.iter().any(|argument| argument == word);
    // Cargo gives this word to `cargo bench` alone: a `cargo test --all-targets` measures nothing.
    if !has("--bench") {
        writeln!(io::stderr(), "mirror: measures only under: cargo bench --bench mirror [-- [--quick] [GROUP…]]")?;
        return Ok(());
    }
    let wanted: Vec<&str> =
        arguments.iter().map(String::as_str).filter(|argument| !argument.starts_with("--")).collect();
    if let Some(unknown) = wanted.iter().find(|word| !GROUPS.contains(word)) {
        return Err(format!("no group '{unknown}'; there are: {}", GROUPS.join(", ")).into());
    }
    clock::end_politely()?;
    let rounds = if has("--quick") { QUICK } else { FULL };
    let sizes = match arguments.iter().find_map(|argument| argument.strip_prefix(FILES)) {
        Some(files) => vec![files.parse()?],
        None => SIZES.to_vec(),
    };
    let is_wanted = |name: &str| wanted.is_empty() || wanted.contains(&name);
    let mut out = io::stdout();
    writeln!(out, "{}", machine::describe()?)?;
    writeln!(out, "{}", Row::HEADER)?;
    for files in sizes {
        let mut tell = |row: Row| -> Result<(), Fail> {
            writeln!(out, "{row}")?;
            Ok(out.flush()?)
        };
        phases::measure(files, rounds, &is_wanted, &mut tell)?;
        if is_wanted("peers") {
            peers::measure(files, rounds.peers, &mut tell)?;
        }
    }
    writeln!(out, "\nLoad at the end: {}.", machine::load())?;
    Ok(())
}
