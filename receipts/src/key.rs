//! Ed25519 keys as `did:key`, and the one signature rule of receipts.
//!
//! The rule is the intersection of what verifiers in the field accept: S < L, the key canonical and not of small order,
//! R canonical and not of small order, no cofactor. `SPEC.md` section 6 gives it with the public test vectors.

use std::fmt;

use ed25519_dalek::pkcs8::spki::der::zeroize::Zeroize;
/// Text that is wiped from memory when it is dropped.
pub use ed25519_dalek::pkcs8::spki::der::zeroize::Zeroizing;
use ed25519_dalek::pkcs8::{
    DecodePrivateKey, EncodePrivateKey, KeypairBytes, spki::der::pem::LineEnding,
};
use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};

/// Multicodec prefix of an Ed25519 public key, 0xed as a varint.
const ED25519_PUB: [u8; 2] = [0xed, 0x01];

/// A refused key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyError {
    /// The bytes are not a point of the curve.
    NotAPoint,
    /// The point is written in a form that is not its canonical one.
    NotCanonical,
    /// The point has small order: anybody can sign for it.
    Weak,
    /// The text is not `did:key:z` and the base58 of an Ed25519 key.
    BadDid,
    /// The text is not an Ed25519 private key in PKCS#8 PEM.
    BadPem,
}

impl KeyError {
    /// Stable name of this error.
    pub fn code(&self) -> &'static str {
        match self {
            KeyError::NotAPoint => "key_not_a_point",
            KeyError::NotCanonical => "key_not_canonical",
            KeyError::Weak => "key_weak",
            KeyError::BadDid => "key_bad_did",
            KeyError::BadPem => "key_bad_pem",
        }
    }
}

impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            KeyError::NotAPoint => "these 32 bytes are not an Ed25519 public key",
            KeyError::NotCanonical => "this public key is not in canonical form",
            KeyError::Weak => "this public key has small order: anybody can sign for it",
            KeyError::BadDid => "this is not a did:key of an Ed25519 key",
            KeyError::BadPem => "this is not an Ed25519 private key in PKCS#8 PEM",
        })
    }
}

impl std::error::Error for KeyError {}

/// A signature that does not verify.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadSignature;

impl BadSignature {
    /// Stable name of this error.
    pub fn code(&self) -> &'static str {
        "bad_signature"
    }
}

impl fmt::Display for BadSignature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the signature does not verify")
    }
}

impl std::error::Error for BadSignature {}

/// A public key that passed the checks at registration.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct PublicKey(VerifyingKey);

impl PublicKey {
    /// Takes a key in, if it is a canonical point that does not have small order.
    pub fn from_bytes(bytes: [u8; 32]) -> Result<PublicKey, KeyError> {
        let key = VerifyingKey::from_bytes(&bytes).map_err(|_| KeyError::NotAPoint)?;
        if key.is_weak() {
            return Err(KeyError::Weak);
        }
        if key.to_edwards().compress().to_bytes() != bytes {
            return Err(KeyError::NotCanonical);
        }
        Ok(PublicKey(key))
    }

    /// The 32 bytes of the key (RFC 8032 s5.1.5).
    pub fn bytes(&self) -> [u8; 32] {
        self.0.to_bytes()
    }

    /// Verifies a signature under the strict rule.
    pub fn verify(&self, message: &[u8], signature: &[u8; 64]) -> Result<(), BadSignature> {
        let signature = Signature::from_bytes(signature);
        self.0.verify_strict(message, &signature).map_err(|_| BadSignature)
    }

    /// `did:key:z…`.
    pub fn did(&self) -> String {
        format!("did:key:{}", self.multibase())
    }

    /// `did:key:z…#z…`, the verification method of a proof.
    pub fn did_url(&self) -> String {
        let multibase = self.multibase();
        format!("did:key:{multibase}#{multibase}")
    }

    /// Reads `did:key:z…`: base58btc of 0xed01 and 32 bytes, nothing else.
    pub fn from_did(did: &str) -> Result<PublicKey, KeyError> {
        let base58 = did.strip_prefix("did:key:z").ok_or(KeyError::BadDid)?;
        // 34 bytes that start with 0xed take 47 digits; the bound keeps decoding cheap on hostile text.
        if base58.len() != 47 {
            return Err(KeyError::BadDid);
        }
        let mut bytes = [0; 34];
        let used = bs58::decode(base58).onto(&mut bytes).map_err(|_| KeyError::BadDid)?;
        let key = bytes.strip_prefix(&ED25519_PUB).ok_or(KeyError::BadDid)?;
        let key: [u8; 32] = key.try_into().map_err(|_| KeyError::BadDid)?;
        let public = PublicKey::from_bytes(key)?;
        if used != bytes.len() || public.did() != did {
            return Err(KeyError::BadDid);
        }
        Ok(public)
    }

    /// Reads `did:key:z…#z…`; both halves must name the same key.
    pub fn from_did_url(url: &str) -> Result<PublicKey, KeyError> {
        let (did, fragment) = url.split_once('#').ok_or(KeyError::BadDid)?;
        if did.strip_prefix("did:key:") != Some(fragment) {
            return Err(KeyError::BadDid);
        }
        PublicKey::from_did(did)
    }

    fn multibase(&self) -> String {
        let mut bytes = [0; 34];
        bytes[..2].copy_from_slice(&ED25519_PUB);
        bytes[2..].copy_from_slice(self.0.as_bytes());
        format!("z{}", bs58::encode(bytes).into_string())
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({})", self.did())
    }
}

/// A signing key. The seed is wiped when it is dropped and never shown.
#[derive(Clone)]
pub struct SecretKey {
    key: SigningKey,
    did: String,
    did_url: String,
}

impl SecretKey {
    /// The key of this seed (RFC 8032 s5.1.5). The seed must come from a good source of chance.
    pub fn from_seed(seed: [u8; 32]) -> SecretKey {
        let seed = Zeroizing::new(seed);
        SecretKey::from_signing_key(SigningKey::from_bytes(&seed))
    }

    /// Reads an unencrypted PKCS#8 private key in PEM, with or without the public key in it.
    pub fn from_pem(pem: &str) -> Result<SecretKey, KeyError> {
        let mut pair = KeypairBytes::from_pkcs8_pem(pem).map_err(|_| KeyError::BadPem)?;
        let key = SigningKey::try_from(&pair);
        pair.secret_key.zeroize();
        Ok(SecretKey::from_signing_key(key.map_err(|_| KeyError::BadPem)?))
    }

    /// Writes the key as unencrypted PKCS#8 version 1 PEM, the form every tool reads.
    pub fn to_pem(&self) -> Zeroizing<String> {
        let mut pair = KeypairBytes { secret_key: self.key.to_bytes(), public_key: None };
        let pem = pair.to_pkcs8_pem(LineEnding::LF).expect("a 32-byte seed always encodes");
        pair.secret_key.zeroize();
        pem
    }

    /// The public half.
    pub fn public(&self) -> PublicKey {
        PublicKey(self.key.verifying_key())
    }

    /// The public half as `did:key:z…`.
    pub fn did(&self) -> &str {
        &self.did
    }

    /// The public half as `did:key:z…#z…`.
    pub fn did_url(&self) -> &str {
        &self.did_url
    }

    /// Signs a message (RFC 8032, pure Ed25519, deterministic).
    pub fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.key.sign(message).to_bytes()
    }

    fn from_signing_key(key: SigningKey) -> SecretKey {
        let public = PublicKey(key.verifying_key());
        SecretKey { did: public.did(), did_url: public.did_url(), key }
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretKey(of {})", self.did)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hex;
    use proptest::prelude::*;

    // RFC 8032 s7.1, test 1.
    const SEED: &str = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60";
    const PUBLIC: &str = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";
    const DID: &str = "did:key:z6MktwupdmLXVVqTzCw4i46r4uGyosGXRnR3XjN4Zq7oMMsw";

    fn bytes(text: &str) -> [u8; 32] {
        hex::decode_32(text).expect("64 digits")
    }

    #[test]
    fn rfc_8032_test_1_is_met() {
        let key = SecretKey::from_seed(bytes(SEED));
        assert_eq!(key.public().bytes(), bytes(PUBLIC));
        let signature = key.sign(b"");
        assert_eq!(signature[..4], [0xe5, 0x56, 0x43, 0x00]);
        assert_eq!(key.public().verify(b"", &signature), Ok(()));
        assert_eq!(key.public().verify(b"x", &signature), Err(BadSignature));
        assert_eq!(key.did(), DID);
        assert_eq!(PublicKey::from_did(DID), Ok(key.public()));
        assert_eq!(PublicKey::from_did_url(key.did_url()), Ok(key.public()));
    }

    #[test]
    fn keys_anybody_can_sign_for_are_not_registered() {
        // Small order: the identity, order 2, order 8 (RFC 7748 low-order points in Edwards form).
        let mut identity = [0; 32];
        identity[0] = 1;
        assert_eq!(PublicKey::from_bytes(identity), Err(KeyError::Weak));
        assert_eq!(PublicKey::from_bytes([0; 32]), Err(KeyError::Weak));
        let order_8 = "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa";
        assert_eq!(PublicKey::from_bytes(bytes(order_8)), Err(KeyError::Weak));
        // y = 2^255-19+3 is y = 3 spelled with the field's modulus added: on the curve, but not canonical.
        let mut spelled = [0xff; 32];
        (spelled[0], spelled[31]) = (0xf0, 0x7f);
        let mut plain = [0; 32];
        plain[0] = 3;
        assert!(PublicKey::from_bytes(plain).is_ok());
        assert_eq!(PublicKey::from_bytes(spelled), Err(KeyError::NotCanonical));
        // No point of the curve has y = 2.
        plain[0] = 2;
        assert_eq!(PublicKey::from_bytes(plain), Err(KeyError::NotAPoint));
    }

    #[test]
    fn a_signature_only_lenient_verifiers_take_is_refused() {
        // ed25519-speccheck case 2: R has small order; most libraries accept it, the strict ones do not.
        let message = bytes("aebf3f2601a0c8c5d39cc7d8911642f740b78168218da8471772b35f9d35b9ab");
        let key = bytes("f7badec5b8abeaf699583992219b7b223f1df3fbbea919844e3f7c554a43dd43");
        let mut signature = [0; 64];
        signature[..32].copy_from_slice(&bytes(
            "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
        ));
        signature[32..].copy_from_slice(&bytes(
            "8c4bd45aecaca5b24fb97bc10ac27ac8751a7dfe1baff8b953ec9f5833ca260e",
        ));
        let public = PublicKey::from_bytes(key).expect("the key itself is sound");
        assert_eq!(public.verify(&message, &signature), Err(BadSignature));
    }

    #[test]
    fn a_did_has_one_spelling() {
        let base58 = DID.strip_prefix("did:key:z").expect("prefix");
        let mut wrong_codec = vec![0xec, 0x01];
        wrong_codec.extend(bytes(PUBLIC));
        let mut long = vec![0xed, 0x01];
        long.extend(bytes(PUBLIC));
        long.push(0);
        for bad in [
            String::new(),
            base58.to_owned(),
            format!("did:key:{base58}"),
            format!("did:key:m{base58}"),
            format!("did:web:z{base58}"),
            format!("did:key:z1{base58}"),
            format!("{DID} "),
            DID.replace('M', "0"),
            DID[..DID.len() - 1].to_owned(),
            DID.to_uppercase(),
            format!("{DID}#{}", &DID[8..]),
            format!("did:key:z{}", bs58::encode(wrong_codec).into_string()),
            format!("did:key:z{}", bs58::encode(long).into_string()),
            format!("did:key:z{}", "é".repeat(24)),
        ] {
            assert_eq!(PublicKey::from_did(&bad), Err(KeyError::BadDid), "{bad}");
        }
        for bad in
            [DID.to_owned(), format!("{DID}#"), format!("{DID}#z6Mk"), format!("{DID}#{DID}")]
        {
            assert_eq!(PublicKey::from_did_url(&bad), Err(KeyError::BadDid), "{bad}");
        }
    }

    #[test]
    fn pem_is_what_openssl_writes() {
        let key = SecretKey::from_seed(bytes(SEED));
        // RFC 8410 form: 0x302e020100300506032b657004220420 and the seed.
        let pem = key.to_pem();
        assert_eq!(
            pem.as_str(),
            "-----BEGIN PRIVATE KEY-----\n\
             MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n\
             -----END PRIVATE KEY-----\n"
        );
        assert_eq!(SecretKey::from_pem(&pem).map(|key| key.public()), Ok(key.public()));
        for bad in
            ["", "x", &pem[..60], &pem.replace("PRIVATE", "PUBLIC"), &pem.replace("VwBC", "VuBC")]
        {
            assert_eq!(SecretKey::from_pem(bad).map(|key| key.public()), Err(KeyError::BadPem));
        }
    }

    #[test]
    fn a_seed_is_never_shown() {
        let key = SecretKey::from_seed([0x41; 32]);
        let shown = format!("{key:?} {key:#?}");
        assert!(!shown.contains("65, 65") && !shown.contains("4141") && !shown.contains("AAAA"));
        assert!(shown.contains("did:key:"));
    }

    proptest! {
        #[test]
        fn every_key_reads_back_from_its_did(seed in any::<[u8; 32]>()) {
            let public = SecretKey::from_seed(seed).public();
            prop_assert_eq!(PublicKey::from_did(&public.did()), Ok(public));
            prop_assert!(public.did().starts_with("did:key:z6Mk"));
            prop_assert_eq!(public.did().len(), 56);
        }

        #[test]
        fn no_text_makes_a_key_reader_panic(text in "\\PC{0,60}", digits in "[1-9A-Za-z]{47}") {
            let _ = PublicKey::from_did(&text);
            let _ = PublicKey::from_did(&format!("did:key:z{digits}"));
            let _ = SecretKey::from_pem(&text);
        }
    }
}
