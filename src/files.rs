//! Private files: written whole or not at all, durable when written, readable by their owner alone (spec 9.4).

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

pub mod private_copy;
pub mod site;
pub mod space;

/// Mode of a private file.
pub const PRIVATE_FILE_MODE: u32 = 0o600;
/// Mode of a private directory.
pub const PRIVATE_DIRECTORY_MODE: u32 = 0o700;

/// Makes the directory `path` (its parent must be there) and takes the rights of everybody else away.
///
/// # Errors
/// Those of the file system.
pub fn make_private_directory(path: &Path) -> io::Result<()> {
    match DirBuilder::new().mode(PRIVATE_DIRECTORY_MODE).create(path) {
        Ok(()) => sync_directory(path.parent().unwrap_or(path)),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => {
            fs::set_permissions(path, fs::Permissions::from_mode(PRIVATE_DIRECTORY_MODE))
        }
        Err(error) => Err(error),
    }
}

/// Writes `bytes` beside `path` and puts them in its place: after a crash at any moment there is the old or the new
/// content. On disk when it returns. Mode 0600.
///
/// # Errors
/// Those of the file system; the old content still stands then.
pub fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let directory = path.parent().ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
    let mut name = path.file_name().ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?.to_owned();
    name.push(format!(".{}.new", std::process::id()));
    let aside = directory.join(name);
    let written = write_new(&aside, bytes).and_then(|()| fs::rename(&aside, path));
    if written.is_err() {
        // What is left aside is of no use to anybody; that it could not be removed is not the news.
        let _ = fs::remove_file(&aside);
    }
    written?;
    sync_directory(directory)
}

fn write_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    // Left over from a crash of a process with the same number.
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(PRIVATE_FILE_MODE).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

fn sync_directory(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// The content of `path`; none: there is no such file.
///
/// # Errors
/// Those of the file system, and when it is larger than `limit` bytes.
pub fn read_bounded(path: &Path, limit: u64) -> io::Result<Option<Vec<u8>>> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut bytes = Vec::new();
    file.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit {
        return Err(io::Error::new(io::ErrorKind::InvalidData, format!("larger than {limit} bytes")));
    }
    Ok(Some(bytes))
}

/// Whether anybody but the owner may read or change `path`: its permission bits then.
///
/// # Errors
/// Those of the file system.
pub fn rights_of_others(path: &Path) -> io::Result<Option<u32>> {
    let mode = fs::metadata(path)?.mode() & 0o777;
    Ok((mode & 0o077 != 0).then_some(mode))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// spec 9.4
    #[test]
    fn a_private_file_is_its_owners_alone_whatever_was_there() {
        let home = tempfile::tempdir().unwrap();
        let directory = home.path().join("d");
        make_private_directory(&directory).unwrap();
        fs::set_permissions(&directory, fs::Permissions::from_mode(0o755)).unwrap();
        make_private_directory(&directory).unwrap();
        assert_eq!(rights_of_others(&directory).unwrap(), None);

        let path = directory.join("f");
        fs::write(&path, "old and readable").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        assert_eq!(rights_of_others(&path).unwrap(), Some(0o644));
        write_private(&path, b"new").unwrap();
        assert_eq!(rights_of_others(&path).unwrap(), None);
        assert_eq!(read_bounded(&path, 3).unwrap().unwrap(), b"new");
        assert!(read_bounded(&path, 2).is_err());
        assert_eq!(fs::read_dir(&directory).unwrap().count(), 1, "nothing is left aside");
        assert_eq!(read_bounded(&directory.join("none"), 2).unwrap(), None);
    }
}
