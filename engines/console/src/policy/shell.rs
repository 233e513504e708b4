//! The commands in a shell's command line: joined, nested, in quotes, behind other programs.
//!
//! This is no shell. It finds at least the commands that a shell would find; where it cannot tell what would run, it
//! says so.

/// Longest command line that is taken apart.
const BYTES_MAX: usize = 64 << 10;
/// How deep commands may stand in commands.
const DEPTH_MAX: usize = 12;
/// Most commands of a line.
const COMMANDS_MAX: usize = 1_024;
/// Bytes of all commands of a line together, and of all that is read on the way: each stands in those it is nested in.
const TOTAL_MAX: usize = 1 << 20;

/// The parts of a command line.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Parts {
    /// Each command as its words, without quotes.
    pub commands: Vec<Vec<String>>,
    /// Each pipeline of several commands, joined by ` | `.
    pub pipelines: Vec<String>,
    /// Whether it cannot be told what all would run.
    pub unclear: bool,
    /// Bytes of the commands, and bytes that were read.
    bytes: usize,
    work: usize,
}

impl Parts {
    /// Takes a command; whether there was room for it.
    fn add(&mut self, words: &[String]) -> bool {
        self.bytes += words.iter().map(|w| w.len() + 1).sum::<usize>();
        let fits = self.commands.len() < COMMANDS_MAX && self.bytes <= TOTAL_MAX;
        self.unclear |= !fits;
        if fits {
            self.commands.push(words.to_vec());
        }
        fits
    }

    /// Whether so much more may be read.
    fn spend(&mut self, bytes: usize) -> bool {
        self.work += bytes;
        self.unclear |= self.work > TOTAL_MAX;
        self.work <= TOTAL_MAX
    }
}

/// Takes a command line apart.
pub(super) fn parts(line: &str) -> Parts {
    let mut parts = Parts::default();
    read(line, 0, &mut parts);
    parts
}

fn read(line: &str, depth: usize, parts: &mut Parts) {
    if depth > DEPTH_MAX || line.len() > BYTES_MAX || !parts.spend(line.len()) {
        parts.unclear = true;
        return;
    }
    let mut reader = Reader {
        rest: line.chars().collect(),
        at: 0,
        depth,
        parts,
        words: Vec::new(),
        files: Vec::new(),
        pipe: Vec::new(),
    };
    reader.all();
}

struct Reader<'p> {
    rest: Vec<char>,
    at: usize,
    depth: usize,
    parts: &'p mut Parts,
    words: Vec<String>,
    /// Files of redirections, which may stand anywhere in a command.
    files: Vec<String>,
    pipe: Vec<String>,
}

impl Reader<'_> {
    fn peek(&self, ahead: usize) -> Option<char> {
        self.rest.get(self.at + ahead).copied()
    }

    /// Goes on, not past the end: a backslash may be the last character.
    fn skip(&mut self, count: usize) {
        self.at = (self.at + count).min(self.rest.len());
    }

    fn all(&mut self) {
        while let Some(c) = self.peek(0) {
            match c {
                ' ' | '\t' => self.at += 1,
                '\\' if self.peek(1) == Some('\n') => self.at += 2,
                '#' => self.comment(),
                '|' if self.peek(1) != Some('|') => {
                    self.at += 1 + usize::from(self.peek(1) == Some('&'));
                    self.command();
                }
                '\n' | ';' | '&' | '|' | '(' | ')' => {
                    self.at += 1;
                    self.pipeline();
                }
                '<' | '>' => self.redirect(),
                _ => {
                    let word = self.word();
                    let opens = matches!(self.peek(0), Some('<' | '>'));
                    if !(opens && is_descriptor(&word)) {
                        self.words.push(word);
                    }
                }
            }
        }
        self.pipeline();
    }

    fn comment(&mut self) {
        while self.peek(0).is_some_and(|c| c != '\n') {
            self.at += 1;
        }
    }

    /// A redirection: its file is a word like others, and the text of a here-document is what a shell would be given.
    fn redirect(&mut self) {
        let Some((sign, to)) = SIGNS.iter().find(|(sign, _)| self.stands(sign)) else {
            return self.skip(1);
        };
        // The parenthesis of a process begins commands of its own.
        self.skip(if *to == To::Process { 1 } else { sign.len() });
        if *to == To::Process {
            return;
        }
        while matches!(self.peek(0), Some(' ' | '\t')) || self.stands("\\\n") {
            self.skip(if self.peek(0) == Some('\\') { 2 } else { 1 });
        }
        if matches!(self.peek(0), None | Some('\n' | ';' | '|' | '&' | '<' | '>' | '(' | ')')) {
            return;
        }
        let word = self.word();
        match to {
            To::Document => self.here_document(&word),
            To::Text => {
                if self.words.iter().any(|w| is_shell(base(w))) {
                    read(&word, self.depth + 1, self.parts);
                }
                self.files.push(word);
            }
            // Another descriptor, or none.
            To::Same if word == "-" || word.bytes().all(|b| b.is_ascii_digit()) => {}
            To::Same | To::File | To::Process => self.files.push(word),
        }
    }

    fn stands(&self, text: &str) -> bool {
        text.chars().enumerate().all(|(ahead, c)| self.peek(ahead) == Some(c))
    }

    fn here_document(&mut self, end: &str) {
        if !self.parts.spend(self.rest.len() - self.at) {
            self.at = self.rest.len();
            return;
        }
        let rest: String = self.rest[self.at..].iter().collect();
        let Some((head, body)) = rest.split_once('\n') else {
            self.parts.unclear = true;
            return;
        };
        let mut text = String::new();
        let mut used = head.chars().count() + 1;
        for line in body.split_inclusive('\n') {
            used += line.chars().count();
            if line.trim_end_matches('\n').trim_start_matches('\t') == end {
                break;
            }
            text.push_str(line);
        }
        // The shell may stand behind the mark, alone or at the end of a pipe.
        let dividers = |c: char| c.is_whitespace() || matches!(c, '|' | '&' | ';' | '(' | ')');
        let behind = head.split(dividers).any(|w| is_shell(base(w)));
        // The line goes on behind the mark; then the text of the document is left out.
        let head: Vec<char> = head.chars().chain(std::iter::once('\n')).collect();
        let end = (self.at + used).min(self.rest.len());
        self.rest.splice(self.at..end, head);
        let given_to_shell = behind || self.words.iter().any(|w| is_shell(base(w)));
        if given_to_shell || text.contains("$(") || text.contains('`') {
            read(&text, self.depth + 1, self.parts);
        }
    }

    /// A word without its quotes; commands inside it are read on their own.
    fn word(&mut self) -> String {
        let mut word = String::new();
        while let Some(c) = self.peek(0) {
            match c {
                ' ' | '\t' | '\n' | ';' | '&' | '|' | '<' | '>' | ')' => break,
                '(' if word.is_empty() => break,
                '(' => {
                    // The head of a function, or an array: what is inside is read as commands.
                    self.at += 1;
                    return word;
                }
                '\'' => self.single(&mut word),
                '"' => self.double(&mut word),
                '\\' if self.peek(1) == Some('\n') => self.skip(2),
                '\\' => {
                    word.extend(self.peek(1));
                    self.skip(2);
                }
                '$' if self.peek(1) == Some('\'') => {
                    // Escapes in it could spell anything.
                    self.at += 1;
                    let from = word.len();
                    self.single(&mut word);
                    self.parts.unclear |= word[from..].contains('\\');
                }
                '$' | '`' => self.expansion(&mut word),
                c => {
                    word.push(c);
                    self.at += 1;
                }
            }
        }
        word
    }

    fn single(&mut self, word: &mut String) {
        self.at += 1;
        loop {
            match self.peek(0) {
                None => {
                    self.parts.unclear = true;
                    return;
                }
                Some('\'') => {
                    self.at += 1;
                    return;
                }
                Some(c) => word.push(c),
            }
            self.at += 1;
        }
    }

    fn double(&mut self, word: &mut String) {
        self.at += 1;
        loop {
            match self.peek(0) {
                None => {
                    self.parts.unclear = true;
                    return;
                }
                Some('"') => {
                    self.at += 1;
                    return;
                }
                Some('\\') => {
                    match self.peek(1) {
                        Some('\n') => {}
                        Some(c @ ('$' | '`' | '"' | '\\')) => word.push(c),
                        // It stands for itself before anything else.
                        other => word.extend(std::iter::once('\\').chain(other)),
                    }
                    self.skip(2);
                }
                Some('$' | '`') => self.expansion(word),
                Some(c) => {
                    word.push(c);
                    self.at += 1;
                }
            }
        }
    }

    /// `$(…)` and backticks are commands; a variable stays as it is written.
    fn expansion(&mut self, word: &mut String) {
        let tick = self.peek(0) == Some('`');
        if !tick && self.peek(1) != Some('(') {
            word.push('$');
            self.at += 1;
            return;
        }
        let from = self.at + if tick { 1 } else { 2 };
        let end = if tick { self.closing_tick(from) } else { self.closing(from) };
        let inner: String = self.rest[from.min(self.rest.len())..end].iter().collect();
        // Ticks inside of ticks are escaped.
        let inner = if tick { inner.replace("\\`", "`") } else { inner };
        self.parts.unclear |= end >= self.rest.len();
        read(&inner, self.depth + 1, self.parts);
        word.push_str("$()");
        self.at = (end + 1).min(self.rest.len());
    }

    fn closing_tick(&self, from: usize) -> usize {
        let mut at = from;
        while at < self.rest.len() && self.rest[at] != '`' {
            at += if self.rest[at] == '\\' { 2 } else { 1 };
        }
        at.min(self.rest.len())
    }

    /// The parenthesis that closes, quotes respected.
    fn closing(&self, from: usize) -> usize {
        let (mut open, mut at, mut quote) = (1_u32, from, None);
        while at < self.rest.len() {
            let c = self.rest[at];
            match (quote, c) {
                (None | Some('"'), '\\') => at += 1,
                (Some(q), c) if q == c => quote = None,
                (Some(_), _) => {}
                (None, '\'' | '"') => quote = Some(c),
                (None, '(') => open += 1,
                (None, ')') => open -= 1,
                _ => {}
            }
            if open == 0 {
                return at;
            }
            at += 1;
        }
        self.rest.len()
    }

    /// Ends a command.
    fn command(&mut self) {
        let (mut words, files) = (std::mem::take(&mut self.words), std::mem::take(&mut self.files));
        if words.is_empty() && files.is_empty() {
            return;
        }
        if words.is_empty() {
            words.push(">".to_owned());
        }
        words.extend(files);
        self.pipe.push(words.join(" "));
        nested(&words, self.depth, self.parts);
    }

    /// Ends a pipeline.
    fn pipeline(&mut self) {
        self.command();
        let pipe = std::mem::take(&mut self.pipe);
        if pipe.len() > 1 {
            // A shell that is given no command runs what comes out of the pipe.
            self.parts.unclear |= pipe[1..].iter().any(|command| {
                let mut words = command.split(' ').skip_while(|w| *w == "sudo");
                words.next().is_some_and(|w| is_shell(base(w))) && words.all(|w| w.starts_with('-'))
            });
            self.parts.pipelines.push(pipe.join(" | "));
        }
    }
}

/// What a redirection leads to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum To {
    File,
    /// A descriptor, or a file.
    Same,
    Process,
    /// The lines that follow.
    Document,
    /// The word itself.
    Text,
}

/// Signs of redirections, the longer first.
const SIGNS: &[(&str, To)] = &[
    ("<<<", To::Text),
    ("<<-", To::Document),
    ("<<", To::Document),
    ("<(", To::Process),
    (">(", To::Process),
    ("<>", To::File),
    (">>", To::File),
    (">|", To::File),
    ("<&", To::Same),
    (">&", To::Same),
    ("<", To::File),
    (">", To::File),
];

/// What stands right before a redirection: a number, or the name of a variable for one.
fn is_descriptor(word: &str) -> bool {
    let named = word.starts_with('{') && word.ends_with('}');
    named || !word.is_empty() && word.bytes().all(|b| b.is_ascii_digit())
}

/// Words that stand before a command and are none themselves.
const KEYWORDS: &[&str] =
    &["if", "then", "else", "elif", "do", "while", "until", "!", "{", "}", "time", "coproc"];
/// Programs that run another one that their words name.
const RUNNERS: &[&str] = &[
    "sudo",
    "doas",
    "env",
    "nohup",
    "nice",
    "ionice",
    "timeout",
    "xargs",
    "exec",
    "command",
    "builtin",
    "stdbuf",
    "setsid",
    "watch",
    "chroot",
    "unshare",
    "strace",
    "ltrace",
    "parallel",
    "busybox",
    "ssh",
    "docker",
    "podman",
    "kubectl",
    "npx",
    "uv",
    "poetry",
    "su",
    "script",
    "flock",
    "systemd-run",
    "at",
    "batch",
    "time",
    "pkexec",
    "runuser",
    "fakeroot",
    "taskset",
    "chrt",
];
/// Those of them whose words name a program and hardly anything else.
const PLAIN_RUNNERS: &[&str] =
    &["env", "nohup", "nice", "exec", "command", "builtin", "setsid", "xargs", "time"];

fn base(word: &str) -> &str {
    word.rsplit('/').next().unwrap_or(word)
}

fn is_shell(name: &str) -> bool {
    matches!(name, "sh" | "bash" | "zsh" | "dash" | "ksh" | "ash" | "fish")
}

fn is_assignment(word: &str) -> bool {
    let name = word.split_once('=').map_or("", |(name, _)| name);
    // `name+=` adds, `name[1]=` is one of a list.
    let name = name.trim_end_matches('+').split('[').next().unwrap_or_default();
    let mut chars = name.chars();
    chars.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
        && chars.all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// How many words stand before the command itself.
fn lead(words: &[String]) -> usize {
    let mut at = 0;
    while let Some(word) = words.get(at) {
        at += match word.as_str() {
            "function" => 2,
            "coproc" if words.get(at + 2).is_some_and(|w| w == "{") => 2,
            "time" => 1 + words[at + 1..].iter().take_while(|w| w.starts_with('-')).count(),
            word if KEYWORDS.contains(&word) || is_assignment(word) => 1,
            _ => break,
        };
    }
    at.min(words.len())
}

/// Whether a shell makes something else of the word than what is written: a variable, a pattern, several words.
fn is_open(word: &str) -> bool {
    let pattern = word.contains(['*', '?']) || word.contains('[') && !matches!(word, "[" | "[[");
    word.contains('$') || pattern || word.contains('{') && word.contains(',')
}

/// A command, and those that it runs.
fn nested(words: &[String], depth: usize, parts: &mut Parts) {
    let words = &words[lead(words)..];
    let Some(first) = words.first() else { return };
    if depth > DEPTH_MAX || !parts.add(words) {
        parts.unclear = true;
        return;
    }
    parts.unclear |= is_open(first);
    let name = base(first);
    let rest = &words[1..];
    match name {
        "eval" => read(&rest.join(" "), depth + 1, parts),
        "trap" => rest.iter().take(2).for_each(|text| read(text, depth + 1, parts)),
        "find" | "fd" | "fdfind" => {
            let runs = ["-exec", "-execdir", "-ok", "-okdir", "-x", "-X", "--exec", "--exec-batch"];
            for (at, _) in rest.iter().enumerate().filter(|(_, w)| runs.contains(&w.as_str())) {
                if parts.commands.len() >= COMMANDS_MAX || parts.bytes > TOTAL_MAX {
                    parts.unclear = true;
                    return;
                }
                nested(&rest[at + 1..], depth + 1, parts);
            }
        }
        name if is_shell(name) || name == "su" => given(rest, depth, parts),
        _ => {}
    }
    if RUNNERS.contains(&name) {
        run_by(name, rest, depth, parts);
    }
}

/// The commands that a shell is given by `-c`, alone or among other letters. Flags may stand between, and some of them
/// take a word; each that may be the command is read.
fn given(rest: &[String], depth: usize, parts: &mut Parts) {
    const TRIED_MAX: usize = 4;
    let is_c = |word: &str| {
        let letters = word.strip_prefix('-').filter(|l| !l.starts_with('-')).unwrap_or_default();
        let alone = letters.bytes().all(|b| b.is_ascii_alphabetic()) && letters.contains('c');
        alone || letters.starts_with('c') || word.starts_with("--command")
    };
    let Some(flag) = rest.iter().position(|w| is_c(w)) else { return };
    if let Some((_, text)) = rest[flag].split_once('=') {
        read(text, depth + 1, parts);
    }
    if let Some(text) = rest[flag].strip_prefix("-c").filter(|text| !text.is_empty()) {
        read(text, depth + 1, parts);
    }
    let texts = rest[flag + 1..].iter().filter(|w| !w.starts_with(['-', '+']));
    texts.take(TRIED_MAX).for_each(|text| read(text, depth + 1, parts));
}

/// The command that another program runs. Which of its words begins it depends on its flags; each that may is tried.
fn run_by(name: &str, rest: &[String], depth: usize, parts: &mut Parts) {
    const TRIED_MAX: usize = 12;
    let may = |w: &&String| !w.starts_with('-') && !is_assignment(w);
    if PLAIN_RUNNERS.contains(&name) {
        parts.unclear |= rest.iter().find(may).is_some_and(|w| is_open(w));
    }
    if name == "env" {
        // `env -S'a b'` takes the words of a command as one.
        let packed = rest.iter().filter(|w| w.starts_with('-') && w.contains(' '));
        for word in packed.take(TRIED_MAX) {
            let text = word.split_once('=').filter(|_| word.starts_with("--")).map_or_else(
                || word.chars().skip_while(|c| *c == '-').skip(1).collect(),
                |(_, text)| text.to_owned(),
            );
            read(&text, depth + 1, parts);
        }
    }
    for (at, word) in rest.iter().enumerate().filter(|(_, w)| may(w)).take(TRIED_MAX) {
        if !parts.add(&rest[at..]) {
            return;
        }
        if word.contains(' ') {
            read(word, depth + 1, parts);
        } else if is_shell(base(word)) || matches!(base(word), "find" | "eval") {
            nested(&rest[at..], depth + 1, parts);
        }
    }
}
