//! Answers of reports: an object as pairs, a list of objects as a table.

use crate::exit::Stop;
use crate::screen::Screen;
use crate::table::{Table, cell};
use vm_contracts::{Map, Moment, Spec, Value};
use vm_scrolls::query::is_decimal;

/// Prints a report's answer as of `scroll` at `size`.
pub fn print(
    screen: &mut Screen<'_>,
    spec: &Spec,
    scroll: &str,
    size: u64,
    answer: &Value,
) -> Result<(), Stop> {
    if screen.json {
        let document = serde_json::json!({"scroll": scroll, "size": size, "report": spec.verb, "answer": answer});
        return screen.document(&document);
    }
    value(screen, spec, answer, "")?;
    screen.line(&format!("as of {scroll}, {size} receipts"))
}

fn value(screen: &mut Screen<'_>, spec: &Spec, answer: &Value, indent: &str) -> Result<(), Stop> {
    match answer {
        Value::Object(map) => {
            for name in columns(spec, std::iter::once(map)) {
                let value = &map[&name];
                match is_list_of_objects(value) {
                    true => {
                        screen.line(&format!("{indent}{name}"))?;
                        screen.table(&table(spec, value))?;
                    }
                    false => screen.line(&format!("{indent}{name:<16}  {}", word(value)))?,
                }
            }
            Ok(())
        }
        list if is_list_of_objects(list) => screen.table(&table(spec, list)),
        Value::Array(items) if items.is_empty() => screen.line("nothing"),
        other => screen.line(&cell(other)),
    }
}

fn is_list_of_objects(value: &Value) -> bool {
    value.as_array().is_some_and(|items| !items.is_empty() && items.iter().all(Value::is_object))
}

/// Column names: declared fields in their order, then texts, then numbers, so that sums stand at the end of a row.
fn columns<'a>(spec: &Spec, rows: impl Iterator<Item = &'a Map<String, Value>>) -> Vec<String> {
    let mut found: Vec<(String, bool)> = Vec::new();
    for (name, value) in rows.flatten() {
        let number = is_decimal(&cell(value));
        match found.iter_mut().find(|(known, _)| known == name) {
            Some((_, numbers)) => *numbers &= number,
            None => found.push((name.clone(), number)),
        }
    }
    let place =
        |name: &String| spec.fields.iter().position(|f| f.name == name).unwrap_or(usize::MAX);
    found.sort_by_key(|(name, number)| (place(name), *number));
    found.into_iter().map(|(name, _)| name).collect()
}

/// A list of objects as a table. A column that holds nothing says nothing, so it is left out; JSON has it.
pub fn table(spec: &Spec, list: &Value) -> Table {
    let rows: Vec<_> = list.as_array().into_iter().flatten().filter_map(Value::as_object).collect();
    let names = columns(spec, rows.iter().copied());
    let mut table = Table::new(names.clone());
    for row in rows {
        table.row(names.iter().map(|n| row.get(n).map(word).unwrap_or_default()));
    }
    table.drop_empty_columns();
    table
}

/// A value as people say it.
fn word(value: &Value) -> String {
    match value {
        Value::Bool(true) => "yes".into(),
        Value::Bool(false) => "no".into(),
        Value::String(text) => day(text).unwrap_or(text).to_owned(),
        other => cell(other),
    }
}

/// A time that is the beginning of a day is that day.
fn day(text: &str) -> Option<&str> {
    const MIDNIGHT: &str = "T00:00:00.000Z";
    let day = text.strip_suffix(MIDNIGHT)?;
    Moment::parse(text).is_ok().then_some(day)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use vm_contracts::{Field, Kind};

    static SPEC: Spec = Spec {
        verb: "balance",
        about: "Balance.",
        needs: "toy.read",
        types: &[],
        fields: &[
            Field::new("name", Kind::Name(8), "Account.").computed(),
            Field::new("amount", Kind::Decimal(2), "Sum.").computed(),
        ],
        example: "{}",
    };

    #[test]
    fn columns_follow_the_declaration() {
        let list = json!([{"zone": "eu", "amount": "1.00", "name": "cash"}, {"name": "bank", "amount": "-22.50"}]);
        let want = "name  amount  zone\ncash    1.00  eu\nbank  -22.50\n";
        assert_eq!(table(&SPEC, &list).render(false), want);
    }

    #[test]
    fn an_empty_column_is_left_out_and_a_false_one_is_not() {
        let list = json!([
            {"name": "cash", "node": null, "open": false, "since": "2026-01-31T00:00:00.000Z"},
            {"name": "bank", "note": "", "open": true, "since": "2026-01-31T12:00:00.000Z"},
        ]);
        let want =
            "name  open  since\ncash  no    2026-01-31\nbank  yes   2026-01-31T12:00:00.000Z\n";
        assert_eq!(table(&SPEC, &list).render(false), want);
    }
}
