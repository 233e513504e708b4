//! Proofs that show what their owner wants to show: files of a case, and private values, one by one.

use crate::ledger::{Ledger, known_scroll};
use crate::openings::Opening;
use crate::run::{RunFolder, case_dir};
use crate::writer::Writer;
use std::io::Write;
use vm_contracts::contract::OUTPUTS;
use vm_contracts::{Corrupt, Failure, Fault, Map, Refusal, RunState, Value};
use vm_receipts::case::{self, Artifact};
use vm_receipts::line::Line;
use vm_receipts::private::{self, Disclosure};
use vm_scrolls::proof::{Entry, Proof};

/// Files whose text may carry digests of private values, so that a proof can hold them whole.
const DOCUMENTS: [&str; 2] = ["contract.json", "state.json"];

/// Which private values a proof opens.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Reveal {
    /// None.
    #[default]
    Nothing,
    /// All that this home can open.
    All,
    /// Those of these names: a field's (`memo`), that of one stage (`01-send.note`), or an output's own name.
    Names(Vec<String>),
}

/// What a proof shows besides the receipt.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Show {
    /// Files of the case: all of them where `None`, otherwise these, each with its branch.
    pub artifacts: Option<Vec<String>>,
    /// Private values to open.
    pub reveal: Reveal,
}

impl Ledger {
    /// PROOF.json of a receipt: deterministic for one state of the ledger.
    pub fn proof(&self, scroll: &str, seq: u64, show: &Show) -> Result<Proof, Failure> {
        let proven = self.prove(scroll, seq)?;
        let writer = self.writer();
        let line = Line::parse(&proven.line).map_err(|e| {
            Fault::new("line_unreadable", format!("{scroll}/{seq} does not read any more: {e}"))
        })?;
        let text = String::from_utf8_lossy(&proven.line).into_owned();
        let proof = Proof::new(text, seq, proven.path, proven.checkpoint);
        let opened = writer.chosen(&line, &show.reveal)?;
        let bundle = match line.artifacts {
            Some(_) => writer.bundle(&line, show, &opened)?,
            None if show.artifacts.as_ref().is_some_and(|a| !a.is_empty()) => {
                let what = format!("{scroll}/{seq} is a record; it has no case and no files");
                return Err(Refusal::not_found("no_case", what).into());
            }
            None => Vec::new(),
        };
        let disclosures = opened.into_iter().map(|o| o.disclosure).collect();
        Ok(proof.with_bundle(bundle).with_disclosures(disclosures))
    }

    /// Private values of a receipt that this home can open, by field name; those of a case's stages and outputs by
    /// their own (`01-send.note`, `mail.eml`).
    pub fn opened(&self, scroll: &str, seq: u64) -> Result<Map<String, Value>, Failure> {
        let writer = self.writer();
        known_scroll(&writer, scroll)?;
        let bytes = writer.read_checked(scroll, seq, 1)?.pop();
        let line = bytes.as_deref().and_then(|b| Line::parse(b).ok()).ok_or_else(|| {
            Refusal::not_found("no_such_receipt", format!("there is no {scroll}/{seq}"))
        })?;
        let mut opened = writer.opened(&line)?;
        if line.artifacts.is_some() {
            for named in writer.named(&line)? {
                let read = Disclosure::parse(&named.opening.disclosure).ok();
                let own = named.names.first().filter(|name| !opened.contains_key(*name));
                if let (Some(name), Some(read)) = (own, read) {
                    opened.insert(name.clone(), read.value().clone());
                }
            }
        }
        Ok(opened)
    }

    /// Writes a private output of a case, by its own name, into `sink`; returns its length in bytes.
    pub fn private_output(
        &self,
        scroll: &str,
        id: &str,
        name: &str,
        sink: &mut dyn Write,
    ) -> Result<u64, Failure> {
        let writer = self.writer();
        let group = known_scroll(&writer, scroll)?.group(id);
        let openings: Vec<Opening> = match group {
            Some(group) => {
                let bytes = writer.read_checked(scroll, group.first, 1)?.pop().unwrap_or_default();
                let line = Line::parse(&bytes).map_err(|e| {
                    Fault::new("line_unreadable", format!("{scroll} {id} does not read: {e}"))
                })?;
                writer.named(&line)?.into_iter().map(|n| n.opening).collect()
            }
            None => writer.openings().load_run(scroll, id)?,
        };
        let named = |o: &&Opening| output_name(o).as_deref() == Some(name);
        let key = openings.iter().find(named).and_then(|o| o.file.clone()).ok_or_else(|| {
            let known: Vec<_> = openings.iter().filter_map(output_name).collect();
            let listed = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
            Refusal::not_found(
                "no_such_output",
                format!("{scroll} {id} has no private output {name:?}"),
            )
            .hint(format!("It has {listed}."))
        })?;
        writer.openings().open_file(scroll, &key, sink)
    }
}

/// The own name of a private output.
pub(crate) fn output_name(opening: &Opening) -> Option<String> {
    opening.file.as_ref()?;
    let read = Disclosure::parse(&opening.disclosure).ok()?;
    read.value().get("name").and_then(Value::as_str).map(str::to_owned)
}

/// The one opening of this name. One word never opens two values.
fn one_of<'a>(named: &'a [Named], name: &str, line: &Line) -> Result<&'a Opening, Refusal> {
    let fits: Vec<&Named> = named.iter().filter(|n| n.names.iter().any(|n| n == name)).collect();
    let narrowest = |n: &&Named| n.names.first().cloned();
    match fits[..] {
        [one] => Ok(&one.opening),
        [] => {
            let known: Vec<_> = named.iter().filter_map(|n| narrowest(&n)).collect();
            let listed = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
            let what = format!(
                "{}/{} has no private value {name:?} that this home can open",
                line.scroll, line.seq
            );
            Err(Refusal::not_found("no_such_private_value", what)
                .field("disclose")
                .hint(format!("It has {listed}.")))
        }
        _ => {
            let known: Vec<_> = fits.iter().filter_map(narrowest).collect();
            let what = format!(
                "{}/{} has {} private values called {name:?}",
                line.scroll,
                line.seq,
                fits.len()
            );
            Err(Refusal::conflict("ambiguous_private_value", what)
                .field("disclose")
                .hint(format!("Say which: {}.", known.join(", "))))
        }
    }
}

/// An opening, and the names a person may call it by: the narrowest first.
struct Named {
    opening: Opening,
    names: Vec<String>,
}

impl Named {
    fn of(opening: Opening, state: Option<&RunState>) -> Self {
        let read = Disclosure::parse(&opening.disclosure).ok();
        let field = read.and_then(|d| d.name().map(str::to_owned));
        let names = match (output_name(&opening), field) {
            (Some(output), _) => vec![output],
            (None, None) => Vec::new(),
            (None, Some(field)) => {
                let mut names: Vec<String> = state
                    .and_then(|state| place_of(&opening.digest, state))
                    .map(|place| format!("{place}.{field}"))
                    .into_iter()
                    .collect();
                names.push(field);
                names
            }
        };
        Self { opening, names }
    }
}

/// The stage, or the abort, that carries a digest.
fn place_of(digest: &str, state: &RunState) -> Option<String> {
    let holds = |fields: &Map<String, Value>| private::digests(fields).iter().any(|d| d == digest);
    let aborted = state.fault.as_ref().is_some_and(|f| f.sd.iter().any(|d| d == digest));
    let stage = state.stages.iter().find(|s| holds(&s.fields)).map(|s| s.id.clone());
    stage.or_else(|| aborted.then(|| "fault".to_owned()))
}

impl Writer {
    /// All openings behind a receipt, and its case, by their names.
    fn named(&self, line: &Line) -> Result<Vec<Named>, Failure> {
        let in_body = private::digests(&line.body);
        let first = line.seq.saturating_sub(u64::from(line.part.n) - 1);
        let mut all = self.openings().of(&line.scroll, first)?;
        let dir = case_dir(&line.scroll, &line.id);
        let folder = RunFolder::new(&*self.fs, &dir);
        let state = match line.artifacts {
            Some(_) => Some(folder.state()?),
            None => None,
        };
        // Behind a record stands its own line; behind a case its documents and stubs too. What stands behind neither
        // is of another line, or of a call that was never committed.
        let in_case = match &state {
            Some(state) => folder.digests(&folder.contract()?.0, state),
            None => Vec::new(),
        };
        all.retain(|o| in_body.contains(&o.digest) || in_case.contains(&o.digest));
        Ok(all.into_iter().map(|o| Named::of(o, state.as_ref())).collect())
    }

    /// The openings of a call that a proof is to carry.
    fn chosen(&self, line: &Line, reveal: &Reveal) -> Result<Vec<Opening>, Failure> {
        if *reveal == Reveal::Nothing {
            return Ok(Vec::new());
        }
        let named = self.named(line)?;
        let Reveal::Names(wanted) = reveal else {
            return Ok(named.into_iter().map(|n| n.opening).collect());
        };
        let mut chosen: Vec<Opening> = Vec::new();
        for name in wanted {
            let opening = one_of(&named, name, line)?.clone();
            if !chosen.contains(&opening) {
                chosen.push(opening);
            }
        }
        Ok(chosen)
    }

    /// Entries of the case: all, or the chosen ones with their branches; with the text of those that hold an opened
    /// digest.
    fn bundle(&self, line: &Line, show: &Show, opened: &[Opening]) -> Result<Vec<Entry>, Failure> {
        let artifacts = self.case_artifacts(line)?;
        let dir = case_dir(&line.scroll, &line.id);
        let mut texts = Vec::new();
        let in_body = private::digests(&line.body);
        for artifact in &artifacts {
            let may =
                DOCUMENTS.contains(&artifact.path.as_str()) || case::is_stub_path(&artifact.path);
            let missing = opened.iter().any(|o| !in_body.contains(&o.digest));
            if !may || !missing {
                continue;
            }
            let path = format!("{dir}/{}", artifact.path);
            let bytes =
                self.fs.read(&path).map_err(|e| crate::run::unreadable("read", &path, &e))?;
            if let Ok(text) = String::from_utf8(bytes)
                && opened.iter().any(|o| !in_body.contains(&o.digest) && text.contains(&o.digest))
            {
                texts.push((artifact.path.clone(), text));
            }
        }
        let with_text = |entry: Entry| match texts.iter().find(|(path, _)| *path == entry.path) {
            Some((_, text)) => entry.with_content(text.clone()),
            None => entry,
        };
        let Some(wanted) = &show.artifacts else {
            return Ok(artifacts.iter().map(|a| with_text(Entry::of(a))).collect());
        };
        let mut out = Vec::new();
        for (at, artifact) in artifacts.iter().enumerate() {
            let is_wanted = wanted.iter().any(|w| names(w, &artifact.path))
                || texts.iter().any(|(path, _)| *path == artifact.path);
            if is_wanted {
                let entry = Entry::partial(&artifacts, at)
                    .map_err(|e| Fault::new("bundle", format!("{dir}: {e}")))?;
                out.push(with_text(entry));
            }
        }
        for name in wanted {
            if !artifacts.iter().any(|a| names(name, &a.path)) {
                let what = format!("the case {dir} has no file {name:?}");
                let listed: Vec<_> = artifacts.iter().take(20).map(|a| a.path.as_str()).collect();
                return Err(Refusal::not_found("no_such_artifact", what)
                    .field("artifact")
                    .hint(format!("It has {}.", listed.join(", ")))
                    .into());
            }
        }
        Ok(out)
    }

    /// Files of a case, compared with its line.
    fn case_artifacts(&self, line: &Line) -> Result<Vec<Artifact>, Failure> {
        let dir = case_dir(&line.scroll, &line.id);
        let folder = RunFolder::new(&*self.fs, &dir);
        let mut names: Vec<String> = DOCUMENTS.map(str::to_owned).into();
        names.extend(folder.listed()?.into_iter().map(|name| format!("{OUTPUTS}/{name}")));
        let mut artifacts = Vec::new();
        for name in &names {
            let measured = folder.measure(name)?;
            artifacts.extend(measured.and_then(|output| crate::run::artifact(&output)));
        }
        artifacts.sort_by(|a, b| a.path.as_bytes().cmp(b.path.as_bytes()));
        match case::root(&artifacts).ok() == Some(line.root_hash) {
            true => Ok(artifacts),
            false => Err(Failure::Corrupt(Corrupt {
                file: dir.clone(),
                line: None,
                byte: None,
                claim: format!(
                    "its files are not those that {}/{} was sealed over",
                    line.scroll, line.seq
                ),
                hint: Some("`vm fsck` names the file. The receipt itself still verifies.".into()),
            })),
        }
    }
}

/// Whether a person's word for a file means this path.
fn names(word: &str, path: &str) -> bool {
    word == path || path.strip_prefix(OUTPUTS).and_then(|rest| rest.strip_prefix('/')) == Some(word)
}
