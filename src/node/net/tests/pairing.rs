//! Pairing over the loopback; the test plays the engine.

use super::*;
use crate::access::{UserRole, Users, Verdict};
use crate::engine::base::{Millis, OwnTerms};
use crate::engine::message::RefusalCode;
use crate::engine::order::Secret;

fn master() -> Node {
    let node = node(Options::default());
    let mut users = Users::default();
    users.add("ann", UserRole::Administrator, PASSWORD).unwrap();
    users.add("dora", UserRole::Display, PASSWORD).unwrap();
    users.save(&node.home.path().join("users.yaml")).unwrap();
    node.net.set_about(About {
        version: "0.1.0".into(),
        host: "node-a".into(),
        role: Some(Role::Master),
        description: String::new(),
    });
    node
}

fn grant() -> PairGrant {
    PairGrant {
        pair: PairId(Uuid::from_u128(9)),
        instance: InstanceId(Uuid::from_u128(1)),
        term: Term(1),
        shadow_terms: OwnTerms::Even,
        host: "node-a".into(),
        port: 8443,
        version: "0.1.0".into(),
        description: String::new(),
        grace_period_ms: 0,
    }
}

fn refusal(code: RefusalCode) -> Refusal {
    Refusal { code, why: "because".into() }
}

/// Answers the master's questions as an engine with high availability on would; gives everything it was told.
async fn engine(mut node: Node, say: impl Fn(&Input) -> Option<PairingAnswer>) -> Vec<Input> {
    let mut told = Vec::new();
    while let Some(input) = node.inputs.recv().await {
        if let (Input::PairAsked { id, .. } | Input::PairProved { id, .. }, Some(answer)) = (&input, say(&input)) {
            node.net.answer_pairing(*id, answer);
        }
        let is_end = matches!(&input, Input::DirectoryChanged);
        told.push(input);
        if is_end {
            break;
        }
    }
    told
}

fn willing(input: &Input) -> Option<PairingAnswer> {
    Some(Ok(matches!(input, Input::PairProved { .. }).then(|| Box::new(grant()))))
}

/// A master whose engine runs until `end` is called.
struct Running {
    port: u16,
    fingerprint: Fingerprint,
    inputs: mpsc::Sender<Input>,
    task: tokio::task::JoinHandle<Vec<Input>>,
    users: std::path::PathBuf,
}

fn run(say: impl Fn(&Input) -> Option<PairingAnswer> + Send + 'static) -> Running {
    let node = master();
    Running {
        port: node.net.port(),
        fingerprint: node.identity.fingerprint(),
        inputs: node.net.shared.inputs.clone(),
        users: node.home.path().join("users.yaml"),
        task: tokio::spawn(engine(node, say)),
    }
}

impl Running {
    async fn end(self) -> Vec<Input> {
        self.inputs.send(Input::DirectoryChanged).await.unwrap();
        tokio::time::timeout(LIMIT, self.task).await.unwrap().unwrap()
    }

    async fn pair(&self, shadow: &Node, user: &str, password: &str) -> Result<Paired, Problem> {
        let credentials = (user.to_owned(), Secret::new(password.into()));
        let hosts = ["127.0.0.1".to_owned()];
        shadow.net.pair(&hosts, self.port, self.fingerprint, credentials, pair_hello()).await
    }
}

/// spec 3.1, 3.2
#[tokio::test]
async fn a_shadow_sees_compares_and_pairs() {
    let master = run(willing);
    let shadow = node(Options::default());
    let probed = shadow.net.probe("127.0.0.1", master.port, pair_hello()).await.unwrap();
    assert_eq!(probed.refusal, None);
    assert_eq!((probed.seen.fingerprint, probed.seen.role), (master.fingerprint, Some(Role::Master)));
    assert_eq!((probed.seen.version.as_str(), probed.seen.same_network), ("0.1.0", true));

    let paired = master.pair(&shadow, "ann", PASSWORD).await.unwrap();
    assert_eq!(paired.grant, grant());
    assert_eq!(paired.fingerprint, master.fingerprint);
    assert_eq!(paired.address, "127.0.0.1");
    assert_eq!(crate::identity::fingerprint_of(&paired.certificate), master.fingerprint);
    assert!(shadow.identity.load_peer(master.fingerprint).unwrap().is_some());

    let told = master.end().await;
    let fingerprint = shadow.identity.fingerprint();
    assert!(matches!(&told[0], Input::PairAsked { fingerprint: f, .. } if *f == fingerprint), "{told:?}");
    assert!(matches!(&told[1], Input::PairAsked { host_problem: None, .. }));
    let Input::PairProved { fingerprint: proved, hello, address, .. } = &told[2] else { panic!("{told:?}") };
    assert_eq!((*proved, &**hello, address.as_str()), (fingerprint, &pair_hello(), "127.0.0.1"));
    assert!(!format!("{told:?}").contains(PASSWORD), "spec 9.4");
}

/// spec 3.1: the fingerprint is compared before anything is sent; user and password go to nobody else.
#[tokio::test]
async fn another_certificate_gets_no_password() {
    let master = run(willing);
    let shadow = node(Options::default());
    let hosts = ["127.0.0.1".to_owned()];
    let credentials = ("ann".to_owned(), Secret::new(PASSWORD.into()));
    let wrong = shadow.identity.fingerprint();
    let problem = shadow.net.pair(&hosts, master.port, wrong, credentials, pair_hello()).await.unwrap_err();
    assert!(problem.why.contains(&wrong.to_string()) && problem.why.contains(&master.fingerprint.to_string()));
    assert_eq!(master.end().await, [Input::DirectoryChanged], "not even a hello was said");
}

/// spec 2.1, 3.3: a probe works on a master that would refuse, and says why.
#[tokio::test]
async fn a_refusal_before_the_password_is_told_to_probe_and_pairing() {
    for code in [
        RefusalCode::Disabled,
        RefusalCode::WrongHost,
        RefusalCode::SecondShadow,
        RefusalCode::Version,
        RefusalCode::SameInstance,
        RefusalCode::NotMaster,
    ] {
        let master = run(move |_| Some(Err(refusal(code))));
        let shadow = node(Options::default());
        let probed = shadow.net.probe("127.0.0.1", master.port, pair_hello()).await.unwrap();
        assert_eq!((probed.seen.fingerprint, probed.seen.version.as_str()), (master.fingerprint, "0.1.0"));
        let refused = probed.refusal.unwrap();
        assert!(refused.why.contains("because") && !refused.todo.is_empty());
        assert_eq!(master.pair(&shadow, "ann", PASSWORD).await.unwrap_err(), refused);
        assert!(!master.end().await.iter().any(|input| matches!(input, Input::PairProved { .. })), "{code:?}");
    }
}

/// spec 3.1, 3.3: role administrator; wrong passwords are an event and an alert.
#[tokio::test]
async fn wrong_users_are_refused_and_told_of() {
    let master = run(willing);
    let shadow = node(Options::default());
    let problem = master.pair(&shadow, "ann", "not the password").await.unwrap_err();
    assert_eq!(problem.what, "user or password is wrong");
    assert_eq!(master.pair(&shadow, "nobody", PASSWORD).await.unwrap_err(), problem, "users are not told apart");
    let problem = master.pair(&shadow, "dora", PASSWORD).await.unwrap_err();
    assert_eq!(problem.what, "this user may not pair");
    std::fs::write(&master.users, "users: [").unwrap();
    let problem = master.pair(&shadow, "ann", PASSWORD).await.unwrap_err();
    assert_eq!(problem.what, "the master could not check the password");

    let told = master.end().await;
    let troubles: Vec<_> = told.iter().filter(|input| matches!(input, Input::Trouble { code: "S-002", .. })).collect();
    assert_eq!(troubles.len(), 2, "{told:?}");
    assert_eq!(told.iter().filter(|input| matches!(input, Input::Event(_))).count(), 4);
    assert!(!told.iter().any(|input| matches!(input, Input::PairProved { .. })));
    assert!(!format!("{told:?}").contains("not the password"), "spec 9.4");
}

/// spec 3.3: slowed down and then locked out after repeated wrong passwords, the right one included; told once a minute.
#[tokio::test]
async fn repeated_wrong_passwords_are_locked_out() {
    let mut master = master();
    let (access, port, fingerprint) =
        (master.net.shared.access.clone(), master.net.port(), master.identity.fingerprint());
    let wrong = |at: u64| access.verify("ann", "127.0.0.1", "not the password", Millis(at));
    let mut at = 1_000;
    for _ in 0..5 {
        assert_eq!(wrong(at), Verdict::Wrong);
    }
    let shadow = node(Options::default());
    let hosts = ["127.0.0.1".to_owned()];
    let pair = async || {
        let credentials = ("ann".to_owned(), Secret::new(PASSWORD.into()));
        shadow.net.pair(&hosts, port, fingerprint, credentials, pair_hello()).await.unwrap_err()
    };
    let attempt = async |master: &mut Node| {
        let answer = async {
            let Input::PairAsked { id, .. } = master.next().await else { panic!("not asked") };
            master.net.answer_pairing(id, Ok(None));
        };
        let (problem, ()) = tokio::join!(pair(), answer);
        assert_eq!(problem.what, "too many wrong passwords");
        problem.why
    };
    assert!(attempt(&mut master).await.contains("in 1 s"));
    let Input::Event(event) = master.next().await else { panic!("no event") };
    assert!(event.text.contains("too fast") && event.text.contains("user ann"), "{}", event.text);
    attempt(&mut master).await;

    for pause in [1_000, 2_000, 4_000, 8_000, 16_000] {
        at += pause;
        assert_eq!(wrong(at), Verdict::Wrong);
    }
    attempt(&mut master).await;
    assert!(matches!(master.next().await, Input::Event(_)));
    assert!(matches!(master.next().await, Input::Trouble { code: "S-003", .. }));
    attempt(&mut master).await;
    assert!(matches!(master.next().await, Input::Trouble { code: "S-003", .. }));
}

/// The engine may refuse after the password too (another shadow was faster), and may be too busy to answer at all.
#[tokio::test]
async fn a_refusal_after_the_password_is_told_too() {
    let master = run(|input| match input {
        Input::PairProved { .. } => Some(Err(refusal(RefusalCode::SecondShadow))),
        _ => Some(Ok(None)),
    });
    let shadow = node(Options::default());
    let problem = master.pair(&shadow, "ann", PASSWORD).await.unwrap_err();
    assert_eq!(problem.what, "the master has another shadow already");
    assert!(shadow.identity.load_peer(master.fingerprint).unwrap().is_none());
    master.end().await;
}

/// architecture wall 5: an engine that does not answer, and shadows that never go on, hold nothing for ever.
#[tokio::test]
async fn pairings_have_limits() {
    let limits = Limits { decision_ms: 100, ..Limits::default() };
    let mut silent = node(Options { limits, ..Options::default() });
    let shadow = node(Options::default());
    let probed = shadow.net.probe("127.0.0.1", silent.net.port(), pair_hello()).await.unwrap();
    assert_eq!(probed.refusal.unwrap().what, "the master is busy or stopping");
    let Input::PairAsked { id, .. } = silent.next().await else { panic!("not asked") };
    assert!(silent.net.shared.state().pairings.is_empty());
    silent.net.answer_pairing(id, Ok(None));

    let limits = Limits { decision_ms: 60_000, ..Limits::default() };
    let mut master = node(Options { limits, ..Options::default() });
    let mut probes = Vec::new();
    for _ in 0..PAIRINGS_MAX {
        let (net, port) = (shadow.net.clone(), master.net.port());
        probes.push(tokio::spawn(async move { net.probe("127.0.0.1", port, pair_hello()).await }));
        assert!(matches!(master.next().await, Input::PairAsked { .. }));
    }
    let probed = shadow.net.probe("127.0.0.1", master.net.port(), pair_hello()).await.unwrap();
    assert!(probed.refusal.unwrap().why.contains("pairings are under way"));
    for probe in probes {
        probe.abort();
    }
}
