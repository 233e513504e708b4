//! The query language: text, matching against an independent naive matcher, and pages.

use proptest::prelude::*;
use serde_json::{Value, json};
use vm_receipts::line::{End, Line, Prev};
use vm_receipts::moment::Moment;
use vm_scrolls::query::terms::{Term, TermFields};
use vm_scrolls::query::*;

use crate::common::line;

fn schema() -> Schema {
    Schema::new(vec![
        QueryField::new("account", QueryKind::Text),
        QueryField::new("amount", QueryKind::Decimal),
        QueryField::new("count", QueryKind::Integer),
        QueryField::new("flag", QueryKind::Bool),
        QueryField::new("due", QueryKind::Time),
        QueryField::new("refs", QueryKind::TextList),
        QueryField::new("limit", QueryKind::Integer),
        QueryField::new("effective_at", QueryKind::Time),
    ])
}

fn parse(text: &str) -> Query {
    Query::parse(&schema(), text).unwrap_or_else(|e| panic!("{text}: {e}"))
}

fn receipt(seq: u64, body: Value) -> Line {
    line(seq, Prev { size: seq, root: [0; 32] }, "treasury_debit", body)
}

#[test]
fn each_kind_of_filter_finds_what_it_says() {
    let mut one = receipt(
        5,
        json!({"account": "assets:bank", "amount": "10.50", "count": 3, "flag": true, "due": "2026-02-01",
               "refs": ["r1", "r2"], "effective_at": "2026-01-31", "limit": 7, "nested": {"a": 1}}),
    );
    one.tags = vec!["demo".into(), "year-end".into()];
    one.at = Moment::parse("2026-03-01T00:00:00.000Z").unwrap();
    let found = |text: &str| matches(&parse(text), &one);
    for text in [
        "",
        "type=treasury_debit",
        "type^=treasury_",
        "op=treasury.transfer",
        "id=id-5",
        "id!=x",
        "actor=local:1000",
        "seq=5",
        "seq>=5 seq<6",
        "seq>-1",
        "end=completed",
        "end!=aborted",
        "tag=demo",
        "tag=year-end",
        "tag^=year",
        "tag!=other",
        "from=2026-03-01",
        "to=2026-03-01T00:00:00.001Z",
        "at=2026-03-01",
        "at<=2026-03-01T01:00:00+01:00",
        "account=assets:bank",
        "account^=assets:",
        "account!=assets",
        "amount=10.5",
        "amount>=10.500",
        "amount>-11",
        "amount<10.51",
        "amount!=10",
        "count=3",
        "count<4",
        "flag=true",
        "flag!=false",
        "due>2026-01-31",
        "refs=r2",
        "refs!=r3",
        "refs^=r",
        "effective-from=2026-01-31",
        "effective_to=2026-02-01",
        "effective_at=2026-01-31",
        "body.limit=7",
        "body.account^=\"assets:\"",
        "limit=1 order=desc account^=\"\"",
    ] {
        assert!(found(text), "{text}");
    }
    for text in [
        "type=treasury_credit",
        "type!=treasury_debit",
        "type^=x",
        "seq=4",
        "seq>5",
        "seq<=-1",
        "end=aborted",
        "tag=dem",
        "tag!=demo",
        "from=2026-03-01T00:00:00.001Z",
        "to=2026-03-01",
        "account=assets",
        "account!=assets:bank",
        "amount=10.51",
        "amount<10.5",
        "count!=3",
        "flag=false",
        "due<2026-02-01",
        "refs=r3",
        "refs!=r1",
        "refs^=x",
        "effective-from=2026-02-01",
        "effective-to=2026-01-31",
        "type=treasury_debit seq=4",
    ] {
        assert!(!found(text), "{text}");
    }
    let bare = receipt(
        5,
        json!({"account": 5, "amount": true, "count": "3", "flag": "true", "due": "soon", "refs": "r1"}),
    );
    for text in [
        "account!=x",
        "amount!=1",
        "count!=1",
        "flag!=false",
        "due!=2026-01-01",
        "refs!=x",
        "effective_at!=2026-01-01",
    ] {
        assert!(!matches(&parse(text), &bare), "{text}: another form never matches");
    }
    assert!(matches(&parse("amount=3"), &receipt(0, json!({"amount": 3}))));
    assert!(matches(&parse("refs!=x"), &receipt(0, json!({"refs": []}))));
}

#[test]
fn faults_have_their_place_and_name_the_known_fields() {
    for (text, byte, code) in [
        ("=x", 0, "query_malformed"),
        ("account", 7, "query_malformed"),
        ("account~x", 7, "query_malformed"),
        ("account= x", 8, "query_malformed"),
        ("account=", 8, "query_malformed"),
        ("seq=1 acount=x", 6, "query_unknown_field"),
        ("body.type=x", 0, "query_unknown_field"),
        ("account=\"x", 8, "query_malformed"),
        ("account=\"x\"y", 11, "query_malformed"),
        ("account=x\"y\"", 9, "query_malformed"),
        ("account=\"\\n\"", 9, "query_malformed"),
        ("account>=x", 7, "query_op_not_allowed"),
        ("count^=1", 5, "query_op_not_allowed"),
        ("flag<true", 4, "query_op_not_allowed"),
        ("from>=2026-01-01", 4, "query_op_not_allowed"),
        ("amount=1.", 7, "query_bad_value"),
        ("amount=1e3", 7, "query_bad_value"),
        ("count=1.0", 6, "query_bad_value"),
        ("count=+1", 6, "query_bad_value"),
        ("count=99999999999999999999", 6, "query_bad_value"),
        ("seq=-", 4, "query_bad_value"),
        ("flag=yes", 5, "query_bad_value"),
        ("due=tomorrow", 4, "query_bad_value"),
        ("end=done", 4, "query_bad_value"),
        ("order=up", 6, "query_bad_value"),
        ("order=asc order=asc", 10, "query_malformed"),
        ("limit=0", 6, "query_bad_limit"),
        ("limit=10001", 6, "query_bad_limit"),
        ("limit=-1", 6, "query_bad_limit"),
        ("limit>1", 5, "query_op_not_allowed"),
        ("cursor=x", 7, "query_bad_cursor"),
        ("ä=1", 0, "query_malformed"),
    ] {
        let error = Query::parse(&schema(), text).unwrap_err();
        assert_eq!((error.byte, error.code()), (Some(byte), code), "{text}: {error}");
    }
    let hint = Query::parse(&schema(), "acount=x").unwrap_err().hint().unwrap();
    assert!(hint.contains("account") && hint.contains("effective_from"), "{hint}");
    let flag = Filter::new(&schema(), "count", Op::Prefix, "1").unwrap_err();
    assert_eq!((flag.byte, flag.hint().as_deref()), (None, Some("allowed: = != < <= > >=")));
    let many = "seq>0 ".repeat(FILTERS_MAX + 1);
    assert_eq!(Query::parse(&schema(), &many).unwrap_err().code(), "query_too_large");
    assert!(Query::parse(&schema(), &many[6..]).is_ok());
    let long = format!("account={}", "x".repeat(VALUE_BYTES_MAX + 1));
    assert_eq!(Query::parse(&schema(), &long).unwrap_err().code(), "query_too_large");
    let huge = " ".repeat(QUERY_BYTES_MAX + 1);
    assert_eq!(Query::parse(&schema(), &huge).unwrap_err().code(), "query_too_large");
}

#[test]
fn pages_follow_each_other_without_gap_or_repeat() {
    let lines: Vec<Line> = (0..50).map(|n| receipt(n, json!({"count": n % 7}))).collect();
    for order in ["asc", "desc"] {
        let whole = run(scan(&lines, order), &parse(&format!("count>2 order={order}"))).unwrap();
        assert_eq!(whole.next, None);
        let mut found: Vec<u64> = Vec::new();
        let mut query = parse(&format!("count>2 order={order} limit=4"));
        loop {
            let page = run(scan(&lines, order), &query).unwrap();
            assert!(page.lines.len() <= 4);
            found.extend(page.lines.iter().map(|line| line.seq));
            let Some(next) = page.next else { break };
            query.cursor = Some(Cursor::parse(&next.to_string()).unwrap());
        }
        assert_eq!(found, whole.lines.iter().map(|line| line.seq).collect::<Vec<_>>());
    }
}

fn scan<'a>(lines: &'a [Line], order: &str) -> Box<dyn Iterator<Item = &'a Line> + 'a> {
    if order == "asc" { Box::new(lines.iter()) } else { Box::new(lines.iter().rev()) }
}

#[test]
fn a_cursor_continues_its_own_query_only() {
    let lines: Vec<Line> = (0..9).map(|n| receipt(n, json!({"count": n}))).collect();
    let query = parse("count>=0 tag!=x limit=2");
    let cursor = run(&lines, &query).unwrap().next;
    assert_eq!(cursor.as_ref().unwrap().next_seq(), 2);
    let with = |text: &str| Query { cursor: cursor.clone(), ..parse(text) };
    assert_eq!(run(&lines, &with("tag!=x count>=0 limit=3")).unwrap().lines[0].seq, 2);
    for text in ["count>=1 tag!=x", "count>=0", "count>=0 tag!=x order=desc"] {
        let order = if text.contains("desc") { "desc" } else { "asc" };
        let refused = run(scan(&lines, order), &with(text)).map_err(|e| e.code());
        assert_eq!(refused, Err("query_foreign_cursor"), "{text}");
    }
    let mut elsewhere = lines.clone();
    elsewhere.iter_mut().for_each(|line| line.scroll = "vault".into());
    let refused = run(&elsewhere, &with("count>=0 tag!=x")).map_err(|e| e.code());
    assert_eq!(refused, Err("query_foreign_cursor"));
    assert_eq!(run(lines.iter().rev(), &query).map_err(|e| e.code()), Err("query_disorder"));
    let text = cursor.unwrap().to_string();
    for bad in [
        "",
        "c1",
        "c1.a.02.0123456789abcdef",
        &text[..text.len() - 1],
        &format!("{text} "),
        &text.to_uppercase(),
        &text.replace(".a.", ".b."),
        &text.replace("c1", "c2"),
        &format!("{text}."),
    ] {
        assert!(Cursor::parse(bad).is_err(), "{bad}");
    }
}

#[test]
fn a_read_error_ends_the_page() {
    let lines = vec![Ok(receipt(0, json!({}))), Err("disk".to_owned())];
    struct Failed(String);
    impl From<QueryError> for Failed {
        fn from(e: QueryError) -> Self {
            Self(e.to_string())
        }
    }
    let page = try_run(lines.into_iter().map(|line| line.map_err(Failed)), &Query::default());
    assert_eq!(page.map_err(|e| e.0).unwrap_err(), "disk");
    let none = Query { limit: 0, ..Query::default() };
    assert_eq!(run([receipt(0, json!({}))], &none).map_err(|e| e.code()), Err("query_bad_limit"));
}

// ---- An independent matcher: straight from the words of SPEC.md, over JSON, with its own decimals.

fn scaled(text: &str) -> Option<i128> {
    let negative = text.starts_with('-');
    let digits = text.trim_start_matches('-');
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let value: i128 = format!("{whole}{fraction:0<6}").parse().ok()?;
    Some(if negative { -value } else { value })
}

fn ordered<T: PartialOrd>(op: &str, found: T, wanted: T) -> bool {
    match op {
        "=" => found == wanted,
        "!=" => found != wanted,
        ">" => found > wanted,
        ">=" => found >= wanted,
        "<" => found < wanted,
        "<=" => found <= wanted,
        _ => false,
    }
}

fn naive(line: &Line, name: &str, op: &str, value: &str) -> bool {
    let member = |name: &str| line.body.get(name);
    let texts =
        |found: &str| if op == "^=" { found.starts_with(value) } else { ordered(op, found, value) };
    let list = |found: Vec<&str>| match op {
        "=" => found.contains(&value),
        "!=" => !found.contains(&value),
        _ => found.iter().any(|text| text.starts_with(value)),
    };
    let day = |text: &str| text.get(..10).map(str::to_owned);
    match name {
        "type" => texts(&line.kind),
        "id" => texts(&line.id),
        "end" => texts(if line.end == End::Completed { "completed" } else { "aborted" }),
        "seq" => ordered(op, i128::from(line.seq), value.parse().unwrap()),
        "tag" => list(line.tags.iter().map(String::as_str).collect()),
        "from" => ordered(">=", line.at.to_string()[..10].to_owned(), value.to_owned()),
        "to" => ordered("<", line.at.to_string()[..10].to_owned(), value.to_owned()),
        "account" => member(name).and_then(Value::as_str).is_some_and(texts),
        "count" => member(name)
            .and_then(Value::as_i64)
            .is_some_and(|n| ordered(op, n, value.parse().unwrap())),
        "flag" => member(name)
            .and_then(Value::as_bool)
            .is_some_and(|b| ordered(op, b.to_string().as_str(), value)),
        "amount" => member(name)
            .and_then(Value::as_str)
            .is_some_and(|found| ordered(op, scaled(found), scaled(value))),
        "due" => member(name)
            .and_then(Value::as_str)
            .and_then(day)
            .is_some_and(|d| ordered(op, d.as_str(), value)),
        "refs" => member(name)
            .and_then(Value::as_array)
            .is_some_and(|l| list(l.iter().filter_map(Value::as_str).collect())),
        other => panic!("{other}"),
    }
}

fn date() -> impl Strategy<Value = String> {
    (1_u8..4, 1_u8..5).prop_map(|(month, day)| format!("2026-{month:02}-{day:02}"))
}

fn amount() -> impl Strategy<Value = String> {
    ("-?", 0_u32..12, "(\\.[05]{1,3})?")
        .prop_map(|(sign, whole, fraction)| format!("{sign}{whole}{fraction}"))
}

fn body() -> impl Strategy<Value = Value> {
    let member = |name: &'static str, value: BoxedStrategy<Value>| {
        prop::option::weighted(0.8, value.prop_map(move |v| (name, v)))
    };
    (
        member("account", "(a|b|assets:)[ab]{0,2}".prop_map(Value::from).boxed()),
        member("amount", amount().prop_map(Value::from).boxed()),
        member("count", (-3_i64..4).prop_map(Value::from).boxed()),
        member("flag", any::<bool>().prop_map(Value::from).boxed()),
        member("due", date().prop_map(|d| Value::from(format!("{d}T00:00:00.000Z"))).boxed()),
        member("refs", prop::collection::vec("[ab]{1,2}", 0..3).prop_map(Value::from).boxed()),
    )
        .prop_map(|(a, b, c, d, e, f)| {
            [a, b, c, d, e, f].into_iter().flatten().map(|(k, v)| (k.to_owned(), v)).collect()
        })
}

fn lines() -> impl Strategy<Value = Vec<Line>> {
    let one =
        (body(), any::<bool>(), "[ab]{1,2}", prop::collection::vec("[ab]{1,2}", 0..3), date());
    prop::collection::vec(one, 0..40).prop_map(|all| {
        let make = |(seq, (body, done, id, tags, date)): (
            usize,
            (Value, bool, String, Vec<String>, String),
        )| {
            let mut line = receipt(seq as u64, body);
            line.kind = if done { "treasury_debit" } else { "treasury_credit" }.to_owned();
            line.end = if done { End::Completed } else { End::Aborted };
            (line.id, line.tags) = (id, tags);
            line.at = Moment::parse_human(&date).unwrap();
            line
        };
        all.into_iter().enumerate().map(make).collect()
    })
}

fn filter() -> impl Strategy<Value = (&'static str, &'static str, String)> {
    let ordered = || prop::sample::select(vec!["=", "!=", "<", "<=", ">", ">="]);
    let textual = || prop::sample::select(vec!["=", "!=", "^="]);
    prop_oneof![
        (Just("account"), textual(), "(a|b|assets:)?[ab]{0,2}"),
        (prop::sample::select(vec!["refs", "tag", "id"]), textual(), "[ab]{0,2}"),
        (Just("type"), textual(), "treasury_(debit|credit|)"),
        (Just("end"), prop::sample::select(vec!["=", "!="]), "(completed|aborted)"),
        (Just("amount"), ordered(), amount()),
        (prop::sample::select(vec!["count", "seq"]), ordered(), "-?[0-9]"),
        (Just("flag"), prop::sample::select(vec!["=", "!="]), "(true|false)"),
        (Just("due"), ordered(), date()),
        (prop::sample::select(vec!["from", "to"]), Just("="), date()),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn a_query_finds_what_a_naive_scan_finds(lines in lines(), filters in prop::collection::vec(filter(), 0..4), limit in 1_usize..9, desc: bool) {
        let mut text: Vec<String> = filters.iter().map(|(n, op, v)| format!("{n}{op}\"{v}\"")).collect();
        text.push(format!("limit={limit} order={}", if desc { "desc" } else { "asc" }));
        let mut query = parse(&text.join(" "));
        let mut expected: Vec<u64> = lines.iter()
            .filter(|line| filters.iter().all(|(name, op, value)| naive(line, name, op, value)))
            .map(|line| line.seq)
            .collect();
        if desc { expected.reverse(); }
        let mut found = Vec::new();
        loop {
            let page = run(scan(&lines, query.order.as_str()), &query).unwrap();
            found.extend(page.lines.iter().map(|line| line.seq));
            match page.next {
                Some(next) => query.cursor = Some(next),
                None => break,
            }
        }
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn a_line_that_matches_has_the_term_of_the_filter(lines in lines(), (name, op, value) in filter()) {
        let fields = TermFields::new(&schema());
        let op = Op::ALL.into_iter().find(|known| known.as_str() == op).unwrap();
        let filter = Filter::new(&schema(), name, op, &value).unwrap();
        for line in lines.iter().filter(|line| filter.matches(line)) {
            let terms = fields.of_line(line);
            let whole = fields.of_filter(&filter);
            prop_assert!(whole.is_none_or(|term| terms.contains(&term)));
            let begins = |prefix: &Term| {
                let same = |t: &Term| t.field == prefix.field && t.value.starts_with(&prefix.value);
                terms.iter().any(same)
            };
            prop_assert!(fields.of_prefix(&filter).is_none_or(|prefix| begins(&prefix)));
        }
    }

    #[test]
    fn a_printed_query_reads_back(filters in prop::collection::vec(filter(), 0..5), value in "\\PC{0,8}|[ab\"\\\\ \n]{0,8}", limit in 1_usize..=10_000) {
        let made = filters.iter().map(|(name, op, value)| Filter::new(&schema(), name, op.parse().unwrap(), value).unwrap());
        let mut query = Query { filters: made.collect(), limit, ..Query::default() };
        query.filters.push(Filter::new(&schema(), "account", Op::Eq, &value).unwrap());
        query.filters.push(Filter::new(&schema(), "effective-from", Op::Eq, "2026-01-01").unwrap());
        prop_assert_eq!(parse(&query.to_string()), query);
    }

    #[test]
    fn no_text_panics(text in "(account|amount|seq|=|>=|\\^=|\"|\\\\| |limit|order|cursor|1|\\PC){0,12}") {
        if let Ok(query) = Query::parse(&schema(), &text) {
            prop_assert_eq!(parse(&query.to_string()), query);
        }
        if let Ok(cursor) = Cursor::parse(&text) {
            prop_assert_eq!(cursor.to_string(), text);
        }
    }
}
