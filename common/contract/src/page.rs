//! Cursor pagination: lists are sorted from newest to oldest and returned in pages of limited size.

use schemars::JsonSchema;
use schemars::r#gen::SchemaGenerator;
use schemars::schema::Schema;
use serde::{Deserialize, Serialize};

use crate::values::{bounded_text, integer_schema};

/// One page of a list.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "{T}Page")]
pub struct Page<T> {
    /// Items on the page, newest first. A page can contain fewer items than `limit`, or no items, even if more pages
    /// follow, because a search for several words examines a limited number of rows per page.
    #[schemars(length(max = 100))]
    pub data: Vec<T>,
    /// Opaque cursor of the next page, or null on the last page. The cursor is valid only with the same filters.
    #[schemars(schema_with = "cursor_or_null")]
    pub next_cursor: Option<String>,
    /// Whether more pages follow. To detect the end of the list, use this field instead of the number of items.
    pub has_more: bool,
}

impl<T> Page<T> {
    /// Creates a page from rows and the cursor of the next page, if any.
    pub fn new(data: Vec<T>, next_cursor: Option<String>) -> Self {
        Self { data, has_more: next_cursor.is_some(), next_cursor }
    }

    /// Creates a page from the result of a query for one row more than the limit. If the extra row is present, a next
    /// page exists, and its cursor is derived from the last row of this page.
    pub fn cut(mut rows: Vec<T>, limit: PageLimit, cursor: impl FnOnce(&T) -> String) -> Self {
        let has_more = rows.len() > limit.get();
        rows.truncate(limit.get());
        let next_cursor = rows.last().filter(|_| has_more).map(cursor);
        Self::new(rows, next_cursor)
    }
}

/// Returns the schema of `next_cursor`. Unlike other optional response fields, it is always present and may be null.
/// The keyword `nullable` is specific to OpenAPI 3.0.
fn cursor_or_null(generator: &mut SchemaGenerator) -> Schema {
    let mut schema = Cursor::json_schema(generator).into_object();
    schema.extensions.insert("nullable".to_owned(), true.into());
    schema.into()
}

/// Cursor as sent by the caller: at most 200 characters. The list operation verifies its content.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Cursor(String);

impl Cursor {
    const MAX: usize = 200;

    /// Returns the cursor as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Cursor {
    type Error = String;

    fn try_from(cursor: String) -> Result<Self, Self::Error> {
        if cursor.chars().count() <= Self::MAX {
            Ok(Self(cursor))
        } else {
            Err(format!("expected at most {} characters", Self::MAX))
        }
    }
}

impl JsonSchema for Cursor {
    fn is_referenceable() -> bool {
        false
    }

    fn schema_name() -> String {
        "Cursor".to_owned()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        bounded_text(Self::MAX)
    }
}

/// Maximum number of rows per page: from 1 to 100, 20 by default.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct PageLimit(u8);

impl PageLimit {
    const MAX: u8 = 100;

    /// Returns the number of rows.
    pub fn get(self) -> usize {
        usize::from(self.0)
    }
}

impl Default for PageLimit {
    fn default() -> Self {
        Self(20)
    }
}

/// Parses the value of a query parameter.
impl TryFrom<String> for PageLimit {
    type Error = String;

    fn try_from(rows: String) -> Result<Self, Self::Error> {
        let digits = rows.bytes().all(|byte| byte.is_ascii_digit());
        match rows.parse() {
            Ok(rows @ 1..=Self::MAX) if digits => Ok(Self(rows)),
            _ => Err(format!("expected an integer from 1 to {}", Self::MAX)),
        }
    }
}

impl JsonSchema for PageLimit {
    fn is_referenceable() -> bool {
        false
    }

    fn schema_name() -> String {
        "PageLimit".to_owned()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        integer_schema(1, Some(i64::from(Self::MAX)))
    }
}
