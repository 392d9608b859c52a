//! Generator of `db/schema.sql`.
//!
//! The output of SHOW CREATE TABLE differs between MySQL and MariaDB in spelling, order and defaults, so the statements
//! are generated here. `mysql DATABASE < schema.sql` creates the same tables as the migrations.

use std::fmt::Write;

use super::{Check, Column, ForeignKey, Key, Schema, Table};

const HEADER: &str = "\
-- Generated from db/migrations by `cargo xtask schema generate`. Do not edit; add a migration instead.
-- Load into an empty database: mysql NAME < db/schema.sql
";

/// Diesel's migration table. The definition is fixed here, because Diesel's own definition depends on the server's
/// defaults.
const HISTORY: &str = "\
CREATE TABLE __diesel_schema_migrations (
    version VARCHAR(50) NOT NULL PRIMARY KEY,
    run_on TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
";

impl Schema {
    /// Returns the statements that create the tables in an empty database.
    #[must_use]
    pub fn sql(&self) -> String {
        let mut sql = HEADER.to_owned();
        for table in &self.tables {
            let _ = write!(sql, "\n{}", table.sql());
        }
        let versions = self.versions.iter().map(|version| format!("('{version}')")).collect::<Vec<_>>().join(", ");
        let _ = write!(sql, "\n{HISTORY}INSERT INTO __diesel_schema_migrations (version) VALUES {versions};\n");
        sql
    }
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

impl Column {
    fn sql(&self, table_collation: &str) -> String {
        let mut sql = format!("{} {}", quoted(&self.name), type_sql(&self.column_type));
        if let Some(collation) = self.collation.as_deref().filter(|collation| *collation != table_collation) {
            let (charset, _) = collation.split_once('_').unwrap_or((collation, ""));
            let _ = write!(sql, " CHARACTER SET {charset} COLLATE {collation}");
        }
        sql.push_str(if self.is_nullable() { " NULL" } else { " NOT NULL" });
        if let Some(default) = self.default_value.as_deref().and_then(|value| default_sql(&self.column_type, value)) {
            let _ = write!(sql, " DEFAULT {default}");
        }
        if self.extra.contains("auto_increment") {
            sql.push_str(" AUTO_INCREMENT");
        }
        sql
    }
}

/// Converts a type name to upper case, but not its arguments, such as ENUM values.
fn type_sql(column_type: &str) -> String {
    match column_type.split_once('(') {
        Some((name, arguments)) => format!("{}({arguments}", name.to_uppercase()),
        None => column_type.to_uppercase(),
    }
}

/// Formats a column default. MariaDB reports an expression (`'CREATED'`, `NULL`). MySQL reports a bare value
/// (`CREATED`), or SQL NULL if there is no default.
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

impl ForeignKey {
    fn sql(&self) -> String {
        let Self { name, columns, parent, parent_columns, .. } = self;
        let mut sql = format!("CONSTRAINT {name} FOREIGN KEY ({columns}) REFERENCES {parent} ({parent_columns})");
        // RESTRICT and NO ACTION are equivalent, and the servers differ in which one is the default.
        if let rule @ ("CASCADE" | "SET NULL") = self.delete_rule.as_str() {
            let _ = write!(sql, " ON DELETE {rule}");
        }
        sql
    }
}

impl Check {
    /// Formats the constraint without parentheses, because MySQL adds redundant parentheses and MariaDB does not. This
    /// is safe for comparisons of products and sums, which are the only checks in use; a test loads the generated file.
    fn sql(&self) -> String {
        format!("CONSTRAINT {} CHECK ({})", self.name, self.clause.replace(['`', '(', ')'], ""))
    }
}

/// Quotes the name if it is `key`, the only reserved word among the names.
fn quoted(name: &str) -> String {
    if name == "key" { "`key`".to_owned() } else { name.to_owned() }
}
