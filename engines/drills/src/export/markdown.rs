//! A report in Markdown: every sealed drill with its stages, numbers and findings.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::Value;
use vm_contracts::{Export, Exporter, Failure, History, Line, Term};
use vm_receipts::line::End;

use crate::outcome::Outcome;
use crate::reports::findings::titles;
use crate::state::{Item, State, text, texts};

/// Writes Markdown.
pub struct Markdown;

impl Exporter<State> for Markdown {
    fn format(&self) -> &'static str {
        "markdown"
    }

    fn about(&self) -> &'static str {
        "Report in Markdown: drills, stages, numbers and findings"
    }

    fn write(&self, state: &State, history: &mut dyn History) -> Result<Export, Failure> {
        let terms = [Term { field: "type".to_owned(), value: "security_drill_run".to_owned() }];
        let mut lines = Vec::new();
        history.scan(&terms, &mut |line| {
            lines.push(line.clone());
            true
        })?;
        let titles = titles(history, None)?;
        let mut findings: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (id, item) in state.items.iter() {
            let title = titles.get(&id).and_then(Value::as_str).unwrap_or("(not readable here)");
            findings.entry(item.drill_id.clone()).or_default().push(finding(&id, &item, title));
        }
        let mut notices = Vec::new();
        let mut out = String::from("# Drills\n");
        for line in &lines {
            let prompt = history.opened(line)?.remove("prompt");
            let prompt = prompt.as_ref().and_then(Value::as_str);
            if line.end == End::Aborted {
                given_up(&mut out, line, prompt);
                continue;
            }
            one(&mut out, line, prompt);
            let id = text(&line.body, "drill_id").unwrap_or_default();
            findings.get(id).into_iter().flatten().for_each(|line| out.push_str(line));
        }
        if lines.is_empty() {
            out.push_str("\nNo drill is sealed.\n");
        } else {
            let what = "the report holds private texts that this home can open: prompts, titles";
            notices.push(what.to_owned());
        }
        Ok(Export { text: out, notices })
    }
}

/// One finding.
fn finding(id: &str, item: &Item, title: &str) -> String {
    let how = item.resolution.as_deref().unwrap_or("open");
    let (id, stage, title) = (cell(id), cell(&item.stage), cell(title));
    format!("- Finding {id} ({}, {how}), stage {stage}: {title}\n", item.severity)
}

/// A drill that was given up. Its receipt holds what was asked for and why it ended; what its stages came to stands in
/// its case, which a report does not read.
fn given_up(out: &mut String, line: &Line, prompt: Option<&str>) {
    let id = cell(&line.id);
    let title = text(&line.body, "title").map_or_else(|| format!("Drill {id}"), cell);
    let _ = writeln!(out, "\n## {title} (aborted)\n");
    let _ = writeln!(out, "- Drill {id}, receipt {}/{}", line.scroll, line.seq);
    let code = line.body.get("fault").and_then(|fault| fault.get("code")).and_then(Value::as_str);
    let _ = writeln!(out, "- Aborted: {}, sealed {}", cell(code.unwrap_or("unknown")), line.at);
    if let Some(severity) = text(&line.body, "severity") {
        let _ = writeln!(out, "- Severity {}", cell(severity));
    }
    if let Some(prompt) = prompt {
        let _ = writeln!(out, "- Prompt: {}", cell(prompt));
    }
    let _ = writeln!(out, "- Files: cases/drills/{id}\n");
}

/// One drill. Writing to a text never fails.
fn one(out: &mut String, line: &Line, prompt: Option<&str>) {
    let body = &line.body;
    let word = |name: &str| cell(text(body, name).unwrap_or("—"));
    let number = |name: &str| body.get(name).and_then(Value::as_u64);
    let _ = writeln!(out, "\n## {}\n", word("title"));
    let _ = writeln!(out, "- Drill {}, receipt {}/{}", word("drill_id"), line.scroll, line.seq);
    let _ =
        writeln!(out, "- From {} to {}", word("timestamp_started"), word("timestamp_completed"));
    let _ = writeln!(
        out,
        "- Runbook {} ({}), severity {}",
        word("runbook_name"),
        word("runbook_digest"),
        word("severity")
    );
    if let Some(prompt) = prompt {
        let _ = writeln!(out, "- Prompt: {}", cell(prompt));
    }
    let counts: Vec<String> = Outcome::ALL
        .iter()
        .map(|o| format!("{} {}", number(o.word()).unwrap_or(0), o.word()))
        .collect();
    let _ =
        writeln!(out, "- {} stages: {}", number("stages_total").unwrap_or(0), counts.join(", "));
    if let Some(rate) = number("detection_rate_bp") {
        let _ = writeln!(
            out,
            "- Noticed: {}.{:02} % of the stages that were run",
            rate / 100,
            rate % 100
        );
    }
    if let Some(ms) = number("time_to_detect_ms") {
        let _ = writeln!(out, "- Median time to detect: {}.{:03} s", ms / 1000, ms % 1000);
    }
    if let Some(verified) = body.get("cleanup_verified").and_then(Value::as_bool) {
        let _ = writeln!(out, "- Cleaned up: {}", if verified { "yes" } else { "no" });
    }
    if !texts(body, "approvals").is_empty() {
        let _ =
            writeln!(out, "- Approved by receipts {}", cell(&texts(body, "approvals").join(", ")));
    }
    let Some(stages) = body.get("stage_outcomes").and_then(Value::as_array) else {
        let _ = writeln!(
            out,
            "- Outcomes by technique: {}\n",
            cell(&texts(body, "technique_outcomes").join(", "))
        );
        return;
    };
    out.push_str("\n| stage | technique | outcome | time to detect |\n|---|---|---|---|\n");
    for stage in stages {
        let field = |name: &str| cell(stage.get(name).and_then(Value::as_str).unwrap_or(""));
        let time = stage.get("time_to_detect_ms").and_then(Value::as_u64);
        let time = time.map_or_else(String::new, |ms| format!("{}.{:03} s", ms / 1000, ms % 1000));
        let _ = writeln!(
            out,
            "| {} | {} | {} | {time} |",
            field("stage"),
            field("technique"),
            field("outcome")
        );
    }
    out.push('\n');
}

/// Text that cannot become structure: whatever Markdown or HTML would act on is escaped.
fn cell(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '\\' | '`' | '*' | '[' | ']' | '<' | '>' | '|' | '#' | '!' => out.extend(['\\', c]),
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::cell;
    use crate::testing::Bench;
    use serde_json::json;
    use vm_receipts::line::End;

    #[test]
    fn a_report_has_every_drill_with_its_numbers_and_findings() {
        let mut bench = Bench::new();
        assert!(bench.export("markdown").text.contains("No drill is sealed"));
        bench.drilled("d1", &["missed", "detected", "blocked"]);
        bench.ok("action-item", json!({"drill_id": "d1", "stage": "01-one", "title": "a | b"}));
        let report = bench.export("markdown").text;
        for part in
            ["- Drill d1,", "66.66 %", "| 01-one | T1000 | missed |", "a \\| b", "- Prompt: why"]
        {
            assert!(report.contains(part), "{part}\n{report}");
        }
        bench.forget();
        let report = bench.export("markdown").text;
        assert!(report.contains("(not readable here)") && !report.contains("Prompt"));
    }

    #[test]
    fn a_drill_that_was_given_up_says_so_and_shows_no_empty_numbers() {
        let mut bench = Bench::new();
        bench.drilled("d1", &["missed"]);
        let given_up = |bench: &mut Bench, body: serde_json::Value| {
            let line = &mut bench.lines[0];
            (line.end, line.body) = (End::Aborted, body.as_object().unwrap().clone());
            bench.export("markdown").text
        };
        let fault = json!({"code": "aborted_by_actor"});
        let report = given_up(&mut bench, json!({"fault": fault}));
        for part in ["## Drill d1 (aborted)", "- Drill d1, receipt", "- Aborted: aborted_by_actor"]
        {
            assert!(report.contains(part), "{part}\n{report}");
        }
        assert!(!report.contains('—') && !report.contains("0 stages"), "{report}");
        let report = given_up(&mut bench, json!({"fault": fault, "title": "Gate *closed*"}));
        assert!(report.contains("## Gate \\*closed\\* (aborted)"), "{report}");
    }

    #[test]
    fn no_text_becomes_structure() {
        assert_eq!(cell("[x](y) <b>\n# h"), "\\[x\\](y) \\<b\\> \\# h");
    }
}
