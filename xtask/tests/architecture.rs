//! Checks the dependency rules of ARCHITECTURE.md against `cargo metadata` and the sources.

#![expect(clippy::expect_used, reason = "a test fails by panicking")]

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use common::root;

/// Workspace crates that each crate may depend on. Dev-dependencies are exempt, except for the crates in [`LEAVES`].
const ALLOWED_DEPENDENCIES: &[(&str, &[&str])] = &[
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

/// Crates whose dev-dependencies must also follow the rules, because these crates must not depend on the crates that
/// use them.
const LEAVES: &[&str] = &[
    "common-contract",
    "common-http",
    "customers-api",
    "orders-api",
    "orchestrator-api",
    "openapi-document",
    "client-common",
];

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
fn crates_have_only_allowed_dependencies() {
    let rules: BTreeMap<_, _> = ALLOWED_DEPENDENCIES.iter().copied().collect();
    let mut seen = BTreeSet::new();
    for package in packages() {
        let name = text(&package["name"]);
        let allowed =
            rules.get(name).unwrap_or_else(|| panic!("{name} is missing in ALLOWED_DEPENDENCIES and ARCHITECTURE.md"));
        seen.insert(name.to_owned());
        for dependency in package["dependencies"].as_array().into_iter().flatten() {
            let (on, kind) = (text(&dependency["name"]), text(&dependency["kind"]));
            let counts = kind != "dev" || LEAVES.contains(&name);
            if rules.contains_key(on) && counts {
                assert!(allowed.contains(&on), "{name} must not depend on {on}");
            }
        }
    }
    assert_eq!(seen, rules.keys().map(|name| (*name).to_owned()).collect());
}

#[test]
fn servers_do_not_link_command_line_crates() {
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

/// Identifier that only some files may use.
struct Restriction {
    word: &'static str,
    in_folders: &'static [&'static str],
    allowed_in: &'static [&'static str],
}

const RESTRICTIONS: &[Restriction] = &[
    Restriction {
        word: "dropshot",
        in_folders: &["customers/src", "orders/src", "orchestrator/src"],
        allowed_in: &["http.rs", "local.rs", "lambda.rs"],
    },
    Restriction { word: "lambda_http", in_folders: &["orchestrator/src"], allowed_in: &["lambda.rs", "event.rs"] },
    Restriction { word: "diesel", in_folders: &["customers/src", "orders/src"], allowed_in: &["store"] },
    Restriction {
        word: "AsyncMysqlConnection",
        in_folders: &["customers/src", "orders/src", "common/server/src"],
        allowed_in: &[],
    },
    Restriction {
        word: "unpooled",
        in_folders: &["customers/src", "orders/src", "common/server/src"],
        allowed_in: &[],
    },
    Restriction {
        word: "establish",
        in_folders: &["customers/src", "orders/src", "common/server/src"],
        allowed_in: &[],
    },
    Restriction { word: "reqwest", in_folders: &["customers/src", "common/server/src"], allowed_in: &["testing"] },
];

#[test]
fn frameworks_are_used_only_in_adapter_modules() {
    for Restriction { word, in_folders, allowed_in } in RESTRICTIONS {
        for file in in_folders.iter().flat_map(|folder| rust_files(&root().join(folder))) {
            let is_used = code(&file).any(|line| line.contains(word));
            let is_allowed = file.iter().any(|part| allowed_in.iter().any(|allowed| part == *allowed));
            assert!(!is_used || is_allowed, "{} must not use {word}", file.display());
        }
    }
}

#[test]
fn source_files_have_at_most_400_lines() {
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
