//! Tells which owners the configuration has and this disk cannot have (setting `configuration.owners`).

use super::MirrorDesk;
use crate::engine::input::Input;
use crate::mirror::NotGiven;
use crate::node::shared::lock;

/// Names in one alert.
const NAMED_MAX: usize = 20;

impl MirrorDesk {
    /// How many users and groups of mirrored files cannot be on this disk, as last told.
    #[must_use]
    pub fn owners_missing(&self) -> u64 {
        lock(&self.not_given).len() as u64
    }

    /// Once for as long as the same names are missing.
    pub(super) fn tell_owners(&self) {
        let now = self.mirror.not_given();
        {
            let mut told = lock(&self.not_given);
            if *told == now {
                return;
            }
            told.clone_from(&now);
        }
        let (code, subject) = ("F-032", String::new());
        self.shared.input_blocking(if now.is_empty() {
            Input::TroubleOver { code, subject }
        } else {
            Input::Trouble { code, subject, why: words(&now) }
        });
    }
}

/// `user app is not known here, group www may not be given`.
fn words(names: &NotGiven) -> String {
    let mut words: Vec<String> = names.iter().take(NAMED_MAX).map(|(name, why)| format!("{name} {why}")).collect();
    if names.len() > NAMED_MAX {
        words.push(format!("and {} more", names.len() - NAMED_MAX));
    }
    words.join(", ")
}
