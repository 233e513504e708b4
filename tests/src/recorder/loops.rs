//! A real file system that fails: ext4 on a loop device whose file stands in a small tmpfs that is then filled.
//!
//! There fdatasync answers EIO once, the next one Ok, and the page cache goes on showing bytes that the disk never took;
//! only unmounting shows what is there. Needs root and loop devices.

use super::place::{HOME, Place, Said, words};
use crate::campaign::{Came, Row};
use crate::history;
use crate::scratch::Scratch;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

const TMPFS_MIB: u32 = 10;
const IMAGE_MIB: u64 = 64;
/// What is left for the calls that are to come through.
const ROOM_BYTES: u64 = 256 << 10;
/// More calls than fit.
const CALLS_MAX: usize = 4_000;
/// What the program writes that shall be caught.
const NAIVE_BYTES: usize = 64 << 10;

/// Mounts that are taken down when this is dropped, the last one first.
#[derive(Default)]
struct Mounts(Vec<PathBuf>);

impl Mounts {
    fn up(&mut self, words: &[&str], at: &Path) -> Result<(), String> {
        fs::create_dir_all(at).map_err(|e| e.to_string())?;
        call("mount", words, Some(at))?;
        self.0.push(at.to_owned());
        Ok(())
    }

    fn down(&mut self) -> Result<(), String> {
        match self.0.pop() {
            Some(at) => call("umount", &[], Some(&at)),
            None => Ok(()),
        }
    }
}

impl Drop for Mounts {
    fn drop(&mut self) {
        while !self.0.is_empty() {
            // A mount that stays is all that can be left to the machine's owner.
            let _ = self.down();
        }
    }
}

fn call(program: &str, words: &[&str], last: Option<&Path>) -> Result<(), String> {
    let mut command = Command::new(program);
    command.args(words).args(last);
    let output = command.output().map_err(|e| format!("{program}: {e}"))?;
    match output.status.success() {
        true => Ok(()),
        false => Err(format!("{program}: {}", String::from_utf8_lossy(&output.stderr).trim())),
    }
}

/// Fills the disk below a home while it is being written, then looks at what the disk holds.
pub fn full_backing_store(vm: &Path) -> Row {
    let began = Instant::now();
    let row = Row::new(
        "EIO of a real file system (ext4 on a loop device over a full tmpfs), then unmounted",
        super::campaign::HOW,
    );
    match campaign(vm) {
        Ok(Ok((calls, lied, why))) => row
            .counted(calls, "acknowledged calls")
            .bugs(u64::from(lied), 1)
            .since(began)
            .came(why.map_or(Came::Passed, Came::Failed)),
        Ok(Err(missing)) => row.since(began).came(Came::CannotEvaluate(missing)),
        Err(wrong) => row.since(began).came(Came::Failed(wrong)),
    }
}

/// Acknowledged calls, whether the naive program was caught, and what is wrong; or what is missing here.
type Evaluated = Result<(u64, bool, Option<String>), String>;

fn campaign(vm: &Path) -> Result<Evaluated, String> {
    let scratch = Scratch::new().map_err(|e| e.to_string())?;
    let (memory, disk) = (scratch.path().join("memory"), scratch.path().join("disk"));
    let (mut mounts, image) = (Mounts::default(), memory.join("image"));
    if let Err(missing) = set_up(&mut mounts, &memory, &image, &disk) {
        return Ok(Err(missing));
    }
    let place = Place::new(&disk.join("p"));
    fs::create_dir_all(&place.root).map_err(|e| e.to_string())?;
    let run = |line: &str| place.vm(vm, &words(line));
    for line in [
        "init --guard @root/guard --domain test --node loop",
        "treasury account-open --account assets:bank --asset EUR --class asset --id id-bank --json",
        "treasury account-open --account income:dues --asset EUR --class income --id id-dues --json",
    ] {
        let said = run(line)?;
        if said.code != 0 {
            return Err(format!("{line} came to {said:?}"));
        }
    }
    let _ = call("sync", &["-f"], Some(&disk));
    // Whatever still fits in memory is taken away; the file system of the home believes it has room.
    let filler = memory.join("filler");
    let mut file = fs::File::create(&filler).map_err(|e| e.to_string())?;
    let block = [b'x'; 4096];
    while std::io::Write::write_all(&mut file, &block).is_ok() {}
    let filled = file.metadata().map_err(|e| e.to_string())?.len();
    file.set_len(filled.saturating_sub(ROOM_BYTES)).map_err(|e| e.to_string())?;
    let (acknowledged, failed) = until_it_fails(&run)?;
    let told =
        failed.clone().unwrap_or_else(|| Said { code: 0, out: String::new(), err: String::new() });
    let naive = naive(&disk.join("naive"));
    drop(file);
    fs::remove_file(&filler).map_err(|e| e.to_string())?;
    mounts.down()?;
    mounts.up(&["-o", "loop", &image.display().to_string()], &disk)?;
    let status = place.vm(vm, &words("status --json"))?;
    let kept = after(&place, &acknowledged, &status);
    let lied = naive && fs::read(disk.join("naive")).unwrap_or_default() != [b'y'; NAIVE_BYTES];
    mounts.down()?;
    let wrong = match (failed, kept) {
        (None, _) => return Ok(Err("the file system never failed".into())),
        (_, Err(wrong)) => Some(format!("{wrong}; the failing call had said {:.300}", told.err)),
        (Some(said), _) if said.code != 5 && said.code != 1 && said.code != 4 => {
            Some(format!("it ended badly: {said:?}"))
        }
        _ => None,
    };
    Ok(Ok((acknowledged.len() as u64, lied, wrong)))
}

/// A program that asks for a sync once more when it failed, and believes the second answer; whether it was told Ok.
/// That it loses what it believed shows that this disk does what it is here for.
fn naive(path: &Path) -> bool {
    let write = || -> std::io::Result<()> {
        let mut file = fs::File::create(path)?;
        std::io::Write::write_all(&mut file, &[b'y'; NAIVE_BYTES])?;
        file.sync_data().or_else(|_| file.sync_data())
    };
    write().is_ok()
}

fn set_up(mounts: &mut Mounts, memory: &Path, image: &Path, disk: &Path) -> Result<(), String> {
    mounts.up(&["-t", "tmpfs", "-o", &format!("size={TMPFS_MIB}m"), "none"], memory)?;
    let file = fs::File::create(image).map_err(|e| e.to_string())?;
    file.set_len(IMAGE_MIB << 20).map_err(|e| e.to_string())?;
    // Without a journal the file system stays writable, so that a retry could lie.
    call("mkfs.ext4", &["-q", "-O", "^has_journal", "-E", "nodiscard"], Some(image))?;
    mounts.up(&["-o", "loop", &image.display().to_string()], disk)
}

/// Makes calls until one fails, then asks for the failed one again a few times; gives the acknowledged ids.
fn until_it_fails(
    run: &impl Fn(&str) -> Result<Said, String>,
) -> Result<(Vec<String>, Option<Said>), String> {
    let (mut acknowledged, memo) = (Vec::new(), "x".repeat(400));
    for n in 0..CALLS_MAX {
        let id = format!("id-{n:04}");
        let line = format!(
            "treasury transfer --debit assets:bank --credit income:dues --asset EUR --amount 1.00 --memo {memo} --id {id} --json"
        );
        let said = run(&line)?;
        if said.code == 0 {
            acknowledged.push(id);
            continue;
        }
        // What is answered now from the page cache may not be on the disk.
        for _ in 0..3 {
            if run(&line)?.code == 0 && !acknowledged.contains(&id) {
                acknowledged.push(id.clone());
            }
        }
        return Ok((acknowledged, Some(said)));
    }
    Ok((acknowledged, None))
}

fn after(place: &Place, acknowledged: &[String], status: &Said) -> Result<(), String> {
    if status.code != 0 {
        return Err(format!("it does not open afterwards: {status:?}"));
    }
    let groups = history::groups(&history::read(&place.root.join(HOME))?)?;
    let lost: Vec<&String> =
        acknowledged.iter().filter(|id| !groups.iter().any(|g| g.id == **id)).collect();
    match lost.is_empty() {
        true => Ok(()),
        false => Err(format!("acknowledged and lost: {lost:?}")),
    }
}
