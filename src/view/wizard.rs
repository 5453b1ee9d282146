//! Draws the first start: step by step, from 60x16 up.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};
use ratatui::text::Line;
use ratatui::widgets::{Clear, Paragraph};

use super::form::{Look, bold, clipped, draw_fields, two_ends, wrapped};
use crate::console::wizard::{Step, Wizard};
use crate::engine::base::Role;

/// Narrowest and lowest screen that is drawn on.
const WIDTH_MIN: u16 = 60;
/// See [`WIDTH_MIN`].
const HEIGHT_MIN: u16 = 16;
/// Lines above the content: header, steps, rule.
const HEAD_LINES: u16 = 3;
/// Lines below it: message, keys.
const FOOT_LINES: u16 = 2;
/// Lines of content from which on there is room for empty ones.
const ROOMY_LINES: u16 = 17;
/// Columns from which on the texts stand as in the sketches.
const WIDE_COLUMNS: u16 = 68;

/// The choices of the first step.
const ROLES: [(Role, &str, [&str; 2]); 2] = [
    (Role::Master, "Master", ["Runs the service now. Holds the configuration.", "A shadow may connect to it later."]),
    (
        Role::Shadow,
        "Shadow",
        ["Watches a master, mirrors its configuration,", "and takes over when the master is gone."],
    ),
];
const GOOD_TO_KNOW: [&str; 2] = [
    "A pair has one master and one shadow. Start with the master.",
    "Roles can be switched later without a new installation.",
];

/// Widest dialog.
const DIALOG_WIDTH_MAX: u16 = 66;

/// Draws the whole screen.
pub fn draw(frame: &mut Frame, wizard: &Wizard, look: Look) {
    let area = frame.area();
    if area.width < WIDTH_MIN || area.height < HEIGHT_MIN {
        return draw_too_small(frame, look);
    }
    let line = |y: u16| Rect { y: area.y + y, height: 1, ..area };
    let step = format!("step {} of {}", wizard.step().number(), Step::ALL.len());
    let reverse = Style::new().add_modifier(Modifier::REVERSED);
    frame.render_widget(Paragraph::new(two_ends(" First start", &step, area.width)).style(reverse), line(0));
    frame.render_widget(Paragraph::new(steps_line(wizard)), line(1));
    frame.render_widget(Paragraph::new(look.rule(area.width)), line(2));
    let content = Rect { y: area.y + HEAD_LINES, height: area.height - HEAD_LINES - FOOT_LINES, ..area };
    match wizard.step() {
        Step::Role => draw_lines(frame, content, role_lines(wizard, content, look)),
        Step::Review => draw_review(frame, content, wizard, look),
        Step::Administrator | Step::Connection => draw_page(frame, content, wizard, look),
    }
    let (message, style) = message_of(wizard, look);
    let message = clipped(&look.text(&message), usize::from(area.width) - 2, look);
    frame.render_widget(Paragraph::new(format!(" {message}")).style(style), line(area.height - 2));
    let keys = format!(
        " {}",
        keys_of(wizard, area.width >= WIDE_COLUMNS).map(|(key, what)| format!("{key} {what}")).join("   ")
    );
    frame.render_widget(Paragraph::new(keys), line(area.height - 1));
    if let Some(leave) = wizard.leaving() {
        draw_leaving(frame, wizard, leave, look);
    } else if wizard.has_help() {
        draw_help(frame, wizard, look);
    }
}

fn draw_too_small(frame: &mut Frame, look: Look) {
    let area = frame.area();
    let size = format!("Window is {}x{}. Needs {WIDTH_MIN}x{HEIGHT_MIN}.", area.width, area.height);
    let lines = ["First start".to_owned(), size, "Or: standin setup --help".to_owned()];
    let lines: Vec<Line> = lines.iter().map(|text| Line::raw(clipped(text, usize::from(area.width), look))).collect();
    frame.render_widget(Paragraph::new(lines), area);
}

fn draw_lines(frame: &mut Frame, area: Rect, lines: Vec<Line<'static>>) {
    frame.render_widget(Paragraph::new(lines), area);
}

fn draw_page(frame: &mut Frame, area: Rect, wizard: &Wizard, look: Look) {
    let Some(page) = wizard.page() else { return };
    let mut below = wizard.consequences();
    if let Some(problem) = wizard.problem() {
        below.insert(0, format!("! {}: {}", problem.what, problem.why));
    }
    let question = match (wizard.step(), wizard.role()) {
        (Step::Administrator, _) => " Who may administer this instance?",
        (_, Role::Master) => " How is this master reached, and what does it hold?",
        (_, Role::Shadow) => " Which master does this shadow watch?",
    };
    frame.render_widget(Paragraph::new(question), Rect { height: 1, ..area });
    // An empty line under the question, where there is room for it.
    let skip = if usize::from(area.height) > page.items.len() + 7 { 2 } else { 1 };
    let fields = Rect { y: area.y + skip, height: area.height - skip, ..area };
    let cursor = draw_fields(frame, fields, &page.items, page.focus, &below, look);
    let has_dialog = wizard.leaving().is_some() || wizard.has_help();
    if let Some(at) = cursor.filter(|_| !has_dialog) {
        frame.set_cursor_position(at);
    }
}

/// The review; what does not fit is scrolled to.
fn draw_review(frame: &mut Frame, area: Rect, wizard: &Wizard, look: Look) {
    let lines = review_lines(wizard, area, look);
    let (count, height) = (lines.len(), usize::from(area.height));
    if count <= height {
        return draw_lines(frame, area, lines);
    }
    let start = wizard.scroll().min(count - (height - 1));
    let mut shown: Vec<Line> = lines.into_iter().skip(start).take(height - 1).collect();
    let left = count - start - shown.len();
    let text = if left > 0 { format!("   {left} more lines: down") } else { "   the end: up for the beginning".into() };
    shown.push(Line::styled(text, bold()));
    draw_lines(frame, area, shown);
}

/// Row 2: where the operator is.
fn steps_line(wizard: &Wizard) -> Line<'static> {
    let word = |step: Step| match step {
        step if step == wizard.step() => format!("[{}]", step.title()),
        step if step < wizard.step() => format!("{} ok", step.title()),
        step => step.title().to_owned(),
    };
    Line::raw(format!(" {}", Step::ALL.map(word).join("   ")))
}

fn role_lines(wizard: &Wizard, area: Rect, look: Look) -> Vec<Line<'static>> {
    let (is_roomy, is_wide) = (area.height >= ROOMY_LINES, area.width >= WIDE_COLUMNS);
    let mut lines = vec![Line::raw(" What is this instance?")];
    let gap = |lines: &mut Vec<Line<'static>>| {
        if is_roomy {
            lines.push(Line::raw(""));
        }
    };
    gap(&mut lines);
    for (role, name, about) in ROLES {
        let is_chosen = wizard.role() == role;
        let (mark, dot) = if is_chosen { ('>', 'o') } else { (' ', ' ') };
        let style = if is_chosen { bold() } else { Style::new() };
        let head = if is_wide { format!("   {mark} ({dot}) {name:<9} ") } else { format!(" {mark} ({dot}) {name} ") };
        let pad = " ".repeat(head.len());
        lines.push(Line::styled(format!("{head}{}", about[0]), style));
        lines.push(Line::raw(format!("{pad}{}", about[1])));
        gap(&mut lines);
    }
    gap(&mut lines);
    lines.push(Line::raw(" Good to know"));
    let good_to_know = if is_wide {
        GOOD_TO_KNOW.map(str::to_owned).into()
    } else {
        wrapped(&GOOD_TO_KNOW.join(" "), usize::from(area.width) - 4)
    };
    lines.extend(good_to_know.into_iter().map(|text| Line::raw(format!("   {text}"))));
    gap(&mut lines);
    lines.extend(found_lines(wizard, area, is_wide, look));
    lines
}

/// What was found on this machine, on two lines.
fn found_lines(wizard: &Wizard, area: Rect, is_wide: bool, look: Look) -> [Line<'static>; 2] {
    let found = wizard.found();
    let width = usize::from(area.width);
    let (title, pad) = if is_wide { (" Found on this machine   ", 25) } else { (" Found here   ", 14) };
    let name = found.host_names.first().map_or("none", String::as_str);
    let addresses = if found.addresses.is_empty() { "none".into() } else { found.addresses.join(", ") };
    let text = if is_wide {
        format!("{title}name {name}   addresses {addresses}")
    } else {
        format!("{title}{name}   {addresses}")
    };
    let port = wizard.default_port();
    let (port, style) = match &found.port_free {
        Ok(()) => (format!("port {port} free"), Style::new()),
        Err(why) => (format!("port {port} not free: {why}"), look.warning()),
    };
    let fit = |text: String| clipped(&look.text(&text), width, look);
    [Line::raw(fit(text)), Line::styled(fit(format!("{}{port}", " ".repeat(pad))), style)]
}

fn review_lines(wizard: &Wizard, area: Rect, look: Look) -> Vec<Line<'static>> {
    let width = usize::from(area.width);
    let review = wizard.review(width.saturating_sub(6));
    let fit = |text: String| clipped(&look.text(&text), width, look);
    let facts: Vec<Line> =
        review.facts.iter().map(|(label, value)| Line::raw(fit(format!("   {label:<20} {value}")))).collect();
    let longest = review.files.iter().map(|file| file.path.chars().count()).max().unwrap_or(0);
    let file_line = |file: &crate::console::wizard::WrittenFile| {
        Line::raw(fit(format!("     {:<longest$}   new   {}", file.path, file.mode)))
    };
    let files: Vec<Line> = review.files.iter().map(file_line).collect();
    let mut lines = facts;
    for warning in &review.warnings {
        let text = format!("   warning: {warning}");
        lines.push(Line::styled(fit(text), look.warning()));
    }
    if let Some(problem) = wizard.problem() {
        for text in wrapped(&format!("! {}: {}. {}", problem.what, problem.why, problem.todo), width.saturating_sub(6))
        {
            lines.push(Line::styled(fit(format!("   {text}")), look.error()));
        }
    }
    let command: Vec<Line> = review.command_lines.iter().map(|line| Line::raw(fit(format!("     {line}")))).collect();
    let height = usize::from(area.height);
    let is_roomy = lines.len() + files.len() + command.len() + 4 <= height;
    // On a low screen the files are one line, so that facts, problem and command stay whole.
    if is_roomy || lines.len() + files.len() + command.len() + 2 <= height {
        push_section(&mut lines, "   Will be written", files, is_roomy);
    } else {
        let home = wizard.found().home.trim_end_matches('/');
        lines.push(Line::raw(fit(format!("   Will be written: 4 new entries in {home}"))));
    }
    push_section(&mut lines, "   The same without questions", command, is_roomy);
    lines
}

fn push_section(lines: &mut Vec<Line<'static>>, title: &'static str, section: Vec<Line<'static>>, is_roomy: bool) {
    if is_roomy {
        lines.push(Line::raw(""));
    }
    lines.push(Line::raw(title));
    lines.extend(section);
}

fn message_of(wizard: &Wizard, look: Look) -> (String, Style) {
    if wizard.is_saving() {
        return (format!("Writing{}", look.ellipsis()), Style::new());
    }
    match (wizard.message(), wizard.step()) {
        (Some(message), _) => (message.to_owned(), bold()),
        (None, Step::Review) => ("Nothing has been written yet.".into(), Style::new()),
        (None, _) => ("Nothing is written before the review step.".into(), Style::new()),
    }
}

fn keys_of(wizard: &Wizard, is_wide: bool) -> [(&'static str, &'static str); 4] {
    if wizard.leaving().is_some() {
        return [("left/right", "choose"), ("Enter", "take it"), ("Esc", "stay"), ("Ctrl-C", "leave")];
    }
    let copy = if is_wide { "copy the command" } else { "copy" };
    match wizard.step() {
        Step::Role => [("up/down", "choose"), ("Enter", "next"), ("?", "help"), ("Ctrl-C", "leave")],
        Step::Review => [("Enter", "write and start"), ("Esc", "back"), ("y", copy), ("Ctrl-C", "leave")],
        _ => [("Enter", "next"), ("PgDn", "next step"), ("Esc", "back"), ("Ctrl-C", "leave")],
    }
}

fn draw_leaving(frame: &mut Frame, wizard: &Wizard, leave: bool, look: Look) {
    let mut lines = wizard.dropped();
    lines.push("Nothing was written, and nothing will be.".into());
    lines.push(String::new());
    let choices = if leave { "  Stay    [ Leave ]" } else { "[ Stay ]    Leave  " };
    lines.push(format!("{choices:>40}"));
    draw_dialog(frame, "Leave the first start?", &lines, look);
}

fn draw_help(frame: &mut Frame, wizard: &Wizard, look: Look) {
    let about = match wizard.step() {
        Step::Role => "The master runs the service and holds its configuration; the shadow mirrors it and takes over.",
        Step::Administrator => "This user logs on to the administration API, and a shadow is connected with it.",
        Step::Connection => "Every value can be changed later, on the second screen or in settings.yaml.",
        Step::Review => "Enter writes the files named here and starts the instance with its role.",
    };
    let width = DIALOG_WIDTH_MAX.min(frame.area().width);
    let mut lines = wrapped(about, usize::from(width) - 6);
    lines.extend(
        [
            "",
            "Tab, up, down   another field",
            "Enter, PgDn     next field, next step",
            "Space           turn a switch, take the next one found",
            "Ctrl-U, Ctrl-W  delete to the left, delete a word",
            "Esc             one step back; all that was entered stays",
            "Ctrl-C          leave; nothing is written",
            "",
            "Any key closes this help.",
        ]
        .map(str::to_owned),
    );
    draw_dialog(frame, "Help", &lines, look);
}

/// A box in the middle of the screen.
fn draw_dialog(frame: &mut Frame, title: &str, lines: &[String], look: Look) {
    let screen = frame.area();
    let width = DIALOG_WIDTH_MAX.min(screen.width);
    let height = u16::try_from(lines.len() + 4).unwrap_or(screen.height).min(screen.height);
    let area =
        Rect { x: screen.x + (screen.width - width) / 2, y: screen.y + (screen.height - height) / 2, width, height };
    let inner = usize::from(width) - 2;
    let (corners, side) = if look.ascii { (["+", "+", "+", "+"], "|") } else { (["┌", "┐", "└", "┘"], "│") };
    let head = format!("{} {title} ", look.rule(1));
    let top = format!(
        "{}{head}{}{}",
        corners[0],
        look.rule(width - 2 - u16::try_from(head.chars().count()).unwrap_or(0)),
        corners[1]
    );
    let row = |text: &str| {
        let text = clipped(&look.text(text), inner - 2, look);
        let text = two_ends(&format!(" {text}"), "", width - 2);
        format!("{side}{text}{side}")
    };
    let mut drawn = vec![top, row("")];
    drawn.extend(lines.iter().map(|line| row(line)));
    drawn.truncate(usize::from(height).saturating_sub(2));
    drawn.push(row(""));
    drawn.push(format!("{}{}{}", corners[2], look.rule(width - 2), corners[3]));
    frame.render_widget(Clear, area);
    frame.render_widget(Paragraph::new(drawn.into_iter().map(Line::raw).collect::<Vec<_>>()), area);
}
