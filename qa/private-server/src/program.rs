//! Search for an installed database server program, and commands to install one.

use std::env;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Common server directories that may not be on PATH.
const MORE_DIRECTORIES: [&str; 8] = [
    "/usr/sbin",
    "/usr/libexec",
    "/usr/local/sbin",
    "/usr/local/bin",
    "/usr/bin",
    "/usr/local/mysql/bin",
    "/opt/homebrew/opt/mariadb/bin",
    "/opt/homebrew/opt/mysql/bin",
];

/// Database engine. Engines differ in how a data directory is initialized and in a few options.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    /// MariaDB.
    MariaDb,
    /// MySQL.
    MySql,
}

impl fmt::Display for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::MariaDb => "MariaDB",
            Self::MySql => "MySQL",
        })
    }
}

/// Installed server program, including everything required to initialize a data directory.
#[derive(Clone, Debug)]
pub struct Program {
    pub(crate) server: PathBuf,
    pub(crate) engine: Engine,
    version: String,
    /// Second MariaDB program, which initializes data directories.
    pub(crate) installer: Option<PathBuf>,
}

impl Program {
    /// Returns the first complete server installation on PATH or in the common directories, preferring MariaDB.
    #[must_use]
    pub fn find() -> Option<Self> {
        ["mariadbd", "mysqld"].into_iter().flat_map(candidates).find_map(|path| Self::at(&path))
    }

    /// Returns the server at this path, whatever its file name, or `None` if the installation is not complete.
    #[must_use]
    pub fn at(path: &Path) -> Option<Self> {
        let output = Command::new(path).args(["--no-defaults", "--version"]).output().ok()?;
        let (engine, version) = parse_version(&String::from_utf8_lossy(&output.stdout))?;
        let installer = match engine {
            Engine::MySql => None,
            Engine::MariaDb => {
                candidates("my_print_defaults").next()?;
                Some(candidates("mariadb-install-db").next()?)
            }
        };
        Some(Self { server: path.to_owned(), engine, version, installer })
    }

    /// Returns the engine.
    pub fn engine(&self) -> Engine {
        self.engine
    }

    /// Returns the version, for example `10.11.11`.
    pub fn version(&self) -> &str {
        &self.version
    }
}

impl fmt::Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.server.display();
        write!(f, "{} {} ({path})", self.engine, self.version)
    }
}

/// Returns the programs with this name on PATH and in the common directories.
fn candidates(name: &str) -> impl Iterator<Item = PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let on_path = Vec::from_iter(env::split_paths(&path).filter(|directory| directory.is_absolute()));
    let directories = on_path.into_iter().chain(MORE_DIRECTORIES.map(PathBuf::from));
    directories.map(move |directory| directory.join(name)).filter(|path| path.is_file())
}

/// Parses `/usr/sbin/mysqld  Ver 8.4.3 for Linux on x86_64 (MySQL Community Server - GPL)`, or the MariaDB equivalent.
fn parse_version(text: &str) -> Option<(Engine, String)> {
    let (_, rest) = text.split_once("Ver ")?;
    let full = rest.split_whitespace().next()?;
    let number = full.split('-').next()?;
    let engine = if full.contains("MariaDB") { Engine::MariaDb } else { Engine::MySql };
    Some((engine, number.to_owned()))
}

/// Returns the install command of each package manager. Prefers packages that do not start a service.
#[must_use]
pub fn install_command() -> &'static str {
    if cfg!(target_os = "macos") {
        "brew install mariadb"
    } else {
        "apt-get install --no-install-recommends mariadb-server-core mariadb-client-core (Debian, Ubuntu), dnf install \
         mariadb-server (Fedora), apk add mariadb mariadb-client (Alpine), pacman -S mariadb (Arch), or zypper install \
         mariadb (SUSE)"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn engine_and_version_are_parsed_from_the_version_line() {
        let mariadb = "/usr/sbin/mysqld  Ver 10.11.14-MariaDB-0+deb12u2 for debian-linux-gnu";
        let mysql = "mysqld  Ver 8.4.3 for Linux on x86_64 (MySQL Community Server - GPL)";
        let expected = (Engine::MariaDb, "10.11.14".to_owned());
        assert_eq!(parse_version(mariadb), Some(expected));
        let expected = (Engine::MySql, "8.4.3".to_owned());
        assert_eq!(parse_version(mysql), Some(expected));
        assert_eq!(parse_version("GNU bash, version 5.2"), None);
    }
}
