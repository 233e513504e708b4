//! One receipt line, and lists of them.

use crate::exit::Stop;
use crate::screen::{Screen, Tone};
use crate::table::{Table, cell};
use std::borrow::Borrow;
use vm_contracts::{Line, Value};
use vm_scrolls::{base64, tree};

/// A line with the bytes it was read from.
#[derive(Clone, Debug)]
pub struct Row {
    /// The line.
    pub line: Line,
    /// Its bytes, without the line feed.
    pub bytes: Vec<u8>,
}

impl Borrow<Line> for Row {
    fn borrow(&self) -> &Line {
        &self.line
    }
}

impl Row {
    /// Leaf hash in base64, as checkpoints and proofs write hashes.
    pub fn leaf(&self) -> String {
        base64::encode(tree::leaf_hash(&self.bytes))
    }

    /// The line as JSON, with its exact text and leaf hash beside it.
    pub fn to_json(&self) -> Value {
        let text = String::from_utf8_lossy(&self.bytes);
        let object: Value = serde_json::from_slice(&self.bytes).unwrap_or(Value::Null);
        serde_json::json!({
            "scroll": self.line.scroll,
            "seq": self.line.seq,
            "leaf": self.leaf(),
            "line": object,
            "text": text,
        })
    }
}

/// A list of receipts: one row each, with the body fields they have in common first.
pub fn table(rows: &[Row]) -> Table {
    const BODY_COLUMNS_MAX: usize = 5;
    let mut names: Vec<(&str, usize)> = Vec::new();
    for name in rows.iter().flat_map(|r| r.line.body.keys()).filter(|n| !n.starts_with('_')) {
        match names.iter_mut().find(|(known, _)| known == name) {
            Some((_, count)) => *count += 1,
            None => names.push((name, 1)),
        }
    }
    names.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    names.truncate(BODY_COLUMNS_MAX);
    let header = ["receipt", "type", "at"].into_iter().chain(names.iter().map(|(n, _)| *n));
    let mut table = Table::new(header);
    for row in rows {
        let line = &row.line;
        let fixed =
            [format!("{}/{}", line.scroll, line.seq), line.kind.clone(), line.at.to_string()];
        let body = names.iter().map(|(n, _)| line.body.get(*n).map(cell).unwrap_or_default());
        table.row(fixed.into_iter().chain(body));
    }
    table
}

/// Everything about one receipt.
pub fn show(screen: &mut Screen<'_>, row: &Row) -> Result<(), Stop> {
    let line = &row.line;
    screen.toned(
        Tone::Strong,
        &format!("{}/{}", line.scroll, line.seq),
        &format!("  {}", line.kind),
    )?;
    let part = if line.part.of == 1 {
        String::new()
    } else {
        format!(" (part {} of {})", line.part.n, line.part.of)
    };
    let mut pairs = vec![
        ("at", line.at.to_string()),
        ("operation", line.op.clone()),
        ("id", format!("{}{part}", line.id)),
        ("end", line.end.word().to_owned()),
        ("actor", line.actor.clone()),
        ("through", format!("{} on {}", line.context.surface, line.context.node)),
        ("authority", cell(&Value::Object(line.authority.clone()))),
        ("issuer", line.issuer.clone()),
        ("leaf", row.leaf()),
        (
            "history before it",
            format!("{} receipts, root {}", line.prev.size, base64::encode(line.prev.root)),
        ),
        ("intent", line.intent.to_string()),
        ("bundle hash", line.root_hash.to_string()),
    ];
    if !line.tags.is_empty() {
        pairs.push(("tags", line.tags.join(", ")));
    }
    if line.context.demo {
        pairs.push(("demo", "this receipt is from a demonstration".to_owned()));
    }
    for (name, value) in pairs {
        screen.line(&format!("  {name:<18}{value}"))?;
    }
    screen.toned(Tone::Strong, "body", "")?;
    for (name, value) in &line.body {
        screen.line(&format!("  {name:<18}{}", cell(value)))?;
    }
    Ok(())
}
