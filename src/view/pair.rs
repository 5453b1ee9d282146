//! Screen 2: High Availability on a master, Shadow Connector on a shadow.

mod common;
mod master;
mod shadow;

use ratatui::Frame;
use ratatui::layout::Rect;
use unicode_width::UnicodeWidthStr;

use super::page::{Page, pad, wrap};
use super::theme::Theme;
use crate::console::facts;
use crate::console::message::Drawn;
use crate::console::model::Model;
use crate::engine::base::{Fingerprint, Role};
use crate::engine::status::{CheckResult, Status};

/// Draws it for the role of this instance.
pub fn draw(frame: &mut Frame<'_>, area: Rect, model: &Model, status: &Status, theme: Theme) -> Drawn {
    let mut page = Page::new(area.width, theme);
    match status.role {
        Some(Role::Master) => master::add(&mut page, model, status),
        Some(Role::Shadow) => shadow::add(&mut page, model, status),
        None => {
            page.blank();
            page.text(
                1,
                "This instance has no role yet. `standin` in a new home, or `standin setup`, gives it one.",
                theme.plain(),
            );
        }
    }
    page.draw(frame, area, model.scroll)
}

/// A fingerprint is compared by people: always whole, on a line of its own.
fn fingerprint(page: &mut Page, fingerprint: Option<Fingerprint>) {
    let theme = page.theme;
    let Some(fingerprint) = fingerprint else {
        page.line("     none yet", theme.plain());
        return;
    };
    let whole = fingerprint.to_string();
    if whole.len() + 5 <= page.width {
        page.line(&format!("     {whole}"), theme.strong());
    } else {
        page.line(&format!("     {}", &whole[..39]), theme.strong());
        page.line(&format!("            {}", &whole[39..]), theme.strong());
    }
}

/// Takeover checks, one a line: name, whether it passed, how long it took or why not.
fn checks(page: &mut Page, label: &str, checks: &[CheckResult]) {
    for (index, check) in checks.iter().enumerate() {
        let text = if check.message.is_empty() {
            check.target.clone()
        } else {
            format!("{}  {}", check.target, check.message)
        };
        let label = if index == 0 { label.to_owned() } else { " ".repeat(label.width()) };
        marked(page, &label, check.ok, &text);
    }
}

/// A line with `[ok]` or `[FAIL]` before its text.
fn marked(page: &mut Page, label: &str, ok: bool, text: &str) {
    let theme = page.theme;
    let (word, style) = if ok { ("[ok]", theme.plain()) } else { ("[FAIL]", theme.error()) };
    let column = super::page::VALUE_COLUMN.max(label.width() + 2);
    for (index, part) in wrap(text, page.width.saturating_sub(column + 8).max(10)).into_iter().enumerate() {
        let (label, word) = if index == 0 { (label, word) } else { ("", "") };
        page.spans(vec![
            (pad(&format!(" {label}"), column), theme.plain()),
            (word.to_owned(), style),
            (format!("{} {part}", " ".repeat(6usize.saturating_sub(word.len()))), theme.plain()),
        ]);
    }
}

/// What both panels end with. Before there is a pair the fingerprint comes first: somebody compares it (spec 3.1).
fn rest(page: &mut Page, model: &Model, status: &Status) {
    if status.peer.is_some() {
        common::add(page, model, status);
        this_instance(page, status);
    } else {
        this_instance(page, status);
        page.blank();
        common::add(page, model, status);
    }
}

/// This instance's own name for the other side, to be read out.
fn this_instance(page: &mut Page, status: &Status) {
    let ends = status.instance.certificate_expires.map(|at| format!("certificate ends {} ", facts::day(at)));
    page.title("This instance", &ends.unwrap_or_default());
    fingerprint(page, status.instance.fingerprint);
}
