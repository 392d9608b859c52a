//! `fuzz`: libFuzzer looks for bytes at which something that reads them from outside panics.
//!
//! No nightly compiler is needed: without a sanitizer, cargo-fuzz asks for nothing that a stable one does not have. There is no `unsafe`
//! here that a sanitizer would watch.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;

use anyhow::{Result, bail};

use crate::cli::FuzzArgs;
use crate::outcome::{COULD_NOT_RUN, FINE, checked};
use crate::system::System;
use crate::tools::CARGO_FUZZ;
use crate::workspace;

/// The longest input, in bytes: twice the longest body.
const LONGEST: &str = "-max_len=131072";

/// The folder with a program for each target.
const PROGRAMS: &str = "qa/fuzz/fuzz_targets";

pub(crate) async fn run(args: &FuzzArgs) -> Result<u8> {
    let targets = targets(&args.targets)?;
    let mut system = System::new(None)?;
    CARGO_FUZZ.find_or_install(args.install, &mut system).await?;
    let mut cargo_fuzz = async |action: &str, arguments: &[&OsStr]| {
        let mut command = workspace::command("cargo-fuzz");
        command.args(["fuzz", action, "--fuzz-dir", "qa/fuzz", "--sanitizer", "none", "--features", "libfuzzer"]);
        system.run_attached(command.args(arguments)).await
    };
    // All programs at once.
    if !cargo_fuzz("build", &[]).await?.success() {
        return Ok(COULD_NOT_RUN);
    }
    for target in targets {
        let corpus = workspace::local("fuzz").join(&target);
        fs::create_dir_all(&corpus)?;
        let seconds = format!("-max_total_time={}", args.seconds);
        let arguments = [OsStr::new(&target), corpus.as_os_str(), "--".as_ref(), LONGEST.as_ref(), seconds.as_ref()];
        let status = cargo_fuzz("run", &arguments).await?;
        if !status.success() {
            return Ok(checked(status));
        }
    }
    Ok(FINE)
}

/// The named targets, or all of them.
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
