//! Who may do what. Until a home has a root of authority, its owner may do everything.

use crate::call::Actor;
use crate::error::Refusal;
use serde_json::{Map, Value};

/// On what authority a call was let through; stands in the receipt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authority(pub Map<String, Value>);

impl Authority {
    /// The owner of the home acts.
    pub fn owner() -> Self {
        Self(Map::from_iter([("mode".to_owned(), Value::from("owner"))]))
    }
}

/// Asked before anything is read or planned.
///
/// An implementation must be a pure function of its arguments and its own settings, so that the same call is
/// judged the same way again; a refusal writes nothing.
pub trait Gate: Send + Sync {
    /// Whether `actor` may use the policy row `needs`.
    fn may(&self, actor: &Actor, needs: &str) -> Result<Authority, Refusal>;
}

/// Lets everything through that reached the home: file permissions are the authority.
#[derive(Debug, Default)]
pub struct OwnerGate;

impl Gate for OwnerGate {
    fn may(&self, _actor: &Actor, _needs: &str) -> Result<Authority, Refusal> {
        Ok(Authority::owner())
    }
}
