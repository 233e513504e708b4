//! The theme `console`: how fast a transcript comes into a ledger, and what memory that takes.

use crate::row::Row;
use serde_json::{Value, json};
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Size of the transcript in MB.
const SIZE_MB: f64 = 128.0;
/// MB a second at least, commits included.
const RATE_MIN: f64 = 20.0;
/// Most memory of the process in MiB, whatever the size.
const MEMORY_MAX: f64 = 256.0;

/// Rate and memory of one import by the program itself, into a home of its own.
pub fn rows(scratch: &Path) -> Result<Vec<Row>, String> {
    let vm = program()?;
    fs::create_dir_all(scratch).map_err(|e| e.to_string())?;
    let home = std::path::absolute(scratch.join("import")).map_err(|e| e.to_string())?;
    let guard = std::path::absolute(scratch.join("import-guard")).map_err(|e| e.to_string())?;
    let file = scratch.join("session.jsonl");
    let bytes = transcript(&file).map_err(|e| e.to_string())?;
    let guard = guard.display().to_string();
    run(Command::new(&vm).env("VM_HOME", &home).args(["init", "--node", "n1", "--guard", &guard]))?;
    let began = Instant::now();
    let import = |file: &Path| {
        let mut command = Command::new(&vm);
        command.env("VM_HOME", &home).args(["console", "import"]).arg(file);
        command
    };
    let memory = run(&mut import(&file))?;
    let rate = bytes / began.elapsed().as_secs_f64() / 1e6;
    let began = Instant::now();
    run(&mut import(&file))?;
    let again = bytes / began.elapsed().as_secs_f64() / 1e6;
    let goal = format!("at least {RATE_MIN} MB/s");
    let explained = crate::console_explain::rows(&vm, scratch)?;
    let mut rows = vec![
        Row::plain("console import", rate, "MB/s").goal(goal, rate >= RATE_MIN),
        Row::plain("console import of what is there", again, "MB/s"),
        Row::plain("console import memory", memory, "MiB").at_most(MEMORY_MAX),
    ];
    rows.extend(explained);
    Ok(rows)
}

/// The program stands beside this one, or one directory further up.
fn program() -> Result<PathBuf, String> {
    let here = std::env::current_exe().map_err(|e| e.to_string())?;
    let found = here.ancestors().skip(1).take(2).map(|dir| dir.join("vm")).find(|p| p.is_file());
    found.ok_or_else(|| "build the program first: cargo build --release --bin vm".into())
}

/// Runs it to its end; the most memory it had, in MiB.
fn run(command: &mut Command) -> Result<f64, String> {
    let mut child = command.stdout(Stdio::null()).stdin(Stdio::null()).spawn();
    let child = child.as_mut().map_err(|e| e.to_string())?;
    let mut peak = 0.0;
    loop {
        peak = memory(child).max(peak);
        match child.try_wait().map_err(|e| e.to_string())? {
            Some(status) if status.success() => return Ok(peak),
            Some(status) => return Err(format!("{command:?}: {status}")),
            None => std::thread::sleep(Duration::from_millis(5)),
        }
    }
}

fn memory(child: &Child) -> f64 {
    let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = peak.and_then(|p| p.split_whitespace().next()).and_then(|n| n.parse::<f64>().ok());
    kib.unwrap_or(0.0) / 1024.0
}

/// A transcript as agents leave them: prompts, commands with output, files read and edited; its bytes.
pub fn transcript(file: &Path) -> std::io::Result<f64> {
    let mut out = BufWriter::with_capacity(1 << 20, File::create(file)?);
    let mut bytes = 0.0;
    let mut n = 0_u64;
    while bytes < SIZE_MB * 1e6 {
        for line in turn(n) {
            let line = line.to_string();
            bytes += line.len() as f64 + 1.0;
            writeln!(out, "{line}")?;
        }
        n += 1;
    }
    out.flush()?;
    Ok(bytes)
}

/// One call and its result, with what an agent says before it.
fn turn(n: u64) -> [Value; 2] {
    let session = format!("0198c0de-0000-7000-8000-{:012}", n / 400);
    let file = format!("/srv/demo/src/module_{}.rs", n % 97);
    let text = |lines: u64| -> String {
        (0..lines).map(|l| format!("    let value_{l} = compute(input, {l}, {n});\n")).collect()
    };
    let (name, input, more, shown) = match n % 4 {
        0 | 1 => {
            let out = text(60);
            let more = json!({"stdout": out, "stderr": "", "interrupted": false, "isImage": false});
            (
                "Bash",
                json!({"command": format!("cargo test -p demo module_{n} 2>&1 | tail -60"), "description": "Run tests"}),
                more,
                out,
            )
        }
        2 => {
            let content = text(150);
            let lines = 150;
            let more = json!({"type": "text", "file": {"filePath": file, "content": content, "numLines": lines, "startLine": 1, "totalLines": lines}});
            ("Read", json!({"file_path": file}), more, content)
        }
        _ => {
            let before = text(150);
            let (old, new) =
                (format!("compute(input, 7, {n})"), format!("compute(input, 7, {n}, true)"));
            let more = json!({"filePath": file, "oldString": old, "newString": new, "originalFile": before, "userModified": false,
                "replaceAll": false, "structuredPatch": [{"lines": [format!("-{old}"), format!("+{new}")]}]});
            (
                "Edit",
                json!({"file_path": file, "old_string": old, "new_string": new}),
                more,
                "The file was updated.".to_owned(),
            )
        }
    };
    let common = |kind: &str, side: &str, message: Value| {
        json!({"type": kind, "uuid": format!("u-{n}-{side}"), "parentUuid": null, "isSidechain": false, "sessionId": session,
            "cwd": "/srv/demo", "version": "2.1.295", "gitBranch": "main", "timestamp": "2026-01-31T12:00:00.000Z", "message": message})
    };
    let call = json!({"role": "assistant", "model": "model-1", "id": format!("msg-{n}"),
        "content": [{"type": "text", "text": "Next I look at what the tests say about this module, and then change it."},
            {"type": "tool_use", "id": format!("toolu_{n:024}"), "name": name, "input": input}],
        "usage": {"input_tokens": 12, "output_tokens": 80, "cache_read_input_tokens": 20_000, "cache_creation_input_tokens": 300}});
    let result = json!({"role": "user", "content": [{"type": "tool_result", "tool_use_id": format!("toolu_{n:024}"), "content": shown, "is_error": false}]});
    let mut result = common("user", "b", result);
    result["toolUseResult"] = more;
    [common("assistant", "a", call), result]
}
