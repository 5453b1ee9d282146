//! To come.
/// x
pub fn host_names() -> Vec<String> {
    Vec::new()
}
