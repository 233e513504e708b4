//! One file of the case as a proof names it.

use serde_json::{Map, Value, json};
use vm_receipts::bundle::{self, BundleError, Leaf};
use vm_receipts::case::{Artifact, is_case_path};
use vm_receipts::{Blake3, Sha256};

use super::{Members, ProofFileError};

/// Most hashes from a file to the bundle's root: a bundle has at most 2^16 files.
const BRANCH_MAX: usize = 16;

/// One file of the case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Path in the case folder.
    pub path: String,
    /// Length in bytes.
    pub size: u64,
    /// What the bundle's tree is over.
    pub digest: Blake3,
    /// What ARTIFACTS.sha256 says.
    pub sha256: Sha256,
    /// The way to the bundle's root, when not all files are named.
    pub branch: Option<Branch>,
    /// The exact text of the file, where it is carried along.
    pub content: Option<String>,
}

/// The place of a file in the bundle's tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Branch {
    /// Its index by the bytes of the paths.
    pub index: u64,
    /// How many files the bundle has.
    pub of: u64,
    /// The hashes to the root, nearest first.
    pub hashes: Vec<Blake3>,
}

impl Entry {
    /// A file in a proof that names all files of the case.
    #[must_use]
    pub fn of(file: &Artifact) -> Entry {
        let Artifact { path, size, blake3: digest, sha256 } = file.clone();
        Entry { path, size, digest, sha256, branch: None, content: None }
    }

    /// The file at `index` of all files of the case, which stand by the bytes of their paths, with its branch: for a
    /// proof that names some of them.
    ///
    /// # Errors
    /// An index outside, and whatever [`bundle::prove`] refuses.
    pub fn partial(files: &[Artifact], index: usize) -> Result<Entry, BundleError> {
        let file = files.get(index).ok_or(BundleError::Index)?;
        let leaves: Vec<Leaf> = files.iter().map(Artifact::leaf).collect();
        let hashes = bundle::prove(&leaves, index)?;
        let branch = Branch { index: index as u64, of: files.len() as u64, hashes };
        Ok(Entry { branch: Some(branch), ..Entry::of(file) })
    }

    /// The entry with the file's text.
    #[must_use]
    pub fn with_content(mut self, content: String) -> Entry {
        self.content = Some(content);
        self
    }

    /// The file's size and digests.
    #[must_use]
    pub fn artifact(&self) -> Artifact {
        let Entry { path, size, digest: blake3, sha256, .. } = self.clone();
        Artifact { path, size, blake3, sha256 }
    }

    /// Whether these are the bytes of the file.
    #[must_use]
    pub fn is(&self, bytes: &[u8]) -> bool {
        self.artifact() == Artifact::of(&self.path, bytes)
    }

    pub(super) fn leaf(&self) -> Leaf {
        Leaf { path: self.path.clone(), size: self.size, digest: self.digest }
    }

    pub(super) fn to_value(&self) -> Value {
        let mut value = Map::new();
        let mut put = |name: &str, member: Value| value.insert(name.to_owned(), member);
        put("path", json!(self.path));
        put("size", json!(self.size));
        put("digest", json!(self.digest.to_string()));
        put("sha256", json!(self.sha256.to_string()));
        if let Some(branch) = &self.branch {
            let hashes: Vec<String> = branch.hashes.iter().map(Blake3::to_string).collect();
            put("index", json!(branch.index));
            put("of", json!(branch.of));
            put("hashes", json!(hashes));
        }
        if let Some(content) = &self.content {
            put("content", json!(content));
        }
        Value::Object(value)
    }
}

/// Reads the member `bundle`: paths of a case, ascending; a branch with every file or with none, all of one bundle.
pub(super) fn from_values(values: Vec<Value>) -> Result<Vec<Entry>, ProofFileError> {
    let mut entries: Vec<Entry> = Vec::with_capacity(values.len());
    for (n, value) in values.into_iter().enumerate() {
        let pointer = format!("/bundle/{n}");
        let entry = from_value(value, &pointer)?;
        let fault = |name: &str, expected| {
            Err(ProofFileError::Member { pointer: format!("{pointer}/{name}"), expected })
        };
        if let Some(before) = entries.last() {
            if before.path.as_bytes() >= entry.path.as_bytes() {
                return fault("path", "after the path before it");
            }
            match (&before.branch, &entry.branch) {
                (None, None) => {}
                (Some(a), Some(b)) if a.of == b.of && a.index < b.index => {}
                _ => return fault("index", "after the one before it, in every file or in none"),
            }
        }
        entries.push(entry);
    }
    Ok(entries)
}

fn from_value(value: Value, pointer: &str) -> Result<Entry, ProofFileError> {
    let mut members = Members::of(value, pointer)?;
    let path = members.text("path")?;
    if !is_case_path(&path) {
        return Err(members.fault("path", "a path of a case"));
    }
    let size = members.take("size")?;
    let size = size.as_u64().ok_or(members.fault("size", "a length in bytes"))?;
    let digest = members.text("digest")?;
    let digest = digest.parse().map_err(|_| members.fault("digest", "a blake3 digest"))?;
    let sha256 = members.text("sha256")?;
    let sha256 = sha256.parse().map_err(|_| members.fault("sha256", "a sha256 digest"))?;
    let content = match members.map.contains_key("content") {
        true => Some(members.text("content")?),
        false => None,
    };
    let some = ["hashes", "index", "of"].iter().any(|name| members.map.contains_key(*name));
    let branch = if some { Some(branch(&mut members)?) } else { None };
    members.end()?;
    Ok(Entry { path, size, digest, sha256, branch, content })
}

fn branch(members: &mut Members) -> Result<Branch, ProofFileError> {
    let mut number = |name: &str| {
        let value = members.take(name)?;
        value.as_u64().ok_or(members.fault(name, "a number from 0"))
    };
    let (index, of) = (number("index")?, number("of")?);
    if index >= of || of > bundle::LEAVES_MAX as u64 {
        return Err(members.fault("of", "above index, at most 65536"));
    }
    let list = members.list("hashes", BRANCH_MAX, "at most 16 blake3 digests")?;
    let hashes = list.iter().map(|hash| hash.as_str()?.parse().ok()).collect();
    let hashes: Option<Vec<Blake3>> = hashes;
    let hashes = hashes.ok_or(members.fault("hashes", "at most 16 blake3 digests"))?;
    Ok(Branch { index, of, hashes })
}
