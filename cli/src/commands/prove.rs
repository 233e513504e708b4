//! `vm prove`: one receipt with everything an outsider needs, as PROOF.json or as a C2SP tlog-proof.

use crate::commands::receipt::find;
use crate::commands::{required, text};
use crate::exit::{OK, Stop};
use crate::screen::Screen;
use crate::session::Session;
use clap::ArgMatches;
use std::path::Path;
use vm_contracts::{Refusal, RefusalKind};
use vm_ledger::{Ledger, Proven, Reveal, Show};
use vm_scrolls::proof::{PROOF_BYTES_MAX, Proof, verify};
use vm_scrolls::tlog_proof::TlogProof;
use vm_scrolls::trust::Trust;

/// Writes the proof to a file or to standard output.
pub fn run(session: &mut Session<'_>, given: &ArgMatches) -> Result<u8, Stop> {
    let name = required(given, "receipt");
    let output = text(given, "output");
    let tlog = given.get_flag("tlog-proof");
    let show = show(given);
    session.in_home(|screen, ledger| {
        let (scroll, seq) = only(find(ledger, name)?, name)?;
        if tlog {
            let proven = ledger.prove(&scroll, seq)?;
            return tlog_proof(screen, &proven, (&scroll, seq), output);
        }
        let (bytes, shown) = proof(ledger, &scroll, seq, &show)?;
        if !shown.is_empty() {
            screen.note(&format!("this file shows: {}", shown.join(", ")));
        }
        match output {
            // A PROOF.json is a JSON document as it is.
            None => screen.raw(&bytes)?,
            Some(path) => {
                screen.put_out(path, &bytes)?;
                written(screen, (&scroll, seq), &[path.to_owned()], &shown)?;
            }
        }
        Ok(OK)
    })
}

/// Which files and private values the command line asks for.
fn show(given: &ArgMatches) -> Show {
    let many = |name| given.get_many::<String>(name).map(|all| all.cloned().collect::<Vec<_>>());
    let reveal = match (given.get_flag("disclose-all"), many("disclose")) {
        (true, _) => Reveal::All,
        (false, Some(names)) => Reveal::Names(names),
        (false, None) => Reveal::Nothing,
    };
    Show { artifacts: many("artifact"), reveal }
}

/// The file, and the names of the private values that it opens. What is written reads back.
fn proof(
    ledger: &Ledger,
    scroll: &str,
    seq: u64,
    show: &Show,
) -> Result<(Vec<u8>, Vec<String>), Stop> {
    let proof = ledger.proof(scroll, seq, show)?;
    let bytes = proof.to_bytes();
    if let Err(e) = Proof::parse(&bytes) {
        let what = format!("the proof of {scroll}/{seq} would not read back: {e}");
        return Err(Refusal::new("too_large", RefusalKind::TooLarge, what)
            .field("artifact")
            .hint(format!("A proof has at most {PROOF_BYTES_MAX} bytes: name fewer files with --artifact, or disclose less."))
            .into());
    }
    // Only the names are wanted here; whom to trust is the verifier's question.
    let shown = verify(&proof, &Trust::default()).disclosed;
    Ok((bytes, shown))
}

fn written(
    screen: &mut Screen<'_>,
    (scroll, seq): (&str, u64),
    files: &[String],
    shown: &[String],
) -> Result<(), Stop> {
    match screen.json {
        true => screen.document(
            &serde_json::json!({"scroll": scroll, "seq": seq, "files": files, "disclosed": shown}),
        ),
        false => screen.line(&format!("proof of {scroll}/{seq} in {}", files.join(" and "))),
    }
}

/// A tlog-proof is text and comes with its line.
fn tlog_proof(
    screen: &mut Screen<'_>,
    proven: &Proven,
    place: (&str, u64),
    output: Option<&str>,
) -> Result<u8, Stop> {
    let proof = TlogProof {
        extra: None,
        index: proven.seq,
        hashes: proven.path.clone(),
        checkpoint: proven.checkpoint.clone(),
    };
    let text = proof.to_string();
    match output {
        Some(path) => {
            let line = line_path(path);
            screen.put_out(path, text.as_bytes())?;
            screen.put_out(&line, &proven.line)?;
            written(screen, place, &[path.to_owned(), line], &[])?;
        }
        None if screen.json => screen.document(&serde_json::json!({
            "tlog_proof": text,
            "line": String::from_utf8_lossy(&proven.line),
        }))?,
        None => screen.raw(text.as_bytes())?,
    }
    Ok(OK)
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

/// Where the line of a tlog-proof stands: beside it, with the ending `.line`.
pub fn line_path(path: &str) -> String {
    Path::new(path).with_extension("line").display().to_string()
}
