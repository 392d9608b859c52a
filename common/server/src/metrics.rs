//! Numbers about this process for Prometheus: `GET /metrics` on a listener of its own, so that the public one never has it.
//!
//! Whatever counts does so through the crate `metrics`, which does nothing where there is no listener. Here are the listener
//! and what is counted of requests; the rest is counted where it happens.

use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use dropshot::{
    ApiDescription, ApiEndpoint, ApiEndpointVersions, Body, ConfigDropshot, HttpError, HttpServer, RequestContext,
    ServerBuilder,
};
use http::{Method, Response, header};
use metrics::{Unit, describe_gauge, describe_histogram, gauge, histogram};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use tokio::time::sleep;

use crate::routes::Route;
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

type Publish = Box<dyn Fn() + Send>;

static BEFORE_SCRAPE: Mutex<Vec<Publish>> = Mutex::new(Vec::new());

/// Numbers that are looked up rather than counted are published by this function before each scrape.
pub fn before_scrape(publish: impl Fn() + Send + 'static) {
    BEFORE_SCRAPE.lock().unwrap_or_else(PoisonError::into_inner).push(Box::new(publish));
}

/// Starts to count, and to answer `GET /metrics` on this address, until the server that this gives is dropped.
pub(crate) fn serve(address: SocketAddr) -> Result<HttpServer<PrometheusHandle>, RunError> {
    let recorder = PrometheusBuilder::new().set_buckets(&BUCKETS).map_err(|error| RunError::Start(error.into()))?;
    let handle = recorder.install_recorder().map_err(|error| RunError::Start(error.into()))?;
    describe();
    tokio::spawn(keep_up(handle.clone()));
    let mut api = ApiDescription::new();
    let endpoint = ApiEndpoint::new(
        "metrics_view".to_owned(),
        |rqctx: RequestContext<PrometheusHandle>| async move { scrape(rqctx.context()) },
        Method::GET,
        "application/json",
        "/metrics",
        ApiEndpointVersions::All,
    );
    api.register(endpoint).map_err(|error| RunError::Start(error.into()))?;
    let config = ConfigDropshot { bind_address: address, ..ConfigDropshot::default() };
    let server = ServerBuilder::new(api, handle, telemetry::silent_logger()).config(config).start();
    server.map_err(|error| RunError::Listen { address, source: Box::new(error) })
}

fn scrape(numbers: &PrometheusHandle) -> Result<Response<Body>, HttpError> {
    for publish in BEFORE_SCRAPE.lock().unwrap_or_else(PoisonError::into_inner).iter() {
        publish();
    }
    Ok(Response::builder().header(header::CONTENT_TYPE, TEXT).body(numbers.render().into())?)
}

async fn keep_up(numbers: PrometheusHandle) {
    loop {
        sleep(UPKEEP).await;
        numbers.run_upkeep();
    }
}

fn describe() {
    describe_histogram!(DURATION, Unit::Seconds, "How long requests took, by method, path template and status");
    describe_gauge!(IN_FLIGHT, "Requests that are being carried out");
    gauge!(IN_FLIGHT).set(0.0);
}

/// A request that is being carried out, until it is dropped.
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

/// Counts a request that was answered.
pub(crate) fn answered(route: Route, status: u16, took: Duration) {
    let Route { method, template } = route;
    histogram!(DURATION, "method" => method, "route" => template, "status" => status.to_string()).record(took);
}
