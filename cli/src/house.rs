//! The composition root: which engines this program hosts, one line each.

use std::any::Any;
use std::io::Read;
use vm_console::ops::evidence::{SOURCES, Sources};
use vm_contracts::{AnyEngine, Fault, Hosted, PortSource};

/// Calls after which the example of every operation of an engine is accepted: verb and intent, in their order. Work of
/// people is carried through before the next call.
pub fn story(engine: &str) -> &'static [(&'static str, &'static str)] {
    match engine {
        "treasury" => vm_treasury::story::STORY,
        "drills" => vm_drills::story::STORY,
        "console" => vm_console::story::STORY,
        _ => &[],
    }
}

/// What is said of each stage where the story or an example is carried through.
pub fn story_stage(engine: &str) -> Option<&'static str> {
    match engine {
        "drills" => Some(vm_drills::story::STAGE),
        _ => None,
    }
}

/// Every engine. What one of them needs from another is handed over here too, as ports.
pub static HOUSE: &[&dyn AnyEngine] = &[
    &Hosted::<vm_treasury::Treasury>::new(),
    &Hosted::<vm_drills::Drills>::new(),
    &Hosted::<vm_console::Console>::new(),
];

/// What stands behind the ports where a home is only tried out: no door of it leads outside.
#[derive(Clone, Copy, Debug, Default)]
pub struct TrialPorts;

impl PortSource for TrialPorts {
    fn grant(&self, engine: &str, port: &str) -> Option<Box<dyn Any + Send>> {
        let sources: Box<dyn Sources> = Box::new(FewBytes);
        ((engine, port) == ("console", SOURCES)).then(|| Box::new(sources) as Box<dyn Any + Send>)
    }
}

/// The same few bytes, whatever is asked for.
struct FewBytes;

impl Sources for FewBytes {
    fn open(&mut self, _handle: &str) -> Result<Box<dyn Read + Send>, Fault> {
        Ok(Box::new(&b"a few bytes"[..]))
    }
}
