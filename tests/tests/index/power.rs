//! Power that goes away while a batch is applied: the batch is in the index or it is not.

use crate::book::{answers, batch, open, reopened};
use std::sync::Arc;
use vm_ledger::fs::Fs;
use vm_ledger::index::path;
use vm_tests::crashfs::{BLOCK, CrashFs, Image, Trouble, crash_states};
use vm_tests::memfs::{Files, MemoryFs};
use vm_tests::world::Dice;

const LINES: u64 = 34;

fn said(image: Image) -> Result<String, String> {
    let fs: Arc<dyn Fs> = Arc::new(CrashFs::new(image, 1));
    reopened(&fs, LINES)
}

/// The images of applying a second batch, and the answers before and after.
fn applying() -> (Vec<Image>, [String; 2]) {
    let fs: Arc<dyn Fs> = Arc::new(CrashFs::new(Image::default(), 1));
    open(&fs).unwrap().apply(&batch(0..20)).unwrap();
    let before = reopened(&fs, LINES).unwrap();
    let image = settled(&fs, Image::default());
    let crash = Arc::new(CrashFs::new(image, 2).recording());
    let fs: Arc<dyn Fs> = crash.clone();
    open(&fs).unwrap().apply(&batch(20..LINES)).unwrap();
    let trail = crash.take_trail();
    let after = reopened(&fs, LINES).unwrap();
    assert_ne!(before, after);
    (trail, [before, after])
}

/// The file of an index, durably.
fn settled(fs: &Arc<dyn Fs>, mut image: Image) -> Image {
    let dirs = CrashFs::new(image, 1);
    dirs.create_dir("index").unwrap();
    dirs.sync_dir("").unwrap();
    image = dirs.image();
    image.plant(&path("till"), fs.read(&path("till")).unwrap());
    image
}

#[test]
fn a_batch_is_there_whole_or_not_at_all() {
    let (trail, [before, after]) = applying();
    let mut dice = Dice::new(3);
    let mut ends = [0, 0];
    for image in &trail {
        for state in crash_states(image, 24, &mut dice) {
            let said = said(state).unwrap_or_else(|why| panic!("made again without need: {why}"));
            assert!(said == before || said == after);
            ends[usize::from(said == after)] += 1;
        }
    }
    assert!(ends[0] > 20 && ends[1] > 0, "{ends:?}");
}

#[test]
fn what_the_disk_left_as_zeros_is_never_another_answer() {
    let (trail, [before, after]) = applying();
    let file = path("till");
    let mut named = 0;
    for two in trail.windows(2) {
        let (old, new) = (two[0].read(&file).unwrap(), two[1].read(&file).unwrap());
        let differs = |n: &usize| {
            let block = n * BLOCK..((n + 1) * BLOCK).min(new.len());
            old.get(block.clone()) != new.get(block)
        };
        for n in (0..new.len().div_ceil(BLOCK)).filter(differs).step_by(3) {
            let mut bytes = new.to_vec();
            let end = ((n + 1) * BLOCK).min(bytes.len());
            bytes[n * BLOCK..end].fill(0);
            let mut image = two[1].all_kept();
            image.plant(&file, bytes);
            match said(image) {
                Ok(said) => assert!(said == before || said == after),
                Err(_) => named += 1,
            }
        }
    }
    assert!(named > 0);
}

#[test]
fn a_new_index_that_never_got_on_the_disk_is_blank_or_made_again() {
    let crash = Arc::new(CrashFs::new(Image::default(), 5).recording());
    let fs: Arc<dyn Fs> = crash.clone();
    open(&fs).unwrap().apply(&batch(0..LINES)).unwrap();
    let whole = reopened(&fs, LINES).unwrap();
    let blank = {
        let fs: Arc<dyn Fs> = Arc::new(MemoryFs::with(Files::new()));
        reopened(&fs, LINES).unwrap()
    };
    let mut dice = Dice::new(4);
    for image in crash.take_trail() {
        for state in crash_states(&image, 12, &mut dice) {
            if let Ok(said) = said(state) {
                assert!(said == whole || said == blank);
            }
        }
    }
}

#[test]
fn a_failed_call_leaves_the_index_as_before_or_after() {
    let (trail, [before, after]) = applying();
    let start = &trail[0];
    let calls = {
        let crash = Arc::new(CrashFs::new(start.clone(), 2));
        let fs: Arc<dyn Fs> = crash.clone();
        crash.trouble(Trouble::default());
        open(&fs).unwrap().apply(&batch(20..LINES)).unwrap();
        crash.calls()
    };
    let mut failed = 0;
    for call in 0..calls {
        let crash = Arc::new(CrashFs::new(start.clone(), call));
        let fs: Arc<dyn Fs> = crash.clone();
        crash.trouble(Trouble { eio_at: Some(call), ..Trouble::default() });
        let applied = open(&fs).and_then(|index| {
            let applied = index.apply(&batch(20..LINES)).map_err(|e| e.message);
            failed += usize::from(applied.is_err());
            let read = index.snapshot().map_err(|e| e.message);
            if let Ok(said) = read.and_then(|snapshot| answers(&snapshot, LINES)) {
                assert!(said == before || said == after, "call {call}");
            }
            applied
        });
        crash.trouble(Trouble::default());
        for image in [crash.image(), crash.image().all_lost(), crash.image().all_kept()] {
            match said(image) {
                Ok(said) if applied.is_ok() => assert!(said == after, "call {call}"),
                Ok(said) => assert!(said == before || said == after, "call {call}"),
                Err(why) => assert!(applied.is_err(), "call {call}: {why}"),
            }
        }
    }
    assert!(failed > 5);
}

/// After a sync that failed, readers see what the disk never took. Whoever goes on from there must not let the disk
/// keep a header whose blocks are written over.
#[test]
fn going_on_after_a_failed_sync_is_safe_from_a_second_loss() {
    let (trail, [before, after]) = applying();
    let clean: Arc<dyn Fs> = Arc::new(CrashFs::new(trail[trail.len() - 1].clone(), 1));
    open(&clean).unwrap().apply(&batch(LINES..LINES + 20)).unwrap();
    let known = [before, after, reopened(&clean, LINES).unwrap()];
    let (mut dice, mut went_on) = (Dice::new(6), 0);
    for call in 0..40 {
        let crash = Arc::new(CrashFs::new(trail[0].clone(), call));
        let fs: Arc<dyn Fs> = crash.clone();
        crash.trouble(Trouble { eio_at: Some(call), ..Trouble::default() });
        if open(&fs).is_ok_and(|index| index.apply(&batch(20..LINES)).is_ok()) {
            continue;
        }
        let again = Arc::new(CrashFs::new(crash.image(), call).recording());
        let fs: Arc<dyn Fs> = again.clone();
        let Ok(index) = open(&fs) else { continue };
        let from = index.snapshot().unwrap().mark().size;
        if from == 20 {
            index.apply(&batch(20..LINES)).unwrap();
        }
        index.apply(&batch(LINES..LINES + 20)).unwrap();
        went_on += usize::from(from == LINES);
        for image in again.take_trail() {
            for state in crash_states(&image, 5, &mut dice) {
                if let Ok(said) = said(state) {
                    assert!(known.contains(&said), "call {call}");
                }
            }
        }
    }
    assert!(went_on > 0);
}
