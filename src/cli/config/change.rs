//! `standin config restore|apply|forget`: changes of the configuration and of its history, on the master.

use std::collections::BTreeMap;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use clap::Args;

use crate::cli::arguments::inner_path;
use crate::cli::client::{Client, unexpected};
use crate::cli::home::Context;
use crate::cli::output::{Exit, Failure, Outcome, Output, Paint};
use crate::cli::text::count;
use crate::engine::base::{Digest, Problem};
use crate::engine::history::{
    APPLIED_FILE_MAX_BYTES, Became, Change, ChangeReport, Expected, FileBytes, ForgetReport, NewFile, Overtaken,
    PATHS_MAX,
};
use crate::engine::order::{FileKind, Order, Reply};

/// Directories inside each other that are walked.
const DEPTH_MAX: usize = 64;
/// Mode of a link, which file systems do not keep.
const LINK_MODE: u32 = 0o777;

/// `standin config restore`.
#[derive(Debug, Args)]
pub struct RestoreArguments {
    /// Number of the revision, as `config log` tells it
    #[arg(value_name = "N")]
    pub revision: u64,
    /// Only these files and directories; one that was not there then is removed
    #[arg(value_name = "PATH", value_parser = inner_path())]
    pub paths: Vec<String>,
    /// Why, for the history
    #[arg(long, short = 'm', value_name = "TEXT")]
    pub message: Option<String>,
    /// Only say what would change
    #[arg(long)]
    pub dry_run: bool,
}

/// `standin config apply`.
#[derive(Debug, Args)]
pub struct ApplyArguments {
    /// Files, or directories whose contents are taken
    #[arg(value_name = "FILE|DIR", required = true)]
    pub sources: Vec<PathBuf>,
    /// Directory inside the mirrored one to put them in [default: the mirrored one itself]
    #[arg(long, value_name = "PATH", value_parser = inner_path())]
    pub to: Option<String>,
    /// Why, for the history
    #[arg(long, short = 'm', value_name = "TEXT", default_value = "")]
    pub message: String,
    /// Only say what would change
    #[arg(long)]
    pub dry_run: bool,
}

/// `standin config forget`.
#[derive(Debug, Args)]
pub struct ForgetArguments {
    /// File or directory, relative to the mirrored one
    #[arg(value_parser = inner_path())]
    pub path: String,
    /// It is still in the newest revision: keep its newest content, forget all older ones
    #[arg(long)]
    pub history_only: bool,
}

/// Restores a revision, or paths of it.
///
/// # Errors
/// The refusal of the instance.
pub fn restore(context: &Context, arguments: &RestoreArguments, out: &mut Output) -> Outcome {
    let RestoreArguments { revision, paths, message, dry_run } = arguments;
    let message = message.clone().unwrap_or_else(|| format!("restore of revision {revision}"));
    let change = Change::Restore { revision: *revision, paths: paths.clone() };
    make(&mut Client::connect(&context.home)?, change, message, *dry_run, out)
}

/// Copies files into the configuration as one revision.
///
/// # Errors
/// A file that cannot be read; the refusal of the instance.
pub fn apply(context: &Context, arguments: &ApplyArguments, out: &mut Output) -> Outcome {
    let found = sources(&arguments.sources, arguments.to.as_deref())?;
    let mut client = Client::connect(&context.home)?;
    let mut files = Vec::new();
    for (path, source) in found {
        let Source { kind, mode, from } = source;
        let digest = match kind {
            FileKind::Directory => Digest::ZERO,
            FileKind::File => hand_over(&mut client, read(&from)?)?,
            FileKind::Link => {
                let target = std::fs::read_link(&from).map_err(|error| unreadable(&from, &error))?;
                hand_over(&mut client, target.as_os_str().as_bytes().to_vec())?
            }
        };
        files.push(NewFile { path, kind, mode, digest, expected: Expected::Any, owners: None });
    }
    make(&mut client, Change::Put { files }, arguments.message.clone(), arguments.dry_run, out)
}

/// Removes contents from the history of both; exit status 1: something had to stay.
///
/// # Errors
/// The refusal of the instance.
pub fn forget(context: &Context, arguments: &ForgetArguments, out: &mut Output) -> Outcome {
    let ForgetArguments { path, history_only } = arguments;
    let order = Order::Forget { path: path.clone(), history_only: *history_only };
    let Reply::Forgotten(report) = Client::connect(&context.home)?.order(order)? else {
        return Err(unexpected().into());
    };
    forgotten(&report, path, *history_only, out)
}

fn forgotten(report: &ForgetReport, path: &str, history_only: bool, out: &mut Output) -> Outcome {
    let contents = count(report.contents, "content", "contents");
    out.line(&format!("{contents} of {path} removed from the history here."))?;
    for other in &report.also_at {
        out.line(&format!("Older revisions had the same content at {other}: it is gone there too."))?;
    }
    if history_only {
        out.line("What the newest revision has there was kept.")?;
    }
    for other in &report.kept_by {
        let told = format!("NOT forgotten: the newest revision has the same content at {other}");
        out.pieces(&[(&told, Paint::Warning)])?;
    }
    match &report.peer {
        Some(peer) => out.line(&format!("The other instance: {peer}."))?,
        None => out.line("There is no other instance.")?,
    }
    if report.kept_by.is_empty() {
        return Ok(Exit::Done);
    }
    let todo =
        "Change or remove the files named above, then give the order again: what they have is still in both histories.";
    out.pieces(&[(todo, Paint::Warning)])?;
    Ok(Exit::No)
}

/// Gives the order and tells what came of it.
///
/// # Errors
/// The refusal of the instance.
pub fn make(client: &mut Client, change: Change, message: String, dry_run: bool, out: &mut Output) -> Outcome {
    match client.order(Order::Change { change, message, dry_run })? {
        Reply::Changed(report) => told(&report, out),
        _ => Err(unexpected().into()),
    }
}

fn told(report: &ChangeReport, out: &mut Output) -> Outcome {
    for change in &report.changes {
        let paint = match change.what {
            Became::Added => Paint::Added,
            Became::Removed => Paint::Removed,
            Became::Changed | Became::Mode | Became::Owner => Paint::Plain,
        };
        out.pieces(&[(&format!("{:<8}", change.what.word()), paint), (&change.path, Paint::Plain)])?;
    }
    let listed = report.changes.len() as u64;
    if report.total > listed {
        out.line(&format!("… and {} more", report.total - listed))?;
    }
    for conflict in &report.conflicts {
        out.pieces(&[
            (&format!("conflict {}", conflict.path), Paint::Warning),
            (&format!(": {}", conflict.why), Paint::Plain),
        ])?;
    }
    let listed = report.conflicts.len() as u64;
    if report.conflicts_total > listed {
        out.line(&format!("… and {} more conflicts", report.conflicts_total - listed))?;
    }
    let paths = count(report.total, "path", "paths");
    match (report.revision, report.dry_run) {
        _ if report.total == 0 && report.conflicts_total > 0 => out.line("Nothing was changed.")?,
        _ if report.total == 0 => out.line("Nothing to change: it is so already.")?,
        (_, true) => out.line(&format!("{paths} would change; nothing was changed."))?,
        // What was held back gave way to what the newest revision has there.
        (None, _) => out.line(&format!("{paths} put back; what was there is kept as a drift: config branches."))?,
        (Some(revision), _) => out.line(&format!("Revision {}: {paths} changed.", revision.number))?,
    }
    if let Some(overtaken) = &report.overtaken {
        tell_overtaken(overtaken, out)?;
    }
    if report.conflicts_total == 0 {
        return Ok(Exit::Done);
    }
    let conflicts = count(report.conflicts_total, "path stays as it is", "paths stay as they are");
    out.line(&format!(
        "{conflicts}. Look: config branches diff; have its bytes: config branches show BRANCH PATH; take the branch's: --theirs PATH"
    ))?;
    Ok(Exit::No)
}

/// What somebody else wrote at the same moment is not in the directory any more, and not lost.
fn tell_overtaken(overtaken: &Overtaken, out: &mut Output) -> Outcome {
    let Overtaken { kept_as, paths, total } = overtaken;
    let listed = paths.len() as u64;
    let more = if *total > listed { format!(" … and {} more", total - listed) } else { String::new() };
    let what = count(*total, "path was", "paths were");
    let named = paths.join(", ");
    out.pieces(&[(&format!("{what} changed in the directory meanwhile: {named}{more}"), Paint::Warning)])?;
    match kept_as {
        Some(branch) => out.line(&format!(
            "What was found there is kept as {branch}. Look: config branches diff {branch}; bring it in: config reapply {branch}"
        ))?,
        None => out.line("What was found there is kept beside its place, as .standin-kept-NAME.")?,
    }
    Ok(Exit::Done)
}

/// Hands a content over to the instance.
///
/// # Errors
/// That it does not take it.
pub fn hand_over(client: &mut Client, bytes: Vec<u8>) -> Result<Digest, Failure> {
    match client.order(Order::KeepContent { bytes: FileBytes(bytes) })? {
        Reply::Kept(digest) => Ok(digest),
        _ => Err(unexpected().into()),
    }
}

/// Where something comes from.
#[derive(Debug)]
struct Source {
    kind: FileKind,
    mode: u32,
    from: PathBuf,
}

/// What the arguments name, by the path that it will have.
fn sources(named: &[PathBuf], to: Option<&str>) -> Result<BTreeMap<String, Source>, Failure> {
    let mut found = BTreeMap::new();
    let to = to.map(|to| to.trim_end_matches('/')).filter(|to| !to.is_empty() && *to != ".");
    for from in named {
        // What a link leads to is meant where it is named itself.
        let about = std::fs::metadata(from).map_err(|error| unreadable(from, &error))?;
        if about.is_dir() {
            walk(from, to, 0, &mut found)?;
        } else {
            let name = from.file_name().ok_or_else(|| Problem::new("Nothing was applied", "a file has no name", ""))?;
            take(from, &inside(to, name.as_bytes()), &about, &mut found)?;
        }
    }
    Ok(found)
}

fn walk(directory: &Path, to: Option<&str>, depth: usize, found: &mut BTreeMap<String, Source>) -> Result<(), Failure> {
    if depth > DEPTH_MAX {
        let why = format!("{} has more than {DEPTH_MAX} directories inside each other", directory.display());
        return Err(Problem::new("Nothing was applied", why, "Name a smaller directory.").into());
    }
    for entry in std::fs::read_dir(directory).map_err(|error| unreadable(directory, &error))? {
        let from = entry.map_err(|error| unreadable(directory, &error))?.path();
        let about = std::fs::symlink_metadata(&from).map_err(|error| unreadable(&from, &error))?;
        let path = inside(to, from.file_name().unwrap_or_default().as_bytes());
        take(&from, &path, &about, found)?;
        if about.is_dir() {
            walk(&from, Some(&path), depth + 1, found)?;
        }
    }
    Ok(())
}

/// A path inside the mirrored directory, as it is shown: lossless.
fn inside(to: Option<&str>, name: &[u8]) -> String {
    let name = crate::mirror::path::shown(name);
    to.map_or_else(|| name.clone(), |to| format!("{to}/{name}"))
}

fn take(
    from: &Path,
    path: &str,
    about: &std::fs::Metadata,
    found: &mut BTreeMap<String, Source>,
) -> Result<(), Failure> {
    let refused = |why: String, todo: &str| Err(Problem::new("Nothing was applied", why, todo).into());
    let mode = about.permissions().mode() & 0o7777;
    let (kind, mode) = match about.file_type() {
        kind if kind.is_dir() => (FileKind::Directory, mode),
        kind if kind.is_symlink() => (FileKind::Link, LINK_MODE),
        kind if kind.is_file() => (FileKind::File, mode),
        _ => {
            let why = format!("{} is neither file, directory nor link", from.display());
            return refused(why, "Leave it out: nothing else is mirrored.");
        }
    };
    if kind == FileKind::File && about.len() > APPLIED_FILE_MAX_BYTES {
        let why = format!("{} has {} bytes, at most {APPLIED_FILE_MAX_BYTES} go this way", from.display(), about.len());
        return refused(why, "Copy it into the mirrored directory: it becomes a revision by itself.");
    }
    let source = Source { kind, mode, from: from.to_owned() };
    if let Some(other) = found.insert(path.to_owned(), source)
        && kind != FileKind::Directory
    {
        let why = format!("{} and {} would both become {path}", other.from.display(), from.display());
        return refused(why, "Apply them one after the other, or name the directory they are in.");
    }
    if found.len() > PATHS_MAX {
        return refused(format!("there are more than {PATHS_MAX} files"), "Copy them into the mirrored directory.");
    }
    Ok(())
}

/// A whole file.
///
/// # Errors
/// Why it cannot be read.
pub fn read(path: &Path) -> Result<Vec<u8>, Problem> {
    std::fs::read(path).map_err(|error| unreadable(path, &error))
}

fn unreadable(path: &Path, error: &std::io::Error) -> Problem {
    Problem::new(
        format!("{} cannot be read", path.display()),
        error.to_string(),
        "Check the path and its permissions; nothing was applied.",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::output::testing::output;
    use crate::engine::base::{RevisionId, Term};
    use crate::engine::history::{PathChange, PathConflict};

    /// spec 5.6: what had to stay is told with what to do, and is no success; other names that lost the content are named.
    #[test]
    fn what_was_not_forgotten_is_no_success() {
        let report = |kept_by: &[&str]| ForgetReport {
            contents: 1,
            kept_by: kept_by.iter().map(|path| (*path).to_owned()).collect(),
            also_at: vec!["old.yaml".into()],
            peer: None,
        };
        let (mut out, written) = output();
        assert_eq!(forgotten(&report(&[]), "s.yaml", false, &mut out).unwrap(), Exit::Done);
        assert!(written.text().contains("old.yaml: it is gone there too"), "{}", written.text());
        let (mut out, written) = output();
        assert_eq!(forgotten(&report(&["copy.yaml"]), "s.yaml", false, &mut out).unwrap(), Exit::No);
        let text = written.text();
        assert!(text.contains("NOT forgotten") && text.contains("copy.yaml") && text.contains("again"), "{text}");
    }

    /// interfaces: a file goes by its name, a directory's contents by theirs, all below `--to`.
    #[test]
    fn sources_are_named_as_they_will_be() {
        let home = tempfile::tempdir().unwrap();
        let at = |name: &str| home.path().join(name);
        std::fs::create_dir_all(at("tree/deep")).unwrap();
        std::fs::write(at("tree/deep/x.yaml"), "1").unwrap();
        std::fs::write(at("tree/a b"), "1").unwrap();
        std::os::unix::fs::symlink("a b", at("tree/link")).unwrap();
        std::fs::write(at("single"), "1").unwrap();
        let names = |sources: &BTreeMap<String, Source>| sources.keys().cloned().collect::<Vec<_>>();
        let found = sources(&[at("tree"), at("single")], None).unwrap();
        assert_eq!(names(&found), ["a b", "deep", "deep/x.yaml", "link", "single"]);
        assert_eq!((found["link"].kind, found["deep"].kind), (FileKind::Link, FileKind::Directory));
        assert_eq!(names(&sources(&[at("single")], Some("sub/dir/")).unwrap()), ["sub/dir/single"]);
        std::fs::write(at("tree/single"), "2").unwrap();
        let clash = sources(&[at("tree"), at("single")], None).unwrap_err();
        assert!(clash.problem().unwrap().why.contains("both become single"));
        assert!(sources(&[at("missing")], None).is_err());
        assert!(sources(&[PathBuf::from("/dev/null")], None).is_err());
    }

    fn report(total: u64, dry_run: bool) -> ChangeReport {
        let what = |what, path: &str| PathChange { path: path.into(), what };
        ChangeReport {
            revision: (!dry_run && total > 0).then_some(RevisionId { number: 9, term: Term(1), root: Digest::ZERO }),
            dry_run,
            changes: vec![what(Became::Added, "a"), what(Became::Mode, "b")],
            total,
            conflicts: Vec::new(),
            conflicts_total: 0,
            overtaken: None,
        }
    }

    /// spec 5.6: what was changed is said, and what a dry run would change.
    #[test]
    fn what_changed_is_told() {
        let text = |report: &ChangeReport| {
            let (mut out, written) = output();
            told(report, &mut out).unwrap();
            written.text()
        };
        assert_eq!(text(&report(5, false)), "added   a\nmode    b\n… and 3 more\nRevision 9: 5 paths changed.\n");
        assert!(text(&report(2, true)).ends_with("2 paths would change; nothing was changed.\n"));
        assert!(text(&ChangeReport { changes: vec![], ..report(0, false) }).starts_with("Nothing to change"));
        let conflicts = vec![PathConflict { path: "c".into(), why: "it was changed since".into() }];
        let text = text(&ChangeReport { conflicts, conflicts_total: 1, ..report(2, false) });
        assert!(text.contains("conflict c: it was changed since\nRevision 9"), "{text}");
    }
}
