//! Output and exit codes of the program `db`.

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Output};

use db_cli::seed::{Size, seed_orders};
use db_testing::TestDatabase;
use tempfile::TempDir;
use tokio::task::spawn_blocking;

use crate::support::{execute, number};

/// Runs the program in the package directory, without database settings in its environment.
pub(crate) async fn run(arguments: &[&str]) -> Output {
    run_in(Path::new(env!("CARGO_MANIFEST_DIR")), arguments).await
}

async fn run_in(directory: &Path, arguments: &[&str]) -> Output {
    let mut program = Command::new(env!("CARGO_BIN_EXE_db"));
    program.args(arguments).current_dir(directory);
    for name in ["DATABASE_URL", "DB_HOST", "DB_USER", "DB_NAME", "NO_COLOR", "CLICOLOR_FORCE"] {
        program.env_remove(name);
    }
    spawn_blocking(move || program.output()).await.unwrap().expect("cannot run the program")
}

/// Returns the standard output, and asserts that standard error is empty.
pub(crate) fn stdout(output: &Output) -> String {
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// Runs the program and returns its error message, which must be one line.
async fn failure(arguments: &[&str]) -> String {
    let output = run(arguments).await;
    assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(3), &b""[..]));
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(text.lines().count(), 1, "{text}");
    text
}

/// Creates a database with the sample data and five generated orders.
async fn database() -> TestDatabase {
    let database = TestDatabase::seeded().await;
    seed_orders(database.db(), Size { orders: 5, customers: 0, products: 0 }, |_| {}).await.unwrap();
    database
}

#[tokio::test]
async fn audit_lists_every_invariant() {
    let output = run(&["audit", "--database-url", database().await.url()]).await;
    assert_eq!(output.status.code(), Some(0));
    let text = stdout(&output);
    for invariant in db_audit::all() {
        let line = text.lines().find(|line| line.contains(&format!(" {} ", invariant.name))).expect(invariant.name);
        assert!(line.trim_start().starts_with("0 ") && line.ends_with(invariant.sentence), "{line}");
    }
    assert_eq!(text.lines().count(), db_audit::all().count() + 1);
    assert!(text.ends_with(&format!("\n0 violations; {} invariants checked\n", db_audit::all().count())), "{text}");
}

#[tokio::test]
async fn audit_counts_violations_and_limits_examples() {
    let database = database().await;
    let changes = "UPDATE orders SET total_cents = 1; UPDATE products SET stock = 9 WHERE id = 2";
    execute(database.db(), changes).await.unwrap();
    let ledger = number(database.db(), "SELECT SUM(delta) FROM stock_movements WHERE product_id = 2").await;
    let output = run(&["audit", "--examples", "2", "--database-url", database.url()]).await;
    assert_eq!(output.status.code(), Some(1));
    let text = stdout(&output);
    assert!(text.contains("\n       5  totals-are-sums "), "{text}");
    assert_eq!(text.matches(": total 1, items ").count(), 2, "{text}");
    assert!(text.contains(&format!("\n            product 2: stock 9, ledger {ledger}\n")), "{text}");
    assert!(text.ends_with(&format!("\n6 violations; {} invariants checked\n", db_audit::all().count())), "{text}");
    let colored = run(&["audit", "--color", "always", "--database-url", database.url()]).await;
    assert!(stdout(&colored).contains("\u{1b}[31m       5\u{1b}[0m  totals-are-sums "));
}

#[tokio::test]
async fn failed_audit_is_an_error_not_a_violation() {
    let database = TestDatabase::create().await;
    let unknown = database.url().replace("b2b_test_", "b2b_none_");
    let text = failure(&["audit", "--database-url", &unknown]).await;
    assert!(text.starts_with("error: cannot connect to ") && text.contains("Unknown database"), "{text}");
    execute(database.db(), "DROP TABLE product_prefixes").await.unwrap();
    let text = failure(&["audit", "--database-url", database.url()]).await;
    assert!(
        text.starts_with("error: cannot check names-are-searchable: ") && text.contains("product_prefixes"),
        "{text}"
    );
    let unused_address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let text = failure(&["audit", "--database-url", &format!("mysql://root:hunter2@{unused_address}/shop")]).await;
    let place = format!("error: cannot connect to root@{unused_address}/shop: ");
    assert!(text.starts_with(&place) && !text.contains("hunter2"), "{text}");
}

#[tokio::test]
async fn usage_errors_and_failures_have_distinct_exit_codes() {
    assert_eq!(run(&["audit", "--examples", "many"]).await.status.code(), Some(2));
    assert!(failure(&["seed"]).await.starts_with("error: DB_HOST: not set"));
    let version = run(&["--version"]).await;
    assert_eq!((version.status.code(), stdout(&version).as_str()), (Some(0), "db 0.1.0\n"));
}

#[tokio::test]
async fn migrate_up_applies_pending_migrations() {
    let database = TestDatabase::create().await;
    let url = database.url();
    let reverted = run(&["migrate", "down", "--database-url", url]).await;
    assert_eq!(stdout(&reverted), "reverted 2026-11-28-000006_create_operators\n");
    let applied = run(&["--database-url", url, "migrate", "up"]).await;
    assert_eq!(stdout(&applied), "applied 2026-11-28-000006_create_operators\n");
    let second = run(&["migrate", "up", "--database-url", url]).await;
    assert!(stdout(&second).starts_with("nothing to apply: "), "{second:?}");
}

#[tokio::test]
async fn schema_check_reports_differences_and_generate_writes_files() {
    let database = TestDatabase::create().await;
    let check = ["schema", "check", "--database-url", database.url()];
    let current = run(&check).await;
    assert_eq!(stdout(&current), "db/schema.sql is up to date\ndb/src/schema.rs is up to date\n");
    let copy = TempDir::new().unwrap();
    for folder in ["db/migrations", "db/src"] {
        fs::create_dir_all(copy.path().join(folder)).unwrap();
    }
    let generated = run_in(copy.path(), &["schema", "generate", "--database-url", database.url()]).await;
    assert_eq!(stdout(&generated), "wrote db/schema.sql\nwrote db/src/schema.rs\n");
    let file = copy.path().join("db/src/schema.rs");
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, text.replace("        sku -> Text,\n", "")).unwrap();
    let stale = run_in(copy.path(), &check).await;
    assert_eq!(stale.status.code(), Some(1));
    let text = stdout(&stale);
    assert!(text.contains("\n+        sku -> Text,\n") && text.contains("run `cargo xtask schema generate`"), "{text}");
}
