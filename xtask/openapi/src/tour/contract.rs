//! What a document says about one operation, and whether a step of the tour keeps to it.

use anyhow::{Context, Result, bail, ensure};
use openapi_document::Document;
use serde_json::{Map, Value};

use crate::tour::steps::{Pairs, Step};

const JSON: &str = "application/json";

/// The document of a service.
pub(super) struct Contract(pub(super) Document);

/// One operation of it.
pub(super) struct Operation<'a> {
    contract: &'a Contract,
    inner: openapi_document::Operation<'a>,
}

/// What an operation answers when all is well.
pub(super) struct Answer<'a> {
    contract: &'a Contract,
    pub(super) status: u16,
    value: &'a Value,
}

impl Contract {
    /// Where the service listens on a developer's machine.
    pub(super) fn server(&self) -> Result<&str> {
        self.0.value()["servers"][0]["url"].as_str().context("the document names no server")
    }

    pub(super) fn operation(&self, id: &str) -> Result<Operation<'_>> {
        let inner = self.0.operation(id).with_context(|| format!("no operation has the id {id}"))?;
        Ok(Operation { contract: self, inner })
    }

    /// Follows references, also those in an `allOf` that only adds a description.
    fn resolve<'a>(&'a self, value: &'a Value) -> &'a Value {
        let mut value = self.0.resolve(value);
        while let Some([only]) = value["allOf"].as_array().map(Vec::as_slice) {
            value = self.0.resolve(only);
        }
        value
    }

    /// Whether a value has the fields and types of a schema. A text that is one variable may have any type.
    fn check_value(&self, value: &Value, schema: &Value, place: &str) -> Result<()> {
        let schema = self.resolve(schema);
        match value {
            Value::Object(fields) => self.check_fields(fields, schema, place),
            Value::Array(values) => {
                let mut elements = values.iter().enumerate();
                elements.try_for_each(|(i, value)| self.check_value(value, &schema["items"], &format!("{place}[{i}]")))
            }
            Value::String(text) if is_variable(text) => Ok(()),
            Value::Number(_) => check_type(schema, &["integer", "number"], place),
            Value::String(_) => check_type(schema, &["string"], place),
            Value::Bool(_) => check_type(schema, &["boolean"], place),
            Value::Null => bail!("{place} is null"),
        }
    }

    fn check_fields(&self, fields: &Map<String, Value>, schema: &Value, place: &str) -> Result<()> {
        for name in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            ensure!(fields.contains_key(name), "{place} lacks the required field {name}");
        }
        for (name, value) in fields {
            let field = schema["properties"].get(name).with_context(|| format!("{place} has no field {name}"))?;
            self.check_value(value, field, &format!("{place}.{name}"))?;
        }
        Ok(())
    }
}

/// Whether a text is one variable and nothing else.
pub(super) fn is_variable(text: &str) -> bool {
    let name = text.strip_prefix("{{").and_then(|rest| rest.strip_suffix("}}"));
    name.is_some_and(|name| !name.contains(['{', '}']))
}

fn check_type(schema: &Value, allowed: &[&str], place: &str) -> Result<()> {
    let is_allowed = schema["type"].as_str().is_some_and(|kind| allowed.contains(&kind));
    ensure!(is_allowed, "{place} is of type {}, not {}", schema["type"], allowed[0]);
    Ok(())
}

impl<'a> Operation<'a> {
    pub(super) fn method(&self) -> String {
        self.inner.method.to_uppercase()
    }

    pub(super) fn path(&self) -> &'a str {
        self.inner.path
    }

    /// Whether anybody may call it.
    pub(super) fn is_open(&self) -> bool {
        self.inner.schemes().next().is_none()
    }

    /// Whether the step sends everything that is required, and nothing else.
    pub(super) fn check_request(&self, step: &Step) -> Result<()> {
        let takes_operators = self.is_open() || self.inner.schemes().any(|scheme| scheme == "operatorJwt");
        ensure!(takes_operators, "{} does not take an operator's token", step.operation);
        for (place, given) in [("path", step.path), ("query", step.query), ("header", step.headers)] {
            self.check_parameters(place, given)?;
        }
        let schema = self.contract.resolve(&self.inner.value["requestBody"])["content"][JSON].get("schema");
        match (&step.body, schema) {
            (Some(body), Some(schema)) => self.contract.check_value(body, schema, "the body"),
            (None, None) => Ok(()),
            (Some(_), None) => bail!("{} takes no body", step.operation),
            (None, Some(_)) => bail!("{} needs a body", step.operation),
        }
    }

    fn check_parameters(&self, place: &str, given: Pairs) -> Result<()> {
        let mut known = Vec::new();
        for parameter in self.inner.parameters().map(|parameter| self.contract.resolve(parameter)) {
            if parameter["in"] != place {
                continue;
            }
            let name = parameter["name"].as_str().context("a parameter without a name")?;
            let is_missing = parameter["required"] == true && !given.iter().any(|(given, _)| *given == name);
            ensure!(!is_missing, "the required {place} parameter {name} is missing");
            known.push(name);
        }
        for (name, _) in given {
            ensure!(known.contains(name), "there is no {place} parameter {name}");
        }
        Ok(())
    }

    pub(super) fn answer(&self) -> Result<Answer<'a>> {
        let mut successes = self.inner.responses().filter(|(status, _)| status.starts_with('2'));
        let (Some((status, value)), None) = (successes.next(), successes.next()) else {
            bail!("the tour expects one way to succeed");
        };
        Ok(Answer { contract: self.contract, status: status.parse()?, value: self.contract.resolve(value) })
    }
}

impl Answer<'_> {
    pub(super) fn check_header(&self, name: &str) -> Result<()> {
        ensure!(self.value["headers"].get(name).is_some(), "the answer has no header {name}");
        Ok(())
    }

    /// The JSON type of what is at a place in the answer, as `data[0].id`.
    pub(super) fn kind(&self, place: &str) -> Result<String> {
        let mut schema = &self.value["content"][JSON]["schema"];
        for part in place.split(['.', '[']) {
            schema = self.contract.resolve(schema);
            let next = if part.ends_with(']') { schema.get("items") } else { schema["properties"].get(part) };
            schema = next.with_context(|| format!("the answer has no {place}"))?;
        }
        let schema = self.contract.resolve(schema);
        Ok(schema["type"].as_str().with_context(|| format!("{place} has no type"))?.to_owned())
    }
}
