//! The public face of one operation, declared once.
//!
//! Command line, HTTP, MCP, receipt types, query filters and the reference page all read this table;
//! nothing about an operation's fields is written a second time anywhere.

/// One operation or report as the world sees it.
#[derive(Debug)]
pub struct Spec {
    /// Word on the command line and in `op` after the engine's name: `transfer`, `account-open`.
    pub verb: &'static str,
    /// One line of what it does, in the imperative.
    pub about: &'static str,
    /// Row of the policy that the Gate asks about: `treasury.transfer`.
    pub needs: &'static str,
    /// Receipt types this operation can leave. Empty for a report.
    pub types: &'static [&'static str],
    /// Fields of the intent and of the receipts' bodies.
    pub fields: &'static [Field],
    /// A whole intent as JSON, used by help, documentation and the laws.
    pub example: &'static str,
}

/// Whether a field must be given, may be given, or is worked out by the engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// Must stand in the intent.
    Required,
    /// May stand in the intent; absent means absent, no default is filled in.
    Optional,
    /// Never stands in the intent; the engine writes it into the body.
    Computed,
}

/// One declared field.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    /// Name in JSON, snake_case; `--kebab-case` on the command line.
    pub name: &'static str,
    /// What values it takes, with unit and limit.
    pub kind: Kind,
    /// One line for help and reference.
    pub about: &'static str,
    /// Required, optional or computed.
    pub presence: Presence,
    /// May be filtered by in queries.
    pub filter: bool,
    /// Kept out of the body; only a salted digest stands in `_sd`.
    pub private: bool,
    /// Never kept anywhere: not in the receipt, the intent digest, a log or an error.
    pub secret: bool,
    /// Not kept in the body although public: it only steers the decision.
    pub steering: bool,
    /// A list of texts each of which is private: an item stands in the body as `{"...": digest}` (RFC 9901 s4.2.4.2).
    pub private_items: bool,
}

/// What values a field takes. Each kind carries its own limit.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// UTF-8 text of at most this many bytes, without control characters.
    Text(usize),
    /// A name used as a key: at most this many bytes, no white space at the ends, no control characters.
    Name(usize),
    /// An integer between two bounds; the unit stands in the field's name.
    Integer(i64, i64),
    /// A decimal number as a string: optional `-`, digits, optional `.` and at most this many decimals.
    Decimal(u8),
    /// RFC 3339 time; kept in UTC with milliseconds.
    Time,
    /// `true` or `false`.
    Bool,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// At most so many short texts of at most so many bytes.
    TextList(usize, usize),
    /// At most so many objects, each with these fields.
    List(usize, &'static [Field]),
    /// The text of a whole file of at most this many bytes, line ends and tabs included.
    Document(usize),
    /// At most so many such texts of at most so many bytes each.
    Documents(usize, usize),
}

impl Field {
    /// A required, public field.
    pub const fn new(name: &'static str, kind: Kind, about: &'static str) -> Self {
        Self {
            name,
            kind,
            about,
            presence: Presence::Required,
            filter: false,
            private: false,
            secret: false,
            steering: false,
            private_items: false,
        }
    }

    /// May be left out of the intent.
    pub const fn optional(mut self) -> Self {
        self.presence = Presence::Optional;
        self
    }

    /// Written by the engine, refused in the intent.
    pub const fn computed(mut self) -> Self {
        self.presence = Presence::Computed;
        self
    }

    /// Can be filtered by in queries.
    pub const fn filter(mut self) -> Self {
        self.filter = true;
        self
    }

    /// Stands in the receipt as a salted digest only.
    pub const fn private(mut self) -> Self {
        self.private = true;
        self
    }

    /// Each item of this list of texts stands in the receipt as a salted digest only.
    pub const fn private_items(mut self) -> Self {
        self.private_items = true;
        self
    }

    /// Stands nowhere.
    pub const fn secret(mut self) -> Self {
        self.secret = true;
        self
    }

    /// Stands in the intent but not in the body.
    pub const fn steering(mut self) -> Self {
        self.steering = true;
        self
    }

    /// The field's flag on the command line, without the dashes.
    pub fn flag(&self) -> String {
        self.name.replace('_', "-")
    }

    /// Whether the field may stand in an intent.
    pub fn is_input(&self) -> bool {
        self.presence != Presence::Computed
    }

    /// Whether its value, or any item of it, is private.
    pub fn hides(&self) -> bool {
        self.private || self.private_items
    }

    /// Whether the field may stand, readable, in a receipt's body.
    pub fn is_kept(&self) -> bool {
        !self.hides() && !self.secret && !self.steering
    }
}

impl Kind {
    /// A short word for help and schemas: `text`, `decimal`, `time`.
    pub fn word(&self) -> &'static str {
        match self {
            Kind::Text(_) => "text",
            Kind::Name(_) => "name",
            Kind::Integer(..) => "integer",
            Kind::Decimal(_) => "decimal",
            Kind::Time => "time",
            Kind::Bool => "bool",
            Kind::Choice(_) => "choice",
            Kind::TextList(..) => "text list",
            Kind::List(..) => "list",
            Kind::Document(_) => "document",
            Kind::Documents(..) => "documents",
        }
    }
}

impl Spec {
    /// Fields of a receipt's body of which only a digest in `_sd` stands there: one digest for each, given or not.
    pub fn private_in_body(&self) -> impl Iterator<Item = &'static Field> + use<> {
        self.fields.iter().filter(|f| f.private && !f.secret && !f.steering)
    }

    /// Whether any value of an intent or a body of this operation is private.
    pub fn hides_anything(&self) -> bool {
        hide_anything(self.fields)
    }

    /// The declared field of this name.
    pub fn field(&self, name: &str) -> Option<&'static Field> {
        self.fields.iter().find(|f| f.name == name)
    }
}

fn hide_anything(fields: &[Field]) -> bool {
    fields.iter().any(|field| match field.kind {
        Kind::List(_, inner) => field.hides() || hide_anything(inner),
        _ => field.hides(),
    })
}
