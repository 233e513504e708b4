//! Two lives of the same calls: one on an index that comes and goes, one in memory.

use crate::{any_call, empty, open, same};
use std::sync::Arc;
use vm_tests::world::{Dice, HandClock, seed};

#[test]
fn a_home_on_its_index_says_what_one_in_memory_says() {
    for round in 0..12 {
        let mut dice = Dice::of(seed(), &[1, round]);
        let few = [1, 3, 7];
        let after = few[dice.below(3)];
        let (shelved, plain) = (empty(), empty());
        let clock = Arc::new(HandClock::default());
        let mut one = open(&shelved, &clock, Some(after)).unwrap();
        let mut other = open(&plain, &clock, None).unwrap();
        for step in 0..60 {
            clock.pass(200);
            let calls: Vec<_> =
                (0..1 + dice.below(4)).map(|n| any_call(&mut dice, step * 4 + n)).collect();
            let answers = one.submit_all(calls.clone());
            assert_eq!(answers, other.submit_all(calls));
            match dice.below(7) {
                0 => {
                    one.flush().unwrap();
                    one = open(&shelved, &clock, Some(after)).unwrap();
                }
                1 => {
                    // As after a kill: nothing was written at the end.
                    drop(one);
                    one = open(&shelved, &clock, Some(after)).unwrap();
                    other.flush().unwrap();
                    other = open(&plain, &clock, None).unwrap();
                }
                2 => one.tick().unwrap(),
                3 if !one.writer().heads().is_empty() => {
                    let size = one.writer().heads()[0].size;
                    assert_eq!(one.writer().reindex("toy").unwrap(), size);
                }
                _ => {}
            }
            // Publishing follows the clock of each; the lines and roots are the same.
            if step % 5 == 0 {
                same(&one, &other, &mut dice, step * 4);
            }
        }
        assert_eq!(lines(&shelved), lines(&plain));
        assert!(shelved.home().contains_key(crate::INDEX));
    }
}

fn lines(fs: &vm_tests::memfs::MemoryFs) -> Vec<(String, Vec<u8>)> {
    fs.home().into_iter().filter(|(path, _)| path.starts_with("receipts/")).collect()
}
