//! The table in the documentation of these tests names tests that are there.

use std::path::{Path, PathBuf};

/// Of the working copy under test: the one in which this program was built may be another.
fn folder() -> PathBuf {
    let package = std::env::var_os("CARGO_MANIFEST_DIR").expect("cargo runs the tests");
    Path::new(&package).join("tests/api")
}

fn source(module: &str) -> String {
    let files = [format!("{module}.rs"), format!("{module}/mod.rs")];
    files.iter().find_map(|file| std::fs::read_to_string(folder().join(file)).ok()).unwrap_or_default()
}

fn is_test(module: &str, name: &str) -> bool {
    let function = format!("fn {name}() {{");
    let source = source(module);
    let mut pairs = source.lines().zip(source.lines().skip(1));
    pairs
        .any(|(attribute, line)| attribute.contains("test") && attribute.starts_with("#[") && line.ends_with(&function))
}

#[test]
fn every_test_that_the_table_names_is_there() {
    let main = source("main");
    let table = main.lines().filter(|line| line.starts_with("//! |"));
    let quoted = table.flat_map(|line| line.split('`').skip(1).step_by(2));
    let named: Vec<_> = quoted.filter_map(|name| name.split_once("::")).collect();
    assert!(named.len() > 40, "the table is not where it was");
    let missing: Vec<_> = named.into_iter().filter(|(module, name)| !is_test(module, name)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}
