//! `vm backup` and `vm restore`: a consistent copy of a home, and a home again from it.
//!
//! A backup is whole when its MANIFEST.sha256 is there; it is written last. A restore verifies the copy first, never
//! writes over a home, and leaves a `ledger_restored` receipt in every scroll. If the ledger had signed more than the
//! backup holds, going on under the same origin would sign a second root for a size: then a new node name is needed,
//! and with it a new origin.

use crate::audit::{self_asserted_trust, verify_home};
use crate::fs::{Disk, Fs, replace};
use crate::guard::{Guard, SIGNED_STATE, outside};
use crate::home::{self, KEYS, io_fault, make_private, write_new, write_public_keys};
use crate::keys::{ISSUER, Keys, LOG};
use crate::ledger::Ledger;
use crate::lock::{LOCK, Lock};
use crate::openings::OPENINGS_KEY;
use crate::segments::scroll_dir;
use crate::writer::{Settings, root_path};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use vm_contracts::{AnyEngine, Corrupt, Failure, Gate, Refusal, RefusalKind};
use vm_receipts::digest::Sha256;
use vm_receipts::line::Line;
use vm_scrolls::verdict::Outcome;

/// Configuration file of a home.
pub const CONFIG: &str = "vaultmesh.toml";
/// List of a backup's files and their SHA-256, as `sha256sum -c` reads it.
pub const MANIFEST: &str = "MANIFEST.sha256";

/// What a backup holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Backup {
    /// Scrolls and their sizes.
    pub scrolls: Vec<(String, u64)>,
    /// Files, the manifest not counted.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// What a restore made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restored {
    /// Scrolls and the sizes that the backup held.
    pub scrolls: Vec<(String, u64)>,
    /// What was lost: scrolls and the sizes they had been signed up to.
    pub lost_up_to: BTreeMap<String, u64>,
    /// What opening found.
    pub messages: Vec<String>,
}

/// Copies a home, between two batches, into a new directory. Secret keys come along unless `with_keys` is false.
pub fn backup(ledger: &Ledger, home: &Path, to: &Path, with_keys: bool) -> Result<Backup, Failure> {
    let mut writer = ledger.writer();
    writer.publish()?;
    if let Some((scroll, _)) = writer.damage.iter().next() {
        let what = format!("{scroll} has damaged lines, and a backup must be whole");
        return Err(Refusal::new("damaged_tail", RefusalKind::Unavailable, what)
            .hint(format!("Put them back, or run `vm accept-cut {scroll}` first. Until then copy the home as it is."))
            .into());
    }
    refuse_inhabited(to)?;
    make_private(to).map_err(|e| io_fault("make", to, &e))?;
    let scrolls: Vec<(String, u64)> = writer
        .scrolls
        .iter()
        .filter(|(_, s)| s.size() > 0)
        .map(|(n, s)| (n.clone(), s.size()))
        .collect();
    let mut names: Vec<String> = vec![CONFIG.into(), SIGNED_STATE.into()];
    for public in ["issuer.did", "log.vkey", "trust.txt"] {
        names.push(format!("{KEYS}/{public}"));
    }
    if with_keys {
        names.extend([format!("{KEYS}/{ISSUER}"), format!("{KEYS}/{LOG}")]);
    }
    // Openings without the home key are noise. The keyring is wrapped by that key, and changes with the pages.
    if with_keys && home.join(OPENINGS_KEY).exists() {
        names.push(OPENINGS_KEY.to_owned());
    }
    for dir in ["openings", "cases", "runs"] {
        files_below(home, dir, &mut names)?;
    }
    for (scroll, _) in &scrolls {
        names.push(root_path(scroll));
        let dir = scroll_dir(scroll);
        let files =
            fs::read_dir(home.join(&dir)).map_err(|e| io_fault("list", &home.join(&dir), &e))?;
        let mut files: Vec<String> = files
            .filter_map(|f| f.ok().map(|f| f.file_name().to_string_lossy().into_owned()))
            .filter(|f| f.ends_with(".jsonl"))
            .collect();
        files.sort_unstable();
        names.extend(files.into_iter().map(|f| format!("{dir}/{f}")));
    }
    let (files, bytes) = copy_all(home, to, &names)?;
    Ok(Backup { scrolls, files, bytes })
}

/// Regular files below a directory of the home, sorted. What is none of ours (links, pipes) stays behind.
fn files_below(home: &Path, dir: &str, names: &mut Vec<String>) -> Result<(), Failure> {
    let path = home.join(dir);
    let entries = match fs::read_dir(&path) {
        Ok(entries) => entries,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(io_fault("list", &path, &e)),
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|e| io_fault("list", &path, &e))?;
        let kind = entry.file_type().map_err(|e| io_fault("look at", &entry.path(), &e))?;
        found.push((format!("{dir}/{}", entry.file_name().to_string_lossy()), kind));
    }
    found.sort_unstable_by(|a, b| a.0.cmp(&b.0));
    for (name, kind) in found {
        if kind.is_dir() {
            files_below(home, &name, names)?;
        } else if kind.is_file() {
            names.push(name);
        }
    }
    Ok(())
}

fn copy_all(home: &Path, to: &Path, names: &[String]) -> Result<(u64, u64), Failure> {
    let mut manifest = String::new();
    let (mut files, mut bytes) = (0u64, 0u64);
    for name in names {
        let from = home.join(name);
        if name == CONFIG && !from.exists() {
            continue;
        }
        let path = to.join(name);
        let parent = path.parent().unwrap_or(to);
        make_private(parent).map_err(|e| io_fault("make", parent, &e))?;
        let (size, hash) = copy(&from, Some(&path))?;
        sync_dirs(parent, to)?;
        manifest += &format!("{}  {name}\n", hash.trim_start_matches("sha256:"));
        files += 1;
        bytes += size;
    }
    let path = to.join(MANIFEST);
    write_new(&path, manifest.as_bytes()).map_err(|e| io_fault("write", &path, &e))?;
    sync_dirs(to, to)?;
    Ok((files, bytes))
}

/// Reads a file piece by piece, into a new private file where one is named; its length and `sha256:<hex>`.
fn copy(from: &Path, to: Option<&Path>) -> Result<(u64, String), Failure> {
    use sha2::Digest;
    use std::io::{Read, Write};
    let mut source = File::open(from).map_err(|e| io_fault("read", from, &e))?;
    let mut target = match to {
        Some(to) => Some((to, create_new(to).map_err(|e| io_fault("write", to, &e))?)),
        None => None,
    };
    let (mut size, mut hash) = (0u64, sha2::Sha256::new());
    let mut piece = vec![0u8; 1 << 20];
    loop {
        let read = source.read(&mut piece).map_err(|e| io_fault("read", from, &e))?;
        if read == 0 {
            break;
        }
        hash.update(&piece[..read]);
        size += read as u64;
        if let Some((to, file)) = &mut target {
            file.write_all(&piece[..read]).map_err(|e| io_fault("write", to, &e))?;
        }
    }
    if let Some((to, file)) = &mut target {
        file.sync_all().map_err(|e| io_fault("sync", to, &e))?;
    }
    Ok((size, Sha256(hash.finalize().into()).to_string()))
}

fn create_new(path: &Path) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt;
    fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

/// Makes names durable from a directory up to the parent of `top`.
fn sync_dirs(from: &Path, top: &Path) -> Result<(), Failure> {
    let above = top.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    for dir in from.ancestors().take_while(|d| d.starts_with(top)).chain([above]) {
        File::open(dir).and_then(|d| d.sync_all()).map_err(|e| io_fault("sync", dir, &e))?;
    }
    Ok(())
}

/// Where a restored ledger goes on, and what it is made from.
pub struct Restore<'a> {
    /// Directory of the backup.
    pub from: &'a Path,
    /// The new home; must be empty or absent.
    pub home: &'a Path,
    /// The guard directory.
    pub guard: &'a Path,
    /// Settings as they will be, the new node name included.
    pub settings: Settings,
    /// Content of the new vaultmesh.toml.
    pub config: &'a str,
    /// Whether the node name differs from the backup's.
    pub renamed: bool,
}

/// Makes a home from a backup.
pub fn restore(
    plan: Restore<'_>,
    engines: &'static [&'static dyn AnyEngine],
    gate: Arc<dyn Gate>,
) -> Result<Restored, Failure> {
    check_manifest(plan.from)?;
    let source = Disk::new(plan.from, plan.guard);
    let trust = self_asserted_trust(&source)?;
    let verdict = verify_home(&source, &trust, &mut |_, _, _| {});
    if !matches!(verdict.outcome, Outcome::Verified | Outcome::Absent) {
        let place = verdict.first_bad.as_ref();
        return Err(Failure::Corrupt(Corrupt {
            file: place.map_or_else(|| plan.from.display().to_string(), |p| p.file.clone()),
            line: place.and_then(|p| p.line),
            byte: place.and_then(|p| p.byte),
            claim: format!("the backup does not verify: {}", verdict.summary),
            hint: Some("Nothing was restored. Use another backup.".into()),
        }));
    }
    refuse_inhabited(plan.home)?;
    Keys::load(&plan.from.join(KEYS))?;
    if plan.renamed {
        refuse_used_node(&plan)?;
    }
    make_private(plan.home)
        .and_then(|()| fs::set_permissions(plan.home, fs::Permissions::from_mode(0o700)))
        .map_err(|e| io_fault("make", plan.home, &e))?;
    make_private(plan.guard).map_err(|e| io_fault("make", plan.guard, &e))?;
    // Both locks before the comparison: a ledger that runs beside it would sign on.
    let locks =
        [Lock::acquire(plan.home, Duration::ZERO)?, Lock::acquire(plan.guard, Duration::ZERO)?];
    let lost_up_to = compare_with_guard(&plan)?;
    copy_back(&plan, engines)?;
    let owned = home::open_holding(
        locks,
        plan.home,
        plan.guard,
        plan.settings.clone(),
        engines,
        (gate, Arc::new(vm_contracts::NoPorts)),
    )?;
    let (scrolls, messages) = {
        let mut writer = owned.ledger.writer();
        let scrolls = writer.scrolls.iter().map(|(n, s)| (n.clone(), s.size())).collect();
        writer.mark_restored(&lost_up_to)?;
        (scrolls, std::mem::take(&mut writer.messages))
    };
    owned.close()?;
    // The configuration comes last: without it no command opens the home, so a restore that broke off is no home.
    let config = plan.home.join(CONFIG);
    write_new(&config, plan.config.as_bytes()).map_err(|e| io_fault("write", &config, &e))?;
    sync_dirs(plan.home, plan.home)?;
    Ok(Restored { scrolls, lost_up_to, messages })
}

fn check_manifest(from: &Path) -> Result<(), Failure> {
    let path = from.join(MANIFEST);
    let text = fs::read_to_string(&path).map_err(|e| {
        Failure::Refusal(
            Refusal::not_found(
                "not_a_backup",
                format!("{} has no readable {MANIFEST}: {e}", from.display()),
            )
            .hint("It is written last; a directory without it is no whole backup."),
        )
    })?;
    for (number, line) in text.lines().enumerate() {
        let corrupt = |claim: String| {
            Failure::Corrupt(Corrupt {
                file: MANIFEST.into(),
                line: Some(number as u64 + 1),
                byte: None,
                claim,
                hint: Some("Nothing was restored. Use another backup.".into()),
            })
        };
        let (hash, name) =
            line.split_once("  ").ok_or_else(|| corrupt("the line is no manifest line".into()))?;
        if name.starts_with('/') || name.split('/').any(|part| part == "..") {
            return Err(corrupt(format!("{name} leads out of the backup")));
        }
        let (_, found) = copy(&from.join(name), None)
            .map_err(|e| corrupt(format!("{name} cannot be read: {e}")))?;
        if found != format!("sha256:{hash}") {
            return Err(corrupt(format!("{name} was changed after the backup was made")));
        }
    }
    Ok(())
}

/// What this machine remembers of the ledger beyond the backup, by scroll.
fn compare_with_guard(plan: &Restore<'_>) -> Result<BTreeMap<String, u64>, Failure> {
    let disk = Disk::new(plan.from, plan.guard);
    let mut lost = BTreeMap::new();
    let (away, held) = (read_guard(&disk, &outside())?, read_guard(&disk, SIGNED_STATE)?);
    let (Some(away), Some(held)) = (away, held) else { return Ok(lost) };
    for (origin, signed) in away.origins() {
        let scroll = origin.rsplit('/').next().unwrap_or(origin);
        if signed.size > held.get(origin).map_or(0, |s| s.size) {
            let most = lost.entry(scroll.to_owned()).or_insert(0);
            *most = signed.size.max(*most);
        }
    }
    if lost.is_empty() || plan.renamed {
        return Ok(lost);
    }
    let what: Vec<String> = lost.iter().map(|(n, size)| format!("{n} up to {size}")).collect();
    Err(Refusal::conflict(
        "older_than_signed",
        format!("this ledger had signed more than the backup holds: {}", what.join(", ")),
    )
    .hint("Look for a newer backup first. If there is none, give --node NEWNAME: the ledger goes on under a new origin, and a receipt says what is lost.")
    .into())
}

fn read_guard(disk: &Disk, path: &str) -> Result<Option<Guard>, Failure> {
    let bytes = match disk.read(path) {
        Ok(bytes) => bytes,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(io_fault("read", Path::new(path), &e)),
    };
    Guard::parse(&bytes).map(Some).map_err(|e| {
        Failure::Corrupt(Corrupt {
            file: path.to_owned(),
            line: None,
            byte: None,
            claim: format!("signed-state does not read: {e}"),
            hint: Some("Nothing was restored.".into()),
        })
    })
}

/// A node name that was ever signed under must not come back: its log would get a second history.
fn refuse_used_node(plan: &Restore<'_>) -> Result<(), Failure> {
    let disk = Disk::new(plan.from, plan.guard);
    let prefix = plan.settings.origin("");
    let mut used = false;
    for path in [outside(), SIGNED_STATE.to_owned()] {
        used |= read_guard(&disk, &path)?.is_some_and(|g| g.scrolls(&prefix).next().is_some());
    }
    for scroll in crate::audit::scrolls(&disk).map_err(|e| io_fault("list", plan.from, &e))? {
        let dir = scroll_dir(&scroll);
        for name in disk.list(&dir).map_err(|e| io_fault("list", plan.from, &e))? {
            let bytes =
                disk.read(&format!("{dir}/{name}")).map_err(|e| io_fault("read", plan.from, &e))?;
            let named =
                |l: &[u8]| Line::parse(l).is_ok_and(|l| l.context.node == plan.settings.node);
            used |= bytes.split(|b| *b == b'\n').any(named);
        }
    }
    match used {
        true => Err(Refusal::conflict(
            "node_name_used",
            format!("this ledger has signed as {} before", plan.settings.node),
        )
        .hint("Give a node name that was never used for this ledger.")
        .into()),
        false => Ok(()),
    }
}

fn copy_back(
    plan: &Restore<'_>,
    engines: &'static [&'static dyn AnyEngine],
) -> Result<(), Failure> {
    let io = |path: &Path| {
        let path = path.to_owned();
        move |e: io::Error| io_fault("write", &path, &e)
    };
    home::probe(plan.home)?;
    let manifest = fs::read_to_string(plan.from.join(MANIFEST)).map_err(io(plan.from))?;
    for (_, name) in manifest.lines().filter_map(|l| l.split_once("  ")) {
        let root = name.starts_with("ROOT.");
        if name == CONFIG || (root && plan.renamed) {
            continue;
        }
        let path = plan.home.join(name);
        let parent = path.parent().unwrap_or(plan.home);
        make_private(parent).map_err(io(parent))?;
        copy(&plan.from.join(name), Some(&path))?;
        File::open(parent).and_then(|d| d.sync_all()).map_err(io(parent))?;
    }
    // Keys that a backup was made without were put back by hand; its list does not know them.
    for name in [format!("{KEYS}/{ISSUER}"), format!("{KEYS}/{LOG}"), OPENINGS_KEY.to_owned()] {
        let (from, to) = (plan.from.join(&name), plan.home.join(&name));
        if from.exists() && !to.exists() {
            copy(&from, Some(&to))?;
        }
    }
    write_new(&plan.home.join(".gitignore"), b"*\n").map_err(io(plan.home))?;
    let disk = Disk::new(plan.home, plan.guard);
    reset_guard(&disk).map_err(io(plan.guard))?;
    if plan.renamed {
        let keys = Keys::load(&plan.home.join(KEYS))?;
        let mut names = crate::audit::scrolls(&disk).map_err(io(plan.home))?;
        names.extend(engines.iter().map(|e| e.scroll().to_owned()));
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        write_public_keys(plan.home, &keys, &plan.settings, &names).map_err(io(plan.home))?;
    }
    File::open(plan.home).and_then(|d| d.sync_all()).map_err(io(plan.home))
}

/// The copy outside the home keeps every origin that was ever signed; the home's copy comes to it.
fn reset_guard(disk: &Disk) -> io::Result<()> {
    match disk.len(&outside())? {
        Some(_) => Ok(()),
        None => {
            let held = disk.read(SIGNED_STATE)?;
            replace(disk, &outside(), &held)
        }
    }
}

fn refuse_inhabited(dir: &Path) -> Result<(), Failure> {
    let ours = |e: &fs::DirEntry| e.file_name() == LOCK;
    let inhabited = fs::read_dir(dir).is_ok_and(|entries| entries.flatten().any(|e| !ours(&e)));
    match inhabited {
        true => {
            Err(Refusal::conflict("directory_exists", format!("{} is not empty", dir.display()))
                .hint("Name an empty or new directory; nothing is ever written over.")
                .into())
        }
        false => Ok(()),
    }
}
