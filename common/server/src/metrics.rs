//! Metrics of this process for Prometheus: `GET /metrics` on a listener of its own, so that the public one never has it.
//!
//! All metrics are recorded through the crate `metrics`, which does nothing without a listener. Here are the listener and
//! the metrics of requests and of the log; the others are recorded where they arise.

use std::net::SocketAddr;
use std::time::Duration;

use dropshot::{
    ApiDescription, ApiEndpoint, ApiEndpointVersions, Body, ConfigDropshot, HttpError, HttpServer, RequestContext,
    ServerBuilder,
};
use http::{Method, Response, header};
use metrics::{Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use tokio::time::sleep;

use crate::runtime::Runtime;
use crate::telemetry::LogWriter;
use crate::{RunError, telemetry};

/// The text format of Prometheus, version 0.0.4.
const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";
/// In seconds: from a read of one row to the longest saga, with the limits of architecture in between: 1.6 s for a service,
/// 10 s for an operator.
const BUCKETS: [f64; 14] = [0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 1.6, 2.5, 5.0, 10.0, 30.0];
/// Measured times are kept one by one until they are sorted into buckets: at a scrape, or else after this time.
const UPKEEP: Duration = Duration::from_secs(5);

const DURATION: &str = "http_server_request_duration_seconds";
const IN_FLIGHT: &str = "http_server_requests_in_flight";
const LOG_LINES_DROPPED: &str = "log_lines_dropped_total";

/// What a scrape needs.
struct Scrape {
    recorded: PrometheusHandle,
    runtime: Runtime,
}

/// The server of `GET /metrics`.
pub(crate) struct MetricsServer(HttpServer<Scrape>);

impl MetricsServer {
    /// Starts to record, and to answer on this address until it is dropped.
    pub(crate) fn start(address: SocketAddr, runtime: Runtime) -> Result<Self, RunError> {
        let recorder = PrometheusBuilder::new().set_buckets(&BUCKETS).map_err(|error| RunError::Start(error.into()))?;
        let recorded = recorder.install_recorder().map_err(|error| RunError::Start(error.into()))?;
        describe();
        tokio::spawn(keep_up(recorded.clone()));
        let mut api = ApiDescription::new();
        let endpoint = ApiEndpoint::new(
            "metrics_view".to_owned(),
            |rqctx: RequestContext<Scrape>| async move { scrape(rqctx.context()) },
            Method::GET,
            "application/json",
            "/metrics",
            ApiEndpointVersions::All,
        );
        api.register(endpoint).map_err(|error| RunError::Start(error.into()))?;
        let config = ConfigDropshot { bind_address: address, ..ConfigDropshot::default() };
        let server = ServerBuilder::new(api, Scrape { recorded, runtime }, telemetry::silent_logger());
        let server = server.config(config).start();
        server.map(Self).map_err(|error| RunError::Listen { address, source: Box::new(error) })
    }

    pub(crate) fn local_addr(&self) -> SocketAddr {
        self.0.local_addr()
    }
}

fn scrape(Scrape { recorded, runtime }: &Scrape) -> Result<Response<Body>, HttpError> {
    runtime.update_gauges();
    Ok(Response::builder().header(header::CONTENT_TYPE, TEXT).body(recorded.render().into())?)
}

async fn keep_up(recorded: PrometheusHandle) {
    loop {
        sleep(UPKEEP).await;
        recorded.run_upkeep();
    }
}

fn describe() {
    describe_histogram!(DURATION, Unit::Seconds, "How long requests took, by operation, method and status");
    describe_gauge!(IN_FLIGHT, "Requests in flight");
    describe_counter!(LOG_LINES_DROPPED, "Log lines dropped because standard output was too slow");
    gauge!(IN_FLIGHT).set(0.0);
}

/// A request in flight, until it is dropped.
pub(crate) struct InFlight(());

impl InFlight {
    pub(crate) fn begin() -> Self {
        gauge!(IN_FLIGHT).increment(1.0);
        Self(())
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        gauge!(IN_FLIGHT).decrement(1.0);
    }
}

/// Records a finished request. A request that reaches no operation has the operation `-`.
pub(crate) fn request_finished(operation: String, method: &'static str, status: u16, took: Duration) {
    let status = status.to_string();
    histogram!(DURATION, "operation" => operation, "method" => method, "status" => status).record(took);
}

/// Publishes the dropped lines of this log at each scrape.
pub(crate) fn watch_log(log: &LogWriter, runtime: &Runtime) {
    let dropped = log.dropped_lines();
    runtime.before_scrape(move || {
        let lines = u64::try_from(dropped.dropped_lines()).unwrap_or(u64::MAX);
        counter!(LOG_LINES_DROPPED).absolute(lines);
    });
}

/// A method as a label: one of a few, whatever a client sends.
pub(crate) fn method_label(method: &str) -> &'static str {
    const METHODS: [&str; 7] = ["DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"];
    METHODS.into_iter().find(|known| known.eq_ignore_ascii_case(method)).unwrap_or("-")
}

#[cfg(test)]
mod tests {
    use super::method_label;

    #[test]
    fn an_unknown_method_is_no_label() {
        assert_eq!((method_label("patch"), method_label("BREW")), ("PATCH", "-"));
    }
}
