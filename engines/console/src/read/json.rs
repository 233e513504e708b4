//! Foreign JSON, read with limits: a name may stand once in an object, and a document has only so many values.
//!
//! Two readers that see different values under one name could be made to disagree about what an agent did; so such a
//! document does not read at all. The number of values is bounded because a small text can hold very many of them.

use serde::de::{DeserializeSeed, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};
use std::cell::Cell;
use std::fmt;

/// Most values of one document: each costs some hundred bytes of memory.
const VALUES_MAX: u32 = 400_000;

/// Reads one document; the error says why not, without repeating the text.
pub fn document(bytes: &[u8]) -> Result<Value, String> {
    let left = Cell::new(VALUES_MAX);
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let value = Once { left: &left }.deserialize(&mut reader).map_err(|e| reason(&e))?;
    reader.end().map_err(|e| reason(&e))?;
    Ok(value)
}

/// The reader's own message may repeat what it read, which may be a secret.
fn reason(e: &serde_json::Error) -> String {
    let column = e.column();
    let text = e.to_string();
    let known = ["a name stands twice in an object", "more values than may be", "recursion limit"];
    match known.iter().find(|k| text.contains(**k)) {
        Some(known) => format!("{known} (column {column})"),
        None if e.is_eof() => "it ends too early".to_owned(),
        None => format!("no JSON from column {column} on"),
    }
}

#[derive(Clone, Copy)]
struct Once<'a> {
    left: &'a Cell<u32>,
}

impl Once<'_> {
    fn count<E: Error>(self) -> Result<(), E> {
        match self.left.get().checked_sub(1) {
            Some(left) => {
                self.left.set(left);
                Ok(())
            }
            None => Err(E::custom("more values than may be")),
        }
    }
}

impl<'de> DeserializeSeed<'de> for Once<'_> {
    type Value = Value;
    fn deserialize<D: serde::Deserializer<'de>>(self, reader: D) -> Result<Value, D::Error> {
        self.count()?;
        reader.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Once<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }
    fn visit_bool<E>(self, v: bool) -> Result<Value, E> {
        Ok(Value::Bool(v))
    }
    fn visit_i64<E>(self, v: i64) -> Result<Value, E> {
        Ok(Value::from(v))
    }
    fn visit_u64<E>(self, v: u64) -> Result<Value, E> {
        Ok(Value::from(v))
    }
    fn visit_f64<E>(self, v: f64) -> Result<Value, E> {
        Ok(Value::from(v))
    }
    fn visit_str<E>(self, v: &str) -> Result<Value, E> {
        Ok(Value::from(v))
    }
    fn visit_string<E>(self, v: String) -> Result<Value, E> {
        Ok(Value::from(v))
    }
    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut all = Vec::new();
        while let Some(item) = items.next_element_seed(self)? {
            all.push(item);
        }
        Ok(Value::Array(all))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut all = Map::new();
        while let Some(name) = entries.next_key::<String>()? {
            let value = entries.next_value_seed(self)?;
            if all.insert(name, value).is_some() {
                return Err(A::Error::custom("a name stands twice in an object"));
            }
        }
        Ok(Value::Object(all))
    }
}

/// Text under a name.
pub fn text<'a>(value: &'a Value, name: &str) -> Option<&'a str> {
    value.get(name)?.as_str()
}

/// Text under the first of some names that has one.
pub fn any_text<'a>(value: &'a Value, names: &[&str]) -> Option<&'a str> {
    names.iter().find_map(|name| text(value, name))
}

/// A count under a name: a whole number from zero on that receipts can hold.
pub fn count(value: &Value, name: &str) -> Option<u64> {
    const MOST: u64 = 9_007_199_254_740_991;
    value.get(name)?.as_u64().filter(|n| *n <= MOST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_stands_once_and_values_are_bounded() {
        assert!(document(br#"{"a":{"b":1},"c":{"b":2}}"#).is_ok());
        assert!(document(br#"{"a":1,"a":1}"#).unwrap_err().contains("twice"));
        assert!(document(br#"[{"x":{"a":1,"b":2,"\u0061":3}}]"#).unwrap_err().contains("twice"));
        let many = format!("[{}1]", "1,".repeat(VALUES_MAX as usize));
        assert!(document(many.as_bytes()).unwrap_err().contains("more values"));
        assert!(document("[".repeat(100_000).as_bytes()).is_err());
        assert!(document(b"{}x").is_err() && document(b"").is_err() && document(b"1e999").is_err());
    }

    #[test]
    fn an_error_never_repeats_the_text() {
        for bad in ["{\"password\":\"hunter2\" hunter2", "hunter2", "\"hunter2\u{1}\""] {
            assert!(!document(bad.as_bytes()).unwrap_err().contains("hunter2"));
        }
    }
}
