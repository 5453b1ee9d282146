use super::*;

fn shown(text: &str) -> Vec<String> {
    let mut lexer = Lexer::default();
    let letter = |part| match part {
        Part::Plain => '.',
        Part::Key => 'K',
        Part::Text => 'T',
        Part::Value => 'V',
        Part::Comment => '#',
        Part::Name => 'N',
        Part::Mark => 'M',
    };
    let line = |line: &str, spans: Vec<Span>| {
        let parts = spans.iter().flat_map(|span| {
            let text = &line[span.start as usize..span.end as usize];
            text.chars().map(|c| if c == ' ' { ' ' } else { letter(span.part) }).collect::<Vec<_>>()
        });
        parts.collect::<String>()
    };
    text.lines().map(|text| line(text, lexer.line(text))).collect()
}

/// screens, Configuration: keys, texts, numbers, comments, anchors and tags can be told apart.
#[test]
fn the_parts_of_lines_are_known() {
    for (text, parts) in [
        ("host: app17", "KKKKM ....."),
        ("  port: 443 # default", "  KKKKM VVV # #######"),
        ("- id: /orders", "M KKM ......."),
        ("url: https://a:443/#x", "KKKM ................"),
        ("\"a b\": 'it''s'", "KK KKM TTTTTTT"),
        ("flow: {a: 1, \"b\": [yes, x]}", "KKKKM MKM VM KKKM MVVVM .MM"),
        ("base: &base !!map", "KKKKM NNNNN NNNNN"),
        ("<<: *base", "KKM NNNNN"),
        ("--- # doc", "MMM # ###"),
        ("at: 2026-11-22", "KKM VVVVVVVVVV"),
        ("id: deadbeef", "KKM ........"),
        ("on: 0x1F", "KKM VVVV"),
        ("{{ template }}", "MM ........ MM"),
    ] {
        assert_eq!(shown(text), [parts], "{text}");
    }
}

/// Blocks and quoted texts go on in the lines below, and end where they end.
#[test]
fn texts_over_several_lines() {
    let text = "key: |-\n  # no comment\n\n  a: b\nnext: \"one\n  two: 2\"\nlast: >folded\n";
    let expected = ["KKKM MM", "  T TT TTTTTTT", "", "  TT T", "KKKKM TTTT", "  TTTT TT", "KKKKM ......."];
    let found: Vec<String> = shown(text);
    assert_eq!(found[0], expected[0]);
    assert!(found[1].trim().chars().all(|c| c == 'T' || c == ' '));
    assert!(found[3].trim().chars().all(|c| c == 'T' || c == ' '));
    assert_eq!(found[4..], expected[4..]);
}

/// The parts of any line are the line: nothing is left out, nothing is twice.
#[test]
fn any_text_is_cut_up_without_a_gap() {
    let letters: Vec<char> = "ab:-#'\"{}[],&*!|>%?\\ \t9äß—😀\u{fffd}.~".chars().collect();
    let mut seed: u64 = 20_261_122;
    let mut roll = |limit: usize| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(seed >> 33).unwrap() % limit
    };
    for _ in 0..3_000 {
        let mut lexer = Lexer::default();
        for _ in 0..4 {
            let line: String = (0..roll(24)).map(|_| letters[roll(letters.len())]).collect();
            let spans = lexer.line(&line);
            let whole: String = spans.iter().map(|span| &line[span.start as usize..span.end as usize]).collect();
            assert_eq!(whole, line);
            assert!(spans.windows(2).all(|two| two[0].end == two[1].start && two[0].start < two[0].end), "{line}");
        }
    }
}
