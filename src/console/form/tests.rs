use super::*;
use crate::console::field::FieldKey;

fn status() -> Status {
    let mut status = Status::default();
    status.settings.host = "node-b".into();
    status.settings.shadow.master_hosts = vec!["node-a".into()];
    status.own_hosts = vec!["node-b".into(), "10.1.4.21".into()];
    status
}

fn focus_on(form: &mut Form, key: &str) {
    form.focus = form.items.iter().position(|item| item.key == key).unwrap();
}

fn retype(form: &mut Form, key: &str, text: &str) {
    focus_on(form, key);
    form.key(FormKey::Edit(FieldKey::End));
    form.key(FormKey::Edit(FieldKey::DeleteToStart));
    form.key(FormKey::Paste(text.into()));
}

/// The table says which settings have a field; the two forms together have exactly those.
#[test]
fn the_forms_have_the_fields_that_the_table_promises() {
    let both: std::collections::BTreeSet<&str> = MASTER_KEYS.iter().chain(&SHADOW_KEYS).copied().collect();
    let promised: std::collections::BTreeSet<&str> =
        table::ROWS.iter().filter(|row| row.in_form).map(|row| row.key).collect();
    assert_eq!(both, promised);
    assert_eq!(for_master(&status()).items.len(), MASTER_KEYS.len());
    assert_eq!(for_shadow(&status()).items.len(), SHADOW_KEYS.len());
}

/// screens, Grammar: `*` not saved; only what changed is sent
#[test]
fn a_save_sends_only_what_changed() {
    let mut form = for_shadow(&status());
    assert_eq!(form.key(FormKey::Save), FormOutcome::Stay, "nothing to save");
    retype(&mut form, "shadow.takeover_delay", "5s");
    retype(&mut form, "shadow.master_hosts", "node-a, 10.1.4.20");
    assert_eq!(form.changed(), 2);
    let expected = SettingsPatch {
        takeover_delay: Some(5_000),
        master_hosts: Some(vec!["node-a".into(), "10.1.4.20".into()]),
        ..SettingsPatch::default()
    };
    assert_eq!(form.key(FormKey::Save), FormOutcome::Save(expected));
    form.saved();
    assert_eq!(form.changed(), 0);
    assert_eq!(form.key(FormKey::Cancel), FormOutcome::Close);
}

/// spec 2.3: any host again
#[test]
fn an_emptied_field_sends_the_absent_value() {
    let mut status = status();
    status.settings.high_availability.permitted_shadow_host = Some("node-b".into());
    status.settings.high_availability.port = Some(9443);
    let mut form = for_master(&status);
    retype(&mut form, "high_availability.permitted_shadow_host", "");
    retype(&mut form, "high_availability.port", "");
    let expected = SettingsPatch { permitted_shadow_host: Some(None), ha_port: Some(None), ..SettingsPatch::default() };
    assert_eq!(form.key(FormKey::Save), FormOutcome::Save(expected));
}

/// spec 4.2: kept up to date while typing
#[test]
fn the_consequence_follows_the_typing() {
    let mut form = for_shadow(&status());
    assert_eq!(form.consequences(), ["A dead master is replaced after 3 to 5 s."]);
    retype(&mut form, "shadow.takeover_delay", "10s");
    assert_eq!(form.consequences(), ["A dead master is replaced after 10 to 12 s."]);
    retype(&mut form, "shadow.takeover_delay", "0");
    assert!(form.consequences()[1].contains("single failed check"));
}

/// spec 2.1, 2.2, 2.3
#[test]
fn a_master_is_told_who_may_come_and_where() {
    let mut form = for_master(&status());
    assert!(form.consequences()[0].contains("Every shadow is refused"));
    focus_on(&mut form, "high_availability.enabled");
    form.key(FormKey::Edit(FieldKey::Char(' ')));
    assert!(form.consequences()[0].contains("Any host"));
    assert!(form.consequences()[1].contains("shares port 8443"));
    retype(&mut form, "high_availability.permitted_shadow_host", "node-b@10.1.4.21");
    retype(&mut form, "high_availability.port", "9443");
    assert!(form.consequences()[0].contains("Only node-b@10.1.4.21"));
    assert!(form.consequences()[1].contains("port 9443 of its own"));
}

/// screens: a check runs on leaving a field, never while typing; all problems on save
#[test]
fn a_problem_stands_under_its_field_once_it_is_left() {
    let mut form = for_shadow(&status());
    retype(&mut form, "shadow.check_interval", "5");
    assert!(form.items[form.focus].problem.is_none());
    let left = form.focus;
    form.key(FormKey::Down);
    assert!(form.items[left].problem.as_ref().unwrap().why.contains("not a duration"));
    retype(&mut form, "shadow.master_port", "0");
    assert_eq!(form.key(FormKey::Save), FormOutcome::Stay);
    assert_eq!(form.items.iter().filter(|item| item.problem.is_some()).count(), 2);
    assert_eq!(form.items[form.focus].key, "shadow.master_port", "the first one is in focus");
    form.key(FormKey::Edit(FieldKey::Backspace));
    assert!(form.items[form.focus].problem.is_none(), "typing clears it");
}

/// spec 2.2: fights between fields
#[test]
fn settings_that_fight_are_refused_in_the_form() {
    let mut form = for_master(&status());
    retype(&mut form, "high_availability.port", "8443");
    assert_eq!(form.key(FormKey::Save), FormOutcome::Stay);
    assert_eq!(form.items[form.focus].key, "high_availability.port");
    assert!(form.message.as_ref().unwrap().contains("Nothing saved"));
}

/// spec 2.5, 4.1, 8.5: locked, and the key says why
#[test]
fn locked_fields_say_why_and_do_not_change() {
    let mut status = status();
    status.settings_locked = Some("a shadow is connected".into());
    let mut form = for_master(&status);
    assert_eq!(form.items[form.focus].key, "host", "the first that can be edited");
    focus_on(&mut form, "high_availability.enabled");
    form.key(FormKey::Edit(FieldKey::Char(' ')));
    assert_eq!(form.changed(), 0);
    assert!(form.message.as_ref().unwrap().contains("a shadow is connected"));
    let form = for_shadow(&status);
    let locked: Vec<&str> = form.items.iter().filter(|item| item.locked.is_some()).map(|item| item.key).collect();
    assert_eq!(locked, ["shadow.master_hosts", "shadow.master_port", "host", "high_availability.port"]);
}

/// spec 7.11: the inequality with its numbers and the longest failover follow the typing.
#[test]
fn the_arithmetic_of_the_arbiter_follows_the_typing() {
    let mut form = for_master(&status());
    focus_on(&mut form, "arbiter.endpoints");
    assert!(form.consequences()[0].starts_with("No arbiter"));
    form.key(FormKey::Paste("http://etcd:2379".into()));
    assert_eq!(
        form.consequences()[0],
        "A promise of 10.2 s is needed: (hold 4 s + stop budget 6 s) x 1005/995; it is that, a lease of 11 s."
    );
    assert!(form.consequences()[1].starts_with("Longest possible failover 13.8 s: "));
    retype(&mut form, "arbiter.hold", "10s");
    assert!(form.consequences()[0].starts_with("A promise of 16.2 s is needed: (hold 10 s"));
    retype(&mut form, "arbiter.promise", "12s");
    assert!(form.consequences()[0].contains("12 s is TOO SHORT"));
}

/// spec 7.11: settings that break the inequality are refused at their field with the numbers, as soon as it is left.
#[test]
fn a_promise_that_is_too_short_is_refused_at_its_field() {
    let mut form = for_shadow(&status());
    retype(&mut form, "arbiter.endpoints", "http://etcd:2379");
    retype(&mut form, "arbiter.promise", "5s");
    let at = form.focus;
    form.key(FormKey::Down);
    let why = &form.items[at].problem.as_ref().unwrap().why;
    assert!(why.contains("(hold 4s + stop budget 6s) x 1005 / 995 is"), "{why}");
    assert_eq!(form.key(FormKey::Save), FormOutcome::Stay);
    // A shorter hold and budget make it long enough: the problem goes without touching the promise.
    retype(&mut form, "arbiter.hold", "2s");
    retype(&mut form, "arbiter.stop_budget", "2s");
    form.key(FormKey::Down);
    assert!(form.items[at].problem.is_none());
    let FormOutcome::Save(patch) = form.key(FormKey::Save) else { panic!("{:?}", form.message) };
    assert_eq!(patch.arbiter_endpoints, Some(vec!["http://etcd:2379".into()]));
    assert_eq!((patch.arbiter_hold, patch.arbiter_promise), (Some(2_000), Some(5_000)));
}

/// spec 7.11: on a master the longest failover counts with the shadow's timing.
#[test]
fn a_master_counts_with_the_timing_of_its_shadow() {
    let mut status = status();
    status.role = Some(Role::Master);
    status.peer = Some(crate::engine::status::PeerStatus {
        check_interval_ms: 1_000,
        takeover_delay_ms: 30_000,
        request_timeout_ms: 1_000,
        ..Default::default()
    });
    let mut form = for_master(&status);
    focus_on(&mut form, "arbiter.endpoints");
    assert!(form.consequences()[1].contains("32 s: noticed within 2 s, delay 30 s"), "{:?}", form.consequences());
}

#[test]
fn leaving_with_changes_asks_once() {
    let mut form = for_shadow(&status());
    retype(&mut form, "description", "rack 4");
    assert_eq!(form.key(FormKey::Cancel), FormOutcome::Stay);
    assert!(form.message.as_ref().unwrap().contains("Not saved: 1"));
    form.key(FormKey::Down);
    assert_eq!(form.key(FormKey::Cancel), FormOutcome::Stay, "another key in between asks anew");
    assert_eq!(form.key(FormKey::Cancel), FormOutcome::Close);
}

/// The settings may change under the form (another console, the file): what is typed stays, the rest follows.
#[test]
fn a_newer_status_moves_what_is_not_in_edit() {
    let mut form = for_shadow(&status());
    retype(&mut form, "shadow.takeover_delay", "5s");
    let mut newer = status();
    newer.settings.shadow.takeover_delay = 4_000;
    newer.settings.shadow.check_interval = 2_000;
    form.refresh(&newer);
    let text = |key: &str| form.items.iter().find(|item| item.key == key).unwrap();
    assert_eq!(text("shadow.takeover_delay").text(), "5s");
    assert_eq!(text("shadow.takeover_delay").in_force.as_deref(), Some("4s"));
    assert_eq!(text("shadow.check_interval").text(), "2s");
}

/// spec 4.1: chosen from the list, or typed
#[test]
fn own_host_is_picked_or_typed() {
    let mut form = for_shadow(&status());
    focus_on(&mut form, "host");
    form.key(FormKey::Edit(FieldKey::Char(' ')));
    assert_eq!(form.items[form.focus].text(), "10.1.4.21");
    form.key(FormKey::Edit(FieldKey::Char(' ')));
    assert_eq!(form.items[form.focus].text(), "node-b");
    form.key(FormKey::Edit(FieldKey::Char('2')));
    assert_eq!(form.items[form.focus].text(), "node-b2");
}
