//! The walls of `ARCHITECTURE.md`, kept by reading the sources. Every check is shown to bite on a bad snippet.

mod checks;
mod lexer;
mod sources;

use sources::{Source, product_sources, text_files};

/// No file is longer; see `ARCHITECTURE.md`.
const LINES_MAX: usize = 600;
/// The middle file is shorter.
const LINES_MEDIAN_MAX: usize = 200;
/// Tables are as long as what they list.
const TABLES: [&str; 2] = ["src/engine/alerts/catalogue.rs", "src/engine/settings/table/rows.rs"];

type Check = fn(&Source) -> Vec<String>;

fn keep(check: Check) {
    let broken: Vec<String> = product_sources().iter().flat_map(check).collect();
    assert!(broken.is_empty(), "{} places:\n{}", broken.len(), broken.join("\n"));
}

/// architecture, wall 1
#[test]
fn pure_rooms_read_no_clock_file_socket_or_random_number() {
    keep(checks::purity);
}

/// architecture, wall 1
#[test]
fn the_engine_has_no_floats() {
    keep(checks::floats);
}

/// architecture, wall 2
#[test]
fn rooms_know_only_whom_they_may() {
    keep(checks::acquaintances);
}

/// architecture, walls 2 and 3
#[test]
fn crates_stay_in_their_rooms() {
    keep(checks::crates);
}

/// architecture, Rooms: the one place with SQL
#[test]
fn sql_is_in_the_store_alone() {
    keep(checks::sql);
}

#[test]
fn nothing_panics_by_carelessness() {
    keep(checks::panics);
}

#[test]
fn unsafe_is_in_one_place() {
    keep(checks::unsafe_code);
    let sources = product_sources();
    let with_unsafe = sources.iter().filter(|source| checks::words(&source.code).any(|word| word == "unsafe"));
    let files: Vec<_> = with_unsafe.map(|source| &*source.path).collect();
    assert!(files.len() <= 1, "unsafe in several files: {files:?}");
}

/// A durable home for every piece of knowledge is a file that can be read at once.
#[test]
fn files_are_short() {
    let mut lengths = Vec::new();
    let mut long = Vec::new();
    for (path, text) in text_files().into_iter().filter(|(path, _)| path.ends_with(".rs")) {
        let lines = text.lines().count();
        if lines > LINES_MAX && !TABLES.contains(&&*path) {
            long.push(format!("{path}: {lines} lines, {LINES_MAX} at most"));
        }
        lengths.push(lines);
    }
    assert!(long.is_empty(), "{}", long.join("\n"));
    lengths.sort_unstable();
    let median = lengths[lengths.len() / 2];
    assert!(median < LINES_MEDIAN_MAX, "the middle file has {median} lines");
}

#[test]
fn no_text_names_package_hosts_or_the_machine_it_was_built_on() {
    let machine = checks::paths_of_this_machine();
    let found: Vec<String> =
        text_files().iter().flat_map(|(path, text)| checks::foreign_words(path, text, &machine)).collect();
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn there_is_something_to_read() {
    let sources = product_sources();
    for room in ["cli", "engine", "wire", "node"] {
        assert!(sources.iter().any(|source| source.room == room), "no source of {room}");
    }
    assert!(sources.iter().all(|source| !source.path.ends_with("/tests.rs")), "tests are no product");
}
