//! What reading a line back costs, on one core.

use crate::home;
use crate::machine::{Machine, rate};
use crate::row::Row;
use vm_ledger::home::Owned;
use vm_receipts::json;
use vm_receipts::key::PublicKey;
use vm_receipts::line::{self, Line};
use vm_scrolls::tree;

/// Bytes a second and core at 300,000 lines of 700 bytes.
const HASHED_BYTES: f64 = 300_000.0 * 700.0;

/// A real line of the treasury: checked, hashed, read, verified.
pub fn rows(machine: &Machine, owned: &Owned) -> Result<Vec<Row>, String> {
    let last = home::size(owned) - 1;
    let bytes = owned.ledger.prove("treasury", last).map_err(|e| e.to_string())?.line;
    let issuer = Line::parse(&bytes).map_err(|e| e.to_string())?.issuer;
    let key = PublicKey::from_did(&issuer).map_err(|e| e.to_string())?;
    let check =
        rate(|| json::check_canonical(std::hint::black_box(&bytes)).expect("it is canonical"));
    let hash = rate(|| {
        json::check_canonical(std::hint::black_box(&bytes)).expect("it is canonical");
        std::hint::black_box(tree::leaf_hash(&bytes));
    });
    let parse = rate(|| {
        std::hint::black_box(Line::parse(std::hint::black_box(&bytes)).expect("it reads"));
    });
    let seal =
        rate(|| line::verify_proof(std::hint::black_box(&bytes), &key).expect("it is sealed"));
    let limit = HASHED_BYTES / bytes.len() as f64;
    Ok(vec![
        Row::plain("line_bytes", bytes.len() as f64, "bytes"),
        Row::plain("canonical_check", check, "lines/s and core"),
        Row::plain("canonical_check_and_leaf_hash", hash, "lines/s and core")
            .beside(limit)
            .goal("300,000 lines of 700 bytes a second and core", hash >= limit),
        Row::plain("line_parse", parse, "lines/s and core"),
        Row::plain("line_verify_seal", seal, "lines/s and core").beside(machine.verify),
    ])
}
