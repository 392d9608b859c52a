//! The packages of the workspace, as `cargo metadata` describes them.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context, Result};
use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, Package};

/// Asks cargo for the workspace.
pub(crate) fn read() -> Result<Metadata> {
    MetadataCommand::new().no_deps().exec().context("cannot read cargo metadata")
}

pub(crate) fn folder(package: &Package) -> &Path {
    let manifest = package.manifest_path.as_std_path();
    manifest.parent().unwrap_or(manifest)
}

pub(crate) fn has_program(package: &Package, name: &str) -> bool {
    package.targets.iter().any(|target| target.name == name && target.is_bin())
}

/// The package with the program of this name.
pub(crate) fn package_of<'a>(workspace: &'a Metadata, program: &str) -> Result<&'a Package> {
    let found = workspace.packages.iter().find(|package| has_program(package, program));
    found.with_context(|| format!("no package has a program {program}"))
}

/// The folders of all packages that the program of this name is built from.
pub(crate) fn folders_of<'a>(workspace: &'a Metadata, program: &str) -> Result<BTreeSet<&'a Path>> {
    let (mut folders, mut next) = (BTreeSet::new(), vec![folder(package_of(workspace, program)?)]);
    while let Some(place) = next.pop() {
        if folders.insert(place) {
            let package = workspace.packages.iter().find(|package| folder(package) == place);
            let dependencies = package.into_iter().flat_map(|package| &package.dependencies);
            let built = dependencies.filter(|dependency| dependency.kind != DependencyKind::Development);
            next.extend(built.filter_map(|dependency| Some(dependency.path.as_ref()?.as_std_path())));
        }
    }
    Ok(folders)
}
