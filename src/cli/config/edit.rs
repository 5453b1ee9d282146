//! `standin config edit`: a file of the configuration in the operator's editor, on a private copy (spec 5.2).

use std::path::Path;
use std::process::Command;

use clap::Args;

use super::change::{hand_over, make, read};
use crate::cli::arguments::inner_path;
use crate::cli::client::{Client, unexpected};
use crate::cli::home::Context;
use crate::cli::output::{Exit, Failure, Outcome, Output, note};
use crate::engine::base::{Problem, Role};
use crate::engine::history::{Change, Expected, NewFile};
use crate::engine::order::{FileContent, FileEntry, FileKind, Order, Reply};
use crate::files::private_copy::{PrivateCopy, editor};
use crate::mirror::path::RelPath;

/// Mode of a file that is new.
const NEW_MODE: u32 = 0o644;

/// `standin config edit`.
#[derive(Debug, Args)]
pub struct EditArguments {
    /// Relative to the mirrored directory; a file that is not there is made
    #[arg(value_parser = inner_path())]
    pub path: String,
    /// Why, for the history
    #[arg(long, short = 'm', value_name = "TEXT", default_value = "")]
    pub message: String,
}

/// Edits and applies.
///
/// # Errors
/// A file that is no text; an editor that fails; the refusal of the instance, with the place of the copy.
pub fn run(context: &Context, arguments: &EditArguments, out: &mut Output) -> Outcome {
    let mut client = Client::connect(&context.home)?;
    let status = client.status()?;
    if status.role != Some(Role::Master) {
        let why = "this instance is not the master, and mirrors what the master has";
        return Err(Problem::new("Not edited", why, "Edit it on the master.").into());
    }
    let path = arguments.path.as_str();
    if status.configuration.held > 0 {
        not_held_back(&mut client, path)?;
    }
    let (text, mode, expected) = match now(&mut client, path)? {
        Some(file) => {
            let expected = Expected::Content(file.entry.digest);
            (file.text, file.entry.mode, expected)
        }
        None => (String::new(), NEW_MODE, Expected::Nothing),
    };
    let copy = PrivateCopy::new(path, text.as_bytes()).map_err(|error| {
        Problem::new("Not edited", format!("no private copy can be made: {error}"), "Check TMPDIR and free space.")
    })?;
    edit(copy.file())?;
    let edited = read(copy.file())?;
    if edited == text.as_bytes() {
        copy.remove();
        out.line("Nothing was changed.")?;
        return Ok(Exit::Done);
    }
    let kept = |failure: Failure| {
        note(&format!("Your text is kept in {}", copy.file().display()));
        failure
    };
    // The editor may have been open for longer than a connection lives.
    let mut client = Client::connect(&context.home).map_err(kept)?;
    let digest = hand_over(&mut client, edited).map_err(kept)?;
    let file = NewFile { path: path.to_owned(), kind: FileKind::File, mode, digest, expected, owners: None };
    let change = Change::Put { files: vec![file] };
    let exit = make(&mut client, change, arguments.message.clone(), false, out).map_err(kept)?;
    copy.remove();
    Ok(exit)
}

/// What is in the directory is what would be edited. Said before anything is written in an editor, and not after.
fn not_held_back(client: &mut Client, path: &str) -> Result<(), Failure> {
    let Reply::Held(held) = client.order(Order::HeldFiles)? else { return Err(unexpected().into()) };
    let Some(file) = held.into_iter().find(|file| file.path == path) else { return Ok(()) };
    let why = format!("it is held back: {}", file.why);
    let todo = "Correct the file in the directory: it is taken up by itself.";
    Err(Problem::new(format!("{path} cannot be edited"), why, todo).into())
}

/// The file as it is in the newest revision; none: it is not there.
fn now(client: &mut Client, path: &str) -> Result<Option<FileContent>, Failure> {
    let order = Order::ShowFile { path: path.to_owned(), revision: None };
    let file = match client.order(order) {
        Ok(Reply::File(file)) => file,
        Ok(_) => return Err(unexpected().into()),
        Err(problem) => {
            // It may be new, or not be shown for another reason.
            let Reply::Files(files) = client.order(Order::ListFiles)? else { return Err(unexpected().into()) };
            let is_there = files.iter().any(|entry| entry.path == path);
            if is_there {
                return Err(problem.into());
            }
            // Before anything is written in an editor, and not after.
            return new_file(path, &files).map(|()| None).map_err(Failure::from);
        }
    };
    let refused = |why: &str, todo: &str| Problem::new(format!("{path} cannot be edited"), why, todo);
    match file.entry.kind {
        FileKind::File => {}
        FileKind::Directory => return Err(refused("it is a directory", "Name a file in it.").into()),
        FileKind::Link => return Err(refused("it is a link", "Edit the file that it leads to.").into()),
    }
    if !file.is_text || file.is_cut {
        let why = if file.is_text { "it is too large" } else { "it is no text" };
        return Err(refused(why, "Replace it: standin config apply FILE, or copy it into the directory.").into());
    }
    Ok(Some(*file))
}

/// A file of this name may be made.
fn new_file(path: &str, files: &[FileEntry]) -> Result<(), Problem> {
    let refused = |why: String| Problem::new(format!("{path} cannot be edited"), why, "Name it otherwise.");
    let wanted = RelPath::from_text(path).map_err(|why| refused(why.into()))?;
    let parents: Vec<String> =
        std::iter::successors(wanted.parent(), RelPath::parent).map(|parent| parent.to_string()).collect();
    let is_in_the_way = |entry: &&FileEntry| entry.kind != FileKind::Directory && parents.contains(&entry.path);
    match files.iter().find(is_in_the_way) {
        Some(entry) => Err(refused(format!("{} is no directory", entry.path))),
        None => Ok(()),
    }
}

/// Runs the editor to its end, as a shell would: its setting may hold options.
fn edit(file: &Path) -> Result<(), Problem> {
    let editor = editor();
    let script = format!("{editor} \"$@\"");
    let failed = |why: String| {
        let todo = format!("Set VISUAL or EDITOR to an editor. The copy is in {}", file.display());
        Problem::new("Not edited", why, todo)
    };
    let status = Command::new("sh").args(["-c", &script, "editor"]).arg(file).status();
    let status = status.map_err(|error| failed(format!("the editor could not be started: {error}")))?;
    if status.success() { Ok(()) } else { Err(failed(format!("the editor {editor} ended with {status}"))) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::base::Digest;

    /// spec 5.2: what cannot be a path of the configuration is refused before the editor is opened
    #[test]
    fn a_name_is_judged_before_the_text_is_written() {
        let entry = |path: &str, kind| FileEntry {
            path: path.into(),
            kind,
            mode: 0o644,
            size: 1,
            digest: Digest([1; 32]),
            revision: 1,
            owner: String::new(),
        };
        let files = [entry("d", FileKind::Directory), entry("f", FileKind::File)];
        for path in ["new", "d/new", "d/e/new", "g/new"] {
            assert_eq!(new_file(path, &files), Ok(()), "{path}");
        }
        for path in ["../x", "/etc/x", "d/../x", "", "f/x", "f/x/y"] {
            assert!(new_file(path, &files).is_err(), "{path}");
        }
    }
}
