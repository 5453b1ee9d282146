//! Every step of the first start and both settings forms, drawn: 80x24 and 60x16, Unicode and ASCII without colour.

use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Color, Modifier};

use standin::console::field::FieldKey;
use standin::console::form::{self, Form, FormKey};
use standin::console::wizard::{Answer, Found, Wizard, WizardKey};
use standin::engine::base::Problem;
use standin::engine::settings::Settings;
use standin::engine::status::Status;
use standin::view::form::Look;

const MONO: Look = Look { ascii: true, color: false };
const RICH: Look = Look { ascii: false, color: true };

fn wizard() -> Wizard {
    let found = Found {
        host_names: vec!["node-a".into()],
        addresses: vec!["10.1.4.20".into(), "fd00::20".into()],
        port_free: Ok(()),
        home: "/var/lib/standin".into(),
        is_default_home: true,
        default_directory: "/var/lib/standin/configuration".into(),
    };
    Wizard::new(found, Settings::default())
}

fn keys(wizard: &mut Wizard, keys: &[WizardKey]) {
    for key in keys {
        wizard.key(key.clone());
    }
}

fn typed(text: &str) -> WizardKey {
    WizardKey::Paste(text.into())
}

fn space() -> WizardKey {
    WizardKey::Edit(FieldKey::Char(' '))
}

fn with_administrator(wizard: &mut Wizard) {
    let password = typed("vier rote Lampen");
    let enter = WizardKey::Enter;
    keys(wizard, &[enter.clone(), typed("ops"), enter.clone(), password.clone(), enter.clone(), password, enter]);
}

fn master_connection() -> Wizard {
    let mut wizard = wizard();
    with_administrator(&mut wizard);
    let down = WizardKey::Down;
    keys(&mut wizard, &[down.clone(), down.clone(), down.clone(), down.clone(), space(), down.clone()]);
    keys(&mut wizard, &[typed("node-b.example.net"), down, WizardKey::Edit(FieldKey::DeleteToStart)]);
    keys(&mut wizard, &[typed("/etc/connector"), WizardKey::Up]);
    wizard.answer(&Answer::Directory { path: "/etc/connector".into(), look: Ok((214, 1_234_567)) });
    wizard.answer(&Answer::Port { port: 8443, free: Ok(()) });
    wizard
}

fn shadow_connection() -> Wizard {
    let mut wizard = wizard();
    wizard.key(WizardKey::Down);
    with_administrator(&mut wizard);
    keys(&mut wizard, &[typed("node-a.example.net"), WizardKey::Down]);
    wizard.answer(&Answer::Resolved { host: "node-a.example.net".into(), addresses: Ok(vec!["10.1.4.21".into()]) });
    wizard
}

fn wizard_buffer(wizard: &Wizard, look: Look, width: u16, height: u16) -> Buffer {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| standin::view::wizard::draw(frame, wizard, look)).unwrap();
    terminal.backend().buffer().clone()
}

fn form_buffer(form: &Form, look: Look, width: u16, height: u16) -> Buffer {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| standin::view::form::draw(frame, Rect::new(0, 0, width, height), form, look)).unwrap();
    terminal.backend().buffer().clone()
}

fn text(buffer: &Buffer) -> String {
    let width = usize::from(buffer.area.width);
    let rows = buffer.content.chunks(width);
    rows.map(|row| row.iter().map(ratatui::buffer::Cell::symbol).collect::<String>().trim_end().to_owned() + "\n")
        .collect()
}

/// Draws in four ways, keeps the two that differ most as pictures, and holds all to the rules of spec 8.4.
fn check(name: &str, draw: &dyn Fn(Look, u16, u16) -> Buffer) {
    for (width, height) in [(60, 16), (80, 24), (132, 50)] {
        let mono = draw(MONO, width, height);
        for cell in &mono.content {
            assert!(cell.symbol().is_ascii(), "{name}: {:?} in ASCII", cell.symbol());
            assert_eq!((cell.fg, cell.bg), (Color::Reset, Color::Reset), "{name}: a colour without colours");
        }
        for cell in &draw(RICH, width, height).content {
            assert!(!matches!(cell.fg, Color::Rgb(..) | Color::Indexed(_)), "{name}: more than 16 colours");
        }
        if width <= 80 {
            insta::assert_snapshot!(format!("{name}_{width}x{height}_ascii"), text(&mono));
        }
    }
    insta::assert_snapshot!(format!("{name}_80x24_unicode"), text(&draw(RICH, 80, 24)));
}

/// spec 1.1
#[test]
fn step_role() {
    let wizard = wizard();
    check("role", &|look, width, height| wizard_buffer(&wizard, look, width, height));
}

/// spec 1.2
#[test]
fn step_administrator() {
    let mut wizard = wizard();
    keys(&mut wizard, &[WizardKey::Enter, typed("ops"), WizardKey::Enter, typed("vier rote Lampen"), WizardKey::Enter]);
    keys(&mut wizard, &[typed("vier rote"), WizardKey::NextStep]);
    check("administrator", &|look, width, height| wizard_buffer(&wizard, look, width, height));
    assert!(!text(&wizard_buffer(&wizard, RICH, 132, 50)).contains("rote"), "never shown");
}

/// spec 1.1, 2
#[test]
fn step_connection_of_a_master() {
    let wizard = master_connection();
    check("connection_master", &|look, width, height| wizard_buffer(&wizard, look, width, height));
}

/// spec 4.1, 4.2, 1.5
#[test]
fn step_connection_of_a_shadow() {
    let wizard = shadow_connection();
    check("connection_shadow", &|look, width, height| wizard_buffer(&wizard, look, width, height));
}

#[test]
fn step_connection_with_problems_and_warnings() {
    let mut wizard = shadow_connection();
    wizard.answer(&Answer::Resolved { host: "node-a.example.net".into(), addresses: Err("no such name".into()) });
    keys(&mut wizard, &[WizardKey::Down, WizardKey::Down, WizardKey::Edit(FieldKey::DeleteToStart), typed("0")]);
    keys(&mut wizard, &[WizardKey::Down, WizardKey::Edit(FieldKey::DeleteToStart), typed("8443")]);
    wizard.answer(&Answer::Port { port: 8443, free: Err("another program listens there".into()) });
    keys(&mut wizard, &[WizardKey::NextStep]);
    check("connection_problems", &|look, width, height| wizard_buffer(&wizard, look, width, height));
}

/// spec 1.4
#[test]
fn step_review() {
    let mut wizard = master_connection();
    wizard.key(WizardKey::NextStep);
    check("review_master", &|look, width, height| wizard_buffer(&wizard, look, width, height));
    let mut wizard = shadow_connection();
    wizard.key(WizardKey::NextStep);
    check("review_shadow", &|look, width, height| wizard_buffer(&wizard, look, width, height));
    wizard.key(WizardKey::Enter);
    wizard.save_failed(Problem::new(
        "Cannot make /var/lib/standin",
        "Permission denied",
        "Run it as the user who owns it",
    ));
    check("review_failed", &|look, width, height| wizard_buffer(&wizard, look, width, height));
}

/// spec 1.1: what is dropped
#[test]
fn leaving_and_help() {
    let mut wizard = shadow_connection();
    wizard.key(WizardKey::Help);
    check("help", &|look, width, height| wizard_buffer(&wizard, look, width, height));
    keys(&mut wizard, &[WizardKey::Help, WizardKey::Leave]);
    check("leaving", &|look, width, height| wizard_buffer(&wizard, look, width, height));
}

/// spec 8.4: below the smallest size a line says so; no size breaks it
#[test]
fn no_size_breaks_a_step() {
    let steps = [wizard(), master_connection(), shadow_connection()];
    for wizard in &steps {
        for (width, height) in [(1, 1), (8, 3), (40, 8), (59, 16), (60, 15), (60, 16), (81, 17), (250, 90)] {
            let text = text(&wizard_buffer(wizard, RICH, width, height));
            assert_eq!(width < 60 || height < 16, !text.contains("step "), "{width}x{height}\n{text}");
            form_buffer(&form::for_shadow(&Status::default()), RICH, width, height);
        }
    }
    assert!(text(&wizard_buffer(&steps[0], MONO, 40, 8)).contains("Window is 40x8. Needs 60x16."));
}

/// spec 8.4: on a low screen the rest of the review, the whole command with it, is scrolled to
#[test]
fn a_review_that_does_not_fit_is_scrolled() {
    let mut wizard = master_connection();
    wizard.key(WizardKey::NextStep);
    let low = |wizard: &Wizard| text(&wizard_buffer(wizard, MONO, 60, 16));
    assert!(low(&wizard).contains("more lines: down") && !low(&wizard).contains("--permitted"));
    for _ in 0..5 {
        wizard.key(WizardKey::Down);
    }
    assert!(low(&wizard).contains("--permitted") && low(&wizard).contains("the end"));
    assert!(text(&wizard_buffer(&wizard, MONO, 80, 24)).contains("Role  "), "where it fits nothing is scrolled away");
}

/// The field in edit is seen on every size, whatever stands above it.
#[test]
fn the_field_in_focus_is_always_seen() {
    let mut wizard = shadow_connection();
    for _ in 0..9 {
        wizard.key(WizardKey::Down);
        for (width, height) in [(60, 16), (80, 24)] {
            let buffer = wizard_buffer(&wizard, MONO, width, height);
            assert_eq!(text(&buffer).lines().filter(|line| line.starts_with(" > ")).count(), 1);
        }
    }
}

fn status() -> Status {
    let mut status = Status::default();
    status.settings.host = "node-b".into();
    status.settings.shadow.master_hosts = vec!["node-a.example.net".into()];
    status.own_hosts = vec!["node-b".into(), "10.1.4.21".into()];
    status
}

/// spec 4.1, 4.2: value in force, limits, consequence, problem under its field, `*` where not saved
#[test]
fn form_of_a_shadow() {
    let mut form = form::for_shadow(&status());
    for _ in 0..5 {
        form.key(FormKey::Down);
    }
    form.key(FormKey::Edit(FieldKey::DeleteToStart));
    form.key(FormKey::Paste("10s".into()));
    form.key(FormKey::Down);
    form.key(FormKey::Edit(FieldKey::DeleteToStart));
    form.key(FormKey::Paste("soon".into()));
    form.key(FormKey::Save);
    check("form_shadow", &|look, width, height| form_buffer(&form, look, width, height));
    let colored = form_buffer(&form, RICH, 80, 24);
    assert!(colored.content.iter().any(|cell| cell.fg == Color::Red), "a problem has a colour where there are any");
    let mono = form_buffer(&form, MONO, 80, 24);
    assert!(mono.content.iter().any(|cell| cell.modifier.contains(Modifier::BOLD)));
}

/// spec 2.5: locked, and why
#[test]
fn form_of_a_master_while_a_shadow_is_connected() {
    let mut status = status();
    status.settings.high_availability.enabled = true;
    status.settings_locked = Some("a shadow is connected; disconnect it first".into());
    let mut form = form::for_master(&status);
    form.key(FormKey::Up);
    check("form_master_locked", &|look, width, height| form_buffer(&form, look, width, height));
}
