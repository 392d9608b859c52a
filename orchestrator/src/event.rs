//! Sanitizes gateway events before lambda_http parses them.
//!
//! lambda_http supports the event formats of all gateways, but it panics on some requests that gateways forward and
//! rejects others. Therefore, this module decodes the body itself, and keeps only fields that operations read and whose
//! values lambda_http accepts. Routing and authentication are implemented in other modules.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use http::{HeaderName, HeaderValue, header};
use lambda_http::request::LambdaRequest;
use serde_json::Value;

/// Maximum length of a path in bytes. Percent-encoding can triple the length, and the result still fits into a URI. The
/// paths of all operations are much shorter.
const MAX_PATH: usize = 16 * 1024;

/// Error for a body that the event declares as Base64 but that is not valid Base64.
pub(crate) struct NotBase64;

pub(crate) type Body = Result<Vec<u8>, NotBase64>;

/// Parses an event into a request and its body.
///
/// # Errors
///
/// Fails if the event does not have a gateway's event format.
pub(crate) fn parse(mut event: Value) -> serde_json::Result<(LambdaRequest, Body)> {
    let body = body(&event);
    retain(&mut event, |name, value| match name {
        "headers" | "multiValueHeaders" => retain(value, is_valid_header),
        // A path without a leading slash would be parsed as part of the host.
        "path" | "rawPath" => value.as_str().is_some_and(|path| path.starts_with('/') && path.len() <= MAX_PATH),
        "requestContext" => retain(value, |name, _| {
            matches!(name, "elb" | "http" | "httpMethod" | "resourcePath" | "routeKey" | "stage")
        }),
        _ => matches!(name, "httpMethod" | "pathParameters"),
    });
    Ok((serde_json::from_value(event)?, body))
}

fn body(event: &Value) -> Body {
    let body = event["body"].as_str().unwrap_or_default();
    if event["isBase64Encoded"] == true { BASE64_STANDARD.decode(body).map_err(|_| NotBase64) } else { Ok(body.into()) }
}

/// Removes the fields for which `keep` is false. Returns whether the value is an object.
fn retain(object: &mut Value, mut keep: impl FnMut(&str, &mut Value) -> bool) -> bool {
    object.as_object_mut().map(|fields| fields.retain(|name, value| keep(name, value))).is_some()
}

/// Removes invalid values from a header. Returns whether lambda_http accepts the remaining header. `Host` is always
/// removed, because lambda_http builds a URI from it and panics if the URI is invalid.
fn is_valid_header(name: &str, value: &mut Value) -> bool {
    let is_valid = |value: &Value| value.as_str().is_some_and(|value| HeaderValue::from_str(value).is_ok());
    let has_value = match value {
        Value::Array(values) => {
            values.retain(is_valid);
            !values.is_empty()
        }
        value => is_valid(value),
    };
    has_value && name.parse::<HeaderName>().is_ok_and(|name| name != header::HOST)
}

#[cfg(test)]
mod tests {
    use lambda_http::{Request, RequestExt};
    use serde_json::json;

    use super::*;

    const GATEWAYS: [&str; 5] = [
        include_str!("../events/api-gateway-http.json"),
        include_str!("../events/api-gateway-rest.json"),
        include_str!("../events/function-url.json"),
        include_str!("../events/load-balancer.json"),
        include_str!("../events/load-balancer-multi-value.json"),
    ];

    /// JSON pointers and values for which lambda_http fails, or might fail, in at least one event format.
    fn malformed_values() -> Vec<(&'static str, Value)> {
        let ascii: String = (0..=0x7f).map(char::from).collect();
        let headers = json!({ "host": "a b", "Host": ["<"], "x-forwarded-proto": "?", "x-name": "é", "x y": "1", "x-none": null, "x-line": "a\nb", "x-some": ["\n", null, 1], "": "" });
        let queries = json!({ "<": "{", "é": "\u{0}", "none": null });
        let many_queries = json!({ "<": ["{", "é"], "none": null });
        vec![
            ("/body", json!("****")),
            ("/body", json!(null)),
            ("/isBase64Encoded", json!(true)),
            ("/isBase64Encoded", json!(null)),
            ("/headers", json!(null)),
            ("/headers", headers.clone()),
            ("/multiValueHeaders", json!(null)),
            ("/multiValueHeaders", headers),
            ("/cookies", json!(["é", null])),
            ("/rawQueryString", json!("a=<b>&é#\u{0}")),
            ("/queryStringParameters", json!(null)),
            ("/queryStringParameters", queries),
            ("/multiValueQueryStringParameters", json!(null)),
            ("/multiValueQueryStringParameters", many_queries),
            ("/pathParameters", json!(null)),
            ("/stageVariables", json!({ "none": null })),
            ("/requestContext/domainName", json!("a b<")),
            ("/requestContext/authorizer", json!(["none"])),
            ("/requestContext/identity", json!(null)),
            ("/requestContext/authentication", json!({ "clientCert": null })),
            ("/requestContext/stage", json!("<é ?#")),
            ("/requestContext/stage", json!(null)),
            ("/path", json!(null)),
            ("/path", json!(":99999999")),
            ("/path", json!("[")),
            ("/path", json!("%")),
            ("/path", json!(format!("/é{ascii}"))),
            ("/path", json!("/é".repeat(MAX_PATH / 3))),
            ("/path", json!("/".repeat(70_000))),
        ]
    }

    fn set(event: &mut Value, pointer: &str, value: &Value) {
        let (parent, name) = pointer.rsplit_once('/').unwrap();
        let name = if name == "path" && event.get("rawPath").is_some() { "rawPath" } else { name };
        event.pointer_mut(parent).unwrap()[name] = value.clone();
    }

    #[test]
    fn malformed_event_values_still_yield_a_request() {
        for gateway in GATEWAYS {
            let original: Value = serde_json::from_str(gateway).unwrap();
            let mut cumulative = original.clone();
            for (pointer, value) in malformed_values() {
                let mut event = original.clone();
                set(&mut event, pointer, &value);
                set(&mut cumulative, pointer, &value);
                for event in [event, cumulative.clone()] {
                    let (request, _) = parse(event).unwrap_or_else(|error| panic!("{pointer} {value}: {error}"));
                    assert_eq!(Request::from(request).method(), "POST", "{pointer} {value}");
                }
            }
        }
    }

    #[test]
    fn valid_headers_and_body_are_kept() {
        for gateway in GATEWAYS {
            let mut event: Value = serde_json::from_str(gateway).unwrap();
            let headers = if event["headers"].is_object() { "headers" } else { "multiValueHeaders" };
            event[headers]["x-bad"] = json!("a\nb");
            event[headers]["x-good"] = json!("é");
            event[headers]["x-both"] = json!(["\n", "good"]);
            let (request, body) = parse(event).unwrap();
            let request = Request::from(request);
            let header = |name: &str| request.headers().get(name).map(HeaderValue::as_bytes);
            let found = [header("x-bad"), header("x-good"), header("x-both"), header("content-type")];
            assert_eq!(found, [None, Some("é".as_bytes()), Some(b"good"), Some(b"application/json")]);
            assert!(request.raw_http_path().ends_with("/orchestrator/create-and-confirm-order"));
            assert!(body.is_ok_and(|body| body.starts_with(b"{")));
        }
    }
}
