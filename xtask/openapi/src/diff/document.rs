//! Document and its version. All references in the document can be resolved.

use std::ops::Deref;
use std::sync::LazyLock;

use anyhow::{Context, Result, ensure};
pub(super) use openapi_document::{Operation, is_method, reference};
use openapiv3::OpenAPI;
use semver::Version;
use serde::Deserialize;
use serde_json::{Map, Value};

pub(super) type Object = Map<String, Value>;

pub(super) struct Document {
    pub(super) version: Version,
    readable: openapi_document::Document,
}

impl Document {
    pub(super) fn parse(text: &str) -> Result<Self> {
        Self::of(serde_json::from_str(text).context("invalid JSON")?)
    }

    pub(super) fn of(root: Value) -> Result<Self> {
        // Check the types first: the rules would ignore values whose type violates the specification.
        OpenAPI::deserialize(&root).context("not an OpenAPI document")?;
        let version = root.pointer("/info/version").and_then(Value::as_str).context("info.version is missing")?;
        let version = Version::parse(version).with_context(|| format!("invalid version {version}"))?;
        let document = Self { version, readable: root.into() };
        // Check all references now, so that `resolve` cannot fail later.
        for reference in document.references(document.value()) {
            let target = document.target(reference).map(|target| document.resolve(target));
            ensure!(target.is_some_and(|end| end["$ref"].is_null()), "dangling reference {reference}");
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

/// Returns the object, or an empty object if the value is not an object.
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
