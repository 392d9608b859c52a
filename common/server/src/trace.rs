//! Traces (W3C Trace Context). Every request is a span of its own, in the trace that its caller names or in a new one.
//!
//! Where `OTEL_EXPORTER_OTLP_ENDPOINT` is set, spans go to that collector (OTLP over HTTP, protobuf) from a thread of their
//! own: a collector that hangs delays no request, and spans that it does not take are dropped. The other standard variables
//! apply, too. Without it a span is only an id, for the log and for the services behind.
//!
//! Spans are built here and not by `tracing-opentelemetry`: ids and headers are needed without an exporter as well, and its
//! layer exports every field of a `tracing` span, so the span of the log could not be the exported one.

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

const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
/// Maximum delay of the process's end by spans that the collector does not take.
const SHUTDOWN_WITHIN: Duration = Duration::from_millis(500);
/// Maximum delay of a function's answer by the same.
const FLUSH_WITHIN: Duration = Duration::from_millis(200);

/// Name of the instrumentation scope.
const SCOPE: &str = "service";

/// Exporter of spans.
pub(crate) struct Traces {
    provider: SdkTracerProvider,
    tracer: SdkTracer,
}

impl Traces {
    /// None where the environment names no collector.
    pub(crate) fn from_env(service: &'static str, env: &Env<'_>) -> Result<Option<Self>, RunError> {
        if env.get(ENDPOINT).is_none() {
            return Ok(None);
        }
        let endpoint = format!("{}/v1/traces", env.base_url(ENDPOINT)?);
        let exporter = SpanExporter::builder().with_http().with_protocol(Protocol::HttpBinary).with_endpoint(endpoint);
        let exporter = exporter.build().map_err(|error| RunError::Start(Box::new(error)))?;
        let resource = resource(service);
        let provider = SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource).build();
        // The clients of other services find both there.
        global::set_tracer_provider(provider.clone());
        global::set_text_map_propagator(TraceContextPropagator::new());
        let tracer = provider.tracer(SCOPE);
        Ok(Some(Self { provider, tracer }))
    }

    /// Exports all finished spans.
    pub(crate) async fn flush(&self) {
        let provider = self.provider.clone();
        let _ = timeout(FLUSH_WITHIN, spawn_blocking(move || provider.force_flush())).await;
    }

    /// Exports all finished spans, and takes no more.
    pub(crate) async fn shut_down(&self) {
        let provider = self.provider.clone();
        let shut_down = spawn_blocking(move || provider.shutdown_with_timeout(SHUTDOWN_WITHIN));
        let _ = timeout(2 * SHUTDOWN_WITHIN, shut_down).await;
    }
}

/// `OTEL_SERVICE_NAME` and `OTEL_RESOURCE_ATTRIBUTES` take precedence.
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
    /// Begins below the span that the headers name, or in a new trace.
    pub(crate) fn begin(
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
            None => parent.with_remote_span_context(unexported(parent.span().span_context())),
        };
        Self { context }
    }

    /// The trace's id, as 32 hexadecimal digits.
    pub(crate) fn trace_id(&self) -> String {
        self.context.span().span_context().trace_id().to_string()
    }

    /// The headers `traceparent` and `tracestate` for calls below this span. The latter may be empty.
    pub(crate) fn headers(&self) -> (String, String) {
        let span = self.context.span();
        let context = span.span_context();
        let (trace, own, flags) = (context.trace_id(), context.span_id(), context.trace_flags().to_u8());
        (format!("00-{trace}-{own}-{flags:02x}"), context.trace_state().header())
    }

    /// Ends the span with the response's status and code. A caller's mistake is no error of the server.
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

/// Ids of a span that is not exported. A new trace counts as sampled, so that services behind may export theirs.
fn unexported(parent: &SpanContext) -> SpanContext {
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
        RequestSpan::begin(None, "thing_view", "GET", None, &headers).headers()
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
