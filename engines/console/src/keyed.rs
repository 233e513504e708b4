//! Names that say nothing to whoever lacks the key of the home.
//!
//! The fold sees no private value, and paths, arguments and foreign ids are private. What state needs of them stands in
//! receipts as a keyed digest: equal values are equal, and without the key nobody can test a guess.

use crate::secrets::{holds_secret, is_secret_store};
use std::borrow::Cow;

/// A key of the home.
pub type HomeKey = [u8; 32];

/// Longest id that is kept as it came, in bytes: that of calls.
pub const ID_BYTES_MAX: usize = 64;
/// What a keyed name begins with; 32 hex digits follow.
pub const KEYED: &str = "k:";
/// What the digest of content begins with; 64 hex digits follow.
pub const CONTENT: &str = "blake3:";
/// The same for content that holds a secret.
pub const CONTENT_KEYED: &str = "keyed:";

/// Id of a project: its main work tree's canonical path.
pub fn project_id(key: &HomeKey, root: &[u8]) -> String {
    format!("{KEYED}{}", short(key, "project", root))
}

/// Id of a file of a project, by its path as [`relative`] gives it.
pub fn file_id(key: &HomeKey, project_id: &str, path: &[u8]) -> String {
    format!("{KEYED}{}", short(key, "file", &[project_id.as_bytes(), &[0], path].concat()))
}

/// Digest of arguments or parameters.
pub fn args(key: &HomeKey, bytes: &[u8]) -> String {
    format!("{KEYED}{}", short(key, "args", bytes))
}

/// Id of a session: as it came where that is plain, otherwise keyed.
pub fn session_id(key: &HomeKey, raw: &str) -> String {
    plain_or_keyed(key, "session", "s-", raw)
}

/// Id of a call: as it came where that is plain, otherwise keyed.
pub fn call_id(key: &HomeKey, raw: &str) -> String {
    plain_or_keyed(key, "call", "c-", raw)
}

/// Id of the ledger's call that records a phase of a call of a session, so that recording it twice appends nothing.
pub fn receipt_id(key: &HomeKey, session: &str, call: &str, phase: &str) -> String {
    let parts = [session, call, phase].join("\0");
    format!("cs-{}", short(key, "receipt", parts.as_bytes()))
}

/// Id of the approval that an act needs: `args` is the keyed digest of what it is given, so this needs no key of its own.
pub fn approval_id(session: &str, rule: &str, args: &str) -> String {
    let parts = ["console/approval", session, rule, args].join("\0");
    format!("ap-{}", &blake3::hash(parts.as_bytes()).to_hex()[..32])
}

/// Digest of a file's content: open to everybody who has the content, unless it holds a secret. Then only this home
/// can match it, because a short secret could be found by guessing.
pub fn content(key: &HomeKey, path: &str, bytes: &[u8]) -> String {
    let [open, keyed] = forms(key, bytes);
    if is_secret_store(path) || holds_secret(bytes) { keyed } else { open }
}

/// The open digest of bytes that are told only as a private value: outputs, messages, tasks.
pub fn digest(bytes: &[u8]) -> String {
    format!("{CONTENT}{}", blake3::hash(bytes).to_hex())
}

/// Both forms of [`content`]: whoever compares a file with what was recorded does not know which one was written.
pub fn forms(key: &HomeKey, bytes: &[u8]) -> [String; 2] {
    let mut forms = Forms::new(key);
    forms.update(bytes);
    forms.finish()
}

/// [`forms`] of content that comes piece by piece.
#[derive(Debug)]
pub struct Forms {
    open: blake3::Hasher,
    keyed: blake3::Hasher,
}

impl Forms {
    /// Of nothing yet.
    pub fn new(key: &HomeKey) -> Self {
        Self { open: blake3::Hasher::new(), keyed: domain(key, "content") }
    }

    /// The next piece.
    pub fn update(&mut self, bytes: &[u8]) {
        self.open.update(bytes);
        self.keyed.update(bytes);
    }

    /// The open form, then the keyed one.
    pub fn finish(&self) -> [String; 2] {
        [
            format!("{CONTENT}{}", self.open.finalize().to_hex()),
            format!("{CONTENT_KEYED}{}", self.keyed.finalize().to_hex()),
        ]
    }
}

/// A path as files are named by: relative to `root` if it lies below it, absolute otherwise, without `.`, `..`, empty
/// parts and a slash at the end. Nothing on disk is asked, so symbolic links are not followed.
///
/// `None` for what names no file: a NUL byte, no part at all, or a relative path where `cwd` is not absolute.
pub fn relative(root: &[u8], cwd: &[u8], path: &[u8]) -> Option<Vec<u8>> {
    if path.is_empty() || path.contains(&0) || cwd.contains(&0) {
        return None;
    }
    let whole = match path.starts_with(b"/") {
        true => path.to_vec(),
        false if cwd.starts_with(b"/") => [cwd, b"/", path].concat(),
        false => return None,
    };
    let (parts, root_parts) = (resolved(&whole), resolved(root));
    let inside = root.starts_with(b"/") && parts.starts_with(&root_parts);
    let (rest, absolute) =
        if inside { (&parts[root_parts.len()..], false) } else { (&parts[..], true) };
    if rest.is_empty() {
        return None;
    }
    let joined = rest.join(&b'/');
    Some(if absolute { [b"/", &joined[..]].concat() } else { joined })
}

/// The parts of an absolute path; `..` at the top stays at the top.
fn resolved(path: &[u8]) -> Vec<&[u8]> {
    let mut parts = Vec::new();
    for part in path.split(|b| *b == b'/') {
        match part {
            b"" | b"." => {}
            b".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts
}

/// A path as text that is kept and shown: what is no plain character is written as an escape, so that two paths never
/// read the same and none hides what it is.
pub fn path_text(path: &[u8]) -> String {
    let mut text = String::with_capacity(path.len());
    for chunk in path.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '\\' => text.push_str("\\\\"),
                c if c.is_control() || is_direction(c) => text.extend(c.escape_unicode()),
                c => text.push(c),
            }
        }
        text.extend(chunk.invalid().iter().map(|b| format!("\\x{b:02x}")));
    }
    text
}

/// Characters that turn the direction of text or show nothing, so that a name looks like another one.
fn is_direction(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

/// Whether an id of a foreign record may stand in a receipt as it is.
pub fn is_plain_id(raw: &str) -> bool {
    let first = raw.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric());
    let fits = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
    first && raw.len() <= ID_BYTES_MAX && raw.bytes().all(fits)
}

/// Whether this is a keyed name.
pub fn is_keyed(text: &str) -> bool {
    text.strip_prefix(KEYED).is_some_and(|hex| is_hex(hex, 32))
}

/// Whether this is a digest of content, in either form.
pub fn is_content(text: &str) -> bool {
    let hex = text.strip_prefix(CONTENT).or_else(|| text.strip_prefix(CONTENT_KEYED));
    hex.is_some_and(|hex| is_hex(hex, 64))
}

/// Whether this is an open digest.
pub fn is_digest(text: &str) -> bool {
    text.strip_prefix(CONTENT).is_some_and(|hex| is_hex(hex, 64))
}

/// So many lower-case hex digits.
pub(crate) fn is_hex(text: &str, digits: usize) -> bool {
    text.len() == digits && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

/// Longest foreign id that is carried on as it came, in bytes.
pub const RAW_BYTES_MAX: usize = 1_024;

/// A foreign id as it is carried on until it is kept: a very long one by its digest. That is no plain id, so it is keyed
/// before it stands anywhere; to shorten it twice changes nothing.
pub fn short_raw(raw: &str) -> Cow<'_, str> {
    match raw.len() > RAW_BYTES_MAX {
        true => Cow::Owned(format!("long/{}", blake3::hash(raw.as_bytes()).to_hex())),
        false => Cow::Borrowed(raw),
    }
}

fn plain_or_keyed(key: &HomeKey, name: &str, start: &str, raw: &str) -> String {
    let raw = &*short_raw(raw);
    match is_plain_id(raw) && !holds_secret(raw.as_bytes()) {
        true => raw.to_owned(),
        false => format!("{start}{}", short(key, name, raw.as_bytes())),
    }
}

fn domain(key: &HomeKey, name: &str) -> blake3::Hasher {
    let mut hasher = blake3::Hasher::new_keyed(key);
    hasher.update(b"console/");
    hasher.update(name.as_bytes());
    hasher.update(&[0]);
    hasher
}

/// The first half of a keyed digest, in hex: 128 bits are more than chance ever meets.
fn short(key: &HomeKey, name: &str, bytes: &[u8]) -> String {
    let mut hasher = domain(key, name);
    hasher.update(bytes);
    hasher.finalize().to_hex()[..32].to_owned()
}
