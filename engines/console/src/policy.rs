//! Rules of what an agent may do: allowed, asked for, denied.
//!
//! A command is judged by each of its parts, however they are joined or nested, and the strictest verdict counts. What a
//! shell would run cannot always be told from its text; such a command is asked for. A policy keeps honest agents from
//! accidents. It is no wall around one that means to get out.

mod glob;
mod shell;
mod text;

use crate::read::tool::Tool;
use glob::Glob;
use regex::bytes::{Regex, RegexBuilder};
use serde::{Deserialize, Serialize};
use std::sync::OnceLock;
use vm_contracts::Refusal;

pub(crate) use text::TextPattern;

/// Most rules of a policy.
pub const RULES_MAX: usize = 256;
/// Longest pattern, in bytes.
const PATTERN_BYTES_MAX: usize = 1_024;
/// Size that a compiled pattern may have, in bytes.
const COMPILED_MAX: usize = 1 << 20;

/// What is said of an act; the greater is the stricter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It may happen.
    Allow,
    /// A person has to say so.
    Ask,
    /// It must not happen.
    Deny,
}

impl Verdict {
    /// As receipts have it.
    pub fn word(self) -> &'static str {
        match self {
            Verdict::Allow => "allow",
            Verdict::Ask => "ask",
            Verdict::Deny => "deny",
        }
    }
}

/// What a rule is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// A command: its words, divided by one space each.
    Command,
    /// A path that is read, written or named in a command.
    Path,
    /// The name of a tool.
    Tool,
}

/// A rule, as a configuration gives it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Its name, which receipts repeat.
    pub name: String,
    /// What it is about.
    pub what: What,
    /// A pattern for all of it: `*` for anything (in paths without `/`; `**` with it) and `?` for one character.
    /// With `regex`, a regular expression for any part of it.
    pub pattern: String,
    /// Whether the pattern is a regular expression.
    #[serde(default)]
    pub regex: bool,
    /// What it says.
    pub verdict: Verdict,
}

/// What a policy says of an act, and the rule that says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judgement {
    /// The verdict.
    pub verdict: Verdict,
    /// The rule; none where no rule fits.
    pub rule: Option<String>,
}

/// The rule that is named where a command cannot be read.
pub const UNREADABLE: &str = "unreadable-command";

enum Pattern {
    Glob(Glob),
    /// Compiled when it is first needed: a process that judges one act waits for no others.
    Regex(OnceLock<Option<Regex>>),
}

struct Compiled {
    rule: Rule,
    pattern: Pattern,
}

/// Rules, ready to judge.
#[derive(Default)]
pub struct Policy {
    rules: Vec<Compiled>,
}

impl Policy {
    /// Reads rules; a bad one is refused by its name. Regular expressions are looked at by [`Policy::check`].
    pub fn parse(rules: &[Rule]) -> Result<Policy, Refusal> {
        if rules.len() > RULES_MAX {
            return Err(bad(
                "",
                &format!("a policy has at most {RULES_MAX} rules, not {}", rules.len()),
            ));
        }
        let mut compiled: Vec<Compiled> = Vec::with_capacity(rules.len());
        for rule in rules {
            let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
            if rule.name.is_empty() || rule.name.len() > 64 || !rule.name.bytes().all(plain) {
                return Err(bad(
                    &rule.name,
                    "its name must be 1 to 64 letters, digits, dots, dashes and underscores",
                ));
            }
            if rule.pattern.is_empty() || rule.pattern.len() > PATTERN_BYTES_MAX {
                return Err(bad(
                    &rule.name,
                    &format!("its pattern must have 1 to {PATTERN_BYTES_MAX} bytes"),
                ));
            }
            let pattern = match rule.regex {
                true => Pattern::Regex(OnceLock::new()),
                false => Pattern::Glob(Glob::new(&rule.pattern, rule.what == What::Path)),
            };
            compiled.push(Compiled { rule: rule.clone(), pattern });
        }
        Ok(Policy { rules: compiled })
    }

    /// Compiles every regular expression now, so that a bad one is told when the policy is set and not when it is used.
    pub fn check(&self) -> Result<(), Refusal> {
        for compiled in self.rules.iter().filter(|c| c.rule.regex) {
            if let Err(e) = expression(&compiled.rule.pattern) {
                let why = e.to_string().lines().last().unwrap_or_default().to_owned();
                return Err(bad(
                    &compiled.rule.name,
                    &format!("its regular expression does not read: {why}"),
                ));
            }
        }
        Ok(())
    }

    /// Whether there are no rules, so that everything is allowed.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// Judges the call of a tool: by its name, by the files it names, and a command by its parts.
    pub fn judge_call(&self, name: &str, tool: &Tool, paths: &[&str]) -> Judgement {
        let mut judged = self.by(What::Tool, name);
        match tool {
            Tool::Shell { command, .. } => judged = stricter(judged, self.judge_command(command)),
            Tool::Edit(changes) => {
                let named = changes.iter().flat_map(|c| std::iter::once(&c.path).chain(&c.from));
                judged =
                    named.fold(judged, |judged, path| stricter(judged, self.by(What::Path, path)));
            }
            Tool::Task { .. } | Tool::Other => {}
        }
        paths.iter().fold(judged, |judged, path| stricter(judged, self.by(What::Path, path)))
    }

    /// Judges a command line by every part of it.
    pub fn judge_command(&self, command: &str) -> Judgement {
        if self.rules.is_empty() {
            return Judgement { verdict: Verdict::Allow, rule: None };
        }
        // Rules about joined commands (`curl … | sh`) see the whole line.
        let mut judged = self.by(What::Command, command);
        let parts = shell::parts(command);
        for part in &parts.commands {
            judged = stricter(judged, self.by(What::Command, &part.join(" ")));
            // A path in any word, and after the `=` of a flag.
            for word in part.iter().flat_map(|word| {
                std::iter::once(word.as_str()).chain(word.split_once('=').map(|p| p.1))
            }) {
                judged = stricter(judged, self.by(What::Path, word));
            }
        }
        for pipeline in &parts.pipelines {
            judged = stricter(judged, self.by(What::Command, pipeline));
        }
        match parts.unclear
            && self
                .rules
                .iter()
                .any(|c| c.rule.what != What::Tool && c.rule.verdict > Verdict::Allow)
        {
            true => stricter(
                judged,
                Judgement { verdict: Verdict::Ask, rule: Some(UNREADABLE.to_owned()) },
            ),
            false => judged,
        }
    }

    /// The strictest of the rules that fit.
    fn by(&self, what: What, text: &str) -> Judgement {
        let fitting = self.rules.iter().filter(|c| c.rule.what == what && c.fits(text));
        // The first of equally strict ones is named.
        let strictest = fitting.fold(None, |best: Option<&Compiled>, next| match best {
            Some(best) if best.rule.verdict >= next.rule.verdict => Some(best),
            _ => Some(next),
        });
        match strictest {
            Some(compiled) => {
                Judgement { verdict: compiled.rule.verdict, rule: Some(compiled.rule.name.clone()) }
            }
            None => Judgement { verdict: Verdict::Allow, rule: None },
        }
    }
}

impl Compiled {
    /// A pattern that cannot be compiled fits everything: a rule that says nothing must not let everything through.
    fn fits(&self, text: &str) -> bool {
        match &self.pattern {
            // What is too long to tell is held back by a rule that holds back, and let through by no other.
            Pattern::Glob(glob) => glob.fits(text).unwrap_or(self.rule.verdict > Verdict::Allow),
            Pattern::Regex(cell) => {
                let regex = cell.get_or_init(|| expression(&self.rule.pattern).ok());
                regex.as_ref().is_none_or(|regex| regex.is_match(text.as_bytes()))
            }
        }
    }
}

fn expression(pattern: &str) -> Result<Regex, regex::Error> {
    RegexBuilder::new(pattern)
        .unicode(false)
        .size_limit(COMPILED_MAX)
        .dfa_size_limit(COMPILED_MAX)
        .build()
}

fn stricter(one: Judgement, other: Judgement) -> Judgement {
    let other_counts =
        other.verdict > one.verdict || other.verdict == one.verdict && one.rule.is_none();
    if other_counts { other } else { one }
}

fn bad(name: &str, why: &str) -> Refusal {
    Refusal::malformed("bad_rule", format!("the rule {name:?} of the policy cannot be used: {why}"))
        .field("rules")
        .hint("See the starter rules that `vm console install --guard` writes.")
}

/// Rules to start with in guard mode: what destroys, what publishes, what reads keys. In record mode nothing is denied.
pub fn starter() -> Vec<Rule> {
    [starter_commands(), starter_paths()].concat()
}

fn starter_commands() -> Vec<Rule> {
    use Verdict::{Ask, Deny};
    let command =
        |name: &str, pattern: &str, verdict| rule(name, What::Command, pattern, true, verdict);
    vec![
        command(
            "remove-root",
            r"^(\S*/)?rm\s+(.*\s)?(/|/\*|~|~/|\$HOME/?|/(bin|boot|etc|home|lib|opt|root|usr|var)/?\*?)(\s|$)",
            Deny,
        ),
        command("remove-recursively", r"^(\S*/)?rm\s+(.*\s)?(-[a-zA-Z]*[rR]|--recursive)", Ask),
        command(
            "format-disk",
            r"^(\S*/)?(mkfs(\.\w+)?|wipefs|fdisk|parted|sgdisk)\s|^(\S*/)?dd\s(.*\s)?of=/dev/",
            Deny,
        ),
        command(
            "pipe-to-shell",
            r"(^|[|;&(]\s*)(sudo\s+)?(\S*/)?(curl|wget|fetch)\s.*\|\s*(sudo\s+)?(\S*/)?(ba|z|da|k|fi)?sh\b",
            Deny,
        ),
        command(
            "force-push",
            r"^(\S*/)?git\s+(-\S+\s+(\S+\s+)?)*push\s(.*\s)?(--force\S*|-\w*f\w*|\+\S+)(\s|$)",
            Deny,
        ),
        command("push", r"^(\S*/)?git\s+(-\S+\s+(\S+\s+)?)*push(\s|$)", Ask),
        command(
            "rewrite-history",
            r"^(\S*/)?git\s+(-\S+\s+(\S+\s+)?)*(reset\s+--hard|clean\s+-\w*f|filter-branch|filter-repo|reflog\s+expire)",
            Ask,
        ),
        command(
            "infrastructure",
            r"^(\S*/)?(terraform|tofu|terragrunt|pulumi)\s(.*\s)?(apply|destroy|import|up|state\s+rm)(\s|$)",
            Ask,
        ),
        command(
            "cluster-delete",
            r"^(\S*/)?(kubectl|oc|helm)\s(.*\s)?(delete|drain|uninstall|replace\s+--force)(\s|$)",
            Ask,
        ),
        command(
            "cloud-delete",
            r"^(\S*/)?(aws|gcloud|az)\s.*(delete|terminate|remove|destroy|purge|\brb\b|\brm\b)",
            Ask,
        ),
        command("database-drop", r"(?i)\b(drop|truncate)\s+(table|database|schema)\b", Ask),
        command(
            "open-to-all",
            r"^(\S*/)?chmod\s(.*\s)?(0?777|a\+rwx|\+s|[0-7]?[4-7][0-7]{3})(\s|$)",
            Ask,
        ),
        command("become-root", r"^(\S*/)?(sudo|doas|su)(\s|$)", Ask),
        command(
            "publish",
            r"^(\S*/)?(npm|yarn|pnpm|cargo|twine|gem|docker|podman)\s(.*\s)?(publish|push|upload|yank|unpublish)(\s|$)",
            Ask,
        ),
        command(
            "recorder-off",
            r"^(\S*/)?vm(\s(.*\s)?console\s+|-console\s(.*\s)?)(uninstall|install)(\s|$)",
            Deny,
        ),
        // An agent decides nothing, and makes no key to be somebody else with.
        command("approve", r"^(\S*/)?vm(-\w+)?\s(.*\s)?approval(\s|$)", Deny),
        command("other-actor", r"^(\S*/)?vm\s(.*\s)?actor\s+new(\s|$)", Deny),
    ]
}

/// Rules about files that nobody should read or write without being asked.
fn starter_paths() -> Vec<Rule> {
    use Verdict::{Ask, Deny};
    let path = |name: &str, pattern: &str, verdict| rule(name, What::Path, pattern, false, verdict);
    vec![
        path("environment-file", ".env", Ask),
        path("environment-files", ".env.*", Ask),
        path("private-keys", "id_*", Ask),
        path("ssh", "**/.ssh/**", Deny),
        path("key-files", "*.pem", Ask),
        path("aws-credentials", "**/.aws/credentials", Deny),
        path("netrc", ".netrc", Deny),
        path("git-internals", "**/.git/hooks/**", Ask),
        path("agent-settings", "**/.claude/settings*.json", Ask),
    ]
}

fn rule(name: &str, what: What, pattern: &str, regex: bool, verdict: Verdict) -> Rule {
    Rule { name: name.to_owned(), what, pattern: pattern.to_owned(), regex, verdict }
}

#[cfg(test)]
mod tests;
