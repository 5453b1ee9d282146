use super::*;

fn typed(field: &mut Field, keys: &[FieldKey]) {
    for key in keys {
        field.key(*key);
    }
}

#[test]
fn text_is_typed_moved_in_and_deleted() {
    let mut field = Field::new(20);
    for c in "node-b.local".chars() {
        assert!(field.key(FieldKey::Char(c)));
    }
    typed(&mut field, &[FieldKey::Home, FieldKey::Delete, FieldKey::Char('N'), FieldKey::Right, FieldKey::Backspace]);
    assert_eq!(field.text(), "Nde-b.local");
    typed(&mut field, &[FieldKey::WordRight, FieldKey::WordRight, FieldKey::Char('2')]);
    assert_eq!(field.text(), "Nde-b2.local");
    typed(&mut field, &[FieldKey::DeleteToEnd]);
    assert_eq!(field.text(), "Nde-b2");
    typed(&mut field, &[FieldKey::DeleteWord]);
    assert_eq!(field.text(), "Nde-");
    typed(&mut field, &[FieldKey::Left, FieldKey::DeleteToStart, FieldKey::End, FieldKey::Char('x')]);
    assert_eq!(field.text(), "-x");
    assert!(!field.key(FieldKey::Delete) && !field.key(FieldKey::Left));
}

/// spec 8.5: pasted text enters fields only, and stays one line
#[test]
fn a_paste_is_one_line_and_keeps_the_limit() {
    let mut field = Field::with(10, "ac");
    field.key(FieldKey::Left);
    assert_eq!(field.paste("b\u{1b}[31m\n"), 0);
    assert_eq!(field.text(), "ab[31mc");
    assert_eq!(field.paste("12345\r\n"), 2);
    assert_eq!(field.text().chars().count(), 10);
    assert!(!field.key(FieldKey::Char('x')), "the limit counts for keys too");
    assert!(!Field::new(5).key(FieldKey::Char('\t')));
}

#[test]
fn an_accent_goes_with_its_character() {
    let mut field = Field::with(20, "e\u{301}a");
    typed(&mut field, &[FieldKey::Home, FieldKey::Right]);
    assert_eq!(field.window(10).cursor, 1);
    field.key(FieldKey::Backspace);
    assert_eq!(field.text(), "a");
    field.set("xe\u{301}");
    field.key(FieldKey::Backspace);
    assert_eq!(field.text(), "x");
}

#[test]
fn the_window_holds_the_cursor_and_never_half_a_character() {
    let mut field = Field::with(40, "漢字かなabc");
    for width in 1..20 {
        for key in
            [FieldKey::End, FieldKey::Home, FieldKey::Right, FieldKey::Right, FieldKey::WordRight, FieldKey::Left]
        {
            field.key(key);
            let window = field.window(width);
            assert!(window.text.width() <= width, "{width} {window:?}");
            assert!(window.cursor < width, "{width} {window:?}");
        }
    }
    field.key(FieldKey::End);
    let window = field.window(6);
    assert_eq!((window.text.as_str(), window.cursor, window.more_left, window.more_right), ("なabc", 5, true, false));
    field.key(FieldKey::Home);
    let window = field.window(6);
    assert_eq!((window.text.as_str(), window.cursor, window.more_left, window.more_right), ("漢字か", 0, false, true));
}

/// spec 1.2, 9.4
#[test]
fn a_masked_field_shows_one_mark_a_character_and_nothing_else() {
    let mut field = Field::masked(40);
    field.paste("漢字 geheim");
    let window = field.window(20);
    assert_eq!(window.text, "*".repeat(9));
    assert!(!format!("{field:?}").contains("geheim"));
    assert_eq!(field.text(), "漢字 geheim");
}
