//! Patterns for paths, written as in a `.gitignore`: one a line there, one an entry here (spec 5.2). Over bytes, so that names
//! which are no text match too.
//!
//! `*`, `?`, `[a-z]`, `**`, a leading `!`, a leading or inner `/` that ties to the top, a trailing `/` for directories alone.
//! What lies inside an excluded directory stays excluded. No pattern makes matching slow.

/// Most patterns.
pub const PATTERNS_MAX: usize = 100;
/// Longest pattern, in bytes.
pub const PATTERN_MAX_BYTES: usize = 255;

/// Patterns, the last of which that matches decides.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Patterns {
    patterns: Vec<Pattern>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Pattern {
    /// `!`: included after all.
    includes: bool,
    /// A trailing `/`.
    only_directories: bool,
    /// Tied to the top.
    is_anchored: bool,
    /// Between slashes.
    segments: Vec<Segment>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Segment {
    /// `**`: any number of directories.
    Any,
    /// One name.
    Name(Vec<Token>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    Byte(u8),
    /// `?`
    One,
    /// `*`
    Many,
    /// `[a-z]`; true: one of none of these.
    Class(bool, Vec<(u8, u8)>),
}

impl Patterns {
    /// Reads patterns; a wrong one covers nothing (see [`fault_of`]).
    #[must_use]
    pub fn new(patterns: &[String]) -> Self {
        let patterns = patterns.iter().take(PATTERNS_MAX).filter_map(|text| Pattern::read(text.as_bytes()).ok());
        Self { patterns: patterns.collect() }
    }

    /// There are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.patterns.is_empty()
    }

    /// Whether the path with these names, or a directory it lies in, is covered.
    #[must_use]
    pub fn cover(&self, names: &[&[u8]], is_directory: bool) -> bool {
        (1..=names.len()).any(|depth| self.decides(&names[..depth], is_directory || depth < names.len()))
    }

    /// The last pattern that matches these very names decides.
    fn decides(&self, names: &[&[u8]], is_directory: bool) -> bool {
        let last = self.patterns.iter().rev().find(|pattern| pattern.matches(names, is_directory));
        last.is_some_and(|pattern| !pattern.includes)
    }
}

/// Why this is no pattern; none: it is one.
#[must_use]
pub fn fault_of(text: &str) -> Option<&'static str> {
    Pattern::read(text.as_bytes()).err()
}

impl Pattern {
    fn read(text: &[u8]) -> Result<Self, &'static str> {
        if text.len() > PATTERN_MAX_BYTES {
            return Err("is longer than 255 bytes");
        }
        let text = without_trailing_spaces(text);
        if text.starts_with(b"#") {
            return Err("begins with #, which is a comment: write \\#");
        }
        let (includes, text) = text.strip_prefix(b"!").map_or((false, text), |rest| (true, rest));
        let (only_directories, text) = text.strip_suffix(b"/").map_or((false, text), |rest| (true, rest));
        let (has_lead, text) = text.strip_prefix(b"/").map_or((false, text), |rest| (true, rest));
        if text.is_empty() {
            return Err("says nothing");
        }
        let parts: Vec<&[u8]> = text.split(|byte| *byte == b'/').collect();
        if parts.iter().any(|part| matches!(*part, b"" | b"." | b"..")) {
            return Err("has an empty part, or the part . or ..");
        }
        let is_anchored = has_lead || parts.len() > 1;
        let is_any = |part: &[u8]| part.len() > 1 && part.iter().all(|byte| *byte == b'*');
        let segment = |part: &&[u8]| if is_any(part) { Ok(Segment::Any) } else { tokens(part).map(Segment::Name) };
        let mut segments = parts.iter().map(segment).collect::<Result<Vec<_>, _>>()?;
        segments.dedup_by(|next, last| *next == Segment::Any && *last == Segment::Any);
        Ok(Self { includes, only_directories, is_anchored, segments })
    }

    fn matches(&self, names: &[&[u8]], is_directory: bool) -> bool {
        if self.only_directories && !is_directory {
            return false;
        }
        match (self.is_anchored, self.segments.as_slice(), names.last()) {
            (false, [Segment::Name(tokens)], Some(name)) => is_match(tokens, name),
            (_, segments, _) => matches_all(segments, names),
        }
    }
}

/// Each row: which of `names` may be matched by the segments so far. Cost: their product.
fn matches_all(segments: &[Segment], names: &[&[u8]]) -> bool {
    // reached[n]: the first n names are matched.
    let mut reached = vec![false; names.len() + 1];
    reached[0] = true;
    for (index, segment) in segments.iter().enumerate() {
        let mut next = vec![false; names.len() + 1];
        match segment {
            Segment::Any => {
                // The last one stands for what is inside, never for the directory itself.
                let least = usize::from(index + 1 == segments.len());
                let first = reached.iter().position(|is_reached| *is_reached);
                if let Some(first) = first {
                    next.iter_mut().skip(first + least).for_each(|is_reached| *is_reached = true);
                }
            }
            Segment::Name(tokens) => {
                for (at, name) in names.iter().enumerate() {
                    next[at + 1] = reached[at] && is_match(tokens, name);
                }
            }
        }
        reached = next;
    }
    reached[names.len()]
}

/// Goes back to the last `*` alone, which suffices: cost is at most the product of both lengths.
fn is_match(tokens: &[Token], name: &[u8]) -> bool {
    let (mut token, mut at) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while at < name.len() {
        match tokens.get(token) {
            Some(Token::Many) => {
                star = Some((token, at));
                token += 1;
                continue;
            }
            Some(one) if one.takes(name[at]) => {
                token += 1;
                at += 1;
                continue;
            }
            _ => {}
        }
        let Some((back, from)) = star else { return false };
        star = Some((back, from + 1));
        token = back + 1;
        at = from + 1;
    }
    tokens[token..].iter().all(|token| *token == Token::Many)
}

impl Token {
    fn takes(&self, byte: u8) -> bool {
        match self {
            Self::Byte(own) => *own == byte,
            Self::One => true,
            Self::Many => false,
            Self::Class(is_not, ranges) => ranges.iter().any(|(from, to)| (*from..=*to).contains(&byte)) != *is_not,
        }
    }
}

fn tokens(part: &[u8]) -> Result<Vec<Token>, &'static str> {
    let mut tokens = Vec::with_capacity(part.len());
    let mut rest = part;
    while let Some((first, tail)) = rest.split_first() {
        rest = tail;
        let token = match first {
            b'*' if tokens.last() == Some(&Token::Many) => continue,
            b'*' => Token::Many,
            b'?' => Token::One,
            b'\\' => {
                let (next, tail) = rest.split_first().ok_or("ends with a backslash")?;
                rest = tail;
                Token::Byte(*next)
            }
            b'[' => {
                let (class, tail) = class(rest)?;
                rest = tail;
                class
            }
            other => Token::Byte(*other),
        };
        tokens.push(token);
    }
    Ok(tokens)
}

/// What stands behind a `[`, and what stands behind its `]`.
fn class(text: &[u8]) -> Result<(Token, &[u8]), &'static str> {
    const OPEN: &str = "has a [ without ]";
    let (is_not, mut rest) = match text.split_first() {
        Some((b'!' | b'^', tail)) => (true, tail),
        _ => (false, text),
    };
    let mut ranges = Vec::new();
    let mut is_first = true;
    loop {
        let (from, tail) = rest.split_first().ok_or(OPEN)?;
        if *from == b']' && !is_first {
            return Ok((Token::Class(is_not, ranges), tail));
        }
        if *from == b'[' && tail.starts_with(b":") {
            return Err("has a class such as [:alpha:], which is not known here: write a-zA-Z");
        }
        is_first = false;
        let (from, tail) = literal(*from, tail).ok_or(OPEN)?;
        rest = tail;
        let to = match tail {
            [b'-', end, after @ ..] if *end != b']' => {
                let (end, after) = literal(*end, after).ok_or(OPEN)?;
                rest = after;
                end
            }
            _ => from,
        };
        ranges.push((from, to));
    }
}

/// A byte of a class, a backslash before it taken away.
fn literal(byte: u8, tail: &[u8]) -> Option<(u8, &[u8])> {
    if byte == b'\\' { tail.split_first().map(|(next, after)| (*next, after)) } else { Some((byte, tail)) }
}

/// Spaces at the end do not count, unless the last one is written `\ `.
fn without_trailing_spaces(text: &[u8]) -> &[u8] {
    let mut end = text.len();
    while end > 0 && text[end - 1] == b' ' && !(end > 1 && text[end - 2] == b'\\') {
        end -= 1;
    }
    &text[..end]
}
