//! `vm receipt show`, and how a receipt is named on the command line.

use crate::answer::receipt::{Row, show};
use crate::commands::required;
use crate::exit::{OK, Stop};
use crate::session::Session;
use clap::ArgMatches;
use vm_contracts::Refusal;
use vm_ledger::Ledger;

/// Shows one receipt, or all that a call left.
pub fn run(session: &mut Session<'_>, given: &ArgMatches) -> Result<u8, Stop> {
    let name = required(given, "receipt");
    session.in_home(|screen, ledger| {
        let mut rows = Vec::new();
        for (scroll, seq) in find(ledger, name)? {
            let mut row = read(ledger, &scroll, seq)?;
            if given.get_flag("private") {
                row.open(ledger)?;
            }
            rows.push(row);
        }
        if screen.json {
            let receipts: Vec<_> = rows.iter().map(Row::to_json).collect();
            screen.document(&serde_json::json!({"receipts": receipts}))?;
            return Ok(OK);
        }
        for row in &rows {
            show(screen, row)?;
        }
        Ok(OK)
    })
}

/// The places that `SCROLL/SEQ` or the id of a call names.
pub fn find(ledger: &Ledger, name: &str) -> Result<Vec<(String, u64)>, Stop> {
    if let Some((scroll, seq)) = name.rsplit_once('/') {
        let seq = seq.parse::<u64>().map_err(|_| {
            Refusal::malformed("bad_reference", format!("{name:?} does not name a receipt"))
                .field("receipt")
                .hint("Write SCROLL/SEQ such as treasury/12, or the id of a call.")
        })?;
        return Ok(vec![(scroll.to_owned(), seq)]);
    }
    let mut found = Vec::new();
    let heads = ledger.writer().heads();
    for head in &heads {
        if let Some((first, of)) = ledger.find(&head.scroll, name)? {
            found.extend((first..first + u64::from(of)).map(|seq| (head.scroll.clone(), seq)));
        }
    }
    match found.is_empty() {
        false => Ok(found),
        true => {
            let what = format!("no call of this ledger has the id {name:?}");
            Err(Refusal::not_found("no_such_receipt", what)
                .hint("Write SCROLL/SEQ such as treasury/12, or the id of a call.")
                .into())
        }
    }
}

/// One line.
pub fn read(ledger: &Ledger, scroll: &str, seq: u64) -> Result<Row, Stop> {
    let mut found = None;
    ledger.lines(scroll, seq, &mut |bytes, line| {
        found = Some(Row::new(line.clone(), bytes.to_vec()));
        false
    })?;
    found.ok_or_else(|| {
        Refusal::not_found("no_such_receipt", format!("there is no receipt {scroll}/{seq}")).into()
    })
}
