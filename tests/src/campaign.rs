//! One row of the trust report: what a campaign ran, what it found, and how to run it again.

use serde_json::{Value, json};
use std::time::Instant;

/// Variable that asks a test for its row.
pub const ASKED: &str = "VM_TRUST";
/// Begins the line on which a test gives its row.
pub const MARK: &str = "trust: ";

/// What a campaign came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Came {
    /// Nothing bad, and every planted bug was caught.
    Passed,
    /// The first bad thing.
    Failed(String),
    /// A planted bug was not caught, so that nothing bad was found says nothing.
    Unproven(String),
    /// What is missing here.
    CannotEvaluate(String),
}

impl Came {
    /// The word of the report.
    pub fn word(&self) -> &'static str {
        match self {
            Came::Passed => "passed",
            Came::Failed(_) => "FAILED",
            Came::Unproven(_) => "unproven",
            Came::CannotEvaluate(_) => "cannot evaluate",
        }
    }

    /// What there is to say besides the word.
    pub fn why(&self) -> &str {
        match self {
            Came::Passed => "",
            Came::Failed(why) | Came::Unproven(why) | Came::CannotEvaluate(why) => why,
        }
    }
}

/// One campaign.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// What it is about.
    pub what: String,
    /// Command that runs it again.
    pub how: String,
    /// Its seed, where it draws by chance.
    pub seed: Option<u64>,
    /// How much it checked, and what of.
    pub count: u64,
    /// Unit of `count`.
    pub unit: String,
    /// How long it took.
    pub millis: u64,
    /// Planted bugs that it caught.
    pub caught: u64,
    /// Planted bugs.
    pub planted: u64,
    /// How it ended.
    pub came: Came,
}

impl Row {
    /// A row of a campaign that found nothing bad so far and has planted nothing.
    pub fn new(what: &str, how: &str) -> Self {
        Self {
            what: what.to_owned(),
            how: how.to_owned(),
            seed: None,
            count: 0,
            unit: String::new(),
            millis: 0,
            caught: 0,
            planted: 0,
            came: Came::Passed,
        }
    }

    /// What was counted.
    pub fn counted(mut self, count: u64, unit: &str) -> Self {
        (self.count, self.unit) = (count, unit.to_owned());
        self
    }

    /// The seed.
    pub fn seeded(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// The time since this instant.
    pub fn since(mut self, began: Instant) -> Self {
        self.millis = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        self
    }

    /// Planted bugs, caught and in all.
    pub fn bugs(mut self, caught: u64, planted: u64) -> Self {
        (self.caught, self.planted) = (caught, planted);
        self
    }

    /// How it ended. A campaign that passes and has let a planted bug go is unproven.
    pub fn came(mut self, came: Came) -> Self {
        self.came = match came {
            Came::Passed if self.caught < self.planted => {
                let left = self.planted - self.caught;
                Came::Unproven(format!("{left} planted bugs were not caught"))
            }
            other => other,
        };
        self
    }

    /// As a member of trust.json.
    pub fn to_json(&self) -> Value {
        json!({
            "what": self.what, "how": self.how, "seed": self.seed, "count": self.count, "unit": self.unit,
            "millis": self.millis, "planted": self.planted, "caught": self.caught,
            "result": self.came.word(), "why": self.came.why(),
        })
    }

    /// From a member of trust.json.
    pub fn from_json(value: &Value) -> Option<Self> {
        let text = |name: &str| value[name].as_str().map(str::to_owned);
        let number = |name: &str| value[name].as_u64();
        let why = text("why")?;
        let came = match value["result"].as_str()? {
            "passed" => Came::Passed,
            "FAILED" => Came::Failed(why),
            "unproven" => Came::Unproven(why),
            "cannot evaluate" => Came::CannotEvaluate(why),
            _ => return None,
        };
        Some(Self {
            what: text("what")?,
            how: text("how")?,
            seed: number("seed"),
            count: number("count")?,
            unit: text("unit")?,
            millis: number("millis")?,
            caught: number("caught")?,
            planted: number("planted")?,
            came,
        })
    }

    /// Gives the row to the report, where it was asked for. Past the test harness, which keeps what a passing test
    /// prints to itself.
    pub fn tell(&self) {
        if std::env::var_os(ASKED).is_some() {
            let line = format!("{MARK}{}\n", self.to_json());
            // Whoever asked and does not read goes without.
            let _ = std::io::Write::write_all(&mut std::io::stderr(), line.as_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_campaign_that_lets_a_planted_bug_go_is_unproven() {
        let row = Row::new("x", "y").bugs(5, 6).came(Came::Passed);
        assert_eq!(row.came.word(), "unproven");
        assert_eq!(Row::new("x", "y").bugs(6, 6).came(Came::Passed).came, Came::Passed);
        let failed = Row::new("x", "y").bugs(5, 6).came(Came::Failed("lost".into()));
        assert_eq!(failed.came.word(), "FAILED");
    }

    #[test]
    fn a_row_reads_back() {
        let row =
            Row::new("x", "cargo y").counted(3, "states").seeded(7).bugs(0, 1).came(Came::Passed);
        assert_eq!(Row::from_json(&row.to_json()), Some(row));
    }
}
