//! Facts of the toy: kept whole, in many lines, refused by the state, with a secret, or in private.

use super::{ITEMS_MAX, NAME_BYTES_MAX, TEXT_BYTES_MAX, ToyState};
use serde::Deserialize;
use serde_json::json;
use vm_contracts::{Asked, Draft, Field, Kind, Map, Record, Refusal, Spec, Value};

/// `toy note`: one line.
pub struct Note;

/// Intent of [`Note`].
#[derive(Deserialize)]
pub struct NoteFact {
    text: String,
    n: Option<i64>,
}

static NOTE: Spec = Spec {
    verb: "note",
    about: "Keep a text",
    needs: "toy.note",
    types: &["toy_note"],
    fields: &[
        Field::new("text", Kind::Text(TEXT_BYTES_MAX), "what to keep").filter(),
        Field::new("n", Kind::Integer(-1_000_000, 1_000_000), "a number that is summed up")
            .optional(),
    ],
    example: r#"{"text":"hello","n":7}"#,
};

impl Record for Note {
    type State = ToyState;
    type Fact = NoteFact;
    fn spec(&self) -> &'static Spec {
        &NOTE
    }
    fn check(&self, _: &ToyState, fact: NoteFact, _: Asked<'_>) -> Result<Vec<Draft>, Refusal> {
        let mut body = Map::from_iter([("text".to_owned(), Value::from(fact.text))]);
        body.extend(fact.n.map(|n| ("n".to_owned(), Value::from(n))));
        Ok(vec![Draft::new("toy_note", body)])
    }
}

/// `toy many`: several lines in one call.
pub struct Many;

/// Intent of [`Many`].
#[derive(Deserialize)]
pub struct ManyFact {
    text: String,
    count: i64,
}

static MANY: Spec = Spec {
    verb: "many",
    about: "Keep a text several times, in one call",
    needs: "toy.many",
    types: &["toy_item"],
    fields: &[
        Field::new("text", Kind::Text(TEXT_BYTES_MAX), "what to keep").filter(),
        Field::new("count", Kind::Integer(1, ITEMS_MAX), "how many receipts to leave").steering(),
        Field::new("index", Kind::Integer(0, ITEMS_MAX - 1), "which of them this is").computed(),
    ],
    example: r#"{"text":"hello","count":3}"#,
};

impl Record for Many {
    type State = ToyState;
    type Fact = ManyFact;
    fn spec(&self) -> &'static Spec {
        &MANY
    }
    fn check(&self, _: &ToyState, fact: ManyFact, _: Asked<'_>) -> Result<Vec<Draft>, Refusal> {
        let item = |index: i64| {
            let text = ("text".to_owned(), Value::from(fact.text.as_str()));
            Draft::new("toy_item", Map::from_iter([text, ("index".to_owned(), Value::from(index))]))
        };
        Ok((0..fact.count).map(item).collect())
    }
}

/// `toy guarded`: refused when the name is taken.
pub struct Guarded;

/// Intent of [`Guarded`].
#[derive(Deserialize)]
pub struct GuardedFact {
    name: String,
}

static GUARDED: Spec = Spec {
    verb: "guarded",
    about: "Take a name that nobody has taken yet",
    needs: "toy.guarded",
    types: &["toy_guarded"],
    fields: &[
        Field::new("name", Kind::Name(NAME_BYTES_MAX), "name to take").filter(),
        Field::new("count", Kind::Integer(0, 9_007_199_254_740_991), "lines the scroll had before")
            .computed(),
    ],
    example: r#"{"name":"alpha"}"#,
};

impl Record for Guarded {
    type State = ToyState;
    type Fact = GuardedFact;
    fn spec(&self) -> &'static Spec {
        &GUARDED
    }
    fn check(
        &self,
        state: &ToyState,
        fact: GuardedFact,
        _: Asked<'_>,
    ) -> Result<Vec<Draft>, Refusal> {
        free(state, &fact.name)?;
        let count = ("count".to_owned(), Value::from(*state.count.get()));
        let name = ("name".to_owned(), Value::from(fact.name));
        Ok(vec![Draft::new("toy_guarded", Map::from_iter([name, count]))])
    }
}

fn free(state: &ToyState, name: &str) -> Result<(), Refusal> {
    match state.names.get(&name.to_owned()) {
        None => Ok(()),
        Some(seq) => {
            let what = format!("the name {name:?} was taken by toy/{seq}");
            Err(Refusal::conflict("name_taken", what).field("name"))
        }
    }
}

/// `toy hide`: takes a secret and keeps nothing of it.
pub struct Hide;

/// Intent of [`Hide`].
#[derive(Deserialize)]
pub struct HideFact {
    name: String,
    code: String,
}

static HIDE: Spec = Spec {
    verb: "hide",
    about: "Take a name with a secret code that is kept nowhere",
    needs: "toy.hide",
    types: &["toy_hidden"],
    fields: &[
        Field::new("name", Kind::Name(NAME_BYTES_MAX), "name to take").filter(),
        Field::new("code", Kind::Text(128), "at least eight bytes that nobody else knows").secret(),
    ],
    example: r#"{"name":"beta","code":"correct horse"}"#,
};

impl Record for Hide {
    type State = ToyState;
    type Fact = HideFact;
    fn spec(&self) -> &'static Spec {
        &HIDE
    }
    fn check(&self, state: &ToyState, fact: HideFact, _: Asked<'_>) -> Result<Vec<Draft>, Refusal> {
        free(state, &fact.name)?;
        if fact.code.len() < 8 {
            let what = "hide: code is shorter than eight bytes";
            return Err(Refusal::invariant("code_too_short", what).field("code"));
        }
        let name = ("name".to_owned(), Value::from(fact.name));
        Ok(vec![Draft::new("toy_hidden", Map::from_iter([name]))])
    }
}

/// `toy whisper`: private values, and two lines, so that one opening serves both.
pub struct Whisper;

/// Intent of [`Whisper`]. What is private is not read: the ledger keeps it.
#[derive(Deserialize)]
pub struct WhisperFact {
    to: Option<Vec<Listener>>,
}

/// One listener.
#[derive(Deserialize)]
struct Listener {
    name: String,
}

const LISTENER: &[Field] = &[
    Field::new("name", Kind::Name(NAME_BYTES_MAX), "who listens"),
    Field::new("word", Kind::Text(TEXT_BYTES_MAX), "a word for this listener alone")
        .optional()
        .private(),
];

static WHISPER: Spec = Spec {
    verb: "whisper",
    about: "Keep a text that nobody else may read, in two receipts",
    needs: "toy.whisper",
    types: &["toy_whispered"],
    fields: &[
        Field::new("text", Kind::Text(TEXT_BYTES_MAX), "what to keep").private(),
        Field::new("aside", Kind::Text(TEXT_BYTES_MAX), "what else to keep").optional().private(),
        Field::new("to", Kind::List(8, LISTENER), "who listens").optional().steering(),
        Field::new("listeners", Kind::TextList(8, NAME_BYTES_MAX), "names of who listens")
            .computed(),
    ],
    example: r#"{"text":"hush","aside":"and hush again","to":[{"name":"ann","word":"psst"},{"name":"bob"}]}"#,
};

impl Record for Whisper {
    type State = ToyState;
    type Fact = WhisperFact;
    fn spec(&self) -> &'static Spec {
        &WHISPER
    }
    fn check(&self, _: &ToyState, fact: WhisperFact, _: Asked<'_>) -> Result<Vec<Draft>, Refusal> {
        let names: Vec<String> = fact.to.unwrap_or_default().into_iter().map(|l| l.name).collect();
        let body = Map::from_iter([("listeners".to_owned(), json!(names))]);
        let draft = Draft::new("toy_whispered", body);
        Ok(vec![draft.clone(), draft])
    }
}
