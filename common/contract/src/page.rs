//! Lists: newest first, a bounded page at a time.

use schemars::JsonSchema;
use schemars::r#gen::SchemaGenerator;
use schemars::schema::Schema;
use serde::{Deserialize, Serialize};

use crate::values::{bounded_text, integer_schema};

/// One page of a list.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "{T}Page")]
pub struct Page<T> {
    /// The rows, newest first. There may be fewer than asked for, even none, although the list goes on: a search by several
    /// words looks at a bounded number of rows for each page.
    #[schemars(length(max = 100))]
    pub data: Vec<T>,
    /// Asks for the next page; null on the last one. Opaque, and good only under the same filters.
    #[schemars(schema_with = "cursor_or_null")]
    pub next_cursor: Option<String>,
    /// Whether there is a next page. Only this tells the end of the list, not the number of rows.
    pub has_more: bool,
}

impl<T> Page<T> {
    /// A page of these rows, after which the list goes on at this cursor, if it does.
    pub fn new(data: Vec<T>, next_cursor: Option<String>) -> Self {
        Self { data, has_more: next_cursor.is_some(), next_cursor }
    }

    /// Makes a page of rows of which one more than the limit was asked for: if it came, there is a next page, and its
    /// cursor is made of the last row of this one.
    pub fn cut(mut rows: Vec<T>, limit: PageLimit, cursor: impl FnOnce(&T) -> String) -> Self {
        let has_more = rows.len() > limit.get();
        rows.truncate(limit.get());
        let next_cursor = rows.last().filter(|_| has_more).map(cursor);
        Self::new(rows, next_cursor)
    }
}

/// Always there, unlike other optional fields of answers. `nullable` is OpenAPI's word.
fn cursor_or_null(generator: &mut SchemaGenerator) -> Schema {
    let mut schema = Cursor::json_schema(generator).into_object();
    schema.extensions.insert("nullable".to_owned(), true.into());
    schema.into()
}

/// Where a list goes on, as a caller sends it back: at most 200 characters. What it says is for the list to judge.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Cursor(String);

impl Cursor {
    const MAX: usize = 200;

    /// The text itself.
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

/// How many rows a page has at most: 1 to 100, 20 where the caller does not say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct PageLimit(u8);

impl PageLimit {
    const MAX: u8 = 100;

    /// The number of rows.
    pub fn get(self) -> usize {
        usize::from(self.0)
    }
}

impl Default for PageLimit {
    fn default() -> Self {
        Self(20)
    }
}

/// From a query parameter, which is a text.
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
