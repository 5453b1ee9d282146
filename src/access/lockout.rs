//! Wrong passwords are slowed down and then locked out for a while (spec 3.3). Counted for each user and address, so that
//! nobody can lock an administrator out from elsewhere.

use std::collections::BTreeMap;

use crate::engine::base::Millis;

/// Wrong passwords without any pause.
pub const FREE_ATTEMPTS: u32 = 5;
/// Wrong passwords until the lock.
pub const ATTEMPTS_MAX: u32 = 10;
/// One address may have so many times more wrong passwords in all, whatever users it invents.
pub const ADDRESS_FACTOR: u32 = 5;
/// The first pause, doubled at each further wrong password.
pub const FIRST_PAUSE_MS: u64 = 1_000;
/// How long a lock holds, and how long a wrong password is remembered.
pub const LOCK_MS: u64 = 15 * 60 * 1_000;
/// Most pairs of user and address remembered.
pub const ENTRIES_MAX: usize = 1_024;
/// Stands for every user of an address.
const ANYBODY: &str = "*";
/// Of a name, only so much tells it apart.
const KEY_MAX_CHARS: usize = 64;

#[derive(Clone, Copy, Debug)]
struct Entry {
    wrong: u32,
    last: Millis,
}

/// How long to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pause {
    /// From now.
    pub for_ms: u64,
    /// The lock, not one of the pauses before it.
    pub is_locked: bool,
}

/// The table.
#[derive(Debug, Default)]
pub struct Lockout {
    entries: BTreeMap<(String, String), Entry>,
}

impl Lockout {
    /// Why an attempt of `user` from `address` is not even looked at; none: it is.
    pub fn pause(&self, user: &str, address: &str, now: Millis) -> Option<Pause> {
        let of_user = self.pause_of(user, address, 1, now);
        let of_address = self.pause_of(ANYBODY, address, ADDRESS_FACTOR, now);
        of_user.into_iter().chain(of_address).max_by_key(|pause| pause.for_ms)
    }

    fn pause_of(&self, user: &str, address: &str, factor: u32, now: Millis) -> Option<Pause> {
        let entry = self.entries.get(&key(user, address))?;
        let wrong = entry.wrong / factor;
        let pause = match wrong {
            0..FREE_ATTEMPTS => return None,
            FREE_ATTEMPTS..ATTEMPTS_MAX => FIRST_PAUSE_MS << (wrong - FREE_ATTEMPTS),
            _ => LOCK_MS,
        };
        let left = pause.saturating_sub(now.since(entry.last));
        (left > 0).then_some(Pause { for_ms: left, is_locked: wrong >= ATTEMPTS_MAX })
    }

    /// Remembers a wrong password.
    pub fn count(&mut self, user: &str, address: &str, now: Millis) {
        self.entries.retain(|_, entry| now.since(entry.last) < LOCK_MS);
        for user in [user, ANYBODY] {
            let key = key(user, address);
            if self.entries.len() >= ENTRIES_MAX && !self.entries.contains_key(&key) {
                self.make_room();
            }
            let entry = self.entries.entry(key).or_insert(Entry { wrong: 0, last: now });
            entry.wrong = entry.wrong.saturating_add(1);
            entry.last = now;
        }
    }

    /// Drops the one with the fewest wrong passwords, of these the oldest: many invented names do not wash out a lock.
    fn make_room(&mut self) {
        let weakest =
            self.entries.iter().min_by_key(|(_, entry)| (entry.wrong, entry.last)).map(|(key, _)| key.clone());
        if let Some(key) = weakest {
            self.entries.remove(&key);
        }
    }

    /// The password was right.
    pub fn forget(&mut self, user: &str, address: &str) {
        self.entries.remove(&key(user, address));
    }

    /// The user has another password now.
    pub fn forget_user(&mut self, user: &str) {
        let (user, _) = key(user, "");
        self.entries.retain(|(name, _), _| *name != user);
    }

    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.entries.len()
    }
}

fn key(user: &str, address: &str) -> (String, String) {
    (user.chars().take(KEY_MAX_CHARS).collect(), address.chars().take(KEY_MAX_CHARS).collect())
}
