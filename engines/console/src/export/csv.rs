//! Every receipt as comma-separated values (RFC 4180), the private texts opened.

use vm_contracts::{Export, Exporter, Failure, History, Map, Value};

use super::PRIVATE;
use crate::state::State;

/// Writes CSV.
pub struct Csv;

/// The columns, in order: the envelope, then fields of bodies.
const COLUMNS: [&str; 34] = [
    "seq",
    "at",
    "effective_at",
    "type",
    "actor",
    "observed_by",
    "session_id",
    "parent_session_id",
    "child_session_id",
    "agent_type",
    "model_id",
    "call_id",
    "phase",
    "tool_name",
    "command",
    "params",
    "cwd",
    "exit_code",
    "is_error",
    "duration_ms",
    "file_path",
    "file_id",
    "edit_type",
    "new_hash",
    "external_change",
    "denied",
    "verdict",
    "rule",
    "approval_id",
    "approved",
    "approver",
    "reason",
    "commit_hash",
    "explained_ratio_bp",
];

impl Exporter<State> for Csv {
    fn format(&self) -> &'static str {
        "csv"
    }

    fn about(&self) -> &'static str {
        "Comma-separated values, one line for each receipt"
    }

    fn write(&self, _state: &State, history: &mut dyn History) -> Result<Export, Failure> {
        let mut out = COLUMNS.join(",");
        out.push_str("\r\n");
        let mut any = false;
        history.scan_opened(&[], &mut |line, opened| {
            if !line.kind.starts_with("console_") {
                return true;
            }
            any = true;
            let cells = COLUMNS.map(|name| match name {
                "seq" => line.seq.to_string(),
                "at" => line.at.to_string(),
                "type" => line.kind.clone(),
                "actor" => line.actor.clone(),
                name => field(&line.body, opened, name),
            });
            out.push_str(&cells.map(|cell| quoted(&cell)).join(","));
            out.push_str("\r\n");
            true
        })?;
        let notices = if any { vec![PRIVATE.to_owned()] } else { Vec::new() };
        Ok(Export { text: out, notices })
    }
}

fn field(body: &Map<String, Value>, opened: &Map<String, Value>, name: &str) -> String {
    match body.get(name).or_else(|| opened.get(name)) {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}

/// A cell; one that a spreadsheet would take for a formula is kept a text by a leading apostrophe. Numbers of ours may
/// be negative and stay numbers.
fn quoted(cell: &str) -> String {
    let is_number = cell.parse::<i64>().is_ok();
    let guarded = match cell.starts_with(['=', '+', '-', '@', '\t']) && !is_number {
        true => format!("'{cell}"),
        false => cell.to_owned(),
    };
    match guarded.contains([',', '"', '\n', '\r']) {
        true => format!("\"{}\"", guarded.replace('"', "\"\"")),
        false => guarded,
    }
}

#[cfg(test)]
mod tests {
    use super::{COLUMNS, quoted};
    use crate::testing::Bench;
    use serde_json::json;

    #[test]
    fn each_receipt_is_a_line_with_all_columns_and_no_formula() {
        let mut bench = Bench::new();
        bench.start("s");
        bench.ok(
            "command",
            json!({"session_id": "s", "call_id": "c", "phase": "whole", "command": "=1+1, \"x\"", "exit_code": -1, "observed_by": "hook"}),
        );
        let text = bench.export("csv").text;
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 3);
        assert!(lines[2].contains(",\"'=1+1, \"\"x\"\"\",") && lines[2].contains(",-1,"), "{text}");
        assert_eq!(lines[0].split(',').count(), COLUMNS.len());
        bench.forget();
        assert!(!bench.export("csv").text.contains("1+1"));
        assert_eq!(quoted("@x"), "'@x");
    }
}
