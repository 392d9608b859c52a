//! Generator of `db/src/schema.rs`: Diesel declarations of the tables.

use std::fmt::Write;

use thiserror::Error;

use super::{Column, ForeignKey, Schema, Table};

const HEADER: &str = "\
//! Diesel declarations of all tables.
//!
//! Generated from db/migrations by `cargo xtask schema generate`. Do not edit; add a migration instead.
//! ENUM columns are `Text`; the services map them to their own enums. Times are in UTC, amounts in cents.

#![expect(missing_docs, reason = \"table! generates public items without documentation\")]
";

/// Diesel type for each column type. Type arguments, such as lengths, do not affect the Diesel type.
const TYPES: [(&str, &str); 20] = [
    // TINYINT is used for flags only.
    ("tinyint", "Bool"),
    ("smallint", "Smallint"),
    ("smallint unsigned", "Unsigned<Smallint>"),
    ("int", "Integer"),
    ("int unsigned", "Unsigned<Integer>"),
    ("bigint", "Bigint"),
    ("bigint unsigned", "Unsigned<Bigint>"),
    ("float", "Float"),
    ("double", "Double"),
    ("char", "Text"),
    ("varchar", "Text"),
    ("text", "Text"),
    ("mediumtext", "Text"),
    ("enum", "Text"),
    ("binary", "Binary"),
    ("varbinary", "Binary"),
    ("blob", "Binary"),
    ("mediumblob", "Binary"),
    ("date", "Date"),
    ("datetime", "Datetime"),
];

/// Column type that has no rule in `TYPES`.
#[derive(Debug, Error)]
#[error("{table}.{column}: no Diesel type for `{column_type}`; add a rule to TYPES in db/cli/src/schema/rust.rs")]
pub struct UnknownType {
    table: String,
    column: String,
    column_type: String,
}

impl Schema {
    /// Returns the text of `schema.rs`.
    ///
    /// # Errors
    ///
    /// Returns an error if a column type has no rule.
    pub fn rust(&self) -> Result<String, UnknownType> {
        let mut rust = HEADER.to_owned();
        for table in &self.tables {
            rust.push_str(&table.declaration()?);
        }
        let joins = self.tables.iter().flat_map(|table| self.joins(table));
        rust.push_str(&format!("\n{}", joins.collect::<String>()));
        let names = self.tables.iter().map(|table| format!("    {},\n", table.name)).collect::<String>();
        let _ = write!(rust, "\ndiesel::allow_tables_to_appear_in_same_query!(\n{names});\n");
        Ok(rust)
    }

    /// Returns the `joinable!` declarations of a table. `joinable!` requires a single-column foreign key to a primary
    /// key, and only one foreign key to that table.
    fn joins<'t>(&'t self, table: &'t Table) -> impl Iterator<Item = String> + 't {
        let is_joinable = |key: &&ForeignKey| {
            let parent = self.tables.iter().find(|parent| parent.name == key.parent);
            parent.is_some_and(|parent| parent.primary_key() == [key.parent_columns.as_str()])
                && key.parent != table.name
                && table.foreign_keys.iter().filter(|other| other.parent == key.parent).count() == 1
        };
        table.foreign_keys.iter().filter(is_joinable).map(|ForeignKey { table_name, columns, parent, .. }| {
            format!("diesel::joinable!({table_name} -> {parent} ({columns}));\n")
        })
    }
}

impl Table {
    fn declaration(&self) -> Result<String, UnknownType> {
        let columns = self.columns.iter().map(Column::declaration).collect::<Result<String, _>>()?;
        let key = self.primary_key().join(", ");
        Ok(format!("\ndiesel::table! {{\n    {} ({key}) {{\n{columns}    }}\n}}\n", self.name))
    }
}

impl Column {
    fn declaration(&self) -> Result<String, UnknownType> {
        let Self { table_name, name, column_type, .. } = self;
        let rule = TYPES.iter().find(|(mysql, _)| *mysql == self.base_type());
        let (_, diesel) = rule.ok_or_else(|| UnknownType {
            table: table_name.clone(),
            column: name.clone(),
            column_type: column_type.clone(),
        })?;
        let diesel = if self.is_nullable() { format!("Nullable<{diesel}>") } else { (*diesel).to_owned() };
        Ok(format!("        {name} -> {diesel},\n"))
    }
}
