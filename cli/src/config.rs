//! Configuration: defaults, then `vaultmesh.toml` in the home, then `VM_*` of the environment, then flags.
//!
//! Each layer is kept, so that `vm config explain` can name the source of every value. Unknown keys are refused.

mod text;

pub use text::text;

use crate::exit::unreadable;
use crate::suggest::nearest;
use figment::Figment;
use figment::providers::{Env, Format, Serialized, Toml};
use serde::{Deserialize, Serialize};
use std::env;
use std::io;
use std::path::{Path, PathBuf};
use vm_console::policy::Rule;
use vm_contracts::{Failure, Refusal};
use vm_ledger::Settings;
use vm_receipts::line::is_id;
use vm_scrolls::checkpoint::is_origin;

/// Name of the configuration file in the home.
pub const FILE: &str = "vaultmesh.toml";
/// Prefix of the environment's variables; `__` stands between section and key.
pub const PREFIX: &str = "VM_";
/// Variables with the prefix that are no settings: the home, the session of an agent, and those of the test suites.
const NOT_SETTINGS: [&str; 8] =
    ["ACTOR_KEY", "HOME", "ROUNDS", "SEED", "SESSION", "SHARED", "SHARED_REQUIRED", "TELL"];
/// Longest wait for another owner of the home, in seconds.
pub const WAIT_SECONDS_MAX: u64 = 86_400;

/// Every setting, in the order `vm config explain` prints them, with one line of what it is.
pub const KEYS: [(&str, &str); 8] = [
    ("ledger.id", "id of this ledger, drawn by vm init; keep it"),
    ("ledger.domain", "first part of every checkpoint origin"),
    ("ledger.node", "second part of every checkpoint origin, and the node in every receipt"),
    ("ledger.demo", "whether every receipt says that this is a demonstration"),
    ("lock.wait_seconds", "how long a command waits for another owner of the home"),
    ("guard", "directory of the second copy of signed-state, outside the home"),
    ("console.starter", "whether hooks that guard also keep the starter list of rules"),
    ("console.rules", "what agents may do: rules with name, what, pattern, regex and verdict"),
];

/// All settings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Directory of the second copy of signed-state; relative to the home.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub guard: Option<PathBuf>,
    /// Who this ledger is.
    pub ledger: LedgerSection,
    /// Owning the home.
    pub lock: LockSection,
    /// What agents may do.
    #[serde(default)]
    pub console: ConsoleSection,
}

/// Section `[ledger]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LedgerSection {
    /// Ledger id.
    pub id: String,
    /// First part of every origin.
    pub domain: String,
    /// Second part of every origin.
    pub node: String,
    /// Whether this home is a demonstration.
    pub demo: bool,
}

/// Section `[lock]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LockSection {
    /// Seconds to wait for another owner.
    pub wait_seconds: u64,
}

/// Section `[console]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConsoleSection {
    /// Whether hooks that guard keep the starter list too.
    #[serde(default = "yes")]
    pub starter: bool,
    /// Rules, each `[[console.rules]]`.
    #[serde(default)]
    pub rules: Vec<Rule>,
}

fn yes() -> bool {
    true
}

impl Default for ConsoleSection {
    fn default() -> Self {
        Self { starter: true, rules: Vec::new() }
    }
}

impl Default for Config {
    fn default() -> Self {
        let ledger = LedgerSection {
            id: String::new(),
            domain: "local".into(),
            node: "node-1".into(),
            demo: false,
        };
        let lock = LockSection { wait_seconds: 30 };
        Self { guard: None, ledger, lock, console: ConsoleSection::default() }
    }
}

/// What the command line itself sets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Flags {
    /// `--home`.
    pub home: Option<PathBuf>,
    /// `--wait`.
    pub wait_seconds: Option<u64>,
    /// `--actor-key`, or `$VM_ACTOR_KEY`.
    pub actor_key: Option<PathBuf>,
}

/// The configuration of one home with its layers.
#[derive(Clone)]
pub struct Loaded {
    /// The home.
    pub home: PathBuf,
    /// Where the home's path came from.
    pub home_source: String,
    /// The merged settings.
    pub config: Config,
    layers: Vec<(Layer, Figment)>,
}

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Layer {
    Default,
    File(PathBuf),
    Environment,
    Flag,
}

/// The home: `--home`, then `VM_HOME`, then the user's data directory. With it, where that came from.
pub fn home(flags: &Flags) -> Result<(PathBuf, String), Refusal> {
    if let Some(home) = &flags.home {
        return Ok((home.clone(), "flag --home".into()));
    }
    if let Some(home) = variable("VM_HOME") {
        return Ok((home, "environment VM_HOME".into()));
    }
    let (dir, source) = user_directory("XDG_DATA_HOME", ".local/share")?;
    Ok((dir.join("vaultmesh"), source))
}

fn variable(name: &str) -> Option<PathBuf> {
    env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from)
}

/// A directory of the XDG base directory specification; relative values are ignored, as it asks.
fn user_directory(name: &str, below_home: &str) -> Result<(PathBuf, String), Refusal> {
    if let Some(dir) = variable(name).filter(|d| d.is_absolute()) {
        return Ok((dir, format!("environment {name}")));
    }
    match variable("HOME") {
        Some(home) => Ok((home.join(below_home), "default, below HOME".into())),
        None => {
            Err(Refusal::malformed("no_user_directory", format!("neither {name} nor HOME is set"))
                .hint("Name the home with --home DIR."))
        }
    }
}

impl Loaded {
    /// Reads the configuration of the home that flags and environment name.
    pub fn read(flags: &Flags) -> Result<Self, Failure> {
        let (home, home_source) = home(flags)?;
        let file = home.join(FILE);
        let mut layers =
            vec![(Layer::Default, Figment::from(Serialized::defaults(Config::default())))];
        if file.is_file() {
            layers.push((Layer::File(file.clone()), Figment::from(Toml::file_exact(&file))));
        }
        let variables = Env::prefixed(PREFIX).ignore(&NOT_SETTINGS).split("__");
        layers.push((Layer::Environment, Figment::from(variables)));
        if let Some(seconds) = flags.wait_seconds {
            layers.push((
                Layer::Flag,
                Figment::from(Serialized::default("lock.wait_seconds", seconds)),
            ));
        }
        let merged = layers.iter().fold(Figment::new(), |all, (_, layer)| all.merge(layer.clone()));
        let config = merged.extract::<Config>().map_err(|e| refused(&e, &file))?;
        let loaded = Self { home, home_source, config, layers };
        loaded.check()?;
        Ok(loaded)
    }

    /// As [`read`](Self::read), and refuses a home that was never made.
    pub fn of_home(flags: &Flags) -> Result<Self, Failure> {
        let loaded = Self::read(flags)?;
        let file = loaded.home.join(FILE);
        match std::fs::metadata(&file) {
            Ok(found) if found.is_file() => {}
            Err(e) if e.kind() == io::ErrorKind::PermissionDenied => {
                return Err(unreadable(&file.display().to_string(), &e));
            }
            _ => return Err(no_home(&loaded.home).into()),
        }
        if loaded.config.ledger.id.is_empty() {
            let what = format!("{} does not say ledger.id", loaded.home.join(FILE).display());
            return Err(Refusal::malformed("bad_setting", what).field("ledger.id").into());
        }
        Ok(loaded)
    }

    fn check(&self) -> Result<(), Refusal> {
        let Config { ledger, lock, .. } = &self.config;
        if !ledger.id.is_empty() && !is_id(&ledger.id) {
            let what = "ledger.id has 1 to 64 characters of A-Z a-z 0-9 . _ -";
            return Err(Refusal::malformed("bad_setting", what).field("ledger.id"));
        }
        check_name("ledger.domain", &ledger.domain)?;
        check_name("ledger.node", &ledger.node)?;
        if lock.wait_seconds > WAIT_SECONDS_MAX {
            let what = format!("lock.wait_seconds is at most {WAIT_SECONDS_MAX}");
            return Err(Refusal::malformed("bad_setting", what).field("lock.wait_seconds"));
        }
        Ok(())
    }

    /// Where a setting's value came from, in words.
    pub fn source(&self, key: &str) -> String {
        let from = self.layers.iter().rev().find(|(_, layer)| layer.find_value(key).is_ok());
        match from.map(|(layer, _)| layer) {
            Some(Layer::File(path)) => format!("file {}", path.display()),
            Some(Layer::Environment) => format!("environment {}", variable_name(key)),
            Some(Layer::Flag) => "flag --wait".into(),
            Some(Layer::Default) | None => "default".into(),
        }
    }

    /// A setting's value as text.
    pub fn value(&self, key: &str) -> Result<String, Failure> {
        let Config { ledger, lock, .. } = &self.config;
        Ok(match key {
            "ledger.id" => ledger.id.clone(),
            "ledger.domain" => ledger.domain.clone(),
            "ledger.node" => ledger.node.clone(),
            "ledger.demo" => ledger.demo.to_string(),
            "lock.wait_seconds" => lock.wait_seconds.to_string(),
            "console.starter" => self.config.console.starter.to_string(),
            "console.rules" => {
                let names = self.config.console.rules.iter().map(|r| r.name.as_str());
                names.collect::<Vec<_>>().join(", ")
            }
            _ => self.guard()?.display().to_string(),
        })
    }

    /// The guard directory: as configured, else below the user's state directory, one for each ledger.
    pub fn guard(&self) -> Result<PathBuf, Failure> {
        guard(&self.home, &self.config)
    }

    /// What the ledger needs to know of itself.
    pub fn settings(&self) -> Settings {
        settings(&self.config)
    }
}

/// A directory without configuration: most often no home, at times one that lost that file.
fn no_home(home: &Path) -> Refusal {
    let shown = home.display();
    match home.join("receipts").is_dir() {
        true => Refusal::not_found("no_home", format!("{shown} has receipts, but no {FILE}")).hint(
            format!(
                "Put {FILE} back from a backup, or write it again: [ledger] with id as each scroll's first receipt says, domain and node."
            ),
        ),
        false => {
            let what = format!("{shown} is no VaultMesh home: it has no {FILE}");
            Refusal::not_found("no_home", what)
                .hint("Make one with `vm init`, or name another with --home.")
        }
    }
}

/// The guard directory of a home with this configuration.
pub fn guard(home: &Path, config: &Config) -> Result<PathBuf, Failure> {
    match &config.guard {
        Some(dir) => Ok(home.join(dir)),
        None => {
            let (dir, _) = user_directory("XDG_STATE_HOME", ".local/state")?;
            Ok(dir.join("vaultmesh").join(&config.ledger.id))
        }
    }
}

/// What the ledger needs to know of itself.
pub fn settings(config: &Config) -> Settings {
    let LedgerSection { id, domain, node, demo } = config.ledger.clone();
    Settings { ledger: id, domain, node, demo }
}

/// Refuses a domain or node that cannot stand in an origin.
pub fn check_name(key: &str, name: &str) -> Result<(), Refusal> {
    const NAME_BYTES_MAX: usize = 100;
    let lower =
        |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'-' | b'_');
    let fits = !name.is_empty() && name.len() <= NAME_BYTES_MAX && name.bytes().all(lower);
    if fits && is_origin(name) {
        return Ok(());
    }
    let what = format!("{key} has 1 to {NAME_BYTES_MAX} characters of a-z 0-9 . _ -, not {name:?}");
    Err(Refusal::malformed("bad_setting", what).field(key))
}

/// The environment's name for a setting.
pub fn variable_name(key: &str) -> String {
    format!("{PREFIX}{}", key.replace('.', "__").to_uppercase())
}

fn refused(e: &figment::Error, file: &Path) -> Failure {
    use figment::error::Kind;
    let from_environment = e.metadata.as_ref().is_some_and(|m| m.name.contains("environment"));
    let key = |path: &[String]| path.join(".");
    let source = |key: &str| match from_environment {
        true => format!("environment {}", variable_name(key)),
        false => file.display().to_string(),
    };
    match &e.kind {
        Kind::UnknownField(name, _) => {
            let path = match e.path.last() == Some(name) {
                true => key(&e.path),
                false => key(&[e.path.clone(), vec![name.clone()]].concat()),
            };
            let known = KEYS.map(|(k, _)| k);
            let hint = match nearest(&path, known) {
                Some(near) => {
                    format!("Did you mean {near}? The settings are {}.", known.join(", "))
                }
                None => format!("The settings are {}.", known.join(", ")),
            };
            let what = format!("{}: there is no setting {path}", source(&path));
            Refusal::malformed("unknown_setting", what).field(path).hint(hint).into()
        }
        kind => {
            let path = key(&e.path);
            let place = if path.is_empty() { file.display().to_string() } else { source(&path) };
            let refusal = Refusal::malformed("bad_setting", format!("{place}: {}", in_words(kind)));
            if path.is_empty() { refusal.into() } else { refusal.field(path).into() }
        }
    }
}

/// What is wrong with a value or a file, on one line and without the words of the program's own types.
fn in_words(kind: &figment::error::Kind) -> String {
    let text = kind.to_string().replace("expected u64", "expected a whole number");
    let lines = text.lines().map(|l| l.trim().trim_matches('|').trim());
    lines.filter(|l| !l.is_empty() && *l != "^").collect::<Vec<_>>().join(": ")
}

/// Reads a configuration file alone, without environment and flags: the one in a backup.
pub fn read_file(path: &Path) -> Result<Config, Failure> {
    if !path.is_file() {
        let what = format!("there is no {}", path.display());
        return Err(Refusal::not_found("not_a_backup", what)
            .hint("Name the directory that `vm backup` wrote.")
            .into());
    }
    Figment::from(Serialized::defaults(Config::default()))
        .merge(Toml::file_exact(path))
        .extract()
        .map_err(|e| refused(&e, path))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(text: &str) -> (tempfile::TempDir, Flags) {
        let home = tempfile::tempdir().unwrap();
        std::fs::write(home.path().join(FILE), text).unwrap();
        let path = Some(home.path().to_owned());
        let flags = Flags { home: path, wait_seconds: None, actor_key: None };
        (home, flags)
    }

    fn config() -> Config {
        let mut config = Config::default();
        config.ledger.id = "018f".into();
        config
    }

    #[test]
    fn what_init_writes_reads_back() {
        let mut given = config();
        given.guard = Some("/g \"quoted\"".into());
        let (_home, flags) = write(&text(&given));
        assert_eq!(Loaded::of_home(&flags).map_err(|e| e.to_string()).unwrap().config, given);
    }

    #[test]
    fn each_value_names_its_source() {
        let (home, mut flags) = write("[ledger]\nid = \"x\"\ndomain = \"example.org\"\n");
        flags.wait_seconds = Some(2);
        let loaded = Loaded::read(&flags).map_err(|e| e.to_string()).unwrap();
        let file = format!("file {}", home.path().join(FILE).display());
        assert_eq!(loaded.source("ledger.domain"), file);
        assert_eq!(loaded.source("ledger.node"), "default");
        assert_eq!(loaded.source("lock.wait_seconds"), "flag --wait");
        assert_eq!(loaded.value("lock.wait_seconds").unwrap(), "2");
        assert_eq!(loaded.home_source, "flag --home");
    }

    #[test]
    fn an_unknown_key_is_refused_by_name_with_the_near_one() {
        let (_home, flags) = write("[ledger]\nid = \"x\"\ndomian = \"example.org\"\n");
        let Err(Failure::Refusal(r)) = Loaded::read(&flags) else { panic!("it must be refused") };
        assert_eq!(
            (r.code.as_str(), r.field.as_deref()),
            ("unknown_setting", Some("ledger.domian"))
        );
        assert!(r.hint.unwrap().contains("ledger.domain"), "{}", r.message);
    }

    #[test]
    fn a_file_that_does_not_read_is_told_on_one_line() {
        let (_home, flags) = write("[[");
        let Err(failure) = Loaded::read(&flags) else { panic!("it must be refused") };
        let told = failure.to_string();
        assert!(told.contains("line 1, column 3") && !told.contains('\n'), "{told}");
        let (_home, flags) = write("[lock]\nwait_seconds = \"abc\"\n");
        let Err(failure) = Loaded::read(&flags) else { panic!("it must be refused") };
        assert!(failure.to_string().contains("expected a whole number"), "{failure}");
    }

    #[test]
    fn a_home_that_lost_its_configuration_is_not_called_none() {
        let (home, flags) = write("");
        std::fs::remove_file(home.path().join(FILE)).unwrap();
        let hint = |flags: &Flags| match Loaded::of_home(flags) {
            Err(Failure::Refusal(r)) => r.hint.unwrap(),
            _ => panic!("it must be refused"),
        };
        assert!(hint(&flags).contains("vm init"));
        std::fs::create_dir(home.path().join("receipts")).unwrap();
        assert!(!hint(&flags).contains("vm init"));
    }

    #[test]
    fn names_that_cannot_stand_in_an_origin_are_refused() {
        for bad in ["", "Upper", "a/b", "a b", "a+b", "ü"] {
            assert!(check_name("ledger.node", bad).is_err(), "{bad}");
        }
        check_name("ledger.node", "node-1.example").unwrap();
    }

    #[test]
    fn variable_names_follow_the_keys() {
        assert_eq!(variable_name("lock.wait_seconds"), "VM_LOCK__WAIT_SECONDS");
        assert_eq!(variable_name("guard"), "VM_GUARD");
    }
}
