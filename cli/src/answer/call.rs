//! What a committed call is answered with.

use crate::answer::receipt::Row;
use crate::args::example::quoted;
use crate::exit::Stop;
use crate::screen::{Screen, Tone};
use crate::table::Table;
use std::path::Path;
use vm_contracts::{Fault, Line, Value};
use vm_ledger::{Answer, Sealing};
use vm_receipts::line::End;
use vm_scrolls::base64;
use vm_scrolls::checkpoint::Checkpoint;
use vm_scrolls::note::Note;

/// The lines of an answer, read back from its own bytes.
pub fn rows(answer: &Answer) -> Result<Vec<Row>, Stop> {
    let row = |bytes: &Vec<u8>| match Line::parse(bytes) {
        Ok(line) => Ok(Row::new(line, bytes.clone())),
        Err(e) => Err(Fault::new(
            "line_unreadable",
            format!("the answer holds a line that does not read: {e}"),
        )
        .into()),
    };
    answer.lines.iter().map(row).collect()
}

/// Origin, size and root that a signed checkpoint states; its signature is the verifier's question.
pub fn head(checkpoint: &str) -> Option<Checkpoint> {
    let note = Note::parse(checkpoint.as_bytes()).ok()?;
    Checkpoint::parse_body(&note.text).ok()
}

/// The answer as JSON: lines as objects and as exact text, inclusion proofs, checkpoint.
pub fn to_json(answer: &Answer) -> Result<Value, Stop> {
    let rows = rows(answer)?;
    let mut receipts: Vec<Value> = rows.iter().map(Row::to_json).collect();
    for ((receipt, row), proof) in receipts.iter_mut().zip(&rows).zip(&answer.proofs) {
        let hashes: Vec<String> = proof.iter().map(base64::encode).collect();
        receipt["inclusion"] = serde_json::json!({"index": row.line.seq, "hashes": hashes});
    }
    let head = head(&answer.checkpoint);
    Ok(serde_json::json!({
        "id": rows.first().map(|r| r.line.id.clone()),
        "scroll": answer.scroll,
        "existing": answer.existing,
        "receipts": receipts,
        "checkpoint": answer.checkpoint,
        "size": head.as_ref().map(|h| h.size),
        "root": head.as_ref().map(|h| base64::encode(h.root)),
    }))
}

/// The same with the folder of the case.
pub fn sealing_json(sealing: &Sealing) -> Result<Value, Stop> {
    let mut document = to_json(&sealing.answer)?;
    document["case"] = serde_json::json!(sealing.case);
    Ok(document)
}

/// Prints the answer.
pub fn print(screen: &mut Screen<'_>, answer: &Answer) -> Result<(), Stop> {
    match screen.json {
        true => screen.document(&to_json(answer)?),
        false => text(screen, answer),
    }
}

/// Prints what sealing a run came to: its receipts, and where its case stands in the home.
pub fn print_sealing(screen: &mut Screen<'_>, sealing: &Sealing, home: &Path) -> Result<(), Stop> {
    let Sealing { answer, case } = sealing;
    if screen.json {
        return screen.document(&sealing_json(sealing)?);
    }
    text(screen, answer)?;
    let Some(case) = case else { return Ok(()) };
    let (case, trust) = (home.join(case), home.join("keys").join("trust.txt"));
    screen.line(&format!("case        {}", case.display()))?;
    let words =
        ["vm", "verify", &case.display().to_string(), "--trust", &trust.display().to_string()];
    screen.line(&format!("check it    {}", words.map(quoted).join(" ")))
}

/// Whether the call came to nothing, and its receipt says so.
pub fn is_aborted(answer: &Answer) -> Result<bool, Stop> {
    Ok(rows(answer)?.first().is_some_and(|row| row.line.end == End::Aborted))
}

fn text(screen: &mut Screen<'_>, answer: &Answer) -> Result<(), Stop> {
    let rows = rows(answer)?;
    let mut table = Table::new(["receipt", "type", "at", "leaf"]);
    for row in &rows {
        let Line { scroll, seq, kind, at, .. } = &row.line;
        table.row([format!("{scroll}/{seq}"), kind.clone(), at.to_string(), row.leaf()]);
    }
    let id = rows.first().map_or("", |r| r.line.id.as_str());
    let aborted = rows.first().is_some_and(|r| r.line.end == End::Aborted);
    let (tone, word) = match (answer.existing, aborted) {
        (true, false) => (Tone::Note, "already committed"),
        (true, true) => (Tone::Note, "already committed, as aborted"),
        (false, false) => (Tone::Good, "committed"),
        (false, true) => (Tone::Note, "committed, as aborted"),
    };
    screen.toned(tone, word, &format!("  id {id}"))?;
    screen.table(&table)?;
    match head(&answer.checkpoint) {
        Some(head) => screen.line(&format!(
            "checkpoint  {}  size {}  root {}",
            head.origin,
            head.size,
            base64::encode(head.root)
        )),
        None => Ok(()),
    }
}
