//! The front on AWS Lambda, behind API Gateway (REST or HTTP), a function URL or a load balancer.
//!
//! Answers what the local server answers: same statuses, same bytes. What dropshot does for that one is done here:
//! finding the operation, and naming the request.

use std::borrow::Cow;
use std::convert::Infallible;
use std::process::ExitCode;

use dropshot::{Body as DropshotBody, ClientErrorStatusCode, HttpError};
use http::{HeaderValue, Method, header};
use http_body_util::{BodyExt, Collected};
use lambda_http::request::RequestContext;
use lambda_http::{Body, Request, RequestExt, Response, service_fn};
use percent_encoding::percent_decode_str;
use service::{Call, MAX_BODY_BYTES, RunError};
use service_api::json_body;

use crate::{Config, Orchestrator};

/// What the function offers.
enum Operation {
    CreateAndConfirm,
    Health,
    Readiness,
}

/// The function's whole life.
pub async fn run(config: impl FnOnce() -> Result<Config, RunError>) -> ExitCode {
    service::init_logs();
    let orchestrator = match config().and_then(Orchestrator::new) {
        Ok(orchestrator) => orchestrator,
        Err(error) => return failed(&error),
    };
    let answer = service_fn(async |event| Ok::<_, Infallible>(answer(&orchestrator, event).await));
    match lambda_http::run(answer).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failed(&*error),
    }
}

fn failed(error: &dyn std::error::Error) -> ExitCode {
    eprintln!("orchestrator: {error}");
    ExitCode::FAILURE
}

/// Answers one event.
pub async fn answer(orchestrator: &Orchestrator, event: Request) -> Response<Body> {
    let request_id = event.lambda_context_ref().map(|context| context.request_id.clone()).unwrap_or_default();
    let response = match find(&event) {
        Ok(operation) => carry_out(orchestrator, &operation, &request_id, &event).await,
        Err(error) => error.into_response(&request_id),
    };
    into_lambda(response, &request_id).await
}

async fn carry_out(
    orchestrator: &Orchestrator,
    operation: &Operation,
    request_id: &str,
    event: &Request,
) -> http::Response<DropshotBody> {
    let call = |operation| Call::from_parts(operation, request_id, event.headers().clone());
    match operation {
        Operation::CreateAndConfirm => {
            let body = json_body(event.headers(), event.body(), MAX_BODY_BYTES);
            orchestrator.create_and_confirm(&call("order_create_and_confirm"), body).await.into_response()
        }
        Operation::Health => orchestrator.health(&call("health_view")).await.into_response(),
        Operation::Readiness => orchestrator.readiness(&call("readiness_view")).await.into_response(),
    }
}

/// The operation at the path, if it is offered under the method.
fn find(event: &Request) -> Result<Operation, HttpError> {
    let segments = event.raw_http_path().split('/').filter(|segment| !segment.is_empty());
    let decoded = segments.map(|segment| percent_decode_str(segment).decode_utf8_lossy());
    let path: Vec<_> = decoded.collect();
    let offered = at(&path).or_else(|| at(without_stage(event, &path)?));
    let (method, operation) = offered.ok_or_else(|| HttpError::for_not_found(None, String::new()))?;
    if *event.method() == method {
        return Ok(operation);
    }
    let mut error = HttpError::for_client_error_with_status(None, ClientErrorStatusCode::METHOD_NOT_ALLOWED);
    // Every method's name is a valid header value.
    let _ = error.add_header(header::ALLOW, method.as_str());
    Err(error)
}

fn at(path: &[Cow<'_, str>]) -> Option<(Method, Operation)> {
    match path.iter().map(AsRef::as_ref).collect::<Vec<_>>()[..] {
        ["orchestrator", "create-and-confirm-order"] => Some((Method::POST, Operation::CreateAndConfirm)),
        ["health"] => Some((Method::GET, Operation::Health)),
        ["ready"] => Some((Method::GET, Operation::Readiness)),
        _ => None,
    }
}

/// The path behind the stage that a gateway may put in front.
fn without_stage<'p>(event: &Request, path: &'p [Cow<'_, str>]) -> Option<&'p [Cow<'p, str>]> {
    let (first, rest) = path.split_first()?;
    (stage(event)? == first).then_some(rest)
}

fn stage(event: &Request) -> Option<&str> {
    match event.request_context_ref() {
        Some(RequestContext::ApiGatewayV1(context)) => context.stage.as_deref(),
        Some(RequestContext::ApiGatewayV2(context)) => context.stage.as_deref(),
        _ => None,
    }
}

async fn into_lambda(response: http::Response<DropshotBody>, request_id: &str) -> Response<Body> {
    let (mut parts, body) = response.into_parts();
    if let Ok(id) = HeaderValue::from_str(request_id) {
        parts.headers.insert("x-request-id", id);
    }
    // The body is in memory as a whole: reading it cannot fail.
    let json = body.collect().await.map(Collected::to_bytes).unwrap_or_default();
    let json = String::from_utf8_lossy(&json).into_owned();
    Response::from_parts(parts, Body::Text(json))
}
