//! How each agent is told what was decided.
//!
//! Exit code 2 stops an act in every agent, and nothing that must be parsed stands between; so a denial is that. Only
//! an agent that can ask its person is told to ask; the others stop, and their person is told how to approve.

use super::envelope::Mode;
use super::hook::STOPS;
use super::take::Verdict;
use crate::exit::{OK, Stop};
use crate::screen::Screen;
use serde_json::json;

/// Says the verdict of an event as the agent reads it; returns the exit code.
pub fn say(
    screen: &mut Screen<'_>,
    agent: &str,
    mode: Mode,
    verdict: &Verdict,
) -> Result<u8, Stop> {
    if mode == Mode::Record || !verdict.decides {
        return Ok(OK);
    }
    let reason = verdict.reason();
    match (verdict.word.as_str(), agent) {
        // An empty answer leaves the agent's own questions in place. Cursor wants an object.
        ("allow", "cursor") => screen.document(&json!({})).map(|()| OK),
        ("allow", _) => Ok(OK),
        ("ask", "claude") => {
            let said = json!({"hookSpecificOutput": {
                "hookEventName": "PreToolUse",
                "permissionDecision": "ask",
                "permissionDecisionReason": reason,
            }});
            screen.document(&said).map(|()| OK)
        }
        _ => {
            if agent == "cursor" {
                let said =
                    json!({"permission": "deny", "user_message": reason, "agent_message": reason});
                screen.document(&said)?;
            }
            // The exit code says it where standard error is gone.
            let _ = writeln!(screen.err, "{}", crate::table::shown(&reason));
            Ok(STOPS)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::paths::Paths;

    fn said(agent: &str, mode: Mode, word: &str, decides: bool) -> (u8, String, String) {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let mut screen = Screen {
            out: &mut out,
            err: &mut err,
            input: &mut std::io::empty(),
            colour: false,
            live: false,
            json: false,
            paths: Paths::default(),
        };
        let verdict =
            Verdict { word: word.into(), rule: Some("r".into()), decides, ..Verdict::default() };
        let code = say(&mut screen, agent, mode, &verdict).unwrap();
        (code, String::from_utf8(out).unwrap(), String::from_utf8(err).unwrap())
    }

    #[test]
    fn a_denial_stops_every_agent_that_is_guarded_and_none_that_is_recorded() {
        for agent in crate::args::console::AGENTS {
            assert_eq!(said(agent, Mode::Record, "deny", true), (0, String::new(), String::new()));
            let (code, _, err) = said(agent, Mode::Guard, "deny", true);
            assert!(
                code == 2 && err.contains("rule r") && err.lines().count() == 1,
                "{agent} {err}"
            );
            assert_eq!(said(agent, Mode::Guard, "deny", false).0, 0, "{agent}");
            assert_eq!(said(agent, Mode::Guard, "allow", true).0, 0, "{agent}");
        }
    }

    #[test]
    fn only_an_agent_that_can_ask_is_told_to_ask() {
        let (code, out, _) = said("claude", Mode::Guard, "ask", true);
        let said_json: serde_json::Value = serde_json::from_str(&out).unwrap();
        assert_eq!(
            (code, &said_json["hookSpecificOutput"]["permissionDecision"]),
            (0, &"ask".into())
        );
        for agent in ["codex", "gemini", "cursor", "q"] {
            assert_eq!(said(agent, Mode::Guard, "ask", true).0, 2, "{agent}");
        }
    }
}
