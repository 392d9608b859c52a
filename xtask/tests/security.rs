//! What SECURITY.md names is there: tests, and the files of tests.

#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Of the working copy under test: the one in which this program was built may be another.
fn root() -> PathBuf {
    let package = std::env::var_os("CARGO_MANIFEST_DIR").expect("cargo runs the tests");
    Path::new(&package).parent().expect("the workspace's folder").to_owned()
}

/// `crate, file: test` or `crate, file`, as the document names what shows something.
fn named(document: &str) -> impl Iterator<Item = (&str, &str, Option<&str>)> {
    let quoted = document.split('`').skip(1).step_by(2);
    quoted.filter_map(|text| {
        let (package, rest) = text.split_once(", ")?;
        let (file, test) = rest.split_once(": ").map_or((rest, None), |(file, test)| (file, Some(test)));
        let is_name =
            |text: &str| text.bytes().all(|byte| byte.is_ascii_lowercase() || b"-_/0123456789".contains(&byte));
        (is_name(package) && is_name(file)).then_some((package, file, test))
    })
}

/// Where the file of a package is, which tests are in.
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
fn every_test_that_is_named_as_a_proof_exists() {
    let document = std::fs::read_to_string(root().join("SECURITY.md")).expect("SECURITY.md");
    let mut missing = BTreeSet::new();
    let mut found = 0;
    for (package, file, test) in named(&document) {
        let sources = sources(package, file);
        let is_there = |source: &PathBuf| {
            let text = std::fs::read_to_string(source).expect("a source file");
            test.is_none_or(|test| text.contains(&format!("fn {test}(")))
        };
        if sources.iter().any(is_there) {
            found += 1;
        } else {
            missing.insert(format!("{package}, {file}: {test:?}"));
        }
    }
    assert!(missing.is_empty(), "{missing:#?}");
    assert!(found >= 10, "only {found} were found: are they still named the same way?");
}
