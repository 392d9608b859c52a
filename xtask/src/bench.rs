//! `bench`: a program of its own, which measures the services as they are released.

use std::path::absolute;
use std::process::ExitCode;

use anyhow::Result;

use crate::cargo_tool::OHA;
use crate::cli::BenchArgs;
use crate::home::Home;
use crate::progress::Progress;
use crate::system::System;
use crate::tool::WRK;
use crate::{process, programs, workspace};

/// What is measured.
const MEASURED: [&str; 4] = ["customers", "orders", "orchestrator", "db-cli"];
/// What measures. It is built apart, as it asks for features that those are released without.
const PROGRAM: &str = "bench";
/// The only case that needs the program for open loops.
const OPEN_LOOP: &str = "open_loop";

pub(crate) fn run(args: &BenchArgs) -> Result<ExitCode> {
    let BenchArgs { cases, quick, json, plots, baseline, program, keep, install } = args;
    let directory = workspace::bench_directory();
    let home = Home::take_or_say_who(&directory, "bench")?;
    let progress = Progress::new(false);
    let wrk = WRK.find_or_install(*install, &progress, &home.claim)?;
    let mut system = System::new(Some(home), progress)?;
    let is_open = cases.is_empty() || cases.iter().any(|case| case == OPEN_LOOP);
    let oha = if is_open { Some(OHA.path(*install, &mut system)?) } else { None };
    if programs::build_released(&mut system, &MEASURED)?.is_none() {
        return Ok(ExitCode::FAILURE);
    }
    let Some(programs) = programs::build_released(&mut system, &[PROGRAM])? else {
        return Ok(ExitCode::FAILURE);
    };
    let mut command = programs.command(PROGRAM, "qa/bench")?;
    command.args(cases).arg("--directory").arg(directory).arg("--wrk").arg(wrk);
    if let Some(oha) = oha {
        command.arg("--oha").arg(oha);
    }
    for (name, path) in [("--json", json), ("--plots", plots), ("--baseline", baseline), ("--program", program)] {
        if let Some(path) = path {
            // The program runs elsewhere.
            command.arg(name).arg(absolute(path)?);
        }
    }
    for (name, is_given) in [("--quick", *quick), ("--keep", *keep)] {
        if is_given {
            command.arg(name);
        }
    }
    system.run_attached("bench", &command).map(process::exit_code)
}
