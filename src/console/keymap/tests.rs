use super::*;
use crate::console::message::Code;
use crate::engine::status::Status;

fn master() -> Model {
    let mut model = Model::new(80, 24, false);
    model.link = crate::console::model::EngineLink::Connected;
    model.status = Some(Box::new(Status { role: Some(Role::Master), ..Status::default() }));
    model
}

/// spec 8.5, and the wall: one table. A key does one thing in one place.
#[test]
fn no_key_twice_in_a_context() {
    for context in Contexts::EACH {
        let mut seen: Vec<Key> = Vec::new();
        for row in TABLE.iter().filter(|row| row.contexts.meets(context)) {
            for key in row.keys {
                assert!(!seen.contains(key), "{} twice in {context:?}", key.name());
                seen.push(*key);
            }
        }
    }
}

/// One action has one key everywhere: no key means two actions on two screens.
#[test]
fn a_key_means_the_same_on_every_screen() {
    for row in TABLE.iter().filter(|row| row.contexts.meets(Contexts::SCREENS)) {
        for other in TABLE.iter().filter(|other| other.contexts.meets(Contexts::SCREENS)) {
            let shared = row.keys.iter().any(|key| other.keys.contains(key));
            assert!(!shared || row.action == other.action, "{:?} and {:?}", row.action, other.action);
        }
    }
}

/// screens, Grammar: lower case acts safely, CAPITALS ask first (`G` and `N` are moves), digits only switch screens.
#[test]
fn capitals_ask_and_the_rest_does_not() {
    for row in TABLE {
        for key in row.keys {
            let Code::Char(c) = key.code else { continue };
            if key.ctrl || matches!(c, 'G' | 'N') {
                assert_eq!(row.danger, Danger::Plain, "{}", key.name());
            } else {
                assert_eq!(row.danger != Danger::Plain, c.is_ascii_uppercase(), "{}", key.name());
            }
            assert!(!c.is_ascii_digit() || row.group == Group::Move, "{}", key.name());
        }
    }
}

#[test]
fn every_row_explains_itself() {
    for row in TABLE {
        assert!(!row.label.is_empty() && row.label.len() <= 28, "{:?}", row.action);
        assert!(row.help.ends_with('.'), "{:?}", row.action);
        assert!(!row.keys.is_empty() || row.danger != Danger::Plain, "{:?} cannot be reached", row.action);
    }
}

/// Where letters are typed no letter acts.
#[test]
fn letters_are_typed_in_fields() {
    for row in TABLE.iter().filter(|row| row.contexts.meets(Contexts::TYPING)) {
        for key in row.keys {
            assert!(key.ctrl || !matches!(key.code, Code::Char(_)), "{} in a field", key.name());
        }
    }
}

/// spec 8.5: what cannot work says why; here: everything that changes the pair, without an engine.
#[test]
fn what_cannot_work_says_why() {
    let mut model = master();
    model.link = crate::console::model::EngineLink::Connecting;
    for row in TABLE.iter().filter(|row| row.group == Group::Pair) {
        let reason = (row.reason)(&model).unwrap_or_default();
        assert!(reason.len() > 10, "{:?} gives no reason", row.action);
    }
    let model = master();
    for (action, word) in [
        (Action::SwitchRoles, "disabled"),
        (Action::Connect, "shadow"),
        (Action::Disconnect, "Not connected"),
        (Action::BecomeMaster, "is master"),
        (Action::Understood, "notice"),
        (Action::DeleteAlert, "no alerts"),
        (Action::Branches, "No branch"),
    ] {
        let reason = (row(action).reason)(&model);
        if action == Action::Disconnect && reason.is_none() {
            continue;
        }
        assert!(reason.as_ref().is_some_and(|text| text.contains(word)), "{action:?}: {reason:?}");
    }
}

/// The palette finds actions without a key and says nothing of dialogs' keys.
#[test]
fn the_palette_finds_by_words() {
    let found = matching("stop keep");
    assert_eq!(found.first().map(|row| row.action), Some(Action::StopKeepingRole));
    assert!(matching("").iter().all(|row| row.group != Group::Dialog));
    assert!(matching("alerts").iter().any(|row| row.action == Action::Alerts));
}

/// Every action of the enum that is asked for by name has a row.
#[test]
fn rows_are_found_by_action() {
    for action in [Action::Now, Action::Reconnect, Action::Help, Action::Confirm, Action::EraseAll, Action::StopEngine]
    {
        assert_eq!(row(action).action, action);
    }
}
