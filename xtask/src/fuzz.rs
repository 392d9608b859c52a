//! `fuzz`: uses libFuzzer to search for untrusted input that causes a panic.
//!
//! Uses the stable compiler without sanitizers: the workspace contains no `unsafe` code that would require them.

use std::fs;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::cli::FuzzArgs;
use crate::outcome::{COULD_NOT_RUN, SUCCESS, VIOLATION};
use crate::system::System;
use crate::workspace;

/// Maximum input length: 128 KiB, twice the maximum body size.
const MAX_LENGTH: &str = "-max_len=131072";

/// Compiler flags for the coverage and comparison tracing that libFuzzer uses as feedback.
const COVERAGE: &str = "-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
     -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
     -Cllvm-args=-sanitizer-coverage-trace-compares -Cllvm-args=-simplifycfg-branch-fold-threshold=0 --cfg fuzzing";

pub(crate) async fn run(args: &FuzzArgs) -> Result<u8> {
    let system = System::new(None)?;
    if !system.run_attached(&cargo("build")).await?.success() {
        return Ok(COULD_NOT_RUN);
    }
    let directory = workspace::local("fuzz");
    fs::create_dir_all(directory.join("findings"))?;
    for target in targets(&args.targets)? {
        let corpus = directory.join(&target);
        fs::create_dir_all(&corpus)?;
        let findings = directory.join("findings").join(format!("{target}-"));
        let mut program = cargo("run");
        program.arg("--").arg(&corpus).args([MAX_LENGTH, &format!("-max_total_time={}", args.seconds)]);
        program.arg(format!("-artifact_prefix={}", findings.display())).env("FUZZ_TARGET", &target);
        if !system.run_attached(&program).await?.success() {
            return Ok(VIOLATION);
        }
    }
    Ok(SUCCESS)
}

/// Returns the command for the fuzz program. `--target` keeps RUSTFLAGS from applying to build scripts.
fn cargo(command: &str) -> Command {
    let mut cargo = workspace::cargo();
    cargo.args([command, "--quiet", "--package", "fuzz", "--bin", "fuzz", "--features", "libfuzzer"]);
    cargo.args(["--profile", "fuzz", "--target", "host-tuple"]).env("RUSTFLAGS", COVERAGE);
    cargo
}

fn targets(wanted: &[String]) -> Result<Vec<String>> {
    let output = workspace::output(cargo("run").env_remove("FUZZ_TARGET")).context("cannot list the targets")?;
    let known = Vec::from_iter(output.lines().map(str::to_owned));
    match wanted.iter().find(|target| !known.contains(target)) {
        Some(target) => bail!("unknown target {target}; the targets are {}", known.join(", ")),
        None if wanted.is_empty() => Ok(known),
        None => Ok(wanted.to_owned()),
    }
}
