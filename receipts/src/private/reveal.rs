//! Putting disclosed values back into a document: RFC 9901 section 7.1, in general.
//!
//! The reader takes more than this house writes: digests at any depth, also inside disclosed values. It refuses more
//! than some readers in the field do: a disclosure that opens nothing is an error, not a stranger to be ignored.

use std::collections::{HashMap, HashSet};
use std::fmt;

use serde_json::{Map, Value};

use super::{Disclosure, ITEM, SD, SD_ALG, SdError, check_digest};
use crate::json::DEPTH_MAX;

/// Why disclosures do not belong to a document. Disclosures are counted from 0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RevealError {
    /// The disclosure opens no digest of the document.
    Unmatched(usize),
    /// The disclosure was given before.
    Repeated(usize),
    /// A digest stands twice, in the document or in what was disclosed.
    DigestTwice(String),
    /// The disclosure names a member that is already there.
    NameTaken(usize),
    /// A field where an item of a list belongs, or the other way round.
    Kind(usize),
    /// The document holds reserved names or digests where they have no meaning.
    Form(SdError),
    /// The document names another hash than SHA-256.
    Algorithm,
    /// With the values in place, containers nest deeper than 32.
    TooDeep,
}

impl RevealError {
    /// Stable name of this error.
    pub fn code(&self) -> &'static str {
        match self {
            RevealError::Unmatched(_) => "sd_unmatched",
            RevealError::Repeated(_) => "sd_repeated",
            RevealError::DigestTwice(_) => "sd_digest_twice",
            RevealError::NameTaken(_) => "sd_name_taken",
            RevealError::Kind(_) => "sd_kind",
            RevealError::Form(error) => error.code(),
            RevealError::Algorithm => "sd_algorithm",
            RevealError::TooDeep => "sd_too_deep",
        }
    }

    /// Which disclosure is at fault, from 0, where it is one of them.
    pub fn disclosure(&self) -> Option<usize> {
        match self {
            RevealError::Unmatched(n)
            | RevealError::Repeated(n)
            | RevealError::NameTaken(n)
            | RevealError::Kind(n) => Some(*n),
            _ => None,
        }
    }

    /// The same error with another number for its disclosure: for callers who handed over some of several.
    #[must_use]
    pub fn renumbered(self, number: impl Fn(usize) -> usize) -> RevealError {
        match self {
            RevealError::Unmatched(n) => RevealError::Unmatched(number(n)),
            RevealError::Repeated(n) => RevealError::Repeated(number(n)),
            RevealError::NameTaken(n) => RevealError::NameTaken(number(n)),
            RevealError::Kind(n) => RevealError::Kind(number(n)),
            other => other,
        }
    }
}

impl fmt::Display for RevealError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RevealError::Unmatched(n) => write!(f, "disclosure {n} opens no digest here"),
            RevealError::Repeated(n) => write!(f, "disclosure {n} was given before"),
            RevealError::DigestTwice(digest) => write!(f, "the digest {digest} stands twice"),
            RevealError::NameTaken(n) => {
                write!(f, "disclosure {n} names a member that is already there")
            }
            RevealError::Kind(n) => {
                write!(f, "disclosure {n} is a field where an item belongs, or an item for a field")
            }
            RevealError::Form(error) => error.fmt(f),
            RevealError::Algorithm => f.write_str("_sd_alg is not sha-256"),
            RevealError::TooDeep => {
                write!(f, "with the values in place, containers nest deeper than {DEPTH_MAX}")
            }
        }
    }
}

impl std::error::Error for RevealError {}

/// A document with the disclosed values in place and nothing reserved left.
///
/// It holds what somebody kept private, so `Debug` shows names only.
#[derive(Clone, PartialEq, Eq)]
pub struct Revealed {
    /// The processed document.
    pub document: Map<String, Value>,
    /// Where each disclosure's value now stands, in the order of the disclosures: `address.region`, `tags[1]`. An
    /// item's number is its place in the list as it was signed.
    pub disclosed: Vec<String>,
    /// How many digests were not opened: withheld values, erased ones and decoys look the same.
    pub withheld: usize,
}

impl fmt::Debug for Revealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Revealed")
            .field("disclosed", &self.disclosed)
            .field("withheld", &self.withheld)
            .finish_non_exhaustive()
    }
}

/// Puts the disclosed values into the document (RFC 9901 s7.1).
///
/// # Errors
/// A disclosure that opens nothing or was given before, a digest that stands twice, a name that is already a member, a
/// field for an item, or reserved names where they have no meaning.
pub fn reveal(
    document: &Map<String, Value>,
    disclosures: &[Disclosure],
) -> Result<Revealed, RevealError> {
    let mut by_digest = HashMap::with_capacity(disclosures.len());
    for (n, disclosure) in disclosures.iter().enumerate() {
        if by_digest.insert(disclosure.digest(), n).is_some() {
            return Err(RevealError::Repeated(n));
        }
    }
    let places = vec![None; disclosures.len()];
    let mut walk = Walk { disclosures, by_digest, places, seen: HashSet::new(), withheld: 0 };
    let document = walk.object(document, "", 1)?;
    if let Some(n) = walk.places.iter().position(Option::is_none) {
        return Err(RevealError::Unmatched(n));
    }
    let disclosed = walk.places.into_iter().flatten().collect();
    Ok(Revealed { document, disclosed, withheld: walk.withheld })
}

struct Walk<'a> {
    disclosures: &'a [Disclosure],
    by_digest: HashMap<&'a str, usize>,
    /// Where each disclosure's value was put.
    places: Vec<Option<String>>,
    seen: HashSet<String>,
    withheld: usize,
}

impl<'a> Walk<'a> {
    fn object(
        &mut self,
        map: &Map<String, Value>,
        path: &str,
        depth: usize,
    ) -> Result<Map<String, Value>, RevealError> {
        let mut whole = Map::new();
        for (name, value) in map.iter().filter(|(name, _)| *name != SD) {
            match name.as_str() {
                SD_ALG if depth == 1 && value == "sha-256" => continue,
                SD_ALG if depth == 1 => return Err(RevealError::Algorithm),
                SD_ALG => return Err(RevealError::Form(SdError::Reserved(SD_ALG))),
                ITEM => return Err(RevealError::Form(SdError::Reserved(ITEM))),
                _ => {}
            }
            let value = self.value(value, || member(path, name), depth)?;
            whole.insert(name.clone(), value);
        }
        let Some(digests) = map.get(SD) else { return Ok(whole) };
        let digests = digests.as_array().ok_or(RevealError::Form(SdError::NotAnArray))?;
        for digest in digests {
            let Some((n, disclosure)) = self.open(digest)? else { continue };
            let name = disclosure.name().ok_or(RevealError::Kind(n))?;
            if whole.contains_key(name) {
                return Err(RevealError::NameTaken(n));
            }
            let place = member(path, name);
            let value = self.value(disclosure.value(), || place.clone(), depth)?;
            whole.insert(name.to_owned(), value);
            self.places[n] = Some(place);
        }
        Ok(whole)
    }

    fn value(
        &mut self,
        value: &Value,
        path: impl Fn() -> String,
        depth: usize,
    ) -> Result<Value, RevealError> {
        match value {
            Value::Object(_) | Value::Array(_) if depth >= DEPTH_MAX => Err(RevealError::TooDeep),
            Value::Object(map) => Ok(Value::Object(self.object(map, &path(), depth + 1)?)),
            Value::Array(list) => Ok(Value::Array(self.list(list, &path(), depth + 1)?)),
            plain => Ok(plain.clone()),
        }
    }

    fn list(
        &mut self,
        list: &[Value],
        path: &str,
        depth: usize,
    ) -> Result<Vec<Value>, RevealError> {
        let mut whole = Vec::with_capacity(list.len());
        for (at, item) in list.iter().enumerate() {
            let place = || format!("{path}[{at}]");
            match hidden_item(item) {
                None => whole.push(self.value(item, place, depth)?),
                Some(digest) => {
                    let Some((n, disclosure)) = self.open(digest)? else { continue };
                    if disclosure.name().is_some() {
                        return Err(RevealError::Kind(n));
                    }
                    whole.push(self.value(disclosure.value(), place, depth)?);
                    self.places[n] = Some(place());
                }
            }
        }
        Ok(whole)
    }

    /// The disclosure that opens this digest, if one does.
    fn open(&mut self, digest: &Value) -> Result<Option<(usize, &'a Disclosure)>, RevealError> {
        let digest = digest.as_str().ok_or(RevealError::Form(SdError::NotADigest))?;
        check_digest(digest).map_err(RevealError::Form)?;
        if !self.seen.insert(digest.to_owned()) {
            return Err(RevealError::DigestTwice(digest.to_owned()));
        }
        let found = self.by_digest.get(digest).map(|n| (*n, &self.disclosures[*n]));
        self.withheld += usize::from(found.is_none());
        Ok(found)
    }
}

/// The digest of an item that stands as `{"...": digest}`.
fn hidden_item(item: &Value) -> Option<&Value> {
    item.as_object().filter(|map| map.len() == 1).and_then(|map| map.get(ITEM))
}

/// How a place is named to people: dots between names, control characters escaped.
fn member(path: &str, name: &str) -> String {
    let mut place = path.to_owned();
    if !place.is_empty() {
        place.push('.');
    }
    for letter in name.chars() {
        match letter.is_control() {
            true => place.extend(letter.escape_default()),
            false => place.push(letter),
        }
    }
    place
}

/// All digests that stand in a document, in the order of its members.
pub fn digests(document: &Map<String, Value>) -> Vec<String> {
    let mut found = Vec::new();
    collect_members(document, &mut found, 1);
    found
}

fn collect_members(map: &Map<String, Value>, found: &mut Vec<String>, depth: usize) {
    for (name, value) in map {
        match value {
            Value::Array(list) if name == SD => {
                found.extend(list.iter().filter_map(Value::as_str).map(str::to_owned));
            }
            _ => collect(value, found, depth),
        }
    }
}

fn collect(value: &Value, found: &mut Vec<String>, depth: usize) {
    // What nests deeper is refused wherever it is read; the walk only must not run away.
    if depth > DEPTH_MAX {
        return;
    }
    match value {
        Value::Object(map) => collect_members(map, found, depth + 1),
        Value::Array(list) => {
            for item in list {
                match hidden_item(item).and_then(Value::as_str) {
                    Some(digest) => found.push(digest.to_owned()),
                    None => collect(item, found, depth + 1),
                }
            }
        }
        _ => {}
    }
}
