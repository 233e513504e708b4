//! What commands and tool calls have in common: a call and its result pair, and what was carried out although the
//! policy denied it, or asked and nobody approved, leaves a receipt of its own.

use std::cmp::Ordering;

use serde_json::json;
use vm_contracts::{Asked, Draft, Map, Refusal, Spec, Value};

use super::{Given, VERDICTS, VIOLATION, open_session};
use crate::keyed;
use crate::state::State;

/// What was said of a call by the policy.
pub(crate) struct Said<'a> {
    /// Its verdict.
    pub verdict: Option<&'a str>,
    /// The rule it comes from.
    pub rule: Option<&'a str>,
}

/// Whether a grant for the call of a session stands at a moment.
fn is_granted(state: &State, session: &str, call: &str, at_ms: i64) -> bool {
    let grant = state.granted.get(&(session.to_owned(), call.to_owned()));
    grant.is_some_and(|grant| grant.expires_ms.is_none_or(|expires| at_ms <= expires))
}

/// Whether the same act by the same rule was approved in this session, and that still stands: then what asks is content.
fn is_approved_alike(state: &State, given: &Given, said: &Said<'_>, at_ms: i64) -> bool {
    let args = given.text("args_hash").or_else(|| given.text("params_hash"));
    let (Some("ask"), Some(rule), Some(args)) = (said.verdict, said.rule, args) else {
        return false;
    };
    let session = given.must("session_id");
    let id = keyed::approval_id(session, rule, args);
    let approval = state.approvals.get(&(session.to_owned(), id));
    approval.is_some_and(|approval| {
        approval.approved == Some(true)
            && approval.is_own()
            && approval.expires_ms.is_none_or(|expires| at_ms <= expires)
    })
}

/// The receipt about an act that was carried out against the policy, if it was.
pub(crate) fn violation(
    state: &State,
    given: &Given,
    said: &Said<'_>,
    what: &'static str,
    asked: Asked<'_>,
) -> Option<Draft> {
    let (session, call) = (given.must("session_id"), given.text("call_id"));
    // The ledger's clock: a time that is told could be chosen so that leave still stands.
    let at_ms = asked.at.unix_ms();
    let reason = match said.verdict {
        Some("deny") => "denied",
        Some("ask") if !call.is_some_and(|call| is_granted(state, session, call, at_ms)) => {
            "no_approval"
        }
        _ => return None,
    };
    let mut body =
        Map::from_iter([("what".to_owned(), json!(what)), ("reason".to_owned(), json!(reason))]);
    let given = |name| given.text(name);
    for (name, text) in [
        ("session_id", given("session_id")),
        ("call_id", given("call_id")),
        ("verdict", said.verdict),
        ("rule", said.rule),
        ("observed_by", given("observed_by")),
        ("effective_at", given("effective_at")),
    ] {
        if let Some(text) = text {
            body.insert(name.to_owned(), Value::from(text));
        }
    }
    Some(Draft::new(VIOLATION, body))
}

/// A result takes nothing back that was said of its call.
fn stricter<'a>(now: Said<'a>, before: Said<'a>) -> Said<'a> {
    let rank = |said: &Said<'_>| VERDICTS.iter().position(|word| Some(*word) == said.verdict);
    let rule = now.rule.or(before.rule);
    match rank(&now).cmp(&rank(&before)) {
        Ordering::Greater => now,
        Ordering::Less => before,
        Ordering::Equal => Said { rule, ..now },
    }
}

/// Checks a phase of a call and says what it leaves.
pub(crate) fn act(
    state: &State,
    spec: &'static Spec,
    what: &'static str,
    given: &Given,
    asked: Asked<'_>,
) -> Result<Vec<Draft>, Refusal> {
    given.sound(asked)?;
    let (session, call) = (given.must("session_id"), given.must("call_id"));
    open_session(state, session)?;
    let known = state.calls.get(&(session.to_owned(), call.to_owned()));
    let is_result = given.text("phase") == Some("result");
    let known = match (known, is_result) {
        (Some(known), true) if known.what != what => {
            let what =
                format!("the call {call} of session {session} is a {}, no {what}", known.what);
            return Err(Refusal::not_found("unknown_call", what).field("call_id"));
        }
        (Some(known), true) if known.result_seq.is_some() => {
            let what = format!("the call {call} of session {session} has its result already");
            return Err(Refusal::conflict("call_answered", what).field("call_id"));
        }
        (None, true) => {
            let what = format!("the session {session} has no call {call}");
            return Err(Refusal::not_found("unknown_call", what)
                .field("call_id")
                .hint("Record it with --phase whole if its beginning was not seen."));
        }
        (Some(_), false) => {
            let what = format!("the session {session} has a call {call} already");
            return Err(Refusal::conflict("call_exists", what).field("call_id"));
        }
        (known, _) => known,
    };
    let mut drafts = vec![Draft::new(spec.types[0], given.kept(spec))];
    let executed = given.text("phase") != Some("call") && !given.is("denied");
    if executed {
        let now = Said { verdict: given.text("verdict"), rule: given.text("rule") };
        let before = known.as_ref();
        let before = Said {
            verdict: before.and_then(|call| call.verdict.as_deref()),
            rule: before.and_then(|call| call.rule.as_deref()),
        };
        let said = stricter(now, before);
        if !is_approved_alike(state, given, &said, asked.at.unix_ms()) {
            drafts.extend(violation(state, given, &said, what, asked));
        }
    }
    Ok(drafts)
}
