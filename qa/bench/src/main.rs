//! Benchmarks of the services. Each value is measured in turn with a baseline in the same run, and the ratio counts.
//!
//! This file: command line, run directory, exit code. `cases` defines what is measured against what. `system` starts the
//! processes, `load` drives loops, `requests` sends HTTP, `recording` and `baseline` replay the services' own statements.
//! `results` aggregates rounds, `report` and `plot` present them, `empty` is a server that does nothing.

mod baseline;
mod cases;
mod empty;
mod load;
mod plot;
mod recording;
mod report;
mod requests;
mod results;
mod system;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::{Parser, ValueEnum};
use private_server::{Program, install_command};

use crate::cases::{Bench, Case};
use crate::results::Results;

const HELP: &str = "\
Services run in the production profile on a private, durable database server. Run nothing else meanwhile.

Exit codes:
  0  everything was measured, even if a target is missed
  1  a case is slower than in the --baseline file, or a data invariant is violated
  2  wrong usage
  3  something could not be measured

Examples:
  bench --quick
  bench --json after.json --baseline before.json --plots plots
  bench order_create_hot --program /usr/local/mysql/bin/mysqld";

/// Benchmark the services
#[derive(Parser)]
#[command(version, after_help = HELP, max_term_width = 100)]
struct Arguments {
    /// Cases to run [default: all]
    #[arg(value_enum, value_name = "CASE")]
    cases: Vec<Case>,
    /// Run fewer and shorter rounds: everything within 15 minutes
    #[arg(long)]
    quick: bool,
    /// Write the results to this file as a JSON array
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Write a plot of the latencies (SVG) to this directory
    #[arg(long, value_name = "DIR")]
    plots: Option<PathBuf>,
    /// Compare with an earlier --json file
    #[arg(long, value_name = "FILE")]
    baseline: Option<PathBuf>,
    /// Database server to run, mariadbd or mysqld [default: the first one found]
    #[arg(long, value_name = "PATH")]
    program: Option<PathBuf>,
    /// Parent of the run directory
    #[arg(long, value_name = "DIR", default_value = ".local/bench")]
    directory: PathBuf,
    /// Keep logs and data of a successful run
    #[arg(long)]
    keep: bool,
    #[command(flatten)]
    color: colorchoice_clap::Color,
    /// Serve the empty operation, for the run that started this process
    #[arg(long, hide = true)]
    serve_empty: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    arguments.color.write_global();
    let done = if arguments.serve_empty { empty::serve().await.map(|()| true) } else { run(&arguments).await };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            anstream::eprintln!("\x1b[31merror:\x1b[0m {error:#}");
            ExitCode::from(3)
        }
    }
}

/// Runs the cases and reports. False if the run found a regression or a violated invariant.
async fn run(arguments: &Arguments) -> Result<bool> {
    let program = match &arguments.program {
        Some(path) => Program::at(path).with_context(|| format!("{} is no database server", path.display()))?,
        None => Program::find().with_context(|| format!("no database server found: {}", install_command()))?,
    };
    let earlier = arguments.baseline.as_deref().map(report::read).transpose()?;
    let parent = &arguments.directory;
    std::fs::create_dir_all(parent).with_context(|| format!("cannot create {}", parent.display()))?;
    // The database server needs an absolute path.
    let directory = tempfile::Builder::new().prefix("run-").tempdir_in(std::fs::canonicalize(parent)?)?;
    println!("{program}, logs in {}", directory.path().display());
    let mut results = Results::default();
    let measured = measure(arguments, program, directory.path(), &mut results).await;
    println!("\n{}\n\n{}", report::table(&results.outcomes), report::summary(&results.outcomes));
    // A failed run also keeps what it measured until then.
    if let Some(file) = &arguments.json {
        let json = serde_json::to_vec_pretty(&results.outcomes)?;
        std::fs::write(file, json).with_context(|| format!("cannot write {}", file.display()))?;
    }
    if let Some(directory) = &arguments.plots {
        plot::write(directory, &results.latencies)?;
    }
    let (comparison, is_worse) = report::comparison(&earlier.unwrap_or_default(), &results.outcomes);
    if arguments.baseline.is_some() {
        println!("\n{comparison}");
    }
    if measured.is_ok() && results.violations == 0 && !arguments.keep {
        directory.close().context("cannot remove the run directory")?;
    } else {
        println!("logs and data are in {}", directory.keep().display());
    }
    measured.map(|()| results.violations == 0 && !is_worse)
}

/// Runs the cases in their own order, each once. A case that fails does not stop the others.
async fn measure(arguments: &Arguments, program: Program, directory: &Path, results: &mut Results) -> Result<()> {
    let is_quick = arguments.quick;
    let (rounds, each, recorded) = if is_quick { (3, 2, 1_000) } else { (5, 5, 2_000) };
    let (each, directory) = (Duration::from_secs(each), directory.to_owned());
    let bench = Bench { program, directory, rounds, each, warm_up: each / 2, recorded, is_quick };
    let mut failed = Vec::new();
    let is_asked = |case: &&Case| arguments.cases.is_empty() || arguments.cases.contains(case);
    for case in Case::value_variants().iter().filter(is_asked) {
        if let Err(error) = case.measure(&bench, results).await {
            anstream::println!("\x1b[31mFAILED\x1b[0m {case:?}: {error:#}");
            failed.push(format!("{case:?}"));
        }
    }
    ensure!(failed.is_empty(), "could not be measured: {}", failed.join(", "));
    Ok(())
}
