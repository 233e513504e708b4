//! The books: a journal imported, one receipt proved, one bit of it forged, one memo shown.

use super::desk::{Desk, copy, flip, hand_over, text, title};
use std::path::Path;

/// The first file of the scroll, in a home.
const LINES: &str = "receipts/treasury/00000000000000000000.jsonl";

/// Makes the home, takes in the journal, and proves one receipt in it.
pub fn keep(desk: &Desk, journal: &Path) -> Result<(), String> {
    title("A new ledger home, marked as a demonstration");
    desk.vm(&["init", "--demo", "--domain", "demo.example", "--node", "desk"])?;

    title("A year of bookkeeping, each posting a pair of signed receipts");
    desk.vm(&["treasury", "import", &text(journal)])?;
    desk.vm(&["treasury", "trial-balance"])?;

    title("One receipt");
    let receipt = newest_debit(desk)?;
    desk.vm(&["receipt", "show", &receipt])?;

    title("Its proof, verified in a directory that holds nothing else but a file of public keys");
    let proof = desk.auditor.join("RECEIPT.json");
    desk.vm(&["prove", &receipt, "--output", &text(&proof)])?;
    hand_over(&desk.home.join("keys/trust.txt"), &desk.auditor.join("trust.txt"))?;
    desk.audit("RECEIPT.json")?;

    title("The whole home, verified from its bytes");
    let trust = text(&desk.home.join("keys/trust.txt"));
    desk.vm(&["verify", &text(&desk.home), "--trust", &trust])
}

/// Flips one bit in the middle of a copy of the home and shows what an auditor is told.
pub fn forge(desk: &Desk) -> Result<(), String> {
    title("One bit of one byte changed, in a copy of the home");
    let forged = desk.forged.join("home");
    copy(&desk.home, &forged)?;
    let at = flip(&forged.join(LINES))?;
    println!("(byte {at} of {LINES})");
    desk.catch(&forged)
}

/// A receipt holds only a digest of its memo; its owner shows the text to one auditor.
pub fn disclose(desk: &Desk) -> Result<(), String> {
    title(
        "A private memo: the receipt holds a salted digest, and the owner shows the text to one auditor",
    );
    for (account, class) in [("demo:till", "asset"), ("demo:dues", "income")] {
        let open = ["treasury", "account-open", "--account", account, "--asset", "EUR"];
        desk.ask(&[&open[..], &["--class", class]].concat())?;
    }
    let transfer = ["treasury", "transfer", "--debit", "demo:till", "--credit", "demo:dues"];
    let memo = ["--asset", "EUR", "--amount", "60.00", "--memo", "dues of Ada Lovelace, May"];
    desk.ask(&[&transfer[..], &memo].concat())?;
    let receipt = newest_debit(desk)?;
    let proof = desk.auditor.join("MEMO.json");
    desk.vm(&["prove", &receipt, "--disclose", "memo", "--output", &text(&proof)])?;
    desk.audit("MEMO.json")
}

/// The last debit, found by a query.
fn newest_debit(desk: &Desk) -> Result<String, String> {
    let query = ["query", "treasury", "type=treasury_debit"];
    let said = desk.ask(&[&query[..], &["--order", "desc", "--limit", "1", "--json"]].concat())?;
    let after = said.split("\"seq\":").nth(1).unwrap_or_default();
    let seq: String = after.trim_start().chars().take_while(char::is_ascii_digit).collect();
    match seq.is_empty() {
        true => Err(format!("the query found no transfer: {said}")),
        false => Ok(format!("treasury/{seq}")),
    }
}
