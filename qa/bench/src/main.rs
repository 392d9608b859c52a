//! Service benchmarks. Each run measures a value and its baseline alternately, and reports their ratio.
//!
//! This file parses the command line, manages the run directory, and determines the exit code.

mod baseline;
mod cases;
mod empty;
mod load;
mod plot;
mod requests;
mod results;
mod system;

use std::cell::RefCell;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::{Parser, ValueEnum};
use private_server::{Program, install_command};

use crate::cases::{Bench, Case};

const HELP: &str = "\
Runs the services in the production profile on a private database server with full durability. Keep the machine
otherwise idle, because other load distorts the results.

Exit codes:
  0  all cases were measured, regardless of whether they met their targets
  1  a case is worse than in the --baseline file, or a data invariant is violated
  2  usage error
  3  a case could not be measured

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
    /// Run fewer and shorter rounds, so that all cases finish within 15 minutes
    #[arg(long)]
    quick: bool,
    /// Write the results to this file as a JSON array
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Write an SVG plot of the latencies to this directory
    #[arg(long, value_name = "DIR")]
    plots: Option<PathBuf>,
    /// Compare the results with this file, which an earlier run wrote with --json
    #[arg(long, value_name = "FILE")]
    baseline: Option<PathBuf>,
    /// Database server executable, mariadbd or mysqld [default: the first one found]
    #[arg(long, value_name = "PATH")]
    program: Option<PathBuf>,
    /// Directory in which to create the run directory
    #[arg(long, value_name = "DIR", default_value = ".local/bench")]
    directory: PathBuf,
    /// Keep the logs and data of a successful run
    #[arg(long)]
    keep: bool,
    #[command(flatten)]
    color: colorchoice_clap::Color,
    /// Serve the no-op operation (used by the benchmark itself)
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

/// Runs the cases and reports their results. Returns false on a regression or a violated data invariant.
async fn run(arguments: &Arguments) -> Result<bool> {
    let program = match &arguments.program {
        Some(path) => Program::at(path).with_context(|| format!("{} is not a database server", path.display()))?,
        None => Program::find().with_context(|| format!("no database server found: {}", install_command()))?,
    };
    let earlier = arguments.baseline.as_deref().map(results::read).transpose()?;
    let parent = &arguments.directory;
    std::fs::create_dir_all(parent).with_context(|| format!("cannot create {}", parent.display()))?;
    // The database server requires an absolute path.
    let directory = tempfile::Builder::new().prefix("run-").tempdir_in(std::fs::canonicalize(parent)?)?;
    println!("{program}, logs in {}", directory.path().display());
    let (rounds, each, recorded) = if arguments.quick { (3, 2, 1_000) } else { (5, 5, 2_000) };
    let (each, path, is_quick) = (Duration::from_secs(each), directory.path().to_owned(), arguments.quick);
    let bench = Bench { program, directory: path, rounds, each, recorded, is_quick, results: RefCell::default() };
    let measured = measure(&bench, &arguments.cases).await;
    let results = bench.results.into_inner();
    println!("\n{}\n\n{}", results::table(&results.outcomes), results::summary(&results.outcomes));
    // A failed run also writes the results obtained so far.
    if let Some(file) = &arguments.json {
        let json = serde_json::to_vec_pretty(&results.outcomes)?;
        std::fs::write(file, json).with_context(|| format!("cannot write {}", file.display()))?;
    }
    if let Some(directory) = &arguments.plots {
        plot::write(directory, &results.latencies)?;
    }
    let (comparison, is_worse) = results::comparison(&earlier.unwrap_or_default(), &results.outcomes);
    if arguments.baseline.is_some() {
        println!("\n{comparison}");
    }
    if measured.is_ok() && results.violations == 0 && !arguments.keep {
        directory.close().context("cannot remove the run directory")?;
    } else {
        println!("logs and data kept in {}", directory.keep().display());
    }
    measured.map(|()| results.violations == 0 && !is_worse)
}

/// Runs the given cases, or all cases if none are given, once each in declaration order. Continues after a failed case.
async fn measure(bench: &Bench, cases: &[Case]) -> Result<()> {
    let mut failed = Vec::new();
    for case in Case::value_variants().iter().filter(|case| cases.is_empty() || cases.contains(case)) {
        if let Err(error) = case.measure(bench).await {
            anstream::println!("\x1b[31mFAILED\x1b[0m {case:?}: {error:#}");
            failed.push(format!("{case:?}"));
        }
    }
    ensure!(failed.is_empty(), "could not be measured: {}", failed.join(", "));
    Ok(())
}
