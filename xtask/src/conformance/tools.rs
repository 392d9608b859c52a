//! The commands of the programs below `qa/conformance`, with the packages that they need: of npm beside the sources, of
//! PyPI below `.local`. Their versions are in `qa/conformance`.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::cli::Install;
use crate::system::System;
use crate::{tools, workspace};

/// The folder of the programs, in the working copy.
pub(crate) const FOLDER: &str = "qa/conformance";

/// The command that runs a program, after the installation of what is missing.
pub(crate) async fn command(system: &System, install: Install, program: &str) -> Result<Command> {
    let mut command =
        if program.ends_with(".py") { python(system, install).await? } else { node(system, install).await? };
    command.arg(Path::new(FOLDER).join(program));
    Ok(command)
}

/// Node.js, which finds the packages beside its program.
pub(crate) async fn node(system: &System, install: Install) -> Result<Command> {
    for program in ["node", "npm"] {
        require(program, "install Node.js 20.19 or newer with npm")?;
    }
    let mut npm = workspace::command("npm");
    // None of the packages needs its scripts to be run.
    npm.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"]).current_dir(workspace::root().join(FOLDER));
    let lock = Lock::new("package-lock.json", workspace::root().join(FOLDER).join("node_modules"));
    lock.install(system, install, "npm", vec![npm]).await?;
    Ok(workspace::command("node"))
}

/// The Python of a virtual environment, which finds the programs of its packages first.
async fn python(system: &System, install: Install) -> Result<Command> {
    require("python3", "install Python 3.11 or newer with its module venv")?;
    let environment = workspace::local("conformance/venv");
    let programs = environment.join("bin");
    let lock = Lock::new("requirements.txt", environment);
    let mut create = workspace::command("python3");
    create.args(["-m", "venv", "--clear"]).arg(&lock.installed);
    let mut pip = workspace::command(programs.join("pip"));
    pip.args(["install", "--disable-pip-version-check", "--requirement"]).arg(&lock.file);
    lock.install(system, install, "pip", vec![create, pip]).await?;
    let mut command = workspace::command(programs.join("python"));
    command.env("PATH", env::join_paths([programs].into_iter().chain(env::split_paths(&tools::path())))?);
    Ok(command)
}

/// A file with versions, and the folder where they are installed.
struct Lock {
    file: PathBuf,
    installed: PathBuf,
}

impl Lock {
    fn new(file: &str, installed: PathBuf) -> Self {
        Self { file: workspace::root().join(FOLDER).join(file), installed }
    }

    /// Runs the commands, unless they have done their work for this file.
    async fn install(
        &self,
        system: &System,
        install: Install,
        name: &'static str,
        commands: Vec<Command>,
    ) -> Result<()> {
        if self.is_installed()? {
            return Ok(());
        }
        if install.no_install {
            let (installed, file) = (self.installed.display(), self.file.display());
            bail!("{installed} is not installed as {file} says, and --no-install forbids it");
        }
        for command in commands {
            system.run_step(name, "installing", command).await?;
        }
        self.set_installed()
    }

    /// Whether the folder has the versions of the file. An unfinished installation does not count.
    fn is_installed(&self) -> Result<bool> {
        let wanted = fs::read(&self.file).with_context(|| format!("cannot read {}", self.file.display()))?;
        Ok(fs::read(self.mark()).is_ok_and(|installed| installed == wanted))
    }

    fn set_installed(&self) -> Result<()> {
        fs::copy(&self.file, self.mark()).with_context(|| format!("cannot write {}", self.mark().display()))?;
        Ok(())
    }

    /// A copy of the file as it was installed.
    fn mark(&self) -> PathBuf {
        self.installed.join(".installed")
    }
}

/// Refuses to go on without a program of this machine.
pub(crate) fn require(program: &str, otherwise: &str) -> Result<()> {
    match workspace::output(workspace::command(program).arg("--version")) {
        Some(_) => Ok(()),
        None => bail!("no {program} on this machine: {otherwise}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_installed_is_installed_again_when_its_lock_file_changes() {
        let directory = tempfile::tempdir().unwrap();
        let lock = Lock { file: directory.path().join("lock"), installed: directory.path().to_owned() };
        fs::write(&lock.file, "a 1").unwrap();
        assert!(!lock.is_installed().unwrap());
        lock.set_installed().unwrap();
        assert!(lock.is_installed().unwrap());
        fs::write(&lock.file, "a 2").unwrap();
        assert!(!lock.is_installed().unwrap());
    }

    #[test]
    fn a_missing_program_is_an_error_that_says_what_to_do() {
        let error = require("no-such-program", "install it").unwrap_err();
        assert_eq!(error.to_string(), "no no-such-program on this machine: install it");
    }
}
