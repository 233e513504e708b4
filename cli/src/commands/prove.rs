//! `vm prove`: one receipt with everything an outsider needs, as PROOF.json or as a C2SP tlog-proof.

use crate::commands::receipt::find;
use crate::commands::{required, text};
use crate::exit::{OK, Stop};
use crate::screen::put_out;
use crate::session::Session;
use clap::ArgMatches;
use std::path::Path;
use vm_contracts::{Fault, Refusal};
use vm_ledger::Proven;
use vm_scrolls::proof::Proof;
use vm_scrolls::tlog_proof::TlogProof;

/// Writes the proof to a file or to standard output.
pub fn run(session: &mut Session<'_>, given: &ArgMatches) -> Result<u8, Stop> {
    let name = required(given, "receipt");
    let output = text(given, "output");
    let tlog = given.get_flag("tlog-proof");
    session.in_home(|screen, ledger| {
        let (scroll, seq) = only(find(ledger, name)?, name)?;
        let proven = ledger.prove(&scroll, seq)?;
        let bytes = if tlog { tlog_proof(&proven) } else { proof(&proven)? };
        let Some(path) = output else {
            // A PROOF.json is a JSON document as it is; a tlog-proof is text and comes with its line.
            match tlog && screen.json {
                true => screen.document(&serde_json::json!({
                    "tlog_proof": String::from_utf8_lossy(&bytes),
                    "line": String::from_utf8_lossy(&proven.line),
                }))?,
                false => screen.raw(&bytes)?,
            }
            return Ok(OK);
        };
        let mut files = vec![path.to_owned()];
        put_out(path, &bytes)?;
        if tlog {
            let line = line_path(path);
            put_out(&line, &proven.line)?;
            files.push(line);
        }
        match screen.json {
            true => screen
                .document(&serde_json::json!({"scroll": scroll, "seq": seq, "files": files}))?,
            false => screen.line(&format!("proof of {scroll}/{seq} in {}", files.join(" and ")))?,
        }
        Ok(OK)
    })
}

fn only(mut found: Vec<(String, u64)>, name: &str) -> Result<(String, u64), Refusal> {
    if found.len() > 1 {
        let each: Vec<String> =
            found.iter().map(|(scroll, seq)| format!("{scroll}/{seq}")).collect();
        let what = format!("{name} left {} receipts; a proof is of one", each.len());
        return Err(Refusal::conflict("ambiguous_receipt", what)
            .field("receipt")
            .hint(format!("Name one: {}.", each.join(", "))));
    }
    Ok(found.remove(0))
}

fn proof(proven: &Proven) -> Result<Vec<u8>, Fault> {
    let line = String::from_utf8(proven.line.clone())
        .map_err(|_| Fault::new("line_unreadable", "the line is not UTF-8 any more"))?;
    Ok(Proof::new(line, proven.seq, proven.path.clone(), proven.checkpoint.clone()).to_bytes())
}

fn tlog_proof(proven: &Proven) -> Vec<u8> {
    let proof = TlogProof {
        extra: None,
        index: proven.seq,
        hashes: proven.path.clone(),
        checkpoint: proven.checkpoint.clone(),
    };
    proof.to_string().into_bytes()
}

/// Where the line of a tlog-proof stands: beside it, with the ending `.line`.
pub fn line_path(path: &str) -> String {
    Path::new(path).with_extension("line").display().to_string()
}
