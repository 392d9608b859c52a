//! Programs of others: found on this machine, or installed by apt-get on Debian and Ubuntu as root or by cargo into
//! `.local/cargo`.

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

/// A server without a service that starts by itself.
const SERVER: [&str; 2] = ["mariadb-server-core", "mariadb-client-core"];

/// Installs the packages. An old package list is no reason to give up, so the second command runs in any case.
const INSTALL: &str =
    r#"apt-get update; exec apt-get -o DPkg::Lock::Timeout=600 install --yes --no-install-recommends "$@""#;

/// Downloads a package into the folder `$1` and unpacks it there, without starting anything of it.
const UNPACK: &str =
    r#"apt-get update; cd "$1" && apt-get download "$2" && dpkg-deb --extract "$2"_*.deb . && rm "$2"_*.deb"#;

/// A program, and the way to install it.
pub(crate) struct Tool {
    names: &'static [&'static str],
    source: Source,
}

#[derive(Clone, Copy)]
enum Source {
    /// A package of Debian.
    Package(&'static str),
    /// The same, but unpacked and not installed: installed, it would start a service.
    Unpacked(&'static str),
    /// A crate of the same name in this version, without optimisation: it is compiled more often than it is slow.
    Crate(&'static str),
}

pub(crate) const CARGO_CYCLONEDX: Tool = Tool { names: &["cargo-cyclonedx"], source: Source::Crate("0.5.9") };
pub(crate) const CARGO_DENY: Tool = Tool { names: &["cargo-deny"], source: Source::Crate("0.20.2") };
pub(crate) const CHROMIUM: Tool =
    Tool { names: &["chromium", "chromium-browser", "google-chrome"], source: Source::Package("chromium") };
pub(crate) const HAPROXY: Tool = Tool { names: &["haproxy"], source: Source::Package("haproxy") };
pub(crate) const PROMTOOL: Tool = Tool { names: &["promtool"], source: Source::Unpacked("prometheus") };

/// The PATH of all programs that run here: that of this process, and where tools are installed.
pub(crate) fn path() -> OsString {
    let path = env::var_os("PATH").unwrap_or_default();
    let more = [PathBuf::from("/usr/sbin"), workspace::local("cargo/bin"), workspace::local("packages/usr/bin")];
    // A folder with a colon in its name cannot be on a PATH.
    env::join_paths(env::split_paths(&path).chain(more)).unwrap_or(path)
}

/// The first program of this name on that PATH.
pub(crate) fn find(name: &str) -> Option<PathBuf> {
    env::split_paths(&path()).map(|folder| folder.join(name)).find(|path| path.is_file())
}

/// Whether packages may be installed: as root on a Debian or Ubuntu.
pub(crate) fn can_install() -> bool {
    geteuid().is_root() && Path::new("/etc/debian_version").exists() && find("apt-get").is_some()
}

/// Installs a database server and finds it.
pub(crate) async fn install_server() -> Result<Program> {
    let output = apt(INSTALL, &SERVER.map(OsStr::new)).await?;
    Program::find().with_context(|| format!("no server program after its installation:\n{output}"))
}

impl Tool {
    /// The path of the program, which is installed where it is missing and that is allowed.
    pub(crate) async fn find_or_install(&self, install: Install, system: &System) -> Result<PathBuf> {
        if let Some(path) = self.find() {
            return Ok(path);
        }
        let name = self.names[0];
        match self.source {
            Source::Crate(version) if install.no_install => {
                bail!("no {name}: install it with `cargo install {name} --version {version}`")
            }
            Source::Package(package) | Source::Unpacked(package) if install.no_install || !can_install() => {
                bail!("no {name} on the PATH: install it, for instance the package {package} of Debian")
            }
            _ => {}
        }
        system.progress.start(name, "installing, as there is none (--no-install refuses this)");
        // What counts is whether the program is there afterwards.
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
                // The settings of this workspace are not those of the tool.
                cargo.current_dir(env::temp_dir());
                let log = system.detail_log(name);
                system.run(cargo, log.clone()).await?;
                log.tail(10)
            }
        };
        let found = self.find().with_context(|| format!("cannot install {name}:\n{output}"))?;
        system.progress.done(name, "installed");
        Ok(found)
    }

    fn find(&self) -> Option<PathBuf> {
        self.names.iter().find_map(|name| find(name))
    }
}

/// Runs a script of apt-get to its end and returns the last lines of its output. Neither a signal nor the end of this
/// process cuts it short: half an installation would have to be repaired by hand.
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
