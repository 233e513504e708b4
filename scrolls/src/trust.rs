//! The trust file: which issuers, logs and witnesses a verifier believes.
//!
//! A line is `issuer did:key:…`, a bare `did:key:…`, a bare vkey, or a line of a C2SP tlog-policy
//! (`log`, `witness`, `group`, `quorum`). The policy's structure is kept; its quorum is not evaluated
//! here yet, and a verifier must say so rather than pass.

use std::collections::BTreeSet;
use std::fmt;

use vm_receipts::key::PublicKey;

use crate::note::{AnyVkey, NoteError, TYPE_COSIGNATURE, TYPE_ML_DSA_44, Vkey};

/// Longest trust file that is read, in bytes.
pub const TRUST_BYTES_MAX: usize = 1_000_000;
/// Most issuers, logs, witnesses or groups, each; C2SP asks for at least 32.
pub const TRUST_ENTRIES_MAX: usize = 1_024;

/// A witness of the policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Witness {
    /// Its name inside the policy.
    pub name: String,
    /// Its cosignature key.
    pub vkey: AnyVkey,
    /// Where it can be reached.
    pub url: Option<String>,
}

/// A group of witnesses or groups.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// Its name inside the policy.
    pub name: String,
    /// How many members must have cosigned, 1 to the number of members.
    pub threshold: usize,
    /// Names of witnesses or earlier groups.
    pub members: Vec<String>,
}

/// What the policy asks of witnesses.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Quorum {
    /// The file has no quorum line, so it names no witnesses either.
    #[default]
    Unstated,
    /// `quorum none`.
    None,
    /// This witness or group must have cosigned.
    Of(String),
}

/// What a verifier believes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Trust {
    /// Keys whose receipts are believed.
    pub issuers: Vec<PublicKey>,
    /// Keys whose checkpoints are believed, each for the origin that is its name.
    pub logs: Vec<Vkey>,
    /// Witnesses of the policy.
    pub witnesses: Vec<Witness>,
    /// Groups of the policy, in order of definition.
    pub groups: Vec<Group>,
    /// What the policy asks of witnesses.
    pub quorum: Quorum,
    /// Whether these keys come from the home that is being checked.
    pub self_asserted: bool,
}

/// Why a trust file was refused; every kind names its line, counted from 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustError {
    /// Line with the fault; 0 for the file as a whole.
    pub line: u64,
    /// What is wrong there.
    pub kind: TrustErrorKind,
}

/// The kinds of fault in a trust file.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum TrustErrorKind {
    /// The file is longer than 1,000,000 bytes.
    TooLong,
    /// A kind of entry stands more than 1,024 times.
    TooMany,
    /// A control character other than tab and line feed.
    ControlCharacter,
    /// The line starts with none of the words of the format.
    UnknownLine,
    /// The line has the wrong number of words.
    Words(&'static str),
    /// Not a usable `did:key`.
    Did(String),
    /// Not a usable vkey.
    Vkey(NoteError),
    /// A witness key must be a cosignature key.
    NotACosigner,
    /// The key stands in the file already.
    DuplicateKey,
    /// The name stands in the file already, or is `none`.
    DuplicateName(String),
    /// The name was not defined on an earlier line.
    UnknownName(String),
    /// The name is a member of a group already.
    DuplicateMember(String),
    /// The threshold is not `all`, `any` or a number from 1 to the number of members.
    Threshold,
    /// There is a second quorum line.
    SecondQuorum,
    /// Witnesses or groups are named, but no quorum.
    NoQuorum,
    /// The file names no key.
    Empty,
}

impl TrustError {
    /// Stable code of this error.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match &self.kind {
            TrustErrorKind::TooLong | TrustErrorKind::TooMany => "trust_too_large",
            TrustErrorKind::ControlCharacter => "trust_control_character",
            TrustErrorKind::UnknownLine | TrustErrorKind::Words(_) => "trust_malformed",
            TrustErrorKind::Did(_) => "trust_bad_did",
            TrustErrorKind::Vkey(e) => e.code(),
            TrustErrorKind::NotACosigner => "trust_not_a_cosigner",
            TrustErrorKind::DuplicateKey => "trust_duplicate_key",
            TrustErrorKind::DuplicateName(_) | TrustErrorKind::DuplicateMember(_) => {
                "trust_duplicate_name"
            }
            TrustErrorKind::UnknownName(_) => "trust_unknown_name",
            TrustErrorKind::Threshold => "trust_bad_threshold",
            TrustErrorKind::SecondQuorum | TrustErrorKind::NoQuorum => "trust_quorum",
            TrustErrorKind::Empty => "trust_empty",
        }
    }

    /// What the reader can do.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        match &self.kind {
            TrustErrorKind::UnknownLine => {
                Some("a line is a did:key, a vkey, issuer, log, witness, group or quorum")
            }
            TrustErrorKind::ControlCharacter => Some("save the file with LF line ends"),
            TrustErrorKind::NoQuorum => Some("add a quorum line, or \"quorum none\""),
            _ => None,
        }
    }
}

impl fmt::Display for TrustError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "trust file, line {}: ", self.line)?;
        match &self.kind {
            TrustErrorKind::TooLong => write!(f, "longer than {TRUST_BYTES_MAX} bytes"),
            TrustErrorKind::TooMany => write!(f, "more than {TRUST_ENTRIES_MAX} entries of a kind"),
            TrustErrorKind::ControlCharacter => write!(f, "a control character"),
            TrustErrorKind::UnknownLine => write!(f, "not a line of a trust file"),
            TrustErrorKind::Words(form) => write!(f, "expected {form}"),
            TrustErrorKind::Did(reason) => write!(f, "{reason}"),
            TrustErrorKind::Vkey(e) => write!(f, "{e}"),
            TrustErrorKind::NotACosigner => {
                write!(f, "a witness key has signature type 0x04 or 0x06")
            }
            TrustErrorKind::DuplicateKey => write!(f, "the key stands in the file already"),
            TrustErrorKind::DuplicateName(name) => write!(f, "the name {name:?} is taken"),
            TrustErrorKind::UnknownName(name) => write!(f, "{name:?} is not defined above"),
            TrustErrorKind::DuplicateMember(name) => {
                write!(f, "{name:?} is a member of a group already")
            }
            TrustErrorKind::Threshold => {
                write!(f, "the threshold is not all, any or 1 to the number of members")
            }
            TrustErrorKind::SecondQuorum => write!(f, "a second quorum line"),
            TrustErrorKind::NoQuorum => write!(f, "witnesses are named, but no quorum"),
            TrustErrorKind::Empty => write!(f, "no key is named"),
        }
    }
}

impl std::error::Error for TrustError {}

impl Trust {
    /// The keys a home names for itself.
    #[must_use]
    pub fn self_asserted(issuers: Vec<PublicKey>, logs: Vec<Vkey>) -> Self {
        Self { issuers, logs, self_asserted: true, ..Self::default() }
    }

    /// Parses a trust file.
    pub fn parse(text: &str) -> Result<Self, TrustError> {
        let whole = |kind| TrustError { line: 0, kind };
        if text.len() > TRUST_BYTES_MAX {
            return Err(whole(TrustErrorKind::TooLong));
        }
        let mut reader = Reader::default();
        for (line, number) in text.split('\n').zip(1..) {
            reader.line(line).map_err(|kind| TrustError { line: number, kind })?;
        }
        let trust = reader.trust;
        let named = !trust.witnesses.is_empty() || !trust.groups.is_empty();
        if named && trust.quorum == Quorum::Unstated {
            return Err(whole(TrustErrorKind::NoQuorum));
        }
        if trust.issuers.is_empty() && trust.logs.is_empty() && trust.witnesses.is_empty() {
            return Err(whole(TrustErrorKind::Empty));
        }
        Ok(trust)
    }

    /// Whether an issuer's receipts are believed.
    #[must_use]
    pub fn has_issuer(&self, key: &PublicKey) -> bool {
        self.issuers.contains(key)
    }

    /// Why the policy cannot be evaluated here, if it asks for cosignatures.
    #[must_use]
    pub fn unevaluated_quorum(&self) -> Option<String> {
        match &self.quorum {
            Quorum::Of(name) => Some(format!(
                "the trust policy asks for quorum {name:?}; cosignatures are not evaluated yet"
            )),
            Quorum::None | Quorum::Unstated => None,
        }
    }
}

/// Prints a file that parses back to the same trust (URLs of logs are not kept).
impl fmt::Display for Trust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.issuers.iter().try_for_each(|key| writeln!(f, "issuer {}", key.did()))?;
        self.logs.iter().try_for_each(|vkey| writeln!(f, "{vkey}"))?;
        for Witness { name, vkey, url } in &self.witnesses {
            write!(f, "witness {name} {vkey}")?;
            url.iter().try_for_each(|url| write!(f, " {url}"))?;
            writeln!(f)?;
        }
        for Group { name, threshold, members } in &self.groups {
            writeln!(f, "group {name} {threshold} {}", members.join(" "))?;
        }
        match &self.quorum {
            Quorum::Unstated => Ok(()),
            Quorum::None => writeln!(f, "quorum none"),
            Quorum::Of(name) => writeln!(f, "quorum {name}"),
        }
    }
}

/// State while reading: what is defined so far.
#[derive(Default)]
struct Reader {
    trust: Trust,
    log_lines: BTreeSet<[u8; 32]>,
    names: BTreeSet<String>,
    members: BTreeSet<String>,
}

impl Reader {
    fn line(&mut self, line: &str) -> Result<(), TrustErrorKind> {
        if line.bytes().any(|b| (b < 0x20 && b != b'\t') || b == 0x7f) {
            return Err(TrustErrorKind::ControlCharacter);
        }
        let words: Vec<&str> = line.split([' ', '\t']).filter(|word| !word.is_empty()).collect();
        match words.as_slice() {
            [] => Ok(()),
            [first, ..] if first.starts_with('#') => Ok(()),
            ["issuer", did] => self.issuer(did),
            ["issuer", ..] => Err(TrustErrorKind::Words("issuer did:key:…")),
            ["log", vkey] | ["log", vkey, _] => self.log(vkey, true),
            ["log", ..] => Err(TrustErrorKind::Words("log <vkey> [<url>]")),
            ["witness", name, vkey] => self.witness(name, vkey, None),
            ["witness", name, vkey, url] => self.witness(name, vkey, Some(url)),
            ["witness", ..] => Err(TrustErrorKind::Words("witness <name> <vkey> [<url>]")),
            ["group", name, threshold, members @ ..] if !members.is_empty() => {
                self.group(name, threshold, members)
            }
            ["group", ..] => Err(TrustErrorKind::Words("group <name> all|any|<k> <member>…")),
            ["quorum", name] => self.quorum(name),
            ["quorum", ..] => Err(TrustErrorKind::Words("quorum <name>|none")),
            [did] if did.starts_with("did:") => self.issuer(did),
            [vkey] if vkey.contains('+') => self.log(vkey, false),
            _ => Err(TrustErrorKind::UnknownLine),
        }
    }

    fn issuer(&mut self, did: &str) -> Result<(), TrustErrorKind> {
        let key = PublicKey::from_did(did).map_err(|e| TrustErrorKind::Did(e.to_string()))?;
        if self.trust.issuers.contains(&key) {
            return Err(TrustErrorKind::DuplicateKey);
        }
        push(&mut self.trust.issuers, key)
    }

    /// A log key. One house signs all its scrolls with one key under several names, so bare vkeys may
    /// share a key; `log` lines follow the C2SP policy and may not.
    fn log(&mut self, text: &str, policy: bool) -> Result<(), TrustErrorKind> {
        let vkey = Vkey::parse(text).map_err(TrustErrorKind::Vkey)?;
        let again = policy && !self.log_lines.insert(vkey.key.bytes());
        if again || self.trust.logs.contains(&vkey) {
            return Err(TrustErrorKind::DuplicateKey);
        }
        push(&mut self.trust.logs, vkey)
    }

    fn witness(&mut self, name: &str, text: &str, url: Option<&str>) -> Result<(), TrustErrorKind> {
        let vkey = AnyVkey::parse(text).map_err(TrustErrorKind::Vkey)?;
        if !matches!(vkey.kind, TYPE_COSIGNATURE | TYPE_ML_DSA_44) {
            return Err(TrustErrorKind::NotACosigner);
        }
        if self.trust.witnesses.iter().any(|w| w.vkey.bytes == vkey.bytes) {
            return Err(TrustErrorKind::DuplicateKey);
        }
        self.define(name)?;
        let url = url.map(str::to_owned);
        push(&mut self.trust.witnesses, Witness { name: name.to_owned(), vkey, url })
    }

    fn group(
        &mut self,
        name: &str,
        threshold: &str,
        members: &[&str],
    ) -> Result<(), TrustErrorKind> {
        for member in members {
            if !self.names.contains(*member) {
                return Err(TrustErrorKind::UnknownName((*member).to_owned()));
            }
            if !self.members.insert((*member).to_owned()) {
                return Err(TrustErrorKind::DuplicateMember((*member).to_owned()));
            }
        }
        let threshold = match threshold {
            "any" => 1,
            "all" => members.len(),
            k if k.bytes().all(|b| b.is_ascii_digit()) && !k.starts_with('0') => {
                k.parse().ok().filter(|k| *k <= members.len()).ok_or(TrustErrorKind::Threshold)?
            }
            _ => return Err(TrustErrorKind::Threshold),
        };
        self.define(name)?;
        let members = members.iter().map(|member| (*member).to_owned()).collect();
        push(&mut self.trust.groups, Group { name: name.to_owned(), threshold, members })
    }

    fn quorum(&mut self, name: &str) -> Result<(), TrustErrorKind> {
        if self.trust.quorum != Quorum::Unstated {
            return Err(TrustErrorKind::SecondQuorum);
        }
        self.trust.quorum = match name {
            "none" => Quorum::None,
            name if self.names.contains(name) => Quorum::Of(name.to_owned()),
            name => return Err(TrustErrorKind::UnknownName(name.to_owned())),
        };
        Ok(())
    }

    fn define(&mut self, name: &str) -> Result<(), TrustErrorKind> {
        if name == "none" || !self.names.insert(name.to_owned()) {
            return Err(TrustErrorKind::DuplicateName(name.to_owned()));
        }
        Ok(())
    }
}

fn push<T>(list: &mut Vec<T>, entry: T) -> Result<(), TrustErrorKind> {
    if list.len() == TRUST_ENTRIES_MAX {
        return Err(TrustErrorKind::TooMany);
    }
    list.push(entry);
    Ok(())
}
