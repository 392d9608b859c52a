//! `fuzz`: libFuzzer looks for bytes from outside at which something panics.
//!
//! A stable compiler suffices: without a sanitizer, nothing here is unstable. There is no `unsafe` that one would watch.

use std::fs;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::cli::FuzzArgs;
use crate::outcome::{COULD_NOT_RUN, FINE, VIOLATION};
use crate::system::System;
use crate::workspace;

/// The longest input, in bytes: twice the longest body.
const LONGEST: &str = "-max_len=131072";

/// The instrumentation by which libFuzzer sees which code ran and what was compared.
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
        program.arg("--").arg(&corpus).args([LONGEST, &format!("-max_total_time={}", args.seconds)]);
        program.arg(format!("-artifact_prefix={}", findings.display())).env("FUZZ_TARGET", &target);
        if !system.run_attached(&program).await?.success() {
            return Ok(VIOLATION);
        }
    }
    Ok(FINE)
}

/// Cargo, building or running the program with all targets. With a `--target`, build scripts are not instrumented.
fn cargo(command: &str) -> Command {
    let mut cargo = workspace::cargo();
    cargo.args([command, "--quiet", "--package", "fuzz", "--bin", "fuzz", "--features", "libfuzzer"]);
    cargo.args(["--profile", "fuzz", "--target", "host-tuple"]).env("RUSTFLAGS", COVERAGE);
    cargo
}

/// The named targets, or all where none is named.
fn targets(wanted: &[String]) -> Result<Vec<String>> {
    let output = workspace::output(cargo("run").env_remove("FUZZ_TARGET")).context("the targets do not run")?;
    let known = Vec::from_iter(output.lines().map(str::to_owned));
    match wanted.iter().find(|target| !known.contains(target)) {
        Some(target) => bail!("unknown target {target}; the targets are {}", known.join(", ")),
        None if wanted.is_empty() => Ok(known),
        None => Ok(wanted.to_owned()),
    }
}
