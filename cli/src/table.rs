//! Aligned tables for people: columns by display width, numbers to the right, nothing that could steer a terminal.

use serde_json::Value;
use unicode_width::UnicodeWidthStr;

/// Rows under a header.
#[derive(Clone, Debug, Default)]
pub struct Table {
    header: Vec<String>,
    rows: Vec<Vec<String>>,
}

/// Space between columns.
const GAP: &str = "  ";

impl Table {
    /// An empty table with these column names.
    pub fn new<T: Into<String>>(header: impl IntoIterator<Item = T>) -> Self {
        Self { header: header.into_iter().map(Into::into).collect(), rows: Vec::new() }
    }

    /// Adds a row; missing cells are empty, cells beyond the header are dropped.
    pub fn row<T: Into<String>>(&mut self, cells: impl IntoIterator<Item = T>) {
        let mut cells: Vec<String> = cells.into_iter().map(|c| shown(&c.into())).collect();
        cells.resize(self.header.len(), String::new());
        self.rows.push(cells);
    }

    /// Whether it has no rows.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Leaves out the columns in which no row says anything.
    pub fn drop_empty_columns(&mut self) {
        let kept: Vec<bool> =
            (0..self.header.len()).map(|c| self.rows.iter().any(|r| !r[c].is_empty())).collect();
        for cells in self.rows.iter_mut().chain([&mut self.header]) {
            let mut kept = kept.iter();
            cells.retain(|_| *kept.next().expect("each row is as long as the header"));
        }
    }

    /// The table as text, every line ended; the header in bold where `colour`.
    pub fn render(&self, colour: bool) -> String {
        let widths: Vec<usize> = (0..self.header.len())
            .map(|c| {
                let cells = self.rows.iter().map(|r| width(&r[c]));
                cells.chain([width(&self.header[c])]).max().unwrap_or(0)
            })
            .collect();
        let right: Vec<bool> = (0..self.header.len()).map(|c| self.is_numeric(c)).collect();
        let header = line(&self.header, &widths, &right);
        let mut text =
            if colour { format!("\u{1b}[1m{header}\u{1b}[0m\n") } else { format!("{header}\n") };
        for row in &self.rows {
            text.push_str(&line(row, &widths, &right));
            text.push('\n');
        }
        text
    }

    fn is_numeric(&self, column: usize) -> bool {
        let mut cells =
            self.rows.iter().map(|r| r[column].as_str()).filter(|c| !c.is_empty()).peekable();
        cells.peek().is_some() && cells.all(is_number)
    }
}

fn line(cells: &[String], widths: &[usize], right: &[bool]) -> String {
    let padded = cells.iter().zip(widths).zip(right).map(|((cell, most), right)| {
        let pad = " ".repeat(most - width(cell));
        if *right { format!("{pad}{cell}") } else { format!("{cell}{pad}") }
    });
    let text = padded.collect::<Vec<_>>().join(GAP);
    text.trim_end().to_owned()
}

fn is_number(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    digits.starts_with(|c: char| c.is_ascii_digit())
        && digits.bytes().all(|b| b.is_ascii_digit() || b == b'.' || b == b',')
}

/// A JSON value as one cell: texts bare, short lists joined, the rest as compact JSON.
pub fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(items) if items.iter().all(|i| !i.is_array() && !i.is_object()) => {
            items.iter().map(cell).collect::<Vec<_>>().join(", ")
        }
        other => other.to_string(),
    }
}

/// Text as it may be shown: control characters and direction marks become visible escapes, so that nothing stored by
/// someone else can move the cursor, colour a line or turn its order round.
pub fn shown(text: &str) -> String {
    if !text.chars().any(steers) {
        return text.to_owned();
    }
    text.chars()
        .map(|c| if steers(c) { c.escape_unicode().to_string() } else { c.to_string() })
        .collect()
}

fn steers(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

/// Columns a text takes on a terminal: combining marks none, East Asian wide characters and emoji two.
pub fn width(text: &str) -> usize {
    text.width()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn numbers_stand_right_and_texts_left() {
        let mut table = Table::new(["account", "balance"]);
        table.row(["cash", "1.50"]);
        table.row(["equity:opening", "-1200.00"]);
        let want = "account          balance\ncash                1.50\nequity:opening  -1200.00\n";
        assert_eq!(table.render(false), want);
    }

    #[test]
    fn wide_and_combining_characters_keep_columns_aligned() {
        assert_eq!(width("日本"), 4);
        assert_eq!(width("e\u{301}"), 1);
        assert_eq!(width("👩‍🌾"), 2);
        let mut table = Table::new(["a", "b"]);
        table.row(["日本", "x"]);
        table.row(["abcd", "y"]);
        let text = table.render(false);
        let columns: Vec<usize> = text.lines().skip(1).map(|l| width(&l[..l.len() - 1])).collect();
        assert_eq!(columns, [6, 6]);
    }

    #[test]
    fn stored_text_cannot_steer_the_terminal() {
        assert_eq!(shown("a\u{1b}[31mb"), "a\\u{1b}[31mb");
        assert_eq!(shown("x\u{202e}y"), "x\\u{202e}y");
        assert_eq!(shown("über"), "über");
    }

    #[test]
    fn cells_show_values_plainly() {
        let cells =
            [json!(null), json!("t"), json!(3), json!(["a", 1]), json!({"k": 1})].map(|v| cell(&v));
        assert_eq!(cells, ["", "t", "3", "a, 1", "{\"k\":1}"]);
    }
}
