use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::*;

fn modes(directory: &Path) -> Vec<u32> {
    let mut paths: Vec<PathBuf> = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.push(directory.to_owned());
    paths.sort();
    paths.iter().map(|path| fs::metadata(path).unwrap().permissions().mode() & 0o777).collect()
}

/// spec 3.2
#[test]
fn an_identity_is_made_once_and_stays() {
    let home = tempfile::tempdir().unwrap();
    let directory = home.path().join("identity");
    let first = Identity::load_or_create(&directory, "node-a").unwrap();
    let second = Identity::load_or_create(&directory, "renamed").unwrap();
    assert_eq!(first.fingerprint(), second.fingerprint());
    assert_eq!(first.expires(), second.expires());
    let days = (first.expires().0 / 1_000 - time::OffsetDateTime::now_utc().unix_timestamp()) / 86_400;
    assert!((728..=730).contains(&days), "valid for {days} days");

    use x509_parser::prelude::{FromDer, X509Certificate};
    let (_, parsed) = X509Certificate::from_der(first.certificate()).unwrap();
    assert_eq!(parsed.subject().to_string(), "CN=standin link node-a");
    let names = parsed.subject_alternative_name().unwrap().unwrap();
    assert!(format!("{names:?}").contains("node-a"));
}

/// spec 9.4
#[test]
fn key_and_certificate_are_their_owners_alone() {
    let home = tempfile::tempdir().unwrap();
    let directory = home.path().join("identity");
    let identity = Identity::load_or_create(&directory, "node-a").unwrap();
    assert_eq!(modes(&directory), [0o700, 0o600, 0o600]);
    assert!(!format!("{identity:?}").contains("key"));

    let key = directory.join(KEY_FILE);
    fs::set_permissions(&key, fs::Permissions::from_mode(0o640)).unwrap();
    let problem = Identity::load_or_create(&directory, "node-a").unwrap_err();
    assert!(problem.why.contains("0640"), "{problem}");
    assert!(problem.todo.contains("chmod 600"), "{problem}");
}

#[test]
fn half_an_identity_is_finished_or_refused() {
    let home = tempfile::tempdir().unwrap();
    let directory = home.path().join("identity");
    let first = Identity::load_or_create(&directory, "10.0.0.1").unwrap();
    fs::remove_file(directory.join(CERTIFICATE_FILE)).unwrap();
    let second = Identity::load_or_create(&directory, "10.0.0.1").unwrap();
    assert_ne!(first.fingerprint(), second.fingerprint());
    assert_eq!(first.key().secret_der(), second.key().secret_der());

    fs::remove_file(directory.join(KEY_FILE)).unwrap();
    assert!(Identity::load_or_create(&directory, "10.0.0.1").unwrap_err().what.contains("missing"));

    let other = Identity::load_or_create(&home.path().join("other"), "x").unwrap();
    files::write_private(&directory.join(KEY_FILE), &fs::read(home.path().join("other").join(KEY_FILE)).unwrap())
        .unwrap();
    assert!(Identity::load_or_create(&directory, "10.0.0.1").is_err(), "key of another certificate");
    drop(other);
    fs::write(directory.join(KEY_FILE), "nonsense").unwrap();
    assert!(Identity::load_or_create(&directory, "10.0.0.1").is_err());
}

#[test]
fn any_host_name_makes_a_certificate() {
    let home = tempfile::tempdir().unwrap();
    for (index, host) in ["", "::1", "knöten", "a b", &"x".repeat(253)].into_iter().enumerate() {
        Identity::load_or_create(&home.path().join(index.to_string()), host).unwrap();
    }
}

#[test]
fn the_peers_certificate_is_kept_for_people() {
    let home = tempfile::tempdir().unwrap();
    let own = Identity::load_or_create(&home.path().join("a"), "node-a").unwrap();
    let peer = Identity::load_or_create(&home.path().join("b"), "node-b").unwrap();
    assert_eq!(own.load_peer(peer.fingerprint()).unwrap(), None);
    own.save_peer(peer.certificate()).unwrap();
    let der = own.load_peer(peer.fingerprint()).unwrap().unwrap();
    assert_eq!(certificate_expiry(&der).unwrap(), peer.expires());
    let kept = fs::read_to_string(own.peer_path(peer.fingerprint())).unwrap();
    let written = fs::read_to_string(home.path().join("b").join(CERTIFICATE_FILE)).unwrap();
    assert_eq!(kept, written.replace("\r\n", "\n"));

    own.save_peer(own.certificate()).unwrap();
    fs::copy(own.peer_path(own.fingerprint()), own.peer_path(peer.fingerprint())).unwrap();
    assert!(own.load_peer(peer.fingerprint()).is_err());
    own.forget_peer(peer.fingerprint()).unwrap();
    own.forget_peer(peer.fingerprint()).unwrap();
    assert_eq!(own.load_peer(peer.fingerprint()).unwrap(), None);
    assert!(certificate_expiry(b"no").is_err());
}
