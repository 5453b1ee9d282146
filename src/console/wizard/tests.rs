use super::*;
use crate::engine::base::Problem;
use crate::engine::settings::table;

const PASSWORD: &str = "vier rote Lampen";

fn found() -> Found {
    Found {
        host_names: vec!["node-a".into(), "node-a.example.net".into()],
        addresses: vec!["10.1.4.20".into(), "fd00::20".into()],
        port_free: Ok(()),
        home: "/var/lib/standin".into(),
        is_default_home: true,
        default_directory: "/var/lib/standin/configuration".into(),
    }
}

fn wizard() -> Wizard {
    Wizard::new(found(), Settings::default())
}

fn type_text(wizard: &mut Wizard, text: &str) {
    for c in text.chars() {
        assert_eq!(wizard.key(WizardKey::Edit(FieldKey::Char(c))), Outcome::Stay, "typing asks nothing");
    }
}

/// Empties the field in focus and types.
fn retype(wizard: &mut Wizard, text: &str) {
    wizard.key(WizardKey::Edit(FieldKey::End));
    wizard.key(WizardKey::Edit(FieldKey::DeleteToStart));
    type_text(wizard, text);
}

fn go_to(wizard: &mut Wizard, key: &str) {
    let count = wizard.page().unwrap().items.len();
    for _ in 0..count {
        let page = wizard.page().unwrap();
        if page.items[page.focus].key == key {
            return;
        }
        wizard.key(WizardKey::Down);
    }
    panic!("no field {key}");
}

fn item<'a>(wizard: &'a Wizard, key: &str) -> &'a Item {
    wizard.page().unwrap().items.iter().find(|item| item.key == key).unwrap()
}

fn administrator(wizard: &mut Wizard) {
    assert_eq!(wizard.step(), Step::Administrator);
    type_text(wizard, "ops");
    wizard.key(WizardKey::Enter);
    type_text(wizard, PASSWORD);
    wizard.key(WizardKey::Enter);
    type_text(wizard, PASSWORD);
    wizard.key(WizardKey::Enter);
    assert_eq!(wizard.step(), Step::Connection, "{:?}", wizard.message());
}

/// spec 1.1, 1.4: a master, by keys alone
#[test]
fn a_master_is_set_up_by_keys() {
    let mut wizard = wizard();
    wizard.key(WizardKey::Enter);
    administrator(&mut wizard);
    type_text(&mut wizard, "rack 4");
    go_to(&mut wizard, "high_availability.enabled");
    wizard.key(WizardKey::Edit(FieldKey::Char(' ')));
    go_to(&mut wizard, "high_availability.permitted_shadow_host");
    type_text(&mut wizard, "node-b.example.net");
    go_to(&mut wizard, "configuration.directory");
    retype(&mut wizard, "/etc/connector");
    let outcome = wizard.key(WizardKey::Enter);
    assert!(
        matches!(&outcome, Outcome::Ask(asked) if asked.contains(&Request::LookAtDirectory("/etc/connector".into())))
    );
    assert_eq!(wizard.step(), Step::Review);
    wizard.answer(&Answer::Directory { path: "/etc/connector".into(), look: Ok((214, 1_234_567)) });
    let review = wizard.review(74);
    assert!(review.facts.contains(&("Mirrored directory", "/etc/connector   214 files, 1.2 MB".into())), "{review:#?}");
    assert!(review.facts.contains(&("High availability", "on, only from node-b.example.net".into())));
    assert_eq!(
        review.command,
        "standin setup --role master --user ops --password-file FILE --description 'rack 4' --host node-a \
         --directory /etc/connector --enable-ha --permitted-shadow-host node-b.example.net"
    );
    assert_eq!(wizard.key(WizardKey::Edit(FieldKey::Char('y'))), Outcome::Copy(review.command));
    let Outcome::Save(plan) = wizard.key(WizardKey::Enter) else { panic!() };
    assert!(plan.problems().is_empty());
    assert_eq!((plan.role, plan.user.as_str(), plan.password.expose()), (Role::Master, "ops", PASSWORD));
    assert_eq!(plan.settings.configuration.directory.as_deref(), Some("/etc/connector"));
    assert_eq!((plan.settings.host.as_str(), plan.settings.description.as_str()), ("node-a", "rack 4"));
    assert!(plan.settings.high_availability.enabled);
}

/// spec 1.1, 4.1, 4.2, 1.5: a shadow, by keys alone
#[test]
fn a_shadow_is_set_up_by_keys() {
    let mut wizard = wizard();
    wizard.key(WizardKey::Down);
    wizard.key(WizardKey::Enter);
    administrator(&mut wizard);
    assert_eq!(wizard.key(WizardKey::NextStep), Outcome::Stay);
    assert_eq!(wizard.step(), Step::Connection);
    assert!(item(&wizard, "shadow.master_hosts").problem.is_some(), "a shadow needs a master");
    type_text(&mut wizard, "node-b");
    assert_eq!(wizard.key(WizardKey::Down), Outcome::Ask(vec![Request::Resolve("node-b".into())]));
    go_to(&mut wizard, "host");
    wizard.key(WizardKey::Edit(FieldKey::Char(' ')));
    assert_eq!(item(&wizard, "host").text(), "node-a.example.net", "the next one found");
    assert_eq!(wizard.consequences()[0], "A dead master is replaced after 3 to 5 s.");
    go_to(&mut wizard, "shadow.takeover_delay");
    retype(&mut wizard, "10s");
    assert_eq!(wizard.consequences()[0], "A dead master is replaced after 10 to 12 s.");
    assert!(wizard.consequences().iter().any(|line| line.contains("network segment")), "spec 1.5");
    wizard.key(WizardKey::NextStep);
    assert_eq!(wizard.step(), Step::Review, "{:?}", wizard.message());
    let Outcome::Save(plan) = wizard.key(WizardKey::Enter) else { panic!() };
    assert!(plan.problems().is_empty());
    assert_eq!((plan.role, plan.settings.shadow.takeover_delay), (Role::Shadow, 10_000));
    assert_eq!(plan.settings.shadow.master_hosts, ["node-b"]);
    assert_eq!(plan.settings.configuration.directory, None);
}

/// spec 1.2: twice, never shown, 12 characters, not the name, not well known
#[test]
fn the_rules_of_the_password_hold_the_step() {
    for (user, first, second, key) in [
        ("ops", "short", "short", "password"),
        ("hannelore", "hannelore-2026", "hannelore-2026", "password"),
        ("ops", "password1234", "password1234", "password"),
        ("ops", PASSWORD, "vier rote Lampe", "again"),
        ("ops", PASSWORD, "", "again"),
        ("", PASSWORD, PASSWORD, "user"),
    ] {
        let mut wizard = wizard();
        wizard.key(WizardKey::Enter);
        for text in [user, first, second] {
            type_text(&mut wizard, text);
            wizard.key(WizardKey::Down);
        }
        wizard.key(WizardKey::NextStep);
        assert_eq!(wizard.step(), Step::Administrator, "{user} {first} {second}");
        assert!(item(&wizard, key).problem.is_some(), "{user} {first} {second}");
        assert_eq!(wizard.page().unwrap().items[wizard.page().unwrap().focus].key, key, "it is in focus");
        assert!(first.len() < 6 || !format!("{wizard:?}").contains(first), "never shown");
    }
    let mut wizard = wizard();
    wizard.key(WizardKey::Enter);
    wizard.key(WizardKey::Down);
    type_text(&mut wizard, "vier");
    assert_eq!(item(&wizard, "password").note.as_deref(), Some("strength: too short"), "in words, while typing");
    assert!(item(&wizard, "password").problem.is_none(), "and no problem before the field is left");
}

/// spec 1.1: back keeps what was entered, also across a change of mind about the role
#[test]
fn back_keeps_what_was_entered() {
    let mut wizard = wizard();
    wizard.key(WizardKey::Enter);
    administrator(&mut wizard);
    type_text(&mut wizard, "rack 4");
    wizard.key(WizardKey::Back);
    assert_eq!(item(&wizard, "password").text(), PASSWORD);
    wizard.key(WizardKey::Back);
    wizard.key(WizardKey::Down);
    assert_eq!(wizard.role(), Role::Shadow);
    wizard.key(WizardKey::Enter);
    wizard.key(WizardKey::NextStep);
    assert_eq!(item(&wizard, "shadow.master_port").text(), "8443");
    wizard.key(WizardKey::Back);
    wizard.key(WizardKey::Back);
    wizard.key(WizardKey::Back);
    assert!(wizard.message().unwrap().contains("first step"), "Esc never leaves");
    wizard.key(WizardKey::Up);
    wizard.key(WizardKey::Enter);
    wizard.key(WizardKey::NextStep);
    assert_eq!(item(&wizard, "description").text(), "rack 4");
}

/// spec 1.1: leaving says what is dropped, and stays when not confirmed
#[test]
fn leaving_says_what_is_dropped() {
    let mut wizard = wizard();
    assert!(matches!(wizard.key(WizardKey::Leave), Outcome::Leave(_)), "nothing entered, nothing asked");
    let mut wizard = self::wizard();
    wizard.key(WizardKey::Enter);
    administrator(&mut wizard);
    assert_eq!(wizard.key(WizardKey::Leave), Outcome::Stay);
    assert_eq!(wizard.leaving(), Some(false), "stay is chosen");
    assert_eq!(wizard.key(WizardKey::Enter), Outcome::Stay);
    assert_eq!(wizard.leaving(), None);
    wizard.key(WizardKey::Leave);
    wizard.key(WizardKey::Edit(FieldKey::Right));
    let Outcome::Leave(lines) = wizard.key(WizardKey::Enter) else { panic!() };
    assert_eq!(
        lines,
        [
            "Dropped: the role master.",
            "Dropped: the administrator ops.",
            "Nothing was written; /var/lib/standin is as it was."
        ]
    );
    assert!(!lines.concat().contains(PASSWORD));
}

/// screens: a check runs on leaving a field; warnings do not block; an answer about an old value changes nothing
#[test]
fn answers_are_noted_and_never_block() {
    let mut wizard = wizard();
    wizard.key(WizardKey::Enter);
    administrator(&mut wizard);
    go_to(&mut wizard, "administration.port");
    retype(&mut wizard, "9443");
    assert_eq!(wizard.key(WizardKey::Down), Outcome::Ask(vec![Request::CheckPort(9443)]));
    wizard.answer(&Answer::Port { port: 8443, free: Err("in use".into()) });
    assert!(item(&wizard, "administration.port").warning.is_none(), "about another port");
    wizard.answer(&Answer::Port { port: 9443, free: Err("another program has it".into()) });
    assert!(item(&wizard, "administration.port").warning.as_ref().unwrap().contains("another program"));
    go_to(&mut wizard, "high_availability.permitted_shadow_host");
    type_text(&mut wizard, "node-b");
    assert_eq!(wizard.key(WizardKey::Down), Outcome::Ask(vec![Request::Resolve("node-b".into())]));
    wizard.answer(&Answer::Resolved { host: "node-b".into(), addresses: Ok(vec!["192.0.2.7".into()]) });
    let warning = item(&wizard, "high_availability.permitted_shadow_host").warning.clone().unwrap();
    assert!(warning.contains("another network segment"), "spec 1.5: {warning}");
    wizard.answer(&Answer::Directory {
        path: "/var/lib/standin/configuration".into(),
        look: Err("there is no such directory".into()),
    });
    wizard.key(WizardKey::NextStep);
    assert_eq!(wizard.step(), Step::Review);
    assert_eq!(wizard.review(74).warnings.len(), 2);
    assert!(wizard.review(74).facts.iter().any(|(_, value)| value.ends_with("configuration   will be made, empty")));
    assert!(matches!(wizard.key(WizardKey::Enter), Outcome::Save(_)));
}

#[test]
fn a_question_is_asked_once_and_again_for_another_value() {
    let mut wizard = wizard();
    wizard.key(WizardKey::Down);
    wizard.key(WizardKey::Enter);
    administrator(&mut wizard);
    type_text(&mut wizard, "node-b");
    assert_eq!(wizard.key(WizardKey::Down), Outcome::Ask(vec![Request::Resolve("node-b".into())]));
    wizard.key(WizardKey::Up);
    assert_eq!(wizard.key(WizardKey::Down), Outcome::Stay, "still open");
    wizard.answer(&Answer::Resolved { host: "node-b".into(), addresses: Ok(vec!["10.1.4.21".into()]) });
    assert_eq!(item(&wizard, "shadow.master_hosts").note.as_deref(), Some("10.1.4.21"));
    wizard.key(WizardKey::Up);
    assert_eq!(wizard.key(WizardKey::Down), Outcome::Stay, "known");
    wizard.key(WizardKey::Up);
    type_text(&mut wizard, "2");
    assert_eq!(wizard.key(WizardKey::Down), Outcome::Ask(vec![Request::Resolve("node-b2".into())]));
}

/// spec 2.2, 4.1, 4.2: every field is checked, by itself and against the others
#[test]
fn the_connection_data_are_checked() {
    for (key, text) in [
        ("administration.port", "0"),
        ("administration.port", "70000"),
        ("high_availability.port", "8443"),
        ("high_availability.permitted_shadow_host", "node b"),
        ("configuration.directory", "etc"),
        ("host", "-a"),
    ] {
        let mut wizard = wizard();
        wizard.key(WizardKey::Enter);
        administrator(&mut wizard);
        go_to(&mut wizard, key);
        wizard.key(WizardKey::Edit(FieldKey::End));
        wizard.key(WizardKey::Edit(FieldKey::DeleteToStart));
        wizard.key(WizardKey::Paste(text.into()));
        wizard.key(WizardKey::NextStep);
        assert_eq!(wizard.step(), Step::Connection, "{key} {text}");
        assert!(item(&wizard, key).problem.is_some(), "{key} {text}");
        assert!(wizard.message().unwrap().contains("To correct first: 1"));
    }
}

#[test]
fn a_warning_about_timings_goes_when_the_timings_do() {
    let mut wizard = wizard();
    wizard.key(WizardKey::Down);
    wizard.key(WizardKey::Enter);
    administrator(&mut wizard);
    type_text(&mut wizard, "node-b");
    go_to(&mut wizard, "shadow.check_interval");
    retype(&mut wizard, "5s");
    wizard.key(WizardKey::NextStep);
    assert_eq!(wizard.step(), Step::Review, "warnings do not block");
    assert_eq!(wizard.review(74).warnings.len(), 1);
    wizard.key(WizardKey::Back);
    go_to(&mut wizard, "shadow.check_interval");
    retype(&mut wizard, "1s");
    wizard.key(WizardKey::NextStep);
    assert_eq!(wizard.review(74).warnings, Vec::<String>::new());
}

/// spec 1.1: a save that fails loses nothing
#[test]
fn a_failed_save_stays_on_the_review_with_everything() {
    let mut wizard = wizard();
    wizard.key(WizardKey::Enter);
    administrator(&mut wizard);
    wizard.key(WizardKey::NextStep);
    assert!(matches!(wizard.key(WizardKey::Enter), Outcome::Save(_)));
    assert!(wizard.is_saving());
    assert_eq!(wizard.key(WizardKey::Enter), Outcome::Stay, "never twice");
    wizard.save_failed(Problem::new("Cannot make /var/lib/standin", "permission denied", "Run it as root"));
    assert!(wizard.problem().unwrap().why.contains("permission"));
    assert!(matches!(wizard.key(WizardKey::Enter), Outcome::Save(_)));
}

/// The settings of a file that was there before the first start stay, and stand in the fields.
#[test]
fn the_wizard_starts_from_the_settings_that_are_there() {
    let mut base = Settings::default();
    base.administration.port = 9443;
    base.host = "from-file".into();
    base.service.command = vec!["/bin/connector".into()];
    let mut wizard = Wizard::new(found(), base);
    wizard.key(WizardKey::Enter);
    administrator(&mut wizard);
    assert_eq!(item(&wizard, "administration.port").text(), "9443");
    assert_eq!(item(&wizard, "host").text(), "from-file");
    assert_eq!(wizard.plan().settings.service.command, ["/bin/connector"]);
    assert!(!wizard.review(74).command.contains("--admin-port"), "the file says so already");
}

/// spec 8.5: pasted text enters fields only
#[test]
fn a_paste_enters_fields_only() {
    let mut wizard = wizard();
    wizard.key(WizardKey::Paste("s\n".into()));
    assert_eq!((wizard.step(), wizard.role()), (Step::Role, Role::Master));
    wizard.key(WizardKey::Enter);
    wizard.key(WizardKey::Paste("ops\n".into()));
    assert_eq!(item(&wizard, "user").text(), "ops");
    assert_eq!(wizard.page().unwrap().focus, 0, "the line end is no Enter");
    wizard.key(WizardKey::Edit(FieldKey::Char('?')));
    assert!(!wizard.has_help(), "a question mark is a character where one types");
}

/// spec 1.4: the equal command makes the same home.
#[test]
fn a_home_that_is_not_the_default_is_named_in_the_command() {
    for (is_default_home, home) in [(true, None), (false, Some("standin --home /var/lib/standin setup"))] {
        let mut wizard = Wizard::new(Found { is_default_home, ..found() }, Settings::default());
        wizard.key(WizardKey::Enter);
        administrator(&mut wizard);
        wizard.key(WizardKey::NextStep);
        let command = wizard.review(74).command;
        assert_eq!(command.contains("--home"), home.is_some());
        assert!(command.starts_with(home.unwrap_or("standin setup")), "{command}");
        assert_eq!(wizard.key(WizardKey::Edit(FieldKey::Char('y'))), Outcome::Copy(command));
    }
}

/// The command is cut between words only: joined again it is the same.
#[test]
fn the_command_is_cut_so_that_a_shell_reads_one_line() {
    let mut wizard = wizard();
    wizard.key(WizardKey::Enter);
    administrator(&mut wizard);
    type_text(&mut wizard, "a description with -- dashes and it's long enough");
    wizard.key(WizardKey::NextStep);
    for width in [30, 54, 74, 200] {
        let review = wizard.review(width);
        let joined: Vec<String> =
            review.command_lines.iter().map(|line| line.trim_end_matches(" \\").trim_start().to_owned()).collect();
        assert_eq!(joined.join(" "), review.command);
        assert!(width < 74 || review.command_lines.iter().all(|line| line.chars().count() <= width), "{review:#?}");
    }
    assert!(table::row("description").is_some());
}
