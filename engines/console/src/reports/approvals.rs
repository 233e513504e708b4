//! `approvals`: what agents asked for, and how it was decided.

use serde::Deserialize;
use serde_json::json;
use vm_contracts::{Failure, Field, History, Kind, Report, Spec, Value};

use super::{ROWS, moment_text, time_ms};
use crate::ops::ID;
use crate::state::{Approval, State};

/// Lists approvals.
pub struct Approvals;

/// The question.
#[derive(Deserialize)]
pub struct Question {
    status: Option<String>,
    session_id: Option<String>,
    at: Option<String>,
    limit: Option<usize>,
}

/// Words for how far an approval has come.
const STATUS: &[&str] = &["pending", "approved", "denied", "expired", "claimed"];

static SPEC: Spec = Spec {
    verb: "approvals",
    about: "List what agents asked for, and how it was decided",
    needs: "console.read",
    types: &[],
    fields: &[
        Field::new(
            "status",
            Kind::Choice(STATUS),
            "only those that have come this far; claimed: an actor says that somebody else approved, which is no leave",
        )
        .optional(),
        Field::new("session_id", ID, "only those of this session").optional(),
        Field::new("at", Kind::Time, "as of when; the time of the last receipt if not given")
            .optional(),
        Field::new("limit", Kind::Integer(1, 100_000), "most rows; 1,000 if it is not given")
            .optional(),
        Field::new("approval_id", ID, "id of the approval").computed(),
        Field::new("call_id", ID, "the call it is for").computed(),
        Field::new("action_type", Kind::Text(64), "kind of act").computed(),
        Field::new("rule", Kind::Text(64), "the rule that asks for it").computed(),
        Field::new("asked_at", Kind::Time, "when it was asked for").computed(),
        Field::new("approver", Kind::Text(256), "who decided, in the recorder's word").computed(),
        Field::new("decided_by", Kind::Text(256), "the actor who recorded the decision").computed(),
        Field::new("decided_at", Kind::Time, "when it was decided").computed(),
        Field::new("expires_at", Kind::Time, "until when it holds").computed(),
        Field::new("seq", Kind::Integer(0, i64::MAX), "leaf index of its first receipt").computed(),
    ],
    example: r#"{"status":"pending"}"#,
};

impl Report for Approvals {
    type State = State;
    type Question = Question;

    fn spec(&self) -> &'static Spec {
        &SPEC
    }

    fn answer(
        &self,
        state: &State,
        _history: &mut dyn History,
        question: Question,
    ) -> Result<Value, Failure> {
        let at_ms = time_ms(question.at.as_deref()).unwrap_or(*state.last_at_ms.get());
        let mut rows = Vec::new();
        for ((session, id), approval) in state.approvals.iter() {
            let status = status(&approval, at_ms);
            let wanted = question.status.as_deref().is_none_or(|wanted| wanted == status)
                && question.session_id.as_ref().is_none_or(|wanted| *wanted == session);
            if wanted {
                let row = json!({
                    "approval_id": id,
                    "session_id": session,
                    "status": status,
                    "call_id": approval.call_id,
                    "action_type": approval.action_type,
                    "rule": approval.rule,
                    "asked_at": moment_text(approval.at_ms),
                    "approver": approval.approver,
                    "decided_by": approval.decided_by,
                    "decided_at": approval.decided_ms.and_then(moment_text),
                    "expires_at": approval.expires_ms.and_then(moment_text),
                    "seq": approval.seq,
                });
                rows.push((approval.seq, row));
            }
        }
        rows.sort_by_key(|(seq, _)| std::cmp::Reverse(*seq));
        rows.truncate(question.limit.unwrap_or(ROWS));
        Ok(rows.into_iter().map(|(_, row)| row).collect())
    }
}

/// A denial does not expire; a request and leave that was given do.
fn status(approval: &Approval, at_ms: i64) -> &'static str {
    let over = approval.expires_ms.is_some_and(|until| until < at_ms);
    match approval.approved {
        Some(false) => STATUS[2],
        _ if over => STATUS[3],
        Some(true) if !approval.is_own() => STATUS[4],
        Some(true) => STATUS[1],
        None => STATUS[0],
    }
}
