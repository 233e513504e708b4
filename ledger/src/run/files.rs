//! The folder of one run, through the [`Fs`] trait.

use crate::fs::{Fs, make_dir, parent, replace};
use std::io::{self, Read};
use vm_contracts::contract::{DOCUMENT_BYTES_MAX, OUTPUT_BYTES_MAX, OUTPUTS};
use vm_contracts::{
    Contract, Corrupt, Failure, Fault, Output, Refusal, RefusalKind, RunState, StageState, Status,
};
use vm_receipts::digest::{Blake3, Sha256};
use vm_receipts::{case, json, private};

/// Contract of a run or case.
pub const CONTRACT: &str = "contract.json";
/// State of a run or case.
pub const STATE: &str = "state.json";
/// What an executor leaves before its first effect.
pub const CLAIM: &str = "claim.1";
/// Bytes read at a time.
const CHUNK: usize = 1 << 20;

/// `runs/<scroll>/<id>`.
pub fn run_dir(scroll: &str, id: &str) -> String {
    format!("runs/{scroll}/{id}")
}

/// `cases/<scroll>/<id>`.
pub fn case_dir(scroll: &str, id: &str) -> String {
    format!("cases/{scroll}/{id}")
}

/// A run's folder, or a case's: the same files under another name.
#[derive(Clone, Copy)]
pub struct RunFolder<'a> {
    fs: &'a dyn Fs,
    dir: &'a str,
}

/// What could not be done with a file of a run: a fault, because nothing acknowledged depends on it.
pub(crate) fn fault(verb: &str, path: &str, e: &io::Error) -> Failure {
    Fault::new("run_files", format!("cannot {verb} {path}: {e}"))
        .hint("Nothing acknowledged was lost. Look at the disk, then run the command again.")
        .into()
}

impl<'a> RunFolder<'a> {
    /// The folder at this path, whether it is there or not.
    pub fn new(fs: &'a dyn Fs, dir: &'a str) -> Self {
        Self { fs, dir }
    }

    /// Path of a file in it.
    pub fn path(&self, name: &str) -> String {
        format!("{}/{name}", self.dir)
    }

    /// Makes the folder and its `outputs/`; their names are durable.
    pub fn make(&self) -> Result<(), Failure> {
        let up = parent(self.dir);
        for dir in [parent(up), up, self.dir, &self.path(OUTPUTS)] {
            make_dir(self.fs, dir).map_err(|e| fault("make", dir, &e))?;
        }
        Ok(())
    }

    /// Whether the run was opened: contract.json is written last.
    pub fn is_open(&self) -> Result<bool, Failure> {
        let path = self.path(CONTRACT);
        Ok(self.fs.len(&path).map_err(|e| fault("look at", &path, &e))?.is_some())
    }

    /// Whether nothing has happened in a folder without a contract: what a process leaves that dies while it opens a run.
    pub fn is_untouched(&self) -> Result<bool, Failure> {
        let fresh = match self.regular(STATE)? {
            None => true,
            Some(_) => match self.state() {
                Ok(s) => {
                    let waits = |s: &StageState| s.status == Status::Pending;
                    s.stages.iter().all(waits)
                        && s.all_outputs().next().is_none()
                        && s.fault.is_none()
                        && s.outcome.is_none()
                }
                Err(Failure::Corrupt(_)) => false,
                Err(failure) => return Err(failure),
            },
        };
        Ok(fresh && self.regular(CLAIM)?.is_none() && self.listed()?.is_empty())
    }

    /// Makes sure `outputs/` is there: copies of a home lose empty folders.
    pub fn keep_outputs(&self) -> Result<(), Failure> {
        let dir = self.path(OUTPUTS);
        make_dir(self.fs, &dir).map_err(|e| fault("make", &dir, &e))
    }

    /// Replaces contract.json or state.json, durably.
    pub fn put(&self, name: &str, bytes: &[u8]) -> Result<(), Failure> {
        if bytes.len() > DOCUMENT_BYTES_MAX {
            let what = format!(
                "{name} would have {} bytes; the limit is {DOCUMENT_BYTES_MAX}",
                bytes.len()
            );
            return Err(Refusal::new("too_large", RefusalKind::TooLarge, what).into());
        }
        let path = self.path(name);
        replace(self.fs, &path, bytes).map_err(|e| fault("write", &path, &e))
    }

    /// contract.json and its digest.
    pub fn contract(&self) -> Result<(Contract, Blake3), Failure> {
        let bytes = self.document(CONTRACT)?;
        Ok((self.read(CONTRACT, &bytes)?, Blake3::of(&bytes)))
    }

    /// state.json.
    pub fn state(&self) -> Result<RunState, Failure> {
        let bytes = self.document(STATE)?;
        self.read(STATE, &bytes)
    }

    fn document(&self, name: &str) -> Result<Vec<u8>, Failure> {
        let path = self.path(name);
        match self.regular(name)? {
            Some(len) if len <= DOCUMENT_BYTES_MAX as u64 => {
                self.fs.read(&path).map_err(|e| fault("read", &path, &e))
            }
            Some(len) => Err(self.damaged(
                name,
                0,
                format!("it has {len} bytes; the limit is {DOCUMENT_BYTES_MAX}"),
            )),
            None => Err(self.damaged(name, 0, "it is not there".into())),
        }
    }

    fn read<T: serde::de::DeserializeOwned>(&self, name: &str, bytes: &[u8]) -> Result<T, Failure> {
        let value = json::parse(bytes.strip_suffix(b"\n").unwrap_or(bytes))
            .map_err(|e| self.damaged(name, e.at, e.to_string()))?;
        serde_json::from_value(value).map_err(|e| self.damaged(name, 0, e.to_string()))
    }

    fn damaged(&self, name: &str, byte: usize, claim: String) -> Failure {
        Failure::Corrupt(Corrupt {
            file: self.path(name),
            line: None,
            byte: Some(byte as u64),
            claim,
            hint: Some("The run is not sealed and no receipt depends on this file. Put it back, or abort the run.".into()),
        })
    }

    /// Length of a regular file that stands in the folder itself, or `None` where there is none.
    pub fn regular(&self, name: &str) -> Result<Option<u64>, Failure> {
        let path = self.path(name);
        self.fs.regular(&path).map_err(|e| match e.kind() {
            io::ErrorKind::InvalidInput => Failure::Refusal(
                Refusal::new("not_a_plain_file", RefusalKind::Conflict, format!("{path}: {e}"))
                    .hint(
                        "Links, pipes and folders cannot be evidence; copy the file itself there.",
                    ),
            ),
            _ => fault("look at", &path, &e),
        })
    }

    /// Names in `outputs/`, sorted.
    pub fn listed(&self) -> Result<Vec<String>, Failure> {
        let path = self.path(OUTPUTS);
        self.fs.list(&path).map_err(|e| fault("list", &path, &e))
    }

    /// Size and digests of a file as it stands, read in pieces; `None` where it is not there.
    pub fn measure(&self, name: &str) -> Result<Option<Output>, Failure> {
        match self.regular(name)? {
            Some(_) => self.measure_io(name).map_err(|e| fault("read", &self.path(name), &e)),
            None => Ok(None),
        }
    }

    /// The same for those who only look, with the disk's own error.
    pub(crate) fn measure_io(&self, name: &str) -> io::Result<Option<Output>> {
        let path = self.path(name);
        let Some(size) = self.fs.regular(&path)? else { return Ok(None) };
        let mut sums = Sums::default();
        while sums.size < size {
            let piece = self.fs.read_at(&path, sums.size, CHUNK)?;
            if piece.is_empty() {
                break;
            }
            sums.add(&piece);
        }
        Ok(Some(sums.output(name)))
    }

    /// Copies a source into `outputs/`, durably; a file of that name must not be there.
    ///
    /// What was written of it before an error is taken away again, so that a full disk has its space back.
    pub fn take(&self, name: &str, source: &mut dyn Read) -> Result<Output, Failure> {
        let taken = self.copy_in(name, source);
        if taken.is_err() {
            // The error told is the first one; a file that stays is named when the run is sealed.
            let _ = self.fs.remove(&self.path(&format!("{OUTPUTS}/{name}")));
        }
        taken
    }

    fn copy_in(&self, name: &str, source: &mut dyn Read) -> Result<Output, Failure> {
        let inside = format!("{OUTPUTS}/{name}");
        let path = self.path(&inside);
        let mut sums = Sums::default();
        let mut piece = vec![0u8; CHUNK];
        loop {
            let read =
                source.read(&mut piece).map_err(|e| fault("read the source of", &path, &e))?;
            if read == 0 && sums.size > 0 {
                break;
            }
            if sums.size + read as u64 > OUTPUT_BYTES_MAX {
                let what = format!("{name} has more than {OUTPUT_BYTES_MAX} bytes");
                return Err(Refusal::new("too_large", RefusalKind::TooLarge, what)
                    .field("outputs")
                    .into());
            }
            let bytes = &piece[..read];
            self.fs.append(&path, sums.size, bytes).map_err(|e| fault("write", &path, &e))?;
            sums.add(bytes);
            if read == 0 {
                break;
            }
        }
        self.fs.sync(&path).map_err(|e| fault("sync", &path, &e))?;
        let dir = self.path(OUTPUTS);
        self.fs.sync_dir(&dir).map_err(|e| fault("sync", &dir, &e))?;
        Ok(sums.output(&inside))
    }

    /// Replaces a file by a durable copy of what readers see of it.
    pub fn renew(&self, name: &str) -> Result<(), Failure> {
        let Some(size) = self.regular(name)? else { return Ok(()) };
        let (path, copy) = (self.path(name), self.path("leftover.tmp"));
        let copied = || {
            self.fs.write(&copy, &[])?;
            let mut at = 0;
            while at < size {
                let piece = self.fs.read_at(&path, at, CHUNK)?;
                if piece.is_empty() {
                    break;
                }
                self.fs.append(&copy, at, &piece)?;
                at += piece.len() as u64;
            }
            self.fs.sync(&copy)?;
            self.fs.rename(&copy, &path)?;
            self.fs.sync_dir(parent(&path))?;
            self.fs.sync_dir(self.dir)
        };
        copied().map_err(|e| fault("copy", &path, &e))
    }

    /// Digests of private values that stand in the documents and stubs of a run or case.
    pub(crate) fn digests(&self, contract: &Contract, state: &RunState) -> Vec<String> {
        let mut found = private::digests(&contract.intent);
        let value = serde_json::to_value(state).unwrap_or_default();
        found.extend(value.as_object().map(private::digests).unwrap_or_default());
        found.extend(self.stub_digests(state));
        found
    }

    /// Digests in the stubs of private outputs. A stub that is gone, or is none any more, stands for nothing.
    pub(crate) fn stub_digests(&self, state: &RunState) -> Vec<String> {
        let stubs = state.all_outputs().filter(|o| case::is_stub_path(&o.path));
        stubs
            .filter_map(|o| case::parse_stub(&self.fs.read(&self.path(&o.path)).ok()?).ok())
            .collect()
    }

    /// Removes a file of the folder; absent is fine.
    pub fn remove(&self, name: &str) -> Result<(), Failure> {
        let path = self.path(name);
        self.fs.remove(&path).map_err(|e| fault("remove", &path, &e))
    }
}

/// Both digests of a file, taken piece by piece.
#[derive(Default)]
pub(crate) struct Sums {
    blake3: blake3::Hasher,
    sha256: sha2::Sha256,
    size: u64,
}

impl Sums {
    pub fn add(&mut self, bytes: &[u8]) {
        use sha2::Digest;
        self.blake3.update(bytes);
        self.sha256.update(bytes);
        self.size += bytes.len() as u64;
    }

    fn output(self, path: &str) -> Output {
        use sha2::Digest;
        Output {
            path: path.to_owned(),
            size: self.size,
            digest: Blake3(*self.blake3.finalize().as_bytes()).to_string(),
            sha256: Sha256(self.sha256.finalize().into()).to_string(),
        }
    }
}
