//! The program: what it prints, and how it ends.

use std::net::TcpListener;
use std::process::{Command, Output};

use db_testing::TestDatabase;
use diesel_async::SimpleAsyncConnection;
use tokio::task::spawn_blocking;

use crate::world;

async fn run(database_url: &str, arguments: &'static [&'static str]) -> Output {
    let mut program = Command::new(env!("CARGO_BIN_EXE_xtask-invariants"));
    program.args(["--database-url", database_url]).args(arguments).env_remove("DATABASE_URL");
    spawn_blocking(move || program.output()).await.unwrap().expect("the program runs")
}

fn printed(output: &Output) -> String {
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// What it says when it could not look.
async fn complaint(database_url: &str) -> String {
    let output = run(database_url, &[]).await;
    assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(2), &b""[..]));
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(text.lines().count(), 1, "{text}");
    text
}

#[tokio::test]
async fn without_a_violation_every_invariant_is_listed_with_zero() {
    let output = run(world::create().await.url(), &[]).await;
    assert_eq!(output.status.code(), Some(0));
    let text = printed(&output);
    for invariant in db_audit::all() {
        let line = text.lines().find(|line| line.contains(&format!(" {} ", invariant.name))).expect(invariant.name);
        assert!(line.trim_start().starts_with("0 ") && line.ends_with(invariant.sentence), "{line}");
    }
    assert_eq!(text.lines().count(), db_audit::all().count() + 1);
    assert!(text.ends_with(&format!("\n0 violations of {} invariants\n", db_audit::all().count())), "{text}");
}

#[tokio::test]
async fn violations_are_counted_and_as_many_shown_as_asked_for() {
    let database = world::create().await;
    let plant = "UPDATE orders SET total_cents = 1; UPDATE products SET stock = 9 WHERE id = 2";
    database.connection().await.batch_execute(plant).await.unwrap();
    let output = run(database.url(), &["--examples", "2"]).await;
    assert_eq!(output.status.code(), Some(1));
    let text = printed(&output);
    assert!(text.contains("\n       5  totals-are-sums "), "{text}");
    assert_eq!(text.matches(": total 1, items ").count(), 2, "{text}");
    assert!(text.contains("\n            product 2: stock 9, ledger 46\n"), "{text}");
    assert!(text.ends_with(&format!("\n6 violations of {} invariants\n", db_audit::all().count())), "{text}");
}

#[tokio::test]
async fn a_database_that_cannot_be_looked_at_is_no_violation() {
    let database = TestDatabase::create().await;
    let unknown = database.url().replace("b2b_test_", "b2b_none_");
    let said = complaint(&unknown).await;
    assert!(said.starts_with("error: cannot connect to ") && said.contains("Unknown database"), "{said}");
    database.connection().await.batch_execute("DROP TABLE product_prefixes").await.unwrap();
    let said = complaint(database.url()).await;
    assert!(said.starts_with("error: cannot check names-are-found: ") && said.contains("product_prefixes"), "{said}");
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let said = complaint(&format!("mysql://root:hunter2@{nobody}/shop")).await;
    assert!(said.starts_with("error: cannot connect to 127.0.0.1/shop: ") && !said.contains("hunter2"), "{said}");
}
