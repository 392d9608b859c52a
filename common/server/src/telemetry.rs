//! Logs: text on a terminal, one JSON object a line elsewhere. `LOG_FORMAT`, `text` or `json`, says otherwise, and
//! `RUST_LOG` sets the levels.
//!
//! A request that reaches an operation is logged by `call`. One that reaches none is answered by dropshot, and logged here.

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use slog::{Drain, KV};
use tracing::{Level, Metadata};
use tracing_appender::non_blocking::{ErrorCounter, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::metrics::{self, method_label};

/// Lines that wait for a slow standard output, at most some MiB. Further ones are dropped and counted.
const MAX_WAITING_LINES: usize = 10_000;
/// Maximum delay of the process's end by a standard output that takes nothing.
const FLUSH_WITHIN: Duration = Duration::from_secs(2);

/// Writes this process's logs to standard output, each line before the work goes on: a function may be frozen after it.
pub fn init_logs() {
    init(std::io::stdout);
}

/// Writes this process's logs to standard output from a thread of its own: a reader that is slow delays no request.
pub(crate) fn init_background_logs() -> LogWriter {
    let writer = NonBlockingBuilder::default().buffered_lines_limit(MAX_WAITING_LINES).thread_name("log");
    let (writer, guard) = writer.finish(std::io::stdout());
    let dropped = writer.error_counter();
    init(writer);
    LogWriter { guard, dropped }
}

/// The thread that writes the log.
pub(crate) struct LogWriter {
    guard: WorkerGuard,
    dropped: ErrorCounter,
}

impl LogWriter {
    /// The count of dropped lines.
    pub(crate) fn dropped_lines(&self) -> ErrorCounter {
        self.dropped.clone()
    }

    /// Writes the lines that still wait. The guard alone may block for ever: it complains on standard output.
    pub(crate) fn flush(self) {
        let (flushed, end) = mpsc::channel();
        thread::spawn(move || {
            drop(self.guard);
            flushed.send(())
        });
        let _ = end.recv_timeout(FLUSH_WITHIN);
    }
}

fn init<W>(writer: W)
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    // Where the log's reader is gone, reporting that to standard error would end the process.
    let logs = tracing_subscriber::fmt().with_env_filter(filter).log_internal_errors(false).with_writer(writer);
    let discreet = filter_fn(shows_no_secrets);
    // Fails only where a logger is set already, which then stays.
    let _ = if wants_text() {
        logs.with_ansi(std::io::stdout().is_terminal()).finish().with(discreet).try_init()
    } else {
        logs.json().flatten_event(true).with_current_span(true).with_span_list(false).finish().with(discreet).try_init()
    };
}

/// Drops the lowest level of the AWS Lambda runtime, which logs whole events with the credentials in them.
fn shows_no_secrets(metadata: &Metadata<'_>) -> bool {
    *metadata.level() != Level::TRACE || !metadata.target().starts_with("lambda_runtime")
}

fn wants_text() -> bool {
    match std::env::var("LOG_FORMAT").as_deref() {
        Ok("text") => true,
        Ok("json") => false,
        _ => std::io::stdout().is_terminal(),
    }
}

/// A logger for dropshot. Its warnings go where ours go, without the caller's address and what it asked for. Of its lines per
/// request only those are kept that are about no operation: of every other, ours says more.
pub(crate) fn dropshot_logger() -> slog::Logger {
    slog::Logger::root(ToTracing.fuse(), slog::o!())
}

/// A logger that writes nothing.
pub(crate) fn silent_logger() -> slog::Logger {
    slog::Logger::root(slog::Discard, slog::o!())
}

struct ToTracing;

impl Drain for ToTracing {
    type Ok = ();
    type Err = slog::Never;

    fn log(&self, record: &slog::Record<'_>, values: &slog::OwnedKVList) -> Result<(), slog::Never> {
        let is_warning = record.level().is_at_least(slog::Level::Warning);
        let message = record.msg().as_str().unwrap_or_default();
        if message == COMPLETED_CANCELED || !is_warning && message != COMPLETED {
            return Ok(());
        }
        let mut fields = Fields::default();
        let _ = values.serialize(record, &mut fields);
        let _ = record.kv().serialize(record, &mut fields);
        if is_warning {
            fields.0.retain(|name, _| LOGGED_FIELDS.contains(&name.as_str()));
            tracing::warn!(target: "dropshot", fields = ?fields.0, "{}", record.msg());
        } else if fields.0.contains_key(NO_OPERATION) {
            fields.log_request();
        }
        Ok(())
    }
}

/// Message of dropshot for every finished request.
const COMPLETED: &str = "request completed";
/// Field of that message where the request reached no operation: operations answer also where they refuse.
const NO_OPERATION: &str = "error_message_internal";
/// Message of dropshot where the client was gone before the answer. The operation's own line has the result.
const COMPLETED_CANCELED: &str = "request completed after handler was already cancelled";
/// Fields of a warning that are logged. The others may hold the caller's address and anything that it sent.
const LOGGED_FIELDS: [&str; 4] = ["error", "latency_us", "method", "req_id"];

#[derive(Default)]
struct Fields(BTreeMap<String, String>);

impl Fields {
    /// In the form of `call`. The path may hold anything, and is left out.
    fn log_request(&self) {
        let field = |name: &str| self.0.get(name).map(String::as_str).unwrap_or_default();
        let (operation, method, request_id) = ("-", method_label(field("method")), field("req_id"));
        let (status, latency_us) =
            (field("response_code").parse().unwrap_or(0), field("latency_us").parse().unwrap_or(0));
        tracing::info!(
            operation,
            method,
            status,
            latency_us,
            principal = "-",
            request_id,
            outcome = "no_operation",
            "request"
        );
        metrics::request_finished(operation.to_owned(), method, status, Duration::from_micros(latency_us));
    }
}

impl slog::Serializer for Fields {
    fn emit_arguments(&mut self, key: slog::Key, value: &std::fmt::Arguments<'_>) -> slog::Result {
        self.0.insert(AsRef::<str>::as_ref(&key).to_owned(), value.to_string());
        Ok(())
    }
}
