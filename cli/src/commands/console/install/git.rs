//! The post-commit hook of a repository.
//!
//! A hook that is there is put aside under its own name, as it is, and called first: one that finds its work by the name
//! under which it is called finds it still. A link is kept as a link, and what it leads to is never written. git does not
//! look at the exit code of this hook, so nothing here can stop a commit; what it says stays out of the way.

use super::files::{self, Change, Links, Own, PUT_ASIDE};
use super::{Done, Line, Wanted};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use vm_contracts::{Failure, Fault, Refusal};

const HOOK: &str = "post-commit";
const BEGIN: &str = "# vaultmesh: begin";
const END: &str = "# vaultmesh: end";
/// How long a commit waits for its record at most.
const WITHIN_SECONDS: u64 = 10;

/// The change that puts the hook in.
pub fn plan_install(line: &Line, wanted: &Wanted) -> Result<Done, Failure> {
    let Place { hooks, scope, tracked } = place(wanted)?;
    let hook = hooks.join(HOOK);
    let there = files::own(&hook)?;
    let mut changes = Vec::new();
    let mut notes = Vec::new();
    let (after, mode) = match &there {
        Some(Own::File(bytes)) if parts(bytes).is_some() => (with_ours(bytes, &block(line)?), None),
        Some(other) => {
            changes.extend(put_aside(&hooks, other)?);
            notes.push(format!("the hook that was there is called first, from {PUT_ASIDE}/{HOOK}"));
            (text(line)?.into_bytes(), Some(0o755))
        }
        None => (text(line)?.into_bytes(), Some(0o755)),
    };
    if tracked {
        notes.push("the hooks stand in the work tree: git shows these files as changed".to_owned());
    }
    let links = Links::Kept { before: there.as_ref().is_some_and(Own::is_link), after: false };
    let before = there.map(Own::bytes);
    changes.push(Change { path: hook, before, after: Some(after), mode, links });
    Ok(Done { scope, changes, stood: None, notes })
}

/// The change that keeps the hook of others under its own name; none where it is kept already.
fn put_aside(hooks: &Path, hook: &Own) -> Result<Option<Change>, Failure> {
    let kept = hooks.join(PUT_ASIDE).join(HOOK);
    let (after, mode) = match hook {
        Own::File(bytes) => (Own::File(bytes.clone()), mode(&hooks.join(HOOK))),
        // One directory further down.
        Own::Link(to) if to.is_relative() => (Own::Link(Path::new("..").join(to)), None),
        Own::Link(to) => (Own::Link(to.clone()), None),
    };
    match files::own(&kept)? {
        None => {}
        Some(same) if same == after => return Ok(None),
        Some(_) => {
            let what = format!("{} is there already, and is another hook", kept.display());
            return Err(Refusal::conflict("hook_edited", what)
                .hint("Move it away or delete it, then give the command again.")
                .into());
        }
    }
    let links = Links::Kept { before: false, after: after.is_link() };
    Ok(Some(Change { path: kept, before: None, after: Some(after.bytes()), mode, links }))
}

/// The change that takes it out and puts back what was there.
pub fn plan_uninstall(_line: &Line, wanted: &Wanted) -> Result<Done, Failure> {
    let Place { hooks, scope, .. } = place(wanted)?;
    let (hook, kept) = (hooks.join(HOOK), hooks.join(PUT_ASIDE).join(HOOK));
    let nothing = || Ok(Done { scope, changes: Vec::new(), stood: None, notes: Vec::new() });
    let Some(Own::File(bytes)) = files::own(&hook)? else { return nothing() };
    if parts(&bytes).is_none() {
        return nothing();
    }
    let (rest, aside) = (without_ours(&bytes), files::own(&kept)?);
    if rest.is_some() && aside.is_some() {
        let what = format!("{} was edited, and {} is there too", hook.display(), kept.display());
        return Err(Refusal::conflict("hook_edited", what)
            .hint(format!("Take the lines from `{BEGIN}` to `{END}` out, and join both files."))
            .into());
    }
    let mode = aside.as_ref().filter(|a| !a.is_link()).and_then(|_| mode(&kept));
    let back = aside.clone().map(|own| match own {
        Own::Link(to) => {
            Own::Link(to.strip_prefix("..").map_or_else(|_| to.clone(), Path::to_owned))
        }
        file => file,
    });
    let links = Links::Kept { before: false, after: back.as_ref().is_some_and(Own::is_link) };
    let after = rest.or_else(|| back.map(Own::bytes));
    let mut changes = vec![Change { path: hook, before: Some(bytes), after, mode, links }];
    if let Some(aside) = aside {
        let links = Links::Kept { before: aside.is_link(), after: false };
        let before = Some(aside.bytes());
        changes.push(Change { path: kept, before, after: None, mode: None, links });
    }
    Ok(Done { scope, changes, stood: None, notes: Vec::new() })
}

fn mode(path: &Path) -> Option<u32> {
    std::fs::metadata(path).ok().map(|m| m.permissions().mode() & 0o7777)
}

fn text(line: &Line) -> Result<String, Refusal> {
    Ok(format!("#!/bin/sh\n{}", block(line)?))
}

/// Our lines. The hook that was put aside is found beside this file, wherever the directory is moved. A plain script of
/// the shell is read under this file's name, so that it finds what stands beside it; all others are called where they
/// are. `:` ends well whatever happened.
fn block(line: &Line) -> Result<String, Refusal> {
    Ok(format!(
        r##"{BEGIN}
vaultmesh_kept="$(dirname "$0")/{PUT_ASIDE}/{HOOK}"
if [ -x "$vaultmesh_kept" ]; then
  vaultmesh_first=
  [ -L "$vaultmesh_kept" ] || IFS= read -r vaultmesh_first <"$vaultmesh_kept" 2>/dev/null || :
  case "$vaultmesh_first" in
  '#!/bin/sh' | '#!/usr/bin/env sh') vaultmesh_kept="$vaultmesh_kept" sh -c '. "$vaultmesh_kept"' "$0" "$@" || : ;;
  *) "$vaultmesh_kept" "$@" || : ;;
  esac
fi
{} --wait 2 console commit --quiet --within {WITHIN_SECONDS} HEAD </dev/null >/dev/null 2>&1 || :
{END}
"##,
        line.begin()?
    ))
}

/// A hook of ours: what stands before our lines, and what behind them.
fn parts(bytes: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    let mut lines = bytes.split_inclusive(|b| *b == b'\n');
    let is = |line: &&[u8], mark: &str| line.trim_ascii_end() == mark.as_bytes();
    let before: Vec<&[u8]> = lines.by_ref().take_while(|l| !is(l, BEGIN)).collect();
    lines.by_ref().find(|l| is(l, END))?;
    Some((before.concat(), lines.collect::<Vec<_>>().concat()))
}

/// Our hook with these lines as ours, and what others wrote into it as it is.
fn with_ours(bytes: &[u8], block: &str) -> Vec<u8> {
    let (before, behind) = parts(bytes).unwrap_or_default();
    [before, block.into(), behind].concat()
}

/// What others wrote into our hook; `None` where they wrote nothing.
fn without_ours(bytes: &[u8]) -> Option<Vec<u8>> {
    let (before, behind) = parts(bytes)?;
    let rest = [before, behind].concat();
    let says = |line: &[u8]| !line.trim_ascii().is_empty() && !line.starts_with(b"#!");
    rest.split(|b| *b == b'\n').any(says).then_some(rest)
}

struct Place {
    hooks: PathBuf,
    scope: &'static str,
    /// Whether it is a directory of the work tree.
    tracked: bool,
}

/// Where git looks for hooks here.
fn place(wanted: &Wanted) -> Result<Place, Failure> {
    let all =
        git(&["rev-parse", "--path-format=absolute", "--git-common-dir", "--git-path", "hooks"])?;
    let mut lines = all.lines().map(PathBuf::from);
    // Where they really are: a directory of hooks may be a link.
    let mut next = || lines.next().map(|p| p.canonicalize().unwrap_or(p));
    let (Some(common), Some(hooks)) = (next(), next()) else {
        return Err(Fault::new("git_failed", "git does not say where its hooks are").into());
    };
    let top = git(&["rev-parse", "--show-toplevel"]).map(|t| PathBuf::from(t.trim_end())).ok();
    let top = top.map(|top| top.canonicalize().unwrap_or(top));
    let tracked = !hooks.starts_with(&common) && top.is_some_and(|top| hooks.starts_with(top));
    let inside = tracked || hooks.starts_with(&common);
    if !inside && !wanted.user {
        let what = format!("core.hooksPath leads out of this repository, to {}", hooks.display());
        return Err(Refusal::conflict("hooks_shared", what)
            .hint("Give --user to install the hook there, for every repository that uses it.")
            .into());
    }
    Ok(Place { hooks, scope: if inside { "project" } else { "user" }, tracked })
}

fn git(words: &[&str]) -> Result<String, Failure> {
    let said = Command::new("git").args(words).stdin(Stdio::null()).output().map_err(|e| {
        Failure::from(Fault::new("git_failed", format!("cannot run git: {e}")).hint("Install git."))
    })?;
    if !said.status.success() {
        let told = String::from_utf8_lossy(&said.stderr);
        let what = told.lines().next().unwrap_or("git refused").to_owned();
        return Err(Refusal::not_found("no_repository", what)
            .hint("Give the command in a git repository.")
            .into());
    }
    Ok(String::from_utf8_lossy(&said.stdout).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_wrote_into_our_hook_is_found_and_our_own_lines_are_not() {
        let line = Line { program: "/usr/bin/vm".into(), home: "/h".into() };
        let ours = text(&line).unwrap();
        assert!(parts(ours.as_bytes()).is_some() && parts(b"#!/bin/sh\necho\n").is_none());
        assert!(parts(format!("{END}\n{BEGIN}\n").as_bytes()).is_none());
        assert_eq!(without_ours(ours.as_bytes()), None);
        let more = ours.replace("#!/bin/sh\n", "#!/bin/sh\necho first\n") + "echo \"mine\"\n";
        assert_eq!(
            without_ours(more.as_bytes()).unwrap(),
            b"#!/bin/sh\necho first\necho \"mine\"\n"
        );
        let newer = Line { program: "/opt/vm".into(), ..line };
        let again = with_ours(more.as_bytes(), &block(&newer).unwrap());
        let again = String::from_utf8(again).unwrap();
        assert_eq!(again, more.replace("/usr/bin/vm", "/opt/vm"));
    }
}
