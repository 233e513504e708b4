//! What the process that saw an event finds out at once: which call it is, and what is in the files that it names.
//!
//! Whoever records the event may come to it later, and twice: the owner of the home and the spool. By then another
//! call may have changed the files. So it is looked up once, before the event goes anywhere.

use super::before::{Act, Before};
use super::envelope::Envelope;
use super::observe::{self, Content, Project};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use vm_console::keyed;
use vm_console::read::event::Call;
use vm_console::read::hook::{self, Hooked, Kind};
use vm_console::read::tool::{Change, Tool};

/// What stands for a file that is not there.
pub const ABSENT: &str = "absent";

/// What was found out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Glance {
    /// The id of the call.
    pub call: Option<String>,
    /// The files that the call changes, in its order.
    pub files: Vec<Look>,
}

/// Digests of one file, as far as they are known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Look {
    /// Before the call began.
    pub old: Option<String>,
    /// Now.
    pub now: Option<String>,
}

impl Glance {
    /// Looks. Where the call begins, what is found is kept for its end.
    pub fn of(key: &[u8; 32], before: &Before, envelope: &Envelope, event: &str) -> Self {
        let Ok(told) = hook::event(event.as_bytes(), "") else { return Self::default() };
        let Some(call) = &told.call else { return Self::default() };
        if !matches!(told.kind, Kind::BeforeTool | Kind::AfterTool | Kind::ToolFailed) {
            return Self::default();
        }
        let begins = told.kind == Kind::BeforeTool;
        let session = keyed::session_id(key, &told.session);
        let id = id(key, before, envelope, &told, call);
        let cwd = told.facts.cwd.as_deref().or(envelope.cwd.as_deref());
        let project = cwd.and_then(|cwd| Project::around(Path::new(cwd)));
        let cwd = call.cwd.as_deref().or(cwd);
        let act: Act = (session, id.clone());
        let look = |(number, change): (usize, &Change)| {
            let content = observe::content(&path(&change.path, cwd), project.as_ref());
            let (act, now) = (numbered(&act, number), digest(key, &change.path, &content));
            match (begins, &now) {
                (true, Some(now)) => before.keep(&act, now),
                // What an earlier call of this id left there is not about this one.
                (true, None) => before.settle(std::slice::from_ref(&act)),
                _ => {}
            }
            Look { old: before.find(&act).filter(|_| !begins), now }
        };
        let tool = Tool::of(&call.name, &call.input);
        Self { call: Some(id), files: changes(&tool).iter().enumerate().map(look).collect() }
    }

    /// As it stands in an envelope.
    pub fn to_json(&self) -> Value {
        let files: Vec<_> = self.files.iter().map(|l| json!([l.old, l.now])).collect();
        json!({ "call": self.call, "files": files })
    }

    /// Reads one; what is no digest and no id is left out.
    pub fn of_json(value: &Value) -> Option<Self> {
        let text = |v: &Value| v.as_str().map(str::to_owned);
        let digest = |v: &Value| text(v).filter(|t| t == ABSENT || keyed::is_content(t));
        let files = value.get("files")?.as_array()?.iter();
        Some(Self {
            call: text(&value["call"]).filter(|id| keyed::is_plain_id(id)),
            files: files.map(|f| Look { old: digest(&f[0]), now: digest(&f[1]) }).collect(),
        })
    }
}

/// The id of a call. One that its agent gave no id is named by the process that saw it begin, so that the same call
/// may come again; what its end will be known by is kept.
fn id(key: &[u8; 32], before: &Before, envelope: &Envelope, told: &Hooked, call: &Call) -> String {
    let own = fresh(key, envelope, told, call);
    if told.named {
        return own;
    }
    let open = open(key, told, call);
    if told.kind == Kind::BeforeTool {
        before.keep(&open, &own);
        return own;
    }
    before.id(&open).unwrap_or(own)
}

/// The id of a call of which nobody saw more than this event.
pub fn fresh(key: &[u8; 32], envelope: &Envelope, told: &Hooked, call: &Call) -> String {
    match told.named {
        true => keyed::call_id(key, &call.id),
        false => keyed::call_id(key, &format!("{}/{}", call.id, envelope.nonce)),
    }
}

/// What the end of a call without an id is known by.
pub fn open(key: &[u8; 32], told: &Hooked, call: &Call) -> Act {
    let id = keyed::call_id(key, &call.id);
    (keyed::session_id(key, &told.session), format!("{id}.open"))
}

/// A change of a call.
pub fn numbered((session, call): &Act, number: usize) -> Act {
    (session.clone(), format!("{call}.{number}"))
}

/// The files that a tool changes.
pub fn changes(tool: &Tool) -> &[Change] {
    match tool {
        Tool::Edit(changes) => changes,
        _ => &[],
    }
}

fn path(named: &str, cwd: Option<&str>) -> PathBuf {
    Path::new(cwd.unwrap_or("/")).join(named)
}

fn digest(key: &[u8; 32], path: &str, content: &Content) -> Option<String> {
    match content {
        Content::Absent => Some(ABSENT.to_owned()),
        Content::Bytes(bytes) => Some(keyed::content(key, path, bytes)),
        Content::Unknown => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::plan::Plans;
    use super::super::rules::Rules;
    use super::*;
    use std::fs;

    const KEY: [u8; 32] = [7; 32];

    fn seen(envelope: &Envelope, before: &Before) -> Vec<super::super::deliver::Wish> {
        let (rules, approved) = (Rules::default(), |_: &str, _: &str| false);
        let plans = Plans { key: &KEY, envelope, rules: &rules, before, approved: &approved };
        plans.event(&envelope.events[0]).unwrap().wishes
    }

    #[test]
    fn the_owner_and_the_spool_say_what_the_hook_saw_whatever_comes_between() {
        let dir = tempfile::tempdir().unwrap();
        let before = Before::of(dir.path());
        let path = dir.path().join("a");
        let envelope = |name: &str, nonce: &str| {
            let event = json!({
                "session_id": "s-1", "hook_event_name": name, "tool_name": "write_file",
                "tool_input": {"file_path": path, "content": "x"}, "tool_response": {"ok": true},
            });
            let mut envelope = Envelope::empty();
            (envelope.nonce, envelope.seen_at) = (nonce.into(), super::super::plan::now());
            envelope.events = vec![event.to_string()];
            envelope.glance = Some(Glance::of(&KEY, &before, &envelope, &envelope.events[0]));
            envelope
        };
        fs::write(&path, "one").unwrap();
        let begun = envelope("BeforeTool", "n-1");
        fs::write(&path, "two").unwrap();
        let ended = envelope("AfterTool", "n-2");
        fs::write(&path, "of somebody else").unwrap();
        let owner = [seen(&begun, &before), seen(&ended, &before)].concat();
        let told = hook::event(ended.events[0].as_bytes(), "").unwrap();
        before.settle(&[open(&KEY, &told, told.call.as_ref().unwrap())]);
        let spool = [seen(&begun, &before), seen(&ended, &before)].concat();
        assert_eq!(owner, spool);
        let edit = owner.iter().find(|wish| wish.verb == "file-edit").unwrap();
        assert_eq!(edit.intent["old_hash"], keyed::digest(b"one"));
        assert_eq!(edit.intent["new_hash"], keyed::digest(b"two"));
        assert_eq!(owner[0].intent["call_id"], owner[1].intent["call_id"]);
        let again = seen(&envelope("BeforeTool", "n-3"), &before);
        assert_ne!(owner[0].intent["call_id"], again[0].intent["call_id"]);
    }
}
