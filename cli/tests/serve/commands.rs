//! Commands that the owner carries out look as if they had been carried out where they were given.

use crate::place::{Place, TRANSFER, code, exists, line, lines, said};
use std::process::{Command, Stdio};

const RUNBOOK: &str = "runbook: 1
name: steps
title: Two steps
about: Two steps that nobody minds.
keywords: [steps]
stages:
  - id: one
    skill: testing
    workflow: First
    role: primary
    actions: [do it]
    expected_outputs: [a note]
  - id: two
    skill: testing
    workflow: Second
    role: primary
    actions: [do it again]
    expected_outputs: [nothing]
";

/// Commands that change nothing in the home, each with what it writes beside it, if anything.
const ASKING: [(&[&str], Option<&str>); 24] = [
    (&["status"], None),
    (&["status", "--json"], None),
    (&["fsck"], None),
    (&["treasury", "balance"], None),
    (&["treasury", "balance", "--at", "2", "--json"], None),
    (&["treasury", "balance", "--at", "9999"], None),
    (&["treasury", "query", "--account", "assets:bank"], None),
    (&["query", "treasury", "--limit", "2", "--json"], None),
    (&["query", "nothing"], None),
    (&["receipt", "show", "dues-may"], None),
    (&["receipt", "show", "dues-may", "--private", "--json"], None),
    (&["receipt", "show", "none"], None),
    (&["prove", "treasury/1"], None),
    (&["prove", "treasury/1", "-o", "P.json"], Some("P.json")),
    (&["prove", "treasury/3", "--tlog-proof", "-o", "p.tlog-proof"], Some("p.line")),
    (&["prove", "treasury/1", "-o", "no/such/P.json"], None),
    (&["treasury", "export", "--format", "beancount", "-o", "books"], Some("books")),
    (&["drills", "runs"], None),
    (&["drills", "next", "none", "--json"], None),
    (&["treasury", "import", "nothing.journal"], None),
    (&["treasury", "transfer", "--debit", "x"], None),
    (&["treasury", "transfer", "--intent", "broken.json", "--json"], None),
    (&["backup", "copy", "--no-keys"], Some("copy/MANIFEST.sha256")),
    (&["export", "--tiles", "tiles"], Some("tiles/treasury/checkpoint")),
];

fn asked(place: &Place) -> Vec<String> {
    let mut all = Vec::new();
    for (words, written) in ASKING {
        let output = place.vm(words);
        let mut text = format!("{words:?} {}", said(&output));
        if let Some(name) = written {
            let path = place.dir.path().join(name);
            text.push_str(&std::fs::read_to_string(path).unwrap());
        }
        all.push(text);
    }
    for made in ["copy", "tiles"] {
        std::fs::remove_dir_all(place.dir.path().join(made)).unwrap();
    }
    all
}

#[test]
fn a_command_says_the_same_with_an_owner_and_without() {
    let place = Place::new();
    place.file("broken.json", "{\"debit\":");
    place.ok(&[&TRANSFER[..], &["--id", "dues-may", "--memo", "paid by transfer"]].concat());
    let alone = asked(&place);
    let owner = place.serve();
    let served = asked(&place);
    for (alone, served) in alone.iter().zip(&served) {
        assert_eq!(alone, served);
    }
    owner.stop();
}

#[test]
fn work_that_takes_steps_goes_through_the_owner() {
    let place = Place::new();
    let owner = place.serve();
    // Files by relative paths, and one that is piped in.
    place.file("steps.yaml", RUNBOOK);
    place.file("log.txt", "seen\n");
    let words = ["drills", "drill", "--runbook", "steps.yaml", "--prompt", "steps", "--id", "d1"];
    assert!(place.ok(&words).contains("d1"));
    assert!(place.ok(&["drills", "runs"]).contains("1 open run of drills"));
    for stage in ["01-one", "02-two"] {
        let (open, private) = (format!("{stage}.txt=log.txt"), format!("{stage}.raw=-"));
        let words = ["drills", "complete-stage", "d1", stage, "--outcome", "detected"];
        let files = ["--outputs", &open, "--private-outputs", &private];
        let output = place.fed(&[&words[..], &files].concat(), "piped in");
        assert_eq!(code(&output), 0, "{}", said(&output));
    }
    assert_eq!(place.ok(&["drills", "output", "d1", "01-one.txt"]), "seen\n");
    assert_eq!(place.ok(&["drills", "output", "d1", "02-two.raw"]), "piped in");
    let sealed = place.ok(&["drills", "seal", "d1"]);
    assert!(
        sealed.contains(&format!("case        {}", place.home.join("cases/drills/d1").display()))
    );
    let case = place.home.join("cases/drills/d1");
    place.ok(&["verify", case.to_str().unwrap(), "--trust", "home/keys/trust.txt"]);
    owner.stop();
    place.check();
}

#[test]
fn standard_input_is_read_as_far_as_the_command_reads_it() {
    let place = Place::new();
    let owner = place.serve();
    let vm = env!("CARGO_BIN_EXE_vm");
    let shell = |text: String, input: &str| {
        let mut command = Command::new("sh");
        let command = command.args(["-c", &text]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let command = command.env("VM_HOME", &place.home).current_dir(place.dir.path());
        let command = command.env("XDG_STATE_HOME", place.dir.path().join("state"));
        let mut child = command.spawn().unwrap();
        std::io::Write::write_all(&mut child.stdin.take().unwrap(), input.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success());
        String::from_utf8(output.stdout).unwrap()
    };
    // The next program of a script finds what was meant for it.
    assert!(shell(format!("{vm} status >&2; cat"), "left over").ends_with("left over"));
    let intent = crate::place::intent("2.00").to_string();
    for path in ["-", "/dev/stdin", "/dev/fd/0", "/proc/self/fd/0"] {
        let said = shell(format!("{vm} treasury transfer --intent {path} --json"), &intent);
        assert!(said.contains("\"existing\":false"), "{path}: {said}");
    }
    owner.stop();
}

#[test]
fn a_key_signs_the_calls_of_its_own_command_and_no_others() {
    let place = Place::new();
    place.ok(&["actor", "new", "ann.pem"]);
    let owner = place.serve();
    let signed = place.ok(&[&TRANSFER[..], &["--actor-key", "ann.pem", "--json"]].concat());
    assert!(signed.contains("actor_proof") && signed.contains("did:key:"), "{signed}");
    let did = place.ok(&["actor", "show", "--actor-key", "ann.pem"]);
    let did = did.split_whitespace().next().unwrap();
    let plain = place.ok(&[&TRANSFER[..], &["--json"]].concat());
    assert!(!plain.contains("actor_proof") && plain.contains("\"local:"), "{plain}");
    let mut call = crate::place::call("as-ann");
    call["actor"] = did.into();
    let reply = place.client().call(&call).unwrap();
    assert_eq!((reply.status, reply.body["code"].as_str()), (403, Some("other_actor")));
    let missing = place.vm(&[&TRANSFER[..], &["--actor-key", "bob.pem"]].concat());
    assert_eq!(code(&missing), 4, "{}", said(&missing));
    owner.stop();
}

#[test]
fn files_are_made_with_the_permissions_that_the_client_would_give() {
    use std::os::unix::fs::PermissionsExt;
    let place = Place::new();
    let owner = place.serve();
    let vm = env!("CARGO_BIN_EXE_vm");
    let text = format!("umask 077; {vm} prove treasury/1 -o closed.json");
    let mut command = Command::new("sh");
    let command = command.args(["-c", &text]).current_dir(place.dir.path());
    let command = command.env("VM_HOME", &place.home);
    assert!(
        command.env("XDG_STATE_HOME", place.dir.path().join("state")).status().unwrap().success()
    );
    let mode =
        std::fs::metadata(place.dir.path().join("closed.json")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    owner.stop();
}

#[test]
fn a_client_with_other_settings_is_told_and_not_served_otherwise() {
    let place = Place::new();
    let owner = place.serve();
    let output =
        place.command().args(["status", "--json"]).env("VM_LEDGER__NODE", "n2").output().unwrap();
    assert_eq!(code(&output), 1, "{}", said(&output));
    assert!(said(&output).contains("\"other_settings\""), "{}", said(&output));
    owner.stop();
}

#[test]
fn a_batch_gives_one_result_for_each_line_alone_and_at_the_owner() {
    let place = Place::new();
    let text = format!(
        "{}\n{}{{\"intent\":{{\"debit\":\n{{\"intent\":{{}}}}\n{}",
        line(Some("b1")),
        line(None),
        line(Some("b1"))
    );
    place.file("calls.ndjson", &text);
    let words = ["treasury", "transfer", "--batch", "calls.ndjson", "--id", "base"];
    let alone = place.vm(&words);
    assert_eq!(code(&alone), 2, "{}", said(&alone));
    let results = lines(&alone.stdout);
    let numbers: Vec<u64> = results.iter().map(|r| r["line"].as_u64().unwrap()).collect();
    assert_eq!(numbers, [1, 3, 4, 5, 6]);
    assert_eq!(
        (results[0]["id"].as_str(), results[0]["existing"].as_bool()),
        (Some("b1"), Some(false))
    );
    assert_eq!(results[1]["id"], "base-3");
    assert_eq!(results[2]["error"]["code"], "json_truncated");
    assert!(results[2]["error"]["message"].as_str().unwrap().contains("(byte 19)"), "{results:?}");
    assert_eq!(results[3]["error"]["code"], "missing_field");
    assert_eq!(
        (results[4]["first"].clone(), results[4]["existing"].as_bool()),
        (results[0]["first"].clone(), Some(true))
    );
    assert!(said(&alone).contains("batch: 2 calls committed, 1 were there already, 2 failed"));
    let again = place.vm(&words);
    let owner = place.serve();
    let served = place.vm(&words);
    let piped = place.fed(&["treasury", "transfer", "--batch", "-", "--id", "base"], &text);
    for output in [&served, &piped] {
        assert_eq!(said(&again), said(output));
    }
    assert!(
        lines(&again.stdout).iter().filter(|r| r["error"].is_null()).all(|r| r["existing"] == true)
    );
    owner.stop();
    place.check();
}

#[test]
fn a_line_that_is_written_alone_is_answered_before_the_next() {
    use std::io::{BufRead, BufReader, Write};
    let place = Place::new();
    let owner = place.serve();
    for served in [true, false] {
        if !served {
            owner.signal("-TERM");
        }
        let mut command = place.command();
        let command = command.args(["treasury", "transfer", "--batch", "-"]);
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let (mut to, mut from) =
            (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        for _ in 0..3 {
            to.write_all(line(None).as_bytes()).unwrap();
            let mut answer = String::new();
            from.read_line(&mut answer).unwrap();
            assert!(answer.contains("\"existing\":false"), "{answer}");
        }
        drop(to);
        assert!(child.wait().unwrap().success());
    }
}

#[test]
fn another_user_gives_no_commands() {
    let is_root =
        std::os::unix::fs::MetadataExt::uid(&std::fs::metadata("/proc/self").unwrap()) == 0;
    if !is_root || !exists("setpriv") {
        eprintln!("skipped: only root can become another user, and setpriv must be there");
        return;
    }
    let place = Place::new();
    // A home of another user, served by that user; root may connect, and is told.
    let chown = Command::new("chown").args(["-R", "12345"]).arg(place.dir.path()).status();
    assert!(chown.unwrap().success());
    let vm = place.dir.path().join("vm");
    std::fs::copy(env!("CARGO_BIN_EXE_vm"), &vm).unwrap();
    let mut command = Command::new("setpriv");
    let command = command.args(["--reuid=12345", "--clear-groups"]).arg(&vm).arg("serve");
    let command = command.env_clear().env("VM_HOME", &place.home);
    let command = command.env("XDG_STATE_HOME", place.dir.path().join("state"));
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    crate::place::until(|| {
        assert!(child.try_wait().unwrap().is_none());
        vaultmesh::client::Client::connect(&place.home).unwrap().is_some()
    });
    let refused = place.vm(&["status", "--json"]);
    let reply = place.client().call(&crate::place::call("by-root")).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(code(&refused), 1, "{}", said(&refused));
    assert!(said(&refused).contains("\"not_the_owner\""), "{}", said(&refused));
    // A single call is taken, under the name of whoever asks.
    assert_eq!(reply.body["receipts"][0]["line"]["actor"], "local:0", "{reply:?}");
}
