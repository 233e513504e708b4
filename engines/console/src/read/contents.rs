//! Contents of files as far as a record lets them be followed, and what edits make of them.
//!
//! A content that was followed wrongly explains nothing: its digest is that of no file. So following is cautious (a
//! replaced text must stand there exactly once) but needs no proof.

use super::tool::{How, Swap};
use std::collections::BTreeMap;

/// Bytes of contents that are remembered.
const BYTES_MAX: usize = 24 << 20;
/// Bytes that one change may be compared with and copied: many small replacements in a large content are not followed.
const WORK_MAX: usize = 128 << 20;
/// Largest content that is remembered or worked out.
pub const CONTENT_BYTES_MAX: usize = 8 << 20;

/// What files held last, by their keyed ids; the longest unused go first.
#[derive(Default)]
pub struct Contents {
    held: BTreeMap<String, (u64, String)>,
    order: BTreeMap<u64, String>,
    bytes: usize,
    tick: u64,
}

impl Contents {
    /// What the file held last, if that is remembered.
    pub fn get(&mut self, file: &str) -> Option<&str> {
        self.tick += 1;
        let (at, content) = self.held.get_mut(file)?;
        self.order.remove(at);
        *at = self.tick;
        self.order.insert(self.tick, file.to_owned());
        Some(content)
    }

    /// Remembers what the file holds now; forgets the file where nobody knows.
    pub fn set(&mut self, file: &str, content: Option<String>) {
        if let Some((at, old)) = self.held.remove(file) {
            self.order.remove(&at);
            self.bytes -= old.len();
        }
        let Some(content) = content.filter(|c| c.len() <= CONTENT_BYTES_MAX) else { return };
        self.tick += 1;
        self.bytes += content.len();
        self.held.insert(file.to_owned(), (self.tick, content));
        self.order.insert(self.tick, file.to_owned());
        const FILES_MAX: usize = 65_536;
        while self.bytes > BYTES_MAX || self.held.len() > FILES_MAX {
            let Some((_, oldest)) = self.order.pop_first() else { return };
            if let Some((_, gone)) = self.held.remove(&oldest) {
                self.bytes -= gone.len();
            }
        }
    }
}

/// The content after a change, if it follows from the one before.
pub fn after(how: &How, before: Option<&str>) -> Option<String> {
    match how {
        How::Whole(content) => Some(content.clone()),
        How::Replace(swaps) => replaced(swaps, before),
        How::Delete | How::Unknown => None,
    }
}

fn replaced(swaps: &[Swap], before: Option<&str>) -> Option<String> {
    // To put text in place of nothing makes a file.
    let makes = swaps.first().is_some_and(|s| s.old.is_empty());
    let mut content = match before {
        Some(before) => before.to_owned(),
        None if makes => String::new(),
        None => return None,
    };
    let mut work = 0_usize;
    for swap in swaps {
        work = work.saturating_add(content.len() + swap.old.len() + swap.new.len());
        if work > WORK_MAX {
            return None;
        }
        if swap.old.is_empty() {
            if !content.is_empty() {
                return None;
            }
            content.clone_from(&swap.new);
            continue;
        }
        let times = content.matches(&swap.old).take(if swap.all { usize::MAX } else { 2 }).count();
        if times == 0 || times > 1 && !swap.all {
            return None;
        }
        let grown = times.checked_mul(swap.new.len())?.checked_add(content.len())?;
        if grown > CONTENT_BYTES_MAX {
            return None;
        }
        content = content.replace(&swap.old, &swap.new);
    }
    Some(content)
}

/// Lines added and removed, as far as the change itself says it.
pub fn lines(how: &How, before: Option<&str>) -> Option<(u64, u64)> {
    let count = |text: &str| text.lines().count() as u64;
    match how {
        How::Whole(content) => Some((count(content), before.map_or(0, count))),
        How::Replace(swaps) => {
            let mut both = (0_u64, 0_u64);
            for swap in swaps.iter().filter(|s| !s.all) {
                both.0 += count(&swap.new);
                both.1 += count(&swap.old);
            }
            (!swaps.iter().any(|s| s.all)).then_some(both)
        }
        How::Delete | How::Unknown => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn swap(old: &str, new: &str, all: bool) -> How {
        How::Replace(vec![Swap { old: old.into(), new: new.into(), all }])
    }

    #[test]
    fn an_edit_that_does_not_fit_leaves_nothing_known() {
        assert_eq!(after(&swap("b", "x", false), Some("abc")).as_deref(), Some("axc"));
        assert_eq!(after(&swap("b", "x", false), Some("bb")), None);
        assert_eq!(after(&swap("b", "x", true), Some("bb")).as_deref(), Some("xx"));
        assert_eq!(after(&swap("d", "x", false), Some("abc")), None);
        assert_eq!(after(&swap("b", "x", false), None), None);
        assert_eq!(after(&swap("", "new", false), None).as_deref(), Some("new"));
        assert_eq!(after(&swap("", "new", false), Some("old")), None);
        let bomb = swap("a", &"x".repeat(100_000), true);
        assert_eq!(
            after(&bomb, Some(&"a".repeat(100_000))),
            None,
            "a content that grows without bound"
        );
        let swaps = |count| {
            let one = Swap { old: "a".into(), new: "a".into(), all: false };
            How::Replace(vec![one; count])
        };
        let long = format!("a{}", "b".repeat(1 << 20));
        assert_eq!(after(&swaps(8), Some(&long)).as_deref(), Some(&*long));
        assert_eq!(after(&swaps(200), Some(&long)), None, "more work than a change may make");
    }

    proptest! {
        #[test]
        fn what_is_remembered_is_bounded_and_the_latest(
            sets in prop::collection::vec((0_u8..8, 0_usize..(5 << 20)), 1..40),
        ) {
            let mut contents = Contents::default();
            for (file, length) in sets {
                contents.set(&file.to_string(), Some("x".repeat(length)));
                prop_assert!(contents.bytes <= BYTES_MAX);
                prop_assert_eq!(contents.held.values().map(|(_, c)| c.len()).sum::<usize>(), contents.bytes);
                prop_assert_eq!(contents.held.len(), contents.order.len());
                prop_assert_eq!(contents.get(&file.to_string()).map(str::len), Some(length));
            }
        }
    }
}
