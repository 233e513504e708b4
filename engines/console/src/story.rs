//! What happened before the examples: calls after which the example of every operation is accepted.

/// Verb and intent, in their order; then the examples of the operations follow in theirs.
pub const STORY: &[(&str, &str)] = &[
    (
        "session-start",
        r#"{"session_id":"session-1","agent_type":"claude-code","agent_version":"2.1.300","model_id":"model-1","caller":"local:1","project_id":"k:fedcba9876543210fedcba9876543210","project_path":"/projects/demo","git_head":"1f7a7a472abf3dd9643fd615f6da379c4acb3e3a","mode":"guard","isolation":"other_user","observed_by":"hook"}"#,
    ),
    (
        "session-start",
        r#"{"session_id":"session-2","agent_type":"explore","mode":"import","parent_session_id":"session-1","source_format":"claude-jsonl","observed_by":"transcript"}"#,
    ),
    (
        "command",
        r#"{"session_id":"session-1","call_id":"call-0","phase":"whole","command":"git push --force","program":"git","exit_code":0,"verdict":"deny","rule":"no-force","observed_by":"hook"}"#,
    ),
    (
        "command",
        r#"{"session_id":"session-1","call_id":"call-4","phase":"whole","command":"rm -rf build","args_hash":"k:00112233445566778899aabbccddeeff","is_error":true,"denied":true,"verdict":"deny","rule":"no-rm","observed_by":"hook","effective_at":"2020-01-31T10:00:00.000Z"}"#,
    ),
    (
        "tool-call",
        r#"{"session_id":"session-1","call_id":"call-5","phase":"whole","tool_name":"Read","params_hash":"k:ffeeddccbbaa99887766554433221100","capability_used":"files.read","is_error":false,"observed_by":"proxy"}"#,
    ),
    (
        "session-start",
        r#"{"session_id":"session-1","agent_type":"claude-code","mode":"guard","resumed":true,"observed_by":"hook"}"#,
    ),
    (
        "approval",
        r#"{"session_id":"session-1","approval_id":"approval-2","phase":"requested","action_type":"WebFetch","action":"GET https://example.org","rule":"ask-network","observed_by":"hook"}"#,
    ),
];

#[cfg(test)]
mod tests {
    use super::STORY;
    use crate::Console;
    use crate::testing::Bench;
    use serde_json::from_str;
    use vm_contracts::{AnyEngine, Hosted};

    #[test]
    fn after_the_story_every_example_is_accepted_and_every_type_is_left() {
        let mut bench = Bench::new();
        for (verb, intent) in STORY {
            bench.ok(verb, from_str(intent).unwrap());
        }
        for spec in Hosted::<Console>::new().operations() {
            bench.ok(spec.verb, from_str(spec.example).unwrap());
        }
        for spec in Hosted::<Console>::new().reports() {
            bench.report(spec.verb, from_str(spec.example).unwrap());
        }
        for kind in Hosted::<Console>::new().types() {
            assert!(bench.lines.iter().any(|line| line.kind == kind), "nothing leaves {kind}");
        }
    }
}
