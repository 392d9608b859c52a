//! The table in the documentation of these tests names tests that are there.

use std::path::{Path, PathBuf};

/// Of the working copy under test: the one in which this program was built may be another.
fn folder() -> PathBuf {
    let package = std::env::var_os("CARGO_MANIFEST_DIR").expect("cargo runs the tests");
    Path::new(&package).join("tests/api")
}

fn source(module: &str) -> String {
    std::fs::read_to_string(folder().join(format!("{module}.rs"))).unwrap_or_default()
}

/// Whether the function is there, with a test's attribute right above it.
fn is_test(module: &str, name: &str) -> bool {
    let source = source(module);
    let above = source.split_once(&format!("\nasync fn {name}() {{")).map(|(above, _)| above);
    let attribute = above.and_then(|above| above.lines().last());
    attribute.is_some_and(|attribute| attribute.starts_with("#[tokio::test"))
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
