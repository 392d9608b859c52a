//! Server startup and graceful shutdown.

use std::env;
use std::ffi::OsString;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use dropshot::{ApiDescription, ConfigDropshot, HttpServer, ServerBuilder, ServerContext};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{sleep, timeout};

use crate::metrics::MetricsServer;
use crate::runtime::Runtime;
use crate::settings::{Env, SettingError, bind_address, drain_period, metrics_address};
use crate::telemetry::{self, LogWriter};
use crate::{health, metrics};

/// Maximum size of a request body. An order with the maximum of 100 lines takes about 5 KiB.
pub const MAX_BODY_BYTES: usize = 64 * 1024;
/// Default time for requests in flight at shutdown: 10 s for one database operation, 5 s for the result of COMMIT,
/// and a second to respond. Without a limit, a client that never finishes its body would keep the server running.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(16);

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
    shutdown_timeout: Duration,
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
    Ok(Running { http, shutdown_timeout: SHUTDOWN_TIMEOUT })
}

impl<C: ServerContext> Running<C> {
    /// Returns the address that the server listens on.
    pub fn local_addr(&self) -> SocketAddr {
        self.http.local_addr()
    }

    /// Returns the server's base URL.
    pub fn base_url(&self) -> String {
        format!("http://{}", self.local_addr())
    }

    /// Sets the maximum time for requests in flight at shutdown. The default is 16 s.
    #[must_use]
    pub fn with_shutdown_timeout(self, shutdown_timeout: Duration) -> Self {
        Self { shutdown_timeout, ..self }
    }

    /// Stops accepting requests and waits for those in flight, at most for the shutdown timeout.
    pub async fn close(self) {
        match timeout(self.shutdown_timeout, self.http.close()).await {
            Ok(Ok(())) => tracing::info!("stopped"),
            Ok(Err(error)) => tracing::warn!(error, "stopped with an error"),
            Err(_) => tracing::warn!("shutdown timed out with requests in flight"),
        }
    }
}

/// Runs a service until SIGINT or SIGTERM, then shuts it down gracefully. A second signal aborts the shutdown.
///
/// After the first signal the service fails readiness but keeps serving for `DRAIN_SECONDS`, in which a load balancer
/// notices and sends no more requests.
///
/// With `METRICS_PORT` it serves `GET /metrics` on that port until the process exits. With
/// `OTEL_EXPORTER_OTLP_ENDPOINT` it exports spans.
///
/// With the argument `--health` it starts no server; it checks whether the one at `HOST` and `PORT` is ready.
pub async fn run<C: ServerContext>(
    name: &'static str,
    default_port: u16,
    start: impl FnOnce(Runtime) -> Result<Running<C>, RunError>,
) -> ExitCode {
    match run_command(name, default_port, start).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{name}: {}", one_line(&*error));
            ExitCode::FAILURE
        }
    }
}

async fn run_command<C: ServerContext>(
    name: &'static str,
    default_port: u16,
    start: impl FnOnce(Runtime) -> Result<Running<C>, RunError>,
) -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<OsString> = env::args_os().skip(1).collect();
    match arguments.as_slice() {
        [] => {
            let log = telemetry::init_background_logs();
            let result = run_until_stopped(name, &log, start).await;
            log.flush();
            Ok(result?)
        }
        [argument] if argument == "--health" => Ok(health::check(bind_address(&Env::process(), default_port)?).await?),
        _ => Err("unknown arguments: --health is the only argument; settings come from the environment".into()),
    }
}

async fn run_until_stopped<C: ServerContext>(
    name: &'static str,
    log: &LogWriter,
    start: impl FnOnce(Runtime) -> Result<Running<C>, RunError>,
) -> Result<(), RunError> {
    let drain = drain_period(&Env::process())?;
    let mut signals = Signals::listen()?;
    let runtime = Runtime::from_env(name, &Env::process())?;
    metrics::watch_log(log, &runtime);
    // The recorder must exist before the first metric is described or recorded.
    let metrics = metrics_address(&Env::process())?;
    let metrics = metrics.map(|address| MetricsServer::start(address, runtime.clone())).transpose()?;
    let server = start(runtime.clone())?;
    if let Some(metrics) = &metrics {
        tracing::info!(address = %metrics.local_addr(), "serving metrics at /metrics");
    }
    tracing::info!(address = %server.local_addr(), "{name} is listening");
    signals.next().await;
    tracing::info!("shutting down");
    runtime.drain();
    let stop = async {
        sleep(drain).await;
        server.close().await;
        if let Some(traces) = runtime.traces() {
            traces.shut_down().await;
        }
    };
    tokio::select! {
        () = stop => Ok(()),
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

/// Joins an error and its sources into one line.
fn one_line(error: &dyn std::error::Error) -> String {
    let mut line = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        line = format!("{line}: {error}");
        source = error.source();
    }
    line
}
