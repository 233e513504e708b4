//! Private output files: `openings/<scroll>/files/<id>/<name>`, encrypted under a key of their own.
//!
//! A file is a 19-byte random nonce prefix and chunks of 64 KiB, each followed by its 16-byte tag: the STREAM
//! construction (Hoang, Reyhanitabar, Rogaway, Vizar, "Online Authenticated-Encryption", 2015; StreamBE32 of the crate
//! aead-stream) over XChaCha20-Poly1305. Counter and last-chunk flag stand in each nonce, so a chunk that is missing,
//! moved or added is refused. The place of the file (ledger, scroll, id, name) is the associated data of every chunk.
//! The last chunk is the short one; it is empty only where the file is.

use super::{FileKey, Openings, SealedFile, check_name, page, read_failed, write_failed};
use crate::fs::{Fs, make_dir};
use aead_stream::{DecryptorBE32, EncryptorBE32};
use chacha20poly1305::XChaCha20Poly1305;
use chacha20poly1305::aead::Payload;
use sha2::Digest;
use std::io::{self, Read, Write};
use vm_contracts::{Corrupt, Failure, Fault};
use vm_receipts::{Blake3, Sha256};
use zeroize::Zeroizing;

use super::{crypt, keys};

/// Plain bytes of a chunk.
pub(super) const CHUNK: usize = 64 << 10;
/// Bytes of a tag.
const TAG: usize = 16;
/// Bytes of the nonce prefix.
const NONCE_PREFIX: usize = 19;

const PLACE: &str = "vm/openings/file/v1";

/// Directory of the private files of one call.
pub(super) fn dir(scroll: &str, id: &str) -> String {
    format!("{}/{id}", folder(scroll))
}

/// Directory of all private files of a scroll. Ids stand below it, so that none can be taken for a page.
pub(super) fn folder(scroll: &str) -> String {
    format!("{}/files", page::dir(scroll))
}

/// Path of a private file.
pub(super) fn path(scroll: &str, id: &str, name: &str) -> String {
    format!("{}/{name}", dir(scroll, id))
}

impl Openings {
    /// Encrypts what `source` gives into a new file, in bounded memory; durable when `Ok`. A file of that name, left by
    /// an attempt before, is replaced.
    ///
    /// The digests are of the plain bytes and unsalted: they belong into a disclosure, never into a receipt.
    ///
    /// # Errors
    /// `Fault` where the source cannot be read or the file not be written; a file of that name is then as it was.
    pub fn seal_file(
        &mut self,
        scroll: &str,
        id: &str,
        name: &str,
        source: &mut dyn Read,
    ) -> Result<SealedFile, Failure> {
        [scroll, id, name].into_iter().try_for_each(check_name)?;
        // Its key will stand in a page; and a file without a home key would look as if that key were lost.
        self.ensure_key()?;
        let (dir, path) = (dir(scroll, id), path(scroll, id, name));
        let failed = |e: &io::Error| write_failed(&path, e);
        for part in ["openings", &page::dir(scroll), &folder(scroll)] {
            self.make_dir_once(part).map_err(|e| failed(&e))?;
        }
        make_dir(&*self.fs, &dir).map_err(|e| failed(&e))?;
        let key = crypt::draw(&*self.entropy);
        // No file can have this name: names begin with a letter or digit.
        let fresh = format!("{dir}/.{name}.new");
        let sealed = self.write_chunks(&fresh, &self.file_place(scroll, id, name), &key, source);
        let (size, sha256, blake3) = sealed.map_err(|e| {
            // Leaving it would only waste space; the error told is the first one.
            let _ = self.fs.remove(&fresh);
            match e {
                Stopped::Source(e) => Fault::new(
                    "output_unreadable",
                    format!("cannot read the output {id}/{name}: {e}"),
                )
                .into(),
                Stopped::Disk(e) => failed(&e),
            }
        })?;
        let fs = &*self.fs;
        fs.sync(&fresh)
            .and_then(|()| fs.rename(&fresh, &path))
            .and_then(|()| fs.sync_dir(&dir))
            .map_err(|e| failed(&e))?;
        let key = FileKey { id: id.to_owned(), name: name.to_owned(), key: keys::bare(&key) };
        Ok(SealedFile { key, size, sha256, blake3 })
    }

    fn write_chunks(
        &self,
        path: &str,
        place: &[u8],
        key: &crypt::Key,
        source: &mut dyn Read,
    ) -> Result<(u64, Sha256, Blake3), Stopped> {
        let mut nonce = [0; NONCE_PREFIX];
        self.entropy.fill(&mut nonce);
        self.fs.write(path, &nonce).map_err(Stopped::Disk)?;
        let mut stream = EncryptorBE32::<XChaCha20Poly1305>::new((&**key).into(), (&nonce).into());
        let (mut sha256, mut blake3) = (sha2::Sha256::new(), blake3::Hasher::new());
        let (mut at, mut size) = (NONCE_PREFIX as u64, 0);
        let mut chunk = fill(source, CHUNK).map_err(Stopped::Source)?;
        loop {
            // The last chunk is sealed as such, so one is always read ahead; after a short one there is none.
            let next = match chunk.len() {
                CHUNK => fill(source, CHUNK).map_err(Stopped::Source)?,
                _ => Zeroizing::new(Vec::new()),
            };
            sha256.update(&*chunk);
            blake3.update(&chunk);
            size += chunk.len() as u64;
            let payload = Payload { msg: &chunk, aad: place };
            let last = next.is_empty();
            let sealed = match last {
                false => stream.encrypt_next(payload),
                true => {
                    let sealed = stream.encrypt_last(payload).map_err(|_| too_long())?;
                    self.fs.append(path, at, &sealed).map_err(Stopped::Disk)?;
                    break;
                }
            };
            let sealed = sealed.map_err(|_| too_long())?;
            self.fs.append(path, at, &sealed).map_err(Stopped::Disk)?;
            at += sealed.len() as u64;
            chunk = next;
        }
        Ok((size, Sha256(sha256.finalize().into()), Blake3(blake3.finalize().into())))
    }

    /// Decrypts a private file into `sink`, in bounded memory; returns its plain length. Each byte given to the sink is
    /// authentic, but only `Ok` says that they are all: after an error the caller throws away what the sink took.
    ///
    /// # Errors
    /// `Corrupt` where the file is cut, changed, moved or gone; `Fault` where it cannot be read, or the sink fails.
    pub fn open_file(
        &mut self,
        scroll: &str,
        key: &FileKey,
        sink: &mut dyn Write,
    ) -> Result<u64, Failure> {
        [scroll, &key.id, &key.name].into_iter().try_for_each(check_name)?;
        let path = path(scroll, &key.id, &key.name);
        let place = self.file_place(scroll, &key.id, &key.name);
        let fs = &*self.fs;
        let bad = |byte: u64, claim: &str| {
            Failure::Corrupt(Corrupt {
            file: path.clone(),
            line: None,
            byte: Some(byte),
            claim: claim.to_owned(),
            hint: Some("Put the file back from a backup; the receipt that commits to it is not touched.".into()),
        })
        };
        let len = fs.regular(&path).map_err(|e| read_failed(&path, &e))?;
        let len = len.ok_or_else(|| bad(0, "the private file is not there"))?;
        if len < (NONCE_PREFIX + TAG) as u64 {
            return Err(bad(len, "the private file is cut"));
        }
        let nonce = fs.read_at(&path, 0, NONCE_PREFIX).map_err(|e| read_failed(&path, &e))?;
        let nonce = <[u8; NONCE_PREFIX]>::try_from(nonce.as_slice())
            .map_err(|_| bad(len, "the private file is cut"))?;
        let secret = keys::taken(key.key);
        let mut stream =
            DecryptorBE32::<XChaCha20Poly1305>::new((&*secret).into(), (&nonce).into());
        let (mut at, mut size) = (NONCE_PREFIX as u64, 0);
        let broken = "a chunk does not open: the file was cut, changed or moved";
        loop {
            let sealed = fs.read_at(&path, at, CHUNK + TAG).map_err(|e| read_failed(&path, &e))?;
            let next = at + sealed.len() as u64;
            let payload = Payload { msg: &sealed, aad: &place };
            if next >= len {
                let chunk = stream.decrypt_last(payload).map_err(|_| bad(at, broken))?;
                give(sink, &Zeroizing::new(chunk), &mut size)?;
                return Ok(size);
            }
            if sealed.is_empty() {
                return Err(bad(at, "the private file became shorter while it was read"));
            }
            let chunk = stream.decrypt_next(payload).map_err(|_| bad(at, broken))?;
            give(sink, &Zeroizing::new(chunk), &mut size)?;
            at = next;
        }
    }

    /// Removes the private files of a call that is never sealed; absent is fine.
    pub fn remove_files(&mut self, scroll: &str, id: &str) -> io::Result<()> {
        if check_name(scroll).is_err() || check_name(id).is_err() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no name of a call"));
        }
        let dir = dir(scroll, id);
        let names = self.fs.list(&dir)?;
        for name in &names {
            self.fs.remove(&format!("{dir}/{name}"))?;
        }
        if names.is_empty() {
            return Ok(());
        }
        self.fs.remove_dir(&dir)?;
        self.fs.sync_dir(&folder(scroll))
    }

    fn file_place(&self, scroll: &str, id: &str, name: &str) -> Vec<u8> {
        crypt::place(&[PLACE, &self.ledger, scroll, id, name])
    }
}

enum Stopped {
    Source(io::Error),
    Disk(io::Error),
}

/// The counter of chunks has 32 bits.
fn too_long() -> Stopped {
    Stopped::Source(io::Error::other("it is longer than 256 TiB"))
}

/// Reads up to `len` bytes, fewer only at the end.
fn fill(source: &mut dyn Read, len: usize) -> io::Result<Zeroizing<Vec<u8>>> {
    // The whole capacity at once: a vector that grows leaves copies behind that nobody wipes.
    let mut bytes = Zeroizing::new(Vec::with_capacity(len));
    source.take(len as u64).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn give(sink: &mut dyn Write, chunk: &[u8], size: &mut u64) -> Result<(), Failure> {
    sink.write_all(chunk).map_err(|e| {
        Failure::from(Fault::new("write_failed", format!("cannot write the opened file: {e}")))
    })?;
    *size += chunk.len() as u64;
    Ok(())
}

/// Names in a directory of private files that belong to no attempt still being written.
pub(super) fn listed(fs: &dyn Fs, dir: &str) -> io::Result<Vec<String>> {
    Ok(fs.list(dir)?.into_iter().filter(|name| !name.starts_with('.')).collect())
}
