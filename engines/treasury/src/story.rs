//! What happened before the examples: calls after which the example of every operation is accepted.

/// Verb and intent, in their order; then the examples of the operations follow in theirs.
pub const STORY: &[(&str, &str)] = &[
    (
        "account-open",
        r#"{"account":"income:dues","asset":"EUR","class":"income","node":"branch-7"}"#,
    ),
    ("account-open", r#"{"account":"expenses:rent","asset":"EUR","class":"expense"}"#),
    ("account-open", r#"{"account":"expenses:fees","asset":"EUR","class":"expense"}"#),
    ("account-open", r#"{"account":"clearing:a","asset":"EUR","class":"liability"}"#),
    ("account-open", r#"{"account":"clearing:b","asset":"EUR","class":"liability"}"#),
    ("account-open", r#"{"account":"assets:old","asset":"EUR","class":"asset"}"#),
    ("account-open", r#"{"account":"assets:till","asset":"EUR","class":"asset"}"#),
    (
        "transfer",
        r#"{"transfer_id":"dues-2025-17","debit":"assets:till","credit":"income:dues","asset":"EUR","amount":"60.00","code":"2025-17","memo":"dues of a member","effective_at":"2025-05-02"}"#,
    ),
    (
        "transfer",
        r#"{"transfer_id":"order-17","debit":"expenses:fees","credit":"assets:till","asset":"EUR","amount":"12.50","pending":true}"#,
    ),
    (
        "transfer",
        r#"{"transfer_id":"order-18","debit":"expenses:fees","credit":"assets:till","asset":"EUR","amount":"8.00","pending":true}"#,
    ),
];

#[cfg(test)]
mod tests {
    use super::STORY;
    use crate::Treasury;
    use crate::testing::Bench;
    use serde_json::from_str;
    use vm_contracts::{AnyEngine, Hosted};

    #[test]
    fn after_the_story_every_example_is_accepted() {
        let mut bench = Bench::new();
        for (verb, intent) in STORY {
            bench.ok(verb, from_str(intent).unwrap());
        }
        for spec in Hosted::<Treasury>::new().operations() {
            bench.ok(spec.verb, from_str(spec.example).unwrap());
        }
    }
}
