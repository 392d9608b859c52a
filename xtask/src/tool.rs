//! Programs that others wrote and that Debian packages: found on this machine, or installed or unpacked by apt-get.

use std::env;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use private_server::claim::Claim;

use crate::apt;
use crate::cli::Install;
use crate::progress::Progress;
use crate::workspace;

/// A program and the package that has it.
pub(crate) struct Tool {
    /// The variable that may name its path.
    variable: &'static str,
    /// What it may be called.
    names: &'static [&'static str],
    package: &'static str,
    /// Where it is in the package, if that is unpacked and not installed: installed, it would start a service.
    unpacked: Option<&'static str>,
}

pub(crate) const CHROMIUM: Tool = Tool {
    variable: "CHROMIUM",
    names: &["chromium", "chromium-browser", "google-chrome"],
    package: "chromium",
    unpacked: None,
};

pub(crate) const HAPROXY: Tool = Tool { variable: "HAPROXY", names: &["haproxy"], package: "haproxy", unpacked: None };

pub(crate) const PROMTOOL: Tool =
    Tool { variable: "PROMTOOL", names: &["promtool"], package: "prometheus", unpacked: Some("usr/bin/promtool") };

pub(crate) const WRK: Tool = Tool { variable: "WRK", names: &["wrk"], package: "wrk", unpacked: None };

/// Where servers are, but not on the PATH of everybody.
const SERVERS: &str = "/usr/sbin";

impl Tool {
    /// The path of the program, which is installed where it is missing and that is allowed.
    pub(crate) fn find_or_install(&self, install: Install, progress: &Progress, claim: &Claim) -> Result<PathBuf> {
        if let Some(path) = self.find() {
            return Ok(path);
        }
        let Self { variable, package, .. } = self;
        if install.no_install || !apt::is_possible() {
            bail!("no {package} on this machine: install it, or set {variable} to its path");
        }
        progress.start(package, "installing by apt-get, as there is none (--no-install refuses this)");
        let detail = |line: &str| progress.detail(package, line);
        let tail = match self.unpacked {
            None => apt::install(&[package], &detail, claim)?,
            Some(_) => apt::unpack(package, &workspace::packages_directory(), &detail, claim)?,
        };
        let path = self.find().with_context(|| format!("no {package} after apt-get install {package}:\n{tail}"))?;
        progress.done(package, "installed");
        Ok(path)
    }

    /// The one that the variable names, or else the first on the PATH.
    fn find(&self) -> Option<PathBuf> {
        let named = env::var_os(self.variable).filter(|path| !path.is_empty()).map(PathBuf::from);
        named.or_else(|| {
            let path = env::var_os("PATH").unwrap_or_default();
            let folders: Vec<_> = env::split_paths(&path).chain([PathBuf::from(SERVERS)]).collect();
            let paths = self.names.iter().flat_map(|name| folders.iter().map(move |folder| folder.join(name)));
            let unpacked = self.unpacked.map(|path| workspace::packages_directory().join(path));
            paths.chain(unpacked).find(|path| path.is_file())
        })
    }
}
