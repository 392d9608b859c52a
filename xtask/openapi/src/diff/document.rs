//! One document as the comparison reads it: its version, its operations, and where its references lead.
//!
//! What differs between two documents is not found here.

use std::sync::LazyLock;

use anyhow::{Context, Result, bail};
use openapiv3::OpenAPI;
use semver::Version;
use serde::Deserialize;
use serde_json::{Map, Value};

/// An object of a document.
pub(super) type Object = Map<String, Value>;

const METHODS: &[&str] = &["get", "put", "post", "delete", "options", "head", "patch", "trace"];

/// More references in a row than anybody writes: then they go round in a circle.
const MOST_HOPS: usize = 16;

pub(super) struct Document {
    pub(super) version: Version,
    pub(super) root: Value,
}

/// An operation with what its path item says for all operations there.
#[derive(Clone, Copy)]
pub(super) struct Operation<'a> {
    pub(super) path: &'a str,
    pub(super) method: &'a str,
    pub(super) item: &'a Object,
    pub(super) value: &'a Object,
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
        let document = Self { version, root };
        document.check_references(&document.root)?;
        Ok(document)
    }

    /// What is compared has no loose ends, so `resolve` need not fail.
    fn check_references(&self, value: &Value) -> Result<()> {
        if let Some(reference) = reference(value)
            && self.resolve(value).is_null()
        {
            bail!("its reference {reference} leads nowhere");
        }
        match value {
            Value::Array(items) => items.iter().try_for_each(|item| self.check_references(item)),
            Value::Object(members) => members.values().try_for_each(|member| self.check_references(member)),
            _ => Ok(()),
        }
    }

    /// What the value says, or what it refers to.
    pub(super) fn resolve<'a>(&'a self, value: &'a Value) -> &'a Value {
        let mut target = value;
        for _ in 0..MOST_HOPS {
            let Some(reference) = reference(target) else { return target };
            let place = reference.strip_prefix('#').and_then(|pointer| self.root.pointer(pointer));
            let Some(found) = place else { return &Value::Null };
            target = found;
        }
        &Value::Null
    }

    pub(super) fn operations(&self) -> Vec<Operation<'_>> {
        let items = members(self.root.get("paths")).map(|(path, item)| (path, self.resolve(item)));
        let items = items.filter_map(|(path, item)| Some((path, item.as_object()?)));
        let operations = items.flat_map(|(path, item)| {
            let methods = item.iter().filter(|(method, _)| METHODS.contains(&method.as_str()));
            methods.filter_map(move |(method, value)| Some(Operation { path, method, item, value: value.as_object()? }))
        });
        operations.collect()
    }

    /// The members of the document itself, in the way of the other objects.
    pub(super) fn members(&self) -> &Object {
        object(&self.root)
    }
}

impl<'a> Operation<'a> {
    pub(super) fn id(&self) -> &'a str {
        self.value.get("operationId").and_then(Value::as_str).unwrap_or_default()
    }

    pub(super) fn is_at_the_place_of(&self, other: &Operation<'_>) -> bool {
        (self.path, self.method) == (other.path, other.method)
    }

    pub(super) fn place(&self) -> String {
        format!("{} {}", self.method.to_uppercase(), self.path)
    }
}

pub(super) fn is_method(key: &str) -> bool {
    METHODS.contains(&key)
}

/// Where the value refers to.
pub(super) fn reference(value: &Value) -> Option<&str> {
    value.get("$ref").and_then(Value::as_str)
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
