//! Runs from plan to seal: who wins, what waits, what is refused, and that nothing is left behind.

use crate::place::{Desk, Edited, code, line, tree};
use serde_json::{Value, json};
use std::sync::Barrier;
use vm_contracts::{Actor, Status};
use vm_ledger::Ledger;
use vm_receipts::line::{End, Line};
use vm_tests::people::{abort, by, complete, failing_pay, file, in_place, open, plan, seal};
use vm_tests::world::{call, note, pay, whisper, work};

/// Every file below runs/ and cases/.
fn folders(home: &Edited) -> Vec<String> {
    let root = home.path("");
    let inside = |path: &std::path::PathBuf| {
        let path = path.strip_prefix(&root).ok()?.to_string_lossy().into_owned();
        (path.starts_with("runs/") || path.starts_with("cases/")).then_some(path)
    };
    tree(&root).keys().filter_map(inside).collect()
}

fn finished(ledger: &Ledger, id: &str, stages: usize) {
    open(ledger, work(id, stages as u32)).unwrap();
    (1..=stages).for_each(|n| drop(complete(ledger, id, n, None, vec![]).unwrap()));
}

#[test]
fn an_effect_happens_once_and_its_receipt_says_how_often() {
    let home = Edited::new();
    let ledger = home.open();
    let first = ledger.perform(pay("p", 7, "ann")).unwrap();
    let paid = line(&first.answer);
    assert_eq!(
        (paid.end, &paid.body["effects"], &paid.body["total"]),
        (End::Completed, &json!(1), &json!(7))
    );
    let again = ledger.perform(pay("p", 7, "ann")).unwrap();
    assert_eq!((again.answer.lines, again.answer.existing), (first.answer.lines, true));
    for other in [pay("p", 7, "bob"), pay("p", 8, "ann")] {
        assert_eq!(code(ledger.perform(other)), "id_used_for_other_intent");
    }
    assert_eq!(home.till.counts()["p"], 1);
    ledger.flush().unwrap();
    home.is_verified();
}

#[test]
fn a_fault_leaves_an_aborted_receipt_with_its_code() {
    let home = Edited::new();
    let ledger = home.open();
    for (fail, expected, effects) in [
        ("before", "till_closed", 0),
        ("after", "till_jammed", 1),
        ("stray", "port_not_declared", 0),
    ] {
        let sealed = ledger.perform(failing_pay(fail, fail)).unwrap();
        let aborted = line(&sealed.answer);
        assert_eq!(aborted.end, End::Aborted, "{fail}");
        assert_eq!(aborted.body["fault"]["code"], expected);
        assert_eq!(aborted.body["amount"], 5, "what was asked for in public stays");
        assert_eq!(home.till.counts().get(fail).copied().unwrap_or(0), effects);
        let again = ledger.perform(failing_pay(fail, fail)).unwrap();
        assert!(again.answer.existing, "an aborted run is not tried again under its id");
        assert_eq!(home.till.counts().get(fail).copied().unwrap_or(0), effects);
    }
    ledger.flush().unwrap();
    home.is_verified();
}

#[test]
fn a_port_that_nobody_grants_is_a_fault_and_no_effect() {
    let desk = Desk::with_home();
    let owned = desk.open("one");
    let sealed = owned.ledger.perform(pay("p", 7, "ann")).unwrap();
    assert_eq!(line(&sealed.answer).body["fault"]["code"], "port_not_granted");
    owned.close().unwrap();
    assert!(desk.verify("one").is_verified());
}

#[test]
fn a_secret_reaches_the_effect_and_nothing_else() {
    let home = Edited::new();
    let ledger = home.open();
    let with = |id: &str, pin: &str| call(id, "pay", json!({"amount": 1, "to": "ann", "pin": pin}));
    let sealed = ledger.perform(with("good", "8675309-pin")).unwrap();
    assert_eq!(line(&sealed.answer).end, End::Completed);
    let refused = ledger.perform(with("bad", "867")).unwrap();
    assert_eq!(
        line(&refused.answer).body["fault"]["code"],
        "bad_pin",
        "the pin reached the effect"
    );
    assert_eq!(code(ledger.plan(with("planned", "8675309-pin"))), "secret_in_contract");
    ledger.flush().unwrap();
    for (path, bytes) in home.all() {
        assert!(!bytes.windows(7).any(|w| w == b"8675309"), "{} holds the pin", path.display());
    }
}

#[test]
fn exactly_one_of_two_completes_a_stage() {
    let home = Edited::new();
    let ledger = home.open();
    for round in 0..8 {
        let id = format!("w{round}");
        open(&ledger, work(&id, 1)).unwrap();
        let start = Barrier::new(2);
        let codes = std::thread::scope(|scope| {
            let hands = ["one", "two"].map(|who| {
                let (ledger, id, start) = (&ledger, &id, &start);
                scope.spawn(move || {
                    start.wait();
                    let files = vec![file(&format!("{who}.txt"), false, who.as_bytes())];
                    code(complete(ledger, id, 1, Some(who), files))
                })
            });
            hands.map(|hand| hand.join().unwrap())
        });
        let mut sorted = codes.clone();
        sorted.sort();
        assert_eq!(sorted, ["none", "stage_completed"]);
        let winner = if codes[0] == "none" { "one" } else { "two" };
        let run = ledger.open_run("toy", &id).unwrap();
        let paths: Vec<_> = run.state.all_outputs().map(|o| o.path.clone()).collect();
        assert_eq!(paths, [format!("outputs/{winner}.txt")]);
        seal(&ledger, &id).unwrap();
    }
    ledger.flush().unwrap();
    home.is_verified();
}

#[test]
fn stages_come_in_their_order_and_once() {
    let home = Edited::new();
    let ledger = home.open();
    open(&ledger, work("w", 3)).unwrap();
    assert_eq!(code(complete(&ledger, "w", 2, None, vec![])), "stage_too_early");
    assert_eq!(code(complete(&ledger, "w", 4, None, vec![])), "no_such_stage");
    assert_eq!(code(complete(&ledger, "x", 1, None, vec![])), "no_such_run");
    complete(&ledger, "w", 1, None, vec![]).unwrap();
    assert_eq!(code(complete(&ledger, "w", 1, None, vec![])), "stage_completed");
    assert_eq!(code(seal(&ledger, "w")), "stages_open");
    for (fields, field) in [(json!({}), "outcome"), (json!({"outcome": "perhaps"}), "outcome")] {
        let fields = fields.as_object().unwrap();
        match ledger.complete_stage("toy", "w", "stage-2", fields, vec![], &by()) {
            Err(vm_contracts::Failure::Refusal(r)) => assert_eq!(r.field.as_deref(), Some(field)),
            other => panic!("{other:?}"),
        }
    }
    complete(&ledger, "w", 2, None, vec![]).unwrap();
    complete(&ledger, "w", 3, None, vec![]).unwrap();
    let sealed = line(&seal(&ledger, "w").unwrap().answer);
    assert_eq!(
        (&sealed.body["stages_total"], &sealed.body["stages_completed"]),
        (&json!(3), &json!(3))
    );
}

#[test]
fn what_the_engine_refuses_leaves_no_file_and_can_be_done_otherwise() {
    let home = Edited::new();
    let ledger = home.open();
    open(&ledger, work("w", 1)).unwrap();
    let before = home.all();
    let fields = json!({"outcome": "not_run"});
    let fields = fields.as_object().unwrap();
    let files = vec![file("a.txt", false, b"a")];
    let refused = ledger.complete_stage("toy", "w", "stage-1", fields, files, &by());
    assert_eq!(code(refused), "outputs_of_nothing");
    assert_eq!(home.all(), before);
    complete(&ledger, "w", 1, None, vec![file("a.txt", false, b"a")]).unwrap();
    seal(&ledger, "w").unwrap();
}

#[test]
fn what_is_sealed_is_not_sealed_again() {
    let home = Edited::new();
    let ledger = home.open();
    finished(&ledger, "w", 2);
    seal(&ledger, "w").unwrap();
    let before = home.lines();
    assert_eq!(code(seal(&ledger, "w")), "already_sealed");
    assert_eq!(code(abort(&ledger, "w", None)), "already_sealed");
    assert_eq!(code(complete(&ledger, "w", 1, None, vec![])), "already_sealed");
    assert_eq!(code(open(&ledger, work("w", 2))), "id_used");
    assert_eq!(home.lines(), before);
}

#[test]
fn a_run_that_was_given_up_is_sealed_as_aborted() {
    let home = Edited::new();
    let ledger = home.open();
    open(&ledger, work("w", 2)).unwrap();
    complete(&ledger, "w", 1, Some("half of it"), vec![file("a.txt", true, b"half")]).unwrap();
    abort(&ledger, "w", Some("no more money")).unwrap();
    assert_eq!(code(complete(&ledger, "w", 2, None, vec![])), "run_ended");
    assert_eq!(code(abort(&ledger, "w", None)), "run_ended");
    let sealed = seal(&ledger, "w").unwrap();
    let aborted = line(&sealed.answer);
    assert_eq!(
        (aborted.end, &aborted.body["fault"]["code"]),
        (End::Aborted, &json!("aborted_by_actor"))
    );
    assert_eq!(aborted.body["title"], "w");
    let state: Value = serde_json::from_slice(&home.read("cases/toy/w/state.json")).unwrap();
    assert_eq!(
        (&state["status"], &state["stages"][0]["status"]),
        (&json!("aborted"), &json!("completed"))
    );
    ledger.flush().unwrap();
    home.is_verified();
}

/// The hint of a refused seal says that the run can be given up.
#[test]
fn a_run_whose_seal_was_refused_can_still_be_given_up() {
    let home = Edited::new();
    let ledger = home.open();
    open(&ledger, work("w", 1)).unwrap();
    complete(&ledger, "w", 1, None, vec![file("a.txt", false, b"a")]).unwrap();
    home.write("runs/toy/w/outputs/a.txt", "b");
    assert_eq!(code(seal(&ledger, "w")), "output_changed");
    abort(&ledger, "w", None).unwrap();
    // The receipt of a run that was given up is over its files as they stand; nobody says what they were meant to be.
    assert_eq!(line(&seal(&ledger, "w").unwrap().answer).end, End::Aborted);
    ledger.flush().unwrap();
    home.is_verified();
}

#[test]
fn a_run_that_waits_for_people_survives_the_process() {
    let home = Edited::new();
    let ledger = home.open();
    open(&ledger, work("w", 2)).unwrap();
    complete(&ledger, "w", 1, Some("first"), vec![file("a.txt", true, b"a")]).unwrap();
    drop(ledger);
    let ledger = home.open();
    let (runs, notes) = ledger.open_runs(Some("toy")).unwrap();
    assert!(notes.is_empty(), "{notes:?}");
    let states: Vec<_> = runs.iter().map(|r| (r.contract.id.as_str(), r.state.status)).collect();
    assert_eq!(states, [("w", Status::InProgress)]);
    complete(&ledger, "w", 2, Some("second"), vec![]).unwrap();
    drop(ledger);
    seal(&home.open(), "w").unwrap();
    home.is_verified();
    assert!(home.open().open_runs(None).unwrap().0.is_empty());
}

#[test]
fn a_folder_that_was_never_opened_is_taken_away() {
    let home = Edited::with(&["a"]);
    let other = Edited::new();
    open(&other.open(), work("fresh", 1)).unwrap();
    let fresh = other.read("runs/toy/fresh/state.json");
    for (id, leftover) in
        [("a", "state.json"), ("b", "contract.json.tmp"), ("c", "openings"), ("d", "openings.tmp")]
    {
        home.write(&format!("runs/toy/{id}-half/{leftover}"), &fresh);
        std::fs::create_dir_all(home.path(&format!("runs/toy/{id}-half/outputs"))).unwrap();
        let ledger = home.open();
        assert_eq!(folders(&home), [""; 0], "{leftover} is still there");
        assert!(!home.path(&format!("runs/toy/{id}-half")).exists(), "{leftover}");
        open(&ledger, work(&format!("{id}-half"), 1)).unwrap();
        abort(&ledger, &format!("{id}-half"), None).unwrap();
        seal(&ledger, &format!("{id}-half")).unwrap();
        std::fs::rename(home.path("cases"), home.away(&format!("cases-{id}"))).unwrap();
    }
}

#[test]
fn a_contract_has_at_most_a_thousand_stages() {
    let home = Edited::new();
    let ledger = home.open();
    let before = home.all();
    assert_eq!(code(ledger.plan(work("w", 1_001))), "too_large");
    assert_eq!(home.all(), before);
    let contract = String::from_utf8(plan(&ledger, work("w", 1_000)).unwrap()).unwrap();
    let mut value: Value = serde_json::from_str(&contract).unwrap();
    let more = json!({"id": "stage-1001", "order": 1_001, "after": ["stage-1000"]});
    value["stages"].as_array_mut().unwrap().push(more);
    value["intent"]["stages"] = json!(1_001);
    assert_eq!(code(ledger.run(value.to_string().as_bytes(), &by())), "too_large");
    let run = ledger.run(contract.as_bytes(), &by()).unwrap().run;
    assert_eq!(run.contract.stages.len(), 1_000);
}

#[test]
fn a_contract_edited_by_hand_is_refused_whichever_member_it_is() {
    let home = Edited::new();
    let ledger = home.open();
    let contract = plan(&ledger, work("w", 2)).unwrap();
    let value: Value = serde_json::from_slice(&contract).unwrap();
    let other = |value: &Value| match value {
        Value::String(text) => json!(format!("{text}x")),
        Value::Number(n) => json!(n.as_i64().unwrap() + 1),
        Value::Array(items) => {
            json!([&items[..], &items[..1.min(items.len())], &[json!("x")]].concat())
        }
        Value::Object(map) => {
            let mut map = map.clone();
            map.insert("more".into(), json!(1));
            Value::Object(map)
        }
        other => panic!("{other}"),
    };
    let run = |value: &Value| code(ledger.run(value.to_string().as_bytes(), &by()));
    let mut tried = 0;
    for name in value.as_object().unwrap().keys() {
        // These are only the planner's word: another id is another run, and the surface is not known to the ledger.
        if ["id", "surface"].contains(&name.as_str()) {
            continue;
        }
        let mut edited = value.clone();
        edited[name] = other(&value[name]);
        let said = run(&edited);
        assert!(
            [
                "contract_changed",
                "bad_contract",
                "other_actor",
                "unknown_operation",
                "from_future",
                "unknown_field"
            ]
            .contains(&said.as_str()),
            "{name}: {said}"
        );
        edited.as_object_mut().unwrap().remove(name);
        let said = run(&edited);
        assert!(
            ["contract_changed", "bad_contract", "missing_field"].contains(&said.as_str()),
            "without {name}: {said}"
        );
        tried += 1;
    }
    for name in ["title", "stages", "_sd"] {
        let mut edited = value.clone();
        edited["intent"][name] = other(&value["intent"][name]);
        assert_ne!(run(&edited), "none", "intent.{name}");
        tried += 1;
    }
    for (name, to) in [
        ("id", json!("stage-9")),
        ("order", json!(2)),
        ("after", json!(["stage-2"])),
        ("role", json!("x")),
    ] {
        let mut edited = value.clone();
        edited["stages"][0][name] = to;
        assert_eq!(run(&edited), "contract_changed", "stages[0].{name}");
        tried += 1;
    }
    let mut later = value.clone();
    later["planned_at"] = json!("2030-01-01T00:00:00.000Z");
    assert_eq!(run(&later), "from_future");
    for id in ["../x", "", ".", "a/b"] {
        let mut edited = value.clone();
        edited["id"] = json!(id);
        assert_eq!(run(&edited), "bad_id", "{id:?}");
    }
    assert!(tried > 12);
    assert!(folders(&home).is_empty(), "{:?}", folders(&home));
    assert_eq!(code(ledger.run(&contract, &Actor::local(7))), "other_actor");
    ledger.run(&contract, &by()).unwrap();
    assert!(ledger.run(&contract, &by()).unwrap().existing);
}

#[test]
fn a_contract_or_state_edited_in_its_folder_is_refused() {
    let home = Edited::new();
    let ledger = home.open();
    open(&ledger, work("w", 1)).unwrap();
    let kept = home.read("runs/toy/w/contract.json");
    home.replace("runs/toy/w/contract.json", "\"title\":\"w\"", "\"title\":\"x\"");
    for said in [
        code(complete(&ledger, "w", 1, None, vec![])),
        code(seal(&ledger, "w")),
        code(ledger.open_run("toy", "w")),
    ] {
        assert_eq!(said, "contract_changed");
    }
    home.write("runs/toy/w/contract.json", &kept);
    complete(&ledger, "w", 1, None, vec![]).unwrap();
    // Whoever makes both files fit each other meets the plan, which is made again before it is sealed.
    home.replace("runs/toy/w/contract.json", "\"title\":\"w\"", "\"title\":\"x\"");
    let digest = |bytes: &[u8]| vm_receipts::Blake3::of(bytes).to_string();
    let (old, new) = (digest(&kept), digest(&home.read("runs/toy/w/contract.json")));
    home.replace("runs/toy/w/state.json", &old, &new);
    assert_ne!(code(seal(&ledger, "w")), "none");
    assert_eq!(home.kinds(), ["ledger_open"]);
}

#[test]
fn names_of_outputs_stay_inside_the_folder() {
    let home = Edited::new();
    let ledger = home.open();
    open(&ledger, work("w", 1)).unwrap();
    let before = home.all();
    for name in [
        "..",
        ".",
        "../x",
        "/etc/passwd",
        "a/b",
        ".hidden",
        "",
        "a\\b",
        "x.private",
        "a\nb",
        &"x".repeat(241),
    ] {
        for private in [false, true] {
            let said = code(complete(&ledger, "w", 1, None, vec![file(name, private, b"x")]));
            assert_eq!(said, "bad_output", "{name:?} {private}");
        }
        assert_eq!(
            code(complete(&ledger, "w", 1, None, vec![in_place(name)])),
            "bad_output",
            "{name:?}"
        );
    }
    let twice = vec![file("a", false, b"1"), file("a", false, b"2")];
    assert_eq!(code(complete(&ledger, "w", 1, None, twice)), "output_taken");
    assert_eq!(code(complete(&ledger, "w", 1, None, vec![in_place("absent")])), "output_missing");
    assert_eq!(home.all(), before);
}

#[test]
fn a_record_step_by_step_leaves_the_receipt_that_it_leaves_in_one_go() {
    let (one, steps) = (Edited::with(&["first"]), Edited::with(&["first"]));
    for told in [note("n", "hello"), whisper("q", "hush")] {
        let id = told.id.clone().unwrap();
        let whole = one.open().submit(told.clone()).unwrap();
        let ledger = steps.open();
        let contract = plan(&ledger, told).unwrap();
        assert_eq!(steps.kinds().len() as u64, whole.first, "planning leaves no receipt");
        ledger.run(&contract, &by()).unwrap();
        let sealed = seal(&ledger, &id).unwrap();
        assert_eq!(sealed.case, None, "a record has no case");
        let lines =
            |lines: &[Vec<u8>]| lines.iter().map(|l| Line::parse(l).unwrap()).collect::<Vec<_>>();
        for (mut a, mut b) in lines(&whole.lines).into_iter().zip(lines(&sealed.answer.lines)) {
            if id == "q" {
                // Salts are fresh, and with them everything that is made of digests.
                for line in [&mut a, &mut b] {
                    assert_eq!(line.body["_sd"].as_array().unwrap().len(), 2);
                    line.body.remove("_sd");
                    let zero = vm_receipts::Blake3([0; 32]);
                    (line.intent, line.contract, line.state, line.root_hash) =
                        (zero, zero, zero, zero);
                    line.proof = None;
                    line.prev.root = [0; 32];
                }
            }
            assert_eq!(a, b);
        }
    }
    assert!(folders(&steps).is_empty(), "{:?}", folders(&steps));
    steps.is_verified();
    assert_eq!(code(steps.open().submit(whisper("q", "other"))), "id_used_for_other_intent");
    assert!(steps.open().submit(whisper("q", "hush")).unwrap().existing);
}

/// A run whose contract.json was lost keeps everything else, and goes on with the contract it was opened with.
#[test]
fn a_lost_contract_takes_nothing_with_it_and_is_put_back() {
    let home = Edited::new();
    let ledger = home.open();
    let contract = plan(&ledger, work("w", 2)).unwrap();
    ledger.run(&contract, &by()).unwrap();
    complete(&ledger, "w", 1, Some("first"), vec![file("a.txt", true, b"a")]).unwrap();
    std::fs::remove_file(home.path("runs/toy/w/contract.json")).unwrap();
    drop(ledger);
    let before = folders(&home);
    let ledger = home.open();
    assert_eq!(folders(&home), before, "opening took something away");
    assert!(ledger.run(&contract, &by()).unwrap().existing);
    complete(&ledger, "w", 2, None, vec![]).unwrap();
    seal(&ledger, "w").unwrap();
    ledger.flush().unwrap();
    home.is_verified();
}

/// Copies of a home (archives, version control) lose empty folders.
#[test]
fn a_run_goes_on_without_its_empty_outputs_folder() {
    let home = Edited::new();
    let ledger = home.open();
    for (id, outputs) in [("w", vec![]), ("v", vec![file("a.txt", false, b"a")])] {
        open(&ledger, work(id, 1)).unwrap();
        std::fs::remove_dir(home.path(&format!("runs/toy/{id}/outputs"))).unwrap();
        complete(&ledger, id, 1, None, outputs).unwrap();
        seal(&ledger, id).unwrap();
    }
    open(&ledger, work("u", 1)).unwrap();
    std::fs::remove_dir(home.path("runs/toy/u/outputs")).unwrap();
    abort(&ledger, "u", None).unwrap();
    seal(&ledger, "u").unwrap();
    ledger.flush().unwrap();
    home.is_verified();
}

#[test]
fn a_private_output_has_a_name_of_its_own() {
    let home = Edited::new();
    let ledger = home.open();
    open(&ledger, work("w", 2)).unwrap();
    complete(&ledger, "w", 1, None, vec![file("a.txt", true, b"a")]).unwrap();
    for private in [true, false] {
        let second = complete(&ledger, "w", 2, None, vec![file("a.txt", private, b"b")]);
        assert_eq!(code(second), "output_taken");
    }
}

/// What does not read cannot be sealed truthfully; it is moved out of the way, whole, and the answer says so.
#[test]
fn a_run_that_does_not_read_is_set_aside_when_it_is_given_up() {
    for (name, bytes) in [("state.json", "{"), ("contract.json", "{}")] {
        let home = Edited::new();
        let ledger = home.open();
        open(&ledger, work("w", 1)).unwrap();
        complete(&ledger, "w", 1, None, vec![file("a.txt", false, b"a")]).unwrap();
        home.write(&format!("runs/toy/w/{name}"), bytes);
        assert_eq!(code(abort(&ledger, "w", None)), "run_set_aside", "{name}");
        assert!(folders(&home).is_empty(), "{name}");
        assert_eq!(home.read("quarantine/run.toy.w/outputs/a.txt"), b"a");
        // The id is free again: nothing was sealed under it.
        open(&ledger, work("w", 1)).unwrap();
        ledger.flush().unwrap();
        home.is_verified();
    }
}

#[test]
fn a_file_beside_those_of_a_run_is_named_before_it_is_sealed() {
    let home = Edited::new();
    let ledger = home.open();
    finished(&ledger, "w", 1);
    home.write("runs/toy/w/notes.txt", "mine");
    assert_eq!(code(seal(&ledger, "w")), "output_not_attached");
    std::fs::remove_file(home.path("runs/toy/w/notes.txt")).unwrap();
    seal(&ledger, "w").unwrap();
}

/// The folder of a run is its truth; a record that took its id would make the next open drop it.
#[test]
fn no_other_call_takes_the_id_of_an_open_run() {
    let home = Edited::new();
    let ledger = home.open();
    open(&ledger, work("w", 2)).unwrap();
    complete(&ledger, "w", 1, Some("first"), vec![]).unwrap();
    assert_eq!(code(ledger.submit(note("w", "mine"))), "run_exists");
    drop(ledger);
    let ledger = home.open();
    assert_eq!(code(ledger.submit(note("w", "mine"))), "run_exists");
    complete(&ledger, "w", 2, None, vec![]).unwrap();
    seal(&ledger, "w").unwrap();
    assert_eq!(code(ledger.submit(note("w", "mine"))), "id_used_for_other_intent");
    assert_eq!(code(plan(&ledger, work("w", 2))), "id_used");
}

/// Once there may have been an effect nothing is moved out of sight: the same request would have it again.
#[test]
fn a_run_that_was_carried_out_is_never_set_aside() {
    let home = Edited::new();
    let ledger = home.open();
    let contract = plan(&ledger, pay("p", 7, "ann")).unwrap();
    ledger.run(&contract, &by()).unwrap();
    let state = home.read("runs/toy/p/state.json");
    home.write("runs/toy/p/state.json", "{");
    assert_eq!(code(abort(&ledger, "p", None)), "corrupt");
    assert_ne!(code(ledger.perform(pay("p", 7, "ann"))), "none");
    home.write("runs/toy/p/state.json", &state);
    assert_eq!(code(abort(&ledger, "p", None)), "run_ended", "its outcome is known");
    assert_eq!(line(&seal(&ledger, "p").unwrap().answer).end, End::Completed);
    assert_eq!(home.till.counts()["p"], 1);
}

/// A value whose opening is gone is not one that was never given.
#[test]
fn a_run_without_its_openings_is_not_sealed_over_another_intent() {
    let home = Edited::new();
    let ledger = home.open();
    let contract = plan(&ledger, whisper("s", "psst")).unwrap();
    ledger.run(&contract, &by()).unwrap();
    std::fs::remove_file(home.path("runs/toy/s/openings")).unwrap();
    assert_ne!(code(seal(&ledger, "s")), "none");
    assert_eq!(home.kinds(), ["ledger_open"]);
    assert_eq!(code(abort(&ledger, "s", None)), "run_set_aside");
}
