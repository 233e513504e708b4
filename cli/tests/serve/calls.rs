//! Calls over the socket, without the command line.

use crate::place::{Place, call, intent, lines};
use serde_json::{Value, json};

#[test]
fn a_call_is_answered_as_the_command_line_answers_it() {
    let place = Place::new();
    let owner = place.serve();
    let mut client = place.client();
    let first = client.call(&call("c1")).unwrap();
    assert_eq!((first.status, first.body["existing"].as_bool()), (200, Some(false)));
    let text = intent("1.00").to_string();
    place.file("intent.json", &text);
    let words = ["treasury", "transfer", "--intent", "intent.json", "--id", "c1", "--json"];
    let told: Value = serde_json::from_str(&place.ok(&words)).unwrap();
    let again = client.call(&call("c1")).unwrap();
    assert_eq!(again.body, told);
    // The connection is the same all along, and one refusal does not end it.
    let mut other = call("c1");
    other["intent"] = intent("2.00");
    let conflict = client.call(&other).unwrap();
    assert_eq!(
        (conflict.status, conflict.body["code"].as_str()),
        (409, Some("id_used_for_other_intent"))
    );
    let unknown = client.call(&json!({"engine": "treasury", "verb": "x", "intent": {}})).unwrap();
    assert_eq!((unknown.status, unknown.body["code"].as_str()), (404, Some("unknown_operation")));
    let staged = client.call(&json!({"engine": "drills", "verb": "drill", "id": "d1", "intent": {"prompt": "ransomware on the file servers"}}));
    let staged = staged.unwrap();
    assert_eq!(
        (staged.status, staged.body["existing"].as_bool()),
        (200, Some(false)),
        "{staged:?}"
    );
    let shown: Value =
        serde_json::from_str(&place.ok(&["drills", "next", "d1", "--json"])).unwrap();
    assert!(shown["ready"].is_array());
    assert_eq!(staged.body["ready"], shown["ready"]);
    let health = client.health().unwrap().body;
    assert_eq!(health["scrolls"][1]["size"], 5, "{health}");
    owner.stop();
}

#[test]
fn calls_line_by_line_are_answered_in_their_order() {
    let place = Place::new();
    let owner = place.serve();
    let mut text = String::new();
    for n in 0..3_000 {
        text.push_str(&format!("{}\n", call(&format!("s{n}"))));
        if n % 1_000 == 0 {
            text.push_str("\n{\"engine\":\"treasury\"}\n");
        }
    }
    for brief in [true, false] {
        let mut results = Vec::new();
        let status =
            place.client().calls(&mut text.as_bytes(), brief, &mut |v| results.push(v)).unwrap();
        assert_eq!((status, results.len()), (200, 3_003));
        let numbers: Vec<u64> = results.iter().map(|r| r["line"].as_u64().unwrap()).collect();
        assert!(numbers.windows(2).all(|w| w[0] < w[1]));
        let good: Vec<&Value> = results.iter().filter(|r| r["error"].is_null()).collect();
        assert_eq!(good.len(), 3_000);
        for (n, result) in good.iter().enumerate() {
            let (id, first) = match brief {
                true => (&result["id"], result["first"].as_u64()),
                false => (
                    &result["answer"]["id"],
                    result["answer"]["receipts"][0]["line"]["seq"].as_u64(),
                ),
            };
            assert_eq!(
                (id.as_str().unwrap(), first),
                (format!("s{n}").as_str(), Some(3 + 2 * n as u64))
            );
        }
    }
    owner.stop();
    place.check();
    let said =
        place.fed(&["treasury", "transfer", "--batch", "-"], &crate::place::line(Some("s0")));
    assert_eq!(lines(&said.stdout)[0]["existing"], true);
}
