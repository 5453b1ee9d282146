use super::*;

fn secret(text: &str) -> Secret {
    Secret::new(text.to_owned())
}

fn sealed(plain: &[u8]) -> Vec<u8> {
    let mut encryptor = Encryptor::with_work(Vec::new(), &secret("correct horse"), 2).unwrap();
    // In pieces that fit nothing.
    for piece in plain.chunks(1_000_003) {
        encryptor.write_all(piece).unwrap();
    }
    encryptor.finish().unwrap()
}

fn opened(bytes: &[u8], password: &str) -> Result<Vec<u8>, String> {
    let mut decryptor = Decryptor::new(bytes, &secret(password)).map_err(|problem| problem.why)?;
    let mut plain = Vec::new();
    decryptor.read_to_end(&mut plain).map_err(|error| error.to_string())?;
    Ok(plain)
}

/// interfaces, backup: what goes in comes out, whatever its size is to the pieces.
#[test]
fn comes_back_as_it_was() {
    for size in [0, 1, PIECE_BYTES - 1, PIECE_BYTES, PIECE_BYTES + 1, 3 * PIECE_BYTES] {
        let plain: Vec<u8> = (0..size).map(|index| (index % 251) as u8).collect();
        let bytes = sealed(&plain);
        assert!(bytes.starts_with(b"age-encryption.org/v1\n-> scrypt "));
        assert_eq!(opened(&bytes, "correct horse").unwrap(), plain, "{size} bytes");
    }
}

/// interfaces, restore: a wrong password, a cut or changed file, and what is none at all are refused.
#[test]
fn what_is_not_whole_is_refused() {
    let plain = vec![7; 2 * PIECE_BYTES];
    let bytes = sealed(&plain);
    assert!(opened(&bytes, "wrong horse").unwrap_err().contains("password"));
    let cuts = (0..300).chain([bytes.len() - 1, bytes.len() - PIECE_BYTES - TAG_BYTES, bytes.len() - 70_000]);
    for cut in cuts {
        assert!(opened(&bytes[..cut], "correct horse").is_err(), "cut at {cut}");
    }
    for at in (0..300).chain([bytes.len() / 2, bytes.len() - 1]) {
        let mut changed = bytes.clone();
        changed[at] ^= 1;
        assert!(opened(&changed, "correct horse").is_err(), "changed at {at}");
    }
    let longer = [bytes.as_slice(), b"x"].concat();
    assert!(opened(&longer, "correct horse").is_err());
    assert!(opened(b"PK\x03\x04 is another archive", "correct horse").unwrap_err().contains("no backup"));
    let heavy = String::from_utf8_lossy(&bytes[..100]).replacen(" 2\n", " 31\n", 1);
    assert!(opened(heavy.as_bytes(), "correct horse").is_err());
}

/// The format is age's: made by age itself (work 10), with the password `correct horse`.
#[test]
fn opens_what_age_has_made() {
    let bytes = include_bytes!("age.bin");
    assert_eq!(opened(bytes, "correct horse").unwrap(), b"made by age\n");
}
