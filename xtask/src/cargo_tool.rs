//! Commands of cargo that others wrote: found on the PATH or in `.local/cargo`, or installed there from crates.io.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, bail};

use crate::cli::Install;
use crate::system::System;
use crate::workspace;

/// A command of cargo.
pub(crate) struct CargoTool {
    /// Its package, and its program: `cargo-deny` is run by `cargo deny`.
    name: &'static str,
    /// The one that was tried.
    version: &'static str,
}

pub(crate) const CARGO_DENY: CargoTool = CargoTool { name: "cargo-deny", version: "0.20.2" };
pub(crate) const CARGO_FUZZ: CargoTool = CargoTool { name: "cargo-fuzz", version: "0.13.2" };
pub(crate) const CARGO_CYCLONEDX: CargoTool = CargoTool { name: "cargo-cyclonedx", version: "0.5.9" };

impl CargoTool {
    /// The command, to be given arguments. It is installed where it is missing and that is allowed.
    pub(crate) fn find_or_install(&self, install: Install, system: &mut System) -> Result<Command> {
        let Self { name, version } = self;
        let own = workspace::root().join(".local/cargo");
        let path = env::var_os("PATH").unwrap_or_default();
        let folders = env::split_paths(&path).chain([own.join("bin")]);
        let mut paths = folders.map(|folder| folder.join(name));
        let path = match paths.find(|path| path.is_file()) {
            Some(path) => path,
            None if install.no_install => bail!("there is no {name}: cargo install {name} --version {version}"),
            None => self.install(&own, system)?,
        };
        let mut command = Command::new(path);
        // As cargo runs it.
        command.arg(name.trim_start_matches("cargo-")).current_dir(workspace::root());
        Ok(command)
    }

    /// Without optimisation: it is compiled more often than it is slow.
    fn install(&self, own: &Path, system: &mut System) -> Result<PathBuf> {
        let Self { name, version } = self;
        let mut cargo = workspace::cargo();
        cargo.args(["install", name, "--version", version, "--locked", "--debug", "--root"]).arg(own);
        // The settings of this workspace are not those of the tool.
        cargo.current_dir(env::temp_dir());
        if !system.run_attached("install", &cargo)?.success() {
            bail!("{name} cannot be installed");
        }
        Ok(own.join("bin").join(name))
    }
}
