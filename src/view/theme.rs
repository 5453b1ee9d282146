//! Styles. State is a word first, a colour second (spec 8.4): everything must read the same in [`ColorLevel::Mono`].

use ratatui::style::{Color, Modifier, Style};

use crate::engine::event::Severity;

/// How many colours the terminal may be given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ColorLevel {
    /// None: `NO_COLOR`, `--color never`, a dumb terminal.
    Mono,
    /// The sixteen that every terminal has.
    #[default]
    Ansi16,
}

/// Which of the sixteen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Scheme {
    /// As the terminal has them.
    #[default]
    Terminal,
    /// For a white background: no yellow.
    Light,
    /// Bright and bold.
    HighContrast,
}

impl Scheme {
    /// Of `STANDIN_THEME`; none: there is no such scheme, and the terminal's own colours stay.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "terminal" => Some(Self::Terminal),
            "light" => Some(Self::Light),
            "high-contrast" => Some(Self::HighContrast),
            _ => None,
        }
    }
}

/// How everything looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Theme {
    /// Colours.
    pub level: ColorLevel,
    /// Which.
    pub scheme: Scheme,
    /// Only ASCII characters.
    pub ascii: bool,
}

impl Theme {
    /// With the terminal's own colours.
    #[must_use]
    pub fn new(level: ColorLevel, ascii: bool) -> Self {
        Self { level, scheme: Scheme::Terminal, ascii }
    }

    /// For the forms and the wizard.
    #[must_use]
    pub fn look(self) -> super::form::Look {
        super::form::Look { ascii: self.ascii, color: self.level == ColorLevel::Ansi16 }
    }

    fn colored(self, color: Color) -> Style {
        match (self.level, self.scheme) {
            (ColorLevel::Mono, _) => Style::new(),
            (_, Scheme::HighContrast) => Style::new().fg(color).add_modifier(Modifier::BOLD),
            _ => Style::new().fg(color),
        }
    }

    /// As the rest.
    #[must_use]
    pub fn plain(self) -> Style {
        Style::new()
    }

    /// Headings and words that count.
    #[must_use]
    pub fn strong(self) -> Style {
        Style::new().add_modifier(Modifier::BOLD)
    }

    /// What may be overlooked.
    #[must_use]
    pub fn quiet(self) -> Style {
        if self.scheme == Scheme::HighContrast { Style::new() } else { Style::new().add_modifier(Modifier::DIM) }
    }

    /// Something is not as it should be.
    #[must_use]
    pub fn warning(self) -> Style {
        let color = if self.scheme == Scheme::Light { Color::Magenta } else { Color::Yellow };
        self.colored(color).add_modifier(Modifier::BOLD)
    }

    /// Something does not work.
    #[must_use]
    pub fn error(self) -> Style {
        self.colored(Color::Red).add_modifier(Modifier::BOLD | Modifier::REVERSED)
    }

    /// The selected row.
    #[must_use]
    pub fn selected(self) -> Style {
        Style::new().add_modifier(Modifier::BOLD)
    }

    /// The first line, and whatever must stand out as a block.
    #[must_use]
    pub fn block(self) -> Style {
        Style::new().add_modifier(Modifier::REVERSED)
    }

    /// A key in the footer.
    #[must_use]
    pub fn key(self) -> Style {
        let color = if self.scheme == Scheme::Light { Color::Blue } else { Color::Cyan };
        self.colored(color).add_modifier(Modifier::BOLD)
    }

    /// The link's arrow and other good news that needs a shape.
    #[must_use]
    pub fn link(self) -> Style {
        self.colored(Color::Blue).add_modifier(Modifier::BOLD)
    }

    /// Before a colon in a file.
    #[must_use]
    pub fn yaml_key(self) -> Style {
        match self.level {
            ColorLevel::Mono => self.strong(),
            ColorLevel::Ansi16 if self.scheme == Scheme::Light => self.colored(Color::Blue),
            ColorLevel::Ansi16 => self.colored(Color::Cyan),
        }
    }

    /// A quoted text in a file.
    #[must_use]
    pub fn yaml_text(self) -> Style {
        self.colored(Color::Green)
    }

    /// A number or a truth value in a file.
    #[must_use]
    pub fn yaml_value(self) -> Style {
        self.colored(if self.scheme == Scheme::Light { Color::Red } else { Color::Magenta })
    }

    /// An anchor, a reference to one, or a tag in a file.
    #[must_use]
    pub fn yaml_name(self) -> Style {
        self.colored(Color::Blue).add_modifier(Modifier::UNDERLINED)
    }

    /// Only in the second of two versions; blue and yellow rather than green and red.
    #[must_use]
    pub fn added(self) -> Style {
        self.colored(Color::Blue).add_modifier(Modifier::BOLD)
    }

    /// Only in the first of two versions.
    #[must_use]
    pub fn removed(self) -> Style {
        self.colored(if self.scheme == Scheme::Light { Color::Magenta } else { Color::Yellow })
    }

    /// Of an alert or event.
    #[must_use]
    pub fn severity(self, severity: Severity) -> Style {
        match severity {
            Severity::Error => self.error(),
            Severity::Warning => self.warning(),
            Severity::Information => self.plain(),
        }
    }
}
