//! The model as a frame. Changes nothing, reads nothing else (`ARCHITECTURE.md`, walls).

pub mod form;
pub mod glyphs;
pub mod theme;
pub mod wizard;

mod alerts;
mod attention;
mod banner;
mod chrome;
mod configuration;
mod dialog;
mod events;
mod history;
mod overlay;
mod overview;
mod page;
mod pair;
mod picture;
mod source;

use ratatui::Frame;
use ratatui::layout::Rect;

use crate::console::message::Drawn;
use crate::console::model::{Model, Screen};
use page::Page;
pub use theme::{ColorLevel, Scheme, Theme};

/// Rows around the content: header, screens, rule, message line, footer.
const CHROME_ROWS: u16 = 5;
/// From this width on lists stand left of their detail.
const WIDE_COLUMNS: u16 = 120;

/// Draws the whole console and says how far its content scrolls.
///
/// # Panics
/// When a test has asked for a fault in the drawing code.
pub fn draw(frame: &mut Frame<'_>, model: &Model, theme: Theme) -> Drawn {
    assert!(!model.fault, "a fault in the drawing code, asked for by a test");
    let drawn = draw_all(frame, model, theme);
    if theme.ascii {
        glyphs::to_ascii(frame.buffer_mut());
    }
    drawn
}

fn draw_all(frame: &mut Frame<'_>, model: &Model, theme: Theme) -> Drawn {
    let area = frame.area();
    if model.is_too_small() || area.width < 10 || area.height <= CHROME_ROWS {
        chrome::too_small(frame, area, model, theme);
        return Drawn::default();
    }
    let row = |y: u16| Rect { x: area.x, y: area.y + y, width: area.width, height: 1 };
    chrome::header(frame, row(0), model, theme);
    chrome::tabs(frame, row(1), model, theme);
    chrome::rule(frame, row(2), theme);
    let content = Rect { y: area.y + 3, height: area.height - CHROME_ROWS, ..area };
    let drawn = match (&model.form, &model.overlay) {
        (Some(form), _) => {
            form::draw(frame, content, form, theme.look());
            Drawn::default()
        }
        (None, Some(overlay)) => overlay::draw(frame, content, model, overlay, theme),
        (None, None) => screen(frame, content, model, theme),
    };
    chrome::message(frame, row(area.height - 2), model, theme);
    chrome::footer(frame, row(area.height - 1), model, theme);
    match &model.dialog {
        Some(dialog) => dialog::draw(frame, content, dialog, model.scroll, theme),
        None => drawn,
    }
}

fn screen(frame: &mut Frame<'_>, area: Rect, model: &Model, theme: Theme) -> Drawn {
    let Some(status) = model.status.as_deref() else {
        let mut page = Page::new(area.width, theme);
        page.blank();
        page.text(2, "Nothing is known yet: the engine has not answered.", theme.plain());
        return page.draw(frame, area, 0);
    };
    match model.screen {
        Screen::Overview => overview::draw(frame, area, model, status, theme),
        Screen::Pair => pair::draw(frame, area, model, status, theme),
        Screen::Configuration => configuration::draw(frame, area, model, status, theme),
        Screen::Alerts => alerts::draw(frame, area, model, theme),
        Screen::Events => events::draw(frame, area, model, theme),
    }
}

/// First row of a list such that row `position` can be seen, near the middle where the list is longer than `rows`.
fn first_visible(position: usize, rows: usize, length: usize) -> usize {
    position.saturating_sub(rows / 2).min(length.saturating_sub(rows))
}
