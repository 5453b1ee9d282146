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
use crate::engine::history::APPLIED_FILE_MAX_BYTES;
use crate::engine::order::{FileContent, Order, Reply};

/// Read at once.
const PIECE_BYTES: usize = 64 * 1024;

/// Writes the file to standard output.
///
/// # Errors
/// No such file or revision; bytes that the instance cannot hand out.
pub fn run(context: &Context, arguments: &ShowArguments, out: &mut Output) -> Outcome {
    let ShowArguments { path, revision } = arguments;
    match Client::connect(&context.home) {
        Ok(mut client) => {
            let order = Order::ShowFile { path: path.clone(), revision: *revision };
            let Reply::File(content) = client.order(order)? else { return Err(unexpected().into()) };
            if is_whole(&content) {
                return write(content.text.as_bytes(), out);
            }
            if content.entry.size > APPLIED_FILE_MAX_BYTES {
                let on_disk = Path::new(&client.status()?.configuration.directory).join(&content.entry.path);
                if is_same(&on_disk, &content) {
                    return from_disk(&content, &on_disk, out);
                }
                return in_parts(&mut client, arguments, &content, out);
            }
            let order = Order::FileBytes { path: path.clone(), revision: *revision };
            let Reply::Bytes(bytes) = client.order(order)? else { return Err(unexpected().into()) };
            write(&bytes.0, out)
        }
        Err(Failure::NotRunning(problem)) => {
            rooms::at_rest(&context.home, problem)?;
            let content = rooms::file_at_rest(&context.home, path, *revision)?;
            note("No instance runs: this is from the database.");
            if is_whole(&content) {
                return write(content.text.as_bytes(), out);
            }
            write(&rooms::bytes_at_rest(&context.home, path, *revision)?, out)
        }
        Err(failure) => Err(failure),
    }
}

/// All of it is in the text, byte for byte.
fn is_whole(content: &FileContent) -> bool {
    content.is_text && !content.is_cut
}

fn write(bytes: &[u8], out: &mut Output) -> Outcome {
    out.raw(bytes)?;
    Ok(Exit::Done)
}

/// A frame carries bytes up to a limit. The disk of this machine has all of them, where they are still the same ones.
fn from_disk(content: &FileContent, path: &Path, out: &mut Output) -> Outcome {
    let mut file = std::fs::File::open(path).map_err(|error| cannot(content, &error.to_string()))?;
    let mut written = Ok(());
    let read = pieces(&mut file, |piece| {
        written = out.raw(piece);
        written.is_ok()
    });
    written?;
    read.map_err(|error| cannot(content, &error.to_string()))?;
    Ok(Exit::Done)
}

/// From the history of the instance, frame by frame: an older revision, or one that the disk does not have any more.
fn in_parts(client: &mut Client, arguments: &ShowArguments, content: &FileContent, out: &mut Output) -> Outcome {
    let mut offset = 0;
    while offset < content.entry.size {
        let order = Order::FilePart {
            path: arguments.path.clone(),
            revision: arguments.revision,
            digest: content.entry.digest,
            offset,
        };
        match client.order(order)? {
            Reply::Bytes(part) if !part.0.is_empty() => {
                out.raw(&part.0)?;
                offset += part.0.len() as u64;
            }
            _ => return Err(unexpected().into()),
        }
    }
    Ok(Exit::Done)
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
        let entry = FileEntry {
            path: "a.bin".into(),
            kind: FileKind::File,
            mode: 0o600,
            size,
            digest,
            revision: 1,
            owner: String::new(),
        };
        FileContent { entry, text: text.into(), is_text, is_cut: false }
    }

    /// spec 5.4: bytes as they are, no line end added, nothing masked; what is no text is never handed out as one.
    #[test]
    fn bytes_are_written_as_they_are() {
        let (mut out, written) = output();
        write(b"password: x\r\nlast", &mut out).unwrap();
        assert_eq!(written.text(), "password: x\r\nlast");
        assert!(is_whole(&content("a", true, b"a")) && !is_whole(&content("?", false, b"\xff")));
    }

    /// spec 5.6: what the frame cannot carry comes from the disk, but only when it is the same content.
    #[test]
    fn large_files_come_from_the_disk_if_they_are_the_same() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("a.bin"), b"\x00\x01binary").unwrap();
        let (mut out, written) = output();
        let (same, path) = (content("?", false, b"\x00\x01binary"), directory.path().join("a.bin"));
        assert!(is_same(&path, &same) && !is_same(&path, &content("?", false, b"another")));
        from_disk(&same, &path, &mut out).unwrap();
        assert_eq!(written.text().as_bytes(), b"\x00\x01binary");
    }
}
