//! Where something may have changed since it was last looked at. Pure.

use std::collections::BTreeMap;

use crate::mirror::path::RelPath;

/// Paths kept one by one; with more, everything is looked at.
pub const PATHS_MAX: usize = 10_000;

/// What has to be looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dirty {
    /// Everything, whatever `paths` says.
    pub is_all: bool,
    /// Each of these; true: with all that is inside it.
    pub paths: BTreeMap<RelPath, bool>,
}

impl Dirty {
    /// Nothing.
    #[must_use]
    pub fn nothing() -> Self {
        Self { is_all: false, paths: BTreeMap::new() }
    }

    /// Everything.
    #[must_use]
    pub fn all() -> Self {
        Self { is_all: true, paths: BTreeMap::new() }
    }

    /// There is nothing to look at.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        !self.is_all && self.paths.is_empty()
    }

    /// This one too; `is_deep`: with all inside it.
    pub fn add(&mut self, path: RelPath, is_deep: bool) {
        if self.is_all {
            return;
        }
        *self.paths.entry(path).or_default() |= is_deep;
        if self.paths.len() > PATHS_MAX {
            *self = Self::all();
        }
    }

    /// What the other says too.
    pub fn join(&mut self, other: Self) {
        if other.is_all {
            *self = Self::all();
        }
        for (path, is_deep) in other.paths {
            self.add(path, is_deep);
        }
    }

    /// In order of paths, without those that lie inside another that is looked at with all inside it.
    pub fn each(&self) -> impl Iterator<Item = (&RelPath, bool)> {
        let mut deep: Option<&RelPath> = None;
        self.paths.iter().filter_map(move |(path, is_deep)| {
            if deep.is_some_and(|deep| path.is_within(deep)) {
                return None;
            }
            if *is_deep {
                deep = Some(path);
            }
            Some((path, *is_deep))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> RelPath {
        RelPath::new(text.as_bytes()).unwrap()
    }

    /// spec 5.2: cost follows the change, and nothing is looked at twice
    #[test]
    fn what_is_inside_a_deep_one_is_not_named_again() {
        let mut dirty = Dirty::nothing();
        for (text, is_deep) in [("d/x", false), ("d", true), ("d", false), ("d-e", false), ("c", false), ("c/x", false)]
        {
            dirty.add(path(text), is_deep);
        }
        let found: Vec<_> = dirty.each().map(|(path, is_deep)| (path.to_string(), is_deep)).collect();
        let expected = [("c", false), ("c/x", false), ("d", true), ("d-e", false)];
        assert_eq!(found, expected.map(|(text, is_deep)| (text.to_owned(), is_deep)));
    }

    /// architecture, wall 5
    #[test]
    fn too_many_paths_are_everything() {
        let mut dirty = Dirty::nothing();
        (0..=PATHS_MAX).for_each(|number| dirty.add(path(&number.to_string()), false));
        assert_eq!(dirty, Dirty::all());
        let mut one = Dirty::nothing();
        one.add(path("a"), false);
        assert!(!one.is_nothing());
        one.join(Dirty::all());
        assert_eq!(one, Dirty::all());
    }
}
