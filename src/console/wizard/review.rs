//! The last step: what will be, what will be written, and the same as a command (spec 1.1, 1.4).

use super::Wizard;
use crate::engine::base::Role;
use crate::engine::settings::table;
use crate::engine::setup::SetupPlan;

/// The review, ready to be shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Review {
    /// Label and value.
    pub facts: Vec<(&'static str, String)>,
    /// What the save writes.
    pub files: Vec<WrittenFile>,
    /// The equal command, one line.
    pub command: String,
    /// The same, cut into lines that a shell reads as one.
    pub command_lines: Vec<String>,
    /// What the checks warned about.
    pub warnings: Vec<String>,
}

/// One file or directory that the save writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrittenFile {
    /// Whole path; a directory ends in `/`.
    pub path: String,
    /// Permission bits, as people write them.
    pub mode: &'static str,
}

/// What the save writes into the home, with the permission bits.
const WRITTEN: [(&str, &str); 4] =
    [("settings.yaml", "0600"), ("users.yaml", "0600"), ("identity/", "0700"), ("standin.db", "0600")];

impl Wizard {
    /// The review for lines of `width` columns.
    #[must_use]
    pub fn review(&self, width: usize) -> Review {
        let plan = self.plan();
        let home = self.found.home.trim_end_matches('/');
        let files = WRITTEN.map(|(name, mode)| WrittenFile { path: format!("{home}/{name}"), mode });
        let items = if self.role == Role::Master { &self.master.items } else { &self.shadow.items };
        let warning =
            |item: &crate::console::form::Item| item.warning.as_ref().map(|text| format!("{}: {text}", item.label));
        Review {
            facts: self.facts(),
            files: files.into(),
            command: self.command_line(&plan),
            command_lines: cut(&self.command_line(&plan), width),
            warnings: items.iter().filter_map(warning).collect(),
        }
    }

    /// The equal command; it makes the same home wherever it is run (spec 1.4).
    pub(super) fn command_line(&self, plan: &SetupPlan) -> String {
        let home = (!self.found.is_default_home).then_some(self.found.home.as_str());
        plan.command_line(&self.base, home)
    }

    fn facts(&self) -> Vec<(&'static str, String)> {
        let plan = self.plan();
        let (settings, ha) = (&plan.settings, &plan.settings.high_availability);
        let port = settings.administration.port;
        let link = match ha.port {
            None => "shared with the link".to_owned(),
            Some(own) => format!("link on port {own}"),
        };
        let listen = match settings.administration.listen.as_str() {
            "0.0.0.0" | "::" => "all addresses".to_owned(),
            address => address.to_owned(),
        };
        let mut facts = vec![
            ("Role", plan.role.word().to_owned()),
            ("Administrator", plan.user.clone()),
            ("Host", settings.host.clone()),
            ("Administration", format!("{listen}, port {port}, {link}")),
        ];
        match plan.role {
            Role::Master => {
                let who = ha
                    .permitted_shadow_host
                    .as_ref()
                    .map_or("from any host".into(), |host| format!("only from {host}"));
                let state = if ha.enabled { format!("on, {who}") } else { "off, every shadow is refused".into() };
                facts.push(("High availability", state));
                let directory = self.master.items.iter().find(|item| item.key == super::pages::DIRECTORY);
                let note =
                    directory.and_then(|item| item.note.as_ref()).map_or(String::new(), |note| format!("   {note}"));
                let path = settings.configuration.directory.as_ref().unwrap_or(&self.found.default_directory);
                facts.push(("Mirrored directory", format!("{path}{note}")));
            }
            Role::Shadow => {
                let shadow = &settings.shadow;
                facts.push(("Master", format!("{} port {}", shadow.master_hosts.join(", "), shadow.master_port)));
                facts.push(("Timing", table::replaced_after_text(shadow)));
            }
        }
        facts
    }
}

/// Cuts a command between its words, so that each line fits, with `\` at the end of all but the last.
fn cut(command: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let mut line = String::new();
    for word in words(command) {
        // Two columns for the ` \` at the end, two for the indentation of the lines that follow.
        let indent = if lines.is_empty() { 0 } else { 2 };
        if !line.is_empty() && indent + line.chars().count() + 1 + word.chars().count() + 2 > width {
            lines.push(format!("{}{line} \\", " ".repeat(indent)));
            line = String::new();
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(&word);
    }
    let indent = if lines.is_empty() { 0 } else { 2 };
    lines.push(format!("{}{line}", " ".repeat(indent)));
    lines
}

/// The words of a command line, an option together with its value, quotes left as they are.
fn words(command: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut is_quoted = false;
    for c in command.chars() {
        is_quoted ^= c == '\'';
        match (c, words.last_mut()) {
            (' ', _) if !is_quoted => words.push(String::new()),
            (_, Some(word)) => word.push(c),
            (_, None) => {}
        }
    }
    let mut joined: Vec<String> = Vec::new();
    for word in words {
        match joined.last_mut() {
            Some(option) if option.starts_with("--") && !option.contains(' ') && !word.starts_with("--") => {
                option.push(' ');
                option.push_str(&word);
            }
            _ => joined.push(word),
        }
    }
    joined
}
