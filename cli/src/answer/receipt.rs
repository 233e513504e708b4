//! One receipt line, and lists of them.

use crate::exit::Stop;
use crate::screen::{Screen, Tone};
use crate::table::{Table, cell};
use std::borrow::Borrow;
use std::collections::BTreeSet;
use vm_contracts::{Failure, Line, Map, Value};
use vm_ledger::Ledger;
use vm_receipts::private::{SD, digests};
use vm_scrolls::{base64, tree};

/// A line with the bytes it was read from.
#[derive(Clone, Debug)]
pub struct Row {
    /// The line.
    pub line: Line,
    /// Its bytes, without the line feed.
    pub bytes: Vec<u8>,
    /// Private values that this home can open, where the owner asked for them.
    pub private: Option<Map<String, Value>>,
}

impl Borrow<Line> for Row {
    fn borrow(&self) -> &Line {
        &self.line
    }
}

impl Row {
    /// A line and its bytes.
    pub fn new(line: Line, bytes: Vec<u8>) -> Self {
        Self { line, bytes, private: None }
    }

    /// Adds the private values that this home can open.
    pub fn open(&mut self, ledger: &Ledger) -> Result<(), Failure> {
        self.private = Some(ledger.opened(&self.line.scroll, self.line.seq)?);
        Ok(())
    }

    /// Leaf hash in base64, as checkpoints and proofs write hashes.
    pub fn leaf(&self) -> String {
        base64::encode(tree::leaf_hash(&self.bytes))
    }

    /// The line as JSON, with its exact text and leaf hash beside it.
    pub fn to_json(&self) -> Value {
        let text = String::from_utf8_lossy(&self.bytes);
        let object: Value = serde_json::from_slice(&self.bytes).unwrap_or(Value::Null);
        let mut json = serde_json::json!({
            "scroll": self.line.scroll,
            "seq": self.line.seq,
            "leaf": self.leaf(),
            "line": object,
            "text": text,
        });
        if let Some(private) = &self.private {
            json["private"] = Value::Object(private.clone());
        }
        json
    }
}

/// A list of receipts: one row each, with the body fields they have in common first.
///
/// Columns are the members that most receipts have; those one can filter by come first. The ledger's own receipts have
/// no say where there are others.
pub fn table(rows: &[Row], filters: &[&str]) -> Table {
    const BODY_COLUMNS_MAX: usize = 5;
    let mut names: Vec<(&str, usize)> = Vec::new();
    let own = |r: &&Row| r.line.kind.starts_with("ledger_");
    let all_own = rows.iter().all(|r| own(&r));
    let counted = rows.iter().filter(|r| all_own || !own(r));
    for name in counted.flat_map(|r| r.line.body.keys()).filter(|n| !n.starts_with('_')) {
        match names.iter_mut().find(|(known, _)| known == name) {
            Some((_, count)) => *count += 1,
            None => names.push((name, 1)),
        }
    }
    let is_filter = |name: &str| filters.contains(&name);
    names.sort_by_key(|(name, count)| std::cmp::Reverse((is_filter(name), *count)));
    names.truncate(BODY_COLUMNS_MAX);
    let opened: BTreeSet<&String> =
        rows.iter().flat_map(|r| r.private.iter().flat_map(Map::keys)).collect();
    let header = ["receipt", "type", "at"].into_iter().chain(names.iter().map(|(n, _)| *n));
    let mut table = Table::new(header.chain(opened.iter().map(|n| n.as_str())));
    for row in rows {
        let line = &row.line;
        let fixed =
            [format!("{}/{}", line.scroll, line.seq), line.kind.clone(), line.at.to_string()];
        let body = names.iter().map(|(n, _)| line.body.get(*n).map(cell).unwrap_or_default());
        let private = |name: &&String| row.private.as_ref().and_then(|p| p.get(*name));
        let private = opened.iter().map(|n| private(n).map(cell).unwrap_or_default());
        table.row(fixed.into_iter().chain(body).chain(private));
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
        screen.line(&format!("  {name:<16}  {value}"))?;
    }
    screen.toned(Tone::Strong, "body", "")?;
    for (name, value) in line.body.iter().filter(|(name, _)| *name != SD) {
        screen.line(&format!("  {name:<16}  {}", cell(value)))?;
    }
    private(screen, row)
}

/// Private values stand in the body as digests; the owner may see those that this home can open.
fn private(screen: &mut Screen<'_>, row: &Row) -> Result<(), Stop> {
    let digests = digests(&row.line.body).len();
    let Some(opened) = &row.private else {
        return match digests {
            0 => Ok(()),
            n => screen
                .line(&format!("  {:<18}{n} as salted digests; --private shows them", "private")),
        };
    };
    screen.toned(Tone::Strong, "private", "")?;
    for (name, value) in opened {
        screen.line(&format!("  {name:<16}  {}", cell(value)))?;
    }
    let values = |v: &Value| v.as_array().map_or(1, Vec::len);
    match digests.saturating_sub(opened.values().map(values).sum()) {
        0 => Ok(()),
        n => screen.line(&format!("  {n} more: not given, withheld or erased")),
    }
}
