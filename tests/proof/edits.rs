//! Random edits of the master's directory, of every kind and size.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

/// Draws the same numbers for the same seed (xorshift64*).
pub struct Draw(u64);

impl Draw {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    /// 0 to `limit - 1`.
    pub fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        usize::try_from(self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33).unwrap() % limit
    }

    fn noise(&mut self, size: usize) -> Vec<u8> {
        (0..size).map(|_| u8::try_from(self.below(256)).unwrap()).collect()
    }
}

/// Names under which everything happens; no YAML, which may be held back.
const NAMES: [&[u8]; 7] = [b"a", b"A", b"b.txt", b"caf\xe9", b"new\nline", b"deep", b"link"];
/// Files that one large edit makes.
const MANY: usize = 120;
/// Bytes of one large file.
const LARGE: usize = 300_000;

/// A few edits, one after the other.
pub fn burst(draw: &mut Draw, directory: &Path) {
    match draw.below(8) {
        0 => many(draw, directory),
        1 => {
            let bytes = draw.noise(LARGE);
            write(&directory.join("large.bin"), &bytes);
        }
        _ => (0..1 + draw.below(6)).for_each(|_| one(draw, directory)),
    }
}

/// As a deployment does: a whole directory comes, or goes.
fn many(draw: &mut Draw, directory: &Path) {
    let top = directory.join("many");
    if top.exists() && draw.below(2) == 0 {
        fs::remove_dir_all(top).unwrap();
        return;
    }
    for number in 0..MANY {
        let inner = top.join(format!("part-{}", number % 7));
        fs::create_dir_all(&inner).unwrap();
        fs::write(inner.join(format!("file-{number}")), format!("{number} {}\n", draw.below(1_000))).unwrap();
    }
}

fn one(draw: &mut Draw, directory: &Path) {
    let mut path: PathBuf = directory.join("edited");
    (0..=draw.below(2)).for_each(|_| path.push(OsStr::from_bytes(NAMES[draw.below(NAMES.len())])));
    let parent = path.parent().unwrap().to_owned();
    if !fs::symlink_metadata(&parent).is_ok_and(|about| about.is_dir()) {
        clear(&parent);
        fs::create_dir_all(&parent).unwrap();
    }
    let about = fs::symlink_metadata(&path).ok();
    match draw.below(8) {
        0 => clear(&path),
        1 => {
            clear(&path);
            symlink(OsStr::from_bytes([&b"a"[..], b"nowhere\xff", b"./A"][draw.below(3)]), &path).unwrap();
        }
        2 => {
            clear(&path);
            fs::create_dir(&path).unwrap();
        }
        3 if about.as_ref().is_some_and(|about| !about.is_symlink()) => {
            let mode = [0o600, 0o755, 0o700, 0o640, 0o4711][draw.below(5)];
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        }
        4 if about.is_some() => {
            let other = parent.join("renamed");
            clear(&other);
            fs::rename(&path, other).unwrap();
        }
        _ => {
            clear(&path);
            let size = [0, 1, 300, 5_000, 70_000][draw.below(5)];
            let bytes = draw.noise(size);
            write(&path, &bytes);
        }
    }
}

/// As an editor does: aside, then renamed.
fn write(path: &Path, bytes: &[u8]) {
    let mut aside = path.as_os_str().to_owned();
    aside.push(".swp");
    fs::write(&aside, bytes).unwrap();
    fs::rename(aside, path).unwrap();
}

fn clear(path: &Path) {
    match fs::symlink_metadata(path) {
        Ok(about) if about.is_dir() => fs::remove_dir_all(path).unwrap(),
        Ok(_) => fs::remove_file(path).unwrap(),
        Err(_) => {}
    }
}
