//! Prometheus metrics, served by `GET /metrics` on a separate listener, so that the public listener never serves them.
//!
//! All metrics are recorded through the crate `metrics`, which does nothing if no recorder is installed. This module
//! contains the listener and the metrics for requests and logs; other modules record their own metrics.

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

/// Content type of the Prometheus text format, version 0.0.4.
const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";
/// Histogram bucket bounds in seconds, from the duration of a single-row read to that of the longest saga. They include
/// the callers' time limits: 1.6 s for services and 10 s for user accounts.
const BUCKETS: [f64; 14] = [0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 1.6, 2.5, 5.0, 10.0, 30.0];
/// Interval at which recorded durations are moved into buckets, to bound memory between scrapes.
const UPKEEP_INTERVAL: Duration = Duration::from_secs(5);

const DURATION: &str = "http_server_request_duration_seconds";
const IN_FLIGHT: &str = "http_server_requests_in_flight";
const LOG_LINES_DROPPED: &str = "log_lines_dropped_total";

/// State of the metrics server.
struct MetricsContext {
    recorder: PrometheusHandle,
    runtime: Runtime,
}

/// HTTP server for `GET /metrics`.
pub(crate) struct MetricsServer(HttpServer<MetricsContext>);

impl MetricsServer {
    /// Installs the recorder and serves metrics on this address until dropped.
    pub(crate) fn start(address: SocketAddr, runtime: Runtime) -> Result<Self, RunError> {
        let builder = PrometheusBuilder::new().set_buckets(&BUCKETS).map_err(|error| RunError::Start(error.into()))?;
        let recorder = builder.install_recorder().map_err(|error| RunError::Start(error.into()))?;
        describe();
        tokio::spawn(run_upkeep(recorder.clone()));
        let mut api = ApiDescription::new();
        let endpoint = ApiEndpoint::new(
            "metrics_view".to_owned(),
            |rqctx: RequestContext<MetricsContext>| async move { scrape(rqctx.context()) },
            Method::GET,
            "application/json",
            "/metrics",
            ApiEndpointVersions::All,
        );
        api.register(endpoint).map_err(|error| RunError::Start(error.into()))?;
        let config = ConfigDropshot { bind_address: address, ..ConfigDropshot::default() };
        let server = ServerBuilder::new(api, MetricsContext { recorder, runtime }, telemetry::silent_logger());
        let server = server.config(config).start();
        server.map(Self).map_err(|error| RunError::Listen { address, source: Box::new(error) })
    }

    pub(crate) fn local_addr(&self) -> SocketAddr {
        self.0.local_addr()
    }
}

fn scrape(MetricsContext { recorder, runtime }: &MetricsContext) -> Result<Response<Body>, HttpError> {
    runtime.update_gauges();
    Ok(Response::builder().header(header::CONTENT_TYPE, TEXT).body(recorder.render().into())?)
}

async fn run_upkeep(recorder: PrometheusHandle) {
    loop {
        sleep(UPKEEP_INTERVAL).await;
        recorder.run_upkeep();
    }
}

fn describe() {
    describe_histogram!(DURATION, Unit::Seconds, "Request duration by operation, method and status");
    describe_gauge!(IN_FLIGHT, "Requests in flight");
    describe_counter!(LOG_LINES_DROPPED, "Log lines dropped because standard output was too slow or failed");
    gauge!(IN_FLIGHT).set(0.0);
}

/// Counts a request as in flight until dropped.
pub(crate) struct InFlight(Runtime);

impl InFlight {
    pub(crate) fn start(runtime: Runtime) -> Self {
        gauge!(IN_FLIGHT).increment(1.0);
        runtime.request_started();
        Self(runtime)
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        gauge!(IN_FLIGHT).decrement(1.0);
        self.0.request_ended();
    }
}

/// Records the duration of a finished request. `operation` is `-` if the request matched no operation.
pub(crate) fn request_finished(operation: String, method: &'static str, status: u16, took: Duration) {
    let status = status.to_string();
    histogram!(DURATION, "operation" => operation, "method" => method, "status" => status).record(took);
}

/// Registers a callback that updates the counter of dropped log lines before each scrape.
pub(crate) fn watch_log(log: &LogWriter, runtime: &Runtime) {
    let dropped = log.dropped_lines();
    runtime.before_scrape(move || {
        let lines = u64::try_from(dropped.count()).unwrap_or(u64::MAX);
        counter!(LOG_LINES_DROPPED).absolute(lines);
    });
}

/// Returns the label value for an HTTP method: its name, or `-` if it is not a standard method, to limit the number of
/// time series.
pub(crate) fn method_label(method: &str) -> &'static str {
    const METHODS: [&str; 7] = ["DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"];
    METHODS.into_iter().find(|known| known.eq_ignore_ascii_case(method)).unwrap_or("-")
}

#[cfg(test)]
mod tests {
    use super::method_label;

    #[test]
    fn unknown_methods_share_one_label() {
        assert_eq!((method_label("patch"), method_label("BREW")), ("PATCH", "-"));
    }
}
