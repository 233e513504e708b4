//! `vm config explain`: every setting, its value, and where that comes from.

use crate::config::{KEYS, Loaded};
use crate::exit::{OK, Stop};
use crate::session::Session;
use crate::table::Table;

/// Prints the settings. Works before a home was made, too.
pub fn explain(session: &mut Session<'_>) -> Result<u8, Stop> {
    let loaded = Loaded::read(&session.flags)?;
    let mut rows = vec![(
        "home".to_owned(),
        loaded.home.display().to_string(),
        loaded.home_source.clone(),
        "the ledger's directory",
    )];
    for (key, about) in KEYS {
        rows.push((key.to_owned(), loaded.value(key)?, loaded.source(key), about));
    }
    if session.screen.json {
        let one = |(key, value, source, about): &(String, String, String, &str)| serde_json::json!({"key": key, "value": value, "source": source, "about": about});
        let settings: Vec<_> = rows.iter().map(one).collect();
        session.screen.document(&serde_json::json!({"settings": settings}))?;
        return Ok(OK);
    }
    let mut table = Table::new(["setting", "value", "source", "what it is"]);
    for (key, value, source, about) in rows {
        table.row([key, value, source, about.to_owned()]);
    }
    session.screen.table(&table)?;
    Ok(OK)
}
