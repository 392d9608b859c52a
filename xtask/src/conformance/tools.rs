//! What the programs of the steps need, installed where it is missing: packages of npm and PyPI beside the sources and
//! below `.local`, and Chromium on the machine. Their versions are in `qa/conformance`.

use std::env;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use private_server::claim::Claim;

use crate::cli::Install;
use crate::home::Home;
use crate::system::System;
use crate::tool::{CHROMIUM, PROMTOOL};
use crate::{process, workspace};

/// Where the programs are, in the working copy.
pub(crate) const FOLDER: &str = "qa/conformance";

/// What a program runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Runtime {
    Node,
    Python,
    /// Node.js, with the path of Chromium in CHROMIUM.
    Browser,
    /// Python, with the path of promtool in PROMTOOL.
    Promtool,
}

/// What was found or installed.
pub(crate) struct Tools {
    claim: Arc<Claim>,
    install: Install,
    chromium: Option<PathBuf>,
    promtool: Option<PathBuf>,
}

impl Tools {
    pub(crate) fn new(home: &Home, install: Install) -> Self {
        Self { claim: Arc::clone(&home.claim), install, chromium: None, promtool: None }
    }

    /// Finds or installs what these runtimes need.
    pub(crate) fn prepare(&mut self, system: &mut System, runtimes: impl Iterator<Item = Runtime>) -> Result<()> {
        let runtimes = Vec::from_iter(runtimes);
        if runtimes.iter().any(|runtime| matches!(runtime, Runtime::Node | Runtime::Browser)) {
            self.prepare_node(system)?;
        }
        if runtimes.iter().any(|runtime| matches!(runtime, Runtime::Python | Runtime::Promtool)) {
            self.prepare_python(system)?;
        }
        if runtimes.contains(&Runtime::Browser) {
            self.chromium = Some(CHROMIUM.find_or_install(self.install, &system.progress, &self.claim)?);
        }
        if runtimes.contains(&Runtime::Promtool) {
            self.promtool = Some(PROMTOOL.find_or_install(self.install, &system.progress, &self.claim)?);
        }
        Ok(())
    }

    /// A command in the root of the working copy that only lacks its program.
    pub(crate) fn command(&self, runtime: Runtime) -> Result<Command> {
        let mut command = match runtime {
            Runtime::Node | Runtime::Browser => Command::new("node"),
            Runtime::Python | Runtime::Promtool => python()?,
        };
        if runtime == Runtime::Browser {
            command.env("CHROMIUM", self.chromium.as_ref().context("Chromium was not looked for")?);
        }
        if runtime == Runtime::Promtool {
            command.env("PROMTOOL", self.promtool.as_ref().context("promtool was not looked for")?);
        }
        command.current_dir(workspace::root());
        Ok(command)
    }

    fn prepare_node(&self, system: &mut System) -> Result<()> {
        for program in ["node", "npm"] {
            require(program, "install Node.js 20.19 or newer with npm")?;
        }
        let mut install = Command::new("npm");
        // None of the packages needs its scripts to be run.
        install.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"]).current_dir(folder());
        let lock = Lock { file: folder().join("package-lock.json"), installed: folder().join("node_modules") };
        self.install(system, "npm", &lock, &[install])
    }

    fn prepare_python(&self, system: &mut System) -> Result<()> {
        require("python3", "install Python 3.11 or newer with its module venv")?;
        let mut create = Command::new("python3");
        create.args(["-m", "venv", "--clear"]).arg(venv());
        let mut install = Command::new(venv().join("bin/pip"));
        install
            .args(["install", "--disable-pip-version-check", "--requirement"])
            .arg(folder().join("requirements.txt"));
        let lock = Lock { file: folder().join("requirements.txt"), installed: venv() };
        self.install(system, "pip", &lock, &[create, install])
    }

    /// Runs the commands, unless they have done their work for this lock file.
    fn install(&self, system: &mut System, name: &'static str, lock: &Lock, commands: &[Command]) -> Result<()> {
        if lock.is_installed()? {
            return Ok(());
        }
        if self.install.no_install {
            bail!(
                "{} is not installed as {} says, and --no-install forbids it",
                lock.installed.display(),
                lock.file.display()
            );
        }
        system.progress.start(name, "installing");
        for command in commands {
            let progress = system.progress.clone();
            system.run(name, command, move |line| {
                progress.detail(name, line);
                true
            })?;
        }
        lock.set_installed()?;
        system.progress.done(name, "installed");
        Ok(())
    }
}

/// A file that says what is to be installed, and the folder into which it goes.
struct Lock {
    file: PathBuf,
    installed: PathBuf,
}

impl Lock {
    /// Whether the folder has what the file says now. What was left half done does not count.
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
    workspace::conformance_directory().join("venv")
}

/// The Python of the environment, which finds the programs of its packages first.
fn python() -> Result<Command> {
    let programs = venv().join("bin");
    let mut command = Command::new(programs.join("python"));
    let path = env::var_os("PATH").unwrap_or_default();
    command.env("PATH", env::join_paths([programs].into_iter().chain(env::split_paths(&path)))?);
    Ok(command)
}

fn require(program: &str, otherwise: &str) -> Result<()> {
    match process::answer(Command::new(program).arg("--version")) {
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
