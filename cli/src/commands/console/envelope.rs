//! What a process that saw events tells whoever records them.

use super::glance::Glance;
use super::hook::STOPS;
use crate::exit::OK;
use serde_json::{Value, json};

/// What to do where an event cannot be recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Let it pass.
    Record,
    /// Stop it.
    Guard,
}

impl Mode {
    /// The mode of this name; any other name is that which stops.
    pub fn of(word: &str) -> Self {
        if word == "record" { Mode::Record } else { Mode::Guard }
    }

    /// As receipts and command lines say it.
    pub fn word(self) -> &'static str {
        match self {
            Mode::Record => "record",
            Mode::Guard => "guard",
        }
    }

    /// Exit code where something went wrong.
    pub fn exit_of_failure(self) -> u8 {
        match self {
            Mode::Record => OK,
            Mode::Guard => STOPS,
        }
    }
}

/// Events as they came, and what stood around the process that saw them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    /// Whose events they are.
    pub agent: String,
    /// How they are taken.
    pub mode: Mode,
    /// Whether the agent runs under the user of the home.
    pub isolation: String,
    /// Working directory of the process.
    pub cwd: Option<String>,
    /// When it saw them.
    pub seen_at: String,
    /// How: `hook` or `proxy`.
    pub observed_by: String,
    /// Names this envelope and no other: ids that the agent does not give are made of it.
    pub nonce: String,
    /// What the process found out about its one event; `None` where it could not, and whoever records it looks.
    pub glance: Option<Glance>,
    /// The events, each as it came.
    pub events: Vec<String>,
}

impl Envelope {
    /// No event: whoever takes it in takes in the spool.
    pub fn empty() -> Self {
        Self {
            agent: "claude".into(),
            mode: Mode::Guard,
            isolation: "unknown".into(),
            cwd: None,
            seen_at: String::new(),
            observed_by: "hook".into(),
            nonce: String::new(),
            glance: None,
            events: Vec::new(),
        }
    }

    /// As it goes to the owner.
    pub fn to_json(&self) -> Value {
        json!({
            "v": 1, "agent": self.agent, "mode": self.mode.word(), "isolation": self.isolation,
            "cwd": self.cwd, "seen_at": self.seen_at, "observed_by": self.observed_by,
            "nonce": self.nonce, "glance": self.glance.as_ref().map(Glance::to_json),
            "events": self.events,
        })
    }

    /// Reads one; `None` where it is none.
    pub fn of_json(value: &Value) -> Option<Self> {
        let text = |name: &str| value[name].as_str().map(str::to_owned);
        let events = value["events"].as_array()?;
        (value["v"] == 1).then_some(())?;
        Some(Self {
            agent: text("agent")?,
            mode: Mode::of(&text("mode")?),
            isolation: text("isolation")?,
            cwd: text("cwd"),
            seen_at: text("seen_at")?,
            observed_by: text("observed_by")?,
            nonce: text("nonce")?,
            glance: Glance::of_json(&value["glance"]),
            events: events.iter().map(|e| e.as_str().map(str::to_owned)).collect::<Option<_>>()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::glance::Look;
    use super::*;

    #[test]
    fn an_envelope_reads_back_and_a_bare_event_is_none() {
        let mut envelope = Envelope::empty();
        envelope.events = vec!["{\"v\":1}".into()];
        let look = Look { old: Some("absent".into()), now: None };
        envelope.glance = Some(Glance { call: Some("c-1".into()), files: vec![look] });
        assert_eq!(Envelope::of_json(&envelope.to_json()), Some(envelope));
        assert_eq!(Envelope::of_json(&json!({"session_id": "s", "events": []})), None);
    }
}
