//! Whose approval lets a stage go ahead: of another person, for this very contract, in its window.

use vm_contracts::{Moment, Refusal, RefusalKind};

use crate::state::{Approval, State};

/// What is to be done, by whom and when.
#[derive(Clone, Copy, Debug)]
pub struct Deed<'a> {
    /// Id of the drill.
    pub drill_id: &'a str,
    /// Digest of its contract, as text.
    pub contract: &'a str,
    /// Id of the stage.
    pub stage: &'a str,
    /// Everybody who acts; none of them may approve.
    pub actors: &'a [&'a str],
    /// The moments that must lie in the window: when it was done, and when that was said.
    pub moments: &'a [Moment],
}

/// The id of an approval that covers the deed, or why there is none.
pub fn covering(state: &State, deed: Deed<'_>) -> Result<String, Refusal> {
    let stage = deed.stage;
    let all = state.approvals.get(&deed.drill_id.to_owned()).unwrap_or_default();
    let meant = |a: &&Approval| {
        a.contract == deed.contract && (a.stages.is_empty() || a.stages.iter().any(|s| s == stage))
    };
    let meant: Vec<&Approval> = all.iter().filter(meant).collect();
    let Some(first) = meant.first() else {
        let what = format!("stage {stage} needs rights or could do harm, and nobody approved it");
        return Err(Refusal::new("approval_needed", RefusalKind::NotAllowed, what).field("stage").hint(
            format!(
                "Another person runs `vm drills approve --drill-id {} --contract {} --from TIME --until TIME`.",
                deed.drill_id, deed.contract
            ),
        ));
    };
    let others: Vec<&Approval> =
        meant.iter().filter(|a| !deed.actors.contains(&a.actor.as_str())).copied().collect();
    let Some(last) = others.last() else {
        let what =
            format!("stage {stage} was approved only by {}, who takes part in it", first.actor);
        return Err(Refusal::new("approver_is_actor", RefusalKind::NotAllowed, what)
            .field("stage")
            .hint("Another person must approve it."));
    };
    let inside = |a: &&&Approval| {
        deed.moments.iter().all(|m| (a.from_ms..a.until_ms).contains(&m.unix_ms()))
    };
    if let Some(approval) = others.iter().find(inside) {
        return Ok(approval.id.clone());
    }
    let shown = |ms: i64| Moment::from_unix_ms(ms).map_or_else(String::new, |m| m.to_string());
    let (from, until) = (shown(last.from_ms), shown(last.until_ms));
    let what = format!("stage {stage} is approved from {from} until {until} only");
    Err(Refusal::new("outside_window", RefusalKind::NotAllowed, what)
        .field("stage")
        .hint("Complete it inside the window, or ask for another approval."))
}
