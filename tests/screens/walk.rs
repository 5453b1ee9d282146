//! A deterministic random walk over keys, sizes, states and answers: `update` and `view::draw` never panic (spec 8.7).

use standin::console::message::{Code, Key};
use standin::console::{Message, Model, update};
use standin::engine::base::{Problem, UnixMillis};
use standin::engine::order::{Reply, ServerFrame};
use standin::engine::status::Status;
use standin::view::{ColorLevel, Theme};

use super::{draw, fixtures as f};

/// Numerical Recipes' generator: the same walk every time.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % sides
    }
}

const STATES: [fn() -> Status; 18] = [
    f::master,
    f::alone,
    f::disabled,
    f::ready,
    f::lost,
    f::initial,
    f::unpaired,
    f::transfer,
    f::taken_over,
    f::boot_hold,
    f::in_doubt,
    f::isolated,
    f::maintenance,
    f::master_full,
    f::shadow_arbiter_away,
    f::damped,
    f::switching,
    Status::default,
];

fn key(dice: &mut Dice) -> Key {
    const CODES: [Code; 14] = [
        Code::Enter,
        Code::Esc,
        Code::Tab,
        Code::BackTab,
        Code::Backspace,
        Code::Delete,
        Code::Up,
        Code::Down,
        Code::Left,
        Code::Right,
        Code::Home,
        Code::End,
        Code::PageUp,
        Code::PageDown,
    ];
    match dice.roll(4) {
        0 => Key::plain(CODES[dice.roll(CODES.len())]),
        1 => Key::ctrl(char::from(b'a' + u8::try_from(dice.roll(26)).unwrap())),
        _ => Key::ch(char::from(b' ' + u8::try_from(dice.roll(95)).unwrap())),
    }
}

fn reply(dice: &mut Dice, model: &Model) -> Option<ServerFrame> {
    let id = *model.pending.keys().next()?;
    let outcome = match dice.roll(6) {
        0 => Err(Problem::new("Refused", "it was\u{1b}[2J told to", "")),
        1 => Ok(super::rehearsal(dice.roll(2) == 0)),
        2 => Ok(super::seen()),
        3 => Ok(f::part()),
        4 => Ok(super::report()),
        _ => model.files.current_file().map_or(Ok(Reply::Branches(Vec::new())), |_| Ok(f::shown(model))),
    };
    Some(ServerFrame::Reply { id, outcome })
}

/// spec 8.4, 8.7
#[test]
fn nothing_an_operator_does_panics() {
    let mut dice = Dice(20_261_122);
    let mut model = f::model(f::master(), f::alerts(), 80, 24);
    let mut at = f::NOW;
    for step in 0..12_000 {
        at = UnixMillis(at.0 + 137);
        let message = match dice.roll(12) {
            0 => Message::Resize {
                columns: u16::try_from(dice.roll(170)).unwrap(),
                rows: u16::try_from(dice.roll(60)).unwrap(),
            },
            1 => Message::Frame(Box::new(ServerFrame::Status(Box::new(STATES[dice.roll(STATES.len())]()))), at),
            2 => match reply(&mut dice, &model) {
                Some(frame) => Message::Frame(Box::new(frame), at),
                None => Message::Tick(at),
            },
            3 => {
                Message::Frame(Box::new(ServerFrame::Alerts(f::alerts().into_iter().skip(dice.roll(4)).collect())), at)
            }
            4 if dice.roll(8) == 0 => Message::Disconnected("gone".into(), at),
            4 => Message::Connected(at),
            5 if dice.roll(4) == 0 => Message::Paste("pasted\ntext\u{7}".into()),
            _ => Message::Key(key(&mut dice), at),
        };
        update(&mut model, message);
        if step % 3 == 0 && model.columns > 0 && model.rows > 0 {
            let theme = Theme::new(ColorLevel::Ansi16, step % 2 == 0);
            draw(&mut model, theme);
        }
    }
}
