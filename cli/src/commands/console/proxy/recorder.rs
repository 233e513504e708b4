//! Brings what the proxy saw into the ledger, from a thread of its own.

use super::Begun;
use super::lines::Seen;
use crate::commands::console::deliver::{self, Wish};
use crate::commands::console::envelope::{Envelope, Mode};
use crate::commands::console::hook;
use crate::commands::console::observe;
use crate::commands::console::plan;
use crate::commands::console::spool::Reason;
use crate::config::{Flags, Loaded};
use crate::session::{House, Session, Way, Words};
use serde_json::{Map, Value, json};
use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, SyncSender, TrySendError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Events that wait for the ledger; at most so much memory as these hold.
const QUEUE: usize = 1_024;
/// Bytes of events that wait.
const QUEUE_BYTES: u64 = 64 << 20;
/// Events that go to the ledger together.
const BATCH: usize = 64;
/// How long a batch waits for the home before it goes to the spool.
const WAIT: Duration = Duration::from_secs(2);
/// How long after the end of the server events may still go to the home; then they go to the spool.
const SOON: Duration = Duration::from_secs(1);
/// How long after it this process ends, whatever waits: whoever stopped the server waits for that.
const AT_LAST: Duration = Duration::from_secs(4);
/// How often the end is looked for.
const LOOK: Duration = Duration::from_millis(5);

/// Where events are put.
#[derive(Clone)]
pub struct Queue {
    to: SyncSender<(String, u64)>,
    waiting: Arc<AtomicU64>,
    events: Arc<AtomicU64>,
    lost: Arc<AtomicU64>,
    unread: Arc<AtomicU64>,
    nonce: Arc<str>,
    session: Arc<str>,
}

impl Queue {
    /// Puts an event in; one that finds no room is counted as lost.
    pub fn put(&self, seen: Seen) {
        let Some(event) = self.event(seen) else {
            self.unread.fetch_add(1, Ordering::Relaxed);
            return;
        };
        let bytes = event.len() as u64;
        let waiting = self.waiting.fetch_add(bytes, Ordering::Relaxed);
        self.events.fetch_add(1, Ordering::Relaxed);
        if waiting + bytes > QUEUE_BYTES || self.to.try_send((event, bytes)).is_err() {
            self.waiting.fetch_sub(bytes, Ordering::Relaxed);
            self.events.fetch_sub(1, Ordering::Relaxed);
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// As [`plan`] reads it: so many events of this session are not recorded.
    fn gap(&self, reason: &str, events: u64) -> String {
        let event = json!({
            "session_id": *self.session, "proxy": "gap", "at": plan::now(), "reason": reason,
            "events": events, "call_id": format!("{}-{reason}", self.nonce),
        });
        event.to_string()
    }

    /// As [`plan`] reads it.
    fn event(&self, seen: Seen) -> Option<String> {
        let call = |number: u64| format!("{}-{number}", self.nonce);
        let at = plan::now();
        let event = match seen {
            Seen::Call { number, tool, params } => json!({
                "session_id": *self.session, "proxy": "call", "at": at, "call_id": call(number),
                "tool": tool, "params": params,
            }),
            Seen::Answer { number, tool, result, is_error } => json!({
                "session_id": *self.session, "proxy": "result", "at": at, "call_id": call(number),
                "tool": tool, "result": result, "is_error": is_error,
            }),
            Seen::Unread => return None,
        };
        Some(event.to_string())
    }
}

/// The thread and its queue.
pub struct Recorder {
    queue: Queue,
    thread: JoinHandle<()>,
    around: Arc<Around>,
    own: bool,
}

impl Recorder {
    /// Starts it, in the session of this id or a new one.
    pub fn start(session: &Session<'_>, named: Option<&str>) -> Begun<Self> {
        let loaded = session.loaded()?;
        let fresh = crate::session::fresh_id();
        let id = named.map_or_else(|| format!("mcp-{fresh}"), str::to_owned);
        let (to, from) = mpsc::sync_channel(QUEUE);
        let nonce = fresh.rsplit('-').next().unwrap_or("0").to_owned();
        let queue = Queue {
            to,
            waiting: Arc::default(),
            events: Arc::default(),
            lost: Arc::default(),
            unread: Arc::default(),
            nonce: nonce.into(),
            session: id.into(),
        };
        let around = Arc::new(Around {
            isolation: observe::isolation(&loaded.home).word(),
            cwd: std::env::current_dir().ok().and_then(|d| d.to_str().map(str::to_owned)),
            loaded,
            is_late: AtomicBool::new(false),
        });
        let work = Work {
            house: session.house,
            flags: session.flags.clone(),
            around: around.clone(),
            waiting: queue.waiting.clone(),
            events: queue.events.clone(),
        };
        let thread = std::thread::spawn(move || work.run(&from));
        Ok(Self { queue, thread, around, own: named.is_none() })
    }

    /// The session that is recorded.
    pub fn session(&self) -> &str {
        &self.queue.session
    }

    /// Where events are put.
    pub fn queue(&self) -> Queue {
        self.queue.clone()
    }

    /// Records what is left: what was lost, and the end of a session of our own. What cannot be recorded within a time
    /// is told to the spool as a gap.
    pub fn end(self, code: Option<u8>) {
        let Self { queue, thread, around, own } = self;
        let began = Instant::now();
        let at = plan::now();
        let mut last = Vec::new();
        for (reason, count) in [("spool_full", &queue.lost), ("malformed", &queue.unread)] {
            let events = count.load(Ordering::Relaxed);
            if events > 0 {
                last.push(queue.gap(reason, events));
            }
        }
        if own {
            let end = json!({
                "session_id": *queue.session, "proxy": "end", "at": at, "exit_code": code,
                "call_id": format!("{}-end", queue.nonce),
            });
            last.push(end.to_string());
        }
        queue.events.fetch_add(last.len() as u64, Ordering::Relaxed);
        // The copies of other threads end with the process; an empty word ends the thread.
        last.push(String::new());
        let mut last = VecDeque::from(last);
        // A thread that broke has nothing left to record.
        while !thread.is_finished() && began.elapsed() < AT_LAST {
            // There is room now that nothing more comes, or there will be.
            while let Some(event) = last.pop_front() {
                if let Err(TrySendError::Full((event, _))) = queue.to.try_send((event, 0)) {
                    last.push_front(event);
                    break;
                }
            }
            if began.elapsed() > SOON {
                around.is_late.store(true, Ordering::Relaxed);
            }
            std::thread::sleep(LOOK);
        }
        let left = queue.events.load(Ordering::Relaxed);
        if left > 0 {
            around.keep_aside(vec![queue.gap("deadline", left)]);
        }
    }
}

/// What is known beside the events.
struct Around {
    loaded: Loaded,
    isolation: &'static str,
    cwd: Option<String>,
    /// Whether events go to the spool at once.
    is_late: AtomicBool,
}

impl Around {
    fn envelope(&self, events: Vec<String>) -> Envelope {
        Envelope {
            agent: "mcp".into(),
            mode: Mode::Record,
            isolation: self.isolation.into(),
            cwd: self.cwd.clone(),
            seen_at: plan::now(),
            observed_by: "proxy".into(),
            events,
            ..Envelope::empty()
        }
    }

    fn keep_aside(&self, events: Vec<String>) {
        hook::keep_aside(&self.loaded, &self.envelope(events), Reason::Deadline);
    }
}

/// What the thread works with.
struct Work {
    house: House,
    flags: Flags,
    around: Arc<Around>,
    waiting: Arc<AtomicU64>,
    events: Arc<AtomicU64>,
}

impl Work {
    fn run(self, from: &Receiver<(String, u64)>) {
        while let Ok(first) = from.recv() {
            let mut batch = vec![first];
            batch.extend(from.try_iter().take(BATCH - 1));
            let bytes = batch.iter().map(|(_, bytes)| bytes).sum();
            let last = batch.iter().any(|(event, _)| event.is_empty());
            let events = batch.into_iter().map(|(event, _)| event).filter(|e| !e.is_empty());
            let events: Vec<String> = events.collect();
            let count = events.len() as u64;
            self.record(events);
            self.events.fetch_sub(count, Ordering::Relaxed);
            self.waiting.fetch_sub(bytes, Ordering::Relaxed);
            if last {
                return;
            }
        }
    }

    fn record(&self, events: Vec<String>) {
        if events.is_empty() {
            return;
        }
        if self.around.is_late.load(Ordering::Relaxed) {
            return self.around.keep_aside(events);
        }
        let (around, envelope) = (&self.around, self.around.envelope(events));
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let mut input = std::io::empty();
        let screen = deliver::quiet(&mut out, &mut err, &mut input);
        let kind = crate::client::forward::Kind { is_call: false, is_batch: false };
        let read = Rc::new(RefCell::new(None));
        let way = Way::Find(Words { all: Vec::new(), read, kind });
        let id = crate::session::fresh_id();
        let mut session = Session { house: self.house, screen, flags: self.flags.clone(), id, way };
        if hook::carry(&mut session, &around.loaded, &envelope, WAIT).is_err() {
            hook::keep_aside(&around.loaded, &envelope, Reason::NoOwner);
        }
    }
}

/// The calls of one event of the proxy.
pub fn wishes(key: &[u8; 32], event: &Value) -> Option<(String, Vec<Wish>)> {
    use vm_console::keyed;
    let text = |name: &str| event[name].as_str();
    let session = keyed::session_id(key, text("session_id")?);
    let call = keyed::call_id(key, text("call_id")?);
    let mut intent = Map::new();
    let mut put = |name: &str, value: Value| {
        intent.insert(name.to_owned(), value);
    };
    put("session_id", session.as_str().into());
    put("observed_by", "proxy".into());
    put("effective_at", text("at")?.into());
    let (verb, phase) = match text("proxy")? {
        "call" => {
            let params = event["params"].to_string();
            put("params_hash", keyed::args(key, params.as_bytes()).into());
            put("params", plan::private(&params, plan::PARAMS_BYTES_MAX).into());
            ("tool-call", "call")
        }
        "result" => {
            let result = event["result"].to_string();
            put("result_hash", vm_receipts::Blake3::of(result.as_bytes()).to_string().into());
            put("result_bytes", result.len().into());
            put("is_error", event["is_error"].clone());
            ("tool-call", "result")
        }
        "gap" => {
            put("reason", text("reason")?.into());
            put("events", event["events"].clone());
            ("gap", "gap")
        }
        "end" => {
            put("exit_reason", "exit".into());
            if event["exit_code"].is_number() {
                put("exit_code", event["exit_code"].clone());
            }
            ("session-end", "end")
        }
        _ => return None,
    };
    if verb == "tool-call" {
        put("call_id", call.as_str().into());
        put("phase", phase.into());
        put("tool_name", plan::name(text("tool")?).into());
    }
    let id = keyed::receipt_id(key, &session, &call, phase);
    Some((session, vec![Wish { verb, id, intent, tags: Vec::new() }]))
}
