//! Owner and group of a path by name (setting `configuration.owners`): numbers of users differ from machine to machine,
//! names are what an operator keeps alike. Pure.
//!
//! An entry carries a small number in place of the names, so that a hundred thousand entries of one owner are no larger than
//! those of none. The number is taken from a digest of the names: it is the same in every run and in the database.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use serde::de::Error as _;
use serde::ser::SerializeTuple;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest as _, Sha256};

/// Longest name of a user or group, bytes.
pub const NAME_MAX_BYTES: usize = 256;
/// Most different pairs of owner and group that one run knows.
pub const PAIRS_MAX: usize = 4_096;

/// Names by number, as far as this run has met them.
static KNOWN: RwLock<BTreeMap<u32, Arc<Names>>> = RwLock::new(BTreeMap::new());

/// Owner and group of an entry.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Owners(u32);

/// The names behind an [`Owners`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Names {
    /// Of the user; empty: it has none where the entry comes from.
    pub owner: String,
    /// Of the group; empty as there.
    pub group: String,
}

impl Owners {
    /// Not mirrored.
    pub const NONE: Self = Self(0);

    /// Of these names; both empty: [`Owners::NONE`].
    ///
    /// # Errors
    /// When one is no name of a user or group, or there are too many.
    pub fn of(owner: &str, group: &str) -> Result<Self, &'static str> {
        if owner.is_empty() && group.is_empty() {
            return Ok(Self::NONE);
        }
        if !is_name(owner) || !is_name(group) {
            return Err("the name of its owner or group is none that a system can have");
        }
        let hash = Sha256::new().chain_update(owner).chain_update([0]).chain_update(group).finalize();
        let number = u32::from_be_bytes([hash[0], hash[1], hash[2], hash[3]]).max(1);
        let names = Names { owner: owner.to_owned(), group: group.to_owned() };
        if let Some(known) = Self(number).names() {
            return if *known == names {
                Ok(Self(number))
            } else {
                Err("its owner and group cannot be told from others")
            };
        }
        let mut all = KNOWN.write().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= PAIRS_MAX {
            return Err("there are too many different owners and groups");
        }
        // Another thread may have come first, with the same names or with others of this number.
        if *all.entry(number).or_insert_with(|| Arc::new(names.clone())).as_ref() == names {
            Ok(Self(number))
        } else {
            Err("its owner and group cannot be told from others")
        }
    }

    /// They are not mirrored.
    #[must_use]
    pub const fn is_none(&self) -> bool {
        self.0 == 0
    }

    /// The names; none: not mirrored.
    #[must_use]
    pub fn names(self) -> Option<Arc<Names>> {
        if self.is_none() {
            return None;
        }
        KNOWN.read().unwrap_or_else(PoisonError::into_inner).get(&self.0).map(Arc::clone)
    }

    /// As the database keeps them.
    #[must_use]
    pub fn number(self) -> u32 {
        self.0
    }

    /// From the database, which has told the names before.
    #[must_use]
    pub fn from_number(number: u32) -> Self {
        Self(number)
    }
}

/// For people: `owner:group`, with `-` where one has no name; nothing where they are not mirrored.
impl fmt::Display for Owners {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(names) = self.names() else { return Ok(()) };
        let or_dash = |name: &'_ str| if name.is_empty() { "-".to_owned() } else { name.to_owned() };
        write!(f, "{}:{}", or_dash(&names.owner), or_dash(&names.group))
    }
}

impl fmt::Debug for Owners {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Owners({self})")
    }
}

/// As a pair of names.
impl Serialize for Owners {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let names = self.names();
        let mut pair = serializer.serialize_tuple(2)?;
        pair.serialize_element(names.as_ref().map_or("", |names| names.owner.as_str()))?;
        pair.serialize_element(names.as_ref().map_or("", |names| names.group.as_str()))?;
        pair.end()
    }
}

impl<'de> Deserialize<'de> for Owners {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (owner, group) = <(String, String)>::deserialize(deserializer)?;
        Self::of(&owner, &group).map_err(D::Error::custom)
    }
}

/// What no system forbids, and no list is broken by.
fn is_name(name: &str) -> bool {
    name.len() <= NAME_MAX_BYTES && !name.chars().any(|c| c.is_control() || matches!(c, ':' | ',' | '\n'))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// spec 5.6: the names come back from the number, from a frame and from a journal
    #[test]
    fn names_come_back() {
        let owners = Owners::of("app", "www").unwrap();
        assert_eq!(Owners::from_number(owners.number()), owners);
        assert_eq!(owners.to_string(), "app:www");
        let bytes = rmp_serde::to_vec(&owners).unwrap();
        assert_eq!(rmp_serde::from_slice::<Owners>(&bytes).unwrap(), owners);
        assert_ne!(Owners::of("www", "app").unwrap(), owners);
        assert_eq!(Owners::of("", "").unwrap(), Owners::NONE);
        assert_eq!(Owners::of("app", "").unwrap().to_string(), "app:-");
    }

    /// spec 5.4: what another machine sends is checked
    #[test]
    fn only_names_are_names() {
        for wrong in ["a:b", "a\n", "a,b", &"x".repeat(NAME_MAX_BYTES + 1)] {
            assert!(Owners::of(wrong, "www").is_err(), "{wrong:?}");
            let bytes = rmp_serde::to_vec(&(wrong, "www")).unwrap();
            assert!(rmp_serde::from_slice::<Owners>(&bytes).is_err());
        }
    }
}
