//! Logging: text on a terminal, otherwise one JSON object per line. `LOG_FORMAT` (`text` or `json`) overrides this,
//! and `RUST_LOG` sets the levels.
//!
//! `call` logs requests to an operation. dropshot responds to requests that match no operation; this module logs them.

use std::collections::BTreeMap;
use std::io::{self, IsTerminal, Write};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;
use std::{panic, thread};

use slog::{Drain, KV};
use tracing::{Level, Metadata};
use tracing_appender::non_blocking::{ErrorCounter, NonBlocking, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::{LevelFilter, filter_fn};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::metrics::{self, method_label};
use crate::settings::{Env, SettingError};

/// Maximum number of lines buffered for a slow standard output, a few MiB. Further lines are dropped and counted.
const MAX_BUFFERED_LINES: usize = 10_000;
/// Maximum time to write to a blocked standard output or standard error at shutdown.
pub(crate) const FLUSH_TIMEOUT: Duration = Duration::from_secs(2);

const LEVELS: &str = "RUST_LOG";
const FORMAT: &str = "LOG_FORMAT";

/// Writes this process's logs to standard output synchronously, because a function may be frozen after its response.
///
/// # Errors
///
/// Names `RUST_LOG` or `LOG_FORMAT` if its value is invalid.
pub fn init_logs(env: &Env<'_>) -> Result<(), SettingError> {
    init(env, std::io::stdout)
}

/// Writes this process's logs to standard output from a background thread, so that a slow reader delays no request.
pub(crate) fn init_background_logs(env: &Env<'_>) -> Result<LogWriter, SettingError> {
    let (lines, writer) = LogWriter::new(std::io::stdout());
    init(env, lines)?;
    // The default hook writes to standard error, which may have a slow reader, too.
    panic::set_hook(Box::new(|panic| tracing::error!(%panic, "panicked")));
    Ok(writer)
}

/// Handle of the thread that writes the log.
pub(crate) struct LogWriter {
    guard: WorkerGuard,
    dropped: DroppedLines,
}

impl LogWriter {
    /// Starts the thread.
    fn new(output: impl Write + Send + 'static) -> (NonBlocking, Self) {
        let unwritten = Arc::<AtomicUsize>::default();
        let output = Output { output, unwritten: Arc::clone(&unwritten) };
        let builder = NonBlockingBuilder::default().buffered_lines_limit(MAX_BUFFERED_LINES).thread_name("log");
        let (lines, guard) = builder.finish(output);
        let dropped = DroppedLines { unbuffered: lines.error_counter(), unwritten };
        (lines, Self { guard, dropped })
    }

    /// Returns the counter of dropped lines.
    pub(crate) fn dropped_lines(&self) -> DroppedLines {
        self.dropped.clone()
    }

    /// Writes the buffered lines, for at most 2 s. The guard's drop alone could block forever, because it reports its
    /// own timeout on standard output.
    pub(crate) fn flush(self) {
        write_for_at_most_2_s(|| drop(self.guard));
    }
}

/// Counter of log lines that were dropped.
#[derive(Clone)]
pub(crate) struct DroppedLines {
    /// The buffer was full.
    unbuffered: ErrorCounter,
    /// Writing failed.
    unwritten: Arc<AtomicUsize>,
}

impl DroppedLines {
    /// Returns the number of dropped lines.
    pub(crate) fn count(&self) -> usize {
        self.unbuffered.dropped_lines().saturating_add(self.unwritten.load(Ordering::Relaxed))
    }
}

/// Output that counts the lines it cannot write, for example to a full disk.
struct Output<W> {
    output: W,
    unwritten: Arc<AtomicUsize>,
}

impl<W: Write> Write for Output<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.output.write(bytes)
    }

    /// Writes a line.
    fn write_all(&mut self, line: &[u8]) -> io::Result<()> {
        if self.output.write_all(line).is_err() {
            self.unwritten.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.output.flush()
    }
}

/// Prints an error to standard error.
pub(crate) fn print_error(line: String) {
    write_for_at_most_2_s(move || {
        // Nothing is left to report a failure to.
        let _ = writeln!(io::stderr(), "{line}");
    });
}

/// Calls a function that blocks while the reader of an output hangs, and returns after 2 s at the latest.
fn write_for_at_most_2_s(write: impl FnOnce() + Send + 'static) {
    let (written, done) = mpsc::channel();
    thread::spawn(move || {
        write();
        written.send(())
    });
    let _ = done.recv_timeout(FLUSH_TIMEOUT);
}

fn init<W>(env: &Env<'_>, writer: W) -> Result<(), SettingError>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let (filter, is_text) = (levels(env)?, is_text_format(env)?);
    // If the log's reader has exited, reporting the error to a closed standard error would end the process.
    let logs = tracing_subscriber::fmt().with_env_filter(filter).log_internal_errors(false).with_writer(writer);
    let without_credentials = filter_fn(is_free_of_credentials);
    // Fails only if a subscriber is already set, which then stays.
    let _ = if is_text {
        logs.with_ansi(std::io::stdout().is_terminal()).finish().with(without_credentials).try_init()
    } else {
        logs.json()
            .flatten_event(true)
            .with_current_span(true)
            .with_span_list(false)
            .finish()
            .with(without_credentials)
            .try_init()
    };
    Ok(())
}

/// Drops the TRACE level of the AWS Lambda runtime, which logs whole events with the credentials in them.
fn is_free_of_credentials(metadata: &Metadata<'_>) -> bool {
    *metadata.level() != Level::TRACE || !metadata.target().starts_with("lambda_runtime")
}

/// Reads `RUST_LOG`. A word alone is a level; the parser would also take it for a target, so that a misspelled level
/// would silence the log.
fn levels(env: &Env<'_>) -> Result<EnvFilter, SettingError> {
    let value = env.get(LEVELS).unwrap_or_else(|| "info".to_owned());
    let entries = Vec::from_iter(value.split(',').map(str::trim));
    let is_level_or_pair =
        |entry: &&str| entry.contains(['=', '[']) || !entry.is_empty() && entry.parse::<LevelFilter>().is_ok();
    let filter = EnvFilter::builder().parse(entries.join(",")).ok().filter(|_| entries.iter().all(is_level_or_pair));
    filter.ok_or_else(|| {
        let expected =
            "expected error, warn, info, debug, trace or off, also per target, as in info,common_server=debug";
        SettingError::invalid(LEVELS, expected)
    })
}

/// Reads `LOG_FORMAT`: text by default on a terminal.
fn is_text_format(env: &Env<'_>) -> Result<bool, SettingError> {
    match env.get(FORMAT).as_deref() {
        Some("text") => Ok(true),
        Some("json") => Ok(false),
        None => Ok(std::io::stdout().is_terminal()),
        Some(_) => Err(SettingError::invalid(FORMAT, "expected text or json")),
    }
}

/// Returns a logger that forwards dropshot's messages to `tracing`.
///
/// It forwards warnings, without client addresses and request data, and the lines of requests that match no operation.
/// It drops the lines of other requests, because `call` logs those with more fields.
pub(crate) fn dropshot_logger() -> slog::Logger {
    slog::Logger::root(TracingDrain.fuse(), slog::o!())
}

/// Returns a logger that discards everything.
pub(crate) fn silent_logger() -> slog::Logger {
    slog::Logger::root(slog::Discard, slog::o!())
}

struct TracingDrain;

impl Drain for TracingDrain {
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

/// dropshot's message for a finished request.
const COMPLETED: &str = "request completed";
/// Field of that message if the request matched no operation. Operations never set it, because they return responses
/// even for failures.
const NO_OPERATION: &str = "error_message_internal";
/// dropshot's message if the client disconnected before the response. The operation's log line has the result.
const COMPLETED_CANCELED: &str = "request completed after handler was already cancelled";
/// Fields of a warning that are logged. The others may hold the client's address or data that it sent.
const LOGGED_FIELDS: [&str; 4] = ["error", "latency_us", "method", "req_id"];

#[derive(Default)]
struct Fields(BTreeMap<String, String>);

impl Fields {
    /// Logs the request like `call`. The path is omitted, because it may hold anything.
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

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    fn problem_of(name: &'static str, value: &'static str) -> Option<String> {
        let env = Env::new(move |asked| (asked == name).then(|| value.to_owned()));
        levels(&env).err().or(is_text_format(&env).err()).map(|error| error.to_string())
    }

    #[test]
    fn valid_levels_and_formats_are_accepted() {
        for value in
            ["", "info", "WARN", "off", "info,common_server=debug", "orders::app=trace, warn", "[request]=debug"]
        {
            assert_eq!(problem_of(LEVELS, value), None, "{value}");
        }
        for value in ["", "text", "json"] {
            assert_eq!(problem_of(FORMAT, value), None, "{value}");
        }
    }

    #[test]
    fn the_default_level_is_info() {
        for value in [None, Some("")] {
            let env = Env::new(|_| value.map(str::to_owned));
            assert_eq!(levels(&env).unwrap().to_string(), "info");
        }
    }

    #[test]
    fn unknown_levels_and_formats_are_refused_with_the_accepted_ones() {
        for value in ["warning", "INFORMATION", "common_server", "info,debg", "orders=debg", "info,"] {
            let problem = problem_of(LEVELS, value).unwrap();
            assert!(problem.starts_with("RUST_LOG: expected error, warn, info, debug, trace or off"), "{problem}");
        }
        for value in ["yaml", "JSON", " text"] {
            assert_eq!(problem_of(FORMAT, value).unwrap(), "LOG_FORMAT: expected text or json");
        }
    }

    #[test]
    fn hanging_reader_blocks_neither_lines_nor_the_flush_and_dropped_lines_are_counted() {
        let (_never_read, pipe) = io::pipe().unwrap();
        let (mut lines, writer) = LogWriter::new(pipe);
        let (dropped, started) = (writer.dropped_lines(), Instant::now());
        // The pipe holds at most 64 lines of this length, and the thread one more.
        let line = [b'x'; 1024];
        for _ in 0..MAX_BUFFERED_LINES + 1000 {
            lines.write_all(&line).unwrap();
        }
        assert!((900..=1000).contains(&dropped.count()), "{}", dropped.count());
        writer.flush();
        assert!(started.elapsed() < FLUSH_TIMEOUT * 5, "{:?}", started.elapsed());
    }

    #[test]
    fn lines_that_a_full_disk_refuses_are_counted() {
        let (mut lines, writer) = LogWriter::new(std::fs::File::options().write(true).open("/dev/full").unwrap());
        let dropped = writer.dropped_lines();
        for _ in 0..3 {
            lines.write_all(b"a line\n").unwrap();
        }
        writer.flush();
        assert_eq!(dropped.count(), 3);
    }
}
