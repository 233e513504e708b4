//! Places of a term within one stretch of lines.
//!
//! The lines of a scroll are indexed in stretches of 16,384: what is written for a line then depends on the lines of
//! its stretch and not on the size of the scroll, and a query walks the stretches in its order, one after another.

use vm_scrolls::query::Order;

/// Lines in a stretch.
pub(super) const STRETCH: u64 = 1 << 14;
const WORDS: usize = (STRETCH / 64) as usize;
/// Length of a stored set that is a bitmap; a list of differences is shorter.
const BITMAP: usize = WORDS * 8;

/// The stretch of a line, and the line's place in it.
pub(super) fn split(seq: u64) -> (u64, u16) {
    (seq / STRETCH, (seq % STRETCH) as u16)
}

/// A set of places in a stretch.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Places(Box<[u64; WORDS]>);

impl Places {
    /// None.
    pub(super) fn none() -> Self {
        Self(Box::new([0; WORDS]))
    }

    /// Those from `from` to `to`, which is not among them.
    pub(super) fn between(from: u64, to: u64) -> Self {
        let mut places = Self::none();
        for (n, word) in places.0.iter_mut().enumerate() {
            let first = n as u64 * 64;
            let below = |end: u64| match end.saturating_sub(first) {
                0 => 0,
                bits @ 1..64 => (1_u64 << bits) - 1,
                _ => u64::MAX,
            };
            *word = below(to) & !below(from);
        }
        places
    }

    /// Adds one.
    pub(super) fn add(&mut self, place: u16) {
        self.0[usize::from(place) / 64 % WORDS] |= 1 << (place % 64);
    }

    /// Keeps what is in both.
    pub(super) fn keep(&mut self, other: &Self) {
        self.0.iter_mut().zip(other.0.iter()).for_each(|(a, b)| *a &= b);
    }

    /// Adds what is in the other.
    pub(super) fn join(&mut self, other: &Self) {
        self.0.iter_mut().zip(other.0.iter()).for_each(|(a, b)| *a |= b);
    }

    /// Whether there are none.
    pub(super) fn is_empty(&self) -> bool {
        self.0.iter().all(|word| *word == 0)
    }

    /// Takes the first one in this order out.
    pub(super) fn take_next(&mut self, order: Order) -> Option<u16> {
        let filled = |word: &u64| *word != 0;
        let (n, bit) = match order {
            Order::Asc => {
                let n = self.0.iter().position(filled)?;
                (n, self.0[n].trailing_zeros())
            }
            Order::Desc => {
                let n = self.0.iter().rposition(filled)?;
                (n, 63 - self.0[n].leading_zeros())
            }
        };
        self.0[n] &= !(1 << bit);
        u16::try_from(n * 64).ok()?.checked_add(bit as u16)
    }

    fn iter(&self) -> impl Iterator<Item = u16> + '_ {
        (0..).zip(self.0.iter()).flat_map(|(n, word): (u16, &u64)| {
            let mut rest = *word;
            std::iter::from_fn(move || {
                let bit = rest.trailing_zeros() as u16;
                rest &= rest.checked_sub(1)?;
                Some(n * 64 + bit)
            })
        })
    }

    /// As it is stored: the shorter of a bitmap and a list of differences.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut list = Vec::new();
        let mut next = 0;
        for place in self.iter() {
            put_number(&mut list, place - next);
            next = place + 1;
            if list.len() >= BITMAP {
                return self.0.iter().flat_map(|word| word.to_le_bytes()).collect();
            }
        }
        list
    }

    /// Reads what [`encode`](Self::encode) wrote.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let mut places = Self::none();
        if bytes.len() == BITMAP {
            let (words, _) = bytes.as_chunks::<8>();
            places.0.iter_mut().zip(words).for_each(|(to, from)| *to = u64::from_le_bytes(*from));
            return Some(places);
        }
        let (mut rest, mut next) = (bytes, 0_u16);
        while !rest.is_empty() {
            let place = take_number(&mut rest)?.checked_add(next)?;
            if u64::from(place) >= STRETCH {
                return None;
            }
            places.add(place);
            next = place + 1;
        }
        Some(places)
    }
}

/// New places of a term, as they are stored.
pub(super) fn encode(places: &[u16]) -> Vec<u8> {
    append(Vec::with_capacity(places.len() + 1), 0, places).unwrap_or_else(|| {
        let mut all = Places::none();
        places.iter().for_each(|place| all.add(*place));
        all.encode()
    })
}

/// Stored places with more of them; `None` if what is stored does not read.
pub(super) fn joined(there: &[u8], more: &[u16]) -> Option<Vec<u8>> {
    if there.len() < BITMAP {
        let (mut rest, mut next) = (there, 0_u16);
        while !rest.is_empty() {
            next = take_number(&mut rest)?.checked_add(next)?.checked_add(1)?;
        }
        if let Some(list) = append(there.to_vec(), next, more) {
            return Some(list);
        }
    }
    let mut places = Places::decode(there)?;
    more.iter().for_each(|place| places.add(*place));
    Some(places.encode())
}

/// A list that ends before `next`, with more places behind it; `None` if they do not follow or the list gets long.
fn append(mut list: Vec<u8>, mut next: u16, more: &[u16]) -> Option<Vec<u8>> {
    for place in more {
        put_number(&mut list, place.checked_sub(next)?);
        next = place + 1;
    }
    (list.len() < BITMAP).then_some(list)
}

/// Seven bits a byte, the top bit set on a first byte; two bytes hold every place.
fn put_number(list: &mut Vec<u8>, number: u16) {
    if number < 0x80 {
        list.push(number as u8);
    } else {
        list.extend_from_slice(&(number | 0x8000).to_be_bytes());
    }
}

fn take_number(bytes: &mut &[u8]) -> Option<u16> {
    let (first, rest) = bytes.split_first()?;
    if *first < 0x80 {
        *bytes = rest;
        return Some(u16::from(*first));
    }
    let (second, rest) = rest.split_first()?;
    *bytes = rest;
    Some(u16::from_be_bytes([*first & 0x7f, *second]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn every(step: u16) -> Places {
        let mut places = Places::none();
        (0..STRETCH as u16).step_by(usize::from(step)).for_each(|p| places.add(p));
        places
    }

    #[test]
    fn what_is_stored_reads_back_and_is_never_longer_than_a_bitmap() {
        let last = Places::between(STRETCH - 1, STRETCH);
        for places in [Places::none(), last, every(1), every(2), every(8), every(9), every(777)] {
            let bytes = places.encode();
            assert!(bytes.len() <= BITMAP);
            assert_eq!(Places::decode(&bytes).unwrap(), places);
            let all: Vec<u16> = places.iter().collect();
            assert_eq!(encode(&all), bytes);
            for cut in [0, all.len() / 3, all.len()] {
                assert_eq!(joined(&encode(&all[..cut]), &all[cut..]).unwrap(), bytes);
                assert_eq!(joined(&encode(&all[cut..]), &all[..cut]).unwrap(), bytes);
            }
        }
        assert_eq!(every(777).encode().len(), 43);
    }

    #[test]
    fn places_come_in_either_order() {
        let mut up = every(5000);
        let mut down = up.clone();
        let drain = |p: &mut Places, order| std::iter::from_fn(|| p.take_next(order)).collect();
        let up: Vec<u16> = drain(&mut up, Order::Asc);
        let mut reversed: Vec<u16> = drain(&mut down, Order::Desc);
        reversed.reverse();
        assert_eq!(up, [0, 5000, 10000, 15000]);
        assert_eq!(up, reversed);
    }

    #[test]
    fn between_is_what_it_says() {
        for (from, to) in [(0, 0), (0, 64), (63, 65), (5, 3), (0, STRETCH), (100, STRETCH + 9)] {
            let all: Vec<u64> = Places::between(from, to).iter().map(u64::from).collect();
            assert_eq!(all, (from..to.min(STRETCH)).collect::<Vec<_>>());
        }
    }

    #[test]
    fn foreign_bytes_are_refused_or_read_without_panic() {
        assert_eq!(Places::decode(&[0x80]), None);
        assert_eq!(Places::decode(&[0xff, 0xff, 0x00]), None);
        assert!(Places::decode(&[0xbf, 0xff]).is_some());
        for n in 0..=u16::MAX {
            let [a, b] = n.to_le_bytes();
            let _ = Places::decode(&[a, b, a, b, 0xff]);
        }
    }
}
