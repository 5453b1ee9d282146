//! What is fed, and what must be true of it.

use std::time::{Duration, Instant};

use standin::backup::archive::{self, Part};
use standin::engine::history::Sign;
use standin::engine::order::Order;
use standin::engine::settings::read::read as read_settings;
use standin::engine::settings::text::set as set_setting;
use standin::mirror::exclude::Exclude;
use standin::mirror::path::{RelPath, link_stays_inside};
use standin::mirror::tree::Tree;
use standin::mirror::{PushPayload, diff, unified, yaml};
use standin::store::Packed;
use standin::text::mask;
use standin::wire::frame::{FrameDecoder, LINK_FRAME_MAX_BYTES};
use standin::wire::{bulk, control, link, pair};

use crate::{corpus, fuzz};

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;
/// Of a header.
const BLOCK_BYTES: usize = 512;
/// Longest look at one input: for a machine that does much else.
const LONGEST: Duration = Duration::from_secs(20);
/// Ways to write a value of a secret key.
const SECRETS: [&str; 7] = [
    "pass: hunter2",
    "? password\n: hunter2",
    "\"pass\\u0077ord\": \"x\nhunter2\"",
    "'pass''word': {x: hunter2,\ny: hunter2}",
    "\"password\"\n: |\n  hunter2",
    "# token:\n  pin: hunter2",
    "password: x\n# token: |\n#   hunter2",
];
/// Longest search for the shortest difference.
const SEARCH: Duration = Duration::from_millis(20);

/// spec 3.3, 7.1: frames of another machine
#[test]
fn frames() {
    fuzz("frames", corpus::frames(), (2 * MIB, 4), |input| {
        let mut decoder = FrameDecoder::new(LINK_FRAME_MAX_BYTES);
        let mut taken = 0;
        for piece in input.chunks(input.len() / 3 + 1) {
            decoder.push(piece);
            loop {
                match decoder.next_frame() {
                    Ok(Some(frame)) => {
                        assert_eq!(input[taken + 4..][..frame.len()], frame);
                        taken += 4 + frame.len();
                    }
                    Ok(None) => break,
                    Err(_) => return,
                }
            }
        }
        assert_eq!(decoder.is_midway(), taken < input.len());
    });
}

/// spec 7.1
#[test]
fn messages_of_the_link() {
    fuzz("link", corpus::envelopes(), (20 * MIB, 100), |input| {
        let Ok(envelope) = link::decode(input) else { return };
        assert_eq!(link::decode(&link::encode(&envelope)), Ok(envelope));
    });
}

/// spec 3.1
#[test]
fn messages_of_a_pairing() {
    fuzz("pairing", corpus::pairing(), (20 * MIB, 100), |input| {
        if let Ok(said) = pair::decode_master(input) {
            assert_eq!(pair::decode_master(&pair::encode_master(&said).unwrap()), Ok(said));
        }
        if let Ok(said) = pair::decode_shadow(input) {
            assert_eq!(pair::decode_shadow(&pair::encode_shadow(&said).unwrap()), Ok(said));
        }
    });
}

/// spec 5.1: lists and contents
#[test]
fn messages_of_a_bulk_connection() {
    fuzz("bulk", corpus::bulk(), (MIB, 200), |input| {
        if let Ok(request) = bulk::decode_request(input) {
            assert_eq!(bulk::decode_request(&bulk::encode_request(&request).unwrap()), Ok(request));
        }
        if let Ok(reply) = bulk::decode_reply(input) {
            assert_eq!(bulk::decode_reply(&bulk::encode_reply(reply.clone()).unwrap()), Ok(reply));
        }
    });
}

/// spec 5.2, 5.4: what a push carries, and what becomes of a tree by it
#[test]
fn pushes() {
    fuzz("push", corpus::payloads(), (MIB, 400), |input| {
        let Ok(payload) = PushPayload::decode(input) else { return };
        for change in &payload.changes {
            assert_is_inside(&change.path);
        }
        assert_eq!(PushPayload::decode(&rmp_serde::to_vec_named(&payload).unwrap()).as_ref(), Ok(&payload));
        let mut tree = Tree::default();
        if tree.apply(&payload.changes).is_ok() {
            let mut other = Tree::default();
            other.apply(&diff::between(&other, &tree)).unwrap();
            assert_eq!((other.root(), other.entries()), (tree.root(), tree.entries()));
        }
    });
}

/// spec 5.1: packed contents; never more memory than the size that is told
#[test]
fn packed_contents() {
    fuzz("packed", corpus::packed(), (20 * MIB, 4), |input| {
        let Some((head, bytes)) = input.split_first_chunk::<4>() else { return };
        let size = u64::from(u32::from_be_bytes([0, head[1], head[2], head[3]]));
        let packed = Packed { encoding: head[0], size, bytes: bytes.to_vec() };
        if let Ok(content) = packed.unpack() {
            assert_eq!(content.len() as u64, size);
            let again = Packed::of(content.to_vec());
            assert_eq!(again.unpack().unwrap(), content);
        }
    });
}

/// spec 5.4: a fault of YAML and its place
#[test]
fn places_in_yaml() {
    fuzz("yaml", corpus::texts(), (64 * MIB, 2_000), |input| {
        let began = Instant::now();
        if let Err(fault) = yaml::check(input) {
            let lines = input.split(|byte| *byte == b'\n' || *byte == b'\r').count();
            // U+0085, U+2028 and U+2029 end a line of YAML too.
            let more = String::from_utf8_lossy(input).matches(['\u{85}', '\u{2028}', '\u{2029}']).count();
            assert!(fault.line <= lines + more + 1, "line {} of {lines}", fault.line);
            assert!(!fault.why.is_empty());
        }
        assert!(began.elapsed() < LONGEST);
    });
}

/// spec 5.8: each line once, with or without its value
#[test]
fn masks() {
    fuzz("masks", corpus::texts(), (8 * MIB, 400), |input| {
        let text = String::from_utf8_lossy(input);
        let lines = mask::lines(&text);
        assert_eq!(lines.len(), text.lines().count());
        for line in lines {
            assert!(!line.plain.contains('\n'));
            assert!(line.masked.is_none_or(|masked| masked.ends_with(mask::MASK)));
        }
        // Whatever stands before a secret, it is hidden.
        for secret in SECRETS {
            let lines = mask::lines(&format!("{text}\n{secret}\n")).into_iter().rev().take(secret.lines().count());
            let shown: Vec<String> = lines.map(|line| line.text(false).to_owned()).collect();
            assert!(shown.iter().all(|line| !line.contains("hunter2")), "{secret:?} is shown: {shown:?}");
        }
    });
}

/// spec 5.6: what a difference says leads from one text to the other
#[test]
fn differences() {
    fuzz("differences", corpus::texts(), (16 * MIB, 400), |input| {
        let Some(text) = unified::text_of(input) else { return };
        let middle = (text.len() / 2..=text.len()).find(|at| text.is_char_boundary(*at)).unwrap();
        let (old, new) = text.split_at(middle);
        let hunks = unified::hunks(old, new, None, SEARCH);
        assert_eq!(hunks.is_empty(), old == new);
        let side = |text: &str, not: Sign| {
            let whole: Vec<&str> =
                text.split_inclusive('\n').map(|line| line.strip_suffix('\n').unwrap_or(line)).collect();
            let mut at = 0;
            for hunk in &hunks {
                let shown: Vec<&str> =
                    hunk.lines.iter().filter(|line| line.sign != not).map(|line| line.text.as_str()).collect();
                let begin = (at..=whole.len()).find(|begin| whole[*begin..].starts_with(&shown));
                at = begin.expect("the lines of a hunk are lines of the text") + shown.len();
            }
        };
        side(old, Sign::New);
        side(new, Sign::Old);
    });
}

/// spec 2.5, 7.13: the settings file
#[test]
fn settings() {
    fuzz("settings", corpus::settings(), (64 * MIB, 2_000), |input| {
        let Ok(text) = std::str::from_utf8(input) else { return };
        match read_settings(text) {
            Ok(_) => {
                let value = serde_yaml::Value::String("250ms".into());
                if let Ok(changed) = set_setting(text, "shadow.check_interval", &value) {
                    let read = read_settings(&changed).unwrap_or_else(|mistakes| panic!("{mistakes:?} in {changed}"));
                    assert_eq!(read.shadow.check_interval, 250);
                }
            }
            Err(mistakes) => assert!(mistakes.iter().all(|mistake| !mistake.problem.what.is_empty())),
        }
    });
}

fn assert_is_inside(path: &RelPath) {
    let bytes = path.as_bytes();
    assert!(!bytes.is_empty() && bytes[0] != b'/' && !bytes.contains(&0), "{path}");
    assert!(path.names().all(|name| !matches!(name, b"" | b"." | b"..")), "{path}");
}

/// spec 5.4: no path leads out, and each is shown so that it can be read again
#[test]
fn paths() {
    fuzz("paths", corpus::paths(), (MIB, 40), |input| {
        let target = input.split(|byte| *byte == b'\n').next().unwrap_or_default();
        let Ok(path) = RelPath::new(input) else { return };
        assert_is_inside(&path);
        assert_eq!(RelPath::from_text(&path.to_string()), Ok(path.clone()));
        if let Some(parent) = path.parent() {
            assert!(path.is_within(&parent) && !parent.is_within(&path));
            assert_eq!(RelPath::child(Some(&parent), path.name()), Ok(path.clone()));
        }
        if link_stays_inside(&path, target) {
            let mut depth = path.depth() - 1;
            for name in target.split(|byte| *byte == b'/') {
                match name {
                    b".." => depth = depth.checked_sub(1).expect("it leads out"),
                    b"" | b"." => {}
                    _ => depth += 1,
                }
            }
            assert!(!target.starts_with(b"/"));
        }
    });
}

/// spec 5.2: patterns of an operator
#[test]
fn patterns() {
    fuzz("patterns", corpus::patterns(), (4 * MIB, 400), |input| {
        let text = String::from_utf8_lossy(input);
        let (patterns, paths) = text.split_once("\n\n").unwrap_or((&text, "a/b"));
        let patterns: Vec<String> = patterns.lines().take(20).map(|line| line.chars().take(200).collect()).collect();
        let exclude = Exclude::new(&patterns);
        let began = Instant::now();
        for path in paths.lines().take(10).filter_map(|line| RelPath::new(line.as_bytes()).ok()) {
            let _ = (exclude.covers(&path, false), exclude.covers(&path, true));
        }
        assert!(began.elapsed() < LONGEST);
    });
}

/// spec 5.4, 9.4: what is in a backup leads nowhere, and takes no more memory than there is
#[test]
fn archives() {
    fuzz("archives", corpus::archives(), (8 * MIB, 20), |input| {
        // The sum of a header is right again, so that what is behind it is looked at too.
        let mut input = input.to_vec();
        for block in input.chunks_exact_mut(BLOCK_BYTES).filter(|block| block[257..262] == *b"ustar") {
            block[148..156].fill(b' ');
            let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
            block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        }
        let _ = archive::read_tar(input.as_slice(), &mut |part| {
            match part {
                Part::Path { path, .. } => assert_is_inside(&path),
                Part::Identity(name, _) => assert!(!name.contains('/') && !name.starts_with('.'), "{name}"),
                Part::Database(source) => drop(std::io::copy(source, &mut std::io::sink())),
                _ => {}
            }
            Ok(())
        });
    });
}

/// spec 9.2: what a console or a command sends
#[test]
fn orders() {
    let corpus = [
        r#""shutdown""#,
        r#"{"config_show":{"path":"a","revision":3}}"#,
        r#"{"forget":{"path":"a","history_only":true}}"#,
        r#"{"restore":{"revision":3,"paths":["a"]}}"#,
    ];
    let corpus = corpus.iter().map(|text| text.as_bytes().to_vec()).collect();
    fuzz("orders", corpus, (MIB, 200), |input| {
        let Ok(order) = control::decode::<Order>(input) else { return };
        let again = control::encode(&order).unwrap();
        assert!(control::decode::<Order>(&again[4..]).is_ok());
    });
}
