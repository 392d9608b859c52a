//! One document as the comparison reads it, with its version and without loose ends.

use std::ops::Deref;
use std::sync::LazyLock;

use anyhow::{Context, Result, ensure};
pub(super) use openapi_document::{Operation, is_method, reference};
use openapiv3::OpenAPI;
use semver::Version;
use serde::Deserialize;
use serde_json::{Map, Value};

/// An object of a document.
pub(super) type Object = Map<String, Value>;

pub(super) struct Document {
    pub(super) version: Version,
    readable: openapi_document::Document,
}

impl Document {
    pub(super) fn parse(text: &str) -> Result<Self> {
        Self::of(serde_json::from_str(text).context("it is no JSON")?)
    }

    pub(super) fn of(root: Value) -> Result<Self> {
        // Whatever is of another kind than the specification says would be overlooked by the rules.
        OpenAPI::deserialize(&root).context("it is no OpenAPI document")?;
        let version = root.pointer("/info/version").and_then(Value::as_str).context("it has no info.version")?;
        let version = Version::parse(version).with_context(|| format!("its version {version}"))?;
        let document = Self { version, readable: root.into() };
        // What is compared has no loose ends, so `resolve` need not fail.
        for reference in document.references(document.value()) {
            let target = document.target(reference).map(|target| document.resolve(target));
            ensure!(target.is_some_and(|end| end["$ref"].is_null()), "its reference {reference} leads nowhere");
        }
        Ok(document)
    }
}

impl Deref for Document {
    type Target = openapi_document::Document;

    fn deref(&self) -> &Self::Target {
        &self.readable
    }
}

/// An object of no members where the value is none: nothing is said there.
pub(super) fn object(value: &Value) -> &Object {
    static EMPTY: LazyLock<Object> = LazyLock::new(Object::new);
    value.as_object().unwrap_or_else(|| &EMPTY)
}

pub(super) fn members<'a>(value: Option<&'a Value>) -> impl Iterator<Item = (&'a str, &'a Value)> + use<'a> {
    value.and_then(Value::as_object).into_iter().flatten().map(|(key, value)| (key.as_str(), value))
}

pub(super) fn items(value: Option<&Value>) -> impl Iterator<Item = &Value> {
    value.and_then(Value::as_array).into_iter().flatten()
}

pub(super) fn is_true(value: Option<&Value>) -> bool {
    value == Some(&Value::Bool(true))
}
