//! The front on AWS Lambda, behind API Gateway (REST or HTTP), a function URL or a load balancer.
//!
//! Answers what the local server answers: same statuses, same bytes. What dropshot does for that one is done here:
//! finding the operation, and naming the request. lambda_http knows how requests come and answers go; `event` makes of
//! each event one that it can take.

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

/// What the function offers.
enum Operation {
    CreateAndConfirm,
    Health,
    Readiness,
}

/// The function's whole life.
pub async fn run(config: impl FnOnce(Runtime) -> Result<Config, RunError>) -> ExitCode {
    common_server::init_logs();
    let orchestrator =
        Runtime::from_env("orchestrator", &Env::process()).and_then(|runtime| Orchestrator::new(config(runtime)?));
    let orchestrator = match orchestrator {
        Ok(orchestrator) => orchestrator,
        Err(error) => return failed(&error),
    };
    // In a box, or the compiler gives up on how large the runtime's future is.
    match lambda_runtime::run(service_fn(|event| Box::pin(answer(&orchestrator, event)))).await {
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
pub async fn answer(orchestrator: &Orchestrator, event: LambdaEvent<Value>) -> Result<Value, Diagnostic> {
    let LambdaEvent { payload, context } = event;
    let (request, body) = event::read(payload).map_err(|_| Diagnostic {
        error_type: "NotAnHttpRequest".to_owned(),
        error_message: "the event is no HTTP request of API Gateway, a function URL or a load balancer".to_owned(),
    })?;
    let respond = async |request| Ok::<_, Infallible>(respond(orchestrator, &request, &body, &context).await);
    let Ok(answer) = Adapter::from(service_fn(respond)).call(LambdaEvent::new(request, context.clone())).await;
    // From the moment of the answer on, the process may be frozen.
    orchestrator.runtime.flush_spans().await;
    serde_json::to_value(answer).map_err(|error| error.to_string().into())
}

async fn respond(
    orchestrator: &Orchestrator,
    request: &Request,
    body: &event::Body,
    context: &Context,
) -> Response<Body> {
    let mut response = match find(request) {
        Ok(operation) => carry_out(orchestrator, &operation, request, body, context).await,
        Err(error) => error.into_response(&context.request_id),
    };
    if let Ok(id) = HeaderValue::from_str(&context.request_id) {
        response.headers_mut().insert("x-request-id", id);
    }
    // A server leaves it out by itself.
    if request.method() == Method::HEAD { response.map(|_| Body::empty()) } else { response }
}

async fn carry_out(
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
            orchestrator.create_and_confirm(&call, read(request, body), deadline(context)).await.into_response()
        }
        Operation::Health => orchestrator.health(&call("health_view")).await.into_response(),
        Operation::Readiness => orchestrator.readiness(&call("readiness_view")).await.into_response(),
    }
}

fn read(request: &Request, body: &event::Body) -> Result<CreateAndConfirm, Failure> {
    let not_base64 = |NotBase64: &_| Failure::new(codes::INVALID_REQUEST, "the body is not Base64, as the event says");
    json_body(request.headers(), body.as_ref().map_err(not_base64)?, MAX_BODY_BYTES)
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
fn find(request: &Request) -> Result<Operation, HttpError> {
    let offered = paths(request).find_map(|path| at(&path));
    let (method, operation) = offered.ok_or_else(|| HttpError::for_not_found(None, String::new()))?;
    if *request.method() == method {
        return Ok(operation);
    }
    let mut error = HttpError::for_client_error_with_status(None, ClientErrorStatusCode::METHOD_NOT_ALLOWED);
    // Every method's name is a valid header value.
    let _ = error.add_header(header::ALLOW, method.as_str());
    Err(error)
}

/// The path that was asked for, as it may have to be read: as it came; without the stage, which a gateway puts in front;
/// without the rest of a custom domain's base path, where the gateway's own route says what is behind it.
fn paths(request: &Request) -> impl Iterator<Item = Cow<'_, str>> {
    let (stage, route) = match request.request_context_ref() {
        Some(RequestContext::ApiGatewayV1(context)) => (context.stage.as_deref(), context.resource_path.as_deref()),
        Some(RequestContext::ApiGatewayV2(context)) => (context.stage.as_deref(), context.route_key.as_deref()),
        _ => (None, None),
    };
    let path = request.raw_http_path();
    let without_stage = stage.and_then(|stage| path.strip_prefix('/')?.strip_prefix(stage));
    let as_it_came = [Some(path), without_stage.filter(|rest| rest.starts_with('/'))].into_iter().flatten();
    as_it_came.map(Cow::Borrowed).chain(route.and_then(|route| routed(request, route)))
}

/// The path by the route that the gateway chose: `/orders` or `POST /orders`, or `/{proxy+}` with what it stands for.
fn routed<'r>(request: &'r Request, route: &'r str) -> Option<Cow<'r, str>> {
    let route = route.rsplit(' ').next()?;
    let Some((before, _)) = route.split_once("{proxy+}") else { return Some(Cow::Borrowed(route)) };
    let proxy = request.path_parameters_ref()?.first("proxy")?;
    Some(Cow::Owned(format!("{before}{proxy}")))
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
