//! Runs the real system, disturbs it, and verifies what is left: `chaos` makes faults from a seed, `rolling` restarts
//! replicas behind the edge proxy, `abuse` attacks that proxy.
//!
//! Here are the command line, the directory of a run, and the exit code. `system` is what runs, `verify` checks what became
//! of it.

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

const EXIT_CODES: &str =
    "Exit codes: 0 without a violation, 1 with one, 2 for wrong usage, 3 if the run could not be made.";
const CHAOS: &str = "Kills, stops and restarts the services and a private database server, and cuts, delays and \
truncates the connections between them. At the end every client gets its answer; then answers and data invariants are \
verified. Ctrl-C ends the run early and verifies it.

Examples:
  chaos --minutes 30
  chaos --minutes 2 --seed 4711
  chaos --program /usr/local/mysql/bin/mysqld

";
const ROLLING: &str = "Violations are a client that retries and gets no answer, a race with a wrong end, a lost \
answer, and a broken data invariant.

Examples:
  rolling --minutes 30 --clients 16

";
const ABUSE: &str = "Sends requests that must not get in. Then holds 2,001 connections for 20 s, again and again, \
while an operator reads and orders. Violations are a request that gets in, an operator who is not served or is served \
more than twice as slowly at the 99th percentile, a connection that is held for long, and a process that grows.

Examples:
  abuse --minutes 10

";

/// Run the real system, disturb it, and verify what is left
#[derive(Parser)]
#[command(version, propagate_version = true, disable_help_subcommand = true, after_help = EXIT_CODES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    /// Length of the disturbance
    #[arg(long, global = true, default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=1440))]
    minutes: u32,
    /// Database server to run, a mariadbd or mysqld [default: the first one found]
    #[arg(long, global = true, value_name = "PATH")]
    program: Option<PathBuf>,
    /// Keep logs and data without a violation, too
    #[arg(long, global = true)]
    keep: bool,
    /// Parent of the directory of the run [default: .local/COMMAND]
    #[arg(long, global = true, value_name = "PATH")]
    directory: Option<PathBuf>,
    #[command(flatten)]
    color: colorchoice_clap::Color,
}

#[derive(Subcommand)]
enum Command {
    /// Make faults from a seed, under load
    #[command(after_help = [CHAOS, EXIT_CODES].concat())]
    Chaos(Load),
    /// Restart two replicas of each service behind HAProxy one by one, under load
    #[command(after_help = [ROLLING, EXIT_CODES].concat())]
    Rolling {
        #[command(flatten)]
        load: Load,
        #[command(flatten)]
        edge: Edge,
    },
    /// Attack HAProxy and the services behind it, and measure what others notice
    #[command(after_help = [ABUSE, EXIT_CODES].concat())]
    Abuse {
        #[command(flatten)]
        edge: Edge,
        /// Report how much slower others are served, but accept it
        #[arg(long)]
        lenient: bool,
    },
}

/// Options of the load.
#[derive(Args)]
struct Load {
    /// Seed of the clients' requests and of the faults [default: random]
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
        run.journal.figure(format_args!("seed        {seed}"));
        let load = workload::Load::start(targets, seed, self.clients.into()).await;
        Ok((seed, load.context("the load does not start")?))
    }
}

/// What every run has.
struct Run {
    length: Duration,
    program: Program,
    directory: PathBuf,
    /// Turns true at the first signal.
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

/// Whether there was no violation.
async fn run(Cli { command, minutes, program, keep, directory, .. }: Cli) -> Result<bool> {
    let name = match command {
        Command::Chaos(_) => "chaos",
        Command::Rolling { .. } => "rolling",
        Command::Abuse { .. } => "abuse",
    };
    let program = match program {
        Some(path) => Program::at(&path).with_context(|| format!("{} is no server", path.display()))?,
        None => {
            Program::find().with_context(|| format!("no database server: {}", private_server::install_command()))?
        }
    };
    // Absolute: the programs of a run may have other working directories.
    let parent = std::path::absolute(directory.unwrap_or_else(|| PathBuf::from(".local").join(name)))?;
    let directory =
        std::fs::create_dir_all(&parent).and_then(|()| tempfile::Builder::new().prefix("run-").tempdir_in(&parent));
    let directory = directory.with_context(|| format!("cannot create a directory in {}", parent.display()))?;
    print(format_args!("{minutes} min, {program}"));
    print(format_args!("logs in {}", directory.path().display()));
    let run = Run {
        length: Duration::from_secs(u64::from(minutes) * 60),
        directory: directory.path().to_owned(),
        program,
        interrupted: listen_for_interrupts()?,
        journal: Journal::default(),
    };
    run.journal.figure(format_args!("engine      {}", run.program));
    let result = match &command {
        Command::Chaos(load) => chaos::run(&run, load).await,
        Command::Rolling { load, edge } => rolling::run(&run, load, edge).await,
        Command::Abuse { edge, lenient } => abuse::run(&run, edge, *lenient).await,
    };
    let is_well = result.is_ok() && run.journal.finish();
    if is_well && !keep {
        directory.close().context("cannot remove the directory of the run")?;
    } else {
        print(format_args!("logs and data are kept in {}", directory.keep().display()));
    }
    result.map(|()| is_well)
}

/// Turns true at the first SIGINT, SIGTERM or SIGHUP. The second ends this program at once, and what it started ends
/// with it.
fn listen_for_interrupts() -> Result<watch::Receiver<bool>> {
    let (sender, interrupted) = watch::channel(false);
    for kind in [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()] {
        let (mut signals, sender) = (signal(kind).context("cannot listen for signals")?, sender.clone());
        tokio::spawn(async move {
            while signals.recv().await.is_some() {
                if sender.send_replace(true) {
                    print("interrupted twice; everything is stopped, nothing is verified");
                    std::process::exit(130);
                }
                print("interrupted; the clients finish, then the run is verified");
            }
        });
    }
    Ok(interrupted)
}

/// Sleeps for so long. Returns at once, with false, when the run is interrupted.
async fn sleep_unless(interrupted: &watch::Receiver<bool>, duration: Duration) -> bool {
    // An error means that the sender is gone, and then this program is ending.
    timeout(duration, interrupted.clone().wait_for(|interrupted| *interrupted)).await.is_err()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        use clap::CommandFactory;
        Cli::command().debug_assert();
        let cli = Cli::parse_from(["faults", "chaos", "--minutes", "3", "--seed", "7"]);
        assert_eq!(cli.minutes, 3);
        assert!(matches!(cli.command, Command::Chaos(Load { seed: Some(7), clients: 8 })));
    }
}
