//! Traces: one trace covers the whole saga in all three services, and an unavailable collector has no effect.

use std::collections::BTreeSet;
use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use common_server::Runtime;
use common_server::settings::Env;
use common_server::testing::Program;
use flate2::read::GzDecoder;
use nix::sys::signal::Signal;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as AnyValue;
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use prost::Message;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use crate::entry_points::example;
use crate::fault_proxy::{read_request, response};
use crate::harness::{Harness, PATH, Reply, SERVICE_TOKEN, order_body};
use crate::instance::{Instance, signal};
use crate::services::{System, lenient_policy};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const CALLER: &str = "00f067aa0ba902b7";
const MAX_WAIT: Duration = Duration::from_secs(60);

/// Fake OTLP collector.
struct Collector {
    endpoint: String,
    spans: UnboundedReceiver<Span>,
    received: Vec<Span>,
    /// Whether a compressed export has arrived.
    is_compressed: Arc<AtomicBool>,
}

impl Collector {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let (sender, spans) = unbounded_channel();
        let is_compressed = Arc::<AtomicBool>::default();
        let saw_compressed = Arc::clone(&is_compressed);
        tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                let Some(request) = read_request(&mut client).await else { continue };
                assert!(request.starts_with(b"POST /v1/traces HTTP/1.1\r\n"));
                let body = request.windows(4).position(|four| four == b"\r\n\r\n").unwrap() + 4;
                let (head, body) = request.split_at(body);
                let mut decompressed = Vec::new();
                let body = if String::from_utf8_lossy(head).to_lowercase().contains("content-encoding: gzip") {
                    saw_compressed.store(true, Ordering::Relaxed);
                    GzDecoder::new(body).read_to_end(&mut decompressed).unwrap();
                    &decompressed
                } else {
                    body
                };
                let export = ExportTraceServiceRequest::decode(body).unwrap();
                let scopes = export.resource_spans.into_iter().flat_map(|resource| resource.scope_spans);
                for span in scopes.flat_map(|scope| scope.spans) {
                    // The receiver may already be dropped at the end of a test.
                    let _ = sender.send(span);
                }
                client.write_all(&response(200, "application/x-protobuf", "")).await.unwrap();
            }
        });
        Self { endpoint, spans, received: Vec::new(), is_compressed }
    }

    /// Waits until this number of spans of one trace has been received. Keeps spans of other traces for later calls.
    async fn trace(&mut self, id: &str, count: usize) -> Vec<Span> {
        loop {
            let found = Vec::from_iter(self.received.iter().filter(|span| hex(&span.trace_id) == id).cloned());
            if found.len() >= count {
                return found;
            }
            let names = || found.iter().map(|span| &span.name).collect::<Vec<_>>();
            let next = tokio::time::timeout(MAX_WAIT, self.spans.recv()).await;
            self.received.push(next.unwrap_or_else(|_| panic!("received only {:?}", names())).unwrap());
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn attribute(span: &Span, name: &str) -> Option<String> {
    let found = span.attributes.iter().find(|attribute| attribute.key == name)?;
    match found.value.clone()?.value? {
        AnyValue::StringValue(text) => Some(text),
        AnyValue::IntValue(number) => Some(number.to_string()),
        other => panic!("{name} is {other:?}"),
    }
}

/// Starts the program with these upstream services and this collector.
async fn orchestrator(customers: String, orders: String, collector: &str) -> Program {
    orchestrator_with(customers, orders, collector, None).await
}

async fn orchestrator_with(
    customers: String,
    orders: String,
    collector: &str,
    setting: Option<(&'static str, &str)>,
) -> Program {
    let settings = [
        ("CUSTOMERS_API_BASE", customers),
        ("ORDERS_API_BASE", orders),
        ("SERVICE_TOKEN", SERVICE_TOKEN.to_owned()),
        ("JWT_SECRET", "a secret for tests only".to_owned()),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", collector.to_owned()),
    ];
    let more = setting.map(|(name, value)| (name, value.to_owned()));
    Program::start(env!("CARGO_BIN_EXE_orchestrator"), settings.into_iter().chain(more)).await
}

async fn send(program: &Program, traceparent: &str) -> Reply {
    let request = reqwest::Client::new().post(format!("{}{PATH}", program.base_url)).bearer_auth(SERVICE_TOKEN);
    let request =
        request.header("traceparent", traceparent).header("tracestate", "vendor=1").json(&order_body("traced"));
    Reply::send(request).await
}

#[tokio::test(flavor = "multi_thread")]
async fn one_trace_covers_the_whole_saga() {
    let mut collector = Collector::start().await;
    let endpoint = collector.endpoint.clone();
    // The customers and orders services run in this process, together with the services of other tests, whose spans
    // belong to other traces.
    let env = Env::new(|name| (name == "OTEL_EXPORTER_OTLP_ENDPOINT").then(|| endpoint.clone()));
    let runtime = Runtime::from_env("services", &env).unwrap();
    let system = System::with_runtimes(lenient_policy(), runtime.clone(), runtime).await;
    let program = orchestrator(system.customers.base_url(), system.orders.base_url(), &endpoint).await;
    let reply = send(&program, &format!("00-{TRACE}-{CALLER}-01")).await;
    reply.assert_succeeded();
    // One span for the request, a client span and a server span for each of three upstream calls, and the spans of the
    // customer check by the orders service.
    let spans = collector.trace(TRACE, 1 + 2 * 3 + 2).await;
    let root = spans.iter().find(|span| span.name == "order_create_and_confirm").unwrap();
    assert_eq!((hex(&root.parent_span_id), root.trace_state.as_str()), (CALLER.to_owned(), "vendor=1"));
    assert_eq!(root.kind(), SpanKind::Server);
    let attributes =
        ["http.request.method", "http.route", "http.response.status_code"].map(|name| attribute(root, name));
    assert_eq!(attributes, ["POST", PATH, "201"].map(|value| Some(value.to_owned())));
    let parent = |span: &Span| spans.iter().find(|other| other.span_id == span.parent_span_id).unwrap().clone();
    let served = spans.iter().filter(|span| span.kind() == SpanKind::Server && span.name != root.name);
    let mut hops: Vec<_> = served
        .map(|served| {
            let sent = parent(served);
            assert_eq!((&sent.name, sent.kind()), (&served.name, SpanKind::Client));
            [parent(&sent).name, sent.name]
        })
        .collect();
    hops.sort_unstable();
    let saga = "order_create_and_confirm";
    let expected = [
        ["order_create", "internal_customer_view"],
        [saga, "internal_customer_view"],
        [saga, "order_confirm"],
        [saga, "order_create"],
    ];
    assert_eq!(hops, expected);
    let everything = format!("{spans:?}");
    for personal in ["ops@acme.com", "ACME", SERVICE_TOKEN, "traced"] {
        assert!(!everything.contains(personal), "{personal}");
    }
    let line = program.line(|line| line["span"]["operation"] == saga).await;
    assert_eq!((&line["span"]["trace_id"], &line["operation"]), (&TRACE.into(), &saga.into()), "{line}");
}

#[tokio::test(flavor = "multi_thread")]
async fn missing_or_malformed_traceparent_starts_a_new_trace() {
    let mut collector = Collector::start().await;
    let harness = Harness::new().await;
    let (customers, orders) = (harness.customers.base_url(), harness.orders.base_url());
    let program = orchestrator(customers, orders, &collector.endpoint).await;
    let mut ids = BTreeSet::new();
    for malformed in
        ["", "00-4bf92f3577b34da6a3ce929d0e0e4736", "00-00000000000000000000000000000000-00f067aa0ba902b7-01"]
    {
        let reply = send(&program, malformed).await;
        reply.assert_succeeded();
        let request = reply.headers["x-request-id"].to_str().unwrap();
        let line = program.line(|line| line["span"]["request_id"] == request).await;
        ids.insert(line["span"]["trace_id"].as_str().unwrap().to_owned());
    }
    assert_eq!(ids.len(), 3, "{ids:?}");
    for id in ids {
        let spans = collector.trace(&id, 1).await;
        assert_eq!(id.len(), 32);
        assert!(!spans.is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn spans_are_compressed_if_requested() {
    let mut collector = Collector::start().await;
    let harness = Harness::new().await;
    let (customers, orders) = (harness.customers.base_url(), harness.orders.base_url());
    let gzip = Some(("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip"));
    let program = orchestrator_with(customers, orders, &collector.endpoint, gzip).await;
    send(&program, &format!("00-{TRACE}-{CALLER}-01")).await.assert_succeeded();
    // Three calls, and the request itself.
    assert_eq!(collector.trace(TRACE, 4).await.len(), 4);
    assert!(collector.is_compressed.load(Ordering::Relaxed));
}

/// Listens without responding, as a hanging collector.
async fn silent_collector() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    (listener, endpoint)
}

#[tokio::test(flavor = "multi_thread")]
async fn unavailable_collector_does_not_delay_requests_or_shutdown() {
    let harness = Harness::new().await;
    let (_listener, silent) = silent_collector().await;
    for endpoint in [silent.as_str(), "http://127.0.0.1:1"] {
        let (customers, orders) = (harness.customers.base_url(), harness.orders.base_url());
        let mut program = orchestrator(customers, orders, endpoint).await;
        send(&program, "").await.assert_succeeded();
        signal(&program.process, Signal::SIGTERM);
        // Without requests in flight the server exits long before their time limit of 32 s.
        let exited = tokio::time::timeout(Duration::from_secs(5), program.process.wait()).await;
        assert_eq!(exited.expect("the server exits in time").unwrap().code(), Some(0), "{endpoint}");
    }
}

#[tokio::test]
async fn spans_are_exported_before_the_invocation_response() {
    let mut collector = Collector::start().await;
    let harness = Harness::new().await;
    let (customers, orders) = (harness.customers.base_url(), harness.orders.base_url());
    let mut function =
        Instance::start_with(customers, orders, &[("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.endpoint)]).await;
    let (status, _) = function.invoke(&example("function-url"), Duration::from_secs(28)).await;
    function.freeze();
    assert_eq!(status, 201);
    let span = async {
        loop {
            let span = collector.spans.recv().await.unwrap();
            if span.name == "order_create_and_confirm" {
                return span;
            }
        }
    };
    let span = tokio::time::timeout(Duration::from_secs(5), span)
        .await
        .expect("the span was not exported before the response");
    assert_eq!(attribute(&span, "http.response.status_code").as_deref(), Some("201"));
}
