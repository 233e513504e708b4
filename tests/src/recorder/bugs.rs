//! Planted bugs: the recorded operations changed as if the program had been written so.
//!
//! Nothing in the program can be switched to do this. A campaign that does not notice these proves nothing.

use super::place::{GUARD, HOME};
use super::record::{Recorded, Take};
use super::replay::is_dir;
use super::trace::Op;
use crate::crashfs::Image;

/// A step left out or moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bug {
    /// Lines are never synced.
    LinesNotSynced,
    /// Names are never made durable.
    DirectoriesNotSynced,
    /// The answer leaves before the lines are synced.
    AnswerBeforeSync,
    /// signed-state and ROOT are renamed into place without a sync of their content.
    RenameNotSynced,
    /// signed-state and ROOT are written before the lines.
    RootBeforeLines,
    /// Openings are synced after the answer, and not before the lines that need them.
    OpeningsAfterLines,
    /// What an open run is made of is never synced.
    RunNotSynced,
    /// Nothing is ever synced.
    NothingSynced,
}

/// All of them.
pub const BUGS: [Bug; 8] = [
    Bug::LinesNotSynced,
    Bug::DirectoriesNotSynced,
    Bug::AnswerBeforeSync,
    Bug::RenameNotSynced,
    Bug::RootBeforeLines,
    Bug::OpeningsAfterLines,
    Bug::RunNotSynced,
    Bug::NothingSynced,
];

impl Bug {
    /// The operations of all commands of a flow as this bug would have them; `None` where it changes nothing there.
    pub fn plant(self, recorded: &Recorded) -> Option<Vec<Vec<Op>>> {
        let bend =
            |(n, take): (usize, &Take)| self.bent(take, &recorded.after[n], &recorded.after[n + 1]);
        let bent: Vec<Vec<Op>> = recorded.takes.iter().enumerate().map(bend).collect();
        let same = bent.iter().zip(&recorded.takes).all(|(ops, take)| *ops == take.ops);
        (!same).then_some(bent)
    }

    fn bent(self, take: &Take, before: &Image, after: &Image) -> Vec<Op> {
        let ops = take.ops.clone();
        let directory = |path: &str| is_dir(before, path) || is_dir(after, path);
        match self {
            Bug::LinesNotSynced => without(ops, is_lines),
            Bug::DirectoriesNotSynced => without(ops, directory),
            Bug::RenameNotSynced => {
                without(ops, |path| path.ends_with(".tmp") && is_published(path))
            }
            Bug::RunNotSynced => without(ops, |path| path.starts_with(&format!("{HOME}/runs/"))),
            Bug::NothingSynced => without(ops, |_| true),
            Bug::AnswerBeforeSync => answer_first(take, ops),
            Bug::RootBeforeLines => root_first(ops),
            Bug::OpeningsAfterLines => openings_last(ops),
        }
    }
}

fn without(mut ops: Vec<Op>, synced: impl Fn(&str) -> bool) -> Vec<Op> {
    ops.retain(|op| !matches!(op, Op::Sync(path) if synced(path)));
    ops
}

fn is_lines(path: &str) -> bool {
    path.starts_with(&format!("{HOME}/receipts/"))
        && (path.ends_with(".jsonl") || path.ends_with(".new"))
}

fn is_published(path: &str) -> bool {
    [format!("{HOME}/ROOT."), format!("{HOME}/signed-state"), format!("{GUARD}/signed-state")]
        .iter()
        .any(|start| path.starts_with(start))
}

fn answer_first(take: &Take, mut ops: Vec<Op>) -> Vec<Op> {
    let Some(said) = take.acknowledged_at() else { return ops };
    let sync = ops[..said].iter().rposition(|op| matches!(op, Op::Sync(path) if is_lines(path)));
    if let Some(sync) = sync {
        let op = ops.remove(said);
        ops.insert(sync, op);
    }
    ops
}

fn root_first(ops: Vec<Op>) -> Vec<Op> {
    let written = |op: &Op| matches!(op, Op::Write { path, .. } if is_lines(path));
    let Some(at) = ops.iter().position(written) else { return ops };
    let (mut early, mut late, mut renamed) = (ops[..at].to_vec(), Vec::new(), false);
    for op in &ops[at..] {
        let names = matches!(op, Op::Sync(path) if path == HOME || path == GUARD);
        let moves = is_published(op.path()) || (names && renamed);
        renamed = moves && matches!(op, Op::Rename(..));
        if moves { early.push(op.clone()) } else { late.push(op.clone()) }
    }
    early.extend(late);
    early
}

fn openings_last(ops: Vec<Op>) -> Vec<Op> {
    let of_openings = |op: &Op| matches!(op, Op::Sync(path) if path.starts_with(&format!("{HOME}/openings")) || path.ends_with("openings.key.tmp"));
    let (last, mut rest): (Vec<Op>, Vec<Op>) = ops.into_iter().partition(of_openings);
    rest.extend(last);
    rest
}
