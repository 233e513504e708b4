//! What clients saw, against the lines that are there in the end.
//!
//! The scroll is the order, so no search for an order is needed: a call that was answered before another was made has
//! the lower sequence number. An answer that was never heard leaves its call unknown: it is there or not, never twice.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs;
use std::path::Path;
use vm_receipts::line::Line;
use vm_scrolls::tree::{Hash, empty_root, leaf_hash, node_hash};

/// Bytes of the receipt files, by scroll, in order.
pub type Lines = BTreeMap<String, Vec<u8>>;

/// The lines of one call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// The scroll.
    pub scroll: String,
    /// The call's id.
    pub id: String,
    /// Sequence number of the first line.
    pub first: u64,
    /// The lines, byte for byte, without line ends.
    pub lines: Vec<Vec<u8>>,
}

/// Reads all receipt files of a home.
///
/// # Errors
/// Something cannot be read.
pub fn read(home: &Path) -> Result<Lines, String> {
    let told = |e: std::io::Error| format!("cannot read the receipts: {e}");
    let mut scrolls = Lines::new();
    let receipts = home.join("receipts");
    if !receipts.is_dir() {
        return Ok(scrolls);
    }
    for entry in fs::read_dir(receipts).map_err(told)? {
        let entry = entry.map_err(told)?;
        let files = fs::read_dir(entry.path()).map_err(told)?.flatten().map(|file| file.path());
        let mut files: Vec<_> =
            files.filter(|f| f.extension().is_some_and(|e| e == "jsonl")).collect();
        files.sort();
        let all = files.iter().map(fs::read).collect::<Result<Vec<_>, _>>().map_err(told)?;
        scrolls.insert(entry.file_name().to_string_lossy().into_owned(), all.concat());
    }
    Ok(scrolls)
}

/// All calls of all scrolls.
///
/// # Errors
/// A line that does not read, is out of its place, or is not chained to those before it; a call that is halved,
/// scattered, or there twice.
pub fn groups(lines: &Lines) -> Result<Vec<Group>, String> {
    let mut all = Vec::new();
    for (scroll, bytes) in lines {
        let found = of_scroll(scroll, bytes).map_err(|e| format!("{scroll}: {e}"))?;
        let mut ids = BTreeSet::new();
        if let Some(twice) = found.iter().find(|group| !ids.insert(&group.id)) {
            return Err(format!("{scroll}: the call {} is there twice", twice.id));
        }
        all.extend(found);
    }
    Ok(all)
}

fn of_scroll(scroll: &str, bytes: &[u8]) -> Result<Vec<Group>, String> {
    if !bytes.is_empty() && !bytes.ends_with(b"\n") {
        return Err("the last line has no end".into());
    }
    let (mut groups, mut tree): (Vec<Group>, _) = (Vec::new(), Roots::default());
    let texts = bytes.split_inclusive(|byte| *byte == b'\n').map(|l| &l[..l.len() - 1]);
    for (seq, text) in (0_u64..).zip(texts) {
        let line = Line::parse(text).map_err(|e| format!("line {}: {}", seq + 1, e.message))?;
        if line.seq != seq || line.scroll != scroll {
            return Err(format!("line {} says it is {}/{}", seq + 1, line.scroll, line.seq));
        }
        if tree.of(line.prev.size) != Some(line.prev.root) {
            return Err(format!("line {} is not chained to what stands before it", seq + 1));
        }
        tree.push(leaf_hash(text));
        match (line.part.n, groups.last_mut()) {
            (1, last) => {
                if let Some(half) = last.filter(|g| !whole(g)) {
                    return Err(format!("the call {} is halved", half.id));
                }
                groups.push(Group {
                    scroll: scroll.into(),
                    id: line.id,
                    first: seq,
                    lines: vec![text.to_vec()],
                });
            }
            (n, Some(last))
                if last.id == line.id && last.lines.len() as u64 + 1 == u64::from(n) =>
            {
                last.lines.push(text.to_vec());
            }
            (n, _) => {
                return Err(format!(
                    "line {} is part {n} of {} and stands alone",
                    seq + 1,
                    line.id
                ));
            }
        }
    }
    match groups.last().filter(|g| !whole(g)) {
        Some(half) => Err(format!("the call {} is halved", half.id)),
        None => Ok(groups),
    }
}

/// Whether all parts are there.
fn whole(group: &Group) -> bool {
    let first = group.lines.first().and_then(|text| Line::parse(text).ok());
    first.is_some_and(|line| line.part.of as usize == group.lines.len())
}

/// Roots of all sizes of a tree that grows. A second, small way to them, beside that of the program.
#[derive(Default)]
struct Roots {
    /// Whole subtrees from the left: number of leaves, and root.
    peaks: Vec<(u64, Hash)>,
    roots: Vec<Hash>,
}

impl Roots {
    fn push(&mut self, leaf: Hash) {
        let mut fresh = (1, leaf);
        while let Some(left) = self.peaks.pop_if(|peak| peak.0 == fresh.0) {
            fresh = (left.0 * 2, node_hash(&left.1, &fresh.1));
        }
        self.peaks.push(fresh);
        let root = self
            .peaks
            .iter()
            .rev()
            .map(|peak| peak.1)
            .reduce(|right, left| node_hash(&left, &right));
        self.roots.extend(root);
    }

    fn of(&self, size: u64) -> Option<Hash> {
        match usize::try_from(size).ok()?.checked_sub(1) {
            Some(at) => self.roots.get(at).copied(),
            None => Some(empty_root()),
        }
    }
}

/// Whether each of these is there, byte for byte and in its place.
///
/// # Errors
/// The first that is not.
pub fn kept<'a>(
    there: &[Group],
    promised: impl IntoIterator<Item = &'a Group>,
) -> Result<(), String> {
    let by_id: HashMap<(&str, &str), &Group> =
        there.iter().map(|g| ((g.scroll.as_str(), g.id.as_str()), g)).collect();
    for group in promised {
        match by_id.get(&(group.scroll.as_str(), group.id.as_str())) {
            None => return Err(format!("{} was acknowledged and is lost", group.id)),
            Some(found) if *found != group => {
                return Err(format!("{} was acknowledged and is another now", group.id));
            }
            Some(_) => {}
        }
    }
    Ok(())
}

/// How a call ended for the client that made it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was answered with its receipts.
    Acknowledged {
        /// The scroll.
        scroll: String,
        /// Sequence number of the first line.
        seq: u64,
        /// Number of lines.
        of: u64,
        /// The checkpoint that came with it: the text of a signed note.
        checkpoint: String,
    },
    /// It was refused: nothing happened.
    Refused,
    /// Nobody knows.
    Unknown,
}

/// One call of one client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// The client.
    pub client: u32,
    /// The call's id; the same call may be made again.
    pub id: String,
    /// When it was made: a number that only grows, shared by all clients.
    pub invoked: u64,
    /// When its answer was there, on the same scale.
    pub answered: u64,
    /// How it ended.
    pub outcome: Outcome,
}

/// What a history held.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Checked {
    /// Calls that were made.
    pub calls: usize,
    /// Ids that were acknowledged.
    pub acknowledged: usize,
    /// Ids nobody knew of that are there, and that are not.
    pub unknown: (usize, usize),
    /// Checkpoints that agree with the lines.
    pub checkpoints: usize,
}

/// All that is known of one id.
#[derive(Default)]
struct Known<'a> {
    /// When it was first asked for.
    invoked: u64,
    /// When it was first answered, with what.
    answered: Option<(u64, &'a Outcome)>,
    /// Whether each call of it was refused.
    refused: bool,
}

/// Checks a history against the lines that are there in the end. `before` says how many lines each scroll had when it began.
///
/// # Errors
/// All that is wrong.
pub fn check(
    calls: &[Call],
    lines: &Lines,
    before: &BTreeMap<String, u64>,
) -> Result<Checked, Vec<String>> {
    let groups = groups(lines).map_err(|e| vec![e])?;
    let mut wrong = Vec::new();
    let mut checked = Checked { calls: calls.len(), ..Checked::default() };
    let known = known(calls, &mut wrong);
    let there: HashMap<&str, &Group> = groups.iter().map(|g| (g.id.as_str(), g)).collect();
    for (id, known) in &known {
        match (there.get(id), &known.answered) {
            (found, Some((_, Outcome::Acknowledged { scroll, seq, of, .. }))) => {
                checked.acknowledged += 1;
                let same = found.is_some_and(|g| {
                    (&g.scroll, g.first, g.lines.len() as u64) == (scroll, *seq, *of)
                });
                match found {
                    None => wrong.push(format!("{id} was acknowledged and is lost")),
                    Some(g) if !same => wrong.push(format!(
                        "{id} was acknowledged at {scroll}/{seq} and stands at {}/{}",
                        g.scroll, g.first
                    )),
                    Some(_) => {}
                }
            }
            (Some(_), _) if known.refused => wrong.push(format!("{id} was refused and is there")),
            (Some(_), _) => checked.unknown.0 += 1,
            (None, _) if !known.refused => checked.unknown.1 += 1,
            (None, _) => {}
        }
    }
    let ours =
        |g: &&Group| g.first >= before.get(&g.scroll).copied().unwrap_or(0) && g.id != "genesis";
    let nobodys = groups.iter().filter(ours).filter(|g| !known.contains_key(g.id.as_str()));
    wrong.extend(nobodys.map(|g| format!("{} is there and nobody asked for it", g.id)));
    wrong.extend(out_of_order(&known));
    checked.checkpoints = checkpoints(calls, lines, &mut wrong);
    if wrong.is_empty() { Ok(checked) } else { Err(wrong) }
}

fn known<'a>(calls: &'a [Call], wrong: &mut Vec<String>) -> BTreeMap<&'a str, Known<'a>> {
    let mut all: BTreeMap<&str, Known<'_>> = BTreeMap::new();
    let mut sorted: Vec<&Call> = calls.iter().collect();
    sorted.sort_by_key(|call| call.invoked);
    for call in sorted {
        let first = Known { invoked: call.invoked, answered: None, refused: true };
        let known = all.entry(&call.id).or_insert(first);
        known.refused &= call.outcome == Outcome::Refused;
        if let Outcome::Acknowledged { scroll, seq, of, .. } = &call.outcome {
            match &known.answered {
                Some((_, Outcome::Acknowledged { scroll: s, seq: q, of: o, .. }))
                    if (s, q, o) != (scroll, seq, of) =>
                {
                    wrong.push(format!(
                        "{} was acknowledged at {s}/{q} and at {scroll}/{seq}",
                        call.id
                    ));
                }
                Some((at, _)) if *at <= call.answered => {}
                _ => known.answered = Some((call.answered, &call.outcome)),
            }
        }
    }
    all
}

/// An id that was answered before another was first asked for has the lower sequence number.
fn out_of_order(known: &BTreeMap<&str, Known<'_>>) -> Vec<String> {
    let mut scrolls: BTreeMap<&str, Vec<(u64, u64, u64, &str)>> = BTreeMap::new();
    for (id, known) in known {
        if let Some((answered, Outcome::Acknowledged { scroll, seq, .. })) = &known.answered {
            scrolls.entry(scroll).or_default().push((known.invoked, *answered, *seq, id));
        }
    }
    let mut wrong = Vec::new();
    for calls in scrolls.values_mut() {
        let mut by_answer = calls.clone();
        by_answer.sort_by_key(|call| call.1);
        calls.sort_by_key(|call| call.0);
        let (mut next, mut highest) = (0, None::<(u64, &str)>);
        for (invoked, _, seq, id) in calls.iter() {
            while let Some((_, _, before, by)) = by_answer.get(next).filter(|c| c.1 < *invoked) {
                highest = highest.max(Some((*before, *by)));
                next += 1;
            }
            if let Some((before, by)) = highest.filter(|h| h.0 >= *seq) {
                wrong.push(format!(
                    "{by} at {before} was answered before {id} at {seq} was asked for"
                ));
            }
        }
    }
    wrong
}

/// Every checkpoint that a client was shown is the root over the lines that are there.
fn checkpoints(calls: &[Call], lines: &Lines, wrong: &mut Vec<String>) -> usize {
    let roots: BTreeMap<&str, Roots> = lines
        .iter()
        .map(|(scroll, bytes)| {
            let mut tree = Roots::default();
            let texts = bytes.split(|byte| *byte == b'\n').filter(|text| !text.is_empty());
            texts.for_each(|text| tree.push(leaf_hash(text)));
            (scroll.as_str(), tree)
        })
        .collect();
    let mut good = 0;
    for call in calls {
        let Outcome::Acknowledged { scroll, seq, of, checkpoint } = &call.outcome else { continue };
        let mut text = checkpoint.lines().skip(1);
        let size = text.next().and_then(|size| size.parse::<u64>().ok());
        let root = text.next().and_then(|root| vm_scrolls::base64::decode_hash(root).ok());
        let real = size.and_then(|size| roots.get(scroll.as_str())?.of(size));
        match (size, root) {
            (Some(size), Some(_)) if size < seq + of => {
                wrong.push(format!("{}: its checkpoint of size {size} does not cover it", call.id));
            }
            (Some(_), Some(root)) if real == Some(root) => good += 1,
            (Some(size), Some(_)) => {
                wrong.push(format!(
                    "{}: its checkpoint of size {size} is not that of the lines",
                    call.id
                ));
            }
            _ => wrong.push(format!("{}: it came without a checkpoint that reads", call.id)),
        }
    }
    good
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;

    /// The sample's lines, and a history in which each of its calls was acknowledged, one after another.
    fn good() -> (Lines, Vec<Call>) {
        let bytes = sample::Sample::small()
            .lines
            .iter()
            .flat_map(|l| [l.as_slice(), b"\n"].concat())
            .collect();
        let lines = Lines::from([("toy".to_owned(), bytes)]);
        let mut tree = Roots::default();
        let mut calls = Vec::new();
        for (n, group) in (0..).zip(groups(&lines).unwrap()) {
            group.lines.iter().for_each(|text| tree.push(leaf_hash(text)));
            let (seq, of) = (group.first, group.lines.len() as u64);
            let size = seq + of;
            let root = vm_scrolls::base64::encode(tree.of(size).unwrap());
            let checkpoint = format!("origin\n{size}\n{root}\n\n— origin sig\n");
            let outcome = Outcome::Acknowledged { scroll: "toy".into(), seq, of, checkpoint };
            calls.push(Call {
                client: 1,
                id: group.id,
                invoked: n * 10,
                answered: n * 10 + 5,
                outcome,
            });
        }
        (lines, calls)
    }

    fn wrong(calls: &[Call], lines: &Lines) -> String {
        check(calls, lines, &BTreeMap::new()).unwrap_err().join("; ")
    }

    fn without(lines: &Lines, id: &str) -> Lines {
        let kept = groups(lines).unwrap().into_iter().filter(|g| g.id != id);
        let bytes = kept.flat_map(|g| g.lines).flat_map(|l| [l, b"\n".to_vec()].concat()).collect();
        Lines::from([("toy".to_owned(), bytes)])
    }

    #[test]
    fn a_good_history_passes_and_unknown_calls_may_be_there_or_not() {
        let (lines, mut calls) = good();
        let all = calls.len();
        let checked = check(&calls, &lines, &BTreeMap::new()).unwrap();
        assert_eq!((checked.acknowledged, checked.checkpoints), (all, all));
        calls[2].outcome = Outcome::Unknown;
        calls.push(Call {
            client: 2,
            id: "never-came".into(),
            invoked: 1,
            answered: 2,
            outcome: Outcome::Unknown,
        });
        let checked = check(&calls, &lines, &BTreeMap::new()).unwrap();
        assert_eq!(checked.unknown, (1, 1));
    }

    #[test]
    fn a_call_that_was_answered_first_stands_first() {
        let (lines, mut calls) = good();
        calls[2].invoked = 5_000;
        calls[2].answered = 5_001;
        calls[3].invoked = 6_000;
        calls[3].answered = 6_001;
        calls[4].answered = 100;
        assert!(wrong(&calls, &lines).contains("was answered before"));
    }

    #[test]
    fn asking_again_for_an_old_id_is_no_disorder() {
        let (lines, mut calls) = good();
        let mut again = calls[1].clone();
        (again.invoked, again.answered) = (9_000, 9_001);
        calls.push(again);
        check(&calls, &lines, &BTreeMap::new()).unwrap();
    }

    #[test]
    fn what_was_acknowledged_and_is_gone_is_named() {
        let (lines, mut calls) = good();
        let lost = "ghost";
        let mut call = calls[1].clone();
        call.id = lost.into();
        calls.push(call);
        assert!(wrong(&calls, &lines).contains("ghost was acknowledged and is lost"));
    }

    #[test]
    fn lines_that_are_cut_out_glued_doubled_or_halved_are_noticed() {
        let (lines, calls) = good();
        assert!(wrong(&calls, &without(&lines, "m-1")).contains("says it is"));
        let glued = |bytes: &[u8]| {
            let at = bytes.iter().position(|b| *b == b'\n').unwrap();
            [&bytes[..at], &bytes[at + 1..]].concat()
        };
        let one = |bytes: Vec<u8>| Lines::from([("toy".to_owned(), bytes)]);
        let all = &lines["toy"];
        assert!(wrong(&calls, &one(glued(all))).contains("line 1"));
        assert!(wrong(&calls, &one([all.as_slice(), all].concat())).contains("says it is"));
        let of_many = groups(&lines).unwrap().into_iter().find(|g| g.lines.len() > 1).unwrap();
        let end: usize = all
            .split_inclusive(|b| *b == b'\n')
            .take(usize::try_from(of_many.first).unwrap() + 1)
            .map(<[u8]>::len)
            .sum();
        assert!(wrong(&calls, &one(all[..end].to_vec())).contains("halved"));
        assert!(wrong(&calls, &one(all[..all.len() - 1].to_vec())).contains("no end"));
    }

    #[test]
    fn one_id_answered_from_two_places_is_noticed() {
        let (lines, mut calls) = good();
        let mut again = calls[1].clone();
        again.invoked += 1;
        if let Outcome::Acknowledged { seq, .. } = &mut again.outcome {
            *seq += 1;
        }
        calls.push(again);
        assert!(wrong(&calls, &lines).contains("was acknowledged at"));
    }

    #[test]
    fn a_refused_call_that_is_there_and_a_line_nobody_asked_for_are_noticed() {
        let (lines, mut calls) = good();
        calls[1].outcome = Outcome::Refused;
        assert!(wrong(&calls, &lines).contains("was refused and is there"));
        calls.remove(1);
        assert!(wrong(&calls, &lines).contains("nobody asked for it"));
        check(&[], &lines, &BTreeMap::from([("toy".to_owned(), 1_000)])).unwrap();
    }

    #[test]
    fn a_checkpoint_of_other_lines_is_noticed() {
        let (lines, mut calls) = good();
        let other = calls[2].outcome.clone();
        let shown = |outcome: &mut Outcome, with: &str| {
            if let Outcome::Acknowledged { checkpoint, .. } = outcome {
                *checkpoint = with.to_owned();
            }
        };
        let Outcome::Acknowledged { checkpoint: text, .. } = other else { panic!("acknowledged") };
        let forked: Vec<&str> = text.lines().collect();
        let root = vm_scrolls::base64::encode([7; 32]);
        shown(&mut calls[2].outcome, &format!("{}\n{}\n{root}\n", forked[0], forked[1]));
        assert!(wrong(&calls, &lines).contains("is not that of the lines"));
        shown(&mut calls[2].outcome, &format!("o\n1\n{root}\n"));
        assert!(wrong(&calls, &lines).contains("does not cover it"));
    }
}
