//! A report in Markdown: every session with its numbers and events, and every commit.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use vm_contracts::{Export, Exporter, Failure, History, Value};

use super::PRIVATE;
use crate::reports::sessions::observed;
use crate::reports::{moment_text, time_ms, told};
use crate::state::{Session, State};

/// Writes Markdown.
pub struct Markdown;

/// Most events shown of one session; a report is for people.
const EVENTS_MAX: usize = 1_000;

/// What is shown of a session: how many events there are, and the first of them.
#[derive(Default)]
struct Events {
    count: u64,
    shown: Vec<(i64, u64, String)>,
}

impl Exporter<State> for Markdown {
    fn format(&self) -> &'static str {
        "markdown"
    }

    fn about(&self) -> &'static str {
        "Report in Markdown: sessions with their events, and commits"
    }

    fn write(&self, state: &State, history: &mut dyn History) -> Result<Export, Failure> {
        let mut sessions: BTreeMap<String, Events> = BTreeMap::new();
        let mut commits = String::new();
        history.scan_opened(&[], &mut |line, opened| {
            let text = |name: &str| line.body.get(name).and_then(Value::as_str);
            let at_ms = time_ms(text("effective_at")).unwrap_or_else(|| line.at.unix_ms());
            let row = || {
                let seen = text("observed_by").unwrap_or("?");
                let when = moment_text(at_ms).unwrap_or_default();
                format!("- {when} [{seen}] {}\n", cell(&told(line, opened)))
            };
            if line.kind == "console_git_commit" {
                commits.push_str(&row());
            } else if let Some(id) = text("session_id").or(text("parent_session_id"))
                && line.kind.starts_with("console_")
            {
                let events = sessions.entry(id.to_owned()).or_default();
                events.count += 1;
                if events.shown.len() < EVENTS_MAX {
                    events.shown.push((at_ms, line.seq, row()));
                }
            }
            true
        })?;
        let mut out = String::from("# Sessions of agents\n");
        let mut all: Vec<_> = state.sessions.iter().collect();
        all.sort_by_key(|(_, s)| (s.started_ms, s.seq));
        for (id, session) in &all {
            one(&mut out, state, id, session, sessions.remove(id).unwrap_or_default());
        }
        if all.is_empty() {
            out.push_str("\nNo session is recorded.\n");
        }
        if !commits.is_empty() {
            out.push_str("\n## Commits\n\n");
            out.push_str(&commits);
        }
        let notices = if all.is_empty() { Vec::new() } else { vec![PRIVATE.to_owned()] };
        Ok(Export { text: out, notices })
    }
}

/// One session. Writing to a text never fails.
fn one(out: &mut String, state: &State, id: &String, session: &Session, mut events: Events) {
    let counts = &session.counts;
    let _ = writeln!(out, "\n## {}\n", cell(id));
    let model = session.model_id.as_deref().unwrap_or("a model that nobody told");
    let _ = writeln!(out, "- Agent {} with {}", cell(&session.agent_type), cell(model));
    if let Some(parent) = state.parents.get(id) {
        let _ = writeln!(out, "- Spawned by {}", cell(&parent.parent));
    }
    let end = session.ended_ms.and_then(moment_text);
    let _ = writeln!(
        out,
        "- From {} to {}",
        moment_text(session.started_ms).unwrap_or_default(),
        end.as_deref().unwrap_or("(still open)")
    );
    let _ = writeln!(
        out,
        "- Calls seen as they happened: {} (mode {})",
        observed(session),
        cell(&session.mode)
    );
    let _ = writeln!(
        out,
        "- {} commands, {} files, {} other tools; {} without a result, {} denied",
        counts.commands, counts.files, counts.tool_calls, counts.open, counts.denied
    );
    for (count, what) in [
        (counts.violations, "acts against the policy"),
        (counts.external, "edits of files that somebody else had changed"),
        (counts.gaps, "gaps in the record"),
    ] {
        if count > 0 {
            let _ = writeln!(out, "- **{count} {what}**");
        }
    }
    let usage = &session.usage;
    if usage.input > 0 || usage.output > 0 {
        let _ = writeln!(out, "- {} tokens read, {} written", usage.input, usage.output);
    }
    out.push('\n');
    events.shown.sort_by_key(|(at_ms, seq, _)| (*at_ms, *seq));
    events.shown.iter().for_each(|(_, _, row)| out.push_str(row));
    let more = events.count.saturating_sub(events.shown.len() as u64);
    if more > 0 {
        let _ = writeln!(out, "- … and {more} more events; `vm console replay` shows them.");
    }
}

/// Text that cannot become structure: whatever Markdown or HTML would act on is escaped.
fn cell(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '\\' | '`' | '*' | '_' | '[' | ']' | '<' | '>' | '|' | '#' | '!' | '&' => {
                out.extend(['\\', c])
            }
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use crate::testing::Bench;
    use serde_json::json;

    #[test]
    fn a_report_has_every_session_with_its_numbers_and_no_text_becomes_structure() {
        let mut bench = Bench::new();
        assert!(bench.export("markdown").text.contains("No session is recorded"));
        bench.start("s");
        bench.ok(
            "command",
            json!({"session_id": "s", "call_id": "c", "phase": "whole", "command": "echo <b>*x*", "verdict": "deny", "observed_by": "hook"}),
        );
        let text = bench.export("markdown").text;
        for part in ["## s\n", "1 of 1", "**1 acts against the policy**", "$ echo \\<b\\>\\*x\\*"] {
            assert!(text.contains(part), "{part}\n{text}");
        }
        bench.forget();
        assert!(bench.export("markdown").text.contains("(not readable here)"));
    }
}
