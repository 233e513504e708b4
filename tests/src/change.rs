//! Small deterministic changes to bytes, as a fuzzer makes them.

use crate::world::Dice;

/// A copy with a few small changes, or with a part of another seed.
pub fn changed(bytes: &[u8], other: &[u8], dice: &mut Dice) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for _ in 0..=dice.below(3) {
        let place = dice.below(bytes.len() + 1);
        let byte = match dice.below(3) {
            0 => b"\n\0 \"\\{}[]+-/0129:=,azAZ\x7f\xff"[dice.below(25)],
            _ => dice.next() as u8,
        };
        match dice.below(8) {
            0 if place < bytes.len() => bytes[place] ^= 1 << dice.below(8),
            1 if place < bytes.len() => bytes[place] = byte,
            2 if place < bytes.len() => drop(bytes.remove(place)),
            3 => bytes.truncate(place),
            4 => {
                let to = (place + dice.below(40)).min(bytes.len());
                bytes.extend_from_within(place..to);
            }
            5 => {
                let from = dice.below(other.len() + 1);
                let to = (from + dice.below(40)).min(other.len());
                bytes.splice(place..place, other[from..to].iter().copied());
            }
            6 => {
                let to = (place + dice.below(40)).min(bytes.len());
                bytes.drain(place..to);
            }
            _ => bytes.insert(place, byte),
        }
    }
    bytes
}
