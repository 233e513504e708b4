//! What of a record is new to the ledger: looked up for many calls at a time, right before they are handed over.
//!
//! Another observer may have recorded the same calls, before or meanwhile. What is there already is counted, what the
//! ledger lacks is added, and a session that has ended is started again for it. A session that somebody watches is
//! never ended by a transcript of it.

use super::{Follow, Followed, Item, Status};
use crate::keyed;
use crate::read::planner::{Ending, Root, Seen};
use crate::state::{Call, Session, State};
use serde_json::Value;
use std::collections::BTreeMap;
use vm_contracts::{Failure, Planned, Sink};

/// What to do with an item.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Decision {
    /// It is new.
    New,
    /// Its call is there and waits for the result.
    Answer,
    /// An import recorded it: handed over again, so that other content under the same id shows.
    Again,
    /// The same, where an import recorded the call and the result apart.
    AgainResult,
    /// Somebody else recorded it.
    Known,
}

impl Status {
    fn of(session: Option<Session>) -> Status {
        match session {
            None => Status::Absent,
            Some(session) if session.ended_ms.is_some() => Status::Ended,
            Some(session) if session.mode == "import" => Status::Ours,
            Some(_) => Status::Live,
        }
    }
}

impl Follow<'_> {
    /// Hands over what was queued.
    pub(super) fn hand_over(&mut self, sink: &mut dyn Sink<State>) -> Result<(), Failure> {
        let items = std::mem::take(&mut self.items);
        if items.is_empty() {
            return Ok(());
        }
        let observer = self.planner.observed_by;
        let mut decisions = Vec::new();
        let sessions = &mut self.sessions;
        sink.look(&mut |state| {
            let involved = items.iter().flat_map(Item::sessions);
            for raw in involved {
                if let Some(session) = sessions.get_mut(raw).filter(|s| s.status == Status::Unknown)
                {
                    session.status = Status::of(state.sessions.get(&session.id));
                }
            }
            decisions = decide(state, sessions, &items, observer);
        })?;
        for (item, decision) in items.into_iter().zip(decisions) {
            self.give(item, decision, sink)?;
        }
        Ok(())
    }

    fn give(
        &mut self,
        item: Item,
        decision: Decision,
        sink: &mut dyn Sink<State>,
    ) -> Result<(), Failure> {
        let planned = match item {
            _ if decision == Decision::Known => {
                sink.known(1);
                return Ok(());
            }
            Item::Act { planned, .. } | Item::Edit { planned, .. }
                if decision == Decision::Again =>
            {
                planned
            }
            Item::Act { session, call, mut planned, .. } if decision == Decision::AgainResult => {
                self.rephase(&session, &call, &mut planned);
                planned
            }
            Item::Act { session, call, mut planned, .. } => {
                self.open(&session, &call, sink)?;
                if decision == Decision::Answer {
                    self.rephase(&session, &call, &mut planned);
                }
                planned
            }
            Item::Edit { session, call, planned, answer } => {
                self.open(&session, &call, sink)?;
                if let Some(mut answer) = answer.filter(|_| decision == Decision::Answer) {
                    self.rephase(&session, &call, &mut answer);
                    sink.take(answer)?;
                }
                planned
            }
            Item::Spawn { parent, child, planned } => {
                let id = self.sessions.get(&child).map(|s| s.id.clone()).unwrap_or_default();
                self.open(&parent, &id, sink)?;
                self.open(&child, "", sink)?;
                planned
            }
        };
        sink.take(planned)
    }

    /// A call that was there before gets its result only.
    fn rephase(&self, raw: &str, call: &str, planned: &mut Planned) {
        let session = self.sessions.get(raw).map(|s| s.id.as_str()).unwrap_or_default();
        let phase = format!("{}/result", self.planner.observed_by);
        planned.id = keyed::receipt_id(self.planner.key, session, call, &phase);
        planned.intent.insert("phase".to_owned(), Value::from("result"));
    }

    /// Makes sure that something can be recorded in the session; `first` tells this start from others.
    fn open(&mut self, raw: &str, first: &str, sink: &mut dyn Sink<State>) -> Result<(), Failure> {
        let Some(session) = self.sessions.get(raw) else { return Ok(()) };
        let resumed = match session.status {
            Status::Absent | Status::Unknown => None,
            Status::Ended => Some(first),
            Status::Live | Status::Ours => {
                self.session(raw).fresh = true;
                return Ok(());
            }
        };
        let cwd = session.facts.cwd.clone();
        let project_id = cwd.as_deref().and_then(|cwd| self.files.project(cwd));
        let Some(session) = self.sessions.get(raw) else { return Ok(()) };
        let parent =
            session.spawned.as_ref().map(|s| keyed::session_id(self.planner.key, &s.parent));
        let root = Root {
            project_id: project_id.as_deref(),
            path: cwd.as_deref(),
            parent: parent.as_deref(),
            ..Root::default()
        };
        let planned =
            self.planner.start(&session.id, &session.facts, root, resumed, &session.first);
        let session = self.session(raw);
        session.status = Status::Ours;
        session.fresh = true;
        sink.take(planned)
    }

    /// Ends the session, as far as a record can end one, and forgets it.
    pub(super) fn close(&mut self, raw: &str, sink: &mut dyn Sink<State>) -> Result<(), Failure> {
        let open = std::mem::take(&mut self.session(raw).open);
        let mut open: Vec<_> = open.into_values().collect();
        open.sort_by_key(|open| open.number);
        open.into_iter().for_each(|open| self.unpaired(raw, open));
        self.hand_over(sink)?;
        if self.session(raw).status == Status::Unknown {
            let id = self.session(raw).id.clone();
            let mut status = Status::Unknown;
            sink.look(&mut |state| status = Status::of(state.sessions.get(&id)))?;
            self.session(raw).status = status;
        }
        if self.session(raw).status == Status::Absent {
            self.open(raw, "", sink)?;
        }
        let Some(mut session) = self.sessions.remove(raw) else { return Ok(()) };
        self.quiet.remove(&session.used);
        session.settle_tokens();
        match session.status {
            Status::Ours => self.end(&session, sink),
            // Somebody else saw it end, and told no tokens.
            Status::Ended if !session.tokens.is_empty() => sink.take(self.ending(&session)),
            _ => Ok(()),
        }
    }

    fn end(&self, session: &Followed, sink: &mut dyn Sink<State>) -> Result<(), Failure> {
        let seen = Seen { at: session.last.at, place: session.last.place.clone() };
        if session.orphans > 0 {
            let detail =
                format!("results that answer no call, up to the call {:?}", session.last_call);
            sink.take(self.planner.gap(
                Some(&session.id),
                "unpaired",
                session.orphans,
                &detail,
                &seen,
            ))?;
        }
        sink.take(self.ending(session))
    }

    fn ending(&self, session: &Followed) -> Planned {
        let seen = Seen { at: session.last.at, place: session.last.place.clone() };
        let ending = Ending {
            reason: session.reason.as_deref().unwrap_or("transcript_end"),
            tokens: &session.tokens,
            malformed: session.malformed,
        };
        let at = session.last.at.map(|at| at.to_string()).unwrap_or_default();
        let used: u64 = session.tokens.iter().map(|t| t.output).fold(0, u64::saturating_add);
        let which = format!("{}/{at}/{used}/{}", session.last_call, session.malformed);
        self.planner.end(&session.id, &ending, &which, &seen)
    }
}

impl Item {
    fn sessions(&self) -> impl Iterator<Item = &String> {
        let (one, other) = match self {
            Item::Act { session, .. } | Item::Edit { session, .. } => (session, None),
            Item::Spawn { parent, child, .. } => (parent, Some(child)),
        };
        std::iter::once(one).chain(other)
    }
}

/// What is known of a call: by whom it was recorded, as what, and whether it has its result.
#[derive(Clone)]
struct Recorded {
    what: String,
    by: String,
    answered: bool,
    /// Whether one receipt tells of both.
    whole: bool,
}

/// What is there already, with what this very batch records before an item.
struct There<'a> {
    state: &'a State,
    sessions: &'a BTreeMap<String, Followed>,
    observer: &'a str,
    batch: BTreeMap<(String, String), Recorded>,
}

fn decide(
    state: &State,
    sessions: &BTreeMap<String, Followed>,
    items: &[Item],
    observer: &str,
) -> Vec<Decision> {
    let mut there = There { state, sessions, observer, batch: BTreeMap::new() };
    items.iter().map(|item| there.decide(item)).collect()
}

impl There<'_> {
    fn decide(&mut self, item: &Item) -> Decision {
        match item {
            Item::Act { session, call, planned, answered } => {
                self.act(session, call, &planned.verb.replace('-', "_"), *answered)
            }
            Item::Edit { session, call, planned, .. } => self.edit(session, call, planned),
            Item::Spawn { child, .. } => {
                let id = self.id(child);
                if self.state.parents.contains(&id) { Decision::Known } else { Decision::New }
            }
        }
    }

    fn id(&self, raw: &str) -> String {
        self.sessions.get(raw).map(|s| s.id.clone()).unwrap_or_default()
    }

    fn recorded(&self, raw: &str, call: &str) -> Option<Recorded> {
        let key = (self.id(raw), call.to_owned());
        if let Some(found) = self.batch.get(&key) {
            return Some(found.clone());
        }
        let of = |call: Call| Recorded {
            answered: call.result_seq.is_some() || call.what == "file_edit",
            whole: call.result_seq == Some(call.seq),
            what: call.what,
            by: call.observed_by,
        };
        if let Some(found) = self.state.calls.get(&key) {
            return Some(of(found));
        }
        // Who watches an agent may see its side chains as calls of the main session. Ids of calls are unique in all.
        let parent = &self.sessions.get(raw)?.spawned.as_ref()?.parent;
        let found = self.state.calls.get(&(self.id(parent), key.1)).map(of)?;
        // Its result is that observer's to tell.
        (found.by != self.observer).then_some(Recorded { answered: true, ..found })
    }

    fn act(&mut self, raw: &str, call: &str, what: &str, answered: bool) -> Decision {
        let decision = match self.recorded(raw, call) {
            None => Decision::New,
            Some(found) if found.what == what && !found.answered && answered => Decision::Answer,
            Some(found) if found.by != self.observer || found.what != what => Decision::Known,
            Some(found) if found.whole == answered => Decision::Again,
            Some(found) if found.answered && answered => Decision::AgainResult,
            // The record that came before knew more of it.
            Some(_) => Decision::Known,
        };
        if matches!(decision, Decision::New | Decision::Answer) {
            let whole = answered && decision == Decision::New;
            let (what, by) = (what.to_owned(), self.observer.to_owned());
            let key = (self.id(raw), call.to_owned());
            self.batch.insert(key, Recorded { what, by, answered, whole });
        }
        decision
    }

    fn edit(&self, raw: &str, call: &str, planned: &Planned) -> Decision {
        let text = |name: &str| planned.intent.get(name).and_then(Value::as_str).map(str::to_owned);
        let edit = text("file_id").zip(text("new_hash"));
        let there = edit.is_some_and(|edit| self.state.edits.contains(&edit));
        match self.recorded(raw, call) {
            Some(found) if found.by == self.observer && found.answered => Decision::Again,
            Some(found) if found.by == self.observer => Decision::Answer,
            Some(_) if there => Decision::Known,
            _ => Decision::New,
        }
    }
}
