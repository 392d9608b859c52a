//! Server startup and graceful shutdown.

use std::env;
use std::ffi::OsString;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use common_http::BODY_TIMEOUT;
use dropshot::{ApiDescription, ConfigDropshot, HttpServer, ServerBuilder, ServerContext};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{sleep, timeout};

use crate::call::error_chain;
use crate::metrics::MetricsServer;
use crate::runtime::{HasRuntime, Runtime};
use crate::settings::{Env, SettingError, bind_address, drain_period, metrics_address};
use crate::telemetry::{self, LogWriter};
use crate::{health, metrics};

/// Maximum size of a request body. An order with the maximum of 100 lines takes about 5 KiB.
pub const MAX_BODY_BYTES: usize = 64 * 1024;
/// Time limit of every operation, once its body has arrived. Each service asserts that the limits of its own parts add
/// up to no more.
pub const OPERATION_LIMIT: Duration = Duration::from_secs(21);
/// Time for requests in flight at shutdown: to receive a body, execute the operation and respond within a second.
/// Supervisors kill a process later: `stop_grace_period` in docker-compose.yml, `StopTimeout` in deploy/service.yaml.
const SHUTDOWN_TIMEOUT: Duration = BODY_TIMEOUT.saturating_add(OPERATION_LIMIT).saturating_add(Duration::from_secs(1));

/// Error that prevents a service from starting or from shutting down gracefully.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// A setting is invalid or missing.
    #[error("{0}")]
    Setting(String),
    /// Listening on the address failed.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The cause.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Requests were still in flight at the end of the shutdown.
    #[error("stopped before {requests} requests were answered")]
    CutOff {
        /// The number of requests that got no response.
        requests: usize,
    },
    /// A second stop signal arrived during the shutdown.
    #[error("second stop signal: requests in flight were aborted")]
    Aborted,
    /// Another startup error.
    #[error("cannot start")]
    Start(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl From<SettingError> for RunError {
    fn from(error: SettingError) -> Self {
        Self::Setting(error.to_string())
    }
}

/// A running server.
pub struct Running<C: ServerContext> {
    http: HttpServer<C>,
}

/// Starts a server on this address.
///
/// # Errors
///
/// If the server cannot listen on the address.
pub fn serve<C: ServerContext>(
    api: ApiDescription<C>,
    context: C,
    address: SocketAddr,
) -> Result<Running<C>, RunError> {
    let config = ConfigDropshot {
        bind_address: address,
        default_request_body_max_bytes: MAX_BODY_BYTES,
        ..ConfigDropshot::default()
    };
    let http = ServerBuilder::new(api, context, telemetry::dropshot_logger())
        .config(config)
        .start()
        .map_err(|error| RunError::Listen { address, source: Box::new(error) })?;
    Ok(Running { http })
}

impl<C: ServerContext + HasRuntime> Running<C> {
    /// Returns the address that the server listens on.
    pub fn local_addr(&self) -> SocketAddr {
        self.http.local_addr()
    }

    /// Returns the server's base URL.
    pub fn base_url(&self) -> String {
        format!("http://{}", self.local_addr())
    }

    /// Stops accepting requests and waits for those in flight, at most 32 s: longer than any request takes. Returns the number of requests still in flight after the timeout.
    ///
    /// A client that does not read its response, or sends no complete request, is not waited for any longer either. It
    /// does not count.
    pub async fn close(self) -> usize {
        let runtime = self.http.app_private().runtime().clone();
        match timeout(SHUTDOWN_TIMEOUT, self.http.close()).await {
            Ok(Ok(())) => tracing::info!("stopped"),
            Ok(Err(error)) => tracing::warn!(error, "stopped with an error"),
            Err(_) => {
                let requests = runtime.requests_in_flight();
                tracing::warn!(requests, "shutdown timed out with open connections or requests in flight");
                return requests;
            }
        }
        0
    }
}

/// Runs a service until SIGINT or SIGTERM, then shuts it down gracefully. A second signal aborts the shutdown.
///
/// After the first signal the service fails readiness but keeps serving for `DRAIN_SECONDS`, in which a load balancer
/// notices and sends no more requests. The program fails if a request in flight then got no response.
///
/// With `METRICS_PORT` it serves `GET /metrics` on that port until the process exits. With
/// `OTEL_EXPORTER_OTLP_ENDPOINT` it exports spans.
///
/// With the argument `--health` it starts no server; it checks whether the one at `HOST` and `PORT` is alive.
pub async fn run<C: ServerContext + HasRuntime>(
    name: &'static str,
    default_port: u16,
    start: impl AsyncFnOnce(Runtime) -> Result<Running<C>, RunError>,
) -> ExitCode {
    match run_command(name, default_port, start).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            telemetry::print_error(format!("{name}: {}", error_chain(&*error)));
            ExitCode::FAILURE
        }
    }
}

async fn run_command<C: ServerContext + HasRuntime>(
    name: &'static str,
    default_port: u16,
    start: impl AsyncFnOnce(Runtime) -> Result<Running<C>, RunError>,
) -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<OsString> = env::args_os().skip(1).collect();
    match arguments.as_slice() {
        [] => {
            let log = telemetry::init_background_logs(&Env::process())?;
            let result = run_until_stopped(name, &log, start).await;
            log.flush();
            Ok(result?)
        }
        [argument] if argument == "--health" => Ok(health::check(bind_address(&Env::process(), default_port)?).await?),
        _ => Err("unknown arguments: --health is the only argument; settings come from the environment".into()),
    }
}

async fn run_until_stopped<C: ServerContext + HasRuntime>(
    name: &'static str,
    log: &LogWriter,
    start: impl AsyncFnOnce(Runtime) -> Result<Running<C>, RunError>,
) -> Result<(), RunError> {
    let drain = drain_period(&Env::process())?;
    let mut signals = Signals::listen()?;
    let runtime = Runtime::from_env(name, &Env::process())?;
    metrics::watch_log(log, &runtime);
    // The recorder must exist before the first metric is described or recorded.
    let metrics = metrics_address(&Env::process())?;
    let metrics = metrics.map(|address| MetricsServer::start(address, runtime.clone())).transpose()?;
    let server = tokio::select! {
        server = start(runtime.clone()) => server?,
        () = signals.next() => return Ok(()),
    };
    if let Some(metrics) = &metrics {
        tracing::info!(address = %metrics.local_addr(), "serving metrics at /metrics");
    }
    tracing::info!(address = %server.local_addr(), "{name} is listening");
    signals.next().await;
    tracing::info!("shutting down");
    runtime.drain();
    let stop = async {
        sleep(drain).await;
        let requests = server.close().await;
        if let Some(traces) = runtime.traces() {
            traces.shut_down().await;
        }
        if requests == 0 { Ok(()) } else { Err(RunError::CutOff { requests }) }
    };
    tokio::select! {
        stopped = stop => stopped,
        () = signals.next() => Err(RunError::Aborted),
    }
}

/// Listener for SIGINT and SIGTERM.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    fn listen() -> Result<Self, RunError> {
        let listen = |kind| signal(kind).map_err(|error| RunError::Start(Box::new(error)));
        Ok(Self { interrupt: listen(SignalKind::interrupt())?, terminate: listen(SignalKind::terminate())? })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace;

    /// Returns the seconds after each occurrence of a setting in a file of this project.
    fn seconds(path: &str, setting: &str) -> Vec<u64> {
        let text = std::fs::read_to_string(format!("{}/../../{path}", env!("CARGO_MANIFEST_DIR"))).unwrap();
        let values = text.lines().filter_map(|line| line.trim().strip_prefix(setting));
        values.filter_map(|value| value.trim().trim_end_matches('s').parse().ok()).collect()
    }

    #[test]
    fn supervisors_wait_longer_than_a_shutdown_takes() {
        // The last one twice: for the log, and for an error.
        let limit = SHUTDOWN_TIMEOUT + trace::SHUTDOWN_TIMEOUT + 2 * telemetry::FLUSH_TIMEOUT;
        // In Compose: the services, and the edge proxy in front of them.
        for (path, setting, count) in
            [("docker-compose.yml", "stop_grace_period:", 2), ("deploy/service.yaml", "StopTimeout:", 1)]
        {
            let found = seconds(path, setting);
            assert!(
                found.len() == count && found.iter().all(|seconds| *seconds > limit.as_secs()),
                "{path}: {found:?}"
            );
        }
    }
}
