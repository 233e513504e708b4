//! One owner: the process that holds the lock. The kernel frees it when the process dies, however it dies.
//!
//! The directory itself is locked, so that removing the lock file gives nobody a second lock; the file holds the owner's
//! name.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::{Duration, Instant};
use vm_contracts::{Failure, Fault, Refusal, RefusalKind};

/// Name of the lock file in the home.
pub const LOCK: &str = "lock";
const POLL: Duration = Duration::from_millis(20);

/// Held while this process owns a directory.
#[derive(Debug)]
pub struct Lock {
    directory: File,
    file: File,
}

impl Lock {
    /// Waits at most `wait` for the lock, then refuses with the owner's name.
    pub fn acquire(home: &Path, wait: Duration) -> Result<Self, Failure> {
        let lock = Self::acquire_unless(home, wait, &mut || false)?;
        Ok(lock.expect("nothing else was waited for"))
    }

    /// As [`acquire`](Self::acquire), and gives up without an error once `instead` finds another way: it is asked each
    /// time the lock is found held.
    pub fn acquire_unless(
        home: &Path,
        wait: Duration,
        instead: &mut dyn FnMut() -> bool,
    ) -> Result<Option<Self>, Failure> {
        let path = home.join(LOCK);
        let io = |e: std::io::Error| {
            let what = format!("cannot lock {}: {e}", path.display());
            Failure::Fault(
                Fault::new("lock_failed", what)
                    .hint("The home must be writable and its file system must know locks."),
            )
        };
        let directory = File::open(home).map_err(io)?;
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(io)?;
        let began = Instant::now();
        loop {
            match directory.try_lock().and_then(|()| file.try_lock()) {
                Ok(()) => break,
                Err(TryLockError::Error(e)) => return Err(io(e)),
                Err(TryLockError::WouldBlock) if instead() => return Ok(None),
                Err(TryLockError::WouldBlock) if began.elapsed() >= wait => {
                    return Err(busy(&mut file, home, wait).into());
                }
                Err(TryLockError::WouldBlock) => std::thread::sleep(POLL),
            }
        }
        let owner = format!("{} {}\n", std::process::id(), command());
        // The name only serves error messages of others; the lock holds without it.
        let _ = file
            .set_len(0)
            .and_then(|()| file.seek(SeekFrom::Start(0)))
            .and_then(|_| file.write_all(owner.as_bytes()));
        Ok(Some(Self { directory, file }))
    }
}

impl Drop for Lock {
    /// Lets go aloud: a child that was forked a moment ago may still hold a copy of the handles, and a lock that only
    /// falls with its last handle would outlive this one.
    fn drop(&mut self) {
        // What cannot be unlocked falls when the process ends.
        let _ = self.file.unlock().and_then(|()| self.directory.unlock());
    }
}

/// The program and its verb for the message, never a flag: a flag may carry a secret.
fn command() -> String {
    let words: Vec<String> = std::env::args().take(3).take_while(|w| !w.starts_with('-')).collect();
    words.join(" ").chars().filter(|c| !c.is_control()).take(120).collect()
}

fn busy(file: &mut File, home: &Path, wait: Duration) -> Refusal {
    let mut owner = String::new();
    let _ = file.read_to_string(&mut owner);
    let (pid, what) = owner.trim().split_once(' ').unwrap_or(("unknown", ""));
    let message = format!(
        "{} is owned by process {pid} ({what}); waited {} s for it",
        home.display(),
        wait.as_secs()
    );
    Refusal::new("home_busy", RefusalKind::Unavailable, message)
        .hint("Wait until it ends, or stop it; two processes never write one home.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_owner_is_refused_by_name_and_the_lock_falls_with_its_holder() {
        let home = tempfile::tempdir().unwrap();
        let first = Lock::acquire(home.path(), Duration::ZERO).unwrap();
        let refused = Lock::acquire(home.path(), Duration::ZERO).unwrap_err();
        assert_eq!(refused.code(), "home_busy");
        assert!(refused.to_string().contains(&std::process::id().to_string()), "{refused}");
        drop(first);
        Lock::acquire(home.path(), Duration::ZERO).unwrap();
    }

    #[test]
    fn whoever_finds_another_way_waits_no_longer() {
        let home = tempfile::tempdir().unwrap();
        let free = Lock::acquire_unless(home.path(), Duration::ZERO, &mut || true).unwrap();
        assert!(free.is_some(), "a free lock is taken without asking");
        let mut asked = 0;
        let mut third = || {
            asked += 1;
            asked == 3
        };
        let hour = Duration::from_secs(3_600);
        assert!(Lock::acquire_unless(home.path(), hour, &mut third).unwrap().is_none());
    }

    #[test]
    fn a_copy_of_the_handle_in_a_child_does_not_keep_a_lock_that_was_let_go() {
        let home = tempfile::tempdir().unwrap();
        let first = Lock::acquire(home.path(), Duration::ZERO).unwrap();
        let copies = [first.directory.try_clone().unwrap(), first.file.try_clone().unwrap()];
        drop(first);
        Lock::acquire(home.path(), Duration::ZERO).unwrap();
        drop(copies);
    }
}
