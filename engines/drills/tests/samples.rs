//! Published procedures plan as they are, and files of other kinds are refused by what they look like. The files are
//! read from VM_SHARED and never copied here.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::path::PathBuf;

use vm_drills::runbook::{Choice, Runbook, read};

/// A sample, or `None` with a printed line when the folder is not here.
fn sample(name: &str) -> Option<String> {
    let shared = std::env::var_os("VM_SHARED")
        .map(PathBuf::from)
        .unwrap_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared"));
    let path = shared.join("samples/drills").join(name);
    match std::fs::read_to_string(&path) {
        Ok(text) => Some(text),
        Err(error) => {
            let required = std::env::var_os("VM_SHARED_REQUIRED").is_some_and(|v| v == "1");
            assert!(!required, "{}: {error}", path.display());
            write_past_capture(format_args!("skipped: samples/drills/{name}\n"));
            None
        }
    }
}

fn planned(name: &str, choice: &Choice) -> Option<Runbook> {
    Some(read(&sample(name)?, choice).unwrap_or_else(|flaw| panic!("{name}: {flaw:?}")))
}

#[test]
fn t1003_008_plans_with_all_its_procedures() {
    let Some(runbook) = planned("T1003.008.yaml", &Choice::default()) else { return };
    assert_eq!((runbook.name.as_str(), runbook.stages.len()), ("T1003.008", 5));
    let elevated: Vec<bool> = runbook.stages.iter().map(|s| s.elevated).collect();
    assert_eq!(elevated, [true, true, false, true, true]);
    assert!(runbook.stages.iter().all(|s| s.cleanup && s.platforms == ["linux"]));
    let stage = &runbook.stages[2];
    assert_eq!(
        stage.actions[0],
        "Run in sh:\ncat /etc/passwd > /tmp/T1003.008.txt\ncat /tmp/T1003.008.txt"
    );
    assert_eq!(stage.actions[1], "Clean up in sh:\nrm -f /tmp/T1003.008.txt");
}

#[test]
fn t1003_008_takes_the_users_argument() {
    let choice = Choice {
        procedures: vec!["60e860b6-8ae6-49db-ad07-5e73edd88f5d".to_owned()],
        arguments: vec![("output_file".to_owned(), "/var/tmp/out".to_owned())],
        ..Choice::default()
    };
    let Some(runbook) = planned("T1003.008.yaml", &choice) else { return };
    assert_eq!(runbook.stages.len(), 1);
    assert!(
        runbook.stages[0].actions.iter().all(|a| a.contains("/var/tmp/out") && !a.contains("#{"))
    );
}

#[test]
fn t1001_002_plans_with_its_prerequisites_and_by_platform() {
    let Some(runbook) = planned("T1001.002.yaml", &Choice::default()) else { return };
    let prerequisites: Vec<u32> = runbook.stages.iter().map(|s| s.prerequisites).collect();
    assert_eq!(prerequisites, [3, 2, 0]);
    let linux = Choice { platform: Some("linux".to_owned()), ..Choice::default() };
    let linux = planned("T1001.002.yaml", &linux).unwrap();
    assert_eq!(linux.stages.len(), 1);
    // Its arguments are of the type "String"; case makes no difference.
    assert!(linux.stages[0].actions[0].contains("PathToAtomicsFolder/script.sh"));
}

#[test]
fn files_of_other_kinds_are_refused_by_what_they_look_like() {
    for (name, kind) in [
        ("RP_0001_phishing_email.yml", "a RE&CT response playbook"),
        ("cacao_manual-playbook.json", "a CACAO playbook"),
        ("cacao_ssh-playbook.json", "a CACAO playbook"),
        ("art-navigator-layer-containers.json", "an ATT&CK Navigator layer"),
        ("caldera/de07f52d-9928-4071-9142-cb1d3bd851e8.yml", "a Caldera adversary"),
    ] {
        let Some(text) = sample(name) else { return };
        let flaw = read(&text, &Choice::default()).unwrap_err();
        assert_eq!(flaw.code, "unknown_runbook_format", "{name}: {flaw:?}");
        assert!(flaw.what.contains(kind), "{name}: {flaw:?}");
    }
}

#[test]
fn every_caldera_ability_plans() {
    let Some(sources) = sample("SOURCES.txt") else { return };
    let mut count = 0;
    for name in sources.lines().filter_map(|line| line.split(" | ").next()) {
        if name.starts_with("caldera/") && !name.contains("de07f52d") {
            let runbook = planned(name, &Choice::default()).unwrap();
            assert_eq!(runbook.stages.len(), 1, "{name}");
            count += 1;
        }
    }
    assert!(count >= 17, "{count}");
}

/// Past the test harness, which keeps what a passing test prints to itself: what was skipped must be seen.
fn write_past_capture(text: std::fmt::Arguments<'_>) {
    std::io::Write::write_fmt(&mut std::io::stderr(), text).expect("standard error takes a line");
}
