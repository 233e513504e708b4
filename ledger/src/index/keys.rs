//! Tables, keys and values of an index, as bytes.

use super::{Identity, Mark};
use crate::scroll::Group;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use redb::TableDefinition;
use serde_json::{Value, json};
use vm_receipts::digest::Blake3;
use vm_receipts::line::Prev;
use vm_receipts::moment::Moment;
use vm_scrolls::query::terms::Term;
use vm_scrolls::tree::Hash;

/// Format of all that stands here; another number is another index.
const FORMAT: u64 = 1;

/// What the index is of, and where it has come to.
pub(super) const ABOUT: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("about");
/// Call id to its group.
pub(super) const IDS: TableDefinition<'_, &[u8], &[u8; GROUP]> = TableDefinition::new("ids");
/// Chunk of lines to where they start, four bytes a line.
pub(super) const STARTS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("starts");
/// Stretch and term to places.
pub(super) const TERMS: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("terms");
/// A part of the state.
pub(super) type PartTable<'a> = TableDefinition<'a, &'static [u8], &'static [u8]>;

pub(super) const IDENTITY: &str = "identity";
pub(super) const MARK: &str = "mark";
/// There if some id stands in two groups, which then cannot be found by id alone.
pub(super) const REPEATED: &str = "repeated";

/// Lines in one value of [`STARTS`].
pub(super) const CHUNK: u64 = 256;
const GROUP: usize = 44;

/// Name of the table of a part of the state.
pub(super) fn part_table(part: &str) -> String {
    format!("s.{part}")
}

/// Longest value kept whole in a key.
const VALUE_MAX: usize = 96;
/// What is kept of a longer one, before 16 bytes of its digest.
const VALUE_HEAD: usize = 64;

/// The beginning of all keys of a stretch; its highest three bytes are of no line.
pub(super) fn stretch_key(stretch: u64) -> Vec<u8> {
    stretch.to_be_bytes()[3..].to_vec()
}

/// Key of a term in a stretch: stretch, field, value. Two long values may share a key; the lines are looked at again.
pub(super) fn term_key(stretch: u64, field: u8, value: &[u8]) -> Vec<u8> {
    let mut key = stretch_key(stretch);
    key.reserve_exact(1 + value.len().min(VALUE_MAX));
    key.push(field);
    if value.len() <= VALUE_MAX {
        key.extend_from_slice(value);
    } else {
        key.extend_from_slice(&value[..VALUE_HEAD]);
        key.extend_from_slice(&Blake3::of(value).0[..16]);
    }
    key
}

/// The beginning that the keys of all terms with this beginning share.
pub(super) fn prefix_key(stretch: u64, prefix: &Term) -> Vec<u8> {
    let shown = prefix.value.len().min(VALUE_HEAD);
    term_key(stretch, prefix.field, &prefix.value[..shown])
}

/// The first key after all that begin like this one.
pub(super) fn after(prefix: &[u8]) -> Option<Vec<u8>> {
    let mut key = prefix.to_vec();
    while let Some(last) = key.pop() {
        if let Some(more) = last.checked_add(1) {
            key.push(more);
            return Some(key);
        }
    }
    None
}

pub(super) fn group_bytes(group: &Group) -> [u8; GROUP] {
    let mut bytes = [0; GROUP];
    bytes[..8].copy_from_slice(&group.first.to_le_bytes());
    bytes[8..12].copy_from_slice(&group.of.to_le_bytes());
    bytes[12..].copy_from_slice(&group.intent.0);
    bytes
}

pub(super) fn read_group(bytes: &[u8; GROUP]) -> Group {
    let mut intent = [0; 32];
    intent.copy_from_slice(&bytes[12..]);
    let (mut first, mut of) = ([0; 8], [0; 4]);
    first.copy_from_slice(&bytes[..8]);
    of.copy_from_slice(&bytes[8..12]);
    let (first, of) = (u64::from_le_bytes(first), u32::from_le_bytes(of));
    Group { first, of, intent: Blake3(intent) }
}

pub(super) fn starts_bytes(starts: &[u32]) -> Vec<u8> {
    starts.iter().flat_map(|start| start.to_le_bytes()).collect()
}

pub(super) fn read_starts(bytes: &[u8]) -> impl Iterator<Item = u32> + '_ {
    bytes.as_chunks::<4>().0.iter().map(|start| u32::from_le_bytes(*start))
}

pub(super) fn identity_bytes(identity: &Identity) -> Vec<u8> {
    let Identity { ledger, scroll, fold, shape } = identity;
    let said =
        json!({"format": FORMAT, "ledger": ledger, "scroll": scroll, "fold": fold, "shape": shape});
    said.to_string().into_bytes()
}

/// Why an index with this identity is not the one asked for.
pub(super) fn check_identity(bytes: &[u8], wanted: &Identity) -> Result<(), String> {
    let found: Value = serde_json::from_slice(bytes)
        .map_err(|e| format!("what it says about itself does not read: {e}"))?;
    let differs = |name: &str, wanted: Value| found[name] != wanted;
    if differs("format", json!(FORMAT)) {
        return Err("it is of another format".to_owned());
    }
    if differs("ledger", json!(wanted.ledger)) {
        return Err(format!("it belongs to ledger {}", found["ledger"].as_str().unwrap_or("?")));
    }
    if differs("scroll", json!(wanted.scroll)) {
        return Err(format!("it belongs to scroll {}", found["scroll"].as_str().unwrap_or("?")));
    }
    if differs("fold", json!(wanted.fold)) || differs("shape", json!(wanted.shape)) {
        return Err("it was made by another version".to_owned());
    }
    Ok(())
}

pub(super) fn mark_bytes(mark: &Mark) -> Vec<u8> {
    let hash = |hash: &Hash| json!(STANDARD.encode(hash));
    let said = json!({
        "size": mark.size,
        "root": hash(&mark.root),
        "peaks": mark.peaks.iter().map(hash).collect::<Vec<_>>(),
        "last_at": mark.last_at.map(Moment::unix_ms),
        "batch": mark.batch.map(|prev| json!({"size": prev.size, "root": hash(&prev.root)})),
        "file_bytes": mark.file_bytes,
        "unknown": mark.unknown,
    });
    said.to_string().into_bytes()
}

pub(super) fn read_mark(bytes: &[u8]) -> Option<Mark> {
    let said: Value = serde_json::from_slice(bytes).ok()?;
    let optional = |value: &Value| Some(value.clone()).filter(|value| !value.is_null());
    let last_at = match optional(&said["last_at"]) {
        Some(at) => Some(Moment::from_unix_ms(at.as_i64()?)?),
        None => None,
    };
    let batch = match optional(&said["batch"]) {
        Some(prev) => Some(Prev { size: prev["size"].as_u64()?, root: read_hash(&prev["root"])? }),
        None => None,
    };
    let unknown = match optional(&said["unknown"]) {
        Some(why) => Some(why.as_str()?.to_owned()),
        None => None,
    };
    let peaks = said["peaks"].as_array()?.iter().map(read_hash).collect::<Option<_>>()?;
    let (size, root) = (said["size"].as_u64()?, read_hash(&said["root"])?);
    Some(Mark {
        size,
        root,
        peaks,
        last_at,
        batch,
        file_bytes: said["file_bytes"].as_u64()?,
        unknown,
    })
}

fn read_hash(value: &Value) -> Option<Hash> {
    STANDARD.decode(value.as_str()?).ok()?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_after_a_prefix_is_after_all_that_begin_so() {
        assert_eq!(after(b"ab"), Some(b"ac".to_vec()));
        assert_eq!(after(&[7, 0xff]), Some(vec![8]));
        assert_eq!(after(&[0xff, 0xff]), None);
    }

    #[test]
    fn a_long_value_is_found_by_its_beginning() {
        let long = vec![b'x'; 4_000];
        let key = term_key(3, 7, &long);
        assert_eq!(key.len(), 6 + 64 + 16);
        for shown in [0, 5, 64, 90, 4_000] {
            let prefix = Term { field: 7, value: long[..shown].to_vec() };
            assert!(key.starts_with(&prefix_key(3, &prefix)));
        }
        assert_ne!(key, term_key(3, 7, &long[1..]));
    }

    #[test]
    fn a_mark_reads_back() {
        let mut mark = Mark {
            size: 9,
            root: [1; 32],
            peaks: vec![[2; 32], [3; 32]],
            last_at: None,
            batch: None,
            file_bytes: u64::MAX,
            unknown: None,
        };
        assert_eq!(read_mark(&mark_bytes(&mark)), Some(mark.clone()));
        mark.last_at = Some(Moment::MIN);
        mark.batch = Some(Prev { size: 4, root: [4; 32] });
        mark.unknown = Some("t/3 is a \"x\"".to_owned());
        assert_eq!(read_mark(&mark_bytes(&mark)), Some(mark.clone()));
        assert_eq!(read_mark(b"{}"), None);
    }
}
