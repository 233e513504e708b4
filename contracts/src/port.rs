//! Ports: the only doors through which an operation reaches the world.
//!
//! An operation declares the ports it needs; the composition root decides what stands behind each. An operation that
//! asks for a port it did not declare, or that nobody granted, gets a [`Fault`] and nothing else.

use crate::error::Fault;
use std::any::Any;
use std::collections::BTreeMap;
use std::io::Read;

/// One declared port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Port {
    /// Name, snake_case: `shards`, `calendar`.
    pub name: &'static str,
    /// What it is used for, one line.
    pub about: &'static str,
}

/// Hands out what stands behind ports; written once, in the composition root.
pub trait PortSource: Send + Sync {
    /// What an engine gets when it asks for this port, or `None` where nothing was granted.
    fn grant(&self, engine: &str, port: &str) -> Option<Box<dyn Any + Send>>;
}

/// Grants nothing.
#[derive(Debug, Default)]
pub struct NoPorts;

impl PortSource for NoPorts {
    fn grant(&self, _engine: &str, _port: &str) -> Option<Box<dyn Any + Send>> {
        None
    }
}

/// Where an operation leaves files.
pub trait Outputs {
    /// Keeps a file under `outputs/`; a private one is stored encrypted and stands in the case by a salted digest.
    fn keep(&mut self, name: &str, private: bool, source: &mut dyn Read) -> Result<(), Fault>;
}

/// What `execute` may touch.
pub struct Ports<'a> {
    declared: &'static [Port],
    granted: BTreeMap<&'static str, Box<dyn Any + Send>>,
    outputs: &'a mut dyn Outputs,
    token: &'a str,
}

impl<'a> Ports<'a> {
    /// The declared ports, as far as they are granted to this engine.
    pub fn new(
        engine: &str,
        declared: &'static [Port],
        source: &dyn PortSource,
        outputs: &'a mut dyn Outputs,
        token: &'a str,
    ) -> Self {
        let grant = |p: &Port| source.grant(engine, p.name).map(|granted| (p.name, granted));
        Self { declared, granted: declared.iter().filter_map(grant).collect(), outputs, token }
    }

    /// The port of this name, as the type that stands behind it.
    pub fn get<T: Any>(&mut self, name: &str) -> Result<&mut T, Fault> {
        let lasting =
            |code: &str, what: String| Fault { retryable: false, ..Fault::new(code, what) };
        if !self.declared.iter().any(|p| p.name == name) {
            return Err(lasting(
                "port_not_declared",
                format!("the operation does not declare the port {name}"),
            ));
        }
        let Some(granted) = self.granted.get_mut(name) else {
            let what = format!("nothing stands behind the port {name} here");
            return Err(lasting("port_not_granted", what));
        };
        granted.downcast_mut().ok_or_else(|| {
            lasting("port_not_granted", format!("something else stands behind the port {name}"))
        })
    }

    /// The run's id: the idempotency token to send along with every effect.
    pub fn token(&self) -> &str {
        self.token
    }

    /// Where files go.
    pub fn outputs(&mut self) -> &mut dyn Outputs {
        self.outputs
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Nowhere;
    impl Outputs for Nowhere {
        fn keep(&mut self, _: &str, _: bool, _: &mut dyn Read) -> Result<(), Fault> {
            Ok(())
        }
    }

    struct One;
    impl PortSource for One {
        fn grant(&self, _: &str, port: &str) -> Option<Box<dyn Any + Send>> {
            (port != "closed").then(|| Box::new(7u32) as Box<dyn Any + Send>)
        }
    }

    #[test]
    fn only_a_declared_and_granted_port_opens() {
        const DECLARED: &[Port] =
            &[Port { name: "open", about: "" }, Port { name: "closed", about: "" }];
        let mut nowhere = Nowhere;
        let mut ports = Ports::new("toy", DECLARED, &One, &mut nowhere, "r1");
        assert_eq!(ports.get::<u32>("open").copied(), Ok(7));
        let code = |r: Result<&mut u32, Fault>| r.map(|_| ()).unwrap_err().code;
        assert_eq!(code(ports.get("closed")), "port_not_granted");
        assert_eq!(code(ports.get("other")), "port_not_declared");
        assert!(ports.get::<u8>("open").is_err());
    }
}
