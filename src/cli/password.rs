//! Where a password may come from: a file, an inherited descriptor, a prompt without echo; never an argument.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use clap::Args;
use zeroize::Zeroize;

use super::output::note;
use super::terminal_input::ask_secret;
use crate::engine::base::Problem;
use crate::engine::order::Secret;

/// Rights of group and others in the bits of a file.
const OTHERS: u32 = 0o077;
/// Longest password file, in bytes.
const PASSWORD_MAX_BYTES: u64 = 4 * 1024;

/// The two options of every command that needs a password.
#[derive(Clone, Debug, Default, Args)]
pub struct PasswordSource {
    /// Read the password from this file (its first line)
    #[arg(long, value_name = "FILE", conflicts_with = "password_fd")]
    pub password_file: Option<PathBuf>,
    /// Read the password from this inherited file descriptor
    #[arg(long, value_name = "N")]
    pub password_fd: Option<u32>,
}

impl PasswordSource {
    /// Neither was given.
    #[must_use]
    pub fn is_prompt(&self) -> bool {
        self.password_file.is_none() && self.password_fd.is_none()
    }

    /// The password; asked for with `question` where no option says where it is.
    ///
    /// # Errors
    /// A source that cannot be read, is empty or too long; nobody to ask.
    pub fn read(&self, question: &str) -> Result<Secret, Problem> {
        match (&self.password_file, self.password_fd) {
            (Some(path), _) => from_file(path),
            (None, Some(descriptor)) => from_file(Path::new(&format!("/proc/self/fd/{descriptor}"))),
            (None, None) => ask_secret(question),
        }
    }

    /// The same for a new password: asked for twice at the prompt (spec 1.2).
    ///
    /// # Errors
    /// Those of [`Self::read`], or that the two differ.
    pub fn read_new(&self, user: &str) -> Result<Secret, Problem> {
        let first = self.read(&format!("New password of {user}: "))?;
        if self.is_prompt() && first != ask_secret("The same again: ")? {
            return Err(Problem::new("Nothing was changed", "the two passwords differ", "Try again."));
        }
        Ok(first)
    }
}

fn from_file(path: &Path) -> Result<Secret, Problem> {
    let failed = |why: String| {
        Problem::new(format!("No password in {}", path.display()), why, "Write the password into its first line.")
    };
    let file = File::open(path).map_err(|error| failed(error.to_string()))?;
    if file.metadata().is_ok_and(|facts| facts.is_file() && facts.mode() & OTHERS != 0) {
        note(&format!("{} can be read by other users; `chmod 600` ends that", path.display()));
    }
    let mut bytes = Vec::new();
    let read = file.take(PASSWORD_MAX_BYTES + 1).read_to_end(&mut bytes);
    let text = String::from_utf8(std::mem::take(&mut bytes));
    if let Err(error) = read {
        return Err(failed(error.to_string()));
    }
    let mut text = text.map_err(|error| {
        error.into_bytes().zeroize();
        failed("it is not UTF-8".into())
    })?;
    let is_over = text.len() as u64 > PASSWORD_MAX_BYTES;
    let line = text.lines().next().unwrap_or_default().to_owned();
    text.zeroize();
    let secret = Secret::new(line);
    if is_over {
        return Err(failed(format!("it is larger than {PASSWORD_MAX_BYTES} bytes")));
    }
    if secret.expose().is_empty() {
        return Err(failed("its first line is empty".into()));
    }
    Ok(secret)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn source(path: &Path) -> PasswordSource {
        PasswordSource { password_file: Some(path.into()), password_fd: None }
    }

    /// interfaces: passwords come from a file …
    #[test]
    fn the_first_line_of_a_file_without_its_end() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all("correct horse \u{e4}\r\nsecond".as_bytes()).unwrap();
        assert_eq!(source(file.path()).read("").unwrap().expose(), "correct horse \u{e4}");
    }

    /// … or an inherited descriptor.
    #[test]
    fn an_inherited_descriptor_is_read() {
        use std::os::fd::AsRawFd;
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(b"from a descriptor\n").unwrap();
        let opened = File::open(file.path()).unwrap();
        let descriptor = u32::try_from(opened.as_raw_fd()).unwrap();
        let source = PasswordSource { password_file: None, password_fd: Some(descriptor) };
        assert_eq!(source.read("").unwrap().expose(), "from a descriptor");
    }

    #[test]
    fn an_empty_absent_or_endless_source_is_refused() {
        let file = tempfile::NamedTempFile::new().unwrap();
        assert!(source(file.path()).read("").unwrap_err().why.contains("empty"));
        assert!(source(Path::new("/nowhere/at/all")).read("").is_err());
        assert!(source(Path::new("/dev/zero")).read("").unwrap_err().why.contains("larger"));
    }
}
