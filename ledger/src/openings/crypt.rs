//! One box: XChaCha20-Poly1305 with a random nonce in front, bound to its place by associated data.

use crate::clock::Entropy;
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use zeroize::Zeroizing;

/// A secret key; wiped when dropped.
pub(super) type Key = Zeroizing<[u8; 32]>;

/// Bytes of the nonce in front of a box. Drawn at random: 192 bits never meet twice.
pub(super) const NONCE: usize = 24;
/// Bytes a box is longer than its content: nonce and tag.
pub(super) const OVERHEAD: usize = NONCE + 16;

/// A fresh key.
pub(super) fn draw(entropy: &dyn Entropy) -> Key {
    let mut key = Zeroizing::new([0; 32]);
    entropy.fill(&mut *key);
    key
}

/// Says where a box stands: the parts with 0x00 between them. No part but the last may contain 0x00.
pub(super) fn place(parts: &[&str]) -> Vec<u8> {
    parts.join("\0").into_bytes()
}

/// Closes a box: nonce ‖ ciphertext ‖ tag.
pub(super) fn close(key: &Key, place: &[u8], content: &[u8], entropy: &dyn Entropy) -> Vec<u8> {
    let mut nonce = [0; NONCE];
    entropy.fill(&mut nonce);
    let cipher = XChaCha20Poly1305::new((&**key).into());
    let sealed = cipher
        .encrypt(&XNonce::from(nonce), Payload { msg: content, aad: place })
        .expect("a content far below 256 GiB can be encrypted");
    let mut all = Vec::with_capacity(NONCE + sealed.len());
    all.extend_from_slice(&nonce);
    all.extend_from_slice(&sealed);
    all
}

/// Opens a box; `None` where it was closed under another key, for another place, or is damaged.
pub(super) fn open(key: &Key, place: &[u8], sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let (nonce, sealed) = sealed.split_first_chunk::<NONCE>()?;
    let cipher = XChaCha20Poly1305::new((&**key).into());
    let content = cipher.decrypt(&XNonce::from(*nonce), Payload { msg: sealed, aad: place });
    content.ok().map(Zeroizing::new)
}
