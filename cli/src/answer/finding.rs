//! Findings of `vm doctor` and `vm fsck`.

use crate::exit::Stop;
use crate::screen::{Screen, Tone};
use vm_contracts::Value;
use vm_ledger::fsck::{Finding, Level};

/// Findings as JSON.
pub fn to_json(findings: &[Finding]) -> Value {
    let one = |f: &Finding| serde_json::json!({"level": f.level.word(), "subject": f.subject, "detail": f.detail, "hint": f.hint});
    findings.iter().map(one).collect()
}

/// Prints findings, one line each, hints below.
pub fn print(screen: &mut Screen<'_>, findings: &[Finding]) -> Result<(), Stop> {
    for finding in findings {
        let tone = match finding.level {
            Level::Ok => Tone::Good,
            Level::Note => Tone::Note,
            Level::Problem => Tone::Bad,
        };
        let word = format!("{:<8}", finding.level.word());
        screen.toned(tone, &word, &format!("{}: {}", finding.subject, finding.detail))?;
        if let Some(hint) = &finding.hint {
            screen.line(&format!("        hint: {hint}"))?;
        }
    }
    Ok(())
}

/// Whether something must be done.
pub fn any_problem(findings: &[Finding]) -> bool {
    findings.iter().any(|f| f.level == Level::Problem)
}
