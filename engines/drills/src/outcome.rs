//! What became of a stage, and what that says of a technique.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// What became of a stage that was tried. The order is from the best to the worst.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// A defence stopped it.
    Blocked,
    /// Somebody or something noticed it.
    Detected,
    /// A log has it, but nobody was told.
    Logged,
    /// Nothing has it.
    Missed,
    /// It was not tried.
    NotRun,
}

impl Outcome {
    /// The words, in the order of declaration.
    pub const WORDS: &'static [&'static str] =
        &["blocked", "detected", "logged", "missed", "not_run"];
    /// All of them.
    pub const ALL: [Outcome; 5] =
        [Outcome::Blocked, Outcome::Detected, Outcome::Logged, Outcome::Missed, Outcome::NotRun];

    /// The word in receipts.
    pub fn word(self) -> &'static str {
        match self {
            Outcome::Blocked => "blocked",
            Outcome::Detected => "detected",
            Outcome::Logged => "logged",
            Outcome::Missed => "missed",
            Outcome::NotRun => "not_run",
        }
    }

    /// The outcome of this word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|o| o.word() == word)
    }

    /// Whether the defenders noticed at the time.
    pub fn is_noticed(self) -> bool {
        matches!(self, Outcome::Blocked | Outcome::Detected)
    }

    /// Whether it was tried.
    pub fn is_run(self) -> bool {
        self != Outcome::NotRun
    }
}

/// The outcome of each technique: of several stages the worst that was tried, as one gap is a gap.
pub fn by_technique<'a>(
    stages: impl Iterator<Item = (Outcome, Vec<&'a str>)>,
) -> BTreeMap<&'a str, Outcome> {
    let mut out: BTreeMap<&str, Outcome> = BTreeMap::new();
    for (outcome, techniques) in stages {
        for technique in techniques {
            let known = out.entry(technique).or_insert(outcome);
            *known = match (known.is_run(), outcome.is_run()) {
                (true, true) => (*known).max(outcome),
                (false, true) => outcome,
                _ => *known,
            };
        }
    }
    out
}

/// Writes an outcome of a technique as one text that queries can find: `T1566.001:missed`.
pub fn pair(technique: &str, outcome: Outcome) -> String {
    format!("{technique}:{}", outcome.word())
}

/// Reads it back.
pub fn from_pair(text: &str) -> Option<(&str, Outcome)> {
    let (technique, word) = text.split_once(':')?;
    Some((technique, Outcome::from_word(word)?))
}

/// Noticed stages among those that were run, in basis points, rounded down; none if none was run.
pub fn detection_rate_bp(noticed: u64, run: u64) -> Option<u64> {
    noticed.checked_mul(10_000)?.checked_div(run)
}

/// The middle of some times; of an even number the mean of the two in the middle, rounded down.
pub fn median_ms(mut times: Vec<i64>) -> Option<i64> {
    times.sort_unstable();
    let middle = times.len() / 2;
    let upper = *times.get(middle)?;
    match times.len() % 2 {
        1 => Some(upper),
        _ => {
            let lower = *times.get(middle.checked_sub(1)?)?;
            Some(lower + (upper - lower) / 2)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_are_those_of_the_order() {
        let words: Vec<_> = Outcome::ALL.iter().map(|o| o.word()).collect();
        assert_eq!(words, Outcome::WORDS);
        assert!(Outcome::ALL.is_sorted());
        assert!(Outcome::ALL.iter().all(|o| from_pair(&pair("T1000", *o)) == Some(("T1000", *o))));
    }

    #[test]
    fn one_gap_is_a_gap_and_what_was_not_run_hides_nothing() {
        use Outcome::{Blocked, Detected, Missed, NotRun};
        let of = |outcomes: &[Outcome]| {
            by_technique(outcomes.iter().map(|o| (*o, vec!["T1000"])))["T1000"]
        };
        assert_eq!(of(&[Blocked, Missed, Detected]), Missed);
        assert_eq!(of(&[NotRun, Blocked]), Blocked);
        assert_eq!(of(&[Blocked, NotRun]), Blocked);
        assert_eq!(of(&[NotRun, NotRun]), NotRun);
    }

    #[test]
    fn rates_and_medians_are_exact_and_absent_where_there_is_nothing() {
        assert_eq!(detection_rate_bp(2, 3), Some(6_666));
        assert_eq!(detection_rate_bp(0, 0), None);
        assert_eq!(median_ms(vec![]), None);
        assert_eq!(median_ms(vec![5]), Some(5));
        assert_eq!(median_ms(vec![9, 1, 4]), Some(4));
        assert_eq!(median_ms(vec![4, 1]), Some(2));
        assert_eq!(median_ms(vec![i64::MAX, i64::MAX]), Some(i64::MAX));
    }
}
