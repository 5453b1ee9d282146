//! The first start as data: what the wizard asks for and `standin setup` is told, one type for both (spec 1.1, 1.4).

use super::base::{Problem, Role};
use super::order::Secret;
use super::password;
use super::settings::Settings;
use super::settings::table::{self, Kind};

/// Longest user name, in characters.
pub const USER_MAX_CHARS: usize = 64;

/// The options of `standin setup` and the settings they set, in the order in which a command names them.
pub const OPTIONS: [(&str, &str); 14] = [
    ("--description", "description"),
    ("--host", "host"),
    ("--listen", "administration.listen"),
    ("--admin-port", "administration.port"),
    ("--ha-port", "high_availability.port"),
    ("--directory", "configuration.directory"),
    ("--enable-ha", "high_availability.enabled"),
    ("--permitted-shadow-host", "high_availability.permitted_shadow_host"),
    ("--master-host", "shadow.master_hosts"),
    ("--master-port", "shadow.master_port"),
    ("--check-interval", "shadow.check_interval"),
    ("--takeover-delay", "shadow.takeover_delay"),
    ("--connect-timeout", "shadow.connect_timeout"),
    ("--request-timeout", "shadow.request_timeout"),
];

/// Everything that makes an instance out of a home without role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetupPlan {
    /// The first role.
    pub role: Role,
    /// The administrator.
    pub user: String,
    /// Its password.
    pub password: Secret,
    /// All settings, those that nobody asked for included.
    pub settings: Settings,
}

impl SetupPlan {
    /// Everything that is wrong, at once, each with the key it belongs to (`user`, `password`, or a dotted key).
    #[must_use]
    pub fn problems(&self) -> Vec<(&'static str, Problem)> {
        let mut found = Vec::new();
        found.extend(check_user(&self.user).err().map(|problem| ("user", problem)));
        found.extend(password::check(&self.user, self.password.expose()).err().map(|problem| ("password", problem)));
        found.extend(table::validate(&self.settings));
        if self.role == Role::Shadow && self.settings.shadow.master_hosts.is_empty() {
            let todo = "Give the name or the address of the machine that runs the master";
            found.push((
                "shadow.master_hosts",
                Problem::new("A shadow needs a master", "no master host is named", todo),
            ));
        }
        found
    }

    /// The words of the equal command (spec 1.4), without `standin` and without the password. `base` is what the settings
    /// would be without it: only what differs is named.
    #[must_use]
    pub fn command_words(&self, base: &Settings) -> Vec<String> {
        let mut words: Vec<String> =
            ["setup", "--role", self.role.word(), "--user", &self.user, "--password-file", "FILE"]
                .map(str::to_owned)
                .into();
        for (option, key) in OPTIONS {
            let (Some(row), Some(value)) = (table::row(key), table::get(&self.settings, key)) else { continue };
            if table::get(base, key).as_ref() == Some(&value) {
                continue;
            }
            let text = table::shown(row, &value);
            match row.kind {
                Kind::Switch if text == "true" => words.push(option.into()),
                Kind::Switch => words.push(format!("{option}={text}")),
                Kind::Hosts(_) => words.extend([option.to_owned(), text.replace(", ", ",")]),
                _ => words.extend([option.to_owned(), text]),
            }
        }
        words
    }

    /// The equal command as one line for a shell (spec 1.4). `home`: where it is not the one that Standin takes by itself.
    #[must_use]
    pub fn command_line(&self, base: &Settings, home: Option<&str>) -> String {
        let mut words = vec!["standin".to_owned()];
        words.extend(home.iter().flat_map(|home| ["--home".to_owned(), (*home).to_owned()]));
        words.extend(self.command_words(base));
        words.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" ")
    }
}

/// Whether `name` can be the name of a user: a letter or digit first, then also `.`, `_`, `-` and `@`.
///
/// # Errors
/// Says what is wrong with it.
pub fn check_user(name: &str) -> Result<(), Problem> {
    let refuse = |why: String| {
        Err(Problem::new(
            "This user name is refused",
            why,
            "Take letters, digits, '.', '_', '-' or '@', for example ops",
        ))
    };
    if name.is_empty() {
        return refuse("it is empty".into());
    }
    if name.chars().count() > USER_MAX_CHARS {
        return refuse(format!("it has more than {USER_MAX_CHARS} characters"));
    }
    if let Some(wrong) = name.chars().find(|c| !c.is_alphanumeric() && !"._-@".contains(*c)) {
        return refuse(format!("it holds {wrong:?}"));
    }
    if !name.starts_with(char::is_alphanumeric) {
        return refuse("it does not begin with a letter or digit".into());
    }
    Ok(())
}

/// `word` so that a POSIX shell reads it as one word, unchanged.
#[must_use]
pub fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_-./:,@%+=".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan() -> SetupPlan {
        SetupPlan {
            role: Role::Master,
            user: "ops".into(),
            password: Secret::new("vier rote Lampen".into()),
            settings: Settings::default(),
        }
    }

    /// spec 1.4
    #[test]
    fn the_command_names_what_was_chosen_and_never_the_password() {
        let mut plan = plan();
        plan.settings.description = "rack 4, it's left".into();
        plan.settings.high_availability.enabled = true;
        plan.settings.configuration.directory = Some("/etc/my connector".into());
        assert_eq!(
            plan.command_line(&Settings::default(), None),
            "standin setup --role master --user ops --password-file FILE --description 'rack 4, it'\\''s left' \
             --directory '/etc/my connector' --enable-ha"
        );
        assert!(!plan.command_line(&Settings::default(), None).contains("Lampen"));
        let elsewhere = plan.command_line(&Settings::default(), Some("/srv/my home"));
        assert!(elsewhere.starts_with("standin --home '/srv/my home' setup --role"), "{elsewhere}");
        assert!(!format!("{plan:?}").contains("Lampen"), "spec 9.4");
    }

    /// spec 1.2, 4.1: all problems of a plan at once
    #[test]
    fn a_plan_tells_all_its_problems_at_once() {
        let mut plan = plan();
        plan.role = Role::Shadow;
        plan.user = "o ps".into();
        plan.password = Secret::new("short".into());
        plan.settings.shadow.check_interval = 1;
        plan.settings.shadow.request_timeout = 0;
        let keys: Vec<&str> = plan.problems().into_iter().map(|(key, _)| key).collect();
        assert_eq!(
            keys,
            ["user", "password", "shadow.check_interval", "shadow.request_timeout", "shadow.master_hosts"]
        );
    }

    #[test]
    fn user_names_are_letters_digits_and_a_few_signs() {
        for name in ["ops", "ada.king", "o-p_s@corp", "4711", "jürgen"] {
            assert_eq!(check_user(name), Ok(()), "{name}");
        }
        for name in ["", "-x", "a b", "a:b", "a\nb", "a/b", &"x".repeat(65)] {
            assert!(check_user(name).is_err(), "{name}");
        }
    }
}
