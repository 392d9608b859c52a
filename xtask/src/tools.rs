//! External tools. Missing ones are installed by apt-get (as root on Debian or Ubuntu) or by cargo into `.local/cargo`.

use std::env;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, Result, bail};
use nix::unistd::geteuid;
use private_server::Program;
use tokio::task::spawn_blocking;

use crate::cli::Install;
use crate::system::System;
use crate::workspace;

/// Packages that contain a database server but no system service.
const SERVER: [&str; 2] = ["mariadb-server-core", "mariadb-client-core"];

/// Shell script that installs packages. Ignores a failed update, because the existing package lists may suffice.
const INSTALL: &str =
    r#"apt-get update; exec apt-get -o DPkg::Lock::Timeout=600 install --yes --no-install-recommends "$@""#;

/// Shell script that unpacks the package `$2` into the directory `$1`, without running its install scripts.
const UNPACK: &str =
    r#"apt-get update; cd "$1" && apt-get download "$2" && dpkg-deb --extract "$2"_*.deb . && rm "$2"_*.deb"#;

pub(crate) struct Tool {
    names: &'static [&'static str],
    source: Source,
}

#[derive(Clone, Copy)]
enum Source {
    Package(&'static str),
    /// Debian package to unpack instead of install, because its installation would start a service.
    Unpacked(&'static str),
    /// Version of the crate with the tool's name. Not optimized: compile time matters more than run time.
    Crate(&'static str),
}

pub(crate) const CARGO_CYCLONEDX: Tool = Tool { names: &["cargo-cyclonedx"], source: Source::Crate("0.5.9") };
pub(crate) const CARGO_DENY: Tool = Tool { names: &["cargo-deny"], source: Source::Crate("0.20.2") };
pub(crate) const CHROMIUM: Tool =
    Tool { names: &["chromium", "chromium-browser", "google-chrome"], source: Source::Package("chromium") };
pub(crate) const HAPROXY: Tool = Tool { names: &["haproxy"], source: Source::Package("haproxy") };
pub(crate) const PROMTOOL: Tool = Tool { names: &["promtool"], source: Source::Unpacked("prometheus") };

/// PATH for all child processes: the PATH of this process, followed by the directories of installed tools.
pub(crate) fn path() -> OsString {
    let path = env::var_os("PATH").unwrap_or_default();
    let more = [PathBuf::from("/usr/sbin"), workspace::local("cargo/bin"), workspace::local("packages/usr/bin")];
    // Fails if a directory's name contains a colon.
    env::join_paths(env::split_paths(&path).chain(more)).unwrap_or(path)
}

pub(crate) fn find(name: &str) -> Option<PathBuf> {
    env::split_paths(&path()).map(|folder| folder.join(name)).find(|path| path.is_file())
}

/// Whether packages can be installed: requires root on Debian or Ubuntu.
pub(crate) fn can_install() -> bool {
    geteuid().is_root() && Path::new("/etc/debian_version").exists() && find("apt-get").is_some()
}

/// Installs Debian packages and returns the last lines of the output, also if that fails.
pub(crate) async fn install_packages(packages: &[&str]) -> Result<String> {
    apt(INSTALL, &Vec::from_iter(packages.iter().map(OsStr::new))).await
}

/// Installs a database server and returns its program.
pub(crate) async fn install_server() -> Result<Program> {
    let output = install_packages(&SERVER).await?;
    Program::find().with_context(|| format!("cannot install a database server:\n{output}"))
}

impl Tool {
    /// Returns the path of the tool. Installs a missing tool unless `--no-install` is given.
    pub(crate) async fn find_or_install(&self, install: Install, system: &System) -> Result<PathBuf> {
        if let Some(path) = self.find() {
            return Ok(path);
        }
        let name = self.names[0];
        match self.source {
            Source::Crate(version) if install.no_install => {
                bail!("{name} not found: install it with `cargo install {name} --version {version}`")
            }
            Source::Package(package) | Source::Unpacked(package) if install.no_install || !can_install() => {
                bail!("{name} not found on the PATH: install it (Debian package: {package})")
            }
            _ => {}
        }
        system.progress.start(name, "not found, installing (use --no-install to prevent this)");
        // Ignore the status: success is determined below by whether the program can be found.
        let output = match self.source {
            Source::Package(package) => apt(INSTALL, &[package.as_ref()]).await?,
            Source::Unpacked(package) => {
                let folder = workspace::local("packages");
                fs::create_dir_all(&folder)?;
                apt(UNPACK, &[folder.as_os_str(), package.as_ref()]).await?
            }
            Source::Crate(version) => {
                let mut cargo = workspace::cargo();
                cargo.args(["install", name, "--version", version, "--locked", "--debug", "--root"]);
                cargo.arg(workspace::local("cargo"));
                // Run outside the workspace, whose Cargo settings must not apply to the tool.
                cargo.current_dir(env::temp_dir());
                let log = system.detail_log(name);
                system.run(cargo, log.clone()).await?;
                log.tail(10)
            }
        };
        let found = self.find().with_context(|| format!("cannot install {name}:\n{output}"))?;
        system.progress.finish(name, "installed");
        Ok(found)
    }

    fn find(&self) -> Option<PathBuf> {
        self.names.iter().find_map(|name| find(name))
    }
}

/// Runs an apt-get script and returns the last lines of its output. Uses a separate process group, so that neither a
/// signal nor the exit of this process interrupts the script: a partial installation would require manual repair.
async fn apt(script: &str, arguments: &[&OsStr]) -> Result<String> {
    let path = workspace::local("apt.log");
    fs::create_dir_all(workspace::local(""))?;
    let output = File::create(&path)?;
    let mut command = workspace::command("sh");
    command.args(["-c", script, "sh"]).args(arguments).env("DEBIAN_FRONTEND", "noninteractive").process_group(0);
    command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
    spawn_blocking(move || command.status()).await?.context("cannot run apt-get")?;
    let output = String::from_utf8_lossy(&fs::read(&path)?).into_owned();
    let skipped = output.lines().count().saturating_sub(10);
    Ok(Vec::from_iter(output.lines().skip(skipped)).join("\n"))
}
