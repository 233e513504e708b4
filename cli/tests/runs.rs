//! Work that takes steps, over a toy engine in this process: from plan to case, and what an outsider finds in it.

#![allow(clippy::unwrap_used, reason = "a test may stop there")]

mod toy;

use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use toy::{HOUSE, Said, home, vm, vm_with};

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn ok(home: &Path, words: &[&str]) -> Said {
    let said = vm(home, words);
    assert_eq!(said.code, 0, "{words:?} {said:?}");
    said
}

/// Exit code and code of a refused command.
fn refused(home: &Path, words: &[&str]) -> (u8, String) {
    let said = vm(home, &[words, &["--json"]].concat());
    assert_eq!(said.out, "", "{words:?} {said:?}");
    let error: Value = serde_json::from_str(&said.err).unwrap();
    (said.code, error["code"].as_str().unwrap().to_owned())
}

/// A run that was planned to a file and opened from it.
fn opened(dir: &Path, home: &Path, id: &str) -> PathBuf {
    let words = ["chore", "plan", "--place", "cellar", "--prompt", "a smell", "--id", id];
    let contract = dir.join("contract.json");
    fs::write(&contract, ok(home, &words).out).unwrap();
    ok(home, &["chore", "run", text(&contract)]);
    contract
}

/// A case with a private note, an open output and a private one.
fn sealed(dir: &Path, home: &Path, id: &str) -> PathBuf {
    opened(dir, home, id);
    let (open, secret) = (dir.join("photo.txt"), dir.join("names.txt"));
    fs::write(&open, "a wall\n").unwrap();
    fs::write(&secret, "Mallory\n").unwrap();
    let look = ["chore", "complete-stage", id, "look", "--result", "good", "--note", "it is damp"];
    let files = ["--outputs", text(&open), "--private-outputs", text(&secret)];
    ok(home, &[&look[..], &files].concat());
    ok(home, &["chore", "complete-stage", id, "report", "--result", "bad"]);
    ok(home, &["chore", "seal", id]);
    home.join("cases/chore").join(id)
}

fn trust(dir: &Path, home: &Path) -> PathBuf {
    let trust = dir.join("trust.txt");
    fs::copy(home.join("keys/trust.txt"), &trust).unwrap();
    trust
}

fn elsewhere(dir: &Path) -> PathBuf {
    dir.join("no-home")
}

#[test]
fn work_of_people_goes_from_plan_to_a_case_that_verifies_anywhere() {
    let (dir, home) = home();
    let dir = dir.path();
    let words = ["chore", "plan", "--place", "cellar", "--prompt", "a smell", "--id", "i-1"];
    let plan = ok(&home, &words);
    let contract: Value = serde_json::from_str(&plan.out).unwrap();
    assert_eq!(plan.err, "note: looked up in no list\n");
    assert_eq!(contract["stages"][1]["after"][0], "look");
    assert_eq!(contract["disclosures"].as_array().unwrap().len(), 1);
    assert!(!home.join("runs/chore/i-1").exists(), "a plan writes nothing");
    let opened = vm_with(HOUSE, &home, &["chore", "run", "-"], plan.out.as_bytes());
    assert_eq!(opened.code, 0, "{opened:?}");
    for part in [
        "opened  id i-1",
        "chore.inspect: Inspection of the cellar",
        "in_progress  0 of 2 stages completed",
        "ready  1  look",
        "role       caretaker",
        "objective  See what is there",
        "approval   by another person, for a window",
        "    1. Open the door\n",
        "    2. Look\n       around\n",
        "expected   a photograph",
        "vm chore complete-stage i-1 look --result good|bad [--note <TEXT>]",
        "    2  report  after look",
    ] {
        assert!(opened.out.contains(part), "{part} in\n{}", opened.out);
    }
    let runs = ok(&home, &["chore", "runs"]).out;
    assert!(
        runs.contains("i-1") && runs.contains("0 of 2") && runs.contains("1 open run"),
        "{runs}"
    );
    let status = ok(&home, &["status"]).out;
    assert!(status.contains("open  1 run of chore"), "{status}");
    assert!(ok(&home, &["doctor"]).out.contains("runs: 1 open"));
    let case = sealed_from_open(dir, &home, "i-1");
    for file in ["contract.json", "state.json", "outputs/photo.txt", "ARTIFACTS.sha256"] {
        assert!(case.join(file).is_file(), "{file}");
    }
    assert_eq!(refused(&home, &["chore", "next", "i-1"]), (1, "already_sealed".into()));
    assert_eq!(ok(&home, &["chore", "runs", "--json"]).json()["runs"], serde_json::json!([]));
    let good = vm(&elsewhere(dir), &["verify", text(&case), "--trust", text(&trust(dir, &home))]);
    assert_eq!(good.code, 0, "{good:?}");
    assert!(good.out.contains("case_files"), "{}", good.out);
    for secret in ["a smell", "it is damp", "Mallory"] {
        assert!(!found(&home, secret), "{secret} stands in the home in plain");
    }
}

fn sealed_from_open(dir: &Path, home: &Path, id: &str) -> PathBuf {
    let secret = dir.join("names.txt");
    fs::write(&secret, "Mallory\n").unwrap();
    // A file that somebody left in the run's own folder is taken as it stands there.
    let inside = home.join("runs/chore").join(id).join("outputs/photo.txt");
    fs::write(&inside, "a wall\n").unwrap();
    let look = ["chore", "complete-stage", id, "look", "--result", "good", "--note", "it is damp"];
    let private = format!("who.txt={}", text(&secret));
    let files = ["--outputs", text(&inside), "--private-outputs", &private];
    let said = ok(home, &[&look[..], &files].concat());
    assert!(said.out.contains("ready  2  report"), "{}", said.out);
    let said = ok(home, &["chore", "complete-stage", id, "report", "--result", "bad", "--json"]);
    assert_eq!(said.json()["then"], format!("vm chore seal {id}"));
    let said = ok(home, &["chore", "seal", id]);
    assert!(
        said.out.contains("committed  id") && said.out.contains("check it    vm verify"),
        "{}",
        said.out
    );
    home.join("cases/chore").join(id)
}

/// Whether any file of the home holds these bytes.
fn found(dir: &Path, secret: &str) -> bool {
    fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).any(|path| match path.is_dir() {
        true => found(&path, secret),
        false => {
            let bytes = fs::read(&path).unwrap();
            bytes.windows(secret.len()).any(|w| w == secret.as_bytes())
        }
    })
}

#[test]
fn a_contract_that_was_edited_is_refused_and_nothing_is_opened() {
    let (_dir, home) = home();
    let plan =
        ok(&home, &["chore", "plan", "--place", "cellar", "--prompt", "x", "--id", "i-1"]).out;
    let edits = [
        (plan.replace("Open the door", "Stay outside"), "contract_changed"),
        (plan.replace("\"cellar\"", "\"attic\""), "contract_changed"),
        (plan.replace("\"look\"", "\"gaze\""), "contract_changed"),
        (plan.replace("\"v\": 1", "\"v\": 2"), "bad_contract"),
        (plan.replace("chore.inspect", "toy.put"), "other_engine"),
        (plan.replace('{', "["), "bad_contract"),
    ];
    for (edited, code) in edits {
        assert_ne!(edited, plan);
        let said = vm_with(HOUSE, &home, &["chore", "run", "-", "--json"], edited.as_bytes());
        let error: Value = serde_json::from_str(&said.err).unwrap();
        assert_eq!(error["code"], code, "{said:?}");
    }
    assert_eq!(ok(&home, &["chore", "runs", "--json"]).json()["runs"], serde_json::json!([]));
    let good = vm_with(HOUSE, &home, &["chore", "run", "-"], plan.as_bytes());
    assert_eq!(good.code, 0, "{good:?}");
    let again = vm_with(HOUSE, &home, &["chore", "run", "-", "--json"], plan.as_bytes()).json();
    assert_eq!(again["existing"], true);
}

#[test]
fn stages_are_completed_once_and_in_their_order() {
    let (dir, home) = home();
    opened(dir.path(), &home, "i-1");
    let stage = |stage, more: &[&str]| {
        refused(&home, &[&["chore", "complete-stage", "i-1", stage][..], more].concat())
    };
    assert_eq!(stage("report", &["--result", "good"]), (1, "stage_too_early".into()));
    assert_eq!(stage("nothing", &["--result", "good"]), (1, "no_such_stage".into()));
    assert_eq!(stage("look", &[]), (2, "missing_field".into()));
    assert_eq!(stage("look", &["--result", "fine"]), (2, "wrong_type".into()));
    assert_eq!(
        stage("look", &["--result", "good", "--outputs", "/no/file"]),
        (1, "no_such_file".into())
    );
    assert_eq!(stage("look", &["--result", "good", "--outputs", "/"]), (2, "bad_output".into()));
    let inside = home.join("runs/chore/i-1/outputs/names.txt");
    fs::write(&inside, "Mallory\n").unwrap();
    let renamed = format!("other.txt={}", text(&inside));
    for files in [["--private-outputs", text(&inside)], ["--outputs", &renamed]] {
        let code = stage("look", &[&["--result", "good"][..], &files].concat());
        assert_eq!(code, (2, "bad_output".into()), "what stands there in plain stays as it is");
    }
    fs::remove_file(&inside).unwrap();
    assert_eq!(refused(&home, &["chore", "seal", "i-1"]), (1, "stages_open".into()));
    let fields = ["chore", "complete-stage", "i-1", "look", "--fields", "-"];
    let said = vm_with(HOUSE, &home, &fields, br#"{"result":"good","note":"n"}"#);
    assert_eq!(said.code, 0, "{said:?}");
    assert_eq!(stage("look", &["--result", "bad"]), (1, "stage_completed".into()));
    assert_eq!(refused(&home, &["chore", "next", "nobody"]), (1, "no_such_run".into()));
}

#[test]
fn a_file_that_changed_after_its_stage_stops_the_seal() {
    let (dir, home) = home();
    opened(dir.path(), &home, "i-1");
    let look = ["chore", "complete-stage", "i-1", "look", "--result", "good", "--outputs", "log=-"];
    let said = vm_with(HOUSE, &home, &look, b"first\n");
    assert_eq!(said.code, 0, "{said:?}");
    ok(&home, &["chore", "complete-stage", "i-1", "report", "--result", "good"]);
    let log = home.join("runs/chore/i-1/outputs/log");
    fs::write(&log, "other\n").unwrap();
    assert_eq!(refused(&home, &["chore", "seal", "i-1"]), (1, "output_changed".into()));
    fs::write(&log, "first\n").unwrap();
    fs::write(home.join("runs/chore/i-1/outputs/more"), "x").unwrap();
    assert_eq!(refused(&home, &["chore", "seal", "i-1"]), (1, "output_not_attached".into()));
    fs::remove_file(home.join("runs/chore/i-1/outputs/more")).unwrap();
    ok(&home, &["chore", "seal", "i-1"]);
}

#[test]
fn a_run_that_was_given_up_is_sealed_as_aborted() {
    let (dir, home) = home();
    opened(dir.path(), &home, "i-1");
    let said = ok(&home, &["chore", "abort", "i-1", "--reason", "the key is lost"]);
    assert!(said.out.contains("next: vm chore seal i-1"), "{}", said.out);
    let late = ["chore", "complete-stage", "i-1", "look", "--result", "good"];
    assert_eq!(refused(&home, &late), (1, "run_ended".into()));
    let sealed = ok(&home, &["chore", "seal", "i-1"]);
    assert!(sealed.out.starts_with("committed, as aborted  id i-1"), "{}", sealed.out);
    let line = &ok(&home, &["receipt", "show", "i-1", "--json"]).json()["receipts"][0]["line"];
    assert_eq!(
        (&line["end"], &line["body"]["fault"]["code"]),
        (&"aborted".into(), &"aborted_by_actor".into())
    );
    assert!(!found(&home, "the key is lost"));
    let case = home.join("cases/chore/i-1");
    let trust = trust(dir.path(), &home);
    assert_eq!(
        vm(&elsewhere(dir.path()), &["verify", text(&case), "--trust", text(&trust)]).code,
        0
    );
}

#[test]
fn work_with_effects_is_carried_out_and_sealed_in_one_go_or_step_by_step() {
    let (_dir, home) = home();
    let press = ["chore", "press", "--button", "red", "--id", "p-1"];
    let said = ok(&home, &press);
    assert!(
        said.out.contains("chore_press") && said.out.contains("cases/chore/p-1"),
        "{}",
        said.out
    );
    assert_eq!(ok(&home, &[&press[..], &["--json"]].concat()).json()["existing"], true);
    assert_eq!(ok(&home, &["chore", "output", "p-1", "click.txt"]).out, "click\n");
    let plan = ok(&home, &["chore", "plan", "press", "--button", "blue", "--id", "p-2"]).out;
    let run = vm_with(HOUSE, &home, &["chore", "run", "-"], plan.as_bytes());
    assert!(run.code == 0 && run.out.starts_with("carried out  id p-2"), "{run:?}");
    ok(&home, &["chore", "seal", "p-2"]);
    let broken = vm(&home, &["chore", "press", "--button", "green", "--breaks", "--id", "p-3"]);
    assert_eq!(broken.code, 4, "{broken:?}");
    assert!(broken.out.starts_with("committed, as aborted"), "{broken:?}");
    assert!(broken.err.contains("the button came off"), "{broken:?}");
}

#[test]
fn a_record_can_go_step_by_step_and_leaves_no_folder() {
    let (_dir, home) = home();
    let plan =
        ok(&home, &["chore", "plan", "jot", "--subject", "door", "--memo", "m", "--id", "j-1"]).out;
    assert_eq!(vm_with(HOUSE, &home, &["chore", "run", "-"], plan.as_bytes()).code, 0);
    let sealed = ok(&home, &["chore", "seal", "j-1", "--json"]).json();
    assert_eq!(sealed["case"], Value::Null);
    assert!(!home.join("runs/chore/j-1").exists());
}

#[test]
fn work_of_people_in_one_go_is_opened_and_shows_what_comes_next() {
    let (_dir, home) = home();
    let words = ["chore", "inspect", "--place", "attic", "--id", "i-9"];
    let said = ok(&home, &words);
    assert!(
        said.out.starts_with("opened  id i-9") && said.out.contains("ready  1  look"),
        "{}",
        said.out
    );
    assert_eq!(said.err, "note: looked up in no list\n");
    let again = vm(&home, &words);
    assert!(again.code == 1 && again.err.contains("vm chore next i-9"), "{again:?}");
    ok(&home, &["chore", "complete-stage", "i-9", "look", "--result", "good"]);
    ok(&home, &["chore", "complete-stage", "i-9", "report", "--result", "good"]);
    ok(&home, &["chore", "seal", "i-9"]);
    assert!(ok(&home, &words).out.starts_with("already committed"), "answered from its receipt");
}

#[test]
fn a_document_is_read_from_the_path_that_its_flag_names() {
    let (dir, home) = home();
    let sheet = dir.path().join("sheet.txt");
    fs::write(&sheet, "walls\nfloor\n").unwrap();
    let plan = ["chore", "plan", "--place", "attic", "--sheet"];
    let contract = ok(&home, &[&plan[..], &[text(&sheet)]].concat()).json();
    assert_eq!(contract["objectives"], serde_json::json!(["walls", "floor"]));
    let piped = vm_with(HOUSE, &home, &[&plan[..], &["-"]].concat(), b"roof\n").json();
    assert_eq!(piped["objectives"], serde_json::json!(["roof"]));
    let more = ["--pages", text(&sheet), "--pages", text(&sheet)];
    let refusal = |words: &[&str]| refused(&home, &[&plan[..4], words].concat());
    assert_eq!(refusal(&more), (1, "too_large".into()));
    assert_eq!(refusal(&["--sheet", "/no/sheet"]), (1, "no_such_file".into()));
    fs::write(&sheet, b"ab\xffcd").unwrap();
    let said = vm(&home, &[&plan[..], &[text(&sheet)]].concat());
    assert!(said.code == 2 && said.err.contains("byte 2 [not_utf8]"), "{said:?}");
}

#[test]
fn a_private_value_is_shown_to_its_owner_and_to_whom_the_owner_shows_it() {
    let (dir, home) = home();
    let dir = dir.path();
    let words = ["chore", "jot", "--subject", "door", "--memo", "it squeaks", "--names", "Ann"];
    ok(&home, &words);
    let plain = ok(&home, &["receipt", "show", "chore/1"]).out;
    assert!(plain.contains("2 as salted digests") && !plain.contains("squeaks"), "{plain}");
    assert!(
        ok(&home, &["receipt", "show", "chore/1", "--private"])
            .out
            .contains("memo              it squeaks")
    );
    let row = &ok(&home, &["chore", "query", "--subject", "door", "--private", "--json"]).json()["receipts"]
        [0];
    assert_eq!(
        (&row["private"]["memo"], &row["private"]["names"][0]),
        (&"it squeaks".into(), &"Ann".into())
    );
    assert!(
        ok(&home, &["query", "chore", "type=chore_jot", "--private"]).out.contains("it squeaks")
    );
    assert!(!ok(&home, &["query", "chore", "type=chore_jot"]).out.contains("squeaks"));

    let (proof, trust) = (dir.join("PROOF.json"), trust(dir, &home));
    let closed = ok(&home, &["prove", "chore/1", "-o", text(&proof)]);
    assert_eq!(closed.err, "");
    let said = vm(&elsewhere(dir), &["verify", text(&proof), "--trust", text(&trust)]);
    assert!(said.code == 0 && said.out.contains("2 private values not seen"), "{said:?}");
    let shown = ok(&home, &["prove", "chore/1", "--disclose", "memo", "-o", text(&proof)]);
    assert_eq!(shown.err, "note: this file shows: memo\n");
    let said = vm(&elsewhere(dir), &["verify", text(&proof), "--trust", text(&trust)]);
    assert!(said.out.contains("private values shown\n  memo: it squeaks"), "{said:?}");
    let json =
        vm(&elsewhere(dir), &["verify", text(&proof), "--trust", text(&trust), "--json"]).json();
    assert_eq!((&json["private"]["memo"], &json["withheld"]), (&"it squeaks".into(), &1.into()));
    let wrong = vm(&home, &["prove", "chore/1", "--disclose", "mema", "--json"]);
    assert_eq!(wrong.code, 1, "{wrong:?}");
    assert!(
        wrong.err.contains("no_such_private_value") && wrong.err.contains("It has memo"),
        "{wrong:?}"
    );
}

#[test]
fn a_case_is_proved_by_its_proof_alone_and_a_file_by_its_branch() {
    let (dir, home) = home();
    let dir = dir.path();
    let case = sealed(dir, &home, "i-1");
    let away = dir.join("away");
    fs::create_dir(&away).unwrap();
    let trust = trust(&away, &home);
    fs::copy(case.join("PROOF.json"), away.join("PROOF.json")).unwrap();
    let alone = vm(&elsewhere(dir), &["verify", text(&away), "--trust", text(&trust)]);
    assert_eq!(alone.code, 0, "{alone:?}");
    assert!(alone.out.contains("named by digest only"), "{}", alone.out);
    let one = away.join("one.json");
    ok(&home, &["prove", "i-1", "--artifact", "outputs/photo.txt", "-o", text(&one)]);
    let photo = dir.join("photo.txt");
    let verify = |artifact: &str| {
        let words =
            ["verify", text(&one), "--trust", text(&trust), "--artifact", artifact, "--json"];
        let said = vm(&elsewhere(dir), &words);
        (said.code, said.json())
    };
    assert_eq!(verify(text(&photo)).0, 0);
    assert_eq!(verify(&format!("{}=outputs/photo.txt", text(&photo))).0, 0);
    fs::write(&photo, "a door\n").unwrap();
    let (code, bad) = verify(text(&photo));
    assert_eq!((code, &bad["first_bad"]["file"]), (6, &text(&photo).into()), "{bad}");
    let (code, open) = verify(text(&dir.join("contract.json")));
    assert_eq!((code, &open["outcome"]), (7, &"cannot-evaluate".into()), "{open}");
    let wrong = refused(&home, &["prove", "i-1", "--artifact", "outputs/nothing"]);
    assert_eq!(wrong, (1, "no_such_artifact".into()));
    assert_eq!(refused(&home, &["prove", "chore/0", "--artifact", "x"]), (1, "no_case".into()));
}

#[test]
fn a_private_output_is_opened_for_its_owner_and_checked_by_whom_it_is_shown() {
    let (dir, home) = home();
    let dir = dir.path();
    sealed(dir, &home, "i-1");
    assert_eq!(ok(&home, &["chore", "output", "i-1", "names.txt"]).out, "Mallory\n");
    let to = dir.join("out.txt");
    let said =
        ok(&home, &["chore", "output", "i-1", "names.txt", "-o", text(&to), "--json"]).json();
    assert_eq!(
        (&said["private"], fs::read_to_string(&to).unwrap().as_str()),
        (&true.into(), "Mallory\n")
    );
    use std::os::unix::fs::PermissionsExt;
    assert_eq!(fs::metadata(&to).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(
        refused(&home, &["chore", "output", "i-1", "other", "-o", "/dev/null"]),
        (1, "no_such_output".into())
    );
    assert_eq!(
        refused(&home, &["chore", "output", "i-2", "other", "-o", "/dev/null"]),
        (1, "no_case".into())
    );

    let (proof, trust) = (dir.join("shown.json"), trust(dir, &home));
    ok(&home, &["prove", "i-1", "--disclose", "names.txt", "-o", text(&proof)]);
    let verify = |file: &Path| {
        let words = ["verify", text(&proof), "--trust", text(&trust), "--artifact", text(file)];
        vm(&elsewhere(dir), &words)
    };
    assert_eq!(verify(&to).code, 0, "{:?}", verify(&to));
    let own = dir.join("names.txt");
    fs::write(&own, "Alice\n").unwrap();
    let bad = verify(&own);
    assert!(bad.code == 6 && bad.out.contains("names.txt is not the names.txt"), "{bad:?}");
    let all = dir.join("all.json");
    let said = ok(&home, &["prove", "i-1", "--disclose-all", "-o", text(&all)]);
    assert!(said.err.contains("prompt") && said.err.contains("note"), "{said:?}");
    let said = vm(&elsewhere(dir), &["verify", text(&all), "--trust", text(&trust)]);
    assert!(
        said.code == 0 && said.out.contains("it is damp") && said.out.contains("a smell"),
        "{said:?}"
    );
}

#[test]
fn a_damaged_case_is_told_with_the_file_that_differs() {
    let (dir, home) = home();
    let dir = dir.path();
    let case = sealed(dir, &home, "i-1");
    let trust = trust(dir, &home);
    let verify = || {
        let words = ["verify", text(&case), "--trust", text(&trust), "--json"];
        let said = vm(&elsewhere(dir), &words);
        let file = said.json()["first_bad"]["file"].as_str().unwrap_or_default().to_owned();
        (said.code, file)
    };
    assert_eq!(verify(), (0, String::new()));
    for name in [
        "contract.json",
        "state.json",
        "outputs/photo.txt",
        "outputs/0001.private",
        "ARTIFACTS.sha256",
    ] {
        let path = case.join(name);
        let good = fs::read(&path).unwrap();
        let mut bad = good.clone();
        bad[0] ^= 1;
        fs::write(&path, &bad).unwrap();
        assert_eq!(verify(), (6, text(&path).to_owned()));
        fs::remove_file(&path).unwrap();
        let (code, file) = verify();
        // Without the list a folder does not say that it is whole; what is gone is then only not checked.
        if name == "ARTIFACTS.sha256" {
            assert_eq!(code, 0)
        } else {
            assert_eq!((code, file.as_str()), (6, text(&path)))
        }
        fs::write(&path, &good).unwrap();
    }
    let more = case.join("outputs/more.txt");
    fs::write(&more, "x").unwrap();
    assert_eq!(verify(), (6, text(&more).to_owned()));
    fs::remove_file(&more).unwrap();
    std::os::unix::fs::symlink(case.join("contract.json"), &more).unwrap();
    assert_eq!(verify(), (6, text(&more).to_owned()));
    fs::remove_file(&more).unwrap();
    assert_eq!(verify(), (0, String::new()));
    fs::remove_file(case.join("ARTIFACTS.sha256")).unwrap();
    fs::remove_file(case.join("outputs/photo.txt")).unwrap();
    let said = vm(&elsewhere(dir), &["verify", text(&case), "--trust", text(&trust)]);
    assert!(said.out.contains("case files that are not here: outputs/photo.txt"), "{said:?}");
    assert!(!said.out.contains("named by digest only"), "{said:?}");
}

#[test]
fn effects_that_were_cut_off_are_sealed_as_aborted_and_said() {
    let (_dir, home) = home();
    let plan = ok(&home, &["chore", "plan", "press", "--button", "red", "--id", "p-1"]).out;
    assert_eq!(vm_with(HOUSE, &home, &["chore", "run", "-"], plan.as_bytes()).code, 0);
    // The folder as an executor leaves it that ends before its effects came to anything.
    let run = home.join("runs/chore/p-1");
    let mut state: Value =
        serde_json::from_slice(&fs::read(run.join("state.json")).unwrap()).unwrap();
    state["status"] = "in_progress".into();
    ["outcome", "outputs"]
        .iter()
        .for_each(|name| drop(state.as_object_mut().unwrap().remove(*name)));
    fs::write(run.join("state.json"), format!("{state}\n")).unwrap();
    fs::remove_file(run.join("outputs/click.txt")).unwrap();
    assert!(ok(&home, &["doctor"]).out.contains("chore p-1 is being carried out"));
    let said = ok(&home, &["status"]);
    assert!(
        said.err.contains("run p-1 was interrupted; it is sealed as aborted: chore/1"),
        "{said:?}"
    );
    assert!(!said.out.contains("open  "), "{}", said.out);
    let line = &ok(&home, &["receipt", "show", "p-1", "--json"]).json()["receipts"][0]["line"];
    assert_eq!(line["body"]["fault"]["code"], "interrupted");
}

#[test]
fn a_file_of_a_changed_case_is_not_handed_out() {
    let (dir, home) = home();
    let case = sealed(dir.path(), &home, "i-1");
    let output = ["chore", "output", "i-1", "photo.txt", "-o", "/dev/null"];
    ok(&home, &output);
    fs::write(case.join("outputs/photo.txt"), "a door\n").unwrap();
    assert_eq!(refused(&home, &output), (6, "corrupt".into()));
    let state = fs::read_to_string(case.join("state.json")).unwrap();
    fs::write(case.join("state.json"), state.replace("photo", "phota")).unwrap();
    let said = vm(&home, &output);
    assert!(said.code == 6 && said.err.contains("state.json"), "{said:?}");
}
