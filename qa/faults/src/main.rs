//! Runs the real system under adverse conditions and verifies the result: `chaos` injects a seeded schedule of faults,
//! `rolling` restarts replicas behind the edge proxy, and `abuse` attacks the edge proxy.
//!
//! This file parses the command line, manages the run directory, and determines the exit code.

mod abuse;
mod chaos;
mod proxy;
mod races;
mod report;
mod rolling;
mod schedule;
mod system;
mod verify;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::{Args, Parser, Subcommand};
use private_server::Program;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::time::timeout;

use crate::report::{Journal, print};
use crate::system::edge::Edge;

const EXIT_CODES: &str = "Exit codes: 0 no violation, 1 violation found, 2 usage error, 3 could not run, \
130 interrupted twice.";
const CHAOS: &str = "Kills and pauses the services, kills and restarts a private database server, and closes \
connections or delays and truncates their data. After the last fault, clients retry until every request has a definite \
response; then the responses and the data invariants are verified. Ctrl-C stops fault injection early and starts the \
verification.

Examples:
  chaos --minutes 30
  chaos --minutes 2 --seed 4711
  chaos --program /usr/local/mysql/bin/mysqld

";
const ROLLING: &str = "Reports a violation if a retrying client never gets a definite response, a race has a wrong \
result, the database contradicts an acknowledged response, or a data invariant does not hold.

Examples:
  rolling --minutes 30 --clients 16

";
const ABUSE: &str = "Sends requests that the edge proxy must reject. Then repeatedly holds 2,001 connections open for \
20 s while regular clients read customers and create orders. Reports a violation if a forbidden request is not \
rejected, a regular client's request fails, the p99 latency is more than twice the latency without an attack, a \
connection stays open too long, or the memory usage of a process grows too much.

Examples:
  abuse --minutes 10

";

/// Run the real system, inject faults or attack it, and verify the result
#[derive(Parser)]
#[command(version, propagate_version = true, disable_help_subcommand = true, after_help = EXIT_CODES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    /// Duration of the run in minutes, excluding startup and verification
    #[arg(long, global = true, default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=1440))]
    minutes: u32,
    /// Database server executable, mariadbd or mysqld [default: the first one found]
    #[arg(long, global = true, value_name = "PATH")]
    program: Option<PathBuf>,
    /// Keep the logs and data of a successful run
    #[arg(long, global = true)]
    keep: bool,
    /// Directory in which to create the run directory [default: .local/COMMAND]
    #[arg(long, global = true, value_name = "PATH")]
    directory: Option<PathBuf>,
    #[command(flatten)]
    color: colorchoice_clap::Color,
}

#[derive(Subcommand)]
enum Command {
    /// Inject a seeded schedule of faults under load
    #[command(after_help = [CHAOS, EXIT_CODES].concat())]
    Chaos(Load),
    /// Restart two replicas of each service one at a time, behind HAProxy and under load
    #[command(after_help = [ROLLING, EXIT_CODES].concat())]
    Rolling {
        #[command(flatten)]
        load: Load,
        #[command(flatten)]
        edge: Edge,
    },
    /// Attack HAProxy and the services behind it, and measure the effect on regular clients
    #[command(after_help = [ABUSE, EXIT_CODES].concat())]
    Abuse {
        #[command(flatten)]
        edge: Edge,
        /// Report the latency of regular clients without enforcing its limit
        #[arg(long)]
        lenient: bool,
    },
}

/// Load options.
#[derive(Args)]
struct Load {
    /// Seed for requests and faults [default: random]
    #[arg(long)]
    seed: Option<u64>,
    /// Number of clients
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=256))]
    clients: u16,
}

impl Load {
    async fn start(&self, run: &Run, targets: workload::Targets) -> Result<(u64, workload::Load)> {
        let seed = self.seed.unwrap_or_else(rand::random);
        print(format_args!("seed {seed}"));
        run.journal.summary_line(format_args!("seed        {seed}"));
        let load = workload::Load::start(targets, seed, self.clients.into()).await;
        Ok((seed, load.context("cannot start the load")?))
    }
}

/// Context of a run.
struct Run {
    length: Duration,
    program: Program,
    directory: PathBuf,
    /// Becomes true at the first signal.
    interrupted: watch::Receiver<bool>,
    journal: Journal,
}

#[tokio::main]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    cli.color.write_global();
    match run(cli).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            print(format_args!("error: {error:#}"));
            ExitCode::from(3)
        }
    }
}

/// Executes a command. Returns whether the run found no violation.
async fn run(Cli { command, minutes, program, keep, directory, .. }: Cli) -> Result<bool> {
    let name = match command {
        Command::Chaos(_) => "chaos",
        Command::Rolling { .. } => "rolling",
        Command::Abuse { .. } => "abuse",
    };
    let program = match program {
        Some(path) => Program::at(&path).with_context(|| format!("{} is not a database server", path.display()))?,
        None => Program::find()
            .with_context(|| format!("no database server found: {}", private_server::install_command()))?,
    };
    // Absolute, because the processes of a run may have other working directories.
    let parent = std::path::absolute(directory.unwrap_or_else(|| PathBuf::from(".local").join(name)))?;
    let directory =
        std::fs::create_dir_all(&parent).and_then(|()| tempfile::Builder::new().prefix("run-").tempdir_in(&parent));
    let directory = directory.with_context(|| format!("cannot create a run directory in {}", parent.display()))?;
    print(format_args!("{minutes} min, {program}"));
    print(format_args!("logs in {}", directory.path().display()));
    let run = Run {
        length: Duration::from_secs(u64::from(minutes) * 60),
        directory: directory.path().to_owned(),
        program,
        interrupted: listen_for_interrupts()?,
        journal: Journal::default(),
    };
    run.journal.summary_line(format_args!("engine      {}", run.program));
    let result = match &command {
        Command::Chaos(load) => chaos::run(&run, load).await,
        Command::Rolling { load, edge } => rolling::run(&run, load, edge).await,
        Command::Abuse { edge, lenient } => abuse::run(&run, edge, *lenient).await,
    };
    let is_success = result.is_ok() && run.journal.finish();
    if is_success && !keep {
        directory.close().context("cannot remove the run directory")?;
    } else {
        print(format_args!("logs and data kept in {}", directory.keep().display()));
    }
    result.map(|()| is_success)
}

/// Returns a channel whose value becomes true at the first SIGINT, SIGTERM or SIGHUP. The second signal exits this
/// process immediately, which also stops all processes that it started.
fn listen_for_interrupts() -> Result<watch::Receiver<bool>> {
    let (sender, interrupted) = watch::channel(false);
    for kind in [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()] {
        let (mut signals, sender) = (signal(kind).context("cannot listen for signals")?, sender.clone());
        tokio::spawn(async move {
            while signals.recv().await.is_some() {
                if sender.send_replace(true) {
                    print("interrupted twice; exiting without verification");
                    std::process::exit(130);
                }
                print("interrupted; waiting for requests in flight, then verifying");
            }
        });
    }
    Ok(interrupted)
}

/// Sleeps for `duration` and returns true. Returns false as soon as the run is interrupted.
async fn sleep_unless(interrupted: &watch::Receiver<bool>, duration: Duration) -> bool {
    // An error means that the sender was dropped, which happens only when this program exits.
    timeout(duration, interrupted.clone().wait_for(|interrupted| *interrupted)).await.is_err()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn command_line_is_consistent() {
        use clap::CommandFactory;
        Cli::command().debug_assert();
        let cli = Cli::parse_from(["faults", "chaos", "--minutes", "3", "--seed", "7"]);
        assert_eq!(cli.minutes, 3);
        assert!(matches!(cli.command, Command::Chaos(Load { seed: Some(7), clients: 8 })));
    }
}
