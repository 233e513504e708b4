//! A small engine with every shape of work: a record with private values, work with effects, work of people.

use serde::{Deserialize, Serialize};
use vm_contracts::{
    Asked, Draft, Engine, Fault, Field, Kind, Line, Map, Operation, Operations, Plan, Ports,
    Record, Refusal, RunView, Slot, Spec, Stage, StageDone, Staged, Value,
};

pub struct Work;

#[derive(Default)]
pub struct Count {
    lines: Slot<u64>,
}

impl vm_contracts::Projection for Count {
    const FOLD_VERSION: u32 = 1;
    fn parts(&mut self, visit: &mut dyn FnMut(&'static str, &mut dyn vm_contracts::Part)) {
        visit("lines", &mut self.lines);
    }
}

static JOT: Spec = Spec {
    verb: "jot",
    about: "Keep a note.",
    needs: "chore.jot",
    types: &["chore_jot"],
    fields: &[
        Field::new("subject", Kind::Name(16), "What it is about.").filter(),
        Field::new("memo", Kind::Text(64), "What is to be kept.").optional().private(),
        Field::new("names", Kind::TextList(4, 16), "Who was there.").optional().private_items(),
    ],
    example: r#"{"subject":"door","memo":"it squeaks"}"#,
};

static PRESS: Spec = Spec {
    verb: "press",
    about: "Press a button.",
    needs: "chore.press",
    types: &["chore_press"],
    fields: &[
        Field::new("button", Kind::Name(16), "Which button.").filter(),
        Field::new("breaks", Kind::Bool, "Whether it comes off.").optional().steering(),
        Field::new("times", Kind::Integer(0, 9), "How often it clicked.").computed(),
    ],
    example: r#"{"button":"red"}"#,
};

static INSPECT: Spec = Spec {
    verb: "inspect",
    about: "Inspect a place.",
    needs: "chore.inspect",
    types: &["chore_inspection"],
    fields: &[
        Field::new("place", Kind::Name(16), "Which place.").filter(),
        Field::new("prompt", Kind::Text(64), "Why, in words.").optional().private(),
        Field::new("sheet", Kind::Document(64), "What to look at.").optional().steering(),
        Field::new("pages", Kind::Documents(2, 8), "More of it.").optional().steering(),
        Field::new("good", Kind::Integer(0, 99), "Stages that were good.").computed().filter(),
    ],
    example: r#"{"place":"cellar","prompt":"before winter"}"#,
};

const SAID: &[Field] = &[
    Field::new("result", Kind::Choice(&["good", "bad"]), "What became of it."),
    Field::new("note", Kind::Text(64), "What was seen.").optional().private(),
];

#[derive(Deserialize)]
pub struct Jotted {
    subject: String,
}

struct Jot;

impl Record for Jot {
    type State = Count;
    type Fact = Jotted;
    fn spec(&self) -> &'static Spec {
        &JOT
    }
    fn check(&self, _: &Count, jot: Jotted, _: Asked<'_>) -> Result<Vec<Draft>, Refusal> {
        let body = Map::from_iter([("subject".to_owned(), Value::from(jot.subject))]);
        Ok(vec![Draft::new("chore_jot", body)])
    }
}

#[derive(Serialize, Deserialize)]
pub struct Button {
    button: String,
    #[serde(default)]
    breaks: bool,
}

struct Press;

impl Operation for Press {
    type State = Count;
    type Intent = Button;
    type Plan = Button;
    type Outcome = u8;
    fn spec(&self) -> &'static Spec {
        &PRESS
    }
    fn plan(&self, _: &Count, button: Button, _: Asked<'_>) -> Result<Button, Refusal> {
        Ok(button)
    }
    fn execute(
        &self,
        plan: Button,
        _: &Map<String, Value>,
        ports: &mut Ports<'_>,
    ) -> Result<u8, Fault> {
        if plan.breaks {
            return Err(Fault::new("button_off", "the button came off"));
        }
        ports.outputs().keep("click.txt", false, &mut b"click\n".as_slice())?;
        Ok(1)
    }
    fn drafts(&self, plan: Button, times: u8) -> Vec<Draft> {
        let body = [("button", Value::from(plan.button)), ("times", Value::from(times))];
        let body = body.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        vec![Draft::new("chore_press", body)]
    }
}

#[derive(Deserialize)]
pub struct Place {
    place: String,
    sheet: Option<String>,
}

struct Inspect;

impl Staged for Inspect {
    type State = Count;
    type Intent = Place;
    fn spec(&self) -> &'static Spec {
        &INSPECT
    }
    fn stage_fields(&self) -> &'static [Field] {
        SAID
    }
    fn plan(&self, _: &Count, place: Place, _: Asked<'_>) -> Result<Plan, Refusal> {
        let look = Stage {
            id: "look".into(),
            order: 1,
            role: Some("caretaker".into()),
            objective: Some("See what is there".into()),
            actions: vec!["Open the door".into(), "Look\naround".into()],
            expected_outputs: vec!["a photograph".into()],
            details: Map::from_iter([("needs_approval".to_owned(), Value::from(true))]),
            ..Stage::default()
        };
        let after = vec!["look".to_owned()];
        let report = Stage { id: "report".into(), order: 2, after, ..Stage::default() };
        let objectives = place.sheet.iter().flat_map(|text| text.lines().map(str::to_owned));
        Ok(Plan {
            title: format!("Inspection of the {}", place.place),
            objectives: objectives.collect(),
            stages: vec![look, report],
            notes: vec!["looked up in no list".into()],
            ..Plan::default()
        })
    }
    fn complete(
        &self,
        _: &Count,
        _: RunView<'_>,
        _: &StageDone<'_>,
        _: Asked<'_>,
    ) -> Result<(), Refusal> {
        Ok(())
    }
    fn seal(&self, _: &Count, run: RunView<'_>, _: Asked<'_>) -> Result<Vec<Draft>, Refusal> {
        let good = run.state.stages.iter().filter(|s| s.fields["result"] == "good").count();
        let place = run.contract.intent["place"].clone();
        let body = [("place", place), ("good", Value::from(good))];
        let body = body.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        Ok(vec![Draft::new("chore_inspection", body)])
    }
}

impl Engine for Work {
    const NAME: &'static str = "chore";
    const SCROLL: &'static str = "chore";
    const PREFIX: &'static str = "chore_";
    const ABOUT: &'static str = "Notes, buttons and inspections.";
    type State = Count;
    const OPERATIONS: &'static [Operations<Count>] =
        &[Operations::Record(&Jot), Operations::Operation(&Press), Operations::Staged(&Inspect)];
    fn fold(state: &mut Count, _: &Line) {
        let lines = *state.lines.get();
        state.lines.set(lines + 1);
    }
}
