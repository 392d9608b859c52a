//! A server's program as a process of its own, started from nothing but the settings of a test, and all that it writes.

#![expect(clippy::expect_used, clippy::panic, reason = "a helper of a test fails the test")]

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

/// How long anything that is waited for may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long to wait before looking again.
const POLL: Duration = Duration::from_millis(10);

/// A running program. It is killed at the end of the test.
pub struct Program {
    /// The process itself.
    pub process: Child,
    /// Where it answers.
    pub base_url: String,
    metrics_url: Option<String>,
    log: Writing,
    errors: Writing,
}

/// The lines that a program has written until now, and the task that reads them.
struct Writing {
    lines: Arc<Mutex<Vec<String>>>,
    reader: JoinHandle<()>,
}

impl Writing {
    fn read(output: impl AsyncRead + Send + Unpin + 'static) -> Self {
        let lines = Arc::<Mutex<Vec<String>>>::default();
        let kept = Arc::clone(&lines);
        let reader = tokio::spawn(async move {
            let mut output = BufReader::new(output).lines();
            while let Ok(Some(line)) = output.next_line().await {
                kept.lock().unwrap_or_else(PoisonError::into_inner).push(line);
            }
        });
        Self { lines, reader }
    }

    fn lines(&self) -> Vec<String> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Reads nothing any more.
    async fn stop(&mut self) {
        self.reader.abort();
        let _ = (&mut self.reader).await;
    }

    /// All that was written until the program's end.
    async fn all(self) -> Vec<String> {
        let Self { lines, reader } = self;
        reader.await.expect("it is read");
        std::mem::take(&mut *lines.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Runs a program with these settings on a port of its own, its log at the lowest level of all, while `visit` uses it at its
/// base URL. Gives all that it wrote.
///
/// # Errors
///
/// Where it does not start, with what it wrote.
pub async fn everything_it_writes(
    path: &str,
    settings: &[(&'static str, &str)],
    visit: impl AsyncFnOnce(String),
) -> Result<String, Box<dyn std::error::Error>> {
    let settings = settings.iter().map(|(name, value)| (*name, (*value).to_owned()));
    let program = Program::try_start(path, settings.chain([("RUST_LOG", "trace".to_owned())])).await?;
    visit(program.base_url.clone()).await;
    Ok(program.end().await)
}

impl Program {
    /// Starts the program on any port, in the development profile unless the settings say otherwise, and waits until it answers.
    ///
    /// # Panics
    ///
    /// Where it does not start.
    pub async fn start(path: &str, settings: impl IntoIterator<Item = (&'static str, String)>) -> Self {
        let settings = iter::once(("PROFILE", "development".to_owned())).chain(settings);
        Self::try_start(path, settings).await.unwrap_or_else(|wrote| panic!("it does not start: {wrote}"))
    }

    /// The same with no other settings than these. Gives all that it wrote where it ends before it answers.
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
        let log = Writing::read(process.stdout.take().expect("it is piped"));
        let errors = Writing::read(process.stderr.take().expect("it is piped"));
        let mut program = Self { process, base_url: String::new(), metrics_url: None, log, errors };
        let says = |line: &Value, end: &str| line["message"].as_str().is_some_and(|message| message.ends_with(end));
        tokio::select! {
            line = line(&program.log, |line| says(line, "is listening")) => program.base_url = url(&line),
            _ = program.process.wait() => return Err(program.end().await),
        }
        program.metrics_url = program.lines().iter().find(|line| says(line, "served at /metrics")).map(url);
        Ok(program)
    }

    /// Stops it. Gives all that it wrote.
    async fn end(mut self) -> String {
        if let Some(id) = self.process.id().and_then(|id| id.try_into().ok()) {
            // It may have ended by itself.
            let _ = kill(Pid::from_raw(id), Signal::SIGTERM);
        }
        timeout(PATIENCE, self.process.wait()).await.expect("it stops in time").expect("it can be waited for");
        let lines = [self.log.all().await, self.errors.all().await].concat();
        lines.into_iter().map(|line| line + "\n").collect()
    }

    /// Closes the pipes of its output, as if the log's reader had ended.
    pub async fn stop_reading(&mut self) {
        self.log.stop().await;
        self.errors.stop().await;
    }

    /// What it has logged until now.
    ///
    /// # Panics
    ///
    /// Where a line is no JSON.
    pub fn lines(&self) -> Vec<Value> {
        parsed(&self.log)
    }

    /// The first line of the log that is as wanted, as soon as it is there.
    ///
    /// # Panics
    ///
    /// Where there is none after half a minute.
    pub async fn line(&self, wanted: impl Fn(&Value) -> bool) -> Value {
        line(&self.log, wanted).await
    }

    /// Scrapes its metrics.
    ///
    /// # Panics
    ///
    /// Where it has none, or not as Prometheus reads them.
    pub async fn scrape(&self) -> Scrape {
        let url = self.metrics_url.as_ref().unwrap_or_else(|| panic!("METRICS_PORT is not among the settings"));
        let answer = reqwest::get(format!("{url}/metrics")).await.expect("the metrics are served");
        Scrape::read(&answer.text().await.expect("they are text"))
    }
}

fn url(line: &Value) -> String {
    format!("http://{}", line["address"].as_str().expect("the line names the address"))
}

fn parsed(log: &Writing) -> Vec<Value> {
    log.lines().iter().map(|line| serde_json::from_str(line).expect("a line of the log is JSON")).collect()
}

async fn line(log: &Writing, wanted: impl Fn(&Value) -> bool) -> Value {
    let started = Instant::now();
    loop {
        let lines = parsed(log);
        if let Some(line) = lines.iter().find(|line| wanted(line)) {
            return line.clone();
        }
        assert!(started.elapsed() < PATIENCE, "no such line in {lines:#?}");
        sleep(POLL).await;
    }
}
