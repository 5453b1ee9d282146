//! Inputs that nearly fit: those of a corpus with bits turned, numbers at their edges, pieces doubled, dropped and swapped.

/// Longest input.
const INPUT_MAX_BYTES: usize = 64 * 1024;
/// Edits of one input at most.
const EDITS_MAX: usize = 6;
/// Bytes that mean something somewhere: lengths, kinds, quotes, ends of lines, the beginnings of broken UTF-8.
const TOKENS: [&[u8]; 32] = [
    b"\0",
    b"\xff",
    b"\x7f",
    b"\x80",
    b"\xff\xff\xff\xff",
    b"\x7f\xff\xff\xff",
    b"\0\0\0\0",
    b"\xdd\xff\xff\xff\xff",
    b"\xdf\xff\xff\xff\xff",
    b"\xc6\xff\xff\xff\xff",
    b"\xcf\xff\xff\xff\xff\xff\xff\xff\xff",
    b"\xc0",
    b"\x91",
    b"\x81",
    b"../",
    b"/",
    b"\n",
    b"\r\n",
    b"\t",
    b": ",
    b"- ",
    b"&a ",
    b"*a",
    b"!!",
    b"|\n ",
    b"password: ",
    b"? pass\n: ",
    b"\\u0077",
    b"\"",
    b"''",
    b"\xe2\x80\xa8",
    b"-----BEGIN PRIVATE KEY-----\n",
];

/// Draws inputs; the same ones for the same seed.
pub struct Mutator {
    state: u64,
    corpus: Vec<Vec<u8>>,
}

impl Mutator {
    pub fn new(seed: u64, corpus: Vec<Vec<u8>>) -> Self {
        Self { state: seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1, corpus }
    }

    fn below(&mut self, limit: usize) -> usize {
        self.state ^= self.state >> 12;
        self.state ^= self.state << 25;
        self.state ^= self.state >> 27;
        usize::try_from(self.state.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33).unwrap() % limit.max(1)
    }

    /// The next one.
    pub fn next(&mut self) -> Vec<u8> {
        let which = self.below(self.corpus.len());
        let mut input = self.corpus[which].clone();
        for _ in 0..=self.below(EDITS_MAX) {
            self.edit(&mut input);
        }
        input.truncate(INPUT_MAX_BYTES);
        input
    }

    fn range(&mut self, length: usize) -> std::ops::Range<usize> {
        let from = self.below(length + 1);
        from..from + self.below((length - from).min(64) + 1)
    }

    fn edit(&mut self, input: &mut Vec<u8>) {
        let at = self.below(input.len() + 1);
        match self.below(9) {
            0 if at < input.len() => input[at] ^= 1 << self.below(8),
            1 if at < input.len() => input[at] = u8::try_from(self.below(256)).unwrap(),
            2 => {
                let range = self.range(input.len());
                input.drain(range);
            }
            3 => {
                let range = self.range(input.len());
                let piece = input[range].to_vec();
                for _ in 0..1 + self.below(40) {
                    input.splice(at.min(input.len())..at.min(input.len()), piece.iter().copied());
                }
            }
            4 => {
                let other = self.below(self.corpus.len());
                let range = self.range(self.corpus[other].len());
                let piece = self.corpus[other][range].to_vec();
                input.splice(at..at, piece);
            }
            5 => {
                let token = TOKENS[self.below(TOKENS.len())];
                let end = (at + token.len()).min(input.len());
                input.splice(at..end, token.iter().copied());
            }
            6 => {
                let token = TOKENS[self.below(TOKENS.len())];
                for _ in 0..1 + self.below(200) {
                    input.splice(at..at, token.iter().copied());
                }
            }
            7 => input.truncate(at),
            _ => {
                let token = TOKENS[self.below(TOKENS.len())];
                input.splice(at..at, token.iter().copied());
            }
        }
    }
}
