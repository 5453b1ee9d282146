use std::cell::RefCell;

use clap::{Args as _, FromArgMatches as _};

use super::*;
use crate::engine::settings::duration;

/// Stands for the rooms that own users, identity and database; can be told to fail.
#[derive(Default)]
struct Writer {
    calls: RefCell<Vec<String>>,
    fails_at: Option<&'static str>,
}

impl Writer {
    fn note(&self, what: &'static str, home: &Path, text: &str) -> Result<(), Problem> {
        self.calls.borrow_mut().push(what.to_owned());
        if self.fails_at == Some(what) {
            return Err(Problem::new("no", "told to fail", ""));
        }
        write_file(&home.join(what), text.as_bytes())
    }
}

impl HomeWriter for Writer {
    fn role(&self, home: &Path) -> Result<Option<Role>, Problem> {
        Ok(home.join("standin.db").exists().then_some(Role::Master))
    }

    fn users(&self, home: &Path, user: &str, _: &Secret) -> Result<(), Problem> {
        assert!(home.join("settings.yaml").exists());
        self.note("users.yaml", home, user)
    }

    fn identity(&self, home: &Path, host: &str) -> Result<(), Problem> {
        self.note("identity", home, host)
    }

    fn database(&self, home: &Path, role: Role) -> Result<(), Problem> {
        self.note("standin.db", home, role.word())
    }
}

fn plan() -> SetupPlan {
    let mut settings = Settings { host: "node-a".into(), ..Settings::default() };
    settings.high_availability.enabled = true;
    settings.shadow.takeover_delay = 5_000;
    SetupPlan { role: Role::Master, user: "ops".into(), password: Secret::new("vier rote Lampen".into()), settings }
}

fn names(directory: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

/// spec 1.1, 9.4: everything is there, private, and the settings are the plan's with all comments
#[test]
fn a_home_is_made_whole_and_private() {
    let place = tempfile::tempdir().unwrap();
    let home = place.path().join("lib/standin");
    let writer = Writer::default();
    let lines = apply(&home, &plan(), &writer).unwrap();
    assert_eq!(lines.len(), 4);
    assert_eq!(names(&home), ["configuration", "identity", "settings.yaml", "standin.db", "users.yaml"]);
    assert_eq!(names(&place.path().join("lib")), ["standin"], "nothing is left beside it");
    assert_eq!(mode(&home), 0o700);
    assert_eq!(mode(&home.join("configuration")), 0o700);
    assert_eq!(mode(&home.join("settings.yaml")), 0o600);
    assert_eq!(writer.calls.borrow().last().unwrap(), "standin.db", "the database last");
    let (text, settings) = settings_before(&home.join("settings.yaml")).unwrap();
    assert_eq!(settings, plan().settings);
    let comments = |text: &str| text.lines().filter(|line| line.trim().starts_with('#')).count();
    assert_eq!(comments(&text), comments(DEFAULT_SETTINGS));
    assert!(!text.contains("Lampen"), "spec 9.4");
}

/// spec 1.1: what fails leaves the home as it was
#[test]
fn a_failure_leaves_no_home_and_nothing_beside_it() {
    for step in ["users.yaml", "identity", "standin.db"] {
        let place = tempfile::tempdir().unwrap();
        let home = place.path().join("home");
        let writer = Writer { fails_at: Some(step), ..Writer::default() };
        assert_eq!(apply(&home, &plan(), &writer).unwrap_err().why, "told to fail");
        assert_eq!(names(place.path()), Vec::<String>::new(), "{step}");
    }
}

/// A crash in an existing home leaves it without role, and the next try goes through.
#[test]
fn an_existing_home_gets_its_database_last() {
    let place = tempfile::tempdir().unwrap();
    let home = place.path();
    let writer = Writer { fails_at: Some("identity"), ..Writer::default() };
    assert!(apply(home, &plan(), &writer).is_err());
    assert!(!home.join("standin.db").exists());
    let writer = Writer::default();
    apply(home, &plan(), &writer).unwrap();
    assert_eq!(mode(home), 0o700);
    assert_eq!(settings_before(&home.join("settings.yaml")).unwrap().1, plan().settings);
}

/// spec 1.3: a role, once chosen, is not chosen again
#[test]
fn a_home_with_a_role_is_refused_and_unchanged() {
    let place = tempfile::tempdir().unwrap();
    let writer = Writer::default();
    apply(place.path(), &plan(), &writer).unwrap();
    let before = fs::read(place.path().join("settings.yaml")).unwrap();
    let mut other = plan();
    other.role = Role::Shadow;
    other.settings.shadow.master_hosts = vec!["node-b".into()];
    let problem = apply(place.path(), &other, &writer).unwrap_err();
    assert!(problem.what.contains("already a master") && problem.todo.contains("switch"), "{problem}");
    assert_eq!(fs::read(place.path().join("settings.yaml")).unwrap(), before);
}

/// A package or an operator may put a settings file there before the first start; its comments and values stay.
#[test]
fn settings_that_were_there_before_stay() {
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("settings.yaml");
    fs::write(&file, "# ours\nservice:\n  command: [/bin/connector]   # the one\n").unwrap();
    let (_, base) = settings_before(&file).unwrap();
    let mut plan = plan();
    plan.settings = Settings { host: "node-a".into(), ..base };
    apply(place.path(), &plan, &Writer::default()).unwrap();
    let text = fs::read_to_string(&file).unwrap();
    assert_eq!(text, "# ours\nservice:\n  command: [/bin/connector]   # the one\nhost: node-a\n");
    fs::write(&file, "shadow: [").unwrap();
    assert!(settings_before(&file).unwrap_err().what.contains("cannot be understood"));
}

/// spec 1.2, 2.2: a plan with problems writes nothing
#[test]
fn a_plan_with_problems_is_refused_before_anything_is_written() {
    let place = tempfile::tempdir().unwrap();
    let mut plan = plan();
    plan.password = Secret::new("short".into());
    assert!(apply(&place.path().join("home"), &plan, &Writer::default()).is_err());
    assert_eq!(names(place.path()), Vec::<String>::new());
    let file = place.path().join("file");
    fs::write(&file, "").unwrap();
    plan.password = Secret::new("vier rote Lampen".into());
    assert!(apply(&file, &plan, &Writer::default()).unwrap_err().why.contains("no directory"));
}

fn parsed(words: &[String]) -> Result<SetupArgs, clap::Error> {
    let matches = SetupArgs::augment_args(clap::Command::new("setup")).try_get_matches_from(words)?;
    SetupArgs::from_arg_matches(&matches)
}

fn args(line: &str) -> SetupArgs {
    let words: Vec<String> = std::iter::once("setup").chain(line.split(' ')).map(str::to_owned).collect();
    parsed(&words).unwrap()
}

/// spec 1.4: the command that a plan shows makes the same plan again
#[test]
fn the_shown_command_makes_the_same_plan() {
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("password");
    fs::write(&file, "vier rote Lampen\n").unwrap();
    let mut settings =
        Settings { host: "node-b".into(), description: "rack 4, it's left".into(), ..Settings::default() };
    settings.administration.listen = "10.1.4.21".into();
    settings.administration.port = 9443;
    settings.high_availability.enabled = true;
    settings.high_availability.port = Some(9444);
    settings.high_availability.permitted_shadow_host = Some("node-b@10.1.4.21".into());
    settings.configuration.directory = Some("/etc/my connector".into());
    settings.shadow.master_hosts = vec!["node-a".into(), "10.1.4.20".into()];
    settings.shadow.master_port = 8444;
    settings.shadow.check_interval = duration::parse("250ms").unwrap();
    settings.shadow.takeover_delay = 5_000;
    settings.shadow.connect_timeout = 2_000;
    settings.shadow.request_timeout = 700;
    let plan = SetupPlan { role: Role::Shadow, settings, ..self::plan() };
    assert!(plan.problems().is_empty(), "{:?}", plan.problems());
    let plain = SetupPlan {
        settings: Settings { host: "node-b".into(), description: "a, b".into(), ..Settings::default() },
        role: Role::Master,
        ..plan.clone()
    };
    // Also back from a file that says more than the defaults: empty values and switches turned off.
    for (plan, base) in [(&plan, &Settings::default()), (&plain, &plan.settings), (&plain, &Settings::default())] {
        let mut plan = plan.clone();
        plan.settings.administration.listen.clone_from(&base.administration.listen);
        if plan.role == Role::Master {
            plan.settings.shadow.master_hosts.clone_from(&base.shadow.master_hosts);
        }
        let mut words = plan.command_words(base);
        let at = words.iter().position(|word| word == "FILE").unwrap();
        words[at] = file.display().to_string();
        let task = parsed(&words).unwrap().task(base, "other").unwrap();
        assert_eq!(task, SetupTask::First(Box::new(plan)));
    }
}

/// 1.4, interfaces: bad input is told all at once
#[test]
fn bad_options_are_told_all_at_once() {
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("password");
    fs::write(&file, "short\n").unwrap();
    let line = format!(
        "--role shadow --user o:ps --password-file {} --admin-port 0 --check-interval 5 --permitted-shadow-host a..b",
        file.display()
    );
    let problems = args(&line).task(&Settings::default(), "node-a").unwrap_err();
    let all: Vec<String> = problems.iter().map(ToString::to_string).collect();
    for part in
        ["user name", "password", "administration.port", "check_interval", "permitted_shadow_host", "needs a master"]
    {
        assert!(all.iter().any(|text| text.contains(part)), "{part}: {all:#?}");
    }
    assert_eq!(all.len(), 6, "{all:#?}");
    assert!(!all.concat().contains("short"), "the password is never shown");
}

#[test]
fn own_host_is_the_name_of_the_machine_unless_given() {
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("password");
    fs::write(&file, "vier rote Lampen").unwrap();
    let line = format!("--role master --user ops --password-file {}", file.display());
    let SetupTask::First(plan) = args(&line).task(&Settings::default(), "node-a").unwrap() else { panic!() };
    assert_eq!(plan.settings, Settings { host: "node-a".into(), ..Settings::default() });
    let base = Settings { host: "from-file".into(), ..Settings::default() };
    let SetupTask::First(plan) = args(&line).task(&base, "node-a").unwrap() else { panic!() };
    assert_eq!(plan.settings.host, "from-file");
}

/// interfaces: a password comes from a file, a descriptor or a prompt, never from an argument
#[test]
fn there_is_no_option_for_the_password_itself() {
    let words = |line: &str| line.split(' ').map(str::to_owned).collect::<Vec<_>>();
    assert!(parsed(&words("setup --role master --user ops --password x")).is_err());
    assert!(parsed(&words("setup --role slave --user ops --password-file x")).is_err());
    assert!(parsed(&words("setup --role master --password-file x")).is_err(), "a user is needed");
    assert!(parsed(&words("setup --role master --user ops --password-file x --password-fd 3")).is_err());
    let task = parsed(&words("setup --new-identity")).unwrap().task(&Settings::default(), "a");
    assert_eq!(task, Ok(SetupTask::NewIdentity));
    assert!(parsed(&words("setup --new-identity --role master")).is_err());
}

#[test]
fn a_password_is_the_first_line_of_its_file() {
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("password");
    for (content, expected) in [("a b \r\nrest", "a b "), ("x", "x"), ("ü\n", "ü")] {
        fs::write(&file, content).unwrap();
        assert_eq!(args::read_password(&file).unwrap().expose(), expected);
    }
    for content in [b"".to_vec(), b"\nx".to_vec(), vec![0xff, b'\n'], vec![b'x'; 5_000]] {
        fs::write(&file, &content).unwrap();
        let problem = args::read_password(&file).unwrap_err();
        assert!(problem.what.contains("password") && !problem.todo.is_empty());
    }
    assert!(args::read_password(&place.path().join("none")).is_err());
    let opened = fs::File::open({
        fs::write(&file, "from a descriptor\n").unwrap();
        &file
    })
    .unwrap();
    let number = std::os::fd::AsRawFd::as_raw_fd(&opened);
    let path = PathBuf::from(format!("/proc/self/fd/{number}"));
    assert_eq!(args::read_password(&path).unwrap().expose(), "from a descriptor");
}

/// spec 9.4: the home with the link's key is no directory to mirror; nothing is written then
#[test]
fn the_home_is_no_directory_to_mirror() {
    let place = tempfile::tempdir().unwrap();
    for name in ["home", "home/identity", ""] {
        let mut plan = plan();
        plan.settings.configuration.directory = Some(place.path().join(name).display().to_string());
        let problem = apply(&place.path().join("home"), &plan, &Writer::default()).unwrap_err();
        assert!(problem.what.contains("cannot be mirrored"), "{problem}");
        assert_eq!(names(place.path()), Vec::<String>::new());
    }
}
