//! `vm status`: what the home holds.

use crate::config::Loaded;
use crate::exit::{OK, Stop};
use crate::session::Session;
use crate::table::Table;
use vm_ledger::heads::Head;
use vm_scrolls::base64;

/// Prints ledger, origin and the end of every scroll.
pub fn run(session: &mut Session<'_>) -> Result<u8, Stop> {
    let loaded = Loaded::of_home(&session.flags)?;
    let guard = loaded.guard()?.display().to_string();
    let settings = loaded.settings();
    session.in_home(|screen, ledger| {
        let heads = ledger.writer().heads();
        if screen.json {
            let document = serde_json::json!({
                "home": loaded.home.display().to_string(),
                "ledger": settings.ledger, "domain": settings.domain, "node": settings.node, "demo": settings.demo,
                "guard": guard,
                "scrolls": heads.iter().map(to_json).collect::<Vec<_>>(),
            });
            screen.document(&document)?;
            return Ok(OK);
        }
        screen.line(&format!("home    {}", loaded.home.display()))?;
        screen.line(&format!("ledger  {}", settings.ledger))?;
        screen.line(&format!("origin  {}/{}/<scroll>", settings.domain, settings.node))?;
        screen.line(&format!("guard   {guard}"))?;
        if settings.demo {
            screen.line("demo    every receipt says that this is a demonstration")?;
        }
        if heads.is_empty() {
            screen.line("There are no receipts yet.")?;
        }
        let mut table = Table::new(["scroll", "receipts", "last at", "root", "writable"]);
        for head in &heads {
            let at = head.at.map(|at| at.to_string()).unwrap_or_default();
            let writable = head.read_only.as_ref().map_or("yes".into(), |r| format!("no: {}", r.message));
            table.row([head.scroll.clone(), head.size.to_string(), at, base64::encode(head.root), writable]);
        }
        screen.table(&table)?;
        Ok(OK)
    })
}

fn to_json(head: &Head) -> serde_json::Value {
    serde_json::json!({
        "scroll": head.scroll,
        "origin": head.origin,
        "size": head.size,
        "root": base64::encode(head.root),
        "at": head.at.map(|at| at.to_string()),
        "read_only": head.read_only.as_ref().map(|r| serde_json::json!({"code": r.code, "message": r.message, "hint": r.hint})),
    })
}
