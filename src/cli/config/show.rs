//! `standin config show`: the bytes of one file.

use std::io::Read;
use std::path::Path;

use sha2::{Digest as _, Sha256};

use super::ShowArguments;
use crate::cli::client::{Client, unexpected};
use crate::cli::home::Context;
use crate::cli::output::{Exit, Failure, Outcome, Output, note};
use crate::cli::rooms;
use crate::engine::base::{Digest, Problem};
use crate::engine::order::{FileContent, Order, Reply, SHOWN_FILE_MAX_BYTES};

/// Read at once.
const PIECE_BYTES: usize = 64 * 1024;

/// Writes the file to standard output.
///
/// # Errors
/// No such file or revision; bytes that the instance cannot hand out.
pub fn run(context: &Context, arguments: &ShowArguments, out: &mut Output) -> Outcome {
    let (content, directory) = match Client::connect(&context.home) {
        Ok(mut client) => {
            let order = Order::ShowFile { path: arguments.path.clone(), revision: arguments.revision };
            let Reply::File(content) = client.order(order)? else { return Err(unexpected().into()) };
            let needs_disk = !content.is_text || content.is_cut;
            let directory = if needs_disk { Some(client.status()?.configuration.directory) } else { None };
            (*content, directory)
        }
        Err(Failure::NotRunning(problem)) => {
            let file = rooms::file_at_rest(&context.home, &arguments.path, arguments.revision);
            let content = file.ok_or(Failure::NotRunning(problem))?;
            note("No instance runs: this is from the database.");
            (content, None)
        }
        Err(failure) => return Err(failure),
    };
    write(&content, directory.as_deref().map(Path::new), out)
}

fn write(content: &FileContent, directory: Option<&Path>, out: &mut Output) -> Outcome {
    if content.is_text && !content.is_cut {
        out.raw(content.text.as_bytes())?;
        return Ok(Exit::Done);
    }
    // The frame carries text up to a limit. The disk of this machine has the bytes, if they are still the same ones.
    let path = directory.map(|directory| directory.join(&content.entry.path));
    if let Some(path) = path.filter(|path| is_same(path, content)) {
        let mut file = std::fs::File::open(&path).map_err(|error| cannot(content, &error.to_string()))?;
        let mut written = Ok(());
        let read = pieces(&mut file, |piece| {
            written = out.raw(piece);
            written.is_ok()
        });
        written?;
        read.map_err(|error| cannot(content, &error.to_string()))?;
        return Ok(Exit::Done);
    }
    let limit = SHOWN_FILE_MAX_BYTES / (1024 * 1024);
    let why = format!("only text of up to {limit} MiB is handed out, and the file on disk is not the same any more");
    Err(cannot(content, &why).into())
}

/// The file has exactly the content that the entry names.
fn is_same(path: &Path, content: &FileContent) -> bool {
    let Ok(mut file) = std::fs::File::open(path) else { return false };
    let mut hasher = Sha256::new();
    let read = pieces(&mut file, |piece| {
        hasher.update(piece);
        true
    });
    read.is_ok() && Digest(hasher.finalize().into()) == content.entry.digest
}

/// Hands the file on in pieces until its end, or until `take` wants no more.
fn pieces(file: &mut std::fs::File, mut take: impl FnMut(&[u8]) -> bool) -> std::io::Result<()> {
    let mut buffer = vec![0; PIECE_BYTES];
    loop {
        let read = file.read(&mut buffer)?;
        if read == 0 || !take(&buffer[..read]) {
            return Ok(());
        }
    }
}

fn cannot(content: &FileContent, why: &str) -> Problem {
    Problem::new(
        format!("{} cannot be shown", content.entry.path),
        why,
        "Read it in the mirrored directory: standin paths",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::output::testing::output;
    use crate::engine::order::{FileEntry, FileKind};

    fn content(text: &str, is_text: bool, bytes: &[u8]) -> FileContent {
        let digest = Digest(Sha256::digest(bytes).into());
        let size = bytes.len() as u64;
        let entry = FileEntry { path: "a.bin".into(), kind: FileKind::File, mode: 0o600, size, digest, revision: 1 };
        FileContent { entry, text: text.into(), is_text, is_cut: false }
    }

    /// spec 5.4: bytes as they are, no line end added, nothing masked.
    #[test]
    fn text_is_written_as_it_is() {
        let (mut out, written) = output();
        write(&content("password: x\r\nlast", true, b""), None, &mut out).unwrap();
        assert_eq!(written.text(), "password: x\r\nlast");
    }

    /// What the frame cannot carry comes from the disk, but only when it is the same content.
    #[test]
    fn other_bytes_come_from_the_disk_if_they_are_the_same() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("a.bin"), b"\x00\x01binary").unwrap();
        let (mut out, written) = output();
        write(&content("?", false, b"\x00\x01binary"), Some(directory.path()), &mut out).unwrap();
        assert_eq!(written.text().as_bytes(), b"\x00\x01binary");
        let (mut out, written) = output();
        assert!(write(&content("?", false, b"another"), Some(directory.path()), &mut out).is_err());
        assert_eq!(written.text(), "");
    }
}
