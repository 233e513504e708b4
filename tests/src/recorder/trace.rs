//! From the text of strace to what was asked of the disk.
//!
//! Read with `-f -y -xx`: every string and every path of a file descriptor is written as `\x2f…`, so a line splits at
//! its commas and brackets without surprises.

use std::collections::HashMap;
use std::path::{Component, Path, PathBuf};

/// One thing that was asked of the disk. Paths are relative to the recorded directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Op {
    /// A file was opened, and made or emptied where it had to be.
    Open {
        /// The file.
        path: String,
        /// Whether it was there with nothing in it afterwards.
        emptied: bool,
    },
    /// Bytes were written.
    Write {
        /// The file.
        path: String,
        /// Where; at the end where it was opened for appending.
        at: Option<usize>,
        /// The bytes that were taken.
        bytes: Vec<u8>,
    },
    /// The length was set.
    SetLen {
        /// The file.
        path: String,
        /// The new length.
        len: usize,
    },
    /// A file or a directory was synced.
    Sync(String),
    /// A sync that failed.
    FailedSync(String),
    /// A name was moved.
    Rename(String, String),
    /// A file was removed.
    Remove(String),
    /// A directory was made.
    MakeDir(String),
    /// A directory was removed.
    RemoveDir(String),
    /// Something was said to the world: on standard output, or over a socket.
    Say(Vec<u8>),
}

impl Op {
    /// The path it is about; that under which a name came to stand, for a rename.
    pub fn path(&self) -> &str {
        match self {
            Op::Open { path, .. } | Op::Write { path, .. } | Op::SetLen { path, .. } => path,
            Op::Sync(path) | Op::FailedSync(path) | Op::Rename(_, path) => path,
            Op::Remove(path) | Op::MakeDir(path) | Op::RemoveDir(path) => path,
            Op::Say(_) => "",
        }
    }
}

/// System calls that are recorded.
pub const CALLS: &str = "open,openat,creat,write,pwrite64,writev,pwritev,pwritev2,sendto,sendmsg,lseek,fdatasync,fsync,\
                         sync_file_range,msync,rename,renameat,renameat2,unlink,unlinkat,mkdir,mkdirat,rmdir,ftruncate,\
                         truncate,link,linkat,symlink,symlinkat,fallocate,copy_file_range,sendfile,mmap";

/// One system call, whole.
struct Called<'a> {
    name: &'a str,
    args: Vec<&'a str>,
    result: &'a str,
    /// Lines on which it began and ended.
    began: usize,
    ended: usize,
}

#[derive(Clone, Copy)]
struct Handle {
    appends: bool,
    at: usize,
}

struct Reader<'a> {
    root: &'a Path,
    handles: HashMap<&'a str, Handle>,
}

/// Reads a trace of one process that ran with `root` as its working directory.
///
/// # Errors
/// A line that cannot be read, or a call on the recorded directory that the replay knows nothing of: what it would do
/// is not guessed.
pub fn read(text: &str, root: &Path) -> Result<Vec<Op>, String> {
    let calls = calls(text)?;
    let mut reader = Reader { root, handles: HashMap::new() };
    // A word to the world may have been heard when the call began; everything else has happened when it ended.
    let mut ops: Vec<(usize, usize, Op)> = Vec::new();
    for call in &calls {
        let op = reader.op(call).map_err(|e| format!("{}: {e}", call.name))?;
        if let Some(op) = op {
            let at = if matches!(op, Op::Say(_)) { call.began } else { call.ended };
            ops.push((at, call.began, op));
        }
    }
    ops.sort_by_key(|(at, ..)| *at);
    Ok(late_writes_after_their_sync(ops))
}

/// A write that ended while a sync of the same file was on its way is not covered by it.
fn late_writes_after_their_sync(mut ops: Vec<(usize, usize, Op)>) -> Vec<Op> {
    let mut at = 0;
    while at < ops.len() {
        if let (_, began, Op::Sync(path)) = &ops[at] {
            let (began, path) = (*began, path.clone());
            let late = |(ended, _, op): &(usize, usize, Op)| {
                *ended > began && matches!(op, Op::Write { path: p, .. } if *p == path)
            };
            let moved: Vec<usize> = (0..at).filter(|n| late(&ops[*n])).collect();
            for (gone, n) in moved.iter().enumerate() {
                let op = ops.remove(n - gone);
                ops.insert(at, op);
            }
        }
        at += 1;
    }
    ops.into_iter().map(|(.., op)| op).collect()
}

/// All calls of all threads, those that another thread interrupted put together again.
fn calls(text: &str) -> Result<Vec<Called<'_>>, String> {
    let mut open: HashMap<&str, (usize, &str)> = HashMap::new();
    let mut all = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let (thread, rest) =
            line.split_once(' ').ok_or_else(|| format!("no thread in {line:?}"))?;
        let rest = rest.trim_start();
        if rest.starts_with("+++") || rest.starts_with("---") {
            continue;
        }
        if let Some(head) = rest.strip_suffix(" <unfinished ...>") {
            open.insert(thread, (number, head));
            continue;
        }
        let (began, head, tail) = match rest.strip_prefix("<... ") {
            Some(tail) => {
                let (_, tail) =
                    tail.split_once(" resumed>").ok_or("a resumed call without its mark")?;
                let (began, head) = open.remove(thread).ok_or("a resumed call that never began")?;
                (began, head, tail)
            }
            None => (number, "", rest),
        };
        let whole = if head.is_empty() { tail } else { head };
        let (name, args) = whole.split_once('(').ok_or_else(|| format!("no call in {rest:?}"))?;
        let Some(end) = tail.rfind(" = ") else { continue };
        let result = &tail[end + 3..];
        let args = match head.is_empty() {
            true => args[..args.len() - (tail.len() - end)].trim_end(),
            // Arguments that are only known at the end are buffers read into, which nobody asks for here.
            false => args,
        };
        let args = split(args.strip_suffix(')').unwrap_or(args));
        all.push(Called { name, args, result, began, ended: number });
    }
    // Killed in the middle: whether it happened is unknown, and crash states have both.
    Ok(all)
}

/// Splits at the commas that stand in no bracket and no string.
fn split(args: &str) -> Vec<&str> {
    let (mut depth, mut quoted, mut from) = (0_usize, false, 0);
    let mut parts = Vec::new();
    for (at, byte) in args.bytes().enumerate() {
        match byte {
            b'"' => quoted = !quoted,
            _ if quoted => {}
            b'[' | b'{' | b'<' | b'(' => depth += 1,
            b']' | b'}' | b'>' | b')' => depth = depth.saturating_sub(1),
            b',' if depth == 0 => {
                parts.push(args[from..at].trim());
                from = at + 1;
            }
            _ => {}
        }
    }
    parts.push(args[from..].trim());
    parts
}

/// The bytes of `\x2f\x68…`.
fn unhex(text: &str) -> Result<Vec<u8>, String> {
    let digits = text.as_bytes();
    if !digits.len().is_multiple_of(4) {
        return Err(format!("not a string of hexadecimal bytes: {:.60}", text));
    }
    let value = |digit: u8| char::from(digit).to_digit(16);
    let one = |four: &[u8]| match (four, value(four[2]), value(four[3])) {
        ([b'\\', b'x', ..], Some(high), Some(low)) => u8::try_from(high * 16 + low).ok(),
        _ => None,
    };
    let all: Option<Vec<u8>> = digits.chunks_exact(4).map(one).collect();
    all.ok_or_else(|| format!("not a string of hexadecimal bytes: {:.60}", text))
}

/// All strings of an argument, one after another.
fn strings(arg: &str) -> Result<Vec<u8>, String> {
    if arg.contains("\"...") {
        return Err("a string was cut short by strace".into());
    }
    let parts: Result<Vec<Vec<u8>>, String> =
        arg.split('"').skip(1).step_by(2).map(unhex).collect();
    Ok(parts?.concat())
}

fn text(bytes: Vec<u8>) -> Result<String, String> {
    String::from_utf8(bytes).map_err(|_| "a path that is not UTF-8".into())
}

impl<'a> Reader<'a> {
    /// A path below the recorded directory, relative to it.
    fn inside(&self, path: &Path) -> Option<String> {
        let absolute = if path.is_absolute() { path.to_owned() } else { self.root.join(path) };
        let mut clean = PathBuf::new();
        for part in absolute.components() {
            match part {
                Component::ParentDir => drop(clean.pop()),
                Component::CurDir => {}
                other => clean.push(other),
            }
        }
        Some(clean.strip_prefix(self.root).ok()?.to_str()?.to_owned())
    }

    /// The path behind a descriptor such as `3<\x2f…>`; none for files that have no name any more.
    fn behind(&self, descriptor: &str) -> Result<Option<String>, String> {
        let Some((_, rest)) = descriptor.split_once('<') else { return Ok(None) };
        let (path, after) = rest.split_once('>').ok_or("a descriptor without an end")?;
        let path = text(unhex(path)?)?;
        // Pipes and sockets have names that begin otherwise.
        let gone =
            after.contains("deleted") || path.ends_with(" (deleted)") || !path.starts_with('/');
        Ok(if gone { None } else { self.inside(Path::new(&path)) })
    }

    fn named(&self, arg: &str) -> Result<Option<String>, String> {
        Ok(self.inside(Path::new(&text(strings(arg)?)?)))
    }

    /// A path relative to the directory behind a descriptor.
    fn named_at(&self, dir: &str, arg: &str) -> Result<Option<String>, String> {
        let name = text(strings(arg)?)?;
        let base = match dir.split_once('<').and_then(|(_, rest)| rest.split_once('>')) {
            Some((path, _)) => PathBuf::from(text(unhex(path)?)?),
            None => self.root.to_owned(),
        };
        Ok(self.inside(&base.join(name)))
    }

    fn op(&mut self, call: &Called<'a>) -> Result<Option<Op>, String> {
        let arg = |n: usize| call.args.get(n).copied().ok_or("too few arguments");
        let failed = call.result.starts_with("-1") || call.result.starts_with('?');
        if matches!(call.name, "fsync" | "fdatasync") {
            let path = self.behind(arg(0)?)?;
            let op = if failed { Op::FailedSync } else { Op::Sync };
            return Ok(path.map(op));
        }
        if failed {
            return Ok(None);
        }
        let op = match call.name {
            "open" | "openat" | "creat" => self.opened(call)?,
            "write" | "writev" | "pwrite64" | "sendto" | "sendmsg" => self.written(call)?,
            "lseek" => {
                let at = number(call.result)?;
                self.handles.entry(handle(arg(0)?)).and_modify(|h| h.at = at);
                None
            }
            "ftruncate" => {
                let len = number(arg(1)?)?;
                self.behind(arg(0)?)?.map(|path| Op::SetLen { path, len })
            }
            "truncate" => {
                let len = number(arg(1)?)?;
                self.named(arg(0)?)?.map(|path| Op::SetLen { path, len })
            }
            "rename" => both(self.named(arg(0)?)?, self.named(arg(1)?)?)?,
            "renameat" | "renameat2" => {
                both(self.named_at(arg(0)?, arg(1)?)?, self.named_at(arg(2)?, arg(3)?)?)?
            }
            "unlink" => self.named(arg(0)?)?.map(Op::Remove),
            "unlinkat" => {
                let removed =
                    if arg(2)?.contains("REMOVEDIR") { Op::RemoveDir } else { Op::Remove };
                self.named_at(arg(0)?, arg(1)?)?.map(removed)
            }
            "mkdir" => self.named(arg(0)?)?.map(Op::MakeDir),
            "mkdirat" => self.named_at(arg(0)?, arg(1)?)?.map(Op::MakeDir),
            "rmdir" => self.named(arg(0)?)?.map(Op::RemoveDir),
            "mmap" => {
                let shared = call.args.get(3).is_some_and(|f| f.contains("MAP_SHARED"));
                let writes = call.args.get(2).is_some_and(|p| p.contains("PROT_WRITE"));
                match shared && writes && self.behind(arg(4)?)?.is_some() {
                    true => return Err("a shared writable mapping is not replayed".into()),
                    false => None,
                }
            }
            other => self.unknown(other, call)?,
        };
        Ok(op)
    }

    /// Calls that the replay does not know are fine elsewhere.
    fn unknown(&self, name: &str, call: &Called<'_>) -> Result<Option<Op>, String> {
        for arg in &call.args {
            let path = if arg.starts_with('"') { self.named(arg)? } else { self.behind(arg)? };
            if let Some(path) = path {
                return Err(format!("{name} on {path} is not replayed"));
            }
        }
        Ok(None)
    }

    fn opened(&mut self, call: &Called<'a>) -> Result<Option<Op>, String> {
        let flags = match call.name {
            "openat" => call.args.get(2),
            "open" => call.args.get(1),
            _ => Some(&"O_CREAT|O_TRUNC"),
        };
        let flags = flags.copied().unwrap_or_default();
        let made = Handle { appends: flags.contains("O_APPEND"), at: 0 };
        self.handles.insert(handle(call.result), made);
        let emptied = flags.contains("O_TRUNC");
        let Some(path) = self.behind(call.result)? else { return Ok(None) };
        let changes = emptied || flags.contains("O_CREAT");
        Ok(changes.then_some(Op::Open { path, emptied }))
    }

    fn written(&mut self, call: &Called<'a>) -> Result<Option<Op>, String> {
        let descriptor = call.args.first().copied().unwrap_or_default();
        let data = call.args.get(1).copied().unwrap_or_default();
        let number_of = handle(descriptor);
        let taken = number(call.result)?;
        let path = self.behind(descriptor)?;
        // Standard output may be a file anywhere; the name of the others begins with "socket".
        let socket = descriptor.contains("<\\x73\\x6f\\x63\\x6b\\x65\\x74") && number_of != "2";
        if path.is_none() && (number_of == "1" || (socket && call.name != "pwrite64")) {
            let bytes = strings(data)?;
            return Ok((!bytes.is_empty()).then_some(Op::Say(bytes)));
        }
        let known = self.handles.get_mut(number_of);
        let at = match (call.name, known) {
            ("pwrite64", _) => Some(number(call.args.get(3).copied().unwrap_or_default())?),
            (_, Some(handle)) if !handle.appends => {
                handle.at += taken;
                Some(handle.at - taken)
            }
            _ => None,
        };
        let Some(path) = path else { return Ok(None) };
        let mut bytes = strings(data)?;
        if bytes.len() < taken {
            return Err(format!("{path}: strace shows fewer bytes than were written"));
        }
        bytes.truncate(taken);
        Ok(Some(Op::Write { path, at, bytes }))
    }
}

fn both(from: Option<String>, to: Option<String>) -> Result<Option<Op>, String> {
    match (from, to) {
        (Some(from), Some(to)) => Ok(Some(Op::Rename(from, to))),
        (None, None) => Ok(None),
        _ => Err("a rename into or out of the recorded directory is not replayed".into()),
    }
}

/// The number of a descriptor such as `3<\x2f…>`.
fn handle(descriptor: &str) -> &str {
    descriptor.split('<').next().unwrap_or(descriptor).trim()
}

fn number(text: &str) -> Result<usize, String> {
    let digits = text.trim().split([' ', '<']).next().unwrap_or_default();
    digits.parse().map_err(|_| format!("not a number: {text:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(text: &str) -> String {
        text.bytes().map(|b| format!("\\x{b:02x}")).collect()
    }

    fn read_all(lines: &[String]) -> Result<Vec<Op>, String> {
        read(&lines.join("\n"), Path::new("/r"))
    }

    #[test]
    fn appends_writes_and_syncs_are_read_with_their_places() {
        let lines = [
            format!(
                "7 openat(AT_FDCWD<{}>, \"{}\", O_RDWR|O_CREAT, 0600) = 3<{}>",
                hex("/"),
                hex("/r/a"),
                hex("/r/a")
            ),
            format!("7 write(3<{}>, \"{}\", 3) = 2", hex("/r/a"), hex("one")),
            format!("7 write(3<{}>, \"{}\", 1) = 1", hex("/r/a"), hex("e")),
            format!("7 pwrite64(3<{}>, \"{}\", 1, 4096) = 1", hex("/r/a"), hex("x")),
            format!("7 fdatasync(3<{}>) = 0", hex("/r/a")),
            format!("7 write(1<{}>, \"{}\", 2) = 2", hex("pipe:[9]"), hex("ok")),
            format!("7 sendto(9<{}>, \"{}\", 2, 0, NULL, 0) = 2", hex("socket:[9]"), hex("ok")),
            "7 +++ exited with 0 +++".into(),
        ];
        let path = || "a".to_owned();
        let write = |at, text: &str| Op::Write { path: path(), at: Some(at), bytes: text.into() };
        let want = [
            Op::Open { path: path(), emptied: false },
            write(0, "on"),
            write(2, "e"),
            write(4096, "x"),
            Op::Sync(path()),
            Op::Say(b"ok".to_vec()),
            Op::Say(b"ok".to_vec()),
        ];
        assert_eq!(read_all(&lines).unwrap(), want);
    }

    #[test]
    fn a_write_that_a_sync_overtook_is_not_covered_by_it() {
        let lines = [
            format!(
                "7 openat(AT_FDCWD<{}>, \"{}\", O_WRONLY|O_APPEND) = 3<{}>",
                hex("/"),
                hex("/r/a"),
                hex("/r/a")
            ),
            format!("7 fdatasync(3<{}> <unfinished ...>", hex("/r/a")),
            format!("8 write(3<{}>, \"{}\", 1) = 1", hex("/r/a"), hex("x")),
            "7 <... fdatasync resumed>) = 0".to_owned(),
        ];
        let write = Op::Write { path: "a".into(), at: None, bytes: b"x".to_vec() };
        assert_eq!(read_all(&lines).unwrap(), [Op::Sync("a".into()), write]);
    }

    #[test]
    fn what_cannot_be_replayed_is_said() {
        let link = format!("7 link(\"{}\", \"{}\") = 0", hex("/r/a"), hex("/r/b"));
        assert!(read_all(&[link]).unwrap_err().contains("not replayed"));
        let elsewhere = format!("7 link(\"{}\", \"{}\") = 0", hex("/x/a"), hex("/x/b"));
        assert_eq!(read_all(&[elsewhere]).unwrap(), []);
        let failed =
            format!("7 fsync(3<{}>) = -1 EIO (Input/output error) (INJECTED)", hex("/r/d"));
        assert_eq!(read_all(&[failed]).unwrap(), [Op::FailedSync("d".into())]);
    }
}
