//! `vm record`: any file or statement as evidence.

use super::examine::ENGINE;
use crate::answer::call;
use crate::commands::operate::{FAULT, Outcome, carry_out};
use crate::commands::{required, text};
use crate::exit::{self, OK, Stop};
use crate::screen::Screen;
use crate::session::Session;
use crate::sources;
use clap::ArgMatches;
use std::io::Read;
use std::path::Path;
use vm_console::keyed;
use vm_console::ops::TEXT_BYTES_MAX;
use vm_console::read::text::kept;
use vm_contracts::{Fault, Map, Value};

/// The operation.
const VERB: &str = "evidence";
/// Longest name of a file.
const NAME_BYTES_MAX: usize = 512;
/// Bytes read at a time.
const PIECE: usize = 64 << 10;

/// Takes the file in, and prints where its receipt stands.
pub fn run(session: &mut Session<'_>, given: &ArgMatches) -> Result<u8, Stop> {
    let engine = session.engine(ENGINE)?;
    let file = required(given, "file");
    // Read once before anything is written, so that a file that is not there leaves no receipt, and a file that
    // changes meanwhile is noticed.
    let digest = digest(&mut session.screen, file)?;
    let tags = given.get_many::<String>("tag").unwrap_or_default().cloned().collect();
    let id = text(given, "id").map_or_else(|| session.id.clone(), str::to_owned);
    let actor = session.actor()?;
    let home = session.home()?;
    session.in_home(|screen, ledger| {
        let key = ledger.import_key().map_err(Stop::from)?;
        let call = vm_contracts::Call {
            id: Some(id),
            actor,
            surface: "cli".into(),
            engine: ENGINE.into(),
            verb: VERB.into(),
            intent: intent(given, file, digest, &key),
            tags,
        };
        let Outcome::Sealed(sealing) = carry_out(ledger, engine, call)? else {
            return Err(Fault::new("serve_failed", "evidence was not taken in in one go").into());
        };
        call::print_sealing(screen, &sealing, &home)?;
        Ok(if call::is_aborted(&sealing.answer)? { FAULT } else { OK })
    })
}

fn intent(
    given: &ArgMatches,
    file: &str,
    digest: String,
    key: &keyed::HomeKey,
) -> Map<String, Value> {
    let mut intent = Map::new();
    let mut put = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            intent.insert(name.to_owned(), value);
        }
    };
    let own = Path::new(file).file_name().and_then(|n| n.to_str()).filter(|_| file != "-");
    let clean = |text: &str, max: usize| Value::from(kept(text, max));
    put("evidence_type", text(given, "type").map(Value::from));
    put("source", Some(file.into()));
    put("name", text(given, "name").or(own).map(|name| clean(name, NAME_BYTES_MAX)));
    put("media_type", text(given, "media-type").map(Value::from));
    put("keep", given.get_flag("no-keep").then_some(Value::Bool(false)));
    put("session_id", text(given, "session").map(|raw| keyed::session_id(key, raw).into()));
    put("call_id", text(given, "call").map(|raw| keyed::call_id(key, raw).into()));
    put("note", text(given, "note").map(|note| clean(note, TEXT_BYTES_MAX)));
    put("content_hash", Some(digest.into()));
    put("observed_by", text(given, "observed-by").map(Value::from));
    intent
}

/// The digest of the file; standard input is held for the call that comes.
fn digest(screen: &mut Screen<'_>, file: &str) -> Result<String, Stop> {
    let mut hasher = blake3::Hasher::new();
    if file == "-" {
        let bytes = screen.take_in(file)?;
        hasher.update(&bytes);
        sources::hold(bytes);
    } else {
        let unreadable = |e| Stop::from(exit::unreadable(file, &e));
        let mut from = sources::open_file(&screen.paths.find(file)).map_err(unreadable)?;
        let mut piece = vec![0; PIECE];
        loop {
            match from.read(&mut piece) {
                Ok(0) => break,
                Ok(count) => drop(hasher.update(&piece[..count])),
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
                Err(e) => return Err(unreadable(e)),
            }
        }
    }
    Ok(format!("blake3:{}", hasher.finalize().to_hex()))
}
