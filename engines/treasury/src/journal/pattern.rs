//! The account patterns of automated rules: a small part of regular expressions, matched without
//! backtracking, so that no pattern can take long.
//!
//! Known: literals, `.`, `[abc]` and `[^a-z]`, `* + ?` behind one of them, `^` and `$` at the ends,
//! `|` between whole patterns, `\` before a literal. Groups and counts are refused.

/// Longest pattern in characters.
const PATTERN_CHARS_MAX: usize = 200;

/// A compiled pattern; case does not matter, as in ledger and hledger.
#[derive(Clone, Debug)]
pub struct Pattern {
    ways: Vec<Way>,
}

/// One side of `|`.
#[derive(Clone, Debug)]
struct Way {
    from_start: bool,
    to_end: bool,
    steps: Vec<Step>,
}

/// One character class and how often it may stand.
#[derive(Clone, Debug)]
struct Step {
    class: Class,
    may_skip: bool,
    may_repeat: bool,
}

#[derive(Clone, Debug)]
enum Class {
    Any,
    One(char),
    Set { inverted: bool, ranges: Vec<(char, char)> },
}

/// The lower-case form of a character, where it is one character.
fn lower(c: char) -> char {
    let mut all = c.to_lowercase();
    match (all.next(), all.next()) {
        (Some(one), None) => one,
        _ => c,
    }
}

impl Class {
    fn holds(&self, c: char) -> bool {
        match self {
            Class::Any => true,
            Class::One(one) => *one == c,
            Class::Set { inverted, ranges } => {
                ranges.iter().any(|(from, to)| (*from..=*to).contains(&c)) != *inverted
            }
        }
    }
}

impl Pattern {
    /// Compiles a pattern; the error says what is not known.
    pub fn new(text: &str) -> Result<Self, &'static str> {
        if text.is_empty() {
            return Err("the pattern is empty");
        }
        if text.chars().count() > PATTERN_CHARS_MAX {
            return Err("the pattern is longer than 200 characters");
        }
        let mut ways = Vec::new();
        let mut chars = text.chars().map(lower).peekable();
        loop {
            ways.push(Way::read(&mut chars)?);
            if chars.next().is_none() {
                return Ok(Pattern { ways });
            }
        }
    }

    /// Does the pattern occur in `account`?
    pub fn matches(&self, account: &str) -> bool {
        let chars: Vec<char> = account.chars().map(lower).collect();
        self.ways.iter().any(|way| way.matches(&chars))
    }
}

impl Way {
    /// Reads up to `|` or the end.
    fn read(
        chars: &mut std::iter::Peekable<impl Iterator<Item = char>>,
    ) -> Result<Self, &'static str> {
        let mut way = Way { from_start: false, to_end: false, steps: Vec::new() };
        if chars.next_if_eq(&'^').is_some() {
            way.from_start = true;
        }
        while let Some(c) = chars.next_if(|c| *c != '|') {
            let class = match c {
                _ if way.to_end => return Err("`$` stands before the end"),
                '$' => {
                    way.to_end = true;
                    continue;
                }
                '.' => Class::Any,
                '[' => read_set(chars)?,
                '\\' => match chars.next() {
                    Some(c) if !c.is_alphanumeric() => Class::One(c),
                    _ => return Err("an escape that is not known"),
                },
                '(' | ')' | '{' | '}' => return Err("groups and counts are not known"),
                '*' | '+' | '?' => return Err("a repetition without anything before it"),
                '^' => return Err("`^` stands behind the start"),
                other => Class::One(other),
            };
            let sign = chars.next_if(|c| "*+?".contains(*c));
            way.steps.push(Step {
                class,
                may_skip: matches!(sign, Some('*' | '?')),
                may_repeat: matches!(sign, Some('*' | '+')),
            });
        }
        Ok(way)
    }

    /// All positions in `steps` are followed at once: time is steps × characters.
    fn matches(&self, chars: &[char]) -> bool {
        let end = self.steps.len();
        let mut at = vec![false; end + 1];
        for index in 0..=chars.len() {
            if index == 0 || !self.from_start {
                at[0] = true;
            }
            for step in 0..end {
                if at[step] && self.steps[step].may_skip {
                    at[step + 1] = true;
                }
            }
            if at[end] && (!self.to_end || index == chars.len()) {
                return true;
            }
            let Some(c) = chars.get(index) else { break };
            let mut next = vec![false; end + 1];
            for step in 0..end {
                if at[step] && self.steps[step].class.holds(*c) {
                    next[step + 1] = true;
                    // A repeated step stays where it is and may be left from there.
                    next[step] |= self.steps[step].may_repeat;
                }
            }
            at = next;
        }
        false
    }
}

/// Reads `[...]` behind its opening bracket.
fn read_set(chars: &mut impl Iterator<Item = char>) -> Result<Class, &'static str> {
    let mut inside = Vec::new();
    loop {
        match chars.next() {
            None => return Err("`[` is never closed"),
            Some(']') if !inside.is_empty() => break,
            Some('\\' | '[') => return Err("escapes and classes within `[]` are not known"),
            Some(c) => inside.push(c),
        }
    }
    let inverted = inside[0] == '^';
    let inside = &inside[usize::from(inverted)..];
    let mut ranges = Vec::new();
    let mut at = 0;
    while at < inside.len() {
        let ranged = inside.get(at + 1) == Some(&'-') && at + 2 < inside.len();
        let to = if ranged { inside[at + 2] } else { inside[at] };
        ranges.push((inside[at], to));
        at += if ranged { 3 } else { 1 };
    }
    Ok(Class::Set { inverted, ranges })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_in_ledger() {
        for (pattern, account, want) in [
            ("^Income", "Income:Salary", true),
            ("^Income", "Assets:Income", false),
            ("books", "Expenses:Books", true),
            ("food$", "Expenses:Food:Out", false),
            ("^a.*z$", "abcz", true),
            ("x|^exp", "Expenses", true),
            ("ab*c", "zacz", true),
            ("ab+c", "ac", false),
            ("colou?r", "Color", true),
            ("[x-z]:", "y:1", true),
            ("^[^a]", "abc", false),
            ("Актив", "активы", true),
            ("a\\.b", "axb", false),
        ] {
            assert_eq!(
                Pattern::new(pattern).unwrap().matches(account),
                want,
                "{pattern} {account}"
            );
        }
    }

    #[test]
    fn what_is_not_known_is_refused() {
        for pattern in ["", "(a)", "a{2}", "*a", "[a", "a$b", "\\w"] {
            assert!(Pattern::new(pattern).is_err(), "{pattern}");
        }
    }
}
