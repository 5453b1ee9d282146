//! What happens to the console, and what it wants done.

use crate::engine::base::UnixMillis;
use crate::engine::order::{ClientFrame, ServerFrame};

/// A key without its modifiers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Code {
    /// A character as typed: capitals are capitals.
    Char(char),
    /// Return.
    Enter,
    /// Escape.
    Esc,
    /// Tabulator.
    Tab,
    /// Tabulator with Shift.
    BackTab,
    /// Deletes to the left.
    Backspace,
    /// Deletes to the right.
    Delete,
    /// Arrow.
    Up,
    /// Arrow.
    Down,
    /// Arrow.
    Left,
    /// Arrow.
    Right,
    /// To the beginning.
    Home,
    /// To the end.
    End,
    /// One page up.
    PageUp,
    /// One page down.
    PageDown,
}

/// A key press.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    /// Which.
    pub code: Code,
    /// With Ctrl.
    pub ctrl: bool,
}

impl Key {
    /// Without Ctrl.
    #[must_use]
    pub const fn plain(code: Code) -> Self {
        Self { code, ctrl: false }
    }

    /// A typed character.
    #[must_use]
    pub const fn ch(c: char) -> Self {
        Self::plain(Code::Char(c))
    }

    /// Ctrl and a letter.
    #[must_use]
    pub const fn ctrl(c: char) -> Self {
        Self { code: Code::Char(c), ctrl: true }
    }

    /// As footer and help write it.
    #[must_use]
    pub fn name(self) -> String {
        let plain = match self.code {
            Code::Char(' ') => "Space".into(),
            Code::Char(c) if self.ctrl => c.to_ascii_uppercase().to_string(),
            Code::Char(c) => c.to_string(),
            Code::Enter => "Enter".into(),
            Code::Esc => "Esc".into(),
            Code::Tab => "Tab".into(),
            Code::BackTab => "Shift-Tab".into(),
            Code::Backspace => "Backspace".into(),
            Code::Delete => "Del".into(),
            Code::Up => "up".into(),
            Code::Down => "down".into(),
            Code::Left => "left".into(),
            Code::Right => "right".into(),
            Code::Home => "Home".into(),
            Code::End => "End".into(),
            Code::PageUp => "PgUp".into(),
            Code::PageDown => "PgDn".into(),
        };
        if self.ctrl { format!("Ctrl-{plain}") } else { plain }
    }
}

/// One thing that happened. Wall time comes along where it matters: the console reads no clock.
#[derive(Clone, Debug, PartialEq)]
pub enum Message {
    /// A key was pressed.
    Key(Key, UnixMillis),
    /// Text was pasted; enters fields only (spec 8.5).
    Paste(String),
    /// The window has this size now, in cells.
    Resize {
        /// Width.
        columns: u16,
        /// Height.
        rows: u16,
    },
    /// The engine said something.
    Frame(Box<ServerFrame>, UnixMillis),
    /// The engine can be reached.
    Connected(UnixMillis),
    /// It went away, for this reason (spec 8.8).
    Disconnected(String, UnixMillis),
    /// A second went by; sent only while [`super::Model::is_animated`].
    Tick(UnixMillis),
    /// What was just drawn.
    Drawn(Drawn),
    /// What came of the editor.
    Edited(Edited),
}

/// What came of an editor that had the terminal.
#[derive(Clone, PartialEq, Eq)]
pub enum Edited {
    /// It left the text as it was.
    Same,
    /// It left another text; the copy stays until [`Command::RemoveCopy`].
    Changed {
        /// The text.
        bytes: Vec<u8>,
        /// Where it is.
        copy: String,
    },
    /// It was stopped, and goes on at [`Command::ContinueEditor`].
    Suspended,
    /// It could not be started, or failed.
    Failed {
        /// In words.
        why: String,
        /// Where its text is, if it is another one.
        copy: Option<String>,
    },
}

impl std::fmt::Debug for Edited {
    /// Without the text, which may hold secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Same => "Same",
            Self::Changed { .. } => "Changed",
            Self::Suspended => "Suspended",
            Self::Failed { .. } => "Failed",
        })
    }
}

/// What the view found out while drawing; scrolling needs it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Drawn {
    /// Rows of content.
    pub page: u16,
    /// Furthest scroll position that still shows something new.
    pub scroll_max: u16,
}

/// How to leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leave {
    /// The engine was stopped by order.
    Stop,
    /// The engine goes on.
    LeaveRunning,
}

/// One thing the console wants done.
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    /// Say this to the engine.
    Send(ClientFrame),
    /// End the console.
    Quit(Leave),
    /// Put this on the operator's clipboard.
    Copy(String),
    /// Give the terminal back to the shell until continued.
    Suspend,
    /// Draw everything anew.
    Redraw,
    /// Give a private copy of this text, and the terminal, to the operator's editor; answered by [`Message::Edited`].
    Edit {
        /// Of the file; its last part names the copy.
        path: String,
        /// Its text.
        text: String,
    },
    /// Give the terminal back to the editor that was suspended.
    ContinueEditor,
    /// The edited copy is not needed any more.
    RemoveCopy(String),
}
