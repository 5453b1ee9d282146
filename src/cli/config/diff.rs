//! `standin config diff`: two versions, line by line (spec 5.6).

use clap::Args;

use crate::cli::arguments::inner_path;
use crate::cli::client::{Client, unexpected};
use crate::cli::home::Context;
use crate::cli::output::{Exit, Failure, Outcome, Output, Paint, note};
use crate::cli::rooms;
use crate::cli::text::{count, mode};
use crate::engine::history::{DiffBody, DiffReport, DiffSide, FileDiff, Hunk, Sign, Version};
use crate::engine::order::{FileKind, Order, Reply};

const AFTER_HELP: &str = "\
A version is the number of a revision, `directory` (what is in it now), `peer` (what is on the other instance's disk), `newest`
(the newest revision here), or the name of a branch. Exit status 0: equal, 1: different.";

/// `standin config diff`.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub struct DiffArguments {
    /// First version [default: newest]
    #[arg(value_name = "A")]
    pub from: Option<String>,
    /// Second version [default: directory]
    #[arg(value_name = "B")]
    pub to: Option<String>,
    /// Only these files and directories
    #[arg(last = true, value_name = "PATH", value_parser = inner_path())]
    pub paths: Vec<String>,
    /// Show values that look like secrets
    #[arg(long)]
    pub show_secrets: bool,
    /// As JSON
    #[arg(long)]
    pub json: bool,
}

/// Prints what differs.
///
/// # Errors
/// No such version; a path that is none; the other instance cannot be asked.
pub fn run(context: &Context, arguments: &DiffArguments, out: &mut Output) -> Outcome {
    let from = arguments.from.as_deref().map_or(Version::Newest, version);
    let to = arguments.to.as_deref().map_or(Version::Directory, version);
    let (paths, show_secrets) = (arguments.paths.clone(), arguments.show_secrets);
    let report = match Client::connect(&context.home) {
        Ok(mut client) => match client.order(Order::Diff { from, to, paths, show_secrets })? {
            Reply::Diff(report) => *report,
            _ => return Err(unexpected().into()),
        },
        Err(Failure::NotRunning(problem)) => {
            rooms::at_rest(&context.home, problem)?;
            note("No instance runs: this is from the database and the directory.");
            rooms::diff_at_rest(context, from, to, paths, show_secrets)?
        }
        Err(failure) => return Err(failure),
    };
    if arguments.json {
        out.json(&report)?;
    } else {
        print(&report, out)?;
    }
    Ok(if report.files_total == 0 { Exit::Done } else { Exit::No })
}

/// As an operator names it.
fn version(text: &str) -> Version {
    match text {
        "directory" => Version::Directory,
        "peer" => Version::Peer,
        "newest" => Version::Newest,
        _ => text.parse().map_or_else(|_| Version::Branch(text.to_owned()), Version::Revision),
    }
}

/// The whole of it.
///
/// # Errors
/// Those of the output.
pub fn print(report: &DiffReport, out: &mut Output) -> Result<(), Failure> {
    for file in &report.files {
        print_file(file, report, out)?;
    }
    let listed = report.files.len() as u64;
    if report.files_total > listed {
        out.line(&format!("… and {} more; name paths to see them", report.files_total - listed))?;
    }
    Ok(())
}

fn print_file(file: &FileDiff, report: &DiffReport, out: &mut Output) -> Result<(), Failure> {
    let from = file.renamed_from.as_deref().unwrap_or(&file.path);
    out.pieces(&[(&headline(file), Paint::Title)])?;
    if let (Some(old), Some(new)) = (file.old, file.new)
        && old.kind == new.kind
        && old.mode != new.mode
    {
        out.line(&format!("mode {} -> {}", mode(old.mode), mode(new.mode)))?;
    }
    if let Some(words) = file.owner_words() {
        out.line(&words)?;
    }
    let size = |side: Option<DiffSide>| side.map_or(0, |side| side.size);
    match &file.body {
        DiffBody::Same => {}
        DiffBody::Text(hunks) => {
            let name = |side: Option<DiffSide>, path: &str, version: &str| match side {
                Some(_) => format!("{path}\t{version}"),
                None => format!("/dev/null\t{version}"),
            };
            out.tabbed(&format!("--- {}", name(file.old, from, &report.from)), Paint::Title)?;
            out.tabbed(&format!("+++ {}", name(file.new, &file.path, &report.to)), Paint::Title)?;
            hunks.iter().try_for_each(|hunk| print_hunk(hunk, out))?;
        }
        DiffBody::Binary => {
            out.line(&format!("binary, {} -> {}", bytes(size(file.old)), bytes(size(file.new))))?;
        }
        DiffBody::Link { old, new } => {
            let lines = [(Sign::Old, old, Paint::Removed), (Sign::New, new, Paint::Added)];
            for (sign, target, paint) in lines {
                if let Some(target) = target {
                    out.pieces(&[(&format!("{}link to {target}", sign.mark()), paint)])?;
                }
            }
        }
        DiffBody::TooLarge => {
            let (old, new) = (bytes(size(file.old)), bytes(size(file.new)));
            out.line(&format!("too large to compare line by line, {old} -> {new}"))?;
        }
        DiffBody::Missing(why) => out.pieces(&[(&format!("the contents differ: {why}"), Paint::Warning)])?,
        DiffBody::Cut => out.pieces(&[("not shown: the answer was full; name this path alone", Paint::Warning)])?,
    }
    Ok(())
}

fn bytes(number: u64) -> String {
    count(number, "byte", "bytes")
}

/// What became of it, and what it is where that is no file.
fn headline(file: &FileDiff) -> String {
    let kind = |side: DiffSide| match side.kind {
        FileKind::File => "file",
        FileKind::Directory => "directory",
        FileKind::Link => "link",
    };
    match (file.old, file.new, &file.renamed_from) {
        (_, _, Some(from)) => format!("renamed {from} -> {}", file.path),
        (None, Some(new), _) => format!("added {} {} ({})", kind(new), file.path, mode(new.mode)),
        (Some(old), None, _) => format!("removed {} {}", kind(old), file.path),
        (Some(old), Some(new), _) if old.kind != new.kind => {
            format!("changed {}: {} -> {}", file.path, kind(old), kind(new))
        }
        _ => format!("changed {}", file.path),
    }
}

fn print_hunk(hunk: &Hunk, out: &mut Output) -> Result<(), Failure> {
    let Hunk { old_start, old_lines, new_start, new_lines, lines } = hunk;
    let span = |start: u64, count: u64| if count == 1 { start.to_string() } else { format!("{start},{count}") };
    let (old, new) = (span(*old_start, *old_lines), span(*new_start, *new_lines));
    out.pieces(&[(&format!("@@ -{old} +{new} @@"), Paint::Place)])?;
    for line in lines {
        let paint = match line.sign {
            Sign::Both => Paint::Plain,
            Sign::Old => Paint::Removed,
            Sign::New => Paint::Added,
        };
        // The end of a line in the manner of Windows is no part of what is seen.
        let text = line.text.strip_suffix('\r').unwrap_or(&line.text);
        out.tabbed(&format!("{}{text}", line.sign.mark()), paint)?;
        if line.no_newline {
            out.line("\\ No newline at end of file")?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::output::testing::output;
    use crate::engine::history::DiffLine;

    fn side(mode: u32, size: u64) -> Option<DiffSide> {
        Some(DiffSide { kind: FileKind::File, mode, size })
    }

    fn file(path: &str, old: Option<DiffSide>, new: Option<DiffSide>, body: DiffBody) -> FileDiff {
        FileDiff { path: path.into(), renamed_from: None, old, new, body, owners: None }
    }

    fn told(files: Vec<FileDiff>, files_total: u64) -> String {
        let report = DiffReport { from: "revision 3".into(), to: "directory".into(), files, files_total };
        let (mut out, written) = output();
        print(&report, &mut out).unwrap();
        written.text()
    }

    /// spec 5.6: unified, each file named with what became of it; what is no text is told in words.
    #[test]
    fn files_are_told_as_every_diff_tells_them() {
        let line = |sign, text: &str, no_newline| DiffLine { sign, text: text.into(), masked: false, no_newline };
        let hunk = Hunk {
            old_start: 1,
            old_lines: 2,
            new_start: 1,
            new_lines: 1,
            lines: vec![
                line(Sign::Both, "a:\tb", false),
                line(Sign::Old, "c\x1b: 1\r", false),
                line(Sign::New, "c: 2", true),
            ],
        };
        let text = told(vec![file("x.yaml", side(0o644, 3), side(0o600, 9), DiffBody::Text(vec![hunk]))], 1);
        assert_eq!(
            text,
            "changed x.yaml\nmode rw-r--r-- -> rw-------\n--- x.yaml\trevision 3\n+++ x.yaml\tdirectory\n\
             @@ -1,2 +1 @@\n a:\tb\n-c?: 1\n+c: 2\n\\ No newline at end of file\n"
        );
        let binary = told(vec![file("k", side(0o600, 1), side(0o600, 20), DiffBody::Binary)], 3);
        assert_eq!(binary, "changed k\nbinary, 1 byte -> 20 bytes\n… and 2 more; name paths to see them\n");
        let renamed = FileDiff {
            renamed_from: Some("old".into()),
            ..file("new", side(0o600, 1), side(0o600, 1), DiffBody::Same)
        };
        let gone = file("g", side(0o600, 1), None, DiffBody::Missing("its content was forgotten".into()));
        assert_eq!(
            told(vec![renamed, gone], 2),
            "renamed old -> new\nremoved file g\nthe contents differ: its content was forgotten\n"
        );
    }

    #[test]
    fn versions_are_numbers_words_or_branches() {
        assert_eq!(version("12"), Version::Revision(12));
        assert_eq!(version("directory"), Version::Directory);
        assert_eq!(version("peer"), Version::Peer);
        assert_eq!(version("newest"), Version::Newest);
        assert_eq!(version("diverged-term-1-rev-12"), Version::Branch("diverged-term-1-rev-12".into()));
    }
}
