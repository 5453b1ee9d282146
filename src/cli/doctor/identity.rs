//! What a home with a role needs to start and to be paired: the key of the link, users (spec 3.1, 3.2, 9.1).

use std::path::Path;

use super::Finding;
use crate::cli::rooms;
use crate::engine::base::Problem;

/// Nothing is needed before the first setup.
pub fn look(home: &Path) -> Vec<Finding> {
    match rooms::role_of(home) {
        Ok(Some(_)) => vec![
            judge("identity", "key and certificate of the link can be used", rooms::check_identity(home)),
            judge("users", "there is an administrator", rooms::check_users(home)),
        ],
        Ok(None) => Vec::new(),
        Err(problem) => vec![judge("record", "", Err(problem))],
    }
}

fn judge(about: &'static str, well: &str, found: Result<(), Problem>) -> Finding {
    match found {
        Ok(()) => Finding::ok(about, well),
        Err(problem) => Finding::fail(about, format!("{}: {}", problem.what, problem.why), problem.todo),
    }
}
