//! Laws of strict JSON.

use proptest::prelude::*;
use serde_json::json;

use super::*;

fn kind_of(text: &str) -> (usize, JsonErrorKind) {
    let error = parse(text.as_bytes()).expect_err(text);
    (error.at, error.kind)
}

#[test]
fn what_other_readers_repair_is_refused_at_its_byte() {
    use JsonErrorKind::*;
    for (text, at, kind) in [
        ("", 0, Truncated),
        ("  ", 2, Truncated),
        ("{", 1, Truncated),
        ("[1", 2, Truncated),
        ("\"a", 2, Truncated),
        ("\"\\", 2, Truncated),
        ("-", 1, Truncated),
        ("tru", 0, Unexpected),
        ("truE", 0, Unexpected),
        ("[1,]", 3, Unexpected),
        ("{\"a\":1,}", 7, Unexpected),
        ("{a:1}", 1, Unexpected),
        ("{\"a\" 1}", 5, Unexpected),
        ("'a'", 0, Unexpected),
        ("+1", 0, Unexpected),
        (".5", 0, Unexpected),
        ("-a", 1, Unexpected),
        ("NaN", 0, Unexpected),
        ("1 2", 2, Trailing),
        ("{}x", 2, Trailing),
        ("{}\0", 2, Trailing),
        ("\u{feff}{}", 0, ByteOrderMark),
        ("\"a\nb\"", 2, ControlCharacter),
        ("\"\u{1f}\"", 1, ControlCharacter),
        ("\"\\x\"", 1, BadEscape),
        ("\"\\u12g4\"", 1, BadEscape),
        ("\"\\u12\"", 1, BadEscape),
        ("\"\\u+123\"", 1, BadEscape),
        ("\"\\ud800\"", 1, LoneSurrogate),
        ("\"\\udc00\"", 1, LoneSurrogate),
        ("\"\\ud800\\u0041\"", 1, LoneSurrogate),
        ("\"\\ud800x\"", 1, LoneSurrogate),
        ("\"\\ud800\\udXYZ\"", 1, LoneSurrogate),
        ("{\"a\":1,\"a\":2}", 7, DuplicateKey),
        ("{\"a\":1,\"\\u0061\":2}", 7, DuplicateKey),
        ("[{\"\":1,\"\":1}]", 7, DuplicateKey),
        ("01", 0, LeadingZero),
        ("-01", 1, LeadingZero),
        ("00", 0, LeadingZero),
        ("-0", 0, NegativeZero),
        ("[1.0]", 1, Float),
        ("1e2", 0, Float),
        ("1E2", 0, Float),
        ("-0.0", 0, Float),
        ("9007199254740992", 0, IntegerRange),
        ("-9007199254740992", 0, IntegerRange),
        ("123456789012345678901234567890", 0, IntegerRange),
    ] {
        assert_eq!(kind_of(text), (at, kind), "{text:?}");
        assert!(check_canonical(text.as_bytes()).is_err(), "{text:?}");
    }
}

#[test]
fn bytes_that_are_not_utf8_are_refused_where_they_stand() {
    for (bytes, at) in [
        (&b"\"a\xff\""[..], 2),
        (b"\"\xed\xa0\x80\"", 1), // a surrogate as bytes
        (b"\"\xc0\xaf\"", 1),     // an overlong slash
        (b"\"\xf4\x90\x80\x80\"", 1),
    ] {
        let error = parse(bytes).expect_err("not UTF-8");
        assert_eq!((error.at, error.kind), (at, JsonErrorKind::InvalidUtf8));
        assert_eq!(check_canonical(bytes), Err(error));
    }
}

#[test]
fn integers_are_kept_to_the_last_digit_at_both_ends() {
    for text in ["9007199254740991", "-9007199254740991", "0", "-1"] {
        let value = parse(text.as_bytes()).expect(text);
        assert_eq!(canonical(&value).expect(text), text.as_bytes());
        assert_eq!(check_canonical(text.as_bytes()), Ok(()));
    }
}

#[test]
fn depth_32_is_the_last() {
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    let objects = |depth: usize| format!("{}0{}", "{\"a\":".repeat(depth), "}".repeat(depth));
    for make in [&nested as &dyn Fn(usize) -> String, &objects] {
        let (limit, beyond) = (make(32), make(33));
        let value = parse(limit.as_bytes()).expect("depth 32");
        assert_eq!(canonical(&value).as_deref(), Ok(limit.as_bytes()));
        assert_eq!(check_canonical(limit.as_bytes()), Ok(()));
        assert_eq!(kind_of(&beyond).1, JsonErrorKind::TooDeep);
        let error = check_canonical(beyond.as_bytes()).expect_err("depth 33");
        assert_eq!(error.kind, JsonErrorKind::TooDeep);
    }
    let beyond: Value = serde_json::from_str(&nested(33)).expect("JSON");
    assert_eq!(canonical(&beyond).map_err(|error| error.kind), Err(JsonErrorKind::TooDeep));
    assert!(parse("[".repeat(1_000_000).as_bytes()).is_err(), "the stack holds");
}

#[test]
fn each_departure_from_canonical_form_has_its_name() {
    use JsonErrorKind::*;
    for (text, at, kind) in [
        (" {}", 0, Whitespace),
        ("{} ", 2, Trailing),
        ("{}\n", 2, Trailing),
        ("{\"a\": 1}", 5, Whitespace),
        ("[1, 2]", 3, Whitespace),
        ("[ ]", 1, Whitespace),
        ("{\"b\":1,\"a\":2}", 7, KeyOrder),
        ("{\"a\":1,\"a\":2}", 7, DuplicateKey),
        ("{\"aa\":1,\"a\":2}", 8, KeyOrder),
        ("\"\\/\"", 1, LongEscape),
        ("\"\\u0061\"", 1, LongEscape),
        ("\"\\u000a\"", 1, LongEscape),
        ("\"\\u001F\"", 1, LongEscape),
        ("\"\\ud83d\\ude02\"", 1, LongEscape),
        ("\"\\u007f\"", 1, LongEscape),
    ] {
        let error = check_canonical(text.as_bytes()).expect_err(text);
        assert_eq!((error.at, error.kind), (at, kind), "{text:?}");
    }
    for text in ["\"\\u001f\"", "\"\u{7f}\u{2028}/\"", "\"\\b\\t\\n\\f\\r\\\"\\\\\"", "{\"\":null}"]
    {
        assert_eq!(check_canonical(text.as_bytes()), Ok(()), "{text:?}");
    }
}

#[test]
fn names_are_ordered_by_utf16_and_not_by_bytes() {
    // U+1F602 is d83d de02 in UTF-16 and so stands before U+FB33 (RFC 8785 s3.2.3).
    let sorted =
        "{\"\\n\":0,\"\\r\":0,\"1\":0,\"\u{80}\":0,\"ö\":0,\"€\":0,\"😂\":0,\"\u{fb33}\":0}";
    assert_eq!(check_canonical(sorted.as_bytes()), Ok(()));
    let value = parse(sorted.as_bytes()).expect("strict");
    assert_eq!(canonical(&value).expect("in profile"), sorted.as_bytes());
    for swapped in ["{\"\u{fb33}\":0,\"😂\":0}", "{\"\\r\":0,\"\\n\":0}", "{\" \":0,\"\\u001f\":0}"]
    {
        let error = check_canonical(swapped.as_bytes()).expect_err(swapped);
        assert_eq!(error.kind, JsonErrorKind::KeyOrder, "{swapped}");
    }
    assert_eq!(
        check_canonical(b"{\"\\u001f\":0,\" \":0,\"\\\"\":0,\"[\":0,\"\\\\\":0,\"]\":0}"),
        Ok(())
    );
}

#[test]
fn whole_numbers_become_integers_at_the_edge() {
    let read = |text: &str| parse_lenient_numbers(text.as_bytes()).map_err(|error| error.kind);
    for (text, value) in [
        ("15.0", 15_i64),
        ("15", 15),
        ("-15.000", -15),
        ("1e2", 100),
        ("1E+2", 100),
        ("1.50e1", 15),
        ("150e-1", 15),
        ("0.0", 0),
        ("-0", 0),
        ("-0.0", 0),
        ("0e999999999999999999999", 0),
        ("9007199254740991.0", 9_007_199_254_740_991),
        ("9.007199254740991e15", 9_007_199_254_740_991),
        ("90071992547409910e-1", 9_007_199_254_740_991),
    ] {
        assert_eq!(read(text), Ok(json!(value)), "{text}");
    }
    for text in ["0.5", "15.01", "1e-1", "1e-99999999999999999999", "9007199254740991.5"] {
        assert_eq!(read(text), Err(JsonErrorKind::Fraction), "{text}");
    }
    for text in
        ["9007199254740992.0", "1e16", "1e400", "1e99999999999999999999", "12345678901234567"]
    {
        assert_eq!(read(text), Err(JsonErrorKind::IntegerRange), "{text}");
    }
    for text in ["1.", "1e", "1e+", "01.0", ".5", "1.e1", "--1"] {
        assert!(read(text).is_err(), "{text}");
    }
    let error = parse_lenient_numbers(b"{\"amount\":12.5}").expect_err("a fraction");
    assert_eq!(error.at, 10);
    assert!(error.hint().is_some_and(|hint| hint.contains("decimal strings")));
}

#[test]
fn floats_never_leave_the_writer() {
    for (value, kind) in [
        (json!(1.0), JsonErrorKind::Float),
        (json!(u64::MAX), JsonErrorKind::IntegerRange),
        (json!(i64::MIN), JsonErrorKind::IntegerRange),
    ] {
        let error = canonical(&json!([value])).expect_err("outside the profile");
        assert_eq!((error.at, error.kind), (1, kind));
    }
}

/// Values of the profile, with names and texts that are hard to order and to escape.
pub(crate) fn values() -> impl Strategy<Value = Value> {
    let letter = prop_oneof![
        4 => proptest::char::range('a', 'e'),
        2 => proptest::sample::select(vec!['"', '\\', '/', '\n', '\u{1f}', '\u{8}', '\u{7f}', ' ']),
        2 => proptest::sample::select(vec!['é', '\u{d7ff}', '\u{e000}', '\u{fb33}', '\u{ffff}', '\u{10000}', '😂']),
        1 => any::<char>(),
    ];
    let text = proptest::collection::vec(letter, 0..12).prop_map(String::from_iter);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-INTEGER_MAX..=INTEGER_MAX).prop_map(Value::from),
        (-20_i64..20).prop_map(Value::from),
        text.clone().prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 60, 6, move |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            proptest::collection::vec((text.clone(), inner), 0..6)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

/// The law of the one-pass check, for any bytes at all.
fn the_check_agrees_with_reading_and_writing(bytes: &[u8]) -> Result<(), TestCaseError> {
    let rewritten = parse(bytes).and_then(|value| canonical(&value));
    let expected = rewritten.is_ok_and(|text| text == bytes);
    prop_assert_eq!(
        check_canonical(bytes).is_ok(),
        expected,
        "{:?}",
        String::from_utf8_lossy(bytes)
    );
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn a_value_survives_writing_and_reading(value in values()) {
        let text = canonical(&value).expect("in profile");
        prop_assert_eq!(check_canonical(&text), Ok(()));
        prop_assert_eq!(parse(&text), Ok(value.clone()));
        prop_assert_eq!(parse_lenient_numbers(&text), Ok(value.clone()));
        let loose = serde_json::to_vec_pretty(&value).expect("JSON");
        prop_assert_eq!(parse(&loose), Ok(value));
    }

    #[test]
    fn three_canonical_writers_agree(value in values()) {
        let ours = canonical(&value).expect("in profile");
        prop_assert_eq!(&ours, &serde_jcs::to_vec(&value).expect("JCS"));
        prop_assert_eq!(&ours, &canonical_general(&value).expect("JCS"));
    }

    #[test]
    fn the_check_holds_under_mutation(
        value in values(),
        edits in proptest::collection::vec((any::<u16>(), 0_u8..5, any::<u8>(), any::<bool>()), 0..4),
    ) {
        let mut bytes = canonical(&value).expect("in profile");
        let tempting = b" \n\"\\{}[],:0123456789-+.eEu/bntfra\x00\x1f\x7f\xef\xbb\xf0";
        for (place, edit, byte, tempt) in edits {
            let byte = if tempt { tempting[usize::from(byte) % tempting.len()] } else { byte };
            let at = usize::from(place) % (bytes.len() + 1);
            match edit {
                0 if at < bytes.len() => bytes[at] = byte,
                1 => bytes.insert(at, byte),
                2 if at < bytes.len() => drop(bytes.remove(at)),
                3 if at + 1 < bytes.len() => bytes.swap(at, at + 1),
                _ => bytes.truncate(at),
            }
        }
        the_check_agrees_with_reading_and_writing(&bytes)?;
    }

    #[test]
    fn the_check_holds_on_text_that_looks_like_json(
        text in "[\\[\\]{}\",:0-9eE.+\\-\\\\ubnfrt/ a\u{e000}\u{10000}]{0,24}"
    ) {
        the_check_agrees_with_reading_and_writing(text.as_bytes())?;
    }

    #[test]
    fn the_check_holds_on_two_names(a in "\\PC{0,3}", b in "\\PC{0,3}", escape in any::<bool>()) {
        let mut first = Vec::new();
        write_string(&mut first, &a);
        let mut second = Vec::new();
        if escape {
            second = serde_json::to_vec(&b).expect("JSON");
        } else {
            write_string(&mut second, &b);
        }
        let text = [b"{", &first[..], b":0,", &second[..], b":0}"].concat();
        the_check_agrees_with_reading_and_writing(&text)?;
    }

    #[test]
    fn no_bytes_make_a_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
        the_check_agrees_with_reading_and_writing(&bytes)?;
        let _ = parse_lenient_numbers(&bytes);
    }
}
