//! Distributed tracing (W3C Trace Context). Every request to an operation is one span, in the caller's trace or a new
//! one.
//!
//! If `OTEL_EXPORTER_OTLP_ENDPOINT` is set, a background thread exports spans to that collector (OTLP over HTTP,
//! protobuf). A collector that hangs delays no request; spans that it does not accept are dropped. The other standard
//! variables apply too, or `variables` refuses them. Without the setting, a span only provides ids for the log and for
//! upstream requests.
//!
//! Spans are not built by `tracing-opentelemetry`, because ids and headers are needed without an exporter too, and
//! because its layer exports every field of a `tracing` span, including those that are meant for the log alone.

mod variables;

use std::env;
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
use crate::settings::Env;

/// Base URL of the collector.
const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
/// The collector's complete URL for spans, which takes precedence.
const TRACES_ENDPOINT: &str = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT";
/// Maximum time to export the remaining spans at shutdown.
pub(crate) const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(1);
/// Maximum time to export spans before a function returns its response.
const FLUSH_TIMEOUT: Duration = Duration::from_millis(200);

/// Name of the instrumentation scope.
const SCOPE: &str = "service";

/// Span exporter.
pub(crate) struct Traces {
    provider: SdkTracerProvider,
    tracer: SdkTracer,
}

impl Traces {
    /// Creates the exporter; `None` without a collector.
    pub(crate) fn from_env(service: &'static str, env: &Env<'_>) -> Result<Option<Self>, RunError> {
        let endpoint = match (env.get(TRACES_ENDPOINT), env.get(ENDPOINT)) {
            (Some(_), _) => env.base_url(TRACES_ENDPOINT)?,
            (None, Some(_)) => format!("{}/v1/traces", env.base_url(ENDPOINT)?),
            (None, None) => return Ok(None),
        };
        variables::check(env)?;
        if !variables::is_enabled(env) {
            return Ok(None);
        }
        let exporter = SpanExporter::builder().with_http().with_protocol(Protocol::HttpBinary).with_endpoint(endpoint);
        let exporter = exporter.build().map_err(|error| RunError::Start(Box::new(error)))?;
        let resource = resource(service);
        let provider = SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource).build();
        // The clients of other services use both globals.
        global::set_tracer_provider(provider.clone());
        global::set_text_map_propagator(TraceContextPropagator::new());
        let tracer = provider.tracer(SCOPE);
        Ok(Some(Self { provider, tracer }))
    }

    /// Exports all finished spans.
    pub(crate) async fn flush(&self) {
        let provider = self.provider.clone();
        let _ = timeout(FLUSH_TIMEOUT, spawn_blocking(move || provider.force_flush())).await;
    }

    /// Exports all finished spans and stops the exporter.
    pub(crate) async fn shut_down(&self) {
        let provider = self.provider.clone();
        let shut_down = spawn_blocking(move || provider.shutdown_with_timeout(SHUTDOWN_TIMEOUT / 2));
        let _ = timeout(SHUTDOWN_TIMEOUT, shut_down).await;
    }
}

/// Returns the resource of this service. `OTEL_SERVICE_NAME` and `OTEL_RESOURCE_ATTRIBUTES` take precedence.
fn resource(service: &'static str) -> Resource {
    let is_named = env::var_os("OTEL_SERVICE_NAME").is_some_and(|name| !name.is_empty());
    let builder = Resource::builder();
    if is_named { builder.build() } else { builder.with_service_name(service).build() }
}

/// The span of one request.
pub(crate) struct RequestSpan {
    context: Context,
}

impl RequestSpan {
    /// Starts a child span of the one in the headers, or a new trace.
    pub(crate) fn start(
        traces: Option<&Traces>,
        operation: &str,
        method: &'static str,
        route: Option<String>,
        headers: &HeaderMap,
    ) -> Self {
        let parent = TraceContextPropagator::new().extract_with_context(&Context::new(), &HeaderExtractor(headers));
        let context = match traces {
            Some(Traces { tracer, .. }) => {
                let route = route.map(|route| KeyValue::new("http.route", route));
                let attributes = [KeyValue::new("http.request.method", method)].into_iter().chain(route);
                let span = SpanBuilder::from_name(operation.to_owned());
                let span = span.with_kind(SpanKind::Server).with_attributes(attributes);
                parent.with_span(tracer.build_with_context(span, &parent))
            }
            None => parent.with_remote_span_context(new_span_context(parent.span().span_context())),
        };
        Self { context }
    }

    /// Returns the trace id as 32 hexadecimal digits.
    pub(crate) fn trace_id(&self) -> String {
        self.context.span().span_context().trace_id().to_string()
    }

    /// Returns the `traceparent` and `tracestate` headers for outgoing requests within this span. The latter may be empty.
    pub(crate) fn headers(&self) -> (String, String) {
        let span = self.context.span();
        let context = span.span_context();
        let (trace_id, span_id, flags) = (context.trace_id(), context.span_id(), context.trace_flags().to_u8());
        (format!("00-{trace_id}-{span_id}-{flags:02x}"), context.trace_state().header())
    }

    /// Ends the span with the response's status and code. Only a 5xx status marks the span as an error.
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

/// Generates the ids of a span that is not exported. A new trace is marked as sampled, so that upstream services may
/// export their spans.
fn new_span_context(parent: &SpanContext) -> SpanContext {
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

    fn headers_for(traceparent: &'static str) -> (String, String) {
        let mut headers = HeaderMap::new();
        headers.insert("traceparent", HeaderValue::from_static(traceparent));
        headers.insert("tracestate", HeaderValue::from_static("vendor=1"));
        RequestSpan::start(None, "thing_view", "GET", None, &headers).headers()
    }

    #[test]
    fn a_valid_trace_continues_with_a_new_span() {
        let (passed_on, state) = headers_for("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00");
        assert_eq!(state, "vendor=1");
        let span = passed_on.strip_prefix("00-4bf92f3577b34da6a3ce929d0e0e4736-").unwrap();
        assert!(span.len() == 19 && span.ends_with("-00") && span != "00f067aa0ba902b7-00", "{span}");
    }

    #[test]
    fn an_invalid_traceparent_starts_a_new_trace() {
        for bad in ["", "00-00000000000000000000000000000000-00f067aa0ba902b7-01", "00-x-y-01"] {
            let ((one, state), (other, _)) = (headers_for(bad), headers_for(bad));
            assert!(one.len() == 55 && one.ends_with("-01") && one != other, "{bad}: {one}");
            assert_eq!(state, "");
        }
    }
}
