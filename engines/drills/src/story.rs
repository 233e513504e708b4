//! What happened before the examples: calls after which the example of every operation is accepted.

/// Verb and intent, in their order; then the examples of the operations follow in theirs. A drill is carried through
/// before the next call: every stage is completed with [`STAGE`], and it is sealed.
pub const STORY: &[(&str, &str)] = &[
    ("drill", r#"{"prompt":"ransomware, around a table","severity":"high"}"#),
    (
        "action-item",
        r#"{"stage":"01-first-sign","title":"Agree on a second way to call","item_id":"item-1","owner":"ops-2","due":"2030-01-31"}"#,
    ),
];

/// What is said of each stage of the drills of the story and the examples.
pub const STAGE: &str = r#"{"outcome":"detected","started_at":"2020-01-31T10:00:00.000Z","detected_at":"2020-01-31T10:04:00.000Z"}"#;

#[cfg(test)]
mod tests {
    use super::STORY;
    use crate::Drills;
    use crate::testing::Bench;
    use serde_json::{Map, Value, from_str};
    use vm_contracts::{AnyEngine, Hosted, Shape};

    fn tell(bench: &mut Bench, verb: &str, intent: &str) {
        let engine = Hosted::<Drills>::new();
        let intent: Value = from_str(intent).unwrap();
        if matches!(engine.shape(verb), Some(Shape::Staged(_))) {
            let run = bench.plan(&format!("run-{}", bench.lines.len()), intent).unwrap();
            let said: Map<String, Value> = from_str(super::STAGE).unwrap();
            bench.carry_through(run, |_| said.clone());
        } else {
            bench.ok(verb, intent);
        }
    }

    #[test]
    fn after_the_story_every_example_is_accepted() {
        let mut bench = Bench::new();
        for (verb, intent) in STORY {
            tell(&mut bench, verb, intent);
        }
        for spec in Hosted::<Drills>::new().operations() {
            tell(&mut bench, spec.verb, spec.example);
        }
        for spec in Hosted::<Drills>::new().reports() {
            bench.report(spec.verb, from_str(spec.example).unwrap());
        }
    }
}
