use super::*;
use crate::console::dialog::Topic;
use crate::console::message::{Code, Edited, Key, Leave};
use crate::console::model::Asked;
use crate::engine::base::{Condition, Digest, LinkState, Problem, RevisionId, Role, Term};
use crate::engine::history::{
    Became, Change, ChangeReport, Expected, FileBytes, LogEntry, PathChange, PathConflict, Version,
};
use crate::engine::listing::FilesPart;
use crate::engine::message::Branch;
use crate::engine::order::{FileContent, FileEntry, FileKind, MasterSeen, Order, Rehearsal, Reply};
use crate::engine::status::{Notice, PeerStatus, Status};

const AT: UnixMillis = UnixMillis(1_795_356_131_000);

fn frame(model: &mut Model, frame: ServerFrame) -> Vec<Command> {
    update(model, Message::Frame(Box::new(frame), AT))
}

fn status(role: Role) -> Status {
    let is_master = role == Role::Master;
    let mut status = Status {
        role: Some(role),
        active: is_master,
        term: Term(7),
        state: Some(if is_master { LinkState::Connected } else { LinkState::Ready }),
        peer: Some(PeerStatus {
            host: "node-b.example.net".into(),
            compatible: true,
            in_sync: true,
            fingerprint: Some(fingerprint()),
            ..PeerStatus::default()
        }),
        ..Status::default()
    };
    status.ha.enabled = true;
    status
}

fn fingerprint() -> crate::engine::base::Fingerprint {
    "51aa09c2b7e05fd1930c6e2b84f7a01d5c3e9980127bd4fe663a90c8e2d7417e".parse().unwrap()
}

fn model(status: Status) -> Model {
    let mut model = Model::new(80, 24, false);
    update(&mut model, Message::Connected(AT));
    frame(&mut model, ServerFrame::Status(Box::new(status)));
    model
}

fn press(model: &mut Model, keys: &str) -> Vec<Command> {
    let mut commands = Vec::new();
    for c in keys.chars() {
        let key = match c {
            '\n' => Key::plain(Code::Enter),
            '\t' => Key::plain(Code::Tab),
            '\u{1b}' => Key::plain(Code::Esc),
            c => Key::ch(c),
        };
        commands.extend(update(model, Message::Key(key, AT)));
    }
    commands
}

fn orders(commands: &[Command]) -> Vec<Order> {
    commands
        .iter()
        .filter_map(|command| match command {
            Command::Send(ClientFrame::Order { order, .. }) => Some(order.clone()),
            _ => None,
        })
        .collect()
}

fn reply(model: &mut Model, outcome: Result<Reply, Problem>) -> Vec<Command> {
    let id = *model.pending.keys().next_back().expect("an order waits");
    frame(model, ServerFrame::Reply { id, outcome })
}

fn note(model: &Model) -> &str {
    model.note.as_ref().map_or("", |note| note.text.as_str())
}

fn rehearsal(possible: bool) -> Reply {
    Reply::Rehearsal(Rehearsal {
        possible,
        new_master: "node-b.example.net".into(),
        term: Term(8),
        checks: Vec::new(),
        gap: "Expected gap 0.3 s".into(),
        steps: vec!["the service stops".into()],
    })
}

/// spec 7.7, 8.5: rehearsed first, then the name, then Cancel is chosen, then it is ordered.
#[test]
fn a_switch_asks_for_the_name() {
    let mut model = model(status(Role::Master));
    assert_eq!(orders(&press(&mut model, "S")), [Order::Switch { dry_run: true }]);
    reply(&mut model, Ok(rehearsal(true)));
    assert_eq!(orders(&press(&mut model, "node-x\n\t\n")), []);
    assert!(model.dialog.is_some(), "the wrong name does nothing");
    press(&mut model, "\u{1b}S");
    reply(&mut model, Ok(rehearsal(true)));
    assert_eq!(orders(&press(&mut model, "node-b\n\n")), [], "Enter twice chooses Cancel");
    assert!(model.dialog.is_none());
    press(&mut model, "S");
    reply(&mut model, Ok(rehearsal(true)));
    assert_eq!(orders(&press(&mut model, "node-b\n\t\n")), [Order::Switch { dry_run: false }]);
}

/// spec 7.7: a refused rehearsal leaves nothing to press.
#[test]
fn an_impossible_switch_has_no_button() {
    let mut model = model(status(Role::Master));
    press(&mut model, "S");
    reply(&mut model, Ok(rehearsal(false)));
    assert_eq!(model.dialog.as_ref().map(|dialog| dialog.buttons.len()), Some(1));
    assert_eq!(orders(&press(&mut model, "\n")), []);
}

/// spec 8.5
#[test]
fn an_impossible_action_says_why() {
    let mut model = model(status(Role::Shadow));
    assert_eq!(press(&mut model, "S"), []);
    assert!(note(&model).contains("Only the master"), "{}", note(&model));
    assert_eq!(press(&mut model, "T"), []);
    assert!(note(&model).contains("answers"), "{}", note(&model));
}

/// spec 3.1: probe, compare, then user and password, then pair; nothing is sent before.
#[test]
fn pairing_compares_first() {
    let mut unpaired = status(Role::Shadow);
    unpaired.peer = None;
    unpaired.state = Some(LinkState::Disconnected);
    let mut model = model(unpaired);
    assert_eq!(orders(&press(&mut model, "c")), [Order::Probe { host: None, port: None }]);
    let seen = MasterSeen {
        host: "node-a".into(),
        port: 8443,
        address: "10.0.0.1".into(),
        fingerprint: fingerprint(),
        version: "0.1.0".into(),
        role: Some(Role::Master),
        same_network: true,
    };
    reply(&mut model, Ok(Reply::MasterSeen(seen)));
    assert_eq!(model.dialog.as_ref().and_then(|dialog| dialog.fingerprint), Some(fingerprint()));
    assert_eq!(orders(&press(&mut model, "\t\n")), []);
    let sent = orders(&press(&mut model, "ops\tlong enough pw\n\n"));
    let [Order::Pair { user, password, fingerprint: compared }] = sent.as_slice() else { panic!("{sent:?}") };
    assert_eq!((user.as_str(), password.expose(), *compared), ("ops", "long enough pw", fingerprint()));
}

/// spec 3.2: a paired shadow needs no password.
#[test]
fn a_paired_shadow_just_connects() {
    let mut paired = status(Role::Shadow);
    paired.state = Some(LinkState::Disconnected);
    let mut model = model(paired);
    assert_eq!(orders(&press(&mut model, "c")), [Order::Connect]);
}

/// spec 8.3: a change of role is seen at once, and an open question of the old role is void.
#[test]
fn a_change_of_role_closes_questions_and_shows_itself() {
    let mut model = model(status(Role::Shadow));
    press(&mut model, "5D");
    assert!(model.dialog.is_some());
    let mut new = status(Role::Master);
    new.term = Term(8);
    new.notice = Some(Notice {
        title: "THIS INSTANCE IS NOW MASTER".into(),
        at: AT,
        role: Role::Master,
        term: Term(8),
        reason: crate::engine::base::Reason::Takeover,
        lines: Vec::new(),
        timeline: Vec::new(),
    });
    frame(&mut model, ServerFrame::Status(Box::new(new)));
    assert!(model.dialog.is_none());
    assert_eq!(model.screen, Screen::Overview);
    assert_eq!(orders(&press(&mut model, "u")), [Order::DismissNotice]);
}

/// spec 8.6: checks that only say "still there" change nothing that is shown.
#[test]
fn a_quiet_check_is_not_shown() {
    let mut model = model(status(Role::Master));
    let shown = model.status.clone();
    let mut later = status(Role::Master);
    if let Some(peer) = &mut later.peer {
        peer.round_trip_ms = Some(3.0);
        peer.last_check = Some(AT);
    }
    let frame = ServerFrame::Status(Box::new(later.clone()));
    update(&mut model, Message::Frame(Box::new(frame), UnixMillis(AT.0 + 5_000)));
    assert_eq!(model.status, shown);
    assert_eq!(model.shown_at, AT);
    assert!(!model.is_animated());
    press(&mut model, "j");
    assert_eq!(model.status.as_deref(), Some(&later), "a key press looks at the newest");
}

/// spec 8.8: the console stays, says so, and asks for everything again.
#[test]
fn an_engine_that_goes_away_comes_back() {
    let mut model = model(status(Role::Master));
    press(&mut model, "v");
    update(&mut model, Message::Disconnected("gone".into(), AT));
    assert!(model.status.is_some() && model.pending.is_empty());
    assert!(note(&model).contains("before it answered"));
    assert!(model.is_animated(), "the age grows");
    assert_eq!(press(&mut model, "v"), []);
    let commands = update(&mut model, Message::Connected(AT));
    assert!(matches!(commands.as_slice(), [Command::Send(ClientFrame::Subscribe { .. })]));
}

/// spec 8.1: attached, `q` leaves; embedded, it asks, and stopping waits for the engine.
#[test]
fn leaving_asks_only_where_the_engine_is_embedded() {
    let mut model = model(status(Role::Master));
    assert_eq!(press(&mut model, "q"), [Command::Quit(Leave::LeaveRunning)]);
    assert_eq!(press(&mut model, "\u{1b}\u{1b}"), [], "Esc never leaves");
    model.embeds = true;
    assert_eq!(press(&mut model, "q\n"), [], "Cancel is chosen");
    assert_eq!(press(&mut model, "q\t\n"), [Command::Quit(Leave::LeaveRunning)]);
    model.dialog = None;
    assert_eq!(orders(&press(&mut model, "q\t\t\n")), [Order::Stop { keep_role: false }]);
    let commands = update(&mut model, Message::Disconnected("gone".into(), AT));
    assert_eq!(commands, [Command::Quit(Leave::Stop)]);
}

/// spec 8.1: Ctrl-Z suspends an attached console only.
#[test]
fn an_embedding_console_does_not_suspend() {
    let mut model = model(status(Role::Master));
    let suspend = Message::Key(Key::ctrl('z'), AT);
    assert_eq!(update(&mut model, suspend.clone()), [Command::Suspend]);
    model.embeds = true;
    assert_eq!(update(&mut model, suspend), []);
    assert!(note(&model).contains("does not suspend"));
}

/// spec 8.5: pasted text enters fields only.
#[test]
fn a_paste_outside_a_field_does_nothing() {
    let mut model = model(status(Role::Master));
    assert_eq!(update(&mut model, Message::Paste("S\nq".into())), []);
    assert!(model.dialog.is_none());
    press(&mut model, "5/");
    update(&mut model, Message::Paste("pu\nsh".into()));
    assert_eq!(model.events.filter, "push");
}

/// spec 7.9
#[test]
fn maintenance_asks_for_a_time() {
    let mut model = model(status(Role::Master));
    press(&mut model, "M");
    assert_eq!(orders(&press(&mut model, "x\n\t\n")), []);
    assert!(model.dialog.as_ref().is_some_and(|dialog| dialog.problem.is_some()));
    update(&mut model, Message::Key(Key::ctrl('u'), AT));
    assert_eq!(orders(&press(&mut model, "2h\n\t\n")), [Order::Maintenance { for_ms: 7_200_000 }]);
}

/// spec 7.5: `r` resumes on every screen while the boot hold lasts.
#[test]
fn the_boot_hold_can_be_ended() {
    let mut held = status(Role::Master);
    held.condition = Some(Condition::BootHold);
    held.hold = Some(crate::engine::status::Hold { ends_at: Some(AT), of_ms: 60_000, why: "waits".into() });
    let mut model = model(held);
    assert!(model.is_animated(), "a count-down moves");
    for screen in ["1", "2", "3", "4", "5"] {
        press(&mut model, screen);
        assert_eq!(orders(&press(&mut model, "r")), [Order::Resume], "screen {screen}");
        reply(&mut model, Ok(Reply::Done("resumed".into())));
    }
}

/// A refused order says what, why and what to do.
#[test]
fn a_refusal_is_a_dialog() {
    let mut model = model(status(Role::Master));
    press(&mut model, "D\t\n");
    reply(&mut model, Err(Problem::new("not done", "it is so", "do that")));
    assert_eq!(model.dialog.as_ref().map(|dialog| dialog.topic), Some(Topic::Problem));
    press(&mut model, "\n");
    assert!(model.dialog.is_none());
}

/// spec 5.6: the list of files is asked for when the revision changes, and only then.
#[test]
fn files_are_listed_once_a_revision() {
    let revision = |number| Some(RevisionId { number, term: Term(1), root: Digest::ZERO });
    let part = |number, begins, path: &str, next: Option<&str>| {
        let entry = FileEntry {
            path: path.into(),
            kind: FileKind::File,
            mode: 0o640,
            size: 1,
            digest: Digest::ZERO,
            revision: number,
            owner: String::new(),
        };
        let (entries, next) = (vec![entry], next.map(str::to_owned));
        Ok(Reply::FilesPart(Box::new(FilesPart { revision: revision(number), begins, entries, gone: vec![], next })))
    };
    let list = |since: Option<u64>, after: Option<&str>| Order::ListPart {
        since: since.and_then(revision),
        after: after.map(str::to_owned),
    };
    let mut first = status(Role::Master);
    (first.configuration.revision, first.configuration.root) = (1, Some(Digest::ZERO));
    let mut model = model(first.clone());
    assert_eq!(orders(&press(&mut model, "3")), [list(None, None)]);
    let next = reply(&mut model, part(1, true, "a", Some("a")));
    assert_eq!(orders(&next), [list(None, Some("a"))], "in parts");
    assert_eq!(model.files.tree.files(), 1, "what came is shown");
    let done = orders(&reply(&mut model, part(1, false, "b", None)));
    assert!(matches!(done.as_slice(), [Order::ShowFile { .. }]), "{done:?}");
    reply(&mut model, Err(Problem::new("not shown", "x", "")));
    assert_eq!(orders(&press(&mut model, "13")), []);
    first.configuration.revision = 2;
    let asked = orders(&frame(&mut model, ServerFrame::Status(Box::new(first.clone()))));
    assert_eq!(asked, [list(Some(1), None)], "then only what changed");
    let next = reply(&mut model, part(2, false, "c", Some("c")));
    assert_eq!(orders(&next)[..1], [list(Some(1), Some("c"))]);
    first.configuration.revision = 3;
    assert_eq!(orders(&frame(&mut model, ServerFrame::Status(Box::new(first)))), [], "one after the other");
    let asked = orders(&reply(&mut model, part(3, false, "d", None)));
    assert_eq!(asked[..1], [list(Some(2), None)], "what came in between is asked for again");
    assert_eq!(model.files.tree.files(), 4);
}

/// What waits is bounded, and the newest order is not lost silently.
#[test]
fn waiting_orders_are_bounded() {
    let mut model = model(status(Role::Master));
    for _ in 0..crate::console::model::PENDING_MAX {
        assert!(model.order(Order::Status, Asked::Sentence, "x").is_some());
    }
    assert!(model.order(Order::Status, Asked::Sentence, "x").is_none());
    assert!(note(&model).contains("Too many"));
}

/// spec 2.5: settings are edited in the form; what is typed there is never a command.
#[test]
fn settings_are_saved_from_the_form() {
    let mut model = model(status(Role::Shadow));
    press(&mut model, "2e");
    assert!(model.form.is_some());
    let sent = orders(&press(&mut model, "node-q\n"));
    let [Order::Edit(patch)] = sent.as_slice() else { panic!("{sent:?}") };
    assert_eq!(patch.master_hosts, Some(vec!["node-q".to_owned()]));
    reply(&mut model, Err(Problem::new("not saved", "locked", "")));
    assert!(model.form.is_some(), "what was typed stays");
    press(&mut model, "\n\n");
    reply(&mut model, Ok(Reply::Done("saved".into())));
    assert!(model.form.is_none());
    assert_eq!(note(&model), "saved");
}

fn entry(path: &str) -> FileEntry {
    FileEntry {
        path: path.into(),
        kind: FileKind::File,
        mode: 0o640,
        size: 5,
        digest: Digest([3; 32]),
        revision: 1,
        owner: String::new(),
    }
}

/// On Configuration, with one file in the list and shown.
fn with_file(role: Role, path: &str) -> Model {
    let mut model = model(status(role));
    model.status.as_mut().unwrap().configuration.revision = 4;
    model.latest.clone_from(&model.status);
    press(&mut model, "3");
    let part = FilesPart { begins: true, entries: vec![entry(path)], ..FilesPart::default() };
    reply(&mut model, Ok(Reply::FilesPart(Box::new(part))));
    model.pending.clear();
    model.files.reveal(path);
    model
}

fn content(path: &str) -> Reply {
    let text = "a: 1\n".to_owned();
    Reply::File(Box::new(FileContent { entry: entry(path), text, is_text: true, is_cut: false }))
}

/// spec 8.4: a long line is read to its end, in a file and in a comparison; only from its beginning the way leads to the tree
#[test]
fn long_lines_are_read_to_their_end() {
    use crate::console::files::ShownFile;
    use crate::console::history::{DiffKind, DiffRow, DiffView};
    let mut model = with_file(Role::Master, "a.yaml");
    let text = format!("b: 1\nkey: {}\n", "x".repeat(20));
    let content = FileContent { entry: entry("a.yaml"), text, is_text: true, is_cut: false };
    model.files.shown = Some(ShownFile::new(content));
    model.files.in_file = true;
    let lefts: Vec<usize> = "llllhglh"
        .chars()
        .map(|c| {
            press(&mut model, &c.to_string());
            model.files.file_left
        })
        .collect();
    assert_eq!(lefts, [8, 16, 24, 24, 16, 0, 8, 0], "25 cells");
    assert!(model.files.in_file);
    press(&mut model, "h");
    assert!(!model.files.in_file);
    let mut diff = DiffView::new(Version::Newest, Version::Directory, Vec::new());
    diff.loaded = true;
    diff.rows = vec![DiffRow { kind: DiffKind::New, text: "y".repeat(10) }];
    (model.files.diff, model.overlay) = (Some(diff), Some(Overlay::Diff));
    press(&mut model, "ll");
    assert_eq!(model.files.diff.as_ref().map(|diff| diff.left), Some(8));
    press(&mut model, "hh");
    assert_eq!((model.files.diff.as_ref().map(|diff| diff.left), model.overlay), (Some(0), Some(Overlay::Diff)));
}

/// spec 5.2: an edit becomes one revision, on top of exactly what was seen; its copy goes when it has served.
#[test]
fn an_edited_file_becomes_one_revision() {
    let mut model = with_file(Role::Master, "a.yaml");
    let read = orders(&press(&mut model, "e"));
    assert_eq!(read, [Order::ShowFile { path: "a.yaml".into(), revision: None }]);
    assert_eq!(orders(&press(&mut model, "e")), [], "once at a time");
    let to_terminal = reply(&mut model, Ok(content("a.yaml")));
    assert_eq!(to_terminal, [Command::Edit { path: "a.yaml".into(), text: "a: 1\n".into() }]);
    let edited = Edited::Changed { bytes: b"a: 2\n".to_vec(), copy: "/tmp/x".into() };
    let kept = orders(&update(&mut model, Message::Edited(edited)));
    assert_eq!(kept, [Order::KeepContent { bytes: FileBytes(b"a: 2\n".to_vec()) }]);
    let put = orders(&reply(&mut model, Ok(Reply::Kept(Digest([4; 32])))));
    let [Order::Change { change: Change::Put { files }, dry_run: false, .. }] = put.as_slice() else {
        panic!("{put:?}")
    };
    assert_eq!((files[0].digest, files[0].expected), (Digest([4; 32]), Expected::Content(Digest([3; 32]))));
    let revision = Some(RevisionId { number: 5, term: Term(7), root: Digest::ZERO });
    let report = ChangeReport { revision, total: 1, ..ChangeReport::default() };
    assert_eq!(reply(&mut model, Ok(Reply::Changed(Box::new(report)))), [Command::RemoveCopy("/tmp/x".into())]);
    assert_eq!((note(&model), &model.files.editing), ("Revision 5: 1 path changed", &None));
}

/// A change that came meanwhile is not overwritten; the text is kept, and it is said where.
#[test]
fn a_refused_edit_keeps_the_text() {
    let mut model = with_file(Role::Master, "a.yaml");
    press(&mut model, "e");
    reply(&mut model, Ok(content("a.yaml")));
    update(&mut model, Message::Edited(Edited::Suspended));
    assert!(note(&model).contains("e goes back"));
    press(&mut model, "q");
    assert!(model.dialog.as_ref().is_some_and(|dialog| dialog.body[0].contains("suspended")), "leaving asks");
    press(&mut model, "\n");
    assert_eq!(press(&mut model, "e"), [Command::ContinueEditor]);
    let edited = Edited::Changed { bytes: b"a: 2\n".to_vec(), copy: "/tmp/x".into() };
    update(&mut model, Message::Edited(edited));
    let commands = reply(&mut model, Err(Problem::new("not changed", "it has changed meanwhile", "edit it again")));
    assert_eq!(commands, [], "nothing is removed");
    let dialog = model.dialog.as_ref().expect("it is said");
    assert!(dialog.body.iter().any(|line| line.contains("changed meanwhile")), "{:?}", dialog.body);
    assert!(dialog.body.iter().any(|line| line.contains("kept in /tmp/x")), "{:?}", dialog.body);
    assert!(model.files.editing.is_none());
}

/// spec 4.5, 8.5: on the shadow the key says why not, and where.
#[test]
fn a_shadow_edits_and_restores_nothing() {
    let mut model = with_file(Role::Shadow, "a.yaml");
    assert_eq!(orders(&press(&mut model, "e")), []);
    assert!(note(&model).contains("Read only") && note(&model).contains("node-b"), "{}", note(&model));
    press(&mut model, "t");
    let entries = vec![log_entry(4)];
    reply(&mut model, Ok(Reply::Log(entries)));
    assert_eq!(orders(&press(&mut model, "P")), []);
    assert!(note(&model).contains("Read only"), "{}", note(&model));
}

fn log_entry(number: u64) -> LogEntry {
    LogEntry {
        revision: RevisionId { number, term: Term(7), root: Digest::ZERO },
        at: AT,
        author: "ops".into(),
        message: String::new(),
        added: 0,
        changed: 1,
        removed: 0,
        paths: vec!["a.yaml".into()],
    }
}

/// spec 5.6: from a path to its history, to what a revision changed, and back; restoring shows first what would change.
#[test]
fn history_leads_to_differences_and_back() {
    let mut model = with_file(Role::Master, "a.yaml");
    let path = || Some("a.yaml".to_owned());
    assert_eq!(orders(&press(&mut model, "t")), [Order::Log { path: path(), limit: 200, before: None }]);
    reply(&mut model, Ok(Reply::Log(vec![log_entry(4), log_entry(2)])));
    let asked = orders(&press(&mut model, "\n"));
    let [Order::Diff { from: Version::Revision(3), to: Version::Revision(4), paths, show_secrets: false }] =
        asked.as_slice()
    else {
        panic!("{asked:?}")
    };
    assert_eq!(paths, &["a.yaml"]);
    reply(&mut model, Ok(Reply::Diff(Box::default())));
    press(&mut model, "\u{1b}");
    assert_eq!(model.overlay, Some(Overlay::History), "Esc goes back to where it came from");
    press(&mut model, "j");
    let asked = orders(&press(&mut model, "d"));
    assert!(matches!(asked.as_slice(), [Order::Diff { from: Version::Revision(2), to: Version::Newest, .. }]));
    reply(&mut model, Err(Problem::new("not compared", "gone", "")));
    press(&mut model, "\n");
    assert_eq!(model.overlay, Some(Overlay::History));
    let asked = orders(&press(&mut model, "P"));
    let change = Change::Restore { revision: 2, paths: vec!["a.yaml".into()] };
    let message = "restore of revision 2".to_owned();
    assert_eq!(asked, [Order::Change { change: change.clone(), message: message.clone(), dry_run: true }]);
    let changes = vec![PathChange { path: "a.yaml".into(), what: Became::Changed }];
    let report = ChangeReport { dry_run: true, changes, total: 1, ..ChangeReport::default() };
    reply(&mut model, Ok(Reply::Changed(Box::new(report))));
    assert!(model.dialog.as_ref().is_some_and(|dialog| dialog.body.iter().any(|line| line.contains("a.yaml"))));
    assert_eq!(orders(&press(&mut model, "\t\n")), [Order::Change { change, message, dry_run: false }]);
    press(&mut model, "t");
    assert_eq!(model.files.history.path, None, "t again: everything");
}

/// spec 7.6: re-applying shows conflicts, and takes one over only where the operator has seen it.
#[test]
fn reapplying_a_branch_shows_conflicts() {
    let mut model = with_file(Role::Master, "a.yaml");
    let head = RevisionId { number: 3, term: Term(6), root: Digest::ZERO };
    let mut status = status(Role::Master);
    status.branches = vec!["diverged-term-6-rev-3".into()];
    status.configuration.revision = 4;
    frame(&mut model, ServerFrame::Status(Box::new(status)));
    model.pending.clear();
    assert_eq!(orders(&press(&mut model, "o")), [Order::Branches]);
    let branch = Branch {
        name: "diverged-term-6-rev-3".into(),
        common: None,
        head,
        revisions: 1,
        files: vec!["a.yaml".into()],
        files_total: 2,
        at: AT,
        author: "ops".into(),
        holder: String::new(),
    };
    reply(&mut model, Ok(Reply::Branches(vec![branch.clone()])));
    let change = |theirs: &[&str]| Change::Reapply {
        branch: branch.name.clone(),
        paths: vec![],
        theirs: theirs.iter().map(|path| (*path).to_owned()).collect(),
    };
    let asked = orders(&press(&mut model, "O"));
    assert!(matches!(asked.as_slice(), [Order::Change { change: asked, dry_run: true, .. }] if *asked == change(&[])));
    let report = ChangeReport {
        revision: None,
        dry_run: true,
        changes: vec![PathChange { path: "b".into(), what: Became::Added }],
        total: 1,
        conflicts: vec![PathConflict { path: "a.yaml".into(), why: "changed on both sides".into() }],
        conflicts_total: 1,
        overtaken: None,
    };
    reply(&mut model, Ok(Reply::Changed(Box::new(report))));
    let body = model.dialog.as_ref().map(|dialog| dialog.body.join("\n")).unwrap_or_default();
    assert!(body.contains("a.yaml: changed on both sides"), "{body}");
    let asked = orders(&press(&mut model, "\t\t\n"));
    let taken = change(&["a.yaml"]);
    assert!(matches!(asked.as_slice(), [Order::Change { change: asked, dry_run: false, .. }] if *asked == taken));
}

/// A search goes from hit to hit, in a file and in a comparison; Esc ends it first.
#[test]
fn a_file_can_be_searched() {
    let mut model = with_file(Role::Master, "a.yaml");
    let text = format!("{}needle: 1\n{}Needle: 2\n", "x: y\n".repeat(50), "x: y\n".repeat(50));
    let shown = FileContent { entry: entry("a.yaml"), text, is_text: true, is_cut: false };
    press(&mut model, "jk");
    reply(&mut model, Ok(Reply::File(Box::new(shown))));
    press(&mut model, "\n/needle\n");
    assert_eq!((model.files.file_scroll, model.files.search.hits.len()), (50, 2));
    press(&mut model, "n");
    assert_eq!(model.files.file_scroll, 101);
    press(&mut model, "\u{1b}");
    assert!(model.files.in_file && !model.files.search.is_on());
    press(&mut model, "\u{1b}");
    assert!(!model.files.in_file);
}
