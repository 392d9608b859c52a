//! `fuzz`: libFuzzer looks for bytes at which something that reads them from outside panics.
//!
//! No nightly compiler is needed: without a sanitizer, cargo-fuzz asks for nothing that a stable one does not have. There is no `unsafe`
//! here that one would watch.

use std::process::ExitCode;

use anyhow::Result;

use crate::cargo_tool::CARGO_FUZZ;
use crate::cli::FuzzArgs;
use crate::progress::Progress;
use crate::system::System;
use crate::{process, workspace};

/// The longest input, in bytes: twice the longest body.
const LONGEST: &str = "-max_len=131072";

pub(crate) fn run(args: &FuzzArgs) -> Result<ExitCode> {
    let mut system = System::new(None, Progress::new(false))?;
    for target in args.targets() {
        let mut command = CARGO_FUZZ.find_or_install(args.install, &mut system)?;
        command.args(["run", "--fuzz-dir", "xtask/fuzz", "--sanitizer", "none", "--features", "libfuzzer"]);
        let corpus = workspace::root().join(".local/fuzz").join(target);
        std::fs::create_dir_all(&corpus)?;
        command.arg(target).arg(&corpus);
        command.args(["--", LONGEST, &format!("-max_total_time={}", args.seconds)]);
        let status = system.run_attached(target, &command)?;
        if !status.success() {
            return Ok(process::exit_code(status));
        }
    }
    Ok(ExitCode::SUCCESS)
}
