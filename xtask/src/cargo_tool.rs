//! Programs that others wrote in Rust, commands of cargo most of them: found on the PATH or in `.local/cargo`, or installed
//! there from crates.io.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, bail};

use crate::cli::Install;
use crate::system::System;
use crate::workspace;

/// A program in a package of the same name.
pub(crate) struct CargoTool {
    /// Its package, and its program: `cargo-deny` is run by `cargo deny`.
    name: &'static str,
    /// The one that was tried.
    version: &'static str,
    /// Whether it has to be fast. Most are compiled more often than they are slow.
    is_optimised: bool,
}

pub(crate) const CARGO_DENY: CargoTool = CargoTool { name: "cargo-deny", version: "0.20.2", is_optimised: false };
pub(crate) const CARGO_CYCLONEDX: CargoTool =
    CargoTool { name: "cargo-cyclonedx", version: "0.5.9", is_optimised: false };
pub(crate) const OHA: CargoTool = CargoTool { name: "oha", version: "1.16.0", is_optimised: true };

impl CargoTool {
    /// The command of cargo, to be given arguments. It is installed where it is missing and that is allowed.
    pub(crate) fn find_or_install(&self, install: Install, system: &mut System) -> Result<Command> {
        let mut command = Command::new(self.path(install, system)?);
        // As cargo runs it.
        command.arg(self.name.trim_start_matches("cargo-")).current_dir(workspace::root());
        Ok(command)
    }

    /// The path of the program. It is installed where it is missing and that is allowed.
    pub(crate) fn path(&self, install: Install, system: &mut System) -> Result<PathBuf> {
        let Self { name, version, .. } = self;
        let own = workspace::root().join(".local/cargo");
        let path = env::var_os("PATH").unwrap_or_default();
        let folders = env::split_paths(&path).chain([own.join("bin")]);
        let mut paths = folders.map(|folder| folder.join(name));
        match paths.find(|path| path.is_file()) {
            Some(path) => Ok(path),
            None if install.no_install => bail!("there is no {name}: cargo install {name} --version {version}"),
            None => self.install(&own, system),
        }
    }

    fn install(&self, own: &Path, system: &mut System) -> Result<PathBuf> {
        let Self { name, version, is_optimised } = self;
        let mut cargo = workspace::cargo();
        cargo.args(["install", name, "--version", version, "--locked", "--root"]).arg(own);
        if *is_optimised {
            // The last percent that its authors want of the compiler takes half an hour on two cores.
            cargo.envs([("CARGO_PROFILE_RELEASE_LTO", "off"), ("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16")]);
        } else {
            cargo.arg("--debug");
        }
        // The settings of this workspace are not those of the tool.
        cargo.current_dir(env::temp_dir());
        if !system.run_attached("install", &cargo)?.success() {
            bail!("{name} cannot be installed");
        }
        Ok(own.join("bin").join(name))
    }
}
