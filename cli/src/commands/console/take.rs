//! Taking events in, in the home: what just came, and as much of the spool as there is time for.
//!
//! An event may find the ledger in another state than its agent believes: its session was never started here, or was
//! ended, or the beginning of its call still waits somewhere. Then what is missing is recorded first, or the result is
//! recorded as the whole call. What another observer recorded before is left as it is.

use super::before::Before;
use super::deliver::{ENGINE, Wish};
use super::envelope::Envelope;
use super::plan::{self, Plans, Seen};
use super::rules::Rules;
use super::spool;
use crate::config::Loaded;
use crate::exit::{OK, Stop};
use crate::session::{Session, Way};
use serde_json::{Map, Value, json};
use std::io::Read;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use vm_contracts::{Actor, Call, Failure, Refusal};
use vm_ledger::openings::Aside;
use vm_ledger::{AsOf, Ledger};

/// Longest envelope that a client sends: all events of a batch, escaped.
const ENVELOPE_BYTES_MAX: u64 = 256 << 20;
/// Refusals that say: another observer recorded this before.
const THERE: [&str; 5] =
    ["call_exists", "call_answered", "session_exists", "child_has_parent", "exists"];
/// How often a call is tried again with what it lacked.
const TRIES: usize = 4;
/// Events of the spool that are taken in together.
const TOGETHER: usize = 64;
/// Most events of the spool that one hook takes in, while its agent waits.
const EVENTS_MAX: usize = 256;
/// For how long one hook takes in the spool.
const DRAIN: Duration = Duration::from_millis(100);

/// How much of the spool is taken in.
struct Bound {
    events: usize,
    until: Option<Instant>,
}

impl Bound {
    const NONE: Self = Self { events: usize::MAX, until: None };

    fn is_reached(&self) -> bool {
        self.events == 0 || self.until.is_some_and(|until| Instant::now() >= until)
    }
}

/// What is to become of the act that an event announces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// `allow`, `ask` or `deny`.
    pub word: String,
    /// The rule that says so.
    pub rule: Option<String>,
    /// Whether the event asks at all.
    pub decides: bool,
    /// The session and the approval, for whoever is to approve it.
    pub act: Option<(String, String)>,
    /// Events that were recorded, those of the spool too.
    pub recorded: u64,
}

impl Default for Verdict {
    fn default() -> Self {
        Self { word: "allow".into(), rule: None, decides: false, act: None, recorded: 0 }
    }
}

impl Verdict {
    /// Why, for agent and person, on one line.
    pub fn reason(&self) -> String {
        let rule = self.rule.as_deref().unwrap_or("policy");
        match (self.word.as_str(), &self.act) {
            ("ask", Some((session, approval))) => format!(
                "VaultMesh rule {rule} asks for approval: another person runs `vm console approval --session-id {session} --approval-id {approval} --phase decided --approved --observed-by person`"
            ),
            ("ask", None) => format!("VaultMesh rule {rule} asks for approval"),
            _ => format!("denied by VaultMesh rule {rule}"),
        }
    }

    fn to_json(&self) -> Value {
        json!({
            "verdict": self.word, "rule": self.rule, "decides": self.decides,
            "act": self.act, "recorded": self.recorded,
        })
    }

    /// As an owner told it.
    pub fn of_json(value: &Value) -> Option<Self> {
        Some(Self {
            word: value["verdict"].as_str()?.to_owned(),
            rule: value["rule"].as_str().map(str::to_owned),
            decides: value["decides"].as_bool()?,
            act: serde_json::from_value(value["act"].clone()).ok()?,
            recorded: value["recorded"].as_u64()?,
        })
    }
}

/// Takes in the envelope of a client, and answers with the verdict.
pub fn lent(session: &mut Session<'_>) -> Result<u8, Stop> {
    let mut bytes = Vec::new();
    session
        .screen
        .input
        .take(ENVELOPE_BYTES_MAX)
        .read_to_end(&mut bytes)
        .map_err(|e| crate::exit::unreadable("-", &e))?;
    let envelope = serde_json::from_slice(&bytes).ok().as_ref().and_then(Envelope::of_json);
    let envelope = envelope
        .ok_or_else(|| Refusal::malformed("event_malformed", "standard input holds no envelope"))?;
    let Way::Lent { ledger, loaded } = session.way else {
        unreachable!("only a lent command comes here")
    };
    let actor = session.actor()?;
    let verdict = take(ledger, loaded, &actor, &envelope)?;
    session.screen.document(&verdict.to_json())?;
    Ok(OK)
}

/// Takes in the events of an envelope and some of the spool, all of it where there are none; the verdict is that of
/// the last event that asks.
pub fn take(
    ledger: &Ledger,
    loaded: &Loaded,
    actor: &Actor,
    envelope: &Envelope,
) -> Result<Verdict, Failure> {
    let into = Into { ledger, actor };
    if envelope.events.is_empty() {
        // Whoever asks for this wants the key of the home too.
        ledger.import_key()?;
        return Ok(Verdict { recorded: spooled(&into, loaded)?, ..Verdict::default() });
    }
    let key = ledger.import_key()?;
    let mut verdict = Verdict::default();
    let (before, rules) =
        (Before::of(&loaded.home), Rules::of(&loaded.config.console, envelope.mode)?);
    let approved = |session: &str, approval: &str| is_approved(ledger, session, approval);
    let plans = Plans { key: &key, envelope, rules: &rules, before: &before, approved: &approved };
    let mut bound = Bound { events: EVENTS_MAX, until: Some(Instant::now() + DRAIN) };
    let mut drained = 0;
    for event in &envelope.events {
        let seen = plans.event(event)?;
        drained += into.of_session(loaded, seen.session.as_deref(), &mut bound);
        into.record(&seen)?;
        verdict.recorded += 1;
        if let Some(judged) = seen.judged {
            verdict = Verdict {
                word: judged.word,
                rule: judged.rule,
                decides: true,
                act: Some(judged.act),
                recorded: verdict.recorded,
            };
        }
        before.settle(&seen.settled);
    }
    let files = spool::files(&loaded.home).unwrap_or_default();
    // What this event asked for stands; what waits does so a little longer where it cannot be taken in.
    drained += into.files(loaded, files, &mut bound).unwrap_or_default();
    verdict.recorded += drained;
    Ok(verdict)
}

/// Whether leave stands in a session under the id of an approval. Where that cannot be known, there is none.
fn is_approved(ledger: &Ledger, session: &str, approval: &str) -> bool {
    let question = Map::from_iter([
        ("status".to_owned(), "approved".into()),
        ("session_id".to_owned(), session.into()),
        ("at".to_owned(), plan::now().into()),
        ("limit".to_owned(), 100_000.into()),
    ]);
    let told = ledger.report(ENGINE, "approvals", &question, AsOf::Now);
    let rows = told.map(|(_, rows)| rows).unwrap_or_default();
    rows.as_array().is_some_and(|rows| rows.iter().any(|row| row["approval_id"] == approval))
}

/// Takes in what waits in the spool of a home that was just opened; how many events that were.
pub fn spool(ledger: &Ledger, loaded: &Loaded, actor: &Actor) -> Result<u64, Failure> {
    spooled(&Into { ledger, actor }, loaded)
}

/// Takes in everything that waits in the spool; how many events that were.
fn spooled(into: &Into<'_>, loaded: &Loaded) -> Result<u64, Failure> {
    let files =
        spool::files(&loaded.home).map_err(|e| crate::exit::unreadable(spool::DIRECTORY, &e))?;
    into.files(loaded, files, &mut { Bound::NONE })
}

/// The ledger, and who acts.
struct Into<'a> {
    ledger: &'a Ledger,
    actor: &'a Actor,
}

impl Into<'_> {
    /// Records what an event asks for. All at once where nothing is missing, as nearly always.
    fn record(&self, seen: &Seen) -> Result<(), Failure> {
        let calls = seen.wishes.iter().map(|wish| self.call(wish.clone())).collect();
        let answers = self.ledger.submit_all(calls);
        for (wish, answer) in seen.wishes.iter().zip(answers) {
            let Err(failure) = answer else { continue };
            self.again(wish.clone(), failure, seen.start.as_ref())?;
        }
        Ok(())
    }

    /// What waits of the session that an event is of, and came before it; so that a call stands before its result. No
    /// more than what is taken in together, and nothing that would keep the event from being recorded.
    fn of_session(&self, loaded: &Loaded, session: Option<&str>, bound: &mut Bound) -> u64 {
        let Some(session) = session else { return 0 };
        let own = |path: &PathBuf| spool::is_of(path, session);
        let mut files = spool::files(&loaded.home).unwrap_or_default();
        files.retain(own);
        let mut little = Bound { events: TOGETHER.min(bound.events), until: bound.until };
        let drained = self.files(loaded, files, &mut little).unwrap_or_default();
        bound.events = bound.events.saturating_sub(TOGETHER - little.events);
        drained
    }

    /// Takes in files of the spool as far as the bound lets it; how many events that were.
    fn files(
        &self,
        loaded: &Loaded,
        files: Vec<PathBuf>,
        bound: &mut Bound,
    ) -> Result<u64, Failure> {
        if files.is_empty() {
            return Ok(0);
        }
        let failed = |e: &std::io::Error| crate::exit::unreadable(spool::DIRECTORY, e);
        let Some(aside) = Aside::load(&loaded.home, &loaded.settings().ledger)? else {
            return Ok(0);
        };
        let mut events = 0;
        for path in files {
            let Some(mut taken) = spool::take(&path).map_err(|e| failed(&e))? else { continue };
            while !bound.is_reached() {
                let most = TOGETHER.min(bound.events);
                let mut held = taken.next(&aside, &plan::VERBS, most).map_err(|e| failed(&e))?;
                if !held.is_empty() {
                    self.part(&mut held)?;
                    taken.told();
                }
                events += held.events.len() as u64;
                bound.events = bound.events.saturating_sub(held.events.len());
                if taken.is_at_end().map_err(|e| failed(&e))? {
                    // What stays is taken in again, and found to be there.
                    let _ = taken.done();
                    break;
                }
            }
        }
        Ok(events)
    }

    /// Records a part of a file, and that it came late. All at once where nothing is missing, as nearly always.
    fn part(&self, held: &mut spool::Held) -> Result<(), Failure> {
        let mut wishes = Vec::new();
        for event in &held.events {
            let start = event.calls.iter().find(|w| w.verb == "session-start");
            wishes.extend(event.calls.iter().map(|wish| {
                let mut wish = wish.clone();
                wish.intent.insert("observed_by".into(), "spool".into());
                (event.reason, wish, start)
            }));
        }
        let calls = wishes.iter().map(|(_, wish, _)| self.call(wish.clone())).collect();
        let answers = self.ledger.submit_all(calls);
        let mut refused = Vec::new();
        for ((reason, wish, start), answer) in wishes.into_iter().zip(answers) {
            let Err(failure) = answer else { continue };
            if let Some(code) = self.late(wish, failure, start)? {
                refused.push((reason, code));
            }
        }
        held.refused = refused;
        for gap in spool::gaps(held) {
            self.gap(gap)?;
        }
        Ok(())
    }

    /// A call of the spool that was refused; the code of the refusal where it does not fit any more.
    fn late(
        &self,
        mut wish: Wish,
        refused: Failure,
        start: Option<&Wish>,
    ) -> Result<Option<String>, Failure> {
        let mut told = self.again(wish.clone(), refused, start);
        if let Err(Failure::Refusal(refusal)) = &told
            && refusal.code == "from_future"
        {
            // The clock was set back since; that it happened counts more than when.
            wish.intent.remove("effective_at");
            let mut start = start.cloned();
            start.as_mut().map(|start| start.intent.remove("effective_at"));
            let next = self.ledger.submit(self.call(wish.clone())).map(drop);
            told = next.or_else(|failure| self.again(wish, failure, start.as_ref()));
        }
        match told {
            Err(Failure::Refusal(refusal)) if !is_lasting(&refusal) => Ok(Some(refusal.code)),
            told => told.map(|()| None),
        }
    }

    /// The receipt of a gap. One that stands already is left; one that is refused is told with what it must say alone,
    /// so that nothing waits behind it for ever.
    fn gap(&self, mut wish: Wish) -> Result<(), Failure> {
        let is_there = |refusal: &Refusal| {
            THERE.contains(&refusal.code.as_str()) || refusal.code == "id_used_for_other_intent"
        };
        match self.ledger.submit(self.call(wish.clone())) {
            Err(Failure::Refusal(refusal)) if is_there(&refusal) => Ok(()),
            Err(Failure::Refusal(refusal)) if !is_lasting(&refusal) => {
                wish.intent
                    .retain(|name, _| ["reason", "events", "observed_by"].contains(&&**name));
                self.ledger.submit(self.call(wish)).map(drop)
            }
            told => told.map(drop),
        }
    }

    /// Tries a call that was refused again, with what it lacked.
    fn again(&self, mut wish: Wish, refused: Failure, start: Option<&Wish>) -> Result<(), Failure> {
        let mut failure = refused;
        for _ in 0..TRIES {
            let Failure::Refusal(refusal) = &failure else { return Err(failure) };
            match (refusal.code.as_str(), start) {
                (code, _) if THERE.contains(&code) => return Ok(()),
                // The same act, recorded by another way: the id is made of session, call and phase.
                ("id_used_for_other_intent", _) => return Ok(()),
                ("unknown_session", Some(start)) => {
                    self.begin(start.clone(), false)?;
                    if wish.verb == "session-start" {
                        return Ok(());
                    }
                }
                ("session_ended", Some(start)) if wish.verb != "session-end" => {
                    self.begin(start.clone(), true)?;
                }
                ("session_ended", _) => return Ok(()),
                ("unknown_call", _) if phase(&wish.intent) == Some("result") => {
                    wish.intent.insert("phase".into(), "whole".into());
                    wish.id.push_str("-w");
                }
                _ => return Err(failure),
            }
            match self.ledger.submit(self.call(wish.clone())) {
                Ok(_) => return Ok(()),
                Err(next) => failure = next,
            }
        }
        Err(failure)
    }

    fn begin(&self, mut start: Wish, resumed: bool) -> Result<(), Failure> {
        if resumed {
            start.intent.insert("resumed".into(), true.into());
            // Each return is a start of its own.
            start.id = crate::session::fresh_id();
        }
        match self.ledger.submit(self.call(start)) {
            Err(Failure::Refusal(r))
                if r.code == "session_exists" || r.code == "id_used_for_other_intent" =>
            {
                Ok(())
            }
            told => told.map(drop),
        }
    }

    fn call(&self, wish: Wish) -> Call {
        Call {
            id: Some(wish.id),
            actor: self.actor.clone(),
            surface: "cli".into(),
            engine: ENGINE.into(),
            verb: wish.verb.into(),
            intent: wish.intent,
            tags: wish.tags,
        }
    }
}

fn phase(intent: &Map<String, Value>) -> Option<&str> {
    intent.get("phase")?.as_str()
}

/// Whether a refusal is one of the home and not of the call: then nothing of the spool may be deleted.
fn is_lasting(refusal: &Refusal) -> bool {
    refusal.kind == vm_contracts::RefusalKind::Unavailable
}
