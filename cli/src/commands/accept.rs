//! `vm accept-cut` and `vm clock accept`: a person takes responsibility, and a receipt says so.

use crate::commands::required;
use crate::exit::{OK, Stop};
use crate::screen::Tone;
use crate::session::Session;
use clap::ArgMatches;

/// Sets damaged lines aside.
pub fn cut(session: &mut Session<'_>, given: &ArgMatches) -> Result<u8, Stop> {
    let scroll = required(given, "scroll");
    session.in_home(|screen, ledger| {
        let notes = ledger.writer().accept_cut(scroll)?;
        match screen.json {
            true => screen.document(&serde_json::json!({"scroll": scroll, "notes": notes}))?,
            false => {
                screen.toned(
                    Tone::Good,
                    "cut accepted",
                    &format!("  {scroll}; a receipt says so"),
                )?;
                notes.iter().try_for_each(|note| screen.line(&format!("  {note}")))?;
            }
        }
        Ok(OK)
    })
}

/// Accepts a clock that jumped ahead.
pub fn clock(session: &mut Session<'_>) -> Result<u8, Stop> {
    session.in_home(|screen, ledger| {
        let left = ledger.writer().accept_clock()?;
        match screen.json {
            true => screen.document(&serde_json::json!({"receipts": left}))?,
            false => {
                let rest = match left {
                    1 => "  a receipt says so".to_owned(),
                    _ => format!("  {left} receipts say so"),
                };
                screen.toned(Tone::Good, "clock accepted", &rest)?
            }
        }
        Ok(OK)
    })
}
