//! A verdict on the screen: the sentence, where it breaks, what still stands, and what was not looked at.

use crate::exit::Stop;
use crate::screen::{Screen, Tone};
use vm_scrolls::verdict::{Outcome, Verdict};

/// Prints a verdict.
pub fn print(screen: &mut Screen<'_>, verdict: &Verdict) -> Result<(), Stop> {
    if screen.json {
        return screen.document(&verdict.to_json());
    }
    text(screen, verdict)
}

/// Prints a verdict for a person.
pub fn text(screen: &mut Screen<'_>, verdict: &Verdict) -> Result<(), Stop> {
    let tone = match verdict.outcome {
        Outcome::Verified if verdict.self_asserted => Tone::Note,
        Outcome::Verified => Tone::Good,
        Outcome::Tampered => Tone::Bad,
        Outcome::CannotEvaluate | Outcome::Absent => Tone::Note,
    };
    let word = verdict.outcome.as_str();
    let rest = verdict.summary.strip_prefix(word).unwrap_or(&verdict.summary);
    let gap = if rest.len() == verdict.summary.len() { ": " } else { "" };
    screen.toned(tone, word, &format!("{gap}{rest}"))?;
    if let Some(place) = &verdict.first_bad {
        let line = place.line.map_or(String::new(), |l| format!(", line {l}"));
        let byte = place.byte.map_or(String::new(), |b| format!(", byte {b}"));
        screen.line(&format!("first bad: {}{line}{byte}, claim {}", place.file, place.claim))?;
    }
    for claim in &verdict.claims {
        let (tone, word) = if claim.ok { (Tone::Good, "holds  ") } else { (Tone::Bad, "not ok ") };
        screen.toned(tone, word, &format!("{}: {}", claim.name, claim.detail))?;
    }
    list(screen, "still provable", &verdict.still_provable)?;
    list(screen, "missing", &verdict.missing)?;
    list(screen, "not checked", &verdict.not_checked)
}

fn list(screen: &mut Screen<'_>, title: &str, items: &[String]) -> Result<(), Stop> {
    if items.is_empty() {
        return Ok(());
    }
    screen.toned(Tone::Strong, title, "")?;
    items.iter().try_for_each(|item| screen.line(&format!("  {item}")))
}
