//! The tables of rules, in the documentation of the tests that show them, name tests that are there.

#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use std::path::{Path, PathBuf};

/// The tests of a crate that enter by its front door.
fn folder(package: &str) -> PathBuf {
    let xtask = std::env::var_os("CARGO_MANIFEST_DIR").expect("cargo runs the tests");
    Path::new(&xtask).join("..").join(package).join("tests/api")
}

fn source(folder: &Path, module: &str) -> String {
    let files = [format!("{module}.rs"), format!("{module}/mod.rs")];
    files.iter().find_map(|file| std::fs::read_to_string(folder.join(file)).ok()).unwrap_or_default()
}

/// Whether the function is there, with a test's attribute right above it.
fn is_test(folder: &Path, module: &str, name: &str) -> bool {
    let (source, function) = (source(folder, module), format!("fn {name}() {{"));
    let mut pairs = source.lines().zip(source.lines().skip(1));
    pairs.any(|(above, line)| {
        line.ends_with(&function) && (above.starts_with("#[test") || above.starts_with("#[tokio::test"))
    })
}

#[test]
fn every_test_that_a_table_names_is_there() {
    for (package, least) in [("orders", 60), ("orchestrator", 50)] {
        let folder = folder(package);
        let main = source(&folder, "main");
        let table = main.lines().filter(|line| line.starts_with("//! |"));
        let quoted = table.flat_map(|line| line.split('`').skip(1).step_by(2));
        let named: Vec<_> = quoted.filter_map(|name| name.split_once("::")).collect();
        assert!(named.len() > least, "{package} names {}: the tables are not where they were", named.len());
        let missing: Vec<_> = named.into_iter().filter(|(module, name)| !is_test(&folder, module, name)).collect();
        assert!(missing.is_empty(), "{package} has none of {missing:?}");
    }
}
