//! Foreign text as receipts can keep it: without secrets, without control characters, and not too long.

use crate::keyed;
use crate::ops::TEXT_BYTES_MAX;
use crate::secrets;
use std::borrow::Cow;

/// How much of a text is looked at to fill a field; more cannot end up in it.
const LOOKED_AT_MAX: usize = 1 << 18;

/// The text without secrets, with control characters spelled out, cut to `max` bytes.
pub fn kept(text: &str, max: usize) -> String {
    let (head, dropped) = head(text, LOOKED_AT_MAX);
    let clean = secrets::redact(head);
    let shown = visible(&clean);
    if matches!(shown, Cow::Borrowed(_)) && shown.len() <= max && dropped == 0 {
        return shown.into_owned();
    }
    // What is spelled out may join to what looks like a secret where the text itself had none.
    let shown = secrets::redact(&shown);
    let cut = cut(&shown, max, dropped);
    // A cut token may be of a shape that it was not before.
    match secrets::holds_secret(cut.as_bytes()) {
        true => "[redacted]".to_owned(),
        false => cut,
    }
}

/// The text without secrets, as far as it is looked at; it is not cut to a field and not spelled out.
pub fn clean(text: &str) -> Cow<'_, str> {
    secrets::redact(head(text, LOOKED_AT_MAX).0)
}

/// A name of a foreign record as it is carried on until it is kept: much longer than any field it goes nowhere.
pub fn clip(raw: &str) -> String {
    head(raw, keyed::RAW_BYTES_MAX).0.to_owned()
}

/// The path of a directory as it is carried on; none where it is longer than a directory's can be.
pub fn directory(raw: &str) -> Option<String> {
    (raw.len() <= TEXT_BYTES_MAX).then(|| raw.to_owned())
}

/// A name as [`kept`] has it, which must not be empty and has no white space at its ends.
pub fn name(text: &str, max: usize) -> Option<String> {
    let kept = kept(text.trim(), max);
    let trimmed = kept.trim();
    (!trimmed.is_empty()).then(|| trimmed.to_owned())
}

/// The beginning of a very long text, up to a place where no token is cut, and how many bytes follow.
fn head(text: &str, max: usize) -> (&str, usize) {
    if text.len() <= max {
        return (text, 0);
    }
    let mut end = max;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let end = text[..end].rfind([' ', '\n', '"', ',', ';']).unwrap_or(0);
    (&text[..end], text.len() - end)
}

/// Control characters and those that turn or hide text, spelled out.
pub fn visible(text: &str) -> Cow<'_, str> {
    let odd = |c: char| c.is_control() || is_hidden(c);
    if !text.contains(odd) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            c if odd(c) => out.extend(c.escape_unicode()),
            c => out.push(c),
        }
    }
    Cow::Owned(out)
}

fn is_hidden(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

fn cut(text: &str, max: usize, dropped: usize) -> String {
    if text.len() <= max && dropped == 0 {
        return text.to_owned();
    }
    // The mark's own length depends on the number in it; twenty digits are always enough room.
    const MARK_MAX: usize = 32;
    let mut end = max.saturating_sub(MARK_MAX).min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let mark = format!("…[cut {} bytes]", text.len() - end + dropped);
    let whole = format!("{}{mark}", &text[..end]);
    if whole.len() <= max { whole } else { text[..end].to_owned() }
}

/// A path as it is kept: spelled out as everywhere, without secrets.
pub fn path(raw: &str, max: usize) -> String {
    kept(&keyed::path_text(raw.as_bytes()), max)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_was_cut_is_said_and_no_character_is_broken() {
        assert_eq!(kept("short", 64), "short");
        let cut = kept(&"ä ".repeat(100), 64);
        assert!(cut.len() <= 64 && cut.ends_with(" bytes]"), "{cut}");
        assert_eq!(kept("a\nb\u{1b}[31m\u{202e}", 64), "a\\nb\\u{1b}[31m\\u{202e}");
    }

    proptest! {
        #[test]
        fn kept_text_fits_its_field(text in "\\PC{0,200}|[\\x00-\\x7f]{0,300}", max in 64_usize..300) {
            let kept = kept(&text, max);
            prop_assert!(kept.len() <= max);
            prop_assert!(!kept.chars().any(char::is_control));
            prop_assert!(!crate::secrets::holds_secret(kept.as_bytes()), "{}", kept);
        }
    }
}
