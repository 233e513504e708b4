//! `toy heap`: a record that may become longer than a receipt can be.

use super::{TEXT_BYTES_MAX, ToyState};
use serde::Deserialize;
use vm_contracts::{Asked, Draft, Field, Kind, Map, Record, Refusal, Spec, Value};

/// Most texts of one heap: more than one receipt holds.
const TEXTS_MAX: usize = 32;

/// `toy heap`: many texts in one line.
pub struct Heap;

/// Intent of [`Heap`].
#[derive(Deserialize)]
pub struct HeapFact {
    texts: Vec<String>,
}

static HEAP: Spec = Spec {
    verb: "heap",
    about: "Keep many texts together",
    needs: "toy.heap",
    types: &["toy_heap"],
    fields: &[Field::new("texts", Kind::TextList(TEXTS_MAX, TEXT_BYTES_MAX), "what to keep")],
    example: r#"{"texts":["hello","again"]}"#,
};

impl Record for Heap {
    type State = ToyState;
    type Fact = HeapFact;
    fn spec(&self) -> &'static Spec {
        &HEAP
    }
    fn check(&self, _: &ToyState, fact: HeapFact, _: Asked<'_>) -> Result<Vec<Draft>, Refusal> {
        let texts = ("texts".to_owned(), Value::from(fact.texts));
        Ok(vec![Draft::new("toy_heap", Map::from_iter([texts]))])
    }
}
