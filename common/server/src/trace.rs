//! Traces (W3C Trace Context). Every request is a span of its own, in the trace that its caller names or in a new one.
//!
//! Where `OTEL_EXPORTER_OTLP_ENDPOINT` is set, spans go to that collector (OTLP over HTTP, protobuf), from a thread of their
//! own: a collector that hangs delays nobody, and what it does not take is dropped. The other standard variables count, too.
//! Elsewhere a span is only a name, for the log and for the services behind. What is told of a request is in `call`.

use std::env;
use std::sync::OnceLock;
use std::time::Duration;

use http::HeaderMap;
use opentelemetry::propagation::TextMapPropagator;
use opentelemetry::trace::{
    SpanBuilder, SpanContext, SpanKind, Status, TraceContextExt, TraceFlags, Tracer, TracerProvider,
};
use opentelemetry::{Context, KeyValue, global};
use opentelemetry_http::HeaderExtractor;
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{IdGenerator, RandomIdGenerator, SdkTracer, SdkTracerProvider};
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use crate::RunError;
use crate::routes::Route;
use crate::settings::Env;

const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
/// How long the end of the process may be held up by spans that nobody takes.
const LAST_FLUSH: Duration = Duration::from_millis(500);
/// The same, for an answer of a function.
const FLUSH: Duration = Duration::from_millis(200);

/// Set where spans are sent somewhere.
static EXPORTING: OnceLock<Exporting> = OnceLock::new();

/// Names the part of the program that makes the spans.
const SCOPE: &str = "service";

struct Exporting {
    provider: SdkTracerProvider,
    tracer: SdkTracer,
}

/// From now on spans are sent where the environment says, if it says so.
///
/// # Errors
///
/// Where the endpoint is no URL, or no TLS can be set up on this machine.
pub fn init_traces(name: &'static str, env: &Env<'_>) -> Result<(), RunError> {
    if env.get(ENDPOINT).is_none() {
        return Ok(());
    }
    let endpoint = format!("{}/v1/traces", env.base_url(ENDPOINT)?);
    let exporter = SpanExporter::builder().with_http().with_protocol(Protocol::HttpBinary).with_endpoint(endpoint);
    let exporter = exporter.build().map_err(|error| RunError::Start(Box::new(error)))?;
    let provider = SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource(name)).build();
    // The clients of other services find both there.
    global::set_tracer_provider(provider.clone());
    global::set_text_map_propagator(TraceContextPropagator::new());
    let tracer = provider.tracer(SCOPE);
    let _ = EXPORTING.set(Exporting { provider, tracer });
    Ok(())
}

/// `OTEL_SERVICE_NAME` and `OTEL_RESOURCE_ATTRIBUTES` say something else.
fn resource(name: &'static str) -> Resource {
    let is_named = env::var_os("OTEL_SERVICE_NAME").is_some_and(|name| !name.is_empty());
    let builder = Resource::builder();
    if is_named { builder.build() } else { builder.with_service_name(name).build() }
}

/// Sends what was not sent yet, for a process that may be frozen from now on. Takes at most 200 ms, and no time where nothing
/// is sent at all.
pub async fn flush_traces() {
    if let Some(Exporting { provider, .. }) = EXPORTING.get() {
        let _ = timeout(FLUSH, spawn_blocking(|| provider.force_flush())).await;
    }
}

/// Sends what was not sent yet, for a process that ends.
pub(crate) async fn end() {
    if let Some(Exporting { provider, .. }) = EXPORTING.get() {
        let _ = timeout(2 * LAST_FLUSH, spawn_blocking(|| provider.shutdown_with_timeout(LAST_FLUSH))).await;
    }
}

/// One request as a span.
pub(crate) struct RequestSpan {
    context: Context,
}

impl RequestSpan {
    /// Below the span that the headers name, or the first of a new trace.
    pub(crate) fn begin(operation: &str, route: Route, headers: &HeaderMap) -> Self {
        let parent = TraceContextPropagator::new().extract_with_context(&Context::new(), &HeaderExtractor(headers));
        let context = match EXPORTING.get() {
            Some(Exporting { tracer, .. }) => {
                let attributes =
                    [KeyValue::new("http.request.method", route.method), KeyValue::new("http.route", route.template)];
                let span = SpanBuilder::from_name(operation.to_owned());
                let span = span.with_kind(SpanKind::Server).with_attributes(attributes);
                parent.with_span(tracer.build_with_context(span, &parent))
            }
            None => parent.with_remote_span_context(name_below(parent.span().span_context())),
        };
        Self { context }
    }

    /// The trace's id, as 32 hexadecimal digits.
    pub(crate) fn trace_id(&self) -> String {
        self.context.span().span_context().trace_id().to_string()
    }

    /// The headers `traceparent` and `tracestate` for calls that are made meanwhile. The latter may be empty.
    pub(crate) fn headers(&self) -> (String, String) {
        let span = self.context.span();
        let context = span.span_context();
        let (trace, own, flags) = (context.trace_id(), context.span_id(), context.trace_flags().to_u8());
        (format!("00-{trace}-{own}-{flags:02x}"), context.trace_state().header())
    }

    /// What came of it, and under which code. A caller's mistake is no failure of the server.
    pub(crate) fn end(&self, status: u16, outcome: &'static str) {
        let span = self.context.span();
        span.set_attribute(KeyValue::new("http.response.status_code", i64::from(status)));
        if status >= 500 {
            span.set_attribute(KeyValue::new("error.type", outcome));
            span.set_status(Status::error(""));
        }
        span.end();
    }
}

/// The name of a span that nobody collects. In a trace of ours it counts as collected, so that services behind may do so.
fn name_below(parent: &SpanContext) -> SpanContext {
    let (ids, state) = (RandomIdGenerator::default(), parent.trace_state().clone());
    let (trace, flags) = if parent.is_valid() {
        (parent.trace_id(), parent.trace_flags())
    } else {
        (ids.new_trace_id(), TraceFlags::SAMPLED)
    };
    SpanContext::new(trace, ids.new_span_id(), flags, false, state)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn below(traceparent: &'static str) -> (String, String) {
        let mut headers = HeaderMap::new();
        headers.insert("traceparent", HeaderValue::from_static(traceparent));
        headers.insert("tracestate", HeaderValue::from_static("vendor=1"));
        RequestSpan::begin("thing_view", crate::routes::UNKNOWN, &headers).headers()
    }

    #[test]
    fn a_trace_goes_on_under_a_span_of_our_own() {
        let (passed_on, state) = below("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00");
        assert_eq!(state, "vendor=1");
        let own = passed_on.strip_prefix("00-4bf92f3577b34da6a3ce929d0e0e4736-").unwrap();
        assert!(own.len() == 19 && own.ends_with("-00") && own != "00f067aa0ba902b7-00", "{own}");
    }

    #[test]
    fn what_is_no_trace_is_none_that_goes_on() {
        for bad in ["", "00-00000000000000000000000000000000-00f067aa0ba902b7-01", "00-x-y-01"] {
            let ((one, state), (other, _)) = (below(bad), below(bad));
            assert!(one.len() == 55 && one.ends_with("-01") && one != other, "{bad}: {one}");
            assert_eq!(state, "");
        }
    }
}
