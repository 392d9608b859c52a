//! The front on AWS Lambda, behind API Gateway (REST or HTTP), a function URL or a load balancer.
//!
//! Answers what the local server answers: same statuses, same bytes. What dropshot does for that one is done here:
//! finding the operation, and naming the request. How requests come and answers go is in `event`.

use std::borrow::Cow;
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use dropshot::{Body, ClientErrorStatusCode, HttpError};
use http::{HeaderValue, Method, Response, header};
use http_body_util::{BodyExt, Collected};
use lambda_runtime::{Context, Diagnostic, LambdaEvent, service_fn};
use orchestrator_api::CreateAndConfirm;
use percent_encoding::percent_decode_str;
use serde_json::Value;
use service::{Call, MAX_BODY_BYTES, RunError};
use service_api::{Failure, codes, json_body};
use tokio::time::Instant;

use crate::event::{Event, NotBase64};
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
    let orchestrator = &orchestrator;
    // In a box, or the compiler gives up on how large the runtime's future is.
    let answer =
        |LambdaEvent { payload, context }| Box::pin(async move { answer(orchestrator, &payload, &context).await });
    match lambda_runtime::run(service_fn(answer)).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failed(&*error),
    }
}

fn failed(error: &dyn std::error::Error) -> ExitCode {
    eprintln!("orchestrator: {error}");
    ExitCode::FAILURE
}

/// Answers one event.
///
/// # Errors
///
/// Where the event is no HTTP request: whoever sends such events counts on being told of a failure, and would take an answer of
/// any kind for a success.
pub async fn answer(orchestrator: &Orchestrator, event: &Value, context: &Context) -> Result<Value, Diagnostic> {
    let Some(mut request) = Event::read(event) else {
        return Err(Diagnostic {
            error_type: "NotAnHttpRequest".to_owned(),
            error_message: "the event is no HTTP request of API Gateway, a function URL or a load balancer".to_owned(),
        });
    };
    if let Some(trace) = context.xray_trace_id.as_deref().and_then(|id| HeaderValue::from_str(id).ok()) {
        request.headers.insert(service::TRACE_ID, trace);
    }
    let response = match find(&request) {
        Ok(operation) => carry_out(orchestrator, &operation, &request, context).await,
        Err(error) => error.into_response(&context.request_id),
    };
    Ok(into_answer(&request, response, &context.request_id).await)
}

async fn carry_out(
    orchestrator: &Orchestrator,
    operation: &Operation,
    request: &Event<'_>,
    context: &Context,
) -> Response<Body> {
    let call = |operation| Call::from_parts(operation, &context.request_id, request.headers.clone());
    match operation {
        Operation::CreateAndConfirm => {
            let call = call("order_create_and_confirm");
            orchestrator.create_and_confirm(&call, body(request), deadline(context)).await.into_response()
        }
        Operation::Health => orchestrator.health(&call("health_view")).await.into_response(),
        Operation::Readiness => orchestrator.readiness(&call("readiness_view")).await.into_response(),
    }
}

fn body(request: &Event<'_>) -> Result<CreateAndConfirm, Failure> {
    let not_base64 = |NotBase64| Failure::new(codes::INVALID_REQUEST, "the body is not Base64, as the event says");
    json_body(&request.headers, &request.body().map_err(not_base64)?, MAX_BODY_BYTES)
}

/// When the platform ends the invocation. The emulator of cargo-lambda says ten minutes after the beginning of 1970, whenever
/// it is: that is none.
fn deadline(context: &Context) -> Option<Instant> {
    const A_DAY: Duration = Duration::from_secs(24 * 60 * 60);
    let since_1970 = Duration::from_millis(context.deadline);
    let now = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
    if since_1970 < A_DAY { None } else { Instant::now().checked_add(since_1970.saturating_sub(now)) }
}

/// The operation at the path, if it is offered under the method.
fn find(request: &Event<'_>) -> Result<Operation, HttpError> {
    let offered = request.paths().find_map(|path| at(&path));
    let (method, operation) = offered.ok_or_else(|| HttpError::for_not_found(None, String::new()))?;
    if request.method == method {
        return Ok(operation);
    }
    let mut error = HttpError::for_client_error_with_status(None, ClientErrorStatusCode::METHOD_NOT_ALLOWED);
    // Every method's name is a valid header value.
    let _ = error.add_header(header::ALLOW, method.as_str());
    Err(error)
}

fn at(path: &str) -> Option<(Method, Operation)> {
    let segments = path.split('/').filter(|segment| !segment.is_empty());
    let segments: Vec<_> = segments.map(|segment| percent_decode_str(segment).decode_utf8_lossy()).collect();
    match segments.iter().map(Cow::as_ref).collect::<Vec<_>>()[..] {
        ["orchestrator", "create-and-confirm-order"] => Some((Method::POST, Operation::CreateAndConfirm)),
        ["health"] => Some((Method::GET, Operation::Health)),
        ["ready"] => Some((Method::GET, Operation::Readiness)),
        _ => None,
    }
}

async fn into_answer(request: &Event<'_>, response: Response<Body>, request_id: &str) -> Value {
    let (mut parts, body) = response.into_parts();
    if let Ok(id) = HeaderValue::from_str(request_id) {
        parts.headers.insert("x-request-id", id);
    }
    // The body is in memory as a whole: reading it cannot fail.
    let body = body.collect().await.map(Collected::to_bytes).unwrap_or_default();
    // A server leaves it out by itself.
    let body = if request.method == Method::HEAD { Cow::default() } else { String::from_utf8_lossy(&body) };
    request.answer(parts.status, &parts.headers, &body)
}
