//! From a prompt to a runbook: a plain count of terms that both have, so that anybody can see why.
//!
//! The same prompt and the same catalogue give the same runbook on every machine. There is no model and no network
//! behind it.

use std::collections::{BTreeMap, BTreeSet};

use vm_contracts::Refusal;

use crate::runbook::{Choice, Runbook, read};

/// Runbooks that come with the engine; nothing in them harms, they are for exercises with people.
pub const BUILT_IN: &[&str] = &[
    include_str!("../runbooks/backup-restore.yaml"),
    include_str!("../runbooks/iot-ot-bridge.yaml"),
    include_str!("../runbooks/leaked-credential.yaml"),
    include_str!("../runbooks/lost-laptop.yaml"),
    include_str!("../runbooks/phishing-report.yaml"),
    include_str!("../runbooks/ransomware-tabletop.yaml"),
];

/// Points for a term that is a keyword or a technique.
const KEYWORD: u32 = 3;
/// Points for a term of the name or the title.
const TITLE: u32 = 2;
/// Points for a term of a stage: skill, workflow, tactic, platform.
const STAGE: u32 = 1;
/// Fewest points of a match: one word of a title, or two of stages.
const SCORE_MIN: u32 = 2;
/// Words that say nothing about a subject, in prompts about exercises.
const STOP: &[&str] = &[
    "a",
    "about",
    "an",
    "and",
    "are",
    "as",
    "at",
    "be",
    "by",
    "can",
    "do",
    "drill",
    "every",
    "everybody",
    "exercise",
    "for",
    "from",
    "how",
    "in",
    "into",
    "is",
    "it",
    "its",
    "me",
    "my",
    "of",
    "on",
    "or",
    "our",
    "out",
    "plan",
    "please",
    "run",
    "runbook",
    "security",
    "simulate",
    "simulation",
    "test",
    "that",
    "the",
    "their",
    "there",
    "this",
    "to",
    "us",
    "was",
    "we",
    "what",
    "when",
    "where",
    "who",
    "will",
    "with",
    "you",
];

/// A runbook that was found, with its text and why it was taken.
#[derive(Clone, Debug)]
pub struct Found<'a> {
    /// The runbook.
    pub runbook: Runbook,
    /// The document it was read from.
    pub text: &'a str,
    /// Points.
    pub score: u32,
    /// The runbook's terms that the prompt hit, in alphabetical order.
    pub terms: Vec<String>,
    /// How many runbooks were looked at.
    pub considered: usize,
}

/// The runbook of the catalogue that has the most in common with the prompt; among equals the first by name.
pub fn find<'a>(
    prompt: &str,
    documents: &[&'a str],
    platform: Option<&str>,
) -> Result<Found<'a>, Refusal> {
    let asked: BTreeSet<String> = terms(prompt).collect();
    let mut names = BTreeSet::new();
    let mut best: Option<Found<'a>> = None;
    for (index, text) in documents.iter().enumerate() {
        let place = || format!("catalogue[{index}]");
        let runbook = read(text, &Choice::default())
            .map_err(|flaw| flaw.refusal(&place()).field("catalogue"))?;
        if !names.insert(runbook.name.clone()) {
            let what = format!(
                "{}: a runbook {:?} stands in the catalogue already",
                place(),
                runbook.name
            );
            return Err(Refusal::malformed("duplicate_runbook", what).field("catalogue"));
        }
        let (score, hits) = score(&runbook, &asked);
        let better = best
            .as_ref()
            .is_none_or(|b| score > b.score || score == b.score && runbook.name < b.runbook.name);
        if score >= SCORE_MIN && better {
            best = Some(Found { runbook, text, score, terms: hits, considered: documents.len() });
        }
    }
    let Some(mut best) = best else {
        let names: Vec<String> = names.into_iter().collect();
        return Err(Refusal::not_found(
            "no_runbook_matches",
            "no runbook of the catalogue fits the prompt",
        )
        .field("prompt")
        .hint(format!(
            "The catalogue has {}. Name one's subject, or give --runbook.",
            names.join(", ")
        )));
    };
    let choice = Choice { platform: platform.map(str::to_owned), ..Choice::default() };
    best.runbook = read(best.text, &choice).map_err(|flaw| flaw.refusal(&best.runbook.name))?;
    Ok(best)
}

/// The points of a runbook, and which of its terms gave them. A term counts once, where it counts most.
fn score(runbook: &Runbook, asked: &BTreeSet<String>) -> (u32, Vec<String>) {
    let mut weights: BTreeMap<String, u32> = BTreeMap::new();
    let mut add = |text: &str, points: u32| {
        for term in terms(text) {
            let weight = weights.entry(term).or_insert(0);
            *weight = points.max(*weight);
        }
    };
    runbook.keywords.iter().for_each(|text| add(text, KEYWORD));
    add(&runbook.name, TITLE);
    add(&runbook.title, TITLE);
    for step in &runbook.stages {
        add(&step.skill, STAGE);
        add(&step.workflow, STAGE);
        step.techniques.iter().for_each(|id| add(id, KEYWORD));
        for text in step.tactics.iter().chain(&step.platforms) {
            add(text, STAGE);
        }
    }
    weights.retain(|term, _| asked.contains(term));
    (weights.values().sum(), weights.into_keys().collect())
}

/// The terms of a text: runs of letters and digits in lower case, without a plural's s and without stop words.
/// The dot of a sub-technique stays.
fn terms(text: &str) -> impl Iterator<Item = String> + '_ {
    text.split(|c: char| !c.is_alphanumeric() && c != '.').filter_map(|word| {
        let word = word.trim_matches('.').to_lowercase();
        let plural =
            word.len() > 3 && word.ends_with('s') && !word.ends_with("ss") && !word.ends_with("us");
        let term = if plural { word[..word.len() - 1].to_owned() } else { word };
        (term.chars().count() > 1 && !STOP.contains(&term.as_str())).then_some(term)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(prompt: &str) -> (String, u32, Vec<String>) {
        let found = find(prompt, BUILT_IN, None).unwrap();
        (found.runbook.name, found.score, found.terms)
    }

    #[test]
    fn every_built_in_runbook_reads_and_bears_the_name_of_its_place() {
        let mut names: Vec<String> = BUILT_IN
            .iter()
            .map(|text| {
                read(text, &Choice::default()).unwrap_or_else(|flaw| panic!("{flaw:?}")).name
            })
            .collect();
        assert!(names.is_sorted());
        names.dedup();
        assert_eq!(names.len(), BUILT_IN.len());
    }

    #[test]
    fn each_built_in_runbook_is_found_by_its_own_title() {
        for text in BUILT_IN {
            let runbook = read(text, &Choice::default()).unwrap();
            assert_eq!(found(&runbook.title).0, runbook.name);
        }
    }

    #[test]
    fn the_prompts_of_the_pattern_find_their_runbook() {
        for prompt in [
            "Run a security drill for IoT ↔ OT",
            "IoT device bridging into OT network with weak detection",
        ] {
            assert_eq!(found(prompt).0, "iot-ot-bridge");
        }
        assert_eq!(
            found("What if someone reports phishing mails?"),
            ("phishing-report".into(), 9, vec!["mail".into(), "phishing".into(), "report".into()])
        );
        assert_eq!(found("we lost a laptop").0, "lost-laptop");
        assert_eq!(found("T1552.001.").0, "leaked-credential");
    }

    #[test]
    fn nothing_in_common_is_refused_with_the_whole_catalogue() {
        for prompt in ["", "quantum teapots", "please run a security drill for us"] {
            let refusal = find(prompt, BUILT_IN, None).unwrap_err();
            assert_eq!(refusal.code, "no_runbook_matches");
            let hint = refusal.hint.unwrap();
            assert!(
                hint.contains("backup-restore") && hint.contains("ransomware-tabletop"),
                "{hint}"
            );
            assert!(prompt.is_empty() || !refusal.message.contains(prompt));
        }
    }

    #[test]
    fn among_equals_the_first_by_name_is_taken_wherever_it_stands() {
        let one = |name: &str| {
            format!(
                "runbook: 1\nname: {name}\ntitle: Same\nstages: [{{id: a, skill: s, workflow: w, actions: [x]}}]\n"
            )
        };
        let (b, a) = (one("b"), one("a"));
        for documents in [[a.as_str(), b.as_str()], [b.as_str(), a.as_str()]] {
            assert_eq!(find("same", &documents, None).unwrap().runbook.name, "a");
        }
        assert_eq!(find("same", &[&a, &a], None).unwrap_err().code, "duplicate_runbook");
        let refusal = find("same", &[&a, "x: ["], None).unwrap_err();
        assert!(refusal.message.starts_with("catalogue[1], line 1"), "{refusal}");
    }
}
