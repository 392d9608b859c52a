//! `deny` and `sbom`: what the programs are made of, and whether that is allowed.

use std::fs;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail};

use crate::cargo_tool::{CARGO_CYCLONEDX, CARGO_DENY};
use crate::cli::{DenyArgs, Install};
use crate::progress::Progress;
use crate::system::System;
use crate::{process, workspace};

/// The programs that are shipped; each has its folder.
const PROGRAMS: [&str; 4] = ["customers", "orders", "orchestrator", "db"];

pub(crate) fn deny(args: &DenyArgs) -> Result<ExitCode> {
    let mut system = System::new(None, Progress::new(false))?;
    let mut run = |arguments: &[&str]| {
        let mut command: Command = CARGO_DENY.find_or_install(args.install, &mut system)?;
        command.args(arguments);
        system.run_attached("deny", &command)
    };
    let checked = run(&["check", "bans", "licenses", "sources"])?;
    if !checked.success() {
        return Ok(process::exit_code(checked));
    }
    if args.advisories_if_reachable && !run(&["fetch", "db"])?.success() {
        process::complain("the list of advisories cannot be fetched: they were NOT looked at");
        return Ok(ExitCode::SUCCESS);
    }
    run(&["check", "advisories"]).map(process::exit_code)
}

pub(crate) fn sbom(install: Install) -> Result<ExitCode> {
    let mut system = System::new(None, Progress::new(false))?;
    let mut command = CARGO_CYCLONEDX.find_or_install(install, &mut system)?;
    // One for each package of the workspace, beside its Cargo.toml. Of those that are no programs of ours nobody asks.
    command.args(["--format", "json", "--override-filename", "sbom.cdx"]);
    if !system.run_attached("sbom", &command)?.success() {
        bail!("cargo-cyclonedx failed");
    }
    let directory = workspace::root().join(".local/sbom");
    fs::create_dir_all(&directory)?;
    for program in PROGRAMS {
        let (from, to) =
            (workspace::root().join(program).join("sbom.cdx.json"), directory.join(format!("{program}.cdx.json")));
        fs::rename(&from, &to).with_context(|| format!("there is no {}", from.display()))?;
        system.progress.say(&to.display().to_string());
    }
    Ok(ExitCode::SUCCESS)
}
