//! State of an engine: small values ([`Slot`]) and ordered maps ([`Table`]), each with a tentative overlay.
//!
//! Deciding a batch folds each call's lines into the overlay, so the next call of the batch sees them; after the
//! commit point the overlay is promoted, and after a lost race or a refused write it is dropped.
//!
//! By itself a state keeps everything in memory. Once it is [attached](Part::attach) to a [`Base`], it keeps only what
//! is newer than the base: what was promoted stays in memory until the ledger has written it there and
//! [settles](Part::settle) it. That is why `get` returns a value and not a reference.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

/// A key of a [`Table`], with an encoding that keeps its order.
pub trait Key: Ord + Clone + Send + 'static {
    /// Bytes that sort as the keys do.
    fn encode(&self) -> Vec<u8>;
    /// The key these bytes stand for.
    fn decode(bytes: &[u8]) -> Option<Self>;
    /// The key as text, for dumps.
    fn text(&self) -> String;
}

impl Key for String {
    fn encode(&self) -> Vec<u8> {
        self.as_bytes().to_vec()
    }
    fn decode(bytes: &[u8]) -> Option<Self> {
        String::from_utf8(bytes.to_vec()).ok()
    }
    fn text(&self) -> String {
        self.clone()
    }
}

impl Key for u64 {
    fn encode(&self) -> Vec<u8> {
        self.to_be_bytes().to_vec()
    }
    fn decode(bytes: &[u8]) -> Option<Self> {
        Some(u64::from_be_bytes(bytes.try_into().ok()?))
    }
    fn text(&self) -> String {
        self.to_string()
    }
}

/// Two texts; neither may hold a NUL byte, which the operation's field kinds already refuse.
impl Key for (String, String) {
    fn encode(&self) -> Vec<u8> {
        [self.0.as_bytes(), &[0], self.1.as_bytes()].concat()
    }
    fn decode(bytes: &[u8]) -> Option<Self> {
        let cut = bytes.iter().position(|b| *b == 0)?;
        Some((String::decode(&bytes[..cut])?, String::decode(&bytes[cut + 1..])?))
    }
    fn text(&self) -> String {
        format!("{}\u{0}{}", self.0, self.1)
    }
}

/// Entries of a part, as encoded key and value, in key order.
pub type Entries<'a> = Box<dyn Iterator<Item = (Vec<u8>, Vec<u8>)> + 'a>;

/// One change of a part: encoded key, and its value unless it was removed.
pub type Change = (Vec<u8>, Option<Vec<u8>>);

/// Where promoted values lie once they are out of memory.
///
/// A state cannot stop the fold it is read by, so nothing here returns an error: what cannot be read is not there, and
/// is remembered as the base's [`trouble`](Base::trouble), which the ledger asks for before it believes what was
/// decided or answered.
pub trait Base: Send + Sync {
    /// The value under a key of a part.
    fn get(&self, part: &'static str, key: &[u8]) -> Option<Vec<u8>>;
    /// The entries of a part between two bounds, in key order.
    fn range(&self, part: &'static str, from: Bound<&[u8]>, to: Bound<&[u8]>) -> Entries<'_>;
    /// Remembers the first thing that could not be read.
    fn fail(&self, what: String);
    /// What could not be read, if anything.
    fn trouble(&self) -> Option<String>;
}

/// What the ledger does with every part of a state.
pub trait Part {
    /// Makes the overlay permanent.
    fn promote(&mut self);
    /// Drops the overlay.
    fn discard(&mut self);
    /// The whole content, overlay included, as JSON; equal states give equal dumps.
    fn dump(&self) -> Value;
    /// Reads what was promoted before from here on from `base`, where it stands under this part's name. What is in
    /// memory is forgotten, so this is for a part that is still empty.
    fn attach(&mut self, name: &'static str, base: Arc<dyn Base>);
    /// Changes promoted since the last time; they stay readable here until they are settled.
    fn take_changes(&mut self) -> Vec<Change>;
    /// The changes last taken are in `base` now.
    fn settle(&mut self, base: Arc<dyn Base>);
}

/// A state made of parts. Implementations list each part under its own name.
pub trait Projection: Default + Send + 'static {
    /// Raised when the same lines fold into another state, so that stored projections are rebuilt.
    const FOLD_VERSION: u32;
    /// Calls `visit` once for each part.
    fn parts(&mut self, visit: &mut dyn FnMut(&'static str, &mut dyn Part));
}

/// An ordered map.
pub struct Table<K, V> {
    /// Promoted values that no base holds: all of them, where there is none.
    kept: Kept<K, V>,
    overlay: BTreeMap<K, Option<V>>,
}

enum Kept<K, V> {
    Here(BTreeMap<K, V>),
    Behind(Behind<K, V>),
}

/// What is newer than the base.
struct Behind<K, V> {
    part: &'static str,
    base: Arc<dyn Base>,
    /// Promoted since changes were last taken.
    fresh: BTreeMap<K, Option<V>>,
    /// Taken, and on their way into the base.
    taken: BTreeMap<K, Option<V>>,
    /// The key that was last looked for in the base and not found: whoever decides that something is new asks first,
    /// and the fold of it asks again.
    absent: RefCell<Option<K>>,
}

impl<K, V> Default for Table<K, V> {
    fn default() -> Self {
        Self { kept: Kept::Here(BTreeMap::new()), overlay: BTreeMap::new() }
    }
}

impl<K: std::fmt::Debug, V: std::fmt::Debug> std::fmt::Debug for Table<K, V> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut table = f.debug_struct("Table");
        match &self.kept {
            Kept::Here(base) => table.field("base", base),
            Kept::Behind(behind) => table.field("fresh", &behind.fresh),
        };
        table.field("overlay", &self.overlay).finish()
    }
}

impl<K: Key, V: Plain> Behind<K, V> {
    fn newer(&self, key: &K) -> Option<&Option<V>> {
        self.fresh.get(key).or_else(|| self.taken.get(key))
    }

    fn read(&self, key: &K) -> Option<V> {
        let bytes = self.bytes(key)?;
        self.decoded(&bytes)
    }

    fn bytes(&self, key: &K) -> Option<Vec<u8>> {
        if self.absent.borrow().as_ref() == Some(key) {
            return None;
        }
        let bytes = self.base.get(self.part, &key.encode());
        if bytes.is_none() {
            *self.absent.borrow_mut() = Some(key.clone());
        }
        bytes
    }

    fn decoded(&self, bytes: &[u8]) -> Option<V> {
        let read = serde_json::from_slice(bytes);
        read.map_err(|e| self.base.fail(format!("a value of {} does not read: {e}", self.part)))
            .ok()
    }

    fn entries(&self, from: Bound<&K>, to: Bound<&K>) -> Box<dyn Iterator<Item = (K, V)> + '_> {
        let (from, to) = (from.map(Key::encode), to.map(Key::encode));
        let bytes = self.base.range(
            self.part,
            from.as_ref().map(Vec::as_slice),
            to.as_ref().map(Vec::as_slice),
        );
        Box::new(bytes.filter_map(|(key, value)| match K::decode(&key) {
            Some(key) => Some((key, self.decoded(&value)?)),
            None => {
                self.base.fail(format!("a key of {} does not read", self.part));
                None
            }
        }))
    }
}

/// What a [`Table`] or [`Slot`] can hold: plain data.
trait Plain: Clone + Serialize + DeserializeOwned + Send + 'static {}
impl<V: Clone + Serialize + DeserializeOwned + Send + 'static> Plain for V {}

fn encoded<V: Serialize>(value: &V) -> Vec<u8> {
    serde_json::to_vec(value).expect("state values are plain data with text keys")
}

/// Entries of `below` with those of `above` in their place; both in key order.
fn layered<'a, K: Ord + Clone + 'a, V: Clone + 'a>(
    below: Box<dyn Iterator<Item = (K, Option<V>)> + 'a>,
    above: std::collections::btree_map::Range<'a, K, Option<V>>,
) -> Box<dyn Iterator<Item = (K, Option<V>)> + 'a> {
    let (mut below, mut above) = (below.peekable(), above.peekable());
    Box::new(std::iter::from_fn(move || {
        let take_above = match (below.peek(), above.peek()) {
            (None, None) => return None,
            (Some(_), None) => false,
            (None, Some(_)) => true,
            (Some((b, _)), Some((a, _))) => *a <= b,
        };
        if !take_above {
            return below.next();
        }
        let (key, value) = above.next().expect("peeked above");
        if below.peek().is_some_and(|(b, _)| b == key) {
            below.next();
        }
        Some((key.clone(), value.clone()))
    }))
}

impl<K: Key, V: Clone + Serialize + DeserializeOwned + Send + 'static> Table<K, V> {
    /// The value under this key.
    pub fn get(&self, key: &K) -> Option<V> {
        if let Some(tentative) = self.overlay.get(key) {
            return tentative.clone();
        }
        match &self.kept {
            Kept::Here(base) => base.get(key).cloned(),
            Kept::Behind(behind) => match behind.newer(key) {
                Some(newer) => newer.clone(),
                None => behind.read(key),
            },
        }
    }

    /// Whether the key is there.
    pub fn contains(&self, key: &K) -> bool {
        if let Some(tentative) = self.overlay.get(key) {
            return tentative.is_some();
        }
        match &self.kept {
            Kept::Here(base) => base.contains_key(key),
            Kept::Behind(behind) => match behind.newer(key) {
                Some(newer) => newer.is_some(),
                None => behind.bytes(key).is_some(),
            },
        }
    }

    /// Sets the value under this key.
    pub fn insert(&mut self, key: K, value: V) {
        self.overlay.insert(key, Some(value));
    }

    /// Removes the key.
    pub fn remove(&mut self, key: &K) {
        self.overlay.insert(key.clone(), None);
    }

    /// All entries in key order.
    pub fn iter(&self) -> impl Iterator<Item = (K, V)> + '_ {
        self.range(Bound::Unbounded, Bound::Unbounded)
    }

    /// Entries between two bounds, in key order.
    pub fn range<'a>(
        &'a self,
        from: Bound<&K>,
        to: Bound<&K>,
    ) -> impl Iterator<Item = (K, V)> + 'a {
        let bounds = (from.cloned(), to.cloned());
        let promoted: Box<dyn Iterator<Item = (K, Option<V>)> + 'a> = match &self.kept {
            Kept::Here(base) => {
                Box::new(base.range(bounds.clone()).map(|(k, v)| (k.clone(), Some(v.clone()))))
            }
            Kept::Behind(behind) => {
                let base = Box::new(behind.entries(from, to).map(|(k, v)| (k, Some(v))));
                let taken = layered(base, behind.taken.range(bounds.clone()));
                layered(taken, behind.fresh.range(bounds.clone()))
            }
        };
        layered(promoted, self.overlay.range(bounds)).filter_map(|(key, value)| Some((key, value?)))
    }

    /// Whether there are no entries.
    pub fn is_empty(&self) -> bool {
        self.iter().next().is_none()
    }
}

impl<K: Key, V: Clone + Serialize + DeserializeOwned + Send + 'static> Part for Table<K, V> {
    fn promote(&mut self) {
        let overlay = std::mem::take(&mut self.overlay);
        match &mut self.kept {
            Kept::Behind(behind) => behind.fresh.extend(overlay),
            Kept::Here(base) => {
                for (key, value) in overlay {
                    match value {
                        Some(value) => base.insert(key, value),
                        None => base.remove(&key),
                    };
                }
            }
        }
    }

    fn discard(&mut self) {
        self.overlay.clear();
    }

    fn dump(&self) -> Value {
        let entries = self.iter().map(|(k, v)| {
            (
                k.text(),
                serde_json::to_value(v).expect("state values are plain data without foreign keys"),
            )
        });
        Value::Object(entries.collect::<Map<_, _>>())
    }

    fn attach(&mut self, part: &'static str, base: Arc<dyn Base>) {
        let (fresh, taken, absent) = Default::default();
        self.kept = Kept::Behind(Behind { part, base, fresh, taken, absent });
    }

    fn take_changes(&mut self) -> Vec<Change> {
        let Kept::Behind(behind) = &mut self.kept else { return Vec::new() };
        // Those taken before and never settled must not be lost.
        behind.taken.extend(std::mem::take(&mut behind.fresh));
        behind.taken.iter().map(|(k, v)| (k.encode(), v.as_ref().map(encoded))).collect()
    }

    fn settle(&mut self, base: Arc<dyn Base>) {
        if let Kept::Behind(behind) = &mut self.kept {
            behind.base = base;
            behind.taken.clear();
            behind.absent = RefCell::default();
        }
    }
}

/// One small value.
#[derive(Debug, Default)]
pub struct Slot<T> {
    base: T,
    overlay: Option<T>,
    /// Promoted since changes were last taken.
    fresh: bool,
    /// Taken, and on its way into the base.
    taken: bool,
}

impl<T: Clone + Serialize + DeserializeOwned + Send + 'static> Slot<T> {
    /// The value now, tentative changes included.
    pub fn get(&self) -> &T {
        self.overlay.as_ref().unwrap_or(&self.base)
    }

    /// Sets the value.
    pub fn set(&mut self, value: T) {
        self.overlay = Some(value);
    }
}

impl<T: Clone + Serialize + DeserializeOwned + Send + 'static> Part for Slot<T> {
    fn promote(&mut self) {
        if let Some(value) = self.overlay.take() {
            self.base = value;
            self.fresh = true;
        }
    }

    fn discard(&mut self) {
        self.overlay = None;
    }

    fn dump(&self) -> Value {
        serde_json::to_value(self.get()).expect("state values are plain data")
    }

    fn attach(&mut self, name: &'static str, base: Arc<dyn Base>) {
        let Some(bytes) = base.get(name, &[]) else { return };
        match serde_json::from_slice(&bytes) {
            Ok(value) => self.base = value,
            Err(e) => base.fail(format!("{name} does not read: {e}")),
        }
    }

    fn take_changes(&mut self) -> Vec<Change> {
        self.taken |= std::mem::take(&mut self.fresh);
        match self.taken {
            true => vec![(Vec::new(), Some(encoded(&self.base)))],
            false => Vec::new(),
        }
    }

    fn settle(&mut self, _base: Arc<dyn Base>) {
        self.taken = false;
    }
}

/// The empty state, for engines that keep none.
impl Projection for () {
    const FOLD_VERSION: u32 = 1;
    fn parts(&mut self, _visit: &mut dyn FnMut(&'static str, &mut dyn Part)) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table<String, u32> {
        let mut t = Table::default();
        for (k, v) in [("a", 1), ("c", 3), ("e", 5)] {
            t.insert(k.to_owned(), v);
        }
        t.promote();
        t
    }

    fn entries(t: &Table<String, u32>) -> Vec<(String, u32)> {
        t.iter().collect()
    }

    #[test]
    fn the_overlay_shadows_the_base_in_key_order() {
        let mut t = table();
        t.insert("b".into(), 2);
        t.insert("c".into(), 30);
        t.remove(&"e".into());
        let want = vec![("a".to_owned(), 1), ("b".to_owned(), 2), ("c".to_owned(), 30)];
        assert_eq!(entries(&t), want);
        assert_eq!(t.get(&"e".into()), None);
        t.promote();
        assert_eq!(entries(&t), want);
    }

    #[test]
    fn a_dropped_overlay_leaves_no_trace() {
        let mut t = table();
        let before = t.dump();
        t.insert("z".into(), 9);
        t.remove(&"a".into());
        assert_ne!(t.dump(), before);
        t.discard();
        assert_eq!(t.dump(), before);
    }

    #[test]
    fn encoded_keys_sort_as_the_keys_do() {
        let keys = [("a", "z"), ("ab", "a"), ("b", ""), ("b", "a")]
            .map(|(a, b)| (a.to_owned(), b.to_owned()));
        assert!(keys.windows(2).all(|w| w[0] < w[1] && w[0].encode() < w[1].encode()));
        for key in keys {
            assert_eq!(<(String, String)>::decode(&key.encode()), Some(key));
        }
        assert!(9u64.encode() < 256u64.encode());
    }

    /// A base in memory, as an index on disk would be.
    #[derive(Default)]
    struct Shelf {
        entries: BTreeMap<(&'static str, Vec<u8>), Vec<u8>>,
        trouble: std::sync::OnceLock<String>,
    }

    impl Base for Shelf {
        fn get(&self, part: &'static str, key: &[u8]) -> Option<Vec<u8>> {
            self.entries.get(&(part, key.to_vec())).cloned()
        }
        fn range(&self, part: &'static str, from: Bound<&[u8]>, to: Bound<&[u8]>) -> Entries<'_> {
            let bounds = (from.map(<[u8]>::to_vec), to.map(<[u8]>::to_vec));
            let inside = move |key: &Vec<u8>| std::ops::RangeBounds::contains(&bounds, key);
            let own = self.entries.iter().filter(move |((p, key), _)| *p == part && inside(key));
            Box::new(own.map(|((_, key), value)| (key.clone(), value.clone())))
        }
        fn fail(&self, what: String) {
            let _ = self.trouble.set(what);
        }
        fn trouble(&self) -> Option<String> {
            self.trouble.get().cloned()
        }
    }

    impl Shelf {
        fn with(&self, part: &'static str, changes: Vec<Change>) -> Arc<Self> {
            let mut entries = self.entries.clone();
            for (key, value) in changes {
                match value {
                    Some(value) => entries.insert((part, key), value),
                    None => entries.remove(&(part, key)),
                };
            }
            Arc::new(Self { entries, trouble: std::sync::OnceLock::new() })
        }
    }

    #[test]
    fn a_table_over_a_base_shows_what_one_in_memory_shows() {
        let (mut here, mut behind) = (Table::default(), Table::<String, u32>::default());
        let mut shelf = Arc::new(Shelf::default());
        behind.attach("t", shelf.clone());
        // A fixed sequence that visits every layer: 0 to 3 stand for the steps of a ledger's life.
        let mut n: u32 = 7;
        for _ in 0..4_000 {
            n = n.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let key = ((n >> 8) % 23).to_string();
            match (n >> 20) % 12 {
                0..=4 => {
                    [&mut here, &mut behind].into_iter().for_each(|t| t.insert(key.clone(), n))
                }
                5 | 6 => [&mut here, &mut behind].into_iter().for_each(|t| t.remove(&key)),
                7 | 8 => [&mut here, &mut behind].into_iter().for_each(Part::promote),
                9 => [&mut here, &mut behind].into_iter().for_each(Part::discard),
                10 => {
                    let _never_written = behind.take_changes();
                }
                _ => {
                    shelf = shelf.with("t", behind.take_changes());
                    behind.settle(shelf.clone());
                }
            }
            assert_eq!(entries(&behind), entries(&here));
            assert_eq!(behind.get(&key), here.get(&key));
            assert_eq!(behind.contains(&key), here.contains(&key));
            let (from, to) = ("12".to_owned(), "5".to_owned());
            let (from, to) = (Bound::Excluded(&from), Bound::Included(&to));
            assert!(behind.range(from, to).eq(here.range(from, to)));
        }
        assert_eq!(shelf.trouble(), None);
    }

    #[test]
    fn a_value_that_does_not_read_is_not_there_and_is_remembered() {
        let shelf = Shelf::default().with("t", vec![(b"a".to_vec(), Some(b"no number".to_vec()))]);
        let mut table = Table::<String, u32>::default();
        table.attach("t", shelf.clone());
        assert_eq!(table.get(&"a".into()), None);
        assert!(shelf.trouble().unwrap().starts_with("a value of t does not read"));
    }

    #[test]
    fn a_slot_gives_its_change_until_it_is_settled() {
        let mut slot = Slot::<u32>::default();
        slot.set(4);
        slot.promote();
        assert_eq!(slot.take_changes(), slot.take_changes());
        let shelf = Shelf::default().with("s", slot.take_changes());
        slot.settle(shelf.clone());
        assert!(slot.take_changes().is_empty());
        let mut again = Slot::<u32>::default();
        again.attach("s", shelf);
        assert_eq!(*again.get(), 4);
    }
}
