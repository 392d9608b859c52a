//! `schema.rs` and `schema.sql` match the migrations.

use std::collections::BTreeSet;

use db::Db;
use db_cli::schema::Schema;
use db_testing::TestDatabase;
use diesel::QueryableByName;
use diesel::sql_types::Text;
use diesel_async::{RunQueryDsl, SimpleAsyncConnection};

use crate::support::execute;

const SCHEMA_SQL: &str = include_str!("../../../schema.sql");
const SCHEMA_RS: &str = include_str!("../../../src/schema.rs");

#[derive(QueryableByName)]
struct Column {
    #[diesel(sql_type = Text)]
    table_name: String,
    #[diesel(sql_type = Text)]
    column_name: String,
    #[diesel(sql_type = Text)]
    data_type: String,
    #[diesel(sql_type = Text)]
    is_nullable: String,
}

impl Column {
    /// Returns the expected declaration as `table: column -> Type`.
    fn declaration(self) -> String {
        let base = match self.data_type.as_str() {
            "bigint" => "Bigint",
            "smallint" => "Smallint",
            "tinyint" => "Bool",
            "varchar" | "enum" => "Text",
            "datetime" => "Datetime",
            "binary" | "mediumblob" => "Binary",
            other => panic!("schema.rs has no type for {other} yet"),
        };
        let sql_type = if self.is_nullable == "YES" { format!("Nullable<{base}>") } else { base.to_owned() };
        format!("{}: {} -> {sql_type}", self.table_name, self.column_name)
    }
}

/// Returns the declarations of all columns in the source of `schema.rs`, in the same format.
fn declarations(source: &str) -> BTreeSet<String> {
    let mut table = "";
    let mut declarations = BTreeSet::new();
    for line in source.lines().map(str::trim) {
        if let Some((name, "{")) = line.rsplit_once(' ').filter(|(name, _)| name.ends_with(')')) {
            table = name.split_once(' ').unwrap().0;
        } else if let Some((column, sql_type)) =
            line.trim_end_matches(',').split_once(" -> ").filter(|_| line.ends_with(','))
        {
            declarations.insert(format!("{table}: {column} -> {sql_type}"));
        }
    }
    declarations
}

#[tokio::test]
async fn schema_rs_declares_exactly_the_columns_of_the_database() {
    let database = TestDatabase::create().await;
    let columns: Vec<Column> = diesel::sql_query(
        "SELECT CAST(table_name AS CHAR) AS table_name, CAST(column_name AS CHAR) AS column_name, \
         CAST(data_type AS CHAR) AS data_type, CAST(is_nullable AS CHAR) AS is_nullable \
         FROM information_schema.columns WHERE table_schema = DATABASE() AND table_name <> '__diesel_schema_migrations'",
    )
    .load(&mut database.connection().await)
    .await
    .unwrap();
    let expected = columns.into_iter().map(Column::declaration).collect::<BTreeSet<_>>();
    assert!(expected.len() > 50);
    assert_eq!(declarations(SCHEMA_RS), expected);
}

#[tokio::test]
async fn schema_files_match_the_migrations() {
    let database = TestDatabase::create().await;
    let schema = Schema::of_migrations(database.settings()).await.unwrap();
    let (sql, rust) = (schema.sql(), schema.rust().unwrap());
    assert!(sql == SCHEMA_SQL, "db/schema.sql is out of date: run `cargo xtask schema generate`\n{sql}");
    assert!(rust == SCHEMA_RS, "db/src/schema.rs is out of date: run `cargo xtask schema generate`\n{rust}");
}

#[tokio::test]
async fn schema_sql_recreates_the_same_tables_in_an_empty_database() {
    let database = TestDatabase::create().await;
    let name = database.settings().database();
    execute(database.db(), &format!("DROP DATABASE {name}; CREATE DATABASE {name}")).await.unwrap();
    let mut connection = database.connection().await;
    connection.batch_execute(SCHEMA_SQL).await.unwrap();
    // The pool above still holds a connection to the database that was dropped.
    assert_eq!(Schema::read(&Db::connect(database.settings())).await.unwrap().sql(), SCHEMA_SQL);
    assert!(db::migrations::up(database.settings()).await.unwrap().is_empty());
}

#[tokio::test]
async fn column_types_are_mapped_to_diesel_types() {
    let database = TestDatabase::create().await;
    let tables = "CREATE TABLE machines (id BIGINT UNSIGNED NOT NULL PRIMARY KEY, size INT UNSIGNED NOT NULL, \
         token VARBINARY(16) NULL, built DATE NULL, weight DOUBLE NOT NULL, is_new TINYINT(1) NOT NULL, \
         state ENUM('on','off') NULL); \
         CREATE TABLE parts (machine BIGINT UNSIGNED NOT NULL, spare_of BIGINT UNSIGNED NULL, number INT NOT NULL, \
         PRIMARY KEY (machine, number), CONSTRAINT fk_a FOREIGN KEY (machine) REFERENCES machines (id), \
         CONSTRAINT fk_b FOREIGN KEY (spare_of) REFERENCES machines (id)); \
         CREATE TABLE notes (id BIGINT NOT NULL PRIMARY KEY, machine BIGINT UNSIGNED NULL, \
         CONSTRAINT fk_c FOREIGN KEY (machine) REFERENCES machines (id))";
    execute(database.db(), tables).await.unwrap();
    let schema = Schema::read(database.db()).await.unwrap();
    let (sql, rust) = (schema.sql(), schema.rust().unwrap());
    let machines = "    machines (id) {\n        id -> Unsigned<Bigint>,\n        size -> Unsigned<Integer>,\n        \
         token -> Nullable<Binary>,\n        built -> Nullable<Date>,\n        weight -> Double,\n        \
         is_new -> Bool,\n        state -> Nullable<Text>,\n    }\n";
    assert!(rust.contains(machines) && rust.contains("    parts (machine, number) {\n"), "{rust}");
    assert!(rust.contains("joinable!(notes -> machines (machine));"), "{rust}");
    assert!(!rust.contains("joinable!(parts -> machines"), "two foreign keys reference machines: {rust}");
    assert!(sql.contains("    id BIGINT UNSIGNED NOT NULL,\n    size INT UNSIGNED NOT NULL,\n"), "{sql}");
    execute(database.db(), "ALTER TABLE notes ADD at TIME NULL").await.unwrap();
    let error = Schema::read(database.db()).await.unwrap().rust().unwrap_err().to_string();
    assert!(error.starts_with("notes.at: no Diesel type for `time`"), "{error}");
}
