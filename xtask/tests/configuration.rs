//! Checks that docs/configuration.md lists exactly the settings that the services read.

#![expect(clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod common;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use common::root;

/// Source directories of the crates whose code runs in a service.
const SOURCES: [&str; 7] = [
    "common/server/src",
    "common/http/src",
    "clients/common/src",
    "db/src",
    "customers/src",
    "orders/src",
    "orchestrator/src",
];

/// Environment variable that the AWS Lambda runtime sets. It is not a setting.
const FROM_LAMBDA: &str = "AWS_LAMBDA_RUNTIME_API";

/// Source text that precedes a setting's name where code reads it.
const READS: [&str; 8] = ["get(", "required(", "secret(", "parsed(", "base_url(", "var(", "var_os(", "number_in(env, "];

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn is_setting(name: &str) -> bool {
    name.len() > 1 && name.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_')
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("a folder of sources").map(|entry| entry.expect("an entry").path());
    let (folders, files): (Vec<_>, Vec<_>) = entries.partition(|path| path.is_dir());
    let files = files.into_iter().filter(|file| file.extension().is_some_and(|extension| extension == "rs"));
    files.chain(folders.iter().flat_map(|folder| rust_files(folder))).collect()
}

/// Returns the settings that a source file reads, excluding those in its tests.
fn settings_read(source: &str) -> BTreeSet<String> {
    let code = source.split("#[cfg(test)]").next().unwrap_or_default();
    let reads = READS.iter().flat_map(|call| code.split(call).skip(1));
    let names = reads.filter_map(|rest| rest.strip_prefix('"')?.split('"').next());
    names.filter(|name| is_setting(name)).map(str::to_owned).collect()
}

/// Returns the names in the first column of the document's tables, and the names in all columns.
fn documented(document: &str) -> (BTreeSet<String>, BTreeSet<String>) {
    let names = |text: &str| {
        let quoted = text.split('`').skip(1).step_by(2);
        Vec::from_iter(quoted.filter(|name| is_setting(name)).map(str::to_owned))
    };
    let rows = Vec::from_iter(document.lines().filter(|line| line.starts_with("| `")));
    let first = rows.iter().flat_map(|row| names(row.split('|').nth(1).unwrap_or_default())).collect();
    (first, rows.iter().flat_map(|row| names(row)).collect())
}

#[test]
fn every_setting_is_documented_and_every_documented_setting_is_read() {
    let (listed, mentioned) = documented(&read(&root().join("docs/configuration.md")));
    let files = SOURCES.iter().flat_map(|folder| rust_files(&root().join(folder)));
    let texts = Vec::from_iter(files.map(|file| read(&file)));
    let mut used: BTreeSet<_> = texts.iter().flat_map(|text| settings_read(text)).collect();
    assert!(used.remove(FROM_LAMBDA), "reads of settings are not recognized: {used:?}");
    assert!(used.len() > 20, "reads of settings are not recognized: {used:?}");
    assert_eq!(used.difference(&mentioned).collect::<Vec<_>>(), [""; 0], "read, but not documented");
    let is_used = |name: &&String| texts.iter().any(|text| text.contains(&format!("\"{name}\"")));
    let unused = listed.iter().filter(|name| !is_used(name));
    assert_eq!(unused.collect::<Vec<_>>(), [""; 0], "documented, but not read");
}

#[test]
fn example_files_name_documented_settings() {
    let (listed, _) = documented(&read(&root().join("docs/configuration.md")));
    for service in ["customers", "orders", "orchestrator"] {
        let example = read(&root().join(service).join(".env.example"));
        let names = example.lines().filter_map(|line| Some(line.trim_start_matches(['#', ' ']).split_once('=')?.0));
        let settings = Vec::from_iter(names.filter(|name| is_setting(name)));
        assert!(settings.len() > 5, "{service}: {settings:?}");
        let unknown = settings.iter().filter(|name| !listed.contains(**name));
        assert_eq!(unknown.collect::<Vec<_>>(), [&""; 0], "{service}");
    }
}
