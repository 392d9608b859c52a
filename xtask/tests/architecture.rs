//! The arrows of ARCHITECTURE.md, asserted over `cargo metadata` and over the sources.

#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// What each crate may use of this workspace. Tests may use more, except those of the leaves.
const ARROWS: &[(&str, &[&str])] = &[
    ("common-contract", &[]),
    ("common-http", &["common-contract"]),
    ("customers-api", &["common-contract", "common-http"]),
    ("orders-api", &["common-contract", "common-http"]),
    ("orchestrator-api", &["common-contract", "common-http"]),
    ("client-common", &[]),
    ("client-generator", &[]),
    ("customers-client", &["client-common", "client-generator"]),
    ("orders-client", &["client-common", "client-generator"]),
    ("orchestrator-client", &["client-common", "client-generator"]),
    ("openapi-document", &[]),
    ("common-server", &["common-contract", "common-http", "openapi-document"]),
    ("private-server", &[]),
    ("db", &[]),
    ("db-audit", &[]),
    ("db-cli", &["db", "db-audit"]),
    ("db-testing", &["db", "db-cli", "private-server"]),
    ("customers", &["common-contract", "common-http", "common-server", "customers-api", "db"]),
    (
        "orders",
        &["client-common", "common-contract", "common-http", "common-server", "customers-client", "db", "orders-api"],
    ),
    (
        "orchestrator",
        &[
            "client-common",
            "common-contract",
            "common-http",
            "common-server",
            "customers-client",
            "orchestrator-api",
            "orders-client",
        ],
    ),
    ("xtask", &["harness", "private-server"]),
    ("workload", &["client-common", "customers-client", "openapi-document", "orchestrator-client", "orders-client"]),
    (
        "fuzz",
        &[
            "common-contract",
            "common-http",
            "common-server",
            "customers-api",
            "orchestrator",
            "orchestrator-api",
            "orders-api",
        ],
    ),
    ("harness", &["private-server"]),
    (
        "bench",
        &[
            "client-common",
            "customers-client",
            "db",
            "db-audit",
            "db-cli",
            "harness",
            "orders-client",
            "private-server",
        ],
    ),
    (
        "faults",
        &["client-common", "customers-client", "db-audit", "harness", "orders-client", "private-server", "workload"],
    ),
    ("xtask-openapi", &["common-contract", "customers-api", "openapi-document", "orchestrator-api", "orders-api"]),
];

/// Crates whose tests keep to the arrows, too: what they know must not depend on who is asking.
const LEAVES: &[&str] = &[
    "common-contract",
    "common-http",
    "customers-api",
    "orders-api",
    "orchestrator-api",
    "openapi-document",
    "client-common",
];

/// Of the working copy under test: the one in which this program was built may be another.
fn root() -> PathBuf {
    let package = std::env::var_os("CARGO_MANIFEST_DIR").expect("cargo runs the tests");
    Path::new(&package).parent().expect("the workspace's folder").to_owned()
}

fn packages() -> Vec<Value> {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["metadata", "--no-deps", "--format-version", "1"]).current_dir(root());
    let output = cargo.output().expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("cargo metadata prints JSON");
    metadata["packages"].as_array().expect("a list of packages").clone()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

#[test]
fn every_crate_uses_only_what_its_arrows_allow() {
    let arrows: BTreeMap<_, _> = ARROWS.iter().copied().collect();
    let mut seen = BTreeSet::new();
    for package in packages() {
        let name = text(&package["name"]);
        let allowed = arrows.get(name).unwrap_or_else(|| panic!("{name} has no arrows here and in ARCHITECTURE.md"));
        seen.insert(name.to_owned());
        for dependency in package["dependencies"].as_array().into_iter().flatten() {
            let (on, kind) = (text(&dependency["name"]), text(&dependency["kind"]));
            let counts = kind != "dev" || LEAVES.contains(&name);
            if arrows.contains_key(on) && counts {
                assert!(allowed.contains(&on), "{name} must not use {on}");
            }
        }
    }
    assert_eq!(seen, arrows.keys().map(|name| (*name).to_owned()).collect());
}

#[test]
fn servers_link_no_crates_of_command_lines() {
    const COMMAND_LINE: &[&str] = &["anyhow", "clap", "indicatif", "similar"];
    for server in ["customers", "orders", "orchestrator"] {
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args(["tree", "--package", server, "--edges", "normal,no-proc-macro", "--prefix", "none"]);
        let output = cargo.args(["--format", "{p}"]).current_dir(root()).output().expect("cargo runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let tree = String::from_utf8_lossy(&output.stdout).into_owned();
        let linked = |name: &&&str| tree.lines().any(|line| line.split(' ').next() == Some(name));
        let found: Vec<_> = COMMAND_LINE.iter().filter(linked).collect();
        assert!(tree.lines().count() > 100 && found.is_empty(), "{server} links {found:?}");
    }
}

/// A word that only some files may know, and which.
struct Secret {
    word: &'static str,
    in_folders: &'static [&'static str],
    known_to: &'static [&'static str],
}

const SECRETS: &[Secret] = &[
    Secret {
        word: "dropshot",
        in_folders: &["customers/src", "orders/src", "orchestrator/src"],
        known_to: &["http.rs", "local.rs", "lambda.rs"],
    },
    Secret { word: "lambda_http", in_folders: &["orchestrator/src"], known_to: &["lambda.rs", "event.rs"] },
    Secret { word: "diesel", in_folders: &["customers/src", "orders/src"], known_to: &["store"] },
    Secret {
        word: "AsyncMysqlConnection",
        in_folders: &["customers/src", "orders/src", "common/server/src"],
        known_to: &[],
    },
    Secret { word: "unpooled", in_folders: &["customers/src", "orders/src", "common/server/src"], known_to: &[] },
    Secret { word: "establish", in_folders: &["customers/src", "orders/src", "common/server/src"], known_to: &[] },
    Secret { word: "reqwest", in_folders: &["customers/src", "common/server/src"], known_to: &["testing"] },
];

#[test]
fn only_the_edges_know_the_frameworks() {
    for Secret { word, in_folders, known_to } in SECRETS {
        for file in in_folders.iter().flat_map(|folder| rust_files(&root().join(folder))) {
            let knows = code(&file).any(|line| line.contains(word));
            let may = file.iter().any(|part| known_to.iter().any(|known| part == *known));
            assert!(!knows || may, "{} must not know {word}", file.display());
        }
    }
}

#[test]
fn no_file_is_longer_than_a_stranger_reads_at_once() {
    for folder in ["clients", "common", "customers", "db", "orchestrator", "orders", "qa", "xtask"] {
        for file in rust_files(&root().join(folder)) {
            let lines = std::fs::read_to_string(&file).expect("a source file").lines().count();
            assert!(lines <= 400, "{} has {lines} lines: split it by purpose", file.display());
        }
    }
}

fn code(file: &Path) -> impl Iterator<Item = String> {
    let text = std::fs::read_to_string(file).expect("a source file");
    let lines: Vec<_> = text.lines().map(str::trim).filter(|line| !line.starts_with("//")).map(str::to_owned).collect();
    lines.into_iter()
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).expect("a source folder") {
        let path = entry.expect("a readable entry").path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            files.push(path);
        }
    }
    files
}
