//! The settings file of a running instance: read at start and noticed when it changes; written atomically, comments kept.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use serde_yaml::Value;

use super::backup::directory_of;
use super::lost_settings;
use super::shared::lock;
use crate::engine::base::Problem;
use crate::engine::input::Input;
use crate::engine::settings::read::{Mistake, read as parse};
use crate::engine::settings::{Settings, SettingsPatch, table, text};
use crate::files::site::may_be_mirrored;

/// Largest settings file, bytes. Checked before it is read.
const SETTINGS_FILE_MAX_BYTES: usize = 256 * 1024;

/// Clone it freely: all clones share the settings in force.
#[derive(Clone)]
pub struct SettingsDesk {
    path: PathBuf,
    home: PathBuf,
    in_force: Arc<Mutex<Settings>>,
    /// The text that was last read or written, so that an own write is not taken for an operator's; none: it could not be read
    /// since, so that whatever is there next is looked at.
    last_text: Arc<Mutex<Option<String>>>,
}

/// What a look at the file found.
pub enum Look {
    /// The same text as before.
    Same,
    /// Valid settings that differ from those in force.
    Changed(Box<Settings>),
    /// The text differs and says the same.
    SameMeaning,
    /// Invalid; nothing changes.
    Wrong(String),
}

impl SettingsDesk {
    /// Reads the file, of the instance in `home`.
    ///
    /// # Errors
    /// With every fault of the file, each on a line of its own; the directory to mirror is where Standin keeps its own files.
    pub fn open(path: &Path, home: &Path) -> Result<Self, Problem> {
        if let Some(lost) = lost_settings::look(home, path) {
            return Err(lost);
        }
        let text = read(path)?;
        let settings = parse(&text).map_err(|faults| {
            let todo = "Correct the file, then start Standin.".to_owned();
            Problem { todo, ..wrong(path, &faults) }
        })?;
        may_be_mirrored(home, &directory_of(home, &settings))?;
        Ok(Self {
            path: path.to_owned(),
            home: home.to_owned(),
            in_force: Arc::new(Mutex::new(settings)),
            last_text: Arc::new(Mutex::new(Some(text))),
        })
    }

    /// A copy of the settings in force.
    #[must_use]
    pub fn in_force(&self) -> Settings {
        lock(&self.in_force).clone()
    }

    /// Puts settings in force that the engine took.
    pub fn put_in_force(&self, settings: &Settings) {
        *lock(&self.in_force) = settings.clone();
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Looks whether an operator changed the file.
    #[must_use]
    pub fn look(&self) -> Look {
        let text = match read(&self.path) {
            Ok(text) => text,
            Err(_) if self.is_lost() => {
                *lock(&self.last_text) = None;
                let todo = "put it back, or `standin setup --write-settings` writes the settings in force";
                return Look::Wrong(format!("{}: there is no such file: {todo}", self.path.display()));
            }
            Err(problem) => {
                *lock(&self.last_text) = None;
                return Look::Wrong(problem.to_string());
            }
        };
        if lock(&self.last_text).as_ref() == Some(&text) {
            return Look::Same;
        }
        match parse(&text) {
            Ok(settings) => {
                *lock(&self.last_text) = Some(text);
                if settings == self.in_force() {
                    return Look::SameMeaning;
                }
                match may_be_mirrored(&self.home, &directory_of(&self.home, &settings)) {
                    Ok(()) => Look::Changed(Box::new(settings)),
                    Err(problem) => Look::Wrong(problem.to_string()),
                }
            }
            Err(faults) => {
                *lock(&self.last_text) = Some(text);
                Look::Wrong(wrong(&self.path, &faults).to_string())
            }
        }
    }

    /// Writes a patch of the engine's into the file; what to tell the engine. What an operator wrote there meanwhile stays,
    /// but for what the patch sets.
    #[must_use]
    pub fn write(&self, patch: &SettingsPatch) -> Vec<Input> {
        let old = self.in_force();
        let new = patch.applied_to(&old);
        match self.write_changes(&old, &new) {
            Ok(()) => vec![Input::Settings(Box::new(new)), Input::SettingsWritten { problem: None }],
            Err(problem) => {
                vec![Input::SettingsWritten { problem: Some(format!("{}: {}", problem.what, problem.why)) }]
            }
        }
    }

    /// Removed under the running instance.
    fn is_lost(&self) -> bool {
        lost_settings::is_missing(&self.path)
    }

    fn write_changes(&self, old: &Settings, new: &Settings) -> Result<(), Problem> {
        let faults = table::validate(new);
        if let Some((key, problem)) = faults.first() {
            return Err(Problem::new(format!("{key} was not set"), problem.why.clone(), problem.todo.clone()));
        }
        if self.is_lost() {
            return write_anew(&self.path, new);
        }
        // From the file as it stands, so that comments and whatever an operator changed meanwhile are kept.
        let found = read(&self.path)?;
        parse(&found).map_err(|faults| wrong(&self.path, &faults))?;
        let mut changed = found.clone();
        for (key, value) in table::differences(old, new) {
            changed = text::set(&changed, key, &value)?;
        }
        // Each may be valid and both together not.
        parse(&changed).map_err(|faults| wrong(&self.path, &faults))?;
        if found != changed {
            write_text(&self.path, &changed)?;
        }
        let mut last = lock(&self.last_text);
        // Else an operator's change is yet to be noticed.
        if last.as_ref() == Some(&found) {
            *last = Some(changed);
        }
        Ok(())
    }
}

/// Writes the commented default with these settings, where there is no file.
///
/// # Errors
/// They are not valid, or cannot be written.
pub fn write_anew(path: &Path, settings: &Settings) -> Result<(), Problem> {
    let values = table::differences(&Settings::default(), settings);
    let text = text::set_all(&table::commented_default(), &values)?;
    parse(&text).map_err(|faults| wrong(path, &faults))?;
    write_text(path, &text)
}

fn write_text(path: &Path, text: &str) -> Result<(), Problem> {
    crate::files::write_private(path, text.as_bytes()).map_err(|error| {
        Problem::new(
            "The settings were not written",
            format!("{}: {error}", path.display()),
            "Look at the directory of the file: owner, permissions, space on its disk.",
        )
    })
}

/// What can be read of a file that is not valid: each key whose value is of the right kind, all others as by default; none:
/// nothing, because it is not there or no YAML. For people alone, who look for what was written.
#[must_use]
pub fn readable_part(path: &Path) -> Option<Settings> {
    let whole: Value = serde_yaml::from_str(&read(path).ok()?).ok()?;
    let _ = whole.as_mapping()?;
    let at = |key: &str| key.split('.').try_fold(&whole, |value, part| value.get(part)).cloned();
    let written = table::ROWS.iter().filter_map(|row| Some((row.key, at(row.key)?)));
    Some(
        written
            .fold(Settings::default(), |settings, (key, value)| table::set(&settings, key, value).unwrap_or(settings)),
    )
}

fn read(path: &Path) -> Result<String, Problem> {
    let cannot = |error: io::Error| {
        let todo = if error.kind() == io::ErrorKind::NotFound {
            "If this home was never set up: standin setup, or standin for the wizard. Another home: --home DIR."
        } else {
            "Give the file back to the user that runs Standin; `standin doctor` looks at the whole home."
        };
        Problem::new("The settings cannot be read", format!("{}: {error}", path.display()), todo)
    };
    let about = fs::metadata(path).map_err(cannot)?;
    if about.len() > SETTINGS_FILE_MAX_BYTES as u64 {
        return Err(cannot(io::Error::other(format!("it is larger than {SETTINGS_FILE_MAX_BYTES} bytes"))));
    }
    fs::read_to_string(path).map_err(cannot)
}

fn shown(mistake: &Mistake) -> String {
    let line = mistake.line.map_or_else(String::new, |line| format!("line {line}: "));
    let Problem { what, why, todo } = &mistake.problem;
    // Most of them begin with the key; two settings that fight each other do not.
    let is_named = mistake.key.is_empty() || what.contains(&mistake.key);
    let key = if is_named { String::new() } else { format!("{}: ", mistake.key) };
    format!("  {line}{key}{what}: {why}. {todo}")
}

fn wrong(path: &Path, faults: &[Mistake]) -> Problem {
    let list: Vec<String> = faults.iter().map(shown).collect();
    Problem::new(
        "The settings are not valid",
        format!("{}\n{}", path.display(), list.join("\n")),
        "Correct the file; what was in force stays in force meanwhile.",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn desk() -> (tempfile::TempDir, SettingsDesk) {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("settings.yaml");
        crate::files::write_private(&path, b"# ours\nhigh_availability:\n  enabled: false\n  grace_period: 0s\n")
            .unwrap();
        let desk = SettingsDesk::open(&path, home.path()).unwrap();
        (home, desk)
    }

    fn patch() -> SettingsPatch {
        SettingsPatch { enabled: Some(true), ..SettingsPatch::default() }
    }

    /// spec 2.8: what an operator has just written into the file is neither undone by Standin's own write nor overlooked after it
    #[test]
    fn an_own_write_undoes_no_change_that_is_yet_to_be_noticed() {
        let (_home, desk) = desk();
        let text = fs::read_to_string(desk.path()).unwrap().replace("0s", "7s");
        fs::write(desk.path(), text).unwrap();
        assert_eq!(desk.write(&patch()).len(), 2);
        desk.put_in_force(&patch().applied_to(&desk.in_force()));
        let text = fs::read_to_string(desk.path()).unwrap();
        assert!(text.contains("7s") && text.contains("enabled: true") && text.contains("# ours"), "{text}");
        let Look::Changed(settings) = desk.look() else { panic!("the operator's change is not noticed") };
        assert!(settings.high_availability.enabled && settings.high_availability.grace_period == 7_000);
    }

    /// spec 9.4: a directory with Standin's own files in it is refused, at the start and while it runs
    #[test]
    fn the_home_is_no_directory_to_mirror() {
        let (home, desk) = desk();
        let text = |at: &Path| format!("configuration:\n  directory: {}\n", at.display());
        for at in [home.path().to_owned(), home.path().join("identity")] {
            fs::write(desk.path(), text(&at)).unwrap();
            let Look::Wrong(why) = desk.look() else { panic!("{} is taken", at.display()) };
            assert!(why.contains("cannot be mirrored"), "{why}");
            assert!(SettingsDesk::open(desk.path(), home.path()).is_err());
        }
        fs::write(desk.path(), text(&home.path().join("mine"))).unwrap();
        assert!(matches!(desk.look(), Look::Changed(_)));
    }

    /// interfaces, Files: every mistake at once, each with its line and its key, which is named once
    #[test]
    fn a_mistake_names_its_key_once() {
        let (_home, desk) = desk();
        let text = "shadow:\n  check_interval: 9ms\n  takeover_delay: soon\n  nonsense: 1\nhigh_availability:\n  port: 8443\n\
                    log: 3\n";
        fs::write(desk.path(), text).unwrap();
        let Look::Wrong(why) = desk.look() else { panic!("it is taken") };
        for (line, key) in [
            (2, "shadow.check_interval"),
            (3, "shadow.takeover_delay"),
            (4, "shadow.nonsense"),
            (6, "high_availability.port"),
            (7, "log"),
        ] {
            let told = why.lines().find_map(|told| told.strip_prefix(&format!("  line {line}: ")));
            let told = told.unwrap_or_else(|| panic!("no line {line}: {why}"));
            let (what, rest) = told.split_once(": ").unwrap();
            assert!(what.starts_with(key) && !rest.starts_with(key), "{told}");
        }
    }

    /// spec 2.8: a file that is lost while Standin runs is written anew with all that is in force, and no default comes into force
    #[test]
    fn a_file_that_is_lost_is_written_anew_with_what_is_in_force() {
        let (_home, desk) = desk();
        fs::write(desk.path(), "host: node-a\n").unwrap();
        let Look::Changed(settings) = desk.look() else { panic!("not noticed") };
        desk.put_in_force(&settings);
        fs::remove_file(desk.path()).unwrap();
        let Look::Wrong(why) = desk.look() else { panic!("nothing is said of a lost file") };
        assert!(why.contains("--write-settings") && !why.contains("never set up"), "{why}");
        let told = desk.write(&patch());
        assert!(matches!(told.as_slice(), [_, Input::SettingsWritten { problem: None }]), "{told:?}");
        let text = fs::read_to_string(desk.path()).unwrap();
        assert!(text.contains("host: node-a") && text.contains("enabled: true") && text.contains("# "), "{text}");
        desk.put_in_force(&patch().applied_to(&desk.in_force()));
        assert!(matches!(desk.look(), Look::SameMeaning), "which ends the alert");
    }

    /// spec 6.2: a file that was away and is back as it was ends the alert of its being away
    #[test]
    fn a_file_that_is_back_is_looked_at() {
        let (_home, desk) = desk();
        let aside = desk.path().with_extension("aside");
        fs::rename(desk.path(), &aside).unwrap();
        assert!(matches!(desk.look(), Look::Wrong(_)));
        fs::rename(&aside, desk.path()).unwrap();
        assert!(matches!(desk.look(), Look::SameMeaning));
        assert!(matches!(desk.look(), Look::Same));
    }

    /// spec 2.8: an own write is no change of an operator's
    #[test]
    fn an_own_write_is_known() {
        let (_home, desk) = desk();
        assert_eq!(desk.write(&patch()).len(), 2);
        assert!(matches!(desk.look(), Look::Same));
    }
}
