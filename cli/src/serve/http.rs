//! Which request is answered by what.

use crate::asked::{CALL_BYTES_MAX, too_large};
use crate::exit;
use crate::serve::body::Reply;
use crate::serve::{Peer, Server, call, calls, command};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use serde_json::{Value, json};
use std::convert::Infallible;
use std::sync::Arc;
use tokio::sync::mpsc;
use vm_contracts::{Failure, Fault, Refusal, RefusalKind};

const ENDPOINTS: [(&str, Method); 4] = [
    ("/v1/call", Method::POST),
    ("/v1/calls", Method::POST),
    ("/v1/command", Method::POST),
    ("/v1/health", Method::GET),
];

/// Answers a request; an error has the status of its kind and is told as `--json` tells it.
pub(crate) async fn answer(
    server: Arc<Server>,
    peer: Peer,
    request: Request<Incoming>,
    busy: Arc<()>,
) -> Result<Response<Reply>, Infallible> {
    let path = request.uri().path().to_owned();
    let answered = match wrong_method(&path, request.method()) {
        Some(allowed) => Ok(allowed),
        None => route(&server, peer, &path, request).await,
    };
    let mut response = answered.unwrap_or_else(|failure| refused(&failure));
    response.body_mut().keep(busy);
    Ok(response)
}

async fn route(
    server: &Arc<Server>,
    peer: Peer,
    path: &str,
    request: Request<Incoming>,
) -> Result<Response<Reply>, Failure> {
    if *server.stopping.borrow() {
        return Err(stopping());
    }
    match path {
        "/v1/call" => {
            // A call whose body is not here yet has not begun.
            let body = tokio::select! {
                body = whole(request.into_body()) => body?,
                () = server.stops() => return Err(stopping()),
            };
            let told = call::one(server, peer, &body).await?;
            let status = if told.is_aborted { StatusCode::BAD_GATEWAY } else { StatusCode::OK };
            Ok(json_reply(status, &told.answer))
        }
        "/v1/calls" => {
            let brief = request.uri().query() == Some("brief=true");
            let (out, pieces) = mpsc::unbounded_channel();
            tokio::spawn(calls::work(server.clone(), peer, request.into_body(), brief, out));
            Ok(reply(StatusCode::OK, "application/x-ndjson", Reply::pieces(pieces)))
        }
        "/v1/command" => {
            let frames = command::answer(server, peer, request.into_body()).await?;
            Ok(reply(StatusCode::OK, "application/octet-stream", frames))
        }
        "/v1/health" => Ok(json_reply(StatusCode::OK, &health(server).await?)),
        _ => {
            let what =
                format!("there is nothing at {:?}", path.chars().take(64).collect::<String>());
            Err(Refusal::not_found("unknown_endpoint", what)
                .hint("There is POST /v1/call, /v1/calls and /v1/command, and GET /v1/health.")
                .into())
        }
    }
}

/// Nothing is begun any more.
pub(crate) fn stopping() -> Failure {
    let what = "the process that owns the home is about to end";
    Refusal::new("stopping", RefusalKind::Unavailable, what)
        .hint("Ask again; the home is free in a moment.")
        .into()
}

fn wrong_method(path: &str, method: &Method) -> Option<Response<Reply>> {
    let (_, right) = ENDPOINTS.iter().find(|(known, right)| *known == path && right != method)?;
    let what = format!("{path} is asked with {right}");
    let failure = Refusal::malformed("wrong_method", what).into();
    let mut response = json_reply(StatusCode::METHOD_NOT_ALLOWED, &exit::to_json(&failure));
    let allow = HeaderValue::from_str(right.as_str()).expect("a method is plain text");
    response.headers_mut().insert(ALLOW, allow);
    Some(response)
}

/// A whole body, up to the limit of a call.
async fn whole(body: Incoming) -> Result<Bytes, Failure> {
    match Limited::new(body, CALL_BYTES_MAX).collect().await {
        Ok(whole) => Ok(whole.to_bytes()),
        Err(e) if e.is::<LengthLimitError>() => Err(too_large().into()),
        Err(e) => {
            Err(Refusal::malformed("body_broken", format!("the body does not come whole: {e}"))
                .into())
        }
    }
}

async fn health(server: &Arc<Server>) -> Result<Value, Failure> {
    let shared = server.clone();
    let looked = tokio::task::spawn_blocking(move || {
        shared.ledger().health()?;
        Ok::<_, Failure>(shared.ledger().writer().heads())
    });
    let heads = looked.await.unwrap_or_else(|e| {
        Err(Fault::new("serve_failed", format!("the ledger does not answer: {e}")).into())
    })?;
    let scrolls: Vec<Value> =
        heads.iter().map(|h| json!({"scroll": h.scroll, "size": h.size})).collect();
    Ok(json!({
        "version": env!("CARGO_PKG_VERSION"),
        "ledger": server.loaded.config.ledger.id,
        "home": server.loaded.home.display().to_string(),
        "owner": format!("local:{}", server.uid),
        "pid": std::process::id(),
        "scrolls": scrolls,
    }))
}

fn refused(failure: &Failure) -> Response<Reply> {
    let status = StatusCode::from_u16(exit::surface(failure).http);
    json_reply(status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), &exit::to_json(failure))
}

fn json_reply(status: StatusCode, value: &Value) -> Response<Reply> {
    let bytes = Bytes::from(format!("{value}\n"));
    reply(status, "application/json", Reply::whole(bytes))
}

fn reply(status: StatusCode, kind: &'static str, body: Reply) -> Response<Reply> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}
