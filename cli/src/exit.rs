//! The one place that maps what went wrong to exit code, HTTP status and JSON.

use crate::suggest::nearest;
use crate::table::shown;
use serde_json::{Value, json};
use std::io;
use vm_contracts::{Corrupt, Failure, Fault, Lost, Refusal, RefusalKind};
use vm_scrolls::query::{QueryError, QueryErrorKind};
use vm_scrolls::trust::TrustError;

/// Everything went as asked.
pub const OK: u8 = 0;

/// How a kind of failure shows on each surface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Surface {
    /// Word in JSON.
    pub kind: &'static str,
    /// Exit code of the process.
    pub exit: u8,
    /// HTTP status.
    pub http: u16,
}

/// Exit code and HTTP status of a failure.
pub fn surface(failure: &Failure) -> Surface {
    let refusal = |exit, http| Surface { kind: "refusal", exit, http };
    match failure {
        Failure::Refusal(r) => match r.kind {
            RefusalKind::Malformed => refusal(2, 400),
            RefusalKind::NotAllowed => refusal(1, 403),
            RefusalKind::NotFound => refusal(1, 404),
            RefusalKind::Conflict => refusal(1, 409),
            RefusalKind::TooLarge => refusal(1, 413),
            RefusalKind::Invariant => refusal(1, 422),
            RefusalKind::Unavailable => refusal(1, 429),
        },
        Failure::Fault(_) => Surface { kind: "fault", exit: 4, http: 502 },
        Failure::Lost(_) => Surface { kind: "lost", exit: 5, http: 503 },
        Failure::Corrupt(_) => Surface { kind: "corrupt", exit: 6, http: 500 },
    }
}

/// A failure as JSON; the same keys for every kind, absent ones null.
pub fn to_json(failure: &Failure) -> Value {
    let field = match failure {
        Failure::Refusal(r) => r.field.clone(),
        _ => None,
    };
    let mut error = json!({
        "kind": surface(failure).kind,
        "code": failure.code(),
        "message": failure.to_string(),
        "hint": failure.hint(),
        "field": field,
        "retryable": failure.retryable(),
    });
    if let Failure::Corrupt(c) = failure {
        error["place"] = json!({"file": c.file, "line": c.line, "byte": c.byte, "claim": c.claim});
    }
    error
}

/// A failure that another process told as JSON. Of a refusal only the code says what kind it was.
pub fn of_json(error: &Value) -> Failure {
    let text = |name: &str| error[name].as_str().map(str::to_owned);
    let code = text("code").unwrap_or_else(|| "socket_failed".into());
    let message = text("message").unwrap_or_else(|| "the owner's answer does not read".into());
    match text("kind").as_deref() {
        Some("refusal") => {
            let kind = match code.as_str() {
                "not_the_owner" => RefusalKind::NotAllowed,
                "home_busy" | "no_space" => RefusalKind::Unavailable,
                _ => RefusalKind::Conflict,
            };
            let refusal = Refusal::new(code, kind, message);
            Refusal { hint: text("hint"), field: text("field"), ..refusal }.into()
        }
        Some("lost") => Lost { message }.into(),
        _ => Fault { hint: text("hint"), ..Fault::new(code, message) }.into(),
    }
}

/// A failure for a person: what, then what to do.
pub fn to_text(failure: &Failure) -> String {
    let Surface { kind, .. } = surface(failure);
    let mut text = format!("{kind}: {} [{}]\n", shown(&failure.to_string()), shown(failure.code()));
    if let Some(hint) = failure.hint() {
        text.push_str(&format!("hint: {}\n", shown(hint)));
    }
    text
}

/// Why a command stopped before its end.
#[derive(Debug)]
pub enum Stop {
    /// One of the four kinds.
    Failure(Failure),
    /// The command line itself; clap knows how to say it.
    Usage(Box<clap::Error>),
    /// Standard output could not be written.
    Output(io::Error),
    /// The home's owner carried the command out, and it ended with this exit code.
    Done(u8),
}

impl From<Failure> for Stop {
    fn from(e: Failure) -> Self {
        Stop::Failure(e)
    }
}
impl From<Refusal> for Stop {
    fn from(e: Refusal) -> Self {
        Stop::Failure(e.into())
    }
}
impl From<Fault> for Stop {
    fn from(e: Fault) -> Self {
        Stop::Failure(e.into())
    }
}
impl From<QueryError> for Stop {
    fn from(e: QueryError) -> Self {
        query(&e).into()
    }
}

/// Output that failed; not a blanket `From`, so that an error of the ledger is never taken for one.
pub fn output(e: io::Error) -> Stop {
    Stop::Output(e)
}

/// A query that was refused, with a guess where a name was misspelt.
pub fn query(e: &QueryError) -> Refusal {
    let mut refusal = Refusal::malformed(e.code(), e.to_string());
    refusal.hint = e.hint();
    if let QueryErrorKind::UnknownField { name, known } = &e.kind {
        refusal.field = Some(name.clone());
        let near = nearest(&name.replace('-', "_"), known.iter().map(String::as_str));
        let rest = refusal.hint.take().unwrap_or_default();
        refusal.hint =
            Some(near.map_or(rest.clone(), |near| format!("Did you mean {near}? {rest}")));
    }
    refusal
}

/// A trust file that was refused.
pub fn trust(e: &TrustError, file: &str) -> Refusal {
    let refusal = Refusal::malformed(e.code(), format!("{file}: {e}"));
    match e.hint() {
        Some(hint) => refusal.hint(hint),
        None => refusal,
    }
}

/// A file of the caller that could not be read.
pub fn unreadable(path: &str, e: &io::Error) -> Failure {
    match e.kind() {
        io::ErrorKind::NotFound => {
            Refusal::not_found("no_such_file", format!("there is no file {path}")).into()
        }
        io::ErrorKind::IsADirectory => {
            Refusal::not_found("no_such_file", format!("{path} is a directory, not a file")).into()
        }
        _ => Fault::new("read_failed", format!("cannot read {path}: {e}")).into(),
    }
}

/// A file of the caller that could not be written.
pub fn unwritable(path: &str, e: &io::Error) -> Failure {
    Fault::new("write_failed", format!("cannot write {path}: {e}")).into()
}

/// One failure of each row of the table, for the error pages and the tests.
pub fn samples() -> Vec<Failure> {
    let refusals = [
        RefusalKind::Malformed,
        RefusalKind::NotAllowed,
        RefusalKind::NotFound,
        RefusalKind::Conflict,
        RefusalKind::TooLarge,
        RefusalKind::Invariant,
        RefusalKind::Unavailable,
    ];
    let mut all: Vec<Failure> =
        refusals.iter().map(|k| Refusal::new("c", *k, "m").into()).collect();
    let corrupt =
        Corrupt { file: "f".into(), line: Some(1), byte: Some(2), claim: "c".into(), hint: None };
    all.extend([Fault::new("c", "m").into(), Lost { message: "m".into() }.into(), corrupt.into()]);
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_has_the_exit_code_and_status_of_the_house() {
        let rows: Vec<(u8, u16)> =
            samples().iter().map(surface).map(|s| (s.exit, s.http)).collect();
        let want = [
            (2, 400),
            (1, 403),
            (1, 404),
            (1, 409),
            (1, 413),
            (1, 422),
            (1, 429),
            (4, 502),
            (5, 503),
            (6, 500),
        ];
        assert_eq!(rows, want);
    }

    #[test]
    fn json_always_has_the_same_keys() {
        for failure in samples() {
            let json = to_json(&failure);
            for key in ["kind", "code", "message", "hint", "field", "retryable"] {
                assert!(json.get(key).is_some(), "{key} in {json}");
            }
        }
        assert_eq!(to_json(&samples()[9])["place"]["line"], 1);
    }

    #[test]
    fn a_hint_is_its_own_line() {
        let refusal =
            Refusal::malformed("missing_field", "transfer needs amount").hint("Give --amount.");
        let want = "refusal: transfer needs amount [missing_field]\nhint: Give --amount.\n";
        assert_eq!(to_text(&refusal.into()), want);
    }
}
