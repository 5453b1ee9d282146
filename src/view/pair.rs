//! Screen 2: High Availability on a master, Shadow Connector on a shadow.

mod master;
mod shadow;

use ratatui::Frame;
use ratatui::layout::Rect;

use super::page::Page;
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

/// Both sides' takeover checks, one a line.
fn checks(page: &mut Page, checks: &[CheckResult]) {
    let theme = page.theme;
    for (index, check) in checks.iter().enumerate() {
        let label = if index == 0 { "  checks" } else { "" };
        let (word, style) = if check.ok { ("[ok]   ", theme.plain()) } else { ("[FAIL] ", theme.error()) };
        let text = if check.message.is_empty() {
            check.target.clone()
        } else {
            format!("{}  {}", check.target, check.message)
        };
        page.spans(vec![
            (format!("   {label:<11} "), theme.plain()),
            (word.trim_end().to_owned(), style),
            (format!(" {text}"), theme.plain()),
        ]);
    }
}

/// This instance's own name for the other side, to be read out.
fn this_instance(page: &mut Page, status: &Status) {
    let ends = status.instance.certificate_expires.map(|at| format!("certificate ends {} ", facts::day(at)));
    page.title("This instance", &ends.unwrap_or_default());
    fingerprint(page, status.instance.fingerprint);
}
