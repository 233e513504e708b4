//! trust.json and the page that is written from it.

use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use std::process::Command;
use vm_tests::campaign::{Came, Row};

const BEGIN: &str = "<!-- trust:begin -->";
const END: &str = "<!-- trust:end -->";

/// What none of the campaigns looks at. Written out in the report, so that nobody takes silence for a check.
const NOT_CHECKED: [&str; 9] = [
    "disks that answer a flush before the bytes are safe",
    "file systems other than the one named above, and network file systems",
    "fsync on macOS and Windows",
    "bits that rot on the disk between two readings",
    "power loss of a real machine: the kernel's part is a model that is harsher than ext4 and xfs, and one real ext4",
    "an owner of the keys who signs two histories, as long as nobody outside has seen one of them",
    "known flaws of dependencies: the advisory database is not part of this report",
    "timing and other side channels of the cryptography",
    "whether what was sealed is true",
];

/// Rows, each with the commit it was made at.
pub struct Report {
    commit: String,
    rows: Vec<(String, String, Row)>,
}

fn said(program: &str, words: &[&str]) -> Option<String> {
    let output = Command::new(program).args(words).output().ok().filter(|o| o.status.success())?;
    Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// The commit, marked where the tree differs from it.
fn commit() -> String {
    let Some(commit) = said("git", &["rev-parse", "--short=12", "HEAD"]) else {
        return "unknown".into();
    };
    let own = |line: &str| line.ends_with("docs/trust.json") || line.ends_with("docs/trust.md");
    let changes = said("git", &["status", "--porcelain"]).unwrap_or_default();
    match changes.lines().all(own) {
        true => commit,
        false => format!("{commit} with changes"),
    }
}

/// The file system that the tests of real files run on.
fn file_system() -> String {
    let of =
        |path: &str| said("stat", &["-f", "-c", "%T", path]).unwrap_or_else(|| "unknown".into());
    format!("{} for recorded homes, {} for the repository", of("/dev/shm"), of("."))
}

impl Report {
    /// Begins with the rows that are there; those that are not made again stay, and are stale under another commit.
    pub fn begin(file: &Path) -> Result<Self, String> {
        let mut rows = Vec::new();
        if let Ok(bytes) = fs::read(file) {
            let old: Value =
                serde_json::from_slice(&bytes).map_err(|e| format!("{}: {e}", file.display()))?;
            for row in old["rows"].as_array().into_iter().flatten() {
                let text = |name: &str| row[name].as_str().unwrap_or_default().to_owned();
                rows.extend(Row::from_json(row).map(|read| (text("group"), text("commit"), read)));
            }
        }
        Ok(Self { commit: commit(), rows })
    }

    /// Takes a row; the old ones of its group and name go.
    pub fn put(&mut self, group: &str, row: Row) {
        self.rows.retain(|(g, commit, old)| {
            *g != group || (*commit == self.commit && old.what != row.what)
        });
        self.rows.push((group.to_owned(), self.commit.clone(), row));
    }

    fn result(&self, commit: &str, row: &Row) -> String {
        let why =
            if row.came.why().is_empty() { String::new() } else { format!(": {}", row.came.why()) };
        let stale = if commit == self.commit { "" } else { "stale (another commit); was " };
        format!("{stale}{}{why}", row.came.word())
    }

    /// Writes both files; whether no campaign failed and none is unproven.
    pub fn write(&self, file: &Path, page: &Path) -> Result<bool, String> {
        let rows: Vec<Value> = self
            .rows
            .iter()
            .map(|(group, commit, row)| {
                let mut json = row.to_json();
                json["group"] = group.as_str().into();
                json["commit"] = commit.as_str().into();
                json["stale"] = (*commit != self.commit).into();
                json
            })
            .collect();
        let all = json!({
            "commit": self.commit,
            "toolchain": said("rustc", &["--version"]).unwrap_or_default(),
            "kernel": said("uname", &["-sr"]).unwrap_or_default(),
            "file_systems": file_system(),
            "rows": rows,
            "not_checked": NOT_CHECKED,
        });
        let text = serde_json::to_string_pretty(&all).map_err(|e| e.to_string())? + "\n";
        fs::write(file, text).map_err(|e| format!("{}: {e}", file.display()))?;
        if let Ok(old) = fs::read_to_string(page) {
            let (head, rest) =
                old.split_once(BEGIN).ok_or(format!("{} has no {BEGIN}", page.display()))?;
            let (_, tail) =
                rest.split_once(END).ok_or(format!("{} has no {END}", page.display()))?;
            let text = format!("{head}{BEGIN}\n{}{END}{tail}", self.table(&all));
            fs::write(page, text).map_err(|e| format!("{}: {e}", page.display()))?;
        }
        Ok(self
            .rows
            .iter()
            .all(|(_, _, row)| matches!(row.came, Came::Passed | Came::CannotEvaluate(_))))
    }

    fn table(&self, all: &Value) -> String {
        let text = |name: &str| all[name].as_str().unwrap_or_default().to_owned();
        let mut page = format!(
            "\nCommit {}; {}; {}; {}.\n\n| what | count | seconds | seed | planted bugs caught | result | again with |\n|---|---|---|---|---|---|---|\n",
            text("commit"),
            text("toolchain"),
            text("kernel"),
            text("file_systems")
        );
        for (_, commit, row) in &self.rows {
            let seed = row.seed.map_or(String::new(), |seed| seed.to_string());
            let bugs = if row.planted == 0 {
                String::new()
            } else {
                format!("{} of {}", row.caught, row.planted)
            };
            page.push_str(&format!(
                "| {} | {} {} | {} | {seed} | {bugs} | {} | `{}` |\n",
                row.what,
                row.count,
                row.unit,
                row.millis / 1_000,
                cell(&self.result(commit, row)),
                row.how
            ));
        }
        page.push_str("\nNot checked:\n\n");
        NOT_CHECKED.iter().for_each(|what| page.push_str(&format!("- {what}\n")));
        page + "\n"
    }
}

fn cell(text: &str) -> String {
    text.chars().take(300).map(|c| if c == '|' || c == '\n' { ' ' } else { c }).collect()
}

/// A row for a person.
pub fn line(row: &Row) -> String {
    let bugs = if row.planted == 0 {
        String::new()
    } else {
        format!(", {} of {} planted bugs caught", row.caught, row.planted)
    };
    let why =
        if row.came.why().is_empty() { String::new() } else { format!(": {}", row.came.why()) };
    format!(
        "{:<16} {}: {} {}, {} s{bugs}{why}",
        row.came.word(),
        row.what,
        row.count,
        row.unit,
        row.millis / 1_000
    )
}
