//! Server program that runs in a separate process with test settings.

#![expect(clippy::expect_used, clippy::panic, reason = "a test helper fails the test")]

use std::iter;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use super::Scrape;

/// Maximum time that a test waits for an event.
const MAX_WAIT: Duration = Duration::from_secs(30);
/// Interval between two polls.
const POLL_INTERVAL: Duration = Duration::from_millis(10);

/// Running program. Dropping it kills the process.
pub struct Program {
    /// Process of the program.
    pub process: Child,
    /// Base URL of the server.
    pub base_url: String,
    metrics_url: Option<String>,
    log: Output,
    errors: Output,
}

/// Lines that a program has written so far, with the task that reads them.
struct Output {
    lines: Arc<Mutex<Vec<String>>>,
    reader: JoinHandle<()>,
}

impl Output {
    fn capture(output: impl AsyncRead + Send + Unpin + 'static) -> Self {
        let lines = Arc::<Mutex<Vec<String>>>::default();
        let buffer = Arc::clone(&lines);
        let reader = tokio::spawn(async move {
            let mut output = BufReader::new(output).lines();
            while let Ok(Some(line)) = output.next_line().await {
                buffer.lock().unwrap_or_else(PoisonError::into_inner).push(line);
            }
        });
        Self { lines, reader }
    }

    fn lines(&self) -> Vec<String> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Stops reading and closes the pipe.
    async fn stop(&mut self) {
        self.reader.abort();
        let _ = (&mut self.reader).await;
    }

    /// Waits until the program closes its output and returns all lines.
    async fn all(self) -> Vec<String> {
        let Self { lines, reader } = self;
        reader.await.expect("the reader does not panic");
        std::mem::take(&mut *lines.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Runs a program with these settings and log level TRACE, calls `visit` with its base URL, stops it, and returns its
/// complete output.
///
/// # Errors
///
/// Returns the output of the program if it does not start.
pub async fn program_output(
    path: &str,
    settings: &[(&'static str, &str)],
    visit: impl AsyncFnOnce(String),
) -> Result<String, Box<dyn std::error::Error>> {
    let settings = settings.iter().map(|(name, value)| (*name, (*value).to_owned()));
    let program = Program::try_start(path, settings.chain([("RUST_LOG", "trace".to_owned())])).await?;
    visit(program.base_url.clone()).await;
    Ok(program.stop().await)
}

impl Program {
    /// Starts the program on a free port and waits until it listens. The default profile is development.
    ///
    /// # Panics
    ///
    /// Panics if the program does not start.
    pub async fn start(path: &str, settings: impl IntoIterator<Item = (&'static str, String)>) -> Self {
        let settings = iter::once(("PROFILE", "development".to_owned())).chain(settings);
        Self::try_start(path, settings).await.unwrap_or_else(|output| panic!("the program did not start: {output}"))
    }

    /// Starts the program with these settings only. If the program exits before it listens, returns its output as the
    /// error.
    async fn try_start(path: &str, settings: impl IntoIterator<Item = (&'static str, String)>) -> Result<Self, String> {
        let mut process = Command::new(path)
            .env_clear()
            .envs([("PORT", "0"), ("LOG_FORMAT", "json")])
            .envs(settings)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("the program starts");
        let log = Output::capture(process.stdout.take().expect("the output is piped"));
        let errors = Output::capture(process.stderr.take().expect("the output is piped"));
        let mut program = Self { process, base_url: String::new(), metrics_url: None, log, errors };
        let has_message =
            |line: &Value, end: &str| line["message"].as_str().is_some_and(|message| message.ends_with(end));
        tokio::select! {
            line = line(&program.log, |line| has_message(line, "is listening")) => program.base_url = url(&line),
            _ = program.process.wait() => return Err(program.stop().await),
        }
        program.metrics_url =
            program.lines().iter().find(|line| has_message(line, "serving metrics at /metrics")).map(url);
        Ok(program)
    }

    /// Stops the program and returns all its output.
    async fn stop(mut self) -> String {
        if let Some(id) = self.process.id().and_then(|id| id.try_into().ok()) {
            // Fails if the program has already exited.
            let _ = kill(Pid::from_raw(id), Signal::SIGTERM);
        }
        timeout(MAX_WAIT, self.process.wait())
            .await
            .expect("the program stops in time")
            .expect("the process can be waited for");
        let lines = [self.log.all().await, self.errors.all().await].concat();
        lines.into_iter().map(|line| line + "\n").collect()
    }

    /// Closes the output pipes of the program, as if the process that reads its log had exited.
    pub async fn stop_reading(&mut self) {
        self.log.stop().await;
        self.errors.stop().await;
    }

    /// Returns the log lines written so far.
    ///
    /// # Panics
    ///
    /// Panics if a line is not JSON.
    pub fn lines(&self) -> Vec<Value> {
        parsed(&self.log)
    }

    /// Waits for a matching log line and returns the first one.
    ///
    /// # Panics
    ///
    /// Panics if no line matches within 30 s.
    pub async fn line(&self, matches: impl Fn(&Value) -> bool) -> Value {
        line(&self.log, matches).await
    }

    /// Scrapes the program's metrics.
    ///
    /// # Panics
    ///
    /// Panics if the program does not serve metrics in the Prometheus text format.
    pub async fn scrape(&self) -> Scrape {
        let url = self.metrics_url.as_ref().unwrap_or_else(|| panic!("METRICS_PORT is not set"));
        let response = reqwest::get(format!("{url}/metrics")).await.expect("the metrics are served");
        Scrape::read(&response.text().await.expect("the metrics are text"))
    }
}

fn url(line: &Value) -> String {
    format!("http://{}", line["address"].as_str().expect("the line has the field address"))
}

fn parsed(log: &Output) -> Vec<Value> {
    log.lines().iter().map(|line| serde_json::from_str(line).expect("a line of the log is JSON")).collect()
}

async fn line(log: &Output, matches: impl Fn(&Value) -> bool) -> Value {
    let started = Instant::now();
    loop {
        let lines = parsed(log);
        if let Some(line) = lines.iter().find(|line| matches(line)) {
            return line.clone();
        }
        assert!(started.elapsed() < MAX_WAIT, "no matching line in {lines:#?}");
        sleep(POLL_INTERVAL).await;
    }
}
