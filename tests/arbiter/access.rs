//! TLS, client certificates, users (spec 7.11, 9.4).

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};

use super::*;
use crate::etcd::Tls;

/// An issuer of certificates, and what it issued, as files.
struct Issuer {
    directory: PathBuf,
    ca: CertifiedIssuer<'static, KeyPair>,
}

impl Issuer {
    fn new(home: &Path, name: &str) -> Self {
        let directory = home.join(name);
        fs::create_dir(&directory).unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        let ca = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        fs::write(directory.join("ca.pem"), ca.pem()).unwrap();
        Self { directory, ca }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    fn text(&self, name: &str) -> Option<String> {
        Some(self.file(name).to_str().unwrap().to_owned())
    }

    /// `NAME.pem` and `NAME.key`. No common name where `common` is empty.
    fn issue(&self, name: &str, hosts: &[&str], common: &str) {
        let hosts: Vec<String> = hosts.iter().map(|&host| host.to_owned()).collect();
        let mut params = CertificateParams::new(hosts).unwrap();
        params.distinguished_name = rcgen::DistinguishedName::new();
        if !common.is_empty() {
            params.distinguished_name.push(DnType::CommonName, common);
        }
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.ca).unwrap();
        fs::write(self.file(&format!("{name}.pem")), certificate.pem()).unwrap();
        write_secret(&self.file(&format!("{name}.key")), &key.serialize_pem());
    }

    fn server(&self, wants_client: bool) -> Tls {
        Tls {
            ca: self.file("ca.pem"),
            certificate: self.file("server.pem"),
            key: self.file("server.key"),
            wants_client,
        }
    }
}

fn write_secret(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, Permissions::from_mode(0o600)).unwrap();
}

/// spec 7.11: over TLS, only with an issuer that is trusted, and only for the name that was asked for.
#[tokio::test]
async fn tls_is_checked() {
    let home = tempfile::tempdir().unwrap();
    let (right, wrong) = (Issuer::new(home.path(), "right"), Issuer::new(home.path(), "wrong"));
    right.issue("server", &["127.0.0.1"], "etcd");
    let etcd = Member::alone(home.path(), Some(right.server(false)), &[]);
    let trusting = |ca_file| settings::Arbiter { ca_file, ..settings(&[etcd.url()]) };
    let (mut first, mut second) = Instance::pair(&trusting(right.text("ca.pem")));
    meet(&mut first, &mut second).await;
    for (ca_file, expected) in [
        (wrong.text("ca.pem"), "is issued by none of the trusted (".to_owned() + &wrong.text("ca.pem").unwrap()),
        (None, "is issued by none of the trusted (those of the operating system)|trusts no certificate".to_owned()),
        (right.text("none.pem"), "none.pem is not there".to_owned()),
        (right.text("server.key"), "holds no certificate".to_owned()),
    ] {
        let answer = Instance::new(1, &trusting(ca_file)).renew(1).await;
        assert!(expected.split('|').any(|words| why(&answer).contains(words)), "{answer:?}");
    }
    let plain = settings(&[etcd.url().replace("https", "http")]);
    let answer = Instance::new(1, &plain).renew(1).await;
    assert!(why(&answer).contains("does it want https://?") || why(&answer).contains("HTTPS"), "{answer:?}");
    let by_name = settings::Arbiter {
        endpoints: vec![etcd.url().replace("127.0.0.1", "localhost")],
        ..trusting(right.text("ca.pem"))
    };
    let answer = Instance::new(1, &by_name).renew(1).await;
    assert!(why(&answer).contains("is not for the name localhost"), "{answer:?}");
}

/// spec 7.11: where etcd asks for a certificate, ours is shown, and what is wrong with it is told.
#[tokio::test]
async fn a_client_certificate_is_shown() {
    let home = tempfile::tempdir().unwrap();
    let (right, wrong) = (Issuer::new(home.path(), "right"), Issuer::new(home.path(), "wrong"));
    right.issue("server", &["127.0.0.1"], "etcd");
    right.issue("own", &[], "");
    right.issue("named", &[], "standin");
    wrong.issue("own", &[], "");
    let etcd = Member::alone(home.path(), Some(right.server(true)), &[]);
    let with = |issuer: &Issuer, name: &str| settings::Arbiter {
        ca_file: right.text("ca.pem"),
        certificate_file: issuer.text(&format!("{name}.pem")),
        key_file: issuer.text(&format!("{name}.key")),
        ..settings(&[etcd.url()])
    };
    let (mut first, mut second) = Instance::pair(&with(&right, "own"));
    meet(&mut first, &mut second).await;
    let without = settings::Arbiter { ca_file: right.text("ca.pem"), ..settings(&[etcd.url()]) };
    let answer = Instance::new(1, &without).renew(1).await;
    assert!(why(&answer).contains("asks for a client certificate"), "{answer:?}");
    let answer = Instance::new(1, &with(&wrong, "own")).renew(1).await;
    assert!(why(&answer).contains("does not accept the certificate"), "{answer:?}");
    let answer = Instance::new(1, &with(&right, "named")).renew(1).await;
    assert_eq!(answer, VoteAnswer::Confirmed, "a common name does no harm while etcd has no users");
    // spec 9.4: a key that others may read is refused.
    fs::set_permissions(right.file("own.key"), Permissions::from_mode(0o644)).unwrap();
    let answer = Instance::new(1, &with(&right, "own")).renew(1).await;
    assert!(why(&answer).contains("is open to others (mode 0644)"), "{answer:?}");
}

/// An etcd with users: `standin`, whose role may write under the prefix, and `guest`, who may nothing.
async fn with_users(home: &Path) -> Member {
    let etcd = Member::alone(home, None, &["--auth-token-ttl", "1"]);
    for words in [
        &["user", "add", "root:root"][..],
        &["user", "grant-role", "root", "root"],
        &["role", "add", "standin"],
        &["role", "grant-permission", "standin", "--prefix=true", "readwrite", "/standin/"],
        &["user", "add", "standin:correct horse"],
        &["user", "grant-role", "standin", "standin"],
        &["user", "add", "guest:guest"],
        &["auth", "enable"],
    ] {
        etcd.ctl(words);
    }
    etcd
}

/// spec 7.11, 9.4: user and password; a token that has run out is renewed; what is wrong is told without the secret.
#[tokio::test]
async fn a_user_logs_on() {
    let home = tempfile::tempdir().unwrap();
    let etcd = with_users(home.path()).await;
    let file = home.path().join("password");
    write_secret(&file, "correct horse\n");
    let as_user = |user: &str| settings::Arbiter {
        user: user.into(),
        password_file: Some(file.to_str().unwrap().into()),
        ..settings(&[etcd.url()])
    };
    let (mut first, mut second) = Instance::pair(&as_user("standin"));
    meet(&mut first, &mut second).await;
    // The token lives for a second after its last use; without a new one this would be refused.
    tokio::time::sleep(Duration::from_millis(2_300)).await;
    assert_eq!(first.renew(1).await, VoteAnswer::Confirmed);
    let mut cases = vec![
        ("guest", "guest", "may not read and write the keys"),
        ("standin", "wrong battery", "wrong user or password"),
    ];
    cases.push(("nobody", "x", "wrong user or password"));
    for (user, password, expected) in cases {
        write_secret(&file, password);
        let answer = Instance::new(1, &as_user(user)).renew(1).await;
        assert!(why(&answer).contains(expected), "{user}: {answer:?}");
        assert!(!why(&answer).contains("battery"), "{answer:?}");
    }
    let answer = Instance::new(1, &settings(&[etcd.url()])).renew(1).await;
    assert!(why(&answer).contains("asks for a user: set arbiter.user"), "{answer:?}");
    write_secret(&file, "correct horse");
    fs::set_permissions(&file, Permissions::from_mode(0o640)).unwrap();
    let answer = Instance::new(1, &as_user("standin")).renew(1).await;
    assert!(why(&answer).contains("the password file") && why(&answer).contains("mode 0640"), "{answer:?}");
    fs::remove_file(&file).unwrap();
    let answer = Instance::new(1, &as_user("standin")).renew(1).await;
    assert!(why(&answer).contains("is not there"), "{answer:?}");
    // The one with a token goes on.
    assert_eq!(first.renew(1).await, VoteAnswer::Confirmed);
}

/// spec 7.11: an etcd that has its authentication switched off takes a user as well.
#[tokio::test]
async fn a_user_is_no_harm_where_none_is_needed() {
    let home = tempfile::tempdir().unwrap();
    let etcd = alone(home.path());
    let file = home.path().join("password");
    write_secret(&file, "x");
    let with = settings::Arbiter {
        user: "standin".into(),
        password_file: Some(file.to_str().unwrap().into()),
        ..settings(&[etcd.url()])
    };
    let (mut first, mut second) = Instance::pair(&with);
    meet(&mut first, &mut second).await;
}

/// spec 7.11: `standin ha test-arbiter` and `standin doctor` walk step by step, leave nothing behind, and stop at what fails.
#[tokio::test]
async fn a_probe_says_which_step_fails() {
    let home = tempfile::tempdir().unwrap();
    let issuer = Issuer::new(home.path(), "right");
    issuer.issue("server", &["127.0.0.1"], "etcd");
    let etcd = Member::alone(home.path(), Some(issuer.server(false)), &[]);
    let dead = format!("https://127.0.0.1:{}", crate::ports::free_port());
    let with = settings::Arbiter { ca_file: issuer.text("ca.pem"), ..settings(&[etcd.url(), dead]) };
    let (mut first, mut second) = Instance::pair(&with);
    meet(&mut first, &mut second).await;
    let found = standin::arbiter::probe::probe(&with, PAIR, true).await;
    let steps = |at: usize| found[at].steps.iter().map(|step| (step.name.as_str(), step.ok)).collect::<Vec<_>>();
    let ok = Some(true);
    let all = [("name", ok), ("TCP", ok), ("TLS", ok), ("version", ok), ("read", ok), ("write", ok)];
    assert_eq!(steps(0), all, "{found:?}");
    assert!(found[0].is_ok() && !found[1].is_ok());
    assert_eq!(steps(1), [("name", ok), ("TCP", Some(false))], "{found:?}");
    let read = &found[0].steps[4].message;
    assert!(read.starts_with("term 1, a lease runs; round trip ") && read.ends_with(" ms"), "{read}");
    assert!(found[0].steps[3].message.starts_with("etcd 3."), "{found:?}");
    let keys = etcd.ctl(&["get", "--prefix", "/standin", "--keys-only"]);
    assert!(!keys.contains("test-"), "{keys}");
    // Without the right issuer it ends at TLS.
    let found = standin::arbiter::probe::probe(&settings(&[etcd.url()]), PAIR, true).await;
    let last = found[0].steps.last().unwrap();
    assert_eq!((last.name.as_str(), last.ok), ("TLS", Some(false)), "{found:?}");
}
