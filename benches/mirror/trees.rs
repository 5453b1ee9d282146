//! A configuration of any size that looks like a real one: most files about 1 KB, few of up to 1 MB, text that a reader would
//! know and some that is no text. The same for the same number of files.

use std::fs;
use std::path::{Path, PathBuf};

use crate::Fail;

/// In one directory.
const FILES_PER_DIRECTORY: usize = 50;
const DIRECTORIES_PER_DIRECTORY: usize = 40;
/// Half of all files are smaller.
const MEDIAN_BYTES: f64 = 1_024.0;
/// Of the logarithm of the sizes: makes the mean four times the median.
const SPREAD: f64 = 1.665;
const LARGEST_BYTES: f64 = 1_048_576.0;
/// One in so many is no text.
const BINARY_EVERY: usize = 10;
const WORDS: [&str; 16] = [
    "connector",
    "account",
    "backend",
    "internal",
    "virtual",
    "host",
    "port",
    "protocol",
    "enabled",
    "principal",
    "certificate",
    "allowed",
    "resource",
    "mapping",
    "timeout",
    "description",
];

/// xorshift64*.
pub struct Draw(u64);

impl Draw {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    /// 0 to `limit - 1`.
    pub fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() >> 33).unwrap_or(0) % limit.max(1)
    }

    #[expect(clippy::cast_precision_loss, reason = "53 bits")]
    fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Bytes of a file.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 1 and 1 MB")]
    fn size(&mut self) -> usize {
        let bell = (0..12).map(|_| self.unit()).sum::<f64>() - 6.0;
        (MEDIAN_BYTES * (bell * SPREAD).exp()).clamp(1.0, LARGEST_BYTES) as usize
    }
}

/// The path of file `number`, relative.
pub fn path_of(number: usize) -> PathBuf {
    let directory = number / FILES_PER_DIRECTORY;
    let kind = if number.is_multiple_of(BINARY_EVERY) { "bin" } else { "yaml" };
    PathBuf::from(format!(
        "tree/{:03}/{:02}/service-{number}.{kind}",
        directory / DIRECTORIES_PER_DIRECTORY,
        directory % DIRECTORIES_PER_DIRECTORY
    ))
}

/// What is in file `number`; another `version`, other bytes.
pub fn content(number: usize, version: u64) -> Vec<u8> {
    let mut draw = Draw::new(number as u64 + 1);
    let size = draw.size();
    let mut draw = Draw::new((number as u64 + 1) ^ (version << 32));
    let mut bytes = Vec::with_capacity(size + 64);
    if number.is_multiple_of(BINARY_EVERY) {
        while bytes.len() < size {
            bytes.extend(draw.next().to_le_bytes());
        }
        bytes.truncate(size);
        return bytes;
    }
    bytes.extend(format!("# file {number}, version {version}\n").bytes());
    let mut line = 0;
    while bytes.len() < size {
        let (key, value) = (WORDS[draw.below(16)], WORDS[draw.below(16)]);
        bytes.extend(format!("{key}-{line}: \"{value} {:x}\"\n", draw.below(1 << 24)).bytes());
        line += 1;
    }
    bytes
}

/// Writes `files` files into `directory`; their sizes, added up.
pub fn fill(directory: &Path, files: usize) -> Result<u64, Fail> {
    let mut total = 0;
    for number in 0..files {
        let path = directory.join(path_of(number));
        if number % FILES_PER_DIRECTORY == 0 {
            fs::create_dir_all(path.parent().ok_or("no directory")?)?;
        }
        let bytes = content(number, 0);
        total += bytes.len() as u64;
        fs::write(path, bytes)?;
    }
    Ok(total)
}

/// The files below `directory`: how many, and their sizes added up.
pub fn extent(directory: &Path) -> Result<(u64, u64), Fail> {
    let (mut files, mut bytes) = (0, 0);
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let data = entry.metadata()?;
        let (more, larger) = if data.is_dir() { extent(&entry.path())? } else { (1, data.len()) };
        files += more;
        bytes += larger;
    }
    Ok((files, bytes))
}

/// Gives `count` files, spread over all `files`, other bytes.
pub fn edit(directory: &Path, files: usize, count: usize, version: u64) -> Result<(), Fail> {
    for index in 0..count.min(files) {
        let number = index * files / count.min(files);
        fs::write(directory.join(path_of(number)), content(number, version))?;
    }
    Ok(())
}
