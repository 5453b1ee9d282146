//! What is read: the product's sources, and every text file of the project.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::lexer;

/// Never part of the project, wherever they lie.
const SKIPPED: [&str; 3] = ["target", ".git", "Cargo.lock"];

/// One file of the product.
pub struct Source {
    /// As `src/engine/base.rs`.
    pub path: String,
    /// First part of the path below `src`: `engine`; `main` and `lib` too.
    pub room: String,
    /// As it stands.
    pub text: String,
    /// Without comments, strings, and what only tests see.
    pub code: String,
}

impl Source {
    /// Of a text.
    pub fn new(path: &str, text: &str) -> Self {
        let below = path.strip_prefix("src/").unwrap_or(path);
        let room = below.split('/').next().unwrap_or_default().trim_end_matches(".rs").to_owned();
        let code = lexer::without_tests(&lexer::code(text));
        Self { path: path.into(), room, text: text.into(), code }
    }

    /// Path without `src/` and `.rs`: `mirror/tree`.
    pub fn module(&self) -> &str {
        self.path.trim_start_matches("src/").trim_end_matches(".rs")
    }
}

/// The project's top.
pub fn top() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Every source under `src` that is not for tests alone.
pub fn product_sources() -> Vec<Source> {
    let files: Vec<_> =
        text_files().into_iter().filter(|(path, _)| path.starts_with("src/") && path.ends_with(".rs")).collect();
    let mut for_tests = BTreeSet::new();
    for (path, text) in &files {
        let stem = match path.trim_end_matches(".rs") {
            "src/lib" | "src/main" => "src",
            stem => stem,
        };
        for module in lexer::test_modules(&lexer::code(text)) {
            for_tests.insert(format!("{stem}/{module}"));
        }
    }
    let is_for_tests = |path: &str| {
        for_tests.iter().any(|module| path == format!("{module}.rs") || path.starts_with(&format!("{module}/")))
    };
    files.iter().filter(|(path, _)| !is_for_tests(path)).map(|(path, text)| Source::new(path, text)).collect()
}

/// Every text file of the project with its path.
pub fn text_files() -> Vec<(String, String)> {
    let mut files = Vec::new();
    collect(&top(), &mut files);
    files.sort();
    files
}

fn collect(directory: &Path, files: &mut Vec<(String, String)>) {
    for entry in std::fs::read_dir(directory).expect("the project can be read") {
        let path = entry.expect("the project can be read").path();
        if path.file_name().is_some_and(|name| SKIPPED.iter().any(|skipped| name == *skipped)) || path.is_symlink() {
            continue;
        }
        if path.is_dir() {
            collect(&path, files);
        } else if let Ok(text) = std::fs::read_to_string(&path) {
            let relative = path.strip_prefix(top()).expect("it was found below");
            files.push((relative.to_string_lossy().into_owned(), text));
        }
    }
}
