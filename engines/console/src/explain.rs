//! Whether a recorded edit explains a file as a commit has it.
//!
//! A file is explained if some edit of this very file left this very content. The same content at another path explains
//! nothing: whoever puts a known file elsewhere has done something that nobody recorded. An edit whose content nobody
//! knows explains nothing either.

use serde::Deserialize;

use crate::state::{Seen, State};

/// What a commit did to a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// It was not there.
    Added,
    /// It has another content or mode.
    Modified,
    /// It is gone.
    Deleted,
    /// It had another path, which is gone.
    Renamed,
    /// It points into another repository.
    Submodule,
}

impl Status {
    /// The words, in the order of the variants.
    pub const WORDS: &'static [&'static str] =
        &["added", "modified", "deleted", "renamed", "submodule"];
}

/// A file that a commit changed.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Changed {
    /// Keyed id of the file.
    pub file_id: String,
    /// What was done to it.
    pub status: Status,
    /// Digest of its content, if it was read.
    pub content: Option<String>,
    /// Other digests of what is the same content: the keyed form, or other line ends.
    #[serde(default)]
    pub contents: Vec<String>,
    /// Keyed id before it was renamed.
    pub previous_file_id: Option<String>,
}

impl Changed {
    fn digests(&self) -> impl Iterator<Item = &String> {
        self.content.iter().chain(&self.contents)
    }
}

/// The edit that explains a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct By {
    /// Its session.
    pub session: String,
    /// Who saw it: an agent's own words are worth less than what stood between.
    pub observed_by: String,
    /// Leaf index of its receipt.
    pub seq: u64,
    /// When it was made, Unix milliseconds.
    pub at_ms: i64,
}

/// Why a file is not explained.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// No edit of it is known.
    NoEdit,
    /// It was edited, but no edit left this content.
    OtherContent,
    /// It is gone, and the last edit of it did not remove it.
    Deleted,
    /// An edit left this content at its old path and nobody recorded that it was renamed, or at the new one and nobody
    /// recorded that the old one went.
    Moved,
    /// It points into another repository.
    Submodule,
    /// Nobody read its content.
    NotExamined,
}

impl Why {
    /// Every reason.
    pub const ALL: [Self; 6] = [
        Self::NoEdit,
        Self::OtherContent,
        Self::Deleted,
        Self::Moved,
        Self::Submodule,
        Self::NotExamined,
    ];

    /// The word for reports.
    pub fn word(self) -> &'static str {
        match self {
            Why::NoEdit => "no_edit",
            Why::OtherContent => "other_content",
            Why::Deleted => "deleted",
            Why::Moved => "moved",
            Why::Submodule => "submodule",
            Why::NotExamined => "not_examined",
        }
    }
}

/// How much later than a commit an edit may seem to be that it has: clocks never agree.
pub const LATER_MS_MAX: i64 = 5 * 60 * 1000;

/// The edit that explains a changed file, or why there is none. Where it is known when the commit was made, what
/// happened after it explains nothing.
pub fn explain(state: &State, file: &Changed, committed_ms: Option<i64>) -> Result<By, Why> {
    let explainer =
        Explainer { state, until_ms: committed_ms.map(|ms| ms.saturating_add(LATER_MS_MAX)) };
    explainer.explain(file)
}

struct Explainer<'a> {
    state: &'a State,
    until_ms: Option<i64>,
}

impl Explainer<'_> {
    fn explain(&self, file: &Changed) -> Result<By, Why> {
        match file.status {
            Status::Submodule => return Err(Why::Submodule),
            Status::Deleted => return self.removed(file),
            Status::Added | Status::Modified | Status::Renamed => {}
        }
        if file.digests().next().is_none() {
            return Err(Why::NotExamined);
        }
        let before = file.previous_file_id.as_deref();
        let moves = file.status == Status::Renamed;
        match self.own(file) {
            // That the old path is gone needs somebody too.
            Some(_) if moves && !before.is_some_and(|before| self.is_gone(before)) => {
                Err(Why::Moved)
            }
            Some(edit) => Ok(by(edit)),
            None => match before.filter(|_| moves) {
                Some(before) => self.renamed(file, before),
                None => Err(self.unexplained(file)),
            },
        }
    }

    /// Whether it happened before the commit, as far as anybody can tell.
    fn is_in_time(&self, seen: &Seen) -> bool {
        self.until_ms.is_none_or(|until| seen.since_ms <= until)
    }

    /// The last edit that left this content there, or the first where the last came after the commit.
    fn own(&self, file: &Changed) -> Option<Seen> {
        let key = |digest: &String| (file.file_id.clone(), digest.clone());
        let edits = file.digests().filter_map(|digest| self.state.edits.get(&key(digest)));
        let seen = edits.filter_map(|edit| {
            [edit.last, edit.first].into_iter().find(|seen| self.is_in_time(seen))
        });
        seen.max_by_key(|seen| (seen.at_ms, seen.seq))
    }

    fn is_gone(&self, file_id: &str) -> bool {
        let known = self.state.files.get(&file_id.to_owned());
        known.is_some_and(|file| file.deleted && self.is_in_time(&file.seen))
    }

    fn unexplained(&self, file: &Changed) -> Why {
        if self.state.files.contains(&file.file_id) { Why::OtherContent } else { Why::NoEdit }
    }

    /// The content stood at the old path before somebody recorded that it was renamed.
    fn renamed(&self, file: &Changed, before: &str) -> Result<By, Why> {
        let key = |digest: &String| (before.to_owned(), digest.clone());
        let left = file.digests().filter_map(|digest| self.state.edits.get(&key(digest)));
        let when = |seen: &Seen| (seen.at_ms, seen.seq);
        let Some(first) = left.map(|edit| when(&edit.first)).min() else {
            return Err(self.unexplained(file));
        };
        match self.state.renames.get(&(file.file_id.clone(), before.to_owned())) {
            Some(r) if first < when(&r) && self.is_in_time(&r) && self.is_gone(before) => Ok(by(r)),
            _ => Err(Why::Moved),
        }
    }

    fn removed(&self, file: &Changed) -> Result<By, Why> {
        match self.state.files.get(&file.file_id) {
            Some(f) if f.deleted && self.is_in_time(&f.seen) => Ok(by(f.seen)),
            Some(_) => Err(Why::Deleted),
            None => Err(Why::NoEdit),
        }
    }
}

fn by(seen: Seen) -> By {
    let Seen { session, observed_by, seq, at_ms, .. } = seen;
    By { session, observed_by, seq, at_ms }
}
