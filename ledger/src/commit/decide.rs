//! Steps 1 to 3 for one call: admitted, compared with what its id stood for before, decided, drafted.

use super::{Admitted, Batch, Decided, LINE_RESERVE, Unsealed, Work};
use crate::hidden::{Pool, Unveiled, decoy_place, unkeepable};
use crate::run;
use crate::scroll::Group;
use crate::store::{BATCH_BYTES_MAX, BATCH_LINES_MAX};
use crate::writer::Writer;
use std::collections::HashSet;
use vm_contracts::engine::Asked;
use vm_contracts::spec::Kind;
use vm_contracts::veil::{self, Place};
use vm_contracts::work::Shape;
use vm_contracts::{
    AnyEngine, Call, Draft, Failure, Fault, Map, Refusal, RefusalKind, Spec, Value, edge,
};
use vm_receipts::digest::Blake3;
use vm_receipts::line::{Line, LineError, Part};
use vm_receipts::moment::Moment;
use vm_receipts::{intent, line, private};

impl Writer {
    pub(crate) fn admit(
        &self,
        engine: &'static dyn AnyEngine,
        mut call: Call,
        work: Work,
    ) -> Result<Admitted, Refusal> {
        let spec = engine.operation(&call.verb).ok_or_else(|| {
            let known: Vec<_> = engine.operations().iter().map(|s| s.verb).collect();
            Refusal::not_found(
                "unknown_operation",
                format!("{} has no operation {:?}", engine.name(), call.verb),
            )
            .hint(format!("It has {}.", known.join(", ")))
        })?;
        let authority = self.gate.may(&call.actor, spec.needs)?;
        edge::tags(&call.tags)?;
        let intent = match engine.shape(spec.verb) {
            Some(Shape::Record) => edge::admit(spec, &call.intent)?,
            _ => edge::admit_kept(spec, &call.intent)?,
        };
        let op = format!("{}.{}", engine.name(), call.verb.replace('-', "_"));
        let digest = match spec.hides_anything() {
            true => None,
            false => Some(plain_digest(&op, spec, &intent, &call.tags)?),
        };
        let id = match call.id.take() {
            Some(id) if line::is_id(&id) => id,
            Some(_) => {
                return Err(Refusal::malformed(
                    "bad_id",
                    "an id has 1 to 64 characters of A-Z a-z 0-9 . _ - and begins with a letter or digit",
                )
                .field("id"));
            }
            None => self.fresh_id(),
        };
        Ok(Admitted { id, op, spec, call, intent, digest, authority, work })
    }

    pub(super) fn decide(
        &mut self,
        engine: &'static dyn AnyEngine,
        batch: &mut Batch,
        call: &Admitted,
    ) -> Decided {
        let scroll = self.scrolls.get(engine.scroll()).expect("ensured by commit_some");
        let known = scroll.group(&call.id).or_else(|| batch.ids.get(&call.id).cloned());
        if let Some(group) = known {
            return match self.is_same(engine, batch, call, &group) {
                Ok(true) => Decided::Known(group),
                Ok(false) => {
                    Decided::Refused(other_intent(&call.id, &group, engine.scroll()).into())
                }
                Err(failure) => Decided::Refused(failure),
            };
        }
        if matches!(&call.work, Work::Record { of_run: false, .. })
            && self.open_runs.contains(&(engine.scroll().to_owned(), call.id.clone()))
        {
            return Decided::Refused(id_of_run(engine, &call.id).into());
        }
        let scroll = self.scroll(engine.scroll());
        if let Some(why) = &scroll.read_only {
            return Decided::Refused(why.clone().into());
        }
        let at = match &batch.at {
            Ok(at) => *at,
            Err(why) => return Decided::Refused(why.clone()),
        };
        if batch.closed {
            return Decided::Later;
        }
        let asked = Asked { at, id: &call.id, actor: &call.call.actor };
        let state = &*scroll.state;
        let drafts = match &call.work {
            Work::Record { .. } => {
                engine.decide(state, &call.call.verb, &call.intent, asked).map_err(Failure::from)
            }
            Work::Case(case) => case.drafts(engine, state, call, asked),
        };
        let drafts = match drafts {
            Ok(drafts) => drafts,
            Err(failure) => return Decided::Refused(failure),
        };
        if let Err(fault) = keeps_declaration(call, &drafts) {
            return Decided::Refused(fault.into());
        }
        let over = batch.count + drafts.len() > BATCH_LINES_MAX
            || batch.bytes + drafts.iter().map(weight).sum::<usize>() > BATCH_BYTES_MAX;
        if over && batch.count > 0 {
            batch.closed = true;
            return Decided::Later;
        }
        if over {
            let what = format!(
                "{} would leave {} receipts, more than one batch holds",
                call.op,
                drafts.len()
            );
            return Decided::Refused(Refusal::new("too_large", RefusalKind::TooLarge, what).into());
        }
        self.draft(engine, batch, at, call, drafts)
    }

    /// Turns drafts into lines with a place, and folds them tentatively so the next call sees them.
    fn draft(
        &mut self,
        engine: &'static dyn AnyEngine,
        batch: &mut Batch,
        at: Moment,
        call: &Admitted,
        drafts: Vec<Draft>,
    ) -> Decided {
        let first = batch.count;
        let of = drafts.len();
        let (mut pool, intent) = match self.veiled(engine.scroll(), call) {
            Ok(veiled) => veiled,
            Err(failure) => return Decided::Refused(failure),
        };
        let proof = self.actor_proof(&call.call.actor.0, &call.id, &intent);
        let mut lines = Vec::with_capacity(of);
        for (n, mut draft) in drafts.into_iter().enumerate() {
            let seq = batch.prev.size + (first + n) as u64;
            let part = Part { n: n as u32 + 1, of: of as u32 };
            let blank = self.blank_line(engine.scroll(), seq, part, batch.prev, at);
            if call.spec.hides_anything() {
                let openings = &mut *self.openings();
                draft.body = match pool.body(openings, call.spec, &call.intent, &draft) {
                    Ok(body) => body,
                    Err(failure) => return Decided::Refused(failure),
                };
            }
            let blank = Line { actor_proof: proof.clone(), ..blank };
            lines.push(fill(blank, call, intent, draft));
        }
        // Whether a line fits is found out where it is sealed, beside this; in a batch that held one that did not, before
        // anything of its call is folded.
        batch.bytes += match batch.is_careful {
            false => lines.iter().map(about).sum::<usize>(),
            true => match lines.iter().map(exact).sum::<Result<usize, LineError>>() {
                Ok(bytes) => bytes,
                Err(e) => return Decided::Refused(does_not_fit(call, &e).into()),
            },
        };
        let scroll = self.scrolls.get_mut(engine.scroll()).expect("ensured by commit_some");
        lines.iter().for_each(|unsealed| scroll.fold(&unsealed.line));
        let seq = batch.prev.size + first as u64;
        if !pool.is_empty() {
            batch.openings.extend(pool.new_for(seq));
            batch.pools.insert(call.id.clone(), pool.all());
        }
        batch.ids.insert(call.id.clone(), Group { first: seq, of: of as u32, intent });
        if call.spec.hides_anything() {
            batch.actors.insert(call.id.clone(), call.call.actor.0.clone());
        }
        batch.count += of;
        batch.sealer.give(lines);
        Decided::New { first, of }
    }

    /// The call's openings and the digest of its intent.
    fn veiled(&self, scroll: &str, call: &Admitted) -> Result<(Pool, Blake3), Failure> {
        match (&call.work, call.digest) {
            (Work::Record { .. }, Some(digest)) => Ok((Pool::fresh(scroll, &call.id), digest)),
            (Work::Record { openings, .. }, None) => {
                let mut pool = Pool::of(scroll, &call.id, openings.clone(), true)?;
                pool.all_new();
                let intent = (call.op.as_str(), call.spec);
                match pool.veil(&mut self.openings(), intent, &call.intent, &call.call.tags) {
                    Ok((_, digest)) => Ok((pool, digest)),
                    Err(Unveiled::Failed(failure)) => Err(failure),
                    Err(Unveiled::NotSame) => Err(unkeepable(&call.op, "a value has no opening")),
                }
            }
            (Work::Case(case), _) => {
                let mut pool = Pool::of(scroll, &call.id, case.openings.clone(), true)?;
                pool.all_new();
                Ok((pool, case.intent))
            }
        }
    }

    /// Whether a call asks for what the call that has its id asked for.
    fn is_same(
        &self,
        engine: &'static dyn AnyEngine,
        batch: &Batch,
        call: &Admitted,
        group: &Group,
    ) -> Result<bool, Failure> {
        if let Work::Case(case) = &call.work {
            return Ok(case.intent == group.intent);
        }
        if let Some(digest) = call.digest {
            return Ok(digest == group.intent);
        }
        let name = engine.scroll();
        if !self.is_by(name, batch, call, group)? {
            return Ok(false);
        }
        let openings = match batch.pools.get(&call.id) {
            Some(openings) => openings.clone(),
            None if batch.ids.contains_key(&call.id) => Vec::new(),
            None => self.openings().of(name, group.first)?,
        };
        let mut pool = Pool::of(name, &call.id, openings, false)?;
        let intent = (call.op.as_str(), call.spec);
        let veiled = pool.veil(&mut self.openings(), intent, &call.intent, &call.call.tags);
        match veiled {
            Ok((_, digest)) if digest == group.intent => Ok(true),
            Err(Unveiled::Failed(failure)) => Err(failure),
            _ if batch.ids.contains_key(&call.id) => Ok(false),
            _ => self.all_opened(name, call, group, &pool).map(|()| false),
        }
    }

    /// Whether the same actor asked before. Nobody else learns whether their guess at a private value is right.
    fn is_by(
        &self,
        name: &str,
        batch: &Batch,
        call: &Admitted,
        group: &Group,
    ) -> Result<bool, Failure> {
        let actor = match batch.actors.get(&call.id) {
            Some(actor) => Some(actor.clone()),
            None => {
                let bytes = self.read_checked(name, group.first, 1)?.pop().unwrap_or_default();
                Line::parse(&bytes).ok().map(|line| line.actor)
            }
        };
        Ok(actor.as_deref() == Some(call.call.actor.0.as_str()))
    }

    /// Whether every private value behind the receipts can still be read; without them nobody can say what was asked.
    fn all_opened(
        &self,
        name: &str,
        call: &Admitted,
        group: &Group,
        pool: &Pool,
    ) -> Result<(), Failure> {
        let mut openings = self.openings();
        let mut decoys = HashSet::new();
        for field in call.spec.private_in_body() {
            for leg in (0..group.of).map(Some).chain([None]) {
                let place = decoy_place(field.name, leg);
                decoys.insert(openings.decoy(name, &call.id, &place)?);
            }
        }
        for bytes in self.read_checked(name, group.first, group.of as usize)? {
            let line = Line::parse(&bytes).map_err(|e| unkeepable(&call.op, &e.message))?;
            let listed = line.body.get(private::SD).and_then(Value::as_array);
            let known = |d: &&Value| d.as_str().is_none_or(|d| pool.holds(d) || decoys.contains(d));
            if listed.is_some_and(|digests| !digests.iter().all(|d| known(&d))) {
                let what = format!(
                    "id {} was used before ({name}/{}), and private values of that request are not here any more, so it cannot be compared",
                    call.id, group.first
                );
                return Err(Refusal::conflict("openings_missing", what)
                    .field("id")
                    .hint("Use another id. The receipt itself still verifies.")
                    .into());
            }
        }
        Ok(())
    }
}

fn id_of_run(engine: &'static dyn AnyEngine, id: &str) -> Refusal {
    Refusal::conflict("run_exists", format!("{id} is the id of an open run of {}", engine.name()))
        .field("id")
        .hint("Leave --id out to get a fresh one, or go on with the run.")
}

/// Most bytes a line has once it is sealed.
fn exact(unsealed: &Unsealed) -> Result<usize, LineError> {
    Ok(unsealed.clone().prepare()?.bytes_max() + 1)
}

/// About that many, found out without writing it; the bytes that came are counted before they are appended.
fn about(unsealed: &Unsealed) -> usize {
    let line = &unsealed.line;
    let tags: usize = line.tags.iter().map(|tag| tag.len() + 3).sum();
    let body: usize = line.body.iter().map(|(k, v)| k.len() + rough(v) + 4).sum();
    (1_400 + tags + body).min(LINE_RESERVE)
}

fn does_not_fit(call: &Admitted, e: &LineError) -> Refusal {
    let what = format!("{} does not fit a receipt: {}", call.op, e.message);
    Refusal::new(e.code, RefusalKind::TooLarge, what)
}

/// Puts a call and what was decided of it into a line.
fn fill(mut line: Line, call: &Admitted, intent: Blake3, draft: Draft) -> Unsealed {
    line.kind = draft.kind.to_owned();
    line.op = call.op.clone();
    line.id = call.id.clone();
    line.intent = intent;
    line.actor = call.call.actor.0.clone();
    line.context.surface = call.call.surface.clone();
    line.authority = call.authority.0.clone();
    line.tags = call.call.tags.iter().cloned().chain(draft.tags).collect();
    line.body = draft.body;
    match &call.work {
        Work::Record { .. } => Unsealed { line, is_record: true },
        Work::Case(case) => Unsealed { line: case.fill(line), is_record: false },
    }
}

/// The public form of an intent that hides nothing: all of it.
pub(crate) fn plain_public(call: &Admitted) -> Result<Map<String, Value>, Refusal> {
    let mut none = |place: Place<'_>| {
        Err(Refusal::malformed("wrong_type", format!("{} is private", place.path)))
    };
    veil::veil(call.spec, &call.intent, &call.call.tags, &mut none)
}

/// The digest of an intent that hides nothing.
fn plain_digest(
    op: &str,
    spec: &Spec,
    intent: &Map<String, Value>,
    tags: &[String],
) -> Result<Blake3, Refusal> {
    let refused = |what: String| {
        Refusal::malformed("wrong_type", format!("{op}: the intent cannot be kept: {what}"))
    };
    let mut none = |place: Place<'_>| Err(refused(format!("{} is private", place.path)));
    let public = veil::veil(spec, intent, tags, &mut none)?;
    intent::intent_digest(op, &public).map_err(|e| refused(e.to_string()))
}

/// A first guess of a line's size, never below the truth by more than the reserve.
fn weight(draft: &Draft) -> usize {
    let body: usize = draft.body.iter().map(|(k, v)| k.len() + rough(v) + 4).sum();
    (body + 2_048).min(LINE_RESERVE)
}

fn rough(value: &Value) -> usize {
    match value {
        Value::String(s) => s.len() * 2 + 2,
        Value::Array(items) => items.iter().map(|v| rough(v) + 1).sum::<usize>() + 2,
        Value::Object(map) => map.iter().map(|(k, v)| k.len() + rough(v) + 4).sum::<usize>() + 2,
        _ => 20,
    }
}

fn other_intent(id: &str, group: &Group, scroll: &str) -> Refusal {
    let what = format!("id {id} was used before, for another request ({scroll}/{})", group.first);
    Refusal::conflict("id_used_for_other_intent", what).field("id").hint(
        "Leave --id out to get a fresh one, or send the first request again to get its receipts.",
    )
}

/// Whether a list in a body shows a member of its items that is private or secret.
fn shows(spec: &Spec, name: &str, value: &Value) -> bool {
    let Some(Kind::List(_, inner)) = spec.field(name).map(|f| f.kind) else { return false };
    let hides = |k: &String| inner.iter().any(|f| f.name == k && (f.hides() || f.secret));
    let items = value.as_array().into_iter().flatten().filter_map(Value::as_object);
    items.flat_map(|item| item.keys()).any(hides)
}

/// An engine may leave only what it declared.
fn keeps_declaration(call: &Admitted, drafts: &[Draft]) -> Result<(), Fault> {
    let spec = call.spec;
    let aborted = matches!(&call.work, Work::Case(case) if case.is_aborted());
    let broken = |what: String| {
        Err(Fault {
            retryable: false,
            ..Fault::new("engine_broke_declaration", format!("{}: {what}", spec.verb))
        })
    };
    if drafts.is_empty() {
        return broken("it left no receipt".into());
    }
    for draft in drafts {
        if !spec.types.contains(&draft.kind) {
            return broken(format!("it left a {:?}, which it does not declare", draft.kind));
        }
        let is_kept = |name: &str| {
            spec.field(name).is_some_and(vm_contracts::Field::is_kept)
                || (aborted && name == run::FAULT)
        };
        let hidden = |name: &str| spec.field(name).is_some_and(vm_contracts::Field::hides);
        let stray = draft.body.keys().find(|k| !is_kept(k));
        let stray = stray.or_else(|| draft.private.keys().find(|k| !hidden(k)));
        let stray =
            stray.or_else(|| draft.body.iter().find(|(k, v)| shows(spec, k, v)).map(|e| e.0));
        if let Some(key) = stray {
            return broken(format!("its {} holds {key:?}, which it does not declare", draft.kind));
        }
    }
    Ok(())
}
