//! Starting a server, and stopping it without losing a request.

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

/// The largest body that is read. A full order of 100 lines takes about 5 KiB.
pub const MAX_BODY_BYTES: usize = 64 * 1024;
/// Default time for requests in flight when the server stops: 10 s for one use of the database, 5 s for the answer to COMMIT,
/// and a second to respond. A client that never finishes sending a body would otherwise keep the server alive for ever.
const CLOSED_WITHIN: Duration = Duration::from_secs(16);

/// Why a service does not run, or did not run to its end.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// A setting is bad or missing.
    #[error("{0}")]
    Setting(String),
    /// The address cannot be listened on.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A second signal came before it had stopped.
    #[error("told to stop twice: requests in flight are cut off")]
    CutOff,
    /// Anything else that keeps it from starting.
    #[error("cannot start")]
    Start(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl From<SettingError> for RunError {
    fn from(error: SettingError) -> Self {
        Self::Setting(error.to_string())
    }
}

/// A server that answers.
pub struct Running<C: ServerContext> {
    http: HttpServer<C>,
    closed_within: Duration,
}

/// Starts to answer on this address.
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
    Ok(Running { http, closed_within: CLOSED_WITHIN })
}

impl<C: ServerContext> Running<C> {
    /// Where it listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.http.local_addr()
    }

    /// The base of its URLs.
    pub fn base_url(&self) -> String {
        format!("http://{}", self.local_addr())
    }

    /// Gives requests in flight this long to end when the server stops.
    #[must_use]
    pub fn closed_within(self, closed_within: Duration) -> Self {
        Self { closed_within, ..self }
    }

    /// Takes no new request, waits for those in flight, at most 16 s by default, and ends.
    pub async fn close(self) {
        match timeout(self.closed_within, self.http.close()).await {
            Ok(Ok(())) => tracing::info!("stopped"),
            Ok(Err(error)) => tracing::warn!(error, "stopped with an error"),
            Err(_) => tracing::warn!("stopped with requests that did not end in time"),
        }
    }
}

/// Runs a service: starts it, waits for SIGINT or SIGTERM, and stops it without losing a request. A second signal ends it
/// at once.
///
/// With `DRAIN_SECONDS` it goes on serving for so long after the signal, but is not ready: the time in which a load balancer
/// finds out and sends no more requests.
///
/// With `METRICS_PORT` it answers `GET /metrics` there, to its end. With `OTEL_EXPORTER_OTLP_ENDPOINT` it exports its spans
/// there.
///
/// With the argument `--health` the program starts nothing: it asks the server at `HOST` and `PORT` whether it is ready.
pub async fn run<C: ServerContext>(
    name: &'static str,
    default_port: u16,
    start: impl FnOnce(Runtime) -> Result<Running<C>, RunError>,
) -> ExitCode {
    match run_as_asked(name, default_port, start).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{name}: {}", one_line(&*error));
            ExitCode::FAILURE
        }
    }
}

async fn run_as_asked<C: ServerContext>(
    name: &'static str,
    default_port: u16,
    start: impl FnOnce(Runtime) -> Result<Running<C>, RunError>,
) -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<OsString> = env::args_os().skip(1).collect();
    match arguments.as_slice() {
        [] => {
            let log = telemetry::init_background_logs();
            let ended = run_until_stopped(name, &log, start).await;
            log.flush();
            Ok(ended?)
        }
        [only] if only == "--health" => Ok(health::ask(bind_address(&Env::process(), default_port)?).await?),
        _ => Err("unknown arguments: --health is the only one, alone; settings come from the environment".into()),
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
    // Before the first metric is described or recorded.
    let metrics = metrics_address(&Env::process())?;
    let metrics = metrics.map(|address| MetricsServer::start(address, runtime.clone())).transpose()?;
    let server = start(runtime.clone())?;
    if let Some(metrics) = &metrics {
        tracing::info!(address = %metrics.local_addr(), "metrics are served at /metrics");
    }
    tracing::info!(address = %server.local_addr(), "{name} is listening");
    signals.next().await;
    tracing::info!("stopping");
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
        () = signals.next() => Err(RunError::CutOff),
    }
}

/// SIGINT and SIGTERM, from now on.
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

fn one_line(error: &dyn std::error::Error) -> String {
    let mut line = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        line = format!("{line}: {error}");
        source = error.source();
    }
    line
}
