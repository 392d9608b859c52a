//! Checks that deploy/monitoring uses only metrics that the programs export, and that every alert has a runbook section
//! and tests.

#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Prefixes of metric names.
const OURS: [&str; 9] = [
    "db_",
    "http_client_",
    "http_server_",
    "idempotency_requests_",
    "log_lines_",
    "logins_",
    "password_hashes_",
    "reservations_",
    "saga_",
];
/// Source files that define metrics.
const FILES: [&str; 6] = [
    "clients/common/src/execute.rs",
    "customers/src/metrics.rs",
    "db/src/metrics.rs",
    "orchestrator/src/metrics.rs",
    "orders/src/metrics.rs",
    "common/server/src/metrics.rs",
];

fn read(path: &str) -> String {
    let xtask = std::env::var_os("CARGO_MANIFEST_DIR").expect("cargo runs the tests");
    let path: PathBuf = Path::new(&xtask).join("..").join(path);
    std::fs::read_to_string(path).expect("a readable file")
}

/// Returns the words in a text that have the form of a metric name.
fn metric_names(text: &str) -> BTreeSet<String> {
    let words = text.split(|letter: char| !(letter.is_ascii_alphanumeric() || letter == '_'));
    words.filter(|word| OURS.iter().any(|start| word.starts_with(start))).map(str::to_owned).collect()
}

/// Returns the names of all exported metrics, from the constants in [`FILES`].
fn exported() -> BTreeSet<String> {
    let lines: Vec<_> = FILES.iter().map(|file| read(file)).collect();
    let constants = lines.iter().flat_map(|file| file.lines()).filter_map(|line| line.strip_prefix("const "));
    let names = constants.filter_map(|line| line.split_once(": &str = \"")?.1.strip_suffix("\";"));
    names.filter(|name| OURS.iter().any(|start| name.starts_with(start))).map(str::to_owned).collect()
}

fn alerts() -> Vec<String> {
    let rules = read("deploy/monitoring/alerts.yml");
    rules.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")).map(str::to_owned).collect()
}

#[test]
fn dashboard_shows_every_exported_metric_and_alerts_use_no_other() {
    let exported = exported();
    let used = |file| {
        let histogram = |name: String| {
            let family = ["_bucket", "_count", "_sum"].iter().find_map(|end| name.strip_suffix(end));
            family.filter(|family| exported.contains(*family)).map_or(name.clone(), str::to_owned)
        };
        metric_names(&read(file)).into_iter().map(histogram).collect::<BTreeSet<_>>()
    };
    let dashboard = used("deploy/monitoring/dashboard.json");
    assert_eq!(dashboard, exported, "metrics on the dashboard, and exported metrics");
    for file in ["deploy/monitoring/alerts.yml", "deploy/monitoring/alerts.test.yml", "docs/operations.md"] {
        let unknown: Vec<_> = used(file).difference(&exported).cloned().collect();
        assert!(unknown.is_empty(), "{file} uses {unknown:?}, which no program exports");
    }
}

#[test]
fn every_alert_has_a_runbook_section_a_description_and_tests() {
    let (runbook, rules, tests) =
        (read("docs/operations.md"), read("deploy/monitoring/alerts.yml"), read("deploy/monitoring/alerts.test.yml"));
    let alerts = alerts();
    assert!(alerts.len() > 10, "{alerts:?}");
    for part in ["summary", "description"] {
        assert_eq!(
            rules.matches(&format!("          {part}: \"")).count(),
            alerts.len(),
            "not every alert has a {part}"
        );
    }
    for alert in alerts {
        assert!(
            runbook.lines().any(|line| line == format!("### {alert}")),
            "docs/operations.md has no section {alert}"
        );
        let anchor = format!("runbook: docs/operations.md#{}", alert.to_lowercase());
        assert_eq!(rules.matches(&format!("{anchor}\n")).count(), 1, "{anchor}");
        for test in ["fires", "does not fire"] {
            assert!(tests.contains(&format!("- name: {alert} {test}\n")), "there is no test `{alert} {test}`");
        }
    }
}

#[test]
fn every_service_is_scraped_on_its_unpublished_metrics_port() {
    let (prometheus, compose) = (read("deploy/monitoring/prometheus.yml"), read("docker-compose.yml"));
    for (service, port) in [("customers", 9101), ("orders", 9102), ("orchestrator", 9103)] {
        assert!(prometheus.contains(&format!("- targets: [\"{service}:{port}\"]")), "{service}");
        assert!(compose.contains(&format!("METRICS_PORT: {port}\n")), "{service}");
        assert!(!compose.contains(&format!(":{port}\"")), "port {port} is published");
        assert!(read(&format!("{service}/.env.example")).contains(&format!("METRICS_PORT={port}\n")), "{service}");
    }
}
