//! A verdict on the screen: the sentence, where it breaks, what still stands, and what was not looked at.

use crate::exit::Stop;
use crate::screen::{Screen, Tone};
use crate::table::cell;
use vm_contracts::Value;
use vm_scrolls::verdict::{Claim, Outcome, Place, Verdict};

/// Prints a verdict, with the private values that a proof shows.
pub fn print(
    screen: &mut Screen<'_>,
    verdict: &Verdict,
    private: &[(String, Value)],
) -> Result<(), Stop> {
    if screen.json {
        let mut json = to_json(verdict);
        json["private"] = Value::Object(private.iter().cloned().collect());
        return screen.document(&json);
    }
    text(screen, verdict)?;
    if private.is_empty() {
        return Ok(());
    }
    screen.toned(Tone::Strong, "private values shown", "")?;
    private.iter().try_for_each(|(name, value)| screen.line(&format!("  {name}: {}", cell(value))))
}

/// A verdict as JSON; each claim says whether it holds, is broken or is open, as it does for a person.
pub fn to_json(verdict: &Verdict) -> Value {
    let mut json = verdict.to_json();
    for (n, claim) in verdict.claims.iter().enumerate() {
        json["claims"][n]["standing"] = standing(verdict, claim).0.into();
    }
    json
}

/// How a claim stands, and what there is to say of it.
fn standing<'a>(verdict: &Verdict, claim: &'a Claim) -> (&'static str, &'a str) {
    let undecided = claim.detail.strip_prefix("cannot evaluate: ");
    match undecided.filter(|why| verdict.missing.iter().any(|m| m == why)) {
        _ if claim.ok => ("holds", &claim.detail),
        Some(why) => ("open", why),
        None => ("broken", &claim.detail),
    }
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
        first_bad(screen, place)?;
    }
    list(screen, "still provable", &verdict.still_provable)?;
    claims(screen, verdict)?;
    list(screen, "missing", &verdict.missing)?;
    list(screen, "not checked", &verdict.not_checked)
}

/// Where the first contradiction stands, one thing a line, so that each can be found and copied.
fn first_bad(screen: &mut Screen<'_>, place: &Place) -> Result<(), Stop> {
    screen.toned(Tone::Bad, "first bad", "")?;
    screen.line(&format!("  file   {}", place.file))?;
    if let Some(line) = place.line {
        screen.line(&format!("  line   {line}"))?;
    }
    if let Some(byte) = place.byte {
        screen.line(&format!("  byte   {byte}"))?;
    }
    screen.line(&format!("  claim  {}", place.claim))
}

fn claims(screen: &mut Screen<'_>, verdict: &Verdict) -> Result<(), Stop> {
    if verdict.claims.is_empty() {
        return Ok(());
    }
    screen.toned(Tone::Strong, "claims", "")?;
    for claim in &verdict.claims {
        let (word, detail) = standing(verdict, claim);
        let tone = match word {
            "holds" => Tone::Good,
            "open" => Tone::Note,
            _ => Tone::Bad,
        };
        screen.toned(tone, &format!("  {word:<6}"), &format!("  {}: {detail}", claim.name))?;
    }
    Ok(())
}

fn list(screen: &mut Screen<'_>, title: &str, items: &[String]) -> Result<(), Stop> {
    if items.is_empty() {
        return Ok(());
    }
    screen.toned(Tone::Strong, title, "")?;
    items.iter().try_for_each(|item| screen.line(&format!("  {item}")))
}
