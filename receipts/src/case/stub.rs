//! The stub that stands in a case for a private output.

use serde_json::{Map, Value, json};

use super::{CaseError, OUTPUTS};
use crate::bundle::path_is_plain;
use crate::digest::Sha256;
use crate::hex;
use crate::json::INTEGER_MAX;
use crate::private::{self, Disclosure, SD, SdError};

/// How the name of a stub ends. A public output has another name.
pub const STUB_SUFFIX: &str = ".private";

/// The name of the field that opens a stub.
const OUTPUT: &str = "output";

/// Whether this path is that of a stub: `outputs/<name>.private`.
pub fn is_stub_path(path: &str) -> bool {
    path.starts_with(OUTPUTS) && path.ends_with(STUB_SUFFIX)
}

/// The bytes of the stub that carries this digest: `{"_sd":["<digest>"],"v":1}` and a line feed.
pub fn stub(digest: &str) -> Vec<u8> {
    format!("{{\"{SD}\":[\"{digest}\"],\"v\":1}}\n").into_bytes()
}

/// The digest that a stub carries.
///
/// # Errors
/// Any bytes that [`stub`] does not write.
pub fn parse_stub(bytes: &[u8]) -> Result<String, CaseError> {
    let text = std::str::from_utf8(bytes).map_err(|_| CaseError::Stub)?;
    let inside = text.strip_prefix("{\"_sd\":[\"").and_then(|t| t.strip_suffix("\"],\"v\":1}\n"));
    let digest = inside.ok_or(CaseError::Stub)?;
    private::check_sd(&json!([digest])).map_err(|_| CaseError::Stub)?;
    Ok(digest.to_owned())
}

/// What the opening of a stub says of the file it stands for.
///
/// It holds what somebody kept private, so `Debug` shows nothing of it.
#[derive(Clone, PartialEq, Eq)]
pub struct PrivateOutput {
    /// The file's name.
    pub name: String,
    /// Digest of its bytes.
    pub sha256: Sha256,
    /// Its length in bytes.
    pub size: u64,
}

impl std::fmt::Debug for PrivateOutput {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PrivateOutput").finish_non_exhaustive()
    }
}

impl PrivateOutput {
    /// The opening whose digest the stub carries: `[salt, "output", {"name", "sha256", "size"}]`.
    ///
    /// # Errors
    /// A disclosure that is too long or a size beyond 2^53−1.
    pub fn disclosure(&self, salt: &[u8; 32]) -> Result<Disclosure, SdError> {
        let sha256 = hex::encode_32(&self.sha256.0);
        let value = json!({"name": self.name, "sha256": sha256, "size": self.size});
        Disclosure::field(salt, OUTPUT, &value)
    }

    /// Reads what an opening of a stub says.
    ///
    /// # Errors
    /// A disclosure of something else.
    pub fn of(disclosure: &Disclosure) -> Result<PrivateOutput, CaseError> {
        let map = disclosure.value().as_object().filter(|_| disclosure.name() == Some(OUTPUT));
        map.and_then(read).ok_or(CaseError::Output)
    }
}

fn read(map: &Map<String, Value>) -> Option<PrivateOutput> {
    let name = map.get("name")?.as_str().filter(|name| path_is_plain(name))?;
    let sha256 = Sha256(hex::decode_32(map.get("sha256")?.as_str()?)?);
    let size = map.get("size")?.as_u64().filter(|size| *size <= INTEGER_MAX as u64)?;
    (map.len() == 3).then(|| PrivateOutput { name: name.to_owned(), sha256, size })
}
