//! State of an engine: small values ([`Slot`]) and ordered maps ([`Table`]), each with a tentative overlay.
//!
//! Deciding a batch folds each call's lines into the overlay, so the next call of the batch sees them; after the
//! commit point the overlay is promoted, and after a lost race or a refused write it is dropped. The base is in
//! memory here; an index on disk can stand behind the same methods, which is why `get` returns a value and not a
//! reference.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::ops::Bound;

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

/// What the ledger does with every part of a state.
pub trait Part {
    /// Makes the overlay the base.
    fn promote(&mut self);
    /// Drops the overlay.
    fn discard(&mut self);
    /// The whole content, overlay included, as JSON; equal states give equal dumps.
    fn dump(&self) -> Value;
}

/// A state made of parts. Implementations list each part under its own name.
pub trait Projection: Default + Send + 'static {
    /// Raised when the same lines fold into another state, so that stored projections are rebuilt.
    const FOLD_VERSION: u32;
    /// Calls `visit` once for each part.
    fn parts(&mut self, visit: &mut dyn FnMut(&'static str, &mut dyn Part));
}

/// An ordered map.
#[derive(Debug)]
pub struct Table<K, V> {
    base: BTreeMap<K, V>,
    overlay: BTreeMap<K, Option<V>>,
}

impl<K, V> Default for Table<K, V> {
    fn default() -> Self {
        Self { base: BTreeMap::new(), overlay: BTreeMap::new() }
    }
}

impl<K: Key, V: Clone + Serialize + DeserializeOwned + Send + 'static> Table<K, V> {
    /// The value under this key.
    pub fn get(&self, key: &K) -> Option<V> {
        match self.overlay.get(key) {
            Some(tentative) => tentative.clone(),
            None => self.base.get(key).cloned(),
        }
    }

    /// Whether the key is there.
    pub fn contains(&self, key: &K) -> bool {
        match self.overlay.get(key) {
            Some(tentative) => tentative.is_some(),
            None => self.base.contains_key(key),
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
        let mut base = self.base.range(bounds.clone()).peekable();
        let mut over = self.overlay.range(bounds).peekable();
        std::iter::from_fn(move || {
            loop {
                let take_over = match (base.peek(), over.peek()) {
                    (None, None) => return None,
                    (Some(_), None) => false,
                    (None, Some(_)) => true,
                    (Some((b, _)), Some((o, _))) => o <= b,
                };
                if !take_over {
                    return base.next().map(|(k, v)| (k.clone(), v.clone()));
                }
                let (key, value) = over.next().expect("peeked above");
                if base.peek().is_some_and(|(b, _)| *b == key) {
                    base.next();
                }
                if let Some(value) = value {
                    return Some((key.clone(), value.clone()));
                }
            }
        })
    }

    /// Whether there are no entries.
    pub fn is_empty(&self) -> bool {
        self.iter().next().is_none()
    }
}

impl<K: Key, V: Clone + Serialize + DeserializeOwned + Send + 'static> Part for Table<K, V> {
    fn promote(&mut self) {
        for (key, value) in std::mem::take(&mut self.overlay) {
            match value {
                Some(value) => self.base.insert(key, value),
                None => self.base.remove(&key),
            };
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
}

/// One small value.
#[derive(Debug, Default)]
pub struct Slot<T> {
    base: T,
    overlay: Option<T>,
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
        }
    }

    fn discard(&mut self) {
        self.overlay = None;
    }

    fn dump(&self) -> Value {
        serde_json::to_value(self.get()).expect("state values are plain data")
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
}
