//! Our entries in the JSON of an agent's settings: put in and taken out, with everything else left as it is written,
//! comments and order too.

use super::Line;
use super::agents::{Agent, HOOK_WORDS, Shape};
use jsonc_parser::ParseOptions;
use jsonc_parser::cst::{CstArray, CstInputValue, CstNode, CstObject, CstRootNode};
use vm_contracts::Refusal;

/// How long an agent waits for a hook that lets pass what it cannot record; it ends itself after one second.
const RECORD_SECONDS: u64 = 5;
/// How long an agent waits for a hook that guards; longer than the hook's own deadline, which ends in a denial.
const GUARD_SECONDS: u64 = 15;

/// The text with our entries for each event, replacing those of another mode or program.
pub fn add(
    agent: &Agent,
    before: Option<&[u8]>,
    line: &Line,
    guard: bool,
) -> Result<Vec<u8>, Refusal> {
    let text = before.map(utf8).transpose()?.unwrap_or_default();
    let root = parse(if text.trim().is_empty() { "{}\n" } else { text })?;
    let top = root.object_value().ok_or_else(|| shape("it is not an object"))?;
    begin(agent, &top);
    once(&top, "hooks")?;
    let hooks =
        top.object_value_or_create("hooks").ok_or_else(|| shape("hooks is not an object"))?;
    let command = line.hook(agent.name, guard)?;
    let is_ours = |c: &str| line.is_ours(agent.name, c);
    for (event, about_tool) in agent.events {
        once(&hooks, event)?;
        let list = hooks
            .array_value_or_create(event)
            .ok_or_else(|| shape(&format!("hooks.{event} is not a list")))?;
        let entry = entry(agent, &command, *about_tool, guard);
        let there = commands(agent, &list);
        let mine: Vec<&String> = there.iter().filter(|c| is_ours(c)).collect();
        if mine.len() == 1 && *mine[0] == command && says(&list, &entry) {
            continue;
        }
        take_out(agent, &list, &is_ours);
        list.append(entry);
    }
    Ok(root.to_string().into_bytes())
}

/// The text without our entries.
pub fn remove(agent: &Agent, now: &[u8], line: &Line) -> Result<Vec<u8>, Refusal> {
    let root = parse(utf8(now)?)?;
    let is_ours = |c: &str| line.is_ours(agent.name, c);
    let Some(hooks) = root.object_value().and_then(|top| top.object_value("hooks")) else {
        return Ok(now.to_vec());
    };
    // Events too that only an older program asked for.
    for property in hooks.properties() {
        let Some(list) = property.array_value() else { continue };
        if take_out(agent, &list, &is_ours) && list.elements().is_empty() {
            property.remove();
        }
    }
    Ok(root.to_string().into_bytes())
}

/// The different lines in the settings that hold our words for this home.
pub fn installed(agent: &Agent, bytes: &[u8], line: &Line) -> Vec<String> {
    let Ok(words) = line.words(agent.name) else { return Vec::new() };
    let mut all = all_commands(agent, bytes).unwrap_or_default();
    all.retain(|c| c.contains(&words));
    all.sort();
    all.dedup();
    all
}

/// A line that holds our words for this home and more; it is not ours to take out.
pub fn compound(agent: &Agent, bytes: &[u8], line: &Line) -> Option<String> {
    let all = installed(agent, bytes, line);
    all.into_iter().find(|c| !line.is_ours(agent.name, c))
}

/// A line like ours for another home.
pub fn other_home(bytes: &[u8], agent: &Agent, line: &Line) -> Option<String> {
    let here = line.words(agent.name).ok()?;
    let words = format!(" {HOOK_WORDS} {} ", agent.name);
    all_commands(agent, bytes)?.into_iter().find(|c| c.contains(&words) && !c.contains(&here))
}

fn all_commands(agent: &Agent, bytes: &[u8]) -> Option<Vec<String>> {
    let root = parse(utf8(bytes).ok()?).ok()?;
    let hooks = root.object_value()?.object_value("hooks")?;
    let lists = hooks.properties().into_iter().filter_map(|property| property.array_value());
    Some(lists.flat_map(|list| commands(agent, &list)).collect())
}

fn utf8(bytes: &[u8]) -> Result<&str, Refusal> {
    std::str::from_utf8(bytes).map_err(|_| unreadable("it is not UTF-8"))
}

/// Comments and trailing commas are read, as the agents do; what only looks like JSON is not guessed at.
fn parse(text: &str) -> Result<CstRootNode, Refusal> {
    let options = ParseOptions {
        allow_comments: true,
        allow_trailing_commas: true,
        allow_loose_object_property_names: false,
        allow_missing_commas: false,
        allow_single_quoted_strings: false,
        allow_hexadecimal_numbers: false,
        allow_unary_plus_numbers: false,
        allow_bare_decimal_point_numbers: false,
        allow_non_finite_numbers: false,
        allow_extended_string_escapes: false,
    };
    CstRootNode::parse(text, &options).map_err(|e| unreadable(&e.to_string()))
}

fn unreadable(what: &str) -> Refusal {
    Refusal::conflict("settings_unreadable", format!("the settings do not read: {what}"))
        .hint("Nothing was changed. Mend the file, then give the command again.")
}

fn shape(what: &str) -> Refusal {
    Refusal::conflict("settings_unreadable", format!("the settings have another form: {what}"))
        .hint("Nothing was changed. See the agent's own documentation of its hooks.")
}

/// Of two properties with one name each program takes another one.
fn once(object: &CstObject, name: &str) -> Result<(), Refusal> {
    let same = |p: &jsonc_parser::cst::CstObjectProp| p.decoded_name().as_deref() == Some(name);
    match object.properties().iter().filter(|p| same(p)).count() {
        0 | 1 => Ok(()),
        _ => Err(shape(&format!("{name} stands there twice"))),
    }
}

/// What the file must say beside its hooks.
fn begin(agent: &Agent, top: &CstObject) {
    if agent.name == "cursor" && top.get("version").is_none() {
        top.append("version", CstInputValue::Number("1".into()));
    }
}

/// One entry of an event's list.
fn entry(agent: &Agent, command: &str, about_tool: bool, guard: bool) -> CstInputValue {
    let seconds = if guard { GUARD_SECONDS } else { RECORD_SECONDS };
    let number = |n: u64| CstInputValue::Number(n.to_string());
    let text = |t: &str| CstInputValue::String(t.to_owned());
    let mut handler: Vec<(String, CstInputValue)> = Vec::new();
    let mut put = |name: &str, value| handler.push((name.to_owned(), value));
    match agent.shape {
        Shape::Groups { second } => {
            put("type", text("command"));
            put("command", text(command));
            put("timeout", number(seconds * second));
            if guard && agent.name == "claude" {
                put("onFailure", text("block"));
            }
            let mut group = Vec::new();
            if about_tool {
                group.push(("matcher".to_owned(), text("*")));
            }
            let handlers = CstInputValue::Array(vec![CstInputValue::Object(handler)]);
            group.push(("hooks".to_owned(), handlers));
            CstInputValue::Object(group)
        }
        Shape::Flat => {
            put("command", text(command));
            put("timeout", number(seconds));
            if guard {
                put("failClosed", CstInputValue::Bool(true));
            }
            CstInputValue::Object(handler)
        }
    }
}

/// The objects with a command in an event's list: the handlers of each group, or the entries themselves.
fn handlers(agent: &Agent, list: &CstArray) -> Vec<CstObject> {
    let entries = list.elements().into_iter().filter_map(|e| e.as_object());
    match agent.shape {
        Shape::Groups { .. } => entries
            .filter_map(|group| group.array_value("hooks"))
            .flat_map(|hooks| hooks.elements())
            .filter_map(|h| h.as_object())
            .collect(),
        _ => entries.collect(),
    }
}

fn command_of(handler: &CstObject) -> Option<String> {
    let value = handler.get("command")?.value()?;
    value.as_string_lit()?.decoded_value().ok()
}

fn commands(agent: &Agent, list: &CstArray) -> Vec<String> {
    handlers(agent, list).iter().filter_map(command_of).collect()
}

/// Whether one element of the list says the very same as the entry, however it is laid out.
fn says(list: &CstArray, entry: &CstInputValue) -> bool {
    // The nodes hang on their root.
    let Ok(probe) = CstRootNode::parse("[]", &ParseOptions::default()) else { return false };
    let Some(array) = probe.array_value() else { return false };
    array.append(entry.clone());
    let wanted = array.elements().first().map(plain);
    list.elements().iter().any(|e| Some(plain(e)) == wanted)
}

/// A value without the blanks, line ends and comments between its parts.
fn plain(node: &CstNode) -> String {
    let parts = node.children_exclude_trivia_and_tokens();
    if parts.is_empty() {
        node.to_string()
    } else {
        parts.iter().map(plain).collect::<Vec<_>>().join("\u{1}")
    }
}

/// Takes our handlers out of a list, and groups that hold nothing then; whether there were any.
fn take_out(agent: &Agent, list: &CstArray, ours: &dyn Fn(&str) -> bool) -> bool {
    let is_ours = |h: &CstObject| command_of(h).is_some_and(|c| ours(&c));
    let mut any = false;
    for element in list.elements() {
        let Some(object) = element.as_object() else { continue };
        let Shape::Groups { .. } = agent.shape else {
            if is_ours(&object) {
                any = true;
                object.remove();
            }
            continue;
        };
        let Some(hooks) = object.array_value("hooks") else { continue };
        let mine: Vec<CstObject> = hooks
            .elements()
            .into_iter()
            .filter_map(|h| h.as_object())
            .filter(|h| is_ours(h))
            .collect();
        if mine.is_empty() {
            continue;
        }
        any = true;
        mine.into_iter().for_each(CstObject::remove);
        if hooks.elements().is_empty() {
            object.remove();
        }
    }
    any
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line() -> Line {
        Line { program: "/usr/bin/vm".into(), home: "/home/ann/ledger".into() }
    }

    const NAMES: [&str; 4] = ["claude", "codex", "gemini", "cursor"];
    /// Settings as people have them: comments, an order of their own, hooks of others.
    const LIVED: &str = "{\n  // mine\n  \"model\": \"x\", /* as it is */\n  \"hooks\": {\n    \"PreToolUse\": [\n      { \"matcher\": \"Bash\", \"hooks\": [ {\"type\":\"command\",\"command\":\"./mine.sh\"} ] },\n    ]\n  },\n  \"zoom\": 1.50,\n}\n";

    fn added(agent: &Agent, before: Option<&str>, guard: bool) -> String {
        let bytes = add(agent, before.map(str::as_bytes), &line(), guard).unwrap();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn adding_twice_is_adding_once_and_taking_out_leaves_what_others_wrote() {
        for name in NAMES {
            let agent = Agent::named(name);
            for before in [None, Some(""), Some("{}"), Some(LIVED)] {
                let once = added(agent, before, false);
                assert_eq!(added(agent, Some(&once), false), once, "{name}");
                let guarded = added(agent, Some(&once), true);
                assert_eq!(
                    guarded.matches("--mode guard").count(),
                    agent.events.len(),
                    "{guarded}"
                );
                assert!(!guarded.contains("--mode record"), "{guarded}");
                let out = remove(agent, guarded.as_bytes(), &line()).unwrap();
                let out = String::from_utf8(out).unwrap();
                assert!(!out.contains("/usr/bin/vm"), "{out}");
                if before == Some(LIVED) {
                    for kept in ["// mine", "/* as it is */", "./mine.sh", "1.50", "\"Bash\""] {
                        assert!(guarded.contains(kept) && out.contains(kept), "{kept}\n{out}");
                    }
                }
            }
        }
    }

    #[test]
    fn a_guard_of_claude_blocks_where_it_fails_and_waits_longer_than_the_hook() {
        let text = added(Agent::named("claude"), None, true);
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        let handler = &value["hooks"]["PreToolUse"][0]["hooks"][0];
        assert_eq!(handler["onFailure"], "block");
        assert!(handler["timeout"].as_u64().unwrap() * 1_000 > 10_000);
        assert_eq!(value["hooks"]["PreToolUse"][0]["matcher"], "*");
        let text = added(Agent::named("gemini"), None, false);
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value["hooks"]["BeforeTool"][0]["hooks"][0]["timeout"], 5_000);
    }

    #[test]
    fn what_does_not_read_or_has_another_form_is_refused_and_not_guessed() {
        let agent = Agent::named("claude");
        for bad in [
            "{",
            "[]",
            "{'a': 1}",
            "{\"hooks\": []}",
            "{\"hooks\": {\"PreToolUse\": {}}}",
            "{\"hooks\":{},\"hooks\":{}}",
        ] {
            let refused = add(agent, Some(bad.as_bytes()), &line(), false).unwrap_err();
            assert_eq!(refused.code, "settings_unreadable", "{bad}");
        }
        assert!(add(agent, Some(b"\xff{}"), &line(), false).is_err());
    }

    #[test]
    fn a_line_that_does_more_than_ours_is_named_and_left() {
        for name in NAMES {
            let agent = Agent::named(name);
            let mine = line().hook(name, false).unwrap();
            for more in [
                format!("./mine.sh; {mine}"),
                format!("{mine}; ./mine.sh"),
                format!("sudo -n -u vault {mine}"),
                mine.replace("/usr/bin/vm", "$(./mine.sh)"),
                mine.replace("/usr/bin/vm", "vm"),
                mine.replace("record", "record "),
            ] {
                let text = added(agent, None, false).replace(&mine, &more);
                assert_eq!(compound(agent, text.as_bytes(), &line()).as_ref(), Some(&more));
                let out = remove(agent, text.as_bytes(), &line()).unwrap();
                assert_eq!(String::from_utf8(out).unwrap(), text, "{more}");
            }
            let older = added(agent, None, false).replace("/usr/bin/vm", "'/my programs/vm'");
            assert_eq!(compound(agent, older.as_bytes(), &line()), None);
            let out = String::from_utf8(remove(agent, older.as_bytes(), &line()).unwrap()).unwrap();
            assert!(!out.contains("my programs"), "{out}");
        }
    }

    #[test]
    fn a_hook_of_another_home_is_left_and_named() {
        let agent = Agent::named("claude");
        let other = Line { home: "/other".into(), ..line() };
        let first = add(agent, None, &other, false).unwrap();
        let both = add(agent, Some(&first), &line(), false).unwrap();
        assert!(other_home(&both, agent, &line()).unwrap().contains("/other"));
        let [mine] = &installed(agent, &both, &line())[..] else { panic!("one line") };
        assert!(mine.contains("/home/ann/ledger"));
        let out = String::from_utf8(remove(agent, &both, &line()).unwrap()).unwrap();
        assert!(out.contains("/other") && !out.contains("/home/ann/ledger"), "{out}");
    }
}
