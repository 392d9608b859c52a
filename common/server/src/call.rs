//! Per-request context: ids, log line, metrics, span and response, including the response after a panic.

use std::panic::AssertUnwindSafe;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use common_contract::{CORRELATION_ID, Failure};
use common_http::{Answer, ErrorBody};
use dropshot::{Body, HttpResponse, RequestContext, ServerContext};
use futures::FutureExt;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use serde::Serialize;
use tracing::Instrument;

use crate::metrics::{self, InFlight};
use crate::runtime::{HasRuntime, Runtime};
use crate::trace::RequestSpan;

/// Maximum length of an accepted correlation id, in characters.
const MAX_CORRELATION_ID: usize = 128;

/// AWS trace header, which does not use the W3C format.
const AWS_TRACE_ID: &str = "x-amzn-trace-id";

/// Per-request context shared by all operations.
pub struct Call {
    runtime: Runtime,
    operation: String,
    method: &'static str,
    request_id: String,
    correlation_id: OnceLock<String>,
    headers: HeaderMap,
    started: Instant,
    principal: OnceLock<String>,
    span: RequestSpan,
    _in_flight: InFlight,
}

/// Error of an operation, with the response body that reports it.
pub trait ErrorResponse: From<Failure> {
    /// Returns the failure, which determines the status, the headers and the log line.
    fn failure(&self) -> &Failure;

    /// Returns the response body in the format that the service's contract defines.
    fn body(&self, call: &Call) -> impl Serialize;
}

impl ErrorResponse for Failure {
    fn failure(&self) -> &Failure {
        self
    }

    fn body(&self, call: &Call) -> impl Serialize {
        ErrorBody::<()>::new(&call.request_id, self)
    }
}

impl Call {
    /// Creates the context of a dropshot request.
    pub fn new<C: ServerContext + HasRuntime>(rqctx: &RequestContext<C>) -> Self {
        let runtime = rqctx.context().runtime();
        let route = runtime.traces().and_then(|_| route(rqctx));
        let (operation, method) = (&rqctx.endpoint.operation_id, rqctx.request.method());
        Self::from_parts(runtime, operation, method, route, &rqctx.request_id, rqctx.request.headers().clone())
    }

    /// Creates the context of a request that dropshot did not receive. `route` is the operation's path template, if
    /// known.
    pub fn from_parts(
        runtime: &Runtime,
        operation: &str,
        method: &Method,
        route: Option<String>,
        request_id: &str,
        headers: HeaderMap,
    ) -> Self {
        let method = metrics::method_label(method.as_str());
        Self {
            span: RequestSpan::start(runtime.traces(), operation, method, route, &headers),
            runtime: runtime.clone(),
            operation: operation.to_owned(),
            method,
            request_id: request_id.to_owned(),
            correlation_id: OnceLock::new(),
            headers,
            started: Instant::now(),
            principal: OnceLock::new(),
            _in_flight: InFlight::start(runtime.clone()),
        }
    }

    /// Returns the id of this request.
    pub fn request_id(&self) -> &str {
        &self.request_id
    }

    /// Returns the correlation id: the caller's, or this request's id if the caller sent no valid one, or several.
    pub fn correlation_id(&self) -> &str {
        self.correlation_id.get_or_init(|| {
            let mut given = self.headers.get_all(CORRELATION_ID).iter();
            let only = given.next().filter(|_| given.next().is_none()).and_then(|value| value.to_str().ok());
            let valid = only.filter(|id| is_correlation_id(id));
            valid.unwrap_or(&self.request_id).to_owned()
        })
    }

    /// Sets the correlation id if it is valid. Has no effect if the correlation id has already been read.
    pub fn correlate(&self, id: &str) {
        if is_correlation_id(id) {
            let _ = self.correlation_id.set(id.to_owned());
        }
    }

    /// Returns the values of the `traceparent` and `tracestate` headers (W3C Trace Context) for requests to other
    /// services. `tracestate` may be empty.
    pub fn trace(&self) -> (String, String) {
        self.span.headers()
    }

    pub(crate) fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// Records the principal for the log line.
    pub(crate) fn record_principal(&self, principal: String) {
        let _ = self.principal.set(principal);
    }

    /// Executes an operation and returns its response. A panic is reported as an `internal` failure.
    pub async fn answer<R: HttpResponse, E: ErrorResponse>(
        &self,
        work: impl Future<Output = Result<Answer<R>, E>>,
    ) -> Answer<R> {
        let outcome = async {
            let outcome = AssertUnwindSafe(work).catch_unwind().await;
            let outcome = outcome.unwrap_or_else(|_| Err(Failure::internal("panicked").into()));
            match &outcome {
                Ok(answer) => self.finish(answer.status_code().as_u16(), None),
                Err(error) => self.finish(error.failure().code.status, Some(error.failure())),
            }
            outcome
        }
        .instrument(self.span())
        .await;
        let response = self.with_correlation_id(match outcome {
            Ok(answer) => answer.into_response(),
            Err(error) => error_response(error.failure(), &error.body(self)),
        });
        Answer::new(self.runtime.apply_response_hook(&self.operation, response))
    }

    /// Sends a prebuilt response.
    pub(crate) fn respond(&self, response: http::Response<Body>) -> http::Response<Body> {
        self.span().in_scope(|| self.finish(response.status().as_u16(), None));
        self.with_correlation_id(response)
    }

    fn span(&self) -> tracing::Span {
        let aws_trace_id = self.headers.get(AWS_TRACE_ID).and_then(|value| value.to_str().ok());
        let (operation, request_id, trace_id) = (&self.operation, &self.request_id, self.span.trace_id());
        tracing::info_span!("request", %operation, %request_id, trace_id, aws_trace_id)
    }

    fn with_correlation_id(&self, mut response: http::Response<Body>) -> http::Response<Body> {
        if let Ok(id) = HeaderValue::from_str(self.correlation_id()) {
            response.headers_mut().insert(CORRELATION_ID, id);
        }
        response
    }

    /// Records the result in the metrics, the trace and the log.
    fn finish(&self, status: u16, failure: Option<&Failure>) {
        let (took, outcome) = (self.started.elapsed(), failure.map_or("ok", |failure| failure.code.name));
        metrics::request_finished(self.operation.clone(), self.method, status, took);
        self.span.end(status, outcome);
        self.log(status, outcome, took, failure);
    }

    /// Writes the request's log line. It contains no path parameters, query or body, because these may contain personal
    /// data.
    fn log(&self, status: u16, outcome: &str, took: Duration, failure: Option<&Failure>) {
        let (operation, method) = (self.operation.as_str(), self.method);
        let principal = self.principal.get().map_or("-", String::as_str);
        let latency_us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let correlation_id = self.correlation_id();
        let cause =
            failure.and_then(|failure| failure.source.as_deref()).map(|error| error_chain(error)).unwrap_or_default();
        let is_probe = matches!(operation, "health_view" | "readiness_view");
        // Readiness checks are expected to fail while the server drains.
        if is_probe && (status < 500 || self.runtime.is_draining()) {
            tracing::debug!(operation, method, status, latency_us, outcome, "request");
        } else if status >= 500 {
            tracing::error!(
                operation,
                method,
                status,
                latency_us,
                principal,
                correlation_id,
                outcome,
                cause,
                "request failed"
            );
        } else {
            tracing::info!(operation, method, status, latency_us, principal, correlation_id, outcome, cause, "request");
        }
    }
}

/// Returns the operation's path template. dropshot does not pass it to handlers, so this function searches the router.
/// The search is slow, so call it only if spans are exported.
fn route<C: ServerContext>(rqctx: &RequestContext<C>) -> Option<String> {
    let operation = &rqctx.endpoint.operation_id;
    let mut endpoints = rqctx.server.router.endpoints(None);
    let found = endpoints.find(|(_, _, endpoint)| endpoint.visible && endpoint.operation_id == *operation);
    found.map(|(template, ..)| template)
}

/// Returns whether the id consists of 1 to 128 visible ASCII characters, which are safe in headers and logs.
fn is_correlation_id(id: &str) -> bool {
    (1..=MAX_CORRELATION_ID).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic())
}

/// Joins an error and its sources into one line.
pub(crate) fn error_chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}

fn error_response(failure: &Failure, body: &impl Serialize) -> http::Response<Body> {
    let json = serde_json::to_vec(body).unwrap_or_default();
    let mut response = http::Response::new(Body::from(json));
    *response.status_mut() = StatusCode::from_u16(failure.code.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if let Some(wait) = failure.retry_after {
        headers.insert(header::RETRY_AFTER, HeaderValue::from(wait.as_secs().max(1)));
    }
    if failure.code.status == 401 {
        headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    response
}
