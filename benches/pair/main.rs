//! What the pair costs, measured on the real binary: two instances on loopback, in homes that are thrown away. Prints one
//! Markdown table. `cargo bench --bench pair`, with `-- --quick` for few rounds.

#[allow(dead_code, reason = "shared with the other measurement")]
mod clock;
mod edits;
mod figures;
mod idle;
#[allow(dead_code, reason = "shared with the other measurement")]
mod instance;
#[allow(dead_code, reason = "shared with the other measurement")]
mod machine;
mod pair;
mod screen;
mod service;
mod starts;
mod takeover;
mod terminal;

use std::io::{self, Write};
use std::process::ExitCode;

use figures::Row;

/// What a measurement that cannot go on comes to.
type Fail = Box<dyn std::error::Error>;

/// How often everything is done.
#[derive(Clone, Copy)]
struct Rounds {
    edits: usize,
    takeovers: usize,
    starts: usize,
    /// Through all screens and arrows.
    key_tours: usize,
    /// Of an idle pair and of an idle screen, s.
    idle_s: u64,
}

const FULL: Rounds = Rounds { edits: 50, takeovers: 15, starts: 10, key_tours: 3, idle_s: 60 };
const QUICK: Rounds = Rounds { edits: 5, takeovers: 3, starts: 3, key_tours: 1, idle_s: 5 };

/// One group of rows, by the word that selects it on the command line.
type Group = (&'static str, fn(&Rounds) -> Result<Vec<Row>, Fail>);

const GROUPS: [Group; 5] = [
    ("edits", edits::measure),
    ("takeover", takeover::measure),
    ("idle", idle::measure),
    ("starts", starts::measure),
    ("screen", screen::measure),
];

fn main() -> ExitCode {
    // This binary is also the service that tells when it was started, and the way into a terminal of its own.
    let started_ns = clock::now_ns();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let outcome = match arguments.first().map(String::as_str) {
        Some(service::WORD) => service::run(started_ns, &arguments[1..]),
        Some(terminal::WORD) => terminal::become_leader(&arguments[1..]),
        _ => bench(&arguments),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "pair: {error}");
            ExitCode::FAILURE
        }
    }
}

fn bench(arguments: &[String]) -> Result<(), Fail> {
    let has = |word: &str| arguments.iter().any(|argument| argument == word);
    // Cargo gives this word to `cargo bench` alone: a `cargo test --all-targets` measures nothing.
    if !has("--bench") {
        writeln!(io::stderr(), "pair: measures only under: cargo bench --bench pair [-- [--quick] [GROUP…]]")?;
        return Ok(());
    }
    let wanted: Vec<&str> =
        arguments.iter().map(String::as_str).filter(|argument| !argument.starts_with("--")).collect();
    if let Some(unknown) = wanted.iter().find(|word| !GROUPS.iter().any(|(name, _)| name == *word)) {
        return Err(format!("no group '{unknown}'; there are: {}", GROUPS.map(|(name, _)| name).join(", ")).into());
    }
    clock::end_politely()?;
    let rounds = if has("--quick") { QUICK } else { FULL };
    let mut out = io::stdout();
    writeln!(out, "{}", machine::describe()?)?;
    writeln!(out, "{}", Row::HEADER)?;
    for (name, measure) in GROUPS {
        if !wanted.is_empty() && !wanted.contains(&name) {
            continue;
        }
        for row in measure(&rounds).map_err(|error| format!("{name}: {error}"))? {
            writeln!(out, "{row}")?;
        }
    }
    writeln!(
        out,
        "\nLoad at the end: {}. Clean build time: `cargo clean; time cargo build --release`.",
        machine::load()
    )?;
    Ok(())
}
