//! Encryption with a password, as age does it (age-encryption.org/v1 with the scrypt recipient). The primitives are ring's and
//! RustCrypto's scrypt; the format alone is written down here, and tests open what age itself has made.
//!
//! The key of the file is wrapped by a key made of the password; the payload travels in pieces of 64 KiB, each of which proves
//! that it is whole and in its place, and the last one that it is the last: what is truncated or changed is refused.

use std::io::{self, Read, Write};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD as BASE64;
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use ring::{hkdf, hmac};
use zeroize::Zeroizing;

use crate::engine::base::Problem;
use crate::engine::order::Secret;

/// First line of every file.
const VERSION: &str = "age-encryption.org/v1";
/// What the salt is prefixed with.
const SCRYPT_LABEL: &[u8] = b"age-encryption.org/v1/scrypt";
/// Work for each guess of the password, as a power of two: 128 MiB and a third of a second.
const WORK: u8 = 17;
/// Most work that is done to open a file: 1 GiB.
const WORK_MAX: u8 = 20;
/// Bytes of a piece of the payload.
const PIECE_BYTES: usize = 64 * 1024;
/// Bytes by which it is longer when encrypted.
const TAG_BYTES: usize = 16;
/// Bytes of the key of a file, of a salt and of the payload's nonce.
const SHORT_BYTES: usize = 16;
/// Longest header that is read, bytes.
const HEADER_MAX_BYTES: usize = 1_024;

type FileKey = Zeroizing<[u8; SHORT_BYTES]>;

/// Encrypts what is written into it. Nothing of it is of use before [`Encryptor::finish`].
pub struct Encryptor<W: Write> {
    sink: W,
    pieces: Pieces,
    buffer: Zeroizing<Vec<u8>>,
}

/// Decrypts what is read from it. The end is reported only where the file is whole.
pub struct Decryptor<R: Read> {
    source: R,
    pieces: Pieces,
    /// Encrypted bytes that were read ahead: whether a piece is the last one, only the next byte tells.
    ahead: Vec<u8>,
    plain: Zeroizing<Vec<u8>>,
    at: usize,
    is_over: bool,
}

/// The key of the payload and the number of the next piece.
struct Pieces {
    key: LessSafeKey,
    counter: u64,
}

impl Pieces {
    fn new(file_key: &FileKey, nonce: &[u8]) -> io::Result<Self> {
        Ok(Self { key: aead_key(&derive(file_key.as_slice(), nonce, b"payload")?)?, counter: 0 })
    }

    fn next_nonce(&mut self, is_last: bool) -> io::Result<Nonce> {
        let mut nonce = [0; 12];
        nonce[3..11].copy_from_slice(&self.counter.to_be_bytes());
        nonce[11] = u8::from(is_last);
        self.counter = self.counter.checked_add(1).ok_or_else(|| broken("it is too long"))?;
        Ok(Nonce::assume_unique_for_key(nonce))
    }

    fn seal(&mut self, piece: &mut Vec<u8>, is_last: bool) -> io::Result<()> {
        let nonce = self.next_nonce(is_last)?;
        self.key.seal_in_place_append_tag(nonce, Aad::empty(), piece).map_err(|_| broken("it cannot be encrypted"))
    }

    fn open(&mut self, piece: &mut Vec<u8>, is_last: bool) -> io::Result<()> {
        let nonce = self.next_nonce(is_last)?;
        let plain = self.key.open_in_place(nonce, Aad::empty(), piece);
        let length = plain.map_err(|_| broken("a piece of it was changed, or the end is missing"))?.len();
        piece.truncate(length);
        Ok(())
    }
}

impl<W: Write> Encryptor<W> {
    /// Writes the header.
    ///
    /// # Errors
    /// No random numbers; those of the sink.
    pub fn new(sink: W, password: &Secret) -> Result<Self, Problem> {
        Self::with_work(sink, password, WORK).map_err(|error| {
            Problem::new(
                "The backup cannot be encrypted",
                error.to_string(),
                "Look at the disk and at the free memory.",
            )
        })
    }

    fn with_work(mut sink: W, password: &Secret, work: u8) -> io::Result<Self> {
        let file_key: FileKey = Zeroizing::new(random()?);
        let salt: [u8; SHORT_BYTES] = random()?;
        let mut wrapped = file_key.to_vec();
        // The key is used once, so its nonce may be fixed.
        let once = Nonce::assume_unique_for_key([0; 12]);
        aead_key(&password_key(password, &salt, work)?)?
            .seal_in_place_append_tag(once, Aad::empty(), &mut wrapped)
            .map_err(|_| broken("it cannot be encrypted"))?;
        let head = format!("{VERSION}\n-> scrypt {} {work}\n{}\n---", BASE64.encode(salt), BASE64.encode(wrapped));
        let mac = hmac::sign(&header_key(&file_key)?, head.as_bytes());
        let nonce: [u8; SHORT_BYTES] = random()?;
        writeln!(sink, "{head} {}", BASE64.encode(mac))?;
        sink.write_all(&nonce)?;
        Ok(Self { sink, pieces: Pieces::new(&file_key, &nonce)?, buffer: Zeroizing::new(Vec::new()) })
    }

    /// Writes the last piece, and hands the sink back.
    ///
    /// # Errors
    /// Those of the sink.
    pub fn finish(mut self) -> io::Result<W> {
        self.flush_piece(true)?;
        Ok(self.sink)
    }

    fn flush_piece(&mut self, is_last: bool) -> io::Result<()> {
        let mut piece = std::mem::take(&mut *self.buffer);
        self.pieces.seal(&mut piece, is_last)?;
        self.sink.write_all(&piece)
    }
}

impl<W: Write> Write for Encryptor<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.is_empty() {
            return Ok(0);
        }
        // A full piece waits for what follows: it might be the last one.
        if self.buffer.len() == PIECE_BYTES {
            self.flush_piece(false)?;
        }
        let taken = bytes.len().min(PIECE_BYTES - self.buffer.len());
        self.buffer.extend_from_slice(&bytes[..taken]);
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<R: Read> Decryptor<R> {
    /// Reads the header and tries the password.
    ///
    /// # Errors
    /// It is no such file, or the password is another.
    pub fn new(mut source: R, password: &Secret) -> Result<Self, Problem> {
        let refused = |why: String| {
            Problem::new("The backup cannot be opened", why, "Check the file and the password; nothing was changed.")
        };
        let header = read_header(&mut source).map_err(|error| refused(error.to_string()))?;
        let file_key = header.open(password).map_err(|error| refused(error.to_string()))?;
        let mut nonce = [0; SHORT_BYTES];
        source.read_exact(&mut nonce).map_err(|_| refused("its end is missing".into()))?;
        let pieces = Pieces::new(&file_key, &nonce).map_err(|error| refused(error.to_string()))?;
        let plain = Zeroizing::new(Vec::new());
        Ok(Self { source, pieces, ahead: Vec::new(), plain, at: 0, is_over: false })
    }

    fn next_piece(&mut self) -> io::Result<()> {
        const FULL: usize = PIECE_BYTES + TAG_BYTES;
        let missing = (FULL + 1).saturating_sub(self.ahead.len()) as u64;
        (&mut self.source).take(missing).read_to_end(&mut self.ahead)?;
        let is_last = self.ahead.len() <= FULL;
        let rest = self.ahead.split_off(self.ahead.len().min(FULL));
        let mut piece = std::mem::replace(&mut self.ahead, rest);
        self.pieces.open(&mut piece, is_last)?;
        if is_last && piece.is_empty() && self.pieces.counter > 1 {
            return Err(broken("its last piece is empty"));
        }
        self.is_over = is_last;
        self.plain = Zeroizing::new(piece);
        self.at = 0;
        Ok(())
    }
}

impl<R: Read> Read for Decryptor<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.at == self.plain.len() && !self.is_over {
            self.next_piece()?;
        }
        let count = buffer.len().min(self.plain.len() - self.at);
        buffer[..count].copy_from_slice(&self.plain[self.at..self.at + count]);
        self.at += count;
        Ok(count)
    }
}

struct Header {
    salt: Vec<u8>,
    work: u8,
    wrapped: Vec<u8>,
    /// The header up to its proof.
    head: String,
    mac: Vec<u8>,
}

impl Header {
    fn open(&self, password: &Secret) -> io::Result<FileKey> {
        let mut wrapped = Zeroizing::new(self.wrapped.clone());
        let once = Nonce::assume_unique_for_key([0; 12]);
        let key = aead_key(&password_key(password, &self.salt, self.work)?)?;
        let plain = key.open_in_place(once, Aad::empty(), &mut wrapped);
        let plain = plain.map_err(|_| broken("the password is not the one it was made with"))?;
        let mut file_key = Zeroizing::new([0; SHORT_BYTES]);
        file_key.copy_from_slice(plain);
        let proof = hmac::verify(&header_key(&file_key)?, self.head.as_bytes(), &self.mac);
        proof.map_err(|_| broken("its header was changed"))?;
        Ok(file_key)
    }
}

fn read_header(source: &mut impl Read) -> io::Result<Header> {
    let mut lines = Vec::new();
    let mut left = HEADER_MAX_BYTES;
    while lines.len() < 4 {
        let line = read_line(source, &mut left)?;
        if lines.is_empty() && line != VERSION {
            break;
        }
        lines.push(line);
    }
    let none = || broken("it is no backup of Standin");
    let [version, stanza, wrapped, proof] = &lines[..] else { return Err(none()) };
    let (salt, work) = stanza.strip_prefix("-> scrypt ").and_then(|rest| rest.split_once(' ')).ok_or_else(none)?;
    let work: u8 = work.parse().map_err(|_| none())?;
    if work > WORK_MAX {
        return Err(broken(&format!("its password needs more work than is done here: 2^{work}, at most 2^{WORK_MAX}")));
    }
    let decode = |text: &str, length: usize| BASE64.decode(text).ok().filter(|bytes| bytes.len() == length);
    let mac = proof.strip_prefix("--- ").and_then(|text| decode(text, 32)).ok_or_else(none)?;
    let head = format!("{version}\n{stanza}\n{wrapped}\n---");
    let salt = decode(salt, SHORT_BYTES).ok_or_else(none)?;
    let wrapped = decode(wrapped, SHORT_BYTES + TAG_BYTES).ok_or_else(none)?;
    Ok(Header { salt, work, wrapped, head, mac })
}

fn read_line(source: &mut impl Read, left: &mut usize) -> io::Result<String> {
    let mut line = Vec::new();
    loop {
        let mut byte = [0];
        *left = left.checked_sub(1).ok_or_else(|| broken("it is no backup of Standin"))?;
        source.read_exact(&mut byte).map_err(|_| broken("it is no backup of Standin, or its end is missing"))?;
        if byte[0] == b'\n' {
            return String::from_utf8(line).map_err(|_| broken("it is no backup of Standin"));
        }
        line.push(byte[0]);
    }
}

fn password_key(password: &Secret, salt: &[u8], work: u8) -> io::Result<Zeroizing<[u8; 32]>> {
    let params = scrypt::Params::new(work, 8, 1).map_err(|_| broken("its password needs work that is not possible"))?;
    let mut key = Zeroizing::new([0; 32]);
    let salted = [SCRYPT_LABEL, salt].concat();
    scrypt::scrypt(password.expose().as_bytes(), &salted, &params, key.as_mut_slice())
        .map_err(|_| broken("no key can be made of the password"))?;
    Ok(key)
}

fn header_key(file_key: &FileKey) -> io::Result<hmac::Key> {
    Ok(hmac::Key::new(hmac::HMAC_SHA256, derive(file_key.as_slice(), &[], b"header")?.as_slice()))
}

fn derive(secret: &[u8], salt: &[u8], label: &[u8]) -> io::Result<Zeroizing<[u8; 32]>> {
    let mut key = Zeroizing::new([0; 32]);
    let extracted = hkdf::Salt::new(hkdf::HKDF_SHA256, salt).extract(secret);
    let labels = [label];
    let expanded = extracted.expand(&labels, hkdf::HKDF_SHA256).map_err(|_| broken("no key can be made"))?;
    expanded.fill(key.as_mut_slice()).map_err(|_| broken("no key can be made"))?;
    Ok(key)
}

fn aead_key(key: &Zeroizing<[u8; 32]>) -> io::Result<LessSafeKey> {
    let key = UnboundKey::new(&CHACHA20_POLY1305, key.as_slice()).map_err(|_| broken("no key can be made"))?;
    Ok(LessSafeKey::new(key))
}

fn random<const N: usize>() -> io::Result<[u8; N]> {
    use ring::rand::SecureRandom;
    let mut bytes = [0; N];
    ring::rand::SystemRandom::new().fill(&mut bytes).map_err(|_| broken("the system gives no random numbers"))?;
    Ok(bytes)
}

fn broken(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why.to_owned())
}

#[cfg(test)]
mod tests;
