//! Open loops, by the program `oha`: requests are due at a steady rate whatever became of those before, and the time of
//! each counts from the moment in which it was due. So whoever waits behind a pause of the system is counted as well.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use tokio::process::Command;

/// More than are ever busy at half the rate of a closed loop, so that a request that is due finds one free.
const CONNECTIONS: &str = "64";

/// What is sent.
pub(crate) enum Requests {
    /// GET of one of the URLs in the file, one in each line, at random.
    Get(PathBuf),
    /// POST to this URL of one of the bodies in the file, one in each line, at random.
    Post(String, PathBuf),
}

/// The percentiles that are told.
pub(crate) const PERCENTILES: [(f64, &str); 6] =
    [(50.0, "p50"), (75.0, "p75"), (90.0, "p90"), (95.0, "p95"), (99.0, "p99"), (99.9, "p99.9")];

/// What came of it, as the program writes it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Report {
    /// In seconds.
    latency_percentiles: BTreeMap<String, Option<f64>>,
    status_code_distribution: BTreeMap<String, u64>,
    error_distribution: BTreeMap<String, u64>,
}

/// Sends so many requests per second for so long, and gives the latency in ms of each of [`PERCENTILES`].
///
/// # Errors
///
/// Where the program cannot be run, and where not every request was answered with success.
pub(crate) async fn run(
    program: &Path,
    requests: &Requests,
    token: &str,
    rate: f64,
    length: Duration,
) -> Result<Vec<f64>> {
    let mut command = Command::new(program);
    command.args(["--no-tui", "--output-format", "json", "--latency-correction", "-w", "-c", CONNECTIONS]);
    command.arg("-z").arg(format!("{}s", length.as_secs())).arg("-q").arg(format!("{rate:.0}"));
    command.arg("-H").arg(format!("Authorization: Bearer {token}"));
    match requests {
        Requests::Get(urls) => command.arg("--urls-from-file").arg(urls),
        Requests::Post(url, bodies) => {
            command.args(["-m", "POST", "-T", "application/json", "-Z"]).arg(bodies).arg(url)
        }
    };
    let output = command.kill_on_drop(true).output().await;
    let output = output.with_context(|| format!("cannot run {}", program.display()))?;
    let report: Report = serde_json::from_slice(&output.stdout)
        .with_context(|| format!("oha fails: {}", String::from_utf8_lossy(&output.stderr)))?;
    let Report { latency_percentiles, status_code_distribution, error_distribution } = report;
    let is_well = |status: &String| status.starts_with('2');
    ensure!(
        error_distribution.is_empty() && status_code_distribution.keys().all(is_well),
        "not every request was answered as it should be: {status_code_distribution:?}, {error_distribution:?}"
    );
    let latency = |name| {
        let seconds = latency_percentiles.get(name).copied().flatten();
        seconds.map(|seconds| seconds * 1e3).with_context(|| format!("oha does not tell {name}"))
    };
    PERCENTILES.iter().map(|(_, name)| latency(*name)).collect()
}
