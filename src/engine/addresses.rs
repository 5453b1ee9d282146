//! Virtual addresses (spec 7.14), as far as rules go: what is told, alerted and compared. They are raised before the
//! service starts and withdrawn after it has stopped, both by the node as a part of starting and stopping it, so that
//! *stopped* means that they are gone too.

use super::core::Engine;
use super::message::AddressesTold;
use super::settings::table::ADDRESSES_MAX;
use super::status::AddressStatus;
use super::takeover::cut;

/// The own ones.
#[derive(Clone, Debug, Default)]
pub(super) struct OwnAddresses {
    /// As the node last saw them.
    pub list: Vec<AddressStatus>,
    /// As the master was last told over this connection.
    pub told: Option<AddressesTold>,
    /// For what the alerts stand: the list, and whether this instance was active.
    judged: Option<(Vec<AddressStatus>, bool)>,
}

impl Engine {
    /// The node looked.
    pub(super) fn addresses_came(&mut self, mut list: Vec<AddressStatus>) {
        list.truncate(ADDRESSES_MAX);
        self.addresses.list = list;
    }

    /// Alerts stand exactly while their cause does.
    pub(super) fn judge_addresses(&mut self) {
        let is_active = self.is_active();
        let is_judged = self
            .addresses
            .judged
            .as_ref()
            .is_some_and(|(list, was_active)| *was_active == is_active && *list == self.addresses.list);
        if is_judged {
            return;
        }
        let new = self.addresses.list.clone();
        let old = self.addresses.judged.replace((new.clone(), is_active)).map_or_else(Vec::new, |(list, _)| list);
        for gone in old.iter().filter(|old| !new.iter().any(|address| address.address == old.address)) {
            for code in ["A-001", "A-002", "A-003"] {
                self.settle(code, &gone.address);
            }
        }
        for address in new {
            let (here, later) = if is_active { ("A-001", "A-002") } else { ("A-002", "A-001") };
            self.settle(later, &address.address);
            match &address.problem {
                Some(why) => self.hold_alert(here, &address.address, why),
                None => self.settle(here, &address.address),
            }
            match &address.used_by {
                Some(other) => self.hold_alert("A-003", &address.address, &format!("{other} answers for it")),
                None => self.settle("A-003", &address.address),
            }
        }
    }

    /// For the master; none: it knows.
    pub(super) fn take_address_news(&mut self) -> Option<AddressesTold> {
        let told = AddressesTold {
            list: self.settings.addresses.iter().map(|address| address.address.clone()).take(ADDRESSES_MAX).collect(),
            problem: self.own_addresses_problem(),
        };
        if self.addresses.told.as_ref() == Some(&told) {
            return None;
        }
        self.addresses.told = Some(told.clone());
        Some(told)
    }

    /// Why a takeover would leave clients without an address.
    pub(super) fn own_addresses_problem(&self) -> Option<String> {
        let failing = self.addresses.list.iter().find(|address| address.problem.is_some())?;
        let mut why = format!(
            "virtual address {} would be missing: {}",
            failing.address,
            failing.problem.as_deref().unwrap_or_default()
        );
        cut(&mut why);
        Some(why)
    }

    /// The shadow told; whatever comes from it is bounded.
    pub(super) fn peer_addresses_told(&mut self, mut told: AddressesTold) {
        told.list.truncate(ADDRESSES_MAX);
        told.list.iter_mut().chain(told.problem.as_mut()).for_each(cut);
        self.reign.peer_addresses = Some(told);
        self.judge_peer_addresses();
    }

    /// A difference that would hurt at a takeover (spec 2.6).
    pub(super) fn judge_peer_addresses(&mut self) {
        match self.peer_lacks_addresses().filter(|_| self.is_master()) {
            Some(why) => {
                if self.book.why_of("A-004", "") != Some(why.as_str()) {
                    self.hold_alert("A-004", "", &why);
                }
            }
            None => self.settle("A-004", ""),
        }
    }

    /// What the shadow would lack; none: nothing, or it told nothing yet.
    pub(super) fn peer_lacks_addresses(&self) -> Option<String> {
        let told = self.reign.peer_addresses.as_ref()?;
        let name = self.peer_name();
        let wanted = &self.settings.addresses;
        if let Some(missing) = wanted.iter().find(|own| !told.list.contains(&own.address)) {
            return Some(format!("{name} has no virtual address {} in its settings", missing.address));
        }
        told.problem.as_ref().map(|why| format!("on {name}, {why}"))
    }
}
