//! The configuration file that `vm init` writes.

use super::{Config, LedgerSection};

/// The text of a new `vaultmesh.toml`.
pub fn text(config: &Config) -> String {
    let LedgerSection { id, domain, node, demo } = &config.ledger;
    let guard = config.guard.as_ref().map_or(String::new(), |dir| {
        let dir = dir.display().to_string().replace('\\', "\\\\").replace('"', "\\\"");
        format!("# Directory of the second copy of signed-state, outside the home.\nguard = \"{dir}\"\n\n")
    });
    format!(
        "# Settings of this VaultMesh home. `vm config explain` names each value and where it comes from.\n\n\
         {guard}[ledger]\n\
         # Drawn once. Receipts and signed-state name it; keep it as it is.\n\
         id = \"{id}\"\n\
         # Checkpoints are signed as <domain>/<node>/<scroll>.\n\
         domain = \"{domain}\"\n\
         node = \"{node}\"\n\
         demo = {demo}\n\n\
         [lock]\n\
         # How long a command waits for another owner of this home.\n\
         wait_seconds = {}\n",
        config.lock.wait_seconds
    )
}
