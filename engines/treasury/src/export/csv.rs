//! The ledger as comma-separated values, one line for each side of each transfer (RFC 4180).

use vm_contracts::{Export, Exporter, Failure, History};

use crate::state::{State, text};

/// Writes CSV.
pub struct Csv;

/// The columns, in order.
const COLUMNS: [&str; 13] = [
    "seq",
    "at",
    "effective_at",
    "transfer_id",
    "account",
    "counterparty",
    "asset",
    "debit",
    "credit",
    "phase",
    "code",
    "memo",
    "link",
];

impl Exporter<State> for Csv {
    fn format(&self) -> &'static str {
        "csv"
    }

    fn about(&self) -> &'static str {
        "Comma-separated values, one line for each debit and credit"
    }

    fn write(&self, _state: &State, history: &mut dyn History) -> Result<Export, Failure> {
        let mut out = COLUMNS.join(",");
        out.push_str("\r\n");
        history.scan_opened(&[], &mut |line, opened| {
            let credit = match line.kind.as_str() {
                "treasury_debit" => false,
                "treasury_credit" => true,
                _ => return true,
            };
            let field = |name: &str| text(&line.body, name).unwrap_or_default().to_owned();
            let cells = COLUMNS.map(|name| match name {
                "seq" => line.seq.to_string(),
                "at" => line.at.to_string(),
                "memo" => text(opened, name).unwrap_or_default().to_owned(),
                "debit" => {
                    if credit {
                        String::new()
                    } else {
                        field("amount")
                    }
                }
                "credit" => {
                    if credit {
                        field("amount")
                    } else {
                        String::new()
                    }
                }
                other => field(other),
            });
            out.push_str(&cells.map(|cell| quoted(&cell)).join(","));
            out.push_str("\r\n");
            true
        })?;
        Ok(Export { text: out, notices: Vec::new() })
    }
}

/// A cell; one that a spreadsheet would take for a formula is kept a text by a leading apostrophe.
fn quoted(cell: &str) -> String {
    let guarded = match cell.starts_with(['=', '+', '-', '@', '\t']) {
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
    use crate::testing::Bench;
    use serde_json::json;

    #[test]
    fn each_side_is_one_line_and_no_cell_is_a_formula() {
        let mut bench = Bench::new();
        bench.two("a", "b");
        bench.ok("transfer", json!({"debit": "a", "credit": "b", "asset": "EUR", "amount": "7", "memo": "=1+1, \"x\""}));
        let text = bench.export("csv").text;
        let lines: Vec<&str> = text.split("\r\n").collect();
        assert_eq!(lines.len(), 4);
        assert!(lines[1].contains(",7.00,,posted,,\"'=1+1, \"\"x\"\"\","), "{}", lines[1]);
        assert!(lines[2].contains(",,7.00,posted,"), "{}", lines[2]);
        bench.erase(|line| line.kind == "treasury_debit");
        let text = bench.export("csv").text;
        let lines: Vec<&str> = text.split("\r\n").collect();
        assert!(lines[1].ends_with(",7.00,,posted,,,"), "{}", lines[1]);
        assert!(lines[2].ends_with(",\"'=1+1, \"\"x\"\"\","), "{}", lines[2]);
    }
}
