//! What a caller sees when the disk fails or is full.

use crate::flow::open;
use std::sync::Arc;
use vm_contracts::Failure;
use vm_ledger::Ledger;
use vm_ledger::fs::Fs;
use vm_tests::crashfs::{CrashFs, Image, Trouble};
use vm_tests::world::{lay_out, many, note};

const FILE: u64 = 1 << 16;

fn home() -> (Arc<CrashFs>, Ledger) {
    let fs = Arc::new(CrashFs::new(Image::default(), 5));
    lay_out(&*fs);
    let ledger = Ledger::new(open(fs.clone(), FILE, Arc::default()).unwrap());
    ledger.submit(note("first", "there")).unwrap();
    ledger.flush().unwrap();
    (fs, ledger)
}

fn reopened(fs: &Arc<CrashFs>) -> Ledger {
    Ledger::new(open(fs.clone(), FILE, Arc::default()).unwrap())
}

#[test]
fn a_failed_sync_stops_the_writer_and_the_next_open_decides() {
    for seed in 0..32 {
        let (fs, ledger) = home();
        let kept = ledger.submit(note("kept", "acknowledged")).unwrap();
        let fs_before = CrashFs::new(fs.image(), seed);
        drop((fs, ledger));
        let fs = Arc::new(fs_before);
        let ledger = reopened(&fs);
        // The append is call 0, its sync call 1.
        fs.trouble(Trouble { eio_at: Some(1), ..Trouble::default() });
        let lost = ledger.submit(note("lost", "not confirmed")).unwrap_err();
        assert!(matches!(lost, Failure::Lost(_)), "{lost:?}");
        assert_eq!(lost.code(), "write_unconfirmed");
        assert!(lost.retryable());
        let calls = fs.calls();
        for id in ["lost", "kept", "other"] {
            let refused = ledger.submit(note(id, "again")).unwrap_err();
            assert!(
                matches!(refused, Failure::Lost(_)),
                "a stopped ledger answers nothing: {refused:?}"
            );
        }
        ledger.flush().unwrap();
        assert_eq!(fs.calls(), calls, "a stopped ledger touches nothing, and never syncs again");
        let dropped = fs.image().all_kept();
        for image in [fs.image(), dropped] {
            let fs = Arc::new(CrashFs::new(image, seed));
            let ledger = reopened(&fs);
            let again = ledger.submit(note("kept", "acknowledged")).unwrap();
            assert_eq!((again.lines, again.existing), (kept.lines.clone(), true));
            let retried = ledger.submit(note("lost", "not confirmed")).unwrap();
            // Power fails at once: what the retry was told must hold, whether it was found or written now.
            let fs = Arc::new(CrashFs::new(fs.image().all_lost(), seed));
            let ledger = reopened(&fs);
            let last = ledger.submit(note("lost", "not confirmed")).unwrap();
            assert_eq!((last.lines, last.existing), (retried.lines, true));
        }
    }
}

#[test]
fn a_failed_sync_of_signed_state_stops_the_writer_after_the_answer_has_left() {
    let (fs, ledger) = home();
    let kept = ledger.submit(note("kept", "acknowledged")).unwrap();
    fs.trouble(Trouble { eio_at: Some(1), ..Trouble::default() });
    let stopped = ledger.flush().unwrap_err();
    assert!(matches!(stopped, Failure::Lost(_)), "{stopped:?}");
    assert!(matches!(ledger.submit(note("next", "x")).unwrap_err(), Failure::Lost(_)));
    let fs = Arc::new(CrashFs::new(fs.image().all_lost(), 1));
    assert_eq!(reopened(&fs).submit(note("kept", "acknowledged")).unwrap().lines, kept.lines);
}

#[test]
fn a_full_disk_refuses_takes_the_batch_back_and_works_again_with_space() {
    let (fs, ledger) = home();
    let kept = ledger.submit(note("kept", "acknowledged")).unwrap();
    let lines = fs.read("receipts/toy/00000000000000000000.jsonl").unwrap();
    fs.trouble(Trouble { full_from: Some(0), room: 900, ..Trouble::default() });
    let refused = ledger.submit(many("big", "no room for this", 3)).unwrap_err();
    assert!(
        matches!(refused, Failure::Refusal(_)),
        "nothing happened, and it is said so: {refused:?}"
    );
    assert_eq!(refused.code(), "no_space");
    assert!(refused.hint().is_some());
    assert_eq!(fs.read("receipts/toy/00000000000000000000.jsonl").unwrap(), lines, "cut back");
    assert_eq!(ledger.submit(note("next", "x")).unwrap_err().code(), "no_space");
    // The reserve was freed, so signed-state and ROOT can still be written, and everything can be read.
    ledger.flush().unwrap();
    assert_eq!(ledger.find("toy", "kept").unwrap(), Some((kept.first, 1)));
    assert_eq!(ledger.find("toy", "big").unwrap(), None);
    fs.trouble(Trouble::default());
    let ledger = reopened(&fs);
    assert_eq!(ledger.submit(note("kept", "acknowledged")).unwrap().lines, kept.lines);
    assert!(!ledger.submit(many("big", "no room for this", 3)).unwrap().existing);
}
