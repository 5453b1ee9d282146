//! What is in the archive, and in which form: a tar with a description first, then the parts, each under a fixed name; the
//! configuration under `configuration/`. Whoever reads one believes nothing: names, kinds, sizes and numbers are checked, and
//! a link is a text that is checked where it is used.

use std::collections::BTreeSet;
use std::io::{self, Read, Write};

use serde::{Deserialize, Serialize};
use tar::{EntryType, Header};

use super::crypt::{Decryptor, Encryptor};
use crate::engine::base::{Problem, RevisionId, Role, Term, UnixMillis};
use crate::engine::order::{FileKind, Secret};
use crate::mirror::owners::{Names, Owners};
use crate::mirror::path::RelPath;
use crate::mirror::tree::Entry;

/// Form of the archive; a newer one is refused.
pub const FORMAT: u32 = 1;
/// Most entries that are read.
pub const ENTRIES_MAX: usize = 200_100;
/// Most bytes that are read, unpacked.
pub const TOTAL_MAX_BYTES: u64 = 64 * 1024 * 1024 * 1024;
/// Largest file of the configuration, bytes.
pub const CONTENT_MAX_BYTES: u64 = crate::mirror::CONTENT_MAX_BYTES;
/// Largest of the other files but the database, bytes.
pub const SMALL_MAX_BYTES: u64 = 4 * 1024 * 1024;
/// Longest name or target of a link, bytes.
const NAME_MAX_BYTES: u64 = 8 * 1024;
/// Names in `identity/` that are taken along.
const IDENTITY_NAME_MAX_BYTES: usize = 100;
/// How hard it is packed.
const LEVEL: i32 = 3;
/// Longest look back when unpacking, as a power of two: 128 MiB.
const WINDOW_LOG_MAX: u32 = 27;

const PAX_OWNER: &str = "uname";
const PAX_GROUP: &str = "gname";
const MANIFEST: &str = "manifest.json";
const SETTINGS: &str = "settings.yaml";
const USERS: &str = "users.yaml";
const RECORD: &str = "record.json";
const DATABASE: &str = "standin.db";
const IDENTITY: &str = "identity/";
const CONFIGURATION: &str = "configuration/";

/// What the archive is of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// See [`FORMAT`].
    pub format: u32,
    /// Of the program that made it.
    pub version: String,
    /// Of the instance.
    pub host: String,
    /// Its id.
    pub instance: String,
    /// Its role then.
    pub role: Option<Role>,
    /// Its term then.
    pub term: Term,
    /// The highest it knew.
    pub known_term: Term,
    /// When.
    pub at: UnixMillis,
    /// Of the configuration in it.
    pub revision: Option<RevisionId>,
    /// The link's key and certificates are in it.
    pub has_identity: bool,
    /// The database is in it.
    pub has_history: bool,
}

/// One part, as it comes.
pub enum Part<'a> {
    /// First.
    Manifest(Box<Manifest>),
    /// The settings file.
    Settings(Vec<u8>),
    /// The local users.
    Users(Vec<u8>),
    /// What the instance knew of its pair.
    Record(Vec<u8>),
    /// A file of the link's identity.
    Identity(String, Vec<u8>),
    /// The database; to be read to its end.
    Database(&'a mut dyn Read),
    /// One path of the configuration; a directory before what is in it.
    Path {
        /// Which.
        path: RelPath,
        /// File, directory or link.
        kind: FileKind,
        /// Permission bits.
        mode: u32,
        /// Owner and group by name, where they are mirrored.
        owners: Owners,
        /// Of a file, or the target of a link.
        content: Vec<u8>,
    },
}

/// Writes one.
pub struct Writer<W: Write> {
    tar: tar::Builder<zstd::Encoder<'static, Encryptor<W>>>,
    at: u64,
}

impl<W: Write> Writer<W> {
    /// Begins with the description.
    ///
    /// # Errors
    /// Those of the sink.
    pub fn new(sink: W, password: &Secret, manifest: &Manifest) -> Result<Self, Problem> {
        let encryptor = Encryptor::new(sink, password)?;
        let mut packer = zstd::Encoder::new(encryptor, LEVEL).map_err(|error| unwritten(&error))?;
        packer.include_checksum(true).map_err(|error| unwritten(&error))?;
        let at = u64::try_from(manifest.at.0 / 1_000).unwrap_or_default();
        let mut writer = Self { tar: tar::Builder::new(packer), at };
        let json = serde_json::to_vec_pretty(manifest)
            .map_err(|error| Problem::new("The backup was not made", error.to_string(), ""))?;
        writer.file(MANIFEST, 0o600, json.len() as u64, &mut json.as_slice())?;
        Ok(writer)
    }

    /// The settings file.
    ///
    /// # Errors
    /// Those of the sink.
    pub fn settings(&mut self, bytes: &[u8]) -> Result<(), Problem> {
        self.file(SETTINGS, 0o600, bytes.len() as u64, &mut &*bytes)
    }

    /// The local users.
    ///
    /// # Errors
    /// Those of the sink.
    pub fn users(&mut self, bytes: &[u8]) -> Result<(), Problem> {
        self.file(USERS, 0o600, bytes.len() as u64, &mut &*bytes)
    }

    /// What the instance knows of its pair.
    ///
    /// # Errors
    /// Those of the sink.
    pub fn record(&mut self, bytes: &[u8]) -> Result<(), Problem> {
        self.file(RECORD, 0o600, bytes.len() as u64, &mut &*bytes)
    }

    /// A file of the link's identity.
    ///
    /// # Errors
    /// Those of the sink.
    pub fn identity(&mut self, name: &str, bytes: &[u8]) -> Result<(), Problem> {
        self.file(&format!("{IDENTITY}{name}"), 0o600, bytes.len() as u64, &mut &*bytes)
    }

    /// The database.
    ///
    /// # Errors
    /// Those of the sink and the source.
    pub fn database(&mut self, size: u64, source: &mut dyn Read) -> Result<(), Problem> {
        self.file(DATABASE, 0o600, size, source)
    }

    /// One path of the configuration.
    ///
    /// # Errors
    /// Those of the sink.
    pub fn path(&mut self, path: &RelPath, entry: &Entry, content: &[u8]) -> Result<(), Problem> {
        let name = [CONFIGURATION.as_bytes(), path.as_bytes()].concat();
        let mut header = self.header(entry.mode);
        if let Some(names) = entry.owners.names() {
            // Where one does not fit into a header both go before it.
            if header.set_username(&names.owner).and_then(|()| header.set_groupname(&names.group)).is_err() {
                self.names(&names)?;
            }
        }
        match entry.kind {
            FileKind::File => {
                header.set_size(content.len() as u64);
                self.append(&mut header, &name, content)
            }
            FileKind::Directory => {
                header.set_entry_type(EntryType::Directory);
                self.append(&mut header, &name, &[])
            }
            FileKind::Link => {
                header.set_entry_type(EntryType::Symlink);
                // As bytes: a target that is tidied up is another target.
                if header.set_link_name_literal(content).is_err() {
                    self.long(b'K', content)?;
                }
                self.append(&mut header, &name, &[])
            }
        }
    }

    /// Ends it; hands the sink back.
    ///
    /// # Errors
    /// Those of the sink.
    pub fn finish(self) -> Result<W, Problem> {
        let end = || self.tar.into_inner()?.finish()?.finish();
        end().map_err(|error| unwritten(&error))
    }

    fn header(&self, mode: u32) -> Header {
        let mut header = Header::new_gnu();
        header.set_mode(mode);
        header.set_mtime(self.at);
        header.set_uid(0);
        header.set_gid(0);
        header.set_size(0);
        header.set_entry_type(EntryType::Regular);
        header
    }

    fn file(&mut self, name: &str, mode: u32, size: u64, source: &mut dyn Read) -> Result<(), Problem> {
        let mut header = self.header(mode);
        header.set_size(size);
        name_it(&mut header, name.as_bytes());
        header.set_cksum();
        self.tar.append(&header, source.take(size)).map_err(|error| unwritten(&error))
    }

    fn append(&mut self, header: &mut Header, name: &[u8], content: &[u8]) -> Result<(), Problem> {
        if !name_it(header, name) {
            self.long(b'L', name)?;
        }
        header.set_cksum();
        self.tar.append(header, content).map_err(|error| unwritten(&error))
    }

    /// Names of owner and group too long for a header, as pax has them.
    fn names(&mut self, names: &Names) -> Result<(), Problem> {
        let text = [pax_record(PAX_OWNER, &names.owner), pax_record(PAX_GROUP, &names.group)].concat();
        let mut header = self.header(0o644);
        header.set_entry_type(EntryType::XHeader);
        name_it(&mut header, b"././@PaxHeader");
        header.set_size(text.len() as u64);
        header.set_cksum();
        self.tar.append(&header, text.as_bytes()).map_err(|error| unwritten(&error))
    }

    /// A name or target too long for a header goes before it.
    fn long(&mut self, kind: u8, text: &[u8]) -> Result<(), Problem> {
        let mut header = self.header(0o644);
        header.set_entry_type(EntryType::new(kind));
        name_it(&mut header, b"././@LongLink");
        let text = [text, &[0]].concat();
        header.set_size(text.len() as u64);
        header.set_cksum();
        self.tar.append(&header, text.as_slice()).map_err(|error| unwritten(&error))
    }
}

/// `LENGTH KEY=VALUE`, where the length counts itself.
fn pax_record(key: &str, value: &str) -> String {
    let rest = format!(" {key}={value}\n");
    let mut length = rest.len();
    while length.to_string().len() + rest.len() != length {
        length = length.to_string().len() + rest.len();
    }
    format!("{length}{rest}")
}

/// Names of owner and group before an entry; nothing else may stand there.
fn pax_names(text: &[u8]) -> Result<(String, String), Problem> {
    let wrong = || refused("it holds more about a path than it may");
    let (mut owner, mut group) = (String::new(), String::new());
    for line in std::str::from_utf8(text).map_err(|_| wrong())?.lines() {
        let (key, value) = line.split_once(' ').and_then(|(_, rest)| rest.split_once('=')).ok_or_else(wrong)?;
        match key {
            PAX_OWNER => owner = value.to_owned(),
            PAX_GROUP => group = value.to_owned(),
            _ => return Err(wrong()),
        }
    }
    Ok((owner, group))
}

/// False: only its beginning fits.
fn name_it(header: &mut Header, name: &[u8]) -> bool {
    let field = &mut header.as_old_mut().name;
    let fits = name.len().min(field.len());
    field.fill(0);
    field[..fits].copy_from_slice(&name[..fits]);
    fits == name.len()
}

/// Reads one to its end, and hands each part to `take`.
///
/// # Errors
/// It is no backup, is not whole, is of a newer Standin, holds what none may hold; the password is another; those of `take`.
pub fn read(
    source: impl Read,
    password: &Secret,
    take: &mut dyn FnMut(Part<'_>) -> Result<(), Problem>,
) -> Result<(), Problem> {
    let decryptor = Decryptor::new(source, password)?;
    let mut unpacker = zstd::Decoder::new(decryptor).map_err(|error| refused(&error.to_string()))?;
    unpacker.window_log_max(WINDOW_LOG_MAX).map_err(|error| refused(&error.to_string()))?;
    read_tar(unpacker.take(TOTAL_MAX_BYTES), take)
}

/// The same for what was decrypted and unpacked.
///
/// # Errors
/// As [`read`].
pub fn read_tar(source: impl Read, take: &mut dyn FnMut(Part<'_>) -> Result<(), Problem>) -> Result<(), Problem> {
    let mut tar = tar::Archive::new(source);
    let (mut long_name, mut long_target, mut long_owners) = (None, None, None);
    let mut seen = BTreeSet::new();
    // As they stand in the file: what makes one entry of several is looked at here, with limits.
    for entry in tar.entries().map_err(|error| refused(&error.to_string()))?.raw(true) {
        let mut entry = entry.map_err(|error| refused(&error.to_string()))?;
        let size = entry.header().entry_size().map_err(|error| refused(&error.to_string()))?;
        let kind = entry.header().entry_type();
        match kind {
            EntryType::GNULongName => long_name = Some(long_text(&mut entry, size)?),
            EntryType::GNULongLink => long_target = Some(long_text(&mut entry, size)?),
            EntryType::XHeader => long_owners = Some(pax_names(&small(&mut entry, size, NAME_MAX_BYTES)?)?),
            _ => {
                let name = long_name.take().unwrap_or_else(|| entry.header().path_bytes().into_owned());
                let target = long_target.take();
                let target = target.or_else(|| entry.header().link_name_bytes().map(|target| target.into_owned()));
                if seen.is_empty() != (name == MANIFEST.as_bytes()) {
                    return Err(refused("it does not begin with its description"));
                }
                if seen.len() >= ENTRIES_MAX || !seen.insert(name.clone()) {
                    return Err(refused("it holds the same name twice, or too many"));
                }
                let owners = match long_owners.take() {
                    Some((owner, group)) => owners_of(&owner, &group)?,
                    None => header_owners(entry.header())?,
                };
                one(&name, kind, size, (target, owners), &mut entry, take)?;
            }
        }
    }
    if seen.is_empty() {
        return Err(refused("there is nothing in it"));
    }
    // Only at its very end it is known to be whole.
    let rest = io::copy(&mut tar.into_inner(), &mut io::sink()).map_err(|error| refused(&error.to_string()))?;
    if rest > SMALL_MAX_BYTES { Err(refused("something follows its end")) } else { Ok(()) }
}

fn header_owners(header: &Header) -> Result<Owners, Problem> {
    let name = |bytes: Option<&[u8]>| {
        std::str::from_utf8(bytes.unwrap_or_default())
            .map(str::to_owned)
            .map_err(|_| refused("an owner in it is no name"))
    };
    owners_of(&name(header.username_bytes())?, &name(header.groupname_bytes())?)
}

fn owners_of(owner: &str, group: &str) -> Result<Owners, Problem> {
    Owners::of(owner, group).map_err(|why| refused(&format!("a path in it: {why}")))
}

fn long_text(entry: &mut impl Read, size: u64) -> Result<Vec<u8>, Problem> {
    let mut text = small(entry, size, NAME_MAX_BYTES)?;
    if text.last() == Some(&0) {
        text.pop();
    }
    Ok(text)
}

fn one(
    name: &[u8],
    kind: EntryType,
    size: u64,
    (target, owners): (Option<Vec<u8>>, Owners),
    entry: &mut tar::Entry<'_, impl Read>,
    take: &mut dyn FnMut(Part<'_>) -> Result<(), Problem>,
) -> Result<(), Problem> {
    if let Some(path) = name.strip_prefix(CONFIGURATION.as_bytes()) {
        let path = RelPath::new(path).map_err(|why| refused(&format!("a path in it: {why}")))?;
        let mode = entry.header().mode().map_err(|error| refused(&error.to_string()))?;
        let (kind, content) = match kind {
            EntryType::Regular | EntryType::Continuous => (FileKind::File, small(entry, size, CONTENT_MAX_BYTES)?),
            EntryType::Directory => (FileKind::Directory, Vec::new()),
            EntryType::Symlink => (FileKind::Link, target.unwrap_or_default()),
            _ => return Err(refused(&format!("{path} is neither file, directory nor link"))),
        };
        return take(Part::Path { path, kind, mode, owners, content });
    }
    if kind != EntryType::Regular {
        return Err(refused("one of its parts is no file"));
    }
    let name = std::str::from_utf8(name).map_err(|_| refused("it holds a part of an unknown name"))?;
    match name {
        MANIFEST => {
            let bytes = small(entry, size, SMALL_MAX_BYTES)?;
            let manifest: Manifest =
                serde_json::from_slice(&bytes).map_err(|error| refused(&format!("its description: {error}")))?;
            if manifest.format != FORMAT {
                return Err(refused(&format!(
                    "its form is {}, and this program knows {FORMAT}: Standin {} made it",
                    manifest.format, manifest.version
                )));
            }
            take(Part::Manifest(Box::new(manifest)))
        }
        SETTINGS => take(Part::Settings(small(entry, size, SMALL_MAX_BYTES)?)),
        USERS => take(Part::Users(small(entry, size, SMALL_MAX_BYTES)?)),
        RECORD => take(Part::Record(small(entry, size, SMALL_MAX_BYTES)?)),
        DATABASE => take(Part::Database(entry)),
        _ => match name.strip_prefix(IDENTITY).filter(|name| is_plain(name)) {
            Some(name) => take(Part::Identity(name.to_owned(), small(entry, size, SMALL_MAX_BYTES)?)),
            None => Err(refused(&format!(
                "it holds a part of an unknown name: {}",
                crate::mirror::path::shown(name.as_bytes())
            ))),
        },
    }
}

/// A name of one file, and no way anywhere else.
fn is_plain(name: &str) -> bool {
    let is_fine = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    !name.is_empty() && name.len() <= IDENTITY_NAME_MAX_BYTES && !name.starts_with('.') && name.chars().all(is_fine)
}

fn small(entry: &mut impl Read, size: u64, limit: u64) -> Result<Vec<u8>, Problem> {
    if size > limit {
        return Err(refused(&format!("a part of it has {size} bytes, at most {limit} are read")));
    }
    let mut bytes = Vec::new();
    entry.take(size).read_to_end(&mut bytes).map_err(|error| refused(&error.to_string()))?;
    if bytes.len() as u64 == size { Ok(bytes) } else { Err(refused("its end is missing")) }
}

/// It cannot be restored; nothing was changed.
#[must_use]
pub fn refused(why: &str) -> Problem {
    Problem::new("The backup cannot be restored", why, "Take another backup; nothing was changed.")
}

fn unwritten(error: &io::Error) -> Problem {
    Problem::new("The backup was not made", error.to_string(), "Look at the disk it is written to.")
}

#[cfg(test)]
mod tests;
