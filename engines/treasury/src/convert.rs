//! From a transaction with any number of postings to double-entry moves: one debit, one credit,
//! one asset each.
//!
//! Every commodity of a transaction is balanced by itself. Where a transaction exchanges one
//! commodity for another, the other sides go to `equity:trading:A|B`, one account for each pair;
//! what a tolerance lets pass goes to `equity:rounding`; virtual postings become a group of their
//! own, those without another side against `virtual:unbalanced`. The same transaction always gives
//! the same moves.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt::Write as _;

use jiff::civil::Date;

use crate::book::{
    Amount, Book, Kind, Lot, Notice, POSTINGS_MAX, Posting, Price, Tag, Transaction, add,
};
use crate::money::{MoneyError, Quantity, iso_4217_scale};
use crate::place::{Cause, ImportError, Place};

/// Other side of exchanges, followed by `A|B`.
pub const TRADING: &str = "equity:trading:";
/// Other side of what tolerances let pass.
pub const ROUNDING: &str = "equity:rounding";
/// Other side of virtual postings that have none.
pub const UNBALANCED: &str = "virtual:unbalanced";
/// Asset of amounts without a commodity: ISO 4217's code for "no currency".
pub const NO_CURRENCY: &str = "XXX";
/// Most moves of one group: a batch of the ledger holds them with their receipts.
pub const MOVES_MAX: usize = 1_000;

/// One side of a move.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Side {
    /// Account.
    pub account: String,
    /// Lot, as `80.00 USD 2019-01-01 "label"`.
    pub lot: Option<String>,
    /// Price, as `@ 93.77 USD` or `@@ 95.00 EUR`.
    pub price: Option<String>,
}

/// `quantity` of one asset from the credit side to the debit side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Move {
    /// The account that is debited.
    pub debit: Side,
    /// The account that is credited.
    pub credit: Side,
    /// Asset.
    pub asset: String,
    /// How much, above zero.
    pub quantity: Quantity,
}

/// The moves of one transaction; all of them or none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// Deterministic call id.
    pub id: String,
    /// Where the transaction stands.
    pub place: Place,
    /// When it happened.
    pub date: Date,
    /// Who and what for.
    pub memo: String,
    /// Reference of the writer.
    pub code: Option<String>,
    /// Tags.
    pub tags: Vec<Tag>,
    /// Does it hold virtual postings only?
    pub is_virtual: bool,
    /// The moves, 1 to `MOVES_MAX`.
    pub moves: Vec<Move>,
}

/// A whole book as groups of moves.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Groups {
    /// Groups in the order of the book.
    pub groups: Vec<Group>,
    /// What moves nothing.
    pub notices: Vec<Notice>,
}

/// The asset that a commodity is kept as.
pub fn asset_of(commodity: &str) -> String {
    if commodity.is_empty() { NO_CURRENCY.to_owned() } else { commodity.to_owned() }
}

/// A signed posting of one asset, ready to be paired.
#[derive(Clone, Debug)]
struct Leg {
    side: Side,
    quantity: Quantity,
}

/// Converts a book. Ids are made with `key`: they cover private texts, and without the key nobody can test a guess
/// against them.
pub fn convert(book: &Book, key: &[u8; 32]) -> Result<Groups, ImportError> {
    let mut out = Groups::default();
    let mut seen: HashMap<blake3::Hash, u32> = HashMap::new();
    for transaction in &book.transactions {
        for is_virtual in [false, true] {
            let mine = |p: &&Posting| (p.kind != Kind::Real) == is_virtual;
            let postings: Vec<&Posting> = transaction.postings.iter().filter(mine).collect();
            if postings.is_empty() {
                continue;
            }
            let moves = moves(transaction, &postings, &mut out.notices)?;
            if moves.is_empty() {
                continue;
            }
            let mut group = Group {
                id: String::new(),
                place: transaction.place,
                date: transaction.date,
                memo: transaction.payee.clone(),
                code: transaction.code.clone(),
                tags: transaction.tags.clone(),
                is_virtual,
                moves,
            };
            group.id = id(&group, key, &mut seen);
            out.groups.push(group);
        }
    }
    Ok(out)
}

/// The id of a group: keyed BLAKE3 over its content and how many equal ones stand before it. The count is part of what
/// is digested, so that ids do not show which transactions have equal texts.
fn id(group: &Group, key: &[u8; 32], seen: &mut HashMap<blake3::Hash, u32>) -> String {
    let mut content = content(group);
    let nth = seen.entry(blake3::keyed_hash(key, content.as_bytes())).or_insert(0);
    *nth += 1;
    writeln!(content, "{nth}").expect("writing to a String cannot fail");
    let digest = blake3::keyed_hash(key, content.as_bytes()).to_hex();
    format!("j-{}", &digest[..40])
}

/// Everything that makes a group what it is, each part on a line of its own with its length.
fn content(group: &Group) -> String {
    let mut out = String::new();
    let mut part = |text: &str| {
        writeln!(out, "{}:{text}", text.len()).expect("writing to a String cannot fail");
    };
    // The key serves the imports of every engine.
    part("treasury/journal/v1");
    part(&group.date.to_string());
    part(&group.memo);
    part(group.code.as_deref().unwrap_or(""));
    part(if group.is_virtual { "virtual" } else { "real" });
    for tag in &group.tags {
        part(&tag.name);
        part(tag.value.as_deref().unwrap_or(""));
    }
    for one in &group.moves {
        for side in [&one.debit, &one.credit] {
            part(&side.account);
            part(side.lot.as_deref().unwrap_or(""));
            part(side.price.as_deref().unwrap_or(""));
        }
        part(&one.asset);
        part(&one.quantity.trimmed(0).to_string());
    }
    out
}

fn refuse(place: Place, error: MoneyError) -> ImportError {
    ImportError::new(place, Cause::Amount, error.to_string())
}

/// The moves of one group of postings.
fn moves(
    transaction: &Transaction,
    postings: &[&Posting],
    notices: &mut Vec<Notice>,
) -> Result<Vec<Move>, ImportError> {
    let place = transaction.place;
    let mut out = Vec::new();
    let mut legs: BTreeMap<String, Vec<Leg>> = BTreeMap::new();
    let mut sums: BTreeMap<String, Quantity> = BTreeMap::new();
    let mut order: Vec<String> = Vec::new();
    let mut put = |legs: &mut BTreeMap<String, Vec<Leg>>, asset: String, leg: Leg| {
        if !order.contains(&asset) {
            order.push(asset.clone());
        }
        legs.entry(asset).or_default().push(leg);
    };
    for posting in postings.iter().filter(|p| !p.amount.quantity.is_zero()) {
        let asset = asset_of(&posting.amount.commodity);
        let quantity = posting.amount.quantity;
        let side = Side {
            account: posting.account.clone(),
            lot: posting.lot.as_ref().map(lot_text),
            price: posting.price.as_ref().map(price_text),
        };
        if posting.kind == Kind::Unbalanced {
            // Not paired with others, so that each side shows which postings have no other side.
            match unbalanced(side, asset, quantity).map_err(|error| refuse(place, error))? {
                Some(one) => out.push(one),
                None => notices.push(set_off(
                    place,
                    UNBALANCED,
                    &quantity,
                    &asset_of(&posting.amount.commodity),
                )),
            }
            continue;
        }
        put(&mut legs, asset.clone(), Leg { side, quantity });
        add(&mut sums, asset, quantity).map_err(|error| refuse(place, error))?;
    }
    for (account, asset, quantity) in other_sides(postings, &sums, place)? {
        put(&mut legs, asset, Leg { side: plain(&account), quantity });
    }
    for asset in order {
        let legs = legs.remove(&asset).unwrap_or_default();
        let idle = pair(&asset, legs, &mut out).map_err(|error| refuse(place, error))?;
        if let Some((account, quantity)) = idle {
            notices.push(set_off(place, &account, &quantity, &asset));
        }
    }
    if out.len() > MOVES_MAX {
        let message = format!("{} moves, the limit is {MOVES_MAX}", out.len());
        return Err(ImportError::new(place, Cause::TooMany, message));
    }
    debug_assert!(postings.len() <= POSTINGS_MAX * 2);
    Ok(out)
}

/// What an account has against itself.
fn set_off(place: Place, account: &str, quantity: &Quantity, asset: &str) -> Notice {
    let message = format!(
        "`{account}` stands on both sides; {quantity} {asset} are set off against themselves"
    );
    Notice { place, code: "set_off", message }
}

/// The move of a virtual posting without another side; `None` on the other side's own account.
fn unbalanced(side: Side, asset: String, quantity: Quantity) -> Result<Option<Move>, MoneyError> {
    if side.account == UNBALANCED {
        return Ok(None);
    }
    let other = plain(UNBALANCED);
    let positive = quantity.is_positive();
    let (debit, credit) = if positive { (side, other) } else { (other, side) };
    Ok(Some(Move { debit, credit, asset, quantity: quantity.checked_abs()? }))
}

/// A side without lot and price.
fn plain(account: &str) -> Side {
    Side { account: account.to_owned(), lot: None, price: None }
}

/// What trading and rounding accounts must take so that every asset adds up to zero.
fn other_sides(
    postings: &[&Posting],
    sums: &BTreeMap<String, Quantity>,
    place: Place,
) -> Result<Vec<(String, String, Quantity)>, ImportError> {
    let refused = |error| refuse(place, error);
    let mut left: BTreeMap<String, Quantity> = BTreeMap::new();
    for (asset, sum) in sums.iter().filter(|(_, sum)| !sum.is_zero()) {
        left.insert(asset.clone(), sum.checked_neg().map_err(refused)?);
    }
    // Which asset is paid for in which, by the lots and prices that were written.
    let mut pairs: BTreeMap<(String, String), Quantity> = BTreeMap::new();
    let priced = |p: &&&Posting| p.lot.is_some() || p.price.is_some();
    let balanced = postings.iter().filter(|p| p.kind != Kind::Unbalanced);
    for posting in balanced.filter(priced) {
        let weight = posting.weight().map_err(refused)?;
        let pair = (asset_of(&posting.amount.commodity), asset_of(&weight.commodity));
        if pair.0 != pair.1 {
            add(&mut pairs, pair, weight.quantity).map_err(refused)?;
        }
    }
    if pairs.is_empty() && left.len() == 2 {
        let names: Vec<&String> = left.keys().collect();
        pairs.insert((names[0].clone(), names[1].clone()), Quantity::ZERO);
    }
    let mut out = Vec::new();
    let mut last_of: BTreeMap<&str, usize> = BTreeMap::new();
    for (at, (_, paid)) in pairs.keys().enumerate() {
        last_of.insert(paid, at);
    }
    let mut done: BTreeSet<&str> = BTreeSet::new();
    for (at, ((asset, paid), weight)) in pairs.iter().enumerate() {
        let (first, second) = if asset < paid { (asset, paid) } else { (paid, asset) };
        let account = format!("{TRADING}{first}|{second}");
        if done.insert(asset)
            && let Some(quantity) = left.remove(asset)
        {
            out.push((account.clone(), asset.clone(), quantity));
        }
        let Some(rest) = left.get(paid).copied() else { continue };
        let part = if last_of.get(paid.as_str()) == Some(&at) {
            rest
        } else {
            weight.rounded_half_even(scale_of(postings, paid))
        };
        let rest = rest.checked_sub(part).map_err(refused)?;
        left.insert(paid.clone(), rest);
        out.push((account, paid.clone(), part));
    }
    let rounding = left.into_iter().map(|(asset, rest)| (ROUNDING.to_owned(), asset, rest));
    out.extend(rounding);
    out.retain(|(_, _, quantity)| !quantity.is_zero());
    Ok(out)
}

/// What the trading and rounding accounts take for these postings, by account and asset.
pub(crate) fn made_for(postings: &[Posting]) -> Result<crate::book::Balances, ImportError> {
    let place = Place::line(1);
    let mut sums: BTreeMap<String, Quantity> = BTreeMap::new();
    for posting in postings {
        let asset = asset_of(&posting.amount.commodity);
        add(&mut sums, asset, posting.amount.quantity).map_err(|error| refuse(place, error))?;
    }
    let mut out = crate::book::Balances::new();
    let postings: Vec<&Posting> = postings.iter().collect();
    for (account, asset, quantity) in other_sides(&postings, &sums, place)? {
        add(&mut out, (account, asset), quantity).map_err(|error| refuse(place, error))?;
    }
    out.retain(|_, quantity| !quantity.is_zero());
    Ok(out)
}

/// Decimal places in which an asset is written in these postings, at least ISO 4217's.
fn scale_of(postings: &[&Posting], asset: &str) -> u8 {
    let mine = postings.iter().filter(|p| asset_of(&p.amount.commodity) == asset);
    let written = mine.map(|p| p.amount.quantity.scale()).max().unwrap_or(0);
    written.max(iso_4217_scale(asset).unwrap_or(0))
}

/// Pairs debits with credits in their order. Gives the account that is left over on both sides, if
/// one is, and how much of it: that moves nothing.
fn pair(
    asset: &str,
    legs: Vec<Leg>,
    out: &mut Vec<Move>,
) -> Result<Option<(String, Quantity)>, MoneyError> {
    let mut debits: Vec<Leg> = Vec::new();
    let mut credits: Vec<Leg> = Vec::new();
    for mut leg in legs {
        if leg.quantity.is_positive() {
            debits.push(leg);
        } else {
            leg.quantity = leg.quantity.checked_neg()?;
            credits.push(leg);
        }
    }
    let first = out.len();
    let mut start = 0;
    for debit in &mut debits {
        let mut at = start;
        while !debit.quantity.is_zero() && at < credits.len() {
            let credit = &mut credits[at];
            if !credit.quantity.is_zero() && credit.side.account != debit.side.account {
                let part = debit.quantity.min(credit.quantity);
                debit.quantity = debit.quantity.checked_sub(part)?;
                credit.quantity = credit.quantity.checked_sub(part)?;
                out.push(Move {
                    debit: debit.side.clone(),
                    credit: credit.side.clone(),
                    asset: asset.to_owned(),
                    quantity: part,
                });
            }
            at += 1;
        }
        while start < credits.len() && credits[start].quantity.is_zero() {
            start += 1;
        }
    }
    // Only one account is left on both sides. An earlier move between two others lends itself:
    // D←C and X←X become D←X and X←C.
    for debit in debits.iter_mut().filter(|leg| !leg.quantity.is_zero()) {
        for credit in credits.iter_mut().filter(|leg| !leg.quantity.is_zero()) {
            let mut at = first;
            while at < out.len() && !debit.quantity.is_zero() && !credit.quantity.is_zero() {
                let name = &debit.side.account;
                let lends = out[at].debit.account != *name && out[at].credit.account != *name;
                if lends && out.len() < MOVES_MAX * 2 {
                    let part = out[at].quantity.min(debit.quantity).min(credit.quantity);
                    let rest = out[at].quantity.checked_sub(part)?;
                    let lent = out[at].clone();
                    out[at] = Move { credit: credit.side.clone(), quantity: part, ..lent.clone() };
                    out.push(Move { debit: debit.side.clone(), quantity: part, ..lent.clone() });
                    if !rest.is_zero() {
                        out.push(Move { quantity: rest, ..lent });
                    }
                    debit.quantity = debit.quantity.checked_sub(part)?;
                    credit.quantity = credit.quantity.checked_sub(part)?;
                }
                at += 1;
            }
        }
    }
    let mut left = Quantity::ZERO;
    let mut account = None;
    for leg in debits.into_iter().filter(|leg| !leg.quantity.is_zero()) {
        left = left.checked_add(leg.quantity)?;
        account = Some(leg.side.account);
    }
    Ok(account.map(|account| (account, left)))
}

/// The text of an amount.
fn amount_text(amount: &Amount) -> String {
    format!("{} {}", amount.quantity, asset_of(&amount.commodity))
}

/// A lot as one line: cost per unit, then date and label if there are any.
pub fn lot_text(lot: &Lot) -> String {
    let mut out = amount_text(lot.cost.amount());
    if let Some(date) = lot.date {
        write!(out, " {date}").expect("writing to a String cannot fail");
    }
    if let Some(label) = &lot.label {
        write!(out, " \"{}\"", label.replace('"', "'")).expect("writing to a String cannot fail");
    }
    out
}

/// A price as one line.
pub fn price_text(price: &Price) -> String {
    match price {
        Price::Each(amount) => format!("@ {}", amount_text(amount)),
        Price::Total(amount) => format!("@@ {}", amount_text(amount)),
    }
}

/// Balance per account and asset that the moves make; zero balances left out.
pub fn balances(groups: &Groups) -> Result<crate::book::Balances, MoneyError> {
    let mut out = crate::book::Balances::new();
    for one in groups.groups.iter().flat_map(|group| &group.moves) {
        add(&mut out, (one.debit.account.clone(), one.asset.clone()), one.quantity)?;
        let back = one.quantity.checked_neg()?;
        add(&mut out, (one.credit.account.clone(), one.asset.clone()), back)?;
    }
    out.retain(|_, quantity| !quantity.is_zero());
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal;
    use proptest::prelude::*;

    fn groups(text: &str) -> Groups {
        keyed(text, 7)
    }

    fn keyed(text: &str, key: u8) -> Groups {
        convert(&journal::read(text.as_bytes()).unwrap(), &[key; 32]).unwrap()
    }

    fn check(text: &str, want: &[&str]) {
        let all = groups(text);
        let shown: Vec<String> = all
            .groups
            .iter()
            .flat_map(|g| &g.moves)
            .map(|m| {
                format!("{} <- {} {} {}", m.debit.account, m.credit.account, m.quantity, m.asset)
            })
            .collect();
        assert_eq!(shown, want, "{text}");
    }

    #[test]
    fn many_postings_are_paired_in_their_order() {
        check(
            "2025-01-01 x\n a  10\n b  5\n c  -7\n d  -8\n",
            &["a <- c 7 XXX", "a <- d 3 XXX", "b <- d 5 XXX"],
        );
    }

    #[test]
    fn an_exchange_goes_through_a_trading_account() {
        check(
            "2025-01-01 x\n francs  100 CHF @@ 104.50 EUR\n bank  -104.50 EUR\n",
            &[
                "francs <- equity:trading:CHF|EUR 100 CHF",
                "equity:trading:CHF|EUR <- bank 104.50 EUR",
            ],
        );
    }

    #[test]
    fn an_exchange_without_a_price_goes_the_same_way() {
        check(
            "2025-01-01 x\n francs  100 CHF\n bank  -104.50 EUR\n",
            &[
                "francs <- equity:trading:CHF|EUR 100 CHF",
                "equity:trading:CHF|EUR <- bank 104.50 EUR",
            ],
        );
    }

    #[test]
    fn two_lots_bought_at_once_each_have_their_trading_account() {
        check(
            "2025-01-01 x\n s  2 A {3.00 EUR}\n s  1 B {4.00 EUR}\n bank  -10.00 EUR\n",
            &[
                "s <- equity:trading:A|EUR 2 A",
                "s <- equity:trading:B|EUR 1 B",
                "equity:trading:A|EUR <- bank 6.00 EUR",
                "equity:trading:B|EUR <- bank 4.00 EUR",
            ],
        );
    }

    #[test]
    fn virtual_postings_form_their_own_group() {
        let all = groups("2025-01-01 x\n a  10\n b\n (v)  3\n [w]  4\n [z]  -4\n");
        let shape: Vec<_> = all.groups.iter().map(|g| (g.is_virtual, g.moves.len())).collect();
        assert_eq!(shape, [(false, 1), (true, 2)]);
        assert_eq!(all.groups[1].moves[0].credit.account, UNBALANCED);
    }

    #[test]
    fn a_posting_without_another_side_is_paired_with_none_that_has_one() {
        let all = groups("2025-01-01 x\n [w]  4\n (v)  3\n (u)  -2\n [z]  -4\n");
        let moves: Vec<_> = all.groups[0].moves.iter().collect();
        assert_eq!(moves.len(), 3);
        for one in moves {
            let names = [one.debit.account.as_str(), one.credit.account.as_str()];
            assert!(
                [["v", UNBALANCED], [UNBALANCED, "u"], ["w", "z"]].contains(&names),
                "{names:?}"
            );
        }
        let own = format!("2025-01-01 x\n ({UNBALANCED})  3\n");
        assert_eq!(groups(&own).notices[0].code, "set_off");
    }

    #[test]
    fn an_account_on_both_sides_keeps_its_turnover() {
        check(
            "2025-01-01 x\n b  10\n x  10\n c  -10\n x  -10\n",
            &["b <- x 10 XXX", "x <- c 10 XXX"],
        );
    }

    #[test]
    fn an_account_against_itself_moves_nothing_and_is_named() {
        let all = groups("2025-01-01 x\n a  10\n a  -10\n");
        assert!(all.groups.is_empty());
        assert_eq!(all.notices[0].code, "set_off");
    }

    #[test]
    fn equal_transactions_have_different_ids_and_the_same_ones_each_time() {
        let text =
            "2025-01-01 x\n a  1\n b\n\n2025-01-01 x\n a  1\n b\n\n2025-01-02 x\n a  1\n b\n";
        let (one, two) = (groups(text), groups(text));
        assert_eq!(one, two);
        let ids: BTreeSet<_> = one.groups.iter().map(|g| g.id.clone()).collect();
        assert_eq!(ids.len(), 3);
        for id in ids {
            assert!(vm_receipts::line::is_id(&id), "{id}");
        }
        // Adding a transaction leaves the ids of the others.
        let more = groups(&format!("2024-12-31 y\n a  1\n b\n\n{text}"));
        assert_eq!(
            more.groups[1..].iter().map(|g| &g.id).collect::<Vec<_>>(),
            one.groups.iter().map(|g| &g.id).collect::<Vec<_>>()
        );
    }

    #[test]
    fn an_id_cannot_be_found_without_the_key() {
        let text = "2025-01-01 rent of Ines\n a  1\n b\n";
        let id = |key| keyed(text, key).groups[0].id.clone();
        assert_ne!(id(1), id(2));
        // Without a key, the content would be all that a guess needs.
        let plain = blake3::hash(content(&groups(text).groups[0]).as_bytes()).to_hex();
        assert!(!id(7).contains(&plain[..40]));
    }

    #[test]
    fn ids_do_not_show_which_texts_are_equal() {
        let all = groups("2025-01-01 x\n a  1\n b\n\n2025-01-01 x\n a  1\n b\n");
        let heads: BTreeSet<_> = all.groups.iter().map(|g| g.id[..12].to_owned()).collect();
        assert_eq!(heads.len(), 2);
    }

    proptest! {
        #[test]
        fn moves_keep_every_balance(legs in proptest::collection::vec((0usize..5, -500i32..500), 1..20)) {
            let mut text = "2025-01-01 x\n".to_owned();
            for (account, amount) in &legs {
                writeln!(text, " a{account}  {amount} EUR").unwrap();
            }
            text.push_str(" rest\n");
            let book = journal::read(text.as_bytes()).unwrap();
            let groups = convert(&book, &[7; 32]).unwrap();
            for one in groups.groups.iter().flat_map(|g| &g.moves) {
                prop_assert!(one.quantity.is_positive());
                prop_assert_ne!(&one.debit.account, &one.credit.account);
            }
            prop_assert_eq!(balances(&groups).unwrap(), book.balances(&[Kind::Real]).unwrap());
        }
    }
}
