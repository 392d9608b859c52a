//! Verifies the status, error code, headers and body of every response in tests against the OpenAPI document.

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};

use dropshot::Body;
use futures::FutureExt;
use http::Response;
use http_body_util::{BodyExt, Collected};
use openapi_document::{Document, Strictness, Validator};
use serde_json::Value;

use crate::Runtime;

/// Verifiers by document, shared by the servers of all tests in this process.
static VERIFIERS: Mutex<BTreeMap<&'static str, Arc<Verifier>>> = Mutex::new(BTreeMap::new());

/// Headers that affect a client's behaviour. They must be documented.
const SIGNIFICANT_HEADERS: [&str; 5] = ["etag", "idempotent-replayed", "location", "retry-after", "www-authenticate"];
/// Header that dropshot adds to every response after this verification.
const ADDED_BY_DROPSHOT: &str = "X-Request-Id";

/// OpenAPI document with its compiled responses.
struct Verifier {
    document: Document,
    /// Expected responses by operation and status. They are compiled on first use, because each test uses only a few of
    /// them.
    expected: Mutex<BTreeMap<(String, u16), Arc<Expected>>>,
}

/// Documented response.
struct Expected {
    /// Validator for the body, or `None` if the response has no body.
    body: Option<Validator>,
    /// Documented error codes; empty for a success response.
    codes: Vec<String>,
    headers: Vec<ExpectedHeader>,
}

struct ExpectedHeader {
    name: String,
    is_required: bool,
    is_number: bool,
    value: Validator,
}

/// Returns a runtime that verifies every response of its server against the document.
///
/// If a response is undocumented, the process prints a message and exits, because an error response could be mistaken
/// for a failure that the test expects.
///
/// # Errors
///
/// Returns an error if the document cannot be parsed.
pub fn runtime(document: &'static str) -> Result<Runtime, serde_json::Error> {
    let mut known = VERIFIERS.lock().unwrap_or_else(PoisonError::into_inner);
    let verifier = match known.get(document) {
        Some(verifier) => Arc::clone(verifier),
        None => {
            let verifier = Verifier { document: Document::parse(document)?, expected: Mutex::default() };
            Arc::clone(known.entry(document).or_insert(Arc::new(verifier)))
        }
    };
    Ok(Runtime::with_response_hook(move |operation, response| verifier.verify(operation, response)))
}

impl Verifier {
    fn verify(&self, operation: &str, response: Response<Body>) -> Response<Body> {
        if self.document.operation(operation).is_none() {
            return response;
        }
        let (head, body) = response.into_parts();
        let status = head.status.as_u16();
        // All bodies are in memory, so collecting them never waits.
        let body = body.collect().now_or_never().and_then(Result::ok).map(Collected::to_bytes);
        let problems = match (self.expected(operation, status), &body) {
            (Ok(expected), Some(body)) => expected.problems(&head.headers, body),
            (Ok(_), None) => vec!["the body is not in memory".to_owned()],
            (Err(problem), _) => vec![problem],
        };
        let body = body.unwrap_or_default();
        if !problems.is_empty() {
            let body = String::from_utf8_lossy(&body);
            let problems = problems.join("\n");
            // The test harness captures `eprintln!` output until the test ends, so the message would be lost here.
            let _ =
                writeln!(std::io::stderr(), "{operation}: response {status} is not as documented:\n{problems}\n{body}");
            std::process::exit(1);
        }
        Response::from_parts(head, body.into())
    }

    fn expected(&self, operation: &str, status: u16) -> Result<Arc<Expected>, String> {
        let mut known = self.expected.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (operation.to_owned(), status);
        if let Some(expected) = known.get(&key) {
            return Ok(Arc::clone(expected));
        }
        let expected = Arc::new(Expected::read(&self.document, operation, status)?);
        known.insert(key, Arc::clone(&expected));
        Ok(expected)
    }
}

impl Expected {
    fn read(document: &Document, operation: &str, status: u16) -> Result<Self, String> {
        let operation = document.operation(operation).ok_or("the operation is not documented")?;
        let response = operation.responses().find(|(documented, _)| *documented == status.to_string());
        let (_, response) = response.ok_or("the status is not documented for this operation")?;
        let response = document.resolve(response);
        let content = &response["content"]["application/json"];
        let schema = content.get("schema");
        let body = schema.map(|schema| document.validator(schema, Strictness::Closed)).transpose()?;
        let codes = content["examples"].as_object().into_iter().flatten().map(|(code, _)| code.clone()).collect();
        let headers = response["headers"].as_object().into_iter().flatten();
        let headers = headers.filter(|(name, _)| *name != ADDED_BY_DROPSHOT).map(|(name, header)| {
            let header = document.resolve(header);
            Ok(ExpectedHeader {
                name: name.clone(),
                is_required: header["required"] == true,
                is_number: header["schema"]["type"] == "integer",
                value: document.validator(&header["schema"], Strictness::Closed)?,
            })
        });
        Ok(Self { body, codes, headers: headers.collect::<Result<_, String>>()? })
    }

    fn problems(&self, headers: &http::HeaderMap, body: &[u8]) -> Vec<String> {
        let mut problems = self.body_problems(headers, body);
        for header in &self.headers {
            let ExpectedHeader { name, is_required, .. } = header;
            match headers.get(name).map(|value| value.to_str().unwrap_or_default()) {
                Some(value) => problems.extend(header.problems(value)),
                None if *is_required => problems.push(format!("{name} is missing")),
                None => {}
            }
        }
        let is_documented = |name: &str| self.headers.iter().any(|header| header.name.eq_ignore_ascii_case(name));
        let undocumented =
            SIGNIFICANT_HEADERS.into_iter().filter(|name| headers.contains_key(*name) && !is_documented(name));
        problems.extend(undocumented.map(|name| format!("{name} is not documented")));
        problems
    }

    fn body_problems(&self, headers: &http::HeaderMap, body: &[u8]) -> Vec<String> {
        let Some(validator) = &self.body else {
            return if body.is_empty() { Vec::new() } else { vec!["the body is not documented".to_owned()] };
        };
        if headers.get(http::header::CONTENT_TYPE).is_none_or(|kind| kind != "application/json") {
            return vec!["the body is not declared as JSON".to_owned()];
        }
        let body: Value = match serde_json::from_slice(body) {
            Ok(body) => body,
            Err(error) => return vec![format!("the body is not JSON: {error}")],
        };
        let mut problems = validator.problems(&body);
        let code = body["error_code"].as_str().or_else(|| body["error"]["code"].as_str()).unwrap_or_default();
        if !self.codes.is_empty() && !self.codes.iter().any(|documented| documented == code) {
            problems.push(format!("the code {code:?} is not documented for this operation and status"));
        }
        problems
    }
}

impl ExpectedHeader {
    fn problems(&self, value: &str) -> Vec<String> {
        let number = self.is_number.then(|| value.parse::<u64>().ok()).flatten();
        let problems = self.value.problems(&number.map_or_else(|| value.into(), Value::from));
        problems.iter().map(|problem| format!("{}: {problem}", self.name)).collect()
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderValue, header};
    use serde_json::json;

    use super::*;

    fn problems(status: u16, headers: &[(&'static str, &'static str)], body: &str) -> Vec<String> {
        let tag = json!({ "required": true, "schema": { "type": "string", "maxLength": 4 } });
        let wait = json!({ "schema": { "type": "integer", "minimum": 1 } });
        let thing = json!({
            "type": "object", "required": ["id"],
            "properties": { "id": { "type": "integer" }, "note": { "type": "string", "nullable": true } },
        });
        let document = json!({
            "paths": { "/things": { "get": { "operationId": "thing_view", "responses": {
                "200": { "headers": { "ETag": tag }, "content": { "application/json": { "schema": thing } } },
                "204": {},
                "503": { "headers": { "Retry-After": wait }, "content": { "application/json": {
                    "schema": { "properties": { "error_code": { "type": "string" } } },
                    "examples": { "unavailable": {} },
                } } },
            } } } }
        });
        let document = Document::parse(&document.to_string()).unwrap();
        let mut all = HeaderMap::from_iter([(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))]);
        for (name, value) in headers {
            all.insert(*name, HeaderValue::from_static(value));
        }
        match Expected::read(&document, "thing_view", status) {
            Ok(expected) => expected.problems(&all, body.as_bytes()),
            Err(problem) => vec![problem],
        }
    }

    const TAG: (&str, &str) = ("etag", "v1");

    #[test]
    fn a_documented_response_has_no_problems() {
        assert_eq!(problems(200, &[TAG], r#"{"id":1}"#), [""; 0]);
        assert_eq!(problems(200, &[TAG], r#"{"id":1,"note":null}"#), [""; 0]);
        assert_eq!(problems(204, &[], ""), [""; 0]);
        assert_eq!(problems(503, &[("retry-after", "1")], r#"{"error_code":"unavailable"}"#), [""; 0]);
    }

    #[test]
    fn undocumented_properties_are_problems() {
        for (status, headers, body, expected) in [
            (404, &[][..], "{}", "the status is not documented"),
            (200, &[], r#"{"id":1}"#, "ETag is missing"),
            (200, &[("etag", "too long")], r#"{"id":1}"#, "ETag: "),
            (200, &[TAG, ("content-type", "text/plain")], r#"{"id":1}"#, "the body is not declared as JSON"),
            (200, &[TAG], "{", "the body is not JSON"),
            (200, &[TAG], "{}", "\"id\" is a required property"),
            (200, &[TAG], r#"{"id":"1"}"#, "/id: "),
            (200, &[TAG], r#"{"id":null}"#, "/id: "),
            (200, &[TAG], r#"{"id":1,"more":1}"#, "Additional properties are not allowed"),
            (204, &[], "{}", "the body is not documented"),
            (503, &[("retry-after", "0")], r#"{"error_code":"unavailable"}"#, "Retry-After: "),
            (200, &[TAG, ("location", "/things/1")], r#"{"id":1}"#, "location is not documented"),
            (503, &[("retry-after", "soon")], r#"{"error_code":"unavailable"}"#, "Retry-After: "),
            (503, &[], r#"{"error_code":"other"}"#, "the code \"other\" is not documented"),
            (503, &[], "{}", "the code \"\" is not documented"),
        ] {
            let problems = problems(status, headers, body);
            assert!(problems.iter().any(|problem| problem.starts_with(expected)), "{expected}: {problems:?}");
        }
    }
}
