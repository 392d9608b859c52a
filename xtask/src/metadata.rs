//! The packages of the workspace, as `cargo metadata` describes them.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::Deserialize;

use crate::workspace;

/// The workspace.
#[derive(Deserialize)]
pub(crate) struct Metadata {
    pub(crate) packages: Vec<Package>,
}

/// A package of the workspace.
#[derive(Deserialize)]
pub(crate) struct Package {
    pub(crate) name: String,
    manifest_path: PathBuf,
    dependencies: Vec<Dependency>,
    targets: Vec<Target>,
}

#[derive(Deserialize)]
struct Dependency {
    /// That of a package of the workspace.
    path: Option<PathBuf>,
    kind: Option<String>,
}

#[derive(Deserialize)]
struct Target {
    name: String,
    kind: Vec<String>,
}

impl Metadata {
    /// Asks cargo.
    pub(crate) fn read() -> Result<Self> {
        let text = workspace::output(workspace::cargo().args(["metadata", "--no-deps", "--format-version", "1"]));
        serde_json::from_str(&text.context("cargo metadata fails")?).context("cannot read cargo metadata")
    }

    /// The package with the program of this name.
    pub(crate) fn package_of(&self, program: &str) -> Result<&Package> {
        let found = self.packages.iter().find(|package| package.has_program(program));
        found.with_context(|| format!("no package has a program {program}"))
    }

    /// The package that a file belongs to: of nested folders, the innermost.
    pub(crate) fn owner(&self, file: &Path) -> Option<&Package> {
        let owners = self.packages.iter().filter(|package| file.starts_with(package.folder()));
        owners.max_by_key(|package| package.folder().as_os_str().len())
    }

    /// The folders of all packages that the program of this name is built from.
    pub(crate) fn folders_of(&self, program: &str) -> Result<BTreeSet<&Path>> {
        let (mut folders, mut next) = (BTreeSet::new(), vec![self.package_of(program)?.folder()]);
        while let Some(folder) = next.pop() {
            if folders.insert(folder) {
                let package = self.packages.iter().find(|package| package.folder() == folder);
                let dependencies = package.into_iter().flat_map(|package| &package.dependencies);
                let built = dependencies.filter(|dependency| dependency.kind.as_deref() != Some("dev"));
                next.extend(built.filter_map(|dependency| dependency.path.as_deref()));
            }
        }
        Ok(folders)
    }
}

impl Package {
    pub(crate) fn folder(&self) -> &Path {
        self.manifest_path.parent().unwrap_or(&self.manifest_path)
    }

    pub(crate) fn has_program(&self, name: &str) -> bool {
        self.targets.iter().any(|target| target.name == name && target.kind.iter().any(|kind| kind == "bin"))
    }
}
