//! Packages of the workspace, from `cargo metadata`.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context, Result};
use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, Package};

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

pub(crate) fn package_of<'a>(workspace: &'a Metadata, program: &str) -> Result<&'a Package> {
    let found = workspace.packages.iter().find(|package| has_program(package, program));
    found.with_context(|| format!("no package contains the program {program}"))
}

/// Returns the directories of all workspace packages from which a program is built.
pub(crate) fn source_folders<'a>(workspace: &'a Metadata, program: &str) -> Result<BTreeSet<&'a Path>> {
    let (mut folders, mut next) = (BTreeSet::new(), vec![folder(package_of(workspace, program)?)]);
    while let Some(path) = next.pop() {
        if folders.insert(path) {
            let package = workspace.packages.iter().find(|package| folder(package) == path);
            let dependencies = package.into_iter().flat_map(|package| &package.dependencies);
            let built = dependencies.filter(|dependency| dependency.kind != DependencyKind::Development);
            next.extend(built.filter_map(|dependency| Some(dependency.path.as_ref()?.as_std_path())));
        }
    }
    Ok(folders)
}
