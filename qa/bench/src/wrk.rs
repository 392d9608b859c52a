//! Closed loops, by the program `wrk`: so many connections, on each of which the next request is sent when the one before
//! is answered.
//!
//! What is sent is said by the scripts in `wrk/`, which get their values from the environment and print what came of it
//! as the last line.

use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;
use tokio::process::Command;

/// What every script has in front.
const COMMON: &str = include_str!("../wrk/common.lua");

/// What is sent.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Script {
    /// GET `PATH`, followed by a random id from `FIRST` to `LAST` if these are given.
    Get,
    /// POST /orders for random customers from `CUSTOMER_FIRST` to `CUSTOMER_LAST`, of one piece of each product from
    /// `PRODUCT_FIRST` to `PRODUCT_LAST` in turn, under a new key each.
    Create,
    /// POST `PATH` id `ACTION`, for the ids from `FIRST` to `LAST` in turn, under a new key each.
    Transition,
    /// POST to the orchestrator what [`Script::Create`] sends to the orders service.
    Saga,
}

impl Script {
    const ALL: [Self; 4] = [Self::Get, Self::Create, Self::Transition, Self::Saga];

    fn name(self) -> &'static str {
        match self {
            Self::Get => "get.lua",
            Self::Create => "create.lua",
            Self::Transition => "transition.lua",
            Self::Saga => "saga.lua",
        }
    }

    fn text(self) -> &'static str {
        match self {
            Self::Get => include_str!("../wrk/get.lua"),
            Self::Create => include_str!("../wrk/create.lua"),
            Self::Transition => include_str!("../wrk/transition.lua"),
            Self::Saga => include_str!("../wrk/saga.lua"),
        }
    }
}

/// The program, and where its scripts are.
#[derive(Clone)]
pub(crate) struct Wrk {
    program: PathBuf,
    scripts: PathBuf,
}

/// A load to be made.
#[derive(Clone)]
pub(crate) struct Load {
    script: Script,
    base: String,
    connections: u16,
    length: Duration,
    variables: Vec<(String, String)>,
}

impl Load {
    /// On the server at `base`.
    pub(crate) fn new(script: Script, base: &str, connections: u16, length: Duration) -> Self {
        Self { script, base: base.to_owned(), connections, length, variables: Vec::new() }
    }

    /// With this value for the script.
    pub(crate) fn with(mut self, name: &str, value: impl Display) -> Self {
        self.variables.push((format!("BENCH_{name}"), value.to_string()));
        self
    }

    /// For so long instead.
    pub(crate) fn lasting(self, length: Duration) -> Self {
        Self { length, ..self }
    }
}

/// What came of a load.
#[derive(Debug, Deserialize)]
pub(crate) struct Made {
    requests: u64,
    microseconds: f64,
    errors: Errors,
    /// How many ids were used of those that were given; 0 where none are used up.
    #[serde(default)]
    pub(crate) used: i64,
}

#[derive(Debug, Deserialize)]
struct Errors {
    connect: u64,
    read: u64,
    write: u64,
    timeout: u64,
    /// Statuses from 400.
    status: u64,
}

impl Made {
    /// Answers per second.
    #[expect(clippy::cast_precision_loss, reason = "nobody measures 2^52 requests")]
    pub(crate) fn rate(&self) -> f64 {
        self.requests as f64 * 1e6 / self.microseconds
    }

    fn failures(&self) -> u64 {
        let Errors { connect, read, write, timeout, status } = self.errors;
        connect + read + write + timeout + status
    }
}

impl Wrk {
    /// Writes the scripts to `directory`.
    ///
    /// # Errors
    ///
    /// Where that is not possible.
    pub(crate) fn new(program: PathBuf, directory: &Path) -> Result<Self> {
        std::fs::create_dir_all(directory)?;
        for script in Script::ALL {
            std::fs::write(directory.join(script.name()), [COMMON, script.text()].join("\n"))?;
        }
        Ok(Self { program, scripts: directory.to_owned() })
    }

    /// Makes a load, and gives what came of it.
    ///
    /// # Errors
    ///
    /// Where the program cannot be run, and where not every request was answered with success.
    pub(crate) async fn run(&self, load: &Load) -> Result<Made> {
        let Load { script, base, connections, length, variables } = load;
        let mut command = Command::new(&self.program);
        // One thread is enough for what two cores can serve, and leaves them the rest.
        command.args(["--threads", "1", "--timeout", "30s", "--connections"]).arg(connections.to_string());
        command.arg("--duration").arg(format!("{}s", length.as_secs().max(1)));
        command.arg("--script").arg(self.scripts.join(script.name())).arg(base);
        command.env("BENCH_RUN", format!("{:032x}", rand::random::<u128>()));
        command.envs(variables.iter().map(|(name, value)| (name, value))).kill_on_drop(true);
        let output = command.output().await.with_context(|| format!("cannot run {}", self.program.display()))?;
        let text = String::from_utf8_lossy(&output.stdout);
        let last = text.lines().last().unwrap_or_default();
        let Ok(made) = serde_json::from_str::<Made>(last) else {
            bail!("wrk fails on {}: {text}{}", script.name(), String::from_utf8_lossy(&output.stderr));
        };
        ensure!(made.failures() == 0, "not every request of {} was answered as it should be: {last}", script.name());
        ensure!(made.requests > 0, "no request of {} was answered", script.name());
        Ok(made)
    }
}
