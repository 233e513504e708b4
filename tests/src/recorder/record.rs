//! Running the built program under strace, and keeping what it asked of the disk.

use super::flow::Flow;
use super::place::{HOME, Place, Said};
use super::replay::Replay;
use super::trace::{self, CALLS, Op};
use crate::crashfs::Image;
use crate::history::{self, Group};
use crate::scratch::Scratch;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

const STRACE: &str = "/usr/bin/strace";
/// Longest string that strace shows whole; longer ones are noticed.
const STRING_BYTES_MAX: &str = "16777216";

/// Whether strace is here and may trace.
pub fn can_trace() -> bool {
    let probe =
        Command::new(STRACE).args(["-qq", "-o", "/dev/null", "-e", "trace=mkdir", "true"]).output();
    probe.is_ok_and(|output| output.status.success())
}

/// Runs a command of the built program with these arguments of strace, and gives the trace too.
///
/// # Errors
/// Nothing could be started or read.
pub fn traced(
    place: &Place,
    vm: &Path,
    words: &[String],
    extra: &[String],
) -> Result<(Said, String), String> {
    let file = place.root.with_extension("trace");
    let mut command = place.command(Path::new(STRACE));
    command.args(["-f", "-y", "-xx", "-s", STRING_BYTES_MAX, "-o"]).arg(&file);
    command.args(extra).arg(vm).args(place.words(words));
    let output = command.output().map_err(|e| format!("cannot start strace: {e}"))?;
    let text = std::fs::read_to_string(&file).map_err(|e| format!("cannot read the trace: {e}"))?;
    // It stands beside the root and would outlive it.
    let _ = std::fs::remove_file(&file);
    Ok((Said::of(output), text))
}

/// Arguments of strace that record everything of interest.
pub fn recording() -> Vec<String> {
    vec!["-e".into(), format!("trace={CALLS}")]
}

/// One command, recorded.
#[derive(Clone, Debug)]
pub struct Take {
    /// Its words.
    pub words: Vec<String>,
    /// What it asked of the disk, and what it said.
    pub ops: Vec<Op>,
    /// What it came to.
    pub said: Said,
    /// Groups of lines that its answer speaks of: what it has promised once it has said so.
    pub promised: Vec<Group>,
}

impl Take {
    /// The first operation that acknowledges something.
    pub fn acknowledged_at(&self) -> Option<usize> {
        self.ops.iter().position(|op| self.acknowledges(op))
    }

    /// Whether this operation tells the world that the command is done, or shows a receipt of it.
    pub fn acknowledges(&self, op: &Op) -> bool {
        let Op::Say(bytes) = op else { return false };
        let text = String::from_utf8_lossy(bytes);
        // A command without a receipt of its own, such as a stage, has said so with its last word.
        self.said.code == 0
            && (self.promised.is_empty() || self.promised.iter().any(|g| text.contains(&g.id)))
    }
}

/// A flow, recorded.
pub struct Recorded {
    /// The root it ran under.
    pub root: PathBuf,
    /// Everything before the first command.
    pub base: Image,
    /// The commands.
    pub takes: Vec<Take>,
    /// Everything after each command, all of it kept; first of all before the first.
    pub after: Vec<Image>,
}

/// Runs a flow and records each command.
///
/// # Errors
/// A command fails, the trace cannot be read, or the replayed file system differs from the real one: then the model
/// has missed something, and what it says of crashes would be worth nothing.
pub fn record(flow: &Flow, vm: &Path) -> Result<Recorded, String> {
    let scratch = Scratch::new().map_err(|e| e.to_string())?;
    let place = Place::new(scratch.path());
    prepare(flow, &place)?;
    let mut recorder = Recorder::new(&place, vm, 1)?;
    for step in &flow.steps {
        let said = recorder.run(&step.words, &recording())?;
        if said.code != 0 {
            return Err(format!("{}: {:?} came to {said:?}", flow.name, step.words));
        }
    }
    Ok(recorder.recorded)
}

/// Lays the files of a flow down and runs what comes before it.
///
/// # Errors
/// Something fails.
pub fn prepare(flow: &Flow, place: &Place) -> Result<(), String> {
    for (name, bytes) in &flow.files {
        std::fs::write(place.root.join(name), bytes).map_err(|e| format!("{name}: {e}"))?;
    }
    for words in &flow.before {
        let said = place.here(&words.words);
        if said.code != 0 {
            return Err(format!("{}: {:?} came to {said:?}", flow.name, words.words));
        }
        if let Some(file) = &words.into {
            std::fs::write(place.root.join(file), &said.out).map_err(|e| format!("{file}: {e}"))?;
        }
    }
    Ok(())
}

/// Records one command after another in one place.
pub struct Recorder<'a> {
    place: &'a Place,
    vm: &'a Path,
    replay: Replay,
    /// What was recorded so far.
    pub recorded: Recorded,
}

impl<'a> Recorder<'a> {
    /// Begins with what is there.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn new(place: &'a Place, vm: &'a Path, seed: u64) -> Result<Self, String> {
        let base =
            place.image().map_err(|e| format!("cannot read {}: {e}", place.root.display()))?;
        let recorded = Recorded {
            root: place.root.clone(),
            base: base.clone(),
            takes: Vec::new(),
            after: vec![base.clone()],
        };
        Ok(Self { place, vm, replay: Replay::new(base, seed), recorded })
    }

    /// Runs and records one command.
    ///
    /// # Errors
    /// As [`record`]; a command that fails is none.
    pub fn run(&mut self, words: &[String], strace: &[String]) -> Result<Said, String> {
        let (said, text) = traced(self.place, self.vm, words, strace)?;
        let ops = trace::read(&text, &self.place.root)?;
        ops.iter().try_for_each(|op| self.replay.apply(op))?;
        let image = self.replay.image();
        self.same_as_real(&image)?;
        let promised = promised(&image, &said)?;
        self.recorded.takes.push(Take { words: words.to_vec(), ops, said: said.clone(), promised });
        self.recorded.after.push(image);
        Ok(said)
    }

    fn same_as_real(&self, image: &Image) -> Result<(), String> {
        let real = self.place.image().map_err(|e| e.to_string())?;
        let seen = |image: &Image| -> BTreeMap<String, Option<Vec<u8>>> {
            let files = image.paths().map(|p| (p.to_owned(), image.read(p).map(|b| b.to_vec())));
            files.chain(image.directories().map(|p| (p.to_owned(), None))).collect()
        };
        let (real, model) = (seen(&real), seen(image));
        let paths: BTreeSet<&String> = real.keys().chain(model.keys()).collect();
        match paths.into_iter().find(|path| real.get(*path) != model.get(*path)) {
            Some(path) => {
                Err(format!("the replayed {path} is not what is there: a call was missed"))
            }
            None => Ok(()),
        }
    }
}

/// Groups of lines that an answer speaks of.
fn promised(image: &Image, said: &Said) -> Result<Vec<Group>, String> {
    if said.code != 0 {
        return Ok(Vec::new());
    }
    let groups = history::groups(&lines_of(image))?;
    // Ids of tests are words that stand nowhere else.
    Ok(groups.into_iter().filter(|g| g.id != "genesis" && said.out.contains(&g.id)).collect())
}

/// Receipt files of an image: scroll and bytes, in order.
pub fn lines_of(image: &Image) -> BTreeMap<String, Vec<u8>> {
    let mut scrolls: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    let start = format!("{HOME}/receipts/");
    for path in image.paths().filter(|p| p.ends_with(".jsonl")) {
        if let Some((scroll, _)) = path.strip_prefix(&start).and_then(|rest| rest.split_once('/')) {
            let bytes = image.read(path).unwrap_or_default();
            scrolls.entry(scroll.to_owned()).or_default().extend_from_slice(&bytes);
        }
    }
    scrolls
}
