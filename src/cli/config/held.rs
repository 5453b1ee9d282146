//! `standin config list --held`: what is not mirrored as it is now, and why (spec 5.4). `--drift`: what was found changed on this
//! shadow, and was put back (spec 4.5).

use crate::cli::client::{Client, unexpected};
use crate::cli::home::Context;
use crate::cli::output::{Exit, Outcome, Output};
use crate::engine::order::{HeldFile, Order, Reply};

/// Runs it.
///
/// # Errors
/// No instance runs: only a running one looks at the directory.
pub fn run(context: &Context, order: Order, json: bool, out: &mut Output) -> Outcome {
    let mut client = Client::connect(&context.home)?;
    let Reply::Held(files) = client.order(order)? else { return Err(unexpected().into()) };
    if json {
        out.json(&files)?;
        return Ok(Exit::Done);
    }
    for file in &files {
        out.line(&row(file))?;
    }
    Ok(Exit::Done)
}

/// The reason names the line where it is about one.
fn row(file: &HeldFile) -> String {
    format!("{}  {}  (since {})", file.path, file.why, file.since.rfc3339(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::base::UnixMillis;

    /// spec 5.4: which file, which line and why
    #[test]
    fn a_row_says_which_why_and_since_when() {
        let file = HeldFile {
            path: "a.yaml".into(),
            why: "line 3: is no longer YAML: a colon".into(),
            line: Some(3),
            since: UnixMillis(0),
        };
        assert_eq!(row(&file), "a.yaml  line 3: is no longer YAML: a colon  (since 1970-01-01T00:00:00Z)");
    }
}
