//! Drills from plan to seal.

use serde_json::{Map, Value, json};
use vm_contracts::Refusal;

use crate::runbook::STAGES_MAX;
use crate::testing::{Bench, Run, refused, runbook, said};

/// One elevated stage with a cleanup and prerequisites.
const GUARDED: &str = "runbook: 1
name: guarded
title: Guarded
stages:
- id: act
  skill: s
  workflow: w
  actions: [do it]
  elevated: true
  prerequisites: [a spare machine]
  cleanup: undo it
";

const STAGE: &str = "01-act";

fn fields(value: Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

fn ready(outcome: &str) -> Map<String, Value> {
    fields(json!({"outcome": outcome, "prerequisites": "met", "cleanup": "done"}))
}

fn guarded(bench: &Bench) -> Run {
    bench.plan("g1", json!({"runbook": GUARDED})).unwrap()
}

fn approve(bench: &mut Bench, run: &Run, user: u32, from: i64, until: i64) {
    let intent = json!({"drill_id": "g1", "contract": bench.digest(run).to_string(), "from": bench.at(from), "until": bench.at(until)});
    bench.call_as(user, "approve", intent).unwrap();
}

fn act(bench: &Bench, run: &mut Run, user: u32) -> Result<(), Refusal> {
    bench.complete(run, user, STAGE, ready("detected"))
}

#[test]
fn nobody_acts_without_the_approval_of_another_person() {
    let mut bench = Bench::new();
    let mut run = guarded(&bench);
    let refusal = refused(act(&bench, &mut run, 1), "approval_needed");
    assert!(refusal.hint.unwrap().contains(&bench.digest(&run).to_string()));
    // Who opened the run does not approve it, whoever completes the stage.
    approve(&mut bench, &run, 1, 0, 600);
    refused(act(&bench, &mut run, 2), "approver_is_actor");
    // Who completes the stage does not approve it either.
    approve(&mut bench, &run, 2, 0, 600);
    refused(act(&bench, &mut run, 2), "approver_is_actor");
    act(&bench, &mut run, 1).unwrap();
    let line = bench.seal(run).unwrap();
    assert_eq!(line.body["approvals"], json!(["call-2"]));
    assert_eq!(line.body["cleanup_verified"], true);
}

#[test]
fn what_could_do_harm_waits_like_what_needs_rights() {
    let bench = Bench::new();
    let intent = |flag: &str| json!({"runbook": GUARDED.replace("elevated: true", flag)});
    for flag in ["elevated: true", "destructive: true"] {
        let mut run = bench.plan("g1", intent(flag)).unwrap();
        refused(act(&bench, &mut run, 1), "approval_needed");
    }
    let mut harmless = bench.plan("g1", intent("elevated: false")).unwrap();
    act(&bench, &mut harmless, 1).unwrap();
}

#[test]
fn an_approval_holds_inside_its_window_only() {
    let mut bench = Bench::new();
    let mut run = guarded(&bench);
    approve(&mut bench, &run, 2, 60, 120);
    refused(act(&bench, &mut run, 1), "outside_window");
    bench.wait_s(60);
    // It was begun before the window opened.
    let mut early = ready("missed");
    early.insert("started_at".to_owned(), bench.at(-1).into());
    refused(bench.complete(&mut run, 1, STAGE, early), "outside_window");
    bench.wait_s(60);
    refused(act(&bench, &mut run, 1), "outside_window");
    bench.wait_s(-1);
    act(&bench, &mut run, 1).unwrap();
}

#[test]
fn an_approval_is_for_one_contract_and_the_stages_it_names() {
    let mut bench = Bench::new();
    let mut run = guarded(&bench);
    let mut changed = guarded(&bench);
    changed.contract.stages[0].actions.push("and more".to_owned());
    approve(&mut bench, &changed, 2, 0, 600);
    refused(act(&bench, &mut run, 1), "approval_needed");
    let digest = bench.digest(&run).to_string();
    let intent = |stages: &[&str]| json!({"drill_id": "g1", "contract": digest, "stages": stages, "from": bench.at(0), "until": bench.at(60)});
    let (other, this) = (intent(&["02-other"]), intent(&[STAGE]));
    bench.call_as(2, "approve", other).unwrap();
    refused(act(&bench, &mut run, 1), "approval_needed");
    bench.call_as(2, "approve", this).unwrap();
    act(&bench, &mut run, 1).unwrap();
}

#[test]
fn what_was_not_run_needs_nobody() {
    let mut bench = Bench::new();
    let mut run = guarded(&bench);
    bench.complete(&mut run, 1, STAGE, said("not_run")).unwrap();
    let line = bench.seal(run).unwrap();
    assert!(!line.body.contains_key("approvals") && !line.body.contains_key("cleanup_verified"));
    assert!(!line.body.contains_key("detection_rate_bp"));
    assert_eq!((&line.body["not_run"], &line.body["stages_completed"]), (&json!(1), &json!(1)));
    let mut run = bench.plan("g2", json!({"runbook": GUARDED})).unwrap();
    let told = fields(json!({"outcome": "not_run", "cleanup": "done"}));
    refused(bench.complete(&mut run, 1, STAGE, told), "not_run_but_told");
}

#[test]
fn a_state_changed_by_hand_is_not_sealed() {
    let mut bench = Bench::new();
    let mut run = guarded(&bench);
    bench.complete(&mut run, 1, STAGE, said("not_run")).unwrap();
    run.state.stages[0].fields = ready("detected");
    assert_eq!(bench.seal(run).unwrap_err().code(), "approval_needed");
    let run = guarded(&bench);
    assert_eq!(bench.seal(run).unwrap_err().code(), "stages_open");
}

#[test]
fn prerequisites_and_cleanup_are_spoken_of() {
    let mut bench = Bench::new();
    let mut run = guarded(&bench);
    approve(&mut bench, &run, 2, 0, 600);
    for (told, code) in [
        (json!({"outcome": "missed"}), "prerequisites_needed"),
        (json!({"outcome": "missed", "prerequisites": "not_met"}), "prerequisites_not_met"),
        (json!({"outcome": "missed", "prerequisites": "met"}), "cleanup_needed"),
    ] {
        refused(bench.complete(&mut run, 1, STAGE, fields(told)), code);
    }
    let failed = json!({"outcome": "missed", "prerequisites": "met", "cleanup": "failed"});
    bench.complete(&mut run, 1, STAGE, fields(failed)).unwrap();
    assert_eq!(bench.seal(run).unwrap().body["cleanup_verified"], false);
}

#[test]
fn a_stage_without_a_cleanup_is_not_cleaned_up() {
    let bench = Bench::new();
    let mut run = bench.plan("d", json!({"runbook": runbook(1)})).unwrap();
    for how in ["done", "failed"] {
        let told = fields(json!({"outcome": "missed", "cleanup": how}));
        refused(bench.complete(&mut run, 1, "01-one", told), "no_cleanup");
    }
    let told = fields(json!({"outcome": "missed", "cleanup": "not_needed"}));
    bench.complete(&mut run, 1, "01-one", told).unwrap();
}

#[test]
fn a_detection_follows_its_start_and_belongs_to_what_was_noticed() {
    let bench = Bench::new();
    let mut run = bench.plan("d", json!({"runbook": runbook(2)})).unwrap();
    let told = |outcome: &str, started: Option<i64>, detected: i64| {
        let started = started.map(|s| bench.at(s));
        let mut told = fields(json!({"outcome": outcome, "detected_at": bench.at(detected)}));
        told.extend(started.map(|s| ("started_at".to_owned(), Value::from(s))));
        told
    };
    for (told, code) in [
        (told("missed", Some(-60), -30), "not_detected"),
        (told("logged", Some(-60), -30), "not_detected"),
        (told("detected", None, -30), "start_needed"),
        (told("blocked", Some(-30), -31), "detected_before_start"),
        (told("detected", Some(-30), 301), "from_future"),
        (told("detected", Some(301), 302), "from_future"),
    ] {
        refused(bench.complete(&mut run, 1, "01-one", told), code);
    }
    bench.complete(&mut run, 1, "01-one", told("detected", Some(-30), 300)).unwrap();
}

#[test]
fn the_receipt_adds_up_what_the_stages_came_to() {
    let mut bench = Bench::new();
    let intent = json!({"runbook": runbook(5), "prompt": "private words", "title": "Spring"});
    let mut run = bench.plan("sum", intent).unwrap();
    let stages = ["01-one", "02-two", "03-three", "04-four", "05-five"];
    bench.wait_s(100);
    for (stage, (outcome, seconds)) in stages.iter().zip([
        ("blocked", Some(4)),
        ("detected", Some(10)),
        ("logged", None),
        ("missed", None),
        ("not_run", None),
    ]) {
        let mut told = said(outcome);
        if let Some(seconds) = seconds {
            told.insert("started_at".to_owned(), bench.at(-60).into());
            told.insert("detected_at".to_owned(), bench.at(seconds - 60).into());
        }
        bench.complete(&mut run, 1, stage, told).unwrap();
    }
    let completed = bench.at(0);
    bench.wait_s(1);
    let line = bench.seal(run).unwrap();
    let body = &line.body;
    for (name, value) in [
        ("drill_id", json!("sum")),
        ("title", json!("Spring")),
        ("severity", json!("high")),
        ("status", json!("completed")),
        ("stages_total", json!(5)),
        ("stages_completed", json!(5)),
        ("timestamp_completed", json!(completed)),
        ("domains", json!(["s0", "s1", "s2", "s3", "s4"])),
        ("workflows", json!(["w"])),
        ("tactics", json!(["impact"])),
        ("outcomes", json!(["blocked", "detected", "logged", "missed", "not_run"])),
        ("detection_rate_bp", json!(5000)),
        ("time_to_detect_ms", json!(7000)),
        ("proof_path", json!("cases/drills/sum/PROOF.json")),
        ("artifacts_manifest", json!("cases/drills/sum/ARTIFACTS.sha256")),
        ("runbook_name", json!("plain")),
        ("runbook_format", json!("vaultmesh")),
        (
            "technique_outcomes",
            json!([
                "T1000:blocked",
                "T1001:detected",
                "T1002:logged",
                "T1003:missed",
                "T1004:not_run"
            ]),
        ),
    ] {
        assert_eq!(body[name], value, "{name}");
    }
    let first = json!({"stage": "01-one", "outcome": "blocked", "technique": "T1000", "time_to_detect_ms": 4000});
    assert_eq!(body["stage_outcomes"][0], first);
    assert!(!serde_json::to_string(body).unwrap().contains("private words"));
}

#[test]
fn a_prompt_finds_its_runbook_and_the_plan_says_why() {
    let bench = Bench::new();
    let run =
        bench.plan("p", json!({"prompt": "IoT device bridging into OT, near Zanzibar"})).unwrap();
    let plan = &run.contract.plan;
    assert_eq!(plan["runbook_name"], "iot-ot-bridge");
    assert_eq!(plan["why"]["how"], "matched");
    assert_eq!(run.contract.severity.as_deref(), Some("high"));
    assert_eq!(run.contract.stages[0].id, "01-iot-wireless-security");
    assert_eq!(run.contract.stages[1].after, ["01-iot-wireless-security"]);
    let contract = String::from_utf8(run.contract.to_bytes().unwrap()).unwrap();
    for word in ["zanzibar", "near", "score", "terms"] {
        assert!(!contract.to_lowercase().contains(&format!("\"{word}")), "{word}");
    }
    for (intent, code) in [
        (json!({}), "runbook_or_prompt_needed"),
        (json!({"prompt": "teapots"}), "no_runbook_matches"),
        (json!({"prompt": "phishing", "atomic": ["1"]}), "runbook_needed"),
        (json!({"runbook": GUARDED, "catalogue": [GUARDED]}), "runbook_and_catalogue"),
        (json!({"runbook": GUARDED, "tactics": ["Impact"]}), "bad_tactic"),
        (json!({"runbook": "runbook: 1\nname: [x\n"}), "yaml_syntax"),
    ] {
        refused(bench.plan("x", intent), code);
    }
    let own = bench.plan("o", json!({"prompt": "guarded things", "catalogue": [GUARDED]})).unwrap();
    assert_eq!(own.contract.plan["runbook_name"], "guarded");
}

#[test]
fn a_refused_runbook_is_named_with_line_and_column() {
    let bench = Bench::new();
    let refusal = refused(
        bench.plan("x", json!({"runbook": GUARDED.replace("elevated: true", "elevated: 1")})),
        "runbook_bad_value",
    );
    assert_eq!(refusal.message, "runbook, line 9, column 13: elevated is true or false");
    assert_eq!(refusal.field.as_deref(), Some("runbook"));
}

#[test]
fn tactics_are_lent_to_stages_that_name_none() {
    let bench = Bench::new();
    let atomic = "attack_technique: T1003\natomic_tests: [{name: a, executor: {command: x}}, {name: a, executor: {command: x}}]\n";
    let run = bench
        .plan(
            "t",
            json!({"runbook": atomic, "tactics": ["credential-access"], "atomic": ["1", "1", "2"]}),
        )
        .unwrap();
    let ids: Vec<_> = run.contract.stages.iter().map(|s| s.id.as_str()).collect();
    assert_eq!(ids, ["01-a", "02-a", "03-a"]);
    assert_eq!(run.contract.stages[2].after, ["02-a"]);
    assert_eq!(run.contract.stages[0].details["tactics"], json!(["credential-access"]));
    let own =
        bench.plan("o", json!({"runbook": runbook(1), "tactics": ["credential-access"]})).unwrap();
    assert_eq!(own.contract.stages[0].details["tactics"], json!(["impact"]));
}

#[test]
fn the_largest_drill_still_fits_its_line() {
    let mut bench = Bench::new();
    let quoted = |most: usize, n: usize| format!("'{n:0>2}{}'", "\"".repeat(most - 2));
    let mut text = "runbook: 1\nname: x\ntitle: x\nstages:\n".to_owned();
    for n in 0..STAGES_MAX {
        let (skill, workflow, platform) =
            (quoted(64, n % 32), quoted(100, n % 64), quoted(32, n % 32));
        let id = format!("{n:s>48}");
        text += &format!(
            "- {{id: {id}, skill: {skill}, workflow: {workflow}, actions: [c], techniques: [T1000.{:03}], tactics: [{:t>32}], platforms: [{platform}], elevated: true}}\n",
            n % 400,
            n % 32,
        );
    }
    let title = "\"".repeat(200);
    let mut run = bench.plan(&"x".repeat(64), json!({"runbook": text, "title": title})).unwrap();
    let digest = bench.digest(&run).to_string();
    let ids: Vec<String> = run.contract.stages.iter().map(|s| s.id.clone()).collect();
    for chunk in ids.chunks(16).take(63) {
        let intent = json!({"drill_id": "x".repeat(64), "contract": digest, "stages": chunk, "from": bench.at(0), "until": bench.at(60)});
        bench.call_as(2, "approve", intent).unwrap();
    }
    for id in &ids {
        bench.complete(&mut run, 1, id, said("detected")).unwrap();
    }
    let line = bench.seal(run).unwrap();
    let bytes = serde_json::to_string(&line.body).unwrap().len();
    // Call ids have up to 64 bytes, 16 tags as many; the envelope and its proof have below 2,000.
    let approvals = line.body["approvals"].as_array().unwrap().len();
    assert_eq!(approvals, 63);
    let most = bytes + approvals * 64 + 16 * 67 + 2_000;
    assert!(most <= 65_535, "{bytes} bytes of body, {most} at most");
    assert!(!line.body.contains_key("stage_outcomes"));
    let item = json!({"stage": ids[999], "title": "x"});
    bench.ok("action-item", item);
    refused(bench.call("action-item", json!({"stage": "1001-x", "title": "x"})), "unknown_stage");
}
