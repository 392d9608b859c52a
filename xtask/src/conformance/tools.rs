//! Commands that run the programs in `qa/conformance`. npm packages are installed next to the sources, Python packages
//! in `.local`. Lock files in `qa/conformance` pin their versions.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::cli::Install;
use crate::system::System;
use crate::{tools, workspace};

/// Directory that contains the programs, relative to the workspace root.
pub(crate) const FOLDER: &str = "qa/conformance";

/// Languages of generated clients: a command that prints something if clients can be built and run, and the Debian
/// packages that it needs.
const LANGUAGES: [(&[&str], &[&str]); 4] = [
    (&["go", "version"], &["golang-go"]),
    (&["javac", "--version"], &["default-jdk-headless"]),
    (
        &["php", "-r", "require 'GuzzleHttp/autoload.php'; echo mb_strlen('ok');"],
        &["php-cli", "php-mbstring", "php-guzzlehttp-guzzle"],
    ),
    (&["ruby", "-r", "typhoeus", "-e", "puts Typhoeus::VERSION"], &["ruby-typhoeus"]),
];

/// Returns the command that runs a program, after installing missing dependencies.
pub(crate) async fn command(system: &System, install: Install, program: &str) -> Result<Command> {
    let mut command =
        if program.ends_with(".py") { python(system, install).await? } else { node(system, install).await? };
    command.arg(Path::new(FOLDER).join(program));
    Ok(command)
}

/// Returns the command `node`, after installing missing packages. Node.js resolves packages relative to the program.
pub(crate) async fn node(system: &System, install: Install) -> Result<Command> {
    for program in ["node", "npm"] {
        require(program, "install Node.js 20.19 or newer with npm")?;
    }
    let mut npm = workspace::command("npm");
    // Disable install scripts: they are a supply-chain risk, and none of these packages needs them.
    npm.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"]).current_dir(workspace::root().join(FOLDER));
    let lock = LockFile::new("package-lock.json", workspace::root().join(FOLDER).join("node_modules"));
    lock.install(system, install, "npm", vec![npm]).await?;
    Ok(workspace::command("node"))
}

/// Returns the Python command of a virtual environment, with the environment's programs first on PATH.
async fn python(system: &System, install: Install) -> Result<Command> {
    require("python3", "install Python 3.11 or newer with the module venv")?;
    let environment = workspace::local("conformance/venv");
    let programs = environment.join("bin");
    let lock = LockFile::new("requirements.txt", environment);
    let mut create = workspace::command("python3");
    create.args(["-m", "venv", "--clear"]).arg(&lock.installed);
    let mut pip = workspace::command(programs.join("pip"));
    pip.args(["install", "--disable-pip-version-check", "--requirement"]).arg(&lock.file);
    lock.install(system, install, "pip", vec![create, pip]).await?;
    let mut command = workspace::command(programs.join("python"));
    command.env("PATH", env::join_paths([programs].into_iter().chain(env::split_paths(&tools::path())))?);
    Ok(command)
}

/// Installs missing packages of [`LANGUAGES`].
pub(crate) async fn languages(system: &System, install: Install) -> Result<()> {
    let packages = missing_packages();
    if packages.is_empty() {
        return Ok(());
    }
    if install.no_install || !tools::can_install() {
        bail!("tools of generated clients are missing: install them (Debian packages: {})", packages.join(" "));
    }
    system.progress.start("languages", "not found, installing (use --no-install to prevent this)");
    let output = tools::install_packages(&packages).await?;
    if !missing_packages().is_empty() {
        bail!("cannot install {}:\n{output}", packages.join(" "));
    }
    system.progress.finish("languages", "installed");
    Ok(())
}

fn missing_packages() -> Vec<&'static str> {
    let is_missing = |check: &[&str]| workspace::output(workspace::command(check[0]).args(&check[1..])).is_none();
    LANGUAGES.into_iter().filter(|(check, _)| is_missing(check)).flat_map(|(_, packages)| packages).copied().collect()
}

/// Lock file, and the directory in which its packages are installed.
struct LockFile {
    file: PathBuf,
    installed: PathBuf,
}

impl LockFile {
    fn new(file: &str, installed: PathBuf) -> Self {
        Self { file: workspace::root().join(FOLDER).join(file), installed }
    }

    /// Runs the install commands unless the packages of the current lock file are already installed.
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
            bail!("{installed} is missing or differs from {file}: run again without --no-install");
        }
        for command in commands {
            system.run_step(name, "installing", command).await?;
        }
        self.set_installed()
    }

    /// Whether the installed packages match the lock file. An incomplete installation does not match.
    fn is_installed(&self) -> Result<bool> {
        let wanted = fs::read(&self.file).with_context(|| format!("cannot read {}", self.file.display()))?;
        Ok(fs::read(self.marker()).is_ok_and(|installed| installed == wanted))
    }

    fn set_installed(&self) -> Result<()> {
        fs::copy(&self.file, self.marker()).with_context(|| format!("cannot write {}", self.marker().display()))?;
        Ok(())
    }

    /// Copy of the lock file, written after a complete installation.
    fn marker(&self) -> PathBuf {
        self.installed.join(".installed")
    }
}

/// Returns an error with an installation hint if the program is not on PATH.
pub(crate) fn require(program: &str, hint: &str) -> Result<()> {
    match workspace::output(workspace::command(program).arg("--version")) {
        Some(_) => Ok(()),
        None => bail!("{program} not found: {hint}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changed_lock_file_requires_a_new_installation() {
        let directory = tempfile::tempdir().unwrap();
        let lock = LockFile { file: directory.path().join("lock"), installed: directory.path().to_owned() };
        fs::write(&lock.file, "a 1").unwrap();
        assert!(!lock.is_installed().unwrap());
        lock.set_installed().unwrap();
        assert!(lock.is_installed().unwrap());
        fs::write(&lock.file, "a 2").unwrap();
        assert!(!lock.is_installed().unwrap());
    }

    #[test]
    fn missing_program_error_has_a_hint() {
        let error = require("no-such-program", "install it").unwrap_err();
        assert_eq!(error.to_string(), "no-such-program not found: install it");
    }
}
