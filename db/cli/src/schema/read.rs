//! Reads the schema from `information_schema`.

use std::collections::BTreeMap;

use db::error::DbError;
use diesel::sql_types::{Bigint, Text};
use diesel::{QueryableByName, sql_query};
use diesel_async::{AsyncMysqlConnection, RunQueryDsl};

use super::{Check, Column, ForeignKey, Key, Schema, Table};

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

// The casts give the columns the same types on MySQL and MariaDB.
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

pub(super) async fn schema(connection: &mut AsyncMysqlConnection) -> Result<Schema, DbError> {
    let tables: Vec<TableRow> = sql_query(TABLES).load(connection).await?;
    let columns: Vec<Column> = sql_query(COLUMNS).load(connection).await?;
    let columns = columns.into_iter().map(without_display_width).collect();
    let mut columns = group_by_table(columns, |column: &Column| &column.table_name);
    let mut parts = group_by_table(sql_query(KEYS).load(connection).await?, |part: &KeyPart| &part.table_name);
    let mut foreign =
        group_by_table(sql_query(FOREIGN_KEYS).load(connection).await?, |key: &ForeignKey| &key.table_name);
    let mut checks = group_by_table(sql_query(CHECKS).load(connection).await?, |check: &Check| &check.table_name);
    let versions: Vec<Version> = sql_query(VERSIONS).load(connection).await?;
    let table = |TableRow { name, collation }| Table {
        columns: columns.remove(&name).unwrap_or_default(),
        keys: keys(parts.remove(&name).unwrap_or_default()),
        foreign_keys: foreign.remove(&name).unwrap_or_default(),
        checks: checks.remove(&name).unwrap_or_default(),
        name,
        collation,
    };
    Ok(Schema {
        tables: in_dependency_order(tables.into_iter().map(table).collect()),
        versions: versions.into_iter().map(|row| row.version).collect(),
    })
}

/// Removes integer display widths, which have no effect: MariaDB reports `bigint(20) unsigned`, and both servers report
/// `tinyint(1)`.
fn without_display_width(column: Column) -> Column {
    let is_integer = column.base_type().ends_with("int");
    match column.column_type.split_once('(').and_then(|(name, rest)| Some((name, rest.split_once(')')?.1))) {
        Some((name, suffix)) if is_integer => Column { column_type: format!("{name}{suffix}"), ..column },
        _ => column,
    }
}

/// Sorts tables so that each follows the tables that it references.
fn in_dependency_order(mut remaining: Vec<Table>) -> Vec<Table> {
    let mut ordered: Vec<Table> = Vec::new();
    loop {
        let ready =
            |table: &Table| table.foreign_keys.iter().all(|key| ordered.iter().any(|placed| placed.name == key.parent));
        match remaining.iter().position(ready) {
            Some(next) => ordered.push(remaining.remove(next)),
            // Either no tables are left, or only tables with cyclic references, which are appended in order of name.
            None => {
                ordered.append(&mut remaining);
                return ordered;
            }
        }
    }
}

fn group_by_table<R>(rows: Vec<R>, table: impl Fn(&R) -> &String) -> BTreeMap<String, Vec<R>> {
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
