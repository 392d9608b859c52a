//! Test of the messages about invalid input of every operation in an OpenAPI document.

use openapi_document::{Document, Operation, Strictness};
use reqwest::{Client, Method};
use serde_json::{Value, json};

/// Texts that are invalid for most query parameters.
const TEXTS: [&str; 9] = ["x", "0", "-1", "1.5", "1e3", "true", "null", "99999999999999999999", "2026-13-01T00:00:00Z"];
/// Words of Rust and serde, which mean nothing to callers.
const FOREIGN_WORDS: [&str; 25] = [
    "DateTime",
    "NaiveDateTime",
    "Option",
    "String",
    "Vec",
    "bool",
    "char",
    "digit",
    "enum",
    "f64",
    "i64",
    "map",
    "newtype",
    "option",
    "sequence",
    "serde",
    "str",
    "struct",
    "tuple",
    "u128",
    "u64",
    "u8",
    "unit",
    "variant",
    "visitor",
];
const FOREIGN_PHRASES: [&str; 6] =
    ["invalid type", "invalid value", "invalid length", "floating point", "out of range", " at line "];

/// An invalid request, and the field that its error names; empty if the error concerns the whole body.
struct InvalidRequest {
    path: String,
    body: Option<Value>,
    field: String,
}

/// Sends wrong values for every field of every body, for every query parameter and for every id.
///
/// Returns a line per response that is not 400 or whose message does not say what was expected, in the words of the
/// contract; tests expect none. The token of the user account must permit every operation for user accounts.
///
/// # Errors
///
/// If the document cannot be parsed or the server cannot be reached.
pub async fn message_violations(
    document: &str,
    base_url: &str,
    user_token: &str,
    service_token: &str,
) -> Result<Vec<String>, Box<dyn std::error::Error>> {
    let (document, http) = (Document::parse(document)?, Client::new());
    let (mut violations, mut sent) = (Vec::new(), 0);
    for operation in document.operations() {
        let is_for_users = operation.schemes().any(|scheme| scheme == "operatorJwt");
        let token = if is_for_users { user_token } else { service_token };
        // Documents have only standard methods, so the default never applies.
        let method: Method = operation.method.to_uppercase().parse().unwrap_or(Method::GET);
        for InvalidRequest { path, body, field } in invalid_requests(&document, operation)? {
            let request = http.request(method.clone(), format!("{base_url}{path}")).bearer_auth(token);
            let text = body.as_ref().map(Value::to_string).unwrap_or_default();
            let response = request.header("content-type", "application/json").body(text.clone()).send().await?;
            let (status, answer) = (response.status().as_u16(), response.text().await?);
            if let Some(problem) = problem(status, &answer, &field) {
                violations.push(format!("{method} {path} {text}: {problem}: {answer}"));
            }
            sent += 1;
        }
    }
    if sent == 0 {
        violations.push("the document has no field".to_owned());
    }
    Ok(violations)
}

fn invalid_requests(document: &Document, operation: Operation<'_>) -> Result<Vec<InvalidRequest>, String> {
    let path = operation.path.replace("{id}", "1");
    let mut requests = Vec::new();
    let mut add =
        |path: String, body, field: &str| requests.push(InvalidRequest { path, body, field: field.to_owned() });
    if operation.path.contains("{id}") {
        for text in ["x", "0", "-1", "1.5", "99999999999999999999"] {
            add(operation.path.replace("{id}", text), None, "id");
        }
    }
    let schema = &operation.value["requestBody"]["content"]["application/json"]["schema"];
    if !schema.is_null() {
        for (field, body) in invalid_bodies(document, schema)? {
            add(path.clone(), Some(body), &field);
        }
    }
    for parameter in operation.parameters().map(|parameter| document.resolve(parameter)) {
        let (Some("query"), Some(name)) = (parameter["in"].as_str(), parameter["name"].as_str()) else { continue };
        let schema = &parameter["schema"];
        let validator = document.validator(schema, Strictness::Closed)?;
        for text in TEXTS {
            let value = match schema["type"].as_str() {
                Some("integer") => text.parse::<i64>().ok().map(Value::from),
                Some("boolean") => text.parse::<bool>().ok().map(Value::from),
                _ => None,
            };
            if !validator.problems(&value.unwrap_or_else(|| text.into())).is_empty() {
                add(format!("{path}?{name}={text}"), None, name);
            }
        }
        add(format!("{path}?{name}=1&{name}=1"), None, name);
        add(format!("{path}?no_{name}=1"), None, &format!("no_{name}"));
    }
    Ok(requests)
}

/// Returns the example of a body with one field changed, and the name of this field.
fn invalid_bodies(document: &Document, schema: &Value) -> Result<Vec<(String, Value)>, String> {
    let (example, validator) = (&document.resolve(schema)["example"], document.validator(schema, Strictness::Closed)?);
    let mut bodies = Vec::new();
    for pointer in pointers(example) {
        let absent = without(example, &pointer);
        let is_optional = absent.as_ref().is_some_and(|body| validator.problems(body).is_empty());
        // In an optional field, null counts as absent.
        for value in wrong_values().into_iter().filter(|value| !(is_optional && value.is_null())) {
            // The validator accepts any number without a fraction as an integer, of any size.
            let is_huge = value.as_f64().is_some_and(|number| number.abs() > 1e18);
            let body = with(example, &pointer, |place| *place = value);
            if is_huge || !validator.problems(&body).is_empty() {
                bodies.push((field_name(&pointer), body));
            }
        }
        if let Some(body) = absent.filter(|_| !is_optional) {
            bodies.push((field_name(&pointer), body));
        }
        if example.pointer(&pointer).is_some_and(Value::is_object) {
            let body = with(example, &pointer, |place| place["no_field"] = json!(1));
            bodies.push((field_name(&format!("{pointer}/no_field")), body));
        }
    }
    Ok(bodies)
}

fn wrong_values() -> [Value; 17] {
    [
        json!(null),
        json!(true),
        json!(0),
        json!(-1),
        json!(1.5),
        json!(4999.99),
        json!(u64::MAX),
        json!(1e20),
        json!(-1e20),
        json!(""),
        json!("1"),
        json!("x"),
        json!("x".repeat(300)),
        json!([]),
        json!([1]),
        json!({}),
        json!({ "a": 1 }),
    ]
}

/// Returns the JSON pointers of a value and of all values in it.
fn pointers(value: &Value) -> Vec<String> {
    let children: Vec<_> = match value {
        Value::Object(fields) => fields.iter().map(|(key, value)| (key.clone(), value)).collect(),
        Value::Array(items) => items.iter().enumerate().map(|(index, value)| (index.to_string(), value)).collect(),
        _ => Vec::new(),
    };
    let nested = children
        .into_iter()
        .flat_map(|(key, child)| pointers(child).into_iter().map(move |pointer| format!("/{key}{pointer}")));
    std::iter::once(String::new()).chain(nested).collect()
}

fn with(example: &Value, pointer: &str, change: impl FnOnce(&mut Value)) -> Value {
    let mut body = example.clone();
    if let Some(place) = body.pointer_mut(pointer) {
        change(place);
    }
    body
}

/// Returns the example without the field at this pointer. `None` if it is no field.
fn without(example: &Value, pointer: &str) -> Option<Value> {
    let (parent, key) = pointer.rsplit_once('/')?;
    let mut body = example.clone();
    body.pointer_mut(parent)?.as_object_mut()?.remove(key)?;
    Some(body)
}

/// Converts `/items/0/qty` to `items[0].qty`.
fn field_name(pointer: &str) -> String {
    let mut name = String::new();
    for part in pointer.split('/').skip(1) {
        match part.parse::<usize>() {
            Ok(_) => name.push_str(&format!("[{part}]")),
            Err(_) if name.is_empty() => name.push_str(part),
            Err(_) => name.push_str(&format!(".{part}")),
        }
    }
    name
}

/// Returns what is wrong with the response to an invalid request.
fn problem(status: u16, answer: &str, field: &str) -> Option<String> {
    if status != 400 {
        return Some(format!("status {status}"));
    }
    let answer: Value = serde_json::from_str(answer).unwrap_or_default();
    let error = answer.get("error").unwrap_or(&answer);
    let message = error["message"].as_str().unwrap_or_default();
    let named = error["details"][0]["field"].as_str().unwrap_or_default();
    let mut words = message.split(|c: char| !c.is_alphanumeric() && c != '_');
    let foreign = words.find(|word| FOREIGN_WORDS.contains(word));
    let foreign = foreign.or_else(|| FOREIGN_PHRASES.into_iter().find(|phrase| message.contains(phrase)));
    if !named.starts_with(field) || !message.starts_with(named) {
        Some(format!("the message does not name {field}"))
    } else if !message.contains("expected ") {
        Some("the message does not say what was expected".to_owned())
    } else {
        foreign.map(|word| format!("the message contains {word:?}"))
    }
}
