//! Where the owner is found, and who is told that there is one.

use crate::place::{Place, code, said};
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;

#[test]
fn a_second_owner_is_told_the_first_ones_process_and_socket() {
    let place = Place::new();
    let owner = place.serve();
    let second = place.vm(&["serve"]);
    let text = said(&second);
    assert_eq!(code(&second), 1, "{text}");
    assert!(text.contains("[already_served]") && text.contains("vm.sock"), "{text}");
    assert!(text.contains(&owner.pid().to_string()), "{text}");
    let socket = std::fs::metadata(place.home.join("vm.sock")).unwrap();
    assert_eq!(socket.permissions().mode() & 0o777, 0o600);
    owner.stop();
}

#[test]
fn an_owner_that_does_not_serve_is_waited_for_and_named() {
    let place = Place::new();
    let _lock = vm_ledger::lock::Lock::acquire(&place.home, std::time::Duration::ZERO).unwrap();
    for words in [["status", "--wait", "0"], ["serve", "--wait", "0"], ["fsck", "--wait", "0"]] {
        let output = place.vm(&words);
        let text = said(&output);
        assert!(
            text.contains("[home_busy]") && text.contains(&std::process::id().to_string()),
            "{text}"
        );
    }
}

#[test]
fn a_stale_socket_keeps_nobody_waiting_and_is_replaced() {
    let place = Place::new();
    place.serve().kill();
    assert!(place.home.join("vm.sock").exists());
    assert!(place.ok(&["status"]).contains("treasury"));
    let owner = place.serve();
    assert!(place.client().health().unwrap().body["pid"] == owner.pid());
    owner.stop();
}

#[test]
fn a_home_under_a_long_path_is_served_and_found() {
    let place = Place::below(&format!("{}/home", "deep".repeat(30)));
    let owner = place.serve();
    assert!(!place.home.join("vm.sock").exists());
    let at = std::fs::read_to_string(place.home.join("vm.sock.at")).unwrap();
    assert!(at.starts_with(place.dir.path().join("vaultmesh").to_str().unwrap()), "{at}");
    assert!(place.client().health().unwrap().body["pid"] == owner.pid());
    assert!(place.ok(&["status"]).contains("treasury"));
    place.check();
    owner.stop();
    assert!(!std::path::Path::new(&at).exists());
    place.check();
}

#[test]
fn a_note_that_leads_to_another_homes_owner_is_not_believed() {
    let (place, other) = (Place::below(&format!("{}/home", "deep".repeat(30))), Place::new());
    let owner = other.serve();
    // What a home that was put elsewhere, or a crash, may leave behind.
    let socket = other.home.join("vm.sock").display().to_string();
    std::fs::write(place.home.join("vm.sock.at"), socket).unwrap();
    let said = place.ok(&["status"]);
    assert!(said.contains(place.home.to_str().unwrap()), "{said}");
    owner.stop();
}

/// What the owner answers to bytes; the sender closes its side if asked.
fn answer(place: &Place, bytes: &[u8], close: bool) -> String {
    let mut stream = UnixStream::connect(place.home.join("vm.sock")).unwrap();
    // A server that has heard enough may have closed.
    let _ = stream.write_all(bytes);
    if close {
        stream.shutdown(std::net::Shutdown::Write).unwrap();
    }
    let mut said = Vec::new();
    let _ = stream.read_to_end(&mut said);
    String::from_utf8_lossy(&said).into_owned()
}

#[test]
fn nonsense_ends_its_own_connection_and_nothing_else() {
    let place = Place::new();
    let owner = place.serve();
    let long = "x".repeat(1 << 20);
    let starts = |said: &str, status: &str| said.starts_with(&format!("HTTP/1.1 {status}"));
    assert!(starts(&answer(&place, b"\x00\x01\x02garbage\r\n\r\n", false), "400"));
    let header = format!("GET /v1/health HTTP/1.1\r\nhost: vm\r\nx: {long}\r\n\r\n");
    assert!(starts(&answer(&place, header.as_bytes(), false), "431"));
    let body = format!(
        "POST /v1/call HTTP/1.1\r\nhost: vm\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{}",
        5 << 20,
        long.repeat(5)
    );
    let said = answer(&place, body.as_bytes(), false);
    assert!(starts(&said, "413") && said.contains("too_large"), "{said}");
    for half in [
        "",
        "POST /v1",
        "POST /v1/call HTTP/1.1\r\ncontent-length: 9\r\n\r\n{",
        "POST /v1/command HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n5\r\nc",
    ] {
        answer(&place, half.as_bytes(), true);
    }
    for (path, body) in [
        ("/v1/command", "no frames"),
        ("/v1/command", "c\x00\x00\x00\x02{}"),
        ("/v1/call", "[1]"),
        ("/v1/nothing", ""),
    ] {
        let text = format!(
            "POST {path} HTTP/1.1\r\nhost: vm\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        let said = answer(&place, text.as_bytes(), false);
        assert!(starts(&said, "4") && said.contains("\"code\":"), "{path}: {said}");
    }
    let wrong =
        answer(&place, b"DELETE /v1/call HTTP/1.1\r\nhost: vm\r\nconnection: close\r\n\r\n", false);
    assert!(starts(&wrong, "405") && wrong.contains("allow: POST"), "{wrong}");
    assert!(place.ok(&["status"]).contains("treasury         3"), "nothing was written");
    owner.stop();
}
