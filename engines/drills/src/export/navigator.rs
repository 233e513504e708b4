//! ATT&CK Navigator layer, format 4.5: the last outcome of each technique as a score and a colour.

use serde_json::json;
use vm_contracts::{Export, Exporter, Failure, History, Value};

use crate::outcome::Outcome;
use crate::reports::moment_text;
use crate::state::State;

/// Writes a layer of one matrix; a layer cannot hold two.
pub struct Navigator {
    /// Name of the format.
    pub format: &'static str,
    /// The matrix, as the Navigator names it.
    pub domain: &'static str,
}

impl Navigator {
    /// Techniques of the matrix for control systems begin with T0.
    fn has(&self, technique: &str) -> bool {
        technique.starts_with("T0") == (self.domain == "ics-attack")
    }
}

/// Score from 0 (nothing shows it) to 100 (stopped), and colour. Not run has none.
fn look(outcome: Outcome) -> Option<(u32, &'static str)> {
    match outcome {
        Outcome::Blocked => Some((100, "#2e7d32")),
        Outcome::Detected => Some((75, "#9ccc65")),
        Outcome::Logged => Some((40, "#ffca28")),
        Outcome::Missed => Some((0, "#e53935")),
        Outcome::NotRun => None,
    }
}

impl Exporter<State> for Navigator {
    fn format(&self) -> &'static str {
        self.format
    }

    fn about(&self) -> &'static str {
        match self.domain {
            "ics-attack" => {
                "ATT&CK Navigator layer 4.5, matrix for control systems (techniques T0…)"
            }
            _ => "ATT&CK Navigator layer 4.5, enterprise matrix: last outcome of each technique",
        }
    }

    fn write(&self, state: &State, _history: &mut dyn History) -> Result<Export, Failure> {
        let mut techniques = Vec::new();
        let mut elsewhere = 0u64;
        for (id, seen) in state.techniques.iter() {
            let Some((score, color)) = look(seen.outcome) else { continue };
            if !self.has(&id) {
                elsewhere += 1;
                continue;
            }
            let at = moment_text(seen.completed_ms).unwrap_or_default();
            techniques.push(json!({
                "techniqueID": id,
                "score": score,
                "color": color,
                "enabled": true,
                "comment": format!("{} in {}, {at}; tried in {} drills", seen.outcome.word(), seen.drill_id, seen.drills),
            }));
        }
        let legend: Vec<Value> = Outcome::ALL
            .into_iter()
            .filter_map(|o| look(o).map(|(_, color)| json!({"label": o.word(), "color": color})))
            .collect();
        let layer = json!({
            "name": "Drills",
            "versions": {"navigator": "5.1.0", "layer": "4.5"},
            "domain": self.domain,
            "description": "The worst outcome of each technique in the last drill that tried it",
            "techniques": techniques,
            "gradient": {"colors": ["#e53935", "#ffca28", "#2e7d32"], "minValue": 0, "maxValue": 100},
            "legendItems": legend,
        });
        let mut notices = Vec::new();
        if elsewhere > 0 {
            let other = if self.domain == "ics-attack" { "navigator" } else { "navigator-ics" };
            notices.push(format!(
                "techniques of another matrix that were left out: {elsewhere}; export {other} for them"
            ));
        }
        Ok(Export { text: format!("{layer:#}\n"), notices })
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::Bench;
    use serde_json::Value;

    #[test]
    fn each_tried_technique_has_the_score_of_its_last_outcome() {
        let mut bench = Bench::new();
        bench.drilled("a", &["missed", "detected", "not_run"]);
        let layer: Value = serde_json::from_str(&bench.export("navigator").text).unwrap();
        assert_eq!(layer["versions"]["layer"], "4.5");
        assert_eq!(layer["domain"], "enterprise-attack");
        let scores: Vec<_> = layer["techniques"]
            .as_array()
            .unwrap()
            .iter()
            .map(|t| t["score"].as_u64().unwrap())
            .collect();
        assert_eq!(scores, [0, 75]);
    }

    #[test]
    fn the_matrix_of_control_systems_is_a_layer_of_its_own() {
        let mut bench = Bench::new();
        bench.tabletop("iot", "IoT device bridging into OT");
        let enterprise = bench.export("navigator");
        assert!(!enterprise.text.contains("T0846") && enterprise.text.contains("T1016"));
        assert_eq!(enterprise.notices.len(), 1);
        let ics = bench.export("navigator-ics").text;
        assert!(ics.contains("T0846") && !ics.contains("T1016"));
    }
}
