//! The text of `db/schema.sql`: the tables that the migrations make, in a form that is the same on MySQL and MariaDB.
//!
//! It is built from `information_schema`, because SHOW CREATE TABLE differs between the servers in spelling, order and
//! defaults. `mysql DATABASE < schema.sql` gives the same database as migrating it. Writing the file is up to the
//! command `db schema`.

use std::collections::BTreeMap;
use std::fmt::Write;

use diesel::sql_types::{Bigint, Nullable, Text};
use diesel::{QueryableByName, sql_query};
use diesel_async::{AsyncMysqlConnection, RunQueryDsl, SimpleAsyncConnection};
use thiserror::Error;

use db::error::DbError;
use db::migrations::{self, MigrateError};
use db::pool::Db;
use db::settings::DatabaseSettings;

const HEADER: &str = "\
-- The database as db/migrations make it. Made by `cargo xtask schema generate`: change a migration, never this file.
-- For an empty database:  mysql NAME < db/schema.sql
";

/// Diesel's own table. It is written out here because its definition depends on the server's defaults.
const HISTORY: &str = "\
CREATE TABLE __diesel_schema_migrations (
    version VARCHAR(50) NOT NULL PRIMARY KEY,
    run_on TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
";

/// Reads the tables of a migrated database and writes them as SQL.
///
/// # Errors
///
/// Any [`DbError`] of a plain read.
pub async fn render(db: &Db) -> Result<String, DbError> {
    let (tables, versions) =
        db.run(async |connection| Ok((read(connection).await?, versions(connection).await?))).await?;
    let mut sql = HEADER.to_owned();
    for table in in_order_of_reference(tables) {
        let _ = write!(sql, "\n{}", table.sql());
    }
    let versions = versions.iter().map(|version| format!("('{version}')")).collect::<Vec<_>>().join(", ");
    let _ = write!(sql, "\n{HISTORY}INSERT INTO __diesel_schema_migrations (version) VALUES {versions};\n");
    Ok(sql)
}

/// The text for the migrations of this build, made with a scratch database on the server of `settings`. The database that
/// `settings` name is not touched.
///
/// # Errors
///
/// What migrating or reading the scratch database met.
pub async fn of_migrations(settings: &DatabaseSettings) -> Result<String, SchemaError> {
    let scratch = settings.with_database(&format!("schema_{:016x}", rand::random::<u64>()));
    migrations::up(&scratch).await?;
    let db = Db::connect(&scratch);
    let rendered = render(&db).await;
    // Dropped in any case; the name has no character that would need quoting.
    let drop = format!("DROP DATABASE {}", scratch.database());
    db.run(async |connection| Ok(connection.batch_execute(&drop).await?)).await?;
    Ok(rendered?)
}

/// Why [`of_migrations`] failed.
#[derive(Debug, Error)]
pub enum SchemaError {
    /// The scratch database could not be made.
    #[error(transparent)]
    Migrate(#[from] MigrateError),
    /// The scratch database could not be read or dropped.
    #[error("cannot read the scratch database")]
    Read(#[from] DbError),
}

/// One table, as lines of its definition.
#[derive(Debug)]
struct Table {
    name: String,
    collation: String,
    columns: Vec<Column>,
    keys: Vec<Key>,
    foreign_keys: Vec<ForeignKey>,
    checks: Vec<Check>,
}

impl Table {
    fn sql(&self) -> String {
        let lines = self
            .columns
            .iter()
            .map(|column| column.sql(&self.collation))
            .chain(self.keys.iter().map(Key::sql))
            .chain(self.foreign_keys.iter().map(ForeignKey::sql))
            .chain(self.checks.iter().map(Check::sql))
            .map(|line| format!("    {line}"))
            .collect::<Vec<_>>()
            .join(",\n");
        let (charset, _) = self.collation.split_once('_').unwrap_or((&self.collation, ""));
        format!(
            "CREATE TABLE {} (\n{lines}\n) ENGINE = InnoDB DEFAULT CHARACTER SET {charset} COLLATE {};\n",
            self.name, self.collation
        )
    }
}

/// A table can be created after those it refers to.
fn in_order_of_reference(mut waiting: Vec<Table>) -> Vec<Table> {
    let mut ordered: Vec<Table> = Vec::new();
    loop {
        let ready =
            |table: &Table| table.foreign_keys.iter().all(|key| ordered.iter().any(|done| done.name == key.parent));
        match waiting.iter().position(ready) {
            Some(next) => ordered.push(waiting.remove(next)),
            // Nothing is left, or what is left refers to itself or in a circle: then in the order of names.
            None => {
                ordered.append(&mut waiting);
                return ordered;
            }
        }
    }
}

#[derive(Debug, QueryableByName)]
struct Column {
    #[diesel(sql_type = Text)]
    table_name: String,
    #[diesel(sql_type = Text)]
    name: String,
    #[diesel(sql_type = Text)]
    column_type: String,
    #[diesel(sql_type = Nullable<Text>)]
    collation: Option<String>,
    #[diesel(sql_type = Text)]
    is_nullable: String,
    #[diesel(sql_type = Nullable<Text>)]
    default_value: Option<String>,
    #[diesel(sql_type = Text)]
    extra: String,
}

impl Column {
    fn sql(&self, table_collation: &str) -> String {
        let mut sql = format!("{} {}", quoted(&self.name), type_sql(&self.column_type));
        if let Some(collation) = self.collation.as_deref().filter(|collation| *collation != table_collation) {
            let (charset, _) = collation.split_once('_').unwrap_or((collation, ""));
            let _ = write!(sql, " CHARACTER SET {charset} COLLATE {collation}");
        }
        sql.push_str(if self.is_nullable == "YES" { " NULL" } else { " NOT NULL" });
        if let Some(default) = self.default_value.as_deref().and_then(|value| default_sql(&self.column_type, value)) {
            let _ = write!(sql, " DEFAULT {default}");
        }
        if self.extra.contains("auto_increment") {
            sql.push_str(" AUTO_INCREMENT");
        }
        sql
    }
}

/// Upper case, and without MariaDB's display widths of integers, which mean nothing. Values of an ENUM stay as they are.
fn type_sql(column_type: &str) -> String {
    match column_type.split_once('(') {
        Some((name, _)) if name.ends_with("int") => name.to_uppercase(),
        Some((name, arguments)) => format!("{}({arguments}", name.to_uppercase()),
        None => column_type.to_uppercase(),
    }
}

/// MariaDB gives an expression (`'CREATED'`, `NULL`), MySQL a bare value (`CREATED`) and no row for NULL.
fn default_sql(column_type: &str, value: &str) -> Option<String> {
    let upper = value.to_uppercase();
    if upper == "NULL" {
        None
    } else if upper.starts_with("CURRENT_TIMESTAMP") || column_type.contains("int") {
        Some(upper)
    } else {
        Some(format!("'{}'", value.trim_matches('\'')))
    }
}

#[derive(Debug)]
struct Key {
    name: String,
    unique: bool,
    columns: Vec<String>,
}

impl Key {
    fn sql(&self) -> String {
        let columns = self.columns.iter().map(|name| quoted(name)).collect::<Vec<_>>().join(", ");
        match (self.name.as_str(), self.unique) {
            ("PRIMARY", _) => format!("PRIMARY KEY ({columns})"),
            (name, true) => format!("CONSTRAINT {name} UNIQUE ({columns})"),
            (name, false) => format!("KEY {name} ({columns})"),
        }
    }
}

#[derive(Debug, QueryableByName)]
struct ForeignKey {
    #[diesel(sql_type = Text)]
    table_name: String,
    #[diesel(sql_type = Text)]
    name: String,
    #[diesel(sql_type = Text)]
    columns: String,
    #[diesel(sql_type = Text)]
    parent: String,
    #[diesel(sql_type = Text)]
    parent_columns: String,
    #[diesel(sql_type = Text)]
    delete_rule: String,
}

impl ForeignKey {
    fn sql(&self) -> String {
        let Self { name, columns, parent, parent_columns, .. } = self;
        let mut sql = format!("CONSTRAINT {name} FOREIGN KEY ({columns}) REFERENCES {parent} ({parent_columns})");
        // RESTRICT and NO ACTION are one and the same, and the servers do not agree on which is the default.
        if let rule @ ("CASCADE" | "SET NULL") = self.delete_rule.as_str() {
            let _ = write!(sql, " ON DELETE {rule}");
        }
        sql
    }
}

#[derive(Debug, QueryableByName)]
struct Check {
    #[diesel(sql_type = Text)]
    table_name: String,
    #[diesel(sql_type = Text)]
    name: String,
    #[diesel(sql_type = Text)]
    clause: String,
}

impl Check {
    /// MySQL puts parentheses around everything, MariaDB only where they are needed. Without any, comparisons of
    /// products and sums read the same, and that is all the tables here use; a test loads the text again.
    fn sql(&self) -> String {
        format!("CONSTRAINT {} CHECK ({})", self.name, self.clause.replace(['`', '(', ')'], ""))
    }
}

#[derive(QueryableByName)]
struct TableRow {
    #[diesel(sql_type = Text)]
    name: String,
    #[diesel(sql_type = Text)]
    collation: String,
}

#[derive(QueryableByName)]
struct KeyPart {
    #[diesel(sql_type = Text)]
    table_name: String,
    #[diesel(sql_type = Text)]
    name: String,
    #[diesel(sql_type = Bigint)]
    non_unique: i64,
    #[diesel(sql_type = Text)]
    column: String,
}

#[derive(QueryableByName)]
struct Version {
    #[diesel(sql_type = Text)]
    version: String,
}

// The casts make the types of the two servers equal.
const TABLES: &str = "SELECT CAST(table_name AS CHAR) AS name, CAST(table_collation AS CHAR) AS collation \
    FROM information_schema.tables \
    WHERE table_schema = DATABASE() AND table_name <> '__diesel_schema_migrations' ORDER BY table_name";

const COLUMNS: &str = "SELECT CAST(table_name AS CHAR) AS table_name, CAST(column_name AS CHAR) AS name, \
    CAST(column_type AS CHAR) AS column_type, CAST(collation_name AS CHAR) AS collation, \
    CAST(is_nullable AS CHAR) AS is_nullable, CAST(column_default AS CHAR) AS default_value, CAST(extra AS CHAR) AS extra \
    FROM information_schema.columns WHERE table_schema = DATABASE() ORDER BY ordinal_position";

const KEYS: &str = "SELECT CAST(table_name AS CHAR) AS table_name, CAST(index_name AS CHAR) AS name, \
    CAST(non_unique AS SIGNED) AS non_unique, CAST(column_name AS CHAR) AS `column` \
    FROM information_schema.statistics WHERE table_schema = DATABASE() \
    ORDER BY index_name <> 'PRIMARY', non_unique, index_name, seq_in_index";

const FOREIGN_KEYS: &str = "SELECT CAST(k.table_name AS CHAR) AS table_name, CAST(k.constraint_name AS CHAR) AS name, \
    CAST(GROUP_CONCAT(k.column_name ORDER BY k.ordinal_position SEPARATOR ', ') AS CHAR) AS columns, \
    CAST(k.referenced_table_name AS CHAR) AS parent, \
    CAST(GROUP_CONCAT(k.referenced_column_name ORDER BY k.ordinal_position SEPARATOR ', ') AS CHAR) AS parent_columns, \
    CAST(r.delete_rule AS CHAR) AS delete_rule \
    FROM information_schema.key_column_usage k \
    JOIN information_schema.referential_constraints r \
    ON r.constraint_schema = k.constraint_schema AND r.constraint_name = k.constraint_name AND r.table_name = k.table_name \
    WHERE k.table_schema = DATABASE() AND k.referenced_table_name IS NOT NULL \
    GROUP BY k.table_name, k.constraint_name, k.referenced_table_name, r.delete_rule ORDER BY k.constraint_name";

const CHECKS: &str = "SELECT CAST(t.table_name AS CHAR) AS table_name, CAST(t.constraint_name AS CHAR) AS name, \
    CAST(c.check_clause AS CHAR) AS clause \
    FROM information_schema.table_constraints t \
    JOIN information_schema.check_constraints c \
    ON c.constraint_schema = t.constraint_schema AND c.constraint_name = t.constraint_name \
    WHERE t.table_schema = DATABASE() AND t.constraint_type = 'CHECK' ORDER BY t.constraint_name";

const VERSIONS: &str = "SELECT version FROM __diesel_schema_migrations ORDER BY version";

async fn read(connection: &mut AsyncMysqlConnection) -> Result<Vec<Table>, DbError> {
    let tables: Vec<TableRow> = sql_query(TABLES).load(connection).await?;
    let mut columns = grouped(sql_query(COLUMNS).load(connection).await?, |column: &Column| &column.table_name);
    let mut parts = grouped(sql_query(KEYS).load(connection).await?, |part: &KeyPart| &part.table_name);
    let mut foreign = grouped(sql_query(FOREIGN_KEYS).load(connection).await?, |key: &ForeignKey| &key.table_name);
    let mut checks = grouped(sql_query(CHECKS).load(connection).await?, |check: &Check| &check.table_name);
    let table = |TableRow { name, collation }| Table {
        columns: columns.remove(&name).unwrap_or_default(),
        keys: keys(parts.remove(&name).unwrap_or_default()),
        foreign_keys: foreign.remove(&name).unwrap_or_default(),
        checks: checks.remove(&name).unwrap_or_default(),
        name,
        collation,
    };
    Ok(tables.into_iter().map(table).collect())
}

async fn versions(connection: &mut AsyncMysqlConnection) -> Result<Vec<String>, DbError> {
    let versions: Vec<Version> = sql_query(VERSIONS).load(connection).await?;
    Ok(versions.into_iter().map(|row| row.version).collect())
}

fn grouped<R>(rows: Vec<R>, table: impl Fn(&R) -> &String) -> BTreeMap<String, Vec<R>> {
    let mut groups: BTreeMap<String, Vec<R>> = BTreeMap::new();
    for row in rows {
        groups.entry(table(&row).clone()).or_default().push(row);
    }
    groups
}

fn keys(parts: Vec<KeyPart>) -> Vec<Key> {
    let mut keys: Vec<Key> = Vec::new();
    for KeyPart { name, non_unique, column, .. } in parts {
        match keys.last_mut().filter(|key| key.name == name) {
            Some(key) => key.columns.push(column),
            None => keys.push(Key { name, unique: non_unique == 0, columns: vec![column] }),
        }
    }
    keys
}

/// `key` is a reserved word; no other name here is.
fn quoted(name: &str) -> String {
    if name == "key" { "`key`".to_owned() } else { name.to_owned() }
}
