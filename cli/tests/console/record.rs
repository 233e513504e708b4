//! `vm record`: files and statements as evidence.

use crate::desk::Desk;
use serde_json::{Value, json};
use std::fs;

#[test]
fn a_file_is_kept_encrypted_and_its_proof_verifies_elsewhere() {
    let desk = Desk::new();
    fs::write(desk.work("report.json"), r#"{"passed":12,"words":"a known line"}"#).unwrap();
    let said = desk.ok(&[
        "record",
        "report.json",
        "--type",
        "test-report",
        "--tag",
        "nightly",
        "--id",
        "r-1",
    ]);
    assert!(said.contains("console/1") && said.contains("console_evidence"), "{said}");
    assert!(!desk.holds(b"a known line"));
    desk.ok(&["prove", "r-1", "-o", "PROOF.json"]);
    let trust = desk.home().join("keys/trust.txt");
    fs::copy(trust, desk.work("trust.txt")).unwrap();
    let mut elsewhere = desk.program();
    let words = ["verify", "PROOF.json", "--trust", "trust.txt"];
    let output = elsewhere.env("VM_HOME", desk.path("no-home")).args(words).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    // The same id and file again is the same receipt.
    let again = desk.json(&[
        "record",
        "report.json",
        "--type",
        "test-report",
        "--tag",
        "nightly",
        "--id",
        "r-1",
    ]);
    assert_eq!(again["existing"], true);
}

#[test]
fn a_statement_comes_from_standard_input_here_and_at_the_owner() {
    let desk = Desk::new();
    let words = ["record", "-", "--type", "statement", "--json"];
    let kept = |output: std::process::Output| {
        assert!(output.status.success(), "{output:?}");
        let told: Value = serde_json::from_slice(&output.stdout).unwrap();
        told["receipts"][0]["line"]["body"]["size_bytes"].clone()
    };
    assert_eq!(kept(desk.vm_with(&words, b"{\"ok\":true}")), 11);
    let served = desk.serve();
    assert_eq!(kept(desk.vm_with(&words, b"{\"ok\":false}")), 12);
    fs::create_dir(desk.path("else")).unwrap();
    fs::write(desk.path("else/note"), "here").unwrap();
    let mut command = desk.program();
    command.current_dir(desk.path("else")).args([
        "record",
        "note",
        "--type",
        "statement",
        "--json",
    ]);
    assert_eq!(kept(command.output().unwrap()), 4);
    drop(served);
}

#[test]
fn a_file_that_is_not_there_leaves_no_receipt_and_a_pipe_is_not_waited_for() {
    let desk = Desk::new();
    assert_eq!(desk.refused(&["record", "nothing", "--type", "x"]), (1, "no_such_file".into()));
    assert_eq!(desk.refused(&["record", ".", "--type", "x"]), (1, "no_such_file".into()));
    assert_eq!(desk.refused(&["record", "/dev/zero", "--type", "x"]).1, "read_failed");
    let status = desk.json(&["status"]);
    let console = status["scrolls"].as_array().unwrap().iter().find(|s| s["scroll"] == "console");
    assert!(console.is_none_or(|s| s["size"].as_u64().unwrap_or(0) <= 1), "{status}");
}

#[test]
fn without_its_bytes_the_digest_is_kept() {
    let desk = Desk::new();
    fs::write(desk.work("big"), "content").unwrap();
    let told = desk.json(&["record", "big", "--type", "x", "--no-keep", "--id", "r-1"]);
    assert_eq!(told["receipts"][0]["line"]["body"]["size_bytes"], 7);
    let shown = desk.json(&["receipt", "show", "r-1", "--private"]);
    let want = format!("blake3:{}", blake3::hash(b"content").to_hex());
    assert_eq!(shown["receipts"][0]["private"]["content_hash"], want, "{shown}");
    assert!(!desk.home().join("cases/console/r-1/outputs/evidence").exists());
}

#[test]
fn a_call_that_comes_as_json_reads_no_file_of_the_owner() {
    let desk = Desk::new();
    fs::write(desk.work("private"), "the owner's").unwrap();
    let served = desk.serve();
    let intent =
        json!({"evidence_type": "x", "source": desk.work("private"), "observed_by": "person"});
    let call = json!({"engine": "console", "verb": "evidence", "intent": intent}).to_string();
    let request = format!(
        "POST /v1/call HTTP/1.1\r\nHost: vm\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{call}",
        call.len()
    );
    let socket = desk.home().join("vm.sock");
    let mut stream = std::os::unix::net::UnixStream::connect(socket).unwrap();
    std::io::Write::write_all(&mut stream, request.as_bytes()).unwrap();
    let mut answer = String::new();
    std::io::Read::read_to_string(&mut stream, &mut answer).unwrap();
    assert!(answer.contains("port_not_granted"), "{answer}");
    drop(served);
}
