//! The four kinds of error, by what happened to the world.
//!
//! - [`Refusal`]: nothing happened, because we will not do what was asked.
//! - [`Fault`]: the world failed part way; something may have happened.
//! - [`Lost`]: our own write was not confirmed; the caller retries with the same id.
//! - [`Corrupt`]: evidence does not read back; nothing is repaired in place.

use std::fmt;

/// Why a refusal was given; decides exit code and HTTP status in one place of the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefusalKind {
    /// The request itself is not well formed: unknown field, wrong type, over a limit.
    Malformed,
    /// The actor may not do this.
    NotAllowed,
    /// What the request names does not exist.
    NotFound,
    /// The request collides with what is already there.
    Conflict,
    /// The request is too large.
    TooLarge,
    /// An invariant of the domain would be broken.
    Invariant,
    /// Not now: read-only, shutting down, over capacity.
    Unavailable,
}

/// The caller asked for what we will not do. Nothing was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Stable code from the catalogue.
    pub code: String,
    /// Why, for surfaces.
    pub kind: RefusalKind,
    /// What was tried, on what.
    pub message: String,
    /// What the reader can do about it.
    pub hint: Option<String>,
    /// The field at fault, if one is.
    pub field: Option<String>,
}

impl Refusal {
    /// A refusal with code, kind and message.
    pub fn new(code: impl Into<String>, kind: RefusalKind, message: impl Into<String>) -> Self {
        Self { code: code.into(), kind, message: message.into(), hint: None, field: None }
    }

    /// A request that is not well formed.
    pub fn malformed(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(code, RefusalKind::Malformed, message)
    }

    /// An invariant that would be broken.
    pub fn invariant(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(code, RefusalKind::Invariant, message)
    }

    /// Something named that does not exist.
    pub fn not_found(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(code, RefusalKind::NotFound, message)
    }

    /// A collision with what is there.
    pub fn conflict(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(code, RefusalKind::Conflict, message)
    }

    /// Adds the next step for the reader.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Names the field at fault.
    pub fn field(mut self, field: impl Into<String>) -> Self {
        self.field = Some(field.into());
        self
    }
}

/// The world failed part way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Stable code from the catalogue.
    pub code: String,
    /// What was tried, on what, and how it failed.
    pub message: String,
    /// What the reader can do about it.
    pub hint: Option<String>,
    /// Whether the same call may succeed later.
    pub retryable: bool,
}

impl Fault {
    /// A fault with code and message; retryable unless said otherwise.
    pub fn new(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self { code: code.into(), message: message.into(), hint: None, retryable: true }
    }

    /// Adds the next step for the reader.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// Our own write was not confirmed. Whether it happened is decided at the next open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lost {
    /// What was being written, where, and how it failed.
    pub message: String,
}

/// Evidence does not read back. The place is named as closely as it is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Corrupt {
    /// Path of the file, relative to the home.
    pub file: String,
    /// Line number from 1, where the file has lines.
    pub line: Option<u64>,
    /// Byte offset from 0 in the file.
    pub byte: Option<u64>,
    /// The claim that does not hold.
    pub claim: String,
    /// What the reader can do about it.
    pub hint: Option<String>,
}

/// Any of the four.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// Nothing happened.
    Refusal(Refusal),
    /// Something may have happened.
    Fault(Fault),
    /// Unknown; retry with the same id.
    Lost(Lost),
    /// Evidence is bad.
    Corrupt(Corrupt),
}

impl Failure {
    /// Stable code from the catalogue.
    pub fn code(&self) -> &str {
        match self {
            Failure::Refusal(r) => &r.code,
            Failure::Fault(f) => &f.code,
            Failure::Lost(_) => "write_unconfirmed",
            Failure::Corrupt(_) => "corrupt",
        }
    }

    /// Whether the same call may be sent again as it is.
    pub fn retryable(&self) -> bool {
        match self {
            Failure::Refusal(r) => r.kind == RefusalKind::Unavailable,
            Failure::Fault(f) => f.retryable,
            Failure::Lost(_) => true,
            Failure::Corrupt(_) => false,
        }
    }

    /// What the reader can do about it.
    pub fn hint(&self) -> Option<&str> {
        match self {
            Failure::Refusal(r) => r.hint.as_deref(),
            Failure::Fault(f) => f.hint.as_deref(),
            Failure::Lost(_) => Some(
                "Run the same command again with the same --id; it is answered from the receipt if the write took.",
            ),
            Failure::Corrupt(c) => c.hint.as_deref(),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl fmt::Display for Corrupt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if let Some(line) = self.line {
            write!(f, ", line {line}")?;
        }
        if let Some(byte) = self.byte {
            write!(f, ", byte {byte}")?;
        }
        write!(f, ": {}", self.claim)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Refusal(e) => e.fmt(f),
            Failure::Fault(e) => e.fmt(f),
            Failure::Lost(e) => e.fmt(f),
            Failure::Corrupt(e) => e.fmt(f),
        }
    }
}

impl std::error::Error for Refusal {}
impl std::error::Error for Fault {}
impl std::error::Error for Lost {}
impl std::error::Error for Corrupt {}
impl std::error::Error for Failure {}

impl From<Refusal> for Failure {
    fn from(e: Refusal) -> Self {
        Failure::Refusal(e)
    }
}
impl From<Fault> for Failure {
    fn from(e: Fault) -> Self {
        Failure::Fault(e)
    }
}
impl From<Lost> for Failure {
    fn from(e: Lost) -> Self {
        Failure::Lost(e)
    }
}
impl From<Corrupt> for Failure {
    fn from(e: Corrupt) -> Self {
        Failure::Corrupt(e)
    }
}
