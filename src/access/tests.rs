use std::os::unix::fs::PermissionsExt;

use super::lockout::{ADDRESS_FACTOR, ATTEMPTS_MAX, ENTRIES_MAX, FREE_ATTEMPTS, LOCK_MS};
use super::*;

const RIGHT: &str = "lantern orbit velvet 9";

fn with_user() -> (tempfile::TempDir, Access) {
    let home = tempfile::tempdir().unwrap();
    let access = Access::new(home.path().join("users.yaml"));
    access.set_password("ann", RIGHT).unwrap();
    (home, access)
}

/// spec 1.2: the rule is the wizard's, kept at the save too.
#[test]
fn passwords_that_are_guessed_are_refused() {
    let (_home, access) = with_user();
    for refused in ["short", "password123456", "ann-ann-ann-2026", "line\nend lantern orbit"] {
        let problem = access.set_password("ann", refused).expect_err(refused);
        assert_eq!(crate::engine::password::check("ann", refused), Err(problem));
    }
    assert_eq!(access.verify("ann", "a", RIGHT, Millis(0)), Verdict::Ok(UserRole::Administrator), "nothing changed");
}

/// spec 9.1, 9.4
#[test]
fn users_are_kept_as_hashes_for_the_owner_alone() {
    let (home, access) = with_user();
    let path = home.path().join("users.yaml");
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.contains("$argon2id$") && text.contains("administrator") && !text.contains("lantern"), "{text}");
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(access.verify("ann", "a", RIGHT, Millis(0)), Verdict::Ok(UserRole::Administrator));
    assert_eq!(access.verify("ann", "a", "wrong", Millis(0)), Verdict::Wrong);
    assert_eq!(access.verify("bob", "a", RIGHT, Millis(0)), Verdict::Wrong);
    assert!(access.set_password("bob", RIGHT).unwrap_err().why.contains("ann"));

    let mut users = Users::load(&path).unwrap();
    users.add("eve", UserRole::Display, "umbrella copper 44 sky").unwrap();
    assert!(users.add("eve", UserRole::Display, RIGHT).is_err());
    assert!(users.add("e ve", UserRole::Display, RIGHT).is_err());
    users.save(&path).unwrap();
    assert_eq!(access.verify("eve", "a", "umbrella copper 44 sky", Millis(0)), Verdict::Ok(UserRole::Display));
    access.set_password("ann", "umbrella copper 44 sea").unwrap();
    assert_eq!(access.verify("ann", "b", RIGHT, Millis(0)), Verdict::Wrong);
}

/// spec 3.3: an unreachable store counts as none.
#[test]
fn a_store_that_does_not_answer_is_no_wrong_password() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("users.yaml");
    let access = Access::new(path.clone());
    for _ in 0..2 * ATTEMPTS_MAX {
        assert!(matches!(access.verify("ann", "a", RIGHT, Millis(0)), Verdict::Unavailable(_)));
    }
    access.set_password("ann", RIGHT).unwrap();
    assert_eq!(access.verify("ann", "a", RIGHT, Millis(0)), Verdict::Ok(UserRole::Administrator));
    for broken in ["users: [", "users:\n- {name: ann, role: administrator, hash: x}\n"] {
        std::fs::write(&path, broken).unwrap();
        assert!(matches!(access.verify("ann", "a", RIGHT, Millis(0)), Verdict::Unavailable(_)), "{broken}");
    }
}

/// spec 3.3: repeated wrong passwords are slowed down and then locked out for a while.
#[test]
fn wrong_passwords_are_slowed_down_and_locked_out() {
    let mut table = Lockout::default();
    let mut now = Millis(5);
    for _ in 0..FREE_ATTEMPTS {
        assert_eq!(table.pause("ann", "a", now), None);
        table.count("ann", "a", now);
    }
    for seconds in [1, 2, 4, 8, 16] {
        let pause = table.pause("ann", "a", now).unwrap();
        assert_eq!((pause.for_ms, pause.is_locked), (seconds * 1_000, false));
        assert_eq!(table.pause("ann", "b", now), None, "another address");
        assert_eq!(table.pause("bob", "a", now), None, "another user");
        now = now.plus(seconds * 1_000);
        assert_eq!(table.pause("ann", "a", now), None);
        table.count("ann", "a", now);
    }
    let pause = table.pause("ann", "a", now.plus(1)).unwrap();
    assert_eq!((pause.for_ms, pause.is_locked), (LOCK_MS - 1, true));
    now = now.plus(LOCK_MS);
    assert_eq!(table.pause("ann", "a", now), None);
    table.count("ann", "a", now);
    assert_eq!(table.pause("ann", "a", now), None, "counted anew after the lock");
}

/// spec 3.3: while locked out even the right password is not looked at, and a right one clears the count.
#[test]
fn the_lock_holds_for_the_right_password_too() {
    let (_home, access) = with_user();
    for _ in 0..FREE_ATTEMPTS - 1 {
        assert_eq!(access.verify("ann", "a", "wrong", Millis(0)), Verdict::Wrong);
    }
    assert_eq!(access.verify("ann", "a", RIGHT, Millis(0)), Verdict::Ok(UserRole::Administrator));
    for _ in 0..FREE_ATTEMPTS {
        assert_eq!(access.verify("ann", "a", "wrong", Millis(0)), Verdict::Wrong);
    }
    let refused = access.verify("ann", "a", RIGHT, Millis(10));
    assert_eq!(refused, Verdict::LockedOut { for_ms: 990, is_locked: false });
    assert_eq!(access.verify("ann", "b", RIGHT, Millis(10)), Verdict::Ok(UserRole::Administrator));
    assert_eq!(access.verify("ann", "a", RIGHT, Millis(1_000)), Verdict::Ok(UserRole::Administrator));

    for _ in 0..FREE_ATTEMPTS {
        assert_eq!(access.verify("ann", "a", "wrong", Millis(0)), Verdict::Wrong);
    }
    access.set_password("ann", "umbrella copper 44 sea").unwrap();
    assert_eq!(access.verify("ann", "a", RIGHT, Millis(10)), Verdict::Wrong, "a new password ends the lock");
}

/// spec 3.3: nor does inventing users help: an address is slowed down and locked out as a whole.
#[test]
fn an_address_that_invents_users_is_locked_out() {
    let mut table = Lockout::default();
    for user in 0..FREE_ATTEMPTS * ADDRESS_FACTOR {
        assert_eq!(table.pause(&format!("u{user}"), "a", Millis(0)), None);
        table.count(&format!("u{user}"), "a", Millis(0));
    }
    assert!(table.pause("ann", "a", Millis(0)).is_some_and(|pause| !pause.is_locked));
    for user in 0..ATTEMPTS_MAX * ADDRESS_FACTOR {
        table.count(&format!("v{user}"), "a", Millis(0));
    }
    assert!(table.pause("ann", "a", Millis(0)).is_some_and(|pause| pause.is_locked));
    assert_eq!(table.pause("ann", "b", Millis(0)), None);
}

/// architecture wall 5; a flood of invented names does not wash out a lock.
#[test]
fn the_table_of_wrong_passwords_is_bounded() {
    let mut table = Lockout::default();
    for _ in 0..ATTEMPTS_MAX {
        table.count("ann", "a", Millis(0));
    }
    for user in 0..3 * ENTRIES_MAX {
        table.count(&format!("u{user}"), "a", Millis(1));
    }
    assert!(table.len() <= ENTRIES_MAX);
    assert!(table.pause("ann", "a", Millis(2)).is_some_and(|pause| pause.is_locked));
}
