//! Files of other tools as calls: first the accounts that are not open yet, then the transactions
//! in the order of their dates. The same file gives the same calls with the same ids.

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::Date;
use vm_contracts::{Import, Importer, Map, Planned, Refusal, RefusalKind, Source, Value};
use vm_receipts::digest::Blake3;

use crate::beancount;
use crate::book::{Book, Class, Tag};
use crate::convert::{Group, Groups, Move, asset_of, convert};
use crate::journal;
use crate::money::iso_4217_scale;
use crate::ops::{
    CODE_BYTES_MAX, MEMO_BYTES_MAX, NOTE_BYTES_MAX, check_account_name, check_asset_name, put_all,
};
use crate::place::{Cause, ImportError, Place};
use crate::state::State;

/// Most faults that one refusal lists.
const FAULTS_SHOWN: usize = 20;
/// Most notices of one import.
const NOTICES_SHOWN: usize = 200;
/// Most tags that a call keeps.
const TAGS_MAX: usize = vm_contracts::edge::TAGS_MAX;
/// Tag of calls that hold virtual postings.
pub const VIRTUAL_TAG: &str = "virtual";

/// Reads ledger and hledger journals.
pub struct Journal {
    /// Name of the format; both tools share one grammar here.
    pub format: &'static str,
}

/// Reads beancount files.
pub struct Beancount;

impl Importer<State> for Journal {
    fn format(&self) -> &'static str {
        self.format
    }

    fn about(&self) -> &'static str {
        "Plain text journal of ledger or hledger"
    }

    fn endings(&self) -> &'static [&'static str] {
        match self.format {
            "hledger" => &["journal", "j", "hledger"],
            _ => &["ledger", "dat", "ldg"],
        }
    }

    fn read(&self, state: &State, source: Source<'_>) -> Result<Import, Refusal> {
        let book = journal::read(source.bytes).map_err(|error| refusal(source.name, &[error]))?;
        plan(state, source, &book)
    }
}

impl Importer<State> for Beancount {
    fn format(&self) -> &'static str {
        "beancount"
    }

    fn about(&self) -> &'static str {
        "Plain text file of beancount"
    }

    fn endings(&self) -> &'static [&'static str] {
        &["beancount", "bean"]
    }

    fn read(&self, state: &State, source: Source<'_>) -> Result<Import, Refusal> {
        let checked =
            beancount::read(source.bytes).map_err(|error| refusal(source.name, &[error]))?;
        if !checked.faults.is_empty() {
            return Err(refusal(source.name, &checked.faults));
        }
        plan(state, source, &checked.book)
    }
}

/// The refusal of a file; all faults are listed, the first one gives code and hint.
fn refusal(name: &str, faults: &[ImportError]) -> Refusal {
    let first = &faults[0];
    let kind = match first.cause {
        Cause::FileTooLarge | Cause::LineTooLong | Cause::TooMany => RefusalKind::TooLarge,
        Cause::Unbalanced
        | Cause::AssertionFailed
        | Cause::NotEnoughLots
        | Cause::AmbiguousLot
        | Cause::UnknownAccount
        | Cause::InactiveAccount
        | Cause::DuplicateOpen
        | Cause::CommodityNotAllowed
        | Cause::UnusedPad => RefusalKind::Invariant,
        _ => RefusalKind::Malformed,
    };
    let mut shown: Vec<String> =
        faults.iter().take(FAULTS_SHOWN).map(ToString::to_string).collect();
    if faults.len() > FAULTS_SHOWN {
        shown.push(format!("and {} more", faults.len() - FAULTS_SHOWN));
    }
    let what = format!("{name}, {}", shown.join("; "));
    Refusal::new(first.code(), kind, what).hint(first.hint())
}

/// The calls that a book asks for.
fn plan(state: &State, source: Source<'_>, book: &Book) -> Result<Import, Refusal> {
    let name = source.name;
    let Groups { groups, notices } =
        convert(book, source.key).map_err(|error| refusal(name, &[error]))?;
    let mut import = Import::default();
    let mut said: Vec<(Place, String)> =
        book.notices.iter().chain(&notices).map(|n| (n.place, n.message.clone())).collect();
    if let Some(first) = book.prices.first() {
        let count = book.prices.len();
        said.push((first.place, format!("{count} market prices are read and not kept")));
    }
    let closed = book.accounts.values().filter(|account| account.closed.is_some()).count();
    if closed > 0 {
        said.push((
            Place::line(1),
            format!("{closed} closed accounts stay open; use account-close"),
        ));
    }
    let (opens, open_already) = opens(state, name, book, &groups)?;
    import.calls.extend(opens);
    for group in &groups {
        import.calls.push(call(group, &mut said));
    }
    let count = said.len();
    said.sort();
    import.notices =
        said.iter().take(NOTICES_SHOWN).map(|(place, text)| format!("{place}: {text}")).collect();
    if count > NOTICES_SHOWN {
        import.notices.push(format!("and {} more notices", count - NOTICES_SHOWN));
    }
    if open_already > 0 {
        import.notices.push(format!("{open_already} accounts of the file are open already"));
    }
    Ok(import)
}

/// Text cut to a limit in bytes, at a character.
fn cut(text: &str, bytes_max: usize) -> &str {
    let mut end = text.len().min(bytes_max);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// Text of one line without control characters, within a limit.
fn plain(text: &str, bytes_max: usize) -> String {
    let clean: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    cut(clean.trim(), bytes_max).trim_end().to_owned()
}

/// A call that opens each account the moves need and the ledger does not have, and how many it has.
fn opens(
    state: &State,
    name: &str,
    book: &Book,
    groups: &[Group],
) -> Result<(Vec<Planned>, usize), Refusal> {
    let mut first_use: BTreeMap<(String, String), (Date, Place)> = BTreeMap::new();
    for group in groups {
        for one in &group.moves {
            for side in [&one.debit, &one.credit] {
                let key = (side.account.clone(), one.asset.clone());
                first_use.entry(key).or_insert((group.date, group.place));
            }
        }
    }
    let mut scales: BTreeMap<String, u8> = BTreeMap::new();
    for (commodity, scale) in book.scales_needed() {
        let known = scales.entry(asset_of(&commodity)).or_default();
        *known = (*known).max(scale);
    }
    for one in groups.iter().flat_map(|group| &group.moves) {
        let least = iso_4217_scale(&one.asset).unwrap_or(0);
        let known = scales.entry(one.asset.clone()).or_insert(least);
        *known = (*known).max(one.quantity.trimmed(least).scale());
    }
    let mut calls = Vec::new();
    let mut open_already = 0;
    let mut opened: BTreeSet<&String> = BTreeSet::new();
    for ((account, asset), (date, place)) in &first_use {
        let at_place =
            |r: Refusal| Refusal { message: format!("{name}, {place}: {}", r.message), ..r };
        check_account_name(account).map_err(at_place)?;
        check_asset_name(asset).map_err(at_place)?;
        if state.accounts.contains(&(account.clone(), asset.clone())) {
            open_already += 1;
            continue;
        }
        opened.insert(asset);
        let declared = book.accounts.get(account);
        let class = declared.and_then(|d| d.class).or_else(|| Class::of_account(account));
        let mut intent = Map::new();
        intent.insert("scale".to_owned(), Value::from(scales.get(asset).copied().unwrap_or(0)));
        put_all(
            &mut intent,
            &[
                ("account", Some(account)),
                ("asset", Some(asset)),
                ("class", class.map(Class::word)),
                ("effective_at", Some(&moment(*date))),
            ],
        );
        // Without a key: the receipt says both names in clear.
        let digest = Blake3::of(format!("{account}\n{asset}").as_bytes()).to_string();
        let id = format!("a-{}", &digest.trim_start_matches("blake3:")[..40]);
        let place = place.to_string();
        calls.push(Planned { verb: "account-open", id, intent, tags: Vec::new(), place });
    }
    too_fine(state, name, groups, &scales, &opened)?;
    Ok((calls, open_already))
}

/// Amounts finer than the ledger has are refused up front, unless a new account brings the digits.
fn too_fine(
    state: &State,
    name: &str,
    groups: &[Group],
    scales: &BTreeMap<String, u8>,
    opened: &BTreeSet<&String>,
) -> Result<(), Refusal> {
    for group in groups {
        for one in &group.moves {
            let Some(known) = state.assets.get(&one.asset) else { continue };
            let brought = opened.contains(&one.asset);
            let scale = known.scale.max(if brought { scales[&one.asset] } else { 0 });
            if one.quantity.rescale(scale).is_err() {
                let Move { quantity, asset, .. } = one;
                let what = format!(
                    "{name}, {}: {quantity} {asset} has more decimals than the {scale} of {asset}",
                    group.place
                );
                return Err(Refusal::invariant("amount_too_fine", what).hint(format!(
                    "Open any account in {asset} with --scale {}; the asset then has as many.",
                    quantity.scale()
                )));
            }
        }
    }
    Ok(())
}

/// The start of a day, as receipts write it.
fn moment(date: Date) -> String {
    format!("{date}T00:00:00.000Z")
}

/// One group as a call: `transfer` for one move, `link` for several.
fn call(group: &Group, notices: &mut Vec<(Place, String)>) -> Planned {
    let mut intent = Map::new();
    let memo = plain(&group.memo, MEMO_BYTES_MAX);
    let code = group.code.as_deref().map(|code| plain(code, CODE_BYTES_MAX));
    if memo.len() < group.memo.trim().len() {
        notices.push((group.place, format!("the text is cut to {MEMO_BYTES_MAX} bytes")));
    }
    put_all(
        &mut intent,
        &[
            ("effective_at", Some(&moment(group.date))),
            ("memo", Some(memo.as_str()).filter(|m| !m.is_empty())),
            ("code", code.as_deref().filter(|c| !c.is_empty())),
        ],
    );
    let verb = match group.moves.as_slice() {
        [one] => {
            intent.extend(transfer(one));
            "transfer"
        }
        many => {
            let list = many.iter().map(|one| Value::Object(transfer(one))).collect();
            intent.insert("transfers".to_owned(), Value::Array(list));
            "link"
        }
    };
    let mut tags: Vec<String> = Vec::new();
    if group.is_virtual {
        tags.push(VIRTUAL_TAG.to_owned());
    }
    let mut dropped = 0;
    for tag in &group.tags {
        match tag_text(tag) {
            Some(text) if tags.len() < TAGS_MAX => {
                if !tags.contains(&text) {
                    tags.push(text);
                }
            }
            _ => dropped += 1,
        }
    }
    if dropped > 0 {
        let message = format!("{dropped} tags are left out: too long, too many, or beyond ASCII");
        notices.push((group.place, message));
    }
    Planned {
        verb,
        id: group.id.clone(),
        intent,
        tags,
        place: format!("line {}", group.place.line),
    }
}

/// A tag as a short public word, blanks as dashes; `None` if it is none.
fn tag_text(tag: &Tag) -> Option<String> {
    let text = match &tag.value {
        Some(value) => format!("{}:{value}", tag.name),
        None => tag.name.clone(),
    };
    let text = text.split_whitespace().collect::<Vec<_>>().join("-");
    let plain = text.bytes().all(|b| b.is_ascii_graphic());
    (plain && !text.is_empty() && text.len() <= vm_contracts::edge::TAG_BYTES_MAX).then_some(text)
}

/// The fields of one move.
fn transfer(one: &Move) -> Map<String, Value> {
    let mut fields = Map::new();
    let note = |text: &Option<String>| text.as_deref().map(|text| plain(text, NOTE_BYTES_MAX));
    let notes = [
        note(&one.debit.lot),
        note(&one.credit.lot),
        note(&one.debit.price),
        note(&one.credit.price),
    ];
    put_all(
        &mut fields,
        &[
            ("debit", Some(&one.debit.account)),
            ("credit", Some(&one.credit.account)),
            ("asset", Some(&one.asset)),
            // The id knows the value alone, so the intent must not know how it was written.
            ("amount", Some(&one.quantity.trimmed(0).to_string())),
            ("debit_lot", notes[0].as_deref()),
            ("credit_lot", notes[1].as_deref()),
            ("debit_price", notes[2].as_deref()),
            ("credit_price", notes[3].as_deref()),
        ],
    );
    fields
}

#[cfg(test)]
mod tests {
    use crate::testing::{Bench, refused};

    const TEXT: &str = "\
; books of a choir
2025-01-01 * Opening ; :opening:
    assets:bank            1,000.00 EUR
    equity:opening

2025-01-05 * (17) Notes  ; shop: The Corner
    expenses:notes            30.00 EUR
    expenses:postage           4.50 EUR
    assets:bank

2025-01-06 Francs
    assets:cash              100.00 CHF @@ 105.00 EUR
    assets:bank
";

    #[test]
    fn a_journal_becomes_accounts_and_transfers() {
        let mut bench = Bench::new();
        bench.import("choir.journal", TEXT).unwrap();
        assert_eq!(bench.balance("assets:bank", "EUR"), "860.50");
        assert_eq!(bench.balance("assets:cash", "CHF"), "100.00");
        assert_eq!(bench.balance("equity:trading:CHF|EUR", "EUR"), "105.00");
        assert_eq!(bench.account("assets:bank", "EUR").class.as_deref(), Some("asset"));
        let tagged: Vec<_> =
            bench.lines.iter().filter(|l| !l.tags.is_empty()).map(|l| l.tags.clone()).collect();
        assert_eq!(tagged[0], ["opening"]);
        assert_eq!(tagged[2], ["shop:The-Corner"]);
        let coded =
            bench.lines.iter().filter(|l| l.body.get("code").is_some_and(|c| c == "17")).count();
        assert_eq!(coded, 4);
    }

    #[test]
    fn importing_twice_appends_nothing_and_a_longer_file_only_what_is_new() {
        let mut bench = Bench::new();
        bench.import("choir.journal", TEXT).unwrap();
        assert_eq!(bench.import("choir.journal", TEXT).unwrap().0, 0);
        let longer =
            format!("{TEXT}\n2025-01-07 Fee\n    expenses:fees  1.00 EUR\n    assets:bank\n");
        // One account and one transfer.
        assert_eq!(bench.import("choir.journal", &longer).unwrap().0, 3);
    }

    #[test]
    fn an_amount_written_otherwise_is_the_same_call() {
        use vm_contracts::{AnyEngine, Hosted, Source};
        let engine = Hosted::<crate::Treasury>::new();
        let calls = |text: &str| {
            let source = Source { name: "x.journal", bytes: text.as_bytes(), key: &[7; 32] };
            let import = engine.import(engine.blank().as_ref(), None, source).unwrap();
            let calls = import.calls.into_iter().filter(|call| call.verb != "account-open");
            calls.map(|call| (call.id, call.intent)).collect::<Vec<_>>()
        };
        let entry = |n: &str| format!("2025-01-01 x\n a  {n} EUR\n b\n");
        assert_eq!(calls(&entry("10")), calls(&entry("10.00")));
        assert_ne!(calls(&entry("10")), calls(&entry("100")));
        // What an assignment comes to is written as finely as what stands before it.
        let assigned = |n: &str| entry(n) + "2025-01-02 y\n a  = 11 EUR\n b\n";
        assert_eq!(calls(&assigned("1")), calls(&assigned("1.000")));
    }

    #[test]
    fn a_refused_file_names_file_line_and_column_and_writes_nothing() {
        let mut bench = Bench::new();
        let bad = "2025-01-01 x\n    a  1 EUR\n    b  -2 EUR\n";
        let refusal = bench.import("x.journal", bad).unwrap_err();
        assert_eq!(refusal.code, "transaction_unbalanced");
        assert!(refusal.message.starts_with("x.journal, line 1, column 1:"), "{refusal}");
        refused(bench.import("x.pdf", bad), "unknown_format");
        assert!(bench.lines.is_empty());
    }

    #[test]
    fn finer_amounts_than_the_ledger_has_are_refused_with_the_way_out() {
        let mut bench = Bench::new();
        bench.import("x.journal", "2025-01-01 x\n    a  1 KG\n    b\n").unwrap();
        let finer = "2025-01-02 x\n    a  0.5 KG\n    b\n";
        refused(bench.import("x.journal", finer), "amount_too_fine");
        bench.open("c", "KG", 1);
        bench.import("x.journal", finer).unwrap();
        assert_eq!(bench.balance("a", "KG"), "1.5");
    }
}
