//! A server's program as a process of its own, started from nothing but the settings of a test.

#![expect(clippy::expect_used, clippy::panic, reason = "a helper of a test fails the test")]

use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::time::sleep;

use super::Numbers;

/// How long anything that is waited for may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long to wait before looking again.
const POLL: Duration = Duration::from_millis(10);

/// A running program. It ends with the test.
pub struct Program {
    /// The process itself.
    pub process: Child,
    /// Where it answers.
    pub base_url: String,
    numbers_url: Option<String>,
    log: Arc<Mutex<Vec<Value>>>,
}

impl Program {
    /// Starts the program on any port, in the development profile unless the settings say otherwise, and waits until it answers.
    ///
    /// # Panics
    ///
    /// Where it does not start.
    pub async fn start(path: &str, settings: impl IntoIterator<Item = (&'static str, String)>) -> Self {
        let mut process = Command::new(path)
            .env_clear()
            .envs([("PORT", "0"), ("LOG_FORMAT", "json"), ("PROFILE", "development")])
            .envs(settings)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("the program starts");
        let mut lines = BufReader::new(process.stdout.take().expect("it is piped")).lines();
        let log = Arc::<Mutex<Vec<Value>>>::default();
        let kept = Arc::clone(&log);
        tokio::spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                let line = serde_json::from_str(&line).expect("a line of the log is JSON");
                kept.lock().unwrap_or_else(PoisonError::into_inner).push(line);
            }
        });
        let mut program = Self { process, base_url: String::new(), numbers_url: None, log };
        let says = |line: &Value, end: &str| line["message"].as_str().is_some_and(|message| message.ends_with(end));
        program.base_url = url(&program.line(|line| says(line, "is listening")).await);
        program.numbers_url = program.lines().iter().find(|line| says(line, "served at /metrics")).map(url);
        program
    }

    /// What it has logged until now.
    pub fn lines(&self) -> Vec<Value> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The first line of the log that is as wanted, as soon as it is there.
    ///
    /// # Panics
    ///
    /// Where there is none after half a minute.
    pub async fn line(&self, wanted: impl Fn(&Value) -> bool) -> Value {
        let started = Instant::now();
        loop {
            if let Some(line) = self.lines().into_iter().find(&wanted) {
                return line;
            }
            assert!(started.elapsed() < PATIENCE, "no such line in {:#?}", self.lines());
            sleep(POLL).await;
        }
    }

    /// What it tells Prometheus.
    ///
    /// # Panics
    ///
    /// Where it tells nothing, or not as Prometheus reads it.
    pub async fn numbers(&self) -> Numbers {
        let url = self.numbers_url.as_ref().unwrap_or_else(|| panic!("METRICS_PORT is not among the settings"));
        let answer = reqwest::get(format!("{url}/metrics")).await.expect("the numbers are served");
        Numbers::read(&answer.text().await.expect("they are text"))
    }
}

fn url(line: &Value) -> String {
    format!("http://{}", line["address"].as_str().expect("the line names the address"))
}
