//! The surface over a toy engine, in this process: what a user sees of one operation from call to verdict.

#![allow(clippy::unwrap_used, reason = "a test may stop there")]

mod toy;

use toy::{HOUSE, home, vm, vm_with};

#[test]
fn a_call_is_answered_with_its_receipt_and_the_same_id_again_appends_nothing() {
    let (_dir, home) = home();
    let words = ["toy", "put", "--shelf", "top", "--count", "3", "--id", "call-1", "--tag", "t1"];
    let said = vm(&home, &words);
    assert_eq!(said.code, 0, "{said:?}");
    assert!(said.out.starts_with("committed  id call-1\n"), "{}", said.out);
    assert!(said.out.contains("toy/1") && said.out.contains("toy_put"), "{}", said.out);
    assert!(said.out.contains("checkpoint  example.org/n1/toy  size 2  root "), "{}", said.out);
    let again = vm(&home, &[&words[..], &["--json"]].concat());
    assert_eq!(again.code, 0, "{again:?}");
    let answer = again.json();
    assert_eq!((&answer["existing"], &answer["size"]), (&true.into(), &2.into()));
    let receipt = &answer["receipts"][0];
    assert_eq!(receipt["line"]["body"]["count"], 3);
    assert_eq!(receipt["line"]["tags"][0], "t1");
    assert_eq!(receipt["inclusion"]["index"], 1);
    let other = vm(&home, &["toy", "put", "--shelf", "top", "--count", "4", "--id", "call-1"]);
    assert_eq!(other.code, 1, "{other:?}");
}

#[test]
fn a_refused_field_is_named_and_exits_2() {
    let (_dir, home) = home();
    let missing = vm(&home, &["toy", "put", "--shelf", "top"]);
    assert_eq!(missing.code, 2);
    assert!(
        missing.err.contains("[missing_field]") && missing.err.contains("Give --count"),
        "{}",
        missing.err
    );
    for (words, code, field) in [
        (&["toy", "put", "--shelf", "top", "--count", "0"][..], "wrong_type", "count"),
        (&["toy", "put", "--shelf", "top", "--count", "x"], "wrong_type", "count"),
        (&["toy", "put", "--shelf", "top", "--count", "1", "--fragil"], "unknown_field", "fragil"),
        (&["toy", "put", "--shelf", "top", "--count", "1", "--day", "soon"], "wrong_type", "day"),
        (&["toy", "total", "--at", "soon"], "wrong_type", "at"),
    ] {
        let said = vm(&home, &[words, &["--json"]].concat());
        let error: serde_json::Value = serde_json::from_str(&said.err).unwrap();
        assert_eq!(
            (said.code, &error["code"], &error["field"]),
            (2, &code.into(), &field.into()),
            "{said:?}"
        );
        assert_eq!((&error["kind"], &error["retryable"]), (&"refusal".into(), &false.into()));
        assert_eq!(said.out, "");
    }
}

#[test]
fn an_intent_from_standard_input_is_the_same_as_flags() {
    let (_dir, home) = home();
    let json = br#"{"shelf": "top", "count": 3.0}"#;
    let said = vm_with(HOUSE, &home, &["toy", "put", "--intent", "-", "--id", "x"], json);
    assert_eq!(said.code, 0, "{said:?}");
    let again = vm(&home, &["toy", "put", "--shelf", "top", "--count", "3", "--id", "x", "--json"]);
    assert_eq!(again.json()["existing"], true, "{again:?}");
    let typo = vm_with(
        HOUSE,
        &home,
        &["toy", "put", "--intent", "-", "--json"],
        br#"{"shlef":"a","count":1}"#,
    );
    assert_eq!(typo.code, 2);
    assert!(typo.err.contains("Did you mean \\\"shelf\\\"?"), "{}", typo.err);
    let broken =
        vm_with(HOUSE, &home, &["toy", "put", "--intent", "-"], br#"{"shelf":"a","shelf":"b"}"#);
    assert_eq!(broken.code, 2);
    assert!(broken.err.contains("json_duplicate_key"), "{}", broken.err);
}

#[test]
fn reports_answer_as_of_a_size() {
    let (_dir, home) = home();
    for count in ["1", "20"] {
        assert_eq!(vm(&home, &["toy", "put", "--shelf", "top", "--count", count]).code, 0);
    }
    assert_eq!(
        vm(&home, &["toy", "total"]).out,
        "shelf  things\ntop        21\nas of toy, 3 receipts\n"
    );
    let before = vm(&home, &["toy", "total", "--at", "2", "--json"]).json();
    assert_eq!(before["answer"][0]["things"], 1);
    let beyond = vm(&home, &["toy", "total", "--at", "4"]);
    assert_eq!(beyond.code, 1, "{beyond:?}");
    assert!(beyond.err.contains("toy has 3 receipts, not 4 [no_such_size]"), "{beyond:?}");
    assert_eq!(
        vm(&home, &["toy", "total", "--at", "2020-01-01"]).out,
        "nothing\nas of toy, 0 receipts\n"
    );
    assert_eq!(
        vm(&home, &["toy", "total", "--shelf", "none"]).out,
        "nothing\nas of toy, 3 receipts\n"
    );
}

fn filled() -> (tempfile::TempDir, std::path::PathBuf) {
    let (dir, home) = home();
    for (shelf, count, weight, fragile) in
        [("a", "1", "0.5", "true"), ("b", "2", "10", "false"), ("a", "3", "9.750", "false")]
    {
        let fragile = format!("--fragile={fragile}");
        let words = [
            "toy",
            "put",
            "--shelf",
            shelf,
            "--count",
            count,
            "--weight-kg",
            weight,
            &fragile,
            "--labels",
            "x",
            "--labels",
            count,
        ];
        let said = vm(&home, &words);
        assert_eq!(said.code, 0, "{said:?}");
    }
    (dir, home)
}

#[test]
fn every_filter_flag_finds_its_receipts_and_no_others() {
    let (_dir, home) = filled();
    let found = |words: &[&str]| {
        let said = vm(&home, &[&["toy", "query", "--json"], words].concat());
        assert_eq!(said.code, 0, "{words:?} {said:?}");
        let seqs: Vec<u64> = said.json()["receipts"]
            .as_array()
            .unwrap()
            .iter()
            .map(|r| r["seq"].as_u64().unwrap())
            .collect();
        seqs
    };
    for (words, want) in [
        (&[][..], &[0, 1, 2, 3][..]),
        (&["--type", "toy_put"], &[1, 2, 3]),
        (&["--shelf", "a"], &[1, 3]),
        (&["--count-min", "2"], &[2, 3]),
        (&["--count-max", "2"], &[1, 2]),
        (&["--count", "2"], &[2]),
        (&["--weight-kg-min", "9.75"], &[2, 3]),
        (&["--weight-kg", "10.000"], &[2]),
        (&["--fragile", "true"], &[1]),
        (&["--labels", "x", "--labels", "3"], &[3]),
        (&["--from", "2020-01-01", "--to", "2020-01-02"], &[]),
        (&["shelf^=b"], &[2]),
        (&["shelf=a", "count>1"], &[3]),
        (&["--order", "desc"], &[3, 2, 1, 0]),
        (&["--order", "desc", "--limit", "2"], &[3, 2]),
    ] {
        assert_eq!(found(words), want, "{words:?}");
    }
    let any = vm(&home, &["query", "toy", "shelf=a", "--json"]).json();
    assert_eq!(any["receipts"].as_array().unwrap().len(), 2);
}

#[test]
fn a_cursor_goes_on_where_the_page_ended() {
    let (_dir, home) = filled();
    for order in ["asc", "desc"] {
        let mut seqs = Vec::new();
        let mut cursor: Option<String> = None;
        loop {
            let mut words = vec!["toy", "query", "--json", "--limit", "1", "--order", order];
            words.extend(cursor.iter().flat_map(|c| ["--cursor", c.as_str()]));
            let page = vm(&home, &words).json();
            seqs.push(page["receipts"][0]["seq"].as_u64().unwrap());
            cursor = page["next"].as_str().map(str::to_owned);
            if cursor.is_none() {
                break;
            }
        }
        let want: Vec<u64> = if order == "asc" { (0..4).collect() } else { (0..4).rev().collect() };
        assert_eq!(seqs, want);
    }
    let foreign = vm(&home, &["toy", "query", "--shelf", "a", "--limit", "1", "--json"]).json();
    let cursor = foreign["next"].as_str().unwrap();
    let refused = vm(&home, &["toy", "query", "--cursor", cursor]);
    assert_eq!(refused.code, 2, "{refused:?}");
    assert!(refused.err.contains("query_foreign_cursor"), "{refused:?}");
}

#[test]
fn an_unknown_query_field_is_refused_with_the_known_ones() {
    let (_dir, home) = filled();
    let said = vm(&home, &["toy", "query", "colour=red"]);
    assert_eq!(said.code, 2);
    assert!(said.err.contains("query_unknown_field") && said.err.contains("shelf"), "{}", said.err);
    let slip = vm(&home, &["toy", "query", "shlef=red", "--json"]);
    assert!(slip.err.contains("Did you mean shelf?"), "{slip:?}");
    assert!(slip.err.contains("\"field\":\"shlef\""), "{slip:?}");
}

#[test]
fn an_import_counts_what_was_there_and_names_the_place_of_what_failed() {
    let (dir, home) = home();
    let file = dir.path().join("shelves.toy");
    std::fs::write(&file, "a 600\na 600\nb 2\n").unwrap();
    let file = file.to_str().unwrap();
    let dry = vm(&home, &["toy", "import", file, "--dry-run", "--json"]).json();
    assert_eq!((&dry["calls"], &dry["verbs"]["put"]), (&3.into(), &3.into()));
    assert_eq!(vm(&home, &["status", "--json"]).json()["scrolls"].as_array().unwrap().len(), 0);
    let said = vm(&home, &["toy", "import", file]);
    assert_eq!(said.code, 1, "{said:?}");
    assert!(
        said.out.contains("line 2: refusal: the shelf \"a\" has 600 things [shelf_full]"),
        "{}",
        said.out
    );
    assert!(
        said.out.contains("committed  2 calls with 2 receipts; 0 were there already; 1 failed"),
        "{}",
        said.out
    );
    let again = vm(&home, &["toy", "import", file, "--json"]).json();
    assert_eq!((&again["committed"], &again["existing"]), (&0.into(), &2.into()));
    assert_eq!(again["failed"][0]["place"], "line 2");
    assert_eq!(again["failed"][0]["error"]["code"], "shelf_full");
    let bad = dir.path().join("bad.toy");
    std::fs::write(&bad, "a\n").unwrap();
    assert_eq!(vm(&home, &["toy", "import", bad.to_str().unwrap()]).code, 2);
    assert_eq!(vm(&home, &["toy", "import", "/nowhere.toy"]).code, 1);
}

#[test]
fn a_word_that_no_receipt_can_have_is_refused_and_not_answered_with_nothing() {
    let (_dir, home) = home();
    let slip = vm(&home, &["toy", "query", "--type", "toy_putt"]);
    assert_eq!(slip.code, 2, "{slip:?}");
    assert!(slip.err.contains("[query_bad_value]") && slip.err.contains("toy_put"), "{slip:?}");
    assert_eq!(vm(&home, &["toy", "query", "--type", "ledger_open"]).code, 0);
}

#[test]
fn an_export_goes_to_a_file_or_to_standard_output() {
    let (dir, home) = filled();
    let said = vm(&home, &["toy", "export", "--format", "csv"]);
    assert_eq!((said.code, said.out.as_str()), (0, "a,4\nb,2\n"));
    assert_eq!(said.err, "note: labels are not written\n");
    let file = dir.path().join("out.csv");
    assert_eq!(
        vm(&home, &["toy", "export", "--format", "csv", "--output", file.to_str().unwrap()]).code,
        0
    );
    assert_eq!(std::fs::read_to_string(file).unwrap(), said.out);
}

#[test]
fn a_receipt_is_shown_by_place_and_by_call() {
    let (_dir, home) = filled();
    let shown = vm(&home, &["receipt", "show", "toy/1"]);
    assert!(
        shown.out.contains("toy/1  toy_put") && shown.out.contains("operation         toy.put"),
        "{}",
        shown.out
    );
    let json = vm(&home, &["receipt", "show", "toy/1", "--json"]).json();
    let id = json["receipts"][0]["line"]["id"].as_str().unwrap().to_owned();
    assert_eq!(vm(&home, &["receipt", "show", &id]).out, shown.out);
    assert_eq!(vm(&home, &["receipt", "show", "toy/99"]).code, 1);
    assert_eq!(vm(&home, &["receipt", "show", "toy/x"]).code, 2);
    assert_eq!(vm(&home, &["receipt", "show", "nobody"]).code, 1);
}

#[test]
fn the_gate_is_answered_row_by_row_and_no_row_is_left_out() {
    let (dir, home) = home();
    let file = dir.path().join("shelves.toy");
    std::fs::write(&file, "a 600\nb 2\n").unwrap();
    let said = vm(&home, &["conform", "toy", "--sample", file.to_str().unwrap(), "--json"]);
    assert_eq!(said.code, 0, "{said:?}");
    let document = said.json();
    let rows = document["rows"].as_array().unwrap();
    assert_eq!(rows.len(), 16);
    let yes: Vec<u64> = rows
        .iter()
        .filter(|r| r["standing"] == "yes")
        .map(|r| r["row"].as_u64().unwrap())
        .collect();
    assert_eq!(yes, [2, 3, 4, 5, 6, 7, 8, 12, 16], "{document:#}");
    assert!(rows.iter().all(|r| r["standing"] != "no" && r["detail"] != ""), "{document:#}");
    assert_eq!(vm(&home, &["conform", "nobody"]).code, 1);
}

#[test]
fn help_of_an_operation_says_what_its_table_says() {
    let (_dir, home) = home();
    let said = vm(&home, &["toy", "put", "--help"]);
    for part in [
        "vm toy put --shelf <NAME> --count <INTEGER> [OPTIONS]",
        "Which shelf. [name, 1 to 16 bytes; required]",
        "Needs: toy.put",
        "Receipts: toy_put",
        "vm toy put --shelf 'top left' --count 3 --weight-kg 1.500 --fragile \\\n    --labels blue --labels old",
    ] {
        assert!(said.out.contains(part), "{part} in\n{}", said.out);
    }
    let reference = vm(&home, &["reference"]).out;
    assert!(reference.contains("| `weight_kg` | `--weight-kg` | How heavy together. | decimal number, at most 3 decimals; filter |"), "{reference}");
}

#[test]
fn status_says_who_where_and_how_far_each_scroll_is_signed() {
    let (_dir, home) = filled();
    let said = vm(&home, &["status"]).out;
    for part in ["node    n1 of example.org\n", "owner   local:", "issuer  did:key:z", "guard   "] {
        assert!(said.contains(part), "{part} in\n{said}");
    }
    let document = vm(&home, &["status", "--json"]).json();
    let toy = &document["scrolls"][0];
    assert_eq!((&toy["signed"]["size"], &toy["signed"]["root"]), (&toy["size"], &toy["root"]));
    let root = toy["root"].as_str().unwrap();
    let row = said.lines().find(|l| l.starts_with("toy ")).unwrap();
    assert!(row.contains(&format!("{}…", &root[..12])) && row.ends_with("yes"), "{row}");
}

#[test]
fn notes_of_the_ledger_go_to_standard_error() {
    let (_dir, home) = home();
    assert_eq!(vm(&home, &["toy", "put", "--shelf", "a", "--count", "1"]).code, 0);
    std::fs::remove_file(home.join("ROOT.toy.txt")).unwrap();
    let said = vm(&home, &["status", "--json"]);
    assert_eq!(said.json()["scrolls"][0]["size"], 2);
    assert_eq!(said.err, "note: ROOT.toy.txt was missing and is written again\n");
}
