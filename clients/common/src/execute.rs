//! Executes calls, and records each call in a client span and a metric.
//!
//! Both cover the time until the response head is received; `fault` handles errors in the response body. If the process
//! has neither a tracer nor a metrics recorder, nothing is recorded, and headers are sent unchanged.

use std::time::Instant;

use metrics::{Unit, describe_histogram, histogram};
use opentelemetry::trace::{SpanBuilder, SpanKind, Status, TraceContextExt, Tracer};
use opentelemetry::{Context, KeyValue, global};
use opentelemetry_http::{HeaderExtractor, HeaderInjector};
use reqwest::{Client, Request, Response};

const DURATION: &str = "http_client_request_duration_seconds";

/// Registers the description of the call metric with the installed recorder.
pub fn describe_metrics() {
    describe_histogram!(
        DURATION,
        Unit::Seconds,
        "Duration of calls to other services until the response head, by service, operation and outcome: HTTP status, \
         not_sent, timed_out, broken or given_up"
    );
}

/// Hook that generated clients use to execute requests.
pub async fn execute(
    client: &Client,
    service: &'static str,
    operation: &'static str,
    mut request: Request,
) -> reqwest::Result<Response> {
    let mut in_flight = InFlight::start(service, operation, &mut request);
    let response = client.execute(request).await;
    in_flight.record(&response);
    response
}

/// Request in flight. When dropped, ends the span and records the duration.
struct InFlight {
    service: &'static str,
    operation: &'static str,
    started: Instant,
    context: Context,
    /// HTTP status, or the reason for a missing response. Initially `given_up`, which remains if the caller drops the call.
    outcome: String,
}

impl InFlight {
    fn start(service: &'static str, operation: &'static str, request: &mut Request) -> Self {
        let parent =
            global::get_text_map_propagator(|propagator| propagator.extract(&HeaderExtractor(request.headers())));
        let span = SpanBuilder::from_name(operation).with_kind(SpanKind::Client).with_attributes([
            KeyValue::new("http.request.method", request.method().as_str().to_owned()),
            KeyValue::new("server.address", request.url().host_str().unwrap_or_default().to_owned()),
            KeyValue::new("server.port", request.url().port_or_known_default().map_or(0, i64::from)),
        ]);
        let context = parent.with_span(global::tracer("outbound").build_with_context(span, &parent));
        global::get_text_map_propagator(|propagator| {
            propagator.inject_context(&context, &mut HeaderInjector(request.headers_mut()));
        });
        Self { service, operation, started: Instant::now(), context, outcome: "given_up".to_owned() }
    }

    fn record(&mut self, response: &reqwest::Result<Response>) {
        self.outcome = match response {
            Ok(response) => {
                let status = response.status().as_u16();
                self.context.span().set_attribute(KeyValue::new("http.response.status_code", i64::from(status)));
                status.to_string()
            }
            Err(error) if error.is_connect() => "not_sent".to_owned(),
            Err(error) if error.is_timeout() => "timed_out".to_owned(),
            Err(_) => "broken".to_owned(),
        };
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        let outcome = std::mem::take(&mut self.outcome);
        let span = self.context.span();
        // In client spans, 4xx counts as an error (OpenTelemetry semantic conventions for HTTP).
        if !outcome.starts_with(['1', '2', '3']) {
            span.set_attribute(KeyValue::new("error.type", outcome.clone()));
            span.set_status(Status::error(""));
        }
        span.end();
        let labels =
            [("service", self.service.to_owned()), ("operation", self.operation.to_owned()), ("outcome", outcome)];
        histogram!(DURATION, &labels).record(self.started.elapsed());
    }
}
