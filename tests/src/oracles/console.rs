//! Oracles for foreign records of agents: whatever they hold, each call that comes of them is one that the ledger's
//! edge takes, says nothing secret, and comes again from the same bytes.

use std::sync::OnceLock;
use vm_console::policy::{Policy, starter};
use vm_console::read::planner::{Phase, Planner, Seen};
use vm_console::read::tool::Tool;
use vm_console::read::{CLAUDE, CLAUDE_DOCUMENT, Format, Kept, OTLP, TRAJECTORY, hook, planner};
use vm_console::secrets;
use vm_console::state::State;
use vm_console::{Console, keyed};
use vm_contracts::{
    AnyEngine, Feed, Hosted, Import, Moment, NoPlaces, Planned, Streaming, Value, edge,
};

const KEY: [u8; 32] = [7; 32];
const ENGINE: Hosted<Console> = Hosted::new();

fn now() -> Moment {
    Moment::from_unix_ms(1_790_000_000_000).expect("a time of this century")
}

fn read(format: &'static Format, data: &[u8]) -> Option<Import> {
    let state = State::default();
    let mut sink = Kept::new(&state);
    let feed = Feed { name: "source", key: &KEY, now: now(), places: &NoPlaces };
    match format.stream(feed, &mut &data[..], &mut sink) {
        Ok(()) => Some(sink.import),
        Err(failure) => {
            assert!(!failure.code().is_empty());
            None
        }
    }
}

fn sound(planned: &Planned) {
    let spec = ENGINE.operation(planned.verb).expect("a reader names operations of its engine");
    let admitted = edge::admit(spec, &planned.intent);
    assert!(admitted.is_ok(), "{}: {:?}", planned.verb, admitted);
    assert!(planned.id.len() <= 64 && keyed::is_plain_id(&planned.id), "{}", planned.id);
    each_text(&Value::Object(planned.intent.clone()), &mut |text| {
        assert!(!secrets::holds_secret(text.as_bytes()), "{} keeps a secret", planned.verb);
    });
}

fn each_text(value: &Value, visit: &mut dyn FnMut(&str)) {
    match value {
        Value::String(text) => visit(text),
        Value::Array(items) => items.iter().for_each(|item| each_text(item, visit)),
        Value::Object(map) => map.values().for_each(|item| each_text(item, visit)),
        _ => {}
    }
}

fn record(format: &'static Format, data: &[u8]) {
    let Some(import) = read(format, data) else { return };
    import.calls.iter().for_each(sound);
    let again = read(format, data).expect("the same bytes were read before");
    assert_eq!(again.calls.len(), import.calls.len());
    for (one, other) in import.calls.iter().zip(&again.calls) {
        assert_eq!(
            (&one.id, &one.intent),
            (&other.id, &other.intent),
            "the same bytes read in two ways"
        );
    }
}

/// A transcript as JSON lines.
pub fn transcript(data: &[u8]) {
    record(&CLAUDE, data);
}

/// An older transcript, or telemetry, in one document.
pub fn transcript_document(data: &[u8]) {
    record(&CLAUDE_DOCUMENT, data);
}

/// A trajectory.
pub fn trajectory(data: &[u8]) {
    record(&TRAJECTORY, data);
}

/// Telemetry.
pub fn otlp(data: &[u8]) {
    record(&OTLP, data);
}

/// An event that an agent tells: refused without being repeated, or one whose call is sound, whatever the policy says.
pub fn hook_event(data: &[u8]) {
    let Ok(hooked) = hook::event(data, "agent") else { return };
    let Some(call) = &hooked.call else { return };
    let tool = Tool::of(&call.name, &call.input);
    let judged = policy().judge_call(&call.name, &tool, &[]);
    let (session, id) = (keyed::session_id(&KEY, &hooked.session), keyed::call_id(&KEY, &call.id));
    let planner =
        Planner { key: &KEY, observed_by: "hook", mode: "record", source_format: None, now: now() };
    let act = planner::Act {
        session: &session,
        call: &id,
        name: &call.name,
        tool: &tool,
        input: &call.input,
        cwd: call.cwd.as_deref(),
        outcome: hooked.outcome.as_ref(),
        verdict: Some((judged.verdict.word(), judged.rule.as_deref())),
    };
    let start =
        planner.start(&session, &hooked.facts, planner::Root::default(), None, &Seen::default());
    sound(&start);
    for phase in [Phase::Call, Phase::Result, Phase::Whole] {
        sound(&planner.act(&act, phase, &Seen::default()));
    }
}

/// A command line: judged in time that grows with it, and never more mildly for what is joined to it.
pub fn command_line(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let judged = policy().judge_command(&text);
    let more = policy().judge_command(&format!("rm -rf / ;\n{text}"));
    assert!(
        more.verdict >= judged.verdict,
        "{text:?} is judged more mildly with a denied command before it"
    );
    let kept = vm_console::read::text::kept(&text, 512);
    assert!(kept.len() <= 512 && !secrets::holds_secret(kept.as_bytes()));
}

fn policy() -> &'static Policy {
    static POLICY: OnceLock<Policy> = OnceLock::new();
    POLICY.get_or_init(|| Policy::parse(&starter()).expect("the starter rules are sound"))
}
