//! What stands behind the toy's port: a till that remembers each effect by its token.

use std::any::Any;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use vm_contracts::PortSource;

/// Name of the port.
pub const TILL: &str = "till";

/// Takes money, once more for each time it is asked.
pub trait Till: Send + Sync {
    /// An effect: gives how often this token has paid by now, and the sum of all payments.
    fn pay(&self, token: &str, amount: i64, to: &str) -> (u64, i64);
}

/// What the engine gets when it asks for the port.
pub struct TillPort(pub Arc<dyn Till>);

/// Grants a till to the toy.
pub struct Tills(pub Arc<dyn Till>);

impl PortSource for Tills {
    fn grant(&self, engine: &str, port: &str) -> Option<Box<dyn Any + Send>> {
        (engine == "toy" && port == TILL)
            .then(|| Box::new(TillPort(self.0.clone())) as Box<dyn Any + Send>)
    }
}

/// A till in memory.
#[derive(Debug, Default)]
pub struct Drawer {
    inside: Mutex<(BTreeMap<String, u64>, i64)>,
}

impl Drawer {
    /// How often each token has paid.
    pub fn counts(&self) -> BTreeMap<String, u64> {
        self.inside.lock().expect("no holder of this lock panics").0.clone()
    }
}

impl Till for Drawer {
    fn pay(&self, token: &str, amount: i64, _: &str) -> (u64, i64) {
        let mut inside = self.inside.lock().expect("no holder of this lock panics");
        inside.1 = inside.1.saturating_add(amount);
        let sum = inside.1;
        let times = inside.0.entry(token.to_owned()).or_default();
        *times += 1;
        (*times, sum)
    }
}
