//! Signed notes, verifier keys and checkpoints.

use proptest::prelude::*;
use vm_receipts::key::SecretKey;
use vm_scrolls::base64;
use vm_scrolls::checkpoint::*;
use vm_scrolls::note::*;
use vm_scrolls::tree::{MAX_SIZE, empty_root};

use crate::common::{ORIGIN, log_key};

fn key(seed: u8) -> SecretKey {
    SecretKey::from_seed([seed; 32])
}

fn vkey(name: &str, seed: u8) -> Vkey {
    Vkey::new(name, key(seed).public()).unwrap()
}

#[test]
fn a_signed_note_reads_back_and_verifies() {
    let note = sign("one\n\ntwo\n", "example.org/a", &key(1));
    let note = add_signature(note.as_bytes(), "example.org/b", &key(2)).unwrap();
    let parsed = Note::parse(note.as_bytes()).unwrap();
    assert_eq!(parsed.text, "one\n\ntwo\n");
    assert_eq!(parsed.to_string(), note);
    let keys = [vkey("example.org/b", 2), vkey("example.org/a", 1)];
    assert_eq!(verify(&parsed, &keys), Ok(vec![0, 1]));
    assert_eq!(verify(&parsed, &keys[..1]), Ok(vec![1]));
    let nobody = verify(&parsed, &[vkey("example.org/c", 1)]);
    assert_eq!(nobody.map_err(|e| e.code()), Err("note_unverified"));
}

#[test]
fn published_notes_verify() {
    // The example of C2SP signed-note, a checkpoint of sum.golang.org, and a note by two keys from
    // golang.org/x/mod: values as published.
    let notes = [
        (
            "This is an example message.\n\n\
             \u{2014} example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n",
            vec!["example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"],
        ),
        (
            "go.sum database tree\n35225469\nvt5T6GaLCXvyHFl9VUvvItR43XZxfLgftEcTyO3eJCQ=\n\n\
             \u{2014} sum.golang.org Az3grpukl5AXaVfYkLiDGORx/DN2nlcS5kZHR5uYOBV2KA2HgXpD+gu9HHONebHLAyaKbbTM75QTtPydhKCExixSfwQ=\n",
            vec!["sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8"],
        ),
        (
            "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n\n\
             \u{2014} PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n\
             \u{2014} EnochRoot rwz+eBzmZa0SO3NbfRGzPCpDckykFXSdeX+MNtCOXm2/5n2tiOHp+vAF1aGrQ5ovTG01oOTGwnWLox33WWd1RvMc+QQ=\n",
            vec![
                "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
                "EnochRoot+af0cfe78+ATtqJ7zOtqQtYqOo0CpvDXNlMhV3HeJDpjrASKGLWdop",
            ],
        ),
    ];
    for (text, keys) in &notes {
        let note = Note::parse(text.as_bytes()).unwrap();
        assert_eq!(note.to_string(), *text);
        let keys: Vec<Vkey> = keys.iter().map(|key| Vkey::parse(key).unwrap()).collect();
        assert_eq!(verify(&note, &keys), Ok((0..keys.len()).collect()));
    }
    // A key named otherwise than the origin: the note verifies, but it is no checkpoint of that origin.
    let (sumdb, keys) = &notes[1];
    let opened = Checkpoint::open(sumdb.as_bytes(), &[Vkey::parse(keys[0]).unwrap()]);
    assert_eq!(opened.map_err(|e| e.code()), Err("checkpoint_foreign_signer"));
}

#[test]
fn one_bad_line_by_a_known_key_condemns_the_note() {
    let good = sign("text\n", "a", &key(1));
    let mut forged = Note::parse(good.as_bytes()).unwrap().with_signature("b", &key(2));
    forged.signatures[1].bytes[5] ^= 1;
    assert_eq!(verify(&forged, &[vkey("a", 1)]), Ok(vec![0]));
    let both = verify(&forged, &[vkey("a", 1), vkey("b", 2)]);
    let id = key_id("b", &key(2).public());
    assert_eq!(both, Err(NoteError::BadSignature { name: "b".into(), id, line: 4 }));
    let mut short = forged.clone();
    short.signatures[1].bytes.truncate(63);
    assert_eq!(verify(&short, &[vkey("b", 2)]).map_err(|e| e.is_forgery()), Err(true));
}

#[test]
fn two_known_keys_of_one_name_and_id_are_ambiguous() {
    let note = Note::parse(sign("text\n", "a", &key(1)).as_bytes()).unwrap();
    let twice = [vkey("a", 1), vkey("b", 2), vkey("a", 1)];
    assert_eq!(verify(&note, &twice).map_err(|e| e.code()), Err("note_ambiguous_key"));
    let unused = [vkey("a", 1), vkey("b", 2), vkey("b", 2)];
    assert_eq!(verify(&note, &unused), Ok(vec![0]));
}

#[test]
fn a_repeated_signature_counts_once() {
    let note = Note::parse(sign("text\n", "a", &key(1)).as_bytes()).unwrap();
    let note = note.with_signature("a", &key(1)).with_signature("b", &key(2));
    assert_eq!(verify(&note, &[vkey("a", 1), vkey("b", 2)]), Ok(vec![0, 2]));
    let mut spoiled = note.clone();
    spoiled.signatures[1].bytes[0] ^= 1;
    assert_eq!(verify(&spoiled, &[vkey("a", 1)]).map_err(|e| e.is_forgery()), Err(true));
}

#[test]
fn a_changed_text_is_noticed() {
    let note = Note::parse(sign("text\n", "a", &key(1)).as_bytes()).unwrap();
    let changed = Note { text: "texT\n".into(), ..note };
    assert_eq!(verify(&changed, &[vkey("a", 1)]).map_err(|e| e.is_forgery()), Err(true));
}

#[test]
fn limits_and_faults_of_a_note_have_their_place() {
    let place = |bytes: &[u8]| match Note::parse(bytes) {
        Err(NoteError::Malformed { line, byte, .. }) => (line, byte),
        other => panic!("{other:?}"),
    };
    assert_eq!(place(b""), (1, 0));
    assert_eq!(place(b"a\n\n"), (3, 3));
    assert_eq!(place(b"a\nb\tc\n\n"), (2, 3));
    assert_eq!(place(b"a\n\xff\n\n"), (2, 2));
    assert_eq!(place("a\n\n\u{2014} a AAAAAAA=\nx\n".as_bytes()), (4, 18));
    assert_eq!(place("a\n\n\u{2014} a+b AAAAAAA=\n".as_bytes()), (3, 3));
    assert_eq!(place("a\n\n\u{2014} a AAAA\n".as_bytes()), (3, 3));
    assert_eq!(place("a\n\n\u{2014} a  AAAAAAA=\n".as_bytes()), (3, 3));
    assert_eq!(place("a\n\n- a AAAAAAA=\n".as_bytes()), (3, 3));
    let line = "\u{2014} a AAAAAAA=\n";
    assert!(Note::parse(format!("a\n\n{}", line.repeat(100)).as_bytes()).is_ok());
    let (line_number, _) = place(format!("a\n\n{}", line.repeat(101)).as_bytes());
    assert_eq!(line_number, 103);
    let tail = format!("\n\n{line}");
    let fits = format!("{}{tail}", "a".repeat(NOTE_BYTES_MAX - tail.len()));
    assert!(Note::parse(fits.as_bytes()).is_ok());
    assert_eq!(place(format!("a{fits}").as_bytes()).1, NOTE_BYTES_MAX as u64);
    let full = Note::parse(format!("a\n\n{}", line.repeat(100)).as_bytes()).unwrap().to_string();
    assert!(add_signature(full.as_bytes(), "a", &key(1)).is_err());
    assert!(add_signature(b"a\n\n", "a", &key(1)).is_err());
    assert!(add_signature(full.as_bytes(), "a b", &key(1)).is_err());
}

#[test]
fn a_verifier_key_has_one_spelling() {
    let text = vkey("example.org/a", 1).to_string();
    assert_eq!(Vkey::parse(&text).unwrap().to_string(), text);
    let (name, rest) = text.split_once('+').unwrap();
    let (hex, encoded) = rest.split_once('+').unwrap();
    let typed = base64::decode(encoded).unwrap();
    let other_type = |kind: u8| {
        let mut typed = typed.clone();
        typed[0] = kind;
        base64::encode(typed)
    };
    assert_ne!(hex, hex.to_uppercase(), "the id of this key has a letter");
    let mut refused = vec![
        String::new(),
        name.to_owned(),
        format!("{name}+{hex}"),
        format!("+{hex}+{encoded}"),
        format!("{name}+{}+{encoded}", hex.to_uppercase()),
        format!("{name}+0{hex}+{encoded}"),
        format!("{name}+{}+{encoded}", &hex[1..]),
        format!("{name}+00000000+{encoded}"),
        format!("{name} +{hex}+{encoded}"),
        format!("{name}+{hex}+{}", &encoded[..encoded.len() - 1]),
        format!("{name}+{hex}+{encoded}="),
        format!("{name}+{hex}+{encoded}\n"),
        format!("{name}+{hex}+"),
    ];
    refused.extend([0, 2, 3, 5, 0xff].map(|kind| format!("{name}+{hex}+{}", other_type(kind))));
    for text in &refused {
        assert_eq!(Vkey::parse(text).map_err(|e| e.code()), Err("vkey_malformed"), "{text:?}");
    }
}

#[test]
fn a_weak_key_is_refused() {
    // The neutral element: a point of small order that signs everything. Its key id is right.
    let mut weak = [0_u8; 32];
    weak[0] = 1;
    let any = AnyVkey { name: "a".into(), id: 0, kind: TYPE_ED25519, bytes: weak.to_vec() };
    let text = with_right_id(&any.to_string());
    assert!(AnyVkey::parse(&text).is_ok());
    let refused = Vkey::parse(&text).unwrap_err();
    assert!(refused.to_string().contains("not a usable Ed25519 point"), "{refused}");
}

/// The same key text with the id that belongs to its name and key.
fn with_right_id(text: &str) -> String {
    use sha2::{Digest, Sha256};
    let (name, rest) = text.split_once('+').unwrap();
    let encoded = rest.split_once('+').unwrap().1;
    let digest = Sha256::new()
        .chain_update(name)
        .chain_update(b"\n")
        .chain_update(base64::decode(encoded).unwrap())
        .finalize();
    let hex: String = digest[..4].iter().map(|b| format!("{b:02x}")).collect();
    format!("{name}+{hex}+{encoded}")
}

#[test]
fn a_checkpoint_reads_back_and_its_key_is_its_origin() {
    let known = [Vkey::new(ORIGIN, log_key().public()).unwrap()];
    let checkpoint = Checkpoint { origin: ORIGIN.into(), size: 7, root: [3; 32] };
    let note = checkpoint.sign(&log_key());
    let (opened, parsed) = Checkpoint::open(note.as_bytes(), &known).unwrap();
    assert_eq!(opened, checkpoint);
    assert_eq!(parsed.signatures[0].name, ORIGIN);
    assert_eq!(Checkpoint::parse_body(&checkpoint.body()), Ok(checkpoint.clone()));

    let foreign = sign(&checkpoint.body(), "example.org/other", &key(1));
    let refused =
        Checkpoint::open(foreign.as_bytes(), &[vkey("example.org/other", 1)]).unwrap_err();
    assert_eq!((refused.code(), refused.is_missing_key()), ("checkpoint_foreign_signer", true));
    let unknown = Checkpoint::open(foreign.as_bytes(), &known).unwrap_err();
    assert_eq!((unknown.code(), unknown.is_missing_key()), ("note_unverified", true));
    let forged = Checkpoint::open(note.replace("\n7\n", "\n8\n").as_bytes(), &known).unwrap_err();
    assert_eq!((forged.code(), forged.is_missing_key()), ("note_bad_signature", false));
}

#[test]
fn a_checkpoint_body_has_exactly_three_lines() {
    let good = Checkpoint { origin: "o".into(), size: 0, root: empty_root() }.body();
    assert_eq!(good, "o\n0\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n");
    assert!(Checkpoint::parse_body(&good).is_ok());
    let extended = format!("{good}more\n");
    let place = |body: &str| match Checkpoint::parse_body(body) {
        Err(CheckpointError::Body { line, byte, .. }) => (line, byte),
        other => panic!("{other:?}"),
    };
    assert_eq!(place(&extended), (4, 49));
    let (_, extensions) = Checkpoint::parse_body_with_extensions(&extended).unwrap();
    assert_eq!(extensions, ["more"]);
    assert_eq!(place("o\n0\n"), (2, 4));
    assert_eq!(place(&good.replace("\n0\n", "\n00\n")).0, 2);
    assert_eq!(place(&good.replace("\n0\n", "\n1\n").replace('=', "")).0, 3);
    assert_eq!(place(&good.replace("47DE", "47DF")).0, 3);
    let size = |size: u64| good.replace("\n0\n", &format!("\n{size}\n"));
    assert!(Checkpoint::parse_body(&size(MAX_SIZE)).is_ok());
    assert_eq!(place(&size(MAX_SIZE + 1)).0, 2);
    let origin = |length| good.replacen('o', &"o".repeat(length), 1);
    assert!(Checkpoint::parse_body(&origin(255)).is_ok());
    assert_eq!(place(&origin(256)).0, 1);
}

#[test]
#[should_panic(expected = "an origin is a key name")]
fn an_origin_that_could_not_be_read_back_is_never_signed() {
    let _ = Checkpoint { origin: "a b".into(), size: 0, root: empty_root() }.sign(&log_key());
}

#[test]
fn every_flipped_bit_of_a_checkpoint_is_noticed() {
    let known = [Vkey::new(ORIGIN, log_key().public()).unwrap()];
    let note = Checkpoint { origin: ORIGIN.into(), size: 7, root: [3; 32] }.sign(&log_key());
    let bytes = note.as_bytes();
    for place in 0..bytes.len() {
        for bit in 0..8 {
            let mut flipped = bytes.to_vec();
            flipped[place] ^= 1 << bit;
            assert!(Checkpoint::open(&flipped, &known).is_err(), "byte {place} bit {bit}");
        }
        let cut = [&bytes[..place], &bytes[place + 1..]].concat();
        assert!(Checkpoint::open(&cut, &known).is_err(), "byte {place} deleted");
    }
}

proptest! {
    #[test]
    fn every_note_reads_back(text in "[^\\x00-\\x1f]{0,30}(\n[^\\x00-\\x1f]{0,30}){0,5}\n", name in "[a-z./]{1,20}") {
        let note = sign(&text, &name, &key(1));
        let parsed = Note::parse(note.as_bytes()).unwrap();
        prop_assert_eq!(&parsed.text, &text);
        prop_assert_eq!(parsed.to_string(), note);
        prop_assert_eq!(verify(&parsed, &[vkey(&name, 1)]), Ok(vec![0]));
    }

    #[test]
    fn an_accepted_note_prints_back(bytes in prop::collection::vec(any::<u8>(), 0..200), text in "[ab—+ \n]{0,20}\n\n— a [A-D]{8}\n{0,2}") {
        for bytes in [&bytes, text.as_bytes()] {
            if let Ok(note) = Note::parse(bytes) {
                let printed = note.to_string();
                prop_assert_eq!(printed.as_bytes(), bytes);
            }
            let _ = Checkpoint::open(bytes, &[]);
            if let Ok(text) = std::str::from_utf8(bytes) {
                let _ = Checkpoint::parse_body_with_extensions(text);
                let _ = Vkey::parse(text);
            }
        }
    }

    #[test]
    fn an_accepted_body_prints_back(origin in "\\PC{0,10}", size: u64, root in prop::array::uniform32(any::<u8>()), junk in "\\PC{0,3}") {
        let body = format!("{origin}\n{size}{junk}\n{}\n", base64::encode(root));
        if let Ok(checkpoint) = Checkpoint::parse_body(&body) {
            prop_assert_eq!(checkpoint.body(), body);
        }
    }

    #[test]
    fn accepted_base64_is_what_would_be_printed(text in "[A-Da-d0-3+/=_ -]{0,12}", bytes in prop::collection::vec(any::<u8>(), 0..50)) {
        if let Ok(decoded) = base64::decode(&text) {
            prop_assert_eq!(base64::encode(decoded), text);
        }
        prop_assert_eq!(base64::decode(&base64::encode(&bytes)), Ok(bytes));
    }
}
