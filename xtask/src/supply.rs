//! `deny` and `sbom`: dependency policy checks and software bills of materials.

use std::fs;

use anyhow::{Context, Result, bail};

use crate::cli::{DenyArgs, Install};
use crate::outcome::{COULD_NOT_RUN, SUCCESS, check_exit_code};
use crate::programs::RELEASED;
use crate::system::System;
use crate::tools::{CARGO_CYCLONEDX, CARGO_DENY};
use crate::workspace::eprint_line;
use crate::{metadata, workspace};

/// Name of the files that cargo-cyclonedx writes, excluding the extension.
const FILE: &str = "sbom.cdx";

pub(crate) async fn deny(args: &DenyArgs) -> Result<u8> {
    let system = System::new(None)?;
    CARGO_DENY.find_or_install(args.install, &system).await?;
    let cargo_deny = async |arguments: &[&str]| {
        let mut command = workspace::command("cargo-deny");
        system.run_attached(command.arg("deny").args(arguments)).await
    };
    let status = cargo_deny(&["check", "bans", "licenses", "sources"]).await?;
    if !status.success() {
        return Ok(check_exit_code(status));
    }
    if !cargo_deny(&["fetch", "db"]).await?.success() {
        eprint_line("warning: advisories NOT checked: cannot fetch the advisory database");
        return Ok(if args.advisories_if_reachable { SUCCESS } else { COULD_NOT_RUN });
    }
    cargo_deny(&["check", "advisories"]).await.map(check_exit_code)
}

pub(crate) async fn sbom(install: Install) -> Result<u8> {
    let system = System::new(None)?;
    CARGO_CYCLONEDX.find_or_install(install, &system).await?;
    let mut command = workspace::command("cargo-cyclonedx");
    command.args(["cyclonedx", "--format", "json", "--override-filename", FILE]);
    if !system.run_attached(&command).await?.success() {
        bail!("cargo-cyclonedx failed");
    }
    let directory = workspace::local("sbom");
    fs::create_dir_all(&directory)?;
    // cargo-cyclonedx has written one file next to each package's Cargo.toml.
    for package in &metadata::read()?.packages {
        let written = metadata::folder(package).join(FILE).with_added_extension("json");
        let shown = written.display();
        if let Some(name) = RELEASED.into_iter().find(|name| metadata::has_program(package, name)) {
            let kept = directory.join(format!("{name}.cdx.json"));
            fs::rename(&written, &kept).with_context(|| format!("cannot move {shown}"))?;
            system.progress.print(&kept.display().to_string());
        } else {
            fs::remove_file(&written).with_context(|| format!("cannot remove {shown}"))?;
        }
    }
    Ok(SUCCESS)
}
