//! `toy pay`: work with an effect, which happens at most once.

use super::{TEXT_BYTES_MAX, TILL, TillPort, ToyState};
use serde::{Deserialize, Serialize};
use serde_json::json;
use vm_contracts::{
    Asked, Draft, Fault, Field, Kind, Map, Operation, Port, Ports, Refusal, Spec, Value,
};

/// `toy pay`: pays out of the till.
pub struct Pay;

/// Intent of [`Pay`]. Whom to pay is private and comes to `execute` alone.
#[derive(Deserialize)]
pub struct PayIntent {
    amount: i64,
    fail: Option<Fail>,
    slip: Option<bool>,
}

/// Where it goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fail {
    /// Nowhere.
    None,
    /// Before the effect.
    Before,
    /// After the effect.
    After,
    /// It asks for a port that it did not declare.
    Stray,
}

/// What will be done.
#[derive(Serialize, Deserialize)]
pub struct PayPlan {
    amount: i64,
    fail: Fail,
    slip: bool,
}

/// What came of it.
#[derive(Serialize, Deserialize)]
pub struct PayOutcome {
    total: i64,
    effects: u64,
}

static PAY: Spec = Spec {
    verb: "pay",
    about: "Pay out of the till",
    needs: "toy.pay",
    types: &["toy_paid"],
    fields: &[
        Field::new("amount", Kind::Integer(1, 1_000_000), "how much").filter(),
        Field::new("to", Kind::Text(TEXT_BYTES_MAX), "who gets it").private(),
        Field::new("pin", Kind::Text(64), "opens the till; kept nowhere").optional().secret(),
        Field::new("fail", Kind::Choice(&["none", "before", "after", "stray"]), "where to fail")
            .optional()
            .steering(),
        Field::new("slip", Kind::Bool, "whether a private slip is left beside the receipt")
            .optional()
            .steering(),
        Field::new("total", Kind::Integer(0, 9_007_199_254_740_991), "sum that the till has paid")
            .computed(),
        Field::new("effects", Kind::Integer(0, 1_000_000), "how often this run has paid")
            .computed(),
    ],
    example: r#"{"amount":12,"to":"Ann Example","slip":true}"#,
};

const PORTS: &[Port] = &[Port { name: TILL, about: "pays, and counts by token" }];

impl Operation for Pay {
    type State = ToyState;
    type Intent = PayIntent;
    type Plan = PayPlan;
    type Outcome = PayOutcome;

    fn spec(&self) -> &'static Spec {
        &PAY
    }

    fn ports(&self) -> &'static [Port] {
        PORTS
    }

    fn plan(&self, _: &ToyState, intent: PayIntent, _: Asked<'_>) -> Result<PayPlan, Refusal> {
        let fail = intent.fail.unwrap_or(Fail::None);
        Ok(PayPlan { amount: intent.amount, fail, slip: intent.slip.unwrap_or(false) })
    }

    fn execute(
        &self,
        plan: PayPlan,
        hidden: &Map<String, Value>,
        ports: &mut Ports<'_>,
    ) -> Result<PayOutcome, Fault> {
        let broken = |code: &str| Err(Fault::new(code, "the toy fails where it is told to"));
        match plan.fail {
            Fail::Before => return broken("till_closed"),
            Fail::Stray => {
                ports.get::<TillPort>("safe")?;
            }
            Fail::None | Fail::After => {}
        }
        if hidden.get("pin").and_then(Value::as_str).is_some_and(|pin| pin.len() < 4) {
            return broken("bad_pin");
        }
        let to = hidden.get("to").and_then(Value::as_str).unwrap_or_default();
        let token = ports.token().to_owned();
        let (effects, total) = ports.get::<TillPort>(TILL)?.0.pay(&token, plan.amount, to);
        let receipt = format!("paid {} for {token}\n", plan.amount);
        ports.outputs().keep("receipt.txt", false, &mut receipt.as_bytes())?;
        if plan.slip {
            let slip = format!("paid {} to {to}\n", plan.amount);
            ports.outputs().keep("slip.txt", true, &mut slip.as_bytes())?;
        }
        match plan.fail {
            Fail::After => broken("till_jammed"),
            _ => Ok(PayOutcome { total, effects }),
        }
    }

    fn drafts(&self, plan: PayPlan, outcome: PayOutcome) -> Vec<Draft> {
        let body =
            json!({"amount": plan.amount, "total": outcome.total, "effects": outcome.effects});
        let body = body.as_object().cloned().unwrap_or_default();
        vec![Draft::new("toy_paid", body)]
    }
}
