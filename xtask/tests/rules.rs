//! Checks that the tables of guarantees in the integration tests' documentation refer to existing tests.

#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use std::path::{Path, PathBuf};

/// Returns the directory that contains a crate's public API tests.
fn folder(package: &str) -> PathBuf {
    let xtask = std::env::var_os("CARGO_MANIFEST_DIR").expect("cargo runs the tests");
    Path::new(&xtask).join("..").join(package).join("tests/api")
}

fn source(folder: &Path, module: &str) -> String {
    let files = [format!("{module}.rs"), format!("{module}/mod.rs")];
    files.iter().find_map(|file| std::fs::read_to_string(folder.join(file)).ok()).unwrap_or_default()
}

/// Whether the function exists and the line above it contains a test attribute.
fn is_test(folder: &Path, module: &str, name: &str) -> bool {
    let (source, function) = (source(folder, module), format!("fn {name}() {{"));
    let mut pairs = source.lines().zip(source.lines().skip(1));
    pairs.any(|(above, line)| {
        line.ends_with(&function) && (above.starts_with("#[test") || above.starts_with("#[tokio::test"))
    })
}

#[test]
fn tests_named_in_tables_exist() {
    for (package, least) in [("orders", 60), ("orchestrator", 50)] {
        let folder = folder(package);
        let main = source(&folder, "main");
        let table = main.lines().filter(|line| line.starts_with("//! |"));
        let quoted = table.flat_map(|line| line.split('`').skip(1).step_by(2));
        let named: Vec<_> = quoted.filter_map(|name| name.split_once("::")).collect();
        assert!(
            named.len() > least,
            "found only {} names in the tables of {package}: has their format changed?",
            named.len()
        );
        let missing: Vec<_> = named.into_iter().filter(|(module, name)| !is_test(&folder, module, name)).collect();
        assert!(missing.is_empty(), "{package} has no tests {missing:?}");
    }
}
