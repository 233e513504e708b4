//! Secrets in text: found by the shapes of known tokens, by the names they are assigned to, and by entropy.
//!
//! One pass of an automaton finds every literal that can begin or name a secret; a small function then looks at what
//! stands around it. A second pass looks for long tokens of mixed characters that no shape covers. Both take time
//! linear in the text, and nothing is compiled that a short-lived process would have to wait for.
//!
//! Where in doubt a name (`password=`) counts more than a look: text that is hidden without need is a nuisance, a
//! secret that stays is a leak. Digests, identifiers, paths and DIDs are long too, and are left alone.

mod entropy;
mod named;
mod shapes;

use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};
use std::borrow::Cow;
use std::sync::{LazyLock, OnceLock};

/// A secret in a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    /// What it looks like: `github_token`, `assigned`.
    pub kind: &'static str,
    /// First byte of the secret itself, without its name.
    pub start: usize,
    /// One past the last byte.
    pub end: usize,
}

/// Looks at what follows a literal, of which it is told where it begins and ends: first and last byte of the secret.
type Look = fn(&[u8], usize, usize) -> Option<(usize, usize)>;

/// What to do where a literal was found.
#[derive(Clone, Copy)]
enum Rule {
    /// The literal begins a token of a known shape.
    Shape(shapes::Shape),
    /// The literal is the name, or the end of the name, of something secret.
    Name(named::Strength),
    /// The literal stands before a value in a way of its own.
    Before(Look),
}

/// A literal, what it leads to is called, and the rule for it.
type Mark = (&'static str, &'static str, Rule);

static MARKS: LazyLock<Vec<Mark>> =
    LazyLock::new(|| shapes::MARKS.iter().chain(named::MARKS).copied().collect());

/// Texts up to this length are looked through without the faster automaton, unless it is there already: to make it
/// takes most of a millisecond, which a process that looks at one command would spend for nothing.
const SHORT: usize = 16 << 10;

fn literals(length: usize) -> &'static AhoCorasick {
    static QUICK: OnceLock<AhoCorasick> = OnceLock::new();
    static SMALL: OnceLock<AhoCorasick> = OnceLock::new();
    match QUICK.get() {
        Some(quick) => quick,
        None if length > SHORT => QUICK.get_or_init(|| automaton(AhoCorasickKind::DFA)),
        None => SMALL.get_or_init(|| automaton(AhoCorasickKind::NoncontiguousNFA)),
    }
}

fn automaton(kind: AhoCorasickKind) -> AhoCorasick {
    AhoCorasick::builder()
        .ascii_case_insensitive(true)
        .match_kind(MatchKind::Standard)
        .kind(Some(kind))
        .build(MARKS.iter().map(|mark| mark.0))
        .expect("a few short literals make an automaton")
}

/// Counts bytes that are looked at, so that a test can say how much work a text makes.
#[cfg(test)]
fn spend(bytes: usize) {
    SPENT.set(SPENT.get() + bytes as u64);
}

#[cfg(test)]
thread_local! {
    static SPENT: std::cell::Cell<u64> = const { std::cell::Cell::new(0) };
}

#[cfg(not(test))]
#[inline]
fn spend(_bytes: usize) {}

/// Every secret in a text, in order, none overlapping another.
pub fn scan(text: &str) -> Vec<Found> {
    let mut all = Vec::new();
    each(text.as_bytes(), &mut |found| {
        all.push(found);
        true
    });
    merged(all)
}

/// The text with each secret replaced by `[redacted:kind]`.
pub fn redact(text: &str) -> Cow<'_, str> {
    let found = scan(text);
    if found.is_empty() {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut from = 0;
    for Found { kind, start, end } in found {
        out.push_str(&text[from..start]);
        out.push_str("[redacted:");
        out.push_str(kind);
        out.push(']');
        from = end;
    }
    out.push_str(&text[from..]);
    Cow::Owned(out)
}

/// Whether any secret is found in these bytes, which need not be text.
pub fn holds_secret(bytes: &[u8]) -> bool {
    let mut any = false;
    each(bytes, &mut |_| {
        any = true;
        false
    });
    any
}

/// Visits what is found until `visit` returns false; findings may overlap.
fn each(bytes: &[u8], visit: &mut dyn FnMut(Found) -> bool) {
    // How far each literal was followed: the same one inside of that would only find a part of the same, or nothing.
    let mut followed = vec![0; MARKS.len()];
    // The end of a value that was too long to be looked at; it is hidden whole, with what stands in it.
    let mut past = 0;
    // An inner secret (a token in an address) is found by its own literal too, so overlapping matches are looked at.
    for at in literals(bytes.len()).find_overlapping_iter(bytes) {
        let which = at.pattern().as_usize();
        let (literal, kind, rule) = MARKS[which];
        let (start, end) = (at.start(), at.end());
        if end <= followed[which] || start < past {
            continue;
        }
        let found = match rule {
            Rule::Shape(shape) => {
                let seen = shapes::look(bytes, start, literal, shape);
                followed[which] = seen.to;
                seen.found
            }
            Rule::Name(strength) => named::look(bytes, start, end, strength),
            Rule::Before(look) => look(bytes, start, end),
        };
        if let Some((from, to)) = found
            && !matches!(rule, Rule::Shape(_))
            && to - from > named::VALUE_MAX
        {
            past = to;
        }
        if let Some((start, end)) = found
            && !visit(Found { kind, start, end })
        {
            return;
        }
    }
    entropy::each(bytes, &mut |start, end| visit(Found { kind: "entropy", start, end }));
}

/// Overlapping findings as one, named after the one that begins first.
fn merged(mut all: Vec<Found>) -> Vec<Found> {
    all.sort_by_key(|f| (f.start, usize::MAX - f.end));
    let mut out: Vec<Found> = Vec::with_capacity(all.len());
    for found in all {
        match out.last_mut() {
            Some(last) if found.start < last.end => last.end = last.end.max(found.end),
            _ => out.push(found),
        }
    }
    out
}

/// Names of files that hold secrets, whole.
const STORES: &[&str] =
    &[".netrc", "_netrc", ".npmrc", ".pypirc", ".pgpass", ".git-credentials", ".htpasswd"];
/// How the names of such files begin.
const STORE_STARTS: &[&str] =
    &[".env", "id_rsa", "id_ed25519", "id_ecdsa", "id_dsa", "credentials"];
/// How the names of such files end.
const STORE_ENDS: &[&str] =
    &[".env", ".pem", ".key", ".p12", ".pfx", ".kdbx", ".jks", ".keystore", ".ppk"];

/// Whether a file of this name is one that keeps secrets, whatever is in it.
pub fn is_secret_store(path: &str) -> bool {
    let name = path.rsplit(['/', '\\']).next().unwrap_or(path).to_ascii_lowercase();
    // What is public, and what only shows which names a real file has.
    let shown = [".pub", ".example", ".sample", ".template", ".dist"];
    if shown.iter().any(|end| name.ends_with(end)) {
        return false;
    }
    STORES.contains(&name.as_str())
        || STORE_STARTS.iter().any(|start| {
            name.strip_prefix(start).is_some_and(|rest| {
                // `.envrc` and `.env.local` are stores, `.environment-docs` is none; `credentials` may end anyhow.
                rest.is_empty()
                    || *start != ".env"
                    || rest == "rc"
                    || rest.starts_with(['.', '-', '_'])
            })
        })
        || STORE_ENDS.iter().any(|end| name.ends_with(end))
}

#[cfg(test)]
mod tests;
