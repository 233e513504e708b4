//! What was in a file before an agent edits it, kept from the event before the edit to the one after it.
//!
//! Each file of `before/` in the home holds one digest, as a receipt would; its name is a digest of session and call.
//! It is no evidence: where it is lost, a receipt says nothing about what was there before.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;
use vm_receipts::Blake3;

/// Directory in the home.
pub const DIRECTORY: &str = "before";
/// Most that wait; of calls that never came to their end.
const WAITING_MAX: usize = 4_096;
/// How many of the oldest go where there is no room: not one at a time, so that they are not listed each time.
const GOING: usize = 256;

/// Where digests wait.
pub struct Before {
    directory: PathBuf,
}

/// A call by session and id.
pub type Act = (String, String);

impl Before {
    /// Those of a home.
    pub fn of(home: &Path) -> Self {
        Self { directory: home.join(DIRECTORY) }
    }

    /// Keeps a digest. One that cannot be kept is not.
    pub fn keep(&self, act: &Act, digest: &str) {
        let _ = self.write(act, digest);
    }

    fn write(&self, act: &Act, digest: &str) -> io::Result<()> {
        match DirBuilder::new().mode(0o700).create(&self.directory) {
            Err(e) if e.kind() != io::ErrorKind::AlreadyExists => return Err(e),
            _ => {}
        }
        self.make_room(WAITING_MAX, GOING)?;
        let mut options = OpenOptions::new();
        let mut file =
            options.write(true).create(true).truncate(true).mode(0o600).open(self.path(act))?;
        file.write_all(digest.as_bytes())
    }

    /// Lets the oldest go where too many wait: those that came last are of calls that still run.
    fn make_room(&self, most: usize, going: usize) -> io::Result<()> {
        if fs::read_dir(&self.directory)?.count() < most {
            return Ok(());
        }
        let mut all: Vec<(SystemTime, PathBuf)> = fs::read_dir(&self.directory)?
            .filter_map(|entry| {
                let entry = entry.ok()?;
                Some((entry.metadata().ok()?.modified().ok()?, entry.path()))
            })
            .collect();
        all.sort();
        for (_, path) in all.iter().take(going) {
            // Another process may have been faster.
            let _ = fs::remove_file(path);
        }
        Ok(())
    }

    /// The digest of a call, if one waits and reads.
    pub fn find(&self, act: &Act) -> Option<String> {
        let text = fs::read_to_string(self.path(act)).ok()?;
        (text == "absent" || vm_console::keyed::is_content(&text)).then_some(text)
    }

    /// The id that a call without one was given when it began.
    pub fn id(&self, act: &Act) -> Option<String> {
        let text = fs::read_to_string(self.path(act)).ok()?;
        vm_console::keyed::is_plain_id(&text).then_some(text)
    }

    /// Nothing waits for these calls any more.
    pub fn settle(&self, acts: &[Act]) {
        for act in acts {
            // It may never have been there.
            let _ = fs::remove_file(self.path(act));
        }
    }

    /// Ids hold no NUL, so no two calls share a name.
    fn path(&self, (session, call): &Act) -> PathBuf {
        let named = [session.as_bytes(), &[0], call.as_bytes()].concat();
        let digest = Blake3::of(&named).to_string();
        self.directory.join(digest.rsplit(':').next().unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::FileTimes;
    use std::time::Duration;

    fn act(session: &str, call: &str) -> Act {
        (session.to_owned(), call.to_owned())
    }

    #[test]
    fn calls_whose_ids_run_together_alike_are_kept_apart() {
        let home = tempfile::tempdir().unwrap();
        let before = Before::of(home.path());
        before.keep(&act("a.b", "c"), "absent");
        assert_eq!(before.find(&act("a", "b.c")), None);
        assert_eq!(before.find(&act("a.b", "c")).as_deref(), Some("absent"));
    }

    #[test]
    fn where_there_is_no_room_the_oldest_go() {
        let home = tempfile::tempdir().unwrap();
        let before = Before::of(home.path());
        for n in 0..4_u64 {
            let act = act("s", &n.to_string());
            before.keep(&act, "absent");
            let at = SystemTime::UNIX_EPOCH + Duration::from_secs(100 - n);
            let file = fs::File::options().write(true).open(before.path(&act)).unwrap();
            file.set_times(FileTimes::new().set_modified(at)).unwrap();
        }
        before.make_room(5, 2).unwrap();
        assert_eq!(fs::read_dir(&before.directory).unwrap().count(), 4);
        before.make_room(4, 2).unwrap();
        let left: Vec<bool> =
            (0..4).map(|n: u64| before.find(&act("s", &n.to_string())).is_some()).collect();
        assert_eq!(left, [true, true, false, false]);
    }
}
