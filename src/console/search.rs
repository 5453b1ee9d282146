//! A text searched for in the lines of a page.

/// Most lines with the text that are remembered.
pub const HITS_MAX: usize = 10_000;

/// What is searched for, and where it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Search {
    /// As typed.
    pub text: String,
    /// Lines with it, in order, at most [`HITS_MAX`].
    pub hits: Vec<usize>,
}

impl Search {
    /// Something is searched for.
    #[must_use]
    pub fn is_on(&self) -> bool {
        !self.text.is_empty()
    }

    /// Looks through the lines; letters count alike in both cases.
    pub fn look<'a>(&mut self, lines: impl Iterator<Item = &'a str>) {
        let text = self.text.to_lowercase();
        let holds = |line: &str| !text.is_empty() && line.to_lowercase().contains(&text);
        self.hits = lines.enumerate().filter(|(_, line)| holds(line)).map(|(at, _)| at).take(HITS_MAX).collect();
    }

    /// The next hit behind (or before) line `from`, around the end.
    #[must_use]
    pub fn next(&self, from: usize, forward: bool) -> Option<usize> {
        next_of(&self.hits, from, forward)
    }

    /// The first hit from line `from` on, around the end.
    #[must_use]
    pub fn first(&self, from: usize) -> Option<usize> {
        self.hits.iter().find(|hit| **hit >= from).or(self.hits.first()).copied()
    }

    /// `3 of 12`, where the window begins at line `at`.
    #[must_use]
    pub fn told(&self, at: usize) -> String {
        let place = self.hits.iter().take_while(|hit| **hit <= at).count().max(1);
        match self.hits.len() {
            0 => "not found".into(),
            all => format!("{place} of {all}"),
        }
    }
}

/// The next of sorted places behind (or before) `from`, around the end.
#[must_use]
pub fn next_of(places: &[usize], from: usize, forward: bool) -> Option<usize> {
    let found = if forward {
        places.iter().find(|place| **place > from).or(places.first())
    } else {
        places.iter().rev().find(|place| **place < from).or(places.last())
    };
    found.copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hits_are_found_around_the_end() {
        let mut search = Search { text: "AB".into(), ..Search::default() };
        search.look(["xab", "", "Ab", "b"].into_iter());
        assert_eq!(search.hits, [0, 2]);
        assert_eq!((search.next(0, true), search.next(2, true), search.next(0, false)), (Some(2), Some(0), Some(2)));
        assert_eq!((search.first(1), search.told(2)), (Some(2), "2 of 2".into()));
        search.text.clear();
        search.look(["ab"].into_iter());
        assert!(!search.is_on() && search.hits.is_empty());
    }
}
