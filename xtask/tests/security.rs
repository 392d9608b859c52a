//! Checks that the tests and test files named in SECURITY.md exist.

#![expect(clippy::expect_used, reason = "a test fails by panicking")]

mod common;

use std::collections::BTreeSet;
use std::path::PathBuf;

use common::root;

/// Returns the references of the form `crate, file: test` or `crate, file` in the document.
fn references(document: &str) -> impl Iterator<Item = (&str, &str, Option<&str>)> {
    let quoted = document.split('`').skip(1).step_by(2);
    quoted.filter_map(|text| {
        let (package, rest) = text.split_once(", ")?;
        let (file, test) = rest.split_once(": ").map_or((rest, None), |(file, test)| (file, Some(test)));
        let is_name =
            |text: &str| text.bytes().all(|byte| byte.is_ascii_lowercase() || b"-_/0123456789".contains(&byte));
        (is_name(package) && is_name(file)).then_some((package, file, test))
    })
}

/// Returns the existing files to which a reference may refer.
fn sources(package: &str, file: &str) -> Vec<PathBuf> {
    let package = root().join(match package {
        "client-common" => "clients/common",
        "common-http" => "common/http",
        "common-server" => "common/server",
        other => other,
    });
    let places = ["src", "src/app", "tests", "tests/api"].map(|folder| package.join(folder).join(file));
    let files =
        places.iter().flat_map(|place| [place.with_extension("rs"), place.join("mod.rs"), place.join("tests.rs")]);
    files.filter(|file| file.is_file()).collect()
}

#[test]
fn referenced_tests_exist() {
    let document = std::fs::read_to_string(root().join("SECURITY.md")).expect("SECURITY.md");
    let mut missing = BTreeSet::new();
    let mut found = 0;
    for (package, file, test) in references(&document) {
        let sources = sources(package, file);
        let exists = |source: &PathBuf| {
            let text = std::fs::read_to_string(source).expect("a source file");
            test.is_none_or(|test| text.contains(&format!("fn {test}(")))
        };
        if sources.iter().any(exists) {
            found += 1;
        } else {
            missing.insert(format!("{package}, {file}: {test:?}"));
        }
    }
    assert!(missing.is_empty(), "{missing:#?}");
    assert!(found >= 10, "found only {found} references: has their format changed?");
}
