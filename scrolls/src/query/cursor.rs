//! Where a page ended: text that continues the query it came from, and no other.

use std::fmt;

use sha2::{Digest, Sha256};

use super::{Order, Query, QueryError, QueryErrorKind};

/// The end of a page. Opaque text, safe in a URL: `c1.a.<next seq>.<16 hex of the digest>`.
///
/// The digest binds it to scroll, order and filters (in any order); the limit may change between pages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor {
    order: Order,
    next_seq: u64,
    digest: [u8; 8],
}

impl Cursor {
    pub(super) fn new(scroll: &str, query: &Query, next_seq: u64) -> Self {
        Self { order: query.order, next_seq, digest: digest(scroll, query) }
    }

    /// The first seq that the next page may hold.
    #[must_use]
    pub fn next_seq(&self) -> u64 {
        self.next_seq
    }

    /// Refuses a cursor that came from another scroll, order or set of filters.
    pub fn check(&self, scroll: &str, query: &Query) -> Result<(), QueryError> {
        if self.order != query.order || self.digest != digest(scroll, query) {
            return Err(QueryError { byte: None, kind: QueryErrorKind::ForeignCursor });
        }
        Ok(())
    }

    /// Whether a line of this seq may still come.
    #[must_use]
    pub fn admits(&self, seq: u64) -> bool {
        match self.order {
            Order::Asc => seq >= self.next_seq,
            Order::Desc => seq <= self.next_seq,
        }
    }

    /// Parses the text that `to_string` prints, and nothing else.
    pub fn parse(text: &str) -> Result<Self, QueryError> {
        let cursor = Self::read(text).filter(|cursor| cursor.to_string() == text);
        cursor.ok_or(QueryError { byte: None, kind: QueryErrorKind::BadCursor })
    }

    fn read(text: &str) -> Option<Self> {
        let mut parts = text.split('.');
        let (version, order) = (parts.next()?, parts.next()?);
        let (next_seq, hex) = (parts.next()?, parts.next()?);
        let order = match (version, order) {
            ("c1", "a") => Order::Asc,
            ("c1", "d") => Order::Desc,
            _ => return None,
        };
        let digest = u64::from_str_radix(hex, 16).ok()?.to_be_bytes();
        let next_seq = next_seq.parse().ok()?;
        if parts.next().is_some() { None } else { Some(Self { order, next_seq, digest }) }
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let order = match self.order {
            Order::Asc => 'a',
            Order::Desc => 'd',
        };
        write!(f, "c1.{order}.{}.{:016x}", self.next_seq, u64::from_be_bytes(self.digest))
    }
}

/// First 8 bytes of SHA-256 over scroll, order and the sorted filters, each ended by a zero byte.
fn digest(scroll: &str, query: &Query) -> [u8; 8] {
    let mut filters: Vec<String> = query.filters.iter().map(ToString::to_string).collect();
    filters.sort_unstable();
    filters.dedup();
    let mut hasher = Sha256::new();
    for part in [scroll, query.order.as_str()].into_iter().chain(filters.iter().map(String::as_str))
    {
        hasher.update(part.as_bytes());
        hasher.update([0]);
    }
    let digest = hasher.finalize();
    *digest.first_chunk().expect("a SHA-256 digest has 32 bytes")
}
