//! `approval`: somebody is asked to let an act go ahead, and decides.

use vm_contracts::{Asked, Draft, Field, Kind, Record, Refusal, RefusalKind, Spec, Value};

use super::{
    ACTOR_BYTES_MAX, CALL, EFFECTIVE_AT, Given, ID, OBSERVED_BY, RULE, SESSION, TEXT_BYTES_MAX,
    open_session,
};
use crate::state::{Session, State};

/// Records a request for approval, or a decision.
pub struct ApprovalStep;

static SPEC: Spec = Spec {
    verb: "approval",
    about: "Record that approval was asked for, or how it was decided",
    needs: "console.approval",
    types: &["console_approval"],
    fields: &[
        SESSION,
        Field::new("approval_id", ID, "id of the approval, unique in its session").filter(),
        CALL.optional(),
        Field::new("phase", Kind::Choice(&["requested", "decided"]), "asked for, or decided")
            .filter(),
        Field::new("action_type", Kind::Name(64), "kind of act, such as Bash").optional().filter(),
        Field::new("action", Kind::Text(TEXT_BYTES_MAX), "what is to be approved")
            .optional()
            .private(),
        Field::new("approved", Kind::Bool, "how it was decided").optional().filter(),
        Field::new(
            "approver",
            Kind::Name(ACTOR_BYTES_MAX),
            "who decided, in the recorder's word; the actor if not given",
        )
        .optional()
        .filter(),
        Field::new("reason", Kind::Text(TEXT_BYTES_MAX), "why").optional().private(),
        RULE,
        Field::new("expires_at", Kind::Time, "until when it holds").optional(),
        OBSERVED_BY,
        EFFECTIVE_AT,
    ],
    example: r#"{"session_id":"session-1","approval_id":"approval-3","call_id":"call-2","phase":"requested","action_type":"Bash","action":"terraform apply","reason":"the tests pass","rule":"ask-apply","observed_by":"hook"}"#,
};

impl Record for ApprovalStep {
    type State = State;
    type Fact = Given;

    fn spec(&self) -> &'static Spec {
        &SPEC
    }

    fn check(&self, state: &State, given: Given, asked: Asked<'_>) -> Result<Vec<Draft>, Refusal> {
        given.sound(asked)?;
        let session = open_session(state, given.must("session_id"))?;
        let mut body = given.kept(&SPEC);
        if given.text("phase") == Some("requested") {
            requested(state, &given)?;
        } else {
            let approver = given.text("approver").unwrap_or(&asked.actor.0);
            decided(state, &given, &session, approver, asked)?;
            body.insert("approver".to_owned(), Value::from(approver));
            // The call that the request was about.
            if let Some(call) = call_of(state, &given) {
                body.insert("call_id".to_owned(), Value::from(call));
            }
        }
        Ok(vec![Draft::new("console_approval", body)])
    }
}

fn key(given: &Given) -> (String, String) {
    (given.must("session_id").to_owned(), given.must("approval_id").to_owned())
}

fn call_of(state: &State, given: &Given) -> Option<String> {
    let told = given.text("call_id").map(str::to_owned);
    told.or_else(|| state.approvals.get(&key(given))?.call_id)
}

fn requested(state: &State, given: &Given) -> Result<(), Refusal> {
    for name in ["approved", "approver"] {
        if given.0.contains_key(name) {
            let what = format!("a request says {name}, which only a decision can");
            return Err(Refusal::malformed("not_decided", what).field(name));
        }
    }
    match state.approvals.contains(&key(given)) {
        false => Ok(()),
        true => {
            let what = format!("an approval {} was asked for already", given.must("approval_id"));
            Err(Refusal::conflict("exists", what).field("approval_id"))
        }
    }
}

fn decided(
    state: &State,
    given: &Given,
    session: &Session,
    approver: &str,
    asked: Asked<'_>,
) -> Result<(), Refusal> {
    let id = given.must("approval_id");
    if !given.0.contains_key("approved") {
        let what = format!("the decision of {id} does not say how");
        return Err(Refusal::malformed("decision_needed", what)
            .field("approved")
            .hint("Say --approved true or --approved false."));
    }
    let request = state.approvals.get(&key(given));
    // A name is only what somebody says. Who it is that decides is proved by his key or his user, so that counts first.
    let asks = |who: &str| {
        session.askers.iter().any(|asker| asker == who)
            || request.as_ref().is_some_and(|request| request.asked_by == who)
            || who == session.agent_type
            || who == given.must("session_id")
    };
    if let Some(who) = [asked.actor.0.as_str(), approver].into_iter().find(|who| asks(who)) {
        let what = format!("{id} would be decided by the one that asks: {who}");
        return Err(Refusal::new("approver_is_caller", RefusalKind::NotAllowed, what)
            .field("approver")
            .hint("Another person decides, as an actor of his own: --actor-key with his key, or his own user."));
    }
    if request.as_ref().is_some_and(|r| r.approved.is_some()) {
        let what = format!("the approval {id} is decided already");
        return Err(Refusal::conflict("approval_decided", what).field("approval_id"));
    }
    if let Some(request) = &request
        && let (Some(asked_for), Some(told)) = (&request.call_id, given.text("call_id"))
        && asked_for != told
    {
        let what = format!("the approval {id} was asked for another call, {asked_for}");
        return Err(Refusal::conflict("other_call", what).field("call_id"));
    }
    let call = given.text("call_id").map(str::to_owned);
    let has_call =
        call.is_some_and(|call| state.calls.contains(&(given.must("session_id").to_owned(), call)));
    if request.is_none() && !has_call {
        let what =
            format!("nobody asked for the approval {id}, and it is for no call that is known");
        return Err(Refusal::not_found("unknown_approval", what).field("approval_id"));
    }
    let until = [given.time_ms("expires_at"), request.and_then(|r| r.expires_ms)];
    if until.into_iter().flatten().any(|until| until < given.happened_ms(asked)) {
        let what = format!("the approval {id} has expired");
        return Err(Refusal::invariant("approval_expired", what).field("approval_id"));
    }
    Ok(())
}
