//! `standin setup`: the words of the command, and the plan they make (spec 1.4).

use std::path::{Path, PathBuf};

use super::prompt;
use crate::engine::base::{Problem, Role};
use crate::engine::order::Secret;
use crate::engine::settings::Settings;
use crate::engine::settings::table;
use crate::engine::setup::{OPTIONS, SetupPlan};
use serde_yaml::Value;

/// Longest file that a password is read from, in bytes.
const PASSWORD_FILE_MAX_BYTES: u64 = 4_096;

/// First start without questions. Everything the wizard asks for has an option.
#[derive(Clone, Debug, Default, PartialEq, Eq, clap::Args)]
pub struct SetupArgs {
    /// What this instance is: master or shadow
    #[arg(long, value_parser = parse_role, required_unless_present_any = ["new_identity", "write_settings"])]
    pub role: Option<Role>,
    /// Name of the first administrator
    #[arg(long, value_name = "NAME", required_unless_present_any = ["new_identity", "write_settings"])]
    pub user: Option<String>,
    /// File with the administrator's password; without it and --password-fd it is asked for
    #[arg(long, value_name = "FILE", conflicts_with = "password_fd")]
    pub password_file: Option<PathBuf>,
    /// Inherited descriptor to read the password from
    #[arg(long, value_name = "N")]
    pub password_fd: Option<u32>,
    /// Free text shown on both sides
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    pub description: Option<String>,
    /// Own host name or address, which the other instance is told [default: the name of the machine]
    #[arg(long, value_name = "NAME")]
    pub host: Option<String>,
    /// Address to listen on
    #[arg(long, value_name = "ADDR")]
    pub listen: Option<String>,
    /// Port of the administration API, shared with the link
    #[arg(long, value_name = "N")]
    pub admin_port: Option<String>,
    /// Port of its own for the link
    #[arg(long, value_name = "N")]
    pub ha_port: Option<String>,
    /// Directory to mirror [default: the directory configuration in the home]
    #[arg(long, value_name = "DIR")]
    pub directory: Option<String>,
    /// Let a shadow connect
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub enable_ha: Option<String>,
    /// The only host that may be the shadow: host or host@address
    #[arg(long, value_name = "H")]
    pub permitted_shadow_host: Option<String>,
    /// Names or addresses of the master, separated by commas
    #[arg(long, value_name = "H[,H…]")]
    pub master_host: Option<String>,
    /// Port of the link on the master
    #[arg(long, value_name = "N")]
    pub master_port: Option<String>,
    /// From one check of the master to the next, as 250ms or 1s
    #[arg(long, value_name = "D")]
    pub check_interval: Option<String>,
    /// From the first failed check to the takeover
    #[arg(long, value_name = "D")]
    pub takeover_delay: Option<String>,
    /// For a connection to the master to be made
    #[arg(long, value_name = "D")]
    pub connect_timeout: Option<String>,
    /// For the master to answer a check
    #[arg(long, value_name = "D")]
    pub request_timeout: Option<String>,
    /// Give a copied home an identity of its own
    #[arg(long, conflicts_with_all = ["role", "user", "password_file", "password_fd"])]
    pub new_identity: bool,
    /// Write a lost settings file of a home with a role anew; other options set what is known of it
    #[arg(long, conflicts_with_all = ["role", "user", "password_file", "password_fd", "new_identity"])]
    pub write_settings: bool,
}

/// What the command asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SetupTask {
    /// The first start; see [`super::apply`].
    First(Box<SetupPlan>),
    /// A new identity for a copied home (spec 7.6).
    NewIdentity,
}

impl SetupArgs {
    /// What was asked for, on top of `base` (see [`super::settings_before`]); `host` is the name of this machine. Reads the
    /// password from where the options say, or asks for it twice.
    ///
    /// # Errors
    /// All problems at once.
    pub fn task(&self, base: &Settings, host: &str) -> Result<SetupTask, Vec<Problem>> {
        if self.new_identity {
            return Ok(SetupTask::NewIdentity);
        }
        let (settings, mut problems) = self.settings(base, host);
        let password = match self.password() {
            Ok(password) => Some(password),
            Err(problem) => {
                problems.push(problem);
                None
            }
        };
        let plan = SetupPlan {
            role: self.role.unwrap_or(Role::Master),
            user: self.user.clone().unwrap_or_default(),
            password: password.clone().unwrap_or_else(|| Secret::new(String::new())),
            settings,
        };
        let found = plan.problems().into_iter().filter(|(key, _)| *key != "password" || password.is_some());
        problems.extend(found.map(|(_, problem)| problem));
        if problems.is_empty() { Ok(SetupTask::First(Box::new(plan))) } else { Err(problems) }
    }

    /// The settings that the options make, and what is wrong with single ones.
    fn settings(&self, base: &Settings, host: &str) -> (Settings, Vec<Problem>) {
        let mut base = base.clone();
        if base.host.is_empty() {
            base.host = host.to_owned();
        }
        self.settings_on(base)
    }

    /// `settings` with what the options say, and what is wrong with single ones.
    #[must_use]
    pub fn settings_on(&self, mut settings: Settings) -> (Settings, Vec<Problem>) {
        let mut problems = Vec::new();
        for (option, key) in OPTIONS {
            let Some(text) = self.value_of(option) else { continue };
            match parsed(key, text).and_then(|value| table::set(&settings, key, value)) {
                Ok(new) => settings = new,
                Err(problem) => problems.push(problem),
            }
        }
        (settings, problems)
    }

    /// What was given to one of [`OPTIONS`].
    fn value_of(&self, option: &str) -> Option<&String> {
        let given = match option {
            "--description" => &self.description,
            "--host" => &self.host,
            "--listen" => &self.listen,
            "--admin-port" => &self.admin_port,
            "--ha-port" => &self.ha_port,
            "--directory" => &self.directory,
            "--enable-ha" => &self.enable_ha,
            "--permitted-shadow-host" => &self.permitted_shadow_host,
            "--master-host" => &self.master_host,
            "--master-port" => &self.master_port,
            "--check-interval" => &self.check_interval,
            "--takeover-delay" => &self.takeover_delay,
            "--connect-timeout" => &self.connect_timeout,
            "--request-timeout" => &self.request_timeout,
            _ => return None,
        };
        given.as_ref()
    }

    fn password(&self) -> Result<Secret, Problem> {
        match (&self.password_file, self.password_fd) {
            (Some(file), _) => read_password(file),
            // The kernel lends the descriptor under this name; no need to take it over by its number.
            (None, Some(number)) => read_password(&PathBuf::from(format!("/proc/self/fd/{number}"))),
            (None, None) => prompt::new_password(self.user.as_deref().unwrap_or_default()),
        }
    }
}

fn parsed(key: &str, text: &str) -> Result<Value, Problem> {
    let unknown = || Problem::new(format!("{key} cannot be set"), "there is no such setting", "");
    table::row(key).ok_or_else(unknown)?.parse(text)
}

fn parse_role(text: &str) -> Result<Role, String> {
    match text {
        "master" => Ok(Role::Master),
        "shadow" => Ok(Role::Shadow),
        _ => Err("a role is master or shadow".into()),
    }
}

/// The first line of a file or descriptor, without its end.
///
/// # Errors
/// It cannot be read, is empty, too long, or no text.
pub fn read_password(file: &Path) -> Result<Secret, Problem> {
    use std::io::Read;
    use zeroize::Zeroize;
    let refuse = |why: String| {
        let todo = "Put the password alone on the first line of a file that only you can read";
        Problem::new(format!("No password could be read from {}", file.display()), why, todo)
    };
    // Room for the whole at once: a buffer that grows leaves copies behind.
    let mut bytes = Vec::with_capacity(usize::try_from(PASSWORD_FILE_MAX_BYTES).unwrap_or(0) + 1);
    let opened = std::fs::File::open(file).map_err(|error| refuse(error.to_string()))?;
    opened.take(PASSWORD_FILE_MAX_BYTES + 1).read_to_end(&mut bytes).map_err(|error| refuse(error.to_string()))?;
    let is_too_long = bytes.len() as u64 > PASSWORD_FILE_MAX_BYTES;
    let text = std::str::from_utf8(&bytes).map(|text| text.lines().next().unwrap_or_default().to_owned());
    bytes.zeroize();
    match text {
        _ if is_too_long => Err(refuse(format!("it is longer than {PASSWORD_FILE_MAX_BYTES} bytes"))),
        Err(_) => Err(refuse("it is no UTF-8 text".into())),
        Ok(text) if text.is_empty() => Err(refuse("its first line is empty".into())),
        Ok(text) => Ok(Secret::new(text)),
    }
}
