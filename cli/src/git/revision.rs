//! Revisions as people write them: `HEAD`, names, ids and their beginnings, with `~N` and `^N` behind them.

use super::{COMMIT_BYTES_MAX, Repository, broken};
use gix::ObjectId;
use vm_contracts::{Failure, Refusal};

/// Longest revision.
const REVISION_BYTES_MAX: usize = 1_024;
/// Shortest beginning of an id, as for git.
const PREFIX_MIN: usize = 4;

/// Most tags that lead from one to the next.
const TAGS_MAX: usize = 16;

/// A step from a commit to one before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// `~N`: N times to the first parent.
    Back(usize),
    /// `^N`: to the N-th parent; 0 stays.
    Parent(usize),
}

impl Repository {
    /// The commit that a revision names.
    pub fn resolve(&self, revision: &str) -> Result<ObjectId, Failure> {
        let (base, steps) = parse(revision)?;
        let mut id = self.base(base, revision)?;
        for step in steps {
            id = self.step(id, step, revision)?;
        }
        Ok(id)
    }

    fn step(&self, id: ObjectId, step: Step, revision: &str) -> Result<ObjectId, Failure> {
        let parent = |id: ObjectId, n: usize| {
            let found = self.commit(id)?.parents.get(n - 1).copied();
            found
                .ok_or_else(|| Failure::from(unknown(revision, &format!("{id} has no parent {n}"))))
        };
        match step {
            Step::Back(n) => (0..n).try_fold(id, |id, _| parent(id, 1)),
            Step::Parent(0) => Ok(id),
            Step::Parent(n) => parent(id, n),
        }
    }

    /// A whole id, a name, or the beginning of an id, in this order.
    fn base(&self, base: &str, revision: &str) -> Result<ObjectId, Failure> {
        let base = if base == "@" { "HEAD" } else { base };
        let is_id = base.len() == self.inner.object_hash().len_in_hex();
        if let (true, Ok(id)) = (is_id, ObjectId::from_hex(base.as_bytes())) {
            return self.peeled(id, revision);
        }
        // A name that git would not take names nothing.
        if let Ok(Some(mut found)) = self.inner.try_find_reference(base) {
            let id = found.follow_to_object().map_err(|e| {
                unknown(revision, &format!("it leads to nothing: {e}"))
                    .hint("A new branch has no commit yet.")
            })?;
            return self.peeled(id.detach(), revision);
        }
        let Some(prefix) = self.prefix(base) else {
            let hint = "Give HEAD, a branch, a tag or an id, with ~N or ^N behind it.";
            return Err(unknown(revision, "there is no such name").hint(hint).into());
        };
        match self.inner.objects.lookup_prefix(prefix, None) {
            Ok(Some(Ok(id))) => self.peeled(id, revision),
            Ok(Some(Err(()))) => Err(unknown(revision, "several objects begin like this")
                .hint("Give more digits.")
                .into()),
            Ok(None) => {
                Err(unknown(revision, "there is no such name, and no object begins like this")
                    .into())
            }
            Err(e) => Err(broken(&e.to_string()).into()),
        }
    }

    /// The beginning of an id of this repository's kind: read by itself, a short one would be taken for SHA-1.
    fn prefix(&self, base: &str) -> Option<gix::hash::Prefix> {
        let whole = self.inner.object_hash().len_in_hex();
        if base.len() < PREFIX_MIN || base.len() >= whole {
            return None;
        }
        let id = ObjectId::from_hex(format!("{base:0<whole$}").as_bytes()).ok()?;
        gix::hash::Prefix::new(&id, base.len()).ok()
    }

    /// The commit that an object is, or that a tag leads to. Only tags are read for it, and none that is long.
    fn peeled(&self, id: ObjectId, revision: &str) -> Result<ObjectId, Failure> {
        let mut id = id;
        for _ in 0..TAGS_MAX {
            let header =
                self.inner.find_header(id).map_err(|e| unknown(revision, &e.to_string()))?;
            match header.kind() {
                gix::objs::Kind::Commit => return Ok(id),
                gix::objs::Kind::Tag => {}
                _ => return Err(unknown(revision, "it names no commit").into()),
            }
            self.within("tag", id, COMMIT_BYTES_MAX)?;
            let unreadable = |e: &dyn std::fmt::Display| broken(&format!("tag {id}: {e}"));
            let tag = self.inner.find_tag(id).map_err(|e| unreadable(&e))?;
            id = tag.target_id().map_err(|e| unreadable(&e))?.detach();
        }
        Err(unknown(revision, "one tag leads to the next, too often").into())
    }
}

fn parse(revision: &str) -> Result<(&str, Vec<Step>), Refusal> {
    if revision.is_empty() || revision.len() > REVISION_BYTES_MAX {
        return Err(unknown(revision, "it is empty or too long"));
    }
    let at = revision.find(['~', '^']).unwrap_or(revision.len());
    let (base, mut rest) = revision.split_at(at);
    let mut steps = Vec::new();
    while let Some(mark) = rest.chars().next() {
        rest = &rest[1..];
        if let Some(behind) =
            ["{commit}", "{}"].iter().find_map(|w| rest.strip_prefix(w)).filter(|_| mark == '^')
        {
            rest = behind;
            continue;
        }
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (number, behind) = rest.split_at(digits);
        let number = match number {
            "" => Some(1),
            number => number.parse::<usize>().ok().filter(|n| *n <= 1_000_000),
        };
        let number = number.ok_or_else(|| unknown(revision, "its number is too large"))?;
        steps.push(match mark {
            '~' => Step::Back(number),
            '^' => Step::Parent(number),
            _ => return Err(unknown(revision, "only ~N and ^N may stand behind a name")),
        });
        rest = behind;
    }
    Ok((if base.is_empty() { "HEAD" } else { base }, steps))
}

fn unknown(revision: &str, why: &str) -> Refusal {
    let shown: String = revision.chars().take(80).collect();
    Refusal::not_found("unknown_revision", format!("{shown:?} names no commit here: {why}"))
        .field("commit")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_behind_a_name_are_read_in_their_order() {
        assert_eq!(parse("HEAD").unwrap(), ("HEAD", vec![]));
        assert_eq!(parse("v1~2^2").unwrap(), ("v1", vec![Step::Back(2), Step::Parent(2)]));
        assert_eq!(parse("~").unwrap(), ("HEAD", vec![Step::Back(1)]));
        assert_eq!(parse("a^{commit}~").unwrap(), ("a", vec![Step::Back(1)]));
        for bad in ["", "HEAD~99999999999", "HEAD~1x", "a^{tree}"] {
            assert_eq!(parse(bad).unwrap_err().code, "unknown_revision", "{bad}");
        }
    }
}
