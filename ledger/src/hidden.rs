//! The private side of one call: which openings stand behind the digests of its intent and its receipts.
//!
//! A call has one pool of openings. A value that stands in the intent, in contract.json and in several receipts has one
//! salt and therefore one digest in all of them, so one opening opens all. Where there is no value a decoy stands,
//! derived by [`Openings::decoy`], which nobody without the home's key can tell from a digest of a value.

use crate::openings::{Opening, Openings};
use crate::writer::Writer;
use std::collections::HashMap;
use vm_contracts::veil::{self, Place};
use vm_contracts::{Draft, Failure, Fault, Map, Spec, Value};
use vm_receipts::digest::Blake3;
use vm_receipts::intent;
use vm_receipts::line::Line;
use vm_receipts::private::{self, Disclosure, ITEM};

/// One opening, read.
struct Known {
    opening: Opening,
    name: Option<String>,
    value: Value,
    /// Stands behind a place of the intent already.
    taken: bool,
}

/// The openings of one call.
pub(crate) struct Pool {
    scroll: String,
    id: String,
    known: Vec<Known>,
    /// How many of them were there before: the others must still be written.
    old: usize,
    /// Whether a value without an opening gets a new salt.
    may_draw: bool,
    /// Decoys by place: every receipt of the call asks for the same ones.
    decoys: HashMap<String, String>,
    /// The leg of the call that an opening belongs to, by its place in `known`.
    legs: HashMap<usize, u32>,
}

/// What happens to a place that cannot be given its digest.
pub(crate) enum Unveiled {
    /// The value has no opening in a pool that may not grow: it is not the request it is compared with.
    NotSame,
    /// The openings could not be used.
    Failed(Failure),
}

impl From<Failure> for Unveiled {
    fn from(failure: Failure) -> Self {
        Unveiled::Failed(failure)
    }
}

impl Pool {
    /// An empty pool for a new call.
    pub fn fresh(scroll: &str, id: &str) -> Self {
        Self::new(scroll, id, Vec::new(), true)
    }

    fn new(scroll: &str, id: &str, known: Vec<Known>, may_draw: bool) -> Self {
        let (scroll, id) = (scroll.to_owned(), id.to_owned());
        Self { scroll, id, known, old: 0, may_draw, decoys: HashMap::new(), legs: HashMap::new() }
    }

    fn decoy(&mut self, openings: &mut Openings, place: &str) -> Result<String, Failure> {
        if let Some(decoy) = self.decoys.get(place) {
            return Ok(decoy.clone());
        }
        let decoy = openings.decoy(&self.scroll, &self.id, place)?;
        self.decoys.insert(place.to_owned(), decoy.clone());
        Ok(decoy)
    }

    /// A pool of openings that exist already. `may_draw` says whether it may grow.
    pub fn of(
        scroll: &str,
        id: &str,
        openings: Vec<Opening>,
        may_draw: bool,
    ) -> Result<Self, Failure> {
        let mut known = Vec::with_capacity(openings.len());
        for opening in openings {
            let read = Disclosure::parse(&opening.disclosure).map_err(|e| {
                let what = format!("an opening of {scroll} {id} does not read back: {e}");
                Fault { retryable: false, ..Fault::new("openings_damaged", what) }
            })?;
            known.push(Known {
                name: read.name().map(str::to_owned),
                value: read.value().clone(),
                opening,
                taken: false,
            });
        }
        let old = known.len();
        Ok(Self { old, ..Self::new(scroll, id, known, may_draw) })
    }

    /// The public form of an intent and its digest.
    pub fn veil(
        &mut self,
        openings: &mut Openings,
        (op, spec): (&str, &Spec),
        intent: &Map<String, Value>,
        tags: &[String],
    ) -> Result<(Map<String, Value>, Blake3), Unveiled> {
        self.known.iter_mut().for_each(|k| k.taken = false);
        let mut digest = |place: Place<'_>| self.place(openings, place);
        let public = veil::veil(spec, intent, tags, &mut digest)?;
        let digest =
            intent::intent_digest(op, &public).map_err(|e| unkeepable(op, &e.to_string()))?;
        Ok((public, digest))
    }

    /// Fields of a completed stage or of an abort: the same, without a digest over the whole.
    pub fn veil_fields(
        &mut self,
        openings: &mut Openings,
        fields: &'static [vm_contracts::Field],
        given: &Map<String, Value>,
        path: &str,
    ) -> Result<Map<String, Value>, Unveiled> {
        // A note of one stage never shares a salt with the same words of another.
        self.known.iter_mut().for_each(|k| k.taken = true);
        let spec = Spec { verb: "", about: "", needs: "", types: &[], fields, example: "" };
        let mut digest = |place: Place<'_>| {
            let path = format!("{path}.{}", place.path);
            self.place(openings, Place { path: &path, ..place })
        };
        veil::veil(&spec, given, &[], &mut digest)
    }

    fn place(&mut self, openings: &mut Openings, place: Place<'_>) -> Result<String, Unveiled> {
        let Some(value) = place.value else {
            return Ok(self.decoy(openings, place.path)?);
        };
        let fits =
            |k: &&mut Known| !k.taken && k.name.as_deref() == place.name && k.value == *value;
        if let Some(known) = self.known.iter_mut().find(fits) {
            known.taken = true;
            return Ok(known.opening.digest.clone());
        }
        match self.may_draw {
            true => Ok(self.draw(openings, place.name, value)?),
            false => Err(Unveiled::NotSame),
        }
    }

    fn draw(
        &mut self,
        openings: &mut Openings,
        name: Option<&str>,
        value: &Value,
    ) -> Result<String, Failure> {
        let salt = openings.salt();
        let made = match name {
            Some(name) => Disclosure::field(&salt, name, value),
            None => Disclosure::item(&salt, value),
        };
        let made = made.map_err(|e| {
            let what = format!("a private value of {} cannot be kept: {e}", self.id);
            Failure::Refusal(vm_contracts::Refusal::malformed("wrong_type", what))
        })?;
        self.add(made, value.clone())
    }

    fn add(&mut self, made: Disclosure, value: Value) -> Result<String, Failure> {
        let digest = made.digest().to_owned();
        let opening = Opening {
            seq: 0,
            digest: digest.clone(),
            disclosure: made.text().to_owned(),
            file: None,
        };
        let name = made.name().map(str::to_owned);
        self.known.push(Known { opening, name, value, taken: true });
        Ok(digest)
    }

    /// Adds an opening that somebody else made: that of a private output.
    pub fn push(&mut self, opening: Opening) -> Result<(), Failure> {
        let mut one = Self::of(&self.scroll, &self.id, vec![opening], false)?;
        self.known.append(&mut one.known);
        Ok(())
    }

    /// The body of a receipt with its private fields as digests: exactly one for each that the operation declares.
    pub fn body(
        &mut self,
        openings: &mut Openings,
        spec: &Spec,
        intent: &Map<String, Value>,
        draft: &Draft,
    ) -> Result<Map<String, Value>, Failure> {
        let mut body = draft.body.clone();
        let mut digests = Vec::new();
        // What another leg uses is used.
        let of_others = |leg: u32| move |(n, owner): (&usize, &u32)| (*owner != leg).then_some(*n);
        let mut used: Vec<usize> = draft
            .leg
            .map_or_else(Vec::new, |leg| self.legs.iter().filter_map(of_others(leg)).collect());
        let value_of = |field: &vm_contracts::Field| {
            let own = draft.private.get(field.name);
            own.or_else(|| intent.get(field.name).filter(|_| field.is_input()))
        };
        for field in spec.private_in_body() {
            digests.push(match value_of(field) {
                Some(value) => {
                    let digest = self.digest_of(openings, &mut used, Some(field.name), value)?;
                    let own = draft.private.contains_key(field.name);
                    if let (Some(leg), true, Some(place)) = (draft.leg, own, used.last()) {
                        self.legs.insert(*place, leg);
                    }
                    digest
                }
                None => self.decoy(openings, &decoy_place(field.name, draft.leg))?,
            });
        }
        for field in spec.fields.iter().filter(|f| f.private_items && !f.secret && !f.steering) {
            if let Some(Value::Array(list)) = value_of(field) {
                let mut digest = |place: Place<'_>| match place.value {
                    Some(value) => self.digest_of(openings, &mut used, None, value),
                    None => Ok(String::new()),
                };
                body.insert(field.name.into(), veil::items(list, field.name, &mut digest)?);
            }
        }
        veil::put_digests(&mut body, digests);
        Ok(body)
    }

    /// The digest of a value that may stand in the pool already. No digest stands twice in one body (RFC 9901 s7.1).
    fn digest_of(
        &mut self,
        openings: &mut Openings,
        used: &mut Vec<usize>,
        name: Option<&str>,
        value: &Value,
    ) -> Result<String, Failure> {
        let fits = |(n, k): &(usize, &Known)| {
            k.name.as_deref() == name && k.value == *value && !used.contains(n)
        };
        match self.known.iter().enumerate().find(fits) {
            Some((n, known)) => {
                used.push(n);
                Ok(known.opening.digest.clone())
            }
            None => {
                used.push(self.known.len());
                self.draw(openings, name, value)
            }
        }
    }

    /// All openings, those of the intent first.
    pub fn all(&self) -> Vec<Opening> {
        self.known.iter().map(|k| k.opening.clone()).collect()
    }

    /// Openings that are not on disk yet, for the call whose first line is `seq`.
    pub fn new_for(&self, seq: u64) -> impl Iterator<Item = Opening> + '_ {
        self.known[self.old..].iter().map(move |k| Opening { seq, ..k.opening.clone() })
    }

    /// Every opening has to be written: those of a run leave its folder for the page.
    pub fn all_new(&mut self) {
        self.old = 0;
    }

    /// Whether this digest is one of the pool's.
    pub fn holds(&self, digest: &str) -> bool {
        self.known.iter().any(|k| k.opening.digest == digest)
    }

    /// Whether there is nothing to write.
    pub fn is_empty(&self) -> bool {
        self.known.len() == self.old
    }
}

/// Where the decoy of a receipt's field stands.
pub(crate) fn decoy_place(name: &str, leg: Option<u32>) -> String {
    leg.map_or_else(|| name.to_owned(), |leg| format!("{name}@{leg}"))
}

/// An intent outside the strict profile.
pub(crate) fn unkeepable(op: &str, what: &str) -> Failure {
    let what = format!("{op}: the intent cannot be kept: {what}");
    Failure::Refusal(vm_contracts::Refusal::malformed("wrong_type", what))
}

impl Writer {
    /// Private values of a line that this home can open, by field name; items of lists under their list's name.
    pub(crate) fn opened(&self, line: &Line) -> Result<Map<String, Value>, Failure> {
        let mut out = Map::new();
        let openings = self.openings_of(line)?;
        for opening in &openings {
            let read = Disclosure::parse(&opening.disclosure).map_err(|e| damaged(line, &e))?;
            if let Some(name) = read.name() {
                out.insert(name.to_owned(), read.value().clone());
            }
        }
        for (name, value) in &line.body {
            let Some(items) = value.as_array() else { continue };
            let digests = items.iter().filter_map(|item| item.get(ITEM).and_then(Value::as_str));
            let digests: Vec<&str> = digests.collect();
            if digests.is_empty() {
                continue;
            }
            let mut values = Vec::new();
            for opening in &openings {
                if digests.contains(&opening.digest.as_str()) {
                    let read = Disclosure::parse(&opening.disclosure);
                    values.push(read.map_err(|e| damaged(line, &e))?.value().clone());
                }
            }
            out.insert(name.clone(), Value::Array(values));
        }
        Ok(out)
    }

    /// The openings behind the digests in a line, as far as this home has them.
    pub(crate) fn openings_of(&self, line: &Line) -> Result<Vec<Opening>, Failure> {
        let wanted = private::digests(&line.body);
        if wanted.is_empty() {
            return Ok(Vec::new());
        }
        let first = line.seq.saturating_sub(u64::from(line.part.n) - 1);
        let mut found = self.openings().of(&line.scroll, first)?;
        found.retain(|opening| wanted.contains(&opening.digest));
        Ok(found)
    }
}

fn damaged(line: &Line, e: &private::SdError) -> Failure {
    let what = format!("an opening of {}/{} does not read back: {e}", line.scroll, line.seq);
    Fault { retryable: false, ..Fault::new("openings_damaged", what) }.into()
}
