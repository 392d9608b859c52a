//! Messages about invalid input, in the words of the contract.
//!
//! serde reports a problem in terms of Rust types and of its own data model. So only the place of the problem is taken
//! from serde: the expected value is that of the schema at this place, and the given value that of the input.

use common_contract::{Failure, codes};
use schemars::JsonSchema;
use schemars::r#gen::SchemaSettings;
use schemars::schema::{InstanceType, Schema, SchemaObject, SingleOrVec};
use serde_json::Value;
use serde_path_to_error::{Path, Segment};

/// Maximum length of a given text in a message, in characters.
const MAX_QUOTE: usize = 40;

/// Fields that are not expected, or not present, and the start of serde's messages about them.
const FIELD_PROBLEMS: [(&str, FieldProblem); 3] = [
    ("missing field `", FieldProblem::Missing),
    ("unknown field `", FieldProblem::Unknown),
    ("duplicate field `", FieldProblem::Repeated),
];

#[derive(Clone, Copy, PartialEq)]
enum FieldProblem {
    Missing,
    Unknown,
    Repeated,
}

/// Place in the input, with its schema and its value, if known.
struct Place<'p> {
    name: String,
    schema: Option<&'p SchemaObject>,
    value: Option<&'p Value>,
}

impl<'p> Place<'p> {
    fn field(&self, key: &str) -> Self {
        let properties = self.schema.and_then(|schema| Some(&schema.object.as_ref()?.properties));
        Self {
            name: if self.name.is_empty() { key.to_owned() } else { format!("{}.{key}", self.name) },
            schema: properties.and_then(|properties| as_object(properties.get(key)?)),
            value: self.value.and_then(|value| value.get(key)),
        }
    }

    fn item(&self, index: usize) -> Self {
        let items = self.schema.and_then(|schema| schema.array.as_ref()?.items.as_ref());
        Self {
            name: format!("{}[{index}]", self.name),
            schema: items.and_then(|items| match items {
                SingleOrVec::Single(item) => as_object(item),
                SingleOrVec::Vec(_) => None,
            }),
            value: self.value.and_then(|value| value.get(index)),
        }
    }
}

/// Creates the failure for input that is not a `T`.
///
/// `path` and `problem` are serde's: where deserialization stopped, and its message. A message that starts with
/// `expected` is one of the contract's own and is kept. `input` is the whole input, if it can be parsed.
pub(crate) fn invalid_input<T: JsonSchema>(path: &Path, problem: &str, input: Option<&Value>) -> Failure {
    let settings = SchemaSettings::default().with(|settings| {
        settings.inline_subschemas = true;
        settings.option_add_null_type = false;
    });
    let schema = settings.into_generator().into_root_schema_for::<T>().schema;
    let field =
        FIELD_PROBLEMS.iter().find_map(|(start, kind)| Some((problem.strip_prefix(start)?.split_once('`')?.0, *kind)));
    let mut place = Place { name: String::new(), schema: Some(&schema), value: input };
    let mut segments: Vec<_> = path.iter().collect();
    // The path of an unknown or repeated field may end at the field or at its object, that of a missing one at its
    // object.
    if let Some((name, FieldProblem::Unknown | FieldProblem::Repeated)) = field {
        segments.pop_if(|last| matches!(last, Segment::Map { key } if key == name));
    }
    for segment in segments {
        place = match segment {
            Segment::Map { key } => place.field(key),
            Segment::Seq { index } => place.item(*index),
            Segment::Enum { .. } | Segment::Unknown => break,
        };
    }
    match field {
        None => invalid_value(place, problem),
        Some((name, FieldProblem::Missing)) => {
            let Place { name, schema, .. } = place.field(name);
            Failure::invalid_field(name, format!("is missing, expected {}", expectation(schema)))
        }
        Some((name, FieldProblem::Repeated)) => {
            Failure::invalid_field(place.field(name).name, "is given more than once, expected one value")
        }
        Some((name, FieldProblem::Unknown)) => {
            let known = place.schema.and_then(|schema| schema.object.as_ref()).into_iter();
            let known: Vec<_> = known.flat_map(|object| object.properties.keys().map(String::as_str)).collect();
            Failure::invalid_field(place.field(name).name, format!("is unknown, expected one of {}", known.join(", ")))
        }
    }
}

fn invalid_value(Place { name, schema, value }: Place<'_>, problem: &str) -> Failure {
    let own = problem.strip_prefix("expected ").map(str::to_owned);
    let expected = own.unwrap_or_else(|| expectation(schema));
    let message = match value {
        Some(value) => format!("expected {expected}, got {}", describe(value, schema)),
        None => format!("expected {expected}"),
    };
    if name.is_empty() {
        Failure::new(codes::INVALID_REQUEST, format!("the body: {message}"))
    } else {
        Failure::invalid_field(name, message)
    }
}

/// Describes the values that a schema allows.
fn expectation(schema: Option<&SchemaObject>) -> String {
    let Some(schema) = schema else { return "another value".to_owned() };
    let names = enum_names(schema);
    if !names.is_empty() {
        return format!("one of {}", names.join(", "));
    }
    match instance_type(schema) {
        Some(InstanceType::Boolean) => "true or false".to_owned(),
        Some(InstanceType::Integer) => {
            let limits = schema.number.as_deref();
            let limit = |limit: Option<f64>, default: i64| limit.map_or(default.to_string(), |limit| limit.to_string());
            let least = limit(limits.and_then(|limits| limits.minimum), i64::MIN);
            let most = limit(limits.and_then(|limits| limits.maximum), i64::MAX);
            format!("an integer from {least} to {most}")
        }
        Some(InstanceType::String) if schema.format.as_deref() == Some("date-time") => {
            "a time such as 2026-11-30T12:00:00Z".to_owned()
        }
        Some(InstanceType::String) => {
            let limits = schema.string.as_ref().and_then(|limits| limits.min_length.zip(limits.max_length));
            format!(
                "a string{}",
                limits.map_or(String::new(), |(least, most)| format!(" of {least} to {most} characters"))
            )
        }
        Some(InstanceType::Array) => {
            let limits = schema.array.as_ref().and_then(|limits| limits.min_items.zip(limits.max_items));
            format!("an array{}", limits.map_or(String::new(), |(least, most)| format!(" of {least} to {most} items")))
        }
        Some(InstanceType::Object) => "an object".to_owned(),
        _ => "another value".to_owned(),
    }
}

/// Describes a given value. A value is repeated only if the expected one is no free text and has no parts: others may
/// be or contain a password.
fn describe(value: &Value, schema: Option<&SchemaObject>) -> String {
    let is_repeated = schema.is_some_and(|schema| match instance_type(schema) {
        Some(InstanceType::Array | InstanceType::Object) => false,
        Some(InstanceType::String) | None => schema.format.is_some() || !enum_names(schema).is_empty(),
        Some(_) => true,
    });
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(_) if !is_repeated => "a boolean".to_owned(),
        Value::Number(_) if !is_repeated => "a number".to_owned(),
        Value::Bool(_) | Value::Number(_) => value.to_string(),
        Value::String(text) if !is_repeated => count(text.chars().count(), "character"),
        Value::String(text) => quote(text),
        Value::Array(items) => format!("an array of {}", count(items.len(), "item")),
        Value::Object(_) => "an object".to_owned(),
    }
}

/// Returns the start of a given text in quotes.
pub(crate) fn quote(text: &str) -> String {
    let short: String = match text.char_indices().nth(MAX_QUOTE) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}…", &text[..end]),
    };
    Value::String(short).to_string()
}

fn count(n: usize, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}

/// Returns the names of an enumeration. The schema of one with documented names has a subschema for each.
fn enum_names(schema: &SchemaObject) -> Vec<&str> {
    let documented = schema.subschemas.as_ref().and_then(|schemas| schemas.one_of.as_ref()).into_iter().flatten();
    let schemas = documented.filter_map(as_object).chain([schema]);
    schemas.filter_map(|schema| schema.enum_values.as_ref()).flatten().filter_map(Value::as_str).collect()
}

fn instance_type(schema: &SchemaObject) -> Option<InstanceType> {
    match schema.instance_type.as_ref()? {
        SingleOrVec::Single(kind) => Some(**kind),
        SingleOrVec::Vec(_) => None,
    }
}

fn as_object(schema: &Schema) -> Option<&SchemaObject> {
    match schema {
        Schema::Object(object) => Some(object),
        Schema::Bool(_) => None,
    }
}
