//! `POST /v1/call`: one call, one answer.

use crate::answer::{call, run};
use crate::commands::operate::{Outcome, carry_out};
use crate::commands::work;
use crate::exit::Stop;
use crate::serve::{Peer, Server};
use crate::session::fresh_id;
use crate::{asked, commands};
use std::sync::Arc;
use vm_contracts::{AnyEngine, Call, Failure, Fault, Lost, Shape, Value};
use vm_ledger::Answer;

/// What a call came to, as the surface tells it.
pub(crate) struct Told {
    pub answer: Value,
    /// Its effects failed, and its receipt says so.
    pub is_aborted: bool,
}

/// A call that passed the edge, with its id.
pub(crate) struct Asked {
    pub engine: &'static dyn AnyEngine,
    pub is_record: bool,
    pub id: String,
    pub call: Call,
}

/// Reads a call of this peer, and draws its id where it has none.
pub(crate) fn read(server: &Server, peer: Peer, bytes: &[u8]) -> Result<Asked, Failure> {
    let (engine, spec, mut call) = asked::call(server.house, bytes, &peer.actor())?;
    let id = call.id.get_or_insert_with(fresh_id).clone();
    let is_record = matches!(engine.shape(spec.verb), Some(Shape::Record));
    Ok(Asked { engine, is_record, id, call })
}

/// Commits a call and tells its answer.
pub(crate) async fn one(server: &Arc<Server>, peer: Peer, bytes: &[u8]) -> Result<Told, Failure> {
    let asked = read(server, peer, bytes)?;
    match asked.is_record {
        true => committed(&server.commits.submit(asked.call).answer().await?),
        false => effects(server, asked).await,
    }
}

/// The answer of a record.
pub(crate) fn committed(answer: &Answer) -> Result<Told, Failure> {
    Ok(Told { answer: call::to_json(answer).map_err(failure)?, is_aborted: false })
}

/// Carries out what is no record, on a thread of its own.
pub(crate) async fn effects(server: &Arc<Server>, asked: Asked) -> Result<Told, Failure> {
    let turn = server.at_once.clone().acquire_owned().await;
    let shared = server.clone();
    let worked = tokio::task::spawn_blocking(move || {
        let _turn = turn;
        let Asked { engine, call, .. } = asked;
        let outcome = carry_out(shared.ledger(), engine, call)?;
        told(&shared, engine, &outcome)
    });
    let broke = |_| Failure::from(Lost { message: "the call broke in the middle".into() });
    let told = worked.await.unwrap_or_else(|e| Err(broke(e)));
    if let Err(failure) = &told {
        server.notice(failure);
    }
    told
}

fn told(
    server: &Server,
    engine: &'static dyn AnyEngine,
    outcome: &Outcome,
) -> Result<Told, Failure> {
    match outcome {
        Outcome::Committed(answer) => committed(answer),
        Outcome::Sealed(sealing) => {
            let answer = call::sealing_json(sealing).map_err(failure)?;
            let is_aborted = call::is_aborted(&sealing.answer).map_err(failure)?;
            Ok(Told { answer, is_aborted })
        }
        Outcome::Opened(opened, _) => {
            let view = run::View { engine, run: &opened.run, home: &server.loaded.home };
            let is_aborted = work::effects_failed(engine, &opened.run);
            let mut answer = run::to_json(&view);
            answer["existing"] = opened.existing.into();
            Ok(Told { answer, is_aborted })
        }
    }
}

/// An answer that cannot be told is a fault; the call stands.
fn failure(stop: Stop) -> Failure {
    match stop {
        Stop::Failure(failure) => failure,
        _ => Fault::new("line_unreadable", "the answer cannot be told").into(),
    }
}

/// A call's answer as one line of `POST /v1/calls`.
pub(crate) fn line(number: u64, id: &str, answer: &Answer, brief: bool) -> Result<Value, Failure> {
    match brief {
        true => Ok(commands::batch::brief(number, id, answer)),
        false => Ok(serde_json::json!({"line": number, "answer": committed(answer)?.answer})),
    }
}
