//! `schema.rs` and `schema.sql` say the same as the migrations.

use std::collections::BTreeSet;

use db::Db;
use db_cli::schema_sql;
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
    /// `table: column -> Type`, as `schema.rs` has to write it.
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

/// The same of every line of a `table!`, read from its source.
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
async fn schema_rs_has_every_column_of_the_database_and_no_other() {
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
async fn schema_sql_is_what_the_migrations_make() {
    let database = TestDatabase::create().await;
    let made = schema_sql::of_migrations(database.settings()).await.unwrap();
    assert!(made == SCHEMA_SQL, "db/schema.sql is out of date: run `cargo xtask schema generate`\n{made}");
}

#[tokio::test]
async fn schema_sql_loads_into_an_empty_database_and_makes_the_same_tables() {
    let database = TestDatabase::create().await;
    let name = database.settings().database();
    execute(database.db(), &format!("DROP DATABASE {name}; CREATE DATABASE {name}")).await.unwrap();
    let mut connection = database.connection().await;
    connection.batch_execute(SCHEMA_SQL).await.unwrap();
    // The pool above still holds a connection to the database that was dropped.
    assert_eq!(schema_sql::render(&Db::connect(database.settings())).await.unwrap(), SCHEMA_SQL);
    assert!(db::migrations::up(database.settings()).await.unwrap().is_empty());
}
