//! `deny` and `sbom`: what the programs are made of, and whether that is allowed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::cargo_tool::{CARGO_CYCLONEDX, CARGO_DENY};
use crate::cli::{DenyArgs, Install};
use crate::progress::Progress;
use crate::system::System;
use crate::{process, workspace};

/// What cargo-cyclonedx calls its files, but for their ending.
const FILE: &str = "sbom.cdx";

/// The programs that are shipped.
const PROGRAMS: [&str; 4] = ["customers", "orders", "orchestrator", "db-cli"];

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
    command.args(["--format", "json", "--override-filename", FILE]);
    if !system.run_attached("sbom", &command)?.success() {
        bail!("cargo-cyclonedx failed");
    }
    let directory = workspace::root().join(".local/sbom");
    fs::create_dir_all(&directory)?;
    // There is one beside the Cargo.toml of each package now.
    for (name, folder) in packages()? {
        let (made, kept) = (folder.join(format!("{FILE}.json")), directory.join(format!("{name}.cdx.json")));
        if PROGRAMS.contains(&&*name) {
            fs::rename(&made, &kept).with_context(|| format!("there is no {}", made.display()))?;
            system.progress.say(&kept.display().to_string());
        } else {
            fs::remove_file(&made).with_context(|| format!("cannot remove {}", made.display()))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The packages of the workspace: name and folder.
fn packages() -> Result<Vec<(String, PathBuf)>> {
    let mut cargo = workspace::cargo();
    let said = process::answer(cargo.args(["metadata", "--no-deps", "--format-version", "1"]));
    let metadata: Value = serde_json::from_str(&said.context("cargo metadata fails")?)?;
    let packages = metadata["packages"].as_array().into_iter().flatten();
    let name_and_folder = |package: &Value| {
        let manifest = Path::new(package["manifest_path"].as_str()?);
        Some((package["name"].as_str()?.to_owned(), manifest.parent()?.to_owned()))
    };
    packages.map(|package| name_and_folder(package).context("a package without a name")).collect()
}
