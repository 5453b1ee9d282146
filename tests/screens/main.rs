//! Every screen as a snapshot: sizes × looks (spec 8.4). `INSTA_UPDATE=always` accepts; then look at them as an operator.

// The helpers of the tests are tests as well.
#![allow(clippy::unwrap_used)]

mod fixtures;
mod readme;
mod walk;

use std::fmt::Write;

use fixtures as f;
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use standin::console::message::{Code, Key};
use standin::console::{Message, Model, update};
use standin::engine::base::{Problem, Role, Term};
use standin::engine::order::{Difference, MasterSeen, Rehearsal, Reply, ServerFrame, VerifyReport};
use standin::engine::status::{CheckResult, Status};
use standin::view::{self, ColorLevel, Theme};

const SIZES: [(u16, u16); 4] = [(80, 24), (120, 40), (60, 16), (40, 8)];

/// The frame as text; trailing spaces are cut.
pub fn draw(model: &mut Model, theme: Theme) -> ratatui::buffer::Buffer {
    let mut terminal = Terminal::new(TestBackend::new(model.columns, model.rows)).unwrap();
    let mut drawn = None;
    terminal.draw(|frame| drawn = Some(view::draw(frame, model, theme))).unwrap();
    update(model, Message::Drawn(drawn.unwrap()));
    terminal.backend().buffer().clone()
}

fn text(buffer: &ratatui::buffer::Buffer) -> String {
    let mut out = String::new();
    for y in 0..buffer.area.height {
        let row: String = (0..buffer.area.width).map(|x| buffer[(x, y)].symbol()).collect();
        let _ = writeln!(out, "{}", row.trim_end());
    }
    out
}

/// Snapshots of one scene in every size, in Unicode with colours and in ASCII without.
fn scene(name: &str, make: impl Fn(u16, u16) -> Model) {
    for (look, theme) in
        [("unicode", Theme::new(ColorLevel::Ansi16, false)), ("ascii", Theme::new(ColorLevel::Mono, true))]
    {
        let mut out = String::new();
        for (columns, rows) in SIZES {
            // Keys do nothing where their effect could not be seen, so the scene is made first and the window shrinks then.
            let mut model = make(80, 24);
            update(&mut model, Message::Resize { columns, rows });
            let buffer = draw(&mut model, theme);
            let _ = writeln!(out, "{columns}x{rows}\n{}", text(&buffer));
            if theme.ascii {
                assert!(buffer.content.iter().all(|cell| cell.symbol().is_ascii()), "{name}: not ASCII");
                assert!(
                    buffer.content.iter().all(|cell| cell.fg == ratatui::style::Color::Reset),
                    "{name}: a colour in mono"
                );
            }
        }
        insta::with_settings!({ prepend_module_to_snapshot => false, omit_expression => true }, {
            insta::assert_snapshot!(format!("{name}__{look}"), out);
        });
    }
}

fn press(model: &mut Model, keys: &str) {
    for c in keys.chars() {
        let key = match c {
            '\n' => Key::plain(Code::Enter),
            '\t' => Key::plain(Code::Tab),
            '\u{1b}' => Key::plain(Code::Esc),
            '↓' => Key::plain(Code::Down),
            '→' => Key::plain(Code::Right),
            c => Key::ch(c),
        };
        update(model, Message::Key(key, f::NOW));
    }
}

fn after(status: fn() -> Status, keys: &'static str) -> impl Fn(u16, u16) -> Model {
    move |columns, rows| {
        let mut model = f::model(status(), f::alerts(), columns, rows);
        press(&mut model, keys);
        model
    }
}

fn calm(status: fn() -> Status, keys: &'static str) -> impl Fn(u16, u16) -> Model {
    move |columns, rows| {
        let mut model = f::model(status(), Vec::new(), columns, rows);
        press(&mut model, keys);
        model
    }
}

/// spec 8.2, 8.4
#[test]
fn overview() {
    scene("overview_master", calm(f::master, ""));
    scene("overview_master_alerts", after(f::master, ""));
    scene("overview_alone", calm(f::alone, ""));
    scene("overview_disabled", calm(f::disabled, ""));
    scene("overview_shadow", calm(f::ready, ""));
    scene("overview_lost", after(f::lost, ""));
    scene("overview_takeover_waits", after(f::waiting, ""));
    scene("overview_waiting", |columns, rows| Model::new(columns, rows, false));
}

/// spec 7.5, 7.7, 7.9, 7.10, 8.3: what holds an instance back is seen at once.
#[test]
fn overview_in_trouble() {
    scene("overview_takeover", after(f::taken_over, ""));
    scene("overview_boot_hold", calm(f::boot_hold, ""));
    scene("overview_in_doubt", calm(f::in_doubt, ""));
    scene("overview_isolated", calm(f::isolated, ""));
    scene("overview_maintenance", calm(f::maintenance, ""));
    scene("overview_diverged", calm(f::diverged, ""));
    scene("overview_engine_away", |columns, rows| {
        let mut model = f::model(f::master(), Vec::new(), columns, rows);
        update(&mut model, Message::Disconnected("It closed the connection.".into(), f::NOW));
        let later = standin::engine::base::UnixMillis(f::NOW.0 + 75_000);
        update(&mut model, Message::Tick(later));
        model
    });
}

/// spec 4.2: what was measured, beside what is set.
#[test]
fn timeouts() {
    use standin::engine::message::Timing;
    use standin::engine::timeouts::{Measured, judge};
    scene("timeouts", |columns, rows| {
        let mut model = f::model(f::ready(), Vec::new(), columns, rows);
        press(&mut model, "2i");
        let timing = Timing {
            check_interval_ms: 1_000,
            takeover_delay_ms: 3_000,
            connect_timeout_ms: 1_000,
            request_timeout_ms: 10,
        };
        let measured = Measured {
            master: "node-a.example.net port 8443".into(),
            connects_us: vec![1_900, 2_100],
            requests_us: vec![400, 7_300],
            ..Measured::default()
        };
        f::answer(&mut model, Reply::Timeouts(judge(&measured, timing)));
        model
    });
}

/// spec 2.6, 7.2, 7.10, 7.11, 7.13, 7.14: what a failover to be trusted rests on, on both panels.
#[test]
fn trust() {
    scene("overview_arbiter", calm(f::master_full, ""));
    scene("overview_arbiter_away", calm(f::shadow_arbiter_away, ""));
    scene("overview_damped", calm(f::damped, ""));
    scene("overview_switching", calm(f::switching, ""));
    scene("pair_master_arbiter", calm(f::master_full, "2"));
    scene("pair_shadow_arbiter", calm(f::shadow_arbiter_away, "2"));
    scene("pair_shadow_damped", calm(f::damped, "2"));
    scene("pair_master_damped", calm(f::slow_master, "2"));
    scene("form_master_arbiter", |columns, rows| {
        let mut status = f::alone();
        status.settings.arbiter.endpoints = f::arbiter().endpoints;
        let mut model = f::model(status, Vec::new(), columns, rows);
        press(&mut model, "2e");
        for _ in 0..9 {
            press(&mut model, "\t");
        }
        press(&mut model, "\u{8}");
        model
    });
    scene("dialog_take_over_arbiter", |columns, rows| {
        let mut status = f::lost();
        status.arbiter = f::shadow_arbiter_away().arbiter;
        let mut model = f::model(status, Vec::new(), columns, rows);
        press(&mut model, "T");
        model
    });
}

/// spec 8.6: what moves with every confirmation and every check redraws nothing.
#[test]
fn an_idle_arbiter_draws_nothing() {
    let mut model = f::model(f::master_full(), Vec::new(), 120, 40);
    press(&mut model, "2");
    let theme = Theme::new(ColorLevel::Mono, true);
    let before = text(&draw(&mut model, theme));
    let mut later = f::master_full();
    let arbiter = later.arbiter.as_mut().unwrap();
    (arbiter.confirmed_until, arbiter.last_answer) = (Some(f::ago(-60_000)), Some(f::NOW));
    let peer = later.peer.as_mut().unwrap();
    peer.clock_difference_ms = Some(13);
    peer.checks[0].message = "9 ms".into();
    update(&mut model, Message::Frame(Box::new(ServerFrame::Status(Box::new(later.clone()))), f::ago(-1_000)));
    assert_eq!(text(&draw(&mut model, theme)), before);
    later.arbiter.as_mut().unwrap().state = "away".into();
    update(&mut model, Message::Frame(Box::new(ServerFrame::Status(Box::new(later))), f::ago(-2_000)));
    assert!(text(&draw(&mut model, theme)).contains("AWAY"), "what matters is drawn at once");
}

/// spec 7.8: leaving the arbiter out takes a second word, and without it only the way through the arbiter is open.
#[test]
fn leaving_the_arbiter_out_takes_a_second_word() {
    use standin::console::message::Command;
    use standin::engine::order::{ClientFrame, Order};
    let ordered = |keys: &str| {
        let mut status = f::lost();
        status.arbiter = Some(f::arbiter());
        let mut model = f::model(status, Vec::new(), 80, 24);
        press(&mut model, keys);
        let commands = update(&mut model, Message::Key(Key::plain(Code::Enter), f::NOW));
        commands.into_iter().find_map(|command| match command {
            Command::Send(ClientFrame::Order { order: Order::BecomeMaster { without_arbiter }, .. }) => {
                Some(without_arbiter)
            }
            _ => None,
        })
    };
    assert_eq!(ordered("Tnode-b\t\t\t"), Some(false), "through the arbiter");
    assert_eq!(ordered("Tnode-b\t\t\t\t"), None, "the second word is missing");
    assert_eq!(ordered("Tnode-b\twithout arbiter\t\t\t"), Some(true));
    assert_eq!(ordered("T\twithout arbiter\t\t\t"), None, "the name is missing");
}

/// spec 2.6, 4.3, 4.5
#[test]
fn pair() {
    scene("pair_master", calm(f::master, "2"));
    scene("pair_alone", calm(f::alone, "2"));
    scene("pair_disabled", calm(f::disabled, "2"));
    scene("pair_shadow_ready", calm(f::ready, "2"));
    scene("pair_shadow_lost", after(f::lost, "2"));
    scene("pair_shadow_waiting", after(f::waiting, "2"));
    scene("pair_shadow_initial", calm(f::initial, "2"));
    scene("pair_shadow_unpaired", calm(f::unpaired, "2"));
    scene("pair_shadow_transfer", calm(f::transfer, "2"));
}

fn configuration_model(status: Status, columns: u16, rows: u16) -> Model {
    let mut model = f::model(status, Vec::new(), columns, rows);
    press(&mut model, "3");
    f::answer(&mut model, f::part());
    while model.files.selected.as_deref() != Some("subaccounts/eu12/mappings/orders.yaml") {
        press(&mut model, "↓");
        if model.files.current_file().is_some() {
            while !model.pending.is_empty() {
                let reply = f::shown(&model);
                f::answer(&mut model, reply);
            }
        }
    }
    model
}

fn report() -> Reply {
    let difference = |path: &str, what: &str| Difference { path: path.into(), what: what.into() };
    Reply::Verified(Box::new(VerifyReport {
        own_root: standin::engine::base::Digest([7; 32]),
        peer_root: Some(standin::engine::base::Digest([8; 32])),
        committed_root: standin::engine::base::Digest([7; 32]),
        files: 98_214,
        bytes: 1_240_000_000,
        took_ms: 2_310,
        differences: vec![
            difference("subaccounts/eu12/mappings/orders.yaml", "content"),
            difference("trust/allowlist.yaml", "only here"),
        ],
        differences_total: 2,
        peer_problem: None,
        at: f::NOW,
    }))
}

/// spec 4.5, 5.7, 5.8
#[test]
fn configuration() {
    scene("configuration_master", |columns, rows| configuration_model(f::master(), columns, rows));
    scene("configuration_shadow", |columns, rows| configuration_model(f::ready(), columns, rows));
    scene("configuration_secrets", |columns, rows| {
        let mut model = configuration_model(f::master(), columns, rows);
        press(&mut model, "\nX\t\n");
        model
    });
    scene("configuration_filter", |columns, rows| {
        let mut model = configuration_model(f::master(), columns, rows);
        press(&mut model, "/orders");
        model
    });
    scene("configuration_report", |columns, rows| {
        let mut model = configuration_model(f::master(), columns, rows);
        press(&mut model, "v");
        f::answer(&mut model, report());
        model
    });
    scene("configuration_changed", |columns, rows| {
        let mut model = configuration_model(f::master(), columns, rows);
        press(&mut model, "v");
        f::answer(&mut model, report());
        press(&mut model, "\u{1b}");
        model
    });
}

/// spec 5.6: revisions, and what they changed.
#[test]
fn configuration_history() {
    let history = history_model;
    scene("configuration_history", history);
    scene("configuration_diff", move |columns, rows| {
        let mut model = history(columns, rows);
        press(&mut model, "\n");
        f::answer(&mut model, f::diff());
        model
    });
    scene("configuration_diff_search", move |columns, rows| {
        let mut model = history(columns, rows);
        press(&mut model, "\n");
        f::answer(&mut model, f::diff());
        press(&mut model, "/host");
        model
    });
    scene("configuration_restore", move |columns, rows| {
        let mut model = history(columns, rows);
        press(&mut model, "↓P");
        f::answer(&mut model, f::preview());
        model
    });
}

/// The revisions of the selected file.
fn history_model(columns: u16, rows: u16) -> Model {
    let mut model = configuration_model(f::master(), columns, rows);
    press(&mut model, "t");
    f::answer(&mut model, Reply::Log(f::log()));
    model
}

fn held_model(columns: u16, rows: u16) -> Model {
    let mut status = f::master();
    status.configuration.held = 2;
    let mut model = f::model(status, Vec::new(), columns, rows);
    press(&mut model, "3");
    while let Some((id, pending)) = model.pending.iter().next().map(|(id, pending)| (*id, pending.asked.clone())) {
        let reply = match pending {
            standin::console::model::Asked::Held => f::held(),
            standin::console::model::Asked::Part(_) => f::part(),
            _ => f::shown(&model),
        };
        update(&mut model, Message::Frame(Box::new(ServerFrame::Reply { id, outcome: Ok(reply) }), f::NOW));
    }
    press(&mut model, "n");
    while !model.pending.is_empty() {
        let reply = f::shown(&model);
        f::answer(&mut model, reply);
    }
    model
}

/// spec 5.4: what is held back is marked, with reason and line; `n` goes there.
#[test]
fn configuration_held() {
    scene("configuration_held", held_model);
    scene("configuration_held_list", |columns, rows| {
        let mut model = held_model(columns, rows);
        press(&mut model, "m");
        model
    });
}

/// spec 8.4: long lines go aside, line numbers and signs stay; the owner of a file is told where owners are mirrored.
#[test]
fn configuration_sideways() {
    scene("configuration_sideways", |columns, rows| {
        let mut model = configuration_model(f::master(), columns, rows);
        if let Some(shown) = &mut model.files.shown {
            shown.entry.owner = "app:www".into();
        }
        press(&mut model, "\n→");
        model
    });
    scene("configuration_diff_sideways", |columns, rows| {
        let mut model = history_model(columns, rows);
        press(&mut model, "\n");
        f::answer(&mut model, f::diff());
        press(&mut model, "→");
        model
    });
}

/// spec 4.5: what was found changed on the shadow is marked there, and said with what had become of it.
#[test]
fn configuration_drift() {
    scene("configuration_drift", |columns, rows| {
        let mut status = f::ready();
        status.configuration.drift = 1;
        let mut model = f::model(status, Vec::new(), columns, rows);
        press(&mut model, "3");
        while let Some((id, pending)) = model.pending.iter().next().map(|(id, pending)| (*id, pending.asked.clone())) {
            let reply = match pending {
                standin::console::model::Asked::Drifted => f::drifted(),
                standin::console::model::Asked::Part(_) => f::part(),
                _ => f::shown(&model),
            };
            update(&mut model, Message::Frame(Box::new(ServerFrame::Reply { id, outcome: Ok(reply) }), f::NOW));
        }
        press(&mut model, "n");
        while !model.pending.is_empty() {
            let reply = f::shown(&model);
            f::answer(&mut model, reply);
        }
        model
    });
}

/// spec 4.3: how far a transfer is, where the files are looked at.
#[test]
fn configuration_transfer() {
    scene("configuration_transfer", |columns, rows| configuration_model(f::transfer(), columns, rows));
}

/// A colour tells the parts of a file apart; without colours they read the same.
#[test]
fn yaml_is_told_apart() {
    let mut model = configuration_model(f::master(), 80, 24);
    let buffer = draw(&mut model, Theme::new(ColorLevel::Ansi16, false));
    let mono = draw(&mut model, Theme::new(ColorLevel::Mono, false));
    assert_eq!(text(&buffer), text(&mono));
    let colour = |word: &str| {
        let (y, line) = text(&buffer).lines().enumerate().find_map(|(y, line)| Some((y, line.find(word)?))).unwrap();
        let x = text(&buffer).lines().nth(y).unwrap()[..line].chars().count();
        buffer[(u16::try_from(x).unwrap(), u16::try_from(y).unwrap())].fg
    };
    use ratatui::style::Color;
    assert_eq!((colour("virtualPort"), colour("\"443\"")), (Color::Cyan, Color::Green));
    assert_eq!((colour("true"), colour("********")), (Color::Magenta, Color::Yellow));
}

/// spec 6.1, 6.4
#[test]
fn alerts() {
    scene("alerts", after(f::master, "4"));
    scene("alerts_second", after(f::lost, "4↓"));
    scene("alerts_none", calm(f::master, "4"));
}

/// spec 8.2
#[test]
fn events() {
    scene("events", calm(f::master, "5"));
    scene("events_filtered", calm(f::master, "5/push\n"));
    scene("events_detail", calm(f::master, "5kkk\n"));
    let changed = |keys: &'static str| {
        move |columns, rows| {
            let mut model = f::model(f::taken_over(), Vec::new(), columns, rows);
            let frame = ServerFrame::Events(vec![f::role_change()]);
            update(&mut model, Message::Frame(Box::new(frame), f::NOW));
            press(&mut model, keys);
            model
        }
    };
    scene("events_role_change", changed("5"));
    scene("events_role_change_detail", changed("5\n"));
}

fn rehearsal(possible: bool) -> Reply {
    let check = |target: &str, ok, message: &str| CheckResult { target: target.into(), ok, message: message.into() };
    Reply::Rehearsal(Rehearsal {
        possible,
        new_master: "node-b.example.net".into(),
        term: Term(8),
        checks: vec![
            check("node-b READY, revision 4812, same digest", possible, if possible { "" } else { "state BROKEN" }),
            check("version 0.1.0 on both", true, ""),
            check("1 of 1 takeover checks", true, ""),
        ],
        gap: "Expected gap 0.3 s: the last stop took 200 ms, it counts as started 100 ms after its start".into(),
        steps: vec![
            "changes are frozen, the service stops on node-a".into(),
            "node-b starts it as master, term 8; node-a becomes its shadow".into(),
        ],
    })
}

/// spec 2.5, 4.1
#[test]
fn forms() {
    scene("form_master", calm(f::alone, "2e"));
    scene("form_master_locked", calm(f::master, "2e"));
    scene("form_shadow", calm(f::initial, "2enode-a"));
}

/// spec 7.7, 7.8, 8.1, 8.5
#[test]
fn dialogs() {
    scene("dialog_switch", |columns, rows| {
        let mut model = f::model(f::master(), Vec::new(), columns, rows);
        press(&mut model, "S");
        f::answer(&mut model, rehearsal(true));
        press(&mut model, "node-");
        model
    });
    scene("dialog_switch_refused", |columns, rows| {
        let mut model = f::model(f::master(), Vec::new(), columns, rows);
        press(&mut model, "S");
        f::answer(&mut model, rehearsal(false));
        model
    });
    scene("dialog_rehearsal", |columns, rows| {
        let mut model = f::model(f::master(), Vec::new(), columns, rows);
        press(&mut model, "b");
        f::answer(&mut model, rehearsal(true));
        model
    });
    scene("dialog_take_over", after(f::lost, "T"));
    scene("dialog_maintenance", calm(f::master, "M"));
    scene("dialog_disconnect", calm(f::master, "D"));
    scene("dialog_reset", |columns, rows| {
        let mut status = f::ready();
        status.state = Some(standin::engine::base::LinkState::Disconnected);
        let mut model = f::model(status, Vec::new(), columns, rows);
        press(&mut model, "R");
        model
    });
    scene("dialog_leave", |columns, rows| {
        let mut model = f::model(f::master(), Vec::new(), columns, rows);
        model.embeds = true;
        press(&mut model, "q");
        model
    });
    scene("dialog_problem", |columns, rows| {
        let mut model = f::model(f::master(), Vec::new(), columns, rows);
        press(&mut model, "D\t\n");
        let problem = Problem::new(
            "node-b was not disconnected",
            "it did not answer within 10 s",
            "Press D again, or disconnect in its own console",
        );
        let id = *model.pending.keys().next_back().unwrap();
        let frame = ServerFrame::Reply { id, outcome: Err(problem) };
        update(&mut model, Message::Frame(Box::new(frame), f::NOW));
        model
    });
}

fn seen() -> Reply {
    Reply::MasterSeen(MasterSeen {
        host: "node-a.example.net".into(),
        port: 8443,
        address: "10.1.4.20".into(),
        fingerprint: f::of_a(),
        version: "0.1.0".into(),
        role: Some(Role::Master),
        same_network: true,
    })
}

/// spec 3.1: the whole fingerprint, compared before anything secret is typed.
#[test]
fn pairing() {
    scene("dialog_probe", |columns, rows| {
        let mut model = f::model(f::unpaired(), Vec::new(), columns, rows);
        press(&mut model, "c");
        f::answer(&mut model, seen());
        model
    });
    scene("dialog_password", |columns, rows| {
        let mut model = f::model(f::unpaired(), Vec::new(), columns, rows);
        press(&mut model, "c");
        f::answer(&mut model, seen());
        press(&mut model, "\t\nops\thunter2hunter2");
        model
    });
}

/// One table feeds help and palette.
#[test]
fn overlays() {
    scene("help", calm(f::master, "?"));
    scene("palette", calm(f::master, ":"));
    scene("palette_typed", calm(f::ready, ":roles"));
}
