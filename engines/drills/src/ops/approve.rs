//! `approve`: another person lets a drill's stages go ahead, in a window.

use serde::Deserialize;
use serde_json::{Map, Value};
use vm_contracts::{Asked, Draft, Field, Kind, Record, Refusal, RefusalKind, Spec};
use vm_receipts::digest::Blake3;

use super::{APPROVALS_MAX, DRILL_ID, ID_BYTES_MAX, NOTE_BYTES_MAX, moment};
use crate::state::State;

/// Longest window: a week.
pub const WINDOW_MS_MAX: i64 = 7 * 24 * 60 * 60 * 1000;
/// Most stages that one approval names, so that a receipt can list them.
const STAGES_NAMED_MAX: usize = 256;

/// Approves.
pub struct Approve;

/// The intent.
#[derive(Deserialize)]
pub struct Fact {
    drill_id: String,
    contract: String,
    #[serde(default)]
    stages: Vec<String>,
    from: String,
    until: String,
}

static SPEC: Spec = Spec {
    verb: "approve",
    about: "Let stages of somebody else's drill go ahead in a window",
    needs: "drills.approve",
    types: &["drill_approval"],
    fields: &[
        DRILL_ID,
        Field::new(
            "contract",
            Kind::Text(71),
            "digest of the contract, as `vm drills next` shows it",
        )
        .filter(),
        Field::new(
            "stages",
            Kind::TextList(STAGES_NAMED_MAX, ID_BYTES_MAX),
            "ids of the stages; all that need approval if none is given",
        )
        .optional()
        .filter(),
        Field::new("from", Kind::Time, "when the window opens"),
        Field::new("until", Kind::Time, "when the window closes; at most seven days later"),
        Field::new("reason", Kind::Text(NOTE_BYTES_MAX), "why, for those who may read it")
            .optional()
            .private(),
    ],
    example: r#"{"drill_id":"drill-1","contract":"blake3:af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262","stages":["03-bridge-test"],"from":"2030-01-01T09:00:00.000Z","until":"2030-01-01T17:00:00.000Z"}"#,
};

impl Record for Approve {
    type State = State;
    type Fact = Fact;

    fn spec(&self) -> &'static Spec {
        &SPEC
    }

    fn check(&self, state: &State, fact: Fact, asked: Asked<'_>) -> Result<Vec<Draft>, Refusal> {
        if let Err(error) = fact.contract.parse::<Blake3>() {
            return Err(Refusal::malformed("digest_malformed", format!("contract: {error}"))
                .field("contract"));
        }
        let (from, until) = (moment("from", &fact.from)?, moment("until", &fact.until)?);
        let length_ms = until.unix_ms() - from.unix_ms();
        if !(1..=WINDOW_MS_MAX).contains(&length_ms) {
            let what = format!("a window from {from} until {until}");
            return Err(Refusal::malformed("bad_window", what)
                .field("until")
                .hint("It ends after it begins, and at most seven days later."));
        }
        if until.unix_ms() <= asked.at.unix_ms() {
            let what = format!("the window ended at {until}, before now, {}", asked.at);
            return Err(Refusal::invariant("window_over", what)
                .field("until")
                .hint("An approval lets something happen; it cannot be given afterwards."));
        }
        if state.drills.contains(&fact.drill_id) {
            let what = format!("the drill {} is sealed already", fact.drill_id);
            return Err(Refusal::conflict("drill_sealed", what).field("drill_id"));
        }
        let known = state.approvals.get(&fact.drill_id).map_or(0, |all| all.len());
        if known >= APPROVALS_MAX {
            let what = format!(
                "the drill {} has {APPROVALS_MAX} approvals, which is the most",
                fact.drill_id
            );
            return Err(
                Refusal::new("too_many_approvals", RefusalKind::TooLarge, what).field("drill_id")
            );
        }
        let mut body = Map::new();
        for (name, value) in [
            ("drill_id", fact.drill_id),
            ("contract", fact.contract),
            ("from", from.to_string()),
            ("until", until.to_string()),
        ] {
            body.insert(name.to_owned(), Value::from(value));
        }
        if !fact.stages.is_empty() {
            body.insert("stages".to_owned(), Value::from(fact.stages));
        }
        Ok(vec![Draft::new("drill_approval", body)])
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{Bench, refused};
    use serde_json::json;

    #[test]
    fn a_window_is_a_week_at_most_and_lies_ahead() {
        let mut bench = Bench::new();
        let digest = vm_receipts::digest::Blake3::of(b"").to_string();
        let mut ask = |from: &str, until: &str| {
            let intent = json!({"drill_id": "d", "contract": digest, "from": from, "until": until});
            bench.call("approve", intent)
        };
        refused(ask("2030-01-02", "2030-01-01"), "bad_window");
        refused(ask("2030-01-01", "2030-01-01"), "bad_window");
        refused(ask("2030-01-01", "2030-01-08T00:00:00.001Z"), "bad_window");
        refused(ask("2020-01-01", "2020-01-02"), "window_over");
        ask("2030-01-01", "2030-01-08").unwrap();
        let bad = json!({"drill_id": "d", "contract": "blake3:0", "from": "2030-01-01", "until": "2030-01-02"});
        refused(bench.call("approve", bad), "digest_malformed");
    }

    #[test]
    fn a_drill_has_a_most_of_approvals() {
        let mut bench = Bench::new();
        let digest = vm_receipts::digest::Blake3::of(b"").to_string();
        let intent = json!({"drill_id": "d", "contract": digest, "from": "2030-01-01", "until": "2030-01-02"});
        for _ in 0..super::APPROVALS_MAX {
            bench.ok("approve", intent.clone());
        }
        refused(bench.call("approve", intent), "too_many_approvals");
    }
}
