//! Ids that were used before, in memory that a long scroll does not fill: a filter that is never wrong when it says
//! "new", and a second look at the lines when it says otherwise.

use super::blocks::Blocks;
use super::walk::Stop;
use crate::fs::Fs;
use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use vm_receipts::line::Line;

/// Bits of the filter for each line there may be: with [`PROBES`] bits set for each id, a new id is taken for a used
/// one less than once in a hundred million times.
const BITS_PER_LINE: u64 = 40;
/// Bits that each id sets.
const PROBES: u64 = 20;
/// Most bytes of the filter. Beyond some fifty million lines it is fuller, and second looks are more frequent.
const FILTER_BYTES_MAX: u64 = 256 << 20;
/// Most ids that wait for a second look.
const WAITING_MAX: usize = 1 << 16;

/// An id as the filter sees it.
#[derive(Clone, Copy)]
pub(super) struct Print(u64, u64);

impl Print {
    pub(super) fn of(id: &str) -> Print {
        let word = |first: u64| {
            let mut hasher = DefaultHasher::new();
            (first, id).hash(&mut hasher);
            hasher.finish()
        };
        Print(word(0), word(1) | 1)
    }

    /// The bits this id sets in a filter of so many.
    fn places(self, bits: u64) -> impl Iterator<Item = (usize, u64)> {
        (0..PROBES).map(move |probe| {
            let spread = self.0.wrapping_add(self.1.wrapping_mul(probe));
            let bit = ((u128::from(spread) * u128::from(bits)) >> 64) as u64;
            ((bit / 64) as usize, 1 << (bit % 64))
        })
    }
}

/// The ids of the calls so far.
pub(super) struct Once {
    words: Vec<u64>,
    /// Ids that were perhaps used before, with the sequence numbers at which they came again.
    waiting: HashMap<String, Vec<u64>>,
    count: usize,
}

impl Once {
    /// For a scroll of at most so many lines.
    pub(super) fn new(lines_max: u64) -> Once {
        let bytes = lines_max.saturating_mul(BITS_PER_LINE) / 8;
        let words = bytes.clamp(64, FILTER_BYTES_MAX) / 8;
        Once { words: vec![0; words as usize], waiting: HashMap::new(), count: 0 }
    }

    /// Takes in that a call with this id begins at this sequence number. `true` when it is time to look again.
    pub(super) fn insert(&mut self, id: &str, print: Print, seq: u64) -> bool {
        let bits = self.words.len() as u64 * 64;
        let mut used = true;
        for (word, bit) in print.places(bits) {
            used &= self.words[word] & bit != 0;
            self.words[word] |= bit;
        }
        if used {
            self.waiting.entry(id.to_owned()).or_default().push(seq);
            self.count += 1;
        }
        self.count >= WAITING_MAX
    }

    /// How many ids wait for a second look.
    #[cfg(test)]
    pub(super) fn waiting(&self) -> usize {
        self.count
    }

    /// Looks at the lines again: the first sequence number at which a call begins whose id an earlier call had.
    pub(super) fn repeated(&mut self, fs: &dyn Fs, scroll: &str) -> Result<Option<u64>, Stop> {
        let waiting = std::mem::take(&mut self.waiting);
        self.count = 0;
        let Some(last) = waiting.values().flatten().max() else { return Ok(None) };
        let mut firsts: HashMap<&str, u64> = HashMap::new();
        let mut blocks = Blocks::new(fs, scroll)?;
        let mut seq = 0;
        'all: while let Some(block) = blocks.next() {
            for bytes in block.lines() {
                if seq > *last {
                    break 'all;
                }
                // Lines that were taken in read well; a file that changed since shows elsewhere.
                let line = Line::parse(bytes).ok().filter(|line| line.part.n == 1);
                if let Some((id, _)) = line.and_then(|line| waiting.get_key_value(&line.id)) {
                    firsts.entry(id).or_insert(seq);
                }
                seq += 1;
            }
        }
        let later = waiting.iter().filter_map(|(id, seqs)| {
            let first = firsts.get(id.as_str())?;
            seqs.iter().copied().find(|seq| seq > first)
        });
        Ok(later.min())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_used_id_is_never_taken_for_a_new_one() {
        let mut once = Once::new(10_000);
        let id = |n: u64| format!("0193b0e0-0000-7000-8000-{n:012}");
        for n in 0..10_000 {
            once.insert(&id(n), Print::of(&id(n)), n);
        }
        assert_eq!(once.count, 0, "new ids of a scroll of this length are told from used ones");
        for n in 0..10_000 {
            once.insert(&id(n), Print::of(&id(n)), 10_000 + n);
        }
        assert_eq!(once.count, 10_000);
    }

    #[test]
    fn the_filter_stays_within_its_bounds() {
        assert_eq!(Once::new(0).words.len(), 8);
        assert_eq!(Once::new(10_000_000).words.len() * 8, 50_000_000);
        assert_eq!(Once::new(u64::MAX).words.len() as u64 * 8, FILTER_BYTES_MAX);
    }
}
