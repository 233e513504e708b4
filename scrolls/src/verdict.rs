//! What a check says: one outcome, the claims behind it, and honestly what was not looked at.

use serde_json::{Value, json};

/// How a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Every claim holds.
    Verified,
    /// At least one claim is contradicted.
    Tampered,
    /// Nothing is contradicted, but something needed to decide is missing.
    CannotEvaluate,
    /// What was asked for is not there.
    Absent,
}

impl Outcome {
    /// Word used in JSON and on screen.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Verified => "verified",
            Self::Tampered => "tampered",
            Self::CannotEvaluate => "cannot-evaluate",
            Self::Absent => "absent",
        }
    }

    /// Exit code of the command that printed it: 0, 6, 7 or 8.
    #[must_use]
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Verified => 0,
            Self::Tampered => 6,
            Self::CannotEvaluate => 7,
            Self::Absent => 8,
        }
    }
}

/// One thing that was checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// Stable name, `snake_case`.
    pub name: String,
    /// Whether it holds; a claim that could not be decided is not ok and is named in `Verdict::missing`.
    pub ok: bool,
    /// What was compared with what, for a person.
    pub detail: String,
}

/// Where the first contradiction stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// File, or member of a proof file (`PROOF.json#/line`).
    pub file: String,
    /// Line from 1.
    pub line: Option<u64>,
    /// Byte offset from 0.
    pub byte: Option<u64>,
    /// Name of the claim that fails there.
    pub claim: String,
}

/// The answer to a check, for a script and for a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// How it ended.
    pub outcome: Outcome,
    /// What was checked, in order.
    pub claims: Vec<Claim>,
    /// The first contradiction, when tampered.
    pub first_bad: Option<Place>,
    /// What can still be relied on when something is contradicted.
    pub still_provable: Vec<String>,
    /// What would have to be there to decide, when it cannot be evaluated.
    pub missing: Vec<String>,
    /// What this check does not look at.
    pub not_checked: Vec<String>,
    /// Private values that were opened, by name: `email`, `state.json: note`. None when something is contradicted.
    pub disclosed: Vec<String>,
    /// How many private values nobody opened. Decoys look the same.
    pub withheld: usize,
    /// Disclosures that open nothing here.
    pub mismatch: Vec<String>,
    /// Whether the keys came from the home that is being checked.
    pub self_asserted: bool,
    /// One sentence.
    pub summary: String,
}

impl Verdict {
    /// Exit code of the command that printed it: 0, 6, 7 or 8.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        self.outcome.exit_code()
    }

    /// Whether the outcome is `Verified`.
    #[must_use]
    pub fn is_verified(&self) -> bool {
        self.outcome == Outcome::Verified
    }

    /// The verdict as JSON, for `--json`.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let claims: Vec<Value> = self
            .claims
            .iter()
            .map(|c| json!({"name": c.name, "ok": c.ok, "detail": c.detail}))
            .collect();
        let first_bad = self.first_bad.as_ref().map(|place| {
            json!({"file": place.file, "line": place.line, "byte": place.byte, "claim": place.claim})
        });
        json!({
            "outcome": self.outcome.as_str(),
            "claims": claims,
            "first_bad": first_bad,
            "still_provable": self.still_provable,
            "missing": self.missing,
            "not_checked": self.not_checked,
            "disclosed": self.disclosed,
            "withheld": self.withheld,
            "mismatch": self.mismatch,
            "self_asserted": self.self_asserted,
            "summary": self.summary,
        })
    }
}

/// Collects claims and turns them into a verdict: a contradiction weighs more than a gap.
#[derive(Debug, Default)]
pub struct Findings {
    claims: Vec<Claim>,
    first_bad: Option<Place>,
    still_provable: Vec<String>,
    missing: Vec<String>,
    not_checked: Vec<String>,
    disclosed: Vec<String>,
    withheld: usize,
    mismatch: Vec<String>,
}

impl Findings {
    /// No findings yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The claim holds.
    pub fn holds(&mut self, name: &str, detail: impl Into<String>) {
        self.claims.push(Claim { name: name.to_owned(), ok: true, detail: detail.into() });
    }

    /// The claim is contradicted; the first contradiction gives the verdict its place.
    pub fn contradicted(&mut self, place: Place, detail: impl Into<String>) {
        self.claims.push(Claim { name: place.claim.clone(), ok: false, detail: detail.into() });
        self.first_bad.get_or_insert(place);
    }

    /// Takes in what was found apart, after what was found here.
    pub fn extend(&mut self, other: Findings) {
        self.claims.extend(other.claims);
        self.first_bad = self.first_bad.take().or(other.first_bad);
        self.still_provable.extend(other.still_provable);
        self.missing.extend(other.missing);
        self.not_checked.extend(other.not_checked);
        self.disclosed.extend(other.disclosed);
        self.withheld += other.withheld;
        self.mismatch.extend(other.mismatch);
    }

    /// The claim cannot be decided without something that is missing.
    pub fn undecided(&mut self, name: &str, missing: impl Into<String>) {
        let missing = missing.into();
        let detail = format!("cannot evaluate: {missing}");
        self.claims.push(Claim { name: name.to_owned(), ok: false, detail });
        self.missing.push(missing);
    }

    /// Something that holds whatever else is wrong.
    pub fn provable(&mut self, what: impl Into<String>) {
        self.still_provable.push(what.into());
    }

    /// Something that was not looked at.
    pub fn not_checked(&mut self, what: impl Into<String>) {
        self.not_checked.push(what.into());
    }

    /// Private values that were opened, by name.
    pub fn disclosed(&mut self, names: impl IntoIterator<Item = String>) {
        self.disclosed.extend(names);
    }

    /// Private values that nobody opened. They do not spoil a verdict, and it says that they were not seen.
    pub fn withheld(&mut self, values: usize) {
        self.withheld += values;
    }

    /// A disclosure that opens nothing.
    pub fn mismatch(&mut self, which: impl Into<String>) {
        self.mismatch.push(which.into());
    }

    /// The outcome so far.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        if self.first_bad.is_some() {
            Outcome::Tampered
        } else if !self.missing.is_empty() {
            Outcome::CannotEvaluate
        } else {
            Outcome::Verified
        }
    }

    /// The verdict; `about` names what was checked.
    #[must_use]
    pub fn verdict(mut self, about: &str, self_asserted: bool) -> Verdict {
        let outcome = self.outcome();
        if outcome == Outcome::Tampered {
            // Nothing is known of the values behind a line or digest that is not what was sealed.
            (self.disclosed, self.withheld) = (Vec::new(), 0);
        }
        match self.withheld {
            0 => {}
            1 => self.not_checked("1 private value not seen"),
            values => self.not_checked(format!("{values} private values not seen")),
        }
        let last = match outcome {
            Outcome::Tampered => {
                let bad = self.claims.iter().find(|claim| {
                    self.first_bad.as_ref().is_some_and(|p| p.claim == claim.name) && !claim.ok
                });
                bad.map_or(String::new(), |claim| format!(": {}: {}", claim.name, claim.detail))
            }
            Outcome::CannotEvaluate => format!(": {}", self.missing.join("; ")),
            Outcome::Verified | Outcome::Absent => String::new(),
        };
        let own =
            if self_asserted { " (self-asserted: the keys come from the home itself)" } else { "" };
        let summary = format!("{}{own}: {about}{last}", outcome.as_str());
        let verified = outcome == Outcome::Verified;
        let still_provable = if verified { Vec::new() } else { self.still_provable };
        Verdict {
            outcome,
            claims: self.claims,
            first_bad: self.first_bad,
            still_provable,
            missing: self.missing,
            not_checked: self.not_checked,
            disclosed: self.disclosed,
            withheld: self.withheld,
            mismatch: self.mismatch,
            self_asserted,
            summary,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(claim: &str) -> Place {
        Place { file: "f".to_owned(), line: Some(2), byte: None, claim: claim.to_owned() }
    }

    #[test]
    fn a_contradiction_weighs_more_than_a_gap() {
        let mut findings = Findings::new();
        findings.undecided("issuer", "issuer key not in trust");
        assert_eq!(findings.outcome(), Outcome::CannotEvaluate);
        findings.contradicted(place("inclusion"), "root differs");
        findings.contradicted(place("later"), "also");
        let verdict = findings.verdict("one receipt", false);
        assert_eq!(verdict.exit_code(), 6);
        assert_eq!(verdict.first_bad, Some(place("inclusion")));
        assert_eq!(verdict.summary, "tampered: one receipt: inclusion: root differs");
    }

    #[test]
    fn findings_made_apart_come_after_those_made_before() {
        let (mut first, mut second) = (Findings::new(), Findings::new());
        first.contradicted(place("chain"), "broken");
        second.contradicted(place("cases"), "changed");
        second.undecided("more", "a key");
        second.provable("the rest");
        first.extend(second);
        let verdict = first.verdict("a home", false);
        assert_eq!(verdict.first_bad, Some(place("chain")));
        let names: Vec<&str> = verdict.claims.iter().map(|claim| claim.name.as_str()).collect();
        assert_eq!(names, ["chain", "cases", "more"]);
        assert_eq!((verdict.missing.len(), verdict.still_provable.len()), (1, 1));
    }

    #[test]
    fn each_outcome_has_its_own_exit_code() {
        let codes =
            [Outcome::Verified, Outcome::Tampered, Outcome::CannotEvaluate, Outcome::Absent];
        assert_eq!(codes.map(Outcome::exit_code), [0, 6, 7, 8]);
    }

    #[test]
    fn self_asserted_keys_are_named_in_the_verdict_line() {
        let verdict = Findings::new().verdict("home", true);
        assert!(verdict.is_verified() && verdict.summary.contains("self-asserted"));
        assert_eq!(verdict.to_json()["self_asserted"], true);
    }
}
