//! Calls as JSON: the body of a request, a line of a batch. Nothing that is not known is passed over.

use crate::args::fields;
use crate::session::House;
use vm_contracts::{Actor, AnyEngine, Call, Map, Refusal, RefusalKind, Spec, Value};
use vm_receipts::json::parse_lenient_numbers;

/// Longest call in bytes.
pub const CALL_BYTES_MAX: usize = 4 << 20;

/// What a line of a batch says: everything but the operation.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Line {
    /// The intent.
    pub intent: Map<String, Value>,
    /// Id of the call.
    pub id: Option<String>,
    /// Public words.
    pub tags: Vec<String>,
}

/// Reads a line of a batch.
pub fn line(bytes: &[u8]) -> Result<Line, Refusal> {
    rest(object(bytes)?, &["intent", "id", "tags"])
}

/// Reads a call with its operation, for an actor whom the surface knows.
pub fn call(
    house: House,
    bytes: &[u8],
    actor: &Actor,
) -> Result<(&'static dyn AnyEngine, &'static Spec, Call), Refusal> {
    let mut members = object(bytes)?;
    let engine = text(&mut members, "engine")?.ok_or_else(|| missing("engine"))?;
    let verb = text(&mut members, "verb")?.ok_or_else(|| missing("verb"))?;
    if let Some(named) = text(&mut members, "actor")?
        && named != actor.0
    {
        let what = format!("this connection is of {}, and acts for nobody else", actor.0);
        return Err(Refusal::new("other_actor", RefusalKind::NotAllowed, what)
            .field("actor")
            .hint("Leave actor out. `vm --actor-key FILE` acts with a key."));
    }
    let Line { intent, id, tags } =
        rest(members, &["engine", "verb", "intent", "id", "tags", "actor"])?;
    let engine = vm_ledger::find_engine(house, &engine)?;
    let spec = engine.operation(&verb).ok_or_else(|| unknown(engine, &verb))?;
    vm_contracts::edge::admit(spec, &intent).map_err(|r| fields::with_suggestion(spec, r))?;
    let call = Call {
        id,
        actor: actor.clone(),
        surface: "http".into(),
        engine: engine.name().into(),
        verb,
        intent,
        tags,
    };
    Ok((engine, spec, call))
}

fn unknown(engine: &dyn AnyEngine, verb: &str) -> Refusal {
    let known: Vec<&str> = engine.operations().iter().map(|s| s.verb).collect();
    let shown: String = verb.chars().take(64).collect();
    let what = format!("{} has no operation {shown:?}", engine.name());
    Refusal::not_found("unknown_operation", what)
        .field("verb")
        .hint(format!("It has {}.", known.join(", ")))
}

fn object(bytes: &[u8]) -> Result<Map<String, Value>, Refusal> {
    if bytes.len() > CALL_BYTES_MAX {
        return Err(too_large());
    }
    match parse_lenient_numbers(bytes) {
        Ok(Value::Object(members)) => Ok(members),
        Ok(_) => Err(Refusal::malformed("json_not_an_object", "the call is no object")),
        Err(e) => {
            let refusal = Refusal::malformed(e.code(), format!("the call is not strict JSON: {e}"));
            Err(match e.hint() {
                Some(hint) => refusal.hint(hint),
                None => refusal,
            })
        }
    }
}

/// A call longer than calls may be.
pub fn too_large() -> Refusal {
    let what = format!("the call is longer than {CALL_BYTES_MAX} bytes");
    Refusal::new("too_large", RefusalKind::TooLarge, what)
}

fn rest(mut members: Map<String, Value>, known: &[&str]) -> Result<Line, Refusal> {
    let id = text(&mut members, "id")?;
    let tags = match members.remove("tags") {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::Array(tags)) => {
            let word = |tag: Value| tag.as_str().map(str::to_owned);
            let words: Option<Vec<String>> = tags.into_iter().map(word).collect();
            words.ok_or_else(|| wrong("tags", "a list of texts"))?
        }
        Some(_) => return Err(wrong("tags", "a list of texts")),
    };
    let intent = match members.remove("intent") {
        None => return Err(missing("intent")),
        Some(Value::Object(intent)) => intent,
        Some(_) => return Err(wrong("intent", "an object")),
    };
    match members.keys().next() {
        None => Ok(Line { intent, id, tags }),
        Some(name) => {
            let shown: String = name.chars().take(64).collect();
            let what = format!("a call has no member {shown:?}");
            Err(Refusal::malformed("unknown_field", what)
                .field(shown)
                .hint(format!("It has {}.", known.join(", "))))
        }
    }
}

fn text(members: &mut Map<String, Value>, name: &str) -> Result<Option<String>, Refusal> {
    match members.remove(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(wrong(name, "a text")),
    }
}

fn missing(name: &str) -> Refusal {
    Refusal::malformed("missing_field", format!("the call needs {name}")).field(name)
}

fn wrong(name: &str, kind: &str) -> Refusal {
    Refusal::malformed("wrong_type", format!("{name} of a call is {kind}")).field(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_a_call_is_refused_by_name() {
        let code = |text: &str| line(text.as_bytes()).map_err(|r| (r.code, r.field)).unwrap_err();
        assert_eq!(code("{").0, "json_truncated");
        assert_eq!(code("[]").0, "json_not_an_object");
        assert_eq!(code("{}"), ("missing_field".into(), Some("intent".into())));
        assert_eq!(code(r#"{"intent":[]}"#), ("wrong_type".into(), Some("intent".into())));
        assert_eq!(code(r#"{"intent":{},"tags":[1]}"#).1, Some("tags".into()));
        assert_eq!(
            code(r#"{"intent":{},"ids":"x"}"#),
            ("unknown_field".into(), Some("ids".into()))
        );
        assert_eq!(code(r#"{"intent":{},"intent":{}}"#).0, "json_duplicate_key");
        let read = line(br#"{"intent":{"a":1.0},"id":"x","tags":["t"]}"#).unwrap();
        assert_eq!((read.id.as_deref(), read.tags.len()), (Some("x"), 1));
    }

    #[test]
    fn nobody_acts_for_another_over_a_socket() {
        let actor = Actor::local(7);
        let named = |who: &str| {
            let text = format!(r#"{{"engine":"none","verb":"v","intent":{{}},"actor":"{who}"}}"#);
            call(&[], text.as_bytes(), &actor).map(drop).unwrap_err().code
        };
        assert_eq!(named("local:8"), "other_actor");
        assert_eq!(named("did:key:z6Mk"), "other_actor");
        assert_eq!(named("local:7"), "unknown_engine");
    }
}
