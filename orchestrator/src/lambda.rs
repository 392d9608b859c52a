//! AWS Lambda function, invoked through API Gateway (REST or HTTP API), a function URL or a load balancer.
//!
//! Returns the same statuses and bodies as the local server. This module replaces dropshot: it routes requests and sets
//! the request ID. lambda_http converts events and responses, after `event` has sanitized each event.

use std::borrow::Cow;
use std::convert::Infallible;
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use common_contract::{Failure, codes};
use common_http::json_body;
use common_server::settings::Env;
use common_server::{Call, MAX_BODY_BYTES, RunError, Runtime};
use dropshot::{Body, ClientErrorStatusCode, HttpError};
use http::{HeaderValue, Method, Response, header};
use lambda_http::lambda_runtime::{self, Diagnostic};
use lambda_http::request::RequestContext;
use lambda_http::{Adapter, Context, LambdaEvent, Request, RequestExt, Service, service_fn};
use orchestrator_api::CreateAndConfirm;
use percent_encoding::percent_decode_str;
use serde_json::Value;
use tokio::time::Instant;

use crate::event::{self, NotBase64};
use crate::{Config, Orchestrator};

/// Methods of create-and-confirm.
const COMMAND: &[Method] = &[Method::POST];
/// Methods of the health checks.
const PROBE: &[Method] = &[Method::GET, Method::HEAD];

/// Operations of the function.
enum Operation {
    CreateAndConfirm,
    Health,
    Readiness,
}

/// Runs the function until the Lambda runtime stops it.
pub async fn run(config: impl FnOnce(Runtime) -> Result<Config, RunError>) -> ExitCode {
    let orchestrator = common_server::init_logs(&Env::process())
        .map_err(RunError::from)
        .and_then(|()| Runtime::from_env("orchestrator", &Env::process()))
        .and_then(|runtime| Orchestrator::new(config(runtime)?));
    let orchestrator = match orchestrator {
        Ok(orchestrator) => orchestrator,
        Err(error) => return exit_with_error(&error),
    };
    // Without the box, the compiler cannot compute the size of the runtime's future.
    match lambda_runtime::run(service_fn(|event| Box::pin(answer(&orchestrator, event)))).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => exit_with_error(&*error),
    }
}

fn exit_with_error(error: &dyn std::error::Error) -> ExitCode {
    eprintln!("orchestrator: {error}");
    ExitCode::FAILURE
}

/// Handles one event.
///
/// # Errors
///
/// Fails if the event is not an HTTP request: the sender of another kind of event, such as a queue, would interpret any
/// response as a success.
pub async fn answer(orchestrator: &Orchestrator, event: LambdaEvent<Value>) -> Result<Value, Diagnostic> {
    let LambdaEvent { payload, context } = event;
    let (request, body) = event::parse(payload).map_err(|_| Diagnostic {
        error_type: "NotAnHttpRequest".to_owned(),
        error_message: "the event is not an HTTP request from API Gateway, a function URL or a load balancer"
            .to_owned(),
    })?;
    let respond = async |request| Ok::<_, Infallible>(respond(orchestrator, &request, &body, &context).await);
    let Ok(response) = Adapter::from(service_fn(respond)).call(LambdaEvent::new(request, context.clone())).await;
    // Lambda may freeze the process as soon as it receives the response.
    orchestrator.runtime.flush_spans().await;
    serde_json::to_value(response).map_err(|error| error.to_string().into())
}

async fn respond(
    orchestrator: &Orchestrator,
    request: &Request,
    body: &event::Body,
    context: &Context,
) -> Response<Body> {
    let mut response = match route(request) {
        Ok(operation) => execute(orchestrator, &operation, request, body, context).await,
        Err(error) => error.into_response(&context.request_id),
    };
    if let Ok(id) = HeaderValue::from_str(&context.request_id) {
        response.headers_mut().insert("x-request-id", id);
    }
    // In the local server, hyper omits the body of a HEAD response. Here, the body must be removed explicitly.
    if request.method() == Method::HEAD { response.map(|_| Body::empty()) } else { response }
}

async fn execute(
    orchestrator: &Orchestrator,
    operation: &Operation,
    request: &Request,
    body: &event::Body,
    context: &Context,
) -> Response<Body> {
    let call = |operation| {
        let (runtime, headers) = (&orchestrator.runtime, request.headers().clone());
        Call::from_parts(runtime, operation, request.method(), None, &context.request_id, headers)
    };
    match operation {
        Operation::CreateAndConfirm => {
            let call = call("order_create_and_confirm");
            orchestrator.create_and_confirm(&call, parse_body(request, body), deadline(context)).await.into_response()
        }
        Operation::Health => orchestrator.health(&call("health_view")).await.into_response(),
        Operation::Readiness => orchestrator.readiness(&call("readiness_view")).await.into_response(),
    }
}

fn parse_body(request: &Request, body: &event::Body) -> Result<CreateAndConfirm, Failure> {
    let not_base64 = |NotBase64: &_| {
        Failure::new(codes::INVALID_REQUEST, "the body is not valid Base64, although the event declares it as Base64")
    };
    json_body(request.headers(), body.as_ref().map_err(not_base64)?, MAX_BODY_BYTES)
}

/// Returns the time at which Lambda ends the invocation. Instead of a real deadline, the cargo-lambda emulator sends
/// ten minutes after the Unix epoch, which is treated as no deadline.
fn deadline(context: &Context) -> Option<Instant> {
    const DAY: Duration = Duration::from_secs(24 * 60 * 60);
    let since_epoch = Duration::from_millis(context.deadline);
    let now = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
    if since_epoch < DAY { None } else { Instant::now().checked_add(since_epoch.saturating_sub(now)) }
}

/// Returns the operation for the path and method of the request.
fn route(request: &Request) -> Result<Operation, HttpError> {
    let found = candidate_paths(request).find_map(|path| match_path(&path));
    let (methods, operation) = found.ok_or_else(|| HttpError::for_not_found(None, String::new()))?;
    if methods.contains(request.method()) {
        return Ok(operation);
    }
    let mut error = HttpError::for_client_error_with_status(None, ClientErrorStatusCode::METHOD_NOT_ALLOWED);
    for method in methods {
        // Every method's name is a valid header value.
        let _ = error.add_header(header::ALLOW, method.as_str());
    }
    Err(error)
}

/// Returns the candidate paths for routing, in order of precedence: the path in the event; the path in the event
/// without the stage that a gateway prepends; and the path of the gateway's route, which excludes the base path of a
/// custom domain.
fn candidate_paths(request: &Request) -> impl Iterator<Item = Cow<'_, str>> {
    let (stage, route) = match request.request_context_ref() {
        Some(RequestContext::ApiGatewayV1(context)) => (context.stage.as_deref(), context.resource_path.as_deref()),
        Some(RequestContext::ApiGatewayV2(context)) => (context.stage.as_deref(), context.route_key.as_deref()),
        _ => (None, None),
    };
    let path = request.raw_http_path();
    let without_stage = stage.and_then(|stage| path.strip_prefix('/')?.strip_prefix(stage));
    let unrouted = [Some(path), without_stage.filter(|rest| rest.starts_with('/'))].into_iter().flatten();
    unrouted.map(Cow::Borrowed).chain(route.and_then(|route| path_from_route(request, route)))
}

/// Returns the path of the route that the gateway matched (`/orders` or `POST /orders`), with `{proxy+}` replaced by
/// its value.
fn path_from_route<'r>(request: &'r Request, route: &'r str) -> Option<Cow<'r, str>> {
    let route = route.rsplit(' ').next()?;
    let Some((before, _)) = route.split_once("{proxy+}") else { return Some(Cow::Borrowed(route)) };
    let proxy = request.path_parameters_ref()?.first("proxy")?;
    Some(Cow::Owned(format!("{before}{proxy}")))
}

fn match_path(path: &str) -> Option<(&'static [Method], Operation)> {
    let segments = path.split('/').filter(|segment| !segment.is_empty());
    let segments: Vec<_> = segments.map(|segment| percent_decode_str(segment).decode_utf8_lossy()).collect();
    match segments.iter().map(Cow::as_ref).collect::<Vec<_>>()[..] {
        ["orchestrator", "create-and-confirm-order"] => Some((COMMAND, Operation::CreateAndConfirm)),
        ["health"] => Some((PROBE, Operation::Health)),
        ["ready"] => Some((PROBE, Operation::Readiness)),
        _ => None,
    }
}
