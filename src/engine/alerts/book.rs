//! The list of open alerts: each trouble once, gone when its cause is (spec 6.2, 6.3).

use std::collections::BTreeMap;

use super::catalogue::entry_of;
use super::{Alert, Severity};
use crate::engine::base::UnixMillis;
use crate::engine::effect::Effect;
use crate::engine::status::AlertCounts;

/// Most open alerts; past it the oldest that is over, or else the oldest, goes.
pub const ALERTS_MAX: usize = 200;
/// Longest `why`, in characters.
pub const ALERT_WHY_MAX: usize = 2_000;

/// What still holds, whether or not its alert was deleted.
#[derive(Clone, Debug)]
struct Cause {
    why: String,
}

/// The open alerts and the causes that hold.
#[derive(Clone, Debug, Default)]
pub struct AlertBook {
    open: BTreeMap<u64, Alert>,
    causes: BTreeMap<(String, String), Cause>,
    next_id: u64,
}

impl AlertBook {
    /// With the alerts kept from earlier runs. Their causes are not known to hold: the engine raises those again, and
    /// what it does not raise again within its first health check is over.
    #[must_use]
    pub fn new(kept: Vec<Alert>) -> Self {
        let next_id = kept.iter().map(|alert| alert.id).max().unwrap_or(0) + 1;
        Self { open: kept.into_iter().map(|alert| (alert.id, alert)).collect(), causes: BTreeMap::new(), next_id }
    }

    /// There is trouble. The same trouble again only counts up.
    pub fn raise(&mut self, now: UnixMillis, code: &str, subject: &str, why: &str, out: &mut Vec<Effect>) {
        let why: String = why.chars().take(ALERT_WHY_MAX).collect();
        self.causes.insert((code.to_owned(), subject.to_owned()), Cause { why: why.clone() });
        let known = self.find(code, subject);
        if let Some(alert) = known.and_then(|id| self.open.get_mut(&id)) {
            let entry = entry_of(code);
            if alert.is_over {
                alert.is_over = false;
                alert.severity = entry.severity;
                alert.since = now;
                what(alert, subject);
            }
            alert.why = why;
            alert.last_seen = now;
            alert.count = alert.count.saturating_add(1);
            out.push(Effect::SaveAlert(Box::new(alert.clone())));
            return;
        }
        self.add(now, code, subject, &why, out);
    }

    /// The trouble holds: raised once, and silent while it is the same.
    pub fn hold(&mut self, now: UnixMillis, code: &str, subject: &str, why: &str, out: &mut Vec<Effect>) {
        if self.cause(code, subject).is_none_or(|cause| cause.why != why) {
            self.raise(now, code, subject, why, out);
        }
    }

    /// The trouble goes on, and more is known of it: it counts no further.
    pub fn reword(&mut self, now: UnixMillis, code: &str, subject: &str, why: &str, out: &mut Vec<Effect>) {
        let why: String = why.chars().take(ALERT_WHY_MAX).collect();
        let Some(cause) = self.causes.get_mut(&(code.to_owned(), subject.to_owned())) else {
            return self.raise(now, code, subject, &why, out);
        };
        if cause.why == why {
            return;
        }
        cause.why.clone_from(&why);
        let known = self.find(code, subject);
        if let Some(alert) = known.and_then(|id| self.open.get_mut(&id)).filter(|alert| !alert.is_over) {
            alert.why = why;
            out.push(Effect::SaveAlert(Box::new(alert.clone())));
        }
    }

    /// Tells of something that happened, and that needs no end (a warning that stays until deleted).
    pub fn tell(&mut self, now: UnixMillis, code: &str, subject: &str, why: &str, out: &mut Vec<Effect>) {
        self.raise(now, code, subject, why, out);
        self.causes.remove(&(code.to_owned(), subject.to_owned()));
    }

    /// The trouble is over: an information takes its place (spec 6.2). Nothing happens if there was none.
    pub fn settle(&mut self, now: UnixMillis, code: &str, subject: &str, out: &mut Vec<Effect>) {
        // Said with every check: nothing is allocated when there is nothing to settle.
        if self.holds(code, subject) {
            self.causes.remove(&(code.to_owned(), subject.to_owned()));
        }
        let Some(id) = self.find(code, subject) else { return };
        let Some(alert) = self.open.get_mut(&id) else { return };
        if alert.is_over {
            return;
        }
        alert.is_over = true;
        alert.severity = Severity::Information;
        alert.last_seen = now;
        alert.what = format!("Over: {}", alert.what);
        alert.why = format!("from {} to {}: {}", alert.since.rfc3339(0), now.rfc3339(0), alert.why);
        out.push(Effect::SaveAlert(Box::new(alert.clone())));
    }

    /// All errors of failed pushes are over: one warning takes their place (spec 6.2).
    pub fn settle_push(&mut self, now: UnixMillis, late: &str, out: &mut Vec<Effect>) {
        self.causes.retain(|(code, _), _| code != "P-010");
        let failed: Vec<Alert> = self.open.values().filter(|alert| alert.code == "P-010").cloned().collect();
        if failed.is_empty() {
            return;
        }
        let since = failed.iter().map(|alert| alert.since).min().unwrap_or(now);
        for alert in failed {
            self.open.remove(&alert.id);
            out.push(Effect::DropAlert { id: alert.id });
        }
        let why = format!("from {} to {}; {late}", since.rfc3339(0), now.rfc3339(0));
        self.tell(now, "P-011", "", &why, out);
    }

    /// Causes that hold and whose alert was deleted come back (spec 6.3).
    pub fn health(&mut self, now: UnixMillis, out: &mut Vec<Effect>) {
        let missing: Vec<(String, String, String)> = self
            .causes
            .iter()
            .filter(|((code, subject), _)| self.find(code, subject).is_none())
            .map(|((code, subject), cause)| (code.clone(), subject.clone(), cause.why.clone()))
            .collect();
        for (code, subject, why) in missing {
            self.add(now, &code, &subject, &why, out);
        }
    }

    /// Alerts kept from an earlier run whose cause was not found again are over. P-010 has its own end.
    pub fn settle_forgotten(&mut self, now: UnixMillis, is_engine_code: fn(&str) -> bool, out: &mut Vec<Effect>) {
        let forgotten: Vec<(String, String)> = self
            .open
            .values()
            .filter(|alert| !alert.is_over && is_engine_code(&alert.code))
            .map(|alert| (alert.code.clone(), alert.subject.clone()))
            .filter(|key| !self.causes.contains_key(key))
            .collect();
        for (code, subject) in forgotten {
            self.settle(now, &code, &subject, out);
        }
    }

    /// `alerts delete ID`; false: there is none.
    pub fn delete(&mut self, id: u64, out: &mut Vec<Effect>) -> bool {
        let found = self.open.remove(&id).is_some();
        if found {
            out.push(Effect::DropAlert { id });
        }
        found
    }

    /// `alerts delete --all`; how many.
    pub fn delete_all(&mut self, out: &mut Vec<Effect>) -> usize {
        let all = std::mem::take(&mut self.open);
        out.extend(all.keys().map(|id| Effect::DropAlert { id: *id }));
        all.len()
    }

    /// Whether the cause holds now.
    #[must_use]
    pub fn holds(&self, code: &str, subject: &str) -> bool {
        self.cause(code, subject).is_some()
    }

    /// Asked for with every input, and there are few: looked for without a key of its own.
    fn cause(&self, code: &str, subject: &str) -> Option<&Cause> {
        self.causes.iter().find(|((cause, of), _)| cause == code && of == subject).map(|(_, cause)| cause)
    }

    /// What its alert says while the cause holds.
    #[must_use]
    pub fn why_of(&self, code: &str, subject: &str) -> Option<&str> {
        if !self.holds(code, subject) {
            return None;
        }
        let is_it = |alert: &&Alert| alert.code == code && alert.subject == subject && !alert.is_over;
        self.open.values().find(is_it).map(|alert| alert.why.as_str())
    }

    /// Whether its alert is open and not over (perhaps from an earlier run).
    #[must_use]
    pub fn is_open(&self, code: &str) -> bool {
        self.open.values().any(|alert| alert.code == code && !alert.is_over)
    }

    /// Newest first.
    #[must_use]
    pub fn list(&self) -> Vec<Alert> {
        let mut list: Vec<Alert> = self.open.values().cloned().collect();
        list.sort_by_key(|alert| std::cmp::Reverse((alert.last_seen, alert.id)));
        list
    }

    /// By severity.
    #[must_use]
    pub fn counts(&self) -> AlertCounts {
        let mut counts = AlertCounts::default();
        for alert in self.open.values() {
            match alert.severity {
                Severity::Error => counts.error += 1,
                Severity::Warning => counts.warning += 1,
                Severity::Information => counts.information += 1,
            }
        }
        counts
    }

    fn find(&self, code: &str, subject: &str) -> Option<u64> {
        self.open.values().find(|alert| alert.code == code && alert.subject == subject).map(|alert| alert.id)
    }

    fn add(&mut self, now: UnixMillis, code: &str, subject: &str, why: &str, out: &mut Vec<Effect>) {
        if self.open.len() >= ALERTS_MAX {
            let oldest = self.open.values().min_by_key(|alert| (!alert.is_over, alert.last_seen, alert.id));
            if let Some(id) = oldest.map(|alert| alert.id) {
                self.delete(id, out);
            }
        }
        let entry = entry_of(code);
        let mut alert = Alert {
            id: self.next_id,
            code: code.to_owned(),
            subject: subject.to_owned(),
            severity: entry.severity,
            category: entry.category,
            what: String::new(),
            why: why.to_owned(),
            means: entry.means.to_owned(),
            todo: entry.todo.to_owned(),
            since: now,
            last_seen: now,
            count: 1,
            actions: entry.actions.to_vec(),
            is_over: false,
        };
        what(&mut alert, subject);
        self.next_id += 1;
        out.push(Effect::SaveAlert(Box::new(alert.clone())));
        self.open.insert(alert.id, alert);
    }
}

fn what(alert: &mut Alert, subject: &str) {
    alert.what = entry_of(&alert.code).what.replace("{}", subject);
}

#[cfg(test)]
mod tests {
    use super::*;

    const T0: UnixMillis = UnixMillis(1_795_356_000_000);
    const T1: UnixMillis = UnixMillis(1_795_356_060_000);

    /// spec 6.2
    #[test]
    fn the_same_trouble_is_one_alert_and_its_end_an_information() {
        let (mut book, mut out) = (AlertBook::default(), Vec::new());
        book.raise(T0, "H-010", "", "no check", &mut out);
        book.raise(T1, "H-010", "", "no check", &mut out);
        assert_eq!(book.list().len(), 1);
        assert_eq!(book.list()[0].count, 2);
        book.settle(T1, "H-010", "", &mut out);
        let list = book.list();
        assert_eq!((list.len(), list[0].severity, list[0].is_over), (1, Severity::Information, true));
        book.raise(T1, "H-010", "", "again", &mut out);
        assert_eq!((book.list().len(), book.list()[0].severity), (1, Severity::Error));
    }

    /// spec 6.2: failed pushes end in one warning.
    #[test]
    fn failed_pushes_end_in_one_warning() {
        let (mut book, mut out) = (AlertBook::default(), Vec::new());
        book.raise(T0, "P-010", "", "link down", &mut out);
        book.settle_push(T1, "revision 4 was late", &mut out);
        let list = book.list();
        assert_eq!((list.len(), list[0].code.as_str(), list[0].severity), (1, "P-011", Severity::Warning));
        assert!(list[0].why.contains("revision 4 was late") && list[0].why.contains("14:00:00"), "{}", list[0].why);
        assert!(out.iter().any(|effect| matches!(effect, Effect::DropAlert { .. })));
    }

    /// spec 6.3
    #[test]
    fn a_deleted_alert_comes_back_while_its_cause_holds() {
        let (mut book, mut out) = (AlertBook::default(), Vec::new());
        book.raise(T0, "H-010", "", "no check", &mut out);
        book.tell(T0, "F-020", "branch", "2 files", &mut out);
        assert_eq!(book.delete_all(&mut out), 2);
        book.health(T1, &mut out);
        assert_eq!(book.list().iter().map(|a| a.code.as_str()).collect::<Vec<_>>(), ["H-010"]);
        book.settle(T1, "H-010", "", &mut out);
        book.delete_all(&mut out);
        book.health(T1, &mut out);
        assert!(book.list().is_empty());
    }

    /// architecture wall 5: the list has a limit.
    #[test]
    fn the_list_is_bounded() {
        let (mut book, mut out) = (AlertBook::default(), Vec::new());
        for n in 0..ALERTS_MAX + 20 {
            book.raise(T0, "F-002", &n.to_string(), "", &mut out);
        }
        assert_eq!(book.list().len(), ALERTS_MAX);
    }
}
