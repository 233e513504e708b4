//! The part of the reference about work that takes steps.

use super::{arguments, escaped, stopped, table};
use crate::args::{example, fields, work};
use crate::house::story_stage;
use crate::session::House;
use serde_json::from_str;
use vm_contracts::{Actor, AnyEngine, Asked, Field, Moment, Shape, Spec};

/// The words of the lifecycle, as every engine has them.
pub fn words(house: House) -> String {
    let Some(engine) = house.first() else { return String::new() };
    let mut text = String::from(
        "\n## Step by step\n\nEvery engine has these words. `plan` takes the flags of the operation that it plans, and \
         `complete-stage` the fields of the engine's stages.\n",
    );
    let mut all = work::commands(*engine);
    all.push(work::output_command(*engine));
    for command in all {
        let about = command.get_about().map(ToString::to_string).unwrap_or_default();
        let about = about.replace(&format!("runs of {}", engine.name()), "runs of the engine");
        let name = command.get_name();
        text.push_str(&format!("\n### vm ENGINE {name}\n\n{}\n", escaped(&stopped(&about))));
        let of_engine = |id: &str| id.starts_with("field:");
        let own = command.get_arguments().filter(|a| !of_engine(a.get_id().as_str()));
        // Flags of the one operation that an engine plans without naming it are those of its page.
        let table = if name == "plan" { String::new() } else { arguments(own) };
        if !table.is_empty() {
            text.push_str(&format!("\n{table}"));
        }
        if let Some(after) = command.get_after_help() {
            let after = after.to_string().replace(&format!("vm {} ", engine.name()), "vm ENGINE ");
            text.push_str(&format!("\n{after}\n"));
        }
    }
    text
}

/// What completing a stage takes, for each operation that has stages.
pub fn stages(engine: &dyn AnyEngine) -> String {
    let mut text = String::new();
    for (spec, declared) in work::staged(engine) {
        text.push_str(&format!(
            "\n### {} complete-stage\n\nWhat `vm {} complete-stage ID STAGE` takes for `{}`, beside files.\n\n{}",
            engine.name(),
            engine.name(),
            spec.verb,
            table(declared, "", "in the answer")
        ));
    }
    text
}

/// The commands that carry a call through, where it takes steps.
pub fn carried_through(
    engine: &dyn AnyEngine,
    spec: &'static Spec,
    intent: &str,
    id: &str,
) -> Option<String> {
    let Some(Shape::Staged(declared)) = engine.shape(spec.verb) else { return None };
    let (name, actor) = (engine.name(), Actor::local(0));
    let at = Moment::from_unix_ms(0)?;
    let asked = Asked { at, id, actor: &actor };
    let plan = engine.plan(&*engine.blank(), spec.verb, &from_str(intent).ok()?, asked).ok()?;
    let said = flags(declared, story_stage(name)?);
    let first = example::command_line_of(name, spec, intent, "");
    let mut lines = vec![format!("{first} --id {id}")];
    let stage = |s: &str| format!("vm {name} complete-stage {id} {s}{said}");
    lines.extend(plan.stages.iter().map(|s| stage(&s.id)));
    lines.push(format!("vm {name} seal {id}"));
    Some(lines.join("\n"))
}

/// What is said of a stage, as flags.
fn flags(declared: &[Field], said: &str) -> String {
    let said: serde_json::Value = from_str(said).unwrap_or_default();
    let given = declared.iter().filter_map(|f| Some((f, said.get(f.name)?.as_str()?)));
    given.map(|(f, v)| format!(" --{} {}", fields::flag(f), example::quoted(v))).collect()
}
