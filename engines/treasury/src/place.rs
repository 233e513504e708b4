//! Where in a file something stands, and why a file is refused.

use std::fmt;

/// A place in a text file. Both numbers count from 1; the column counts characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// Line number.
    pub line: u32,
    /// Character within the line.
    pub column: u32,
}

impl Place {
    /// The start of a line.
    pub fn line(line: u32) -> Self {
        Place { line, column: 1 }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}", self.line, self.column)
    }
}

/// Why a text could not be taken over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImportError {
    /// Where.
    pub place: Place,
    /// What is wrong.
    pub cause: Cause,
    /// What was tried, on what, and what was expected there.
    pub message: String,
}

/// The kinds of reasons, each with a stable code and a hint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The file is larger than the limit.
    FileTooLarge,
    /// A line is longer than the limit.
    LineTooLong,
    /// More parts than the limit allows.
    TooMany,
    /// Bytes that are not UTF-8.
    NotUtf8,
    /// The line does not follow the grammar.
    Syntax,
    /// A word at the start of a line that is not known here.
    UnknownDirective,
    /// A known construct that would change results and is not computed here.
    Unsupported,
    /// Another file is asked for.
    Include,
    /// A date that does not exist.
    Date,
    /// A number that can be read in two ways.
    AmbiguousNumber,
    /// A number that does not fit.
    Amount,
    /// A lot or cost that cannot be kept with its meaning.
    CostBasis,
    /// Postings do not add up.
    Unbalanced,
    /// Too many postings without an amount.
    TwoElided,
    /// A balance assertion does not hold.
    AssertionFailed,
    /// An account is used that was never opened.
    UnknownAccount,
    /// An account is used before it is opened or after it is closed.
    InactiveAccount,
    /// An account is opened twice.
    DuplicateOpen,
    /// A commodity that the account was not opened for.
    CommodityNotAllowed,
    /// A reduction for which no or not enough lots are held.
    NotEnoughLots,
    /// A reduction that fits several lots.
    AmbiguousLot,
    /// A pad that no balance uses.
    UnusedPad,
    /// A block or string that is never closed.
    NotClosed,
    /// Two names that would be the same in the written format.
    NameCollision,
}

impl Cause {
    /// Stable code.
    pub fn code(self) -> &'static str {
        match self {
            Cause::FileTooLarge => "file_too_large",
            Cause::LineTooLong => "line_too_long",
            Cause::TooMany => "too_many",
            Cause::NotUtf8 => "not_utf8",
            Cause::Syntax => "syntax",
            Cause::UnknownDirective => "directive_unknown",
            Cause::Unsupported => "construct_unsupported",
            Cause::Include => "include_refused",
            Cause::Date => "date_invalid",
            Cause::AmbiguousNumber => "number_ambiguous",
            Cause::Amount => "amount_invalid",
            Cause::CostBasis => "cost_basis_unsupported",
            Cause::Unbalanced => "transaction_unbalanced",
            Cause::TwoElided => "amounts_elided",
            Cause::AssertionFailed => "balance_assertion_failed",
            Cause::UnknownAccount => "account_unknown",
            Cause::InactiveAccount => "account_inactive",
            Cause::DuplicateOpen => "account_opened_twice",
            Cause::CommodityNotAllowed => "commodity_not_allowed",
            Cause::NotEnoughLots => "lots_not_enough",
            Cause::AmbiguousLot => "lots_ambiguous",
            Cause::UnusedPad => "pad_unused",
            Cause::NotClosed => "block_not_closed",
            Cause::NameCollision => "name_collision",
        }
    }

    /// What the reader can do.
    pub fn hint(self) -> &'static str {
        match self {
            Cause::FileTooLarge => "Split the file by year; one file holds at most 64 MiB.",
            Cause::LineTooLong => "Break the line; one line holds at most 64 KiB.",
            Cause::TooMany => "Split the entry; the limits stand in docs/treasury.md.",
            Cause::NotUtf8 => "Save the file as UTF-8.",
            Cause::Syntax => "Compare the line with the grammar in docs/treasury.md.",
            Cause::UnknownDirective => "Remove the line, or write it as a comment.",
            Cause::Unsupported => {
                "Let the original tool print the result (hledger print, ledger print) and import that."
            }
            Cause::Include => {
                "Import one file at a time, in order, or hand in what `hledger print` writes."
            }
            Cause::Date => "Write dates as 2025-01-31.",
            Cause::AmbiguousNumber => {
                "Say which it is: put `decimal-mark .` or `decimal-mark ,` at the top of the file."
            }
            Cause::Amount => "Write amounts with at most 18 decimal places.",
            Cause::CostBasis => "Write the cost per unit, such as {80.00 USD}.",
            Cause::Unbalanced => "Make the postings add up to zero, or leave one amount out.",
            Cause::TwoElided => "Leave out at most one amount per transaction.",
            Cause::AssertionFailed => "Look for a missing or doubled entry before this line.",
            Cause::UnknownAccount => "Add an open directive for the account.",
            Cause::InactiveAccount => "Correct the date, or the dates of open and close.",
            Cause::DuplicateOpen => "Keep one open directive.",
            Cause::CommodityNotAllowed => {
                "Add the commodity to the open directive, or use another account."
            }
            Cause::NotEnoughLots => "Correct the quantity or the cost of the lot.",
            Cause::AmbiguousLot => "Name the lot by its cost or date.",
            Cause::UnusedPad => "Remove the pad, or add the balance it should serve.",
            Cause::NotClosed => "Close it before the end of the file.",
            Cause::NameCollision => "Rename one of the two accounts or assets.",
        }
    }
}

impl ImportError {
    /// A refusal at a place.
    pub fn new(place: Place, cause: Cause, message: impl Into<String>) -> Self {
        ImportError { place, cause, message: message.into() }
    }

    /// Stable code.
    pub fn code(&self) -> &'static str {
        self.cause.code()
    }

    /// What the reader can do.
    pub fn hint(&self) -> &'static str {
        self.cause.hint()
    }
}

impl fmt::Display for ImportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.message)
    }
}

impl std::error::Error for ImportError {}
