//! The needs of the steps' programs, installed where they are missing: packages of npm and PyPI beside the sources and
//! below `.local`, and Chromium on the machine. Their versions are in `qa/conformance`.

use std::env;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::cli::Install;
use crate::system::System;
use crate::tools::{self, CHROMIUM, PROMTOOL, Tool};
use crate::workspace;

/// The folder of the programs, in the working copy.
pub(crate) const FOLDER: &str = "qa/conformance";

/// The runtime of a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Runtime {
    Node,
    Python,
    /// Node.js, with the path of Chromium in CHROMIUM.
    Browser,
    /// Python, with the path of promtool in PROMTOOL.
    Promtool,
}

/// The paths that were found or installed, by variable.
pub(crate) struct Tools(Vec<(&'static str, PathBuf)>);

impl Tools {
    /// Finds or installs what these runtimes need.
    pub(crate) async fn prepare(system: &mut System, install: Install, runtimes: &[Runtime]) -> Result<Self> {
        let is_wanted = |wanted: [Runtime; 2]| runtimes.iter().any(|runtime| wanted.contains(runtime));
        if is_wanted([Runtime::Node, Runtime::Browser]) {
            prepare_node(system, install).await?;
        }
        if is_wanted([Runtime::Python, Runtime::Promtool]) {
            prepare_python(system, install).await?;
        }
        let mut paths = Vec::new();
        let tools: [(Runtime, &str, &Tool); 2] =
            [(Runtime::Browser, "CHROMIUM", &CHROMIUM), (Runtime::Promtool, "PROMTOOL", &PROMTOOL)];
        for (_, variable, tool) in tools.into_iter().filter(|(runtime, ..)| runtimes.contains(runtime)) {
            let path = match env::var_os(variable).filter(|path| !path.is_empty()) {
                Some(path) => path.into(),
                None => tool.find_or_install(install, system).await?,
            };
            paths.push((variable, path));
        }
        Ok(Self(paths))
    }

    /// A command in the root of the working copy that only lacks its program.
    pub(crate) fn command(&self, runtime: Runtime) -> Result<Command> {
        let mut command = match runtime {
            Runtime::Node | Runtime::Browser => workspace::command("node"),
            Runtime::Python | Runtime::Promtool => python()?,
        };
        command.envs(self.0.iter().map(|(variable, path)| (variable, path)));
        Ok(command)
    }
}

async fn prepare_node(system: &mut System, install: Install) -> Result<()> {
    for program in ["node", "npm"] {
        require(program, "install Node.js 20.19 or newer with npm")?;
    }
    let mut command = workspace::command("npm");
    // None of the packages needs its scripts to be run.
    command.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"]).current_dir(folder());
    let lock = Lock { file: folder().join("package-lock.json"), installed: folder().join("node_modules") };
    lock.install(system, install, "npm", vec![command]).await
}

async fn prepare_python(system: &mut System, install: Install) -> Result<()> {
    require("python3", "install Python 3.11 or newer with its module venv")?;
    let mut create = workspace::command("python3");
    create.args(["-m", "venv", "--clear"]).arg(venv());
    let mut packages = workspace::command(venv().join("bin/pip"));
    packages.args(["install", "--disable-pip-version-check", "--requirement"]).arg(folder().join("requirements.txt"));
    let lock = Lock { file: folder().join("requirements.txt"), installed: venv() };
    lock.install(system, install, "pip", vec![create, packages]).await
}

/// A file with versions, and the folder where they are installed.
struct Lock {
    file: PathBuf,
    installed: PathBuf,
}

impl Lock {
    /// Runs the commands, unless they have done their work for this file.
    async fn install(
        &self,
        system: &mut System,
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

fn folder() -> PathBuf {
    workspace::root().join(FOLDER)
}

fn venv() -> PathBuf {
    workspace::local("conformance/venv")
}

/// The Python of the environment, which finds the programs of its packages first.
fn python() -> Result<Command> {
    let programs = venv().join("bin");
    let mut command = workspace::command(programs.join("python"));
    command.env("PATH", env::join_paths([programs].into_iter().chain(env::split_paths(&tools::path())))?);
    Ok(command)
}

fn require(program: &str, otherwise: &str) -> Result<()> {
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
