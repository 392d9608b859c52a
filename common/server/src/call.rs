//! The frame around every request: its ids, its one log line, and its answer, whatever happens inside.

use std::panic::AssertUnwindSafe;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use common_contract::{CORRELATION_ID, ErrorCodes, Failure};
use common_http::{Answer, ErrorBody};
use dropshot::{Body, HttpResponse, RequestContext, ServerContext};
use futures::FutureExt;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use tracing::Instrument;

use crate::metrics::{self, InFlight};
use crate::routes::{self, Route};
use crate::server;
use crate::trace::RequestSpan;

/// The longest correlation id that is taken over.
const MAX_CORRELATION_ID: usize = 128;

/// The header by which AWS names the trace that a request is part of, in a form of its own.
const AWS_TRACE_ID: &str = "x-amzn-trace-id";

/// One request, as far as it concerns every operation alike.
pub struct Call {
    operation: String,
    route: Route,
    request_id: String,
    correlation_id: OnceLock<String>,
    headers: HeaderMap,
    started: Instant,
    principal: OnceLock<String>,
    span: RequestSpan,
    _in_flight: InFlight,
}

impl Call {
    /// The call that dropshot is about to hand to an operation.
    pub fn new<C: ServerContext>(rqctx: &RequestContext<C>) -> Self {
        Self::from_parts(&rqctx.endpoint.operation_id, &rqctx.request_id, rqctx.request.headers().clone())
    }

    /// A call that came another way.
    pub fn from_parts(operation: &str, request_id: &str, headers: HeaderMap) -> Self {
        let route = routes::of(operation);
        Self {
            span: RequestSpan::begin(operation, route, &headers),
            operation: operation.to_owned(),
            route,
            request_id: request_id.to_owned(),
            correlation_id: OnceLock::new(),
            headers,
            started: Instant::now(),
            principal: OnceLock::new(),
            _in_flight: InFlight::begin(),
        }
    }

    /// Names this very request.
    pub fn request_id(&self) -> &str {
        &self.request_id
    }

    /// Names the piece of work that the request is part of: the caller's id, or this request's where the caller gave
    /// none that can be passed on.
    pub fn correlation_id(&self) -> &str {
        self.correlation_id.get_or_init(|| {
            let given = self.headers.get(CORRELATION_ID).and_then(|value| value.to_str().ok());
            let usable = given.filter(|id| is_correlation_id(id));
            usable.unwrap_or(&self.request_id).to_owned()
        })
    }

    /// Takes another correlation id over, before anybody asked for one.
    pub fn correlate(&self, id: &str) {
        if is_correlation_id(id) {
            let _ = self.correlation_id.set(id.to_owned());
        }
    }

    /// The headers `traceparent` and `tracestate` (W3C Trace Context) for calls that are part of this one. The latter may
    /// be empty.
    pub fn trace(&self) -> (String, String) {
        self.span.headers()
    }

    pub(crate) fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// Records who turned out to be calling.
    pub(crate) fn made_by(&self, principal: String) {
        let _ = self.principal.set(principal);
    }

    /// Carries the work out and answers with what came of it, in this service's error shape. Never fails: the error
    /// type only tells dropshot what the document says.
    pub async fn answer<R, C>(
        &self,
        work: impl Future<Output = Result<Answer<R>, Failure>>,
    ) -> Result<Answer<R>, ErrorBody<C>>
    where
        R: HttpResponse,
        C: ErrorCodes,
    {
        Ok(self.answer_or(work, |failure| ErrorBody::<C>::new(&self.request_id, failure)).await)
    }

    /// The same, in an error shape of the caller's choice.
    pub async fn answer_or<R: HttpResponse, E: serde::Serialize>(
        &self,
        work: impl Future<Output = Result<Answer<R>, Failure>>,
        error_body: impl FnOnce(&Failure) -> E,
    ) -> Answer<R> {
        let outcome = async {
            let outcome =
                AssertUnwindSafe(work).catch_unwind().await.unwrap_or_else(|_| Err(Failure::internal("panicked")));
            self.ended(
                outcome.as_ref().map_or_else(|failure| failure.code.status, |answer| answer.status_code().as_u16()),
                outcome.as_ref().err(),
            );
            outcome
        }
        .instrument(self.span())
        .await;
        let response = self.correlated(match outcome {
            Ok(answer) => answer.into_response(),
            Err(failure) => error_response(&failure, &error_body(&failure)),
        });
        #[cfg(feature = "testing")]
        let response = crate::testing::held_to_document(&self.operation, response).await;
        Answer::new(response)
    }

    /// Answers with what was there before the request came.
    pub(crate) fn deliver(&self, response: http::Response<Body>) -> http::Response<Body> {
        self.span().in_scope(|| self.ended(response.status().as_u16(), None));
        self.correlated(response)
    }

    fn span(&self) -> tracing::Span {
        let aws_trace_id = self.headers.get(AWS_TRACE_ID).and_then(|value| value.to_str().ok());
        let (operation, request_id, trace_id) = (&self.operation, &self.request_id, self.span.trace_id());
        tracing::info_span!("request", %operation, %request_id, trace_id, aws_trace_id)
    }

    fn correlated(&self, mut response: http::Response<Body>) -> http::Response<Body> {
        if let Ok(id) = HeaderValue::from_str(self.correlation_id()) {
            response.headers_mut().insert(CORRELATION_ID, id);
        }
        response
    }

    /// What there is to tell of a request that was carried out: to the log, to whoever counts and to whoever traces.
    fn ended(&self, status: u16, failure: Option<&Failure>) {
        let (took, outcome) = (self.started.elapsed(), failure.map_or("ok", |failure| failure.code.name));
        metrics::answered(self.route, status, took);
        self.span.end(status, outcome);
        self.log(status, outcome, took, failure);
    }

    /// One line per request. Nothing personal: no path parameters, no query, no body.
    fn log(&self, status: u16, outcome: &str, took: Duration, failure: Option<&Failure>) {
        let Route { method, template: route } = self.route;
        let principal = self.principal.get().map_or("-", String::as_str);
        let latency_us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let correlation_id = self.correlation_id();
        let cause = failure.and_then(|failure| failure.source.as_deref()).map(chain).unwrap_or_default();
        let probe = matches!(self.operation.as_str(), "health_view" | "readiness_view");
        // Whoever was told to stop is not ready, as it should be.
        if probe && (status < 500 || server::is_stopping()) {
            tracing::debug!(method, route, status, latency_us, outcome, "request");
        } else if status >= 500 {
            tracing::error!(
                method,
                route,
                status,
                latency_us,
                principal,
                correlation_id,
                outcome,
                cause,
                "request failed"
            );
        } else {
            tracing::info!(method, route, status, latency_us, principal, correlation_id, outcome, cause, "request");
        }
    }
}

/// 1 to 128 visible ASCII characters: what every header and every log can carry.
fn is_correlation_id(id: &str) -> bool {
    (1..=MAX_CORRELATION_ID).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic())
}

/// An error and everything beneath it, in one line.
fn chain(error: &(dyn std::error::Error + Send + Sync)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}

fn error_response(failure: &Failure, body: &impl serde::Serialize) -> http::Response<Body> {
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
