//! What each instance keeps for itself and must have to take over: compared, so that a difference is known beforehand (spec 2.6).

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::core::Engine;
use super::message::Body;
use super::settings::Settings;
use super::settings::patterns::{PATTERN_MAX_BYTES, PATTERNS_MAX};

/// Longest text of a kit, in characters.
pub const KIT_TEXT_MAX: usize = 80;
/// Longest sentence of a kit that says what is wrong, in characters.
pub const KIT_PROBLEM_MAX: usize = 400;
/// Most items of a list of a kit.
pub const KIT_LIST_MAX: usize = 16;
/// Patterns named of one side that the other has not.
const PATTERNS_NAMED_MAX: usize = 5;

/// What an instance has for a takeover: names and counts, no secrets.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Kit {
    /// `none`, `command` or what else there is.
    pub service: String,
    /// Of the service: the command, or the unit.
    pub service_name: String,
    /// Names of the hooks that are set.
    pub hooks: Vec<String>,
    /// Number of takeover checks.
    pub checks: u16,
    /// Endpoints and prefix of the arbiter; empty: none.
    pub arbiter: Vec<String>,
    /// Which one answers, by the mark of its record; 0: not known.
    pub arbiter_mark: u64,
    /// Virtual addresses.
    pub addresses: Vec<String>,
    /// Patterns of what is left out of the mirror, in their order, which counts; at most [`PATTERNS_MAX`]. None: its version
    /// does not tell.
    pub exclude: Option<Vec<String>>,
    /// Owner and group are mirrored; none: its version does not tell.
    pub owners: Option<bool>,
    /// File name of the program that judges changes; empty: none judges them. None: its version does not tell.
    pub validate: Option<String>,
    /// The service could not be started when that was last tried; why. None: it could, or nobody has tried since.
    pub start_problem: Option<String>,
    /// Why it could not be started now, as far as can be seen without trying.
    pub ahead_problem: Option<String>,
    /// What only the node knows.
    pub facts: OwnFacts,
}

/// What only the node knows of a kit.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct OwnFacts {
    /// Digest of the sorted names of the local users; empty: not known.
    pub users_digest: String,
    /// How many.
    pub users: u32,
    /// One of them is an administrator.
    pub has_administrator: bool,
    /// The operating system's user that runs Standin; empty: not known.
    pub runs_as: String,
}

/// The own kit as last told, and the peer's as last heard.
#[derive(Clone, Debug, Default)]
pub(super) struct Kits {
    facts: OwnFacts,
    /// Of the arbiter's settings in force; 0: not known.
    mark: u64,
    told: Option<Kit>,
    /// What was told was made of these settings: with the same ones, and the same facts, there is nothing new.
    told_of: Option<Arc<Settings>>,
    theirs: Option<Box<Kit>>,
    /// See [`Kit::start_problem`].
    start_problem: Option<String>,
    /// See [`Kit::ahead_problem`].
    ahead_problem: Option<String>,
}

/// Alert of a shadow whose service did not start when that was last tried.
const NOT_STARTED: &str = "V-012";

impl Kit {
    /// Limited: whatever the other end sends (spec 2.6).
    fn limited(mut self) -> Self {
        let cut_at = |text: &mut String, most: usize| {
            if let Some((at, _)) = text.char_indices().nth(most) {
                text.truncate(at);
            }
        };
        let cut = |text: &mut String| cut_at(text, KIT_TEXT_MAX);
        for list in [&mut self.hooks, &mut self.arbiter, &mut self.addresses] {
            list.truncate(KIT_LIST_MAX);
            list.iter_mut().for_each(cut);
        }
        if let Some(patterns) = &mut self.exclude {
            patterns.truncate(PATTERNS_MAX);
            patterns.iter_mut().for_each(|pattern| *pattern = pattern.chars().take(PATTERN_MAX_BYTES).collect());
        }
        for problem in [&mut self.start_problem, &mut self.ahead_problem].into_iter().flatten() {
            cut_at(problem, KIT_PROBLEM_MAX);
        }
        cut(&mut self.service);
        cut(&mut self.service_name);
        self.validate.iter_mut().for_each(cut);
        cut(&mut self.facts.users_digest);
        cut(&mut self.facts.runs_as);
        self
    }

    fn of(settings: &Settings, service: &str, facts: &OwnFacts) -> Self {
        let hooks = &settings.hooks;
        let set = [
            ("become_master", &hooks.become_master),
            ("become_shadow", &hooks.become_shadow),
            ("new_configuration", &hooks.new_configuration),
        ];
        let hooks = set.iter().filter(|(_, argv)| !argv.is_empty()).map(|(name, _)| (*name).to_owned()).collect();
        let mut arbiter = settings.arbiter.endpoints.clone();
        arbiter.sort();
        if settings.arbiter.is_set() {
            arbiter.push(format!("keys under {}", settings.arbiter.prefix));
        }
        let name_of = |argv: &[String]| {
            let program = argv.first().map_or("", String::as_str);
            program.rsplit('/').next().unwrap_or(program).to_owned()
        };
        Self {
            service: service.to_owned(),
            service_name: name_of(&settings.service.command),
            hooks,
            checks: u16::try_from(settings.takeover_checks.count()).unwrap_or(u16::MAX),
            arbiter,
            arbiter_mark: 0,
            addresses: settings.addresses.iter().map(|address| address.address.clone()).collect(),
            exclude: Some(settings.configuration.exclude.clone()),
            owners: Some(settings.configuration.owners),
            validate: Some(name_of(&settings.configuration.validate.command)),
            start_problem: None,
            ahead_problem: None,
            facts: facts.clone(),
        }
        .limited()
    }
}

/// What would hurt at a takeover, one sentence each; `who` is the other instance.
#[must_use]
fn differences(own: &Kit, theirs: &Kit, who: &str) -> Vec<String> {
    let mut list = Vec::new();
    if own == theirs && (own.facts.has_administrator || own.facts.users_digest.is_empty()) {
        return list;
    }
    let mut differ = |what: &str, here: String, there: String| {
        if here != there {
            list.push(format!("{what}: here {here}, on {who} {there}"));
        }
    };
    let or_none = |text: &str| if text.is_empty() { "none".to_owned() } else { text.to_owned() };
    let joined = |items: &[String]| if items.is_empty() { "none".to_owned() } else { items.join(", ") };
    differ("service", own.service.clone(), theirs.service.clone());
    if own.service == theirs.service {
        differ("command of the service", or_none(&own.service_name), or_none(&theirs.service_name));
    }
    differ("hooks", joined(&own.hooks), joined(&theirs.hooks));
    differ("number of takeover checks", own.checks.to_string(), theirs.checks.to_string());
    differ("arbiter", joined(&own.arbiter), joined(&theirs.arbiter));
    differ("virtual addresses", joined(&own.addresses), joined(&theirs.addresses));
    if let (Some(own), Some(theirs)) = (own.owners, theirs.owners) {
        let word = |is_on: bool| if is_on { "mirrored" } else { "not mirrored" }.to_owned();
        differ("owner and group of files (configuration.owners)", word(own), word(theirs));
    }
    if let (Some(own), Some(theirs)) = (&own.validate, &theirs.validate) {
        differ("program that judges changes (configuration.validate)", or_none(own), or_none(theirs));
    }
    let (mine, other) = (&own.facts, &theirs.facts);
    if !mine.runs_as.is_empty() && !other.runs_as.is_empty() {
        differ("user that runs Standin", mine.runs_as.clone(), other.runs_as.clone());
    }
    if let (Some(own), Some(theirs)) = (&own.exclude, &theirs.exclude) {
        list.extend(pattern_difference(own, theirs, who));
    }
    if !mine.users_digest.is_empty() && !other.users_digest.is_empty() {
        if mine.users_digest != other.users_digest {
            list.push(format!("users: {} here, {} on {who}, not the same names", mine.users, other.users));
        }
        for (who, facts) in [("here", mine), (who, other)] {
            if !facts.has_administrator {
                list.push(format!(
                    "users: no administrator {}",
                    if who == "here" { "here".into() } else { format!("on {who}") }
                ));
            }
        }
    }
    list
}

/// What one leaves out of the mirror and the other does not (spec 5.2): as patterns, those in question alone.
fn pattern_difference(own: &[String], theirs: &[String], who: &str) -> Option<String> {
    if own == theirs {
        return None;
    }
    let missing = |from: &[String], to: &[String]| {
        let alone: Vec<&str> = from.iter().filter(|pattern| !to.contains(pattern)).map(String::as_str).collect();
        let named = alone.iter().take(PATTERNS_NAMED_MAX).copied().collect::<Vec<_>>().join(" ");
        let more = alone.len().saturating_sub(PATTERNS_NAMED_MAX);
        match (alone.len(), more) {
            (0, _) => None,
            (_, 0) => Some(named),
            _ => Some(format!("{named} and {more} more")),
        }
    };
    let sides = [("here", missing(own, theirs)), (&*format!("on {who}"), missing(theirs, own))]
        .into_iter()
        .filter_map(|(side, patterns)| patterns.map(|patterns| format!("only {side} {patterns}")))
        .collect::<Vec<_>>();
    let what = "left out of the mirror (configuration.exclude)";
    // The order counts: a later pattern may take back what an earlier one says.
    Some(if sides.is_empty() {
        format!("{what}: in another order on {who}")
    } else {
        format!("{what}: {}", sides.join(", "))
    })
}

impl Engine {
    /// What this instance has now.
    pub(super) fn own_kit(&self) -> Kit {
        let kit = Kit::of(&self.in_force(), &self.facts.service_kind, &self.kits.facts);
        Kit {
            arbiter_mark: self.kits.mark,
            start_problem: self.kits.start_problem.clone(),
            ahead_problem: self.kits.ahead_problem.clone(),
            ..kit
        }
        .limited()
    }

    /// Which arbiter answers here; 0: not known any more.
    pub(super) fn mark_told(&mut self, mark: u64) {
        if self.kits.mark != mark {
            self.kits.mark = mark;
            self.kits.told_of = None;
        }
    }

    /// Whether the service starts here, as last seen; new settings of it have not been tried yet.
    pub(super) fn start_tried(&mut self, problem: Option<&str>) {
        if self.kits.start_problem.as_deref() != problem {
            self.kits.start_problem = problem.map(str::to_owned);
            self.kits.told_of = None;
        }
        self.start_alert();
    }

    /// What an earlier run of this shadow found: a restart mends no service (spec 6.6, 8.9).
    pub(super) fn start_remembered(&mut self) {
        let is_it = |alert: &super::alerts::Alert| alert.code == NOT_STARTED && !alert.is_over;
        self.kits.start_problem = self.book.list().into_iter().find(is_it).map(|alert| alert.why);
    }

    /// What is known of a start of the service here.
    pub(super) fn shadow_service_alerts(&mut self) {
        self.ahead_alert();
        self.start_alert();
    }

    /// It concerns whoever has to start it next: the shadow. The active instance has V-001, or has started it.
    fn start_alert(&mut self) {
        match self.kits.start_problem.clone().filter(|_| self.is_shadow()) {
            Some(why) => self.hold_alert(NOT_STARTED, "", &why),
            None => self.settle(NOT_STARTED, ""),
        }
    }

    /// Deleting its alert is the operator's word that it is mended: nobody tries a shadow's service (spec 6.3).
    pub(super) fn start_forgotten(&mut self, deleted: &str) {
        if deleted == NOT_STARTED {
            self.start_tried(None);
        }
    }

    /// What that says of a takeover: here on a shadow, there on its master (spec 8.9).
    pub(super) fn start_problem(&self) -> Option<String> {
        let (problem, place) = if self.is_master() {
            (self.kits.theirs.as_ref()?.start_problem.as_ref()?, "there")
        } else {
            (self.kits.start_problem.as_ref()?, "here")
        };
        Some(format!("the service could not be started {place} when that was last tried: {problem}"))
    }

    /// The node looked whether the service could be started here.
    pub(super) fn service_ahead(&mut self, problem: Option<String>) {
        self.kits.ahead_problem = problem;
        self.kits.told_of = None;
        self.ahead_alert();
    }

    /// It concerns whoever would have to start it: the shadow. The active instance has it running, or V-001.
    fn ahead_alert(&mut self) {
        match self.kits.ahead_problem.clone().filter(|_| self.is_shadow()) {
            Some(why) => self.hold_alert("V-009", "", &why),
            None => self.settle("V-009", ""),
        }
    }

    /// Why the shadow could not start the service: here on a shadow, there on its master.
    pub(super) fn ahead_problem(&self) -> Option<&str> {
        let kit = self.kits.theirs.as_deref().filter(|_| self.is_master());
        kit.map_or(self.kits.ahead_problem.as_deref().filter(|_| self.is_shadow()), |kit| kit.ahead_problem.as_deref())
    }

    /// The node found out something.
    pub(super) fn facts_changed(&mut self, facts: OwnFacts) {
        self.kits.facts = facts;
        self.kits.told_of = None;
    }

    /// Tells the peer when the own kit has changed since it was told.
    pub(super) fn plan_kit(&mut self) {
        let settings = self.in_force();
        if self.kits.told_of.as_ref().is_some_and(|told| Arc::ptr_eq(told, &settings)) {
            return;
        }
        let links = self.live_links();
        if links.is_empty() {
            return;
        }
        self.kits.told_of = Some(settings);
        let own = self.own_kit();
        if self.kits.told.as_ref() == Some(&own) {
            return;
        }
        self.kits.told = Some(own.clone());
        for id in links {
            self.send(id, Body::Kit(Box::new(own.clone())));
        }
        self.compare_kits();
    }

    /// With a hello the own kit is told too.
    pub(super) fn kit_for_hello(&self) -> Box<Kit> {
        Box::new(self.own_kit())
    }

    pub(super) fn kit_came(&mut self, kit: Kit) {
        let kit = kit.limited();
        // What it said of its service when it connected may be old.
        for hello in [&mut self.reign.hello, &mut self.watch.master].into_iter().flatten() {
            if !kit.service.is_empty() {
                hello.service.clone_from(&kit.service);
            }
        }
        self.kits.theirs = Some(Box::new(kit));
        self.compare_kits();
    }

    fn compare_kits(&mut self) {
        let mismatch = self.arbiter_mismatch();
        match &mismatch {
            Some(why) => self.hold_alert("H-029", "", why),
            None => self.settle("H-029", ""),
        }
        // After a restart of this shadow alone the arbiter's grant must not stand in for knowing it (spec 7.4).
        let differs = mismatch.is_some();
        if self.is_shadow() && self.drafted().arbiter_differs != differs {
            let draft = super::durable::Durable { arbiter_differs: differs, ..self.draft() };
            self.write(draft, super::then::Then::Nothing);
        }
        let shares = self.has_arbiter();
        if self.kits.theirs.is_some() && !differs && self.drafted().shares_arbiter != shares {
            let draft = super::durable::Durable { shares_arbiter: shares, ..self.draft() };
            self.write(draft, super::then::Then::Nothing);
        }
        let list = self.kit_differences();
        if list.is_empty() {
            self.settle("H-027", "");
        } else {
            self.hold_alert("H-027", "", &list.join("; "));
        }
    }

    /// The two do not agree on who decides: one would take over, or go on, by a rule that the other does not know (spec 7.11).
    /// Endpoints may differ, they can lead to one arbiter.
    pub(super) fn arbiter_mismatch(&self) -> Option<String> {
        let theirs = self.kits.theirs.as_ref().filter(|_| self.peer().is_some())?;
        if !self.in_force().arbiter.is_set() && theirs.arbiter.is_empty() {
            return None;
        }
        let own = self.own_kit();
        if own.arbiter.last() == theirs.arbiter.last() {
            let (here, there) = (own.arbiter_mark, theirs.arbiter_mark);
            return (here != 0 && there != 0 && here != there).then(|| {
                let peer = self.peer_name();
                format!("two etcds answer: the one here has the mark {here:x}, that of {peer} {there:x}")
            });
        }
        let of =
            |kit: &Kit| kit.arbiter.last().map_or("no arbiter".to_owned(), |keys| format!("an arbiter with {keys}"));
        Some(format!("here {}, on {} {}", of(&own), self.peer_name(), of(theirs)))
    }

    /// For the panel.
    pub(super) fn kit_differences(&self) -> Vec<String> {
        let Some(theirs) = self.kits.theirs.as_ref().filter(|_| self.peer().is_some()) else { return Vec::new() };
        differences(&self.own_kit(), theirs, &self.peer_name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kit() -> Kit {
        let facts = OwnFacts { users_digest: "a".into(), users: 2, has_administrator: true, runs_as: "standin".into() };
        Kit { service: "command".into(), service_name: "gateway".into(), facts, ..Kit::default() }
    }

    /// spec 2.6: each difference that would hurt at a takeover is named with both sides' values; equal kits give none.
    #[test]
    fn differences_name_both_sides() {
        assert!(differences(&kit(), &kit(), "node-b").is_empty());
        let mut other = kit();
        other.hooks = vec!["become_master".into()];
        other.facts.runs_as = "root".into();
        other.facts.users_digest = "b".into();
        other.facts.has_administrator = false;
        let list = differences(&kit(), &other, "node-b");
        assert_eq!(list.len(), 4, "{list:?}");
        assert_eq!(list[0], "hooks: here none, on node-b become_master");
        assert!(list[3].ends_with("no administrator on node-b"));
    }

    /// spec 2.6, 5.4: a new master without the program that judges changes would let every change through; an older version is not
    /// blamed
    #[test]
    fn what_judges_changes_is_compared() {
        let with = |program: &str| {
            let mut settings = Settings::default();
            settings.configuration.validate.command = program.split_whitespace().map(str::to_owned).collect();
            Kit::of(&settings, "command", &kit().facts)
        };
        let list = differences(&with("/usr/sbin/nginx -t"), &with(""), "node-b");
        assert_eq!(list, ["program that judges changes (configuration.validate): here nginx, on node-b none"]);
        assert!(differences(&with("/usr/sbin/nginx -t"), &with("/opt/nginx -t -q"), "node-b").is_empty());
        assert!(differences(&with("nginx"), &Kit { validate: None, ..with("") }, "node-b").is_empty());
    }

    /// spec 2.6, 5.2: what is left out on one side alone is named, the order counts, and an older version is not blamed.
    #[test]
    fn what_is_left_out_on_one_side_alone_is_named() {
        let with = |patterns: &[&str]| {
            let exclude = Some(patterns.iter().map(|pattern| (*pattern).to_owned()).collect());
            Kit { exclude, owners: Some(false), ..kit() }
        };
        let told = |own: &Kit, theirs: &Kit| differences(own, theirs, "node-b");
        let what = "left out of the mirror (configuration.exclude)";
        let both = with(&["*.log", "cache/"]);
        assert!(told(&both, &both).is_empty());
        assert_eq!(told(&both, &with(&["*.log", "tmp"])), [format!("{what}: only here cache/, only on node-b tmp")]);
        assert_eq!(told(&both, &with(&[])), [format!("{what}: only here *.log cache/")]);
        assert_eq!(told(&both, &with(&["cache/", "*.log"])), [format!("{what}: in another order on node-b")]);
        assert!(told(&both, &kit()).is_empty(), "its version does not tell");
        let owned = Kit { owners: Some(true), ..both.clone() };
        let what = "owner and group of files (configuration.owners)";
        assert_eq!(told(&both, &owned), [format!("{what}: here not mirrored, on node-b mirrored")]);
    }

    /// spec 2.6: what the other end sends is limited, whatever it is.
    #[test]
    fn a_kit_is_limited() {
        let long = Kit { service_name: "ä".repeat(1_000), hooks: vec!["x".repeat(1_000); 100], ..Kit::default() };
        let long = Kit { exclude: Some(vec!["p".repeat(1_000); 1_000]), ..long };
        let limited = long.limited();
        let patterns = limited.exclude.as_ref().unwrap();
        assert_eq!((patterns.len(), patterns[0].len()), (PATTERNS_MAX, PATTERN_MAX_BYTES));
        assert_eq!(limited.service_name.chars().count(), KIT_TEXT_MAX);
        assert_eq!((limited.hooks.len(), limited.hooks[0].len()), (KIT_LIST_MAX, KIT_TEXT_MAX));
    }
}
