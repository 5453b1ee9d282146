//! Users and groups of this machine, as far as the mirror needs them (setting `configuration.owners`).
//!
//! An entry names its owner; a file on the disk has a number. A name that is not known here, or that this instance may not
//! give a file to, cannot be on this disk. Such a name counts as given: the digest says what the master has, and what of it
//! cannot be here is told by name. Every other difference of owners is a difference as one of content is.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Read;
use std::os::fd::AsFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use nix::unistd::{Group, User};
use rustix::fs::{AtFlags, Gid, Mode, Stat, Uid, chmodat, chownat, fchown};
use rustix::io::Errno;

use super::owners::Owners;
use super::tree::{Entry, Tree};
use crate::engine::order::FileKind;

/// Where Linux tells what this process may do.
const STATUS: &str = "/proc/self/status";
/// Bytes of it that are read.
const STATUS_MAX_BYTES: u64 = 64 * 1024;
/// `CAP_CHOWN` to give, and `CAP_DAC_OVERRIDE`, `CAP_FOWNER` and `CAP_FSETID` to read and change what was given away.
const NEEDED: u64 = 0b1_1011;
/// Bits of a mode that a change of the owner takes away.
const SET_ID_BITS: u32 = 0o6000;

/// The users and groups of a machine.
pub trait UserBook: Send + Sync {
    /// Name of a user.
    fn user(&self, id: u32) -> Option<String>;
    /// Name of a group.
    fn group(&self, id: u32) -> Option<String>;
    /// Number of a user.
    fn user_id(&self, name: &str) -> Option<u32>;
    /// Number of a group.
    fn group_id(&self, name: &str) -> Option<u32>;
    /// What this process may give.
    fn rights(&self) -> Rights;
}

/// To whom this process may give a file of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rights {
    /// To everybody.
    pub is_free: bool,
    /// Who it is: a file that it makes belongs to this user.
    pub user: u32,
    /// And to this group.
    pub group: u32,
    /// Groups it is in.
    pub groups: BTreeSet<u32>,
}

/// What the system says, whichever way it keeps its users.
pub struct System;

impl UserBook for System {
    fn user(&self, id: u32) -> Option<String> {
        User::from_uid(id.into()).ok().flatten().map(|user| user.name)
    }

    fn group(&self, id: u32) -> Option<String> {
        Group::from_gid(id.into()).ok().flatten().map(|group| group.name)
    }

    fn user_id(&self, name: &str) -> Option<u32> {
        User::from_name(name).ok().flatten().map(|user| user.uid.as_raw())
    }

    fn group_id(&self, name: &str) -> Option<u32> {
        Group::from_name(name).ok().flatten().map(|group| group.gid.as_raw())
    }

    fn rights(&self) -> Rights {
        let (user, group) = (rustix::process::geteuid(), rustix::process::getegid());
        let mut groups: BTreeSet<u32> =
            rustix::process::getgroups().unwrap_or_default().into_iter().map(Gid::as_raw).collect();
        groups.insert(group.as_raw());
        let is_free = capabilities().map_or(user.is_root(), |effective| effective & NEEDED == NEEDED);
        Rights { is_free, user: user.as_raw(), group: group.as_raw(), groups }
    }
}

/// Of this process, in force.
fn capabilities() -> Option<u64> {
    let mut text = String::new();
    File::open(STATUS).ok()?.take(STATUS_MAX_BYTES).read_to_string(&mut text).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("CapEff:"))?;
    u64::from_str_radix(line.trim(), 16).ok()
}

/// A name on this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// None is named.
    Unnamed,
    /// Its number.
    Is(u32),
    /// Not known here.
    Unknown,
    /// Known, and this process may not give it.
    Forbidden,
}

impl Place {
    /// `id` on the disk is as good as it can be.
    fn is_met_by(self, id: u32) -> bool {
        match self {
            Self::Is(own) => own == id,
            Self::Unnamed | Self::Unknown | Self::Forbidden => true,
        }
    }

    /// The name can be on the disk.
    fn can_be(self) -> bool {
        matches!(self, Self::Is(_) | Self::Unnamed)
    }

    fn id(self) -> Option<u32> {
        if let Self::Is(id) = self { Some(id) } else { None }
    }
}

/// For one look at the directory: each name and number is asked for once.
pub struct Accounts {
    book: Arc<dyn UserBook>,
    rights: Rights,
    asked: Mutex<Asked>,
    refused: Arc<Refused>,
}

#[derive(Default)]
struct Asked {
    places: BTreeMap<Owners, (Place, Place)>,
    users: BTreeMap<u32, String>,
    groups: BTreeMap<u32, String>,
    /// What [`Accounts::found`] said, so that a hundred thousand files of one owner are thought of once.
    found: BTreeMap<(Owners, u32, u32), Result<Owners, &'static str>>,
}

/// What the system refused to give, though its rules seemed to allow it.
pub(super) type Refused = Mutex<BTreeSet<Owners>>;

impl Accounts {
    /// Of this moment.
    pub(super) fn new(book: Arc<dyn UserBook>, refused: Arc<Refused>) -> Self {
        Self { rights: book.rights(), book, asked: Mutex::default(), refused }
    }

    /// Who a file that Standin makes belongs to.
    pub(super) fn own(&self) -> Owners {
        let Rights { user, group, .. } = self.rights;
        Owners::of(&self.user(user), &self.group(group)).unwrap_or_default()
    }

    fn refused(&self) -> MutexGuard<'_, BTreeSet<Owners>> {
        self.refused.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> MutexGuard<'_, Asked> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Owner and group on this machine.
    fn places(&self, owners: Owners) -> (Place, Place) {
        if self.refused().contains(&owners) {
            return (Place::Forbidden, Place::Forbidden);
        }
        let mut asked = self.lock();
        if let Some(places) = asked.places.get(&owners) {
            return *places;
        }
        let Rights { is_free, user, groups, .. } = &self.rights;
        let place = |name: &str, id: Option<u32>, is_own: &dyn Fn(u32) -> bool| match id {
            _ if name.is_empty() => Place::Unnamed,
            None => Place::Unknown,
            Some(id) if *is_free || is_own(id) => Place::Is(id),
            Some(_) => Place::Forbidden,
        };
        let places = owners.names().map_or((Place::Unnamed, Place::Unnamed), |names| {
            (
                place(&names.owner, self.book.user_id(&names.owner), &|id| id == *user),
                place(&names.group, self.book.group_id(&names.group), &|id| groups.contains(&id)),
            )
        });
        asked.places.insert(owners, places);
        places
    }

    fn user(&self, id: u32) -> String {
        let mut asked = self.lock();
        asked.users.entry(id).or_insert_with(|| self.book.user(id).unwrap_or_default()).clone()
    }

    fn group(&self, id: u32) -> String {
        let mut asked = self.lock();
        asked.groups.entry(id).or_insert_with(|| self.book.group(id).unwrap_or_default()).clone()
    }

    /// What a file on the disk counts as that should belong to `wanted`.
    fn checked(&self, wanted: Owners, uid: u32, gid: u32) -> Owners {
        let (owner, group) = self.places(wanted);
        if owner.is_met_by(uid) && group.is_met_by(gid) {
            return wanted;
        }
        // Names that cannot be had make no entry: it differs from what is wanted all the same.
        Owners::of(&self.user(uid), &self.group(gid)).unwrap_or_default()
    }

    /// What a file on the master's disk belongs to. What could not be given to it here stays as `known`.
    fn found(&self, known: Owners, uid: u32, gid: u32) -> Result<Owners, &'static str> {
        let key = (known, uid, gid);
        if let Some(found) = self.lock().found.get(&key) {
            return *found;
        }
        let found = self.find(known, uid, gid);
        self.lock().found.insert(key, found);
        found
    }

    fn find(&self, known: Owners, uid: u32, gid: u32) -> Result<Owners, &'static str> {
        let (owner, group) = self.places(known);
        let names = known.names();
        let stays = |place: Place, id: u32, own: u32, now: &str| match place {
            Place::Is(is) => is == id,
            Place::Unnamed => false,
            Place::Unknown | Place::Forbidden => id == own || now.is_empty(),
        };
        let (user, of_group) = (self.user(uid), self.group(gid));
        let owner = match &names {
            Some(names) if stays(owner, uid, self.rights.user, &user) => &names.owner,
            _ => &user,
        };
        let group = match &names {
            Some(names) if stays(group, gid, self.rights.group, &of_group) => &names.group,
            _ => &of_group,
        };
        Owners::of(owner, group)
    }

    /// Numbers that a path of `owners` gets here; none: it keeps what it has.
    fn numbers(&self, owners: Owners) -> (Option<u32>, Option<u32>) {
        if owners.is_none() {
            return (None, None);
        }
        let (owner, group) = self.places(owners);
        (owner.id(), group.id())
    }

    /// Nobody gave it away since Standin wrote it.
    pub(super) fn is_own(&self, stat: &Stat) -> bool {
        stat.st_uid == self.rights.user
    }

    /// Gives an open file or directory that has `stat` to `owners`, where this machine can, or else to Standin's own user: what
    /// is written anew belongs to nobody who is not meant. True: something changed.
    pub(super) fn give(&self, fd: impl AsFd, owners: Owners, stat: &Stat) -> rustix::io::Result<bool> {
        let (owner, group) = self.places(owners);
        let own = |place: Place, own: u32| if place == Place::Unnamed { None } else { Some(place.id().unwrap_or(own)) };
        let numbers = (own(owner, self.rights.user), own(group, self.rights.group));
        let (uid, gid) = still_to_give(numbers, stat);
        if uid.is_none() && gid.is_none() {
            return Ok(false);
        }
        self.tolerated(owners, fchown(fd, uid, gid))
    }

    /// The same by name, without following a link. The mode that the change of owner takes away is put back.
    pub(super) fn give_at(
        &self,
        directory: impl AsFd,
        name: &[u8],
        entry: Entry,
        stat: &Stat,
    ) -> rustix::io::Result<bool> {
        let (uid, gid) = still_to_give(self.numbers(entry.owners), stat);
        if uid.is_none() && gid.is_none() {
            return Ok(false);
        }
        let given = chownat(&directory, name, uid, gid, AtFlags::SYMLINK_NOFOLLOW);
        let is_given = self.tolerated(entry.owners, given)?;
        if is_given && entry.kind != FileKind::Link && entry.mode & SET_ID_BITS != 0 {
            chmodat(&directory, name, Mode::from_raw_mode(entry.mode), AtFlags::empty())?;
        }
        Ok(is_given)
    }

    /// What the system refuses cannot be here: it counts as what this process may not give.
    fn tolerated(&self, owners: Owners, given: rustix::io::Result<()>) -> rustix::io::Result<bool> {
        match given {
            Ok(()) => Ok(true),
            Err(Errno::PERM | Errno::INVAL | Errno::OPNOTSUPP) => {
                self.refused().insert(owners);
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    /// Each name of `used` that cannot be on this disk, in words, with why.
    pub(super) fn not_given(&self, used: &BTreeSet<Owners>) -> BTreeMap<String, &'static str> {
        let mut names = BTreeMap::new();
        for owners in used {
            let Some(of) = owners.names() else { continue };
            let (owner, group) = self.places(*owners);
            for (place, text) in [(owner, format!("user {}", of.owner)), (group, format!("group {}", of.group))] {
                if !place.can_be() {
                    let why = if place == Place::Unknown { "is not known here" } else { "may not be given" };
                    names.insert(text, why);
                }
            }
        }
        names
    }
}

/// Those of owner and group that the file has not already.
fn still_to_give((uid, gid): (Option<u32>, Option<u32>), stat: &Stat) -> (Option<Uid>, Option<Gid>) {
    let uid = uid.filter(|uid| *uid != stat.st_uid).map(Uid::from_raw);
    (uid, gid.filter(|gid| *gid != stat.st_gid).map(Gid::from_raw))
}

/// How a scan comes to the owners of what it finds.
#[derive(Clone, Copy, Default)]
pub struct Belongs<'a> {
    /// From the disk.
    pub(super) how: How<'a>,
    /// What is wanted there, where it is not the known tree that says so.
    pub(super) wanted: Option<&'a Tree>,
}

/// See [`Belongs`].
#[derive(Clone, Copy, Default)]
pub(super) enum How<'a> {
    /// The disk is not asked: they are what is wanted.
    #[default]
    AsWanted,
    /// They are not mirrored.
    Never,
    /// What is wanted, or what the disk has in its place.
    Checked(&'a Accounts),
    /// What the disk has.
    Found(&'a Accounts),
}

impl std::fmt::Debug for Belongs<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self.how {
            How::AsWanted => "as wanted",
            How::Never => "never",
            How::Checked(_) => "checked",
            How::Found(_) => "found",
        })
    }
}

impl<'a> Belongs<'a> {
    /// The disk is not asked.
    pub const AS_WANTED: Self = Self { how: How::AsWanted, wanted: None };

    /// What this disk has is compared with what is known; none: the setting is off.
    #[must_use]
    pub fn checked(accounts: Option<&'a Accounts>) -> Self {
        Self { how: accounts.map_or(How::AsWanted, How::Checked), wanted: None }
    }

    /// What this disk has is what is; none: the setting is off.
    #[must_use]
    pub fn found(accounts: Option<&'a Accounts>) -> Self {
        Self { how: accounts.map_or(How::Never, How::Found), wanted: None }
    }

    /// What is wanted stands in this tree.
    #[must_use]
    pub fn towards(self, wanted: &'a Tree) -> Self {
        Self { wanted: Some(wanted), ..self }
    }

    /// `entry` as found, with its owners.
    ///
    /// # Errors
    /// Why its owners cannot be mirrored.
    pub(super) fn of(
        &self,
        entry: Entry,
        path: &super::path::RelPath,
        known: Option<Entry>,
        stat: &Stat,
    ) -> Result<Entry, &'static str> {
        let wanted = self.wanted.and_then(|tree| tree.get(path)).or(known);
        let wanted = wanted.filter(|wanted| wanted.kind == entry.kind).map_or(Owners::NONE, |wanted| wanted.owners);
        let owners = match self.how {
            How::AsWanted => wanted,
            How::Never => Owners::NONE,
            How::Checked(_) if wanted.is_none() => wanted,
            How::Checked(accounts) => accounts.checked(wanted, stat.st_uid, stat.st_gid),
            How::Found(accounts) => accounts.found(wanted, stat.st_uid, stat.st_gid)?,
        };
        Ok(Entry { owners, ..entry })
    }
}
