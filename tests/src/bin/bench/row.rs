//! Figures: one row each, printed as a table, written as JSON, and put between the marks of a page.

use serde_json::{Value, json};
use std::fs;
use std::path::Path;

/// One figure.
pub struct Row {
    /// Its name, stable over versions.
    pub name: String,
    /// What was measured.
    pub value: f64,
    /// In what.
    pub unit: &'static str,
    /// This machine's own limit for the same work, where there is one.
    pub baseline: Option<f64>,
    /// What is aimed at.
    pub goal: Option<String>,
    /// Whether it was reached.
    pub met: Option<bool>,
}

impl Row {
    /// A figure without a goal.
    pub fn plain(name: impl Into<String>, value: f64, unit: &'static str) -> Self {
        Self { name: name.into(), value, unit, baseline: None, goal: None, met: None }
    }

    /// Beside the machine's own limit.
    pub fn beside(mut self, baseline: f64) -> Self {
        self.baseline = Some(baseline);
        self
    }

    /// With a goal, and whether it was reached.
    pub fn goal(mut self, goal: impl Into<String>, met: bool) -> Self {
        self.goal = Some(goal.into());
        self.met = Some(met);
        self
    }

    /// At most so much.
    pub fn at_most(self, limit: f64) -> Self {
        let (unit, met) = (self.unit, self.value <= limit);
        self.goal(format!("at most {} {unit}", number(limit)), met)
    }

    fn ratio(&self) -> Option<f64> {
        self.baseline.filter(|b| *b > 0.0).map(|b| self.value / b)
    }

    fn to_json(&self) -> Value {
        json!({
            "name": self.name, "value": self.value, "unit": self.unit, "baseline": self.baseline,
            "ratio": self.ratio(), "goal": self.goal, "met": self.met,
        })
    }
}

/// A figure with as many digits as it is worth.
fn number(value: f64) -> String {
    match value.abs() {
        v if v >= 1_000.0 || (v >= 1.0 && v.fract() == 0.0) => format!("{value:.0}"),
        v if v >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

fn met(row: &Row) -> &'static str {
    match row.met {
        Some(true) => "met",
        Some(false) => "NOT MET",
        None => "",
    }
}

/// The table for a terminal.
pub fn print(rows: &[Row]) {
    println!(
        "{:<40} {:>12} {:<18} {:>12} {:>6}  goal",
        "figure", "value", "unit", "baseline", "ratio"
    );
    for row in rows {
        let optional = |n: Option<f64>| n.map_or(String::new(), number);
        println!(
            "{:<40} {:>12} {:<18} {:>12} {:>6}  {:<8}{}",
            row.name,
            number(row.value),
            row.unit,
            optional(row.baseline),
            row.ratio().map_or(String::new(), |r| format!("{r:.2}")),
            met(row),
            row.goal.as_deref().unwrap_or("")
        );
    }
}

/// Writes the rows as JSON.
pub fn write_json(rows: &[Row], file: &Path) -> Result<(), String> {
    let all = Value::Array(rows.iter().map(Row::to_json).collect());
    fs::write(file, format!("{all:#}\n"))
        .map_err(|e| format!("cannot write {}: {e}", file.display()))
}

/// Puts the rows between `<!-- bench: THEME -->` and `<!-- /bench -->` of a page.
pub fn write_page(rows: &[Row], theme: &str, page: &Path) -> Result<bool, String> {
    let text = fs::read_to_string(page).map_err(|e| format!("{}: {e}", page.display()))?;
    let (begin, end) = (format!("<!-- bench: {theme} -->\n"), "<!-- /bench -->");
    let Some(from) = text.find(&begin).map(|at| at + begin.len()) else { return Ok(false) };
    let to = text[from..].find(end).ok_or("a mark is not closed")? + from;
    let mut table = String::from(
        "| figure | value | unit | the machine's limit | ratio | goal |\n|---|---|---|---|---|---|\n",
    );
    for row in rows {
        let optional = |n: Option<f64>| n.map_or(String::new(), number);
        let goal =
            row.goal.as_deref().map_or(String::new(), |goal| format!("{}: {goal}", met(row)));
        table += &format!(
            "| {} | {} | {} | {} | {} | {goal} |\n",
            row.name.replace('_', " "),
            number(row.value),
            row.unit,
            optional(row.baseline),
            row.ratio().map_or(String::new(), |r| format!("{r:.2}")),
        );
    }
    let text = format!("{}{table}{}", &text[..from], &text[to..]);
    fs::write(page, text).map_err(|e| format!("{}: {e}", page.display()))?;
    Ok(true)
}
