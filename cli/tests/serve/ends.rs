//! Owners that stop, and owners that are killed: nothing that was answered is lost, nothing is done twice.

use crate::place::{Owner, Place, TRANSFER, call, code, intent, line, lines, said};
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{ExitStatus, Stdio};

/// More than one batch, more than what pipes hold.
const LINES: usize = 6_000;

/// What a batch came to whose owner was told something in the middle.
struct Broken {
    status: ExitStatus,
    answered: Vec<Value>,
    err: String,
}

/// Starts a batch, and gives its owner a signal once the first answer is there.
fn interrupted(place: &Place, owner: &Owner, signal: &str, id: &str) -> Broken {
    let mut command = place.command();
    let command = command.args(["treasury", "transfer", "--batch", "-", "--id", id]);
    let command = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut to = child.stdin.take().unwrap();
    let feeder = std::thread::spawn(move || {
        for _ in 0..LINES {
            // A client whose owner is gone reads no more.
            if to.write_all(line(None).as_bytes()).is_err() {
                return;
            }
        }
    });
    let mut from = BufReader::new(child.stdout.take().unwrap());
    let mut first = String::new();
    from.read_line(&mut first).unwrap();
    owner.signal(signal);
    let mut rest = String::new();
    from.read_to_string(&mut rest).unwrap();
    let output = child.wait_with_output().unwrap();
    feeder.join().unwrap();
    // The last line may have come in part.
    let whole = rest.rfind('\n').map_or("", |end| &rest[..end]);
    let answered = first.lines().chain(whole.lines()).map(|l| serde_json::from_str(l).unwrap());
    Broken {
        status: output.status,
        answered: answered.collect(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

/// Where each line's receipts stand.
fn places(answers: &[Value]) -> BTreeMap<u64, u64> {
    answers.iter().map(|a| (a["line"].as_u64().unwrap(), a["first"].as_u64().unwrap())).collect()
}

/// Runs the whole batch again and compares: what was answered is there, at the same place, and nothing twice.
fn run_again(place: &Place, id: &str, answered: &[Value]) {
    let text = line(None).repeat(LINES);
    let again = place.fed(&["treasury", "transfer", "--batch", "-", "--id", id], &text);
    assert_eq!(code(&again), 0, "{}", String::from_utf8_lossy(&again.stderr));
    let all = lines(&again.stdout);
    let now = places(&all);
    assert_eq!(now.len(), LINES);
    for (line, first) in places(answered) {
        assert_eq!(now[&line], first, "line {line}");
        assert_eq!(all[usize::try_from(line).unwrap() - 1]["existing"], true, "line {line}");
    }
    let size = 3 + 2 * LINES;
    let said = place.ok(&["query", "treasury", "--limit", "1"]);
    assert!(said.contains(&format!("at size {size}")), "{said}");
    place.check();
}

#[test]
fn a_stop_in_the_middle_of_a_batch_finishes_it_and_loses_nothing() {
    let place = Place::new();
    let mut owner = place.serve();
    let broken = interrupted(&place, &owner, "-TERM", "stop");
    assert!(broken.status.success(), "{}", broken.err);
    assert_eq!(broken.answered.len(), LINES);
    assert_eq!(owner.ends(), Some(0));
    assert!(!place.home.join("vm.sock").exists());
    // It was closed as well as any home: ROOT covers everything.
    let verified = place.ok(&["verify"]);
    assert!(!verified.contains("not covered"), "{verified}");
    run_again(&place, "stop", &broken.answered);
}

#[test]
fn a_second_signal_ends_the_owner_at_once_and_nothing_answered_is_lost() {
    let place = Place::new();
    let mut owner = place.serve();
    // It waits for its input, so that the first signal alone would not end the owner.
    let mut command = place.command();
    let command = command.args(["treasury", "transfer", "--batch", "-"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut to = child.stdin.take().unwrap();
    to.write_all(line(Some("first")).as_bytes()).unwrap();
    let mut answer = String::new();
    BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut answer).unwrap();
    owner.signal("-TERM");
    crate::place::until(|| !place.home.join("vm.sock").exists());
    assert!(owner.is_alive());
    owner.signal("-TERM");
    assert_eq!(owner.ends(), Some(143));
    drop(to);
    assert_eq!(child.wait().unwrap().code(), Some(5));
    assert!(place.ok(&["receipt", "show", "first"]).contains("treasury/3"));
    place.check();
}

#[test]
fn a_kill_in_the_middle_of_a_batch_is_told_and_the_same_batch_goes_on() {
    let place = Place::new();
    let owner = place.serve();
    let broken = interrupted(&place, &owner, "-KILL", "cut");
    assert_eq!(broken.status.code(), Some(5), "{}", broken.err);
    assert!(
        broken.err.contains("[write_unconfirmed]") && broken.err.contains("--id cut"),
        "{}",
        broken.err
    );
    let last = broken.answered.last().unwrap()["line"].as_u64().unwrap();
    assert!(broken.err.contains(&format!("before line {}", last + 1)), "{}", broken.err);
    run_again(&place, "cut", &broken.answered);
}

#[test]
fn a_kill_between_calls_leaves_the_same_receipts_under_the_same_id() {
    let place = Place::new();
    let owner = place.serve();
    let words = [&TRANSFER[..], &["--id", "dues-may", "--json"]].concat();
    let receipts = |text: &str| -> Vec<Value> {
        let answer: Value = serde_json::from_str(text).unwrap();
        answer["receipts"].as_array().unwrap().iter().map(|r| r["line"].clone()).collect()
    };
    let first = receipts(&place.ok(&words));
    owner.kill();
    // The socket it left is stale, and nobody is kept waiting by it.
    assert!(place.home.join("vm.sock").exists());
    let alone = place.ok(&words);
    assert!(alone.contains("\"existing\":true"));
    assert_eq!(receipts(&alone), first);
    let next = place.serve();
    assert_eq!(receipts(&place.ok(&words)), first);
    next.stop();
    place.check();
}

#[test]
fn many_processes_and_connections_at_once_share_one_order() {
    let place = Place::new();
    let owner = place.serve();
    std::thread::scope(|scope| {
        for process in 0..8 {
            let place = &place;
            scope.spawn(move || {
                for n in 0..5 {
                    let id = format!("p{process}-{n}");
                    let amount = "1.00";
                    place.ok(&[
                        "treasury",
                        "transfer",
                        "--debit",
                        "assets:bank",
                        "--credit",
                        "income:dues",
                        "--asset",
                        "EUR",
                        "--amount",
                        amount,
                        "--id",
                        &id,
                    ]);
                }
            });
            scope.spawn(move || {
                let mut client = place.client();
                for n in 0..25 {
                    let reply = client.call(&call(&format!("c{process}-{n}"))).unwrap();
                    assert_eq!(reply.status, 200, "{reply:?}");
                }
            });
        }
    });
    let size = 3 + 2 * 8 * (5 + 25);
    assert!(place.ok(&["query", "treasury", "--limit", "1"]).contains(&format!("at size {size}")));
    owner.stop();
    place.check();
}

#[test]
fn owners_that_come_and_go_lose_no_command() {
    let place = Place::new();
    let commands = std::thread::scope(|scope| {
        let place = &place;
        let commands = scope.spawn(move || {
            (0..40)
                .map(|n| {
                    let call = intent("1.00").to_string();
                    let words = ["treasury", "transfer", "--intent", "-", "--id", &format!("r{n}")];
                    place.fed(&words, &call)
                })
                .collect::<Vec<_>>()
        });
        while !commands.is_finished() {
            place.serve().stop();
        }
        commands.join().unwrap()
    });
    for output in commands {
        assert_eq!(code(&output), 0, "{}", said(&output));
        assert!(said(&output).contains("\ncommitted"), "{}", said(&output));
    }
    place.check();
}
