//! The built program as a user starts it: exit codes, streams, lock, environment, aliases.

#![allow(clippy::unwrap_used, reason = "a test may stop there")]

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

struct Home {
    dir: tempfile::TempDir,
}

impl Home {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("home")
    }

    /// The program with only this home, this state directory and no other settings.
    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command
            .env_clear()
            .env("VM_HOME", self.path())
            .env("XDG_STATE_HOME", self.dir.path().join("state"));
        command
    }

    fn vm(&self, words: &[&str]) -> Output {
        self.command(env!("CARGO_BIN_EXE_vm")).args(words).output().unwrap()
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn code(output: &Output) -> i32 {
    output.status.code().unwrap()
}

#[test]
fn a_home_is_made_once() {
    let home = Home::new();
    let first = home.vm(&["init", "--demo"]);
    assert_eq!(code(&first), 0, "{first:?}");
    let mode = |path: &Path| {
        use std::os::unix::fs::PermissionsExt;
        std::fs::metadata(path).unwrap().permissions().mode() & 0o777
    };
    assert_eq!(mode(&home.path()), 0o700);
    assert_eq!(mode(&home.path().join("vaultmesh.toml")), 0o600);
    assert_eq!(mode(&home.path().join("keys/issuer.pem")), 0o600);
    let second = home.vm(&["init"]);
    assert_eq!(code(&second), 1, "{second:?}");
    assert!(text(&second.stderr).contains("[home_exists]"), "{second:?}");
    assert_eq!(code(&home.vm(&["status"])), 0);
}

#[test]
fn a_place_without_a_home_is_named() {
    let home = Home::new();
    let said = home.vm(&["status", "--json"]);
    assert_eq!(code(&said), 1);
    assert!(said.stdout.is_empty());
    let error: serde_json::Value = serde_json::from_slice(&said.stderr).unwrap();
    assert_eq!(error["code"], "no_home");
    assert!(error["hint"].as_str().unwrap().contains("vm init"));
}

#[test]
fn a_busy_home_is_refused_with_the_owner_and_freed_with_it() {
    let home = Home::new();
    assert_eq!(code(&home.vm(&["init"])), 0);
    let lock = std::fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .open(home.path().join("lock"))
        .unwrap();
    lock.lock().unwrap();
    let busy = home.vm(&["status", "--wait", "0", "--json"]);
    let error: serde_json::Value = serde_json::from_slice(&busy.stderr).unwrap();
    assert_eq!(
        (code(&busy), &error["code"], &error["retryable"]),
        (1, &"home_busy".into(), &true.into())
    );
    drop(lock);
    // A process that another test starts at this moment holds a copy of the handle until it has become its program.
    assert_eq!(code(&home.vm(&["status", "--wait", "5"])), 0);
}

#[test]
fn misspelt_words_are_guessed_on_standard_error() {
    let home = Home::new();
    let said = home.vm(&["stauts"]);
    assert_eq!((code(&said), said.stdout.len()), (2, 0));
    assert!(text(&said.stderr).contains("'status'"), "{said:?}");
    let json = home.vm(&["--json", "stauts"]);
    let error: serde_json::Value = serde_json::from_slice(&json.stderr).unwrap();
    assert_eq!(
        (&error["code"], &error["hint"]),
        (&"unknown_verb".into(), &"Did you mean status?".into())
    );
}

#[test]
fn the_environment_stands_over_the_file_and_its_unknown_names_are_refused() {
    let home = Home::new();
    assert_eq!(code(&home.vm(&["init"])), 0);
    let run = |name: &str, value: &str, words: &[&str]| {
        home.command(env!("CARGO_BIN_EXE_vm")).env(name, value).args(words).output().unwrap()
    };
    let said = run("VM_LOCK__WAIT_SECONDS", "7", &["config", "explain"]);
    let row =
        text(&said.stdout).lines().find(|l| l.starts_with("lock.wait_seconds")).unwrap().to_owned();
    assert!(row.contains(" 7 ") && row.contains("environment VM_LOCK__WAIT_SECONDS"), "{row}");
    let said = run("VM_LEDGER__DOMIAN", "x", &["status", "--json"]);
    let error: serde_json::Value = serde_json::from_slice(&said.stderr).unwrap();
    assert_eq!((code(&said), &error["code"]), (2, &"unknown_setting".into()));
    assert_eq!(error["field"], "ledger.domian");
    assert!(error["hint"].as_str().unwrap().starts_with("Did you mean ledger.domain?"));
    let said = run("VM_SHARED_REQUIRED", "1", &["status"]);
    assert_eq!(code(&said), 0, "{said:?}");
}

#[test]
fn completions_are_there_for_each_shell() {
    let home = Home::new();
    for shell in ["bash", "zsh", "fish"] {
        let said = home.vm(&["completions", shell]);
        assert_eq!(code(&said), 0);
        assert!(text(&said.stdout).contains("accept-cut"), "{shell}");
    }
    assert_eq!(code(&home.vm(&["completions", "dash"])), 2);
}

#[test]
fn a_reader_that_leaves_early_is_no_error() {
    let home = Home::new();
    let mut child = home
        .command(env!("CARGO_BIN_EXE_vm"))
        .args(["completions", "bash"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let mut err = String::new();
    child.stderr.take().unwrap().read_to_string(&mut err).unwrap();
    assert_eq!((child.wait().unwrap().code(), err.as_str()), (Some(0), ""));
}

#[test]
fn without_a_command_five_are_named_and_an_engine_lists_its_verbs() {
    let home = Home::new();
    for words in [&[][..], &["--wait", "0"]] {
        let said = home.vm(words);
        assert_eq!((code(&said), said.stdout.len()), (2, 0), "{words:?}");
        let rows = text(&said.stderr).lines().filter(|l| l.starts_with("  vm ")).count();
        assert_eq!(rows, 5, "{said:?}");
    }
    let said = text(&home.vm(&["treasury"]).stderr);
    for row in
        ["Operations:", "  transfer        Move an amount", "Reports:", "  balance         Show"]
    {
        assert!(said.contains(row), "{row} in {said}");
    }
    let json = home.vm(&["treasury", "--json"]);
    let error: serde_json::Value = serde_json::from_slice(&json.stderr).unwrap();
    assert_eq!((&error["code"], error["hint"].is_string()), (&"missing_verb".into(), true));
}

#[test]
fn help_and_version_go_to_standard_output() {
    let home = Home::new();
    for words in [&["--help"][..], &["--version"], &["verify", "--help"], &["help", "prove"]] {
        let said = home.vm(words);
        assert_eq!((code(&said), said.stderr.len()), (0, 0), "{words:?}");
        assert!(!said.stdout.is_empty());
        assert!(!said.stdout.contains(&0x1b), "no colour without a terminal");
    }
}

#[test]
fn an_engine_of_the_house_works_from_its_alias_too() {
    let home = Home::new();
    assert_eq!(code(&home.vm(&["init"])), 0);
    let alias = |words: &[&str]| {
        home.command(env!("CARGO_BIN_EXE_vm-treasury")).args(words).output().unwrap()
    };
    for (account, class) in [("assets:bank", "asset"), ("income:dues", "income")] {
        let said =
            alias(&["account-open", "--account", account, "--asset", "EUR", "--class", class]);
        assert_eq!(code(&said), 0, "{said:?}");
    }
    let said = alias(&["account-open", "--help"]);
    assert!(
        text(&said.stdout).contains("--limit <WORD>"),
        "a field named like a query flag keeps its name"
    );
    let transfer = [
        "transfer",
        "--debit",
        "assets:bank",
        "--credit",
        "income:dues",
        "--asset",
        "EUR",
        "--amount",
        "60.00",
    ];
    let said = alias(&transfer);
    assert_eq!(code(&said), 0, "{said:?}");
    let said = alias(&["balance", "--json"]);
    let document: serde_json::Value = serde_json::from_slice(&said.stdout).unwrap();
    let answer = document["answer"].to_string();
    assert!(answer.contains("60.00"), "{answer}");
    let whole = home.vm(&["treasury", "balance", "--json"]);
    assert_eq!(whole.stdout, said.stdout);
    assert_eq!(code(&alias(&["--version"])), 0);
    for engine in ["treasury", "drills"] {
        let conform = home.vm(&["conform", engine, "--json"]);
        assert_eq!(code(&conform), 0, "{conform:?}");
        let gate: serde_json::Value = serde_json::from_slice(&conform.stdout).unwrap();
        for row in [3, 4, 5] {
            assert_eq!(gate["rows"][row - 1]["standing"], "yes", "{engine}: {gate:#}");
        }
    }
    let drills = home.command(env!("CARGO_BIN_EXE_vm-drills")).arg("runs").output().unwrap();
    assert_eq!(text(&drills.stdout), "0 open runs of drills\n", "{drills:?}");
}

#[test]
fn a_proof_leaves_the_machine_with_its_trust_file_alone() {
    let home = Home::new();
    assert_eq!(code(&home.vm(&["init"])), 0);
    let open = ["treasury", "account-open", "--account", "a", "--asset", "EUR", "--class", "asset"];
    assert_eq!(code(&home.vm(&open)), 0);
    let proof = home.vm(&["prove", "treasury/1"]);
    assert_eq!(code(&proof), 0, "{proof:?}");
    let away = tempfile::tempdir().unwrap();
    std::fs::write(away.path().join("PROOF.json"), &proof.stdout).unwrap();
    std::fs::copy(home.path().join("keys/trust.txt"), away.path().join("trust.txt")).unwrap();
    std::fs::remove_dir_all(home.path()).unwrap();
    let verify = Command::new(env!("CARGO_BIN_EXE_vm"))
        .env_clear()
        .current_dir(away.path())
        .args(["verify", "PROOF.json", "--trust", "trust.txt"])
        .output()
        .unwrap();
    assert_eq!(code(&verify), 0, "{verify:?}");
    assert!(text(&verify.stdout).starts_with("verified: "));
}

/// The value behind a word at the beginning of a line of text.
fn after(said: &str, word: &str) -> String {
    let line = said.lines().find(|l| l.trim_start().starts_with(word)).unwrap_or_default();
    line.trim_start().trim_start_matches(word).split_whitespace().next().unwrap_or("").to_owned()
}

#[test]
fn an_approval_is_signed_by_another_actors_own_key() {
    let home = Home::new();
    home.vm(&["init"]);
    let dir = home.dir.path();
    let (key, contract) = (dir.join("ann.pem"), dir.join("contract.json"));
    let (key, contract) = (key.to_str().unwrap(), contract.to_str().unwrap());
    let made = home.vm(&["actor", "new", key]);
    let did = after(&text(&made.stdout), "did");
    assert!(did.starts_with("did:key:z6Mk"), "{made:?}");
    let again = home.vm(&["actor", "new", key]);
    assert_eq!(code(&again), 1, "a key was written over: {again:?}");

    let runbook = "runbook: 1\nname: risky\ntitle: Risky\nabout: x\nkeywords: [risky]\nstages:\n  - id: one\n    skill: s\n    workflow: w\n    role: primary\n    elevated: true\n    actions: [do it]\n    expected_outputs: [it]\n";
    std::fs::write(dir.join("risky.yaml"), runbook).unwrap();
    let path = dir.join("risky.yaml");
    let planned = home.vm(&["drills", "plan", "--runbook", path.to_str().unwrap()]);
    assert_eq!(code(&planned), 0, "{planned:?}");
    std::fs::write(contract, &planned.stdout).unwrap();
    let opened = text(&home.vm(&["drills", "run", contract]).stdout);
    let (id, digest) = (after(&opened, "opened  id"), after(&opened, "contract"));
    let complete = ["drills", "complete-stage", &id, "01-one", "--outcome", "detected"];
    let refused = home.vm(&complete);
    assert!(text(&refused.stderr).contains("[approval_needed]"), "{refused:?}");

    let now = vm_receipts::Moment::from_unix_ms(
        std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_millis() as i64,
    );
    let until = vm_receipts::Moment::from_unix_ms(now.unwrap().unix_ms() + 3_600_000).unwrap();
    let (from, until) = (now.unwrap().to_string(), until.to_string());
    let approve = ["drills", "approve", "--drill-id", &id, "--contract", &digest];
    let window = ["--from", &from, "--until", &until];
    // By the person who planned it: of no use.
    home.vm(&[&approve[..], &window[..]].concat());
    let refused = home.vm(&complete);
    assert!(text(&refused.stderr).contains("[approver_is_actor]"), "{refused:?}");
    let signed = home.vm(&[&["--actor-key", key], &approve[..], &window[..]].concat());
    assert_eq!(code(&signed), 0, "{signed:?}");
    let shown = text(&home.vm(&["receipt", "show", "drills/2", "--json"]).stdout);
    assert!(shown.contains("actor_proof") && shown.contains(&did), "{shown}");
    assert_eq!(code(&home.vm(&complete)), 0);
    assert_eq!(code(&home.vm(&["drills", "seal", &id])), 0);
    let verified = home.vm(&["verify", "--home", home.path().to_str().unwrap()]);
    assert_eq!(code(&verified), 0, "{verified:?}");
    // A key that others can read is refused, whatever it would do.
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(key, std::fs::Permissions::from_mode(0o644)).unwrap();
    let open = home.vm(&["--actor-key", key, "actor", "show"]);
    assert!(text(&open.stderr).contains("[key_permissions]"), "{open:?}");
}

#[test]
fn nobody_sees_which_transfers_of_a_group_have_the_same_memo_or_none() {
    let home = Home::new();
    home.vm(&["init"]);
    for (account, class) in [("a", "asset"), ("b", "income")] {
        let words =
            ["treasury", "account-open", "--account", account, "--asset", "EUR", "--class", class];
        assert_eq!(code(&home.vm(&words)), 0);
    }
    let one =
        |memo: &str| format!(r#"{{"debit":"a","credit":"b","asset":"EUR","amount":"1"{memo}}}"#);
    let memos = [r#","memo":"pay""#, "", r#","memo":"pay""#, "", r#","memo":"other""#];
    let legs = memos.map(one).join(",");
    let made = home.vm(&["treasury", "link", "--id", "l", "--transfers", &format!("[{legs}]")]);
    assert_eq!(code(&made), 0, "{made:?}");
    let path = home.path().join("receipts/treasury/00000000000000000000.jsonl");
    let lines = std::fs::read_to_string(path).unwrap();
    let digests: Vec<&str> = lines
        .lines()
        .filter_map(|line| line.split_once(r#""_sd":[""#))
        .map(|(_, rest)| &rest[..43])
        .collect();
    assert_eq!(digests.len(), 10);
    // Both sides of a transfer show that they belong together, and nothing else does.
    assert!(digests.chunks(2).all(|pair| pair[0] == pair[1]), "{digests:?}");
    let distinct: std::collections::BTreeSet<_> = digests.iter().collect();
    assert_eq!(distinct.len(), 5, "{digests:?}");
    assert_eq!(code(&home.vm(&["fsck"])), 0);
    let again = home.vm(&["treasury", "link", "--id", "l", "--transfers", &format!("[{legs}]")]);
    assert!(text(&again.stdout).contains("already committed"), "{again:?}");
}
