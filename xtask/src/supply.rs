//! `deny` and `sbom`: the dependencies of the programs, and whether they are allowed.

use std::fs;

use anyhow::{Context, Result, bail};

use crate::cli::{DenyArgs, Install};
use crate::outcome::{COULD_NOT_RUN, FINE, checked};
use crate::system::System;
use crate::tools::{CARGO_CYCLONEDX, CARGO_DENY};
use crate::workspace::complain;
use crate::{metadata, workspace};

/// The name of cargo-cyclonedx's files, without their ending.
const FILE: &str = "sbom.cdx";

/// The programs that are shipped.
const PROGRAMS: [&str; 4] = ["customers", "orders", "orchestrator", "db-cli"];

pub(crate) async fn deny(args: &DenyArgs) -> Result<u8> {
    let system = System::new(None)?;
    CARGO_DENY.find_or_install(args.install, &system).await?;
    let cargo_deny = async |arguments: &[&str]| {
        let mut command = workspace::command("cargo-deny");
        system.run_attached(command.arg("deny").args(arguments)).await
    };
    let status = cargo_deny(&["check", "bans", "licenses", "sources"]).await?;
    if !status.success() {
        return Ok(checked(status));
    }
    if !cargo_deny(&["fetch", "db"]).await?.success() {
        complain("the list of advisories cannot be fetched: they were NOT looked at");
        return Ok(if args.advisories_if_reachable { FINE } else { COULD_NOT_RUN });
    }
    cargo_deny(&["check", "advisories"]).await.map(checked)
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
    // There is one beside the Cargo.toml of each package now.
    for package in &metadata::read()?.packages {
        let written = metadata::folder(package).join(FILE).with_added_extension("json");
        let shown = written.display();
        if let Some(name) = PROGRAMS.into_iter().find(|name| metadata::has_program(package, name)) {
            let kept = directory.join(format!("{name}.cdx.json"));
            fs::rename(&written, &kept).with_context(|| format!("there is no {shown}"))?;
            system.progress.say(&kept.display().to_string());
        } else {
            fs::remove_file(&written).with_context(|| format!("cannot remove {shown}"))?;
        }
    }
    Ok(FINE)
}
