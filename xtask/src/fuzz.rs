//! `fuzz`: libFuzzer looks for bytes at which something that reads them from outside panics.
//!
//! No nightly compiler is needed: without a sanitizer, cargo-fuzz asks for nothing that a stable one does not have. There is no `unsafe`
//! here that one would watch.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::process::ExitCode;

use anyhow::{Result, bail};

use crate::cargo_tool::CARGO_FUZZ;
use crate::cli::FuzzArgs;
use crate::progress::Progress;
use crate::system::System;
use crate::{process, workspace};

/// The longest input, in bytes: twice the longest body.
const LONGEST: &str = "-max_len=131072";

/// Where each target has its program.
const PROGRAMS: &str = "qa/fuzz/fuzz_targets";

pub(crate) fn run(args: &FuzzArgs) -> Result<ExitCode> {
    let mut system = System::new(None, Progress::new(false))?;
    for target in targets(&args.targets)? {
        let mut command = CARGO_FUZZ.find_or_install(args.install, &mut system)?;
        command.args(["run", "--fuzz-dir", "qa/fuzz", "--sanitizer", "none", "--features", "libfuzzer"]);
        let corpus = workspace::root().join(".local/fuzz").join(&target);
        fs::create_dir_all(&corpus)?;
        command.arg(target).arg(&corpus);
        command.args(["--", LONGEST, &format!("-max_total_time={}", args.seconds)]);
        let status = system.run_attached("fuzz", &command)?;
        if !status.success() {
            return Ok(process::exit_code(status));
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Those that are wanted, or all of them where none is named.
fn targets(wanted: &[String]) -> Result<Vec<String>> {
    let mut known = BTreeSet::new();
    for entry in fs::read_dir(workspace::root().join(PROGRAMS))? {
        known.extend(entry?.path().file_stem().and_then(OsStr::to_str).map(str::to_owned));
    }
    match wanted.iter().find(|target| !known.contains(*target)) {
        Some(target) => bail!("there is no target {target}, but {}", Vec::from_iter(known).join(", ")),
        None if wanted.is_empty() => Ok(known.into_iter().collect()),
        None => Ok(wanted.to_owned()),
    }
}
