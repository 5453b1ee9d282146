//! A copy of one file for the operator's editor: 0600, in a directory of its own (spec 9.4).

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::{PRIVATE_DIRECTORY_MODE, PRIVATE_FILE_MODE};

/// Where neither VISUAL nor EDITOR is set.
const PLAIN_EDITOR: &str = "vi";
/// Names tried for the private directory.
const NAMES_MAX: u32 = 100;
/// First part of these names.
const PREFIX: &str = "standin-edit-";

/// A copy that only this user can read.
#[derive(Debug)]
pub struct PrivateCopy {
    file: PathBuf,
}

impl PrivateCopy {
    /// A copy with these bytes, under the last name of `path`, by which an editor knows the language.
    ///
    /// # Errors
    /// Those of the file system; nothing is left then.
    pub fn new(path: &str, bytes: &[u8]) -> io::Result<Self> {
        let name = Path::new(path).file_name().map_or_else(|| "file".into(), std::ffi::OsStr::to_os_string);
        let top = std::env::temp_dir();
        for number in 0..NAMES_MAX {
            let directory = top.join(format!("{PREFIX}{}-{number}", std::process::id()));
            match DirBuilder::new().mode(PRIVATE_DIRECTORY_MODE).create(&directory) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
                made => made?,
            }
            let copy = Self { file: directory.join(name) };
            let mut open = OpenOptions::new();
            let opened = open.write(true).create_new(true).mode(PRIVATE_FILE_MODE).open(&copy.file);
            if let Err(error) = opened.and_then(|mut file| file.write_all(bytes)) {
                copy.remove();
                return Err(error);
            }
            return Ok(copy);
        }
        Err(io::ErrorKind::AlreadyExists.into())
    }

    /// Where it is.
    #[must_use]
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// What it holds now.
    ///
    /// # Errors
    /// Those of the file system, and when it holds more than `limit_bytes`.
    pub fn read(&self, limit_bytes: u64) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        File::open(&self.file)?.take(limit_bytes.saturating_add(1)).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > limit_bytes {
            return Err(io::Error::other(format!("it is longer than {limit_bytes} bytes")));
        }
        Ok(bytes)
    }

    /// Removes it; see [`remove`].
    pub fn remove(&self) {
        remove(&self.file);
    }
}

/// Removes the copy at `file`, and nothing that is no such copy.
pub fn remove(file: &Path) {
    let Some(directory) = file.parent() else { return };
    let is_ours = directory.file_name().is_some_and(|name| name.to_string_lossy().starts_with(PREFIX));
    if is_ours {
        // An editor may have left others beside it: copies of the same text. Nothing is lost where they stay.
        let _ = std::fs::remove_dir_all(directory);
    }
}

/// The operator's editor as a line for the shell, as git takes it: it may hold options.
#[must_use]
pub fn editor() -> String {
    let set = |name: &str| std::env::var(name).ok().filter(|value| !value.trim().is_empty());
    set("VISUAL").or_else(|| set("EDITOR")).unwrap_or_else(|| PLAIN_EDITOR.into())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::*;

    /// spec 9.4: what may hold secrets is readable by its owner alone, and goes when it has served.
    #[test]
    fn the_copy_is_private_and_goes() {
        let copy = PrivateCopy::new("deep/orders.yaml", b"a: 1\n").unwrap();
        let of = |path: &Path| std::fs::symlink_metadata(path).unwrap().mode() & 0o777;
        assert_eq!((of(&copy.file), of(copy.file.parent().unwrap())), (0o600, 0o700));
        assert!(copy.file.ends_with("orders.yaml"), "an editor knows the language by the name");
        assert_eq!(copy.read(5).unwrap(), b"a: 1\n");
        assert!(copy.read(4).unwrap_err().to_string().contains("longer than 4"));
        let other = PrivateCopy::new("deep/orders.yaml", b"").unwrap();
        assert_ne!(other.file, copy.file);
        copy.remove();
        other.remove();
        assert!(!copy.file.exists() && !copy.file.parent().unwrap().exists());
        let foreign = tempfile::tempdir().unwrap();
        std::fs::write(foreign.path().join("x"), "x").unwrap();
        remove(&foreign.path().join("x"));
        assert!(foreign.path().join("x").exists(), "nothing else is ever removed");
    }
}
