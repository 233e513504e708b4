//! signed-state: the highest size and root ever signed for each scroll.
//!
//! Two copies are kept, one in the home and one outside; the higher one wins, so a home put back to an older state
//! is noticed before it could sign a second root for a size it had signed already.

use crate::fs::{Fs, GUARD, replace};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::io;
use vm_contracts::{Corrupt, Failure, Fault};
use vm_receipts::json;
use vm_scrolls::base64;
use vm_scrolls::tree::Hash;

/// Name of the copy in the home.
pub const SIGNED_STATE: &str = "signed-state";

/// A size and the root signed for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signed {
    /// Number of leaves.
    pub size: u64,
    /// Root of the tree of that size.
    pub root: Hash,
}

/// The highest signed state of every origin this ledger has signed under.
///
/// An origin that was left behind by a restore stays: its name must never be signed under again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Guard {
    ledger: String,
    origins: BTreeMap<String, Signed>,
}

impl Guard {
    /// Nothing signed yet.
    pub fn new(ledger: &str) -> Self {
        Self { ledger: ledger.to_owned(), origins: BTreeMap::new() }
    }

    /// What was signed under an origin.
    pub fn get(&self, origin: &str) -> Option<Signed> {
        self.origins.get(origin).copied()
    }

    /// Origins with a signature.
    pub fn origins(&self) -> impl Iterator<Item = (&str, Signed)> {
        self.origins.iter().map(|(name, signed)| (name.as_str(), *signed))
    }

    /// Scrolls signed under this prefix, `<domain>/<node>/`.
    pub fn scrolls<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = (&'a str, Signed)> {
        self.origins()
            .filter_map(move |(origin, signed)| Some((origin.strip_prefix(prefix)?, signed)))
    }

    /// Takes in that a root is about to be signed; refuses a second root for a size, and going back.
    pub fn advance(&mut self, origin: &str, next: Signed) -> Result<(), Corrupt> {
        if let Some(now) = self.get(origin) {
            let same = now.size == next.size && now.root == next.root;
            if next.size < now.size || (next.size == now.size && !same) {
                return Err(Corrupt {
                    file: SIGNED_STATE.into(),
                    line: None,
                    byte: None,
                    claim: format!(
                        "{origin} was signed at size {} and must not be signed with another root at size {}",
                        now.size, next.size
                    ),
                    hint: None,
                });
            }
        }
        self.origins.insert(origin.to_owned(), next);
        Ok(())
    }

    /// The file's bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let origins: Map<String, Value> = self
            .origins
            .iter()
            .map(|(name, s)| {
                (name.clone(), json!({"root": base64::encode(s.root), "size": s.size}))
            })
            .collect();
        let all = json!({"ledger": self.ledger, "origins": origins, "v": 1});
        let mut bytes = json::canonical(&all).expect("sizes are below 2^53");
        bytes.push(b'\n');
        bytes
    }

    /// Reads the file's bytes; the message says what is wrong.
    pub fn parse(bytes: &[u8]) -> Result<Self, String> {
        let text = bytes.strip_suffix(b"\n").ok_or("it does not end in a line end")?;
        json::check_canonical(text).map_err(|e| e.to_string())?;
        let value = json::parse(text).map_err(|e| e.to_string())?;
        let ledger = value["ledger"].as_str().ok_or("it names no ledger")?.to_owned();
        let fields = value.as_object().map_or(0, Map::len);
        if value["v"] != 1 || fields != 3 {
            return Err("it is not signed-state version 1".into());
        }
        let mut origins = BTreeMap::new();
        for (name, signed) in value["origins"].as_object().ok_or("it names no origins")? {
            if signed.as_object().map_or(0, Map::len) != 2 {
                return Err(format!("{name} must have a size and a root, nothing else"));
            }
            let size = signed["size"].as_u64().ok_or_else(|| format!("{name} has no size"))?;
            let root = signed["root"].as_str().ok_or_else(|| format!("{name} has no root"))?;
            let root = base64::decode_hash(root).map_err(|e| format!("{name}: {e}"))?;
            origins.insert(name.clone(), Signed { size, root });
        }
        Ok(Self { ledger, origins })
    }

    /// Writes both copies, the one outside the home first: it is the one that must not lag. Refuses when that copy
    /// has gone further meanwhile: then another home signs under the same name.
    pub fn save(&self, fs: &dyn Fs) -> io::Result<()> {
        let outside = outside();
        match fs.read(&outside) {
            Ok(there) => self.refuse_if_overtaken(&there)?,
            Err(e) if e.kind() == io::ErrorKind::NotFound => {}
            Err(e) => return Err(e),
        }
        let bytes = self.to_bytes();
        replace(fs, &outside, &bytes)?;
        replace(fs, SIGNED_STATE, &bytes)
    }

    fn refuse_if_overtaken(&self, there: &[u8]) -> io::Result<()> {
        let there = Self::parse(there).map_err(io::Error::other)?;
        let ahead = there.origins().find(|(origin, theirs)| match self.get(origin) {
            Some(ours) => {
                ours.size < theirs.size || (ours.size == theirs.size && ours.root != theirs.root)
            }
            None => true,
        });
        match ahead {
            None if there.ledger == self.ledger => Ok(()),
            None => {
                Err(io::Error::other(format!("its second copy belongs to ledger {}", there.ledger)))
            }
            Some((origin, signed)) => Err(io::Error::other(format!(
                "another home has signed {origin} up to {}; two homes must not sign as one",
                signed.size
            ))),
        }
    }

    /// Whether both copies hold exactly this.
    pub fn is_saved(&self, fs: &dyn Fs) -> bool {
        let bytes = self.to_bytes();
        [SIGNED_STATE.to_owned(), outside()]
            .iter()
            .all(|path| fs.read(path).is_ok_and(|b| b == bytes))
    }

    /// Reads both copies. The higher entry of each origin wins; what was odd is told in `notes`.
    pub fn load(fs: &dyn Fs, ledger: &str, notes: &mut Vec<String>) -> Result<Self, Failure> {
        let home = read(fs, SIGNED_STATE, ledger)?;
        let away = read(fs, &outside(), ledger)?;
        match (home, away) {
            (Some(home), Some(away)) => home.merge(&away).map_err(Failure::from),
            (Some(one), None) => {
                notes.push("the second copy of signed-state is missing: until it is written again, nothing outside the home can tell that the home is not an older copy".into());
                Ok(one)
            }
            (None, Some(one)) => {
                notes.push("signed-state is missing in the home; its second copy is used".into());
                Ok(one)
            }
            (None, None) => Err(Failure::Corrupt(Corrupt {
                file: SIGNED_STATE.into(),
                line: None,
                byte: None,
                claim: "both copies of signed-state are gone, so nothing says how far this ledger had signed".into(),
                hint: Some("Restore the home from a backup with `vm restore`, or put signed-state back.".into()),
            })),
        }
    }

    fn merge(mut self, other: &Self) -> Result<Self, Corrupt> {
        for (name, theirs) in &other.origins {
            match self.get(name) {
                Some(ours) if ours.size > theirs.size => {}
                Some(ours) if ours.size == theirs.size && ours.root != theirs.root => {
                    return Err(Corrupt {
                        file: SIGNED_STATE.into(),
                        line: None,
                        byte: None,
                        claim: format!(
                            "the two copies of signed-state hold different roots for {name} at size {}",
                            ours.size
                        ),
                        hint: Some(
                            "One of them was edited, or two homes share one ledger id.".into(),
                        ),
                    });
                }
                _ => {
                    self.origins.insert(name.clone(), *theirs);
                }
            }
        }
        Ok(self)
    }
}

/// Path of the copy outside the home.
pub fn outside() -> String {
    format!("{GUARD}/{SIGNED_STATE}")
}

fn read(fs: &dyn Fs, path: &str, ledger: &str) -> Result<Option<Guard>, Failure> {
    let bytes = match fs.read(path) {
        Ok(bytes) => bytes,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(Fault::new("read_failed", format!("cannot read {path}: {e}")).into()),
    };
    let corrupt = |claim: String| {
        Failure::Corrupt(Corrupt {
            file: path.to_owned(),
            line: None,
            byte: None,
            claim,
            hint: Some(
                "Compare it with its other copy; the right one can be copied over the wrong one."
                    .into(),
            ),
        })
    };
    let guard =
        Guard::parse(&bytes).map_err(|e| corrupt(format!("signed-state does not read: {e}")))?;
    match guard.ledger == ledger {
        true => Ok(Some(guard)),
        false => Err(corrupt(format!("it belongs to ledger {}, not to {ledger}", guard.ledger))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_root_for_a_size_is_refused() {
        let mut guard = Guard::new("l");
        guard.advance("toy", Signed { size: 3, root: [1; 32] }).unwrap();
        guard.advance("toy", Signed { size: 3, root: [1; 32] }).unwrap();
        assert!(guard.advance("toy", Signed { size: 3, root: [2; 32] }).is_err());
        assert!(guard.advance("toy", Signed { size: 2, root: [1; 32] }).is_err());
        guard.advance("toy", Signed { size: 4, root: [2; 32] }).unwrap();
    }

    #[test]
    fn the_higher_copy_wins_and_a_contradiction_is_named() {
        let (mut a, mut b) = (Guard::new("l"), Guard::new("l"));
        a.advance("toy", Signed { size: 3, root: [1; 32] }).unwrap();
        b.advance("toy", Signed { size: 5, root: [2; 32] }).unwrap();
        assert_eq!(a.clone().merge(&b).unwrap().get("toy").unwrap().size, 5);
        assert_eq!(b.clone().merge(&a).unwrap().get("toy").unwrap().size, 5);
        let mut c = Guard::new("l");
        c.advance("toy", Signed { size: 3, root: [9; 32] }).unwrap();
        assert!(a.merge(&c).is_err());
    }

    #[test]
    fn a_second_home_that_signs_as_this_one_is_not_written_over() {
        let dir = tempfile::tempdir().unwrap();
        let disk = crate::fs::Disk::new(dir.path(), dir.path().join("g"));
        std::fs::create_dir(dir.path().join("g")).unwrap();
        let (mut ours, mut theirs) = (Guard::new("l"), Guard::new("l"));
        ours.advance("toy", Signed { size: 3, root: [1; 32] }).unwrap();
        theirs.advance("toy", Signed { size: 3, root: [2; 32] }).unwrap();
        theirs.save(&disk).unwrap();
        assert!(ours.save(&disk).is_err() && theirs.is_saved(&disk));
        theirs.advance("toy", Signed { size: 4, root: [2; 32] }).unwrap();
        theirs.save(&disk).unwrap();
    }

    #[test]
    fn what_is_written_reads_back_and_no_flipped_bit_does() {
        let mut guard = Guard::new("018f");
        guard.advance("toy", Signed { size: 3, root: [7; 32] }).unwrap();
        let bytes = guard.to_bytes();
        assert_eq!(Guard::parse(&bytes).unwrap(), guard);
        for i in 0..bytes.len() {
            for bit in 0..8 {
                let mut other = bytes.clone();
                other[i] ^= 1 << bit;
                assert_ne!(Guard::parse(&other).ok(), Some(guard.clone()));
            }
        }
    }
}
